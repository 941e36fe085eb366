package storetest

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// arrived makes an entry of a version of another agency, learned now.
func (w *writer) arrived(r *record.Record) *store.Item {
	w.now = w.now.Add(time.Millisecond)
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return w.item(ledger.Entry{Type: "change", Agency: r.Owner, Actor: r.Author, Record: r.ID, Version: r.Version, Content: raw, KeyID: "k2", Sig: []byte("theirs")},
		func(it *store.Item) { it.Row = row(r); it.Row.Foreign = true })
}

// ops commits changes with an entry that tells of them.
func (w *writer) ops(t testing.TB, ops ...store.Op) {
	t.Helper()
	w.commit(t, w.item(ledger.Entry{Type: "arrival", Agency: "ht.cc", Actor: "node", Content: []byte("{}")}, func(it *store.Item) { it.Ops = ops }))
}

func foreign(t *testing.T, w *writer) {
	hash := strings.Repeat("cd", 32)
	target := w.note()
	w.put(t, target)
	at := func(version int, words string) *record.Record {
		return w.note(func(r *record.Record) {
			r.Owner, r.Author, r.Version, r.Note = "do.911", "do.911/x", version, words
			r.Observed, r.Recorded = day.Add(-48*time.Hour), day.Add(-24*time.Hour).Add(time.Duration(version)*time.Minute)
			r.Created = r.Recorded
			r.Links = []record.Link{{Rel: "about", Kind: "note", ID: target.ID}}
			r.Attachments = []record.Attachment{{Hash: hash}}
		})
	}
	third := at(3, "quetzal three")
	as := func(version int, words string) *record.Record {
		r := at(version, words)
		r.ID = third.ID
		return r
	}
	found := func(word string) (n int) {
		if err := w.s.Scan(ctx, &store.Query{Kinds: []string{"note"}, Sight: all(t, w.s, "note"), Terms: [][]string{{word}}}, func(*store.Brief) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	state := func(what string, version, versions int, words ...string) {
		t.Helper()
		s, err := w.s.Get(ctx, third.ID)
		if err != nil {
			t.Fatal(what, err)
		}
		vs, err := w.s.Versions(ctx, third.ID)
		if err != nil || s.Version != version || len(vs) != versions || s.Owner != "do.911" {
			t.Errorf("%s: version %d of %d, owner %q, %v", what, s.Version, len(vs), s.Owner, err)
		}
		for _, word := range []string{"three", "six", "again"} {
			if n := found(word); n == 1 != slices.Contains(words, word) {
				t.Errorf("%s: %q is found %d times", what, word, n)
			}
		}
		linked, err := w.s.Linked(ctx, target.ID, 10)
		attached, err2 := w.s.Attached(ctx, hash)
		rows, err3 := w.s.Rows(ctx, "note")
		if len(linked) != 1 || !attached || rows != 2 || err != nil || err2 != nil || err3 != nil {
			t.Errorf("%s: %d links, attached %v, %d rows, %v %v %v", what, len(linked), attached, rows, err, err2, err3)
		}
		check(t, w)
	}
	w.commit(t, w.arrived(third))
	state("first seen", 3, 1, "three")
	s, _ := w.s.Get(ctx, third.ID)
	if s.KeyID != "k2" || string(s.Sig) != "theirs" || !s.At.Equal(w.now) || !s.Record.Recorded.Equal(third.Recorded) {
		t.Errorf("%+v", s)
	}
	w.commit(t, w.arrived(as(6, "quetzal six")))
	state("after a gap", 6, 2, "six")
	refused := func(what string, it *store.Item) {
		t.Helper()
		if err := w.s.Commit(ctx, &store.Batch{Items: []*store.Item{it}, Checkpoint: []byte("x")}); record.CodeOf(err) != record.Conflict {
			t.Errorf("%s: %v", what, err)
		}
		w.seq--
	}
	refused("an older version", w.arrived(as(5, "five")))
	refused("a gap in a record of our own", w.change(as(9, "nine")))
	w.commit(t, w.arrived(as(6, "quetzal again")))
	state("replaced by its equal", 6, 3, "again")

	due := func() int { ids, _ := w.s.Due(ctx, "note", day, 10); return len(ids) }
	if due() != 1 { // it came today, and what counts is when its owner recorded it
		t.Errorf("%d are due", due())
	}
	gone := w.erase(as(6, ""))
	w.commit(t, gone)
	same(t, "orphans", []string{hash}, gone.Orphans)
	m, err := w.s.Current(ctx, []record.ID{third.ID})
	if err != nil || m[third.ID] == nil || m[third.ID].Record != nil || m[third.ID].Owner != "do.911" || m[third.ID].Version != 6 {
		t.Errorf("purged: %+v %v", m[third.ID], err)
	}
	rows, _ := w.s.Rows(ctx, "note")
	if linked, _ := w.s.Linked(ctx, target.ID, 10); len(linked) != 0 || rows != 1 || found("quetzal") != 0 || due() != 0 {
		t.Errorf("purged: %d links, %d rows", len(linked), rows)
	}
	check(t, w)
	refused("an older version after the purge", w.arrived(as(5, "five")))
	w.commit(t, w.arrived(as(6, "quetzal six")))
	state("the same version came back", 6, 4, "six")
	w.commit(t, w.erase(as(6, "")), w.arrived(as(8, "quetzal again"))) // purged and back in one batch
	state("a newer version came back", 8, 5, "again")
	w.commit(t, w.erase(as(8, "")))
	if vs, err := w.s.Versions(ctx, third.ID); err != nil || slices.ContainsFunc(vs, func(v *store.Stored) bool { return v.Raw != nil }) {
		t.Errorf("a version outlived the last purge: %v %v", vs, err)
	}
	check(t, w)
}

func nodes(t *testing.T, w *writer) {
	list := func() []store.Node {
		ns, err := w.s.KnownNodes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return ns
	}
	if ns := list(); len(ns) != 0 {
		t.Error(ns)
	}
	key := ed25519.PublicKey(strings.Repeat("k", ed25519.PublicKeySize))
	b := store.Node{Name: "konbit.node/0000000b", Title: "Santo Domingo", Ledger: "vkey", Sign: key, OldSign: []store.OldKey{{Key: key, Until: day}}, Seal: "age1x",
		URLs: []string{"https://b.example"}, Via: "konbit.node/0000000c", Agencies: []string{"do.911"}, Serial: 3, Card: []byte{0, 1, 2}, State: store.NodeActive,
		Since: day, Region: "hispaniola", Caps: []store.Cap{{From: 22, To: 6, Kbit: 64}}, Why: "why"}
	a := store.Node{Name: "konbit.node/0000000a", State: store.NodePending, Since: day}
	w.ops(t, store.PutNode{Node: b}, store.PutNode{Node: a})
	same(t, "nodes", []store.Node{a, b}, list())
	a.State, a.Title = store.NodeRevoked, "gone"
	w.ops(t, store.PutNode{Node: a}, store.DropNode{Name: "nobody"})
	same(t, "changed", []store.Node{a, b}, list())
	w.ops(t, store.DropNode{Name: a.Name})
	same(t, "dropped", []store.Node{b}, list())
}

func agency(t *testing.T, w *writer) {
	key := ed25519.PublicKey(strings.Repeat("k", ed25519.PublicKeySize))
	want := []store.Agency{
		{ID: "do.911", Name: "911", Country: "DO", Communities: []string{"@dispatch", "@hispaniola"}, PublicKey: key, Created: day, Node: "konbit.node/0000000b",
			OldKeys: []store.OldKey{{Key: key, Until: day}}, Joined: map[string]time.Time{"@hispaniola": day}},
		{ID: "ht.cc", Name: "cc", Country: "HT", Communities: []string{}, Local: true, Created: day},
	}
	w.ops(t, store.PutAgency{Agency: want[1]}, store.PutAgency{Agency: want[0]})
	got, _, err := w.s.People(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "agencies", want, got)
	want[0].OldKeys, want[0].Joined, want[0].Node = nil, nil, ""
	w.ops(t, store.PutAgency{Agency: want[0]})
	got, _, _ = w.s.People(ctx)
	same(t, "agencies, forgotten", want, got)
}

const peerA, peerB = "konbit.node/0000000a", "konbit.node/0000000b"

// send and recall make shares of a record.
func send(node string, id record.ID, version int, lane store.Lane) store.Share {
	return store.Share{Node: node, Record: id, Lane: lane, Act: store.Send, Kind: "note", Version: version, Seq: int64(version), Queued: day}
}

func recall(node string, id record.ID, version int) store.Share {
	return store.Share{Node: node, Record: id, Lane: store.Urgent, Act: store.Recall, Kind: "note", Version: version, Reason: "narrowed", Queued: day}
}

// exchange reads and writes shares, and ends the test when that fails.
type exchange struct {
	t testing.TB
	w *writer
}

func (x exchange) queue(shares ...store.Share) {
	x.t.Helper()
	if err := x.w.s.Queue(ctx, "", 0, shares); err != nil {
		x.t.Fatal(err)
	}
}

func (x exchange) sent(node string, lane store.Lane, upTo int64) {
	x.t.Helper()
	if err := x.w.s.MarkSent(ctx, node, lane, 0, upTo, day.Add(time.Minute)); err != nil {
		x.t.Fatal(err)
	}
}

func (x exchange) receipt(node string, urgent, normal int64) {
	x.t.Helper()
	x.w.ops(x.t, store.PutReceipt{Node: node, Received: [store.Lanes]int64{urgent, normal}, At: day.Add(time.Hour)})
}

func (x exchange) all(node string) (out []store.Share) {
	x.t.Helper()
	if err := x.w.s.EachShare(ctx, node, func(s *store.Share) bool { out = append(out, *s); return true }); err != nil {
		x.t.Fatal(err)
	}
	return out
}

// line says what a share is in a few letters: "5 send v2 lane 1 held 3 sent done".
func line(s store.Share) string {
	l := fmt.Sprintf("%d %s v%d lane %d held %d", s.N, [...]string{"send", "recall", "word"}[s.Act], s.Version, s.Lane, s.Held)
	if !s.Sent.IsZero() {
		l += " sent"
	}
	if !s.Done.IsZero() {
		l += " done"
	}
	return l
}

func (x exchange) lane(node string, lane store.Lane, after int64, want ...string) {
	x.t.Helper()
	ss, err := x.w.s.Shares(ctx, node, lane, after, 100)
	if err != nil {
		x.t.Fatal(err)
	}
	var got []string
	for _, s := range ss {
		got = append(got, line(s))
	}
	same(x.t, fmt.Sprintf("lane %d of %s", lane, node), want, got)
}

func (x exchange) outgoing(node string, want store.Outgoing) {
	x.t.Helper()
	got, err := x.w.s.Outgoing(ctx, node)
	if err != nil {
		x.t.Fatal(err)
	}
	same(x.t, "outgoing", want, got)
}

func backlog(t *testing.T, w *writer) {
	x := exchange{t, w}
	x.outgoing(peerA, store.Outgoing{})
	p, q := w.id(), w.id()
	batch := []store.Share{send(peerA, p, 1, store.Normal), send(peerB, p, 1, store.Normal), send(peerA, q, 1, store.Urgent)}
	if err := w.s.Queue(ctx, "peer", 7, batch); err != nil {
		t.Fatal(err)
	}
	if batch[0].N != 1 || batch[1].N != 1 || batch[2].N != 2 {
		t.Errorf("numbers: %v", batch)
	}
	if seq, err := w.s.Cursor(ctx, "peer"); seq != 7 || err != nil {
		t.Error(seq, err)
	}
	x.queue(send(peerA, p, 2, store.Normal), send(peerA, p, 3, store.Urgent), send(peerA, q, 2, store.Normal))
	x.lane(peerA, store.Urgent, 0, "4 send v3 lane 0 held 0")
	x.lane(peerA, store.Normal, 0, "5 send v2 lane 1 held 0")
	x.lane(peerA, store.Normal, 5)
	x.lane(peerB, store.Normal, 0, "1 send v1 lane 1 held 0")
	x.outgoing(peerA, store.Outgoing{Last: 5, Waiting: [store.Lanes]int{1, 1}})
	x.outgoing("konbit.node/0000000c", store.Outgoing{})

	// Words about a record stand beside its share, one of each topic.
	word := store.Share{Node: peerA, Record: p, Topic: "opened", Lane: store.Normal, Act: store.Word, Word: json.RawMessage(`{"x":1}`), Queued: day}
	again := word
	again.Word = json.RawMessage(`{"x":2}`)
	other := word
	other.Topic = "refused"
	x.queue(word, again, other)
	ss, err := w.s.Shares(ctx, peerA, store.Normal, 5, 100)
	if err != nil || len(ss) != 2 || string(ss[0].Word) != `{"x":2}` || ss[0].N != 7 || ss[1].Topic != "refused" {
		t.Errorf("%+v %v", ss, err)
	}
	of, err := w.s.SharesOf(ctx, p)
	if err != nil || len(of) != 2 || of[0].Act != store.Send || of[1].Act != store.Send {
		t.Errorf("%+v %v", of, err)
	}
	if n := len(x.all(peerA)); n != 2 {
		t.Errorf("%d shares", n)
	}
	want := send(peerA, p, 3, store.Urgent)
	want.N = 4
	i := slices.IndexFunc(of, func(s store.Share) bool { return s.Node == peerA })
	same(t, "the share as it was queued", want, of[i])

	// A long backlog is walked in order, and the walker may ask the store.
	var many []store.Share
	for range 1200 {
		many = append(many, send(peerB, w.id(), 1, store.Normal))
	}
	x.queue(many...)
	n := 0
	if err := w.s.EachShare(ctx, peerB, func(s *store.Share) bool {
		n++
		_, err := w.s.SharesOf(ctx, s.Record)
		return err == nil && n < 1100
	}); err != nil || n != 1100 {
		t.Error(n, err)
	}
	if n := len(x.all(peerB)); n != 1201 {
		t.Errorf("%d shares", n)
	}
	if some, _ := w.s.Shares(ctx, peerB, store.Normal, 10, 5); len(some) != 5 || some[0].N != 11 || some[4].N != 15 {
		t.Errorf("%+v", some)
	}
}

func recallUnsent(t *testing.T, w *writer) {
	x := exchange{t, w}
	p, q := w.id(), w.id()
	x.queue(send(peerA, p, 1, store.Normal))
	x.queue(recall(peerA, p, 2), recall(peerA, q, 1))
	x.lane(peerA, store.Urgent, 0)
	x.lane(peerA, store.Normal, 0)
	x.outgoing(peerA, store.Outgoing{Last: 1})
	if n := len(x.all(peerA)); n != 0 {
		t.Errorf("%d shares", n)
	}
	x.queue(send(peerA, p, 3, store.Normal)) // released again
	x.lane(peerA, store.Normal, 0, "2 send v3 lane 1 held 0")

	// The node itself has said that it holds it: we had forgotten.
	r := recall(peerA, q, 1)
	r.Held = 9
	x.queue(r)
	x.lane(peerA, store.Urgent, 0, "3 recall v1 lane 0 held 9")
}

func recallSent(t *testing.T, w *writer) {
	x := exchange{t, w}
	p := w.id()
	x.queue(send(peerA, p, 1, store.Normal))
	x.sent(peerA, store.Normal, 1)
	x.queue(send(peerA, p, 2, store.Normal)) // not sent
	x.lane(peerA, store.Normal, 0, "2 send v2 lane 1 held 1")
	x.queue(recall(peerA, p, 3))
	x.lane(peerA, store.Normal, 0)
	x.lane(peerA, store.Urgent, 0, "3 recall v3 lane 0 held 1")
	x.receipt(peerA, 3, 2) // a receipt for what was never sent ends nothing
	x.lane(peerA, store.Urgent, 0, "3 recall v3 lane 0 held 1")
	x.outgoing(peerA, store.Outgoing{Last: 3, Received: [store.Lanes]int64{3, 2}})
	x.receipt(peerA, 0, 2)
	x.sent(peerA, store.Urgent, 3)
	x.lane(peerA, store.Urgent, 0, "3 recall v3 lane 0 held 1 sent")
	x.queue(recall(peerA, p, 4)) // erased, too: said again, for the newer version
	x.lane(peerA, store.Urgent, 0, "4 recall v4 lane 0 held 1")
	x.sent(peerA, store.Urgent, 4)
	x.receipt(peerA, 4, 2)
	x.lane(peerA, store.Urgent, 0, "4 recall v4 lane 0 held 0 sent done")
	x.queue(recall(peerA, p, 4)) // it is over; the row says since when
	x.lane(peerA, store.Urgent, 0, "4 recall v4 lane 0 held 0 sent done")
	ss, _ := w.s.SharesOf(ctx, p)
	if len(ss) != 1 || ss[0].Reason != "narrowed" || !ss[0].Sent.Equal(day.Add(time.Minute)) || !ss[0].Done.Equal(day.Add(time.Hour)) {
		t.Errorf("%+v", ss)
	}
	x.queue(send(peerA, p, 5, store.Normal))
	x.lane(peerA, store.Normal, 0, "5 send v5 lane 1 held 0")
}

func lowerReceipt(t *testing.T, w *writer) {
	x := exchange{t, w}
	p, q, r := w.id(), w.id(), w.id()
	x.queue(send(peerA, p, 1, store.Normal), send(peerA, q, 1, store.Normal), send(peerA, r, 1, store.Normal))
	x.sent(peerA, store.Normal, 3)
	x.receipt(peerA, 0, 3)
	x.queue(recall(peerA, p, 2))
	x.sent(peerA, store.Urgent, 4)
	x.receipt(peerA, 4, 3)
	x.outgoing(peerA, store.Outgoing{Last: 4, Received: [store.Lanes]int64{4, 3}})
	x.receipt(peerA, 0, 2) // restored from a backup
	x.lane(peerA, store.Urgent, 0, "4 recall v2 lane 0 held 4 sent")
	x.lane(peerA, store.Normal, 0, "2 send v1 lane 1 held 2 sent done", "3 send v1 lane 1 held 3 sent")
	x.outgoing(peerA, store.Outgoing{Last: 4, Received: [store.Lanes]int64{0, 2}, Waiting: [store.Lanes]int{1, 1}})
	x.receipt(peerA, 4, 3)
	x.lane(peerA, store.Urgent, 0, "4 recall v2 lane 0 held 0 sent done")
}

func fates(t *testing.T, w *writer) {
	x := exchange{t, w}
	p := w.id()
	x.queue(send(peerA, p, 1, store.Normal), send(peerB, p, 1, store.Normal))
	x.sent(peerA, store.Normal, 1)
	x.receipt(peerA, 0, 1)
	at := day.Add(2 * time.Hour)
	w.ops(t, store.PutFate{Node: peerA, Record: p, Opened: at}, store.PutFate{Node: peerA, Record: p, Opened: at.Add(time.Hour)},
		store.PutFate{Node: peerA, Record: p, Refused: "unknown-kind"}, store.PutFate{Node: peerA, Record: w.id(), Refused: "x"})
	of := func() (a, b store.Share) {
		ss, err := w.s.SharesOf(ctx, p)
		if err != nil || len(ss) != 2 {
			t.Fatal(ss, err)
		}
		slices.SortFunc(ss, func(a, b store.Share) int { return cmp.Compare(a.Node, b.Node) })
		return ss[0], ss[1]
	}
	a, b := of()
	if a.Refused != "unknown-kind" || !a.Opened.Equal(at) || b.Refused != "" || !b.Opened.IsZero() {
		t.Errorf("%+v\n%+v", a, b)
	}
	x.queue(send(peerA, p, 2, store.Normal)) // a new version may be accepted; who opened the old one has
	if a, _ = of(); a.Refused != "" || !a.Opened.Equal(at) {
		t.Errorf("%+v", a)
	}
	x.queue(recall(peerA, p, 3))
	x.sent(peerA, store.Urgent, 3)
	x.receipt(peerA, 3, 1)
	x.queue(send(peerA, p, 4, store.Normal))
	if a, _ = of(); !a.Opened.IsZero() {
		t.Errorf("what was purged and released again counts as opened: %+v", a)
	}
}

func renumber(t *testing.T, w *writer) {
	x := exchange{t, w}
	p, q, r := w.id(), w.id(), w.id()
	x.queue(send(peerA, p, 1, store.Normal), send(peerA, q, 1, store.Normal), send(peerA, r, 1, store.Urgent))
	x.sent(peerA, store.Normal, 2)
	x.receipt(peerA, 0, 1)
	if err := w.s.Renumber(ctx, peerA, 40); err != nil {
		t.Fatal(err)
	}
	x.lane(peerA, store.Normal, 0, "1 send v1 lane 1 held 1 sent done", "41 send v1 lane 1 held 2")
	x.lane(peerA, store.Urgent, 0, "42 send v1 lane 0 held 0")
	x.outgoing(peerA, store.Outgoing{Last: 42, Received: [store.Lanes]int64{0, 1}, Waiting: [store.Lanes]int{1, 1}})
	x.queue(send(peerA, p, 2, store.Normal))
	x.lane(peerA, store.Normal, 41, "43 send v2 lane 1 held 1")
	if err := w.s.Renumber(ctx, peerB, 9); err != nil {
		t.Fatal(err)
	}
	x.outgoing(peerB, store.Outgoing{Last: 9})
}

func held(t *testing.T, w *writer) {
	if up, err := w.s.Applied(ctx, peerA); up != [store.Lanes]int64{} || err != nil {
		t.Error(up, err)
	}
	p, q := w.id(), w.id()
	if bytes.Compare(p[:], q[:]) > 0 {
		p, q = q, p
	}
	a := store.Held{Record: p, Node: peerA, N: 4, Version: 2, At: day}
	b := store.Held{Record: q, Node: peerA, N: 5, Version: 1, Purged: true, At: day}
	w.ops(t, store.PutHeld{Held: a}, store.PutHeld{Held: b}, store.PutApplied{Node: peerA, Lane: store.Normal, UpTo: 5})
	x := exchange{t, w}
	x.queue(send(peerA, w.id(), 1, store.Normal)) // the two directions do not meet
	w.ops(t, store.PutApplied{Node: peerA, Lane: store.Urgent, UpTo: 9})
	if up, err := w.s.Applied(ctx, peerA); up != [store.Lanes]int64{9, 5} || err != nil {
		t.Error(up, err)
	}
	x.outgoing(peerA, store.Outgoing{Last: 1, Waiting: [store.Lanes]int{0, 1}})
	m, err := w.s.HeldOf(ctx, []record.ID{p, q, w.id()})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "held", map[record.ID]store.Held{p: a, q: b}, m)
	a.N, a.Version, a.Purged = 8, 3, true
	w.ops(t, store.PutHeld{Held: a})
	var got []store.Held
	each := func(node string) {
		got = nil
		if err := w.s.EachHeld(ctx, node, func(h store.Held) bool { got = append(got, h); return true }); err != nil {
			t.Fatal(err)
		}
	}
	each(peerA)
	same(t, "all that is held", []store.Held{a, b}, got)
	each(peerB)
	same(t, "held of another", 0, len(got))

	// What fails with its batch leaves none of it.
	bad := w.item(ledger.Entry{Type: "arrival", Agency: "ht.cc", Actor: "node", Content: []byte("{}")}, func(it *store.Item) {
		it.Ops = []store.Op{store.PutApplied{Node: peerB, Lane: store.Normal, UpTo: 77}, store.PutHeld{Held: store.Held{Record: w.id(), Node: peerB, N: 1}}, store.UseCode{}}
	})
	wantCode(t, w.s.Commit(ctx, &store.Batch{Items: []*store.Item{bad}, Checkpoint: []byte("x")}), record.Conflict)
	w.seq--
	each(peerB)
	if up, err := w.s.Applied(ctx, peerB); up != [store.Lanes]int64{} || len(got) != 0 || err != nil {
		t.Error(up, got, err)
	}
}

// modelShare is a share in the naive model of shares.
type modelShare struct {
	act        store.Act
	lane       store.Lane
	n, held    int64
	version    int
	sent, done bool
}

func shares(t *testing.T, w *writer) {
	ids := make([]record.ID, 6)
	for i := range ids {
		ids[i] = w.id()
	}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		node := fmt.Sprintf("konbit.node/%08x", round)
		x := exchange{w.tb(rt), w}
		model := map[record.ID]*modelShare{}
		var last int64
		var received [store.Lanes]int64
		act := func(rt *rapid.T) {
			switch rapid.IntRange(0, 9).Draw(rt, "act") {
			default:
				id, version := rapid.SampledFrom(ids).Draw(rt, "record"), rapid.IntRange(1, 9).Draw(rt, "version")
				s := send(node, id, version, store.Lane(rapid.IntRange(0, 1).Draw(rt, "lane")))
				if rapid.Bool().Draw(rt, "recall") {
					s = recall(node, id, version)
				}
				x.queue(s)
				was := model[id]
				switch {
				case s.Act == store.Send || was != nil && was.held != 0:
					last++
					next := &modelShare{act: s.Act, lane: s.Lane, n: last, version: version}
					if was != nil {
						next.held = was.held
					}
					model[id] = next
				case was != nil && was.act == store.Send:
					delete(model, id)
				}
			case 6, 7:
				lane, upTo := store.Lane(rapid.IntRange(0, 1).Draw(rt, "lane")), rapid.Int64Range(0, last).Draw(rt, "upTo")
				x.sent(node, lane, upTo)
				for _, m := range model {
					if m.lane == lane && m.n <= upTo {
						if m.sent = true; m.act == store.Send {
							m.held = m.n
						}
					}
				}
			case 8:
				before := received
				received = [store.Lanes]int64{rapid.Int64Range(0, last).Draw(rt, "urgent"), rapid.Int64Range(0, last).Draw(rt, "normal")}
				x.receipt(node, received[0], received[1])
				for _, m := range model {
					switch covered := m.n <= received[m.lane]; {
					case covered && m.n > before[m.lane] && m.sent && !m.done:
						if m.done = true; m.act == store.Recall {
							m.held = 0
						}
					case !covered && m.done:
						if m.done = false; m.act == store.Recall {
							m.held = m.n
						}
					}
				}
			case 9:
				n := rapid.Int64Range(0, last+5).Draw(rt, "n")
				if err := w.s.Renumber(ctx, node, n); err != nil {
					rt.Fatal(err)
				}
				last = max(last, n)
				open := slices.DeleteFunc(slices.Collect(maps.Values(model)), func(m *modelShare) bool { return m.done })
				slices.SortFunc(open, func(a, b *modelShare) int { return cmp.Compare(a.n, b.n) })
				for _, m := range open {
					last++
					m.n, m.sent = last, false
				}
			}
		}
		for range rapid.IntRange(1, 25).Draw(rt, "acts") {
			act(rt)
		}
		want := store.Outgoing{Last: last, Received: received}
		lines := map[record.ID]string{}
		for id, m := range model {
			s := store.Share{N: m.n, Act: m.act, Version: m.version, Lane: m.lane, Held: m.held}
			if m.sent {
				s.Sent = day
			}
			if m.done {
				s.Done = day
			}
			lines[id] = line(s)
			if m.n > received[m.lane] {
				want.Waiting[m.lane]++
			}
		}
		got := map[record.ID]string{}
		for _, s := range x.all(node) {
			got[s.Record] = line(s)
		}
		same(x.t, "shares", lines, got)
		x.outgoing(node, want)
		for lane := range store.Lane(store.Lanes) {
			ss, err := w.s.Shares(ctx, node, lane, received[lane], 1000)
			if err != nil || len(ss) != want.Waiting[lane] || !slices.IsSortedFunc(ss, func(a, b store.Share) int { return cmp.Compare(a.N, b.N) }) {
				rt.Fatalf("lane %d: %d shares wait, want %d, %v", lane, len(ss), want.Waiting[lane], err)
			}
		}
	})
}
