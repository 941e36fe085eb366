package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// The topics of the words about ledgers.
const (
	wordCheckpoint = "checkpoint" // my ledger is this, and continues what you have seen
	wordCosigned   = "cosigned"   // I have seen it, here is my signature
	wordProve      = "prove"      // prove that it continues what I have seen
	wordSeen       = "seen"       // this is what another node showed me
)

type checkpointWord struct {
	Note   string     `json:"note"`
	Proofs []fromSize `json:"proofs,omitempty"`
}

// fromSize is a proof that the ledger of that size is the beginning of another.
type fromSize struct {
	From  int64         `json:"from"`
	Proof []ledger.Hash `json:"proof"`
}

type cosignedWord struct {
	Note string `json:"note"`
}

type proveWord struct {
	Sizes []int64 `json:"sizes"`
}

type seenWord struct {
	Node string `json:"node"`
	Note string `json:"note"`
}

// How often checkpoints are sent, by the clock of the node.
const (
	checkpointGrown = time.Minute      // at most, when the ledger grew and the last one was answered
	checkpointIdle  = time.Hour        // otherwise
	gossipEvery     = 10 * time.Minute // at most
	maxProofs       = maxClaims + 2    // in one word
)

// nodes is what a witness asks about other nodes; trust.Service has it.
type nodes interface {
	Node(name string) *store.Node
	Active() []*store.Node
	Refuse(ctx context.Context, node, why string) error
}

// witness co-signs the checkpoints of other nodes and gets ours co-signed. A
// ledger that shrank or forked is found by those that have seen it before, and one
// that shows itself differently to different nodes when these compare.
type witness struct {
	store interface {
		Settings
		ledger.Reader
	}
	head    func() []byte // our newest signed checkpoint
	nodes   nodes
	signer  note.Signer
	vkey    string // of signer
	send    func(node string, items ...bundle.Item)
	waiting func(node, topic string) int // words that were not sent yet
	alarm   func(ctx context.Context, node, code, text string, id record.ID)
	note    func(ctx context.Context, content any) error // writes evidence into the ledger
	now     func() time.Time
	log     *slog.Logger
	life    Incarnation

	mu   sync.Mutex
	of   map[string]*witnessed // by node
	said map[string]*said      // by node
}

// said is what we last told a node.
type said struct {
	at, gossip time.Time
	size       int64
	answered   bool
	seen       map[string]string // by node: the note of its that we passed on
}

func (x *Exchange) openWitness(ctx context.Context) (err error) {
	w := &witness{store: x.cfg.Store, head: x.cfg.Intake.Checkpoint, nodes: x.cfg.Trust, signer: x.cfg.Signer, vkey: x.cfg.Keys.Ledger(), send: x.Talk, waiting: x.stream.talks.count, alarm: x.alarm, now: x.cfg.Now, log: x.cfg.Log,
		note: func(ctx context.Context, content any) error {
			_, err := x.cfg.Intake.Note(ctx, "evidence", x.house(), "node", content)
			return err
		}}
	if err := w.open(ctx); err != nil {
		return err
	}
	for topic, do := range w.words() {
		x.OnWord(topic, do)
	}
	x.witness, x.links.wit = w, x.witnessOf
	return nil
}

func (w *witness) open(ctx context.Context) (err error) {
	w.of, w.said = map[string]*witnessed{}, map[string]*said{}
	w.life, err = incarnationOf(ctx, w.store)
	return err
}

func (w *witness) words() map[string]wordFunc {
	return map[string]wordFunc{wordCheckpoint: w.onCheckpoint, wordCosigned: w.onCosigned, wordProve: w.onProve, wordSeen: w.onSeen}
}

// runWitness sends checkpoints until ctx ends, and says when a node can be reached.
func (x *Exchange) runWitness(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	reached := map[string]*conn{}
	for {
		moved := x.links.moved.wait()
		x.meet(ctx, reached)
		x.witness.tell(ctx, "")
		select {
		case <-tick.C:
		case <-moved:
			if !pause(ctx, 200*time.Millisecond) { // a backlog moves all the time
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// meet tells whoever waits for it of nodes that can be reached anew: over another
// connection than before.
func (x *Exchange) meet(ctx context.Context, reached map[string]*conn) {
	for _, n := range x.cfg.Trust.Active() {
		if n.Name == x.witness.signer.Name() {
			continue
		}
		up := x.links.route(n.Name)
		if up != nil && up != reached[n.Name] {
			x.witness.tell(ctx, n.Name)
			for _, do := range x.met {
				do(ctx, n.Name)
			}
		}
		reached[n.Name] = up
	}
}

// tell sends our checkpoint to those whose time it is, or to one node at once, and
// what we have witnessed of others.
func (w *witness) tell(ctx context.Context, node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	c, err := w.ours()
	if err != nil {
		w.log.Error("witness: our checkpoint cannot be read", "error", err)
		return
	}
	for _, n := range w.nodes.Active() {
		if n.Name == w.signer.Name() || node != "" && n.Name != node {
			continue
		}
		s := w.said[n.Name]
		if s == nil {
			s = &said{seen: map[string]string{}}
			w.said[n.Name] = s
		}
		since := now.Sub(s.at).Abs()
		if node == "" && w.waiting(n.Name, wordCheckpoint) > 0 {
			continue // it is not there: one is enough
		}
		if c.Size > 0 && (node != "" || s.at.IsZero() || since >= checkpointIdle || s.answered && s.size != c.Size && since >= checkpointGrown) {
			w.checkpoint(ctx, n, nil)
		}
		if node != "" || now.Sub(s.gossip).Abs() >= gossipEvery {
			s.gossip = now
			w.gossip(ctx, n, s)
		}
	}
}

// ours is our newest checkpoint, Size 0 when the ledger is empty.
func (w *witness) ours() (c ledger.Checkpoint, err error) {
	text := w.head()
	if text == nil {
		return c, nil
	}
	v, err := note.NewVerifier(w.vkey)
	if err != nil {
		return c, err
	}
	return ledger.ParseCheckpoint(text, note.VerifierList(v))
}

// checkpoint sends our checkpoint with proofs that it continues what the node has
// co-signed, and the sizes that it asked for. It is called with mu held.
func (w *witness) checkpoint(ctx context.Context, n *store.Node, sizes []int64) {
	err := func() error {
		c, err := w.ours()
		if err != nil || c.Size == 0 {
			return err
		}
		st, err := w.load(ctx, n.Name)
		if err != nil {
			return err
		}
		sizes = append(slices.Clone(sizes), st.Ours.Size)
		slices.Sort(sizes)
		word := checkpointWord{}
		for _, from := range slices.Compact(sizes) {
			if from <= 0 || from >= c.Size || len(word.Proofs) >= maxProofs {
				continue
			}
			p, err := ledger.ProveConsistency(ctx, w.store, from, c.Size)
			if err != nil {
				return err
			}
			word.Proofs = append(word.Proofs, fromSize{from, p})
		}
		if word.Note, err = signSeal(w.signer, c.Size, c.Root, w.life, w.now()); err != nil {
			return err
		}
		if s := w.said[n.Name]; s != nil {
			s.at, s.size, s.answered = w.now(), c.Size, false
		}
		w.send(n.Name, say(wordCheckpoint, word))
		return nil
	}()
	if err != nil && ctx.Err() == nil {
		w.log.Error("witness: a checkpoint was not sent", "node", n.Name, "error", err)
	}
}

// gossip passes on what we have witnessed of other nodes. It is called with mu held.
func (w *witness) gossip(ctx context.Context, to *store.Node, s *said) {
	for _, n := range w.nodes.Active() {
		if n.Name == to.Name || n.Name == w.signer.Name() {
			continue
		}
		st, err := w.load(ctx, n.Name)
		if err != nil {
			w.log.Error("witness", "node", n.Name, "error", err)
			continue
		}
		if st.Size > 0 && s.seen[n.Name] != st.Note {
			s.seen[n.Name] = st.Note
			w.send(to.Name, say(wordSeen, seenWord{n.Name, st.Note}))
		}
	}
}

func (w *witness) onCheckpoint(ctx context.Context, from *store.Node, it bundle.Item) error {
	var word checkpointWord
	if json.Unmarshal(it.Payload, &word) != nil || len(word.Proofs) > 2*maxProofs {
		return badWord(wordCheckpoint)
	}
	c, err := readSeal(word.Note, from.Ledger)
	if err != nil {
		return err
	}
	proofs := map[int64]ledger.Proof{}
	for _, p := range word.Proofs {
		proofs[p.From] = p.Proof
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	st, err := w.load(ctx, from.Name)
	if err != nil {
		return err
	}
	if st.Fault != "" && st.Fault != faultRestored {
		// It was refused, and we hear it again: an administrator has resumed it, and
		// what it shows from now on is what counts, also when others still show what
		// they saw before.
		st.seal, st.Claims, st.Fault, st.Detail, st.Asked, st.From = seal{}, nil, "", "", 0, c.At
	}
	v := st.judge(c, proofs, w.now())
	if v.fault != "" && v.fault != faultRestored {
		return w.refuse(ctx, from, st, v)
	}
	if v.fault == faultRestored {
		w.raise(ctx, from, v)
		st.Fault, st.Detail, st.Before, st.Claims = v.fault, v.text, st.Size, nil
	}
	if len(v.prove) > 0 {
		// Words may cross or be lost with a link, and others show something new: so a
		// doubt counts once a minute, and not at all when it is settled in between.
		if now := w.now(); now.Sub(st.AskedAt).Abs() >= checkpointGrown {
			if st.AskedAt, st.Asked = now.UTC(), st.Asked+1; st.Asked == maxUnproven {
				w.alarm(ctx, from.Name, "unproven", fmt.Sprintf("%s was asked %d times to prove that its ledger continues what was seen of it, and did not", from.Title, st.Asked), record.ID{})
			}
		}
		w.send(from.Name, say(wordProve, proveWord{v.prove}))
	} else if v.co {
		st.Asked = 0
	}
	if v.co {
		st.seal, st.Heard = c, w.now().UTC()
		if st.Fault == faultRestored && st.Size > st.Before {
			st.Fault, st.Detail, st.Before = "", "", 0
		}
	}
	if err := w.save(ctx, from.Name, st); err != nil || !v.co { // before it is co-signed: what we sign we must not forget
		return err
	}
	return w.cosign(from, c)
}

func (w *witness) cosign(n *store.Node, c seal) error {
	v, err := note.NewVerifier(n.Ledger)
	if err != nil {
		return err
	}
	text, err := ledger.Cosign([]byte(c.Note), note.VerifierList(v), w.signer)
	if err != nil {
		return err
	}
	w.send(n.Name, say(wordCosigned, cosignedWord{string(text)}))
	return nil
}

// raise tells of a fault, with the signed notes that show it.
func (w *witness) raise(ctx context.Context, n *store.Node, v verdict) {
	w.alarm(ctx, n.Name, v.fault, n.Title+": "+v.text, record.ID{})
	if err := w.note(ctx, struct {
		What     string   `json:"what"`
		Node     string   `json:"node"`
		Text     string   `json:"text"`
		Evidence []string `json:"evidence"`
	}{v.fault, n.Name, v.text, v.evidence}); err != nil {
		w.log.Error("witness: the evidence is not in the ledger", "node", n.Name, "error", err)
	}
}

// refuse stops the exchange with a node. The fault is kept after the node was
// refused, because hearing from a node with a fault means that it was resumed.
func (w *witness) refuse(ctx context.Context, n *store.Node, st *witnessed, v verdict) error {
	ctx = context.WithoutCancel(ctx) // it ends with the link, which this cuts
	w.raise(ctx, n, v)
	if err := w.nodes.Refuse(ctx, n.Name, v.fault+": "+v.text); err != nil {
		return err
	}
	st.Fault, st.Detail = v.fault, v.text
	return w.save(ctx, n.Name, st)
}

// onCosigned takes a node's signature under a checkpoint of ours.
func (w *witness) onCosigned(ctx context.Context, from *store.Node, it bundle.Item) error {
	var word cosignedWord
	if json.Unmarshal(it.Payload, &word) != nil {
		return badWord(wordCosigned)
	}
	c, err := readSeal(word.Note, w.vkey, from.Ledger)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if ok, err := w.mine(ctx, c, from); !ok || err != nil {
		return err
	}
	st, err := w.load(ctx, from.Name)
	if err != nil {
		return err
	}
	if s := w.said[from.Name]; s != nil && c.Size == s.size {
		s.answered = true
	}
	if !c.At.After(st.Ours.At) {
		return nil
	}
	st.Ours.Size, st.Ours.At, st.Ours.Note = c.Size, c.At, word.Note
	return w.save(ctx, from.Name, st)
}

// mine reports whether a checkpoint with our signature is one of our ledger as it
// is. One of this life that is not shows that our own ledger was rolled back, or that
// somebody else signs with our key.
func (w *witness) mine(ctx context.Context, c seal, from *store.Node) (bool, error) {
	if c.Life != w.life {
		return false, nil // of the life before a restore, or of the node that replaced this one
	}
	head, err := w.ours()
	if err != nil {
		return false, err
	}
	if c.Size <= head.Size {
		root, err := ledger.RootAt(ctx, w.store, c.Size)
		if err != nil || root == c.Root {
			return err == nil, err
		}
	}
	v := verdict{fault: faultRolledBack, evidence: []string{c.Note, string(w.head())},
		text: fmt.Sprintf("%s has seen a ledger of this node with %d entries that is not the one that it has (%d entries): it was rolled back, or a copy of it runs elsewhere", from.Title, c.Size, head.Size)}
	w.raise(ctx, &store.Node{Name: w.signer.Name(), Title: "this node"}, v)
	return false, nil
}

// onProve answers who doubts.
func (w *witness) onProve(ctx context.Context, from *store.Node, it bundle.Item) error {
	var word proveWord
	if json.Unmarshal(it.Payload, &word) != nil || len(word.Sizes) > maxProofs {
		return badWord(wordProve)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkpoint(ctx, from, word.Sizes)
	return nil
}

// onSeen takes what a third node was shown.
func (w *witness) onSeen(ctx context.Context, from *store.Node, it bundle.Item) error {
	var word seenWord
	if json.Unmarshal(it.Payload, &word) != nil {
		return badWord(wordSeen)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if word.Node == w.signer.Name() {
		c, err := readSeal(word.Note, w.vkey)
		if err == nil {
			_, err = w.mine(ctx, c, from)
		}
		return err
	}
	n := w.nodes.Node(word.Node)
	if n == nil || n.State != store.NodeActive || n.Name == from.Name {
		return nil
	}
	c, err := readSeal(word.Note, n.Ledger)
	if err != nil {
		return err
	}
	st, err := w.load(ctx, n.Name)
	if err != nil {
		return err
	}
	if st.Fault != "" && st.Fault != faultRestored {
		return nil // resumed, and not heard of since
	}
	v := st.claim(c)
	if v.fault != "" {
		return w.refuse(ctx, n, st, v)
	}
	if len(v.prove) > 0 {
		w.send(n.Name, say(wordProve, proveWord{v.prove}))
	}
	return w.save(ctx, n.Name, st)
}

func witnessName(node string) string { return "peer.witness." + node }

// load returns what we know of a node's ledger. It is called with mu held.
func (w *witness) load(ctx context.Context, node string) (*witnessed, error) {
	if st := w.of[node]; st != nil {
		c := *st
		return &c, nil
	}
	b, err := w.store.Value(ctx, witnessName(node))
	if err != nil {
		return nil, err
	}
	st := &witnessed{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, st); err != nil {
			return nil, record.Errorf(record.Corrupt, "peer.witness", "what was witnessed of %s cannot be read: %v", node, err)
		}
	}
	w.of[node] = st
	c := *st
	return &c, nil
}

// save keeps it. It is called with mu held.
func (w *witness) save(ctx context.Context, node string, st *witnessed) error {
	b, err := json.Marshal(st)
	if err != nil {
		return err
	}
	if err := w.store.SetValue(ctx, witnessName(node), b); err != nil {
		return err
	}
	w.of[node] = st
	return nil
}

// witnessOf is what is shown of a node's ledger, nil when nothing is known.
func (x *Exchange) witnessOf(node string) *Witness { return x.witness.show(node) }

func (w *witness) show(node string) *Witness {
	w.mu.Lock()
	defer w.mu.Unlock()
	st, err := w.load(context.Background(), node)
	if err != nil || st.Size == 0 && st.Ours.Size == 0 && st.Fault == "" {
		return nil
	}
	return &Witness{Size: st.Size, At: st.Heard, OurAt: st.Ours.At, OurTo: st.Ours.Size, Fault: st.Fault, Detail: st.Detail}
}

// Cosigned returns the newest checkpoint of ours that each node has co-signed, by
// node, as signed notes: what shows to anybody that the ledger was not rewritten since.
func (x *Exchange) Cosigned(ctx context.Context) (map[string]string, error) {
	w := x.witness
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]string{}
	for _, n := range w.nodes.Active() {
		st, err := w.load(ctx, n.Name)
		if err != nil {
			return nil, err
		}
		if st.Ours.Note != "" {
			out[n.Name] = st.Ours.Note
		}
	}
	return out, nil
}
