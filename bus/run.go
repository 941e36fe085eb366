package bus

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	patience = 2 * time.Second        // with a server that is called, or asked something
	beat     = 3 * time.Second        // silence of a server that asks it whether it is there; another ends the connection
	lasting  = 2 * time.Second        // a connection that held as long is called again at once
	pause    = 200 * time.Millisecond // after the first time that nobody answered; doubled up to
	doubled  = 3                      // so many times
)

// link is one connection to one server. The library's own reconnecting is not used: it
// holds, while it calls a server, the lock that sending needs, and gives up for good on
// errors that it does not know.
type link struct {
	*nats.Conn
	place
	closed  chan struct{}
	refused chan error // holds what the server did not allow
	denied  bool       // something was not
	ready   bool       // it has its first subscriptions
}

// run keeps a connection until ctx ends.
func (b *Bus) run(ctx context.Context) {
	for failed := 0; ctx.Err() == nil; {
		if b.round(ctx) > lasting {
			failed = 0
			continue
		}
		wait := pause << min(failed, doubled)
		failed++
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)): // processes that lost the same server do not all call at once
		}
	}
}

// round tries each server in turn, stays with the first that answers until it is lost,
// and returns how long that was.
func (b *Bus) round(ctx context.Context) time.Duration {
	var faults []string
	for i, p := range b.places {
		l, err := b.connect(ctx, p)
		if ctx.Err() == nil && err != nil {
			faults = append(faults, p.cannot(err))
			continue
		}
		if err != nil {
			return 0
		}
		began := time.Now()
		err = b.serve(ctx, l)
		if last := l.LastError(); last != nil && !errors.Is(last, nats.ErrPermissionViolation) {
			err = last
		}
		l.Close()
		<-l.closed
		if ctx.Err() == nil {
			b.turn(p.cannot(err))
		}
		b.places = append(b.places[i+1:len(b.places):len(b.places)], b.places[:i+1]...) // this one again last
		return time.Since(began)
	}
	b.turn(strings.Join(faults, "; "))
	return 0
}

// connect calls one server.
func (b *Bus) connect(ctx context.Context, p place) (*link, error) {
	l := &link{place: p, closed: make(chan struct{}), refused: make(chan error, 1)}
	d := &dialer{ctx: ctx, url: p.url}
	opts := []nats.Option{
		nats.Name("konbit " + b.cfg.Node),
		nats.NoReconnect(), nats.IgnoreDiscoveredServers(),
		nats.SetCustomDialer(d), nats.SkipHostLookup(), // the dialer asks for names, within ctx
		nats.Timeout(patience), nats.FlusherTimeout(patience), nats.PingInterval(beat), nats.MaxPingsOutstanding(1),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				select {
				case l.refused <- err:
				default:
				}
			}
		}),
	}
	if !b.cfg.Echo {
		opts = append(opts, nats.NoEcho())
	}
	var address string
	if p.url == nil {
		opts = append(opts, nats.InProcessServer(b.server))
	} else {
		address = p.url.String()
	}
	if p.password != "" {
		opts = append(opts, nats.UserInfo(p.user, p.password))
	} else if p.user != "" {
		opts = append(opts, nats.Token(p.user))
	}
	var err error
	l.Conn, err = nats.Connect(address, opts...)
	switch ended := d.done(err); {
	case d.err != nil: // the library hides which
		return nil, d.err
	case err != nil:
		return nil, err
	case ended:
		l.Close()
		return nil, ctx.Err()
	}
	return l, nil
}

// serve sends and receives until the connection is lost or ctx ends.
func (b *Bus) serve(ctx context.Context, l *link) error {
	for len(b.out) > 0 { // it was meant for a moment that is over
		<-b.out
		b.lostOut.Add(1)
	}
	b.up.Store(true)
	defer b.up.Store(false)
	have := map[string]*nats.Subscription{}
	if err := b.listen(l, have); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			b.rest(l)
			return nil
		case <-l.closed:
			return nats.ErrConnectionClosed
		case err := <-l.refused:
			l.denied = true
			b.turn(l.cannot(err))
		case <-b.resub:
			if err := b.listen(l, have); err != nil {
				return err
			}
		case m := <-b.out:
			b.send(l, m)
		}
	}
}

// listen makes the server's subscriptions equal to what is wanted.
func (b *Bus) listen(l *link, have map[string]*nats.Subscription) error {
	wanted := map[string]bool{}
	var fresh []*subscription
	b.mu.Lock()
	for topic, subs := range b.subs {
		wanted[topic] = true
		for _, s := range subs {
			if s.live != l {
				fresh = append(fresh, s)
			}
		}
	}
	b.mu.Unlock()
	for topic, sub := range have {
		if !wanted[topic] {
			sub.Unsubscribe()
			delete(have, topic)
		}
	}
	for topic := range wanted {
		if have[topic] != nil {
			continue
		}
		var lost int
		sub, err := l.Subscribe(b.prefix+token(topic), func(m *nats.Msg) {
			if n, _ := m.Sub.Dropped(); n > lost { // by the library, when it gets more than this function can take
				b.lostIn.Add(int64(n - lost))
				lost = n
			}
			b.arrived(topic, m.Data)
		})
		if err != nil {
			return err
		}
		sub.SetPendingLimits(1<<16, 16<<20)
		have[topic] = sub
	}
	if l.ready && len(fresh) == 0 {
		return nil
	}
	if err := l.FlushTimeout(patience); err != nil { // the server has seen them all
		return err
	}
	l.ready = true
	if l.denied = l.denied || errors.Is(l.LastError(), nats.ErrPermissionViolation); l.denied {
		b.turn(l.cannot(nats.ErrPermissionViolation))
		return nil
	}
	b.turn("")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range fresh {
		s.live = l
		s.push(nil)
	}
	return nil
}

func (b *Bus) send(l *link, m message) error {
	err := l.Publish(m.subject, m.payload)
	if err != nil {
		b.lostOut.Add(1)
	}
	return err
}

// rest sends what still waits.
func (b *Bus) rest(l *link) {
	for {
		select {
		case m := <-b.out:
			if b.send(l, m) != nil {
				return
			}
		default:
			return
		}
	}
}
