package missing

import (
	"encoding/json"
	"slices"
	"time"

	"konbit/desk"
	"konbit/record"
)

type none = struct{}

// propose asks a second person to publish what the record says now. What is
// published already stays until then.
func propose(c *desk.Change[Person], _ none) error {
	if _, wrong := compose(c.Body, c.Record); len(wrong) > 0 {
		return wrong.Err("missing.person.propose")
	}
	c.Body.Proposal = Proposal{By: c.Actor, At: seconds(c.Now)}
	return nil
}

// approve publishes what was proposed. Nothing can have been edited since.
func approve(c *desk.Change[Person], _ none) error {
	const op = "missing.person.approve"
	p := c.Body.Proposal
	if p.By == "" || p.By == c.Actor {
		return second(op, "proposed")
	}
	n, wrong := compose(c.Body, c.Record)
	if len(wrong) > 0 {
		return wrong.Err(op)
	}
	n.ProposedBy, n.ProposedAt, n.ApprovedBy, n.ApprovedAt = p.By, p.At, c.Actor, seconds(c.Now)
	c.Body.Notice, c.Body.Proposal = *n, Proposal{}
	c.Record.Flags = append(without(c.Record.Flags, Over, desk.Public), desk.Public)
	return nil
}

func second(op, did string) error {
	return &record.Error{Code: record.Denied, Op: op, Message: "a second person is needed: not whoever " + did + " it", Hint: "ask another supervisor of your agency"}
}

// giveBack ends a proposal; what was published before stands.
func giveBack(c *desk.Change[Person], _ none) error {
	c.Body.Proposal = Proposal{}
	if c.Body.Notice.ApprovedBy != "" {
		c.Record.State = "public"
	}
	return nil
}

// withdraw takes the notice away; the case goes on.
func withdraw(c *desk.Change[Person], _ none) error {
	takeDown(c)
	return nil
}

// takeDown ends what the public sees, name and photograph at once. Where
// something was published the flag stays, so that its page can say that it is over.
func takeDown(c *desk.Change[Person]) {
	if c.Body.Notice.ApprovedBy != "" {
		c.Record.Flags = append(without(c.Record.Flags, Over), Over)
	}
	c.Body.Notice, c.Body.Proposal = Notice{}, Proposal{}
}

func without(flags []string, gone ...string) []string {
	return slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return slices.Contains(gone, f) })
}

type foundArgs struct {
	Condition Condition  `json:"condition"`
	When      *time.Time `json:"when,omitempty"` // now, when left out
	Where     string     `json:"where,omitempty" max:"500"`
}

func found(c *desk.Change[Person], a foundArgs) error {
	when, err := past(c.Now, "missing.person.found", a.When)
	if err != nil {
		return err
	}
	if when.IsZero() {
		when = seconds(c.Now)
	}
	takeDown(c)
	c.Body.Outcome = Outcome{End: Found, Condition: a.Condition, When: when, Where: a.Where, By: c.Actor, At: seconds(c.Now)}
	return nil
}

// past writes a time that is given, if one is. One that is still to come is refused.
func past(now time.Time, op string, t *time.Time) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if t.After(now.Add(time.Hour)) { // clocks differ
		return time.Time{}, record.Fields{{Path: "args.when", Code: "future", Message: "lies in the future"}}.Err(op)
	}
	return seconds(*t), nil
}

type declareArgs struct {
	Ground    string     `json:"ground"    max:"2000" widget:"lines"` // on what it rests
	Authority string     `json:"authority" max:"200"`                 // who declared it: a doctor, a court
	When      *time.Time `json:"when,omitempty"`                      // of the death, as far as it is known
	Where     string     `json:"where,omitempty" max:"500"`
}

func declare(c *desk.Change[Person], a declareArgs) error {
	when, err := past(c.Now, "missing.person.declare", a.When)
	if err != nil {
		return err
	}
	takeDown(c)
	c.Body.Outcome = Outcome{End: Declared, When: when, Where: a.Where, Ground: a.Ground, Authority: a.Authority, By: c.Actor, At: seconds(c.Now)}
	return nil
}

// confirm makes a declaration of death stand: PFIF's believed_dead needs two people.
func confirm(c *desk.Change[Person], _ none) error {
	o := &c.Body.Outcome
	if o.By == "" || o.By == c.Actor {
		return second("missing.person.confirm", "declared")
	}
	o.End, o.ConfirmedBy, o.ConfirmedAt = Deceased, c.Actor, seconds(c.Now)
	return nil
}

type cancelArgs struct {
	Reason Reason `json:"reason"`
}

func cancel(c *desk.Change[Person], a cancelArgs) error {
	takeDown(c)
	c.Body.Outcome = Outcome{End: Cancelled, Reason: a.Reason, By: c.Actor, At: seconds(c.Now)}
	return nil
}

// reopen takes back how it ended. Nothing is published again by itself.
func reopen(c *desk.Change[Person], _ none) error {
	takeDown(c)
	c.Body.Outcome = Outcome{}
	return nil
}

// grownUp looks at what ProtectWhen cannot know: how old somebody was on the day
// when he was last seen.
var grownUp = desk.Reaction{
	Name: "minor",
	Kind: "missing.person",
	Do: func(e desk.Event) ([]desk.Order, error) {
		var p Person
		if err := json.Unmarshal(e.Record.Body, &p); err != nil {
			return nil, err
		}
		if p.Minor == p.minorOn(e.Record.Observed) || ended(e.Record.State) {
			return nil, nil
		}
		return []desk.Order{{Kind: e.Record.Kind, ID: e.Record.ID, Command: "protect"}}, nil
	},
}

// minorOn reports whether the body does not say that it is a child, and the day of
// birth does beside the day when last seen.
func (p *Person) minorOn(seen time.Time) bool {
	return !p.years().child() && p.years().childAt(seen)
}

func protect(c *desk.Change[Person], _ none) error {
	c.Body.Minor = c.Body.minorOn(c.Record.Observed)
	return nil
}

func ended(state string) bool {
	return slices.Contains([]string{"rejected", "found", "deceased", "cancelled"}, state)
}

// IdentifiedAs is the relation of somebody who was found to the missing person
// who it is; BecameCase that of a resident's report to the person made of it.
const (
	IdentifiedAs = "identified-as"
	BecameCase   = "became"
)

type personArgs struct {
	Person record.ID `json:"person"`
}

// person reads the missing person of that identifier with the actor's rights.
func person(get desk.Getter, id record.ID, op string) (*record.Record, error) {
	r, err := get("missing.person", id)
	if record.CodeOf(err) == record.NotFound {
		return nil, record.Fields{{Path: "args.person", Code: "not-found", Message: "there is no such missing person"}}.Err(op)
	}
	return r, err
}

// identify says who it is. The person's own record is ended by its own agency.
func identify(c *desk.Change[Unidentified], a personArgs) error {
	r, err := person(c.Get, a.Person, "missing.found.identify")
	if err != nil {
		return err
	}
	c.Record.Links = append(unlinked(c.Record.Links, IdentifiedAs), record.Link{Rel: IdentifiedAs, Kind: r.Kind, ID: r.ID})
	return nil
}

func mistake(c *desk.Change[Unidentified], _ none) error {
	c.Record.Links = unlinked(c.Record.Links, IdentifiedAs)
	return nil
}

// accept names the person that was made of a report, who is of the same agency.
func accept(c *desk.Change[Report], a personArgs) error {
	const op = "missing.report.accept"
	r, err := person(c.Get, a.Person, op)
	if err != nil {
		return err
	}
	if r.Owner != c.Record.Owner {
		return record.Fields{{Path: "args.person", Code: "owner", Message: "it belongs to " + r.Owner}}.Err(op)
	}
	c.Record.Links = append(unlinked(c.Record.Links, BecameCase), record.Link{Rel: BecameCase, Kind: r.Kind, ID: r.ID})
	return nil
}

func requeue(c *desk.Change[Report], _ none) error {
	c.Record.Links = unlinked(c.Record.Links, BecameCase)
	return nil
}

func unlinked(links []record.Link, rel string) []record.Link {
	return slices.DeleteFunc(slices.Clone(links), func(l record.Link) bool { return l.Rel == rel })
}
