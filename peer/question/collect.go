package question

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"konbit/record"
	"konbit/store"
)

// heldSet is the list of another node, nil when we have none.
type heldSet struct{ list *list }

// collecting is a list that comes in parts, on top of what we have.
type collecting struct {
	key, sum []byte
	at       time.Time
	total    int
	parts    [][]uint64
	tags     int  // in parts
	rounds   int  // requests since somebody waited for it
	all      bool // the sums of the parts agree and that of the list does not
}

// maxRounds is more than the largest list takes, with some words lost.
const maxRounds = 64

func listKey(node string) string { return "question.list/" + node }

// heldList returns the list of a node as we have it, nil when we have none. It is
// called with mu held.
func (s *Service) heldList(ctx context.Context, node string) (*list, error) {
	if h := s.sets[node]; h != nil {
		return h.list, nil
	}
	b, err := s.cfg.Store.Value(ctx, listKey(node))
	if err != nil {
		return nil, err
	}
	h := &heldSet{}
	if len(b) > 0 {
		if h.list = readList(b); h.list == nil {
			return nil, record.Errorf(record.Corrupt, "question", "the list of %s cannot be read", node)
		}
	}
	s.sets[node] = h
	return h.list, nil
}

// A list is kept as key (32 bytes), time (microseconds, 8 bytes) and tags.
func writeList(l *list) []byte {
	b := binary.BigEndian.AppendUint64(slices.Clone(l.key), uint64(l.at.UnixMicro()))
	return append(b, pack(l.tags)...)
}

func readList(b []byte) *list {
	if len(b) < 40 || len(b)%8 != 0 {
		return nil
	}
	return newList(b[:32:32], unpack(b[40:]), time.UnixMicro(int64(binary.BigEndian.Uint64(b[32:]))).UTC())
}

// collect begins to collect a node's list, with the parts of the one that we have
// or are collecting. It is called with mu held.
func (s *Service) collect(ctx context.Context, node string, key, sum []byte, total int, at time.Time) (*collecting, error) {
	c := s.builds[node]
	if c != nil && string(c.sum) == string(sum) {
		return c, nil
	}
	n := &collecting{key: key, sum: sum, at: at, total: total}
	if c != nil && c.total == total && string(c.key) == string(key) {
		n.parts = c.parts
	} else {
		old, err := s.heldList(ctx, node)
		if err != nil {
			return nil, err
		}
		var tags []uint64
		if old != nil && string(old.key) == string(key) {
			tags = old.tags
		}
		n.parts = split(tags, partsOf(total))
	}
	for _, p := range n.parts {
		n.tags += len(p)
	}
	s.builds[node] = n
	return n, nil
}

// want asks a node for what its list has and ours has not. It is called with mu held.
func (s *Service) want(node string, o *open) {
	c, err := s.collect(context.Background(), node, o.Key, o.Sum, o.Total, time.Time{})
	if err != nil {
		s.cfg.Log.Error("a list cannot be read", "node", node, "error", err)
		return
	}
	c.rounds = 0
	s.say(node, topicWant, wantWord{Sums: c.sums()})
}

// sums returns the sums of the parts that there are, none to get all parts.
func (c *collecting) sums() []byte {
	if c.all {
		return nil
	}
	var b []byte
	for _, p := range c.parts {
		b = append(b, partSum(p)...)
	}
	return b
}

// whole returns the list when all parts are there.
func (c *collecting) whole() *list {
	tags := slices.Concat(c.parts...)
	if len(tags) != c.total {
		return nil
	}
	l := newList(c.key, tags, c.at)
	if string(l.sum) != string(c.sum) {
		return nil
	}
	return l
}

// onList takes parts of a list that we asked for.
func (s *Service) onList(ctx context.Context, from *store.Node, payload []byte) {
	var w listWord
	if json.Unmarshal(payload, &w) != nil || len(w.Key) != 32 || len(w.Sum) != sha256.Size || !goodTotal(w.Total) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.builds[from.Name] == nil {
		return // not asked for, or here already
	}
	c, err := s.collect(ctx, from.Name, w.Key, w.Sum, w.Total, w.At)
	if err != nil {
		s.cfg.Log.Error("a list cannot be read", "node", from.Name, "error", err)
		return
	}
	c.at = w.At.UTC().Truncate(time.Microsecond)
	for _, p := range w.Parts {
		if !c.takePart(p) {
			s.cfg.Log.Warn("a list has a part that does not fit", "node", from.Name)
			return
		}
	}
	if !w.Last {
		return
	}
	l := c.whole()
	if l == nil {
		// Ask for the rest; of a node that sends without end no more than that.
		c.all = len(w.Parts) == 0
		if c.rounds++; c.rounds < maxRounds {
			s.say(from.Name, topicWant, wantWord{Sums: c.sums()})
		}
		return
	}
	s.keepList(ctx, from, l)
}

// takePart puts one part in its place.
func (c *collecting) takePart(p onePart) bool {
	if p.N < 0 || p.N >= len(c.parts) || len(p.Tags)%8 != 0 || len(p.Tags)/8 > 64+16*c.total/len(c.parts) {
		return false // tags are spread evenly: no part is that much longer than the others
	}
	tags := unpack(p.Tags)
	if !slices.IsSorted(tags) || len(tags) > 0 && (split(tags[:1], len(c.parts))[p.N] == nil || split(tags[len(tags)-1:], len(c.parts))[p.N] == nil) {
		return false
	}
	if c.tags += len(tags) - len(c.parts[p.N]); c.tags > 2*c.total {
		c.tags -= len(tags) - len(c.parts[p.N])
		return false // each part by itself may be long, all of them not
	}
	c.parts[p.N] = tags
	return true
}

// keepList keeps a whole list and looks into it for what waits. It is called with
// mu held.
func (s *Service) keepList(ctx context.Context, from *store.Node, l *list) {
	if err := s.cfg.Store.SetValue(ctx, listKey(from.Name), writeList(l)); err != nil {
		s.cfg.Log.Error("a list cannot be kept", "node", from.Name, "error", err)
		return
	}
	delete(s.builds, from.Name)
	s.sets[from.Name] = &heldSet{l}
	for _, agency := range s.local() {
		ring, err := s.ring(ctx, agency)
		if err != nil {
			s.cfg.Log.Error("questions cannot be read", "agency", agency, "error", err)
			continue
		}
		changed := false
		for _, q := range ring {
			if o := q.Open[from.Name]; o != nil && o.Out != nil {
				s.look(ctx, q, from, o)
				changed = true
			}
		}
		if changed {
			s.keep(ctx, agency)
		}
	}
}
