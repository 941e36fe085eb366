package query_test

import (
	"fmt"
	"testing"

	"konbit/desk"
	. "konbit/kerneltest"
	"konbit/query"
	"konbit/record"
)

// Somebody is a body with names.
type Somebody struct {
	Name  string   `json:"name"            names:"true" search:"title"`
	Other []string `json:"other,omitempty" names:"true" max:"5"`
	Child bool     `json:"child,omitempty"`
}

func somebodies() *desk.Desk {
	d := &desk.Desk{Name: "people", Kinds: desk.Kinds{desk.KindOf[Somebody]("somebody", desk.Path("open"), desk.KeepYears(1), desk.AskPurpose(),
		desk.ProtectWhen(func(s *Somebody) []string {
			if s.Child {
				return []string{"juvenile"}
			}
			return nil
		}))}}
	d.Files = Labels(d)
	return d
}

func TestPeopleAreFoundHoweverTheirNamesAreSpelled(t *testing.T) {
	h := New(t, func(h *House) { h.Extra = []*desk.Desk{somebodies()} })
	op := h.Reader("ht.cc/op", desk.Operator, "juvenile")
	op.Roles["people"] = []desk.Role{desk.Operator}
	op.Purpose = "call 1143"
	put := func(s Somebody) *record.Record { return h.Create(op, "somebody", Draft(s)) }
	for i := range 40 {
		put(Somebody{Name: fmt.Sprintf("Wilner Pierre %c", 'A'+i%26)})
	}
	jean := put(Somebody{Name: "Jean-Baptiste Fils-Aimé"})
	gonzalez := put(Somebody{Name: "María de los Ángeles González Peña", Other: []string{"Titi Bazile"}})
	child := put(Somebody{Name: "Rosemène Théogène", Child: true})
	find := func(wanted string, f query.Filter) []query.Match {
		t.Helper()
		m, _, err := h.Records.Names(t.Context(), op, "somebody", wanted, &f)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for wanted, want := range map[string]*record.Record{
		"Jn Baptiste Filsaime": jean, "Filsemé Jean Batis": jean, "Gonsales Maria": gonzalez, "Bazil Titi": gonzalez, "Rosmene Teojèn": child,
	} {
		if m := find(wanted, query.Filter{}); len(m) == 0 || m[0].Record.ID != want.ID || len(m[0].Why) == 0 || m[0].Score < 0.5 || m[0].Score > 1 {
			t.Errorf("%s: %d matches, %+v", wanted, len(m), m)
		}
	}
	if m := find("Jn Baptiste Filsaime", query.Filter{States: []string{"gone"}}); len(m) != 0 {
		t.Errorf("a filter does not count: %v", m)
	}
	if m := find("Wilnè Pyè", query.Filter{Limit: 7}); len(m) != 7 {
		t.Errorf("%d matches, not 7", len(m))
	}
	if m := find("Zzyzx Quux", query.Filter{}); len(m) != 0 {
		t.Errorf("a name that nobody has: %v", m)
	}
	// What a search by words finds are words, not keys.
	page, err := h.Records.List(t.Context(), op, "somebody", &query.Filter{Words: "titi"})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("%v %v", page, err)
	}

	// Who may not see the record learns nothing of it.
	for _, c := range []struct {
		by      string
		cleared []string
		purpose string
		found   int
		needs   bool
	}{{"ht.cc/two", nil, "x", 0, false}, {"ht.cc/two", []string{"juvenile"}, "", 0, true}, {"ht.cc/two", []string{"juvenile"}, "x", 1, false}, {"do.911/far", []string{"juvenile"}, "x", 0, false}} {
		r := h.Reader(c.by, desk.Operator, c.cleared...)
		r.Roles["people"] = []desk.Role{desk.Operator}
		r.Purpose = c.purpose
		m, needs, err := h.Records.Names(t.Context(), r, "somebody", "Rosemene Theogene", &query.Filter{})
		if err != nil || len(m) != c.found || needs != c.needs {
			t.Errorf("%+v: %d matches, %v %v", c, len(m), needs, err)
		}
	}
	if _, _, err := h.Records.Names(t.Context(), op, "note", "Jean", &query.Filter{}); record.CodeOf(err) != record.Invalid {
		t.Errorf("a kind without names: %v", err)
	}
	h.Verify()
}
