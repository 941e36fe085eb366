package trust

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// Keys is what the exchange needs of the node's keys; node.Keys has it.
type Keys interface {
	Name() string                          // the node's name, origin of its ledger
	Ledger() string                        // vkey of its checkpoints
	Sign() ed25519.PrivateKey              // the link key in force
	Signers() []ed25519.PrivateKey         // those that sign a card: the one in force first, then lately retired ones
	OldSign() []OldKey                     // retired link keys
	Recipient() string                     // the seal key in force
	Identities() []age.Identity            // all seal keys, newest first
	Key(agency string) ed25519.PrivateKey  // an agency's key in force, nil: not served here
	OldKeys(agency string) []OldKey        // its retired keys
	Region(name string) ed25519.PrivateKey // a region's founding key, nil: not founded here
	MakeRegion(name string) (ed25519.PublicKey, error)
	RotateSign(overlap time.Duration) error // a new link key
	RotateSeal() error
	RotateAgency(agency string, until time.Time) (ed25519.PublicKey, error)
}

// Ledger is where trust writes what it changes; intake.Intake has it.
type Ledger interface {
	Note(ctx context.Context, typ, agency, actor string, content any, ops ...store.Op) (int64, error)
}

// Config is what a Service needs.
type Config struct {
	Store interface {
		store.Store
		store.Peers
	}
	Ledger Ledger
	Keys   Keys
	Title  string
	URLs   []string                        // of this node
	Reload func(ctx context.Context) error // of the accounts' directory, after agencies changed
	Client *http.Client                    // for joining; nil: a plain one
	Now    func() time.Time
	Log    *slog.Logger
}

// Service is who we know, and how far we trust whom. Make it with NewService. All
// methods are safe for concurrent use. Whether a person may do what he asks for is
// for the caller; actor is written into the ledger.
//
// What it returns is shared: callers MUST NOT change it.
type Service struct {
	cfg    Config
	client *http.Client
	limit  *limiter

	change sync.Mutex // held by whoever changes anything
	memory memory     // under change
	now    atomic.Pointer[view]
	left   atomic.Pointer[[]string] // what was left out of the directory

	mu      sync.Mutex
	changed chan struct{}
	told    chan struct{} // buffered: accounts have changed agencies
}

// NewService reads what is known, finishes what was cut off, and makes this
// node's card.
func NewService(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: time.Minute}
	}
	if cfg.Title = tidy(cfg.Title, 200); cfg.Title == "" {
		cfg.Title = "Konbit"
	}
	cfg.URLs = slices.Clone(cfg.URLs)
	for i, u := range cfg.URLs {
		if why := checkURL(u); why != "" {
			return nil, record.Errorf(record.Invalid, "trust", "the address %.100q of this node %s", u, why)
		}
		cfg.URLs[i] = strings.TrimRight(u, "/")
	}
	s := &Service{cfg: cfg, client: cfg.Client, limit: newLimiter(cfg.Now), changed: make(chan struct{}), told: make(chan struct{}, 1)}
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.memory.load(ctx, cfg.Store); err != nil {
		return nil, err
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if err := s.finishRotations(ctx); err != nil {
		return nil, err
	}
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	return s, s.reapply(ctx)
}

// AgenciesChanged says that somebody else has changed agencies; Run then makes our
// card anew, and Changed tells. It does not block and holds no lock, so it may be called
// from within the change.
func (s *Service) AgenciesChanged() {
	select {
	case s.told <- struct{}{}:
	default:
	}
}

// Run follows what accounts change, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.told:
		}
		if _, err := s.SelfCard(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("trust: our card could not be made anew", "error", err)
		}
	}
}

// A view is what is known at one moment. It is never changed.
type view struct {
	self     *store.Node
	nodes    []*store.Node          // by title
	named    map[string]*store.Node // by name, and by short name
	agencies map[string]store.Agency
	dir      *SignedDirectory // nil: none
}

// load reads nodes, agencies and directory from the store and publishes them.
func (s *Service) load(ctx context.Context) error {
	nodes, err := s.cfg.Store.KnownNodes(ctx)
	if err != nil {
		return err
	}
	agencies, _, err := s.cfg.Store.People(ctx)
	if err != nil {
		return err
	}
	v := &view{named: map[string]*store.Node{}, agencies: map[string]store.Agency{}}
	for i := range nodes {
		n := &nodes[i]
		v.nodes = append(v.nodes, n)
		v.named[n.Name], v.named[Short(n.Name)] = n, n
	}
	slices.SortFunc(v.nodes, func(a, b *store.Node) int { return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Name, b.Name)) })
	for _, a := range agencies {
		v.agencies[a.ID] = a
	}
	v.dir = s.memory.dir
	old := s.now.Load()
	if old != nil {
		v.self = old.self
	}
	if old == nil || !old.same(v) {
		s.publish(v)
	}
	return nil
}

// begin locks out other changes and reads what accounts have changed meanwhile.
// The caller calls end, whatever begin says.
func (s *Service) begin(ctx context.Context) (end func(), err error) {
	s.change.Lock()
	return s.change.Unlock, s.load(ctx)
}

// same reports whether two views show the same; self is not looked at.
func (v *view) same(o *view) bool {
	return v.dir == o.dir && slices.EqualFunc(v.nodes, o.nodes, func(a, b *store.Node) bool { return plain(*a) == plain(*b) }) &&
		maps.EqualFunc(v.agencies, o.agencies, func(a, b store.Agency) bool { return plain(a) == plain(b) })
}

func (s *Service) publish(v *view) {
	s.now.Store(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change of nodes, agencies,
// memberships, or of our own card.
func (s *Service) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Self is this node, as it shows itself to others.
func (s *Service) Self() *store.Node { return s.now.Load().self }

// Node returns another node by its name or short name, nil when it is not known.
func (s *Service) Node(name string) *store.Node { return s.now.Load().named[name] }

// Nodes returns all other nodes that were ever known, by title.
func (s *Service) Nodes() []*store.Node { return slices.Clone(s.now.Load().nodes) }

// Active returns those with which records are exchanged, by title.
func (s *Service) Active() []*store.Node {
	var out []*store.Node
	for _, n := range s.now.Load().nodes {
		if n.State == store.NodeActive {
			out = append(out, n)
		}
	}
	return out
}

// NodeOf returns the name of the node that serves an agency: our own for ours,
// "" when none is known. Whether that node is active is another question.
func (s *Service) NodeOf(agency string) string {
	v := s.now.Load()
	a := v.agencies[agency]
	if a.Local {
		return v.self.Name
	}
	return a.Node
}

// SignKey returns the link key with which a node signed something at a time; nil
// unless the node is active, or we are it, and the key counts. A key that was
// replaced counts for what was signed before its end, and only until then: the time
// is the signer's word, and who stole a key would put an earlier one. What comes
// later is not receipted, so it is sent again under the new key. The zero time finds
// a key whether or not it counts any longer, to tell a forgery from a retired key.
func (s *Service) SignKey(node, keyID string, at time.Time) ed25519.PublicKey {
	v := s.now.Load()
	n := v.named[node]
	if node == v.self.Name {
		n = v.self
	}
	if n == nil || n.State != store.NodeActive {
		return nil
	}
	if ledger.KeyID(n.Sign) == keyID {
		return n.Sign
	}
	now := s.cfg.Now()
	for _, o := range n.OldSign {
		if ledger.KeyID(o.Key) == keyID && (at.IsZero() || at.Before(o.Until) && now.Before(o.Until)) {
			return o.Key
		}
	}
	return nil
}

// An Entry is the content of the ledger entries of type "access" that tell of a
// change of trust.
type Entry struct {
	What        string                `json:"what"` // "node approved"
	Node        string                `json:"node,omitempty"`
	Title       string                `json:"title,omitempty"`
	Fingerprint string                `json:"fingerprint,omitempty"` // as it was compared
	Agency      string                `json:"agency,omitempty"`
	Communities map[string]Membership `json:"communities,omitempty"`
	Region      string                `json:"region,omitempty"`
	Serial      int64                 `json:"serial,omitempty"` // of card or directory
	URLs        []string              `json:"urls,omitempty"`
	Via         string                `json:"via,omitempty"`
	Caps        []store.Cap           `json:"caps,omitempty"`
	Why         string                `json:"why,omitempty"`
	Problems    []string              `json:"problems,omitempty"` // what was left out, and why
}

// nobody is the actor of what no person has asked for.
const nobody = "node"

// commit writes the entry with its changes and shows them. What was handed over
// may happen whatever becomes of the caller, so it waits for the answer.
func (s *Service) commit(ctx context.Context, actor string, e Entry, ops ...store.Op) error {
	ctx = context.WithoutCancel(ctx)
	if _, err := s.cfg.Ledger.Note(ctx, "access", s.house(actor), actor, e, ops...); err != nil {
		return err
	}
	reload := slices.ContainsFunc(ops, func(op store.Op) bool { _, ok := op.(store.PutAgency); return ok })
	if reload && s.cfg.Reload != nil {
		if err := s.cfg.Reload(ctx); err != nil {
			return err
		}
	}
	return s.load(ctx)
}

// house picks the agency whose entry it is: the actor's when this node serves it,
// else the first.
func (s *Service) house(actor string) string {
	v := s.now.Load()
	own, _, _ := strings.Cut(actor, "/")
	if v.agencies[own].Local {
		return own
	}
	first := ""
	for id, a := range v.agencies {
		if a.Local && (first == "" || id < first) {
			first = id
		}
	}
	return first
}

// node returns a node that is known, or says that it is not.
func (s *Service) node(op, name string) (*store.Node, error) {
	if n := s.now.Load().named[name]; n != nil {
		return n, nil
	}
	return nil, record.Errorf(record.NotFound, op, "no node %.100q is known here", name)
}

// tidy makes words such that a document may hold them.
func tidy(s string, most int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if hidden(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if r := []rune(s); len(r) > most {
		s = strings.TrimSpace(string(r[:most]))
	}
	return s
}
