package web_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"konbit/web"
)

// form makes a multipart body of pairs: a name with a dot is a file.
func form(t *testing.T, parts ...string) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(parts); i += 2 {
		name, file, isFile := strings.Cut(parts[i], ":")
		create := func() (io.Writer, error) { return w.CreateFormField(name) }
		if isFile {
			create = func() (io.Writer, error) { return w.CreateFormFile(name, file) }
		}
		part, err := create()
		if err != nil {
			t.Fatal(err)
		}
		part.Write([]byte(parts[i+1]))
	}
	w.Close()
	return b.Bytes(), w.FormDataContentType()
}

const reportsCSV = `Serial,When,Lat,Lon,What,Kind,Checked
1,2026-04-01 10:00,18.54,-72.33,Road closed by tires,road-blocked,yes
2,2026-04-01 11:00,18.53,-72.34,"Water ran out, block 4",water,no
3,2026-04-01 12:00,18.52,-72.35,Bridge gone,bridge,no
4,yesterday,18.51,-72.36,No time,water,no
`

const reportsMapping = `kind: incident
key: "radio/{{Serial}}"
observed: {column: When, layouts: ["2006-01-02 15:04"], zone: America/Port-au-Prince}
place: {lat: Lat, lon: Lon}
marking: {tlp: AMBER}
state: {expr: 'Checked == "yes" ? "verified" : "reported"'}
fields:
  title: What
  category: Kind
  severity: {value: moderate}
`

func TestPreviewShowsRowsAndImportsNothing(t *testing.T) {
	h := newHouse(t)
	ana := h.signIn("ht.cc/ana")
	body, typ := form(t, "file:radio.csv", reportsCSV, "mapping", reportsMapping)
	var p web.ImportPreview
	ana.do("POST", "/api/v1/import/incident/preview", body, "Content-Type", typ).want(200).json(&p)
	if p.Format != "csv" || len(p.Columns) != 7 || len(p.Rows) != 4 || len(p.Records) != 4 || p.Guessed || p.Mapping != reportsMapping || len(p.Problems) > 0 {
		t.Fatalf("preview %+v", p)
	}
	if r := p.Records[0].Record; r == nil || r.State != "verified" || r.Owner != "ht.cc" || r.Kind != "incident" || r.Key != "radio/1" || r.Place == nil || p.Records[0].Line != 2 {
		t.Errorf("first record %+v", p.Records[0])
	}
	for _, i := range []int{2, 3} {
		if p.Records[i].Record != nil || len(p.Records[i].Problems) == 0 {
			t.Errorf("row %d has no problem: %+v", i, p.Records[i])
		}
	}
	if n := len(ana.ids("")); n != 0 {
		t.Errorf("a preview imported %d", n)
	}
	// The file as it is, with a mapping guessed.
	ana.do("POST", "/api/v1/import/incident/preview?name=radio.csv", reportsCSV, "Content-Type", "text/csv").want(200).json(&p)
	if !p.Guessed || !strings.Contains(p.Mapping, "lat: Lat") {
		t.Errorf("guessed %v: %s", p.Guessed, p.Mapping)
	}
	bad, typ := form(t, "file:radio.csv", reportsCSV, "mapping", strings.Replace(reportsMapping, "What", "Wat", 1))
	p = web.ImportPreview{}
	ana.do("POST", "/api/v1/import/incident/preview", bad, "Content-Type", typ).want(200).json(&p)
	if len(p.Problems) == 0 || len(p.Rows) != 4 || len(p.Records) != 0 {
		t.Errorf("a mapping that does not fit: %+v", p)
	}
	for _, c := range [][]string{
		{"file:x.csv", reportsCSV, "mapping", "kind: [", "422", "invalid"},
		{"mapping", reportsMapping, "422", "invalid"},
		{"file:x.pdf", "%PDF-1.4", "422", "invalid"},
		{"file:x.csv", "", "422", "invalid"},
		{"file:x.csv", reportsCSV, "file:y.csv", reportsCSV, "422", "invalid"},
	} {
		body, typ := form(t, c[:len(c)-2]...)
		ana.do("POST", "/api/v1/import/incident/preview", body, "Content-Type", typ).problem(422, c[len(c)-1])
	}
	ana.do("POST", "/api/v1/import/nothing/preview", reportsCSV).problem(404, "not-found")
	h.signIn("ht.cc/view").do("POST", "/api/v1/import/incident/preview", reportsCSV).problem(403, "denied")
	(&client{h: h}).do("POST", "/api/v1/import/incident/preview", reportsCSV).problem(401, "unsigned")
}

// imported starts an import and waits for its end.
func (c *client) imported(parts ...string) web.ImportJob {
	c.h.t.Helper()
	body, typ := form(c.h.t.(*testing.T), parts...)
	job := c.do("POST", "/api/v1/import/incident", body, "Content-Type", typ).want(202).text("job")
	return c.ended(job)
}

func (c *client) ended(job string) web.ImportJob {
	c.h.t.Helper()
	for {
		var j web.ImportJob
		c.do("GET", "/api/v1/import/jobs/"+job, nil).want(200).json(&j)
		if j.State != "running" {
			return j
		}
	}
}

func TestImportTakesTheGoodRowsAndExplainsTheOthers(t *testing.T) {
	spool := filepath.Join(t.TempDir(), "spool")
	h := newHouse(t, func(c *web.Config) { c.Spool = spool })
	ana := h.signIn("ht.cc/ana")
	j := ana.imported("mapping", reportsMapping, "file:../radio.csv", reportsCSV)
	if j.State != "done" || j.Created != 2 || j.Refused != 2 || j.Done != 4 || j.Total != 4 || j.File != "radio.csv" {
		t.Fatalf("job %+v", j)
	}
	if n := len(ana.ids("state=verified")); n != 1 {
		t.Errorf("%d verified, want 1", n)
	}
	res := ana.do("GET", "/api/v1/import/jobs/"+j.Job+"/refused", nil).want(200)
	csv := string(res.body)
	if !strings.Contains(csv, "Bridge gone") || !strings.Contains(csv, "category: must be one of") || !strings.Contains(csv, "yesterday") || strings.Contains(csv, "block 4") ||
		!strings.Contains(res.Header.Get("Content-Disposition"), "radio-refused.csv") || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("refused rows: %v\n%s", res.Header, csv)
	}
	luis := h.signIn("do.911/luis")
	luis.do("GET", "/api/v1/import/jobs/"+j.Job, nil).problem(404, "not-found")
	luis.do("DELETE", "/api/v1/import/jobs/"+j.Job, nil).problem(404, "not-found")
	luis.do("GET", "/api/v1/import/jobs/"+j.Job+"/refused", nil).problem(404, "not-found")

	again := ana.imported("file:radio.csv", reportsCSV, "mapping", reportsMapping)
	if again.Created != 0 || again.Unchanged != 2 || again.Refused != 2 || len(ana.ids("")) != 2 {
		t.Errorf("the same file again: %+v", again)
	}
	var all web.ImportJobs
	ana.do("GET", "/api/v1/import/jobs", nil).want(200).json(&all)
	if len(all.Jobs) != 2 || all.Jobs[0].Job != again.Job {
		t.Errorf("jobs %+v", all.Jobs)
	}
	files, err := filepath.Glob(filepath.Join(spool, "import-*", "file"))
	if err != nil || len(files) > 0 {
		t.Errorf("files are left: %v %v", files, err)
	}
	web.New(web.Config{Desks: h.node.Desks, Spool: spool}) // the next start
	if left, _ := os.ReadDir(spool); len(left) > 0 {
		t.Errorf("left behind after a restart: %v", left)
	}
}

func TestImportThatCannotGoOnSaysWhy(t *testing.T) {
	h := newHouse(t)
	ana := h.signIn("ht.cc/ana")
	j := ana.imported("file:radio.csv", reportsCSV, "mapping", strings.Replace(reportsMapping, "What", "Wat", 1))
	if j.State != "failed" || j.Error == "" || len(j.Fields) == 0 || j.Created != 0 {
		t.Errorf("a mapping that does not fit: %+v", j)
	}
	ana.do("GET", "/api/v1/import/jobs/"+j.Job+"/refused", nil).problem(404, "not-found")
	j = ana.imported("file:radio.csv", reportsCSV[:len(reportsCSV)-60]+"5,2026-04-01 10:00,18.54,-72.33,\"cut", "mapping", reportsMapping)
	if j.State != "failed" || !strings.Contains(j.Error, "cut off") || j.Created == 0 {
		t.Errorf("a file that was cut off: %+v", j)
	}
	ana.do("GET", "/api/v1/import/jobs/nothing", nil).problem(404, "not-found")
}

func TestImportedStateThatTheRoleCannotGiveLeavesNothingHalfDone(t *testing.T) {
	h := newHouse(t)
	ana := h.signIn("ht.cc/ana")
	j := ana.imported("file:radio.csv", reportsCSV, "mapping", strings.Replace(reportsMapping, `"verified"`, `"rejected"`, 1))
	if j.Created != 1 || j.Refused != 3 {
		t.Errorf("job %+v, want one created and three refused", j)
	}
	if n := len(ana.ids("")); n != 1 {
		t.Errorf("%d incidents are there, want 1", n)
	}
	if csv := string(ana.do("GET", "/api/v1/import/jobs/"+j.Job+"/refused", nil).want(200).body); !strings.Contains(csv, "role does not allow") {
		t.Errorf("refused: %s", csv)
	}
	sup := h.signIn("ht.cc/sup")
	if j := sup.imported("file:radio.csv", reportsCSV, "mapping", strings.Replace(reportsMapping, `"verified"`, `"rejected"`, 1)); j.Created != 1 || len(sup.ids("state=rejected")) != 1 {
		t.Errorf("a supervisor's: %+v", j)
	}
}

func TestImportStopsAndEndsWithTheServer(t *testing.T) {
	h := newHouse(t)
	ana := h.signIn("ht.cc/ana")
	var b strings.Builder
	b.WriteString("Serial,When,Lat,Lon,What,Kind,Checked\n")
	for i := range 60_000 {
		fmt.Fprintf(&b, "%d,2026-04-01 10:00,18.5,-72.3,Report %d,water,no\n", i, i)
	}
	body, typ := form(t, "file:many.csv", b.String(), "mapping", reportsMapping)
	job := ana.do("POST", "/api/v1/import/incident", body, "Content-Type", typ).want(202).text("job")
	ana.do("POST", "/api/v1/import/incident", body, "Content-Type", typ).problem(409, "stale")
	ana.do("DELETE", "/api/v1/import/jobs/"+job, nil).want(200)
	if j := ana.ended(job); j.State != "stopped" || j.Done >= 60_000 || j.Done != j.Created {
		t.Errorf("stopped: %+v", j)
	}
	job = ana.do("POST", "/api/v1/import/incident", body, "Content-Type", typ).want(202).text("job")
	h.web.Close()
	if j := ana.ended(job); j.State != "stopped" {
		t.Errorf("the server ended: %+v", j)
	}
	if err := h.node.Intake.Size(); err <= 0 {
		t.Error("intake is gone before its callers")
	}
	ana.do("POST", "/api/v1/import/incident", body, "Content-Type", typ).problem(503, "unavailable")
}

func TestImportEndsWhenTheRightDoes(t *testing.T) {
	h := newHouse(t)
	ana, root := h.signIn("ht.cc/ana"), h.signIn("ht.cc/root")
	var b strings.Builder
	b.WriteString("Serial,When,Lat,Lon,What,Kind,Checked\n")
	for i := range 60_000 {
		fmt.Fprintf(&b, "%d,2026-04-01 10:00,18.5,-72.3,Report %d,water,no\n", i, i)
	}
	body, typ := form(t, "file:many.csv", b.String(), "mapping", reportsMapping)
	job := ana.do("POST", "/api/v1/import/incident", body, "Content-Type", typ).want(202).text("job")
	root.do("PATCH", "/api/v1/people/ht.cc/ana", m{"grants": []m{{"agency": "ht.cc", "desk": "*", "role": "viewer"}}}).want(200)
	if j := ana.ended(job); j.Created == 60_000 || j.Refused == 0 && j.State != "failed" {
		t.Errorf("went on without the right: %+v", j)
	}
}
