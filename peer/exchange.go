package peer

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/blob"
	"konbit/desk"
	"konbit/intake"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// Directory is what the exchange asks about agencies, as they are today.
type Directory interface {
	Agencies() []string
	Communities(agency string) []string
	Joined(agency, community string) time.Time // when it came to the community; zero: always in it
	Local(agency string) bool                  // served by this node
}

// Config is what an Exchange needs.
type Config struct {
	Store interface {
		store.Store
		store.Peers
	}
	Desks     *desk.Set
	Directory Directory
	Intake    *intake.Intake
	Trust     *trust.Service
	Keys      trust.Keys
	Signer    note.Signer // the node's ledger key: co-signs checkpoints
	Blobs     *blob.Store
	Folder    string // for bundles that are carried for others, or that wait for one before them
	Now       func() time.Time
	Log       *slog.Logger

	// TellOpened lets the owner of a record know that somebody here has opened it,
	// once. The node's default is true.
	TellOpened bool

	// Dial makes connections; nil: the net package. Tests cut and slow them.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Exchange is one node's share in the exchange. Make it with New, run it with Run.
type Exchange struct {
	cfg    Config
	client *http.Client

	mu    sync.Mutex
	wakes map[string]chan struct{} // by node: closed when there is something new to send to it
	words map[string]wordFunc      // by topic: what to do with a Talk word or a numbered Word

	stream streams // out.go, in.go: what flows to and from each node
	links  links   // link.go: the connections that carry it
	alarms alarms  // alarm.go

	witness *witness                                 // witness.go: what is known of other nodes' ledgers
	attach  *attachments                             // attach.go
	met     []func(ctx context.Context, node string) // called when a node can be reached anew
}

// wordFunc takes a word of a node. An error is an alarm.
type wordFunc func(ctx context.Context, from *store.Node, it bundle.Item) error

// New makes an Exchange.
func New(ctx context.Context, cfg Config) (*Exchange, error) {
	x := &Exchange{cfg: cfg, wakes: map[string]chan struct{}{}, words: map[string]wordFunc{}}
	for _, begin := range []func(context.Context) error{x.openStreams, x.openLinks, x.openWitness, x.openAttachments} {
		if err := begin(ctx); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// What the files of this package give each other. "stream" is about content and
// numbers and knows no connection; "link" is about connections and knows no
// content; words are what else nodes say.

// stream, used by link:

// nextBundle seals the next bundle to a node: of the lane, covering numbers above
// after, about maxBytes large on the wire. nil: nothing waits there. Shares that are no
// longer released are turned into recalls here. With Talk it returns what waits to be said.
func (x *Exchange) nextBundle(ctx context.Context, node *store.Node, lane bundle.Lane, after int64, maxBytes int) ([]byte, bundle.Header, error) {
	return x.stream.next(ctx, node, lane, after, maxBytes)
}

// outgoing returns the state of the stream to a node: what it has received, what waits.
func (x *Exchange) outgoing(ctx context.Context, node string) (store.Outgoing, error) {
	return x.cfg.Store.Outgoing(ctx, node)
}

// arrived applies a bundle that is for this node: whatever it brought is on disk when it returns.
// record.Conflict: it begins after a gap, and was parked.
func (x *Exchange) arrived(ctx context.Context, b []byte) (bundle.Header, error) {
	return x.stream.arrived(ctx, b)
}

// receipt is our signed word to a node about its stream; takeReceipt takes a
// node's word about ours. A receipt that is older than one that was taken changes nothing.
func (x *Exchange) receipt(ctx context.Context, node *store.Node) ([]byte, error) {
	return x.stream.receipt(ctx, node)
}
func (x *Exchange) takeReceipt(ctx context.Context, b []byte) error {
	return x.stream.takeReceipt(ctx, b)
}

// readReceipt says whose receipt it is, for whom, and what it covers, verified; for a hub.
func (x *Exchange) readReceipt(b []byte) (*Receipt, error) { return x.stream.readReceipt(b) }

// hear tells the stream what the other side of a direct link says at hello: how far it has applied our
// stream, and the last number that it gave out to us. It starts a resync when one of us was restored.
func (x *Exchange) hear(ctx context.Context, node *store.Node, applied [store.Lanes]int64, last int64) error {
	return x.stream.hear(ctx, node, applied, last)
}

// Receipt is a node's signed word: of your stream I hold up to here.
type Receipt struct {
	From     string             `json:"from"` // who received
	To       string             `json:"to"`   // whose stream it is
	Received [store.Lanes]int64 `json:"received"`
	Last     int64              `json:"last"`            // the newest number that From gave out in its own stream to To
	Again    bool               `json:"again,omitempty"` // From was restored and asks for a resync
	Ask      string             `json:"ask,omitempty"`   // under this name From asks what To holds of it; on a stick the answer travels with the receipt of To
	Life     int64              `json:"life,omitempty"`  // the number of From's incarnation; 0: it was never restored
	At       time.Time          `json:"at"`
}

// ReceiptType is the DSSE payload type of a Receipt.
const ReceiptType = "application/vnd.konbit.receipt+json"

// Talk says words to a node that are said once and may be lost: they go out in the
// next Talk bundle.
func (x *Exchange) Talk(node string, items ...bundle.Item) { x.stream.talk(node, items) }

// OnWord says what to do with the words of a topic, numbered or not. It is called
// before Run. An error is an alarm.
func (x *Exchange) OnWord(topic string, do func(ctx context.Context, from *store.Node, it bundle.Item) error) {
	x.words[topic] = do
}

// OnLink says what to do when a node can be reached that could not be before. It
// is called before Run; do must not wait for long.
func (x *Exchange) OnLink(do func(ctx context.Context, node string)) { x.met = append(x.met, do) }

// wake says that something new waits for a node; woken returns a channel that is
// closed at the next wake.
func (x *Exchange) wake(node string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.wakes[node]; c != nil {
		close(c)
		delete(x.wakes, node)
	}
}

func (x *Exchange) woken(node string) <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.wakes[node]
	if c == nil {
		c = make(chan struct{})
		x.wakes[node] = c
	}
	return c
}

// alarm notes something that an administrator has to know, in the log and in the ledger.
func (x *Exchange) alarm(ctx context.Context, node, code, text string, id record.ID) {
	x.alarms.add(ctx, node, code, text, id)
}

// linkKey is the key that signs for this node now.
func (x *Exchange) linkKey() ed25519.PrivateKey { return x.cfg.Keys.Sign() }
