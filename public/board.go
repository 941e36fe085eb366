// Package public shows residents what desks publish on purpose: pages without script,
// feeds, and documents for programs, on a listener that may stand alone in the internet.
//
// It follows the ledger and holds the notices that are in force in memory, so that what a
// command ends is gone with the command. It must not show anything of a record but its
// desk.Notice.
package public

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// Config is what a Board needs. All of it is required but Owner, Photo and Log.
type Config struct {
	Store store.Store
	Desks *desk.Set
	Grown func() (size int64, grown <-chan struct{}) // of the ledger
	Name  string                                     // of the node or its agency, as residents know it
	URL   string                                     // where the pages are reached, without a slash at the end
	Now   func() time.Time
	Log   *slog.Logger
	Owner func(agency string) string // what an agency is called
	Demo  bool                       // every page and title says that nothing of it is real, and there are no documents

	// Photo opens a small, cleaned copy of an attachment.
	Photo func(hash string) (photo io.ReadSeekCloser, mediaType string, err error)
}

// Board holds what the public sees now. Make it with New, run it with Run.
type Board struct {
	cfg    Config
	secret []byte
	kinds  map[string]bool
	seq    int64 // entries followed
	held   map[record.ID]*entry
	shown  atomic.Pointer[edition]
}

// entry is one notice in force.
type entry struct {
	id      string // in addresses; tells nothing of the record's identifier
	kind    *desk.Kind
	owner   string
	changed time.Time
	*desk.Notice
}

// edition is what is shown at one moment. It does not change; what is made of it is kept with it.
type edition struct {
	all  []*entry // in the order in which they are shown
	byID map[string]*entry
	at   time.Time // when it was made
	made cache
}

// secretName is the name under which the store keeps what addresses are made with.
const secretName = "public"

// New makes a board. It shows nothing before Run.
func New(ctx context.Context, cfg Config) (*Board, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Board{cfg: cfg, kinds: map[string]bool{}, held: map[record.ID]*entry{}}
	for _, name := range cfg.Desks.KindNames() {
		b.kinds[name] = cfg.Desks.Kind(name).Publishes()
	}
	var err error
	if b.secret, err = cfg.Store.Secret(ctx, secretName); err != nil {
		return nil, err
	}
	b.shown.Store(&edition{at: cfg.Now()})
	return b, nil
}

// again is how long it waits that could not read the store.
const again = time.Second

// Run follows the ledger until ctx ends. What cannot be read ends nothing: the notices
// that are known stay until the store answers.
func (b *Board) Run(ctx context.Context) error {
	for {
		err := b.load(ctx)
		if err == nil {
			break
		}
		if !b.wait(ctx, nil, err) {
			return nil
		}
	}
	for {
		size, grown := b.cfg.Grown()
		err := b.follow(ctx, size)
		if !b.wait(ctx, grown, err) {
			return nil
		}
	}
}

// wait waits for more, for the end of the next notice, or to try again. It reports false
// when ctx has ended.
func (b *Board) wait(ctx context.Context, grown <-chan struct{}, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	d := time.Minute
	if err != nil {
		b.cfg.Log.Error("public pages: the store cannot be read", "error", err)
		d, grown = again, nil
	} else if next := b.next(); !next.IsZero() {
		d = min(d, max(next.Sub(b.cfg.Now()), 0)+time.Millisecond)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-grown:
	case <-t.C:
	}
	return true
}

// load reads all records with the flag, whatever their marking: what is public is for
// the desk to say.
func (b *Board) load(ctx context.Context) error {
	size, _ := b.cfg.Grown() // what comes while we read is followed after it
	all := &store.Sight{}
	if err := b.cfg.Store.Markings(ctx, 0, func(m *store.Marking) error { all.Own = append(all.Own, m.N); return nil }); err != nil {
		return err
	}
	held := map[record.ID]*entry{}
	for kind, publishes := range b.kinds {
		if !publishes {
			continue
		}
		q := &store.Query{Kinds: []string{kind}, Sight: map[string]*store.Sight{kind: all}, Now: b.cfg.Now(), Flag: desk.Public, Limit: 500}
		for {
			page, err := b.cfg.Store.Find(ctx, q)
			if err != nil {
				return err
			}
			for _, s := range page {
				b.put(held, s.Record)
			}
			if len(page) < q.Limit {
				break
			}
			q.Before = &store.Key{Row: page[len(page)-1].Row}
		}
	}
	b.held, b.seq = held, size
	b.edit()
	return nil
}

// follow brings what is shown up to the ledger's size.
func (b *Board) follow(ctx context.Context, size int64) error {
	var touched []record.ID
	if b.seq < size {
		if err := b.cfg.Store.Entries(ctx, b.seq, size, func(l *store.Logged) bool {
			id := record.ID(l.Record)
			if b.kinds[l.Kind] || b.held[id] != nil {
				touched = append(touched, id)
			}
			return ctx.Err() == nil
		}); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(touched) > 0 {
		slices.SortFunc(touched, func(x, y record.ID) int { return cmp.Compare(string(x[:]), string(y[:])) })
		touched = slices.Compact(touched)
		now, err := b.cfg.Store.Current(ctx, touched)
		if err != nil {
			return err
		}
		for _, id := range touched {
			delete(b.held, id)
			if s := now[id]; s != nil && s.Record != nil {
				b.put(b.held, s.Record)
			}
		}
	}
	b.seq = size
	if next := b.next(); len(touched) > 0 || !next.IsZero() && !next.After(b.cfg.Now()) {
		b.edit()
	}
	return nil
}

// put holds the notice of a record, if it has one.
func (b *Board) put(held map[record.ID]*entry, r *record.Record) {
	k := b.cfg.Desks.Kind(r.Kind)
	if k == nil {
		return
	}
	n, err := k.Notice(r)
	if err != nil {
		b.cfg.Log.Error("public pages: a record is left out", "record", r.ID, "error", err)
	}
	if n == nil || err != nil {
		return
	}
	if n.Ended != "" { // nothing personal is even held
		n = &desk.Notice{Sort: n.Sort, Since: n.Since, Until: n.Until, Ended: n.Ended, Documents: n.Documents}
	}
	if b.cfg.Demo { // no program must take it for real
		n.Documents = nil
		for _, t := range []*string{&n.Title.HT, &n.Title.FR, &n.Title.ES, &n.Title.EN} {
			if *t != "" {
				*t = "DEMO · " + *t
			}
		}
	}
	held[r.ID] = &entry{b.address(r.ID), k, r.Owner, r.Recorded, n}
}

var code = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// address is how a record is called in addresses: 16 letters and digits that are the same
// at every process and after every start, and from which nobody finds the record.
func (b *Board) address(id record.ID) string {
	m := hmac.New(sha256.New, b.secret)
	m.Write([]byte("address "))
	m.Write(id[:])
	return code.EncodeToString(m.Sum(nil)[:10])
}

// next is when the next notice runs out, zero for never.
func (b *Board) next() (t time.Time) {
	for _, e := range b.held {
		if !e.Until.IsZero() && (t.IsZero() || e.Until.Before(t)) {
			t = e.Until
		}
	}
	return t
}

// edit makes what is shown from what is held.
func (b *Board) edit() {
	now := b.cfg.Now()
	maps.DeleteFunc(b.held, func(_ record.ID, e *entry) bool { return !e.Until.IsZero() && !e.Until.After(now) })
	ed := &edition{byID: map[string]*entry{}, at: now}
	for _, e := range b.held {
		ed.all = append(ed.all, e)
		ed.byID[e.id] = e
	}
	slices.SortFunc(ed.all, func(x, y *entry) int {
		return cmp.Or(cmp.Compare(x.Ended, y.Ended), cmp.Compare(y.Rank, x.Rank), y.changed.Compare(x.changed), strings.Compare(x.id, y.id))
	})
	b.shown.Store(ed)
}
