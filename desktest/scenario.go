package desktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
)

// Play runs one scenario: a txtar archive whose comment is the script and whose
// files are bodies. A line is one step; "#" begins a remark.
//
//	new NAME KIND FILE [OTHER]   make a record with the body in FILE, as an answer to OTHER
//	edit NAME FILE               replace its body
//	do NAME COMMAND [ARGS]       give a command; ARGS is JSON, "$NAME" an identifier
//	refuse CODE STEP...          the step is refused with this code (record.Code)
//	say WORDS                    the last refusal says so
//	as ROLE                      who acts from here on; at first a supervisor
//	be NAME                      which person; at first ana
//	from AGENCY                  for whom; at first ht.cc
//	hide NAME                    the actor may not read that record
//	wait DURATION                time passes; what is due happens
//	want NAME state STATE
//	want NAME flags [FLAG...]
//	want NAME links [REL:NAME...]
//	want NAME caveats [CAVEAT...]
//	want NAME version N
//	want NAME body PATH [JSON]   a member of the body, nothing for none
//
// Reactions that do not wait follow each step at once. The error names the line.
func Play(d *desk.Desk, archive []byte) error {
	set, err := desk.NewSet(d)
	if err != nil {
		return err
	}
	a := txtar.Parse(archive)
	h := &house{
		set: set, role: desk.Supervisor, agency: "ht.cc", person: "ana",
		now:     time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		records: map[string]*record.Record{}, hidden: map[string]bool{}, files: map[string][]byte{},
	}
	for _, f := range a.Files {
		h.files[f.Name] = f.Data
	}
	steps := 0
	for n, line := range strings.Split(string(a.Comment), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		steps++
		if err := h.step(line); err != nil {
			return fmt.Errorf("%d: %s: %w", n+1, line, err)
		}
		if err := h.settle(); err != nil {
			return fmt.Errorf("%d: %s: what followed: %w", n+1, line, err)
		}
	}
	if steps == 0 {
		return fmt.Errorf("1: the scenario has no steps")
	}
	return nil
}

// house is as much of a kernel as a desk can notice: one workflow step after the
// other, in memory.
type house struct {
	set     *desk.Set
	role    desk.Role
	agency  string
	person  string
	now     time.Time
	files   map[string][]byte
	records map[string]*record.Record // by the scenario's name
	hidden  map[string]bool
	last    error // the last refusal
	due     []timer
}

type timer struct {
	at   time.Time
	name string
	desk.Reaction
}

func (h *house) step(line string) error {
	verb, rest := word(line)
	switch verb {
	case "new", "edit", "do":
		return h.act(verb, rest)
	case "refuse":
		code, rest := word(rest)
		verb, rest := word(rest)
		h.last = h.act(verb, rest)
		if got := record.CodeOf(h.last); string(got) != code {
			return fmt.Errorf("wanted a refusal with code %q, got %q: %v", code, got, h.last)
		}
		return nil
	case "say":
		if h.last == nil || !strings.Contains(h.last.Error(), rest) {
			return fmt.Errorf("the last refusal says: %v", h.last)
		}
		return nil
	case "as":
		if h.role = desk.Role(rest); !slices.Contains(desk.Roles, h.role) {
			return fmt.Errorf("no such role")
		}
		return nil
	case "be":
		h.person = rest
		return nil
	case "from":
		h.agency = rest
		return nil
	case "hide":
		h.hidden[rest] = true
		return nil
	case "wait":
		d, err := time.ParseDuration(rest)
		h.now = h.now.Add(d)
		return err
	case "want":
		return h.want(rest)
	}
	return fmt.Errorf("no such step: %q", verb)
}

func word(s string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimSpace(s), " ")
	return first, strings.TrimSpace(rest)
}

func (h *house) act(verb, rest string) error {
	name, rest := word(rest)
	first, rest := word(rest)
	h.now = h.now.Add(time.Second)
	switch verb {
	case "new":
		if h.records[name] != nil {
			return fmt.Errorf("%q is there already", name)
		}
		file, other := word(rest)
		return h.command(give{record: name, command: desk.Create, kind: first, input: file, answers: other, role: h.role, agency: h.agency})
	case "edit":
		return h.command(give{record: name, command: desk.Edit, input: first, role: h.role, agency: h.agency})
	case "do":
		for n, r := range h.records {
			rest = strings.ReplaceAll(rest, `"$`+n+`"`, `"`+r.ID.String()+`"`)
		}
		return h.command(give{record: name, command: first, input: rest, role: h.role, agency: h.agency})
	}
	return fmt.Errorf("no such act: %q", verb)
}

// give is one command: to whom, what, and for which agency.
type give struct {
	record, command string
	kind            string // of create
	input           string // a file's name for create and edit, else the arguments
	answers         string // of create: the record that it answers
	role            desk.Role
	agency          string
	automatic       bool
}

// command does what intake does, as far as a desk has a part in it.
func (h *house) command(g give) error {
	name, command, kind, input := g.record, g.command, g.kind, g.input
	r := &record.Record{Header: record.Header{
		ID: record.NewID(h.now), Kind: kind, Owner: g.agency, Observed: h.now, Created: h.now,
		Marking: record.Marking{TLP: record.Amber},
	}}
	if command != desk.Create {
		if h.records[name] == nil {
			return fmt.Errorf("there is no record %q", name)
		}
		r = h.records[name].Clone()
	}
	k := h.set.Kind(r.Kind)
	if k == nil {
		return fmt.Errorf("there is no kind %q", r.Kind)
	}
	op := k.Name + "." + command
	who := policy.Reader{Person: g.agency + "/" + h.person, Agency: g.agency, Roles: map[string][]desk.Role{"*": {g.role}}}
	if err := who.May(k, command); err != nil {
		return err
	}
	if slices.Contains(k.Automatic, command) && !g.automatic {
		return record.Errorf(record.Denied, op, "nobody gives this command: it follows from something")
	}
	if r.Owner != g.agency {
		return record.Errorf(record.Denied, op, "it belongs to %s", r.Owner)
	}
	from := r.State
	next, ok := k.Next(from, command)
	if !ok {
		return record.Errorf(record.Stale, op, "not possible in state %q", from)
	}
	r.State = next
	switch command {
	case desk.Create, desk.Edit:
		raw, ok := h.files[input]
		if !ok {
			return fmt.Errorf("there is no file %q", input)
		}
		body, canon, fields := k.Decode(raw)
		if err := fields.Err(op); err != nil {
			return err
		}
		if k.Sets() { // what commands set stays as it is
			if body, canon, fields = k.Kept(canon, r.Body); len(fields) > 0 {
				return fields.Err(op)
			}
		}
		r.Body = canon
		r.Marking.Caveats = append(r.Marking.Caveats, k.CaveatsFor(body)...)
		r.Marking.Normalize()
		if command == desk.Create {
			if err := h.answer(k, r, g.answers); err != nil {
				return err
			}
		}
	default:
		acting := &desk.Acting{Now: h.now, Actor: who.Person, Agency: g.agency, From: from, Record: r, Get: h.get}
		if err := k.Run(command, acting, json.RawMessage(input)); err != nil {
			return err
		}
		if !slices.Contains(k.States(), r.State) {
			return fmt.Errorf("%s left it in state %q, which is not in the flow", op, r.State)
		}
		if _, _, fields := k.Decode(r.Body); len(fields) > 0 {
			return fmt.Errorf("%s left a body that is not valid: %w", op, fields.Err(op))
		}
	}
	r.Version, r.Recorded, r.Author, r.Command = r.Version+1, h.now, who.Person, op
	h.records[name] = r
	for _, d := range h.set.Desks {
		for _, re := range d.Reactions {
			if re.Kind == k.Name && (re.Command == "" || re.Command == command) {
				at := h.now.Add(re.After)
				if re.At != nil {
					if at = re.At(r); at.IsZero() {
						continue
					}
				}
				h.due = append(h.due, timer{at, name, re})
			}
		}
	}
	return nil
}

// answer links a new record to what it answers, where its kind does that.
func (h *house) answer(k *desk.Kind, r *record.Record, other string) error {
	if other != "" {
		to := h.records[other]
		if to == nil || h.hidden[other] {
			return record.Errorf(record.NotFound, k.Name, "there is no record %q", other)
		}
		r.Links = append(r.Links, record.Link{Rel: desk.RelAnswers, Kind: to.Kind, ID: to.ID})
		if err := k.MayAnswer(h.set.Kind(to.Kind), to, r.Owner); err != nil {
			return err
		}
	}
	_, wrong := k.AnswerLink(r.Links)
	return wrong.Err(k.Name + "." + desk.Create)
}

// settle runs the reactions that are due, and what follows from them.
func (h *house) settle() error {
	for hops := 0; ; hops++ {
		i := slices.IndexFunc(h.due, func(t timer) bool { return !t.at.After(h.now) })
		if i < 0 {
			return nil
		}
		if hops == 100 {
			return fmt.Errorf("reactions go round in circles")
		}
		t := h.due[i]
		h.due = slices.Delete(h.due, i, i+1)
		if err := h.react(t); err != nil {
			return err
		}
	}
}

// react runs one reaction and gives its orders, of a foreign one for the owner
// of the record that was answered.
func (h *house) react(t timer) error {
	r := h.records[t.name]
	e := desk.Event{Now: h.now, Record: r.Clone()}
	if !t.Foreign {
		e.Find = func(kind string, equal map[string]string) ([]*record.Record, error) {
			return h.find(r.Owner, kind, equal)
		}
	}
	orders, err := t.Do(e)
	if err != nil {
		return err
	}
	for _, o := range orders {
		args := []byte("{}")
		if o.Args != nil {
			if args, err = json.Marshal(o.Args); err != nil {
				return err
			}
		}
		g := give{record: h.name(o.ID), command: o.Command, input: string(args), role: desk.Supervisor, agency: r.Owner, automatic: true}
		if t.Foreign {
			to := h.records[g.record]
			if link, _ := h.set.Kind(r.Kind).AnswerLink(r.Links); link == nil || to == nil || link.ID != to.ID {
				return fmt.Errorf("%s orders %q for a record that the answer does not link to", t.Name, o.Command)
			}
			g.agency = to.Owner
		}
		if err := h.command(g); err != nil && !(t.Foreign && record.CodeOf(err) == record.Stale) {
			return err
		}
	}
	return nil
}

func (h *house) name(id record.ID) string {
	for n, r := range h.records {
		if r.ID == id {
			return n
		}
	}
	return id.String()
}

func (h *house) get(kind string, id record.ID) (*record.Record, error) {
	n := h.name(id)
	if r := h.records[n]; r != nil && r.Kind == kind && !h.hidden[n] {
		return r.Clone(), nil
	}
	return nil, record.Errorf(record.NotFound, "get", "there is no such record")
}

func (h *house) find(owner, kind string, equal map[string]string) ([]*record.Record, error) {
	k := h.set.Kind(kind)
	if k == nil {
		return nil, fmt.Errorf("there is no kind %q", kind)
	}
	for f := range equal {
		if fd := k.Field(f); fd == nil || !fd.Facet {
			return nil, fmt.Errorf("%s.%s is no facet: it cannot be found by", kind, f)
		}
	}
	var out []*record.Record
	for _, r := range h.records {
		if r.Kind != kind || r.Owner != owner {
			continue
		}
		body, err := k.Parse(r.Body)
		if err != nil {
			return nil, err
		}
		if holds(k.Index(r, body).Facet, equal) {
			out = append(out, r.Clone())
		}
	}
	slices.SortFunc(out, func(a, b *record.Record) int { return b.Recorded.Compare(a.Recorded) })
	return out, nil
}

func holds(facets, equal map[string]string) bool {
	for f, v := range equal {
		if facets[f] != v {
			return false
		}
	}
	return true
}

func (h *house) want(rest string) error {
	name, rest := word(rest)
	what, rest := word(rest)
	r := h.records[name]
	if r == nil {
		return fmt.Errorf("there is no record %q", name)
	}
	if what == "body" {
		return wantMember(r.Body, rest)
	}
	var got []string
	switch what {
	case "state":
		got = []string{r.State}
	case "flags":
		got = slices.Clone(r.Flags)
	case "caveats":
		got = slices.Clone(r.Marking.Caveats)
	case "version":
		got = []string{fmt.Sprint(r.Version)}
	case "links":
		for _, l := range r.Links {
			got = append(got, l.Rel+":"+h.name(l.ID))
		}
	default:
		return fmt.Errorf("no such thing to want: %q", what)
	}
	want := strings.Fields(rest)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s of %s: got %v", what, name, got)
	}
	return nil
}

// wantMember compares a member of a body, or its absence, with JSON.
func wantMember(body json.RawMessage, rest string) error {
	path, want := word(rest)
	for _, name := range strings.Split(path, ".") {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(body, &m); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if body = m[name]; body == nil {
			break
		}
	}
	if string(body) != want {
		return fmt.Errorf("%s is %s", path, body)
	}
	return nil
}
