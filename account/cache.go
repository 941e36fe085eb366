package account

import (
	"sync"
	"sync/atomic"
	"time"
)

// fresh is how long a cached session or token is believed without asking the store again. Changes made by this process
// show at once. Where several processes serve one node nothing is believed: who changes his agency at one of them
// and asks the next question at another must be answered as what he is now.
const fresh = 5 * time.Second

// shards of a cache, and the entries that one may hold.
const (
	shards   = 64
	perShard = 1024
)

// cache holds what is asked for with every request, by the hash of the secret. A lookup takes a read lock on one of 64
// parts for as long as a map access.
type cache[T any] struct {
	fresh time.Duration
	shard [shards]shard[T]
}

type shard[T any] struct {
	mu  sync.RWMutex
	m   map[[32]byte]*cached[T]
	gen uint64 // grows with each removal: what was read from the store before may be out of date
	_   [24]byte
}

type cached[T any] struct {
	v    *T
	till time.Time
	seen atomic.Int64 // nanoseconds since 1970 of the last use that was put down to be saved
}

func (c *cache[T]) init(shared bool) {
	if c.fresh = fresh; shared {
		c.fresh = 0
	}
	for i := range c.shard {
		c.shard[i].m = map[[32]byte]*cached[T]{}
	}
}

func (c *cache[T]) at(h *[32]byte) *shard[T] { return &c.shard[h[0]%shards] }

// get returns the entry, nil when there is none or it is too old to be believed, and the generation for put.
func (c *cache[T]) get(h *[32]byte, now time.Time) (*cached[T], uint64) {
	s := c.at(h)
	s.mu.RLock()
	e, gen := s.m[*h], s.gen
	s.mu.RUnlock()
	if e == nil || c.fresh == 0 || now.After(e.till) || now.Before(e.till.Add(-c.fresh)) {
		return nil, gen
	}
	return e, gen
}

// put keeps v, which was read from the store after get returned gen, unless something was removed meanwhile.
func (c *cache[T]) put(h *[32]byte, gen uint64, v *T, seen, now time.Time) *cached[T] {
	e := &cached[T]{v: v, till: now.Add(c.fresh)}
	e.seen.Store(seen.UnixNano())
	s := c.at(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.m[*h]; old != nil && old.seen.Load() > e.seen.Load() {
		e.seen.Store(old.seen.Load())
	}
	if s.gen != gen {
		return e
	}
	if len(s.m) >= perShard {
		s.evict(now)
	}
	s.m[*h] = e
	return e
}

// evict makes room: what is no longer fresh goes, or else any one. The caller holds the lock.
func (s *shard[T]) evict(now time.Time) {
	for h, e := range s.m {
		if now.After(e.till) {
			delete(s.m, h)
		}
	}
	for h := range s.m {
		if len(s.m) < perShard*3/4 {
			return
		}
		delete(s.m, h)
	}
}

func (c *cache[T]) forget(h [32]byte) {
	s := c.at(&h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	delete(s.m, h)
}

// drop removes every entry of which gone says so.
func (c *cache[T]) drop(gone func(*T) bool) {
	for i := range c.shard {
		s := &c.shard[i]
		s.mu.Lock()
		s.gen++
		for h, e := range s.m {
			if gone(e.v) {
				delete(s.m, h)
			}
		}
		s.mu.Unlock()
	}
}

// touch reports whether a use at now should be put down: at most one a minute is.
func (e *cached[T]) touch(now time.Time) bool {
	seen := e.seen.Load()
	return now.UnixNano()-seen >= int64(time.Minute) && e.seen.CompareAndSwap(seen, now.UnixNano())
}

// worn collects uses until they are saved together.
type worn struct {
	mu       sync.Mutex
	sessions map[[32]byte]time.Time
	tokens   map[[32]byte]time.Time
}

func (w *worn) init() { w.sessions, w.tokens = map[[32]byte]time.Time{}, map[[32]byte]time.Time{} }

func (w *worn) session(h [32]byte, t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[h] = t
}

func (w *worn) token(h [32]byte, t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens[h] = t
}

// sessionSeen returns a use that is not saved yet.
func (w *worn) sessionSeen(h [32]byte) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[h]
}

func (w *worn) take() (sessions, tokens map[[32]byte]time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sessions, tokens = w.sessions, w.tokens
	w.init()
	return sessions, tokens
}

// back returns what could not be saved.
func (w *worn) back(sessions, tokens map[[32]byte]time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h, t := range sessions {
		if w.sessions[h].Before(t) {
			w.sessions[h] = t
		}
	}
	for h, t := range tokens {
		if w.tokens[h].Before(t) {
			w.tokens[h] = t
		}
	}
}
