package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// tokenHeader carries the token of a session. It is not Authorization: that is
// for people and programs of the node itself.
const tokenHeader = "Konbit-Session"

// dialLoop keeps a link to a node that has addresses, unless it has dialled us.
func (l *links) dialLoop(ctx context.Context, ln *line) {
	backoff := l.pace.retryMin
	for turn := 0; ctx.Err() == nil; turn++ {
		if !l.mayDial(ctx, ln) {
			return
		}
		n := l.trust.Node(ln.name)
		if n == nil || n.State != store.NodeActive || len(n.URLs) == 0 {
			return
		}
		woken := l.flow.woken(ln.name)
		lasted, err := l.connect(ctx, ln, n, n.URLs[turn%len(n.URLs)])
		if ctx.Err() != nil {
			return
		}
		ln.mu.Lock()
		if lasted {
			ln.failed, backoff = 0, l.pace.retryMin
		}
		ln.failed++
		ln.fault = faultOf(err)
		first := ln.failed == 1
		ln.mu.Unlock()
		l.log.Debug("link failed", "node", ln.name, "error", err)
		l.moved.now()
		l.dots.touch()
		if !first {
			woken = nil // what waits is no reason to try more often
		}
		l.pause(ctx, ln, backoff, woken)
		backoff = min(backoff*2, l.pace.retryMax)
	}
}

// mayDial waits while the link is cut by hand, or connected from the other side.
func (l *links) mayDial(ctx context.Context, ln *line) bool {
	for {
		moved := l.moved.wait()
		ln.mu.Lock()
		ok := !ln.byHand && ln.conn == nil
		ln.mu.Unlock()
		if ok {
			return ctx.Err() == nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// pause waits before the next try: between half of the time and all of it, so
// that nodes that lost a hub at once do not come back at once. It ends early when
// something has to be sent, or when another link has come up: the network is back.
func (l *links) pause(ctx context.Context, ln *line, d time.Duration, woken <-chan struct{}) {
	all := time.NewTimer(d/2 + mathrand.N(d/2))
	defer all.Stop()
	least := time.NewTimer(min(d/2, 100*time.Millisecond))
	defer least.Stop()
	select {
	case <-least.C:
	case <-ctx.Done():
		return
	}
	ups := l.ups.Load()
	for {
		moved := l.moved.wait()
		if l.ups.Load() != ups {
			return
		}
		ln.mu.Lock()
		connected := ln.conn != nil
		ln.mu.Unlock()
		if connected {
			return
		}
		select {
		case <-all.C:
			return
		case <-woken:
			return
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// connect dials a node and runs the connection until it ends. lasted says that it
// came about.
func (l *links) connect(ctx context.Context, ln *line, n *store.Node, url string) (lasted bool, err error) {
	tr := l.transport()
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, CheckRedirect: noRedirect}
	base := strings.TrimSuffix(url, "/") + "/peer/v1/"
	c := l.newConn(ctx, ln, true)
	defer c.end(errStopping)

	hctx, cancel := context.WithTimeout(c.ctx, l.pace.hello)
	h, err := l.hello(hctx, client, base, n, c)
	cancel()
	if err != nil {
		return false, err
	}
	if n = l.trust.Node(ln.name); n == nil || n.State != store.NodeActive {
		return false, errInactive
	}
	if err := l.greet(ctx, c, n, h); err != nil {
		return false, err
	}
	l.welcome(ctx, c, h)
	if err := l.attach(c); err != nil {
		return false, err
	}
	l.ups.Add(1)
	l.moved.now()
	d := &dialler{c: c, client: client, base: base}
	err = d.run()
	return true, err
}

// hello shakes hands and returns what the other has.
func (l *links) hello(ctx context.Context, client *http.Client, base string, n *store.Node, c *conn) (*have, error) {
	r := helloRequest{From: l.self, To: n.Name, Nonce: make([]byte, 32)}
	rand.Read(r.Nonce)
	var w signedWord
	if err := ask(ctx, client, base+"hello", &r, &w); err != nil {
		return nil, err
	}
	g, err := verified(&w, n, "challenge")
	if err != nil { // it may have a new key: its card tells, signed with the old one
		if n, err = l.freshCard(ctx, client, base, n); err != nil {
			return nil, err
		}
		if g, err = verified(&w, n, "challenge"); err != nil {
			return nil, err
		}
	}
	if g.To != l.self || subtle.ConstantTimeCompare(g.Nonce, r.Nonce) != 1 {
		return nil, refusal(record.Denied, "replayed", "the challenge is not an answer to our hello")
	}
	has, err := l.haveOf(ctx, n)
	if err != nil {
		return nil, err
	}
	mine := &greeting{As: "dialler", From: l.self, To: n.Name, Nonce: r.Nonce, Challenge: g.Challenge, At: l.now(), Have: has}
	return l.openSession(ctx, client, base, n, c, mine)
}

// openSession answers the challenge and takes the token.
func (l *links) openSession(ctx context.Context, client *http.Client, base string, n *store.Node, c *conn, mine *greeting) (*have, error) {
	out, err := l.signed(mine)
	if err != nil {
		return nil, err
	}
	var w signedWord
	err = ask(ctx, client, base+"session", out, &w)
	if p := (*problem)(nil); errors.As(err, &p) && p.Reason == "unknown" { // it may know our old key only
		if out.Card, err = l.trust.SelfCard(ctx); err != nil {
			return nil, err
		}
		err = ask(ctx, client, base+"session", out, &w)
	}
	if err != nil {
		return nil, err
	}
	g, err := verified(&w, n, "dialled")
	if err != nil {
		return nil, err
	}
	if g.To != l.self || !bytes.Equal(g.Nonce, mine.Nonce) || !bytes.Equal(g.Challenge, mine.Challenge) || g.Token == "" || g.Have == nil {
		return nil, refusal(record.Denied, "replayed", "the answer is not one to our greeting")
	}
	c.token = g.Token
	return g.Have, nil
}

// freshCard asks a node for its card and returns what is known of it then.
func (l *links) freshCard(ctx context.Context, client *http.Client, base string, n *store.Node) (*store.Node, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", base+"card", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(frameCard.max())))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, refusal(record.Denied, "unknown", "the node has another key than we know, and shows no card")
	}
	if err := l.trust.TakeCard(ctx, b); err != nil {
		return nil, err
	}
	return l.trust.Node(n.Name), nil
}

// ask sends a message of a handshake and reads the answer.
func ask(ctx context.Context, client *http.Client, url string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "konbit")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return readProblem(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxHello)).Decode(out); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// dialler runs a connection that we dialled: a stream down, and three sorts of
// uploads: bundles, and what must not wait behind them: urgent ones and small frames.
type dialler struct {
	c      *conn
	client *http.Client
	base   string
}

func (d *dialler) run() error {
	c := d.c
	down := d.down
	c.line.mu.Lock()
	if time.Now().Before(c.line.polls) {
		down = d.poll
	}
	c.line.mu.Unlock()
	var work sync.WaitGroup
	bulk := func() error { return d.bundles(c.bulk, patientLanes) }
	urgent := func() error { return d.bundles(c.urgent, urgentLane) }
	for _, fn := range []func() error{down, d.control, urgent, bulk} {
		work.Go(func() {
			if err := fn(); err != nil {
				c.end(err)
			}
		})
	}
	work.Wait()
	return context.Cause(c.ctx)
}

func (d *dialler) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set(tokenHeader, d.c.token)
	req.Header.Set("User-Agent", "konbit")
	return req, nil
}

// down reads the stream. Its first frame is a heartbeat: when that does not come,
// something on the way collects answers before it passes them on.
func (d *dialler) down() error {
	c := d.c
	req, err := d.request(c.ctx, "GET", "stream", nil)
	if err != nil {
		return err
	}
	late := time.AfterFunc(c.l.pace.first, func() {
		c.line.mu.Lock()
		c.line.polls = time.Now().Add(10 * time.Minute)
		c.line.mu.Unlock()
		c.end(errBuffered)
	})
	defer late.Stop()
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return readProblem(resp)
	}
	body := &listener{c: c, r: resp.Body, first: late}
	for {
		t, payload, err := readFrame(body, func(int) {})
		if err != nil {
			return err
		}
		if err := c.take(t, payload); err != nil {
			return err
		}
	}
}

// listener notes each sign of life: a large frame on a slow link takes long.
type listener struct {
	c     *conn
	r     io.Reader
	first *time.Timer
}

func (b *listener) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.c.hear()
		if b.first != nil {
			b.first.Stop()
			b.first = nil
		}
	}
	return n, err
}

// poll asks again and again, where a stream does not come through.
func (d *dialler) poll() error {
	c := d.c
	wait := max(int(c.l.pace.poll/time.Second), 1)
	for {
		ctx, cancel := context.WithTimeout(c.ctx, c.l.pace.poll+c.l.pace.hello)
		req, err := d.request(ctx, "GET", fmt.Sprintf("stream?wait=%d", wait), nil)
		if err == nil {
			err = d.answered(req)
		}
		cancel()
		if err != nil {
			return err
		}
	}
}

// answered sends a request and takes the frames of its answer.
func (d *dialler) answered(req *http.Request) error {
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return readProblem(resp)
	}
	d.c.hear()
	body := &listener{c: d.c, r: resp.Body}
	for {
		t, payload, err := readFrame(body, func(int) {})
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = d.c.take(t, payload)
		}
		if err != nil {
			return err
		}
	}
}

// control uploads small frames as they come due, and heartbeats when there are none.
func (d *dialler) control() error {
	c := d.c
	polls := time.Now().Before(c.line.pollsUntil())
	beat := c.l.pace.beat
	for last := time.Now(); ; {
		out, wait := c.nextControl()
		if out == nil {
			until := time.Until(last.Add(beat))
			if until <= 0 && !polls { // a poll is a sign of life, too
				out = frame(frameBeat, nil)
			} else {
				if polls {
					until = wait
				}
				if !sleep(c.ctx, min(wait, until), c.control) {
					return nil
				}
				continue
			}
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.l.pace.dead)
		req, err := d.request(ctx, "POST", "send", bytes.NewReader(out))
		if err == nil {
			err = d.answered(req)
		}
		cancel()
		if err != nil {
			return err
		}
		last = time.Now()
	}
}

func (ln *line) pollsUntil() time.Time {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.polls
}

// sleep waits for a bell or for the time to pass; false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, bell <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-bell:
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// bundles uploads the bundles of some lanes: one request while there is something
// to send, so that the pipe is kept full.
func (d *dialler) bundles(bell kicker, lanes []bundle.Lane) error {
	c := d.c
	for {
		out, wait, _ := c.out.next(c.ctx, lanes)
		if out == nil {
			if !sleep(c.ctx, wait, bell) {
				return nil
			}
			continue
		}
		body := &upload{c: c, bell: bell, lanes: lanes, buf: out, until: time.Now().Add(c.l.pace.upload), eof: make(chan struct{})}
		req, err := d.request(c.ctx, "POST", "send", body)
		if err == nil {
			req.ContentLength = -1
			err = d.answered(req)
		}
		if err != nil {
			return err
		}
		select { // the transport may still be reading
		case <-body.eof:
		default:
			return errors.New("the upload was cut short")
		}
	}
}

// upload is the body of a request: pieces of bundles, while there are any.
type upload struct {
	c     *conn
	bell  kicker
	lanes []bundle.Lane
	buf   []byte
	until time.Time
	eof   chan struct{}
	done  bool
}

func (u *upload) Read(p []byte) (int, error) {
	for len(u.buf) == 0 && !u.done {
		if u.buf = u.more(); u.buf == nil {
			u.done = true
			close(u.eof)
		}
	}
	if u.done {
		return 0, io.EOF
	}
	n := copy(p, u.buf)
	u.buf = u.buf[n:]
	return n, nil
}

// more returns the next piece; nil ends the upload: nothing waits, or no room
// comes about for so long that what was sent may be held back on the way.
func (u *upload) more() []byte {
	c := u.c
	patience := time.Now().Add(c.l.pace.linger)
	for time.Now().Before(u.until) {
		out, wait, full := c.out.next(c.ctx, u.lanes)
		if out != nil {
			return out
		}
		left := time.Until(patience)
		if !full || left <= 0 || !sleep(c.ctx, min(wait, left), u.bell) {
			return nil
		}
	}
	return nil
}

// problem is how a node says no (RFC 9457). Reason is what a program switches on.
type problem struct {
	Type   string      `json:"type"`
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Detail string      `json:"detail"`
	Code   record.Code `json:"code"`
	Reason string      `json:"reason"`
}

func (p *problem) Error() string { return fmt.Sprintf("%s: %s", p.Reason, p.Detail) }

// readProblem reads why a node said no.
func readProblem(resp *http.Response) error {
	p := &problem{}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if json.Unmarshal(b, p) != nil || p.Reason == "" {
		return fmt.Errorf("the other side answered %s", resp.Status)
	}
	return p
}

// faultOf is why a link is cut, for the administrator.
func faultOf(err error) string {
	var p *problem
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return p.Reason + ": " + p.Detail
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the other side closed the connection"
	}
	return err.Error()
}
