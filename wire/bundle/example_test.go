package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"konbit/wire/bundle"
)

// The way of a bundle: packed and sealed by its sender, looked at by a hub that
// cannot read it, opened by its recipient.
func Example() {
	link := ed25519.NewKeyFromSeed([]byte("the link key of the sender's....")) // the sender's
	seal, _ := age.GenerateX25519Identity()                                    // the recipient's

	// The agency's, whose signature over the record is the record's proof.
	agency := ed25519.NewKeyFromSeed([]byte("the key of an agency, 32 bytes.."))
	sum := sha256.Sum256(agency.Public().(ed25519.PublicKey))
	payload := []byte(`{"kind":"note","owner":"ht.cc","version":1}`)

	// At the sender: numbers 40 and 41 were replaced by newer ones, and are left out.
	file, err := bundle.Seal(
		bundle.Header{From: "konbit.node/1a2b3c4d", To: "konbit.node/5e6f7081", Lane: bundle.Normal, After: 39, UpTo: 42, At: time.Date(2026, 1, 12, 16, 53, 10, 0, time.UTC)},
		[]bundle.Item{{Sort: bundle.Version, N: 42, Payload: payload, KeyID: hex.EncodeToString(sum[:8]), Sig: ed25519.Sign(agency, payload)}},
		seal.Recipient(), link)
	if err != nil {
		fmt.Println(err)
		return
	}

	// At a hub, or from a stick: one after the other.
	known := func(node, keyID string) ed25519.PublicKey {
		if node == "konbit.node/1a2b3c4d" {
			return link.Public().(ed25519.PublicKey)
		}
		return nil
	}
	stick := bytes.NewReader(append(bytes.Clone(file), file...))
	for {
		h, raw, sealed, err := bundle.ReadHeader(stick, known)
		if err == io.EOF {
			break
		}
		body, _ := io.ReadAll(sealed)
		fmt.Println(h.From, "to", h.To, h.After, h.UpTo, len(raw)+len(body) == len(file))
	}

	// At the recipient.
	_, items, err := bundle.Open(file, known, seal)
	fmt.Println(items[0].N, string(items[0].Payload), err)

	// At anybody else.
	stranger, _ := age.GenerateX25519Identity()
	_, _, err = bundle.Open(file, known, stranger)
	fmt.Println(err != nil)
	// Output:
	// konbit.node/1a2b3c4d to konbit.node/5e6f7081 39 42 true
	// konbit.node/1a2b3c4d to konbit.node/5e6f7081 39 42 true
	// 42 {"kind":"note","owner":"ht.cc","version":1} <nil>
	// true
}
