package account

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"konbit/store"
)

// The throttle slows guessing down. A failure counts against the pair of name and address, and against the address;
// after a few free ones each further attempt has to wait 1, 2, 4 ... seconds after the one before, never more than
// longest. Attempts that come too early are refused unread and count for nothing, so the wait does not grow by
// knocking.
//
// What keeps a person from being locked out by others: the pair counts only his own address; an address from which he
// has signed in before, and a browser that carries a device mark of his, are not held back by what others do there;
// and a device mark has a count of its own.
const (
	longest     = 30 * time.Second
	freeOfPair  = 3
	freeOfPlace = 20
	forget      = 15 * time.Minute    // after so long without an attempt, failures are forgotten
	remember    = 90 * 24 * time.Hour // after so long without a sign-in, an address is no longer known
	maxBuckets  = 50_000
)

type throttle struct {
	mu      sync.Mutex
	buckets map[[32]byte]*bucket
	known   map[[32]byte]time.Time

	dirty      map[[32]byte]struct{} // buckets to save
	dirtyKnown map[[32]byte]struct{}
}

type bucket struct {
	fails, free int
	last        time.Time
}

// attempt is one try that was let through. It counts as failed until it is found to be right, so that many at once gain
// nothing.
type attempt struct {
	t       *throttle
	keys    [][32]byte // the first is the pair's or the device's
	pair    [32]byte
	trusted bool // a known address or device: not to be held back by others
	started bool // this attempt, if wrong, is the one with which waiting begins
}

func newThrottle(slowed []store.Slowed, known []store.Known) *throttle {
	t := &throttle{buckets: map[[32]byte]*bucket{}, known: map[[32]byte]time.Time{},
		dirty: map[[32]byte]struct{}{}, dirtyKnown: map[[32]byte]struct{}{}}
	for _, s := range slowed {
		t.buckets[s.Key] = &bucket{fails: s.Fails, last: s.Last}
	}
	for _, k := range known {
		t.known[k.Key] = k.At
	}
	return t
}

func bucketKey(parts ...string) [32]byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return [32]byte(h.Sum(nil))
}

// place is the part of a network address that one attacker holds: all of IPv4, the first 64 bits of IPv6.
func place(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		address = ap.Addr().String()
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64)
	return p.String()
}

func delay(fails, free int) time.Duration {
	if fails < free {
		return 0
	}
	if n := fails - free; n < 5 {
		return time.Second << n
	}
	return longest
}

// begin lets an attempt through and counts it, or says how long to wait. Device is the identifier of a genuine device
// mark of the person, or empty.
func (t *throttle) begin(now time.Time, name, address, device string) (*attempt, time.Duration) {
	address = place(address)
	a := &attempt{t: t, pair: bucketKey("pair", name, address)}
	free := []int{freeOfPair}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, a.trusted = t.known[a.pair]
	if device != "" {
		a.trusted = true
		a.keys = append(a.keys, bucketKey("device", device))
	} else {
		a.keys = append(a.keys, a.pair)
	}
	if !a.trusted {
		a.keys, free = append(a.keys, bucketKey("place", address)), append(free, freeOfPlace)
	}
	var wait time.Duration
	buckets := make([]*bucket, len(a.keys))
	for i, k := range a.keys {
		buckets[i] = t.bucket(now, k, free[i])
		wait = max(wait, buckets[i].wait(now))
	}
	if wait > 0 {
		return nil, wait
	}
	for i, b := range buckets {
		b.fails++
		b.last = now
		a.started = a.started || b.fails == b.free
		t.buckets[a.keys[i]] = b
		t.spoil(a.keys[i])
	}
	return a, 0
}

// bucket returns the bucket of a key as it is now. The caller holds the lock.
func (t *throttle) bucket(now time.Time, k [32]byte, free int) *bucket {
	b := t.buckets[k]
	if b == nil {
		if len(t.buckets) >= maxBuckets {
			t.evict(now)
		}
		b = &bucket{}
		t.buckets[k] = b
	}
	b.free = free
	if b.last.After(now) { // the clock was set back
		b.last = now
	}
	if now.Sub(b.last) > forget {
		b.fails = 0
	}
	return b
}

func (b *bucket) wait(now time.Time) time.Duration {
	return b.last.Add(delay(b.fails, b.free)).Sub(now)
}

// evict makes room, for many at once because it looks at all. The caller holds the lock. A bucket that goes too early
// gives an attacker a few tries; what bounds those is that passwords are checked two at a time.
func (t *throttle) evict(now time.Time) {
	t.expire(now)
	for k := range t.buckets {
		if len(t.buckets) < maxBuckets*9/10 {
			return
		}
		delete(t.buckets, k)
		t.spoil(k)
	}
}

func (t *throttle) expire(now time.Time) {
	for k, b := range t.buckets {
		if b.fails == 0 || now.Sub(b.last) > forget {
			delete(t.buckets, k)
			t.spoil(k)
		}
	}
	for k, at := range t.known {
		if now.Sub(at) > remember {
			delete(t.known, k)
		}
	}
}

func (t *throttle) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now)
}

// spoil marks a bucket to be saved. What no longer fits is swept from the store when it is old. The caller holds the lock.
func (t *throttle) spoil(k [32]byte) {
	if len(t.dirty) < maxBuckets {
		t.dirty[k] = struct{}{}
	}
}

// right says that the attempt succeeded: his own failures are forgotten, the address is known, and what he added to the
// count of the address is taken back.
func (a *attempt) right(now time.Time) {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	if b := a.t.buckets[a.keys[0]]; b != nil {
		b.fails = 0
	}
	a.back(a.keys[1:])
	if at, ok := a.t.known[a.pair]; !ok || now.Sub(at) > 24*time.Hour {
		a.t.known[a.pair] = now
		a.t.dirtyKnown[a.pair] = struct{}{}
	}
}

// undo says that it was not checked after all.
func (a *attempt) undo() {
	a.t.mu.Lock()
	defer a.t.mu.Unlock()
	a.back(a.keys)
}

func (a *attempt) back(keys [][32]byte) {
	for _, k := range keys {
		if b := a.t.buckets[k]; b != nil && b.fails > 0 {
			b.fails--
		}
		a.t.spoil(k)
	}
}

// maxSave bounds what one take returns, so that a flood of failures does not hold the one writer up.
const maxSave = 2000

// take returns what changed since the last take.
func (t *throttle) take() (slowed []store.Slowed, known []store.Known) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.dirty {
		if len(slowed) == maxSave {
			break
		}
		delete(t.dirty, k)
		s := store.Slowed{Key: k}
		if b := t.buckets[k]; b != nil {
			s.Fails, s.Last = b.fails, b.last
		}
		slowed = append(slowed, s)
	}
	for k := range t.dirtyKnown {
		known = append(known, store.Known{Key: k, At: t.known[k]})
	}
	clear(t.dirtyKnown)
	return slowed, known
}

// back says that these could not be saved.
func (t *throttle) back(slowed []store.Slowed, known []store.Known) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range slowed {
		t.dirty[s.Key] = struct{}{}
	}
	for _, k := range known {
		t.dirtyKnown[k.Key] = struct{}{}
	}
}

// rate lets a number of events through in a span of time, for each key, and twenty times as many for all together.
type rate struct {
	mu    sync.Mutex
	most  int
	span  time.Duration
	since time.Time
	n     map[string]int
	all   int
	over  map[string]int // refused, not yet told of
}

func newRate(most int, span time.Duration) *rate {
	return &rate{most: most, span: span, n: map[string]int{}, over: map[string]int{}}
}

func (r *rate) allow(now time.Time, key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.since) || now.Sub(r.since) >= r.span {
		r.since, r.all = now, 0
		clear(r.n)
		if len(r.over) > 1000 {
			clear(r.over)
		}
	}
	if r.n[key] >= r.most || r.all >= 20*r.most {
		if len(r.over) < 10_000 {
			r.over[key]++
		}
		return false
	}
	r.n[key]++
	r.all++
	return true
}

// refused returns how often allow has refused the key since it was last asked.
func (r *rate) refused(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.over[key]
	delete(r.over, key)
	return n
}
