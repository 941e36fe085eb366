// Package bundle is the unit of exchange between nodes: a run of record
// versions, recalls and words for one recipient, packed with zstd, sealed with
// age to the recipient and signed by the sender. The same bytes go over HTTPS,
// through a hub that cannot read them, or on a stick.
//
// docs/bundle.md has the format with test vectors. This package is pure: it
// does no I/O beyond the readers it is given, and believes nothing: what it
// returns was opened and authenticated as the sender's, no more.
package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"hash"
	"io"
	"time"

	"filippo.io/age"

	"konbit/record"
)

// Limits. What exceeds them is refused before it is unpacked.
const (
	MaxSealed   = 8 << 20  // bytes of one bundle on the wire
	MaxUnpacked = 64 << 20 // bytes of its content
	MaxItems    = 20_000
	MaxPayload  = 1 << 20 // bytes of one record version
)

// Magic is how a bundle begins, and MaxHeader how long its header may be, signature and all.
const (
	Magic     = "kbun"
	MaxHeader = prefixSize + maxFields + sigSize
)

// Lane says in which of a stream's lanes a bundle is numbered.
type Lane uint8

// The lanes. Urgent overtakes Normal. Talk is not numbered: it is what nodes say
// to each other apart from records, once, and it may be lost.
const (
	Urgent Lane = 0
	Normal Lane = 1
	Talk   Lane = 2
)

// Header is what a relay sees of a bundle.
type Header struct {
	From, To    string    // names of nodes: "konbit.node/1a2b3c4d"
	Lane        Lane      //
	After, UpTo int64     // covers the numbers in (After, UpTo] of the lane; both 0 in Talk
	At          time.Time // when it was sealed, by the sender's clock, UTC, whole seconds
	Size        int64     // bytes of the sealed part
	Sum         [32]byte  // SHA-256 of the sealed part
	KeyID       string    // of the sender's signing key, see ledger.KeyID
}

// Sort says what an item is.
type Sort uint8

// The sorts of items.
const (
	Version Sort = 1 // a record version: Payload is the owner's exact JSON
	Recall  Sort = 2 // an intake.Recall: Payload is the owner's exact JSON
	Word    Sort = 3 // a small message: Topic and Payload (JSON), not signed by itself
)

// Item is one entry of a bundle.
type Item struct {
	Sort    Sort
	N       int64     // number in the stream; 0 in Talk
	Record  record.ID // of a Recall or a Word; zero: it concerns none. Not set for a Version
	Topic   string    // of a Word
	Payload []byte
	KeyID   string // of Version and Recall, see ledger.KeyID
	Sig     []byte // Ed25519, 64 bytes
}

// Seal makes a bundle. It sets Size, Sum and KeyID of the header. What Open would
// refuse it refuses with the same errors. to is an X25519 recipient.
func Seal(h Header, items []Item, to age.Recipient, key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, refuse(malformed, "there is no key to sign with")
	}
	h.KeyID = keyID(key.Public().(ed25519.PublicKey))
	if err := h.check(); err != nil {
		return nil, err
	}
	if err := h.checkItems(items); err != nil {
		return nil, err
	}
	content, err := encode(&h, items)
	if err != nil {
		return nil, err
	}
	sealed, err := seal(content, to)
	if err != nil {
		return nil, err
	}
	if h.Size = int64(len(sealed)); h.Size > MaxSealed {
		return nil, refuse(oversized, "it has %d bytes and may have %d", h.Size, MaxSealed)
	}
	h.Sum = sha256.Sum256(sealed)
	b := h.appendTo(make([]byte, 0, prefixSize+maxFields+sigSize+len(sealed)))
	b = append(b, ed25519.Sign(key, signed(b))...)
	return append(b, sealed...), nil
}

// ReadHeader reads the header of the next bundle in r, nothing after it, and
// verifies its signature; known returns the key of a node by key id, nil when it
// is not known. io.EOF: there is no further bundle.
//
// raw and what sealed reads are the bundle. sealed reads exactly Size bytes, and
// in place of io.EOF it returns an error where they are not those that were
// signed. It has to be read to its end before the next header.
func ReadHeader(r io.Reader, known func(node, keyID string) ed25519.PublicKey) (h Header, raw []byte, sealed io.Reader, err error) {
	raw = make([]byte, prefixSize, prefixSize+maxFields+sigSize)
	switch n, err := io.ReadFull(r, raw); {
	case n == 0 && err == io.EOF:
		return h, nil, nil, io.EOF
	case err != nil:
		return h, nil, nil, short(err)
	}
	n, err := checkPrefix(raw)
	if err != nil {
		return h, nil, nil, err
	}
	raw = raw[:prefixSize+n]
	if _, err := io.ReadFull(r, raw[prefixSize:]); err != nil {
		return h, nil, nil, short(err)
	}
	end := len(raw) - sigSize
	if h, err = parseFields(raw[prefixSize:end]); err != nil {
		return Header{}, nil, nil, err
	}
	if err := h.verify(raw[:end], raw[end:], known); err != nil {
		return Header{}, nil, nil, err
	}
	return h, raw, &body{r: r, left: h.Size, sum: h.Sum, hash: sha256.New()}, nil
}

// short tells an end before the end from a fault of the reader.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return refuse(truncated, "it ends before its end")
	}
	return err
}

// body reads a sealed part and checks it against its sum.
type body struct {
	r    io.Reader
	left int64
	sum  [32]byte
	hash hash.Hash
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		if [32]byte(b.hash.Sum(nil)) != b.sum {
			return 0, refuse(altered, "its sealed part is not the one that was signed")
		}
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.hash.Write(p[:n])
	if b.left -= int64(n); b.left == 0 {
		err = nil
	} else if err != nil {
		err = short(err)
	}
	return n, err
}

// Parse reads one whole bundle and verifies header, signature and sum, without
// opening it: what a relay does.
func Parse(b []byte, known func(node, keyID string) ed25519.PublicKey) (Header, error) {
	h, _, err := parse(b, known)
	return h, err
}

func parse(b []byte, known func(node, keyID string) ed25519.PublicKey) (h Header, sealed []byte, err error) {
	r := bytes.NewReader(b)
	h, raw, _, err := ReadHeader(r, known)
	if err == io.EOF {
		err = refuse(truncated, "it is empty")
	}
	if err != nil {
		return Header{}, nil, err
	}
	sealed = b[len(raw):]
	switch {
	case int64(len(sealed)) < h.Size:
		return Header{}, nil, refuse(truncated, "%d of its %d sealed bytes are there", len(sealed), h.Size)
	case int64(len(sealed)) > h.Size:
		return Header{}, nil, refuse(malformed, "something follows it")
	case sha256.Sum256(sealed) != h.Sum:
		return Header{}, nil, refuse(altered, "its sealed part is not the one that was signed")
	}
	return h, sealed, nil
}

// Open parses a bundle and unseals it with any of the identities. Errors are
// record.Errors whose Code is Invalid, TooLarge or Denied and whose Op is
// "bundle." and a named reason: truncated, oversized, forged, unknown-sender,
// altered, undecryptable, bomb, malformed, version.
//
// The items' numbers rise within what the header covers. That a payload is JSON,
// and what Sig is worth, is for the caller to find out.
func Open(b []byte, known func(node, keyID string) ed25519.PublicKey, ids ...age.Identity) (Header, []Item, error) {
	h, sealed, err := parse(b, known)
	if err != nil {
		return Header{}, nil, err
	}
	content, err := unseal(sealed, ids)
	if err != nil {
		return Header{}, nil, err
	}
	items, err := decode(&h, content)
	if err != nil {
		return Header{}, nil, err
	}
	return h, items, nil
}
