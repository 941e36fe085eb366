package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"zombiezen.com/go/sqlite"

	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

// Check compares every record row with the newest version that the ledger
// holds, and looks for versions that have no row.
func (db *DB) Check(ctx context.Context, derive func(*record.Record) (*store.Row, error), progress func(done, total int64), fault func(store.Fault) bool) error {
	what, err := db.quickCheck(ctx)
	if err != nil {
		return err
	}
	if what != "ok" && !fault(store.Fault{Seq: -1, What: "the database file is damaged: " + what}) {
		return nil
	}
	var total int64
	for _, q := range []string{"SELECT count(*) FROM record"} {
		if err := db.Read(ctx, func(c *sqlite.Conn) error {
			return each(c.Prep(q), func(st *sqlite.Stmt) error { total = st.ColumnInt64(0); return nil })
		}); err != nil {
			return err
		}
	}
	last, done, stop := int64(-1), int64(0), false
	for !stop {
		n := 0
		err := db.Read(ctx, func(c *sqlite.Conn) error {
			st := c.Prep(`SELECT ` + briefColumns + `, r.entry, r.expires, r.open, r.author, e.content, e.version, e.record, e.type, x.rowid
				FROM record r LEFT JOIN entry e ON e.seq = r.entry LEFT JOIN search x ON x.rowid = r.row WHERE r.row > ? ORDER BY r.row LIMIT 1000`)
			st.BindInt64(1, last)
			return each(st, func(st *sqlite.Stmt) error {
				last = st.ColumnInt64(0)
				n++
				if what := db.checkRow(st, derive); what != "" && !stop {
					b := db.scanBrief(st)
					stop = !fault(store.Fault{Seq: st.ColumnInt64(15), Record: b.ID, What: what})
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		done += int64(n)
		progress(done, total)
	}
	if stop {
		return nil
	}
	return db.checkOrphans(ctx, fault)
}

// quickCheck looks at the file's pages and trees. It needs a connection of its
// own: one that has searched before keeps an older idea of the index's segments
// and reports those that were merged since as missing.
func (db *DB) quickCheck(ctx context.Context) (what string, err error) {
	c, err := sqlite.OpenConn(db.path, sqlite.OpenReadOnly)
	if err != nil {
		return "", db.fault("check", err)
	}
	defer c.Close()
	c.SetInterrupt(ctx.Done())
	err = each(c.Prep("PRAGMA quick_check(1)"), func(st *sqlite.Stmt) error { what = st.ColumnText(0); return nil })
	return what, db.fault("check", err)
}

// checkOrphans finds versions that no record row leads to.
func (db *DB) checkOrphans(ctx context.Context, fault func(store.Fault) bool) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep(`SELECT e.seq, e.record FROM entry e LEFT JOIN record r ON r.row = e.row
			WHERE e.type = 1 AND (r.row IS NULL OR r.id <> e.record OR r.version < e.version) LIMIT 1`)
		return each(st, func(st *sqlite.Stmt) error {
			f := store.Fault{Seq: st.ColumnInt64(0), What: "the ledger holds a version that the records do not"}
			st.ColumnBytes(1, f.Record[:])
			fault(f)
			return nil
		})
	})
}

func (db *DB) checkRow(st *sqlite.Stmt, derive func(*record.Record) (*store.Row, error)) string {
	b := db.scanBrief(st)
	if st.ColumnType(22) == sqlite.TypeNull {
		return "the record has no ledger entry"
	}
	var id record.ID
	st.ColumnBytes(21, id[:])
	erased := b.Marking == 0
	switch {
	case st.ColumnInt64(22) != typeChange || id != b.ID || st.ColumnInt(20) != b.Version:
		return "the record does not point at its own newest version"
	case erased && st.ColumnLen(19) > 0:
		return "the record is marked erased but its content is there"
	case !erased && st.ColumnLen(19) == 0:
		return "the record's content is missing"
	case erased != (st.ColumnType(23) == sqlite.TypeNull):
		return "the record's words are missing from the search index, or are left there after an erasure"
	case erased:
		return ""
	}
	rec, err := decode(blob(st, 19))
	if err != nil {
		return err.Error()
	}
	row, err := derive(rec)
	if err != nil {
		return err.Error()
	}
	key, _ := index.MarkingKey(rec.Owner, &rec.Marking)
	marking := db.markingNumber(key)
	if marking == 0 && db.only {
		db.mu.Lock()
		err := db.loadMarkings()
		db.mu.Unlock()
		if err != nil {
			return err.Error()
		}
		marking = db.markingNumber(key)
	}
	differ := func(what string, got, want any) string {
		return fmt.Sprintf("the record's %s is %v, its signed version says %v", what, got, want)
	}
	switch {
	case b.Kind != rec.Kind:
		return differ("kind", b.Kind, rec.Kind)
	case b.Marking != marking:
		return differ("marking", b.Marking, marking)
	case b.State != rec.State:
		return differ("state", b.State, rec.State)
	case !b.Observed.Equal(rec.Observed):
		return differ("observed time", b.Observed, rec.Observed)
	case !b.Recorded.Equal(rec.Recorded):
		return differ("recorded time", b.Recorded, rec.Recorded)
	case b.Title != row.Title:
		return differ("title", b.Title, row.Title)
	case !maps.Equal(facetSet(b.Facet), facetSet(index.FacetText(row))):
		return differ("facets", b.Facet, index.FacetText(row))
	case (st.ColumnInt(17) != 0) != row.Open:
		return differ("open flag", !row.Open, row.Open)
	case db.nameOf(st.ColumnInt64(18)) != rec.Author:
		return differ("author", db.nameOf(st.ColumnInt64(18)), rec.Author)
	case (st.ColumnType(16) == sqlite.TypeNull) != (rec.Marking.Expires == nil) || rec.Marking.Expires != nil && st.ColumnInt64(16) != rec.Marking.Expires.UnixMicro():
		return differ("expiry", st.ColumnInt64(16), rec.Marking.Expires)
	case (b.Box == nil) != (row.Box == nil) || b.Box != nil && *b.Box != *row.Box:
		return differ("place", b.Box, row.Box)
	}
	return ""
}

func facetSet(s string) map[string]bool {
	m := map[string]bool{}
	for _, p := range bytes.Split([]byte(s), []byte{0x1f}) {
		if len(p) > 0 {
			m[string(p)] = true
		}
	}
	return m
}
