package name

// maxCode bounds the code of a word.
const maxCode = 8

func vowel(c byte) bool {
	return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y'
}

func at(w string, i int) byte {
	if i >= 0 && i < len(w) {
		return w[i]
	}
	return 0
}

// sound spells a folded word the way it sounds, in one notation for French,
// Kreyòl and Spanish: consonants b c d f g j k l m n p r s t (c for ch, j for a
// soft g, r for r and for w where Kreyòl writes it), vowels a e i o u. What one
// of the languages does not speak is left out: h, an r that closes a syllable,
// most final consonants and a final e. The result is appended to out.
func sound(out []byte, word string) []byte {
	s := speller{w: trimmed(word), out: out, start: len(out)}
	for i := 0; i < len(s.w); {
		i += s.letter(i)
	}
	if len(s.out) == s.start && word != "" {
		s.out = append(s.out, word[0])
	}
	return s.out
}

// A speller writes what the letters of w sound like behind out[:start].
type speller struct {
	w     string
	out   []byte
	start int
}

// put writes a sound; double letters are one.
func (s *speller) put(c byte) {
	if s.last() != c {
		s.out = append(s.out, c)
	}
}

// last returns the sound before, 0 at the beginning.
func (s *speller) last() byte {
	if len(s.out) == s.start {
		return 0
	}
	return s.out[len(s.out)-1]
}

// soft tells that c and g before letter i are as in cité and gens.
func (s *speller) soft(i int) bool {
	c := at(s.w, i)
	return c == 'e' || c == 'i' || c == 'y'
}

// letter writes the sound of letter i and returns how many letters it is of.
func (s *speller) letter(i int) int {
	w, c, next := s.w, s.w[i], at(s.w, i+1)
	switch c {
	case 'h':
	case 'c':
		return s.c(i)
	case 'q':
		s.put('k')
		if next == 'u' {
			return 2
		}
	case 'g':
		return s.g(i)
	case 'd':
		if next != 'j' {
			s.put('d')
		}
	case 't':
		if next != 'c' || at(w, i+2) != 'h' { // tch is ch
			s.put('t')
		}
	case 's', 'z', 'x':
		return s.s(i)
	case 'p':
		if next == 'h' {
			s.put('f')
			return 2
		}
		if next != 't' { // Baptiste
			s.put('p')
		}
	case 'b', 'v':
		s.put('b')
	case 'm':
		if next == 'b' || next == 'p' || next == 'v' {
			c = 'n'
		}
		s.put(c)
	case 'l':
		// ill before a vowel: Castillo, Guillaume, but not William.
		if next == 'l' && i > 0 && w[i-1] == 'i' && vowel(at(w, i+2)) && at(w, i-2) != 'w' {
			return 2
		}
		s.put('l')
	case 'r', 'w':
		return s.r(i)
	case 'a', 'e', 'i', 'o', 'u', 'y':
		return s.vowel(i)
	default:
		s.put(c)
	}
	return 1
}

func (s *speller) c(i int) int {
	next, third := at(s.w, i+1), at(s.w, i+2)
	switch {
	case next == 'h' && (third == 'r' || third == 'l'): // Christ, Chloé
		s.put('k')
		return 2
	case next == 'h':
		s.put('c')
		return 2
	case s.soft(i + 1), s.last() == 'n' && next == 'o' && third == 'i': // François, folded
		s.put('s')
	default:
		s.put('k')
	}
	return 1
}

func (s *speller) g(i int) int {
	next := at(s.w, i+1)
	switch {
	case next == 'n':
		s.put('n')
		return 2
	case s.soft(i + 1):
		s.put('j')
		return 1
	}
	s.put('g')
	if next == 'u' && (vowel(at(s.w, i+2)) || i+2 == len(s.w)) {
		return 2
	}
	return 1
}

func (s *speller) s(i int) int {
	c, next := s.w[i], at(s.w, i+1)
	switch {
	case c == 's' && next == 'h':
		s.put('c')
		return 2
	case c == 's' && next == 'c' && at(s.w, i+2) == 'h': // sch is ch
		return 1
	case s.last() == 'k' && (s.w[i-1] == 'k' || s.w[i-1] == 'c'): // ks is x
		s.out = s.out[:len(s.out)-1]
	}
	s.put('s')
	return 1
}

// r writes r and w. At the beginning and between vowels they are one: Robert is
// Wobè. An r that closes a syllable is not spoken, and a w behind a consonant
// is a vowel, as is an r behind p, b, f, m before o: Prophète is Pwofèt.
func (s *speller) r(i int) int {
	c, n := s.w[i], 1
	for at(s.w, i+n) == c || at(s.w, i+n) == 'h' {
		n++
	}
	next := at(s.w, i+n)
	switch last := s.last(); {
	case last == 0, vowel(last) && vowel(next):
		s.put('r')
	case c == 'w':
		s.put('u')
	case vowel(last):
	case (last == 'p' || last == 'b' || last == 'f' || last == 'm') && (next == 'o' || next == 'u'):
		if next == 'o' {
			s.put('u')
		}
	default:
		s.put('r')
	}
	return n
}

func (s *speller) vowel(i int) int {
	w, c, next, third := s.w, s.w[i], at(s.w, i+1), at(s.w, i+2)
	switch {
	case c == 'y' && i == 0 && vowel(next) && next != 'i': // Yan is Jean
		s.put('j')
	case c == 'e' && next == 'a' && third == 'u', c == 'a' && next == 'u':
		s.put('o')
		n := 1
		for at(w, i+n) == 'a' || at(w, i+n) == 'u' {
			n++
		}
		return n
	case c == 'e' && next == 'a' && third == 'n': // Jean
		s.put('a')
		return 2
	case c == 'a' && (next == 'i' || next == 'y') && !vowel(third), c == 'e' && (next == 'i' || next == 'u'):
		s.put('e')
		return 2
	case c == 'o' && next == 'u':
		s.put('u')
		return 2
	case c == 'o' && next == 'i' && !vowel(third):
		s.put('u')
		s.put('a')
		return 2
	case c == 'i' && next == 'n' && !vowel(third) && third != 'n': // in is Kreyòl en
		s.put('e')
	case c == 'y':
		s.put('i')
	default:
		s.put(c)
	}
	return 1
}

// trimmed cuts the ends that one language writes and another does not speak or
// write: Charles and Chal, Baptiste and Batis, Robert and Wobè, Pierre and Pyè,
// González and Gonsale. Two consonants stay, so that Rosa is not Roy.
func trimmed(w string) string {
	vowels := false
	for n := len(w); n > 2; n-- {
		switch before := w[n-2]; w[n-1] {
		case 'e':
			if vowels && w[n] != 'e' {
				return w[:n]
			}
			vowels = true
			if n > 3 && before == 'r' && len(w) > n && vowel(w[n-3]) { // Pérez, Torres, but not Pierre
				return w[:n]
			}
		case 't', 'd', 's', 'x', 'z', 'p', 'h':
			if w[n-1] == 'h' && (before == 'p' || before == 'c') {
				return w[:n]
			}
			if !(before == 'i' && w[n-3] == 'u') && consonants(w[:n-1]) < 2 { // Louis is Lwi
				return w[:n]
			}
		case 'r':
			if !vowel(before) && before != 'r' {
				return w[:n]
			}
		case 'i':
			if before != 'a' || n < 5 || at(w, n) != 'r' { // Belizaire is Belizèr
				return w[:n]
			}
			vowels = true
			n--
		default:
			return w[:n]
		}
	}
	return w[:min(len(w), 2)]
}

func consonants(w string) (n int) {
	for i := range len(w) {
		c := w[i]
		if !vowel(c) && c != 'h' && (i == 0 || c != w[i-1]) {
			n++
		}
	}
	return n
}

// skeleton keeps what spellings seldom disagree on: the consonants of a sound,
// an 'a' for a vowel that it begins with, and when that is short, whether the
// first vowel is open (a, o) or close (e, i, u).
func skeleton(out, snd []byte) []byte {
	start := len(out)
	first := byte(0)
	for i, c := range snd {
		if vowel(c) {
			if i == 0 {
				out = append(out, 'a')
			} else if first == 0 {
				first = c
			}
			continue
		}
		if c == 'g' { // Kreyòl writes Ogis and Gèrye, and Jòj for Georges
			c = 'j'
		}
		if len(out)-start < maxCode {
			out = append(out, c)
		}
	}
	if len(out)-start <= 2 && first != 0 && out[start] != 'a' {
		if first == 'a' || first == 'o' {
			out = append(out, 'o')
		} else {
			out = append(out, 'i')
		}
	}
	return out
}
