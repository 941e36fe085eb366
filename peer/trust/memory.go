package trust

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"time"

	"konbit/record"
	"konbit/store"
)

// The settings of the store under which trust keeps what is no node and no
// agency.
const (
	cardValue      = "trust.card"
	stateValue     = "trust.state"
	directoryValue = "trust.directory"
	nextValue      = "trust.directory.next" // that is being applied
)

// memory is what the tables do not hold. It is written before the ledger entry
// that rests on it, in such a way that doing the same again is right when the
// entry was never written.
type memory struct {
	Invitations []invitation      `json:"invitations,omitempty"`
	Region      *region           `json:"region,omitempty"` // ours; nil: none
	Routes      map[string]route  `json:"routes,omitempty"` // by node: what its card does not say
	Offers      map[string][]byte `json:"offers,omitempty"` // by node: a card with a key that we do not trust yet

	dir  *SignedDirectory // kept by itself: it is large
	next *SignedDirectory // that was being applied when the node stopped
}

// An invitation that was given out. The secret is of use to who has it until
// Expires, to join and to nothing else; approval is a person's.
type invitation struct {
	Secret  []byte    `json:"secret"`
	Region  bool      `json:"region,omitempty"`
	Expires time.Time `json:"expires"`
	By      string    `json:"by"`
	Node    string    `json:"node,omitempty"` // that used it; it alone may ask again, when the answer was lost
}

// region is the region whose directory this node believes.
type region struct {
	Name string            `json:"name"`
	Key  ed25519.PublicKey `json:"key"`
}

// A route says how to reach a node.
type route struct {
	URLs  []string `json:"urls,omitempty"`
	Via   string   `json:"via,omitempty"`
	Fixed bool     `json:"fixed,omitempty"` // an administrator said so; else URLs come beside those of the card
}

func (m *memory) load(ctx context.Context, st store.Store) error {
	b, err := st.Value(ctx, stateValue)
	if err != nil {
		return err
	}
	if b != nil {
		if err := json.Unmarshal(b, m); err != nil {
			return &record.Error{Code: record.Corrupt, Op: "trust", Message: "the setting " + stateValue + " cannot be read", Err: err}
		}
	}
	if m.dir, err = loadDirectory(ctx, st, directoryValue); err != nil {
		return err
	}
	if m.next, err = loadDirectory(ctx, st, nextValue); err == nil && m.dir == nil && m.next == nil {
		m.Region = nil // the node stopped before the region's first directory was kept
	}
	return err
}

func loadDirectory(ctx context.Context, st store.Store, name string) (*SignedDirectory, error) {
	b, err := st.Value(ctx, name)
	if err != nil || b == nil {
		return nil, err
	}
	d, err := ParseDirectory(b)
	if err != nil {
		return nil, &record.Error{Code: record.Corrupt, Op: "trust", Message: "the setting " + name + " cannot be read", Err: err}
	}
	return d, nil
}

// keep writes the memory.
func (s *Service) keep(ctx context.Context) error {
	b, err := json.Marshal(&s.memory)
	if err != nil {
		return err
	}
	return s.cfg.Store.SetValue(context.WithoutCancel(ctx), stateValue, b)
}
