// Package move copies a node's store into a new one, of the same engine or the
// other, and proves that both hold the same. It must not change the source, and
// nothing may open a target before the proof is done.
package move

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres"
	"konbit/store/sqlite"
)

// Copy says what is copied where to.
type Copy struct {
	From, To string // sqlite:PATH or postgres://...
	// Derive computes what a record is found by, for the index of the target. It is
	// called by several goroutines at once.
	Derive func(*record.Record) (*store.Row, error)
	// Progress is told how far a step is, by one goroutine at a time; nil: nobody is.
	Progress func(Step)

	chunk int // rows in one transaction; 0: chunkRows
}

// Step is how far one of the steps of a copy is.
type Step struct {
	What        string // Copying, Indexing or Proving
	Done, Total int64  // rows
}

// String says it in words: "copying, 1200 of 3400 rows".
func (s Step) String() string { return fmt.Sprintf("%s, %d of %d rows", s.What, s.Done, s.Total) }

// The steps, in order.
const (
	Copying  = "copying"
	Indexing = "indexing"
	Proving  = "proving"
)

// Proof is what was found equal in source and target.
type Proof struct {
	Origin  string      // name of the ledger; "" for one without entries
	Size    int64       // entries in the ledger
	Root    ledger.Hash // of the target's own leaves; the newest checkpoint says the same
	Tables  []Sum       // in the order of store.Tables
	Records int64       // of the target that equal their newest signed version
}

// Sum is what a table holds.
type Sum struct {
	Table string
	Rows  int64
	Hash  [sha256.Size]byte // over all rows in the order of their keys
}

// Hash sums up the tables.
func (p *Proof) Hash() [sha256.Size]byte {
	h := sha256.New()
	for _, s := range p.Tables {
		h.Write([]byte(s.Table))
		h.Write(s.Hash[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Run copies a store, or goes on with a copy that was stopped or killed, and proves
// the result. It refuses a source that runs, and a target that is neither empty nor
// the beginning of this copy. Until it returns without an error the target does not open.
func Run(ctx context.Context, c Copy) (*Proof, error) {
	src, closeSource, err := source(ctx, c.From)
	if err != nil {
		return nil, about("source", err)
	}
	defer closeSource()
	dst, closeTarget, err := target(ctx, c.From, c.To)
	if err != nil {
		return nil, about("target", err)
	}
	p, err := run(ctx, src, dst, &c)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // what it cut off is no fault
	}
	if err = errors.Join(err, closeTarget()); err != nil {
		return nil, err
	}
	return p, nil
}

// Backup writes what a database holds at this moment to a new SQLite file, while
// processes work on it, and proves the result.
func Backup(ctx context.Context, db *postgres.DB, path string, derive func(*record.Record) (*store.Row, error), progress func(Step)) (_ *Proof, err error) {
	if _, err := os.Stat(path); err == nil {
		return nil, record.Errorf(record.Invalid, "store.backup", "the file is there already")
	}
	defer func() {
		if err != nil {
			for _, end := range []string{"", "-wal", "-shm"} {
				os.Remove(path + end)
			}
		}
	}()
	src, err := db.Moment(ctx)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dst, err := sqlite.OpenUnfinished(ctx, path)
	if err != nil {
		return nil, err
	}
	defer os.Remove(path + ".lock")
	p, err := run(ctx, src, dst, &Copy{Derive: derive, Progress: progress})
	return p, errors.Join(err, dst.Close())
}

func run(ctx context.Context, src store.Rows, dst store.Filling, c *Copy) (*Proof, error) {
	f := &filling{src: src, dst: dst, derive: c.Derive, progress: c.Progress, chunk: c.chunk, sums: map[string]Sum{}}
	if f.chunk == 0 {
		f.chunk = chunkRows
	}
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	if err := f.tables(ctx); err != nil {
		return nil, err
	}
	if err := f.words(ctx); err != nil {
		return nil, err
	}
	if err := dst.Seal(ctx, f.size, f.note); err != nil {
		return nil, err
	}
	p, err := f.prove(ctx)
	if err != nil {
		return nil, err
	}
	return p, dst.Whole(ctx)
}

// about says of which store an error tells.
func about(which string, err error) error {
	var e *record.Error
	if !errors.As(err, &e) {
		return err
	}
	said := *e
	said.Message = "the " + which + ": " + e.Message
	return &said
}

// filling is a copy under way.
type filling struct {
	src      store.Rows
	dst      store.Filling
	derive   func(*record.Record) (*store.Row, error)
	progress func(Step)
	chunk    int

	size int64 // of the source's ledger
	note []byte
	sums map[string]Sum // of the source's tables that this run read from end to end

	mu   sync.Mutex
	step Step
}

// mark is what an unfinished target says about its source.
type mark struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Note   string `json:"note"` // SHA-256 of the checkpoint
}

// begin marks a new target, or finds that this copy was begun there.
func (f *filling) begin(ctx context.Context) (err error) {
	if f.size, f.note, err = f.src.Head(ctx); err != nil {
		return err
	}
	sum := sha256.Sum256(f.note)
	now := mark{origin(f.note), f.size, hex.EncodeToString(sum[:])}
	b, err := f.dst.Value(ctx, store.Unfinished)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		if err := f.empty(ctx); err != nil {
			return err
		}
		if b, err = json.Marshal(now); err != nil {
			return err
		}
		return f.dst.SetValue(ctx, store.Unfinished, b)
	}
	var was mark
	if err := json.Unmarshal(b, &was); err != nil {
		return &record.Error{Code: record.Corrupt, Op: "store.copy", Message: "what the target says about a copy that was begun cannot be read", Hint: emptied, Err: err}
	}
	if was == now {
		return nil
	}
	e := record.Errorf(record.Conflict, "store.copy", "the target holds the beginning of a copy of another ledger, %q", was.Origin)
	if was.Origin == now.Origin {
		e = record.Errorf(record.Conflict, "store.copy", "the source has changed since this copy was begun: its ledger had %d entries, now it has %d", was.Size, now.Size)
	}
	e.Hint = emptied
	return e
}

const emptied = "empty the target (delete the file, or drop the database and create it again), and copy anew"

// empty refuses a target that holds anything.
func (f *filling) empty(ctx context.Context) error {
	size, _, err := f.dst.Head(ctx)
	if err != nil {
		return err
	}
	if size > 0 {
		return notEmpty("it holds a ledger of %d entries", size)
	}
	for i := range store.Tables {
		key, err := f.dst.Last(ctx, &store.Tables[i])
		if err != nil {
			return err
		}
		if key != nil {
			return notEmpty("its table %s has rows", store.Tables[i].Name)
		}
	}
	return nil
}

func notEmpty(format string, args ...any) error {
	e := record.Errorf(record.Conflict, "store.copy", "the target is not empty: "+format, args...)
	e.Hint = "name a new file, or create a new database; a copy that ended without an error is whole"
	return e
}

// origin is the first line of a checkpoint: the name of its ledger.
func origin(note []byte) string {
	line, _, _ := bytes.Cut(note, []byte("\n"))
	return string(line)
}

// source opens a store that nobody changes until it is closed.
func source(ctx context.Context, spec string) (_ store.Rows, done func(), err error) {
	path, url, err := read(spec)
	if err != nil {
		return nil, nil, err
	}
	if path != "" {
		db, err := sqlite.OpenAlone(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		return db, func() { db.Close() }, nil
	}
	db, err := postgres.OpenReadOnly(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	m, err := func() (*postgres.Moment, error) {
		if err := unattended(ctx, db); err != nil {
			return nil, err
		}
		return db.Alone(ctx)
	}()
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return m, func() { m.Close(); db.Close() }, nil
}

// target opens a store that is to be filled. Nobody else fills it until it is closed.
func target(ctx context.Context, from, spec string) (_ store.Filling, done func() error, err error) {
	path, url, err := read(spec)
	if err != nil {
		return nil, nil, err
	}
	if path != "" {
		if was, _, err := read(from); err == nil && same(was, path) {
			return nil, nil, record.Errorf(record.Invalid, "store.copy", "it is the source itself")
		}
		db, err := sqlite.OpenUnfinished(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	}
	db, err := postgres.OpenUnfinished(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	if err := unattended(ctx, db); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	release, err := db.Reserve(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, func() error { release(); return db.Close() }, nil
}

// unattended refuses a database on which processes of a node run.
func unattended(ctx context.Context, db *postgres.DB) error {
	all, err := db.Processes(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	e := record.Errorf(record.Unavailable, "store.copy", "processes of a node run on this database, on %s", strings.Join(names, ", "))
	e.Hint = "stop them; one that was killed counts for another 15 s"
	return e
}

// read reads what names a store: a file, or a database's URL.
func read(spec string) (path, url string, err error) {
	if path, ok := strings.CutPrefix(spec, "sqlite:"); ok && path != "" {
		return path, "", nil
	}
	if strings.HasPrefix(spec, "postgres://") || strings.HasPrefix(spec, "postgresql://") {
		return "", spec, nil
	}
	e := record.Errorf(record.Invalid, "store.copy", "this names no store") // what it says may hold a password
	e.Hint = "sqlite:PATH or postgres://user@host/database"
	return "", "", e
}

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	x, err := os.Stat(a)
	y, e := os.Stat(b)
	return err == nil && e == nil && os.SameFile(x, y) || filepath.Clean(a) == filepath.Clean(b)
}
