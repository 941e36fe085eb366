package feed_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"konbit/desk"
	"konbit/feed"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/record"
	"konbit/store"
)

// TestForeignRecordComesLiveAndGoesWhenItIsPurged holds for those who may see it;
// who may not is told neither.
func TestForeignRecordComesLiveAndGoesWhenItIsPurged(t *testing.T) {
	h := New(t, Apart)
	h.Create(h.Reader("ht.cc/op", desk.Operator), "note", Draft(Note{Title: "a node's ledger is never empty"}))
	f := h.Feed()
	defer f.End()
	see, not := subscribe(t, f, h.Reader("ht.cc/op", desk.Viewer), -1), subscribe(t, f, h.Reader("ht.cc/uncleared", desk.Viewer), -1)
	defer see.Close()
	defer not.Close()
	cleared := subscribe(t, f, h.Reader("ht.cc/doctor", desk.Viewer, "medical"), -1)
	defer cleared.Close()

	// Each step is read before the next one, as of changes that are read together
	// the newest decides.
	id, medical := ID(), ID()
	var seen, unseen, protected []string
	step := func(id record.ID) {
		t.Helper()
		if id == medical {
			for _, e := range Until(t, cleared, id) {
				if e.ID == medical && e.Raw != nil {
					t.Error("a protected record was sent with its content")
				}
				if e.ID == medical {
					protected = append(protected, said([]feed.Event{e})...)
				}
			}
			return
		}
		seen, unseen = append(seen, said(Until(t, see, id))...), append(unseen, said(Until(t, not, id))...)
	}
	protect := func(r *record.Record) { r.Marking.Caveats = []string{"medical"} }
	h.Arrive(store.Normal, 0, 2, Signed(1, Foreign(id, 4)), Signed(2, Foreign(medical, 1, protect)))
	step(id)
	step(medical)
	h.Arrive(store.Normal, 2, 3, Signed(3, Foreign(id, 6)))
	step(id)
	h.Arrive(store.Urgent, 0, 5, Recalled(4, id, 7), Recalled(5, medical, 2))
	step(id)
	step(medical)
	h.Arrive(store.Normal, 3, 6, Signed(6, Foreign(id, 8)))
	step(id)
	if err := h.Intake.Purge(t.Context(), []intake.Purge{{Record: id, Ground: "the node was revoked"}}); err != nil {
		t.Fatal(err)
	}
	step(id)
	step(h.Create(h.Reader("ht.cc/op", desk.Operator), "note", Draft(Note{Title: "the end"})).ID)

	want := []string{"record 4", "record 6", "gone 6", "record 8", "gone 8", "record 1"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("who may see it (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, unseen); diff != "" {
		t.Errorf("who is not cleared (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"record 1", "gone 1"}, protected); diff != "" {
		t.Errorf("who is cleared (-want +got):\n%s", diff)
	}
}
