package web_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"konbit/record"
)

// features reads a page of features, and follows it to the last one.
type features struct {
	Type           string
	NumberReturned *int
	NumberMatched  *int
	TimeStamp      string
	Features       []struct {
		Type       string
		ID         string
		Geometry   *record.Geometry
		Properties map[string]any
	}
	Links []struct{ Href, Rel, Type string }
}

func (f *features) link(rel string) string {
	for _, l := range f.Links {
		if l.Rel == rel {
			return l.Href
		}
	}
	return ""
}

const ogcIncidents = "/ogc/collections/incident/items"

// allFeatures follows the links to the next page.
func (c *client) allFeatures(query string) (ids []string, pages int) {
	c.h.t.Helper()
	path := ogcIncidents + "?" + query
	for path != "" {
		var f features
		res := c.do("GET", path, nil).want(200)
		res.json(&f)
		if f.NumberReturned == nil || *f.NumberReturned != len(f.Features) || f.NumberMatched != nil || f.Type != "FeatureCollection" {
			c.h.t.Fatalf("page: %.400s", res.body)
		}
		for _, ft := range f.Features {
			ids = append(ids, ft.ID)
		}
		next := f.link("next")
		if path = strings.TrimPrefix(next, c.h.srv.URL); path == next && next != "" {
			c.h.t.Fatalf("next leads elsewhere: %s", next)
		}
		if pages++; pages > 100 {
			c.h.t.Fatal("pages without end")
		}
	}
	return ids, pages
}

// bulk creates incidents, n of them.
func (c *client) bulkIncidents(n int, change ...func(i int, d m)) {
	c.h.t.Helper()
	var b strings.Builder
	for i := range n {
		d := c.h.incident(set("body.title", fmt.Sprintf("incident %d", i)), set("place.geometry.coordinates", []float64{-72 - float64(i)/1000, 18.5}))
		for _, f := range change {
			f(i, d)
		}
		line, err := json.Marshal(d)
		if err != nil {
			c.h.t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	res := c.do("POST", incidents, b.String(), "Content-Type", "application/x-ndjson").want(200)
	if k := strings.Count(string(res.body), `"created"`); k != n {
		c.h.t.Fatalf("%d of %d created: %.500s", k, n, res.body)
	}
}

func TestOGCResourcesLeadToEachOther(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	ana.report()
	var landing struct {
		Links []struct{ Href, Rel, Type string }
	}
	for _, path := range []string{"/ogc", "/ogc/"} {
		ana.do("GET", path, nil).want(200).json(&landing)
		for _, rel := range []string{"self", "alternate", "service-desc", "service-doc", "conformance", "data"} {
			if !slices.ContainsFunc(landing.Links, func(l struct{ Href, Rel, Type string }) bool { return l.Rel == rel }) {
				t.Errorf("%s has no link %s", path, rel)
			}
		}
	}
	for _, l := range landing.Links {
		if l.Rel == "service-doc" {
			continue
		}
		res := ana.do("GET", strings.TrimPrefix(l.Href, h.srv.URL), nil).want(200)
		if got := res.Header.Get("Content-Type"); !strings.HasPrefix(got, l.Type) {
			t.Errorf("%s is %s, its link says %s", l.Href, got, l.Type)
		}
	}
	var c struct{ ConformsTo []string }
	ana.do("GET", "/ogc/conformance", nil).want(200).json(&c)
	if len(c.ConformsTo) != 3 {
		t.Errorf("conforms to %v", c.ConformsTo)
	}
	var all struct {
		Collections []struct {
			ID, Title string
			Extent    struct{ Spatial struct{ BBox [][]float64 } }
		}
	}
	ana.do("GET", "/ogc/collections", nil).want(200).json(&all)
	if len(all.Collections) < 2 || all.Collections[0].ID != "incident" || all.Collections[0].Title == "" {
		t.Fatalf("collections %+v", all)
	}
	if b := all.Collections[0].Extent.Spatial.BBox[0]; !slices.Equal(b, []float64{-180, -90, 180, 90}) {
		t.Errorf("the extent %v tells where records are", b)
	}
	var api struct {
		OpenAPI string
		Paths   map[string]struct {
			Get struct{ Parameters []struct{ Name string } }
		}
	}
	ana.do("GET", "/ogc/api", nil).want(200).json(&api)
	names := ""
	for _, p := range api.Paths["/collections/incident/items"].Get.Parameters {
		names += p.Name + " "
	}
	if !strings.HasPrefix(api.OpenAPI, "3.0") || !strings.Contains(names, "limit bbox datetime") || !strings.Contains(names, "severity") {
		t.Errorf("openapi %s, parameters %s", api.OpenAPI, names)
	}
	page := ana.do("GET", ogcIncidents, nil, "Accept", "text/html,application/json").want(200)
	if !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || !strings.Contains(string(page.body), "<table>") {
		t.Errorf("page for a person: %.300s", page.body)
	}
}

func TestOGCFeatureIsFlatAndNullWithoutPlace(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	r := ana.report(set("place.uncertainty", 250.0), set("body.source", m{"type": "call", "name": "Radyo"}), set("body.needs", []string{"water", "shelter"}))
	bare := ana.report(set("place", nil), set("body.title", `<script>alert("x")</script>`))
	var ft struct {
		Type       string
		ID         string
		Geometry   *record.Geometry
		Properties map[string]any
		Links      []struct{ Href, Rel string }
	}
	ana.do("GET", ogcIncidents+"/"+r.ID.String(), nil).want(200).json(&ft)
	p := ft.Properties
	if ft.Type != "Feature" || ft.Geometry == nil || p["owner"] != "ht.cc" || p["state"] != "reported" || p["tlp"] != "GREEN" || p["uncertainty"] != 250.0 ||
		p["source.name"] != "Radyo" || p["severity"] != "severe" || p["version"] != 1.0 || p["words"] != "dèyè mache a" || len(ft.Links) == 0 {
		t.Errorf("feature %+v", ft)
	}
	res := ana.do("GET", ogcIncidents+"/"+bare.ID.String(), nil).want(200)
	if !strings.Contains(string(res.body), `"geometry":null`) {
		t.Errorf("without a place: %s", res.body)
	}
	page := ana.do("GET", ogcIncidents+"/"+bare.ID.String()+"?f=html", nil).want(200)
	if strings.Contains(string(page.body), "<script>") {
		t.Error("the page runs what was reported")
	}
	ids, _ := ana.allFeatures("")
	if len(ids) != 2 {
		t.Errorf("%d features, want 2", len(ids))
	}
	if ids, _ := ana.allFeatures("bbox=-180,-90,180,90"); len(ids) != 1 {
		t.Errorf("%d features in the world, want the one with a place", len(ids))
	}
}

func TestOGCFiltersAsTheStandardSays(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	one := func(lon, lat float64, at, severity string) string {
		return ana.report(set("place.geometry.coordinates", []float64{lon, lat}), set("observed", at), set("body.severity", severity)).ID.String()
	}
	pap := one(-72.33, 18.54, "2026-04-01T12:00:00Z", "severe")
	jac := one(-72.53, 18.23, "2026-04-02T12:00:00Z", "minor")
	fiji := one(179.5, -17, "2026-04-03T12:00:00Z", "severe")
	samoa := one(-179.5, -17, "2026-04-04T12:00:00Z", "moderate")
	ana.do("POST", incidents+"/"+jac+"/verify", m{}).want(200)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"", []string{pap, jac, fiji, samoa}},
		{"bbox=-73,18.4,-72,19", []string{pap}},
		{"bbox=-73,18.4,-5,-72,19,100", []string{pap}},
		{"bbox=179,-20,-179,-10", []string{fiji, samoa}},
		{"datetime=2026-04-02T12:00:00Z", []string{jac}},
		{"datetime=2026-04-02", []string{jac}},
		{"datetime=2026-04-02T12:00:00Z/2026-04-03T12:00:00Z", []string{jac, fiji}},
		{"datetime=2026-04-02T12:00:01Z/2026-04-03T11:59:59Z", nil},
		{"datetime=2026-04-03/..", []string{fiji, samoa}},
		{"datetime=../2026-04-01T12:00:00Z", []string{pap}},
		{"datetime=/2026-04-01T12:00:00Z", []string{pap}},
		{"datetime=../..", []string{pap, jac, fiji, samoa}},
		{"state=verified", []string{jac}},
		{"severity=severe", []string{pap, fiji}},
		{"severity=severe,minor&bbox=-75,10,-70,20", []string{pap, jac}},
		{"owner=do.911", nil},
		{"limit=1", []string{pap, jac, fiji, samoa}},
		{"limit=10000", []string{pap, jac, fiji, samoa}},
	} {
		got, pages := ana.allFeatures(c.query)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(c.want))
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.query, got, want)
		}
		if c.query == "limit=1" && pages != 4 {
			t.Errorf("%d pages of one, want 4", pages)
		}
	}
	for _, c := range [][2]string{
		{"colour=red", "colour:unknown"}, {"limit=0", "limit:range"}, {"limit=x", "limit:range"}, {"bbox=1,2,3", "bbox:invalid"}, {"bbox=-72,95,-71,96", "bbox:invalid"}, {"bbox=-72,19,-71,18", "bbox:invalid"},
		{"datetime=yesterday", "datetime:time"}, {"datetime=2026-04-03/2026-04-01", "datetime:time"}, {"state=lost", "state:enum"}, {"severity=bad", "severity:enum"},
		{"f=xml", "f:enum"}, {"cursor=AAAA", "cursor:invalid"}, {"title=x", "title:unknown"}, {"limit=1&limit=2", "limit:invalid"},
	} {
		ana.do("GET", ogcIncidents+"?"+c[0], nil).problem(400, "invalid", c[1])
	}
	ana.do("GET", "/ogc/collections?limit=3", nil).problem(400, "invalid", "limit:unknown")
	ana.do("GET", "/ogc/collections/nothing/items", nil).problem(404, "not-found")
	ana.do("GET", ogcIncidents+"/nothing", nil).problem(404, "not-found")
}

func TestOGCShowsWhatTheReaderMaySee(t *testing.T) {
	h := newHouse(t)
	ana, luis := h.token("ht.cc/ana"), h.token("do.911/luis")
	green := ana.report().ID.String()
	amber := ana.report(set("marking", m{"tlp": "AMBER"})).ID.String()
	ana.report(set("marking", m{"tlp": "AMBER", "caveats": []string{"victim"}}))
	if ids, _ := ana.allFeatures(""); len(ids) != 2 {
		t.Errorf("without a purpose ana sees %d, want 2", len(ids))
	}
	if ids, pages := ana.allFeatures("limit=1&purpose=" + q("chèche temwen")); len(ids) != 3 || pages != 3 {
		t.Errorf("with a purpose ana sees %d on %d pages, want 3 on 3", len(ids), pages)
	}
	if ids, _ := luis.allFeatures(""); !slices.Equal(ids, []string{green}) {
		t.Errorf("luis sees %v, want the green one", ids)
	}
	luis.do("GET", ogcIncidents+"/"+amber, nil).problem(404, "not-found")
	if ids, _ := h.token("ht.cc/view").allFeatures(""); len(ids) != 2 {
		t.Errorf("a viewer without clearance sees %d, want 2", len(ids))
	}
	h.token("ht.cc/root").do("GET", ogcIncidents, nil).problem(404, "not-found") // no right to read the desk
	h.token("ht.cc/ana", "write").do("GET", ogcIncidents, nil).problem(404, "not-found")
	stranger := &client{h: h}
	stranger.do("GET", ogcIncidents, nil).problem(401, "unsigned")
	stranger.do("GET", "/ogc/collections", nil).problem(401, "unsigned")
	stranger.do("GET", "/ogc/", nil).want(200)
	// A page of one reader's leads another nowhere.
	ana.report()
	var f features
	ana.do("GET", ogcIncidents+"?limit=1", nil).want(200).json(&f)
	u, err := url.Parse(f.link("next"))
	if err != nil || u.Query().Get("cursor") == "" {
		t.Fatalf("next %q: %v", f.link("next"), err)
	}
	luis.do("GET", u.RequestURI(), nil).problem(400, "invalid", "cursor:invalid")
}

func TestOgrinfoListsAndPagesIncidents(t *testing.T) {
	ogrinfo, err := exec.LookPath("ogrinfo")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("ogrinfo is not here, and make test should have installed it")
	}
	if err != nil {
		t.Skip("ogrinfo is not here: apt install gdal-bin")
	}
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	ana.bulkIncidents(130, func(i int, d m) {
		if i%13 == 0 {
			delete(d, "place")
		}
	})
	run := func(args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), ogrinfo, args...)
		c.Env = append(os.Environ(), "GDAL_HTTP_HEADERS=Authorization: "+ana.header.Get("Authorization"), "GDAL_HTTP_TIMEOUT=30", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
		out, err := c.CombinedOutput()
		if err != nil || strings.Contains(string(out), "ERROR") {
			t.Fatalf("ogrinfo %v: %v\n%.2000s", args, err, out)
		}
		return string(out)
	}
	source := "OAPIF:" + h.srv.URL + "/ogc"
	layers := run("-ro", source)
	if !strings.Contains(layers, "incident") || !strings.Contains(layers, "sitrep") {
		t.Errorf("layers:\n%s", layers)
	}
	out := run("-ro", "-oo", "PAGE_SIZE=40", source, "incident")
	if n := strings.Count(out, "OGRFeature(incident)"); n != 130 {
		t.Errorf("ogrinfo lists %d incidents, want 130:\n%.1500s", n, out)
	}
	if n := strings.Count(out, "POINT ("); n != 120 {
		t.Errorf("%d points, want 120", n)
	}
	for _, want := range []string{"severity (String) = severe", "title (String) = incident 129", "owner (String) = ht.cc", "observed (DateTime) = 2026/05/01 12:00:00"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in ogrinfo's output", want)
		}
	}
	near := run("-ro", "-spat", "-72.0505", "18", "-72.0495", "19", source, "incident")
	if n := strings.Count(near, "OGRFeature(incident)"); n != 1 {
		t.Errorf("%d incidents in a small window, want 1", n)
	}
}
