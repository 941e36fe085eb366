package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// flow is what a link needs of the stream; *Exchange has it.
type flow interface {
	nextBundle(ctx context.Context, node *store.Node, lane bundle.Lane, after int64, maxBytes int) ([]byte, bundle.Header, error)
	outgoing(ctx context.Context, node string) (store.Outgoing, error)
	appliedOf(ctx context.Context, node string) ([store.Lanes]int64, error)
	arrived(ctx context.Context, b []byte) (bundle.Header, error)
	receipt(ctx context.Context, node *store.Node) ([]byte, error)
	takeReceipt(ctx context.Context, b []byte) error
	readReceipt(b []byte) (*Receipt, error)
	hear(ctx context.Context, node *store.Node, applied [store.Lanes]int64, last int64) error
	woken(node string) <-chan struct{}
	alarm(ctx context.Context, node, code, text string, id record.ID)
}

var _ flow = (*Exchange)(nil)

// appliedOf returns up to where a node's lanes were applied here.
func (x *Exchange) appliedOf(ctx context.Context, node string) ([store.Lanes]int64, error) {
	return x.cfg.Store.Applied(ctx, node)
}

// roster is what a link needs to know about nodes; *trust.Service has it.
type roster interface {
	Self() *store.Node
	SelfCard(ctx context.Context) ([]byte, error)
	Node(name string) *store.Node
	Nodes() []*store.Node
	Active() []*store.Node
	SignKey(node, keyID string, at time.Time) ed25519.PublicKey
	Changed() <-chan struct{}
	Directory() *trust.Directory
	DirectoryBytes() []byte
	TakeCard(ctx context.Context, b []byte) error
	TakeDirectory(ctx context.Context, b []byte) error
	LeftOut() []string
	Handler() http.Handler
}

// pace is how fast a link notices things. Tests make it faster.
type pace struct {
	beat     time.Duration // after so long without a word of ours, a heartbeat
	dead     time.Duration // after so long without a word of the other, the link is cut
	first    time.Duration // the first heartbeat must be through by then, else a proxy buffers
	poll     time.Duration // how long a poll waits behind such a proxy
	retryMin time.Duration
	retryMax time.Duration
	detour   time.Duration // a direct link is cut for so long before a hub carries
	receipts time.Duration // between receipts, while bundles come
	acks     time.Duration // between acknowledgments of pieces
	linger   time.Duration // an upload waits so long for room before it ends
	upload   time.Duration // an upload ends after so long
	hello    time.Duration // for a handshake
	absence  time.Duration // after so long away the gate is shut at return
	hold     time.Duration // for so long at most
	quiet    time.Duration // at least between two looks at the dots
}

func defaultPace() pace {
	return pace{
		beat: 25 * time.Second, dead: 60 * time.Second, first: 10 * time.Second, poll: 50 * time.Second,
		retryMin: time.Second, retryMax: 30 * time.Second, detour: 5 * time.Second,
		receipts: time.Second, acks: 100 * time.Millisecond, linger: 3 * time.Second, upload: time.Minute,
		hello: 30 * time.Second, absence: 10 * time.Minute, hold: 30 * time.Second, quiet: time.Second,
	}
}

// links is the connections to the nodes next to this one: at most one to each,
// whoever dialled. It knows no content.
type links struct {
	self   string // our name
	flow   flow
	trust  roster
	sign   func() ed25519.PrivateKey
	relay  *relay // nil: this node carries for nobody
	now    func() time.Time
	log    *slog.Logger
	pace   pace
	gate   *gate
	moved  signal        // a line, or what waits, has changed
	epoch  atomic.Uint64 // counts when routes change
	ups    atomic.Uint64 // counts links that came up
	doors  doors         // hello.go: sessions that others opened here
	tables tallies
	dots   dots
	kept   []byte                     // times of contact as they were kept last
	values values                     // where times of contact are kept; nil: nowhere
	wit    func(node string) *Witness // what is known of a node's ledger, for Status; nil: nothing
	comers kicker                     // who is connected has changed
	room   func(urgent bool) error    // whether the disk has room for what is carried; nil: always
	loud   allowance                  // lines in the log that a node causes

	transport func() *http.Transport
	mux       func() http.Handler // handler, made once

	mu    sync.Mutex
	ctx   context.Context // while runLinks runs, else nil
	work  sync.WaitGroup
	lines map[string]*line // by name
}

// line is the link to one node: what is known of it, whether it is connected or not.
type line struct {
	name string
	gen  atomic.Uint64 // counts wakes: something new waits for the node

	bucket bucket // what its caps allow

	mu      sync.Mutex
	conn    *conn // nil: not connected
	byHand  bool  // cut by hand
	drained bool  // has said that nothing urgent is left, since it connected
	heldTo  time.Time
	overdue int // times in a row that it did not say that nothing urgent was left
	failed  int // dials since the last success
	cutAt   time.Time
	contact time.Time // by the node's clock
	polls   time.Time // a proxy buffers: poll until then
	fault   string    // why it is cut
	rate    float64   // bytes/s that went through lately
	record  float64   // bytes that a number takes, lately
	here    map[string]bool
}

// Why a connection ended.
var (
	errReplaced = errors.New("a newer connection took its place")
	errSilent   = errors.New("nothing was heard for too long")
	errByHand   = errors.New("cut by hand")
	errStopping = errors.New("the node is stopping")
	errBuffered = errors.New("a proxy on the way holds back what is sent")
	errInactive = errors.New("the node is not active any more")
	errAged     = errors.New("the session is old: a new handshake is due")
	errCrossed  = errors.New("both dialled at once, and the other connection counts")
)

// openLinks prepares the links; runLinks connects them.
func (x *Exchange) openLinks(ctx context.Context) error {
	l := &x.links
	l.init(x.cfg.Keys.Name(), x, x.cfg.Trust, x.cfg.Now, x.cfg.Log)
	l.sign, l.transport, l.room = x.linkKey, transports(x.cfg.Dial), x.stream.disk.room
	l.tables.store, l.values = x.cfg.Store, x.cfg.Store
	if err := l.loadContacts(ctx); err != nil {
		return err
	}
	x.client = &http.Client{Transport: l.transport(), CheckRedirect: noRedirect}
	return l.openRelay(x.cfg.Folder, defaultBounds())
}

func (l *links) init(self string, f flow, r roster, now func() time.Time, log *slog.Logger) {
	l.self, l.flow, l.trust, l.now, l.log = self, f, r, now, log
	l.loud.burst, l.loud.every = 30, 10*time.Second
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.pace, l.gate, l.lines = defaultPace(), newGate(), map[string]*line{}
	l.mux, l.comers = sync.OnceValue(l.handler), newKicker()
	l.dots.bell, l.dots.last = make(chan struct{}, 1), map[string]*lastDot{}
	l.doors.init()
}

// warn writes into the log what a node causes, but not as often as it likes: the
// alarms count it.
func (l *links) warn(node, what string, args ...any) {
	if l.loud.take(node) {
		l.log.Warn(what, args...)
	}
}

// openRelay opens the folder of what is carried for others.
func (l *links) openRelay(folder string, b relayBounds) error {
	if folder == "" {
		return nil
	}
	dir := filepath.Join(folder, "relay")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r, err := openRelay(dir, b)
	if err != nil {
		return err
	}
	r.loadReceipts(l.flow.readReceipt)
	l.relay = r
	return nil
}

// transports returns a maker of transports: one for each connection, so that its
// end closes what it opened. They share what is known of TLS sessions, which
// makes a reconnect cheaper.
func transports(dial func(ctx context.Context, network, address string) (net.Conn, error)) func() *http.Transport {
	if dial == nil {
		d := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 45 * time.Second}
		dial = d.DialContext
	}
	known := tls.NewLRUClientSessionCache(64)
	return func() *http.Transport {
		return &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dial, DisableCompression: true, TLSHandshakeTimeout: 20 * time.Second,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Minute, MaxResponseHeaderBytes: 64 << 10, WriteBufferSize: 16 << 10,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: known},
		}
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// line returns the link to a node, made when it is asked for the first time.
func (l *links) line(name string) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.lines[name]
	if ln == nil {
		ln = &line{name: name, cutAt: time.Now()}
		l.lines[name] = ln
	}
	return ln
}

func (l *links) running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx != nil
}

// base is the context of what the links do, one that has ended when they do not run.
func (l *links) base() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}
	return l.ctx
}

// spawn runs fn until the links stop; false when they have.
func (l *links) spawn(fn func(ctx context.Context)) bool {
	if !l.enter() {
		return false
	}
	ctx := l.base()
	go func() {
		defer l.work.Done()
		fn(ctx)
	}()
	return true
}

// enter lets somebody work for the links, who must call work.Done: run does not
// return before, and the store is closed after that. False when they have stopped.
func (l *links) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil || l.ctx.Err() != nil {
		return false
	}
	l.work.Add(1)
	return true
}

// runLinks connects to the nodes next to this one, takes those that dial, and
// carries for others, until ctx ends. Everything that it began has ended when it
// returns.
func (x *Exchange) runLinks(ctx context.Context) error { return x.links.run(ctx) }

func (l *links) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	l.mu.Lock()
	if l.ctx != nil {
		l.mu.Unlock()
		stop()
		return errors.New("peer: the links run already")
	}
	l.ctx = ctx
	l.mu.Unlock()
	l.moved.now()

	l.supervise(ctx)

	stop()
	l.mu.Lock()
	lines := slices.Collect(maps.Values(l.lines))
	l.mu.Unlock()
	for _, ln := range lines {
		ln.end(errStopping)
	}
	l.work.Wait()
	l.keepContacts(context.WithoutCancel(ctx))
	l.mu.Lock()
	l.ctx = nil
	l.mu.Unlock()
	l.gate.close()
	return nil
}

// worker is the dialler and the watch of one node.
type worker struct {
	stop context.CancelFunc
	urls string
}

// supervise keeps a dialler and a watch for each active node.
func (l *links) supervise(ctx context.Context) {
	workers := map[string]worker{}
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	l.spawn(l.watchDots)
	l.spawn(l.announce)
	for {
		changed := l.trust.Changed()
		l.employ(ctx, workers)
		l.rerouted()
		l.everybody(func(c *conn) { c.documents() })
		select {
		case <-ctx.Done():
			for _, w := range workers {
				w.stop()
			}
			return
		case <-changed:
			l.sweep()
		case <-sweep.C:
			l.sweep()
			l.keepContacts(ctx)
		}
	}
}

// employ starts workers for nodes that are new or have other addresses, and ends
// those of nodes that are not active any more, with their connections.
func (l *links) employ(ctx context.Context, workers map[string]worker) {
	want := map[string]bool{}
	for _, n := range l.trust.Active() {
		if n.Name == l.self {
			continue
		}
		want[n.Name] = true
		urls := fmt.Sprint(n.URLs)
		w, ok := workers[n.Name]
		if ok && w.urls == urls {
			continue
		}
		if ok {
			w.stop()
		}
		wctx, cancel := context.WithCancel(ctx)
		workers[n.Name] = worker{cancel, urls}
		ln := l.line(n.Name)
		l.spawn(func(context.Context) { l.watch(wctx, ln) })
		if len(n.URLs) > 0 {
			l.spawn(func(context.Context) { l.dialLoop(wctx, ln) })
			l.spawn(l.detour)
		}
	}
	for name, w := range workers {
		if !want[name] {
			w.stop()
			delete(workers, name)
			l.line(name).end(errInactive)
		}
	}
}

// watch passes wakes on to the connection that carries for a node.
func (l *links) watch(ctx context.Context, ln *line) {
	for {
		woken := l.flow.woken(ln.name)
		ln.gen.Add(1)
		if c := l.route(ln.name); c != nil {
			c.ring()
		}
		l.dots.touch()
		select {
		case <-woken:
		case <-ctx.Done():
			return
		}
	}
}

// sweep forgets what is too old.
func (l *links) sweep() {
	l.doors.sweep(l.now())
	if l.relay == nil {
		return
	}
	for _, short := range l.relay.sweep(l.now(), l.carriesFor) {
		if n := l.trust.Node(short); n != nil {
			l.tellStored(n.Name)
		}
	}
}

func (l *links) carriesFor(short string) bool {
	n := l.trust.Node(short)
	return n != nil && n.State == store.NodeActive
}

// tellStored says to a node what is kept of its streams, after some was dropped.
func (l *links) tellStored(name string) {
	c := l.live(name)
	if c == nil {
		return
	}
	for _, w := range l.relay.stored(name, l.fullName) {
		c.say(wordFrame(frameStored, w))
	}
}

func (l *links) fullName(short string) string {
	if n := l.trust.Node(short); n != nil {
		return n.Name
	}
	return ""
}

// live returns the connection to a neighbour, nil when there is none.
func (l *links) live(name string) *conn {
	ln := l.line(name)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.conn
}

// route returns the connection over which bundles for a node go now, nil when
// there is none: the direct one; when that is cut for longer than a moment, the
// one to the hub that carries for the node.
func (l *links) route(name string) *conn {
	ln := l.line(name)
	ln.mu.Lock()
	c, cutAt := ln.conn, ln.cutAt
	ln.mu.Unlock()
	if c != nil {
		return c
	}
	n := l.trust.Node(name)
	if n == nil || n.State != store.NodeActive {
		return nil
	}
	hub := l.hubOf(n)
	if hub == "" || len(n.URLs) > 0 && time.Since(cutAt) < l.pace.detour {
		return nil
	}
	return l.live(hub)
}

// hubOf returns the node that carries for another one, "" when none does.
func (l *links) hubOf(n *store.Node) string {
	hub := n.Via
	if d := l.trust.Directory(); hub == "" && d != nil && n.Region == d.Region {
		hub = d.Hub
	}
	if hub == l.self || hub == n.Name {
		return ""
	}
	return hub
}

// rerouted says that connections came or went: each one looks anew what it carries.
func (l *links) rerouted() {
	l.epoch.Add(1)
	l.everybody(func(c *conn) { c.ring() })
	l.moved.now()
	l.dots.touch()
}

// everybody calls fn with each live connection.
func (l *links) everybody(fn func(*conn)) {
	l.mu.Lock()
	lines := slices.Collect(maps.Values(l.lines))
	l.mu.Unlock()
	for _, ln := range lines {
		ln.mu.Lock()
		c := ln.conn
		ln.mu.Unlock()
		if c != nil {
			fn(c)
		}
	}
}

// attach makes a connection the link to its node; the newest counts. When both
// dialled at once, the one that the smaller name dialled counts.
func (l *links) attach(c *conn) error {
	ln := c.line
	ln.mu.Lock()
	old := ln.conn
	switch {
	case ln.byHand:
		ln.mu.Unlock()
		return errByHand
	case old != nil && old.dialled != c.dialled && time.Since(old.began) < l.pace.detour && c.dialled == (l.self > ln.name):
		ln.mu.Unlock()
		return errCrossed
	}
	l.arriving(ln, l.wall())
	ln.conn, ln.failed, ln.fault, ln.here = c, 0, "", c.here
	ln.contact = l.wall()
	ln.mu.Unlock()
	if old != nil {
		old.end(errReplaced)
	}
	if !l.spawn(c.watch) {
		c.end(errStopping)
		l.detach(c, errStopping)
		return errStopping
	}
	l.log.Info("link up", "node", ln.name, "dialled", c.dialled)
	l.rerouted()
	l.comers.kick()
	c.documents() // what has changed since the greeting
	return nil
}

// detach notes that a connection has ended.
func (l *links) detach(c *conn, why error) {
	ln := c.line
	ln.mu.Lock()
	mine := ln.conn == c
	if mine {
		ln.conn, ln.cutAt, ln.drained = nil, time.Now(), false
		ln.fault = faultOf(why)
		if !errors.Is(why, errReplaced) {
			ln.contact = later(ln.contact, c.heardAt())
		}
	}
	ln.mu.Unlock()
	l.doors.close(c)
	if e := (*record.Error)(nil); errors.As(why, &e) && (e.Op == "link.malformed" || e.Op == "link.oversized") {
		l.flow.alarm(c.ctx, ln.name, "bad-frame", ln.name+" does not speak the protocol: "+e.Message, record.ID{})
	}
	if !mine {
		return
	}
	l.log.Info("link cut", "node", ln.name, "why", why)
	l.rerouted()
	for _, name := range c.owing() { // there may be another way
		if over := l.route(name); over != nil {
			over.owe(name)
		}
	}
	l.comers.kick()
	l.spawn(l.detour)
}

// detour lets a hub carry for a node when the direct link stays cut, or does not
// come about, for long enough.
func (l *links) detour(ctx context.Context) {
	if sleep(ctx, l.pace.detour+10*time.Millisecond, nil) {
		l.rerouted()
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// wall is the node's clock without the machine's: a machine that slept was away.
func (l *links) wall() time.Time { return l.now().Round(0) }

// end closes the connection of a line, if there is one.
func (ln *line) end(why error) {
	ln.mu.Lock()
	c := ln.conn
	ln.mu.Unlock()
	if c != nil {
		c.end(why)
	}
}

// CutLink cuts a link by hand, whoever dialled it, or mends it; it is for trials.
// A restart forgets it.
func (x *Exchange) CutLink(node string, cut bool) error { return x.links.cut(node, cut) }

func (l *links) cut(node string, cut bool) error {
	n := l.trust.Node(node)
	if n == nil {
		return record.Errorf(record.NotFound, "peer.cut", "no node is called %q", node)
	}
	ln := l.line(n.Name)
	ln.mu.Lock()
	ln.byHand, ln.failed = cut, 0
	ln.mu.Unlock()
	if cut {
		ln.end(errByHand)
	}
	l.rerouted()
	return nil
}

// seen notes that something that a node signed has just come, over whichever way.
func (l *links) seen(name string) {
	ln := l.line(name)
	ln.mu.Lock()
	ln.contact = l.wall()
	ln.mu.Unlock()
}

// owe sends a receipt to a node soon, over whichever way there is: for what came on a stick.
func (x *Exchange) owe(node string) {
	if c := x.links.route(node); c != nil {
		c.owe(node)
	}
}
