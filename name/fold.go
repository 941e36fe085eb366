package name

import (
	"math"
	"strings"

	"konbit/fold"
)

// maxText bounds the bytes of a name that are looked at; the rest is ignored.
const maxText = 400

// Fold returns the words of s in lower case, without accents, letters and digits
// only, with one blank between two words: "FILS-AIMÉ, Jn." gives "fils aime jn".
// Only the first 400 bytes of s count. Fold(Fold(s)) is Fold(s) unless s is cut.
func Fold(s string) string {
	return strings.Join(fold.Words(s[:min(len(s), maxText)], math.MaxInt), " ")
}
