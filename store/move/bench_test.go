package move_test

import (
	"path/filepath"
	"testing"
	"time"

	"konbit/store/move"
	"konbit/store/postgres/pgtest"
)

// BenchmarkCopy says how many records a second each way copies, indexes and proves.
//
//	go test -run - -bench Copy -benchtime 1x ./store/move
func BenchmarkCopy(b *testing.B) {
	const records = 100_000
	first := "sqlite:" + filled(b, records)
	there := pgtest.URL(b)
	for _, way := range []struct{ name, from, to string }{
		{"ToPostgres", first, there},
		{"ToSQLite", there, "sqlite:" + filepath.Join(b.TempDir(), "back.db")},
		{"PostgresToPostgres", there, pgtest.URL(b)},
		{"SQLiteToSQLite", first, "sqlite:" + filepath.Join(b.TempDir(), "same.db")},
	} {
		b.Run(way.name, func(b *testing.B) {
			if b.N > 1 {
				b.Skip("a target is filled once: -benchtime 1x")
			}
			began, last, step := time.Now(), time.Now(), move.Copying
			p, err := move.Run(ctx, move.Copy{From: way.from, To: way.to, Derive: derive, Progress: func(s move.Step) {
				if s.What != step {
					b.ReportMetric(time.Since(last).Seconds(), step+"-s")
					step, last = s.What, time.Now()
				}
			}})
			if err != nil {
				b.Fatal(err)
			}
			var rows int64
			for _, s := range p.Tables {
				rows += s.Rows
			}
			took := time.Since(began).Seconds()
			b.ReportMetric(time.Since(last).Seconds(), step+"-s")
			b.ReportMetric(records/took, "records/s")
			b.ReportMetric(float64(rows)/took, "rows/s")
		})
	}
}
