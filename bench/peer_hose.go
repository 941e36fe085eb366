package bench

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"konbit/nodetest/cable"
)

// shape is how bad a link is, each way.
type shape struct {
	rate  float64       // bytes/s
	delay time.Duration // one way
	loss  float64       // share of packets
}

// The sides of a hose. A dials B.
const (
	sideA = 0
	sideB = 1
)

// hose is a bad link between two processes.
type hose interface {
	command(side int, binary string, args ...string) *exec.Cmd // one that runs on a side
	listen(side int) string                                    // where the process of a side listens
	control(side int) dialer                                   // connects to it, not over the link
	peerURL() string                                           // where A reaches B over the link
	traffic() traffic
	what() string // for the method
	close()
}

// traffic is what went over a hose, both ways, lost packets included.
type traffic struct {
	bytes   [2]int64 // from A, from B
	payload [2]int64 // of TCP; the same as bytes when packets cannot be seen
	lost    int64    // packets
}

func (t traffic) minus(o traffic) traffic {
	for i := range t.bytes {
		t.bytes[i] -= o.bytes[i]
		t.payload[i] -= o.payload[i]
	}
	t.lost -= o.lost
	return t
}

// newHose makes the best link that this machine lets us make.
func newHose(s shape) (hose, error) {
	h, err := newTunnel(s)
	if err == nil {
		return h, nil
	}
	return newProxy(s, err.Error())
}

// clean is the environment without HTTP proxies: the processes reach each other alone.
func clean() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(strings.ToLower(v), "=")
		return strings.HasSuffix(name, "_proxy")
	})
}

// proxy is a hose where no namespaces can be had: both processes are on loopback,
// and what A dials goes through a slow cable.
type proxy struct {
	why   string
	wire  cable.Wire
	l     net.Listener
	addr  [2]string
	conns sync.WaitGroup
}

func newProxy(s shape, why string) (hose, error) {
	p := &proxy{why: why}
	p.wire.Rate(s.rate)
	p.wire.Delay(s.delay)
	p.wire.Loss(s.loss)
	for i := range p.addr {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		p.addr[i] = l.Addr().String()
		l.Close()
	}
	var err error
	if p.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	p.conns.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		near, err := p.l.Accept()
		if err != nil {
			return
		}
		p.conns.Go(func() {
			defer near.Close()
			far, err := p.wire.Dial(context.Background(), "tcp", p.addr[sideB])
			if err != nil {
				return
			}
			defer far.Close()
			p.conns.Go(func() {
				io.Copy(near, far)
				near.Close()
			})
			io.Copy(far, near)
		})
	}
}

func (p *proxy) command(_ int, binary string, args ...string) *exec.Cmd {
	return exec.Command(binary, args...)
}
func (p *proxy) listen(side int) string { return p.addr[side] }
func (p *proxy) peerURL() string        { return "http://" + p.l.Addr().String() }
func (p *proxy) control(side int) dialer {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, p.addr[side])
	}
}

func (p *proxy) traffic() (t traffic) {
	t.bytes[sideA], t.bytes[sideB] = p.wire.Bytes()
	t.payload = t.bytes
	return t
}

func (p *proxy) what() string {
	return "a throttled proxy on loopback, which lets a lost segment come a round trip later; TCP and IP headers are not counted (no network namespaces: " + p.why + ")"
}

func (p *proxy) close() {
	p.l.Close()
	p.wire.Cut()
	p.conns.Wait()
}
