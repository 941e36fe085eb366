package react

import (
	"encoding/json"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/record"
	"konbit/store"
)

// foreignJob is a version of a job of another node.
func foreignJob(id record.ID, version int) *record.Record {
	return kerneltest.Foreign(id, version, func(r *record.Record) {
		r.Kind, r.Command = "job", "job.create"
		r.Body, _ = json.Marshal(Job{Name: "theirs"})
	})
}

func TestReactionsLeaveOtherNodesRecordsAlone(t *testing.T) {
	h := house(t, false, kerneltest.Apart)
	r := start(t, h)
	ours, theirs := job(t, h, amber), kerneltest.ID()
	h.Arrive(store.Normal, 0, 1, kerneltest.Signed(1, foreignJob(theirs, 1)))
	settle(t, r)
	h.Clock.Move(2 * time.Hour)
	settle(t, r)
	if state, j, _ := now(t, h, ours.ID); state != "late" || j.Count != 1 {
		t.Errorf("ours: %s %+v", state, j)
	}
	if state, j, s := now(t, h, theirs); state != "open" || j.Count != 0 || s.Version != 1 {
		t.Errorf("theirs: %s %+v, version %d", state, j, s.Version)
	}
	if len(r.timers) != 0 || r.retries != 0 {
		t.Errorf("%d timers wait, %d retries", len(r.timers), r.retries)
	}
	h.Verify()
}

func TestRetentionGivesUpOtherNodesRecords(t *testing.T) {
	h := house(t, false, kerneltest.Apart)
	old, changed, note := kerneltest.ID(), kerneltest.ID(), kerneltest.ID()
	h.Arrive(store.Normal, 0, 3, kerneltest.Signed(1, foreignJob(old, 1)), kerneltest.Signed(2, foreignJob(changed, 1)), kerneltest.Signed(3, kerneltest.Foreign(note, 1)))
	ours := h.Create(h.Reader("ht.cc/op", desk.Operator), "unit", kerneltest.Draft(kerneltest.Unit{Name: "ours"}))
	r := start(t, h)
	h.Clock.Move(300 * 24 * time.Hour)
	h.Arrive(store.Normal, 3, 4, kerneltest.Signed(4, func() *record.Record {
		rec := foreignJob(changed, 2)
		rec.Recorded = h.Clock.Now()
		return rec
	}()))
	// A year after it was recorded there, which was a day before it came here.
	h.Clock.Move(64*24*time.Hour + 30*time.Minute)
	r.step(ctx)
	if _, err := h.Store.Get(ctx, old); record.CodeOf(err) != record.NotFound {
		t.Errorf("what was recorded more than a year ago is still here: %v", err)
	}
	for name, id := range map[string]record.ID{"changed since": changed, "kept ten years": note, "ours, younger by a day": ours.ID} {
		if _, err := h.Store.Get(ctx, id); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, err := h.Store.HeldOf(ctx, []record.ID{old})
	if err != nil || !m[old].Purged || m[old].Version != 1 {
		t.Errorf("%+v %v", m[old], err)
	}
	// An old stick does not bring it back.
	if fates := h.Arrive(store.Urgent, 0, 1, kerneltest.Signed(1, foreignJob(old, 1))); fates[0].Status != intake.Older {
		t.Errorf("%+v", fates)
	}
	h.Clock.Move(2 * 24 * time.Hour)
	r.step(ctx)
	if _, err := h.Store.Get(ctx, ours.ID); record.CodeOf(err) != record.NotFound {
		t.Errorf("ours: %v", err)
	}
	h.Verify()
}
