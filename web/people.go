package web

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/account"
	"konbit/desk"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Agencies lists who takes part.
type Agencies struct {
	Agencies []store.Agency `json:"agencies"`
}

// NewAgency says what agency to add.
type NewAgency struct {
	ID          string            `json:"id" example:"ht.cc"`
	Name        string            `json:"name"`
	Country     string            `json:"country,omitempty" example:"HT"`
	Communities []string          `json:"communities,omitempty"`
	Contact     string            `json:"contact,omitempty"`
	Local       bool              `json:"local,omitempty" doc:"Served by this node"`
	Key         ed25519.PublicKey `json:"key,omitempty" doc:"Of an agency elsewhere: the public key of its signatures, base64"`
}

// PersonList lists those whom the caller may administer.
type PersonList struct {
	People []account.PersonInfo `json:"people"`
}

// NewPerson says what person to add.
type NewPerson struct {
	ID         string        `json:"id" example:"ht.cc/ana"`
	Name       string        `json:"name"`
	Email      string        `json:"email,omitempty"`
	Lang       string        `json:"lang,omitempty"`
	Grants     []store.Grant `json:"grants,omitempty"`
	Clearances []string      `json:"clearances,omitempty"`
	Password   string        `json:"password,omitempty" doc:"Left out: the answer holds a one-time link"`
}

// LinkedPerson is a person, with a one-time link where one was made.
type LinkedPerson struct {
	account.PersonInfo
	Link string `json:"link,omitempty" doc:"Path at this node where the person sets a password, once, within a day"`
}

// PersonPatch is what to change of a person.
type PersonPatch struct {
	account.PersonChange
	ResetPassword bool `json:"resetPassword,omitempty" doc:"Make a one-time link to set a new password"`
}

// TokenView is a token as its owner sees it.
type TokenView struct {
	store.Token
	Secret string `json:"secret,omitempty" doc:"Shown once"`
}

// Tokens lists a person's tokens.
type Tokens struct {
	Tokens []store.Token `json:"tokens"`
}

// NewToken says what token to make.
type NewToken struct {
	Name    string    `json:"name" doc:"What it is for"`
	Scopes  []string  `json:"scopes,omitempty" doc:"Of read, write, admin and audit; left out: read"`
	Expires time.Time `json:"expires,omitzero" doc:"Left out: in 90 days"`
}

// PasswordLink sets a password.
type PasswordLink struct {
	Code     string `json:"code" doc:"What follows # in the link"`
	Password string `json:"password"`
}

// passwordPage is the console's page that a one-time link opens.
const passwordPage = "/password#"

func linkOf(code string) string {
	if code == "" {
		return ""
	}
	return passwordPage + code
}

// admin returns who asks, for what takes the scope admin of a token. Whether he
// is an administrator is for package account to say.
func (s *Server) admin(ctx context.Context) (*policy.Reader, error) {
	r, err := s.signedIn(ctx)
	if err == nil && !r.Scope("admin") {
		err = record.Errorf(record.Denied, "admin", "this token may not administer")
	}
	return r, err
}

type agencyAnswer struct{ Body *store.Agency }

type personAnswer struct{ Body LinkedPerson }

func (s *Server) registerPeople() {
	s.registerAgencies()
	s.registerPersons()
	s.registerTokens()
	huma.Register(s.api, open(op("use-password-link", http.MethodPost, "/api/v1/password-link", "Set a password with a one-time link", "people")), func(ctx context.Context, in *struct{ Body PasswordLink }) (*empty, error) {
		_, err := s.cfg.Accounts.UsePasswordLink(ctx, in.Body.Code, in.Body.Password, s.from(ctx))
		return nil, s.fail(err)
	})
}

func (s *Server) registerAgencies() {
	const tag, at = "agencies", "/api/v1/agencies"
	huma.Register(s.api, op("list-agencies", http.MethodGet, at, "Who takes part", tag), func(ctx context.Context, _ *empty) (*struct{ Body Agencies }, error) {
		r, err := s.signedIn(ctx)
		if err == nil && !r.Scope("read") && !r.Scope("admin") {
			err = record.Errorf(record.Denied, "agency.list", "this token may not read")
		}
		if err != nil {
			return nil, s.fail(err)
		}
		dir := s.cfg.Accounts.Directory()
		out := Agencies{Agencies: []store.Agency{}}
		for _, id := range slices.Sorted(maps.Keys(dir.Agencies)) {
			a := *dir.Agencies[id]
			a.Communities = append([]string{}, a.Communities...)
			out.Agencies = append(out.Agencies, a)
		}
		return &struct{ Body Agencies }{out}, nil
	})
	add := op("add-agency", http.MethodPost, at, "Add an agency; of one that this node serves you become the administrator", tag)
	add.DefaultStatus = http.StatusCreated
	huma.Register(s.api, add, func(ctx context.Context, in *struct{ Body NewAgency }) (*agencyAnswer, error) {
		r, err := s.admin(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		b := &in.Body
		a, err := s.cfg.Accounts.AddAgency(ctx, r.Person, store.Agency{ID: b.ID, Name: b.Name, Country: b.Country, Communities: b.Communities, Contact: b.Contact, Local: b.Local, PublicKey: b.Key})
		return &agencyAnswer{a}, s.fail(err)
	})
	huma.Register(s.api, op("change-agency", http.MethodPatch, at+"/{id}", "Change an agency", tag), func(ctx context.Context, in *struct {
		ID   string `path:"id" example:"ht.cc"`
		Body account.AgencyChange
	}) (*agencyAnswer, error) {
		r, err := s.admin(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		a, err := s.cfg.Accounts.UpdateAgency(ctx, r.Person, in.ID, in.Body)
		return &agencyAnswer{a}, s.fail(err)
	})
}

func (s *Server) registerPersons() {
	const tag, at = "people", "/api/v1/people"
	huma.Register(s.api, op("list-people", http.MethodGet, at, "The people of the agencies that you administer", tag), func(ctx context.Context, _ *empty) (*struct{ Body PersonList }, error) {
		r, err := s.admin(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		ps, err := s.cfg.Accounts.People(ctx, r.Person)
		return &struct{ Body PersonList }{PersonList{ps}}, s.fail(err)
	})
	add := op("add-person", http.MethodPost, at, "Add a person", tag)
	add.DefaultStatus = http.StatusCreated
	huma.Register(s.api, add, func(ctx context.Context, in *struct{ Body NewPerson }) (*personAnswer, error) {
		r, err := s.admin(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		b := &in.Body
		if err := s.desksOf(b.Grants).Err("person.add"); err != nil {
			return nil, s.fail(err)
		}
		code, err := s.cfg.Accounts.AddPerson(ctx, r.Person, store.Person{ID: b.ID, Name: b.Name, Email: b.Email, Lang: b.Lang, Grants: b.Grants, Clearances: b.Clearances}, b.Password)
		if err != nil {
			return nil, s.fail(err)
		}
		return s.personNow(ctx, r, b.ID, code)
	})
	huma.Register(s.api, op("change-person", http.MethodPatch, at+"/{agency}/{name}", "Change a person, his roles or his clearances, or make him a link to set a password", tag), func(ctx context.Context, in *struct {
		Agency string `path:"agency" example:"ht.cc"`
		Name   string `path:"name" example:"ana"`
		Body   PersonPatch
	}) (*personAnswer, error) {
		r, err := s.admin(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		if g := in.Body.Grants; g != nil {
			if err := s.desksOf(*g).Err("person.update"); err != nil {
				return nil, s.fail(err)
			}
		}
		id, code := in.Agency+"/"+in.Name, ""
		if in.Body.PersonChange != (account.PersonChange{}) {
			_, err = s.cfg.Accounts.UpdatePerson(ctx, r.Person, id, in.Body.PersonChange)
		}
		if err == nil && in.Body.ResetPassword {
			code, err = s.cfg.Accounts.ResetLink(ctx, r.Person, id)
		}
		if err != nil {
			return nil, s.fail(err)
		}
		return s.personNow(ctx, r, id, code)
	})
}

// desksOf refuses a grant on a desk that there is not: it would grant nothing and
// look as if it did.
func (s *Server) desksOf(grants []store.Grant) record.Fields {
	var f record.Fields
	for i, g := range grants {
		if g.Desk != "*" && !slices.ContainsFunc(s.cfg.Desks.Desks, func(d *desk.Desk) bool { return d.Name == g.Desk }) {
			f.Add(record.Index("grants", i)+".desk", "unknown", "there is no such desk")
		}
	}
	return f
}

// personNow answers with a person as he is after a change.
func (s *Server) personNow(ctx context.Context, r *policy.Reader, id, code string) (*personAnswer, error) {
	ps, err := s.cfg.Accounts.People(ctx, r.Person)
	if err != nil {
		return nil, s.fail(err)
	}
	i, ok := slices.BinarySearchFunc(ps, id, func(p account.PersonInfo, id string) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return nil, s.fail(record.Errorf(record.NotFound, "person", "there is no such person"))
	}
	return &personAnswer{LinkedPerson{ps[i], linkOf(code)}}, nil
}

func (s *Server) registerTokens() {
	const tag, at = "tokens", "/api/v1/tokens"
	huma.Register(s.api, op("list-tokens", http.MethodGet, at, "A person's tokens, without their secrets", tag), func(ctx context.Context, in *struct {
		Person string `query:"person" doc:"Left out: your own"`
	}) (*struct{ Body Tokens }, error) {
		r, err := s.admin(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		ts, err := s.cfg.Accounts.Tokens(ctx, r.Person, cmp.Or(in.Person, r.Person))
		return &struct{ Body Tokens }{Tokens{ts}}, s.fail(err)
	})
	add := op("make-token", http.MethodPost, at, "Make a token that acts for you; its secret is shown once", tag)
	add.DefaultStatus = http.StatusCreated
	huma.Register(s.api, add, func(ctx context.Context, in *struct{ Body NewToken }) (*struct{ Body TokenView }, error) {
		e, err := s.mySession(ctx) // a token that made another would outlive its own end, and widen its scopes
		if err != nil {
			return nil, s.fail(err)
		}
		secret, t, err := s.cfg.Accounts.CreateToken(ctx, e.Person, account.NewToken{Name: in.Body.Name, Person: e.Person, Scopes: in.Body.Scopes, Expires: in.Body.Expires})
		if err != nil {
			return nil, s.fail(err)
		}
		return &struct{ Body TokenView }{TokenView{*t, secret}}, nil
	})
	huma.Register(s.api, op("revoke-token", http.MethodDelete, at+"/{id}", "End a token at once", tag), func(ctx context.Context, in *struct {
		ID string `path:"id"`
	}) (*empty, error) {
		r, err := s.signedIn(ctx)
		if c := callOf(ctx); err == nil && !r.Scope("admin") && (c.token == nil || c.token.ID != in.ID) { // a token may always end itself
			_, err = s.admin(ctx)
		}
		if err != nil {
			return nil, s.fail(err)
		}
		return nil, s.fail(s.cfg.Accounts.RevokeToken(ctx, r.Person, in.ID))
	})
}
