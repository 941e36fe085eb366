package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"konbit/record"
)

// Field describes one member of a body, from its Go type and tags:
//
//	json:"name,omitempty"   its name; without omitempty it is required
//	min, max                of a number its bounds; of a text its length in
//	                        characters; of a list its length
//	pattern:"^[A-Z]+$"      of a text
//	search:"title|text|id"  found by words; "title" also names the record; "id"
//	                        is found as a whole and not by its parts
//	facet:"true"            counted and filtered by value
//	chart:"people"          drawn over time, with this unit
//	map:"fill"              colours its area on a map
//	unit:"people"           shown behind the number
//	widget:"lines"          a text of several lines; "agency": an agency of the
//	                        directory; "field": a field of the answered record;
//	                        "hidden": for programs, screens leave it out
//	identifier:"telephone"  names a thing or a person as others know it, too: other
//	                        nodes may ask whether anything is held about it, see
//	                        package peer/question; "@type": of the sort that the
//	                        member "type" beside it says
//	names:"true"            a person's name, or a list of such: found however it is spelled,
//	                        see package name
//	set:"command"           only the handlers of commands set it; who creates or
//	                        edits the record cannot
//	when:"outcome=part|no"  asked for, and required, when that field of the body
//	                        before it has one of these values
//
// A string type with a method Values() []string is enumerated, in that order;
// where the order means rank it is from least to most.
type Field struct {
	Path     string   `json:"path"`
	Type     string   `json:"type"` // text, integer, number, flag, time, interval, pcode, id, list, rows
	Required bool     `json:"required,omitempty"`
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
	Pattern  string   `json:"pattern,omitempty"`
	Enum     []string `json:"enum,omitempty"`
	Search   string   `json:"search,omitempty"`
	Facet    bool     `json:"facet,omitempty"`
	Chart    string   `json:"chart,omitempty"`
	Map      string   `json:"map,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Widget   string   `json:"widget,omitempty"`
	When     string   `json:"when,omitempty"`
	Set      bool     `json:"set,omitempty"` // by commands alone
	Names    bool     `json:"names,omitempty"`
	Fields   []Field  `json:"fields,omitempty"` // of rows

	// Identifier is the sort of identifier that a text is, or "@" and the path of
	// the enumerated field that says it.
	Identifier string `json:"identifier,omitempty"`

	index   []int
	pointer bool
	re      *regexp.Regexp
}

// Enumerated is implemented by string types with a closed list of values.
type Enumerated interface{ Values() []string }

// DefaultMaxText bounds a text whose tag names no max, in characters.
const DefaultMaxText = 2000

type schema struct {
	typ    reflect.Type
	fields []Field
	json   map[string]any
	sets   bool // commands set some of the fields
}

func schemaOf[T any](name string) *schema {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("desk: %s: %v is not a struct", name, t))
	}
	s := &schema{typ: t}
	s.fields = fieldsOf(t, "", nil)
	tieIdentifiers(t, s.fields)
	s.json = objectSchema(s.fields)
	s.sets = slices.ContainsFunc(s.fields, func(f Field) bool { return f.Set })
	return s
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	intervalType = reflect.TypeFor[record.Interval]()
	pcodeType    = reflect.TypeFor[record.PCode]()
	idType       = reflect.TypeFor[record.ID]()
	enumType     = reflect.TypeFor[Enumerated]()
)

func fieldsOf(t reflect.Type, prefix string, index []int) []Field {
	var out []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "-" || !sf.IsExported() {
			continue
		}
		if name == "" {
			panic(fmt.Sprintf("desk: %v.%s has no json name", t, sf.Name))
		}
		path := name
		if prefix != "" {
			path = prefix + "." + name
		}
		idx := append(slices.Clone(index), i)
		ft := sf.Type
		f := Field{
			Path: path, index: idx, Pattern: sf.Tag.Get("pattern"), Search: sf.Tag.Get("search"),
			Facet: sf.Tag.Get("facet") == "true", Chart: sf.Tag.Get("chart"), Map: sf.Tag.Get("map"),
			Unit: sf.Tag.Get("unit"), Widget: sf.Tag.Get("widget"), When: sf.Tag.Get("when"),
			Identifier: sf.Tag.Get("identifier"),
			Set:        sf.Tag.Get("set") == "command",
			Names:      sf.Tag.Get("names") == "true",
			Required:   !strings.Contains(opts, "omit"),
		}
		if ft.Kind() == reflect.Pointer {
			f.pointer = true
			ft = ft.Elem()
		}
		f.Min, f.Max = number(sf, "min"), number(sf, "max")
		if f.Pattern != "" {
			f.re = regexp.MustCompile(f.Pattern)
		}
		switch {
		case ft == timeType:
			f.Type = "time"
		case ft == intervalType:
			f.Type = "interval"
		case ft == pcodeType:
			f.Type = "pcode"
		case ft == idType:
			f.Type = "id"
		case ft.Kind() == reflect.String:
			f.Type = "text"
			if ft.Implements(enumType) {
				f.Enum = reflect.Zero(ft).Interface().(Enumerated).Values()
			} else if f.Max == nil {
				f.Max = ptr(DefaultMaxText)
			}
		case ft.Kind() == reflect.Bool:
			f.Type, f.Required = "flag", false
		case ft.Kind() >= reflect.Int && ft.Kind() <= reflect.Uint64:
			f.Type, f.Required = "integer", f.Required && f.pointer
		case ft.Kind() == reflect.Float64 || ft.Kind() == reflect.Float32:
			f.Type, f.Required = "number", f.Required && f.pointer
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.String:
			f.Type = "list"
			if ft.Elem().Implements(enumType) {
				f.Enum = reflect.Zero(ft.Elem()).Interface().(Enumerated).Values()
			}
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct:
			f.Type = "rows"
			f.Fields = fieldsOf(ft.Elem(), path, nil)
		case ft.Kind() == reflect.Struct:
			if f.pointer {
				panic(fmt.Sprintf("desk: %v.%s: a nested struct must not be a pointer", t, sf.Name))
			}
			out = append(out, fieldsOf(ft, path, idx)...)
			continue
		default:
			panic(fmt.Sprintf("desk: %v.%s has type %v, which a body cannot hold", t, sf.Name, ft))
		}
		if f.When != "" && !asked(&f, out) {
			panic(fmt.Sprintf("desk: %v.%s: when:%q names no enumerated field before it", t, sf.Name, f.When))
		}
		out = append(out, f)
	}
	return out
}

// asked reports whether f depends on one of the fields before it, with values
// that it has. Only fields of the body itself do, not those of its parts.
func asked(f *Field, before []Field) bool {
	on, values := f.Needs()
	for _, b := range before {
		if b.Path == on && !f.Required && !strings.Contains(f.Path, ".") {
			return !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(b.Enum, v) })
		}
	}
	return false
}

// Needs returns the field on which f depends, and the values with which f is
// required; "" when it depends on none.
func (f *Field) Needs() (path string, values []string) {
	path, list, ok := strings.Cut(f.When, "=")
	if !ok {
		return "", nil
	}
	return path, strings.Split(list, "|")
}

// tieIdentifiers makes "@type" the path of the field that it names, and panics
// when there is none, or when what is tagged is no text.
func tieIdentifiers(t reflect.Type, fields []Field) {
	for i := range fields {
		f := &fields[i]
		tieIdentifiers(t, f.Fields)
		if f.Identifier == "" {
			continue
		}
		if f.Type != "text" || f.Enum != nil {
			panic(fmt.Sprintf("desk: %v: %s is tagged as an identifier and is no free text", t, f.Path))
		}
		name, ok := strings.CutPrefix(f.Identifier, "@")
		if !ok {
			continue
		}
		at := f.Path[:strings.LastIndexByte(f.Path, '.')+1] + name
		if !slices.ContainsFunc(fields, func(o Field) bool { return o.Path == at && o.Type == "text" && o.Enum != nil }) {
			panic(fmt.Sprintf("desk: %v: %s is an identifier of the sort that %s says, which is no enumerated text", t, f.Path, at))
		}
		f.Identifier = "@" + at
	}
}

func number(sf reflect.StructField, tag string) *float64 {
	s := sf.Tag.Get(tag)
	if s == "" {
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("desk: %s: %s=%q", sf.Name, tag, s))
	}
	return &v
}

func ptr(v float64) *float64 { return &v }

// Fields lists the body's fields, nested ones by dotted path.
func (k *Kind) Fields() []Field { return k.schema.fields }

// Field returns the field of that path, nil when there is none.
func (k *Kind) Field(path string) *Field { return k.schema.field(path) }

// Schema returns the body's JSON Schema (2020-12). It must not be changed.
func (k *Kind) Schema() map[string]any { return k.schema.json }

// Type returns the body's Go type.
func (k *Kind) Type() reflect.Type { return k.schema.typ }

func (s *schema) field(path string) *Field {
	for i := range s.fields {
		if s.fields[i].Path == path {
			return &s.fields[i]
		}
	}
	return nil
}

// Decode reads and checks a body. Unknown members, wrong types, missing and
// out-of-range values are all named, with paths below "body". The bytes that it
// returns are the body's canonical form: what is stored and signed.
func (k *Kind) Decode(raw []byte) (any, json.RawMessage, record.Fields) {
	v, f := k.schema.decode(raw, "body")
	if len(f) > 0 {
		return nil, nil, f
	}
	b, err := json.Marshal(v)
	if err != nil {
		f.Add("body", "json", err.Error())
	}
	return v, b, f
}

// Parse reads a stored body, which was checked when it came in.
func (k *Kind) Parse(raw []byte) (any, error) {
	v := reflect.New(k.schema.typ).Interface()
	return v, json.Unmarshal(raw, v)
}

func (s *schema) decode(raw []byte, at string) (any, record.Fields) {
	var f record.Fields
	v := reflect.New(s.typ)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if !utf8.Valid(raw) || d.Decode(v.Interface()) != nil || more(d) || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		s.explain(raw, at, &f)
		return nil, f
	}
	check(v.Elem(), s.fields, at, &f)
	return v.Interface(), f
}

// What explain says is bounded, whatever the sender names his members.
const (
	maxNamed = 100
	maxName  = 60
)

// more reports whether anything but space follows. Decoder.More would not count
// a closing brace.
func more(d *json.Decoder) bool {
	_, err := d.Token()
	return err != io.EOF
}

// explain finds every member that cannot be read. It is the slow path.
func (s *schema) explain(raw []byte, at string, f *record.Fields) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		var syn *json.SyntaxError
		switch {
		case !utf8.Valid(raw) && json.Valid(raw):
			f.Add(at, "utf8", "not valid UTF-8")
		case asSyntax(err, &syn):
			f.Add(at, "json", fmt.Sprintf("malformed JSON at byte %d", syn.Offset))
		default:
			f.Add(at, "type", "must be an object")
		}
		return
	}
	n := len(*f)
	if members == nil {
		f.Add(at, "type", "must be an object")
		return
	}
	for name, m := range members {
		if len(*f)-n == maxNamed {
			f.Add(at, "many", "and more is wrong")
			break
		}
		path := at + "." + name
		if len(name) > maxName {
			f.Add(at+"."+strings.ToValidUTF8(name[:maxName], "")+"...", "unknown", "no such field")
			continue
		}
		one, _ := json.Marshal(map[string]json.RawMessage{name: m})
		d := json.NewDecoder(bytes.NewReader(one))
		d.DisallowUnknownFields()
		err := d.Decode(reflect.New(s.typ).Interface())
		var te *json.UnmarshalTypeError
		switch {
		case !utf8.Valid(m):
			f.Add(path, "utf8", "not valid UTF-8")
		case err == nil:
		case asType(err, &te):
			if te.Field != "" {
				path = at + "." + te.Field
			}
			f.Add(path, "type", fmt.Sprintf("must be %s, not %s", typeName(te.Type), te.Value))
		case strings.HasPrefix(err.Error(), "json: unknown field "):
			var inner string
			if json.Unmarshal([]byte(strings.TrimPrefix(err.Error(), "json: unknown field ")), &inner) == nil && inner != name {
				if len(inner) > maxName {
					inner = strings.ToValidUTF8(inner[:maxName], "") + "..."
				}
				f.Add(path+"."+inner, "unknown", "no such field")
				break
			}
			f.Add(path, "unknown", "no such field"+s.guess(name))
		default:
			f.Add(at+"."+strings.Join(s.where([]string{name}, m), "."), "invalid", strings.TrimPrefix(err.Error(), "json: "))
		}
	}
	if len(*f) == n {
		f.Add(at, "json", "malformed JSON")
	}
	slices.SortFunc(*f, func(a, b record.Field) int { return strings.Compare(a.Path, b.Path) })
}

// where returns the path of the part of m, at path, that cannot be read: a value that reads
// itself, such as a time, does not say where it stands.
func (s *schema) where(path []string, m json.RawMessage) []string {
	reads := func(path []string, m json.RawMessage) bool {
		for _, name := range slices.Backward(path) {
			m, _ = json.Marshal(map[string]json.RawMessage{name: m})
		}
		return json.Unmarshal(m, reflect.New(s.typ).Interface()) == nil
	}
	var parts map[string]json.RawMessage
	if json.Unmarshal(m, &parts) != nil || !reads(path, json.RawMessage("{}")) {
		return path
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		at := append(slices.Clone(path), name)
		if len(name) <= maxName && !reads(at, parts[name]) {
			return s.where(at, parts[name])
		}
	}
	return path
}

func asSyntax(err error, t **json.SyntaxError) bool {
	s, ok := err.(*json.SyntaxError)
	*t = s
	return ok
}

func asType(err error, t **json.UnmarshalTypeError) bool {
	s, ok := err.(*json.UnmarshalTypeError)
	*t = s
	return ok
}

func typeName(t reflect.Type) string {
	switch {
	case t == nil:
		return "another type"
	case t == timeType:
		return "a time such as 2026-05-01T14:02:00Z"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Slice:
		return "a list"
	}
	return "an object"
}

// guess offers the field that the writer may have meant.
func (s *schema) guess(name string) string {
	var first []string
	for _, f := range s.fields {
		member, _, _ := strings.Cut(f.Path, ".")
		first = append(first, member)
	}
	if near := Nearest(name, first, strings.ToLower); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Nearest returns the known name that the writer of name may have meant, "" when
// none is within two letters. fold makes names comparable.
func Nearest(name string, known []string, fold func(string) string) string {
	best, at := 3, ""
	name = fold(name)
	for _, k := range known {
		if d := distance(name, fold(k)); d < best && d < len(name) {
			best, at = d, k
		}
	}
	return at
}

// distance is Levenshtein's, and large for lengths that differ much.
func distance(a, b string) int {
	if len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return 9
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(b)]
}

func check(v reflect.Value, fields []Field, at string, f *record.Fields) {
	for i := range fields {
		fd := &fields[i]
		fv := v.FieldByIndex(fd.index)
		path := at + "." + fd.Path
		required := fd.Required
		if on, values := fd.Needs(); on != "" {
			i := slices.IndexFunc(fields, func(o Field) bool { return o.Path == on })
			required = slices.Contains(values, show(v, &fields[i]))
		}
		if fd.pointer {
			if fv.IsNil() {
				if required {
					f.Add(path, "required", "is required")
				}
				continue
			}
			fv = fv.Elem()
		} else if required && fv.IsZero() {
			f.Add(path, "required", "is required")
			continue
		}
		switch fd.Type {
		case "text":
			checkText(fd, fv.String(), path, f)
		case "pcode":
			if s := fv.String(); s != "" {
				_, code, ok := strings.Cut(s, ":")
				if !ok {
					code = s
				}
				if p := (record.Place{PCode: code}); len(p.Check()) > 0 || len(s) > 80 {
					f.Add(path, "pcode", "not an administrative code such as HT0111")
				}
			}
		case "integer", "number":
			var n float64
			switch {
			case fv.CanInt():
				n = float64(fv.Int())
			case fv.CanUint():
				n = float64(fv.Uint())
			default:
				n = fv.Float()
			}
			if fd.Min != nil && n < *fd.Min {
				f.Add(path, "min", fmt.Sprintf("must be at least %g", *fd.Min))
			}
			if fd.Max != nil && n > *fd.Max {
				f.Add(path, "max", fmt.Sprintf("must be at most %g", *fd.Max))
			}
			if math.IsNaN(n) || math.IsInf(n, 0) {
				f.Add(path, "range", "must be a number")
			}
		case "interval":
			iv := fv.Interface().(record.Interval)
			if !iv.From.IsZero() || !iv.To.IsZero() || fd.Required {
				if iv.From.IsZero() || iv.To.IsZero() {
					f.Add(path, "required", "needs both from and to")
				} else if !iv.From.Before(iv.To) {
					f.Add(path, "order", "from must lie before to")
				}
			}
		case "list":
			checkLen(fd, fv.Len(), path, f)
			for j := range fv.Len() {
				checkText(&Field{Enum: fd.Enum, Max: ptr(200), re: fd.re, Pattern: fd.Pattern}, fv.Index(j).String(), record.Index(path, j), f)
			}
		case "rows":
			checkLen(fd, fv.Len(), path, f)
			for j := range fv.Len() {
				before := len(*f)
				check(fv.Index(j), fd.Fields, at, f)
				for n := before; n < len(*f); n++ {
					(*f)[n].Path = record.Index(path, j) + strings.TrimPrefix((*f)[n].Path, path)
				}
			}
		}
	}
}

func checkLen(fd *Field, n int, path string, f *record.Fields) {
	limit := 500.0
	if fd.Max != nil {
		limit = *fd.Max
	}
	if float64(n) > limit {
		f.Add(path, "max", fmt.Sprintf("at most %g", limit))
	}
	if fd.Min != nil && float64(n) < *fd.Min {
		f.Add(path, "min", fmt.Sprintf("at least %g", *fd.Min))
	}
}

func checkText(fd *Field, s, path string, f *record.Fields) {
	if fd.Enum != nil {
		if s != "" && !slices.Contains(fd.Enum, s) {
			f.Add(path, "enum", "must be one of "+strings.Join(fd.Enum, ", "))
		}
		return
	}
	if !utf8.ValidString(s) {
		f.Add(path, "utf8", "not valid UTF-8")
		return
	}
	if fd.Max != nil && float64(len(s)) > *fd.Max && float64(utf8.RuneCountInString(s)) > *fd.Max {
		f.Add(path, "max", fmt.Sprintf("at most %g characters", *fd.Max))
	}
	if fd.Min != nil && s != "" && float64(utf8.RuneCountInString(s)) < *fd.Min {
		f.Add(path, "min", fmt.Sprintf("at least %g characters", *fd.Min))
	}
	if fd.re != nil && s != "" && !fd.re.MatchString(s) {
		f.Add(path, "pattern", "must match "+fd.Pattern)
	}
	if record.Control(s) {
		f.Add(path, "control", "holds a control character")
	}
}

// below returns f with paths that begin at the row that holds it.
func below(f Field, prefix string) Field {
	f.Path = strings.TrimPrefix(f.Path, prefix)
	inner := f.Fields
	f.Fields = nil
	for _, s := range inner {
		f.Fields = append(f.Fields, below(s, prefix))
	}
	return f
}

func objectSchema(fields []Field) map[string]any {
	root := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
	var when []any
	for i := range fields {
		put(root, strings.Split(fields[i].Path, "."), &fields[i])
		if on, values := fields[i].Needs(); on != "" {
			when = append(when, map[string]any{
				"if":   map[string]any{"properties": map[string]any{on: map[string]any{"enum": values}}, "required": []string{on}},
				"then": map[string]any{"required": []string{fields[i].Path}},
			})
		}
	}
	if when != nil {
		root["allOf"] = when
	}
	return root
}

func put(obj map[string]any, path []string, f *Field) {
	props := obj["properties"].(map[string]any)
	if len(path) > 1 {
		sub, ok := props[path[0]].(map[string]any)
		if !ok {
			sub = map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
			props[path[0]] = sub
		}
		put(sub, path[1:], f)
		return
	}
	m := map[string]any{}
	bounds := func(lo, hi string) {
		if f.Min != nil {
			m[lo] = *f.Min
		}
		if f.Max != nil {
			m[hi] = *f.Max
		}
	}
	switch f.Type {
	case "text":
		m["type"] = "string"
		if f.Enum != nil {
			m["enum"] = f.Enum
		} else {
			bounds("minLength", "maxLength")
		}
		if f.Pattern != "" {
			m["pattern"] = f.Pattern
		}
	case "pcode":
		m["type"], m["description"] = "string", "administrative code (COD-AB), optionally EDITION:CODE"
	case "time":
		m["type"], m["format"] = "string", "date-time"
	case "id":
		m["type"], m["format"] = "string", "uuid"
	case "flag":
		m["type"] = "boolean"
	case "integer", "number":
		m["type"] = f.Type
		bounds("minimum", "maximum")
	case "interval":
		t := map[string]any{"type": "string", "format": "date-time"}
		m["type"], m["properties"], m["required"] = "object", map[string]any{"from": t, "to": t}, []string{"from", "to"}
	case "list":
		item := map[string]any{"type": "string"}
		if f.Enum != nil {
			item["enum"] = f.Enum
		}
		m["type"], m["items"] = "array", item
		bounds("minItems", "maxItems")
	case "rows":
		var sub []Field
		for _, s := range f.Fields {
			sub = append(sub, below(s, f.Path+"."))
		}
		m["type"], m["items"] = "array", objectSchema(sub)
		bounds("minItems", "maxItems")
	}
	if f.Set {
		m["readOnly"] = true
	}
	props[path[0]] = m
	if f.Required {
		req, _ := obj["required"].([]string)
		obj["required"] = append(req, path[0])
	}
}
