package store

import (
	"strings"

	"konbit/fold"
)

// maxWord bounds one word, in bytes, so that a long run of letters cannot bloat
// the index.
const maxWord = 40

// Sign begins every term of the index that is not a word: identifiers here, and
// whatever a driver puts beside the words. Fold never yields it, so that no word
// that a person types, and no prefix of one, can meet such a term.
const Sign = "¤"

// Fold splits text into words as search sees them: lower case, without accents,
// letters and digits only. "Léogâne, ri 17" gives "leogane", "ri", "17".
func Fold(text string) []string { return fold.Words(text, maxWord) }

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
