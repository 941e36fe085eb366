package table

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

const (
	xlsxInMemory = 4 << 20  // bytes: larger sheets and string tables are unpacked to disk
	xlsxParts    = 48 << 20 // bytes: everything that is unpacked in memory together
	xlsxEntries  = 5000
)

// xlsxReader reads one sheet row by row. It reads it twice side by side, as
// stored and as shown: dates come as the cell shows them, numbers with all their
// digits. A formula gives the value that was stored with it.
type xlsxReader struct {
	file    *excelize.File
	shown   *excelize.Rows
	stored  *excelize.Rows
	columns []string
	line    int
	total   int
	count   int
	lim     Limits
	first   *Row
}

func openXLSX(in io.Reader, o Options) (Reader, error) {
	b, err := io.ReadAll(io.LimitReader(in, o.Limits.File+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > o.Limits.File {
		return nil, tooLarge("save the sheet as CSV, which has no such limit", "the workbook is over %d MB", o.Limits.File>>20)
	}
	if err := checkZip(b, o.Limits); err != nil {
		return nil, err
	}
	f, err := excelize.OpenReader(bytes.NewReader(b), excelize.Options{
		UnzipSizeLimit: o.Limits.Unzip, UnzipXMLSizeLimit: min(xlsxInMemory, o.Limits.Unzip),
	})
	if err != nil {
		return nil, bad("the workbook cannot be read: "+err.Error(), "open it and save it again as .xlsx")
	}
	r := &xlsxReader{file: f, lim: o.Limits}
	if err := r.start(o.Sheet); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// checkZip refuses what would unpack to more than the limits before any of it is
// unpacked. The unpacking itself holds to the sizes stated here.
func checkZip(b []byte, lim Limits) error {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return bad("the workbook is damaged or cut off", "get the file again")
	}
	if len(z.File) > xlsxEntries {
		return tooLarge("", "the workbook holds %d parts; at most %d are taken", len(z.File), xlsxEntries)
	}
	var all, memory uint64
	book := false
	for _, e := range z.File {
		n := e.UncompressedSize64
		if n > math.MaxInt64/2 {
			n = math.MaxInt64 / 2
		}
		all += n
		name := strings.ToLower(strings.ReplaceAll(e.Name, "\\", "/"))
		book = book || name == "xl/workbook.xml" || name == "[content_types].xml"
		onDisk := strings.HasPrefix(name, "xl/worksheets/sheet") || name == "xl/sharedstrings.xml"
		if !onDisk || n <= xlsxInMemory {
			memory += n
		}
		if all > uint64(lim.Unzip) {
			return tooLarge("save the sheet as CSV", "the workbook unpacks to over %d MB", lim.Unzip>>20)
		}
		if memory > xlsxParts {
			return tooLarge("save the sheet alone, without pictures", "the workbook's pictures and other parts unpack to over %d MB", xlsxParts>>20)
		}
	}
	for _, e := range z.File {
		if err := checkPart(e, lim); err != nil {
			return err
		}
	}
	if !book {
		return bad("the file is a ZIP archive, not an XLSX workbook", "unpack it, or save the table as .xlsx or CSV")
	}
	return nil
}

// checkPart refuses a large part in which one tag or text is longer than a row
// may be: it would be held in memory whole, several times over.
func checkPart(e *zip.File, lim Limits) error {
	if e.UncompressedSize64 <= uint64(xlsxLongest(lim)) || !strings.HasSuffix(strings.ToLower(e.Name), ".xml") {
		return nil
	}
	damaged := bad("the workbook is damaged or cut off", "get the file again")
	f, err := e.Open()
	if err != nil {
		return damaged
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	run := 0
	for {
		n, err := f.Read(buf)
		for part := buf[:n]; ; {
			i := bytes.IndexByte(part, '<')
			if i < 0 {
				run += len(part)
				break
			}
			run += i
			if run > xlsxLongest(lim) {
				break
			}
			run, part = 0, part[i+1:]
		}
		if run > xlsxLongest(lim) {
			return tooLarge("", "a cell of the workbook has more than %d bytes", xlsxLongest(lim))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return damaged
		}
	}
}

// xlsxLongest is what one tag or text of a workbook may have, in bytes.
func xlsxLongest(lim Limits) int { return max(lim.Row, lim.Cell) }

func (r *xlsxReader) start(sheet string) error {
	sheets := r.file.GetSheetList()
	if sheet != "" {
		if i, _ := r.file.GetSheetIndex(sheet); i < 0 {
			return bad(fmt.Sprintf("the workbook has no sheet %q", sheet), "it has: "+strings.Join(sheets, ", "))
		}
		sheets = []string{sheet}
	}
	for _, s := range sheets {
		if err := r.rewind(s); err != nil {
			continue // a chart sheet
		}
		row, err := r.read()
		if err == io.EOF {
			continue
		}
		if err != nil {
			return err
		}
		if len(row.Values) > r.lim.Columns {
			return tooLarge("", "the sheet %q has %d columns; at most %d are taken", s, len(row.Values), r.lim.Columns)
		}
		for _, c := range row.Values {
			if len(c) > r.lim.Cell {
				return tooLarge("", "a column's name in the sheet %q has more than %d bytes", s, r.lim.Cell)
			}
		}
		r.columns = names(row.Values)
		if dim, err := r.file.GetSheetDimension(s); err == nil {
			if _, to, ok := strings.Cut(dim, ":"); ok {
				if _, last, err := excelize.CellNameToCoordinates(to); err == nil {
					r.total = max(last-row.Line, 0)
				}
			}
		}
		if row, err := r.Next(); err == nil && !tagRow(row.Values) {
			r.first = &row
		}
		return nil
	}
	return bad("the workbook has no sheet with rows", "")
}

func (r *xlsxReader) rewind(sheet string) (err error) {
	r.closeRows()
	r.line, r.count = 0, 0
	if r.shown, err = r.file.Rows(sheet); err != nil {
		return err
	}
	r.stored, err = r.file.Rows(sheet)
	return err
}

func (r *xlsxReader) closeRows() {
	if r.shown != nil {
		r.shown.Close()
	}
	if r.stored != nil {
		r.stored.Close()
	}
	r.shown, r.stored = nil, nil
}

func (r *xlsxReader) Format() Format    { return XLSX }
func (r *xlsxReader) Columns() []string { return r.columns }

// Total is what the sheet says of itself.
func (r *xlsxReader) Total() int { return r.total }

func (r *xlsxReader) Close() error {
	r.closeRows()
	return r.file.Close()
}

// read returns the next row that is not empty.
func (r *xlsxReader) read() (Row, error) {
	for r.shown.Next() {
		more := r.stored.Next()
		r.line++
		cells, err := r.shown.Columns()
		var stored []string
		if err == nil && more {
			stored, err = r.stored.Columns(excelize.Options{RawCellValue: true})
		}
		if err != nil {
			return Row{}, bad(fmt.Sprintf("row %d of the sheet cannot be read: %v", r.line, err), "open the workbook and save it again")
		}
		empty := true
		for i, c := range cells {
			empty = empty && c == ""
			if i < len(stored) && c != stored[i] {
				cells[i] = digits(c, stored[i])
			}
		}
		if !empty {
			return Row{Line: r.line, Values: cells}, nil
		}
	}
	if err := r.shown.Error(); err != nil {
		return Row{}, bad(fmt.Sprintf("row %d of the sheet cannot be read: %v", r.line+1, err), "")
	}
	return Row{}, io.EOF
}

func (r *xlsxReader) Next() (Row, error) {
	if r.first != nil {
		row := *r.first
		r.first = nil
		return row, nil
	}
	row, err := r.read()
	if err != nil {
		return Row{}, err
	}
	if r.count++; r.count > r.lim.Rows {
		return Row{}, tooLarge("split the file", "row %d: the sheet has more than %d rows", row.Line, r.lim.Rows)
	}
	size := 0
	for _, c := range row.Values {
		size += len(c)
	}
	want := len(r.columns)
	for len(row.Values) > want && row.Values[len(row.Values)-1] == "" {
		row.Values = row.Values[:len(row.Values)-1]
	}
	if len(row.Values) > want {
		row.Problems.Add("row", "ragged", fmt.Sprintf("the row has %d cells, the header %d", len(row.Values), want))
		row.Values = row.Values[:min(len(row.Values), r.lim.Columns)]
	}
	for len(row.Values) < want {
		row.Values = append(row.Values, "")
	}
	checkCells(&row, r.columns, r.lim.Cell)
	if size > r.lim.Row {
		row.Problems.Add("row", "too-large", fmt.Sprintf("the row has %d bytes; at most %d are taken", size, r.lim.Row))
	}
	return row, nil
}

// digits returns a number with all its digits where the cell shows it rounded,
// and what the cell shows where that is something else: a date, a time.
func digits(shown, stored string) string {
	v, err := strconv.ParseFloat(stored, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return shown
	}
	s, scale := strings.TrimSpace(shown), 1.0
	negative := strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")")
	if strings.HasSuffix(s, "%") {
		scale = 100
	}
	s = strings.Map(func(c rune) rune {
		if strings.ContainsRune("()% ,\u00a0\u202f$€£", c) {
			return -1
		}
		return c
	}, s)
	w, err := strconv.ParseFloat(s, 64)
	if err != nil || s == "" {
		return shown
	}
	if negative {
		w = -w
	}
	places := 0
	if k := strings.IndexByte(s, '.'); k >= 0 && !strings.ContainsAny(s, "eE") {
		places = len(s) - k - 1
	}
	near := math.Pow10(-places) * 0.5001
	if strings.ContainsAny(s, "eE") {
		near = math.Abs(w) * 0.01
	}
	if math.Abs(v*scale-w) > near+1e-9*math.Abs(w) {
		return shown
	}
	// A spreadsheet keeps 15 digits; more are noise of the binary form.
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64)
	return strconv.FormatFloat(short, 'f', -1, 64)
}
