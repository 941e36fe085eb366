package question

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"konbit/desk"
	"konbit/peer/trust"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// State is how far a question has come at one node.
type State string

// The states. Hit and NoHit are final, and so is Refused.
const (
	Waiting State = "waiting" // not answered yet
	Hit     State = "hit"
	NoHit   State = "no-hit"
	Refused State = "refused" // Reason says why
	Stale   State = "stale"   // no hit in an old list of the node's, and the new one has not come; or nobody answered
)

// Answer is what one node said.
type Answer struct {
	Node     string    `json:"node"`
	Short    string    `json:"short"`
	Title    string    `json:"title"`
	State    State     `json:"state"`
	At       time.Time `json:"at"`                 // of State
	Reason   string    `json:"reason,omitempty"`   // rate, malformed, unavailable, proof, silence, not-active
	SetAt    time.Time `json:"setAt,omitzero"`     // when the list was made that was looked into
	Agencies []string  `json:"agencies,omitempty"` // of a hit: whose records have it
}

// Question is one identifier that somebody asked about.
type Question struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Purpose string    `json:"purpose"`
	Masked  string    `json:"masked"` // the value, all but its end as dots
	Answers []Answer  `json:"answers"`
}

// asked is a Question as it is kept: with what it takes to finish it.
type asked struct {
	Question
	Agency string           `json:"agency"`
	Salt   []byte           `json:"salt"`            // of the hash in the ledger
	Value  string           `json:"value,omitempty"` // normalised; gone when every node has answered
	Open   map[string]*open `json:"open,omitempty"`  // by node, until it has answered
}

// open is a question to one node that is not finished.
type open struct {
	Blind []byte    `json:"blind"`
	Sent  time.Time `json:"sent"`
	Tries int       `json:"tries"`
	Out   []byte    `json:"out,omitempty"` // the function's value, once it came
	Key   []byte    `json:"key,omitempty"` // with which it was made
	Sum   []byte    `json:"sum,omitempty"` // of the node's list then
	Total int       `json:"total,omitempty"`
	At    time.Time `json:"at,omitzero"` // when that list was made
}

const (
	ringSize = 200                // questions that are kept for each agency
	giveUp   = 7 * 24 * time.Hour // a node that has not answered by then has not answered
	firstTry = time.Minute        // until a question is asked again; doubled each time
	lastTry  = time.Hour
)

// Ask asks nodes (by name or short name; none: all that we exchange with) whether
// they hold anything about an identifier. The reader needs the role of an
// operator on any desk, and says why. It returns when the question is in our ledger
// and under way; answers come later: see Question.
func (s *Service) Ask(ctx context.Context, r *policy.Reader, typ, value, purpose string, nodes []string) (*Question, error) {
	const op = "question.ask"
	if err := may(r, op); err != nil {
		return nil, err
	}
	var f record.Fields
	if !slices.ContainsFunc(s.asked, func(a desk.Asked) bool { return a.Type == typ }) {
		f.Add("type", "enum", "is no sort of identifier that can be asked about")
	}
	normal, err := Normalize(typ, value, s.countryOf(r.Agency))
	var bad *record.Error
	if errors.As(err, &bad) {
		f = append(f, bad.Fields...)
	}
	if !goodPurpose(purpose) {
		f.Add("purpose", "required", "say why you ask, in 3 to 500 characters")
	}
	to, missing := s.whom(nodes)
	f = append(f, missing...)
	if err := f.Err(op); err != nil {
		return nil, err
	}
	now := s.cfg.Now().UTC().Truncate(time.Microsecond)
	if !s.ours.take(r.Agency, 1, now) {
		e := record.Errorf(record.TooMany, op, "your agency has asked too often; try again in a minute")
		e.Hint = "questions are limited so that nobody can try out all numbers"
		return nil, e
	}
	q := &asked{Agency: r.Agency, Value: normal, Salt: make([]byte, 16), Open: map[string]*open{},
		Question: Question{ID: record.NewID(now).String(), Type: typ, At: now, By: r.Person, Purpose: purpose, Masked: mask(normal), Answers: []Answer{}}}
	rand.Read(q.Salt)
	for _, n := range to {
		b, err := newBlind()
		if err != nil {
			return nil, err
		}
		q.Open[n.Name] = &open{Blind: b}
		q.Answers = append(q.Answers, Answer{Node: n.Name, Short: trust.Short(n.Name), Title: n.Title, State: Waiting, At: now})
	}
	if err := s.noteAsked(ctx, q); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ring, err := s.ring(ctx, q.Agency)
	if err != nil {
		return nil, err
	}
	s.rings[q.Agency] = append([]*asked{q}, ring[:min(len(ring), ringSize-1)]...)
	for _, n := range to {
		s.send(q, n, now)
	}
	return q.shown(), s.save(ctx, q.Agency)
}

func may(r *policy.Reader, op string) error {
	switch {
	case r.Person == "":
		return record.Errorf(record.Unsigned, op, "sign in first")
	case !r.Scope("write"):
		return record.Errorf(record.Denied, op, "this token may not ask")
	case !r.HoldsAnywhere(desk.Operator):
		e := record.Errorf(record.Denied, op, "your role does not allow this")
		e.Hint = "it needs the role operator on any desk for " + r.Agency
		return e
	}
	return nil
}

// whom finds the nodes to ask.
func (s *Service) whom(names []string) (to []*store.Node, f record.Fields) {
	if len(names) == 0 {
		to = s.cfg.Nodes.Active()
	}
	for i, name := range names {
		n := s.cfg.Nodes.Node(name)
		switch {
		case n == nil || n.State != store.NodeActive:
			f.Add(record.Index("nodes", i), "unknown-name", "is no node that we exchange with")
		case !slices.ContainsFunc(to, func(o *store.Node) bool { return o.Name == n.Name }):
			to = append(to, n)
		}
	}
	if len(to) == 0 && len(f) == 0 {
		f.Add("nodes", "required", "there is no node to ask: this one exchanges with none")
	}
	return to, f
}

// noteAsked writes the question into our ledger, with a hash that shows to an
// auditor who knows the value that it was this one.
func (s *Service) noteAsked(ctx context.Context, q *asked) error {
	var nodes []string
	for _, a := range q.Answers {
		nodes = append(nodes, a.Node)
	}
	_, err := s.cfg.Ledger.Note(ctx, "question", q.Agency, q.By, struct {
		What     string   `json:"what"`
		Question string   `json:"question"`
		Type     string   `json:"type"`
		Hash     []byte   `json:"hash"`
		Purpose  string   `json:"purpose"`
		Nodes    []string `json:"nodes"`
	}{"asked", q.ID, q.Type, Hash(q.Salt, q.Type, q.Value), q.Purpose, nodes})
	return err
}

// Hash is what our ledger holds of an identifier: SHA-256 over salt, type, a zero
// byte and the normalised value. The salt is not in the ledger.
func Hash(salt []byte, typ, value string) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(input(typ, value))
	return h.Sum(nil)
}

// send asks one node. It is called with mu held.
func (s *Service) send(q *asked, n *store.Node, now time.Time) {
	o := q.Open[n.Name]
	o.Sent = now
	o.Tries++
	if o.Out != nil {
		s.want(n.Name, o)
		return
	}
	_, e, err := s.key.blind(input(q.Type, q.Value), o.Blind)
	if err != nil {
		s.cfg.Log.Error("a question cannot be blinded", "question", q.ID, "error", err)
		return
	}
	s.say(n.Name, topicAsk, askWord{ID: q.ID, Purpose: q.Purpose, Agency: q.Agency, Person: q.By, Elements: [][]byte{e}})
}

// retry asks anew what was not answered, of one node at once or, where node is "",
// of all whose time has come, and gives up what is too old.
func (s *Service) retry(ctx context.Context, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	for _, agency := range s.local() {
		ring, err := s.ring(ctx, agency)
		if err != nil {
			s.cfg.Log.Error("questions cannot be read", "agency", agency, "error", err)
			continue
		}
		changed := false
		for _, q := range ring {
			for name, o := range q.Open {
				if node != "" && node != name {
					continue
				}
				wait := min(lastTry, firstTry<<min(o.Tries, 10))
				n := s.cfg.Nodes.Node(name)
				switch {
				case n == nil || n.State == store.NodeRevoked:
					s.finish(ctx, q, name, Answer{State: Refused, Reason: "not-active"})
				case now.Sub(q.At) > giveUp:
					s.finish(ctx, q, name, Answer{State: Stale, Reason: "silence"})
				case n.State == store.NodeActive && (node != "" || now.Sub(o.Sent) >= wait || now.Before(o.Sent)):
					s.send(q, n, now)
				default:
					continue
				}
				changed = true
			}
		}
		if changed {
			if err := s.save(ctx, agency); err != nil {
				s.cfg.Log.Error("questions cannot be kept", "agency", agency, "error", err)
			}
		}
	}
}

// onAnswer takes what a holder's function made of our element.
func (s *Service) onAnswer(ctx context.Context, from *store.Node, payload []byte) {
	var w answerWord
	if json.Unmarshal(payload, &w) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, o := s.find(ctx, w.ID, from.Name)
	if o == nil {
		return // answered before, given up, or never asked
	}
	if w.Refused != "" {
		if o.Out == nil {
			reason := w.Refused[:min(len(w.Refused), 40)]
			if !record.Token(reason) {
				reason = "refused"
			}
			s.finish(ctx, q, from.Name, Answer{State: Refused, Reason: reason})
			s.keep(ctx, q.Agency)
		}
		return
	}
	fin, _, err := s.key.blind(input(q.Type, q.Value), o.Blind)
	if err == nil && (len(w.Elements) != 1 || len(w.Sum) != sha256.Size || !goodTotal(w.Total)) {
		err = errors.New("the answer is malformed")
	}
	var out []byte
	if err == nil {
		out, err = finish(fin, w.Key, w.Elements[0], w.Proof)
	}
	if err != nil {
		s.cfg.Log.Warn("an answer does not fit its question", "node", from.Name, "error", err)
		s.finish(ctx, q, from.Name, Answer{State: Refused, Reason: "proof"})
		s.keep(ctx, q.Agency)
		return
	}
	o.Out, o.Key, o.Sum, o.Total, o.At = out, w.Key, w.Sum, w.Total, w.At
	if !s.look(ctx, q, from, o) {
		o.Sent, o.Tries = s.cfg.Now(), 1
		s.want(from.Name, o)
	}
	s.keep(ctx, q.Agency)
}

// look looks into the list of the node, and reports whether that ends it. A list
// that is older than the answer can show a hit, but not that there is none.
func (s *Service) look(ctx context.Context, q *asked, from *store.Node, o *open) bool {
	l, err := s.heldList(ctx, from.Name)
	if err != nil {
		s.cfg.Log.Error("a list cannot be read", "node", from.Name, "error", err)
		return false
	}
	if l == nil || string(l.key) != string(o.Key) {
		return false
	}
	a := Answer{State: NoHit, SetAt: l.at}
	for _, agency := range from.Agencies {
		if l.holds(tag(o.Out, agency)) {
			a.State, a.Agencies = Hit, append(a.Agencies, agency)
		}
	}
	if a.State == NoHit && string(l.sum) != string(o.Sum) && l.at.Before(o.At) {
		s.set(q, from.Name, Answer{State: Stale, SetAt: l.at})
		return false
	}
	s.finish(ctx, q, from.Name, a)
	return true
}

// set writes what is known of one node's answer.
func (s *Service) set(q *asked, node string, a Answer) {
	for i := range q.Answers {
		if old := &q.Answers[i]; old.Node == node {
			a.Node, a.Short, a.Title, a.At = old.Node, old.Short, old.Title, s.cfg.Now().UTC()
			*old = a
		}
	}
	if s.cfg.Told != nil {
		s.cfg.Told(q.Agency, q.shown())
	}
}

// finish sets an answer for good, writes it down, and forgets the value when it
// was the last one. It is called with mu held.
func (s *Service) finish(ctx context.Context, q *asked, node string, a Answer) {
	s.set(q, node, a)
	delete(q.Open, node)
	if len(q.Open) == 0 {
		q.Value = ""
	}
	if _, err := s.cfg.Ledger.Note(ctx, "question", q.Agency, q.By, struct {
		What     string `json:"what"`
		Question string `json:"question"`
		Node     string `json:"node"`
		Reason   string `json:"reason,omitempty"`
	}{string(a.State), q.ID, node, a.Reason}); err != nil {
		s.cfg.Log.Error("an answer could not be written down", "question", q.ID, "error", err)
	}
}

// Questions returns the questions of an agency, newest first.
func (s *Service) Questions(ctx context.Context, agency string) ([]*Question, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ring, err := s.ring(ctx, agency)
	out := make([]*Question, 0, len(ring))
	for _, q := range ring {
		out = append(out, q.shown())
	}
	return out, err
}

// Question returns one question of an agency.
func (s *Service) Question(ctx context.Context, agency, id string) (*Question, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ring, err := s.ring(ctx, agency)
	if err != nil {
		return nil, err
	}
	for _, q := range ring {
		if q.ID == id {
			return q.shown(), nil
		}
	}
	return nil, record.Errorf(record.NotFound, "question", "there is no such question, or it is too old")
}

func (q *asked) shown() *Question {
	c := q.Question
	c.Answers = slices.Clone(q.Answers)
	return &c
}

// find finds an unfinished question to a node. It is called with mu held.
func (s *Service) find(ctx context.Context, id, node string) (*asked, *open) {
	for _, agency := range s.local() {
		ring, err := s.ring(ctx, agency)
		if err != nil {
			s.cfg.Log.Error("questions cannot be read", "agency", agency, "error", err)
		}
		for _, q := range ring {
			if q.ID == id {
				return q, q.Open[node]
			}
		}
	}
	return nil, nil
}

func ringKey(agency string) string { return "question.asked/" + agency }

// ring returns the questions of an agency, newest first. It is called with mu held.
func (s *Service) ring(ctx context.Context, agency string) ([]*asked, error) {
	if r, ok := s.rings[agency]; ok {
		return r, nil
	}
	b, err := s.cfg.Store.Value(ctx, ringKey(agency))
	if err != nil {
		return nil, err
	}
	r := []*asked{}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, record.Errorf(record.Corrupt, "question", "the questions of %s cannot be read: %v", agency, err)
		}
	}
	s.rings[agency] = r
	return r, nil
}

func (s *Service) save(ctx context.Context, agency string) error {
	b, err := json.Marshal(s.rings[agency])
	if err != nil {
		return err
	}
	return s.cfg.Store.SetValue(ctx, ringKey(agency), b)
}

// keep is save for what no caller waits for.
func (s *Service) keep(ctx context.Context, agency string) {
	if err := s.save(ctx, agency); err != nil {
		s.cfg.Log.Error("questions cannot be kept", "agency", agency, "error", err)
	}
}
