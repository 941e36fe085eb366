// Package sqlite keeps a node's records in one SQLite file: WAL, synchronous
// FULL, no cgo. It is the only importer of the driver. ../DESIGN.md says why the
// tables are as they are.
package sqlite

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"konbit/record"
	"konbit/store"
)

//go:embed schema.sql
var schema string

//go:embed account.sql
var accountSchema string

//go:embed peer.sql
var peerSchema string

// version of the schema, kept in PRAGMA user_version. A newer file is refused, an
// older one is upgraded when it is opened for writing.
const version = 2

// DB is an open database.
type DB struct {
	path    string
	only    bool // opened for reading beside a running node
	lock    *os.File
	mu      sync.Mutex // serialises writing
	writer  *sqlite.Conn
	readers *sqlitex.Pool

	names struct {
		sync.RWMutex
		n map[string]int64
		s map[int64]string
	}
	markings struct { // interned
		sync.RWMutex
		n map[string]int64
	}
	tally struct { // rows by kind number
		sync.Mutex
		n map[int64]int64
	}
	spans spans
	tidy  *cleaner
	few   int // see find.go
}

var _ store.Store = (*DB)(nil)

// typeChange is the name number of "change", which the schema's indexes rely on.
const typeChange = 1

// pragmas are the writing connection's settings. secure_delete overwrites what
// is deleted, so that an erasure leaves nothing in free pages either.
var pragmas = []string{
	"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA cache_size = -16000", "PRAGMA secure_delete = ON",
	"PRAGMA temp_store = MEMORY", "PRAGMA wal_autocheckpoint = 2000", "PRAGMA journal_size_limit = 67108864",
}

// Open opens or creates the database file at path. It refuses a file that
// another process has open, one that a newer konbit wrote, and one that a copy has
// begun to fill.
func Open(ctx context.Context, path string) (*DB, error) {
	db, err := openFile(ctx, path)
	return whole(ctx, db, err)
}

func openFile(ctx context.Context, path string) (*DB, error) {
	db := &DB{path: path, few: few}
	db.markings.n = map[string]int64{}
	db.tally.n = map[int64]int64{}
	db.names.n, db.names.s = map[string]int64{}, map[int64]string{}
	if err := db.takeLock(); err != nil {
		return nil, err
	}
	if err := db.open(ctx); err != nil {
		db.Close()
		if err = db.fault("open", err); record.CodeOf(err) == record.Internal {
			err = corrupt("open", path, err)
		}
		return nil, err
	}
	if err := db.startCleaner(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// OpenReadOnly opens an existing file for reading, also while a node runs on it.
func OpenReadOnly(ctx context.Context, path string) (*DB, error) {
	db := &DB{path: path, only: true, few: few}
	db.markings.n = map[string]int64{}
	db.tally.n = map[int64]int64{}
	db.names.n, db.names.s = map[string]int64{}, map[int64]string{}
	err := func() (err error) {
		defer caught(&err)
		if _, err := os.Stat(path); err != nil {
			return record.Errorf(record.NotFound, "store.open", "there is no konbit database at %s", path)
		}
		if db.writer, err = sqlite.OpenConn(path, sqlite.OpenReadOnly); err != nil {
			return err
		}
		v, err := sqlitex.ResultInt(db.writer.Prep("PRAGMA user_version"))
		if err != nil {
			return err
		}
		if err := sameSchema(path, v); err != nil {
			return err
		}
		if err := db.loadNames(); err != nil {
			return err
		}
		if err := db.loadMirrors(); err != nil {
			return err
		}
		return db.openReaders()
	}()
	if err != nil {
		db.Close()
		return nil, corrupt("open", path, err)
	}
	return whole(ctx, db, nil)
}

func (db *DB) open(ctx context.Context) (err error) {
	defer caught(&err)
	if db.writer, err = sqlite.OpenConn(db.path, sqlite.OpenReadWrite|sqlite.OpenCreate); err != nil {
		return err
	}
	for _, p := range pragmas {
		if err := sqlitex.ExecuteTransient(db.writer, p, nil); err != nil {
			return err
		}
	}
	v, err := sqlitex.ResultInt(db.writer.Prep("PRAGMA user_version"))
	if err != nil {
		return err
	}
	if v > version {
		return sameSchema(db.path, v)
	}
	if err := upgrade(db.writer, v); err != nil {
		return err
	}
	if err := db.loadNames(); err != nil {
		return err
	}
	if err := db.loadMirrors(); err != nil {
		return err
	}
	return db.openReaders()
}

// sameSchema says nil when this konbit can read a file of schema v as it is.
func sameSchema(path string, v int) error {
	switch {
	case v > version:
		e := record.Errorf(record.Unavailable, "store.open", "%s was written by a newer konbit (schema %d, this one knows %d)", filepath.Base(path), v, version)
		e.Hint = "install the newer konbit again, or restore the backup that was made before it"
		return e
	case v < version:
		e := record.Errorf(record.Unavailable, "store.open", "%s was written by an older konbit (schema %d, this one needs %d)", filepath.Base(path), v, version)
		e.Hint = "start the node once with this konbit: it upgrades the file when it opens it"
		return e
	}
	return nil
}

// upgrades lead from each schema to the next, in one transaction. The tables of
// account.sql and schema.sql already have what the later ones add.
var upgrades = []string{
	0: schema + accountSchema + fmt.Sprintf("\nINSERT INTO name(n, s) VALUES(%d, 'change');\n", typeChange) + peerSchema,
	1: `ALTER TABLE account_agency ADD COLUMN node TEXT NOT NULL DEFAULT '';
		ALTER TABLE account_agency ADD COLUMN old_keys TEXT NOT NULL DEFAULT '[]';
		ALTER TABLE account_community ADD COLUMN joined INTEGER NOT NULL DEFAULT 0;
		ALTER TABLE zone ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0;
		UPDATE zone SET oldest = coalesce((SELECT min(recorded) FROM record WHERE row BETWEEN zone.block << 10 AND (zone.block << 10) + 1023), 0);
		` + peerSchema,
}

// upgrade brings a file of schema v, 0 for a new one, to the schema of this konbit.
func upgrade(c *sqlite.Conn, v int) error {
	script := ""
	switch v {
	case version:
		return nil
	case 0:
		script = upgrades[0]
	default:
		script = strings.Join(upgrades[v:], "\n")
	}
	return sqlitex.ExecuteScript(c, script+fmt.Sprintf("\nPRAGMA user_version = %d;", version), nil)
}

func (db *DB) openReaders() (err error) {
	db.readers, err = sqlitex.NewPool(db.path, sqlitex.PoolOptions{
		Flags:    sqlite.OpenReadOnly,
		PoolSize: max(4, 2*runtime.NumCPU()),
		PrepareConn: func(c *sqlite.Conn) error {
			for _, p := range []string{"PRAGMA cache_size = -6000", "PRAGMA query_only = 1", "PRAGMA temp_store = MEMORY"} {
				if err := sqlitex.ExecuteTransient(c, p, nil); err != nil {
					return err
				}
			}
			return nil
		},
	})
	return err
}

// Close closes every connection.
func (db *DB) Close() error {
	var errs []error
	db.tidy.stop()
	if db.readers != nil {
		errs = append(errs, db.readers.Close())
		db.readers = nil
	}
	if db.writer != nil {
		db.mu.Lock()
		errs = append(errs, db.writer.Close())
		db.writer = nil
		db.mu.Unlock()
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
		db.lock = nil
	}
	return errors.Join(errs...)
}

// Read runs fn on a connection that sees one moment of the database.
func (db *DB) Read(ctx context.Context, fn func(*sqlite.Conn) error) (err error) {
	c, err := db.readers.Take(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return unavailable("read", err)
	}
	defer db.readers.Put(c)
	if err := sqlitex.Execute(c, "BEGIN", nil); err != nil {
		return db.fault("read", err)
	}
	defer func() {
		c.SetInterrupt(nil) // the transaction must end even when ctx has
		if e := sqlitex.Execute(c, "ROLLBACK", nil); err == nil && e != nil {
			err = e
		}
		if ctx.Err() != nil && err != nil {
			err = ctx.Err()
		}
		err = db.fault("read", err)
	}()
	return safely(c, fn)
}

// safely runs fn, in which the driver panics when a statement cannot be prepared
// because the file is damaged.
func safely(c *sqlite.Conn, fn func(*sqlite.Conn) error) (err error) {
	defer caught(&err)
	return fn(c)
}

// caught makes an error of a panic that a damaged or unreadable file caused. A
// mistake in SQL is not one of those.
func caught(err *error) {
	v := recover()
	if v == nil {
		return
	}
	e, ok := v.(error)
	if code := sqlite.ErrCode(e).ToPrimary(); !ok || code == sqlite.ResultOK || code == sqlite.ResultError {
		panic(v)
	}
	*err = e
}

// Write runs fn in the one writing transaction, and returns when it is on disk.
func (db *DB) Write(ctx context.Context, fn func(*sqlite.Conn) error) (err error) {
	return db.write(ctx, func() {}, fn)
}

// write is Write with a function that undoes in memory what fn did there.
func (db *DB) write(ctx context.Context, undo func(), fn func(*sqlite.Conn) error) (err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.writer == nil {
		return record.Errorf(record.Unavailable, "store.write", "the node is shutting down")
	}
	if db.only {
		return record.Errorf(record.Unavailable, "store.write", "the store is open for reading only")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c := db.writer
	if err := sqlitex.Execute(c, "BEGIN IMMEDIATE", nil); err != nil {
		return db.fault("write", err)
	}
	err = safely(c, fn)
	if err == nil {
		err = sqlitex.Execute(c, "COMMIT", nil)
	}
	if err != nil {
		if !c.AutocommitEnabled() {
			sqlitex.Execute(c, "ROLLBACK", nil)
		}
		undo()
		return db.fault("write", err)
	}
	return nil
}

// fault turns a driver's error into ours.
func (db *DB) fault(op string, err error) error {
	var ours *record.Error
	if err == nil || errors.As(err, &ours) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultReadOnly, sqlite.ResultCantOpen:
		return &record.Error{Code: record.Unavailable, Op: "store." + op, Message: "the node cannot write to its disk now; nothing was saved",
			Hint: "free space or check the disk that holds " + filepath.Base(db.path), Err: err}
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return corrupt(op, db.path, err)
	case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultInterrupt:
		return unavailable(op, err)
	}
	return &record.Error{Code: record.Internal, Op: "store." + op, Message: "the store failed", Err: err}
}

func unavailable(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &record.Error{Code: record.Unavailable, Op: "store." + op, Message: "the store is busy; try again", Err: err}
}

func corrupt(op, path string, err error) error {
	var ours *record.Error
	if errors.As(err, &ours) {
		return err
	}
	return &record.Error{Code: record.Corrupt, Op: "store." + op, Message: "the file " + filepath.Base(path) + " cannot be used: " + err.Error(),
		Hint: "stop the node, keep the file, restore the newest backup (konbit restore), and run konbit verify", Err: err}
}

func (db *DB) loadNames() error {
	if err := each(db.writer.Prep("SELECT kind, n FROM tally"), func(s *sqlite.Stmt) error {
		db.tally.n[s.ColumnInt64(0)] = s.ColumnInt64(1)
		return nil
	}); err != nil {
		return err
	}
	return sqlitex.Execute(db.writer, "SELECT n, s FROM name", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		db.names.n[s.ColumnText(1)], db.names.s[s.ColumnInt64(0)] = s.ColumnInt64(0), s.ColumnText(1)
		return nil
	}})
}

// number returns the number of a name, 0 when it is not known.
func (db *DB) number(s string) int64 {
	db.names.RLock()
	defer db.names.RUnlock()
	return db.names.n[s]
}

func (db *DB) nameOf(n int64) string {
	db.names.RLock()
	s, ok := db.names.s[n]
	db.names.RUnlock()
	if !ok && n != 0 && db.only { // the running node has given a new name
		db.mu.Lock()
		defer db.mu.Unlock()
		db.names.Lock()
		defer db.names.Unlock()
		if db.loadNames() == nil && db.loadMarkings() == nil {
			s = db.names.s[n]
		}
	}
	return s
}

// intern returns the number of a name, giving it one in this transaction. The
// caller calls forget when the transaction fails.
func (db *DB) intern(c *sqlite.Conn, s string, fresh *[]string) (int64, error) {
	if n := db.number(s); n != 0 {
		return n, nil
	}
	st := c.Prep("INSERT INTO name(s) VALUES(?)")
	st.BindText(1, s)
	if err := run(st); err != nil {
		return 0, err
	}
	n := c.LastInsertRowID()
	db.names.Lock()
	db.names.n[s], db.names.s[n] = n, s
	db.names.Unlock()
	*fresh = append(*fresh, s)
	return n, nil
}

func (db *DB) forget(fresh []string) {
	db.names.Lock()
	defer db.names.Unlock()
	for _, s := range fresh {
		delete(db.names.s, db.names.n[s])
		delete(db.names.n, s)
	}
}

// run executes a statement that returns no rows and makes it ready again.
func run(st *sqlite.Stmt) error {
	_, err := st.Step()
	if e := st.Reset(); err == nil {
		err = e
	}
	return err
}

// Backup writes a consistent copy to a new file.
func (db *DB) Backup(ctx context.Context, path string) error {
	c, err := sqlite.OpenConn(db.path, sqlite.OpenReadOnly)
	if err != nil {
		return db.fault("backup", err)
	}
	defer c.Close()
	c.SetInterrupt(ctx.Done())
	st, err := c.Prepare("VACUUM INTO ?")
	if err != nil {
		return db.fault("backup", err)
	}
	defer st.Finalize()
	st.BindText(1, path)
	return db.fault("backup", run(st))
}

func list(ns []int64) string {
	var sb strings.Builder
	sb.WriteByte('[')
	for i, n := range ns {
		if i > 0 {
			sb.WriteByte(',')
		}
		fmt.Fprintf(&sb, "%d", n)
	}
	sb.WriteByte(']')
	return sb.String()
}
