package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/node"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres/pgtest"
)

const twinPassword = "jaden fle solèy"

// cheap makes passwords fast to check.
var cheap = account.HashCost{Memory: 8, Passes: 1}

// house is what processes of one node share.
type house struct {
	t     *testing.T
	data  string
	store string
	nats  string
	token string // of ht.cc/ana: reads and writes

	listens  bool     // other nodes can dial it
	agencies []string // that it serves; none: ht.cc and ht.pnh
}

// newHouse is one in a database of its own on the server that all tests share.
func newHouse(t *testing.T) *house { return houseOn(t, pgtest.URL(t)) }

// houseOn is one on a store.
func houseOn(t *testing.T, store string) *house {
	return &house{t: t, data: t.TempDir(), store: store}
}

// config is that of one more process.
func (h *house) config(change ...func(*node.Config)) node.Config {
	c := node.Config{Data: h.data, Store: h.store, NATS: h.nats, Hash: cheap}
	if os.Getenv("KONBIT_TEST_LOG") != "" {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	for _, do := range change {
		do(&c)
	}
	return c
}

// process is one of those that run a node on one store.
type process struct {
	t    *testing.T
	n    *node.Node
	url  string
	stop func() // ends it as SIGTERM does, and waits

	done chan struct{} // closed when it has ended
	err  error         // then: with what
	may  bool          // end with an error
}

// start opens and serves one more process.
func (h *house) start(change ...func(*node.Config)) *process {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	p := &process{t: h.t, url: "http://" + l.Addr().String(), done: make(chan struct{})}
	if h.listens {
		change = append(change, func(c *node.Config) { c.PeerURLs = []string{p.url} })
	}
	if p.n, err = node.Open(h.t.Context(), h.config(change...)); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(p.done)
		p.err = p.n.Serve(ctx, l)
	}()
	p.stop = sync.OnceFunc(func() {
		cancel()
		<-p.done
		if p.err != nil && !p.may {
			h.t.Errorf("it ended with %v", p.err)
		}
		if err := p.n.Close(); err != nil && !p.may {
			h.t.Errorf("it closed with %v", err)
		}
	})
	h.t.Cleanup(p.stop)
	return p
}

// ends waits until the process ends by itself, and returns why.
func (p *process) ends(patience time.Duration) error {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("it has not ended by itself within %s", patience)
	}
	p.may = true
	p.stop()
	return p.err
}

// people adds agencies and some who work for them.
func (h *house) people() {
	h.t.Helper()
	n, err := node.Open(h.t.Context(), h.config())
	if err != nil {
		h.t.Fatal(err)
	}
	defer n.Close()
	if h.agencies == nil {
		h.agencies = []string{"ht.cc", "ht.pnh"}
	}
	for _, id := range h.agencies {
		if _, err := n.Accounts.AddAgency(h.t.Context(), account.Node, store.Agency{ID: id, Name: id, Country: strings.ToUpper(id[:2]), Local: true}); err != nil {
			h.t.Fatal(err)
		}
	}
	if h.agencies[0] != "ht.cc" {
		return
	}
	for id, roles := range map[string][]desk.Role{"ht.cc/ana": {desk.Operator, desk.Supervisor}, "ht.cc/root": {desk.Administrator}} {
		p := store.Person{ID: id, Name: id, Lang: "en"}
		for _, r := range roles {
			p.Grants = append(p.Grants, store.Grant{Agency: "ht.cc", Desk: "*", Role: r}, store.Grant{Agency: "ht.pnh", Desk: "*", Role: r})
		}
		if id == "ht.cc/ana" {
			p.Clearances = record.Caveats
		}
		if _, err := n.Accounts.AddPerson(h.t.Context(), account.Node, p, twinPassword); err != nil {
			h.t.Fatal(err)
		}
	}
	if h.token, _, err = n.Accounts.CreateToken(h.t.Context(), account.Node, account.NewToken{Name: "a test", Person: "ht.cc/ana", Scopes: []string{"read", "write"}}); err != nil {
		h.t.Fatal(err)
	}
}

// until waits for something that comes about soon.
func until(t *testing.T, what string, patience time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}

func onDuty(ps ...*process) (out []*process) {
	for _, p := range ps {
		if p.n.OnDuty() {
			out = append(out, p)
		}
	}
	return out
}

var ana = &policy.Reader{Person: "ht.cc/ana", Agency: "ht.cc", Roles: map[string][]desk.Role{"*": {desk.Operator, desk.Supervisor}}}

func report(id record.ID, title string) *intake.Command {
	return &intake.Command{ID: kerneltest.ID(), Kind: "incident", Name: desk.Create, Record: id, By: ana, Draft: &intake.Draft{
		Observed: time.Now().UTC(), Marking: record.Marking{TLP: record.Amber}, Body: json.RawMessage(fmt.Sprintf(`{"category":"flood","severity":"moderate","title":%q}`, title))}}
}

// verified fails the test when ledger, signatures and records do not fit together. It
// looks as somebody who has not seen the database before.
func (h *house) verified() {
	h.t.Helper()
	n, err := node.OpenReadOnly(h.t.Context(), h.data, h.store)
	if err != nil {
		h.t.Fatal(err)
	}
	defer n.Close()
	if fault, _, err := n.Verify(h.t.Context(), func(int64, int64) {}); fault != nil || err != nil {
		h.t.Errorf("fault %v, error %v", fault, err)
	}
}

// answer is what a process answers.
type answer struct {
	code int
	body map[string]any
}

// detail is the sentence of a refusal.
func (a answer) detail() string { s, _ := a.body["detail"].(string); return s }

// said is an answer's code and sentence.
func said(a answer) string { return fmt.Sprint(a.code, " ", a.detail()) }

// text is everything that an answer says.
func (p *process) text(a answer) string {
	b, err := json.Marshal(a.body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// caller is a person or a program at the other end of HTTP. It waits for an answer as
// long as a patient person does.
var caller = &http.Client{Timeout: time.Minute}

// call asks a process with a token, "" for nobody's.
func (p *process) call(token, method, path string, body any, header ...string) (answer, error) {
	var in io.Reader
	if body != nil {
		j, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		in = bytes.NewReader(j)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, in)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := caller.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{code: res.StatusCode, body: map[string]any{}}
	b, err := io.ReadAll(res.Body)
	if err == nil && json.Unmarshal(b, &a.body) != nil {
		a.body["text"] = string(b)
	}
	return a, err
}

// get asks what must be answered.
func (p *process) get(token, path string, header ...string) answer {
	p.t.Helper()
	a, err := p.call(token, "GET", path, nil, header...)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// draft is a report as a program sends it.
func draft(id record.ID, title string) map[string]any {
	return map[string]any{"id": id, "observed": time.Now().UTC(), "marking": map[string]any{"tlp": "AMBER"},
		"body": map[string]any{"category": "flood", "severity": "moderate", "title": title}}
}

// tell gives one report.
func (p *process) tell(token string, draft map[string]any) (answer, error) {
	return p.call(token, "POST", "/api/v1/records/incident", draft)
}

// told gives one report that must be taken.
func (p *process) told(token, title string) record.ID {
	p.t.Helper()
	id := kerneltest.ID()
	if a, err := p.tell(token, draft(id, title)); err != nil || a.code != 201 {
		p.t.Fatalf("%+v %v", a, err)
	}
	return id
}

// browser asks several processes in turn, as a load balancer does.
type browser struct {
	t      *testing.T
	at     []*process
	n      int
	cookie []*http.Cookie
	csrf   string
}

func (b *browser) ask(method, path string, body any) (int, map[string]any) {
	b.t.Helper()
	p := b.at[b.n%len(b.at)]
	b.n++
	var in io.Reader
	if body != nil {
		j, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		in = bytes.NewReader(j)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, p.url+path, in)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-CSRF-Token", b.csrf)
	for _, c := range b.cookie {
		r.AddCookie(c)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	if cs := res.Cookies(); len(cs) > 0 {
		b.cookie = cs
	}
	out := map[string]any{}
	json.NewDecoder(res.Body).Decode(&out)
	return res.StatusCode, out
}

func (b *browser) signIn(person string) {
	b.t.Helper()
	code, v := b.ask("POST", "/api/v1/session", map[string]string{"name": person, "password": twinPassword})
	if code != 200 {
		b.t.Fatalf("sign-in: %d %v", code, v)
	}
	b.csrf, _ = v["csrf"].(string)
}

// follow reads a live stream until it ends, and sends the titles and cursors.
func (b *browser) follow(ctx context.Context, p *process, cursor string, out chan<- [2]string) error {
	r, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/feed?cursor="+cursor, nil)
	if err != nil {
		return err
	}
	for _, c := range b.cookie {
		r.AddCookie(c)
	}
	return events(r, out)
}

// events reads one stream.
func events(r *http.Request, out chan<- [2]string) error {
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	typ := ""
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		if t, ok := bytes.CutPrefix(s.Bytes(), []byte("event: ")); ok {
			typ = string(t)
		}
		if d, ok := bytes.CutPrefix(s.Bytes(), []byte("data: ")); ok {
			var e struct{ Cursor, Title string }
			if err := json.Unmarshal(d, &e); err != nil {
				return err
			}
			switch typ {
			case "record":
				out <- [2]string{e.Title, e.Cursor}
			case "hello":
				out <- [2]string{"", e.Cursor}
			case "reset":
				return errReset
			}
		}
	}
	return nil
}

var errReset = fmt.Errorf("the stream was reset")
