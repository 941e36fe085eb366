package query

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"konbit/record"
	"konbit/store"
)

// sealer turns places in an order into opaque cursors. Row numbers and ledger
// positions count what a reader may not see, so he never gets one in clear: a
// leak through a count is a leak.
type sealer struct {
	block cipher.Block
	mac   []byte
}

func newSealer(key []byte) *sealer {
	k := sha256.Sum256(append([]byte("konbit cursor\n"), key...))
	b, err := aes.NewCipher(k[:16])
	if err != nil {
		panic(err) // the key has the right length
	}
	return &sealer{b, k[16:]}
}

// seal encrypts two numbers for one purpose.
func (s *sealer) seal(purpose string, a, b int64) string {
	var in [16]byte
	binary.BigEndian.PutUint64(in[:8], uint64(a))
	binary.BigEndian.PutUint64(in[8:], uint64(b))
	var out [24]byte
	s.block.Encrypt(out[:16], in[:])
	h := hmac.New(sha256.New, s.mac)
	h.Write([]byte(purpose))
	h.Write(out[:16])
	copy(out[16:], h.Sum(nil))
	return base64.RawURLEncoding.EncodeToString(out[:])
}

func (s *sealer) open(purpose, text string) (a, b int64, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 24 {
		return 0, 0, false
	}
	h := hmac.New(sha256.New, s.mac)
	h.Write([]byte(purpose))
	h.Write(raw[:16])
	if !hmac.Equal(raw[16:], h.Sum(nil)[:8]) {
		return 0, 0, false
	}
	var out [16]byte
	s.block.Decrypt(out[:], raw[:16])
	return int64(binary.BigEndian.Uint64(out[:8])), int64(binary.BigEndian.Uint64(out[8:])), true
}

func (q *Records) openKey(person, text string) (*store.Key, error) {
	o, r, ok := q.seal.open("list|"+person, text)
	if !ok {
		return nil, record.Fields{{Path: "cursor", Code: "invalid", Message: "not a cursor of this node, or not yours; start again without it"}}.Err("list")
	}
	return &store.Key{Observed: o, Row: r}, nil
}

// SealSeq makes the feed's cursor of a ledger position.
func (q *Records) SealSeq(seq int64) string { return q.seal.seal("feed", seq, 0) }

// OpenSeq reads a feed cursor.
func (q *Records) OpenSeq(text string) (seq int64, ok bool) {
	seq, _, ok = q.seal.open("feed", text)
	return seq, ok
}
