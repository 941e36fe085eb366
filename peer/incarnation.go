package peer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"

	"konbit/record"
)

// Incarnation tells the lives of a node apart: a restore from a backup begins a
// new one. It stands in every checkpoint that other nodes witness, so that they can
// tell a ledger that was restored, and says so, from one that was rolled back.
type Incarnation struct {
	N      int64  `json:"n"`      // grows
	Random string `json:"random"` // so that two restores of one backup differ
}

// Settings is where the incarnation is kept; store.Store has it.
type Settings interface {
	Value(ctx context.Context, name string) ([]byte, error)
	SetValue(ctx context.Context, name string, value []byte) error
}

// firstLife is the incarnation of a node that was never restored: nothing is kept of it.
const firstLife = "0000000000000000"

// incarnationOf reads the incarnation.
func incarnationOf(ctx context.Context, st Settings) (Incarnation, error) {
	b, err := st.Value(ctx, incarnationName)
	if err != nil {
		return Incarnation{}, err
	}
	if len(b) == 0 {
		return Incarnation{1, firstLife}, nil
	}
	var in Incarnation
	if err := json.Unmarshal(b, &in); err != nil || in.N < 1 {
		return Incarnation{}, record.Errorf(record.Corrupt, "peer.open", "the node's incarnation cannot be read")
	}
	return in, nil
}

// Reincarnate begins a new incarnation. node.Restore calls it. The number is the
// time where that is larger than one more than it was: who restores the same old
// backup a second time must not get the number of the first time.
func Reincarnate(ctx context.Context, st Settings, now time.Time) (Incarnation, error) {
	was, err := incarnationOf(ctx, st)
	if err != nil {
		return Incarnation{}, err
	}
	var r [8]byte
	rand.Read(r[:])
	in := Incarnation{max(was.N+1, now.Unix()), hex.EncodeToString(r[:])}
	b, err := json.Marshal(in)
	if err != nil {
		return in, err
	}
	return in, st.SetValue(ctx, incarnationName, b)
}

// Incarnation returns that of this node.
func (x *Exchange) Incarnation() Incarnation { return x.witness.life }
