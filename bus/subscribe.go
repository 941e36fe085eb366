package bus

import (
	"context"
	"slices"
	"sync"
)

// subscription is one call of Subscribe.
type subscription struct {
	topic string
	keep  int
	fn    func([]byte)
	live  *link // on which it is in effect; Bus.mu guards it

	mu      sync.Mutex
	waiting [][]byte
	woken   chan struct{} // holds one when something waits
}

// Subscribe calls fn with what other processes publish on the topic, one call at a
// time. fn MUST NOT change the payload. It is called with nil when the subscription has
// come into effect, at first and after every time that the bus was away: something may
// have been missed, so look.
//
// While fn runs, keep payloads wait for it; with more, the oldest are dropped. How many
// are worth keeping depends on what they say, so the caller decides. A wake-up says no
// more than the newest one: with keep 1 a burst is one call. Positions that are all
// wanted keep many. A subscriber who is slow holds up nobody else.
//
// After cancel no call begins; one may still be under way.
func (b *Bus) Subscribe(topic string, keep int, fn func(payload []byte)) (cancel func()) {
	s := &subscription{topic: topic, keep: max(1, keep), fn: fn, woken: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return func() {}
	}
	ctx, stop := context.WithCancel(b.ctx)
	b.subs[topic] = append(b.subs[topic], s)
	b.work.Go(func() { s.deliver(ctx) })
	b.resubscribe()
	return func() {
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		left := slices.DeleteFunc(b.subs[topic], func(other *subscription) bool { return other == s })
		if b.subs[topic] = left; len(left) == 0 {
			delete(b.subs, topic)
		}
		b.resubscribe()
	}
}

// resubscribe tells who has the connection that subs has changed.
func (b *Bus) resubscribe() {
	select {
	case b.resub <- struct{}{}:
	default:
	}
}

// arrived gives a message to the topic's subscribers.
func (b *Bus) arrived(topic string, payload []byte) {
	if len(payload) > MaxPayload {
		b.lostIn.Add(1)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs[topic] {
		if s.push(payload) && s.keep > 1 {
			b.lostIn.Add(1)
		}
	}
}

// push queues a payload and reports whether it took the place of another.
func (s *subscription) push(payload []byte) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if full = len(s.waiting) == s.keep; full {
		s.waiting = slices.Delete(s.waiting, 0, 1)
	}
	s.waiting = append(s.waiting, payload)
	select {
	case s.woken <- struct{}{}:
	default:
	}
	return full
}

// take returns the oldest payload that waits.
func (s *subscription) take() (payload []byte, any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return nil, false
	}
	payload = s.waiting[0]
	s.waiting = slices.Delete(s.waiting, 0, 1)
	return payload, true
}

// deliver calls fn until ctx ends.
func (s *subscription) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.woken:
		}
		for ctx.Err() == nil {
			payload, any := s.take()
			if !any {
				break
			}
			s.fn(payload)
		}
	}
}
