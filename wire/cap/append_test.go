package cap

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// sameTimes compares times with their offsets.
var sameTimes = cmp.Comparer(func(a, b time.Time) bool {
	_, x := a.Zone()
	_, y := b.Zone()
	return a.Equal(b) && x == y
})

func draw[T any](f func(t *rapid.T) T) *rapid.Generator[T] { return rapid.Custom(f) }

// anyText is what an element may hold, without blanks at its ends.
func anyText() *rapid.Generator[string] {
	return draw(func(t *rapid.T) string {
		return trim(strings.Map(func(r rune) rune {
			if !isChar(r) {
				return -1
			}
			return r
		}, rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("aè&<>\"' \t\r\n]]>")))).Draw(t, "text")))
	})
}

func anyName() *rapid.Generator[string] { return rapid.StringMatching(`[a-z0-9.:/#é>'"-]{1,20}`) }

func anyTime() *rapid.Generator[time.Time] {
	return draw(func(t *rapid.T) time.Time {
		seconds := rapid.Int64Range(-62135510400, 253402214400).Draw(t, "seconds")
		return time.Unix(seconds, 0).In(inZone(900 * rapid.IntRange(-56, 56).Draw(t, "quarters")))
	})
}

func maybe[T any](g *rapid.Generator[T]) *rapid.Generator[T] {
	return draw(func(t *rapid.T) (v T) {
		if rapid.Bool().Draw(t, "is there") {
			v = g.Draw(t, "value")
		}
		return v
	})
}

func list[T any](g *rapid.Generator[T], least, most int) *rapid.Generator[[]T] {
	return draw(func(t *rapid.T) []T {
		l := rapid.SliceOfN(g, least, most).Draw(t, "list")
		if len(l) == 0 {
			return nil
		}
		return l
	})
}

func anyPoint() *rapid.Generator[Point] {
	return draw(func(t *rapid.T) Point {
		return Point{rapid.Float64Range(-180, 180).Draw(t, "lon"), rapid.Float64Range(-90, 90).Draw(t, "lat")}
	})
}

func anyValue() *rapid.Generator[Value] {
	return draw(func(t *rapid.T) Value { return Value{anyText().Draw(t, "name"), anyText().Draw(t, "value")} })
}

func anyURI() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "https://example.org/a?b=c&d=%20#e", "map.png", "urn:example:1", "mailto:a@example.org", "https://example.org/é"})
}

func anyNumber() *rapid.Generator[*float64] {
	return draw(func(t *rapid.T) *float64 {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		return pointer(float64(rapid.IntRange(-1e9, 1e9).Draw(t, "number")) / 64)
	})
}

func anyResource() *rapid.Generator[Resource] {
	return draw(func(t *rapid.T) Resource {
		r := Resource{ResourceDesc: anyText().Draw(t, "desc"), MimeType: anyText().Draw(t, "type"), URI: anyURI().Draw(t, "uri"),
			DerefURI: maybe(anyText()).Draw(t, "deref"), Digest: maybe(anyText()).Draw(t, "digest")}
		if rapid.Bool().Draw(t, "sized") {
			r.Size = pointer(rapid.Int64Range(0, math.MaxInt64).Draw(t, "size"))
		}
		return r
	})
}

func anyArea() *rapid.Generator[Area] {
	return draw(func(t *rapid.T) Area {
		return Area{AreaDesc: anyText().Draw(t, "desc"), Polygon: list(rapid.SliceOfN(anyPoint(), 1, 6), 0, 2).Draw(t, "polygons"),
			Circle: list(draw(func(t *rapid.T) Circle {
				return Circle{anyPoint().Draw(t, "center"), rapid.Float64Range(0, 6000).Draw(t, "radius")}
			}), 0, 2).Draw(t, "circles"),
			Geocode: list(anyValue(), 0, 2).Draw(t, "geocodes"), Altitude: anyNumber().Draw(t, "altitude"), Ceiling: anyNumber().Draw(t, "ceiling")}
	})
}

func anyInfo() *rapid.Generator[Info] {
	return draw(func(t *rapid.T) Info {
		text := func(name string) string { return maybe(anyText()).Draw(t, name) }
		when := func(name string) time.Time { return maybe(anyTime()).Draw(t, name) }
		return Info{
			Language: rapid.SampledFrom([]string{"", "ht", "fr-HT", "en-US", "es-419"}).Draw(t, "language"),
			Category: list(rapid.SampledFrom(categories), 1, 3).Draw(t, "categories"), Event: anyText().Draw(t, "event"),
			ResponseType: list(rapid.SampledFrom(responseTypes), 0, 3).Draw(t, "responses"), Urgency: rapid.SampledFrom(urgencies).Draw(t, "urgency"),
			Severity: rapid.SampledFrom(severities).Draw(t, "severity"), Certainty: rapid.SampledFrom(certainties).Draw(t, "certainty"),
			Audience: text("audience"), EventCode: list(anyValue(), 0, 2).Draw(t, "codes"), Effective: when("effective"), Onset: when("onset"),
			Expires: when("expires"), SenderName: text("senderName"), Headline: text("headline"), Description: text("description"),
			Instruction: text("instruction"), Web: anyURI().Draw(t, "web"), Contact: text("contact"), Parameter: list(anyValue(), 0, 2).Draw(t, "parameters"),
			Resource: list(anyResource(), 0, 2).Draw(t, "resources"), Area: list(anyArea(), 0, 2).Draw(t, "areas"),
		}
	})
}

// anyAlert keeps the schema, and most of the time nothing else.
func anyAlert() *rapid.Generator[*Alert] {
	return draw(func(t *rapid.T) *Alert {
		text := func(name string) string { return maybe(anyText()).Draw(t, name) }
		member := draw(func(t *rapid.T) string { return strings.ReplaceAll(anyText().Draw(t, "member"), `"`, "'") })
		return &Alert{
			Version: Version12, Identifier: anyName().Draw(t, "identifier"), Sender: anyName().Draw(t, "sender"), Sent: anyTime().Draw(t, "sent"),
			Status: rapid.SampledFrom(statuses).Draw(t, "status"), MsgType: rapid.SampledFrom(msgTypes).Draw(t, "type"), Source: text("source"),
			Scope: rapid.SampledFrom(scopes).Draw(t, "scope"), Restriction: text("restriction"), Addresses: list(member, 0, 3).Draw(t, "addresses"),
			Code: list(anyText(), 0, 2).Draw(t, "codes"), Note: text("note"),
			References: list(draw(func(t *rapid.T) Reference {
				return Reference{anyName().Draw(t, "sender"), anyName().Draw(t, "identifier"), anyTime().Draw(t, "sent")}
			}), 0, 2).Draw(t, "references"),
			Incidents: list(member, 0, 3).Draw(t, "incidents"), Info: list(anyInfo(), 0, 2).Draw(t, "infos"),
		}
	})
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert().Draw(t, "alert")
		b := Marshal(a)
		got, err := Parse(b, Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if d := cmp.Diff(a, got, sameTimes); d != "" {
			t.Fatalf("%s\n%s", d, b)
		}
	})
}

// validateAll is validates for many documents at once.
func validateAll(t *testing.T, schema string, docs [][]byte) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--noout", "--schema", filepath.Join(sampleDir(t), "schema", schema)}
	for i, doc := range docs {
		name := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(name, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, ok := xmllint(t, nil, args...)
	if ok {
		return
	}
	for line := range strings.Lines(out) {
		if !strings.HasSuffix(line, " validates\n") {
			t.Error(line)
			if _, number, ok := strings.Cut(line, dir+"/"); ok {
				number, _, _ = strings.Cut(number, ":")
				if i, err := strconv.Atoi(number); err == nil {
					t.Errorf("%s", docs[i])
				}
			}
			break
		}
	}
}

func TestWhatIsWrittenIsValid(t *testing.T) {
	old := mustParse(t, own(t, "old.cap"))
	old.Scope, old.Info[0].Category, old.Info[0].Resource[0].MimeType = "Public", []string{"Met"}, "text/plain"
	old.References[0].Sent = old.Sent
	docs := [][]byte{Marshal(flood()), Marshal(old)}
	for seed := range 300 {
		docs = append(docs, Marshal(anyAlert().Example(seed)))
	}
	validateAll(t, "cap12.xsd", docs)
	validateAll(t, "cap12_extended.xsd", docs[:2])
}

// broken is a good alert with one place filled at random.
func broken() *rapid.Generator[*Alert] {
	return draw(func(t *rapid.T) *Alert {
		a, good := anyAlert().Draw(t, "alert"), flood()
		switch rapid.IntRange(0, 8).Draw(t, "place") {
		case 0:
			good.Identifier = rapid.String().Draw(t, "identifier")
		case 1:
			good.Info[0].Headline = rapid.String().Draw(t, "headline")
		case 2:
			good.Sent = time.Unix(rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 1e10)).Draw(t, "seconds"), 0)
		case 3:
			good.Info[1].Area = a.infoOrNew().Area
		case 4:
			good.Info[0].Resource = a.infoOrNew().Resource
		case 5:
			good.Status = rapid.String().Draw(t, "status")
		case 6:
			good.References = a.References
		case 7:
			good.Info[0].Language = rapid.StringMatching(`[a-z]{1,9}(-[A-Z0-9]{1,9})?`).Draw(t, "language")
		case 8:
			good.Info[0].Web = rapid.OneOf(rapid.String(), rapid.StringMatching(`(https?:)?(//)?[a-z0-9/.%#?&=\[\]: <>@é]{0,12}`)).Draw(t, "web")
		}
		return good
	})
}

// TestWithoutErrorsOfCheckItIsValid: what Check lets pass may be written, however
// it came about.
func TestWithoutErrorsOfCheckItIsValid(t *testing.T) {
	var docs [][]byte
	for seed := range 1000 {
		a := broken().Example(seed)
		if report := Check(a, a.Sent); len(report.Errors) > 0 {
			continue
		}
		docs = append(docs, Marshal(a))
		if _, err := Parse(Marshal(a), Limits{}); err != nil {
			t.Errorf("%v\n%s", err, Marshal(a))
		}
	}
	if len(docs) < 100 {
		t.Errorf("%d of 1000 alerts are without errors", len(docs))
	}
	validateAll(t, "cap12.xsd", docs)
}

func (a *Alert) infoOrNew() *Info {
	if len(a.Info) == 0 {
		return &Info{}
	}
	return &a.Info[0]
}

func TestTimesAreWrittenWithTheirOffset(t *testing.T) {
	for _, try := range []struct {
		t    time.Time
		want string
	}{
		{time.Date(2026, 11, 2, 8, 30, 0, 0, time.UTC), "2026-11-02T08:30:00-00:00"},
		{time.Date(2026, 11, 2, 8, 30, 0, 0, time.FixedZone("", 0)), "2026-11-02T08:30:00-00:00"},
		{time.Date(2026, 11, 2, 8, 30, 0, 999, time.FixedZone("EST", -5*3600)), "2026-11-02T08:30:00-05:00"},
		{time.Date(2026, 11, 2, 8, 30, 0, 0, time.FixedZone("", 5*3600+30*60)), "2026-11-02T08:30:00+05:30"},
		{time.Date(1900, 1, 1, 0, 0, 0, 0, time.FixedZone("", -4*3600-49*60-20)), "1900-01-01T00:00:20-04:49"},
	} {
		if got := string(appendTime(nil, try.t)); got != try.want {
			t.Errorf("%v is written %s, not %s", try.t, got, try.want)
		}
	}
}

func TestWhatXMLCannotHoldIsReplaced(t *testing.T) {
	a := flood()
	a.Note = "a\x00b\xffc\uFFFEd"
	a.Info[0].Area[0].Circle[0].Radius = math.NaN()
	if got := mustParse(t, Marshal(a)).Note; got != "a\uFFFDb\uFFFDc\uFFFDd" {
		t.Errorf("%q", got)
	}
}

// TestTagsNameTheValues: the API says what Parse takes.
func TestTagsNameTheValues(t *testing.T) {
	for _, try := range []struct {
		of   any
		want map[string][]string
	}{
		{Alert{}, map[string][]string{"Status": statuses, "MsgType": msgTypes, "Scope": scopes}},
		{Info{}, map[string][]string{"Category": categories, "ResponseType": responseTypes, "Urgency": urgencies, "Severity": severities, "Certainty": certainties}},
	} {
		for name, values := range try.want {
			field, _ := reflect.TypeOf(try.of).FieldByName(name)
			if got := strings.Split(field.Tag.Get("enum"), ","); !slices.Equal(got, values) {
				t.Errorf("%s is %v, not %v", name, got, values)
			}
		}
	}
}

func TestJSONHoldsTheAlert(t *testing.T) {
	want := flood()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &Alert{}
	if err := json.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, sameTimes); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"flood.cap", "old.cap", "faults.cap"} {
		f.Add(own(f, name))
	}
	f.Add([]byte(minimal("1.1", info(levels))))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Parse(data, Limits{Bytes: 1 << 16})
		if err != nil {
			if len(fields(t, err)) == 0 {
				t.Fatalf("%v says nothing", err)
			}
			return
		}
		Check(a, a.Sent)
		Short(a, "fr", SMS)
		Spoken(a, "ht")
		if a.Version != Version12 {
			return // it may lack what 1.2 needs
		}
		b := Marshal(a)
		again, err := Parse(b, Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		for _, x := range []*Alert{a, again} { // what Append says that it does not keep
			for i := range x.Addresses {
				x.Addresses[i] = strings.ReplaceAll(x.Addresses[i], `"`, "'")
			}
			for i := range x.Incidents {
				x.Incidents[i] = strings.ReplaceAll(x.Incidents[i], `"`, "'")
			}
		}
		if d := cmp.Diff(a, again, sameTimes); d != "" {
			t.Fatalf("%s\n%s", d, b)
		}
	})
}
