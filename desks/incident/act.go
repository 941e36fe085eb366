package incident

import (
	"encoding/json"
	"slices"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Overdue is the flag of a grave report that nobody has attended to.
const Overdue = "overdue"

// Attend is how long a severe or extreme report may wait for somebody.
const Attend = 15 * time.Minute

// overdue looks again at every report that was made or changed: whatever made it
// grave, the clock runs from then. What was imported is past and waits for nobody.
var overdue = desk.Reaction{
	Name:  "overdue",
	Kind:  "incident",
	After: Attend,
	Do: func(e desk.Event) ([]desk.Order, error) {
		if e.Record.State != "reported" || slices.Contains(e.Record.Flags, Overdue) {
			return nil, nil
		}
		var i Incident
		if err := json.Unmarshal(e.Record.Body, &i); err != nil {
			return nil, err
		}
		if i.Source.Type == Import || i.Severity != Severe && i.Severity != Extreme {
			return nil, nil
		}
		return []desk.Order{{Kind: e.Record.Kind, ID: e.Record.ID, Command: "remind"}}, nil
	},
}

func remind(c *desk.Change[Incident], _ struct{}) error {
	if !slices.Contains(c.Record.Flags, Overdue) {
		c.Record.Flags = append(c.Record.Flags, Overdue)
	}
	return nil
}

// attended takes the flag away: somebody has looked.
func attended(c *desk.Change[Incident], _ struct{}) error {
	c.Record.Flags = slices.DeleteFunc(c.Record.Flags, func(f string) bool { return f == Overdue })
	return nil
}

// merge closes this incident in favour of another one of the same agency, and
// keeps the state that it had in the link's note. Another agency's incident is
// its own to keep: link to it instead.
func merge(c *desk.Change[Incident], a mergeArgs) error {
	refuse := func(code, why string) error {
		return record.Fields{{Path: "args.into", Code: code, Message: why}}.Err("incident.merge")
	}
	if a.Into == c.Record.ID {
		return refuse("self", "an incident cannot be merged into itself")
	}
	into, err := c.Get(c.Record.Kind, a.Into)
	switch {
	case record.CodeOf(err) == record.NotFound:
		return refuse("not-found", "there is no such incident")
	case err != nil:
		return err
	case into.Owner != c.Record.Owner:
		return refuse("owner", "it belongs to "+into.Owner+"; link to it instead")
	case into.State == "merged" || into.State == "rejected":
		return refuse("state", "that incident is itself "+into.State)
	}
	c.Record.Links = append(unlinked(c.Record.Links), record.Link{Rel: MergedInto, Kind: into.Kind, ID: into.ID, Note: c.From})
	return attended(c, struct{}{})
}

// unmerge gives back the state before the merge. No edit is possible between
// the two, so the link still says what merge wrote.
func unmerge(c *desk.Change[Incident], _ struct{}) error {
	for _, l := range c.Record.Links {
		if l.Rel == MergedInto && (l.Note == "verified" || l.Note == "responding") {
			c.Record.State = l.Note
		}
	}
	c.Record.Links = unlinked(c.Record.Links)
	return nil
}

func unlinked(links []record.Link) []record.Link {
	return slices.DeleteFunc(slices.Clone(links), func(l record.Link) bool { return l.Rel == MergedInto })
}
