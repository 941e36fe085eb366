package question

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"slices"
	"sync"
	"time"

	"konbit/record"
	"konbit/store"
)

// list is what a node tells of its identifiers: sorted tags, those of its records
// among made-up ones, so that the number is a power of two.
type list struct {
	key  []byte // public key of the function
	tags []uint64
	sum  []byte // SHA-256 over key and tags
	at   time.Time
}

// smallest is how many tags the shortest list has.
const smallest = 1024

func newList(key []byte, tags []uint64, at time.Time) *list {
	l := &list{key: key, tags: tags, at: at}
	h := sha256.New()
	h.Write(key)
	h.Write(pack(tags))
	l.sum = h.Sum(nil)
	return l
}

func (l *list) holds(t uint64) bool {
	_, ok := slices.BinarySearch(l.tags, t)
	return ok
}

func pack(tags []uint64) []byte {
	b := make([]byte, 0, 8*len(tags))
	for _, t := range tags {
		b = binary.BigEndian.AppendUint64(b, t)
	}
	return b
}

func unpack(b []byte) []uint64 {
	tags := make([]uint64, 0, len(b)/8)
	for ; len(b) >= 8; b = b[8:] {
		tags = append(tags, binary.BigEndian.Uint64(b))
	}
	return tags
}

// largest bounds what a peer may call its list.
const largest = 1 << 22

// A list is compared and sent in parts, which are the tags that begin with the
// same bits: 64 tags each, 16 to 4,096 parts. total is a power of two.
func partsOf(total int) int { return min(4096, total/64) }

// goodTotal reports whether a list may have that many tags.
func goodTotal(n int) bool { return n >= smallest && n <= largest && bits.OnesCount(uint(n)) == 1 }

// split cuts sorted tags into n parts, a power of two.
func split(tags []uint64, n int) [][]uint64 {
	shift := 64 - bits.Len(uint(n)) + 1
	parts := make([][]uint64, n)
	for len(tags) > 0 {
		p := tags[0] >> shift
		end := len(tags)
		if p+1 < uint64(n) {
			end, _ = slices.BinarySearch(tags, (p+1)<<shift)
		}
		parts[p], tags = tags[:end:end], tags[end:]
	}
	return parts
}

// sumSize is how many bytes of a part's SHA-256 stand for it. Two parts that
// collide show in the sum of the whole list, and then all parts are sent.
const sumSize = 4

func partSum(tags []uint64) []byte {
	h := sha256.Sum256(pack(tags))
	return h[:sumSize]
}

// ownSet is what this node's records admit, and the list that was made of it last.
type ownSet struct {
	mu    sync.Mutex
	live  map[record.ID]*entry
	list  *list
	dummy [32]byte      // key of the made-up tags
	seen  int64         // ledger entries that live has taken in; -1: not built yet
	moved chan struct{} // closed and replaced when seen grows
}

// entry is what one record admits.
type entry struct {
	version int
	expires time.Time // zero: never
	tags    []uint64
}

// PublishEvery is how often the list changes at most: who looks at two lists sees
// how many tags came and went between them.
const PublishEvery = time.Hour

// admits reports whether a record of ours may give a hit under its marking.
func admits(m *record.Marking) bool {
	return m.TLP != record.Red && !slices.ContainsFunc(m.Caveats, func(c string) bool { return slices.Contains(Silent, c) })
}

// put takes a record's newest version.
func (s *Service) put(rec *record.Record) error {
	e := &entry{version: rec.Version}
	if k := s.cfg.Desks.Kind(rec.Kind); k != nil && k.Identifies() && admits(&rec.Marking) {
		body, err := k.Parse(rec.Body)
		if err != nil {
			return err
		}
		for _, id := range k.Index(rec, body).Identifiers {
			value, err := Normalize(string(id.Type), id.Value, s.countryOf(rec.Owner))
			if err != nil {
				continue // what cannot be compared cannot be asked about
			}
			out, err := s.key.of(string(id.Type), value)
			if err != nil {
				return err
			}
			e.tags = append(e.tags, tag(out, rec.Owner))
		}
	}
	if rec.Marking.Expires != nil {
		e.expires = *rec.Marking.Expires
	}
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	old := s.own.live[rec.ID]
	if old != nil && old.version > rec.Version || old == nil && len(e.tags) == 0 {
		return nil
	}
	if len(e.tags) == 0 {
		delete(s.own.live, rec.ID)
	} else {
		s.own.live[rec.ID] = e
	}
	return nil
}

func (s *Service) drop(id record.ID) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	delete(s.own.live, id)
}

// build reads all records of ours that may admit a hit. Entries from the position
// that it returns on may tell of changes that it has not seen.
func (s *Service) build(ctx context.Context) (from int64, err error) {
	from, _ = s.cfg.Ledger.Grown()
	sight := &store.Sight{}
	if err := s.cfg.Store.Markings(ctx, 0, func(m *store.Marking) error {
		if s.cfg.Directory.Local(m.Owner) && admits(&m.Marking) {
			sight.Own = append(sight.Own, m.N)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	for _, name := range s.cfg.Desks.KindNames() {
		if !s.cfg.Desks.Kind(name).Identifies() || len(sight.Own) == 0 {
			continue
		}
		q := &store.Query{Kinds: []string{name}, Sight: map[string]*store.Sight{name: sight}, Now: s.cfg.Now(), Limit: 500}
		for {
			page, err := s.cfg.Store.Find(ctx, q)
			if err != nil {
				return 0, err
			}
			for _, r := range page {
				if err := s.put(r.Record); err != nil {
					return 0, err
				}
			}
			if len(page) < q.Limit {
				break
			}
			q.Before = &store.Key{Row: page[len(page)-1].Row}
		}
	}
	s.reached(from)
	return from, nil
}

func (s *Service) reached(seen int64) {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	s.own.seen = seen
	close(s.own.moved)
	s.own.moved = make(chan struct{})
}

// ready waits until live has taken in what is on disk now, so that a list tells of
// it. It reports whether it has.
func (s *Service) ready(ctx context.Context) bool {
	size, _ := s.cfg.Ledger.Grown()
	for {
		s.own.mu.Lock()
		seen, moved := s.own.seen, s.own.moved
		s.own.mu.Unlock()
		if seen >= size {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// follow builds what is held and keeps it true.
func (s *Service) follow(ctx context.Context) error {
	from, err := s.build(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for {
		size, grown := s.cfg.Ledger.Grown()
		if size > from {
			if err := s.take(ctx, from, size); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			from = size
			s.reached(from)
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Service) take(ctx context.Context, from, to int64) error {
	var fault error
	err := s.cfg.Store.Entries(ctx, from, to, func(l *store.Logged) bool {
		switch {
		case l.Type == "erase":
			s.drop(l.Record)
		case l.Type == "change" && !l.Entry.Erased() && s.cfg.Directory.Local(l.Agency):
			var rec record.Record
			if fault = json.Unmarshal(l.Content, &rec); fault == nil {
				fault = s.put(&rec)
			}
		}
		return fault == nil && ctx.Err() == nil
	})
	if err == nil {
		err = fault
	}
	return err
}

// published returns the list as others may have it, made anew when it has changed
// and is old enough.
func (s *Service) published() *list {
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	now, l := s.cfg.Now(), s.own.list
	if l != nil && now.Sub(l.at) < PublishEvery && !now.Before(l.at) {
		return l
	}
	var tags []uint64
	for _, e := range s.own.live {
		if e.expires.IsZero() || now.Before(e.expires) {
			tags = append(tags, e.tags...)
		}
	}
	fresh := newList(s.key.public, s.pad(tags), now)
	if l != nil && bytes.Equal(l.sum, fresh.sum) {
		return l
	}
	s.own.list = fresh
	return fresh
}

// pad adds made-up tags, always the same ones first, so that two lists differ only
// in what came and went.
func (s *Service) pad(tags []uint64) []uint64 {
	slices.Sort(tags)
	tags = slices.Compact(tags)
	total := max(smallest, 1<<bits.Len(uint(len(tags))))
	for i := range total - len(tags) {
		h := hmac.New(sha256.New, s.own.dummy[:])
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(i)))
		tags = append(tags, binary.BigEndian.Uint64(h.Sum(nil)))
	}
	slices.Sort(tags)
	return tags
}
