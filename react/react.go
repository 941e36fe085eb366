// Package react follows the ledger and gives the commands that follow from what
// happened: the reactions that desks declare, their timers, and the end of every
// record's keeping time. It is the only loop back into intake.
//
// What it does twice does no harm: each command carries an identifier derived
// from the event, so that intake answers a repeat with the first receipt.
package react

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
)

// Follower is the name under which the position is kept.
const Follower = "react"

// Reactor runs reactions. Make it with New, run it with Run.
type Reactor struct {
	store   store.Store
	desks   *desk.Set
	records *query.Records
	intake  *intake.Intake
	now     func() time.Time
	log     *slog.Logger

	byKind  map[string][]rule
	longest time.Duration
	timers  timers
	hops    map[int64]int // of changes that reactions made, by ledger position, until they are followed

	seq, saved int64 // entries followed; the same as it was last kept
	retries    int   // timers that are there because the node could not write
	swept      time.Time
}

type rule struct {
	desk.Reaction
	name string // "incident.remind"
}

// New makes a Reactor for the desks' reactions.
func New(s store.Store, desks *desk.Set, records *query.Records, in *intake.Intake, now func() time.Time, log *slog.Logger) *Reactor {
	r := &Reactor{store: s, desks: desks, records: records, intake: in, now: now, log: log, byKind: map[string][]rule{}, hops: map[int64]int{}}
	for _, d := range desks.Desks {
		for _, x := range d.Reactions {
			r.byKind[x.Kind] = append(r.byKind[x.Kind], rule{x, d.Name + "." + x.Name})
			r.longest = max(r.longest, x.After)
		}
	}
	return r
}

// Node is the name under which a node acts by itself for an agency.
func Node(agency string) string { return agency + "/node" }

// self is the reader as which the node acts for an agency.
func (r *Reactor) self(agency string) *policy.Reader {
	return &policy.Reader{Person: Node(agency), Agency: agency, Communities: r.records.Directory().Communities(agency),
		Roles: map[string][]desk.Role{"*": {desk.Supervisor}}, Clearances: record.Caveats, Purpose: "automatic"}
}

// timer is a reaction that waits.
type timer struct {
	due  time.Time
	seq  int64
	id   record.ID
	rule rule
	hops int

	retry bool
}

type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}

// Run follows the ledger until ctx ends.
func (r *Reactor) Run(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		_, grown := r.intake.Grown() // before the step, so that no growth is missed
		r.step(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-grown:
			// A burst of changes is one turn's work: the next one takes them all.
		case <-tick.C:
			r.save(ctx)
		}
	}
}

// start takes up where the node stopped.
func (r *Reactor) start(ctx context.Context) (err error) {
	if r.seq, err = r.store.Cursor(ctx, Follower); err != nil {
		return err
	}
	r.saved = r.seq
	if err := r.rewind(ctx, r.seq); err != nil {
		return err
	}
	return r.awaitOpen(ctx)
}

// step does what is to be done now: what follows from new entries, timers that
// are due, and once an hour the end of keeping times.
func (r *Reactor) step(ctx context.Context) {
	if size := r.intake.Size(); r.seq < size {
		next, err := r.follow(ctx, r.seq, size, true)
		if r.seq = next; err != nil && ctx.Err() == nil {
			r.log.Error("react", "error", err)
		}
	}
	r.fire(ctx)
	if now := r.now(); now.Sub(r.swept) >= time.Hour || now.Before(r.swept) {
		r.swept = now
		r.sweep(ctx)
	}
}

// save keeps the position. It stays behind while a reaction waits to be tried
// again, so that a restart meets its event once more.
func (r *Reactor) save(ctx context.Context) {
	if r.seq == r.saved || r.retries > 0 {
		return
	}
	if err := r.store.SetCursor(ctx, Follower, r.seq); err != nil && ctx.Err() == nil {
		r.log.Error("react", "error", err)
	} else if err == nil {
		r.saved = r.seq
	}
}

// rewind sets the timers that were pending when the node stopped: those of
// events not longer before the cursor than the longest timer.
func (r *Reactor) rewind(ctx context.Context, cursor int64) error {
	if cursor == 0 || r.longest == 0 {
		return nil
	}
	at := func(seq int64) (t time.Time, err error) {
		err = r.store.Entries(ctx, seq, seq+1, func(l *store.Logged) bool { t = l.At; return true })
		return t, err
	}
	last, err := at(cursor - 1)
	if err != nil {
		return err
	}
	lo, hi := int64(0), cursor
	for lo < hi {
		mid := (lo + hi) / 2
		t, err := at(mid)
		if err != nil {
			return err
		}
		if t.Before(last.Add(-r.longest)) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	_, err = r.follow(ctx, lo, cursor, false)
	return err
}

// follow reads entries and runs or schedules what they ask for.
func (r *Reactor) follow(ctx context.Context, from, to int64, immediate bool) (int64, error) {
	type due struct {
		rule rule
		seq  int64
		id   record.ID
		hops int
	}
	var now []due
	next := from
	err := r.store.Entries(ctx, from, to, func(l *store.Logged) bool {
		next = l.Seq + 1
		hops := r.hops[l.Seq]
		delete(r.hops, l.Seq)
		if l.Type != "change" || len(r.byKind[l.Kind]) == 0 || l.Entry.Erased() {
			return true
		}
		ours := r.intake.Serves(l.Agency)
		var h struct{ Command string }
		if json.Unmarshal(l.Content, &h) != nil {
			return true
		}
		for _, x := range r.byKind[l.Kind] {
			if !ours && !x.Foreign {
				continue
			}
			if x.Command != "" && h.Command != l.Kind+"."+x.Command {
				continue
			}
			if x.At != nil {
				if immediate { // else awaitOpen sets it
					r.await(x, l, hops)
				}
			} else if x.After > 0 {
				heap.Push(&r.timers, timer{due: l.At.Add(x.After), seq: l.Seq, id: record.ID(l.Record), rule: x, hops: hops})
			} else if immediate {
				now = append(now, due{x, l.Seq, record.ID(l.Record), hops})
			}
		}
		return ctx.Err() == nil
	})
	for _, d := range now {
		r.run(ctx, d.rule, d.seq, d.id, d.hops)
	}
	return next, err
}

// fire runs the timers that are due.
func (r *Reactor) fire(ctx context.Context) {
	for len(r.timers) > 0 && !r.timers[0].due.After(r.now()) && ctx.Err() == nil {
		t := heap.Pop(&r.timers).(timer)
		if t.retry {
			r.retries--
		}
		r.run(ctx, t.rule, t.seq, t.id, t.hops)
	}
}

// again is how long a reaction waits that the node could not write down.
const again = 5 * time.Second

// run asks one reaction what follows, and gives the commands.
func (r *Reactor) run(ctx context.Context, x rule, seq int64, id record.ID, hops int) {
	s, err := r.store.Get(ctx, id)
	if err != nil {
		if record.CodeOf(err) != record.NotFound {
			r.failed(ctx, "reaction", err, "name", x.name)
		}
		return
	}
	if !x.Foreign && !r.intake.Serves(s.Record.Owner) {
		return // what follows is for its own node to do
	}
	self := r.self(s.Record.Owner)
	var find desk.Finder
	if !x.Foreign {
		find = r.finder(ctx, self)
	}
	orders, err := x.Do(desk.Event{Now: r.now(), Record: s.Record, Find: find})
	if err != nil {
		r.failed(ctx, "reaction", err, "name", x.name, "record", id)
		return
	}
	for i, o := range orders {
		by := self
		if x.Foreign {
			if by, err = r.answered(ctx, s.Record, &o); err != nil {
				r.failed(ctx, "reaction", err, "name", x.name, "record", id)
			}
			if by == nil {
				continue
			}
		}
		args, err := json.Marshal(o.Args)
		if err != nil {
			r.log.Error("reaction", "name", x.name, "error", err)
			continue
		}
		got, err := r.intake.Do(ctx, &intake.Command{ID: commandID(seq, x.name, i), Kind: o.Kind, Name: o.Command, Record: o.ID, By: by, Note: o.Note, Args: args, Automatic: true, Hops: hops + 1})
		if err == nil && got.Status != intake.Unchanged {
			r.hops[got.Seq] = hops + 1
		}
		if record.CodeOf(err) == record.Unavailable && ctx.Err() == nil {
			r.retries++
			heap.Push(&r.timers, timer{due: r.now().Add(again), seq: seq, id: id, rule: x, hops: hops, retry: true})
			return
		}
		if c := record.CodeOf(err); err != nil && c != record.Stale && c != record.NotFound && !errors.Is(err, context.Canceled) {
			r.log.Error("reaction", "name", x.name, "record", o.ID, "command", o.Command, "error", err)
		}
	}
}

// commandID derives the same identifier whenever the same event is met again.
func commandID(seq int64, name string, i int) record.ID {
	id := record.NewID(time.UnixMilli(0))
	h := sha256.Sum256(fmt.Appendf(nil, "konbit reaction %d %s %d", seq, name, i))
	copy(id[6:], h[:10])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// failed logs an error, unless it is that the node stops.
func (r *Reactor) failed(ctx context.Context, what string, err error, args ...any) {
	if ctx.Err() == nil {
		r.log.Error(what, append(args, "error", err)...)
	}
}

// sweep erases records whose keeping time is over.
func (r *Reactor) sweep(ctx context.Context) {
	for _, name := range r.desks.KindNames() {
		for r.sweepSome(ctx, r.desks.Kind(name)) {
		}
	}
}

// sweepSome erases some records of a kind, gives up those of other nodes, and
// reports whether more may be due.
func (r *Reactor) sweepSome(ctx context.Context, k *desk.Kind) (more bool) {
	const some = 500
	ids, err := r.store.Due(ctx, k.Name, r.now().Add(-k.Keep), some)
	if err != nil {
		r.failed(ctx, "retention", err, "kind", k.Name)
		return false
	}
	now, err := r.store.Current(ctx, ids)
	if err != nil {
		r.failed(ctx, "retention", err, "kind", k.Name)
		return false
	}
	held, err := r.store.HeldOf(ctx, ids)
	if err != nil {
		r.failed(ctx, "retention", err, "kind", k.Name)
		return false
	}
	ground := fmt.Sprintf("keeping time of %d years is over", int(k.Keep.Hours()/24/365))
	var cmds []*intake.Command
	var foreign []intake.Purge
	for _, id := range ids {
		switch s := now[id]; {
		case s == nil || s.Record == nil:
		case held[id].Node == "":
			cmds = append(cmds, &intake.Command{Kind: k.Name, Name: desk.Erase, Record: id, By: r.self(s.Record.Owner), Automatic: true, Note: ground})
		default:
			foreign = append(foreign, intake.Purge{Record: id, Ground: ground})
		}
	}
	return r.end(ctx, k, cmds, foreign) > 0 && len(ids) == some && ctx.Err() == nil
}

// end erases our own records, gives up others', and returns how many went.
func (r *Reactor) end(ctx context.Context, k *desk.Kind, cmds []*intake.Command, foreign []intake.Purge) (erased int) {
	if err := r.intake.Purge(ctx, foreign); err != nil {
		r.failed(ctx, "retention", err, "kind", k.Name)
	} else {
		erased = len(foreign)
	}
	_, errs := r.intake.DoAll(ctx, cmds)
	for i, err := range errs {
		if err == nil {
			erased++
		} else if record.CodeOf(err) != record.NotFound {
			r.failed(ctx, "retention", err, "kind", k.Name, "record", cmds[i].Record)
		}
	}
	return erased
}
