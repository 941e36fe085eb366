package web_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"konbit/ledger"
	"konbit/query"
	"konbit/web"
)

func TestAuditorReadsWhoDidWhatAndTakesAProof(t *testing.T) {
	h := newHouse(t)
	ana, aud := h.signIn("ht.cc/ana"), h.token("ht.cc/aud", "read", "audit")
	r := ana.report()
	ana.do("POST", at(r)+"/verify", m{}).want(200)
	var page web.AuditPage
	aud.do("GET", "/api/v1/audit/entries?record="+r.ID.String(), nil).want(200).json(&page)
	whats := ""
	var change query.AuditEntry
	for _, e := range page.Entries {
		whats += e.What + " "
		if e.What == "incident.verify" {
			change = e
		}
		if e.Actor != "ht.cc/ana" || e.Record != r.ID.String() {
			t.Errorf("entry %+v", e)
		}
	}
	if !strings.Contains(whats, "incident.verify") || !strings.Contains(whats, "incident.create") {
		t.Fatalf("entries: %s", whats)
	}
	if strings.Contains(string(aud.do("GET", "/api/v1/audit/entries?limit=1000", nil).want(200).body), "Barrage") {
		t.Error("an auditor without rights reads the content")
	}

	key := strings.TrimSpace(string((&client{h: h}).do("GET", "/api/v1/audit/key", nil).want(200).body))
	res := aud.do("GET", "/api/v1/audit/entries/"+itoa(change.Seq)+"/proof", nil).want(200)
	if d := res.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") {
		t.Errorf("Content-Disposition %q", d)
	}
	p, err := ledger.ParseProofFile(res.body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Check(key)
	if err != nil || !got.Trusted || !got.Header || got.Content || got.Seq != change.Seq {
		t.Errorf("proof: %+v %v; want header without content, under the node's key", got, err)
	}
	if note := string(aud.do("GET", "/api/v1/audit/checkpoint", nil).want(200).body); !strings.Contains(note, "\n— ") {
		t.Errorf("checkpoint %q", note)
	}

	ana.do("GET", "/api/v1/audit/entries", nil).problem(403, "denied")
	ana.do("GET", "/api/v1/audit/entries/"+itoa(change.Seq)+"/proof", nil).problem(403, "denied")
	h.token("ht.cc/aud").do("GET", "/api/v1/audit/entries", nil).problem(403, "denied")
	h.token("ht.cc/aud", "read", "audit").do("GET", "/api/v1/audit/entries/999999/proof", nil).problem(404, "not-found")
	(&client{h: h}).do("GET", "/api/v1/audit/checkpoint", nil).problem(401, "unsigned")
	aud.do("GET", "/api/v1/audit/entries?record=x&person=y&from=z", nil).problem(422, "invalid", "record:invalid", "person:invalid", "from:time")
}

func TestAuditPagesDoNotRepeat(t *testing.T) {
	h := newHouse(t)
	ana, aud := h.token("ht.cc/ana"), h.token("ht.cc/aud", "audit")
	for range 7 {
		ana.report()
	}
	seen, path := map[int64]bool{}, "/api/v1/audit/entries?type=change&limit=3"
	for next := path; next != ""; {
		var page web.AuditPage
		aud.do("GET", next, nil).want(200).json(&page)
		for _, e := range page.Entries {
			if seen[e.Seq] || e.Type != "change" {
				t.Errorf("entry %d again, or of type %s", e.Seq, e.Type)
			}
			seen[e.Seq] = true
		}
		if next = ""; page.Next != "" {
			next = path + "&cursor=" + page.Next
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d changes, want 7", len(seen))
	}
}

func TestVerificationRunsOnceAtATimeAndTellsWhatItFound(t *testing.T) {
	step := make(chan struct{})
	answer := make(chan error, 1)
	fault := ""
	h := newHouse(t, func(c *web.Config) {
		c.Replay = func(ctx context.Context, progress func(done, total int64)) (string, error) {
			progress(3, 10)
			step <- struct{}{}
			select {
			case err := <-answer:
				return fault, err
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
	})
	aud := h.token("ht.cc/aud", "audit")
	const at = "/api/v1/audit/verify"
	get := func() (v web.Verification) {
		t.Helper()
		aud.do("GET", at, nil).want(200).json(&v)
		return v
	}
	ended := func() web.Verification {
		t.Helper()
		for {
			if v := get(); !v.Running {
				return v
			}
		}
	}
	if v := get(); v.Running || v.OK != nil {
		t.Errorf("before: %+v", v)
	}
	aud.do("POST", at, nil).want(200)
	<-step
	if v := get(); !v.Running || v.Done != 3 || v.Total != 10 {
		t.Errorf("running: %+v", v)
	}
	var second web.Verification
	h.signIn("ht.cc/root").do("POST", at, nil).want(200).json(&second)
	if !second.Running || second.Done != 3 {
		t.Errorf("a second start: %+v", second)
	}
	answer <- nil
	if v := ended(); v.OK == nil || !*v.OK || v.Fault != "" || v.Finished == nil || v.Done != 10 {
		t.Errorf("a whole ledger: %+v", v)
	}
	fault = "entry 7: signature does not fit"
	aud.do("POST", at, nil).want(200)
	<-step
	answer <- nil
	if v := ended(); v.OK == nil || *v.OK || v.Fault != fault {
		t.Errorf("a broken ledger: %+v", v)
	}
	fault = ""
	aud.do("POST", at, nil).want(200)
	<-step
	answer <- errors.New("disk on fire at /secret")
	if v := ended(); v.OK != nil || v.Error == "" || strings.Contains(v.Error, "secret") {
		t.Errorf("a failure to look: %+v", v)
	}
	h.token("ht.cc/ana").do("POST", at, nil).problem(403, "denied")
	aud.do("POST", at, nil).want(200) // and the server ends while it runs
	<-step
	h.web.Close()
	aud.do("POST", at, nil).problem(503, "unavailable")
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
