package postgres_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres"
	"konbit/store/postgres/pgtest"
	"konbit/store/storetest"
)

func TestStoreBySeekingInTheIndex(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		db := open(t, pgtest.URL(t))
		db.AlwaysSeek()
		return db
	})
}

// The rows of every test of the suite lie on both sides of the end of a partition, and
// some are looked at before the index is asked.
func TestStoreAcrossPartitions(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		url := pgtest.URL(t)
		db := open(t, url)
		db.LookAt(36)
		skipRows(t, url, 1<<16-5)
		return db
	})
}

// do runs a statement beside the store.
func do(t testing.TB, url, q string, args ...any) {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, q, args...); err != nil {
		t.Fatal(err)
	}
}

// skipRows makes the next record have the row after n.
func skipRows(t testing.TB, url string, n int64) {
	t.Helper()
	do(t, url, "UPDATE head SET rows = $1", n)
}

// scribe writes notes, and remembers them.
type scribe struct {
	t   testing.TB
	db  *postgres.DB
	seq int64
	now time.Time
	all []*record.Record // newest versions, in the order of their rows
}

func write(t testing.TB, db *postgres.DB) *scribe {
	return &scribe{t: t, db: db, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
}

// note makes a record whose words are the text.
func (s *scribe) note(text string, change ...func(*record.Record)) *record.Record {
	s.now = s.now.Add(time.Second)
	r := &record.Record{Header: record.Header{ID: record.NewID(s.now), Kind: "note", Owner: "ht.cc", Version: 1, State: "open", Marking: record.Marking{TLP: record.Amber},
		Observed: s.now, Recorded: s.now, Created: s.now, Author: "ht.cc/a", Note: text}, Body: json.RawMessage(`{}`)}
	for _, c := range change {
		c(r)
	}
	return r
}

// next makes the version after.
func (s *scribe) next(r *record.Record, text string) *record.Record {
	s.now = s.now.Add(time.Second)
	c := r.Clone()
	c.Version++
	c.Note, c.Recorded = text, s.now
	return c
}

func rowOf(r *record.Record) (*store.Row, error) {
	return &store.Row{Record: r, Title: r.Note, Words: strings.Join(store.Fold(r.Note), " "), Facet: map[string]string{"state": r.State}}, nil
}

func (s *scribe) entry(e ledger.Entry) ledger.Entry {
	e.Seq, e.At, e.Salt = s.seq, s.now, make([]byte, ledger.SaltSize)
	e.Commitment[0], e.Commitment[1] = byte(s.seq), byte(s.seq>>8)
	s.seq++
	return e
}

// put commits versions in one batch.
func (s *scribe) put(rs ...*record.Record) {
	s.t.Helper()
	var items []*store.Item
	for _, r := range rs {
		raw, err := json.Marshal(r)
		if err != nil {
			s.t.Fatal(err)
		}
		row, _ := rowOf(r)
		items = append(items, &store.Item{Entry: s.entry(ledger.Entry{Type: "change", Agency: r.Owner, Actor: r.Author, Record: r.ID, Version: r.Version, Content: raw}), Row: row})
		if i := slices.IndexFunc(s.all, func(o *record.Record) bool { return o.ID == r.ID }); i >= 0 {
			s.all[i] = r
		} else {
			s.all = append(s.all, r)
		}
	}
	s.commit(items...)
}

func (s *scribe) erase(r *record.Record) {
	s.t.Helper()
	s.commit(&store.Item{Entry: s.entry(ledger.Entry{Type: "erase", Agency: r.Owner, Actor: r.Author, Record: r.ID, Version: r.Version, Content: []byte("{}")}), Erase: r.ID})
	s.all = slices.DeleteFunc(s.all, func(o *record.Record) bool { return o.ID == r.ID })
}

func (s *scribe) commit(items ...*store.Item) {
	s.t.Helper()
	if err := s.db.Commit(ctx, &store.Batch{Items: items, Checkpoint: []byte("x")}); err != nil {
		s.t.Fatal(err)
	}
}

// asked completes a query with the sight of somebody who sees everything.
func (s *scribe) asked(q store.Query) *store.Query {
	s.t.Helper()
	sight := &store.Sight{}
	if err := s.db.Markings(ctx, 0, func(m *store.Marking) error { sight.Own = append(sight.Own, m.N); return nil }); err != nil {
		s.t.Fatal(err)
	}
	if q.Kinds == nil {
		q.Kinds = []string{"note"}
	}
	q.Now, q.Sight = s.now, map[string]*store.Sight{}
	for _, k := range q.Kinds {
		q.Sight[k] = sight
	}
	return &q
}

// texts are those of what a query finds.
func (s *scribe) texts(q store.Query) (out []string) {
	s.t.Helper()
	found, err := s.db.Find(ctx, s.asked(q))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range found {
		out = append(out, f.Record.Note)
	}
	return out
}

// Pages over many partitions, of words that fill them in one, in several, and
// nearly never.
func TestPagesGoOnThroughPartitions(t *testing.T) {
	for _, few := range []int{0, 24, 3000} {
		t.Run(fmt.Sprint(few), func(t *testing.T) {
			url := pgtest.URL(t)
			db := open(t, url)
			db.LookAt(few)
			s := write(t, db)
			r := rand.New(rand.NewPCG(1, uint64(few)))
			for part := range int64(7) {
				skipRows(t, url, part<<16+r.Int64N(60_000))
				var batch []*record.Record
				for range 40 {
					text := "rain"
					if r.IntN(3) == 0 {
						text += " bridge"
					}
					if part == 1 && r.IntN(10) == 0 {
						text = "bridge rain quetzal"
					}
					batch = append(batch, s.note(text, func(n *record.Record) {
						n.Observed = n.Observed.Add(-time.Duration(r.IntN(50)) * time.Second)
						if r.IntN(20) == 0 {
							n.Observed = n.Observed.Add(-time.Duration(r.IntN(250)) * time.Second)
						}
					}))
				}
				s.put(batch...)
			}
			s.erase(s.all[3])
			s.put(s.next(s.all[5], "rain bridge again"))
			for _, q := range []store.Query{
				{}, {Terms: [][]string{{"rain"}}}, {Terms: [][]string{{"bridge"}}}, {Terms: [][]string{{"quetzal"}}}, {Terms: [][]string{{"rain bridge"}}}, {Terms: [][]string{{"brid*"}}},
				{Terms: [][]string{{"bridge"}}, From: s.now.Add(-200 * time.Second), To: s.now.Add(-100 * time.Second)}, {Since: s.now.Add(-100 * time.Second)},
				{Terms: [][]string{{"bridge"}}, States: []string{"open"}}, {Terms: [][]string{{"nothing"}}}, {Kinds: []string{"note", "unheard"}, States: []string{"open"}},
			} {
				for _, q.ByObserved = range []bool{false, true} {
					var want []*record.Record
					for _, n := range slices.Backward(s.all) {
						if s.matches(&q, n) {
							want = append(want, n)
						}
					}
					if q.ByObserved {
						slices.SortStableFunc(want, func(a, b *record.Record) int { return b.Observed.Compare(a.Observed) })
					}
					for _, limit := range []int{1 + len(want)/5, 1000} {
						s.pages(q, limit, want)
					}
				}
			}
		})
	}
}

// pages reads a query page by page.
func (s *scribe) pages(q store.Query, limit int, want []*record.Record) {
	s.t.Helper()
	var got []record.ID
	for n := limit; n == limit; {
		q.Limit = limit
		n = 0
		if err := s.db.Scan(ctx, s.asked(q), func(b *store.Brief) bool {
			got = append(got, b.ID)
			q.Before = &store.Key{Row: b.Row, Observed: b.Observed.UnixMicro()}
			n++
			return true
		}); err != nil {
			s.t.Fatal(err)
		}
	}
	if !slices.EqualFunc(got, want, func(id record.ID, r *record.Record) bool { return id == r.ID }) {
		s.t.Errorf("%+v in pages of %d: %d found, want %d, or in another order", q, limit, len(got), len(want))
	}
}

// matches is what terms, times and states ask for.
func (s *scribe) matches(q *store.Query, r *record.Record) bool {
	words := " " + strings.Join(store.Fold(r.Note), " ") + " "
	for _, g := range q.Terms {
		term, prefix := strings.CutSuffix(g[0], "*")
		if !prefix {
			term += " "
		}
		if !strings.Contains(words, " "+term) {
			return false
		}
	}
	return (q.From.IsZero() || !r.Observed.Before(q.From)) && (q.To.IsZero() || r.Observed.Before(q.To)) && !r.Recorded.Before(q.Since) && (q.States == nil || slices.Contains(q.States, r.State))
}

func TestTermsThatNobodyTypesFailNothing(t *testing.T) {
	for _, few := range []int{0, 3000} {
		db := open(t, pgtest.URL(t))
		db.LookAt(few)
		s := write(t, db)
		long := strings.Repeat("é", 1500)
		s.put(s.note("l'hôpital de Léogâne"), s.note("it is a b c"), s.note(long))
		for term, want := range map[string][]string{
			"l hopital":  {"l'hôpital de Léogâne"},
			"l hop*":     {"l'hôpital de Léogâne"},
			"hopital l":  nil,
			"L HOPITAL":  {"l'hôpital de Léogâne"},
			"a b c":      {"it is a b c"},
			"a c":        nil,
			"a-b":        {"it is a b c"},
			`"a" b`:      {"it is a b c"},
			"it's":       nil,
			"'":          nil,
			`\`:          nil,
			"":           nil,
			"*":          nil,
			" ":          nil,
			"a\x00b":     nil,
			"a\xff":      nil,
			"& | ! <->":  nil,
			"a' | 'it":   nil,
			`a\' | it`:   nil,
			"'a':*":      {"it is a b c"},
			store.Sign:   nil,
			"it:*":       {"it is a b c"},
			"leogane' b": nil,
		} {
			if got := s.texts(store.Query{Terms: [][]string{{term}}}); !slices.Equal(got, want) {
				t.Errorf("%q finds %q, want %q", term, got, want)
			}
			if got := s.texts(store.Query{Terms: [][]string{{term, "leogane"}}}); !slices.Contains(got, "l'hôpital de Léogâne") || slices.Contains(got, "it is a b c") != slices.Contains(want, "it is a b c") {
				t.Errorf("%q or another word finds %q", term, got)
			}
		}
		if got := s.texts(store.Query{Terms: [][]string{{strings.Join(store.Fold(long), " ")}}}); !slices.Equal(got, []string{long}) {
			t.Errorf("a long word finds %d", len(got))
		}
		for what, q := range map[string]store.Query{
			"author": {Author: "a\x00"}, "state": {States: []string{"\xff"}}, "facet": {Facet: map[string][]string{"state": {"open\x00", "\xff"}}}, "flag": {Flag: "\x00"}, "kind": {Kinds: []string{"\x00"}}, "owners": {Owners: []int64{}},
		} {
			if got := s.texts(q); got != nil {
				t.Errorf("%s finds %q", what, got)
			}
		}
		if got := s.texts(store.Query{Terms: [][]string{{}}}); len(got) != 3 {
			t.Errorf("a group without terms finds %q", got)
		}
		if ls, err := db.Log(ctx, &store.LogQuery{Actor: "\x00"}); len(ls) != 0 || err != nil {
			t.Error(ls, err)
		}
	}
}

// What a text repeats more often, or holds further on, than a tsvector can say.
func TestVeryLongTextIsFound(t *testing.T) {
	for _, few := range []int{0, 3000} {
		db := open(t, pgtest.URL(t))
		db.LookAt(few)
		s := write(t, db)
		var sb strings.Builder
		for i := range 20_000 {
			fmt.Fprintf(&sb, "the w%d ", i%3000)
		}
		sb.WriteString("end")
		s.put(s.note(sb.String()), s.note("short"))
		for _, term := range []string{"the", "w2999", "end", "the w7"} {
			if n := len(s.texts(store.Query{Terms: [][]string{{term}}})); n != 1 {
				t.Errorf("%q finds %d", term, n)
			}
		}
	}
}

// Looks from many sides while a page is read: no two connections are needed at once.
func TestOneConnectionIsEnoughToRead(t *testing.T) {
	url := pgtest.URL(t)
	s := write(t, open(t, url))
	s.put(s.note("rain"), s.note("rain"))
	s.erase(s.all[0])
	db := open(t, url+"&pool_max_conns=1")
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	called := 0
	again := func() bool {
		called++
		if _, err := db.Get(ctx, s.all[0].ID); err != nil {
			t.Error(err)
		}
		return true
	}
	sight := map[string]*store.Sight{"note": {Own: []int64{1}}, "never": {Own: []int64{1}}}
	for _, q := range []*store.Query{{}, {Terms: [][]string{{"rain"}}}, {ByObserved: true, Author: "ht.cc/never"}, {ByObserved: true, Terms: [][]string{{"rain"}}}} {
		q.Kinds, q.Sight = []string{"note", "never"}, sight
		if _, err := db.Find(ctx, q); err != nil {
			t.Error(err)
		}
		if err := db.Scan(ctx, q, func(*store.Brief) bool { return again() }); err != nil {
			t.Error(err)
		}
	}
	for what, err := range map[string]error{
		"entries":     db.Entries(ctx, 0, -1, func(*store.Logged) bool { return again() }),
		"markings":    db.Markings(ctx, 0, func(*store.Marking) error { again(); return nil }),
		"checkpoints": db.Checkpoints(ctx, func(int64, []byte) error { again(); return nil }),
		"check":       db.Check(ctx, rowOf, func(int64, int64) { again() }, func(f store.Fault) bool { t.Errorf("%+v", f); return again() }),
	} {
		if err != nil {
			t.Error(what, err)
		}
	}
	if _, err := db.Versions(ctx, s.all[0].ID); err != nil {
		t.Error(err)
	}
	if called < 9 {
		t.Errorf("called %d times", called)
	}
}

func TestReadEndsWithItsCaller(t *testing.T) {
	db := open(t, pgtest.URL(t)+"&pool_max_conns=2")
	s := write(t, db)
	s.put(s.note("rain"))
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for range 10 {
		if _, err := db.Find(gone, s.asked(store.Query{})); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := db.Entries(gone, 0, -1, func(*store.Logged) bool { return true }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for i := range 40 { // wherever the end comes, no connection is lost on the way
		brief, cancel := context.WithTimeout(ctx, time.Duration(i)*100*time.Microsecond)
		if _, err := db.Find(brief, s.asked(store.Query{Terms: [][]string{{"rain"}}})); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
	}
	if got := s.texts(store.Query{}); len(got) != 1 {
		t.Error(got)
	}
}

// A row of the search index stays small when its words are many, also when they change:
// walks read all rows of a partition.
func TestWordsLieBesideTheRows(t *testing.T) {
	url := pgtest.URL(t)
	db := open(t, url)
	s := write(t, db)
	r := rand.New(rand.NewPCG(1, 1))
	text := func(words int) string {
		var sb strings.Builder
		for range words {
			fmt.Fprintf(&sb, "w%d ", r.IntN(100_000))
		}
		return sb.String()
	}
	const n = 500
	var first, second []*record.Record
	for i := range n {
		first = append(first, s.note(text(5+i%120)))
	}
	s.put(first...)
	for _, a := range first {
		second = append(second, s.next(a, text(5+r.IntN(120))))
	}
	s.put(second...)
	if size := ask[int64](t, url, "SELECT pg_relation_size('search_p000000')"); size > 2*n*130 {
		t.Errorf("%d rows take %d bytes", 2*n, size)
	}
	if got := s.texts(store.Query{Terms: [][]string{{store.Fold(second[7].Note)[3]}, {store.Fold(second[7].Note)[4]}}}); len(got) != 1 || got[0] != second[7].Note {
		t.Errorf("finds %q", got)
	}
}

// However the tables' statistics mislead, the inverted index is what a word is sought in.
func TestWordIsSoughtInTheIndexOnly(t *testing.T) {
	url := pgtest.URL(t)
	db := open(t, url)
	s := write(t, db)
	for range 3 {
		var batch []*record.Record
		for i := range 1000 {
			batch = append(batch, s.note(fmt.Sprintf("rain w%d", i)))
		}
		s.put(batch...)
		for _, settings := range []string{"", "ANALYZE search_p000000; ANALYZE record"} {
			do(t, url, settings)
			for _, word := range []string{"rain", "w7", "never"} {
				plan := explain(t, url, `SELECT s."row" FROM search s WHERE s.words @@ $1::tsquery AND s."row" >= 5 AND s."row" < 900 ORDER BY s."row" DESC OFFSET 0`, word)
				if !strings.Contains(plan, "Bitmap Index Scan on search_p000000_words_idx") || strings.Contains(plan, "row_idx") {
					t.Errorf("%q with %d rows: %s", word, len(s.all), plan)
				}
			}
		}
	}
}

func explain(t testing.TB, url, q string, args ...any) string {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(ctx, "EXPLAIN "+q, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// Bounds of time become bounds of position, also where many entries have one time.
func TestLogOfASpanOfTime(t *testing.T) {
	db := open(t, pgtest.URL(t))
	s := write(t, db)
	r := rand.New(rand.NewPCG(2, 2))
	var ats []time.Time
	for range 6 {
		var items []*store.Item
		for range 60 {
			s.now = s.now.Add(time.Duration(max(0, r.IntN(6)-3)) * time.Second)
			items = append(items, &store.Item{Entry: s.entry(ledger.Entry{Type: "look", Agency: "ht.cc", Actor: "ht.cc/a", Content: []byte("{}")})})
			ats = append(ats, s.now)
		}
		s.commit(items...)
	}
	first, last := ats[0], ats[len(ats)-1]
	for range 200 {
		from := first.Add(time.Duration(r.IntN(int(last.Sub(first).Seconds())+20)-10) * time.Second)
		to := from.Add(time.Duration(r.IntN(40)-2) * time.Second)
		var want []int64
		for i, at := range slices.Backward(ats) {
			if !at.Before(from) && at.Before(to) {
				want = append(want, int64(i))
			}
		}
		ls, err := db.Log(ctx, &store.LogQuery{From: from, To: to, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(ls, want, func(l *store.Logged, seq int64) bool { return l.Seq == seq }) {
			t.Fatalf("from %v to %v: %d entries, want %d", from, to, len(ls), len(want))
		}
	}
	if !slices.IsSortedFunc(ats, func(a, b time.Time) int { return cmp.Compare(a.UnixMicro(), b.UnixMicro()) }) {
		t.Fatal("the test's own times go back")
	}
}
