package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"konbit/record"
	"konbit/store"
	"konbit/store/sqlite"
)

// version1 makes a file as version 1 of the schema left it: an agency in a
// community, and two records in the first block and one in the second.
func version1(t *testing.T, more string) (path string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "version1.sql"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "konbit.db")
	c, err := zombie.OpenConn(path, zombie.OpenReadWrite|zombie.OpenCreate|zombie.OpenWAL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sqlitex.ExecuteScript(c, string(script)+`
		INSERT INTO account_agency(id, name, country, contact, local, public_key, created) VALUES('ht.cc', 'Centre', 'HT', '', 1, NULL, 1000000);
		INSERT INTO account_community(agency, community) VALUES('ht.cc', '@hispaniola');
		INSERT INTO name(n, s) VALUES(2, 'note');
		INSERT INTO record(row, id, kind, marking, state, version, entry, observed, recorded, open, author, title, facet)
			SELECT v.row, v.id, 2, 1, 2, 1, v.row, 1, v.recorded, 0, 2, '', '' FROM (SELECT 5 AS row, X'01' AS id, 7000000 AS recorded
				UNION ALL SELECT 6, X'02', 5000000 UNION ALL SELECT 1024, X'03', 9000000) v;
		INSERT INTO zone(block, lo, hi, newest) VALUES(0, 1, 1, 7000000), (1, 1, 1, 9000000), (2, 1, 1, 9000000);
		`+more, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// schema is what a file consists of: every column of every table, and every index.
func schema(t *testing.T, path string) map[string]string {
	t.Helper()
	c, err := zombie.OpenConn(path, zombie.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out := map[string]string{}
	if err := sqlitex.Execute(c, `SELECT m.name || '.' || c.name, c.type || ' ' || c."notnull" || ' ' || coalesce(c.dflt_value, '') || ' ' || c.pk
		FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c WHERE m.type = 'table'
		UNION ALL SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type = 'index'
		UNION ALL SELECT 'version', user_version FROM pragma_user_version`, &sqlitex.ExecOptions{ResultFunc: func(st *zombie.Stmt) error {
		out[st.ColumnText(0)] = st.ColumnText(1)
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFileOfVersion1IsUpgraded(t *testing.T) {
	path := version1(t, "")
	if _, err := sqlite.OpenReadOnly(ctx, path); record.CodeOf(err) != record.Unavailable || !strings.Contains(err.Error(), "older konbit") {
		t.Fatalf("for reading only: %v", err)
	}
	db := open(t, path)
	agencies, _, err := db.People(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Agency{{ID: "ht.cc", Name: "Centre", Country: "HT", Communities: []string{"@hispaniola"}, Local: true, Created: time.Unix(1, 0).UTC()}}
	if diff := cmp.Diff(want, agencies); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for t0, n := range map[int64]int{5: 0, 6: 1, 8: 2, 10: 3} {
		if ids, err := db.Due(ctx, "note", time.Unix(t0, 0), 10); err != nil || len(ids) != n {
			t.Errorf("due at %d: %v %v", t0, ids, err)
		}
	}
	share := []store.Share{{Node: "konbit.node/0000000a", Record: record.NewID(time.Now()), Lane: store.Normal}}
	if err := db.Queue(ctx, "", 0, share); err != nil || share[0].N != 1 {
		t.Error(share, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "konbit.db")
	open(t, fresh).Close()
	if diff := cmp.Diff(schema(t, fresh), schema(t, path)); diff != "" {
		t.Errorf("an upgraded file differs from a new one (-new +upgraded):\n%s", diff)
	}
	open(t, path).Close()
	again, err := sqlite.OpenReadOnly(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestUpgradeThatFailsLeavesTheFileAsItWas(t *testing.T) {
	path := version1(t, "ALTER TABLE zone ADD COLUMN oldest TEXT;") // a damaged file: the last step meets it
	before := schema(t, path)
	if db, err := sqlite.Open(ctx, path); err == nil {
		db.Close()
		t.Fatal("it opened")
	}
	if diff := cmp.Diff(before, schema(t, path)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
