package web_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"konbit/web"
)

func (h *house) anybody() *client { return &client{h: h, header: http.Header{}} }

func TestSignInGivesASessionAndSignOutEndsIt(t *testing.T) {
	h := newHouse(t, func(c *web.Config) { c.Node.DemoCards = []web.DemoCard{{Name: "x", Password: "y"}} })
	var v struct {
		SignedIn, FirstRun bool
		DemoCards          []any
		Node               struct{ Name string }
	}
	h.anybody().do("GET", "/api/v1/session", nil).want(200).json(&v)
	if v.SignedIn || v.FirstRun || v.DemoCards != nil || v.Node.Name != "Test" {
		t.Errorf("%+v: cards are for the demo alone", v)
	}
	h.anybody().do("POST", "/api/v1/session", m{"name": "ht.cc/ana", "password": "no"}).problem(401, "unsigned")
	h.anybody().do("POST", "/api/v1/session", m{"name": "ht.cc/ana"}).problem(422, "invalid", "password:required")
	h.anybody().do("POST", "/api/v1/session", m{"name": 7, "password": "x", "code": "1"}).problem(422, "invalid", "name:type", "code:unknown")
	h.anybody().do("POST", "/api/v1/session", "{").problem(422, "invalid")

	ana := h.signIn("ht.cc/ana")
	for _, k := range ana.cookies {
		if !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Secure {
			t.Errorf("cookie %+v", k)
		}
	}
	var me struct {
		SignedIn bool
		Person   struct{ ID, Lang, Theme string }
		Hat      struct{ Agency, Name string }
		Hats     []any
		Roles    map[string][]string
		CSRF     string
	}
	ana.do("GET", "/api/v1/session", nil).want(200).json(&me)
	if !me.SignedIn || me.Person.ID != "ht.cc/ana" || me.Hat.Agency != "ht.cc" || me.Hat.Name == "" || len(me.Hats) != 1 || me.Roles["*"][0] != "operator" || me.CSRF == "" {
		t.Errorf("%+v", me)
	}
	ana.do("PATCH", "/api/v1/session", m{"lang": "fr", "theme": "dark"}).want(200).json(&me)
	if me.Person.Lang != "fr" || me.Person.Theme != "dark" {
		t.Errorf("%+v", me.Person)
	}
	ana.do("PATCH", "/api/v1/session", m{"lang": "de"}).problem(422, "invalid", "lang:enum")
	ana.do("PATCH", "/api/v1/session", m{"colour": "red"}).problem(422, "invalid", "colour:unknown")
	ana.do("PATCH", "/api/v1/session", m{"hat": "do.911"}).problem(403, "denied")
	ana.do("GET", incidents, nil, "Konbit-Agency", "do.911").problem(403, "denied")

	// A purpose holds for the session, until it is ended.
	d := h.incident(set("body.category", "trafficking"))
	ana.do("POST", incidents, d).want(201)
	path := incidents + "/" + d["id"].(string)
	ana.do("GET", path, nil).problem(403, "need-purpose")
	ana.do("PATCH", "/api/v1/session", m{"purpose": m{"words": "case 12"}}).want(200)
	ana.do("GET", path, nil).want(200)
	ana.do("PATCH", "/api/v1/session", `{"purpose":null}`).want(200)
	ana.do("GET", path, nil).problem(403, "need-purpose")
	ana.do("PATCH", "/api/v1/session", m{"purpose": m{}}).problem(422, "invalid", "purpose.words:required")

	ana.do("POST", "/api/v1/session/password", m{"old": "wrong", "new": "lanmè a wo anpil"}).problem(422, "invalid", "old:wrong")
	ana.do("POST", "/api/v1/session/password", m{"old": password, "new": "x"}).problem(422, "invalid")
	h.token("ht.cc/ana").do("POST", "/api/v1/session/password", m{"old": password, "new": "lanmè a wo anpil"}).problem(403, "denied")
	ana.do("POST", "/api/v1/session/password", m{"old": password, "new": "lanmè a wo anpil"}).want(204)

	ana.do("DELETE", "/api/v1/session", nil).want(204)
	ana.do("GET", incidents, nil).problem(401, "unsigned")
}

func TestCookiesOfASecureNodeStayWithItsHost(t *testing.T) {
	h := newHouse(t, func(c *web.Config) { c.Secure = true })
	res := h.anybody().do("POST", "/api/v1/session", m{"name": "ht.cc/ana", "password": password}).want(200)
	for _, k := range res.Cookies() {
		if !strings.HasPrefix(k.Name, "__Host-konbit") || !k.Secure || !k.HttpOnly || k.Domain != "" {
			t.Errorf("cookie %+v", k)
		}
	}
	if len(res.Cookies()) == 0 || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%v", res.Header)
	}
}

func TestCSRFTokenIsAskedOfSessionsAndNotOfTokens(t *testing.T) {
	h := newHouse(t)
	ana := h.signIn("ht.cc/ana")
	ana.do("POST", incidents, h.incident(), "X-CSRF-Token", "").problem(403, "denied")
	ana.do("POST", incidents, h.incident(), "X-CSRF-Token", "wrong").problem(403, "denied")
	ana.do("POST", incidents, h.incident(), "Sec-Fetch-Site", "cross-site").problem(403, "denied")
	ana.do("DELETE", "/api/v1/session", nil, "X-CSRF-Token", "").problem(403, "denied")
	ana.do("POST", incidents, h.incident()).want(201)
	h.token("ht.cc/ana").do("POST", incidents, h.incident()).want(201)
	h.anybody().do("POST", "/api/v1/session", m{"name": "ht.cc/ana", "password": password}, "Origin", "https://evil.example").problem(403, "denied")
}

func TestTokensDoWhatTheirScopesSay(t *testing.T) {
	h := newHouse(t)
	r := h.token("ht.cc/ana").report()
	write, read := h.token("ht.cc/ana", "write"), h.token("ht.cc/ana", "read")
	write.do("GET", at(r), nil).problem(404, "not-found")
	write.do("GET", incidents, nil).problem(403, "denied")
	read.do("GET", at(r), nil).want(200)
	read.do("POST", incidents, h.incident()).problem(403, "denied")
	read.do("POST", "/api/v1/attachments", "x").problem(403, "denied")
	bad := h.anybody().do("GET", at(r), nil, "Authorization", "Bearer kbt_nothing")
	bad.problem(401, "unsigned")
	if bad.Header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
	h.anybody().do("GET", at(r), nil, "Authorization", "Basic YTpi").problem(401, "unsigned")
	for _, path := range []string{incidents, incidents + "/count", at(r), "/api/v1/map/incident", "/api/v1/desks", "/api/v1/search?q=x", "/api/v1/feed", "/api/v1/status", "/api/v1/boundaries"} {
		h.anybody().do("GET", path, nil).problem(401, "unsigned")
	}
	// A count is a leak: only those who look after the node see any.
	if b := h.token("ht.cc/ana").do("GET", "/api/v1/status", nil).want(200).body; bytes.Contains(b, []byte("ledger")) || bytes.Contains(b, []byte("people")) {
		t.Errorf("status %s", b)
	}
	if b := h.token("ht.cc/aud", "read", "audit").do("GET", "/api/v1/status", nil).want(200).body; !bytes.Contains(b, []byte("root")) {
		t.Errorf("status %s", b)
	}
}

func TestSlowedSignInSaysWhenToTryAgain(t *testing.T) {
	h := newHouse(t)
	for range 60 {
		res := h.anybody().do("POST", "/api/v1/session", m{"name": "ht.cc/ana", "password": "no"})
		if res.StatusCode == 429 {
			res.problem(429, "too-many")
			if res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
		res.problem(401, "unsigned")
	}
	t.Error("never slowed")
}

func TestFirstRunMakesAnAdministratorOnce(t *testing.T) {
	h := newHouse(t)
	body := m{"code": "x", "agency": m{"id": "ht.new", "name": "New", "country": "HT"}, "person": m{"name": "eva", "display": "Eva"}, "password": "dlo klè nan rivyè"}
	if res := h.anybody().do("POST", "/api/v1/first-run", body); res.StatusCode/100 != 4 {
		t.Errorf("first run of a node with an administrator: %d %s", res.StatusCode, res.body)
	}
	h = newEmpty(t)
	if got := h.anybody().do("GET", "/api/v1/session", nil).want(200); !strings.Contains(string(got.body), `"firstRun":true`) {
		t.Errorf("%s", got.body)
	}
	code, err := h.node.Accounts.FirstRunCode(t.Context())
	if err != nil || code == "" {
		t.Fatalf("%q, %v", code, err)
	}
	body["code"] = code
	res := h.anybody().do("POST", "/api/v1/first-run", body).want(200)
	eva := &client{h: h, header: http.Header{}, cookies: res.Cookies()}
	if got := eva.do("GET", "/api/v1/session", nil).want(200); !strings.Contains(string(got.body), `"ht.new/eva"`) {
		t.Errorf("%s", got.body)
	}
}

func TestLogNamesNoSecretAndNoWords(t *testing.T) {
	var log syncBuffer
	h := newHouse(t, func(c *web.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	ana := h.token("ht.cc/ana")
	ana.report()
	ana.do("GET", incidents+"?q=sekre&purpose=mobil", nil, "Konbit-Purpose", "mobil").want(200)
	text := log.String()
	if !strings.Contains(text, `"route":"/api/v1/records/incident"`) || !strings.Contains(text, `"person":"ht.cc/ana"`) {
		t.Errorf("log %s", text)
	}
	for _, secret := range []string{"sekre", "mobil", "kbt_", "Léogâne"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q: %s", secret, text)
		}
	}
}
