package desk

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"konbit/record"
)

type question struct {
	To  string `json:"to"            facet:"true" widget:"agency"`
	Hue colour `json:"hue,omitempty" facet:"true"`
	Due string `json:"due,omitempty" max:"100" search:"title"`
}

type said struct {
	Hue   colour `json:"hue"             facet:"true"`
	Text  string `json:"text,omitempty"  max:"900" search:"title" when:"hue=red|green"`
	Stars *int   `json:"stars,omitempty" when:"hue=green"`
}

var words = fstest.MapFS{"labels.yaml": {Data: []byte("desk: {en: x}")}}

func desks(t *testing.T, kinds ...*Kind) (*Set, error) {
	t.Helper()
	return NewSet(&Desk{Name: "d", Kinds: kinds, Files: words})
}

func TestOnlyTheAddresseeAnswersWhereTheKindSaysSo(t *testing.T) {
	open := []Option{Path("open"), KeepYears(1)}
	ask := KindOf[question]("ask", append(open, Address{To: "to"})...)
	tell := KindOf[said]("tell", append(open, Answers{Kinds: []string{"ask"}, Asked: true, Each: "hue"})...)
	free := KindOf[said]("free", append(open, Answers{})...)
	if _, err := desks(t, ask, tell, free); err != nil {
		t.Fatal(err)
	}
	q := &record.Record{Header: record.Header{Kind: "ask", Owner: "ht.cc"}, Body: []byte(`{"to":"do.911"}`)}
	if err := tell.MayAnswer(ask, q, "do.911"); err != nil {
		t.Error(err)
	}
	for _, by := range []string{"ht.cc", "int.aid", ""} {
		if c := record.CodeOf(tell.MayAnswer(ask, q, by)); c != record.Denied {
			t.Errorf("%q: %q", by, c)
		}
	}
	if err := free.MayAnswer(ask, q, "int.aid"); err != nil {
		t.Error(err)
	}
	if c := record.CodeOf(tell.MayAnswer(free, &record.Record{Header: record.Header{Kind: "free"}}, "do.911")); c != record.Invalid {
		t.Errorf("another kind: %q", c)
	}
	if c := record.CodeOf(ask.MayAnswer(ask, q, "do.911")); c != record.Invalid {
		t.Errorf("a kind that answers nothing: %q", c)
	}
}

func TestDeclarationsOfAnswersAreChecked(t *testing.T) {
	refused := func(name string, make func()) {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			make()
		})
	}
	open := []Option{Path("open"), KeepYears(1)}
	refused("addressed to a plain text", func() { KindOf[question]("k", append(open, Address{To: "due"})...) })
	refused("addressed to nothing", func() { KindOf[question]("k", append(open, Address{})...) })
	refused("due at a text", func() { KindOf[question]("k", append(open, Address{To: "to", Due: "due"})...) })
	refused("ranked by a text", func() { KindOf[question]("k", append(open, Address{To: "to", Rank: "due"})...) })
	refused("a button for each text", func() { KindOf[question]("k", append(open, Answers{Each: "due"})...) })
	refused("an automatic command that is not there", func() { KindOf[question]("k", append(open, Automatic("x"))...) })
	refused("an automatic edit", func() { KindOf[question]("k", append(open, Automatic(Edit))...) })
	refused("asked for with a value that is none", func() {
		KindOf[struct {
			Hue  colour `json:"hue"`
			Text string `json:"text,omitempty" when:"hue=blue"`
		}]("k", open...)
	})
	refused("required and asked for", func() {
		KindOf[struct {
			Hue  colour `json:"hue"`
			Text string `json:"text" when:"hue=red"`
		}]("k", open...)
	})

	tell := func(a Answers) *Kind { return KindOf[said]("tell", append(open, a)...) }
	for name, a := range map[string]Answers{
		"an unknown kind":                 {Kinds: []string{"none"}},
		"asked, of no kind":               {Asked: true},
		"asked, of what has no addressee": {Kinds: []string{"tell"}, Asked: true},
	} {
		if _, err := desks(t, tell(a)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d := &Desk{Name: "d", Kinds: Kinds{KindOf[said]("plain", open...)}, Reactions: []Reaction{{Name: "x", Kind: "plain", Foreign: true}}, Files: words}
	if _, err := NewSet(d); err == nil || !strings.Contains(err.Error(), "answers nothing") {
		t.Errorf("a foreign reaction to what answers nothing: %v", err)
	}
}

func TestAFieldIsRequiredWithTheValuesThatAskForIt(t *testing.T) {
	k := KindOf[said]("tell", Path("open"), KeepYears(1))
	for body, want := range map[string][]string{
		`{"hue":"red"}`:                        {"body.text"},
		`{"hue":"green"}`:                      {"body.text", "body.stars"},
		`{"hue":"red","text":"a"}`:             nil,
		`{"hue":"green","text":"a","stars":0}`: nil,
		`{"hue":"green","text":"","stars":0}`:  {"body.text"},
		`{"text":"a"}`:                         {"body.hue"},
	} {
		var got []string
		_, _, fields := k.Decode([]byte(body))
		for _, f := range fields {
			got = append(got, f.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}

func TestALongTitleIsCut(t *testing.T) {
	k := KindOf[said]("tell", Path("open"), KeepYears(1))
	for text, want := range map[string]string{
		strings.Repeat("é", 200): strings.Repeat("é", 200),
		strings.Repeat("é", 201): strings.Repeat("é", 199) + "…",
		"short":                  "short",
	} {
		if got := k.Index(&record.Record{}, &said{Text: text}).Title; got != want {
			t.Errorf("%d characters: %q", len(text), got)
		}
	}
}
