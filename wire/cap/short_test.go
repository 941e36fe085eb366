package cap

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestShort(t *testing.T) {
	with := func(change func(*Alert)) *Alert {
		a := flood()
		change(a)
		return a
	}
	for name, try := range map[string]struct {
		a    *Alert
		lang string
		n    int
		want string
	}{
		"90":                         {flood(), "ht", WEA, "Inondasyon nan zòn larivyè egzanp lan. Monte kote ki wo. Pa travèse dlo."},
		"160":                        {flood(), "fr", SMS, "Inondation près de la rivière exemple. Montez sur les hauteurs. Ne traversez pas l'eau. L'eau monte depuis le matin. Le pont est fermé."},
		"cut in the description":     {flood(), "ht", 115, "Inondasyon nan zòn larivyè egzanp lan. Monte kote ki wo. Pa travèse dlo. Dlo a ap monte depi maten. Pon an fèmen..."},
		"cut in the headline":        {flood(), "ht", 20, "Inondasyon nan..."},
		"nothing that says nothing":  {flood(), "ht", 60, "Inondasyon nan zòn larivyè egzanp lan"},
		"no room":                    {flood(), "ht", 2, ".."},
		"language of a country":      {flood(), "fr-HT", WEA, "Inondation près de la rivière exemple. Montez sur les hauteurs. Ne traversez pas l'eau."},
		"language that is not there": {flood(), "es", 37, "Inondasyon nan zòn larivyè egzanp lan"},
		"test":                       {with(func(a *Alert) { a.Status = "Test" }), "ht", WEA, "Tès: Inondasyon nan zòn larivyè egzanp lan. Monte kote ki wo. Pa travèse dlo."},
		"exercise":                   {with(func(a *Alert) { a.Status = "Exercise" }), "fr", 60, "Exercice: Inondation près de la rivière exemple"},
		"cancel":                     {with(func(a *Alert) { a.MsgType = "Cancel" }), "fr", 60, "Annulation: Inondation près de la rivière exemple"},
		"no headline":                {with(func(a *Alert) { a.Info[1].Headline = "" }), "fr", 50, "Inondation: Bords de la rivière exemple"},
		"no info":                    {&Alert{}, "fr", WEA, ""},
		"said already":               {&Alert{Info: []Info{{Headline: "Leave now", Instruction: "Leave now"}}}, "en", WEA, "Leave now"},
		"lines":                      {&Alert{Info: []Info{{Headline: " Leave\n now! ", Instruction: "Go\tup."}}}, "en", WEA, "Leave now! Go up."},
		"no blank":                   {&Alert{Info: []Info{{Headline: strings.Repeat("x", 200)}}}, "en", 10, "xxxxxxx..."},
		"an accent":                  {&Alert{Info: []Info{{Headline: strings.Repeat("e\u0300", 20)}}}, "en", 10, "e\u0300e\u0300e\u0300..."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Short(try.a, try.lang, try.n); got != try.want {
				t.Errorf("%q\nnot %q", got, try.want)
			}
		})
	}
}

func TestShortIsNeverTooLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAlert().Draw(t, "alert")
		n := rapid.IntRange(-1, 400).Draw(t, "n")
		if got := Short(a, "ht", n); utf8.RuneCountInString(got) > max(n, 0) || !utf8.ValidString(got) {
			t.Fatalf("%q has more than %d characters", got, n)
		}
	})
}

func TestSpoken(t *testing.T) {
	a := flood()
	if got, want := Spoken(a, "ht"), "Inondasyon nan zòn larivyè egzanp lan. Zòn: Bò larivyè egzanp lan. Dlo a ap monte depi maten. Pon an fèmen ak wout la koupe. "+
		"Monte kote ki wo. Pa travèse dlo. Bon jiska 2 novanm a 18è 00. Mesaj sa a soti nan Sèvis Egzanp."; got != want {
		t.Errorf("%q\nnot %q", got, want)
	}
	a.Status = "Exercise"
	if got, want := Spoken(a, "fr-FR"), "Exercice. Inondation près de la rivière exemple. Zone: Bords de la rivière exemple. L'eau monte depuis le matin. Le pont est fermé. "+
		"Montez sur les hauteurs. Ne traversez pas l'eau. Valable jusqu'au 2 novembre à 18 h 00. Message de Service Exemple."; got != want {
		t.Errorf("%q\nnot %q", got, want)
	}
	for lang, want := range map[string]string{
		"en": "Flood. Valid until 5 August, 7:05.", "es": "Flood. Vigente hasta el 5 de agosto a las 7:05.", "xx": "Flood. Valid until 5 August, 7:05.",
		"ht": "Flood. Bon jiska 5 out a 7è 05.", "hat-HT": "Flood. Bon jiska 5 out a 7è 05.",
	} {
		if got := Spoken(&Alert{Info: []Info{{Language: lang, Event: "Flood", Expires: at("2026-08-05T07:05:00-04:00")}}}, lang); got != want {
			t.Errorf("%s: %q", lang, got)
		}
	}
	if got, want := wordsFor("fr").time(at("2026-11-01T18:05:00-05:00")), "1er novembre à 18 h 05"; got != want {
		t.Errorf("%q", got)
	}
	weather := &Alert{Info: []Info{{Headline: "...FLOOD WATCH...", Description: "* UNTIL NOON...IN THE NORTH.\nMore - now: https://example.org/x", Event: "x"}}}
	if got, want := Spoken(weather, "en"), "FLOOD WATCH. UNTIL NOON. IN THE NORTH. More now:"; got != want {
		t.Errorf("%q", got)
	}
	if Spoken(&Alert{}, "en") != "" {
		t.Error("an alert that says nothing is read out")
	}
}

// TestWordsFitIntoAShortMessage: what we put in does not make UCS-2 of it.
func TestWordsFitIntoAShortMessage(t *testing.T) {
	for lang, w := range wordsOf {
		for _, s := range []string{w.test, w.exercise, w.cancelled} {
			if strings.ContainsAny(s, "áíóúâêôîûçÈÒÀ") || s == "" {
				t.Errorf("%s: %q", lang, s)
			}
		}
	}
}
