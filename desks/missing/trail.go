package missing

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Point is one time at which the person was, or may have been, somewhere.
type Point struct {
	ID         record.ID     `json:"id"` // of the person's record for the place where he was last seen, else of the sighting
	Owner      string        `json:"owner"`
	At         time.Time     `json:"at"`
	Place      *record.Place `json:"place,omitempty"`
	State      string        `json:"state"`
	Confidence Confidence    `json:"confidence,omitempty"`
	Grade      Reliability   `json:"grade,omitempty"`
	Content    Credibility   `json:"content,omitempty"`
	Travel     Travel        `json:"travel,omitempty"`
	Direction  string        `json:"direction,omitempty"`
}

// Trail returns where the person was last seen and the sightings that answer his
// record, in the order in which it happened. Sightings that were discounted and those
// of other people are left out; the same one twice counts once, its newest version.
func Trail(person *record.Record, sightings []*record.Record) ([]Point, error) {
	out := []Point{{ID: person.ID, Owner: person.Owner, At: person.Observed, Place: person.Place, State: person.State}}
	newest := map[record.ID]*record.Record{}
	for _, r := range sightings {
		if r.Kind == "missing.sighting" && answers(r, person.ID) && (newest[r.ID] == nil || newest[r.ID].Version < r.Version) {
			newest[r.ID] = r
		}
	}
	for _, r := range newest {
		if r.State == "discounted" {
			continue
		}
		var s Sighting
		if err := json.Unmarshal(r.Body, &s); err != nil {
			return nil, &record.Error{Code: record.Corrupt, Op: "missing.trail", Message: "the sighting " + r.ID.String() + " cannot be read", Err: err}
		}
		out = append(out, Point{
			ID: r.ID, Owner: r.Owner, At: r.Observed, Place: r.Place, State: r.State,
			Confidence: s.Confidence, Grade: s.Grade, Content: s.Content, Travel: s.Travel, Direction: s.Direction,
		})
	}
	slices.SortFunc(out, func(a, b Point) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return out, nil
}

func answers(r *record.Record, id record.ID) bool {
	return slices.ContainsFunc(r.Links, func(l record.Link) bool { return l.Rel == desk.RelAnswers && l.ID == id })
}
