package web

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/name"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
	"konbit/transfer"
	"konbit/wire/table"
)

const records = "/api/v1/records/"

// registerRecords puts every kind under an address of its own, so that the
// document can say what its bodies hold.
func (s *Server) registerRecords() {
	for _, name := range s.cfg.Desks.KindNames() {
		k := s.cfg.Desks.Kind(name)
		s.describe(k)
		s.registerReads(k)
		s.registerWrites(k)
		s.registerOneReads(k)
	}
	s.handle(huma.Operation{
		OperationID: "search", Method: http.MethodGet, Path: "/api/v1/search", Summary: "Find words in every kind that you may read", Tags: []string{"search"},
		Parameters: []*huma.Param{inQuery("q", "Words that must all occur", &huma.Schema{Type: "string"}), inQuery("limit", "At most 100", &huma.Schema{Type: "integer"})},
		Responses:  map[string]*huma.Response{"200": s.answer("What was found, newest first", Found{})},
	}, s.search)
}

// kindHandler is a handler that knows its kind.
type kindHandler func(w http.ResponseWriter, r *http.Request, k *desk.Kind) error

// route registers one operation of a kind. Path is what follows the kind.
func (s *Server) route(k *desk.Kind, method, path, id, summary string, op huma.Operation, h kindHandler) {
	op.Method, op.Path, op.Summary = method, records+k.Name+path, summary
	op.OperationID = id + "-" + k.Name
	op.Tags = []string{k.Name}
	if strings.Contains(path, "{id}") {
		op.Parameters = append([]*huma.Param{inPath("id", "The record's identifier", idSchema)}, op.Parameters...)
	}
	s.handle(op, func(w http.ResponseWriter, r *http.Request) error { return h(w, r, k) })
}

func (s *Server) registerReads(k *desk.Kind) {
	text := &huma.Schema{Type: "string"}
	page := append(filterParams(k),
		inQuery("sort", "-recorded, newest learned first, or -observed", &huma.Schema{Type: "string", Enum: []any{"-recorded", "-observed"}}),
		inQuery("limit", "Records of a page, 50 unless said otherwise", &huma.Schema{Type: "integer", Minimum: num(1), Maximum: num(query.MaxPage)}),
		inQuery("cursor", "Continue: next of the page before", text),
		inQuery("format", "Instead of Accept; all but json send every page", &huma.Schema{Type: "string", Enum: []any{"json", "ndjson", "csv", "geojson", "xlsx"}}))
	listed := &huma.Response{Description: "One page; or, asked for as NDJSON, CSV, GeoJSON or XLSX, all records", Content: map[string]*huma.MediaType{
		"application/json":     {Schema: &huma.Schema{Ref: "#/components/schemas/" + typeTitle(k) + "Page"}},
		"application/x-ndjson": {Schema: text}, "text/csv": {Schema: text}, "application/geo+json": {Schema: &huma.Schema{Type: "object"}},
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
	}}
	s.route(k, http.MethodGet, "", "list", "List what you may see", huma.Operation{Parameters: page, Responses: map[string]*huma.Response{"200": listed}}, s.list)
	s.route(k, http.MethodGet, "/count", "count", "Count what a list would show, by value and day", huma.Operation{
		Parameters: filterParams(k), Responses: map[string]*huma.Response{"200": s.answer("The counts", query.Count{})}}, s.count)
	if k.Placed() {
		op := huma.Operation{OperationID: "map-" + k.Name, Method: http.MethodGet, Path: "/api/v1/map/" + k.Name, Summary: "What a map draws in a window", Tags: []string{k.Name},
			Parameters: append(filterParams(k), inQuery("zoom", "Zoom of a web map, 0 to 24", &huma.Schema{Type: "number"})),
			Responses:  map[string]*huma.Response{"200": s.answer("Records one by one, and clusters where they are dense", query.MapView{})}}
		s.handle(op, func(w http.ResponseWriter, r *http.Request) error { return s.mapView(w, r, k) })
	}
}

func (s *Server) registerOneReads(k *desk.Kind) {
	one := &huma.Response{Description: "The record", Content: map[string]*huma.MediaType{"application/json": {Schema: recordRef(k)}},
		Headers: map[string]*huma.Param{"ETag": {Description: "The version, in quotes", Schema: &huma.Schema{Type: "string"}}}}
	ok := func(text string, v any) huma.Operation {
		return huma.Operation{Responses: map[string]*huma.Response{"200": s.answer(text, v)}}
	}
	s.route(k, http.MethodGet, "/{id}", "get", "Open a record", huma.Operation{
		Parameters: []*huma.Param{inQuery("version", "An earlier version", &huma.Schema{Type: "integer", Minimum: num(1)}), inHeader("If-None-Match", "The version that you have, in quotes"),
			inHeader("Konbit-Purpose", "Why you look, URL-encoded: asked for when the record is protected")},
		Responses: map[string]*huma.Response{"200": one, "304": {Description: "You have this version"}},
	}, s.get)
	s.route(k, http.MethodGet, "/{id}/history", "history", "Every version, with what changed and whether its signature holds", ok("Newest first", History{}), s.history)
	audience := ok("Each agency, and why it can see the record", AudienceView{})
	audience.Parameters = []*huma.Param{inQuery("marking", "Preview: a marking as JSON", &huma.Schema{Type: "string"})}
	s.route(k, http.MethodGet, "/{id}/audience", "audience", "Who can see a record, or could under another marking", audience, s.audience)
	s.route(k, http.MethodGet, "/{id}/similar", "similar", "Possible duplicates, likeliest first", ok("Suggestions with their reasons", SimilarView{}), s.similar)
	s.route(k, http.MethodGet, "/{id}/links", "links", "What the record links to and what links to it", ok("Only what you may see", LinksView{}), s.links)
	looks := ok("Newest first", LooksView{})
	looks.Parameters = []*huma.Param{inQuery("cursor", "Continue: next of the page before", &huma.Schema{Type: "string"})}
	s.route(k, http.MethodGet, "/{id}/looks", "looks", "Who looked, and why: for auditors and supervisors of the owner", looks, s.looks)
}

func num(v float64) *float64 { return &v }

// pathID reads the record's identifier. What is no identifier names no record.
func pathID(r *http.Request, k *desk.Kind) (record.ID, error) {
	id, err := record.ParseID(r.PathValue("id"))
	if err != nil {
		return id, record.Errorf(record.NotFound, k.Name+".get", "there is no such record, or you may not see it")
	}
	return id, nil
}

func (s *Server) asked(r *http.Request, k *desk.Kind) (*asked, *policy.Reader, error) {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return nil, reader, err
	}
	a, err := parseFilter(k, reader, r.URL.RawQuery)
	return a, reader, err
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	a, reader, err := s.asked(r, k)
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	if format := wanted(a.format, r.Header.Get("Accept")); format != "json" {
		return s.export(w, r, k, reader, &a.Filter, format)
	}
	if a.name != "" {
		return s.names(w, r, k, reader, a)
	}
	page, err := s.cfg.Records.List(r.Context(), reader, k.Name, &a.Filter)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i, it := range page.Items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(it.Raw)
	}
	b.WriteString(`]`)
	if page.Next != "" {
		b.WriteString(`,"next":` + strconv.Quote(page.Next))
	}
	if page.NeedsPurpose {
		b.WriteString(`,"purposeNeeded":true`)
	}
	b.WriteString("}\n")
	w.Header()["Content-Type"] = jsonType
	return write(w, b.Bytes())
}

// Likeness says why a record is among those with a like name.
type Likeness struct {
	ID    record.ID     `json:"id"`
	Name  string        `json:"name"`
	Score float64       `json:"score"`
	Why   []name.Reason `json:"why"`
}

// names answers with those whose names are the most like one.
func (s *Server) names(w http.ResponseWriter, r *http.Request, k *desk.Kind, reader *policy.Reader, a *asked) error {
	found, needs, err := s.cfg.Records.Names(r.Context(), reader, k.Name, a.name, &a.Filter)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	alike := make([]Likeness, len(found))
	for i, m := range found {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(m.Raw)
		alike[i] = Likeness{m.Record.ID, m.Name, m.Score, m.Why}
	}
	matches, err := json.Marshal(alike)
	if err != nil {
		return err
	}
	b.WriteString(`],"matches":`)
	b.Write(matches)
	if needs {
		b.WriteString(`,"purposeNeeded":true`)
	}
	b.WriteString("}\n")
	w.Header()["Content-Type"] = jsonType
	return write(w, b.Bytes())
}

// mediaTypes of an export.
var mediaTypes = map[string]string{
	"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8", "geojson": "application/geo+json",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// wanted picks the format: what is named first of what we can write.
func wanted(format, accept string) string {
	if format != "" {
		return format
	}
	for part := range strings.SplitSeq(accept, ",") {
		m, _, _ := strings.Cut(part, ";")
		switch strings.TrimSpace(strings.ToLower(m)) {
		case "application/json", "*/*", "application/*":
			return "json"
		case "application/x-ndjson", "application/ndjson", "application/jsonl":
			return "ndjson"
		case "text/csv":
			return "csv"
		case "application/geo+json":
			return "geojson"
		case mediaTypes["xlsx"]:
			return "xlsx"
		}
	}
	return "json"
}

// export sends all pages while they are read. When it cannot go on it cuts the
// connection, so that a part is not taken for the whole.
func (s *Server) export(w http.ResponseWriter, r *http.Request, k *desk.Kind, reader *policy.Reader, f *query.Filter, format string) error {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{})
	rc.SetWriteDeadline(time.Time{})
	out := &lazy{w: w, before: func(h http.Header) {
		h.Set("Content-Type", mediaTypes[format])
		name := k.Name + "-" + s.cfg.Now().UTC().Format("20060102-1504") + "." + format
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}}
	var err error
	if format == "ndjson" { // the signed bytes, as they are stored
		err = s.cfg.Records.Export(r.Context(), reader, k.Name, f, func(it *store.Stored) error {
			out.Write(it.Raw)
			_, err := out.Write(newline)
			return err
		})
	} else {
		src := func(yield func(*record.Record, error) bool) {
			err := s.cfg.Records.Export(r.Context(), reader, k.Name, f, func(it *store.Stored) error {
				if !yield(it.Record, nil) {
					return errGone
				}
				return nil
			})
			if err != nil && err != errGone {
				yield(nil, err)
			}
		}
		_, err = transfer.Export(r.Context(), out, table.Format(format), k, src)
	}
	if err == nil {
		return out.flush()
	}
	if !out.begun || out.failed {
		return err
	}
	p := s.identify(r.Context(), problemOf(err))
	if format == "ndjson" {
		if b, err := json.Marshal(p); err == nil {
			out.Write(append(b, '\n'))
			rc.Flush()
		}
	}
	panic(http.ErrAbortHandler)
}

var newline = []byte{'\n'}

// lazy sends the headers of an export with its first bytes, so that what fails
// before them can still be answered with a problem.
type lazy struct {
	w      http.ResponseWriter
	before func(http.Header)
	begun  bool
	failed bool
}

func (l *lazy) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.before(l.w.Header())
	}
	n, err := l.w.Write(b)
	if err != nil {
		l.failed = true
		return n, errGone
	}
	return n, nil
}

func (l *lazy) flush() error {
	if !l.begun {
		_, err := l.Write(nil)
		return err
	}
	return nil
}

func (s *Server) count(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	a, reader, err := s.asked(r, k)
	if err != nil {
		return err
	}
	c, err := s.cfg.Records.Count(r.Context(), reader, k.Name, &a.Filter)
	if err != nil {
		return err
	}
	if c.PerDay == nil {
		c.PerDay = []query.Day{}
	}
	return writeJSON(w, http.StatusOK, c)
}

func (s *Server) mapView(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	a, reader, err := s.asked(r, k)
	if err != nil {
		return err
	}
	v, err := s.cfg.Records.Map(r.Context(), reader, k.Name, &a.Filter, a.zoom)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

func etag(version int) string { return `"` + strconv.Itoa(version) + `"` }

func (s *Server) get(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	var it *store.Stored
	if v := r.URL.Query().Get("version"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return record.Fields{{Path: "version", Code: "range", Message: "must be a whole number from 1"}}.Err(k.Name + ".get")
		}
		it, err = s.cfg.Records.At(r.Context(), reader, k.Name, id, n)
		if err != nil {
			return err
		}
	} else if it, err = s.cfg.Records.Get(r.Context(), reader, k.Name, id, "open"); err != nil {
		return err
	}
	h := w.Header()
	tag := etag(it.Version)
	h["Etag"] = []string{tag}
	h["Cache-Control"] = []string{"private, no-cache"}
	h["Vary"] = []string{"Cookie, Authorization, Konbit-Agency"}
	if noneMatch(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Type"] = jsonType
	return write(w, it.Raw)
}

// noneMatch reports whether If-None-Match names the tag (RFC 9110 §13.1.2: weak
// comparison).
func noneMatch(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == tag || part == "*" {
			return true
		}
	}
	return false
}

// ifMatch reads the version that a change expects: 0 for any, -1 for one that
// there is not. Of several the newest counts, for nobody can have seen a version
// newer than the present one.
func ifMatch(header string) (version int, given bool) {
	if header == "" {
		return 0, false
	}
	version = -1
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			return 0, true
		}
		if len(part) > 2 && part[0] == '"' && part[len(part)-1] == '"' { // weak tags never match (RFC 9110 §13.1.1)
			if n, err := strconv.Atoi(part[1 : len(part)-1]); err == nil && n > version && n > 0 {
				version = n
			}
		}
	}
	return version, true
}

// History is the answer to "what became of it?".
type History struct {
	Versions []query.Version `json:"versions"`
}

func (s *Server) history(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	vs, err := s.cfg.Records.History(r.Context(), s.reader(r.Context()), k.Name, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, History{vs})
}

// AudienceView is query.Audience with the agencies' names.
type AudienceView struct {
	*query.Audience
	Agencies []NamedSeer `json:"agencies"`
	Holds    []string    `json:"holds"` // other nodes that hold a copy
}

// NamedSeer is an agency that can see a record or cannot.
type NamedSeer struct {
	query.Seer
	Name string `json:"name"`
}

func (s *Server) audience(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	var preview *record.Marking
	if text := r.URL.Query().Get("marking"); text != "" {
		preview = &record.Marking{}
		if err := strict([]byte(text), preview, nil); err != nil {
			return under("marking", err)
		}
		f := preview.Check(s.cfg.Now())
		if err := f.Err(k.Name + ".audience"); err != nil {
			return err
		}
	}
	a, err := s.cfg.Records.Audience(r.Context(), s.reader(r.Context()), k.Name, id, preview)
	if err != nil {
		return err
	}
	v := AudienceView{Audience: a, Agencies: []NamedSeer{}, Holds: []string{}}
	dir := s.cfg.Accounts.Directory()
	for _, seer := range a.Agencies {
		n := NamedSeer{Seer: seer}
		if ag := dir.Agencies[seer.Agency]; ag != nil {
			n.Name = ag.Name
		}
		v.Agencies = append(v.Agencies, n)
	}
	return writeJSON(w, http.StatusOK, v)
}

// under puts a path before the paths of an error's fields.
func under(path string, err error) error {
	e, ok := err.(*record.Error)
	if !ok {
		return err
	}
	c := *e
	c.Fields = nil
	for _, f := range e.Fields {
		if f.Path == "body" {
			f.Path = path
		} else {
			f.Path = path + "." + f.Path
		}
		c.Fields = append(c.Fields, f)
	}
	return &c
}

// SimilarView lists possible duplicates.
type SimilarView struct {
	Items []SimilarItem `json:"items"`
}

// SimilarItem is one, with the reasons.
type SimilarItem struct {
	Record  *record.Record `json:"record"`
	Score   float64        `json:"score"`
	Metres  *float64       `json:"metres,omitempty" doc:"Left out when one of the two has no place"`
	Minutes float64        `json:"minutes"`
	Words   []string       `json:"words" doc:"That both have"`
	Same    bool           `json:"same" doc:"Whether both have the value that matters most for this kind"`
}

func (s *Server) similar(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	found, err := s.cfg.Records.Similar(r.Context(), s.reader(r.Context()), k.Name, id)
	if err != nil {
		return err
	}
	v := SimilarView{Items: []SimilarItem{}}
	for _, l := range found {
		it := SimilarItem{Record: l.Stored.Record, Score: l.Score, Minutes: l.Minutes, Words: l.Words, Same: l.Same}
		if l.Metres >= 0 {
			it.Metres = &l.Metres
		}
		if it.Words == nil {
			it.Words = []string{}
		}
		v.Items = append(v.Items, it)
	}
	return writeJSON(w, http.StatusOK, v)
}

// LinksView holds both directions.
type LinksView struct {
	Out []LinkView `json:"out"`
	In  []LinkView `json:"in"`
}

// LinkView is a link; Record is left out when the reader may not see it.
type LinkView struct {
	Rel    string         `json:"rel"`
	Kind   string         `json:"kind"`
	ID     record.ID      `json:"id"`
	Note   string         `json:"note,omitempty"`
	Record *record.Record `json:"record,omitempty"`
}

func (s *Server) links(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	out, in, err := s.cfg.Records.Links(r.Context(), s.reader(r.Context()), k.Name, id)
	if err != nil {
		return err
	}
	view := func(ls []query.Linked) []LinkView {
		v := []LinkView{}
		for _, l := range ls {
			v = append(v, LinkView{l.Rel, l.Kind, l.ID, l.Note, l.Record})
		}
		return v
	}
	return writeJSON(w, http.StatusOK, LinksView{view(out), view(in)})
}

// LooksView says who looked.
type LooksView struct {
	Looks []Look `json:"looks"`
	Next  string `json:"next,omitempty"`
}

// Look is one look at a record.
type Look struct {
	At      time.Time `json:"at"`
	Person  string    `json:"person"`
	Agency  string    `json:"agency"`
	How     string    `json:"how"`
	Version int       `json:"version"`
	Purpose string    `json:"purpose,omitempty"`
	Entry   int64     `json:"entry" doc:"Position in the ledger"`
}

func (s *Server) looks(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	es, next, err := s.cfg.Records.Looks(r.Context(), reader, k.Name, id, r.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	v := LooksView{Looks: []Look{}, Next: next}
	for _, e := range es {
		v.Looks = append(v.Looks, Look{e.At, e.Actor, e.Agency, e.What, e.Version, e.Purpose, e.Seq})
	}
	return writeJSON(w, http.StatusOK, v)
}

// Found is the answer to a search.
type Found struct {
	Items []query.Found `json:"items"`
}

func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	v := r.URL.Query()
	q, limit := v.Get("q"), 20
	var f record.Fields
	if n := len([]rune(q)); n > maxWords {
		f.Add("q", "max", "at most 300 characters")
	}
	if t := v.Get("limit"); t != "" {
		if limit, err = strconv.Atoi(t); err != nil || limit < 1 || limit > 100 {
			f.Add("limit", "range", "must be a whole number from 1 to 100")
		}
	}
	if err := f.Err("search"); err != nil {
		return err
	}
	found, err := s.cfg.Records.Search(r.Context(), reader, strings.ToValidUTF8(q, ""), limit)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, Found{found})
}
