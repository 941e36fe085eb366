package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/node"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres/pgtest"
	"konbit/web"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Microsecond)
	return c.t
}

// house is a node that serves over HTTP: a command centre and a coast guard in
// Haiti, a 9-1-1 centre next door, and people with one role each.
type house struct {
	t     testing.TB
	node  *node.Node
	web   *web.Server
	srv   *httptest.Server
	clock *clock
}

const password = "jaden fle solèy"

var pages = fstest.MapFS{
	"index.html":           {Data: []byte("<!doctype html><title>Konbit</title>")},
	"index.html.br":        {Data: []byte("br of index")},
	"assets/app-abc.js":    {Data: []byte("console.log(1)")},
	"assets/app-abc.js.br": {Data: []byte("br of app")},
	"assets/app-abc.js.gz": {Data: []byte("gz of app")},
	"icon.svg":             {Data: []byte("<svg/>")},
}

// newHouse opens a house with its people.
func newHouse(t testing.TB, change ...func(*web.Config)) *house {
	t.Helper()
	h := newEmpty(t, change...)
	n := h.node
	for _, a := range []store.Agency{
		{ID: "ht.cc", Name: "Sant kòmandman", Country: "HT", Communities: []string{"@hispaniola"}, Local: true},
		{ID: "do.911", Name: "Centro 9-1-1", Country: "DO", Communities: []string{"@hispaniola"}, Local: true},
		{ID: "ht.gcg", Name: "Gad kòt", Country: "HT", Local: true},
	} {
		if _, err := n.Accounts.AddAgency(t.Context(), account.Node, a); err != nil {
			t.Fatal(err)
		}
	}
	person := func(id string, clear []string, roles ...desk.Role) {
		p := store.Person{ID: id, Name: "Person " + id, Lang: "en", Clearances: clear}
		agency, _, _ := strings.Cut(id, "/")
		for _, r := range roles {
			p.Grants = append(p.Grants, store.Grant{Agency: agency, Desk: "*", Role: r})
		}
		if _, err := n.Accounts.AddPerson(t.Context(), account.Node, p, password); err != nil {
			t.Fatal(err)
		}
	}
	person("ht.cc/ana", []string{"victim", "juvenile", "source"}, desk.Operator)
	person("ht.cc/sup", nil, desk.Supervisor)
	person("ht.cc/root", nil, desk.Administrator)
	person("ht.cc/aud", nil, desk.Auditor)
	person("ht.cc/view", nil, desk.Viewer)
	person("do.911/luis", nil, desk.Operator)
	person("ht.gcg/jo", nil, desk.Operator)
	return h
}

// newEmpty opens a house in which nobody is.
func newEmpty(t testing.TB, change ...func(*web.Config)) *house {
	t.Helper()
	c := &clock{t: time.Date(2026, 5, 1, 14, 0, 0, 0, time.UTC)}
	h := &house{t: t, clock: c}
	n, err := node.Open(t.Context(), node.Config{Data: t.TempDir(), Store: pgtest.Spec(t), Now: c.now, Hash: account.HashCost{Memory: 8, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	h.node = n
	cfg := web.Config{Desks: n.Desks, Records: n.Records, Intake: n.Intake, Accounts: n.Accounts, Blobs: n.Blobs, Feed: n.Feed, UI: pages, Now: c.now,
		Node: web.NodeInfo{Name: "Test", Version: "1"}, Verifier: n.Keys.Verifier, Log: slog.New(slog.DiscardHandler),
		Duty: func() *web.Duty { return &web.Duty{Exchange: n.Exchange(), Trust: n.Trust(), Questions: n.Questions()} }}
	for _, f := range change {
		f(&cfg)
	}
	h.web = web.New(cfg)
	h.srv = httptest.NewServer(h.web.Handler())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Services(ctx) }()
	t.Cleanup(func() {
		h.web.Close()
		h.srv.Close()
		stop()
		<-done
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// token makes a client of a program that acts for a person.
func (h *house) token(person string, scopes ...string) *client {
	h.t.Helper()
	if len(scopes) == 0 {
		scopes = []string{"read", "write"}
	}
	secret, _, err := h.node.Accounts.CreateToken(h.t.Context(), account.Node, account.NewToken{Name: "test", Person: person, Scopes: scopes})
	if err != nil {
		h.t.Fatal(err)
	}
	return &client{h: h, header: http.Header{"Authorization": {"Bearer " + secret}}}
}

// client is one browser or program.
type client struct {
	h       *house
	header  http.Header
	cookies []*http.Cookie
}

// signIn makes a client of a browser in which a person has signed in.
func (h *house) signIn(person string) *client {
	h.t.Helper()
	c := &client{h: h, header: http.Header{}}
	res := c.do("POST", "/api/v1/session", map[string]string{"name": person, "password": password})
	res.want(200)
	c.cookies = res.Cookies()
	c.header.Set("X-CSRF-Token", res.text("csrf"))
	return c
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	t    testing.TB
	body []byte
}

// do sends a request. Body: nil, bytes, a string, a reader, or what becomes JSON.
// More headers come as pairs.
func (c *client) do(method, path string, body any, headers ...string) *answer {
	c.h.t.Helper()
	res, err := c.try(method, path, body, headers...)
	if err != nil {
		c.h.t.Fatal(err)
	}
	return res
}

func (c *client) request(method, path string, body any, headers ...string) *http.Request {
	var r io.Reader
	typ := "application/json"
	switch b := body.(type) {
	case nil:
		typ = ""
	case []byte:
		r = bytes.NewReader(b)
	case string:
		r = strings.NewReader(b)
	case io.Reader:
		r = b
	default:
		j, err := json.Marshal(b)
		if err != nil {
			c.h.t.Fatal(err)
		}
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(c.h.t.Context(), method, c.h.srv.URL+path, r)
	if err != nil {
		c.h.t.Fatal(err)
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	if typ != "" {
		req.Header.Set("Content-Type", typ)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	for _, k := range c.cookies {
		req.AddCookie(k)
	}
	return req
}

func (c *client) try(method, path string, body any, headers ...string) (*answer, error) {
	res, err := http.DefaultTransport.RoundTrip(c.request(method, path, body, headers...))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return &answer{res, c.h.t, b}, err
}

// want ends the test unless the status is as said.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%s %s: status %d, want %d: %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

// problem checks that the answer is a problem with this code, and with these
// fields: path:code.
func (a *answer) problem(status int, code string, fields ...string) web.Problem {
	a.t.Helper()
	a.want(status)
	var p web.Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.t.Fatalf("not a problem: %s", a.body)
	}
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Errorf("Content-Type %q", ct)
	}
	if string(p.Code) != code || p.Status != status || p.Type != "urn:konbit:"+code || p.Title == "" || p.Detail == "" {
		a.t.Fatalf("problem %s, want code %s", a.body, code)
	}
	have := map[string]bool{}
	for _, f := range p.Fields {
		have[f.Path+":"+f.Code] = true
	}
	for _, f := range fields {
		if !have[f] {
			a.t.Errorf("no field %s in %s", f, a.body)
		}
	}
	return p
}

func (a *answer) json(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
}

func (a *answer) text(member string) string {
	a.t.Helper()
	var m map[string]any
	a.json(&m)
	s, _ := m[member].(string)
	return s
}

func (a *answer) record() *record.Record {
	a.t.Helper()
	var r record.Record
	a.json(&r)
	return &r
}

// m is a JSON object.
type m = map[string]any

// incident is a draft that is in order; change alters it.
func (h *house) incident(change ...func(m)) m {
	d := m{
		"id": record.NewID(h.clock.now()).String(), "observed": "2026-05-01T12:00:00Z", "marking": m{"tlp": "GREEN"},
		"place": m{"geometry": m{"type": "Point", "coordinates": []float64{-72.33, 18.54}}, "words": "dèyè mache a"},
		"body":  m{"title": "Barrage on the road to Léogâne", "category": "road-blocked", "severity": "severe", "narrative": "Tires burn; the bus turned back."},
	}
	for _, f := range change {
		f(d)
	}
	return d
}

func set(path string, v any) func(m) {
	return func(d m) {
		names := strings.Split(path, ".")
		for _, n := range names[:len(names)-1] {
			next, ok := d[n].(m)
			if !ok {
				next = m{}
				d[n] = next
			}
			d = next
		}
		if v == nil {
			delete(d, names[len(names)-1])
		} else {
			d[names[len(names)-1]] = v
		}
	}
}

const incidents = "/api/v1/records/incident"

// report creates an incident and returns it.
func (c *client) report(change ...func(m)) *record.Record {
	c.h.t.Helper()
	return c.do("POST", incidents, c.h.incident(change...)).want(201).record()
}

func at(r *record.Record) string { return incidents + "/" + r.ID.String() }

// ids lists the identifiers of a list.
func (c *client) ids(query string) []string {
	c.h.t.Helper()
	var page struct{ Items []record.Record }
	c.do("GET", incidents+"?"+query, nil).want(200).json(&page)
	out := []string{}
	for _, r := range page.Items {
		out = append(out, r.ID.String())
	}
	return out
}

func q(s string) string { return url.QueryEscape(s) }
