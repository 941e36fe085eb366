package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"konbit/record"
	"konbit/store"
)

// PurposeLife is how long a stated purpose holds for its session.
const PurposeLife = 4 * time.Hour

// maxPurpose bounds the words of a purpose, in characters.
const maxPurpose = 500

// From says where a request comes from and what the browser brought along.
type From struct {
	Address string // network address of the peer, with or without a port
	Agent   string // User-Agent
	Session string // the session cookie, if any: that session ends when a new one begins
	Device  string // the device cookie, if any
}

// SignedIn is a session that has just begun.
type SignedIn struct {
	*Session
	Secret string // value of the session cookie; not kept anywhere else
	Device string // value of a long-lived cookie that spares this browser the delays which strangers cause
}

// Session is one sign-in of one browser, as it was when it was looked up. It MUST NOT be changed.
type Session struct {
	store.Session
	csrf string
}

// CSRF returns the token that the browser must send with whatever changes something.
func (e *Session) CSRF() string { return e.csrf }

// CheckCSRF reports, in constant time, whether a request brought the session's CSRF token.
func (e *Session) CheckCSRF(got string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(e.csrf)) == 1
}

// Why returns the words of the purpose in force, "" when there is none.
func (e *Session) Why(now time.Time) string {
	if e.Purpose == nil || !now.Before(e.Purpose.Until) {
		return ""
	}
	return e.Purpose.Words
}

// csrfOf derives the CSRF token from the secret in the cookie, so that it need not be stored and tells nothing about it.
func csrfOf(secret string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("konbit csrf"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// admit begins a session for a person who has proved who he is.
func (s *Service) admit(ctx context.Context, p *store.Person, method string, from From, ops ...store.Op) (*SignedIn, error) {
	if p == nil || p.Disabled {
		return nil, errDisabled
	}
	now := s.now().UTC()
	secret, hash := newSecret()
	e := &Session{csrf: csrfOf(secret), Session: store.Session{Hash: hash, ID: record.NewID(now).String(), Person: p.ID,
		Agency: s.dir.Load().hat(p.ID, agencyOf(p.ID)), Lang: p.Lang, Method: method, Address: from.Address, Agent: clip(from.Agent, 200),
		Created: now, Seen: now}}
	ops = append(ops, store.PutSession{Session: e.Session})
	if from.Session != "" {
		ops = append(ops, store.DropSession{Hash: sha256.Sum256([]byte(from.Session))})
	}
	access := Access{What: "signed in", Person: p.ID, Method: method, ID: e.ID, Address: from.Address}
	if err := s.commit(ctx, p.ID, access, ops...); err != nil {
		return nil, err
	}
	device := from.Device
	if person, _, ok := s.genuine(device); !ok || person != p.ID {
		device = s.mark(p.ID)
	}
	return &SignedIn{Session: e, Secret: secret, Device: device}, nil
}

var errDisabled = record.Errorf(record.Denied, "account.signin", "this account is disabled; ask an administrator of your agency")

func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "")
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// mark returns the value of a device cookie: whose browser it is, a random name for it, and a proof that we said so.
func (s *Service) mark(person string) string {
	b := make([]byte, 16)
	rand.Read(b)
	b64 := base64.RawURLEncoding.EncodeToString
	head := b64([]byte(person)) + "." + b64(b)
	return head + "." + b64(s.markProof(head))
}

func (s *Service) markProof(head string) []byte {
	m := hmac.New(sha256.New, s.device)
	m.Write([]byte(head))
	return m.Sum(nil)[:16]
}

// genuine reads a device cookie.
func (s *Service) genuine(device string) (person, mark string, ok bool) {
	i := strings.LastIndexByte(device, '.')
	if i < 0 || len(device) > 400 {
		return "", "", false
	}
	proof, err := base64.RawURLEncoding.DecodeString(device[i+1:])
	if err != nil || !hmac.Equal(proof, s.markProof(device[:i])) {
		return "", "", false
	}
	who, mark, _ := strings.Cut(device[:i], ".")
	b, err := base64.RawURLEncoding.DecodeString(who)
	return string(b), mark, err == nil
}

// hashSecret hashes what a cookie or a header holds, without allocating.
func hashSecret(secret string) (h [32]byte, ok bool) {
	var b [64]byte
	if len(secret) < 20 || len(secret) > len(b) {
		return h, false
	}
	return sha256.Sum256(b[:copy(b[:], secret)]), true
}

var errNoSession = record.Errorf(record.Unsigned, "account.session", "sign in first")

// Session returns the session of a cookie. It is on the path of every request: what was looked up in the last seconds
// costs a hash and a map access.
func (s *Service) Session(ctx context.Context, secret string) (*Session, error) {
	h, ok := hashSecret(secret)
	if !ok {
		return nil, errNoSession
	}
	now := s.now()
	c, gen := s.sessions.get(&h, now)
	if c == nil {
		row, err := s.store.Session(ctx, h)
		if record.CodeOf(err) == record.NotFound {
			return nil, errNoSession
		}
		if err != nil {
			return nil, err
		}
		seen := row.Seen
		if t := s.worn.sessionSeen(h); t.After(seen) {
			seen = t
		}
		c = s.sessions.put(&h, gen, &Session{Session: row, csrf: csrfOf(secret)}, seen, now)
	}
	e := c.v
	if now.UnixNano()-c.seen.Load() >= int64(s.cfg.Idle) || now.Sub(e.Created) >= s.cfg.Absolute {
		return nil, errNoSession
	}
	d := s.dir.Load()
	if p := d.People[e.Person]; p == nil || p.Disabled {
		return nil, errNoSession
	}
	if c.touch(now) {
		s.worn.session(h, now)
	}
	if !d.wears(e.Person, e.Agency) { // the grant behind the hat is gone
		other := *e
		other.Agency = d.hat(e.Person, e.Agency)
		return &other, nil
	}
	return e, nil
}

// SetHat makes the session act for another agency in which the person holds a role.
func (s *Service) SetHat(ctx context.Context, e *Session, agency string) (*Session, error) {
	if !s.dir.Load().wears(e.Person, agency) {
		return nil, record.Errorf(record.Denied, "session.hat", "you hold no role in %.80s", agency)
	}
	return s.wear(ctx, e, agency, e.Lang)
}

// SetLang makes the session speak another language. SetPreferences makes it the person's.
func (s *Service) SetLang(ctx context.Context, e *Session, lang string) (*Session, error) {
	if !slices.Contains(Langs, lang) {
		return nil, record.Fields{{Path: "lang", Code: "enum", Message: "must be one of ht, fr, es, en"}}.Err("session.lang")
	}
	return s.wear(ctx, e, e.Agency, lang)
}

func (s *Service) wear(ctx context.Context, e *Session, agency, lang string) (*Session, error) {
	if err := s.store.SetHat(ctx, e.Hash, agency, lang); err != nil {
		return nil, err
	}
	s.sessions.forget(e.Hash)
	next := *e
	next.Agency, next.Lang = agency, lang
	return &next, nil
}

// SetPurpose says why the person looks at protected records, for PurposeLife; no words end it.
func (s *Service) SetPurpose(ctx context.Context, e *Session, why string) (*Session, error) {
	var f record.Fields
	why = words(&f, "purpose.words", why, 0, maxPurpose)
	if err := f.Err("session.purpose"); err != nil {
		return nil, err
	}
	next := *e
	next.Purpose = nil
	access := Access{What: "purpose ended", Person: e.Person, ID: e.ID}
	if why != "" {
		next.Purpose = &store.Purpose{Words: why, Until: s.now().UTC().Add(PurposeLife)}
		access.What, access.Purpose, access.Expires = "purpose given", why, next.Purpose.Until
	}
	// The hat under which he looks is the agency that answers for it.
	access.Agency = e.Agency
	if err := s.commit(ctx, e.Person, access, store.SetPurpose{Hash: e.Hash, Purpose: next.Purpose}); err != nil {
		return nil, err
	}
	return &next, nil
}

// SignOut ends a session.
func (s *Service) SignOut(ctx context.Context, e *Session) error {
	return s.commit(ctx, e.Person, Access{What: "signed out", Person: e.Person, ID: e.ID}, store.DropSession{Hash: e.Hash})
}

// Sessions lists the sessions of a person that have not ended, newest first.
func (s *Service) Sessions(ctx context.Context, person string) ([]store.Session, error) {
	all, err := s.store.Sessions(ctx, person)
	now, out := s.now(), []store.Session{}
	for _, e := range all {
		if t := s.worn.sessionSeen(e.Hash); t.After(e.Seen) {
			e.Seen = t
		}
		if now.Sub(e.Seen) < s.cfg.Idle && now.Sub(e.Created) < s.cfg.Absolute {
			out = append(out, e)
		}
	}
	return out, err
}

// RevokeSession ends a session by its identifier: one's own, or, for an administrator, one of a person of his agency.
func (s *Service) RevokeSession(ctx context.Context, actor, person, id string) error {
	const op = "session.revoke"
	if actor != person {
		if err := s.dir.Load().mayAdminister(op, actor, agencyOf(person)); err != nil {
			return err
		}
	}
	all, err := s.store.Sessions(ctx, person)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.ID == id {
			return s.commit(ctx, actor, Access{What: "session revoked", Person: person, ID: id}, store.DropSession{Hash: e.Hash})
		}
	}
	return notFound(op, "session")
}
