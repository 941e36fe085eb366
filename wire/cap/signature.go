package cap

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // of old signatures
	_ "crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
)

// Signature is one enveloped XML signature of an alert (XML Signature Syntax and
// Processing 1.1; CAP 1.2 §3.3.4.1). It vouches for the alert when Holds.
type Signature struct {
	ID          string            `json:"id,omitempty"`
	Algorithm   string            `json:"algorithm"`          // "rsa-sha256", "ecdsa-sha256", "rsa-sha1"; else the name as it stands
	Digest      string            `json:"digest"`             // "sha256", "sha1"; else the name as it stands
	Certificate *x509.Certificate `json:"-"`                  // whose key it was made with; nil for a bare key
	Key         crypto.PublicKey  `json:"-"`                  // *rsa.PublicKey or *ecdsa.PublicKey; nil when no key fits
	Whole       bool              `json:"whole"`              // it speaks of the whole document and of nothing else
	DigestOK    bool              `json:"digestOk"`           // the document is the one that was signed
	SignatureOK bool              `json:"signatureOk"`        // it was made with Key
	Weak        bool              `json:"weak"`               // SHA-1, or RSA under 2048 bits: may have been forged
	Reason      string            `json:"reason,omitempty"`   // what does not hold, in English
	Parallel    bool              `json:"parallel,omitempty"` // it was made before other signatures were put in, and does not cover them
}

// Holds reports whether the signature is right and covers the whole alert. It
// does not say that its key is to be trusted: compare Certificate with the one
// that the sender is known by. A Weak one holds too.
func (s *Signature) Holds() bool { return s.Whole && s.DigestOK && s.SignatureOK }

// Names of algorithms (RFC 6931; XML Encryption for SHA-256).
const (
	rsaSHA256    = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	ecdsaSHA256  = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	rsaSHA1      = signatureSpace + "rsa-sha1"
	digestSHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
	digestSHA1   = signatureSpace + "sha1"
	enveloped    = signatureSpace + "enveloped-signature"
)

const (
	opVerify  = "cap.verify"
	weakBits  = 2048
	leastBits = 1024 // of RSA; Go refuses less
)

// Verify looks at the signatures of a CAP document, in their order; none is no
// error, and an error is about a document that cannot be read. Only signatures
// that are children of the alert and whose one reference is the whole document
// ("") can hold, so that what they vouch for is what Parse reads. known are
// certificates to try for a signature that brings no key.
//
// Alerts with several signatures are signed side by side in practice, each
// without the others; see Signature.Parallel. Parse reads nothing from them.
func Verify(data []byte, limit Limits, known ...*x509.Certificate) ([]Signature, error) {
	limit = limit.orDefault()
	doc, err := read(opVerify, data, limit)
	if err != nil {
		return nil, err
	}
	if root := &doc.nodes[doc.root]; root.local != "alert" || versionOf(root.space) == "" {
		return nil, refusal(opVerify, root.local, codeNotCAP, "the document is not a CAP alert")
	}
	var elements []int32
	for c := doc.nodes[doc.root].first; c != 0; c = doc.nodes[c].next {
		if doc.is(c, signatureSpace, "Signature") {
			elements = append(elements, c)
		}
	}
	if len(elements) > maxSignatures {
		return nil, refusal(opVerify, "alert", codeElements, fmt.Sprintf("the alert has %d signatures; %d are looked at", len(elements), maxSignatures))
	}
	var out []Signature
	for _, n := range elements {
		v := verifier{doc: doc, n: n, all: elements, known: known}
		v.verify()
		out = append(out, v.Signature)
	}
	return out, nil
}

// These bound the work: each signature reads the whole document, and the
// prefixes of a PrefixList are looked up for each element.
const (
	maxSignatures = 8
	maxPrefixes   = 16
)

type verifier struct {
	Signature
	doc   *document
	n     int32
	all   []int32
	known []*x509.Certificate
}

func (v *verifier) fail(format string, args ...any) {
	if v.Reason == "" {
		v.Reason = fmt.Sprintf(format, args...)
	}
}

func (v *verifier) verify() {
	d := v.doc
	v.ID = d.attr(v.n, "Id")
	info := v.only(v.n, "SignedInfo")
	value := v.only(v.n, "SignatureValue")
	if info == 0 || value == 0 {
		return
	}
	canonization, signing, reference := v.only(info, "CanonicalizationMethod"), v.only(info, "SignatureMethod"), v.only(info, "Reference")
	if canonization == 0 || signing == 0 || reference == 0 {
		return
	}
	v.reference(reference)

	m, ok := v.method(canonization)
	if !ok {
		return
	}
	algorithm := d.attr(signing, "Algorithm")
	hash := crypto.SHA256
	switch algorithm {
	case rsaSHA256, ecdsaSHA256:
	case rsaSHA1:
		hash, v.Weak = crypto.SHA1, true
	default:
		v.Algorithm = clip(algorithm)
		v.fail("the signature algorithm %q is not known", clip(algorithm))
		return
	}
	_, v.Algorithm, _ = strings.Cut(algorithm, "#")
	sig, ok := unbase64(d.value(value))
	if !ok {
		v.fail("the signature value is not base64")
		return
	}
	form, ok := d.canonical(info, m)
	if !ok {
		v.fail("the canonical form is too long")
		return
	}
	signed := hash.New()
	signed.Write(form)
	v.keys(algorithm, hash, signed.Sum(nil), sig)
}

// only returns the one child of that name.
func (v *verifier) only(n int32, local string) int32 {
	found := v.doc.child(n, signatureSpace, local)
	if found == 0 {
		v.fail("<%s> is missing", local)
		return 0
	}
	for c := v.doc.nodes[found].next; c != 0; c = v.doc.nodes[c].next {
		if v.doc.is(c, signatureSpace, local) {
			v.fail("<%s> stands more than once", local)
			return 0
		}
	}
	return found
}

// method reads the algorithm of a CanonicalizationMethod or a Transform.
func (v *verifier) method(n int32) (method, bool) {
	name := v.doc.attr(n, "Algorithm")
	m, ok := methodOf(name)
	if !ok {
		v.fail("the canonicalization %q is not known", clip(name))
	}
	if list := v.doc.child(n, exclusiveC14N, "InclusiveNamespaces"); m.exclusive && list != 0 {
		prefixes := strings.Fields(v.doc.attr(list, "PrefixList"))
		if len(prefixes) > maxPrefixes {
			v.fail("the canonicalization names more than %d prefixes", maxPrefixes)
			return m, false
		}
		for _, prefix := range prefixes {
			if prefix == "#default" {
				prefix = ""
			}
			m.inclusive = append(m.inclusive, prefix)
		}
	}
	return m, ok
}

// reference looks whether the document is the one that was signed (§4.4.3).
func (v *verifier) reference(n int32) {
	d := v.doc
	has := false
	for _, a := range d.attributes(n) {
		has = has || a.space == "" && a.local == "URI" && a.value == ""
	}
	if !has {
		v.fail("the signature speaks of %q and not of the whole document", clip(d.attr(n, "URI")))
		return
	}
	transforms := d.child(n, signatureSpace, "Transforms")
	var m method
	cut, canonized := false, false
	for c := d.nodes[transforms].first; transforms != 0 && c != 0; c = d.nodes[c].next {
		switch {
		case d.nodes[c].kind != element:
		case !d.is(c, signatureSpace, "Transform"):
			v.fail("<%s> has no place in <Transforms>", clip(d.nodes[c].local))
			return
		case d.attr(c, "Algorithm") == enveloped && !cut && !canonized:
			cut = true
		case canonized:
			v.fail("the signature changes the document more than once")
			return
		default:
			var ok bool
			if m, ok = v.method(c); !ok {
				return
			}
			canonized = true
		}
	}
	if !cut {
		v.fail("the signature is not an enveloped one")
		return
	}
	v.Whole = true
	m.comments = false // the reference "" leaves them out (§4.4.3.3)

	var hash crypto.Hash
	digest := v.only(n, "DigestMethod")
	value := v.only(n, "DigestValue")
	if digest == 0 || value == 0 {
		return
	}
	switch name := d.attr(digest, "Algorithm"); name {
	case digestSHA256:
		hash, v.Digest = crypto.SHA256, "sha256"
	case digestSHA1:
		hash, v.Digest, v.Weak = crypto.SHA1, "sha1", true
	default:
		v.Digest = clip(name)
		v.fail("the digest algorithm %q is not known", clip(name))
		return
	}
	want, ok := unbase64(d.value(value))
	if !ok {
		v.fail("the digest is not base64")
		return
	}
	if v.DigestOK = v.equals(hash, m, want, v.n); !v.DigestOK && len(v.all) > 1 {
		v.DigestOK = v.equals(hash, m, want, v.all...)
		v.Parallel = v.DigestOK
	}
	if !v.DigestOK {
		v.fail("the document is not the one that was signed: its digest is another")
	}
}

// equals reports whether want is the digest of the document without leave.
func (v *verifier) equals(hash crypto.Hash, m method, want []byte, leave ...int32) bool {
	form, ok := v.doc.canonical(0, m, leave...)
	if !ok {
		v.fail("the canonical form is too long")
		return false
	}
	h := hash.New()
	h.Write(form)
	return subtle.ConstantTimeCompare(h.Sum(nil), want) == 1
}

// keys tries the keys that the signature brings, else those that are known.
func (v *verifier) keys(algorithm string, hash crypto.Hash, digest, sig []byte) {
	certs, bare := v.keyInfo()
	if len(certs) == 0 && bare == nil {
		certs = v.known
	}
	if len(certs) == 0 && bare == nil {
		v.fail("the signature brings no key")
		return
	}
	for _, cert := range certs {
		if signedBy(cert.PublicKey, algorithm, hash, digest, sig) {
			v.Certificate, v.Key, v.SignatureOK = cert, cert.PublicKey, true
			break
		}
	}
	if !v.SignatureOK && bare != nil && signedBy(bare, algorithm, hash, digest, sig) {
		v.Key, v.SignatureOK = bare, true
	}
	if !v.SignatureOK {
		v.fail("the signature was not made with the key that it brings")
	}
	if k, ok := v.Key.(*rsa.PublicKey); ok && k.N.BitLen() < weakBits {
		v.Weak = true
	}
}

// keyInfo reads the certificates and the RSA key of KeyInfo (§4.5).
func (v *verifier) keyInfo() (certs []*x509.Certificate, bare crypto.PublicKey) {
	d := v.doc
	info := d.child(v.n, signatureSpace, "KeyInfo")
	if info == 0 {
		return nil, nil
	}
	for c := d.nodes[info].first; c != 0; c = d.nodes[c].next {
		switch {
		case d.is(c, signatureSpace, "X509Data"):
			for x := d.nodes[c].first; x != 0; x = d.nodes[x].next {
				if !d.is(x, signatureSpace, "X509Certificate") || len(certs) == maxCertificates {
					continue
				}
				if der, ok := unbase64(d.value(x)); ok {
					if cert, err := x509.ParseCertificate(der); err == nil {
						certs = append(certs, cert)
					}
				}
			}
		case d.is(c, signatureSpace, "KeyValue"):
			rsaValue := d.child(c, signatureSpace, "RSAKeyValue")
			n, ok := unbase64(d.childText(rsaValue, signatureSpace, "Modulus"))
			e, ok1 := unbase64(d.childText(rsaValue, signatureSpace, "Exponent"))
			if exponent := new(big.Int).SetBytes(e); rsaValue != 0 && ok && ok1 && exponent.BitLen() < 32 {
				bare = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
			}
		}
	}
	return certs, bare
}

// maxCertificates of one signature are tried.
const maxCertificates = 8

// signedBy reports whether sig was made over digest with key (RFC 6931 §2.3).
func signedBy(key crypto.PublicKey, algorithm string, hash crypto.Hash, digest, sig []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		// An exponent or a modulus that is out of the ordinary would cost time.
		return algorithm != ecdsaSHA256 && key.N.BitLen() >= leastBits && key.N.BitLen() <= 8192 && rsa.VerifyPKCS1v15(key, hash, digest, sig) == nil
	case *ecdsa.PublicKey:
		size := (key.Curve.Params().BitSize + 7) / 8
		if algorithm != ecdsaSHA256 || len(sig) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])
		return ecdsa.Verify(key, digest, r, s)
	}
	return false
}

// unbase64 decodes base64 with blanks in it.
func unbase64(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	return b, err == nil && len(b) > 0
}
