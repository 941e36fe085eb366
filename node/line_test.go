package node_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// line stands between two parties. It can be cut, and hold up what the one says who
// has called.
type line struct {
	l   net.Listener
	to  string
	all sync.WaitGroup

	mu    sync.Mutex
	off   bool
	delay time.Duration
	calls map[net.Conn]chan struct{} // closed when the call is to end
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &line{l: l, to: to, calls: map[net.Conn]chan struct{}{}}
	d.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.all.Go(func() { d.carry(c) })
		}
	})
	t.Cleanup(func() { d.cut(); l.Close(); d.all.Wait() })
	return d
}

func (d *line) address() string { return d.l.Addr().String() }

// slow holds up each message by so long from now on.
func (d *line) slow(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = by
}

// cut ends all calls, and takes no more until mend.
func (d *line) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	for _, end := range d.calls {
		close(end)
	}
	clear(d.calls)
}

func (d *line) mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = false
}

func (d *line) carry(near net.Conn) {
	defer near.Close()
	end := make(chan struct{})
	d.mu.Lock()
	if d.off {
		d.mu.Unlock()
		return
	}
	d.calls[near] = end
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.calls, near)
		d.mu.Unlock()
	}()
	ctx, done := context.WithCancel(context.Background())
	defer done()
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.to)
	if err != nil {
		return
	}
	defer far.Close()
	d.all.Go(func() {
		select {
		case <-end:
		case <-ctx.Done():
		}
		near.Close()
		far.Close()
	})
	d.all.Go(func() { defer near.Close(); io.Copy(near, far) })
	for b := make([]byte, 1<<20); ; {
		n, err := near.Read(b)
		if err != nil {
			return
		}
		d.mu.Lock()
		by := d.delay
		d.mu.Unlock()
		select {
		case <-time.After(by):
		case <-end:
			return
		}
		if _, err := far.Write(b[:n]); err != nil {
			return
		}
	}
}
