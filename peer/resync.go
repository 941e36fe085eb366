package peer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// mends are the streams that we mend, because we were restored from a backup and
// do not remember what we sent since it was made. DESIGN.md, "When somebody was restored".
type mends struct {
	mu       sync.Mutex
	by       map[string]*mend   // by node
	restored bool               // at any time
	copies   map[string]*copyOf // of what we hold, for nodes that mend theirs
}

// mend is the state of one of these streams. Last and Base are kept, so that a
// restart goes on; what was told meanwhile is asked for again.
type mend struct {
	Last  int64 `json:"last"`            // the newest number that we remember
	Base  int64 `json:"base"`            // what we give out from now on is above it; 0: the node has not said how far it is
	Check bool  `json:"check,omitempty"` // not we were restored, but the node: it may hold again what we ended

	// ID names what is asked for now. An answer to another question is of a time
	// that is over.
	ID string `json:"id"`

	next  record.ID          // the node has told all records up to here
	told  map[record.ID]bool // these
	ahead int                // records that it holds in a newer version than ours
	asked time.Time          // by the real clock
}

// beyond is how far above everything that a node has seen the numbers go on. What
// was under way when we were lost lies below.
const beyond = 1 << 30

// farthest bounds what a node may say that it has: nobody gets there by counting.
const farthest = 1 << 61

// Names of the values that are kept.
const (
	mendsName       = "peer.mend"
	incarnationName = "incarnation"      // see incarnation.go
	sameName        = "peer.incarnation" // the one that the streams belong to
)

// openMends goes on with what was begun, and finds out whether the node was
// restored since it ran last.
func (s *streams) openMends(ctx context.Context) error {
	m := &s.mends
	m.by, m.copies = map[string]*mend{}, map[string]*copyOf{}
	st := s.x.cfg.Store
	b, err := st.Value(ctx, mendsName)
	if err != nil {
		return err
	}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &m.by); err != nil {
			return &record.Error{Code: record.Corrupt, Op: "peer.open", Message: "the state of the streams cannot be read", Err: err}
		}
	}
	is, err := st.Value(ctx, incarnationName)
	if err != nil {
		return err
	}
	was, err := st.Value(ctx, sameName)
	if err != nil {
		return err
	}
	m.restored = len(is) > 0
	if string(is) == string(was) {
		return nil
	}
	for _, n := range s.x.cfg.Trust.Nodes() {
		out, err := st.Outgoing(ctx, n.Name)
		if err != nil {
			return err
		}
		m.by[n.Name] = &mend{Last: out.Last}
		m.by[n.Name].begin()
	}
	if err := s.keepMends(ctx); err != nil {
		return err
	}
	return st.SetValue(ctx, sameName, is)
}

func (s *streams) keepMends(ctx context.Context) error {
	s.mends.mu.Lock()
	b, err := json.Marshal(s.mends.by)
	s.mends.mu.Unlock()
	if err != nil {
		return err
	}
	return s.x.cfg.Store.SetValue(ctx, mendsName, b)
}

// begin asks anew, from the start.
func (m *mend) begin() {
	m.ID, m.next, m.told, m.ahead, m.asked = rand.Text(), record.ID{}, nil, 0, time.Time{}
}

// mending reports whether our stream to a node is being mended.
func (s *streams) mending(node string) bool {
	s.mends.mu.Lock()
	defer s.mends.mu.Unlock()
	return s.mends.by[node] != nil
}

// lostTime reports whether we do not remember all that we sent to a node, and
// under which name we ask what it holds.
func (s *streams) lostTime(node string) (again bool, ask string) {
	s.mends.mu.Lock()
	defer s.mends.mu.Unlock()
	m := s.mends.by[node]
	if m == nil {
		return false, ""
	}
	return !m.Check, m.ID
}

// check asks a node that was restored what it holds now.
func (s *streams) check(ctx context.Context, node string, out store.Outgoing) error {
	s.mends.mu.Lock()
	m := s.mends.by[node]
	if m == nil && out.Last > 0 {
		m = &mend{Last: out.Last, Base: out.Last, Check: true}
		s.mends.by[node] = m
	}
	if m != nil {
		m.begin() // what it has told is not true any more
	}
	s.mends.mu.Unlock()
	if m == nil {
		return nil
	}
	s.ask(node)
	return s.keepMends(ctx)
}

// unsure reports whether we do not know yet which numbers a node has seen.
func (s *streams) unsure(node string) bool {
	s.mends.mu.Lock()
	defer s.mends.mu.Unlock()
	m := s.mends.by[node]
	return m != nil && m.Base == 0
}

// hear takes what the other side of a direct link says at hello.
func (s *streams) hear(ctx context.Context, node *store.Node, applied [store.Lanes]int64, _ int64) error {
	t := s.taken.of(node.Name)
	t.mu.Lock()
	defer t.mu.Unlock()
	out, err := s.x.cfg.Store.Outgoing(ctx, node.Name)
	if err != nil {
		return err
	}
	mended, err := s.heard(ctx, node.Name, applied, out)
	if record.CodeOf(err) == record.Denied {
		// It was told. The link may come up all the same, because it may be we who were
		// rolled back, and then the node has to see our ledger to say so.
		return nil
	}
	if err != nil {
		return err
	}
	if !mended && !hasAll(applied, out.Received) && !s.restless(ctx, node.Name) { // it has lost something
		if err := s.lower(ctx, node.Name, applied, out); err != nil {
			return err
		}
	}
	s.ask(node.Name) // when we mend: an answer may have been lost with the link before
	return s.retry(ctx, node.Name)
}

// lower notes that a node has less than it had: it was restored from a backup,
// and gets what it lost again.
func (s *streams) lower(ctx context.Context, node string, applied [store.Lanes]int64, out store.Outgoing) error {
	for lane := range applied {
		applied[lane] = min(applied[lane], out.Received[lane]) // what it has more is for its receipt to say
	}
	e := receiptEntry{Node: node, Received: applied}
	if _, err := s.x.cfg.Intake.Note(ctx, "receipt", s.x.house(), node, e, store.PutReceipt{Node: node, Received: applied, At: s.now()}); err != nil {
		return err
	}
	s.x.wake(node)
	return s.check(ctx, node, out)
}

// heard holds what a node says that it has against what we gave out. When we
// were restored it tells us from where on to number; otherwise it is false. It
// is called with the node's receipts locked.
func (s *streams) heard(ctx context.Context, node string, applied [store.Lanes]int64, out store.Outgoing) (mended bool, err error) {
	newest := slices.Max(applied[:])
	s.mends.mu.Lock()
	m := s.mends.by[node]
	if m == nil && newest > out.Last && s.mends.restored && out.Received == [store.Lanes]int64{} {
		m = &mend{Last: out.Last} // it came to us after the backup was made
		m.begin()
		s.mends.by[node] = m
	}
	s.mends.mu.Unlock()
	switch {
	case m != nil && m.Base == 0 && newest < farthest:
		return true, s.rebase(ctx, node, m, applied, out)
	case newest > out.Last:
		return false, s.falseReceipt(ctx, node, applied)
	}
	return false, nil
}

// rebase goes on with numbers above all that a node has seen, and asks it what it holds.
func (s *streams) rebase(ctx context.Context, node string, m *mend, applied [store.Lanes]int64, out store.Outgoing) error {
	base := max(slices.Max(applied[:]), out.Last) + beyond
	if err := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		e := receiptEntry{Node: node, Received: applied}
		if _, err := s.x.cfg.Intake.Note(ctx, "receipt", s.x.house(), node, e, store.PutReceipt{Node: node, Received: applied, At: s.now()}); err != nil {
			return err
		}
		return s.x.cfg.Store.Renumber(ctx, node, base)
	}(); err != nil {
		return err
	}
	s.mends.mu.Lock()
	m.Base = base
	s.mends.mu.Unlock()
	if err := s.keepMends(ctx); err != nil {
		return err
	}
	s.x.wake(node)
	s.ask(node)
	return nil
}

// askWord asks a node what it holds of ours.
type askWord struct {
	ID    string    `json:"id"`
	After record.ID `json:"after,omitzero"` // records that come after this one
}

// ask asks for the next part of what a node holds.
func (s *streams) ask(node string) {
	s.mends.mu.Lock()
	m := s.mends.by[node]
	var w askWord
	if m != nil {
		w, m.asked = askWord{m.ID, m.next}, time.Now()
	}
	s.mends.mu.Unlock()
	if m != nil {
		s.x.Talk(node, say(wordAsk, w))
	}
}

// patience is how long an answer may take before it is asked for again.
const patience = 10 * time.Second

// mendAgain asks again where a word was lost.
func (s *streams) mendAgain() {
	var late []string
	s.mends.mu.Lock()
	for node, m := range s.mends.by {
		if time.Since(m.asked) > patience {
			late = append(late, node)
		}
	}
	s.mends.mu.Unlock()
	for _, node := range late {
		s.ask(node)
	}
}

// holdingsWord is a part of what we hold of a node, in the order of the identifiers.
type holdingsWord struct {
	ID      string             `json:"id"`      // of the question
	Applied [store.Lanes]int64 `json:"applied"` // how far we have applied its stream
	After   record.ID          `json:"after,omitzero"`
	Held    []heldRow          `json:"held"`
	More    bool               `json:"more"` // there are more after the last one
	Ask     bool               `json:"ask"`  // and they are for you to ask for
}

type heldRow struct {
	ID      record.ID `json:"r"`
	Owner   string    `json:"o,omitempty"`
	N       int64     `json:"n"`
	Version int       `json:"v"`
	Purged  bool      `json:"p,omitempty"`
}

// How an answer is cut: so many records to a word, so many words at a time.
const (
	rowsOfWord   = 250
	wordsOfReply = 8
)

// copyOf is what we hold of a node, while it asks for it.
type copyOf struct {
	rows []store.Held
	used time.Time
}

// keptCopy is how long such a copy is kept for the next question.
const keptCopy = 10 * time.Minute

// maxAskID bounds the name of a question.
const maxAskID = 64

// hearAsk answers what we hold of a node's records.
func (s *streams) hearAsk(ctx context.Context, from *store.Node, it bundle.Item) error {
	var w askWord
	if json.Unmarshal(it.Payload, &w) != nil || len(w.ID) > maxAskID {
		return badWord(wordAsk)
	}
	if s.talks.count(from.Name, wordHoldings) >= wordsOfReply {
		return nil // the answer is on its way
	}
	return s.holdings(ctx, from.Name, w, wordsOfReply, func(w holdingsWord) { s.x.Talk(from.Name, say(wordHoldings, w)) })
}

// holdings gives up to words parts of what we hold of a node, after a record.
func (s *streams) holdings(ctx context.Context, node string, ask askWord, words int, give func(holdingsWord)) error {
	after := ask.After
	c, err := s.holdingOf(ctx, node, after.IsZero())
	if err != nil {
		return err
	}
	i, _ := slices.BinarySearchFunc(c.rows, after, func(h store.Held, id record.ID) int { return cmp.Or(slices.Compare(h.Record[:], id[:]), -1) })
	for n := range words {
		applied, err := s.x.cfg.Store.Applied(ctx, node)
		if err != nil {
			return err
		}
		some := c.rows[i:min(len(c.rows), i+rowsOfWord)]
		i += len(some)
		w := holdingsWord{ID: ask.ID, Applied: applied, After: after, More: i < len(c.rows)}
		w.Ask = w.More && n == words-1
		if w.Held, err = s.rows(ctx, some); err != nil {
			return err
		}
		if give(w); !w.More {
			return nil
		}
		after = some[len(some)-1].Record
	}
	return nil
}

func (s *streams) holdingOf(ctx context.Context, node string, fresh bool) (*copyOf, error) {
	s.mends.mu.Lock()
	c := s.mends.copies[node]
	for n, old := range s.mends.copies {
		if time.Since(old.used) > keptCopy {
			delete(s.mends.copies, n)
		}
	}
	s.mends.mu.Unlock()
	if c == nil || fresh || time.Since(c.used) > keptCopy {
		c = &copyOf{}
		if err := s.x.cfg.Store.EachHeld(ctx, node, func(h store.Held) bool {
			c.rows = append(c.rows, h)
			return ctx.Err() == nil
		}); err != nil {
			return nil, err
		}
		slices.SortFunc(c.rows, func(a, b store.Held) int { return slices.Compare(a.Record[:], b.Record[:]) })
	}
	s.mends.mu.Lock()
	defer s.mends.mu.Unlock()
	c.used = time.Now()
	s.mends.copies[node] = c
	return c, nil
}

// rows adds whose the records are.
func (s *streams) rows(ctx context.Context, held []store.Held) ([]heldRow, error) {
	ids := make([]record.ID, len(held))
	for i, h := range held {
		ids[i] = h.Record
	}
	cur, err := s.x.cfg.Store.Current(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]heldRow, len(held))
	for i, h := range held {
		out[i] = heldRow{ID: h.Record, N: h.N, Version: h.Version, Purged: h.Purged}
		if st := cur[h.Record]; st != nil && !h.Purged {
			out[i].Owner = st.Owner
		}
	}
	return out, nil
}

// hearHoldings takes a part of what a node holds of ours, after we were restored.
func (s *streams) hearHoldings(ctx context.Context, from *store.Node, it bundle.Item) error {
	var w holdingsWord
	if json.Unmarshal(it.Payload, &w) != nil || len(w.Held) > 10*rowsOfWord || slices.Min(w.Applied[:]) < 0 || !ordered(w.After, w.Held) {
		return badWord(wordHoldings)
	}
	s.mends.mu.Lock()
	m := s.mends.by[from.Name]
	fits := m != nil && m.ID == w.ID && m.next == w.After
	s.mends.mu.Unlock()
	if !fits {
		return nil // heard before, or one before it was lost
	}
	if s.unsure(from.Name) {
		t := s.taken.of(from.Name)
		t.mu.Lock()
		out, err := s.x.cfg.Store.Outgoing(ctx, from.Name)
		if err == nil {
			_, err = s.heard(ctx, from.Name, w.Applied, out)
		}
		t.mu.Unlock()
		if err != nil {
			return err
		}
	}
	ahead, err := s.compare(ctx, from.Name, m, w.Held)
	if err != nil {
		return err
	}
	s.mends.mu.Lock()
	if m.ID != w.ID { // it was restored meanwhile, and is asked anew
		s.mends.mu.Unlock()
		return nil
	}
	m.ahead += ahead
	if m.told == nil {
		m.told = map[record.ID]bool{}
	}
	for _, h := range w.Held {
		m.next, m.told[h.ID] = h.ID, true
	}
	m.asked = time.Now()
	much := len(m.told) > maxTold
	s.mends.mu.Unlock()
	if much {
		s.x.alarm(ctx, from.Name, "flood", from.Title+" says that it holds more records of ours than can be", record.ID{})
	}
	if !w.More || much {
		return s.mended(ctx, from, m)
	}
	if w.Ask {
		s.ask(from.Name)
	}
	return nil
}

// maxTold bounds what a node may say that it holds.
const maxTold = 2_000_000

// ordered reports whether rows come in order behind a record, as they are given.
func ordered(after record.ID, rows []heldRow) bool {
	for _, h := range rows {
		if slices.Compare(h.ID[:], after[:]) <= 0 {
			return false
		}
		after = h.ID
	}
	return true
}

// lostShare says whose a record is that we know nothing of any more.
type lostShare struct {
	Owner string `json:"owner"`
}

// compare queues what a node has to get or to give back of what it told. Whatever
// it got under a number that we gave out since is in order.
func (s *streams) compare(ctx context.Context, node string, m *mend, told []heldRow) (ahead int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.scopes[node]
	if r == nil {
		return 0, nil
	}
	s.mends.mu.Lock()
	last, base := m.Last, m.Base
	s.mends.mu.Unlock()
	ids := make([]record.ID, len(told))
	for i, h := range told {
		ids[i] = h.ID
	}
	cur, err := s.x.cfg.Store.Current(ctx, ids)
	if err != nil {
		return 0, err
	}
	q := s.newQueue()
	for _, h := range told {
		st := cur[h.ID]
		if h.N > base {
			continue
		}
		if st != nil && !s.x.cfg.Directory.Local(st.Owner) {
			st = nil // the node cannot have it from us
		}
		share := store.Share{Record: h.ID, Lane: store.Normal}
		if st != nil {
			share.Version, share.Seq = st.Version, st.Seq
			if st.Record != nil {
				share.Kind = st.Record.Kind
			}
		}
		goes := s.goes(r, st, q.now)
		if goes && !h.Purged && h.Version > st.Version {
			ahead++
		}
		switch {
		case goes && (h.N > last || !h.Purged && h.Version < share.Version):
			q.add(node, share, store.Send, "")
		case !goes && !h.Purged:
			known, err := s.shareOf(ctx, node, h.ID)
			if err != nil {
				return ahead, err
			}
			switch {
			case st != nil && known != nil:
				share.Version = max(share.Version, h.Version)
			case s.mends.restored && s.x.cfg.Directory.Local(h.Owner):
				// Sent in the time that we lost; or it says so to hear whether we have such a record.
				share = store.Share{Record: h.ID, Lane: store.Normal, Version: h.Version, Word: say("", lostShare{h.Owner}).Payload}
			default:
				continue
			}
			share.Held = h.N
			q.add(node, share, store.Recall, "restored")
		}
	}
	return ahead, q.flush(ctx, "", 0)
}

// mended ends the mending of a stream, when a node has told everything: what it
// ought to have, by what we remember, and did not tell of, is sent again.
func (s *streams) mended(ctx context.Context, from *store.Node, m *mend) error {
	s.mends.mu.Lock()
	was := *m
	s.mends.mu.Unlock()
	var lost []record.ID
	if err := s.x.cfg.Store.EachShare(ctx, from.Name, func(sh *store.Share) bool {
		if sh.Act == store.Send && sh.N <= was.Base && !sh.Done.IsZero() && !was.told[sh.Record] {
			lost = append(lost, sh.Record)
		}
		return ctx.Err() == nil
	}); err != nil {
		return err
	}
	for some := range slices.Chunk(lost, turn) {
		if err := s.again(ctx, some, []string{from.Name}, "narrowed", true); err != nil {
			return err
		}
	}
	s.mends.mu.Lock()
	over := m.ID == was.ID
	if over {
		delete(s.mends.by, from.Name)
	}
	s.mends.mu.Unlock()
	if !over {
		return nil
	}
	if err := s.keepMends(ctx); err != nil {
		return err
	}
	content := struct {
		Node    string `json:"node"`
		Records int    `json:"records"` // that the node has told of
		Last    int64  `json:"last"`
		Base    int64  `json:"base"`
		Ahead   int    `json:"ahead"`
	}{from.Name, len(was.told), was.Last, was.Base, was.ahead}
	if _, err := s.x.cfg.Intake.Note(ctx, "resync", s.x.house(), from.Name, content); err != nil {
		return err
	}
	if was.ahead > 0 {
		s.x.alarm(ctx, from.Name, "ahead", from.Title+" holds records of ours in versions that were lost with the time after our backup", record.ID{})
	}
	s.x.wake(from.Name)
	return nil
}
