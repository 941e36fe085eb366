package bundle

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"

	"filippo.io/age"

	"konbit/record"
)

// encode makes the content of a bundle.
func encode(h *Header, items []Item) ([]byte, error) {
	p := pack(h.At.Unix()*1e6, items)
	if len(p.packed) > MaxUnpacked {
		return nil, refuse(oversized, "its content has more than %d bytes", MaxUnpacked)
	}
	small, err := squeeze(p.packed)
	if err != nil {
		return nil, err
	}
	bits := p.bits.bytes()
	b := make([]byte, 0, len(small)+len(bits)+len(p.sigs)+len(p.ring)+64)
	b, _ = hex.AppendDecode(b, []byte(h.KeyID))
	b = binary.AppendUvarint(b, uint64(len(items)))
	b = binary.AppendUvarint(b, uint64(len(p.keys)))
	b = append(b, p.ring...)
	b = append(binary.AppendUvarint(b, uint64(len(small))), small...)
	b = append(binary.AppendUvarint(b, uint64(len(bits))), bits...)
	return append(b, p.sigs...), nil
}

// decode undoes encode. It is what an attacker reaches who holds a key that is
// trusted, so it MUST stand any input.
func decode(h *Header, content []byte) ([]Item, error) {
	r := reader{b: content}
	sender := hex.EncodeToString(r.take(keySize))
	rows, keys := r.uvarint(), r.uvarint()
	if rows > MaxItems || keys > MaxItems {
		return nil, refuse(bomb, "it has more than %d items", MaxItems)
	}
	ring := r.take(keys * keySize)
	small := r.take(r.uvarint())
	bits := r.take(r.uvarint())
	if r.bad {
		return nil, refuse(malformed, "its content ends before its end")
	}
	// Without this, who takes a sealed part off the wire could sign it as his.
	if sender != h.KeyID {
		return nil, refuse(forged, "it was sealed by another than who signed it")
	}
	columns, err := unsqueeze(small)
	if err != nil {
		return nil, err
	}
	u, err := newUnpacker(h.At.Unix()*1e6, rows, ring, columns, bits, r.b)
	if err != nil {
		return nil, err
	}
	items, err := u.items()
	if err != nil {
		return nil, err
	}
	return items, h.checkItems(items)
}

// checkItems refuses what no items may be under this header.
func (h *Header) checkItems(items []Item) error {
	if len(items) > MaxItems {
		return refuse(oversized, "it has %d items and may have %d", len(items), MaxItems)
	}
	last, total := h.After, 0
	for i := range items {
		it := &items[i]
		if h.Lane == Talk && (it.N != 0 || it.Sort != Word) {
			return refuse(malformed, "item %d is no talk", i)
		}
		if h.Lane != Talk && (it.N <= last || it.N > h.UpTo) {
			return refuse(malformed, "item %d has number %d, which is out of its place", i, it.N)
		}
		last = it.N
		if total += len(it.Payload); len(it.Payload) > MaxPayload || total > MaxUnpacked {
			return refuse(oversized, "item %d is too long", i)
		}
		if !it.sound() {
			return refuse(malformed, "item %d does not have what its sort needs", i)
		}
	}
	return nil
}

// sound reports whether an item has what its sort needs, and nothing else.
func (it *Item) sound() bool {
	if it.Sort == Word {
		return record.Token(it.Topic) && it.KeyID == "" && len(it.Sig) == 0 && (it.Record.IsZero() || version7(it.Record))
	}
	key, err := hex.DecodeString(it.KeyID)
	if err != nil || len(key) != keySize || hex.EncodeToString(key) != it.KeyID || len(it.Sig) != sigSize || it.Topic != "" {
		return false
	}
	switch it.Sort {
	case Version:
		return it.Record.IsZero()
	case Recall:
		return version7(it.Record)
	}
	return false
}

func version7(id record.ID) bool { return joinIdent(splitIdent(id)) == id }

// sealHead is the length of the header of an age file for one X25519 recipient,
// and where its last line begins: all are alike but for base64 of fixed length.
const (
	sealIntro = "age-encryption.org/v1\n-> X25519 "
	sealMAC   = 119
	sealHead  = 168
)

// seal encrypts to the recipient (age-encryption.org/v1).
func seal(content []byte, to age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	if to == nil {
		return nil, refuse(malformed, "it is sealed to nobody")
	}
	w, err := age.Encrypt(&b, to)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, because(err, malformed, "it cannot be sealed")
	}
	if !oneRecipient(b.Bytes()) {
		return nil, refuse(malformed, "it is not sealed to one X25519 recipient")
	}
	return b.Bytes(), nil
}

// oneRecipient reports whether an age file has one X25519 recipient and nothing
// else in its header, so that no header makes work.
func oneRecipient(b []byte) bool {
	return len(b) > sealHead && bytes.HasPrefix(b, []byte(sealIntro)) && bytes.HasPrefix(b[sealMAC:], []byte("\n--- ")) && b[sealHead-1] == '\n'
}

func unseal(sealed []byte, ids []age.Identity) ([]byte, error) {
	if !oneRecipient(sealed) {
		return nil, refuse(undecryptable, "it is not sealed to one recipient")
	}
	if len(ids) == 0 {
		return nil, refuse(undecryptable, "there is no key to open it")
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		return nil, because(err, undecryptable, "it is sealed to somebody else")
	}
	var b bytes.Buffer
	b.Grow(len(sealed))
	if _, err := b.ReadFrom(r); err != nil {
		return nil, because(err, undecryptable, "its seal is broken")
	}
	return b.Bytes(), nil
}
