package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// Scopes lists what a token can be made for. A scope never gives more than the person may do.
var Scopes = []string{"read", "write", "admin", "audit"}

// Lives of a token.
const (
	TokenLife    = 90 * 24 * time.Hour // unless said otherwise
	MaxTokenLife = 400 * 24 * time.Hour
)

const tokenPrefix = "kbt_"

// Token is a token as it was looked up. It MUST NOT be changed.
type Token struct{ store.Token }

// NewToken says what token to make.
type NewToken struct {
	Name    string    // what it is for
	Person  string    // for whom it acts
	Scopes  []string  // of Scopes; none means read
	Expires time.Time // zero: after TokenLife
}

// newTokenSecret returns kbt_, 160 random bits and a checksum, in letters and digits.
func newTokenSecret() string {
	b := make([]byte, 20)
	rand.Read(b)
	body := base32Lower.EncodeToString(b)
	return tokenPrefix + body + tokenSum(body)
}

// tokenSum is a CRC-32 in 7 characters: a slip of the pen, or of the clipboard, is found without asking the store.
func tokenSum(body string) string {
	c := crc32.ChecksumIEEE([]byte(body))
	return base32Lower.EncodeToString([]byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
}

// IsToken reports whether s has the form of a token with a right checksum, so that a scanner or a log filter can tell.
func IsToken(s string) bool {
	body, ok := strings.CutPrefix(s, tokenPrefix)
	return ok && len(body) == 39 && tokenSum(body[:32]) == body[32:]
}

// CreateToken makes a token and returns its secret, which is kept nowhere. A person makes tokens for himself; the
// command line for anybody.
func (s *Service) CreateToken(ctx context.Context, actor string, n NewToken) (secret string, t *store.Token, err error) {
	const op = "token.create"
	d, now := s.dir.Load(), s.now().UTC()
	p := d.People[n.Person]
	switch {
	case p == nil:
		return "", nil, notFound(op, "person")
	case actor != Node && actor != n.Person:
		return "", nil, record.Errorf(record.Denied, op, "a token acts for the person who makes it; make it as that person")
	case p.Disabled:
		return "", nil, record.Errorf(record.Stale, op, "%s is disabled", n.Person)
	}
	var f record.Fields
	n.Name = words(&f, "name", n.Name, 1, 100)
	if len(n.Scopes) == 0 {
		n.Scopes = []string{"read"}
	}
	for i, sc := range n.Scopes {
		switch {
		case !slices.Contains(Scopes, sc):
			f.Add(record.Index("scopes", i), "enum", "must be one of read, write, admin, audit")
		case sc == "admin" && !d.holdsAnywhere(n.Person, desk.Administrator):
			f.Add(record.Index("scopes", i), "denied", "admin is for administrators")
		case sc == "audit" && !d.holdsAnywhere(n.Person, desk.Auditor):
			f.Add(record.Index("scopes", i), "denied", "audit is for auditors")
		}
	}
	if n.Expires.IsZero() {
		n.Expires = now.Add(TokenLife)
	}
	if !n.Expires.After(now) || n.Expires.After(now.Add(MaxTokenLife)) {
		f.Add("expires", "range", "must lie between now and 400 days from now")
	}
	if err := f.Err(op); err != nil {
		return "", nil, err
	}
	secret = newTokenSecret()
	t = &store.Token{Hash: sha256.Sum256([]byte(secret)), ID: record.NewID(now).String(), Name: n.Name, Person: n.Person, Scopes: sorted(n.Scopes),
		Created: now, Expires: n.Expires.UTC().Truncate(time.Second)}
	access := Access{What: "token created", Person: t.Person, ID: t.ID, Name: t.Name, Scopes: t.Scopes, Expires: t.Expires}
	if err := s.commit(ctx, actor, access, store.PutToken{Token: *t}); err != nil {
		return "", nil, err
	}
	return secret, t, nil
}

func (d *Directory) holdsAnywhere(person string, role desk.Role) bool {
	for agency := range d.roles[person] {
		if d.Holds(person, agency, role) {
			return true
		}
	}
	return false
}

var errToken = record.Errorf(record.Unsigned, "account.token", "this token is not good: unknown, expired or revoked")

// Token returns the token of a secret. Like Session, it is on the path of every request.
func (s *Service) Token(ctx context.Context, secret string) (*Token, error) {
	h, ok := hashSecret(secret)
	if !ok {
		return nil, errToken
	}
	now := s.now()
	c, gen := s.tokens.get(&h, now)
	if c == nil {
		if !IsToken(secret) {
			return nil, errToken
		}
		row, err := s.store.Token(ctx, h)
		if record.CodeOf(err) == record.NotFound {
			return nil, errToken
		}
		if err != nil {
			return nil, err
		}
		c = s.tokens.put(&h, gen, &Token{Token: row}, row.LastUsed, now)
	}
	t := c.v
	if !now.Before(t.Expires) {
		return nil, errToken
	}
	if p := s.dir.Load().People[t.Person]; p == nil || p.Disabled {
		return nil, errToken
	}
	if c.touch(now) {
		s.worn.token(h, now)
	}
	return t, nil
}

// Tokens lists a person's tokens, expired ones too, newest first: one's own, or, for an administrator, those of a
// person of his agency.
func (s *Service) Tokens(ctx context.Context, actor, person string) ([]store.Token, error) {
	if actor != person {
		if err := s.dir.Load().mayAdminister("token.list", actor, agencyOf(person)); err != nil {
			return nil, err
		}
	}
	ts, err := s.store.Tokens(ctx, person)
	if ts == nil {
		ts = []store.Token{}
	}
	return ts, err
}

// RevokeToken ends a token at once: one's own, or, for an administrator, one of a person of his agency.
func (s *Service) RevokeToken(ctx context.Context, actor, id string) error {
	const op = "token.revoke"
	t, err := s.store.TokenByID(ctx, id)
	if record.CodeOf(err) == record.NotFound {
		return notFound(op, "token")
	}
	if err != nil {
		return err
	}
	if d := s.dir.Load(); actor != t.Person && d.mayAdminister(op, actor, agencyOf(t.Person)) != nil {
		return notFound(op, "token")
	}
	return s.commit(ctx, actor, Access{What: "token revoked", Person: t.Person, ID: id, Name: t.Name}, store.DropToken{ID: id})
}
