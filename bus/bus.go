// Package bus carries live traffic between the processes of one node, over NATS:
// wake-ups now, positions later.
//
// It must not carry truth. What is lost, late, doubled or forged on it costs time
// only, because who hears something reads the store before he believes it.
//
// There is one code path. Without a URL the NATS server runs inside the process, and
// what connects to it does so without a socket; with one, the same client connects to
// a cluster. The cluster may be away when the bus is opened and at any time later:
// Publish drops, Away says why, and the node works by polling.
//
// # What a stranger can do
//
// Messages are not authenticated. Who may publish on a node's subjects can make its
// processes look into their store when there is nothing to see. A burst is one call (see
// Subscribe), so that he gets one look at a time, however fast he sends. Who may
// subscribe sees when something happens and what the wake-ups say, so they must say
// nothing that is secret: a size, never a name. He can use up the cluster, and then the
// bus is away. A cluster that is shared gives each node a user of its own
// who alone may publish and subscribe on konbit.NODE.>, and offers TLS.
//
// Who runs the servers, or stands between on a connection without TLS, can do the same
// and no more (see guard), but over ws: and wss:, where the client library believes the
// lengths that a server announces: there a false one ends the process.
//
// A split between the servers of a cluster is not seen here: each process still has
// its server, and hears those on the same side. So processes never stop polling; while
// traffic flows they poll seldom.
package bus

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"konbit/record"
)

// MaxPayload is how many bytes a message may have. A longer one is dropped by who
// sends it and by who gets it.
const MaxPayload = 64 << 10

// atHand is how many messages wait to be sent before more are dropped.
const atHand = 256

// Config is what a bus needs. Node is required.
type Config struct {
	// URL holds the addresses of the servers of a cluster, separated by commas:
	// nats://, tls://, ws:// or wss://, with user:password@ or token@ where they are
	// asked for. Only these are used, not others that a server names. Certificates are
	// held against the authorities that this machine trusts. "": the server runs inside
	// this process.
	URL string
	// Listen is a loopback address, host:port, at which the server inside this process
	// serves other processes, too: for a demonstration or a small installation. It asks
	// nobody who he is. Port 0 takes a free one, see Bus.URL. "": it does not listen.
	Listen string
	// Node is the node's identifier. Each node has subjects of its own.
	Node string
	// Echo brings what this bus publishes to its own subscribers, too.
	Echo bool
	Log  *slog.Logger // nil: none
}

// Bus is a connection that mends itself. All methods are safe for concurrent use.
type Bus struct {
	cfg    Config
	prefix string
	places []place // in the order in which they are tried; only run touches it
	server *server.Server
	log    *slog.Logger

	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	out             chan message
	up              atomic.Bool // messages are taken from out
	lostOut, lostIn atomic.Int64

	mu      sync.Mutex
	subs    map[string][]*subscription // by topic
	resub   chan struct{}              // holds one when subs has changed
	closed  bool
	why     string
	since   time.Time
	changed chan struct{}
}

// message is one that waits to be sent.
type message struct {
	subject string
	payload []byte
}

// Open makes a bus. It fails when the configuration is wrong (Invalid) or when the
// server inside this process cannot listen (Unavailable), not when a cluster is away,
// for which it does not wait. The context bounds Open alone.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	switch {
	case cfg.Node == "" || len(cfg.Node) > 255:
		return nil, record.Errorf(record.Invalid, "bus.open", "a node's name has 1 to 255 bytes")
	case cfg.URL != "" && cfg.Listen != "":
		return nil, &record.Error{Code: record.Invalid, Op: "bus.open", Message: "the bus either connects to NATS servers or listens itself",
			Hint: "give the addresses of a cluster, or an address to listen at, not both"}
	}
	b := &Bus{cfg: cfg, prefix: "konbit." + token(cfg.Node) + ".", log: cfg.Log,
		out: make(chan message, atHand), subs: map[string][]*subscription{}, resub: make(chan struct{}, 1),
		why: "no NATS server has answered yet", since: time.Now(), changed: make(chan struct{})}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if cfg.URL != "" {
		b.places, err = places(cfg.URL)
	} else {
		b.places = []place{{name: "the NATS server of this process"}}
		b.server, err = embed(cfg.Listen)
	}
	if err != nil {
		return nil, err
	}
	_, _, answered := b.Away()
	b.ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.work.Go(func() { b.run(b.ctx) })
	if b.server != nil { // it answers at once, or something is wrong with this process
		select {
		case <-answered:
		case <-ctx.Done():
			b.Close()
			return nil, &record.Error{Code: record.Unavailable, Op: "bus.open", Message: "the NATS server inside this process did not start in time", Err: ctx.Err()}
		}
	}
	return b, nil
}

// Publish sends the payload to who subscribes to the topic in the other processes of
// the node. It never blocks. The message is dropped when the connection is away, when
// too many wait, or when it has more than MaxPayload bytes. The caller may use
// payload again.
func (b *Bus) Publish(topic string, payload []byte) {
	if len(payload) <= MaxPayload && b.up.Load() {
		select {
		case b.out <- message{b.prefix + token(topic), bytes.Clone(payload)}:
			return
		default:
		}
	}
	b.lostOut.Add(1)
}

// Dropped returns how many messages were not sent, and how many came and reached a
// subscriber never: they were too long, or he was too slow. A message that a
// subscriber who keeps one had replaced by a newer is not among them.
func (b *Bus) Dropped() (out, in int64) { return b.lostOut.Load(), b.lostIn.Load() }

// Away returns "" while traffic flows; otherwise why it does not, in a sentence for
// the administrator, and since when. The channel is closed when the answer changes.
func (b *Bus) Away() (why string, since time.Time, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why, b.since, b.changed
}

// turn changes what Away returns.
func (b *Bus) turn(why string) {
	b.mu.Lock()
	before, since := b.why, b.since
	if b.closed || why == before {
		b.mu.Unlock()
		return
	}
	b.why = why
	switch {
	case why == "":
		b.since = time.Time{}
	case before == "":
		b.since = time.Now()
	}
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
	switch {
	case why != "":
		b.log.Warn("bus: away, other processes are heard by polling", "why", why)
	case b.server == nil:
		b.log.Info("bus: traffic flows", "away", time.Since(since).Round(time.Millisecond))
	}
}

// URL returns the address at which the server inside this process listens, "" when it
// does not.
func (b *Bus) URL() string {
	if b.server == nil || b.cfg.Listen == "" {
		return ""
	}
	return "nats://" + b.server.Addr().String()
}

// Close sends what waits, ends every subscription and waits for calls under way, so
// it MUST NOT be called by a subscriber.
func (b *Bus) Close() {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	if first {
		b.why, b.since = "the bus is closed", time.Now()
		close(b.changed)
		b.changed = make(chan struct{})
	}
	b.mu.Unlock()
	b.stop()
	b.work.Wait()
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}
