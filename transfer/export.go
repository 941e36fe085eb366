package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/wire/table"
)

// headerColumns are the columns of an export that come before those of the body.
var headerColumns = []string{"id", "key", "owner", "state", "version", "observed", "recorded", "created", "author",
	"tlp", "to", "persons", "caveats", "expires", "lon", "lat", "geometry", "uncertainty", "pcode", "edition", "words",
	"flags", "links", "attachments"}

// Columns lists the columns of an export: the header's, then the kind's fields
// by path. A field that is called like a column of the header has "body." before
// its path.
func Columns(kind *desk.Kind) []string {
	out := slices.Clone(headerColumns)
	for _, f := range kind.Fields() {
		out = append(out, fieldColumn(f.Path))
	}
	return out
}

func fieldColumn(path string) string {
	if slices.Contains(headerColumns, path) {
		return "body." + path
	}
	return path
}

// Export writes records of one kind and returns how many. CSV and XLSX have the
// columns of Columns, NDJSON whole records, GeoJSON (RFC 7946) a feature for each
// record that has a geometry. What Export writes Import reads back without a
// mapping, to the same records. It streams, except that XLSX reaches w at the
// end. After an error what was written is not whole.
func Export(ctx context.Context, w io.Writer, format table.Format, kind *desk.Kind, src iter.Seq2[*record.Record, error]) (n int, err error) {
	write, finish, err := exporter(w, format, kind)
	if err != nil {
		return 0, err
	}
	for r, err := range src {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, err
		}
		done, err := write(r)
		if err != nil {
			return n, fmt.Errorf("record %s: %w", r.ID, err)
		}
		if done {
			n++
		}
	}
	return n, finish()
}

func exporter(w io.Writer, format table.Format, kind *desk.Kind) (write func(*record.Record) (bool, error), finish func() error, err error) {
	switch format {
	case table.CSV, table.XLSX:
		var t table.Writer
		if format == table.CSV {
			t, err = table.NewCSV(w, Columns(kind))
		} else {
			t, err = table.NewXLSX(w, kind.Name, Columns(kind))
		}
		if err != nil {
			return nil, nil, err
		}
		return func(r *record.Record) (bool, error) {
			cells, err := row(kind, r)
			if err != nil {
				return false, err
			}
			return true, t.Write(cells)
		}, t.Close, nil
	case table.NDJSON:
		t := table.NewNDJSON(w)
		return func(r *record.Record) (bool, error) { return true, t.Write(r) }, t.Close, nil
	case table.GeoJSON:
		t := table.NewGeoJSON(w)
		return func(r *record.Record) (bool, error) {
			if r.Place == nil || r.Place.Geometry == nil {
				return false, nil
			}
			p, err := properties(kind, r)
			if err != nil {
				return false, err
			}
			return true, t.Write(r.ID.String(), r.Place.Geometry, p)
		}, t.Close, nil
	}
	return nil, nil, record.Errorf(record.Invalid, "export", "%q is not a format that can be written: csv, xlsx, ndjson or geojson", format)
}

// members takes a body apart: field path -> value.
func members(kind *desk.Kind, body json.RawMessage) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	open := map[string]map[string]json.RawMessage{}
	object := func(path string, raw json.RawMessage) (map[string]json.RawMessage, error) {
		if m, ok := open[path]; ok || len(raw) == 0 {
			return m, nil
		}
		var m map[string]json.RawMessage
		err := json.Unmarshal(raw, &m)
		open[path] = m
		return m, err
	}
	if _, err := object("", body); err != nil {
		return nil, err
	}
	for _, f := range kind.Fields() {
		m, at := open[""], ""
		names := strings.Split(f.Path, ".")
		for _, name := range names[:len(names)-1] {
			at = join(at, name)
			var err error
			if m, err = object(at, m[name]); err != nil {
				return nil, err
			}
		}
		if v := m[names[len(names)-1]]; len(v) > 0 && string(v) != "null" {
			out[f.Path] = v
		}
	}
	return out, nil
}

// row writes a record as the cells of Columns.
func row(kind *desk.Kind, r *record.Record) ([]table.Cell, error) {
	text := func(s string) table.Cell { return table.Cell{Text: s} }
	list := func(l []string) table.Cell {
		if len(l) == 0 {
			return table.Cell{}
		}
		return table.Cell{Text: writeList(l)}
	}
	object := func(v any, n int) table.Cell {
		if n == 0 {
			return table.Cell{}
		}
		b, _ := json.Marshal(v)
		return table.Cell{Text: string(b)}
	}
	at := func(t time.Time) table.Cell { return table.Cell{Text: t.Format(time.RFC3339Nano)} }
	p := r.Place
	if p == nil {
		p = &record.Place{}
	}
	lon, lat, geometry := coordinates(p.Geometry)
	cells := []table.Cell{text(r.ID.String()), text(r.Key), text(r.Owner), text(r.State), {Text: strconv.Itoa(r.Version), Number: true},
		at(r.Observed), at(r.Recorded), at(r.Created), text(r.Author),
		text(string(r.Marking.TLP)), list(r.Marking.To), list(r.Marking.Persons), list(r.Marking.Caveats), {},
		{Text: lon, Number: true}, {Text: lat, Number: true}, text(geometry), {}, text(p.PCode), text(p.Edition), text(p.Words),
		list(r.Flags), object(r.Links, len(r.Links)), object(r.Attachments, len(r.Attachments))}
	if r.Marking.Expires != nil {
		cells[slices.Index(headerColumns, "expires")] = at(*r.Marking.Expires)
	}
	if p.Uncertainty != 0 {
		cells[slices.Index(headerColumns, "uncertainty")] = table.Cell{Text: strconv.FormatFloat(p.Uncertainty, 'g', -1, 64), Number: true}
	}
	m, err := members(kind, r.Body)
	if err != nil {
		return nil, fmt.Errorf("the body cannot be read: %w", err)
	}
	for _, f := range kind.Fields() {
		c, err := cell(&f, m[f.Path])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// coordinates writes a point as longitude and latitude, any other shape, and a
// point that would not come back as the same bytes, as GeoJSON text.
func coordinates(g *record.Geometry) (lon, lat, geometry string) {
	if g == nil {
		return "", "", ""
	}
	var xy []float64
	if g.Type == "Point" && json.Unmarshal(g.Coordinates, &xy) == nil && len(xy) == 2 {
		lon, lat = strconv.FormatFloat(xy[0], 'f', -1, 64), strconv.FormatFloat(xy[1], 'f', -1, 64)
		if bytes.Equal(record.Point(xy[0], xy[1]).Coordinates, g.Coordinates) {
			return lon, lat, ""
		}
	}
	b, _ := json.Marshal(g)
	return lon, lat, string(b)
}

func cell(f *desk.Field, raw json.RawMessage) (table.Cell, error) {
	if len(raw) == 0 {
		return table.Cell{}, nil
	}
	switch f.Type {
	case "integer", "number":
		return table.Cell{Text: string(raw), Number: true}, nil
	case "flag":
		return table.Cell{Text: string(raw)}, nil
	case "list":
		var l []string
		err := json.Unmarshal(raw, &l)
		return table.Cell{Text: writeList(l)}, err
	case "interval":
		var v struct{ From, To string }
		err := json.Unmarshal(raw, &v)
		return table.Cell{Text: v.From + "/" + v.To}, err
	case "rows":
		return table.Cell{Text: string(raw)}, nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return table.Cell{Text: s}, err
}

// properties writes a record as the properties of a feature: the columns that
// the geometry does not hold, with their own types.
func properties(kind *desk.Kind, r *record.Record) (json.RawMessage, error) {
	var b bytes.Buffer
	put := func(name string, v any) error {
		j, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if b.Len() == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", name, j)
		return nil
	}
	optional := func(name string, v any, given bool) {
		if given {
			put(name, v)
		}
	}
	optional("key", r.Key, r.Key != "")
	put("owner", r.Owner)
	put("state", r.State)
	put("version", r.Version)
	put("observed", r.Observed)
	put("recorded", r.Recorded)
	put("created", r.Created)
	optional("author", r.Author, r.Author != "")
	put("tlp", r.Marking.TLP)
	optional("to", r.Marking.To, len(r.Marking.To) > 0)
	optional("persons", r.Marking.Persons, len(r.Marking.Persons) > 0)
	optional("caveats", r.Marking.Caveats, len(r.Marking.Caveats) > 0)
	optional("expires", r.Marking.Expires, r.Marking.Expires != nil)
	optional("uncertainty", r.Place.Uncertainty, r.Place.Uncertainty != 0)
	optional("pcode", r.Place.PCode, r.Place.PCode != "")
	optional("edition", r.Place.Edition, r.Place.Edition != "")
	optional("words", r.Place.Words, r.Place.Words != "")
	optional("flags", r.Flags, len(r.Flags) > 0)
	optional("links", r.Links, len(r.Links) > 0)
	optional("attachments", r.Attachments, len(r.Attachments) > 0)
	m, err := members(kind, r.Body)
	if err != nil {
		return nil, fmt.Errorf("the body cannot be read: %w", err)
	}
	for _, f := range kind.Fields() {
		v, ok := m[f.Path]
		if !ok {
			continue
		}
		if f.Type == "interval" { // an object would be taken apart
			c, err := cell(&f, v)
			if err != nil {
				return nil, err
			}
			put(fieldColumn(f.Path), c.Text)
			continue
		}
		if err := put(fieldColumn(f.Path), v); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Known returns the mapping of a file that Export wrote, whichever of its columns
// are left, and whether the columns are of such a file.
func Known(kind *desk.Kind, columns []string) (*Mapping, bool) {
	has := func(c string) bool { return slices.Contains(columns, c) }
	if has("observed") && has("marking.tlp") && slices.ContainsFunc(columns, func(c string) bool { return c == "body" || strings.HasPrefix(c, "body.") }) {
		return &Mapping{Kind: kind.Name, Record: true}, true
	}
	if !has("id") || !has("observed") || !has("tlp") {
		return nil, false
	}
	exact := func(c string) *Source {
		if !has(c) {
			return nil
		}
		return &Source{Column: c, Raw: true}
	}
	m := &Mapping{
		Kind: kind.Name, ID: exact("id"), Owner: exact("owner"), Key: exact("key"), Observed: exact("observed"), State: exact("state"),
		Place:   PlaceSources{Geometry: exact("geometry"), Uncertainty: exact("uncertainty"), PCode: exact("pcode"), Edition: exact("edition"), Words: exact("words")},
		Marking: MarkingSources{TLP: exact("tlp"), To: exact("to"), Persons: exact("persons"), Caveats: exact("caveats"), Expires: exact("expires")},
		Flags:   exact("flags"), Links: exact("links"), Attachments: exact("attachments"),
	}
	if has("lat") && has("lon") {
		m.Place.Lat, m.Place.Lon = exact("lat"), exact("lon")
	}
	for _, f := range kind.Fields() {
		switch s := exact(fieldColumn(f.Path)); {
		case s != nil:
			m.Fields = append(m.Fields, FieldSource{f.Path, s})
		case f.Required:
			return nil, false
		}
	}
	return m, true
}
