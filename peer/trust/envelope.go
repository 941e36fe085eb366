package trust

import (
	"crypto/ed25519"
	"encoding/json"

	"konbit/ledger"
	"konbit/record"
)

// maxSignatures bounds what an envelope may make us verify.
const maxSignatures = 8

// An envelope is a DSSE JSON envelope (DSSE v1, envelope.md) of one payload type.
// Its bytes are kept as they came, because they are handed on.
type envelope struct {
	typ     string
	payload []byte
	sigs    [][]byte
}

type envelopeJSON struct {
	PayloadType string          `json:"payloadType"`
	Payload     []byte          `json:"payload"`
	Signatures  []signatureJSON `json:"signatures"`
}

type signatureJSON struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// seal signs a payload with each key and returns the envelope.
func seal(typ string, payload []byte, keys ...ed25519.PrivateKey) ([]byte, error) {
	j := envelopeJSON{PayloadType: typ, Payload: payload}
	for _, k := range keys {
		j.Signatures = append(j.Signatures, signatureJSON{ledger.KeyID(k.Public().(ed25519.PublicKey)), ledger.SignAs(k, typ, payload)})
	}
	return json.Marshal(j)
}

// unseal reads an envelope. It verifies nothing yet.
func unseal(op, typ string, b []byte, most int) (*envelope, error) {
	if len(b) > most {
		return nil, record.Errorf(record.TooLarge, op, "the document has %d bytes, and may have %d", len(b), most)
	}
	var j envelopeJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, &record.Error{Code: record.Invalid, Op: op, Message: "this is no signed document", Err: err}
	}
	switch {
	case j.PayloadType != typ:
		return nil, record.Errorf(record.Invalid, op, "this is a document of type %.80q, and should be %q", j.PayloadType, typ)
	case len(j.Payload) == 0:
		return nil, record.Errorf(record.Invalid, op, "the document is empty")
	case len(j.Signatures) == 0:
		return nil, record.Errorf(record.Invalid, op, "the document is not signed")
	case len(j.Signatures) > maxSignatures:
		return nil, record.Errorf(record.Invalid, op, "the document has %d signatures, and may have %d", len(j.Signatures), maxSignatures)
	}
	e := &envelope{typ: typ, payload: j.Payload}
	for _, s := range j.Signatures {
		e.sigs = append(e.sigs, s.Sig)
	}
	return e, nil
}

// by reports whether the key signed it. The key ids in the envelope are hints
// that nobody authenticates, so they are not looked at.
func (e *envelope) by(key ed25519.PublicKey) bool {
	for _, s := range e.sigs {
		if ledger.VerifyAs(key, e.typ, e.payload, s) {
			return true
		}
	}
	return false
}
