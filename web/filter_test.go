package web

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"konbit/desk"
	"konbit/desks"
	"konbit/intake"
	"konbit/policy"
	"konbit/record"
)

func allDesks(t testing.TB) *desk.Set {
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// FuzzFilter holds that a query string is either refused by the name of a
// parameter or read as something that is safe to ask of the store.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"", "q=a&bbox=-73,18,-72,19&limit=5", "f.severity=severe,extreme&open=true", "near=-72,18,500&from=2026-05-01", "bbox=170,-10,-170,10", "bbox=-540,0,180,1", "f.source.type=call", "cursor=%00", "sort=-observed&state=closed", "zoom=1e3", "q=%ff;"} {
		f.Add(s)
	}
	set := allDesks(f)
	r := &policy.Reader{Person: "ht.cc/ana", Agency: "ht.cc"}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, name := range set.KindNames() {
			k := set.Kind(name)
			a, err := parseFilter(k, r, raw)
			if err != nil {
				e, ok := err.(*record.Error)
				if !ok || e.Code != record.Invalid || len(e.Fields) == 0 {
					t.Fatalf("%q: %v", raw, err)
				}
				for _, fd := range e.Fields {
					if fd.Path == "" || !utf8.ValidString(fd.Path) || fd.Message == "" {
						t.Fatalf("%q: %+v", raw, fd)
					}
				}
				continue
			}
			if b := a.Box; b != nil && (b.S > b.N || b.S < -90 || b.N > 90 || b.W < -180 || b.W > 180 || b.E < -180 || b.E > 180) {
				t.Fatalf("%q: box %+v", raw, b)
			}
			if a.Limit < 0 || a.Limit > 1000 || !utf8.ValidString(a.Words) {
				t.Fatalf("%q: %+v", raw, a.Filter)
			}
			for path, vs := range a.Facet {
				if fd := k.Field(path); fd == nil || !fd.Facet || len(vs) == 0 {
					t.Fatalf("%q: facet %q", raw, path)
				}
			}
		}
	})
}

// FuzzDraft holds that a draft is read whole or refused with a field.
func FuzzDraft(f *testing.F) {
	for _, s := range []string{`{}`, `{"body":{"title":1}}`, `{"id":"x","marking":{"tlp":5}}`, `{"observed":"2026-05-01T00:00:00Z","body":{}}`, "{\"note\":\"\xff\"}", `[1]`, `{} {}`, `{"links":[{"id":7}]}`, `{"body":`} {
		f.Add([]byte(s))
	}
	k := allDesks(f).Kind("incident")
	f.Fuzz(func(t *testing.T, b []byte) {
		var d intake.Draft
		err := strict(b, &d, k)
		if err == nil {
			if !json.Valid(b) || !utf8.Valid(b) {
				t.Fatalf("%q was taken", b)
			}
			return
		}
		e, ok := err.(*record.Error)
		if !ok || e.Code != record.Invalid || len(e.Fields) == 0 {
			t.Fatalf("%q: %v", b, err)
		}
		if _, err := json.Marshal(problemOf(err)); err != nil {
			t.Fatal(err)
		}
	})
}
