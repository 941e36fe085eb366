// Package storetest is the suite that every driver of package store passes. It
// calls nothing but store.Store and knows no SQL. What agencies, people and
// credentials take is tested by package account.
package storetest

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

var (
	ctx = context.Background()
	day = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
)

// Run runs the suite. open makes a new, empty store, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *writer)
	}{
		{"VersionsFollowOneAnother", versions},
		{"CommandIsFoundAgain", commands},
		{"FailedBatchLeavesNothing", atomicity},
		{"MarkingsAreInternedOnce", markings},
		{"EntriesAndLog", entries},
		{"CursorAndSettings", settings},
		{"LinkedExpiredDueAttached", derived},
		{"EraseLeavesHeadersAndProofs", erase},
		{"TreeNodesAndCheckpoints", tree},
		{"ReadersSeeWholeBatchesWhileWriting", concurrent},
		{"FindMatchesANaiveSearch", find},
		{"CheckFindsNothingWrong", check},
		{"ForeignVersionsComeWithGapsAndComeBackAfterAPurge", foreign},
		{"NodesAreKeptWhole", nodes},
		{"AgencyKeepsWhatTheExchangeKnows", agency},
		{"BacklogHoldsEachRecordOnce", backlog},
		{"RecallOfWhatNeverWentOutIsNotSaid", recallUnsent},
		{"RecallIsHeldUntilTheReceiptCoversIt", recallSent},
		{"LowerReceiptSaysItAllAgain", lowerReceipt},
		{"RefusalsAndOpeningsAreKept", fates},
		{"RenumberLeavesNothingBelow", renumber},
		{"AppliedAndHeldCommitWithTheirEntry", held},
		{"SharesMatchANaiveModel", shares},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			c.test(t, &writer{s: s, now: day})
		})
	}
}

// writer makes batches as intake does.
type writer struct {
	s   store.Store
	seq int64
	now time.Time
	n   uint64
	by  map[record.ID]*record.Record
}

func (w *writer) id() record.ID {
	w.n++
	id := record.NewID(day)
	binary.BigEndian.PutUint64(id[8:], w.n)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// note makes version 1 of a record.
func (w *writer) note(change ...func(*record.Record)) *record.Record {
	r := &record.Record{Header: record.Header{
		ID: w.id(), Kind: "note", Owner: "ht.cc", Version: 1, State: "open", Marking: record.Marking{TLP: record.Amber},
		Observed: day, Author: "ht.cc/a", Command: "note.create",
	}, Body: json.RawMessage(`{}`)}
	for _, c := range change {
		c(r)
	}
	return r
}

// next makes the version after r.
func next(r *record.Record, change ...func(*record.Record)) *record.Record {
	c := r.Clone()
	c.Version++
	for _, f := range change {
		f(c)
	}
	return c
}

// words are the folded words of a record here: its note.
func row(r *record.Record) *store.Row {
	out := &store.Row{Record: r, Title: r.Note, Words: strings.Join(store.Fold(r.Note), " "), Open: r.State == "open", Facet: map[string]string{}}
	var body map[string]string
	json.Unmarshal(r.Body, &body)
	for k, v := range body {
		out.Facet[k] = v
	}
	if r.Place != nil {
		b, err := r.Place.Geometry.Bounds()
		if err != nil {
			panic(err)
		}
		out.Box = &b
	}
	return out
}

func derive(r *record.Record) (*store.Row, error) { return row(r), nil }

func (w *writer) change(r *record.Record) *store.Item {
	w.now = w.now.Add(time.Millisecond)
	r.Recorded = w.now
	if r.Version == 1 {
		r.Created = w.now
	}
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return w.item(ledger.Entry{Type: "change", Agency: r.Owner, Actor: r.Author, Record: r.ID, Version: r.Version, Content: raw, KeyID: "k1", Sig: []byte("signature")}, func(it *store.Item) { it.Row = row(r) })
}

func (w *writer) item(e ledger.Entry, change func(*store.Item)) *store.Item {
	if e.At.IsZero() {
		e.At = w.now
	}
	e.Seq = w.seq
	e.Salt = make([]byte, ledger.SaltSize)
	binary.BigEndian.PutUint64(e.Salt, uint64(e.Seq))
	h, err := ledger.Commit(nil, &e)
	if err != nil {
		panic(err)
	}
	e.Commitment = h
	w.seq++
	it := &store.Item{Entry: e}
	change(it)
	return it
}

func (w *writer) erase(r *record.Record) *store.Item {
	return w.item(ledger.Entry{Type: "erase", Agency: r.Owner, Actor: "ht.cc/boss", Record: r.ID, Version: r.Version, Content: []byte(`{"ground":"x"}`)}, func(it *store.Item) { it.Erase = r.ID })
}

func (w *writer) commit(t testing.TB, items ...*store.Item) {
	t.Helper()
	if err := w.s.Commit(ctx, &store.Batch{Items: items, Checkpoint: fmt.Appendf(nil, "checkpoint %d", w.seq)}); err != nil {
		t.Fatal(err)
	}
}

func (w *writer) put(t testing.TB, rs ...*record.Record) {
	t.Helper()
	var items []*store.Item
	for _, r := range rs {
		items = append(items, w.change(r))
	}
	w.commit(t, items...)
}

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCode(t testing.TB, err error, want record.Code) {
	t.Helper()
	if record.CodeOf(err) != want {
		t.Errorf("got %v, want code %s", err, want)
	}
}

func versions(t *testing.T, w *writer) {
	a := w.note(func(r *record.Record) { r.Note = "one" })
	_, err := w.s.Get(ctx, a.ID)
	wantCode(t, err, record.NotFound)
	w.put(t, a)
	b := next(a, func(r *record.Record) { r.Note = "two" })
	c := next(b, func(r *record.Record) { r.Note = "three"; r.State = "done" })
	w.put(t, b, c) // two versions in one batch
	s, err := w.s.Get(ctx, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "newest", c, s.Record)
	if s.Seq != 2 || s.Version != 3 || s.KeyID != "k1" || string(s.Sig) != "signature" || !s.At.Equal(c.Recorded) {
		t.Errorf("%+v", s)
	}
	vs, err := w.s.Versions(ctx, a.ID)
	if err != nil || len(vs) != 3 {
		t.Fatal(len(vs), err)
	}
	for i, want := range []*record.Record{a, b, c} {
		same(t, "version", want, vs[i].Record)
		if vs[i].Version != i+1 {
			t.Errorf("version %d stands at %d", vs[i].Version, i)
		}
	}
	m, err := w.s.Current(ctx, []record.ID{a.ID, w.id(), a.ID})
	if err != nil || len(m) != 1 || m[a.ID].Version != 3 {
		t.Errorf("%v %v", m, err)
	}
	for name, bad := range map[string]*record.Record{
		"a gap":          next(next(c)),
		"the same again": c,
		"of nothing":     next(w.note()),
		"a second first": func() *record.Record { r := a.Clone(); return r }(),
	} {
		err := w.s.Commit(ctx, &store.Batch{Items: []*store.Item{w.change(bad)}, Checkpoint: []byte("x")})
		w.seq--
		if record.CodeOf(err) != record.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := w.s.Rows(ctx, "note"); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func commands(t *testing.T, w *writer) {
	r := w.note()
	it := w.change(r)
	it.Command = w.id()
	w.commit(t, it)
	if seq, err := w.s.CommandEntry(ctx, it.Command); seq != 0 || err != nil {
		t.Error(seq, err)
	}
	if seq, err := w.s.CommandEntry(ctx, w.id()); seq != -1 || err != nil {
		t.Error(seq, err)
	}
	// The same command twice is refused, whoever forgot to ask.
	again := w.change(w.note())
	again.Command = it.Command
	if err := w.s.Commit(ctx, &store.Batch{Items: []*store.Item{again}, Checkpoint: []byte("x")}); err == nil {
		t.Error("one command made two changes")
	}
}

func atomicity(t *testing.T, w *writer) {
	a := w.note()
	w.put(t, a)
	before := snapshot(t, w.s)
	good := w.note(func(r *record.Record) {
		r.Kind, r.State, r.Author, r.Note = "novelty", "fresh", "ht.cc/new", "unheardof"
		r.Marking = record.Marking{TLP: record.Amber, To: []string{"do.911"}}
	})
	items := []*store.Item{w.change(good), w.change(next(a)), w.change(next(next(next(a))))}
	wantCode(t, w.s.Commit(ctx, &store.Batch{Items: items, Checkpoint: []byte("x"), Keep: true, Nodes: []ledger.Node{{Level: 8}}}), record.Conflict)
	same(t, "after the failed batch", before, snapshot(t, w.s))
	wantCode(t, func() error { _, err := w.s.Get(ctx, good.ID); return err }(), record.NotFound)
	if n, _ := w.s.Rows(ctx, "novelty"); n != 0 {
		t.Error("rows are counted that are not there")
	}
	// Names and markings that the failed batch would have made take their
	// numbers afresh: what is read back is what was written.
	w.seq -= 3
	other := w.note(func(r *record.Record) {
		r.Kind, r.State, r.Author = "other", "calm", "ht.cc/else"
		r.Marking = record.Marking{TLP: record.Green}
	})
	again := w.note(func(r *record.Record) {
		r.Kind, r.State, r.Author, r.Marking = good.Kind, good.State, good.Author, good.Marking
	})
	w.put(t, other, again)
	for _, want := range []*record.Record{other, again} {
		s, err := w.s.Get(ctx, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "record", want, s.Record)
		var brief *store.Brief
		if err := w.s.Scan(ctx, &store.Query{Kinds: []string{want.Kind}, Sight: all(t, w.s, want.Kind), Now: day}, func(b *store.Brief) bool { brief = b; return true }); err != nil || brief == nil {
			t.Fatal(brief, err)
		}
		if brief.State != want.State || brief.Kind != want.Kind {
			t.Errorf("%+v", brief)
		}
	}
	check(t, w)
}

// snapshot is everything that a failed batch must not change.
func snapshot(t testing.TB, s store.Store) map[string]any {
	t.Helper()
	size, note, err := s.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var es, ms, cps []string
	if err := s.Entries(ctx, 0, -1, func(l *store.Logged) bool { es = append(es, fmt.Sprintf("%+v", *l)); return true }); err != nil {
		t.Fatal(err)
	}
	s.Markings(ctx, 0, func(m *store.Marking) error { ms = append(ms, fmt.Sprintf("%+v", *m)); return nil })
	s.Checkpoints(ctx, func(n int64, b []byte) error { cps = append(cps, fmt.Sprint(n, string(b))); return nil })
	nodes, _ := s.Nodes(ctx, 8, 0, 10)
	return map[string]any{"size": size, "note": string(note), "entries": es, "markings": ms, "checkpoints": cps, "nodes": nodes}
}

// all is the sight of somebody who sees everything of some kinds.
func all(t testing.TB, s store.Store, kinds ...string) map[string]*store.Sight {
	t.Helper()
	sight := &store.Sight{}
	if err := s.Markings(ctx, 0, func(m *store.Marking) error { sight.Own = append(sight.Own, m.N); return nil }); err != nil {
		t.Fatal(err)
	}
	out := map[string]*store.Sight{}
	for _, k := range kinds {
		out[k] = sight
	}
	return out
}

func markings(t *testing.T, w *writer) {
	exp := day.Add(time.Hour)
	a := record.Marking{TLP: record.Amber, To: []string{"@relief", "do.911"}, Caveats: []string{"victim"}}
	b := record.Marking{TLP: record.Red, Persons: []string{"ht.cc/a", "ht.cc/b"}}
	c := a.Clone()
	c.Expires = &exp // is kept with the record
	for _, m := range []record.Marking{a, b, a, c, b} {
		w.put(t, w.note(func(r *record.Record) { r.Marking = m }))
	}
	w.put(t, w.note(func(r *record.Record) { r.Owner, r.Marking = "do.911", a }))
	var got []*store.Marking
	if err := w.s.Markings(ctx, 0, func(m *store.Marking) error { got = append(got, m); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []*store.Marking{{N: 1, Owner: "ht.cc", Marking: a}, {N: 2, Owner: "ht.cc", Marking: b}, {N: 3, Owner: "do.911", Marking: a}}
	if diff := gocmp.Diff(want, got, gocmp.Transformer("lists", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
		t.Error(diff)
	}
	n := 0
	w.s.Markings(ctx, 2, func(m *store.Marking) error { n++; return nil })
	if n != 1 {
		t.Errorf("%d markings after number 2", n)
	}
}

func entries(t *testing.T, w *writer) {
	exp := day.Add(time.Hour)
	a := w.note(func(r *record.Record) { r.Marking.Expires = &exp })
	b := next(a, func(r *record.Record) { r.Marking = record.Marking{TLP: record.Green}; r.Author = "ht.cc/b" })
	look := func(actor, agency string, id record.ID) *store.Item {
		w.now = w.now.Add(time.Millisecond)
		return w.item(ledger.Entry{Type: "look", Agency: agency, Actor: actor, Record: id, Version: 1, Content: []byte(`{"how":"open"}`)}, func(*store.Item) {})
	}
	items := []*store.Item{w.change(a), look("do.911/x", "do.911", a.ID), w.change(b), w.change(w.note()), look("ht.cc/a", "ht.cc", w.id())}
	w.commit(t, items...)
	for range 3 { // more than one read's worth
		var more []*store.Item
		for range 400 {
			more = append(more, look("ht.cc/z", "ht.cc", record.ID{}))
		}
		w.commit(t, more...)
	}
	var got []*store.Logged
	if err := w.s.Entries(ctx, 0, -1, func(l *store.Logged) bool { got = append(got, l); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1205 {
		t.Fatalf("%d entries", len(got))
	}
	for i, l := range got {
		if l.Seq != int64(i) {
			t.Fatalf("entry %d stands at %d", l.Seq, i)
		}
		if i < len(items) {
			same(t, "entry", items[i].Entry, l.Entry)
		}
	}
	if l := got[2]; l.Kind != "note" || l.Marking != 2 || l.Previous != 1 || l.PreviousExpires == nil || !l.PreviousExpires.Equal(exp) || l.Expires != nil || got[0].Previous != 0 || !got[0].Expires.Equal(exp) {
		t.Errorf("a change says %+v", l)
	}
	n := 0
	w.s.Entries(ctx, 600, 1100, func(*store.Logged) bool { n++; return n < 450 })
	if n != 450 {
		t.Errorf("stopped after %d", n)
	}
	for name, c := range map[string]struct {
		q    store.LogQuery
		want []int64
	}{
		"record":        {store.LogQuery{Record: a.ID}, []int64{2, 1, 0}},
		"its looks":     {store.LogQuery{Record: a.ID, Types: []string{"look"}}, []int64{1}},
		"its changes":   {store.LogQuery{Record: a.ID, Types: []string{"change"}}, []int64{2, 0}},
		"actor":         {store.LogQuery{Actor: "ht.cc/b"}, []int64{2}},
		"unknown actor": {store.LogQuery{Actor: "ht.cc/nobody"}, nil},
		"agency":        {store.LogQuery{Agencies: []string{"do.911"}}, []int64{1}},
		"no agency":     {store.LogQuery{Agencies: []string{}}, nil},
		"unknown type":  {store.LogQuery{Types: []string{"nothing"}}, nil},
		"before":        {store.LogQuery{Before: 3, Limit: 2}, []int64{2, 1}},
		"time":          {store.LogQuery{From: items[1].Entry.At, To: items[3].Entry.At}, []int64{2, 1}},
		"two types":     {store.LogQuery{Types: []string{"change", "look"}, Actor: "ht.cc/a"}, []int64{4, 3, 0}},
	} {
		ls, err := w.s.Log(ctx, &c.q)
		if err != nil {
			t.Fatal(err)
		}
		var seqs []int64
		for _, l := range ls {
			seqs = append(seqs, l.Seq)
		}
		same(t, name, c.want, seqs)
	}
}

func settings(t *testing.T, w *writer) {
	if n, err := w.s.Cursor(ctx, "x"); n != 0 || err != nil {
		t.Error(n, err)
	}
	if v, err := w.s.Value(ctx, "x"); v != nil || err != nil {
		t.Error(v, err)
	}
	for i := range int64(3) {
		if err := w.s.SetCursor(ctx, "x", i); err != nil {
			t.Fatal(err)
		}
		if err := w.s.SetValue(ctx, "x", []byte{byte(i), 0}); err != nil {
			t.Fatal(err)
		}
	}
	n, _ := w.s.Cursor(ctx, "x")
	v, _ := w.s.Value(ctx, "x")
	if other, _ := w.s.Cursor(ctx, "y"); n != 2 || string(v) != "\x02\x00" || other != 0 {
		t.Error(n, v, other)
	}
}

func derived(t *testing.T, w *writer) {
	hash := strings.Repeat("ab", 32)
	target := w.note()
	at := func(minutes int) *time.Time { x := day.Add(time.Duration(minutes) * time.Minute); return &x }
	a := w.note(func(r *record.Record) {
		r.Links = []record.Link{{Rel: "about", Kind: "note", ID: target.ID}, {Rel: "again", Kind: "note", ID: target.ID}}
		r.Marking.Expires = at(10)
		r.Attachments = []record.Attachment{{Hash: hash}}
	})
	b := w.note(func(r *record.Record) {
		r.Links = []record.Link{{Rel: "about", Kind: "note", ID: target.ID}}
		r.Marking.Expires = at(20)
	})
	w.put(t, target, a, b)
	ids := func(ss []*store.Stored, err error) (out []record.ID) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range ss {
			out = append(out, s.Record.ID)
		}
		return out
	}
	same(t, "linked, newest first", []record.ID{b.ID, a.ID}, ids(w.s.Linked(ctx, target.ID, 10)))
	same(t, "linked, bounded", []record.ID{b.ID}, ids(w.s.Linked(ctx, target.ID, 1)))
	expired := func(from, to int) (out []record.ID) {
		bs, err := w.s.Expired(ctx, *at(from), *at(to), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bs {
			out = append(out, b.ID)
		}
		return out
	}
	same(t, "expired after 10, up to 20", []record.ID{b.ID}, expired(10, 20))
	same(t, "expired after 9, up to 19", []record.ID{a.ID}, expired(9, 19))
	held := func() bool { ok, err := w.s.Attached(ctx, hash); return ok && err == nil }
	if !held() {
		t.Error("attachment is not held")
	}
	due := func(t0 time.Time, limit int) (out []record.ID) {
		out, err := w.s.Due(ctx, "note", t0, limit)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	middle := w.now.Add(time.Minute)
	w.now = w.now.Add(time.Hour)
	young := w.note()
	w.put(t, young, next(a, func(r *record.Record) { r.Links, r.Attachments = nil, nil })) // a is changed, so not due
	same(t, "due", []record.ID{target.ID, b.ID}, due(middle, 10))
	same(t, "due, bounded", []record.ID{target.ID}, due(middle, 1))
	same(t, "due by now", 4, len(due(w.now.Add(time.Hour), 10)))
	same(t, "due long ago", 0, len(due(day.Add(-time.Hour), 10)))
	if other, err := w.s.Due(ctx, "nothing", w.now.Add(time.Hour), 10); len(other) != 0 || err != nil {
		t.Error(other, err)
	}
	same(t, "a link that was taken away", []record.ID{b.ID}, ids(w.s.Linked(ctx, target.ID, 10)))
	if !held() {
		t.Error("an edit took an attachment away from the older version")
	}
	w.commit(t, w.erase(b))
	gone := w.erase(a)
	w.commit(t, gone)
	same(t, "orphans of the erasure", []string{hash}, gone.Orphans)
	if held() {
		t.Error("attachment of an erased record is still held")
	}
	same(t, "linked after the erasure", 0, len(ids(w.s.Linked(ctx, target.ID, 10))))
	same(t, "expired after the erasure", 0, len(expired(0, 100)))
}

func erase(t *testing.T, w *writer) {
	a := w.note(func(r *record.Record) {
		r.Note = "quetzal"
		r.Place = &record.Place{Geometry: record.Point(-72, 18)}
		r.Body = json.RawMessage(`{"category":"fire"}`)
	})
	b := next(a, func(r *record.Record) { r.Note = "quetzal again" })
	first := w.change(a)
	first.Command = w.id()
	stays := w.note(func(r *record.Record) { r.Note = "quetzal stays" })
	w.commit(t, first, w.change(b), w.change(stays))
	root := func() ledger.Hash {
		tr, err := ledger.NewTree(ctx, 3, w.s)
		if err != nil {
			t.Fatal(err)
		}
		return tr.Root()
	}
	before := root()
	w.commit(t, w.erase(b))
	wantCode(t, func() error { _, err := w.s.Get(ctx, a.ID); return err }(), record.NotFound)
	m, err := w.s.Current(ctx, []record.ID{a.ID})
	if err != nil || m[a.ID] == nil || m[a.ID].Record != nil {
		t.Errorf("current: %+v %v", m[a.ID], err)
	}
	vs, err := w.s.Versions(ctx, a.ID)
	if err != nil || len(vs) != 2 {
		t.Fatal(vs, err)
	}
	for _, v := range vs {
		if v.Record != nil || v.Raw != nil || v.Sig != nil {
			t.Errorf("%+v", v)
		}
	}
	q := func(terms [][]string) (n int) {
		if err := w.s.Scan(ctx, &store.Query{Kinds: []string{"note"}, Sight: all(t, w.s, "note"), Terms: terms}, func(b *store.Brief) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if q(nil) != 1 || q([][]string{{"quetzal"}}) != 1 {
		t.Error("the erased record is found")
	}
	if n, _ := w.s.Rows(ctx, "note"); n != 1 {
		t.Error(n)
	}
	if seq, _ := w.s.CommandEntry(ctx, first.Command); seq != -1 {
		t.Error("the erased command is found")
	}
	if root() != before {
		t.Error("the tree has changed")
	}
	w.s.Entries(ctx, 0, -1, func(l *store.Logged) bool {
		switch {
		case l.Seq < 2:
			h, err := ledger.Commit(nil, &l.Entry)
			if !l.Entry.Erased() || l.Sig != nil || err != nil || h != l.Commitment || l.Actor != "ht.cc/a" {
				t.Errorf("entry %d: %+v %v", l.Seq, l.Entry, err)
			}
		case l.Type == "erase":
			if l.Kind != "note" || l.Marking == 0 {
				t.Errorf("the erasure does not say of what: %+v", l)
			}
		}
		return true
	})
	bad := w.erase(b)
	wantCode(t, w.s.Commit(ctx, &store.Batch{Items: []*store.Item{bad}, Checkpoint: []byte("x")}), record.NotFound)
	w.seq--
	check(t, w)
}

func tree(t *testing.T, w *writer) {
	size, note, err := w.s.Head(ctx)
	if size != 0 || note != nil || err != nil {
		t.Error(size, note, err)
	}
	tr := &ledger.Tree{}
	for batch := range 6 {
		var items []*store.Item
		var hs []ledger.Hash
		for range 100 {
			items = append(items, w.change(w.note()))
			hs = append(hs, items[len(items)-1].Entry.Commitment)
		}
		nodes := tr.Append(hs)
		if err := w.s.Commit(ctx, &store.Batch{Items: items, Nodes: nodes, Checkpoint: fmt.Appendf(nil, "cp %d", batch), Keep: batch%2 == 0}); err != nil {
			t.Fatal(err)
		}
		again, err := ledger.NewTree(ctx, w.seq, w.s)
		if err != nil || again.Root() != tr.Root() {
			t.Fatal("the tree that is read back differs", err)
		}
	}
	size, note, err = w.s.Head(ctx)
	if size != 600 || string(note) != "cp 5" || err != nil {
		t.Error(size, string(note), err)
	}
	var kept []string
	w.s.Checkpoints(ctx, func(n int64, b []byte) error { kept = append(kept, fmt.Sprint(n, " ", string(b))); return nil })
	same(t, "checkpoints", []string{"100 cp 0", "300 cp 2", "500 cp 4", "600 cp 5"}, kept)
	if hs, err := w.s.Leaves(ctx, 595, 700); len(hs) != 5 || err != nil {
		t.Error(len(hs), err)
	}
}

// concurrent: pairs of records always change together; no reader may see one
// without the other.
func concurrent(t *testing.T, w *writer) {
	a, b := w.note(), w.note()
	w.put(t, a, b)
	one, two := a.ID, b.ID
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				m, err := w.s.Current(ctx, []record.ID{one, two})
				if err != nil || m[one].Version != m[two].Version {
					t.Errorf("half a batch: %v", err)
					return
				}
				ss, err := w.s.Find(ctx, &store.Query{Kinds: []string{"note"}, Sight: map[string]*store.Sight{"note": {Own: []int64{1}}}})
				if err != nil || len(ss) != 2 || ss[0].Version != ss[1].Version {
					t.Errorf("half a batch in a list: %d %v", len(ss), err)
					return
				}
			}
		})
	}
	for i := range 60 {
		a, b = next(a, func(r *record.Record) { r.Note = fmt.Sprint(i) }), next(b)
		w.put(t, a, b)
	}
	close(stop)
	wg.Wait()
}

func check(t *testing.T, w *writer) {
	if w.seq == 0 {
		w.put(t, w.note(func(r *record.Record) { r.Note = "x" }), w.note(func(r *record.Record) { r.Place = &record.Place{Geometry: record.Point(1, 2)} }))
	}
	done := int64(-1)
	if err := w.s.Check(ctx, derive, func(n, total int64) { done = n }, func(f store.Fault) bool { t.Errorf("%+v", f); return true }); err != nil {
		t.Error(err)
	}
	if done < 1 {
		t.Error("nothing was checked")
	}
	// What the rows say is held against the signed versions.
	n := 0
	wrong := func(r *record.Record) (*store.Row, error) { x := row(r); x.Title = "another"; return x, nil }
	if err := w.s.Check(ctx, wrong, func(int64, int64) {}, func(store.Fault) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%d faults, %v", n, err)
	}
}

var vocabulary = []string{"flood", "fire", "bridge", "leogane", "san", "santiago", "2026"}

// find draws records and queries and holds Find and Scan, page by page, against
// a search that looks at every record.
func find(t *testing.T, w *writer) {
	w.by = map[record.ID]*record.Record{}
	rows := map[record.ID]int{} // order of first recording
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, label) }
		place := func() *record.Place {
			if rapid.IntRange(0, 3).Draw(rt, "placed") == 0 {
				return nil
			}
			lon, lat := rapid.Float64Range(-180, 180).Draw(rt, "lon"), rapid.Float64Range(-85, 85).Draw(rt, "lat")
			if rapid.Bool().Draw(rt, "here") {
				lon, lat = -73+rapid.Float64Range(0, 2).Draw(rt, "x"), 18+rapid.Float64Range(0, 2).Draw(rt, "y")
			}
			if rapid.IntRange(0, 3).Draw(rt, "area") > 0 {
				return &record.Place{Geometry: record.Point(lon, lat)}
			}
			d := rapid.SampledFrom([]float64{0.001, 0.2, 5, 60}).Draw(rt, "size")
			e, n := min(lon+d, 180), min(lat+d, 90)
			return &record.Place{Geometry: &record.Geometry{Type: "LineString", Coordinates: fmt.Appendf(nil, "[[%g,%g],[%g,%g]]", lon, lat, e, n)}}
		}
		set := func(r *record.Record) {
			r.State = pick("state", "open", "done", "odd")
			r.Author = pick("author", "ht.cc/a", "ht.cc/b")
			r.Note = strings.Join([]string{pick("w1", vocabulary...), pick("w2", vocabulary...)}, " ")
			r.Observed = day.Add(time.Duration(rapid.IntRange(-40, 0).Draw(rt, "observed")) * 12 * time.Hour)
			r.Body, _ = json.Marshal(map[string]string{"category": pick("category", "fire", "flood"), "tags": pick("tags", "a", "b", "a\x1fb", "")})
			r.Flags = nil
			if rapid.Bool().Draw(rt, "flagged") {
				r.Flags = []string{"outside"}
			}
			r.Place = place()
			r.Marking = record.Marking{TLP: record.Amber, To: []string{pick("to", "do.911", "int.aid", "us.uscg")}}
			if rapid.IntRange(0, 2).Draw(rt, "expires") == 0 {
				x := day.Add(time.Duration(rapid.IntRange(-2, 2).Draw(rt, "expiry")) * time.Hour)
				r.Marking.Expires = &x
			}
		}
		size, _, err := w.s.Head(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		w.seq = size // a case that rapid gives up leaves nothing
		var items []*store.Item
		var made []*record.Record
		touched := map[record.ID]*record.Record{}
		for range rapid.IntRange(1, 12).Draw(rt, "changes") {
			r := w.note()
			if known := ordered(w.by, rows); len(known) > 0 && rapid.IntRange(0, 2).Draw(rt, "again") == 0 {
				old := rapid.SampledFrom(known).Draw(rt, "which")
				if _, ok := touched[old.ID]; ok {
					continue
				}
				if rapid.IntRange(0, 5).Draw(rt, "erase") == 0 {
					items = append(items, w.erase(old))
					touched[old.ID] = nil
					continue
				}
				r = next(old)
			} else {
				r.Kind, r.Owner = pick("kind", "note", "call"), pick("owner", "ht.cc", "do.911")
				made = append(made, r)
			}
			set(r)
			items = append(items, w.change(r))
			touched[r.ID] = r
		}
		if len(items) > 0 {
			w.commit(t, items...)
		}
		for _, r := range made {
			rows[r.ID] = len(rows)
		}
		for id, r := range touched {
			if w.by[id] = r; r == nil {
				delete(w.by, id)
			}
		}
		for range 6 {
			ask(rt, w, rows)
		}
	})
}

func ordered(by map[record.ID]*record.Record, rows map[record.ID]int) (out []*record.Record) {
	for _, r := range by {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *record.Record) int { return cmp.Compare(rows[a.ID], rows[b.ID]) })
	return out
}

// ask draws one query and compares.
func ask(rt *rapid.T, w *writer, rows map[record.ID]int) {
	maybe := func(label string) bool { return rapid.IntRange(0, 3).Draw(rt, label) == 0 }
	q := &store.Query{Kinds: rapid.SampledFrom([][]string{{"note"}, {"call"}, {"note", "call"}, {"nothing"}}).Draw(rt, "kinds"), Sight: map[string]*store.Sight{}, Now: day}
	number := map[string]int64{}
	key := func(owner string, m *record.Marking) string { return owner + " " + strings.Join(m.To, ",") }
	if err := w.s.Markings(ctx, 0, func(m *store.Marking) error { number[key(m.Owner, &m.Marking)] = m.N; return nil }); err != nil {
		rt.Fatal(err)
	}
	var ns []int64
	for _, n := range number {
		ns = append(ns, n)
	}
	slices.Sort(ns)
	for _, k := range q.Kinds {
		if maybe("blind to " + k) {
			continue
		}
		s := &store.Sight{}
		for _, n := range ns {
			switch rapid.IntRange(0, 2).Draw(rt, "sight") {
			case 0:
				s.Own = append(s.Own, n)
			case 1:
				s.Foreign = append(s.Foreign, n)
			}
		}
		q.Sight[k] = s
	}
	if maybe("owners") {
		q.Owners = []int64{}
		for _, n := range ns {
			if rapid.Bool().Draw(rt, "owned") {
				q.Owners = append(q.Owners, n)
			}
		}
	}
	if maybe("words") {
		for range rapid.IntRange(1, 2).Draw(rt, "groups") {
			g := []string{rapid.SampledFrom(vocabulary).Draw(rt, "word")}
			switch rapid.IntRange(0, 3).Draw(rt, "form") {
			case 0:
				g[0] = g[0][:3] + "*"
			case 1:
				g[0] += " " + rapid.SampledFrom(vocabulary).Draw(rt, "phrase")
			case 2:
				g = append(g, rapid.SampledFrom(vocabulary).Draw(rt, "or"))
			}
			q.Terms = append(q.Terms, g)
		}
	}
	if maybe("box") {
		q.Box = rapid.SampledFrom([]*record.Box{
			{W: -73, S: 18, E: -72, N: 19}, {W: -72.5, S: 18.5, E: -72.499, N: 18.501}, {W: -180, S: -90, E: 180, N: 90},
			{W: 170, S: -40, E: -170, N: 40}, {W: 10, S: -5, E: 9.9, N: 5}, {W: 0, S: 0, E: 90, N: 45}, {W: -72.75, S: 18, E: -72.75, N: 20},
		}).Draw(rt, "window")
	}
	if maybe("from") {
		q.From = day.Add(time.Duration(rapid.IntRange(-40, 1).Draw(rt, "from at")) * 12 * time.Hour)
	}
	if maybe("to") {
		q.To = day.Add(time.Duration(rapid.IntRange(-40, 1).Draw(rt, "to at")) * 12 * time.Hour)
	}
	if maybe("since") {
		q.Since = day.Add(time.Duration(rapid.Int64Range(0, w.now.Sub(day).Milliseconds()+1).Draw(rt, "since at")) * time.Millisecond)
	}
	if maybe("states") {
		q.States = rapid.SampledFrom([][]string{{"open"}, {"done", "odd"}, {"never"}}).Draw(rt, "states are")
	}
	if maybe("facet") {
		q.Facet = map[string][]string{"category": {rapid.SampledFrom([]string{"fire", "flood", "x"}).Draw(rt, "category")}}
	}
	if maybe("tags") {
		if q.Facet == nil {
			q.Facet = map[string][]string{}
		}
		q.Facet["tags"] = rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}}).Draw(rt, "tag")
	}
	if maybe("flag") {
		q.Flag = "outside"
	}
	if maybe("author") {
		q.Author = rapid.SampledFrom([]string{"ht.cc/a", "ht.cc/b", "ht.cc/unknown"}).Draw(rt, "author is")
	}
	if maybe("open") {
		o := rapid.Bool().Draw(rt, "open is")
		q.Open = &o
	}
	q.ByObserved = rapid.Bool().Draw(rt, "by observed")
	q.Limit = rapid.IntRange(1, 7).Draw(rt, "page")

	want := ordered(w.by, rows)
	want = slices.DeleteFunc(want, func(r *record.Record) bool { return !matches(q, r, number[key(r.Owner, &r.Marking)]) })
	slices.SortStableFunc(want, func(a, b *record.Record) int {
		if q.ByObserved && !a.Observed.Equal(b.Observed) {
			return b.Observed.Compare(a.Observed)
		}
		return cmp.Compare(rows[b.ID], rows[a.ID])
	})
	var found, scanned []record.ID
	for {
		page, err := w.s.Find(ctx, q)
		if err != nil {
			rt.Fatalf("%+v: %v", q, err)
		}
		for _, s := range page {
			found = append(found, s.Record.ID)
			same(w.tb(rt), "record", w.by[s.Record.ID], s.Record)
		}
		if len(page) < q.Limit {
			break
		}
		last := page[len(page)-1]
		q.Before = &store.Key{Observed: last.Record.Observed.UnixMicro(), Row: last.Row}
	}
	q.Before, q.Limit = nil, 100_000
	if err := w.s.Scan(ctx, q, func(b *store.Brief) bool { scanned = append(scanned, b.ID); return true }); err != nil {
		rt.Fatal(err)
	}
	ids := []record.ID{}
	for _, r := range want {
		ids = append(ids, r.ID)
	}
	for name, got := range map[string][]record.ID{"Find": found, "Scan": scanned} {
		if diff := gocmp.Diff(ids, append([]record.ID{}, got...)); diff != "" {
			rt.Fatalf("%s of %+v (-want +got):\n%s", name, q, diff)
		}
	}
}

// tb lets same report to rapid.
func (w *writer) tb(rt *rapid.T) testing.TB { return failer{rt: rt} }

type failer struct {
	testing.TB
	rt *rapid.T
}

func (f failer) Helper()                      {}
func (f failer) Errorf(s string, args ...any) { f.rt.Fatalf(s, args...) }

func matches(q *store.Query, r *record.Record, marking int64) bool {
	s := q.Sight[r.Kind]
	if !slices.Contains(q.Kinds, r.Kind) || s == nil {
		return false
	}
	live := r.Marking.Expires == nil || r.Marking.Expires.After(q.Now)
	if !slices.Contains(s.Own, marking) && !(slices.Contains(s.Foreign, marking) && live) {
		return false
	}
	if q.Owners != nil && !slices.Contains(q.Owners, marking) {
		return false
	}
	words := " " + strings.Join(store.Fold(r.Note), " ") + " "
	for _, g := range q.Terms {
		if !slices.ContainsFunc(g, func(t string) bool {
			if p, ok := strings.CutSuffix(t, "*"); ok {
				return strings.Contains(words, " "+p)
			}
			return strings.Contains(words, " "+t+" ")
		}) {
			return false
		}
	}
	if q.Box != nil {
		if r.Place == nil {
			return false
		}
		b, _ := r.Place.Geometry.Bounds()
		if !q.Box.Meets(b) {
			return false
		}
	}
	x := row(r)
	for path, values := range q.Facet {
		have := strings.Split(x.Facet[path], "\x1f")
		if !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(have, v) }) {
			return false
		}
	}
	return (q.From.IsZero() || !r.Observed.Before(q.From)) && (q.To.IsZero() || r.Observed.Before(q.To)) && !r.Recorded.Before(q.Since) &&
		(len(q.States) == 0 || slices.Contains(q.States, r.State)) && (q.Flag == "" || slices.Contains(r.Flags, q.Flag)) &&
		(q.Author == "" || q.Author == r.Author) && (q.Open == nil || *q.Open == (r.State == "open"))
}
