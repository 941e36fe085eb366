package trust

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

const (
	joinPath      = "/peer/v1/join"
	cardPath      = "/peer/v1/card"
	directoryPath = "/peer/v1/directory"

	maxJoinBody = 256 << 10
	joinWithin  = 30 * time.Second // a request to join must have come by then
)

// Handler answers /peer/v1/join, /peer/v1/card and /peer/v1/directory. Our card is
// for everybody; the directory for nodes that we exchange with.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+joinPath, s.serveJoin)
	mux.HandleFunc("GET "+cardPath, s.serveCard)
	mux.HandleFunc("GET "+directoryPath, s.serveDirectory)
	return mux
}

func (s *Service) serveJoin(w http.ResponseWriter, r *http.Request) {
	from := remote(r)
	if wait := s.limit.take("join "+from, 10, time.Minute); wait > 0 {
		refuse(w, tooMany(wait))
		return
	}
	if wait := s.limit.take("join", 120, time.Minute); wait > 0 {
		refuse(w, tooMany(wait))
		return
	}
	if wait := s.limit.full("wrong "+from, 5, 10*time.Minute); wait > 0 {
		refuse(w, tooMany(wait))
		return
	}
	// No deadline can be set on some connections (tests, HTTP/2 of old); then the
	// server's own counts.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(joinWithin))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJoinBody))
	if err != nil {
		refuse(w, unreadable(err))
		return
	}
	var q joinRequest
	if err := json.Unmarshal(body, &q); err != nil {
		refuse(w, &record.Error{Code: record.Invalid, Op: "peer.join", Message: "the request cannot be read", Err: err})
		return
	}
	a, err := s.admit(r.Context(), &q)
	if errors.Is(err, errNoInvitation) {
		s.limit.take("wrong "+from, 5, 10*time.Minute)
		s.cfg.Log.Warn("trust: somebody asked to join without an invitation", "from", from)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, a)
}

func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return record.Errorf(record.TooLarge, "peer.join", "a request to join has at most %d bytes", large.Limit)
	}
	return &record.Error{Code: record.Invalid, Op: "peer.join", Message: "the request did not come whole", Err: err}
}

func (s *Service) serveCard(w http.ResponseWriter, r *http.Request) {
	if wait := s.limit.take("card "+remote(r), 60, time.Minute); wait > 0 {
		refuse(w, tooMany(wait))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.Self().Card) // as it was made last: strangers make us read nothing
}

func (s *Service) serveDirectory(w http.ResponseWriter, r *http.Request) {
	if wait := s.limit.take("directory "+remote(r), 60, time.Minute); wait > 0 {
		refuse(w, tooMany(wait))
		return
	}
	if err := s.known(r); err != nil {
		refuse(w, err)
		return
	}
	b := s.DirectoryBytes()
	if b == nil {
		refuse(w, record.Errorf(record.NotFound, "directory", "this node is in no region"))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b)
}

// A request for the directory is signed with the link key of who asks:
//
//	Authorization: Konbit NODE TIME SIGNATURE
//
// over the DSSE encoding of "GET PATH\nNODE ASKED\nNODE\nTIME". What it gets is no
// secret between nodes, so a copy of the request that is sent again within the time
// does no harm.
const (
	askType   = "application/vnd.konbit.ask"
	askWithin = 10 * time.Minute
)

func askPayload(path, asked, node, at string) []byte {
	return []byte("GET " + path + "\n" + asked + "\n" + node + "\n" + at)
}

func (s *Service) known(r *http.Request) error {
	refused := record.Errorf(record.Unsigned, "directory", "only nodes that this one exchanges with may ask")
	w := strings.Fields(r.Header.Get("Authorization"))
	if len(w) != 4 || w[0] != "Konbit" {
		return refused
	}
	at, err := time.Parse(time.RFC3339, w[2])
	if err != nil {
		return refused
	}
	if d := s.cfg.Now().Sub(at); d.Abs() > askWithin {
		return record.Errorf(record.Unsigned, "directory", "the clocks differ by %s", d.Abs().Round(time.Second))
	}
	sig, err := base64.StdEncoding.DecodeString(w[3])
	n := s.Node(w[1])
	if err != nil || n == nil || n.Name != w[1] || n.State != store.NodeActive {
		return refused
	}
	if key := s.SignKey(n.Name, ledger.KeyID(n.Sign), at); !ledger.VerifyAs(key, askType, askPayload(r.URL.Path, s.Self().Name, w[1], w[2]), sig) {
		return refused
	}
	return nil
}

// Fetch asks a node that we dial for its card and, when it is in our region, for
// the directory, and takes both. It is for a first contact, and for a link that
// carries nothing else yet.
func (s *Service) Fetch(ctx context.Context, node string) error {
	const op = "peer.fetch"
	n, err := s.node(op, node)
	if err != nil {
		return err
	}
	err = record.Errorf(record.Unavailable, op, "%s has no address to dial", n.Title)
	for _, u := range n.URLs {
		if err = s.fetch(ctx, n, u); err == nil {
			return nil
		}
	}
	return err
}

func (s *Service) fetch(ctx context.Context, n *store.Node, url string) error {
	b, err := s.get(ctx, n, url, cardPath, MaxCard)
	if err != nil {
		return err
	}
	c, err := ParseCard(b)
	if err != nil {
		return err
	}
	if c.Node != n.Name {
		return record.Errorf(record.Denied, "peer.fetch", "%s answers at the address of %s", c.Node, n.Title)
	}
	if err := s.TakeCard(ctx, b); err != nil {
		return err
	}
	if n.Region == "" {
		return nil
	}
	if b, err = s.get(ctx, n, url, directoryPath, MaxDirectory); err != nil {
		return err
	}
	return s.TakeDirectory(ctx, b)
}

func (s *Service) get(ctx context.Context, n *store.Node, url, path string, most int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
	if err != nil {
		return nil, err
	}
	at, self := s.cfg.Now().UTC().Format(time.RFC3339), s.Self().Name
	sig := ledger.SignAs(s.cfg.Keys.Sign(), askType, askPayload(path, n.Name, self, at))
	req.Header.Set("Authorization", "Konbit "+self+" "+at+" "+base64.StdEncoding.EncodeToString(sig))
	res, err := s.client.Do(req)
	if err != nil {
		return nil, &record.Error{Code: record.Unavailable, Op: "peer.fetch", Message: "the node at " + url + " cannot be reached", Err: err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, refusal("peer.fetch", url, res)
	}
	return io.ReadAll(io.LimitReader(res.Body, most+1))
}

func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// A problem is an error as it goes out (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Hint   string `json:"hint,omitempty"`
}

var statuses = map[record.Code]int{
	record.Invalid: http.StatusUnprocessableEntity, record.NotFound: http.StatusNotFound, record.Denied: http.StatusForbidden,
	record.Unsigned: http.StatusUnauthorized, record.Conflict: http.StatusConflict, record.Stale: http.StatusConflict,
	record.TooLarge: http.StatusRequestEntityTooLarge, record.TooMany: http.StatusTooManyRequests, record.Unavailable: http.StatusServiceUnavailable,
}

// refuse answers with an error. What is a fault of ours is not told to strangers.
func refuse(w http.ResponseWriter, err error) {
	p := problem{Status: http.StatusInternalServerError, Code: string(record.Internal), Detail: "the node has a fault; its administrator finds it in the log"}
	var e *record.Error
	if errors.As(err, &e) {
		if st := statuses[e.Code]; st != 0 {
			p = problem{Status: st, Code: string(e.Code), Detail: e.Message, Hint: e.Hint}
			if len(e.Fields) > 0 {
				p.Detail += ": " + e.Fields[0].Path + " " + e.Fields[0].Message
			}
		}
	}
	var wait slow
	if errors.As(err, &wait) {
		w.Header().Set("Retry-After", strconv.Itoa(1+int(time.Duration(wait).Seconds())))
	}
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// slow is the cause of a TooMany: how long to wait.
type slow time.Duration

func (d slow) Error() string { return "slowed for " + time.Duration(d).String() }

func tooMany(wait time.Duration) error {
	return &record.Error{Code: record.TooMany, Op: "peer", Message: "too many requests; wait a moment and try again", Err: slow(wait)}
}

// A limiter counts by name, in spans of time. It forgets everything when it gets
// too large: a stranger can then try a few times more, and memory stays bounded.
type limiter struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string]*tally
}

type tally struct {
	n     int
	since time.Time
}

const maxTallies = 10_000

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, of: map[string]*tally{}}
}

// take counts one and says how long to wait, 0 when it is among the first n of the span.
func (l *limiter) take(name string, n int, span time.Duration) time.Duration {
	return l.count(name, n, span, 1)
}

// full is take without counting.
func (l *limiter) full(name string, n int, span time.Duration) time.Duration {
	return l.count(name, n, span, 0)
}

func (l *limiter) count(name string, n int, span time.Duration, by int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	t := l.of[name]
	if t == nil || now.Sub(t.since) >= span || now.Before(t.since) {
		if len(l.of) >= maxTallies {
			clear(l.of)
		}
		t = &tally{since: now}
		l.of[name] = t
	}
	if t.n >= n {
		return t.since.Add(span).Sub(now)
	}
	t.n += by
	return 0
}
