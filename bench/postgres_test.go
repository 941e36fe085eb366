package bench

import (
	"math"
	"testing"
	"time"

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

func TestCapacityIsMeasured(t *testing.T) {
	o := Options{Binary: built(t), Postgres: pgtest.URL(t), Log: t.Output()}
	rows, err := measureCapacity(t.Context(), t.TempDir(), o, capacityLoad{
		records: []int{300, 600, 900}, turns: []int{20, 40, 60}, among: 5000, pages: []int{40, 80, 120}, readers: []int{0, 10, 20}, seconds: 1,
		positions: []int{1000, 2000, 3000}, backlogs: []int{200, 400, 600}, idle: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 14 {
		t.Errorf("%d rows", len(rows))
	}
	for _, r := range rows { // on so little a slope may be anything
		if math.IsNaN(r.Value) || r.Unit == "" || r.Method == "" {
			t.Errorf("%+v", r)
		}
		t.Logf("%s: %.3g %s", r.Name, r.Value, r.Unit)
	}
}

func TestLineIsFitted(t *testing.T) {
	// Worked by hand: the squares of what is off sum up to 0.036.
	l := fit([][2]float64{{1, 2}, {2, 4.1}, {3, 5.9}, {4, 8.1}, {5, 9.9}})
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"slope", l.each, 1.98}, {"intercept", l.base, 0.06}, {"deviation", l.off, 0.1095}, {"interval of the slope", l.eachErr, 0.1102}} {
		if math.Abs(c.got-c.want) > 0.001 {
			t.Errorf("%s is %.4f, not %.4f", c.name, c.got, c.want)
		}
	}
	if y, e := l.at(3); math.Abs(y-6) > 1e-9 || math.Abs(e-3.182*0.1095/math.Sqrt(5)) > 0.001 {
		t.Errorf("at the middle: %.3f ± %.3f", y, e)
	}
}
