package question

import (
	"encoding/json"
	"time"

	"konbit/wire/bundle"
)

// askWord goes to a holder. What sort of identifier it is about is not said.
type askWord struct {
	ID       string   `json:"id"` // of the question; repeated when it is asked again
	Purpose  string   `json:"purpose"`
	Agency   string   `json:"agency"`
	Person   string   `json:"person"`
	Elements [][]byte `json:"elements"` // blinded, 32 bytes each
}

// maxElements is how many identifiers one word asks about.
const maxElements = 32

// answerWord comes back: what the function makes of the elements, in their order,
// with a proof over all of them.
type answerWord struct {
	ID       string    `json:"id"`
	Refused  string    `json:"refused,omitempty"` // "rate", "malformed", "unavailable"
	Elements [][]byte  `json:"elements,omitempty"`
	Proof    []byte    `json:"proof,omitempty"`
	Key      []byte    `json:"key,omitempty"`
	Sum      []byte    `json:"sum,omitempty"`   // of the list as it is now
	Total    int       `json:"total,omitempty"` // its tags
	At       time.Time `json:"at,omitzero"`     // when it was made
}

// wantWord asks for the parts of a list that differ from what the asker has.
type wantWord struct {
	Sums []byte `json:"sums,omitempty"` // of each part, sumSize bytes; none: all parts are wanted
}

// listWord brings parts of a list.
type listWord struct {
	Key   []byte    `json:"key"`
	Sum   []byte    `json:"sum"`
	Total int       `json:"total"`
	At    time.Time `json:"at"`
	Parts []onePart `json:"parts,omitempty"`
	Last  bool      `json:"last,omitempty"` // of this answer
}

type onePart struct {
	N    int    `json:"n"`
	Tags []byte `json:"tags"` // 8 bytes each, sorted
}

// What one listWord and one answer to a wantWord bring, in bytes of tags.
const (
	wordTags = 24 << 10
	mostTags = 1 << 20
)

func (s *Service) say(node, topic string, word any) {
	b, err := json.Marshal(word)
	if err != nil {
		s.cfg.Log.Error("a word cannot be written", "topic", topic, "error", err)
		return
	}
	s.cfg.Send(node, bundle.Item{Sort: bundle.Word, Topic: topic, Payload: b})
}
