package transfer

import (
	"encoding/json"

	"konbit/desk"
	"konbit/record"
)

// Properties writes a record as the properties of a GeoJSON feature: flat, the
// header's members first, then the body's fields by dotted path under the names
// of Columns. What a record does not have is left out.
func Properties(kind *desk.Kind, r *record.Record) (json.RawMessage, error) {
	if r.Place == nil {
		c := *r
		c.Place = &record.Place{}
		r = &c
	}
	return properties(kind, r)
}

// Column returns the name under which Columns and Properties have a body field.
func Column(path string) string { return fieldColumn(path) }
