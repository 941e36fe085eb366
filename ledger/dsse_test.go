package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// DSSE protocol.md, "Test Vectors".
func TestPAEIsThatOfTheStandard(t *testing.T) {
	got := string(appendPAE(nil, "http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSignatureIsEd25519OverPAE(t *testing.T) {
	sig := Sign(ownerKey, new(Scratch), []byte("{}"))
	if !ed25519.Verify(public(ownerKey), []byte("DSSEv1 34 application/vnd.konbit.record+json 2 {}"), sig) {
		t.Error("not verified by the standard's bytes")
	}
}

func TestVerifySigFindsAnyFlippedBit(t *testing.T) {
	payload := []byte(`{"kind":"incident"}`)
	sig := Sign(ownerKey, nil, payload)
	pub := public(ownerKey)
	if !VerifySig(pub, payload, sig) {
		t.Fatal("own signature refused")
	}
	for i := range 8 * len(payload) {
		p := bytes.Clone(payload)
		p[i/8] ^= 1 << (i % 8)
		if VerifySig(pub, p, sig) {
			t.Errorf("payload bit %d", i)
		}
	}
	for i := range 8 * len(sig) {
		s := bytes.Clone(sig)
		s[i/8] ^= 1 << (i % 8)
		if VerifySig(pub, payload, s) {
			t.Errorf("signature bit %d", i)
		}
	}
	if VerifySig(pub[:31], payload, sig) || VerifySig(nil, payload, sig) || VerifySig(pub, payload, nil) {
		t.Error("cut key or signature accepted")
	}
}

func TestKeyIDIsStable(t *testing.T) {
	if got := KeyID(make(ed25519.PublicKey, 32)); got != "66687aadf862bd77" { // SHA-256 of 32 zero bytes
		t.Errorf("got %s", got)
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		sigs := []Signature{{KeyID(public(ownerKey)), Sign(ownerKey, nil, payload)}}
		if rapid.Bool().Draw(t, "two") {
			sigs = append(sigs, Signature{"", make([]byte, 64)})
		}
		b, err := Envelope(payload, sigs...)
		if err != nil {
			t.Fatal(err)
		}
		got, gotSigs, err := ParseEnvelope(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, payload) || !cmp.Equal(gotSigs, sigs) {
			t.Errorf("got %q %v", got, gotSigs)
		}
	})
}

func TestEnvelopeNeedsASignature(t *testing.T) {
	if _, err := Envelope([]byte("x")); err == nil {
		t.Error("made without one")
	}
}

func TestParseEnvelope(t *testing.T) {
	sig := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 64))
	urlSig := base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 64))
	good := `{"payloadType":"` + PayloadType + `","payload":"e30=","signatures":[{"keyid":"a","sig":"` + sig + `"}]}`
	for _, tt := range []struct{ name, in, err string }{
		{"good", good, ""},
		{"URL-safe base64", strings.Replace(good, sig, urlSig, 1), ""},
		{"no key id", strings.Replace(good, `"keyid":"a",`, "", 1), ""},
		{"unknown field", strings.Replace(good, `{`, `{"more":1,`, 1), ""},
		{"empty payload", strings.Replace(good, "e30=", "", 1), ""},
		{"other type", strings.Replace(good, PayloadType, "text/plain", 1), `payload type "text/plain"`},
		{"no payload", strings.Replace(good, `"payload":"e30=",`, "", 1), "no payload"},
		{"no signature", `{"payloadType":"` + PayloadType + `","payload":""}`, "no signature"},
		{"bad payload", strings.Replace(good, "e30=", "e30", 1), "payload: illegal base64"},
		{"spare bits", strings.Replace(good, "e30=", "e31=", 1), "payload: illegal base64"},
		{"short signature", strings.Replace(good, sig, "e30=", 1), "signature 0 is 2 bytes, want 64"},
		{"not JSON", `{`, "unexpected end"},
	} {
		_, _, err := ParseEnvelope([]byte(tt.in))
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.err)
		}
	}
}

func FuzzParseEnvelope(f *testing.F) {
	good, _ := Envelope([]byte(`{"a":1}`), Signature{KeyID(public(ownerKey)), Sign(ownerKey, nil, []byte(`{"a":1}`))})
	f.Add(good)
	f.Add([]byte(`{"payloadType":"` + PayloadType + `","payload":"","signatures":[{"sig":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, sigs, err := ParseEnvelope(data)
		if err != nil {
			return
		}
		b, err := Envelope(payload, sigs...)
		if err != nil {
			t.Fatal(err)
		}
		again, sigsAgain, err := ParseEnvelope(b)
		if err != nil || !bytes.Equal(payload, again) || !cmp.Equal(sigs, sigsAgain) {
			t.Errorf("does not survive a round trip: %v", err)
		}
		for _, s := range sigs {
			if VerifySig(public(ownerKey), payload, s.Sig) && string(payload) != `{"a":1}` {
				t.Errorf("a payload that was never signed verifies: %q", payload)
			}
		}
	})
}
