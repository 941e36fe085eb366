package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"konbit/record"
	"konbit/store"
)

// MinPassword is the least number of characters of a password, counted after normalisation.
const MinPassword = 10

// maxPassword bounds what is normalised and hashed, in bytes.
const maxPassword = 1024

// HashCost is what one argon2id hash costs (RFC 9106). The zero value means 19 MiB and 2 passes, which the OWASP
// Password Storage Cheat Sheet gives as equal to larger ones, and which a small computer does in well under a second.
type HashCost struct {
	Memory uint32 // KiB
	Passes uint32
}

const (
	keySize    = 32
	saltSize   = 16
	mostMemory = 1 << 18 // KiB; a stored hash that asks for more is taken for corrupt
	mostPasses = 16
)

// hasher computes at most two hashes at a time. One of the two places is kept for those who sign in from where they
// usually do, so that a flood of strangers delays strangers.
type hasher struct {
	cost     HashCost
	anyone   chan struct{}
	trusted  chan struct{}
	waiting  atomic.Int32 // strangers
	stranger string       // a hash that no password fits, so that an unknown name costs the same
}

// maxWaiting bounds the strangers who wait for a place; more are told to come back.
const maxWaiting = 64

func newHasher(c HashCost) (*hasher, error) {
	if c.Memory == 0 {
		c.Memory = 19 * 1024
	}
	if c.Passes == 0 {
		c.Passes = 2
	}
	if c.Memory > mostMemory || c.Passes > mostPasses {
		return nil, fmt.Errorf("account: the cost of a password hash is too high: %d KiB, %d passes", c.Memory, c.Passes)
	}
	h := &hasher{cost: c, anyone: make(chan struct{}, 1), trusted: make(chan struct{}, 1)}
	h.stranger = h.encode(make([]byte, saltSize), make([]byte, keySize))
	return h, nil
}

// place waits until there is room for one more hash and returns what gives it back.
func (h *hasher) place(ctx context.Context, trusted bool) (release func(), err error) {
	own := h.trusted
	if !trusted {
		own = nil
		if h.waiting.Add(1) > maxWaiting {
			h.waiting.Add(-1)
			return nil, tooMany("account.signin", 2*time.Second)
		}
		defer h.waiting.Add(-1)
	}
	select {
	case own <- struct{}{}:
		return func() { <-own }, nil
	case h.anyone <- struct{}{}:
		return func() { <-h.anyone }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *hasher) encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, h.cost.Memory, h.cost.Passes, b64(salt), b64(key))
}

// hash returns a PHC string. The caller holds a place.
func (h *hasher) hash(password string) string {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return h.encode(salt, argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.Memory, 1, keySize))
}

// fits reports whether a normalised password belongs to a PHC string. The caller holds a place.
func fits(phc, password string) (bool, error) {
	var version int
	var memory, passes uint32
	var lanes uint8
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return false, errHash
	}
	if n, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); n != 4 || err != nil {
		return false, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || version != argon2.Version || len(salt) < 8 || len(key) < 16 || len(key) > 64 ||
		memory < 8 || memory > mostMemory || passes < 1 || passes > mostPasses || lanes < 1 || lanes > 4 {
		return false, errHash
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}

var errHash = record.Errorf(record.Corrupt, "account.password", "the stored password cannot be read")

// normal is a password as it is hashed: NFKC, so that one keyboard's é equals another's.
func normal(password string) string { return norm.NFKC.String(password) }

//go:embed common.txt
var commonText string

// checkPassword says what is wrong with a new password of a person with these names.
func checkPassword(path, password string, names ...string) record.Fields {
	var f record.Fields
	if !utf8.ValidString(password) {
		f.Add(path, "utf8", "not valid UTF-8")
		return f
	}
	if len(password) > maxPassword {
		f.Add(path, "max", "at most 1,024 bytes")
		return f
	}
	p := normal(password)
	if utf8.RuneCountInString(p) < MinPassword {
		f.Add(path, "min", fmt.Sprintf("at least %d characters", MinPassword))
		return f
	}
	low := plain(p)
	for _, n := range names {
		_, last, _ := strings.Cut(n, "/")
		if n != "" && (low == plain(n) || last != "" && low == plain(last)) {
			f.Add(path, "name", "must not be your name")
			return f
		}
	}
	first, _ := utf8.DecodeRuneInString(low)
	if strings.Trim(low, string(first)) == "" || strings.Contains(commonText, "\n"+low+"\n") {
		f.Add(path, "common", "many people use this one; choose another")
	}
	return f
}

// plain is a word as it is compared: lower case, without blanks.
func plain(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(normal(s)), ""))
}

// newPassword checks a new password and hashes it.
func (s *Service) newPassword(ctx context.Context, op, path, password string, names ...string) (string, error) {
	if err := checkPassword(path, password, names...).Err(op); err != nil {
		return "", err
	}
	release, err := s.hasher.place(ctx, true)
	if err != nil {
		return "", err
	}
	defer release()
	return s.hasher.hash(normal(password)), nil
}

var errSignIn = record.Errorf(record.Unsigned, "account.signin", "the name or the password is not right")

// SignIn signs a person in by name and password. Wrong names and wrong passwords answer alike, in words and in time;
// when there were too many, the error has code TooMany and a RetryAfter.
func (s *Service) SignIn(ctx context.Context, name, password string, from From) (*SignedIn, error) {
	if len(name) > 200 || len(password) > maxPassword || !utf8.ValidString(name) || !utf8.ValidString(password) {
		return nil, errSignIn
	}
	id, _ := s.dir.Load().Resolve(name)
	a, err := s.checkSecret(ctx, id, password, from)
	if err != nil {
		return nil, err
	}
	p := s.dir.Load().People[id]
	if p == nil || p.Disabled {
		return nil, s.wrong(ctx, a, id, from)
	}
	a.right(s.now())
	return s.admit(ctx, p, "password", from)
}

// checkSecret checks a password under the throttle. What it returns with a nil error is an attempt with the right
// password.
func (s *Service) checkSecret(ctx context.Context, id, password string, from From) (*attempt, error) {
	mark := ""
	if person, m, ok := s.genuine(from.Device); ok && person == id {
		mark = m
	}
	a, wait := s.throttle.begin(s.now(), id, from.Address, mark)
	if wait > 0 {
		return nil, tooMany("account.signin", wait)
	}
	phc, err := s.store.Password(ctx, id)
	if record.CodeOf(err) == record.NotFound {
		phc, err = s.hasher.stranger, nil
	}
	if err != nil {
		a.undo()
		return nil, err
	}
	release, err := s.hasher.place(ctx, a.trusted)
	if err != nil {
		a.undo()
		return nil, err
	}
	ok, err := fits(phc, normal(password))
	release()
	if err != nil {
		a.undo()
		return nil, err
	}
	if !ok {
		return nil, s.wrong(ctx, a, id, from)
	}
	return a, nil
}

// wrong answers a failed attempt, and notes it when it is the one with which waiting begins. A name that is nobody's is
// not written down: it may be a password typed into the wrong field.
func (s *Service) wrong(ctx context.Context, a *attempt, id string, from From) error {
	if a.started {
		note := Access{What: "sign-in slowed", Method: "password", Address: from.Address}
		if s.dir.Load().People[id] != nil {
			note.Person = id
		}
		if err := s.complain(ctx, "slowed "+note.Person, note); err != nil {
			return err
		}
	}
	return errSignIn
}

// ChangePassword sets a person's own password, who proves that he knows the old one. All his other sessions end.
func (s *Service) ChangePassword(ctx context.Context, e *Session, old, password string, from From) error {
	const op = "password.change"
	p := s.dir.Load().People[e.Person]
	if p == nil {
		return notFound(op, "person")
	}
	if err := checkPassword("new", password, p.ID, p.Name).Err(op); err != nil {
		return err
	}
	if len(old) > maxPassword || !utf8.ValidString(old) {
		return errOld
	}
	a, err := s.checkSecret(ctx, p.ID, old, from)
	if err == errSignIn {
		return errOld
	}
	if err != nil {
		return err
	}
	a.right(s.now())
	hash, err := s.newPassword(ctx, op, "new", password)
	if err != nil {
		return err
	}
	return s.commit(ctx, p.ID, Access{What: "password changed", Person: p.ID, Address: from.Address},
		store.PutPassword{Person: p.ID, Hash: hash}, store.DropSessions{Person: p.ID, Except: e.Hash}, store.DropCodes{Person: p.ID})
}

var errOld = &record.Error{Code: record.Invalid, Op: "password.change", Message: "the input is not valid",
	Fields: record.Fields{{Path: "old", Code: "wrong", Message: "this is not your password"}}}
