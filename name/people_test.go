package name

import (
	_ "embed"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
)

//go:embed testdata/names.txt
var namesText string

// A draw picks words of a line of names.txt: the word of rank r with a weight of
// (r + 4)^-0.9, r from 0.
type draw struct {
	words []string
	sums  []float64
}

func (d *draw) pick(r *rand.Rand) string {
	x := r.Float64() * d.sums[len(d.sums)-1]
	return d.words[min(sort.SearchFloat64s(d.sums, x), len(d.words)-1)]
}

// A maker makes up people; testdata/README.md says how.
type maker map[string]*draw

func newMaker() maker {
	m := maker{}
	for line := range strings.Lines(namesText) {
		set, words, ok := strings.Cut(line, ":")
		if !ok || line[0] == '#' {
			continue
		}
		d := &draw{}
		sum := 0.0
		for r, w := range strings.Fields(words) {
			sum += math.Pow(float64(r)+4, -0.9)
			d.words = append(d.words, strings.ReplaceAll(w, "_", " "))
			d.sums = append(d.sums, sum)
		}
		m[set] = d
	}
	return m
}

func (m maker) person(r *rand.Rand) string {
	sex := ".f"
	if r.IntN(2) == 0 {
		sex = ".m"
	}
	var words []string
	if r.Float64() < 0.6 {
		given := 1
		if x := r.Float64(); x < 0.03 {
			given = 3
		} else if x < 0.45 {
			given = 2
		}
		for range given {
			w := m["ht"+sex].pick(r)
			if r.Float64() < 0.35 {
				w = m["ht.head"].pick(r) + m["ht.tail"].pick(r)
			}
			if len(words) == 0 || words[len(words)-1] != w {
				words = append(words, w)
			}
		}
		if len(words) > 1 && (words[0] == "Jean" || words[0] == "Marie") && r.Float64() < 0.3 {
			words = append([]string{words[0] + "-" + words[1]}, words[2:]...)
		}
		if r.Float64() < 0.3 {
			words = append(words, m["ht.family.head"].pick(r)+m["ht.family.tail"].pick(r))
		} else {
			words = append(words, m["ht.family"].pick(r))
		}
	} else {
		given := 1
		if r.Float64() < 0.45 {
			given = 2
		}
		for range given {
			w := m["do"+sex].pick(r)
			if r.Float64() < 0.25 {
				w = m["do.given.head"].pick(r) + m["do.given.tail"].pick(r)
			}
			if len(words) == 0 || words[0] != w {
				words = append(words, w)
			}
		}
		words = append(words, m["do.family"].pick(r))
		if r.Float64() < 0.75 {
			words = append(words, m["do.family"].pick(r))
		}
	}
	if r.Float64() < 0.005 { // one name is known
		return words[0]
	}
	return strings.Join(words, " ")
}

// people makes n rows, oldest first. The names in must stand in rows drawn at
// random, so that nothing about their age helps to find them.
func people(t testing.TB, n int, seed uint64, must []string) []string {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	m := newMaker()
	rows := make([]string, n)
	for _, name := range must {
		i := r.IntN(n)
		for rows[i] != "" {
			i = r.IntN(n)
		}
		rows[i] = name
	}
	for i := range rows {
		if rows[i] == "" {
			rows[i] = m.person(r)
		}
	}
	return rows
}
