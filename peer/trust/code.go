package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode"

	"rsc.io/qr"

	"konbit/record"
)

// An invitation is read out, typed, or scanned as
//
//	KBI1-<8 characters>-<8 characters>-...
//
// Its bytes are flags (1: into a region, 2: https), expiry (minutes since 1970, 32
// bits), fingerprint (20), secret (16), the address without its scheme, and the first
// 3 bytes of the SHA-256 of all that. They are written in Crockford's base32, 7
// characters a group; the eighth checks the group, so that a typing error is found
// in the group in which it was made. All characters are such that QR codes hold
// them densely (ISO/IEC 18004, alphanumeric mode).
const codePrefix = "KBI1"

const (
	flagRegion = 1 << iota
	flagHTTPS
)

const (
	codeHead  = 1 + 4 + 20 + 16 // bytes before the address
	codeCheck = 3               // bytes after it
	codeURL   = 120             // bytes of an address at most
	codeGroup = 8               // characters of a group, the check included
	maxCode   = 1000            // characters that are looked at
)

// Code writes an invitation as text. The expiry is cut to the minute.
func (v *Invitation) Code() (string, error) {
	const op = "invitation"
	if why := checkURL(v.URL); why != "" {
		return "", record.Errorf(record.Invalid, op, "the address %.100q %s", v.URL, why)
	}
	scheme, rest, _ := strings.Cut(v.URL, "://")
	if len(rest) > codeURL {
		return "", record.Errorf(record.TooLarge, op, "the address has %d characters; an invitation holds %d", len(rest), codeURL)
	}
	minutes := v.Expires.Unix() / 60
	if minutes < 0 || minutes > 1<<32-1 {
		return "", record.Errorf(record.Invalid, op, "the expiry %s cannot be written", v.Expires)
	}
	var b []byte
	var flags byte
	if v.Region {
		flags |= flagRegion
	}
	if strings.EqualFold(scheme, "https") {
		flags |= flagHTTPS
	}
	b = binary.BigEndian.AppendUint32(append(b, flags), uint32(minutes))
	b = append(append(append(b, v.Fingerprint[:]...), v.Secret[:]...), rest...)
	h := sha256.Sum256(b)
	return codePrefix + "-" + strings.Join(groups(encode32(append(b, h[:codeCheck]...))), "-"), nil
}

// ParseCode reads an invitation: capital or small letters, with any blanks and
// hyphens, O for 0, I and L for 1. Whether it has expired is for the caller.
func ParseCode(s string) (*Invitation, error) {
	const op = "invitation"
	chars, err := readCode(s)
	if err != nil {
		return nil, err
	}
	b, ok := decode32(chars)
	if !ok || len(b) < codeHead+codeCheck+1 {
		return nil, record.Errorf(record.Invalid, op, "the code is not whole; its end is missing")
	}
	body, sum := b[:len(b)-codeCheck], b[len(b)-codeCheck:]
	if h := sha256.Sum256(body); !bytes.Equal(h[:codeCheck], sum) {
		return nil, record.Errorf(record.Invalid, op, "the code is not whole; a group is missing at its end, or there is one too many")
	}
	if body[0]&^(flagRegion|flagHTTPS) != 0 {
		return nil, record.Errorf(record.Invalid, op, "the code was made by a newer konbit")
	}
	v := &Invitation{URL: "http://", Region: body[0]&flagRegion != 0}
	if body[0]&flagHTTPS != 0 {
		v.URL = "https://"
	}
	v.Expires = time.Unix(60*int64(binary.BigEndian.Uint32(body[1:])), 0).UTC()
	copy(v.Fingerprint[:], body[5:])
	copy(v.Secret[:], body[25:])
	v.URL += string(body[codeHead:])
	if why := checkURL(v.URL); why != "" || len(body)-codeHead > codeURL {
		return nil, record.Errorf(record.Invalid, op, "the code holds an address that cannot be used")
	}
	return v, nil
}

// QR returns the modules of a QR code (ISO/IEC 18004, level M) of a text, row by
// row, "1" for dark, without the quiet zone of four modules around it.
func QR(code string) ([]string, error) {
	c, err := qr.Encode(code, qr.M)
	if err != nil {
		return nil, record.Errorf(record.TooLarge, "qr", "the code is too long for a QR code")
	}
	rows := make([]string, c.Size)
	for y := range rows {
		row := make([]byte, c.Size)
		for x := range row {
			row[x] = '0'
			if c.Black(x, y) {
				row[x] = '1'
			}
		}
		rows[y] = string(row)
	}
	return rows, nil
}

// alphabet is Crockford's base32.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// groups cuts characters into sevens and adds to each its check.
func groups(chars []byte) []string {
	var out []string
	for len(chars) > 0 {
		n := min(codeGroup-1, len(chars))
		g := make([]byte, 0, codeGroup)
		for _, c := range chars[:n] {
			g = append(g, alphabet[c])
		}
		out, chars = append(out, string(append(g, alphabet[check32(len(out), chars[:n])]))), chars[n:]
	}
	return out
}

// check32 is one Reed-Solomon symbol over GF(32): it changes when one character
// of the group does, or when two change places, or when groups do.
func check32(group int, chars []byte) byte {
	sum, weight := byte(group%31), byte(1)
	for _, c := range chars {
		weight = double32(weight)
		sum ^= multiply32(c, weight)
	}
	return sum
}

// double32 multiplies by x in GF(2)[x]/(x^5+x^2+1).
func double32(a byte) byte {
	a <<= 1
	if a&0x20 != 0 {
		a ^= 0x25
	}
	return a
}

func multiply32(a, b byte) (p byte) {
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		a = double32(a)
	}
	return p
}

// readCode returns the characters of a code, 0 to 31, the checks taken out, and
// names the group in which somebody mistyped.
func readCode(s string) ([]byte, error) {
	wrong := func(format string, args ...any) error {
		return record.Errorf(record.Invalid, "invitation", format, args...)
	}
	if len(s) > maxCode {
		return nil, wrong("this is longer than an invitation can be")
	}
	// Letters that are taken for digits are digits, in the prefix, too.
	s = strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(s))
	words := strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Dash, r) })
	rest, ok := strings.CutPrefix(strings.Join(words, ""), "KB11")
	if !ok {
		return nil, wrong("this is no invitation; one begins with %s", codePrefix)
	}
	if words[0] == "KB11" {
		words = words[1:] // typed as it was shown
	} else {
		words = nil
	}
	values, err := values32(rest, wrong)
	if err != nil {
		return nil, err
	}
	var chars []byte
	for n := 0; len(values) > 0; n++ {
		g := values[:min(codeGroup, len(values))]
		values = values[len(g):]
		if last := len(g) - 1; last < 1 || check32(n, g[:last]) != g[last] {
			if n < len(words)-1 && len([]rune(words[n])) != codeGroup {
				return nil, wrong("group %d has %d characters, and should have %d", n+1, len([]rune(words[n])), codeGroup)
			}
			return nil, wrong("there is a typing error in group %d", n+1)
		}
		chars = append(chars, g[:len(g)-1]...)
	}
	return chars, nil
}

func values32(s string, wrong func(string, ...any) error) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		v := strings.IndexRune(alphabet, r)
		if v < 0 {
			return nil, wrong("%q in group %d is no character of an invitation", r, len(out)/codeGroup+1)
		}
		out = append(out, byte(v))
	}
	return out, nil
}

// encode32 cuts bytes into fives of bits, high bits first.
func encode32(b []byte) []byte {
	var out []byte
	acc, bits := uint32(0), 0
	for _, c := range b {
		for acc, bits = acc<<8|uint32(c), bits+8; bits >= 5; bits -= 5 {
			out = append(out, byte(acc>>(bits-5)&31))
		}
	}
	if bits > 0 {
		out = append(out, byte(acc<<(5-bits)&31))
	}
	return out
}

// decode32 is the reverse; false when characters are left over that encode32
// would not have written.
func decode32(chars []byte) ([]byte, bool) {
	var out []byte
	acc, bits := uint32(0), 0
	for _, c := range chars {
		acc, bits = acc<<5|uint32(c), bits+5
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
		}
	}
	return out, bits < 5 && acc&(1<<bits-1) == 0
}
