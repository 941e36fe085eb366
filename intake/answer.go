package intake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
)

// answers holds a new, edited or newly marked record of a kind that answers
// others against what it answers, and one that is addressed to an agency against
// its release. before is nil for a new record. It adds the caveats of what is
// answered.
func (d *decider) answers(ctx context.Context, p *prepared, rec, before *record.Record, now time.Time) error {
	op := p.Kind + "." + p.Name
	if p.kind.Address != nil && p.Name != desk.Mark {
		if err := d.addressed(p, rec); err != nil {
			return err
		}
	}
	if p.kind.Answers == nil {
		return nil
	}
	link, wrong := p.kind.AnswerLink(rec.Links)
	if before != nil {
		if old, _ := p.kind.AnswerLink(before.Links); !sameEnd(old, link) {
			wrong.Add("links", "fixed", "what it answers cannot be changed; take it back and answer again")
		}
	}
	if err := wrong.Err(op); err != nil || link == nil {
		return err
	}
	to, err := d.answered(ctx, p, link, before == nil, now)
	if err != nil {
		return err
	}
	if before == nil {
		if err := d.mayAnswer(p, rec, to); err != nil {
			return err
		}
	}
	if to == nil {
		to = before // it is out of the author's sight by now: no wider than it was
	}
	if p.kind.Answers.Own || to != before && to.Owner == rec.Owner && !d.bound(to) {
		return nil
	}
	rec.Marking.Caveats = merged(rec.Marking.Caveats, to.Marking.Caveats)
	rec.Marking.Normalize()
	return policy.Wider(d.side(rec), d.side(to), d.in.cfg.Directory.Communities).Err(op)
}

// bound reports whether r is itself held to what it answers, and so holds to it
// whoever answers r.
func (d *decider) bound(r *record.Record) bool {
	k := d.in.cfg.Desks.Kind(r.Kind)
	link, _ := k.AnswerLink(r.Links)
	return link != nil && !k.Answers.Own
}

func (d *decider) side(r *record.Record) policy.Side {
	return policy.Side{Agency: r.Owner, Communities: d.in.cfg.Directory.Communities(r.Owner), Marking: &r.Marking}
}

func sameEnd(a, b *record.Link) bool {
	return a == nil && b == nil || a != nil && b != nil && a.ID == b.ID && a.Kind == b.Kind
}

// answered reads what is answered with the author's rights; nil: it is not there
// for him, which is refused when the answer is new.
func (d *decider) answered(ctx context.Context, p *prepared, link *record.Link, fresh bool, now time.Time) (*record.Record, error) {
	k := d.in.cfg.Desks.Kind(link.Kind)
	var to *record.Record
	if c := d.pending[link.ID]; c != nil {
		to = c.rec
	} else if m, err := d.in.cfg.Store.Current(ctx, []record.ID{link.ID}); err != nil {
		return nil, err
	} else if m[link.ID] != nil {
		to = m[link.ID].Record
	}
	sees := policy.Hidden
	if k != nil && to != nil && to.Kind == link.Kind {
		sees = p.By.Sees(k, to.Owner, d.in.cfg.Directory.Communities(to.Owner), &to.Marking, now)
	}
	switch {
	case sees == policy.Visible:
		return to, nil
	case sees == policy.NeedsPurpose:
		return nil, record.Errorf(record.NeedPurpose, p.Kind+"."+p.Name, "what you answer is protected: say why you open it")
	case !fresh:
		return nil, nil
	}
	return nil, record.Fields{{Path: "links", Code: "not-found", Message: "there is no such record to answer, or you may not see it"}}.Err(p.Kind + "." + p.Name)
}

// mayAnswer refuses a reply of whoever was not asked, and one to what is closed.
func (d *decider) mayAnswer(p *prepared, rec, to *record.Record) error {
	on := d.in.cfg.Desks.Kind(to.Kind)
	if err := p.kind.MayAnswer(on, to, rec.Owner); err != nil {
		return err
	}
	if p.kind.Answers.Asked && !slices.Contains(on.Open, to.State) {
		return record.Errorf(record.Stale, p.Kind+"."+p.Name, "what it answers is %s", to.State)
	}
	return nil
}

// addressed refuses a record whose addressee does not exist or could not see it.
func (d *decider) addressed(p *prepared, rec *record.Record) error {
	var f record.Fields
	at := "body." + p.kind.Address.To
	to := p.kind.Addressee(p.body)
	dir := d.in.cfg.Directory
	switch {
	case !record.AgencyID(to) || !dir.Known(to):
		f.Add(at, "unknown-name", fmt.Sprintf("%.80q is not in the directory", to))
	case to == rec.Owner:
		f.Add(at, "self", "that is your own agency")
	case !policy.Reaches(to, dir.Communities(to), dir.Communities(rec.Owner), &rec.Marking):
		f.Add("marking.to", "addressee", "it is addressed to "+to+", which could not see it")
	}
	return f.Err(p.Kind + "." + p.Name)
}
