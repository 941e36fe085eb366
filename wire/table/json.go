package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"konbit/record"
)

// The first rows of a JSON file are looked at before any is handed out, so that
// its columns are known.
const (
	aheadRows  = 1000
	aheadBytes = 4 << 20
	maxDepth   = 32 // of nested objects
)

// jsonReader reads objects one after the other: lines of NDJSON, the elements
// of one JSON list, the features of a FeatureCollection.
type jsonReader struct {
	in        io.Reader
	buf       []byte
	pos       int
	end       int
	eof       bool
	err       error
	line      int
	lim       Limits
	format    Format
	list      bool // inside [ ... ]
	done      bool // the list has ended
	fail      error
	columns   []string
	index     map[string]int
	ahead     []Row
	rows      int
	lastWhole bool // the last line ended with a line end
}

func openJSON(in io.Reader, o Options) (Reader, error) {
	r := &jsonReader{in: in, buf: make([]byte, window), line: 1, lim: o.Limits, format: o.Format, index: map[string]int{}}
	c, ok := r.space()
	if c == 0x1e { // RFC 8142 text sequence
		r.skip(1)
		c, ok = r.space()
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case !ok:
		return nil, bad("the file is empty", "")
	case c == '[':
		r.list = true
		r.skip(1)
	case r.format == GeoJSON:
		if err := r.findFeatures(); err != nil {
			return nil, err
		}
		r.list = true
	}
	size := 0
	for len(r.ahead) < aheadRows && size < aheadBytes {
		row, err := r.read()
		if err != nil {
			r.fail = err
			break
		}
		size += len(row.Raw)
		r.ahead = append(r.ahead, row)
	}
	var bad *record.Error
	if len(r.ahead) == 0 && errors.As(r.fail, &bad) {
		return nil, r.fail
	}
	for i := range r.ahead {
		r.align(&r.ahead[i])
	}
	return r, nil
}

func (r *jsonReader) Format() Format    { return r.format }
func (r *jsonReader) Columns() []string { return r.columns }
func (r *jsonReader) Close() error      { return nil }

func (r *jsonReader) align(row *Row) {
	for len(row.Values) < len(r.columns) {
		row.Values = append(row.Values, "")
	}
}

func (r *jsonReader) Next() (Row, error) {
	var row Row
	switch {
	case len(r.ahead) > 0:
		row = r.ahead[0]
		r.ahead[0] = Row{}
		r.ahead = r.ahead[1:]
	case r.fail != nil:
		return Row{}, r.fail
	default:
		var err error
		if row, err = r.read(); err != nil {
			r.fail = err
			return Row{}, err
		}
		r.align(&row)
	}
	if r.rows++; r.rows > r.lim.Rows {
		r.fail, r.ahead = tooLarge("split the file", "line %d: the file has more than %d rows", row.Line, r.lim.Rows), nil
		return Row{}, r.fail
	}
	return row, nil
}

func (r *jsonReader) fill() bool {
	if r.eof {
		return false
	}
	if r.pos > 0 && r.end == len(r.buf) {
		copy(r.buf, r.buf[r.pos:r.end])
		r.end -= r.pos
		r.pos = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for range 100 {
		n, err := r.in.Read(r.buf[r.end:])
		r.end += n
		if err != nil {
			r.eof = true
			if err != io.EOF {
				r.err = fmt.Errorf("line %d: %w", r.line, err)
			}
			return n > 0
		}
		if n > 0 {
			return true
		}
	}
	r.eof, r.err = true, io.ErrNoProgress
	return false
}

func (r *jsonReader) skip(n int) {
	r.line += bytes.Count(r.buf[r.pos:r.pos+n], []byte{'\n'})
	r.pos += n
}

// space passes over white space and returns the byte behind it.
func (r *jsonReader) space() (byte, bool) {
	for {
		for r.pos < r.end {
			switch c := r.buf[r.pos]; c {
			case ' ', '\t', '\r', '\n':
				r.skip(1)
			default:
				return c, true
			}
		}
		if !r.fill() {
			return 0, false
		}
	}
}

// value reads one JSON value by its brackets and quotes; whether it is valid is
// for the caller to see. The bytes stay good until the next read. over says that
// it was larger than the limit, and then was passed over. cut says that the file
// ended first.
func (r *jsonReader) value() (raw []byte, over, cut bool) {
	if _, ok := r.space(); !ok {
		return nil, false, true
	}
	depth, inText, escaped := 0, false, false
	i := 0
	for {
		for ; r.pos+i < r.end; i++ {
			c := r.buf[r.pos+i]
			switch {
			case escaped:
				escaped = false
				continue
			case inText:
				if c == '\\' {
					escaped = true
				} else if c == '"' {
					inText = false
					if depth == 0 {
						return r.take(i+1, over), over, false
					}
				}
				continue
			case c == '"':
				inText = true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				if depth == 0 {
					return r.take(i, over), over, false // a scalar, or a stray bracket
				}
				if depth--; depth == 0 {
					return r.take(i+1, over), over, false
				}
			case depth == 0 && (c == ',' || c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == ':'):
				return r.take(i, over), over, false
			}
		}
		if i > r.lim.Row {
			over = true
			r.skip(i)
			i = 0
		}
		if !r.fill() {
			return r.take(i, over), over, depth > 0 || inText
		}
	}
}

func (r *jsonReader) take(n int, over bool) []byte {
	b := r.buf[r.pos : r.pos+n]
	r.skip(n)
	if over {
		return nil
	}
	return b
}

// findFeatures goes to the first element of the member "features".
func (r *jsonReader) findFeatures() error {
	start := r.line
	if c, _ := r.space(); c != '{' {
		return bad("the file is not a GeoJSON FeatureCollection", "")
	}
	r.skip(1)
	for {
		c, ok := r.space()
		switch {
		case r.err != nil:
			return r.err
		case !ok:
			return &CutError{Line: start, What: "the FeatureCollection"}
		case c == '}':
			return bad("the file has no member \"features\": it is not a GeoJSON FeatureCollection", "")
		case c == ',':
			r.skip(1)
			continue
		case c != '"':
			return bad(fmt.Sprintf("line %d: malformed JSON", r.line), "")
		}
		raw, over, cut := r.value()
		name := string(raw)
		if cut || over {
			return &CutError{Line: start, What: "the FeatureCollection"}
		}
		if c, _ := r.space(); c != ':' {
			return bad(fmt.Sprintf("line %d: malformed JSON", r.line), "")
		}
		r.skip(1)
		if c, _ := r.space(); name == `"features"` && c == '[' {
			r.skip(1)
			return nil
		}
		if raw, _, cut = r.value(); cut {
			return &CutError{Line: start, What: "the FeatureCollection"}
		}
		if len(raw) == 0 {
			return bad(fmt.Sprintf("line %d: malformed JSON", r.line), "")
		}
		if name == `"crs"` {
			if err := wgs84(raw); err != nil {
				return err
			}
		}
	}
}

// wgs84 refuses the coordinate systems that GeoJSON had before RFC 7946.
func wgs84(crs []byte) error {
	s := string(crs)
	if s == "null" || strings.Contains(s, "CRS84") || strings.Contains(s, "4326") {
		return nil
	}
	return bad(fmt.Sprintf("the coordinates are in another system (%.80s)", s), "export the file again as WGS 84 (EPSG:4326)")
}

// read parses the next object.
func (r *jsonReader) read() (Row, error) {
	for {
		c, ok := r.space()
		switch {
		case r.err != nil:
			return Row{}, r.err
		case !ok && r.list && !r.done:
			return Row{}, &CutError{Line: r.line, What: "the list"}
		case !ok, r.done:
			return Row{}, io.EOF
		case r.list && c == ']':
			r.done = true
			r.skip(1)
			return Row{}, r.tail()
		case c == ',' && r.list, c == 0x1e:
			r.skip(1)
			continue
		}
		break
	}
	row := Row{Line: r.line}
	var raw []byte
	var over, cut bool
	if r.list {
		raw, over, cut = r.value()
		if len(raw) == 0 && !over && !cut { // a stray bracket: pass over it
			r.skip(1)
		}
	} else {
		raw, over = r.textLine()
	}
	switch {
	case r.err != nil:
		return Row{}, r.err
	case cut:
		return Row{}, &CutError{Line: row.Line, What: "an object"}
	case over:
		row.Problems.Add("row", "too-large", fmt.Sprintf("the object has over %d bytes", r.lim.Row))
		return row, nil
	}
	row.Raw = bytes.Clone(raw)
	if !utf8.Valid(raw) {
		row.Problems.Add("row", "utf8", "the object is not valid UTF-8 text")
		return row, nil
	}
	if !json.Valid(raw) {
		if !r.list && r.eof && r.pos == r.end && !r.lastWhole {
			return Row{}, &CutError{Line: row.Line, What: "an object"}
		}
		row.Problems.Add("row", "malformed", "malformed JSON"+whereJSON(raw))
		return row, nil
	}
	if raw[0] != '{' {
		row.Problems.Add("row", "type", "an object is needed, { ... }")
		return row, nil
	}
	r.flatten(&row)
	checkCells(&row, r.columns, r.lim.Cell)
	return row, nil
}

func whereJSON(raw []byte) string {
	var syn *json.SyntaxError
	var v any
	if errors.As(json.Unmarshal(raw, &v), &syn) {
		return fmt.Sprintf(" at byte %d of the object", syn.Offset)
	}
	return ""
}

// textLine returns the bytes up to the line end.
func (r *jsonReader) textLine() (raw []byte, over bool) {
	i := 0
	for {
		if k := bytes.IndexByte(r.buf[r.pos+i:r.end], '\n'); k >= 0 {
			i += k
			raw = r.buf[r.pos : r.pos+i]
			over = over || i > r.lim.Row
			r.skip(i + 1)
			r.lastWhole = true
			break
		}
		i = r.end - r.pos
		if i > r.lim.Row {
			over = true
			r.skip(i)
			i = 0
		}
		if !r.fill() {
			raw = r.buf[r.pos:r.end]
			r.skip(len(raw))
			r.lastWhole = false
			break
		}
	}
	return bytes.TrimSpace(raw), over
}

// tail looks at what follows the features: a crs may come late.
func (r *jsonReader) tail() error {
	for r.format == GeoJSON {
		c, ok := r.space()
		if !ok || c != ',' {
			break
		}
		r.skip(1)
		name, over, cut := r.value()
		key := string(name)
		if c, ok := r.space(); over || cut || !ok || c != ':' {
			break
		}
		r.skip(1)
		raw, over, cut := r.value()
		if over || cut || len(raw) == 0 {
			break
		}
		if key == `"crs"` {
			if err := wgs84(raw); err != nil {
				return err
			}
		}
	}
	return io.EOF
}

func (r *jsonReader) flatten(row *Row) {
	obj := []byte(row.Raw)
	if r.format == GeoJSON || bytes.Contains(obj, []byte(`"Feature"`)) {
		var f struct {
			Type       string           `json:"type"`
			ID         json.RawMessage  `json:"id"`
			Geometry   *record.Geometry `json:"geometry"`
			Properties json.RawMessage  `json:"properties"`
		}
		err := json.Unmarshal(obj, &f)
		if err == nil && f.Type == "Feature" {
			if f.Geometry != nil {
				var c bytes.Buffer
				if len(f.Geometry.Coordinates) > 0 && json.Compact(&c, f.Geometry.Coordinates) == nil {
					f.Geometry.Coordinates = c.Bytes()
				}
				row.Geometry = f.Geometry
			}
			if len(f.Properties) > 0 && f.Properties[0] == '{' {
				r.walk(row, f.Properties, "", 0)
			}
			if k, ok := r.index["id"]; len(f.ID) > 0 && (!ok || k >= len(row.Values) || row.Values[k] == "") {
				r.set(row, "id", scalar(f.ID))
			}
			return
		}
		if r.format == GeoJSON {
			row.Problems.Add("row", "type", "not a GeoJSON Feature")
			return
		}
	}
	r.walk(row, obj, "", 0)
}

// walk takes apart an object that is known to be valid JSON.
func (r *jsonReader) walk(row *Row, obj []byte, prefix string, depth int) {
	i := 1
	for {
		i = blank(obj, i)
		if obj[i] == '}' {
			return
		}
		if obj[i] == ',' {
			i = blank(obj, i+1)
		}
		j := end(obj, i)
		name := unquote(obj[i:j])
		if name == "" {
			name = "_"
		}
		if prefix != "" {
			name = prefix + "." + name
		}
		i = blank(obj, j)   // at the colon
		i = blank(obj, i+1) // at the value
		j = end(obj, i)     // behind it
		if obj[i] == '{' && depth < maxDepth && obj[blank(obj, i+1)] != '}' {
			r.walk(row, obj[i:j], name, depth+1)
		} else {
			r.set(row, name, scalar(obj[i:j]))
		}
		i = j
	}
}

func (r *jsonReader) set(row *Row, name, value string) {
	k, ok := r.index[name]
	if !ok {
		if len(r.columns) >= r.lim.Columns {
			if len(row.Problems) == 0 {
				row.Problems.Add("row", "too-large", fmt.Sprintf("the file has over %d different members", r.lim.Columns))
			}
			return
		}
		k = len(r.columns)
		r.index[name] = k
		// Readers of Columns hold the old slice: never write into it.
		r.columns = append(slices.Clip(r.columns), name)
	}
	for len(row.Values) <= k {
		row.Values = append(row.Values, "")
	}
	row.Values[k] = value
}

// scalar writes a JSON value as a cell: text without its quotes, null as "",
// lists and empty objects as they stand.
func scalar(raw []byte) string {
	switch raw[0] {
	case '"':
		return unquote(raw)
	case 'n':
		return ""
	}
	return string(raw)
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s, _ = strconv.Unquote(string(raw))
	}
	return s
}

func blank(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// end returns where the value that begins at i ends. b is valid JSON.
func end(b []byte, i int) int {
	switch b[i] {
	case '"':
		for i++; b[i] != '"'; i++ {
			if b[i] == '\\' {
				i++
			}
		}
		return i + 1
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch b[i] {
			case '"':
				i = end(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(b) && !strings.ContainsRune(",}] \t\r\n", rune(b[i])) {
		i++
	}
	return i
}
