package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// An erased record is at once gone from every read. Its words, and those of its
// earlier versions, still stand in segments of the inverted index until these
// are merged, and in the log until it is truncated. The cleaner does both after
// each erasure, a little at a time, so that changes do not wait for it. That it
// has work left is written down with the erasure: a restart goes on.

const uncleanKey = "store.unclean"

// mergePages is how many pages one step writes: some milliseconds, for which changes wait.
const mergePages = 64

type cleaner struct {
	db     *DB
	cancel context.CancelFunc
	work   chan struct{} // wakes it
	ended  chan struct{}

	mu    sync.Mutex
	dirty bool
	asked int           // erasures so far
	clean chan struct{} // closed when nothing is left to do
}

func (db *DB) startCleaner(ctx context.Context) error {
	v, err := db.Value(ctx, uncleanKey)
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	t := &cleaner{db: db, cancel: cancel, work: make(chan struct{}, 1), ended: make(chan struct{}), clean: make(chan struct{})}
	close(t.clean)
	db.tidy = t
	t.wake(len(v) > 0)
	go t.run(run)
	return nil
}

func (t *cleaner) stop() {
	if t != nil {
		t.cancel()
		<-t.ended
	}
}

// wake is called after each commit: what could not be done then is tried again.
func (t *cleaner) wake(erased bool) {
	t.mu.Lock()
	if erased {
		t.asked++
		if !t.dirty {
			t.dirty, t.clean = true, make(chan struct{})
		}
	}
	dirty := t.dirty
	t.mu.Unlock()
	if dirty {
		select {
		case t.work <- struct{}{}:
		default:
		}
	}
}

func (t *cleaner) run(ctx context.Context) {
	defer close(t.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.work:
		}
		for again := true; again && ctx.Err() == nil; {
			var err error
			if again, err = t.pass(ctx); errors.Is(err, errBusy) {
				again = true
				select {
				case <-ctx.Done():
				case <-time.After(later):
				}
			} // another error is met again by the next commit, which reports it
		}
	}
}

// pass merges the index to one segment and empties the log. It reports whether
// more was erased meanwhile.
func (t *cleaner) pass(ctx context.Context) (again bool, err error) {
	t.mu.Lock()
	asked, dirty := t.asked, t.dirty
	t.mu.Unlock()
	if !dirty {
		return false, nil
	}
	for pages := -mergePages; ; pages = mergePages {
		more := false
		if err := t.db.Write(ctx, func(c *sqlite.Conn) error {
			before, err := sqlitex.ResultInt64(c.Prep("SELECT total_changes()"))
			if err != nil {
				return err
			}
			st := c.Prep("INSERT INTO search(search, rank) VALUES('merge', ?)")
			bind(st, pages)
			if err := run(st); err != nil {
				return err
			}
			after, err := sqlitex.ResultInt64(c.Prep("SELECT total_changes()"))
			more = after-before >= 2
			return err
		}); err != nil {
			return false, err
		}
		if !more {
			break
		}
	}
	t.mu.Lock()
	again = t.asked != asked
	t.mu.Unlock()
	if again {
		return true, nil
	}
	if err := t.db.truncateLog(); err != nil {
		return false, err
	}
	if err := t.db.Write(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("DELETE FROM setting WHERE name = ?")
		bind(st, uncleanKey)
		return run(st)
	}); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if again = t.asked != asked; !again {
		t.dirty = false
		close(t.clean)
	}
	return again, nil
}

// unclean writes down, in the erasing transaction, that the cleaner has work.
func (w *writing) unclean() error {
	st := w.c.Prep("INSERT INTO setting(name, value) VALUES(?, x'01') ON CONFLICT(name) DO NOTHING")
	bind(st, uncleanKey)
	return run(st)
}

// patience is how long changes wait for a reader of an older moment, and later
// how long the cleaner does before it tries again.
const (
	patience = 20 * time.Millisecond
	later    = 200 * time.Millisecond
)

// truncateLog empties the log, unless a reader of an older moment is in the way.
func (db *DB) truncateLog() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.writer == nil {
		return nil
	}
	db.writer.SetBusyTimeout(patience)
	defer db.writer.SetBlockOnBusy()
	busy := false
	err := sqlitex.ExecuteTransient(db.writer, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		busy = st.ColumnInt(0) != 0
		return nil
	}})
	if err == nil && busy {
		err = errBusy
	}
	return err
}

var errBusy = errors.New("sqlite: the log is being read")

// Clean waits until nothing that was erased is left in the file or its log.
func (db *DB) Clean(ctx context.Context) error {
	if db.tidy == nil {
		return nil
	}
	db.tidy.mu.Lock()
	clean := db.tidy.clean
	db.tidy.mu.Unlock()
	select {
	case <-clean:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
