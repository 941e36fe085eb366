package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/account"
	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// SessionView tells the console who is signed in, and what the node offers.
type SessionView struct {
	SignedIn bool     `json:"signedIn"`
	Demo     bool     `json:"demo"`
	Node     NodeView `json:"node"`

	FirstRun  *bool                   `json:"firstRun,omitempty" doc:"No agency of this node has an administrator yet"`
	Passkeys  *bool                   `json:"passkeys,omitempty"`
	OIDC      *[]account.ProviderName `json:"oidc,omitempty"`
	DemoCards []DemoCard              `json:"demoCards,omitempty"`

	Person      *PersonView            `json:"person,omitempty"`
	Hat         *Hat                   `json:"hat,omitempty"`
	Hats        []Hat                  `json:"hats,omitzero"`
	Roles       map[string][]desk.Role `json:"roles,omitzero" doc:"By desk; * counts for every desk"`
	Clearances  []string               `json:"clearances,omitzero"`
	Communities []string               `json:"communities,omitzero"`
	CSRF        string                 `json:"csrf,omitempty"`
	Scopes      []string               `json:"scopes,omitempty" doc:"Of the token, if you came with one"`
	Region      *Region                `json:"region,omitempty"`
	Now         *time.Time             `json:"now,omitempty"`
}

// NodeView names the node.
type NodeView struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// PersonView is the person who is signed in.
type PersonView struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Lang    string         `json:"lang"`
	Theme   string         `json:"theme"`
	Purpose *store.Purpose `json:"purpose,omitempty"`
}

// Hat is an agency for which a person may act.
type Hat struct {
	Agency  string `json:"agency"`
	Name    string `json:"name"`
	Country string `json:"country"`
}

// Region is where the map begins.
type Region struct {
	BBox [4]float64 `json:"bbox"`
	Name string     `json:"name"`
}

// withCookies is an answer that sets cookies.
type withCookies struct {
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      *SessionView
}

type empty struct{}

func hatOf(a *store.Agency) Hat { return Hat{a.ID, a.Name, a.Country} }

// view describes a session, or the way to one.
func (s *Server) view(ctx context.Context, e *account.Session) (*SessionView, error) {
	n := &s.cfg.Node
	v := &SessionView{Demo: n.Demo, Node: NodeView{n.Name, n.Version}}
	c := callOf(ctx)
	reader := c.reader
	if e != nil && e != c.session { // it has just begun or changed
		r, err := s.cfg.Accounts.Reader(e.Person, e.Agency, nil, e.Why(s.cfg.Now()))
		if err != nil {
			return nil, err
		}
		reader = r
	}
	dir := s.cfg.Accounts.Directory()
	p := dir.People[reader.Person]
	if p == nil {
		first, pass, oidc := s.cfg.Accounts.FirstRunNeeded(), s.cfg.Accounts.HasPasskeys(), s.cfg.Accounts.Providers()
		v.FirstRun, v.Passkeys, v.OIDC = &first, &pass, &oidc
		if n.Demo {
			v.DemoCards = n.DemoCards
		}
		return v, nil
	}
	now := s.cfg.Now().UTC()
	pass := s.cfg.Accounts.HasPasskeys()
	v.SignedIn, v.Now, v.Passkeys = true, &now, &pass
	lang, theme, err := s.cfg.Accounts.Preferences(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	v.Person = &PersonView{ID: p.ID, Name: p.Name, Lang: lang, Theme: theme}
	if v.Person.Theme == "" {
		v.Person.Theme = "auto"
	}
	v.Hat = &Hat{Agency: reader.Agency}
	v.Hats = []Hat{}
	for _, a := range dir.Hats(p.ID) {
		v.Hats = append(v.Hats, hatOf(a))
	}
	if a := dir.Agencies[reader.Agency]; a != nil {
		*v.Hat = hatOf(a)
	}
	v.Roles, v.Clearances, v.Communities, v.Scopes = reader.Roles, some(reader.Clearances), some(reader.Communities), reader.Scopes
	if v.Roles == nil {
		v.Roles = map[string][]desk.Role{}
	}
	if e != nil {
		v.CSRF = e.CSRF()
		if e.Lang != "" {
			v.Person.Lang = e.Lang
		}
		if e.Why(now) != "" {
			v.Person.Purpose = e.Purpose
		}
	}
	if b := n.Region; b != nil {
		v.Region = &Region{[4]float64{b.W, b.S, b.E, b.N}, n.RegionName}
	}
	return v, nil
}

// begun answers with a new session and its cookies.
func (s *Server) begun(ctx context.Context, in *account.SignedIn) (*withCookies, error) {
	v, err := s.view(ctx, in.Session)
	if err != nil {
		return nil, s.fail(err)
	}
	return &withCookies{s.cookies(in), v}, nil
}

func (s *Server) cookies(in *account.SignedIn) []http.Cookie {
	return []http.Cookie{s.newCookie(s.cookieName(), in.Secret, 7*24*time.Hour), s.newCookie(s.deviceName(), in.Device, 400*24*time.Hour)}
}

func op(id, method, path, summary, tag string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag}}
}

// open marks an operation that needs no sign-in.
func open(o huma.Operation) huma.Operation {
	o.Security = []map[string][]string{}
	return o
}

func (s *Server) registerSession() {
	const tag = "session"
	huma.Register(s.api, open(op("get-session", http.MethodGet, "/api/v1/session", "Who is signed in", tag)), func(ctx context.Context, _ *empty) (*struct{ Body *SessionView }, error) {
		v, err := s.view(ctx, s.session(ctx))
		return &struct{ Body *SessionView }{v}, s.fail(err)
	})
	huma.Register(s.api, open(op("sign-in", http.MethodPost, "/api/v1/session", "Sign in with name and password", tag)), func(ctx context.Context, in *struct {
		Body struct {
			Name     string `json:"name" example:"ht.cc/ana"`
			Password string `json:"password"`
		}
	}) (*withCookies, error) {
		e, err := s.cfg.Accounts.SignIn(ctx, in.Body.Name, in.Body.Password, s.from(ctx))
		if err != nil {
			return nil, s.fail(err)
		}
		return s.begun(ctx, e)
	})
	s.handle(huma.Operation{OperationID: "change-session", Method: http.MethodPatch, Path: "/api/v1/session", Summary: "Change hat, language, look or purpose", Tags: []string{tag},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: s.schema(SessionChange{})}}},
		Responses:   map[string]*huma.Response{"200": s.answer("The session as it is now", SessionView{})}}, s.changeSession)
	huma.Register(s.api, op("sign-out", http.MethodDelete, "/api/v1/session", "Sign out", tag), func(ctx context.Context, _ *empty) (*struct {
		SetCookie []http.Cookie `header:"Set-Cookie"`
	}, error) {
		if e := s.session(ctx); e != nil {
			if err := s.cfg.Accounts.SignOut(ctx, e); err != nil {
				return nil, s.fail(err)
			}
		}
		return &struct {
			SetCookie []http.Cookie `header:"Set-Cookie"`
		}{[]http.Cookie{s.newCookie(s.cookieName(), "", 0)}}, nil
	})
	huma.Register(s.api, op("change-password", http.MethodPost, "/api/v1/session/password", "Change your password; your other sessions end", tag), func(ctx context.Context, in *struct {
		Body struct {
			Old string `json:"old"`
			New string `json:"new"`
		}
	}) (*empty, error) {
		e, err := s.mySession(ctx)
		if err == nil {
			err = s.cfg.Accounts.ChangePassword(ctx, e, in.Body.Old, in.Body.New, s.from(ctx))
		}
		return nil, s.fail(err)
	})
	s.registerFirstRun(tag)
	s.registerPasskeys("passkeys")
	s.registerOIDC()
}

// SessionChange says what to change; what is left out stays.
type SessionChange struct {
	Hat     string          `json:"hat,omitempty"`
	Lang    string          `json:"lang,omitempty" enum:"ht,fr,es,en"`
	Theme   string          `json:"theme,omitempty" enum:"light,dark,auto"`
	Purpose json.RawMessage `json:"purpose,omitempty" doc:"{words}, in force for 4 hours; null ends it"`
}

func (s *Server) changeSession(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	e, err := s.mySession(ctx)
	if err != nil {
		return err
	}
	if err := isJSON(r); err != nil {
		return err
	}
	b, err := readBody(r)
	if err != nil {
		return err
	}
	var in SessionChange
	if err := strict(b, &in, nil); err != nil {
		return err
	}
	if in.Lang != "" || in.Theme != "" {
		var f record.Fields
		if in.Lang != "" && !slices.Contains(desk.Langs, in.Lang) {
			f.Add("lang", "enum", "must be one of ht, fr, es, en")
		}
		if in.Theme != "" && !slices.Contains([]string{"light", "dark", "auto"}, in.Theme) {
			f.Add("theme", "enum", "must be one of light, dark, auto")
		}
		if err := f.Err("session.change"); err != nil {
			return err
		}
		if err := s.cfg.Accounts.SetPreferences(ctx, e.Person, in.Lang, in.Theme); err != nil {
			return err
		}
	}
	if in.Lang != "" {
		if e, err = s.cfg.Accounts.SetLang(ctx, e, in.Lang); err != nil {
			return err
		}
	}
	if in.Hat != "" {
		if e, err = s.cfg.Accounts.SetHat(ctx, e, in.Hat); err != nil {
			return err
		}
	}
	if len(in.Purpose) > 0 {
		var p struct {
			Words string `json:"words"`
		}
		if string(in.Purpose) != "null" {
			if err := strict(in.Purpose, &p, nil); err != nil {
				return under("purpose", err)
			}
			if p.Words == "" {
				return record.Fields{{Path: "purpose.words", Code: "required", Message: "say why you look"}}.Err("session.purpose")
			}
		}
		if e, err = s.cfg.Accounts.SetPurpose(ctx, e, p.Words); err != nil {
			return err
		}
	}
	v, err := s.view(ctx, e)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

func (s *Server) registerFirstRun(tag string) {
	huma.Register(s.api, open(op("first-run", http.MethodPost, "/api/v1/first-run", "Make the first agency and its administrator, once", tag)), func(ctx context.Context, in *struct {
		Body struct {
			Code   string `json:"code" doc:"From the address that the node printed when it started"`
			Agency struct {
				ID      string `json:"id" example:"ht.cc"`
				Name    string `json:"name"`
				Country string `json:"country" example:"HT"`
			} `json:"agency"`
			Person struct {
				Name    string `json:"name" example:"ana"`
				Display string `json:"display,omitempty" example:"Ana Joseph"`
				Lang    string `json:"lang,omitempty" enum:"ht,fr,es,en"`
			} `json:"person"`
			Password string `json:"password"`
		}
	}) (*withCookies, error) {
		b := &in.Body
		p := store.Person{ID: b.Person.Name, Name: b.Person.Display, Lang: b.Person.Lang}
		if p.Name == "" {
			p.Name = b.Person.Name
		}
		if p.Lang == "" {
			p.Lang = "en"
		}
		a := store.Agency{ID: b.Agency.ID, Name: b.Agency.Name, Country: b.Agency.Country}
		e, err := s.cfg.Accounts.FirstRun(ctx, b.Code, a, p, b.Password, s.from(ctx))
		if err != nil {
			return nil, s.fail(err)
		}
		return s.begun(ctx, e)
	})
}

// ceremonyBody is JSON for WebAuthn, which is not ours to describe.
type ceremonyBody struct {
	Name    string `query:"name" doc:"What to call the passkey"`
	RawBody []byte `contentType:"application/json"`
}

type options struct {
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      json.RawMessage
}

func (s *Server) started(opts json.RawMessage, ceremony string, err error) (*options, error) {
	if err != nil {
		return nil, s.fail(err)
	}
	return &options{[]http.Cookie{s.newCookie(s.ceremonyName(), ceremony, 10*time.Minute)}, opts}, nil
}

// ceremony returns the secret that the browser holds between the two halves.
func (s *Server) ceremony(ctx context.Context) string {
	if c := callOf(ctx); c.r != nil {
		return cookieOf(c.r, s.ceremonyName())
	}
	return ""
}

func (s *Server) registerPasskeys(tag string) {
	const at = "/api/v1/passkeys"
	huma.Register(s.api, op("begin-passkey", http.MethodPost, at+"/register/begin", "Begin to add a passkey", tag), func(ctx context.Context, _ *empty) (*options, error) {
		e, err := s.mySession(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		return s.started(s.cfg.Accounts.BeginPasskey(ctx, e, s.from(ctx)))
	})
	finish := op("finish-passkey", http.MethodPost, at+"/register/finish", "Add the passkey that the browser made", tag)
	finish.SkipValidateBody, finish.MaxBodyBytes = true, maxBody
	huma.Register(s.api, finish, func(ctx context.Context, in *ceremonyBody) (*struct{ Body PasskeyView }, error) {
		e, err := s.mySession(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		k, err := s.cfg.Accounts.FinishPasskey(ctx, e, s.ceremony(ctx), in.Name, in.RawBody)
		if err != nil {
			return nil, s.fail(err)
		}
		return &struct{ Body PasskeyView }{passkeyView(k)}, nil
	})
	huma.Register(s.api, open(op("begin-passkey-login", http.MethodPost, at+"/login/begin", "Begin to sign in with a passkey", tag)), func(ctx context.Context, _ *empty) (*options, error) {
		return s.started(s.cfg.Accounts.BeginPasskeyLogin(ctx, s.from(ctx)))
	})
	login := open(op("finish-passkey-login", http.MethodPost, at+"/login/finish", "Sign in with the passkey that answered", tag))
	login.SkipValidateBody, login.MaxBodyBytes = true, maxBody
	huma.Register(s.api, login, func(ctx context.Context, in *ceremonyBody) (*withCookies, error) {
		e, err := s.cfg.Accounts.FinishPasskeyLogin(ctx, s.ceremony(ctx), in.RawBody, s.from(ctx))
		if err != nil {
			return nil, s.fail(err)
		}
		return s.begun(ctx, e)
	})
	huma.Register(s.api, op("list-passkeys", http.MethodGet, at, "Your passkeys", tag), func(ctx context.Context, _ *empty) (*struct{ Body PasskeyList }, error) {
		e, err := s.mySession(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		ks, err := s.cfg.Accounts.Passkeys(ctx, e.Person)
		out := PasskeyList{Passkeys: []PasskeyView{}}
		for i := range ks {
			out.Passkeys = append(out.Passkeys, passkeyView(&ks[i]))
		}
		return &struct{ Body PasskeyList }{out}, s.fail(err)
	})
	huma.Register(s.api, op("remove-passkey", http.MethodDelete, at+"/{id}", "Remove one of your passkeys", tag), func(ctx context.Context, in *struct {
		ID string `path:"id"`
	}) (*empty, error) {
		e, err := s.mySession(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		id, err := base64.RawURLEncoding.DecodeString(in.ID)
		if err != nil {
			return nil, s.fail(record.Errorf(record.NotFound, "passkey.remove", "there is no such passkey"))
		}
		return nil, s.fail(s.cfg.Accounts.RemovePasskey(ctx, e.Person, e.Person, id))
	})
}

// PasskeyList lists passkeys.
type PasskeyList struct {
	Passkeys []PasskeyView `json:"passkeys"`
}

// PasskeyView is a passkey as its holder sees it.
type PasskeyView struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
}

func passkeyView(k *store.Passkey) PasskeyView {
	return PasskeyView{account.PasskeyID(k.ID), k.Name, k.Created, k.Used}
}

// registerOIDC serves what a browser is sent to, which therefore answers with
// redirections and not with JSON.
func (s *Server) registerOIDC() {
	s.handle(huma.Operation{Method: http.MethodGet, Path: "/api/v1/oidc/{id}/start"}, func(w http.ResponseWriter, r *http.Request) error {
		to, ceremony, err := s.cfg.Accounts.BeginOIDC(r.Context(), r.PathValue("id"), r.URL.Query().Get("return"), s.from(r.Context()))
		if err != nil {
			return s.backToSignIn(w, r, err)
		}
		k := s.newCookie(s.ceremonyName(), ceremony, 10*time.Minute)
		http.SetCookie(w, &k)
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	})
	s.handle(huma.Operation{Method: http.MethodGet, Path: "/api/v1/oidc/{id}/callback"}, func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		in, back, err := s.cfg.Accounts.FinishOIDC(ctx, r.PathValue("id"), s.ceremony(ctx), r.URL.Query(), s.from(ctx))
		gone := s.newCookie(s.ceremonyName(), "", 0)
		http.SetCookie(w, &gone)
		if err != nil {
			return s.backToSignIn(w, r, err)
		}
		for _, k := range s.cookies(in) {
			http.SetCookie(w, &k)
		}
		// A page of ours leads on, so that the SameSite cookie goes with the next request.
		http.Redirect(w, r, back, http.StatusSeeOther)
		return nil
	})
}

// backToSignIn shows what went wrong on the sign-in page.
func (s *Server) backToSignIn(w http.ResponseWriter, r *http.Request, err error) error {
	p := s.identify(r.Context(), problemOf(err))
	if p.Code == record.NotFound {
		return p
	}
	if p.cause != nil && p.Status < 500 {
		s.cfg.Log.Warn("sign-in at a provider failed", "request", callOf(r.Context()).id, "error", p.cause)
	}
	http.Redirect(w, r, "/?error="+url.QueryEscape(string(p.Code))+"&detail="+url.QueryEscape(p.Detail), http.StatusSeeOther)
	return nil
}
