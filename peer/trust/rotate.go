package trust

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"time"

	"konbit/record"
	"konbit/store"
)

// Rotate makes a new key: "link", "seal", or an agency's. Others learn of it by our
// next card. The old link key counts for Overlap longer, an old agency key for what
// was recorded before Overlap is over; not when the key was stolen (compromised):
// then it counts for what was before this moment.
//
// Who has a stolen link key can send out a card of his own before we do. Tell the
// other administrators: with the new fingerprint they approve our card by hand.
func (s *Service) Rotate(ctx context.Context, actor, what string, compromised bool) error {
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	overlap, e := Overlap, Entry{What: what + " key replaced"}
	if compromised {
		overlap, e.Why = 0, "the old one was stolen"
	}
	k := s.cfg.Keys
	switch what {
	case "link":
		if err := k.RotateSign(overlap); err != nil {
			return err
		}
		e.Fingerprint = Spoken(k.Sign().Public().(ed25519.PublicKey))
		if err := s.commit(ctx, actor, e); err != nil {
			return err
		}
	case "seal":
		if err := k.RotateSeal(); err != nil {
			return err
		}
		if err := s.commit(ctx, actor, e); err != nil {
			return err
		}
	default:
		if err := s.rotateAgency(ctx, actor, what, overlap, e.Why); err != nil {
			return err
		}
	}
	return s.refresh(ctx)
}

func (s *Service) rotateAgency(ctx context.Context, actor, agency string, overlap time.Duration, why string) error {
	const op = "peer.rotate"
	a, ok := s.now.Load().agencies[agency]
	if !ok || !a.Local {
		return record.Errorf(record.NotFound, op, "%.80q is neither link nor seal nor an agency of this node", agency)
	}
	if _, err := s.cfg.Keys.RotateAgency(agency, s.cfg.Now().Add(overlap)); err != nil {
		return err
	}
	return s.tellKey(ctx, actor, a, why)
}

// tellKey writes an agency's key in force, and those before, into the directory.
func (s *Service) tellKey(ctx context.Context, actor string, a store.Agency, why string) error {
	a.PublicKey = s.cfg.Keys.Key(a.ID).Public().(ed25519.PublicKey)
	a.OldKeys = mergeOld(a.PublicKey, s.cfg.Keys.OldKeys(a.ID), a.OldKeys)
	e := Entry{What: "agency key replaced", Agency: a.ID, Fingerprint: Spoken(a.PublicKey), Why: why}
	return s.commit(ctx, actor, e, store.PutAgency{Agency: a})
}

// finishRotations tells the directory of keys that were replaced just before the
// node stopped.
func (s *Service) finishRotations(ctx context.Context) error {
	for _, a := range s.now.Load().agencies {
		key := s.cfg.Keys.Key(a.ID)
		if !a.Local || key == nil || a.PublicKey.Equal(key.Public()) {
			continue
		}
		if slices.ContainsFunc(s.cfg.Keys.OldKeys(a.ID), func(o OldKey) bool { return o.Key.Equal(a.PublicKey) }) {
			if err := s.tellKey(ctx, nobody, a, "finished at the start"); err != nil {
				return err
			}
		}
	}
	return nil
}

// TakeCard takes a newer card of a node that we know. It has to be signed with a
// key that we trust for that node: the one in force, or one that it replaced and
// that still counts. One that is no newer changes nothing.
func (s *Service) TakeCard(ctx context.Context, b []byte) error {
	const op = "card"
	for _, n := range s.Active() {
		if bytes.Equal(b, n.Card) {
			return nil
		}
	}
	c, err := ParseCard(b)
	if err != nil {
		return err
	}
	if c.Node == s.Self().Name {
		return nil
	}
	n, err := s.node(op, c.Node)
	if err == nil && n.State != store.NodeRevoked {
		err = s.trusted(op, n, c) // before anything is locked or read: this may be a stranger
	}
	if err != nil {
		return err
	}
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return err
	}
	if n, err = s.node(op, c.Node); err != nil {
		return err
	}
	if n.State == store.NodeRevoked {
		return revoked(op, n)
	}
	if bytes.Equal(c.Bytes, n.Card) {
		return nil
	}
	if err := s.trusted(op, n, c); err != nil {
		return err
	}
	return s.takeCard(ctx, nobody, n, c)
}

// trusted says why a card is not to be believed: it was signed with no key that
// counts for the node.
func (s *Service) trusted(op string, n *store.Node, c *SignedCard) error {
	if c.SignedBy(n.Sign) {
		return nil
	}
	now := s.cfg.Now()
	for _, o := range n.OldSign {
		if !c.SignedBy(o.Key) {
			continue
		}
		if now.Before(o.Until) {
			return nil
		}
		return record.Errorf(record.Denied, op, "the card of %s is signed with a key that it replaced and that counts no more since %s", n.Title, o.Until.UTC().Format(time.RFC3339))
	}
	return record.Errorf(record.Denied, op, "the card of %s is signed with no key that we trust for it", n.Title)
}

// takeCard makes a node what its newer, trusted card says. At the founder of its
// region it goes into the directory.
func (s *Service) takeCard(ctx context.Context, actor string, n *store.Node, c *SignedCard) error {
	if c.Serial <= n.Serial {
		return nil
	}
	v := s.now.Load()
	if err := v.admissible("card", c); err != nil {
		return err
	}
	if n.State != store.NodePending {
		if err := s.seized(ctx, "card", n, c); err != nil {
			return err
		}
	}
	now := *n
	s.fill(&now, c)
	ops := changedNode(v, now)
	if n.State == store.NodeActive || n.State == store.NodeRefused {
		ops = append(ops, s.agencies(v, c, nil)...)
	}
	e := Entry{What: "card taken", Node: n.Name, Title: c.Title, Fingerprint: Spoken(c.Sign), Serial: c.Serial}
	if err := s.commit(ctx, actor, e, ops...); err != nil {
		return err
	}
	if s.founder() {
		return s.recard(ctx, c)
	}
	return nil
}
