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
// now says otherwise, and takes new records to the state that the draft names. A
// record on which people have worked since stays in the state that they gave it.
// A draft whose state the person's role cannot give is refused whole.
func (l *Local) Put(ctx context.Context, kind, agency string, drafts []Draft) ([]Outcome, error) {
	k := l.Desks.Kind(kind)
	if k == nil {
		return nil, record.Errorf(record.NotFound, kind+".import", "there is no kind %.60q", kind)
	}
	if agency != "" && agency != l.Reader.Agency {
		return nil, record.Errorf(record.Denied, kind+".import", "you act for %s, not for %s", l.Reader.Agency, agency)
	}
	out := make([]Outcome, len(drafts))
	paths := map[string]way{}
	var cmds []*intake.Command
	var of []int // the draft of each command
	for i := range drafts {
		d := &drafts[i]
		w, ok := paths[d.State]
		if !ok {
			w = l.way(k, d.State)
			paths[d.State] = w
		}
		if w.err != nil {
			out[i] = Outcome{Refused, w.err}
			continue
		}
		cmds = append(cmds, &intake.Command{Kind: kind, Name: desk.Create, Record: d.ID, By: l.Reader, Note: d.Note, Upsert: true, Draft: &intake.Draft{
			ID: d.ID, Observed: d.Observed, Marking: d.Marking, Place: d.Place, Links: d.Links, Attachments: d.Attachments, Key: d.Key, Flags: d.Flags, Body: d.Body}})
		of = append(of, i)
	}
	receipts, errs := l.Intake.DoAll(ctx, cmds)
	var steps []*intake.Command
	var stepOf []int
	moved := map[record.ID]bool{} // a file may name a record twice
	for j, i := range of {
		if err := errs[j]; err != nil {
			if undecided(err) {
				return nil, err
			}
			out[i] = Outcome{Refused, err}
			continue
		}
		rec := receipts[j].Record
		out[i] = Outcome{Status: Status(receipts[j].Status)}
		if moved[rec.ID] {
			continue
		}
		for _, name := range remaining(k, rec, paths[drafts[i].State].commands) {
			steps = append(steps, &intake.Command{Kind: kind, Name: name, Record: rec.ID, By: l.Reader})
			stepOf = append(stepOf, i)
			moved[rec.ID] = true
		}
	}
	_, errs = l.Intake.DoAll(ctx, steps)
	for j, err := range errs {
		o := &out[stepOf[j]]
		switch {
		case o.Err != nil:
		case err != nil && undecided(err):
			return nil, err
		case err != nil:
			*o = Outcome{Refused, err}
		case o.Status == Unchanged:
			o.Status = Updated
		}
	}
	return out, nil
}

// way is how a new record gets to a state.
type way struct {
	commands []string
	err      error
}

func (l *Local) way(k *desk.Kind, state string) way {
	if state == "" || state == k.Start {
		return way{}
	}
	cs, ok := Commands(k, k.Start, state)
	if !ok {
		return way{err: record.Fields{{Path: "state", Code: "enum", Message: "no workflow leads to " + short(state)}}.Err(k.Name + ".import")}
	}
	for _, c := range cs {
		if err := l.Reader.May(k, c); err != nil {
			return way{err: err}
		}
	}
	return way{commands: cs}
}

// remaining returns the commands of a way that a record still lacks: all for a
// new one, the rest for one whose import was cut off in between, and none for a
// record that people have worked on.
func remaining(k *desk.Kind, rec *record.Record, commands []string) []string {
	state := k.Start
	for i, c := range commands {
		if rec.Version == i+1 && rec.State == state {
			return commands[i:]
		}
		state = k.Flow[state][c]
	}
	return nil
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
