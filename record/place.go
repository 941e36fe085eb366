package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
)

// Place is where something is: as a shape, as an administrative area, as words,
// or any of these together. Streets here often have no name.
type Place struct {
	Geometry    *Geometry `json:"geometry,omitempty"`    // GeoJSON (RFC 7946), WGS 84, longitude first
	Uncertainty float64   `json:"uncertainty,omitempty"` // radius in metres within which it really is; 0 means not known
	PCode       string    `json:"pcode,omitempty"`       // administrative code, e.g. "HT0111"
	Edition     string    `json:"edition,omitempty"`     // the boundary edition that the code is from
	Words       string    `json:"words,omitempty"`       // "behind the market, by the blue church"
}

// Geometry is a GeoJSON geometry of RFC 7946 §3.1, except GeometryCollection.
type Geometry struct {
	Type        string          `json:"type"`
	Coordinates json.RawMessage `json:"coordinates"`
}

// Point makes a point geometry. lon and lat are degrees.
func Point(lon, lat float64) *Geometry {
	return &Geometry{Type: "Point", Coordinates: fmt.Appendf(nil, "[%g,%g]", lon, lat)}
}

// Box is a bounding box in degrees: west, south, east, north.
type Box struct{ W, S, E, N float64 }

// Center returns the middle of the box.
func (b Box) Center() (lon, lat float64) { return (b.W + b.E) / 2, (b.S + b.N) / 2 }

// Meets reports whether the two boxes share a point. A box whose W is greater
// than its E crosses the antimeridian.
func (b Box) Meets(o Box) bool {
	if b.S > o.N || o.S > b.N {
		return false
	}
	if b.W > b.E {
		return o.E >= b.W || o.W <= b.E
	}
	return b.W <= o.E && o.W <= b.E
}

// MaxVertices bounds one geometry.
const MaxVertices = 10_000

var depth = map[string]int{"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}

// Bounds checks the geometry and returns its box. The error names what is
// wrong; a latitude over 90 with a plausible longitude is named as a swap.
func (g *Geometry) Bounds() (Box, error) {
	d, ok := depth[g.Type]
	if !ok {
		return Box{}, fmt.Errorf("geometry type %.30q is not one of Point, LineString, Polygon or their Multi forms", g.Type)
	}
	s := scan{b: g.Coordinates, box: Box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}}
	if err := s.array(d, g.Type); err != nil {
		return Box{}, err
	}
	s.space()
	if s.i != len(s.b) {
		return Box{}, fmt.Errorf("coordinates do not fit a %s", g.Type)
	}
	if s.n == 0 {
		return Box{}, fmt.Errorf("a geometry needs at least one position")
	}
	return s.box, nil
}

// scan reads nested arrays of positions without building them.
type scan struct {
	b   []byte
	i   int
	n   int
	box Box
}

func (s *scan) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *scan) byte(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scan) number() (float64, bool) {
	s.space()
	j := s.i
	for j < len(s.b) && (s.b[j] >= '0' && s.b[j] <= '9' || bytes.IndexByte([]byte("+-.eE"), s.b[j]) >= 0) {
		j++
	}
	var v float64
	if err := json.Unmarshal(s.b[s.i:j], &v); err != nil {
		return 0, false
	}
	s.i = j
	return v, true
}

func (s *scan) array(d int, typ string) error {
	bad := fmt.Errorf("coordinates do not fit a %s", typ)
	if !s.byte('[') {
		return bad
	}
	if d == 0 {
		lon, ok1 := s.number()
		if !ok1 || !s.byte(',') {
			return bad
		}
		lat, ok2 := s.number()
		if !ok2 {
			return bad
		}
		if s.byte(',') { // altitude, allowed and not used
			if _, ok := s.number(); !ok {
				return bad
			}
		}
		if !s.byte(']') {
			return bad
		}
		if math.Abs(lat) > 90 && math.Abs(lat) <= 180 && math.Abs(lon) <= 90 {
			return fmt.Errorf("latitude %g is out of range; longitude comes first: are they swapped?", lat)
		}
		if math.Abs(lat) > 90 {
			return fmt.Errorf("latitude %g is out of range (-90 to 90)", lat)
		}
		if math.Abs(lon) > 180 {
			return fmt.Errorf("longitude %g is out of range (-180 to 180)", lon)
		}
		s.box = Box{math.Min(s.box.W, lon), math.Min(s.box.S, lat), math.Max(s.box.E, lon), math.Max(s.box.N, lat)}
		if s.n++; s.n > MaxVertices {
			return fmt.Errorf("a geometry may have at most %d positions", MaxVertices)
		}
		return nil
	}
	start := s.n
	first := s.i
	if !s.byte(']') {
		for {
			if err := s.array(d-1, typ); err != nil {
				return err
			}
			if s.byte(']') {
				break
			}
			if !s.byte(',') {
				return bad
			}
		}
	}
	if d > 0 && s.n == start {
		return fmt.Errorf("a %s has an empty part", typ)
	}
	if d == 1 && (typ == "LineString" || typ == "MultiLineString") && s.n-start < 2 {
		return fmt.Errorf("a line needs at least 2 positions")
	}
	if d == 1 && (typ == "Polygon" || typ == "MultiPolygon") {
		if s.n-start < 4 {
			return fmt.Errorf("a ring needs at least 4 positions")
		}
		var ring [][]float64
		if json.Unmarshal(s.b[first-1:s.i], &ring) == nil {
			a, z := ring[0], ring[len(ring)-1]
			if a[0] != z[0] || a[1] != z[1] {
				return fmt.Errorf("a ring must end where it begins")
			}
		}
	}
	return nil
}

var pcode = regexp.MustCompile(`^[A-Z]{2,3}[A-Z0-9]{0,12}$`)

// Check returns what is wrong with p.
func (p *Place) Check() Fields {
	var f Fields
	if p.Geometry != nil {
		if _, err := p.Geometry.Bounds(); err != nil {
			f.Add("place.geometry", "geometry", err.Error())
		}
	}
	if p.Uncertainty < 0 || p.Uncertainty > 20_000_000 || math.IsNaN(p.Uncertainty) {
		f.Add("place.uncertainty", "range", "must be metres, from 0 to 20,000,000")
	}
	if p.PCode != "" && !pcode.MatchString(p.PCode) {
		f.Add("place.pcode", "invalid", "not an administrative code such as HT0111")
	}
	f.text("place.edition", p.Edition, 60)
	f.text("place.words", p.Words, MaxWords)
	return f
}
