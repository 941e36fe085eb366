package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"konbit/store"
)

// Bare is the baseline that intake is measured against: the same rows into the
// same tables with the same indexes, one transaction and one fsync a batch, and
// nothing else: no decision, signature, hash or tree. Items need Entry and, for
// records, Row.
func Bare(ctx context.Context, path string, batches [][]*store.Item) error {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, p := range writerPragmas {
		if err := sqlitex.ExecuteTransient(c, p, nil); err != nil {
			return err
		}
	}
	if err := sqlitex.ExecuteScript(c, schema, nil); err != nil {
		return err
	}
	for _, b := range batches {
		if err := sqlitex.Execute(c, "BEGIN IMMEDIATE", nil); err != nil {
			return err
		}
		for _, it := range b {
			if err := bare(c, it); err != nil {
				return err
			}
		}
		if err := sqlitex.Execute(c, "COMMIT", nil); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func bare(c *sqlite.Conn, it *store.Item) error {
	e := &it.Entry
	var row, kind, marking int64
	if r := it.Row; r != nil {
		rec := r.Record
		kind, marking = 2, 1
		st := c.Prep("INSERT INTO record(kind, marking, state, version, entry, observed, recorded, open, author, w, s, e, n, uncertainty, title, facet, id) VALUES(2,1,3,?,?,?,?,1,4,?,?,?,?,?,?,?,?)")
		st.BindInt64(1, int64(rec.Version))
		st.BindInt64(2, e.Seq)
		st.BindInt64(3, rec.Observed.UnixMicro())
		st.BindInt64(4, rec.Recorded.UnixMicro())
		if r.Box != nil {
			st.BindFloat(5, r.Box.W)
			st.BindFloat(6, r.Box.S)
			st.BindFloat(7, r.Box.E)
			st.BindFloat(8, r.Box.N)
			st.BindFloat(9, rec.Place.Uncertainty)
		}
		st.BindText(10, r.Title)
		st.BindText(11, facetText(r))
		st.BindBytes(12, rec.ID[:])
		if err := run(st); err != nil {
			return err
		}
		row = c.LastInsertRowID()
		st = c.Prep("INSERT INTO search(rowid, words) VALUES(?,?)")
		st.BindInt64(1, row)
		st.BindText(2, words(r, 1))
		if err := run(st); err != nil {
			return err
		}
	}
	st := c.Prep("INSERT INTO entry(seq, at, type, agency, actor, record, version, kind, marking, row, prev, content, salt, keyid, sig, commitment) VALUES(?,?,1,5,6,?,?,?,?,?,-1,?,?,7,?,?)")
	st.BindInt64(1, e.Seq)
	st.BindInt64(2, e.At.UnixMicro())
	st.BindBytes(3, e.Record[:])
	st.BindInt64(4, int64(e.Version))
	st.BindInt64(5, kind)
	st.BindInt64(6, marking)
	st.BindInt64(7, row)
	st.BindBytes(8, e.Content)
	st.BindBytes(9, e.Salt)
	st.BindBytes(10, e.Sig)
	st.BindBytes(11, e.Commitment[:])
	return run(st)
}
