package sqlite

import (
	"math"
	"sync"

	"zombiezen.com/go/sqlite"
)

// zone is what the records of a block of 1,024 rows span, in microseconds: of observed
// times lo and hi, of recorded times oldest and newest.
type zone struct{ lo, hi, newest, oldest int64 }

// spans mirrors the table zone, which every query with a time asks: reading its rows
// would cost more, the more records there are. Zones only widen, and Commit widens them
// here before the transaction ends, so none is narrower than what a reader's snapshot
// holds.
type spans struct {
	sync.RWMutex
	of   []zone  // by block
	upTo []int64 // latest observed time of this block and all older ones
}

var nothing = zone{lo: math.MaxInt64, hi: math.MinInt64, newest: math.MinInt64, oldest: math.MaxInt64}

// widen takes in what a block spans, too.
func (s *spans) widen(block int64, z *zone) {
	for int64(len(s.of)) <= block {
		latest := int64(math.MinInt64)
		if n := len(s.upTo); n > 0 {
			latest = s.upTo[n-1]
		}
		s.of, s.upTo = append(s.of, nothing), append(s.upTo, latest)
	}
	old := &s.of[block]
	old.lo, old.hi = min(old.lo, z.lo), max(old.hi, z.hi)
	old.newest, old.oldest = max(old.newest, z.newest), min(old.oldest, z.oldest)
	for i := block; i < int64(len(s.upTo)) && s.upTo[i] < old.hi; i++ {
		s.upTo[i] = old.hi
	}
}

// meet returns the first and the last block with a record observed at from <= t < to,
// perhaps, and recorded at since or after.
func (s *spans) meet(from, to, since int64) (first, last int64, any bool) {
	s.RLock()
	defer s.RUnlock()
	for i := range s.of {
		if z := &s.of[i]; z.hi >= from && z.lo < to && z.newest >= since {
			if last = int64(i); !any {
				first, any = last, true
			}
		}
	}
	return first, last, any
}

// latest returns a time after which nothing was observed that the block or an older one
// holds.
func (s *spans) latest(block int64) int64 {
	s.RLock()
	defer s.RUnlock()
	if len(s.upTo) == 0 {
		return math.MinInt64
	}
	return s.upTo[min(block, int64(len(s.upTo)-1))]
}

// loadMirrors reads the tables that are held in memory, the names apart.
func (db *DB) loadMirrors() error {
	if err := db.loadMarkings(); err != nil {
		return err
	}
	return db.loadZones(db.writer)
}

func (db *DB) loadZones(c *sqlite.Conn) error {
	db.spans.Lock()
	defer db.spans.Unlock()
	db.spans.of, db.spans.upTo = nil, nil
	return each(c.Prep("SELECT block, lo, hi, newest, oldest FROM zone ORDER BY block"), func(st *sqlite.Stmt) error {
		db.spans.widen(st.ColumnInt64(0), &zone{st.ColumnInt64(1), st.ColumnInt64(2), st.ColumnInt64(3), st.ColumnInt64(4)})
		return nil
	})
}
