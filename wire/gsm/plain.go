package gsm

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Plain is the nearest spelling of a text in the default alphabet: á becomes a, ç
// becomes c, curly quotation marks become straight ones. è é ù ì ò à ñ ü ä ö and
// all else that the alphabet has stay as they are. Marks of emphasis and emoji are
// left out when they stand alone; a letter of another script becomes "?".
func Plain(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range norm.NFC.String(text) {
		plain(&b, r)
	}
	return b.String()
}

// plain writes one letter.
func plain(b *strings.Builder, r rune) {
	if septets(r) > 0 {
		b.WriteRune(r)
		return
	}
	if s, ok := spelled[r]; ok {
		b.WriteString(s)
		return
	}
	wrote := false
	for _, part := range norm.NFKD.String(string(r)) {
		switch s, ok := spelled[part]; {
		case part == r:
		case septets(part) > 0:
			b.WriteRune(part)
			wrote = true
		case ok:
			b.WriteString(s)
			wrote = true
		}
	}
	switch {
	case wrote, unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc, unicode.Cs, unicode.So, unicode.Sk):
	case unicode.IsSpace(r):
		b.WriteByte(' ')
	default:
		b.WriteByte('?')
	}
}

// spelled are letters that are not a letter of the alphabet and a mark.
var spelled = map[rune]string{
	'’': "'", '‘': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '`': "'", 'ʼ': "'",
	'“': `"`, '”': `"`, '„': `"`, '″': `"`, '«': `"`, '»': `"`, '‹': "'", '›': "'",
	'–': "-", '—': "-", '‐': "-", '‑': "-", '‒': "-", '―': "-", '−': "-", '·': ".", '•': "-", '…': "...",
	'\t': " ", '\u00A0': " ", '\u202F': " ", '\u2028': "\n", '\u2029': "\n", '\u00AD': "",
	'œ': "oe", 'Œ': "OE", 'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th", 'ı': "i",
	'×': "x", '÷': "/", '⁄': "/", '°': " ", '©': "(c)", '®': "(R)", '¢': "c", '¬': "-", '±': "+-", '¶': "", '¦': "|", '¸': "",
	'α': "a", 'β': "ß", 'δ': "Δ", 'ω': "Ω", 'Α': "A", 'Β': "B", 'Ε': "E", 'Ζ': "Z", 'Η': "H", 'Ι': "I", 'Κ': "K", 'Μ': "M",
	'Ν': "N", 'Ο': "O", 'Ρ': "P", 'Τ': "T", 'Υ': "Y", 'Χ': "X", 'µ': "u",
}
