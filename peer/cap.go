package peer

import (
	"sync"
	"time"

	"konbit/store"
)

// capped says how many bytes a second may be sent at a time of the day; ok is
// false when nothing bounds it. Where caps overlap, the smallest counts.
func capped(caps []store.Cap, at time.Time) (rate float64, ok bool) {
	h := at.Hour()
	for _, c := range caps {
		in := h >= c.From && h < c.To
		if c.To <= c.From {
			in = h >= c.From || h < c.To
		}
		if r := float64(max(c.Kbit, 0)) * 1000 / 8; in && (!ok || r < rate) {
			rate, ok = r, true
		}
	}
	return rate, ok
}

// recheck is how long a sender waits before it looks at the hour again.
const recheck = 20 * time.Second

// bucket spends the bytes that a cap allows. It lets a piece go when it is not in
// debt, and the piece may put it there: so that a large piece passes a small cap,
// and the average is kept. Time is measured by the machine; the hour of the day
// comes from the node's clock.
type bucket struct {
	mu     sync.Mutex
	credit float64 // bytes; below zero: debt
	at     time.Time
}

// wait returns how long nothing may be sent; 0: something may be sent now.
func (b *bucket) wait(caps []store.Cap, hour, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	rate, ok := b.fill(caps, hour, now)
	switch {
	case !ok || b.credit >= 0 && rate > 0:
		return 0
	case rate == 0:
		return recheck
	}
	return min(recheck, time.Duration(-b.credit/rate*float64(time.Second))+time.Millisecond)
}

// spend notes that n bytes were sent. Urgent ones are noted too: they take from the rest.
func (b *bucket) spend(caps []store.Cap, n int, hour, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.fill(caps, hour, now); ok {
		b.credit -= float64(n)
	}
}

// fill adds what the time since the last look allows, at most what one second does.
func (b *bucket) fill(caps []store.Cap, hour, now time.Time) (rate float64, ok bool) {
	rate, ok = capped(caps, hour)
	if !ok || b.at.IsZero() {
		b.credit = 0
	} else {
		b.credit = min(b.credit+rate*now.Sub(b.at).Seconds(), rate)
	}
	b.at = now
	return rate, ok
}
