package account

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"konbit/record"
)

// authenticator is a security key that holds one discoverable ES256 credential and gives no attestation (Web
// Authentication Level 3, §6), together with the browser that it is plugged into.
type authenticator struct {
	t      *testing.T
	origin string
	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
	rpID   string
	count  uint32
	lazy   bool // does not ask its holder who he is
}

var b64 = base64.RawURLEncoding

type optionsJSON struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		RP        struct{ ID string }
		User      struct{ ID string }
		Exclude   []struct{ ID string } `json:"excludeCredentials"`
		Select    struct {
			UserVerification string `json:"userVerification"`
			ResidentKey      string `json:"residentKey"`
		} `json:"authenticatorSelection"`
	} `json:"publicKey"`
}

func (a *authenticator) parse(options []byte) optionsJSON {
	a.t.Helper()
	var o optionsJSON
	if err := json.Unmarshal(options, &o); err != nil {
		a.t.Fatal(err)
	}
	return o
}

func (a *authenticator) clientData(typ, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": typ, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// data writes authenticator data (§6.1).
func (a *authenticator) data(flags byte, attested []byte) []byte {
	flags |= 0x01 // present
	if !a.lazy {
		flags |= 0x04 // verified
	}
	h := sha256.Sum256([]byte(a.rpID))
	a.count++
	return append(binary.BigEndian.AppendUint32(append(h[:], flags), a.count), attested...)
}

func (a *authenticator) create(options []byte) []byte {
	a.t.Helper()
	o := a.parse(options)
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		a.t.Fatal(err)
	}
	a.id = make([]byte, 32)
	rand.Read(a.id)
	if a.handle, err = b64.DecodeString(o.PublicKey.User.ID); err != nil {
		a.t.Fatal(err)
	}
	a.rpID = o.PublicKey.RP.ID
	public, err := a.key.PublicKey.Bytes()
	if err != nil {
		a.t.Fatal(err)
	}
	cose, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: public[1:33], -3: public[33:]})
	if err != nil {
		a.t.Fatal(err)
	}
	attested := append(make([]byte, 16), byte(len(a.id)>>8), byte(len(a.id)))
	attested = append(append(attested, a.id...), cose...)
	object, err := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": a.data(0x40, attested)})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.answer(map[string]any{
		"clientDataJSON":    b64.EncodeToString(a.clientData("webauthn.create", o.PublicKey.Challenge)),
		"attestationObject": b64.EncodeToString(object),
	})
}

func (a *authenticator) get(options []byte) []byte {
	a.t.Helper()
	o := a.parse(options)
	client, data := a.clientData("webauthn.get", o.PublicKey.Challenge), a.data(0, nil)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(data), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	return a.answer(map[string]any{
		"clientDataJSON":    b64.EncodeToString(client),
		"authenticatorData": b64.EncodeToString(data),
		"signature":         b64.EncodeToString(sig),
		"userHandle":        b64.EncodeToString(a.handle),
	})
}

func (a *authenticator) answer(response map[string]any) []byte {
	b, err := json.Marshal(map[string]any{"id": b64.EncodeToString(a.id), "rawId": b64.EncodeToString(a.id), "type": "public-key",
		"clientExtensionResults": map[string]any{}, "response": response})
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

func withPasskeys(c *Config) {
	c.RPID, c.Origins = "konbit.example", []string{"https://konbit.example"}
}

func (h *house) register(a *authenticator, in *SignedIn) {
	h.t.Helper()
	options, ceremony, err := h.BeginPasskey(h.t.Context(), in.Session, From{})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.FinishPasskey(h.t.Context(), in.Session, ceremony, "kle mwen", a.create(options)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) login(a *authenticator) (*SignedIn, error) {
	h.t.Helper()
	options, ceremony, err := h.BeginPasskeyLogin(h.t.Context(), From{Address: "10.0.0.1"})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.FinishPasskeyLogin(h.t.Context(), ceremony, a.get(options), From{Address: "10.0.0.1"})
}

func TestPasskeySignsInWithoutAName(t *testing.T) {
	h := newHouse(t, withPasskeys)
	h.settle()
	ctx := t.Context()
	a := &authenticator{t: t, origin: "https://konbit.example"}
	in := h.signIn("ht.cc/ana")
	h.register(a, in)
	h.restart()
	for range 2 {
		got, err := h.login(a)
		if err != nil {
			t.Fatal(err)
		}
		if got.Person != "ht.cc/ana" || got.Method != "passkey" {
			t.Fatalf("%+v", got.Session)
		}
		if _, err := h.Session(ctx, got.Secret); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := h.Passkeys(ctx, "ht.cc/ana")
	if err != nil || len(keys) != 1 || keys[0].Name != "kle mwen" || keys[0].Used.IsZero() {
		t.Fatalf("%+v %v", keys, err)
	}
	var stored struct{ Authenticator struct{ SignCount uint32 } }
	if err := json.Unmarshal(keys[0].Data, &stored); err != nil || stored.Authenticator.SignCount != a.count {
		t.Errorf("counter %d, want %d (%v)", stored.Authenticator.SignCount, a.count, err)
	}
	// The next registration names the key that is there, so that it is not made twice.
	options, _, err := h.BeginPasskey(ctx, in.Session, From{})
	if err != nil {
		t.Fatal(err)
	}
	o := a.parse(options).PublicKey
	if len(o.Exclude) != 1 || o.Exclude[0].ID != b64.EncodeToString(a.id) || o.Select.UserVerification != "required" || o.Select.ResidentKey != "required" {
		t.Errorf("%s", options)
	}
	wantCode(t, h.RemovePasskey(ctx, "do.911/jefa", "ht.cc/ana", a.id), record.Denied)
	wantCode(t, h.RemovePasskey(ctx, "ht.cc/ana", "ht.cc/ana", a.id), "")
	wantCode(t, h.RemovePasskey(ctx, "ht.cc/ana", "ht.cc/ana", a.id), record.NotFound)
	_, err = h.login(a)
	wantCode(t, err, record.Unsigned)
}

func TestPasskeyIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*house, *authenticator)
		want  record.Code
	}{
		{"from another origin", func(_ *house, a *authenticator) { a.origin = "https://konbit.example.evil.example" }, record.Unsigned},
		{"for another domain", func(_ *house, a *authenticator) { a.rpID = "evil.example" }, record.Unsigned},
		{"with another key", func(_ *house, a *authenticator) {
			a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		}, record.Unsigned},
		{"with another's handle", func(_ *house, a *authenticator) { a.handle = make([]byte, 32) }, record.Unsigned},
		{"without asking who holds it", func(_ *house, a *authenticator) { a.lazy = true }, record.Unsigned},
		{"with a counter that went back", func(_ *house, a *authenticator) { a.count = 0 }, record.Denied},
		{"of a disabled person", func(h *house, _ *authenticator) {
			yes := true
			if _, err := h.UpdatePerson(h.t.Context(), Node, "ht.cc/ana", PersonChange{Disabled: &yes}); err != nil {
				h.t.Fatal(err)
			}
		}, record.Denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, withPasskeys)
			h.settle()
			a := &authenticator{t: t, origin: "https://konbit.example", count: 5}
			h.register(a, h.signIn("ht.cc/ana"))
			c.spoil(h, a)
			_, err := h.login(a)
			wantCode(t, err, c.want)
		})
	}
}

func TestCeremonyIsFinishedOnceInTimeAndByWhoBeganIt(t *testing.T) {
	h := newHouse(t, withPasskeys)
	h.settle()
	ctx := t.Context()
	a := &authenticator{t: t, origin: "https://konbit.example"}
	in := h.signIn("ht.cc/ana")
	h.register(a, in)

	options, ceremony, err := h.BeginPasskeyLogin(ctx, From{})
	if err != nil {
		t.Fatal(err)
	}
	body := a.get(options)
	if _, err := h.FinishPasskeyLogin(ctx, ceremony, body, From{}); err != nil {
		t.Fatal(err)
	}
	_, err = h.FinishPasskeyLogin(ctx, ceremony, body, From{})
	wantCode(t, err, record.Stale)

	options, ceremony, _ = h.BeginPasskeyLogin(ctx, From{})
	h.clock.add(ceremonyLife)
	_, err = h.FinishPasskeyLogin(ctx, ceremony, a.get(options), From{})
	wantCode(t, err, record.Stale)

	b := &authenticator{t: t, origin: "https://konbit.example"}
	options, ceremony, err = h.BeginPasskey(ctx, in.Session, From{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.FinishPasskey(ctx, h.signIn("ht.cc/boss").Session, ceremony, "", b.create(options))
	wantCode(t, err, record.Stale)

	_, ceremony, _ = h.BeginPasskeyLogin(ctx, From{})
	_, err = h.FinishPasskeyLogin(ctx, ceremony, []byte(`{"id":1}`), From{})
	wantCode(t, err, record.Unsigned)
	_, err = h.FinishPasskeyLogin(ctx, "", nil, From{})
	wantCode(t, err, record.Stale)
}

func TestFloodOfCeremoniesIsBounded(t *testing.T) {
	h := newHouse(t, withPasskeys)
	h.settle()
	device := h.signIn("ht.cc/ana").Device
	n := 0
	for range 100 {
		if _, _, err := h.BeginPasskeyLogin(t.Context(), From{Address: "203.0.113.9"}); err == nil {
			n++
		} else if _, ok := RetryAfter(err); !ok {
			t.Fatal(err)
		}
	}
	if n != 30 {
		t.Errorf("%d began", n)
	}
	if _, _, err := h.BeginPasskeyLogin(t.Context(), From{Address: "203.0.113.9", Device: device}); err != nil {
		t.Errorf("a browser that is known here: %v", err)
	}
}

func TestPasskeysNeedADomain(t *testing.T) {
	h := newHouse(t)
	if h.HasPasskeys() {
		t.Error("has passkeys")
	}
	_, _, err := h.BeginPasskeyLogin(t.Context(), From{})
	wantCode(t, err, record.Unavailable)
}
