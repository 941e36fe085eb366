package node

import (
	"context"
	"errors"
	"maps"
	"slices"

	"konbit/account"
	"konbit/peer"
	"konbit/record"
)

// restoredEntry is the content of the ledger entry that tells of it.
type restoredEntry struct {
	What string `json:"what"`
	By   string `json:"by,omitempty"` // who ran the command, as his machine calls him
	*Loss
	Missing int64 `json:"missing,omitempty"` // entries
}

// Restored accepts the database of a stopped node that is older than what was seen
// from its data folder, or another one: it was restored by PostgreSQL's own means, a
// standby took over that did not have everything, or the file was put back by hand. It
// writes that into the ledger, for the auditors of each agency, begins a new
// incarnation, by which other nodes see that they have to compare what they hold, and
// goes on from what is there. It returns what is missing, nil when the folder does not
// know of anything.
func Restored(ctx context.Context, cfg Config, by string) (loss *Loss, err error) {
	n, err := open(ctx, cfg, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := alone(ctx, n.Store); err != nil {
		return nil, err
	}
	e := restoredEntry{What: "database restored", By: by, Loss: n.loss}
	if n.loss != nil {
		e.Missing = n.loss.Missing()
	}
	served := 0
	for _, id := range slices.Sorted(maps.Keys(n.Accounts.Directory().Agencies)) {
		if !n.Accounts.Directory().Agencies[id].Local {
			continue
		}
		served++
		if _, err := n.Intake.Note(ctx, account.Entry, id, account.Node, e); err != nil {
			return nil, err
		}
	}
	if served == 0 {
		return nil, record.Errorf(record.Invalid, "restored", "the database has no agency of this node: this is not a database that was restored")
	}
	if _, err := peer.Reincarnate(ctx, n.Store, n.now()); err != nil {
		return nil, err
	}
	return n.loss, n.memory.accept(n.Intake.Checkpoint())
}
