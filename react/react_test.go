package react

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/record"
	"konbit/store"
)

var ctx = context.Background()

// Job is the body of a kind whose desk reacts.
type Job struct {
	Name  string `json:"name" search:"title"`
	Count int    `json:"count,omitempty"`
}

// Step is the argument of job.step.
type Step struct {
	By int `json:"by"`
}

// jobs is a desk with a reaction at once, one after an hour, and one that
// triggers itself.
func jobs(loops bool) *desk.Desk {
	step := func(e desk.Event, by int) []desk.Order {
		return []desk.Order{{Kind: "job", ID: e.Record.ID, Command: "step", Note: "automatic", Args: Step{by}}}
	}
	d := &desk.Desk{Name: "jobs", Kinds: desk.Kinds{desk.KindOf[Job]("job",
		desk.Path("open", "late"), desk.Flow{"open": {"step": "open", "escalate": "late"}, "late": {"step": "late"}},
		desk.Allow{"step": desk.Operator, "escalate": desk.Operator}, desk.KeepYears(1),
		desk.Handle("step", func(c *desk.Change[Job], a Step) error { c.Body.Count += a.By; return nil }))},
		Reactions: []desk.Reaction{
			{Name: "greet", Kind: "job", Command: "create", Do: func(e desk.Event) ([]desk.Order, error) { return step(e, 1), nil }},
			{Name: "escalate", Kind: "job", Command: "create", After: time.Hour, Do: func(e desk.Event) ([]desk.Order, error) {
				return []desk.Order{{Kind: "job", ID: e.Record.ID, Command: "escalate"}}, nil
			}},
		}}
	if loops {
		d.Reactions = append(d.Reactions, desk.Reaction{Name: "loop", Kind: "job", Command: "step", Do: func(e desk.Event) ([]desk.Order, error) { return step(e, 1), nil }})
	}
	d.Files = kerneltest.Labels(d)
	return d
}

func house(t *testing.T, loops bool, change ...func(*kerneltest.House)) *kerneltest.House {
	return kerneltest.New(t, append(change, func(h *kerneltest.House) { h.Extra = []*desk.Desk{jobs(loops)} })...)
}

func start(t *testing.T, h *kerneltest.House) *Reactor {
	t.Helper()
	r := reactor(h)
	if err := r.start(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

// reactor makes a Reactor of a house.
func reactor(h *kerneltest.House) *Reactor {
	return New(h.Store, h.Desks, h.Records, h.Intake, h.Clock.Now, kerneltest.Log)
}

// settle steps until nothing more follows.
func settle(t *testing.T, r *Reactor) {
	t.Helper()
	for range 100 {
		before := r.intake.Size()
		r.step(ctx)
		if r.intake.Size() == before {
			return
		}
	}
	t.Fatal("reactions trigger each other without end")
}

func job(t *testing.T, h *kerneltest.House, m record.Marking) *record.Record {
	t.Helper()
	op := h.Reader("ht.cc/op", desk.Operator)
	op.Roles["jobs"] = []desk.Role{desk.Operator}
	d := kerneltest.Draft(Job{Name: "x"})
	d.Marking = m
	return h.Create(op, "job", d)
}

func now(t *testing.T, h *kerneltest.House, id record.ID) (string, Job, *store.Stored) {
	t.Helper()
	s, err := h.Store.Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	var j Job
	json.Unmarshal(s.Record.Body, &j)
	return s.Record.State, j, s
}

var amber = record.Marking{TLP: record.Amber}

func TestReactionFollowsOnceAlsoAcrossRestart(t *testing.T) {
	h := house(t, false)
	r := start(t, h)
	rec := job(t, h, amber)
	settle(t, r)
	if _, j, s := now(t, h, rec.ID); j.Count != 1 || s.Record.Author != "ht.cc/node" || s.Record.Note != "automatic" {
		t.Fatalf("%+v %+v", j, s.Record)
	}
	// The position was not kept: the event is met again and does nothing.
	h.Restart()
	r = start(t, h)
	settle(t, r)
	r.save(ctx)
	h.Restart()
	settle(t, start(t, h))
	if _, j, _ := now(t, h, rec.ID); j.Count != 1 {
		t.Errorf("the reaction ran %d times", j.Count)
	}
	h.Verify()
}

func TestTimerFiresWhenDueAlsoAcrossRestart(t *testing.T) {
	for name, restart := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			h := house(t, false)
			r := start(t, h)
			rec := job(t, h, amber)
			settle(t, r)
			r.save(ctx)
			h.Clock.Move(59 * time.Minute)
			if restart {
				h.Restart()
				r = start(t, h)
			}
			settle(t, r)
			if state, _, _ := now(t, h, rec.ID); state != "open" {
				t.Fatal("fired too early")
			}
			h.Clock.Move(time.Minute)
			settle(t, r)
			state, _, s := now(t, h, rec.ID)
			if state != "late" {
				t.Fatal("did not fire")
			}
			settle(t, r)
			if restart {
				h.Restart()
				settle(t, start(t, h))
			}
			if _, _, again := now(t, h, rec.ID); again.Version != s.Version {
				t.Errorf("fired again: version %d, then %d", s.Version, again.Version)
			}
		})
	}
}

func TestTimerThatCameDueWhileTheNodeWasDownFires(t *testing.T) {
	h := house(t, false)
	r := start(t, h)
	rec := job(t, h, amber)
	settle(t, r)
	r.save(ctx)
	h.Clock.Move(3 * time.Hour)
	h.Restart()
	settle(t, start(t, h))
	if state, _, _ := now(t, h, rec.ID); state != "late" {
		t.Error(state)
	}
}

func TestReactionsThatTriggerEachOtherEnd(t *testing.T) {
	h := house(t, true)
	r := start(t, h)
	rec := job(t, h, amber)
	settle(t, r)
	if _, j, _ := now(t, h, rec.ID); j.Count == 0 || j.Count > intake.MaxHops {
		t.Errorf("%d steps, at most %d are allowed", j.Count, intake.MaxHops)
	}
	if len(r.hops) != 0 {
		t.Errorf("%d hops are remembered for nothing", len(r.hops))
	}
}

func TestNodeActsOnRedRecordsWithoutJoiningTheirReaders(t *testing.T) {
	h := house(t, false)
	r := start(t, h)
	rec := job(t, h, record.Marking{TLP: record.Red})
	settle(t, r)
	if _, j, s := now(t, h, rec.ID); j.Count != 1 || len(s.Record.Marking.Persons) != 1 {
		t.Errorf("%+v, persons %v", j, s.Record.Marking.Persons)
	}
}

// full is the real store with a disk that is full on demand.
type full struct {
	store.Store
	on atomic.Bool
}

func (f *full) Commit(ctx context.Context, b *store.Batch) error {
	if f.on.Load() {
		return record.Errorf(record.Unavailable, "store.write", "no space")
	}
	return f.Store.Commit(ctx, b)
}

func TestReactionWaitsForAFullDisk(t *testing.T) {
	var disk *full
	h := house(t, false, func(h *kerneltest.House) {
		h.Wrap = func(s store.Store) store.Store { disk = &full{Store: s}; return disk }
	})
	r := start(t, h)
	rec := job(t, h, amber)
	disk.on.Store(true)
	r.step(ctx)
	r.save(ctx)
	if n, _ := h.Store.Cursor(ctx, Follower); n != 0 {
		t.Errorf("the position %d was kept while a reaction waits", n)
	}
	disk.on.Store(false)
	h.Clock.Move(again)
	settle(t, r)
	if _, j, _ := now(t, h, rec.ID); j.Count != 1 {
		t.Errorf("%+v", j)
	}
	r.save(ctx)
	if n, _ := h.Store.Cursor(ctx, Follower); n != h.Intake.Size() {
		t.Errorf("kept %d of %d", n, h.Intake.Size())
	}
}

func TestRetentionErasesWhatWasNotChangedForItsTime(t *testing.T) {
	h := house(t, false)
	op := h.Reader("ht.cc/op", desk.Operator)
	var old []*record.Record
	cmds := make([]*intake.Command, 1203) // more than one sweep's portion
	for i := range cmds {
		cmds[i] = &intake.Command{Kind: "unit", Name: "create", Record: kerneltest.ID(), By: op, Draft: kerneltest.Draft(kerneltest.Unit{Name: fmt.Sprint(i)})}
	}
	rs, _ := h.Intake.DoAll(ctx, cmds)
	for _, x := range rs {
		old = append(old, x.Record)
	}
	red := kerneltest.Draft(kerneltest.Unit{Name: "red"})
	red.Marking = record.Marking{TLP: record.Red}
	old = append(old, h.Create(op, "unit", red))
	note := h.Create(op, "note", kerneltest.Draft(kerneltest.Note{Title: "is kept ten years"}))
	worked := h.Create(op, "unit", kerneltest.Draft(kerneltest.Unit{Name: "worked on"}))
	r := start(t, h)
	h.Clock.Move(200 * 24 * time.Hour)
	h.Do(&intake.Command{Kind: "unit", Name: "take", Record: worked.ID, By: op, Args: json.RawMessage(`{"task":"x"}`)})
	h.Clock.Move(164 * 24 * time.Hour)
	r.step(ctx)
	if n, _ := h.Store.Rows(ctx, "unit"); n != int64(len(old))+1 {
		t.Fatalf("too early: %d are left", n)
	}
	h.Clock.Move(25 * time.Hour)
	r.step(ctx)
	if n, _ := h.Store.Rows(ctx, "unit"); n != 1 {
		t.Errorf("%d units are left, want the one that was worked on", n)
	}
	for _, id := range []record.ID{worked.ID, note.ID} {
		if _, err := h.Store.Get(ctx, id); err != nil {
			t.Error(err)
		}
	}
	h.Verify()
}

func TestRunFollowsAndEnds(t *testing.T) {
	h := house(t, false)
	r := reactor(h)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	rec := job(t, h, amber)
	for {
		size, grown := h.Intake.Grown()
		if _, j, _ := now(t, h, rec.ID); j.Count == 1 {
			break
		}
		if s, _ := h.Intake.Grown(); s == size {
			<-grown
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
