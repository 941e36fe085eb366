// Package query is the only way to read records for a person or a peer. The
// reader's rights are compiled to sets of marking numbers that go into the SQL,
// so that nothing is filtered afterwards: a list, a count, a facet, a map or a
// "next" link shows exactly what a single read would allow.
package query

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"sort"
	"strings"
	"sync"
	"time"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Directory is what query asks about agencies, as they are today.
type Directory interface {
	Communities(agency string) []string
	Agencies() []string       // all that are known, sorted
	Local(agency string) bool // served by this node

	// Key returns the public key with which an agency signed what it recorded at
	// a time, nil when the key id names none that counted then.
	Key(agency, keyID string, at time.Time) ed25519.PublicKey
}

// Looker writes looks to the ledger. See intake.Looked.
type Looker func(ctx context.Context, looks []Look) error

// Look is one person's look at one version of a record.
type Look struct {
	Reader  *policy.Reader
	Record  record.ID
	Kind    string
	Owner   string
	Version int
	How     string
}

// Records reads records for persons. Make it with New.
type Records struct {
	store  store.Store
	desks  *desk.Set
	dir    Directory
	look   Looker
	now    func() time.Time
	seal   *sealer
	looked recent
	mu     sync.RWMutex
	marks  []*store.Marking          // by N-1
	sights map[string]*compiledSight // by reader
}

// New makes a Records. key is 32 secret bytes that seal cursors; look may be
// nil only in tests that do not ask who looked.
func New(s store.Store, desks *desk.Set, dir Directory, look Looker, now func() time.Time, key []byte) *Records {
	return &Records{store: s, desks: desks, dir: dir, look: look, now: now, seal: newSealer(key), sights: map[string]*compiledSight{}, looked: recent{at: map[string]time.Time{}}}
}

// compiledSight is a reader's rights over the markings 1 to upTo. Protected
// ones carry a caveat for which he is cleared.
type compiledSight struct {
	upTo                     int
	epoch                    uint64
	own, foreign             []int64
	ownProtected, forProtect []int64
}

// maxSights bounds the compiled rights that are kept.
const maxSights = 2000

// Markings refreshes and returns all markings. The slice must not be changed.
func (q *Records) markings(ctx context.Context) ([]*store.Marking, error) {
	q.mu.RLock()
	n := len(q.marks)
	q.mu.RUnlock()
	var more []*store.Marking
	if err := q.store.Markings(ctx, int64(n), func(m *store.Marking) error { more = append(more, m); return nil }); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range more {
		if int(m.N) == len(q.marks)+1 {
			q.marks = append(q.marks, m)
		}
	}
	return q.marks, nil
}

// Marking returns an interned marking by number, nil when there is none.
func (q *Records) Marking(ctx context.Context, n int64) (*store.Marking, error) {
	q.mu.RLock()
	ok := n >= 1 && int(n) <= len(q.marks)
	var m *store.Marking
	if ok {
		m = q.marks[n-1]
	}
	q.mu.RUnlock()
	if ok || n < 1 {
		return m, nil
	}
	all, err := q.markings(ctx)
	if err != nil || int(n) > len(all) {
		return nil, err
	}
	return all[n-1], nil
}

// Sight compiles what the reader may see of each kind. NeedsPurpose reports
// that saying a purpose would show more.
func (q *Records) Sight(ctx context.Context, r *policy.Reader, kinds []string) (sight map[string]*store.Sight, needsPurpose bool, err error) {
	all, err := q.markings(ctx)
	if err != nil {
		return nil, false, err
	}
	c := q.compile(r, all)
	sight = map[string]*store.Sight{}
	for _, name := range kinds {
		k := q.desks.Kind(name)
		if !r.CanRead(k) {
			continue
		}
		if k.Purpose && r.Purpose == "" {
			sight[name] = &store.Sight{Own: c.own, Foreign: c.foreign}
			needsPurpose = needsPurpose || len(c.ownProtected)+len(c.forProtect) > 0
		} else {
			sight[name] = &store.Sight{Own: join(c.own, c.ownProtected), Foreign: join(c.foreign, c.forProtect)}
		}
	}
	return sight, needsPurpose, nil
}

func join(a, b []int64) []int64 {
	if len(b) == 0 {
		return a
	}
	out := make([]int64, 0, len(a)+len(b))
	return append(append(out, a...), b...)
}

func (q *Records) compile(r *policy.Reader, all []*store.Marking) *compiledSight {
	clear := append([]string(nil), r.Clearances...)
	sort.Strings(clear)
	key := r.Person + "\n" + r.Agency + "\n" + strings.Join(clear, " ") + "\n" + strings.Join(r.Communities, " ")
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.sights[key]
	if c == nil || c.epoch != r.Epoch {
		if len(q.sights) >= maxSights {
			q.sights = map[string]*compiledSight{}
		}
		c = &compiledSight{epoch: r.Epoch}
	}
	if c.upTo >= len(all) { // another call has seen more markings since
		return c
	}
	n := *c // others may be reading c's slices: grow a copy
	for _, m := range all[c.upTo:] {
		if !r.Audience(m.Owner, q.dir.Communities(m.Owner), &m.Marking) || !cleared(r, m.Caveats) {
			continue
		}
		own, protected := m.Owner == r.Agency, len(m.Caveats) > 0
		switch {
		case own && protected:
			n.ownProtected = grow(n.ownProtected, m.N)
		case own:
			n.own = grow(n.own, m.N)
		case protected:
			n.forProtect = grow(n.forProtect, m.N)
		default:
			n.foreign = grow(n.foreign, m.N)
		}
	}
	n.upTo = len(all)
	q.sights[key] = &n
	return &n
}

func grow(s []int64, n int64) []int64 { return append(s[:len(s):len(s)], n) }

func cleared(r *policy.Reader, caveats []string) bool {
	for _, c := range caveats {
		ok := false
		for _, h := range r.Clearances {
			ok = ok || h == c
		}
		if !ok {
			return false
		}
	}
	return true
}

// Verdict applies the rule to one record.
func (q *Records) Verdict(r *policy.Reader, rec *record.Record) policy.Verdict {
	return r.Sees(q.desks.Kind(rec.Kind), rec.Owner, q.dir.Communities(rec.Owner), &rec.Marking, q.now())
}

// Get returns the newest version of a record and writes the look to the ledger:
// before it answers when the record is protected, soon after otherwise.
func (q *Records) Get(ctx context.Context, r *policy.Reader, kind string, id record.ID, how string) (*store.Stored, error) {
	s, err := q.peek(ctx, r, kind, id)
	if err != nil {
		return nil, err
	}
	return s, q.Looked(ctx, r, how, s.Record)
}

// peek is Get without the look.
func (q *Records) peek(ctx context.Context, r *policy.Reader, kind string, id record.ID) (*store.Stored, error) {
	op := kind + ".get"
	k := q.desks.Kind(kind)
	if k == nil {
		return nil, record.Errorf(record.NotFound, op, "there is no kind %.60q", kind)
	}
	if r.Person == "" {
		return nil, record.Errorf(record.Unsigned, op, "sign in first")
	}
	hidden := record.Errorf(record.NotFound, op, "there is no such record, or you may not see it")
	s, err := q.store.Get(ctx, id)
	if err != nil {
		if record.CodeOf(err) == record.NotFound {
			return nil, hidden
		}
		return nil, err
	}
	if s.Record.Kind != kind {
		return nil, hidden
	}
	switch q.Verdict(r, s.Record) {
	case policy.Visible:
		return s, nil
	case policy.NeedsPurpose:
		return nil, record.Errorf(record.NeedPurpose, op, "this record is protected: say why you open it")
	}
	return nil, hidden
}

// Looked writes that the reader saw these records. A repeat within a minute is
// the same look.
func (q *Records) Looked(ctx context.Context, r *policy.Reader, how string, recs ...*record.Record) error {
	if q.look == nil {
		return nil
	}
	now := q.now()
	var urgent, later []Look
	var keys []string // of urgent
	for _, rec := range recs {
		protected := len(rec.Marking.Caveats) > 0
		if !protected && how == "list" {
			continue
		}
		key := fmt.Sprintf("%s|%s|%d|%s|%s", r.Person, rec.ID, rec.Version, how, r.Purpose)
		if q.looked.has(key, now) {
			continue
		}
		l := Look{r, rec.ID, rec.Kind, rec.Owner, rec.Version, how}
		if protected {
			urgent, keys = append(urgent, l), append(keys, key)
		} else {
			q.looked.put(now, key)
			later = append(later, l)
		}
	}
	if len(later) > 0 {
		// The answer does not wait for the disk, but it is written before the
		// node stops: intake finishes what it was given.
		go q.look(context.WithoutCancel(ctx), later)
	}
	if len(urgent) == 0 {
		return nil
	}
	if err := q.look(ctx, urgent); err != nil {
		return err
	}
	q.looked.put(now, keys...) // only now: who looks at once again waits for a look of his own
	return nil
}

// recent remembers looks for a minute.
type recent struct {
	sync.Mutex
	at map[string]time.Time
}

func (r *recent) has(key string, now time.Time) bool {
	r.Lock()
	defer r.Unlock()
	t, ok := r.at[key]
	return ok && now.Sub(t) < time.Minute && !now.Before(t)
}

func (r *recent) put(now time.Time, keys ...string) {
	r.Lock()
	defer r.Unlock()
	if len(r.at) > 10_000 {
		maps.DeleteFunc(r.at, func(_ string, t time.Time) bool { return now.Sub(t) > time.Minute })
		if len(r.at) > 50_000 {
			clear(r.at)
		}
	}
	for _, k := range keys {
		r.at[k] = now
	}
}

// Directory returns the directory that rights are compiled with.
func (q *Records) Directory() Directory { return q.dir }
