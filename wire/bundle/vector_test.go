package bundle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"konbit/record"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// vectors are what another implementation can be held to; docs/bundle.md says
// what is what. []byte is base64 in JSON, hexBytes hexadecimal.
type vectors struct {
	Identity   string       `json:"identity"`   // of the recipient
	SignSeed   hexBytes     `json:"signSeed"`   // of the sender's link key
	SignKey    hexBytes     `json:"signKey"`    // its public half
	Dictionary hexBytes     `json:"dictionary"` // of zstd
	Bundles    []vector     `json:"bundles"`
	Refused    []refusalOne `json:"refused"`
}

type vector struct {
	Name    string       `json:"name"`
	Header  vectorHeader `json:"header"`
	Items   []vectorItem `json:"items"`
	Bundle  []byte       `json:"bundle"`
	Signed  []byte       `json:"signed"`  // what the header's signature covers
	Content []byte       `json:"content"` // unsealed
	Packed  hexBytes     `json:"packed"`  // of the content, after zstd
	Bits    hexBytes     `json:"bits"`    // of the content
}

type vectorHeader struct {
	From  string    `json:"from"`
	To    string    `json:"to"`
	Lane  Lane      `json:"lane"`
	After int64     `json:"after"`
	UpTo  int64     `json:"upTo"`
	At    time.Time `json:"at"`
	Size  int64     `json:"size"`
	Sum   hexBytes  `json:"sum"`
	KeyID string    `json:"keyId"`
}

type vectorItem struct {
	Sort    Sort      `json:"sort"`
	N       int64     `json:"n"`
	Record  record.ID `json:"record,omitzero"`
	Topic   string    `json:"topic,omitempty"`
	Payload string    `json:"payload"`
	KeyID   string    `json:"keyId,omitempty"`
	Sig     hexBytes  `json:"sig,omitempty"`
}

func (h Header) vector() vectorHeader {
	return vectorHeader{h.From, h.To, h.Lane, h.After, h.UpTo, h.At, h.Size, h.Sum[:], h.KeyID}
}

func (v vectorHeader) header() Header {
	return Header{v.From, v.To, v.Lane, v.After, v.UpTo, v.At, v.Size, [32]byte(v.Sum), v.KeyID}
}

func (it Item) vector() vectorItem {
	return vectorItem{it.Sort, it.N, it.Record, it.Topic, string(it.Payload), it.KeyID, it.Sig}
}

func (v vectorItem) item() Item {
	return Item{v.Sort, v.N, v.Record, v.Topic, []byte(v.Payload), v.KeyID, v.Sig}
}

func each[A, B any](list []A, fn func(A) B) []B {
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = fn(a)
	}
	return out
}

type refusalOne struct {
	Reason string `json:"reason"`
	Bundle []byte `json:"bundle"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

var vectorFile = filepath.Join("testdata", "vectors.json")

func writeVectors(t *testing.T) {
	t.Helper()
	id := newIdentity(t)
	v := vectors{Identity: id.String(), SignSeed: link.Seed(), SignKey: hexBytes(link.Public().(ed25519.PublicKey)), Dictionary: dictionary}
	whole := versionItem(1, []byte("no JSON \x00 at all"))
	for _, one := range []struct {
		name  string
		h     Header
		items []Item
	}{
		{"one record", header(Urgent, 0, 1), sample(1, true)},
		{"every sort", header(Normal, 0, 200), mixed()},
		{"talk", header(Talk, 0, 0), []Item{{Sort: Word, Topic: "witness", Payload: []byte(`{"size":7,"at":"2026-11-02T08:29:59.5Z"}`)}}},
		{"not split", header(Normal, 0, 1), []Item{whole}},
		{"nothing", header(Normal, 7, 9), []Item{}},
	} {
		b := mustSeal(t, one.h, one.items, id.Recipient())
		h := mustParse(t, b)
		sealed := len(b) - int(h.Size)
		content, err := unseal(b[sealed:], []age.Identity{id})
		if err != nil {
			t.Fatal(err)
		}
		p := pack(h.At.Unix()*1e6, one.items)
		v.Bundles = append(v.Bundles, vector{one.name, h.vector(), each(one.items, Item.vector), b, signed(b[:sealed-sigSize]), content, p.packed, p.bits.bytes()})
	}
	good := v.Bundles[0].Bundle
	spoil := func(why reason, b []byte) { v.Refused = append(v.Refused, refusalOne{why.name, b}) }
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	stranger := header(Urgent, 0, 1)
	stranger.From = otherName
	spoil(truncated, good[:len(good)-1])
	spoil(malformed, flip(0))
	spoil(version, flip(len(magic)))
	spoil(forged, flip(prefixSize+9)) // After
	spoil(altered, flip(len(good)-1))
	spoil(unknownSender, signAgain(stranger, nil, other))
	spoil(undecryptable, mustSeal(t, header(Urgent, 0, 1), nil, newIdentity(t).Recipient()))
	b, err := json.MarshalIndent(v, "", " ")
	if err == nil {
		err = os.WriteFile(vectorFile, append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readVectors(t *testing.T) (v vectors, id *age.X25519Identity, known func(string, string) ed25519.PublicKey) {
	t.Helper()
	if *update {
		writeVectors(t)
	}
	b, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err == nil {
		id, err = age.ParseX25519Identity(v.Identity)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v, id, func(node, kid string) ed25519.PublicKey {
		if key := ed25519.PublicKey(v.SignKey); node == from && kid == keyID(key) {
			return key
		}
		return nil
	}
}

// TestVectors keeps the format: bundles that were once written stay readable, and
// the parts that are the same every time are written the same.
func TestVectors(t *testing.T) {
	v, id, known := readVectors(t)
	if !bytes.Equal(v.Dictionary, dictionary) || !bytes.Equal(ed25519.NewKeyFromSeed(v.SignSeed).Public().(ed25519.PublicKey), v.SignKey) {
		t.Error("dictionary or key are not those of the vectors")
	}
	for _, one := range v.Bundles {
		t.Run(one.Name, func(t *testing.T) {
			h, items, err := Open(one.Bundle, known, id)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(one.Header.header(), h); d != "" {
				t.Error(d)
			}
			want := each(one.Items, vectorItem.item)
			if d := cmp.Diff(want, items, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
			end := len(one.Bundle) - int(h.Size) - sigSize
			if header := h.appendTo(nil); !bytes.Equal(header, one.Bundle[:end]) || !bytes.Equal(signed(header), one.Signed) {
				t.Error("the header is written otherwise")
			}
			content, err := unseal(one.Bundle[end+sigSize:], []age.Identity{id})
			if err != nil || !bytes.Equal(content, one.Content) {
				t.Error("the content is another", err)
			}
			p := pack(h.At.Unix()*1e6, want)
			if !bytes.Equal(p.packed, one.Packed) || !bytes.Equal(p.bits.bytes(), one.Bits) {
				t.Error("the items are packed otherwise: is it another version of the format?")
			}
		})
	}
	for _, one := range v.Refused {
		_, _, err := Open(one.Bundle, known, id)
		var found reason
		for _, r := range []reason{truncated, oversized, forged, unknownSender, altered, undecryptable, bomb, malformed, version} {
			if r.name == one.Reason {
				found = r
			}
		}
		wantRefusal(t, one.Reason, err, found)
	}
}
