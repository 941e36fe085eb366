package alert_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/desks/alert"
	"konbit/desktest"
	"konbit/kerneltest"
	"konbit/record"
	"konbit/wire/cap"
	"konbit/wire/gsm"
)

// header is one of a record of ht.cc.
func header(p *record.Place) *record.Header {
	return &record.Header{ID: record.NewID(kerneltest.Day), Kind: "alert", Owner: "ht.cc", Place: p}
}

// letters are what people of the region write, and what breaks careless code.
var letters = rapid.RuneFrom([]rune("abcdeghijklmnoprstuvyz ABCDEFG àâçèéêëîïñóôòùúü¿¡'’\"<>&]/=+-@,;.:!?()%0123456789\n\t漢字🙂\u0301"))

func text(t *rapid.T, label string, least, most int) string {
	s := rapid.StringOfN(letters, 0, most-least, -1).Draw(t, label)
	return "alèt "[:min(least, 6)] + s
}

// wild draws an alert that can go out, and where it is.
func wild(t *rapid.T) (*alert.Alert, *record.Header) {
	from := func(label string, all []string) string { return rapid.SampledFrom(all).Draw(t, label) }
	moment := func(label string) *time.Time {
		at := kerneltest.Day.Add(time.Duration(rapid.IntRange(-72*3600, 72*3600).Draw(t, label)) * time.Second).In(time.FixedZone("", 3600*rapid.IntRange(-5, 5).Draw(t, "zone")))
		return &at
	}
	b := &alert.Alert{
		Event: alert.Event(from("event", alert.Event("").Values())), Category: alert.Category(from("category", alert.Category("").Values())),
		Severity: alert.Severity(from("severity", alert.Severity("").Values())), Urgency: alert.Urgency(from("urgency", alert.Urgency("").Values())),
		Certainty: alert.Likely, Status: alert.Status(from("status", alert.Status("").Values())), Scope: alert.Scope(from("scope", alert.Scope("").Values())),
		Note: text(t, "note", 0, 200), Contact: text(t, "contact", 0, 200), Restriction: text(t, "restriction", 6, 300), Addresses: []string{"ht.pnh", "Sant ijans"},
	}
	if rapid.Bool().Draw(t, "has a code") {
		b.EventCode = rapid.StringMatching("[A-Z]{3}").Draw(t, "code")
	}
	if rapid.Bool().Draw(t, "has a page") {
		b.Web = "https://alèt.example/" + rapid.StringMatching("[a-z/?=]{0,20}").Draw(t, "web")
	}
	expires := kerneltest.Day.Add(time.Duration(rapid.IntRange(73*3600, 900*3600).Draw(t, "expires")) * time.Second)
	b.Expires = &expires
	if rapid.Bool().Draw(t, "has times") {
		b.Effective, b.Onset = moment("effective"), moment("onset")
	}
	for range rapid.IntRange(0, 3).Draw(t, "responses") {
		b.Response = append(b.Response, alert.Response(from("response", alert.Response("").Values())))
	}
	for _, lang := range rapid.Permutation(desk.Langs).Draw(t, "languages")[:rapid.IntRange(1, 4).Draw(t, "texts")] {
		b.Texts = append(b.Texts, alert.Text{
			Language: alert.Language(lang), Event: text(t, "event words", 0, 35), Headline: text(t, "headline", 6, 139),
			Description: text(t, "description", 0, 1000), Instruction: text(t, "instruction", 6, 500), SenderName: text(t, "sender", 0, 200),
		})
	}
	for range rapid.IntRange(1, 3).Draw(t, "areas") {
		b.Areas = append(b.Areas, alert.Area{Description: text(t, "area", 6, 200), PCodes: rapid.SliceOfN(rapid.StringMatching("(cod-2018:)?(HT|DO)[0-9]{2,6}"), 1, 4).Draw(t, "pcodes")})
	}
	for n := range rapid.IntRange(0, 3).Draw(t, "messages") {
		b.Messages = append(b.Messages, alert.Sent{Identifier: fmt.Sprint("urn:konbit:alert:x:", n+1), Sent: moment("sent").Truncate(time.Second), MsgType: alert.Update, Version: n + 1})
	}
	h := header(nil)
	h.Owner = from("owner", []string{"ht.cc", "do.911", "int.aid"})
	switch rapid.IntRange(0, 3).Draw(t, "place") {
	case 1:
		h.Place = &record.Place{Geometry: record.Point(rapid.Float64Range(-75, -68).Draw(t, "lon"), rapid.Float64Range(17, 21).Draw(t, "lat")), Uncertainty: rapid.Float64Range(0.1, 500_000).Draw(t, "metres"), PCode: "HT03"}
	case 2:
		h.Place = &record.Place{Geometry: &record.Geometry{Type: "Polygon", Coordinates: coordinates(t)}, Words: text(t, "words", 0, 200)}
	case 3:
		h.Place = &record.Place{Geometry: &record.Geometry{Type: "MultiPolygon", Coordinates: slices.Concat([]byte("["), coordinates(t), []byte(","), coordinates(t), []byte("]"))}}
	}
	return b, h
}

// coordinates draws a polygon like a star, of up to 400 corners.
func coordinates(t *rapid.T) []byte {
	n := rapid.IntRange(3, 400).Draw(t, "corners")
	lon, lat := rapid.Float64Range(-74, -69).Draw(t, "lon"), rapid.Float64Range(18, 20).Draw(t, "lat")
	var ring [][]float64
	for k := range n {
		r, a := rapid.Float64Range(0.01, 1).Draw(t, "radius"), 2*math.Pi*float64(k)/float64(n)
		ring = append(ring, []float64{lon + r*math.Cos(a), lat + r*math.Sin(a)})
	}
	raw, _ := json.Marshal([][][]float64{append(ring, ring[0])})
	return raw
}

// schema is the one of OASIS, "" where the trial data or xmllint are not there.
func schema(t testing.TB) string {
	name := filepath.Join("..", "..", "..", "shared", "data", "cap", "schema", "cap12.xsd")
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		t.Log("no schema: the trial data is not there")
		return ""
	}
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Log("no xmllint")
		return ""
	}
	return name
}

func valid(t *testing.T, docs ...[]byte) {
	t.Helper()
	xsd := schema(t)
	if xsd == "" || len(docs) == 0 {
		return
	}
	dir := t.TempDir()
	args := []string{"--nonet", "--noout", "--schema", xsd}
	for n, doc := range docs {
		name := filepath.Join(dir, fmt.Sprint(n, ".xml"))
		if err := os.WriteFile(name, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.Command("xmllint", args...).CombinedOutput(); err != nil {
		t.Errorf("xmllint: %v\n%s", err, out)
	}
}

func TestEveryMessageIsValid(t *testing.T) {
	var docs [][]byte
	rapid.Check(t, func(t *rapid.T) {
		b, h := wild(t)
		if f := alert.Problems(b, h, kerneltest.Day); f != nil {
			t.Fatalf("%v", f)
		}
		m := alert.Message(b, &record.Record{Header: record.Header{ID: h.ID, Owner: h.Owner, Place: h.Place, Recorded: kerneltest.Day}})
		if r := cap.Check(m, kerneltest.Day); len(r.Errors) > 0 {
			t.Fatalf("%+v", r.Errors)
		}
		doc := cap.Marshal(m)
		again, err := cap.Parse(doc, cap.Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if diff := cmp.Diff(m, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-written +read):\n%s", diff)
		}
		if len(docs) < 100 {
			docs = append(docs, doc)
		}
	})
	valid(t, docs...)
}

// What Problems lets pass is good, whatever the body holds.
func TestNoBodyThatPassesIsRefusedByCAP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, h := wild(t)
		switch rapid.IntRange(0, 5).Draw(t, "fault") {
		case 0:
			b.Texts[0].Instruction = text(t, "instruction", 0, 20)
		case 1:
			b.Areas = nil
		case 2:
			b.Texts = append(b.Texts, b.Texts[0])
		case 3:
			b.Texts[0].Headline = string([]rune{rapid.Rune().Draw(t, "letter"), 0xFFFE})
		case 4:
			b.Web = text(t, "web", 0, 30)
		case 5:
			at := kerneltest.Day.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "expires")) * time.Second)
			b.Expires = &at
		}
		m := alert.Message(b, &record.Record{Header: record.Header{ID: h.ID, Owner: h.Owner, Place: h.Place, Recorded: kerneltest.Day}})
		_, err := cap.Parse(cap.Marshal(m), cap.Limits{})
		report := cap.Check(m, kerneltest.Day)
		if f := alert.Problems(b, h, kerneltest.Day); len(f) == 0 && (err != nil || len(report.Errors) > 0) {
			t.Fatalf("%v %+v", err, report.Errors)
		}
	})
}

// What is typed in is looked at before it is any good.
func TestNoBodyBreaksAnything(t *testing.T) {
	k := alert.New().Kinds[0]
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(desktest.Bodies(k).Draw(t, "body"))
		if err != nil {
			t.Fatal(err)
		}
		var b alert.Alert
		if err := json.Unmarshal(raw, &b); err != nil {
			t.Fatal(err)
		}
		h := header(&record.Place{
			Geometry: &record.Geometry{
				Type:        rapid.SampledFrom([]string{"Point", "MultiPoint", "LineString", "Polygon", "MultiPolygon", ""}).Draw(t, "type"),
				Coordinates: []byte(rapid.StringMatching(`\[{0,4}([0-9]{1,3},){0,3}[0-9]?\]{0,4}`).Draw(t, "coordinates")),
			},
			Uncertainty: rapid.Float64().Draw(t, "metres"),
		})
		for _, f := range append(alert.Problems(&b, h, kerneltest.Day), alert.Warnings(&b, h, kerneltest.Day)...) {
			if f.Path == "" || f.Code == "" || f.Message == "" {
				t.Fatalf("%+v", f)
			}
		}
		r := &record.Record{Header: *h, Body: raw}
		r.State, r.Flags = "live", []string{desk.Public}
		alert.Previews(&b, r, "ht")
		if n, err := k.Notice(r); n != nil && b.Published == "" || err != nil {
			t.Fatalf("%+v %v", n, err)
		}
	})
}

func TestProblemsAreSaidAtTheirField(t *testing.T) {
	polygon := func(s string) *record.Place {
		return &record.Place{Geometry: &record.Geometry{Type: "Polygon", Coordinates: []byte(s)}}
	}
	for name, c := range map[string]struct {
		change func(*alert.Alert, *record.Header)
		want   []string
	}{
		"nothing":            {func(b *alert.Alert, h *record.Header) {}, nil},
		"no text":            {func(b *alert.Alert, h *record.Header) { b.Texts = nil }, []string{"body.texts no-info"}},
		"no text and no end": {func(b *alert.Alert, h *record.Header) { b.Texts, b.Expires = nil, nil }, []string{"body.expires expires-missing", "body.texts no-info"}},
		"no headline":        {func(b *alert.Alert, h *record.Header) { b.Texts[1].Headline = " " }, []string{"body.texts[1].headline required"}},
		"a long headline":    {func(b *alert.Alert, h *record.Header) { b.Texts[0].Headline = strings.Repeat("é", 140) }, []string{"body.texts[0].headline too-long"}},
		"no instruction":     {func(b *alert.Alert, h *record.Header) { b.Texts[1].Instruction = "" }, []string{"body.texts[1].instruction instruction"}},
		"long event words":   {func(b *alert.Alert, h *record.Header) { b.Texts[0].Event = strings.Repeat("é", 36) }, []string{"body.texts[0].event too-long"}},
		"a language twice":   {func(b *alert.Alert, h *record.Header) { b.Texts[1].Language = "ht" }, []string{"body.texts[1].language twice"}},
		"a letter of none":   {func(b *alert.Alert, h *record.Header) { b.Texts[0].Description = "\uFFFE" }, []string{"body.texts[0].description characters"}},
		"no end":             {func(b *alert.Alert, h *record.Header) { b.Expires = nil }, []string{"body.expires expires-missing"}},
		"ended":              {func(b *alert.Alert, h *record.Header) { b.Expires = &kerneltest.Day }, []string{"body.expires expires-sent"}},
		"ends before":        {func(b *alert.Alert, h *record.Header) { b.Effective = b.Expires }, []string{"body.expires expires-effective"}},
		"all unknown": {func(b *alert.Alert, h *record.Header) {
			b.Severity, b.Urgency, b.Certainty = "unknown", "unknown", "unknown"
		}, []string{"body.urgency all-unknown"}},
		"an odd page":        {func(b *alert.Alert, h *record.Header) { b.Web = "http://[" }, []string{"body.web uri"}},
		"no rule":            {func(b *alert.Alert, h *record.Header) { b.Scope = alert.Restricted }, []string{"body.restriction required"}},
		"to nobody":          {func(b *alert.Alert, h *record.Header) { b.Scope = alert.Private }, []string{"body.addresses required"}},
		"a quotation mark":   {func(b *alert.Alert, h *record.Header) { b.Scope, b.Addresses = alert.Private, []string{`a"b`} }, []string{"body.addresses[0] quotation-mark"}},
		"no area":            {func(b *alert.Alert, h *record.Header) { b.Areas = nil }, []string{"body.areas no-area"}},
		"words alone":        {func(b *alert.Alert, h *record.Header) { b.Areas, h.Place = nil, &record.Place{Words: "Bò mache a"} }, []string{"body.areas no-shape"}},
		"an area of no name": {func(b *alert.Alert, h *record.Header) { b.Areas[0].Description = " " }, []string{"body.areas[0].description required"}},
		"a place of no name": {func(b *alert.Alert, h *record.Header) { b.Areas, h.Place = nil, square(-72, 19); h.Place.Words = "" }, []string{"place.words required"}},
		"a point":            {func(b *alert.Alert, h *record.Header) { h.Place = &record.Place{Geometry: record.Point(-72, 19)} }, []string{"place.uncertainty required"}},
		"half the world": {func(b *alert.Alert, h *record.Header) {
			h.Place = &record.Place{Geometry: record.Point(-72, 19), Uncertainty: 7e6}
		}, []string{"place.geometry circle"}},
		"a line": {func(b *alert.Alert, h *record.Header) {
			h.Place = &record.Place{Geometry: &record.Geometry{Type: "LineString", Coordinates: []byte("[[1,2],[3,4]]")}}
		}, []string{"place.geometry shape"}},
		"crossing itself": {func(b *alert.Alert, h *record.Header) {
			h.Place = polygon("[[[-72,19],[-71,20],[-71,19],[-72,20],[-72,19]]]")
		}, []string{"place.geometry polygon-crosses"}},
		"no inside":           {func(b *alert.Alert, h *record.Header) { h.Place = polygon("[[[-72,19],[-72,19],[-72,19],[-72,19]]]") }, []string{"place.geometry polygon-few"}},
		"across the meridian": {func(b *alert.Alert, h *record.Header) { h.Place = polygon("[[[179,19],[-179,19],[-179,20],[179,19]]]") }, []string{"place.geometry antimeridian"}},
		"swapped": {func(b *alert.Alert, h *record.Header) {
			h.Place = polygon("[[[19,-172],[19,-171],[20,-171],[19,-172]]]")
		}, []string{"place.geometry geometry"}},
		"too many polygons": {func(b *alert.Alert, h *record.Header) {
			one := "[[[-72,19],[-71,19],[-71,20],[-72,19]]]"
			h.Place = &record.Place{Geometry: &record.Geometry{Type: "MultiPolygon", Coordinates: []byte("[" + strings.Repeat(one+",", 40) + one + "]")}}
		}, []string{"place.geometry max"}},
		"too many corners": {func(b *alert.Alert, h *record.Header) {
			h.Place = polygon("[[[-72,19]," + strings.Repeat("[-71,19],[-71,20],", 2500) + "[-72,19]]]")
		}, []string{"place.geometry max"}},
		"too long a shape": {func(b *alert.Alert, h *record.Header) {
			h.Place = polygon("[[[-72,19],[-71,19]," + strings.Repeat(" ", 100_000) + "[-71,20],[-72,19]]]")
		}, []string{"place.geometry too-large"}},
		"too much": {func(b *alert.Alert, h *record.Header) {
			b.Areas = slices.Repeat([]alert.Area{{Description: strings.Repeat("é", 200), PCodes: slices.Repeat([]string{"HT012345"}, 60)}}, 20)
			b.Texts = append(b.Texts, alert.Text{Language: "fr", Headline: "x", Instruction: "x"})
		}, []string{"body.areas too-large"}},
		"too many messages": {func(b *alert.Alert, h *record.Header) {
			for n := range 99 {
				b.Messages = append(b.Messages, alert.Sent{Identifier: fmt.Sprint(n), Sent: kerneltest.Day.Add(-time.Hour)})
			}
		}, []string{"body.messages max"}},
		"what was sent": {func(b *alert.Alert, h *record.Header) { b.Published = "<alert/>" }, []string{"body.published invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, h := flood(), header(nil)
			c.change(b, h)
			var got []string
			for _, f := range alert.Problems(b, h, kerneltest.Day) {
				if f.Message == "" {
					t.Errorf("%s: no words", f.Path)
				}
				got = append(got, f.Path+" "+f.Code)
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	b := flood()
	b.Status, b.Web, b.Texts[0].Description = alert.Exercise, "egzanp/paj", ""
	if f := alert.Problems(b, header(nil), kerneltest.Day); f != nil {
		t.Fatal(f)
	}
	var got []string
	for _, f := range alert.Warnings(b, header(nil), kerneltest.Day) {
		got = append(got, f.Path+" "+f.Code)
	}
	want := []string{"body.texts[0].description required", "body.texts language-missing-fr", "body.texts language-missing-en", "body.note note-missing", "body.web web-relative"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTimesAreThoseOfThePlace(t *testing.T) {
	for _, c := range []struct {
		owner, pcode, area string
		at, want           string
	}{
		{"ht.cc", "", "", "2026-03-08T06:59:59Z", "2026-03-08T01:59:59-05:00"},
		{"ht.cc", "", "", "2026-03-08T07:00:00Z", "2026-03-08T03:00:00-04:00"},
		{"ht.cc", "", "", "2026-11-01T05:59:59Z", "2026-11-01T01:59:59-04:00"},
		{"ht.cc", "", "", "2026-11-01T06:00:00Z", "2026-11-01T01:00:00-05:00"},
		{"do.911", "", "", "2026-12-24T00:00:00Z", "2026-12-23T20:00:00-04:00"},
		{"do.911", "", "cod-2018:HT01", "2026-12-24T00:00:00Z", "2026-12-23T19:00:00-05:00"},
		{"ht.cc", "DO05", "HT01", "2026-12-24T00:00:00Z", "2026-12-23T20:00:00-04:00"},
		{"int.aid", "", "", "2026-12-24T00:00:00.9Z", "2026-12-24T00:00:00-00:00"},
		{"dominica.x", "", "DMA01", "2026-12-24T00:00:00Z", "2026-12-24T00:00:00-00:00"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		b := flood()
		b.Areas[0].PCodes = nil
		if c.area != "" {
			b.Areas[0].PCodes = []string{c.area}
		}
		r := &record.Record{Header: record.Header{Owner: c.owner, Recorded: at, Place: &record.Place{PCode: c.pcode}}}
		if got := string(cap.Marshal(alert.Message(b, r))); !strings.Contains(got, "<sent>"+c.want+"</sent>") {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestAreas(t *testing.T) {
	b := flood()
	at := func(p *record.Place) []cap.Area {
		a := alert.Message(b, &record.Record{Header: *header(p)}).Info
		if diff := cmp.Diff(a[0].Area, a[1].Area); diff != "" {
			t.Error(diff)
		}
		return a[0].Area
	}
	row := cap.Area{AreaDesc: "Wanament", Geocode: []cap.Value{{ValueName: "p-code", Value: "HT0321"}}}
	circle := &record.Place{Geometry: record.Point(-71.5, 19.25), Uncertainty: 1500.2, PCode: "HT03"}
	if diff := cmp.Diff([]cap.Area{row, {AreaDesc: "Wanament", Circle: []cap.Circle{{Center: cap.Point{Lon: -71.5, Lat: 19.25}, Radius: 1.501}}, Geocode: []cap.Value{{ValueName: "p-code", Value: "HT03"}}}}, at(circle)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]cap.Area{row}, at(&record.Place{Words: "Bò rivyè a"})); diff != "" {
		t.Error(diff)
	}
	// A boundary of many corners, with a hole.
	var ring [][]float64
	for k := range 2000 {
		a := 2 * math.Pi * float64(k) / 2000
		ring = append(ring, []float64{-72 + (0.5+0.01*math.Sin(40*a))*math.Cos(a), 19 + 0.5*math.Sin(a)})
	}
	raw, _ := json.Marshal([][][]float64{append(ring, ring[0]), {{-72, 19}, {-72.1, 19}, {-72, 19.1}, {-72, 19}}})
	got := at(&record.Place{Geometry: &record.Geometry{Type: "Polygon", Coordinates: raw}})
	if len(got) != 2 || len(got[1].Polygon) != 1 || len(got[1].Polygon[0]) > cap.MaxVertices || cap.SelfCrosses(got[1].Polygon[0]) {
		t.Errorf("%+v", got)
	}
}

// TestEveryAdministrativeAreaCanBeAlarmed takes the boundaries of the trial data, where they are.
func TestEveryAdministrativeAreaCanBeAlarmed(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "admin", "*.geojson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var all struct {
			Features []struct{ Geometry *record.Geometry }
		}
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
		for n, f := range all.Features {
			h := header(&record.Place{Geometry: f.Geometry, Words: "Zòn nan"})
			if p := alert.Problems(flood(), h, kerneltest.Day); p != nil {
				t.Errorf("%s, %d: %v", filepath.Base(name), n, p)
			}
		}
	}
}

func TestAKnotInABoundaryIsCutOff(t *testing.T) {
	shapes := func(coordinates string) [][]cap.Point {
		p := &record.Place{Geometry: &record.Geometry{Type: "Polygon", Coordinates: []byte(coordinates)}, Words: "Zòn nan"}
		if f := alert.Problems(flood(), header(p), kerneltest.Day); f != nil {
			t.Fatalf("%v", f)
		}
		return alert.Message(flood(), &record.Record{Header: *header(p)}).Info[0].Area[1].Polygon
	}
	// A loop in a corner stays, as a polygon of its own.
	loop := shapes("[[[-72,19],[-71,19],[-71,20],[-71.5,20],[-71.6,20.1],[-71.5,20.1],[-71.6,20],[-72,20],[-72,19]]]")
	if len(loop) != 2 || slices.ContainsFunc(loop, cap.SelfCrosses) || !slices.ContainsFunc(slices.Concat(loop...), func(p cap.Point) bool { return p.Lat == 20.1 }) {
		t.Errorf("%v", loop)
	}
	// A spike is nothing.
	spike := shapes("[[[-72,19],[-71,19],[-71,20],[-71.5,20],[-71.5,20.3],[-71.5,20],[-72,20],[-72,19]]]")
	if len(spike) != 1 || cap.SelfCrosses(spike[0]) {
		t.Errorf("%v", spike)
	}
}

func TestEventCodes(t *testing.T) {
	b := flood()
	code := func() cap.Value { return alert.Message(b, &record.Record{Header: *header(nil)}).Info[0].EventCode[0] }
	if c := code(); c != (cap.Value{ValueName: "SAME", Value: "FLW"}) {
		t.Error(c)
	}
	b.EventCode = "FFW"
	if c := code(); c != (cap.Value{ValueName: "SAME", Value: "FFW"}) {
		t.Error(c)
	}
	b.Event, b.EventCode = alert.Landslide, ""
	if c := code(); c != (cap.Value{ValueName: "KONBIT", Value: "landslide"}) {
		t.Error(c)
	}
}

func TestEventWordsFit(t *testing.T) {
	for _, e := range alert.Event("").Values() {
		b := flood()
		b.Event, b.Texts = alert.Event(e), nil
		for _, lang := range desk.Langs {
			b.Texts = append(b.Texts, alert.Text{Language: alert.Language(lang)})
		}
		for _, i := range alert.Message(b, &record.Record{Header: *header(nil)}).Info {
			if n := utf8.RuneCountInString(i.Event); n == 0 || n > cap.MaxEvent {
				t.Errorf("%s in %s: %q has %d characters", e, i.Language, i.Event, n)
			}
		}
	}
}

func TestTemplates(t *testing.T) {
	all := alert.Templates()
	var docs [][]byte
	seen := map[string]bool{}
	for _, x := range all {
		if seen[x.Name] {
			t.Errorf("%s is there twice", x.Name)
		}
		seen[x.Name] = true
		for _, words := range []string{"Wanament", strings.Repeat("é", alert.MaxPlaceWords)} {
			b, h := x.Fill(words, kerneltest.Day), header(square(-71.7, 19.5))
			if f := alert.Problems(b, h, kerneltest.Day); f != nil {
				t.Errorf("%s: %v", x.Name, f)
			}
			if f := alert.Warnings(b, h, kerneltest.Day); f != nil {
				t.Errorf("%s: %v", x.Name, f)
			}
			docs = append(docs, cap.Marshal(alert.Message(b, &record.Record{Header: record.Header{ID: h.ID, Owner: h.Owner, Place: h.Place, Recorded: kerneltest.Day}})))
			for i, w := range b.Texts {
				if w.Language != alert.Language(desk.Langs[i]) || !strings.Contains(w.Headline, words) || strings.Contains(w.Headline+w.Description+w.Instruction, "{") {
					t.Errorf("%s: %+v", x.Name, w)
				}
			}
		}
		if strings.Contains(x.Texts[0].Headline, "Wanament") {
			t.Error("filling one changes the next")
		}
	}
	if !slices.Equal(slices.Sorted(func(yield func(string) bool) {
		for n := range seen {
			if !yield(n) {
				return
			}
		}
	}), []string{"child-abduction", "civil-emergency", "disease", "earthquake", "fire", "flood", "hurricane", "landslide", "missing-elder", "shelter-in-place", "tropical-storm", "tsunami", "water-unsafe"}) {
		t.Errorf("%v", seen)
	}
	valid(t, docs...)
}

func TestPreviews(t *testing.T) {
	b := flood()
	r := &record.Record{Header: *header(nil)}
	r.Recorded = kerneltest.Day
	p := alert.Previews(b, r, "es")
	if len(p.Short) != 3 || !strings.Contains(p.Spoken, "Suba a un lugar alto") || !strings.Contains(p.Spoken, "Wanament") {
		t.Fatalf("%+v", p)
	}
	for i, most := range []int{90, 160, 360} {
		s := p.Short[i]
		if s.Max != most || utf8.RuneCountInString(s.Text) > most || !strings.HasPrefix(s.Text, "Ouanaminthe: inundación") {
			t.Errorf("%+v", s)
		}
		// ó makes it longer, and can be spelled without.
		if s.Size.Encoding != gsm.UCS2 || s.Size.Forcing[0].Letter != "ó" || !strings.HasPrefix(s.Plain, "Ouanaminthe: inundacion") {
			t.Errorf("%+v", s)
		}
	}
	if s := alert.Previews(b, r, "ht").Short[0]; s.Size.Encoding != gsm.Seven || s.Plain != "" {
		t.Errorf("%+v", s)
	}
	if s := alert.Previews(b, r, "en").Short[0].Text; !strings.HasPrefix(s, "Wanament") {
		t.Errorf("not in a language that it has: %s", s)
	}
	b.Status = alert.Test
	if s := alert.Previews(b, r, "ht").Short[0].Text; !strings.HasPrefix(s, "Tès: ") {
		t.Error(s)
	}
}

// BenchmarkProblems is what is done at each pause of whoever types: four languages and a
// boundary of 300 corners, as the longest of a province has.
func BenchmarkProblems(b *testing.B) {
	x := alert.Templates()[0].Fill("Wanament", kerneltest.Day)
	var ring [][]float64
	for k := range 300 {
		a := 2 * math.Pi * float64(k) / 300
		ring = append(ring, []float64{-72 + (0.5+0.01*math.Sin(40*a))*math.Cos(a), 19 + 0.5*math.Sin(a)})
	}
	raw, _ := json.Marshal([][][]float64{append(ring, ring[0])})
	h := header(&record.Place{Geometry: &record.Geometry{Type: "Polygon", Coordinates: raw}, Words: "Wanament"})
	if f := alert.Problems(x, h, kerneltest.Day); f != nil {
		b.Fatal(f)
	}
	for b.Loop() {
		alert.Problems(x, h, kerneltest.Day)
	}
}
