package trust_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/account"
	"konbit/ledger"
	"konbit/node"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
)

// A clock is moved by the test; all nodes of a test read the same one.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A place is a real node with its trust, answering on loopback.
type place struct {
	*trust.Service
	t      *testing.T
	data   string
	title  string
	clock  *clock
	node   *node.Node
	server *httptest.Server
	broken error // what the ledger answers, when it is to fail
}

const actor = "ht.cc/ana"

// start makes a node that serves the agencies.
func start(t *testing.T, c *clock, title string, agencies ...string) *place {
	t.Helper()
	p := &place{t: t, data: t.TempDir(), title: title, clock: c}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.Handler().ServeHTTP(w, r) }))
	t.Cleanup(p.server.Close)
	t.Cleanup(func() { p.node.Close() })
	p.open()
	for _, a := range agencies {
		if _, err := p.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: a, Name: "Agency " + a, Local: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.SelfCard(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) open() {
	p.t.Helper()
	var err error
	if p.node, err = node.Open(context.Background(), node.Config{Data: p.data, Now: p.clock.Now, Name: p.title, PeerURLs: []string{p.server.URL}}); err != nil {
		p.t.Fatal(err)
	}
	// One of our own in the place of the node's, so that its ledger can fail.
	p.Service, err = trust.NewService(context.Background(), trust.Config{
		Store: p.node.Store, Ledger: p, Keys: p.node.Keys, Title: p.title, URLs: []string{p.server.URL}, Reload: p.node.Accounts.Reload,
		Client: p.server.Client(), Now: p.clock.Now,
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// Note hands on to intake, unless the ledger is to fail.
func (p *place) Note(ctx context.Context, typ, agency, actor string, content any, ops ...store.Op) (int64, error) {
	if p.broken != nil {
		return 0, p.broken
	}
	return p.node.Intake.Note(ctx, typ, agency, actor, content, ops...)
}

func (p *place) restart() {
	p.t.Helper()
	if err := p.node.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.open()
}

func (p *place) name() string { return p.Self().Name }

func (p *place) card() []byte {
	p.t.Helper()
	b, err := p.SelfCard(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// fingerprint is what this node's administrator reads out.
func (p *place) fingerprint() string { return trust.Spoken(p.Self().Sign) }

func (p *place) state(of *place) store.NodeState {
	if n := p.Node(of.name()); n != nil {
		return n.State
	}
	return ""
}

// agency is what this node's directory says of an agency.
func (p *place) agency(id string) store.Agency {
	if a := p.node.Accounts.Directory().Agencies[id]; a != nil {
		return *a
	}
	return store.Agency{}
}

func (p *place) invite(region bool) string {
	p.t.Helper()
	code, err := p.Invite(p.t.Context(), actor, region, "", 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants fails the test when the error has not the code, or not the words.
func wants(t *testing.T, err error, code record.Code, words string) {
	t.Helper()
	if err == nil || record.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
		t.Fatalf("want %s %q, got %v", code, words, err)
	}
}

// joins lets b join a by its invitation, and a approve.
func joins(t *testing.T, a, b *place, region bool, communities map[string][]string) {
	t.Helper()
	_, err := b.Join(t.Context(), actor, a.invite(region))
	must(t, err)
	must(t, a.Approve(t.Context(), actor, b.name(), b.fingerprint(), communities, time.Time{}))
}

func TestInvitedNodeIsPendingUntilItsFingerprintWasCompared(t *testing.T) {
	c := newClock()
	a, b := start(t, c, "Sant", "ht.cc"), start(t, c, "Nueve", "do.911", "do.dgii")
	code := a.invite(false)
	n, err := b.Join(t.Context(), "do.911/eva", code)
	must(t, err)
	if n.Name != a.name() || n.State != store.NodeActive || !slices.Equal(n.URLs, []string{a.server.URL}) || n.Title != "Sant" {
		t.Errorf("at the joiner: %+v", n)
	}
	if b.NodeOf("ht.cc") != a.name() || b.NodeOf("do.911") != b.name() || a.NodeOf("do.911") != "" {
		t.Error("who serves what")
	}
	if a.state(b) != store.NodePending || len(a.Active()) != 0 {
		t.Fatalf("at the inviter: %s", a.state(b))
	}
	if a.SignKey(b.name(), ledger.KeyID(b.Self().Sign), c.Now()) != nil {
		t.Error("a pending node's key counts")
	}
	approve := func(fingerprint string, in map[string][]string) error {
		return a.Approve(t.Context(), actor, trust.Short(b.name()), fingerprint, in, c.Now())
	}
	wants(t, approve(a.fingerprint(), nil), record.Denied, "fingerprint")
	wants(t, approve("", nil), record.Denied, "fingerprint")
	wants(t, approve(b.fingerprint(), map[string][]string{"ht.pnh": {"@x1"}}), record.Invalid, "no agency")
	wants(t, approve(b.fingerprint(), map[string][]string{"do.911": {"hispaniola"}}), record.Invalid, "must be @")
	if a.state(b) != store.NodePending {
		t.Fatal("it was approved")
	}
	changed := a.Changed()
	must(t, approve(strings.ReplaceAll(b.fingerprint(), " ", " - "), map[string][]string{"do.911": {"@hispaniola"}}))
	<-changed
	if len(a.Active()) != 1 || a.NodeOf("do.dgii") != b.name() {
		t.Error("not active")
	}
	got := a.agency("do.911")
	want := store.Agency{ID: "do.911", Name: "Agency do.911", Communities: []string{"@hispaniola"}, PublicKey: b.node.Keys.Key("do.911").Public().(ed25519.PublicKey),
		Created: c.Now(), Node: b.name(), Joined: map[string]time.Time{"@hispaniola": c.Now()}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if k := a.SignKey(b.name(), ledger.KeyID(b.Self().Sign), c.Now()); !k.Equal(b.node.Keys.Sign().Public()) {
		t.Error("the approved node's key does not count")
	}
	entries, err := a.node.Store.Log(t.Context(), &store.LogQuery{Types: []string{"access"}, Actor: actor, Limit: 1})
	must(t, err)
	if len(entries) != 1 || entries[0].Agency != "ht.cc" || !strings.Contains(string(entries[0].Content), b.fingerprint()) {
		t.Errorf("the ledger says %+v", entries)
	}
}

func TestInvitationIsGoodOnceAndForOneNode(t *testing.T) {
	c := newClock()
	a, b, d := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911"), start(t, c, "D", "do.pn")
	code := a.invite(false)
	a.restart()
	_, err := b.Join(t.Context(), actor, code)
	must(t, err)
	a.restart()
	_, err = b.Join(t.Context(), actor, code) // the answer may have been lost
	must(t, err)
	_, err = d.Join(t.Context(), actor, code)
	wants(t, err, record.Denied, "used already")
	if a.Node(d.name()) != nil || a.state(b) != store.NodePending {
		t.Error("who is pending")
	}
	_, err = a.Join(t.Context(), actor, code)
	wants(t, err, record.Invalid, "our own")
}

func TestExpiredInvitationIsRefusedAtBothEnds(t *testing.T) {
	c, late := newClock(), newClock()
	a, b := start(t, c, "A", "ht.cc"), start(t, late, "B", "do.911")
	code := a.invite(false)
	c.Move(49 * time.Hour)
	_, err := b.Join(t.Context(), actor, code) // its clock is behind
	wants(t, err, record.Denied, "expired")
	late.Move(49 * time.Hour)
	_, err = b.Join(t.Context(), actor, code)
	wants(t, err, record.Stale, "good until")
}

func TestTurnedAwayNodeNeedsANewInvitation(t *testing.T) {
	c := newClock()
	a, b := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	code := a.invite(false)
	_, err := b.Join(t.Context(), actor, code)
	must(t, err)
	must(t, a.Revoke(t.Context(), actor, b.name(), "who is that?"))
	if a.Node(b.name()) != nil {
		t.Error("it is known still")
	}
	_, err = b.Join(t.Context(), actor, code)
	wants(t, err, record.Denied, "not known")
	joins(t, a, b, false, nil)
}

func TestWhoSitsInBetweenIsFoundOut(t *testing.T) {
	c := newClock()
	a, b, m := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911"), start(t, c, "M", "xx.evil")
	var what func(body []byte) []byte
	mitm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, err := http.Post(a.server.URL+r.URL.Path, "application/json", r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(what(body))
	}))
	defer mitm.Close()
	must(t, a.Found(t.Context(), actor, "hispaniola"))
	must(t, m.Found(t.Context(), actor, "hispaniola"))
	for name, change := range map[string]struct {
		field string
		to    []byte
		want  string
	}{
		"its own card":   {"card", m.card(), "another key"},
		"its own region": {"directory", m.DirectoryBytes(), "secret"},
		"no proof":       {"proof", nil, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			what = func(body []byte) []byte {
				var a map[string][]byte
				must(t, json.Unmarshal(body, &a))
				a[change.field] = change.to
				b, err := json.Marshal(a)
				must(t, err)
				return b
			}
			code, err := a.Invite(t.Context(), actor, true, mitm.URL, time.Hour)
			must(t, err)
			_, err = b.Join(t.Context(), actor, code)
			wants(t, err, record.Denied, change.want)
			if len(b.Nodes()) > 0 || b.Directory() != nil {
				t.Error("something was believed")
			}
		})
	}
}

func TestStrangersAreSlowedAndBounded(t *testing.T) {
	c := newClock()
	a, b := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	post := func(body []byte) *http.Response {
		t.Helper()
		res, err := http.Post(a.server.URL+"/peer/v1/join", "application/json", bytes.NewReader(body))
		must(t, err)
		res.Body.Close()
		return res
	}
	before := a.node.Intake.Size()
	wrong, err := json.Marshal(map[string]any{"card": b.card(), "proof": make([]byte, 32), "time": c.Now()})
	must(t, err)
	if res := post(append(wrong, bytes.Repeat([]byte(" "), 256<<10)...)); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %s", res.Status)
	}
	if res := post([]byte(`{"card":`)); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("no JSON: %s", res.Status)
	}
	for range 5 {
		if res := post(wrong); res.StatusCode != http.StatusForbidden {
			t.Errorf("wrong proof: %s", res.Status)
		}
	}
	res := post(wrong)
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("the sixth: %s", res.Status)
	}
	_, err = b.Join(t.Context(), actor, a.invite(false))
	wants(t, err, record.TooMany, "too many")
	c.Move(11 * time.Minute)
	_, err = b.Join(t.Context(), actor, a.invite(false))
	must(t, err)
	if wrote := a.node.Intake.Size() - before; wrote != 3 { // two invitations, one request
		t.Errorf("strangers wrote %d ledger entries", wrote)
	}
	for range 50 {
		if _, err = a.Invite(t.Context(), actor, false, "", time.Hour); err != nil {
			break
		}
	}
	wants(t, err, record.TooMany, "invitations are open")
}

func TestNodeSpeaksOnlyForItsOwnAgencies(t *testing.T) {
	c := newClock()
	a, b, d := start(t, c, "A", "ht.cc"), start(t, c, "B", "ht.cc"), start(t, c, "D", "do.911")
	e := start(t, c, "E", "do.911")
	_, err := b.Join(t.Context(), actor, a.invite(false))
	wants(t, err, record.Conflict, "which this node serves")
	joins(t, a, d, false, nil)
	_, err = e.Join(t.Context(), actor, a.invite(false))
	wants(t, err, record.Conflict, "serves do.911, which "+d.name())
	// Nor may a node that is trusted take over another's agency by a newer card.
	f := start(t, c, "F", "do.pn")
	joins(t, a, f, false, nil)
	_, err = f.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "do.911", Name: "Robbed", Local: true})
	must(t, err)
	wants(t, a.TakeCard(t.Context(), f.card()), record.Conflict, "do.911")
	if a.NodeOf("do.911") != d.name() {
		t.Error("it was taken over")
	}
	// Once the node is revoked, the agency may go to another.
	must(t, a.Revoke(t.Context(), actor, d.name(), "moved"))
	joins(t, a, e, false, map[string][]string{"do.911": {"@hispaniola"}})
	got := a.agency("do.911")
	if got.Node != e.name() || len(got.OldKeys) != 1 || !got.OldKeys[0].Key.Equal(d.node.Keys.Key("do.911").Public()) || !got.OldKeys[0].Until.Equal(c.Now()) {
		t.Errorf("%+v", got)
	}
}

func TestCardsOnAStickAreApprovedByFingerprint(t *testing.T) {
	c := newClock()
	a, b := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	var stick bytes.Buffer
	must(t, b.WriteCard(t.Context(), &stick))
	n, err := a.AddCard(t.Context(), actor, stick.Bytes())
	must(t, err)
	if n.State != store.NodePending || n.Title != "B" {
		t.Errorf("%+v", n)
	}
	_, err = a.AddCard(t.Context(), actor, stick.Bytes()) // twice
	must(t, err)
	_, err = a.AddCard(t.Context(), actor, a.card())
	wants(t, err, record.Conflict, "name of this node")
	must(t, a.Approve(t.Context(), actor, b.name(), b.fingerprint(), map[string][]string{"do.911": {"@hispaniola"}}, time.Time{}))
	if got := a.agency("do.911"); a.state(b) != store.NodeActive || got.Joined != nil || !slices.Equal(got.Communities, []string{"@hispaniola"}) {
		t.Errorf("%s %+v", a.state(b), got)
	}
	// A newer card on a stick is a newer card.
	_, err = b.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "do.pn", Name: "PN", Local: true})
	must(t, err)
	_, err = a.AddCard(t.Context(), actor, b.card())
	must(t, err)
	if a.NodeOf("do.pn") != b.name() || !slices.Equal(a.agency("do.911").Communities, []string{"@hispaniola"}) || len(a.agency("do.pn").Communities) != 0 {
		t.Error("the newer card was not taken as it should")
	}
}

func TestMembershipOfABilateralNodeIsOurOwnWord(t *testing.T) {
	c := newClock()
	a, b := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	joins(t, a, b, false, nil)
	if got := b.agency("ht.cc"); len(got.Communities) != 0 {
		t.Errorf("who joined believes communities that nobody gave: %v", got.Communities)
	}
	since := c.Now().Add(-time.Hour)
	must(t, b.SetMembership(t.Context(), actor, "ht.cc", map[string]time.Time{"@hispaniola": since, "@dispatch": {}}))
	got := b.agency("ht.cc")
	if !slices.Equal(got.Communities, []string{"@dispatch", "@hispaniola"}) || len(got.Joined) != 1 || !got.Joined["@hispaniola"].Equal(since) {
		t.Errorf("%+v", got)
	}
	must(t, b.SetMembership(t.Context(), actor, "ht.cc", nil))
	if got := b.agency("ht.cc"); len(got.Communities)+len(got.Joined) != 0 {
		t.Errorf("%+v", got)
	}
	wants(t, b.SetMembership(t.Context(), actor, "ht.pnh", nil), record.NotFound, "ht.pnh")
	wants(t, b.SetMembership(t.Context(), actor, "ht.cc", map[string]time.Time{"x": {}}), record.Invalid, "must be @")
}

func TestRefusedNodeIsResumedByAPerson(t *testing.T) {
	c := newClock()
	a, b := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	joins(t, a, b, false, nil)
	must(t, a.Refuse(t.Context(), b.name(), "its ledger was rolled back"))
	if a.state(b) != store.NodeRefused || len(a.Active()) != 0 || a.Node(b.name()).Why == "" {
		t.Fatalf("%+v", a.Node(b.name()))
	}
	a.restart()
	wants(t, a.Approve(t.Context(), actor, b.name(), b.fingerprint(), nil, time.Time{}), record.Stale, "rolled back")
	must(t, a.Resume(t.Context(), actor, b.name()))
	if n := a.Node(b.name()); n.State != store.NodeActive || n.Why != "" {
		t.Errorf("%+v", n)
	}
	must(t, a.Revoke(t.Context(), actor, b.name(), "gone"))
	for _, err := range []error{
		a.Resume(t.Context(), actor, b.name()), a.Refuse(t.Context(), b.name(), "x"),
	} {
		wants(t, err, record.Stale, "revoked")
	}
	wants(t, a.TakeCard(t.Context(), b.card()), record.Denied, "revoked")
	_, err := b.Join(t.Context(), actor, a.invite(false))
	wants(t, err, record.Denied, "revoked")
	if a.SignKey(b.name(), ledger.KeyID(b.Self().Sign), c.Now()) != nil {
		t.Error("a revoked node's key counts")
	}
}

func TestCapsAndRoutesStayWhenACardComes(t *testing.T) {
	c := newClock()
	a, b, d := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911"), start(t, c, "D", "int.hub")
	joins(t, a, b, false, nil)
	joins(t, a, d, false, nil)
	caps := []store.Cap{{From: 8, To: 18, Kbit: 64}, {From: 22, To: 6}}
	must(t, a.SetCaps(t.Context(), actor, b.name(), caps))
	wants(t, a.SetCaps(t.Context(), actor, b.name(), []store.Cap{{From: 24, To: 1}}), record.Invalid, "caps[0]")
	wants(t, a.SetLink(t.Context(), actor, b.name(), []string{"https://u:p@x.example"}, ""), record.Invalid, "urls[0]")
	wants(t, a.SetLink(t.Context(), actor, b.name(), nil, b.name()), record.Invalid, "itself")
	must(t, a.SetLink(t.Context(), actor, b.name(), []string{"https://b.example/"}, trust.Short(d.name())))
	_, err := b.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "do.pn", Name: "PN", Local: true})
	must(t, err)
	must(t, a.TakeCard(t.Context(), b.card()))
	a.restart()
	n := a.Node(b.name())
	if !slices.Equal(n.Caps, caps) || !slices.Equal(n.URLs, []string{"https://b.example"}) || n.Via != d.name() || !slices.Equal(n.Agencies, []string{"do.911", "do.pn"}) {
		t.Errorf("%+v", n)
	}
	must(t, a.SetLink(t.Context(), actor, b.name(), nil, ""))
	if n := a.Node(b.name()); !slices.Equal(n.URLs, []string{b.server.URL}) || n.Via != "" {
		t.Errorf("%+v", n)
	}
}

func TestCardGrowsWithEveryChangeAndOnlyThen(t *testing.T) {
	c := newClock()
	a := start(t, c, "A", "ht.cc")
	first := a.Self()
	c.Move(time.Hour)
	if !bytes.Equal(a.card(), first.Card) {
		t.Error("it changed by itself")
	}
	a.restart()
	if !bytes.Equal(a.card(), first.Card) {
		t.Error("it changed by a restart")
	}
	a.restart()
	changed := a.Changed()
	_, err := a.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "ht.pnh", Name: "PNH", Local: true})
	must(t, err)
	a.card()
	<-changed
	if got := a.Self(); got.Serial <= first.Serial || !slices.Equal(got.Agencies, []string{"ht.cc", "ht.pnh"}) {
		t.Errorf("%+v", got)
	}
	res, err := http.Get(a.server.URL + "/peer/v1/card")
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	if !bytes.Equal(b, a.card()) {
		t.Error("the card that is served is another")
	}
}

var errDisk = errors.New("the disk is full")

func TestAgencyThatPeopleHereKnowIsTakenByNoCardAlone(t *testing.T) {
	c := newClock()
	a, b := start(t, c, "A", "ht.cc"), start(t, c, "B", "do.911")
	joins(t, a, b, false, nil)
	// Somebody here names us.cbp already, and nobody serves it yet.
	_, err := a.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "us.cbp", Name: "CBP", Communities: []string{"@border"}})
	must(t, err)
	_, err = b.node.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "us.cbp", Name: "Robbed", Local: true})
	must(t, err)
	wants(t, a.TakeCard(t.Context(), b.card()), record.Conflict, "us.cbp")
	_, err = a.AddCard(t.Context(), actor, b.card())
	wants(t, err, record.Conflict, "kept aside")
	if got := a.agency("us.cbp"); got.Node != "" || slices.Contains(a.Node(b.name()).Agencies, "us.cbp") {
		t.Fatalf("it was taken: %+v", got)
	}
	// A person who has asked may say that it is so.
	must(t, a.Approve(t.Context(), actor, b.name(), b.fingerprint(), nil, time.Time{}))
	if got := a.agency("us.cbp"); got.Node != b.name() {
		t.Errorf("after it was approved: %+v", got)
	}
}
