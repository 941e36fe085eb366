package desk

import (
	"fmt"
	"slices"

	"konbit/record"
)

// RelAnswers is the relation of an answer to what it answers.
const RelAnswers = "answers"

// Answers makes the kind an answer to other records. Each record of it carries
// one link RelAnswers; it is offered beside what it may answer, and stands in
// the timeline of what it answers.
//
// It is released no wider than what it answers, because it tells of that: intake
// holds every marking against the answered record's, unless both belong to one
// agency, which may release its own.
type Answers struct {
	Kinds []string `json:"kinds,omitempty"` // what it answers; none: every kind
	Each  string   `json:"each,omitempty"`  // enumerated field: a button for each of its values
	Asked bool     `json:"asked,omitempty"` // given by the agency alone that the answered record is addressed to, while that one is open
	Alone bool     `json:"alone,omitempty"` // may stand without a record that it answers
	Own   bool     `json:"own,omitempty"`   // says what its agency knows by itself and quotes nothing: that agency alone decides who sees it
}

func (a Answers) apply(k *Kind) { k.Answers = &a }

// Address makes each record of the kind a matter between two agencies: its
// owner, and the one that a field of the body names. It is released to that one
// from the start, who finds it in an inbox.
type Address struct {
	To   string `json:"to"`             // a required text with widget "agency" and facet
	Due  string `json:"due,omitempty"`  // a time: until when
	Rank string `json:"rank,omitempty"` // enumerated, least first: how pressing
}

func (a Address) apply(k *Kind) { k.Address = &a }

// Automatic names commands that only reactions give, never a person.
func Automatic(commands ...string) Option {
	return option(func(k *Kind) { k.Automatic = commands })
}

// checkAnswers is the part of check that concerns answers.
func (k *Kind) checkAnswers() error {
	if a := k.Answers; a != nil && a.Each != "" {
		if f := k.schema.field(a.Each); f == nil || f.Enum == nil {
			return fmt.Errorf("answers each %q, which is not enumerated", a.Each)
		}
	}
	if a := k.Address; a != nil {
		if f := k.schema.field(a.To); f == nil || f.Widget != "agency" || !f.Facet || !f.Required {
			return fmt.Errorf("addressed to %q, which is no required facet with widget \"agency\"", a.To)
		}
		if f := k.schema.field(a.Due); a.Due != "" && (f == nil || f.Type != "time") {
			return fmt.Errorf("due at %q, which is no time", a.Due)
		}
		if f := k.schema.field(a.Rank); a.Rank != "" && (f == nil || f.Enum == nil) {
			return fmt.Errorf("ranked by %q, which is not enumerated", a.Rank)
		}
	}
	for _, c := range k.Automatic {
		if !slices.Contains(k.Commands(), c) || slices.Contains(Standard, c) {
			return fmt.Errorf("automatic command %q is not in the flow", c)
		}
	}
	return nil
}

// checkAnswers holds the kinds against one another.
func (s *Set) checkAnswers() error {
	for _, name := range s.names {
		k := s.kinds[name]
		if k.Answers == nil {
			continue
		}
		if k.Answers.Asked && len(k.Answers.Kinds) == 0 {
			return fmt.Errorf("kind %q: say which kinds the asked agency answers", name)
		}
		for _, to := range k.Answers.Kinds {
			if t := s.kinds[to]; t == nil || k.Answers.Asked && t.Address == nil {
				return fmt.Errorf("kind %q answers %q, which does not exist or is addressed to nobody", name, to)
			}
		}
	}
	return nil
}

// Addressee returns the agency that a record of the kind is addressed to, "" for
// none. body is what Decode or Parse returned.
func (k *Kind) Addressee(body any) string {
	if k.Address == nil {
		return ""
	}
	return k.Text(body, k.Address.To)
}

// AnswerLink returns the link to what a record of the kind answers, nil for a
// record that stands alone, and what is wrong with it.
func (k *Kind) AnswerLink(links []record.Link) (*record.Link, record.Fields) {
	var f record.Fields
	if k.Answers == nil {
		return nil, nil
	}
	var found *record.Link
	for i := range links {
		switch {
		case links[i].Rel != RelAnswers:
		case found != nil:
			f.Add(record.Index("links", i), "max", "an answer answers one record")
		default:
			found = &links[i]
		}
	}
	if found == nil && !k.Answers.Alone {
		f.Add("links", "required", `say what it answers, with a link "answers"`)
	}
	if found != nil && len(k.Answers.Kinds) > 0 && !slices.Contains(k.Answers.Kinds, found.Kind) {
		f.Add("links", "enum", fmt.Sprintf("a %s does not answer a %s", k.Name, found.Kind))
	}
	return found, f
}

// MayAnswer reports whether a record of agency by, of kind k, may answer to, a
// record of kind on. It is Denied to all but the agency that was asked, where
// the kind says so.
func (k *Kind) MayAnswer(on *Kind, to *record.Record, by string) error {
	if k.Answers == nil || len(k.Answers.Kinds) > 0 && !slices.Contains(k.Answers.Kinds, to.Kind) {
		return record.Errorf(record.Invalid, k.Name+"."+Create, "a %s does not answer a %s", k.Name, to.Kind)
	}
	if !k.Answers.Asked {
		return nil
	}
	body, err := on.Parse(to.Body)
	if err != nil {
		return err
	}
	if asked := on.Addressee(body); asked != by {
		return record.Errorf(record.Denied, k.Name+"."+Create, "it was %s that was asked, not %s", asked, by)
	}
	return nil
}
