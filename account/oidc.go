package account

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/text/unicode/norm"

	"konbit/record"
	"konbit/store"
)

// Provider is an OpenID Connect provider (OpenID Connect Core 1.0) at which people may sign in.
type Provider struct {
	ID           string   // in addresses and in links of people: "pnh"
	Name         string   // on the button
	Issuer       string   // "https://id.example"
	ClientID     string   //
	ClientSecret string   // empty: a public client
	Scopes       []string // beside openid

	// Allowed lists the agencies whose people the provider may speak for. Empty means nobody's.
	Allowed []string
	// Claim says how a person is found who signs in there for the first time: "email", when the provider says that it
	// is verified and it equals that of exactly one person; "preferred_username", when it equals the name of exactly
	// one person; "sub" or empty, not at all: an administrator has to link him.
	Claim string
}

type provider struct {
	Provider
	mu    sync.Mutex
	found *oidc.Provider
}

// oidcTimeout bounds each request to a provider.
const oidcTimeout = 10 * time.Second

func (s *Service) openProviders() error {
	s.providers = map[string]*provider{}
	for _, p := range s.cfg.OIDC {
		switch {
		case !record.Token(p.ID) || p.Issuer == "" || p.ClientID == "":
			return fmt.Errorf("account: an OpenID Connect provider needs an id, an issuer and a client id; see %q", p.ID)
		case s.providers[p.ID] != nil:
			return fmt.Errorf("account: two OpenID Connect providers are called %q", p.ID)
		case !slices.Contains([]string{"", "sub", "email", "preferred_username"}, p.Claim):
			return fmt.Errorf("account: provider %q maps by claim %q; it must be sub, email or preferred_username", p.ID, p.Claim)
		case s.cfg.URL == "":
			return fmt.Errorf("account: provider %q needs the address of this node, to send the browser back to", p.ID)
		}
		if p.Name == "" {
			p.Name = p.ID
		}
		s.providers[p.ID] = &provider{Provider: p}
	}
	return nil
}

// ProviderName is a provider as the sign-in page shows it.
type ProviderName struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Providers lists the providers in the order of the configuration.
func (s *Service) Providers() []ProviderName {
	out := []ProviderName{}
	for _, p := range s.cfg.OIDC {
		out = append(out, ProviderName{p.ID, s.providers[p.ID].Name})
	}
	return out
}

// web returns a context whose requests to the provider do not last forever and do not end with the caller's: the keys
// that are fetched serve the next sign-in too.
func (p *provider) web(ctx context.Context) context.Context {
	return oidc.ClientContext(context.WithoutCancel(ctx), &http.Client{Timeout: oidcTimeout})
}

// discover reads the provider's configuration, once it can be reached. The node starts without it.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	found, err := oidc.NewProvider(p.web(context.WithoutCancel(ctx)), p.Issuer)
	if err != nil {
		return nil, &record.Error{Code: record.Unavailable, Op: "oidc", Message: p.Name + " cannot be reached now; sign in another way or try again later", Err: err}
	}
	p.found = found
	return found, nil
}

func (s *Service) oauth(p *provider, found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(),
		RedirectURL: strings.TrimSuffix(s.cfg.URL, "/") + "/api/v1/oidc/" + p.ID + "/callback",
		Scopes:      append([]string{oidc.ScopeOpenID}, p.Scopes...)}
}

type redirected struct {
	Provider string `json:"provider"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	State    string `json:"state"`
	Return   string `json:"return"`
}

// BeginOIDC starts a sign-in at a provider (authorization code flow with PKCE, state and nonce). The browser is to be
// sent to address, with ceremony in a cookie that is SameSite=Lax. Back is the path in the console to go to afterwards.
func (s *Service) BeginOIDC(ctx context.Context, id, back string, from From) (address, ceremony string, err error) {
	p := s.providers[id]
	if p == nil {
		return "", "", notFound("oidc", "provider")
	}
	found, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || strings.ContainsAny(back, "\\\r\n") || len(back) > 500 {
		back = "/"
	}
	r := redirected{Provider: id, Verifier: oauth2.GenerateVerifier(), Return: back}
	r.State, _ = newSecret()
	r.Nonce, _ = newSecret()
	if ceremony, err = s.begin(ctx, ceremonyOIDC, r, from); err != nil {
		return "", "", err
	}
	return s.oauth(p, found).AuthCodeURL(r.State, oidc.Nonce(r.Nonce), oauth2.S256ChallengeOption(r.Verifier)), ceremony, nil
}

// claims of an ID token that are read.
type claims struct {
	Email         string `json:"email"`
	EmailVerified any    `json:"email_verified"` // some providers send a string
	Username      string `json:"preferred_username"`
}

// FinishOIDC signs in the person whom the provider vouches for. Query is that of the callback. Whoever is not linked to
// a person, and cannot be found as the provider's Claim says, is refused, and that is noted.
func (s *Service) FinishOIDC(ctx context.Context, id, ceremony string, query url.Values, from From) (in *SignedIn, back string, err error) {
	const op = "oidc"
	p := s.providers[id]
	if p == nil {
		return nil, "", notFound(op, "provider")
	}
	var r redirected
	if err := s.finish(ctx, ceremonyOIDC, ceremony, &r); err != nil {
		return nil, "", err
	}
	if r.Provider != id || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(r.State)) != 1 {
		return nil, "", record.Errorf(record.Stale, op, "this answer belongs to another sign-in; start again")
	}
	if e := query.Get("error"); e != "" {
		return nil, "", &record.Error{Code: record.Unsigned, Op: op, Message: p.Name + " did not sign you in", Err: errors.New(clip(e+": "+query.Get("error_description"), 300))}
	}
	token, c, err := s.redeem(ctx, p, r, query.Get("code"))
	if err != nil {
		return nil, "", err
	}
	person, link, err := s.match(ctx, p, token.Subject, c)
	if err != nil {
		return nil, "", err
	}
	if person == nil {
		note := Access{What: "sign-in refused: unknown subject", Method: "oidc:" + id, Provider: id, Subject: clip(token.Subject, 255), Address: from.Address}
		if err := s.complain(ctx, "oidc "+id+" "+token.Subject, note); err != nil {
			return nil, "", err
		}
		e := record.Errorf(record.Denied, op, "%s knows you, but nobody here is linked to that account; ask an administrator of your agency to link it", p.Name)
		e.Hint = fmt.Sprintf("link provider %s, subject %s", id, clip(token.Subject, 255))
		return nil, "", e
	}
	if link != nil {
		access := Access{What: "identity linked", Person: person.ID, Method: p.Claim, Provider: id, Subject: link.Subject}
		if err := s.commit(ctx, Node, access, store.PutIdentity{Identity: *link}); err != nil {
			return nil, "", err
		}
	}
	in, err = s.admit(ctx, person, "oidc:"+id, from)
	return in, r.Return, err
}

// redeem turns the code into an ID token that is genuine, fresh and meant for this sign-in.
func (s *Service) redeem(ctx context.Context, p *provider, r redirected, code string) (*oidc.IDToken, claims, error) {
	const op = "oidc"
	refused := func(err error) (*oidc.IDToken, claims, error) {
		return nil, claims{}, &record.Error{Code: record.Unsigned, Op: op, Message: p.Name + " did not confirm the sign-in; start again", Err: err}
	}
	found, err := p.discover(ctx)
	if err != nil {
		return nil, claims{}, err
	}
	web := p.web(ctx)
	answer, err := s.oauth(p, found).Exchange(web, code, oauth2.VerifierOption(r.Verifier))
	if err != nil {
		return refused(err)
	}
	raw, ok := answer.Extra("id_token").(string)
	if !ok {
		return refused(errors.New("the answer holds no ID token"))
	}
	token, err := found.VerifierContext(web, &oidc.Config{ClientID: p.ClientID, Now: s.now}).Verify(web, raw)
	if err != nil {
		return refused(err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(r.Nonce)) != 1 || token.Subject == "" {
		return refused(errors.New("nonce or subject is not right"))
	}
	var c claims
	if err := token.Claims(&c); err != nil {
		return refused(err)
	}
	if p.Claim == "email" && c.Email == "" || p.Claim == "preferred_username" && c.Username == "" {
		// Many providers put the profile behind the userinfo endpoint only.
		info, err := found.UserInfo(web, oauth2.StaticTokenSource(answer))
		if err != nil {
			return refused(err)
		}
		if info.Subject != token.Subject {
			return refused(errors.New("userinfo is about somebody else"))
		}
		if err := info.Claims(&c); err != nil {
			return refused(err)
		}
	}
	return token, c, nil
}

// match finds the person of a subject: nil when there is none. Link is set when he was found by his claim and is to be
// linked.
func (s *Service) match(ctx context.Context, p *provider, subject string, c claims) (person *store.Person, link *store.Identity, err error) {
	d := s.dir.Load()
	i, err := s.store.Identity(ctx, p.ID, subject)
	if err == nil {
		if person = d.People[i.Person]; person == nil || !slices.Contains(p.Allowed, agencyOf(person.ID)) {
			return nil, nil, nil
		}
		return person, nil, nil
	}
	if record.CodeOf(err) != record.NotFound {
		return nil, nil, err
	}
	if person = d.claimed(p, c); person == nil {
		return nil, nil, nil
	}
	linked, err := s.store.Identities(ctx, person.ID)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range linked {
		if l.Provider == p.ID { // somebody else came first; an administrator has to sort it out
			return nil, nil, nil
		}
	}
	return person, &store.Identity{Provider: p.ID, Subject: subject, Person: person.ID, Created: s.now().UTC()}, nil
}

// claimed returns the one enabled person of the allowed agencies whom the claims name, nil when there is none or
// several.
func (d *Directory) claimed(p *provider, c claims) (found *store.Person) {
	verified := c.EmailVerified == true || c.EmailVerified == "true"
	email := strings.ToLower(norm.NFC.String(strings.TrimSpace(c.Email)))
	username := strings.ToLower(norm.NFC.String(strings.TrimSpace(c.Username)))
	for id, x := range d.People {
		if x.Disabled || !slices.Contains(p.Allowed, agencyOf(id)) {
			continue
		}
		switch {
		case p.Claim == "email" && verified && email != "" && x.Email == email,
			p.Claim == "preferred_username" && username != "" && id == agencyOf(id)+"/"+username:
			if found != nil {
				return nil
			}
			found = x
		}
	}
	return found
}

// LinkIdentity lets the subject of a provider sign in as a person. The actor administers the person's agency.
func (s *Service) LinkIdentity(ctx context.Context, actor, person, providerID, subject string) error {
	const op = "identity.link"
	defer s.alter()()
	d := s.dir.Load()
	p := s.providers[providerID]
	switch {
	case d.People[person] == nil:
		return notFound(op, "person")
	case p == nil:
		return notFound(op, "provider")
	}
	if err := d.mayAdminister(op, actor, agencyOf(person)); err != nil {
		return err
	}
	if !slices.Contains(p.Allowed, agencyOf(person)) {
		return record.Errorf(record.Denied, op, "%s may not speak for people of %s", p.Name, agencyOf(person))
	}
	var f record.Fields
	if subject == "" || len(subject) > 255 {
		f.Add("subject", "required", "must be 1 to 255 characters (OpenID Connect Core 1.0 §2)")
	}
	if err := f.Err(op); err != nil {
		return err
	}
	i, err := s.store.Identity(ctx, providerID, subject)
	if err == nil && i.Person != person {
		return record.Errorf(record.Conflict, op, "this subject is linked to somebody else")
	}
	if err == nil || record.CodeOf(err) != record.NotFound {
		return err
	}
	i = store.Identity{Provider: providerID, Subject: subject, Person: person, Created: s.now().UTC()}
	return s.commit(ctx, actor, Access{What: "identity linked", Person: person, Provider: providerID, Subject: subject}, store.PutIdentity{Identity: i})
}

// UnlinkIdentity ends such a link, and every session of the person: one of them may have come by it.
func (s *Service) UnlinkIdentity(ctx context.Context, actor, providerID, subject string) error {
	const op = "identity.unlink"
	i, err := s.store.Identity(ctx, providerID, subject)
	if record.CodeOf(err) == record.NotFound {
		return notFound(op, "link")
	}
	if err != nil {
		return err
	}
	if err := s.dir.Load().mayAdminister(op, actor, agencyOf(i.Person)); err != nil {
		return err
	}
	return s.commit(ctx, actor, Access{What: "identity unlinked", Person: i.Person, Provider: providerID, Subject: subject},
		store.DropIdentity{Provider: providerID, Subject: subject}, store.DropSessions{Person: i.Person})
}

// Identities lists the links of a person.
func (s *Service) Identities(ctx context.Context, person string) ([]store.Identity, error) {
	is, err := s.store.Identities(ctx, person)
	if is == nil {
		is = []store.Identity{}
	}
	return is, err
}
