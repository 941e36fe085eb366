// Package feed turns the ledger into live updates: one follower reads each new
// entry once and every subscriber takes from it what his rights allow.
//
// It must not filter by anything but rights, kind and place, and must not write.
package feed

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"konbit/desk"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
)

// atHand is how many events a subscriber may fall behind before he must reload.
const atHand = 8192

// ErrReset says that the events since the cursor are no longer at hand: reload
// what is on the screen and subscribe from now.
var ErrReset = errors.New("feed: too far behind")

// ErrClosed says that the node is stopping.
var ErrClosed = errors.New("feed: closed")

// Event is one change as a subscriber sees it.
type Event struct {
	Seq     int64  // ledger position to resume after
	Type    string // "record", or "gone": the subscriber can see it no longer
	Kind    string
	ID      record.ID
	Version int
	Title   string // "" for a protected record
	Raw     []byte // the signed JSON of the record; nil for a protected record, which must be opened to be seen
}

// Source is what a Hub follows.
type Source interface {
	// Grown returns the ledger's size and a channel that is closed when it grows.
	Grown() (int64, <-chan struct{})
	// Refresh looks whether another process of this node has made it grow.
	Refresh(ctx context.Context) error
}

// Hub follows the ledger. Make it with New, run it with Run.
type Hub struct {
	store   store.Store
	desks   *desk.Set
	records *query.Records
	source  Source
	now     func() time.Time
	log     *slog.Logger
	keep    int // events in the ring

	mu      sync.Mutex
	ring    []*change
	base    int64 // index of ring[0]; indexes count changes since the start
	seq     int64 // ledger entries followed
	woken   chan struct{}
	readers int
	closed  bool
}

// change is an event before rights are applied to it.
type change struct {
	Event
	protected     bool
	marking, prev *store.Marking
	expires       *time.Time // when marking does
	prevExpires   *time.Time
	at            time.Time
	box           *record.Box
	erased        bool
	lapsed        bool // nothing changed but the time
}

// New makes a Hub that begins at the ledger's present end.
func New(s store.Store, desks *desk.Set, records *query.Records, source Source, now func() time.Time, log *slog.Logger) *Hub {
	size, _ := source.Grown()
	return &Hub{store: s, desks: desks, records: records, source: source, now: now, log: log, keep: atHand, seq: size, woken: make(chan struct{})}
}

// Run follows the ledger until ctx ends. Expired markings are looked for every
// second.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	checked := h.now()
	defer h.close()
	for {
		size, grown := h.source.Grown()
		if err := h.follow(ctx, size); err != nil && ctx.Err() == nil {
			h.log.Error("feed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-grown:
		case <-tick.C:
			now := h.now()
			if err := h.expire(ctx, checked, now); err != nil && ctx.Err() == nil {
				h.log.Error("feed", "error", err)
				continue
			}
			checked = now
		}
	}
}

func (h *Hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.woken)
	}
}

// Readers returns how many subscriptions are open.
func (h *Hub) Readers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readers
}

func (h *Hub) follow(ctx context.Context, size int64) error {
	h.mu.Lock()
	from := h.seq
	if from >= size {
		h.mu.Unlock()
		return nil
	}
	if h.readers == 0 || size-from > int64(h.keep) { // nobody to tell, or more than anybody could follow: they reload
		h.base += int64(len(h.ring)) + 1
		h.ring, h.seq = nil, size
		h.wake()
		h.mu.Unlock()
		return nil
	}
	h.mu.Unlock()
	news, err := h.between(ctx, from, size)
	if err != nil {
		return err
	}
	h.append(news, size)
	return nil
}

// between reads the changes of a span of the ledger. It asks the store for
// nothing else while it reads: calls that each hold one connection and want a
// second would wait for each other.
func (h *Hub) between(ctx context.Context, from, to int64) ([]*change, error) {
	var logged []*store.Logged
	err := h.store.Entries(ctx, from, to, func(l *store.Logged) bool {
		if l.Type == "change" || l.Type == "erase" {
			logged = append(logged, l)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	news := make([]*change, len(logged))
	for i, l := range logged {
		if news[i], err = h.read(ctx, l); err != nil {
			return nil, err
		}
	}
	return news, nil
}

func (h *Hub) append(news []*change, seq int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring = append(h.ring, news...)
	if over := len(h.ring) - h.keep; over > 0 {
		h.ring = slices.Clone(h.ring[over:])
		h.base += int64(over)
	}
	h.seq = seq
	if len(news) > 0 {
		h.wake()
	}
}

// wake is called with mu held.
func (h *Hub) wake() {
	if !h.closed {
		close(h.woken)
		h.woken = make(chan struct{})
	}
}

// read makes a change of a ledger entry.
func (h *Hub) read(ctx context.Context, l *store.Logged) (*change, error) {
	c := &change{
		Event: Event{Seq: l.Seq, Type: "record", Kind: l.Kind, ID: record.ID(l.Record), Version: l.Version},
		at:    l.At, expires: l.Expires, prevExpires: l.PreviousExpires,
	}
	var err error
	if c.marking, err = h.records.Marking(ctx, l.Marking); err != nil {
		return nil, err
	}
	if l.Type == "erase" || l.Entry.Erased() {
		c.Type, c.erased, c.prev, c.prevExpires = "gone", true, c.marking, c.expires
		return c, nil
	}
	if c.prev, err = h.records.Marking(ctx, l.Previous); err != nil {
		return nil, err
	}
	var rec record.Record
	if err := json.Unmarshal(l.Content, &rec); err != nil {
		return nil, err
	}
	c.protected = len(rec.Marking.Caveats) > 0
	if rec.Place != nil && rec.Place.Geometry != nil {
		if b, err := rec.Place.Geometry.Bounds(); err == nil {
			c.box = &b
		}
	}
	if !c.protected {
		c.Raw = l.Content
		if k := h.desks.Kind(l.Kind); k != nil {
			if body, err := k.Parse(rec.Body); err == nil {
				c.Title = k.Index(&rec, body).Title
			}
		}
	}
	return c, nil
}

// expire tells other agencies' readers that markings have expired.
func (h *Hub) expire(ctx context.Context, from, to time.Time) error {
	h.mu.Lock()
	idle, seq := h.readers == 0, h.seq
	h.mu.Unlock()
	if idle {
		return nil
	}
	briefs, err := h.store.Expired(ctx, from, to, h.keep)
	if err != nil {
		return err
	}
	var news []*change
	for _, b := range briefs {
		c, err := h.lapse(ctx, b, seq-1)
		if err != nil {
			return err
		}
		news = append(news, c)
	}
	h.append(news, seq)
	return nil
}

// lapse is the end of a marking: a change for other agencies alone.
func (h *Hub) lapse(ctx context.Context, b *store.Brief, seq int64) (*change, error) {
	m, err := h.records.Marking(ctx, b.Marking)
	return &change{Event: Event{Seq: seq, Type: "gone", Kind: b.Kind, ID: b.ID, Version: b.Version}, marking: m, prev: m, box: b.Box, lapsed: true}, err
}

// Options narrows a subscription.
type Options struct {
	Kinds []string    // none: all that the reader may read
	Box   *record.Box // only records that touch it, and those without a place
	From  int64       // ledger position to resume after, as in Event.Seq; -1: from now on
}

// Subscription is one reader's stream. It is for one goroutine.
type Subscription struct {
	hub     *Hub
	reader  *policy.Reader
	o       Options
	next    int64 // index of the next change
	replay  []*change
	sees    map[sightKey]bool
	dir     query.Directory
	started int64
}

type sightKey struct {
	kind    string
	marking int64
}

// Subscribe opens a stream. Close it.
func (h *Hub) Subscribe(ctx context.Context, r *policy.Reader, o Options) (*Subscription, error) {
	s := &Subscription{hub: h, reader: r, o: o, sees: map[sightKey]bool{}, dir: h.records.Directory()}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, ErrClosed
	}
	h.readers++
	h.mu.Unlock()
	// The follower may have slept while nobody listened; and another process may have
	// told the reader of what this one has not heard yet.
	size, _ := h.source.Grown()
	if o.From >= size {
		if err := h.source.Refresh(ctx); err != nil {
			s.Close()
			return nil, err
		}
		size, _ = h.source.Grown()
	}
	h.mu.Lock()
	s.next, s.started = h.base+int64(len(h.ring)), h.seq
	seq := h.seq
	if o.From >= 0 {
		i := 0
		for i < len(h.ring) && h.ring[i].Seq <= o.From {
			i++
		}
		if i > 0 || len(h.ring) > 0 && h.ring[0].Seq == o.From+1 { // the ring reaches back far enough
			s.next = h.base + int64(i)
			seq = o.From + 1
		}
	}
	h.mu.Unlock()
	if o.From < 0 {
		return s, nil
	}
	if o.From >= size || seq-o.From > int64(h.keep) { // of another ledger, a restored one perhaps; or too old
		s.Close()
		return nil, ErrReset
	}
	var err error
	if o.From+1 < seq {
		s.replay, err = h.between(ctx, o.From+1, seq)
	}
	if err == nil {
		err = s.lapsed(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// lapsed adds what expired while the reader was away. He may hear of one twice:
// a position in the ledger does not say what he heard between two entries.
func (s *Subscription) lapsed(ctx context.Context) error {
	h := s.hub
	var since time.Time
	if err := h.store.Entries(ctx, s.o.From, s.o.From+1, func(l *store.Logged) bool { since = l.At; return true }); err != nil {
		return err
	}
	briefs, err := h.store.Expired(ctx, since, h.now(), h.keep)
	if err != nil {
		return err
	}
	for _, b := range briefs {
		c, err := h.lapse(ctx, b, s.o.From)
		if err != nil {
			return err
		}
		s.replay = append(s.replay, c)
	}
	return nil
}

// Start returns the ledger position to resume after when no event comes.
func (s *Subscription) Start() int64 { return s.started - 1 }

// Close ends the stream.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.readers--
}

// Next waits for events that the reader may see and returns them in order.
func (s *Subscription) Next(ctx context.Context) ([]Event, error) {
	for {
		news := s.replay
		s.replay = nil
		var woken chan struct{}
		if news == nil {
			h := s.hub
			h.mu.Lock()
			if h.closed {
				h.mu.Unlock()
				return nil, ErrClosed
			}
			if s.next < h.base {
				h.mu.Unlock()
				return nil, ErrReset
			}
			news = slices.Clone(h.ring[min(s.next-h.base, int64(len(h.ring))):])
			s.next += int64(len(news))
			woken = h.woken
			h.mu.Unlock()
		}
		if out := s.filter(news); len(out) > 0 {
			return out, nil
		}
		if woken == nil || len(news) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-woken:
		}
	}
}

func (s *Subscription) filter(news []*change) []Event {
	var out []Event
	now := s.hub.now()
	last := s.last(news, now)
	for _, c := range news {
		if len(s.o.Kinds) > 0 && !slices.Contains(s.o.Kinds, c.Kind) {
			continue
		}
		if c.Seq <= s.o.From && !c.lapsed { // he has it from another process
			continue
		}
		if s.o.Box != nil && c.box != nil && !c.box.Meets(*s.o.Box) {
			continue
		}
		own := c.marking != nil && c.marking.Owner == s.reader.Agency
		switch {
		case c.lapsed && own:
		case s.shows(c, now):
			if seen, later := last[c.ID]; seen || !later {
				out = append(out, c.Event)
			}
		case s.may(c.Kind, c.prev) && (own || c.lapsed || !past(c.prevExpires, c.at)):
			e := c.Event
			e.Type, e.Title, e.Raw = "gone", "", nil
			out = append(out, e)
		}
	}
	return out
}

// shows reports whether the reader may see what a change made of its record.
func (s *Subscription) shows(c *change, now time.Time) bool {
	own := c.marking != nil && c.marking.Owner == s.reader.Agency
	return !c.lapsed && !c.erased && s.may(c.Kind, c.marking) && (own || !past(c.expires, now))
}

// last says of each record whether the reader may see the newest of these
// changes. What was narrowed or erased since is not brought back to one who
// comes with an old cursor: as in a single read, the newest version decides.
func (s *Subscription) last(news []*change, now time.Time) map[record.ID]bool {
	if len(news) < 2 {
		return nil
	}
	m := make(map[record.ID]bool, len(news))
	for _, c := range slices.Backward(news) {
		own := c.marking != nil && c.marking.Owner == s.reader.Agency
		if _, known := m[c.ID]; !known && !(c.lapsed && own) {
			m[c.ID] = s.shows(c, now)
		}
	}
	return m
}

func past(expires *time.Time, now time.Time) bool { return expires != nil && !now.Before(*expires) }

// may applies the rule, expiry aside, and remembers the answer: the reader's
// rights do not change while he is subscribed.
func (s *Subscription) may(kind string, m *store.Marking) bool {
	if m == nil {
		return false
	}
	key := sightKey{kind, m.N}
	ok, known := s.sees[key]
	if !known {
		k := s.hub.desks.Kind(kind)
		plain := m.Marking
		plain.Expires = nil
		ok = k != nil && s.reader.Sees(k, m.Owner, s.dir.Communities(m.Owner), &plain, s.hub.now()) == policy.Visible
		s.sees[key] = ok
	}
	return ok
}
