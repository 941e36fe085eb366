package alert

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"konbit/record"
	"konbit/wire/cap"
)

// Limits of a place: every text of the message repeats its polygons, and the work of
// cap.Simplify grows with the square of the positions.
const (
	maxRings     = 40
	maxPositions = 4000
)

// An outline is the shape of a place in CAP, and what is wrong with it.
type outline struct {
	rings   [][]cap.Point
	circles []cap.Circle
	wrong   record.Fields
}

// outlineOf takes the outer rings of a place, of at most cap.MaxVertices points each, or a
// circle. Holes are filled. A ring that cap.Simplify cannot take is as it was drawn:
// cap.Check says what is wrong with it.
func outlineOf(p *record.Place) (o outline) {
	if p == nil || p.Geometry == nil {
		return o
	}
	g := p.Geometry
	if _, err := g.Bounds(); err != nil {
		o.wrong.Add("place.geometry", "geometry", err.Error())
		return o
	}
	var parts [][][][]float64
	switch g.Type {
	case "Point":
		var at []float64
		if err := json.Unmarshal(g.Coordinates, &at); err != nil {
			break
		}
		if !(p.Uncertainty > 0) {
			o.wrong.Add("place.uncertainty", "required", "say how far around the point it is, in metres")
			return o
		}
		o.circles = []cap.Circle{{Center: cap.Point{Lon: at[0], Lat: at[1]}, Radius: math.Ceil(p.Uncertainty) / 1000}}
		return o
	case "Polygon":
		parts = make([][][][]float64, 1)
		if err := json.Unmarshal(g.Coordinates, &parts[0]); err != nil {
			parts = nil
		}
	case "MultiPolygon":
		if err := json.Unmarshal(g.Coordinates, &parts); err != nil {
			parts = nil
		}
	}
	switch {
	case len(parts) == 0:
		o.wrong.Add("place.geometry", "shape", "draw an area, or a point with how far around it")
	case len(parts) > maxRings:
		o.wrong.Add("place.geometry", "max", fmt.Sprintf("at most %d polygons", maxRings))
		parts = parts[:maxRings]
	}
	n := 0
	for _, part := range parts {
		if n += len(part[0]); n > maxPositions {
			o.wrong.Add("place.geometry", "max", fmt.Sprintf("at most %d positions: draw it more simply", maxPositions))
			return o
		}
		var ring []cap.Point
		for _, at := range part[0] {
			ring = append(ring, cap.Point{Lon: at[0], Lat: at[1]})
		}
		o.rings = append(o.rings, simple(ring)...)
	}
	return o
}

// simple is a ring in rings that are short enough, to the metre where that leaves them whole.
func simple(ring []cap.Point) [][]cap.Point {
	if r := rounded(ring); whole(r) {
		ring = r
	}
	rings := [][]cap.Point{ring}
	if !whole(ring) {
		if rings = split(ring); rings == nil {
			return [][]cap.Point{ring}
		}
	}
	for k, r := range rings {
		s := cap.Simplify(r, cap.MaxVertices)
		if r := rounded(s); whole(r) {
			s = r
		}
		rings[k] = s
	}
	return rings
}

// Limits of split: its work grows with the square of the points.
const (
	splitPoints = 1000
	splitTimes  = 20
	splitShare  = 0.1
)

// split cuts a closed ring where it crosses itself: the boundaries that agencies hand out do
// that in places. Together the rings cover what it covers. It returns nil when a part of it
// is more than a tenth of the whole: then it was drawn wrongly.
func split(ring []cap.Point) (out [][]cap.Point) {
	if len(ring) > splitPoints {
		return nil
	}
	left, most := [][]cap.Point{ring[:len(ring)-1]}, splitShare*area(ring)
	for n := 0; len(left) > 0; n++ {
		r := left[len(left)-1]
		left = left[:len(left)-1]
		i, j, at := crossing(r)
		if i < 0 {
			if closed := append(slices.Clone(r), r[0]); whole(closed) {
				out = append(out, closed)
			} else if area(r) > most/splitPoints {
				return nil
			}
			continue
		}
		one := slices.Concat(r[:i+1], []cap.Point{at}, r[j+1:])
		two := slices.Concat([]cap.Point{at}, r[i+1:j+1])
		if n >= splitTimes || min(area(one), area(two)) > most {
			return nil
		}
		left = append(left, one, two)
	}
	return out
}

// crossing finds two sides of an open ring, i before j, that meet though they are no
// neighbours, and where; i is -1 for none.
func crossing(r []cap.Point) (i, j int, at cap.Point) {
	for i := range r {
		for j := i + 2; j < len(r) && j-i < len(r)-1; j++ {
			a, b, c, d := r[i], r[i+1], r[j], r[(j+1)%len(r)]
			ux, uy, vx, vy := b.Lon-a.Lon, b.Lat-a.Lat, d.Lon-c.Lon, d.Lat-c.Lat
			wx, wy := c.Lon-a.Lon, c.Lat-a.Lat
			cross := ux*vy - uy*vx
			if cross == 0 { // side by side: a corner of the one may lie on the other
				continue
			}
			s, t := (wx*vy-wy*vx)/cross, (wx*uy-wy*ux)/cross
			if s >= 0 && s <= 1 && t >= 0 && t <= 1 {
				return i, j, cap.Point{Lon: a.Lon + s*ux, Lat: a.Lat + s*uy}
			}
		}
	}
	return -1, -1, cap.Point{}
}

// area of a ring in square degrees.
func area(r []cap.Point) float64 {
	sum := 0.0
	for i := range r {
		p, q := r[i], r[(i+1)%len(r)]
		sum += (p.Lon-r[0].Lon)*(q.Lat-r[0].Lat) - (q.Lon-r[0].Lon)*(p.Lat-r[0].Lat)
	}
	return math.Abs(sum) / 2
}

// whole reports whether a closed ring has an inside, does not cross itself, and does not
// cross the antimeridian.
func whole(ring []cap.Point) bool {
	for k := 1; k < len(ring); k++ {
		if math.Abs(ring[k].Lon-ring[k-1].Lon) > 180 {
			return false
		}
	}
	return len(slices.Compact(slices.Clone(ring))) >= 4 && !cap.SelfCrosses(ring)
}

// rounded has positions of five places: a metre.
func rounded(ring []cap.Point) []cap.Point {
	near := func(f float64) float64 { return math.Round(f*1e5) / 1e5 }
	out := make([]cap.Point, len(ring))
	for k, p := range ring {
		out[k] = cap.Point{Lon: near(p.Lon), Lat: near(p.Lat)}
	}
	return out
}
