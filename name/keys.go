package name

import (
	"cmp"
	"slices"
	"strings"
)

// maxKeyWords bounds the words that keys are made of.
const maxKeyWords = 5

// A term is a key with an estimate of the share of all people whose names have it.
type term struct {
	key   string
	share float32
}

// maxKeys bounds the keys of a name. Few names reach it: those of five words and
// those with several familiar forms.
const maxKeys = 40

// Keys returns the words under which an index finds a name: 21 in the mean, at
// most 40, each of 2 to 26 lower-case ASCII letters and digits, without doubles.
// They are no words of a language: keep them apart from those of a text.
func Keys(s string) []string {
	n := Prepare(s)
	terms := n.terms(true)
	keys := make([]string, 0, maxKeys)
	for _, t := range terms {
		if len(keys) < maxKeys && !slices.Contains(keys, t.key) {
			keys = append(keys, t.key)
		}
	}
	return keys
}

// maxQuery bounds the keys of a query.
const maxQuery = 24

// steps are the shares of people that have a key of one step or of those before
// it, by estimate.
var steps = [...]float32{8e-6, 80e-6, 300e-6, 1200e-6, 1}

// Query returns the keys to ask for in up to five steps, 24 keys at most: first
// those that few people have, last those that many have. A step asks for the
// names that have one of its keys, newest first; go on to the next one only while
// fewer than some 500 names have been read in all, and rank what was read with
// Score. One question for the keys of all steps would fill up with names that
// have only a frequent key.
func Query(s string) [][]string {
	n := Prepare(s)
	terms := n.terms(false)
	slices.SortFunc(terms, func(a, b term) int {
		return cmp.Or(cmp.Compare(a.share, b.share), strings.Compare(a.key, b.key))
	})
	var out [][]string
	seen := make(map[string]bool, maxQuery)
	sum, step := float32(0), -1
	for _, t := range terms {
		if seen[t.key] {
			continue
		}
		if len(seen) == maxQuery {
			break
		}
		seen[t.key] = true
		sum += t.share
		at := 0
		for at < len(steps)-1 && sum > steps[at] {
			at++
		}
		if at > step {
			out, step = append(out, nil), at
		}
		out[len(out)-1] = append(out[len(out)-1], t.key)
	}
	return out
}

// terms returns the keys of a name, for the index or for a query. A key is made
// of codes of words and of a digit that tells what it stands for:
//
//	0  the only word of a name
//	1  one word
//	2  two words
//	3  three words
//	4  a word and the first letters of all others
//	5  a rare word and the first letter of another
//	6  one of two words, and the other with a letter less
//	7  two words, of a name that has no more
//	8  two words and the first letter of the third, of three
//	9  one or two words and the last letter of the other, of two or three
//
// 2, 3 and 7 find other spellings, 2 to 5 names left out, 4, 5 and 8 initials and
// errors behind the first letter, 6 and 9 errors at any place.
func (n *Name) terms(index bool) []term {
	var list [maxKeyWords]part
	ws := list[:0]
	for i := range n.words[:min(len(n.words), maxKeyWords)] {
		w := &n.words[i]
		ws = append(ws, part{w.code, w.share, w.letter})
	}
	out := make(terms, 0, 2*maxKeys)
	out.together(ws)
	out.damaged(ws)
	if len(out) == 0 && len(ws) > 1 { // nothing but initials
		var letters []string
		for _, w := range ws {
			letters = append(letters, first(w.code))
		}
		slices.Sort(letters)
		out.put(0.0001, "4", strings.Join(letters, ""))
	}
	for _, w := range ws {
		if len(ws) == 1 || !index && !w.letter && w.share < usualFrom {
			out.put(0.005*w.share, "0", w.code)
		}
		if !w.letter && (index || len(ws) == 1) {
			out.put(w.share, "1", w.code)
		}
	}
	for i, w := range ws {
		for _, o := range n.words[i].others {
			ws[i] = part{o.code, share(o.code), false}
			out.together(ws)
			if len(ws) == 1 {
				out.put(ws[i].share, "1", o.code)
			}
		}
		ws[i] = w
	}
	for i := range len(ws) - 1 {
		if n.joined[i] == "" {
			continue
		}
		code := newForm(n.joined[i]).code
		few := share(code) / 3
		if len(ws) == 2 {
			out.put(few, "1", code)
		}
		for j, w := range ws {
			if j != i && j != i+1 && !w.letter {
				out.pair(code, "2", w.code, 2*few*w.share)
			}
		}
	}
	return out
}

// A part is what keys know of a word.
type part struct {
	code   string
	share  float32
	letter bool
}

type terms []term

func (t *terms) put(share float32, parts ...string) {
	*t = append(*t, term{strings.Join(parts, ""), share})
}

func (t *terms) pair(a, sign, b string, share float32) {
	if a > b {
		a, b = b, a
	}
	t.put(share, a, sign, b)
}

// together puts the keys of words that are right, beside initials and words with
// an error. The factors are the part of people with these words who have such a
// name, times how seldom a key of this sort is the one that finds.
func (t *terms) together(ws []part) {
	for i, a := range ws {
		if a.letter {
			continue
		}
		var letters [maxKeyWords]byte
		others := letters[:0]
		rest := float32(1)
		for j, b := range ws {
			if i == j {
				continue
			}
			others = append(others, first(b.code)[0])
			rest *= 0.2
			if a.share < usualFrom && len(ws) < 5 {
				t.put(0.6*a.share, a.code, "5", first(b.code))
			}
			if i > j || b.letter {
				continue
			}
			both := a.share * b.share
			switch len(ws) {
			case 2:
				t.pair(a.code, "7", b.code, whole*0.4*both)
				if both < 500e-6 { // few enough to come before those with an error
					t.pair(a.code, "2", b.code, 0.6*both)
				} else {
					t.pair(a.code, "2", b.code, 2*both)
				}
			case 3:
				c := ws[3-i-j].code
				t.pair(a.code, "8"+first(c)+"8", b.code, 0.1*both)
				t.pair(a.code, "9"+final(c)+"9", b.code, 0.4*both)
				fallthrough
			default:
				t.pair(a.code, "2", b.code, 2*both)
			}
			for _, c := range ws[j+1:] {
				if !c.letter {
					s := [3]string{a.code, b.code, c.code}
					slices.Sort(s[:])
					t.put(whole*6*both*c.share, s[0], "3", s[1], "3", s[2])
				}
			}
		}
		switch len(ws) {
		case 1:
			continue
		case 2:
			t.put(0.2*rest*a.share, a.code, "9", final(ws[1-i].code))
			rest *= 0.2
		}
		slices.Sort(others)
		t.put(rest*a.share, a.code, "4", string(others))
	}
}

// damaged puts the keys of two words of which one has a letter more, less, or
// another one; of three, two are left to go by.
func (t *terms) damaged(ws []part) {
	if len(ws) != 2 || ws[0].letter || ws[1].letter {
		return
	}
	for i, a := range ws {
		b := ws[1-i]
		n := len(b.code)
		less := a.share * shareOfRest[min(n-1, len(shareOfRest)-1)]
		switch {
		case n > 1 && vowel(b.code[n-1]): // short: without its vowel
			t.put(less, a.code, "6", b.code[:n-1])
		case n > 2:
			t.put(a.share*b.share, a.code, "6", b.code)
			for k := range n {
				t.put(less, a.code, "6", b.code[:k]+b.code[k+1:])
			}
		}
	}
}

// whole brings keys of all that was asked for, or nearly all, before others, so
// that who is looked for as he was written is always read.
const whole = 0.01

// usualFrom is the share from which on a word is too frequent to be asked for
// with only an initial beside it.
const usualFrom = 0.002

// shareOfRest estimates, by its length, how many people have a word whose code is
// this one when a letter is left out.
var shareOfRest = [...]float32{1, 0.2, 0.03, 0.006, 0.002, 0.001}

// first returns the letter for the beginning of a word with this code, the same
// for the word and for its initial.
func first(code string) string {
	switch code[0] {
	case 'k', 'c', 's':
		return "s"
	case 'f':
		return "p"
	case 'h':
		return "a"
	}
	return code[:1]
}

// final returns the last consonant of a code, or its vowel.
func final(code string) string {
	n := len(code)
	if n > 1 && vowel(code[n-1]) {
		n--
	}
	return code[n-1 : n]
}
