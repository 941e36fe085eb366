// Package table reads and writes rows: CSV (RFC 4180), XLSX (ECMA-376), NDJSON
// and GeoJSON (RFC 7946), as people and agencies really send them: with another
// delimiter, an old encoding, a row too short, a cell too long, a file cut off.
//
// A fault of one row is reported with that row and reading goes on; only what
// makes the rest unreadable is an error. Everything streams and every size has
// a limit, so that no file can exhaust the machine.
//
// It is a pure codec. It must not know kinds, rights or agencies, and must not
// open files or sockets.
package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"konbit/record"
)

// Format names a file format.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	XLSX    Format = "xlsx"
	NDJSON  Format = "ndjson"
	GeoJSON Format = "geojson"
)

// Formats lists them all.
var Formats = []Format{CSV, XLSX, NDJSON, GeoJSON}

// Limits bound what one file can cost. A zero member takes its default.
type Limits struct {
	File    int64 // XLSX only: bytes of the file as it is, default 64 MiB
	Unzip   int64 // XLSX only: bytes once unpacked, default 256 MiB
	Row     int   // bytes of one row or JSON object, default 4 MiB
	Cell    int   // bytes of one cell, default 1 MiB
	Columns int   // columns or different members, default 1,000
	Rows    int   // rows of a file, default 20 million
}

func (l Limits) withDefaults() Limits {
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.File <= 0 {
		l.File = 64 << 20
	}
	if l.Unzip <= 0 {
		l.Unzip = 256 << 20
	}
	or(&l.Row, 4<<20)
	or(&l.Cell, 1<<20)
	or(&l.Columns, 1000)
	or(&l.Rows, 20_000_000)
	return l
}

// Options say what is known about a file; everything that is left out is found
// from its name and content.
type Options struct {
	Format   Format
	Comma    byte   // CSV: the delimiter
	Encoding string // CSV and JSON: "utf-8", "utf-16", "windows-1252" ("latin-1")
	Sheet    string // XLSX: default the first sheet that is not empty
	Limits   Limits
}

// Row is one row of data; header rows and blank lines are none.
type Row struct {
	Line     int              // where it begins: line of the file, 1-based; of XLSX the row number
	Values   []string         // aligned with Columns; a short row is filled up with ""; a CSV row may be longer
	Raw      json.RawMessage  // NDJSON and GeoJSON: the object as it stood in the file
	Geometry *record.Geometry // GeoJSON: nil where it is null
	Problems record.Fields    // why the row cannot be relied on; Values then hold what could be read
}

// Reader reads rows one by one.
type Reader interface {
	Format() Format
	// Columns are the names of the columns, unique and never empty. Of NDJSON
	// and GeoJSON they are the members met so far, nested ones joined by dots;
	// the first 1,000 rows are looked at beforehand, and later rows may append.
	Columns() []string
	// Next returns the next row, io.EOF after the last. Any other error ends
	// the file; a *CutError when it seems cut off, after its last whole row.
	Next() (Row, error)
	// Close releases what Open took. It does not close the source.
	Close() error
}

// Sized is implemented by readers that know roughly how many rows there are.
type Sized interface{ Total() int }

// CutError says that a file ends in the middle of something.
type CutError struct {
	Line int    // where the unfinished thing begins
	What string // "a quoted cell", "an object"
}

func (e *CutError) Error() string {
	return fmt.Sprintf("line %d: the file ends in the middle of %s: it may have been cut off there", e.Line, e.What)
}

// Unwrap makes a cut file an io.ErrUnexpectedEOF.
func (e *CutError) Unwrap() error { return io.ErrUnexpectedEOF }

// Detect finds the format from a file's name and its first bytes (some hundred
// are enough). The content wins over the name. The error says what the file is
// instead, and what to do.
func Detect(name string, head []byte) (Format, error) {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return XLSX, nil
	case bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return "", bad("the file is an old or an encrypted Excel workbook", "save it as .xlsx without a password, or as CSV")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")), bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		return "", bad("the file is compressed", "unpack it first")
	case bytes.HasPrefix(head, []byte("%PDF")):
		return "", bad("the file is a PDF, not a table", "export the table as CSV or XLSX")
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".csv", ".tsv", ".txt", ".tab":
		return CSV, nil
	case ".ndjson", ".jsonl", ".ldjson":
		return NDJSON, nil
	case ".geojson":
		if first := bytes.IndexByte(head, '\n'); first > 0 && json.Valid(head[:first]) && !collection(head[:first]) {
			return NDJSON, nil // GeoJSON text sequence, one feature a line
		}
		return GeoJSON, nil
	}
	t := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n\x1e")
	switch {
	case len(t) == 0:
		return "", bad("the file is empty", "")
	case t[0] == '{' && collection(t):
		return GeoJSON, nil
	case t[0] == '{', t[0] == '[':
		return NDJSON, nil
	case t[0] == '<':
		return "", bad("the file is XML or HTML, not a table", "export the table as CSV or XLSX")
	}
	return CSV, nil
}

func collection(b []byte) bool {
	return bytes.Contains(b, []byte(`"FeatureCollection"`)) || bytes.Contains(b, []byte(`"features"`))
}

func bad(message, hint string) error {
	return &record.Error{Code: record.Invalid, Op: "table.read", Message: message, Hint: hint}
}

func tooLarge(hint, format string, args ...any) error {
	e := record.Errorf(record.TooLarge, "table.read", format, args...)
	e.Hint = hint
	return e
}

// Open reads as much of src as is needed to know its format and columns. name is
// only used to tell the format. The Reader is for one goroutine.
func Open(src io.Reader, name string, o Options) (Reader, error) {
	o.Limits = o.Limits.withDefaults()
	b := newPeeker(src)
	head, err := b.Peek(4096)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) == 0 {
		return nil, bad("the file is empty", "")
	}
	if o.Format == "" {
		// A UTF-16 file looks like text only once it is decoded.
		look := head
		if enc, _ := guessEncoding(head); strings.HasPrefix(enc, "utf-16") {
			look, _ = utf16Text(head, enc)
		}
		if o.Format, err = Detect(name, look); err != nil {
			return nil, err
		}
	}
	if o.Format == XLSX {
		return openXLSX(b, o)
	}
	text, err := decodeText(b, o.Encoding)
	if err != nil {
		return nil, err
	}
	switch o.Format {
	case CSV:
		return openCSV(text, o)
	case NDJSON, GeoJSON:
		return openJSON(text, o)
	}
	return nil, bad(fmt.Sprintf("%q is not a format that can be read", o.Format), "csv, xlsx, ndjson or geojson")
}

// names makes column names unique and gives empty ones a name.
func names(header []string) []string {
	seen := make(map[string]bool, len(header))
	out := make([]string, len(header))
	for i, h := range header {
		h = strings.TrimSpace(strings.ToValidUTF8(h, "\uFFFD"))
		if len(h) > 200 {
			h = strings.ToValidUTF8(h[:200], "")
		}
		if h == "" {
			h = fmt.Sprintf("column %d", i+1)
		}
		name := h
		for n := 2; seen[name]; n++ {
			name = fmt.Sprintf("%s (%d)", h, n)
		}
		seen[name] = true
		out[i] = name
	}
	return out
}

// checkCells adds what is wrong with cells whatever they mean: over the limit,
// not UTF-8. Long ones are cut to what a message can show.
func checkCells(r *Row, columns []string, limit int) {
	name := func(i int) string {
		if i < len(columns) {
			return columns[i]
		}
		return fmt.Sprintf("column %d", i+1)
	}
	for i, v := range r.Values {
		if len(v) > limit {
			r.Problems.Add(name(i), "too-large", fmt.Sprintf("the cell has %d bytes; at most %d are taken", len(v), limit))
			r.Values[i] = strings.ToValidUTF8(v[:min(limit, 200)], "") + "…"
		} else if !utf8.ValidString(v) {
			r.Problems.Add(name(i), "utf8", "the cell is not valid UTF-8 text")
			r.Values[i] = strings.ToValidUTF8(v, "\uFFFD")
		}
	}
}
