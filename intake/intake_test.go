package intake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
)

var ctx = context.Background()

func wantCode(t *testing.T, err error, want record.Code) {
	t.Helper()
	if got := record.CodeOf(err); got != want {
		t.Fatalf("got code %q, want %q; error: %v", got, want, err)
	}
}

func fields(err error) (paths []string) {
	var e *record.Error
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			paths = append(paths, f.Path+":"+f.Code)
		}
	}
	return paths
}

func TestEveryCommandIsRefusedWithoutItsRight(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	rec := h.Create(op, "note", Draft(Note{Title: "a"}))
	cmd := func(by *policy.Reader, name string) *intake.Command {
		return &intake.Command{Kind: "note", Name: name, Record: rec.ID, By: by, Note: "why", Draft: Draft(Note{Title: "b"}), Marking: &record.Marking{TLP: record.Green}}
	}
	token := h.Reader("ht.cc/op", desk.Operator)
	token.Scopes = []string{"read"}
	for _, c := range []struct {
		name string
		cmd  *intake.Command
		want record.Code
	}{
		{"nobody", cmd(&policy.Reader{}, "finish"), record.Unsigned},
		{"viewer edits", cmd(h.Reader("ht.cc/v", desk.Viewer), "edit"), record.Denied},
		{"operator erases", cmd(op, "erase"), record.Denied},
		{"operator reopens", cmd(op, "reopen"), record.Denied},
		{"administrator edits", cmd(h.Reader("ht.cc/root", desk.Administrator), "edit"), record.Denied},
		{"auditor edits", cmd(h.Reader("ht.cc/aud", desk.Auditor), "edit"), record.Denied},
		{"token without write", cmd(token, "edit"), record.Denied},
		{"other agency that cannot see it", cmd(h.Reader("do.911/op", desk.Supervisor), "edit"), record.NotFound},
		{"agency that this node does not serve", cmd(h.Reader("us.uscg/op", desk.Operator), "edit"), record.Denied},
		{"unknown command", cmd(op, "explode"), record.NotFound},
		{"unknown kind", &intake.Command{Kind: "nothing", Name: "edit", By: op}, record.NotFound},
		{"not in this state", cmd(h.Reader("ht.cc/s", desk.Supervisor), "reopen"), record.Stale},
		{"too many hops", func() *intake.Command { c := cmd(op, "finish"); c.Hops = intake.MaxHops + 1; return c }(), record.Stale},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.Intake.Do(ctx, c.cmd)
			wantCode(t, err, c.want)
		})
	}
	h.Do(&intake.Command{Kind: "note", Name: "mark", Record: rec.ID, By: op, Marking: &record.Marking{TLP: record.Amber, To: []string{"do.911"}}})
	_, err := h.Intake.Do(ctx, cmd(h.Reader("do.911/op", desk.Supervisor), "edit"))
	wantCode(t, err, record.Denied) // he sees it now; still only the owner changes it
	h.Verify()
}

func TestInputIsRefusedFieldByField(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	far := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -10*3600))
	for _, c := range []struct {
		name   string
		change func(*intake.Draft)
		want   []string
	}{
		{"body", func(d *intake.Draft) { d.Body = json.RawMessage(`{"titel":1}`) }, []string{"body.titel:unknown"}},
		{"no body", func(d *intake.Draft) { d.Body = nil }, []string{"body:required"}},
		{"null body", func(d *intake.Draft) { d.Body = json.RawMessage(`null`) }, []string{"body:type"}},
		{"no colour", func(d *intake.Draft) { d.Marking.TLP = "" }, []string{"marking.tlp:enum"}},
		{"unknown agency", func(d *intake.Draft) { d.Marking.To = []string{"do.912"} }, []string{"marking.to[0]:unknown-name"}},
		{"unknown community", func(d *intake.Draft) { d.Marking.To = []string{"@nowhere"} }, []string{"marking.to[0]:unknown-name"}},
		{"unknown person", func(d *intake.Draft) { d.Marking = record.Marking{TLP: record.Red, Persons: []string{"xx.yy/z"}} }, []string{"marking.persons[0]:unknown-name"}},
		{"expiry that no JSON can hold", func(d *intake.Draft) { d.Marking.Expires = &far }, []string{"marking.expires:range"}},
		{"future", func(d *intake.Draft) { d.Observed = Day.Add(25 * time.Hour) }, []string{"observed:future"}},
		{"swapped place", func(d *intake.Draft) { At(d, 18.5, -172.3) }, []string{"place.geometry:geometry"}},
		{"note with a bell", func(d *intake.Draft) { d.Note = "a\a" }, []string{"note:control"}},
		{"attachment never uploaded", func(d *intake.Draft) { d.Attachments = []record.Attachment{{Hash: strings.Repeat("a", 64)}} }, []string{"attachments[0]:unknown"}},
		{"attachment that climbs", func(d *intake.Draft) { d.Attachments = []record.Attachment{{Hash: strings.Repeat("../", 21) + "a"}} }, []string{"attachments[0].hash:invalid"}},
		{"flags", func(d *intake.Draft) { d.Flags = []string{"Not A Token"} }, []string{"flags[0]:invalid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Draft(Note{Title: "a"})
			c.change(d)
			_, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "create", Record: ID(), By: op, Draft: d})
			wantCode(t, err, record.Invalid)
			if diff := cmp.Diff(c.want, fields(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if n := h.Intake.Size(); n != 0 {
		t.Errorf("refused input left %d ledger entries", n)
	}
}

func TestRetryReturnsTheFirstReceiptEvenAfterRestart(t *testing.T) {
	h := New(t)
	op, sup := h.Reader("ht.cc/op", desk.Operator), h.Reader("ht.cc/sup", desk.Supervisor)
	create := &intake.Command{ID: ID(), Kind: "note", Name: "create", Record: ID(), By: op, Draft: Draft(Note{Title: "a"})}
	first := h.Do(create)
	if first.Status != intake.Created {
		t.Fatalf("status %s", first.Status)
	}
	finish := &intake.Command{ID: ID(), Kind: "note", Name: "finish", Record: create.Record, By: op}
	second := h.Do(finish)
	again := func() {
		t.Helper()
		for _, c := range []struct {
			cmd  *intake.Command
			want intake.Receipt
		}{{create, first}, {finish, second}} {
			got := h.Do(c.cmd)
			if got.Status != intake.Unchanged || got.Seq != c.want.Seq {
				t.Errorf("%s: got %s at %d, want unchanged at %d", c.cmd.Name, got.Status, got.Seq, c.want.Seq)
			}
			if diff := cmp.Diff(c.want.Record, got.Record); diff != "" {
				t.Error(diff)
			}
		}
	}
	again()
	h.Restart()
	again()
	if n := h.Intake.Size(); n != 2 {
		t.Errorf("retries grew the ledger to %d", n)
	}
	for name, c := range map[string]*intake.Command{
		"another record": {ID: finish.ID, Kind: "note", Name: "finish", Record: ID(), By: op},
		"another person": {ID: finish.ID, Kind: "note", Name: "finish", Record: create.Record, By: sup},
		"another kind":   {ID: finish.ID, Kind: "unit", Name: "release", Record: create.Record, By: op},
	} {
		_, err := h.Intake.Do(ctx, c)
		if record.CodeOf(err) != record.Conflict {
			t.Errorf("%s with the same command id: %v", name, err)
		}
	}
	erase := &intake.Command{ID: ID(), Kind: "note", Name: "erase", Record: create.Record, By: sup, Note: "court"}
	gone := h.Do(erase)
	h.Restart()
	if got := h.Do(erase); got.Seq != gone.Seq || got.Record.ID != create.Record || got.Status != intake.Unchanged {
		t.Errorf("retry of an erasure: %+v", got)
	}
	_, err := h.Intake.Do(ctx, create)
	wantCode(t, err, record.Conflict)
	h.Verify()
}

// A command id that is in the same batch must not open somebody else's record.
func TestRepeatedCommandIDShowsNobodyAnotherRecord(t *testing.T) {
	h := New(t)
	a, b := h.Reader("ht.cc/a", desk.Operator), h.Reader("ht.cc/b", desk.Operator)
	red := Draft(Note{Title: "hidden"})
	red.Marking = record.Marking{TLP: record.Red}
	hidden := h.Create(a, "note", red)
	id := ID()
	_, errs := h.Intake.DoAll(ctx, []*intake.Command{
		{ID: id, Kind: "note", Name: "create", Record: ID(), By: b, Draft: Draft(Note{Title: "mine"})},
		{ID: id, Kind: "note", Name: "finish", Record: hidden.ID, By: b},
	})
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	wantCode(t, errs[1], record.Conflict)
}

func TestCreateAgainIsHarmlessAndOtherContentConflicts(t *testing.T) {
	h := New(t)
	op, other := h.Reader("ht.cc/op", desk.Operator), h.Reader("ht.cc/other", desk.Operator)
	id := ID()
	cmd := func(by *policy.Reader, title string) *intake.Command {
		return &intake.Command{Kind: "note", Name: "create", Record: id, By: by, Draft: Draft(Note{Title: title})}
	}
	h.Do(cmd(op, "a"))
	if r := h.Do(cmd(op, "a")); r.Status != intake.Unchanged {
		t.Error(r.Status)
	}
	_, err := h.Intake.Do(ctx, cmd(op, "b"))
	wantCode(t, err, record.Conflict)
	h.Do(&intake.Command{Kind: "note", Name: "edit", Record: id, By: other, Draft: Draft(Note{Title: "better"})})
	if r := h.Do(cmd(op, "a")); r.Status != intake.Unchanged || r.Record.Version != 2 {
		t.Errorf("a late retry: %s, version %d", r.Status, r.Record.Version)
	}
	_, err = h.Intake.Do(ctx, &intake.Command{Kind: "unit", Name: "create", Record: id, By: op, Draft: Draft(Unit{Name: "x"})})
	wantCode(t, err, record.Conflict)
	_, err = h.Intake.Do(ctx, cmd(h.Reader("do.911/op", desk.Operator), "a"))
	wantCode(t, err, record.Conflict)
	if n := h.Intake.Size(); n != 2 {
		t.Errorf("ledger has %d entries, want 2", n)
	}
}

func TestUpsertEditsOnlyWhatTheFileChanged(t *testing.T) {
	h := New(t)
	op, colleague := h.Reader("ht.cc/op", desk.Operator), h.Reader("ht.cc/col", desk.Operator)
	id := ID()
	file := func(title string) intake.Receipt {
		t.Helper()
		return h.Do(&intake.Command{Kind: "note", Name: "create", Record: id, By: op, Upsert: true, Draft: Draft(Note{Title: title})})
	}
	step := func(r intake.Receipt, want intake.Status, version int, title string) {
		t.Helper()
		var n Note
		if err := json.Unmarshal(r.Record.Body, &n); err != nil {
			t.Fatal(err)
		}
		if r.Status != want || r.Record.Version != version || n.Title != title {
			t.Fatalf("got %s version %d %q, want %s version %d %q", r.Status, r.Record.Version, n.Title, want, version, title)
		}
	}
	step(file("one"), intake.Created, 1, "one")
	step(file("one"), intake.Unchanged, 1, "one")
	step(file("two"), intake.Updated, 2, "two")
	h.Do(&intake.Command{Kind: "note", Name: "mark", Record: id, By: colleague, Marking: &record.Marking{TLP: record.Amber, To: []string{"do.911"}}})
	h.Do(&intake.Command{Kind: "note", Name: "edit", Record: id, By: colleague, Draft: func() *intake.Draft { d := Draft(Note{Title: "mended"}); d.Marking = record.Marking{}; return d }()})
	step(file("two"), intake.Unchanged, 4, "mended") // the file says nothing new: the work stays
	r := file("three")
	step(r, intake.Updated, 5, "three")
	if len(r.Record.Marking.To) != 1 || r.Record.Command != "note.edit" {
		t.Errorf("upsert undid the release or is called %s: %+v", r.Record.Command, r.Record.Marking)
	}
	h.Do(&intake.Command{Kind: "note", Name: "finish", Record: id, By: op})
	step(file("four"), intake.Unchanged, 6, "three") // frozen
	h.Verify()
}

func TestUpsertOpensNoRedRecordToItsImporter(t *testing.T) {
	h := New(t)
	a, importer := h.Reader("ht.cc/a", desk.Operator), h.Reader("ht.cc/imp", desk.Operator)
	red := Draft(Note{Title: "hidden"})
	red.Marking = record.Marking{TLP: record.Red}
	rec := h.Create(a, "note", red)
	_, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "create", Record: rec.ID, By: importer, Upsert: true, Draft: Draft(Note{Title: "mine"})})
	wantCode(t, err, record.Conflict)
	s, err := h.Store.Get(ctx, rec.ID)
	if err != nil || slices.Contains(s.Record.Marking.Persons, importer.Person) || s.Version != 1 {
		t.Errorf("the importer is now among %v, version %d, %v", s.Record.Marking.Persons, s.Version, err)
	}
}

func TestImportOfProtectedRowsTwiceIsTheSame(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator) // not cleared for victims
	c := &intake.Command{Kind: "note", Name: "create", Record: ID(), By: op, Upsert: true, Draft: Draft(Note{Title: "a", Victim: true})}
	if r := h.Do(c); !slices.Equal(r.Record.Marking.Caveats, []string{"victim"}) {
		t.Fatalf("caveats %v", r.Record.Marking.Caveats)
	}
	if r := h.Do(c); r.Status != intake.Unchanged {
		t.Error(r.Status)
	}
}

func TestConflictWhenTheVersionHasMovedOn(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	rec := h.Create(op, "note", Draft(Note{Title: "a"}))
	edit := func(v int, title string) error {
		_, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "edit", Record: rec.ID, Version: v, By: op, Draft: Draft(Note{Title: title})})
		return err
	}
	if err := edit(1, "b"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, edit(1, "c"), record.Conflict)
	if err := edit(2, "c"); err != nil {
		t.Fatal(err)
	}
}

func TestTwoDispatchersCannotTakeTheSameUnit(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	unit := h.Create(op, "unit", Draft(Unit{Name: "A1"}))
	take := func(task string) *intake.Command {
		return &intake.Command{ID: ID(), Kind: "unit", Name: "take", Record: unit.ID, By: op, Args: json.RawMessage(`{"task":"` + task + `"}`)}
	}
	r, errs := h.Intake.DoAll(ctx, []*intake.Command{take("first"), take("second")})
	if errs[0] != nil || r[0].Record.State != "busy" {
		t.Fatal(errs[0])
	}
	wantCode(t, errs[1], record.Stale)
	s, _ := h.Store.Get(ctx, unit.ID)
	var u Unit
	json.Unmarshal(s.Record.Body, &u)
	if u.Task != "first" || s.Record.Command != "unit.take" {
		t.Errorf("%+v", u)
	}
	h.Do(&intake.Command{Kind: "unit", Name: "release", Record: unit.ID, By: op})
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			if _, err := h.Intake.Do(ctx, take(fmt.Sprint(i))); err == nil {
				won.Add(1)
			} else if record.CodeOf(err) != record.Stale {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d dispatchers took the unit", won.Load())
	}
	h.Verify()
}

func TestMarkings(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator, "victim")
	red := Draft(Note{Title: "a"})
	red.Marking = record.Marking{TLP: record.Red, Persons: []string{"do.911/x"}}
	rec := h.Create(op, "note", red)
	if diff := cmp.Diff([]string{"do.911/x", "ht.cc/op"}, rec.Marking.Persons); diff != "" {
		t.Error("RED adds the author: ", diff)
	}
	v := h.Create(op, "note", Draft(Note{Title: "v", Victim: true}))
	mark := func(m record.Marking) (intake.Receipt, error) {
		return h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "mark", Record: v.ID, By: op, Marking: &m})
	}
	r, err := mark(record.Marking{TLP: record.Green})
	if err != nil || !slices.Contains(r.Record.Marking.Caveats, "victim") {
		t.Errorf("a marking took the protection away: %+v %v", r.Record, err)
	}
	_, err = mark(record.Marking{TLP: record.Green})
	wantCode(t, err, record.Stale)
	r = h.Do(&intake.Command{Kind: "note", Name: "edit", Record: v.ID, By: op, Draft: func() *intake.Draft { d := Draft(Note{Title: "v2"}); d.Marking = record.Marking{}; return d }()})
	if r.Record.Marking.TLP != record.Green || !slices.Contains(r.Record.Marking.Caveats, "victim") {
		t.Errorf("an edit without a marking changed it: %+v", r.Record.Marking)
	}
}

func TestEditIsNoWayAroundTheRightToMark(t *testing.T) {
	d := &desk.Desk{Name: "strict", Kinds: desk.Kinds{desk.KindOf[Note]("strict", desk.Path("open", "shut"), desk.Flow{"open": {"shut": "shut"}},
		desk.Allow{"shut": desk.Operator, "mark": desk.Supervisor}, desk.KeepYears(1))}}
	d.Files = Labels(d)
	h := New(t, func(h *House) { h.Extra = []*desk.Desk{d} })
	op := h.Reader("ht.cc/op", desk.Operator)
	op.Roles = map[string][]desk.Role{"strict": {desk.Operator}}
	rec := h.Create(op, "strict", Draft(Note{Title: "a"}))
	wide := Draft(Note{Title: "b"})
	wide.Marking = record.Marking{TLP: record.Clear}
	_, err := h.Intake.Do(ctx, &intake.Command{Kind: "strict", Name: "edit", Record: rec.ID, By: op, Draft: wide})
	wantCode(t, err, record.Denied)
	h.Do(&intake.Command{Kind: "strict", Name: "edit", Record: rec.ID, By: op, Draft: Draft(Note{Title: "b"})})
}

// What a command has set, no edit takes away or forges: a second person is needed where
// the desk wants two.
func TestFieldOfCommandsIsNotForThoseWhoWrite(t *testing.T) {
	type Order struct {
		Text     string `json:"text"               search:"title"`
		Proposer string `json:"proposer,omitempty" max:"100" set:"command" search:"text"`
	}
	d := &desk.Desk{Name: "two", Kinds: desk.Kinds{desk.KindOf[Order]("order", desk.Path("draft", "proposed", "live"),
		desk.Flow{"draft": {"propose": "proposed"}, "proposed": {"approve": "live", "return": "draft"}},
		desk.Allow{"propose": desk.Operator, "approve": desk.Operator, "return": desk.Operator}, desk.KeepYears(1),
		desk.Handle("propose", func(c *desk.Change[Order], _ struct{}) error {
			c.Body.Proposer = c.Actor
			return nil
		}),
		desk.Handle("approve", func(c *desk.Change[Order], _ struct{}) error {
			if c.Body.Proposer == c.Actor {
				return record.Errorf(record.Denied, "order.approve", "a second person approves")
			}
			return nil
		}))}}
	d.Files = Labels(d)
	h := New(t, func(h *House) { h.Extra = []*desk.Desk{d} })
	ana, luc := h.Reader("ht.cc/ana", desk.Operator), h.Reader("ht.cc/luc", desk.Operator)
	for _, p := range []*policy.Reader{ana, luc} {
		p.Roles["two"] = []desk.Role{desk.Operator}
	}
	give := func(by *policy.Reader, name string, rec *record.Record, draft *intake.Draft) (intake.Receipt, error) {
		return h.Intake.Do(ctx, &intake.Command{ID: ID(), Kind: "order", Name: name, Record: rec.ID, By: by, Draft: draft})
	}
	forged := &record.Record{}
	forged.ID = ID()
	_, err := give(ana, "create", forged, Draft(Order{"a", "ht.cc/luc"}))
	wantCode(t, err, record.Invalid)
	rec := h.Create(ana, "order", Draft(Order{Text: "a"}))
	h.Do(&intake.Command{Kind: "order", Name: "propose", Record: rec.ID, By: ana})
	for _, proposer := range []string{"ht.cc/luc", "nobody"} {
		_, err = give(ana, "edit", rec, Draft(Order{"b", proposer}))
		wantCode(t, err, record.Invalid)
	}
	for i, proposer := range []string{"", "ht.cc/ana"} { // left out, or as it is
		r, err := give(luc, "edit", rec, Draft(Order{fmt.Sprint("b", i), proposer}))
		if err != nil || !strings.Contains(string(r.Record.Body), `"proposer":"ht.cc/ana"`) {
			t.Fatalf("%+v %v", r, err)
		}
	}
	page, err := h.Records.List(ctx, ana, "order", &query.Filter{Words: "ana"})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("what a command has set is not found after an edit: %v", err)
	}
	_, err = give(ana, "approve", rec, nil)
	wantCode(t, err, record.Denied)
	if _, err := give(luc, "approve", rec, nil); err != nil {
		t.Error(err)
	}
	h.Verify()
}

func TestAttachmentNeedsAClaimOnceAndThenStays(t *testing.T) {
	h := New(t)
	op, other := h.Reader("ht.cc/op", desk.Operator), h.Reader("ht.cc/other", desk.Operator)
	hash := strings.Repeat("ab", 32)
	h.Blobs["ht.cc/op "+hash] = 77
	d := Draft(Note{Title: "a"})
	d.Attachments = []record.Attachment{{Hash: hash, Type: "text/html", Size: 1, Name: "x.png"}}
	_, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "create", Record: ID(), By: other, Draft: d})
	wantCode(t, err, record.Invalid)
	rec := h.Create(op, "note", d)
	want := []record.Attachment{{Hash: hash, Type: "image/png", Size: 77, Name: "x.png"}}
	if diff := cmp.Diff(want, rec.Attachments); diff != "" {
		t.Error(diff)
	}
	clear(h.Blobs)
	r := h.Do(&intake.Command{Kind: "note", Name: "edit", Record: rec.ID, By: other, Draft: func() *intake.Draft { e := *d; e.Body = json.RawMessage(`{"title":"b"}`); return &e }()})
	if diff := cmp.Diff(want, r.Record.Attachments); diff != "" {
		t.Error(diff)
	}
	if held, _ := h.Store.Attached(ctx, hash); !held {
		t.Error("the attachment is not known to be held")
	}
	d.Attachments = nil
	h.Do(&intake.Command{Kind: "note", Name: "edit", Record: rec.ID, By: other, Draft: d})
	if held, _ := h.Store.Attached(ctx, hash); !held {
		t.Error("an edit took it away from the older version")
	}
	h.Blobs["ht.cc/op "+hash] = 77
	h.Do(&intake.Command{Kind: "note", Name: "erase", Record: rec.ID, By: h.Reader("ht.cc/sup", desk.Supervisor), Note: "court order"})
	if held, _ := h.Store.Attached(ctx, hash); held || len(h.Blobs) > 0 {
		t.Error("the erased record's attachment is still there")
	}
}

func TestEraseRemovesContentAndKeepsProofs(t *testing.T) {
	h := New(t)
	sup := h.Reader("ht.cc/sup", desk.Supervisor)
	rec := h.Create(sup, "note", Draft(Note{Title: "quetzalword"}))
	edit := &intake.Command{Kind: "note", Name: "edit", Record: rec.ID, By: sup, Draft: Draft(Note{Title: "quetzalword two"})}
	_, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "erase", Record: rec.ID, By: sup})
	wantCode(t, err, record.Invalid) // no ground
	// In one batch with a change: both versions go.
	_, errs := h.Intake.DoAll(ctx, []*intake.Command{edit, {Kind: "note", Name: "erase", Record: rec.ID, By: sup, Note: "court order 7"}, edit})
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	wantCode(t, errs[2], record.NotFound)
	_, err = h.Store.Get(ctx, rec.ID)
	wantCode(t, err, record.NotFound)
	vs, err := h.Store.Versions(ctx, rec.ID)
	if err != nil || len(vs) != 2 || vs[0].Record != nil || vs[1].Record != nil || vs[0].Raw != nil {
		t.Errorf("versions after the erasure: %+v %v", vs, err)
	}
	h.Verify()
	h.Restart()
	h.Verify()
}

func TestTimeNeverRunsBackwards(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	a := h.Create(op, "note", Draft(Note{Title: "a"}))
	h.Clock.Move(-3 * time.Hour)
	b := h.Create(op, "note", Draft(Note{Title: "b"}))
	h.Restart()
	c := h.Create(op, "note", Draft(Note{Title: "c"}))
	if b.Recorded.Before(a.Recorded) || c.Recorded.Before(b.Recorded) {
		t.Errorf("recorded %v, %v, %v", a.Recorded, b.Recorded, c.Recorded)
	}
	h.Verify()
}

func TestPlaceOutsideTheRegionIsKeptAndFlagged(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	out := h.Create(op, "note", At(Draft(Note{Title: "Hong Kong"}), 114, 22))
	in := h.Create(op, "note", At(Draft(Note{Title: "Leogane"}), -72.6, 18.5))
	if !slices.Equal(out.Flags, []string{"outside-region"}) || len(in.Flags) != 0 {
		t.Errorf("flags %v and %v", out.Flags, in.Flags)
	}
	r := h.Do(&intake.Command{Kind: "note", Name: "edit", Record: out.ID, By: op, Draft: At(Draft(Note{Title: "mended"}), -72, 18)})
	if len(r.Record.Flags) != 0 {
		t.Errorf("the flag stays after the place is mended: %v", r.Record.Flags)
	}
}

// A version that cannot be sealed is refused alone.
func TestOneBadVersionDoesNotRefuseItsNeighbours(t *testing.T) {
	type Pin struct {
		Name string `json:"name" search:"title"`
	}
	d := &desk.Desk{Name: "odd", Kinds: desk.Kinds{desk.KindOf[Pin]("pin", desk.Path("a", "b"), desk.Flow{"a": {"break": "b", "lose": "b"}}, desk.Allow{"break": desk.Operator, "lose": desk.Operator},
		desk.KeepYears(1), desk.OnMap("circle", ""),
		desk.Handle("break", func(c *desk.Change[Pin], _ struct{}) error {
			if c.From != "a" {
				return fmt.Errorf("from %q", c.From)
			}
			c.Record.Place = &record.Place{Geometry: &record.Geometry{Type: "Point", Coordinates: json.RawMessage(`[999,999]`)}}
			return nil
		}),
		desk.Handle("lose", func(c *desk.Change[Pin], _ struct{}) error {
			c.Record.Links = []record.Link{{Note: string(rune(0xD800))}}
			c.Record.Flags = []string{"x"}
			return nil
		}))}}
	d.Files = Labels(d)
	h := New(t, func(h *House) { h.Extra = []*desk.Desk{d} })
	op := h.Reader("ht.cc/op", desk.Operator)
	op.Roles["odd"] = []desk.Role{desk.Operator}
	pin := h.Create(op, "pin", Draft(Pin{"x"}))
	r, errs := h.Intake.DoAll(ctx, []*intake.Command{
		{ID: ID(), Kind: "note", Name: "create", Record: ID(), By: op, Draft: Draft(Note{Title: "before"})},
		{ID: ID(), Kind: "pin", Name: "break", Record: pin.ID, By: op},
		{ID: ID(), Kind: "note", Name: "create", Record: ID(), By: op, Draft: Draft(Note{Title: "after"})},
	})
	if errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Fatal(errs)
	}
	if r[2].Seq != r[0].Seq+1 {
		t.Errorf("a gap: %d then %d", r[0].Seq, r[2].Seq)
	}
	h.Verify()
}

// faulty is the real store with a disk that fails on demand.
type faulty struct {
	store.Store
	fail  atomic.Int32       // the next so many commits fail
	lost  atomic.Bool        // what fails is on disk all the same: only the answer is lost
	pause chan chan struct{} // a commit waits here when not nil
}

func (f *faulty) Commit(ctx context.Context, b *store.Batch) error {
	if f.pause != nil {
		select {
		case c := <-f.pause:
			<-c
		default:
		}
	}
	if f.fail.Add(-1) >= 0 {
		if f.lost.Load() {
			if err := f.Store.Commit(ctx, b); err != nil {
				return err
			}
		}
		return record.Errorf(record.Unavailable, "store.write", "no space")
	}
	f.fail.Store(0)
	return f.Store.Commit(ctx, b)
}

func TestFailedCommitRefusesWhatWasBuiltOnIt(t *testing.T) {
	var disk *faulty
	h := New(t, func(h *House) {
		h.Wrap = func(s store.Store) store.Store {
			disk = &faulty{Store: s, pause: make(chan chan struct{})}
			return disk
		}
	})
	op := h.Reader("ht.cc/op", desk.Operator)
	rec := h.Create(op, "note", Draft(Note{Title: "v1"}))
	disk.fail.Store(1)
	gate := make(chan struct{})
	go func() { disk.pause <- gate }()
	edit := func(title string, command record.ID) chan error {
		out := make(chan error, 1)
		go func() {
			_, err := h.Intake.Do(ctx, &intake.Command{ID: command, Kind: "note", Name: "edit", Record: rec.ID, By: op, Draft: Draft(Note{Title: title})})
			out <- err
		}()
		return out
	}
	id := ID()
	first := edit("v2", id)
	// The retry of the same command is decided while the first one waits for
	// the disk: its answer may not come before the disk's.
	second := edit("v2", id)
	third := edit("v3", ID())
	close(gate)
	for i, c := range []chan error{first, second, third} {
		if err := <-c; err != nil && record.CodeOf(err) != record.Unavailable {
			t.Errorf("%d: %v", i, err)
		}
	}
	h.Verify()
	s, err := h.Store.Get(ctx, rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	r := h.Do(&intake.Command{Kind: "note", Name: "edit", Record: rec.ID, Version: s.Version, By: op, Draft: Draft(Note{Title: "alive"})})
	if r.Record.Version != s.Version+1 {
		t.Errorf("version %d after %d", r.Record.Version, s.Version)
	}
	h.Verify()
}

func TestNothingIsAcknowledgedThatADiskFaultLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var disk *faulty
		h := Make(t, Folder(t), func(h *House) {
			h.Wrap = func(s store.Store) store.Store { disk = &faulty{Store: s}; return disk }
		})
		defer h.Close()
		var mu sync.Mutex
		acked := map[record.ID]int{} // record -> newest acknowledged version
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			disk.lost.Store(rapid.Bool().Draw(rt, "only the answer is lost"))
			disk.fail.Store(int32(rapid.IntRange(0, 3).Draw(rt, "failures")))
			seed := rapid.Uint64().Draw(rt, "seed")
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, uint64(g)))
					op := h.Reader(fmt.Sprintf("ht.cc/op%d", g), desk.Operator)
					id := ID()
					for range 6 {
						c := &intake.Command{ID: ID(), Kind: "note", Name: "create", Record: id, By: op, Draft: Draft(Note{Title: "t", Count: rnd.IntN(3)})}
						if rnd.IntN(2) == 0 {
							c.Name = "edit"
						}
						r, err := h.Intake.Do(ctx, c)
						if err != nil && rnd.IntN(2) == 0 {
							r, err = h.Intake.Do(ctx, c) // retry
						}
						if err == nil {
							mu.Lock()
							acked[id] = max(acked[id], r.Record.Version)
							mu.Unlock()
						}
					}
				})
			}
			wg.Wait()
			if rapid.Bool().Draw(rt, "restart") {
				h.Restart()
			}
			for id, v := range acked {
				if s, err := h.Store.Get(ctx, id); err != nil || s.Version < v {
					rt.Fatalf("record %s: acknowledged version %d, found %v %v", id, v, s, err)
				}
			}
			if err := h.Faults(); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func TestSixtyFourWritersLoseNothing(t *testing.T) {
	h := New(t)
	shared := make([]record.ID, 6)
	sup := h.Reader("ht.cc/sup", desk.Supervisor)
	for i := range shared {
		shared[i] = h.Create(sup, "unit", Draft(Unit{Name: fmt.Sprint(i)})).ID
	}
	type ack struct {
		id      record.ID
		version int
		seq     int64
	}
	var mu sync.Mutex
	var acks []ack
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			me := h.Reader(fmt.Sprintf("ht.cc/p%d", g), desk.Supervisor)
			for i := range 12 {
				id := shared[rnd.IntN(len(shared))]
				c := &intake.Command{ID: ID(), Kind: "unit", Record: id, By: me}
				switch rnd.IntN(5) {
				case 0:
					c.Name, c.Record, c.Draft = "create", ID(), Draft(Unit{Name: "new"})
				case 1:
					c.Name, c.Args = "take", json.RawMessage(fmt.Sprintf(`{"task":"%d/%d"}`, g, i))
				case 2:
					c.Name = "release"
				case 3:
					c.Name, c.Draft = "edit", Draft(Unit{Name: fmt.Sprintf("%d/%d", g, i)})
					if s, err := h.Store.Get(ctx, id); err == nil {
						c.Version = s.Version
					}
				case 4:
					c.Name, c.Marking = "mark", &record.Marking{TLP: record.Amber, To: [][]string{{"do.911"}, nil, {"@relief"}}[rnd.IntN(3)]}
				}
				r, err := h.Intake.Do(ctx, c)
				switch record.CodeOf(err) {
				case "":
					mu.Lock()
					acks = append(acks, ack{r.Record.ID, r.Record.Version, r.Seq})
					mu.Unlock()
				case record.Conflict, record.Stale:
				default:
					t.Errorf("%s: %v", c.Name, err)
				}
			}
		})
	}
	wg.Wait()
	h.Restart()
	h.Verify()
	seen := map[int64]bool{}
	for _, a := range acks {
		vs, err := h.Store.Versions(ctx, a.id)
		if err != nil || len(vs) < a.version || vs[a.version-1].Seq != a.seq {
			t.Fatalf("acknowledged version %d of %s at %d is missing: %v", a.version, a.id, a.seq, err)
		}
		if seen[a.seq] {
			t.Fatalf("ledger position %d was given twice", a.seq)
		}
		seen[a.seq] = true
	}
	if len(acks) == 0 {
		t.Fatal("nothing was acknowledged")
	}
}

func TestHistoriesMatchAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := Make(t, Folder(t))
		defer h.Close()
		type state struct {
			version int
			state   string
			gone    bool
		}
		model := map[record.ID]*state{}
		var ids []record.ID
		sup := h.Reader("ht.cc/sup", desk.Supervisor)
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				id := ID()
				h.Do(&intake.Command{Kind: "note", Name: "create", Record: id, By: sup, Draft: Draft(Note{Title: "x"})})
				ids = append(ids, id)
				model[id] = &state{1, "open", false}
			},
			"change": func(rt *rapid.T) {
				if len(ids) == 0 {
					rt.Skip()
				}
				id := rapid.SampledFrom(ids).Draw(rt, "record")
				m := model[id]
				name := rapid.SampledFrom([]string{"edit", "finish", "reopen", "erase"}).Draw(rt, "command")
				version := rapid.SampledFrom([]int{0, 0, m.version, m.version - 1}).Draw(rt, "version")
				c := &intake.Command{Kind: "note", Name: name, Record: id, Version: version, By: sup, Note: "why"}
				if name == "edit" {
					c.Draft = Draft(Note{Title: rapid.StringMatching("[a-z]{12}").Draw(rt, "title")})
				}
				_, err := h.Intake.Do(ctx, c)
				var want record.Code
				next := map[string]map[string]string{"open": {"edit": "open", "finish": "done", "erase": "open"}, "done": {"reopen": "open", "erase": "done"}}[m.state][name]
				switch {
				case m.gone:
					want = record.NotFound
				case version != 0 && version != m.version:
					want = record.Conflict
				case next == "":
					want = record.Stale
				}
				if got := record.CodeOf(err); got != want {
					rt.Fatalf("%s of %+v: got %q, want %q: %v", name, *m, got, want, err)
				}
				if err == nil {
					if name == "erase" {
						m.gone = true
					} else {
						m.version, m.state = m.version+1, next
					}
				}
			},
			"restart": func(rt *rapid.T) { h.Restart() },
			"":        func(*rapid.T) {},
		})
		if err := h.Faults(); err != nil {
			rt.Fatal(err)
		}
		for id, m := range model {
			s, err := h.Store.Get(ctx, id)
			if m.gone != (record.CodeOf(err) == record.NotFound) || !m.gone && (s.Version != m.version || s.Record.State != m.state) {
				rt.Fatalf("%s: model %+v, store %+v %v", id, *m, s, err)
			}
		}
	})
}

func TestCloseAnswersEverything(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	var ok, refused atomic.Int32
	var wg sync.WaitGroup
	started := make(chan struct{}, 40)
	for range 40 {
		wg.Go(func() {
			started <- struct{}{}
			_, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "create", Record: ID(), By: op, Draft: Draft(Note{Title: "a"})})
			switch record.CodeOf(err) {
			case "":
				ok.Add(1)
			case record.Unavailable:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	for range 20 {
		<-started
	}
	h.Intake.Close()
	h.Intake.Close() // twice does no harm
	wg.Wait()
	if n, _, _ := h.Store.Head(ctx); n != int64(ok.Load()) || ok.Load()+refused.Load() != 40 {
		t.Errorf("%d acknowledged, %d refused, ledger has %d", ok.Load(), refused.Load(), n)
	}
}

func TestGivingUpWaitingDoesNotUndo(t *testing.T) {
	var disk *faulty
	h := New(t, func(h *House) {
		h.Wrap = func(s store.Store) store.Store {
			disk = &faulty{Store: s, pause: make(chan chan struct{})}
			return disk
		}
	})
	op := h.Reader("ht.cc/op", desk.Operator)
	gate := make(chan struct{})
	impatient, cancel := context.WithCancel(ctx)
	go func() { disk.pause <- gate; cancel(); close(gate) }()
	c := &intake.Command{ID: ID(), Kind: "note", Name: "create", Record: ID(), By: op, Draft: Draft(Note{Title: "a"})}
	for {
		if _, err := h.Intake.Do(impatient, c); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
		c.ID, c.Record = ID(), ID()
	}
	if r := h.Do(c); r.Record.Version != 1 {
		t.Error("the retry did not find the change")
	}
	h.Verify()
}

func TestBatchesAreBounded(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	cmds := make([]*intake.Command, 2300)
	for i := range cmds {
		cmds[i] = &intake.Command{Kind: "unit", Name: "create", Record: ID(), By: op, Draft: Draft(Unit{Name: fmt.Sprint(i)})}
	}
	r, errs := h.Intake.DoAll(ctx, cmds)
	for i := range cmds {
		if errs[i] != nil || r[i].Seq != int64(i) {
			t.Fatalf("%d: seq %d, %v", i, r[i].Seq, errs[i])
		}
	}
	if n := h.Intake.Commits(); n < 3 {
		t.Errorf("%d commits for 2,300 commands", n)
	}
}

func TestLedgerOfAnotherKeyIsRefused(t *testing.T) {
	h := New(t)
	h.Create(h.Reader("ht.cc/op", desk.Operator), "note", Draft(Note{Title: "a"}))
	h.Close()
	h.Config = func(c *intake.Config) { _, c.Verifier = Signer("somebody else") }
	err := h.Start()
	wantCode(t, err, record.Corrupt)
	if !strings.Contains(err.Error(), "not signed by this node's key") {
		t.Error(err)
	}
	h.Config = nil
}

// behind is a store whose head was changed behind the node's back.
type behind struct {
	store.Store
	text []byte
	less int64
}

func (b *behind) Head(ctx context.Context) (int64, []byte, error) {
	size, text, err := b.Store.Head(ctx)
	if b.text != nil {
		text = b.text
	}
	return size - b.less, text, err
}

func TestTamperedHeadRefusesToStart(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/op", desk.Operator)
	h.Create(op, "note", Draft(Note{Title: "a"}))
	old := slices.Clone(h.Intake.Checkpoint())
	h.Create(op, "note", Draft(Note{Title: "b"}))
	for name, b := range map[string]*behind{
		"older checkpoint": {text: old},
		"entries cut off":  {less: 1},
		"broken text":      {text: []byte("nonsense")},
		"one byte flipped": {text: flip(h.Intake.Checkpoint())},
	} {
		h.Close()
		h.Wrap = func(s store.Store) store.Store { b.Store = s; return b }
		err := h.Start()
		if record.CodeOf(err) != record.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
		var e *record.Error
		if !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%s: no hint for the operator: %v", name, err)
		}
	}
	h.Wrap = nil
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
}

func flip(b []byte) []byte {
	c := slices.Clone(b)
	c[len(Origin)+1] ^= 1
	return c
}

func TestNotesAndLooksAreEntries(t *testing.T) {
	h := New(t)
	seq, err := h.Intake.Note(ctx, "access", "ht.cc", "ht.cc/root", map[string]string{"what": "granted"})
	if err != nil || seq != 0 {
		t.Fatal(seq, err)
	}
	r := h.Reader("do.911/x", desk.Viewer)
	r.Purpose = "search"
	if err := h.Intake.Looked(ctx, []intake.Look{{Reader: r, Record: ID(), Kind: "note", Owner: "ht.cc", Version: 3, How: "open"}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	h.Store.Entries(ctx, 0, -1, func(l *store.Logged) bool {
		got = append(got, fmt.Sprint(l.Type, " ", l.Agency, " ", l.Actor, " ", l.Version, " ", string(l.Content)))
		return true
	})
	want := []string{
		`access ht.cc ht.cc/root 0 {"what":"granted"}`,
		`look do.911 do.911/x 3 {"kind":"note","owner":"ht.cc","how":"open","purpose":"search"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	h.Verify()
}
