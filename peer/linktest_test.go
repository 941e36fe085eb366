package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"konbit/ledger"
	"konbit/nodetest/cable"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// A post is one end of links in a test: real HTTP, real bundles, real files of
// what is carried, and a stream of numbered bytes in memory (mill), which
// survives when the post is killed, as a database would.
type post struct {
	t      testing.TB
	name   string
	folder string
	mill   *mill
	book   *book
	wire   *cable.Wire // over which it dials
	pace   func(*pace)
	bounds relayBounds
	addr   string

	l    *links
	http *http.Server
	stop context.CancelFunc
	done chan struct{}
}

// brisk is a pace at which a test notices things soon.
func brisk(p *pace) {
	*p = pace{beat: 200 * time.Millisecond, dead: 2 * time.Second, first: 2 * time.Second, poll: time.Second, retryMin: 20 * time.Millisecond,
		retryMax: 200 * time.Millisecond, detour: 300 * time.Millisecond, receipts: 50 * time.Millisecond, acks: 10 * time.Millisecond,
		linger: time.Second, upload: 10 * time.Second, hello: 5 * time.Second, absence: 10 * time.Minute, hold: 2 * time.Second, quiet: 20 * time.Millisecond}
}

func newPost(t testing.TB, short string) *post {
	t.Helper()
	name := "konbit.node/" + short
	p := &post{t: t, name: name, folder: t.TempDir(), mill: newMill(name), wire: &cable.Wire{}, pace: brisk, bounds: defaultBounds()}
	p.book = &book{self: p.mill.node(), nodes: map[string]*store.Node{}, changed: make(chan struct{})}
	p.mill.book = p.book
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = ln.Addr().String()
	ln.Close()
	t.Cleanup(p.kill)
	return p
}

func (p *post) url() string { return "http://" + p.addr }

// prepare makes the links without running them.
func (p *post) prepare() {
	p.t.Helper()
	l := &links{}
	l.init(p.name, p.mill, p.book, p.mill.now, testLog())
	l.sign, l.transport = func() ed25519.PrivateKey { return p.mill.link() }, transports(p.wire.Dial)
	p.pace(&l.pace)
	if err := l.openRelay(p.folder, p.bounds); err != nil {
		p.t.Fatal(err)
	}
	p.l = l
}

func testLog() *slog.Logger {
	if os.Getenv("KONBIT_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start runs the post: links and listener.
func (p *post) start() {
	p.t.Helper()
	p.prepare()
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.done = cancel, make(chan struct{})
	done, l := p.done, p.l
	go func() {
		defer close(done)
		if err := l.run(ctx); err != nil {
			p.t.Error(err)
		}
	}()
	until(p.t, "the links run", l.running)
	p.serve(l.handler())
}

// serve listens with timeouts that are too short for a stream, as a front has
// them: the links set their own.
func (p *post) serve(h http.Handler) {
	p.t.Helper()
	var ln net.Listener
	until(p.t, "the address is free", func() (ok bool) {
		var err error
		ln, err = net.Listen("tcp", p.addr)
		return err == nil
	})
	p.http = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Minute}
	go p.http.Serve(ln)
}

// kill ends the post as a power cut would, as far as others can tell.
func (p *post) kill() {
	if p.http != nil {
		p.http.Close()
		p.http = nil
	}
	if p.stop != nil {
		p.stop()
		<-p.done
		p.stop = nil
	}
}

func (p *post) restart() {
	p.t.Helper()
	p.kill()
	p.start()
}

// knows makes a post know another one; dials says that it has its address.
func (p *post) knows(o *post, dials bool) *store.Node {
	n := o.mill.node()
	if dials {
		n.URLs = []string{o.url()}
	}
	p.book.put(n)
	return n
}

// friends makes two posts know each other; the first dials the second.
func friends(a, b *post) {
	a.knows(b, true)
	b.knows(a, false)
}

// linked reports whether a post is connected to another one.
func (p *post) linked(o *post) bool { return p.l.live(o.name) != nil }

// send puts n items of size bytes into the stream to another post and returns the numbers.
func (p *post) send(o *post, lane bundle.Lane, n, size int) (first, last int64) {
	return p.mill.put(o.name, lane, n, size)
}

// has reports whether everything that a lane holds for another post is there and receipted.
func (p *post) has(o *post) bool {
	m := o.mill
	m.mu.Lock()
	defer m.mu.Unlock()
	for lane := range m.received[p.name] {
		if last := m.newest(p.name, bundle.Lane(lane)); m.received[p.name][lane] < last {
			return false
		}
	}
	return true
}

// settled waits until another post has everything, and checks that it got each once and in order.
func (p *post) settled(o *post) {
	p.t.Helper()
	untilIn(p.t, 15*time.Second, fmt.Sprintf("%s has everything from %s", o.name, p.name), func() bool { return o.has(p) })
	p.once(o)
}

// once checks that what another post got of ours it got once and in order, and nothing is missing.
func (p *post) once(o *post) {
	p.t.Helper()
	p.mill.mu.Lock()
	var want [store.Lanes][]int64
	for _, e := range p.mill.out[o.name] {
		want[e.lane] = append(want[e.lane], e.n)
	}
	p.mill.mu.Unlock()
	o.mill.mu.Lock()
	defer o.mill.mu.Unlock()
	for lane := range want {
		if got := o.mill.got[p.name][lane]; !slices.Equal(got, want[lane]) {
			p.t.Errorf("lane %d: %s got %d items of %d, or not in order", lane, o.name, len(got), len(want[lane]))
		}
	}
}

func untilIn(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// mill is a stream of numbered bytes.
type mill struct {
	name string
	book *book
	seal *age.X25519Identity

	mu       sync.Mutex
	key      ed25519.PrivateKey
	skew     time.Duration
	last     map[string]int64
	out      map[string][]grain
	talks    map[string][]bundle.Item
	received map[string][store.Lanes]int64 // by whom we send to
	applied  map[string][store.Lanes]int64 // by sender
	got      map[string]*[store.Lanes][]int64
	when     map[string]map[int64]time.Time
	heard    int // items of Talk
	receipts map[string]time.Time
	wakes    map[string]chan struct{}
	hook     func(h bundle.Header) error // before a bundle is applied
	alarms   []string
	hears    int
}

type grain struct {
	n    int64
	lane bundle.Lane
	data []byte
}

func newMill(name string) *mill {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return &mill{name: name, key: key, seal: id, last: map[string]int64{}, out: map[string][]grain{}, talks: map[string][]bundle.Item{},
		received: map[string][store.Lanes]int64{}, applied: map[string][store.Lanes]int64{}, got: map[string]*[store.Lanes][]int64{},
		when: map[string]map[int64]time.Time{}, receipts: map[string]time.Time{}, wakes: map[string]chan struct{}{}}
}

func (m *mill) node() *store.Node {
	return &store.Node{Name: m.name, Title: trust.Short(m.name), Sign: m.link().Public().(ed25519.PublicKey), Seal: m.seal.Recipient().String(), State: store.NodeActive, Serial: 1}
}

func (m *mill) link() ed25519.PrivateKey {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.key
}

func (m *mill) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.skew)
}

func (m *mill) move(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skew += d
}

func (m *mill) put(to string, lane bundle.Lane, n, size int) (first, last int64) {
	m.mu.Lock()
	for range n {
		b := make([]byte, size*3/4)
		rand.Read(b)
		m.last[to]++
		if first == 0 {
			first = m.last[to]
		}
		m.out[to] = append(m.out[to], grain{m.last[to], lane, b})
	}
	last = m.last[to]
	m.mu.Unlock()
	m.wake(to)
	return first, last
}

// newest is the newest number in a lane. Called with mu held.
func (m *mill) newest(to string, lane bundle.Lane) (n int64) {
	for _, g := range m.out[to] {
		if g.lane == lane {
			n = g.n
		}
	}
	return n
}

func (m *mill) say(to string, words int) {
	m.mu.Lock()
	for i := range words {
		m.talks[to] = append(m.talks[to], bundle.Item{Sort: bundle.Word, Topic: "test", Payload: fmt.Appendf(nil, `{"i":%d}`, i)})
	}
	m.mu.Unlock()
	m.wake(to)
}

func (m *mill) wake(to string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.wakes[to]; c != nil {
		close(c)
		delete(m.wakes, to)
	}
}

func (m *mill) woken(to string) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wakes[to] == nil {
		m.wakes[to] = make(chan struct{})
	}
	return m.wakes[to]
}

func (m *mill) nextBundle(_ context.Context, node *store.Node, lane bundle.Lane, after int64, maxBytes int) ([]byte, bundle.Header, error) {
	h := bundle.Header{From: m.name, To: node.Name, Lane: lane, At: m.now().UTC().Truncate(time.Second)}
	m.mu.Lock()
	var items []bundle.Item
	if lane == bundle.Talk {
		items, m.talks[node.Name] = m.talks[node.Name], nil
	} else {
		h.After, h.UpTo = after, after
		size := 0
		for _, g := range m.out[node.Name] {
			if g.lane != lane || g.n <= after {
				continue
			}
			if size += len(g.data); size > maxBytes && len(items) > 0 {
				break
			}
			b, _ := json.Marshal(base64.RawStdEncoding.EncodeToString(g.data))
			items = append(items, bundle.Item{Sort: bundle.Word, N: g.n, Topic: "grain", Payload: b})
			h.UpTo = g.n
		}
	}
	key := m.key
	m.mu.Unlock()
	if len(items) == 0 {
		return nil, h, nil
	}
	to, err := age.ParseX25519Recipient(node.Seal)
	if err != nil {
		return nil, h, err
	}
	b, err := bundle.Seal(h, items, to, key)
	return b, h, err
}

func (m *mill) outgoing(_ context.Context, node string) (store.Outgoing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := store.Outgoing{Last: m.last[node], Received: m.received[node]}
	for _, g := range m.out[node] {
		if g.n > o.Received[g.lane] {
			o.Waiting[g.lane]++
		}
	}
	return o, nil
}

func (m *mill) appliedOf(_ context.Context, node string) ([store.Lanes]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied[node], nil
}

func (m *mill) known(node, keyID string) ed25519.PublicKey {
	return m.book.SignKey(node, keyID, time.Time{})
}

func (m *mill) arrived(ctx context.Context, b []byte) (bundle.Header, error) {
	h, items, err := bundle.Open(b, m.known, m.seal)
	if err != nil {
		m.alarm(ctx, h.From, reasonOf(err), err.Error(), record.ID{})
		return h, err
	}
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook != nil {
		if err := hook(h); err != nil {
			return h, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.Lane == bundle.Talk {
		m.heard += len(items)
		return h, nil
	}
	applied := m.applied[h.From]
	if h.After > applied[h.Lane] {
		return h, record.Errorf(record.Conflict, "test.gap", "it begins after a gap")
	}
	if m.got[h.From] == nil {
		m.got[h.From], m.when[h.From] = &[store.Lanes][]int64{}, map[int64]time.Time{}
	}
	for _, it := range items {
		if it.N > applied[h.Lane] {
			m.got[h.From][h.Lane] = append(m.got[h.From][h.Lane], it.N)
			m.when[h.From][it.N] = time.Now()
		}
	}
	applied[h.Lane] = max(applied[h.Lane], h.UpTo)
	m.applied[h.From] = applied
	return h, nil
}

func (m *mill) receipt(_ context.Context, node *store.Node) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Receipt{From: m.name, To: node.Name, Received: m.applied[node.Name], Last: m.last[node.Name], At: time.Now().Add(m.skew)}
	b, err := json.Marshal(&r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(receiptDoc{b, keyID(m.key), ledger.SignAs(m.key, ReceiptType, b)})
}

func (m *mill) readReceipt(b []byte) (*Receipt, error) {
	var d receiptDoc
	var r Receipt
	if json.Unmarshal(b, &d) != nil || json.Unmarshal(d.Payload, &r) != nil {
		return nil, record.Errorf(record.Invalid, "receipt.malformed", "the receipt cannot be read")
	}
	key := m.book.SignKey(r.From, d.KeyID, r.At)
	if key == nil || !ledger.VerifyAs(key, ReceiptType, d.Payload, d.Sig) {
		return nil, record.Errorf(record.Denied, "receipt.forged", "the receipt is not signed by %s", r.From)
	}
	return &r, nil
}

func (m *mill) takeReceipt(_ context.Context, b []byte) error {
	r, err := m.readReceipt(b)
	if err != nil {
		return err
	}
	m.mu.Lock()
	if r.At.After(m.receipts[r.From]) {
		m.receipts[r.From], m.received[r.From] = r.At, r.Received
	}
	m.mu.Unlock()
	m.wake(r.From)
	return nil
}

func (m *mill) hear(_ context.Context, node *store.Node, applied [store.Lanes]int64, _ int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hears++
	return nil
}

func (m *mill) alarm(_ context.Context, node, code, text string, _ record.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alarms = append(m.alarms, code)
}

func (m *mill) alarmed() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.alarms)
}

// count returns how many items came from a sender in a lane.
func (m *mill) count(from string, lane bundle.Lane) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.got[from] == nil {
		return 0
	}
	return len(m.got[from][lane])
}

// book is who a post knows.
type book struct {
	mu        sync.Mutex
	self      *store.Node
	nodes     map[string]*store.Node
	directory *trust.Directory
	changed   chan struct{}
	cards     []string
}

func (b *book) put(n *store.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes[n.Name] = n
	close(b.changed)
	b.changed = make(chan struct{})
}

// alter changes what is known of a node.
func (b *book) alter(name string, fn func(*store.Node)) {
	n := *b.Node(name)
	fn(&n)
	b.put(&n)
}

func (b *book) hub(region, hub string) {
	b.mu.Lock()
	b.directory = &trust.Directory{Region: region, Hub: hub}
	b.mu.Unlock()
	for _, n := range b.Nodes() {
		b.alter(n.Name, func(n *store.Node) { n.Region = region })
	}
}

func (b *book) Self() *store.Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.self
}
func (b *book) SelfCard(context.Context) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return json.Marshal(b.self)
}
func (b *book) Node(name string) *store.Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.nodes {
		if n.Name == name || trust.Short(n.Name) == name {
			return n
		}
	}
	return nil
}
func (b *book) Nodes() (out []*store.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *store.Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}
func (b *book) Active() []*store.Node {
	return slices.DeleteFunc(b.Nodes(), func(n *store.Node) bool { return n.State != store.NodeActive })
}
func (b *book) SignKey(node, keyID string, _ time.Time) ed25519.PublicKey {
	if n := b.Node(node); n != nil && n.State == store.NodeActive && ledger.KeyID(n.Sign) == keyID {
		return n.Sign
	}
	return nil
}
func (b *book) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}
func (b *book) Directory() *trust.Directory {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.directory
}
func (b *book) DirectoryBytes() []byte { return nil }

// TakeCard takes a card without looking at signatures, which is for package trust to test.
func (b *book) TakeCard(_ context.Context, raw []byte) error {
	var n store.Node
	if err := json.Unmarshal(raw, &n); err != nil {
		return record.Errorf(record.Invalid, "card.malformed", "the card cannot be read")
	}
	if old := b.Node(n.Name); old != nil && n.Serial > old.Serial {
		n.State, n.URLs, n.Via = old.State, old.URLs, old.Via
		b.put(&n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cards = append(b.cards, n.Name)
	return nil
}
func (b *book) TakeDirectory(context.Context, []byte) error { return nil }
func (b *book) LeftOut() []string                           { return nil }
func (b *book) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /peer/v1/card", func(w http.ResponseWriter, r *http.Request) {
		c, _ := b.SelfCard(r.Context())
		w.Write(c)
	})
	return mux
}

// leftovers fails the test when goroutines of this package are left after the posts have ended.
func leftovers(t *testing.T) {
	t.Helper()
	mine := func() (out []string) {
		b := make([]byte, 1<<20)
		b = b[:runtime.Stack(b, true)]
		for _, g := range strings.Split(string(b), "\n\n") {
			if strings.Contains(g, "konbit/peer.(*") && !strings.Contains(g, "testing.tRunner") {
				out = append(out, g)
			}
		}
		return out
	}
	end := time.Now().Add(5 * time.Second)
	for len(mine()) > 0 && time.Now().Before(end) {
		<-time.After(5 * time.Millisecond)
	}
	if left := mine(); len(left) > 0 {
		t.Errorf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
	}
}
