// Package transfer brings data in and takes it out: it turns rows of a file into
// drafts of records by a mapping, hands them to a sink in batches, and writes
// records back as CSV, XLSX, NDJSON or GeoJSON.
//
// An import can be stopped and resumed, and repeated without harm: a draft's
// identifier is derived from its natural key. A row that cannot be taken is
// refused with its reason and the rest goes on. What a draft becomes is decided
// by the sink, which is a node's intake or another node over HTTP: this package
// must not write to a store, decide rights, or know a kind by name.
package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"sort"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Draft is a record before an owner has accepted it: one line of the bulk API.
type Draft struct {
	Line        int                 `json:"-"` // of the source, for messages
	ID          record.ID           `json:"id"`
	Key         string              `json:"key,omitempty"`
	Observed    time.Time           `json:"observed"`
	Marking     record.Marking      `json:"marking"`
	Place       *record.Place       `json:"place,omitempty"`
	Flags       []string            `json:"flags,omitempty"`
	Links       []record.Link       `json:"links,omitempty"`
	Attachments []record.Attachment `json:"attachments,omitempty"`
	Body        json.RawMessage     `json:"body"`            // canonical, as Kind.Decode returned it
	State       string              `json:"state,omitempty"` // where the workflow should take it; "" is the start
	Note        string              `json:"note,omitempty"`
}

// Status says what became of a draft.
type Status string

// The statuses.
const (
	Created   Status = "created"
	Unchanged Status = "unchanged" // the same record with the same content was there
	Updated   Status = "updated"
	Refused   Status = "refused" // Outcome.Err says why
)

// Outcome is the answer to one draft.
type Outcome struct {
	Status Status
	Err    error // when Refused
}

// Sink takes drafts. It answers each of them, in order: len(outcomes) equals
// len(drafts) when err is nil. An error means that nothing is known of any of
// them; the caller may Put the same drafts again. At most 1,000 at a time.
type Sink interface {
	Put(ctx context.Context, kind, agency string, drafts []Draft) ([]Outcome, error)
}

// MaxBatch bounds the drafts of one Put.
const MaxBatch = 1000

// DeriveID makes the identifier of a record from where it came from, so that
// the same row always names the same record. It has the form of a UUIDv7 (RFC
// 9562 §5.7): observed gives the time, SHA-256 over agency, kind and key the
// rest. When a row's observed time is corrected at its source, its identifier
// changes while its key does not: a sink that must tell looks at the key.
func DeriveID(agency, kind, key string, observed time.Time) record.ID {
	h := sha256.New()
	for _, s := range []string{agency, kind, key} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	ms := min(max(observed.UnixMilli(), 0), 1<<48-1)
	var id record.ID
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	copy(id[6:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Commands finds the shortest list of workflow commands that takes a record of
// the kind from one state to another; of equally short ones the first by name.
// Commands that need arguments are not used. ok is false when there is no way.
func Commands(kind *desk.Kind, from, to string) (commands []string, ok bool) {
	type step struct {
		state string
		path  []string
	}
	seen := map[string]bool{from: true}
	for queue := []step{{from, nil}}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if s.state == to {
			return s.path, true
		}
		names := make([]string, 0, len(kind.Flow[s.state]))
		for c := range kind.Flow[s.state] {
			names = append(names, c)
		}
		sort.Strings(names)
		for _, c := range names {
			next := kind.Flow[s.state][c]
			needs := slices.ContainsFunc(kind.Args(c), func(f desk.Field) bool { return f.Required })
			if !seen[next] && !needs {
				seen[next] = true
				queue = append(queue, step{next, append(slices.Clone(s.path), c)})
			}
		}
	}
	return nil, false
}
