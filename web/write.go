package web

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/intake"
	"konbit/policy"
	"konbit/record"
)

func (s *Server) registerWrites(k *desk.Kind) {
	draft := &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: ref(typeTitle(k) + "Draft")}}}
	both := &huma.RequestBody{Required: true, Description: "One draft; or many, one a line. Lines may name the state to which the workflow shall take the record.",
		Content: map[string]*huma.MediaType{"application/json": draft.Content["application/json"], "application/x-ndjson": {Schema: &huma.Schema{Type: "string"}}}}
	saved := func(text string) *huma.Response {
		return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: recordRef(k)}},
			Headers: map[string]*huma.Param{"ETag": {Description: "The version, in quotes", Schema: &huma.Schema{Type: "string"}}}}
	}
	many := saved("The same record was there; or, for NDJSON, one answer a line")
	many.Content["application/x-ndjson"] = &huma.MediaType{Schema: s.schema(LineAnswer{})}
	s.route(k, http.MethodPost, "", "create", "Create a record, or many", huma.Operation{
		RequestBody: both, MaxBodyBytes: -1, Responses: map[string]*huma.Response{"201": saved("The record is on disk"), "200": many}}, s.create)

	match := inHeader("If-Match", "The version that you saw, in quotes; * for any")
	must := inHeader("If-Match", "The version that you saw, in quotes; * for any")
	must.Required = true
	s.route(k, http.MethodPut, "/{id}", "edit", "Change what a record says", huma.Operation{
		RequestBody: draft, Parameters: []*huma.Param{must}, Responses: map[string]*huma.Response{"200": saved("The record as it is now"), "428": s.problemResponse()}}, s.edit)

	for _, c := range k.Commands() {
		if c == desk.Create || c == desk.Edit {
			continue
		}
		body := &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Schema: s.actSchema(k, c)}}}
		summary := s.cfg.Desks.Labels(k.Desk)["command."+k.Name+"."+c].EN
		if summary == "" {
			summary = c
		}
		op := huma.Operation{RequestBody: body, Parameters: []*huma.Param{match}, Responses: map[string]*huma.Response{"200": saved("The record as it is now")},
			Description: "Needs the role " + string(k.Allow[c]) + "."}
		s.route(k, http.MethodPost, "/{id}/"+c, c, summary, op, func(w http.ResponseWriter, r *http.Request, k *desk.Kind) error { return s.act(w, r, k, c) })
	}
}

// create takes one record, or many as NDJSON.
func (s *Server) create(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	if ct := r.Header.Get("Content-Type"); ct != "" && ct != "application/json" {
		m, _, err := mime.ParseMediaType(ct)
		switch {
		case err == nil && (m == "application/x-ndjson" || m == "application/ndjson" || m == "application/jsonl"):
			return s.bulk(w, r, k)
		case err != nil || m != "application/json":
			return unsupported("application/json or application/x-ndjson")
		}
	}
	reader := s.reader(r.Context())
	if err := reader.May(k, desk.Create); err != nil { // before the body is read
		return err
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxBody)
	d, err := s.draft(r, k)
	if err != nil {
		return err
	}
	if d.ID.IsZero() {
		d.ID = record.NewID(s.cfg.Now())
	}
	got, err := s.cfg.Intake.Do(r.Context(), &intake.Command{Kind: k.Name, Name: desk.Create, Record: d.ID, By: reader, Draft: d})
	if err != nil {
		return err
	}
	code := http.StatusOK
	if got.Status == intake.Created {
		code = http.StatusCreated
		w.Header()["Location"] = []string{records + k.Name + "/" + d.ID.String()}
	}
	return s.writeRecord(w, code, got.Record)
}

// draft reads and checks the envelope; the desk checks the body.
func (s *Server) draft(r *http.Request, k *desk.Kind) (*intake.Draft, error) {
	b, err := readBody(r)
	if err != nil {
		return nil, err
	}
	d := new(intake.Draft)
	if err := strict(b, d, k); err != nil {
		return nil, err
	}
	return d, nil
}

func (s *Server) writeRecord(w http.ResponseWriter, code int, rec *record.Record) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	h := w.Header()
	h["Etag"] = []string{etag(rec.Version)}
	h["Content-Type"] = jsonType
	w.WriteHeader(code)
	return write(w, b)
}

func unsupported(want string) error {
	p := newProblem(record.Invalid, "this content type is not taken here", nil)
	p.Status, p.Hint = http.StatusUnsupportedMediaType, "send "+want
	return p
}

// isJSON refuses a body of another type: a form of another site cannot send JSON.
func isJSON(r *http.Request) error {
	ct := r.Header.Get("Content-Type")
	if m, _, err := mime.ParseMediaType(ct); ct != "" && (err != nil || m != "application/json") {
		return unsupported("application/json")
	}
	return nil
}

func (s *Server) edit(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	reader := s.reader(r.Context())
	if err := reader.May(k, desk.Edit); err != nil {
		return err
	}
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	if err := isJSON(r); err != nil {
		return err
	}
	version, given := ifMatch(r.Header.Get("If-Match"))
	if !given {
		p := newProblem(record.Conflict, "say which version you saw", nil)
		p.Status, p.Hint = http.StatusPreconditionRequired, `send If-Match with the record's ETag, e.g. If-Match: "3"`
		return p
	}
	d, err := s.draft(r, k)
	if err != nil {
		return err
	}
	if !d.ID.IsZero() && d.ID != id {
		return record.Fields{{Path: "id", Code: "conflict", Message: "differs from the address"}}.Err(k.Name + ".edit")
	}
	return s.do(w, r, &intake.Command{Kind: k.Name, Name: desk.Edit, Record: id, Version: version, By: reader, Draft: d})
}

// Act is the body of a command.
type Act struct {
	Command record.ID       `json:"command,omitzero"` // names the act, so that a retry is harmless
	Note    string          `json:"note,omitempty"`
	Args    json.RawMessage `json:"args,omitempty"`
}

// act gives a command to a record. Its body may be left out.
func (s *Server) act(w http.ResponseWriter, r *http.Request, k *desk.Kind, command string) error {
	reader := s.reader(r.Context())
	if err := reader.May(k, command); err != nil {
		return err
	}
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	if err := isJSON(r); err != nil {
		return err
	}
	b, err := readBody(r)
	if err != nil {
		return err
	}
	var a Act
	if len(b) > 0 {
		if err := strict(b, &a, nil); err != nil {
			return err
		}
	}
	version, _ := ifMatch(r.Header.Get("If-Match"))
	c := &intake.Command{ID: a.Command, Kind: k.Name, Name: command, Record: id, Version: version, By: reader, Note: a.Note}
	switch {
	case command == desk.Mark && len(a.Args) > 0:
		c.Marking = &record.Marking{}
		if err := strict(a.Args, c.Marking, nil); err != nil {
			return under("marking", err)
		}
	case command == desk.Erase && len(a.Args) > 0 && strings.TrimSpace(string(a.Args)) != "{}":
		return record.Fields{{Path: "args", Code: "unknown", Message: "this command takes no arguments"}}.Err(k.Name + "." + command)
	case command != desk.Mark && command != desk.Erase:
		c.Args = a.Args
	}
	return s.do(w, r, c)
}

func (s *Server) do(w http.ResponseWriter, r *http.Request, c *intake.Command) error {
	got, err := s.cfg.Intake.Do(r.Context(), c)
	if err != nil {
		return err
	}
	return s.writeRecord(w, http.StatusOK, got.Record)
}

// may checks the rights to everything that a bulk line asks for, before any of
// it is done.
func may(r *policy.Reader, k *desk.Kind, commands ...string) error {
	for _, c := range commands {
		if err := r.May(k, c); err != nil {
			return err
		}
	}
	return nil
}
