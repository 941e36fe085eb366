package cap

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
)

// MaxVertices is how many points a polygon should have at most, the repeated
// last one among them: more are refused by systems that send alerts on.
const MaxVertices = 100

// hullFrom is from how many points on a ring is first taken as its convex hull:
// the work grows with the square.
const hullFrom = 20_000

// Simplify returns a closed ring of at most most points, not under 5, that covers
// the ring and does not cross itself. It fills bays and widens corners where that
// adds the least area. A ring that is short enough is only closed; one that
// crosses itself becomes its convex hull. The ring must not cross the
// antimeridian.
func Simplify(ring []Point, most int) []Point {
	r := open(ring)
	most = max(most, 5) - 1
	if len(r) < 3 {
		return slices.Clone(ring)
	}
	if len(r) > hullFrom || SelfCrosses(r) {
		r = hull(r)
	}
	if len(r) > most {
		if area(r) < 0 {
			slices.Reverse(r)
		}
		r = reduced(r, most)
	}
	return append(r, r[0])
}

// reduced returns a ring of most points around one that runs against the clock.
// It tries to fill bays first and widen corners only then, and to do both from
// the beginning: which adds less depends on the ring.
func reduced(r []Point, most int) []Point {
	var best []Point
	for _, widen := range []bool{false, true} {
		s := newSimplifier(r, widen)
		s.reduce(most)
		if !widen && s.n > most {
			s = newSimplifier(s.ring(), true)
			s.reduce(most)
		}
		got := s.ring()
		if len(got) > most {
			// What is left has no corner that can go: take what is around it.
			got = box(got)
		}
		if best == nil || area(got) < area(best) {
			best = got
		}
	}
	return best
}

// hull is the convex hull, against the clock (Andrew's monotone chain).
func hull(points []Point) []Point {
	p := slices.Clone(points)
	slices.SortFunc(p, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Lon, b.Lon), cmp.Compare(a.Lat, b.Lat))
	})
	p = slices.Compact(p)
	if len(p) < 3 {
		return box(p)
	}
	var out []Point
	for _, half := range []bool{false, true} {
		from := len(out)
		for _, q := range p {
			for len(out) >= from+2 && side(out[len(out)-2], out[len(out)-1], q) <= 0 {
				out = out[:len(out)-1]
			}
			out = append(out, q)
		}
		out = out[:len(out)-1]
		if !half {
			slices.Reverse(p)
		}
	}
	if len(out) < 3 {
		return box(out)
	}
	return out
}

// box is the rectangle around points, against the clock, a metre wide at least.
func box(points []Point) []Point {
	const metre = 1e-5
	lo, hi := points[0], points[0]
	for _, p := range points {
		lo = Point{min(lo.Lon, p.Lon), min(lo.Lat, p.Lat)}
		hi = Point{max(hi.Lon, p.Lon), max(hi.Lat, p.Lat)}
	}
	if hi.Lon-lo.Lon < metre {
		lo.Lon, hi.Lon = max(lo.Lon-metre, -180), min(hi.Lon+metre, 180)
	}
	if hi.Lat-lo.Lat < metre {
		lo.Lat, hi.Lat = max(lo.Lat-metre, -90), min(hi.Lat+metre, 90)
	}
	return []Point{lo, {hi.Lon, lo.Lat}, hi, {lo.Lon, hi.Lat}}
}

// A simplifier takes corners out of a ring that runs against the clock. The ring
// is a list: next and prev are indexes.
type simplifier struct {
	at         []Point
	next, prev []int32
	age        []int32 // grows with each change around a corner
	n          int
	first      int32
	widen      bool // not only fill bays
	queue      steps
}

// A step takes the corner i out: by filling the bay whose bottom it is, or, when
// widen is set, by moving it to to and taking out the one behind it.
type step struct {
	i     int32
	age   int32
	widen bool
	to    Point
	cost  float64
}

type steps []step

func (s steps) Len() int           { return len(s) }
func (s steps) Less(a, b int) bool { return s[a].cost < s[b].cost }
func (s steps) Swap(a, b int)      { s[a], s[b] = s[b], s[a] }
func (s *steps) Push(x any)        { *s = append(*s, x.(step)) }
func (s *steps) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

func newSimplifier(r []Point, widen bool) *simplifier {
	s := &simplifier{widen: widen, at: slices.Clone(r), next: make([]int32, len(r)), prev: make([]int32, len(r)), age: make([]int32, len(r)), n: len(r)}
	for i := range r {
		s.next[i], s.prev[i] = int32((i+1)%len(r)), int32((i+len(r)-1)%len(r))
	}
	for i := range r {
		s.offer(int32(i))
	}
	return s
}

// reduce takes out corners, the cheapest first, until most are left or none can go.
func (s *simplifier) reduce(most int) {
	for before := 0; s.n > most && s.n != before; {
		before = s.n
		s.round(most)
		// What was in the way of some may be gone.
		s.queue = s.queue[:0]
		for i, k := s.first, 0; k < s.n; i, k = s.next[i], k+1 {
			s.offer(i)
		}
	}
}

func (s *simplifier) round(most int) {
	for s.n > most && len(s.queue) > 0 {
		st := heap.Pop(&s.queue).(step)
		if s.age[st.i] != st.age || !s.free(st) {
			continue
		}
		if st.widen {
			s.at[st.i] = st.to
			s.unlink(s.next[st.i])
		} else {
			s.unlink(st.i)
			st.i = s.prev[st.i]
		}
		// Everything that was worked out from these corners has changed.
		i := s.prev[s.prev[st.i]]
		for range 6 {
			s.age[i]++
			s.offer(i)
			i = s.next[i]
		}
	}
}

func (s *simplifier) unlink(i int32) {
	s.next[s.prev[i]], s.prev[s.next[i]] = s.next[i], s.prev[i]
	s.age[i] = -1
	s.n--
	s.first = s.prev[i]
}

func (s *simplifier) ring() []Point {
	out := make([]Point, 0, s.n)
	for i, k := s.first, 0; k < s.n; i, k = s.next[i], k+1 {
		out = append(out, s.at[i])
	}
	return out
}

// offer puts the steps at a corner into the queue.
func (s *simplifier) offer(i int32) {
	a, b, c := s.at[s.prev[i]], s.at[i], s.at[s.next[i]]
	if side(a, b, c) <= 0 { // a bay, or a point on a straight line
		heap.Push(&s.queue, step{i: i, age: s.age[i], cost: -area([]Point{a, b, c})})
		return
	}
	if !s.widen {
		return
	}
	d := s.at[s.next[s.next[i]]]
	if to, ok := corner(a, b, c, d); ok {
		heap.Push(&s.queue, step{i: i, age: s.age[i], widen: true, to: to, cost: area([]Point{b, to, c})})
	}
}

// corner is where the sides a-b and d-c, made longer, meet outside of b-c.
func corner(a, b, c, d Point) (Point, bool) {
	if side(b, c, d) <= 0 {
		return Point{}, false
	}
	ux, uy, vx, vy := b.Lon-a.Lon, b.Lat-a.Lat, c.Lon-d.Lon, c.Lat-d.Lat
	cross := ux*vy - uy*vx
	if cross >= 0 {
		return Point{}, false // they run apart
	}
	t := ((c.Lon-b.Lon)*vy - (c.Lat-b.Lat)*vx) / cross
	p := Point{b.Lon + t*ux, b.Lat + t*uy}
	// A little further out, so that what is cut off in writing does not uncover b or c.
	p.Lon += (p.Lon-(b.Lon+c.Lon)/2)*1e-6 + math.Copysign(1e-12, p.Lon-(b.Lon+c.Lon)/2)
	p.Lat += (p.Lat-(b.Lat+c.Lat)/2)*1e-6 + math.Copysign(1e-12, p.Lat-(b.Lat+c.Lat)/2)
	ok := p.onEarth() && side(a, p, b) >= 0 && side(p, d, c) >= 0 && side(b, c, p) < 0
	return p, ok
}

// free reports whether a step leaves the ring without crossings: its new sides
// meet no other.
func (s *simplifier) free(st step) bool {
	a, c := s.prev[st.i], s.next[st.i]
	if !st.widen {
		return s.clear(s.at[a], s.at[c], a, c)
	}
	d := s.next[c]
	return s.clear(s.at[a], st.to, a, d) && s.clear(st.to, s.at[d], a, d)
}

// clear reports whether the new side p-q meets none of the sides from the corner
// first on to the corner last, but where it begins or ends in these corners.
func (s *simplifier) clear(p, q Point, last, first int32) bool {
	for i := first; i != last; i = s.next[i] {
		x, y := s.at[i], s.at[s.next[i]]
		switch {
		case i == first && q == x:
			if back(p, q, y) {
				return false
			}
		case s.next[i] == last && p == y:
			if back(q, p, x) {
				return false
			}
		case segmentsMeet(p, q, x, y):
			return false
		}
	}
	return true
}
