package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// held is what is held of another node's record, as the decider knows it.
type held struct {
	store.Held
	there bool
	seq   int64
	fresh bool // decided here; perhaps not on disk yet
}

// cursor is how far a node's lanes are applied.
type cursor struct {
	applied [store.Lanes]int64
	seq     int64
	fresh   bool
}

// purging is one Purge on its way through the decider.
type purging struct {
	Purge
	err error
}

// preloadForeign reads cursors and what is held of the records that came, and
// returns which records are to be read with the others.
func (d *decider) preloadForeign(ctx context.Context, jobs []*job) (ids []record.ID, err error) {
	var unknown []record.ID
	name := func(id record.ID) {
		if d.pending[id] == nil {
			ids = append(ids, id)
		}
		if d.held[id] == nil {
			unknown = append(unknown, id)
		}
	}
	for _, j := range jobs {
		if a := j.arrival; a != nil {
			if d.cursors[a.node] == nil {
				c := &cursor{seq: -1}
				if c.applied, err = d.in.cfg.Store.Applied(ctx, a.node); err != nil {
					return nil, err
				}
				d.cursors[a.node] = c
			}
			for i := range a.items {
				if a.items[i].reason == "" {
					name(a.items[i].id)
				}
			}
		}
		for _, p := range j.purges {
			name(p.Record)
		}
	}
	if len(unknown) == 0 {
		return ids, nil
	}
	m, err := d.in.cfg.Store.HeldOf(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for _, id := range unknown {
		h, there := m[id]
		d.held[id] = &held{Held: h, there: there, seq: -1}
	}
	return ids, nil
}

// arrive decides a part of an arrival: its records, then the entry that tells of
// it and carries the cursor.
func (d *decider) arrive(b *batch, a *arriving, now time.Time) {
	if a.err != nil {
		return
	}
	cur := d.cursors[a.node]
	applied := cur.applied[a.lane]
	if a.after > applied {
		e := record.Errorf(record.Conflict, "arrive", "the bundle begins after %d, and only %d are applied", a.after, applied)
		e.Hint = "a bundle before it is missing"
		a.err = e
		return
	}
	a.fates = make([]Fate, len(a.items))
	var ops []store.Op
	for i := range a.items {
		it, f := &a.items[i], &a.fates[i]
		*f = Fate{N: it.N, Record: it.id, Status: Older}
		if it.N <= applied {
			continue
		}
		if it.reason != "" {
			f.Status, f.Reason, f.Message = Refused, it.reason, it.why
			continue
		}
		if h := d.judge(b, a, it, f, now); h != nil {
			ops = append(ops, store.PutHeld{Held: *h})
		}
	}
	if a.upTo <= applied {
		return // it was here before
	}
	seq := d.next(b)
	next := &cursor{applied: cur.applied, seq: seq, fresh: true}
	next.applied[a.lane] = a.upTo
	d.cursors[a.node] = next
	b.undo = append(b.undo, func() { d.cursors[a.node] = cur })
	content, _ := json.Marshal(a.told()) // names and numbers: it cannot fail
	b.add(&store.Item{
		Entry: ledger.Entry{Seq: seq, At: d.at(now), Type: "arrival", Agency: d.house(), Actor: a.node, Content: content},
		Ops:   append(ops, store.PutApplied{Node: a.node, Lane: a.lane, UpTo: a.upTo}),
	}, &a.err, nil)
}

// next is the ledger position of the next item of a batch.
func (d *decider) next(b *batch) int64 { return d.tree.Size() + int64(len(b.Items)) }

// house is the agency whose entries those of the node are: the first that it serves.
func (d *decider) house() string {
	for _, id := range d.in.cfg.Directory.Agencies() {
		if d.in.cfg.Directory.Local(id) {
			return id
		}
	}
	return "node"
}

// arrivalEntry is the content of an entry of type "arrival".
type arrivalEntry struct {
	Node    string    `json:"node"`
	Lane    string    `json:"lane"` // urgent, normal
	After   int64     `json:"after"`
	UpTo    int64     `json:"upTo"`
	Applied int       `json:"applied"`
	Purged  int       `json:"purged"`
	Older   int       `json:"older"`
	Refused []refusal `json:"refused,omitempty"` // the first hundred
	More    int       `json:"more,omitempty"`    // refused beyond these
}

type refusal struct {
	N      int64     `json:"n"`
	Record record.ID `json:"record,omitzero"`
	Reason string    `json:"reason"`
}

// told sums up what became of the items.
func (a *arriving) told() arrivalEntry {
	e := arrivalEntry{Node: a.node, Lane: [store.Lanes]string{"urgent", "normal"}[a.lane], After: a.after, UpTo: a.upTo}
	for _, f := range a.fates {
		switch f.Status {
		case Applied:
			e.Applied++
		case Purged:
			e.Purged++
		case Older:
			e.Older++
		case Refused:
			if len(e.Refused) == 100 {
				e.More++
				continue
			}
			e.Refused = append(e.Refused, refusal{f.N, f.Record, f.Reason})
		}
	}
	return e
}

// judge decides one item that is what its owner signed. It returns what is held
// then, nil when nothing changes.
func (d *decider) judge(b *batch, a *arriving, it *believed, f *Fate, now time.Time) *store.Held {
	cur, was := d.pending[it.id], d.held[it.id]
	if f.Reason, f.Message = taken(cur, was, it); f.Reason != "" {
		f.Status, f.Quiet = Refused, f.Reason == ForeignOwner
		return nil
	}
	if !counts(cur, was, a.node, it) {
		return nil
	}
	h := &store.Held{Record: it.id, Node: a.node, N: it.N, Version: it.version, At: now}
	if was.there && (was.Node == a.node || cur.exists) { // else it is the tombstone of another node, whose numbers are not this one's
		h.Version = max(h.Version, was.Version)
		if was.Node == a.node {
			h.N = max(h.N, was.N)
		}
	}
	switch {
	case it.recall != nil && stale(cur, it):
		f.Status, f.Reason = Refused, StaleRecall
		f.Message = fmt.Sprintf("the recall of version %d was signed at %s, and version %d is newer", it.version, it.recall.At.Format(time.RFC3339), was.Version)
		return nil
	case it.recall != nil:
		d.end(b, a.node, it.id, cur, ending{Ground: it.recall.Reason, Recall: it.Payload, KeyID: it.KeyID, Sig: it.Sig}, &a.err, now)
		f.Status, h.Purged = Purged, true
	case it.over:
		d.end(b, a.node, it.id, cur, ending{Ground: "expired"}, &a.err, now)
		f.Status, h.Purged = Purged, true
	case sameVersion(cur, it): // said once more, under a later number: only that is new
		f.Status = Applied
	default:
		d.take(b, it, &a.err, now)
		f.Status = Applied
	}
	d.hold(b, h, d.next(b)) // the arrival's own entry is still to come in this batch
	return h
}

// taken refuses an item about a record that is another agency's, or our own.
func taken(cur *known, was *held, it *believed) (reason, why string) {
	switch {
	case !cur.exists:
	case !was.there:
		return ForeignOwner, "the identifier is one of a record of our own"
	case cur.owner != it.owner:
		return ForeignOwner, "the record belongs to " + cur.owner
	case cur.rec != nil && it.rec != nil && cur.rec.Kind != it.rec.Kind:
		return Malformed, fmt.Sprintf("the record is of the kind %s, and cannot become a %s", cur.rec.Kind, it.rec.Kind)
	}
	return "", ""
}

// counts reports whether an item says something newer than what was done last
// with its record. Numbers of two nodes cannot be compared: when an agency has
// moved to another node, the version alone decides.
func counts(cur *known, was *held, node string, it *believed) bool {
	switch {
	case !was.there:
		return true
	case was.Node != node && !cur.exists: // a tombstone that another node has set
		return it.recall == nil
	case was.Node != node:
		return it.version >= was.Version
	case it.recall != nil:
		return it.version > was.Version || it.N > was.N // one that is late does not end what was sent again since
	}
	return it.version > was.Version || it.version == was.Version && it.N > was.N
}

// sameVersion reports whether a version is here already, byte for byte.
func sameVersion(cur *known, it *believed) bool {
	if cur.rec == nil || cur.rec.Version != it.version {
		return false
	}
	b, err := json.Marshal(cur.rec)
	return err == nil && bytes.Equal(b, it.Payload)
}

// stale reports whether a recall was signed long before the version was recorded
// that it would take with it: the owner cannot have meant that one. Two days, as
// each of the owner's times may be off by one.
func stale(cur *known, it *believed) bool {
	return cur.rec != nil && it.version < cur.rec.Version && it.recall.At.Add(2*slack).Before(cur.rec.Recorded)
}

// take appends the version to the batch: the owner's bytes and signature, and
// the time at which we learned it.
func (d *decider) take(b *batch, it *believed, answer *error, now time.Time) {
	seq, row := d.next(b), *it.row
	d.know(b, it.id, &known{rec: it.rec, owner: it.owner, exists: true, seq: seq, fresh: true})
	b.add(&store.Item{
		Entry: ledger.Entry{Seq: seq, At: d.at(now), Type: "change", Agency: it.owner, Actor: it.rec.Author, Record: it.id, Version: it.version,
			Content: it.Payload, KeyID: it.KeyID, Sig: it.Sig},
		Row: &row,
	}, answer, nil)
}

// ending is the content of the "erase" entry of a foreign record: on what ground
// it went, and the owner's word for it, so that it can be proven later.
type ending struct {
	Kind     string `json:"kind"`
	Versions int    `json:"versions"`
	Ground   string `json:"ground"`
	Recall   []byte `json:"recall,omitempty"` // an intake.Recall as it was signed
	KeyID    string `json:"keyId,omitempty"`
	Sig      []byte `json:"sig,omitempty"`
}

// end erases what is held of a foreign record, if anything is.
func (d *decider) end(b *batch, actor string, id record.ID, cur *known, e ending, answer *error, now time.Time) {
	if cur.rec == nil {
		return
	}
	e.Kind, e.Versions = cur.rec.Kind, cur.rec.Version
	content, _ := json.Marshal(e) // words and bytes: it cannot fail
	seq := d.next(b)
	d.know(b, id, &known{owner: cur.owner, exists: true, seq: seq, fresh: true})
	b.add(&store.Item{
		Entry: ledger.Entry{Seq: seq, At: d.at(now), Type: "erase", Agency: cur.owner, Actor: actor, Record: id, Version: cur.rec.Version, Content: content},
		Erase: id,
	}, answer, nil)
}

// know and hold make the next decisions build on what is not on disk yet.
func (d *decider) know(b *batch, id record.ID, k *known) {
	before := d.pending[id]
	b.undo = append(b.undo, func() { d.pending[id] = before })
	d.pending[id] = k
}

func (d *decider) hold(b *batch, h *store.Held, seq int64) {
	before := d.held[h.Record]
	b.undo = append(b.undo, func() { d.held[h.Record] = before })
	d.held[h.Record] = &held{Held: *h, there: true, seq: seq, fresh: true}
}

// purge decides one Purge of our own.
func (d *decider) purge(b *batch, p *purging, now time.Time) {
	cur, was := d.pending[p.Record], d.held[p.Record]
	if p.err != nil || !was.there || was.Purged || cur.rec == nil {
		return
	}
	d.end(b, "node", p.Record, cur, ending{Ground: p.Ground}, &p.err, now)
	h := was.Held
	h.Purged, h.At = true, now
	it := b.Items[len(b.Items)-1]
	it.Ops = []store.Op{store.PutHeld{Held: h}}
	d.hold(b, &h, it.Entry.Seq)
}
