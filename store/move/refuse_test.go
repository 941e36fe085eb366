package move_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"konbit/record"
	"konbit/store"
	"konbit/store/move"
	"konbit/store/postgres"
	"konbit/store/postgres/pgtest"
	"konbit/store/sqlite"
)

// stopped copies until a step begins, and ends there.
func stopped(t *testing.T, from, to, step string) {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	_, err := move.Run(ctx, move.Copy{From: from, To: to, Derive: derive, Progress: func(s move.Step) {
		if s.What == step {
			stop()
		}
	}}.Small())
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped at %s: %v", step, err)
	}
}

// refused expects an error that says a word.
func refused(t *testing.T, from, to, word string) {
	t.Helper()
	_, err := move.Run(ctx, move.Copy{From: from, To: to, Derive: derive})
	if err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("%v, want %q", err, word)
	}
	if err != nil && strings.Contains(err.Error(), "sesame") {
		t.Errorf("the password is told: %v", err)
	}
}

func file(t testing.TB, name string) (path, spec string) {
	path = filepath.Join(t.TempDir(), name)
	return path, "sqlite:" + path
}

func openFile(t testing.TB, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openDatabase(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestCopyThatWasStoppedIsRefusedByWhoeverOpensItAndGoesOn(t *testing.T) {
	from := "sqlite:" + filled(t, 600)
	path, there := file(t, "there.db")
	url := pgtest.URL(t)
	want := copied(t, from, pgtest.URL(t))
	for _, step := range []string{move.Copying, move.Indexing, move.Proving} {
		for _, to := range []string{there, url} {
			stopped(t, from, to, step)
			var errs []error
			if to == there {
				errs = append(errs, second(sqlite.Open(ctx, path)), second(sqlite.OpenReadOnly(ctx, path)))
			} else {
				errs = append(errs, second(postgres.Open(ctx, url)), second(postgres.OpenReadOnly(ctx, url)))
			}
			for _, err := range errs {
				if err == nil || !strings.Contains(err.Error(), "not whole") {
					t.Errorf("stopped while %s, it opens: %v", step, err)
				}
			}
		}
	}
	for _, to := range []string{there, url} {
		same(t, want, copied(t, from, to))
	}
	openFile(t, path)
	openDatabase(t, url)
}

func second[T any](_ T, err error) error { return err }

func TestWhatDiffersIsFoundByTheProof(t *testing.T) {
	source := filled(t, 600)
	from := "sqlite:" + source
	path, there := file(t, "there.db")
	change := func(url string, how func(db *postgres.DB) error) string {
		stopped(t, from, url, move.Proving)
		db, err := postgres.OpenUnfinished(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := how(db); err != nil {
			t.Fatal(err)
		}
		return url
	}
	refused(t, from, change(pgtest.URL(t), func(db *postgres.DB) error { return db.SetCursor(ctx, "react", 13) }),
		"in table follower, after 1 rows, the source has the row with name react, the target the row with name react")
	refused(t, from, change(pgtest.URL(t), func(db *postgres.DB) error {
		return db.Load(ctx, table("attachment"), [][]any{{"zz", int64(1)}})
	}), "the source has no more, the target the row with hash zz, row 1")
	refused(t, from, change(pgtest.URL(t), func(db *postgres.DB) error {
		return db.LoadWords(ctx, []store.Words{{Row: erased(t, source), Text: "left"}})
	}), "words")

	// A word in one record, on the disk.
	stopped(t, from, there, move.Proving)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte(`"category":"f`)) + len(`"category":"`)
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, from, there, "in table entry")
	if err := second(sqlite.Open(ctx, path)); err == nil {
		t.Error("what is not equal opens")
	}
}

func table(name string) *store.Table {
	for i := range store.Tables {
		if store.Tables[i].Name == name {
			return &store.Tables[i]
		}
	}
	return nil
}

// erased returns the row of an erased record.
func erased(t *testing.T, path string) (row int64) {
	t.Helper()
	db := openFile(t, path)
	defer db.Close()
	if err := db.Dump(ctx, table("record"), nil, func(r []any) error {
		if r[3] == int64(0) {
			row = r[0].(int64)
		}
		return nil
	}); err != nil || row == 0 {
		t.Fatal(row, err)
	}
	return row
}

func TestSourceThatRunsIsRefused(t *testing.T) {
	path := filled(t, 50)
	db := openFile(t, path)
	_, to := file(t, "to.db")
	refused(t, "sqlite:"+path, to, "the source: another konbit process")
	db.Close()

	url := pgtest.URL(t)
	copied(t, "sqlite:"+path, url)
	node := openDatabase(t, url)
	if err := node.Present(ctx, store.Process{ID: "1", Name: "pap-1"}); err != nil {
		t.Fatal(err)
	}
	refused(t, url, to, "on pap-1")
	if err := node.Gone(ctx, "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Turn(ctx); err != nil {
		t.Fatal(err)
	}
	refused(t, url, to, "somebody writes to this database now")
	if err := node.Pass(false); err != nil {
		t.Fatal(err)
	}
	copied(t, url, to)
}

func TestNobodyWritesToASourceWhileItIsCopied(t *testing.T) {
	url := pgtest.URL(t)
	copied(t, "sqlite:"+filled(t, 50), url)
	node := openDatabase(t, url)
	alone, err := node.Alone(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for what, write := range map[string]func(context.Context) error{
		"the ledger": func(ctx context.Context) error { return second(node.Turn(ctx)) },
		"a setting":  func(ctx context.Context) error { return node.SetValue(ctx, "x", nil) },
		"a session":  func(ctx context.Context) error { return node.SaveAccess(ctx, nil, nil, nil, []store.Known{{}}) },
	} {
		ctx, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		if err := write(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s is written: %v", what, err)
		}
		stop()
	}
	alone.Close()
	if err := node.SetValue(ctx, "x", nil); err != nil {
		t.Error(err)
	}
}

func TestTargetThatIsNotItsOwnIsRefused(t *testing.T) {
	small, large := "sqlite:"+filled(t, 20), "sqlite:"+filled(t, 200)
	_, full := file(t, "full.db")
	copied(t, small, full)
	refused(t, large, full, "the target is not empty: it holds a ledger of")
	refused(t, small, full, "the target is not empty") // done is done

	path, used := file(t, "used.db")
	node := openFile(t, path)
	if _, err := node.Secret(ctx, "cookies"); err != nil {
		t.Fatal(err)
	}
	refused(t, small, used, "the target: another konbit process")
	node.Close()
	refused(t, small, used, "its table account_secret has rows")

	url := pgtest.URL(t)
	served := openDatabase(t, url)
	if err := served.Present(ctx, store.Process{ID: "1", Name: "pap-1"}); err != nil {
		t.Fatal(err)
	}
	refused(t, small, url, "the target: processes of a node run on this database, on pap-1")

	_, begun := file(t, "begun.db")
	stopped(t, small, begun, move.Copying)
	refused(t, large, begun, "the source has changed since this copy was begun")
	other, _ := file(t, "other.db")
	openFile(t, other).Close()
	refused(t, "sqlite:"+other, begun, "another ledger")

	url = pgtest.URL(t)
	openDatabase(t, url)
	refused(t, url, url, "the target: somebody writes to this database now, or another copy")
	path, self := file(t, "self.db")
	openFile(t, path).Close()
	refused(t, self, self, "it is the source itself")
	refused(t, "sqlite:"+filepath.Join(t.TempDir(), "nothing.db"), self, "there is no konbit database")
	for _, spec := range []string{"", "sqlite:", "mysql://root:sesame@db/konbit", "postgres://root:sesame@db:port/konbit", "postgres://root:sesame@127.0.0.1:1/konbit?connect_timeout=1"} {
		refused(t, small, spec, "the target: ")
		refused(t, spec, self, "the source: ")
	}
}

// TestNodeGoesOnInTheTarget: numbers, names and markings follow on, and what was there is found.
func TestNodeGoesOnInTheTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "source.db")
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, db)
	w.records(400, 100)
	w.others()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	url := pgtest.URL(t)
	copied(t, "sqlite:"+path, url)
	goOn := func(s store.Store) {
		t.Helper()
		if seq, err := s.CommandEntry(ctx, w.command); err != nil || seq < 0 {
			t.Error(seq, err)
		}
		w.s = s
		w.records(300, 100)
		fresh := w.draw()
		fresh.Kind, fresh.State, fresh.Marking = "novelty", "unheard", record.Marking{TLP: record.Red, Persons: []string{"ht.cc/p1"}}
		w.commit(w.version(fresh, false))
		if err := s.Check(ctx, derive, func(int64, int64) {}, func(f store.Fault) bool { t.Errorf("%+v", f); return true }); err != nil {
			t.Error(err)
		}
		for _, r := range w.live {
			if got, err := s.Get(ctx, r.ID); err != nil || got.Version != r.Version {
				t.Fatal(got, err)
			}
		}
		sight := &store.Sight{}
		if err := s.Markings(ctx, 0, func(m *store.Marking) error { sight.Own = append(sight.Own, m.N); return nil }); err != nil {
			t.Fatal(err)
		}
		want, got := map[record.ID]bool{}, map[record.ID]bool{}
		for _, r := range w.live {
			if strings.Contains(" "+rowOf(r).Words+" ", " bridge ") && r.Kind == "note" {
				want[r.ID] = true
			}
		}
		if err := s.Scan(ctx, &store.Query{Kinds: []string{"note"}, Sight: map[string]*store.Sight{"note": sight}, Terms: [][]string{{"bridge"}}, Author: w.live[0].Author, Now: day}, func(b *store.Brief) bool {
			got[b.ID] = true
			return true
		}); err != nil {
			t.Fatal(err)
		}
		for _, r := range w.live {
			if r.Author == w.live[0].Author && want[r.ID] != got[r.ID] || len(got) == 0 {
				t.Errorf("found %v, want %v", got[r.ID], want[r.ID])
			}
		}
	}
	pg := openDatabase(t, url)
	goOn(pg)
	if err := pg.Close(); err != nil {
		t.Fatal(err)
	}
	path, back := file(t, "back.db")
	copied(t, url, back)
	goOn(openFile(t, path))
}

func TestBackupIsOneMomentOfANodeThatWrites(t *testing.T) {
	url := pgtest.URL(t)
	db := openDatabase(t, url)
	w := newWriter(t, db)
	w.records(500, 100)
	w.others()
	size, _, err := db.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "konbit.db")
	wrote := false
	p, err := move.Backup(ctx, db, path, derive, func(s move.Step) {
		if !wrote { // between the beginning of the backup and its end
			w.records(100, 50)
			w.must(db.SetCursor(ctx, "react", 99))
			wrote = true
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Size != size {
		t.Errorf("the backup has %d entries, when it began there were %d", p.Size, size)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("the backup is more than one file: %v %v", files, err)
	}
	if err := second(move.Backup(ctx, db, path, derive, nil)); err == nil {
		t.Error("a backup was overwritten")
	}
	file := openFile(t, path)
	if n, err := file.Cursor(ctx, "react"); n != 12 || err != nil {
		t.Errorf("the backup knows of later: %d %v", n, err)
	}
	if err := file.Check(ctx, derive, func(int64, int64) {}, func(f store.Fault) bool { t.Errorf("%+v", f); return true }); err != nil {
		t.Error(err)
	}
	bad := errors.New("no such kind")
	path = filepath.Join(folder, "bad.db")
	if err := second(move.Backup(ctx, db, path, func(*record.Record) (*store.Row, error) { return nil, bad }, nil)); !errors.Is(err, bad) {
		t.Error(err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) > 4 {
		t.Errorf("a backup that failed leaves %v %v", files, err)
	}
}
