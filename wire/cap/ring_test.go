package cap

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSelfCrosses(t *testing.T) {
	for name, try := range map[string]struct {
		ring []Point
		want bool
	}{
		"square":                       {[]Point{{0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}}, false},
		"square without its last":      {[]Point{{0, 0}, {1, 0}, {1, 1}, {0, 1}}, false},
		"square with a point twice":    {[]Point{{0, 0}, {1, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}}, false},
		"square with a point on side":  {[]Point{{0, 0}, {0.5, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}}, false},
		"triangle":                     {[]Point{{0, 0}, {1, 0}, {1, 1}, {0, 0}}, false},
		"flat triangle":                {[]Point{{0, 0}, {1, 1}, {2, 2}, {0, 0}}, true},
		"bow tie":                      {[]Point{{0, 0}, {1, 1}, {1, 0}, {0, 1}, {0, 0}}, true},
		"eight that touches":           {[]Point{{0, 0}, {1, 1}, {2, 0}, {2, 2}, {1, 1}, {0, 2}, {0, 0}}, true},
		"corner on another side":       {[]Point{{0, 0}, {2, 0}, {2, 2}, {1, 0}, {0, 2}, {0, 0}}, true},
		"spike out and back":           {[]Point{{0, 0}, {1, 0}, {2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}}, true},
		"spike that goes back further": {[]Point{{0, 0}, {2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}}, true},
		"c":                            {[]Point{{0, 0}, {3, 0}, {3, 1}, {1, 1}, {1, 2}, {3, 2}, {3, 3}, {0, 3}, {0, 0}}, false},
		// The third point is off the first side by less than a product of float64 can tell.
		"nearly on the line": {[]Point{{0.1, 0.1}, {0.3, 0.3}, {0.5, 0.5000000000000001}, {0.1, 0.1}}, false},
		"not a number":       {[]Point{{0, 0}, {math.NaN(), 1}, {2, 2}, {3, math.Inf(1)}}, true},
		"two points":         {[]Point{{0, 0}, {1, 1}, {0, 0}}, false},
		"nothing":            {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			for shift := range max(1, len(try.ring)-1) {
				r := try.ring
				if len(r) > 1 && r[0] == r[len(r)-1] {
					r = slices.Concat(r[shift:len(r)-1], r[:shift], r[shift:shift+1])
				}
				if got := SelfCrosses(r); got != try.want {
					t.Errorf("%v: %v", r, got)
				}
				slices.Reverse(r)
				if got := SelfCrosses(r); got != try.want {
					t.Errorf("the other way round, %v: %v", r, got)
				}
			}
		})
	}
}

// crossesSlowly compares every two sides.
func crossesSlowly(ring []Point) bool {
	r := open(ring)
	for i := range r {
		for k := range i {
			e, o := edge{r[i], r[(i+1)%len(r)], i}, edge{r[k], r[(k+1)%len(r)], k}
			if e.meets(o, len(r)) {
				return true
			}
		}
	}
	return false
}

func TestSelfCrossesComparesAllSidesThatMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coordinate := rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(-6, 6).Draw(t, "coordinate")) / 2 })
		ring := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Point {
			return Point{coordinate.Draw(t, "lon"), coordinate.Draw(t, "lat")}
		}), 3, 12).Draw(t, "ring")
		if got, want := SelfCrosses(ring), len(open(ring)) >= 3 && crossesSlowly(ring); got != want {
			t.Fatalf("%v: %v, by comparing all sides %v", ring, got, want)
		}
	})
}

// coast is a ring of n points with bays and headlands, which does not cross itself.
func coast(n int, seed uint64) []Point {
	rng := rand.New(rand.NewPCG(seed, 1))
	var r []Point
	radius := 1.0
	for i := range n {
		radius = min(max(radius+rng.NormFloat64()*2/math.Sqrt(float64(n))*0.5, 0.3), 3)
		angle := 2 * math.Pi * float64(i) / float64(n)
		r = append(r, Point{-72 + radius*math.Cos(angle), 19 + radius*math.Sin(angle)})
	}
	return append(r, r[0])
}

// covers reports whether p is in the closed ring or within slack of its outline.
func covers(ring []Point, p Point, slack float64) bool {
	in := false
	for i := 1; i < len(ring); i++ {
		a, b := ring[i-1], ring[i]
		dx, dy := b.Lon-a.Lon, b.Lat-a.Lat
		t := 0.0
		if l := dx*dx + dy*dy; l > 0 {
			t = min(1, max(0, ((p.Lon-a.Lon)*dx+(p.Lat-a.Lat)*dy)/l))
		}
		if math.Hypot(a.Lon+t*dx-p.Lon, a.Lat+t*dy-p.Lat) <= slack {
			return true
		}
		if (a.Lat > p.Lat) != (b.Lat > p.Lat) && p.Lon < a.Lon+(p.Lat-a.Lat)*dx/dy {
			in = !in
		}
	}
	return in
}

func checkSimplified(t interface{ Fatalf(string, ...any) }, ring, got []Point, most int) {
	if len(got) > most || got[0] != got[len(got)-1] {
		t.Fatalf("%d points, closed: %v", len(got), got[0] == got[len(got)-1])
	}
	if SelfCrosses(got) {
		t.Fatalf("the ring crosses itself: %v", got)
	}
	for i, p := range ring {
		q := ring[(i+1)%len(ring)]
		for _, p := range []Point{p, {(p.Lon + q.Lon) / 2, (p.Lat + q.Lat) / 2}} {
			if !covers(got, p, 1e-9) {
				t.Fatalf("%v of %v is not in %v", p, ring, got)
			}
		}
	}
	for _, p := range got {
		if !p.onEarth() {
			t.Fatalf("%v is not on earth", p)
		}
	}
}

func TestSimplifyCoversARingWithFewPoints(t *testing.T) {
	for seed := range uint64(20) {
		for _, n := range []int{101, 150, 500, 2000} {
			ring := coast(n, seed)
			if SelfCrosses(ring) {
				t.Fatal("the trial ring crosses itself")
			}
			for _, most := range []int{5, 8, 20, MaxVertices} {
				got := Simplify(ring, most)
				checkSimplified(t, ring, got, most)
				if most == MaxVertices && area(open(got)) > area(open(ring))*1.2 {
					t.Errorf("seed %d, %d points: the area has grown from %.3f to %.3f", seed, n, area(open(ring)), area(open(got)))
				}
			}
		}
	}
}

// TestSimplifyAddsLittle: a round ring becomes the polygon around it, of which the
// regular one is the smallest.
func TestSimplifyAddsLittle(t *testing.T) {
	var round []Point
	for i := range 1000 {
		angle := 2 * math.Pi * float64(i) / 1000
		round = append(round, Point{-72 + math.Cos(angle), 19 + math.Sin(angle)})
	}
	for _, most := range []int{5, 9, 17, 33, MaxVertices} {
		got := Simplify(round, most)
		checkSimplified(t, round, got, most)
		corners := float64(most - 1)
		least := 2 * corners * math.Tan(math.Pi/corners)
		if a := area(open(got)); a > least*1.15 {
			t.Errorf("%d points: the area is %.4f; it could be %.4f", most, a, least)
		}
	}
}

// TestSimplifyOfNarrowRings: what is widened or filled must not run into another
// part of the ring.
func TestSimplifyOfNarrowRings(t *testing.T) {
	var comb, spiral, back []Point
	for i := range 60 {
		x := float64(i) / 10
		comb = append(comb, Point{x, 1 + 0.01*float64(i%7)}, Point{x + 0.01, 0.1}, Point{x + 0.09, 0.1}, Point{x + 0.08, 1.2})
	}
	comb = append(comb, Point{6, 0}, Point{0, 0})
	for i := range 300 {
		angle, radius := float64(i)/15, 0.2+float64(i)/300
		spiral = append(spiral, Point{radius * math.Cos(angle), radius * math.Sin(angle)})
		back = append(back, Point{(radius + 0.12) * math.Cos(angle), (radius + 0.12) * math.Sin(angle)})
	}
	slices.Reverse(back)
	spiral = append(spiral, back...)
	var star []Point
	for i := range 240 {
		angle, radius := 2*math.Pi*float64(i)/240, []float64{0.2, 1, 0.95, 1}[i%4]
		star = append(star, Point{radius * math.Cos(angle), radius * math.Sin(angle)})
	}
	var wall []Point // with battlements that lean back
	for i := range 60 {
		x := float64(4 * i)
		wall = append(wall, Point{x, 1}, Point{x, 4}, Point{x - 1, 4}, Point{x - 1, 3}, Point{x - 2, 3}, Point{x - 2, 5}, Point{x + 1, 5}, Point{x + 1, 1})
	}
	for i := range wall {
		wall[i] = Point{wall[i].Lon / 10, wall[i].Lat / 10}
	}
	wall = append(wall, Point{30, 0.1}, Point{30, 0}, Point{-30, 0}, Point{-30, 0.1})
	for name, ring := range map[string][]Point{"comb": comb, "spiral": spiral, "star": star, "wall": wall} {
		t.Run(name, func(t *testing.T) {
			if SelfCrosses(ring) {
				t.Fatal("the trial ring crosses itself")
			}
			for _, most := range []int{5, 10, 40, MaxVertices} {
				got := Simplify(ring, most)
				checkSimplified(t, ring, got, most)
				slices.Reverse(ring)
				checkSimplified(t, ring, Simplify(ring, most), most)
			}
		})
	}
}

func TestSimplifyOfWhatIsFlatIsAnAreaAround(t *testing.T) {
	for name, ring := range map[string][]Point{
		"line":                   {{1, 1}, {2, 1}, {3, 1}, {4, 1}},
		"line to the pole":       {{1, 88}, {1, 89}, {1, 90}, {1, 88}},
		"two places":             {{1, 1}, {2, 2}, {1, 1}, {2, 2}},
		"the edge of the map":    {{180, 1}, {180, 2}, {180, 3}},
		"slanted":                {{1, 1}, {2, 2}, {3, 3}},
		"cut corners of the map": {{-170, -90}, {170, -90}, {180, -80}, {180, 80}, {170, 90}, {-170, 90}, {-180, 80}, {-180, -80}},
		"the whole of the map":   {{-180, -90}, {0, -90}, {180, -90}, {180, 0}, {180, 90}, {0, 90}, {-180, 90}, {-180, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Simplify(ring, 5)
			checkSimplified(t, ring, got, 5)
			if area(open(got)) <= 0 {
				t.Errorf("%v is not an area", got)
			}
		})
	}
}

func TestSimplifyOfAHugeRingTakesItsHull(t *testing.T) {
	ring := coast(hullFrom+1, 1)
	got := Simplify(ring, MaxVertices)
	checkSimplified(t, ring[:2000], got, MaxVertices)
}

func TestSimplifyLeavesShortRingsAlone(t *testing.T) {
	square := []Point{{0, 0}, {1, 0}, {1, 1}, {0, 1}}
	want := append(slices.Clone(square), square[0])
	for _, ring := range [][]Point{square, want} {
		if got := Simplify(ring, MaxVertices); !slices.Equal(got, want) {
			t.Errorf("%v became %v", ring, got)
		}
	}
}

func TestSimplifyTakesAnyRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.SampledFrom([]float64{0.25, 1, 15}).Draw(t, "scale")
		ring := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Point {
			return Point{scale * float64(rapid.IntRange(-6, 6).Draw(t, "lon")), scale * float64(rapid.IntRange(-6, 6).Draw(t, "lat"))}
		}), 0, 30).Draw(t, "ring")
		most := rapid.IntRange(0, 12).Draw(t, "most")
		got := Simplify(ring, most)
		if len(open(ring)) < 3 {
			if !slices.Equal(got, ring) {
				t.Fatalf("%v became %v", ring, got)
			}
			return
		}
		checkSimplified(t, ring, got, max(most, 5))
	})
}

func BenchmarkSimplify(b *testing.B) {
	ring := coast(5000, 1)
	b.ReportAllocs()
	for b.Loop() {
		Simplify(ring, MaxVertices)
	}
}
