package desk

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"konbit/record"
)

// Index is what is found of a record without opening it.
type Index struct {
	Title string            // one line that names the record
	Text  []string          // found by words
	IDs   []string          // found as a whole
	Facet map[string]string // path -> value; several are joined by Sep
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

func indexFields(v reflect.Value, fields []Field, ix *Index) {
	for i := range fields {
		f := &fields[i]
		if f.Search == "" && !f.Facet && f.Type != "rows" {
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
		if f.Facet {
			ix.facet(f.Path, values(v, f, s))
		}
	}
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
