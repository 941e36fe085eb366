package web

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"konbit/account"
	"konbit/record"
)

// Problem is how an error looks to a caller (RFC 9457). Code is what a program
// switches on.
type Problem struct {
	Type   string        `json:"type" doc:"urn:konbit:CODE"`
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Detail string        `json:"detail,omitempty" doc:"What went wrong, for a person"`
	Code   record.Code   `json:"code" doc:"What a program switches on" enum:"invalid,not-found,denied,unsigned,need-purpose,conflict,stale,too-large,too-many,unavailable,corrupt,internal"`
	Hint   string        `json:"hint,omitempty" doc:"What to do about it"`
	Fields record.Fields `json:"fields,omitempty" doc:"Everything that is wrong with the input"`

	Request string `json:"request,omitempty" doc:"Names the request in the node's log"`

	cause error
}

// Error returns what went wrong.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType names the media type of a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders returns the headers that go with it.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	switch p.Code {
	case record.Unsigned:
		h.Set("WWW-Authenticate", `Bearer realm="konbit"`)
	case record.TooMany, record.Unavailable:
		wait := 1
		if d, ok := account.RetryAfter(p.cause); ok {
			wait = max(1, int(math.Ceil(d.Seconds())))
		}
		h.Set("Retry-After", strconv.Itoa(wait))
	}
	return h
}

// status is the one place where codes become HTTP.
var status = map[record.Code]int{
	record.Invalid: 422, record.NotFound: 404, record.Denied: 403, record.Unsigned: 401, record.NeedPurpose: 403, record.Conflict: 412,
	record.Stale: 409, record.TooLarge: 413, record.TooMany: 429, record.Unavailable: 503, record.Corrupt: 500, record.Internal: 500,
}

var titles = map[record.Code]string{
	record.Invalid: "The input is not valid", record.NotFound: "Not found", record.Denied: "Not allowed", record.Unsigned: "Not signed in",
	record.NeedPurpose: "A purpose is needed", record.Conflict: "It has changed meanwhile", record.Stale: "Not possible in this state",
	record.TooLarge: "Too large", record.TooMany: "Too many requests", record.Unavailable: "Not possible now", record.Corrupt: "Stored data is damaged",
	record.Internal: "A fault of the node",
}

// errGone means that the client went away while it was being answered: there is
// nobody to tell.
var errGone = errors.New("web: the client is gone")

// fail turns an error into an answer. What is a fault of ours shows neither its
// cause nor its words.
func (s *Server) fail(err error) error {
	if err == nil {
		return nil
	}
	return problemOf(err)
}

func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		err = record.Errorf(record.TooLarge, "request", "the body is larger than %d bytes", tooBig.Limit)
	}
	var e *record.Error
	if !errors.As(err, &e) {
		return newProblem(record.Internal, "something went wrong inside the node", err)
	}
	p = newProblem(e.Code, e.Message, err)
	if e.Code == record.Internal || status[e.Code] == 0 {
		return newProblem(record.Internal, "something went wrong inside the node", err)
	}
	p.Hint, p.Fields = e.Hint, e.Fields
	return p
}

func newProblem(code record.Code, detail string, cause error) *Problem {
	return &Problem{Type: "urn:konbit:" + string(code), Title: titles[code], Status: status[code], Detail: detail, Code: code, cause: cause}
}

// identify names the request in a problem that is a fault of ours, and logs it.
func (s *Server) identify(ctx context.Context, p *Problem) *Problem {
	if p.Status < 500 || p.Code == record.Unavailable {
		return p
	}
	c := callOf(ctx)
	q := *p
	q.Request = c.id
	if ctx.Err() == nil || !errors.Is(p.cause, ctx.Err()) {
		s.cfg.Log.Error("request failed", "request", c.id, "code", string(p.Code), "error", p.cause)
	}
	return &q
}

// writeError answers a request with a problem.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errGone) {
		return
	}
	if c := callOf(r.Context()); c.status != 0 {
		// The answer has begun: cut the connection, so that a part is not taken for the whole.
		s.cfg.Log.Error("answer cut short", "request", c.id, "error", err)
		panic(http.ErrAbortHandler)
	}
	p := s.identify(r.Context(), problemOf(err))
	h := w.Header()
	for k, v := range p.GetHeaders() {
		h[k] = v
	}
	h.Del("ETag")
	h.Del("Content-Encoding")
	h.Del("Content-Disposition")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		json.NewEncoder(w).Encode(p)
	}
}

// init makes what huma itself refuses look like every other refusal. It keeps
// no state.
func init() {
	huma.NewError = func(code int, msg string, errs ...error) huma.StatusError {
		p := &Problem{Status: code, Detail: msg}
		switch code {
		case 401:
			p.Code = record.Unsigned
		case 403:
			p.Code = record.Denied
		case 404, 405:
			p.Code = record.NotFound
		case 409:
			p.Code = record.Stale
		case 412, 428:
			p.Code = record.Conflict
		case 413:
			p.Code = record.TooLarge
		case 429:
			p.Code = record.TooMany
		case 503:
			p.Code = record.Unavailable
		default:
			p.Code = record.Invalid
			if code >= 500 && msg == "cannot read request body" {
				p.Status = http.StatusBadRequest
			} else if code >= 500 {
				p.Code, p.Detail = record.Internal, "something went wrong inside the node"
			}
		}
		p.Type, p.Title = "urn:konbit:"+string(p.Code), titles[p.Code]
		if p.Code == record.Invalid && p.Status == http.StatusBadRequest {
			p.Status = status[record.Invalid]
		}
		for _, err := range errs {
			p.cause = errors.Join(p.cause, err)
			var d *huma.ErrorDetail
			if errors.As(err, &d) && p.Code == record.Invalid {
				p.Fields = append(p.Fields, fieldOf(d))
			}
		}
		if len(p.Fields) > 0 {
			p.Detail = "the input is not valid"
		}
		return p
	}
}

// fieldOf reads the place and the reason from what huma found.
func fieldOf(d *huma.ErrorDetail) record.Field {
	path := d.Location
	for _, prefix := range []string{"query.", "path.", "header.", "body."} {
		path = strings.TrimPrefix(path, prefix)
	}
	f := record.Field{Path: path, Code: "invalid", Message: d.Message}
	if f.Path == "" {
		f.Path = "body"
	}
	has := func(s string) bool { return strings.Contains(d.Message, s) }
	switch {
	case has("expected required property "):
		name, _, _ := strings.Cut(strings.TrimPrefix(d.Message, "expected required property "), " ")
		if f.Path == "body" {
			f.Path = name
		} else {
			f.Path += "." + name
		}
		f.Code, f.Message = "required", "is required"
	case has("required") && has("is missing"):
		f.Code, f.Message = "required", "is required"
	case has("unexpected property"):
		f.Code, f.Message = "unknown", "no such field"
	case has("expected value to be one of"):
		f.Code = "enum"
	case has("expected length") || has("expected number") || has("expected array length"):
		f.Code = "range"
	case has("expected string") || has("expected boolean") || has("expected integer") || has("expected object") || has("expected array"):
		f.Code = "type"
	case has("invalid character") || has("unexpected end of JSON"):
		f.Code, f.Message = "json", "malformed JSON"
	}
	return f
}
