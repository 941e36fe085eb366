package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/store"
	"konbit/web"
)

func TestAdministratorAddsAgencyAndPersonWhoSignsInByLink(t *testing.T) {
	h := newHouse(t)
	root := h.signIn("ht.cc/root")
	root.do("POST", "/api/v1/agencies", m{"id": "jm.jcf", "name": "Constabulary", "country": "JM", "communities": []string{"@caricom"}}).want(201)
	root.do("POST", "/api/v1/agencies", m{"id": "JM", "name": "", "country": "Jamaica"}).problem(422, "invalid", "id:invalid", "name:required", "country:invalid")
	root.do("POST", "/api/v1/agencies", m{"id": "jm.jcf", "name": "Again"}).problem(412, "conflict")
	root.do("PATCH", "/api/v1/agencies/jm.jcf", m{"contact": "+1 876 555 0100"}).want(200)
	var all web.Agencies
	h.token("ht.cc/view").do("GET", "/api/v1/agencies", nil).want(200).json(&all)
	i := slices.IndexFunc(all.Agencies, func(a store.Agency) bool { return a.ID == "jm.jcf" })
	if i < 0 || all.Agencies[i].Contact != "+1 876 555 0100" || all.Agencies[i].Local || len(all.Agencies) != 4 {
		t.Errorf("agencies %+v", all.Agencies)
	}

	person := m{"id": "ht.cc/mari", "name": "Mari", "lang": "ht", "grants": []m{{"agency": "ht.cc", "desk": "incident", "role": "operator"}}, "clearances": []string{"victim"}}
	added := root.do("POST", "/api/v1/people", person).want(201)
	path, code, ok := strings.Cut(added.text("link"), "#")
	if path != "/password" || !ok || len(code) < 20 {
		t.Fatalf("link %q", added.text("link"))
	}
	stranger := &client{h: h}
	stranger.do("POST", "/api/v1/password-link", m{"code": code, "password": "kout"}).problem(422, "invalid")
	stranger.do("POST", "/api/v1/password-link", m{"code": code, "password": password}).want(204)
	stranger.do("POST", "/api/v1/password-link", m{"code": code, "password": password}).problem(404, "not-found")
	mari := h.signIn("ht.cc/mari")
	mari.report()

	root.do("PATCH", "/api/v1/people/ht.cc/mari", m{"grants": []m{{"agency": "ht.cc", "desk": "*", "role": "viewer"}}}).want(200)
	mari.do("POST", incidents, h.incident()).problem(403, "denied")
	if link := root.do("PATCH", "/api/v1/people/ht.cc/mari", m{"resetPassword": true}).want(200).text("link"); !strings.HasPrefix(link, "/password#") {
		t.Errorf("link %q", link)
	}
	root.do("PATCH", "/api/v1/people/ht.cc/mari", m{"disabled": true}).want(200)
	mari.do("GET", incidents, nil).problem(401, "unsigned")

	var people web.PersonList
	root.do("GET", "/api/v1/people", nil).want(200).json(&people)
	for _, p := range people.People {
		if !strings.HasPrefix(p.ID, "ht.cc/") {
			t.Errorf("an administrator of ht.cc sees %s", p.ID)
		}
	}
	root.do("POST", "/api/v1/people", m{"id": "ht.cc/x", "name": "X", "grants": []m{{"agency": "ht.cc", "desk": "kitchen", "role": "viewer"}}}).problem(422, "invalid", "grants[0].desk:unknown")
	root.do("POST", "/api/v1/people", m{"id": "do.911/x", "name": "X"}).problem(403, "denied")
	root.do("PATCH", "/api/v1/people/ht.cc/root", m{"grants": []m{}}).problem(409, "stale")
	root.do("PATCH", "/api/v1/people/ht.cc/mari", m{"shoe": 42}).problem(422, "invalid", "shoe:unknown")
}

func TestOnlyAdministratorsAdminister(t *testing.T) {
	h := newHouse(t)
	for _, who := range []string{"ht.cc/ana", "ht.cc/sup", "ht.cc/aud"} {
		c := h.signIn(who)
		c.do("GET", "/api/v1/people", nil).problem(403, "denied")
		c.do("POST", "/api/v1/people", m{"id": "ht.cc/x", "name": "X"}).problem(403, "denied")
		c.do("POST", "/api/v1/agencies", m{"id": "ht.x", "name": "X"}).problem(403, "denied")
		c.do("PATCH", "/api/v1/agencies/ht.cc", m{"name": "X"}).problem(403, "denied")
		c.do("PATCH", "/api/v1/people/"+who, m{"clearances": []string{"source"}}).problem(403, "denied")
		c.do("PATCH", "/api/v1/people/ht.cc/root", m{"resetPassword": true}).problem(403, "denied")
	}
	// Nor does an administrator's token that was not made for it.
	h.token("ht.cc/root").do("GET", "/api/v1/people", nil).problem(403, "denied")
	h.token("ht.cc/root", "admin").do("GET", "/api/v1/people", nil).want(200)
	(&client{h: h}).do("GET", "/api/v1/agencies", nil).problem(401, "unsigned")
}

func TestTokenIsShownOnceAndEndsAtOnce(t *testing.T) {
	h := newHouse(t)
	ana := h.signIn("ht.cc/ana")
	made := ana.do("POST", "/api/v1/tokens", m{"name": "QGIS", "scopes": []string{"read"}, "expires": h.clock.now().Add(time.Hour)}).want(201)
	secret, id := made.text("secret"), made.text("id")
	prog := &client{h: h, header: map[string][]string{"Authorization": {"Bearer " + secret}}}
	prog.do("GET", incidents, nil).want(200)
	listed := ana.do("GET", "/api/v1/tokens", nil).want(200)
	if strings.Contains(string(listed.body), secret) || !strings.Contains(string(listed.body), "QGIS") || strings.Contains(string(listed.body), "kbt_") {
		t.Errorf("tokens: %s", listed.body)
	}
	prog.do("POST", "/api/v1/tokens", m{"name": "child"}).problem(403, "denied")
	prog.do("GET", "/api/v1/tokens", nil).problem(403, "denied")
	other := ana.do("POST", "/api/v1/tokens", m{"name": "other"}).want(201).text("id")
	prog.do("DELETE", "/api/v1/tokens/"+other, nil).problem(403, "denied")
	ana.do("POST", "/api/v1/tokens", m{"name": "x", "scopes": []string{"admin"}}).problem(422, "invalid", "scopes[0]:denied")
	ana.do("GET", "/api/v1/tokens?person=do.911%2Fluis", nil).problem(403, "denied")
	h.signIn("do.911/luis").do("DELETE", "/api/v1/tokens/"+id, nil).problem(404, "not-found")
	ana.do("DELETE", "/api/v1/tokens/"+id, nil).want(204)
	prog.do("GET", incidents, nil).problem(401, "unsigned")
}
