package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// seenFile holds the newest checkpoint of the ledger that was seen from this data
// folder, as it was signed. The database may be put back to an earlier day, or be
// replaced by a standby that did not have everything, and does not know of it; the
// folder does. All processes on one folder share the file.
//
// Its name comes before that of the database: who copies the folder of a running node
// file by file copies it first, so that the copy does not seem older than it is.
const seenFile = "checkpoint.seen"

// Times of the memory.
const (
	rememberEvery = time.Second // at most
	settleEvery   = time.Minute // and on disk, whatever happens to the machine
)

// memory is what a data folder remembers of its ledger.
type memory struct {
	path string
	by   note.Verifier

	mu      sync.Mutex
	settled time.Time // when it last went to the disk
}

func openMemory(data, vkey string) (*memory, error) {
	by, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	m := &memory{path: filepath.Join(data, seenFile), by: by}
	left, err := filepath.Glob(m.path + "-*") // of a process that was killed while it wrote
	if err != nil {
		return nil, err
	}
	for _, f := range left {
		if st, err := os.Stat(f); err == nil && time.Since(st.ModTime()) > settleEvery {
			os.Remove(f)
		}
	}
	return m, nil
}

// read returns the checkpoint that is remembered, Size 0 for none. A file that cannot
// be read, as after a power cut, is as good as none.
func (m *memory) read() (cp ledger.Checkpoint, text string, err error) {
	b, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return cp, "", nil
	}
	if err != nil {
		return cp, "", err
	}
	if cp, err = ledger.ParseCheckpoint(b, note.VerifierList(m.by)); err != nil {
		return ledger.Checkpoint{}, "", nil
	}
	return cp, string(b), nil
}

// write replaces what is remembered.
func (m *memory) write(text []byte, settle bool) error {
	f, err := os.CreateTemp(filepath.Dir(m.path), seenFile+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil && settle {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), m.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if settle {
		m.settled = time.Now()
	}
	return nil
}

// keep remembers a newer checkpoint of a store, once what was remembered before,
// perhaps by another process on the folder, was held against it. last is for the end
// of this process.
func (m *memory) keep(ctx context.Context, s store.Store, newest []byte, last bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, text, err := m.read()
	if err != nil || text == string(newest) {
		return err
	}
	if l, err := lossOf(ctx, s, was); err != nil {
		return err
	} else if l != nil {
		return l.err()
	}
	if len(newest) == 0 {
		return nil
	}
	cp, err := ledger.ParseCheckpoint(newest, note.VerifierList(m.by))
	if err != nil || cp.Size <= was.Size {
		return err
	}
	return m.write(newest, last || time.Since(m.settled) > settleEvery)
}

// accept remembers a checkpoint in the place of whatever was remembered.
func (m *memory) accept(newest []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.write(newest, true)
}

// Loss says what a ledger lacks that was seen before.
type Loss struct {
	Had    int64     `json:"had"`              // entries that were seen
	HadAt  time.Time `json:"seen"`             // when the newest of them was written
	Has    int64     `json:"has"`              // entries that are there now
	HasAt  time.Time `json:"now"`              // when the newest of them was written; zero: there is none
	Forked bool      `json:"forked,omitempty"` // what is there does not continue what was seen
}

// Missing returns how many entries are gone, 0 when it is not known: of a ledger that
// went on in another way.
func (l *Loss) Missing() int64 {
	if l.Forked {
		return 0
	}
	return l.Had - l.Has
}

// String says it in a sentence.
func (l *Loss) String() string {
	had := fmt.Sprintf("its ledger had %d entries here, the newest of %s", l.Had, l.HadAt.Format(time.RFC3339))
	now := fmt.Sprintf("has %d now, the newest of %s", l.Has, l.HasAt.Format(time.RFC3339))
	switch {
	case l.Forked:
		return had + ", and " + now + ", but these do not continue those"
	case l.Has == 0:
		return had + ", and is empty now"
	}
	return fmt.Sprintf("%s, and %s: missing are %d", had, now, l.Missing())
}

func (l *Loss) err() error {
	what := "the database is older than it was"
	if l.Forked {
		what = "the database is not the one that it was"
	}
	e := record.Errorf(record.Corrupt, "open", "%s: %s", what, l)
	e.Hint = "put the right database back; or, if it was restored from a backup, or a standby took over that did not have everything: stop every process of the node and run konbit restored --data FOLDER --store STORE"
	return e
}

// lossOf holds a store against a checkpoint of its ledger; nil: nothing is missing.
func lossOf(ctx context.Context, s store.Store, seen ledger.Checkpoint) (*Loss, error) {
	if seen.Size == 0 {
		return nil, nil
	}
	size, _, err := s.Head(ctx)
	if err != nil {
		return nil, err
	}
	l := &Loss{Had: seen.Size, HadAt: seen.At, Has: size}
	if size >= seen.Size {
		root, err := ledger.RootAt(ctx, s, seen.Size)
		if err != nil || root == seen.Root {
			return nil, err
		}
		l.Forked = true
	}
	return l, s.Entries(ctx, max(size-1, 0), size, func(e *store.Logged) bool { l.HasAt = e.At; return true })
}

// checkSeen refuses a store that is older than, or another than, what was seen from
// this folder before; with accept it returns what is lost.
func (n *Node) checkSeen(ctx context.Context, accept bool) (*Loss, error) {
	seen, _, err := n.memory.read()
	if err != nil {
		return nil, err
	}
	l, err := lossOf(ctx, n.Store, seen)
	if err == nil && l != nil && !accept {
		err = l.err()
	}
	return l, err
}

// remember keeps the newest checkpoint until ctx ends. It fails when another process
// on this folder has seen more than the store has.
func (n *Node) remember(ctx context.Context) error {
	_, shared := n.Store.(store.Shared)
	look := time.NewTicker(rememberEvery)
	defer look.Stop()
	failed := false
	for {
		_, grown := n.Intake.Grown()
		err := n.memory.keep(ctx, n.Store, n.Intake.Checkpoint(), false)
		switch {
		case shared && record.CodeOf(err) == record.Corrupt:
			return err
		case err != nil && ctx.Err() == nil && !failed:
			n.log.Warn("what the ledger's end is cannot be kept in the data folder", "error", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		if !shared { // nobody else writes
			select {
			case <-ctx.Done():
				return nil
			case <-grown:
			}
		}
	}
}

// rememberLast keeps where the ledger ends when the node is closed.
func (n *Node) rememberLast() {
	if n.loss != nil { // Restored has, or it failed
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := n.memory.keep(ctx, n.Store, n.Intake.Checkpoint(), true); err != nil {
		n.log.Warn("what the ledger's end is cannot be kept in the data folder", "error", err)
	}
}
