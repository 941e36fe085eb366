package store

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestWordsFoldAlikeHoweverTheyAreWritten(t *testing.T) {
	for in, want := range map[string]string{
		"Léogâne, ri 17":        "leogane ri 17",
		"LEOGANE":               "leogane",
		"Le\u0301oga\u0302ne":   "leogane",
		"Fils-Aimé":             "fils aime",
		"Señor Ñuñez":           "senor nunez",
		"sen\u0303or":           "senor",
		"Kòman ou rele?":        "koman ou rele",
		"l'hôpital":             "l hopital",
		"l’hôpital":             "l hopital",
		"sœur Çà et là":         "soeur ca et la",
		"ÎLE-À-VACHE":           "ile a vache",
		"¿Dónde está?":          "donde esta",
		"pingüino":              "pinguino",
		"ﬁn de l’année":         "fin de l annee",
		"１１４":                   "114",
		"Straße Øst":            "strasse ost",
		"İstanbul":              "istanbul",
		"a_b":                   "a b",
		"":                      "",
		"... --- ...":           "",
		"¤m5 ¤kabc":             "m5 kabc",
		"\xff\xfebad\xc3":       "bad",
		"mwen\u00a0la":          "mwen la",
		"x\u200bz":              "x z",
		"Порт-о-Пренс":          "порт о пренс",
		strings.Repeat("a", 99): strings.Repeat("a", maxWord),
	} {
		if got := strings.Join(Fold(in), " "); got != want {
			t.Errorf("%q folds to %q, want %q", in, got, want)
		}
	}
}

func TestIdentifiersFoldToOneTerm(t *testing.T) {
	for in, want := range map[string]string{
		"+509 5555-0101": "¤i50955550101",
		"AA-123 bb":      "¤iaa123bb",
		"---":            "",
		"":               "",
	} {
		if got := FoldID(in); got != want {
			t.Errorf("%q folds to %q, want %q", in, got, want)
		}
	}
	if got := FoldID(strings.Repeat("é1-", 200)); len(got) > 2*maxWord+len(Sign)+1 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"Léogâne", "Le\u0301ogane", "ﬁ½①", "ǅ", "\u1e9b\u0323", "\xff", "각", "ΌΔΟΣ", "ŉ", Sign} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := Fold(s)
		for _, w := range words {
			if w == "" || len(w) > maxWord+utf8.UTFMax || !utf8.ValidString(w) || strings.Contains(w, Sign) {
				t.Fatalf("%q gives the word %q", s, w)
			}
			for _, r := range w {
				if unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.Is(unicode.Mn, r) {
					t.Fatalf("%q gives the word %q", s, w)
				}
			}
		}
		// Folding what is folded changes nothing: what is typed as it is shown is found.
		if again := Fold(strings.Join(words, " ")); !slices.Equal(again, words) {
			t.Fatalf("%q: %q, then %q", s, words, again)
		}
		if id := FoldID(s); id != "" && (!strings.HasPrefix(id, Sign) || !utf8.ValidString(id)) {
			t.Fatalf("%q", id)
		}
	})
}
