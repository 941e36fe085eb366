// Package cable is a bad link between two nodes of a test: it can be cut, and be
// slow, far and lossy. It wraps what dials, so that both directions of every
// connection go through it, and counts their bytes.
//
// It must not know what goes over it.
package cable

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// packet is how many bytes share a fate.
const packet = 1460

// buffer is how many bytes of one connection wait at the near end, each way.
const buffer = 64 << 10

// ErrCut is what dialling over a cut link returns.
var ErrCut = errors.New("cable: the link is cut")

// Wire is a link. The zero value is a good one.
type Wire struct {
	mu      sync.Mutex
	turned  chan struct{} // closed when something changes
	cut     bool
	silent  bool
	conns   map[*conn]bool
	late    []net.Conn // closed by their users while the link was silent
	rate    float64    // bytes/s each way, 0: no bound
	delay   time.Duration
	loss    float64
	free    [2]time.Time // when the link can take the next byte, each way
	bytes   [2]int64
	dialled int
}

// The directions.
const (
	up   = 0 // from who dialled
	down = 1
)

// Dial makes a connection over the link, as net.Dialer.DialContext does.
func (w *Wire) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	cut, delay := w.cut, w.delay
	w.mu.Unlock()
	if cut {
		return nil, ErrCut
	}
	if err := w.audible(ctx.Done()); err != nil {
		return nil, ctx.Err()
	}
	if delay > 0 { // a handshake goes there and back
		t := time.NewTimer(2 * delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var d net.Dialer
	far, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: far, w: w, done: make(chan struct{})}
	c.ways[up], c.ways[down] = newWay(), newWay()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		far.Close()
		return nil, ErrCut
	}
	if w.conns == nil {
		w.conns = map[*conn]bool{}
	}
	w.conns[c] = true
	w.dialled++
	go c.send()
	go c.receive()
	return c, nil
}

// Cut breaks all connections at once, for both ends to see, and refuses new ones.
func (w *Wire) Cut() {
	w.mu.Lock()
	w.cut = true
	conns := w.conns
	w.conns = nil
	w.turn()
	w.mu.Unlock()
	for c := range conns {
		c.shut(ErrCut)
		reset(c.Conn)
	}
}

// Silence lets nothing through any more, and tells nobody.
func (w *Wire) Silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = true
	w.turn()
}

// Mend ends Cut and Silence.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut, w.silent = false, false
	for _, c := range w.late {
		reset(c)
	}
	w.late = nil
	w.turn()
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// Rate bounds each direction to so many bytes a second, shared by all
// connections; 0: no bound.
func (w *Wire) Rate(bytes float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rate = bytes
	w.turn()
}

// Delay is how long everything takes one way.
func (w *Wire) Delay(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
}

// Loss is the share of packets, 0 to 1, that have to be sent again: what follows
// in the connection waits a round trip for each.
func (w *Wire) Loss(share float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loss = share
}

// Bytes returns how many bytes went over the link from who dialled, and to it.
func (w *Wire) Bytes() (sent, received int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes[up], w.bytes[down]
}

// Dialled returns how many connections were made.
func (w *Wire) Dialled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dialled
}

// turn tells everybody that waits. Called with mu held.
func (w *Wire) turn() {
	if w.turned != nil {
		close(w.turned)
		w.turned = nil
	}
}

// audible waits while the link is silent.
func (w *Wire) audible(done <-chan struct{}) error {
	for {
		w.mu.Lock()
		if !w.silent {
			w.mu.Unlock()
			return nil
		}
		if w.turned == nil {
			w.turned = make(chan struct{})
		}
		turned := w.turned
		w.mu.Unlock()
		select {
		case <-turned:
		case <-done:
			return net.ErrClosed
		}
	}
}

// book takes room on the link for n bytes and returns when they are at the far end.
func (w *Wire) book(way, n int) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	at := now
	w.bytes[way] += int64(n)
	if w.rate > 0 {
		if w.free[way].Before(now) {
			w.free[way] = now
		}
		w.free[way] = w.free[way].Add(time.Duration(float64(n) / w.rate * float64(time.Second)))
		at = w.free[way]
	}
	at = at.Add(w.delay)
	if w.loss > 0 && rand.Float64() < w.loss {
		at = at.Add(2*w.delay + 10*time.Millisecond)
	}
	return at
}

// size is how many bytes to take at once.
func (w *Wire) size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rate > 0 || w.loss > 0 {
		return packet
	}
	return 16 << 10
}

func (w *Wire) drop(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// conn is one connection over the link.
type conn struct {
	net.Conn
	w    *Wire
	ways [2]*way
	once sync.Once
	done chan struct{}
}

// way is one direction of a connection: packets and when they arrive.
type way struct {
	mu    sync.Mutex
	queue []parcel
	bytes int
	last  time.Time
	err   error
	bell  chan struct{}
}

type parcel struct {
	data []byte
	at   time.Time
}

func newWay() *way { return &way{bell: make(chan struct{})} }

// ring wakes who waits for a change. Called with mu held.
func (v *way) ring() {
	close(v.bell)
	v.bell = make(chan struct{})
}

// put adds a parcel when there is room, in order behind the ones before.
func (v *way) put(b []byte, at time.Time, done <-chan struct{}) error {
	for {
		v.mu.Lock()
		if v.err != nil {
			defer v.mu.Unlock()
			return v.err
		}
		if v.bytes < buffer {
			if at.Before(v.last) {
				at = v.last
			}
			v.last = at
			v.queue = append(v.queue, parcel{b, at})
			v.bytes += len(b)
			v.ring()
			v.mu.Unlock()
			return nil
		}
		bell := v.bell
		v.mu.Unlock()
		select {
		case <-bell:
		case <-done:
			return net.ErrClosed
		}
	}
}

// get waits for the next parcel to arrive; at most n bytes of it.
func (v *way) get(n int, done <-chan struct{}) ([]byte, error) {
	for {
		v.mu.Lock()
		bell, err := v.bell, v.err
		wait := time.Duration(-1)
		if len(v.queue) > 0 {
			p := &v.queue[0]
			if wait = time.Until(p.at); wait <= 0 {
				b := p.data[:min(n, len(p.data))]
				if p.data = p.data[len(b):]; len(p.data) == 0 {
					v.queue = v.queue[1:]
				}
				v.bytes -= len(b)
				v.ring()
				v.mu.Unlock()
				return b, nil
			}
		} else if err != nil {
			v.mu.Unlock()
			return nil, err
		}
		v.mu.Unlock()
		var due <-chan time.Time
		if wait > 0 {
			t := time.NewTimer(wait)
			defer t.Stop()
			due = t.C
		}
		select {
		case <-due:
		case <-bell:
		case <-done:
			return nil, net.ErrClosed
		}
	}
}

// fail ends a direction; what is in it still arrives.
func (v *way) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = err
	}
	v.ring()
}

// send passes on what was written.
func (c *conn) send() {
	for {
		b, err := c.ways[up].get(packet*12, c.done)
		if err == nil {
			err = c.w.audible(c.done)
		}
		if err == nil {
			_, err = c.Conn.Write(b)
		}
		if err != nil {
			c.ways[up].fail(err)
			return
		}
	}
}

// receive takes what the far end writes.
func (c *conn) receive() {
	for {
		b := make([]byte, c.w.size())
		n, err := c.Conn.Read(b)
		if n > 0 {
			if c.w.audible(c.done) != nil {
				return
			}
			err = errors.Join(c.ways[down].put(b[:n], c.w.book(down, n), c.done), err)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.EOF
			}
			c.ways[down].fail(err)
			return
		}
	}
}

func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := c.ways[down].get(len(p), c.done)
	return copy(p, b), err
}

func (c *conn) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		b := append([]byte(nil), p[:min(len(p), c.w.size())]...)
		if err := c.ways[up].put(b, c.w.book(up, len(b)), c.done); err != nil {
			return n, err
		}
		n, p = n+len(b), p[len(b):]
	}
	return n, nil
}

// shut ends the near end.
func (c *conn) shut(err error) {
	c.once.Do(func() {
		c.ways[up].fail(err)
		c.ways[down].fail(err)
		close(c.done)
		c.w.drop(c)
	})
}

// Close closes the connection; the far end hears of it when the link is not silent.
func (c *conn) Close() error {
	c.w.mu.Lock()
	silent := c.w.silent
	if silent {
		c.w.late = append(c.w.late, c.Conn)
	}
	c.w.mu.Unlock()
	c.shut(net.ErrClosed)
	if silent {
		return nil
	}
	return c.Conn.Close()
}

// Deadlines are not kept: what dials here ends its work by closing.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
