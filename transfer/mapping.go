package transfer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"konbit/desk"
	"konbit/record"
)

// MaxMapping bounds a mapping file, in bytes: what the parser still reads within
// a second, however it is nested.
const MaxMapping = 64 << 10

// Mapping says how a row becomes a draft. Its YAML form is documented in
// ParseMapping.
type Mapping struct {
	Kind        string
	Read        Read
	Record      bool // rows are records as the API gives them; nothing else is needed
	ID          *Source
	Owner       *Source // only checked: a row of another agency is refused
	Key         *Source
	Region      *Region
	Observed    *Source
	Place       PlaceSources
	Marking     MarkingSources
	State       *Source
	Flags       *Source
	Links       *Source // JSON list of record.Link
	Attachments *Source // JSON list of record.Attachment
	Note        *Source
	Fields      []FieldSource // in the order of the file
}

// Read says how to read the file where that cannot be found out.
type Read struct{ Delimiter, Encoding, Sheet string }

// Region is where the data should lie. What lies outside is kept and flagged.
type Region struct {
	BBox record.Box
	Flag string
}

// PlaceSources give record.Place.
type PlaceSources struct {
	Lat, Lon    *Source // degrees
	Geometry    *Source // GeoJSON text; wins over Lat and Lon where it is not empty
	Uncertainty *Source // metres
	PCode       *Source
	Edition     *Source
	Words       *Source
}

// MarkingSources give record.Marking.
type MarkingSources struct{ TLP, To, Persons, Caveats, Expires *Source }

// FieldSource fills one field of the body.
type FieldSource struct {
	Path   string // as in desk.Field; "period.from" and "period.to" of an interval also
	Source *Source
}

// Pair is one line of a table.
type Pair struct{ From, To string }

// Source is where a value comes from and how it is read. Exactly one of Column,
// Expr, Template, Value and List is given.
type Source struct {
	Column   string
	Expr     string
	Template string // text with {{COLUMN}} in it
	Value    *string
	List     []string

	Split   string   // cut the text here into trimmed parts
	First   []Pair   // part after part, the first line with whose From it begins gives To
	Values  []Pair   // a part that equals From gives To
	Default *string  // where the text is empty, or no line fits
	As      string   // text, integer, number, flag, time: when not as the field says
	Layouts []string // of a time, as Go writes them, or "unix", "unix-ms"; tried in order
	Zone    string   // of a time that names none; IANA name, default UTC
	Raw     bool     // keep spaces at both ends

	line, column int
}

// ParseMapping reads a mapping:
//
//	kind: incident
//	key: "haiti2010/{{Serial}}"     # natural key; left out: a hash of the row
//	region: {bbox: [west, south, east, north], flag: outside-region}
//	observed: {column: INCIDENT DATE, layouts: ["02/01/2006 15:04"], zone: America/Port-au-Prince}
//	place: {lat: LATITUDE, lon: LONGITUDE, words: LOCATION, uncertainty: "1000"}
//	marking: {tlp: AMBER, to: ["@hispaniola"], caveats: []}
//	state: {expr: 'VERIFIED == "YES" ? "verified" : "reported"'}
//	fields:
//	  title: INCIDENT TITLE         # short for {column: INCIDENT TITLE}
//	  category: {column: CATEGORY, split: ",", first: {"1. Urgences": medical}, default: other}
//	  severity: {column: LEVEL, values: {high: severe}, default: moderate}
//	  source.type: {value: import}
//
// and further read {delimiter, encoding, sheet}, record, id, owner, flags, links,
// attachments and note. Everything that is wrong is named with its line and
// column. The returned error is a record.Error whose Fields hold each fault.
func ParseMapping(b []byte) (*Mapping, error) {
	if len(b) > MaxMapping {
		return nil, record.Errorf(record.TooLarge, "mapping", "the mapping has over %d bytes", MaxMapping)
	}
	if err := shallow(b); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		f := record.Field{Path: "mapping", Code: "yaml", Message: err.Error()}
		var y yaml.Error
		if errors.As(err, &y) {
			f.Message = y.GetMessage()
			if t := y.GetToken(); t != nil && t.Position != nil {
				f.Message += fmt.Sprintf(" (line %d, column %d)", t.Position.Line, t.Position.Column)
			}
		}
		return nil, record.Fields{f}.Err("mapping")
	}
	var p yamlReader
	m := &Mapping{}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		p.f.Add("mapping", "required", "the mapping is empty, or holds several documents")
	} else {
		p.mapping(m, file.Docs[0].Body)
	}
	if err := p.f.Err("mapping"); err != nil {
		return nil, err
	}
	return m, nil
}

// shallow refuses brackets nested deeper than any mapping needs, which a parser
// would follow to the end of its stack.
func shallow(b []byte) error {
	depth := 0
	for _, c := range b {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			depth = max(depth, 0)
		}
		if depth > 64 {
			return record.Fields{{Path: "mapping", Code: "yaml", Message: "brackets are nested too deeply"}}.Err("mapping")
		}
	}
	return nil
}

// yamlReader walks the syntax tree, so that each fault has its place.
type yamlReader struct{ f record.Fields }

type member struct {
	name  string
	key   ast.Node
	value ast.Node
}

func (p *yamlReader) fault(n ast.Node, path, code, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if line, col := position(n); line > 0 {
		msg += fmt.Sprintf(" (line %d, column %d)", line, col)
	}
	p.f.Add(path, code, msg)
}

func position(n ast.Node) (line, column int) {
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			return t.Position.Line, t.Position.Column
		}
	}
	return 0, 0
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// members lists an object's members in order; a repeated or odd key is a fault.
func (p *yamlReader) members(n ast.Node, path string) []member {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	case *ast.NullNode, nil:
		return nil
	default:
		p.fault(n, path, "type", "an object is needed")
		return nil
	}
	var out []member
	for _, v := range values {
		name, ok := p.text(v.Key, path)
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, func(m member) bool { return m.name == name }) {
			p.fault(v.Key, join(path, name), "duplicate", "is given twice")
			continue
		}
		out = append(out, member{name, v.Key, v.Value})
	}
	return out
}

func isObject(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// text reads a scalar as it is written.
func (p *yamlReader) text(n ast.Node, path string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		return "", true
	}
	p.fault(n, path, "type", "a text is needed")
	return "", false
}

func (p *yamlReader) number(n ast.Node, path string) float64 {
	s, ok := p.text(n, path)
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if ok && (err != nil || math.IsNaN(v) || math.IsInf(v, 0)) {
		p.fault(n, path, "type", "%q is not a number", short(s))
	}
	return v
}

func (p *yamlReader) flag(n ast.Node, path string) bool {
	if b, ok := n.(*ast.BoolNode); ok {
		return b.Value
	}
	p.fault(n, path, "type", "true or false is needed")
	return false
}

func (p *yamlReader) list(n ast.Node, path string) []ast.Node {
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values
	}
	p.fault(n, path, "type", "a list is needed, [ ... ]")
	return nil
}

func (p *yamlReader) texts(n ast.Node, path string) []string {
	if _, ok := n.(*ast.SequenceNode); !ok {
		if s, ok := p.text(n, path); ok {
			return []string{s}
		}
		return nil
	}
	out := []string{}
	for i, v := range p.list(n, path) {
		if s, ok := p.text(v, record.Index(path, i)); ok {
			out = append(out, s)
		}
	}
	return out
}

func (p *yamlReader) pairs(n ast.Node, path string) []Pair {
	var out []Pair
	for _, m := range p.members(n, path) {
		if s, ok := p.text(m.value, join(path, m.name)); ok {
			out = append(out, Pair{m.name, s})
		}
	}
	return out
}

// unknown names a member that means nothing, and what may have been meant.
func (p *yamlReader) unknown(m member, path string, known ...string) {
	hint := ""
	if near := nearest(m.name, known); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	p.fault(m.key, join(path, m.name), "unknown", "no such member%s", hint)
}

func (p *yamlReader) mapping(m *Mapping, n ast.Node) {
	for _, v := range p.members(n, "") {
		switch v.name {
		case "kind":
			m.Kind, _ = p.text(v.value, "kind")
		case "read":
			for _, o := range p.members(v.value, "read") {
				switch o.name {
				case "delimiter":
					m.Read.Delimiter, _ = p.text(o.value, "read.delimiter")
				case "encoding":
					m.Read.Encoding, _ = p.text(o.value, "read.encoding")
				case "sheet":
					m.Read.Sheet, _ = p.text(o.value, "read.sheet")
				default:
					p.unknown(o, "read", "delimiter", "encoding", "sheet")
				}
			}
		case "record":
			m.Record = p.flag(v.value, "record")
		case "id":
			m.ID = p.source(v.value, v.name, asColumn)
		case "owner":
			m.Owner = p.source(v.value, v.name, asColumn)
		case "key":
			m.Key = p.source(v.value, v.name, asTemplate)
		case "region":
			m.Region = p.region(v.value)
		case "observed":
			m.Observed = p.source(v.value, v.name, asColumn)
		case "place":
			p.place(&m.Place, v.value)
		case "marking":
			p.marking(&m.Marking, v.value)
		case "state":
			m.State = p.source(v.value, v.name, asValue)
		case "flags":
			m.Flags = p.source(v.value, v.name, asValue)
		case "links":
			m.Links = p.source(v.value, v.name, asColumn)
		case "attachments":
			m.Attachments = p.source(v.value, v.name, asColumn)
		case "note":
			m.Note = p.source(v.value, v.name, asValue)
		case "fields":
			for _, f := range p.members(v.value, "fields") {
				if s := p.source(f.value, join("fields", f.name), asColumn); s != nil {
					m.Fields = append(m.Fields, FieldSource{f.name, s})
				}
			}
		default:
			p.unknown(v, "", "kind", "read", "record", "id", "owner", "key", "region", "observed", "place",
				"marking", "state", "flags", "links", "attachments", "note", "fields")
		}
	}
	if m.Kind == "" {
		p.fault(n, "kind", "required", "say which kind of record the rows are")
	}
}

func (p *yamlReader) region(n ast.Node) *Region {
	r := &Region{Flag: "outside-region"}
	given := false
	for _, m := range p.members(n, "region") {
		switch m.name {
		case "bbox":
			l := p.list(m.value, "region.bbox")
			if len(l) != 4 {
				p.fault(m.value, "region.bbox", "invalid", "four numbers are needed: west, south, east, north")
				continue
			}
			given = true
			r.BBox = record.Box{W: p.number(l[0], "region.bbox"), S: p.number(l[1], "region.bbox"), E: p.number(l[2], "region.bbox"), N: p.number(l[3], "region.bbox")}
			if r.BBox.S > r.BBox.N || math.Abs(r.BBox.S) > 90 || math.Abs(r.BBox.N) > 90 || math.Abs(r.BBox.W) > 180 || math.Abs(r.BBox.E) > 180 {
				p.fault(m.value, "region.bbox", "range", "degrees are needed: west, south, east, north")
			}
		case "flag":
			r.Flag, _ = p.text(m.value, "region.flag")
			if !record.Token(r.Flag) {
				p.fault(m.value, "region.flag", "invalid", "a lower-case word is needed")
			}
		default:
			p.unknown(m, "region", "bbox", "flag")
		}
	}
	if !given {
		p.fault(n, "region.bbox", "required", "say west, south, east and north")
	}
	return r
}

func (p *yamlReader) place(s *PlaceSources, n ast.Node) {
	for _, m := range p.members(n, "place") {
		to := map[string]**Source{"lat": &s.Lat, "lon": &s.Lon, "geometry": &s.Geometry, "uncertainty": &s.Uncertainty,
			"pcode": &s.PCode, "edition": &s.Edition, "words": &s.Words}[m.name]
		if to == nil {
			p.unknown(m, "place", "lat", "lon", "geometry", "uncertainty", "pcode", "edition", "words")
			continue
		}
		*to = p.source(m.value, join("place", m.name), asColumn)
	}
}

func (p *yamlReader) marking(s *MarkingSources, n ast.Node) {
	for _, m := range p.members(n, "marking") {
		to := map[string]**Source{"tlp": &s.TLP, "to": &s.To, "persons": &s.Persons, "caveats": &s.Caveats, "expires": &s.Expires}[m.name]
		if to == nil {
			p.unknown(m, "marking", "tlp", "to", "persons", "caveats", "expires")
			continue
		}
		*to = p.source(m.value, join("marking", m.name), asValue)
	}
}

// What a bare text means where a source is expected.
const (
	asColumn = iota
	asTemplate
	asValue
)

func (p *yamlReader) source(n ast.Node, path string, bare int) *Source {
	s := &Source{}
	s.line, s.column = position(n)
	if _, ok := n.(*ast.SequenceNode); ok {
		s.List = p.texts(n, path)
		return s
	}
	if !isObject(n) {
		t, ok := p.text(n, path)
		if !ok {
			return nil
		}
		switch {
		case bare == asColumn:
			s.Column = t
		case bare == asTemplate:
			s.Template = t
		default:
			s.Value = &t
		}
		if t == "" && bare != asValue {
			p.fault(n, path, "required", "is empty")
		}
		return s
	}
	given := 0
	for _, m := range p.members(n, path) {
		at := join(path, m.name)
		switch m.name {
		case "column":
			given++
			s.Column, _ = p.text(m.value, at)
			s.line, s.column = position(m.value)
		case "expr":
			given++
			s.Expr, _ = p.text(m.value, at)
			s.line, s.column = position(m.value)
		case "template":
			given++
			s.Template, _ = p.text(m.value, at)
			s.line, s.column = position(m.value)
		case "value":
			given++
			if _, ok := m.value.(*ast.SequenceNode); ok {
				s.List = p.texts(m.value, at)
			} else if t, ok := p.text(m.value, at); ok {
				s.Value = &t
			}
		case "split":
			s.Split, _ = p.text(m.value, at)
		case "first":
			s.First = p.pairs(m.value, at)
		case "values":
			s.Values = p.pairs(m.value, at)
		case "default":
			if t, ok := p.text(m.value, at); ok {
				s.Default = &t
			}
		case "as":
			s.As, _ = p.text(m.value, at)
			if !slices.Contains(readings, s.As) {
				p.fault(m.value, at, "enum", "must be one of %s", strings.Join(readings, ", "))
			}
		case "layouts":
			s.Layouts = p.texts(m.value, at)
		case "zone":
			s.Zone, _ = p.text(m.value, at)
			if _, err := zone(s.Zone); err != nil {
				p.fault(m.value, at, "invalid", "%q is not a time zone such as America/Port-au-Prince", short(s.Zone))
			}
		case "raw":
			s.Raw = p.flag(m.value, at)
		default:
			p.unknown(m, path, "column", "expr", "template", "value", "split", "first", "values", "default", "as", "layouts", "zone", "raw")
		}
	}
	if given != 1 {
		p.fault(n, path, "invalid", "exactly one of column, expr, template and value is needed")
	}
	return s
}

// readings are the values of Source.As.
var readings = []string{"text", "integer", "number", "flag", "time"}

// nearest returns the name that the writer may have meant, "" when none is near.
func nearest(name string, known []string) string { return desk.Nearest(name, known, fold) }

// short cuts a text to what a message can show.
func short(s string) string {
	r := []rune(strings.ToValidUTF8(s[:min(len(s), 400)], "\uFFFD"))
	if len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return string(r)
}

// YAML writes the mapping in the form that ParseMapping reads.
func (m *Mapping) YAML() ([]byte, error) {
	var out yaml.MapSlice
	put := func(name string, v any) { out = append(out, yaml.MapItem{Key: name, Value: v}) }
	put("kind", m.Kind)
	if r := options("delimiter", m.Read.Delimiter, "encoding", m.Read.Encoding, "sheet", m.Read.Sheet); len(r) > 0 {
		put("read", r)
	}
	if m.Record {
		put("record", true)
	}
	one := func(name string, s *Source, bare int) {
		if s != nil {
			put(name, s.yaml(bare))
		}
	}
	group := func(name string, bare int, members ...any) {
		var g yaml.MapSlice
		for i := 0; i < len(members); i += 2 {
			if s := members[i+1].(*Source); s != nil {
				g = append(g, yaml.MapItem{Key: members[i], Value: s.yaml(bare)})
			}
		}
		if len(g) > 0 {
			put(name, g)
		}
	}
	one("id", m.ID, asColumn)
	one("owner", m.Owner, asColumn)
	one("key", m.Key, asTemplate)
	if r := m.Region; r != nil {
		put("region", yaml.MapSlice{{Key: "bbox", Value: []float64{r.BBox.W, r.BBox.S, r.BBox.E, r.BBox.N}}, {Key: "flag", Value: r.Flag}})
	}
	one("observed", m.Observed, asColumn)
	p := &m.Place
	group("place", asColumn, "lat", p.Lat, "lon", p.Lon, "geometry", p.Geometry, "uncertainty", p.Uncertainty, "pcode", p.PCode, "edition", p.Edition, "words", p.Words)
	k := &m.Marking
	group("marking", asValue, "tlp", k.TLP, "to", k.To, "persons", k.Persons, "caveats", k.Caveats, "expires", k.Expires)
	one("state", m.State, asValue)
	one("flags", m.Flags, asValue)
	one("links", m.Links, asColumn)
	one("attachments", m.Attachments, asColumn)
	one("note", m.Note, asValue)
	var fields yaml.MapSlice
	for _, f := range m.Fields {
		fields = append(fields, yaml.MapItem{Key: f.Path, Value: f.Source.yaml(asColumn)})
	}
	if len(fields) > 0 {
		put("fields", fields)
	}
	return yaml.Marshal(out)
}

func options(kv ...string) yaml.MapSlice {
	var out yaml.MapSlice
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] != "" {
			out = append(out, yaml.MapItem{Key: kv[i], Value: kv[i+1]})
		}
	}
	return out
}

func (s *Source) yaml(bare int) any {
	out := options("column", s.Column, "expr", s.Expr, "template", s.Template)
	switch {
	case s.Value != nil:
		out = append(out, yaml.MapItem{Key: "value", Value: *s.Value})
	case s.List != nil:
		out = append(out, yaml.MapItem{Key: "value", Value: s.List})
	}
	out = append(out, options("split", s.Split)...)
	for _, t := range []struct {
		name  string
		pairs []Pair
	}{{"first", s.First}, {"values", s.Values}} {
		if len(t.pairs) > 0 {
			var m yaml.MapSlice
			for _, p := range t.pairs {
				m = append(m, yaml.MapItem{Key: p.From, Value: p.To})
			}
			out = append(out, yaml.MapItem{Key: t.name, Value: m})
		}
	}
	if s.Default != nil {
		out = append(out, yaml.MapItem{Key: "default", Value: *s.Default})
	}
	out = append(out, options("as", s.As)...)
	if len(s.Layouts) > 0 {
		out = append(out, yaml.MapItem{Key: "layouts", Value: s.Layouts})
	}
	out = append(out, options("zone", s.Zone)...)
	if s.Raw {
		out = append(out, yaml.MapItem{Key: "raw", Value: true})
	}
	if len(out) == 1 {
		switch {
		case s.Column != "" && bare == asColumn, s.Template != "" && bare == asTemplate,
			s.Value != nil && bare == asValue, s.List != nil && bare == asValue:
			return out[0].Value
		}
	}
	return out
}
