package demo

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"konbit/desk"
	"konbit/desks/incident"
	"konbit/record"
)

func itoa(n int) string { return strconv.Itoa(n) }

// mark decides who may know: by what it is about and whom it concerns.
func (s *Story) mark(t *thread) {
	rng := s.rng
	m := record.Marking{TLP: record.Amber}
	to := func(tlp record.TLP, names ...string) {
		m.TLP = tlp
		m.To = slices.DeleteFunc(names, func(n string) bool { return n == t.agency })
	}
	x := rng.Float64()
	switch t.body.Category {
	case incident.SexualViolence, incident.Trafficking, incident.Kidnapping, incident.Contraband:
		switch {
		case x < 0.35:
			m.TLP = record.Red
		case x < 0.70:
			m.TLP = record.AmberStrict
		case x < 0.85 && t.body.Category != incident.SexualViolence:
			to(record.AmberStrict, "ht.cc", "do.911")
		}
	case "vessel", "border", "rescue":
		switch {
		case x < 0.45:
			to(record.Amber, "ht.cc", "ht.gc", "do.911")
		case x < 0.75:
			to(record.Green, "@hispaniola")
		case x < 0.85:
			to(record.Green)
		}
	case "displacement", "water", "food", "shelter", "health", "disease", "flood", "landslide":
		switch {
		case x < 0.30:
			to(record.Green)
		case x < 0.55:
			to(record.Green, "@hispaniola")
		case x < 0.80:
			to(record.Amber, "ht.cc", "int.aid")
		case x < 0.90:
			to(record.Clear)
		}
	case "road-blocked", "storm", "earthquake", "protest", "power", "fuel", "infrastructure", "traffic", "fire":
		switch {
		case x < 0.30:
			to(record.Clear)
		case x < 0.62:
			to(record.Green)
		case x < 0.75 && t.agency != "do.911":
			to(record.Green, "@caricom")
		}
	default:
		switch {
		case x < 0.12:
			to(record.Green)
		case x < 0.22:
			to(record.Amber, "@hispaniola")
		case x < 0.30:
			to(record.AmberStrict, "ht.cc", "ht.gc")
		}
	}
	m.Caveats = slices.Clone(t.caveats)
	if m.TLP == record.Red {
		for _, p := range s.c.people {
			ours := p.Agency() == t.agency && p.Role != desk.Viewer
			theirs := p.Role == desk.Supervisor && (p.Agency() == "ht.cc" || p.Agency() == "do.911") && x < 0.12
			if (ours || theirs) && p.Role.Covers(desk.Viewer) && cleared(p, t.caveats) {
				m.Persons = append(m.Persons, p.ID)
			}
		}
		t.persons = m.Persons
	}
	if len(m.To) > 0 && chance(rng, 0.06) {
		until := t.created.Add(30 * 24 * time.Hour)
		m.Expires = &until
	}
	m.Normalize()
	t.draft.Marking = m
}

func cleared(p Person, caveats []string) bool {
	for _, c := range caveats {
		if !slices.Contains(p.Clearances, c) {
			return false
		}
	}
	return true
}

// sees reports whether somebody of the thread's agency may see it.
func (t *thread) sees(p Person) bool {
	return cleared(p, t.caveats) && (t.persons == nil || slices.Contains(t.persons, p.ID))
}

// who draws somebody of the thread's agency who may do this and may see it, and
// what it repeats.
func (s *Story) who(t *thread, need desk.Role) Person {
	var fit []Person
	for _, p := range s.c.people {
		if p.Agency() == t.agency && p.Role.Covers(need) && t.sees(p) && (t.first == nil || t.first.sees(p)) {
			fit = append(fit, p)
			if p.Role == need { // a supervisor does an operator's work only now and then
				fit = append(fit, p, p)
			}
		}
	}
	return pick(s.rng, fit)
}

// plan decides all that will be done about t. Each act is possible after the one
// before it.
func (s *Story) plan(t *thread) {
	rng := s.rng
	t.stays = true
	now, state := t.created, ""
	write := func(body incident.Incident) *Draft {
		d := t.draft
		d.Body, _ = json.Marshal(&body) // a plain struct of ours: cannot fail
		return &d
	}
	do := func(command, note string, args any) {
		need := s.kind.Allow[command]
		next, ok := s.kind.Next(state, command)
		if !ok {
			panic("demo: " + command + " in state " + state)
		}
		state = next
		a := Act{At: now, Agency: t.agency, Person: s.who(t, need).ID, Kind: s.kind.Name, Command: command, ID: t.id, Note: note}
		switch command {
		case desk.Create, desk.Edit:
			a.Draft = write(t.body)
		default:
			if args != nil {
				a.Args, _ = json.Marshal(args)
			}
		}
		t.course = append(t.course, a)
	}
	later := func(least, most int) { now = now.Add(time.Duration(between(rng, least*60, most*60)) * time.Second) }
	say := func(command string) string {
		if list := s.c.words[command][t.lang]; len(list) > 0 && chance(rng, 0.8) {
			return pick(rng, list)
		}
		return ""
	}
	edit := func() {
		more := pick(rng, s.c.words["edit"][t.lang])
		t.body.Narrative += "\n" + more
		if t.body.Severity == "moderate" && chance(rng, 0.3) {
			t.body.Severity = incident.Severe
		}
		if t.body.Affected != nil && chance(rng, 0.4) {
			n := *t.body.Affected + max(1, *t.body.Affected/between(rng, 3, 9))
			t.body.Affected = &n
		}
		do(desk.Edit, more, nil)
	}

	do(desk.Create, "", nil)
	grave := t.body.Severity == incident.Severe || t.body.Severity == incident.Extreme
	if t.first != nil {
		t.stays = false
		later(3, 20)
		do("merge", say("merge"), map[string]any{"into": t.first.id})
		if chance(rng, 0.1) {
			later(10, 120)
			do("unmerge", say("unmerge"), nil)
			later(5, 60)
			do("verify", say("verify"), nil)
			later(30, 600)
			do("close", say("close"), nil)
		}
		return
	}
	if p := rng.Float64(); !grave && p < 0.10 || grave && p < 0.03 { // nothing in it
		t.stays = false
		later(8, 240)
		do("reject", pick(rng, s.c.words["reject"][t.lang]), nil)
		if chance(rng, 0.12) {
			later(20, 300)
			do("reopen", say("reopen"), nil)
			later(5, 60)
			do("verify", say("verify"), nil)
		}
		return
	} else if !grave && p < 0.15 { // nobody comes round to it
		return
	}
	if grave {
		later(1, 12)
	} else {
		later(3, 90)
	}
	if chance(rng, 0.15) {
		edit()
		later(1, 10)
	}
	if grave && chance(rng, 0.25) { // first the ambulance, then the questions
		do("respond", say("respond"), nil)
	} else {
		do("verify", say("verify"), nil)
		if chance(rng, 0.03) {
			later(5, 60)
			do("unverify", say("unverify"), nil)
			later(5, 60)
			do("verify", say("verify"), nil)
		}
	}
	if chance(rng, 0.12) && s.widen(t) {
		later(1, 20)
		do(desk.Mark, say("mark"), t.draft.Marking)
	}
	if state == "verified" && (grave || chance(rng, 0.6)) {
		later(2, 25)
		do("respond", say("respond"), nil)
	}
	if chance(rng, 0.35) {
		later(5, 120)
		edit()
	}
	if state == "responding" && chance(rng, 0.05) {
		later(5, 40)
		do("stand-down", say("stand-down"), nil)
		later(5, 40)
		do("respond", say("respond"), nil)
	}
	if chance(rng, 0.06) { // still open weeks later
		return
	}
	if slices.Contains([]incident.Category{"displacement", "water", "food", "shelter", "health", "disease", "infrastructure", incident.MissingPerson, incident.Kidnapping}, t.body.Category) {
		later(6*60, 9*24*60)
	} else {
		later(20, 14*60)
	}
	do("close", say("close"), nil)
	if chance(rng, 0.04) {
		later(60, 2000)
		do("reopen", say("reopen"), nil)
		later(60, 600)
		do("close", say("close"), nil)
	}
}

// widen releases the thread's incident to one more audience; false when there is
// none that it should have.
func (s *Story) widen(t *thread) bool {
	m := t.draft.Marking.Clone()
	switch {
	case m.TLP == record.Amber && len(m.To) == 0:
		m.To = pick(s.rng, [][]string{{"@hispaniola"}, {"do.911"}, {"int.aid"}, {"ht.cc"}, {"ht.gc", "do.911"}})
		m.To = slices.DeleteFunc(slices.Clone(m.To), func(n string) bool { return n == t.agency })
	case m.TLP == record.Green && len(m.To) > 0:
		m.TLP, m.To, m.Expires = record.Clear, nil, nil
	default:
		return false
	}
	if m.TLP == record.Amber && len(m.To) == 0 {
		return false
	}
	m.Normalize()
	t.draft.Marking = m
	return true
}

// drift draws around a mean that drifts from week to week.
func drift(rng *rand.Rand, mean int) int {
	return max(0, int(float64(mean)*(0.6+0.8*rng.Float64())+rng.Float64()))
}
