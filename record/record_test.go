package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestIdentifiersAreVersion7AndInOrderOfTime(t *testing.T) {
	a, b := NewID(now), NewID(now.Add(time.Millisecond))
	if a.String() >= b.String() || a.String()[14] != '7' || len(a.String()) != 36 {
		t.Errorf("%s, %s", a, b)
	}
	if got, err := ParseID(a.String()); got != a || err != nil {
		t.Error(got, err)
	}
	for name, s := range map[string]string{
		"empty":           "",
		"version 4":       "9f1c6c1e-3b0e-4f6e-9d0f-2f7a8a4b1c2d",
		"other variant":   "01963c5e-3b0e-7f6e-1d0f-2f7a8a4b1c2d",
		"no dashes":       "01963c5e3b0e7f6e9d0f2f7a8a4b1c2d0000",
		"not hexadecimal": "01963c5e-3b0e-7f6e-9d0f-2f7a8a4b1c2g",
		"braces":          "{01963c5e-3b0e-7f6e-9d0f-2f7a8a4b1c}",
		"too long":        "01963c5e-3b0e-7f6e-9d0f-2f7a8a4b1c2d0",
		"dash moved":      "01963c5e3-b0e-7f6e-9d0f-2f7a8a4b1c2d",
	} {
		if id, err := ParseID(s); err == nil || !id.IsZero() {
			t.Errorf("%s: %v %v", name, id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(NewID(now).String())
	f.Add("01963C5E-3B0E-7F6E-9D0F-2F7A8A4B1C2D")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		if id.String() != strings.ToLower(s) {
			t.Errorf("%q became %s", s, id)
		}
		var again ID
		if err := again.UnmarshalText([]byte(id.String())); err != nil || again != id {
			t.Error(err)
		}
	})
}

func paths(f Fields) (out []string) {
	for _, x := range f {
		out = append(out, x.Path+":"+x.Code)
	}
	return out
}

func TestMarkingRules(t *testing.T) {
	far, early := time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200)), time.Date(12, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		m    Marking
		want []string
	}{
		{"plain", Marking{TLP: Amber}, nil},
		{"named", Marking{TLP: AmberStrict, To: []string{"do.911", "@hispaniola"}, Caveats: []string{"victim"}}, nil},
		{"red names persons", Marking{TLP: Red, Persons: []string{"ht.pnh/mpierre", "ht.pnh/andré"}}, nil},
		{"no colour", Marking{}, []string{"marking.tlp:enum"}},
		{"old colour", Marking{TLP: "WHITE"}, []string{"marking.tlp:enum"}},
		{"lower case", Marking{TLP: "amber"}, []string{"marking.tlp:enum"}},
		{"red with agencies", Marking{TLP: Red, To: []string{"do.911"}}, []string{"marking.to:conflict"}},
		{"amber with persons", Marking{TLP: Amber, Persons: []string{"ht.pnh/a"}}, []string{"marking.persons:conflict"}},
		{"clear with an audience", Marking{TLP: Clear, To: []string{"do.911"}}, []string{"marking.to:conflict"}},
		{"not an agency", Marking{TLP: Amber, To: []string{"HT.PNH", "ht.pnh/a", "@", "", "ht", "a.b c"}}, []string{"marking.to[0]:invalid", "marking.to[1]:invalid", "marking.to[2]:invalid", "marking.to[3]:invalid", "marking.to[4]:invalid", "marking.to[5]:invalid"}},
		{"not a person", Marking{TLP: Red, Persons: []string{"mpierre", "ht.pnh/", "ht.pnh/A"}}, []string{"marking.persons[0]:invalid", "marking.persons[1]:invalid", "marking.persons[2]:invalid"}},
		{"too many", Marking{TLP: Amber, To: strings.Fields(strings.Repeat("do.911 ", 201))}, []string{"marking.to:max"}},
		{"unknown caveat", Marking{TLP: Amber, Caveats: []string{"secret"}}, []string{"marking.caveats[0]:enum"}},
		{"beyond what JSON can say", Marking{TLP: Amber, Expires: &far}, []string{"marking.expires:range"}},
		{"before the telegraph", Marking{TLP: Amber, Expires: &early}, []string{"marking.expires:range"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, paths(c.m.Check(now))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEqualMarkingsAreEqualBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		exp := now.Add(time.Duration(rapid.IntRange(0, 999).Draw(rt, "ms")) * time.Millisecond).In(time.FixedZone("", 3600))
		a := Marking{TLP: Amber, To: rapid.SliceOf(rapid.SampledFrom([]string{"a.b", "c.d", "@ef"})).Draw(rt, "to"), Caveats: []string{}, Expires: &exp}
		b := a.Clone()
		b.To = rapid.Permutation(a.To).Draw(rt, "order")
		b.To = append(b.To, b.To...)
		utc := exp.UTC().Truncate(time.Second)
		b.Expires = &utc
		a.Normalize()
		b.Normalize()
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			rt.Fatalf("%s\n%s", x, y)
		}
	})
}

func geometry(typ, coordinates string) *Geometry {
	return &Geometry{Type: typ, Coordinates: json.RawMessage(coordinates)}
}

func TestGeometryIsBoundedOrRefused(t *testing.T) {
	many := strings.Repeat("[1,1],", MaxVertices) + "[1,1]"
	for _, c := range []struct {
		name, typ, in string
		want          Box
		err           string
	}{
		{"point", "Point", "[-72.3, 18.5]", Box{-72.3, 18.5, -72.3, 18.5}, ""},
		{"altitude", "Point", "[ -72.3 , 18.5 , 12e1 ]", Box{-72.3, 18.5, -72.3, 18.5}, ""},
		{"line", "LineString", "[[1,2],[3,-4]]", Box{1, -4, 3, 2}, ""},
		{"polygon", "Polygon", "[[[0,0],[2,0],[2,2],[0,0]]]", Box{0, 0, 2, 2}, ""},
		{"polygon with a hole", "Polygon", "[[[0,0],[9,0],[9,9],[0,0]],[[1,1],[2,1],[2,2],[1,1]]]", Box{0, 0, 9, 9}, ""},
		{"many polygons", "MultiPolygon", "[[[[0,0],[2,0],[2,2],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]]", Box{0, 0, 6, 6}, ""},
		{"many points", "MultiPoint", "[[0,0],[1,1]]", Box{0, 0, 1, 1}, ""},
		{"many lines", "MultiLineString", "[[[0,0],[1,1]],[[2,2],[3,3]]]", Box{0, 0, 3, 3}, ""},
		{"corners of the world", "MultiPoint", "[[-180,-90],[180,90]]", Box{-180, -90, 180, 90}, ""},
		{"swapped", "Point", "[18.5,-172.3]", Box{}, "swapped"},
		{"latitude", "Point", "[0,91]", Box{}, "swapped"},
		{"both out", "Point", "[500,500]", Box{}, "latitude 500"},
		{"longitude", "Point", "[181,0]", Box{}, "longitude 181"},
		{"open ring", "Polygon", "[[[0,0],[2,0],[2,2],[0,1]]]", Box{}, "end where it begins"},
		{"open hole", "Polygon", "[[[0,0],[9,0],[9,9],[0,0]],[[1,1],[2,1],[2,2],[1,2]]]", Box{}, "end where it begins"},
		{"short ring", "Polygon", "[[[0,0],[2,0],[0,0]]]", Box{}, "at least 4"},
		{"short line", "LineString", "[[0,0]]", Box{}, "at least 2"},
		{"short second line", "MultiLineString", "[[[0,0],[1,1]],[[2,2]]]", Box{}, "at least 2"},
		{"nothing", "MultiPoint", "[]", Box{}, "empty"},
		{"no ring", "Polygon", "[]", Box{}, "empty"},
		{"a polygon without a ring among others", "MultiPolygon", "[[],[[[0,0],[2,0],[2,2],[0,0]]]]", Box{}, "empty"},
		{"an empty position", "Point", "[]", Box{}, "do not fit"},
		{"one number", "Point", "[1]", Box{}, "do not fit"},
		{"four numbers", "Point", "[1,2,3,4]", Box{}, "do not fit"},
		{"texts", "Point", `["1","2"]`, Box{}, "do not fit"},
		{"null", "Point", "null", Box{}, "do not fit"},
		{"nil", "Point", "", Box{}, "do not fit"},
		{"too deep for its type", "Point", "[[1,2]]", Box{}, "do not fit"},
		{"too flat for its type", "Polygon", "[[1,2],[3,4]]", Box{}, "do not fit"},
		{"deep beyond reason", "MultiPolygon", strings.Repeat("[", 100_000), Box{}, "do not fit"},
		{"something behind", "Point", "[1,2] [3,4]", Box{}, "do not fit"},
		{"comma too many", "MultiPoint", "[[1,2],]", Box{}, "do not fit"},
		{"infinite", "Point", "[1e999,0]", Box{}, "do not fit"},
		{"not a number", "Point", "[NaN,0]", Box{}, "do not fit"},
		{"leading plus", "Point", "[+1,0]", Box{}, "do not fit"},
		{"too many positions", "MultiPoint", "[" + many + "]", Box{}, "at most 10000"},
		{"collection", "GeometryCollection", "[]", Box{}, "not one of"},
		{"no type", "", "[1,2]", Box{}, "not one of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := geometry(c.typ, c.in).Bounds()
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("got %v, want %q", err, c.err)
			}
			if err == nil && got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func FuzzGeometryBounds(f *testing.F) {
	for typ := range depth {
		for _, in := range []string{"[1,2]", "[[0,0],[1,1]]", "[[[0,0],[2,0],[2,2],[0,0]]]", "[[[[0,0],[2,0],[2,2],[0,0]]]]", "[[", "[1,2,3]"} {
			f.Add(typ, in)
		}
	}
	f.Fuzz(func(t *testing.T, typ, in string) {
		b, err := geometry(typ, in).Bounds()
		if err != nil {
			return
		}
		if !json.Valid([]byte(in)) {
			t.Fatalf("%q is no JSON, yet it has bounds", in)
		}
		if b.W > b.E || b.S > b.N || b.W < -180 || b.E > 180 || b.S < -90 || b.N > 90 {
			t.Fatalf("%v", b)
		}
		if !b.Meets(b) {
			t.Fatal("a box does not meet itself")
		}
	})
}

func TestBoxesMeet(t *testing.T) {
	pacific := Box{170, -10, -170, 10}
	for _, c := range []struct {
		a, b Box
		want bool
	}{
		{Box{0, 0, 1, 1}, Box{1, 1, 2, 2}, true},
		{Box{0, 0, 1, 1}, Box{1.1, 0, 2, 1}, false},
		{Box{0, 0, 1, 1}, Box{0, 1.1, 1, 2}, false},
		{pacific, Box{175, 0, 176, 1}, true},
		{pacific, Box{-175, 0, -174, 1}, true},
		{pacific, Box{0, 0, 1, 1}, false},
		{pacific, Box{160, 0, 170, 1}, true},
	} {
		if got := c.a.Meets(c.b); got != c.want {
			t.Errorf("%v and %v: %v", c.a, c.b, got)
		}
	}
}

func header(change func(*Header)) Header {
	h := Header{ID: NewID(now), Observed: now, Marking: Marking{TLP: Amber}}
	change(&h)
	return h
}

func TestHeaderIsCheckedFieldByField(t *testing.T) {
	link := Link{Rel: "about", Kind: "note", ID: NewID(now)}
	for _, c := range []struct {
		name   string
		change func(*Header)
		want   []string
	}{
		{"good", func(h *Header) { h.Links = []Link{link}; h.Note = "a\nb\tc" }, nil},
		{"no id", func(h *Header) { h.ID = ID{} }, []string{"id:required"}},
		{"no time", func(h *Header) { h.Observed = time.Time{} }, []string{"observed:required"}},
		{"a clock that is wrong by a day", func(h *Header) { h.Observed = now.Add(24 * time.Hour) }, nil},
		{"by more", func(h *Header) { h.Observed = now.Add(24*time.Hour + 1) }, []string{"observed:future"}},
		{"long ago", func(h *Header) { h.Observed = time.Date(1899, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"observed:range"}},
		{"link without rel", func(h *Header) { h.Links = []Link{{Kind: "note", ID: link.ID}} }, []string{"links[0]:invalid"}},
		{"link to nothing", func(h *Header) { h.Links = []Link{link, {Rel: "about", Kind: "note"}} }, []string{"links[1]:invalid"}},
		{"many links", func(h *Header) {
			for range MaxLinks + 1 {
				h.Links = append(h.Links, link)
			}
		}, []string{"links:max"}},
		{"many attachments", func(h *Header) {
			for range MaxAttachments + 1 {
				h.Attachments = append(h.Attachments, Attachment{Hash: strings.Repeat("0", 64)})
			}
		}, []string{"attachments:max"}},
		{"hash in capitals", func(h *Header) { h.Attachments = []Attachment{{Hash: strings.Repeat("A", 64)}} }, []string{"attachments[0].hash:invalid"}},
		{"hash that climbs", func(h *Header) { h.Attachments = []Attachment{{Hash: strings.Repeat("../.", 16)}} }, []string{"attachments[0].hash:invalid"}},
		{"invalid UTF-8", func(h *Header) { h.Note = "\xff" }, []string{"note:utf8"}},
		{"control characters", func(h *Header) { h.Key = "a\x00"; h.Place = &Place{Words: "\x1b[31m"} }, []string{"place.words:control", "key:control"}},
		{"too long", func(h *Header) { h.Key = strings.Repeat("é", 201) }, []string{"key:max"}},
		{"just short enough", func(h *Header) { h.Key = strings.Repeat("é", 200) }, nil},
		{"p-code", func(h *Header) { h.Place = &Place{PCode: "ht01"} }, []string{"place.pcode:invalid"}},
		{"uncertainty", func(h *Header) { h.Place = &Place{Uncertainty: -1} }, []string{"place.uncertainty:range"}},
		{"geometry", func(h *Header) { h.Place = &Place{Geometry: geometry("Point", "[0,99]")} }, []string{"place.geometry:geometry"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := header(c.change)
			if diff := cmp.Diff(c.want, paths(h.CheckHeader(now))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDiffNamesWhatAPersonChanged(t *testing.T) {
	exp := now
	a := &Record{Header: header(func(h *Header) { h.Version, h.State, h.Author = 1, "open", "a" }), Body: json.RawMessage(`{"severity":"minor","tags":["a"],"deep":{"x":1,"y":2},"gone":true}`)}
	b := a.Clone()
	b.Version, b.State, b.Author, b.Note, b.Recorded = 2, "done", "b", "why", now
	b.Body = json.RawMessage(`{"severity":"severe","tags":["a","b"],"deep":{"x":1,"y":3},"new":"\u00e9"}`)
	b.Marking.To, b.Marking.Expires = []string{"do.911"}, &exp
	got, err := Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range got {
		lines = append(lines, fmt.Sprintf("%s: %s -> %s", c.Path, c.From, c.To))
	}
	want := []string{
		`body.deep.y: 2 -> 3`, `body.gone: true -> `, `body.new:  -> "\u00e9"`, `body.severity: "minor" -> "severe"`, `body.tags: ["a"] -> ["a","b"]`,
		`marking.expires:  -> "2026-05-01T12:00:00Z"`, `marking.to:  -> ["do.911"]`, `state: "open" -> "done"`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if same, _ := Diff(a, a.Clone()); len(same) != 0 {
		t.Errorf("%v", same)
	}
	if all, err := Diff(nil, a); err != nil || len(all) == 0 {
		t.Error(err)
	}
}

func FuzzRecordJSON(f *testing.F) {
	r := &Record{Header: header(func(h *Header) {
		h.Place = &Place{Geometry: Point(-72, 18)}
		h.Links = []Link{{Rel: "about", Kind: "note", ID: NewID(now)}}
	}), Body: json.RawMessage(`{"a":1}`)}
	b, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"id":"x"}`))
	f.Add([]byte(`{"place":{"geometry":null},"body":null}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var r Record
		if json.Unmarshal(in, &r) != nil {
			return
		}
		fields := r.CheckHeader(now)
		r.Marking.Normalize()
		out, err := json.Marshal(&r)
		if err != nil {
			if len(fields) == 0 {
				t.Fatalf("a header that is well formed cannot be written: %v", err)
			}
			return
		}
		if len(fields) > 0 {
			return
		}
		var again Record
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatal(err)
		}
		two, err := json.Marshal(&again)
		if err != nil || string(out) != string(two) {
			t.Fatalf("%s\n%s\n%v", out, two, err)
		}
		if d, err := Diff(&r, &again); err != nil || len(d) != 0 {
			t.Fatalf("%v %v", d, err)
		}
	})
}

func TestCloneSharesNothing(t *testing.T) {
	a := &Record{Header: header(func(h *Header) {
		h.Flags, h.Links, h.Place = []string{"x"}, []Link{{Rel: "a"}}, &Place{Geometry: Point(1, 2)}
		h.Marking = Marking{TLP: Amber, To: []string{"do.911"}, Expires: &now}
	}), Body: json.RawMessage(`{"a":1}`)}
	before, _ := json.Marshal(a)
	b := a.Clone()
	b.Flags[0], b.Links[0].Rel, b.Place.Words, b.Place.Geometry.Type, b.Marking.To[0], b.Body[1] = "y", "b", "w", "z", "q", 'x'
	*b.Marking.Expires = now.Add(time.Hour)
	if after, _ := json.Marshal(a); string(before) != string(after) {
		t.Errorf("%s\n%s", before, after)
	}
}

func TestErrorSaysOperationMessageAndFields(t *testing.T) {
	var f Fields
	for i := range 7 {
		f.Add(Index("a", i), "max", "too long")
	}
	cause := errors.New("cause")
	e := &Error{Code: Invalid, Op: "x.y", Message: "no", Fields: f, Err: cause}
	if got := e.Error(); !strings.HasPrefix(got, "x.y: no; a[0]: too long;") || !strings.HasSuffix(got, "and 2 more: cause") || !errors.Is(e, cause) {
		t.Error(got)
	}
	if CodeOf(nil) != "" || CodeOf(cause) != Internal || CodeOf(fmt.Errorf("w: %w", e)) != Invalid || Fields(nil).Err("x") != nil {
		t.Error("codes")
	}
}
