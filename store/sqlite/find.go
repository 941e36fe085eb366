package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

const briefColumns = "r.row, r.id, r.kind, r.marking, r.state, r.version, r.title, r.facet, r.observed, r.recorded, r.w, r.s, r.e, r.n, r.uncertainty"

func (db *DB) scanBrief(st *sqlite.Stmt) *store.Brief {
	b := &store.Brief{
		Row: st.ColumnInt64(0), Kind: db.nameOf(st.ColumnInt64(2)), Marking: st.ColumnInt64(3), State: db.nameOf(st.ColumnInt64(4)), Version: st.ColumnInt(5),
		Title: st.ColumnText(6), Facet: st.ColumnText(7), Observed: micro(st.ColumnInt64(8)), Recorded: micro(st.ColumnInt64(9)),
	}
	st.ColumnBytes(1, b.ID[:])
	if st.ColumnType(10) != sqlite.TypeNull {
		b.Box = &record.Box{W: st.ColumnFloat(10), S: st.ColumnFloat(11), E: st.ColumnFloat(12), N: st.ColumnFloat(13)}
		b.Uncertainty = st.ColumnFloat(14)
	}
	return b
}

// few is how many rows of a span of time are read and sorted rather than
// scanned through the word index.
const few = 3000

// Find returns matching records with their content.
func (db *DB) Find(ctx context.Context, q *store.Query) (out []*store.Stored, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return db.find(ctx, c, q, storedColumns, " JOIN entry e ON e.seq = r.entry", func(st *sqlite.Stmt) (bool, error) {
			s, err := db.scanStored(st)
			if err != nil {
				return false, err
			}
			out = append(out, s)
			return true, nil
		})
	})
	return out, err
}

// Scan calls fn for matching records without their content.
func (db *DB) Scan(ctx context.Context, q *store.Query, fn func(*store.Brief) bool) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		return db.find(ctx, c, q, briefColumns, "", func(st *sqlite.Stmt) (bool, error) { return fn(db.scanBrief(st)), nil })
	})
}

// plan is a query on its way to SQL.
type plan struct {
	from  string
	where []string
	args  []any
	order string
	walk  bool // in the index's order, which is nearly the one asked for: see latest
}

func (p *plan) add(cond string, args ...any) {
	p.where = append(p.where, cond)
	p.args = append(p.args, args...)
}

func (db *DB) find(ctx context.Context, c *sqlite.Conn, q *store.Query, columns, join string, fn func(*sqlite.Stmt) (bool, error)) error {
	p, err := db.plan(c, q)
	if err != nil || p == nil {
		return err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	if p.walk && limit <= maxWalk {
		rows, err := db.latest(ctx, c, p, limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		p = &plan{from: "record r", order: p.order}
		p.add("r.row IN (SELECT value FROM json_each(?))", list(rows))
	}
	st, err := c.Prepare("SELECT " + columns + " FROM " + p.from + join + " WHERE " + strings.Join(p.where, " AND ") + " ORDER BY " + p.order + " LIMIT ?")
	if err != nil {
		return err
	}
	c.SetInterrupt(ctx.Done())
	defer c.SetInterrupt(nil)
	bind(st, append(p.args, limit)...)
	defer st.Reset()
	for {
		ok, err := st.Step()
		if err != nil || !ok {
			return err
		}
		if more, err := fn(st); err != nil || !more {
			return err
		}
	}
}

// plan chooses how to run a query; nil means that nothing can match.
//
//   - Newest first: the inverted index is walked from the newest row down, which
//     merges words, window, states and facets and stops when the page is full.
//     Spans of time bound the rows by zone.
//   - Newest observed first, with something that narrows: the same walk, see
//     latest.
//   - A span of time that holds few rows, or newest observed first of
//     everything: the (kind, observed) index.
func (db *DB) plan(c *sqlite.Conn, q *store.Query) (*plan, error) {
	p := &plan{order: "r.row DESC"}
	groups := index.Groups(q)
	narrow := len(groups) > 0 // to name the kind alone does not narrow
	if !narrow || db.rare(q.Kinds) {
		groups = append(groups, index.Kinds(q.Kinds))
	}
	seldom := index.Seldom(q)
	visible := db.sight(p, q)
	if !visible {
		return nil, nil
	}
	words := len(q.Terms) > 0
	timed := !q.From.IsZero() || !q.To.IsZero()
	lo, hi := int64(0), int64(1<<62)
	if timed || !q.Since.IsZero() {
		var any bool
		var err error
		if lo, hi, any, err = db.zones(c, q); err != nil || !any {
			return nil, err
		}
	}
	byTime := false
	if timed && !q.ByObserved {
		n, err := db.countSpan(c, q)
		if err != nil {
			return nil, err
		}
		byTime = n < db.few && int64(n) < hi-lo || n == 0
	}
	switch {
	case q.ByObserved && !narrow && len(seldom) == 0, byTime && !words:
		p.from = "record r INDEXED BY record_observed"
		if byTime {
			p.order = "r.row DESC"
		}
	case byTime && words:
		// Few rows in the span: look each up in the index by its row.
		p.from = "record r INDEXED BY record_observed CROSS JOIN search x ON x.rowid = r.row"
		p.add("x.words MATCH ?", match(groups))
	default:
		p.from = "search x CROSS JOIN record r ON r.row = x.rowid"
		p.add("x.words MATCH ?", match(append(groups, seldom)))
		p.order, p.walk = "x.rowid DESC", q.ByObserved
		if lo > 0 {
			p.add("x.rowid >= ?", lo)
		}
		if hi < 1<<62 {
			p.add("x.rowid < ?", hi)
		}
		if q.Before != nil && !q.ByObserved {
			p.add("x.rowid < ?", q.Before.Row)
		}
	}
	if strings.HasPrefix(p.from, "record r INDEXED") {
		p.add("r.kind IN (SELECT value FROM json_each(?))", list(db.numbers(q.Kinds)))
		if lo > 0 {
			p.add("r.row >= ?", lo)
		}
		if hi < 1<<62 {
			p.add("r.row < ?", hi)
		}
		if q.Before != nil && !q.ByObserved {
			p.add("r.row < ?", q.Before.Row)
		}
	}
	if q.ByObserved {
		p.order = "r.observed DESC, r.row DESC"
		if q.Before != nil {
			p.add("(r.observed, r.row) < (?, ?)", q.Before.Observed, q.Before.Row)
		}
	}
	db.exact(p, q)
	return p, nil
}

// maxWalk bounds the pages that latest makes.
const maxWalk = 2000

// latest finds the rows of a page in order of observed time. Rows are numbered
// as they were recorded, and most things are recorded soon after they were
// observed: so it walks from the newest row down, keeps the best, and stops when
// no older zone holds a later time than the last of them.
func (db *DB) latest(ctx context.Context, c *sqlite.Conn, p *plan, limit int) ([]int64, error) {
	if db.only { // somebody else writes
		if err := db.loadZones(c); err != nil {
			return nil, err
		}
	}
	st, err := c.Prepare("SELECT r.row, r.observed FROM " + p.from + " WHERE " + strings.Join(p.where, " AND ") + " ORDER BY x.rowid DESC")
	if err != nil {
		return nil, err
	}
	c.SetInterrupt(ctx.Done())
	defer c.SetInterrupt(nil)
	bind(st, p.args...)
	defer st.Reset()
	var best []store.Key // newest first
	after := func(a, b store.Key) int {
		return cmp.Or(cmp.Compare(b.Observed, a.Observed), cmp.Compare(b.Row, a.Row))
	}
	block, latest := int64(-1), int64(0)
	for {
		ok, err := st.Step()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		k := store.Key{Row: st.ColumnInt64(0), Observed: st.ColumnInt64(1)}
		if b := k.Row >> 10; b != block {
			block, latest = b, db.spans.latest(b)
		}
		if len(best) == limit {
			last := best[limit-1]
			if latest < last.Observed {
				break
			}
			if after(k, last) > 0 {
				continue
			}
			best = best[:limit-1]
		}
		at, _ := slices.BinarySearchFunc(best, k, after)
		best = slices.Insert(best, at, k)
	}
	rows := make([]int64, len(best))
	for i, k := range best {
		rows[i] = k.Row
	}
	return rows, nil
}

// sight adds the reader's rights. It reports false when he can see nothing.
func (db *DB) sight(p *plan, q *store.Query) bool {
	var kinds []string
	var conds []string
	for _, k := range q.Kinds {
		s, n := q.Sight[k], db.number(k)
		if s == nil || n == 0 || len(s.Own)+len(s.Foreign) == 0 {
			continue
		}
		kinds = append(kinds, k)
		var or []string
		if len(s.Own) > 0 {
			or = append(or, "r.marking IN (SELECT value FROM json_each(?))")
		}
		if len(s.Foreign) > 0 {
			or = append(or, "(r.marking IN (SELECT value FROM json_each(?)) AND (r.expires IS NULL OR r.expires > ?))")
		}
		conds = append(conds, "(r.kind = ? AND ("+strings.Join(or, " OR ")+"))")
		p.args = append(p.args, n)
		if len(s.Own) > 0 {
			p.args = append(p.args, list(s.Own))
		}
		if len(s.Foreign) > 0 {
			p.args = append(p.args, list(s.Foreign), q.Now.UnixMicro())
		}
	}
	if len(kinds) == 0 {
		return false
	}
	p.where = append(p.where, "("+strings.Join(conds, " OR ")+")")
	if q.Owners != nil {
		p.add("r.marking IN (SELECT value FROM json_each(?))", list(q.Owners))
	}
	return true
}

// rare reports whether the kinds are a small part of all rows, so that naming
// them in the index pays.
func (db *DB) rare(kinds []string) bool {
	db.tally.Lock()
	defer db.tally.Unlock()
	n, total := int64(0), int64(0)
	for k, v := range db.tally.n {
		total += v
		for _, name := range kinds {
			if db.number(name) == k {
				n += v
			}
		}
	}
	return n*8 < total
}

// exact adds the conditions that tokens only approximate.
func (db *DB) exact(p *plan, q *store.Query) {
	if q.Box != nil {
		if q.Box.W <= q.Box.E {
			p.add("r.w <= ? AND r.e >= ? AND r.s <= ? AND r.n >= ?", q.Box.E, q.Box.W, q.Box.N, q.Box.S)
		} else {
			p.add("(r.e >= ? OR r.w <= ?) AND r.s <= ? AND r.n >= ?", q.Box.W, q.Box.E, q.Box.N, q.Box.S)
		}
	}
	if !q.From.IsZero() {
		p.add("r.observed >= ?", q.From.UnixMicro())
	}
	if !q.To.IsZero() {
		p.add("r.observed < ?", q.To.UnixMicro())
	}
	if !q.Since.IsZero() {
		p.add("r.recorded >= ?", q.Since.UnixMicro())
	}
	if len(q.States) > 0 {
		p.add("r.state IN (SELECT value FROM json_each(?))", list(db.numbers(q.States)))
	}
	if q.Open != nil {
		p.add("r.open = ?", *q.Open)
	}
	for path, values := range q.Facet {
		var or []string
		for _, v := range values {
			or = append(or, "instr(r.facet, ?) > 0")
			p.args = append(p.args, "\x1f"+path+"="+v+"\x1f")
		}
		p.where = append(p.where, "("+strings.Join(or, " OR ")+")")
	}
	if q.Flag != "" {
		p.add("instr(r.facet, ?) > 0", "\x1fflag="+q.Flag+"\x1f")
	}
	if q.Author != "" {
		p.add("r.author = ?", db.number(q.Author))
	}
}

// zones turns a span of observed or recorded time into a span of rows.
func (db *DB) zones(c *sqlite.Conn, q *store.Query) (lo, hi int64, any bool, err error) {
	from, to := int64(-1<<62), int64(1<<62)
	if !q.From.IsZero() {
		from = q.From.UnixMicro()
	}
	if !q.To.IsZero() {
		to = q.To.UnixMicro()
	}
	since := int64(-1 << 62)
	if !q.Since.IsZero() {
		since = q.Since.UnixMicro()
	}
	if db.only { // somebody else writes
		if err := db.loadZones(c); err != nil {
			return 0, 0, false, err
		}
	}
	first, last, any := db.spans.meet(from, to, since)
	return first << 10, (last + 1) << 10, any, nil
}

// countSpan counts rows in the span of observed time, up to few.
func (db *DB) countSpan(c *sqlite.Conn, q *store.Query) (n int, err error) {
	for _, k := range q.Kinds {
		st := c.Prep("SELECT count(*) FROM (SELECT 1 FROM record WHERE kind = ? AND observed >= ? AND observed < ? LIMIT ?)")
		from, to := int64(-1<<62), int64(1<<62)
		if !q.From.IsZero() {
			from = q.From.UnixMicro()
		}
		if !q.To.IsZero() {
			to = q.To.UnixMicro()
		}
		bind(st, db.number(k), from, to, db.few+1)
		if err := each(st, func(st *sqlite.Stmt) error { n += st.ColumnInt(0); return nil }); err != nil {
			return 0, err
		}
	}
	return n, nil
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
