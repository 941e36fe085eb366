package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
	"konbit/transfer"
)

// OGC API - Features - Part 1: Core, version 1.0.1 (OGC 17-069r4), over every
// kind that is drawn on maps. Section numbers below are of that document.

const (
	ogcRoot    = "/ogc"
	ogcLimit   = 10 // features of a page, when nothing is said
	geoJSON    = "application/geo+json"
	openAPI30  = "application/vnd.oai.openapi+json;version=3.0"
	htmlType   = "text/html; charset=utf-8"
	ogcCRS     = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
	ogcClasses = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/"
)

// ogcConforms are the conformance classes of Part 1 that are kept (§7.4).
var ogcConforms = []string{ogcClasses + "core", ogcClasses + "geojson", ogcClasses + "oas30"}

// ogcLink is a link of §5.2.
type ogcLink struct {
	Href  string `json:"href"`
	Rel   string `json:"rel"`
	Type  string `json:"type,omitempty"`
	Title string `json:"title,omitempty"`
}

// ogcCollection is a collection of §7.14. Its extent is always the whole world
// and all of time: an extent of the records would tell where they are to people
// who may not see them.
type ogcCollection struct {
	ID          string    `json:"id"`
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Links       []ogcLink `json:"links"`
	Extent      ogcExtent `json:"extent"`
	ItemType    string    `json:"itemType"`
	CRS         []string  `json:"crs"`
}

type ogcExtent struct {
	Spatial struct {
		BBox [][4]float64 `json:"bbox"`
		CRS  string       `json:"crs"`
	} `json:"spatial"`
	Temporal struct {
		Interval [][2]*string `json:"interval"`
		TRS      string       `json:"trs"`
	} `json:"temporal"`
}

// ogcFeature is a feature of RFC 7946 §3.2. Geometry is null where a record has
// none.
type ogcFeature struct {
	Type       string           `json:"type"`
	ID         record.ID        `json:"id"`
	Geometry   *record.Geometry `json:"geometry"`
	Properties json.RawMessage  `json:"properties"`
	Links      []ogcLink        `json:"links,omitempty"`
}

// ogcFeatures is a page of §7.15.8. numberMatched is left out: counting all that
// match costs more than the page.
type ogcFeatures struct {
	Type           string       `json:"type"`
	Features       []ogcFeature `json:"features"`
	NumberReturned int          `json:"numberReturned"`
	TimeStamp      string       `json:"timeStamp"`
	Links          []ogcLink    `json:"links"`
}

// ogcRequest is a request once its form was chosen.
type ogcRequest struct {
	*http.Request
	w     http.ResponseWriter
	html  bool
	base  string // address of the landing page, without a slash at the end
	query url.Values
	links []ogcLink // of the answer, also in its Link header
}

// ogcParams are the parameters that every resource takes.
var ogcParams = []string{"f", "purpose"}

func (s *Server) registerOGC() {
	get := func(path string, h func(*ogcRequest) error, params ...string) {
		s.handle(huma.Operation{Method: http.MethodGet, Path: ogcRoot + path}, func(w http.ResponseWriter, r *http.Request) error {
			q, err := s.ogcRequest(w, r, params)
			if err == nil {
				err = h(q)
			}
			return ogcProblem(err)
		})
	}
	get("", s.ogcLanding)
	get("/{$}", s.ogcLanding)
	get("/conformance", s.ogcConformance)
	get("/api", s.ogcAPI)
	get("/collections", s.ogcCollections)
	get("/collections/{kind}", s.ogcCollectionPage)
	get("/collections/{kind}/items", s.ogcItems, "*")
	get("/collections/{kind}/items/{id}", s.ogcItem)
}

// ogcProblem gives input that is not valid the status that the standard asks for
// (§7.5.1: 400).
func ogcProblem(err error) error {
	if err == nil || errors.Is(err, errGone) {
		return err
	}
	p := *problemOf(err)
	if p.Code == record.Invalid {
		p.Status = http.StatusBadRequest
	}
	return &p
}

// ogcRequest chooses the form of the answer and refuses parameters that are not
// in the API definition (§7.5.1). params may be "*": the handler checks them.
func (s *Server) ogcRequest(w http.ResponseWriter, r *http.Request, params []string) (*ogcRequest, error) {
	scheme := "http"
	if s.cfg.Secure || r.TLS != nil || s.cfg.TrustProxy && r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, record.Fields{{Path: "query", Code: "invalid", Message: "the query string is malformed"}}.Err("ogc")
	}
	q := &ogcRequest{Request: r, w: w, base: scheme + "://" + r.Host + ogcRoot, query: values}
	var f record.Fields
	if !slices.Contains(params, "*") {
		for name := range values {
			if !slices.Contains(ogcParams, name) {
				f.Add(name, "unknown", "no such parameter")
			}
		}
	}
	switch form := values.Get("f"); form {
	case "json":
	case "html":
		q.html = true
	case "":
		q.html = prefersHTML(r.Header.Get("Accept"))
	default:
		f.Add("f", "enum", "must be json or html")
	}
	w.Header().Add("Vary", "Accept, Authorization, Cookie")
	return q, f.Err("ogc")
}

// prefersHTML reports whether a page is named before JSON.
func prefersHTML(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		m, _, _ := strings.Cut(part, ";")
		switch m = strings.ToLower(strings.TrimSpace(m)); {
		case m == "text/html", m == "application/xhtml+xml":
			return true
		case strings.HasSuffix(m, "json"), m == "*/*", m == "application/*":
			return false
		}
	}
	return false
}

// link adds a link to the answer.
func (q *ogcRequest) link(rel, href, typ, title string) {
	q.links = append(q.links, ogcLink{Href: href, Rel: rel, Type: typ, Title: title})
}

// self adds the links to this resource and to its other form (§7.15.5 and others).
func (q *ogcRequest) self(typ string) {
	at := q.base + strings.TrimPrefix(q.URL.EscapedPath(), ogcRoot)
	other := func(f string) string {
		v := url.Values{}
		for name, vs := range q.query {
			v[name] = vs
		}
		v.Set("f", f)
		return at + "?" + v.Encode()
	}
	rels := [2]string{"self", "alternate"}
	if q.html {
		rels = [2]string{"alternate", "self"}
	}
	q.link(rels[0], other("json"), typ, "This document as JSON")
	q.link(rels[1], other("html"), "text/html", "This document as a page")
}

// answer writes v, or the page that shows it.
func (q *ogcRequest) answer(typ string, v any, page *ogcPage) error {
	h := q.w.Header()
	for _, l := range q.links {
		text := fmt.Sprintf(`<%s>; rel="%s"`, l.Href, l.Rel)
		if l.Type != "" {
			text += fmt.Sprintf(`; type="%s"`, l.Type)
		}
		h.Add("Link", text)
	}
	var b bytes.Buffer
	if q.html {
		page.Base, page.Links = q.base, q.links
		if err := ogcTemplate.Execute(&b, page); err != nil {
			return err
		}
		h.Set("Content-Type", htmlType)
		return write(q.w, b.Bytes())
	}
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		return err
	}
	h.Set("Content-Type", typ)
	return write(q.w, b.Bytes())
}

// ogcLanding is the landing page of §7.2.
func (s *Server) ogcLanding(q *ogcRequest) error {
	q.self("application/json")
	q.link("service-desc", q.base+"/api", openAPI30, "The definition of this API")
	q.link("service-doc", strings.TrimSuffix(q.base, ogcRoot)+"/docs", "text/html", "All of the node's API")
	q.link("conformance", q.base+"/conformance", "application/json", "What it conforms to")
	q.link("data", q.base+"/collections", "application/json", "The collections")
	title := s.cfg.Node.Name
	if title == "" {
		title = "Konbit"
	}
	const text = "Records that have a place, as features. What you see is what you may see: come with a token, as Authorization: Bearer."
	return q.answer("application/json", map[string]any{"title": title, "description": text, "links": q.links}, &ogcPage{Title: title, Words: text})
}

func (s *Server) ogcConformance(q *ogcRequest) error {
	q.self("application/json")
	page := &ogcPage{Title: "Conformance"}
	for _, c := range ogcConforms {
		page.Rows = append(page.Rows, []ogcCell{{Text: c}})
	}
	return q.answer("application/json", map[string]any{"conformsTo": ogcConforms}, page)
}

func (s *Server) ogcAPI(q *ogcRequest) error {
	if q.html {
		http.Redirect(q.w, q.Request, "/docs", http.StatusSeeOther)
		return nil
	}
	return q.answer(openAPI30, s.ogcDocument(q.base), nil)
}

// ogcReader returns who asks, who must be signed in.
func (s *Server) ogcReader(q *ogcRequest) (*policy.Reader, error) { return s.signedIn(q.Context()) }

// ogcKind returns the collection of the request. One whose desk the reader may
// not read is not there.
func (s *Server) ogcKind(q *ogcRequest) (*desk.Kind, *policy.Reader, error) {
	r, err := s.ogcReader(q)
	if err != nil {
		return nil, nil, err
	}
	k := s.cfg.Desks.Kind(q.PathValue("kind"))
	if k == nil || !k.Placed() || !r.CanRead(k) {
		return nil, nil, record.Errorf(record.NotFound, "ogc", "there is no such collection, or you may not read it")
	}
	return k, r, nil
}

// ogcCollection describes a kind in the reader's language.
func (s *Server) ogcCollection(q *ogcRequest, r *policy.Reader, k *desk.Kind) ogcCollection {
	lang := "en"
	if p := s.cfg.Accounts.Directory().People[r.Person]; p != nil {
		lang = p.Lang
	}
	words := s.cfg.Desks.Labels(k.Desk)
	c := ogcCollection{ID: k.Name, Title: words["kinds."+k.Name].In(lang), Description: words["desk"].In(lang), ItemType: "feature", CRS: []string{ogcCRS}}
	at := q.base + "/collections/" + k.Name
	c.Links = []ogcLink{
		{Href: at, Rel: "self", Type: "application/json", Title: c.Title},
		{Href: at + "/items", Rel: "items", Type: geoJSON, Title: c.Title},
		{Href: at + "/items?f=html", Rel: "items", Type: "text/html", Title: c.Title},
	}
	c.Extent.Spatial.BBox, c.Extent.Spatial.CRS = [][4]float64{{-180, -90, 180, 90}}, ogcCRS
	c.Extent.Temporal.Interval, c.Extent.Temporal.TRS = [][2]*string{{nil, nil}}, "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
	return c
}

func (s *Server) ogcCollections(q *ogcRequest) error {
	r, err := s.ogcReader(q)
	if err != nil {
		return err
	}
	q.self("application/json")
	all, page := []ogcCollection{}, &ogcPage{Title: "Collections"}
	for _, name := range s.cfg.Desks.KindNames() {
		if k := s.cfg.Desks.Kind(name); k.Placed() && r.CanRead(k) {
			c := s.ogcCollection(q, r, k)
			all = append(all, c)
			page.Rows = append(page.Rows, []ogcCell{{Text: c.Title, Href: q.base + "/collections/" + name + "?f=html"}})
		}
	}
	return q.answer("application/json", map[string]any{"links": q.links, "collections": all}, page)
}

func (s *Server) ogcCollectionPage(q *ogcRequest) error {
	k, r, err := s.ogcKind(q)
	if err != nil {
		return err
	}
	c := s.ogcCollection(q, r, k)
	q.self("application/json")
	c.Links = append(q.links, c.Links[1:]...)
	q.links = c.Links
	return q.answer("application/json", c, &ogcPage{Title: c.Title, Words: c.Description})
}

// ogcFilters are the facets by which a collection is filtered (§7.15.5), by the
// names of its properties.
func ogcFilters(k *desk.Kind) map[string]*desk.Field {
	m := map[string]*desk.Field{}
	fields := k.Fields()
	for i := range fields {
		if f := &fields[i]; f.Facet {
			m[transfer.Column(f.Path)] = f
		}
	}
	return m
}

// ogcFilter reads the parameters of a page: §7.15.2 to §7.15.5.
func ogcFilter(k *desk.Kind, values url.Values) (*query.Filter, error) {
	out := &query.Filter{Limit: ogcLimit, Facet: map[string][]string{}}
	var f record.Fields
	facets := ogcFilters(k)
	for name, vs := range values {
		v := vs[len(vs)-1]
		bad := func(code, msg string) { f.Add(name, code, msg) }
		if !utf8.ValidString(v) || strings.ContainsAny(v, "\x00\x1f") || len(vs) > 1 {
			bad("invalid", "must be given once, as valid UTF-8")
			continue
		}
		switch name {
		case "f", "purpose":
		case "limit":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				bad("range", "must be a whole number from 1")
			}
			out.Limit = min(n, query.MaxPage) // more than we give is no error (§7.15.2)
		case "bbox":
			var msg string
			if out.Box, msg = ogcBox(v); msg != "" {
				bad("invalid", msg)
			}
		case "datetime":
			var ok bool
			if out.From, out.To, ok = ogcTimes(v); !ok {
				bad("time", "must be a time (RFC 3339) or start/end, either of which may be ..")
			}
		case "cursor":
			out.Cursor = v
		case "state":
			if out.States = list(v); !contains(k.States(), out.States) {
				bad("enum", "must be one of "+strings.Join(k.States(), ", "))
			}
		case "owner":
			out.Owners = list(v)
			if len(out.Owners) == 0 || slices.ContainsFunc(out.Owners, func(s string) bool { return !record.AgencyID(s) }) {
				bad("invalid", "must be an agency such as ht.pnh")
			}
		default:
			fd := facets[name]
			if fd == nil {
				bad("unknown", "no such parameter")
				continue
			}
			one := list(v)
			if fd.Enum != nil && !contains(fd.Enum, one) {
				bad("enum", "must be one of "+strings.Join(fd.Enum, ", "))
			}
			if len(one) > 0 {
				out.Facet[fd.Path] = one
			}
		}
	}
	slices.SortFunc(f, func(a, b record.Field) int { return strings.Compare(a.Path, b.Path) })
	return out, f.Err(k.Name + ".items")
}

func contains(all, some []string) bool {
	return len(some) > 0 && !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// ogcBox reads a bbox of four numbers, or of six with heights that are not used
// (§7.15.3).
func ogcBox(v string) (*record.Box, string) {
	if n, ok := floats(v, 6); ok {
		if n[2] > n[5] {
			return nil, "the lower height must not lie above the upper"
		}
		v = fmt.Sprintf("%g,%g,%g,%g", n[0], n[1], n[3], n[4])
	}
	b, msg := parseBox(v)
	if msg != "" {
		return nil, "must be west,south,east,north, or the same with heights: " + msg
	}
	return b, ""
}

// ogcTimes reads an instant or an interval (§7.15.4) as from <= t < to. Times are
// kept to the microsecond.
func ogcTimes(v string) (from, to time.Time, ok bool) {
	start, end, interval := strings.Cut(v, "/")
	if !interval {
		end = start
	}
	open := func(s string) bool { return interval && (s == "" || s == "..") }
	if interval && open(start) && open(end) && v != "../.." {
		return from, to, false
	}
	if !open(start) {
		if from, ok = parseTime(start); !ok {
			return from, to, false
		}
	}
	if !open(end) {
		if to, ok = parseTime(end); !ok {
			return from, to, false
		}
		if len(end) == len(time.DateOnly) {
			to = to.Add(24 * time.Hour)
		} else {
			to = to.Truncate(time.Microsecond).Add(time.Microsecond)
		}
	}
	return from, to, from.IsZero() || to.IsZero() || from.Before(to)
}

func (s *Server) ogcItems(q *ogcRequest) error {
	k, r, err := s.ogcKind(q)
	if err != nil {
		return err
	}
	f, err := ogcFilter(k, q.query)
	if err != nil {
		return err
	}
	page, err := s.cfg.Records.List(q.Context(), r, k.Name, f)
	if err != nil {
		return err
	}
	q.self(geoJSON)
	at := q.base + "/collections/" + k.Name
	if page.Next != "" {
		next := url.Values{}
		for name, vs := range q.query {
			next[name] = vs
		}
		next.Set("cursor", page.Next)
		typ := geoJSON
		if q.html {
			typ = "text/html"
		}
		q.link("next", at+"/items?"+next.Encode(), typ, "The next page")
	}
	q.link("collection", at, "application/json", "The collection")
	out := ogcFeatures{Type: "FeatureCollection", Features: make([]ogcFeature, 0, len(page.Items)), NumberReturned: len(page.Items), TimeStamp: s.cfg.Now().UTC().Format(time.RFC3339), Links: q.links}
	view := &ogcPage{Title: s.ogcCollection(q, r, k).Title, Columns: []string{"id", "state", "owner", "observed", "tlp"}}
	for _, it := range page.Items {
		if q.html {
			rec := it.Record
			view.Rows = append(view.Rows, []ogcCell{{Text: rec.ID.String(), Href: at + "/items/" + rec.ID.String() + "?f=html"}, {Text: rec.State}, {Text: rec.Owner},
				{Text: rec.Observed.Format(time.RFC3339)}, {Text: string(rec.Marking.TLP)}})
			continue
		}
		ft, err := ogcFeatureOf(k, it)
		if err != nil {
			return err
		}
		out.Features = append(out.Features, ft)
	}
	return q.answer(geoJSON, out, view)
}

func ogcFeatureOf(k *desk.Kind, it *store.Stored) (ogcFeature, error) {
	f := ogcFeature{Type: "Feature", ID: it.Record.ID}
	if p := it.Record.Place; p != nil {
		f.Geometry = p.Geometry
	}
	var err error
	f.Properties, err = transfer.Properties(k, it.Record)
	return f, err
}

func (s *Server) ogcItem(q *ogcRequest) error {
	k, r, err := s.ogcKind(q)
	if err != nil {
		return err
	}
	id, err := pathID(q.Request, k)
	if err != nil {
		return err
	}
	it, err := s.cfg.Records.Get(q.Context(), r, k.Name, id, "open")
	if err != nil {
		return err
	}
	ft, err := ogcFeatureOf(k, it)
	if err != nil {
		return err
	}
	q.self(geoJSON)
	q.link("collection", q.base+"/collections/"+k.Name, "application/json", "The collection")
	ft.Links = q.links
	view := &ogcPage{Title: s.ogcCollection(q, r, k).Title, Words: id.String()}
	if q.html {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(ft.Properties, &members); err != nil {
			return err
		}
		for _, name := range ogcNames(k) {
			if v, ok := members[name]; ok {
				view.Rows = append(view.Rows, []ogcCell{{Text: name}, {Text: unquoted(v)}})
			}
		}
	}
	return q.answer(geoJSON, ft, view)
}

// ogcNames lists the properties of a kind in order.
func ogcNames(k *desk.Kind) []string {
	return slices.DeleteFunc(transfer.Columns(k), func(c string) bool { return c == "id" || c == "lon" || c == "lat" || c == "geometry" })
}

// unquoted shows a value to a person: a text without its quotes.
func unquoted(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	return string(v)
}
