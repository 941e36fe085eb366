package feed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/feed"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/policy"
	"konbit/record"
)

var ctx = context.Background()

func subscribe(t testing.TB, f *Feed, r *policy.Reader, from int64) *feed.Subscription {
	t.Helper()
	s, err := f.Subscribe(ctx, r, feed.Options{From: from})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func released(to ...string) *intake.Draft {
	d := Draft(Note{Title: "x"})
	d.Marking = record.Marking{TLP: record.Amber, To: to}
	return d
}

func said(es []feed.Event) (out []string) {
	for _, e := range es {
		out = append(out, fmt.Sprint(e.Type, " ", e.Version))
	}
	return out
}

// TestEveryEventComesOnceHoweverOftenTheLineIsCut draws changes, cuts and
// resumptions and holds what arrives against what the reader may see.
func TestEveryEventComesOnceHoweverOftenTheLineIsCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := Make(t, Folder(t))
		defer h.Close()
		op := h.Reader("ht.cc/op", desk.Operator)
		reader := h.Reader("do.911/x", desk.Viewer)
		h.Create(op, "note", Draft(Note{Title: "a node's ledger is never empty"}))
		f := h.Feed()
		defer f.End()
		witness := subscribe(t, f, op, -1)
		defer witness.Close()
		s := subscribe(t, f, reader, -1)
		cursor := s.Start()
		var got []int64
		take := func() {
			es, err := Drain(s)
			if err != nil {
				rt.Fatal(err)
			}
			for _, e := range es {
				got = append(got, e.Seq)
				cursor = e.Seq
			}
		}
		var want []int64
		var last record.ID
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				r := h.Do(&intake.Command{Kind: "note", Name: "create", Record: ID(), By: op, Draft: released("do.911")})
				want, last = append(want, r.Seq), r.Record.ID
			case 1:
				last = h.Create(op, "note", Draft(Note{Title: "not for him"})).ID
			case 2:
				if last != (record.ID{}) {
					Until(t, witness, last)
					last = record.ID{}
				}
				take()
			case 3:
				s.Close()
				s = subscribe(t, f, reader, cursor)
			}
		}
		end := h.Create(op, "note", Draft(Note{Title: "end"}))
		Until(t, witness, end.ID)
		take()
		s.Close()
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestResumeAfterARestartOfTheNode(t *testing.T) {
	h := New(t)
	f := h.Feed()
	op, reader := h.Reader("ht.cc/op", desk.Operator), h.Reader("do.911/x", desk.Viewer)
	s := subscribe(t, f, reader, -1)
	h.Create(op, "note", released("do.911"))
	second := h.Create(op, "note", released("do.911"))
	cursor := Until(t, s, second.ID)[0].Seq // he has heard of the first alone
	s.Close()
	f.End()
	h.Restart()
	f = h.Feed()
	defer f.End()
	h.Create(op, "note", Draft(Note{Title: "not for him"}))
	// Many come back at once, before anything about rights is at hand.
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			s, err := f.Subscribe(ctx, h.Reader(fmt.Sprintf("do.911/p%d", i), desk.Viewer), feed.Options{From: cursor})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if es, err := s.Next(ctx); err != nil || len(es) != 1 || es[0].ID != second.ID {
				t.Errorf("%+v %v", es, err)
			}
		})
	}
	wg.Wait()
	if n := f.Readers(); n != 0 {
		t.Errorf("%d readers are left", n)
	}
}

func TestGoneWhenARecordIsNarrowedOrErased(t *testing.T) {
	h := New(t)
	f := h.Feed()
	defer f.End()
	sup := h.Reader("ht.cc/sup", desk.Supervisor)
	other, owner := subscribe(t, f, h.Reader("do.911/x", desk.Viewer), -1), subscribe(t, f, sup, -1)
	defer other.Close()
	defer owner.Close()
	rec := h.Create(sup, "note", released("do.911"))
	// Each step is read before the next one: of changes that are read together the
	// newest decides, and what is gone by then is never shown.
	es, mine := Until(t, other, rec.ID), Until(t, owner, rec.ID)
	do := func(name string, m *record.Marking, told bool) {
		h.Do(&intake.Command{Kind: "note", Name: name, Record: rec.ID, By: sup, Marking: m, Note: "why"})
		mine = append(mine, Until(t, owner, rec.ID)...)
		if told {
			es = append(es, Until(t, other, rec.ID)...)
		}
	}
	do("mark", &record.Marking{TLP: record.Amber}, true)
	do("finish", nil, false) // no longer his business
	do("mark", &record.Marking{TLP: record.Amber, To: []string{"do.911"}}, true)
	do("erase", nil, true)
	end := h.Create(sup, "note", released("do.911"))
	es, mine = append(es, Until(t, other, end.ID)...), append(mine, Until(t, owner, end.ID)...)
	if diff := cmp.Diff([]string{"record 1", "gone 2", "record 4", "gone 4", "record 1"}, said(es)); diff != "" {
		t.Error(diff)
	}
	for _, e := range es {
		if e.Type == "gone" && (e.Title != "" || e.Raw != nil) {
			t.Errorf("gone, and yet it says %+v", e)
		}
	}
	if diff := cmp.Diff([]string{"record 1", "record 2", "record 3", "record 4", "gone 4", "record 1"}, said(mine)); diff != "" {
		t.Error(diff)
	}
}

func TestGoneWhenTheMarkingExpires(t *testing.T) {
	h := New(t)
	op, reader := h.Reader("ht.cc/op", desk.Operator), h.Reader("do.911/x", desk.Viewer)
	f := h.Feed()
	defer f.End()
	other, owner := subscribe(t, f, reader, -1), subscribe(t, f, op, -1)
	defer other.Close()
	defer owner.Close()
	d := released("do.911")
	expires := Day.Add(time.Minute)
	d.Marking.Expires = &expires
	rec := h.Create(op, "note", d)
	cursor := Until(t, other, rec.ID)[0].Seq
	h.Clock.Move(2 * time.Minute)
	es, err := other.Next(ctx)
	if diff := cmp.Diff([]string{"gone 1"}, said(es)); diff != "" || err != nil || es[0].ID != rec.ID {
		t.Fatal(diff, err)
	}
	// Changes after that are not his business.
	h.Do(&intake.Command{Kind: "note", Name: "finish", Record: rec.ID, By: op})
	end := h.Create(op, "note", released("do.911"))
	if diff := cmp.Diff([]string{"record 1"}, said(Until(t, other, end.ID))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"record 1", "record 2", "record 1"}, said(Until(t, owner, end.ID))); diff != "" {
		t.Error("the owner: ", diff)
	}
	// Whoever was away when it expired hears of it when he comes back.
	back := subscribe(t, f, reader, cursor)
	defer back.Close()
	es, err = Drain(back)
	if err != nil || !slices.ContainsFunc(es, func(e feed.Event) bool { return e.Type == "gone" && e.ID == rec.ID }) {
		t.Errorf("%v %v", said(es), err)
	}
}

func TestExpiryInThePastIsTold(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	f := h.Feed()
	defer f.End()
	other := subscribe(t, f, h.Reader("do.911/x", desk.Viewer), -1)
	defer other.Close()
	rec := h.Create(op, "note", released("do.911"))
	if diff := cmp.Diff([]string{"record 1"}, said(Until(t, other, rec.ID))); diff != "" {
		t.Error(diff)
	}
	past := Day.Add(-time.Minute)
	h.Do(&intake.Command{Kind: "note", Name: "mark", Record: rec.ID, By: op, Marking: &record.Marking{TLP: record.Amber, To: []string{"do.911"}, Expires: &past}})
	h.Do(&intake.Command{Kind: "note", Name: "finish", Record: rec.ID, By: op})
	end := h.Create(op, "note", released("do.911"))
	if diff := cmp.Diff([]string{"gone 2", "record 1"}, said(Until(t, other, end.ID))); diff != "" {
		t.Error(diff)
	}
}

func TestProtectedRecordSendsNoContent(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator, "victim")
	f := h.Feed()
	defer f.End()
	cleared, not := subscribe(t, f, op, -1), subscribe(t, f, h.Reader("ht.cc/b", desk.Operator), -1)
	defer cleared.Close()
	defer not.Close()
	rec := h.Create(op, "note", Draft(Note{Title: "secret title", Victim: true}))
	open := h.Create(op, "note", Draft(Note{Title: "open title"}))
	es := Until(t, cleared, open.ID)
	if len(es) != 2 || es[0].ID != rec.ID || es[0].Title != "" || es[0].Raw != nil || es[1].Title != "open title" || es[1].Raw == nil {
		t.Errorf("%+v", es)
	}
	if es := Until(t, not, open.ID); len(es) != 1 {
		t.Errorf("%+v", es)
	}
}

func TestSubscriptionIsNarrowedByKindAndBox(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	f := h.Feed()
	defer f.End()
	s, err := f.Subscribe(ctx, op, feed.Options{From: -1, Kinds: []string{"note"}, Box: &record.Box{W: -73, S: 18, E: -72, N: 19}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h.Create(op, "unit", Draft(Unit{Name: "u"}))
	h.Create(op, "note", At(Draft(Note{Title: "far"}), -70, 18.5))
	in := h.Create(op, "note", At(Draft(Note{Title: "near"}), -72.5, 18.5))
	nowhere := h.Create(op, "note", Draft(Note{Title: "no place"}))
	es := Until(t, s, nowhere.ID)
	if len(es) != 2 || es[0].ID != in.ID {
		t.Errorf("%+v", es)
	}
}

func TestResetWhenTheCursorIsOfAnotherLedgerOrTooOld(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	h.Create(op, "note", released())
	f := h.Feed(func(h *feed.Hub) { h.Keep(100) })
	defer f.End()
	for _, from := range []int64{1, 1000} { // of a ledger that was longer
		if _, err := f.Subscribe(ctx, op, feed.Options{From: from}); !errors.Is(err, feed.ErrReset) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	slow := subscribe(t, f, op, -1)
	defer slow.Close()
	quick := subscribe(t, f, op, -1)
	defer quick.Close()
	var end record.ID
	for range 3 {
		cmds := make([]*intake.Command, 50)
		for i := range cmds {
			cmds[i] = &intake.Command{Kind: "unit", Name: "create", Record: ID(), By: op, Draft: Draft(Unit{Name: "u"})}
		}
		if _, errs := h.Intake.DoAll(ctx, cmds); errs[0] != nil {
			t.Fatal(errs[0])
		}
		end = cmds[len(cmds)-1].Record
		Until(t, quick, end)
	}
	if _, err := slow.Next(ctx); !errors.Is(err, feed.ErrReset) {
		t.Error(err)
	}
	if _, err := f.Subscribe(ctx, op, feed.Options{From: 0}); !errors.Is(err, feed.ErrReset) {
		t.Error(err)
	}
	if n := f.Readers(); n != 2 {
		t.Errorf("%d readers", n)
	}
}

func TestClosingEndsEveryStream(t *testing.T) {
	h := New(t)
	f := h.Feed()
	op := h.Reader("ht.cc/op", desk.Operator)
	s := subscribe(t, f, op, -1)
	ended := make(chan error)
	go func() { _, err := s.Next(ctx); ended <- err }()
	f.End()
	if err := <-ended; !errors.Is(err, feed.ErrClosed) {
		t.Error(err)
	}
	if _, err := f.Subscribe(ctx, op, feed.Options{From: -1}); !errors.Is(err, feed.ErrClosed) {
		t.Error(err)
	}
}
