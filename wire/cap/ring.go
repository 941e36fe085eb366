package cap

import (
	"cmp"
	"math"
	"math/big"
	"slices"
)

// SelfCrosses reports whether the outline of a ring meets itself: two edges
// cross, touch or run over each other, or a corner stands twice. The ring may
// repeat its first point at the end, and points that follow themselves count
// once. Degrees are taken as a plane, without the antimeridian.
func SelfCrosses(ring []Point) bool {
	r := open(ring)
	if len(r) < 3 {
		return false
	}
	edges := make([]edge, len(r))
	for i := range r {
		edges[i] = edge{a: r[i], b: r[(i+1)%len(r)], i: i}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.west(), b.west()) })
	var active []edge
	for _, e := range edges {
		kept := active[:0]
		for _, o := range active {
			if o.east() < e.west() {
				continue
			}
			kept = append(kept, o)
			if e.meets(o, len(r)) {
				return true
			}
		}
		active = append(kept, e)
	}
	return false
}

// open returns a ring without the repeated first point and without points that
// follow themselves.
func open(ring []Point) []Point {
	r := slices.Compact(slices.Clone(ring))
	for len(r) > 1 && r[0] == r[len(r)-1] {
		r = r[:len(r)-1]
	}
	return r
}

// An edge is the i-th side of a ring.
type edge struct {
	a, b Point
	i    int
}

func (e edge) west() float64 { return min(e.a.Lon, e.b.Lon) }
func (e edge) east() float64 { return max(e.a.Lon, e.b.Lon) }

// meets reports whether two sides of a ring of n have more in common than the
// corner between neighbours.
func (e edge) meets(o edge, n int) bool {
	switch {
	case (e.i+1)%n == o.i:
		return back(e.a, e.b, o.b)
	case (o.i+1)%n == e.i:
		return back(o.a, o.b, e.b)
	}
	return segmentsMeet(e.a, e.b, o.a, o.b)
}

// back reports whether the way from a to b goes on to c over itself.
func back(a, b, c Point) bool {
	return side(a, b, c) == 0 && (a.Lon-b.Lon)*(c.Lon-b.Lon)+(a.Lat-b.Lat)*(c.Lat-b.Lat) > 0
}

// segmentsMeet reports whether two segments have a point in common.
func segmentsMeet(a, b, c, d Point) bool {
	if max(a.Lat, b.Lat) < min(c.Lat, d.Lat) || max(c.Lat, d.Lat) < min(a.Lat, b.Lat) ||
		max(a.Lon, b.Lon) < min(c.Lon, d.Lon) || max(c.Lon, d.Lon) < min(a.Lon, b.Lon) {
		return false
	}
	return side(a, b, c)*side(a, b, d) <= 0 && side(c, d, a)*side(c, d, b) <= 0
}

// side says on which side of the line from a to b the point c is: 1 left, -1
// right, 0 on it. It is exact (after Shewchuk, Adaptive Precision Floating-Point
// Arithmetic, 1997, §4.2).
func side(a, b, c Point) int {
	east, north, toEast, toNorth := b.Lon-a.Lon, b.Lat-a.Lat, c.Lon-a.Lon, c.Lat-a.Lat
	if (east == 0 || toNorth == 0) && (north == 0 || toEast == 0) {
		return 0
	}
	left, right := east*toNorth, north*toEast
	const bound = 3.3306690738754716e-16 // (3 + 16ε)ε with ε = 2^-53
	if d := left - right; math.Abs(d) > bound*(math.Abs(left)+math.Abs(right)) {
		return cmp.Compare(d, 0)
	}
	exact := func(f float64) *big.Rat { return new(big.Rat).SetFloat64(f) }
	if exact(a.Lon) == nil || exact(a.Lat) == nil || exact(b.Lon) == nil || exact(b.Lat) == nil || exact(c.Lon) == nil || exact(c.Lat) == nil {
		return 0 // not a number
	}
	minus := func(x, y float64) *big.Rat { return new(big.Rat).Sub(exact(x), exact(y)) }
	l := new(big.Rat).Mul(minus(b.Lon, a.Lon), minus(c.Lat, a.Lat))
	return l.Cmp(new(big.Rat).Mul(minus(b.Lat, a.Lat), minus(c.Lon, a.Lon)))
}

// area is twice the area of an open ring in square degrees: positive when it
// runs against the clock.
func area(r []Point) float64 {
	sum := 0.0
	for i := range r {
		p, q := r[i], r[(i+1)%len(r)]
		sum += (p.Lon-r[0].Lon)*(q.Lat-r[0].Lat) - (q.Lon-r[0].Lon)*(p.Lat-r[0].Lat)
	}
	return sum
}
