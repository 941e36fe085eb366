package desk

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/record"
)

type colour string

func (colour) Values() []string { return []string{"red", "green"} }

type inner struct {
	Name string `json:"name" max:"10"`
	Age  *int   `json:"age,omitempty" min:"0" max:"130"`
	Hue  colour `json:"hue,omitempty" facet:"true"`
}

type mark struct {
	What string `json:"what" max:"5"`
}

type group struct {
	Title string `json:"title" max:"20"`
	Marks []mark `json:"marks,omitempty"`
}

type body struct {
	Title  string          `json:"title" max:"30" search:"title"`
	Text   string          `json:"text,omitempty" max:"100000" search:"text" widget:"lines"`
	Plate  string          `json:"plate,omitempty" pattern:"^[A-Z]{2}[0-9]+$" search:"id"`
	Hue    colour          `json:"hue,omitempty" facet:"true"`
	Hues   []colour        `json:"hues,omitempty" max:"3" facet:"true"`
	Words  []string        `json:"words,omitempty" facet:"true"`
	Free   string          `json:"free,omitempty" facet:"true"`
	Count  *int            `json:"count,omitempty" min:"1" max:"9"`
	Need   *int            `json:"need" min:"0"`
	Ratio  float64         `json:"ratio,omitempty" max:"1"`
	Flag   bool            `json:"flag"`
	At     time.Time       `json:"at,omitzero"`
	Span   record.Interval `json:"span,omitzero"`
	Area   record.PCode    `json:"area,omitempty"`
	Other  record.ID       `json:"other,omitzero"`
	Source struct {
		Kind colour `json:"kind,omitempty"`
		Note string `json:"note,omitempty"`
	} `json:"source,omitzero"`
	People []inner `json:"people,omitempty" max:"2"`
	Groups []group `json:"groups,omitempty"`
	Named  []struct {
		Sort colour `json:"sort"`
		Text string `json:"text" max:"30" identifier:"@sort"`
	} `json:"named,omitempty"`
	Radio string `json:"radio,omitempty" max:"30" identifier:"call-sign"`
	//lint:ignore U1000 an unexported field must be no member of the schema
	hidden int
}

var flow = Flow{"open": {"shut": "done"}}

func kind(opts ...Option) *Kind {
	return KindOf[body]("thing", append([]Option{flow, Allow{"shut": Operator}, KeepYears(1)}, opts...)...)
}

func TestBodyErrorsNameTheField(t *testing.T) {
	k := kind()
	with := func(s string) string { return `{"title":"x","need":0,` + s + `}` }
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"good", with(`"flag":true,"count":3,"hues":["red"],"people":[{"name":"a","age":0}],"span":{"from":"2026-05-01T00:00:00Z","to":"2026-05-02T00:00:00Z"},"area":"cod-2018:HT0111","source":{"kind":"red"}`), nil},
		{"nothing", `{}`, []string{"body.title:required", "body.need:required"}},
		{"null", `null`, []string{"body:type"}},
		{"a list", `[]`, []string{"body:type"}},
		{"a text", `"x"`, []string{"body:type"}},
		{"empty input", ``, []string{"body:json"}},
		{"cut off", `{"title":"x"`, []string{"body:json"}},
		{"something behind", `{"title":"x","need":1} {}`, []string{"body:json"}},
		{"a brace behind", `{"title":"x","need":1}}`, []string{"body:json"}},
		{"wrong types, all of them", `{"title":1,"need":"x","flag":"yes","at":"yesterday"}`, []string{"body.at:invalid", "body.flag:type", "body.need:type", "body.title:type"}},
		{"a number that is not whole", with(`"count":1.5`), []string{"body.count:type"}},
		{"unknown", with(`"colour":"red"`), []string{"body.colour:unknown"}},
		{"unknown below", with(`"source":{"name":"x"}`), []string{"body.source.name:unknown"}},
		{"enumerated", with(`"hue":"blue","hues":["red","blue"]`), []string{"body.hue:enum", "body.hues[1]:enum"}},
		{"pattern", with(`"plate":"12"`), []string{"body.plate:pattern"}},
		{"bounds", with(`"count":10,"ratio":1.5`), []string{"body.count:max", "body.ratio:max"}},
		{"below bounds", with(`"count":0`), []string{"body.count:min"}},
		{"too long", `{"title":"` + strings.Repeat("é", 31) + `","need":0}`, []string{"body.title:max"}},
		{"just short enough", `{"title":"` + strings.Repeat("é", 30) + `","need":0}`, nil},
		{"too many", with(`"hues":["red","red","red","red"]`), []string{"body.hues:max"}},
		{"control characters", with(`"text":"a\u0000b","words":["\u001f"]`), []string{"body.text:control", "body.words[0]:control"}},
		{"line breaks", with(`"text":"a\n\tb\r\n"`), nil},
		{"rows", with(`"people":[{"name":"a"},{"age":131}]`), []string{"body.people[1].name:required", "body.people[1].age:max"}},
		{"rows in rows", with(`"groups":[{"title":"a","marks":[{"what":"ok"},{"what":"too long"}]}]`), []string{"body.groups[0].marks[1].what:max"}},
		{"interval the wrong way round", with(`"span":{"from":"2026-05-02T00:00:00Z","to":"2026-05-01T00:00:00Z"}`), []string{"body.span:order"}},
		{"half an interval", with(`"span":{"from":"2026-05-02T00:00:00Z"}`), []string{"body.span:required"}},
		{"p-code", with(`"area":"somewhere"`), []string{"body.area:pcode"}},
		{"identifier", with(`"other":"7"`), []string{"body.other:invalid"}},
		{"invalid UTF-8", "{\"title\":\"\xff\",\"need\":0}", []string{"body.title:utf8"}},
		{"invalid UTF-8 in a name", "{\"ti\xfftle\":\"x\",\"need\":0}", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, raw, f := k.Decode([]byte(c.in))
			var got []string
			for _, x := range f {
				got = append(got, x.Path+":"+x.Code)
			}
			if c.name == "invalid UTF-8 in a name" {
				if len(got) == 0 {
					t.Error("accepted")
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if len(f) == 0 {
				if _, again, f := k.Decode(raw); len(f) > 0 || string(again) != string(raw) {
					t.Errorf("the canonical form is not stable: %s, then %s", raw, again)
				}
			}
		})
	}
}

func TestUnknownFieldIsAnsweredWithAGuess(t *testing.T) {
	_, _, f := kind().Decode([]byte(`{"titel":"x","need":0}`))
	if len(f) != 1 || f[0].Message != `no such field; did you mean "title"?` {
		t.Errorf("%+v", f)
	}
	if _, _, f = kind().Decode([]byte(`{"nothing_like_it":"x"}`)); len(f) == 0 || f[0].Message != "no such field" {
		t.Errorf("%+v", f)
	}
}

func TestHugeInputIsRefusedBriefly(t *testing.T) {
	k := kind()
	large := strings.Repeat("a", 10<<20)
	var many strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&many, `"x%d":1,`, i)
	}
	for name, in := range map[string]string{
		"10 MB of text":       `{"need":0,"title":"` + large + `"}`,
		"10 MB of name":       `{"need":0,"title":"x","` + large + `":1}`,
		"10 MB of inner name": `{"need":0,"title":"x","source":{"` + large + `":1}}`,
		"100,000 names":       `{` + many.String() + `"need":0}`,
		"deep":                `{"need":` + strings.Repeat(`[`, 100_000) + `}`,
	} {
		_, _, f := k.Decode([]byte(in))
		if len(f) == 0 {
			t.Errorf("%s: accepted", name)
		}
		if b, _ := json.Marshal(f); len(b) > 20_000 {
			t.Errorf("%s: the answer has %d bytes", name, len(b))
		}
	}
}

func FuzzDecode(f *testing.F) {
	k := kind()
	f.Add([]byte(`{"title":"x","need":0,"people":[{"name":"a","age":1}],"source":{"kind":"red"}}`))
	f.Add([]byte(`{"title":1,"x":{}}`))
	f.Add([]byte(`{"span":{"from":"2026-05-02T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, raw, fields := k.Decode(in)
		if len(fields) > 0 {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("%q", raw)
		}
		again, two, fields := k.Decode(raw)
		if len(fields) > 0 || string(two) != string(raw) {
			t.Fatalf("%s, then %s %+v", raw, two, fields)
		}
		r := &record.Record{}
		if diff := cmp.Diff(k.Index(r, v), k.Index(r, again)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSchemaSaysWhatDecodeChecks(t *testing.T) {
	s := kind().Schema()
	b, err := json.MarshalIndent(s["properties"].(map[string]any)["groups"], "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "items": {
  "additionalProperties": false,
  "properties": {
   "marks": {
    "items": {
     "additionalProperties": false,
     "properties": {
      "what": {
       "maxLength": 5,
       "type": "string"
      }
     },
     "required": [
      "what"
     ],
     "type": "object"
    },
    "type": "array"
   },
   "title": {
    "maxLength": 20,
    "type": "string"
   }
  },
  "required": [
   "title"
  ],
  "type": "object"
 },
 "type": "array"
}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"title", "need"}, s["required"]); diff != "" {
		t.Error(diff)
	}
}

func TestIdentifiersAreFoundInFieldsAndRows(t *testing.T) {
	k := kind(Columns("title"))
	v, _, f := k.Decode([]byte(`{"title":"x","need":0,"radio":"HH 2B","named":[{"sort":"red","text":"A 1"},{"sort":"green","text":"B 2"}]}`))
	if len(f) > 0 {
		t.Fatal(f)
	}
	want := []record.Identifier{{Type: "red", Value: "A 1"}, {Type: "green", Value: "B 2"}, {Type: "call-sign", Value: "HH 2B"}}
	if diff := cmp.Diff(want, k.Index(&record.Record{}, v).Identifiers); diff != "" {
		t.Error(diff)
	}
	if !k.Identifies() {
		t.Error("the kind declares none")
	}
	d := &Desk{Name: "desk", Kinds: Kinds{k}, Files: nil}
	var yaml strings.Builder
	for _, key := range LabelKeys(d) {
		fmt.Fprintf(&yaml, "%q: {ht: %[1]q, fr: f, es: e, en: n}\n", key)
	}
	d.Files = fstest.MapFS{"labels.yaml": {Data: []byte(yaml.String())}}
	set, err := NewSet(d)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, a := range set.Asked() {
		types = append(types, a.Type+" "+a.Label.HT)
	}
	if diff := cmp.Diff([]string{"red value.thing.named.sort.red", "green value.thing.named.sort.green", "call-sign field.thing.radio"}, types); diff != "" {
		t.Error(diff)
	}
}

func TestDeclarationThatContradictsItselfIsRefused(t *testing.T) {
	type loose struct {
		Bare string
	}
	type odd struct {
		Map map[string]string `json:"map"`
	}
	type badBound struct {
		N int `json:"n" min:"one"`
	}
	type mustSet struct {
		By string `json:"by" set:"command"`
	}
	for name, declare := range map[string]func(){
		"name":              func() { KindOf[body]("Thing", flow, Allow{"shut": Operator}, KeepYears(1)) },
		"no keeping time":   func() { KindOf[body]("thing", flow, Allow{"shut": Operator}) },
		"allowed to nobody": func() { KindOf[body]("thing", flow, KeepYears(1)) },
		"allowed to an auditor": func() {
			KindOf[body]("thing", flow, Allow{"shut": Auditor}, KeepYears(1))
		},
		"no such command":                        func() { kind(Allow{"explode": Operator}) },
		"no such state":                          func() { kind(Freeze("never")) },
		"no such open state":                     func() { kind(OpenIn("never")) },
		"no such path":                           func() { kind(Path("open", "never")) },
		"no such column":                         func() { kind(Columns("never")) },
		"no such form field":                     func() { kind(Form("a", "never")) },
		"no such symbol field":                   func() { kind(OnMap("circle", "never")) },
		"no such same":                           func() { kind(Similar(1, time.Hour, "never")) },
		"no such caveat":                         func() { kind(Protected("never")) },
		"two roots":                              func() { kind(Flow{"a": {"x": "c"}, "b": {"x": "c"}}, Allow{"x": Operator}) },
		"handler of nothing":                     func() { kind(Handle("never", func(*Change[body], struct{}) error { return nil })) },
		"no json name":                           func() { KindOf[loose]("thing", flow, Allow{"shut": Operator}, KeepYears(1)) },
		"a field of commands that must be given": func() { KindOf[mustSet]("thing", flow, Allow{"shut": Operator}, KeepYears(1)) },
		"a map":                                  func() { KindOf[odd]("thing", flow, Allow{"shut": Operator}, KeepYears(1)) },
		"a bound":                                func() { KindOf[badBound]("thing", flow, Allow{"shut": Operator}, KeepYears(1)) },
		"an identifier of no sort": func() {
			type loose struct {
				ID string `json:"id" identifier:"@never"`
			}
			KindOf[loose]("thing", flow, Allow{"shut": Operator}, KeepYears(1))
		},
		"a number as identifier": func() {
			type number struct {
				N int `json:"n" identifier:"plate"`
			}
			KindOf[number]("thing", flow, Allow{"shut": Operator}, KeepYears(1))
		},
		"not a struct": func() { KindOf[string]("thing", flow, Allow{"shut": Operator}, KeepYears(1)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			declare()
		}()
	}
}

func TestIndexHoldsWhatIsFoundAndCounted(t *testing.T) {
	k := kind(Columns("title"))
	v, _, f := k.Decode([]byte(`{"title":"Fire","need":0,"text":"long","plate":"AA12","hue":"red","hues":["red","green","red"],"free":"Port-au-Prince, Ouest","people":[{"name":"a","hue":"green"},{"name":"b","hue":"red"}]}`))
	if len(f) > 0 {
		t.Fatal(f)
	}
	got := k.Index(&record.Record{Header: record.Header{Key: "K-1", Place: &record.Place{Words: "by the church", PCode: "HT01"}}}, v)
	want := Index{Title: "Fire", Text: []string{"Fire", "long", "by the church"}, IDs: []string{"AA12", "HT01", "K-1"},
		Facet: map[string]string{"hue": "red", "hues": "red" + Sep + "green", "free": "Port-au-Prince, Ouest", "people.hue": "green" + Sep + "red"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRolesCoverOneAnotherInOrder(t *testing.T) {
	for _, c := range []struct {
		has, need Role
		want      bool
	}{
		{Supervisor, Viewer, true}, {Operator, Viewer, true}, {Viewer, Operator, false}, {Operator, Operator, true},
		{Administrator, Viewer, false}, {Auditor, Viewer, false}, {Supervisor, Auditor, false}, {Auditor, Auditor, true},
		{Administrator, Administrator, true}, {"", Viewer, false}, {Viewer, "", false}, {"king", Viewer, false},
	} {
		if got := c.has.Covers(c.need); got != c.want {
			t.Errorf("%s covers %s: %v", c.has, c.need, got)
		}
	}
}

func TestWorkflow(t *testing.T) {
	k := kind(Path("open", "done"), Freeze("done"))
	for _, c := range []struct {
		state, command, next string
		ok                   bool
	}{
		{"", Create, "open", true}, {"open", Create, "open", false}, {"open", Edit, "open", true}, {"done", Edit, "done", false}, {"", Edit, "", false},
		{"open", "shut", "done", true}, {"done", "shut", "", false}, {"done", Mark, "done", true}, {"done", Erase, "done", true}, {"open", "explode", "", false},
	} {
		if next, ok := k.Next(c.state, c.command); ok != c.ok || ok && next != c.next {
			t.Errorf("%s in %q: %q %v", c.command, c.state, next, ok)
		}
	}
	if diff := cmp.Diff([]string{"create", "edit", "mark", "erase", "shut"}, k.Commands()); diff != "" {
		t.Error(diff)
	}
}

func TestHandlerGetsItsArgumentsAndNothingElse(t *testing.T) {
	type args struct {
		By int `json:"by" min:"1"`
	}
	k := kind(Handle("shut", func(c *Change[body], a args) error {
		if c.From != "open" {
			return fmt.Errorf("from %q", c.From)
		}
		c.Body.Title += fmt.Sprint(a.By)
		return nil
	}))
	run := func(in string) (string, error) {
		a := &Acting{From: "open", Record: &record.Record{Body: json.RawMessage(`{"title":"x","need":0,"flag":false}`)}}
		err := k.Run("shut", a, json.RawMessage(in))
		return string(a.Record.Body), err
	}
	if got, err := run(`{"by":3}`); err != nil || !strings.Contains(got, `"title":"x3"`) {
		t.Error(got, err)
	}
	for _, in := range []string{`{"by":0}`, `{"by":"x"}`, `{"to":1}`, `[]`, `null`} {
		if got, err := run(in); record.CodeOf(err) != record.Invalid || strings.Contains(got, "x0") {
			t.Errorf("%s: %v", in, err)
		}
	}
	if err := kind().Run("shut", &Acting{Record: &record.Record{}}, json.RawMessage(`{"a":1}`)); record.CodeOf(err) != record.Invalid {
		t.Error(err)
	}
}

func TestLabelsAreReadStrictlyAndAsked(t *testing.T) {
	d := &Desk{Name: "desk", Kinds: Kinds{kind(Form("main", "title"), Flags("odd"))}}
	keys := map[string]bool{}
	for _, k := range LabelKeys(d) {
		if keys[k] {
			t.Errorf("%s is asked for twice", k)
		}
		keys[k] = true
	}
	for _, k := range []string{"desk", "kind.thing", "kinds.thing", "state.thing.open", "command.thing.shut", "done.thing.create", "field.thing.source.note", "value.thing.hue.red", "field.thing.people.age", "value.thing.people.hue.green", "section.thing.main", "flag.thing.odd"} {
		if !keys[k] {
			t.Errorf("%s is not asked for", k)
		}
	}
	file := func(s string) error {
		_, err := ReadLabels(fstest.MapFS{"labels.yaml": {Data: []byte(s)}})
		return err
	}
	if err := file("desk: {ht: a, fr: b, es: c, en: d}"); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"desk: {ht: a, de: b}", "desk: [a]", "desk: {"} {
		if file(s) == nil {
			t.Errorf("%q is accepted", s)
		}
	}
	if _, err := ReadLabels(nil); err == nil {
		t.Error("no files are accepted")
	}
	text := Text{"h", "f", "e", "n"}
	if text.In("ht")+text.In("fr")+text.In("es")+text.In("en")+text.In("de") != "hfenn" || !text.Complete() || (Text{EN: "x"}).Complete() {
		t.Error("languages")
	}
}

func TestSetRefusesDesksThatClash(t *testing.T) {
	desk := func(name string, k ...*Kind) *Desk {
		return &Desk{Name: name, Kinds: k, Files: fstest.MapFS{"labels.yaml": {Data: []byte("desk: {en: x}")}}}
	}
	if s, err := NewSet(desk("a", kind())); err != nil || s.Kind("thing").Desk != "a" || s.Kind("other") != nil {
		t.Error(err)
	}
	reacts := desk("a", kind())
	reacts.Reactions = []Reaction{{Name: "x", Kind: "nothing"}}
	for name, ds := range map[string][]*Desk{
		"one name twice": {desk("a"), desk("a")},
		"one kind twice": {desk("a", kind()), desk("b", kind())},
		"odd name":       {desk("A.b")},
		"no labels":      {{Name: "a"}},
		"unknown kind":   {reacts},
	} {
		if _, err := NewSet(ds...); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
