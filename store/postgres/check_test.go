package postgres_test

import (
	"strings"
	"testing"

	"konbit/record"
	"konbit/store"
	"konbit/store/postgres/pgtest"
)

// Check finds whatever somebody does to the tables behind the ledger's back.
func TestCheckFindsWhatWasDoneToTheTables(t *testing.T) {
	for what, c := range map[string]struct{ do, want string }{
		"title":          {`UPDATE record SET title = 'other' WHERE "row" = 2`, "title"},
		"facet":          {`UPDATE record SET facet = '' WHERE "row" = 2`, "facets"},
		"state":          {`UPDATE record SET state = 1 WHERE "row" = 2`, "state"},
		"author":         {`UPDATE record SET author = 1 WHERE "row" = 2`, "author"},
		"observed":       {`UPDATE record SET observed = observed + 1 WHERE "row" = 2`, "observed"},
		"recorded":       {`UPDATE record SET recorded = recorded + 1 WHERE "row" = 2`, "recorded"},
		"open":           {`UPDATE record SET open = NOT open WHERE "row" = 2`, "open flag"},
		"expiry":         {`UPDATE record SET expires = 7 WHERE "row" = 2`, "expiry"},
		"place":          {`UPDATE record SET w = 1, s = 1, e = 1, n = 1, uncertainty = 0 WHERE "row" = 2`, "place"},
		"marking":        {`UPDATE record SET marking = 2 WHERE "row" = 2`, "marking"},
		"version":        {`UPDATE record SET version = 3 WHERE "row" = 2`, "its own newest version"},
		"another entry":  {`UPDATE record SET entry = 0 WHERE "row" = 2`, "its own newest version"},
		"no entry":       {`DELETE FROM entry WHERE seq = 3`, "no ledger entry"},
		"no content":     {`UPDATE entry SET content = NULL WHERE seq = 3`, "content is missing"},
		"no sense":       {`UPDATE entry SET content = 'x' WHERE seq = 3`, "cannot be read"},
		"words gone":     {`DELETE FROM search WHERE "row" = 2`, "words are missing"},
		"words left":     {`INSERT INTO search("row", words) VALUES(1, 'rain')`, "words are missing from the search index, or are left there"},
		"erased, kept":   {`UPDATE entry SET content = 'x' WHERE seq = 0`, "its content is there"},
		"row gone":       {`DELETE FROM record WHERE "row" = 2`, "a version that the records do not"},
		"another's row":  {`UPDATE entry SET "row" = 3 WHERE seq = 1`, "a version that the records do not"},
		"an old version": {`UPDATE record SET version = 1, entry = 1 WHERE "row" = 2`, ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			db := open(t, url)
			s := write(t, db)
			gone, two, three := s.note("rain"), s.note("bridge"), s.note("flood", func(r *record.Record) { r.Marking = record.Marking{TLP: record.Green} })
			s.put(gone, two, three)
			s.put(s.next(two, "bridge again"))
			s.erase(gone)
			check := func() (faults []store.Fault) {
				t.Helper()
				done, total := int64(0), int64(0)
				if err := db.Check(ctx, rowOf, func(n, of int64) { done, total = n, of }, func(f store.Fault) bool { faults = append(faults, f); return true }); err != nil {
					t.Fatal(err)
				}
				if done != total || done == 0 {
					t.Errorf("%d of %d were checked", done, total)
				}
				return faults
			}
			if fs := check(); fs != nil {
				t.Fatalf("faults before: %+v", fs)
			}
			do(t, url, c.do)
			fs := check()
			if len(fs) == 0 || !strings.Contains(fs[0].What, c.want) {
				t.Fatalf("finds %+v, want %q", fs, c.want)
			}
		})
	}
}

func TestCheckGoesThroughManyRowsAndStopsWhenTold(t *testing.T) {
	url := pgtest.URL(t)
	db := open(t, url)
	s := write(t, db)
	for range 5 {
		var batch []*record.Record
		for range 450 {
			batch = append(batch, s.note("rain"))
		}
		s.put(batch...)
	}
	do(t, url, `UPDATE record SET title = 'other' WHERE "row" IN (5, 1500, 2200)`)
	for _, c := range []struct{ stop, want int }{{0, 3}, {2, 2}} {
		n, calls, last := 0, 0, int64(0)
		if err := db.Check(ctx, rowOf, func(done, total int64) {
			if calls++; done <= last || total != 2250 {
				t.Errorf("%d of %d after %d", done, total, last)
			}
			last = done
		}, func(store.Fault) bool { n++; return n != c.stop }); err != nil {
			t.Fatal(err)
		}
		if n != c.want || c.stop == 0 && (last != 2250 || calls < 3) {
			t.Errorf("%d faults, %d rows in %d steps", n, last, calls)
		}
	}
}
