package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 value: a commitment, a tree node or a root. In JSON and text it is standard base64.
type Hash = tlog.Hash

// SaltSize is the length of an entry's salt in bytes.
const SaltSize = 16

// MaxSize is the largest number of entries that a ledger may have. Checkpoints and proofs that claim more are refused.
const MaxSize = 1 << 56

// Entry is one line of the ledger: a header (who did what to which record, and when) and a content.
//
// Content, Salt and Sig can be erased together, see [Entry.Erase]; the position, the commitment and every proof still
// hold afterwards.
type Entry struct {
	Seq     int64     // position, from 0; authenticated by the tree, not by the commitment
	At      time.Time // when it was committed, UTC, whole microseconds
	Type    string    // "change", "look", "access", "erase", "checkpoint" ...: an open set
	Agency  string    // owner of the entry: "ht.pnh"
	Actor   string    // who acted: "ht.cc/op3"
	Record  [16]byte  // record concerned; zero = none
	Version int       // version of the record; 0 = none

	Content []byte // the exact JSON payload bytes
	Salt    []byte // SaltSize random bytes, drawn for this entry alone
	KeyID   string // see KeyID; empty = unsigned
	Sig     []byte // Ed25519 over the DSSE PAE of Content; empty = unsigned

	// Digest stands in for Content, Salt and Sig once these are erased or withheld, so that the header can still be
	// checked against Commitment. Zero while they are there, or when it was not kept.
	Digest     Hash
	Commitment Hash // see Commit
}

// Scratch is a buffer that is reused from call to call so that hashing and signing do not allocate. The zero value is
// ready, nil is allowed and allocates. It MUST NOT be used by two goroutines at once.
type Scratch struct{ b []byte }

func (s *Scratch) take() []byte {
	if s == nil {
		return nil
	}
	return s.b[:0]
}

func (s *Scratch) keep(b []byte) {
	if s != nil {
		s.b = b
	}
}

var (
	errSalt   = errors.New("ledger: commit: salt is not 16 bytes")
	errErased = errors.New("ledger: commit: content is erased and no digest was kept")
)

// The first bytes of what is hashed, so that no digest can pass for another.
const (
	digestDomain     = "konbit/ledger/digest/1\n"
	commitmentDomain = "konbit/ledger/entry/1\n"
)

// Commit returns the commitment of e: SHA-256 over the header and a salted digest of content and signature. It does
// not read Seq and Commitment, and of an erased entry it uses Digest.
//
// It fails when Salt is not SaltSize bytes long, or when e is erased and has no Digest.
func Commit(s *Scratch, e *Entry) (Hash, error) {
	d, err := digest(s, e)
	if err != nil {
		return Hash{}, err
	}
	b := append(s.take(), commitmentDomain...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	b = appendFramed(b, e.Type)
	b = appendFramed(b, e.Agency)
	b = appendFramed(b, e.Actor)
	b = append(b, e.Record[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(int64(e.Version)))
	b = appendFramed(b, e.KeyID)
	b = append(b, d[:]...)
	s.keep(b)
	return sha256.Sum256(b), nil
}

// digest is SHA-256 over salt, content and signature. The signature is in here and not in the header because Ed25519
// is deterministic: whoever holds it can confirm a guess of the content, so it has to go when the content goes.
func digest(s *Scratch, e *Entry) (Hash, error) {
	if e.Erased() {
		if e.Digest == (Hash{}) {
			return Hash{}, errErased
		}
		return e.Digest, nil
	}
	if len(e.Salt) != SaltSize {
		return Hash{}, errSalt
	}
	b := append(s.take(), digestDomain...)
	b = appendFramed(b, e.Salt)
	b = appendFramed(b, e.Content)
	b = appendFramed(b, e.Sig)
	s.keep(b)
	return sha256.Sum256(b), nil
}

func appendFramed[T string | []byte](b []byte, v T) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(v)))
	return append(b, v...)
}

// Erased reports whether content and salt are gone.
func (e *Entry) Erased() bool { return len(e.Content) == 0 && len(e.Salt) == 0 }

// Erase returns e without Content, Salt and Sig, and with the Digest by which its header can still be checked. The
// same form serves a reader who may see who did what but not the content. A store that erases MUST clear the three
// columns and keep the digest in the same transaction.
func (e Entry) Erase(s *Scratch) (Entry, error) {
	d, err := digest(s, &e)
	if err != nil {
		return Entry{}, err
	}
	e.Content, e.Salt, e.Sig, e.Digest = nil, nil, nil, d
	return e, nil
}

// wrong says what is wrong with e by itself, signature and position aside, or "".
func (e *Entry) wrong(s *Scratch) string {
	if e.At.Nanosecond()%1000 != 0 {
		return "time is finer than a microsecond"
	}
	if e.Erased() {
		if len(e.Sig) != 0 {
			return "content is erased but the signature, which confirms a guess of it, is still there"
		}
		if e.Digest == (Hash{}) {
			return ""
		}
	} else {
		if len(e.Salt) != SaltSize {
			return fmt.Sprintf("salt is %d bytes, want %d", len(e.Salt), SaltSize)
		}
		if e.KeyID == "" && len(e.Sig) != 0 {
			return "signature without a key id"
		}
		if e.KeyID != "" && len(e.Sig) == 0 {
			return fmt.Sprintf("key id %q without a signature", e.KeyID)
		}
		if e.Digest != (Hash{}) {
			if d, err := digest(s, e); err != nil || d != e.Digest {
				return "content, salt or signature differs from the digest"
			}
		}
	}
	c, err := Commit(s, e)
	if err != nil {
		return err.Error()
	}
	if c != e.Commitment {
		if e.Erased() {
			return "header or digest differs from the commitment"
		}
		return "header, content, salt or signature differs from the commitment"
	}
	return ""
}

// timeLayout is RFC 3339 §5.6 in UTC with exactly six decimals: one instant has one spelling.
const timeLayout = "2006-01-02T15:04:05.000000Z"

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(timeLayout, s)
	if err != nil || t.Format(timeLayout) != s {
		return time.Time{}, fmt.Errorf("time %q is not of the form %s", s, timeLayout)
	}
	return t, nil
}

type entryJSON struct {
	Seq        int64  `json:"seq"`
	At         string `json:"at"`
	Type       string `json:"type"`
	Agency     string `json:"agency"`
	Actor      string `json:"actor"`
	Record     string `json:"record,omitempty"`
	Version    int    `json:"version"`
	Content    []byte `json:"content,omitempty"`
	Salt       []byte `json:"salt,omitempty"`
	KeyID      string `json:"key_id,omitempty"`
	Sig        []byte `json:"sig,omitempty"`
	Digest     Hash   `json:"digest,omitzero"`
	Commitment Hash   `json:"commitment"`
}

// MarshalJSON writes the record as a UUID (RFC 9562 §4), the time with six decimals and bytes as standard base64; what
// is erased is left out.
func (e Entry) MarshalJSON() ([]byte, error) {
	j := entryJSON{
		Seq: e.Seq, At: e.At.UTC().Format(timeLayout), Type: e.Type, Agency: e.Agency, Actor: e.Actor,
		Version: e.Version, Content: e.Content, Salt: e.Salt, KeyID: e.KeyID, Sig: e.Sig,
		Digest: e.Digest, Commitment: e.Commitment,
	}
	if e.Record != ([16]byte{}) {
		j.Record = uuid(e.Record)
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes and refuses fields that it does not know: nobody should take for proved
// what no check covers.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var j entryJSON
	if err := unmarshalStrict(data, &j); err != nil {
		return err
	}
	at, err := parseTime(j.At)
	if err != nil {
		return err
	}
	var rec [16]byte
	if j.Record != "" {
		if rec, err = parseUUID(j.Record); err != nil {
			return err
		}
	}
	*e = Entry{
		Seq: j.Seq, At: at, Type: j.Type, Agency: j.Agency, Actor: j.Actor, Record: rec, Version: j.Version,
		Content: j.Content, Salt: j.Salt, KeyID: j.KeyID, Sig: j.Sig, Digest: j.Digest, Commitment: j.Commitment,
	}
	return nil
}

func unmarshalStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("data after the JSON value")
	}
	return nil
}

func uuid(r [16]byte) string {
	h := hex.EncodeToString(r[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func parseUUID(s string) (r [16]byte, err error) {
	if len(s) == 36 {
		_, err = hex.Decode(r[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:]))
	}
	if err != nil || r == [16]byte{} || uuid(r) != s {
		return [16]byte{}, fmt.Errorf("record %q is not a lower-case UUID", s)
	}
	return r, nil
}
