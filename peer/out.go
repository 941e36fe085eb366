package peer

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// Follower is the name under which the position in the ledger is kept.
const Follower = "peer"

// turn bounds the entries, or records, that one transaction of shares is made of.
const turn = 2000

// streams is what flows to and from each node: which record is to go where
// (out.go, reach.go), the bundles that carry it (next.go), what comes in (in.go),
// and who has what (receipt.go, resync.go).
type streams struct {
	x *Exchange

	// mu is held while shares are queued, and from looking at shares to marking
	// them sent, so that nothing can leave that could not be recalled.
	mu       sync.Mutex
	seq      int64                // entries followed
	saved    int64                // the same as it was last kept by itself
	markings []*store.Marking     // by N-1
	scopes   map[string]*reached  // by node: for whom its shares were queued
	sizes    map[string]*sizing   // by node
	urgent   map[string]*throttle // by node

	turns   sync.Mutex // serialises step
	agree   sync.Mutex // serialises reconcile
	swept   time.Time  // markings that expired before are done with
	talks   talks
	inboxes inboxes
	taken   receipts
	mends   mends
	may     allowances
	disk    disk
	late    map[string]bool // nodes to which what they refused is to be sent again, when they may have that
}

// openStreams takes up where the node stopped.
func (x *Exchange) openStreams(ctx context.Context) (err error) {
	s := &x.stream
	s.x, s.scopes, s.sizes, s.urgent = x, map[string]*reached{}, map[string]*sizing{}, map[string]*throttle{}
	s.may, s.late = newAllowances(), map[string]bool{}
	s.disk.folder, s.disk.stat = x.cfg.Folder, statDisk
	st := x.cfg.Store
	if s.seq, err = st.Cursor(ctx, Follower); err != nil {
		return err
	}
	s.saved = s.seq
	for _, n := range x.cfg.Trust.Nodes() {
		b, err := st.Value(ctx, scopeName(n.Name))
		if err != nil {
			return err
		}
		c := &scope{}
		if len(b) > 0 && json.Unmarshal(b, c) == nil {
			s.scopes[n.Name] = reachedBy(c)
		}
	}
	if b, err := st.Value(ctx, sweptName); err != nil {
		return err
	} else if len(b) > 0 && s.swept.UnmarshalText(b) != nil {
		s.swept = time.Time{}
	}
	if err := x.alarms.open(ctx, x); err != nil {
		return err
	}
	if err := s.openInboxes(ctx); err != nil {
		return err
	}
	if err := s.openMends(ctx); err != nil {
		return err
	}
	s.hearWords()
	return nil
}

// Names of the values that are kept.
const (
	sweptName  = "peer.swept"
	scopesName = "peer.scope."
)

func scopeName(node string) string { return scopesName + node }

func (s *streams) now() time.Time { return s.x.cfg.Now().UTC().Truncate(time.Microsecond) }

// runStreams follows the ledger and the directory until ctx ends.
func (x *Exchange) runStreams(ctx context.Context) error {
	s := &x.stream
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		_, grown := x.cfg.Intake.Grown() // before the step, so that no growth is missed
		changed := x.cfg.Trust.Changed()
		if err := s.step(ctx); err != nil && ctx.Err() == nil {
			x.cfg.Log.Error("peer", "error", err)
			grown = nil // not at once again
		}
		select {
		case <-ctx.Done():
			return nil
		case <-grown:
		case <-changed:
		case <-tick.C:
			s.keep(ctx)
			x.alarms.keep(ctx)
			s.mendAgain()
			s.retryLate(ctx)
		}
	}
}

// step does what is to be done now.
func (s *streams) step(ctx context.Context) error {
	s.turns.Lock()
	defer s.turns.Unlock()
	if err := s.reconcile(ctx); err != nil {
		return err
	}
	for s.behind() {
		if err := s.follow(ctx); err != nil {
			return err
		}
	}
	return s.sweep(ctx)
}

func (s *streams) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq < s.x.cfg.Intake.Size()
}

// keep writes down how far the ledger was followed, when that happened without
// anything to queue.
func (s *streams) keep(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq-s.saved < turn && (s.seq == s.saved || s.behindBy() > 0) {
		return
	}
	if err := s.x.cfg.Store.SetCursor(ctx, Follower, s.seq); err == nil {
		s.saved = s.seq
	} else if ctx.Err() == nil {
		s.x.cfg.Log.Error("peer", "error", err)
	}
}

func (s *streams) behindBy() int64 { return s.x.cfg.Intake.Size() - s.seq }

// followed are the nodes for which shares are kept: the active ones, and those
// that an administrator may trust again.
func (s *streams) followed() (nodes []*store.Node) {
	for _, n := range s.x.cfg.Trust.Nodes() {
		if n.State == store.NodeActive || n.State == store.NodeRefused {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// follow queues what the next entries of the ledger ask for.
func (s *streams) follow(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, from := s.x.cfg.Intake.Size(), s.seq
	if len(s.scopes) == 0 { // a node that comes later gets what there is then
		s.seq = size
		return nil
	}
	var entries []*store.Logged
	err := s.x.cfg.Store.Entries(ctx, from, min(size, from+turn), func(l *store.Logged) bool {
		entries = append(entries, l)
		return true
	})
	if err != nil || len(entries) == 0 {
		return err
	}
	next := entries[len(entries)-1].Seq + 1
	q := s.newQueue()
	for _, l := range entries {
		if err := s.decide(ctx, q, l); err != nil {
			return err
		}
	}
	if len(q.shares) > 0 {
		if err := q.flush(ctx, Follower, next); err != nil {
			return err
		}
		s.saved = next
	}
	s.seq = next
	return nil
}

// decide queues what one entry asks for.
func (s *streams) decide(ctx context.Context, q *queue, l *store.Logged) error {
	switch {
	case l.Record == ([16]byte{}):
		return nil
	case l.Type == "look":
		return s.looked(ctx, q, l)
	case l.Type != "change" && l.Type != "erase" || !s.x.cfg.Directory.Local(l.Agency):
		return nil
	}
	share := store.Share{Record: record.ID(l.Record), Kind: l.Kind, Version: l.Version, Seq: l.Seq}
	if l.Type == "erase" {
		for node := range s.scopes {
			q.add(node, share, store.Recall, "erased")
		}
		return nil
	}
	m, err := s.marking(ctx, l.Marking)
	if err != nil {
		return err
	}
	lane := store.Lane(-1) // not known yet
	for node, r := range s.scopes {
		switch {
		case r.reaches(m, l.At, l.Expires, q.now):
			if lane < 0 {
				lane = s.lane(l)
			}
			share.Lane = lane
			if lane == store.Urgent && !s.hurries(node, q.now) {
				share.Lane = store.Normal
			}
			q.add(node, share, store.Send, "")
		case l.Version > 1: // before there was nothing to recall
			reason := "narrowed"
			if expired(l.Expires, q.now) {
				reason = "expired"
			}
			q.add(node, share, store.Recall, reason)
		}
	}
	return nil
}

// lane asks the desk whether a version overtakes the others.
func (s *streams) lane(l *store.Logged) store.Lane {
	k := s.x.cfg.Desks.Kind(l.Kind)
	if k == nil || !k.CanBeUrgent() || l.Entry.Erased() {
		return store.Normal
	}
	var rec struct{ Body json.RawMessage }
	if json.Unmarshal(l.Content, &rec) != nil {
		return store.Normal
	}
	if body, err := k.Parse(rec.Body); err != nil || !k.IsUrgent(body) {
		return store.Normal
	}
	return store.Urgent
}

// Where everything is urgent, nothing is: of what a desk calls urgent so many a
// second overtake the rest, after a first burst, so that an import of a bad year
// leaves the lane free for the emergency of this minute.
const (
	urgentBurst  = 200
	urgentSecond = 10
)

type throttle struct {
	left float64
	at   time.Time
}

// hurries reports whether one more may overtake. It is called with mu held.
func (s *streams) hurries(node string, now time.Time) bool {
	t := s.urgent[node]
	if t == nil {
		t = &throttle{left: urgentBurst, at: now}
		s.urgent[node] = t
	}
	t.left = min(urgentBurst, t.left+urgentSecond*max(0, now.Sub(t.at).Seconds()))
	t.at = now
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

// marking returns an interned marking. It is called with mu held.
func (s *streams) marking(ctx context.Context, n int64) (*store.Marking, error) {
	if n > int64(len(s.markings)) {
		if err := s.loadMarkings(ctx); err != nil {
			return nil, err
		}
	}
	if n < 1 || n > int64(len(s.markings)) || s.markings[n-1] == nil {
		return nil, record.Errorf(record.Corrupt, "peer.marking", "there is no marking %d", n)
	}
	return s.markings[n-1], nil
}

func (s *streams) loadMarkings(ctx context.Context) error {
	return s.x.cfg.Store.Markings(ctx, int64(len(s.markings)), func(m *store.Marking) error {
		for int64(len(s.markings)) < m.N {
			s.markings = append(s.markings, nil)
		}
		s.markings[m.N-1] = m
		return nil
	})
}

// queue gathers shares for one transaction; of one record the last word counts.
type queue struct {
	s      *streams
	now    time.Time
	shares []store.Share
	at     map[shareKey]int
	nodes  map[string]bool
}

type shareKey struct {
	node   string
	record record.ID
	topic  string
}

func (s *streams) newQueue() *queue {
	return &queue{s: s, now: s.now(), at: map[shareKey]int{}, nodes: map[string]bool{}}
}

// add queues an act. Recalls are always urgent.
func (q *queue) add(node string, share store.Share, act store.Act, reason string) {
	share.Node, share.Act, share.Reason, share.Queued = node, act, reason, q.now
	if act == store.Recall {
		share.Lane = store.Urgent
	}
	key := shareKey{node, share.Record, share.Topic}
	if i, there := q.at[key]; there {
		q.shares[i] = share
		return
	}
	q.at[key] = len(q.shares)
	q.shares = append(q.shares, share)
	q.nodes[node] = true
}

// flush writes the shares, with the follower's cursor when it is named. It is
// called with mu held.
func (q *queue) flush(ctx context.Context, follower string, seq int64) error {
	if len(q.shares) == 0 {
		return nil
	}
	if err := q.s.x.cfg.Store.Queue(ctx, follower, seq, q.shares); err != nil {
		return err
	}
	for _, sh := range q.shares {
		if sh.Act == store.Recall {
			q.s.talks.forget(sh.Node, wordChunk) // a piece of what the record held may wait there
		}
	}
	for node := range q.nodes {
		q.s.x.wake(node)
	}
	q.shares = nil
	clear(q.at)
	clear(q.nodes)
	return nil
}

// tellAll queues reliable words to a node.
func (s *streams) tellAll(ctx context.Context, node string, words []store.Share) error {
	for some := range slices.Chunk(words, turn) {
		if err := func() error {
			s.mu.Lock()
			defer s.mu.Unlock()
			q := s.newQueue()
			for _, w := range some {
				q.add(node, w, store.Word, "")
			}
			return q.flush(ctx, "", 0)
		}(); err != nil {
			return err
		}
	}
	return nil
}

// Settled reports whether a node has acknowledged everything that it is to get
// of what is in the ledger now. It is for tests.
func (x *Exchange) Settled(ctx context.Context, node string) (bool, error) {
	s := &x.stream
	n := x.cfg.Trust.Node(node)
	if n == nil {
		return false, record.Errorf(record.NotFound, "peer", "there is no node %.80q", node)
	}
	if s.behind() || !s.agreed(n) || s.mending(n.Name) {
		return false, nil
	}
	out, err := x.cfg.Store.Outgoing(ctx, n.Name)
	return err == nil && out.Waiting == [store.Lanes]int{}, err
}

// agreed reports whether the shares of a node are for whom the directory says today.
func (s *streams) agreed(n *store.Node) bool {
	text := scopeOf(s.x.cfg.Directory, n).text()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.scopes[n.Name]
	return r != nil && r.text == text
}

// reconcile queues what follows from changes of nodes, agencies and memberships.
func (s *streams) reconcile(ctx context.Context) error {
	s.agree.Lock()
	defer s.agree.Unlock()
	followed := map[string]bool{}
	for _, n := range s.followed() {
		followed[n.Name] = true
		if s.agreed(n) {
			continue
		}
		if err := s.rescope(ctx, n.Name, scopeOf(s.x.cfg.Directory, n)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	gone := slices.DeleteFunc(slices.Collect(maps.Keys(s.scopes)), func(n string) bool { return followed[n] })
	for _, node := range gone {
		delete(s.scopes, node)
	}
	s.mu.Unlock()
	s.inboxes.parked.drop(s.followed())
	for _, node := range gone {
		s.talks.drop(node)
		if err := s.x.cfg.Store.SetValue(ctx, scopeName(node), nil); err != nil {
			return err
		}
	}
	return nil
}

// rescope makes the shares of a node be those for a scope. The scope counts at
// once for what is followed and sent meanwhile, and is kept when all is queued:
// after a crash it is done again, which does no harm.
func (s *streams) rescope(ctx context.Context, node string, c *scope) error {
	next := reachedBy(c)
	s.mu.Lock()
	old := s.scopes[node]
	if len(s.scopes) == 0 {
		s.seq = s.x.cfg.Intake.Size() // the scan finds what is in the ledger
	}
	s.scopes[node] = next
	s.mu.Unlock()
	err := s.rescan(ctx, node, old, next)
	if err == nil {
		err = s.x.cfg.Store.SetValue(ctx, scopeName(node), []byte(next.text))
	}
	if err != nil {
		s.mu.Lock()
		if s.scopes[node] = old; old == nil {
			delete(s.scopes, node)
		}
		s.mu.Unlock()
		return err
	}
	s.x.Talk(node, bundle.Item{Sort: bundle.Word, Topic: wordRetry, Payload: []byte("{}")}) // what we refused on yesterday's directory
	return s.retry(ctx, node)
}

// rescan queues the difference between two scopes; old nil: of a node that had none.
func (s *streams) rescan(ctx context.Context, node string, old, next *reached) error {
	s.mu.Lock()
	err := s.loadMarkings(ctx)
	var more, less []int64 // markings that reach it from another time on than before; that reach it no more
	for _, m := range s.markings {
		if m == nil {
			continue
		}
		var was threshold
		if old != nil {
			was = old.since(m)
		}
		switch is := next.since(m); {
		case is.ok && (!was.ok || !is.from.Equal(was.from)):
			more = append(more, m.N)
		case was.ok && !is.ok:
			less = append(less, m.N)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if old == nil {
		if err := s.endOthers(ctx, node); err != nil {
			return err
		}
	}
	if len(less) > 0 {
		if err := s.scan(ctx, &store.Sight{Own: less}, func(q *queue, b *store.Brief, share store.Share) { q.add(node, share, store.Recall, "left") }); err != nil {
			return err
		}
	}
	if len(more) == 0 {
		return nil
	}
	has, err := s.sending(ctx, node)
	if err != nil {
		return err
	}
	return s.scan(ctx, &store.Sight{Foreign: more}, func(q *queue, b *store.Brief, share store.Share) {
		m := s.markings[b.Marking-1]
		if !next.reaches(m, b.Recorded, nil, q.now) {
			q.add(node, share, store.Recall, "left")
		} else if has[b.ID] != b.Version {
			q.add(node, share, store.Send, "")
		}
	})
}

// sending returns the versions that a node has or is to get already.
func (s *streams) sending(ctx context.Context, node string) (map[record.ID]int, error) {
	has := map[record.ID]int{}
	err := s.x.cfg.Store.EachShare(ctx, node, func(sh *store.Share) bool {
		if sh.Act == store.Send && sh.Refused == "" {
			has[sh.Record] = sh.Version
		}
		return ctx.Err() == nil
	})
	return has, err
}

// scan calls fn with every record of a sight and queues what it adds, oldest
// first: whoever gets them sees the newest last, and so on top.
func (s *streams) scan(ctx context.Context, sight *store.Sight, fn func(q *queue, b *store.Brief, share store.Share)) error {
	look := &store.Query{Kinds: s.x.cfg.Desks.KindNames(), Sight: map[string]*store.Sight{}, Limit: turn}
	for _, k := range look.Kinds {
		look.Sight[k] = sight
	}
	pages, err := s.pages(ctx, look)
	if err != nil {
		return err
	}
	for _, before := range slices.Backward(pages) {
		if err := s.scanPage(ctx, look, before, fn); err != nil {
			return err
		}
	}
	return nil
}

// pages returns where each page of a query begins, newest first. What is added
// meanwhile is in none of them: it is followed.
func (s *streams) pages(ctx context.Context, look *store.Query) (pages []store.Key, err error) {
	q := *look
	q.Now = s.now()
	for n := turn; n == turn; {
		n = 0
		var last int64
		err := s.x.cfg.Store.Scan(ctx, &q, func(b *store.Brief) bool {
			if n++; n == 1 {
				pages = append(pages, store.Key{Row: b.Row + 1})
			}
			last = b.Row
			return true
		})
		if err != nil {
			return nil, err
		}
		q.Before = &store.Key{Row: last}
	}
	return pages, nil
}

func (s *streams) scanPage(ctx context.Context, look *store.Query, before store.Key, fn func(q *queue, b *store.Brief, share store.Share)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.loadMarkings(ctx); err != nil {
		return err
	}
	q := s.newQueue()
	page := *look
	page.Now, page.Before = q.now, &before
	var found []*store.Brief
	if err := s.x.cfg.Store.Scan(ctx, &page, func(b *store.Brief) bool { found = append(found, b); return true }); err != nil {
		return err
	}
	for _, b := range slices.Backward(found) {
		if b.Marking >= 1 && b.Marking <= int64(len(s.markings)) {
			fn(q, b, store.Share{Record: b.ID, Kind: b.Kind, Version: b.Version, Lane: store.Normal})
		}
	}
	return q.flush(ctx, "", 0)
}

// endOthers recalls what a node has, or is to get, and what does not reach it.
func (s *streams) endOthers(ctx context.Context, node string) error {
	var ids []record.ID
	if err := s.x.cfg.Store.EachShare(ctx, node, func(sh *store.Share) bool {
		if sh.Act == store.Send {
			ids = append(ids, sh.Record)
		}
		return ctx.Err() == nil
	}); err != nil {
		return err
	}
	for some := range slices.Chunk(ids, turn) {
		if err := s.again(ctx, some, []string{node}, "left", false); err != nil {
			return err
		}
	}
	return nil
}

// again decides anew about records of ours, for the nodes: those that do not
// reach them are recalled for a reason, and with send the others are sent.
func (s *streams) again(ctx context.Context, ids []record.ID, nodes []string, reason string, send bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cur, err := s.x.cfg.Store.Current(ctx, ids)
	if err != nil {
		return err
	}
	q := s.newQueue()
	for _, id := range ids {
		st := cur[id]
		if st == nil || !s.x.cfg.Directory.Local(st.Owner) {
			continue
		}
		for _, node := range nodes {
			r := s.scopes[node]
			if r == nil {
				continue
			}
			share := store.Share{Record: id, Version: st.Version, Seq: st.Seq, Lane: store.Normal}
			if st.Record != nil {
				share.Kind = st.Record.Kind
			}
			switch {
			case !s.goes(r, st, q.now):
				q.add(node, share, store.Recall, reason)
			case send:
				q.add(node, share, store.Send, "")
			}
		}
	}
	return q.flush(ctx, "", 0)
}

// goes reports whether a record as it is now reaches a node.
func (s *streams) goes(r *reached, st *store.Stored, now time.Time) bool {
	return st != nil && st.Record != nil && r.scope.reaches(st.Owner, &st.Record.Marking, st.Record.Recorded, now)
}
