package trust

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"time"

	"konbit/record"
	"konbit/store"
)

// Found makes this node the founder of a region, and its hub. Its own agencies are
// in the communities in which they are now. What the region is called is public.
func (s *Service) Found(ctx context.Context, actor, name string) error {
	const op = "region.found"
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	if !RegionName(name) {
		return record.Errorf(record.Invalid, op, "%.80q must be a name in lower case letters, digits and hyphens: hispaniola", name)
	}
	if r := s.memory.Region; r != nil {
		return record.Errorf(record.Conflict, op, "this node is in the region %s", r.Name)
	}
	if err := s.refresh(ctx); err != nil {
		return err
	}
	key, err := s.cfg.Keys.MakeRegion(name)
	if err != nil {
		return err
	}
	c, err := ParseCard(s.Self().Card)
	if err != nil {
		return err
	}
	v, in := s.now.Load(), map[string]Membership{}
	for _, a := range c.Agencies {
		old := v.agencies[a.ID]
		in[a.ID] = membership(&old)
	}
	s.memory.Region = &region{Name: name, Key: key}
	d := Directory{Region: name, Key: key, Hub: c.Node, Members: []Member{{Card: c.Bytes, Communities: in}}}
	if err := s.sign(ctx, actor, Entry{What: "region founded"}, d); err != nil {
		s.memory.Region = nil
		return err
	}
	return nil
}

// founder reports whether this node signs its region's directory.
func (s *Service) founder() bool {
	r := s.memory.Region
	if r == nil || s.memory.dir == nil {
		return false
	}
	k := s.cfg.Keys.Region(r.Name)
	return k != nil && r.Key.Equal(k.Public().(ed25519.PublicKey))
}

// Founder reports whether this node founded its region and signs the directory.
func (s *Service) Founder() bool {
	s.change.Lock()
	defer s.change.Unlock()
	return s.founder()
}

// Directory returns our region's directory, nil when there is none.
func (s *Service) Directory() *Directory {
	if d := s.now.Load().dir; d != nil {
		return &d.Directory
	}
	return nil
}

// DirectoryBytes returns it as it was signed.
func (s *Service) DirectoryBytes() []byte {
	if d := s.now.Load().dir; d != nil {
		return d.Bytes
	}
	return nil
}

// LeftOut says what of the newest directory was not done, and why: it says, for
// one, that another node serves an agency of ours.
func (s *Service) LeftOut() []string {
	if p := s.left.Load(); p != nil {
		return *p
	}
	return nil
}

// edit returns a copy of the directory that may be changed.
func (d *SignedDirectory) edit() Directory {
	c := d.Directory
	c.Members = slices.Clone(d.Members)
	for i := range c.Members {
		c.Members[i].Communities = maps.Clone(c.Members[i].Communities)
	}
	return c
}

// find returns the place of a node among the members, -1 when it is none.
func (d *SignedDirectory) find(node string) int {
	return slices.IndexFunc(d.Cards, func(c *SignedCard) bool { return c.Node == node })
}

// sign signs the next directory of our region, and applies it.
func (s *Service) sign(ctx context.Context, actor string, e Entry, d Directory) error {
	if s.memory.dir != nil {
		d.Serial = s.memory.dir.Serial
	}
	d.Serial, d.At = d.Serial+1, s.cfg.Now().UTC().Truncate(time.Second)
	b, err := SignDirectory(&d, s.cfg.Keys.Region(d.Region))
	if err != nil {
		return err
	}
	signed, err := ParseDirectory(b)
	if err != nil {
		return err
	}
	if err := s.keep(ctx); err != nil {
		return err
	}
	return s.apply(ctx, actor, e, signed)
}

// member puts a node into the directory, or changes its communities there.
func (s *Service) member(ctx context.Context, actor string, n *store.Node, c *SignedCard, in map[string]Membership) error {
	old := s.memory.dir
	d, m := old.edit(), Member{Card: c.Bytes, Communities: in}
	if i := old.find(n.Name); i >= 0 {
		for agency, was := range d.Members[i].Communities {
			if in[agency] == nil && serves(c, agency) {
				in[agency] = was
			}
		}
		d.Members[i] = m
	} else {
		d.Members = append(d.Members, m)
	}
	e := Entry{What: "node approved", Node: n.Name, Title: n.Title, Fingerprint: Spoken(c.Sign), Communities: in}
	if err := s.sign(ctx, actor, e, d); err != nil {
		return err
	}
	return s.forget(ctx, n.Name)
}

func serves(c *SignedCard, agency string) bool {
	return slices.ContainsFunc(c.Agencies, func(a Agency) bool { return a.ID == agency })
}

// recard puts a member's newer card into the directory that we sign. It signs
// nothing when the directory has it, or the node is no member.
func (s *Service) recard(ctx context.Context, c *SignedCard) error {
	old := s.memory.dir
	i := old.find(c.Node)
	if i < 0 || old.Members[i].Revoked != nil || old.Cards[i].Serial >= c.Serial {
		return nil
	}
	d := old.edit()
	d.Members[i].Card = c.Bytes
	maps.DeleteFunc(d.Members[i].Communities, func(agency string, _ Membership) bool { return !serves(c, agency) })
	return s.sign(ctx, nobody, Entry{What: "card of a member changed", Node: c.Node, Title: c.Title}, d)
}

// TakeDirectory applies a directory that came over a link, or on a stick. One that
// is no newer than ours changes nothing; one of another region, or signed with
// another key, is refused.
func (s *Service) TakeDirectory(ctx context.Context, b []byte) error {
	const op = "directory"
	if bytes.Equal(b, s.DirectoryBytes()) {
		return nil
	}
	d, err := ParseDirectory(b)
	if err != nil {
		return err
	}
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	r := s.memory.Region
	switch {
	case r == nil:
		return record.Errorf(record.Denied, op, "this node is in no region, so it believes no directory")
	case d.Region != r.Name || !d.Key.Equal(r.Key):
		return record.Errorf(record.Denied, op, "the directory of %s is not signed with the founding key of our region, %s", d.Region, r.Name)
	case s.memory.dir != nil && d.Serial < s.memory.dir.Serial:
		return nil
	case s.memory.dir != nil && d.Serial == s.memory.dir.Serial && !bytes.Equal(d.Bytes, s.memory.dir.Bytes):
		return record.Errorf(record.Conflict, op, "there are two directories of %s with the number %d; its founder has to sign a newer one", d.Region, d.Serial)
	}
	return s.apply(ctx, nobody, Entry{What: "directory taken"}, d)
}

// reapply finishes what was cut off between a directory and its end.
func (s *Service) reapply(ctx context.Context) error {
	next := s.memory.next
	if next == nil || s.memory.dir != nil && s.memory.dir.Serial >= next.Serial {
		return nil
	}
	return s.apply(ctx, nobody, Entry{What: "directory applied again"}, next)
}

// apply makes nodes, agencies and memberships what a directory says that we
// believe. It is kept beside the one before until that is done, so that what is cut
// off here is done at the next start, and is measured against the same one.
func (s *Service) apply(ctx context.Context, actor string, e Entry, d *SignedDirectory) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.cfg.Store.SetValue(ctx, nextValue, d.Bytes); err != nil {
		return err
	}
	old := s.memory.dir
	s.memory.dir = d // as the entry is committed it is shown
	ops, problems := s.follow(s.now.Load(), old, d)
	for _, p := range problems {
		s.cfg.Log.Error("trust: left out of the directory", "region", d.Region, "serial", d.Serial, "problem", p)
	}
	s.left.Store(&problems)
	e.Region, e.Serial, e.Problems = d.Region, d.Serial, problems
	if err := s.commit(ctx, actor, e, ops...); err != nil {
		s.memory.dir = old
		return err
	}
	return s.cfg.Store.SetValue(ctx, directoryValue, d.Bytes)
}

// follow returns what makes us follow directory d after directory old, which may
// be nil or the same.
func (s *Service) follow(v *view, old, d *SignedDirectory) (ops []store.Op, problems []string) {
	self := v.self.Name
	if i := d.find(self); i >= 0 && d.Members[i].Revoked != nil || i < 0 && old != nil && old.find(self) >= 0 {
		return s.out(v, old, d), nil
	}
	f := &follower{s: s, v: v.copy(), d: d, regional: regional(old, d)}
	for _, n := range v.nodes {
		if n.Region != d.Region || n.State == store.NodePending {
			continue
		}
		if i := d.find(n.Name); i < 0 {
			f.revoke(n, "it is no longer in the region "+d.Region)
		} else if m := d.Members[i]; m.Revoked != nil {
			f.revoke(n, m.Why)
		}
	}
	for i, m := range d.Members {
		switch c := d.Cards[i]; {
		case m.Revoked != nil:
		case c.Node == self:
			f.ourselves(m)
		default:
			f.take(c, m)
		}
	}
	return f.ops, f.problems
}

// A follower collects what a directory changes. v is what is so once ops are done.
type follower struct {
	s        *Service
	v        *view
	d        *SignedDirectory
	regional map[string]bool
	ops      []store.Op
	problems []string
}

func (v *view) copy() *view {
	c := *v
	c.named, c.agencies = maps.Clone(v.named), maps.Clone(v.agencies)
	return &c
}

// add adds changes, and makes v say them.
func (f *follower) add(ops []store.Op) {
	for _, op := range ops {
		switch op := op.(type) {
		case store.PutNode:
			f.v.named[op.Node.Name], f.v.named[Short(op.Node.Name)] = &op.Node, &op.Node
		case store.PutAgency:
			f.v.agencies[op.Agency.ID] = op.Agency
		}
	}
	f.ops = append(f.ops, ops...)
}

func (f *follower) revoke(n *store.Node, why string) {
	if n.State != store.NodeRevoked {
		f.add(f.s.revoke(f.v, n, why))
	}
}

// take makes a member a node that we exchange with.
func (f *follower) take(c *SignedCard, m Member) {
	known := f.v.named[c.Node]
	if known != nil && known.State == store.NodeRevoked {
		return // by our own administrator, who knows why
	}
	if known == nil && len(f.v.nodes) >= maxNodes {
		f.problems = append(f.problems, fmt.Sprintf("%s: %d nodes are known already", c.Node, maxNodes))
		return
	}
	var n store.Node
	if known != nil {
		n = *known
		// A newer card that came to us directly counts when it goes back to the key
		// that the directory vouches for; not one of a thief of the key before.
		if newer, err := ParseCard(n.Card); err == nil && n.Serial > c.Serial && newer.SignedBy(c.Sign) {
			c = newer
		}
	}
	if err := f.v.admissible("directory", c); err != nil {
		f.problems = append(f.problems, err.Error())
		return
	}
	n.Region = f.d.Region
	f.s.fill(&n, c)
	if n.State != store.NodeActive && n.State != store.NodeRefused {
		n.State, n.Since, n.Why = store.NodeActive, f.s.time(), ""
	}
	f.add(changedNode(f.v, n))
	f.add(f.s.agencies(f.v, c, func(id string) Membership { return f.communities(id, m) }))
}

// ourselves makes our own agencies follow.
func (f *follower) ourselves(m Member) {
	for id, a := range f.v.agencies {
		if a.Local {
			f.communities(id, m).put(&a)
			f.add(changedAgency(f.v, a))
		}
	}
}

// communities are those that the directory gives an agency, and those that are no
// matter of the region.
func (f *follower) communities(id string, m Member) Membership {
	out := Membership{}
	old := f.v.agencies[id]
	for name, since := range membership(&old) {
		if !f.regional[name] {
			out[name] = since
		}
	}
	maps.Copy(out, m.Communities[id])
	return out
}

// regional are the communities that a region has to do with: those that somebody
// is, or was, in by its directory.
func regional(ds ...*SignedDirectory) map[string]bool {
	out := map[string]bool{}
	for _, d := range ds {
		if d == nil {
			continue
		}
		for _, m := range d.Members {
			for _, in := range m.Communities {
				for name := range in {
					out[name] = true
				}
			}
		}
	}
	return out
}

// out ends the exchange with the region: its founder took this node out of it.
func (s *Service) out(v *view, old, d *SignedDirectory) []store.Op {
	f := &follower{s: s, v: v.copy(), d: d, regional: regional(old, d)}
	for _, n := range v.nodes {
		if n.Region == d.Region {
			f.revoke(n, "this node was taken out of the region "+d.Region)
		}
	}
	f.ourselves(Member{})
	return f.ops
}

// SetMembership says in which communities an agency is, each since when (zero:
// always), and in no other. In a region its founder says it for the agencies of
// members; of nodes that we alone know, each node says it for itself.
func (s *Service) SetMembership(ctx context.Context, actor, agency string, communities map[string]time.Time) error {
	const op = "peer.membership"
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	in := Membership{}
	for name, since := range communities {
		in[name] = since.UTC()
	}
	var f record.Fields
	if in.check(&f, agency); len(f) > 0 {
		return f.Err(op)
	}
	if err := s.refresh(ctx); err != nil { // accounts may have added an agency
		return err
	}
	v := s.now.Load()
	a, ok := v.agencies[agency]
	if !ok {
		return record.Errorf(record.NotFound, op, "no agency %.80q is known here", agency)
	}
	node := a.Node
	if a.Local {
		node = v.self.Name
	}
	e := Entry{What: "membership changed", Agency: agency, Communities: map[string]Membership{agency: in}}
	if d := s.memory.dir; d != nil {
		if i := d.find(node); i >= 0 && d.Members[i].Revoked == nil {
			if !s.founder() {
				return record.Errorf(record.Denied, op, "%s is in the region %s, whose founder says in which communities", agency, d.Region)
			}
			next := d.edit()
			if next.Members[i].Communities == nil {
				next.Members[i].Communities = map[string]Membership{}
			}
			next.Members[i].Communities[agency] = in
			if err := s.sign(ctx, actor, e, next); err != nil {
				return err
			}
			v = s.now.Load()
			a = v.agencies[agency]
		}
	}
	in.put(&a)
	if ops := changedAgency(v, a); len(ops) > 0 {
		return s.commit(ctx, actor, e, ops...)
	}
	return nil
}
