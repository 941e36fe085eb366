// Package account keeps agencies, people and what they may do, and signs people in: by password, by passkey, through
// an OpenID Connect provider, or, for a program, with a token.
//
// Every change of rights or credentials is an entry in the ledger, committed together with the change; this package
// writes such things only through [Ledger.Note]. What an attacker can cause without knowing a secret (failed attempts,
// half-done ceremonies) never becomes a ledger entry each, is bounded in memory, and can slow a person down but not
// lock him out; DESIGN.md says how.
//
// It must not speak HTTP, hold an agency's private key, or decide what a role allows: that is package policy.
package account

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"konbit/record"
	"konbit/store"
)

// Node is the actor of what is done at the command line of the node's own machine. It may do everything here.
const Node = "node"

// Entry is the type of the ledger entries that this package makes; their content is an [Access].
const Entry = "access"

// Ledger commits one entry together with changes of accounts. Note returns when both are on disk, or neither is.
type Ledger interface {
	Note(ctx context.Context, typ, agency, actor string, content any, ops ...store.Op) (seq int64, err error)
}

// Access is the content of a ledger entry about accounts. It never holds a secret or the hash of one.
type Access struct {
	What       string          `json:"what"`             // "person added", "signed in" ...
	Agency     string          `json:"agency,omitempty"` // whom it is about
	Person     string          `json:"person,omitempty"`
	Method     string          `json:"method,omitempty"` // of a sign-in: password, passkey, oidc:ID, first-run
	ID         string          `json:"id,omitempty"`     // of a session, token or passkey
	Name       string          `json:"name,omitempty"`   // of a token or passkey
	Provider   string          `json:"provider,omitempty"`
	Subject    string          `json:"subject,omitempty"` // at the provider
	Scopes     []string        `json:"scopes,omitempty"`
	Expires    time.Time       `json:"expires,omitzero"`
	Purpose    string          `json:"purpose,omitempty"`
	Address    string          `json:"address,omitempty"` // network address that it came from
	Changes    []record.Change `json:"changes,omitempty"`
	Suppressed int             `json:"suppressed,omitempty"` // like entries that were left out before this one
}

// Config is what a Service needs. Store, Ledger and Now are required.
type Config struct {
	Store  store.Accounts
	Ledger Ledger
	Shared bool // several processes serve this node
	Now    func() time.Time
	Log    *slog.Logger // nil: nothing is logged

	Idle     time.Duration // a session ends when it was not used for so long; 0: 12 h
	Absolute time.Duration // and in any case after so long; 0: 7 days
	Hash     HashCost      // zero: 19 MiB, 2 passes

	Title   string     // what passkeys call this node; "": Konbit
	RPID    string     // domain that passkeys are bound to; "": no passkeys
	Origins []string   // addresses of the console, e.g. "https://node.example"
	OIDC    []Provider // OpenID Connect providers
	URL     string     // the address that a provider sends the browser back to; "": the first of Origins

	// Key returns the public key of an agency that this node is about to serve, made when there was none. Nil: the
	// key comes with the agency.
	Key func(ctx context.Context, agency string) (ed25519.PublicKey, error)
}

// Service holds the directory and the sessions of one node. All methods are safe for concurrent use.
type Service struct {
	cfg    Config
	store  store.Accounts
	ledger Ledger
	now    func() time.Time

	change sync.Mutex // held from reading what a change is based on until the directory shows it
	based  uint64     // epoch of others' changes on which the change under way is based
	turn   sync.Mutex // held while dir is replaced
	others uint64     // how often others have changed it
	dir    atomic.Pointer[Directory]

	sessions cache[Session]
	tokens   cache[Token]
	worn     worn

	throttle *throttle
	starts   *rate // of ceremonies, by address
	notes    *rate // of entries that failures cause
	hasher   *hasher
	device   []byte // secret behind device marks

	passkeys  *webauthn.WebAuthn // nil: not configured
	providers map[string]*provider
}

// New reads the directory and the throttle, and checks the configuration.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Ledger == nil || cfg.Now == nil {
		return nil, errors.New("account: Store, Ledger and Now are required")
	}
	if cfg.Idle == 0 {
		cfg.Idle = 12 * time.Hour
	}
	if cfg.Absolute == 0 {
		cfg.Absolute = 7 * 24 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Title == "" {
		cfg.Title = "Konbit"
	}
	if cfg.URL == "" && len(cfg.Origins) > 0 {
		cfg.URL = cfg.Origins[0]
	}
	s := &Service{cfg: cfg, store: cfg.Store, ledger: cfg.Ledger, now: cfg.Now}
	s.sessions.init(cfg.Shared)
	s.tokens.init(cfg.Shared)
	s.worn.init()
	s.starts = newRate(30, time.Minute)
	s.notes = newRate(3, 10*time.Minute)
	var err error
	if s.hasher, err = newHasher(cfg.Hash); err != nil {
		return nil, err
	}
	if err := s.openPasskeys(); err != nil {
		return nil, err
	}
	if err := s.openProviders(); err != nil {
		return nil, err
	}
	if s.device, err = s.store.Secret(ctx, "device"); err != nil {
		return nil, err
	}
	slowed, known, err := s.store.Throttled(ctx)
	if err != nil {
		return nil, err
	}
	s.throttle = newThrottle(slowed, known)
	return s, s.Reload(ctx)
}

// alter locks out other changes of this process. The caller calls what it returns.
func (s *Service) alter() (end func()) {
	s.change.Lock()
	s.based = s.changedByOthers()
	return s.change.Unlock
}

func (s *Service) changedByOthers() uint64 {
	s.turn.Lock()
	defer s.turn.Unlock()
	return s.others
}

// Reload reads the directory anew and forgets what is cached, for when something else has written accounts. A change
// that is under way, and was based on what stood before, ends as a Conflict.
func (s *Service) Reload(ctx context.Context) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.others++
	return s.reload(ctx)
}

// reload is called with turn held.
func (s *Service) reload(ctx context.Context) error {
	agencies, people, err := s.store.People(ctx)
	if err != nil {
		return err
	}
	var epoch uint64
	if d := s.dir.Load(); d != nil {
		epoch = d.Epoch
	}
	s.dir.Store(newDirectory(epoch+1, agencies, people))
	s.sessions.drop(func(*Session) bool { return true })
	s.tokens.drop(func(*Token) bool { return true })
	return nil
}

// Run saves what collects in memory and sweeps out what has expired, until ctx ends; then it saves a last time.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return s.Flush(last)
		case <-tick.C:
		}
		err := s.Flush(ctx)
		if err == nil && n%40 == 0 {
			err = s.Sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("account: saving what collects in memory failed", "err", err)
		}
	}
}

// Flush saves last use of sessions and tokens, failures, and known addresses.
func (s *Service) Flush(ctx context.Context) error {
	sessions, tokens := s.worn.take()
	slowed, known := s.throttle.take()
	err := s.store.SaveAccess(ctx, sessions, tokens, slowed, known)
	if err != nil {
		s.worn.back(sessions, tokens)
		s.throttle.back(slowed, known)
	}
	return err
}

// Sweep removes what has expired.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now()
	s.throttle.sweep(now)
	return s.store.SweepAccess(ctx, now, now.Add(-s.cfg.Absolute), now.Add(-s.cfg.Idle), now.Add(-forget), now.Add(-remember))
}

// commit writes the entry and the changes, and makes memory show them.
func (s *Service) commit(ctx context.Context, actor string, a Access, ops ...store.Op) error {
	about := a.Agency
	if about == "" {
		about = agencyOf(a.Person)
	}
	for _, op := range ops {
		if o, ok := op.(store.PutAgency); ok && o.Agency.Local {
			about = o.Agency.ID
		}
	}
	// Once handed over, the change may happen whatever becomes of the caller, so we wait for the answer.
	ctx = context.WithoutCancel(ctx)
	rests := slices.ContainsFunc(ops, store.Rests)
	if rests && s.changedByOthers() != s.based {
		return record.Errorf(record.Conflict, "account", "somebody else has changed agencies or people in this moment; look again, and try again")
	}
	if _, err := s.ledger.Note(ctx, Entry, s.house(about, actor, ops), actor, a, ops...); err != nil {
		return err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if rests && s.others != s.based { // what they changed may be newer than this
		return s.reload(ctx)
	}
	s.show(ops)
	return nil
}

// house picks the agency whose entry it is: the one concerned if this node serves it, else the actor's, else the first.
func (s *Service) house(about, actor string, ops []store.Op) string {
	d := s.dir.Load()
	for _, op := range ops {
		if o, ok := op.(store.PutAgency); ok && o.Agency.Local && o.Agency.ID == about {
			return about
		}
	}
	first := ""
	for _, id := range []string{about, agencyOf(actor)} {
		if a := d.Agencies[id]; a != nil && a.Local {
			return id
		}
	}
	for id, a := range d.Agencies {
		if a.Local && (first == "" || id < first) {
			first = id
		}
	}
	if first == "" {
		return about
	}
	return first
}

// show makes directory and caches say what has been committed. It is called with turn held.
func (s *Service) show(ops []store.Op) {
	next := s.dir.Load().with(ops)
	if next != nil {
		s.dir.Store(next)
	}
	for _, op := range ops {
		switch op := op.(type) {
		case store.PutSession:
			s.sessions.forget(op.Session.Hash)
		case store.SetPurpose:
			s.sessions.forget(op.Hash)
		case store.DropSession:
			s.sessions.forget(op.Hash)
		case store.DropSessions:
			s.sessions.drop(func(e *Session) bool { return e.Person == op.Person && e.Hash != op.Except })
		case store.PutToken:
			s.tokens.forget(op.Token.Hash)
		case store.DropToken:
			s.tokens.drop(func(t *Token) bool { return t.ID == op.ID })
		}
	}
}

// complain notes something that a stranger can cause, a few times in ten minutes for each key and for all together, so
// that a flood of failures is no flood of entries.
func (s *Service) complain(ctx context.Context, key string, a Access) error {
	now := s.now()
	if !s.notes.allow(now, key) {
		return nil
	}
	a.Suppressed = s.notes.refused(key)
	return s.commit(ctx, Node, a)
}

// slow is the cause of an error with code TooMany: how long to wait.
type slow time.Duration

func (d slow) Error() string { return "slowed for " + time.Duration(d).String() }

func tooMany(op string, wait time.Duration) error {
	return &record.Error{Code: record.TooMany, Op: op, Message: "too many attempts; wait a moment and try again", Err: slow(wait)}
}

// RetryAfter returns how long the caller should wait before trying again, for an error with code TooMany.
func RetryAfter(err error) (time.Duration, bool) {
	var d slow
	if !errors.As(err, &d) {
		return 0, false
	}
	return time.Duration(d), true
}

func notFound(op, what string) error {
	return record.Errorf(record.NotFound, op, "there is no such %s", what)
}
