package intake_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/policy"
	"konbit/record"
)

// exchange is a house with the desk of answers, and a person of each agency.
func exchange(t *testing.T) (h *House, who func(person string, clearances ...string) *policy.Reader) {
	h = New(t, func(h *House) { h.Extra = []*desk.Desk{Answers()} })
	return h, func(person string, clearances ...string) *policy.Reader {
		r := h.Reader(person, desk.Operator, clearances...)
		r.Roles["answers"] = []desk.Role{desk.Operator}
		return r
	}
}

func marked(d *intake.Draft, tlp record.TLP, to ...string) *intake.Draft {
	d.Marking = record.Marking{TLP: tlp, To: to}
	return d
}

func about(d *intake.Draft, to *record.Record) *intake.Draft {
	if to != nil {
		d.Links = append(d.Links, Link(to))
	}
	return d
}

func try(h *House, by *policy.Reader, kind string, d *intake.Draft) error {
	_, err := h.Intake.Do(ctx, &intake.Command{Kind: kind, Name: desk.Create, Record: ID(), By: by, Draft: d})
	return err
}

func TestAnAnswerIsHeldToWhatItAnswers(t *testing.T) {
	h, who := exchange(t)
	cc, do, aid := who("ht.cc/op"), who("do.911/op"), who("int.aid/op")
	note := h.Create(cc, "note", marked(Draft(Note{Title: "a"}), record.Amber, "do.911"))
	hidden := h.Create(cc, "note", Draft(Note{Title: "ours alone"}))
	remark := func(tlp record.TLP, to ...string) *intake.Draft { return marked(Draft(Remark{Text: "b"}), tlp, to...) }
	for _, c := range []struct {
		name string
		by   *policy.Reader
		kind string
		d    *intake.Draft
		want string
	}{
		{"to its owner", do, "remark", about(remark(record.Amber, "ht.cc"), note), ""},
		{"to a third agency", do, "remark", about(remark(record.Amber, "ht.cc", "int.aid"), note), "marking.to[1]:wider"},
		{"in a wider colour", do, "remark", about(remark(record.Green, "ht.cc"), note), "marking.tlp:wider"},
		{"what it knows by itself", do, "seen", about(remark(record.Green, "int.aid"), note), ""},
		{"the owner's own", cc, "remark", about(remark(record.Green, "int.aid"), note), ""},
		{"to nothing", do, "remark", remark(record.Amber, "ht.cc"), "links:required"},
		{"to two", do, "remark", about(about(remark(record.Amber, "ht.cc"), note), note), "links[1]:max"},
		{"to what it may not see", do, "remark", about(remark(record.Amber, "ht.cc"), hidden), "links:not-found"},
		{"by whom it was not released to", aid, "remark", about(remark(record.Amber, "ht.cc"), note), "links:not-found"},
		{"a kind that it does not answer", do, "tell", about(marked(Draft(Tell{}), record.Amber, "ht.cc"), note), "links:enum"},
	} {
		if got := strings.Join(fields(try(h, c.by, c.kind, c.d)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAnAnswerCannotBeWidenedLater(t *testing.T) {
	h, who := exchange(t)
	cc, do := who("ht.cc/op"), who("do.911/op")
	note := h.Create(cc, "note", marked(Draft(Note{Title: "a"}), record.Amber, "do.911"))
	other := h.Create(cc, "note", marked(Draft(Note{Title: "b"}), record.Green, "do.911"))
	remark := h.Create(do, "remark", about(marked(Draft(Remark{Text: "c"}), record.Amber, "ht.cc"), note))
	mark := func(tlp record.TLP, to ...string) error {
		_, err := h.Intake.Do(ctx, &intake.Command{Kind: "remark", Name: desk.Mark, Record: remark.ID, By: do, Marking: &record.Marking{TLP: tlp, To: to}})
		return err
	}
	edit := func(d *intake.Draft) error {
		_, err := h.Intake.Do(ctx, &intake.Command{Kind: "remark", Name: desk.Edit, Record: remark.ID, By: do, Draft: d})
		return err
	}
	wantCode(t, mark(record.Amber, "ht.cc", "int.aid"), record.Invalid)
	wantCode(t, edit(about(marked(Draft(Remark{Text: "d"}), record.Amber, "int.aid"), note)), record.Invalid)
	if got := fields(edit(about(marked(Draft(Remark{Text: "d"}), record.Amber, "ht.cc"), other))); !slices.Equal(got, []string{"links:fixed"}) {
		t.Errorf("moved to another record: %v", got)
	}
	wantCode(t, mark(record.AmberStrict, "ht.cc"), "")

	// What it answers is out of sight: narrower, and no more.
	h.Do(&intake.Command{Kind: "note", Name: desk.Mark, Record: note.ID, By: cc, Marking: &record.Marking{TLP: record.Amber}})
	wantCode(t, mark(record.Amber, "ht.cc"), record.Invalid)
	wantCode(t, edit(about(marked(Draft(Remark{Text: "d"}), record.AmberStrict, "ht.cc"), note)), "")
	wantCode(t, mark(record.AmberStrict), "")
	wantCode(t, mark(record.AmberStrict, "ht.cc"), record.Invalid)
}

func TestAnAnswerToOnesOwnAnswerIsHeldToTheFirst(t *testing.T) {
	h, who := exchange(t)
	cc, do := who("ht.cc/op"), who("do.911/op")
	note := h.Create(cc, "note", marked(Draft(Note{Title: "a"}), record.Amber, "do.911"))
	remark := h.Create(do, "remark", about(marked(Draft(Remark{Text: "b"}), record.Amber, "ht.cc"), note))
	wantCode(t, try(h, do, "remark", about(marked(Draft(Remark{Text: "c"}), record.Amber, "int.aid"), remark)), record.Invalid)
	wantCode(t, try(h, do, "remark", about(marked(Draft(Remark{Text: "c"}), record.Amber, "ht.cc"), remark)), "")
	wantCode(t, try(h, cc, "remark", about(marked(Draft(Remark{Text: "c"}), record.Amber, "do.911"), remark)), "")
}

func TestAnAnswerCarriesTheCaveatsOfWhatItAnswers(t *testing.T) {
	h, who := exchange(t)
	cc, do := who("ht.cc/op", "victim"), who("do.911/op", "victim")
	note := h.Create(cc, "note", marked(Draft(Note{Title: "a", Victim: true}), record.Amber, "do.911"))
	d := about(marked(Draft(Remark{Text: "b"}), record.Amber, "ht.cc"), note)
	id := ID()
	create := &intake.Command{Kind: "remark", Name: desk.Create, Record: id, By: do, Draft: d}
	got := h.Do(create)
	if !slices.Equal(got.Record.Marking.Caveats, []string{"victim"}) {
		t.Fatalf("%+v", got.Record.Marking)
	}
	if again := h.Do(create); again.Status != intake.Unchanged { // the answer was lost
		t.Errorf("a retry is %s", again.Status)
	}
	r := h.Do(&intake.Command{Kind: "remark", Name: desk.Mark, Record: id, By: do, Marking: &record.Marking{TLP: record.AmberStrict, To: []string{"ht.cc"}}})
	if !slices.Equal(r.Record.Marking.Caveats, []string{"victim"}) {
		t.Errorf("taken away: %+v", r.Record.Marking)
	}
	h.Do(&intake.Command{Kind: "note", Name: desk.Mark, Record: note.ID, By: cc, Marking: &record.Marking{TLP: record.Amber}})
	if again := h.Do(create); again.Status != intake.Unchanged {
		t.Errorf("a retry after the recall is %s", again.Status)
	}
	h.Verify()
}

func TestOnlyTheAgencyThatWasAskedReplies(t *testing.T) {
	h, who := exchange(t)
	cc, do, aid := who("ht.cc/op"), who("do.911/op"), who("int.aid/op")
	ask := func(to string, release ...string) *intake.Draft {
		return marked(Draft(Ask{To: to}), record.Amber, release...)
	}
	for _, c := range []struct {
		name string
		d    *intake.Draft
		want string
	}{
		{"to a name that nobody has", ask("us.none", "do.911"), "body.to:unknown-name"},
		{"to a community", ask("@hispaniola", "@hispaniola"), "body.to:unknown-name"},
		{"to itself", ask("ht.cc", "do.911"), "body.to:self"},
		{"not released to whom it asks", ask("do.911", "int.aid"), "marking.to:addressee"},
		{"by a community", ask("do.911", "@dispatch"), ""},
	} {
		if got := strings.Join(fields(try(h, cc, "ask", c.d)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	q := h.Create(cc, "ask", ask("do.911", "do.911", "int.aid"))
	tell := func() *intake.Draft { return about(marked(Draft(Tell{}), record.Amber, "ht.cc"), q) }
	wantCode(t, try(h, aid, "tell", tell()), record.Denied)
	wantCode(t, try(h, cc, "tell", tell()), record.Denied)
	_, err := h.Intake.Do(ctx, &intake.Command{Kind: "ask", Name: "settle", Record: q.ID, By: cc})
	wantCode(t, err, record.Denied)
	wantCode(t, try(h, do, "tell", tell()), "")
	h.Do(&intake.Command{Kind: "ask", Name: "settle", Record: q.ID, By: cc, Automatic: true})
	wantCode(t, try(h, do, "tell", tell()), record.Stale)

	// It may be narrowed afterwards: that recalls it.
	open := h.Create(cc, "ask", ask("do.911", "do.911"))
	h.Do(&intake.Command{Kind: "ask", Name: desk.Mark, Record: open.ID, By: cc, Marking: &record.Marking{TLP: record.Amber}})
	wantCode(t, try(h, do, "tell", about(marked(Draft(Tell{}), record.Amber, "ht.cc"), open)), record.Invalid)
}

func TestAProtectedRecordAsksWhyBeforeItIsAnswered(t *testing.T) {
	h, who := exchange(t)
	cc, do := who("ht.cc/op", "victim"), who("do.911/op", "victim")
	d := Draft(Note{Title: "a"})
	d.Marking = record.Marking{TLP: record.Amber, To: []string{"do.911"}, Caveats: []string{"victim"}}
	cc.Purpose = "on duty"
	secret := h.Create(cc, "secret", d)
	answer := func() *intake.Draft { return about(marked(Draft(Remark{Text: "b"}), record.Amber, "ht.cc"), secret) }
	wantCode(t, try(h, do, "remark", answer()), record.NeedPurpose)
	do.Purpose = "call 12"
	wantCode(t, try(h, do, "remark", answer()), "")
	h.Clock.Move(time.Hour)
}
