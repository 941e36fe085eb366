package transfer

import (
	"context"

	"konbit/desk"
	"konbit/intake"
	"konbit/policy"
	"konbit/record"
)

// Local is a Sink on the node in this process: drafts become commands of one
// person, with his rights.
type Local struct {
	Intake *intake.Intake
	Desks  *desk.Set
	Reader *policy.Reader
}

var _ Sink = (*Local)(nil)

// Put creates the drafts, or edits what an earlier import created and the file
// now says otherwise, and takes new records to the state that the draft names.
func (l *Local) Put(ctx context.Context, kind, agency string, drafts []Draft) ([]Outcome, error) {
	k := l.Desks.Kind(kind)
	if k == nil {
		return nil, record.Errorf(record.NotFound, kind+".import", "there is no kind %.60q", kind)
	}
	if agency != "" && agency != l.Reader.Agency {
		return nil, record.Errorf(record.Denied, kind+".import", "you act for %s, not for %s", l.Reader.Agency, agency)
	}
	cmds := make([]*intake.Command, len(drafts))
	for i := range drafts {
		d := &drafts[i]
		cmds[i] = &intake.Command{Kind: kind, Name: desk.Create, Record: d.ID, By: l.Reader, Note: d.Note, Upsert: true, Draft: &intake.Draft{
			ID: d.ID, Observed: d.Observed, Marking: d.Marking, Place: d.Place, Links: d.Links, Attachments: d.Attachments, Key: d.Key, Flags: d.Flags, Body: d.Body}}
	}
	receipts, errs := l.Intake.DoAll(ctx, cmds)
	out := make([]Outcome, len(drafts))
	var steps []*intake.Command
	var of []int
	for i := range drafts {
		if err := errs[i]; err != nil {
			if undecided(err) {
				return nil, err
			}
			out[i] = Outcome{Refused, err}
			continue
		}
		out[i] = Outcome{Status: Status(receipts[i].Status)}
		rec := receipts[i].Record
		if drafts[i].State == "" || rec.State != k.Start {
			continue // people have taken it further, or it stays at the start
		}
		path, ok := Commands(k, rec.State, drafts[i].State)
		if !ok {
			out[i] = Outcome{Refused, record.Fields{{Path: "state", Code: "enum", Message: "no workflow leads to " + drafts[i].State}}.Err(kind + ".import")}
			continue
		}
		for _, name := range path {
			steps = append(steps, &intake.Command{Kind: kind, Name: name, Record: rec.ID, By: l.Reader})
			of = append(of, i)
		}
	}
	if len(steps) == 0 {
		return out, nil
	}
	_, errs = l.Intake.DoAll(ctx, steps)
	for j, err := range errs {
		if err == nil || out[of[j]].Err != nil {
			continue
		}
		if undecided(err) {
			return nil, err
		}
		out[of[j]] = Outcome{Refused, err}
	}
	return out, nil
}

// undecided reports whether the node could not say, so that the same drafts may
// be put again.
func undecided(err error) bool {
	switch record.CodeOf(err) {
	case record.Unavailable, record.Internal, record.Corrupt, record.TooMany:
		return true
	}
	return false
}
