package web

import (
	"net/url"
	"testing"

	"konbit/desk"
	"konbit/desks"
	"konbit/query"
	"konbit/record"
)

// FuzzOGCFilter holds that whatever a client asks for becomes a filter within
// bounds or a refusal that names the parameter.
func FuzzOGCFilter(f *testing.F) {
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		f.Fatal(err)
	}
	k := set.Kind("incident")
	for _, s := range []string{"limit=10&bbox=-73,18,-72,19", "bbox=179,-20,0,-179,-10,9", "datetime=2026-04-02/..&state=verified", "datetime=/2026-04-02T12:00:00Z",
		"severity=severe,minor&owner=ht.cc", "datetime=../..", "bbox=NaN,1e999,3,4", "limit=99999999999999999999", "needs=%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		values, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		got, err := ogcFilter(k, values)
		if err != nil {
			if e, ok := err.(*record.Error); !ok || e.Code != record.Invalid || len(e.Fields) == 0 {
				t.Fatalf("%v", err)
			}
			return
		}
		if got.Limit < 1 || got.Limit > query.MaxPage || !got.From.IsZero() && !got.To.IsZero() && !got.From.Before(got.To) {
			t.Fatalf("%+v", got)
		}
		if b := got.Box; b != nil && !(b.S >= -90 && b.S <= b.N && b.N <= 90 && b.W >= -180 && b.W <= 180 && b.E >= -180 && b.E <= 180) {
			t.Fatalf("box %+v", *b)
		}
	})
}
