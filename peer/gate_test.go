package peer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"konbit/wire/bundle"
)

func isOpen(l *links) bool {
	select {
	case <-l.gate.holding():
		return true
	default:
		return false
	}
}

func TestNothingIsServedBeforeWhatIsUrgentIsApplied(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	b.start()
	b.send(a, bundle.Urgent, 50, 3000)
	b.send(a, bundle.Normal, 2000, 3000)
	release := make(chan struct{})
	a.mill.hook = func(h bundle.Header) error {
		if h.Lane == bundle.Urgent {
			<-release
		}
		return nil
	}
	a.start()
	caught := make(chan int)
	go func() {
		a.l.catchUp(t.Context())
		caught <- a.mill.count(b.name, bundle.Urgent)
	}()
	linkUp(t, a, b)
	if isOpen(a.l) {
		t.Error("the gate is open while recalls wait")
	}
	close(release)
	if n := <-caught; n != 50 {
		t.Errorf("the gate opened with %d of 50 urgent items applied", n)
	}
	if !isOpen(a.l) {
		t.Error("the gate is shut after all")
	}
	b.settled(a)
}

func TestCatchUpDoesNotWaitForNodesOutOfReach(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	a.l.catchUp(t.Context())
	if !isOpen(a.l) {
		t.Error("the gate is shut")
	}
}

func TestCatchUpEndsWithItsTime(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.wire.Silence()
	a.start()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	a.l.catchUp(ctx)
	if !isOpen(a.l) {
		t.Error("the gate is shut")
	}
}

func TestRecallIsAppliedBeforeServingWhenALinkComesBackAfterLong(t *testing.T) {
	for away, shut := range map[time.Duration]bool{time.Minute: false, 11 * time.Minute: true} {
		for _, dialler := range []bool{true, false} {
			t.Run(fmt.Sprint(away, dialler), func(t *testing.T) {
				a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
				a.wire = b.wire
				if dialler {
					friends(a, b)
				} else {
					friends(b, a)
				}
				a.start()
				b.start()
				a.l.catchUp(t.Context())
				linkUp(t, a, b)
				until(t, "the gate is open", func() bool { return isOpen(a.l) })
				a.wire.Cut()
				until(t, "the link is cut", func() bool { return !a.linked(b) && !b.linked(a) })
				a.mill.move(away)
				seen := make(chan bool, 1)
				a.mill.mu.Lock()
				a.mill.hook = func(h bundle.Header) error {
					select {
					case seen <- isOpen(a.l):
					default:
					}
					return nil
				}
				a.mill.mu.Unlock()
				b.send(a, bundle.Urgent, 1, 10)
				a.wire.Mend()
				if open := <-seen; open == shut {
					t.Errorf("away for %v: the gate was open %v while a recall was applied", away, open)
				}
				until(t, "the gate opens again", func() bool { return isOpen(a.l) })
			})
		}
	}
}

func TestGateOpensAfterAWhileWhateverTheOtherDoes(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.pace = func(p *pace) { brisk(p); p.hold = 100 * time.Millisecond }
	release := make(chan struct{})
	a.mill.hook = func(bundle.Header) error { <-release; return nil }
	defer close(release)
	a.start()
	a.l.catchUp(t.Context()) // out of reach
	b.start()
	b.send(a, bundle.Urgent, 1, 10)
	linkUp(t, a, b)
	until(t, "the gate opens", func() bool { return isOpen(a.l) })
	if a.mill.count(b.name, bundle.Urgent) != 0 {
		t.Error("it was to open although the urgent item hangs")
	}
}
