package bundle

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seeds are contents of every sort, with their headers.
func seeds(t testing.TB) (h Header, contents [][]byte) {
	t.Helper()
	h = header(Normal, 0, 500)
	h.KeyID = keyID(link.Public().(ed25519.PublicKey))
	for _, items := range [][]Item{nil, sample(1, false), sample(20, true), mixed()} {
		b, err := encode(&h, items)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, b)
	}
	return h, contents
}

// again checks that what was read is written and read again the same.
func again(t *testing.T, h *Header, items []Item) {
	t.Helper()
	b, err := encode(h, items)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(h, b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(items, got); d != "" {
		t.Fatal(d)
	}
}

// FuzzOpen gives any bytes as the unsealed content of a trusted sender.
func FuzzOpen(f *testing.F) {
	h, contents := seeds(f)
	for _, b := range contents {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if items, err := decode(&h, b); err == nil {
			again(t, &h, items)
		}
	})
}

// FuzzColumns goes behind zstd, where FuzzOpen comes seldom.
func FuzzColumns(f *testing.F) {
	h, _ := seeds(f)
	for _, items := range [][]Item{sample(1, false), sample(5, true), mixed()} {
		p := pack(h.At.Unix()*1e6, items)
		f.Add(uint64(len(items)), p.ring, p.packed, p.bits.bytes(), p.sigs)
	}
	f.Add(uint64(1), []byte("key of 8"), columns([]string{"\x01{\"a\":\x02}"}, "\x03\x00\x0e\x00|", ""), []byte{}, make([]byte, sigSize))
	f.Fuzz(func(t *testing.T, rows uint64, ring, packed, bits, sigs []byte) {
		if rows > 1000 {
			return
		}
		u, err := newUnpacker(h.At.Unix()*1e6, rows, ring, packed, bits, sigs)
		if err != nil {
			return
		}
		if items, err := u.items(); err == nil && h.checkItems(items) == nil {
			again(t, &h, items)
		}
	})
}

// FuzzPayload packs any payloads.
func FuzzPayload(f *testing.F) {
	for _, it := range mixed() {
		f.Add(it.Payload, []byte(`{"id":"01958509-48c6-7746-85e8-5de50829a089","n":[1,2.5,-0.25]}`))
	}
	h, _ := seeds(f)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) <= MaxPayload && len(b) <= MaxPayload {
			again(t, &h, []Item{versionItem(1, append([]byte{}, a...)), versionItem(2, append([]byte{}, b...))})
		}
	})
}

// FuzzHeader gives any bytes as what came over the wire.
func FuzzHeader(f *testing.F) {
	h, contents := seeds(f)
	for _, c := range contents {
		f.Add(signAgain(h, c, link))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		Parse(b, known)
		if len(b) < prefixSize {
			return
		}
		if n, err := checkPrefix(b); err != nil || n < sigSize {
			return
		}
		h, err := parseFields(b[prefixSize:])
		if err != nil {
			return
		}
		if again := h.appendTo(nil); !bytes.Equal(again[prefixSize:], b[prefixSize:]) {
			t.Fatalf("%x was read and is written %x", b, again)
		}
	})
}
