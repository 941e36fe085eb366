package question

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"konbit/record"
	"konbit/store"
)

// onAsk answers a question of another node. It is in our ledger before the answer
// goes out.
func (s *Service) onAsk(ctx context.Context, from *store.Node, payload []byte) {
	var w askWord
	err := json.Unmarshal(payload, &w)
	if err == nil {
		_, err = record.ParseID(w.ID)
	}
	if err != nil {
		s.cfg.Log.Debug("a question that cannot be read", "node", from.Name)
		return
	}
	if !sound(&w, from) {
		s.refuse(ctx, from, &w, "malformed")
		return
	}
	if !s.ready(ctx) {
		return
	}
	a, mine := s.answered.begin(from.Name, &w)
	if mine {
		if a = s.answer(ctx, from, &w); a == nil {
			s.answered.end(from.Name, &w, nil)
			return
		}
		s.answered.end(from.Name, &w, a)
	} else if a == nil {
		return // it is being answered
	}
	l := s.published()
	out := *a
	out.Key, out.Sum, out.Total, out.At = l.key, l.sum, len(l.tags), l.at
	s.say(from.Name, topicAnswer, out)
}

// answer limits, evaluates and writes down; nil: it was refused, and the node was told.
func (s *Service) answer(ctx context.Context, from *store.Node, w *askWord) *answerWord {
	if !s.theirs.take(from.Name, len(w.Elements), s.cfg.Now()) {
		s.refuse(ctx, from, w, "rate")
		return nil
	}
	a := &answerWord{ID: w.ID}
	var err error
	if a.Elements, a.Proof, err = s.key.evaluate(w.Elements); err != nil {
		s.refuse(ctx, from, w, "malformed")
		return nil
	}
	if err := s.note(ctx, from, w, "answered"); err != nil {
		s.cfg.Log.Error("a question could not be written down and was not answered", "node", from.Name, "error", err)
		s.say(from.Name, topicAnswer, answerWord{ID: w.ID, Refused: "unavailable"})
		return nil
	}
	return a
}

// sound checks what a question must say. A node speaks for its own agencies alone.
func sound(w *askWord, from *store.Node) bool {
	agency, name, ok := strings.Cut(w.Person, "/")
	return ok && agency == w.Agency && name != "" && len(w.Person) <= 160 && slices.Contains(from.Agencies, w.Agency) &&
		goodPurpose(w.Purpose) && len(w.Elements) >= 1 && len(w.Elements) <= maxElements
}

// goodPurpose reports whether somebody said why.
func goodPurpose(p string) bool {
	n := utf8.RuneCountInString(strings.TrimSpace(p))
	return n >= 3 && n <= 500 && utf8.ValidString(p) && !record.Control(p)
}

// note writes a question into the ledger, for the auditors of each agency whose
// identifiers it was about: who asked, why, and not what, which nobody here knows.
func (s *Service) note(ctx context.Context, from *store.Node, w *askWord, what string) error {
	content := struct {
		What        string `json:"what"`
		Question    string `json:"question"`
		Node        string `json:"node"`
		Agency      string `json:"from"`
		Purpose     string `json:"purpose"`
		Identifiers int    `json:"identifiers"`
	}{what, w.ID, from.Name, w.Agency, w.Purpose, len(w.Elements)}
	var wg sync.WaitGroup
	agencies := s.local()
	errs := make([]error, len(agencies))
	for i, a := range agencies {
		wg.Go(func() { _, errs[i] = s.cfg.Ledger.Note(ctx, "question", a, w.Person, content) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) local() []string {
	return slices.DeleteFunc(slices.Clone(s.cfg.Directory.Agencies()), func(a string) bool { return !s.cfg.Directory.Local(a) })
}

// refuse says no. It is written down, too, but not as often as somebody who tries
// may ask.
func (s *Service) refuse(ctx context.Context, from *store.Node, w *askWord, why string) {
	if s.refusals.take(from.Name, 1, s.cfg.Now()) {
		short := *w
		short.Purpose = strings.ToValidUTF8(w.Purpose[:min(len(w.Purpose), 500)], "")
		if agency, _, _ := strings.Cut(w.Person, "/"); !slices.Contains(from.Agencies, agency) || len(w.Person) > 160 {
			short.Person, short.Agency = from.Name, ""
		}
		if err := s.note(ctx, from, &short, "refused: "+why); err != nil {
			s.cfg.Log.Error("a refused question could not be written down", "node", from.Name, "error", err)
		}
	}
	s.say(from.Name, topicAnswer, answerWord{ID: w.ID, Refused: why})
}

// onWant sends the parts of our list that differ from what a node has.
func (s *Service) onWant(ctx context.Context, from *store.Node, payload []byte) {
	var w wantWord
	if json.Unmarshal(payload, &w) != nil || !s.lists.take(from.Name, 1, s.cfg.Now()) {
		return
	}
	if !s.ready(ctx) {
		return
	}
	l := s.published()
	parts := split(l.tags, partsOf(len(l.tags)))
	word := listWord{Key: l.key, Sum: l.sum, Total: len(l.tags), At: l.at}
	inWord, inAll := 0, 0
	for i, p := range parts {
		if len(w.Sums) == sumSize*len(parts) && bytes.Equal(w.Sums[sumSize*i:sumSize*(i+1)], partSum(p)) {
			continue
		}
		b := pack(p)
		if inWord+len(b) > wordTags && inWord > 0 {
			s.say(from.Name, topicList, word)
			word.Parts, inWord = nil, 0
		}
		if inAll > mostTags { // it asks again for what is left
			break
		}
		word.Parts = append(word.Parts, onePart{i, b})
		inWord += len(b)
		inAll += len(b)
	}
	word.Last = true
	s.say(from.Name, topicList, word)
}

// recent keeps the newest answers, so that a question that is asked again costs
// nobody anything.
type recent struct {
	mu    sync.Mutex
	of    map[[32]byte]*answerWord // nil: being answered
	order [][32]byte
}

const maxRecent = 4096

func idOf(node string, w *askWord) [32]byte {
	h := sha256.New()
	h.Write([]byte(node + "\n" + w.ID + "\n"))
	for _, e := range w.Elements {
		h.Write([]byte{byte(len(e))})
		h.Write(e)
	}
	return [32]byte(h.Sum(nil))
}

// begin returns the answer that was given to a question before. mine: there was
// none, and the caller answers and calls end; nil and not mine: somebody does.
func (r *recent) begin(node string, w *askWord) (a *answerWord, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[[32]byte]*answerWord{}
	}
	k := idOf(node, w)
	a, known := r.of[k]
	if !known {
		r.of[k] = nil
	}
	return a, !known
}

// end keeps an answer; nil: there is none, and the next try begins anew.
func (r *recent) end(node string, w *askWord, a *answerWord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := idOf(node, w)
	if a == nil {
		delete(r.of, k)
		return
	}
	r.of[k] = a
	if r.order = append(r.order, k); len(r.order) > maxRecent {
		delete(r.of, r.order[0])
		r.order = r.order[1:]
	}
}
