package missing

import "time"

// Travel says how somebody moves.
type Travel string

// The ways of moving.
const (
	Foot      Travel = "foot"
	ByVehicle Travel = "vehicle"
	Water     Travel = "water"
)

// Values lists the ways; the order is no rank.
func (Travel) Values() []string { return []string{string(Foot), string(ByVehicle), string(Water)} }

// Ring is how far somebody can have come who kept up a speed without a turn.
type Ring struct {
	Metres float64 `json:"metres"` // radius around the place where he was last seen; its uncertainty comes on top
	Speed  float64 `json:"speed"`  // metres per second
}

// speeds are in metres per second, slowest first. All are plain assumptions of
// speed, none is a statistic of where lost people were found:
//
//   - foot: 0.5, somebody small, old, hurt or searching his way, with stops; 0.94 and
//     1.43, the lowest and the highest mean of comfortable walking among grown-ups by
//     age and sex (Bohannon and Williams Andrews, Normal walking speed: a descriptive
//     meta-analysis, Physiotherapy 97, 2011).
//   - vehicle: 20, 50 and 80 km/h: a track, a country road, a highway without a stop.
//   - water: a drift of 0.5, 1 and 2 knots, as a current or wind takes a swimmer or a
//     boat without a motor.
//
// The method is the theoretical search area of the IAMSAR Manual, volume II: speed
// by time since last seen.
func (t Travel) speeds() []float64 {
	switch t {
	case Foot:
		return []float64{0.5, 0.94, 1.43}
	case ByVehicle:
		return []float64{20 / 3.6, 50 / 3.6, 80 / 3.6}
	case Water:
		const knot = 1852.0 / 3600
		return []float64{0.5 * knot, 1 * knot, 2 * knot}
	}
	return nil
}

const (
	// walking is how long somebody walks of any 24 hours: the rest is rest.
	walking = 10 * time.Hour
	// widest is the greatest radius that narrows a search: Hispaniola is 650 km long.
	widest = 300_000
)

// Rings returns the search areas at now, nearest first, for somebody who was last
// seen at seen. Rings that would be wider than 300 km are left out: after some hours
// in a vehicle there is none.
func Rings(seen, now time.Time, by Travel) []Ring {
	elapsed := now.Sub(seen)
	if elapsed <= 0 {
		return nil
	}
	if by == Foot {
		const day = 24 * time.Hour
		elapsed = elapsed/day*walking + min(elapsed%day, walking)
	}
	var out []Ring
	for _, v := range by.speeds() {
		if m := v * elapsed.Seconds(); m <= widest {
			out = append(out, Ring{Metres: m, Speed: v})
		}
	}
	return out
}
