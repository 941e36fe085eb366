package peer

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

func TestWhatIsSentOverALinkArrivesOnceAndIsReceipted(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.send(b, bundle.Normal, 500, 400)
	b.send(a, bundle.Urgent, 3, 400)
	a.start()
	b.start()
	a.settled(b)
	b.settled(a)
	b.send(a, bundle.Normal, 500, 400)
	a.send(b, bundle.Urgent, 3, 400)
	a.mill.say(b.name, 5)
	b.mill.say(a.name, 5)
	a.settled(b)
	b.settled(a)
	until(t, "Talk is heard", func() bool { return a.mill.heardOf() == 5 && b.mill.heardOf() == 5 })
	a.kill()
	b.kill()
	leftovers(t)
}

func (m *mill) heardOf() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard
}

// linkUp waits until two posts are connected, as both see it.
func linkUp(t *testing.T, a, b *post) {
	t.Helper()
	until(t, a.name+" and "+b.name+" are linked", func() bool { return a.linked(b) && b.linked(a) })
}

func TestLinkComesBackAfterCutsWithoutLossOrDouble(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	a.wire.Rate(3 << 20)
	for round := range 6 {
		a.send(b, bundle.Normal, 200, 2000)
		b.send(a, bundle.Normal, 200, 2000)
		linkUp(t, a, b)
		at := b.mill.count(a.name, bundle.Normal)
		until(t, "some of it has come", func() bool { return b.mill.count(a.name, bundle.Normal) > at })
		a.wire.Cut()
		a.send(b, bundle.Urgent, 1, 100)
		if round%2 == 0 {
			until(t, "the cut is noticed", func() bool { return !a.linked(b) && !b.linked(a) })
		}
		a.wire.Mend()
	}
	a.settled(b)
	b.settled(a)
}

func TestSilentLinkIsNoticedByBothAndTakenUpAgain(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	linkUp(t, a, b)
	a.wire.Silence()
	a.send(b, bundle.Normal, 10, 100)
	b.send(a, bundle.Normal, 10, 100)
	until(t, "both notice that nothing comes", func() bool { return !a.linked(b) && !b.linked(a) })
	a.wire.Mend()
	a.settled(b)
	b.settled(a)
}

func TestKillOfEitherSideInTheMiddleOfABundleLosesAndDoublesNothing(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	a.wire.Rate(2 << 20)
	for _, victim := range []*post{a, b, a, b, b} {
		a.send(b, bundle.Normal, 100, 4000)
		b.send(a, bundle.Normal, 100, 4000)
		linkUp(t, a, b)
		until(t, "a bundle is under way", func() bool {
			c := a.l.live(b.name)
			return c != nil && !c.out.idle()
		})
		victim.restart()
	}
	a.settled(b)
	b.settled(a)
}

// region makes h the hub of a and b, which dial it and not each other.
func region(a, b, h *post) {
	friends(a, h)
	friends(b, h)
	a.knows(b, false)
	b.knows(a, false)
	for _, p := range []*post{a, b, h} {
		p.book.hub("island", h.name)
	}
}

func TestHubCarriesAfterTheSenderHasGoneAndDropsWhatIsReceipted(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	a.start()
	h.start()
	a.send(b, bundle.Normal, 300, 1000)
	a.send(b, bundle.Urgent, 2, 1000)
	until(t, "the hub has all of it", func() bool { return stored(h, a, b, bundle.Normal) == 300 && stored(h, a, b, bundle.Urgent) == 302 })
	a.kill()
	h.restart() // what it said to be stored survives
	b.start()
	until(t, "b has all of it", func() bool {
		return b.mill.count(a.name, bundle.Normal) == 300 && b.mill.count(a.name, bundle.Urgent) == 2
	})
	until(t, "the hub has dropped what was receipted", func() bool { n, bytes := h.l.relay.waiting(b.name); return n == 0 && bytes == 0 })
	b.kill()
	a.start()
	a.settled(b) // the receipt waited at the hub
	if n := h.mill.count(a.name, bundle.Normal); n != 0 || len(h.mill.alarmed()) != 0 {
		t.Errorf("the hub opened %d items, alarms %v", n, h.mill.alarmed())
	}
}

func TestHubCannotReadWhatItCarries(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	a.start()
	h.start()
	a.mill.mu.Lock()
	a.mill.last[b.name] = 1
	a.mill.out[b.name] = []grain{{1, bundle.Normal, bytes.Repeat([]byte("secret of the port"), 50)}}
	a.mill.mu.Unlock()
	a.mill.wake(b.name)
	until(t, "the hub has it", func() bool { return stored(h, a, b, bundle.Normal) == 1 })
	_, raw := h.l.relay.next(b.name, bundle.Normal, &conn{})
	if _, _, err := bundle.Open(raw, h.mill.known, h.mill.seal); reasonOf(err) != "undecryptable" {
		t.Errorf("the hub opened the bundle: %v", err)
	}
	if bytes.Contains(raw, []byte("secret")) {
		t.Error("the bundle is in the clear")
	}
}

// stored is up to where the hub keeps a lane.
func stored(h, from, to *post, lane bundle.Lane) int64 {
	for _, w := range h.l.relay.stored(from.name, h.l.fullName) {
		if w.To == to.name && w.Lane == lane {
			return w.UpTo
		}
	}
	return 0
}

func TestHubRestartMidwayLosesAndDoublesNothing(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	for _, p := range []*post{a, b, h} {
		p.start()
	}
	for range 4 {
		a.send(b, bundle.Normal, 100, 3000)
		b.send(a, bundle.Normal, 100, 3000)
		a.send(b, bundle.Urgent, 1, 3000)
		linkUp(t, a, h)
		h.restart()
	}
	a.settled(b)
	b.settled(a)
}

func TestHubThatLostItsFolderGetsItAgain(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	a.start()
	h.start()
	a.send(b, bundle.Normal, 50, 1000)
	until(t, "the hub has all of it", func() bool { return stored(h, a, b, bundle.Normal) == 50 })
	h.kill()
	h.folder = t.TempDir()
	h.start()
	b.start()
	a.settled(b)
}

func TestFullHubSaysSoAndGoesOnWhenThereIsRoom(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	h.bounds.perNode = 600 << 10
	a.start()
	h.start()
	a.send(b, bundle.Normal, 200, 5000)
	until(t, "the sender hears that the hub is full", func() bool {
		s, err := a.l.status(t.Context())
		return err == nil && slices.ContainsFunc(s, func(s Status) bool { return s.Name == b.name && s.Error == "full" })
	})
	if n, bytes := h.l.relay.waiting(b.name); n == 0 || bytes > 600<<10 {
		t.Errorf("the hub keeps %d bundles, %d bytes", n, bytes)
	}
	a.send(b, bundle.Urgent, 1, 20_000)
	until(t, "what is urgent still has room", func() bool { return stored(h, a, b, bundle.Urgent) == 201 })
	b.start()
	a.settled(b)
}

func TestHubCarriesForActiveNodesOnly(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	h.prepare()
	n := b.mill.node()
	a.send(b, bundle.Normal, 1, 100)
	raw, head, err := a.mill.nextBundle(t.Context(), n, bundle.Normal, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []store.NodeState{store.NodePending, store.NodeRevoked, store.NodeRefused} {
		for _, who := range []string{a.name, b.name} {
			h.book.alter(who, func(n *store.Node) { n.State = state })
			if err := h.l.carry(t.Context(), head, raw); record.CodeOf(err) != record.Denied {
				t.Errorf("carried with %s %s: %v", who, state, err)
			}
			h.book.alter(who, func(n *store.Node) { n.State = store.NodeActive })
		}
	}
	raw[len(raw)-1] ^= 1
	if err := h.l.carry(t.Context(), head, raw); reasonOf(err) != "altered" {
		t.Errorf("carried an altered bundle: %v", err)
	}
	raw[len(raw)-1] ^= 1
	if err := h.l.carry(t.Context(), head, raw); err != nil {
		t.Errorf("a good one: %v", err)
	}
	h.book.alter(b.name, func(n *store.Node) { n.State = store.NodeRevoked })
	h.l.sweep()
	if n, _ := h.l.relay.waiting(b.name); n != 0 {
		t.Errorf("%d bundles are kept for a node that was revoked", n)
	}
}

func TestHubTakesOverWhileADirectLinkIsCut(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	a.knows(b, true)
	a.book.hub("island", h.name)
	for _, p := range []*post{a, b, h} {
		p.start()
	}
	linkUp(t, a, b)
	linkUp(t, a, h)
	linkUp(t, b, h)
	a.send(b, bundle.Normal, 5, 100)
	a.settled(b)
	if n, _ := h.l.relay.waiting(b.name); n != 0 {
		t.Errorf("%d bundles went through the hub while the direct link was live", n)
	}
	if err := a.l.cut(b.name, true); err != nil {
		t.Fatal(err)
	}
	a.send(b, bundle.Normal, 5, 100)
	b.send(a, bundle.Normal, 5, 100)
	a.settled(b)
	b.settled(a)
	if a.linked(b) {
		t.Error("the link was cut by hand")
	}
	if err := a.l.cut(b.name, false); err != nil {
		t.Fatal(err)
	}
	linkUp(t, a, b)
	a.send(b, bundle.Normal, 5, 100)
	a.settled(b)
}

func TestUrgentOvertakesABacklogOnASlowLink(t *testing.T) {
	if testing.Short() {
		t.Skip("a slow link takes its time")
	}
	for _, dialler := range []bool{true, false} {
		a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
		a.pace, b.pace = defaultBrisk, defaultBrisk
		a.wire.Rate(64 << 10)
		a.wire.Delay(50 * time.Millisecond)
		b.wire = a.wire
		if dialler {
			friends(a, b)
		} else {
			friends(b, a)
		}
		a.send(b, bundle.Normal, 2000, 1000) // 30 seconds of the link
		a.start()
		b.start()
		until(t, "the backlog drains", func() bool { return b.mill.count(a.name, bundle.Normal) >= 100 })
		at := time.Now()
		_, n := a.send(b, bundle.Urgent, 1, 1000)
		until(t, "what is urgent is there", func() bool { return b.mill.count(a.name, bundle.Urgent) == 1 })
		b.mill.mu.Lock()
		took := b.mill.when[a.name][n].Sub(at)
		b.mill.mu.Unlock()
		t.Logf("dialler %v: an urgent item took %v", dialler, took)
		if took > 3*time.Second || b.mill.count(a.name, bundle.Normal) == 2000 {
			t.Errorf("an urgent item took %v behind a backlog", took)
		}
		a.kill()
		b.kill()
	}
}

// defaultBrisk is the pace of a node, but for what only delays a test.
func defaultBrisk(p *pace) { p.retryMin = 20 * time.Millisecond }

func TestBacklogKeepsASlowLinkBusy(t *testing.T) {
	if testing.Short() {
		t.Skip("a slow link takes its time")
	}
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	a.pace, b.pace = defaultBrisk, defaultBrisk
	const rate = 128 << 10
	a.wire.Rate(rate)
	a.wire.Delay(150 * time.Millisecond)
	friends(a, b)
	a.start()
	b.start()
	linkUp(t, a, b)
	before, _ := a.wire.Bytes()
	at := time.Now()
	a.send(b, bundle.Normal, 600, 1000)
	until(t, "all of it is there", func() bool { return b.mill.count(a.name, bundle.Normal) == 600 })
	took := time.Since(at)
	sent, _ := a.wire.Bytes()
	alone := time.Duration(float64(sent-before) / rate * float64(time.Second))
	t.Logf("%d bytes took %v, alone they need %v: %.2f", sent-before, took, alone, took.Seconds()/alone.Seconds())
	if took > alone*13/10 {
		t.Errorf("%d bytes took %v, alone they need %v", sent-before, took, alone)
	}
	a.settled(b)
}

func TestIdleLinkCostsLessThanTwoKilobytesAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("idleness takes its time")
	}
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	const faster = 25
	quick := func(p *pace) {
		p.beat, p.dead = p.beat/faster, p.dead/faster
		p.retryMin = 20 * time.Millisecond
	}
	a.pace, b.pace = quick, quick
	friends(a, b)
	a.send(b, bundle.Normal, 10, 100)
	a.start()
	b.start()
	a.settled(b)
	up, down := a.wire.Bytes()
	connections := a.wire.Dialled()
	<-time.After(3 * time.Minute / faster)
	up2, down2 := a.wire.Bytes()
	each := (up2 - up + down2 - down) / 3
	t.Logf("an idle link takes %d bytes a minute: %d up, %d down", each, (up2-up)/3, (down2-down)/3)
	if each >= 2000 || each == 0 || a.wire.Dialled() != connections || !a.linked(b) || !b.linked(a) {
		t.Errorf("an idle link takes %d bytes a minute on %d connections", each, a.wire.Dialled())
	}
}

func TestCapHoldsBackWhatIsNotUrgent(t *testing.T) {
	if testing.Short() {
		t.Skip("a cap takes its time")
	}
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	n := a.knows(b, true)
	b.knows(a, false)
	n.Caps = []store.Cap{{From: 0, To: 24, Kbit: 0}}
	a.start()
	b.start()
	linkUp(t, a, b)
	a.send(b, bundle.Normal, 10, 100)
	a.send(b, bundle.Urgent, 10, 100)
	until(t, "what is urgent passes", func() bool { return b.mill.count(a.name, bundle.Urgent) == 10 })
	if got := b.mill.count(a.name, bundle.Normal); got != 0 {
		t.Errorf("%d items passed a cap of nothing", got)
	}
	a.book.alter(b.name, func(n *store.Node) { n.Caps = []store.Cap{{From: 0, To: 24, Kbit: 800}} }) // 100 kB/s
	at := time.Now()
	a.send(b, bundle.Normal, 200, 1000)
	a.settled(b)
	if took := time.Since(at); took < 800*time.Millisecond {
		t.Errorf("200 kB took %v at 100 kB/s", took)
	}
}

func TestLaterNodeNeedsNoAddressOfTheOther(t *testing.T) {
	// Both have addresses: both dial at once, and one link is left.
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	a.knows(b, true)
	b.knows(a, true)
	a.start()
	b.start()
	a.send(b, bundle.Normal, 100, 1000)
	b.send(a, bundle.Normal, 100, 1000)
	a.settled(b)
	b.settled(a)
	until(t, "one link is left", func() bool {
		x, y := a.l.live(b.name), b.l.live(a.name)
		return x != nil && y != nil && x.dialled != y.dialled
	})
}

func TestRefusedBundleIsSentAgainAndTheOthersGoOn(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	full := errors.New("the disk is full")
	times := 0
	b.mill.hook = func(h bundle.Header) error {
		if h.Lane == bundle.Normal && times < 2 {
			times++
			return full
		}
		return nil
	}
	a.start()
	b.start()
	a.send(b, bundle.Normal, 10, 100)
	a.send(b, bundle.Urgent, 1, 100)
	a.settled(b)
}

func TestLostBundleIsAskedForAgain(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.start()
	b.start()
	a.send(b, bundle.Normal, 10, 100)
	a.settled(b)
	b.mill.mu.Lock() // b is put back to an older state while the link is up
	b.mill.applied[a.name] = [store.Lanes]int64{}
	b.mill.got[a.name] = &[store.Lanes][]int64{}
	b.mill.mu.Unlock()
	a.send(b, bundle.Normal, 10, 100)
	until(t, "b has all of it", func() bool { return b.mill.count(a.name, bundle.Normal) == 20 })
	a.once(b)
}

func TestBufferingProxyIsNoticedAndPolled(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	friends(a, b)
	a.pace = func(p *pace) { brisk(p); p.first = 300 * time.Millisecond }
	b.pace = a.pace
	b.start()
	b.http.Handler = &hoarder{next: b.http.Handler}
	a.start()
	until(t, "the proxy is noticed", func() bool { return !a.l.line(b.name).pollsUntil().IsZero() })
	linkUp(t, a, b)
	b.send(a, bundle.Normal, 300, 1000)
	a.send(b, bundle.Normal, 300, 1000)
	b.settled(a)
	a.settled(b)
	b.send(a, bundle.Urgent, 1, 100)
	b.settled(a)
}

func TestDotOfANodeBehindAHubTellsOfTheNode(t *testing.T) {
	a, b, h := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb"), newPost(t, "hhhhhhhh")
	region(a, b, h)
	a.start()
	h.start()
	linkUp(t, a, h)
	state := func() LinkState {
		all, err := a.l.status(t.Context())
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		if s := all[0]; s.Name != b.name || s.Via != h.name && s.State != Cut && s.State != Never {
			t.Errorf("status %+v", s)
		}
		return all[0].State
	}
	if got := state(); got != Never {
		t.Errorf("a node that was never there is %q", got)
	}
	b.start()
	until(t, "it is there", func() bool { return state() == Live })
	b.send(a, bundle.Normal, 1, 10)
	b.settled(a)
	b.kill()
	until(t, "it has gone", func() bool { return state() == Cut })
	a.send(b, bundle.Normal, 1, 10)
	until(t, "the hub has it", func() bool { return stored(h, a, b, bundle.Normal) == 1 })
	if got := state(); got != Cut {
		t.Errorf("what lies at the hub makes it %q", got)
	}
	b.start()
	a.settled(b)
	until(t, "it is there again", func() bool { return state() == Live })
}
