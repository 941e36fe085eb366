package ledger

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// shelf is storage in memory; it counts reads, because a proof is supposed to need few.
type shelf struct {
	leaves []Hash
	nodes  map[int][]Hash
	reads  int
}

func (s *shelf) Leaves(_ context.Context, from, to int64) ([]Hash, error) {
	s.reads++
	if to-from > 1<<tileBits {
		return nil, fmt.Errorf("read of %d leaves", to-from)
	}
	return slices.Clone(s.leaves[from:to]), nil
}

func (s *shelf) Nodes(_ context.Context, level int, from, to int64) ([]Hash, error) {
	s.reads++
	return slices.Clone(s.nodes[level][from:to]), nil
}

func (s *shelf) put(t *Tree, commitments []Hash) {
	if s.nodes == nil {
		s.nodes = make(map[int][]Hash)
	}
	s.leaves = append(s.leaves, commitments...)
	for _, n := range t.Append(commitments) {
		if n.Index != int64(len(s.nodes[n.Level])) {
			panic(fmt.Sprintf("node %d of level %d does not follow the one before", n.Index, n.Level))
		}
		s.nodes[n.Level] = append(s.nodes[n.Level], n.Hash)
	}
}

func commitment(i int) (h Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(i)*0x9e3779b97f4a7c15)
	return h
}

func commitments(from, to int) []Hash {
	hs := make([]Hash, 0, to-from)
	for i := from; i < to; i++ {
		hs = append(hs, commitment(i))
	}
	return hs
}

func newShelf(size int) (*shelf, *Tree) {
	s, t := new(shelf), new(Tree)
	s.put(t, commitments(0, size))
	return s, t
}

// testKey is a key made of its name.
func testKey(name string) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	return ed25519.NewKeyFromSeed(seed)
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func testSigner(t testing.TB, name string) (note.Signer, string, note.Verifier) {
	t.Helper()
	k := testKey(name)
	s, err := NewSigner(name, k)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := note.NewEd25519VerifierKey(name, public(k))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey, v
}

var (
	ownerKey = testKey("ht.pnh")
	start    = time.Date(2026, 1, 12, 16, 53, 10, 123456000, time.UTC)
)

// testEntry is the seq-th of a ledger: a signed change, or every third time an unsigned look.
func testEntry(seq int) Entry {
	e := Entry{
		Seq: int64(seq), At: start.Add(time.Duration(seq) * time.Millisecond), Type: "change",
		Agency: "ht.pnh", Actor: "ht.pnh/op3", Version: 1 + seq%4,
		Content: fmt.Appendf(nil, `{"kind":"incident","n":%d,"place":"Léogâne"}`, seq),
		Salt:    fmt.Appendf(nil, "salt%012d", seq),
	}
	binary.BigEndian.PutUint64(e.Record[8:], uint64(seq+1))
	if seq%3 == 2 {
		e.Type, e.Record = "look", [16]byte{}
	} else {
		e.KeyID = KeyID(public(ownerKey))
		e.Sig = Sign(ownerKey, nil, e.Content)
	}
	e.Commitment = mustCommit(&e)
	return e
}

func mustCommit(e *Entry) Hash {
	h, err := Commit(nil, e)
	if err != nil {
		panic(err)
	}
	return h
}

func testEntries(n int) []Entry {
	es := make([]Entry, n)
	for i := range es {
		es[i] = testEntry(i)
	}
	return es
}

func shelve(es []Entry) (*shelf, *Tree) {
	s, t := new(shelf), new(Tree)
	for _, e := range es {
		s.put(t, []Hash{e.Commitment})
	}
	return s, t
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
