package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// conn is one connection to a neighbour, from the handshake until something
// fails. Whatever fails ends it: the next one begins with a handshake, in which
// both say what they have, and what was under way is sent again. So nothing that
// was half sent needs to be remembered.
type conn struct {
	l       *links
	line    *line
	dialled bool
	token   string
	began   time.Time
	start   [store.Lanes]int64 // what the other had applied of our stream at the handshake
	here    map[string]bool    // who was connected to it then, when it is a hub
	ctx     context.Context
	cancel  context.CancelCauseFunc

	control kicker // something waits in queue, or is due
	bulk    kicker // a bundle may wait, or there is room for one; see ring
	urgent  kicker // the same, for who sends what is urgent apart
	out     sender

	heard     atomic.Int64  // by the machine's clock, nanoseconds since began
	heardWall atomic.Int64  // by the node's, nanoseconds since 1970
	busy      atomic.Int32  // bundles that are being applied: the other is not silent, we are slow
	stream    chan struct{} // holds a token while somebody writes the stream, on the side that was dialled
	posts     atomic.Int32  // uploads that are being read

	taking sync.Mutex // bundles are dealt with one after the other
	inbox  assembly

	mu        sync.Mutex
	queue     [][]byte
	latest    map[string][]byte // frames of which only the newest counts, by what they are about
	queued    int               // bytes
	owed      map[string]bool   // nodes to which a receipt is due
	receiptAt time.Time
	taken     uint64 // bytes of pieces dealt with, and how many of these were said
	said      uint64
	saidAt    time.Time
	sayNow    bool // a bundle was completed
	card      int64
	directory int64
	region    string
}

// maxQueue bounds what waits to be said to a neighbour that does not read.
const maxQueue = 16 << 20

// newConn makes a connection; attach makes it count.
func (l *links) newConn(parent context.Context, ln *line, dialled bool) *conn {
	ctx, cancel := context.WithCancelCause(parent)
	c := &conn{
		l: l, line: ln, dialled: dialled, ctx: ctx, cancel: cancel, began: time.Now(), owed: map[string]bool{},
		control: newKicker(), bulk: newKicker(), urgent: newKicker(), stream: make(chan struct{}, 1),
	}
	c.out.init(c)
	c.hear()
	return c
}

// end closes the connection; the first reason counts.
func (c *conn) end(why error) { c.cancel(why) }

// hear notes a sign of life.
func (c *conn) hear() {
	c.heard.Store(int64(time.Since(c.began)))
	c.heardWall.Store(c.l.wall().UnixNano())
}

func (c *conn) heardAt() time.Time { return time.Unix(0, c.heardWall.Load()) }

// watch ends the connection when nothing is heard for too long, and tidies up
// when it has ended.
func (c *conn) watch(context.Context) {
	t := time.NewTicker(max(c.l.pace.dead/20, 10*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			c.l.detach(c, context.Cause(c.ctx))
			return
		case <-t.C:
		}
		if c.busy.Load() > 0 {
			c.hear()
		}
		silent := time.Since(c.began) - time.Duration(c.heard.Load())
		asleep := c.l.wall().Sub(c.heardAt()) // the machine slept: so did its clock
		switch {
		case silent > c.l.pace.dead || asleep > c.l.pace.absence:
			c.end(errSilent)
		case time.Since(c.began) > sessionLife && c.out.idle():
			c.end(errAged)
		}
	}
}

// kicker is a bell: one ring is remembered.
type kicker chan struct{}

func newKicker() kicker { return make(kicker, 1) }

func (k kicker) kick() {
	select {
	case k <- struct{}{}:
	default:
	}
}

// ring says that a bundle may wait, or that there is room for one.
func (c *conn) ring() {
	c.bulk.kick()
	c.urgent.kick()
}

// say queues a control frame.
func (c *conn) say(frame []byte) {
	c.mu.Lock()
	c.queue = append(c.queue, frame)
	c.queued += len(frame)
	over := c.queued > maxQueue
	c.mu.Unlock()
	if over {
		c.end(fmt.Errorf("%d bytes wait to be said", maxQueue))
	}
	c.control.kick()
}

// sayLatest queues a control frame in the place of one about the same that waits:
// what others pass on through us must not fill the queue.
func (c *conn) sayLatest(about string, frame []byte) {
	c.mu.Lock()
	if c.latest == nil {
		c.latest = map[string][]byte{}
	}
	c.latest[about] = frame
	c.mu.Unlock()
	c.control.kick()
}

// owe says that a receipt to a node is due on this connection.
func (c *conn) owe(node string) {
	c.mu.Lock()
	c.owed[node] = true
	c.mu.Unlock()
	c.control.kick()
}

// owing lists the nodes to which a receipt is due.
func (c *conn) owing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.owed))
}

// nextControl returns the control frames that are due, nil when there are none,
// and how long until something is.
func (c *conn) nextControl() ([]byte, time.Duration) {
	now := time.Now()
	c.mu.Lock()
	out := bytes.Join(c.queue, nil)
	c.queue, c.queued = nil, 0
	for about, frame := range c.latest {
		out = append(out, frame...)
		delete(c.latest, about)
	}
	wait := time.Hour
	if c.taken > c.said {
		if due := c.saidAt.Add(c.l.pace.acks); c.sayNow || !now.Before(due) {
			out = append(out, takenFrame(c.taken)...)
			c.said, c.saidAt, c.sayNow = c.taken, now, false
		} else {
			wait = due.Sub(now)
		}
	}
	var owed []string
	if len(c.owed) > 0 {
		if due := c.receiptAt.Add(c.l.pace.receipts); !now.Before(due) {
			owed = slices.Collect(maps.Keys(c.owed))
			clear(c.owed)
			c.receiptAt = now
		} else {
			wait = min(wait, due.Sub(now))
		}
	}
	c.mu.Unlock()
	for _, name := range owed {
		out = append(out, c.receiptTo(name)...)
	}
	if len(out) == 0 {
		return nil, wait
	}
	return out, wait
}

// receiptTo is the frame of our receipt to a node, nil when there is none to give.
func (c *conn) receiptTo(name string) []byte {
	n := c.l.trust.Node(name)
	if n == nil || n.State != store.NodeActive {
		return nil
	}
	b, err := c.l.flow.receipt(c.ctx, n)
	if err != nil {
		if c.ctx.Err() == nil {
			c.l.log.Error("receipt failed", "node", name, "error", err)
		}
		c.mu.Lock()
		c.owed[name] = true // once more at the next turn
		c.mu.Unlock()
	}
	if err != nil || b == nil {
		return nil
	}
	return frame(frameReceipt, b)
}

// take deals with a frame. An error is one after which the connection cannot go on.
func (c *conn) take(t frameType, payload []byte) error {
	c.hear()
	switch t {
	case frameBundle:
		return c.takePiece(payload)
	case frameTaken:
		if len(payload) != 8 {
			return record.Errorf(record.Invalid, "link.malformed", "an acknowledgment of %d bytes", len(payload))
		}
		return c.out.acknowledged(binary.BigEndian.Uint64(payload))
	case frameReceipt:
		c.takeReceipt(payload)
	case frameCard:
		c.alarmed("card", c.l.trust.TakeCard(c.ctx, payload))
	case frameDirectory:
		c.takeDirectory(payload)
	case frameUrgentEmpty:
		c.l.heardOut(c.line)
	case frameStored, frameGap, frameRefused, framePresent:
		return c.takeWord(t, payload)
	}
	return nil
}

func (c *conn) takeDirectory(b []byte) {
	err := c.l.trust.TakeDirectory(c.ctx, b)
	if c.alarmed("directory", err); err != nil {
		return
	}
	if left := c.l.trust.LeftOut(); len(left) > 0 {
		c.l.flow.alarm(c.ctx, c.line.name, "left-out", "the directory says what cannot be, and that was left out: "+strings.Join(left, "; "), record.ID{})
	}
}

// alarmed notes that something that a neighbour sent was refused.
func (c *conn) alarmed(what string, err error) {
	if err == nil || c.ctx.Err() != nil {
		return
	}
	c.l.flow.alarm(c.ctx, c.line.name, "bad-"+what, fmt.Sprintf("%s from %s: %s", what, c.line.name, messageOf(err)), record.ID{})
}

// takePiece puts a piece to the others, and deals with the bundle when it is whole.
func (c *conn) takePiece(payload []byte) error {
	c.taking.Lock()
	defer c.taking.Unlock()
	whole, err := c.inbox.add(payload)
	if err != nil {
		return err
	}
	if whole != nil {
		c.busy.Add(1)
		c.arrive(whole)
		c.busy.Add(-1)
		c.hear()
	}
	c.mu.Lock()
	first := c.taken == c.said
	c.taken += uint64(len(payload) - pieceHead)
	c.sayNow = c.sayNow || whole != nil
	c.mu.Unlock()
	if first || whole != nil {
		c.control.kick()
	}
	return nil
}

// arrive applies a bundle that is for us and carries one that is for another
// node. What is refused is told by name, and the stream goes on.
func (c *conn) arrive(raw []byte) {
	h, _, _, err := bundle.ReadHeader(bytes.NewReader(raw), c.l.signKey)
	if err == nil && h.To != c.l.self {
		if err := c.l.carry(c.ctx, h, raw); err != nil {
			c.refuse(h, err)
			if record.CodeOf(err) == record.Denied || record.CodeOf(err) == record.Invalid { // not for want of room
				c.l.flow.alarm(c.ctx, c.line.name, reasonOf(err), messageOf(err), record.ID{})
			}
		}
		return
	}
	_, err = c.l.flow.arrived(c.ctx, raw) // which tells of one that is forged
	switch {
	case err == nil:
		c.l.seen(h.From)
		if h.Lane != bundle.Talk {
			c.owe(h.From)
		}
	case record.CodeOf(err) == record.Conflict:
		c.owe(h.From)
		applied, err := c.l.flow.appliedOf(c.ctx, h.From)
		if err == nil && int(h.Lane) < len(applied) {
			c.say(wordFrame(frameGap, gapWord{From: h.From, To: h.To, Lane: h.Lane, Have: applied[h.Lane]}))
		}
	default:
		c.refuse(h, err)
	}
}

// signKey finds a key with which an active node signed a bundle, retired ones
// too: whether one counted at the time of the bundle is for who takes it.
func (l *links) signKey(node, keyID string) ed25519.PublicKey {
	return l.trust.SignKey(node, keyID, time.Time{})
}

func (c *conn) refuse(h bundle.Header, err error) {
	if c.ctx.Err() != nil || h.From == "" {
		return
	}
	c.l.warn(c.line.name, "bundle refused", "from", h.From, "to", h.To, "lane", h.Lane, "upTo", h.UpTo, "error", err)
	c.say(wordFrame(frameRefused, refusedWord{From: h.From, To: h.To, Lane: h.Lane, After: h.After, Reason: reasonOf(err), Text: messageOf(err)}))
}

// takeReceipt takes a receipt that is for us, and passes on one that is for another node.
func (c *conn) takeReceipt(b []byte) {
	rc, err := c.l.flow.readReceipt(b)
	switch {
	case err != nil && reasonOf(err) == "unknown-sender":
		c.l.log.Debug("receipt of a stranger", "from", c.line.name, "error", err) // a hub may know more nodes than we
		return
	case err == nil && rc.To != c.l.self:
		c.l.seen(rc.From)
		c.passReceipt(rc, b)
		return
	}
	if err := c.l.flow.takeReceipt(c.ctx, b); err != nil { // which tells of one that is forged
		if c.ctx.Err() != nil {
			return // the next handshake says the same
		}
		c.l.warn(c.line.name, "receipt refused", "from", c.line.name, "error", err)
		return
	}
	c.l.seen(rc.From)
	if out, err := c.l.flow.outgoing(c.ctx, rc.From); err == nil {
		c.l.everybody(func(c *conn) { c.out.receipted(rc.From, out.Received) })
	}
	c.l.dots.touch()
}

// passReceipt keeps a receipt for another node and hands it on when that is connected.
func (c *conn) passReceipt(rc *Receipt, b []byte) {
	l := c.l
	if l.relay == nil || !l.carriesFor(trust.Short(rc.From)) || !l.carriesFor(trust.Short(rc.To)) {
		return
	}
	newer, err := l.relay.keepReceipt(rc, b)
	if err != nil {
		l.log.Error("receipt not kept", "from", rc.From, "to", rc.To, "error", err)
		return
	}
	if to := l.live(rc.To); newer && to != nil {
		to.sayLatest("receipt "+rc.From, frame(frameReceipt, b))
	}
}

// takeWord takes a small word of the link itself.
func (c *conn) takeWord(t frameType, payload []byte) error {
	var err error
	switch t {
	case frameStored:
		var w storedWord
		if err = json.Unmarshal(payload, &w); err == nil {
			c.out.stored(w)
		}
	case frameGap:
		var w gapWord
		if err = json.Unmarshal(payload, &w); err == nil {
			c.l.gap(c, w)
		}
	case frameRefused:
		var w refusedWord
		if err = json.Unmarshal(payload, &w); err == nil {
			c.l.refused(c, w)
		}
	case framePresent:
		var w presentWord
		if err = json.Unmarshal(payload, &w); err == nil {
			c.line.takePresent(w.Here)
			c.l.dots.touch()
		}
	}
	if err != nil {
		return &record.Error{Code: record.Invalid, Op: "link.malformed", Message: "a word of the link cannot be read", Err: err}
	}
	return nil
}

// gap sends again what a node says that it misses, or, as a hub, asks for it.
func (l *links) gap(c *conn, w gapWord) {
	if w.From == l.self {
		c.out.rewind(w.To, w.Lane, w.Have)
		return
	}
	if w.To != c.line.name || l.relay == nil || !l.carriesFor(trust.Short(w.From)) {
		return // only who misses it may say so here
	}
	if l.relay.again(w.From, w.To, w.Lane, w.Have) {
		c.ring()
		return
	}
	if from := l.live(w.From); from != nil {
		from.sayLatest(fmt.Sprint("gap ", w.To, w.Lane), wordFrame(frameGap, w))
	}
}

// refused waits before it sends again what was not taken.
func (l *links) refused(c *conn, w refusedWord) {
	n := l.trust.Node(w.To)
	if w.From != l.self || n == nil || n.Name != c.line.name && l.hubOf(n) != c.line.name {
		return // only the node itself, or who carries for it
	}
	if w.To, w.Reason = n.Name, clip(w.Reason, 40); w.Reason == "" {
		w.Reason = "refused"
	}
	l.warn(c.line.name, "bundle refused by the other side", "node", c.line.name, "to", w.To, "reason", w.Reason, "text", clip(w.Text, 200))
	c.out.postpone(w)
	ln := l.line(w.To)
	ln.mu.Lock()
	ln.fault = w.Reason
	ln.mu.Unlock()
	l.dots.touch()
}

// carry keeps a bundle for another node, on disk when it returns. Who presents it
// does not matter, who signed it does: so it serves for a stick, too.
func (l *links) carry(ctx context.Context, h bundle.Header, raw []byte) error {
	h, err := bundle.Parse(raw, l.signKey)
	if err != nil {
		return err
	}
	if l.trust.SignKey(h.From, h.KeyID, h.At) == nil {
		return record.Errorf(record.Denied, "bundle.retired-key", "%s had given up the key that signed the bundle", h.From)
	}
	if l.relay == nil || h.To == l.self || h.From == l.self || !l.carriesFor(trust.Short(h.To)) || !l.carriesFor(trust.Short(h.From)) {
		return record.Errorf(record.Denied, "link.not-carried", "this node does not carry from %s to %s", h.From, h.To)
	}
	if l.room != nil {
		if err := l.room(h.Lane == bundle.Urgent); err != nil {
			return err
		}
	}
	if err := l.relay.put(h, raw, l.now()); err != nil {
		return err
	}
	l.seen(h.From)
	if c := l.live(h.To); c != nil {
		c.ring()
	}
	return nil
}

// documents says our card and our region's directory when they are newer than
// what the other has.
func (c *conn) documents() {
	self, d := c.l.trust.Self(), c.l.trust.Directory()
	n := c.l.trust.Node(c.line.name)
	c.mu.Lock()
	card := self != nil && self.Serial > c.card
	if card {
		c.card = self.Serial
	}
	// It may have come into our region since it greeted us, or while it did.
	same := d != nil && (d.Region == c.region || n != nil && n.Region == d.Region)
	directory := same && d.Serial > c.directory
	if directory {
		c.directory = d.Serial
	}
	c.mu.Unlock()
	if card {
		b, err := c.l.trust.SelfCard(c.ctx)
		if err != nil {
			c.l.log.Error("card not sent", "node", c.line.name, "error", err)
		} else {
			c.say(frame(frameCard, b))
		}
	}
	if directory {
		c.say(frame(frameDirectory, c.l.trust.DirectoryBytes()))
	}
}

// reasonOf is the name of an error: what follows the dot in its operation.
func reasonOf(err error) string {
	var e *record.Error
	if errors.As(err, &e) {
		if _, name, ok := strings.Cut(e.Op, "."); ok {
			return name
		}
	}
	return string(record.CodeOf(err))
}

// messageOf is what may be told of an error to another node.
func messageOf(err error) string {
	var e *record.Error
	if errors.As(err, &e) && e.Code != record.Internal {
		return e.Message
	}
	return "it failed inside the node"
}
