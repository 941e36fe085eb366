package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"konbit/account"
	"konbit/record"
)

// syncBuffer collects a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// tail is an open stream.
type tail struct {
	t    *testing.T
	res  *http.Response
	scan *bufio.Scanner
	stop context.CancelFunc
}

type event struct {
	Type, ID string
	Data     struct {
		Cursor, Kind, ID, Title string
		Version                 int
		Record                  *record.Record
	}
}

func (c *client) feed(t *testing.T, query, last string) *tail {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	req := c.request("GET", "/api/v1/feed"+query, nil, "Last-Event-ID", last).WithContext(ctx)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	return &tail{t, res, bufio.NewScanner(res.Body), stop}
}

// next returns the next event; Type is "" at the end of the stream.
func (l *tail) next() (e event) {
	l.t.Helper()
	for l.scan.Scan() {
		name, v, _ := strings.Cut(l.scan.Text(), ": ")
		switch name {
		case "id":
			e.ID = v
		case "event":
			e.Type = v
		case "data":
			if err := json.Unmarshal([]byte(v), &e.Data); err != nil {
				l.t.Fatalf("%v: %s", err, v)
			}
		case "":
			if e.Type != "" {
				return e
			}
		}
	}
	return e
}

func TestFeedResumesWithoutGapOrRepeat(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	live := ana.feed(t, "", "")
	hello := live.next()
	if hello.Type != "hello" || hello.ID == "" || hello.ID != hello.Data.Cursor {
		t.Fatalf("%+v", hello)
	}
	var want []string
	report := func() { want = append(want, ana.report().ID.String()) }
	var got []string
	take := func(l *tail) string {
		e := l.next()
		if e.Type != "record" || e.Data.Kind != "incident" || e.Data.Record == nil || e.Data.Title == "" {
			t.Fatalf("%+v", e)
		}
		got = append(got, e.Data.ID)
		return e.ID
	}
	report()
	report()
	take(live)
	last := take(live)
	live.stop()
	report()
	report()
	again := ana.feed(t, "?cursor="+hello.ID, last) // the header is stronger
	if e := again.next(); e.Type != "hello" {
		t.Fatalf("%+v", e)
	}
	report()
	for range 3 {
		take(again)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFeedSaysWhenItCannotResume(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	live := ana.feed(t, "", h.node.Records.SealSeq(1_000_000)) // of a ledger that was longer, before a backup was restored
	if e := live.next(); e.Type != "reset" || e.ID == "" {
		t.Fatalf("%+v", e)
	}
	if e := live.next(); e.Type != "hello" {
		t.Fatalf("%+v", e)
	}
	r := ana.report()
	if e := live.next(); e.Type != "record" || e.Data.ID != r.ID.String() {
		t.Fatalf("%+v", e)
	}
}

func TestFeedShowsOnlyWhatIsReleased(t *testing.T) {
	h := newHouse(t)
	ana, luis := h.token("ht.cc/ana"), h.token("do.911/luis")
	live := luis.feed(t, "?kind=incident", "")
	live.next()
	secret := ana.report(set("marking", m{"tlp": "AMBER"}))
	shared := ana.report(set("marking", m{"tlp": "AMBER", "to": []string{"do.911"}}))
	if e := live.next(); e.Type != "record" || e.Data.ID != shared.ID.String() {
		t.Fatalf("%+v", e)
	}
	ana.do("POST", at(secret)+"/verify", nil).want(200)
	ana.do("POST", at(shared)+"/mark", m{"args": m{"tlp": "AMBER"}}).want(200)
	if e := live.next(); e.Type != "gone" || e.Data.ID != shared.ID.String() || e.Data.Record != nil {
		t.Fatalf("%+v", e)
	}
}

func TestFeedEndsWithTheAccountBehindIt(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	luis := h.token("do.911/luis")
	live := luis.feed(t, "", "")
	live.next()
	off := true
	if _, err := h.node.Accounts.UpdatePerson(t.Context(), account.Node, "do.911/luis", account.PersonChange{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	ana.report(set("marking", m{"tlp": "CLEAR"})) // it must not reach him, whatever the clock says
	if e := live.next(); e.Type != "" {
		t.Errorf("after he was disabled: %+v", e)
	}
}

func TestFeedEndsWhenTheServerCloses(t *testing.T) {
	h := newHouse(t)
	live := h.token("ht.cc/ana").feed(t, "", "")
	live.next()
	h.web.Close()
	if e := live.next(); e.Type != "" {
		t.Errorf("%+v", e)
	}
	h.anybody().do("GET", "/readyz", nil).problem(503, "unavailable")
	h.anybody().do("GET", "/healthz", nil).want(200)
}
