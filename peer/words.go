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

// The topics of words that are about the stream.
const (
	wordRefused  = "refused"   // numbered: we did not take a version
	wordOpened   = "opened"    // numbered: somebody here has opened it
	wordRetry    = "retry"     // talk: our directory has changed, send again what we refused
	wordReceipt  = "receipt"   // talk: a receipt, on a stick
	wordHoldings = "holdings"  // talk: what we hold of yours
	wordAsk      = "what-held" // talk: say what you hold of ours
)

// hearWords says what to do with the words that are about the stream.
func (s *streams) hearWords() {
	s.x.OnWord(wordRefused, s.hearRefused)
	s.x.OnWord(wordOpened, s.hearOpened)
	s.x.OnWord(wordRetry, func(ctx context.Context, from *store.Node, _ bundle.Item) error { return s.retry(ctx, from.Name) })
	s.x.OnWord(wordReceipt, func(ctx context.Context, _ *store.Node, it bundle.Item) error { return s.takeReceipt(ctx, it.Payload) })
	s.x.OnWord(wordAsk, s.hearAsk)
	s.x.OnWord(wordHoldings, s.hearHoldings)
}

// talks are words that wait to be said once, by node. They are bounded: a node
// that is not there loses the oldest.
type talks struct {
	mu sync.Mutex
	by map[string][]bundle.Item
}

const (
	maxTalk      = 1000    // words that wait for one node
	maxTalkBytes = 8 << 20 // their content
)

func (s *streams) talk(node string, items []bundle.Item) {
	n := s.x.cfg.Trust.Node(node)
	if n == nil || n.State != store.NodeActive {
		return
	}
	s.talks.add(n.Name, items)
	s.x.wake(n.Name)
}

func (t *talks) add(node string, items []bundle.Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string][]bundle.Item{}
	}
	list := t.by[node]
	for _, it := range items {
		it.Sort, it.N = bundle.Word, 0
		if !record.Token(it.Topic) || len(it.Payload) > bundle.MaxPayload {
			continue // one that cannot be sealed must not hold back the others
		}
		if !slices.ContainsFunc(list, func(o bundle.Item) bool {
			return o.Topic == it.Topic && o.Record == it.Record && string(o.Payload) == string(it.Payload)
		}) {
			list = append(list, it)
		}
	}
	size := 0
	for i := len(list) - 1; i >= 0; i-- {
		if size += weight(&list[i]); size > maxTalkBytes || len(list)-i > maxTalk {
			list = slices.Clone(list[i+1:])
			break
		}
	}
	t.by[node] = list
}

// take returns what fits into one bundle, nil for nothing.
func (t *talks) take(node string, maxBytes int) *picked {
	t.mu.Lock()
	defer t.mu.Unlock()
	list, p := t.by[node], &picked{}
	for _, it := range list {
		if n := weight(&it); p.raw+n > maxBytes && len(p.items) > 0 {
			break
		} else {
			p.raw += n
		}
		p.items = append(p.items, it)
	}
	if len(p.items) == 0 {
		return nil
	}
	if t.by[node] = slices.Clone(list[len(p.items):]); len(t.by[node]) == 0 {
		delete(t.by, node)
	}
	return p
}

// count returns how many words of a topic wait.
func (t *talks) count(node, topic string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, it := range t.by[node] {
		if it.Topic == topic {
			n++
		}
	}
	return n
}

// forget drops the words of a topic that wait.
func (t *talks) forget(node, topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if list := t.by[node]; slices.ContainsFunc(list, func(it bundle.Item) bool { return it.Topic == topic }) {
		t.by[node] = slices.DeleteFunc(slices.Clone(list), func(it bundle.Item) bool { return it.Topic == topic })
	}
}

func (t *talks) drop(node string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, node)
}

// say makes a word of a value.
func say(topic string, v any) bundle.Item {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of structs of ours
	}
	return bundle.Item{Sort: bundle.Word, Topic: topic, Payload: b}
}

// notTakenWord is why a version was not taken.
type notTakenWord struct {
	Reason  string `json:"reason"`
	Version int    `json:"version"`
	Message string `json:"message,omitempty"`
}

// hearRefused notes that a node did not take a record. A word about what it was
// never sent, or about another version, says nothing.
func (s *streams) hearRefused(ctx context.Context, from *store.Node, it bundle.Item) error {
	var w notTakenWord
	if err := json.Unmarshal(it.Payload, &w); err != nil || !record.Token(w.Reason) {
		return badWord(wordRefused)
	}
	sh, err := s.shareOf(ctx, from.Name, it.Record)
	if err != nil || sh == nil || sh.Act != store.Send || sh.Sent.IsZero() || sh.Refused != "" || w.Version < sh.Version {
		return err
	}
	why := w.Reason
	if w.Message != "" {
		why += ": " + clip(w.Message, 200)
	}
	content := struct {
		Node    string    `json:"node"`
		Record  record.ID `json:"record"`
		Version int       `json:"version"`
		Reason  string    `json:"reason"`
	}{from.Name, it.Record, w.Version, why}
	if _, err := s.x.cfg.Intake.Note(ctx, "refused", s.x.house(), from.Name, content, store.PutFate{Node: from.Name, Record: it.Record, Refused: why}); err != nil {
		return err
	}
	s.x.alarm(ctx, from.Name, "not-taken", from.Title+" did not take a record that we released to it: "+why, it.Record)
	return s.x.cfg.Store.SetValue(ctx, retryName+from.Name, []byte("1"))
}

// shareOf returns what a node has or had of one record, nil for nothing.
func (s *streams) shareOf(ctx context.Context, node string, id record.ID) (*store.Share, error) {
	shares, err := s.x.cfg.Store.SharesOf(ctx, id)
	for i := range shares {
		if shares[i].Node == node {
			return &shares[i], err
		}
	}
	return nil, err
}

// retryName begins the name of the value that says that a node has refused something.
const retryName = "peer.refused."

// retry sends again what a node has refused: a directory may have come late, or
// the node knows the kind by now. What is refused once more is not sent again
// before the next occasion.
func (s *streams) retry(ctx context.Context, node string) error {
	b, err := s.x.cfg.Store.Value(ctx, retryName+node)
	if err != nil {
		return err
	}
	late := len(b) > 0 && !s.may.retries.take(node)
	s.mu.Lock()
	if delete(s.late, node); late {
		s.late[node] = true
	}
	s.mu.Unlock()
	if late || len(b) == 0 {
		return nil // a node that refuses all and asks for it again must not fill our ledger
	}
	var ids []record.ID
	if err := s.x.cfg.Store.EachShare(ctx, node, func(sh *store.Share) bool {
		if sh.Act == store.Send && sh.Refused != "" {
			ids = append(ids, sh.Record)
		}
		return ctx.Err() == nil
	}); err != nil {
		return err
	}
	if err := s.x.cfg.Store.SetValue(ctx, retryName+node, nil); err != nil {
		return err
	}
	for some := range slices.Chunk(ids, turn) {
		if err := s.again(ctx, some, []string{node}, "narrowed", true); err != nil {
			return err
		}
	}
	return nil
}

// retryLate does what could not be done at once.
func (s *streams) retryLate(ctx context.Context) {
	s.mu.Lock()
	late := slices.Collect(maps.Keys(s.late))
	s.mu.Unlock()
	for _, node := range late {
		if err := s.retry(ctx, node); err != nil && ctx.Err() == nil {
			s.x.cfg.Log.Error("peer: sending again what was refused", "node", node, "error", err)
		}
	}
}

// openedWord says that somebody has opened a record.
type openedWord struct {
	At time.Time `json:"at"`
}

func (s *streams) hearOpened(ctx context.Context, from *store.Node, it bundle.Item) error {
	var w openedWord
	if err := json.Unmarshal(it.Payload, &w); err != nil || w.At.IsZero() {
		return badWord(wordOpened)
	}
	sh, err := s.shareOf(ctx, from.Name, it.Record)
	if err != nil || sh == nil || sh.Held == 0 || !sh.Opened.IsZero() {
		return err
	}
	content := struct {
		Node   string    `json:"node"`
		Record record.ID `json:"record"`
		At     time.Time `json:"at"`
	}{from.Name, it.Record, w.At}
	_, err = s.x.cfg.Intake.Note(ctx, "opened", s.x.house(), from.Name, content, store.PutFate{Node: from.Name, Record: it.Record, Opened: w.At.UTC()})
	return err
}

func badWord(topic string) error {
	return record.Errorf(record.Invalid, "peer.word", "a word %q cannot be read", topic)
}

// looked tells the owner that somebody here has opened a record of his, the
// first time that it happens. It is called with mu held.
func (s *streams) looked(ctx context.Context, q *queue, l *store.Logged) error {
	var look struct{ Owner, How string }
	if !s.x.cfg.TellOpened || json.Unmarshal(l.Content, &look) != nil || look.How == "list" || s.x.cfg.Directory.Local(look.Owner) {
		return nil
	}
	node := s.x.cfg.Trust.NodeOf(look.Owner)
	if s.scopes[node] == nil {
		return nil
	}
	before, err := s.x.cfg.Store.Log(ctx, &store.LogQuery{Record: record.ID(l.Record), Types: []string{"look"}, Before: l.Seq, Limit: 20})
	if err != nil {
		return err
	}
	for _, b := range before {
		var was struct{ How string }
		if json.Unmarshal(b.Content, &was) == nil && was.How != "list" {
			return nil // told then
		}
	}
	w := say(wordOpened, openedWord{l.At})
	q.add(node, store.Share{Record: record.ID(l.Record), Topic: wordOpened, Lane: store.Normal, Word: w.Payload}, store.Word, "")
	return nil
}

// clip shortens a text that came from elsewhere and makes it one line.
func clip(text string, n int) string {
	r := []rune(text)
	for i, c := range r {
		if c < ' ' || c == 0x7f {
			r[i] = ' '
		}
	}
	if len(r) > n {
		r = append(r[:n-1], '…')
	}
	return string(r)
}
