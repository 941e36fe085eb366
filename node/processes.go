package node

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"konbit/bus"
	"konbit/peer"
	"konbit/record"
	"konbit/store"
)

// Intervals at which processes of one node look at each other.
const (
	heartbeat = 2 * time.Second
	slowPoll  = 2 * time.Second        // while the bus carries wake-ups
	quickPoll = 250 * time.Millisecond // while it does not
)

// processes is the side of a node that shares its store with other processes of
// the same node: who they are, which one is on duty, and how they hear of each
// other's changes. Nothing that is true depends on what they tell each other.
type processes struct {
	n      *Node
	store  store.Shared
	bus    *bus.Bus
	me     store.Process // as it was when it began
	secret []byte        // that all processes of the node know
	client *http.Transport
	log    *slog.Logger

	mu   sync.Mutex
	all  []store.Process
	seen time.Time         // when all was read
	said map[string]string // what the log was told, by what it is about

	links  links
	ears   ears
	caught atomic.Bool   // what was recalled during an absence has been carried out
	nudge  chan struct{} // holds one when the others are to hear of this process at once
}

// Topics on the bus.
const (
	topicGrown = "grown" // the ledger has grown
	topicLinks = "links" // a link to another node is up, down, or further
	topicHere  = "here"  // a process is there
)

// openProcesses joins the other processes of the node.
func openProcesses(ctx context.Context, n *Node, s store.Shared) (_ *processes, err error) {
	p := &processes{n: n, store: s, log: n.log, said: map[string]string{}, nudge: make(chan struct{}, 1)}
	if p.secret, err = s.Secret(ctx, "sibling"); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p.me = store.Process{ID: record.NewID(n.now()).String(), Name: host, Version: Version, Started: n.now().UTC()}
	p.client = &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: 2 * time.Minute,
		DialContext: (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext}
	if u, err := url.Parse(n.cfg.URL); n.cfg.TLS && err == nil { // its certificate is for the name that people type
		p.client.TLSClientConfig = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	p.links.changed = make(chan struct{})
	p.bus, err = bus.Open(ctx, bus.Config{URL: n.cfg.NATS, Listen: n.cfg.BusListen, Node: n.Keys.Origin})
	return p, err
}

func (p *processes) close() {
	if p.bus != nil {
		p.bus.Close()
	}
	p.client.CloseIdleConnections()
}

// at says where this process answers.
func (p *processes) at(address string) { p.me.Address = address }

// away says why the bus does not carry everything to the other processes, "" when it does.
func (p *processes) away() string {
	if p.n.cfg.NATS == "" && p.n.cfg.BusListen == "" {
		return "no NATS cluster is named (--nats)"
	}
	if why, _, _ := p.bus.Away(); why != "" {
		return why
	}
	return p.ears.deaf()
}

// run tells the others of this process and of what it does, and hears of them, until
// ctx ends, or the database turns out to be older than it was: then nothing that it
// says can be believed, and nothing more is shown of it.
func (p *processes) run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	kick := func([]byte) {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	defer p.bus.Subscribe(topicGrown, 1, kick)()
	defer p.bus.Subscribe(topicLinks, 1, func([]byte) { p.links.stale() })()
	defer p.bus.Subscribe(topicHere, 64, func(id []byte) { p.ears.heard(string(id)) })()
	go p.tell(ctx)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	poll := time.NewTimer(0)
	defer poll.Stop()
	p.present(ctx)
	for {
		_, _, changed := p.bus.Away()
		select {
		case <-ctx.Done():
			gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), heartbeat)
			defer cancel()
			if err := p.store.Gone(gone, p.me.ID); err != nil {
				p.log.Debug("this process could not be taken off the list", "error", err)
			}
			return nil
		case <-beat.C:
			p.present(ctx)
			continue
		case <-p.nudge:
			p.present(ctx)
			continue
		case <-changed:
		case <-wake:
		case <-poll.C:
		}
		err := p.refresh(ctx)
		if record.CodeOf(err) == record.Corrupt {
			return err
		}
		p.complain(ctx, "other processes' changes cannot be read", err)
		every := slowPoll
		if p.away() != "" {
			every = quickPoll
			p.links.stale()
		}
		poll.Reset(every)
	}
}

// refresh looks what the others have written.
func (p *processes) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return p.n.Intake.Refresh(ctx)
}

// complain says once what is wrong, and once that it is no longer.
func (p *processes) complain(ctx context.Context, what string, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if ctx.Err() != nil || (p.say(what, why) == "") == (why == "") {
		return
	}
	if why == "" {
		p.log.Warn("no longer so: " + what)
		return
	}
	p.log.Warn(what, "error", err)
}

// say takes down what the log is told of something, and returns what it was told before.
func (p *processes) say(what, now string) (was string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, p.said[what] = p.said[what], now
	return was
}

// present says that this process is there, and once when live traffic ends or begins.
func (p *processes) present(ctx context.Context) {
	p.bus.Publish(topicHere, []byte(p.me.ID))
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	if all, err := p.List(ctx); err == nil {
		p.ears.listen(p.me.ID, all)
		p.Holding(ctx) // so that it is known when the database is away
	}
	why := p.away()
	if why != p.say("bus", why) {
		if why != "" {
			p.log.Warn("processes of this node look for each other's changes four times a second", "why", why)
		} else {
			p.log.Warn("processes of this node hear of each other's changes at once again")
		}
	}
	// Who is not on duty has not caught up either: the others must not take what it
	// said before its duty began for what it says of it.
	me := p.me // which the wait for duty reads, too
	me.Size, me.Bus, me.Holding = p.n.Intake.Size(), why, !p.OnDuty() || !p.n.caughtUp()
	if !me.Holding { // nor has it to wait any more when it loses its duty
		p.caught.Store(true)
	}
	p.complain(ctx, "the list of processes cannot be written", p.store.Present(ctx, me))
}

// tell lets the others know what was committed here.
func (p *processes) tell(ctx context.Context) {
	told := p.n.Intake.Commits()
	for {
		_, grown := p.n.Intake.Grown()
		if c := p.n.Intake.Commits(); c != told {
			told = c
			p.bus.Publish(topicGrown, nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-grown:
		}
	}
}

// tellLinks lets the others know that a link to another node has changed.
func (p *processes) tellLinks(ctx context.Context, x *peer.Exchange) error {
	for {
		changed := x.StatusChanged()
		p.bus.Publish(topicLinks, nil)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// tellCaughtUp lets the others know that what was recalled during an absence has been
// carried out.
func (p *processes) tellCaughtUp(ctx context.Context, x *peer.Exchange) error {
	select {
	case <-ctx.Done():
	case <-x.Holding():
		p.forget()
		select {
		case p.nudge <- struct{}{}:
		default:
		}
	}
	return nil
}

// OnDuty reports whether this process is the one on duty.
func (p *processes) OnDuty() bool { return p.n.onDuty.Load() }

// Fresh makes what is kept in memory of agencies, people and rights as new as the store.
func (p *processes) Fresh(ctx context.Context) error { return p.n.Intake.Refresh(ctx) }

// Holding reports whether what was recalled while the node was away still has to be
// carried out. A process that starts beside one that has done so need not wait; when it finds
// nobody who has, it waits for the first.
func (p *processes) Holding(ctx context.Context) bool {
	if p.caught.Load() {
		return false
	}
	all, err := p.List(ctx)
	if err != nil {
		return false // then nothing is shown anyway, and what is wrong is said better
	}
	if len(all) == 0 || !all[0].Duty || all[0].Holding {
		return true
	}
	p.caught.Store(true)
	return false
}

// List returns all processes, the one on duty first.
func (p *processes) List(ctx context.Context) ([]store.Process, error) {
	p.mu.Lock()
	all, seen := p.all, p.seen
	p.mu.Unlock()
	if time.Since(seen) < heartbeat/2 {
		return all, nil
	}
	all, err := p.store.Processes(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Holding = all[i].Holding && all[i].Duty
	}
	p.mu.Lock()
	p.all, p.seen = all, time.Now()
	p.mu.Unlock()
	return all, nil
}

// forget makes the next List ask the store.
func (p *processes) forget() {
	p.mu.Lock()
	p.seen = time.Time{}
	p.mu.Unlock()
}

// theDuty returns the address of the process on duty.
func (p *processes) theDuty(ctx context.Context) (*url.URL, error) {
	all, err := p.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || !all[0].Duty || all[0].ID == p.me.ID || all[0].Address == "" {
		p.forget()
		e := record.Errorf(record.Unavailable, "duty", "the process that does this is being replaced")
		e.Hint = "try again in a few seconds"
		return nil, e
	}
	u := &url.URL{Scheme: "http", Host: all[0].Address}
	if p.n.cfg.TLS {
		u.Scheme = "https"
	}
	return u, nil
}

// siblingHeader carries "time mac": proof that a request comes from a process that
// has this node's secret, and within a few minutes.
const siblingHeader = "Konbit-Sibling"

// skew is how far the clocks of two processes may be apart.
const skew = 5 * time.Minute

func (p *processes) mac(at, method, uri, from string) []byte {
	h := hmac.New(sha256.New, p.secret)
	io.WriteString(h, strings.Join([]string{at, method, uri, from}, "\n"))
	return h.Sum(nil)
}

// sign marks a request as one of this node's processes.
func (p *processes) sign(r *http.Request) {
	at := strconv.FormatInt(p.n.now().Unix(), 10)
	r.Header.Set(siblingHeader, at+" "+hex.EncodeToString(p.mac(at, r.Method, r.URL.RequestURI(), r.Header.Get("X-Forwarded-For"))))
}

// Sibling reports whether a request comes from another process of this node.
func (p *processes) Sibling(r *http.Request) bool {
	at, sum, ok := strings.Cut(r.Header.Get(siblingHeader), " ")
	if !ok {
		return false
	}
	got, err := hex.DecodeString(sum)
	sec, e := strconv.ParseInt(at, 10, 64)
	return err == nil && e == nil && p.n.now().Sub(time.Unix(sec, 0)).Abs() < skew && hmac.Equal(got, p.mac(at, r.Method, r.URL.RequestURI(), r.Header.Get("X-Forwarded-For")))
}

// Forward hands a request to the process on duty and its answer back, as they come.
func (p *processes) Forward(w http.ResponseWriter, r *http.Request) error {
	to, err := p.theDuty(r.Context())
	if err != nil {
		return err
	}
	var failed error
	(&httputil.ReverseProxy{
		Transport:     p.client,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		Rewrite: func(q *httputil.ProxyRequest) {
			q.Out.URL.Scheme, q.Out.URL.Host, q.Out.Host = to.Scheme, to.Host, q.In.Host
			q.Out.Header["X-Forwarded-For"] = q.In.Header["X-Forwarded-For"]
			p.sign(q.Out)
		},
		ModifyResponse: func(res *http.Response) error { // both set the same ones
			for k := range res.Header {
				w.Header().Del(k)
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}).ServeHTTP(w, r)
	if failed == nil || r.Context().Err() != nil {
		return nil
	}
	p.forget()
	e := record.Errorf(record.Unavailable, "duty", "the process that does this cannot be reached")
	e.Hint, e.Err = "try again in a few seconds", failed
	return e
}

// links is what the process on duty tells of the links to other nodes.
type links struct {
	mu      sync.Mutex
	changed chan struct{}

	asking sync.Mutex // held while the process on duty is asked
	last   []peer.Status
	at     time.Time
}

// stale says that something may have changed.
func (l *links) stale() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

// linksPath is where a process asks the one on duty how the links are.
const linksPath = "/internal/links"

// StatusChanged returns a channel that is closed when the links may have changed.
func (p *processes) StatusChanged() <-chan struct{} {
	p.links.mu.Lock()
	defer p.links.mu.Unlock()
	return p.links.changed
}

// Status asks the process on duty, at most once a second for all who want to know.
func (p *processes) Status(ctx context.Context) ([]peer.Status, error) {
	l := &p.links
	l.asking.Lock()
	defer l.asking.Unlock()
	if time.Since(l.at) < time.Second {
		return l.last, nil
	}
	all, err := p.askLinks(ctx)
	if err == nil {
		l.last, l.at = all, time.Now()
	}
	return all, err
}

func (p *processes) askLinks(ctx context.Context) (out []peer.Status, err error) {
	to, err := p.theDuty(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.JoinPath(linksPath).String(), nil)
	if err != nil {
		return nil, err
	}
	p.sign(r)
	res, err := p.client.RoundTrip(r)
	if err != nil {
		p.forget()
		return nil, &record.Error{Code: record.Unavailable, Op: "duty", Message: "the process that links to other nodes cannot be reached", Err: err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, record.Errorf(record.Unavailable, "duty", "the process that links to other nodes answers %s", res.Status)
	}
	err = json.NewDecoder(io.LimitReader(res.Body, 8<<20)).Decode(&out)
	return out, err
}

// front answers what processes of one node ask each other, and hands on the rest.
func (p *processes) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != linksPath || !p.Sibling(r) {
			next.ServeHTTP(w, r)
			return
		}
		if !p.OnDuty() {
			http.Error(w, "not on duty", http.StatusServiceUnavailable)
			return
		}
		all, err := p.n.Exchange().Status(r.Context())
		if err != nil {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(all); err != nil {
			http.Error(w, "not now", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(b.Bytes())
	})
}
