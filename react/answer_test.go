package react

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

func exchange(t *testing.T, change ...func(*kerneltest.House)) (*kerneltest.House, func(person string) *policy.Reader) {
	h := kerneltest.New(t, append(change, func(h *kerneltest.House) { h.Extra = []*desk.Desk{kerneltest.Answers()} })...)
	return h, func(person string) *policy.Reader {
		r := h.Reader(person, desk.Operator)
		r.Roles["answers"] = []desk.Role{desk.Operator}
		return r
	}
}

func ask(h *kerneltest.House, by *policy.Reader, due time.Time, m record.Marking) *record.Record {
	a := kerneltest.Ask{To: "do.911"}
	if !due.IsZero() {
		a.Due = &due
	}
	d := kerneltest.Draft(a)
	d.Marking = m
	return h.Create(by, "ask", d)
}

func tell(h *kerneltest.House, by *policy.Reader, to []string, links ...record.Link) *record.Record {
	d := kerneltest.Draft(kerneltest.Tell{})
	d.Marking, d.Links = record.Marking{TLP: record.Amber, To: to}, links
	return h.Create(by, "tell", d)
}

func state(t *testing.T, h *kerneltest.House, id record.ID) (string, []string) {
	t.Helper()
	s, err := h.Store.Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return s.Record.State, s.Record.Flags
}

var toDo = record.Marking{TLP: record.Amber, To: []string{"do.911", "int.aid"}}

func TestAReplyMovesTheRecordOfAnotherAgencyThatItAnswersAndNoOther(t *testing.T) {
	h, who := exchange(t)
	cc, do := who("ht.cc/op"), who("do.911/op")
	r := start(t, h)
	q, bystander := ask(h, cc, time.Time{}, toDo), ask(h, cc, time.Time{}, toDo)
	tell(h, do, []string{"ht.cc"}, kerneltest.Link(q), record.Link{Rel: "related", Kind: "ask", ID: bystander.ID})
	settle(t, r)
	if s, _ := state(t, h, q.ID); s != "done" {
		t.Errorf("the request is %s", s)
	}
	if s, _ := state(t, h, bystander.ID); s != "open" {
		t.Errorf("a record that is not answered is %s", s)
	}
	s, err := h.Store.Get(ctx, q.ID)
	if err != nil || s.Record.Owner != "ht.cc" || s.Record.Author != "ht.cc/node" || s.Record.Command != "ask.settle" {
		t.Errorf("%+v, %v", s.Record.Header, err)
	}
	h.Verify()
}

// told is a reply of another node's agency.
func told(id record.ID, version int, owner string, to *record.Record, change ...func(*record.Record)) *record.Record {
	return kerneltest.Foreign(id, version, append([]func(*record.Record){func(r *record.Record) {
		r.Kind, r.State, r.Command, r.Owner, r.Author = "tell", "said", "tell.create", owner, owner+"/rosa"
		r.Links = []record.Link{kerneltest.Link(to)}
		r.Body, _ = json.Marshal(kerneltest.Tell{})
	}}, change...)...)
}

func TestAnotherNodesWordMovesOnlyWhatItWasAsked(t *testing.T) {
	h, who := exchange(t, kerneltest.Apart, func(h *kerneltest.House) { h.Dir.Nodes["int.aid"] = kerneltest.Dominican })
	cc := who("ht.cc/op")
	r := start(t, h)
	q := ask(h, cc, time.Time{}, toDo)
	note := h.Create(cc, "note", kerneltest.Draft(kerneltest.Note{Title: "a"}))
	n := int64(0)
	arrive := func(rec *record.Record) {
		t.Helper()
		n++
		if f := h.Arrive(store.Normal, n-1, n, kerneltest.Signed(n, rec)); f[0].Status != intake.Applied {
			t.Fatalf("%+v", f)
		}
		settle(t, r)
	}
	arrive(told(kerneltest.ID(), 1, "int.aid", q)) // it was not asked
	arrive(told(kerneltest.ID(), 1, "do.911", q, func(r *record.Record) { r.Links[0].Rel = "related" }))
	arrive(told(kerneltest.ID(), 1, "do.911", note))
	arrive(told(kerneltest.ID(), 1, "do.911", q, func(r *record.Record) { r.Links = append(r.Links, kerneltest.Link(note)) }))
	if s, _ := state(t, h, q.ID); s != "open" {
		t.Fatalf("the request is %s", s)
	}
	if s, _ := state(t, h, note.ID); s != "open" {
		t.Fatalf("the note is %s", s)
	}
	arrive(told(kerneltest.ID(), 1, "do.911", q))
	if s, _ := state(t, h, q.ID); s != "done" {
		t.Errorf("answered, the request is %s", s)
	}
	h.Verify()
}

func TestARequestOfAnotherNodeIsMovedThere(t *testing.T) {
	h, who := exchange(t, kerneltest.Apart)
	r := start(t, h)
	due := kerneltest.Day.Add(time.Hour)
	id := kerneltest.ID()
	q := kerneltest.Foreign(id, 1, func(r *record.Record) {
		r.Kind, r.State, r.Command = "ask", "open", "ask.create"
		r.Body, _ = json.Marshal(kerneltest.Ask{To: "ht.cc", Due: &due})
	})
	h.Arrive(store.Normal, 0, 1, kerneltest.Signed(1, q))
	tell(h, who("ht.cc/op"), []string{"do.911"}, kerneltest.Link(q))
	h.Clock.Move(3 * time.Hour)
	settle(t, r)
	r = start(t, h)
	settle(t, r)
	if s, flags := state(t, h, id); s != "open" || flags != nil {
		t.Errorf("%s %v", s, flags)
	}
	h.Verify()
}

func TestAReplyThatItsAskerDoesNotSeeMovesNothing(t *testing.T) {
	h, who := exchange(t)
	r := start(t, h)
	q := ask(h, who("ht.cc/op"), time.Time{}, toDo)
	secret := tell(h, who("do.911/op"), nil, kerneltest.Link(q))
	settle(t, r)
	if s, _ := state(t, h, q.ID); s != "open" {
		t.Fatalf("the request is %s by a reply that was not released", s)
	}
	h.Do(&intake.Command{Kind: "tell", Name: desk.Mark, Record: secret.ID, By: who("do.911/op"), Marking: &record.Marking{TLP: record.Amber, To: []string{"ht.cc"}}})
	settle(t, r)
	if s, _ := state(t, h, q.ID); s != "done" {
		t.Errorf("released, it is %s", s)
	}
}

func TestATimerAtATimeOfTheRecordsOwnOutlivesARestart(t *testing.T) {
	h, who := exchange(t)
	cc := who("ht.cc/op")
	r := start(t, h)
	day := 24 * time.Hour
	late := ask(h, cc, kerneltest.Day.Add(40*day), toDo)
	red := ask(h, cc, kerneltest.Day.Add(40*day), record.Marking{TLP: record.Red, Persons: []string{"do.911/op"}})
	told := ask(h, cc, kerneltest.Day.Add(40*day), toDo)
	never := ask(h, cc, time.Time{}, toDo)
	tell(h, who("do.911/op"), []string{"ht.cc"}, kerneltest.Link(told))
	settle(t, r)
	r.save(ctx)
	h.Restart()
	r = start(t, h)
	h.Clock.Move(40*day - time.Minute)
	settle(t, r)
	if _, flags := state(t, h, late.ID); flags != nil {
		t.Fatalf("too early: %v", flags)
	}
	h.Clock.Move(2 * time.Minute)
	settle(t, r)
	for id, want := range map[record.ID][]string{late.ID: {"late"}, red.ID: {"late"}, told.ID: nil, never.ID: nil} {
		if _, flags := state(t, h, id); !slices.Equal(flags, want) {
			t.Errorf("%s: flags %v, want %v", id, flags, want)
		}
	}
	v := h.Intake.Size()
	r = start(t, h)
	settle(t, r)
	if h.Intake.Size() != v {
		t.Error("flagged twice")
	}
}

func TestATimerFollowsTheTimeThatIsInForce(t *testing.T) {
	h, who := exchange(t)
	cc := who("ht.cc/op")
	r := start(t, h)
	q := ask(h, cc, kerneltest.Day.Add(time.Hour), toDo)
	later := kerneltest.Day.Add(5 * time.Hour)
	d := kerneltest.Draft(kerneltest.Ask{To: "do.911", Due: &later})
	d.Marking = toDo
	h.Do(&intake.Command{Kind: "ask", Name: desk.Edit, Record: q.ID, By: cc, Draft: d})
	h.Clock.Move(2 * time.Hour)
	settle(t, r)
	if _, flags := state(t, h, q.ID); flags != nil {
		t.Errorf("flagged at the old time: %v", flags)
	}
	h.Clock.Move(4 * time.Hour)
	settle(t, r)
	if _, flags := state(t, h, q.ID); !slices.Equal(flags, []string{"late"}) {
		t.Errorf("flags %v", flags)
	}
}
