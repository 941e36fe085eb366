package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"konbit/record"
	"konbit/store"
	"konbit/store/postgres"
	"konbit/store/postgres/pgtest"
)

// TestCopyLeavesNoTableAndNoColumnOut: whoever adds one has to say whether it is copied.
func TestCopyLeavesNoTableAndNoColumnOut(t *testing.T) {
	url := pgtest.URL(t)
	unfinished(t, url)
	made := map[string]bool{"head": true, "command": true, "search": true, "process": true, "duty": true, "schema_version": true} // anew
	got, want := map[string][]string{}, map[string][]string{}
	for _, r := range answers(t, url, `SELECT c.relname, a.attname || ' ' || format_type(a.atttypid, NULL) || ' ' || coalesce(array_position(i.indkey::int[], a.attnum::int) + 1, 0)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition`) {
		if name := r[0].(string); !made[name] {
			got[name] = append(got[name], r[1].(string))
		}
	}
	for _, table := range store.Tables {
		for i, col := range table.Columns {
			kind := map[byte]string{'i': "bigint", 'o': "boolean", 'f': "double precision", 't': "text", 'b': "bytea", 'u': "uuid"}[col.Type]
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

func unfinished(t *testing.T, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.OpenUnfinished(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// answers returns the rows of a query.
func answers(t *testing.T, url, q string) [][]any {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	rows, err := c.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPartitionsAreFilledWithoutTheirIndexAndGetTheSameOne: as those that Commit makes have.
func TestPartitionsAreFilledWithoutTheirIndexAndGetTheSameOne(t *testing.T) {
	const span = 1 << 16
	url := pgtest.URL(t)
	db := unfinished(t, url)
	indexes := func(url string) (defs []string) {
		for _, r := range answers(t, url, `SELECT replace(indexdef, tablename, 'x') FROM pg_indexes WHERE tablename LIKE 'search_p%' ORDER BY tablename, indexdef`) {
			defs = append(defs, r[0].(string))
		}
		return defs
	}
	words := func(rows ...int64) (out []store.Words) {
		for _, n := range rows {
			out = append(out, store.Words{Row: n, Text: fmt.Sprintf("d'eau back\\slash tab\u00a4x ¤k%d", n)})
		}
		return out
	}
	load := func(rows ...int64) {
		t.Helper()
		if err := db.LoadWords(t.Context(), words(rows...)); err != nil {
			t.Fatal(err)
		}
	}
	gins := func() (tables string) {
		for _, r := range answers(t, url, `SELECT tablename FROM pg_indexes WHERE tablename LIKE 'search_p%' AND indexdef LIKE '%gin%' ORDER BY 1`) {
			tables += r[0].(string) + " "
		}
		return tables
	}
	load(1, 2)
	if got := gins(); strings.Contains(got, "p000000") {
		t.Errorf("a partition that is being filled is indexed: %s", got)
	}
	load(span-1, span, span+1, 2*span)
	if got := gins(); !strings.Contains(got, "p000000 search_p000001") || strings.Contains(got, "p000002") {
		t.Errorf("while the third is filled, these are indexed: %s", got)
	}
	if last, err := db.LastWords(t.Context()); last != 2*span || err != nil {
		t.Error(last, err)
	}
	for range 2 { // it may be killed and done again
		if err := db.Seal(t.Context(), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	// As they are where nothing was copied.
	other := pgtest.URL(t)
	entry := store.Tables[slices.IndexFunc(store.Tables, func(x store.Table) bool { return x.Name == "entry" })]
	row := make([]any, len(entry.Columns))
	for i, c := range entry.Columns {
		switch c.Type {
		case 'i':
			row[i] = int64(0)
		case 'b':
			row[i] = []byte{}
		}
	}
	if err := unfinished(t, other).Load(t.Context(), &entry, [][]any{row}); err != nil {
		t.Fatal(err)
	}
	want := indexes(other)
	got := indexes(url)
	if len(want) < 2 || len(got) < 6 {
		t.Errorf("%d indexes, elsewhere %d", len(got), len(want))
	}
	for i, def := range got {
		if def != want[i%2] {
			t.Errorf("index %s, elsewhere %s", def, want[i%2])
		}
	}
	if n := len(answers(t, url, fmt.Sprintf(`SELECT 1 FROM search WHERE words @@ '''back\\slash'' & ''¤k%d'''::tsquery`, span))); n != 1 {
		t.Errorf("found in %d rows", n)
	}
}

// TestSchemaThatIsKnownInPartIsNotCopied: a newer konbit may have added columns that
// this one can do without, but would leave behind.
func TestSchemaThatIsKnownInPartIsNotCopied(t *testing.T) {
	url := pgtest.URL(t)
	unfinished(t, url)
	answers(t, url, "UPDATE schema_version SET version = version + 1")
	db := unfinished(t, url)
	m, err := db.Moment(t.Context())
	if err == nil {
		m.Close()
	}
	release, e := db.Reserve(t.Context())
	if e == nil {
		release()
	}
	for _, err := range []error{err, e} {
		if record.CodeOf(err) != record.Unavailable || !strings.Contains(err.Error(), "a newer konbit") {
			t.Errorf("it is read or filled: %v", err)
		}
	}
}
