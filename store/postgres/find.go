package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

const briefColumns = `r."row", r.id, r.kind, r.marking, r.state, r.version, r.title, r.facet, r.observed, r.recorded, r.w, r.s, r.e, r.n, r.uncertainty`

// rawBrief is a row of briefColumns.
type rawBrief struct {
	store.Brief
	id                              pgtype.UUID
	kind, state, observed, recorded int64
	w, s, e, n, uncertainty         pgtype.Float8
}

// into are the places of briefColumns.
func (b *rawBrief) into() []any {
	return []any{&b.Row, &b.id, &b.kind, &b.Marking, &b.state, &b.Version, &b.Title, &b.Facet, &b.observed, &b.recorded, &b.w, &b.s, &b.e, &b.n, &b.uncertainty}
}

// briefs makes them of what was read.
func (db *DB) briefs(ctx context.Context, c querier, raw []*rawBrief) ([]*store.Brief, error) {
	set := map[int64]bool{}
	for _, b := range raw {
		set[b.kind], set[b.state] = true, true
	}
	names := make([]int64, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	if err := db.known(ctx, c, names...); err != nil {
		return nil, err
	}
	out := make([]*store.Brief, len(raw))
	for i, b := range raw {
		b.ID, b.Kind, b.State, b.Observed, b.Recorded = b.id.Bytes, db.nameOf(b.kind), db.nameOf(b.state), micro(b.observed), micro(b.recorded)
		if b.w.Valid {
			b.Box, b.Uncertainty = &record.Box{W: b.w.Float64, S: b.s.Float64, E: b.e.Float64, N: b.n.Float64}, b.uncertainty.Float64
		}
		out[i] = &b.Brief
	}
	return out, nil
}

// Find returns matching records with their content.
func (db *DB) Find(ctx context.Context, q *store.Query) (out []*store.Stored, err error) {
	err = db.find(ctx, q, false, func(tx pgx.Tx, hits []hit) error {
		seqs := make([]int64, len(hits))
		for i, h := range hits {
			seqs[i] = h.entry
		}
		m, err := db.stored(ctx, tx, seqs)
		for _, seq := range seqs {
			if s := m[seq]; s != nil {
				out = append(out, s)
			}
		}
		return err
	})
	return out, err
}

// Scan calls fn for matching records without their content.
func (db *DB) Scan(ctx context.Context, q *store.Query, fn func(*store.Brief) bool) error {
	var out []*store.Brief
	if err := db.find(ctx, q, true, func(tx pgx.Tx, hits []hit) (err error) {
		raw := make([]*rawBrief, len(hits))
		for i, h := range hits {
			raw[i] = h.brief
		}
		out, err = db.briefs(ctx, tx, raw)
		return err
	}); err != nil {
		return err
	}
	for _, b := range out {
		if !fn(b) {
			return nil
		}
	}
	return nil
}

// few is how many rows are looked at one by one, in about the time that the inverted
// index takes for a frequent term.
const few = 3000

// hit is a row that matches.
type hit struct {
	row, observed, entry int64
	brief                *rawBrief // of Scan
}

func newestObserved(a, b hit) int {
	return cmp.Or(cmp.Compare(b.observed, a.observed), cmp.Compare(b.row, a.row))
}

// params are the parameters of a statement.
type params struct{ args []any }

// add returns how the statement names a parameter.
func (p *params) add(v any) string {
	p.args = append(p.args, v)
	return fmt.Sprintf("$%d", len(p.args))
}

// search is a query on its way to SQL.
type search struct {
	db    *DB
	tx    pgx.Tx
	q     *store.Query
	brief bool
	limit int

	kinds []int64
	exact params // conditions on a row, compared with what it says itself
	where string

	words  [][]string // groups of words that are asked for: a row does not say whether it has them
	groups [][]string // groups of terms for the inverted index, words among them
	narrow bool       // something beside the kinds narrows
	seldom []string   // terms of the markings, when the reader sees few

	lo, hi int64 // rows, lo <= row < hi
}

// find hands over what matches, in the query's order, in a transaction that sees one
// moment of the database.
func (db *DB) find(ctx context.Context, q *store.Query, brief bool, fn func(pgx.Tx, []hit) error) error {
	s := &search{db: db, q: q, brief: brief, limit: q.Limit}
	if s.limit <= 0 {
		s.limit = 100
	}
	// Names are asked for before, because to ask takes a connection.
	some, err := s.prepare(ctx)
	if err != nil || !some {
		return err
	}
	return db.read(ctx, func(tx pgx.Tx) error {
		s.tx = tx
		hits, err := s.run(ctx)
		if err != nil {
			return err
		}
		return fn(tx, hits)
	})
}

// prepare writes the exact conditions. It reports false when nothing can match.
func (s *search) prepare(ctx context.Context) (some bool, err error) {
	q := s.q
	where, some, err := s.sight(ctx)
	if err != nil || !some {
		return false, err
	}
	if q.Owners != nil && len(q.Owners) == 0 {
		return false, nil
	}
	list := func(column string, ns []int64) { where = append(where, column+" = ANY("+s.exact.add(ns)+"::bigint[])") }
	names := func(column string, given []string) error {
		ns, err := s.db.numbers(ctx, sayable(given))
		list(column, ns)
		return err
	}
	than := func(cond string, v any) { where = append(where, cond+" "+s.exact.add(v)) }
	if q.Owners != nil {
		list("r.marking", q.Owners)
	}
	if b := q.Box; b != nil {
		than("r.s <=", b.N)
		than("r.n >=", b.S)
		if b.W <= b.E {
			than("r.w <=", b.E)
			than("r.e >=", b.W)
		} else {
			where = append(where, "(r.e >= "+s.exact.add(b.W)+" OR r.w <= "+s.exact.add(b.E)+")")
		}
	}
	if !q.From.IsZero() {
		than("r.observed >=", q.From.UnixMicro())
	}
	if !q.To.IsZero() {
		than("r.observed <", q.To.UnixMicro())
	}
	if !q.Since.IsZero() {
		than("r.recorded >=", q.Since.UnixMicro())
	}
	if q.Open != nil {
		than("r.open =", *q.Open)
	}
	if len(q.States) > 0 {
		if err := names("r.state", q.States); err != nil {
			return false, err
		}
	}
	if q.Author != "" {
		if err := names("r.author", []string{q.Author}); err != nil {
			return false, err
		}
	}
	has := func(values ...string) {
		or := []string{"false"}
		for _, v := range sayable(values) {
			or = append(or, "strpos(r.facet, "+s.exact.add("\x1f"+v+"\x1f")+") > 0")
		}
		where = append(where, "("+strings.Join(or, " OR ")+")")
	}
	for path, values := range q.Facet {
		either := make([]string, len(values))
		for i, v := range values {
			either[i] = path + "=" + v
		}
		has(either...)
	}
	if q.Flag != "" {
		has("flag=" + q.Flag)
	}
	if q.ByObserved && q.Before != nil {
		where = append(where, `(r.observed, r."row") < (`+s.exact.add(q.Before.Observed)+", "+s.exact.add(q.Before.Row)+")")
	}
	s.where = strings.Join(where, " AND ")
	none := func(g []string) bool { return len(g) == 0 }
	s.words = slices.DeleteFunc(slices.Clone(q.Terms), none)
	s.groups = slices.DeleteFunc(index.Groups(q), none)
	s.narrow = len(s.groups) > 0
	s.seldom = index.Seldom(q)
	return true, nil
}

// sight writes the reader's rights. It reports false when he can see nothing.
func (s *search) sight(ctx context.Context) (where []string, some bool, err error) {
	var conds []string
	done := map[string]bool{}
	for i, k := range s.q.Kinds {
		can := s.q.Sight[k]
		if can == nil || done[k] || len(can.Own)+len(can.Foreign) == 0 {
			continue
		}
		// Kinds of which he sees the same go together.
		var same []string
		for _, other := range s.q.Kinds[i:] {
			if o := s.q.Sight[other]; !done[other] && o != nil && slices.Equal(o.Own, can.Own) && slices.Equal(o.Foreign, can.Foreign) {
				same, done[other] = append(same, other), true
			}
		}
		ns, err := s.db.numbers(ctx, sayable(same))
		if err != nil {
			return nil, false, err
		}
		if len(ns) == 0 {
			continue
		}
		s.kinds = append(s.kinds, ns...)
		var or []string
		if len(can.Own) > 0 {
			or = append(or, "r.marking = ANY("+s.exact.add(can.Own)+"::bigint[])")
		}
		if len(can.Foreign) > 0 {
			or = append(or, "r.marking = ANY("+s.exact.add(can.Foreign)+"::bigint[]) AND (r.expires IS NULL OR r.expires > "+s.exact.add(s.q.Now.UnixMicro())+")")
		}
		conds = append(conds, "r.kind = ANY("+s.exact.add(ns)+"::bigint[]) AND ("+strings.Join(or, " OR ")+")")
	}
	return []string{"(" + strings.Join(conds, " OR ") + ")"}, len(conds) > 0, nil
}

// run chooses how to find the page.
//
//   - Newest first: from the newest row down, until the page is full. Some rows are
//     looked at one by one, and more as long as many of them match; then they are
//     sought in the inverted index, which merges words, window, states and facets.
//     Spans of time bound the rows by zone.
//   - Newest observed first, with something that narrows: the same walk, see latest.
//   - A span of time that holds few rows, or newest observed first of everything: the
//     (kind, observed) index.
func (s *search) run(ctx context.Context) ([]hit, error) {
	inSpan, rare, err := s.bounds(ctx)
	if err != nil || s.lo >= s.hi || inSpan == 0 {
		return nil, err
	}
	if !s.narrow || rare {
		s.groups = append(s.groups, index.Kinds(s.q.Kinds))
	}
	if s.q.ByObserved && !s.narrow && len(s.seldom) == 0 {
		return s.observed(ctx)
	}
	if inSpan > 0 && inSpan < int64(s.db.few) && inSpan < s.hi-s.lo {
		if len(s.words) == 0 || inSpan < lookups*((s.hi-1)/searchSpan-s.lo/searchSpan+1) {
			return s.span(ctx)
		}
	}
	terms := tsquery(append(s.groups, s.seldom), " & ")
	if terms == "" {
		return nil, nil
	}
	w := &walk{search: s, terms: terms, some: int64(s.db.few), parts: 1}
	if len(w.words) > 0 {
		w.some /= 12 // a row's words lie elsewhere, and most words are not frequent
	}
	w.direct = w.some
	if s.q.ByObserved {
		return w.latest(ctx)
	}
	return w.newest(ctx)
}

// lookups is how many rows' words are looked at in the time that the index of one
// partition takes to answer for a frequent word.
const lookups = 1000

// bounds turns spans of observed or recorded time into a span of rows by their
// zones. It returns how many rows of the kinds lie in the span of observed time, up to
// few, and -1 when there is no such span; and whether the kinds are a small part of
// all rows, so that naming them in the index pays.
func (s *search) bounds(ctx context.Context) (inSpan int64, rare bool, err error) {
	q := s.q
	var b pgx.Batch
	var rows, ours, all int64
	// To start a second process takes longer than most of what it would do here, and
	// what an index has in order is not to be read whole and sorted: pages are short.
	b.Queue("SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('enable_sort', 'off', true)")
	b.Queue("SELECT rows FROM head").QueryRow(func(r pgx.Row) error { return r.Scan(&rows) })
	b.Queue("SELECT coalesce(sum(n) FILTER (WHERE kind = ANY($1)), 0)::bigint, coalesce(sum(n), 0)::bigint FROM tally", s.kinds).QueryRow(func(r pgx.Row) error { return r.Scan(&ours, &all) })
	from, to, since := int64(-1<<62), int64(1<<62), int64(-1<<62)
	timed := !q.From.IsZero() || !q.To.IsZero()
	if !q.From.IsZero() {
		from = q.From.UnixMicro()
	}
	if !q.To.IsZero() {
		to = q.To.UnixMicro()
	}
	if !q.Since.IsZero() {
		since = q.Since.UnixMicro()
	}
	s.hi = 1 << 62
	if q.Before != nil {
		if q.ByObserved {
			to = min(to, q.Before.Observed+1)
		} else {
			s.hi = q.Before.Row
		}
	}
	if timed || !q.Since.IsZero() || to < 1<<62 {
		b.Queue("SELECT min(block), max(block) FROM zone WHERE hi >= $1 AND lo < $2 AND newest >= $3", from, to, since).QueryRow(func(r pgx.Row) error {
			var first, last *int64
			if err := r.Scan(&first, &last); err != nil {
				return err
			}
			if first == nil {
				s.hi = 0
			} else {
				s.lo, s.hi = *first<<10, min(s.hi, (*last+1)<<10)
			}
			return nil
		})
	}
	inSpan = -1
	if timed && !q.ByObserved {
		b.Queue(`SELECT coalesce(sum(c.n), 0)::bigint FROM unnest($1::bigint[]) k CROSS JOIN LATERAL (
				SELECT count(*) AS n FROM (SELECT FROM record r WHERE r.kind = k AND r.observed >= $2 AND r.observed < $3 LIMIT $4) x
			) c`, s.kinds, from, to, max(1, s.db.few)).QueryRow(func(r pgx.Row) error { return r.Scan(&inSpan) })
	}
	err = s.tx.SendBatch(ctx, &b).Close()
	s.hi = min(s.hi, rows+1)
	return inSpan, ours*8 < all, err
}

// columns are what a hit is made of.
func (s *search) columns() string {
	if s.brief {
		return `r."row", r.observed, r.entry, ` + briefColumns
	}
	return `r."row", r.observed, r.entry`
}

// query runs one statement and collects the hits. Statements differ with what is asked
// for: the server does not keep them. aside gives back the statement's locks: a server
// has room for some thousand, and a walk through all partitions would take hundreds.
func (s *search) query(ctx context.Context, aside bool, q string, args []any) (hits []hit, err error) {
	tx := s.tx
	if aside {
		if tx, err = s.tx.Begin(ctx); err != nil {
			return nil, err
		}
		defer func() {
			if e := tx.Rollback(ctx); err == nil {
				err = e
			}
		}()
	}
	err = eachOn(ctx, tx, q, append([]any{pgx.QueryExecModeCacheDescribe}, args...), func(r pgx.Rows) error {
		var h hit
		into := []any{&h.row, &h.observed, &h.entry}
		if s.brief {
			h.brief = new(rawBrief)
			into = append(into, h.brief.into()...)
		}
		err := r.Scan(into...)
		hits = append(hits, h)
		return err
	})
	return hits, err
}

// The statements below are written so that there is one way to run them: OFFSET 0
// keeps a subquery by itself, and conditions out of it that would lure towards
// another index.

// having says that a row r with lo <= row < hi has the groups of words, as a join and
// a condition; nothing when there are none.
func having(p *params, groups [][]string, lo, hi string) (join, cond string) {
	if len(groups) == 0 {
		return "", "true"
	}
	return `CROSS JOIN LATERAL (SELECT s.words FROM search s WHERE s."row" = r."row" AND s."row" >= ` + lo + ` AND s."row" < ` + hi + ` OFFSET 0) w`,
		"w.words @@ " + p.add(tsquery(groups, " <-> ")) + "::tsquery"
}

// span finds rows of a span of observed time that holds few, newest first.
func (s *search) span(ctx context.Context) ([]hit, error) {
	p := params{slices.Clone(s.exact.args)}
	from, to := int64(-1<<62), int64(1<<62)
	if !s.q.From.IsZero() {
		from = s.q.From.UnixMicro()
	}
	if !s.q.To.IsZero() {
		to = s.q.To.UnixMicro()
	}
	lo, hi := p.add(s.lo), p.add(s.hi)
	join, cond := having(&p, s.words, lo, hi)
	return s.query(ctx, false, `SELECT `+s.columns()+` FROM (SELECT r.* FROM (
			SELECT r.* FROM record r WHERE r.kind = ANY(`+p.add(s.kinds)+`::bigint[]) AND r.observed >= `+p.add(from)+` AND r.observed < `+p.add(to)+` OFFSET 0
		) r WHERE r."row" >= `+lo+` AND r."row" < `+hi+` AND `+s.where+` ORDER BY r."row" DESC OFFSET 0) r `+join+` WHERE `+cond+` ORDER BY r."row" DESC LIMIT `+p.add(s.limit), p.args)
}

// observed finds the newest observed of everything.
func (s *search) observed(ctx context.Context) ([]hit, error) {
	p := params{slices.Clone(s.exact.args)}
	before := int64(1 << 62)
	if s.q.Before != nil {
		before = s.q.Before.Observed
	}
	limit := p.add(s.limit)
	return s.query(ctx, false, `SELECT `+s.columns()+` FROM unnest(`+p.add(s.kinds)+`::bigint[]) k CROSS JOIN LATERAL (
			SELECT r.* FROM record r WHERE r.kind = k AND r.observed <= `+p.add(before)+` AND r."row" >= `+p.add(s.lo)+` AND r."row" < `+p.add(s.hi)+` AND `+s.where+`
			ORDER BY r.observed DESC, r."row" DESC LIMIT `+limit+`
		) r ORDER BY r.observed DESC, r."row" DESC LIMIT `+limit, p.args)
}

// walk goes through the rows from the newest down.
type walk struct {
	*search
	terms  string
	some   int64 // few, fewer when words are looked at
	direct int64 // how many rows to look at one by one next; 0: to seek in the index
	parts  int64 // how many partitions of the index to look into next
	since  int64 // observed time before which nothing matters; see latest
}

// newest finds the rows of a page, newest first.
func (w *walk) newest(ctx context.Context) (all []hit, err error) {
	w.since = -1 << 62
	for w.lo < w.hi && len(all) < w.limit {
		hits, err := w.step(ctx, w.limit-len(all))
		if err != nil {
			return nil, err
		}
		all = append(all, hits...)
	}
	return all, nil
}

// latest finds the rows of a page in order of observed time. Rows are numbered
// as they were recorded, and most things are recorded soon after they were
// observed: so it walks from the newest row down, keeps the best, and stops when
// no older zone holds a later time than the last of them.
func (w *walk) latest(ctx context.Context) (best []hit, err error) {
	w.since = -1 << 62
	for size := w.limit + 200; w.lo < w.hi; size *= 2 {
		hits, err := w.step(ctx, size)
		if err != nil {
			return nil, err
		}
		best = append(best, hits...)
		slices.SortFunc(best, newestObserved)
		if len(best) < w.limit {
			continue
		}
		best = best[:w.limit]
		w.since = best[w.limit-1].observed
		if w.lo >= w.hi {
			break
		}
		var first, last *int64
		if err := w.tx.QueryRow(ctx, "SELECT min(block), max(block) FROM zone WHERE hi >= $1 AND block <= $2", w.since, (w.hi-1)>>10).Scan(&first, &last); err != nil {
			return nil, err
		}
		if first == nil {
			break
		}
		w.lo, w.hi = max(w.lo, *first<<10), min(w.hi, (*last+1)<<10)
	}
	return best, nil
}

// step finds the newest rows below hi, at most limit of them, and lowers hi to what
// it has not looked at.
func (w *walk) step(ctx context.Context, limit int) ([]hit, error) {
	if w.hi-w.lo <= 2*w.some {
		w.direct = 2 * w.some
	}
	from := max(w.lo, w.hi-w.direct)
	if w.direct == 0 {
		from = max(w.lo, ((w.hi-1)/searchSpan-w.parts+1)*searchSpan)
	}
	p := params{slices.Clone(w.exact.args)}
	lo, hi := p.add(from), p.add(w.hi)
	var q string
	if w.direct > 0 {
		join, cond := having(&p, w.words, lo, hi)
		q = `SELECT ` + w.columns() + ` FROM (SELECT r.* FROM record r WHERE r."row" >= ` + lo + ` AND r."row" < ` + hi + ` ORDER BY r."row" DESC OFFSET 0) r ` + join + `
			WHERE ` + w.where + ` AND r.observed >= ` + p.add(w.since) + ` AND ` + cond + ` ORDER BY r."row" DESC LIMIT ` + p.add(limit)
	} else {
		// The index knows which words a row has, not in which order. That is looked up
		// when the row's turn has come, not for all that the index yields.
		join, cond := having(&p, phrases(w.words), lo, hi)
		q = `SELECT ` + w.columns() + ` FROM (SELECT s."row" FROM search s WHERE s.words @@ ` + p.add(w.terms) + `::tsquery AND s."row" >= ` + lo + ` AND s."row" < ` + hi + ` ORDER BY s."row" DESC OFFSET 0) x
			CROSS JOIN LATERAL (SELECT r.* FROM record r WHERE r."row" = x."row" AND ` + w.where + ` AND r.observed >= ` + p.add(w.since) + ` OFFSET 0) r ` + join + ` WHERE ` + cond + `
			ORDER BY x."row" DESC LIMIT ` + p.add(limit)
	}
	hits, err := w.query(ctx, w.direct == 0 && w.parts > 1, q, p.args)
	if err != nil {
		return nil, err
	}
	if len(hits) == limit {
		w.hi = hits[limit-1].row
		return hits, nil
	}
	switch span := w.hi - from; {
	case w.direct == 0:
		w.parts = min(2*w.parts, most)
	case limit <= 3*len(hits), len(w.words) == 0 && int64(len(hits))*dense >= span: // the page is soon full, or many match
		w.direct *= 2
	default:
		w.direct = 0
	}
	w.hi = from
	return hits, nil
}

// dense is one row in how many has to match for rows to be looked at one by one.
const dense = 8

// most is how many partitions one statement looks into.
const most = 16

// sayable leaves out what no column can hold.
func sayable(texts []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return strings.ToValidUTF8(s, "\x00") != s || strings.Contains(s, "\x00") })
}

// phrases are those groups of terms that have a phrase among them.
func phrases(groups [][]string) (out [][]string) {
	for _, g := range groups {
		if slices.ContainsFunc(g, func(t string) bool { return len(words(t)) > 1 }) {
			out = append(out, g)
		}
	}
	return out
}

// words are the words of a term. They were folded before; what is left of ASCII is as
// SQLite's index has it.
func words(term string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(lower(term), `"`, ""), func(r rune) bool {
		return r < 0x80 && !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
	})
}

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// tsquery writes groups of terms in the index's query language: a row has a term of
// each group. next stands between the words of a phrase: "<->" or, when it does not matter
// whether one follows the other, "&". Groups without terms are left out. It returns ""
// when nothing can match.
func tsquery(groups [][]string, next string) string {
	var all []string
	for _, g := range groups {
		if len(g) == 0 {
			continue
		}
		var either []string
		for _, t := range sayable(g) {
			phrase := words(t)
			if len(phrase) == 0 {
				continue
			}
			for i, w := range phrase {
				phrase[i] = quoted(w)
			}
			if strings.HasSuffix(t, "*") {
				phrase[len(phrase)-1] += ":*"
			}
			either = append(either, "("+strings.Join(phrase, next)+")")
		}
		if either == nil {
			return ""
		}
		all = append(all, "("+strings.Join(either, " | ")+")")
	}
	return strings.Join(all, " & ")
}

func quoted(word string) string {
	var sb strings.Builder
	sb.WriteByte('\'')
	lexeme(&sb, word)
	sb.WriteByte('\'')
	return sb.String()
}
