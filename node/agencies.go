package node

import (
	"context"

	"konbit/store"
)

// accountLedger is intake for the accounts. It tells trust when they change an
// agency of this node, so that its card says so.
type accountLedger struct{ n *Node }

// Note writes the entry.
func (l accountLedger) Note(ctx context.Context, typ, agency, actor string, content any, ops ...store.Op) (int64, error) {
	seq, err := l.n.Intake.Note(ctx, typ, agency, actor, content, ops...)
	d := l.n.duty.Load()
	if err != nil || d == nil {
		return seq, err
	}
	for _, op := range ops {
		if _, ok := op.(store.PutAgency); ok {
			d.Trust.AgenciesChanged()
		}
	}
	return seq, nil
}
