package peer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"konbit/record"
	"konbit/store"
)

// Handler answers other nodes, below /peer/v1/. It sets its own deadlines: what
// mounts it must let a stream stay open, and must hand on the connection's
// http.ResponseController.
func (x *Exchange) Handler() http.Handler { return x.links.mux() }

func (l *links) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /peer/v1/hello", l.answering(l.serveHello))
	mux.HandleFunc("POST /peer/v1/session", l.answering(l.serveSession))
	mux.HandleFunc("GET /peer/v1/stream", l.answering(l.serveStream))
	mux.HandleFunc("POST /peer/v1/send", l.answering(l.serveSend))
	mux.Handle("/peer/v1/", l.trust.Handler())
	return mux
}

// answering turns an error of a handler into a problem. Headers that are meant
// for a browser are taken off: an idle link pays for each byte.
func (l *links) answering(fn func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		clear(w.Header())
		if err := fn(w, r); err != nil {
			l.writeProblem(w, err)
		}
	}
}

var statusOf = map[record.Code]int{
	record.Invalid: 422, record.Denied: 403, record.Unsigned: 401, record.TooLarge: 413, record.TooMany: 429, record.Unavailable: 503, record.Conflict: 409,
}

func (l *links) writeProblem(w http.ResponseWriter, err error) {
	p := problem{Code: record.CodeOf(err), Reason: reasonOf(err), Detail: messageOf(err)}
	if p.Status = statusOf[p.Code]; p.Status == 0 {
		p.Status, p.Code = http.StatusInternalServerError, record.Internal
		l.log.Error("peer request failed", "error", err)
	}
	p.Type, p.Title = "urn:konbit:link:"+p.Reason, http.StatusText(p.Status)
	b, _ := json.Marshal(p)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(p.Status)
	w.Write(b)
}

// readMessage reads a message of a handshake, in bounded size and time.
func readMessage(w http.ResponseWriter, r *http.Request, most int64, v any) error {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(20 * time.Second))
	rc.SetWriteDeadline(time.Now().Add(40 * time.Second))
	var tooBig *http.MaxBytesError
	switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, most)).Decode(v); {
	case errors.As(err, &tooBig):
		return refusal(record.TooLarge, "oversized", "a message of a handshake may have %d bytes", tooBig.Limit)
	case err != nil:
		return refusal(record.Invalid, "malformed", "the message cannot be read")
	}
	return nil
}

func writeMessage(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
	return nil
}

// serveHello gives a challenge to whoever asks. It tells nobody who is known here.
func (l *links) serveHello(w http.ResponseWriter, r *http.Request) error {
	var q helloRequest
	if err := readMessage(w, r, 4<<10, &q); err != nil {
		return err
	}
	switch {
	case len(q.Nonce) != 32 || q.From == "" || len(q.From) > 200:
		return refusal(record.Invalid, "malformed", "a hello has a name and a nonce of 32 bytes")
	case q.To != l.self:
		return refusal(record.Denied, "wrong-node", "this is not %.200s", q.To)
	case !l.running():
		return errStopped
	}
	now := l.now()
	out, err := l.signed(&greeting{As: "challenge", From: l.self, To: q.From, Nonce: q.Nonce, Challenge: l.doors.challenge(&q, now), At: now})
	if err != nil {
		return err
	}
	return writeMessage(w, out)
}

// serveSession opens a session for a node that proves its key.
func (l *links) serveSession(w http.ResponseWriter, r *http.Request) error {
	var in signedWord
	if err := readMessage(w, r, maxHello, &in); err != nil {
		return err
	}
	if !l.enter() {
		return errStopped
	}
	defer l.work.Done()
	n, g, err := l.proven(r, &in)
	if err == nil {
		err = l.mayLink(n)
	}
	if err != nil {
		if l.doors.fail(r.RemoteAddr) {
			return refusal(record.TooMany, "too-many", "too many handshakes have failed from there")
		}
		l.log.Warn("handshake refused", "address", r.RemoteAddr, "error", err)
		return err
	}
	c := l.newConn(l.base(), l.line(n.Name), false)
	has, err := l.admit(r.Context(), c, n, g.Have)
	if err == nil {
		var out *signedWord
		out, err = l.signed(&greeting{As: "dialled", From: l.self, To: n.Name, Nonce: g.Nonce, Challenge: g.Challenge, At: l.now(), Have: has, Token: c.token})
		if err == nil {
			return writeMessage(w, out)
		}
	}
	c.end(err)
	l.doors.close(c)
	switch {
	case errors.Is(err, errCrossed):
		return refusal(record.Conflict, "crossed", "this node dialled at the same time")
	case errors.Is(err, errStopping):
		return errStopped
	case errors.Is(err, errByHand):
		return refusal(record.Unavailable, "cut", "the link was cut by hand")
	}
	return err
}

// admit makes a connection of a node that has proven its key the link to it.
func (l *links) admit(ctx context.Context, c *conn, n *store.Node, theirs *have) (*have, error) {
	if err := l.greet(ctx, c, n, theirs); err != nil {
		return nil, err
	}
	has, err := l.haveOf(ctx, n)
	if err != nil {
		return nil, err
	}
	l.doors.admit(c)
	l.welcome(ctx, c, theirs)
	return has, l.attach(c)
}

// proven finds out who answers a challenge: a node that is known, in whatever
// state, that signed it with its key. A stranger and a wrong key get one answer.
func (l *links) proven(r *http.Request, in *signedWord) (*store.Node, *greeting, error) {
	var claim greeting
	if err := json.Unmarshal(in.Payload, &claim); err != nil {
		return nil, nil, refusal(record.Invalid, "malformed", "the greeting cannot be read")
	}
	n := l.trust.Node(claim.From)
	g, err := verified(in, n, "dialler")
	// A card is looked at whether the node is known or not: it must not show in the time that it takes.
	if err != nil && len(in.Card) > 0 && l.trust.TakeCard(r.Context(), in.Card) == nil && n != nil {
		n = l.trust.Node(claim.From)
		g, err = verified(in, n, "dialler")
	}
	if err != nil {
		return nil, nil, err
	}
	if g.To != l.self {
		return nil, nil, refusal(record.Denied, "wrong-node", "the greeting is for another node")
	}
	return n, g, l.doors.redeem(g, l.now())
}

// errStopped is what a node says that is starting or stopping.
var errStopped = refusal(record.Unavailable, "stopped", "the node does not take links now")

// opened returns the connection of a request's token, and notes a sign of life.
// Without an error, work.Done is due.
func (l *links) opened(r *http.Request) (*conn, error) {
	if !l.enter() {
		return nil, errStopped
	}
	c := l.doors.session(r.Header.Get(tokenHeader))
	if c == nil || c.ctx.Err() != nil {
		l.work.Done()
		return nil, refusal(record.Unsigned, "session", "there is no such session: begin with a hello")
	}
	c.hear()
	return c, nil
}

// serveStream writes to the node that dialled, as long as it listens. A second
// stream of one session means that the first was lost with what was in it: the
// session ends, and the next one begins with what each has.
func (l *links) serveStream(w http.ResponseWriter, r *http.Request) error {
	c, err := l.opened(r)
	if err != nil {
		return err
	}
	defer l.work.Done()
	ending := time.NewTimer(2 * time.Second) // the answer to a poll may be read before its writer is done
	defer ending.Stop()
	select {
	case c.stream <- struct{}{}:
		defer func() { <-c.stream }()
	case <-ending.C:
		c.end(errReplaced)
		return refusal(record.Conflict, "crossed", "the session has a stream: begin with a hello")
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{}) // the end of the connection is noticed by reading
	if wait := r.URL.Query().Get("wait"); wait != "" {
		s, err := strconv.Atoi(wait)
		if err != nil || s < 0 {
			return refusal(record.Invalid, "malformed", "wait is a number of seconds")
		}
		return c.answerPoll(w, r, rc, min(time.Duration(s)*time.Second, time.Minute))
	}
	w.Header().Set("X-Accel-Buffering", "no") // nginx, which would collect what it passes on
	limit := c.limit(rc.SetWriteDeadline)
	defer limit.stop()
	out := frame(frameBeat, nil)
	for {
		limit.in(len(out))
		_, err := w.Write(out)
		if err == nil {
			err = rc.Flush()
		}
		if err != nil {
			c.end(err)
			return nil
		}
		if out, err = c.nextFrame(r, l.pace.beat); err != nil {
			c.end(err)
			return nil
		}
		if out == nil {
			out = frame(frameBeat, nil)
		}
	}
}

// nextFrame waits for something to write: what is due of control first, else a
// piece of a bundle; nil when nothing came for so long.
func (c *conn) nextFrame(r *http.Request, quiet time.Duration) ([]byte, error) {
	t := time.NewTimer(quiet)
	defer t.Stop()
	for {
		out, wait := c.nextControl()
		if out != nil {
			return out, nil
		}
		out, more, _ := c.out.next(c.ctx, allLanes)
		if out != nil {
			return out, nil
		}
		due := time.NewTimer(min(wait, more))
		select {
		case <-c.control:
		case <-c.bulk:
		case <-due.C:
		case <-t.C:
			due.Stop()
			return nil, nil
		case <-r.Context().Done():
			due.Stop()
			return nil, io.EOF
		case <-c.ctx.Done():
			due.Stop()
			return nil, c.ctx.Err()
		}
		due.Stop()
	}
}

// maxPoll is about how many bytes the answer to a poll has.
const maxPoll = 256 << 10

// answerPoll waits for something to say and says all of it, in one answer of a known length.
func (c *conn) answerPoll(w http.ResponseWriter, r *http.Request, rc *http.ResponseController, wait time.Duration) error {
	out, err := c.nextFrame(r, wait)
	if err != nil {
		if r.Context().Err() == nil {
			return refusal(record.Unsigned, "session", "the session has ended")
		}
		return nil
	}
	for len(out) > 0 && len(out) < maxPoll {
		more, _ := c.nextControl()
		if more == nil {
			more, _, _ = c.out.next(c.ctx, allLanes)
		}
		if more == nil {
			break
		}
		out = append(out, more...)
	}
	if out == nil {
		out = frame(frameBeat, nil)
	}
	limit := c.limit(rc.SetWriteDeadline)
	defer limit.stop()
	limit.in(len(out))
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	if _, err := w.Write(out); err != nil {
		c.end(err)
	}
	return nil
}

// maxPosts is how many uploads of a session are read at once: bundles, urgent
// ones, small frames, and one of each that is about to end.
const maxPosts = 6

// serveSend takes frames. Each has a deadline by its length, so that a slow
// sender cannot hold on for ever to what it costs.
func (l *links) serveSend(w http.ResponseWriter, r *http.Request) error {
	c, err := l.opened(r)
	if err != nil {
		return err
	}
	defer l.work.Done()
	if c.posts.Add(1) > maxPosts {
		c.posts.Add(-1)
		return refusal(record.TooMany, "too-many", "too many uploads at once")
	}
	defer c.posts.Add(-1)
	rc := http.NewResponseController(w)
	limit := c.limit(rc.SetReadDeadline)
	defer limit.stop()
	for {
		t, payload, err := readFrame(r.Body, limit.in)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = c.take(t, payload)
		}
		if err == nil && c.ctx.Err() != nil {
			w.Header().Set("Connection", "close")
			return refusal(record.Unsigned, "session", "the session has ended")
		}
		if err != nil {
			limit.stop() // the answer must still get through
			w.Header().Set("Connection", "close")
			c.end(err)
			var e *record.Error
			if errors.As(err, &e) {
				return e
			}
			return refusal(record.Invalid, "truncated", "the upload ended too early")
		}
	}
	out, _ := c.nextControl()
	rc.SetWriteDeadline(time.Now().Add(l.pace.dead))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	if _, err := w.Write(out); err != nil {
		c.end(err)
	}
	return nil
}

// limit sets deadlines for reading or writing, and one that has passed when the
// connection ends, so that nobody waits for what does not come.
type limit struct {
	c    *conn
	mu   sync.Mutex
	set  func(time.Time) error
	stop func() bool
}

func (c *conn) limit(set func(time.Time) error) *limit {
	b := &limit{c: c, set: set}
	b.stop = context.AfterFunc(c.ctx, func() { b.in(0) })
	return b
}

// in gives the next n bytes their time: a slow link has 1 kB/s.
func (b *limit) in(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := time.Now().Add(b.c.l.pace.dead/2 + time.Duration(n)*time.Millisecond)
	if b.c.ctx.Err() != nil {
		at = time.Unix(1, 0)
	}
	b.set(at)
}
