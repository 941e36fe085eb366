package web_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"konbit/account"
	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// Who comes back with an old cursor is told that a record is gone, not what it
// said: the feed shows what a single read would.
func TestFeedDoesNotBringBackWhatIsGone(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(ana, sup *client, r *record.Record)
	}{
		{"narrowed", func(ana, _ *client, r *record.Record) {
			ana.do("POST", at(r)+"/mark", m{"args": m{"tlp": "AMBER"}}).want(200)
		}},
		{"protected", func(ana, _ *client, r *record.Record) {
			ana.do("POST", at(r)+"/mark", m{"args": m{"tlp": "AMBER", "to": []string{"do.911"}, "caveats": []string{"source"}}}).want(200)
		}},
		{"erased", func(_, sup *client, r *record.Record) {
			sup.do("POST", at(r)+"/erase", m{"note": "court order"}).want(200)
		}},
	} {
		for _, listening := range []bool{true, false} {
			t.Run(fmt.Sprint(c.name, "/listening=", listening), func(t *testing.T) {
				h := newHouse(t)
				ana, sup, luis := h.token("ht.cc/ana"), h.token("ht.cc/sup"), h.token("do.911/luis")
				live := luis.feed(t, "", "")
				hello := live.next()
				if !listening {
					live.stop()
				}
				r := ana.report(set("marking", m{"tlp": "AMBER", "to": []string{"do.911"}}))
				if listening {
					if e := live.next(); e.Type != "record" {
						t.Fatalf("%+v", e)
					}
				}
				c.take(ana, sup, r)
				if listening {
					if e := live.next(); e.Type != "gone" {
						t.Fatalf("%+v", e)
					}
				}
				other := ana.report(set("marking", m{"tlp": "CLEAR"}))
				luis.do("GET", at(r), nil).problem(404, "not-found")
				again := luis.feed(t, "", hello.ID)
				for {
					e := again.next()
					if e.Data.ID == other.ID.String() {
						break
					}
					if e.Type == "" || e.Data.ID == r.ID.String() && (e.Type != "gone" || e.Data.Record != nil || e.Data.Title != "") {
						t.Fatalf("after it was %s: %+v", c.name, e)
					}
				}
			})
		}
	}
}

func TestCheckpointIsForThoseWhoOversee(t *testing.T) {
	h := newHouse(t)
	for _, who := range []string{"ht.cc/view", "ht.cc/ana", "ht.cc/sup"} {
		h.signIn(who).do("GET", "/api/v1/audit/checkpoint", nil).problem(403, "denied")
	}
	h.token("ht.cc/aud").do("GET", "/api/v1/audit/checkpoint", nil).problem(403, "denied")
	h.token("ht.cc/aud", "audit").do("GET", "/api/v1/audit/checkpoint", nil).want(200)
	h.signIn("ht.cc/root").do("GET", "/api/v1/audit/checkpoint", nil).want(200)
	h.anybody().do("GET", "/api/v1/audit/key", nil).want(200)
}

// Whoever knows an identifier learns nothing by asking the ledger about it.
func TestLedgerAnswersAlikeForHiddenAndAbsent(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	hidden := ana.report(set("marking", m{"tlp": "AMBER"}))
	red := ana.report(set("marking", m{"tlp": "RED", "persons": []string{"ht.cc/ana"}}))
	absent := record.NewID(h.clock.now()).String()
	same := func(c *client, path string, id record.ID) {
		t.Helper()
		a := c.do("GET", strings.ReplaceAll(path, "ID", id.String()), nil)
		b := c.do("GET", strings.ReplaceAll(path, "ID", absent), nil)
		clean := func(x *answer) string {
			var v map[string]any
			x.json(&v)
			delete(v, "request")
			delete(v, "instance")
			out, _ := json.Marshal(v)
			return fmt.Sprint(x.StatusCode, string(out))
		}
		if clean(a) != clean(b) {
			t.Errorf("%s\nhidden %s\nabsent %s", path, clean(a), clean(b))
		}
	}
	if _, err := h.node.Accounts.AddPerson(t.Context(), account.Node, store.Person{ID: "do.911/aud", Name: "Aud", Grants: []store.Grant{{Agency: "do.911", Desk: "*", Role: desk.Auditor}}}, password); err != nil {
		t.Fatal(err)
	}
	same(h.token("do.911/luis"), incidents+"/ID/looks", hidden.ID)
	same(h.token("ht.cc/view"), incidents+"/ID/looks", red.ID)
	same(h.token("do.911/aud", "audit", "read"), "/api/v1/audit/entries?record=ID", hidden.ID)
	same(h.token("do.911/aud", "audit", "read"), incidents+"/ID/looks", hidden.ID)
	for _, path := range []string{"", "/history", "/audience", "/similar", "/links", "?version=1"} {
		same(h.token("do.911/luis"), incidents+"/ID"+path, hidden.ID)
		same(h.token("ht.cc/sup"), incidents+"/ID"+path, red.ID)
	}
	// An auditor of the owner still learns who looked at what he may not read.
	h.token("ht.cc/aud", "audit").do("GET", at(red)+"/looks", nil).want(200)
	// But an auditor of one desk asks about that desk.
	h.token("ht.cc/aud", "audit").do("GET", "/api/v1/records/sitrep/"+red.ID.String()+"/looks", nil).problem(404, "not-found")
	h.token("ht.cc/view").do("GET", at(hidden)+"/looks", nil).problem(403, "denied")
}

// A retry says what the command did; it is no way to content that its giver may
// not read any more.
func TestRetriedCommandShowsNoMoreThanARead(t *testing.T) {
	h := newHouse(t)
	ana, sup := h.token("ht.cc/ana"), h.token("ht.cc/sup")
	r := ana.report(set("marking", m{"tlp": "AMBER"}), set("body.narrative", "Tonton Klod saw the plate."))
	act := m{"command": record.NewID(h.clock.now()).String()}
	if got := sup.do("POST", at(r)+"/verify", act).want(200).record(); !strings.Contains(string(got.Body), "Klod") {
		t.Fatalf("%s", got.Body)
	}
	if got := sup.do("POST", at(r)+"/verify", act).want(200).record(); got.State != "verified" || !strings.Contains(string(got.Body), "Klod") {
		t.Fatalf("a retry: %s", got.Body)
	}
	ana.do("POST", at(r)+"/mark", m{"args": m{"tlp": "RED", "persons": []string{"ht.cc/ana"}}}).want(200)
	sup.do("GET", at(r), nil).problem(404, "not-found")
	if a := sup.do("POST", at(r)+"/verify", act); strings.Contains(string(a.body), "Klod") || a.StatusCode != 200 {
		t.Errorf("a retry after it was narrowed: %d %s", a.StatusCode, a.body)
	}
}

// A proof holds the content only where a read would show it.
func TestProofWithholdsWhatWasNarrowedSince(t *testing.T) {
	h := newHouse(t)
	if _, err := h.node.Accounts.AddPerson(t.Context(), account.Node, store.Person{ID: "ht.cc/both", Name: "Both",
		Grants: []store.Grant{{Agency: "ht.cc", Desk: "*", Role: desk.Auditor}, {Agency: "ht.cc", Desk: "*", Role: desk.Viewer}}}, password); err != nil {
		t.Fatal(err)
	}
	ana, both := h.token("ht.cc/ana"), h.token("ht.cc/both", "read", "audit")
	r := ana.report(set("marking", m{"tlp": "AMBER"}), set("body.narrative", "Tonton Klod saw the plate."))
	var page struct{ Entries []struct{ Seq int64 } }
	both.do("GET", "/api/v1/audit/entries?type=change&record="+r.ID.String(), nil).want(200).json(&page)
	path := fmt.Sprintf("/api/v1/audit/entries/%d/proof", page.Entries[0].Seq)
	before := both.do("GET", path, nil).want(200)
	ana.do("POST", at(r)+"/mark", m{"args": m{"tlp": "RED", "persons": []string{"ht.cc/ana"}}}).want(200)
	after := both.do("GET", path, nil).want(200)
	if len(after.body) >= len(before.body)-100 {
		t.Errorf("the proof still holds the content: %d bytes, %d before", len(after.body), len(before.body))
	}
}

// An agency gets into a community, and so to what is released to it, only with
// the word of one that is in it.
func TestAdministratorDoesNotJoinACommunityByHimself(t *testing.T) {
	h := newHouse(t)
	if _, err := h.node.Accounts.AddPerson(t.Context(), account.Node, store.Person{ID: "ht.gcg/boss", Name: "Boss",
		Grants: []store.Grant{{Agency: "ht.gcg", Desk: "*", Role: desk.Administrator}}}, password); err != nil {
		t.Fatal(err)
	}
	r := h.token("ht.cc/ana").report(set("marking", m{"tlp": "AMBER", "to": []string{"@hispaniola"}}))
	boss, jo := h.signIn("ht.gcg/boss"), h.token("ht.gcg/jo")
	boss.do("PATCH", "/api/v1/agencies/ht.gcg", m{"communities": []string{"@hispaniola"}}).problem(403, "denied")
	boss.do("POST", "/api/v1/agencies", m{"id": "ht.shell", "name": "Shell", "local": true, "communities": []string{"@hispaniola"}}).problem(403, "denied")
	jo.do("GET", at(r), nil).problem(404, "not-found")
	boss.do("PATCH", "/api/v1/agencies/ht.gcg", m{"communities": []string{"@gonave"}}).want(200) // a new one
	boss.do("PATCH", "/api/v1/agencies/ht.gcg", m{"communities": []string{}}).want(200)
	root := h.signIn("ht.cc/root")
	root.do("POST", "/api/v1/agencies", m{"id": "jm.odpem", "name": "ODPEM", "communities": []string{"@hispaniola"}}).want(201)
}

// Another site can make a browser go to an address of ours, but not look in a
// person's name, with a purpose of its choosing.
func TestAnotherSiteCannotMakeAPersonLook(t *testing.T) {
	h := newHouse(t)
	ana := h.signIn("ht.cc/ana")
	r := ana.report(set("body.category", "kidnapping"))
	for _, path := range []string{at(r) + "?purpose=jealousy", "/ogc/collections/incident/items?purpose=jealousy"} {
		ana.do("GET", path, nil, "Sec-Fetch-Site", "cross-site").problem(401, "unsigned")
	}
	ana.do("GET", at(r)+"?purpose=work", nil, "Sec-Fetch-Site", "same-origin").want(200)
	if a := h.signIn("ht.cc/aud").do("GET", at(r)+"/looks", nil).want(200); strings.Contains(string(a.body), "jealousy") {
		t.Errorf("%s", a.body)
	}
}

func TestLookNamesTheVersionThatWasShown(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	r := ana.report()
	ana.do("POST", at(r)+"/verify", nil).want(200)
	h.token("ht.cc/view").do("GET", at(r)+"?version=1", nil).want(200)
	view := h.token("ht.cc/sup")
	var v struct {
		Looks []struct {
			Person  string
			Version int
		}
	}
	for len(v.Looks) == 0 { // the look is written soon after
		view.do("GET", at(r)+"/looks", nil).want(200).json(&v)
	}
	if v.Looks[0].Version != 1 {
		t.Errorf("%+v", v.Looks)
	}
}

func TestStreamsOfOnePersonAreBounded(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	var last *tail
	for range 32 {
		last = ana.feed(t, "", "")
		last.next()
	}
	ana.do("GET", "/api/v1/feed", nil).problem(http.StatusTooManyRequests, "too-many")
	h.token("ht.cc/view").feed(t, "", "").next() // others are not held back
	last.stop()
	for { // the node notices soon
		a := ana.request("GET", "/api/v1/feed", nil)
		res, err := http.DefaultTransport.RoundTrip(a)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == 200 {
			break
		}
	}
}

// A client that sends first and reads then learns why a body was refused.
func TestTooLargeABodyIsAnsweredNotCutOff(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	for _, path := range []string{incidents, incidents + "/" + record.NewID(h.clock.now()).String() + "/verify"} {
		conn, err := net.Dial("tcp", h.srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := `{"body":{"title":"` + strings.Repeat("a", 10<<20) + `"}}`
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, ana.header.Get("Authorization"), len(body), body); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// A small body does not keep the node busy for long.
func TestPackedBombIsRefused(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	pack := func(line string, n int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		part := []byte(strings.Repeat(line, 1000))
		for range n / 1000 {
			z.Write(part)
		}
		z.Close()
		return b.Bytes()
	}
	for _, line := range []string{"\n", strings.Repeat("a", 100)} {
		ana.do("POST", incidents, pack(line, 20_000_000/len(line)), "Content-Type", "application/x-ndjson", "Content-Encoding", "gzip").problem(413, "too-large")
	}
	one, err := json.Marshal(h.incident())
	if err != nil {
		t.Fatal(err)
	}
	ana.do("POST", incidents, pack(string(one)+"\n", 1000), "Content-Type", "application/x-ndjson", "Content-Encoding", "gzip").want(200)
}
