package table

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"

	"konbit/record"
)

// Cell is one value to write.
type Cell struct {
	Text   string
	Number bool // Text is a number in JSON's form: a spreadsheet can count with it
}

// Writer writes rows of cells. Close ends the file; it does not close what it
// writes to.
type Writer interface {
	Write(cells []Cell) error
	Close() error
}

// NewCSV writes RFC 4180 in UTF-8 with CRLF line ends, the header first (none
// where columns is nil: to go on with a file). Text
// that a spreadsheet would run as a formula is protected: see Protect.
func NewCSV(w io.Writer, columns []string) (Writer, error) {
	c := &csvWriter{w: bufio.NewWriterSize(w, 64<<10)}
	if columns == nil {
		return c, nil
	}
	header := make([]Cell, len(columns))
	for i, n := range columns {
		header[i].Text = n
	}
	return c, c.Write(header)
}

type csvWriter struct {
	w *bufio.Writer
}

func (c *csvWriter) Write(cells []Cell) error {
	for i, cell := range cells {
		if i > 0 {
			c.w.WriteByte(',')
		}
		s := cell.Text
		if !cell.Number || !plainNumber.MatchString(s) {
			s = Protect(s)
		}
		if s != "" && !strings.ContainsAny(s, ",;|\t\"\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' || s == "" && len(cells) > 1 {
			c.w.WriteString(s)
			continue
		}
		c.w.WriteByte('"')
		for {
			k := strings.IndexByte(s, '"')
			if k < 0 {
				break
			}
			c.w.WriteString(s[:k+1])
			c.w.WriteByte('"')
			s = s[k+1:]
		}
		c.w.WriteString(s)
		c.w.WriteByte('"')
	}
	_, err := c.w.WriteString("\r\n")
	return err
}

func (c *csvWriter) Close() error { return c.w.Flush() }

// The limits of a sheet (ECMA-376).
const (
	xlsxRows      = 1_048_576
	xlsxColumns   = 16_384
	xlsxCellChars = 32_767 // UTF-16 units
)

// NewXLSX writes a workbook of one sheet. Text stays text, whatever it begins
// with. A text too long for a cell is an error, never cut. Nothing reaches w
// before Close.
func NewXLSX(w io.Writer, sheet string, columns []string) (Writer, error) {
	if len(columns) > xlsxColumns {
		return nil, fmt.Errorf("a sheet has at most %d columns", xlsxColumns)
	}
	x := &xlsxWriter{w: w, f: excelize.NewFile(), columns: columns}
	sheet = strings.Map(func(c rune) rune {
		if strings.ContainsRune(`:\/?*[]'`, c) {
			return '-'
		}
		return c
	}, sheet)
	if sheet == "" || len(utf16.Encode([]rune(sheet))) > 31 {
		sheet = "Sheet1"
	}
	err := x.f.SetSheetName("Sheet1", sheet)
	if err == nil {
		x.s, err = x.f.NewStreamWriter(sheet)
	}
	if err == nil {
		err = x.s.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
	}
	header := make([]Cell, len(columns))
	for i, n := range columns {
		header[i].Text = n
	}
	if err == nil {
		err = x.Write(header)
	}
	if err != nil {
		x.f.Close()
		return nil, err
	}
	return x, nil
}

type xlsxWriter struct {
	w       io.Writer
	f       *excelize.File
	s       *excelize.StreamWriter
	columns []string
	row     int
	vals    []any
}

func (x *xlsxWriter) Write(cells []Cell) error {
	if x.row++; x.row > xlsxRows {
		return tooLarge("export it as CSV", "a sheet has at most %d rows", xlsxRows)
	}
	x.vals = x.vals[:0]
	for i, c := range cells {
		var v any
		if c.Text != "" {
			v = c.Text
			if n, err := strconv.ParseFloat(c.Text, 64); c.Number && err == nil && exact(c.Text, n) {
				v = n
			} else if len(c.Text) > xlsxCellChars && len(utf16.Encode([]rune(c.Text))) > xlsxCellChars {
				name := ""
				if i < len(x.columns) {
					name = x.columns[i]
				}
				return tooLarge("export it as CSV", "row %d, %s: too long for a cell of a sheet (%d characters)", x.row, name, xlsxCellChars)
			}
		}
		x.vals = append(x.vals, v)
	}
	return x.s.SetRow("A"+strconv.Itoa(x.row), x.vals)
}

// exact reports whether a spreadsheet, which keeps 15 digits, keeps s whole.
func exact(s string, n float64) bool {
	d := 0
	for i := 0; i < len(s) && s[i] != 'e' && s[i] != 'E'; i++ {
		if s[i] >= '0' && s[i] <= '9' && (d > 0 || s[i] != '0') {
			d++
		}
	}
	return d <= 15 && !math.IsInf(n, 0) && (n == 0 || math.Abs(n) >= 1e-300)
}

func (x *xlsxWriter) Close() error {
	err := x.s.Flush()
	if err == nil {
		err = x.f.Write(x.w)
	}
	if e := x.f.Close(); err == nil {
		err = e
	}
	return err
}

// NDJSONWriter writes one JSON value a line.
type NDJSONWriter struct{ w *bufio.Writer }

// NewNDJSON makes one.
func NewNDJSON(w io.Writer) *NDJSONWriter { return &NDJSONWriter{bufio.NewWriterSize(w, 64<<10)} }

// Write marshals v, which has no line ends inside: encoding/json writes none.
func (n *NDJSONWriter) Write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	n.w.Write(b)
	return n.w.WriteByte('\n')
}

// Close writes out what is left.
func (n *NDJSONWriter) Close() error { return n.w.Flush() }

// GeoJSONWriter writes a FeatureCollection (RFC 7946 §3.3) feature by feature.
type GeoJSONWriter struct {
	w     *bufio.Writer
	begun bool
}

// NewGeoJSON makes one.
func NewGeoJSON(w io.Writer) *GeoJSONWriter {
	return &GeoJSONWriter{w: bufio.NewWriterSize(w, 64<<10)}
}

// Write adds a feature. properties is a JSON object, nil for none.
func (g *GeoJSONWriter) Write(id string, geometry *record.Geometry, properties json.RawMessage) error {
	f := struct {
		Type       string           `json:"type"`
		ID         string           `json:"id,omitempty"`
		Geometry   *record.Geometry `json:"geometry"`
		Properties json.RawMessage  `json:"properties"`
	}{"Feature", id, geometry, properties}
	if len(properties) == 0 {
		f.Properties = json.RawMessage("null")
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	g.begin()
	if g.begun {
		g.w.WriteByte(',')
	}
	g.begun = true
	g.w.WriteByte('\n')
	_, err = g.w.Write(b)
	return err
}

func (g *GeoJSONWriter) begin() {
	if !g.begun {
		g.w.WriteString(`{"type":"FeatureCollection","features":[`)
	}
}

// Close ends the collection, which is whole even without a feature.
func (g *GeoJSONWriter) Close() error {
	g.begin()
	g.w.WriteString("\n]}\n")
	return g.w.Flush()
}
