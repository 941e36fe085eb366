package bench

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"konbit/store/postgres"
)

// commitLoad is how commits through two processes are measured.
type commitLoad struct {
	records int // of both together
	givers  int // goroutines of each, every one of which waits for its answer
	turns   int
}

// commitRows measures commits through two processes on one PostgreSQL against a bare
// loop that inserts the same rows, in turns.
func commitRows(ctx context.Context, dir string, o Options, db *database, load commitLoad) ([]Row, error) {
	var ours, bare, sizes []float64
	for turn := range load.turns {
		fmt.Fprintf(o.Log, "  commits through two processes, turn %d of %d ...\n", turn+1, load.turns)
		w, b, size, err := commitTurn(ctx, filepath.Join(dir, fmt.Sprint("commit", turn)), o, db, load, uint64(turn))
		if err != nil {
			return nil, err
		}
		ours, bare, sizes = append(ours, w), append(bare, b), append(sizes, size)
		fmt.Fprintf(o.Log, "  %.0f records/s in batches of %.0f, bare %.0f\n", w, size, b)
	}
	with, err := db.settings(ctx)
	if err != nil {
		return nil, err
	}
	row := ratio(Row{Name: "durable commits through two processes on one PostgreSQL", Value: median(ours), Unit: "records/s", Baseline: median(bare), Reach: "ratio 0.6",
		Method: fmt.Sprintf("%d creates given by two processes, each with %d goroutines that wait for each answer, all on this machine with the server (%s); they went into batches of %.0f; baseline: the same rows by a bare pgx loop into the same tables and indexes, one transaction of as many rows; median of %d turns",
			load.records, load.givers, with, median(sizes), load.turns)})
	row.OK = row.Ratio >= 0.6
	return []Row{row}, nil
}

func commitTurn(ctx context.Context, dir string, o Options, db *database, load commitLoad, seed uint64) (ours, bare, size float64, err error) {
	spec, drop, err := db.schema(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	nd, _, err := openOn(ctx, dir, spec)
	if err != nil {
		return 0, 0, 0, err
	}
	first := nd.Intake.Size()
	if err := nd.Close(); err != nil {
		return 0, 0, 0, err
	}
	busy, err := db.cpu(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	out, err := together(ctx, o, []memberSpec{
		{Data: dir, Store: spec, Records: load.records / 2, Givers: load.givers, Seed: 2 * seed},
		{Data: dir, Store: spec, Records: load.records / 2, Givers: load.givers, Seed: 2*seed + 1},
	})
	if err != nil {
		return 0, 0, 0, err
	}
	done, err := db.cpu(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	begin, end, commits, cpu := time.Unix(0, math.MaxInt64), time.Time{}, uint64(0), time.Duration(0)
	for _, m := range out {
		commits, cpu = commits+m.Commits, cpu+m.CPU
		if m.Begin.Before(begin) {
			begin = m.Begin
		}
		if m.End.After(end) {
			end = m.End
		}
	}
	each := max(1, load.records/max(1, int(commits)))
	if nd, _, err = openOn(ctx, dir, spec); err != nil {
		return 0, 0, 0, err
	}
	batches, err := replay(ctx, nd, first, each)
	if e := nd.Close(); err == nil {
		err = e
	}
	if err != nil {
		return 0, 0, 0, err
	}
	if err := drop(); err != nil {
		return 0, 0, 0, err
	}
	n := 0
	for _, b := range batches {
		n += len(b)
	}
	if n != load.records {
		return 0, 0, 0, fmt.Errorf("%d records were acknowledged, the ledger has %d", load.records, n)
	}
	if spec, drop, err = db.schema(ctx); err != nil {
		return 0, 0, 0, err
	}
	var start time.Time
	if err := postgres.Bare(ctx, spec, batches, func() { start = time.Now() }); err != nil {
		return 0, 0, 0, err
	}
	took := time.Since(start)
	idle, err := db.cpu(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	each1 := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(load.records) }
	fmt.Fprintf(o.Log, "  processor time a record: processes %.0f us, server %.0f us; bare: server %.0f us\n", each1(cpu), each1(done-busy), each1(idle-done))
	return float64(load.records) / end.Sub(begin).Seconds(), float64(load.records) / took.Seconds(), float64(load.records) / float64(commits), drop()
}
