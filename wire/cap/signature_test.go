package cap

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/record"
)

// certify makes a certificate that a key has signed itself.
func certify(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(17), Subject: pkix.Name{CommonName: "alerts.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func elliptic256(t testing.TB) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, certify(t, key)
}

func rsa2048(t testing.TB) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key, certify(t, key)
}

func mustSign(t testing.TB, data []byte, key crypto.Signer, cert *x509.Certificate) []byte {
	t.Helper()
	signed, err := Sign(data, key, cert)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// verifyOne verifies a document with one signature.
func verifyOne(t testing.TB, data []byte, known ...*x509.Certificate) Signature {
	t.Helper()
	got, err := Verify(data, Limits{}, known...)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d signatures: %v\n%s", len(got), err, data)
	}
	return got[0]
}

// toPEM writes files for xmlsec1 and returns their names.
func toPEM(t testing.TB, key crypto.Signer, cert *x509.Certificate) (keyFile, certFile string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keyFile, certFile = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	for name, block := range map[string]*pem.Block{keyFile: {Type: "PRIVATE KEY", Bytes: der}, certFile: {Type: "CERTIFICATE", Bytes: cert.Raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return keyFile, certFile
}

func xmlsec1(t testing.TB, stdin []byte, args ...string) (string, bool) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "doc.xml")
	if err := os.WriteFile(name, stdin, 0o600); err != nil {
		t.Fatal(err)
	}
	return tool(t, "xmlsec1", "xmlsec1", nil, append(args, name)...)
}

func TestWhatIsSignedVerifies(t *testing.T) {
	for name, keys := range map[string]func(testing.TB) (crypto.Signer, *x509.Certificate){"ecdsa-sha256": elliptic256, "rsa-sha256": rsa2048} {
		key, cert := keys(t)
		for file, data := range map[string][]byte{
			"flood":            own(t, "flood.cap"),
			"written":          Marshal(flood()),
			"windows-1252":     own(t, "old.cap"),
			"byte order mark":  append([]byte("\xEF\xBB\xBF"), own(t, "flood.cap")...),
			"instructions":     []byte("<?a b?>\n<!-- c -->" + minimal("1.2", info(levels)) + "<!-- </alert> --><?d?>\n"),
			"prefix":           []byte(`<c:alert xmlns:c="` + space12 + `" xmlns:d="urn:d"><c:identifier>` + "\r\n" + `</c:identifier></c:alert >`),
			"already in there": []byte(minimal("1.2", "<note><![CDATA[</alert>]]></note>")),
		} {
			t.Run(name+" "+file, func(t *testing.T) {
				signed := mustSign(t, data, key, cert)
				s := verifyOne(t, signed)
				if !s.Holds() || s.Weak || s.Algorithm != name || s.Digest != "sha256" || !cert.Equal(s.Certificate) || s.Reason != "" || s.Parallel {
					t.Errorf("%+v", s)
				}
				if before, err := Parse(data, Limits{}); err == nil {
					if d := cmp.Diff(before, mustParse(t, signed), sameTimes); d != "" {
						t.Error(d)
					}
				}
				if file == "windows-1252" {
					return // xmlsec1 is built without it here and there
				}
				_, certFile := toPEM(t, key, cert)
				if out, ok := xmlsec1(t, signed, "--verify", "--trusted-pem", certFile); !ok {
					t.Errorf("xmlsec1 does not verify it: %s\n%s", out, signed)
				}
			})
		}
	}
}

// template is a signature for xmlsec1 to fill.
func template(canonization, transform, algorithm, digest string) string {
	return `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#" Id="one">
 <SignedInfo>
  <!-- a comment -->
  <CanonicalizationMethod Algorithm="` + canonization + `"/>
  <SignatureMethod Algorithm="` + algorithm + `"/>
  <Reference URI="">
   <Transforms><Transform Algorithm="` + enveloped + `"/>` + transform + `</Transforms>
   <DigestMethod Algorithm="` + digest + `"/>
   <DigestValue></DigestValue>
  </Reference>
 </SignedInfo>
 <SignatureValue/>
 <KeyInfo><X509Data><X509Certificate/></X509Data></KeyInfo>
</Signature>`
}

func TestSignaturesOfXmlsec1Verify(t *testing.T) {
	rsaKey, rsaCert := rsa2048(t)
	ecKey, ecCert := elliptic256(t)
	transform := func(name, more string) string { return `<Transform Algorithm="` + name + `">` + more + `</Transform>` }
	prefixes := `<e:InclusiveNamespaces xmlns:e="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="#default p"/>`
	alert := strings.Replace(minimal("1.2", info(levels)), "<alert ", `<alert xmlns:p="urn:p" xmlns:q="urn:q" `, 1)
	for name, signature := range map[string]string{
		"inclusive rsa-sha256":          template(inclusiveC14N, transform(inclusiveC14N, ""), rsaSHA256, digestSHA256),
		"inclusive with comments":       template(inclusiveC14N+"#WithComments", "", rsaSHA256, digestSHA256),
		"exclusive rsa-sha256":          template(exclusiveC14N, transform(exclusiveC14N, ""), rsaSHA256, digestSHA256),
		"exclusive with comments":       template(exclusiveC14N+"WithComments", transform(exclusiveC14N+"WithComments", ""), rsaSHA256, digestSHA256),
		"exclusive with some inclusive": template(exclusiveC14N, transform(exclusiveC14N, prefixes), rsaSHA256, digestSHA256),
		"ecdsa-sha256":                  template(exclusiveC14N, transform(exclusiveC14N, ""), ecdsaSHA256, digestSHA256),
		"rsa-sha1":                      template(inclusiveC14N, "", rsaSHA1, digestSHA1),
	} {
		t.Run(name, func(t *testing.T) {
			key, cert := rsaKey, rsaCert
			if strings.Contains(signature, ecdsaSHA256) {
				key, cert = ecKey, ecCert
			}
			keyFile, certFile := toPEM(t, key, cert)
			signed, ok := xmlsec1(t, []byte(strings.Replace(alert, "</alert>", "<!-- c -->"+signature+"</alert>", 1)), "--sign", "--privkey-pem", keyFile+","+certFile)
			if !ok {
				t.Fatal(signed)
			}
			s := verifyOne(t, []byte(signed))
			if !s.Holds() || s.Weak != strings.Contains(name, "sha1") || !cert.Equal(s.Certificate) || s.ID != "one" {
				t.Errorf("%+v\n%s", s, signed)
			}
			forged := verifyOne(t, []byte(strings.Replace(signed, ">e<", ">f<", 1)))
			if forged.Holds() || forged.DigestOK {
				t.Errorf("forged: %+v", forged)
			}
		})
	}
}

// TestNoByteChangesWithoutNotice changes every byte of a signed alert: either it
// does not verify, or another certificate is named, or it is the same alert.
func TestNoByteChangesWithoutNotice(t *testing.T) {
	key, cert := elliptic256(t)
	signed := mustSign(t, own(t, "flood.cap"), key, cert)
	want := mustParse(t, signed)
	held, text := 0, bytes.Index(signed, []byte("<identifier>"))
	for i := range signed {
		changed := bytes.Clone(signed)
		changed[i] ^= 1
		got, err := Verify(changed, Limits{})
		if err != nil || len(got) != 1 || !got[0].Holds() || !cert.Equal(got[0].Certificate) {
			continue
		}
		held++
		a, err := Parse(changed, Limits{})
		if err != nil {
			continue
		}
		if d := cmp.Diff(want, a, sameTimes); d != "" {
			t.Fatalf("byte %d, %q, was changed without notice: %s", i, signed[max(0, i-10):i+10], d)
		}
		if i > text && i < bytes.Index(signed, []byte("<Signature ")) {
			t.Errorf("byte %d, %q, was changed without notice", i, signed[i-10:i+10])
		}
	}
	if held > 200 {
		t.Errorf("%d of %d bytes may be changed", held, len(signed))
	}
}

func TestSignaturesThatDoNotCoverTheAlertDoNotHold(t *testing.T) {
	key, cert := elliptic256(t)
	signed := string(mustSign(t, []byte(minimal("1.2", info(levels))), key, cert))
	at, end := strings.Index(signed, "<Signature "), strings.Index(signed, "</Signature>")+len("</Signature>")
	signature := signed[at:end]
	evil := strings.Replace(minimal("1.2", info(levels)), ">e<", ">evil<", 1)
	into := func(alert, part string) string { return strings.Replace(alert, "</alert>", part+"</alert>", 1) }
	for name, try := range map[string]struct {
		data       string
		signatures int
		reason     string
	}{
		"the signature of another":      {into(evil, signature), 1, "another"},
		"the original in an object":     {into(evil, strings.Replace(signature, "</Signature>", "<Object>"+signed+"</Object></Signature>", 1)), 1, "another"},
		"the signed alert in the alert": {into(evil, "<note>"+signed+"</note>"), 0, ""},
		"reference to an element":       {strings.Replace(signed, `URI=""`, `URI="#a"`, 1), 1, "not of the whole"},
		"reference to a file":           {strings.Replace(signed, `URI=""`, `URI="file:///etc/hostname"`, 1), 1, "not of the whole"},
		"no URI":                        {strings.Replace(signed, ` URI=""`, ``, 1), 1, "not of the whole"},
		"two references":                {strings.Replace(signed, "</Reference>", `</Reference><Reference URI="#a"/>`, 1), 1, "more than once"},
		"two digests":                   {strings.Replace(signed, "<DigestValue>", "<DigestValue></DigestValue><DigestValue>", 1), 1, "more than once"},
		"two parts that are signed":     {strings.Replace(signed, "<SignatureValue>", "<SignedInfo></SignedInfo><SignatureValue>", 1), 1, "more than once"},
		"no transform":                  {signed[:strings.Index(signed, "<Transforms>")] + signed[strings.Index(signed, "</Transforms>")+13:], 1, "not an enveloped"},
		"XPath":                         {strings.Replace(signed, exclusiveC14N+`"></Transform>`, `http://www.w3.org/TR/1999/REC-xpath-19991116"><XPath>1</XPath></Transform>`, 1), 1, "is not known"},
		"XSLT":                          {strings.Replace(signed, enveloped, "http://www.w3.org/TR/1999/REC-xslt-19991116", 1), 1, "is not known"},
		"enveloped twice":               {strings.Replace(signed, exclusiveC14N+`"></Transform>`, enveloped+`"></Transform>`, 1), 1, "is not known"},
		"MD5":                           {strings.Replace(signed, digestSHA256, signatureSpace+"md5", 1), 1, "is not known"},
		"HMAC":                          {strings.Replace(signed, ecdsaSHA256, signatureSpace+"hmac-sha1", 1), 1, "is not known"},
		"RSA said of an ECDSA key":      {strings.Replace(signed, ecdsaSHA256, rsaSHA256, 1), 1, "not made with the key"},
		"no key":                        {signed[:strings.Index(signed, "<KeyInfo>")] + signed[strings.Index(signed, "</KeyInfo>")+10:], 1, "brings no key"},
		"a key that is none":            {strings.Replace(signed, "<X509Certificate>", "<X509Certificate>AA", 1), 1, "brings no key"},
		"a value beyond base64":         {strings.Replace(signed, "<DigestValue>", "<DigestValue>*", 1), 1, "not base64"},
		"a stranger among transforms":   {strings.Replace(signed, "<Transforms>", "<Transforms><Other/>", 1), 1, "has no place"},
		"many prefixes":                 {strings.Replace(signed, `"></CanonicalizationMethod>`, `"><InclusiveNamespaces xmlns="`+exclusiveC14N+`" PrefixList="`+strings.Repeat("p ", 17)+`"/></CanonicalizationMethod>`, 1), 1, "prefixes"},
		"out of proportion":             {strings.Replace(signed, ` xmlns="`+space12+`">`, ` xmlns="`+space12+`" xmlns:p="urn:`+strings.Repeat("x", 1000)+`">`+strings.Repeat("<p:a/>", 5000), 1), 1, "too long"},
		"two canonical forms":           {strings.Replace(signed, "</Transforms>", `<Transform Algorithm="`+inclusiveC14N+`"/></Transforms>`, 1), 1, "more than once"},
		"a canonical form of no name":   {strings.Replace(signed, exclusiveC14N, "urn:example", 1), 1, "is not known"},
		"no value":                      {strings.Replace(signed, "SignatureValue>", "SignatureVaule>", 2), 1, "is missing"},
		"value of nothing":              {signed[:strings.Index(signed, "<SignatureValue>")+16] + signed[strings.Index(signed, "</SignatureValue>"):], 1, "not base64"},
		"another name":                  {strings.Replace(signed, `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">`, `<Signature xmlns="urn:example">`, 1), 0, ""},
		"a comment in a value":          {strings.Replace(signed, "<event>e", "<event>f<!-- e -->", 1), 1, "another"},
	} {
		t.Run(name, func(t *testing.T) {
			if try.data == signed {
				t.Fatal("nothing was changed")
			}
			got, err := Verify([]byte(try.data), Limits{})
			if err != nil || len(got) != try.signatures {
				t.Fatal(len(got), err)
			}
			for _, s := range got {
				if s.Holds() || !strings.Contains(s.Reason, try.reason) {
					t.Errorf("%+v", s)
				}
			}
		})
	}
	without := strings.Replace(signed, signature[strings.Index(signature, "<KeyInfo>"):strings.Index(signature, "</KeyInfo>")+10], "", 1)
	other, otherCert := elliptic256(t)
	if s := verifyOne(t, []byte(without), otherCert, cert); !s.Holds() || !cert.Equal(s.Certificate) {
		t.Errorf("with a certificate that is known: %+v", s)
	}
	if s := verifyOne(t, []byte(without), otherCert); s.Holds() {
		t.Errorf("with the certificate of another: %+v", s)
	}
	if s := verifyOne(t, mustSign(t, []byte(evil), other, otherCert)); !s.Holds() || cert.Equal(s.Certificate) {
		t.Error("the signature of another has the certificate of the sender")
	}
	if s, err := Verify([]byte(minimal("1.2", "")), Limits{}); err != nil || len(s) != 0 {
		t.Error("an alert without a signature:", s, err)
	}
	if _, err := Verify([]byte(into(evil, strings.Repeat(signature, 9))), Limits{}); record.CodeOf(err) != record.TooLarge {
		t.Error("many signatures:", err)
	}
}

func TestSideBySideSignaturesHold(t *testing.T) {
	alert := []byte(minimal("1.2", info(levels)))
	key, cert := elliptic256(t)
	other, otherCert := elliptic256(t)
	one, two := string(mustSign(t, alert, key, cert)), string(mustSign(t, alert, other, otherCert))
	both := strings.Replace(one, "</alert>", two[strings.Index(two, "<Signature "):], 1)
	got, err := Verify([]byte(both), Limits{})
	if err != nil || len(got) != 2 || !got[0].Holds() || !got[1].Holds() || !got[0].Parallel || !got[1].Parallel ||
		!cert.Equal(got[0].Certificate) || !otherCert.Equal(got[1].Certificate) {
		t.Errorf("%+v %v", got, err)
	}
	// One over the other.
	got, err = Verify(mustSign(t, []byte(one), other, otherCert), Limits{})
	if err != nil || len(got) != 2 || !got[0].Holds() || !got[0].Parallel || !got[1].Holds() || got[1].Parallel {
		t.Errorf("%+v %v", got, err)
	}
}

func TestSignRefusesWhatOthersWouldNotBelieve(t *testing.T) {
	key, cert := elliptic256(t)
	_, other := elliptic256(t)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	alert := []byte(minimal("1.2", ""))
	for name, try := range map[string]struct {
		data []byte
		key  crypto.Signer
		cert *x509.Certificate
	}{
		"certificate of another": {alert, key, other},
		"Ed25519":                {alert, edKey, certify(t, edKey)},
		"P-384":                  {alert, p384, certify(t, p384)},
		"RSA of 1024 bits":       {alert, short, certify(t, short)},
		"no alert":               {[]byte("<a/>"), key, cert},
		"empty alert":            {[]byte(`<alert xmlns="` + space12 + `"/>`), key, cert},
		"no XML":                 {[]byte("alert"), key, cert},
		"a document type":        {append([]byte("<!DOCTYPE alert>"), alert...), key, cert},
	} {
		if _, err := Sign(try.data, try.key, try.cert); record.CodeOf(err) != record.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	key, cert := elliptic256(f)
	signed := mustSign(f, []byte(minimal("1.2", info(levels))), key, cert)
	want := mustParse(f, signed)
	f.Add(signed)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Verify(data, Limits{Bytes: 1 << 16}, cert)
		if err != nil {
			return
		}
		for _, s := range got {
			if !s.Holds() && s.Reason == "" {
				t.Fatalf("%+v does not say why", s)
			}
			if !s.Holds() || !cert.Equal(s.Certificate) {
				continue
			}
			if a, err := Parse(data, Limits{}); err == nil {
				if d := cmp.Diff(want, a, sameTimes); d != "" {
					t.Fatalf("forged: %s", d)
				}
			}
		}
	})
}
