package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// The parts of a header, see docs/bundle.md.
const (
	magic       = Magic
	formatNow   = 1                  // version of the format
	prefixSize  = len(magic) + 1 + 2 // magic, version, length of the fields
	fixedSize   = 1 + 3*8 + 4 + 32 + keySize
	maxName     = 100
	maxFields   = fixedSize + 2*(1+maxName)
	keySize     = 8
	sigSize     = ed25519.SignatureSize
	lastSecond  = 253402300799 // of the year 9999
	payloadType = "application/vnd.konbit.bundle"
)

// keyID names a public key, see ledger.KeyID.
func keyID(pub ed25519.PublicKey) string {
	h := sha256.Sum256(pub)
	return hex.EncodeToString(h[:keySize])
}

// signed returns what the signature covers: the DSSE v1 pre-authentication
// encoding (DSSE protocol.md, "PAE"), so that no signature of a bundle can pass
// for one of something else.
func signed(header []byte) []byte {
	b := append([]byte("DSSEv1 "), strconv.Itoa(len(payloadType))...)
	b = append(append(b, ' '), payloadType...)
	b = append(strconv.AppendInt(append(b, ' '), int64(len(header)), 10), ' ')
	return append(b, header...)
}

// appendTo writes the header without its signature.
func (h *Header) appendTo(b []byte) []byte {
	b = append(append(b, magic...), formatNow)
	b = binary.BigEndian.AppendUint16(b, uint16(fixedSize+2+len(h.From)+len(h.To)))
	b = append(b, byte(h.Lane))
	b = binary.BigEndian.AppendUint64(b, uint64(h.After))
	b = binary.BigEndian.AppendUint64(b, uint64(h.UpTo))
	b = binary.BigEndian.AppendUint64(b, uint64(h.At.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(h.Size))
	b = append(b, h.Sum[:]...)
	b, _ = hex.AppendDecode(b, []byte(h.KeyID))
	b = append(append(b, byte(len(h.From))), h.From...)
	return append(append(b, byte(len(h.To))), h.To...)
}

// checkPrefix returns how long the fields and the signature are.
func checkPrefix(b []byte) (n int, err error) {
	if string(b[:len(magic)]) != magic {
		return 0, refuse(malformed, "it does not begin like one")
	}
	if v := b[len(magic)]; v != formatNow {
		return 0, refuse(version, "it is of version %d of the format, and this node reads %d", v, formatNow)
	}
	n = int(binary.BigEndian.Uint16(b[len(magic)+1:]))
	if n > maxFields {
		return 0, refuse(oversized, "its header has %d bytes and may have %d", n, maxFields)
	}
	return n + sigSize, nil
}

// parseFields reads the fields between prefix and signature.
func parseFields(b []byte) (h Header, err error) {
	r := reader{b: b}
	number := func() int64 {
		v := uint64(0)
		if b := r.take(8); b != nil {
			v = binary.BigEndian.Uint64(b)
		}
		if v > math.MaxInt64 {
			r.fail()
		}
		return int64(v)
	}
	h.Lane = Lane(r.byte())
	h.After, h.UpTo = number(), number()
	at := number()
	h.At = time.Unix(at, 0).UTC()
	if b := r.take(4); b != nil {
		h.Size = int64(binary.BigEndian.Uint32(b))
	}
	copy(h.Sum[:], r.take(32))
	h.KeyID = hex.EncodeToString(r.take(keySize))
	h.From = string(r.take(uint64(r.byte())))
	h.To = string(r.take(uint64(r.byte())))
	if r.bad || len(r.b) > 0 || at > lastSecond {
		return Header{}, refuse(malformed, "its header cannot be read")
	}
	return h, h.check()
}

// check refuses what no header may say.
func (h *Header) check() error {
	switch {
	case !nodeName(h.From) || !nodeName(h.To):
		return refuse(malformed, "it does not name two nodes")
	case h.At.Unix() < 0 || h.At.Unix() > lastSecond:
		return refuse(malformed, "its time cannot be")
	case h.Lane > Talk:
		return refuse(malformed, "it is in lane %d, which does not exist", h.Lane)
	case h.Lane == Talk && (h.After != 0 || h.UpTo != 0):
		return refuse(malformed, "talk is not numbered")
	case h.Lane != Talk && (h.After < 0 || h.UpTo <= h.After):
		return refuse(malformed, "it covers no numbers")
	case h.Size > MaxSealed:
		return refuse(oversized, "it has %d bytes and may have %d", h.Size, MaxSealed)
	}
	return nil
}

// nodeName reports whether s can be the name of a node: "konbit.node/1a2b3c4d".
func nodeName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '/' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// verify checks the signature of a header under the key that is known.
func (h *Header) verify(header, sig []byte, known func(node, keyID string) ed25519.PublicKey) error {
	key := known(h.From, h.KeyID)
	if key == nil {
		return refuse(unknownSender, "key %s of %s is not known here", h.KeyID, h.From)
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, signed(header), sig) {
		return refuse(forged, "%s has not signed it", h.From)
	}
	return nil
}
