package peer

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"konbit/intake"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// inboxes is what comes in, by sender.
type inboxes struct {
	mu     sync.Mutex
	by     map[string]*inbox
	parked parking
}

// inbox takes the bundles of one node one after the other.
type inbox struct {
	sync.Mutex
	said  map[[32]byte]bool // sums of Talk that was heard lately
	order [][32]byte        // the same, oldest first
}

// maxHeard bounds the memory for Talk that comes twice.
const maxHeard = 512

func (s *streams) openInboxes(_ context.Context) error {
	s.inboxes.by = map[string]*inbox{}
	return s.inboxes.parked.open(s.x.cfg.Folder)
}

func (s *streams) inbox(node string) *inbox {
	s.inboxes.mu.Lock()
	defer s.inboxes.mu.Unlock()
	in := s.inboxes.by[node]
	if in == nil {
		in = &inbox{said: map[[32]byte]bool{}}
		s.inboxes.by[node] = in
	}
	return in
}

// again reports whether this Talk was heard before.
func (in *inbox) again(sum [32]byte) bool {
	if in.said[sum] {
		return true
	}
	in.said[sum] = true
	if in.order = append(in.order, sum); len(in.order) > maxHeard {
		delete(in.said, in.order[0])
		in.order = in.order[1:]
	}
	return false
}

// known is the key of an active node that bundles may be signed with. Whether a
// retired one counted when the bundle was made is asked when that is known.
func (s *streams) known(node, keyID string) ed25519.PublicKey {
	if node == s.x.cfg.Keys.Name() {
		return nil // what we said ourselves is no news
	}
	if k := s.x.cfg.Trust.SignKey(node, keyID, s.now()); k != nil {
		return k
	}
	return s.x.cfg.Trust.SignKey(node, keyID, time.Time{})
}

// self is our own key, for a bundle that we have just made.
func (s *streams) self(string, string) ed25519.PublicKey {
	return s.x.linkKey().Public().(ed25519.PublicKey)
}

// open verifies and opens a bundle that is for us. Of a refusal the header is
// empty, unless the sender was verified.
func (s *streams) open(b []byte) (h bundle.Header, items []bundle.Item, err error) {
	if h, err = bundle.Parse(b, s.known); err != nil {
		return bundle.Header{}, nil, err
	}
	switch {
	case h.To != s.x.cfg.Keys.Name():
		return h, nil, record.Errorf(record.Denied, "bundle.not-for-us", "the bundle is refused: it is for %s", h.To)
	case s.x.cfg.Trust.SignKey(h.From, h.KeyID, h.At) == nil:
		return h, nil, record.Errorf(record.Denied, "bundle.retired-key", "the bundle is refused: %s had given up the key that signed it", h.From)
	}
	return bundle.Open(b, s.known, s.x.cfg.Keys.Identities()...)
}

func (s *streams) arrived(ctx context.Context, b []byte) (bundle.Header, error) {
	h, _, err := s.arrive(ctx, b)
	return h, err
}

// tally counts what became of the items of a bundle, and of those that waited for it.
type tally struct{ applied, older, purged, refused, unparked int }

func (t *tally) add(o tally) {
	t.applied, t.older, t.purged, t.refused, t.unparked = t.applied+o.applied, t.older+o.older, t.purged+o.purged, t.refused+o.refused, t.unparked+o.unparked
}

// arrive is arrived, and says what became of the items.
func (s *streams) arrive(ctx context.Context, b []byte) (h bundle.Header, t tally, err error) {
	h, items, err := s.open(b)
	if err != nil {
		s.refused(ctx, h.From, err)
		return h, t, err
	}
	from := s.x.cfg.Trust.Node(h.From)
	if from == nil {
		return h, t, record.Errorf(record.Denied, "bundle.unknown-sender", "the bundle is refused: %s is not known here", h.From)
	}
	if err := s.disk.room(h.Lane == bundle.Urgent); err != nil {
		s.refused(ctx, h.From, err)
		return h, t, err
	}
	in := s.inbox(h.From)
	in.Lock()
	defer in.Unlock()
	if h.Lane == bundle.Talk {
		if !in.again(h.Sum) {
			s.hearAll(ctx, from, items)
		}
		return h, t, nil
	}
	if t, err = s.apply(ctx, from, h, items); err != nil {
		if record.CodeOf(err) == record.Conflict {
			s.park(ctx, h, b)
		}
		return h, t, err
	}
	more, err := s.unpark(ctx, from)
	t.add(more)
	return h, t, err
}

// refused notes a bundle that was refused. Its reason is the last part of the
// error's operation.
func (s *streams) refused(ctx context.Context, node string, err error) {
	var e *record.Error
	code := "refused-bundle"
	if errors.As(err, &e) {
		if _, reason, ok := strings.Cut(e.Op, "bundle."); ok {
			code = reason
		}
	}
	s.x.alarm(ctx, node, code, err.Error(), record.ID{})
}

// apply takes a numbered bundle: words first, because they do no harm when they
// come twice, then versions and recalls with the cursor of the lane.
func (s *streams) apply(ctx context.Context, from *store.Node, h bundle.Header, items []bundle.Item) (t tally, err error) {
	applied, err := s.x.cfg.Store.Applied(ctx, h.From)
	if err != nil {
		return t, err
	}
	done := applied[h.Lane]
	switch {
	case h.After > done:
		return t, record.Errorf(record.Conflict, "peer.arrived", "the bundle begins after %d, and only %d are applied", h.After, done)
	case h.UpTo <= done:
		t.older = len(items)
		return t, nil
	}
	a := &intake.Arrival{Node: h.From, Lane: store.Lane(h.Lane), After: h.After, UpTo: h.UpTo}
	payloads := map[int64][]byte{}
	var words []bundle.Item
	for _, it := range items {
		switch {
		case it.Sort != bundle.Word:
			a.Items = append(a.Items, intake.Arrived{N: it.N, Payload: it.Payload, KeyID: it.KeyID, Sig: it.Sig, Recall: it.Sort == bundle.Recall})
			payloads[it.N] = it.Payload
		case it.N > done:
			words = append(words, it)
		}
	}
	s.hearAll(ctx, from, words)
	fates, err := s.x.cfg.Intake.Arrive(ctx, a)
	var older []intake.Fate
	var back []store.Share // words for the sender, told together: who sends much that is bad must not keep the store busy
	for _, f := range fates {
		switch f.Status {
		case intake.Applied:
			t.applied++
		case intake.Older:
			if t.older++; f.N > done {
				older = append(older, f)
			}
		case intake.Purged:
			t.purged++
		case intake.Refused:
			t.refused++
			back = s.notTaken(ctx, from, f, payloads[f.N], back)
		}
	}
	if len(older) > 0 && err == nil {
		back, err = s.outdated(ctx, older, payloads, back)
	}
	if e := s.tellAll(ctx, from.Name, back); e != nil && ctx.Err() == nil {
		s.x.cfg.Log.Error("peer: telling why records were not taken", "node", from.Name, "error", e)
	}
	return t, err
}

// outdated tells the sender of versions that are older than what he had sent
// before under a lower number: he was restored from a backup, and must not
// believe that they arrived.
func (s *streams) outdated(ctx context.Context, fates []intake.Fate, payloads map[int64][]byte, back []store.Share) ([]store.Share, error) {
	var ids []record.ID
	for _, f := range fates {
		ids = append(ids, f.Record)
	}
	held, err := s.x.cfg.Store.HeldOf(ctx, ids)
	if err != nil {
		return back, err
	}
	for _, f := range fates {
		var said struct {
			Version int `json:"version"`
		}
		h, there := held[f.Record]
		if !there || h.N > f.N || json.Unmarshal(payloads[f.N], &said) != nil || h.Version <= said.Version {
			continue
		}
		why := fmt.Sprintf("version %d is held here", h.Version)
		if h.Purged {
			why = fmt.Sprintf("it was recalled up to version %d", h.Version)
		}
		back = append(back, wordOf(wordRefused, f.Record, notTakenWord{"outdated", said.Version, why}))
	}
	return back, nil
}

// wordOf makes a numbered word about a record.
func wordOf(topic string, id record.ID, word any) store.Share {
	return store.Share{Record: id, Topic: topic, Lane: store.Normal, Word: say(topic, word).Payload}
}

// notTaken tells our administrator why an item was refused, and adds the word
// for the sender to back.
func (s *streams) notTaken(ctx context.Context, from *store.Node, f intake.Fate, payload []byte, back []store.Share) []store.Share {
	id := f.Record
	var said struct {
		ID      record.ID `json:"id"`
		Record  record.ID `json:"record"`
		Version int       `json:"version"`
	}
	if json.Unmarshal(payload, &said) == nil && id.IsZero() {
		if id = said.ID; id.IsZero() {
			id = said.Record
		}
	}
	s.x.alarm(ctx, from.Name, "refused", f.Reason+": "+clip(f.Message, 300), id)
	if id.IsZero() || f.Quiet {
		return back
	}
	return append(back, wordOf(wordRefused, id, notTakenWord{f.Reason, said.Version, clip(f.Message, 200)}))
}

// hearAll gives words to whom they concern. One that nobody here understands is
// left aside: a newer node may say more.
func (s *streams) hearAll(ctx context.Context, from *store.Node, items []bundle.Item) {
	for _, it := range items {
		do := s.x.words[it.Topic]
		if do == nil || it.Sort != bundle.Word {
			continue
		}
		if dear[it.Topic] && !s.may.words.take(from.Name) {
			s.x.alarm(ctx, from.Name, "flood", from.Title+" asks for more than a node can need; some of it is not answered", record.ID{})
			continue
		}
		if err := do(ctx, from, it); err != nil && ctx.Err() == nil {
			s.x.alarm(ctx, from.Name, "bad-word", clip(it.Topic, 40)+": "+clip(err.Error(), 200), it.Record)
		}
	}
}
