package bench

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/intake"
	"konbit/node"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
)

// stranger is an agency in no community, which sees what is CLEAR: one record in a hundred.
const stranger = "jm.coe"

// past is how long ago the oldest of the incidents was that pages are found among.
const past = 2 * 365 * 24 * time.Hour

// years says how many years that is.
func years(d time.Duration) int { return int(d / (365 * 24 * time.Hour)) }

// sparse are markings as a region gives them, when few things are for everybody.
func sparse(r *rand.Rand) record.Marking {
	switch n := r.IntN(100); {
	case n == 0:
		return record.Marking{TLP: record.Clear}
	case n < 25:
		return record.Marking{TLP: record.Green}
	case n < 50:
		return record.Marking{TLP: record.Amber, To: []string{other}}
	case n < 75:
		return record.Marking{TLP: record.AmberStrict}
	}
	return record.Marking{TLP: record.Amber}
}

// enquiry is one of those that a board asks. by is the agency that asks; view is
// "" for a first page, "count" or "map".
type enquiry struct {
	name string
	by   string
	view string
	ask  func(m *maker, now time.Time) *query.Filter
}

// A word in four of ten records, and one in some of ten thousand; see newMaker.
func (m *maker) frequent() string { return []string{"ka", "ri", "mo", "chan", "dlo"}[m.r.IntN(5)] }
func (m *maker) rare() string     { return m.words[len(m.words)-1-m.r.IntN(200)] }

// around is a window around one of the first towns, in which the most happens.
func (m *maker) around(degrees float64) *record.Box {
	t := m.towns[m.r.IntN(5)]
	lon, lat := t[0]+m.r.NormFloat64()*0.05, t[1]+m.r.NormFloat64()*0.05
	return &record.Box{W: lon - degrees/2, S: lat - degrees/2, E: lon + degrees/2, N: lat + degrees/2}
}

// country is the western or the eastern half of the island.
func (m *maker) country() *record.Box {
	if m.r.IntN(2) == 0 {
		return &record.Box{W: -74.6, S: 17.9, E: -71.7, N: 20.2}
	}
	return &record.Box{W: -71.9, S: 17.5, E: -68.3, N: 20}
}

const city, street = 0.3, 0.01 // degrees

// enquiries are those of the table in store/DESIGN.md.
var enquiries = []enquiry{
	{"city, 30 days, word", other, "", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.around(city), From: now.AddDate(0, 0, -30), To: now, Words: m.word()}
	}},
	{"city, 30 days, frequent word", other, "", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.around(city), From: now.AddDate(0, 0, -30), To: now, Words: m.frequent()}
	}},
	{"country, 30 days, word", other, "", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.country(), From: now.AddDate(0, 0, -30), To: now, Words: m.word()}
	}},
	{"country, 30 days, rare word", other, "", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.country(), From: now.AddDate(0, 0, -30), To: now, Words: m.rare()}
	}},
	{"city, 30 days a year ago, frequent word", other, "", func(m *maker, now time.Time) *query.Filter {
		end := now.AddDate(0, 0, -300-m.r.IntN(100))
		return &query.Filter{Box: m.around(city), From: end.AddDate(0, 0, -30), To: end, Words: m.frequent()}
	}},
	{"street, 30 days, frequent word", other, "", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.around(street), From: now.AddDate(0, 0, -30), To: now, Words: m.frequent()}
	}},
	{"no words, no window", other, "", func(*maker, time.Time) *query.Filter { return &query.Filter{} }},
	{"newest observed, frequent word", other, "", func(m *maker, _ time.Time) *query.Filter {
		return &query.Filter{Words: m.frequent(), ByObserved: true}
	}},
	{"1 % seen: city, 30 days, word", stranger, "", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.around(city), From: now.AddDate(0, 0, -30), To: now, Words: m.word()}
	}},
	{"1 % seen: newest observed, city, 30 days", stranger, "", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.around(city), From: now.AddDate(0, 0, -30), To: now, ByObserved: true}
	}},
	{"count with facets, to 10,000", other, "count", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{From: now.AddDate(0, -6, 0), To: now}
	}},
	{"map of the country, to 20,000", other, "map", func(m *maker, now time.Time) *query.Filter {
		return &query.Filter{Box: m.country(), From: now.AddDate(-1, 0, 0), To: now}
	}},
}

// engine is a node whose answers are timed.
type engine struct {
	name    string
	node    *node.Node
	readers map[string]*policy.Reader // by agency
	took    map[string][]time.Duration
	said    []uint64 // hashes of the answers
}

// newEngine makes a node with the agencies that give and ask, or opens it again.
func newEngine(ctx context.Context, name, dir, spec string) (*engine, *policy.Reader, error) {
	n, by, err := openOn(ctx, dir, spec)
	if err != nil {
		return nil, nil, err
	}
	e := &engine{name: name, node: n, readers: map[string]*policy.Reader{}, took: map[string][]time.Duration{}}
	if n.Accounts.Directory().Agencies[stranger] == nil {
		if _, err = n.Accounts.AddAgency(ctx, account.Node, store.Agency{ID: stranger, Name: "Emergency centre", Country: "JM", Local: true}); err == nil {
			_, err = n.Accounts.AddPerson(ctx, account.Node, store.Person{ID: stranger + "/op", Name: "Operator", Lang: "en", Grants: []store.Grant{{Agency: stranger, Desk: "*", Role: desk.Supervisor}}}, "")
		}
	}
	for _, id := range []string{other, stranger} {
		if err == nil {
			e.readers[id], err = n.Accounts.Reader(id+"/op", id, nil, "")
		}
	}
	if err != nil {
		n.Close()
		return nil, nil, err
	}
	return e, by, nil
}

// answer asks one question, and notes how long it took and what came, in order.
func (e *engine) answer(ctx context.Context, q *enquiry, f *query.Filter) error {
	h := fnv.New64a()
	by, start := e.readers[q.by], time.Now()
	var took time.Duration
	switch q.view {
	case "count":
		c, err := e.node.Records.Count(ctx, by, kind, f)
		took = time.Since(start)
		if err != nil {
			return err
		}
		fmt.Fprint(h, c.Count, c.Facets)
	case "map":
		v, err := e.node.Records.Map(ctx, by, kind, f, 8)
		took = time.Since(start)
		if err != nil {
			return err
		}
		fmt.Fprint(h, len(v.Features), len(v.Clusters), v.Capped)
	default:
		page, err := e.node.Records.List(ctx, by, kind, f)
		took = time.Since(start)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			h.Write(it.Record.ID[:])
		}
	}
	e.took[q.name], e.said = append(e.took[q.name], took), append(e.said, h.Sum64())
	return nil
}

// mix are all times of first pages.
func (e *engine) mix() (ds []time.Duration) {
	for _, q := range enquiries {
		if q.view == "" {
			ds = append(ds, e.took[q.name]...)
		}
	}
	return ds
}

// fill gives the same incidents, the same identifiers included, to every node in the
// same order.
func fill(ctx context.Context, o Options, by *policy.Reader, records int, past time.Duration, now time.Time, nodes ...*node.Node) error {
	m := newMaker(21, now)
	began := time.Now()
	took := make([]time.Duration, len(nodes))
	for done := 0; done < records; {
		size := min(10_000, records-done)
		cmds := commands(m, by, size, func(i int) time.Time {
			return now.Add(-time.Duration(float64(past) * (1 - float64(done+i)/float64(records))))
		})
		for _, c := range cmds {
			c.Draft.Marking = sparse(m.r)
		}
		errs := make([]error, len(nodes))
		var wg sync.WaitGroup
		for i, n := range nodes {
			mine := make([]*intake.Command, len(cmds))
			for k, c := range cmds {
				d := *c.Draft
				one := *c
				one.Draft, mine[k] = &d, &one
			}
			wg.Go(func() {
				start := time.Now()
				_, es := n.Intake.DoAll(ctx, mine)
				took[i] += time.Since(start)
				for _, err := range es {
					if errs[i] == nil {
						errs[i] = err
					}
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		if done += size; done%100_000 == 0 || done == records {
			fmt.Fprintf(o.Log, "  %d of %d records, %.0f/s\n", done, records, float64(done)/time.Since(began).Seconds())
		}
	}
	return nil
}

// ask puts the questions in a random order, which is the same each time, each to every
// engine.
func ask(ctx context.Context, now time.Time, n int, engines ...*engine) error {
	m := newMaker(22, now)
	for i := range n {
		if i == n/10 { // what came before was to warm up
			for _, e := range engines {
				clear(e.took)
			}
		}
		q := &enquiries[m.r.IntN(len(enquiries))]
		if q.view != "" && m.r.IntN(5) > 0 { // they take long
			continue
		}
		f := q.ask(m, now)
		for k := range engines {
			e := engines[(i+k)%len(engines)]
			if err := e.answer(ctx, q, f); err != nil {
				return fmt.Errorf("%s: %s: %w", e.name, q.name, err)
			}
		}
	}
	return nil
}

// agree fails when two engines that were asked the same have not answered the same.
func agree(a, b *engine) error {
	if len(a.said) != len(b.said) || len(a.said) == 0 {
		return fmt.Errorf("%s was asked %d questions, %s %d", a.name, len(a.said), b.name, len(b.said))
	}
	differ := 0
	for i := range a.said {
		if a.said[i] != b.said[i] {
			differ++
		}
	}
	if differ > 0 {
		return fmt.Errorf("%d of %d answers differ between %s and %s", differ, len(a.said), a.name, b.name)
	}
	return nil
}

// pageRows fills a node on PostgreSQL and one on SQLite with the same incidents and
// asks both the same questions.
func pageRows(ctx context.Context, dir string, o Options, db *database, records, asked int) (rows []Row, err error) {
	spec, drop, err := db.schema(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := drop(); err == nil {
			err = e
		}
	}()
	now := time.Now()
	pg, by, err := newEngine(ctx, "PostgreSQL", filepath.Join(dir, "pages-postgres"), spec)
	if err != nil {
		return nil, err
	}
	defer pg.node.Close()
	lite, _, err := newEngine(ctx, "SQLite", filepath.Join(dir, "pages-sqlite"), "")
	if err != nil {
		return nil, err
	}
	defer lite.node.Close()
	fmt.Fprintf(o.Log, "  %d incidents into PostgreSQL and SQLite ...\n", records)
	if err := fill(ctx, o, by, records, past, now, pg.node, lite.node); err != nil {
		return nil, err
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	if err := ask(ctx, now, asked, pg, lite); err != nil {
		return nil, err
	}
	if err := agree(pg, lite); err != nil {
		return nil, err
	}
	return pageTable(ctx, o, db, records, past, pg, lite)
}

// pageTable makes rows of what was asked.
func pageTable(ctx context.Context, o Options, db *database, records int, past time.Duration, pg, lite *engine) ([]Row, error) {
	var each []string
	for _, q := range enquiries {
		a, b := pg.took[q.name], lite.took[q.name]
		fmt.Fprintf(o.Log, "  %-42s p50 %6.1f ms, worst %6.1f  SQLite p50 %6.1f, worst %6.1f  (%d)\n", q.name, quantile(a, 0.5), quantile(a, 1), quantile(b, 0.5), quantile(b, 1), len(a))
		if q.view == "" {
			each = append(each, fmt.Sprintf("%s %.1f (%.1f)", q.name, quantile(a, 0.5), quantile(b, 0.5)))
		}
	}
	with, err := db.settings(ctx)
	if err != nil {
		return nil, err
	}
	method := fmt.Sprintf("%d first pages of 50 over %d incidents of %d years, through query.List with the reader's rights, in random order, each asked of both engines, which answered the same; %s; baseline: SQLite, same records, same run; p50 of each question in ms, SQLite in brackets: %s",
		len(pg.mix()), records, years(past), with, strings.Join(each, "; "))
	var rows []Row
	for _, r := range []struct {
		what  string
		q     float64
		reach float64
	}{{"p50", 0.5, 15}, {"p99", 0.99, 80}} {
		row := ratio(Row{Name: fmt.Sprintf("first pages on PostgreSQL, %s incidents, %s", short(records), r.what), Value: quantile(pg.mix(), r.q), Unit: "ms", Baseline: quantile(lite.mix(), r.q), Reach: fmt.Sprintf("%g ms", r.reach), Method: method})
		row.OK = row.Value <= r.reach
		rows = append(rows, row)
	}
	for _, q := range enquiries {
		if q.view == "" || len(pg.took[q.name]) == 0 {
			continue
		}
		rows = append(rows, ratio(Row{Name: fmt.Sprintf("%s on PostgreSQL, %s incidents, p50", q.name, short(records)), Value: quantile(pg.took[q.name], 0.5), Unit: "ms", Baseline: quantile(lite.took[q.name], 0.5),
			Reach: "none set", OK: true, Method: fmt.Sprintf("%d times, beside the pages; baseline: SQLite", len(pg.took[q.name]))}))
	}
	return rows, nil
}

// short writes a number of records as people say it.
func short(n int) string {
	if n%1_000_000 == 0 && n > 0 {
		return fmt.Sprint(n/1_000_000, " million")
	}
	digits := []byte(fmt.Sprint(n))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = slices.Insert(digits, i, ',')
	}
	return string(digits)
}
