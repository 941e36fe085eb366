package question

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"
)

// suite is ristretto255-SHA512 in mode VOPRF (RFC 9497 §4.1): the asker can check
// that the answer was made with the key that stands in the list.
var suite = oprf.SuiteRistretto255

// key is the node's secret function over identifiers.
type key struct {
	server oprf.VerifiableServer
	pub    *oprf.PublicKey
	public []byte // pub, 32 bytes
}

func newKey(secret []byte) (*key, error) {
	priv, err := oprf.DeriveKey(suite, oprf.VerifiableMode, secret, []byte("konbit question 1"))
	if err != nil {
		return nil, err
	}
	pub := priv.Public() // computed here once: the server would do it at its first answer, unguarded
	b, err := pub.MarshalBinary()
	return &key{oprf.NewVerifiableServer(suite, priv), pub, b}, err
}

// input is what the function is asked about.
func input(typ, value string) []byte { return []byte(typ + "\x00" + value) }

// of returns the function's value of an identifier, which an asker gets by way of
// blind, evaluate and finish.
func (k *key) of(typ, value string) ([]byte, error) { return k.server.FullEvaluate(input(typ, value)) }

// evaluate applies the function to blinded elements. It does not learn of what.
func (k *key) evaluate(elements [][]byte) (out [][]byte, proof []byte, err error) {
	req := &oprf.EvaluationRequest{}
	for _, b := range elements {
		e, err := element(b)
		if err != nil {
			return nil, nil, err
		}
		req.Elements = append(req.Elements, e)
	}
	ev, err := k.server.Evaluate(req)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range ev.Elements {
		b, err := e.MarshalBinaryCompress()
		if err != nil {
			return nil, nil, err
		}
		out = append(out, b)
	}
	proof, err = ev.Proof.MarshalBinary()
	return out, proof, err
}

// element reads a group element as RFC 9497 §2.1 asks: canonical, and not the identity.
func element(b []byte) (group.Element, error) {
	e := suite.Group().NewElement()
	if len(b) != 32 {
		return nil, errors.New("a blinded element has 32 bytes")
	}
	if err := e.UnmarshalBinary(b); err != nil {
		return nil, err
	}
	if e.IsIdentity() {
		return nil, errors.New("a blinded element must not be the identity")
	}
	return e, nil
}

// newBlind draws a scalar.
func newBlind() ([]byte, error) {
	return suite.Group().RandomNonZeroScalar(rand.Reader).MarshalBinary()
}

// blind hides an identifier with a scalar of newBlind. The same scalar gives the
// same element, so that a question can be repeated without being another one.
func (k *key) blind(in, scalar []byte) (*oprf.FinalizeData, []byte, error) {
	r := suite.Group().NewScalar()
	if err := r.UnmarshalBinary(scalar); err != nil {
		return nil, nil, err
	}
	fin, req, err := oprf.NewVerifiableClient(suite, k.pub).DeterministicBlind([][]byte{in}, []oprf.Blind{r})
	if err != nil {
		return nil, nil, err
	}
	b, err := req.Elements[0].MarshalBinaryCompress()
	return fin, b, err
}

// finish takes the blind off, after it has checked that the holder used the key.
func finish(fin *oprf.FinalizeData, public, evaluated, proof []byte) ([]byte, error) {
	pub := &oprf.PublicKey{}
	if err := pub.UnmarshalBinary(suite, public); err != nil {
		return nil, err
	}
	e, err := element(evaluated)
	if err != nil {
		return nil, err
	}
	p := &dleq.Proof{}
	if err := p.UnmarshalBinary(suite.Group(), proof); err != nil {
		return nil, err
	}
	out, err := oprf.NewVerifiableClient(suite, pub).Finalize(fin, &oprf.Evaluation{Elements: []oprf.Evaluated{e}, Proof: p})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// tag is what stands in a list for an identifier that an agency holds: eight
// bytes of the function's value, bound to the agency, so that one answer tells
// which of a node's agencies has a hit.
func tag(out []byte, agency string) uint64 {
	h := hmac.New(sha256.New, out)
	h.Write([]byte("konbit question tag\n" + agency))
	return binary.BigEndian.Uint64(h.Sum(nil))
}
