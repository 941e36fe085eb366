package ledger

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is something in a ledger that is not as it was when it was written.
type Fault struct {
	Seq    int64    // entry; of a node or checkpoint the first or last entry that it covers; -1 if it covers none
	Record [16]byte // record of that entry, where it is known
	What   string
}

// Error names entry, record and what differs.
func (f *Fault) Error() string {
	if f.Record == ([16]byte{}) {
		return fmt.Sprintf("ledger: entry %d: %s", f.Seq, f.What)
	}
	return fmt.Sprintf("ledger: entry %d, record %s: %s", f.Seq, uuid(f.Record), f.What)
}

// Report is what a whole ledger was found to be.
type Report struct {
	Size   int64
	Root   Hash
	Signed int64 // record signatures verified

	// Erased lists the entries without content. The caller MUST check that each is named by an entry of type "erase":
	// the tree cannot tell a court's erasure from a vandal's.
	Erased []int64
	Bare   int64 // of these, those without a digest: their headers are not authenticated either

	Checkpoints int   // compared with the tree
	Covered     int64 // entries under the largest of them; whoever can write the store can rewrite those after it

	Backwards       int64         // entries that are earlier than the one before
	MaxBackwards    time.Duration // the largest such step
	MaxBackwardsSeq int64         // and the entry that took it
}

// Verifier checks a whole ledger from its first entry to its last, with memory for one batch and the list of what was
// erased. It does not look into contents: that a signed payload says the same as the header beside it, and that the
// records equal the entries, is for the caller to check.
//
// The order of calls is Expect, then AddBatch or Add, then Finish. The first error is final: a *Fault, or the Reader's.
// A Verifier MUST NOT be used by two goroutines at once.
type Verifier struct {
	lookup func(agency, keyID string) ed25519.PublicKey
	keys   map[keyRef]key
	nodes  Reader
	expect []Checkpoint // not yet reached, by size
	tree   Tree
	last   time.Time
	report Report
	err    error
}

type keyRef struct{ agency, id string }

type key struct {
	pub ed25519.PublicKey
	bad string
}

// NewVerifier makes a Verifier. keys returns the public key of an agency by its id, or nil; it is asked once per key and
// never concurrently. nodes gives the stored nodes to compare; nil where there are none, as in an exported ledger.
func NewVerifier(keys func(agency, keyID string) ed25519.PublicKey, nodes Reader) *Verifier {
	return &Verifier{lookup: keys, keys: make(map[keyRef]key), nodes: nodes}
}

// Expect names checkpoints, in any order, that the ledger has to agree with when it gets to their size. Those kept by
// peers are worth more than those kept beside the ledger. It MUST be called before the first entry.
func (v *Verifier) Expect(cs ...Checkpoint) error {
	if v.tree.size != 0 || v.err != nil {
		return fmt.Errorf("ledger: verify: checkpoints have to be named before the first entry")
	}
	v.expect = append(v.expect, cs...)
	slices.SortStableFunc(v.expect, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return nil
}

// Add checks the next entry.
func (v *Verifier) Add(ctx context.Context, e Entry) error { return v.AddBatch(ctx, []Entry{e}) }

// AddBatch checks the next entries, with a goroutine per processor that ends before it returns. Batches of some
// thousands keep reads and goroutines rare.
func (v *Verifier) AddBatch(ctx context.Context, es []Entry) error {
	if v.err == nil {
		v.err = v.add(ctx, es)
	}
	return v.err
}

func (v *Verifier) add(ctx context.Context, es []Entry) error {
	var gap *Fault
	for i := range es {
		if want := v.tree.size + int64(i); es[i].Seq != want {
			gap = &Fault{want, es[i].Record, fmt.Sprintf("entry %d stands where %d belongs", es[i].Seq, want)}
			es = es[:i]
			break
		}
	}
	if f := v.check(es); f != nil {
		return f
	}
	for i := range es {
		v.count(&es[i])
	}
	if err := v.grow(ctx, es); err != nil {
		return err
	}
	if gap != nil {
		return gap
	}
	return nil
}

// chunk is how many entries a worker takes at a time: some milliseconds' worth of signatures.
const chunk = 64

// check checks each entry by itself and returns the fault of the first that has one.
func (v *Verifier) check(es []Entry) *Fault {
	keys := make([]key, len(es))
	for i := range es {
		if len(es[i].Sig) != 0 {
			keys[i] = v.key(&es[i])
		}
	}
	chunks := (len(es) + chunk - 1) / chunk
	faults := make([]*Fault, chunks)
	var next atomic.Int64
	work := func() {
		var s Scratch
		for {
			c := int(next.Add(1)) - 1
			if c >= chunks {
				return
			}
			for i := c * chunk; i < min((c+1)*chunk, len(es)); i++ {
				if what := checkOne(&s, &es[i], keys[i]); what != "" {
					faults[c] = &Fault{es[i].Seq, es[i].Record, what}
					break
				}
			}
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), chunks) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

func checkOne(s *Scratch, e *Entry, k key) string {
	if what := e.wrong(s); what != "" {
		return what
	}
	if len(e.Sig) == 0 {
		return ""
	}
	if k.bad != "" {
		return k.bad
	}
	if !verifySig(s, k.pub, e.Content, e.Sig) {
		return fmt.Sprintf("signature by key %s of %s does not fit the content", e.KeyID, e.Agency)
	}
	return ""
}

func (v *Verifier) key(e *Entry) key {
	ref := keyRef{e.Agency, e.KeyID}
	k, ok := v.keys[ref]
	if !ok {
		k.pub = v.lookup(e.Agency, e.KeyID)
		if len(k.pub) == 0 {
			k.bad = fmt.Sprintf("no public key is known for key %q of %q", e.KeyID, e.Agency)
		} else if id := KeyID(k.pub); id != e.KeyID {
			k.bad = fmt.Sprintf("the public key held for key %q of %q has id %s", e.KeyID, e.Agency, id)
		}
		v.keys[ref] = k
	}
	return k
}

// count adds a sound entry to the report.
func (v *Verifier) count(e *Entry) {
	r := &v.report
	if len(e.Sig) != 0 {
		r.Signed++
	}
	if e.Erased() {
		r.Erased = append(r.Erased, e.Seq)
		if e.Digest == (Hash{}) {
			r.Bare++
		}
	}
	if e.Seq > 0 && e.At.Before(v.last) {
		r.Backwards++
		if d := v.last.Sub(e.At); d > r.MaxBackwards {
			r.MaxBackwards, r.MaxBackwardsSeq = d, e.Seq
		}
	}
	v.last = e.At
}

// grow appends to the tree, stopping where a checkpoint is expected, and compares the nodes that come out.
func (v *Verifier) grow(ctx context.Context, es []Entry) error {
	commitments := make([]Hash, len(es))
	for i := range es {
		commitments[i] = es[i].Commitment
	}
	if err := v.meet(); err != nil {
		return err
	}
	for len(commitments) > 0 {
		n := len(commitments)
		if len(v.expect) > 0 {
			n = int(min(int64(n), v.expect[0].Size-v.tree.size))
		}
		if err := v.compare(ctx, v.tree.Append(commitments[:n])); err != nil {
			return err
		}
		if err := v.meet(); err != nil {
			return err
		}
		commitments = commitments[n:]
	}
	return nil
}

// meet compares the checkpoints of the tree's present size.
func (v *Verifier) meet() error {
	for ; len(v.expect) > 0 && v.expect[0].Size <= v.tree.size; v.expect = v.expect[1:] {
		c := v.expect[0]
		if root := v.tree.Root(); root != c.Root {
			return &Fault{Seq: c.Size - 1, What: fmt.Sprintf("checkpoint of %s for %d entries has root %s, these entries have %s", c.Origin, c.Size, c.Root, root)}
		}
		v.report.Checkpoints++
		v.report.Covered = c.Size
	}
	return nil
}

// compare compares nodes with those that were stored, with one read per level.
func (v *Verifier) compare(ctx context.Context, nodes []Node) error {
	if v.nodes == nil {
		return nil
	}
	for level := tileBits; len(nodes) > 0; level += tileBits {
		var at, above []Node
		for _, n := range nodes {
			if n.Level == level {
				at = append(at, n)
			} else {
				above = append(above, n)
			}
		}
		nodes = above
		if len(at) == 0 {
			continue
		}
		from, to := at[0].Index, at[len(at)-1].Index+1
		stored, err := v.nodes.Nodes(ctx, level, from, to)
		if err != nil {
			return fmt.Errorf("ledger: verify: read nodes of level %d, %d to %d: %w", level, from, to, err)
		}
		for i, n := range at {
			seq := n.Index << level
			if i >= len(stored) {
				return &Fault{Seq: seq, What: fmt.Sprintf("stored node %d of level %d is missing", n.Index, level)}
			}
			if stored[i] != n.Hash {
				return &Fault{Seq: seq, What: fmt.Sprintf("stored node %d of level %d is %s, its entries make %s", n.Index, level, stored[i], n.Hash)}
			}
		}
	}
	return nil
}

// Finish ends the check. An expected checkpoint that was not reached is a fault: entries are missing at the end.
func (v *Verifier) Finish() (Report, error) {
	if v.err == nil {
		v.err = v.meet()
	}
	if v.err == nil && len(v.expect) > 0 {
		c := v.expect[0]
		v.err = &Fault{Seq: v.tree.size, What: fmt.Sprintf("the ledger ends here, but a checkpoint of %s has %d entries", c.Origin, c.Size)}
	}
	if v.err != nil {
		return Report{}, v.err
	}
	v.report.Size, v.report.Root = v.tree.size, v.tree.Root()
	return v.report, nil
}
