package query

import (
	"cmp"
	"context"
	"slices"

	"konbit/desk"
	"konbit/name"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Match is a record of somebody whose name is like the one that was asked for. It is a
// suggestion, for a person to judge.
type Match struct {
	*store.Stored
	Name  string // that of his names which is the most like it
	Score float64
	Why   []name.Reason
}

// candidates bounds how many records are read to rank them.
const candidates = 500

// resemble is the least score of a match.
const resemble = 0.5

// Names returns the records of a kind whose names are the most like wanted, best first, at
// most f.Limit, 10 when it is 0. Of f, what narrows counts, and not the order or the cursor.
// It never shows what Get would not.
func (q *Records) Names(ctx context.Context, r *policy.Reader, kind, wanted string, f *Filter) (matches []Match, needsPurpose bool, err error) {
	g := *f
	g.Cursor, g.ByObserved = "", false
	sq, needs, err := q.build(ctx, r, []string{kind}, &g)
	if err != nil {
		return nil, false, err
	}
	k := q.desks.Kind(kind)
	if !k.Named() {
		return nil, false, record.Fields{{Path: "name", Code: "unknown", Message: "records of this kind have no names of people"}}.Err(kind + ".list")
	}
	limit := min(cmp.Or(max(f.Limit, 0), 10), 100)
	asked := name.Prepare(wanted)
	seen := map[int64]bool{}
	base := sq.Terms
	for _, keys := range name.Query(wanted) {
		if len(seen) >= candidates {
			break
		}
		terms := make([]string, len(keys))
		for i, key := range keys {
			terms[i] = store.NameTerm(key)
		}
		sq.Terms, sq.Limit = append(slices.Clone(base), terms), candidates-len(seen)
		page, err := q.store.Find(ctx, sq)
		if err != nil {
			return nil, false, err
		}
		for _, s := range page {
			if seen[s.Row] {
				continue
			}
			seen[s.Row] = true
			m, err := likest(k, s, &asked)
			if err != nil {
				return nil, false, err
			}
			if m.Score >= resemble {
				matches = append(matches, m)
			}
		}
	}
	slices.SortStableFunc(matches, func(a, b Match) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.Row, a.Row)) })
	matches = matches[:min(len(matches), limit)]
	recs := make([]*record.Record, len(matches))
	for i := range matches {
		matches[i].Why = name.Why(wanted, matches[i].Name)
		recs[i] = matches[i].Record
	}
	return matches, needs, q.Looked(ctx, r, "list", recs...)
}

// likest compares with each of a record's names.
func likest(k *desk.Kind, s *store.Stored, asked *name.Name) (Match, error) {
	m := Match{Stored: s}
	body, err := k.Parse(s.Record.Body)
	if err != nil {
		return m, &record.Error{Code: record.Corrupt, Op: "names", Message: "the stored body cannot be read", Err: err}
	}
	for _, n := range k.Index(s.Record, body).Names {
		p := name.Prepare(n)
		if score := asked.Score(&p); score > m.Score {
			m.Name, m.Score = n, score
		}
	}
	return m, nil
}
