package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
)

// AuditPage is one page of the ledger as an auditor reads it.
type AuditPage struct {
	Entries []query.AuditEntry `json:"entries"`
	Next    string             `json:"next,omitempty" doc:"Cursor of the next page; left out at the end"`
}

// Verification says how far the check of the ledger is, or what the last one
// found.
type Verification struct {
	Running  bool       `json:"running"`
	Done     int64      `json:"done"`
	Total    int64      `json:"total"`
	OK       *bool      `json:"ok,omitempty" doc:"Of the last run that ended"`
	Fault    string     `json:"fault,omitempty" doc:"The first thing that is not as it was written"`
	Error    string     `json:"error,omitempty" doc:"What kept the node from looking"`
	Started  *time.Time `json:"started,omitempty"`
	Finished *time.Time `json:"finished,omitempty"`
}

// verifier runs one check at a time, for whoever asks.
type verifier struct {
	sync.Mutex
	v Verification
}

func (s *Server) registerAudit() {
	const tag, at = "audit", "/api/v1/audit"
	huma.Register(s.api, op("list-entries", http.MethodGet, at+"/entries", "Who did what, newest first: entries of your agency, and all about its records", tag), func(ctx context.Context, in *struct {
		Record string `query:"record" doc:"About this record"`
		Person string `query:"person" doc:"By this person: agency/name"`
		Type   string `query:"type" doc:"change, look, access, erase ..."`
		From   string `query:"from" doc:"At or after: a time or a day"`
		To     string `query:"to" doc:"Before"`
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		Cursor string `query:"cursor" doc:"Continue: next of the page before"`
	}) (*struct{ Body AuditPage }, error) {
		f := &query.AuditFilter{Person: in.Person, Type: in.Type, Limit: in.Limit, Cursor: in.Cursor}
		var wrong record.Fields
		when := func(name, v string) (t time.Time) {
			var ok bool
			if t, ok = parseTime(v); v != "" && !ok {
				wrong.Add(name, "time", "must be a time such as 2026-05-01T14:02:00Z or a day such as 2026-05-01")
			}
			return t
		}
		f.From, f.To = when("from", in.From), when("to", in.To)
		if in.Record != "" {
			var err error
			if f.Record, err = record.ParseID(in.Record); err != nil {
				wrong.Add("record", "invalid", "must be an identifier (UUIDv7)")
			}
		}
		if in.Person != "" && !record.PersonID(in.Person) {
			wrong.Add("person", "invalid", "must be a person, as agency/name")
		}
		r, err := s.signedIn(ctx)
		if err == nil {
			err = wrong.Err("audit")
		}
		if err != nil {
			return nil, s.fail(err)
		}
		var page AuditPage
		page.Entries, page.Next, err = s.cfg.Records.Audit(ctx, r, f)
		return &struct{ Body AuditPage }{page}, s.fail(err)
	})
	s.handle(huma.Operation{OperationID: "prove-entry", Method: http.MethodGet, Path: at + "/entries/{seq}/proof", Summary: "A proof of one entry that is checked without the node (konbit proof check)", Tags: []string{tag},
		Parameters: []*huma.Param{inPath("seq", "The entry's position", &huma.Schema{Type: "integer", Minimum: num(0)})},
		Responses:  map[string]*huma.Response{"200": {Description: "A proof file", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: "object"}}}}}}, s.proof)
	plain := func(text string) map[string]*huma.Response {
		return map[string]*huma.Response{"200": {Description: text, Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}}}}
	}
	s.handle(huma.Operation{OperationID: "get-checkpoint", Method: http.MethodGet, Path: at + "/checkpoint", Summary: "The ledger's newest signed checkpoint: for auditors and administrators", Tags: []string{tag}, Responses: plain("A signed note (C2SP tlog-checkpoint)")}, s.checkpoint)
	huma.Register(s.api, op("get-witnesses", http.MethodGet, at+"/witnesses", "The newest checkpoints of this ledger that other nodes have co-signed: whoever keeps one can hold the node to it", tag), func(ctx context.Context, _ *empty) (*struct{ Body map[string]string }, error) {
		if err := s.overseer(ctx); err != nil {
			return nil, s.fail(err)
		}
		x := s.exchange()
		if x == nil {
			return &struct{ Body map[string]string }{map[string]string{}}, nil
		}
		notes, err := x.Cosigned(ctx)
		if notes == nil {
			notes = map[string]string{}
		}
		return &struct{ Body map[string]string }{notes}, s.fail(err)
	})
	s.handle(huma.Operation{OperationID: "get-ledger-key", Method: http.MethodGet, Path: at + "/key", Summary: "The public key under which checkpoints are verified", Tags: []string{tag}, Responses: plain("A verifier key (C2SP signed-note)")}, s.ledgerKey)
	huma.Register(s.api, op("verify-ledger", http.MethodPost, at+"/verify", "Check the whole ledger against the records; one check runs at a time", tag), func(ctx context.Context, _ *empty) (*struct{ Body Verification }, error) {
		if err := s.overseer(ctx); err != nil {
			return nil, s.fail(err)
		}
		v, err := s.startVerify()
		return &struct{ Body Verification }{v}, s.fail(err)
	})
	huma.Register(s.api, op("get-verification", http.MethodGet, at+"/verify", "How far the check is, or what the last one found", tag), func(ctx context.Context, _ *empty) (*struct{ Body Verification }, error) {
		if err := s.overseer(ctx); err != nil {
			return nil, s.fail(err)
		}
		s.verify.Lock()
		defer s.verify.Unlock()
		return &struct{ Body Verification }{s.verify.v}, nil
	})
}

// overseer is nil for auditors and administrators: those who must know that the
// ledger holds.
func (s *Server) overseer(ctx context.Context) error {
	r, err := s.signedIn(ctx)
	if err != nil {
		return err
	}
	if !oversees(r) {
		return record.Errorf(record.Denied, "audit.verify", "only an auditor or an administrator may do this")
	}
	return nil
}

func oversees(r *policy.Reader) bool {
	return r.Scope("audit") && r.HoldsAnywhere(desk.Auditor) || r.Scope("admin") && r.HoldsAnywhere(desk.Administrator)
}

func (s *Server) proof(w http.ResponseWriter, r *http.Request) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 0 {
		return record.Errorf(record.NotFound, "audit.proof", "there is no such entry")
	}
	p, err := s.cfg.Records.Proof(r.Context(), reader, seq, s.cfg.Intake.Checkpoint(), s.cfg.Verifier)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("Content-Disposition", `attachment; filename="konbit-proof-`+strconv.FormatInt(seq, 10)+`.json"`)
	return write(w, append(b, '\n'))
}

// checkpoint answers auditors and administrators: whoever keeps one can hold the
// node to it later. It tells the ledger's size, which grows with each look, so it
// is not for everybody.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) error {
	if err := s.overseer(r.Context()); err != nil {
		return err
	}
	text := s.cfg.Intake.Checkpoint()
	if text == nil {
		return record.Errorf(record.NotFound, "audit.checkpoint", "the ledger is empty")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return write(w, text)
}

// ledgerKey answers anybody: a key that can be compared is worth more the more
// people have it.
func (s *Server) ledgerKey(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Verifier == "" {
		return record.Errorf(record.NotFound, "audit.key", "this node tells no key")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return write(w, []byte(s.cfg.Verifier+"\n"))
}

// startVerify begins a check unless one is running, and says how far it is.
func (s *Server) startVerify() (Verification, error) {
	if s.cfg.Replay == nil {
		return Verification{}, record.Errorf(record.Unavailable, "audit.verify", "this node cannot check its ledger while it runs; use konbit verify")
	}
	s.verify.Lock()
	defer s.verify.Unlock()
	if s.verify.v.Running {
		return s.verify.v, nil
	}
	now := s.cfg.Now().UTC()
	s.verify.v = Verification{Running: true, Started: &now}
	if !s.work.start(s.runVerify) {
		s.verify.v = Verification{}
		return Verification{}, record.Errorf(record.Unavailable, "audit.verify", "the node is shutting down")
	}
	return s.verify.v, nil
}

func (s *Server) runVerify(ctx context.Context) {
	fault, err := s.cfg.Replay(ctx, func(done, total int64) {
		s.verify.Lock()
		defer s.verify.Unlock()
		s.verify.v.Done, s.verify.v.Total = done, total
	})
	s.verify.Lock()
	defer s.verify.Unlock()
	v, now := &s.verify.v, s.cfg.Now().UTC()
	v.Running, v.Finished, v.Fault = false, &now, fault
	switch {
	case ctx.Err() != nil:
		v.Error = "the node stopped before the end"
	case err != nil:
		s.cfg.Log.Error("verification failed", "error", err)
		v.Error = problemOf(err).Detail
	default:
		ok := fault == ""
		v.OK = &ok
		if ok {
			v.Done = v.Total
		} else {
			s.cfg.Log.Error("the ledger does not hold", "fault", fault)
		}
	}
}
