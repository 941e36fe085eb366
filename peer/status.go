package peer

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"konbit/peer/trust"
	"konbit/store"
)

// usualBytes is what a record takes on the wire, before anything was measured.
const usualBytes = 350

// Status tells of every node that we know, by title.
func (x *Exchange) Status(ctx context.Context) ([]Status, error) { return x.links.status(ctx) }

// StatusChanged returns a channel that is closed when a dot, or what waits behind
// it, has changed; at most once a second.
func (x *Exchange) StatusChanged() <-chan struct{} { return x.links.dots.changed.wait() }

func (l *links) status(ctx context.Context) ([]Status, error) {
	var all []Status
	for _, n := range l.trust.Nodes() {
		if n.Name == l.self {
			continue
		}
		s, err := l.statusOf(ctx, n)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

func (l *links) statusOf(ctx context.Context, n *store.Node) (Status, error) {
	d, err := l.dot(ctx, n)
	if err != nil {
		return Status{}, err
	}
	t, err := l.tables.of(ctx, n.Name, d.out)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Name: n.Name, Short: trust.Short(n.Name), Title: n.Title, Fingerprint: trust.Spoken(n.Sign), Agencies: n.Agencies, URLs: n.URLs, Via: n.Via,
		Region: n.Region, Caps: n.Caps, Why: n.Why, State: d.state, Since: l.dots.since(n, d.state, l.wall()),
		Urgent: d.out.Waiting[store.Urgent], Waiting: d.out.Waiting[store.Urgent] + d.out.Waiting[store.Normal],
		Sent: t.sent, Held: t.held, Refusals: t.refusals, Seconds: -1,
	}
	if s.Agencies == nil {
		s.Agencies = []string{}
	}
	if s.Via == "" {
		s.Via = d.via
	}
	ln := l.line(n.Name)
	ln.mu.Lock()
	s.CutByHand, s.Error = ln.byHand, ln.fault
	each := cmp.Or(ln.record, usualBytes)
	ln.mu.Unlock()
	s.Contact = ln.contacted()
	s.Bytes = int64(each * float64(s.Waiting))
	if d.over != nil {
		d.over.line.mu.Lock()
		s.Rate = d.over.line.rate
		d.over.line.mu.Unlock()
	}
	switch {
	case s.Waiting == 0:
		s.Seconds = 0
	case s.Rate > 0:
		s.Seconds = float64(s.Bytes) / s.Rate
	}
	if l.wit != nil {
		s.Witness = l.wit(n.Name)
	}
	return s, nil
}

// dot is what the console shows of a link at a glance.
type dot struct {
	state LinkState
	out   store.Outgoing
	over  *conn  // over which bundles go now, nil: none
	via   string // the hub that it belongs to
}

func (l *links) dot(ctx context.Context, n *store.Node) (d dot, err error) {
	if d.out, err = l.flow.outgoing(ctx, n.Name); err != nil {
		return d, err
	}
	switch n.State {
	case store.NodePending:
		d.state = Pending
	case store.NodeRevoked:
		d.state = Revoked
	case store.NodeRefused:
		d.state = Refused
	default:
		d.over = l.route(n.Name)
		d.state = l.linkState(n, &d)
	}
	return d, nil
}

func (l *links) linkState(n *store.Node, d *dot) LinkState {
	ln := l.line(n.Name)
	contact := ln.contacted()
	if d.over != nil && d.over.line != ln {
		d.via = d.over.line.name
		if !d.over.line.reaches(n.Name) {
			d.over = nil // the hub takes what we send, and the node is not there to get it
		}
	}
	switch {
	case d.over == nil && contact.IsZero():
		return Never
	case d.over == nil:
		return Cut
	case d.out.Waiting[store.Urgent]+d.out.Waiting[store.Normal] > 0:
		return Behind
	}
	return Live
}

// reaches reports whether a hub is connected to a node, as far as it tells.
func (ln *line) reaches(name string) bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.here == nil || ln.here[name]
}

// dots notices when one changes.
type dots struct {
	bell    chan struct{}
	changed signal

	mu   sync.Mutex
	last map[string]*lastDot
}

type lastDot struct {
	state   LinkState
	since   time.Time
	waiting [store.Lanes]int
}

// touch says that something that a dot shows may have changed.
func (d *dots) touch() {
	select {
	case d.bell <- struct{}{}:
	default:
	}
}

// since returns since when a node has been in a state.
func (d *dots) since(n *store.Node, s LinkState, now time.Time) time.Time {
	if n.State != store.NodeActive {
		return n.Since
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.last[n.Name]; o != nil && o.state == s {
		return o.since
	}
	return now
}

// note keeps a dot; true when it is another one than before.
func (d *dots) note(name string, is dot, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.last[name]
	if o == nil {
		o = &lastDot{}
		d.last[name] = o
	}
	if o.state == is.state && o.waiting == is.out.Waiting {
		return false
	}
	if o.state != is.state {
		o.since = now
	}
	o.state, o.waiting = is.state, is.out.Waiting
	return true
}

// watchDots looks when it is told to, and not more often than quiet.
func (l *links) watchDots(ctx context.Context) {
	for {
		select {
		case <-l.dots.bell:
		case <-ctx.Done():
			return
		}
		changed := false
		for _, n := range l.trust.Nodes() {
			if n.Name == l.self {
				continue
			}
			d, err := l.dot(ctx, n)
			if err != nil {
				if ctx.Err() == nil {
					l.log.Error("link status", "node", n.Name, "error", err)
				}
				continue
			}
			changed = l.dots.note(n.Name, d, l.wall()) || changed
		}
		if changed {
			l.dots.changed.now()
		}
		if !sleep(ctx, l.pace.quiet, nil) {
			return
		}
	}
}

// tallies counts what nodes hold. A count looks at each record once, so it is made
// anew only when the streams have moved, and not more often than every few seconds.
type tallies struct {
	store interface {
		EachShare(ctx context.Context, node string, fn func(*store.Share) bool) error
		EachHeld(ctx context.Context, node string, fn func(store.Held) bool) error
		Applied(ctx context.Context, node string) ([store.Lanes]int64, error)
	}
	mu sync.Mutex
	by map[string]*tallyOf
}

type tallyOf struct {
	at                   time.Time
	took                 time.Duration
	out                  store.Outgoing
	applied              [store.Lanes]int64
	sent, held, refusals int
}

// stale is how old a count may be; one that took long may be older.
const stale = 3 * time.Second

func (t *tallies) of(ctx context.Context, node string, out store.Outgoing) (tallyOf, error) {
	if t.store == nil {
		return tallyOf{}, nil
	}
	applied, err := t.store.Applied(ctx, node)
	if err != nil {
		return tallyOf{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.by[node]; c != nil {
		if age := time.Since(c.at); age < max(stale, 20*c.took) || age < time.Minute && c.out == out && c.applied == applied {
			return *c, nil
		}
	}
	c := &tallyOf{at: time.Now(), out: out, applied: applied}
	err = t.store.EachShare(ctx, node, func(s *store.Share) bool {
		if s.Held != 0 {
			c.sent++
		}
		if s.Refused != "" {
			c.refusals++
		}
		return true
	})
	if err == nil {
		err = t.store.EachHeld(ctx, node, func(h store.Held) bool {
			if !h.Purged {
				c.held++
			}
			return true
		})
	}
	c.took = time.Since(c.at)
	if err == nil {
		if t.by == nil {
			t.by = map[string]*tallyOf{}
		}
		t.by[node] = c
	}
	return *c, err
}
