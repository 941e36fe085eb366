package peer

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/ledger"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// hoarder is a proxy that passes an answer on when it is complete.
type hoarder struct{ next http.Handler }

func (h *hoarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	h.next.ServeHTTP(rec, r)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// refusedAs is the reason with which a post was refused by the one that it dials.
func refusedAs(t *testing.T, a, b *post) string {
	t.Helper()
	c := a.l.newConn(t.Context(), a.l.line(b.name), true)
	defer c.end(errStopping)
	_, err := a.l.hello(t.Context(), http.DefaultClient, b.url()+"/peer/v1/", a.book.Node(b.name), c)
	var p *problem
	if p, _ = err.(*problem); p == nil {
		return ""
	}
	return p.Reason
}

func TestOnlyActiveNodesMayConnectAndOthersHearWhy(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.prepare()
	b.start()
	for state, want := range map[store.NodeState]string{store.NodePending: "pending", store.NodeRevoked: "revoked", store.NodeRefused: "refused", store.NodeActive: ""} {
		b.book.alter(a.name, func(n *store.Node) { n.State = state })
		if got := refusedAs(t, a, b); got != want {
			t.Errorf("a node that is %s was refused as %q, want %q", state, got, want)
		}
	}
	stranger := newPost(t, "cccccccc")
	stranger.knows(b, true)
	stranger.prepare()
	if got := refusedAs(t, stranger, b); got != "unknown" {
		t.Errorf("a stranger was refused as %q", got)
	}
	_, a.mill.key, _ = ed25519.GenerateKey(rand.Reader)
	if got := refusedAs(t, a, b); got != "unknown" {
		t.Errorf("a wrong key was refused as %q: a stranger and a thief hear the same", got)
	}
	if err := b.l.cut(a.name, true); err != nil {
		t.Fatal(err)
	}
}

func TestRevokedNodeIsCutAtOnce(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	linkUp(t, a, b)
	token := a.l.live(b.name).token
	b.book.alter(a.name, func(n *store.Node) { n.State = store.NodeRevoked })
	until(t, "the link is cut", func() bool { return !b.linked(a) && !a.linked(b) })
	if p := post1(t, b, "send", token, nil); p.Reason != "session" {
		t.Errorf("the token is still good: %+v", p)
	}
	until(t, "the revoked node hears why", func() bool {
		s, err := a.l.status(t.Context())
		return err == nil && strings.HasPrefix(s[0].Error, "revoked")
	})
}

// post1 sends one upload and returns why it was refused, nil when it was not.
func post1(t *testing.T, p *post, path, token string, body io.Reader) *problem {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", p.url()+"/peer/v1/"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(tokenHeader, token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("a refusal is %q", got)
	}
	var out problem
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// tap keeps what goes over a connection from the one that dials.
type tap struct {
	http.Handler
	bodies map[string][]byte
}

func (h *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/session") {
		b, _ := io.ReadAll(r.Body)
		h.bodies[r.URL.Path] = b
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	h.Handler.ServeHTTP(w, r)
}

func TestReplayedHelloIsRefused(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.prepare()
	b.start()
	seen := &tap{b.l.handler(), map[string][]byte{}}
	b.http.Handler = seen
	if got := refusedAs(t, a, b); got != "" {
		t.Fatalf("refused: %s", got)
	}
	old := seen.bodies["/peer/v1/session"]
	if p := post1(t, b, "session", "", bytes.NewReader(old)); p == nil || p.Reason != "replayed" {
		t.Errorf("a replayed handshake: %+v", p)
	}
	b.mill.move(10 * time.Minute)
	b.l.doors.sweep(b.mill.now())
	if p := post1(t, b, "session", "", bytes.NewReader(old)); p == nil || p.Reason != "expired" {
		t.Errorf("a handshake of ten minutes ago: %+v", p)
	}
}

func TestListenerWithAWrongKeyIsRefused(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	_, b.mill.key, _ = ed25519.GenerateKey(rand.Reader) // somebody else answers at its address
	b.book.self = b.mill.node()
	a.prepare()
	b.start()
	c := a.l.newConn(t.Context(), a.l.line(b.name), true)
	_, err := a.l.hello(t.Context(), http.DefaultClient, b.url()+"/peer/v1/", a.book.Node(b.name), c)
	if reasonOf(err) != "unknown" {
		t.Errorf("a wrong key was taken: %v", err)
	}
}

func TestRotatedKeysAreLearnedInTheHandshake(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	linkUp(t, a, b)
	for _, p := range []*post{a, b} {
		a.wire.Cut()
		until(t, "the link is cut", func() bool { return !a.linked(b) && !b.linked(a) })
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		p.mill.mu.Lock()
		p.mill.key = key
		p.mill.mu.Unlock()
		self := p.mill.node()
		self.Serial = 2
		p.book.mu.Lock()
		p.book.self = self
		p.book.mu.Unlock()
		a.wire.Mend()
		linkUp(t, a, b)
	}
	a.send(b, bundle.Normal, 1, 10)
	b.send(a, bundle.Normal, 1, 10)
	a.settled(b)
	b.settled(a)
}

func TestNewCardIsSentOverALiveLink(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	linkUp(t, a, b)
	self := a.mill.node()
	self.Serial, self.Title = 7, "A new title"
	a.book.mu.Lock()
	a.book.self = self
	a.book.mu.Unlock()
	a.book.alter(b.name, func(*store.Node) {}) // trust says that something changed
	until(t, "the other has the card", func() bool { return b.book.Node(a.name).Title == "A new title" })
}

func TestDocumentsThatChangeDuringTheHandshakeAreSentAllTheSame(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	c := a.l.newConn(t.Context(), a.l.line(b.name), true)
	c.card = a.mill.node().Serial // as it was greeted
	c.documents()
	self := a.mill.node()
	self.Serial = c.card + 1
	a.book.mu.Lock()
	a.book.self = self
	a.book.mu.Unlock()
	if err := a.l.attach(c); err != nil {
		t.Fatal(err)
	}
	if out, _ := c.nextControl(); len(out) == 0 || frameType(out[0]) != frameCard {
		t.Errorf("the first frame is %v", out)
	}
}

func TestDirectoryIsSentToWhoCameIntoTheRegionSinceItGreetedUs(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	c := a.l.newConn(t.Context(), a.l.line(b.name), true) // it named no region
	a.book.hub("hispaniola", a.name)
	a.book.mu.Lock()
	a.book.directory.Serial = 4
	a.book.mu.Unlock()
	c.card = a.mill.node().Serial
	c.documents()
	if out, _ := c.nextControl(); len(out) == 0 || frameType(out[0]) != frameDirectory {
		t.Errorf("the first frame is %v", out)
	}
}

// session opens one by hand and returns its token.
func session(t *testing.T, a, b *post) string {
	t.Helper()
	c := a.l.newConn(t.Context(), a.l.line(b.name), true)
	t.Cleanup(func() { c.end(errStopping) })
	if _, err := a.l.hello(t.Context(), http.DefaultClient, b.url()+"/peer/v1/", a.book.Node(b.name), c); err != nil {
		t.Fatal(err)
	}
	return c.token
}

func TestBadFramesAreRefusedByNameAndEndTheSession(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.prepare()
	b.start()
	huge := []byte{byte(frameBundle), 0xff, 0xff, 0xff, 0xff}
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"oversized":             {huge, "oversized"},
		"cut short":             {frame(frameBundle, make([]byte, 100))[:50], "truncated"},
		"no such lane":          {frame(frameBundle, []byte{9, 0, 1}), "malformed"},
		"acknowledges too much": {takenFrame(1 << 40), "malformed"},
		"no word":               {frame(frameGap, []byte("{")), "malformed"},
	} {
		token := session(t, a, b)
		if p := post1(t, b, "send", token, bytes.NewReader(c.body)); p == nil || p.Reason != c.want {
			t.Errorf("%s: %+v, want %q", name, p, c.want)
		}
		if p := post1(t, b, "send", token, nil); p == nil || p.Reason != "session" {
			t.Errorf("%s: the session goes on: %+v", name, p)
		}
	}
	token := session(t, a, b)
	if p := post1(t, b, "send", token, bytes.NewReader(frame(200, []byte("of a newer node")))); p != nil {
		t.Errorf("a type that is not known: %+v", p)
	}
	if p := post1(t, b, "send", token, bytes.NewReader(frame(frameBundle, []byte{1, 0, 'x'}))); p != nil {
		t.Errorf("a forged bundle ends the session: %+v", p)
	}
	want := []string{"bad-frame", "bad-frame", "bad-frame", "bad-frame", "truncated"}
	until(t, "the alarms are raised", func() bool {
		got := b.mill.alarmed()
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}

func TestHandshakeIsBoundedAndFailuresAreLimited(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.prepare()
	b.start()
	if p := post1(t, b, "hello", "", strings.NewReader(`{"from":"`+strings.Repeat("x", maxHello)+`"}`)); p == nil || p.Reason != "oversized" {
		t.Errorf("an endless hello: %+v", p)
	}
	g := greeting{As: "dialler", From: a.name, To: b.name, Nonce: make([]byte, 32), Challenge: make([]byte, 40)}
	payload, _ := json.Marshal(g)
	forged, _ := json.Marshal(signedWord{Payload: payload, KeyID: ledger.KeyID(a.mill.link().Public().(ed25519.PublicKey)), Sig: make([]byte, 64)})
	var last *problem
	for range manyFails + 1 {
		last = post1(t, b, "session", "", bytes.NewReader(forged))
	}
	if last == nil || last.Reason != "too-many" || last.Code != record.TooMany {
		t.Errorf("the last of many failures: %+v", last)
	}
	if got := refusedAs(t, a, b); got != "" {
		t.Errorf("one that has the key is turned away for the failures of others: %q", got)
	}
}

func TestSlowSenderIsCutOff(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	b.pace = func(p *pace) { brisk(p); p.dead = 400 * time.Millisecond }
	a.prepare()
	b.start()
	token := session(t, a, b)
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /peer/v1/send HTTP/1.1\r\nHost: x\r\n"+tokenHeader+": "+token+"\r\nContent-Length: 100000\r\n\r\n")
	c.Write(frame(frameBundle, make([]byte, 1000))[:20]) // and then nothing
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil && resp.StatusCode == http.StatusOK {
		t.Errorf("a sender that stalls was answered %s", resp.Status)
	}
	until(t, "its session is over", func() bool { return b.l.doors.session(token) == nil })
}

func TestLinkCutByHandStaysCutFromBothSides(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	linkUp(t, a, b)
	if err := b.l.cut(trust.Short(a.name), true); err != nil { // the side that was dialled
		t.Fatal(err)
	}
	until(t, "both are cut, and the dialler hears why", func() bool {
		s, err := a.l.status(t.Context())
		return err == nil && !a.linked(b) && !b.linked(a) && strings.HasPrefix(s[0].Error, "cut")
	})
	if err := b.l.cut(a.name, false); err != nil {
		t.Fatal(err)
	}
	linkUp(t, a, b)
	if err := b.l.cut("nobody", true); record.CodeOf(err) != record.NotFound {
		t.Errorf("cut a node that is not known: %v", err)
	}
}
