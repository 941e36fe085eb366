package question

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormalizeMakesSpellingsEqual(t *testing.T) {
	for _, c := range []struct{ typ, in, country, want string }{
		{"plate", "aa-12 345", "", "AA12345"},
		{"plate", " A·123456 ", "", "A123456"},
		{"plate", "ÀÉ 12", "", "AE12"},
		{"plate", "O0123", "", "O0123"},
		{"passport", "PP<1234567", "", "PP1234567"},
		{"firearm", "sn: 0O-88/b", "", "SN0O88B"},
		{"firearm", "ABC０１２", "", "ABC012"}, // full width digits
		{"vessel", "IMO 9074729", "", "IMO9074729"},
		{"vessel", "9074729", "", "IMO9074729"},
		{"vessel", "MMSI 336 123 456", "", "MMSI336123456"},
		{"vessel", "336123456", "", "MMSI336123456"},
		{"vessel", "HH-1234", "", "HH1234"},
		{"vessel", "9074728", "", "9074728"}, // no check digit: a mark of registry
		{"vessel", "La Belle Étoile", "", "LABELLEETOILE"},
		{"telephone", "3456-7890", "ht", "+50934567890"},
		{"telephone", "+509 34 56 78 90", "do", "+50934567890"},
		{"telephone", "0050934567890", "ht", "+50934567890"},
		{"telephone", "50934567890", "ht", "+50934567890"},
		{"telephone", "tel:+1-809-555-0101", "ht", "+18095550101"},
		{"telephone", "(809) 555-0101", "do", "+18095550101"},
		{"telephone", "1 809 555 0101", "do", "+18095550101"},
		{"telephone", "011 509 3456 7890", "do", "+50934567890"},
		{"telephone", "0690 12 34 56", "gp", "+590690123456"},
		{"telephone", "06 12 34 56 78", "fr", "+33612345678"},
		{"call-sign", "hh 2b", "", "HH2B"},
	} {
		if got, err := Normalize(c.typ, c.in, c.country); err != nil || got != c.want {
			t.Errorf("%s %q: %q, want %q, %v", c.typ, c.in, got, c.want, err)
		}
	}
	for _, c := range []struct{ typ, in, country string }{
		{"plate", "", ""}, {"plate", "--", ""}, {"plate", "A1", ""}, {"plate", strings.Repeat("A", 41), ""}, {"plate", strings.Repeat("-", 500) + "AAA", ""},
		{"vessel", "IMO 9074728", ""}, {"vessel", "MMSI 12345", ""},
		{"telephone", "114", "ht"}, {"telephone", "3456-7890", ""}, {"telephone", "3456-7890", "zz"}, {"telephone", "555-0101", "do"}, {"telephone", "ring Ana", "ht"},
		{"telephone", "+", "ht"}, {"telephone", "+0123456789", "ht"}, {"telephone", "+1234567890123456", "ht"}, {"telephone", "34+567890", "ht"},
	} {
		if got, err := Normalize(c.typ, c.in, c.country); err == nil {
			t.Errorf("%s %q: %q is accepted", c.typ, c.in, got)
		}
	}
}

func TestNormalizedStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]string{"plate", "passport", "firearm", "telephone", "vessel", "other"}).Draw(t, "type")
		country := rapid.SampledFrom([]string{"ht", "do", "fr", "cw", ""}).Draw(t, "country")
		in := rapid.OneOf(rapid.String(), rapid.StringMatching(`[+]?[0-9 ()-]{3,20}`), rapid.StringMatching(`[A-Za-z0-9 -]{3,20}`)).Draw(t, "in")
		once, err := Normalize(typ, in, country)
		if err != nil {
			return
		}
		if twice, err := Normalize(typ, once, "do"); err != nil || twice != once {
			t.Fatalf("%q, then %q, %v", once, twice, err)
		}
	})
}

func TestMaskShowsTheEndAlone(t *testing.T) {
	for in, want := range map[string]string{"A123456": "••••456", "ABCDE": "••••E", "ABC": "••C", "+50934567890": "•••••••••890"} {
		if got := mask(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
