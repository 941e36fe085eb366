package nodetest

import (
	"context"
	"net"
	"sync"
	"time"
)

// A door is the address of a node. It stays when the node is restarted; while
// nobody is at home, who knocks is turned away.
type door struct {
	l    net.Listener
	mu   sync.Mutex
	home *hall
}

func openDoor() (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &door{l: l}
	go d.run()
	return d, nil
}

func (d *door) address() string { return d.l.Addr().String() }

func (d *door) close() { d.l.Close() }

func (d *door) run() {
	for {
		c, err := d.l.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		h := d.home
		d.mu.Unlock()
		if h == nil || !h.enter(c) {
			drop(c)
		}
	}
}

// move lets connections go to another hall; nil: to nobody.
func (d *door) move(h *hall) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.home = h
}

// drop ends a connection as a machine does that is gone.
func drop(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// A hall is where the connections of one life of a node are: those that came, as
// its listener, and those that it made. Its end ends them all.
type hall struct {
	addr net.Addr
	come chan net.Conn
	done chan struct{}

	mu    sync.Mutex
	over  bool // no connection begins any more
	shut  bool // done is closed
	conns map[net.Conn]bool
}

func newHall(addr net.Addr) *hall {
	return &hall{addr: addr, come: make(chan net.Conn), done: make(chan struct{}), conns: map[net.Conn]bool{}}
}

func (h *hall) keep(c net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	h.conns[c] = true
	return true
}

func (h *hall) forget(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

func (h *hall) enter(c net.Conn) bool {
	if !h.keep(c) {
		return false
	}
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	select {
	case h.come <- &guest{c, h}:
		return true
	case <-h.done:
	case <-late.C:
	}
	return false
}

// Accept, Close and Addr are those of a net.Listener.
func (h *hall) Accept() (net.Conn, error) {
	select {
	case c := <-h.come:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *hall) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over = true; !h.shut {
		h.shut = true
		close(h.done)
	}
	return nil
}

func (h *hall) Addr() net.Addr { return h.addr }

// end drops every connection and takes no more. The listener stays, as its user
// must not notice.
func (h *hall) end() {
	h.mu.Lock()
	h.over = true
	conns := h.conns
	h.conns = map[net.Conn]bool{}
	h.mu.Unlock()
	for c := range conns {
		drop(c)
	}
}

// dialled keeps a connection that the node made.
func (h *hall) dialled(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	if !h.keep(c) {
		c.Close()
		return nil, context.Canceled
	}
	return &guest{c, h}, nil
}

// guest is a connection in a hall.
type guest struct {
	net.Conn
	h *hall
}

func (g *guest) Close() error {
	g.h.forget(g.Conn)
	return g.Conn.Close()
}
