package sqlite

import (
	"testing"

	"pgregory.net/rapid"
)

// What the mirror says is what a look at every row says.
func TestSpansMeetWhatTheRecordsSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type row struct{ block, observed, recorded int64 }
		at := rapid.Int64Range(-20, 20)
		var rows []row
		var s spans
		for range rapid.IntRange(0, 30).Draw(t, "rows") {
			r := row{rapid.Int64Range(0, 12).Draw(t, "block"), at.Draw(t, "observed"), at.Draw(t, "recorded")}
			rows = append(rows, r)
			s.widen(r.block, &zone{r.observed, r.observed, r.recorded, r.recorded})
		}
		for range 10 {
			from, to, since := at.Draw(t, "from"), at.Draw(t, "to"), at.Draw(t, "since")
			first, last, any := s.meet(from, to, since)
			for _, r := range rows {
				if r.observed >= from && r.observed < to && r.recorded >= since && (!any || r.block < first || r.block > last) {
					t.Fatalf("%+v is not in %d to %d, %v", r, first, last, any)
				}
			}
			if any && (first > last || last >= int64(len(s.of))) {
				t.Fatalf("%d to %d of %d", first, last, len(s.of))
			}
			block := rapid.Int64Range(0, 14).Draw(t, "asked")
			latest, there := s.latest(block), false
			for _, r := range rows {
				if r.block <= block && r.observed > latest {
					t.Fatalf("%+v was observed after %d", r, latest)
				}
				there = there || r.block <= block && r.observed == latest
			}
			if older := len(rows) > 0 && block >= minBlock(rows, func(r row) int64 { return r.block }); older && !there {
				t.Fatalf("nothing up to block %d was observed at %d", block, latest)
			}
		}
	})
}

func minBlock[T any](rows []T, of func(T) int64) int64 {
	m := of(rows[0])
	for _, r := range rows {
		m = min(m, of(r))
	}
	return m
}
