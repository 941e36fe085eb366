// Package name finds people whose names are spelled otherwise: without accents,
// in another order, as French, Kreyòl or Spanish write them, shortened, joined or
// split, with a familiar form, or with a typing error.
//
// Keys are what an index holds for a name and Query what to ask it for; Score then
// ranks the candidates that come back and Why says what speaks for one of them. A
// name says little: two people often have the same one, and a match is a
// suggestion for a person to judge, never a decision. The package holds no state
// and reads nothing.
package name

import (
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWords bounds the words of a name that are compared, without particles and titles.
const maxWords = 6

// A Name is prepared for comparing with many others; see Prepare.
type Name struct {
	folded string
	words  []word
	joined []string // word i and the one after it written as one, "" for initials
	left   int      // words that are too many to be compared
	beside string   // particles and titles, which are not in words
}

// A form is one way to write a word.
type form struct {
	text  string // folded
	sound string
	code  string // skeleton of the sound
	set   uint32 // the letters of text
}

// A word is one name of a person's names.
type word struct {
	form
	others []form // what it may stand for: the full name of a familiar one, the name without its particle
	kin    uint8  // group of the same name in other languages, 0: none
	cut    bool   // was written short, text has the full form
	letter bool   // an initial
	share  float32
	weight float32 // 0..1, what a match of it says
}

// Prepare makes a name ready for comparing. It looks at the first 400 bytes and
// at most six words, particles and titles left out.
func Prepare(s string) Name {
	n := Name{folded: Fold(closed(s))}
	var buf [12]string
	fields := split(buf[:0], n.folded)
	words := make([]word, 0, min(len(fields)+1, maxWords))
	add := func(text string, e *entry, cut bool) {
		if len(words) < maxWords {
			words = append(words, newWord(text, e, cut))
		} else {
			n.left++
		}
	}
	before := "" // particles before the word
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		last := i+1 == len(fields)
		e := lexicon[f]
		switch {
		case e.particle && len(fields) > 1, e.glued && i > 0 && fields[i-1] == "de" && !last:
			n.beside += f
			before += f
		case e.glued && !last:
			i++
			add(f+fields[i], &entry{}, false)
		case e.full != "":
			full := lexicon[e.full]
			add(e.full, &full, true)
		default:
			if head, rest := opened(f); head != "" {
				add(head, &entry{}, true)
				f, e = rest, lexicon[rest]
			}
			add(f, &e, false)
			if w := &words[len(words)-1]; n.left == 0 && before != "" && len(before) < 8 && w.text == f {
				w.others = append(w.others, newForm(before+f))
			}
			before = ""
		}
	}
	if len(words) == 0 { // particles only
		for _, f := range fields {
			add(f, &entry{}, false)
		}
	}
	n.words = words
	if len(words) > 1 {
		n.joined = make([]string, len(words)-1)
		for i := range n.joined {
			if !words[i].letter && !words[i+1].letter {
				n.joined[i] = words[i].text + words[i+1].text
			}
		}
	}
	return n
}

func split(fields []string, s string) []string {
	for s != "" {
		f, rest, _ := strings.Cut(s, " ")
		fields, s = append(fields, f), rest
	}
	return fields
}

// closed takes out apostrophes between letters: L'Hérisson is Lhérisson.
func closed(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	if !strings.ContainsAny(s, "'’ʼ`´") {
		return s
	}
	s = strings.ToValidUTF8(s, " ") // what stood apart must not become a letter
	return strings.NewReplacer("'", "", "’", "", "ʼ", "", "`", "", "´", "").Replace(s)
}

// opened takes a shortened Jean or Saint off the name that it is written to:
// Jnbaptiste, Stlouis.
func opened(f string) (head, rest string) {
	if len(f) > 4 && f[:2] == "jn" {
		return "jean", f[2:]
	}
	if len(f) > 5 && f[:2] == "st" && !vowel(f[2]) && f[2] != 'r' {
		if f[2] == 'h' && vowel(f[3]) && f[3] != 'i' {
			return "", f // Sthephanie
		}
		return "saint", f[2:]
	}
	return "", f
}

func newForm(text string) form {
	f := form{text: text}
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf { // another script: whole words only
			h := fnv.New32a()
			h.Write([]byte(text))
			f.sound = "u" + strconv.FormatUint(uint64(h.Sum32()), 36)
			f.code = f.sound
			return f
		}
		f.set |= 1 << (text[i] & 31)
	}
	var buf [48]byte
	snd := sound(buf[:0], text)
	all := string(skeleton(snd, snd))
	f.sound, f.code = all[:len(snd)], all[len(snd):]
	return f
}

// codeOf returns the code of a folded word.
func codeOf(text string) string { return newForm(text).code }

func newWord(text string, e *entry, cut bool) word {
	w := word{form: newForm(text), cut: cut, kin: e.kin}
	if len(text) <= utf8.UTFMax && utf8.RuneCountInString(text) == 1 {
		w.letter, w.share, w.weight = true, 0.1, 0.3
		return w
	}
	for _, full := range e.called {
		w.others = append(w.others, newForm(full))
	}
	switch {
	case len(text) > 8 && (text[:5] == "delos" || text[:5] == "delas"):
		w.others = append(w.others, newForm(text[5:]))
	case len(text) > 7 && text[:4] == "dela":
		w.others = append(w.others, newForm(text[4:]))
	case len(text) > 4 && text[:2] == "ti":
		if f := newForm(text[2:]); usual[f.code] > 0 {
			w.others = append(w.others, f)
		}
	}
	w.share = share(w.code)
	w.weight = 1
	if over := w.share / 0.001; over > 1 {
		w.weight = 1 / (1 + 0.1*float32(math.Log2(float64(over))))
	}
	return w
}

// share estimates how many of all people have a word with this code.
func share(code string) float32 {
	if s := usual[code]; s > 0 {
		return s
	}
	switch len(code) {
	case 1, 2:
		return 0.003
	case 3:
		return 0.0015
	case 4:
		return 0.0006
	}
	return 0.0003
}
