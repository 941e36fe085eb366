package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// Kinds of one-time codes.
const (
	codePassword = "password"
	codeFirstRun = "first-run"
)

// linkLife is how long a link to set a password is good for.
const linkLife = 24 * time.Hour

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newSecret returns 256 random bits as text, and the hash under which they are known.
func newSecret() (string, [32]byte) {
	b := make([]byte, 32)
	rand.Read(b)
	s := base64.RawURLEncoding.EncodeToString(b)
	return s, sha256.Sum256([]byte(s))
}

// newCode returns a one-time code as a person may have to type it, and its row. A life of 0 is until it is used.
func (s *Service) newCode(kind, person string, life time.Duration) (string, store.Code) {
	b := make([]byte, 20)
	rand.Read(b)
	text := base32Lower.EncodeToString(b)
	now := s.now().UTC()
	k := store.Code{Hash: sha256.Sum256([]byte(text)), Kind: kind, Person: person, Created: now}
	if life > 0 {
		k.Expires = now.Add(life)
	}
	return text, k
}

// code returns the row of a code that is still good.
func (s *Service) code(ctx context.Context, op, kind, text string) (store.Code, error) {
	gone := record.Errorf(record.NotFound, op, "this link is not good any more; ask for a new one")
	k, err := s.store.Code(ctx, sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(text)))))
	switch {
	case record.CodeOf(err) == record.NotFound:
		return k, gone
	case err != nil:
		return k, err
	case k.Kind != kind, !k.Expires.IsZero() && !s.now().Before(k.Expires):
		return k, gone
	}
	return k, nil
}

// ResetLink returns a code for UsePasswordLink, good for a day. Earlier ones of the person end; his password stays until
// the new one is set.
func (s *Service) ResetLink(ctx context.Context, actor, person string) (link string, err error) {
	const op = "person.link"
	defer s.alter()()
	d := s.dir.Load()
	p := d.People[person]
	if p == nil {
		return "", notFound(op, "person")
	}
	if err := d.mayAdminister(op, actor, agencyOf(person)); err != nil {
		return "", err
	}
	if p.Disabled {
		return "", record.Errorf(record.Stale, op, "%s is disabled", person)
	}
	link, k := s.newCode(codePassword, person, linkLife)
	if err := s.commit(ctx, actor, Access{What: "link made", Person: person, Expires: k.Expires}, store.PutCode{Code: k}); err != nil {
		return "", err
	}
	return link, nil
}

// PasswordLink returns the person whose link it is, so that a page can greet him.
func (s *Service) PasswordLink(ctx context.Context, link string) (*store.Person, error) {
	const op = "password.link"
	k, err := s.code(ctx, op, codePassword, link)
	if err != nil {
		return nil, err
	}
	p := s.dir.Load().People[k.Person]
	if p == nil || p.Disabled {
		return nil, notFound(op, "person")
	}
	return p, nil
}

// UsePasswordLink sets the password of the person whose link it is. The link is used up, and every session of the person
// ends; he signs in with what he has set.
func (s *Service) UsePasswordLink(ctx context.Context, link, password string, from From) (*store.Person, error) {
	const op = "password.link"
	p, err := s.PasswordLink(ctx, link)
	if err != nil {
		return nil, err
	}
	hash, err := s.newPassword(ctx, op, "password", password, p.ID, p.Name)
	if err != nil {
		return nil, err
	}
	defer s.alter()()
	k, err := s.code(ctx, op, codePassword, link) // again: another may have used it meanwhile
	if err != nil {
		return nil, err
	}
	if p = s.dir.Load().People[k.Person]; p == nil || p.Disabled {
		return nil, notFound(op, "person")
	}
	return p, s.commit(ctx, p.ID, Access{What: "password set", Person: p.ID, Method: "link", Address: from.Address},
		store.UseCode{Hash: k.Hash}, store.PutPassword{Person: p.ID, Hash: hash}, store.DropSessions{Person: p.ID}, store.DropCodes{Person: p.ID})
}

// SetPassword sets a person's password from the command line of the node. All his sessions end.
func (s *Service) SetPassword(ctx context.Context, person, password string) error {
	const op = "password.set"
	p := s.dir.Load().People[person]
	if p == nil {
		return notFound(op, "person")
	}
	hash, err := s.newPassword(ctx, op, "password", password, p.ID, p.Name)
	if err != nil {
		return err
	}
	return s.commit(ctx, Node, Access{What: "password set", Person: p.ID}, store.PutPassword{Person: p.ID, Hash: hash},
		store.DropSessions{Person: p.ID}, store.DropCodes{Person: p.ID})
}

// FirstRunNeeded reports whether no agency of this node has an administrator.
func (s *Service) FirstRunNeeded() bool {
	d := s.dir.Load()
	for id, a := range d.Agencies {
		if a.Local && d.administered(id) {
			return false
		}
	}
	return true
}

// FirstRunCode returns a new code for FirstRun, to be shown at the node's own console; "" when there is an
// administrator. The code of an earlier start ends. It is in no ledger, for there may be no agency yet to own the entry.
func (s *Service) FirstRunCode(ctx context.Context) (string, error) {
	defer s.alter()()
	if !s.FirstRunNeeded() {
		return "", nil
	}
	text, k := s.newCode(codeFirstRun, "", 0)
	if err := s.store.SetFirstRunCode(ctx, k); err != nil {
		return "", err
	}
	return text, nil
}

// FirstRun makes the first agency (unless it is there already), its administrator with the role on every desk beside the
// grants that p brings, and signs him in. The person's identifier may leave the agency out.
func (s *Service) FirstRun(ctx context.Context, code string, a store.Agency, p store.Person, password string, from From) (*SignedIn, error) {
	const op = "first-run"
	if !strings.Contains(p.ID, "/") {
		p.ID = a.ID + "/" + p.ID
	}
	if _, err := s.code(ctx, op, codeFirstRun, code); err != nil {
		return nil, err
	}
	hash, err := s.newPassword(ctx, op, "password", password, p.ID, p.Name)
	if err != nil {
		return nil, err
	}
	if err := s.firstRun(ctx, code, a, p, hash, from); err != nil {
		return nil, err
	}
	return s.admit(ctx, s.dir.Load().People[p.ID], codeFirstRun, from)
}

func (s *Service) firstRun(ctx context.Context, code string, a store.Agency, p store.Person, hash string, from From) error {
	const op = "first-run"
	defer s.alter()()
	if !s.FirstRunNeeded() {
		return record.Errorf(record.Stale, op, "this node has an administrator already; sign in")
	}
	k, err := s.code(ctx, op, codeFirstRun, code)
	if err != nil {
		return err
	}
	if agencyOf(p.ID) != a.ID {
		return record.Fields{{Path: "person.id", Code: "invalid", Message: "must be a person of the agency"}}.Err(op)
	}
	d := s.dir.Load()
	ops, access := []store.Op{store.UseCode{Hash: k.Hash}}, Access{}
	if !d.local(a.ID) {
		a.Local = true
		var more []store.Op
		if access, more, err = s.agencyToAdd(ctx, d, &a); err != nil {
			return err
		}
		ops = append(ops, more...)
		d = d.with(more)
	}
	p.Grants = append(slices.Clone(p.Grants), store.Grant{Agency: a.ID, Desk: "*", Role: desk.Administrator})
	p.Created = s.now().UTC()
	person, more, err := d.personToAdd(Node, &p)
	if err != nil {
		return err
	}
	access.What, access.Agency, access.Person, access.Address = "first administrator", a.ID, p.ID, from.Address
	access.Changes = append(access.Changes, person.Changes...)
	return s.commit(ctx, Node, access, append(append(ops, more...), store.PutPassword{Person: p.ID, Hash: hash})...)
}
