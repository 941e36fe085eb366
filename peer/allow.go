package peer

import (
	"sync"
	"time"
)

// allowance is how often a node may make us do something that costs us more than
// it: so many times at once, and once more every so often. Time is the machine's.
type allowance struct {
	burst float64
	every time.Duration

	mu sync.Mutex
	of map[string]*throttle // by node
}

func (a *allowance) take(node string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]*throttle{}
	}
	now, t := time.Now(), a.of[node]
	if t == nil {
		t = &throttle{left: a.burst, at: now}
		a.of[node] = t
	}
	t.left = min(a.burst, t.left+float64(now.Sub(t.at))/float64(a.every))
	if t.at = now; t.left < 1 {
		return false
	}
	t.left--
	return true
}

// What nodes may make us do.
type allowances struct {
	losses  allowance // say that it has less than it had: what comes back is written down once more
	retries allowance // have sent again what it refused
	words   allowance // ask for what takes reading in ledger or store, or signing
}

func newAllowances() allowances {
	return allowances{losses: allowance{burst: 10, every: 30 * time.Minute}, retries: allowance{burst: 20, every: 10 * time.Minute}, words: allowance{burst: 200, every: time.Second / 2}}
}

// dear are the topics of such words.
var dear = map[string]bool{wordCheckpoint: true, wordCosigned: true, wordProve: true, wordSeen: true, wordRetry: true, wordAsk: true, wordReceipt: true}
