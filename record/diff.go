package record

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
)

// Change is one difference between two versions, for a person to read.
// From or To is nil where the value was not there.
type Change struct {
	Path string          `json:"path"` // "body.severity", "marking.to", "state"
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
}

// skipped are the header fields that differ in every version and say nothing.
var skipped = []string{"version", "recorded", "author", "command", "note"}

// Diff lists what changed from a to b, ordered by path. Objects are compared
// member by member, lists as a whole.
func Diff(a, b *Record) ([]Change, error) {
	x, err := tree(a)
	if err != nil {
		return nil, err
	}
	y, err := tree(b)
	if err != nil {
		return nil, err
	}
	var out []Change
	diff("", x, y, &out)
	out = slices.DeleteFunc(out, func(c Change) bool { return slices.Contains(skipped, c.Path) })
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

func tree(r *Record) (json.RawMessage, error) {
	if r == nil {
		return nil, nil
	}
	return json.Marshal(r)
}

func diff(path string, a, b json.RawMessage, out *[]Change) {
	if bytes.Equal(a, b) {
		return
	}
	var x, y map[string]json.RawMessage
	ea, eb := json.Unmarshal(a, &x), json.Unmarshal(b, &y)
	if (ea != nil && a != nil) || (eb != nil && b != nil) || (x == nil && y == nil) {
		*out = append(*out, Change{path, a, b})
		return
	}
	for k := range x {
		diff(join(path, k), x[k], y[k], out)
	}
	for k := range y {
		if _, both := x[k]; !both {
			diff(join(path, k), nil, y[k], out)
		}
	}
}

func join(path, k string) string {
	if path == "" {
		return k
	}
	return path + "." + k
}
