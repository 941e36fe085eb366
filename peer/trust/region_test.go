package trust_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"
	"time"

	"konbit/account"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
)

// newRegion is a hub that founded a region, and two members; they have what the hub
// signed last.
func newRegion(t *testing.T, c *clock) (hub, a, b *place) {
	t.Helper()
	hub, a, b = start(t, c, "Hub", "int.hub"), start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	must(t, hub.Found(t.Context(), actor, "hispaniola"))
	joins(t, hub, a, true, map[string][]string{"ht.cc": {"@hispaniola"}})
	joins(t, hub, b, true, map[string][]string{"do.911": {"@hispaniola", "@dispatch"}})
	tell(t, hub, a, b)
	return hub, a, b
}

// tell lets nodes fetch from the hub over HTTP.
func tell(t *testing.T, hub *place, to ...*place) {
	t.Helper()
	for _, p := range to {
		must(t, p.Fetch(t.Context(), hub.name()))
	}
}

func TestRegionMakesItsMembersKnowEachOther(t *testing.T) {
	c := newClock()
	hub, a, b := newRegion(t, c)
	for _, p := range []*place{hub, a, b} {
		if len(p.Active()) != 2 {
			t.Errorf("%s knows %d active nodes", p.title, len(p.Active()))
		}
		for _, id := range []string{"ht.cc", "do.911"} {
			if got := p.agency(id); !slices.Contains(got.Communities, "@hispaniola") {
				t.Errorf("%s says that %s is in %v", p.title, id, got.Communities)
			}
		}
		if d := p.Directory(); d.Region != "hispaniola" || d.Hub != hub.name() || len(d.Members) != 3 || d.Serial != hub.Directory().Serial {
			t.Errorf("%s has the directory %+v", p.title, d)
		}
	}
	n := a.Node(b.name())
	if n.Region != "hispaniola" || n.Via != "" || !slices.Equal(n.URLs, []string{b.server.URL}) {
		t.Errorf("%+v", n)
	}
	if !a.SignKey(b.name(), keyID(b), c.Now()).Equal(b.Self().Sign) {
		t.Error("a member's key does not count at another member")
	}
	if _, err := a.Invite(t.Context(), actor, true, "", 0); record.CodeOf(err) != record.Denied {
		t.Errorf("a member invites into the region: %v", err)
	}
	wants(t, a.Found(t.Context(), actor, "caribe"), record.Conflict, "hispaniola")
	wants(t, a.Approve(t.Context(), actor, b.name(), b.fingerprint(), nil, time.Time{}), record.Denied, "founder")
	a.restart()
	if len(a.Active()) != 2 || a.Directory() == nil {
		t.Error("a restart forgets the region")
	}
}

func TestMemberWithoutAddressIsReachedThroughTheHub(t *testing.T) {
	c := newClock()
	hub, a := start(t, c, "Hub", "int.hub"), start(t, c, "A", "ht.cc")
	must(t, hub.Found(t.Context(), actor, "hispaniola"))
	joins(t, hub, a, true, nil)
	card, key := newCard(t, "konbit.node/0badcafe", "do.911")
	card.URLs = nil
	signed, err := trust.SignCard(card, key)
	must(t, err)
	d := *hub.Directory()
	d.Members, d.Serial = append(slices.Clone(d.Members), trust.Member{Card: signed}), d.Serial+1
	b, err := trust.SignDirectory(&d, hub.node.Keys.Region("hispaniola"))
	must(t, err)
	must(t, a.TakeDirectory(t.Context(), b))
	must(t, hub.TakeDirectory(t.Context(), b)) // a founder that was restored takes its own word back
	if n := a.Node(card.Node); n.Via != hub.name() || len(n.URLs) != 0 {
		t.Errorf("at a member: %+v", n)
	}
	if n := hub.Node(card.Node); n.Via != "" {
		t.Errorf("at the hub: %+v", n)
	}
}

func TestNodeThatWeKnowAloneComesIntoTheRegionByApprovalOnly(t *testing.T) {
	c := newClock()
	hub, a, b := start(t, c, "Hub", "int.hub"), start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	joins(t, hub, a, false, map[string][]string{"ht.cc": {"@hispaniola"}})
	joins(t, hub, b, false, nil)
	must(t, hub.Found(t.Context(), actor, "hispaniola"))
	if len(hub.Directory().Members) != 1 || !hub.Founder() || a.Founder() {
		t.Fatal("founding takes in who did not ask")
	}
	_, err := a.Join(t.Context(), actor, hub.invite(false)) // again, and not into the region
	must(t, err)
	_, err = a.Join(t.Context(), actor, hub.invite(true))
	must(t, err)
	if len(hub.Directory().Members) != 1 || hub.state(a) != store.NodeActive {
		t.Error("it came in without approval, or its exchange stopped")
	}
	must(t, hub.Approve(t.Context(), actor, a.name(), a.fingerprint(), map[string][]string{"ht.cc": {"@hispaniola"}}, time.Time{}))
	tell(t, hub, a)
	if len(hub.Directory().Members) != 2 || hub.Node(a.name()).Region != "hispaniola" || hub.Node(b.name()).Region != "" || a.Node(b.name()) != nil {
		t.Errorf("%+v", hub.Directory())
	}
	// What is known outside of the region is not the region's to end.
	must(t, hub.SetMembership(t.Context(), actor, "do.911", map[string]time.Time{"@hispaniola": {}}))
	if got := hub.agency("do.911"); !slices.Equal(got.Communities, []string{"@hispaniola"}) || hub.Directory().Serial != a.Directory().Serial {
		t.Errorf("%+v", got)
	}
}

func TestFoundingThatWasCutOffCanBeDoneAgain(t *testing.T) {
	c := newClock()
	hub := start(t, c, "Hub", "int.hub")
	must(t, hub.node.Store.SetValue(t.Context(), "trust.state", []byte(`{"region":{"name":"hispaniola","key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}`)))
	hub.restart()
	must(t, hub.Found(t.Context(), actor, "hispaniola"))
	hub.broken = errDisk
	_, err := hub.Invite(t.Context(), actor, true, "", 0)
	if err == nil {
		t.Error("an invitation without a word in the ledger")
	}
	hub.broken = nil
	wants(t, hub.Found(t.Context(), actor, "hispaniola"), record.Conflict, "is in the region")
}

func TestDirectoryMovesMembershipsAtEveryNode(t *testing.T) {
	c := newClock()
	hub, a, b := newRegion(t, c)
	since := c.Now().Add(time.Hour)
	// A community that is no matter of the region stays.
	mine := []string{"@hispaniola", "@our-own"}
	_, err := a.node.Accounts.UpdateAgency(t.Context(), account.Node, "ht.cc", account.AgencyChange{Communities: &mine})
	must(t, err)
	must(t, hub.SetMembership(t.Context(), actor, "ht.cc", map[string]time.Time{"@dispatch": since}))
	must(t, hub.SetMembership(t.Context(), actor, "int.hub", map[string]time.Time{"@hispaniola": {}}))
	tell(t, hub, a, b)
	if got := a.agency("ht.cc"); !slices.Equal(got.Communities, []string{"@dispatch", "@our-own"}) || !got.Joined["@dispatch"].Equal(since) || len(got.Joined) != 1 {
		t.Errorf("at its own node: %+v", got)
	}
	for _, p := range []*place{hub, b} {
		if got := p.agency("ht.cc"); !slices.Equal(got.Communities, []string{"@dispatch"}) || !got.Joined["@dispatch"].Equal(since) {
			t.Errorf("at %s: %+v", p.title, got)
		}
		if got := p.agency("int.hub"); !slices.Equal(got.Communities, []string{"@hispaniola"}) {
			t.Errorf("the founder's own at %s: %+v", p.title, got)
		}
	}
	wants(t, a.SetMembership(t.Context(), actor, "ht.cc", nil), record.Denied, "founder")
	wants(t, a.SetMembership(t.Context(), actor, "do.911", nil), record.Denied, "founder")
}

func TestRevokedMemberIsRevokedAtEveryNodeAndItsAgenciesAreInNoCommunity(t *testing.T) {
	c := newClock()
	hub, a, b := newRegion(t, c)
	must(t, hub.Revoke(t.Context(), actor, b.name(), "stolen laptop"))
	tell(t, hub, a)
	for _, p := range []*place{hub, a} {
		if n := p.Node(b.name()); n.State != store.NodeRevoked || n.Why != "stolen laptop" || p.SignKey(b.name(), keyID(b), c.Now()) != nil {
			t.Errorf("%s: %+v", p.title, n)
		}
		if got := p.agency("do.911"); len(got.Communities)+len(got.Joined) > 0 || len(got.PublicKey) == 0 {
			t.Errorf("%s: %+v", p.title, got)
		}
	}
	// The revoked one is told nothing more, and when it learns, it stops, too.
	wants(t, b.Fetch(t.Context(), hub.name()), record.Denied, "exchanges with")
	must(t, b.TakeDirectory(t.Context(), hub.DirectoryBytes()))
	if len(b.Active()) != 0 || len(b.agency("do.911").Communities) != 0 {
		t.Error("the revoked node goes on")
	}
	// An older directory does not bring it back.
	must(t, a.TakeDirectory(t.Context(), hub.DirectoryBytes()))
	if a.state(b) != store.NodeRevoked {
		t.Error("it is back")
	}
}

func TestMemberThatIsGoneFromTheDirectoryIsRevoked(t *testing.T) {
	c := newClock()
	hub, a, b := newRegion(t, c)
	older := hub.DirectoryBytes()
	d := *hub.Directory()
	d.Members = slices.DeleteFunc(slices.Clone(d.Members), func(m trust.Member) bool { return bytes.Equal(m.Card, b.card()) })
	d.Serial++
	next, err := trust.SignDirectory(&d, hub.node.Keys.Region("hispaniola"))
	must(t, err)
	for _, p := range []*place{a, b} {
		must(t, p.TakeDirectory(t.Context(), next))
	}
	if a.state(b) != store.NodeRevoked || len(b.Active()) != 0 {
		t.Error("it goes on")
	}
	must(t, a.TakeDirectory(t.Context(), older))
	if a.Directory().Serial != d.Serial || a.state(b) != store.NodeRevoked {
		t.Error("a replayed directory brought it back")
	}
}

func TestDirectoryThatIsNotOursIsRefusedByName(t *testing.T) {
	c := newClock()
	hub, a, _ := newRegion(t, c)
	evil, lone := start(t, c, "Evil", "xx.evil"), start(t, c, "Lone", "ht.lone")
	must(t, evil.Found(t.Context(), actor, "hispaniola"))
	wants(t, a.TakeDirectory(t.Context(), evil.DirectoryBytes()), record.Denied, "founding key")
	wants(t, lone.TakeDirectory(t.Context(), hub.DirectoryBytes()), record.Denied, "in no region")
	_, err := a.Join(t.Context(), actor, evil.invite(true))
	wants(t, err, record.Conflict, "can be in one only")
	fork := *hub.Directory()
	fork.At = fork.At.Add(time.Second)
	b, err := trust.SignDirectory(&fork, hub.node.Keys.Region("hispaniola"))
	must(t, err)
	wants(t, a.TakeDirectory(t.Context(), b), record.Conflict, "two directories")
	res, err := http.Get(hub.server.URL + "/peer/v1/directory")
	must(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger gets the directory: %s", res.Status)
	}
}

func TestDirectoryDoesNotOverruleOurOwnRevocationNorTakeOurAgencies(t *testing.T) {
	c := newClock()
	hub, a, b := newRegion(t, c)
	must(t, a.Revoke(t.Context(), actor, b.name(), "we do not trust it"))
	card, key := newCard(t, "konbit.node/0badcafe", "ht.new")
	signed, err := trust.SignCard(card, key)
	must(t, err)
	_, err = a.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "ht.new", Name: "Ours", Local: true})
	must(t, err)
	a.card()
	d := *hub.Directory()
	d.Members, d.Serial = append(slices.Clone(d.Members), trust.Member{Card: signed}), d.Serial+1
	next, err := trust.SignDirectory(&d, hub.node.Keys.Region("hispaniola"))
	must(t, err)
	must(t, a.TakeDirectory(t.Context(), next))
	if a.state(b) != store.NodeRevoked {
		t.Error("the directory brought back what we revoked")
	}
	if a.Node(card.Node) != nil || a.NodeOf("ht.new") != a.name() {
		t.Error("the directory gave our agency away")
	}
	if a.Directory().Serial != d.Serial {
		t.Error("the rest of the directory was not taken")
	}
}

func TestNewAgencyAndNewKeysOfAMemberReachTheOthersThroughTheDirectory(t *testing.T) {
	c := newClock()
	hub, a, b := newRegion(t, c)
	_, err := a.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "ht.pnh", Name: "PNH", Local: true})
	must(t, err)
	must(t, a.Rotate(t.Context(), actor, "link", false))
	must(t, a.Rotate(t.Context(), actor, "seal", false))
	must(t, hub.TakeCard(t.Context(), a.card()))
	must(t, hub.SetMembership(t.Context(), actor, "ht.pnh", map[string]time.Time{"@hispaniola": {}}))
	tell(t, hub, b)
	n := b.Node(a.name())
	if !n.Sign.Equal(a.Self().Sign) || n.Seal != a.node.Keys.Recipient() || b.NodeOf("ht.pnh") != a.name() || !slices.Equal(b.agency("ht.pnh").Communities, []string{"@hispaniola"}) {
		t.Errorf("%+v", n)
	}
	// The founder's own change goes in by itself.
	serial := hub.Directory().Serial
	must(t, hub.Rotate(t.Context(), actor, "link", false))
	if hub.Directory().Serial == serial {
		t.Error("the founder's new key is not in the directory")
	}
	tell(t, hub, b)
	if !b.Node(hub.name()).Sign.Equal(hub.Self().Sign) {
		t.Error("the founder's new key is not known")
	}
}

func TestDirectoryThatWasCutOffIsFinishedAtTheNextStart(t *testing.T) {
	c := newClock()
	hub, a, b := newRegion(t, c)
	must(t, hub.SetMembership(t.Context(), actor, "do.911", nil)) // leaves @dispatch, which nobody else is in
	for name, change := range map[string]func(*place) error{
		"member":  func(p *place) error { return p.TakeDirectory(t.Context(), hub.DirectoryBytes()) },
		"founder": func(p *place) error { return p.SetMembership(t.Context(), actor, "ht.cc", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			p, id := a, "do.911"
			if name == "founder" {
				p, id = hub, "ht.cc"
			}
			before, serial := p.agency(id).Communities, p.Directory().Serial
			p.broken = errDisk
			if err := change(p); err == nil {
				t.Fatal("it was taken without the ledger")
			}
			if !slices.Equal(p.agency(id).Communities, before) || p.Directory().Serial != serial {
				t.Error("it shows what is not on disk")
			}
			p.broken = nil
			p.restart()
			if got := p.agency(id); len(got.Communities) != 0 || p.Directory().Serial <= serial {
				t.Errorf("%+v, serial %d", got, p.Directory().Serial)
			}
		})
	}
	tell(t, hub, b)
	if len(b.agency("ht.cc").Communities)+len(b.agency("do.911").Communities) != 0 {
		t.Error("the other member has something else")
	}
}
