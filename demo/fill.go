package demo

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"unicode"
)

var choice = regexp.MustCompile(`\[([^\[\]]*)\]`)

// contract joins French prepositions with the article of a name such as Les Cayes.
var contract = strings.NewReplacer("à Les ", "aux ", "de Les ", "des ")

// fill makes one text of a template: [a|b] is a choice, {slot} a value. Sentences
// begin with a capital, whatever filled them.
func fill(rng *rand.Rand, text string, slots map[string]string) string {
	text = choice.ReplaceAllStringFunc(text, func(s string) string {
		return pick(rng, strings.Split(s[1:len(s)-1], "|"))
	})
	for k, v := range slots {
		text = strings.ReplaceAll(text, "{"+k+"}", v)
	}
	text = contract.Replace(text)
	out, begin := []rune(text), true
	for i, r := range out {
		switch {
		case begin && unicode.IsLetter(r):
			out[i], begin = unicode.ToUpper(r), false
		case begin && unicode.IsDigit(r):
			begin = false
		case r == ' ' && i > 0 && strings.ContainsRune(".!?", out[i-1]):
			begin = true
		}
	}
	return string(out)
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// between returns a whole number from a to b, both included.
func between(rng *rand.Rand, a, b int) int { return a + rng.IntN(b-a+1) }

// chance is true p times out of 1.
func chance(rng *rand.Rand, p float64) bool { return rng.Float64() < p }
