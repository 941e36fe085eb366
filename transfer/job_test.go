package transfer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/record"
	. "konbit/transfer"
	"konbit/wire/table"
)

const plainMapping = "kind: sighting\nkey: '{{No}}'\nobserved: When\nplace: {lat: Lat, lon: Lon}\nmarking: {tlp: GREEN}\nfields: {title: Name, depth: {value: '1'}}\n"

// manyRows makes n rows, of which every badEvery-th has no name.
func manyRows(n, badEvery int) string {
	var b strings.Builder
	b.WriteString("No,When,Lat,Lon,Name\n")
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("\"boat %d, blue\"", i)
		if badEvery > 0 && i%badEvery == 0 {
			name = ""
		}
		fmt.Fprintf(&b, "%d,2026-01-02,18.5,-72.3,%s\n", i, name)
	}
	return b.String()
}

func TestStoppedImportGoesOnWhereItWas(t *testing.T) {
	file := write(t, "boats.csv", manyRows(5000, 100))
	dir := t.TempDir()
	s := &shelf{}
	ctx, stop := context.WithCancel(t.Context())
	o := Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, plainMapping), Sink: s, File: file, Now: clock, Batch: 500,
		Refused: filepath.Join(dir, "boats.refused.csv"), State: filepath.Join(dir, "boats.csv.konbit-import.json")}
	s.before = func(n int) error {
		if n == 4 {
			stop()
			return ctx.Err()
		}
		return nil
	}
	first, err := Import(ctx, o)
	if !errors.Is(err, context.Canceled) || first.Created != 1500 || len(s.drafts) != 1500 {
		t.Fatalf("%+v %v", first, err)
	}
	// A second run is killed after the sink has answered and before it remembers:
	// what it wrote of refused rows must not be there twice.
	text, _ := os.ReadFile(o.Refused)
	os.WriteFile(o.Refused, append(text, "half a li"...), 0o600)
	s.before = func(n int) error {
		if n == 6 {
			return io.ErrClosedPipe
		}
		return nil
	}
	second, err := Import(t.Context(), o)
	if !errors.Is(err, io.ErrClosedPipe) || second.Resumed != first.Rows || second.Created != 2000 {
		t.Fatalf("%+v %v", second, err)
	}
	s.before = nil
	var last Progress
	o.Progress = func(p Progress) { last = p }
	third, err := Import(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Counts{Created: 4950, Refused: 50}); third.Counts != want || third.Rows != 5000 || third.Resumed != second.Rows || len(s.drafts) != 4950 {
		t.Errorf("%+v, %d records", third, len(s.drafts))
	}
	if last.Done != 5000 || last.Total != 5000 || last.Counts != third.Counts {
		t.Errorf("%+v", last)
	}
	if _, err := os.Stat(o.State); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state of a finished import is still there: %v", err)
	}
	lines := refusedLines(t, o.Refused)
	if len(lines) != 50 || lines[0] != "101" || lines[49] != "5001" || !slices.IsSortedFunc(lines, func(a, b string) int { return len(a) - len(b) }) {
		t.Errorf("%d refused rows: %v", len(lines), lines)
	}
	// Another file under the same name does not go on with the old one's state.
	s.before = func(int) error { return io.ErrClosedPipe }
	Import(t.Context(), o)
	s.before = nil
	os.WriteFile(file, []byte(manyRows(10, 0)), 0o600)
	if r, err := Import(t.Context(), o); err != nil || r.Resumed != 0 || r.Rows != 10 || r.RefusedFile != "" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := os.Stat(o.Refused); !errors.Is(err, os.ErrNotExist) {
		t.Error("the refused rows of the earlier import were left as if they were of this one")
	}
}

func refusedLines(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := table.Open(f, path, table.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := slices.Index(r.Columns(), "line")
	var out []string
	for {
		row, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil || len(row.Problems) > 0 {
			t.Fatal(err, row.Problems)
		}
		out = append(out, row.Values[k])
	}
}

func TestRefusedRowsKeepTheirCellsAndSayWhy(t *testing.T) {
	file := write(t, "boats.csv", "No,When,Lat,Lon,Name\n1,2026-01-02,18.5,-72.3,good\n2,\"yesterday, late\",200,x,=HYPERLINK(1)\n3,2026-01-02\n4,2026-01-02,18.5,-72.3,bad for us\n")
	s := &shelf{refuse: func(d *Draft) error {
		if d.Key == "4" {
			return &record.Error{Code: record.Denied, Message: "not here"}
		}
		return nil
	}}
	o := Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, plainMapping), Sink: s, File: file, Now: clock, Refused: file + ".refused.csv"}
	r, err := Import(t.Context(), o)
	if err != nil || r.Counts != (Counts{Created: 1, Refused: 3}) {
		t.Fatalf("%+v %v", r, err)
	}
	got, _ := os.ReadFile(r.RefusedFile)
	want := "No,When,Lat,Lon,Name,line,reason\r\n" +
		"2,\"yesterday, late\",200,x,'=HYPERLINK(1),3,\"observed: \"\"yesterday, late\"\" is not a time written in one of the 6 ways given (column When); place.lon: \"\"x\"\" is not a number (column Lon)\"\r\n" +
		"3,2026-01-02,,,,4,\"row: the row has 2 cells, the header 5\"\r\n" +
		"4,2026-01-02,18.5,-72.3,bad for us,5,row: not here\r\n"
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	// Mended, the file of refused rows is a file to import.
	mended := strings.NewReplacer(`2,"yesterday, late"`, "2,2026-01-01", ",200,x,", ",18.5,-72.3,", "2026-01-02,,,,", "2026-01-02,18.5,-72.3,x,").Replace(string(got))
	o.File, o.Refused = write(t, "mended.csv", mended), ""
	s.refuse = nil
	if r, err := Import(t.Context(), o); err != nil || r.Counts != (Counts{Created: 3}) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestRefusedJSONKeepsTheObject(t *testing.T) {
	file := write(t, "boats.ndjson", `{"No":1,"When":"2026-01-02","Lat":18.5,"Lon":-72.3,"Name":"x"}`+"\n"+`{"No":2,"When":"2026-01-02","Lat":18.5,"Lon":-72.3,"Name":7, }`+"\n"+`{"No":3}`+"\n")
	r, err := Import(t.Context(), Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, plainMapping), Sink: &shelf{}, File: file, Now: clock, Refused: file + ".refused.csv"})
	if err != nil || r.Counts != (Counts{Created: 1, Refused: 2}) {
		t.Fatalf("%+v %v", r, err)
	}
	got, _ := os.ReadFile(r.RefusedFile)
	for _, want := range []string{"raw,line,reason", `"{""No"":3}",3,`, ",2,row: malformed JSON at byte"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestCutFileKeepsItsRows(t *testing.T) {
	text := manyRows(50, 0)
	file := write(t, "boats.csv", text[:len(text)-3])
	s := &shelf{}
	r, err := Import(t.Context(), Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, plainMapping), Sink: s, File: file, Now: clock})
	var cut *table.CutError
	if !errors.As(err, &cut) || cut.Line != 51 || r.Created != 49 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestNothingIsImportedUnderAMappingThatDoesNotFit(t *testing.T) {
	file := write(t, "boats.csv", manyRows(10, 0))
	s := &shelf{}
	_, err := Import(t.Context(), Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, strings.Replace(plainMapping, "Name", "Naam", 1)), Sink: s, File: file, Now: clock})
	if record.CodeOf(err) != record.Invalid || !strings.Contains(err.Error(), "Naam") || s.puts != 0 {
		t.Errorf("%v, %d puts", err, s.puts)
	}
}

func TestPreviewShowsRowsDraftsAndProblems(t *testing.T) {
	text := manyRows(30, 3)
	l, err := Preview(Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, plainMapping), Source: strings.NewReader(text), Name: "boats.csv", Now: clock}, 5)
	if err != nil || len(l.Rows) != 5 || len(l.Records) != 5 || l.Fault != nil {
		t.Fatalf("%+v %v", l, err)
	}
	if l.Records[0].Draft == nil || l.Records[2].Draft != nil || l.Records[2].Problems[0].Path != "title" || l.Records[2].Line != 4 {
		t.Errorf("%+v", l.Records)
	}
	if _, err := Preview(Options{Kind: sightings(), Agency: "ht.cc", Source: strings.NewReader(""), Name: "x.csv"}, 5); record.CodeOf(err) != record.Invalid {
		t.Errorf("an empty file: %v", err)
	}
}

func TestRowsWithoutKeyAreNamedByTheirContent(t *testing.T) {
	m := mapping(t, strings.Replace(plainMapping, "key: '{{No}}'\n", "", 1))
	s := &shelf{}
	o := Options{Kind: sightings(), Agency: "ht.cc", Mapping: m, Sink: s, File: write(t, "x.csv", manyRows(10, 0)+"10,2026-01-02,18.5,-72.3,\"boat 10, blue\"\n"), Now: clock}
	r, err := Import(t.Context(), o)
	if err != nil || r.Counts != (Counts{Created: 10, Unchanged: 1}) {
		t.Errorf("%+v %v", r, err)
	}
	if r, err = Import(t.Context(), o); err != nil || r.Counts != (Counts{Unchanged: 11}) {
		t.Errorf("again: %+v %v", r, err)
	}
}

func TestBar(t *testing.T) {
	var b bytes.Buffer
	p := Progress{Done: 1500, Total: 3000, Counts: Counts{Created: 1490, Refused: 10}, PerSecond: 12345, Elapsed: time.Second}
	bar := NewTestBar(&b, false, 80)
	bar.Update(p)
	p.Elapsed = 2 * time.Second
	bar.Update(p)
	bar.Done()
	if got := b.String(); got != "1,500 of 3,000 rows · 12,345/s · 1490 created, 0 unchanged, 0 updated, 10 refused\n" {
		t.Errorf("in a log: %q", got)
	}
	b.Reset()
	bar = NewTestBar(&b, true, 200)
	bar.Update(p)
	p.Done = 3000
	bar.Update(p)
	bar.Done()
	if got := b.String(); strings.Count(got, "\r\x1b[K") != 2 || !strings.Contains(got, "[██████████░░░░░░░░░░]") || !strings.Contains(got, "[████████████████████]") || !strings.HasSuffix(got, "\n") {
		t.Errorf("on a terminal: %q", got)
	}
	b.Reset()
	NewTestBar(&b, true, 30).Update(p)
	if got := strings.TrimPrefix(b.String(), "\r\x1b[K"); len([]rune(got)) >= 30 {
		t.Errorf("%d characters on a terminal of 30", len([]rune(got)))
	}
}

// bulk is a node's bulk endpoint over a shelf, real HTTP around it.
func bulk(t *testing.T, s *shelf, spoil func(n int, w http.ResponseWriter, r *http.Request) bool) (*httptest.Server, *atomic.Int32) {
	var count atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if spoil != nil && spoil(int(count.Add(1)), w, r) {
			return
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil || r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Content-Type") != "application/x-ndjson" ||
			r.URL.Path != "/api/v1/records/sighting" || r.Header.Get("Authorization") != "Bearer tok" || r.Header.Get("Konbit-Agency") != "ht.cc" {
			t.Errorf("%v %s %v", err, r.URL, r.Header)
		}
		var drafts []Draft
		d := json.NewDecoder(z)
		for {
			var one Draft
			if err := d.Decode(&one); err == io.EOF {
				break
			} else if err != nil {
				t.Error(err)
				break
			}
			drafts = append(drafts, one)
		}
		out, err := s.Put(r.Context(), "sighting", "ht.cc", drafts)
		if err != nil {
			t.Error(err)
		}
		e := json.NewEncoder(w)
		for i, o := range out {
			a := map[string]any{"line": i + 1, "id": drafts[i].ID, "status": o.Status}
			if o.Err != nil {
				a["problem"] = map[string]any{"code": "invalid", "title": "no", "fields": record.Fields{{Path: "title", Code: "rude", Message: "is rude"}}}
			}
			e.Encode(a)
		}
	}))
	t.Cleanup(srv.Close)
	return srv, &count
}

func TestRemoteImportSurvivesABadLink(t *testing.T) {
	file := write(t, "boats.csv", manyRows(2500, 0))
	s := &shelf{refuse: func(d *Draft) error {
		if d.Key == "7" {
			return errors.New("rude")
		}
		return nil
	}}
	var waits []time.Duration
	srv, _ := bulk(t, s, func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1: // the connection breaks
			panic(http.ErrAbortHandler)
		case 2: // the answer breaks off after the node has acted
			w.Header().Set("Content-Length", "100000")
			fmt.Fprintln(w, `{"line":1,"status":"created"}`)
			return true
		case 3:
			w.Header().Set("Retry-After", "7")
			http.Error(w, "busy", http.StatusTooManyRequests)
			return true
		case 5:
			http.Error(w, "restarting", http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	r := &Remote{URL: srv.URL + "/", Token: "tok"}
	OnWait(r, func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil })
	res, err := Import(t.Context(), Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, plainMapping), Sink: r, File: file, Now: clock, Refused: file + ".refused.csv"})
	if err != nil || res.Counts != (Counts{Created: 2499, Refused: 1}) || len(s.drafts) != 2499 {
		t.Fatalf("%+v %v, %d records", res, err, len(s.drafts))
	}
	if len(waits) != 4 || waits[2] != 7*time.Second || waits[0] < 500*time.Millisecond {
		t.Errorf("waited %v", waits)
	}
	if got, _ := os.ReadFile(res.RefusedFile); !strings.Contains(string(got), "title: is rude") {
		t.Errorf("%s", got)
	}
}

func TestRemoteErrorsThatWaitingDoesNotMend(t *testing.T) {
	for _, c := range []struct {
		status int
		header string
		body   string
		code   record.Code
		words  string
	}{
		{401, "application/problem+json", `{"code":"unsigned","title":"no token","hint":"make one"}`, record.Unsigned, "no token"},
		{403, "text/plain", "no", record.Denied, "403"},
		{404, "application/problem+json", `{"code":"not-found","detail":"no such kind"}`, record.NotFound, "no such kind"},
		{302, "", "", record.Invalid, "elsewhere"},
		{500, "", "", record.Internal, "500"},
		{200, "", `{"line":9,"status":"created"}` + "\n", record.Internal, "line 9"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.header)
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		r := &Remote{URL: srv.URL}
		OnWait(r, func(context.Context, time.Duration) error { t.Error("waited"); return nil })
		_, err := r.Put(t.Context(), "sighting", "ht.cc", make([]Draft, 1))
		if record.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.words) {
			t.Errorf("%d: %v", c.status, err)
		}
		srv.Close()
	}
	if _, err := (&Remote{URL: "node"}).Put(t.Context(), "x", "y", nil); record.CodeOf(err) != record.Invalid {
		t.Errorf("an address that is none: %v", err)
	}
}

func TestRemoteGivesUpAndStops(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close() // nobody listens there any more
	r := &Remote{URL: srv.URL, Patience: time.Minute}
	total := time.Duration(0)
	OnWait(r, func(_ context.Context, d time.Duration) error { total += d; return nil })
	if _, err := r.Put(t.Context(), "x", "ht.cc", make([]Draft, 1)); record.CodeOf(err) != record.Unavailable || total > time.Minute || total < 10*time.Second {
		t.Errorf("%v after %v", err, total)
	}
	ctx, stop := context.WithCancel(t.Context())
	OnWait(r, func(ctx context.Context, _ time.Duration) error { stop(); return ctx.Err() })
	if _, err := r.Put(ctx, "x", "ht.cc", make([]Draft, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestRemoteHalvesWhatIsTooLarge(t *testing.T) {
	s := &shelf{}
	srv, n := bulk(t, s, func(_ int, w http.ResponseWriter, r *http.Request) bool {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		z, _ := gzip.NewReader(bytes.NewReader(b))
		text, _ := io.ReadAll(z)
		if bytes.Count(text, []byte("\n")) > 100 || bytes.Contains(text, []byte("blue whale")) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		}
		return false
	})
	text := strings.Replace(manyRows(400, 0), "boat 9,", "blue whale,", 1)
	res, err := Import(t.Context(), Options{Kind: sightings(), Agency: "ht.cc", Mapping: mapping(t, plainMapping), Sink: &Remote{URL: srv.URL, Token: "tok"}, Source: strings.NewReader(text), Name: "x.csv", Now: clock})
	if err != nil || res.Counts != (Counts{Created: 399, Refused: 1}) {
		t.Errorf("%+v %v in %d requests", res, err, n.Load())
	}
}

func TestRetryAfterBothForms(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "-1": 0, "x": 0, "9999999": 10 * time.Minute,
		"Fri, 01 May 2026 12:00:20 GMT": 20 * time.Second, "Fri, 01 May 2026 11:00:00 GMT": 0} {
		if got := RetryAfter(s, at); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func TestRemoteExport(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/x-ndjson" || r.Header.Get("Authorization") != "Bearer tok" || r.URL.Path != "/konbit/api/v1/records/sighting" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		e := json.NewEncoder(w)
		for i := range 3 {
			rec := &record.Record{Body: json.RawMessage(`{}`)}
			rec.ID, rec.Version = record.NewID(now), i+1
			e.Encode(rec)
		}
		switch r.URL.Query().Get("state") {
		case "cut":
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "fault":
			io.WriteString(w, `{"code":"unavailable","title":"shutting down"}`+"\n")
		}
	}))
	defer srv.Close()
	r := &Remote{URL: srv.URL + "/konbit", Token: "tok"}
	for state, code := range map[string]record.Code{"": "", "cut": record.Internal, "fault": record.Unavailable} {
		n := 0
		var last error
		for rec, err := range RemoteExport(t.Context(), r, "sighting", url.Values{"state": {state}}) {
			if last = err; err == nil {
				n++
				if rec.Version != n {
					t.Errorf("record %d has version %d", n, rec.Version)
				}
			}
		}
		if n != 3 || record.CodeOf(last) != code {
			t.Errorf("%q: %d records, %v", state, n, last)
		}
	}
}
