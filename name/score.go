package name

import (
	"math/bits"
	"strings"
)

// A Reason is what speaks for two names being one, or what is different
// between them. The text is stable; a reader's language is the caller's.
type Reason string

const (
	Same     Reason = "same"     // the same but for accents, capitals and punctuation
	Sound    Reason = "sound"    // a name sounds the same
	Familiar Reason = "familiar" // a familiar form: Paco for Francisco
	Language Reason = "language" // the same name in another language: Juan for Jean
	Short    Reason = "short"    // a name is written short: Jn for Jean
	Initial  Reason = "initial"  // an initial for a name
	Joined   Reason = "joined"   // two names are written as one
	Letter   Reason = "letter"   // a name has one letter more, less, other or two swapped
	Letters  Reason = "letters"  // a name is different in a few letters
	Order    Reason = "order"    // the names stand in another order
	Particle Reason = "particle" // a particle or title is written in one only
	Fewer    Reason = "fewer"    // one has names that the other lacks
)

// reasons has the reasons in the order in which Why returns them.
var reasons = [...]Reason{Same, Sound, Familiar, Language, Short, Initial, Joined, Letter, Letters, Order, Particle, Fewer}

// Places in reasons.
const (
	asSame = iota
	asSounds
	asFamiliar
	asLanguage
	asShort
	asInitial
	asJoined
	asLetter
	asLetters
	asOrder
	asParticle
	asFewer
)

// Score returns how much speaks, by their names alone, for query and candidate
// being one person: 1 for the same name, above 0.8 for one that is likely to be
// a spelling of the other, below 0.5 for different names. It is not a
// probability. Score(a, b) is Score(b, a), and Score(a, a) is 1.
func Score(query, candidate string) float64 {
	if query == candidate {
		return 1
	}
	a, b := Prepare(query), Prepare(candidate)
	return a.Score(&b)
}

// Score is the function Score for prepared names; names without a letter or digit
// have 0.
func (n *Name) Score(candidate *Name) float64 {
	s, _ := n.match(candidate, false)
	return s
}

// Why returns what makes the two names alike or different, each reason once, in
// a fixed order. It returns nothing for names that have nothing in common.
func Why(query, candidate string) []Reason {
	a, b := Prepare(query), Prepare(candidate)
	if query == candidate || a.folded == b.folded && a.folded != "" {
		return []Reason{Same}
	}
	_, why := a.match(&b, true)
	return why
}

// What names that one side lacks cost: little on one side, more on both.
const (
	missingCost   = 0.18
	differentCost = 0.75
	// least is the likeness from which on two words are taken for one.
	least = 0.5
)

// match returns the score of two names and, to explain it, the reasons.
func (n *Name) match(m *Name, explain bool) (float64, []Reason) {
	if n.folded == m.folded {
		if n.folded == "" {
			return 0, nil
		}
		return 1, []Reason{Same}
	}
	if n.folded > m.folded { // so that both directions are one
		n, m = m, n
	}
	x := alignment{a: n, b: m}
	if !x.compare() {
		return 0, nil
	}
	x.choose()
	score, found := x.sum()
	if !explain {
		return float64(score), nil
	}
	var why []Reason
	for r, ok := range found {
		if ok {
			why = append(why, reasons[r])
		}
	}
	if why == nil { // the same words: La Guerre, Laguerre
		why = []Reason{Joined}
	}
	return float64(score), why
}

// An alignment goes through the words of a and finds for each a word of b, so
// that in all most is alike. Two words that stand together may go with one.
type alignment struct {
	a, b   *Name
	like   [maxWords][maxWords]float32 // word i of a, word j of b
	why    [maxWords][maxWords]uint8
	oneA   [maxWords][maxWords]float32 // words i and i+1 of a as word j of b
	oneB   [maxWords][maxWords]float32 // word i of a as words j and j+1 of b
	choice [maxWords][1 << maxWords]uint8
}

// What is chosen for a word of a: it is left over, or goes with word j of b, as
// itself or as one of two.
const (
	leftOver = 255
	single   = 0
	twoOfA   = 64
	twoOfB   = 128
)

// compare reports whether any two words are alike.
func (x *alignment) compare() (any bool) {
	a, b := x.a.words, x.b.words
	for i := range a {
		for j := range b {
			x.like[i][j], x.why[i][j] = a[i].like(&b[j])
			if i+1 < len(a) {
				x.oneA[i][j] = alike(&b[j].form, x.a.joined[i])
			}
			if j+1 < len(b) {
				x.oneB[i][j] = alike(&a[i].form, x.b.joined[j])
			}
			any = any || max(x.like[i][j], x.oneA[i][j], x.oneB[i][j]) > least
		}
	}
	return any
}

func (x *alignment) choose() {
	a, b := x.a.words, x.b.words
	// best[i][used] is the most that words i and on of a can gain when the set
	// used of words of b is taken.
	var best [maxWords + 1][1 << maxWords]float32
	for i := len(a) - 1; i >= 0; i-- {
		for used := range 1 << len(b) {
			top, pick := best[i+1][used], leftOver
			for j := range b {
				if used>>j&1 != 0 {
					continue
				}
				if l := x.like[i][j]; l > least {
					if g := (l-least)*(a[i].weight+b[j].weight)/2 + best[i+1][used|1<<j]; g > top {
						top, pick = g, single+j
					}
				}
				if l := x.oneB[i][j]; l > least && used>>(j+1)&1 == 0 {
					w := (a[i].weight + b[j].weight + b[j+1].weight) / 2
					if g := (l-least)*w + best[i+1][used|3<<j]; g > top {
						top, pick = g, twoOfB+j
					}
				}
				if l := x.oneA[i][j]; l > least {
					w := (b[j].weight + a[i].weight + a[i+1].weight) / 2
					if g := (l-least)*w + best[i+2][used|1<<j]; g > top {
						top, pick = g, twoOfA+j
					}
				}
			}
			best[i][used], x.choice[i][used] = top, uint8(pick)
		}
	}
}

// sum goes through what was chosen.
func (x *alignment) sum() (score float32, found [len(reasons)]bool) {
	a, b := x.a.words, x.b.words
	var sum, mass, restA, restB float32
	used, before := 0, -1
	for i := 0; i < len(a); i++ {
		pick := x.choice[i][used]
		if pick == leftOver {
			restA += a[i].missing()
			continue
		}
		j := int(pick & 63)
		w, l := a[i].weight+b[j].weight, x.like[i][j]
		used |= 1 << j
		switch pick &^ 63 {
		case single:
			found[x.why[i][j]] = true
			found[asShort] = found[asShort] || a[i].cut != b[j].cut
		case twoOfA:
			l = x.oneA[i][j]
			w += a[i+1].weight
			found[asJoined] = true
			i++
		case twoOfB:
			l = x.oneB[i][j]
			w += b[j+1].weight
			found[asJoined] = true
			used |= 2 << j
		}
		mass += w / 2
		sum += w / 2 * l
		found[asOrder] = found[asOrder] || j < before
		before = j
	}
	for j := range b {
		if used>>j&1 == 0 {
			restB += b[j].missing()
		}
	}
	found[asSame] = false
	found[asParticle] = x.a.beside != x.b.beside
	found[asFewer] = restA > 0 || restB > 0 || x.a.left > 0 || x.b.left > 0
	score = sum / (mass + missingCost*max(restA, restB) + differentCost*min(restA, restB))
	if found[asOrder] {
		score *= 0.985
	}
	return min(score, 0.999), found // only the same letters are the same name
}

// missing is what it costs that the other side lacks a word; an initial is a
// name there, too.
func (w *word) missing() float32 {
	if w.letter {
		return 0.8
	}
	return w.weight
}

// alike compares a word with two that are written as one.
func alike(a *form, both string) float32 {
	switch d := len(a.text) - len(both); {
	case both == "" || len(a.text) < 4 || d > 4 || d < -4:
		return 0
	case a.text == both:
		return 0.98
	case a.text[0] != both[0] && a.text[len(a.text)-1] != both[len(both)-1]:
		return 0
	}
	f := newForm(both)
	switch {
	case a.sound == f.sound:
		return 0.95
	case a.code == f.code && len(a.code) > 2:
		return 0.88
	case len(a.text) > 5 && edits(a, &f) == 1:
		return 0.9
	}
	return 0
}

// like returns how alike two words are, 0..1, and why they are not the same.
func (w *word) like(v *word) (top float32, why uint8) {
	if w.letter || v.letter {
		switch {
		case w.text == v.text:
			return 1, asSame
		case w.letter && v.letter:
			return 0, asSame
		case w.text[0] == v.text[0]:
			return 0.97, asInitial
		case first(w.code) == first(v.code):
			return 0.85, asInitial
		}
		return 0, asSame
	}
	top, why = w.form.like(&v.form)
	if top == 1 {
		return top, why
	}
	better := func(l float32, r uint8) {
		if l > top {
			top, why = l, r
		}
	}
	if w.kin != 0 && w.kin == v.kin {
		better(0.86, asLanguage)
	}
	for i := range w.others {
		better(w.others[i].stands(&v.form))
		for j := range v.others {
			better(w.others[i].stands(&v.others[j]))
		}
	}
	for j := range v.others {
		better(v.others[j].stands(&w.form))
	}
	if twice(w.text) && strings.Contains(v.text, w.text[:len(w.text)/2]) || twice(v.text) && strings.Contains(w.text, v.text[:len(v.text)/2]) {
		better(0.7, asFamiliar)
	}
	return top, why
}

func (f *form) stands(g *form) (float32, uint8) {
	switch {
	case f.text == g.text:
		return 0.92, asFamiliar
	case f.sound == g.sound:
		return 0.88, asFamiliar
	}
	return 0, asSame
}

// twice tells a syllable that is said twice, as familiar names are: Dodo, Fanfan.
func twice(s string) bool {
	h := len(s) / 2
	return h > 1 && len(s) == 2*h && s[:h] == s[h:]
}

func (f *form) like(g *form) (top float32, why uint8) {
	if f.text == g.text {
		return 1, asSame
	}
	if f.sound == g.sound {
		top, why = 0.965, asSounds
	}
	apart := float32(bits.OnesCount32(f.set^g.set)) / 2 // letters that an edit has to touch
	if long := float32(max(len(f.text), len(g.text))); apart <= 2 {
		switch edits(f, g) {
		case 1:
			if l := 1 - 0.7/long; l > top {
				top, why = l, asLetter
			}
		case 2:
			if l := 1 - 1.7/long; l > top {
				top, why = l, asLetters
			}
		}
	}
	if top > 0.9 {
		return top, why
	}
	if k := min(len(f.text), len(g.text)); k > 2 && f.text[:k] == g.text[:k] && top < 0.8 {
		top, why = 0.8, asShort
	}
	l, r := float32(0.94), uint8(asLetters)
	if f.code == g.code {
		l, r = 0.955, asSounds
	} else if apart > 4 {
		return top, why
	}
	long := float32(max(len(f.sound), len(g.sound)))
	if l -= 0.85 * distance(f.sound, g.sound) / long; l > top {
		top, why = l, r
	}
	return top, why
}

// maxEdit bounds the letters of a word that are compared one by one.
const maxEdit = 24

// edits counts letters left out, put in, replaced, and neighbours swapped; more
// than two are 3.
func edits(f, g *form) int {
	a, b := f.text, g.text
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	a, b = a[:min(len(a), maxEdit)], b[:min(len(b), maxEdit)]
	var rows [3][maxEdit + 1]uint8
	two, one, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		row[j] = uint8(j)
	}
	for i := 1; i <= len(a); i++ {
		two, one, row = one, row, two
		row[0] = uint8(i)
		least := row[0]
		for j := 1; j <= len(b); j++ {
			d := one[j-1]
			if a[i-1] != b[j-1] {
				d++
			}
			d = min(d, one[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, two[j-2]+1)
			}
			row[j] = d
			least = min(least, d)
		}
		if least > 2 {
			return 3
		}
	}
	return min(int(row[len(b)]), 3)
}

// distance is how far two sounds are apart: 1 for each consonant that is left
// out, put in or another, half for a vowel.
func distance(a, b string) float32 {
	a, b = a[:min(len(a), maxEdit)], b[:min(len(b), maxEdit)]
	var rows [3][maxEdit + 1]uint8 // halves
	two, one, row := &rows[0], &rows[1], &rows[2]
	for j := 1; j <= len(b); j++ {
		row[j] = row[j-1] + halves[b[j-1]]
	}
	for i := 1; i <= len(a); i++ {
		two, one, row = one, row, two
		x := a[i-1]
		costX := halves[x]
		row[0] = one[0] + costX
		for j := 1; j <= len(b); j++ {
			y := b[j-1]
			d := one[j-1]
			if x != y {
				d += max(costX, halves[y])
			}
			d = min(d, one[j]+costX, row[j-1]+halves[y])
			if i > 1 && j > 1 && x == b[j-2] && a[i-2] == y {
				d = min(d, two[j-2]+2)
			}
			row[j] = d
		}
	}
	return float32(row[len(b)]) / 2
}

// halves is what a letter of a sound costs in distance, in halves.
var halves = func() (t [256]uint8) {
	for c := range t {
		t[c] = 2
		if vowel(byte(c)) {
			t[c] = 1
		}
	}
	return t
}()
