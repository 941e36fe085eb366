package desktest

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/record"
)

// all holds a field of every type that a body may have.
type all struct {
	Name   string          `json:"name"            search:"title" max:"50"`
	Code   string          `json:"code,omitempty"  pattern:"^[A-Z]{3}$"`
	Rank   rank            `json:"rank"            facet:"true"`
	Count  *int            `json:"count,omitempty" min:"0" max:"9"`
	Ratio  float64         `json:"ratio,omitempty" min:"-1" max:"1"`
	Sure   bool            `json:"sure,omitempty"`
	At     time.Time       `json:"at"`
	Span   record.Interval `json:"span"`
	Area   record.PCode    `json:"area,omitempty"`
	Other  *record.ID      `json:"other,omitempty"`
	Words  []string        `json:"words,omitempty" max:"3"`
	Ranks  []rank          `json:"ranks"           max:"4"`
	Nested struct {
		Deep string `json:"deep,omitempty"`
	} `json:"nested,omitzero"`
	Rows []struct {
		What string `json:"what"`
		Many int    `json:"many,omitempty" min:"0"`
	} `json:"rows,omitempty" max:"3"`
}

type rank string

func (rank) Values() []string { return []string{"low", "high"} }

func kind(opts ...desk.Option) *desk.Kind {
	return desk.KindOf[all]("thing", append([]desk.Option{
		desk.Path("open", "done"),
		desk.Flow{"open": {"finish": "done"}},
		desk.Allow{"finish": desk.Operator},
		desk.OpenIn("open"), desk.Columns("name"), desk.KeepYears(1),
	}, opts...)...)
}

// labelled makes a desk whose labels are complete but for what edit changes.
func labelled(k *desk.Kind, edit func(map[string]desk.Text)) *desk.Desk {
	d := &desk.Desk{Name: "trial", Icon: "M0 0", Kinds: desk.Kinds{k}}
	words := map[string]desk.Text{}
	for _, key := range desk.LabelKeys(d) {
		words[key] = desk.Text{HT: "a", FR: "b", ES: "c", EN: "d"}
	}
	if edit != nil {
		edit(words)
	}
	b, _ := json.Marshal(words)
	d.Files = fstest.MapFS{"labels.yaml": {Data: b}}
	return d
}

func TestSoundDeskHasNoFault(t *testing.T) {
	d := labelled(kind(), nil)
	for name, check := range map[string]func(*desk.Desk) []string{"labels": Labels, "hints": Hints, "states": States, "rights": Rights} {
		if p := check(d); len(p) > 0 {
			t.Errorf("%s: %v", name, p)
		}
	}
	if p := WrongInput(d.Kinds[0]); len(p) > 0 {
		t.Errorf("wrong input: %s", strings.Join(p, "\n"))
	}
}

func TestEveryTypeOfFieldGoesRound(t *testing.T) {
	k := kind()
	rapid.Check(t, func(t *rapid.T) { roundTrip(t, k) })
}

func TestFaultsAreFound(t *testing.T) {
	type check = func(*desk.Desk) []string
	for name, c := range map[string]struct {
		check check
		desk  func() *desk.Desk
		says  string
	}{
		"a label is missing": {Labels, func() *desk.Desk {
			return labelled(kind(), func(m map[string]desk.Text) { delete(m, "state.thing.done") })
		}, `"state.thing.done" is missing`},
		"a language is missing": {Labels, func() *desk.Desk {
			return labelled(kind(), func(m map[string]desk.Text) { m["desk"] = desk.Text{EN: "d", FR: "b", ES: "c"} })
		}, `"desk" lacks a language`},
		"a label is for nothing": {Labels, func() *desk.Desk {
			return labelled(kind(), func(m map[string]desk.Text) { m["state.thing.gone"] = m["desk"] })
		}, `nothing asks for "state.thing.gone"`},
		"a button says too much": {Labels, func() *desk.Desk {
			return labelled(kind(), func(m map[string]desk.Text) {
				m["command.thing.finish"] = desk.Text{HT: "a", FR: strings.Repeat("é", 25), ES: "c", EN: "d"}
			})
		}, "room for 24"},
		"a column names nothing": {Hints, func() *desk.Desk {
			k := kind()
			k.Columns = []string{"nome"}
			return labelled(k, nil)
		}, `column "nome"`},
		"a field is left out of the form": {Hints, func() *desk.Desk {
			return labelled(kind(desk.Form("what", "name")), nil)
		}, `field "code" is in no section`},
		"a symbol is coloured by a text": {Hints, func() *desk.Desk {
			return labelled(kind(desk.OnMap("circle", "name")), nil)
		}, "not enumerated"},
		"a reaction waits for no command": {Hints, func() *desk.Desk {
			d := labelled(kind(), nil)
			d.Reactions = []desk.Reaction{{Name: "r", Kind: "thing", Command: "finnish", Do: func(desk.Event) ([]desk.Order, error) { return nil, nil }}}
			return d
		}, `waits for "finnish"`},
		"a state cannot be reached": {States, func() *desk.Desk {
			return labelled(kind(desk.Flow{"open": {"finish": "done"}, "lost": {"finish": "done"}}), nil)
		}, `"lost" cannot be reached`},
		"an open state leads nowhere": {States, func() *desk.Desk {
			return labelled(kind(desk.OpenIn("open", "done")), nil)
		}, `"done" leads nowhere`},
		"an operator may erase": {Rights, func() *desk.Desk {
			return labelled(kind(desk.Allow{"erase": desk.Operator}), nil)
		}, "erasing is for supervisors"},
		"a viewer may change": {Rights, func() *desk.Desk {
			return labelled(kind(desk.Allow{"finish": desk.Viewer}), nil)
		}, `"finish" is for role "viewer"`},
	} {
		if got := strings.Join(c.check(c.desk()), "\n"); !strings.Contains(got, c.says) {
			t.Errorf("%s: found %q", name, got)
		}
	}
}

func TestPlayNamesTheLineThatFails(t *testing.T) {
	d := labelled(kind(desk.Flags("late"), desk.Handle("finish", func(c *desk.Change[all], a struct {
		Late bool `json:"late,omitempty"`
	}) error {
		if a.Late {
			c.Record.Flags = []string{"late"}
		}
		return nil
	})), nil)
	d.Reactions = []desk.Reaction{{Name: "r", Kind: "thing", Command: "create", After: time.Hour, Do: func(e desk.Event) ([]desk.Order, error) {
		same, err := e.Find("thing", map[string]string{"rank": "low"})
		if err != nil || len(same) < 2 || e.Record.State != "open" {
			return nil, err
		}
		return []desk.Order{{Kind: "thing", ID: e.Record.ID, Command: "finish", Args: map[string]any{"late": true}}}, nil
	}}}
	body := "\n-- a.json --\n{\"name\":\"x\",\"rank\":\"low\",\"at\":\"2026-01-01T00:00:00Z\",\"ranks\":[\"low\"]," +
		"\"span\":{\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-01-02T00:00:00Z\"}}\n"
	for _, c := range []struct{ script, says string }{
		{"new a thing a.json\ndo a finish\nwant a state done", ""},
		{"new a thing a.json\nwant a state done", "2: want a state done"},
		{"new a thing a.json\nrefuse stale do a finish", "2: refuse stale"},
		{"new a thing a.json\ndo a finish\nrefuse stale do a finish\nsay done", ""},
		{"as viewer\nrefuse denied new a thing a.json", ""},
		{"new a thing a.json\nas viewer\ndo a finish", "3: do a finish"},
		{"new a thing a.json\nnew b thing a.json\nwait 59m\nwant a flags", ""},
		{"new a thing a.json\nnew b thing a.json\nwait 61m\nwant a flags late\nwant a state done", ""},
		{"new a thing a.json\nwait 61m\nwant a state open", ""},
		{"new a thing b.json", `there is no file "b.json"`},
		{"new a thing a.json\njump", "no such step"},
		{"# nothing", "no steps"},
	} {
		err := Play(d, []byte(c.script+body))
		if c.says == "" && err != nil {
			t.Errorf("%q: %v", c.script, err)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q: wanted %q, got %v", c.script, c.says, err)
		}
	}
}
