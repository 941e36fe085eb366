package public_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/policy"
	"konbit/public"
	"konbit/record"
	"konbit/wire/cap"
)

// Person is a body of which the public may see a part.
type Person struct {
	Name   string `json:"name"             search:"title"`
	Secret string `json:"secret,omitempty" search:"text"`
	Shown  string `json:"shown,omitempty"  set:"command"`
	Until  string `json:"until,omitempty"`
}

const photo = "ab12"

func seek() *desk.Desk {
	d := &desk.Desk{Name: "seek", Kinds: desk.Kinds{desk.KindOf[Person]("seek.person", desk.Path("open", "shown", "found"),
		desk.Flow{"open": {"show": "shown"}, "shown": {"find": "found", "hide": "open"}},
		desk.Allow{"show": desk.Operator, "find": desk.Operator, "hide": desk.Operator}, desk.KeepYears(1),
		desk.Flags(desk.Public),
		desk.Handle("show", func(c *desk.Change[Person], _ struct{}) error {
			c.Body.Shown, c.Record.Flags = c.Body.Name, []string{desk.Public}
			return nil
		}),
		desk.Handle("find", func(c *desk.Change[Person], _ struct{}) error { c.Body.Shown = ""; return nil }),
		desk.Handle("hide", func(c *desk.Change[Person], _ struct{}) error {
			c.Body.Shown, c.Record.Flags = "", nil
			return nil
		}),
		desk.Publish(func(p *Person, r *record.Record) *desk.Notice {
			n := &desk.Notice{Sort: desk.People, Since: r.Observed, Areas: []string{"Ouanaminthe"}, PCodes: []string{"HT0331"}, Photo: photo, Contact: "tel. 114",
				Title: desk.Say(p.Shown), Text: desk.Text{HT: "Kreyòl <b>", FR: "Français", ES: "Español", EN: "English"},
				Facts:     []desk.Fact{{Label: "field.seek.person.name", Text: desk.Say(p.Shown)}},
				Documents: []desk.Document{{Type: "application/pfif+xml", Body: []byte("<pfif>" + p.Shown + "</pfif>")}}}
			if p.Until != "" {
				n.Until, _ = time.Parse(time.RFC3339, p.Until)
			}
			if p.Shown == "" {
				n.Ended, n.Documents = "state.seek.person.found", nil
			}
			return n
		}))}}
	d.Files = Labels(d)
	return d
}

type site struct {
	*House
	t   *testing.T
	url string
	ana *policy.Reader
}

func newSite(t *testing.T) *site {
	s := &site{House: New(t, func(h *House) { h.Extra = []*desk.Desk{seek()} }), t: t}
	s.ana = s.Reader("ht.cc/ana", desk.Operator)
	s.ana.Roles["seek"] = []desk.Role{desk.Operator}
	return s
}

// serve runs a board until the test ends, or its end is called.
func (s *site) serve() (end func()) {
	s.t.Helper()
	b, err := public.New(s.t.Context(), public.Config{Store: s.Store, Desks: s.Desks, Grown: s.Intake.Grown, Name: "Polis <ak> lapolis", URL: "https://avi.example", Now: s.Clock.Now,
		Photo: func(hash string) (io.ReadSeekCloser, string, error) {
			if hash != photo {
				return nil, "", fmt.Errorf("asked for %s", hash)
			}
			return closer{bytes.NewReader([]byte("JPEG"))}, "image/jpeg", nil
		}})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	srv := httptest.NewServer(b.Handler())
	s.url = srv.URL
	end = func() { cancel(); <-done; srv.Close() }
	s.t.Cleanup(end)
	return end
}

type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }

func (s *site) show(name, until string) *record.Record {
	s.t.Helper()
	r := s.Create(s.ana, "seek.person", draft(name, until))
	s.do(r, "show")
	return r
}

func draft(name, until string) *intake.Draft {
	d := Draft(Person{Name: name, Secret: "quetzal", Until: until})
	d.Marking = record.Marking{TLP: record.Red, Persons: []string{"ht.cc/ana"}}
	return d
}

func (s *site) do(r *record.Record, name string) {
	s.t.Helper()
	s.Do(&intake.Command{ID: ID(), Kind: "seek.person", Name: name, Record: r.ID, By: s.ana})
}

func (s *site) get(path string, header ...string) (int, http.Header, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// until asks until the answer is as wanted.
func (s *site) until(path string, ok func(code int, body string) bool) string {
	s.t.Helper()
	end := time.Now().Add(10 * time.Second)
	for {
		code, _, body := s.get(path)
		if ok(code, body) {
			return body
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s stays %d %s", path, code, body)
		}
	}
}

func has(words string) func(int, string) bool {
	return func(_ int, body string) bool { return strings.Contains(body, words) }
}

var noticeAt = regexp.MustCompile(`href="(/n/[a-z0-9]{16})\?l=..">([^<]*)<`)

var photoAt = regexp.MustCompile(`src="(/photo/[^"]+)"`)

func TestWhatACommandEndsIsGoneFromPagesFeedsAndPhotographs(t *testing.T) {
	s := newSite(t)
	s.serve()
	s.Create(s.ana, "seek.person", draft("Not shown", ""))
	r := s.show("Ti Mari", "")
	index := s.until("/?l=en", has("Ti Mari"))
	at := noticeAt.FindStringSubmatch(index)[1]
	if strings.Contains(index, "Not shown") || strings.Contains(index, r.ID.String()) {
		t.Errorf("the first page tells too much: %s", index)
	}
	_, _, page := s.get(at + "?l=ht")
	for _, want := range []string{"Ti Mari", "Kreyòl &lt;b&gt;", "tel. 114", "Polis &lt;ak&gt; lapolis", "Ouanaminthe"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	picture := photoAt.FindStringSubmatch(page)[1]
	if code, h, body := s.get(picture); code != 200 || body != "JPEG" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("the photograph: %d %s", code, body)
	}
	for _, bad := range []string{picture + "0", strings.Replace(picture, "/photo/", "/photo/x", 1), regexp.MustCompile(`/\d+/`).ReplaceAllString(picture, "/1/")} {
		if code, _, _ := s.get(bad); code != 404 {
			t.Errorf("%s answers %d", bad, code)
		}
	}
	everywhere := []string{"/?l=en", "/?l=ht&near=ouan", at, at + "?l=fr", at + "/0.pfif.xml", "/people.atom", "/people.rss?l=es"}
	for _, p := range everywhere {
		if _, _, body := s.get(p); !strings.Contains(body, "Ti Mari") || strings.Contains(body, "quetzal") {
			t.Errorf("%s: %s", p, body)
		}
	}
	s.do(r, "find")
	s.until("/?l=en", func(_ int, body string) bool { return !strings.Contains(body, "Ti Mari") })
	for _, p := range append(everywhere, picture) {
		if _, _, body := s.get(p); strings.Contains(body, "Ti Mari") || strings.Contains(body, "JPEG") || strings.Contains(body, "tel. 114") || strings.Contains(body, "Ouanaminthe") && !strings.Contains(p, "near") {
			t.Errorf("after the end, %s: %s", p, body)
		}
	}
	if code, _, body := s.get(at); code != 200 || !strings.Contains(body, "pa la ankò") {
		t.Errorf("the page of what has ended: %d %s", code, body)
	}
	s.do(s.show("Again", ""), "hide")
	s.until("/?l=en", func(_ int, body string) bool { return !strings.Contains(body, "Again") })
}

func TestNoticesAreThereAfterARestartUnderTheSameAddress(t *testing.T) {
	s := newSite(t)
	end := s.serve()
	s.show("Ti Jo", "")
	before := noticeAt.FindString(s.until("/?l=en", has("Ti Jo")))
	end()
	s.Restart()
	s.serve()
	if after := noticeAt.FindString(s.until("/?l=en", has("Ti Jo"))); after != before {
		t.Errorf("%s, and before the restart %s", after, before)
	}
}

func TestNoticeRunsOut(t *testing.T) {
	s := newSite(t)
	s.show("Short", s.Clock.Now().Add(time.Hour).Format(time.RFC3339))
	end := s.serve()
	s.until("/?l=en", has("Short"))
	end()
	s.Clock.Move(2 * time.Hour)
	s.serve()
	s.until("/?l=en", func(_ int, body string) bool { return !strings.Contains(body, "Short") })
	later := s.show("Real", time.Now().Add(time.Hour).Format(time.RFC3339))
	s.until("/?l=en", has("Real"))
	s.do(later, "hide")
}

func TestPagesAreSmallAndNeedNothing(t *testing.T) {
	s := newSite(t)
	s.serve()
	for i := range 50 {
		s.show(fmt.Sprint("Person ", i), "")
	}
	s.until("/?l=ht", has("Person 49"))
	for _, p := range []string{"/?l=ht", "/?l=fr", "/?l=es", "/?l=en", noticeAt.FindStringSubmatch(s.until("/?l=fr", has("Person 49")))[1], "/nothing"} {
		_, h, body := s.get(p)
		if len(body) > 30_000 || strings.Contains(body, "<script") || strings.Contains(body, "http://") || strings.Contains(strings.ReplaceAll(body, "https://avi.example", ""), "https://") {
			t.Errorf("%s has %d bytes: %.300s", p, len(body), body)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || h.Get("X-Robots-Tag") == "" {
			t.Errorf("%s: %v", p, h)
		}
		if code, _, body := s.get(p, "If-None-Match", h.Get("ETag")); p != "/nothing" && (code != 304 || body != "") {
			t.Errorf("%s again: %d", p, code)
		}
		_, h, packed := s.get(p, "Accept-Encoding", "gzip")
		z, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil || h.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v %v", p, err, h)
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != body {
			t.Errorf("%s is another page when it is packed, %v", p, err)
		}
	}
	for path, root := range map[string]string{"/people.atom": "feed", "/alerts.rss": "rss"} {
		_, _, body := s.get(path)
		var v struct{ XMLName xml.Name }
		if err := xml.Unmarshal([]byte(body), &v); err != nil || v.XMLName.Local != root {
			t.Errorf("%s: %v %v", path, v, err)
		}
		if _, err := cap.ParseFeed([]byte(body), cap.Limits{}); err != nil {
			t.Errorf("%s: %v\n%s", path, err, body)
		}
	}
}

func TestReaderIsAnsweredInHisLanguage(t *testing.T) {
	s := newSite(t)
	s.serve()
	for accept, want := range map[string]string{"": "ht", "fr-FR,fr;q=0.9,en;q=0.8": "fr", "es-DO": "es", "en-GB": "en", "ht": "ht", "de": "ht", "\x00;;": "ht"} {
		req := []string{}
		if accept != "" && accept[0] != 0 {
			req = []string{"Accept-Language", accept}
		}
		if _, _, body := s.get("/", req...); !strings.Contains(body, `<html lang="`+want+`">`) {
			t.Errorf("%q is not answered in %s: %.60s", accept, want, body)
		}
	}
	if _, _, body := s.get(`/?l=en&near="><script>x`, "Accept-Language", "fr"); !strings.Contains(body, `lang="en"`) || strings.Contains(body, "<script>") {
		t.Errorf("%.2000s", body)
	}
	res, err := http.Post(s.url+"/", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 405 {
		t.Errorf("a POST is answered with %d", res.StatusCode)
	}
}
