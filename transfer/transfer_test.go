package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/desks/incident"
	"konbit/record"
	. "konbit/transfer"
	"konbit/wire/table"
)

type level string

func (level) Values() []string { return []string{"minor", "moderate", "severe"} }

type need string

func (need) Values() []string { return []string{"water", "food", "health"} }

type sighting struct {
	Title  string          `json:"title" max:"200"`
	State  string          `json:"state,omitempty"` // called like a column of the header
	Level  level           `json:"level,omitempty"`
	Needs  []need          `json:"needs,omitempty"`
	Names  []string        `json:"names,omitempty"`
	Count  *int            `json:"count,omitempty" min:"0"`
	Depth  float64         `json:"depth"`
	Alone  bool            `json:"alone,omitempty"`
	Seen   *time.Time      `json:"seen,omitempty"`
	Period record.Interval `json:"period,omitzero"`
	Area   record.PCode    `json:"area,omitempty"`
	Source struct {
		Type string `json:"type,omitempty"`
		Name string `json:"name,omitempty"`
	} `json:"source,omitzero"`
	Items []item `json:"items,omitempty"`
}

type item struct {
	What string `json:"what"`
	N    int    `json:"n"`
}

func sightings() *desk.Kind {
	return desk.KindOf[sighting]("sighting",
		desk.Path("new", "checked", "done"),
		desk.Flow{"new": {"check": "checked", "drop": "dropped"}, "checked": {"finish": "done", "drop": "dropped"}, "done": {"move": "moved"}},
		desk.Allow{"check": desk.Operator, "finish": desk.Operator, "drop": desk.Operator, "move": desk.Operator},
		desk.Handle("move", func(*desk.Change[sighting], struct {
			Where string `json:"where"`
		}) error {
			return nil
		}),
		desk.OnMap("circle", "level"), desk.KeepYears(1))
}

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// shelf keeps drafts by identifier, as a store would: what the job's tests need
// of one.
type shelf struct {
	mu     sync.Mutex
	drafts map[record.ID]string
	puts   int
	before func(n int) error // called with the number of the Put
	refuse func(*Draft) error
}

func (s *shelf) Put(_ context.Context, kind, agency string, drafts []Draft) ([]Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if len(drafts) > MaxBatch {
		return nil, fmt.Errorf("%d drafts at once", len(drafts))
	}
	if s.before != nil {
		if err := s.before(s.puts); err != nil {
			return nil, err
		}
	}
	if s.drafts == nil {
		s.drafts = map[record.ID]string{}
	}
	out := make([]Outcome, len(drafts))
	for i := range drafts {
		if s.refuse != nil {
			if err := s.refuse(&drafts[i]); err != nil {
				out[i] = Outcome{Refused, err}
				continue
			}
		}
		b, _ := json.Marshal(&drafts[i])
		switch old, ok := s.drafts[drafts[i].ID]; {
		case !ok:
			out[i].Status = Created
		case old == string(b):
			out[i].Status = Unchanged
		default:
			out[i].Status = Updated
		}
		s.drafts[drafts[i].ID] = string(b)
	}
	return out, nil
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mapping(t testing.TB, text string) *Mapping {
	t.Helper()
	m, err := ParseMapping([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reports finds the real file and its mapping, or skips.
func reports(t testing.TB) (file string, m *Mapping) {
	t.Helper()
	dir := os.Getenv("KONBIT_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	file = filepath.Join(dir, "incidents", "haiti2010_reports.csv")
	if _, err := os.Stat(file); err != nil {
		t.Skip("the file is not here; set KONBIT_TESTDATA to the folder that holds incidents/haiti2010_reports.csv")
	}
	b, err := os.ReadFile(filepath.Join("..", "mappings", "haiti2010.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return file, mapping(t, string(b))
}

func incidents() *desk.Kind { return incident.New().Kinds[0] }

func TestRealReportsImportTwiceToTheSameRecords(t *testing.T) {
	file, m := reports(t)
	s := &shelf{}
	o := Options{Kind: incidents(), Agency: "ht.cc", Mapping: m, Sink: s, File: file, Now: clock,
		Refused: filepath.Join(t.TempDir(), "refused.csv")}
	got, err := Import(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Counts != (Counts{Created: 3593}) || got.Rows != 3593 || len(s.drafts) != 3593 {
		b, _ := os.ReadFile(o.Refused)
		t.Fatalf("%+v, %d records\n%.2000s", got.Counts, len(s.drafts), b)
	}
	outside, states := 0, map[string]int{}
	for _, d := range s.drafts {
		var r Draft
		if err := json.Unmarshal([]byte(d), &r); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(r.Flags, "outside-region") {
			outside++
		}
		states[r.State]++
		if r.Key == "haiti2010/4052" {
			if want := time.Date(2010, 7, 5, 22, 26, 0, 0, time.UTC); !r.Observed.Equal(want) {
				t.Errorf("05/07/2010 17:26 in Port-au-Prince became %v, want %v", r.Observed, want)
			}
			if string(r.Place.Geometry.Coordinates) != "[-72.533333,18.233333]" || r.Place.Words != "Jacmel, Haiti" || r.Place.Uncertainty != 1000 {
				t.Errorf("place %+v", r.Place)
			}
		}
	}
	if outside == 0 || outside > 50 {
		t.Errorf("%d reports lie outside the region", outside)
	}
	if states["verified"] == 0 || states["reported"] == 0 {
		t.Errorf("states %v", states)
	}
	again, err := Import(t.Context(), o)
	if err != nil || again.Counts != (Counts{Unchanged: 3593}) || len(s.drafts) != 3593 {
		t.Errorf("the second import: %+v, %v", again.Counts, err)
	}
}

func TestRealReportsAreGuessed(t *testing.T) {
	file, _ := reports(t)
	labels, err := desk.ReadLabels(incident.New().Files)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Preview(Options{Kind: incidents(), Labels: labels, Agency: "ht.cc", File: file, Now: clock}, 20)
	if err != nil {
		t.Fatal(err)
	}
	y, _ := l.Mapping.YAML()
	for _, want := range []string{"lat: LATITUDE", "lon: LONGITUDE", "words: LOCATION", "02/01/2006 15:04", "{{Serial}}", "title: INCIDENT TITLE", "category: CATEGORY"} {
		if !strings.Contains(string(y), want) {
			t.Errorf("the guess lacks %q", want)
		}
	}
	if !l.Guessed || l.Format != table.CSV || len(l.Rows) != 20 {
		t.Errorf("guessed %v, %s, %d rows", l.Guessed, l.Format, len(l.Rows))
	}
	if record.CodeOf(l.Fault) != record.Invalid || !strings.Contains(l.Fault.Error(), "severity") {
		t.Errorf("no column says how severe it is, and the fault is %v", l.Fault)
	}
	if m, err := ParseMapping(y); err != nil || !strings.Contains(string(y), "kind: incident") {
		t.Errorf("%+v %v", m, err)
	}
}

func TestGuessKnowsFourLanguages(t *testing.T) {
	labels := map[string]desk.Text{
		"field.sighting.title":        {HT: "Tit", FR: "Titre", ES: "Título", EN: "Title"},
		"field.sighting.needs":        {HT: "Bezwen", FR: "Besoins", ES: "Necesidades", EN: "Needs"},
		"field.sighting.level":        {HT: "Nivo", FR: "Niveau", ES: "Nivel", EN: "Level"},
		"value.sighting.level.severe": {HT: "Grav", FR: "Grave", ES: "Grave", EN: "Severe"},
	}
	for _, c := range []struct{ columns, row string }{
		{"Nimewo|Tit|Dat|Latitid|Lonjitid|Kote|Bezwen|Nivo|depth", "7|Yon bato|13/04/2026 08:30|18,5|-72,3|bò lanmè|water; food|Grav|2"},
		{"Numéro|Titre|Date et heure|Latitude|Longitude|Lieu|Besoins|Niveau|depth", "7|Un bateau|13/04/2026 08:30|18.5|-72.3|au bord|water; food|grave|2"},
		{"Número|Título|Fecha|Latitud|Longitud|Ubicación|Necesidades|Nivel|depth", "7|Un barco|13/04/2026 08:30|18.5|-72.3|orilla|water; food|GRAVE|2"},
		{"ref|Title|Timestamp|lat|lng|Place|Needs|Level|depth", "7|A boat|2026-04-13 08:30|18.5|-72.3|shore|water; food|Severe|2"},
	} {
		k := sightings()
		columns, row := strings.Split(c.columns, "|"), strings.Split(c.row, "|")
		m := Guess(k, labels, columns, [][]string{row})
		y, err := m.YAML()
		if err != nil {
			t.Fatal(err)
		}
		p, err := mapping(t, string(y)).Compile(k, "ht.cc", columns, clock)
		if err != nil {
			t.Fatalf("%v\n%s", err, y)
		}
		d, f := p.Map(&table.Row{Line: 2, Values: row})
		if len(f) > 0 {
			t.Errorf("%v\n%s", f, y)
			continue
		}
		if string(d.Place.Geometry.Coordinates) != "[-72.3,18.5]" || d.Key != "7" || !d.Observed.Equal(time.Date(2026, 4, 13, 8, 30, 0, 0, time.UTC)) {
			t.Errorf("%+v", d)
		}
		var b sighting
		json.Unmarshal(d.Body, &b)
		if b.Level != "severe" || len(b.Needs) != 2 || b.Depth != 2 || d.Marking.TLP != record.Amber || d.Marking.To != nil {
			t.Errorf("%s %+v", d.Body, d.Marking)
		}
	}
}

const whole = `
kind: sighting
key: "boats/{{No}}"
region: {bbox: [-75.5, 17.0, -68.0, 20.5]}
observed: {column: When, layouts: ["02/01/2006 15:04"], zone: America/Port-au-Prince}
place: {lat: Lat, lon: Lon, words: Where, uncertainty: "1000"}
marking: {tlp: AMBER, to: ["@hispaniola", do.911], caveats: [victim]}
state: {expr: 'OK == "yes" ? "checked" : "new"'}
fields:
  title: Name
  level: {column: Cat, split: ",", first: {"1. Urg": severe, "2": moderate}, default: minor}
  needs: {column: Needs, split: ";", values: {dlo: water, manje: food}}
  count: {column: N, as: integer}
  depth: {expr: 'float(row["Depth m"]) * 2'}
  alone: Alone
  source.type: {value: import}
`

var wholeColumns = []string{"No", "When", "Lat", "Lon", "Where", "OK", "Name", "Cat", "Needs", "N", "Depth m", "Alone"}

func TestRowBecomesDraft(t *testing.T) {
	p, err := mapping(t, whole).Compile(sightings(), "ht.cc", wholeColumns, clock)
	if err != nil {
		t.Fatal(err)
	}
	d, f := p.Map(&table.Row{Line: 7, Values: []string{"12", "15/03/2026 14:00", "18.5", "-72.3", " bò mache a ", "yes", "Yon bato", " 9x, 2b, 1. Urgences, ", "manje; dlo;dlo", "1,234", "1.5", "wi"}})
	if len(f) > 0 {
		t.Fatal(f)
	}
	want := Draft{
		Line: 7, Key: "boats/12", Observed: time.Date(2026, 3, 15, 18, 0, 0, 0, time.UTC),
		ID:      DeriveID("ht.cc", "sighting", "boats/12", time.Date(2026, 3, 15, 18, 0, 0, 0, time.UTC)),
		Marking: record.Marking{TLP: record.Amber, To: []string{"@hispaniola", "do.911"}, Caveats: []string{"victim"}},
		Place:   &record.Place{Geometry: record.Point(-72.3, 18.5), Uncertainty: 1000, Words: "bò mache a"},
		Body:    json.RawMessage(`{"title":"Yon bato","level":"moderate","needs":["food","water"],"count":1234,"depth":3,"alone":true,"source":{"type":"import"}}`),
		State:   "checked",
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if id, err := record.ParseID(d.ID.String()); err != nil || id != d.ID {
		t.Errorf("%s is no UUIDv7: %v", d.ID, err)
	}
}

func TestBadRowsSayWhatIsWrong(t *testing.T) {
	p, err := mapping(t, whole).Compile(sightings(), "ht.cc", wholeColumns, clock)
	if err != nil {
		t.Fatal(err)
	}
	good := []string{"12", "15/03/2026 14:00", "18.5", "-72.3", "", "yes", "Yon bato", "2", "dlo", "1", "1", "no"}
	for _, c := range []struct {
		column, value     string
		path, code, words string
	}{
		{"No", "", "key", "required", "empty"},
		{"No", strings.Repeat("9", 300), "key", "max", ""},
		{"When", "", "observed", "required", "When"},
		{"When", "31/02/2026 10:00", "observed", "time", `"31/02/2026 10:00"`},
		{"When", "15/03/2099 14:00", "observed", "future", ""},
		{"When", "15/03/1890 14:00", "observed", "range", ""},
		{"Lat", "north", "place.lat", "number", `"north"`},
		{"Lat", "", "place.lat", "required", "no latitude"},
		{"Lat", "195", "place.geometry", "geometry", "latitude 195"},
		{"Name", "", "title", "required", ""},
		{"Name", strings.Repeat("x", 300), "title", "max", "column Name"},
		{"Name", "a\x00b", "title", "control", ""},
		{"Needs", "lajan", "needs", "enum", `"lajan"`},
		{"N", "1.5", "count", "integer", `"1.5"`},
		{"N", "-3", "count", "min", `column N: "-3"`},
		{"N", "99999999999999999999", "count", "type", ""},
		{"Depth m", "deep", "depth", "expr", ""},
		{"Depth m", strings.Repeat("1", 17<<10), "depth", "expr", "too long"},
		{"Alone", "maybe", "alone", "flag", `"maybe"`},
		{"Where", strings.Repeat("x", 600), "place.words", "max", ""},
	} {
		row := slices.Clone(good)
		row[slices.Index(wholeColumns, c.column)] = c.value
		_, f := p.Map(&table.Row{Line: 2, Values: row})
		if len(f) != 1 || f[0].Path != c.path || f[0].Code != c.code || !strings.Contains(f[0].Message, c.words) {
			t.Errorf("%s = %.40q: %.300v; want %s %s %q", c.column, c.value, fmt.Sprint(f), c.path, c.code, c.words)
		}
	}
	for _, swap := range [][2]string{{"-72.3", "18.5"}, {"114.2", "22.3"}} {
		row := slices.Clone(good)
		row[2], row[3] = swap[0], swap[1]
		_, f := p.Map(&table.Row{Line: 2, Values: row})
		if len(f) != 1 || f[0].Code != "swapped" || f[0].Path != "place.lat" {
			t.Errorf("latitude %s, longitude %s: %v", swap[0], swap[1], f)
		}
	}
	row := slices.Clone(good)
	row[2], row[3] = "22.278381", "114.174287" // Hong Kong: strange and possible
	if d, f := p.Map(&table.Row{Line: 2, Values: row}); len(f) > 0 || !slices.Contains(d.Flags, "outside-region") {
		t.Errorf("outside the region: %v %v", d.Flags, f)
	}
	// Everything that is wrong is said at once.
	if _, f := p.Map(&table.Row{Line: 2, Values: []string{"", "x", "x", "x", "", "", "", "", "", "x", "x", "x"}}); len(f) < 7 {
		t.Errorf("only %v", f)
	}
}

func TestMappingFaultsAreNamedBeforeAnythingIsImported(t *testing.T) {
	base := "kind: sighting\nobserved: When\nmarking: {tlp: AMBER}\nfields: {title: Name}\n"
	for _, c := range []struct{ name, text, path, words string }{
		{"unknown column", strings.Replace(base, "Name", "Nmae", 1), "fields.title", `no column "Nmae"; did you mean "Name"? (line 4`},
		{"unknown field", base + "", "", ""},
		{"field that is none", strings.Replace(base, "title: Name", "title: Name, titel: Name", 1), "fields.titel", `did you mean "title"? (line 4, column`},
		{"unknown member", base + "plase: {lat: Lat}\n", "plase", `did you mean "place"? (line 5, column 1)`},
		{"unknown member of a source", strings.Replace(base, "title: Name", "title: {colunm: Name}", 1), "fields.title.colunm", `did you mean "column"?`},
		{"given twice", base + "kind: sighting\n", "", "line 5"},
		{"broken YAML", base + "place: {lat: [\n", "mapping", "line 5"},
		{"two sources", strings.Replace(base, "title: Name", "title: {column: Name, value: x}", 1), "fields.title", "exactly one"},
		{"no source", strings.Replace(base, "title: Name", "title: {default: x}", 1), "fields.title", "exactly one"},
		{"no marking", strings.Replace(base, "marking: {tlp: AMBER}\n", "", 1), "marking.tlp", "who may know"},
		{"no time", strings.Replace(base, "observed: When\n", "", 1), "observed", "which column"},
		{"required field", strings.Replace(base, "title: Name", "level: Cat", 1), "fields.title", "required"},
		{"value that the kind has not", strings.Replace(base, "title: Name", "title: Name, level: {value: awful}", 1), "fields.level", `"awful" is not one of minor`},
		{"table to a value that the kind has not", strings.Replace(base, "title: Name", "title: Name, level: {column: Cat, values: {a: awful}}", 1), "fields.level", "awful"},
		{"state that is none", base + "state: gone\n", "state", `"gone"`},
		{"another kind", strings.Replace(base, "sighting", "incident", 1), "kind", "incident"},
		{"lat without lon", base + "place: {lat: Lat}\n", "place", "go together"},
		{"bad box", base + "region: {bbox: [1, 2, 3]}\n", "region.bbox", "four numbers"},
		{"bad zone", strings.Replace(base, "observed: When", "observed: {column: When, zone: Mars/Base}", 1), "observed.zone", "Mars/Base"},
		{"expression over an unknown column", base + "state: {expr: 'Okk == \"yes\" ? \"new\" : \"checked\"'}\n", "state.expr", "no column Okk"},
		{"expression with a typo", base + "state: {expr: 'row[\"Namee\"]'}\n", "state.expr", `did you mean "Name"?`},
		{"template over an unknown column", base + "key: 'x/{{Numero}}'\n", "key", `"Numero"`},
		{"alias", base + "place: *x\n", "", ""},
		{"not an object", "- a\n", "mapping", ""},
		{"empty", "", "mapping", "empty"},
	} {
		m, err := ParseMapping([]byte(c.text))
		if err == nil {
			_, err = m.Compile(sightings(), "ht.cc", wholeColumns, clock)
		}
		if c.name == "unknown field" {
			if err != nil {
				t.Errorf("the base mapping: %v", err)
			}
			continue
		}
		var e *record.Error
		if !errors.As(err, &e) || e.Code != record.Invalid {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.Contains(err.Error(), c.words) || c.path != "" && !slices.ContainsFunc(e.Fields, func(f record.Field) bool { return f.Path == c.path }) && c.name != "not an object" {
			t.Errorf("%s: %v; want %s: %s", c.name, err, c.path, c.words)
		}
	}
}

func TestHostileMappingsEndSoon(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("- ", MaxMapping/2), strings.Repeat("a: ", MaxMapping/3), strings.Repeat("[", MaxMapping), nested(350),
	} {
		start := time.Now()
		ParseMapping([]byte(s))
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%.20q took %v", s, d)
		}
	}
}

// nested indents n objects inside one another.
func nested(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestMappingYAMLRoundTrip(t *testing.T) {
	for _, text := range []string{whole, "kind: x\nrecord: true\nread: {delimiter: ';', sheet: A}\nid: id\nflags: [a, b]\nmarking: {tlp: {column: tlp}}\n" +
		"fields:\n  a: {value: [x, y]}\n  b: {column: c, raw: true, as: time, layouts: [unix], zone: UTC, default: ''}\n"} {
		a := mapping(t, text)
		y, err := a.YAML()
		if err != nil {
			t.Fatal(err)
		}
		b := mapping(t, string(y))
		y2, _ := b.YAML()
		if d := cmp.Diff(string(y), string(y2)); d != "" {
			t.Error(d)
		}
		if len(a.Fields) != len(b.Fields) {
			t.Errorf("%d fields became %d", len(a.Fields), len(b.Fields))
		}
		for i := range a.Fields {
			x, z := *a.Fields[i].Source, *b.Fields[i].Source
			if d := cmp.Diff(fmt.Sprintf("%v %v %v", x.First, x.Values, x.Split), fmt.Sprintf("%v %v %v", z.First, z.Values, z.Split)); d != "" {
				t.Error(d)
			}
		}
	}
}

func TestExpressionsCannotRunAway(t *testing.T) {
	compile := func(e string) (*Mapper, error) {
		m := mapping(t, "kind: sighting\nobserved: When\nmarking: {tlp: AMBER}\nfields: {title: When, depth: {value: '1'}}\n")
		m.Fields[0].Source = &Source{Expr: e}
		return m.Compile(sightings(), "ht.cc", []string{"When", "Big Text"}, clock)
	}
	for _, e := range []string{
		`1..100000000`, `let a = Big_Text; a + a`, `repeat(Big_Text, 1000000)`, `map([1,2], #)`, `reduce([1], #acc + #)`,
		`count(split(Big_Text, ""), any(split(Big_Text, ""), true))`, `2 ** 999999`, `row[Big_Text]`, `now()`, `fromJSON(Big_Text)`,
		strings.Repeat("(", 5000) + strings.Repeat(")", 5000), strings.Repeat("(", 1900) + strings.Repeat(")", 1900), strings.Repeat("-", 3000) + "x", strings.Repeat("[", 3999), strings.Repeat("1+", 1000) + "1", `$env`, `row`,
	} {
		p, err := compile(e)
		if err != nil {
			continue
		}
		if _, f := p.Map(&table.Row{Line: 1, Values: []string{"2026-01-01", "x"}}); len(f) == 0 {
			t.Errorf("%.60s was taken", e)
		}
	}
	big := strings.Repeat("a", 15<<10)
	for _, e := range []string{`replace(Big_Text, "a", Big_Text)`, `any(split(Big_Text, "a"), # == "b")  ? "x" : "y"`} {
		p, err := compile(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, f := p.Map(&table.Row{Line: 1, Values: []string{"2026-01-01", big}}); len(f) == 0 || f[0].Code != "expr" {
			t.Errorf("%s: %v", e, f)
		}
	}
	for e, want := range map[string]string{
		`html("&quot;a&quot;") + upper(fold("Léogâne"))`: `"a"LEOGANE`, `split("a,b", ",")[1]`: "b", `len(Big_Text) > 2 ? 7 : 8`: "8",
		`any(split(Big_Text, ""), # == "x") ? "yes" : "no"`: "yes", `row["Big Text"] + Big_Text`: "xx", `Big_Text matches "^x$"`: "true",
	} {
		p, err := compile(e)
		if err != nil {
			t.Errorf("%s: %v", e, err)
			continue
		}
		d, f := p.Map(&table.Row{Line: 1, Values: []string{"2026-01-01", "x"}})
		var b sighting
		json.Unmarshal(d.Body, &b)
		if len(f) > 0 || b.Title != want {
			t.Errorf("%s = %q %v, want %q", e, b.Title, f, want)
		}
	}
}

func TestShortestCommands(t *testing.T) {
	k := sightings()
	for to, want := range map[string]string{"new": "", "checked": "check", "done": "check finish", "dropped": "drop"} {
		got, ok := Commands(k, "new", to)
		if !ok || strings.Join(got, " ") != want {
			t.Errorf("to %s: %v %v, want %s", to, got, ok, want)
		}
	}
	if got, ok := Commands(k, "new", "moved"); ok {
		t.Errorf("a command that needs arguments was chosen: %v", got)
	}
	if _, ok := Commands(incidents(), "reported", "merged"); ok {
		t.Error("an incident was merged into nothing")
	}
}

func TestDerivedIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, k, key := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "k"), rapid.String().Draw(t, "key")
		at := time.UnixMilli(rapid.Int64Range(-1<<52, 1<<52).Draw(t, "at"))
		id := DeriveID(a, k, key, at)
		if got, err := record.ParseID(id.String()); err != nil || got != id {
			t.Fatalf("%s: %v", id, err)
		}
		if DeriveID(a, k, key, at) != id {
			t.Fatal("not the same twice")
		}
		if DeriveID(a+k, "", key, at) == id && k != "" {
			t.Fatal("what stands where makes no difference")
		}
	})
	at := time.Date(2010, 1, 12, 21, 53, 0, 0, time.UTC)
	if got := DeriveID("ht.cc", "incident", "k", at); got.String()[:13] != record.NewID(at).String()[:13] {
		t.Errorf("%s does not begin with the time", got)
	}
}

// randomRecord makes a record whose parts an export must keep.
func randomRecord(t *rapid.T, k *desk.Kind) *record.Record {
	text := rapid.OneOf(rapid.StringMatching(`[a-zé"',;|=+\-@ \t\n]{1,12}`), rapid.SampledFrom([]string{"=HYPERLINK(\"x\")", "'=1", "-5", "007", " x ", "[1]", "null", "true", "1e5"}))
	list := rapid.SliceOfN(text, 0, 3)
	var b sighting
	b.Title = text.Draw(t, "title")
	b.State = rapid.OneOf(rapid.Just(""), text).Draw(t, "state")
	b.Level = level(rapid.SampledFrom([]string{"", "minor", "severe"}).Draw(t, "level"))
	b.Needs = rapid.SliceOfN(rapid.SampledFrom([]need{"water", "food"}), 0, 3).Draw(t, "needs")
	b.Names = list.Draw(t, "names")
	if rapid.Bool().Draw(t, "counted") {
		n := rapid.IntRange(0, 1<<53).Draw(t, "count")
		b.Count = &n
	}
	b.Depth = rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(-1e9, 1e9), rapid.SampledFrom([]float64{1e-7, 1e21, 0.1, -3})).Draw(t, "depth")
	b.Alone = rapid.Bool().Draw(t, "alone")
	if rapid.Bool().Draw(t, "seen") {
		at := now.Add(-time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "at")))
		b.Seen = &at
		b.Period = record.Interval{From: at, To: at.Add(time.Hour)}
	}
	b.Source.Name = rapid.OneOf(rapid.Just(""), text).Draw(t, "source")
	if rapid.Bool().Draw(t, "items") {
		b.Items = []item{{text.Draw(t, "what"), 2}}
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	_, body, f := k.Decode(raw)
	if len(f) > 0 {
		t.Skip(f)
	}
	r := &record.Record{Body: body}
	r.Observed = now.Add(-time.Duration(rapid.Int64Range(0, 1e17).Draw(t, "observed")))
	r.ID, r.Kind, r.Owner, r.Version = record.NewID(r.Observed), k.Name, "ht.cc", 3
	r.Recorded, r.Created, r.Author, r.Command = now, now, "ht.cc/ana", "edit"
	r.State = rapid.SampledFrom(k.States()).Draw(t, "in")
	r.Key = rapid.OneOf(rapid.Just(""), text).Draw(t, "key")
	r.Marking = record.Marking{TLP: record.Amber, To: []string{"@hispaniola", "do.911"}, Caveats: []string{"victim"}}
	if rapid.Bool().Draw(t, "red") {
		x := now.Add(time.Hour).Truncate(time.Second)
		r.Marking = record.Marking{TLP: record.Red, Persons: []string{"ht.cc/ana"}, Expires: &x}
	}
	r.Flags = rapid.SampledFrom([][]string{nil, {"outside-region"}, {"a", "b"}}).Draw(t, "flags")
	switch rapid.IntRange(0, 4).Draw(t, "place") {
	case 0:
		r.Place = &record.Place{Geometry: record.Point(rapid.Float64Range(-180, 180).Draw(t, "lon"), rapid.Float64Range(-90, 90).Draw(t, "lat")), Uncertainty: 12.5}
	case 1:
		r.Place = &record.Place{Geometry: &record.Geometry{Type: "LineString", Coordinates: json.RawMessage("[[-72,18.50],[-71,19]]")}}
	case 2:
		r.Place = &record.Place{Geometry: &record.Geometry{Type: "Point", Coordinates: json.RawMessage("[-72.10,18.5,3]")}, PCode: "HT0111", Edition: "cod-2018"}
	case 3:
		r.Place = &record.Place{Words: text.Draw(t, "words"), Uncertainty: 3}
	}
	if rapid.Bool().Draw(t, "linked") {
		r.Links = []record.Link{{Rel: "related", Kind: "sighting", ID: record.NewID(now), Note: text.Draw(t, "why")}}
		r.Attachments = []record.Attachment{{Hash: strings.Repeat("ab", 32), Type: "image/png", Size: 3, Name: "=x.png"}}
	}
	return r
}

// draftOf is the draft that would make r.
func draftOf(r *record.Record) Draft {
	return Draft{ID: r.ID, Key: r.Key, Observed: r.Observed, Marking: r.Marking, Place: r.Place, Flags: r.Flags, Links: r.Links,
		Attachments: r.Attachments, Body: r.Body, State: r.State}
}

func TestExportedRecordsImportUnchanged(t *testing.T) {
	k := sightings()
	rapid.Check(t, func(rt *rapid.T) {
		var all []*record.Record
		for range rapid.IntRange(1, 4).Draw(rt, "records") {
			all = append(all, randomRecord(rt, k))
		}
		for _, format := range table.Formats {
			var want []Draft
			for _, r := range all {
				if format != table.GeoJSON || r.Place != nil && r.Place.Geometry != nil {
					want = append(want, draftOf(r))
				}
			}
			var b bytes.Buffer
			n, err := Export(t.Context(), &b, format, k, func(yield func(*record.Record, error) bool) {
				for _, r := range all {
					if !yield(r, nil) {
						return
					}
				}
			})
			if err != nil || n != len(want) {
				rt.Fatalf("%s: %d written, %v; want %d", format, n, err, len(want))
			}
			if len(want) == 0 {
				continue
			}
			var got []Draft
			sink := &shelf{refuse: func(d *Draft) error { got = append(got, *d); return nil }}
			text := b.String()
			res, err := Import(t.Context(), Options{Kind: k, Agency: "ht.cc", Sink: sink, Source: &b, Name: "x." + string(format), Now: clock, Workers: 1,
				Refused: filepath.Join(t.TempDir(), "refused.csv")})
			if err != nil || res.Guessed {
				rt.Fatalf("%s: %v guessed %v\n%s", format, err, res.Guessed, text)
			}
			if res.Refused > 0 {
				why, _ := os.ReadFile(res.RefusedFile)
				rt.Fatalf("%s: refused\n%s", format, why)
			}
			for i := range got {
				got[i].Line = 0
			}
			if d := cmp.Diff(want, got); d != "" {
				rt.Fatalf("%s: %s\n%s", format, d, text)
			}
		}
	})
}

func TestRecordsOfAnotherAgencyAreRefused(t *testing.T) {
	text := "id,observed,tlp,owner,title,depth\n" + record.NewID(now).String() + ",2026-01-01,AMBER,do.911,x,1\n"
	s := &shelf{}
	res, err := Import(t.Context(), Options{Kind: sightings(), Agency: "ht.cc", Sink: s, Source: strings.NewReader(text), Name: "x.csv", Now: clock})
	if err != nil || res.Counts != (Counts{Refused: 1}) || len(s.drafts) != 0 {
		t.Errorf("%+v %v", res, err)
	}
}

func TestExportPassesErrorsOn(t *testing.T) {
	var b bytes.Buffer
	_, err := Export(t.Context(), &b, table.NDJSON, sightings(), func(yield func(*record.Record, error) bool) { yield(nil, os.ErrDeadlineExceeded) })
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if _, err := Export(t.Context(), &b, "pdf", sightings(), nil); record.CodeOf(err) != record.Invalid {
		t.Error(err)
	}
}

func BenchmarkDecodeAndMap(b *testing.B) {
	file, m := reports(b)
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	rows := 0
	for b.Loop() {
		r, err := table.Open(bytes.NewReader(text), "x.csv", table.Options{})
		if err != nil {
			b.Fatal(err)
		}
		p, err := m.Compile(incidents(), "ht.cc", r.Columns(), clock)
		if err != nil {
			b.Fatal(err)
		}
		for {
			row, err := r.Next()
			if err != nil {
				break
			}
			if _, f := p.Map(&row); len(f) > 0 {
				b.Fatal(f)
			}
			rows++
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkImport(b *testing.B) {
	file, m := reports(b)
	rows := 0
	for b.Loop() {
		res, err := Import(b.Context(), Options{Kind: incidents(), Agency: "ht.cc", Mapping: m, Sink: nowhere{}, File: file, Now: clock})
		if err != nil {
			b.Fatal(err)
		}
		rows += res.Created
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

type nowhere struct{}

func (nowhere) Put(_ context.Context, _, _ string, d []Draft) ([]Outcome, error) {
	out := make([]Outcome, len(d))
	for i := range out {
		out[i].Status = Created
	}
	return out, nil
}

func FuzzMapping(f *testing.F) {
	for _, s := range []string{whole, "kind: x\n", "a: &x [*x]", "fields: {a: {values: {b: c}}}", "? a\n: b", "!!binary x", "kind: |\n  x\n", "<<: {a: b}"} {
		f.Add(s)
	}
	k := sightings()
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMapping([]byte(s))
		if err != nil {
			if record.CodeOf(err) != record.Invalid && record.CodeOf(err) != record.TooLarge {
				t.Fatalf("%v", err)
			}
			return
		}
		y, err := m.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseMapping(y); err != nil {
			t.Fatalf("%v\n%s", err, y)
		}
		p, err := m.Compile(k, "ht.cc", wholeColumns, clock)
		if err != nil {
			return
		}
		p.Map(&table.Row{Line: 2, Values: []string{"12", "15/03/2026 14:00", "18.5", "-72.3", "", "yes", "Yon bato", "2", "dlo", "1", "1", "no"}})
	})
}

func FuzzRow(f *testing.F) {
	k := sightings()
	p, err := mapping(f, whole).Compile(k, "ht.cc", wholeColumns, clock)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("12", "15/03/2026 14:00", "18.5", "-72.3", "water", "1,234", "1")
	f.Fuzz(func(t *testing.T, no, when, lat, lon, needs, n, depth string) {
		d, faults := p.Map(&table.Row{Line: 2, Values: []string{no, when, lat, lon, "x", "yes", "t", "2", needs, n, depth, "no"}})
		if len(faults) > 0 {
			return
		}
		h := record.Header{ID: d.ID, Marking: d.Marking, Observed: d.Observed, Place: d.Place, Key: d.Key}
		if _, _, bad := k.Decode(d.Body); len(bad) > 0 || len(h.CheckHeader(now)) > 0 {
			t.Fatalf("%v %v", bad, h.CheckHeader(now))
		}
	})
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{`No + Name`, `row["Depth m"]`, `any(split(Name, ","), # == "x")`, `float(N) * 2`, `Name matches "a+"`, `[No, {"a": 1}.a]`, `not (No in [Name])`} {
		f.Add(s)
	}
	k := sightings()
	f.Fuzz(func(t *testing.T, s string) {
		title := Source{Expr: s}
		tlp, depth := "AMBER", "1"
		m := &Mapping{Kind: "sighting", Observed: &Source{Column: "When"}, Marking: MarkingSources{TLP: &Source{Value: &tlp}},
			Fields: []FieldSource{{"title", &title}, {"depth", &Source{Value: &depth}}}}
		if s == "" {
			return
		}
		p, err := m.Compile(k, "ht.cc", wholeColumns, clock)
		if err != nil {
			return
		}
		p.Map(&table.Row{Line: 2, Values: []string{"12", "2026-03-15", "18.5", "-72.3", "", "yes", "Yon bato", "2", "dlo", "1", "1", "no"}})
	})
}
