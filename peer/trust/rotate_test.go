package trust_test

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"konbit/ledger"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
)

func keyID(p *place) string { return ledger.KeyID(p.Self().Sign) }

// pair is two nodes that trust each other.
func pair(t *testing.T, c *clock) (a, b *place) {
	t.Helper()
	a, b = start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	joins(t, a, b, false, map[string][]string{"do.911": {"@hispaniola"}})
	return a, b
}

func TestReplacedLinkKeyCountsThroughTheOverlap(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	old := keyID(b)
	must(t, b.Rotate(t.Context(), actor, "link", false))
	if keyID(b) == old {
		t.Fatal("nothing was replaced")
	}
	if a.SignKey(b.name(), keyID(b), c.Now()) != nil {
		t.Error("a key counts of which nobody has heard")
	}
	must(t, a.TakeCard(t.Context(), b.card()))
	a.restart()
	c.Move(29 * 24 * time.Hour)
	for _, id := range []string{old, keyID(b)} {
		if a.SignKey(b.name(), id, c.Now()) == nil {
			t.Errorf("%s does not count within the overlap", id)
		}
	}
	c.Move(2 * 24 * time.Hour)
	if a.SignKey(b.name(), old, c.Now()) != nil {
		t.Error("the old key counts for ever")
	}
}

func TestNodeThatWasAwayFollowsSeveralRotations(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	for range 3 {
		c.Move(7 * 24 * time.Hour)
		must(t, b.Rotate(t.Context(), actor, "link", false))
	}
	must(t, a.TakeCard(t.Context(), b.card()))
	if !a.Node(b.name()).Sign.Equal(b.Self().Sign) {
		t.Error("it did not follow")
	}
	// But not for ever: then a person has to compare the fingerprint.
	must(t, b.Rotate(t.Context(), actor, "link", false))
	c.Move(31 * 24 * time.Hour)
	must(t, b.Rotate(t.Context(), actor, "seal", false))
	wants(t, a.TakeCard(t.Context(), b.card()), record.Denied, "no key that we trust")
	_, err := a.AddCard(t.Context(), actor, b.card())
	wants(t, err, record.Conflict, "kept aside")
	wants(t, a.Approve(t.Context(), actor, b.name(), a.fingerprint(), nil, time.Time{}), record.Denied, "fingerprint")
	a.restart()
	must(t, a.Approve(t.Context(), actor, b.name(), b.fingerprint(), nil, time.Time{}))
	if n := a.Node(b.name()); !n.Sign.Equal(b.Self().Sign) || n.Seal != b.node.Keys.Recipient() || !slices.Equal(a.agency("do.911").Communities, []string{"@hispaniola"}) {
		t.Errorf("%+v", n)
	}
}

func TestStolenLinkKeyCountsNoMore(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	stolen, before := b.node.Keys.Sign(), b.card()
	must(t, b.Rotate(t.Context(), actor, "link", true))
	must(t, a.TakeCard(t.Context(), b.card()))
	if a.SignKey(b.name(), ledger.KeyID(public(stolen)), c.Now()) != nil {
		t.Error("what the thief signs now counts")
	}
	if a.SignKey(b.name(), ledger.KeyID(public(stolen)), c.Now().Add(-time.Hour)) != nil {
		t.Error("what the thief signs with an earlier time counts")
	}
	if a.SignKey(b.name(), ledger.KeyID(public(stolen)), time.Time{}) == nil {
		t.Error("the key cannot be named")
	}
	thief, err := trust.ParseCard(before)
	must(t, err)
	forged := thief.Card
	forged.Serial, forged.Title = b.Self().Serial+1_000_000, "Thief"
	card, err := trust.SignCard(&forged, stolen)
	must(t, err)
	wants(t, a.TakeCard(t.Context(), card), record.Denied, "counts no more since")
	// Nor can the thief bring the key back by a card that says that it is old but good.
	evil := newKey(t)
	forged.Sign, forged.OldSign = public(evil), []trust.OldKey{{Key: public(stolen), Until: c.Now().Add(time.Hour)}}
	card, err = trust.SignCard(&forged, evil, stolen)
	must(t, err)
	wants(t, a.TakeCard(t.Context(), card), record.Denied, "counts no more since")
	if n := a.Node(b.name()); n.Title != "B" || !n.Sign.Equal(b.Self().Sign) {
		t.Errorf("%+v", n)
	}
}

func TestThiefWhoWasFasterIsPutOutByAPerson(t *testing.T) {
	for _, region := range []bool{false, true} {
		c := newClock()
		a, b := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
		if region {
			must(t, a.Found(t.Context(), actor, "hispaniola"))
		}
		joins(t, a, b, region, nil)
		stolen, evil := b.node.Keys.Sign(), newKey(t)
		p, err := trust.ParseCard(b.card())
		must(t, err)
		forged := p.Card
		forged.Sign, forged.Serial = public(evil), forged.Serial+1_000_000
		forged.OldSign = []trust.OldKey{{Key: public(stolen), Until: c.Now().Add(trust.Overlap)}}
		card, err := trust.SignCard(&forged, evil, stolen)
		must(t, err)
		must(t, a.TakeCard(t.Context(), card)) // nobody can know
		must(t, b.Rotate(t.Context(), actor, "link", true))
		must(t, a.TakeCard(t.Context(), b.card()))
		if !a.Node(b.name()).Sign.Equal(public(evil)) {
			t.Fatal("the test tests nothing")
		}
		_, err = a.AddCard(t.Context(), actor, b.card())
		wants(t, err, record.Conflict, "kept aside")
		must(t, a.Approve(t.Context(), actor, b.name(), b.fingerprint(), nil, time.Time{}))
		if n := a.Node(b.name()); !n.Sign.Equal(b.Self().Sign) || a.SignKey(b.name(), ledger.KeyID(public(evil)), c.Now()) != nil {
			t.Errorf("the thief's key counts, region %t", region)
		}
		wants(t, a.TakeCard(t.Context(), card), record.Denied, "counts no more")
	}
}

func TestLaterCardGivesNoLifeBackToAStolenKey(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	stolen := public(b.node.Keys.Sign())
	must(t, b.Rotate(t.Context(), actor, "link", true))
	must(t, a.TakeCard(t.Context(), b.card()))
	p, err := trust.ParseCard(b.card())
	must(t, err)
	next := p.Card
	next.Serial, next.OldSign = next.Serial+1, []trust.OldKey{{Key: stolen, Until: c.Now().Add(time.Hour)}}
	card, err := trust.SignCard(&next, b.node.Keys.Sign())
	must(t, err)
	must(t, a.TakeCard(t.Context(), card))
	if a.SignKey(b.name(), ledger.KeyID(stolen), c.Now()) != nil {
		t.Error("it counts again")
	}
	next.Serial, next.OldSign = next.Serial+1, nil
	card, err = trust.SignCard(&next, b.node.Keys.Sign())
	must(t, err)
	must(t, a.TakeCard(t.Context(), card))
	if a.SignKey(b.name(), ledger.KeyID(stolen), c.Now()) != nil || len(a.Node(b.name()).OldSign) != 1 {
		t.Error("it was forgotten")
	}
}

func TestReplayedOlderCardChangesNothing(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	older := b.card()
	must(t, b.Rotate(t.Context(), actor, "seal", false))
	must(t, a.TakeCard(t.Context(), b.card()))
	size, now := a.node.Intake.Size(), a.Node(b.name())
	for range 3 {
		must(t, a.TakeCard(t.Context(), older))
		must(t, a.TakeCard(t.Context(), b.card()))
		must(t, a.TakeCard(t.Context(), a.card())) // our own comes back
	}
	if a.Node(b.name()) != now || now.Seal != b.node.Keys.Recipient() || a.node.Intake.Size() != size {
		t.Error("it was taken")
	}
}

func TestCardWithoutATrustedKeyIsRefused(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	p, err := trust.ParseCard(b.card())
	must(t, err)
	evil := newKey(t)
	forged := p.Card
	forged.Sign, forged.Serial = public(evil), forged.Serial+1
	card, err := trust.SignCard(&forged, evil)
	must(t, err)
	wants(t, a.TakeCard(t.Context(), card), record.Denied, "no key that we trust")
	stranger, key := newCard(t, "konbit.node/0badcafe", "do.pn")
	card, err = trust.SignCard(stranger, key)
	must(t, err)
	wants(t, a.TakeCard(t.Context(), card), record.NotFound, "no node")
	// A trusted key does not change the ledger's key, which never changes.
	forged = p.Card
	forged.Ledger = stranger.Ledger
	if _, err = trust.SignCard(&forged, b.node.Keys.Sign()); err == nil {
		t.Error("a card with another node's ledger key was signed")
	}
}

func TestReplacedAgencyKeySignsFromThenOnAndTheOldOneCountsForBefore(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	old := b.node.Keys.Key("do.911").Public().(ed25519.PublicKey)
	wants(t, b.Rotate(t.Context(), actor, "do.pn", false), record.NotFound, "do.pn")
	wants(t, b.Rotate(t.Context(), actor, "ht.cc", false), record.NotFound, "ht.cc")
	must(t, b.Rotate(t.Context(), actor, "do.911", true))
	must(t, a.TakeCard(t.Context(), b.card()))
	for _, p := range []*place{a, b} {
		got := p.agency("do.911")
		if !got.PublicKey.Equal(b.node.Keys.Key("do.911").Public()) || got.PublicKey.Equal(old) {
			t.Errorf("%s: the key in force is another", p.title)
		}
		if !got.KeyAt(ledger.KeyID(old), c.Now().Add(-time.Second)).Equal(old) || got.KeyAt(ledger.KeyID(old), c.Now()) != nil {
			t.Errorf("%s: %+v", p.title, got.OldKeys)
		}
	}
	if got := a.agency("do.911"); !slices.Equal(got.Communities, []string{"@hispaniola"}) {
		t.Errorf("the communities went: %v", got.Communities)
	}
	b.restart()
}

func TestAgencyRotationThatWasCutOffIsFinishedAtTheNextStart(t *testing.T) {
	c := newClock()
	a := start(t, c, "A", "ht.cc")
	a.broken = errDisk
	if err := a.Rotate(t.Context(), actor, "ht.cc", false); err == nil {
		t.Fatal("it was replaced without the ledger")
	}
	a.broken = nil
	a.restart()
	got := a.agency("ht.cc")
	if !got.PublicKey.Equal(a.node.Keys.Key("ht.cc").Public()) || len(got.OldKeys) != 1 {
		t.Errorf("%+v", got)
	}
	a.restart()
}

func TestNodeRestoredFromABackupIsBelievedAgain(t *testing.T) {
	c := newClock()
	a, b := pair(t, c)
	must(t, b.node.Store.SetValue(t.Context(), "trust.card", nil)) // as a backup from before would have it
	c.Move(time.Hour)
	b.restart()
	must(t, b.Rotate(t.Context(), actor, "seal", false))
	must(t, a.TakeCard(t.Context(), b.card()))
	if a.Node(b.name()).Seal != b.node.Keys.Recipient() {
		t.Error("its card is taken for an old one")
	}
	if a.state(b) != store.NodeActive {
		t.Error(a.state(b))
	}
}
