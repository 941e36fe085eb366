package nodetest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/account"
	"konbit/peer"
	"konbit/record"
	"konbit/store"
)

func TestRecallReachesAnOfflinePeerBeforeItServes(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	rosa := token(t, b)
	rec := a.Create("quetzal", To("do.911"))
	r.Settle()
	if status, body := get(t, b, rosa, rec); status != http.StatusOK || !strings.Contains(body, "quetzal") {
		t.Fatalf("before: %d %s", status, body)
	}
	b.Stop()
	a.Mark(rec, To())
	r.Until("the hub carries the recall", func() bool { return carried(hub, a, b) > 0 })
	r.Cut(hub, a) // the owner is not there when the node comes back
	r.Move(time.Hour)
	r.Wire(b, hub).Delay(150 * time.Millisecond) // so that it takes a while to hear of it
	b.Start()
	asked := time.Now()
	if b.Holds(rec.ID) == 0 {
		t.Fatal("the recall was there before anybody asked: this test shows nothing")
	}
	status, body := get(t, b, rosa, rec)
	if status == http.StatusOK || strings.Contains(body, "quetzal") {
		t.Fatalf("a recalled record is served after an absence: %d %s", status, body)
	}
	t.Logf("%d after %v", status, time.Since(asked))
	mustHaveNoTrace(t, b, "quetzal")
	r.Mend(hub, a)
	r.Settle()
	if h := a.Holder(rec.ID, b); h.State != peer.Purged {
		t.Errorf("the owner sees %+v", h)
	}
}

func TestARemovedColourDoesNotLinger(t *testing.T) {
	t.Parallel()
	r, _, a, b := trio(t)
	markings := map[string]record.Marking{
		"tanager": {TLP: record.Clear}, "hutia": {TLP: record.Green}, "trogon": To("@hispaniola"), "iguana": To("do.911"),
	}
	recs := map[string]*record.Record{}
	for word, m := range markings {
		recs[word] = a.Create(word, m)
	}
	r.Settle()
	for word, rec := range recs {
		mustHold(t, word, b, rec, 1)
		if len(b.Traces(word)) == 0 {
			t.Errorf("%s is not found", word)
		}
		a.Mark(rec, record.Marking{TLP: record.AmberStrict})
	}
	r.Settle()
	for word, rec := range recs {
		mustHold(t, word, b, rec, 0)
		mustHaveNoTrace(t, b, word)
		if h := a.Holder(rec.ID, b); h.State != peer.Purged {
			t.Errorf("%s: the owner sees %+v", word, h)
		}
	}
}

func TestAnEmptyAudienceReachesNobody(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	var recs []*record.Record
	for _, m := range []record.Marking{To(), {TLP: record.AmberStrict}, {TLP: record.Red, Persons: []string{"ht.cc/ana"}}} {
		if m.TLP == record.Red {
			if _, err := a.Accounts.AddPerson(t.Context(), account.Node, store.Person{ID: "ht.cc/ana", Name: "Ana"}, ""); err != nil {
				t.Fatal(err)
			}
		}
		recs = append(recs, a.Create("solenodon", m))
	}
	beacon := a.Create("beacon", To("do.911", "int.aid"))
	r.Settle()
	mustHold(t, "what is released", b, beacon, 1)
	for _, n := range []*Node{hub, b} {
		mustHaveNoTrace(t, n, "solenodon")
		for _, rec := range recs {
			if h := a.Holder(rec.ID, n); h.State != "" {
				t.Errorf("the owner sees %+v", h)
			}
		}
	}
}

func TestANewMemberGetsWhatItMayAndNothingOlderThanItsMembership(t *testing.T) {
	t.Parallel()
	r, _, a, b := trio(t)
	r.Member("ht.cc", always([]string{"@hispaniola", "@relief"})...)
	r.Settle()
	old := a.Create("dowitcher", To("@relief"))
	direct := a.Create("direct", To("do.911"))
	r.Move(time.Hour)
	since := r.now().UTC().Truncate(time.Second)
	r.Move(time.Hour)
	young := a.Create("willet", To("@relief"))
	r.Settle()
	mustHold(t, "no member", b, young, 0)
	r.Member("do.911", Membership{"@hispaniola", time.Time{}}, Membership{"@relief", since})
	r.Settle()
	mustHold(t, "named", b, direct, 1)
	mustHold(t, "since it came", b, young, 1)
	mustHold(t, "before it came", b, old, 0)
	mustHaveNoTrace(t, b, "dowitcher")
	old = a.Edit(old, "changed")
	r.Settle()
	mustHold(t, "a version of today", b, old, 2)
}

func TestALeaverIsPurged(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	gone := a.Create("palmchat", To("@hispaniola"))
	green := a.Create("palmchat", record.Marking{TLP: record.Green})
	stays := a.Create("remains", To("@hispaniola", "do.911"))
	r.Settle()
	for _, rec := range []*record.Record{gone, green, stays} {
		mustHold(t, "member", b, rec, 1)
	}
	r.Cut(hub, a) // the owner hears later that it left
	r.Member("do.911")
	r.Settle()
	r.Mend(hub, a)
	r.Settle()
	mustHold(t, "left", b, gone, 0)
	mustHold(t, "left", b, green, 0)
	mustHold(t, "named", b, stays, 1)
	mustHaveNoTrace(t, b, "palmchat")
	if h := a.Holder(gone.ID, b); h.State != peer.Purged || h.Reason != "left" {
		t.Errorf("the owner sees %+v", h)
	}
	mustHold(t, "still a member", hub, gone, 1)
}

func TestAPushThatDeliveredNothingIsNotReportedAsSuccess(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	b.Stop()
	rec := a.Create("lost", To("do.911"))
	r.Until("the hub has it", func() bool { return carried(hub, a, b) > 0 })
	if h := a.Holder(rec.ID, b); h.State != peer.Sent {
		t.Errorf("nobody has acknowledged it, and the owner sees %+v", h)
	}
	if ok, err := a.Exchange().Settled(t.Context(), a.Trust().NodeOf("do.911")); ok || err != nil {
		t.Error("it counts as done", err)
	}
	r.Wire(b, hub).Silence() // it connects to nothing that answers
	b.Start()
	if h := a.Holder(rec.ID, b); h.State != peer.Sent {
		t.Errorf("nobody has acknowledged it, and the owner sees %+v", h)
	}
	r.Wire(b, hub).Mend()
	r.Settle()
	if h := a.Holder(rec.ID, b); h.State != peer.Received {
		t.Errorf("it is there, and the owner sees %+v", h)
	}
	mustHold(t, "in the end", b, rec, 1)
}

func TestHubCarriesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	there := a.Create("quetzal", To("do.911"))
	back := b.Create("quetzal", To("ht.cc"))
	r.Settle()
	mustHold(t, "over the hub", b, there, 1)
	mustHold(t, "over the hub", a, back, 1)
	mustHaveNoTrace(t, hub, "quetzal")
	hub.Crash()
	there = a.Edit(there, "quetzal again")
	r.Settle()
	mustHold(t, "after a crash of the hub", b, there, 2)
	r.Until("the hub has dropped what was acknowledged", func() bool { return carried(hub, a, b) == 0 && carried(hub, b, a) == 0 })
}

func TestNeighboursExchangeWithoutARegion(t *testing.T) {
	t.Parallel()
	r := New(t, incidents, House{"a", []string{"ht.cc"}, true}, House{"b", []string{"do.911"}, false})
	a, b := r.Nodes[0], r.Nodes[1]
	r.Befriend(a, b, hispaniola)
	one, other := a.Create("one", To("@hispaniola")), b.Create("other", To("ht.cc"))
	r.Settle()
	mustHold(t, "inviter to joiner", b, one, 1)
	mustHold(t, "joiner to inviter", a, other, 1)
	r.Cut(a, b)
	one = a.Mark(one, To())
	r.Settle()
	mustHold(t, "cut", b, one, 1)
	r.Mend(a, b)
	r.Settle()
	mustHold(t, "mended", b, one, 0)
}

func TestRevokedNodeGetsNothingMore(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	rec := a.Create("before", To("do.911"))
	r.Settle()
	r.Cut(hub, b)
	waiting := a.Create("tody", To("do.911"))
	if err := hub.Trust().Revoke(t.Context(), account.Node, b.Keys.Origin, "stolen"); err != nil {
		t.Fatal(err)
	}
	r.Until("the other has heard of it", func() bool { return a.State(b) == store.NodeRevoked })
	a.Create("tody", To("ht.cc", "int.aid"))
	r.Mend(hub, b)
	if _, err := a.Export(b); record.CodeOf(err) != record.Denied {
		t.Errorf("something is sealed to a revoked node: %v", err)
	}
	r.Settle()
	r.Until("it is told", func() bool {
		all, err := b.Exchange().Status(t.Context())
		return err == nil && slices.ContainsFunc(all, func(s peer.Status) bool { return strings.Contains(s.Error, "revoked") })
	})
	mustHold(t, "revoked", b, waiting, 0)
	mustHaveNoTrace(t, b, "tody")
	if h := a.Holder(rec.ID, b); h.State != peer.Lost || h.Reason != "stolen" {
		t.Errorf("the owner sees %+v", h)
	}
}

func TestUrgentOvertakesABacklogOnASlowLink(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	r.Cut(hub, b)
	const many = 1500
	for i := range many / 100 {
		a.Bulk(100, "backlog "+strings.Repeat("wide ", i), To("do.911"))
	}
	r.Until("the hub carries it", func() bool { return carried(hub, a, b) > 0 })
	w := r.Wire(b, hub)
	w.Rate(256_000 / 8)
	w.Delay(300 * time.Millisecond)
	r.Mend(hub, b)
	rows := func() int64 {
		n, err := b.Store.Rows(t.Context(), "incident")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r.Until("the backlog drains", func() bool { return rows() > 0 })
	sent := time.Now()
	rec := a.Alert("fire", To("do.911"))
	r.Until("the emergency is there", func() bool { return b.Holds(rec.ID) == 1 })
	took, had := time.Since(sent), rows()
	if took > 5*time.Second {
		t.Errorf("the emergency took %v", took)
	}
	if had > many {
		t.Error("the backlog was through: this test shows nothing")
	}
	t.Logf("%v, with %d of %d there", took, had, many)
	w.Rate(0)
	w.Delay(0)
	r.Settle()
	if n := rows(); n != many+1 {
		t.Errorf("%d records are there", n)
	}
}

func TestSticksGoBothWays(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	r.Cut(hub, a)
	r.Cut(hub, b)
	one, two := a.Create("one", To("do.911")), a.Create("two", To("do.911"))
	first, err := a.Export(b)
	if err != nil {
		t.Fatal(err)
	}
	one = a.Edit(one, "one again")
	a.Mark(two, To())
	second, err := a.Export(b)
	if err != nil {
		t.Fatal(err)
	}
	back := b.Create("back", To("ht.cc"))
	for _, s := range []Stick{second, first, second, first} {
		if err := b.Import(s); err != nil {
			t.Error(err)
		}
	}
	mustHold(t, "edited", b, one, 2)
	mustHold(t, "recalled", b, two, 0)
	if h := a.Holder(one.ID, b); h.State != peer.Sent {
		t.Errorf("no receipt has come, and the owner sees %+v", h)
	}
	r.Carry(b, a)
	mustHold(t, "on the way back", a, back, 1)
	r.Until("the receipt is in the ledger", func() bool { return a.Holder(one.ID, b).State == peer.Received })
	if h := a.Holder(two.ID, b); h.State != peer.Purged {
		t.Errorf("the owner sees %+v", h)
	}
	r.Carry(a, hub) // not for the hub: it has its own stream
	r.Mend(hub, a)
	r.Mend(hub, b)
	r.Settle()
	mustHold(t, "and over the link nothing changes", b, one, 2)
}

func TestRestoredSenderMendsItsStream(t *testing.T) {
	t.Parallel()
	r, _, a, b := trio(t)
	kept := a.Create("kept", To("do.911"))
	released := a.Create("vervain", To())
	r.Settle()
	backup := a.Backup()
	a.Mark(released, To("do.911"))
	lost := a.Create("potoo", To("do.911"))
	r.Settle()
	mustHold(t, "before", b, lost, 1)
	mustHold(t, "before", b, released, 2)
	cosign(t, r, b, a)
	a.Restore(backup)
	fresh := a.Create("fresh", To("do.911"))
	kept = a.Edit(kept, "kept and changed")
	r.Settle()
	mustHold(t, "kept", b, kept, 2)
	mustHold(t, "made after the restore", b, fresh, 1)
	mustHold(t, "the owner knows nothing of it", b, lost, 0)
	mustHold(t, "not released, as far as the owner knows", b, released, 0)
	mustHaveNoTrace(t, b, "potoo")
	mustHaveNoTrace(t, b, "vervain")
	r.Until("others hear of the restore", func() bool { return slices.Contains(b.Alarms(a), "restored") })
	if s := b.State(a); s != store.NodeActive {
		t.Errorf("the node is %s", s)
	}
}

func TestRestoredReceiverGetsAgainWhatItLost(t *testing.T) {
	t.Parallel()
	r, _, a, b := trio(t)
	kept, ended := a.Create("kept", To("do.911")), a.Create("gannet", To("do.911"))
	r.Settle()
	backup := b.Backup()
	kept = a.Edit(kept, "kept and changed")
	a.Mark(ended, To())
	lost := a.Create("lost", To("do.911"))
	r.Settle()
	b.Restore(backup)
	r.Settle()
	mustHold(t, "changed", b, kept, 2)
	mustHold(t, "lost", b, lost, 1)
	mustHold(t, "recalled meanwhile", b, ended, 0)
	mustHaveNoTrace(t, b, "gannet")
	if h := a.Holder(ended.ID, b); h.State != peer.Purged {
		t.Errorf("the owner sees %+v", h)
	}
}

func TestTwoNodesWithOneKeyAreStoppedLoudly(t *testing.T) {
	t.Run("a copy of the machine", func(t *testing.T) {
		t.Parallel()
		r, hub, _, b := trio(t)
		folder := b.Snapshot()
		b.Create("on the first", To("int.aid"))
		r.Settle()
		clone := b.Clone(folder)
		clone.Create("on the second", To("int.aid"))
		clone.Create("on the second", To("int.aid"))
		refusedLoudly(t, r, hub, b, "forked", "rolled-back", "twice")
	})
	t.Run("a restored backup beside the old one", func(t *testing.T) {
		t.Parallel()
		r, hub, _, b := trio(t)
		backup := b.Backup()
		b.Create("on the first", To("int.aid"))
		r.Settle()
		cosign(t, r, hub, b)
		clone := b.CloneRestored(backup)
		clone.Create("on the second", To("int.aid"))
		r.Until("the new one is known", func() bool { return slices.Contains(hub.Alarms(b), "restored") })
		r.Cut(hub, b) // and back: it says what it has
		r.Mend(hub, b)
		refusedLoudly(t, r, hub, b, "twice")
	})
}

// refusedLoudly waits until a node refuses another one with an alarm of one of these codes.
func refusedLoudly(t *testing.T, r *Region, at, whom *Node, codes ...string) {
	t.Helper()
	r.until("the exchange is stopped", func() string {
		alarms := at.Alarms(whom)
		if at.State(whom) == store.NodeRefused && slices.ContainsFunc(codes, func(c string) bool { return slices.Contains(alarms, c) }) {
			return ""
		}
		return string(at.State(whom)) + ", " + strings.Join(alarms, ", ")
	})
}

func TestLedgerRolledBackWithoutAWordIsStoppedUntilResumed(t *testing.T) {
	t.Parallel()
	r, hub, _, b := trio(t)
	folder := b.Snapshot()
	b.Bulk(30, "rewritten", To("int.aid"))
	r.Settle()
	cosign(t, r, hub, b)
	b.RollBack(folder)
	refusedLoudly(t, r, hub, b, "rolled-back", "forked")
	rec := hub.Create("held back", To("do.911"))
	if s := hub.State(b); s != store.NodeRefused {
		t.Fatalf("the node is %s", s)
	}
	if _, err := hub.Export(b); record.CodeOf(err) != record.Denied {
		t.Errorf("something is sealed to a refused node: %v", err)
	}
	mustHold(t, "refused", b, rec, 0)
	if err := hub.Trust().Resume(t.Context(), account.Node, b.Keys.Origin); err != nil {
		t.Fatal(err)
	}
	r.Until("it goes on when an administrator says so", func() bool { return b.Holds(rec.ID) == 1 })
	// Its own stream mends when it says what happened to it.
	mine := b.Create("from the node that was rolled back", To("int.aid"))
	b.Restore(b.Backup())
	r.Settle()
	mustHold(t, "after it was declared", hub, mine, 1)
	if s := hub.State(b); s != store.NodeActive {
		t.Errorf("the node is %s: %s", s, hub.Trust().Node(b.Keys.Origin).Why)
	}
}

func TestAttachmentsFollowAndArePurged(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	rec := a.Attach("with a picture", "bridge.png", picture(t), To("do.911"))
	hash := rec.Attachments[0].Hash
	r.Until("the attachment is there", func() bool { return b.Blobs.Has(hash) })
	if f, _, err := b.Blobs.Thumb(hash); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if hub.Blobs.Has(hash) {
		t.Error("the hub has it")
	}
	a.Mark(rec, To())
	r.Settle()
	mustHold(t, "recalled", b, rec, 0)
	if b.Blobs.Has(hash) {
		t.Error("the record is gone, and its attachment is not")
	}
	if f, _, err := b.Blobs.Thumb(hash); err == nil {
		f.Close()
		t.Error("the small picture is still there")
	}
	if !a.Blobs.Has(hash) {
		t.Error("the owner has lost it")
	}
}

func TestErasureRecalls(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	rec := a.Create("guajaca", To("do.911", "int.aid"))
	rec = a.Edit(rec, "guajaca again")
	r.Settle()
	mustHold(t, "before", b, rec, 2)
	a.Erase(rec)
	r.Settle()
	for _, n := range []*Node{hub, a, b} {
		mustHold(t, "erased", n, rec, 0)
		mustHaveNoTrace(t, n, "guajaca")
		if err := n.Verify(); err != nil {
			t.Errorf("%s: %v", n.Name, err)
		}
	}
	for _, n := range []*Node{hub, b} {
		if h := a.Holder(rec.ID, n); h.State != peer.Purged || h.Reason != "erased" {
			t.Errorf("the owner sees %+v", h)
		}
	}
}

func TestExpiryRecalls(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	at := r.now().Add(time.Hour).UTC().Truncate(time.Second)
	m := To("do.911")
	m.Expires = &at
	linked, cut := a.Create("cigua", m), a.Create("cigua", m)
	r.Settle()
	mustHold(t, "before", b, linked, 1)
	r.Cut(hub, b)
	r.Move(2 * time.Hour)
	r.Until("it is purged without a word from its owner", func() bool { return b.Holds(linked.ID)+b.Holds(cut.ID) == 0 })
	mustHaveNoTrace(t, b, "cigua")
	if h := a.Holder(linked.ID, b); h.State == peer.Purged {
		t.Errorf("nobody has said so, and the owner sees %+v", h)
	}
	r.Mend(hub, b)
	r.Until("its owner knows", func() bool { h := a.Holder(linked.ID, b); return h.State == peer.Purged && h.Reason == "expired" })
	r.Settle()
	mustHold(t, "at its owner", a, linked, 1)
}

func TestKillsOnALossyLinkLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	r, hub, a, b := trio(t)
	for _, n := range []*Node{a, b} {
		r.Wire(n, hub).Loss(0.02)
		r.Wire(n, hub).Rate(400_000)
		r.Wire(n, hub).Delay(5 * time.Millisecond)
	}
	const many = 400
	for i, n := range []*Node{b, a, hub, b} {
		a.Bulk(many/4, "lossy", To("do.911"))
		r.Until("something has arrived", func() bool {
			rows, err := b.Store.Rows(t.Context(), "incident")
			return err == nil && rows > int64(many/4*i)
		})
		n.Crash()
	}
	r.Settle()
	seen := map[record.ID]int{}
	if err := b.Store.Entries(t.Context(), 0, -1, func(l *store.Logged) bool {
		if l.Type == "change" {
			seen[record.ID(l.Record)]++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is in the ledger %d times", id, n)
		}
	}
	if len(seen) != many {
		t.Errorf("%d of %d are there", len(seen), many)
	}
	for _, n := range r.Nodes {
		if err := n.Verify(); err != nil {
			t.Errorf("%s: %v", n.Name, err)
		}
	}
}

func TestHubCarriesWhenADirectLinkNeverComesAbout(t *testing.T) {
	t.Parallel()
	r := New(t, incidents, House{"hub", []string{"int.aid"}, true}, House{"a", []string{"ht.cc"}, true}, House{"b", []string{"do.911"}, false})
	r.Found(hispaniola)
	hub, a, b := r.Nodes[0], r.Nodes[1], r.Nodes[2]
	r.Settle()
	b.Stop()
	r.Cut(a, b)
	b.Start()
	there, back := a.Create("there", To("do.911")), b.Create("back", To("ht.cc"))
	start := time.Now()
	r.Until("the hub carries", func() bool { return b.Holds(there.ID) == 1 && a.Holds(back.ID) == 1 })
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	r.Settle()
	mustHaveNoTrace(t, hub, "there")
}
