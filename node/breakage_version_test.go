package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/node"
	"konbit/record"
)

// TestOlderAndNewerKonbitWorkOnOneDatabase does to the database what a newer konbit
// does when it starts on it, while this one runs.
func TestOlderAndNewerKonbitWorkOnOneDatabase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.people()
	a := h.start()
	oneOnDuty(t, 5*time.Second, a)
	w, c := h.watch(a), h.write(4, a)
	c.more(10, 20*time.Second)

	newer, err := pgx.Connect(t.Context(), h.store)
	if err != nil {
		t.Fatal(err)
	}
	defer newer.Close(t.Context())
	do := func(statements ...string) {
		t.Helper()
		for _, q := range statements {
			if _, err := newer.Exec(t.Context(), q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
	}
	var tables []string
	rows, err := newer.Query(t.Context(), "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'schema_version'")
	if err == nil {
		tables, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil || len(tables) < 20 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		do("ALTER TABLE "+table+" ADD COLUMN of_newer text", "ALTER TABLE "+table+" ADD COLUMN also_of_newer bigint NOT NULL DEFAULT 0")
	}
	do("CREATE TABLE newer(n int)", "UPDATE schema_version SET version = version + 1")
	c.more(10, 20*time.Second)

	b := h.start() // it is as old as the first
	if got := b.get(h.token, "/api/v1/records/incident"); got.code != 200 {
		t.Errorf("a list: %+v", got)
	}
	b.told(h.token, "By the older one")
	do("UPDATE schema_version SET compatible = version")
	n, err := node.Open(t.Context(), h.config())
	if err == nil {
		n.Close()
		t.Fatal("an older one starts on a database that it cannot know")
	}
	if record.CodeOf(err) != record.Unavailable || !strings.Contains(err.Error(), "the database was changed by a newer konbit") || !strings.Contains(hintOf(err), "install the newer konbit") {
		t.Errorf("%v; %s", err, hintOf(err))
	}
	c.more(10, 20*time.Second) // those that run are told by who upgrades
	c.stop()
	c.onlyTold()
	w.saw(c, 5*time.Second, "By the older one")
	do("UPDATE schema_version SET compatible = version - 1") // so that this one may look
	c.kept(a)
}
