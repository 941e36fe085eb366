// Package desk is the language in which a desk is declared: its record kinds,
// their workflow, who may give which command, what is searched and shown, how
// long it is kept, what follows from what, and every word in four languages.
//
// A declaration is data and pure functions. This package must not know any desk
// by name, do I/O, or read a clock.
package desk

import (
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"time"

	"konbit/record"
)

// A Desk is a domain: one folder under desks/, one line in desks/all.go.
type Desk struct {
	Name      string     // "incident"
	Icon      string     // SVG path data for a 24 by 24 box, drawn as a line
	Kinds     Kinds      // what it keeps
	Reactions []Reaction // what follows from what
	Files     fs.FS      // holds labels.yaml
}

// Kinds is the list of a desk's record kinds; the first is the one that its
// board shows.
type Kinds []*Kind

// Flow is a workflow: state -> command -> next state.
type Flow map[string]map[string]string

// Allow says which role a command needs. A command that is not named here is
// refused to everybody.
type Allow map[string]Role

// Role is what a person may do on a desk, for one agency. Viewer, Operator and
// Supervisor include one another in that order. Auditor and Administrator stand
// apart: neither gives a right to read.
type Role string

// The roles.
const (
	Viewer        Role = "viewer"
	Operator      Role = "operator"
	Supervisor    Role = "supervisor"
	Auditor       Role = "auditor"
	Administrator Role = "administrator"
)

// Roles lists them all.
var Roles = []Role{Viewer, Operator, Supervisor, Auditor, Administrator}

var rank = map[Role]int{Viewer: 1, Operator: 2, Supervisor: 3}

// Covers reports whether holding r is enough where need is asked for.
func (r Role) Covers(need Role) bool {
	if need == "" || r == "" {
		return false
	}
	if rank[need] > 0 {
		return rank[r] >= rank[need]
	}
	return r == need
}

// The commands that every kind has. Which role each needs is for the kind to
// say; Create and Edit default to Operator, Mark to Operator, Erase to
// Supervisor.
const (
	Create = "create" // make version 1
	Edit   = "edit"   // replace body, place, links, attachments, observed
	Mark   = "mark"   // change the marking: release or narrow
	Erase  = "erase"  // remove the content, leaving proofs whole
)

// Standard lists the commands that every kind has.
var Standard = []string{Create, Edit, Mark, Erase}

// Kind is one sort of record, built by KindOf.
type Kind struct {
	Name  string // "incident", "missing.person"
	Desk  string // set by NewSet
	Start string // first state
	Path  []string
	Flow  Flow
	Allow Allow

	Columns  []string      // body or header fields of the board, in order
	Sections []Section     // the form, in order; fields that are left out come last
	Symbol   Symbol        // how it looks on a map; zero: it has no place
	Keep     time.Duration // after the last change; then the content is erased
	Purpose  bool          // opening a record with a handling caveat asks for a purpose
	Protect  []string      // caveats that every record of the kind carries
	Frozen   []string      // states in which Edit is refused
	Near     Nearness      // what counts as a possible duplicate; zero: none
	Open     []string      // states that a board shows first: not yet done with
	Flags    []string      // header flags that its handlers set

	Answers   *Answers // it answers other records; nil: it does not
	Address   *Address // each record is addressed to one agency; nil: it is not
	Automatic []string // commands that only reactions give

	schema   *schema
	handlers map[string]handler
	guards   []func(body any) []string
	urgent   []func(body any) bool // see urgent.go
	publish  func(body any, r *record.Record) *Notice
}

// Section groups fields of the form under a label "section.NAME".
type Section struct {
	Name   string   `json:"name"`
	Fields []string `json:"fields"`
}

// Symbol is how a kind looks on the map: shape triangle, circle, square, diamond
// or area; coloured by the position of an enumerated field's value.
type Symbol struct {
	Shape string `json:"shape,omitempty"`
	By    string `json:"by,omitempty"`
}

// Nearness bounds the search for possible duplicates. The score weighs
// distance, time and words; it suggests, a person decides.
type Nearness struct {
	Metres float64
	Within time.Duration
	Same   string // a field whose equality raises the score, e.g. "category"
}

// Option is one line of a kind's declaration.
type Option interface{ apply(*Kind) }

type option func(*Kind)

func (o option) apply(k *Kind) { o(k) }

func (f Flow) apply(k *Kind) { k.Flow = f }
func (a Allow) apply(k *Kind) {
	for c, r := range a {
		k.Allow[c] = r
	}
}

// Path names the states of the usual course, first to last; the first is where
// a record starts.
func Path(states ...string) Option {
	return option(func(k *Kind) { k.Start, k.Path = states[0], states })
}

// Columns names the fields of the board.
func Columns(fields ...string) Option { return option(func(k *Kind) { k.Columns = fields }) }

// Form adds a section to the form.
func Form(name string, fields ...string) Option {
	return option(func(k *Kind) { k.Sections = append(k.Sections, Section{name, fields}) })
}

// OnMap gives the kind a place and a symbol.
func OnMap(shape, by string) Option { return option(func(k *Kind) { k.Symbol = Symbol{shape, by} }) }

// KeepYears erases content that has not changed for n years.
func KeepYears(n int) Option {
	return option(func(k *Kind) { k.Keep = time.Duration(n) * 365 * 24 * time.Hour })
}

// AskPurpose makes a reader say why he opens a record with a handling caveat.
func AskPurpose() Option { return option(func(k *Kind) { k.Purpose = true }) }

// Protected puts caveats on every record of the kind.
func Protected(caveats ...string) Option { return option(func(k *Kind) { k.Protect = caveats }) }

// Freeze refuses Edit in these states.
func Freeze(states ...string) Option { return option(func(k *Kind) { k.Frozen = states }) }

// OpenIn names the states of work not yet done: what a board counts and shows.
func OpenIn(states ...string) Option { return option(func(k *Kind) { k.Open = states }) }

// Similar declares what may be a duplicate.
func Similar(metres float64, within time.Duration, same string) Option {
	return option(func(k *Kind) { k.Near = Nearness{metres, within, same} })
}

// KindOf declares a kind whose body is T. T's json names are the field names;
// its tags say the rest: see Field. It panics when the declaration contradicts
// itself, because that is a fault of the program.
func KindOf[T any](name string, opts ...Option) *Kind {
	k := &Kind{
		Name:     name,
		Allow:    Allow{Create: Operator, Edit: Operator, Mark: Operator, Erase: Supervisor},
		handlers: map[string]handler{},
		schema:   schemaOf[T](name),
	}
	for _, o := range opts {
		o.apply(k)
	}
	if err := k.check(); err != nil {
		panic(fmt.Sprintf("desk: kind %s: %v", name, err))
	}
	return k
}

func (k *Kind) check() error {
	if !record.Token(k.Name) {
		return fmt.Errorf("name must be a lower-case word")
	}
	states := k.States()
	if k.Start == "" {
		k.Start = k.onlyRoot()
	}
	if !slices.Contains(states, k.Start) {
		return fmt.Errorf("start state %q is not in the flow: use Path", k.Start)
	}
	if len(k.Flow) > 0 {
		states = (&Kind{Flow: k.Flow}).States() // a state of Path alone would be reached by no command
	}
	for _, list := range [][]string{k.Path, k.Frozen, k.Open} {
		for _, s := range list {
			if !slices.Contains(states, s) {
				return fmt.Errorf("state %q is not in the flow", s)
			}
		}
	}
	for _, c := range k.Commands() {
		if k.Allow[c] == "" {
			return fmt.Errorf("command %q is allowed to nobody", c)
		}
		if rank[k.Allow[c]] == 0 {
			return fmt.Errorf("command %q: role %q", c, k.Allow[c])
		}
	}
	for c := range k.Allow {
		if !slices.Contains(k.Commands(), c) {
			return fmt.Errorf("allowed command %q does not exist", c)
		}
	}
	for c := range k.handlers {
		if !slices.Contains(k.Commands(), c) {
			return fmt.Errorf("handler %q is not in the flow", c)
		}
	}
	for _, s := range k.Sections {
		for _, f := range s.Fields {
			if k.schema.field(f) == nil && !slices.Contains(HeaderFields, f) {
				return fmt.Errorf("section %q names %q, which is no field", s.Name, f)
			}
		}
	}
	for _, f := range k.Columns {
		if k.schema.field(f) == nil && !slices.Contains(HeaderFields, f) {
			return fmt.Errorf("column %q is no field", f)
		}
	}
	if k.Symbol.By != "" && k.schema.field(k.Symbol.By) == nil {
		return fmt.Errorf("symbol by %q, which is no field", k.Symbol.By)
	}
	if k.Near.Same != "" && k.schema.field(k.Near.Same) == nil {
		return fmt.Errorf("similar by %q, which is no field", k.Near.Same)
	}
	for _, c := range k.Protect {
		if !slices.Contains(record.Caveats, c) {
			return fmt.Errorf("unknown caveat %q", c)
		}
	}
	if err := checkSet(k.schema.fields, true); err != nil {
		return err
	}
	if k.Keep <= 0 {
		return fmt.Errorf("say how long it is kept: KeepYears")
	}
	return k.checkAnswers()
}

// HeaderFields are the header members that columns and sections may name.
var HeaderFields = []string{"state", "owner", "marking", "observed", "recorded", "created", "place", "links", "attachments", "author"}

func (k *Kind) onlyRoot() string {
	target := map[string]bool{}
	for _, m := range k.Flow {
		for _, s := range m {
			target[s] = true
		}
	}
	root := ""
	for _, s := range k.States() {
		if !target[s] {
			if root != "" {
				return ""
			}
			root = s
		}
	}
	return root
}

// States lists the workflow's states: the usual course first, then the others
// by name.
func (k *Kind) States() []string {
	seen := map[string]bool{}
	for s, m := range k.Flow {
		seen[s] = true
		for _, t := range m {
			seen[t] = true
		}
	}
	var rest []string
	for s := range seen {
		if !slices.Contains(k.Path, s) {
			rest = append(rest, s)
		}
	}
	sort.Strings(rest)
	return append(slices.Clone(k.Path), rest...)
}

// Commands lists the standard commands, then the workflow's by name.
func (k *Kind) Commands() []string {
	var flow []string
	for _, m := range k.Flow {
		for c := range m {
			if !slices.Contains(flow, c) && !slices.Contains(Standard, c) {
				flow = append(flow, c)
			}
		}
	}
	sort.Strings(flow)
	return append(slices.Clone(Standard), flow...)
}

// Next returns the state after command in state, and whether the workflow
// allows it there.
func (k *Kind) Next(state, command string) (string, bool) {
	switch command {
	case Create:
		return k.Start, state == ""
	case Edit:
		return state, state != "" && !slices.Contains(k.Frozen, state)
	case Mark, Erase:
		return state, state != ""
	}
	next, ok := k.Flow[state][command]
	return next, ok
}

// Placed reports whether the kind is drawn on maps and served as features.
func (k *Kind) Placed() bool { return k.Symbol.Shape != "" }

// A Set is the desks of one node, checked together.
type Set struct {
	Desks []*Desk
	kinds map[string]*Kind
	names []string
	words map[string]map[string]Text
}

// NewSet checks the desks together and reads their labels. It writes to the
// desks: two sets MUST NOT be made of the same ones at once.
func NewSet(desks ...*Desk) (*Set, error) {
	s := &Set{Desks: desks, kinds: map[string]*Kind{}, words: map[string]map[string]Text{}}
	for _, d := range desks {
		if !record.Token(d.Name) || strings.Contains(d.Name, ".") {
			return nil, fmt.Errorf("desk %q: the name must be a lower-case word", d.Name)
		}
		if s.words[d.Name] != nil {
			return nil, fmt.Errorf("desk %q is declared twice", d.Name)
		}
		labels, err := ReadLabels(d.Files)
		if err != nil {
			return nil, fmt.Errorf("desk %q: %w", d.Name, err)
		}
		s.words[d.Name] = labels
		for _, k := range d.Kinds {
			if s.kinds[k.Name] != nil {
				return nil, fmt.Errorf("kind %q is declared twice", k.Name)
			}
			k.Desk = d.Name
			s.kinds[k.Name] = k
			s.names = append(s.names, k.Name)
		}
	}
	for _, d := range desks {
		for _, r := range d.Reactions {
			if s.kinds[r.Kind] == nil {
				return nil, fmt.Errorf("desk %q reacts to unknown kind %q", d.Name, r.Kind)
			}
			if r.Foreign && s.kinds[r.Kind].Answers == nil {
				return nil, fmt.Errorf("desk %q: reaction %q is foreign, and %q answers nothing", d.Name, r.Name, r.Kind)
			}
		}
	}
	return s, s.checkAnswers()
}

// Kind returns the kind of that name, nil when there is none.
func (s *Set) Kind(name string) *Kind { return s.kinds[name] }

// KindNames lists the kinds in declared order.
func (s *Set) KindNames() []string { return s.names }

// Labels returns a desk's words: key -> text in four languages.
func (s *Set) Labels(desk string) map[string]Text { return s.words[desk] }
