package node

import (
	"strings"
	"sync"
	"time"

	"konbit/store"
)

// missed is how many signs of life in a row a process may write into the database
// without being heard on the bus.
const missed = 3

// ears compare who is heard on the bus with who is in the database. A cluster of NATS
// servers that is split gives each process a server that answers, and only that tells
// that some do not hear each other.
type ears struct {
	mu    sync.Mutex
	of    map[string]*ear // by process
	quiet string          // the first that is there and is not heard; "": all are
}

// ear is what is heard of one process.
type ear struct {
	seen   time.Time // its last sign of life in the database
	silent int       // signs there since it was last heard
}

// heard takes down that a process was heard. Messages are not authenticated: who
// forges them hides a split, and changes are then heard of two seconds later.
func (e *ears) heard(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if one := e.of[id]; one != nil {
		one.silent = 0
	}
}

// listen looks at the list of processes.
func (e *ears) listen(me string, all []store.Process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.of
	e.of, e.quiet = map[string]*ear{}, ""
	for _, p := range all {
		if p.ID == me || p.Bus != "" && !strings.HasPrefix(p.Bus, split) { // it says itself that it is away
			continue
		}
		one := was[p.ID]
		if one == nil {
			one = &ear{seen: p.Seen}
		}
		if p.Seen.After(one.seen) {
			one.seen, one.silent = p.Seen, one.silent+1
		}
		if e.of[p.ID] = one; one.silent >= missed && e.quiet == "" {
			e.quiet = split + p.Name + ", which runs: the cluster may be split"
		}
	}
}

// deaf says that a process is there and is not heard, "" when all are.
func (e *ears) deaf() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.quiet
}

const split = "NATS brings nothing from the process on "
