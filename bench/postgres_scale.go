package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// scaleRows asks for the same pages of a node that is young and of one that is ten times
// as old and has ten times as many records, on both engines: what is not looked at must
// not cost. SQLite's file is filled through intake, PostgreSQL by konbit copy: the
// records are the same. It takes an hour and a disk, so it runs only when it is asked for.
func scaleRows(ctx context.Context, dir string, o Options) ([]Row, error) {
	db, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	defer db.close()
	return measureScale(ctx, dir, o, db, o.Records, o.Scale, 2400)
}

func measureScale(ctx context.Context, dir string, o Options, db *database, small, large, asked int) ([]Row, error) {
	var p50 [2][2]float64 // PostgreSQL, SQLite; small, large
	var rows []Row
	with, err := db.settings(ctx)
	if err != nil {
		return nil, err
	}
	for i, records := range []int{small, large} {
		long := past / time.Duration(small) * time.Duration(records)
		pg, lite, err := atScale(ctx, filepath.Join(dir, short(records)), o, db, records, long, asked)
		if err != nil {
			return rows, err
		}
		p50[0][i], p50[1][i] = quantile(pg.mix(), 0.5), quantile(lite.mix(), 0.5)
		got, err := pageTable(ctx, o, db, records, long, pg, lite)
		if err != nil {
			return rows, err
		}
		rows = append(rows, got...)
	}
	for k, name := range []string{"PostgreSQL", "SQLite"} {
		row := ratio(Row{Name: fmt.Sprintf("first pages on %s, %s incidents, p50", name, short(large)), Value: p50[k][1], Unit: "ms", Baseline: p50[k][0], Reach: "ratio 1.5",
			Method: fmt.Sprintf("the same questions, in the same order, over %d years instead of %d, with as many incidents a day; SQLite filled through intake, PostgreSQL (%s) by konbit copy; both answered the same; baseline: over %s incidents, made and asked in the same way in the same run", years(past/time.Duration(small)*time.Duration(large)), years(past), with, short(small))})
		row.OK = row.Ratio <= 1.5
		rows = append(rows, row)
	}
	return rows, nil
}

// atScale fills both engines and asks both, one after the other, so that the disk has
// to hold both for the time of the copy only.
func atScale(ctx context.Context, dir string, o Options, db *database, records int, long time.Duration, asked int) (pg, lite *engine, err error) {
	spec, drop, err := db.schema(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if e := drop(); err == nil {
			err = e
		}
	}()
	now := time.Now()
	lite, by, err := newEngine(ctx, "SQLite", dir, "")
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(o.Log, "  %s incidents into SQLite ...\n", short(records))
	err = fill(ctx, o, by, records, long, now, lite.node)
	if err == nil {
		err = ask(ctx, now, asked, lite)
	}
	if e := lite.node.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "konbit.db")
	st, err := os.Stat(file)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(o.Log, "  copy to PostgreSQL ...\n")
	start := time.Now()
	c := exec.CommandContext(ctx, o.Binary, "copy", "--from", "sqlite:"+file)
	c.Env, c.Stderr = append(os.Environ(), "KONBIT_TO="+spec), o.Log
	if err := c.Run(); err != nil {
		return nil, nil, fmt.Errorf("konbit copy: %w", err)
	}
	took := time.Since(start)
	if err := os.Remove(file); err != nil {
		return nil, nil, err
	}
	bytes, err := db.size(ctx, spec)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(o.Log, "  copied and proved in %s, %.0f records/s; SQLite %.2f GB, PostgreSQL %.2f GB\n", took.Round(time.Second), float64(records)/took.Seconds(), float64(st.Size())/1e9, float64(bytes)/1e9)
	if err := db.settle(ctx); err != nil {
		return nil, nil, err
	}
	if pg, _, err = newEngine(ctx, "PostgreSQL", dir, spec); err != nil {
		return nil, nil, err
	}
	err = ask(ctx, now, asked, pg)
	if e := pg.node.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = agree(pg, lite)
	}
	return pg, lite, err
}
