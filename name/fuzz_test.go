package name

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var seeds = []string{
	"", " ", "Jean-Baptiste Fils-Aimé", "José de la Cruz Peña", "J. R. Pierre", "de la", "L'", "Ti-Jo", "\xff\xfe", "\u0301",
	"Иван Петров", "山田 太郎", "ﷺ ﷺ", "1 22 333", "Stlouis Jnpierre", "a b c d e f g h i", "y", "hh", "Mimi Kiki Titi Lolo Toto",
	"Ŀŉǆ", "'’`´", "Dodododo", "x x x x x x", "\xc4\xc7'\x89",
}

func FuzzKeys(f *testing.F) {
	for _, s := range append(seeds, strings.Repeat("Wilnor ", 200), strings.Repeat("w", 1000)) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded := Fold(s)
		if !utf8.ValidString(folded) || folded != strings.Join(strings.Fields(folded), " ") {
			t.Fatalf("%q folds to %q", s, folded)
		}
		if again := Fold(folded); again != folded && len(folded) <= maxText {
			t.Fatalf("%q folds to %q, then to %q", s, folded, again)
		}
		keys := Keys(s)
		if len(keys) > maxKeys || (len(keys) == 0) != (folded == "") {
			t.Fatalf("%q has %d keys: %q", s, len(keys), keys)
		}
		query := slices.Concat(Query(s)...)
		if len(query) > maxQuery || len(Query(s)) > len(steps) {
			t.Fatalf("%q asks for %q", s, query)
		}
		seen := map[string]int{}
		for _, k := range slices.Concat(keys, query) {
			if len(k) < 2 || len(k) > 26 || strings.Trim(k, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
				t.Fatalf("%q has the key %q", s, k)
			}
			if seen[k]++; seen[k] > 2 {
				t.Fatalf("%q has the key %q twice", s, k)
			}
		}
		// Who is looked for as he was written is found.
		if len(query) > 0 && !slices.ContainsFunc(query, func(k string) bool { return slices.Contains(keys, k) }) {
			t.Fatalf("%q has the keys %q and asks for %q", s, keys, query)
		}
		if !slices.Equal(keys, Keys(s)) || !slices.Equal(query, slices.Concat(Query(s)...)) {
			t.Fatalf("%q: not the same twice", s)
		}
	})
}

func FuzzScore(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, seeds[(i+1)%len(seeds)])
		f.Add(s, strings.ToUpper(s)+" "+seeds[(i+2)%len(seeds)])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		s := Score(a, b)
		switch {
		case !(s >= 0 && s <= 1):
			t.Fatalf("%q and %q: %v", a, b, s)
		case s != Score(b, a):
			t.Fatalf("%q and %q: %v, but %v", a, b, s, Score(b, a))
		case Score(a, a) != 1:
			t.Fatalf("%q: %v", a, Score(a, a))
		case s == 1 && a != b && Fold(closed(a)) != Fold(closed(b)):
			t.Fatalf("%q and %q are the same", a, b)
		}
		why := Why(a, b)
		if s > 0 && s < 1 && len(why) == 0 || s == 0 && len(why) > 0 {
			t.Fatalf("%q and %q: %v, %q", a, b, s, why)
		}
		for i, r := range why {
			if !slices.Contains(reasons[:], r) || slices.Contains(why[:i], r) {
				t.Fatalf("%q and %q: %q", a, b, why)
			}
		}
		if p, q := Prepare(a), Prepare(b); a != b && p.Score(&q) != s {
			t.Fatalf("%q and %q: %v, prepared %v", a, b, s, p.Score(&q))
		}
	})
}
