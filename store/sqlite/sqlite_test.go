package sqlite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/sqlite"
	"konbit/store/storetest"
)

var ctx = context.Background()

func open(t *testing.T, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "konbit.db"))
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}

func TestStoreByWalkingTheIndex(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "konbit.db"))
		if err != nil {
			t.Fatal(err)
		}
		db.AlwaysWalk()
		return db
	})
}

// seq numbers the entries of one file.
type seq struct{ n int64 }

func (s *seq) create(text string) (*store.Item, *record.Record) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	r := &record.Record{Header: record.Header{ID: record.NewID(now), Kind: "note", Owner: "ht.cc", Version: 1, State: "open", Marking: record.Marking{TLP: record.Amber},
		Observed: now, Recorded: now, Author: "ht.cc/a"}, Body: json.RawMessage(fmt.Sprintf("{\"text\":%q}", text))}
	return s.version(r, text), r
}

func (s *seq) version(r *record.Record, text string) *store.Item {
	raw, _ := json.Marshal(r)
	it := &store.Item{Entry: ledger.Entry{Seq: s.n, At: time.Now().UTC().Truncate(time.Microsecond), Type: "change", Agency: r.Owner, Actor: r.Author, Record: r.ID, Version: r.Version, Content: raw, Salt: make([]byte, ledger.SaltSize)},
		Row: &store.Row{Record: r, Title: text, Words: strings.Join(store.Fold(text), " ")}}
	s.n++
	return it
}

func (s *seq) erase(r *record.Record) *store.Item {
	it := &store.Item{Entry: ledger.Entry{Seq: s.n, At: time.Now().UTC().Truncate(time.Microsecond), Type: "erase", Agency: r.Owner, Actor: r.Author, Record: r.ID, Content: []byte("{}"), Salt: make([]byte, ledger.SaltSize)}, Erase: r.ID}
	s.n++
	return it
}

func commit(t *testing.T, db store.Store, items ...*store.Item) {
	t.Helper()
	if err := db.Commit(ctx, &store.Batch{Items: items, Checkpoint: []byte("x")}); err != nil {
		t.Fatal(err)
	}
}

// holds reports which of the files of a database hold the words.
func holds(t *testing.T, path, words string) (in []string) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-journal"} {
		b, err := os.ReadFile(path + end)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(words)) {
			in = append(in, filepath.Base(path)+end)
		}
	}
	return in
}

func TestErasedBytesAreGoneFromFileAndLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "konbit.db")
	db := open(t, path)
	var s seq
	filler := func() {
		t.Helper()
		for range 30 {
			var items []*store.Item
			for i := range 40 {
				it, _ := s.create(fmt.Sprintf("ordinary words about rain %d %d", s.n, i))
				items = append(items, it)
			}
			commit(t, db, items...)
		}
	}
	filler()
	it, r := s.create("xylophonequetzal " + strings.Repeat("xylophonequetzal and a long text ", 300))
	commit(t, db, it)
	filler()
	two := r.Clone()
	two.Version, two.Body = 2, json.RawMessage(`{"text":"marimbaquetzal"}`)
	commit(t, db, s.version(two, "marimbaquetzal"))
	filler()
	if len(holds(t, path, "xylophonequetzal")) == 0 || len(holds(t, path, "marimbaquetzal")) == 0 {
		t.Fatal("the test's words are not in the file in the first place")
	}
	commit(t, db, s.erase(two))
	clean(t, db)
	for _, w := range []string{"xylophone", "ylophonequetzal", "marimba", "arimbaquetzal"} {
		if in := holds(t, path, w); in != nil {
			t.Errorf("%q is still in %v", w, in)
		}
	}
	// The rest is still found, and the file is sound.
	n := 0
	db.Scan(ctx, &store.Query{Kinds: []string{"note"}, Sight: map[string]*store.Sight{"note": {Own: []int64{1}}}, Terms: [][]string{{"rain"}}, Limit: 5000}, func(*store.Brief) bool { n++; return true })
	if n != 3600 {
		t.Errorf("%d records are found, want 3600", n)
	}
}

func clean(t *testing.T, db *sqlite.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := db.Clean(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestErasureThatWasInterruptedIsFinishedAtTheNextStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "konbit.db")
	db := open(t, path)
	var s seq
	for range 20 {
		it, _ := s.create("ordinary words")
		commit(t, db, it)
	}
	it, r := s.create("xylophonequetzal")
	commit(t, db, it)
	commit(t, db, s.erase(r))
	db.Close() // perhaps before the cleaner is done
	db = open(t, path)
	clean(t, db)
	if in := holds(t, path, "xylophone"); in != nil {
		t.Errorf("still in %v", in)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "konbit.db")
	db := open(t, path)
	_, err := sqlite.Open(ctx, path)
	var e *record.Error
	if !errors.As(err, &e) || e.Code != record.Unavailable || e.Hint == "" {
		t.Fatal(err)
	}
	db.Close()
	open(t, path)
}

func raw(t *testing.T, path, sql string) {
	t.Helper()
	c, err := zombie.OpenConn(path, zombie.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sqlitex.ExecuteScript(c, sql, nil); err != nil {
		t.Fatal(err)
	}
}

func TestFileOfANewerKonbitIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "konbit.db")
	open(t, path).Close()
	raw(t, path, "PRAGMA user_version = 99")
	before, _ := os.ReadFile(path)
	_, err := sqlite.Open(ctx, path)
	if err == nil || !strings.Contains(err.Error(), "newer konbit (schema 99") {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestDamagedFileIsNamed(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "konbit.db")
	db := open(t, path)
	var s seq
	for range 40 {
		var items []*store.Item
		for range 50 {
			it, _ := s.create(strings.Repeat("words and more ", 20))
			items = append(items, it)
		}
		commit(t, db, items...)
	}
	db.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	named := func(what string, err error) {
		t.Helper()
		var e *record.Error
		if !errors.As(err, &e) || e.Code != record.Corrupt || !strings.Contains(e.Message, "konbit.db") || e.Hint == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	os.WriteFile(path, []byte("this is no database, it is a text that is longer than a header of one hundred bytes, by some margin, as one can see"), 0o600)
	_, err = sqlite.Open(ctx, path)
	named("another sort of file", err)

	bad := bytes.Clone(good)
	for i := len(bad) / 4; i < len(bad)*3/4; i += 97 {
		bad[i] ^= 0x5a
	}
	os.WriteFile(path, bad, 0o600)
	db, err = sqlite.Open(ctx, path)
	if err != nil {
		named("open", err)
		return
	}
	defer db.Close()
	err = db.Entries(ctx, 0, -1, func(*store.Logged) bool { return true })
	faults := 0
	cerr := db.Check(ctx, func(r *record.Record) (*store.Row, error) { return &store.Row{Record: r}, nil }, func(int64, int64) {}, func(store.Fault) bool { faults++; return false })
	if err == nil && cerr == nil && faults == 0 {
		t.Fatal("the damage goes unnoticed")
	}
	for what, err := range map[string]error{"entries": err, "check": cerr} {
		if err != nil {
			named(what, err)
		}
	}
}

func TestFullDiskSavesNothingHalfAndHealsWhenThereIsSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "konbit.db")
	db := open(t, path)
	var s seq
	it, r := s.create("first")
	commit(t, db, it)
	if err := db.Limit(ctx, 80); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		var items []*store.Item
		at := s.n
		for range 20 {
			it, _ := s.create(strings.Repeat("large ", 400))
			items = append(items, it)
		}
		if err = db.Commit(ctx, &store.Batch{Items: items, Checkpoint: []byte("x")}); err != nil {
			s.n = at
		}
		if s.n > 5000 {
			t.Fatal("the disk never fills")
		}
	}
	var e *record.Error
	if !errors.As(err, &e) || e.Code != record.Unavailable || e.Hint == "" {
		t.Fatal(err)
	}
	size, _, err := db.Head(ctx)
	if err != nil || size != s.n {
		t.Errorf("ledger has %d entries, want %d, %v", size, s.n, err)
	}
	if _, err := db.Get(ctx, r.ID); err != nil {
		t.Error("reading has stopped: ", err)
	}
	if rows, _ := db.Rows(ctx, "note"); rows != s.n {
		t.Errorf("%d rows", rows)
	}
	if err := db.Limit(ctx, 1<<30); err != nil {
		t.Fatal(err)
	}
	it, _ = s.create("after")
	commit(t, db, it)
	derive := func(r *record.Record) (*store.Row, error) {
		var b struct{ Text string }
		json.Unmarshal(r.Body, &b)
		return &store.Row{Record: r, Title: b.Text}, nil
	}
	if err := db.Check(ctx, derive, func(int64, int64) {}, func(f store.Fault) bool { t.Errorf("%+v", f); return false }); err != nil {
		t.Error(err)
	}
}

func TestReadEndsWithItsCaller(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "konbit.db"))
	var s seq
	for range 4 {
		it, _ := s.create("x")
		commit(t, db, it)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := db.Find(gone, &store.Query{Kinds: []string{"note"}, Sight: map[string]*store.Sight{"note": {Own: []int64{1}}}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for range 50 { // no connection is lost on the way
		if _, _, err := db.Head(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBackupIsWhole(t *testing.T) {
	folder := t.TempDir()
	db := open(t, filepath.Join(folder, "konbit.db"))
	var s seq
	it, r := s.create("saved")
	commit(t, db, it)
	copied := filepath.Join(folder, "copy.db")
	if err := db.Backup(ctx, copied); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(ctx, copied); err == nil {
		t.Error("a backup was overwritten")
	}
	other := open(t, copied)
	if got, err := other.Get(ctx, r.ID); err != nil || got.Record.ID != r.ID {
		t.Error(err)
	}
}
