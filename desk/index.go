package desk

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"konbit/record"
)

// Index is what is found of a record without opening it.
type Index struct {
	Title string            // one line that names the record
	Text  []string          // found by words
	IDs   []string          // found as a whole
	Names []string          // of people
	Facet map[string]string // path -> value; several are joined by Sep

	// Identifiers are the values of fields with the tag identifier, as they were
	// written: package peer/question makes them comparable.
	Identifiers []record.Identifier
}

// Sep stands between the values of a facet that has several. No value holds it,
// because texts with control characters are refused.
const Sep = "\x1f"

// Index computes what is found of a record. body is what Decode or Parse
// returned.
func (k *Kind) Index(r *record.Record, body any) Index {
	ix := Index{Facet: map[string]string{}}
	v := reflect.ValueOf(body).Elem()
	indexFields(v, k.schema.fields, &ix)
	if ix.Title == "" {
		var parts []string
		for _, c := range k.Columns {
			if f := k.Field(c); f != nil && len(parts) < 3 {
				if s := show(v, f); s != "" {
					parts = append(parts, s)
				}
			}
		}
		ix.Title = strings.Join(parts, " · ")
	}
	ix.Title = clip(ix.Title)
	if r.Place != nil && r.Place.Words != "" {
		ix.Text = append(ix.Text, r.Place.Words)
	}
	if r.Place != nil && r.Place.PCode != "" {
		ix.IDs = append(ix.IDs, r.Place.PCode)
	}
	if r.Key != "" {
		ix.IDs = append(ix.IDs, r.Key)
	}
	return ix
}

// maxTitle bounds a title, in characters: a text of many lines may name a record.
const maxTitle = 200

func clip(s string) string {
	n := 0
	for i := range s {
		if n++; n == maxTitle && utf8.RuneCountInString(s[i:]) > 1 {
			return strings.TrimRightFunc(s[:i], unicode.IsSpace) + "…"
		}
	}
	return s
}

// Text writes a field of the body as a short text, "" when there is none. body
// is what Decode or Parse returned.
func (k *Kind) Text(body any, path string) string {
	f := k.Field(path)
	if f == nil {
		return ""
	}
	return show(reflect.ValueOf(body).Elem(), f)
}

func indexFields(v reflect.Value, fields []Field, ix *Index) {
	for i := range fields {
		f := &fields[i]
		if f.Search == "" && !f.Facet && f.Identifier == "" && !f.Names && f.Type != "rows" {
			continue
		}
		if f.Type == "rows" {
			rows := v.FieldByIndex(f.index)
			for j := range rows.Len() {
				indexFields(rows.Index(j), f.Fields, ix)
			}
			continue
		}
		s := show(v, f)
		if s == "" {
			continue
		}
		if typ := identifierType(v, f, fields); typ != "" {
			ix.Identifiers = append(ix.Identifiers, record.Identifier{Type: record.IdentifierType(typ), Value: s})
		}
		switch f.Search {
		case "title":
			if ix.Title == "" {
				ix.Title = s
			}
			ix.Text = append(ix.Text, s)
		case "text":
			ix.Text = append(ix.Text, s)
		case "id":
			ix.IDs = append(ix.IDs, s)
		}
		if f.Names {
			ix.Names = append(ix.Names, values(v, f, s)...)
		}
		if f.Facet {
			ix.facet(f.Path, values(v, f, s))
		}
	}
}

// Named reports whether records of the kind have names of people.
func (k *Kind) Named() bool { return named(k.schema.fields) }

func named(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Names || named(f.Fields) })
}

// identifierType returns what sort of identifier a field holds, "" when it is
// none or the field that should say it is empty.
func identifierType(v reflect.Value, f *Field, fields []Field) string {
	at, ok := strings.CutPrefix(f.Identifier, "@")
	if !ok {
		return f.Identifier
	}
	for i := range fields {
		if fields[i].Path == at {
			return show(v, &fields[i])
		}
	}
	return ""
}

// Asked is a sort of identifier that a kind declares, with its name for a person.
type Asked struct {
	Type  string `json:"type"`
	Label Text   `json:"label"`
}

// Asked lists the sorts of identifiers that the kinds of the set declare, in
// declared order.
func (s *Set) Asked() []Asked {
	var out []Asked
	add := func(typ string, label Text) {
		if !slices.ContainsFunc(out, func(a Asked) bool { return a.Type == typ }) {
			out = append(out, Asked{typ, label})
		}
	}
	var walk func(k *Kind, all []Field)
	walk = func(k *Kind, all []Field) {
		for _, f := range all {
			walk(k, f.Fields)
			at, tied := strings.CutPrefix(f.Identifier, "@")
			switch {
			case f.Identifier == "":
			case !tied:
				add(f.Identifier, s.words[k.Desk]["field."+k.Name+"."+f.Path])
			default:
				for _, o := range all {
					for _, typ := range o.Enum {
						if o.Path == at {
							add(typ, s.words[k.Desk]["value."+k.Name+"."+at+"."+typ])
						}
					}
				}
			}
		}
	}
	for _, name := range s.names {
		walk(s.kinds[name], s.kinds[name].Fields())
	}
	return out
}

// Identifies reports whether the kind declares any identifier.
func (k *Kind) Identifies() bool { return identifies(k.schema.fields) }

func identifies(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Identifier != "" || identifies(f.Fields) })
}

func values(v reflect.Value, f *Field, shown string) []string {
	if f.Type != "list" {
		return []string{shown}
	}
	fv := v.FieldByIndex(f.index)
	var out []string
	for i := range fv.Len() {
		if s := fv.Index(i).String(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// facet adds values to what other elements of a list or other rows gave.
func (ix *Index) facet(path string, values []string) {
	var have []string
	if s := ix.Facet[path]; s != "" {
		have = strings.Split(s, Sep)
	}
	for _, v := range values {
		if !slices.Contains(have, v) {
			have = append(have, v)
		}
	}
	if len(have) > 0 {
		ix.Facet[path] = strings.Join(have, Sep)
	}
}

// show writes a field's value as a short text, "" when there is none.
func show(v reflect.Value, f *Field) string {
	fv := v.FieldByIndex(f.index)
	if f.pointer {
		if fv.IsNil() {
			return ""
		}
		fv = fv.Elem()
	}
	switch f.Type {
	case "text", "pcode":
		return fv.String()
	case "list":
		var s []string
		for i := range fv.Len() {
			s = append(s, fv.Index(i).String())
		}
		return strings.Join(s, ",")
	case "flag":
		if fv.Bool() {
			return "true"
		}
		return "false"
	case "time":
		if t := fv.Interface().(time.Time); !t.IsZero() {
			return t.UTC().Format(time.RFC3339)
		}
		return ""
	case "interval":
		iv := fv.Interface().(record.Interval)
		if iv.From.IsZero() {
			return ""
		}
		return iv.From.UTC().Format(time.DateOnly) + "/" + iv.To.UTC().Format(time.DateOnly)
	}
	return fmt.Sprint(fv.Interface())
}
