package postgres

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

// Check compares every record row with the newest version that the ledger holds, and
// looks for versions that have no row. Each chunk is read in one statement, so that
// what is committed meanwhile is seen whole or not at all.
func (db *DB) Check(ctx context.Context, derive func(*record.Record) (*store.Row, error), progress func(done, total int64), fault func(store.Fault) bool) error {
	var total, last int64
	if err := db.each(ctx, `SELECT count(*), coalesce(max("row"), 0) FROM record`, nil, func(r pgx.Rows) error { return r.Scan(&total, &last) }); err != nil {
		return err
	}
	done := int64(0)
	for from := int64(0); from <= last; {
		some, err := db.checked(ctx, from)
		if err != nil {
			return err
		}
		if from += searchSpan; len(some) == checkedRows {
			from = some[len(some)-1].Row + 1
		}
		for _, c := range some {
			what, err := db.checkRow(ctx, c, derive)
			if err != nil {
				return err
			}
			if what != "" && !fault(store.Fault{Seq: c.entry, Record: c.ID, What: what}) {
				return nil
			}
		}
		if len(some) > 0 {
			done += int64(len(some))
			progress(done, max(done, total))
		}
	}
	return db.checkOrphans(ctx, fault)
}

// checked is a record's row beside the entry that it points at.
type checked struct {
	rawBrief
	entry, author int64
	expires       *int64
	open          bool
	content       []byte
	version, typ  *int64 // of the entry; nil: there is none
	record        pgtype.UUID
	words         bool // the index has a row for it
}

// checkedRows is how many rows a check compares at once. Bounds keep the statement to
// two partitions of the index.
const checkedRows = 1000

func (db *DB) checked(ctx context.Context, from int64) (out []*checked, err error) {
	var names []int64
	if err := db.each(ctx, `SELECT `+briefColumns+`, r.entry, r.expires, r.open, r.author, e.content, e.version, e.record, e.type, x."row" IS NOT NULL
		FROM (SELECT * FROM record r WHERE r."row" >= $1 AND r."row" < $2 ORDER BY r."row" LIMIT $3) r
		LEFT JOIN LATERAL (SELECT e.content, e.version, e.record, e.type FROM entry e WHERE e.seq = r.entry OFFSET 0) e ON true
		LEFT JOIN LATERAL (SELECT s."row" FROM search s WHERE s."row" = r."row" AND s."row" >= $1 AND s."row" < $2 LIMIT 1) x ON true
		ORDER BY r."row"`, []any{from, from + searchSpan, checkedRows}, func(r pgx.Rows) error {
		var c checked
		err := r.Scan(append(c.into(), &c.entry, &c.expires, &c.open, &c.author, &c.content, &c.version, &c.record, &c.typ, &c.words)...)
		c.ID = c.id.Bytes
		out, names = append(out, &c), append(names, c.author)
		return err
	}); err != nil {
		return nil, err
	}
	raw := make([]*rawBrief, len(out))
	for i, c := range out {
		raw[i] = &c.rawBrief
	}
	if _, err := db.briefs(ctx, db.pool, raw); err != nil {
		return nil, db.fault("check", err)
	}
	return out, db.fault("check", db.known(ctx, db.pool, names...))
}

func (db *DB) checkRow(ctx context.Context, c *checked, derive func(*record.Record) (*store.Row, error)) (what string, err error) {
	erased := c.Marking == 0
	switch {
	case c.typ == nil:
		return "the record has no ledger entry", nil
	case *c.typ != typeChange || c.record.Bytes != c.ID || *c.version != int64(c.Version):
		return "the record does not point at its own newest version", nil
	case erased && len(c.content) > 0:
		return "the record is marked erased but its content is there", nil
	case !erased && len(c.content) == 0:
		return "the record's content is missing", nil
	case erased == c.words:
		return "the record's words are missing from the search index, or are left there after an erasure", nil
	case erased:
		return "", nil
	}
	rec, err := decode(c.content)
	if err != nil {
		return err.Error(), nil
	}
	row, err := derive(rec)
	if err != nil {
		return err.Error(), nil
	}
	marking, err := db.markingNumber(ctx, rec.Owner, &rec.Marking)
	if err != nil {
		return "", err
	}
	differ := func(what string, got, want any) (string, error) {
		return fmt.Sprintf("the record's %s is %v, its signed version says %v", what, got, want), nil
	}
	author := db.nameOf(c.author)
	switch {
	case c.Kind != rec.Kind:
		return differ("kind", c.Kind, rec.Kind)
	case c.Marking != marking:
		return differ("marking", c.Marking, marking)
	case c.State != rec.State:
		return differ("state", c.State, rec.State)
	case !c.Observed.Equal(rec.Observed):
		return differ("observed time", c.Observed, rec.Observed)
	case !c.Recorded.Equal(rec.Recorded):
		return differ("recorded time", c.Recorded, rec.Recorded)
	case c.Title != row.Title:
		return differ("title", c.Title, row.Title)
	case !maps.Equal(facetSet(c.Facet), facetSet(index.FacetText(row))):
		return differ("facets", c.Facet, index.FacetText(row))
	case c.open != row.Open:
		return differ("open flag", c.open, row.Open)
	case author != rec.Author:
		return differ("author", author, rec.Author)
	case (c.expires == nil) != (rec.Marking.Expires == nil) || c.expires != nil && *c.expires != rec.Marking.Expires.UnixMicro():
		return differ("expiry", maybeMicro(c.expires), rec.Marking.Expires)
	case (c.Box == nil) != (row.Box == nil) || c.Box != nil && *c.Box != *row.Box:
		return differ("place", c.Box, row.Box)
	}
	return "", nil
}

// checkOrphans finds versions that no record row leads to.
func (db *DB) checkOrphans(ctx context.Context, fault func(store.Fault) bool) error {
	s, err := db.State(ctx)
	if err != nil {
		return err
	}
	const some = 20_000
	for from := int64(0); from < s.Size; from += some {
		found := false
		f := store.Fault{What: "the ledger holds a version that the records do not"}
		if err := db.each(ctx, `SELECT e.seq, e.record FROM (SELECT * FROM entry e WHERE e.seq >= $1 AND e.seq < $2 AND e.type = 1 OFFSET 0) e
			LEFT JOIN LATERAL (SELECT r.id, r.version FROM record r WHERE r."row" = e."row" OFFSET 0) r ON true
			WHERE r.id IS NULL OR r.id <> e.record OR r.version < e.version LIMIT 1`, []any{from, from + some}, func(r pgx.Rows) error {
			var id pgtype.UUID
			found = true
			err := r.Scan(&f.Seq, &id)
			f.Record = id.Bytes
			return err
		}); err != nil {
			return err
		}
		if found {
			fault(f)
			return nil
		}
	}
	return nil
}

func facetSet(s string) map[string]bool {
	m := map[string]bool{}
	for p := range strings.SplitSeq(s, "\x1f") {
		if p != "" {
			m[p] = true
		}
	}
	return m
}
