package peer

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

func TestReleaseArrivesIsSearchedAndAcknowledged(t *testing.T) {
	_, a, b := pair(t)
	b.step()
	r := a.open("ht.cc", "quetzal at the bridge", to("do.911"))
	a.step()
	a.mustSee("before anything went out", r, b, Queued)
	bs := a.bundles(b, 0)
	a.mustSee("when a bundle was made", r, b, Sent)
	b.take(bs...)
	b.mustHold("after the bundle", r, 1)
	a.mustSee("before the receipt", r, b, Sent)
	if a.settled(b) {
		t.Error("settled before the receipt")
	}
	b.acknowledge(a)
	a.mustSee("after the receipt", r, b, Received)
	a.step()
	if !a.settled(b) {
		t.Error("not settled after the receipt")
	}
	op := b.operator("do.911")
	if s, err := b.records.Get(t.Context(), op, "note", r.ID, "open"); err != nil || s.Owner != "ht.cc" {
		t.Fatal(s, err)
	}
	var told receiptEntry
	es := a.entries("receipt")
	if len(es) != 1 || json.Unmarshal(es[0].Content, &told) != nil || told.Node != b.keys.name || len(told.Records) != 1 || told.Records[0] != (covered{r.ID, 1, "send"}) {
		t.Fatalf("the ledger does not tell who knows: %+v", told)
	}
	if rc, err := a.x.readReceipt(told.Receipt); err != nil || rc.From != b.keys.name || rc.Received != told.Received {
		t.Errorf("the receipt in the ledger is no proof: %+v %v", rc, err)
	}
	until(t, "the look is in the ledger", func() bool { es := b.entries("look"); return len(es) == 1 && b.x.cfg.Intake.Size() > es[0].Seq })
	exchange(t, b, a)
	a.mustSee("when somebody there has opened it", r, b, Opened)
	if n := len(a.entries("opened")); n != 1 {
		t.Errorf("%d entries of opening", n)
	}
	if _, err := b.records.Get(t.Context(), op, "note", r.ID, "open"); err != nil {
		t.Fatal(err)
	}
	exchange(t, a, b)
	if n := len(a.entries("opened")); n != 1 {
		t.Errorf("a second look is told: %d", n)
	}
}

func TestEmptyAudienceReachesNobody(t *testing.T) {
	_, a, b := pair(t)
	rs := []*record.Record{
		a.open("ht.cc", "ours", record.Marking{TLP: record.Amber}),
		a.open("ht.cc", "stricter", record.Marking{TLP: record.AmberStrict}),
		a.open("ht.cc", "red", record.Marking{TLP: record.Red, Persons: []string{"ht.cc/ana"}}),
		a.open("ht.cc", "others", to("int.aid")),
	}
	if got := a.bundles(b, 0); len(got) != 1 { // the talk that the directory has changed
		t.Errorf("%d bundles for nothing", len(got))
	}
	for _, r := range rs {
		if h := a.holder(r, b); h.State != "" {
			t.Errorf("%s reaches %+v", r.Body, h)
		}
	}
	clear := a.open("ht.cc", "for all", record.Marking{TLP: record.Clear})
	green := a.open("ht.cc", "for the community", record.Marking{TLP: record.Green})
	named := a.open("ht.cc", "for one", record.Marking{TLP: record.Red, Persons: []string{"do.911/rosa"}})
	exchange(t, a, b)
	for _, r := range []*record.Record{clear, green, named} {
		b.mustHold("released", r, 1)
	}
	for _, r := range rs {
		b.mustHold("not released", r, 0)
	}
}

func TestEditsCoalesceWhileTheyWait(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "one", to("do.911"))
	other := a.open("ht.cc", "other", to("do.911"))
	a.step()
	for _, title := range []string{"two", "three", "four"} {
		r = a.edit(r, title)
		a.step()
	}
	out, err := a.x.outgoing(t.Context(), b.keys.name)
	if err != nil || out.Waiting[store.Normal] != 2 {
		t.Fatalf("%+v %v", out, err)
	}
	exchange(t, a, b)
	b.mustHold("newest", r, 4)
	b.mustHold("other", other, 1)
	if vs, err := b.db.Versions(t.Context(), r.ID); err != nil || len(vs) != 1 {
		t.Errorf("%d versions went over the link, %v", len(vs), err)
	}
}

func TestWhatWasNarrowedBeforeItWasSentIsNeverSent(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "one", to("do.911"))
	a.step()
	// Narrowed in the ledger, and the follower has not seen it yet.
	a.mark(r, to("int.aid"))
	n := a.trust.Node(b.keys.name)
	if raw, _, err := a.x.nextBundle(t.Context(), n, bundle.Normal, 0, 0); raw != nil || err != nil {
		t.Fatalf("a bundle of %d bytes holds what is no longer released, %v", len(raw), err)
	}
	a.step()
	if h := a.holder(r, b); h.State != "" {
		t.Errorf("%+v", h)
	}
	exchange(t, a, b)
	b.mustHold("never sent", r, 0)
}

func TestNarrowingRecallsAndTheHolderMustAcknowledge(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "quetzal", to("do.911"))
	exchange(t, a, b)
	b.mustHold("released", r, 1)
	a.mark(r, record.Marking{TLP: record.Amber})
	a.step()
	a.mustSee("narrowed", r, b, Recalling)
	bs := a.bundles(b, 0)
	b.mustHold("before the recall is there", r, 1)
	a.mustSee("under way", r, b, Recalling)
	b.take(bs...)
	b.mustHold("after the recall", r, 0)
	a.mustSee("before the receipt", r, b, Recalling)
	b.acknowledge(a)
	a.mustSee("after the receipt", r, b, Purged)
	// What happens to it afterwards does not concern the node.
	r = a.edit(r, "secret")
	exchange(t, a, b)
	a.mustSee("after an edit", r, b, Purged)
	// And released again it is there again.
	r = a.mark(r, to("do.911"))
	exchange(t, a, b)
	b.mustHold("released again", r, 4)
	a.mustSee("released again", r, b, Received)
}

func TestEraseAndRemovedColourRecall(t *testing.T) {
	_, a, b := pair(t)
	erased := a.open("ht.cc", "erased", to("do.911"))
	colour := a.open("ht.cc", "colour", record.Marking{TLP: record.Clear})
	community := a.open("ht.cc", "community", to("@hispaniola"))
	exchange(t, a, b)
	for _, r := range []*record.Record{erased, colour, community} {
		b.mustHold("released", r, 1)
	}
	a.erase(erased)
	a.mark(colour, record.Marking{TLP: record.Amber})
	a.mark(community, to("@relief"))
	exchange(t, a, b)
	for _, r := range []*record.Record{erased, colour, community} {
		b.mustHold("ended", r, 0)
		a.mustSee("ended", r, b, Purged)
	}
	found := false
	for _, e := range b.entries("erase") {
		found = found || record.ID(e.Record) == colour.ID && strings.Contains(string(e.Content), "narrowed")
	}
	if !found {
		t.Error("the ledger of the holder does not tell of the recall")
	}
}

func TestExpiryRecallsAndTheHolderPurgesByItself(t *testing.T) {
	clock, a, b := pair(t)
	at := clock.Now().Add(time.Hour)
	m := to("do.911")
	m.Expires = &at
	r := a.open("ht.cc", "an hour", m)
	late := a.open("ht.cc", "never sent", m)
	a.mark(late, to("do.911")) // no longer expires
	exchange(t, a, b)
	b.mustHold("before", r, 1)
	clock.Move(2 * time.Hour)
	b.step() // the link is cut
	b.mustHold("expired", r, 0)
	a.step()
	a.mustSee("expired", r, b, Recalling)
	exchange(t, a, b)
	a.mustSee("acknowledged", r, b, Purged)
	b.mustHold("does not expire", late, 2)
	never := a.open("ht.cc", "born expired", m)
	exchange(t, a, b)
	b.mustHold("born expired", never, 0)
	// The clock was wrong: what had not expired is there again.
	clock.Move(-2*time.Hour + time.Minute)
	exchange(t, a, b)
	b.mustHold("by the right clock", r, 1)
}

func TestUrgentOvertakesABacklog(t *testing.T) {
	_, a, b := pair(t)
	for range 50 {
		a.open("ht.cc", "slow", to("do.911"))
	}
	calm := a.raise("ht.cc", "calm", false, to("do.911"))
	a.step()
	bad := a.raise("ht.cc", "bad", true, to("do.911"))
	bs := a.bundles(b, 4<<10)
	b.take(bs[0])
	b.mustHold("first bundle", bad, 1)
	b.mustHold("first bundle", calm, 0)
	b.take(bs[1:]...)
	b.mustHold("all bundles", calm, 1)
}

func TestFloodOfUrgentOnesLeavesTheLaneFree(t *testing.T) {
	clock, a, b := pair(t)
	a.step()
	for range urgentBurst + 50 {
		a.raise("ht.cc", "an import", true, to("do.911"))
	}
	a.step()
	out, err := a.x.outgoing(t.Context(), b.keys.name)
	if err != nil || out.Waiting[store.Urgent] != urgentBurst || out.Waiting[store.Normal] != 50 {
		t.Fatalf("%+v %v", out, err)
	}
	clock.Move(time.Second)
	a.raise("ht.cc", "now", true, to("do.911"))
	a.step()
	if out, err = a.x.outgoing(t.Context(), b.keys.name); err != nil || out.Waiting[store.Urgent] != urgentBurst+1 {
		t.Fatalf("%+v %v", out, err)
	}
}

func TestNewMemberGetsWhatItMayAndNothingOlderThanItsMembership(t *testing.T) {
	clock, a, b := pair(t)
	old := a.open("ht.cc", "old", to("@caricom"))
	direct := a.open("ht.cc", "direct", to("do.911"))
	clock.Move(time.Hour)
	since := clock.Now()
	clock.Move(time.Hour)
	young := a.open("ht.cc", "young", to("@caricom"))
	exchange(t, a, b)
	b.mustHold("no member", old, 0)
	b.mustHold("no member", young, 0)
	b.mustHold("named", direct, 1)
	join := func(at time.Time) {
		for _, s := range []*station{a, b} {
			if err := s.trust.SetMembership(t.Context(), "admin", "do.911", map[string]time.Time{"@hispaniola": {}, "@caricom": at}); err != nil {
				t.Fatal(err)
			}
		}
	}
	join(since)
	exchange(t, a, b)
	b.mustHold("member", young, 1)
	b.mustHold("older than the membership", old, 0)
	old = a.edit(old, "newer than the membership")
	exchange(t, a, b)
	b.mustHold("a version of today", old, 2)
	// A membership that begins earlier brings more, one that begins later takes back.
	older := a.open("ht.cc", "older", to("@caricom"))
	join(clock.Now().Add(time.Minute))
	exchange(t, a, b)
	for _, r := range []*record.Record{old, young, older} {
		b.mustHold("begins later", r, 0)
	}
	join(time.Time{})
	exchange(t, a, b)
	b.mustHold("always", old, 2)
	b.mustHold("always", young, 1)
	b.mustHold("always", older, 1)
}

func TestLeaverIsPurged(t *testing.T) {
	_, a, b := pair(t)
	community := a.open("ht.cc", "community", to("@hispaniola"))
	green := a.open("ht.cc", "green", record.Marking{TLP: record.Green})
	both := a.open("ht.cc", "both", to("@hispaniola", "do.911"))
	exchange(t, a, b)
	if err := a.trust.SetMembership(t.Context(), "admin", "do.911", map[string]time.Time{"@dispatch": {}}); err != nil {
		t.Fatal(err)
	}
	// Nothing is sealed on yesterday's membership, also before the ledger was followed.
	waiting := a.open("ht.cc", "waiting", to("@hispaniola"))
	exchange(t, a, b)
	for _, r := range []*record.Record{community, green, waiting} {
		b.mustHold("left", r, 0)
	}
	b.mustHold("named", both, 1)
	a.mustSee("left", community, b, Purged)
	if h := a.holder(community, b); h.Reason != "left" {
		t.Errorf("%+v", h)
	}
}

func TestMembershipThatEndedWhileTheNodeWasStoppedIsNoticed(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "community", to("@hispaniola"))
	exchange(t, a, b)
	if err := a.trust.SetMembership(t.Context(), "admin", "do.911", map[string]time.Time{}); err != nil {
		t.Fatal(err)
	}
	a.restart() // before anybody looked
	exchange(t, a, b)
	b.mustHold("left", r, 0)
	a.mustSee("left", r, b, Purged)
}

func TestOwnersCommunityThatEndedEndsGreen(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "green", record.Marking{TLP: record.Green})
	exchange(t, a, b)
	b.mustHold("green", r, 1)
	if err := a.trust.SetMembership(t.Context(), "admin", "ht.cc", map[string]time.Time{"@relief": {}}); err != nil {
		t.Fatal(err)
	}
	exchange(t, a, b)
	b.mustHold("nothing in common", r, 0)
}

func TestNewNodeGetsWhatIsReleasedToIt(t *testing.T) {
	clock, a, b := pair(t)
	var rs []*record.Record
	for range 30 {
		rs = append(rs, a.open("ht.cc", "for both", to("do.911", "int.aid")))
	}
	not := a.open("ht.cc", "for one", to("do.911"))
	exchange(t, a, b)
	c := newStation(t, "cccccccc", clock, map[string][]string{"int.aid": {"@relief"}})
	befriend(t, a, c)
	exchange(t, a, b, c)
	for _, r := range rs {
		c.mustHold("released", r, 1)
	}
	c.mustHold("not released", not, 0)
}

func TestRevokedGetsNothingAndWhatItHoldsIsUnreachable(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "before", to("do.911"))
	exchange(t, a, b)
	waiting := a.open("ht.cc", "waiting", to("do.911"))
	a.step()
	if err := a.trust.Revoke(t.Context(), "admin", b.keys.name, "stolen"); err != nil {
		t.Fatal(err)
	}
	a.x.Talk(b.keys.name, say("anything", struct{}{}))
	later := a.open("ht.cc", "later", to("do.911"))
	n := a.trust.Node(b.keys.name)
	for range 2 {
		for _, lane := range []bundle.Lane{bundle.Urgent, bundle.Normal, bundle.Talk} {
			if raw, _, err := a.x.nextBundle(t.Context(), n, lane, 0, 0); raw != nil || err != nil {
				t.Errorf("lane %d is sealed to a revoked node: %v", lane, err)
			}
		}
		a.step()
	}
	a.mustSee("held", r, b, Lost)
	for _, x := range []*record.Record{waiting, later} {
		if h := a.holder(x, b); h.State != "" {
			t.Errorf("%+v", h)
		}
	}
	b.open("do.911", "back", to("ht.cc"))
	for _, raw := range b.bundles(a, 0) {
		if _, err := a.x.arrived(t.Context(), raw); record.CodeOf(err) != record.Denied {
			t.Errorf("a bundle of a revoked node is taken: %v", err)
		}
	}
	if !slices.Contains(a.codes(), "unknown-sender") {
		t.Error(a.codes())
	}
	if err := a.x.takeReceipt(t.Context(), must(b.x.receipt(t.Context(), b.trust.Node(a.keys.name)))); record.CodeOf(err) != record.Denied {
		t.Errorf("a receipt of a revoked node is taken: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestDuplicateReorderedAndReplayedBundlesDoNoHarm(t *testing.T) {
	_, a, b := pair(t)
	var rs []*record.Record
	for range 40 {
		rs = append(rs, a.open("ht.cc", strings.Repeat("long words ", 15), to("do.911")))
	}
	bs := a.bundles(b, 2<<10)
	if len(bs) < 4 {
		t.Fatalf("%d bundles", len(bs))
	}
	gaps := 0
	for _, raw := range slices.Backward(bs) {
		if _, err := b.x.arrived(t.Context(), raw); record.CodeOf(err) == record.Conflict {
			gaps++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if gaps < 2 {
		t.Errorf("%d gaps", gaps)
	}
	for _, r := range rs {
		b.mustHold("in reverse", r, 1)
	}
	if n := b.x.stream.inboxes.parked.waiting(); n != 0 {
		t.Errorf("%d bundles still wait", n)
	}
	changes := len(b.entries("change"))
	b.take(bs...)
	b.take(bs...)
	if n := len(b.entries("change")); n != changes || n != len(rs) {
		t.Errorf("%d changes, %d before", n, changes)
	}
	// A recall, and then the old bundle once more.
	a.mark(rs[0], record.Marking{TLP: record.Amber})
	exchange(t, a, b)
	b.take(bs...)
	b.mustHold("replayed after the recall", rs[0], 0)
}

func TestParkedBundlesSurviveARestart(t *testing.T) {
	_, a, b := pair(t)
	var rs []*record.Record
	for range 20 {
		rs = append(rs, a.open("ht.cc", strings.Repeat("long words ", 15), to("do.911")))
	}
	bs := a.bundles(b, 2<<10)
	for _, raw := range bs[1:] {
		b.x.arrived(t.Context(), raw)
	}
	b.mustHold("waits", rs[len(rs)-1], 0)
	b.restart()
	b.take(bs[0])
	for _, r := range rs {
		b.mustHold("after the gap was closed", r, 1)
	}
}

func TestStickInAnyOrderTwiceWithoutHarm(t *testing.T) {
	_, a, b := pair(t)
	first := a.open("ht.cc", "first", to("do.911"))
	one := a.stick(b)
	first = a.edit(first, "again")
	second := a.open("ht.cc", "second", to("do.911"))
	two := a.stick(b)
	a.mark(second, record.Marking{TLP: record.Amber})
	three := a.stick(b)
	a.mustSee("carried", first, b, Sent)
	for _, s := range [][]byte{three, one, two, one, three} {
		if told := b.insert(s); len(told.Problems) > 0 || told.Parked > 0 {
			t.Errorf("%+v", told)
		}
	}
	b.mustHold("edited", first, 2)
	b.mustHold("recalled", second, 0)
	// The receipt comes back on a stick, too.
	a.insert(b.stick(a))
	a.written(b)
	a.mustSee("receipt on a stick", first, b, Received)
	a.mustSee("receipt on a stick", second, b, Purged)
}

func TestPushThatDeliveredNothingIsNotReportedAsSuccess(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "lost", to("do.911"))
	for range 3 {
		a.bundles(b, 0) // lost on the way
	}
	b.acknowledge(a)
	a.mustSee("lost three times", r, b, Sent)
	if a.settled(b) {
		t.Error("settled")
	}
	if out, err := a.x.outgoing(t.Context(), b.keys.name); err != nil || out.Waiting[store.Normal] != 1 {
		t.Errorf("%+v %v", out, err)
	}
	exchange(t, a, b)
	a.mustSee("sent once more", r, b, Received)
}

func TestRefusedIsReportedToTheSenderAndTriedAgainWhenTheDirectoryChanges(t *testing.T) {
	_, a, b := pair(t)
	good := a.open("ht.cc", "good", to("do.911"))
	// Only a knows yet that do.911 has come to @caricom.
	if err := a.trust.SetMembership(t.Context(), "admin", "do.911", map[string]time.Time{"@hispaniola": {}, "@caricom": {}}); err != nil {
		t.Fatal(err)
	}
	r := a.open("ht.cc", "for members", to("@caricom"))
	later := a.open("ht.cc", "good, too", to("do.911"))
	exchange(t, a, b)
	b.mustHold("refused", r, 0)
	b.mustHold("beside it", good, 1)
	b.mustHold("beside it", later, 1)
	a.mustSee("refused", r, b, NotAccepted)
	if h := a.holder(r, b); !strings.Contains(h.Reason, intake.BadMarking) {
		t.Errorf("%+v", h)
	}
	if !slices.Contains(b.codes(), "refused") || !slices.Contains(a.codes(), "not-taken") {
		t.Error(a.codes(), b.codes())
	}
	if err := b.trust.SetMembership(t.Context(), "admin", "do.911", map[string]time.Time{"@hispaniola": {}, "@caricom": {}}); err != nil {
		t.Fatal(err)
	}
	exchange(t, a, b)
	b.mustHold("after the directory came", r, 1)
	a.mustSee("after the directory came", r, b, Received)
}

func TestFalseReceiptIsRefusedWithAnAlarm(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "never sent", to("do.911"))
	a.step()
	at := b.clock.Now()
	claim := func(received [store.Lanes]int64) error {
		at = at.Add(time.Second)
		payload, _ := json.Marshal(&Receipt{From: b.keys.name, To: a.keys.name, Received: received, At: at})
		return a.x.takeReceipt(t.Context(), signReceipt(b, payload))
	}
	for _, received := range [][store.Lanes]int64{{0, 1}, {1000, 0}, {1 << 62, 1 << 62}} {
		if err := claim(received); record.CodeOf(err) != record.Denied {
			t.Errorf("%v: %v", received, err)
		}
	}
	a.mustSee("claimed", r, b, Queued)
	if n := len(a.entries("receipt")); n != 0 || !slices.Contains(a.codes(), "false-receipt") {
		t.Errorf("%d receipts, %v", n, a.codes())
	}
	exchange(t, a, b)
	a.mustSee("the true one counts", r, b, Received)
}

func signReceipt(s *station, payload []byte) []byte {
	b, err := json.Marshal(receiptDoc{payload, keyID(s.keys.link), ledger.SignAs(s.keys.link, ReceiptType, payload)})
	if err != nil {
		panic(err)
	}
	return b
}

func TestBadBundlesAreRefusedByNameWhileGoodOnesGoOn(t *testing.T) {
	clock, a, b := pair(t)
	c := newStation(t, "cccccccc", clock, map[string][]string{"int.aid": {"@relief"}})
	befriend(t, a, c)
	r := a.open("ht.cc", "good", to("do.911", "int.aid"))
	forB, forC := a.bundles(b, 0), a.bundles(c, 0)
	flipped := bytes.Clone(forB[0])
	flipped[len(flipped)-5] ^= 1
	stranger := newStation(t, "dddddddd", clock, map[string][]string{"do.other": nil})
	stranger.admit(b, nil)
	stranger.open("do.other", "hello", to("do.911"))
	for name, raw := range map[string][]byte{
		"altered": flipped, "truncated": forB[0][:len(forB[0])-9], "not-for-us": forC[0], "unknown-sender": stranger.bundles(b, 0)[0], "malformed": []byte("what is this, then?"),
	} {
		if _, err := b.x.arrived(t.Context(), raw); err == nil {
			t.Errorf("%s: taken", name)
		}
		if !slices.Contains(b.codes(), name) {
			t.Errorf("%s: the alarms are %v", name, b.codes())
		}
	}
	b.take(forB...)
	b.mustHold("the good one", r, 1)
}

func TestRepeatedAlarmsAreCountedNotMultiplied(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "one", to("do.911"))
	before := len(b.entries("alarm"))
	for i := range 300 {
		b.x.alarm(t.Context(), a.keys.name, "forged", "again", r.ID)
		b.x.alarm(t.Context(), a.keys.name, "refused", "another record", kerneltest.ID())
		if i == 100 {
			b.restart()
		}
	}
	as, err := b.x.Alarms(t.Context(), 1000)
	if err != nil || len(as) > maxOfSort+2 {
		t.Errorf("%d alarms, %v", len(as), err)
	}
	if n := len(b.entries("alarm")) - before; n > 2*(maxOfSort+2) {
		t.Errorf("%d entries in the ledger", n)
	}
	i := slices.IndexFunc(as, func(al Alarm) bool { return al.Code == "forged" })
	if i < 0 || !strings.Contains(as[i].Text, "times") {
		t.Errorf("%+v", as)
	}
}

func TestRestoredReceiverGetsAgainWhatItLost(t *testing.T) {
	for _, known := range []bool{true, false} {
		_, a, b := pair(t)
		old := a.open("ht.cc", "old", to("do.911"))
		ended := a.open("ht.cc", "ended later", to("do.911"))
		exchange(t, a, b)
		backup := b.backup()
		lost := a.open("ht.cc", "lost", to("do.911"))
		old = a.edit(old, "changed")
		a.mark(ended, record.Marking{TLP: record.Amber})
		exchange(t, a, b)
		b.mustHold("before", lost, 1)
		b.restore(backup, known)
		b.mustHold("restored", lost, 0)
		b.mustHold("restored", ended, 1)
		exchange(t, a, b)
		b.mustHold("after", lost, 1)
		b.mustHold("after", old, 2)
		b.mustHold("after", ended, 0)
		a.mustSee("after", ended, b, Purged)
		a.mustSee("after", lost, b, Received)
		if slices.Contains(a.codes(), "false-receipt") {
			t.Error(a.codes())
		}
	}
}

func TestRestoredReceiverIsHeardAlsoWhenItsClockIsWrong(t *testing.T) {
	clock, a, b := pair(t)
	first := a.open("ht.cc", "first", to("do.911"))
	exchange(t, a, b)
	backup := b.backup()
	lost := a.open("ht.cc", "lost", to("do.911"))
	exchange(t, a, b)
	clock.Move(-2 * time.Hour)
	b.restore(backup, true)
	exchange(t, a, b) // by receipts alone, as over a hub
	b.mustHold("lost by the restore", lost, 1)
	b.mustHold("kept", first, 1)
	a.mustSee("after the restore", lost, b, Received)
	// And after a mere restart with a clock that was put back.
	clock.Move(-time.Hour)
	b.restart()
	next := a.open("ht.cc", "next", to("do.911"))
	exchange(t, a, b)
	a.mustSee("after a restart", next, b, Received)
}

func TestRestoredSenderMendsItsStream(t *testing.T) {
	_, a, b := pair(t)
	kept := a.open("ht.cc", "kept", to("do.911"))
	narrowed := a.open("ht.cc", "narrowed after the backup", to("do.911"))
	secret := a.open("ht.cc", "released after the backup", record.Marking{TLP: record.Amber})
	waiting := a.open("ht.cc", "waiting at the backup", to("do.911"))
	exchange(t, a, b)
	waiting = a.edit(waiting, "changed before the backup")
	a.step()
	backup := a.backup()
	lost := a.open("ht.cc", "made after the backup", to("do.911"))
	a.mark(narrowed, record.Marking{TLP: record.Amber})
	a.mark(secret, to("do.911"))
	for range 20 {
		a.open("ht.cc", "more numbers", to("do.911"))
	}
	exchange(t, a, b)
	b.mustHold("before", narrowed, 0)
	b.mustHold("before", secret, 2)
	b.mustHold("before", lost, 1)
	a.restore(backup, true)
	newer := a.open("ht.cc", "made after the restore", to("do.911"))
	kept = a.edit(kept, "edited after the restore")
	exchange(t, a, b)
	b.mustHold("kept", kept, 2)
	b.mustHold("narrowed in the lost time", narrowed, 0)
	a.mustSee("narrowed in the lost time, released as far as the owner knows", narrowed, b, NotAccepted)
	b.mustHold("released in the lost time", secret, 0)
	b.mustHold("the owner knows nothing of it", lost, 0)
	b.mustHold("waiting", waiting, 2)
	b.mustHold("new", newer, 1)
	if !a.settled(b) || slices.Contains(a.codes(), "false-receipt") {
		t.Error(a.settled(b), a.codes())
	}
	narrowed = a.edit(narrowed, "as its owner says now")
	exchange(t, a, b)
	b.mustHold("released by the version that replaces the lost one", narrowed, 2)
	// And everything still goes on afterwards.
	a.mark(newer, record.Marking{TLP: record.Amber})
	exchange(t, a, b)
	b.mustHold("recalled", newer, 0)
}

func TestSenderRolledBackWithoutKnowingIsNotBelieved(t *testing.T) {
	_, a, b := pair(t)
	exchange(t, a, b)
	backup := a.backup()
	a.open("ht.cc", "lost", to("do.911"))
	exchange(t, a, b)
	a.restore(backup, false)
	a.step()
	if err := a.x.takeReceipt(t.Context(), must(b.x.receipt(t.Context(), b.trust.Node(a.keys.name)))); record.CodeOf(err) != record.Denied {
		t.Error(err)
	}
	if !slices.Contains(a.codes(), "false-receipt") {
		t.Error(a.codes())
	}
}

func TestBothRestoredConverge(t *testing.T) {
	_, a, b := pair(t)
	one := a.open("ht.cc", "one", to("do.911"))
	other := b.open("do.911", "other", to("ht.cc"))
	exchange(t, a, b)
	backupA := a.backup()
	two := a.open("ht.cc", "two", to("do.911"))
	one = a.edit(one, "one again")
	exchange(t, a, b)
	backupB := b.backup()
	a.open("ht.cc", "three", to("do.911"))
	third := b.open("do.911", "third", to("ht.cc"))
	exchange(t, a, b)
	a.restore(backupA, true)
	b.restore(backupB, true)
	four := a.open("ht.cc", "four", to("do.911"))
	exchange(t, a, b)
	b.mustHold("lost by its owner", two, 0)
	b.mustHold("new", four, 1)
	a.mustHold("kept", other, 1)
	a.mustHold("lost by its owner", third, 0)
	one = a.edit(one, "one differently")
	one = a.edit(one, "one differently still")
	exchange(t, a, b)
	b.mustHold("edited", one, 3)
	fifth := b.open("do.911", "fifth", to("ht.cc"))
	exchange(t, a, b)
	a.mustHold("new", fifth, 1)
	if !a.settled(b) || !b.settled(a) {
		t.Error(a.settled(b), b.settled(a))
	}
}

func TestMendingGoesOnWhenWordsAreLost(t *testing.T) {
	_, a, b := pair(t)
	for range 2*rowsOfWord + 50 {
		a.open("ht.cc", "many", to("do.911"))
	}
	exchange(t, a, b)
	backup := a.backup()
	lost := a.open("ht.cc", "lost", to("do.911"))
	exchange(t, a, b)
	a.restore(backup, true)
	b.acknowledge(a) // tells how far it is
	b.take(a.bundles(b, 0)...)
	b.x.stream.talks.drop(a.keys.name) // the answer is lost
	exchange(t, a, b)
	if a.settled(b) {
		t.Fatal("settled without an answer")
	}
	a.x.stream.mends.by[b.keys.name].asked = time.Time{}
	a.x.stream.mendAgain()
	exchange(t, a, b)
	b.mustHold("lost", lost, 0)
	if !a.settled(b) {
		t.Error("not settled")
	}
}

func TestRestoredSenderMendsItsStreamByStick(t *testing.T) {
	_, a, b := pair(t)
	kept := a.open("ht.cc", "kept", to("do.911"))
	exchange(t, a, b)
	backup := a.backup()
	lost := a.open("ht.cc", "lost", to("do.911"))
	b.insert(a.stick(b))
	b.mustHold("before", lost, 1)
	a.restore(backup, true)
	newer := a.open("ht.cc", "newer", to("do.911"))
	for range 3 {
		b.insert(a.stick(b))
		a.insert(b.stick(a))
	}
	b.mustHold("kept", kept, 1)
	b.mustHold("lost", lost, 0)
	b.mustHold("newer", newer, 1)
}

func TestRecallReachesWhatArrivesLateOnAStick(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "carried", to("do.911"))
	stick := a.stick(b)
	a.mark(r, record.Marking{TLP: record.Amber})
	exchange(t, a, b) // the recall is there first
	b.insert(stick)
	b.mustHold("an older stick", r, 0)
	a.mustSee("an older stick", r, b, Purged)
}

func TestLateRecallDoesNotEndWhatWasSentAgainSince(t *testing.T) {
	_, a, b := pair(t)
	r := a.open("ht.cc", "comes and goes", to("@hispaniola"))
	exchange(t, a, b)
	member := func(in map[string]time.Time) {
		if err := a.trust.SetMembership(t.Context(), "admin", "do.911", in); err != nil {
			t.Fatal(err)
		}
	}
	member(map[string]time.Time{})
	recall := a.bundles(b, 0)
	member(map[string]time.Time{"@hispaniola": {}})
	b.take(a.bundles(b, 0)...)
	b.mustHold("member again", r, 1)
	b.take(recall...)
	b.mustHold("the recall of the time between comes late", r, 1)
	exchange(t, a, b)
	b.mustHold("at the end", r, 1)
	a.mustSee("at the end", r, b, Received)
}

func TestImportOfAThousandsKeepsUp(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	_, a, b := pair(t)
	a.step()
	by := a.operator("ht.cc")
	var cmds []*intake.Command
	for range 10_000 {
		d := kerneltest.Draft(kerneltest.Note{Title: "imported", Text: strings.Repeat("word ", 40)})
		d.Marking = to("do.911")
		cmds = append(cmds, &intake.Command{Kind: "note", Name: desk.Create, Record: kerneltest.ID(), By: by, Draft: d})
	}
	if _, errs := a.intake.DoAll(t.Context(), cmds); slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		t.Fatal(errs[0])
	}
	start := time.Now()
	a.step()
	t.Logf("%.0f changes a second are followed", float64(len(cmds))/time.Since(start).Seconds())
	if out, err := a.x.outgoing(t.Context(), b.keys.name); err != nil || out.Waiting[store.Normal] != len(cmds) {
		t.Errorf("%+v %v", out, err)
	}
}
