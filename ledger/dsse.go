package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// PayloadType is the DSSE payload type of a record version.
const PayloadType = "application/vnd.konbit.record+json"

// Signature is one signature of a DSSE envelope.
type Signature struct {
	KeyID string // a hint, not authenticated
	Sig   []byte // Ed25519, 64 bytes
}

// Sign returns the Ed25519 signature over the DSSE v1 pre-authentication encoding of payload (DSSE protocol.md, "PAE").
func Sign(priv ed25519.PrivateKey, s *Scratch, payload []byte) []byte {
	b := appendPAE(s.take(), PayloadType, payload)
	s.keep(b)
	return ed25519.Sign(priv, b)
}

// VerifySig reports whether sig is what Sign returns for payload and the private half of pub. A key of the wrong length
// verifies nothing.
func VerifySig(pub ed25519.PublicKey, payload, sig []byte) bool {
	return verifySig(nil, pub, payload, sig)
}

func verifySig(s *Scratch, pub ed25519.PublicKey, payload, sig []byte) bool {
	if len(pub) != ed25519.PublicKeySize {
		return false
	}
	b := appendPAE(s.take(), PayloadType, payload)
	s.keep(b)
	return ed25519.Verify(pub, b, sig)
}

// appendPAE appends "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, lengths in decimal bytes.
func appendPAE(b []byte, typ string, payload []byte) []byte {
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(typ)), 10)
	b = append(b, ' ')
	b = append(b, typ...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// KeyID names a public key: the first 8 bytes of its SHA-256 as 16 lower-case hexadecimal digits. It finds a key among
// those that are trusted; it is too short to be trusted by itself.
func KeyID(pub ed25519.PublicKey) string {
	h := sha256.Sum256(pub)
	return hex.EncodeToString(h[:8])
}

type envelopeJSON struct {
	PayloadType string         `json:"payloadType"`
	Payload     *string        `json:"payload"`
	Signatures  []envelopeSign `json:"signatures"`
}

type envelopeSign struct {
	KeyID string `json:"keyid,omitempty"`
	Sig   string `json:"sig"`
}

// Envelope returns the DSSE JSON envelope (DSSE envelope.md) of payload under PayloadType, for export. It needs at least
// one signature and does not verify any.
func Envelope(payload []byte, sigs ...Signature) ([]byte, error) {
	if len(sigs) == 0 {
		return nil, errors.New("ledger: envelope: no signature")
	}
	body := base64.StdEncoding.EncodeToString(payload)
	j := envelopeJSON{PayloadType: PayloadType, Payload: &body}
	for _, s := range sigs {
		j.Signatures = append(j.Signatures, envelopeSign{s.KeyID, base64.StdEncoding.EncodeToString(s.Sig)})
	}
	return json.Marshal(j)
}

// ParseEnvelope reads a DSSE JSON envelope of PayloadType. It verifies nothing: the payload MUST NOT be used before
// VerifySig accepted one of the signatures under a key that the caller trusts. As DSSE envelope.md asks, standard and
// URL-safe base64 are both read, and unknown fields are ignored.
func ParseEnvelope(data []byte) (payload []byte, sigs []Signature, err error) {
	var j envelopeJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, nil, fmt.Errorf("ledger: envelope: %w", err)
	}
	if j.PayloadType != PayloadType {
		return nil, nil, fmt.Errorf("ledger: envelope: payload type %q, want %q", j.PayloadType, PayloadType)
	}
	if j.Payload == nil {
		return nil, nil, errors.New("ledger: envelope: no payload")
	}
	if len(j.Signatures) == 0 {
		return nil, nil, errors.New("ledger: envelope: no signature")
	}
	if payload, err = decodeBase64(*j.Payload); err != nil {
		return nil, nil, fmt.Errorf("ledger: envelope: payload: %w", err)
	}
	for i, s := range j.Signatures {
		b, err := decodeBase64(s.Sig)
		if err != nil {
			return nil, nil, fmt.Errorf("ledger: envelope: signature %d: %w", i, err)
		}
		if len(b) != ed25519.SignatureSize {
			return nil, nil, fmt.Errorf("ledger: envelope: signature %d is %d bytes, want %d", i, len(b), ed25519.SignatureSize)
		}
		sigs = append(sigs, Signature{s.KeyID, b})
	}
	return payload, sigs, nil
}

func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		var urlErr error
		if b, urlErr = base64.URLEncoding.Strict().DecodeString(s); urlErr != nil {
			return nil, err
		}
	}
	return b, nil
}

// SignAs is Sign for another payload type, so that no signature can pass for one of another sort.
func SignAs(priv ed25519.PrivateKey, payloadType string, payload []byte) []byte {
	return ed25519.Sign(priv, appendPAE(nil, payloadType, payload))
}

// VerifyAs reports whether sig is what SignAs returns for the private half of pub. A key of the wrong length verifies
// nothing.
func VerifyAs(pub ed25519.PublicKey, payloadType string, payload, sig []byte) bool {
	return len(pub) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, appendPAE(nil, payloadType, payload), sig)
}
