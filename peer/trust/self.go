package trust

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"konbit/store"
)

// SelfCard returns this node's signed card as it is now. It is made anew, with a
// higher serial, when agencies, addresses or keys have changed.
func (s *Service) SelfCard(ctx context.Context) ([]byte, error) {
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return nil, err
	}
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	return s.Self().Card, nil
}

// WriteCard writes our card for a stick.
func (s *Service) WriteCard(ctx context.Context, w io.Writer) error {
	b, err := s.SelfCard(ctx)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// refresh makes the card anew when it says what is no longer so. At a founder it
// goes into the directory, too.
func (s *Service) refresh(ctx context.Context) error {
	card := s.describe()
	kept, err := s.cfg.Store.Value(ctx, cardValue)
	if err != nil {
		return err
	}
	if old, err := ParseCard(kept); err == nil && old.Node == card.Node && same(&old.Card, card) {
		if self := s.Self(); self != nil && self.Serial == old.Serial {
			return s.retell(ctx)
		}
		return s.show(ctx, old)
	} else if err == nil {
		card.Serial = old.Serial
	}
	// A node that was restored from a backup has an old serial; time brings it past
	// what it has told others since.
	now := s.cfg.Now().UTC().Truncate(time.Second)
	card.Serial, card.At = max(card.Serial+1, now.Unix()), now
	b, err := SignCard(card, s.cfg.Keys.Signers()...)
	if err != nil {
		return err
	}
	signed, err := ParseCard(b)
	if err != nil {
		return err
	}
	if err := s.cfg.Store.SetValue(context.WithoutCancel(ctx), cardValue, b); err != nil {
		return err
	}
	return s.show(ctx, signed)
}

// show publishes our card.
func (s *Service) show(ctx context.Context, c *SignedCard) error {
	self := &store.Node{State: store.NodeActive, Since: c.At}
	fill(self, c)
	v := *s.now.Load()
	v.self = self
	s.publish(&v)
	return s.retell(ctx)
}

// retell puts our card into the directory that we sign, and those of members that
// came just before the node stopped.
func (s *Service) retell(ctx context.Context) error {
	if !s.founder() {
		return nil
	}
	for i, c := range s.memory.dir.Cards {
		n := s.Self()
		if c.Node != n.Name {
			n = s.Node(c.Node)
		}
		if n == nil || n.Serial <= c.Serial || s.memory.dir.Members[i].Revoked != nil {
			continue
		}
		newer, err := ParseCard(n.Card)
		if err != nil {
			return err
		}
		if err := s.recard(ctx, newer); err != nil {
			return err
		}
	}
	return nil
}

// describe says what the card should say; serial and time are left open.
func (s *Service) describe() *Card {
	k, v := s.cfg.Keys, s.now.Load()
	c := &Card{Node: k.Name(), Title: s.cfg.Title, Ledger: k.Ledger(), Sign: k.Sign().Public().(ed25519.PublicKey), OldSign: k.OldSign(),
		Seal: k.Recipient(), URLs: s.cfg.URLs, Agencies: []Agency{}}
	for _, id := range slices.Sorted(maps.Keys(v.agencies)) {
		a, key := v.agencies[id], k.Key(id)
		if !a.Local || key == nil {
			continue
		}
		c.Agencies = append(c.Agencies, Agency{ID: a.ID, Name: tidy(a.Name, 200), Country: a.Country, Contact: tidy(a.Contact, 500),
			Key: key.Public().(ed25519.PublicKey), OldKeys: k.OldKeys(a.ID)})
	}
	return c
}

// same reports whether two cards say the same, whenever they were made.
func same(a, b *Card) bool {
	var text [2]string
	for i, c := range []Card{*a, *b} {
		c.Serial, c.At = 0, time.Time{}
		t, err := json.Marshal(c)
		if err != nil {
			return false
		}
		text[i] = string(t)
	}
	return text[0] == text[1]
}

// fill writes into a node what its card says.
func fill(n *store.Node, c *SignedCard) {
	n.Name, n.Title, n.Ledger, n.Seal, n.Serial, n.Card = c.Node, c.Title, c.Ledger, c.Seal, c.Serial, c.Bytes
	n.Sign, n.OldSign, n.URLs, n.Agencies = c.Sign, c.OldSign, slices.Clone(c.URLs), []string{}
	for _, a := range c.Agencies {
		n.Agencies = append(n.Agencies, a.ID)
	}
	slices.Sort(n.Agencies)
}
