package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/record"
	"konbit/store"
)

// A process is on duty while a session of its own, outside the pools, holds an
// advisory lock; the others wait for that lock in sessions of theirs. The server
// frees it when the session ends: at once when its process does, or after leash.
// By then the process has noticed itself that it is out of reach, within beat + bound.
const (
	beat  = time.Second             // between two looks at the session
	bound = 1500 * time.Millisecond // how long one may take
	leash = "4s"                    // that the server waits for the next
	again = 500 * time.Millisecond  // between attempts while the database is away
	alive = "15 seconds"            // that a process is there after it was last seen
)

// OnDuty waits until this process is the one on duty, and runs do.
//
// The term that the process gets stays with it when its duty ends: what it then
// still writes is refused from the moment on that another process has the next.
func (db *DB) OnDuty(ctx context.Context, p store.Process, do func(ctx context.Context) error) error {
	if db.only {
		return record.Errorf(record.Unavailable, "store.duty", "the store is open for reading only")
	}
	for away := false; ; away = true {
		c, err := db.elected(ctx, p)
		if err == nil {
			if away { // the connections in the pools may be dead as well, and do must not fail of one
				db.pool.Reset()
				db.writers.Reset()
			}
			var lost bool
			if lost, err = db.serve(ctx, c, do); !lost {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// elected waits for the lock, and returns the session that holds it.
func (db *DB) elected(ctx context.Context, p store.Process) (_ *pgx.Conn, err error) {
	cfg := db.pool.Config().ConnConfig
	// What the operator set for short questions must not end a long wait.
	for k, v := range map[string]string{"application_name": "konbit duty", "statement_timeout": "0", "lock_timeout": "0", "idle_session_timeout": leash} {
		cfg.RuntimeParams[k] = v
	}
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			hangUp(ctx, c)
		}
	}()
	if err := db.meet(ctx, c); err != nil {
		return nil, err
	}
	// A server that can do so looks whether we are still there while we wait. Of one
	// that cannot, the session stays until its turn comes, and then ends.
	_, _ = c.Exec(ctx, "SET client_connection_check_interval = '2s'")
	if _, err := c.Exec(ctx, "SELECT pg_advisory_lock($1)", dutyLock); err != nil {
		return nil, err
	}
	// It waits for who is still writing with the term before. Terms follow the clock, so
	// that one is not given twice when a standby took over that did not have the last.
	var term int64
	if err := c.QueryRow(ctx, `UPDATE duty SET process = $1, term = greatest(term + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) RETURNING term`, text(p.ID)).Scan(&term); err != nil {
		return nil, err
	}
	db.term.Store(term)
	return c, nil
}

// hangUp ends a session, also when ctx has ended.
func hangUp(ctx context.Context, c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	c.Close(ctx)
}

// serve runs do while the session lives, and ends it. It reports whether the duty
// was lost, which is no error; do has returned then, too.
func (db *DB) serve(ctx context.Context, c *pgx.Conn, do func(ctx context.Context) error) (lost bool, err error) {
	defer hangUp(ctx, c)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	watching, enough := context.WithCancel(context.WithoutCancel(ctx)) // also when ctx has ended, until do has
	defer enough()
	cut := make(chan error, 1)
	go func() { cut <- watch(watching, c) }()
	done := make(chan error, 1)
	go func() { done <- do(inner) }()
	select {
	case <-cut:
		cancel()
		hangUp(ctx, c)
		<-done
		return true, nil
	case err = <-done:
	}
	enough()
	gone := <-cut
	if gone == nil {
		gone = retire(ctx, c, db.term.Load())
	}
	switch {
	case ctx.Err() != nil:
		return false, nil
	case gone != nil && err != nil: // what failed was the first to see that the database is away
		return true, nil
	}
	return false, err
}

// watch looks after the session until ctx ends, and returns an error when the
// session has ended: at once when we are told, otherwise when it does not answer.
func watch(ctx context.Context, c *pgx.Conn) error {
	for {
		quiet, cancel := context.WithTimeout(ctx, beat)
		_, err := c.WaitForNotification(quiet) // there are none
		cancel()
		switch {
		case c.IsClosed():
			return err
		case ctx.Err() != nil:
			return nil
		}
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
		err = c.Ping(asking)
		cancel()
		if err != nil {
			return err
		}
	}
}

// retire says that nobody is on duty until another process takes it.
func retire(ctx context.Context, c *pgx.Conn, term int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	_, err := c.Exec(ctx, "UPDATE duty SET process = '' WHERE term = $1", term)
	return err
}

// Present puts a process on the list, and takes off what has long been gone.
func (db *DB) Present(ctx context.Context, p store.Process) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		var b pgx.Batch
		b.Queue(`INSERT INTO process(id, name, address, version, started, seen, size, bus, holding) VALUES($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8)
			ON CONFLICT(id) DO UPDATE SET (name, address, version, started, seen, size, bus, holding)
			= (excluded.name, excluded.address, excluded.version, excluded.started, excluded.seen, excluded.size, excluded.bus, excluded.holding)`,
			storable([]any{p.ID, p.Name, p.Address, p.Version, stamp(p.Started), p.Size, p.Bus, p.Holding})...)
		b.Queue("DELETE FROM process WHERE id IN (SELECT id FROM process WHERE seen < clock_timestamp() - interval '1 day' FOR UPDATE SKIP LOCKED)")
		return tx.SendBatch(ctx, &b).Close()
	})
}

// Gone takes a process off the list.
func (db *DB) Gone(ctx context.Context, id string) error {
	return db.change(ctx, "DELETE FROM process WHERE id = $1", id)
}

// Processes returns the processes that are there.
func (db *DB) Processes(ctx context.Context) ([]store.Process, error) {
	return list(ctx, db, `SELECT p.id, p.name, p.address, p.version, p.started, p.seen, p.size, p.bus, p.holding, p.id = d.process FROM process p, duty d
		WHERE p.seen > clock_timestamp() - interval '`+alive+`' ORDER BY p.id = d.process DESC, p.started, p.id COLLATE "C"`, func(r pgx.Row) (p store.Process, err error) {
		var started int64
		err = r.Scan(&p.ID, &p.Name, &p.Address, &p.Version, &started, &p.Seen, &p.Size, &p.Bus, &p.Holding, &p.Duty)
		p.Started, p.Seen = moment(started), p.Seen.UTC()
		return p, err
	})
}
