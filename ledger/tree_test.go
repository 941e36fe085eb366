package ledger

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// reference is tlog's own tree, with all its hashes in memory.
type reference struct{ stored []Hash }

func (r *reference) ReadHashes(at []int64) ([]Hash, error) {
	out := make([]Hash, len(at))
	for i, x := range at {
		out[i] = r.stored[x]
	}
	return out, nil
}

func newReference(size int) *reference {
	r := new(reference)
	for i := range size {
		c := commitment(i)
		hs, err := tlog.StoredHashes(int64(i), c[:], r)
		if err != nil {
			panic(err)
		}
		r.stored = append(r.stored, hs...)
	}
	return r
}

const bigSize = 1<<16 + 1<<9 + 77 // a node of level 16, some of level 8, and loose leaves

func TestRootEqualsThatOfTlog(t *testing.T) {
	ref := newReference(bigSize)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 1200), rapid.SampledFrom([]int{1 << 16, 1<<16 - 1, 1<<16 + 1, bigSize})).Draw(t, "size")
		_, tree := newShelf(size)
		want, _ := tlog.TreeHash(int64(size), ref)
		if got := tree.Root(); got != want {
			t.Errorf("root of %d is %s, want %s", size, got, want)
		}
	})
}

func TestAppendInBatchesIsTheSameAsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 3000).Draw(t, "size")
		one, oneTree := new(shelf), new(Tree)
		for i := range size {
			one.put(oneTree, commitments(i, i+1))
		}
		many, manyTree := new(shelf), new(Tree)
		for at := 0; at < size; {
			to := min(size, at+rapid.IntRange(0, 700).Draw(t, "batch"))
			many.put(manyTree, commitments(at, to))
			at = to
		}
		if len(one.nodes[8]) != size/256 {
			t.Errorf("%d nodes of level 8 for %d entries", len(one.nodes[8]), size)
		}
		if one.nodes == nil {
			one.nodes = make(map[int][]Hash)
		}
		if many.nodes == nil {
			many.nodes = make(map[int][]Hash)
		}
		if !cmp.Equal(one.nodes, many.nodes) || !cmp.Equal(oneTree.edge, manyTree.edge) {
			t.Error("nodes or edge differ")
		}
	})
}

func TestNewTreeFromStorageEqualsTheTreeThatWasAppended(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 255, 256, 257, 511, 512, 1000, 1 << 16, bigSize} {
		s, tree := newShelf(size)
		got, err := NewTree(t.Context(), int64(size), s)
		if err != nil {
			t.Fatal(err)
		}
		if got.Size() != tree.Size() || got.Root() != tree.Root() {
			t.Errorf("size %d: differs", size)
		}
		if s.reads > 3 {
			t.Errorf("size %d: %d reads", size, s.reads)
		}
		a, b := got.Append(commitments(size, size+600)), tree.Append(commitments(size, size+600))
		if diff := cmp.Diff(b, a); diff != "" || got.Root() != tree.Root() {
			t.Errorf("size %d: grows differently: %s", size, diff)
		}
	}
}

func TestNewTreeRefusesSizesAndPassesErrorsOn(t *testing.T) {
	for _, size := range []int64{-1, MaxSize + 1, 1<<63 - 1} {
		if _, err := NewTree(t.Context(), size, new(shelf)); err == nil {
			t.Errorf("size %d accepted", size)
		}
	}
	broken := errors.New("disk")
	if _, err := NewTree(t.Context(), 3, failing{broken}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := NewTree(t.Context(), 3, failing{nil}); err == nil {
		t.Error("too few hashes accepted")
	}
}

// failing answers with an error, or without one and without hashes.
type failing struct{ err error }

func (f failing) Leaves(context.Context, int64, int64) ([]Hash, error)     { return nil, f.err }
func (f failing) Nodes(context.Context, int, int64, int64) ([]Hash, error) { return nil, f.err }

func TestCloneIsIndependent(t *testing.T) {
	_, tree := newShelf(1000)
	root := tree.Root()
	tree.Clone().Append(commitments(5, 700))
	if tree.Size() != 1000 || tree.Root() != root {
		t.Error("appending to a clone changed the original")
	}
	a, b := tree.Clone(), tree.Clone()
	a.Append(commitments(0, 30))
	b.Append(commitments(30, 60))
	a.Append(commitments(60, 61))
	_, want := newShelf(1000)
	want.Append(commitments(0, 30))
	want.Append(commitments(60, 61))
	if a.Root() != want.Root() {
		t.Error("two clones share an edge")
	}
}

func TestEveryInclusionProofChecks(t *testing.T) {
	const most = 70
	s, _ := newShelf(most)
	ref := newReference(most)
	for size := int64(1); size <= most; size++ {
		root, _ := tlog.TreeHash(size, ref)
		for seq := range size {
			p, err := ProveInclusion(t.Context(), s, size, seq)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := tlog.ProveRecord(size, seq, ref)
			if !cmp.Equal(p, Proof(want)) {
				t.Fatalf("proof of %d in %d differs from tlog's", seq, size)
			}
			if err := CheckInclusion(p, size, root, seq, s.leaves[seq]); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestEveryConsistencyProofChecks(t *testing.T) {
	const most = 70
	s, _ := newShelf(most)
	var roots []Hash
	for size := range int64(most + 1) {
		root, err := RootAt(t.Context(), s, size)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
		for old := range size + 1 {
			p, err := ProveConsistency(t.Context(), s, old, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(p, old, roots[old], size, root); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestProofsOfALargeTree(t *testing.T) {
	s, tree := newShelf(bigSize)
	ref := newReference(bigSize)
	root := tree.Root()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, bigSize).Draw(t, "size")
		seq := rapid.Int64Range(0, size-1).Draw(t, "seq")
		sizeRoot, _ := tlog.TreeHash(size, ref)
		s.reads = 0
		p, err := ProveInclusion(context.Background(), s, size, seq)
		if err != nil {
			t.Fatal(err)
		}
		if s.reads > 6 {
			t.Errorf("%d reads for one proof", s.reads)
		}
		if err := CheckInclusion(p, size, sizeRoot, seq, s.leaves[seq]); err != nil {
			t.Error(err)
		}
		c, err := ProveConsistency(context.Background(), s, size, bigSize)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckConsistency(c, size, sizeRoot, bigSize, root); err != nil {
			t.Error(err)
		}
	})
}

func TestFlippedBitInAProofIsFound(t *testing.T) {
	s, tree := newShelf(1000)
	root := tree.Root()
	oldRoot, _ := RootAt(t.Context(), s, 300)
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.Int64Range(0, 999).Draw(t, "seq")
		p, _ := ProveInclusion(context.Background(), s, 1000, seq)
		c, _ := ProveConsistency(context.Background(), s, 300, 1000)
		bit := rapid.IntRange(0, 255).Draw(t, "bit")
		p[rapid.IntRange(0, len(p)-1).Draw(t, "hash")][bit/8] ^= 1 << (bit % 8)
		if CheckInclusion(p, 1000, root, seq, s.leaves[seq]) == nil {
			t.Error("inclusion")
		}
		c[rapid.IntRange(0, len(c)-1).Draw(t, "other")][bit/8] ^= 1 << (bit % 8)
		if CheckConsistency(c, 300, oldRoot, 1000, root) == nil {
			t.Error("consistency")
		}
	})
}

func TestChecksRefuseWhatIsOutOfRange(t *testing.T) {
	var h Hash
	for _, tt := range [][2]int64{{-1, 1}, {1, 1}, {0, 0}, {0, 1 << 62}, {1 << 62, 1<<63 - 1}, {5, -3}} {
		if CheckInclusion(nil, tt[1], h, tt[0], h) == nil {
			t.Errorf("inclusion of %d in %d", tt[0], tt[1])
		}
		if _, err := ProveInclusion(t.Context(), new(shelf), tt[1], tt[0]); err == nil {
			t.Errorf("proof of %d in %d", tt[0], tt[1])
		}
	}
	empty := new(Tree).Root()
	for _, tt := range []struct {
		p        Proof
		old      int64
		oldRoot  Hash
		size     int64
		sizeRoot Hash
	}{
		{nil, -1, h, 1, h}, {nil, 2, h, 1, h}, {nil, 1, h, 1<<63 - 1, h},
		{Proof{h}, 0, empty, 1, h}, {nil, 0, h, 1, h}, {nil, 0, empty, 0, h}, {nil, 1, empty, 1, h},
	} {
		if CheckConsistency(tt.p, tt.old, tt.oldRoot, tt.size, tt.sizeRoot) == nil {
			t.Errorf("consistency of %d and %d", tt.old, tt.size)
		}
	}
}
