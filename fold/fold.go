// Package fold makes words alike that people write differently: search and the
// comparison of names rest on it. It holds no state.
package fold

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// spelled are letters that people also write with two, or without their stroke,
// and that Unicode does not decompose.
var spelled = map[rune]string{'œ': "oe", 'æ': "ae", 'ß': "ss", 'ø': "o", 'ł': "l", 'đ': "d", 'ı': "i"}

// Words splits text into words: lower case, without accents, letters and digits
// only. "Léogâne, ri 17" gives "leogane", "ri", "17". A word of most bytes takes no
// more letters.
func Words(text string, most int) []string {
	var words []string
	b := make([]byte, 0, 40)
	flush := func() {
		if len(b) > 0 {
			words = append(words, string(b))
			b = b[:0]
		}
	}
	letter := func(r rune) {
		if r = unicode.ToLower(r); len(b) >= most {
		} else if s, ok := spelled[r]; ok {
			b = append(b, s...)
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
			flush()
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
				if len(b) < most {
					b = append(b, c)
				}
			case 'A' <= c && c <= 'Z':
				if len(b) < most {
					b = append(b, c+'a'-'A')
				}
			default: // l'hôpital, n'ap: the article is a word of its own
				flush()
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if r < rune(len(plain)) && plain[r] != 0 {
			if len(b) < most {
				b = append(b, plain[r])
			}
		} else if d := norm.NFKD.PropertiesString(text[i : i+n]).Decomposition(); d != nil {
			for _, x := range string(d) {
				put(x)
			}
		} else {
			put(r)
		}
		i += n
	}
	flush()
	return words
}

// plain has the ASCII letter of each letter with accents below U+0250, which is
// nearly all that is written here.
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
