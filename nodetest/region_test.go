package nodetest

import (
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/desks/incident"
	"konbit/peer"
	"konbit/record"
	"konbit/store"
)

// TestMain lets tests wait side by side: they mostly wait for links.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set("4")
	}
	os.Exit(m.Run())
}

// incidents is what the tests exchange.
var incidents = Sample{Kind: "incident", Body: func(title string, urgent bool) any {
	i := incident.Incident{Title: title, Category: incident.Robbery, Severity: "minor"}
	if urgent {
		i.Severity = incident.Severe
	}
	return i
}}

var hispaniola = map[string][]string{"int.aid": {"@hispaniola"}, "ht.cc": {"@hispaniola"}, "do.911": {"@hispaniola"}}

// trio is a hub, and two nodes that reach nobody else.
func trio(t *testing.T) (r *Region, hub, a, b *Node) {
	t.Helper()
	r = New(t, incidents, House{"hub", []string{"int.aid"}, true}, House{"a", []string{"ht.cc"}, false}, House{"b", []string{"do.911"}, false})
	r.Found(hispaniola)
	r.Settle()
	return r, r.Nodes[0], r.Nodes[1], r.Nodes[2]
}

// mustHold fails the test unless a node holds that version; 0: nothing, not a trace.
func mustHold(t *testing.T, what string, n *Node, rec *record.Record, version int) {
	t.Helper()
	if got := n.Holds(rec.ID); got != version {
		t.Errorf("%s: %s holds version %d, want %d", what, n.Name, got, version)
	}
}

func mustHaveNoTrace(t *testing.T, n *Node, word string) {
	t.Helper()
	if places := n.Traces(word); len(places) > 0 {
		t.Errorf("%s still has %q: %v", n.Name, word, places)
	}
}

// token lets somebody of the node's first agency read over HTTP.
func token(t *testing.T, n *Node) string {
	t.Helper()
	who := n.Agencies[0] + "/rosa"
	_, err := n.Accounts.AddPerson(t.Context(), account.Node, store.Person{ID: who, Name: "Rosa", Grants: []store.Grant{{Agency: n.Agencies[0], Desk: "*", Role: desk.Viewer}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := n.Accounts.CreateToken(t.Context(), account.Node, account.NewToken{Name: "a test", Person: who})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// get asks a node for a record as a person's program does.
func get(t *testing.T, n *Node, token string, rec *record.Record) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", n.URL()+"/api/v1/records/"+rec.Kind+"/"+rec.ID.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	c := &http.Client{Timeout: time.Minute}
	defer c.CloseIdleConnections()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// carried counts the bundles that a hub keeps from one node for another.
func carried(hub, from, to *Node) int {
	short := func(n *Node) string { return filepath.Base(n.Keys.Origin) }
	files, _ := filepath.Glob(filepath.Join(hub.data, "peer", "relay", short(to), short(from), "[01]-*.bundle"))
	return len(files)
}

// cosign makes a node show its ledger, and waits until another one has co-signed
// all that is in it now.
func cosign(t *testing.T, r *Region, by, whose *Node) {
	t.Helper()
	size, hub := whose.Intake.Size(), r.Nodes[0]
	r.Cut(hub, whose) // a node shows it to whom it meets anew
	r.Mend(hub, whose)
	r.Until("the ledger is co-signed", func() bool {
		all, err := by.Exchange().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(s peer.Status) bool {
			return s.Name == whose.Keys.Origin && s.Witness != nil && s.Witness.Size >= size
		})
	})
}
