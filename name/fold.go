package name

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxText bounds the bytes of a name that are looked at; the rest is ignored.
const maxText = 400

// spelled are letters that people also write with two, or without their stroke,
// and that Unicode does not decompose.
var spelled = map[rune]string{'œ': "oe", 'æ': "ae", 'ß': "ss", 'ø': "o", 'ł': "l", 'đ': "d", 'ı': "i"}

// Fold returns the words of s in lower case, without accents, letters and digits
// only, with one blank between two words: "FILS-AIMÉ, Jn." gives "fils aime jn".
// Only the first 400 bytes of s count. Fold(Fold(s)) is Fold(s) unless s is cut.
func Fold(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	b := make([]byte, 0, len(s)+8)
	gap := false
	letter := func(r rune) {
		if gap && len(b) > 0 {
			b = append(b, ' ')
		}
		gap = false
		if r = unicode.ToLower(r); r < utf8.RuneSelf {
			b = append(b, byte(r))
		} else if two, ok := spelled[r]; ok {
			b = append(b, two...)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	put := func(r rune) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			letter(r)
		case unicode.Is(unicode.Mn, r): // an accent: part of the letter before it
		default:
			gap = true
		}
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
				letter(rune(c))
			} else {
				gap = true
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r < 0x250 && plain[r] != 0 {
			letter(rune(plain[r]))
		} else if d := norm.NFKD.PropertiesString(s[i : i+n]).Decomposition(); d != nil {
			for _, x := range string(d) {
				put(x)
			}
		} else {
			put(r)
		}
		i += n
	}
	return string(b)
}

// plain has the ASCII letter of each letter with accents below U+0250, which is
// nearly all that a name here has.
var plain = func() (t [0x250]byte) {
	for r := rune(0x80); r < 0x250; r++ {
		d := norm.NFKD.PropertiesString(string(r)).Decomposition()
		if len(d) < 2 || !unicode.IsLetter(r) {
			continue
		}
		letters := strings.Map(func(x rune) rune {
			if unicode.Is(unicode.Mn, x) {
				return -1
			}
			return x
		}, string(d))
		if len(letters) == 1 && unicode.IsLetter(rune(letters[0])) {
			t[r] = byte(unicode.ToLower(rune(letters[0])))
		}
	}
	return t
}()
