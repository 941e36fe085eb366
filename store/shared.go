package store

import (
	"context"
	"time"
)

// Shared is a store that several processes have open at once: one node that runs
// as many. A store that is not Shared belongs to the process that opened it.
//
// Any process may commit. There is one ledger and one order: a process writes in
// its turn, and decides what it writes on what the turn shows it.
type Shared interface {
	Store
	// Turn waits until no other process writes, keeps it so until Commit or Pass, and
	// returns where the ledger stands. Commit without a turn takes one, and fails
	// with Conflict when the batch does not follow the ledger's end. One goroutine
	// at a time takes turns, and it must not dawdle: the server takes a turn away that is not
	// used for a few seconds, and Commit then fails.
	Turn(ctx context.Context) (State, error)
	// Pass ends a turn in which nothing was written; without a turn it does nothing. With
	// rests, what was read in the turn may be acknowledged when it returns nil: it then is
	// as durable as what is committed, also on a standby that commits wait for.
	Pass(rests bool) error
	// State returns where the ledger stands, without waiting for writers.
	State(ctx context.Context) (State, error)

	// OnDuty waits until this process is the one on duty, and runs do: followers
	// that may run once only. The context of do ends within seconds when the duty is lost, as when
	// the connection to the database is; then it waits anew. It returns when ctx
	// ends or do fails. What a process that has lost its duty still tries to write
	// with Queue, MarkSent, Renumber or SetCursor is refused with Unavailable.
	OnDuty(ctx context.Context, p Process, do func(ctx context.Context) error) error
	// Present says that this process is there, for the list that Processes returns.
	// It is repeated every few seconds.
	Present(ctx context.Context, p Process) error
	// Gone takes a process off the list.
	Gone(ctx context.Context, id string) error
	// Processes returns the processes that were present within the last 15 s, by the
	// database's clock, the one on duty first.
	Processes(ctx context.Context) ([]Process, error)
}

// State is where a ledger stands.
type State struct {
	Size       int64
	Checkpoint []byte
	// Ops is the ledger position after the newest entry with an Op that Rests: who
	// keeps agencies, people or nodes in memory reads them again when it moves.
	Ops int64
}

// Rests reports whether a change replaces something whole that every process keeps
// in memory, and so rests on what was read before: agencies, people, nodes.
func Rests(op Op) bool {
	switch op.(type) {
	case PutAgency, PutPerson, PutNode, DropNode:
		return true
	}
	return false
}

// Process is one of those that run a node on a shared store.
type Process struct {
	ID      string    `json:"id"`      // made at its start
	Name    string    `json:"name"`    // of its machine
	Address string    `json:"address"` // host:port at which the others reach it; "": they cannot
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`              // by the database's clock
	Duty    bool      `json:"duty,omitempty"`    // it runs what may run once only
	Size    int64     `json:"size"`              // ledger entries that it has followed
	Bus     string    `json:"bus,omitempty"`     // why live traffic between processes is not flowing; "": it is
	Holding bool      `json:"holding,omitempty"` // on duty, and what was recalled during an absence is still being carried out
}
