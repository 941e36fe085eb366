package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// capacityLoad is what a capacity model is measured with: five sizes or more of each.
type capacityLoad struct {
	records   []int // created
	turns     []int // created one after the other
	among     int   // records that pages are asked among
	pages     []int // asked for
	readers   []int // live streams
	seconds   int   // for which they are fed
	positions []int // messages
	backlogs  []int // records to another node
	idle      time.Duration
}

// capacityRows measures what a record, a page, a reader, a position and another node
// cost, and fits a line to each.
func capacityRows(ctx context.Context, dir string, o Options) ([]Row, error) {
	return measureCapacity(ctx, dir, o, capacityLoad{
		records: []int{5_000, 10_000, 20_000, 30_000, 40_000, 60_000}, turns: []int{500, 1000, 1500, 2000, 3000}, among: 100_000, pages: []int{200, 400, 600, 800, 1000},
		readers: []int{0, 100, 200, 400, 600, 800}, seconds: 10, positions: []int{50_000, 100_000, 150_000, 200_000, 300_000},
		backlogs: []int{2_000, 4_000, 8_000, 12_000, 16_000}, idle: 20 * time.Second,
	})
}

// perSecond is how many events readers get.
const perSecond = 20

// cost is one figure of the model.
type cost struct {
	what   string // one of those in model.go
	unit   string
	of     string // what x counts
	line   *line
	method string
}

func (c *cost) row() Row {
	var ps []string
	for _, p := range c.line.points {
		ps = append(ps, fmt.Sprintf("%s: %s", number(p[0]), number(p[1])))
	}
	return Row{Name: c.what, Value: c.line.each, Unit: fmt.Sprintf("%s ±%s", c.unit, number(c.line.eachErr)), Reach: "a model", OK: true,
		Method: fmt.Sprintf("%s; a line through %s (%s): %s", c.method, c.of, strings.Join(ps, ", "), c.line)}
}

func measureCapacity(ctx context.Context, dir string, o Options, load capacityLoad) (rows []Row, err error) {
	db, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	defer db.close()
	var all costs
	for _, of := range []func() ([]cost, error){
		func() ([]cost, error) { return recordCosts(ctx, dir, o, db, load.records) },
		func() ([]cost, error) { return turnCosts(ctx, dir, o, db, load.turns) },
		func() ([]cost, error) { return pageCosts(ctx, dir, o, db, load.among, load.pages) },
		func() ([]cost, error) { return readerCosts(ctx, dir, o, db, load.readers, load.seconds) },
		func() ([]cost, error) { return positionCosts(ctx, load.positions) },
		func() ([]cost, error) { return peerCosts(ctx, dir, load.backlogs, load.idle) },
	} {
		got, err := of()
		for i := range got {
			rows = append(rows, got[i].row())
			fmt.Fprintf(o.Log, "  %-46s %s %s\n", got[i].what, got[i].line, got[i].unit)
		}
		if err != nil {
			return rows, err
		}
		all = append(all, got...)
	}
	for _, p := range places {
		rows = append(rows, p.rows(all)...)
	}
	return rows, nil
}

// watch measures what something costs this process and the server, in milliseconds
// of a processor.
func watch(ctx context.Context, db *database, do func() error) (process, server float64, err error) {
	before, err := spent(os.Getpid())
	if err != nil {
		return 0, 0, err
	}
	was, err := db.cpu(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := do(); err != nil {
		return 0, 0, err
	}
	after, err := spent(os.Getpid())
	if err != nil {
		return 0, 0, err
	}
	is, err := db.cpu(ctx)
	ms := func(d time.Duration) float64 { return float64(d.Milliseconds()) }
	return ms(after.cpu - before.cpu), ms(is - was), err
}

// recordCosts fills a new node with each number of records, on both engines.
func recordCosts(ctx context.Context, dir string, o Options, db *database, sizes []int) ([]cost, error) {
	const givers = 256
	points := map[string][][2]float64{}
	put := func(what string, n int, v float64) { points[what] = append(points[what], [2]float64{float64(n), v}) }
	for _, n := range sizes {
		fmt.Fprintf(o.Log, "  %d records ...\n", n)
		one := filepath.Join(dir, fmt.Sprint("record", n))
		spec, drop, err := db.schema(ctx)
		if err != nil {
			return nil, err
		}
		for _, engine := range []string{"SQLite", "PostgreSQL"} {
			of := map[string]string{"SQLite": "", "PostgreSQL": spec}[engine]
			nd, by, err := openOn(ctx, filepath.Join(one, engine), of)
			if err != nil {
				return nil, err
			}
			now := time.Now()
			cmds := commands(newMaker(uint64(n), now), by, n, func(int) time.Time { return now })
			log, err := db.log(ctx)
			if err != nil {
				return nil, err
			}
			process, server, err := watch(ctx, db, func() error { return giveSingly(ctx, nd, cmds, givers) })
			if e := nd.Close(); err == nil {
				err = e
			}
			if err != nil {
				return nil, err
			}
			if engine == "SQLite" {
				put(recordAlone, n, process)
				st, err := os.Stat(filepath.Join(one, engine, "konbit.db"))
				if err != nil {
					return nil, err
				}
				put(recordFile, n, float64(st.Size()))
				continue
			}
			put(recordProcess, n, process)
			put(recordServer, n, server)
			end, err := db.log(ctx)
			if err != nil {
				return nil, err
			}
			put(recordLog, n, float64(end-log))
			bytes, err := db.size(ctx, spec)
			if err != nil {
				return nil, err
			}
			put(recordDisk, n, float64(bytes))
		}
		if err := drop(); err != nil {
			return nil, err
		}
	}
	how := fmt.Sprintf("incidents of some 31 words and a place, given by %d goroutines, into a new node of one process", givers)
	var out []cost
	for _, c := range []struct{ key, unit string }{{recordFile, "bytes"}, {recordDisk, "bytes"}, {recordLog, "bytes"}, {recordAlone, "ms of a processor"}, {recordProcess, "ms of a processor"}, {recordServer, "ms of a processor"}} {
		out = append(out, cost{c.key, c.unit, "records", fit(points[c.key]), how})
	}
	return out, nil
}

// turnCosts creates records one after the other, so that each is alone in its turn to
// write, as it is when little happens.
func turnCosts(ctx context.Context, dir string, o Options, db *database, sizes []int) ([]cost, error) {
	var process, server, long [][2]float64
	for _, n := range sizes {
		fmt.Fprintf(o.Log, "  %d records, each alone ...\n", n)
		spec, drop, err := db.schema(ctx)
		if err != nil {
			return nil, err
		}
		nd, by, err := openOn(ctx, filepath.Join(dir, fmt.Sprint("turn", n)), spec)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		cmds := commands(newMaker(uint64(n), now), by, n, func(int) time.Time { return now })
		start := time.Now()
		p, s, err := watch(ctx, db, func() error { return giveSingly(ctx, nd, cmds, 1) })
		took := time.Since(start)
		if e := nd.Close(); err == nil {
			err = e
		}
		if err != nil {
			return nil, err
		}
		if err := drop(); err != nil {
			return nil, err
		}
		x := float64(n)
		process, server, long = append(process, [2]float64{x, p}), append(server, [2]float64{x, s}), append(long, [2]float64{x, float64(took.Milliseconds())})
	}
	how := "incidents of some 31 words and a place, one after the other, each saved before the next is given, into a new node of one process"
	return []cost{
		{turnProcess, "ms of a processor", "records", fit(process), how},
		{turnServer, "ms of a processor", "records", fit(server), how},
		{turnTime, "ms", "records", fit(long), how + "; server and process on one machine: a network adds its round trips"},
	}, nil
}

// log is how far the server's write-ahead log is, in bytes.
func (d *database) log(ctx context.Context) (n int64, err error) {
	err = d.conn.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").Scan(&n)
	return n, err
}

// pageCosts asks for first pages.
func pageCosts(ctx context.Context, dir string, o Options, db *database, among int, sizes []int) (out []cost, err error) {
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
	e, by, err := newEngine(ctx, "PostgreSQL", filepath.Join(dir, "page"), spec)
	if err != nil {
		return nil, err
	}
	defer e.node.Close()
	fmt.Fprintf(o.Log, "  pages among %d records ...\n", among)
	if err := fill(ctx, o, by, among, past, now, e.node); err != nil {
		return nil, err
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	if err := ask(ctx, now, sizes[0], e); err != nil { // to warm up
		return nil, err
	}
	var process, server [][2]float64
	for _, n := range sizes {
		clear(e.took)
		was := len(e.said)
		p, s, err := watch(ctx, db, func() error { return ask(ctx, now, n, e) })
		if err != nil {
			return nil, err
		}
		n := float64(len(e.said) - was)
		process, server = append(process, [2]float64{n, p}), append(server, [2]float64{n, s})
	}
	how := fmt.Sprintf("the mix of pages, and one count or map in %d, among %d incidents on PostgreSQL", 30, among)
	return []cost{{pageProcess, "ms of a processor", "pages", fit(process), how}, {pageServer, "ms of a processor", "pages", fit(server), how}}, nil
}
