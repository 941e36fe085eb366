package peer

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// receiptDoc is a receipt on the wire: the payload's exact bytes, and the
// signature over their DSSE encoding. It is in the clear, so that a hub can clean up.
type receiptDoc struct {
	Payload []byte `json:"payload"`
	KeyID   string `json:"keyid"`
	Sig     []byte `json:"sig"`
}

// maxReceipt bounds a receipt that comes in, in bytes.
const maxReceipt = 4 << 10

func keyID(key ed25519.PrivateKey) string { return ledger.KeyID(key.Public().(ed25519.PublicKey)) }

func (s *streams) receipt(ctx context.Context, node *store.Node) ([]byte, error) {
	applied, err := s.x.cfg.Store.Applied(ctx, node.Name)
	if err != nil {
		return nil, err
	}
	out, err := s.x.cfg.Store.Outgoing(ctx, node.Name)
	if err != nil {
		return nil, err
	}
	r := Receipt{From: s.x.cfg.Keys.Name(), To: node.Name, Received: applied, Last: out.Last, Life: s.x.Incarnation().N, At: s.taken.stamp(s.now())}
	if r.Life == 1 {
		r.Life = 0
	}
	r.Again, r.Ask = s.lostTime(node.Name)
	payload, err := json.Marshal(&r)
	if err != nil {
		return nil, err
	}
	key := s.x.linkKey()
	return json.Marshal(receiptDoc{payload, keyID(key), ledger.SignAs(key, ReceiptType, payload)})
}

func (s *streams) readReceipt(b []byte) (*Receipt, error) {
	bad := func(what string) error {
		return record.Errorf(record.Invalid, "receipt.malformed", "the receipt is refused: %s", what)
	}
	if len(b) > maxReceipt {
		return nil, bad("it is too long")
	}
	var d receiptDoc
	var r Receipt
	if json.Unmarshal(b, &d) != nil || json.Unmarshal(d.Payload, &r) != nil || r.From == "" || r.To == "" || r.At.IsZero() || len(r.Ask) > maxAskID {
		return nil, bad("it cannot be read")
	}
	if slices.Min(r.Received[:]) < 0 || r.Last < 0 {
		return nil, bad("it has a negative number")
	}
	key := s.x.cfg.Trust.SignKey(r.From, d.KeyID, r.At)
	if key == nil {
		return nil, record.Errorf(record.Denied, "receipt.unknown-sender", "the receipt is refused: key %.20q of %.80q is not known here", d.KeyID, r.From)
	}
	if !ledger.VerifyAs(key, ReceiptType, d.Payload, d.Sig) {
		return nil, record.Errorf(record.Denied, "receipt.forged", "the receipt is refused: %s has not signed it", r.From)
	}
	return &r, nil
}

// receipts is what nodes said about our streams to them.
type receipts struct {
	mu   sync.Mutex
	by   map[string]*taken
	made time.Time // the time of the newest that we made

	later sync.WaitGroup // receipts that are to be written a moment later
	ended bool           // nothing is to be written any more
}

// begin notes that a receipt is to be written a moment later; false after finish.
func (r *receipts) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.later.Add(1)
	}
	return !r.ended
}

// finish waits for what is to be written yet: after it the store may be closed.
// What comes later is not lost, since it is said again.
func (r *receipts) finish() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.later.Wait()
}

// stamp makes the times of our receipts grow, whatever the clock does.
func (r *receipts) stamp(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !now.After(r.made) {
		now = r.made.Add(time.Microsecond)
	}
	r.made = now
	return now
}

// taken is the state of one node's receipts.
type taken struct {
	mu      sync.Mutex // one at a time
	at      time.Time  // of the newest
	life    int64      // of the newest
	wrote   time.Time  // when one was last written to the ledger, by the real clock: it bounds the load
	waiting *Receipt   // the newest one that is not written yet
	raw     []byte     // its bytes
	timer   bool       // somebody will write it
	again   bool       // the node was restored, and mends its stream to us
	ask     string     // the node asks under this name what we hold of it; "": it does not
	loaded  bool       // at was looked up
}

func (r *receipts) of(node string) *taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]*taken{}
	}
	if r.by[node] == nil {
		r.by[node] = &taken{}
	}
	return r.by[node]
}

// restless reports whether a node says too often that it has lost something: it
// costs the ledger an entry, and what comes back is written down once more.
func (s *streams) restless(ctx context.Context, node string) bool {
	if !s.may.losses.take(node) {
		s.x.alarm(ctx, node, "restless", node+" says again and again that it has lost what it had; it is not heard for a while", record.ID{})
		return true
	}
	return false
}

// since is the time of the newest receipt that was taken: after a start the one in
// the ledger, so that an old one that somebody kept does not count again.
func (s *streams) since(ctx context.Context, node string, t *taken) error {
	if t.loaded {
		return nil
	}
	entries, err := s.x.cfg.Store.Log(ctx, &store.LogQuery{Actor: node, Types: []string{"receipt"}, Limit: 20})
	if err != nil {
		return err
	}
	t.loaded = true
	for _, l := range entries {
		var e receiptEntry
		var d receiptDoc
		var r Receipt
		if json.Unmarshal(l.Content, &e) == nil && json.Unmarshal(e.Receipt, &d) == nil && json.Unmarshal(d.Payload, &r) == nil && r.after(t.life, t.at) {
			t.life, t.at = r.Life, r.At
		}
	}
	return nil
}

// after reports whether a receipt was made after another of the same node: in a
// later life, or later in the same one by the node's clock.
func (r *Receipt) after(life int64, at time.Time) bool {
	if r.Life != life {
		return r.Life > life
	}
	return r.At.After(at)
}

// newer is after, or that the receipt says more: a clock may have been put back.
func (r *Receipt) newer(o *Receipt) bool {
	return r.after(o.Life, o.At) || r.Life == o.Life && r.Received != o.Received && hasAll(r.Received, o.Received)
}

// apart is how long at least two ledger entries about one node's receipts are apart.
const apart = 200 * time.Millisecond

func (s *streams) takeReceipt(ctx context.Context, b []byte) error {
	r, err := s.readReceipt(b)
	if err != nil {
		s.x.alarm(ctx, "", "bad-receipt", err.Error(), record.ID{})
		return err
	}
	if r.To != s.x.cfg.Keys.Name() {
		return record.Errorf(record.Denied, "receipt.not-for-us", "the receipt is refused: it is for %s", r.To)
	}
	t := s.taken.of(r.From)
	t.mu.Lock()
	defer t.mu.Unlock()
	out, err := s.x.cfg.Store.Outgoing(ctx, r.From)
	if err != nil {
		return err
	}
	if err := s.since(ctx, r.From, t); err != nil {
		return err
	}
	if !hasAll(r.Received, out.Received) && (!r.after(t.life, t.at) || s.restless(ctx, r.From)) {
		return nil // a newer one was taken
	}
	mended, err := s.heard(ctx, r.From, r.Received, out)
	if err != nil || mended {
		return err
	}
	lost := r.Again && !t.again || !hasAll(r.Received, out.Received)
	if r.after(t.life, t.at) {
		t.life = r.Life
		t.at, t.again, t.ask = r.At, r.Again, r.Ask
	}
	if lost {
		if err := s.check(ctx, r.From, out); err != nil {
			return err
		}
	}
	if t.waiting != nil && !r.newer(t.waiting) {
		return nil
	}
	if r.Received == out.Received {
		t.waiting = nil
		return nil
	}
	t.waiting, t.raw = r, b
	if wait := apart - time.Since(t.wrote); wait > 0 {
		if !t.timer && s.taken.begin() {
			t.timer = true
			time.AfterFunc(wait, func() { s.writeLater(t) })
		}
		return nil
	}
	return s.write(ctx, t)
}

// writeLater writes what came too soon after the one before.
func (s *streams) writeLater(t *taken) {
	defer s.taken.later.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = false
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.write(ctx, t); err != nil && record.CodeOf(err) != record.Unavailable {
		s.x.cfg.Log.Error("peer: a receipt was not taken", "error", err)
	}
}

// covered is one record that a receipt newly covers.
type covered struct {
	ID      record.ID `json:"id"`
	Version int       `json:"version"`
	Act     string    `json:"act"` // "send": it holds this version; "recall": it has purged what it held, up to this version
}

// receiptEntry is the content of a ledger entry of type "receipt". The proof is
// the signed receipt as it came; the records of one receipt may take several entries.
type receiptEntry struct {
	Node     string             `json:"node"`
	Received [store.Lanes]int64 `json:"received"`
	Records  []covered          `json:"records,omitempty"`
	Receipt  []byte             `json:"receipt,omitempty"`
}

// maxCovered bounds one such entry.
const maxCovered = 2000

// write puts the newest receipt into the ledger. It is called with t locked.
func (s *streams) write(ctx context.Context, t *taken) error {
	r := t.waiting
	if r == nil {
		return nil
	}
	out, err := s.x.cfg.Store.Outgoing(ctx, r.From)
	if err != nil {
		return err
	}
	list, err := s.newly(ctx, r.From, out.Received, r.Received)
	if err != nil {
		if record.CodeOf(err) == record.Denied {
			t.waiting, t.raw = nil, nil
		}
		return err
	}
	e := receiptEntry{Node: r.From, Received: r.Received, Receipt: t.raw}
	for len(list) > maxCovered {
		e.Records, list = list[:maxCovered], list[maxCovered:]
		if _, err := s.x.cfg.Intake.Note(ctx, "receipt", s.x.house(), r.From, e); err != nil {
			return err
		}
	}
	e.Records = list
	_, err = s.x.cfg.Intake.Note(ctx, "receipt", s.x.house(), r.From, e, store.PutReceipt{Node: r.From, Received: r.Received, At: s.now()})
	if err != nil {
		return err
	}
	t.waiting, t.raw, t.wrote = nil, nil, time.Now()
	s.x.wake(r.From)
	return nil
}

// hasAll reports whether a receipt says at least as much as another.
func hasAll(a, b [store.Lanes]int64) bool {
	return a[store.Urgent] >= b[store.Urgent] && a[store.Normal] >= b[store.Normal]
}

// newly lists the records that a receipt newly covers. One that covers what was
// never sent is false.
func (s *streams) newly(ctx context.Context, node string, from, to [store.Lanes]int64) (list []covered, err error) {
	acts := map[store.Act]string{store.Send: "send", store.Recall: "recall"}
	for lane := range store.Lane(store.Lanes) {
		for after := from[lane]; after < to[lane]; {
			shares, err := s.x.cfg.Store.Shares(ctx, node, lane, after, maxCovered)
			if err != nil {
				return nil, err
			}
			for i := range shares {
				sh := &shares[i]
				if after = sh.N; sh.N > to[lane] {
					break
				}
				if sh.Sent.IsZero() {
					return nil, s.falseReceipt(ctx, node, to)
				}
				if sh.Act != store.Word {
					list = append(list, covered{sh.Record, sh.Version, acts[sh.Act]})
				}
			}
			if len(shares) < maxCovered {
				break
			}
		}
	}
	return list, nil
}

// falseReceipt refuses a receipt for what was never sent.
func (s *streams) falseReceipt(ctx context.Context, node string, claimed [store.Lanes]int64) error {
	err := record.Errorf(record.Denied, "receipt.false", "%s acknowledges what it was never sent, up to %d and %d", node, claimed[store.Urgent], claimed[store.Normal])
	s.x.alarm(ctx, node, "false-receipt", err.Message, record.ID{})
	return err
}

// house is the agency whose entries those about the node are: the first that it serves.
func (x *Exchange) house() string {
	for _, a := range x.cfg.Directory.Agencies() {
		if x.cfg.Directory.Local(a) {
			return a
		}
	}
	return "node"
}
