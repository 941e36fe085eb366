package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"konbit/record"
	"konbit/store"
)

var (
	_ store.Filling = (*DB)(nil)
	_ store.Rows    = (*Moment)(nil)
)

// OpenUnfinished is Open for a new database, or one that a copy has begun to fill.
func OpenUnfinished(ctx context.Context, url string) (*DB, error) { return open(ctx, url, false) }

// whole refuses a database that a copy has begun to fill and not finished.
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

// Moment is what a database holds at one moment. It MUST NOT be used by two
// goroutines at once.
type Moment struct {
	db *DB
	tx pgx.Tx
}

// Moment takes one, beside whoever writes. It MUST be closed.
func (db *DB) Moment(ctx context.Context) (*Moment, error) {
	return db.moment(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, nil)
}

// Alone is Moment, and keeps everybody else from writing until Close. It refuses when
// somebody writes now, or another copy reads or fills the database.
func (db *DB) Alone(ctx context.Context) (*Moment, error) {
	m, err := db.moment(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		// Locking shows no moment yet: what was written before is seen.
		names := []string{"head"}
		for i := range store.Tables {
			names = append(names, store.Tables[i].Name)
		}
		for _, q := range []string{"SET LOCAL lock_timeout = '" + briefly + "'", "LOCK TABLE " + strings.Join(names, ", ") + " IN EXCLUSIVE MODE", fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", copying)} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return taken(err)
			}
		}
		return nil
	})
	return m, db.fault("copy", err)
}

// Advisory locks. Who copies from or into a database holds copying, who writes rows of
// a copy loading, shared. The numbers are the ASCII codes of "copy" and "load".
const (
	copying = 0x636f7079
	loading = 0x6c6f6164
)

// briefly is how long a copy waits for others to end: as long as a server needs to
// see that one was killed.
const briefly = "4s"

// taken says who has what could not be locked.
func taken(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "55P03" {
		return err
	}
	e := record.Errorf(record.Unavailable, "store.copy", "somebody writes to this database now, or another copy reads or fills it")
	e.Hint = "stop every process of the node, and every other copy"
	return e
}

// Reserve keeps other copies away from this database until the returned function is
// called. What one that was killed has left under way is over when it returns.
func (db *DB) Reserve(ctx context.Context) (release func(), err error) {
	c, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, db.fault("copy", err)
	}
	release = func() {
		c.Conn().Close(context.WithoutCancel(ctx)) // and with it the lock
		c.Release()
	}
	for _, q := range []string{"SET lock_timeout = '" + briefly + "'", fmt.Sprintf("SELECT pg_advisory_lock(%d)", copying), fmt.Sprintf("SELECT pg_advisory_lock(%d)", loading), fmt.Sprintf("SELECT pg_advisory_unlock(%d)", loading)} {
		if _, err := c.Exec(ctx, q); err != nil {
			release()
			return nil, db.fault("copy", taken(err))
		}
	}
	if err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return sameColumns(ctx, tx) }); err != nil {
		release()
		return nil, db.fault("copy", err)
	}
	return release, nil
}

// fill is write for the rows of a copy.
func (db *DB) fill(ctx context.Context, fn func(pgx.Tx) error) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock_shared(%d)", loading)); err != nil {
			return err
		}
		return fn(tx)
	})
}

func (db *DB) moment(ctx context.Context, how pgx.TxOptions, lock func(pgx.Tx) error) (*Moment, error) {
	tx, err := db.pool.BeginTx(ctx, how)
	if err != nil {
		return nil, db.fault("read", err)
	}
	m := &Moment{db, tx}
	if err := patient(ctx, tx); err != nil {
		m.Close()
		return nil, db.fault("read", err)
	}
	if lock != nil {
		if err := lock(tx); err != nil {
			m.Close()
			return nil, err
		}
	}
	if err := sameColumns(ctx, tx); err != nil { // the moment is now
		m.Close()
		return nil, db.fault("read", err)
	}
	return m, nil
}

// sameColumns refuses a schema that this konbit could go on with but knows only in part.
func sameColumns(ctx context.Context, tx pgx.Tx) error {
	have, _, err := schemaOf(ctx, tx)
	if err == nil && have != version {
		err = newer(have, have)
	}
	return err
}

// patient lets a transaction last, whatever the server's settings are.
func patient(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0", pgx.QueryExecModeSimpleProtocol)
	return err
}

// Close ends the moment.
func (m *Moment) Close() { m.tx.Rollback(context.Background()) }

// Head returns where the ledger stood.
func (m *Moment) Head(ctx context.Context) (size int64, note []byte, err error) {
	var h head
	if err := h.scan(m.tx.QueryRow(ctx, headColumns)); err != nil {
		return 0, nil, m.db.fault("read", err)
	}
	return h.Size, h.Checkpoint, nil
}

// Count counts the rows of a table that are copied.
func (m *Moment) Count(ctx context.Context, t *store.Table) (n int64, err error) {
	where, args := copied(t, nil)
	return n, m.db.fault("read", m.tx.QueryRow(ctx, "SELECT count(*) FROM "+t.Name+where, args...).Scan(&n))
}

// Dump calls fn for the rows of a table after a key.
func (m *Moment) Dump(ctx context.Context, t *store.Table, after []any, fn func(row []any) error) error {
	return m.db.fault("read", dump(ctx, m.tx, t, after, fn))
}

// Count counts the rows of a table that are copied.
func (db *DB) Count(ctx context.Context, t *store.Table) (n int64, err error) {
	where, args := copied(t, nil)
	return n, db.fault("read", db.pool.QueryRow(ctx, "SELECT count(*) FROM "+t.Name+where, args...).Scan(&n))
}

// Dump calls fn for the rows of a table after a key.
func (db *DB) Dump(ctx context.Context, t *store.Table, after []any, fn func(row []any) error) error {
	return db.read(ctx, func(tx pgx.Tx) error {
		if err := patient(ctx, tx); err != nil {
			return err
		}
		return dump(ctx, tx, t, after, fn)
	})
}

// fetched is how many rows come at once. They are read before fn gets them: a server
// ends a connection on which nobody takes what it sends.
const fetched = 128

func dump(ctx context.Context, tx pgx.Tx, t *store.Table, after []any, fn func(row []any) error) error {
	where, args := copied(t, after)
	cursor := `"copy_` + t.Name + `"`
	if _, err := tx.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR SELECT "+strings.Join(store.Quoted(t.Columns), ", ")+" FROM "+t.Name+where+" ORDER BY "+keyList(t, ""), args...); err != nil {
		return err
	}
	fetch := fmt.Sprintf("FETCH %d FROM %s", fetched, cursor)
	for n := fetched; n == fetched; {
		rows, err := tx.Query(ctx, fetch)
		if err != nil {
			return err
		}
		some, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
		if err != nil {
			return err
		}
		for _, row := range some {
			store.Plain(row)
			if err := fn(row); err != nil {
				return err
			}
		}
		n = len(some)
	}
	_, err := tx.Exec(ctx, "CLOSE "+cursor)
	return err
}

// keyList names the key's columns. Texts are ordered by their bytes, as in every
// other engine, whatever the database's language.
func keyList(t *store.Table, mark string) string {
	names := store.Quoted(t.Columns[:t.Key])
	for i, c := range t.Columns[:t.Key] {
		if c.Type == 't' {
			names[i] += ` COLLATE "C"`
		}
		names[i] += mark
	}
	return strings.Join(names, ", ")
}

// copied is the condition for rows that are copied, and its arguments.
func copied(t *store.Table, after []any) (where string, args []any) {
	if after == nil {
		after = t.From
	}
	var conds []string
	if after != nil {
		places := make([]string, t.Key)
		for i := range places {
			places[i] = fmt.Sprintf("$%d", i+1)
		}
		conds, args = append(conds, "("+keyList(t, "")+") > ("+strings.Join(places, ", ")+")"), append(args, after...)
	}
	if t.Own != "" {
		conds, args = append(conds, fmt.Sprintf("NOT starts_with(%s, $%d)", store.Quoted(t.Columns)[0], len(args)+1)), append(args, t.Own)
	}
	if len(conds) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conds, " AND "), args
}

// Last returns the last key of a table.
func (db *DB) Last(ctx context.Context, t *store.Table) (key []any, err error) {
	where, args := copied(t, nil)
	err = db.each(ctx, "SELECT "+strings.Join(store.Quoted(t.Columns[:t.Key]), ", ")+" FROM "+t.Name+where+" ORDER BY "+keyList(t, " DESC")+" LIMIT 1", args, func(r pgx.Rows) error {
		key, err = r.Values()
		return err
	})
	return key, err
}

// Load appends rows to a table.
func (db *DB) Load(ctx context.Context, t *store.Table, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if t.Name == "entry" { // in the order of its key, seq
		if err := db.parts.ensure(ctx, db.pool, rows[len(rows)-1][0].(int64)+1, 0); err != nil {
			return db.fault("write", err)
		}
	}
	return db.fill(ctx, func(tx pgx.Tx) error {
		if err := copyIn(ctx, tx, t.Name, t.Columns, rows); err != nil {
			return err
		}
		if t.Name != "entry" {
			return nil
		}
		at := slices.IndexFunc(t.Columns, func(c store.Column) bool { return c.Name == "command" })
		var commands [][]any
		for _, row := range rows {
			if row[at] != nil {
				commands = append(commands, []any{row[at], row[0]})
			}
		}
		return copyIn(ctx, tx, "command", []store.Column{{Name: "id"}, {Name: "seq"}}, commands)
	})
}

func copyIn(ctx context.Context, tx pgx.Tx, table string, cs []store.Column, rows [][]any) error {
	names := make([]string, len(cs))
	for i, c := range cs {
		names[i] = c.Name
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, names, pgx.CopyFromRows(rows))
	return err
}

// Newest returns records for the search index.
func (db *DB) Newest(ctx context.Context, after int64, limit int) (out []store.Newest, err error) {
	err = db.each(ctx, `SELECT r."row", r.marking, e.content FROM (SELECT * FROM record WHERE "row" > $1 AND marking <> 0 ORDER BY "row" LIMIT $2) r
		CROSS JOIN LATERAL (SELECT e.content FROM entry e WHERE e.seq = r.entry OFFSET 0) e ORDER BY r."row"`, []any{after, limit}, func(r pgx.Rows) error {
		var n store.Newest
		err := r.Scan(&n.Row, &n.Marking, &n.Content)
		out = append(out, n)
		return err
	})
	return out, err
}

// LastWords returns the last row of the search index.
func (db *DB) LastWords(ctx context.Context) (row int64, err error) {
	err = db.each(ctx, `SELECT "row" FROM search ORDER BY "row" DESC LIMIT 1`, nil, func(r pgx.Rows) error { return r.Scan(&row) })
	return row, err
}

// LoadWords appends to the search index. A partition is filled without its inverted
// index, which is made when the next one begins or by Seal: that takes a fraction of
// the time.
func (db *DB) LoadWords(ctx context.Context, words []store.Words) error {
	for len(words) > 0 {
		part := words[0].Row / searchSpan
		n := slices.IndexFunc(words, func(w store.Words) bool { return w.Row/searchSpan != part })
		if n < 0 {
			n = len(words)
		}
		if err := db.loadWords(ctx, part, words[:n]); err != nil {
			return err
		}
		words = words[n:]
	}
	return nil
}

func (db *DB) loadWords(ctx context.Context, part int64, words []store.Words) error {
	if err := db.parts.ensure(ctx, db.pool, 0, words[len(words)-1].Row+1); err != nil {
		return db.fault("write", err)
	}
	table := span("search", part)
	var full bool
	if err := db.each(ctx, "SELECT true FROM "+table+" LIMIT 1", nil, func(r pgx.Rows) error { return r.Scan(&full) }); err != nil {
		return err
	}
	if !full && part > 0 {
		if err := db.indexWords(ctx, part-1); err != nil {
			return err
		}
	}
	return db.fill(ctx, func(tx pgx.Tx) error {
		if !full {
			names, err := wordIndexes(ctx, tx, table)
			if err != nil {
				return err
			}
			for _, name := range names {
				if _, err := tx.Exec(ctx, "DROP INDEX "+name); err != nil {
					return err
				}
			}
		}
		var sb strings.Builder
		for _, w := range words {
			fmt.Fprintf(&sb, "%d\t", w.Row)
			inText.WriteString(&sb, vector(w.Text))
			sb.WriteByte('\n')
		}
		_, err := tx.Conn().PgConn().CopyFrom(ctx, strings.NewReader(sb.String()), `COPY `+table+`("row", words) FROM STDIN`)
		return err
	})
}

// inText writes a value as the text format of COPY has it.
var inText = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r")

// wordIndexes names the inverted indexes of a partition, one or none.
func wordIndexes(ctx context.Context, c querier, table string) (names []string, err error) {
	err = eachOn(ctx, c, `SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
		WHERE i.indrelid = $1::text::regclass AND a.amname = 'gin'`, []any{table}, func(r pgx.Rows) error {
		var name string
		err := r.Scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

// wordIndex makes the inverted index of a partition.
const wordIndex = "CREATE INDEX ON %[1]s USING gin(words) WITH (fastupdate = on, gin_pending_list_limit = 512)"

// indexWords makes the inverted index of a partition that was filled without.
func (db *DB) indexWords(ctx context.Context, part int64) error {
	table := span("search", part)
	return db.fill(ctx, func(tx pgx.Tx) error {
		names, err := wordIndexes(ctx, tx, table)
		if err != nil || len(names) > 0 {
			return err
		}
		if err := patient(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "SET LOCAL maintenance_work_mem = '128MB'; "+fmt.Sprintf(wordIndex, table), pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

// Seal makes the indexes that are missing, writes the head, and numbers on from
// where the rows end.
func (db *DB) Seal(ctx context.Context, size int64, note []byte) error {
	var parts int64
	if err := db.each(ctx, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'search'::regclass", nil, func(r pgx.Rows) error { return r.Scan(&parts) }); err != nil {
		return err
	}
	for part := range parts {
		if err := db.indexWords(ctx, part); err != nil {
			return err
		}
	}
	if err := db.write(ctx, func(tx pgx.Tx) error {
		// Whoever opens the store reads agencies, people and nodes anew: ops may be the end.
		if _, err := tx.Exec(ctx, `UPDATE head SET size = $1, note = $2, ops = $1, rows = (SELECT coalesce(max("row"), 0) FROM record), markings = (SELECT coalesce(max(n), 0) FROM marking)`, size, note); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence('name', 'n'), (SELECT max(n) FROM name))")
		return err
	}); err != nil {
		return err
	}
	_, err := db.pool.Exec(ctx, "ANALYZE")
	return db.fault("write", err)
}

// Whole ends a copy.
func (db *DB) Whole(ctx context.Context) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM setting WHERE name = $1", store.Unfinished)
		return err
	})
}
