package demo

import (
	"encoding/json"
	"slices"
	"time"

	"konbit/desk"
	"konbit/desks/answer"
	"konbit/record"
)

// replies is what answers are made of.
type replies struct {
	Comment  map[string][]string `yaml:"comment"`
	Sighting map[string][]string `yaml:"sighting"`
	Wrong    map[string]string   `yaml:"wrong"`
	Why      map[string][]string `yaml:"why"`
	Question map[string][]string `yaml:"question"`
	Reply    map[string][]string `yaml:"reply"`
	Rest     map[string][]string `yaml:"rest"`
	Refusal  map[string][]string `yaml:"refusal"`
	Basis    []string            `yaml:"basis"`
}

// pending is how long before the end of the past a request may be that still
// waits for its reply.
const pending = 30 * time.Hour

// answered lets another agency that sees t say something about it, now and then.
func (s *Story) answered(t *thread) {
	rng := s.rng
	by, ok := s.neighbour(t)
	if !ok || !chance(rng, 0.3) {
		return
	}
	at := t.created.Add(time.Duration(between(rng, 4*60, 5*3600)) * time.Second)
	lang, text := by.Lang, &s.c.replies
	switch x := rng.Float64(); {
	case x < 0.4:
		s.say(t, by, at, "comment", answer.Comment{Text: pick(rng, text.Comment[lang])}, nil)
	case x < 0.6:
		b := answer.Sighting{Text: pick(rng, text.Sighting[lang]), Certainty: answer.Certainty(pick(rng, answer.Certainty("").Values())), Grade: answer.Reliability(pick(rng, []string{"A", "B", "B", "C"}))}
		s.say(t, by, at, "sighting", b, s.locate(t.home, t.home.in(lang)))
	case x < 0.75 && t.body.Affected != nil:
		n := itoa(*t.body.Affected + between(rng, 2, 30))
		s.say(t, by, at, "correction", answer.Correction{Field: "affected", Right: fill(rng, text.Wrong[lang], map[string]string{"n": n}), Why: pick(rng, text.Why[lang])}, nil)
	default:
		s.ask(t, by, at)
	}
}

// neighbour draws somebody of another agency to whom t was released from the
// start, and who may see it.
func (s *Story) neighbour(t *thread) (Person, bool) {
	var fit []Person
	for _, p := range s.c.people {
		if p.Agency() != t.agency && p.Role == desk.Operator && t.persons == nil && cleared(p, t.caveats) && s.released(t, p.Agency()) {
			fit = append(fit, p)
		}
	}
	if len(fit) == 0 {
		return Person{}, false
	}
	return pick(s.rng, fit), true
}

func (s *Story) released(t *thread, agency string) bool {
	in := func(id string) []string {
		for _, a := range s.c.agencies {
			if a.ID == id {
				return a.Communities
			}
		}
		return nil
	}
	m := &t.draft.Marking
	switch {
	case m.TLP == record.Clear:
		return true
	case m.TLP == record.Green && len(m.To) == 0:
		return slices.ContainsFunc(in(agency), func(c string) bool { return slices.Contains(in(t.agency), c) })
	}
	return slices.Contains(m.To, agency) || slices.ContainsFunc(in(agency), func(c string) bool { return slices.Contains(m.To, c) })
}

// say adds an answer to what is going to happen to t, and perhaps that it is
// taken back.
func (s *Story) say(t *thread, by Person, at time.Time, kind string, body any, place *record.Place) {
	id := s.reply(t, by, at, kind, body, place, record.Link{Rel: desk.RelAnswers, Kind: s.kind.Name, ID: t.id}, t.agency)
	if chance(s.rng, 0.12) {
		at = at.Add(time.Duration(between(s.rng, 5*60, 3*3600)) * time.Second)
		s.insert(t, Act{At: at, Agency: by.Agency(), Person: by.ID, Kind: kind, Command: "withdraw", ID: id, About: t.id})
	}
}

// ask adds a request for information, and mostly what is replied to it.
func (s *Story) ask(t *thread, by Person, at time.Time) {
	rng, text := s.rng, &s.c.replies
	due := at.Add(time.Duration(between(rng, 2, 26)) * time.Hour).Truncate(time.Minute)
	body := answer.Request{To: t.agency, Question: pick(rng, text.Question[by.Lang]), Urgency: answer.Urgency(pick(rng, []string{"routine", "routine", "priority", "priority", "urgent"})), Deadline: &due, Basis: pick(rng, text.Basis)}
	id := s.reply(t, by, at, "rfi", body, nil, record.Link{Rel: desk.RelAnswers, Kind: s.kind.Name, ID: t.id}, t.agency)
	if !chance(rng, 0.7) {
		return
	}
	who := s.who(t, desk.Operator)
	lang := who.Lang
	r := answer.Reply{Outcome: answer.Answer, Text: pick(rng, text.Reply[lang])}
	switch {
	case chance(rng, 0.25):
		r.Outcome, r.Rest = answer.Part, pick(rng, text.Rest[lang])
	case chance(rng, 0.12):
		r = answer.Reply{Outcome: answer.Refusal, Reason: pick(rng, text.Refusal[lang])}
	}
	at = at.Add(time.Duration(between(rng, 20*60, int(pending/time.Second)-3600)) * time.Second)
	s.reply(t, who, at, "reply", r, nil, record.Link{Rel: desk.RelAnswers, Kind: "rfi", ID: id}, by.Agency())
}

// reply makes one answer of an agency to another one.
func (s *Story) reply(t *thread, by Person, at time.Time, kind string, body any, place *record.Place, link record.Link, to string) record.ID {
	d := Draft{Observed: at.Truncate(time.Second), Place: place, Links: []record.Link{link}, Marking: record.Marking{TLP: record.Amber, To: []string{to}, Caveats: slices.Clone(t.caveats)}}
	if t.draft.Marking.TLP == record.AmberStrict {
		d.Marking.TLP = record.AmberStrict
	}
	d.Body, _ = json.Marshal(body) // a plain struct of ours: cannot fail
	id := s.id(at)
	s.insert(t, Act{At: at, Agency: by.Agency(), Person: by.ID, Kind: kind, Command: desk.Create, ID: id, About: link.ID, Draft: &d})
	return id
}

// insert puts an act where it belongs in what is going to happen to t.
func (s *Story) insert(t *thread, a Act) {
	i := slices.IndexFunc(t.course, func(o Act) bool { return o.At.After(a.At) })
	if i < 0 {
		i = len(t.course)
	}
	t.course = slices.Insert(t.course, i, a)
}

// unsettled leaves out of the past the requests that have been replied to, and
// those that waited too long for it: what a reply does to its request follows
// from it, and nothing follows in the past.
func unsettled(acts []Act, end time.Time) []Act {
	out := map[record.ID]bool{}
	for _, a := range acts {
		switch {
		case a.Kind == "reply":
			out[a.ID], out[a.About] = true, true
		case a.Kind == "rfi" && a.At.Before(end.Add(-pending)):
			out[a.ID] = true
		}
	}
	return slices.DeleteFunc(acts, func(a Act) bool { return out[a.ID] })
}
