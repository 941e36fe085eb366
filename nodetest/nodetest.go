// Package nodetest runs several real nodes in one process, each with its own
// files, keys and clock, that exchange over HTTP on loopback. Their links can be
// cut, slow and lossy; nodes can be killed, restored from old backups and cloned.
// It is for tests alone.
//
// It must not reach into a node: what it does is what administrators, people and
// bad luck do. What it looks at is what a node has stored.
package nodetest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"konbit/account"
	"konbit/nodetest/cable"
	"konbit/peer/trust"
)

// Day is when every test begins.
var Day = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// Patience bounds every wait.
const Patience = 45 * time.Second

// Sample is the kind of record that a test exchanges.
type Sample struct {
	Kind string
	Body func(title string, urgent bool) any
}

// House says what a node of a region is like.
type House struct {
	Name     string   // in the test: "hub", "a"
	Agencies []string // that it serves
	Listens  bool     // others can dial it; else it dials them
}

// T is what a region needs of a test; *testing.T and *rapid.T have it.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Region is the nodes of one test, and the links between them.
type Region struct {
	Nodes []*Node

	t      T
	sample Sample
	start  time.Time

	mu    sync.Mutex
	moved time.Duration
	wires map[[2]string]*cable.Wire // by the names of who dials and who is dialled
	cut   map[[2]string]bool        // by both names, sorted
	old   sync.WaitGroup            // lives that were abandoned
}

// New opens and runs the nodes of the houses. They do not know each other yet.
func New(t T, s Sample, houses ...House) *Region {
	t.Helper()
	r := &Region{t: t, sample: s, start: time.Now(), wires: map[[2]string]*cable.Wire{}, cut: map[[2]string]bool{}}
	folder, err := os.MkdirTemp("", "nodetest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.close(); os.RemoveAll(folder) })
	for _, h := range houses {
		n := &Node{r: r, Name: h.Name, Agencies: h.Agencies, listens: h.Listens, folder: filepath.Join(folder, h.Name)}
		n.data = n.nextFolder()
		if n.door, err = openDoor(); err != nil {
			t.Fatal(err)
		}
		r.Nodes = append(r.Nodes, n)
	}
	for _, n := range r.Nodes {
		n.Start()
		n.found()
	}
	return r
}

// close ends all nodes and waits for them.
func (r *Region) close() {
	var wg sync.WaitGroup
	for _, n := range r.Nodes {
		wg.Go(func() { n.end(true); n.door.close() })
	}
	wg.Wait()
	r.old.Wait()
}

// Node returns a node by its name in the test.
func (r *Region) Node(name string) *Node {
	for _, n := range r.Nodes {
		if n.Name == name {
			return n
		}
	}
	panic("nodetest: no node " + name)
}

// now is the right time: it runs, and Move moves it.
func (r *Region) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Day.Add(time.Since(r.start) + r.moved)
}

// Move lets time pass, for all nodes.
func (r *Region) Move(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved += d
}

// Found makes the first node the founder of a region and lets the others join, by
// invitation, fingerprint and approval. in says in which communities each agency is.
func (r *Region) Found(in map[string][]string) {
	r.t.Helper()
	ctx, hub := r.t.Context(), r.Nodes[0]
	r.must(hub.Trust().Found(ctx, account.Node, "hispaniola"))
	for _, a := range hub.Agencies {
		r.Member(a, always(in[a])...)
	}
	for _, n := range r.Nodes[1:] {
		r.invite(hub, n, true, in)
	}
	for _, n := range r.Nodes[1:] {
		if len(n.Agencies) > 0 {
			r.until("the directory reaches "+n.Name, func() string { return r.sameDirectory(n) })
		}
	}
}

// Befriend makes two nodes exchange without a region: the first invites. Each side
// says for itself in which communities the other's agencies are.
func (r *Region) Befriend(inviter, joiner *Node, in map[string][]string) {
	r.t.Helper()
	r.invite(inviter, joiner, false, in)
	for _, p := range [][2]*Node{{inviter, joiner}, {joiner, inviter}} {
		for _, a := range append(p[0].Agencies, p[1].Agencies...) {
			communities := map[string]time.Time{}
			for _, c := range in[a] {
				communities[c] = time.Time{}
			}
			r.must(p[0].Trust().SetMembership(r.t.Context(), account.Node, a, communities))
		}
	}
}

func (r *Region) invite(inviter, joiner *Node, region bool, in map[string][]string) {
	r.t.Helper()
	ctx := r.t.Context()
	code, err := inviter.Trust().Invite(ctx, account.Node, region, inviter.URL(), time.Hour)
	r.must(err)
	_, err = joiner.Trust().Join(ctx, account.Node, code)
	r.must(err)
	self, communities := joiner.Trust().Self(), map[string][]string{}
	for _, a := range joiner.Agencies {
		communities[a] = in[a]
	}
	r.must(inviter.Trust().Approve(ctx, account.Node, self.Name, trust.Spoken(self.Sign), communities, time.Time{}))
}

// Membership is a community and since when somebody is in it.
type Membership struct {
	Community string
	Since     time.Time // zero: always
}

func always(communities []string) (ms []Membership) {
	for _, c := range communities {
		ms = append(ms, Membership{Community: c})
	}
	return ms
}

// Member says, at the founder, in which communities an agency is, and in no other.
func (r *Region) Member(agency string, in ...Membership) {
	r.t.Helper()
	communities := map[string]time.Time{}
	for _, m := range in {
		communities[m.Community] = m.Since
	}
	r.must(r.Nodes[0].Trust().SetMembership(r.t.Context(), account.Node, agency, communities))
}

// Wire is the link over which one node dials another: to slow it, or to lose
// packets on it.
func (r *Region) Wire(dialler, dialled *Node) *cable.Wire {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]string{dialler.Name, dialled.Name}
	w := r.wires[key]
	if w == nil {
		w = &cable.Wire{}
		r.wires[key] = w
	}
	return w
}

func pairOf(a, b *Node) [2]string {
	if a.Name > b.Name {
		a, b = b, a
	}
	return [2]string{a.Name, b.Name}
}

// Cut breaks the link between two nodes, for both to see.
func (r *Region) Cut(a, b *Node) { r.link(a, b, true) }

// Mend ends Cut.
func (r *Region) Mend(a, b *Node) { r.link(a, b, false) }

func (r *Region) link(a, b *Node, cut bool) {
	r.mu.Lock()
	r.cut[pairOf(a, b)] = cut
	r.mu.Unlock()
	for _, p := range [][2]*Node{{a, b}, {b, a}} {
		if cut {
			r.Wire(p[0], p[1]).Cut()
		} else {
			r.Wire(p[0], p[1]).Mend()
		}
		p[0].byHand(p[1])
	}
}

// isCut reports whether the link between two nodes is cut.
func (r *Region) isCut(a, b *Node) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut[pairOf(a, b)]
}

// dial connects a node to an address of another one.
func (r *Region) dial(ctx context.Context, from *Node, network, address string) (net.Conn, error) {
	for _, n := range r.Nodes {
		if n.door.address() == address {
			return r.Wire(from, n).Dial(ctx, network, address)
		}
	}
	return nil, fmt.Errorf("nodetest: nobody listens at %s", address)
}

func (r *Region) must(err error) {
	if err != nil {
		r.t.Helper()
		r.t.Fatal(err)
	}
}

// log is where nodes write, when somebody wants to read it.
func (r *Region) log(name string) *slog.Logger {
	if os.Getenv("KONBIT_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("at", name)
}

func marshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
