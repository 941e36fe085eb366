package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"konbit/store"
)

// TestCopyLeavesNoTableAndNoColumnOut: whoever adds one has to say whether it is copied.
func TestCopyLeavesNoTableAndNoColumnOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "konbit.db")
	open(t, path)
	c, err := zombie.OpenConn(path, zombie.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := map[string][]string{}
	if err := sqlitex.ExecuteTransient(c, `SELECT m.name, p.name, p.type, p.pk FROM sqlite_schema m, pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY m.name, p.cid`, &sqlitex.ExecOptions{ResultFunc: func(st *zombie.Stmt) error {
		got[st.ColumnText(0)] = append(got[st.ColumnText(0)], fmt.Sprintf("%s %s %d", st.ColumnText(1), st.ColumnText(2), st.ColumnInt(3)))
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	for name := range got {
		if name == "head" || strings.HasPrefix(name, "search") { // made anew
			delete(got, name)
		}
	}
	want := map[string][]string{}
	for _, table := range store.Tables {
		for i, col := range table.Columns {
			kind := map[byte]string{'i': "INTEGER", 'o': "INTEGER", 'f': "REAL", 't': "TEXT", 'b': "BLOB", 'u': "BLOB"}[col.Type]
			pk := 0
			if i < table.Key {
				pk = i + 1
			}
			want[table.Name] = append(want[table.Name], fmt.Sprintf("%s %s %d", col.Name, kind, pk))
		}
	}
	for _, m := range []map[string][]string{want, got} { // by name
		for _, cols := range m {
			slices.Sort(cols)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("store.Tables and the schema differ (-copied +schema):\n%s", diff)
	}
}
