// Package question asks other nodes whether they hold anything about a plate, a
// passport, a firearm, a telephone or a vessel, without telling those who hold
// nothing what was asked: hit or no hit. What a hit means is asked of the owner
// afterwards, in a record, and the owner decides.
//
// It is an oblivious pseudo-random function (RFC 9497, mode VOPRF) over a list
// that each node makes of the identifiers of its own records. DESIGN.md tells what
// this hides and what it does not. The package must not read foreign records, and
// must not write a value that was asked about into a ledger or a log.
package question

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// Limits bound how often identifiers are asked about: at the holder by asking
// node, at the asker by agency. Each identifier counts.
type Limits struct {
	Minute int
	Day    int
}

// DefaultLimits leave room for people, not for trying out all telephones.
var DefaultLimits = Limits{Minute: 60, Day: 1000}

// Silent are the handling caveats whose records never admit a hit, and neither
// does what is RED: that there is a record is already what must not be told of a
// source, a patient or a report about somebody's money. Records about victims and
// juveniles do: a trafficked child's passport is what a border post should ask
// about, and more than the hit only the owner tells.
var Silent = []string{"source", "medical", "financial"}

// Nodes is whom can be asked; trust.Service has it.
type Nodes interface {
	Active() []*store.Node
	Node(name string) *store.Node // by name or short name; nil: not known
}

// Directory says which agencies this node serves.
type Directory interface {
	Agencies() []string
	Local(agency string) bool
}

// Ledger is where questions are written down; intake.Intake has it.
type Ledger interface {
	Note(ctx context.Context, typ, agency, actor string, content any, ops ...store.Op) (int64, error)
	Grown() (size int64, grown <-chan struct{})
}

// Config is what a Service needs. All but Told, Country, Limits and Log is required.
type Config struct {
	Store     store.Store
	Desks     *desk.Set
	Directory Directory
	Ledger    Ledger
	Nodes     Nodes
	Send      func(node string, items ...bundle.Item) // words that may be lost
	Told      func(agency string, q *Question)        // an answer has changed; must not wait for anything
	Country   string                                  // of telephones without a country, where the agency's name tells none: "ht"
	Limits    Limits
	Now       func() time.Time
	Log       *slog.Logger
}

// Service asks and answers. Make it with New, give Words to the exchange, run it
// with Run. Its methods are safe for concurrent use.
type Service struct {
	cfg   Config
	key   *key
	asked []desk.Asked

	own      ownSet
	answered recent
	theirs   limiter // by asking node
	lists    limiter // by asking node: requests for the list
	refusals limiter // by asking node: refusals that are written down
	holding  chan job
	line     line

	ours   limiter // by agency
	asking chan job
	mu     sync.Mutex
	rings  map[string][]*asked    // by agency, newest first; nil: not read yet
	sets   map[string]*heldSet    // by node
	builds map[string]*collecting // by node
}

// job is a word that waits to be worked on.
type job struct {
	do   func(ctx context.Context, from *store.Node, payload []byte)
	from *store.Node
	it   bundle.Item
}

// New makes a Service. It answers when Run runs.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	secret, err := cfg.Store.Secret(ctx, "oprf")
	if err != nil {
		return nil, err
	}
	k, err := newKey(secret)
	if err != nil {
		return nil, fmt.Errorf("question: key: %w", err)
	}
	return &Service{
		cfg: cfg, key: k, asked: cfg.Desks.Asked(),
		own:      ownSet{live: map[record.ID]*entry{}, seen: -1, moved: make(chan struct{}), dummy: sha256.Sum256(append([]byte("konbit question dummies\n"), secret...))},
		theirs:   limiter{limits: cfg.Limits},
		lists:    limiter{limits: Limits{Minute: 60, Day: 5000}},
		refusals: limiter{limits: Limits{Minute: 1, Day: 100}},
		holding:  make(chan job, 1024),
		ours:     limiter{limits: cfg.Limits},
		asking:   make(chan job, 1024),
		rings:    map[string][]*asked{}, sets: map[string]*heldSet{}, builds: map[string]*collecting{},
	}, nil
}

// Types lists the sorts of identifiers that can be asked about, with their labels.
func (s *Service) Types() []desk.Asked { return s.asked }

// The topics of the words.
const (
	topicAsk    = "question.ask"       // to a holder: blinded identifiers, purpose, who asks
	topicAnswer = "question.evaluated" // to an asker: what the holder's function makes of them
	topicWant   = "question.want"      // to a holder: what parts of its list the asker has
	topicList   = "question.list"      // to an asker: parts of the list
)

// Words is what the exchange does with the words of this package, by topic. A word
// is only taken in: Run works on it.
func (s *Service) Words() map[string]func(ctx context.Context, from *store.Node, it bundle.Item) error {
	take := func(queue chan job, do func(context.Context, *store.Node, []byte)) func(context.Context, *store.Node, bundle.Item) error {
		return func(_ context.Context, from *store.Node, it bundle.Item) error {
			if len(it.Payload) > mostWord {
				return record.Errorf(record.TooLarge, "question.oversized", "a word about a question has %d bytes and may have %d", len(it.Payload), mostWord)
			}
			if !s.line.enter(from.Name) {
				return record.Errorf(record.TooMany, "question.flood", "%s asks more at once than can wait", from.Title)
			}
			select {
			case queue <- job{do, from, it}:
			default: // it may be lost: the asker says it again
				s.line.leave(from.Name)
				s.cfg.Log.Debug("too many questions at once", "node", from.Name)
			}
			return nil
		}
	}
	return map[string]func(context.Context, *store.Node, bundle.Item) error{
		topicAsk: take(s.holding, s.onAsk), topicWant: take(s.holding, s.onWant),
		topicAnswer: take(s.asking, s.onAnswer), topicList: take(s.asking, s.onList),
	}
}

// A word may have so many bytes, and so many of one node wait, so that what waits is
// bounded and no node stands before all others.
const (
	mostWord = 96 << 10
	mostWait = 256
)

// line counts what waits, by node.
type line struct {
	mu sync.Mutex
	of map[string]int
}

func (l *line) enter(node string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]int{}
	}
	if l.of[node] >= mostWait {
		return false
	}
	l.of[node]++
	return true
}

func (l *line) leave(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[node]--; l.of[node] <= 0 {
		delete(l.of, node)
	}
}

// answerers is how many questions are answered at once, so that their entries
// share a commit.
const answerers = 8

// Run makes the list of our identifiers, follows the ledger with it, works on
// words, and asks again what was not answered. It ends with ctx.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for range answerers {
		wg.Go(func() { s.work(ctx, s.holding) })
	}
	wg.Go(func() { s.work(ctx, s.asking) })
	wg.Go(func() { s.again(ctx) })
	return s.follow(ctx)
}

func (s *Service) work(ctx context.Context, queue chan job) {
	for {
		select {
		case j := <-queue:
			s.line.leave(j.from.Name)
			j.do(ctx, j.from, j.it.Payload)
		case <-ctx.Done():
			return
		}
	}
}

// again asks anew what nobody answered, from time to time.
func (s *Service) again(ctx context.Context) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		s.retry(ctx, "")
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Linked says that a link to a node is up: what waits for it is asked again at once.
func (s *Service) Linked(ctx context.Context, node string) { s.retry(ctx, node) }
