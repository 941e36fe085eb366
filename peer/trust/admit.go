package trust

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"konbit/record"
	"konbit/store"
)

const (
	maxPending = 100  // nodes that wait for approval
	maxOffers  = 20   // cards with a new key that wait for approval
	maxNodes   = 2000 // that are known, revoked ones too
)

// AddCard takes a card from a file. A node that is not known yet becomes pending. Of
// one that is known it is TakeCard; but when the card has a key that we have no
// ground to trust, it is kept aside, and Approve with that key's fingerprint takes
// it: for a node whose keys were stolen or lost.
func (s *Service) AddCard(ctx context.Context, actor string, card []byte) (*store.Node, error) {
	const op = "peer.card"
	c, err := ParseCard(bytes.TrimSpace(card))
	if err != nil {
		return nil, err
	}
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return nil, err
	}
	n := s.now.Load().named[c.Node]
	switch {
	case n == nil || n.State == store.NodePending:
		if err := s.pend(ctx, op, actor, c, ""); err != nil {
			return nil, err
		}
	case n.State == store.NodeRevoked:
		return nil, revoked(op, n)
	default:
		err := s.trusted(op, n, c)
		if err != nil || c.Serial <= n.Serial && !c.Sign.Equal(n.Sign) {
			return nil, s.offer(ctx, op, n, c, err)
		}
		if err := s.takeCard(ctx, actor, n, c); err != nil {
			return nil, err
		}
	}
	return s.node(op, c.Node)
}

func revoked(op string, n *store.Node) error {
	e := record.Errorf(record.Denied, op, "the node %s was revoked, and that is for good", n.Title)
	e.Hint = "it can come back as a new node, with a new data folder"
	return e
}

// offer keeps a card aside until a person has compared the fingerprint.
func (s *Service) offer(ctx context.Context, op string, n *store.Node, c *SignedCard, why error) error {
	if c.Ledger != n.Ledger {
		return otherLedger(op, n)
	}
	return s.aside(ctx, op, n, c, why, fmt.Sprintf("this card of %s has a key that nothing vouches for; it is kept aside", n.Title))
}

// seized refuses a card by which a node takes an agency that people here know and
// name already, and that it did not serve: what is released to that agency would go
// to it. That takes a person.
func (s *Service) seized(ctx context.Context, op string, n *store.Node, c *SignedCard) error {
	v := s.now.Load()
	for _, a := range c.Agencies {
		if old, known := v.agencies[a.ID]; known && !old.Local && old.Node != n.Name {
			return s.aside(ctx, op, n, c, nil, fmt.Sprintf("%s says that it serves %s now, which is known here and not as one of its agencies; its card is kept aside", n.Title, a.ID))
		}
	}
	return nil
}

func (s *Service) aside(ctx context.Context, op string, n *store.Node, c *SignedCard, why error, text string) error {
	if s.memory.Offers[n.Name] == nil && len(s.memory.Offers) >= maxOffers {
		return record.Errorf(record.TooMany, op, "%d cards wait for approval already", maxOffers)
	}
	if s.memory.Offers == nil {
		s.memory.Offers = map[string][]byte{}
	}
	s.memory.Offers[n.Name] = c.Bytes
	if err := s.keep(ctx); err != nil {
		return err
	}
	return &record.Error{Code: record.Conflict, Op: op, Err: why, Message: text,
		Hint: "ask its administrator over the telephone, and for the fingerprint; approve the node with it if it is " + Spoken(c.Sign)}
}

func otherLedger(op string, n *store.Node) error {
	return record.Errorf(record.Denied, op, "the card names another ledger key than %s has, and that key never changes", n.Title)
}

// admissible says why a card cannot be taken: it is our own, its short name is
// another's, or it claims an agency that somebody else serves.
func (v *view) admissible(op string, c *SignedCard) error {
	if c.Node == v.self.Name || Short(c.Node) == Short(v.self.Name) {
		return record.Errorf(record.Conflict, op, "%s is the name of this node", c.Node)
	}
	n := v.named[c.Node]
	if other := v.named[Short(c.Node)]; other != nil && n == nil {
		return record.Errorf(record.Conflict, op, "%s has the short name of %s", c.Node, other.Name)
	}
	if n != nil && n.Ledger != c.Ledger {
		return otherLedger(op, n)
	}
	for _, a := range c.Agencies {
		if err := v.claimable(op, c.Node, a.ID); err != nil {
			return err
		}
	}
	return nil
}

// claimable says why a node cannot speak for an agency: this one does, or another
// that was not revoked.
func (v *view) claimable(op, node, agency string) error {
	a, known := v.agencies[agency]
	if known && a.Local {
		return record.Errorf(record.Conflict, op, "%s says that it serves %s, which this node serves", node, agency)
	}
	if n := v.named[a.Node]; known && n != nil && n.Name != node && (n.State == store.NodeActive || n.State == store.NodeRefused) {
		return record.Errorf(record.Conflict, op, "%s says that it serves %s, which %s serves", node, agency, n.Name)
	}
	return nil
}

// pend writes a node that an administrator has to approve.
func (s *Service) pend(ctx context.Context, op, actor string, c *SignedCard, region string) error {
	v := s.now.Load()
	if err := v.admissible(op, c); err != nil {
		return err
	}
	n := store.Node{State: store.NodePending, Since: s.time(), Region: region}
	if old := v.named[c.Node]; old != nil {
		if old.Serial > c.Serial && old.Sign.Equal(c.Sign) || bytes.Equal(old.Card, c.Bytes) && old.Region == region {
			return nil
		}
		n.Since = old.Since
	} else if waiting, all := v.count(store.NodePending), len(v.nodes); waiting >= maxPending || all >= maxNodes {
		return record.Errorf(record.TooMany, op, "%d nodes wait for approval, and %d are known; refuse some first", waiting, all)
	}
	s.fill(&n, c)
	e := Entry{What: "node asked to join", Node: n.Name, Title: n.Title, Fingerprint: Spoken(n.Sign), Region: region, Serial: n.Serial}
	return s.commit(ctx, actor, e, store.PutNode{Node: n})
}

func (v *view) count(st store.NodeState) (n int) {
	for _, x := range v.nodes {
		if x.State == st {
			n++
		}
	}
	return n
}

// time is now, as it is stored.
func (s *Service) time() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// fill writes into a node what its card says, and how to reach it.
func (s *Service) fill(n *store.Node, c *SignedCard) {
	kept := s.replaced(n, c)
	fill(n, c)
	n.OldSign = kept
	s.route(n)
}

// route says how to reach a node: as an administrator said; else at the addresses
// of its card and of the invitation, and through its region's hub when there are none.
func (s *Service) route(n *store.Node) {
	r := s.memory.Routes[n.Name]
	if r.Fixed {
		n.URLs, n.Via = r.URLs, r.Via
		return
	}
	n.Via = ""
	for _, u := range r.URLs {
		if !slices.Contains(n.URLs, u) {
			n.URLs = append(slices.Clip(n.URLs), u)
		}
	}
	if d := s.memory.dir; len(n.URLs) == 0 && d != nil && n.Region == d.Region && d.Hub != n.Name && d.Hub != s.Self().Name {
		n.Via = d.Hub
	}
}

// replaced are the old keys of a node once the card is taken: what the card says of
// them, and what we remember of others. Of two ends the earlier one counts, so that
// no later card gives life back to a key that was stolen.
func (s *Service) replaced(n *store.Node, c *SignedCard) []OldKey {
	out := mergeOld(c.Sign, c.OldSign, n.OldSign)
	if len(n.Sign) > 0 && !n.Sign.Equal(c.Sign) {
		out = mergeOld(c.Sign, out, []OldKey{{Key: n.Sign, Until: s.time().Add(Overlap)}})
		if !slices.ContainsFunc(c.OldSign, func(o OldKey) bool { return o.Key.Equal(n.Sign) }) {
			out = mergeOld(c.Sign, out, []OldKey{{Key: n.Sign, Until: s.time()}})
		}
	}
	if len(out) > MaxOldKeys {
		out = out[:MaxOldKeys]
	}
	return out
}

// mergeOld joins lists of retired keys, newest first, the key in force left out.
func mergeOld(force ed25519.PublicKey, lists ...[]OldKey) []OldKey {
	var out []OldKey
	for _, o := range slices.Concat(lists...) {
		if o.Key.Equal(force) {
			continue
		}
		i := slices.IndexFunc(out, func(x OldKey) bool { return x.Key.Equal(o.Key) })
		if i < 0 {
			out = append(out, o)
		} else if o.Until.Before(out[i].Until) {
			out[i].Until = o.Until
		}
	}
	slices.SortStableFunc(out, func(a, b OldKey) int { return b.Until.Compare(a.Until) })
	return out
}

// agency is the row of an agency that another node serves.
func (s *Service) agency(v *view, node string, a Agency, in Membership) store.Agency {
	old := v.agencies[a.ID]
	n := store.Agency{ID: a.ID, Name: a.Name, Country: a.Country, Contact: a.Contact, Node: node, PublicKey: a.Key, Created: old.Created}
	if old.ID == "" {
		n.Created = s.time()
	}
	keys := [][]OldKey{a.OldKeys, old.OldKeys}
	if len(old.PublicKey) > 0 && !old.PublicKey.Equal(a.Key) && !slices.ContainsFunc(a.OldKeys, func(o OldKey) bool { return o.Key.Equal(old.PublicKey) }) {
		keys = append(keys, []OldKey{{Key: old.PublicKey, Until: s.time()}})
	}
	n.OldKeys = mergeOld(a.Key, keys...)
	in.put(&n)
	return n
}

// put writes memberships into an agency.
func (m Membership) put(a *store.Agency) {
	a.Communities, a.Joined = []string{}, nil
	for name, since := range m {
		a.Communities = append(a.Communities, name)
		if !since.IsZero() {
			if a.Joined == nil {
				a.Joined = map[string]time.Time{}
			}
			a.Joined[name] = since.UTC()
		}
	}
	slices.Sort(a.Communities)
}

// membership is the reverse of put.
func membership(a *store.Agency) Membership {
	m := Membership{}
	for _, c := range a.Communities {
		m[c] = a.Joined[c]
	}
	return m
}

// changedAgency returns what writes the agency, nothing when it is so already.
func changedAgency(v *view, a store.Agency) []store.Op {
	old, ok := v.agencies[a.ID]
	if x, y := plain(old), plain(a); ok && x == y {
		return nil
	}
	return []store.Op{store.PutAgency{Agency: a}}
}

func changedNode(v *view, n store.Node) []store.Op {
	if old := v.named[n.Name]; old != nil && plain(*old) == plain(n) {
		return nil
	}
	return []store.Op{store.PutNode{Node: n}}
}

// plain writes rows in one way, so that nil and empty are the same.
func plain[T store.Agency | store.Node](x T) string {
	b, err := json.Marshal(x)
	if err != nil {
		return ""
	}
	b = bytes.ReplaceAll(b, []byte(":[]"), []byte(":null"))
	return string(b)
}

// agencies writes the agencies of a node: those of its card, and those that it
// serves no longer, which from then on nobody speaks for. in says in which
// communities one is; nil: where it was.
func (s *Service) agencies(v *view, c *SignedCard, in func(id string) Membership) (ops []store.Op) {
	for _, a := range c.Agencies {
		var m Membership
		if in != nil {
			m = in(a.ID)
		} else if old, ok := v.agencies[a.ID]; ok && (old.Node == c.Node || old.Node == "") {
			m = membership(&old)
		}
		ops = append(ops, changedAgency(v, s.agency(v, c.Node, a, m))...)
	}
	for id, a := range v.agencies {
		if a.Node == c.Node && !slices.ContainsFunc(c.Agencies, func(x Agency) bool { return x.ID == id }) {
			a.Node, a.Communities, a.Joined = "", []string{}, nil
			ops = append(ops, changedAgency(v, a)...)
		}
	}
	return ops
}

// Approve makes a node active whose fingerprint the administrator has compared by
// telephone. communities says in which communities each of its agencies is, since
// says since when (zero: without a bound; a new member gets nothing older). A node
// that asked to join our region comes into its directory. Of a node that is active
// already it changes the communities, or takes a card that was kept aside.
func (s *Service) Approve(ctx context.Context, actor, node string, fingerprint string, communities map[string][]string, since time.Time) error {
	const op = "peer.approve"
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	n, err := s.node(op, node)
	if err != nil {
		return err
	}
	switch {
	case n.State == store.NodeRevoked:
		return revoked(op, n)
	case n.State == store.NodeRefused:
		return record.Errorf(record.Stale, op, "the node %s was refused: %s; ask what happened, then resume it", n.Title, n.Why)
	case n.Region != "" && !s.founder():
		return record.Errorf(record.Denied, op, "the node %s is in the region %s, whose founder approves", n.Title, n.Region)
	}
	c, err := s.compared(op, n, fingerprint)
	if err != nil {
		return err
	}
	in, err := memberships(op, c, communities, since)
	if err != nil {
		return err
	}
	v := s.now.Load()
	if err := v.admissible(op, c); err != nil {
		return err
	}
	if n.Region != "" {
		return s.member(ctx, actor, n, c, in)
	}
	now := *n
	s.fill(&now, c)
	if now.State != store.NodeActive {
		now.State, now.Since, now.Why = store.NodeActive, s.time(), ""
	}
	ops := changedNode(v, now)
	ops = append(ops, s.agencies(v, c, func(id string) Membership {
		if old, ok := v.agencies[id]; ok && in[id] == nil {
			return membership(&old)
		}
		return in[id]
	})...)
	e := Entry{What: "node approved", Node: n.Name, Title: n.Title, Fingerprint: Spoken(c.Sign), Communities: in, Serial: c.Serial}
	if err := s.commit(ctx, actor, e, ops...); err != nil {
		return err
	}
	return s.forget(ctx, n.Name)
}

// compared returns the card whose key has the fingerprint: the node's, or one that
// was kept aside.
func (s *Service) compared(op string, n *store.Node, fingerprint string) (*SignedCard, error) {
	var newest *SignedCard
	for _, b := range [][]byte{n.Card, s.memory.Offers[n.Name]} {
		if b == nil {
			continue
		}
		c, err := ParseCard(b)
		if err != nil {
			return nil, err
		}
		if SameSpoken(c.Sign, fingerprint) && (newest == nil || c.Serial > newest.Serial) {
			newest = c
		}
	}
	if newest != nil {
		return newest, nil
	}
	e := record.Errorf(record.Denied, op, "the fingerprint is not that of %s: its card may have been changed on the way", n.Title)
	e.Hint = "have it read out again, by somebody whose voice you know; if it differs still, refuse the node and tell him"
	return nil, e
}

// forget drops a card that was kept aside.
func (s *Service) forget(ctx context.Context, node string) error {
	if s.memory.Offers[node] == nil {
		return nil
	}
	delete(s.memory.Offers, node)
	return s.keep(ctx)
}

// memberships checks what an administrator said about communities.
func memberships(op string, c *SignedCard, communities map[string][]string, since time.Time) (map[string]Membership, error) {
	out := map[string]Membership{}
	var f record.Fields
	for agency, names := range communities {
		if !slices.ContainsFunc(c.Agencies, func(a Agency) bool { return a.ID == agency }) {
			f.Add("communities", "unknown", fmt.Sprintf("%.80q is no agency of %s", agency, c.Node))
			continue
		}
		out[agency] = Membership{}
		for _, name := range names {
			out[agency][name] = since.UTC()
		}
		out[agency].check(&f, agency)
	}
	return out, f.Err(op)
}

func (m Membership) check(f *record.Fields, agency string) {
	if len(m) > maxIn {
		f.Add("communities."+agency, "max", fmt.Sprintf("at most %d communities", maxIn))
	}
	for name := range m {
		if !record.CommunityID(name) {
			f.Add("communities."+agency, "invalid", fmt.Sprintf("%.80q must be @ and a name in lower case: @hispaniola", name))
		}
	}
}
