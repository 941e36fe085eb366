package web

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/intake"
	"konbit/peer/question"
	"konbit/policy"
	"konbit/record"
)

const questionsAt = "/api/v1/questions"

func (s *Server) registerQuestions() {
	const tag = "questions"
	huma.Register(s.api, op("question-types", http.MethodGet, questionsAt+"/types", "The sorts of identifiers that can be asked about", tag), func(ctx context.Context, _ *empty) (*struct{ Body []desk.Asked }, error) {
		if _, err := s.mayAsk(ctx); err != nil {
			return nil, s.fail(err)
		}
		return &struct{ Body []desk.Asked }{some(s.questions().Types())}, nil
	})
	huma.Register(s.api, op("ask", http.MethodPost, questionsAt, "Ask other nodes whether they hold anything about an identifier: hit or no hit. Who holds nothing does not learn what was asked", tag), func(ctx context.Context, in *struct {
		Body struct {
			Type    string   `json:"type"`
			Value   string   `json:"value" maxLength:"200"`
			Purpose string   `json:"purpose" maxLength:"500" doc:"Why; it stands in the ledgers of both sides"`
			Nodes   []string `json:"nodes,omitempty" maxItems:"200" doc:"Short names; all unless said otherwise"`
		}
	}) (*struct{ Body *question.Question }, error) {
		r, err := s.mayAsk(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		q, err := s.questions().Ask(ctx, r, in.Body.Type, in.Body.Value, in.Body.Purpose, in.Body.Nodes)
		return &struct{ Body *question.Question }{q}, s.fail(err)
	})
	huma.Register(s.api, op("list-questions", http.MethodGet, questionsAt, "What your agency asked, newest first", tag), func(ctx context.Context, _ *empty) (*struct{ Body []*question.Question }, error) {
		r, err := s.mayAsk(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		qs, err := s.questions().Questions(ctx, r.Agency)
		return &struct{ Body []*question.Question }{some(qs)}, s.fail(err)
	})
	huma.Register(s.api, op("get-question", http.MethodGet, questionsAt+"/{id}", "One question, and what each node has answered so far", tag), func(ctx context.Context, in *struct {
		ID string `path:"id"`
	}) (*struct{ Body *question.Question }, error) {
		r, err := s.mayAsk(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		q, err := s.questions().Question(ctx, r.Agency, in.ID)
		return &struct{ Body *question.Question }{q}, s.fail(err)
	})
	huma.Register(s.api, op("request-hit", http.MethodPost, questionsAt+"/{id}/request", "Ask whoever has a hit for what he holds: makes a record of yours that he sees and answers", tag), func(ctx context.Context, in *struct {
		ID   string `path:"id"`
		Body struct {
			Node string         `json:"node" doc:"Short name of the node that has a hit"`
			Body map[string]any `json:"body" doc:"As the kind of the request says; to whom it goes is set by the node"`
		}
	}) (*struct{ Body *record.Record }, error) {
		r, err := s.mayAsk(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		rec, err := s.requestHit(ctx, r, in.ID, in.Body.Node, in.Body.Body)
		return &struct{ Body *record.Record }{rec}, s.fail(err)
	})
}

// requestHit makes a request for information to an agency that has a hit, of the
// first kind that is addressed to one.
func (s *Server) requestHit(ctx context.Context, r *policy.Reader, id, node string, body map[string]any) (*record.Record, error) {
	q, err := s.questions().Question(ctx, r.Agency, id)
	if err != nil {
		return nil, err
	}
	to := ""
	for _, a := range q.Answers {
		if a.Short == node && a.State == question.Hit && len(a.Agencies) > 0 {
			to = a.Agencies[0]
		}
	}
	if to == "" {
		return nil, record.Errorf(record.Stale, "question.request", "%.60q has no hit to this question", node)
	}
	for _, name := range s.cfg.Desks.KindNames() {
		k := s.cfg.Desks.Kind(name)
		if k.Address == nil {
			continue
		}
		if body == nil {
			body = map[string]any{}
		}
		body[k.Address.To] = to
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		now := s.cfg.Now().UTC()
		got, err := s.cfg.Intake.Do(ctx, &intake.Command{ID: record.NewID(now), Kind: k.Name, Name: desk.Create, Record: record.NewID(now), By: r,
			Draft: &intake.Draft{Observed: now, Marking: record.Marking{TLP: record.Amber, To: []string{to}}, Body: raw, Note: q.Masked}})
		return got.Record, err
	}
	return nil, record.Errorf(record.NotFound, "question.request", "no desk of this node has requests")
}

// mayAsk returns the reader when he may ask other nodes.
func (s *Server) mayAsk(ctx context.Context) (*policy.Reader, error) {
	r, err := s.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	if s.questions() == nil {
		return nil, record.Errorf(record.Unavailable, "question", "this node exchanges with no others")
	}
	if !r.Scope("write") || !r.HoldsAnywhere(desk.Operator) {
		return nil, record.Errorf(record.Denied, "question", "only an operator may ask other nodes")
	}
	return r, nil
}
