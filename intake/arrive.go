package intake

import (
	"context"
	"slices"
	"time"

	"konbit/record"
	"konbit/store"
)

// Arrival is what one bundle of a node brought: authenticated, opened, not yet
// believed. It is applied as one job: its entries, what is held, and the cursor
// of the lane commit together.
type Arrival struct {
	Node        string // whose bundle it is
	Lane        store.Lane
	After, UpTo int64 // the span of the lane that it covers
	Items       []Arrived
}

// Arrived is one record version, or one recall.
//
// Payload is the JSON of a record.Record, or with Recall of a Recall, as encoding/json
// writes it, byte for byte: what two parsers could read differently is refused.
type Arrived struct {
	N       int64  // ascending within an Arrival, and within its span
	Payload []byte // the owner's exact bytes
	KeyID   string
	Sig     []byte // DSSE, by the owner's agency; of a recall with type RecallType
	Recall  bool
}

// RecallType is the DSSE payload type of a Recall.
const RecallType = "application/vnd.konbit.recall+json"

// Recall is the owner's signed word that a node must not hold a record any longer.
type Recall struct {
	Record  record.ID `json:"record"`
	Owner   string    `json:"owner"`   // agency; its key signs
	Node    string    `json:"node"`    // to whom it is said
	Version int       `json:"version"` // everything up to this version
	Reason  string    `json:"reason"`  // narrowed, erased, expired, left, revoked
	At      time.Time `json:"at"`
}

// Fate says what became of an item.
type Fate struct {
	N       int64
	Record  record.ID // zero when the payload could not be read
	Status  FateStatus
	Reason  string // of Refused: one of the constants below, e.g. ForeignOwner
	Message string // of Refused: for the administrator
	Quiet   bool   // of Refused: the sender must not hear of it, for it would tell him what else is held here
}

// FateStatus is what became of an arrived item.
type FateStatus string

// The fates.
const (
	Applied FateStatus = "applied"
	Older   FateStatus = "older" // we have it, or newer
	Purged  FateStatus = "purged"
	Refused FateStatus = "refused"
)

// Purge is a foreign record that this node gives up by itself.
type Purge struct {
	Record record.ID
	Ground string // "expired", "kept long enough", "the node was revoked"
}

// MaxVersion bounds one arrived version or recall, in bytes.
const MaxVersion = 1 << 20

// The reasons for which an item is refused.
const (
	UnknownKind  = "unknown-kind"  // no desk here declares it
	Malformed    = "malformed"     // header or body is not what the kind says
	ForeignOwner = "foreign-owner" // the sending node does not serve the owner, or the record is somebody else's
	BadSignature = "bad-signature" // it does not fit the owner's key
	UnknownKey   = "unknown-key"   // signed with a key that is not the owner's, or was not at that time
	BadMarking   = "bad-marking"   // not valid, or it releases the record to nobody here
	Unprotected  = "unprotected"   // the body demands caveats that the marking lacks
	Future       = "future"        // recorded, observed or recalled more than a day ahead of our clock
	TooLarge     = "too-large"     // over MaxVersion
	StaleRecall  = "stale-recall"  // signed long before the version that it would take with it
)

// Arrive applies what a node sent. An item that is bad is refused by name and
// does not stop the others. It returns when everything is on disk.
//
// Many items are committed in parts, each with the cursor up to its last
// number, so that the node's own commands need not wait for all of them. With an error the
// fates are of the parts that are on disk; the same Arrival may be given again.
//
// record.Conflict: the bundle begins after what was applied (a gap). Of one that
// was applied before nothing happens and all fates are Older. record.Invalid: it is
// no span of a lane, or its numbers are out of order.
func (in *Intake) Arrive(ctx context.Context, a *Arrival) ([]Fate, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	rules := in.newRules(a.Node)
	var under []*job // on their way, oldest first
	var fates []Fate
	settle := func() error {
		j := under[0]
		under = under[1:]
		if err := in.wait(ctx, j); err != nil {
			return err
		}
		if j.arrival.err == nil {
			fates = append(fates, j.arrival.fates...)
		}
		return j.arrival.err
	}
	for _, part := range a.parts() {
		part.believe(rules)
		j := &job{arrival: part, answers: make(chan struct{})}
		if err := in.submit(ctx, j); err != nil {
			return fates, err
		}
		if under = append(under, j); len(under) == ahead {
			if err := settle(); err != nil {
				return fates, err
			}
		}
	}
	for len(under) > 0 {
		if err := settle(); err != nil {
			return fates, err
		}
	}
	return fates, nil
}

// ahead is how many parts of an arrival are checked before the first is on disk.
const ahead = 3

// check refuses what is no span of a lane.
func (a *Arrival) check() error {
	bad := a.Node == "" || a.Lane < 0 || a.Lane >= store.Lanes || a.After < 0 || a.UpTo < a.After
	last := a.After
	for _, it := range a.Items {
		bad = bad || it.N <= last || it.N > a.UpTo
		last = it.N
	}
	if bad {
		return record.Errorf(record.Invalid, "arrive", "the bundle's numbers are out of order or outside of the span that it claims to cover")
	}
	return nil
}

// parts cuts the items into what one transaction takes. Each part covers the
// span up to its last number, the last one up to the end.
func (a *Arrival) parts() []*arriving {
	var out []*arriving
	after := a.After
	for items := a.Items; ; {
		n := min(len(items), maxBatch)
		p := &arriving{node: a.Node, lane: a.Lane, after: after, upTo: a.UpTo, items: make([]believed, n)}
		for i, it := range items[:n] {
			p.items[i].Arrived = it
		}
		if items = items[n:]; len(items) == 0 {
			return append(out, p)
		}
		p.upTo = p.items[n-1].N
		after = p.upTo
		out = append(out, p)
	}
}

// Purge removes foreign records that must not be held any longer: content, search
// rows, attachments. What is not held, or is our own, is left alone.
func (in *Intake) Purge(ctx context.Context, ps []Purge) error {
	for part := range slices.Chunk(ps, maxBatch) {
		j := &job{answers: make(chan struct{})}
		for _, p := range part {
			j.purges = append(j.purges, &purging{Purge: p})
		}
		if err := in.enqueue(ctx, j); err != nil {
			return err
		}
		for _, p := range j.purges {
			if p.err != nil {
				return p.err
			}
		}
	}
	return nil
}
