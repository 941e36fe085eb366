package react

import (
	"container/heap"
	"context"
	"encoding/json"

	"konbit/desk"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
)

// finder lists records of the agency for which self acts.
func (r *Reactor) finder(ctx context.Context, self *policy.Reader) desk.Finder {
	return func(kind string, equal map[string]string) ([]*record.Record, error) {
		f := &query.Filter{Owners: []string{self.Agency}, Facet: map[string][]string{}, Limit: 100}
		for path, v := range equal {
			f.Facet[path] = []string{v}
		}
		page, err := r.records.List(ctx, self, kind, f)
		if err != nil {
			return nil, err
		}
		var out []*record.Record
		for _, s := range page.Items {
			out = append(out, s.Record)
		}
		return out, nil
	}
}

// answered returns the owner of the record that an order of a Foreign reaction
// is for; nil when the order does not count. The answer may be another node's
// word: it moves nothing but what it links to, what its agency may answer, and
// what the owner would see it on.
func (r *Reactor) answered(ctx context.Context, answer *record.Record, o *desk.Order) (*policy.Reader, error) {
	k := r.desks.Kind(answer.Kind)
	link, wrong := k.AnswerLink(answer.Links)
	if len(wrong) > 0 || link == nil || link.ID != o.ID || link.Kind != o.Kind {
		return nil, nil
	}
	s, err := r.store.Get(ctx, o.ID)
	if err != nil || s.Record.Kind != o.Kind {
		if record.CodeOf(err) == record.NotFound {
			err = nil
		}
		return nil, err
	}
	to := s.Record
	dir := r.records.Directory()
	switch {
	case !r.intake.Serves(to.Owner):
		return nil, nil // its own node moves it
	case k.MayAnswer(r.desks.Kind(to.Kind), to, answer.Owner) != nil:
		return nil, nil
	case to.Owner != answer.Owner && !policy.Reaches(to.Owner, dir.Communities(to.Owner), dir.Communities(answer.Owner), &answer.Marking):
		return nil, nil
	}
	return r.self(to.Owner), nil
}

// await sets the timer of a rule with At.
func (r *Reactor) await(x rule, l *store.Logged, hops int) {
	var rec record.Record
	if json.Unmarshal(l.Content, &rec) != nil {
		return
	}
	r.awaitRecord(x, &rec, l.Seq, hops)
}

func (r *Reactor) awaitRecord(x rule, rec *record.Record, seq int64, hops int) {
	if due := x.At(rec); !due.IsZero() {
		heap.Push(&r.timers, timer{due: due, seq: seq, id: rec.ID, rule: x, hops: hops})
	}
}

// awaitOpen sets the timers of rules with At that were pending when the node
// stopped: those of open records, however long ago they were changed.
func (r *Reactor) awaitOpen(ctx context.Context) error {
	for kind, rules := range r.byKind {
		for _, x := range rules {
			if x.At == nil {
				continue
			}
			if err := r.eachOpen(ctx, kind, func(s *store.Stored) { r.awaitRecord(x, s.Record, s.Seq, 0) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachOpen calls fn with every record of a kind in an open state, whatever its
// marking.
func (r *Reactor) eachOpen(ctx context.Context, kind string, fn func(*store.Stored)) error {
	all := &store.Sight{}
	if err := r.store.Markings(ctx, 0, func(m *store.Marking) error { all.Own = append(all.Own, m.N); return nil }); err != nil {
		return err
	}
	open := true
	q := &store.Query{Kinds: []string{kind}, Sight: map[string]*store.Sight{kind: all}, Now: r.now(), Open: &open, Limit: 500}
	for {
		page, err := r.store.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, s := range page {
			fn(s)
		}
		if len(page) < q.Limit {
			return nil
		}
		q.Before = &store.Key{Row: page[len(page)-1].Row}
	}
}
