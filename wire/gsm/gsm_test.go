package gsm

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMeasure(t *testing.T) {
	for name, try := range map[string]struct {
		text string
		want Size
	}{
		"nothing":             {"", Size{Encoding: Seven, Room: 160}},
		"one letter":          {"a", Size{Encoding: Seven, Units: 1, Parts: 1, Room: 159}},
		"full":                {strings.Repeat("a", 160), Size{Encoding: Seven, Units: 160, Parts: 1}},
		"one over":            {strings.Repeat("a", 161), Size{Encoding: Seven, Units: 161, Parts: 2, Room: 145}},
		"two full parts":      {strings.Repeat("a", 306), Size{Encoding: Seven, Units: 306, Parts: 2}},
		"three parts":         {strings.Repeat("a", 307), Size{Encoding: Seven, Units: 307, Parts: 3, Room: 152}},
		"the letters it has":  {"è é ò ù à ñ ü", Size{Encoding: Seven, Units: 13, Parts: 1, Room: 147}},
		"extension":           {"[€]", Size{Encoding: Seven, Units: 6, Parts: 1, Room: 154}},
		"full of extension":   {strings.Repeat("{", 80), Size{Encoding: Seven, Units: 160, Parts: 1}},
		"an escape not torn":  {strings.Repeat("a", 152) + "{" + strings.Repeat("b", 7), Size{Encoding: Seven, Units: 161, Parts: 2, Room: 144}},
		"one letter too many": {"Lapli rèd, dlo ap monté á", Size{Encoding: UCS2, Units: 25, Parts: 1, Room: 45, Forcing: []Letter{{24, "á"}}}},
		"letters of Spanish":  {"¿Está aquí? ¡Sí!", Size{Encoding: UCS2, Units: 16, Parts: 1, Room: 54, Forcing: []Letter{{4, "á"}, {9, "í"}, {14, "í"}}}},
		"full of UCS-2":       {strings.Repeat("ô", 70), Size{Encoding: UCS2, Units: 70, Parts: 1, Forcing: every("ô", 70)}},
		"one over in UCS-2":   {strings.Repeat("ô", 71), Size{Encoding: UCS2, Units: 71, Parts: 2, Room: 63, Forcing: every("ô", 71)}},
		"a pair not torn":     {strings.Repeat("a", 66) + "🌀" + strings.Repeat("b", 66), Size{Encoding: UCS2, Units: 134, Parts: 3, Room: 66, Forcing: []Letter{{66, "🌀"}}}},
		"NUL":                 {"\x00", Size{Encoding: UCS2, Units: 1, Parts: 1, Room: 69, Forcing: []Letter{{0, "\x00"}}}},
		"not UTF-8":           {"a\xffb", Size{Encoding: UCS2, Units: 3, Parts: 1, Room: 67, Forcing: []Letter{{1, "\uFFFD"}}}},
		"apart from its mark": {"e\u0300", Size{Encoding: UCS2, Units: 2, Parts: 1, Room: 68, Forcing: []Letter{{1, "\u0300"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(try.want, Measure(try.text)); d != "" {
				t.Error(d)
			}
		})
	}
}

func every(letter string, n int) (out []Letter) {
	for i := range n {
		out = append(out, Letter{i, letter})
	}
	return out
}

// TestAlphabetHasItsSize: 128 codes with the escape, and ten in the extension.
func TestAlphabetHasItsSize(t *testing.T) {
	if n := utf8.RuneCountInString(basic); n != 128 {
		t.Errorf("the default alphabet has %d places", n)
	}
	if n := utf8.RuneCountInString(extension); n != 10 {
		t.Errorf("the extension has %d letters", n)
	}
	for place, letter := range map[int]rune{0x00: '@', 0x09: 'Ç', 0x10: 'Δ', 0x1B: 0, 0x1F: 'É', 0x20: ' ', 0x24: '¤', 0x40: '¡', 0x5F: '§', 0x60: '¿', 0x7F: 'à'} {
		if got := []rune(basic)[place]; got != letter {
			t.Errorf("%#x is %q, not %q", place, got, letter)
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"è é ò ù à ñ ü ì ö ä Ç É":            "è é ò ù à ñ ü ì ö ä Ç É",
		"á í ó ú â ê ô î û ç ï ë È À":        "a i o u a e o i u c i e E A",
		"¿Está aquí? ¡Sí, señor!":            "¿Esta aqui? ¡Si, señor!",
		"e\u0300 a\u0301":                    "è a",
		"“Pa rete la” – l’eau… c’est «fini»": `"Pa rete la" - l'eau... c'est "fini"`,
		"cœur, Łódź, 35\u00A0°C, m², ½":      "coeur, Lodz, 35  C, m2, 1/2",
		"Danje 🌀! ⚠️":                        "Danje ! ",
		"水 и α":                              "? ? a",
		"[€] {~}":                            "[€] {~}",
		"a\u200Bb\u200E":                     "ab",
		"":                                   "",
	} {
		if got := Plain(text); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

func TestPlainTextIsAlwaysInTheAlphabet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		got := Plain(text)
		if s := Measure(got); s.Encoding != Seven {
			t.Fatalf("%q became %q, which has %v", text, got, s.Forcing)
		}
		if Plain(got) != got {
			t.Fatalf("%q became %q, and then %q", text, got, Plain(got))
		}
		if s := Measure(text); s.Encoding == Seven && got != text {
			t.Fatalf("%q fits and became %q", text, got)
		}
	})
}

func FuzzMeasure(f *testing.F) {
	for _, s := range []string{"", "Siklòn", "¿Dónde?", "{}🌀\xff", strings.Repeat("€", 90)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := Measure(text)
		letters := []rune(text)
		for _, l := range s.Forcing {
			if string(letters[l.At]) != l.Letter {
				t.Fatalf("%q: letter %d is not %q", text, l.At, l.Letter)
			}
		}
		part := SevenPart
		if s.Encoding == UCS2 {
			part = UCS2Part
			if s.Units != len(utf16.Encode(letters)) {
				t.Fatalf("%q has %d units", text, s.Units)
			}
		}
		switch {
		case s.Parts == 0 && text != "", s.Parts == 1 && s.Room < 0, s.Room < 0,
			s.Parts > 1 && (s.Units > s.Parts*part || s.Units < (s.Parts-1)*(part-1)):
			t.Fatalf("%q: %+v", text, s)
		}
		if Measure(Plain(text)).Encoding != Seven {
			t.Fatalf("%q does not fit: %q", text, Plain(text))
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	text := strings.Repeat("Inondasyon nan zòn ba yo. Monte kote ki wo. ", 10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Measure(text)
	}
}
