package transfer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"konbit/record"
)

// Remote is a Sink on another node, over its bulk API. A batch whose answer was
// lost is sent again: identifiers make that harmless.
type Remote struct {
	URL      string        // of the node: "https://konbit.example:8443"
	Token    string        // API token
	Client   *http.Client  // nil: one of its own, without a limit on the whole exchange
	Patience time.Duration // how long to go on trying when the node cannot be reached, default 10 minutes

	wait func(context.Context, time.Duration) error // tests replace it
}

var _ Sink = (*Remote)(nil)

const (
	attemptLimit = 5 * time.Minute // one exchange
	maxPause     = 30 * time.Second
	maxAsked     = 10 * time.Minute // longest Retry-After that is honoured
	maxAnswer    = 16 << 20         // bytes of one line of an answer
)

// Put sends the drafts as gzipped NDJSON and reads an answer for each. Errors of
// the node carry its code; a node that is down, busy or slows the caller is tried
// again until Patience ends.
func (r *Remote) Put(ctx context.Context, kind, agency string, drafts []Draft) ([]Outcome, error) {
	out, err := r.persist(ctx, kind, agency, drafts)
	if record.CodeOf(err) == record.TooLarge && len(drafts) > 1 {
		half := len(drafts) / 2
		if out, err = r.Put(ctx, kind, agency, drafts[:half]); err != nil {
			return nil, err
		}
		rest, err := r.Put(ctx, kind, agency, drafts[half:])
		return append(out, rest...), err
	}
	if record.CodeOf(err) == record.TooLarge && len(drafts) == 1 {
		return []Outcome{{Refused, err}}, nil
	}
	return out, err
}

// again is an error after which the same may be tried once more.
type again struct {
	err   error
	after time.Duration // what the node asked for; 0: nothing
}

func (a *again) Error() string { return a.err.Error() }
func (a *again) Unwrap() error { return a.err }

func (r *Remote) persist(ctx context.Context, kind, agency string, drafts []Draft) ([]Outcome, error) {
	body, err := pack(drafts)
	if err != nil {
		return nil, err
	}
	patience := r.Patience
	if patience <= 0 {
		patience = 10 * time.Minute
	}
	wait := r.wait
	if wait == nil {
		wait = pause
	}
	waited := time.Duration(0)
	for try := 0; ; try++ {
		out, err := r.send(ctx, kind, agency, body, len(drafts))
		var a *again
		if err == nil || !errors.As(err, &a) {
			return out, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d := a.after
		if d <= 0 {
			d = min(500*time.Millisecond<<min(try, 10), maxPause)
			d += rand.N(d/4 + 1) // so that many clients do not come back at once
		}
		if waited += d; waited > patience {
			return nil, &record.Error{Code: record.Unavailable, Op: "import", Message: "the node could not be reached", Hint: "run the same import again: it goes on where it stopped", Err: a.err}
		}
		if err := wait(ctx, d); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func pack(drafts []Draft) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	e := json.NewEncoder(z)
	for i := range drafts {
		if err := e.Encode(&drafts[i]); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

func (r *Remote) request(ctx context.Context, method, kind string, query url.Values, body io.Reader) (*http.Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, record.Errorf(record.Invalid, "import", "%q is not the address of a node, such as https://konbit.example", short(r.URL))
	}
	u = u.JoinPath("api", "v1", "records", kind)
	u.RawQuery = query.Encode()
	q, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if r.Token != "" {
		q.Header.Set("Authorization", "Bearer "+r.Token)
	}
	q.Header.Set("Accept", "application/x-ndjson")
	return q, nil
}

func (r *Remote) do(q *http.Request) (*http.Response, error) {
	c := http.Client{}
	if r.Client != nil {
		c = *r.Client
	}
	// A redirect would turn a POST into a GET, or carry the token elsewhere.
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Do(q)
	if err != nil {
		return nil, &again{err: err}
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, refusal(res)
}

func (r *Remote) send(ctx context.Context, kind, agency string, body []byte, n int) ([]Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	q, err := r.request(ctx, http.MethodPost, kind, nil, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/x-ndjson")
	q.Header.Set("Content-Encoding", "gzip")
	q.Header.Set("Konbit-Agency", agency)
	res, err := r.do(q)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	out := make([]Outcome, n)
	left := n
	s := lines(res.Body)
	for s.Scan() {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var a struct {
			Line    int     `json:"line"`
			Status  Status  `json:"status"`
			Problem problem `json:"problem"`
		}
		if err := json.Unmarshal(s.Bytes(), &a); err != nil {
			return nil, &again{err: fmt.Errorf("the node's answer cannot be read: %w", err)}
		}
		if a.Line < 1 || a.Line > n || a.Status != Created && a.Status != Unchanged && a.Status != Updated && a.Status != Refused {
			return nil, record.Errorf(record.Internal, "import", "the node answered line %d of %d with %q", a.Line, n, short(string(a.Status)))
		}
		o := &out[a.Line-1]
		if o.Status == "" {
			left--
		}
		o.Status = a.Status
		if a.Status == Refused {
			o.Err = a.Problem.err()
		}
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, record.Errorf(record.Internal, "import", "a line of the node's answer is over %d MB", maxAnswer>>20)
	case err != nil:
		return nil, &again{err: err}
	case left > 0:
		return nil, &again{err: fmt.Errorf("the node answered %d of %d records", n-left, n)}
	}
	return out, nil
}

func lines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxAnswer)
	return s
}

// problem is an error as the API writes it (RFC 9457).
type problem struct {
	Title  string        `json:"title"`
	Detail string        `json:"detail"`
	Code   record.Code   `json:"code"`
	Hint   string        `json:"hint"`
	Fields record.Fields `json:"fields"`
}

func (p *problem) err() error {
	e := &record.Error{Code: p.Code, Op: "import", Message: p.Detail, Hint: p.Hint, Fields: p.Fields}
	if p.Code == record.Unsigned && e.Hint == "" {
		e.Hint = "put a token of yours into KONBIT_TOKEN: konbit token create, or the console's settings"
	}
	if e.Code == "" {
		e.Code = record.Invalid
	}
	if e.Message == "" {
		e.Message = p.Title
	}
	if e.Message == "" {
		e.Message = "refused by the node"
	}
	return e
}

// refusal turns an answer that is no success into an error.
func refusal(res *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	var p problem
	if !strings.Contains(res.Header.Get("Content-Type"), "json") || json.Unmarshal(b, &p) != nil {
		p = problem{Title: fmt.Sprintf("the node answered %s", res.Status)}
	}
	if p.Code == "" {
		p.Code = map[int]record.Code{401: record.Unsigned, 403: record.Denied, 404: record.NotFound, 413: record.TooLarge, 422: record.Invalid,
			429: record.TooMany, 502: record.Unavailable, 503: record.Unavailable, 504: record.Unavailable}[res.StatusCode]
	}
	if p.Code == "" {
		p.Code = record.Internal
	}
	if to := res.Header.Get("Location"); res.StatusCode/100 == 3 && to != "" {
		p = problem{Code: record.Invalid, Title: "the address leads to another: " + short(to), Hint: "give the final address"}
	}
	err := p.err()
	switch res.StatusCode {
	case 408, 429, 502, 503, 504:
		return &again{err: err, after: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
	return err
}

// retryAfter reads both forms of the header (RFC 9110 §10.2.3).
func retryAfter(s string, now time.Time) time.Duration {
	d := time.Duration(0)
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < 1<<30 {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxAsked)
}

// RemoteExport reads the records of a kind from another node, with the rights of
// the token. filter holds the parameters of the list: q, bbox, from, to, state ...
// It ends with an error when the node refuses or the connection is lost: what came
// before is good, and is not all.
func RemoteExport(ctx context.Context, r *Remote, kind string, filter url.Values) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		q, err := r.request(ctx, http.MethodGet, kind, filter, nil)
		if err != nil {
			yield(nil, err)
			return
		}
		res, err := r.do(q)
		if err != nil {
			yield(nil, err)
			return
		}
		defer res.Body.Close()
		s := lines(res.Body)
		for n := 1; s.Scan(); n++ {
			if len(bytes.TrimSpace(s.Bytes())) == 0 {
				continue
			}
			rec := &record.Record{}
			err := json.Unmarshal(s.Bytes(), rec)
			if err == nil && rec.ID.IsZero() { // the node broke off and says why
				var p problem
				err = errors.New("it is no record")
				if json.Unmarshal(s.Bytes(), &p) == nil && p.Code != "" {
					err = p.err()
				}
			}
			if err != nil {
				yield(nil, fmt.Errorf("record %d of the answer: %w", n, err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(nil, fmt.Errorf("the connection was lost: %w", err))
		}
	}
}
