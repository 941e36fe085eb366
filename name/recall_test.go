package name

import (
	"flag"
	"hash/fnv"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

var (
	million = flag.Bool("million", false, "find the altered names among a million people, and report")
	devSeed = flag.Uint64("seed", 0, "find other altered names than the published ones, made with this seed")
	misses  = flag.Int("misses", 0, "print so many names that are not found")
)

// limit is how many rows a lookup of the store reads.
const limit = 500

// A shelf is a stand-in for the store's index: a list of rows for each key,
// newest first. It holds only the lists that somebody will ask for.
type shelf struct {
	lists map[uint64][]int32
	keys  int // all keys of all rows
	most  int // keys of the row that has most
	bytes int
	spent time.Duration

	rows   []string
	folded []string
	words  map[string][]int32
	all    []int32
}

func hash(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	return h.Sum64()
}

func newShelf(rows []string, asked map[uint64]bool) *shelf {
	s := &shelf{lists: make(map[uint64][]int32, len(asked))}
	start := time.Now()
	for i := len(rows) - 1; i >= 0; i-- {
		keys := Keys(rows[i])
		s.keys += len(keys)
		s.most = max(s.most, len(keys))
		for _, k := range keys {
			s.bytes += len(k)
			if h := hash(k); asked[h] {
				s.lists[h] = append(s.lists[h], int32(i))
			}
		}
	}
	s.spent = time.Since(start)
	s.rows = rows
	s.folded = make([]string, len(rows))
	s.all = make([]int32, len(rows))
	s.words = map[string][]int32{}
	for i, row := range rows {
		s.folded[i], s.all[i] = Fold(row), int32(i)
		for w := range strings.SplitSeq(s.folded[i], " ") {
			s.words[w] = append(s.words[w], int32(i))
		}
	}
	return s
}

// A name is vague when ten other people have all the words that are asked for,
// as they are asked for (an initial: a word that begins with it): which of them
// is meant, no comparison of names can tell.
func (s *shelf) vague(e example) bool {
	words := slices.DeleteFunc(strings.Fields(Fold(e.altered)), isParticle)
	least := s.bearing(words[0])
	for _, w := range words[1:] {
		if l := s.bearing(w); len(l) < len(least) {
			least = l
		}
	}
	others := 0
rows:
	for _, i := range least {
		if s.rows[i] == e.original {
			continue
		}
		have := strings.Fields(s.folded[i])
		for _, w := range words {
			if !slices.ContainsFunc(have, func(h string) bool { return h == w || len(w) == 1 && h[:1] == w }) {
				continue rows
			}
		}
		if others++; others == 10 {
			return true
		}
	}
	return false
}

func (s *shelf) bearing(word string) []int32 {
	if len(word) == 1 {
		return s.all
	}
	return s.words[word]
}

// find returns the newest rows that stand in one of the lists, at most limit.
func (s *shelf) find(query [][]string) (rows []int32, steps, lists int) {
	for _, keys := range query {
		var step []int32
		for _, k := range keys {
			l := s.lists[hash(k)]
			step = append(step, l[:min(len(l), limit)]...)
		}
		steps++
		lists += len(keys)
		slices.SortFunc(step, func(a, b int32) int { return int(b - a) })
		for _, row := range slices.Compact(step) {
			if !slices.Contains(rows, row) {
				rows = append(rows, row)
			}
			if len(rows) == limit {
				return rows, steps, lists
			}
		}
	}
	return rows, steps, lists
}

// A tally counts what was found of one sort of altering.
type tally struct{ all, read, name, clear, found int }

type measured struct {
	sorts      map[string]*tally
	candidates []int
	asked      []int
	steps      []int
	rank       []time.Duration
}

func (m *measured) tally(sort string) *tally {
	t := m.sorts[sort]
	if t == nil {
		t = &tally{}
		m.sorts[sort] = t
	}
	return t
}

// measure looks every altered name up and ranks what comes back.
func measure(t testing.TB, rows []string, examples []example, s *shelf) *measured {
	m := &measured{sorts: map[string]*tally{}}
	bearers := map[string]int{}
	wanted := map[string]bool{}
	for _, e := range examples {
		wanted[e.original] = true
	}
	for _, r := range rows {
		if wanted[r] {
			bearers[r]++
		}
	}
	type hit struct {
		row   int32
		score float64
	}
	printed := 0
	for _, e := range examples {
		keys := Query(e.altered)
		found, steps, lists := s.find(keys)
		m.steps = append(m.steps, steps)
		m.candidates = append(m.candidates, len(found))
		m.asked = append(m.asked, lists)
		start := time.Now()
		q := Prepare(e.altered)
		hits := make([]hit, len(found))
		for i, row := range found {
			c := Prepare(rows[row])
			hits[i] = hit{row, q.Score(&c)}
		}
		slices.SortStableFunc(hits, func(a, b hit) int {
			switch {
			case a.score > b.score:
				return -1
			case a.score < b.score:
				return 1
			}
			return 0
		})
		m.rank = append(m.rank, time.Since(start))
		read, top := false, false
		vague := s.vague(e)
		for i, h := range hits {
			if rows[h.row] == e.original {
				read = true
				top = top || i < 10
			}
		}
		if !top && printed < *misses {
			printed++
			first := ""
			for _, h := range hits[:min(3, len(hits))] {
				first += " | " + rows[h.row]
			}
			t.Logf("%-32s %-32s %-16s read %5v of %d, score %.3f, bearers %d%s\n    %v", e.original, e.altered, e.sort, read, len(found), Score(e.altered, e.original), bearers[e.original], first, keys)
		}
		kinds := append(strings.Split(e.sort, "+"), "all")
		if strings.Contains(e.sort, "+") {
			kinds = append(kinds, "(two kinds)")
		} else {
			kinds = append(kinds, "(one kind)")
		}
		for _, k := range kinds {
			c := m.tally(k)
			c.all++
			if read {
				c.read++
			}
			if top {
				c.name++
			}
			if !vague {
				c.clear++
				if top {
					c.found++
				}
			}
		}
	}
	return m
}

func (m *measured) report(t testing.TB, s *shelf, n int) {
	var kinds []string
	for k := range m.sorts {
		kinds = append(kinds, k)
	}
	sort.Strings(kinds)
	different := map[string]bool{}
	for _, r := range s.rows {
		different[r] = true
	}
	t.Logf("%d people, %d different names: %.1f keys a name (most %d, %.1f bytes each), %v a name", n, len(different), float64(s.keys)/float64(n), s.most, float64(s.bytes)/float64(s.keys), s.spent/time.Duration(n))
	slices.Sort(m.candidates)
	slices.Sort(m.asked)
	slices.Sort(m.steps)
	slices.Sort(m.rank)
	p := func(f float64, l int) int { return min(int(f*float64(l)), l-1) }
	l := len(m.rank)
	t.Logf("steps p50 %d p99 %d; lists asked p50 %d p99 %d; candidates p50 %d p99 %d; ranking p50 %v p99 %v", m.steps[p(.5, l)], m.steps[p(.99, l)], m.asked[p(.5, l)], m.asked[p(.99, l)], m.candidates[p(.5, l)], m.candidates[p(.99, l)], m.rank[p(.5, l)], m.rank[p(.99, l)])
	for _, k := range kinds {
		c := m.sorts[k]
		t.Logf("%-14s %5d  among candidates %.3f  in the first ten rows %.3f, of %5d that can be told %.3f", k, c.all, float64(c.read)/float64(c.all), float64(c.name)/float64(c.all), c.clear, float64(c.found)/float64(max(c.clear, 1)))
	}
}

func TestAlteredNamesAreFound(t *testing.T) {
	n, floor := 100_000, 0.975
	if *million {
		n, floor = 1_000_000, 0.95
	}
	examples := published(t)
	if *devSeed != 0 {
		examples = alter(2000, *devSeed)
	}
	must := make([]string, len(examples))
	asked := map[uint64]bool{}
	for i, e := range examples {
		must[i] = e.original
		for _, keys := range Query(e.altered) {
			for _, k := range keys {
				asked[hash(k)] = true
			}
		}
	}
	rows := people(t, n, 7, must)
	s := newShelf(rows, asked)
	m := measure(t, rows, examples, s)
	m.report(t, s, n)
	if all := m.tally("all"); float64(all.name) < floor*float64(all.all) {
		t.Errorf("%d of %d altered names are found among the first ten of %d people", all.name, all.all, n)
	}
}

func BenchmarkRank500(b *testing.B) {
	rows := people(b, 500, 3, nil)
	b.ReportAllocs()
	for b.Loop() {
		q := Prepare("Marie Carmel Pierre-Louis")
		for _, r := range rows {
			c := Prepare(r)
			q.Score(&c)
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	rows := people(b, 500, 3, nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		Prepare(rows[i%500])
		i++
	}
}

func BenchmarkKeys(b *testing.B) {
	rows := people(b, 500, 3, nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		Keys(rows[i%500])
		i++
	}
}
