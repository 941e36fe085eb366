package sqlite

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"konbit/store"
	"konbit/store/index"
)

// Bare is the baseline that konbit bench prints beside intake: a plain loop that
// inserts the rows of the batches into a new file with the same tables, indexes
// and settings, one transaction and so one fsync a batch. It decides nothing,
// signs and hashes nothing, interns nothing and keeps no tree.
func Bare(ctx context.Context, path string, batches [][]*store.Item) (err error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return err
	}
	defer func() {
		if e := c.Close(); err == nil {
			err = e
		}
	}()
	for _, p := range pragmas {
		if err := sqlitex.ExecuteTransient(c, p, nil); err != nil {
			return err
		}
	}
	if err := sqlitex.ExecuteScript(c, schema, nil); err != nil {
		return err
	}
	for _, b := range batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := bareBatch(c, b); err != nil {
			return fmt.Errorf("bare: %w", err)
		}
	}
	return nil
}

func bareBatch(c *sqlite.Conn, items []*store.Item) (err error) {
	if err := sqlitex.Execute(c, "BEGIN IMMEDIATE", nil); err != nil {
		return err
	}
	entry := c.Prep(`INSERT INTO entry(seq, at, type, agency, actor, record, version, kind, marking, row, prev, command, content, salt, keyid, sig, commitment, expires)
		VALUES(?,?,1,1,1,?,?,1,1,1,-1,?,?,?,1,?,?,NULL)`)
	rec := c.Prep(`INSERT INTO record(kind, marking, state, version, entry, observed, recorded, expires, open, author, w, s, e, n, uncertainty, title, facet, id)
		VALUES(1,1,1,?,?,?,?,NULL,?,1,?,?,?,?,?,?,?,?)`)
	search := c.Prep("INSERT INTO search(rowid, words) VALUES(?,?)")
	for _, it := range items {
		e, r := &it.Entry, it.Row
		entry.BindInt64(1, e.Seq)
		entry.BindInt64(2, e.At.UnixMicro())
		entry.BindBytes(3, e.Record[:])
		entry.BindInt64(4, int64(e.Version))
		if it.Command.IsZero() {
			entry.BindBytes(5, e.Record[:])
		} else {
			entry.BindBytes(5, it.Command[:])
		}
		entry.BindBytes(6, e.Content)
		entry.BindBytes(7, e.Salt)
		entry.BindBytes(8, e.Sig)
		entry.BindBytes(9, e.Commitment[:])
		if err := run(entry); err != nil {
			return err
		}
		if r == nil {
			continue
		}
		bind(rec, r.Record.Version, e.Seq, r.Record.Observed.UnixMicro(), r.Record.Recorded.UnixMicro(), r.Open)
		for i := 6; i <= 10; i++ {
			rec.BindNull(i)
		}
		if r.Box != nil {
			for i, v := range []float64{r.Box.W, r.Box.S, r.Box.E, r.Box.N, r.Record.Place.Uncertainty} {
				rec.BindFloat(6+i, v)
			}
		}
		rec.BindText(11, r.Title)
		rec.BindText(12, index.FacetText(r))
		rec.BindBytes(13, r.Record.ID[:])
		if err := run(rec); err != nil {
			return err
		}
		search.BindInt64(1, c.LastInsertRowID())
		search.BindText(2, index.Words(r, 1))
		if err := run(search); err != nil {
			return err
		}
	}
	return sqlitex.Execute(c, "COMMIT", nil)
}
