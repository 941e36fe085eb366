package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// turn is a transaction that has locked the row in table head: nobody else writes
// to the ledger.
type turn struct {
	conn *pgxpool.Conn
	head
	met int64 // DB.met.times when it began
}

// head is what the row says.
type head struct {
	store.State
	rows, markings int64
}

const headColumns = "SELECT size, note, ops, rows, markings FROM head"

func (h *head) scan(r pgx.Row) error {
	return r.Scan(&h.Size, &h.Checkpoint, &h.Ops, &h.rows, &h.markings)
}

// Turn waits until no other process writes.
func (db *DB) Turn(ctx context.Context) (store.State, error) {
	if db.only {
		return store.State{}, record.Errorf(record.Unavailable, "store.turn", "the store is open for reading only")
	}
	select {
	case db.pen <- struct{}{}:
	case <-ctx.Done():
		return store.State{}, ctx.Err()
	}
	t, err := db.begin(ctx)
	if err != nil {
		<-db.pen
		return store.State{}, db.fault("turn", err)
	}
	db.turn = t
	return t.State, nil
}

// begin opens the transaction of a turn.
func (db *DB) begin(ctx context.Context) (*turn, error) {
	if db.writers == nil {
		return nil, record.Errorf(record.Unavailable, "store.turn", "the node is shutting down")
	}
	conn, err := db.writers.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	t := &turn{conn: conn, met: db.met.times.Load()}
	var b pgx.Batch
	b.Queue("BEGIN")
	b.Queue(headColumns + " FOR UPDATE").QueryRow(t.head.scan)
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		t.drop()
		return nil, err
	}
	if err := db.notOlder(t.Size); err != nil {
		t.rollback()
		return nil, err
	}
	return t, nil
}

// notOlder refuses a database that has less than this process has seen in it:
// one that was restored, or a standby that was promoted without having everything.
func (db *DB) notOlder(size int64) error { return db.older(db.seen.Load(), size) }

// older is notOlder with what had been seen before the size was asked for.
func (db *DB) older(seen, size int64) error {
	if size < seen {
		e := record.Errorf(record.Corrupt, "store.open", "the database is older than it was: its ledger has %d entries, this process has seen %d", size, seen)
		e.Hint = "it was restored from a backup, or a standby took over that did not have everything: stop all processes of the node; put the right database back, or run konbit restored"
		return e
	}
	for {
		now := db.seen.Load()
		if size <= now || db.seen.CompareAndSwap(now, size) {
			return nil
		}
	}
}

// Pass ends a turn in which nothing was written. When an answer rests on it, the
// transaction ends with COMMIT: the lock of the turn has given it a number, so that this
// waits for the disk and the standby, and with it for all that was committed before. What
// a server has kept over a restart is seen before its standby has it.
func (db *DB) Pass(rests bool) error {
	t := db.take()
	if t == nil {
		return nil
	}
	defer func() { <-db.pen }()
	if !rests {
		t.rollback()
		return nil
	}
	if _, err := t.conn.Exec(context.Background(), "COMMIT"); err != nil {
		t.drop()
		return db.fault("read", err)
	}
	t.conn.Release()
	return nil
}

// take returns this process's turn; only who has one calls it.
func (db *DB) take() *turn {
	t := db.turn
	db.turn = nil
	return t
}

// rollback ends the transaction without it.
func (t *turn) rollback() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := t.conn.Exec(ctx, "ROLLBACK"); err != nil {
		t.drop()
		return
	}
	t.conn.Release()
}

// drop closes a connection of which nobody knows in what state it is.
func (t *turn) drop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	t.conn.Conn().Close(ctx)
	t.conn.Release()
}

// commit ends the transaction with it. When the answer is lost, it finds out what
// became of it.
func (db *DB) commit(ctx context.Context, t *turn, b *store.Batch) error {
	if t.met != db.met.times.Load() { // the numbers of names that it wrote may be those of another database
		t.rollback()
		return record.Errorf(record.Unavailable, "store.commit", "another database server took over in this moment; nothing was saved; try again")
	}
	// When a COMMIT is cancelled, the server waits no longer for its standby, and everybody
	// sees what the standby does not have. A server that is gone is noticed without, see dial.
	_, err := t.conn.Exec(context.WithoutCancel(ctx), "COMMIT")
	if err == nil {
		t.conn.Release()
		return nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && t.conn.Conn().PgConn().TxStatus() == 'I' && !ended(pg) {
		t.conn.Release()
		return err // the server says that it was rolled back
	}
	t.drop()
	if len(b.Items) == 0 {
		return err
	}
	saved, e := db.became(ctx, &b.Items[0].Entry)
	switch {
	case e != nil:
		return &record.Error{Code: record.Unavailable, Op: "store.commit", Message: "the database was lost while it saved: it is not known whether it did; try again, the same command is done once only", Err: errors.Join(err, e)}
	case saved:
		return nil
	}
	return err
}

// ended reports whether an error ends the session, so that it does not tell what
// became of the transaction.
func ended(pg *pgconn.PgError) bool { return pg.Severity == "FATAL" || pg.Severity == "PANIC" }

// settle is how long a commit whose answer was lost is asked after.
const settle = 10 * time.Second

// Entries and their transaction are found again by position and commitment. The
// lock on head is taken first: whoever still holds it may yet be committing.
const becameQuery = `SELECT EXISTS (SELECT FROM entry WHERE seq = $1 AND commitment = $2)`

func (db *DB) became(ctx context.Context, e *ledger.Entry) (saved bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancel()
	for {
		err = pgx.BeginFunc(ctx, db.writers, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT one FROM head FOR UPDATE"); err != nil {
				return err
			}
			return tx.QueryRow(ctx, becameQuery, e.Seq, e.Commitment[:]).Scan(&saved)
		})
		if err == nil {
			return saved, nil
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// State returns where the ledger stands.
func (db *DB) State(ctx context.Context) (store.State, error) {
	var h head
	seen := db.seen.Load() // by the time of the answer this process may have written more
	if err := db.fault("read", h.scan(db.pool.QueryRow(ctx, headColumns))); err != nil {
		return store.State{}, err
	}
	return h.State, db.older(seen, h.Size)
}

// Head returns the ledger's size and newest checkpoint.
func (db *DB) Head(ctx context.Context) (size int64, note []byte, err error) {
	s, err := db.State(ctx)
	return s.Size, s.Checkpoint, err
}
