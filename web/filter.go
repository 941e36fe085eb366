package web

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
)

// Limits of a filter.
const (
	maxWords  = 300 // characters of q
	maxValues = 100 // of one parameter
)

// asked is what the query string of a list says.
type asked struct {
	query.Filter
	name   string // of a person, however it is spelled
	format string // "", json, ndjson, csv, geojson, xlsx
	zoom   float64
	lang   string
}

// parseFilter reads the query string of a list, a count or a map. What it does
// not know is refused by name: a filter that is not applied would show more than
// was asked for.
func parseFilter(k *desk.Kind, r *policy.Reader, raw string) (*asked, error) {
	a := &asked{zoom: 8}
	var f record.Fields
	values, err := url.ParseQuery(raw)
	if err != nil {
		f.Add("query", "invalid", "the query string is malformed")
		return nil, f.Err(k.Name + ".list")
	}
	for name, vs := range values {
		v := vs[len(vs)-1]
		if name == "" || len(name) > 100 {
			f.Add("query", "unknown", "a parameter's name is missing or too long")
			continue
		}
		if !utf8.ValidString(name) || !utf8.ValidString(v) {
			f.Add(strings.ToValidUTF8(name, "?"), "utf8", "not valid UTF-8")
			continue
		}
		if path, ok := strings.CutPrefix(name, "f."); ok {
			a.facet(k, path, vs, &f)
			continue
		}
		if v != "" {
			a.parameter(k, r, name, v, &f)
		}
	}
	if a.From.After(a.To) && !a.To.IsZero() {
		f.Add("to", "order", "to must lie after from")
	}
	if len(f) > 0 {
		slices.SortFunc(f, func(a, b record.Field) int { return strings.Compare(a.Path, b.Path) })
		return nil, f.Err(k.Name + ".list")
	}
	return a, nil
}

func (a *asked) facet(k *desk.Kind, path string, vs []string, f *record.Fields) {
	fd := k.Field(path)
	if fd == nil || !fd.Facet {
		f.Add("f."+path, "unknown", "no such facet")
		return
	}
	var all []string
	for _, v := range vs {
		all = append(all, list(v)...)
	}
	for _, v := range all {
		if !utf8.ValidString(v) || strings.ContainsAny(v, "\x1f\x00") || len(v) > 200 {
			f.Add("f."+path, "invalid", "not a value")
			return
		}
		if fd.Enum != nil && !slices.Contains(fd.Enum, v) {
			f.Add("f."+path, "enum", "must be one of "+strings.Join(fd.Enum, ", "))
			return
		}
	}
	if len(all) > maxValues {
		f.Add("f."+path, "max", "too many values")
		return
	}
	if len(all) > 0 {
		if a.Facet == nil {
			a.Facet = map[string][]string{}
		}
		a.Facet[path] = all
	}
}

func (a *asked) parameter(k *desk.Kind, r *policy.Reader, name, v string, f *record.Fields) {
	bad := func(code, msg string) { f.Add(name, code, msg) }
	switch name {
	case "q":
		if utf8.RuneCountInString(v) > maxWords {
			bad("max", fmt.Sprintf("at most %d characters", maxWords))
		}
		a.Words = v
	case "name":
		if utf8.RuneCountInString(v) > maxWords {
			bad("max", fmt.Sprintf("at most %d characters", maxWords))
		}
		if !k.Named() {
			bad("unknown", "records of this kind have no names of people")
		}
		a.name = v
	case "bbox":
		b, msg := parseBox(v)
		if msg != "" {
			bad("invalid", msg)
		}
		a.Box = b
	case "near":
		n, ok := floats(v, 3)
		switch {
		case !ok:
			bad("invalid", "must be longitude,latitude,metres")
		case math.Abs(n[1]) > 90 || math.Abs(n[0]) > 180:
			bad("range", "longitude lies between -180 and 180, latitude between -90 and 90; longitude comes first")
		case n[2] <= 0 || n[2] > 20_000_000:
			bad("range", "metres must be more than 0 and at most 20,000,000")
		default:
			a.Near = &query.Circle{Lon: n[0], Lat: n[1], Metres: n[2]}
		}
	case "from", "to", "since":
		t, ok := parseTime(v)
		if !ok {
			bad("time", "must be a time such as 2026-05-01T14:02:00Z or a day such as 2026-05-01")
		}
		switch name {
		case "from":
			a.From = t
		case "to":
			a.To = t
		default:
			a.Since = t
		}
	case "state":
		a.States = list(v)
		for _, s := range a.States {
			if !slices.Contains(k.States(), s) {
				bad("enum", "must be one of "+strings.Join(k.States(), ", "))
				break
			}
		}
	case "owner":
		owners := list(v)
		for _, o := range owners {
			if !record.AgencyID(o) {
				bad("invalid", "must be an agency such as ht.pnh")
				break
			}
		}
		if len(owners) > maxValues {
			bad("max", "too many values")
		}
		a.Owners = owners
	case "author":
		if !record.PersonID(v) {
			bad("invalid", "must be a person such as ht.pnh/ana")
		}
		a.Author = v
	case "flag":
		if !record.Token(v) {
			bad("invalid", "must be a flag such as outside-region")
		}
		a.Flag = v
	case "open", "mine", "others":
		on, err := strconv.ParseBool(v)
		if err != nil {
			bad("type", "must be true or false")
		}
		switch {
		case name == "open":
			a.Open = on
		case name == "others":
			a.Others = on
		case on:
			a.Owners = []string{r.Agency}
		}
	case "sort":
		switch v {
		case "-observed":
			a.ByObserved = true
		case "-recorded":
		default:
			bad("enum", "must be -recorded or -observed")
		}
	case "limit":
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > query.MaxPage {
			bad("range", fmt.Sprintf("must be a whole number from 1 to %d", query.MaxPage))
		}
		a.Limit = n
	case "cursor":
		if len(v) > 200 {
			bad("invalid", "not a cursor of this node")
		}
		a.Cursor = v
	case "zoom":
		n, ok := floats(v, 1)
		if !ok || n[0] < 0 || n[0] > 24 {
			bad("range", "must be a number from 0 to 24")
			break
		}
		a.zoom = n[0]
	case "format":
		if !slices.Contains(formats, v) {
			bad("enum", "must be one of "+strings.Join(formats, ", "))
		}
		a.format = v
	case "lang":
		if !slices.Contains(desk.Langs, v) {
			bad("enum", "must be one of "+strings.Join(desk.Langs, ", "))
		}
		a.lang = v
	case "purpose": // read before, for every request
	default:
		bad("unknown", "no such parameter")
	}
}

var formats = []string{"json", "ndjson", "csv", "geojson", "xlsx"}

// list splits at commas and drops what is empty.
func list(v string) []string {
	var out []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func floats(v string, n int) ([]float64, bool) {
	parts := strings.Split(v, ",")
	if len(parts) != n {
		return nil, false
	}
	out := make([]float64, n)
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, false
		}
		out[i] = x
	}
	return out, true
}

// parseBox reads west,south,east,north. West may be greater than east: then the
// box crosses the antimeridian.
func parseBox(v string) (*record.Box, string) {
	n, ok := floats(v, 4)
	switch {
	case !ok:
		return nil, "must be west,south,east,north in degrees"
	case math.Abs(n[1]) > 90 || math.Abs(n[3]) > 90:
		return nil, "latitude lies between -90 and 90; the order is west,south,east,north"
	case n[1] > n[3]:
		return nil, "south must not lie north of north"
	case math.Abs(n[0]) > 360 || math.Abs(n[2]) > 360:
		return nil, "longitude lies between -180 and 180"
	}
	b := &record.Box{W: n[0], S: n[1], E: n[2], N: n[3]}
	if b.E-b.W >= 360 { // a map that shows the world more than once
		b.W, b.E = -180, 180
		return b, ""
	}
	wrap := func(x float64) float64 {
		switch {
		case x < -180:
			return x + 360
		case x > 180:
			return x - 360
		}
		return x
	}
	b.W, b.E = wrap(b.W), wrap(b.E)
	return b, ""
}

func parseTime(v string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, v); err == nil && t.Year() >= 1 && t.Year() <= 9999 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// filterParams describes what parseFilter reads.
func filterParams(k *desk.Kind) []*huma.Param {
	text := &huma.Schema{Type: "string"}
	flag := &huma.Schema{Type: "boolean"}
	when := &huma.Schema{Type: "string", Format: "date-time"}
	of := func(values []string) *huma.Schema {
		enum := make([]any, len(values))
		for i, v := range values {
			enum[i] = v
		}
		return &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string", Enum: enum}}
	}
	ps := []*huma.Param{
		inQuery("name", "A person's name, however it is spelled: the answer lists the records whose names are the most like it, at most limit, and says in matches what is alike. Only for kinds with names", text),
		inQuery("q", "Words that must all occur; \"a phrase\"; a last word* is a beginning", text),
		inQuery("bbox", "Touches this box: west,south,east,north", text),
		inQuery("near", "Touches the box around a circle: longitude,latitude,metres", text),
		inQuery("from", "Observed at or after", when),
		inQuery("to", "Observed before", when),
		inQuery("since", "Recorded at or after", when),
		separated(inQuery("state", "In one of these states", of(k.States()))),
		separated(inQuery("owner", "Of one of these agencies", &huma.Schema{Type: "array", Items: text})),
		inQuery("mine", "Of the agency that you act for", flag),
		inQuery("others", "Not of the agency that you act for", flag),
		inQuery("author", "Whose newest version this person made: agency/name", text),
		inQuery("flag", "With this flag", text),
		inQuery("open", "In a state of work not yet done", flag),
	}
	for _, fd := range k.Fields() {
		if fd.Facet {
			sc := &huma.Schema{Type: "array", Items: text}
			if fd.Enum != nil {
				sc = of(fd.Enum)
			}
			ps = append(ps, separated(inQuery("f."+fd.Path, "With one of these values of "+fd.Path, sc)))
		}
	}
	return append(ps, inQuery("purpose", "Why you look, in your words; also as header Konbit-Purpose", text))
}

func inQuery(name, doc string, sc *huma.Schema) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: doc, Schema: sc}
}

// separated marks a list as one value with commas.
func separated(p *huma.Param) *huma.Param {
	no := false
	p.Explode, p.Style = &no, "form"
	return p
}

func inPath(name, doc string, sc *huma.Schema) *huma.Param {
	return &huma.Param{Name: name, In: "path", Description: doc, Required: true, Schema: sc}
}

func inHeader(name, doc string) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: doc, Schema: &huma.Schema{Type: "string"}}
}

var idSchema = &huma.Schema{Type: "string", Format: "uuid"}
