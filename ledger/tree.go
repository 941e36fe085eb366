package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// tileBits is the number of levels between stored levels: one stored node per 256 nodes of the stored level below.
const tileBits = 8

// Node is the root of a complete subtree, which the store MUST persist in the transaction of the entries that completed
// it. It covers the entries from Index<<Level, 1<<Level of them.
type Node struct {
	Level int   // 8, 16, 24 ...
	Index int64 // position among the nodes of its level, from 0
	Hash  Hash
}

// Reader is what the tree needs of a store. Both methods return exactly to-from hashes, in order, or an error.
type Reader interface {
	// Leaves returns the commitments of the entries [from, to).
	Leaves(ctx context.Context, from, to int64) ([]Hash, error)
	// Nodes returns the stored nodes [from, to) of a level that is 8 or a multiple of it.
	Nodes(ctx context.Context, level int, from, to int64) ([]Hash, error)
}

// Tree is a Merkle tree (RFC 6962 §2.1) that grows at the end and keeps only its right edge, at most 56 hashes. The
// zero value is the empty tree. It MUST NOT be used by two goroutines at once.
type Tree struct {
	size int64
	edge []Hash // roots of the complete subtrees, one per set bit of size, the largest first
}

// NewTree rebuilds the tree of size entries from what was stored, with one read for every eight levels.
func NewTree(ctx context.Context, size int64, r Reader) (*Tree, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("ledger: tree: size %d is out of range", size)
	}
	var at []int64
	for rest := size; rest > 0; {
		level := bits.Len64(uint64(rest)) - 1
		at = append(at, tlog.StoredHashIndex(level, (size-rest)>>level))
		rest -= 1 << level
	}
	edge, err := NewHashReader(ctx, r).ReadHashes(at)
	if err != nil {
		return nil, err
	}
	return &Tree{size: size, edge: edge}, nil
}

// Append adds entries by their commitments and returns the nodes that the store must persist with them. A caller that
// may have to roll back appends to a Clone.
func (t *Tree) Append(commitments []Hash) []Node {
	var nodes []Node
	for i := range commitments {
		h := leafHash(&commitments[i])
		level := 0
		for ; t.size>>level&1 == 1; level++ {
			last := len(t.edge) - 1
			h = tlog.NodeHash(t.edge[last], h)
			t.edge = t.edge[:last]
			if (level+1)%tileBits == 0 {
				nodes = append(nodes, Node{Level: level + 1, Index: t.size >> (level + 1), Hash: h})
			}
		}
		t.edge = append(t.edge, h)
		t.size++
	}
	return nodes
}

// Root returns the tree's root; that of the empty tree is the SHA-256 of nothing.
func (t *Tree) Root() Hash {
	if len(t.edge) == 0 {
		return sha256.Sum256(nil)
	}
	h := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}

// Size returns the number of entries.
func (t *Tree) Size() int64 { return t.size }

// Clone returns an independent copy.
func (t *Tree) Clone() *Tree { return &Tree{size: t.size, edge: slices.Clone(t.edge)} }

// leafHash is tlog.RecordHash without its allocation.
func leafHash(c *Hash) Hash {
	var b [1 + tlog.HashSize]byte
	copy(b[1:], c[:])
	return sha256.Sum256(b[:])
}

// NewHashReader adapts r to the proof algorithms of tlog. Of each call the nodes that lie under one stored node are
// read together, so that a proof costs at most two reads for every eight levels.
func NewHashReader(ctx context.Context, r Reader) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
		tiles := make(map[tileID]*tile)
		for _, x := range indexes {
			n := locate(x)
			if t := tiles[n.tile]; t == nil {
				tiles[n.tile] = &tile{from: n.from, to: n.to}
			} else {
				t.from, t.to = min(t.from, n.from), max(t.to, n.to)
			}
		}
		out := make([]Hash, len(indexes))
		for i, x := range indexes {
			n := locate(x)
			t := tiles[n.tile]
			if t.hashes == nil {
				if err := t.read(ctx, r, n.tile.level); err != nil {
					return nil, err
				}
			}
			out[i] = subtree(t.hashes[n.from-t.from : n.to-t.from])
		}
		return out, nil
	})
}

// tileID names the 256 nodes of a stored level (or of the leaves, level 0) that share a stored node above them.
type tileID struct {
	level int
	index int64
}

// tile is the part of one that a call needs.
type tile struct {
	from, to int64
	hashes   []Hash
}

func (t *tile) read(ctx context.Context, r Reader, level int) error {
	var hs []Hash
	var err error
	if level == 0 {
		hs, err = r.Leaves(ctx, t.from, t.to)
	} else {
		hs, err = r.Nodes(ctx, level, t.from, t.to)
	}
	if err != nil {
		return fmt.Errorf("ledger: read level %d, %d to %d: %w", level, t.from, t.to, err)
	}
	if int64(len(hs)) != t.to-t.from {
		return fmt.Errorf("ledger: read level %d, %d to %d: got %d hashes", level, t.from, t.to, len(hs))
	}
	t.hashes = hs
	if level == 0 {
		t.hashes = make([]Hash, len(hs))
		for i := range hs {
			t.hashes[i] = leafHash(&hs[i])
		}
	}
	return nil
}

// place is where a node of the tree comes from: the nodes [from, to) of a tile.
type place struct {
	tile     tileID
	from, to int64
}

func locate(index int64) place {
	level, n := tlog.SplitStoredHashIndex(index)
	up := level % tileBits
	from := n << up
	return place{tileID{level - up, from >> tileBits}, from, from + 1<<up}
}

// subtree is the root over a power of two of nodes.
func subtree(hs []Hash) Hash {
	if len(hs) == 1 {
		return hs[0]
	}
	half := len(hs) / 2
	return tlog.NodeHash(subtree(hs[:half]), subtree(hs[half:]))
}
