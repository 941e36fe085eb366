package answer

import (
	"encoding/json"
	"slices"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Overdue is the flag of a request whose deadline has passed while it is open.
const Overdue = "overdue"

// AnsweredBy is the relation of a request to the reply by which it has its state.
const AnsweredBy = "answered-by"

// by names the reply that moves a request.
type by struct {
	Reply record.ID `json:"reply"`
}

// replied moves a request to what the newest reply says, whether it was made,
// changed or taken back.
var replied = desk.Reaction{
	Name:    "replied",
	Kind:    "reply",
	Foreign: true,
	Do: func(e desk.Event) ([]desk.Order, error) {
		to := answered(e.Record)
		var r Reply
		if err := json.Unmarshal(e.Record.Body, &r); err != nil || to == nil {
			return nil, err
		}
		command := map[Outcome]string{Answer: "answer", Part: "part", Refusal: "refuse"}[r.Outcome]
		if e.Record.State == "withdrawn" {
			command = "reask"
		}
		return []desk.Order{{Kind: to.Kind, ID: to.ID, Command: command, Args: by{e.Record.ID}}}, nil
	},
}

// settle keeps which reply gave the request its state.
func settle(c *desk.Change[Request], a by) error {
	c.Record.Links = append(unsettled(c.Record.Links), record.Link{Rel: AnsweredBy, Kind: "reply", ID: a.Reply})
	if c.Record.State != "partly" {
		c.Record.Flags = unflagged(c.Record.Flags)
	}
	return nil
}

// reask opens the request again when the reply that settled it was taken back;
// another one may have been given since.
func reask(c *desk.Change[Request], a by) error {
	if !slices.ContainsFunc(c.Record.Links, func(l record.Link) bool { return l.Rel == AnsweredBy && l.ID == a.Reply }) {
		return record.Errorf(record.Stale, "rfi.reask", "another reply settled it")
	}
	c.Record.Links = unsettled(c.Record.Links)
	return nil
}

func unsettled(links []record.Link) []record.Link {
	return slices.DeleteFunc(slices.Clone(links), func(l record.Link) bool { return l.Rel == AnsweredBy })
}

// overdue looks at an open request when its deadline comes.
var overdue = desk.Reaction{
	Name: "overdue",
	Kind: "rfi",
	At: func(r *record.Record) time.Time {
		if d := deadline(r); d != nil {
			return *d
		}
		return time.Time{}
	},
	Do: func(e desk.Event) ([]desk.Order, error) {
		d := deadline(e.Record)
		if d == nil || e.Now.Before(*d) || !open(e.Record) || slices.Contains(e.Record.Flags, Overdue) {
			return nil, nil
		}
		return []desk.Order{{Kind: e.Record.Kind, ID: e.Record.ID, Command: "remind"}}, nil
	},
}

// renewed takes the flag away when the deadline was put off.
var renewed = desk.Reaction{
	Name:    "renewed",
	Kind:    "rfi",
	Command: desk.Edit,
	Do: func(e desk.Event) ([]desk.Order, error) {
		d := deadline(e.Record)
		if !slices.Contains(e.Record.Flags, Overdue) || d != nil && !e.Now.Before(*d) {
			return nil, nil
		}
		return []desk.Order{{Kind: e.Record.Kind, ID: e.Record.ID, Command: "renew"}}, nil
	},
}

func open(r *record.Record) bool { return r.State == "asked" || r.State == "partly" }

// deadline is nil for a request without one, or whose body cannot be read.
func deadline(r *record.Record) *time.Time {
	var q Request
	if json.Unmarshal(r.Body, &q) != nil {
		return nil
	}
	return q.Deadline
}

func remind(c *desk.Change[Request], _ struct{}) error {
	c.Record.Flags = append(unflagged(c.Record.Flags), Overdue)
	return nil
}

func renew(c *desk.Change[Request], _ struct{}) error {
	c.Record.Flags = unflagged(c.Record.Flags)
	return nil
}

func unflagged(flags []string) []string {
	return slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == Overdue })
}
