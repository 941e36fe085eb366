package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"konbit/record"
)

// alarms is what an administrator has to know, newest last. A repetition is
// counted, not added, so that a hostile node cannot fill the disk or hide one
// alarm behind many.
type alarms struct {
	x *Exchange

	mu    sync.Mutex
	list  []*raised
	noted time.Time      // ledger entries of this hour are counted from here
	notes map[string]int // by node, so that no node uses up those about another
	saved time.Time      // by the real clock
	dirty bool

	saving sync.Mutex // the newest list is the last that is kept
}

// raised is an alarm and how often it was raised.
type raised struct {
	Alarm
	Times int       `json:"times"`
	First time.Time `json:"first"`
	noted time.Time // when the ledger was last told
}

const (
	alarmsName  = "peer.alarms"
	maxAlarms   = 500
	maxOfSort   = 20  // records that alarms of one node and code name one by one
	maxNotes    = 100 // ledger entries about alarms of one node within an hour
	alarmPeriod = time.Hour
)

func (a *alarms) open(ctx context.Context, x *Exchange) error {
	a.x = x
	b, err := x.cfg.Store.Value(ctx, alarmsName)
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &a.list)
	}
	return err
}

// Alarms returns the newest alarms, newest first.
func (x *Exchange) Alarms(_ context.Context, limit int) ([]Alarm, error) {
	a := &x.alarms
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Alarm
	for _, r := range slices.Backward(a.list) {
		if len(out) == limit {
			break
		}
		al := r.Alarm
		if r.Times > 1 {
			al.Text = fmt.Sprintf("%s (%d times since %s)", al.Text, r.Times, r.First.Format(time.RFC3339))
		}
		out = append(out, al)
	}
	return out, nil
}

func (a *alarms) add(ctx context.Context, node, code, text string, id record.ID) {
	al := Alarm{At: a.x.stream.now(), Node: node, Code: code, Text: clip(text, 500)}
	if !id.IsZero() {
		al.Record = id.String()
	}
	r, tell := a.count(al)
	if !tell {
		return
	}
	a.x.cfg.Log.Warn("peer: "+code, "node", node, "what", al.Text, "record", al.Record, "times", r.Times)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second) // whoever caused it may be gone
	defer cancel()
	if _, err := a.x.cfg.Intake.Note(ctx, "alarm", a.x.house(), "node", r); err != nil {
		a.x.cfg.Log.Error("peer: an alarm is not in the ledger", "error", err)
	}
	if err := a.save(ctx); err != nil {
		a.x.cfg.Log.Error("peer: the alarms are not kept", "error", err)
	}
}

// count puts an alarm on the list, and reports whether log and ledger should hear
// of it: the first time, and then once an hour.
func (a *alarms) count(al Alarm) (r raised, tell bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dirty = true
	i, sort := -1, 0
	for j, o := range a.list {
		if o.Node != al.Node || o.Code != al.Code {
			continue
		}
		if sort++; o.Record == al.Record || sort > maxOfSort {
			i = j
			if o.Record == al.Record {
				break
			}
		}
	}
	n := &raised{Alarm: al, First: al.At}
	if i >= 0 { // it goes to the end, as the newest
		n = a.list[i]
		n.At, n.Text = al.At, al.Text
		a.list = slices.Delete(a.list, i, i+1)
	}
	n.Times++
	a.list = append(a.list, n)
	if len(a.list) > maxAlarms {
		a.list = slices.Delete(a.list, 0, len(a.list)-maxAlarms)
	}
	if !n.noted.IsZero() && al.At.Sub(n.noted).Abs() < alarmPeriod {
		return *n, false
	}
	if al.At.Sub(a.noted).Abs() >= alarmPeriod {
		a.noted, a.notes = al.At, nil
	}
	if a.notes == nil {
		a.notes = map[string]int{}
	}
	if a.notes[al.Node]++; a.notes[al.Node] > maxNotes {
		return *n, false
	}
	n.noted = al.At
	return *n, true
}

// save keeps the list.
func (a *alarms) save(ctx context.Context) error {
	a.saving.Lock()
	defer a.saving.Unlock()
	a.mu.Lock()
	b, err := json.Marshal(a.list)
	a.dirty = false
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.x.cfg.Store.SetValue(ctx, alarmsName, b)
}

// keep saves what was only counted since.
func (a *alarms) keep(ctx context.Context) {
	a.mu.Lock()
	due := a.dirty && time.Since(a.saved) > 10*time.Second
	if due {
		a.saved = time.Now()
	}
	a.mu.Unlock()
	if due {
		if err := a.save(ctx); err != nil && ctx.Err() == nil {
			a.x.cfg.Log.Error("peer: the alarms are not kept", "error", err)
		}
	}
}
