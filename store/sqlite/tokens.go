package sqlite

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

func kindToken(kind string) string         { return hashToken("k", kind) }
func stateToken(kind, state string) string { return hashToken("s", kind+"|"+state) }
func facetToken(path, value string) string { return hashToken("f", path+"="+value) }
func flagToken(flag string) string         { return hashToken("g", flag) }
func authorToken(author string) string     { return hashToken("a", author) }
func openToken(kind string) string         { return hashToken("o", kind) }
func markingToken(n int64) string          { return store.Sign + "m" + strconv.FormatInt(n, 36) }

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

// windowTerms covers a window with the finest level that needs few cells.
func windowTerms(b *record.Box) []string {
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

// words is what the index holds for a row.
func words(r *store.Row, marking int64) string {
	rec := r.Record
	var sb strings.Builder
	sb.Grow(len(r.Words) + 160)
	sb.WriteString(r.Words)
	put := func(t string) { sb.WriteByte(' '); sb.WriteString(t) }
	put(kindToken(rec.Kind))
	put(stateToken(rec.Kind, rec.State))
	put(markingToken(marking))
	put(authorToken(rec.Author))
	if r.Open {
		put(openToken(rec.Kind))
	}
	for _, f := range rec.Flags {
		put(flagToken(f))
	}
	for path, value := range r.Facet {
		for v := range strings.SplitSeq(value, "\x1f") {
			put(facetToken(path, v))
		}
	}
	if r.Box != nil {
		appendCells(&sb, r.Box)
	}
	return sb.String()
}

// facetText is how facets and flags stand in a row, for the exact check.
func facetText(r *store.Row) string {
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

// match writes the index's query language; nil groups are left out.
func match(groups [][]string) string {
	var sb strings.Builder
	for _, g := range groups {
		if len(g) == 0 {
			continue
		}
		if sb.Len() > 0 {
			sb.WriteString(" AND ")
		}
		sb.WriteByte('(')
		for i, t := range g {
			if i > 0 {
				sb.WriteString(" OR ")
			}
			prefix := strings.HasSuffix(t, "*")
			t = strings.TrimSuffix(t, "*")
			sb.WriteByte('"')
			sb.WriteString(strings.ReplaceAll(t, `"`, ""))
			sb.WriteByte('"')
			if prefix {
				sb.WriteByte('*')
			}
		}
		sb.WriteByte(')')
	}
	return sb.String()
}
