package table

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"konbit/record"
)

// all reads a whole file; each row as its values, or "!code" of its problems.
func all(t testing.TB, name, content string, o Options) (columns []string, rows [][]string, lines []int, err error) {
	t.Helper()
	r, err := Open(strings.NewReader(content), name, o)
	if err != nil {
		return nil, nil, nil, err
	}
	defer r.Close()
	for {
		row, err := r.Next()
		if err == io.EOF {
			return r.Columns(), rows, lines, nil
		}
		if err != nil {
			return r.Columns(), rows, lines, err
		}
		v := row.Values
		if len(row.Problems) > 0 {
			v = []string{"!" + row.Problems[0].Code}
		}
		rows = append(rows, v)
		lines = append(lines, row.Line)
	}
}

func TestReadsCSVAsItIsFound(t *testing.T) {
	big := strings.Repeat("x", 10<<20)
	for _, c := range []struct {
		name, in string
		columns  []string
		rows     [][]string
		lines    []int
	}{
		{"plain", "a,b\n1,2\n3,4\n", []string{"a", "b"}, [][]string{{"1", "2"}, {"3", "4"}}, []int{2, 3}},
		{"byte order mark, CRLF, no last line end", "\xef\xbb\xbfa,b\r\n1,2\r\n3,4", []string{"a", "b"}, [][]string{{"1", "2"}, {"3", "4"}}, []int{2, 3}},
		{"CR alone", "a,b\r1,2\r", []string{"a", "b"}, [][]string{{"1", "2"}}, []int{2}},
		{"semicolons with decimal commas", "a;b\n1,5;2\n3,5;4\n", []string{"a", "b"}, [][]string{{"1,5", "2"}, {"3,5", "4"}}, []int{2, 3}},
		{"tabs", "a\tb\n1\t2\n", []string{"a", "b"}, [][]string{{"1", "2"}}, []int{2}},
		{"bars", "a|b\n1|2\n", []string{"a", "b"}, [][]string{{"1", "2"}}, []int{2}},
		{"Excel names the delimiter", "sep=;\na;b\n1;2\n", []string{"a", "b"}, [][]string{{"1", "2"}}, []int{3}},
		{"line ends in quotes stay", "a,b\n\"1\r\nx\",\"say \"\"wi\"\"\"\n3,4\n", []string{"a", "b"}, [][]string{{"1\r\nx", `say "wi"`}, {"3", "4"}}, []int{2, 4}},
		{"quote inside a cell", "a,b\n5\" pipe,2\n", []string{"a", "b"}, [][]string{{`5" pipe`, "2"}}, []int{2}},
		{"ragged rows are reported and passed", "a,b\n1\n1,2,3\n1,2,,\n3,4\n", []string{"a", "b"}, [][]string{{"!ragged"}, {"!ragged"}, {"1", "2"}, {"3", "4"}}, []int{2, 3, 4, 5}},
		{"blank lines", "\n\na,b\n\n,\n1,2\n\n", []string{"a", "b"}, [][]string{{"", ""}, {"1", "2"}}, []int{5, 6}},
		{"a stray quote costs its own line", "a,b\n1,\"2\n3,4\n5,6\n", []string{"a", "b"}, [][]string{{"!malformed"}, {"3", "4"}, {"5", "6"}}, []int{2, 3, 4}},
		{"a cell behind its quote", "a,b\n\"1\"x,2\n3,4\n", []string{"a", "b"}, [][]string{{"!malformed"}, {"3", "4"}}, []int{2, 3}},
		{"names made unique", "a,a,\n1,2,3\n", []string{"a", "a (2)", "column 3"}, [][]string{{"1", "2", "3"}}, []int{2}},
		{"formula protection taken off", "a,b\n'=1+1,'hello\n=1+1,''-x\n", []string{"a", "b"}, [][]string{{"=1+1", "'hello"}, {"=1+1", "'-x"}}, []int{2, 3}},
		{"Latin-1", "non,ki kote\nL\xe9og\xe2ne,\x93b\xf2d\x94\n", []string{"non", "ki kote"}, [][]string{{"Léogâne", "“bòd”"}}, []int{2}},
		{"UTF-8 with one stray byte", "a,b\nLéogâne,é\nbad\xff,2\n", []string{"a", "b"}, [][]string{{"Léogâne", "é"}, {"!utf8"}}, []int{2, 3}},
		{"UTF-16 with mark", utf16le("\ufeffa,b\nLéogâne,2\n"), []string{"a", "b"}, [][]string{{"Léogâne", "2"}}, []int{2}},
		{"UTF-16 without", utf16le("a,b\nLéogâne,2\n"), []string{"a", "b"}, [][]string{{"Léogâne", "2"}}, []int{2}},
		{"10 MB in a cell", "a,b\n1," + big + "\n3,4\n", []string{"a", "b"}, [][]string{{"!too-large"}, {"3", "4"}}, []int{2, 3}},
		{"10 MB in quotes", "a,b\n1,\"" + big + "\nx\"\n3,4\n", []string{"a", "b"}, [][]string{{"!too-large"}, {"3", "4"}}, []int{2, 4}},
		{"2 MB in a cell", "a,b\n1,\"" + big[:2<<20] + "\"\n3,4\n", []string{"a", "b"}, [][]string{{"!too-large"}, {"3", "4"}}, []int{2, 3}},
		{"HXL tags", "Adm,People\n#adm1+code,#affected\nHT01,3\n", []string{"Adm", "People"}, [][]string{{"HT01", "3"}}, []int{3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			columns, rows, lines, err := all(t, "x.csv", c.in, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.columns, columns); d != "" {
				t.Error("columns", d)
			}
			if d := cmp.Diff(c.rows, rows); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.lines, lines); d != "" {
				t.Error("lines", d)
			}
		})
	}
}

func utf16le(s string) string {
	var b []byte
	for _, c := range s {
		b = append(b, byte(c), byte(c>>8))
	}
	return string(b)
}

func TestCutFileGivesItsRowsAndNamesTheLine(t *testing.T) {
	for _, c := range []struct {
		name, in string
		rows     int
		line     int
	}{
		{"x.csv", "a,b\n1,2\n3,\"4\nhalf a cel", 1, 3},
		{"x.csv", "a,b\n1,2\n3", 1, 3},
		{"x.ndjson", "{\"a\":1}\n{\"a\":2}\n{\"a\":", 2, 3},
		{"x.geojson", `{"type":"FeatureCollection","features":[` + "\n" + `{"type":"Feature","geometry":null,"properties":{"a":1}},` + "\n" + `{"type":"Feature","geom`, 1, 3},
		{"x.geojson", `{"type":"FeatureCollection","features":[` + "\n" + `{"type":"Feature","geometry":null,"properties":{"a":1}},` + "\n", 1, 3},
	} {
		_, rows, _, err := all(t, c.name, c.in, Options{})
		good := 0
		for _, r := range rows {
			if !strings.HasPrefix(r[0], "!") {
				good++
			}
		}
		var cut *CutError
		if !errors.As(err, &cut) || cut.Line != c.line || good != c.rows || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s %q: %d good rows, %v; want %d and a cut at line %d", c.name, c.in, good, err, c.rows, c.line)
		}
	}
}

// Quotes opened on every line must not make reading quadratic.
func TestHostileQuotesEnd(t *testing.T) {
	in := "a,b\n" + strings.Repeat("b\",\"x\n", 200_000)
	_, rows, _, err := all(t, "x.csv", in, Options{})
	var cut *CutError
	if !errors.As(err, &cut) || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
}

func TestReadsNDJSON(t *testing.T) {
	in := `{"id":1,"place":{"lat":18.5,"words":"bò mache a"},"needs":["dlo","manje"],"ok":true,"no":null,"e":{}}` + "\n\n" +
		`{"id":2,"late":"é\n"}` + "\n" + `{"id":` + "\n" + `[1]` + "\n" + `{"id":3,"place":"there"}` + "\n"
	columns, rows, lines, err := all(t, "x.ndjson", in, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"id", "place.lat", "place.words", "needs", "ok", "no", "e", "late", "place"}, columns); d != "" {
		t.Error(d)
	}
	want := [][]string{
		{"1", "18.5", "bò mache a", `["dlo","manje"]`, "true", "", "{}", "", ""},
		{"2", "", "", "", "", "", "", "é\n", ""},
		{"!malformed"}, {"!type"},
		{"3", "", "", "", "", "", "", "", "there"},
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{1, 3, 4, 5, 6}, lines); d != "" {
		t.Error(d)
	}
	if _, rows, _, err = all(t, "x.json", "[{\"a\":1},\n {\"a\":2}]", Options{}); err != nil || len(rows) != 2 {
		t.Errorf("a list of objects: %v %v", rows, err)
	}
}

func TestReadsGeoJSON(t *testing.T) {
	in := `{"type":"FeatureCollection","name":"x","bbox":[1,2,3,4],"features":[
{"type":"Feature","id":"f1","geometry":{"type":"Point","coordinates":[-72.5, 18.5]},"properties":{"title":"wout la bloke","n":3}},
{"type":"Feature","geometry":null,"properties":null},
{"type":"Nothing"},
{"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]},"properties":{"title":"}]\"{"}}
]}`
	r, err := Open(strings.NewReader(in), "x", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []Row
	for {
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		row.Raw = nil
		got = append(got, row)
	}
	want := []Row{
		{Line: 2, Values: []string{"wout la bloke", "3", "f1"}, Geometry: &record.Geometry{Type: "Point", Coordinates: json.RawMessage("[-72.5,18.5]")}},
		{Line: 3, Values: []string{"", "", ""}},
		{Line: 4, Values: []string{"", "", ""}, Problems: record.Fields{{Path: "row", Code: "type", Message: "not a GeoJSON Feature"}}},
		{Line: 5, Values: []string{`}]"{`, "", ""}, Geometry: &record.Geometry{Type: "LineString", Coordinates: json.RawMessage("[[1,2],[3,4]]")}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	_, err = Open(strings.NewReader(`{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:32618"}},"features":[]}`), "x", Options{})
	if record.CodeOf(err) != record.Invalid || !strings.Contains(err.Error(), "32618") {
		t.Errorf("another coordinate system: %v", err)
	}
}

func TestRefusesWhatIsNoTable(t *testing.T) {
	for _, in := range []string{"", "\xd0\xcf\x11\xe0rest", "\x1f\x8brest", "%PDF-1.7", "<html></html>", "a,b\x00\x01\n", "PK\x03\x04 cut"} {
		_, _, _, err := all(t, "", in, Options{})
		if record.CodeOf(err) != record.Invalid {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func workbook(t testing.TB, fill func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	fill(f)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadsXLSXAsShownWithAllDigits(t *testing.T) {
	b := workbook(t, func(f *excelize.File) {
		f.NewSheet("Data")
		layout := "dd/mm/yyyy hh:mm"
		date, _ := f.NewStyle(&excelize.Style{CustomNumFmt: &layout})
		two, _ := f.NewStyle(&excelize.Style{NumFmt: 2})
		percent, _ := f.NewStyle(&excelize.Style{NumFmt: 9})
		f.SetSheetRow("Data", "A2", &[]any{"when", "lat", "share", "sum", "text"})
		f.SetSheetRow("Data", "A3", &[]any{40252.6, 18.533333, 0.256, 3, "'=1+1"})
		f.SetCellStyle("Data", "A3", "A9", date)
		f.SetCellStyle("Data", "B3", "B9", two)
		f.SetCellStyle("Data", "C3", "C9", percent)
		f.SetCellFormula("Data", "D3", "=1+2")
		f.SetSheetRow("Data", "A6", &[]any{40253, "x"})
		f.SetSheetRow("Data", "A7", &[]any{40253, 1, 2, 3, 4, "too many"})
	})
	columns, rows, lines, err := all(t, "x.xlsx", string(b), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"when", "lat", "share", "sum", "text"}, columns); d != "" {
		t.Error(d)
	}
	want := [][]string{{"15/03/2010 14:24", "18.533333", "0.256", "3", "'=1+1"}, {"16/03/2010 00:00", "x", "", "", ""}, {"!ragged"}}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{3, 6, 7}, lines); d != "" {
		t.Error(d)
	}
	if _, _, _, err := all(t, "x.xlsx", string(b), Options{Sheet: "Nope"}); err == nil || !strings.Contains(fmt.Sprint(err), "Nope") {
		t.Errorf("missing sheet: %v", err)
	}
}

// archive makes a ZIP whose parts state a size that need not be true.
func archive(t *testing.T, name string, content []byte, stated uint64) []byte {
	t.Helper()
	var packed, b bytes.Buffer
	d, _ := flate.NewWriter(&packed, flate.BestCompression)
	d.Write(content)
	d.Close()
	z := zip.NewWriter(&b)
	z.Create("[Content_Types].xml")
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(content), UncompressedSize64: stated, CompressedSize64: uint64(packed.Len())})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(packed.Bytes())
	z.Close()
	return b.Bytes()
}

// One long text, which packs to nothing, is not held in memory.
func TestXLSXWithOneHugeCellIsRefused(t *testing.T) {
	b := workbook(t, func(*excelize.File) {})
	in, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, e := range in.File {
		if e.Name == "xl/worksheets/sheet1.xml" {
			continue
		}
		if err := z.Copy(e); err != nil {
			t.Fatal(err)
		}
	}
	w, err := z.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row><c t="inlineStr"><is><t>`)
	for range 20 {
		w.Write(bytes.Repeat([]byte("a"), 1<<20))
	}
	io.WriteString(w, `</t></is></c></row></sheetData></worksheet>`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := all(t, "x.xlsx", out.String(), Options{}); record.CodeOf(err) != record.TooLarge {
		t.Error(err)
	}
}

func TestXLSXBombIsRefusedBeforeItUnpacks(t *testing.T) {
	for _, b := range [][]byte{
		archive(t, "xl/worksheets/sheet1.xml", nil, 300<<20),
		archive(t, "xl/worksheets/sheet1.xml", nil, 1<<63),
		archive(t, "xl/media/image1.png", nil, 60<<20),
	} {
		_, _, _, err := all(t, "x.xlsx", string(b), Options{})
		if record.CodeOf(err) != record.TooLarge || !strings.Contains(err.Error(), "unpack") {
			t.Errorf("%v", err)
		}
	}
	// One that lies about its size is caught while it is unpacked.
	b := archive(t, "xl/worksheets/sheet1.xml", make([]byte, 8<<20), 100)
	if _, _, _, err := all(t, "x.xlsx", string(b), Options{}); record.CodeOf(err) != record.Invalid {
		t.Errorf("a workbook that lies about its size: %v", err)
	}
	if _, _, _, err := all(t, "x.xlsx", string(b[:len(b)-30]), Options{}); record.CodeOf(err) != record.Invalid {
		t.Errorf("cut off: %v", err)
	}
	if _, _, _, err := all(t, "x.xlsx", string(b), Options{Limits: Limits{File: 100}}); record.CodeOf(err) != record.TooLarge {
		t.Errorf("over the size of the file: %v", err)
	}
}

func TestProtectIsUndoneExactly(t *testing.T) {
	for s, want := range map[string]string{
		"=HYPERLINK(1)": "'=HYPERLINK(1)", "@x": "'@x", "+509 37": "'+509 37", "-72.5": "-72.5", "-x": "'-x",
		"'=x": "''=x", "'hello": "'hello", "\tx": "'\tx", "\rx": "'\rx", "": "", "＝1": "'＝1",
	} {
		if got := Protect(s); got != want {
			t.Errorf("Protect(%q) = %q, want %q", s, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`['=+\-@\t\r＝a1]{0,6}`).Draw(t, "s")
		if got := Unprotect(Protect(s)); got != s {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[a-zé"',;|=+\-@ \t\r\n]{0,12}`), rapid.StringOfN(rapid.RuneFrom(nil, unicode.L, unicode.S, unicode.P, unicode.N), 0, 20, 60))
	rapid.Check(t, func(t *rapid.T) {
		columns := []string{"id", "b", "c"}
		var want [][]string
		for i := range rapid.IntRange(0, 5).Draw(t, "rows") {
			want = append(want, []string{fmt.Sprint("r", i), text.Draw(t, "b"), text.Draw(t, "c")})
		}
		for _, f := range []Format{CSV, XLSX} {
			var b bytes.Buffer
			w, err := NewCSV(&b, columns)
			if f == XLSX {
				if strings.ContainsFunc(fmt.Sprint(want), notXML) {
					continue
				}
				w, err = NewXLSX(&b, "Data", columns)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range want {
				if err := w.Write([]Cell{{Text: r[0]}, {Text: r[1]}, {Text: r[2]}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := Open(&b, "x."+string(f), Options{Format: f, Comma: ',', Encoding: "utf-8"})
			if err != nil {
				t.Fatal(err)
			}
			var got [][]string
			for {
				row, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil || len(row.Problems) > 0 {
					t.Fatalf("%v %v", err, row.Problems)
				}
				got = append(got, row.Values)
			}
			r.Close()
			if d := cmp.Diff(want, got); d != "" {
				t.Fatal(f, d)
			}
		}
	})
}

// notXML tells characters that XML 1.0 cannot hold.
func notXML(c rune) bool {
	return c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF || c == 0xFFFD
}

func TestXLSXKeepsNumbersAndRefusesToCutText(t *testing.T) {
	var b bytes.Buffer
	w, err := NewXLSX(&b, "a/b", []string{"n", "t"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]Cell{{"-72.533333", true}, {"=1+1", false}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]Cell{{"12345678901234567890", true}, {"", false}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]Cell{{"1", true}, {strings.Repeat("é", 40_000), false}}); record.CodeOf(err) != record.TooLarge {
		t.Errorf("a text of 40,000 characters: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sheet := f.GetSheetList()[0]
	if typ, _ := f.GetCellType(sheet, "A2"); typ != excelize.CellTypeUnset && typ != excelize.CellTypeNumber {
		t.Errorf("the number became %v", typ)
	}
	if fx, _ := f.GetCellFormula(sheet, "B2"); fx != "" {
		t.Errorf("the text became the formula %q", fx)
	}
	if v, _ := f.GetCellValue(sheet, "A3"); v != "12345678901234567890" {
		t.Errorf("a number of 20 digits became %s", v)
	}
}

func TestGeoJSONWriterIsReadBack(t *testing.T) {
	var b bytes.Buffer
	w := NewGeoJSON(&b)
	for i := range 3 {
		if err := w.Write(fmt.Sprint("f", i), record.Point(-72, 18), json.RawMessage(`{"n":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if !json.Valid(b.Bytes()) {
		t.Fatalf("not JSON: %s", b.Bytes())
	}
	_, rows, _, err := all(t, "x.geojson", b.String(), Options{})
	if err != nil || len(rows) != 3 || rows[2][1] != "f2" {
		t.Errorf("%v %v", rows, err)
	}
	b.Reset()
	NewGeoJSON(&b).Close()
	if !json.Valid(b.Bytes()) {
		t.Errorf("an empty collection is not JSON: %s", b.Bytes())
	}
}

func fuzz(t *testing.T, name string, f Format, in []byte) {
	if len(in) > 1<<20 {
		t.Skip()
	}
	r, err := Open(bytes.NewReader(in), name, Options{Format: f, Limits: Limits{Row: 4096, Cell: 1024, Columns: 50, Rows: 10_000, Unzip: 8 << 20}})
	if err != nil {
		return
	}
	defer r.Close()
	last := 0
	for {
		row, err := r.Next()
		if err != nil {
			return
		}
		if row.Line < last || row.Line < 1 {
			t.Fatalf("line %d after %d", row.Line, last)
		}
		last = row.Line
		if len(row.Problems) == 0 && len(row.Values) != len(r.Columns()) {
			t.Fatalf("%d values, %d columns", len(row.Values), len(r.Columns()))
		}
		for _, v := range row.Values {
			if len(v) > 2048 {
				t.Fatalf("a cell of %d bytes", len(v))
			}
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\xef\xbb\xbfa;b\r\n\"x\ny\";2", "a\tb\n\"", "sep=|\na|b\n1|'=2", "\xff\xfea\x00,\x00b\x00", "a,b\nL\xe9o,2\n", "b\",\"x\nb\",\"x\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) { fuzz(t, "x.csv", CSV, in) })
}

func FuzzNDJSON(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,"x"]}}` + "\n{", `[{"a":1},{"b":null}]`, "\x1e{\"type\":\"Feature\",\"properties\":{\"a\":\"\\u00e9\"}}\n", `{"":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) { fuzz(t, "x.ndjson", NDJSON, in) })
}

func FuzzGeoJSON(f *testing.F) {
	for _, s := range []string{`{"type":"FeatureCollection","features":[{"type":"Feature","id":1,"geometry":{"type":"Point","coordinates":[1,2]},"properties":{"a":"x"}}]}`, `{"crs":null,"features":[}]`, `{"features":[],"crs":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) { fuzz(t, "x.geojson", GeoJSON, in) })
}

func FuzzXLSX(f *testing.F) {
	f.Add(workbook(f, func(x *excelize.File) {
		x.SetSheetRow("Sheet1", "A1", &[]any{"a", "b"})
		x.SetSheetRow("Sheet1", "A2", &[]any{1.5, "x"})
	}))
	// The parts that matter, so that changes reach the sheet and not only the
	// archive around it.
	f.Add([]byte(`<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row><row r="3"><c r="B3"><v>1</v></c></row></sheetData></worksheet>`))
	f.Fuzz(func(t *testing.T, in []byte) {
		fuzz(t, "x.xlsx", XLSX, in)
		if bytes.HasPrefix(in, []byte("PK")) {
			return
		}
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, content := range map[string]string{
			"[Content_Types].xml":        `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
			"_rels/.rels":                `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
			"xl/workbook.xml":            `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>`,
			"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
			"xl/worksheets/sheet1.xml":   string(in),
		} {
			w, _ := z.Create(name)
			io.WriteString(w, content)
		}
		z.Close()
		fuzz(t, "x.xlsx", XLSX, b.Bytes())
	})
}

func BenchmarkCSV(b *testing.B) {
	var buf bytes.Buffer
	buf.WriteString("id,title,date,place,lat,lon\n")
	for i := range 10_000 {
		fmt.Fprintf(&buf, "%d,\"Help needed, urgent\",05/07/2010 17:26,\"Jacmel, Haiti\",18.233333,-72.533333\n", i)
	}
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		r, _ := Open(bytes.NewReader(buf.Bytes()), "x.csv", Options{})
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
