package cap

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"konbit/record"
)

const opSign = "cap.sign"

// Sign puts an enveloped XML signature over the whole document at the end of the
// alert, and changes nothing else (CAP 1.2 §3.3.4.1): RSA of 2048 bits and more,
// or ECDSA on P-256, with SHA-256 and Exclusive XML Canonicalization. key must be that of
// cert, which is put in. Signatures that the alert has already are covered too,
// which not every reader understands: sign once.
func Sign(data []byte, key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	doc, err := read(opSign, data, DefaultLimits())
	if err != nil {
		return nil, err
	}
	root := &doc.nodes[doc.root]
	if root.local != "alert" || versionOf(root.space) == "" {
		return nil, refusal(opSign, root.local, codeNotCAP, "the document is not a CAP alert")
	}
	if root.first == 0 {
		return nil, refusal(opSign, "alert", codeRequired, "the alert is empty")
	}
	algorithm, err := algorithmOf(key, cert)
	if err != nil {
		return nil, err
	}
	form, ok := doc.canonical(0, method{exclusive: true})
	if !ok {
		return nil, refusal(opSign, "alert", codeBytes, "the canonical form is too long")
	}
	digest := sha256.Sum256(form)
	var s strings.Builder
	s.WriteString(`<Signature xmlns="` + signatureSpace + `"><SignedInfo><CanonicalizationMethod Algorithm="` + exclusiveC14N +
		`"></CanonicalizationMethod><SignatureMethod Algorithm="` + algorithm + `"></SignatureMethod><Reference URI=""><Transforms><Transform Algorithm="` +
		enveloped + `"></Transform><Transform Algorithm="` + exclusiveC14N + `"></Transform></Transforms><DigestMethod Algorithm="` +
		digestSHA256 + `"></DigestMethod><DigestValue>` + base64.StdEncoding.EncodeToString(digest[:]) + `</DigestValue></Reference></SignedInfo>`)
	value, err := signInfo(s.String()+"</Signature>", key)
	if err != nil {
		return nil, err
	}
	s.WriteString(`<SignatureValue>` + base64.StdEncoding.EncodeToString(value) + `</SignatureValue><KeyInfo><X509Data><X509Certificate>` +
		base64.StdEncoding.EncodeToString(cert.Raw) + `</X509Certificate></X509Data></KeyInfo></Signature>`)
	return insert(data, doc, s.String()), nil
}

// insert puts s before the end tag of the root.
func insert(data []byte, doc *document, s string) []byte {
	at := strings.LastIndex(doc.source[:doc.nodes[doc.root].end], "</")
	if extra := len(data) - len(doc.source); extra >= 0 {
		at += extra // a byte order mark
	} else {
		at = utf8.RuneCountInString(doc.source[:at]) // a character set of one byte a letter
	}
	return slices.Insert(slices.Clone(data), at, []byte(s)...)
}

// signInfo signs the SignedInfo of a signature, in its canonical form.
func signInfo(signature string, key crypto.Signer) ([]byte, error) {
	doc, err := read(opSign, []byte(signature), DefaultLimits())
	if err != nil {
		return nil, err
	}
	info := doc.child(doc.root, signatureSpace, "SignedInfo")
	form, _ := doc.canonical(info, method{exclusive: true}) // it is short
	digest := sha256.Sum256(form)
	value, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, &record.Error{Code: record.Internal, Op: opSign, Message: "the key does not sign", Err: err}
	}
	if public, ok := key.Public().(*ecdsa.PublicKey); ok {
		// RFC 6931 §2.3.6: the two numbers, each as long as the order of the curve.
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(value, &pair); err != nil {
			return nil, &record.Error{Code: record.Internal, Op: opSign, Message: "the key signs in a form that is not known", Err: err}
		}
		size := (public.Curve.Params().BitSize + 7) / 8
		value = make([]byte, 2*size)
		pair.R.FillBytes(value[:size])
		pair.S.FillBytes(value[size:])
	}
	return value, nil
}

// algorithmOf returns the name of the algorithm that goes with a key.
func algorithmOf(key crypto.Signer, cert *x509.Certificate) (string, error) {
	public := key.Public()
	if same, ok := public.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(cert.PublicKey) {
		return "", record.Errorf(record.Invalid, opSign, "the certificate is not that of the key")
	}
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < weakBits {
			return "", record.Errorf(record.Invalid, opSign, "an RSA key of %d bits is too short; %d are needed", k.N.BitLen(), weakBits)
		}
		return rsaSHA256, nil
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize != 256 {
			return "", record.Errorf(record.Invalid, opSign, "the curve %s is not used for alerts; P-256 is", k.Curve.Params().Name)
		}
		return ecdsaSHA256, nil
	}
	return "", record.Errorf(record.Invalid, opSign, "a key of the type %s cannot sign alerts; RSA and ECDSA can", strings.TrimPrefix(fmt.Sprintf("%T", public), "*"))
}
