package peer

import (
	"context"
	"encoding/json"
	"time"

	"filippo.io/age"

	"konbit/intake"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// Bounds of one bundle. On the wire it is about as large as the caller asks.
const (
	maxWire   = 4 << 20
	maxRaw    = 32 << 20
	maxItems  = 10_000
	someBytes = 256 << 10 // when the caller does not say
)

// sizing is what the bundles of a node have been like lately, so that the next
// ones come out about as large as is asked for.
type sizing struct {
	packed float64 // bytes on the wire for each byte of content
	item   float64 // bytes of content of one item
}

// picked is what a bundle is made of.
type picked struct {
	items       []bundle.Item
	raw         int
	after, upTo int64
}

func (s *streams) next(ctx context.Context, node *store.Node, lane bundle.Lane, after int64, maxBytes int) ([]byte, bundle.Header, error) {
	b, h, _, err := s.build(ctx, node, lane, after, maxBytes)
	return b, h, err
}

// build is next, and says how many items the bundle has.
func (s *streams) build(ctx context.Context, node *store.Node, lane bundle.Lane, after int64, maxBytes int) ([]byte, bundle.Header, int, error) {
	h := bundle.Header{From: s.x.cfg.Keys.Name(), To: node.Name, Lane: lane, At: s.now().Truncate(time.Second)}
	now := s.x.cfg.Trust.Node(node.Name) // what the caller has may be of yesterday
	if now == nil || now.State != store.NodeActive {
		return nil, h, 0, nil // nothing more is sealed to it
	}
	if maxBytes <= 0 {
		maxBytes = someBytes
	}
	maxBytes = min(maxBytes, maxWire)
	var p *picked
	var err error
	if lane == bundle.Talk {
		p = s.talks.take(node.Name, maxBytes)
	} else if p, err = s.pickAgreed(ctx, now, store.Lane(lane), after, maxBytes); err != nil {
		return nil, h, 0, err
	}
	if p == nil {
		return nil, h, 0, nil
	}
	to, err := age.ParseX25519Recipient(now.Seal)
	if err != nil {
		return nil, h, 0, &record.Error{Code: record.Corrupt, Op: "peer.seal", Message: "the sealing key of " + node.Name + " cannot be read", Err: err}
	}
	h.After, h.UpTo = p.after, p.upTo
	b, err := bundle.Seal(h, p.items, to, s.x.linkKey())
	if err != nil {
		return nil, h, 0, err
	}
	s.measured(node.Name, p, len(b))
	h, err = bundle.Parse(b, s.self)
	return b, h, len(p.items), err
}

// pickAgreed picks when the shares are for whom the directory says today: no
// bundle is made of yesterday's membership.
func (s *streams) pickAgreed(ctx context.Context, node *store.Node, lane store.Lane, after int64, maxBytes int) (*picked, error) {
	if s.unsure(node.Name) { // until it has said what it has of our lost stream
		return nil, nil
	}
	for !s.agreed(node) {
		if err := s.reconcile(ctx); err != nil {
			return nil, err
		}
		if node = s.x.cfg.Trust.Node(node.Name); node == nil || node.State != store.NodeActive {
			return nil, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pick(ctx, node, lane, after, maxBytes)
}

// pick takes shares with numbers above after, looks at each record as it is
// now, and marks what goes out as sent before anybody can see it. It is called
// with mu held.
func (s *streams) pick(ctx context.Context, node *store.Node, lane store.Lane, after int64, maxBytes int) (*picked, error) {
	z := s.size(node.Name)
	p := &picked{after: after, upTo: after}
	budget := min(maxRaw, int(float64(maxBytes)/z.packed))
	fresh := false // something in it was not marked as sent before
	for len(p.items) == 0 {
		limit := min(maxItems, 1+int(1.2*float64(budget)/z.item))
		shares, err := s.x.cfg.Store.Shares(ctx, node.Name, lane, p.upTo, limit)
		if err != nil || len(shares) == 0 {
			return nil, err
		}
		cur, err := s.x.cfg.Store.Current(ctx, idsOf(shares))
		if err != nil {
			return nil, err
		}
		q := s.newQueue()
		for i := range shares {
			sh := &shares[i]
			it, ok, err := s.item(ctx, q, node.Name, sh, cur[sh.Record])
			if err != nil {
				return nil, err
			}
			if ok {
				if n := weight(&it); p.raw+n > budget && len(p.items) > 0 {
					break
				} else {
					p.raw += n
				}
				p.items = append(p.items, it)
				fresh = fresh || sh.Sent.IsZero() || sh.Act == store.Send && sh.Held != sh.N
			}
			p.upTo = sh.N
		}
		if err := q.flush(ctx, "", 0); err != nil {
			return nil, err
		}
	}
	if fresh {
		return p, s.x.cfg.Store.MarkSent(ctx, node.Name, lane, after, p.upTo, s.now())
	}
	return p, nil
}

func idsOf(shares []store.Share) []record.ID {
	ids := make([]record.ID, 0, len(shares))
	for i := range shares {
		if shares[i].Act != store.Word {
			ids = append(ids, shares[i].Record)
		}
	}
	return ids
}

// item makes an item of a share. What is no longer released becomes a recall,
// which goes into q, or nothing when it never went out.
func (s *streams) item(ctx context.Context, q *queue, node string, sh *store.Share, st *store.Stored) (it bundle.Item, ok bool, err error) {
	switch sh.Act {
	case store.Word:
		return bundle.Item{Sort: bundle.Word, N: sh.N, Record: sh.Record, Topic: sh.Topic, Payload: sh.Word}, true, nil
	case store.Recall:
		it, err = s.recall(node, sh, st)
		return it, err == nil, err
	}
	if s.goes(s.scopes[node], st, q.now) && len(st.Raw) <= intake.MaxVersion {
		return bundle.Item{Sort: bundle.Version, N: sh.N, Payload: st.Raw, KeyID: st.KeyID, Sig: st.Sig}, true, nil
	}
	end := store.Share{Record: sh.Record, Kind: sh.Kind, Version: sh.Version, Seq: sh.Seq}
	reason := "narrowed"
	switch {
	case st == nil || st.Record == nil:
		reason = "erased"
	case expired(st.Record.Marking.Expires, q.now):
		reason = "expired"
	}
	if st != nil {
		end.Version, end.Seq = st.Version, st.Seq
	}
	q.add(node, end, store.Recall, reason)
	return it, false, nil
}

// recall signs the word that a node must not hold a record any longer.
func (s *streams) recall(node string, sh *store.Share, st *store.Stored) (it bundle.Item, err error) {
	rc := intake.Recall{Record: sh.Record, Node: node, Version: max(1, sh.Version), Reason: sh.Reason, At: sh.Queued.UTC()}
	var lost lostShare
	switch {
	case len(sh.Word) > 0 && json.Unmarshal(sh.Word, &lost) == nil: // lost when we were restored: the node that has it told us whose it is
		rc.Owner = lost.Owner
	case st != nil:
		rc.Owner = st.Owner
		if st.At.After(rc.At) { // our clock went back: it must not look older than what it ends
			rc.At = st.At.UTC()
		}
	}
	key := s.x.cfg.Keys.Key(rc.Owner)
	if key == nil {
		return it, record.Errorf(record.Internal, "peer.recall", "the key of %q is missing, and a record of it has to be recalled", rc.Owner)
	}
	b, err := json.Marshal(&rc)
	if err != nil {
		return it, err
	}
	return bundle.Item{Sort: bundle.Recall, N: sh.N, Record: sh.Record, Payload: b, KeyID: keyID(key), Sig: ledger.SignAs(key, intake.RecallType, b)}, nil
}

// weight is about what an item takes before it is packed.
func weight(it *bundle.Item) int { return len(it.Payload) + len(it.Sig) + 32 }

// size returns how bundles of a node have been. It is called with mu held.
func (s *streams) size(node string) *sizing {
	z := s.sizes[node]
	if z == nil {
		z = &sizing{packed: 0.5, item: 800}
		s.sizes[node] = z
	}
	return z
}

// measured learns from a bundle. Small ones are mostly envelope and teach nothing.
func (s *streams) measured(node string, p *picked, wire int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z := s.size(node); p.raw >= 8<<10 {
		const weigh = 0.5
		z.packed += weigh * (min(1, max(0.05, float64(wire)/float64(p.raw))) - z.packed)
		z.item += weigh * (max(64, float64(p.raw)/float64(len(p.items))) - z.item)
	}
}
