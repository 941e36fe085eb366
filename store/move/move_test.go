package move_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"konbit/store/move"
	"konbit/store/postgres/pgtest"
	"konbit/store/sqlite"
)

var ctx = context.Background()

// filled makes a file with records and everything else.
func filled(t testing.TB, records int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "source.db")
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, db)
	w.records(records, max(200, records/50))
	w.others()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func copied(t testing.TB, from, to string) *move.Proof {
	t.Helper()
	p, err := move.Run(ctx, move.Copy{From: from, To: to, Derive: derive})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStoreComesBackThroughTheOtherEngineAsItWas(t *testing.T) {
	first := "sqlite:" + filled(t, 3000)
	there := pgtest.URL(t)
	back := "sqlite:" + filepath.Join(t.TempDir(), "back.db")
	again, copy := pgtest.URL(t, "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'fr'"), "sqlite:"+filepath.Join(t.TempDir(), "same.db")
	want := copied(t, first, there)
	for _, s := range want.Tables {
		if s.Rows == 0 {
			t.Errorf("table %s is empty: this shows nothing of it", s.Table)
		}
	}
	if want.Origin != ledgerName || want.Records < 2900 {
		t.Errorf("%+v", want)
	}
	for _, way := range [][2]string{{there, back}, {there, again}, {back, copy}} {
		same(t, want, copied(t, way[0], way[1]))
	}
}

func TestStoreWithoutAnEntryIsCopiedToo(t *testing.T) {
	path, from := file(t, "source.db")
	db := openFile(t, path)
	key, err := db.Secret(ctx, "cookies")
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	there := pgtest.URL(t)
	want := copied(t, from, there)
	path, back := file(t, "back.db")
	same(t, want, copied(t, there, back))
	if got, err := openFile(t, path).Secret(ctx, "cookies"); err != nil || string(got) != string(key) {
		t.Error("a secret was made anew", err)
	}
	w := newWriter(t, openDatabase(t, there))
	w.records(10, 5) // its ledger begins
}

// same fails when two copies have not proved the same.
func same(t testing.TB, want, got *move.Proof) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was copied differs (-want +got):\n%s", diff)
	}
}
