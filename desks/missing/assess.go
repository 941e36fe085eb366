package missing

import (
	"encoding/json"
	"fmt"
	"slices"

	"konbit/desk"
	"konbit/record"
)

type assessArgs struct {
	Rules record.ID `json:"rules"`
	Items []Finding `json:"items" max:"50"`
}

// assess holds the person against a rule set as it is now. A required criterion
// counts as met with evidence alone; one that is left out is not known.
func assess(c *desk.Change[Person], a assessArgs) error {
	const op = "missing.person.assess"
	r, err := c.Get("missing.rules", a.Rules)
	switch {
	case record.CodeOf(err) == record.NotFound:
		return record.Fields{{Path: "args.rules", Code: "not-found", Message: "there is no such rule set"}}.Err(op)
	case err != nil:
		return err
	case r.State != InForce:
		return record.Fields{{Path: "args.rules", Code: "state", Message: "that rule set is not in force"}}.Err(op)
	}
	var rules Rules
	if err := json.Unmarshal(r.Body, &rules); err != nil {
		return &record.Error{Code: record.Corrupt, Op: op, Message: "the rule set cannot be read", Err: err}
	}
	items, fulfilled, wrong := rules.judge(a.Items)
	if err := wrong.Err(op); err != nil {
		return err
	}
	all := slices.DeleteFunc(slices.Clone(c.Body.Assessments), func(o Assessment) bool { return o.Rules == a.Rules })
	all = append(all, Assessment{
		Rules: a.Rules, Version: r.Version, Sort: rules.Sort, Name: rules.Name,
		Items: items, Fulfilled: fulfilled, By: c.Actor, At: c.Now,
	})
	if len(all) > maxAssessments {
		all = all[len(all)-maxAssessments:]
	}
	c.Body.Assessments, c.Body.Alerts = all, alerts(all)
	return nil
}

// maxAssessments is what Person.Assessments holds at most.
const maxAssessments = 20

// judge puts findings in the order of the rules and says whether they fulfil them.
func (r *Rules) judge(given []Finding) (items []Finding, fulfilled bool, wrong record.Fields) {
	by := map[string]Finding{}
	for i, g := range given {
		at := record.Index("args.items", i) + ".item"
		switch _, twice := by[g.Item]; {
		case !slices.ContainsFunc(r.Items, func(it Item) bool { return it.Code == g.Item }):
			wrong.Add(at, "unknown", fmt.Sprintf("%q is no criterion of that rule set", g.Item))
		case twice:
			wrong.Add(at, "twice", "this criterion stands there already")
		}
		by[g.Item] = g
	}
	required := 0
	fulfilled = true
	for _, it := range r.Items {
		f, ok := by[it.Code]
		if !ok {
			f = Finding{Item: it.Code, Met: Unknown}
		}
		items = append(items, f)
		if it.Required {
			required++
			fulfilled = fulfilled && f.Met == Yes && f.Evidence != ""
		}
	}
	return items, fulfilled && required > 0, wrong
}

// alerts lists the sorts of which a rule set is fulfilled, in the order of Sort.
func alerts(all []Assessment) (out []Sort) {
	for _, s := range Sort("").Values() {
		if slices.ContainsFunc(all, func(a Assessment) bool { return a.Sort == Sort(s) && a.Fulfilled }) {
			out = append(out, Sort(s))
		}
	}
	return out
}
