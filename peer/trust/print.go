package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math/big"
	"strings"
	"unicode"
)

// Fingerprint is the SHA-256 of a public key, cut to 20 bytes: what an invitation
// holds.
func Fingerprint(key ed25519.PublicKey) (p [20]byte) {
	h := sha256.Sum256(key)
	copy(p[:], h[:])
	return p
}

// printDigits is the length of a fingerprint that is read out: 99 bits.
const printDigits = 30

// Spoken is the fingerprint of a key as two persons compare it over the
// telephone: 30 decimal digits in six groups, "24816 07433 ...". Digits have names in
// every language and survive a bad line better than letters. Who wants to make
// another key with the same digits has 2^99 tries before him.
func Spoken(key ed25519.PublicKey) string {
	d := digits(key)
	var groups []string
	for i := 0; i < len(d); i += 5 {
		groups = append(groups, d[i:i+5])
	}
	return strings.Join(groups, " ")
}

func digits(key ed25519.PublicKey) string {
	p := Fingerprint(key)
	n := new(big.Int).SetBytes(p[:])
	n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(printDigits), nil))
	return fmt.Sprintf("%0*d", printDigits, n)
}

// SameSpoken reports whether what somebody typed is the fingerprint of the key,
// with whatever blanks, hyphens and dots between the digits.
func SameSpoken(key ed25519.PublicKey, typed string) bool {
	bare := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Dash, r) || r == '.' {
			return -1
		}
		return r
	}, typed)
	return len(key) == ed25519.PublicKeySize && subtle.ConstantTimeCompare([]byte(bare), []byte(digits(key))) == 1
}
