package ledger_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
)

// rows is a store of one entry.
type rows []ledger.Hash

func (r rows) Leaves(_ context.Context, from, to int64) ([]ledger.Hash, error) {
	return r[from:to], nil
}

func (r rows) Nodes(context.Context, int, int64, int64) ([]ledger.Hash, error) {
	return nil, nil // there are none below 256 entries
}

// The life of an entry: signed, committed, appended, covered by a checkpoint, handed to somebody who checks it offline.
func Example() {
	ctx := context.Background()
	owner := ed25519.NewKeyFromSeed([]byte("a seed that is 32 bytes long....")) // the agency's
	node := ed25519.NewKeyFromSeed([]byte("another seed of 32 bytes........"))  // the node's
	ownerPub := owner.Public().(ed25519.PublicKey)
	now := time.Date(2026, 1, 12, 16, 53, 10, 0, time.UTC)

	// One transaction of the store.
	var s ledger.Scratch
	e := ledger.Entry{
		Seq: 0, At: now, Type: "change", Agency: "ht.cc", Actor: "ht.cc/op3", Version: 1,
		Content: []byte(`{"kind":"incident"}`), Salt: []byte("16 random bytes!"), KeyID: ledger.KeyID(ownerPub),
	}
	e.Sig = ledger.Sign(owner, &s, e.Content)
	e.Commitment, _ = ledger.Commit(&s, &e)
	tree, _ := ledger.NewTree(ctx, 0, rows(nil))
	next := tree.Clone()
	nodes := next.Append([]ledger.Hash{e.Commitment}) // stored with the entry
	tree = next                                       // once the transaction has committed

	// Now and then.
	signer, _ := ledger.NewSigner("konbit.ht.cc/ledger", node)
	checkpoint, _ := ledger.SignCheckpoint(signer, "konbit.ht.cc/ledger", tree.Size(), tree.Root(), now)

	// For a court, with the content withheld.
	vkey, _ := note.NewEd25519VerifierKey("konbit.ht.cc/ledger", node.Public().(ed25519.PublicKey))
	header, _ := e.Erase(&s)
	proof, _ := ledger.NewProof(ctx, rows{e.Commitment}, header, checkpoint, vkey, ownerPub)
	file, _ := json.Marshal(proof)

	// At the court, with the key that the node publishes.
	received, _ := ledger.ParseProofFile(file)
	proved, err := received.Check(vkey)
	fmt.Println(len(nodes), proved.Header, proved.Content, proved.Trusted, err)
	// Output: 0 true false true <nil>
}
