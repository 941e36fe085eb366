package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"context"

	"konbit/desk"
	"konbit/desks"
	"konbit/web"
)

func TestConsoleIsServedAsItWasBuilt(t *testing.T) {
	h := newHouse(t)
	any := h.anybody()
	js := any.do("GET", "/assets/app-abc.js", nil, "Accept-Encoding", "gzip, br").want(200)
	if string(js.body) != "br of app" || js.Header.Get("Content-Encoding") != "br" || !strings.Contains(js.Header.Get("Cache-Control"), "immutable") || js.Header.Get("Vary") != "Accept-Encoding" ||
		!strings.HasPrefix(js.Header.Get("Content-Type"), "text/javascript") || js.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%q %v", js.body, js.Header)
	}
	if gz := any.do("GET", "/assets/app-abc.js", nil, "Accept-Encoding", "gzip, br;q=0").want(200); string(gz.body) != "gz of app" {
		t.Errorf("%q", gz.body)
	}
	if raw := any.do("GET", "/assets/app-abc.js", nil, "Accept-Encoding", "identity").want(200); string(raw.body) != "console.log(1)" {
		t.Errorf("%q", raw.body)
	}
	any.do("GET", "/assets/app-abc.js", nil, "Accept-Encoding", "br", "If-None-Match", js.Header.Get("ETag")).want(304)
	for _, path := range []string{"/", "/board/incident", "/sign-in"} {
		page := any.do("GET", path, nil, "Accept", "text/html", "Accept-Encoding", "identity").want(200)
		if !bytes.Contains(page.body, []byte("<title>Konbit")) || page.Header.Get("Cache-Control") != "no-cache" || !strings.Contains(page.Header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %q %v", path, page.body, page.Header)
		}
	}
	any.do("GET", "/assets/gone.js", nil, "Accept", "*/*").problem(404, "not-found")
	any.do("GET", "/assets/gone.js", nil, "Accept", "text/html").problem(404, "not-found")
	any.do("GET", "/etc/passwd", nil).problem(404, "not-found")
	any.do("GET", "/.keep", nil).problem(404, "not-found")
	any.do("GET", "/api/v1/nothing", nil, "Accept", "text/html").problem(404, "not-found")
	if res := any.do("DELETE", "/api/v1/desks", nil); res.StatusCode != 405 || res.Header.Get("Allow") != "GET" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	any.do("POST", "/", nil).want(405)
	if res := any.do("GET", "/", nil); res.Header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS on plain http")
	}
}

func TestNodeWithoutConsoleSaysSo(t *testing.T) {
	h := newHouse(t, func(c *web.Config) { c.UI = nil })
	if res := h.anybody().do("GET", "/", nil, "Accept", "text/html").want(503); !bytes.Contains(res.body, []byte("make build")) {
		t.Errorf("%s", res.body)
	}
}

func TestBaseMapIsServedInPieces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "map.pmtiles")
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(c *web.Config) { c.BaseMap = file })
	if res := h.anybody().do("GET", "/basemap.pmtiles", nil, "Range", "bytes=2-4").want(206); string(res.body) != "234" {
		t.Errorf("%q", res.body)
	}
}

func TestDocumentNamesEveryKindAndLoadsNothingFromElsewhere(t *testing.T) {
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := web.OpenAPI(set)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]struct{ OperationID, Summary string }
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(b, &doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Fatal(err, doc.OpenAPI)
	}
	for _, name := range set.KindNames() {
		if doc.Paths["/api/v1/records/"+name]["post"].Summary == "" || doc.Paths["/api/v1/records/"+name+"/{id}/mark"]["post"].Summary == "" {
			t.Errorf("%s has no operations", name)
		}
	}
	for _, name := range []string{"IncidentBody", "IncidentRecord", "IncidentDraft", "IncidentPage", "Problem"} {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
	ids := map[string]string{}
	for path, item := range doc.Paths {
		for method, o := range item {
			if o.OperationID == "" || o.Summary == "" || ids[o.OperationID] != "" {
				t.Errorf("%s %s: operation %q (also %s), summary %q", method, path, o.OperationID, ids[o.OperationID], o.Summary)
			}
			ids[o.OperationID] = path
		}
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllSubmatch(b, -1) {
		if doc.Components.Schemas[string(ref[1])] == nil {
			t.Errorf("no schema %s", ref[1])
		}
	}
	h := newHouse(t)
	page := h.anybody().do("GET", "/docs", nil).want(200)
	if regexp.MustCompile(`(src|href)="(https?:)?//`).Match(page.body) || !bytes.Contains(page.body, []byte("schema-IncidentBody")) || !bytes.Contains(page.body, []byte("curl")) {
		t.Errorf("docs page: %.400s", page.body)
	}
	if served := h.anybody().do("GET", "/openapi.json", nil).want(200); !json.Valid(served.body) {
		t.Error("openapi.json")
	}
}

func TestMetricsAreForThisMachineAndAdministrators(t *testing.T) {
	h := newHouse(t)
	h.token("ht.cc/ana").report()
	res := h.anybody().do("GET", "/metrics", nil).want(200) // a test comes from this machine
	for _, name := range []string{`http_requests_total{code="201",method="POST",route="/api/v1/records/incident"} 1`, "konbit_ledger_entries", "konbit_commits_total", "konbit_feed_readers"} {
		if !bytes.Contains(res.body, []byte(name)) {
			t.Errorf("no %s in %s", name, res.body)
		}
	}
	h.anybody().do("GET", "/metrics", nil, "X-Forwarded-For", "203.0.113.7").problem(401, "unsigned")
	h.token("ht.cc/ana").do("GET", "/metrics", nil, "X-Forwarded-For", "203.0.113.7").problem(403, "denied")
	h.token("ht.cc/root", "admin").do("GET", "/metrics", nil, "X-Forwarded-For", "203.0.113.7").want(200)
}

func TestReadyAsksTheStore(t *testing.T) {
	h := newHouse(t, func(c *web.Config) { c.Ready = func(context.Context) error { return errors.New("secret cause") } })
	if p := h.anybody().do("GET", "/readyz", nil).problem(503, "unavailable"); strings.Contains(p.Detail, "secret") {
		t.Error(p.Detail)
	}
}

func TestAttachmentIsForThoseWhoSeeTheRecord(t *testing.T) {
	h := newHouse(t)
	ana, luis := h.token("ht.cc/ana"), h.token("do.911/luis")
	var b bytes.Buffer
	png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 40, 30)))
	var a struct {
		Hash, Type string
		Size       int64
	}
	ana.do("POST", "/api/v1/attachments?name=wout.png", b.Bytes(), "Content-Type", "text/html").want(201).json(&a)
	luis.do("POST", incidents, h.incident(set("attachments", []any{a}))).problem(422, "invalid", "attachments[0]:unknown")
	r := ana.report(set("marking", m{"tlp": "AMBER"}), set("attachments", []any{m{"hash": a.Hash, "type": "text/html", "size": 1, "name": "wout.png"}}))
	path := at(r) + "/attachments/" + a.Hash
	res := ana.do("GET", path, nil).want(200)
	if res.Header.Get("Content-Type") != a.Type || !strings.HasPrefix(a.Type, "image/") || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "inline") || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") ||
		!strings.HasPrefix(res.Header.Get("Cache-Control"), "private") || int64(len(res.body)) != a.Size {
		t.Errorf("%v", res.Header)
	}
	ana.do("GET", path+"?size=thumb", nil).want(200)
	ana.do("GET", path+"?size=huge", nil).problem(422, "invalid", "size:enum")
	ana.do("GET", at(r)+"/attachments/"+strings.Repeat("0", 64), nil).problem(404, "not-found")
	luis.do("GET", path, nil).problem(404, "not-found")
	other := ana.report()
	ana.do("GET", at(other)+"/attachments/"+a.Hash, nil).problem(404, "not-found")
	ana.do("POST", "/api/v1/attachments", "<script>alert(1)</script>").problem(422, "invalid")
	h.anybody().do("POST", "/api/v1/attachments", b.Bytes()).problem(401, "unsigned")
}
