package trust

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"konbit/record"
	"konbit/store"
)

// Revoke ends the exchange with a node for good: from now on nothing is sealed to
// it, and nothing that it signs counts. At a founder it leaves the region, too. A
// node that was pending is turned away and forgotten, with its invitation.
func (s *Service) Revoke(ctx context.Context, actor, node, why string) error {
	const op = "peer.revoke"
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	n, err := s.node(op, node)
	if err != nil {
		return err
	}
	if n.State == store.NodeRevoked {
		return nil
	}
	why = tidy(why, 500)
	if n.State == store.NodePending {
		return s.turnAway(ctx, actor, n, why)
	}
	e := Entry{What: "node revoked", Node: n.Name, Title: n.Title, Why: why}
	if d := s.memory.dir; s.founder() {
		if i := d.find(n.Name); i >= 0 && d.Members[i].Revoked == nil {
			next, now := d.edit(), s.time()
			next.Members[i].Revoked, next.Members[i].Why, next.Members[i].Communities = &now, why, nil
			if err := s.sign(ctx, actor, e, next); err != nil {
				return err
			}
		}
	}
	if n, err = s.node(op, node); err != nil || n.State == store.NodeRevoked {
		return err
	}
	return s.commit(ctx, actor, e, s.revoke(s.now.Load(), n, why)...)
}

func (s *Service) turnAway(ctx context.Context, actor string, n *store.Node, why string) error {
	s.memory.Invitations = slices.DeleteFunc(s.memory.Invitations, func(i invitation) bool { return i.Node == n.Name })
	if err := s.keep(ctx); err != nil {
		return err
	}
	e := Entry{What: "node turned away", Node: n.Name, Title: n.Title, Why: why, Fingerprint: Spoken(n.Sign)}
	return s.commit(ctx, actor, e, store.DropNode{Name: n.Name})
}

// revoke ends a node. Its agencies stay known, so that what they signed can be
// verified, and are in no community any longer.
func (s *Service) revoke(v *view, n *store.Node, why string) []store.Op {
	now := *n
	now.State, now.Since, now.Why = store.NodeRevoked, s.time(), why
	ops := []store.Op{store.PutNode{Node: now}}
	for _, a := range v.agencies {
		if a.Node == n.Name {
			a.Communities, a.Joined = []string{}, nil
			ops = append(ops, changedAgency(v, a)...)
		}
	}
	return ops
}

// Refuse stops the exchange with a node until an administrator resumes it: its
// ledger was rolled back or forked, or two nodes run with its keys.
func (s *Service) Refuse(ctx context.Context, node, why string) error {
	return s.turn(ctx, "peer.refuse", nobody, node, "node refused", store.NodeActive, store.NodeRefused, why)
}

// Resume takes up the exchange with a node that was refused.
func (s *Service) Resume(ctx context.Context, actor, node string) error {
	return s.turn(ctx, "peer.resume", actor, node, "node resumed", store.NodeRefused, store.NodeActive, "")
}

func (s *Service) turn(ctx context.Context, op, actor, node, what string, from, to store.NodeState, why string) error {
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	n, err := s.node(op, node)
	if err != nil || n.State == to {
		return err
	}
	if n.State != from {
		return record.Errorf(record.Stale, op, "the node %s is %s, not %s", n.Title, n.State, from)
	}
	now := *n
	now.State, now.Since, now.Why = to, s.time(), tidy(why, 500)
	return s.commit(ctx, actor, Entry{What: what, Node: n.Name, Title: n.Title, Why: now.Why}, store.PutNode{Node: now})
}

// SetCaps bounds what is sent to a node by the hour of the day; none: no bound.
func (s *Service) SetCaps(ctx context.Context, actor, node string, caps []store.Cap) error {
	const op = "peer.caps"
	var f record.Fields
	if len(caps) > 24 {
		f.Add("caps", "max", "at most 24 spans of hours")
	}
	for i, c := range caps {
		if c.From < 0 || c.From > 23 || c.To < 1 || c.To > 24 || c.From == c.To || c.Kbit < 0 || c.Kbit > 100_000_000 {
			f.Add(record.Index("caps", i), "invalid", "must be from an hour (0 to 23) to an hour (1 to 24), and kbit/s of 0 or more")
		}
	}
	if err := f.Err(op); err != nil {
		return err
	}
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	n, err := s.node(op, node)
	if err != nil || slices.Equal(n.Caps, caps) {
		return err
	}
	now := *n
	now.Caps = slices.Clone(caps)
	return s.commit(ctx, actor, Entry{What: "node caps changed", Node: n.Name, Title: n.Title, Caps: caps}, store.PutNode{Node: now})
}

// SetLink says how a node is reached, whatever its card says: at these addresses,
// or carried by the node via. With neither it goes back to what its card and its
// region say.
func (s *Service) SetLink(ctx context.Context, actor, node string, urls []string, via string) error {
	const op = "peer.link"
	var f record.Fields
	if len(urls) > maxURLs {
		f.Add("urls", "max", fmt.Sprintf("at most %d addresses", maxURLs))
	}
	r := route{Fixed: len(urls) > 0 || via != ""}
	for i, u := range urls {
		if why := checkURL(u); why != "" {
			f.Add(record.Index("urls", i), "invalid", why)
		}
		r.URLs = append(r.URLs, strings.TrimRight(u, "/"))
	}
	if err := f.Err(op); err != nil {
		return err
	}
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	n, err := s.node(op, node)
	if err != nil {
		return err
	}
	if via != "" {
		hub, err := s.node(op, via)
		if err != nil {
			return err
		}
		if hub.Name == n.Name {
			return record.Errorf(record.Invalid, op, "a node cannot carry for itself")
		}
		r.Via = hub.Name
	}
	if s.memory.Routes == nil {
		s.memory.Routes = map[string]route{}
	}
	if s.memory.Routes[n.Name] = r; !r.Fixed {
		delete(s.memory.Routes, n.Name)
	}
	if err := s.keep(ctx); err != nil {
		return err
	}
	c, err := ParseCard(n.Card)
	if err != nil {
		return err
	}
	now := *n
	now.URLs = slices.Clone(c.URLs)
	s.route(&now)
	return s.commit(ctx, actor, Entry{What: "node link changed", Node: n.Name, Title: n.Title, URLs: now.URLs, Via: now.Via}, store.PutNode{Node: now})
}
