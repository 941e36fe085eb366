package nodetest

import (
	"fmt"
	"time"

	"konbit/store"
)

// Await waits until why returns "", for as long as Patience, and returns its last word.
func (r *Region) Await(why func() string) string {
	look := time.NewTicker(15 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(Patience); ; <-look.C {
		if w := why(); w == "" || time.Now().After(end) {
			return w
		}
	}
}

func (r *Region) until(what string, why func() string) {
	r.t.Helper()
	if w := r.Await(why); w != "" {
		r.t.Fatalf("waited in vain until %s: %s", what, w)
	}
}

// Until waits for a condition.
func (r *Region) Until(what string, ok func() bool) {
	r.t.Helper()
	r.until(what, func() string {
		if ok() {
			return ""
		}
		return "it is not so"
	})
}

// Settle waits until nothing waits between nodes that can reach each other.
func (r *Region) Settle() {
	r.t.Helper()
	r.until("all is settled", r.Unsettled)
}

// Unsettled says what still waits between nodes that can reach each other; "": nothing.
func (r *Region) Unsettled() string {
	for _, a := range r.Nodes {
		if why := r.sameDirectory(a); why != "" {
			return why
		}
		for _, b := range r.Nodes {
			if a == b || !r.Reachable(a, b) {
				continue
			}
			ok, err := a.Exchange().Settled(r.t.Context(), b.Keys.Origin)
			if err != nil {
				return err.Error()
			}
			if !ok {
				return r.waiting(a, b)
			}
		}
	}
	return ""
}

// waiting says how the streams from one node to another stand, and the links.
func (r *Region) waiting(a, b *Node) string {
	out, err := a.Store.Outgoing(r.t.Context(), b.Keys.Origin)
	if err != nil {
		return err.Error()
	}
	applied, err := b.Store.Applied(r.t.Context(), a.Keys.Origin)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s has more for %s: %+v; there %v are applied", a.Name, b.Name, out, applied) + r.links()
}

// links says how nodes see each other.
func (r *Region) links() (text string) {
	for _, n := range r.Nodes {
		if !n.Up() {
			continue
		}
		all, err := n.Exchange().Status(r.t.Context())
		if err != nil {
			return err.Error()
		}
		for _, s := range all {
			text += fmt.Sprintf("; %s sees %s %s since %s %s%s", n.Name, s.Title, s.State, s.Since.Format(time.TimeOnly), s.Error, s.Via)
		}
	}
	return text
}

// sameDirectory says why a node has another directory than the founder, whom it can reach.
func (r *Region) sameDirectory(n *Node) string {
	hub := r.Nodes[0]
	if n == hub || n.cloned || !r.joined(n, hub) || !active(hub, n) {
		return ""
	}
	want, have := hub.Trust().Directory(), n.Trust().Directory()
	switch {
	case want == nil || n.Trust().Node(hub.Keys.Origin) == nil || n.Trust().Node(hub.Keys.Origin).State != store.NodeActive:
		return ""
	case have == nil:
		return n.Name + " has no directory"
	case have.Serial != want.Serial:
		return fmt.Sprintf("%s has the directory %d, the founder %d", n.Name, have.Serial, want.Serial) + r.links()
	}
	return ""
}

// joined reports whether a link between two nodes can be up: both run, and one can
// dial the other.
func (r *Region) joined(a, b *Node) bool {
	return a.Up() && b.Up() && (a.listens || b.listens) && !r.isCut(a, b)
}

// Reachable reports whether two nodes exchange, and can: over a link of their own
// or over the first node.
func (r *Region) Reachable(a, b *Node) bool {
	if !a.Up() || !b.Up() || !active(a, b) || !active(b, a) {
		return false
	}
	hub := r.Nodes[0]
	return r.joined(a, b) || a != hub && b != hub && active(a, hub) && active(b, hub) && active(hub, a) && active(hub, b) && r.joined(a, hub) && r.joined(hub, b)
}

func active(a, b *Node) bool {
	n := a.Trust().Node(b.Keys.Origin)
	return n != nil && n.State == store.NodeActive
}
