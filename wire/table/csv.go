package table

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// csvReader reads RFC 4180 with what is found in practice: any of four
// delimiters, LF, CRLF or CR line ends, quotes inside unquoted cells. Row and
// cell sizes are bounded while reading, which encoding/csv cannot do, and line
// ends inside quotes are kept as they are.
type csvReader struct {
	in      io.Reader
	buf     []byte
	pos     int // of the next unread byte
	end     int
	eof     bool
	err     error // of in, other than io.EOF
	line    int   // of pos, 1-based
	nl      byte
	comma   byte
	lim     Limits
	columns []string
	rows    int
	cut     *CutError
	reread  int // bytes read again after stray quotes
	scratch []byte
	ends    []int
	first   *Row // a first data row that was read to see whether it holds HXL tags
}

// maxReread bounds the bytes that stray quotes make the reader read twice.
const maxReread = 64 << 20

// formula matches what a spreadsheet would run, behind the apostrophes that
// protect it.
func formula(s string) bool {
	s = strings.TrimLeft(s, "'")
	if s == "" {
		return false
	}
	switch s[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return true
	case 0xef: // the full-width forms that spreadsheets also take
		return strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") || strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠")
	}
	return false
}

// Unprotect removes the apostrophe that Protect put before a formula.
func Unprotect(s string) string {
	if s != "" && s[0] == '\'' && formula(s) {
		return s[1:]
	}
	return s
}

// Protect puts an apostrophe before text that a spreadsheet would run as a
// formula, so that it stays text (OWASP, CSV injection). Plain numbers are left
// alone. Unprotect(Protect(s)) is s for every s.
func Protect(s string) string {
	if formula(s) && !plainNumber.MatchString(s) {
		return "'" + s
	}
	return s
}

var plainNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// hxl matches a tag of the Humanitarian Exchange Language 1.1, whose row of
// tags follows the header.
var hxl = regexp.MustCompile(`^#[a-z][a-z0-9_]*(\s*\+[a-z][a-z0-9_]*)*$`)

func openCSV(in io.Reader, o Options) (Reader, error) {
	r := &csvReader{in: in, buf: make([]byte, window), line: 1, nl: '\n', comma: o.Comma, lim: o.Limits}
	for r.end < len(r.buf) && !r.eof {
		r.fill()
	}
	if r.err != nil {
		return nil, r.err
	}
	head := r.buf[:r.end]
	if bytes.Count(head, []byte{0}) > len(head)/100 {
		return nil, bad("the file is not text", "CSV, XLSX, NDJSON or GeoJSON is needed")
	}
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 {
		r.nl = '\r'
	}
	if line, _, ok := bytes.Cut(head, []byte{r.nl}); ok { // Excel's own way to say it
		if l := bytes.TrimRight(line, "\r"); len(l) == 5 && bytes.HasPrefix(l, []byte("sep=")) {
			if r.comma == 0 {
				r.comma = l[4]
			}
			r.skip(len(line) + 1)
		}
	}
	if r.comma == 0 {
		r.comma = sniff(r.buf[r.pos:r.end], r.nl, !r.eof)
	}
	if r.comma == '"' || r.comma == r.nl || r.comma >= 0x80 {
		return nil, bad("this delimiter cannot be used", "use , ; | or a tab")
	}
	header, err := r.Next()
	switch {
	case err == io.EOF:
		return nil, bad("the file has no header row", "the first row must name the columns")
	case err != nil:
		return nil, err
	case len(header.Problems) > 0:
		return nil, header.Problems.Err(fmt.Sprintf("the header row (line %d)", header.Line))
	case len(header.Values) > r.lim.Columns:
		return nil, tooLarge("", "the file has %d columns; at most %d are taken", len(header.Values), r.lim.Columns)
	}
	r.columns, r.rows = names(header.Values), 0
	row, err := r.Next()
	if err == nil && !tagRow(row.Values) {
		r.first = &row
	}
	return r, nil
}

func tagRow(cells []string) bool {
	n := 0
	for _, c := range cells {
		if c = strings.TrimSpace(c); c == "" {
			continue
		}
		if !hxl.MatchString(c) {
			return false
		}
		n++
	}
	return n > 1
}

// sniff picks the delimiter that gives most rows the same number of cells as
// the first row, the larger number where that is even.
func sniff(head []byte, nl byte, more bool) byte {
	best, score := byte(','), 0.0
	for _, c := range []byte{',', ';', '\t', '|'} {
		var counts []int
		n, quoted, start := 1, false, true
		for _, b := range head {
			switch {
			case b == '"' && (start || quoted):
				quoted = !quoted
			case quoted:
			case b == c:
				n++
				start = true
				continue
			case b == nl:
				counts = append(counts, n)
				n, start = 1, true
				continue
			}
			start = b == '"' && !quoted // "" reopens
		}
		if !more || len(counts) == 0 {
			counts = append(counts, n)
		}
		if counts[0] < 2 {
			continue
		}
		same := 0
		for _, k := range counts {
			if k == counts[0] {
				same++
			}
		}
		if s := float64(same)/float64(len(counts)) + float64(min(counts[0], 100))/1000; s > score {
			best, score = c, s
		}
	}
	return best
}

func (r *csvReader) Format() Format    { return CSV }
func (r *csvReader) Columns() []string { return r.columns }
func (r *csvReader) Close() error      { return nil }

// fill reads more behind end, making room first.
func (r *csvReader) fill() {
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
				r.err = err
			}
			return
		}
		if n > 0 {
			return
		}
	}
	r.eof, r.err = true, io.ErrNoProgress
}

// skip moves on by n bytes, counting lines.
func (r *csvReader) skip(n int) {
	r.line += bytes.Count(r.buf[r.pos:r.pos+n], []byte{r.nl})
	r.pos += n
}

// extent returns the length of the row at pos, its line end included. open says
// that a quote is not closed before the file ends, messy that a cell goes on
// behind its closing quote, long that the row is over the limit (then it is not
// all in the buffer, and pos is where it was).
func (r *csvReader) extent() (n int, open, messy, long bool) {
	i := 0
	for {
		// The common row: no quote up to the line end.
		if k := bytes.IndexByte(r.buf[r.pos+i:r.end], r.nl); k >= 0 {
			i += k
			break
		}
		i = r.end - r.pos
		if i > r.lim.Row {
			return 0, false, false, true
		}
		if r.eof {
			break
		}
		r.fill()
	}
	if bytes.IndexByte(r.buf[r.pos:r.pos+i], '"') < 0 {
		return min(i+1, r.end-r.pos), false, false, i > r.lim.Row
	}
	s := quoteScan{comma: r.comma, nl: r.nl}
	i = 0
	for {
		k, done := s.scan(r.buf[r.pos+i : r.end])
		i += k
		switch {
		case i > r.lim.Row:
			return 0, false, false, true
		case done:
			return i, false, s.messy, false
		case r.eof:
			return i, s.in == quoted, s.messy, false
		}
		r.fill()
	}
}

// quoteScan finds the end of a row, across calls.
type quoteScan struct {
	comma, nl byte
	in        int
	messy     bool
}

const (
	cellStart = iota
	plain
	quoted
	closing // behind a quote inside a quoted cell
)

// scan returns how many bytes it took, and whether the row ended with them.
func (s *quoteScan) scan(b []byte) (int, bool) {
	for i := 0; i < len(b); i++ {
		if s.in == quoted {
			k := bytes.IndexByte(b[i:], '"')
			if k < 0 {
				return len(b), false
			}
			i += k
			s.in = closing
			continue
		}
		switch c := b[i]; {
		case c == s.nl:
			s.in = cellStart
			return i + 1, true
		case c == s.comma:
			s.in = cellStart
		case c == '"' && (s.in == cellStart || s.in == closing):
			s.in = quoted
		case c == '\r' && s.in == closing:
		case s.in == closing:
			s.messy = true
			s.in = plain
		case s.in == cellStart:
			s.in = plain
		}
	}
	return len(b), false
}

func (r *csvReader) Next() (Row, error) {
	if r.first != nil {
		row := *r.first
		r.first = nil
		return row, nil
	}
	for {
		if r.pos == r.end && !r.eof {
			r.fill()
		}
		if r.pos == r.end {
			switch {
			case r.err != nil:
				return Row{}, fmt.Errorf("line %d: %w", r.line, r.err)
			case r.cut != nil:
				return Row{}, r.cut
			}
			return Row{}, io.EOF
		}
		row := Row{Line: r.line}
		n, open, messy, long := r.extent()
		if long {
			if err := r.discard(&row); err != nil {
				return Row{}, err
			}
			return row, r.count()
		}
		raw := r.buf[r.pos : r.pos+n]
		whole := n > 0 && raw[n-1] == r.nl
		// A stray quote would swallow the rows behind it: give up its own line only.
		if k := bytes.IndexByte(raw, r.nl); open || messy {
			if open {
				r.cut = &CutError{Line: r.line, What: "a quoted cell"}
				row.Problems.Add("row", "malformed", "a quote is opened in this row and never closed")
			} else {
				row.Problems.Add("row", "malformed", "a cell goes on behind its closing quote")
			}
			if k >= 0 && k+1 < n && r.reread < maxReread {
				r.reread += n
				raw, n = raw[:k+1], k+1
			}
		}
		raw = bytes.TrimSuffix(raw, []byte{r.nl})
		if r.nl == '\n' {
			raw = bytes.TrimSuffix(raw, []byte{'\r'})
		}
		row.Values = r.split(raw)
		r.skip(n)
		if len(raw) == 0 || len(r.columns) > 1 && len(row.Values) == 1 && row.Values[0] == "" {
			continue
		}
		if r.columns != nil {
			r.ragged(&row, whole || !r.eof)
		}
		checkCells(&row, r.columns, r.lim.Cell)
		if len(row.Problems) == 0 && r.cut != nil && r.cut.Line < row.Line {
			r.cut = nil // good rows follow: a quote was stray, the file is not cut
		}
		return row, r.count()
	}
}

func (r *csvReader) count() error {
	if r.rows++; r.rows > r.lim.Rows {
		return tooLarge("split the file", "line %d: the file has more than %d rows", r.line, r.lim.Rows)
	}
	return nil
}

// ragged reports a row whose number of cells is not the header's. Empty cells
// too many say nothing and are dropped.
func (r *csvReader) ragged(row *Row, whole bool) {
	want := len(r.columns)
	for len(row.Values) > want && row.Values[len(row.Values)-1] == "" {
		row.Values = row.Values[:len(row.Values)-1]
	}
	got := len(row.Values)
	if got == want {
		return
	}
	if len(row.Problems) == 0 {
		msg := fmt.Sprintf("the row has %d cells, the header %d", got, want)
		if !whole && got < want {
			msg += "; the file ends here: it may have been cut off"
			if r.cut == nil {
				r.cut = &CutError{Line: row.Line, What: "a row"}
			}
		}
		row.Problems.Add("row", "ragged", msg)
	}
	for len(row.Values) < want {
		row.Values = append(row.Values, "")
	}
}

// split cuts a row into cells: one allocation for all their text.
func (r *csvReader) split(raw []byte) []string {
	r.ends = r.ends[:0]
	if bytes.IndexByte(raw, '"') < 0 {
		off := 0
		for {
			k := bytes.IndexByte(raw[off:], r.comma)
			if k < 0 {
				break
			}
			off += k + 1
			r.ends = append(r.ends, off)
		}
		all := string(raw)
		out := make([]string, 0, len(r.ends)+1)
		start := 0
		for _, e := range r.ends {
			out = append(out, Unprotect(all[start:e-1]))
			start = e
		}
		return append(out, Unprotect(all[start:]))
	}
	s := r.scratch[:0]
	in := cellStart
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case in == quoted:
			k := bytes.IndexByte(raw[i:], '"')
			if k < 0 {
				k = len(raw) - i
			}
			s = append(s, raw[i:i+k]...)
			i += k
			in = closing
		case c == r.comma:
			r.ends = append(r.ends, len(s))
			in = cellStart
		case c == '"' && in == cellStart:
			in = quoted
		case c == '"' && in == closing:
			s = append(s, '"')
			in = quoted
		default:
			s = append(s, c)
			in = plain
		}
	}
	r.scratch = s
	all := string(s)
	out := make([]string, 0, len(r.ends)+1)
	start := 0
	for _, e := range r.ends {
		out = append(out, Unprotect(all[start:e]))
		start = e
	}
	return append(out, Unprotect(all[start:]))
}

// discard passes over a row that is larger than the limit.
func (r *csvReader) discard(row *Row) error {
	limit := r.lim.Row
	keep := string(bytes.ToValidUTF8(r.buf[r.pos:min(r.end, r.pos+200)], nil)) + "…"
	s := quoteScan{comma: r.comma, nl: r.nl}
	for {
		k, done := s.scan(r.buf[r.pos:r.end])
		r.skip(k)
		if done {
			break
		}
		if r.eof {
			if s.in == quoted {
				r.cut = &CutError{Line: row.Line, What: "a quoted cell"}
			}
			break
		}
		r.fill()
	}
	row.Values = make([]string, max(len(r.columns), 1))
	row.Values[0] = keep
	row.Problems.Add("row", "too-large", fmt.Sprintf("the row has over %d bytes", limit))
	return nil
}
