package sqlite

import (
	"context"
	"strings"

	"zombiezen.com/go/sqlite"

	"konbit/record"
	"konbit/store"
)

var _ store.Filling = (*DB)(nil)

// OpenAlone opens an existing file for reading, and keeps every other process from
// having it open for writing until Close.
func OpenAlone(ctx context.Context, path string) (*DB, error) {
	db, err := OpenReadOnly(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := db.takeLock(); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// OpenUnfinished is Open for a new file, or one that a copy has begun to fill.
func OpenUnfinished(ctx context.Context, path string) (*DB, error) { return openFile(ctx, path) }

// whole refuses a file that a copy has begun to fill and not finished.
func whole(ctx context.Context, db *DB, err error) (*DB, error) {
	if err != nil {
		return nil, err
	}
	v, err := db.Value(ctx, store.Unfinished)
	if err == nil && len(v) > 0 {
		err = store.NotWhole()
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// keyList is "k1", "k2" of a table's key.
func keyList(t *store.Table) string { return strings.Join(store.Quoted(t.Columns[:t.Key]), ", ") }

// copied is the condition for rows that are copied, and its arguments.
func copied(t *store.Table, after []any) (where string, args []any) {
	if after == nil {
		after = t.From
	}
	var conds []string
	if after != nil {
		conds, args = append(conds, "("+keyList(t)+") > (?"+strings.Repeat(", ?", t.Key-1)+")"), append(args, after...)
	}
	if t.Own != "" {
		conds, args = append(conds, "substr("+keyList(t)+", 1, ?) <> ?"), append(args, int64(len(t.Own)), t.Own)
	}
	if len(conds) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conds, " AND "), args
}

// Count counts the rows of a table that are copied.
func (db *DB) Count(ctx context.Context, t *store.Table) (n int64, err error) {
	where, args := copied(t, nil)
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT count(*) FROM " + t.Name + where)
		bindRow(st, args)
		return each(st, func(st *sqlite.Stmt) error { n = st.ColumnInt64(0); return nil })
	})
	return n, err
}

// Dump calls fn for the rows of a table after a key.
func (db *DB) Dump(ctx context.Context, t *store.Table, after []any, fn func(row []any) error) error {
	where, args := copied(t, after)
	return db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT " + strings.Join(store.Quoted(t.Columns), ", ") + " FROM " + t.Name + where + " ORDER BY " + keyList(t))
		bindRow(st, args)
		return each(st, func(st *sqlite.Stmt) error {
			row, err := rowOf(st, t, t.Columns)
			if err != nil {
				return err
			}
			return fn(row)
		})
	})
}

// Last returns the last key of a table.
func (db *DB) Last(ctx context.Context, t *store.Table) (key []any, err error) {
	where, args := copied(t, nil)
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT " + keyList(t) + " FROM " + t.Name + where + " ORDER BY " + strings.ReplaceAll(keyList(t), ",", " DESC,") + " DESC LIMIT 1")
		bindRow(st, args)
		return each(st, func(st *sqlite.Stmt) (err error) { key, err = rowOf(st, t, t.Columns[:t.Key]); return err })
	})
	return key, err
}

// Load appends rows to a table.
func (db *DB) Load(ctx context.Context, t *store.Table, rows [][]any) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("INSERT INTO " + t.Name + "(" + strings.Join(store.Quoted(t.Columns), ", ") + ") VALUES(?" + strings.Repeat(", ?", len(t.Columns)-1) + ")")
		for _, row := range rows {
			bindRow(st, row)
			if err := run(st); err != nil {
				return err
			}
		}
		return nil
	})
}

// rowOf reads columns as store.Table has them.
func rowOf(st *sqlite.Stmt, t *store.Table, cs []store.Column) ([]any, error) {
	row := make([]any, len(cs))
	for i, c := range cs {
		is := st.ColumnType(i)
		ok := false
		switch {
		case is == sqlite.TypeNull:
			ok = true
		case c.Type == 'i':
			row[i], ok = st.ColumnInt64(i), is == sqlite.TypeInteger
		case c.Type == 'o':
			row[i], ok = st.ColumnBool(i), is == sqlite.TypeInteger
		case c.Type == 'f':
			row[i], ok = st.ColumnFloat(i), is == sqlite.TypeFloat || is == sqlite.TypeInteger
		case c.Type == 't':
			row[i], ok = st.ColumnText(i), is == sqlite.TypeText
		case c.Type == 'b':
			b := make([]byte, st.ColumnLen(i))
			st.ColumnBytes(i, b)
			row[i], ok = b, is == sqlite.TypeBlob
		case c.Type == 'u':
			var id [16]byte
			ok = is == sqlite.TypeBlob && st.ColumnLen(i) == len(id)
			st.ColumnBytes(i, id[:])
			row[i] = id
		}
		if !ok {
			return nil, record.Errorf(record.Corrupt, "store.dump", "table %s has a value in column %s that does not belong there", t.Name, c.Name)
		}
	}
	store.Plain(row)
	return row, nil
}

// bindRow is bind for the values of a row.
func bindRow(st *sqlite.Stmt, row []any) {
	for i, v := range row {
		switch v := v.(type) {
		case nil:
			st.BindNull(i + 1)
		case int64:
			st.BindInt64(i+1, v)
		case float64:
			st.BindFloat(i+1, v)
		case string:
			st.BindText(i+1, v)
		case []byte:
			st.BindBytes(i+1, v)
		case [16]byte:
			st.BindBytes(i+1, v[:])
		case bool:
			st.BindBool(i+1, v)
		default:
			panic("sqlite: bind a row")
		}
	}
}

// Newest returns records for the search index.
func (db *DB) Newest(ctx context.Context, after int64, limit int) (out []store.Newest, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT r.row, r.marking, e.content FROM record r JOIN entry e ON e.seq = r.entry WHERE r.row > ? AND r.marking <> 0 ORDER BY r.row LIMIT ?")
		bind(st, after, limit)
		return each(st, func(st *sqlite.Stmt) error {
			out = append(out, store.Newest{Row: st.ColumnInt64(0), Marking: st.ColumnInt64(1), Content: blob(st, 2)})
			return nil
		})
	})
	return out, err
}

// LastWords returns the last row of the search index.
func (db *DB) LastWords(ctx context.Context) (row int64, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return each(c.Prep("SELECT rowid FROM search ORDER BY rowid DESC LIMIT 1"), func(st *sqlite.Stmt) error { row = st.ColumnInt64(0); return nil })
	})
	return row, err
}

// LoadWords appends to the search index.
func (db *DB) LoadWords(ctx context.Context, words []store.Words) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("INSERT INTO search(rowid, words) VALUES(?, ?)")
		for _, w := range words {
			bind(st, w.Row, w.Text)
			if err := run(st); err != nil {
				return err
			}
		}
		return nil
	})
}

// Seal writes the head, and learns what the rows have brought.
func (db *DB) Seal(ctx context.Context, size int64, note []byte) error {
	if err := db.Write(ctx, func(c *sqlite.Conn) error {
		if size == 0 {
			return nil
		}
		st := c.Prep("INSERT INTO head(one, size, note) VALUES(1, ?, ?) ON CONFLICT(one) DO UPDATE SET size = excluded.size, note = excluded.note")
		bind(st, size, note)
		return run(st)
	}); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.names.Lock()
	db.tally.Lock()
	err := db.loadNames()
	db.tally.Unlock()
	db.names.Unlock()
	if err == nil {
		err = db.loadMirrors()
	}
	return db.fault("seal", err)
}

// Whole ends a copy.
func (db *DB) Whole(ctx context.Context) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("DELETE FROM setting WHERE name = ?")
		bind(st, store.Unfinished)
		return run(st)
	})
}
