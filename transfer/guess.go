package transfer

import (
	"slices"
	"strings"
	"time"

	"konbit/desk"
)

// synonyms are how people head the columns of a record's header, folded, in
// Kreyòl, French, Spanish and English; the likeliest first.
var synonyms = map[string][]string{
	"key": {"key", "id", "uuid", "serial", "serial number", "ref", "reference", "referans", "referencia", "no", "numero", "nimewo", "number", "case number",
		"incident id", "record id", "kod", "code", "codigo", "objectid", "globalid", "fid"},
	"observed": {"observed", "observed at", "date time", "datetime", "timestamp", "incident date", "event date", "report date", "date", "dat", "fecha",
		"fecha y hora", "date et heure", "dat ak le", "date heure", "fecha hora", "time", "le", "heure", "hora", "when", "quand", "cuando", "kile",
		"date of incident", "date de l incident", "fecha del incidente", "dat ensidan", "created", "created at", "start", "submission time"},
	"lat":         {"lat", "latitude", "latitud", "latitid", "y", "lat dd", "gps latitude", "gps lat", "latitude y", "point y", "y coord"},
	"lon":         {"lon", "long", "lng", "longitude", "longitud", "lonjitid", "x", "lon dd", "gps longitude", "gps long", "gps lon", "longitude x", "point x", "x coord"},
	"words":       {"location", "place", "address", "lieu", "adresse", "localisation", "endroit", "lugar", "direccion", "ubicacion", "kote", "adres", "landmark", "locality", "words", "site", "area"},
	"pcode":       {"pcode", "p code", "adm3 pcode", "adm2 pcode", "adm1 pcode", "adm pcode", "admin pcode", "code admin"},
	"uncertainty": {"uncertainty", "accuracy", "precision", "gps accuracy", "presizyon", "radius", "rayon", "radio"},
}

// layouts are the ways in which times are commonly written. Days come before
// months here, as people in the region write them; a sample with a day over 12
// decides otherwise.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
	"02/01/2006 15:04:05", "02/01/2006 15:04", "02/01/2006", "2/1/2006 15:04:05", "2/1/2006 15:04", "2/1/2006",
	"01/02/2006 15:04:05", "01/02/2006 15:04", "01/02/2006", "1/2/2006 15:04:05", "1/2/2006 15:04", "1/2/2006", "1/2/2006 3:04 PM", "1/2/06 15:04", "1/2/06",
	"02-01-2006 15:04:05", "02-01-2006 15:04", "02-01-2006", "02.01.2006 15:04", "02.01.2006", "2006/01/02 15:04:05", "2006/01/02",
	"2 Jan 2006", "02-Jan-2006", "Jan 2, 2006", "2 January 2006", "January 2, 2006", "20060102", "unix",
}

// Guess proposes a mapping from the names of the columns and some rows: columns
// that are called like a field, in any of four languages, or as latitude,
// longitude, time and place commonly are. labels are the desk's (see
// desk.LabelKeys) and may be nil. What cannot be guessed is left out, so that
// Compile names it; the marking is always the owner alone.
func Guess(kind *desk.Kind, labels map[string]desk.Text, columns []string, sample [][]string) *Mapping {
	g := guesser{columns: columns, sample: sample, folded: make([]string, len(columns)), taken: make([]bool, len(columns))}
	for i, c := range columns {
		g.folded[i] = fold(c)
	}
	amber := "AMBER"
	m := &Mapping{Kind: kind.Name, Marking: MarkingSources{TLP: &Source{Value: &amber}}}
	if m.Place.Lat = g.degrees("lat", 90); m.Place.Lat != nil {
		if m.Place.Lon = g.degrees("lon", 180); m.Place.Lon == nil {
			m.Place.Lat = nil
		}
	}
	// A field's own name first: "date" may be a field of the kind.
	for _, f := range kind.Fields() {
		if c := g.find(names(kind, &f, labels)); c >= 0 {
			m.Fields = append(m.Fields, FieldSource{f.Path, g.field(kind, &f, labels, c)})
		}
	}
	if m.Observed = g.time(synonyms["observed"]); m.Observed == nil {
		m.Observed = g.anyTime()
	}
	if c := g.find(synonyms["key"]); c >= 0 && g.unique(c) {
		m.Key = &Source{Template: "{{" + columns[c] + "}}"}
	}
	for name, to := range map[string]**Source{"words": &m.Place.Words, "pcode": &m.Place.PCode, "uncertainty": &m.Place.Uncertainty} {
		if c := g.find(synonyms[name]); c >= 0 {
			*to = &Source{Column: columns[c]}
		}
	}
	// A title that no column is called may be in one that says so in part.
	for _, f := range kind.Fields() {
		if f.Required && !slices.ContainsFunc(m.Fields, func(s FieldSource) bool { return s.Path == f.Path }) {
			if c := g.within(names(kind, &f, labels)); c >= 0 {
				m.Fields = append(m.Fields, FieldSource{f.Path, g.field(kind, &f, labels, c)})
			}
		}
	}
	return m
}

type guesser struct {
	columns []string
	folded  []string
	sample  [][]string
	taken   []bool
}

// names are what a column with this field may be called.
func names(kind *desk.Kind, f *desk.Field, labels map[string]desk.Text) []string {
	out := []string{fold(f.Path), fold(fieldColumn(f.Path))}
	t := labels["field."+kind.Name+"."+f.Path]
	for _, l := range desk.Langs {
		if s := fold(t.In(l)); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// find takes the first free column that is called one of names, in their order.
func (g *guesser) find(names []string) int {
	for _, n := range names {
		for i, c := range g.folded {
			if c == n && !g.taken[i] {
				g.taken[i] = true
				return i
			}
		}
	}
	return -1
}

// within takes the first free column one of whose words is one of names.
func (g *guesser) within(names []string) int {
	for _, n := range names {
		for i, c := range g.folded {
			if !g.taken[i] && strings.Contains(" "+c+" ", " "+n+" ") {
				g.taken[i] = true
				return i
			}
		}
	}
	return -1
}

func (g *guesser) values(c int) []string {
	var out []string
	for _, r := range g.sample {
		if c < len(r) {
			if v := strings.TrimSpace(r[c]); v != "" {
				out = append(out, v)
			}
		}
	}
	return out
}

func (g *guesser) unique(c int) bool {
	seen := map[string]bool{}
	for _, v := range g.values(c) {
		if seen[v] {
			return false
		}
		seen[v] = true
	}
	return true
}

func (g *guesser) degrees(name string, limit float64) *Source {
	for _, n := range synonyms[name] {
		for i, c := range g.folded {
			if c != n || g.taken[i] {
				continue
			}
			fits := true
			for _, v := range g.values(i) {
				_, err := readNumber(v, true)
				fits = fits && err == nil
			}
			if fits {
				g.taken[i] = true
				return &Source{Column: g.columns[i]}
			}
		}
	}
	return nil
}

// layout is the first way of writing times that fits every value.
func layout(values []string) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	for _, l := range layouts {
		if !slices.ContainsFunc(values, func(v string) bool {
			t, err := readTime(v, []string{l}, time.UTC)
			return err != nil || l == "unix" && t.Year() < 1990
		}) {
			return l, true
		}
	}
	return "", false
}

func (g *guesser) timeOf(c int) *Source {
	s := &Source{Column: g.columns[c]}
	l, ok := layout(g.values(c))
	if !ok && len(g.values(c)) > 0 {
		return nil
	}
	if ok && !slices.Contains(isoLayouts, l) {
		s.Layouts = []string{l}
	}
	return s
}

func (g *guesser) time(names []string) *Source {
	for _, n := range names {
		for i, c := range g.folded {
			if c == n && !g.taken[i] {
				if s := g.timeOf(i); s != nil {
					g.taken[i] = true
					return s
				}
			}
		}
	}
	return nil
}

// anyTime takes a column whose values are times, whatever it is called.
func (g *guesser) anyTime() *Source {
	for i := range g.columns {
		if !g.taken[i] && len(g.values(i)) > 0 {
			if l, ok := layout(g.values(i)); ok && l != "unix" && l != "20060102" {
				g.taken[i] = true
				return g.timeOf(i)
			}
		}
	}
	return nil
}

// field reads a column into a field: values that are labels become a table.
func (g *guesser) field(kind *desk.Kind, f *desk.Field, labels map[string]desk.Text, c int) *Source {
	s := &Source{Column: g.columns[c]}
	values := g.values(c)
	if f.Type == "time" {
		if t := g.timeOf(c); t != nil {
			return t
		}
	}
	if f.Type == "list" {
		for _, sep := range []string{";", "|", ","} {
			if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, sep) && v[0] != '[' }) {
				s.Split = sep
				break
			}
		}
	}
	if f.Enum == nil {
		return s
	}
	for _, v := range values {
		one := []string{v}
		if s.Split != "" {
			one = parts(v, s.Split)
		}
		for _, p := range one {
			if slices.Contains(f.Enum, p) || slices.ContainsFunc(s.Values, func(q Pair) bool { return q.From == p }) {
				continue
			}
			for _, e := range f.Enum {
				t := labels["value."+kind.Name+"."+f.Path+"."+e]
				match := fold(e) == fold(p)
				for _, l := range desk.Langs {
					match = match || t.In(l) != "" && fold(t.In(l)) == fold(p)
				}
				if match {
					s.Values = append(s.Values, Pair{p, e})
					break
				}
			}
		}
	}
	if len(s.Values) > 0 { // a table is complete: what needs no change is in it too
		for _, e := range f.Enum {
			if !slices.ContainsFunc(s.Values, func(q Pair) bool { return q.From == e }) {
				s.Values = append(s.Values, Pair{e, e})
			}
		}
	}
	return s
}
