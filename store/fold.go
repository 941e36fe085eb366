package store

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord bounds one word, in bytes, so that a long run of letters cannot bloat
// the index.
const maxWord = 40

// Sign begins every term of the index that is not a word: identifiers here, and
// whatever a driver puts beside the words. Fold never yields it, so that no word
// that a person types, and no prefix of one, can meet such a term.
const Sign = "¤"

// spelled are letters that people also write with two, or without their stroke,
// and that Unicode does not decompose.
var spelled = map[rune]string{'œ': "oe", 'æ': "ae", 'ß': "ss", 'ø': "o", 'ł': "l", 'đ': "d", 'ı': "i"}

// Fold splits text into words as search sees them: lower case, without accents,
// letters and digits only. "Léogâne, ri 17" gives "leogane", "ri", "17".
func Fold(text string) []string {
	var words []string
	b := make([]byte, 0, maxWord)
	flush := func() {
		if len(b) > 0 {
			words = append(words, string(b))
			b = b[:0]
		}
	}
	put := func(r rune) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if r = unicode.ToLower(r); len(b) >= maxWord {
			} else if s, ok := spelled[r]; ok {
				b = append(b, s...)
			} else {
				b = utf8.AppendRune(b, r)
			}
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
				if len(b) < maxWord {
					b = append(b, c)
				}
			case 'A' <= c && c <= 'Z':
				if len(b) < maxWord {
					b = append(b, c+'a'-'A')
				}
			default: // l'hôpital, n'ap: the article is a word of its own
				flush()
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if d := norm.NFKD.PropertiesString(text[i : i+n]).Decomposition(); d != nil {
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

// FoldID folds an identifier to one token: a plate, a telephone number, a
// serial. It begins with a sign that is in no word: "+509 5555-0101" gives
// "¤i50955550101".
func FoldID(id string) string {
	s := strings.Join(Fold(id), "")
	if len(s) > 2*maxWord {
		s = strings.ToValidUTF8(s[:2*maxWord], "")
	}
	if s == "" {
		return ""
	}
	return Sign + "i" + s
}

// NameTerm is the term of a key of package name: no word of a text meets it.
func NameTerm(key string) string { return Sign + "n" + key }
