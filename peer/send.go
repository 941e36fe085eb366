package peer

import (
	"context"
	"slices"
	"sync"
	"time"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// Sizes of what is sent, in bytes.
const (
	minBundle   = 32 << 10
	bundleAtHub = 256 << 10 // a hub cannot cut what it carries to fit a slow link
	maxCut      = 1 << 20
	minCut      = 8 << 10 // of a piece
	firstWindow = 64 << 10
	minWindow   = 16 << 10
	maxWindow   = 16 << 20
)

// How much more than a round trip takes may be under way. While TCP repairs a loss
// nothing is acknowledged, and a sender that has nothing left to send then leaves the
// link idle; but an urgent bundle waits behind what is under way. Who dialled sends
// urgent bundles on a TCP connection of their own, past what waits in the other; who
// was dialled has one stream for all.
const (
	aheadApart  = 2 * time.Second
	aheadShared = 1200 * time.Millisecond
)

// sender decides what goes next over a connection: what is urgent, then Talk, then
// the rest, cut into pieces so that what is urgent overtakes a large bundle, and
// never more under way than the window allows.
type sender struct {
	c     *conn
	calls sync.Mutex // held by next

	// Of who calls next:
	parts   [3]*part // the bundle that is under way in each lane
	courses map[string]*course
	plan    []string // the nodes for which this connection carries our bundles
	epoch   uint64
	turn    int
	emptied bool // has said that nothing urgent is left

	mu     sync.Mutex // for what acknowledgments and words change
	meter  meter
	notes  map[string]storedWord // what the hub keeps of our streams, by node and lane
	orders []func(*sender)       // to be done by who calls next
}

// part is a bundle of which a piece was sent, or none yet.
type part struct {
	raw  []byte
	off  int
	to   string // whose caps count
	kept *kept  // what is carried for another node
}

// course is how far one of our streams went out over this connection.
type course struct {
	node    *store.Node
	line    *line
	sent    [store.Lanes]int64
	base    [store.Lanes]int64 // what was receipted, when that was looked at last
	empty   [3]uint64          // the line's gen at which nothing was left, by lane
	after   [3]time.Time       // nothing before then
	rewound [store.Lanes]time.Time
	refused [store.Lanes]int // in a row
	full    bool             // for want of room at a hub
}

func (s *sender) init(c *conn) {
	s.c, s.courses, s.notes = c, map[string]*course{}, map[string]storedWord{}
	if s.meter.ahead = aheadShared; c.dialled {
		s.meter.ahead = aheadApart
	}
}

const maxOrders = 10_000

// order lets who calls next do something before it goes on.
func (s *sender) order(fn func(*sender)) {
	s.mu.Lock()
	if len(s.orders) < maxOrders { // more only who means no good
		s.orders = append(s.orders, fn)
	}
	s.mu.Unlock()
	s.c.ring()
}

// The lanes in the order in which they go, and what of them goes when what is urgent
// goes apart.
var (
	allLanes     = []bundle.Lane{bundle.Urgent, bundle.Talk, bundle.Normal}
	urgentLane   = allLanes[:1]
	patientLanes = allLanes[1:]
)

// next returns the next frame of a bundle of these lanes; nil when nothing can be sent
// now, with how long that lasts if nobody rings before. full says that it is for want
// of room. What it returns of a lane has to be sent in that order.
func (s *sender) next(ctx context.Context, lanes []bundle.Lane) (out []byte, wait time.Duration, full bool) {
	s.calls.Lock()
	defer s.calls.Unlock()
	s.mu.Lock()
	orders := s.orders
	s.orders = nil
	s.mu.Unlock()
	for _, fn := range orders {
		fn(s)
	}
	s.routes()
	wait = time.Hour
	for _, lane := range lanes {
		if s.parts[lane] == nil {
			wait = min(wait, s.load(ctx, lane))
		}
		p := s.parts[lane]
		if p == nil {
			if lane == bundle.Urgent && !s.emptied && wait == time.Hour {
				s.emptied = true
				return frame(frameUrgentEmpty, nil), 0, false
			}
			continue
		}
		n := min(len(p.raw)-p.off, s.piece(s.capRate(p.to)))
		if lane != bundle.Urgent {
			if d := s.held(p); d > 0 {
				wait = min(wait, d)
				continue
			}
		}
		if !s.room(n, lane == bundle.Urgent) {
			return nil, wait, true
		}
		return s.cut(p, lane, n), 0, false
	}
	return nil, wait, false
}

// cut takes a piece off a bundle.
func (s *sender) cut(p *part, lane bundle.Lane, n int) []byte {
	piece := p.raw[p.off : p.off+n]
	p.off += n
	more := p.off < len(p.raw)
	if !more {
		s.parts[lane] = nil
		if p.kept != nil {
			s.c.l.relay.gone(p.kept)
		}
	}
	l, now := s.c.l, time.Now()
	for _, name := range s.payers(p.to) {
		if nd := l.trust.Node(name); nd != nil {
			l.line(name).bucket.spend(nd.Caps, n, l.now(), now)
		}
	}
	s.mu.Lock()
	s.meter.send(n, now)
	s.mu.Unlock()
	return pieceFrame(lane, more, piece)
}

// payers are the nodes whose caps count for a bundle: whom it is for, and whom it goes through.
func (s *sender) payers(to string) []string {
	if to == s.c.line.name {
		return []string{to}
	}
	return []string{to, s.c.line.name}
}

// capped returns how long the caps hold back what is for a node.
func (s *sender) capped(to string) time.Duration {
	var d time.Duration
	l, now := s.c.l, time.Now()
	for _, name := range s.payers(to) {
		if n := l.trust.Node(name); n != nil {
			d = max(d, l.line(name).bucket.wait(n.Caps, l.now(), now))
		}
	}
	return d
}

// capRate is how many bytes a second the caps allow for a node, 0 when nothing bounds it.
func (s *sender) capRate(to string) (rate float64) {
	l := s.c.l
	for _, name := range s.payers(to) {
		if n := l.trust.Node(name); n != nil {
			if r, ok := capped(n.Caps, l.now()); ok && r > 0 && (rate == 0 || r < rate) {
				rate = r
			}
		}
	}
	return rate
}

// held is capped for a bundle that may have begun. One that has begun is finished
// in an hour that allows nothing, lest it stands in the way of others.
func (s *sender) held(p *part) time.Duration {
	d := s.capped(p.to)
	if p.off > 0 && d == recheck {
		return 0
	}
	return d
}

// routes finds out which of our streams go over this connection.
func (s *sender) routes() {
	l := s.c.l
	if e := l.epoch.Load(); e != s.epoch || s.plan == nil {
		s.epoch, s.plan = e, []string{}
		for _, n := range l.trust.Active() {
			if n.Name != l.self && l.route(n.Name) == s.c {
				s.plan = append(s.plan, n.Name)
			}
		}
		for name := range s.courses {
			if !slices.Contains(s.plan, name) {
				delete(s.courses, name) // it goes another way; when it comes back, from what was acknowledged
			}
		}
	}
}

// load finds the next bundle of a lane: of our own streams, or carried for the
// neighbour, in turns. It returns how long until there may be one if nobody rings.
func (s *sender) load(ctx context.Context, lane bundle.Lane) time.Duration {
	wait := time.Hour
	n := len(s.plan) + 1
	for i := range n {
		at := (s.turn + i) % n
		var d time.Duration
		if at == len(s.plan) {
			d = s.loadCarried(lane)
		} else {
			d = s.loadOwn(ctx, s.plan[at], lane)
		}
		if s.parts[lane] != nil {
			s.turn = at + 1
			return 0
		}
		wait = min(wait, d)
	}
	return wait
}

func (s *sender) loadCarried(lane bundle.Lane) time.Duration {
	l, to := s.c.l, s.c.line.name
	if l.relay == nil {
		return time.Hour
	}
	if lane != bundle.Urgent {
		if d := s.capped(to); d > 0 {
			return d
		}
	}
	if k, b := l.relay.next(to, lane, s.c); k != nil {
		s.parts[lane] = &part{raw: b, to: to, kept: k}
	}
	return time.Hour
}

func (s *sender) loadOwn(ctx context.Context, name string, lane bundle.Lane) time.Duration {
	co := s.course(ctx, name)
	if co == nil {
		return 5 * time.Second
	}
	if d := time.Until(co.after[lane]); d > 0 {
		return d
	}
	gen := co.line.gen.Load()
	if co.empty[lane] == gen {
		return time.Hour
	}
	if lane != bundle.Urgent {
		if d := s.capped(name); d > 0 {
			return d
		}
	}
	var after int64
	if int(lane) < len(co.sent) {
		after = co.sent[lane]
	}
	b, h, err := s.c.l.flow.nextBundle(ctx, co.node, lane, after, s.bundleSize(name))
	if err != nil {
		if ctx.Err() == nil {
			s.c.l.log.Error("no bundle could be made", "node", name, "lane", lane, "error", err)
		}
		co.after[lane] = time.Now().Add(5 * time.Second)
		return 5 * time.Second
	}
	if b == nil {
		co.empty[lane] = gen
		return time.Hour
	}
	if int(lane) < len(co.sent) {
		co.sent[lane] = h.UpTo
		co.line.weigh(len(b), h.UpTo-h.After)
	}
	s.parts[lane] = &part{raw: b, to: name}
	return 0
}

// weigh learns how many bytes a number of a stream takes.
func (ln *line) weigh(size int, numbers int64) {
	if numbers <= 0 {
		return
	}
	each := float64(size) / float64(numbers)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.record == 0 {
		ln.record = each
	}
	ln.record += (each - ln.record) / 8
}

// course returns how far the stream to a node went out here; it begins where the
// node, or the hub that carries for it, says that it has everything up to. nil: not known now.
func (s *sender) course(ctx context.Context, name string) *course {
	l := s.c.l
	n := l.trust.Node(name)
	if n == nil || n.State != store.NodeActive {
		return nil
	}
	co := s.courses[name]
	if co != nil {
		co.node = n // with its newest seal key
		return co
	}
	out, err := l.flow.outgoing(ctx, name)
	if err != nil {
		l.log.Error("stream not known", "node", name, "error", err)
		return nil
	}
	co = &course{node: n, line: l.line(name), sent: out.Received, base: out.Received}
	if name == s.c.line.name {
		co.sent = s.c.start
	} else {
		s.noted(co, out.Last)
	}
	s.courses[name] = co
	return co
}

// noted goes on behind what a hub keeps of a stream.
func (s *sender) noted(co *course, last int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for lane := range co.sent {
		if w, ok := s.notes[noteKey(co.node.Name, bundle.Lane(lane))]; ok && w.After <= co.sent[lane] && w.UpTo <= last {
			co.sent[lane] = max(co.sent[lane], w.UpTo)
		}
	}
}

func noteKey(to string, lane bundle.Lane) string { return string('0'+rune(lane)) + to }

// stored takes a hub's word on what it keeps. When it has dropped something, what
// was not acknowledged is sent again.
func (s *sender) stored(w storedWord) {
	if w.From != s.c.l.self || w.Lane > bundle.Normal || s.c.l.trust.Node(w.To) == nil {
		return
	}
	s.mu.Lock()
	s.notes[noteKey(w.To, w.Lane)] = w
	s.mu.Unlock()
	s.order(func(s *sender) { delete(s.courses, w.To) })
}

// rewind sends a lane again from behind a number.
func (s *sender) rewind(to string, lane bundle.Lane, have int64) {
	s.order(func(s *sender) {
		co := s.courses[to]
		if co == nil || int(lane) >= len(co.sent) || have >= co.sent[lane] {
			return
		}
		if time.Since(co.rewound[lane]) < s.c.l.pace.detour {
			return // once in a while: each bundle that was under way brings the same word
		}
		co.sent[lane], co.empty[lane], co.rewound[lane] = have, 0, time.Now()
		if p := s.parts[lane]; p != nil && p.to == to && p.kept == nil && p.off == 0 {
			s.parts[lane] = nil
		}
	})
}

// postpone sends again, after a while, what was refused.
func (s *sender) postpone(w refusedWord) {
	s.order(func(s *sender) {
		co := s.courses[w.To]
		if co == nil || int(w.Lane) >= len(co.sent) {
			return
		}
		co.sent[w.Lane], co.empty[w.Lane] = min(co.sent[w.Lane], w.After), 0
		if time.Until(co.after[w.Lane]) > 0 {
			return // each bundle that was under way brings the same word
		}
		co.after[w.Lane] = time.Now().Add(s.c.l.pace.retryMax << min(co.refused[w.Lane], 4))
		co.refused[w.Lane]++
		co.full = w.Reason == "full"
	})
}

// receipted takes what the stream believes of a receipt: what a hub had no room
// for may fit now; and a node that was restored gets what it lost.
func (s *sender) receipted(node string, received [store.Lanes]int64) {
	s.order(func(s *sender) {
		co := s.courses[node]
		if co == nil {
			return
		}
		if co.full {
			co.after, co.refused, co.full = [3]time.Time{}, [store.Lanes]int{}, false
		}
		for lane, n := range received {
			if n < co.base[lane] {
				co.sent[lane], co.empty[lane] = n, 0
			}
			co.base[lane] = n
			co.sent[lane] = max(co.sent[lane], n) // it may have got them on another way
		}
	})
}

// acknowledged takes the other side's word on how much it has dealt with.
func (s *sender) acknowledged(total uint64) error {
	s.mu.Lock()
	ok := s.meter.ack(total, time.Now())
	rate := s.meter.rate
	s.mu.Unlock()
	if !ok {
		return record.Errorf(record.Invalid, "link.malformed", "more was acknowledged than was sent")
	}
	ln := s.c.line
	ln.mu.Lock()
	ln.rate = rate
	ln.mu.Unlock()
	s.c.ring()
	return nil
}

// room reports whether n more bytes may be under way. What is urgent may go twice as far.
func (s *sender) room(n int, urgent bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.meter.window()
	if urgent {
		w *= 2
	}
	under := s.meter.underWay()
	return under == 0 || under+n <= w
}

// piece is how large a piece is: a fraction of a second, so that something urgent
// need not wait for long, and a cap is not overdrawn by much.
func (s *sender) piece(bound float64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(max(int(s.meter.rate/5), minCut), maxPiece)
	if bound > 0 {
		n = min(n, max(int(bound/5), minCut/4))
	}
	return n
}

// bundleSize is how large a bundle to a node is cut: half a second of the link.
func (s *sender) bundleSize(to string) int {
	most := maxCut
	if to != s.c.line.name {
		most = bundleAtHub
	}
	if bound := s.capRate(to); bound > 0 {
		most = min(most, max(int(bound), minBundle))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meter.rate == 0 {
		return min(firstWindow, most)
	}
	return min(max(int(s.meter.rate/2), minBundle), most)
}

// idle reports whether nothing is under way.
func (s *sender) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meter.underWay() == 0
}

// meter measures what a connection carries, from acknowledgments.
type meter struct {
	ahead       time.Duration
	sent, acked uint64    // bytes since the beginning
	ackedAt     time.Time // or when something was sent after nothing was under way
	marks       []mark
	rate        float64       // bytes/s; 0: not known
	rtt         time.Duration // the shortest that an acknowledgment took
}

// mark remembers how things stood when a piece was sent.
type mark struct {
	end   uint64 // sent, with the piece
	at    time.Time
	acked uint64 // what was acknowledged by then
	since time.Time
	busy  bool // the link had enough to do, so that what it achieves is what it can
}

func (m *meter) underWay() int { return int(m.sent - m.acked) }

func (m *meter) send(n int, now time.Time) {
	if m.sent == m.acked {
		m.ackedAt = now
	}
	m.sent += uint64(n)
	m.marks = append(m.marks, mark{end: m.sent, at: now, acked: m.acked, since: m.ackedAt, busy: m.underWay() > m.window()/2})
}

// ack notes that total bytes were dealt with; false when that many were never sent.
func (m *meter) ack(total uint64, now time.Time) bool {
	if total > m.sent {
		return false
	}
	if total <= m.acked {
		return true
	}
	var last *mark
	for len(m.marks) > 0 && m.marks[0].end <= total {
		k := m.marks[0]
		last, m.marks = &k, m.marks[1:]
		if took := now.Sub(k.at); m.rtt == 0 || took < m.rtt {
			m.rtt = took
		}
	}
	if last != nil {
		took := max(now.Sub(last.since), time.Millisecond)
		m.learn(float64(total-last.acked)/took.Seconds(), last.busy)
	}
	m.acked, m.ackedAt = total, now
	return true
}

// learn takes a sample. It goes up by half of the difference; it goes down, and
// begins, only on samples of a link that had enough to do.
func (m *meter) learn(sample float64, busy bool) {
	switch {
	case m.rate == 0:
		if busy || sample > firstWindow {
			m.rate = sample
		}
	case sample > m.rate:
		m.rate += (sample - m.rate) / 2
	case busy:
		m.rate += (sample - m.rate) / 10
	}
}

// window is how many bytes may be under way.
func (m *meter) window() int {
	if m.rate == 0 {
		return firstWindow
	}
	return min(max(int(m.rate*(m.rtt+m.ahead).Seconds()), minWindow), maxWindow)
}
