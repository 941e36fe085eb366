// Package index says what a record is found by, for every driver of the store:
// the terms of its inverted index, and the groups of terms that a query needs.
package index

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"

	"konbit/record"
	"konbit/store"
)

// Tokens are words that no person can type: they begin with store.Sign. Two
// values with one hash cost time, never truth, because every match is checked
// against the row. They put kind, state, facets, marking and
// map cells into the same index as the words, so that one merge of sorted lists
// answers "these words, in this window, in these states", newest first.

func hashToken(prefix, s string) string {
	h := fnv.New32a()
	h.Write([]byte(s))
	return store.Sign + prefix + strconv.FormatUint(uint64(h.Sum32()), 36)
}

func Kind(kind string) string         { return hashToken("k", kind) }
func State(kind, state string) string { return hashToken("s", kind+"|"+state) }
func Facet(path, value string) string { return hashToken("f", path+"="+value) }
func Flag(flag string) string         { return hashToken("g", flag) }
func Author(author string) string     { return hashToken("a", author) }
func Open(kind string) string         { return hashToken("o", kind) }
func Marking(n int64) string          { return store.Sign + "m" + strconv.FormatInt(n, 36) }

// levels of the map grid: level L has 2^L columns and 2^L rows over the globe.
// Level 14 is about 2.4 by 1.2 km.
var levels = []int{4, 6, 8, 10, 12, 14}

// maxCells bounds the cells of one record at one level; a larger shape is
// "wide" there.
const maxCells = 9

// queryCells bounds the cells of one query window.
const queryCells = 30

func cellRange(l int, b *record.Box) (x0, y0, x1, y1 int) {
	n := float64(int(1) << l)
	at := func(v, span float64) int {
		return int(math.Min(math.Max(math.Floor(v/span*n), 0), n-1))
	}
	return at(b.W+180, 360), at(b.S+90, 180), at(b.E+180, 360), at(b.N+90, 180)
}

func cellToken(l, x, y int) string {
	return store.Sign + "c" + string(rune('a'+l)) + strconv.FormatInt(int64(x), 36) + "y" + strconv.FormatInt(int64(y), 36)
}

func wideToken(l int) string { return store.Sign + "w" + string(rune('a'+l)) }

func appendCells(sb *strings.Builder, b *record.Box) {
	for _, l := range levels {
		x0, y0, x1, y1 := cellRange(l, b)
		if x1 < x0 || (x1-x0+1)*(y1-y0+1) > maxCells {
			sb.WriteString(" " + wideToken(l))
			continue
		}
		for x := x0; x <= x1; x++ {
			for y := y0; y <= y1; y++ {
				sb.WriteString(" " + cellToken(l, x, y))
			}
		}
	}
}

// Window covers a window with the finest level that needs few cells.
func Window(b *record.Box) []string {
	for i := len(levels) - 1; i >= 0; i-- {
		l := levels[i]
		x0, y0, x1, y1 := cellRange(l, b)
		columns := x1 - x0 + 1
		if b.W > b.E { // across the antimeridian, at most once around
			columns = min(1<<l-x0+x1+1, 1<<l)
		}
		if columns*(y1-y0+1) > queryCells {
			continue
		}
		terms := []string{wideToken(l)}
		for i := range columns {
			for y := y0; y <= y1; y++ {
				terms = append(terms, cellToken(l, (x0+i)%(1<<l), y))
			}
		}
		return terms
	}
	return nil
}

// Words is what the index holds for a row.
func Words(r *store.Row, marking int64) string {
	rec := r.Record
	var sb strings.Builder
	sb.Grow(len(r.Words) + 160)
	sb.WriteString(r.Words)
	put := func(t string) { sb.WriteByte(' '); sb.WriteString(t) }
	put(Kind(rec.Kind))
	put(State(rec.Kind, rec.State))
	put(Marking(marking))
	put(Author(rec.Author))
	if r.Open {
		put(Open(rec.Kind))
	}
	for _, f := range rec.Flags {
		put(Flag(f))
	}
	for path, value := range r.Facet {
		for v := range strings.SplitSeq(value, "\x1f") {
			put(Facet(path, v))
		}
	}
	if r.Box != nil {
		appendCells(&sb, r.Box)
	}
	return sb.String()
}

// FacetText is how facets and flags stand in a row, for the exact check.
func FacetText(r *store.Row) string {
	var sb strings.Builder
	for path, value := range r.Facet {
		for v := range strings.SplitSeq(value, "\x1f") {
			fmt.Fprintf(&sb, "\x1f%s=%s", path, v)
		}
	}
	for _, f := range r.Record.Flags {
		fmt.Fprintf(&sb, "\x1fflag=%s", f)
	}
	if sb.Len() > 0 {
		sb.WriteByte('\x1f')
	}
	return sb.String()
}

// Groups returns the groups of terms that a query needs: a record that matches has
// at least one term of each group.
func Groups(q *store.Query) (groups [][]string) {
	groups = append(groups, q.Terms...)
	if q.Box != nil {
		if t := Window(q.Box); t != nil {
			groups = append(groups, t)
		}
	}
	if len(q.States) > 0 {
		var t []string
		for _, k := range q.Kinds {
			for _, s := range q.States {
				t = append(t, State(k, s))
			}
		}
		groups = append(groups, t)
	}
	if q.Open != nil && *q.Open {
		var t []string
		for _, k := range q.Kinds {
			t = append(t, Open(k))
		}
		groups = append(groups, t)
	}
	for path, values := range q.Facet {
		var t []string
		for _, v := range values {
			t = append(t, Facet(path, v))
		}
		groups = append(groups, t)
	}
	if q.Flag != "" {
		groups = append(groups, []string{Flag(q.Flag)})
	}
	if q.Author != "" {
		groups = append(groups, []string{Author(q.Author)})
	}
	return groups
}

// Kinds returns the terms of kinds as a group.
func Kinds(kinds []string) []string {
	t := make([]string, len(kinds))
	for i, k := range kinds {
		t[i] = Kind(k)
	}
	return t
}

// Seldom returns the marking tokens as a group when the reader sees few
// markings, so that what he may not see is not even visited.
func Seldom(q *store.Query) []string {
	var t []string
	seen := map[int64]bool{}
	add := func(ns []int64) {
		for _, n := range ns {
			if !seen[n] {
				seen[n] = true
				t = append(t, Marking(n))
			}
		}
	}
	if q.Owners != nil {
		if len(q.Owners) > 24 {
			return nil
		}
		add(q.Owners)
		return t
	}
	for _, k := range q.Kinds {
		if s := q.Sight[k]; s != nil {
			add(s.Own)
			add(s.Foreign)
		}
	}
	if len(t) > 24 {
		return nil
	}
	return t
}

// MarkingKey returns the columns of table marking, and all of them as one text, by
// which a driver remembers the number.
func MarkingKey(owner string, m *record.Marking) (key string, cols [5]string) {
	cols = [5]string{owner, string(m.TLP), strings.Join(m.To, " "), strings.Join(m.Persons, " "), strings.Join(m.Caveats, " ")}
	return strings.Join(cols[:], "\n"), cols
}
