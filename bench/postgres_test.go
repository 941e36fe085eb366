package bench

import (
	"testing"

	"konbit/store/postgres/pgtest"
)

// Figures on little: that each row is made, and that what it is made of is correct
// (nothing lost, nothing twice, both engines answer the same). Times are for a quiet
// machine and a long run.
func TestPostgresFiguresAreMadeOfACorrectNode(t *testing.T) {
	o := Options{Binary: built(t), Postgres: pgtest.URL(t), Log: t.Output()}
	rows, err := measurePostgres(t.Context(), t.TempDir(), o, postgresLoad{
		commits:  commitLoad{records: 1000, givers: 32, turns: 1},
		records:  20_000,
		pages:    120,
		failover: failoverLoad{kills: 1, writers: 4, readers: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	made(t, rows, 9)
}
