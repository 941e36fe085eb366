package peer

import (
	"context"
	"sync"
	"time"
)

// gate keeps the node from serving while something urgent, a recall first of all,
// waits for it at a neighbour that it was long away from.
type gate struct {
	mu    sync.Mutex
	holds map[string]*time.Timer // why it is shut: "start", or nodes
	open  chan struct{}          // closed while nothing holds
}

// starting holds the gate from the beginning until CatchUp ends.
const starting = "start"

func newGate() *gate {
	return &gate{holds: map[string]*time.Timer{starting: nil}, open: make(chan struct{})}
}

// hold shuts the gate until free is called with the same reason, or limit has passed.
func (g *gate) hold(why string, limit time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, ok := g.holds[why]; ok {
		if old == nil {
			return
		}
		old.Stop()
	}
	if len(g.holds) == 0 {
		g.open = make(chan struct{})
	}
	var t *time.Timer
	t = time.AfterFunc(limit, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.holds[why] == t {
			g.drop(why)
		}
	})
	g.holds[why] = t
}

// free takes a reason away; the last one opens the gate.
func (g *gate) free(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t, ok := g.holds[why]; ok {
		if t != nil {
			t.Stop()
		}
		g.drop(why)
	}
}

func (g *gate) drop(why string) {
	delete(g.holds, why)
	if len(g.holds) == 0 {
		close(g.open)
	}
}

// holding returns a channel that is closed while the gate is open. It is another
// one each time the gate was shut.
func (g *gate) holding() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// close ends the timers.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for why, t := range g.holds {
		if t != nil {
			t.Stop()
			g.drop(why)
		}
	}
}

// Holding is closed when nothing urgent waits to be applied after a long
// absence; until then nothing may be served. Ask for it anew each time: a link
// that comes back later shuts the gate again, for 30 seconds at most.
func (x *Exchange) Holding() <-chan struct{} { return x.links.gate.holding() }

// CatchUp contacts the nodes that we dial and applies what is urgent, recalls
// first, before anything is served. It returns when each of them has said that
// nothing urgent is left, or could not be reached, or when ctx ends. Run must be
// going at the same time: CatchUp waits for it.
func (x *Exchange) CatchUp(ctx context.Context) { x.links.catchUp(ctx) }

func (l *links) catchUp(ctx context.Context) {
	defer l.gate.free(starting)
	for {
		moved := l.moved.wait()
		if l.caughtUp() {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// caughtUp reports whether every node that we dial was heard out or was found out of reach.
func (l *links) caughtUp() bool {
	if !l.running() {
		return false
	}
	for _, n := range l.trust.Active() {
		if len(n.URLs) == 0 || n.Name == l.self {
			continue
		}
		ln := l.line(n.Name)
		ln.mu.Lock()
		ok := ln.drained || ln.conn == nil && ln.failed > 0 || ln.byHand
		ln.mu.Unlock()
		if !ok {
			return false
		}
	}
	return true
}

// arriving shuts the gate when a neighbour comes back after a long absence. What
// it has for us that is urgent is applied first. One absence shuts it once, so
// that a neighbour that never says that it is done cannot keep it shut. Called
// with ln.mu held.
func (l *links) arriving(ln *line, now time.Time) {
	ln.drained = false
	if ln.contact.IsZero() || now.Sub(ln.contact) > l.pace.absence {
		if !ln.heldTo.IsZero() { // the gate has opened without its word
			ln.overdue++
		}
		ln.heldTo = time.Now().Add(l.pace.hold >> min(ln.overdue, 8)) // who always lets us wait is waited for less each time
	}
	if left := time.Until(ln.heldTo); left > 0 {
		l.gate.hold(ln.name, left)
	}
}

// heardOut notes that a neighbour has nothing urgent left for us.
func (l *links) heardOut(ln *line) {
	ln.mu.Lock()
	ln.drained, ln.heldTo, ln.overdue = true, time.Time{}, 0
	ln.mu.Unlock()
	l.gate.free(ln.name)
	l.moved.now()
}

// signal wakes everybody who waits for it.
type signal struct {
	mu sync.Mutex
	c  chan struct{}
}

// wait returns a channel that is closed at the next now.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) now() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
