package web_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"konbit/account"
	"konbit/desk"
	"konbit/peer"
	"konbit/store"
	"konbit/web"
)

const peers = "/api/v1/peers"

// newNeighbour opens a house of another agency, on a node of its own.
func newNeighbour(t *testing.T, change ...func(*web.Config)) *house {
	t.Helper()
	h := newEmpty(t, change...)
	if _, err := h.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "jm.jcf", Name: "Constabulary", Country: "JM", Local: true}); err != nil {
		t.Fatal(err)
	}
	for id, role := range map[string]desk.Role{"jm.jcf/kay": desk.Operator, "jm.jcf/root": desk.Administrator} {
		p := store.Person{ID: id, Name: "Person " + id, Lang: "en", Grants: []store.Grant{{Agency: "jm.jcf", Desk: "*", Role: role}}}
		if _, err := h.node.Accounts.AddPerson(t.Context(), account.Node, p, password); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// joined makes two houses exchange: the second asks, the first approves.
func joined(t *testing.T) (a, b *house) {
	t.Helper()
	a, b = newHouse(t), newNeighbour(t)
	root, other := a.token("ht.cc/root", "admin"), b.token("jm.jcf/root", "admin")
	var i web.InvitationView
	root.do("POST", peers+"/invitations", m{"url": a.srv.URL}).want(200).json(&i)
	if len(i.QR) < 21 || i.Fingerprint == "" || i.Expires.IsZero() {
		t.Fatalf("invitation %+v", i)
	}
	var inviter peer.Status
	other.do("POST", peers+"/join", m{"code": i.Code}).want(200).json(&inviter)
	if inviter.Fingerprint != i.Fingerprint {
		t.Errorf("the joiner is shown %s, the inviter read out %s", inviter.Fingerprint, i.Fingerprint)
	}
	var mine, theirs web.PeersView
	other.do("GET", peers, nil).want(200).json(&mine)
	root.do("GET", peers, nil).want(200).json(&theirs)
	if len(theirs.Peers) != 1 || theirs.Peers[0].State != peer.Pending {
		t.Fatalf("before it is approved: %+v", theirs.Peers)
	}
	approve := peers + "/" + mine.Self.Short + "/approve"
	root.do("POST", approve, m{"fingerprint": i.Fingerprint}).problem(403, "denied")
	root.do("POST", approve, m{"fingerprint": mine.Self.Fingerprint}).want(200)
	b.until(other, "the link is up", func(v *web.PeersView) bool { return len(v.Peers) == 1 && v.Peers[0].State == peer.Live })
	return a, b
}

// until asks again whenever a dot changes, until the state is as wanted.
func (h *house) until(c *client, what string, ok func(*web.PeersView) bool) {
	h.t.Helper()
	for {
		changed := h.node.Exchange().StatusChanged()
		var v web.PeersView
		c.do("GET", peers, nil).want(200).json(&v)
		if ok(&v) {
			return
		}
		select {
		case <-changed:
		case <-h.t.Context().Done():
			h.t.Fatalf("%s: %+v", what, v.Peers)
		}
	}
}

func TestNodesJoinByInvitationAndAReleasedRecordArrives(t *testing.T) {
	a, b := joined(t)
	ana, kay := a.token("ht.cc/ana"), b.token("jm.jcf/kay")
	draft := a.incident()
	draft["marking"] = m{"tlp": "AMBER", "to": []string{"jm.jcf"}}
	rec := ana.do("POST", incidents, draft).want(201)
	path := incidents + "/" + rec.text("id")
	for {
		_, more := b.node.Intake.Grown()
		if res := kay.do("GET", path, nil); res.StatusCode == 200 {
			break
		}
		<-more
	}
	var v web.HoldersView
	for {
		_, more := a.node.Intake.Grown() // a receipt is an entry of the ledger
		ana.do("GET", path+"/holders", nil).want(200).json(&v)
		if len(v.Holders) == 1 && (v.Holders[0].State == peer.Received || v.Holders[0].State == peer.Opened) {
			break
		}
		<-more
	}
	// Whoever does not own a record is not told who else holds it.
	kay.do("GET", path+"/holders", nil).want(200).json(&v)
	if len(v.Holders) != 0 {
		t.Errorf("the holder is told of holders: %+v", v.Holders)
	}
	a.token("ht.gcg/jo").do("GET", path+"/holders", nil).problem(404, "not-found")
}

func TestOnlyAnAdministratorSeesMoreOfAPeerThanItsDot(t *testing.T) {
	a, _ := joined(t)
	var v web.PeersView
	a.token("ht.cc/view").do("GET", peers, nil).want(200).json(&v)
	if v.Self != nil || v.Region != nil || len(v.Alarms) != 0 || len(v.Peers) != 1 {
		t.Fatalf("a viewer sees %+v", v)
	}
	if p := v.Peers[0]; p.Fingerprint != "" || p.Sent != 0 || p.Held != 0 || len(p.URLs) != 0 || p.Witness != nil {
		t.Errorf("a viewer sees of a peer %+v", p)
	}
	short := v.Peers[0].Short
	for _, person := range []string{"ht.cc/view", "ht.cc/sup", "ht.cc/aud"} {
		c := a.signIn(person)
		for path, body := range map[string]m{"/invitations": {}, "/join": {"code": "KBI1-"}, "/" + short + "/revoke": {"why": "no"}, "/" + short + "/caps": {}, "/region": {"name": "x"},
			"/rotate": {"what": "link"}, "/membership": {"agency": "ht.cc", "communities": m{}}, "/card": {"card": "{}"}, "/bundles": {}} {
			c.do("POST", peers+path, body).problem(403, "denied")
		}
		c.do("GET", peers+"/"+short+"/bundle", nil).problem(403, "denied")
		c.do("GET", peers+"/card", nil).problem(403, "denied")
	}
	stranger := &client{h: a}
	for _, path := range []string{peers, peers + "/directory", "/api/v1/questions", "/api/v1/questions/types"} {
		stranger.do("GET", path, nil).problem(401, "unsigned")
	}
	// Links are cut by hand in a demo alone.
	a.token("ht.cc/root", "admin").do("POST", peers+"/"+short+"/link", m{"cut": true}).problem(404, "not-found")
}

func TestAStickTakesRecordsWhereNoNetworkIs(t *testing.T) {
	a, b := newHouse(t), newNeighbour(t)
	root, other := a.token("ht.cc/root", "admin"), b.token("jm.jcf/root", "admin")
	card := func(from, to *client) peer.Status {
		var p peer.Status
		to.do("POST", peers+"/card", m{"card": string(from.do("GET", peers+"/card", nil).want(200).body)}).want(200).json(&p)
		to.do("POST", peers+"/"+p.Short+"/approve", m{"fingerprint": p.Fingerprint}).want(200)
		return p
	}
	card(root, other)
	there := card(other, root)
	draft := a.incident()
	draft["marking"] = m{"tlp": "AMBER", "to": []string{"jm.jcf"}}
	id := a.token("ht.cc/ana").do("POST", incidents, draft).want(201).text("id")
	a.until(root, "it waits", func(v *web.PeersView) bool { return v.Peers[0].Waiting > 0 })
	file := root.do("GET", peers+"/"+there.Short+"/bundle", nil).want(200).body
	if bytes.Contains(file, []byte(id)) {
		t.Error("the stick can be read by whoever finds it")
	}
	for i, want := range []peer.Told{{Applied: 1}, {Older: 1}} {
		if got := b.takeStick(file); got.Bundles == 0 || got.Older != want.Older || got.Applied != want.Applied || got.Refused != 0 {
			t.Errorf("time %d: %+v", i+1, got)
		}
	}
	b.token("jm.jcf/kay").do("GET", incidents+"/"+id, nil).want(200)
	file[len(file)-1] ^= 1
	if got := b.takeStick(file); got.Refused != 1 || len(got.Problems) != 1 {
		t.Errorf("an altered stick: %+v", got)
	}
}

// takeStick posts a file as it is.
func (h *house) takeStick(file []byte) (told peer.Told) {
	h.t.Helper()
	c := h.token("jm.jcf/root", "admin")
	r, err := http.NewRequestWithContext(h.t.Context(), "POST", h.srv.URL+peers+"/bundles", bytes.NewReader(file))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header = c.header.Clone()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	(&answer{t: h.t, Response: resp, body: b}).want(200).json(&told)
	return told
}

func TestAPeerThatIsNotKnownIsAnsweredByNameAndNothingElse(t *testing.T) {
	h := newHouse(t)
	stranger := &client{h: h}
	res := stranger.do("POST", "/peer/v1/hello", m{"from": "konbit.node/00000000"})
	if res.StatusCode < 400 || strings.Contains(string(res.body), "ht.cc") {
		t.Errorf("a stranger is answered %d %s", res.StatusCode, res.body)
	}
	stranger.do("GET", "/peer/v1/stream", nil)
	stranger.do("GET", "/peer/etc/passwd", nil)
}

func TestAnAdministratorBringsNobodyIntoACommunityOfOthersOfThisNode(t *testing.T) {
	a, b := joined(t)
	p := store.Person{ID: "ht.gcg/boss", Name: "Boss", Lang: "en", Grants: []store.Grant{{Agency: "ht.gcg", Desk: "*", Role: desk.Administrator}}}
	if _, err := a.node.Accounts.AddPerson(t.Context(), account.Node, p, password); err != nil {
		t.Fatal(err)
	}
	boss, root := a.token("ht.gcg/boss", "admin"), a.token("ht.cc/root", "admin")
	var v, theirs web.PeersView
	boss.do("GET", peers, nil).want(200).json(&v)
	b.token("jm.jcf/root", "admin").do("GET", peers, nil).want(200).json(&theirs)
	approve := m{"fingerprint": theirs.Self.Fingerprint, "communities": m{"jm.jcf": []string{"@hispaniola"}}}
	boss.do("POST", peers+"/membership", m{"agency": "ht.gcg", "communities": m{"@hispaniola": nil}}).problem(403, "denied")
	boss.do("POST", peers+"/membership", m{"agency": "jm.jcf", "communities": m{"@hispaniola": nil}}).problem(403, "denied")
	boss.do("POST", peers+"/"+v.Peers[0].Short+"/approve", approve).problem(403, "denied")
	boss.do("POST", peers+"/rotate", m{"what": "ht.cc"}).problem(403, "denied")
	if in := a.node.Accounts.Directory().Communities["@hispaniola"]; len(in) != 2 {
		t.Errorf("@hispaniola has %v", in)
	}
	boss.do("POST", peers+"/membership", m{"agency": "ht.gcg", "communities": m{"@customs": nil}}).want(200)
	boss.do("POST", peers+"/rotate", m{"what": "ht.gcg"}).want(200)
	root.do("POST", peers+"/"+v.Peers[0].Short+"/approve", approve).want(200)
}
