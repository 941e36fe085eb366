package intake

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"konbit/desk"
	"konbit/ledger"
	"konbit/name"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// batch is decided and signed, and waits for the disk.
type batch struct {
	store.Batch
	stamp uint64 // number of failed commits when it was decided
	jobs  []*job
	tree  *ledger.Tree // after the batch
	from  []*error     // per item: where an answer to it goes
	body  []any        // per item: the decoded body, where it is at hand
	undo  []func()     // forgets what was decided, last first
}

// decider holds what the next decision builds on: the tree and the records of
// batches that are not on disk yet.
type decider struct {
	in      *Intake
	tree    *ledger.Tree
	last    time.Time // of the newest entry
	stamp   uint64
	pending map[record.ID]*known // decided, perhaps not yet on disk
	acts    map[record.ID]*act   // commands decided and perhaps not yet on disk
	held    map[record.ID]*held  // what is held of other nodes' records, like pending
	cursors map[string]*cursor   // by node: how far its lanes are applied, like pending
	kept    time.Time            // when a checkpoint was last kept
	head    []byte               // the checkpoint over tree
}

// known is a record as the decider knows it; nil Record: erased or never there.
type known struct {
	rec    *record.Record
	owner  string // agency, of what exists
	exists bool
	seq    int64
	fresh  bool // decided here; perhaps not on disk yet
}

// act is what a command did that is perhaps not yet on disk.
type act struct {
	seq     int64
	record  record.ID
	actor   string
	kind    string
	receipt Receipt
}

func (in *Intake) newDecider(ctx context.Context) (*decider, error) {
	d := &decider{in: in}
	return d, d.load(ctx)
}

// load reads the ledger's head, so that the next decision builds on the disk.
func (d *decider) load(ctx context.Context) error {
	size, text, err := d.in.cfg.Store.Head(ctx)
	if err != nil {
		return err
	}
	return d.build(ctx, size, text)
}

// build makes the next decision build on a ledger of that size. When it fails,
// nothing has changed.
func (d *decider) build(ctx context.Context, size int64, text []byte) error {
	tree, err := d.in.grown(ctx, size, text)
	if err != nil {
		return err
	}
	var last time.Time
	if size > 0 {
		if err := d.in.cfg.Store.Entries(ctx, size-1, size, func(l *store.Logged) bool { last = l.At; return true }); err != nil {
			return err
		}
	}
	d.tree, d.head, d.last = tree, text, last
	d.pending, d.acts = map[record.ID]*known{}, map[record.ID]*act{}
	d.held, d.cursors = map[record.ID]*held{}, map[string]*cursor{}
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	d.in.follow(tree, text)
	return nil
}

// overlap is how many commands are decided while the batch before them is still
// on its way to the disk. Fewer wait for more: one fsync then serves them all.
const overlap = 256

// run turns waiting jobs into batches until the queue is closed.
func (d *decider) run(work chan<- *batch) {
	defer close(work)
	free := false // the committer waits for work
	for j := range d.in.queue {
		jobs := []*job{j}
		n := j.size()
		turned := d.turn()
		free = free || d.in.shared != nil // in our turn everything before is on disk
		take := func(j *job, ok bool) bool {
			if ok {
				jobs = append(jobs, j)
				n += j.size()
			}
			return ok
		}
	more:
		for n < maxBatch {
			if free || n >= overlap {
				select {
				case j, ok := <-d.in.queue:
					if !take(j, ok) {
						break more
					}
				default:
					break more
				}
				continue
			}
			select {
			case j, ok := <-d.in.queue:
				if !take(j, ok) {
					break more
				}
			case <-d.in.idle:
				free = true
			}
		}
		if turned != nil {
			refuse(jobs, turned)
			continue
		}
		if b := d.decide(jobs); b != nil {
			work <- b
			free = false
		} else {
			d.in.pass(false)
		}
	}
}

// How long a database that other processes share, and that may be far away, may take:
// to give a decision its turn, to read for it, and to save it.
const (
	patience = 15 * time.Second
	saving   = 30 * time.Second
)

// within bounds what the database may take.
func (in *Intake) within(d time.Duration) (context.Context, context.CancelFunc) {
	if in.shared == nil {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), d)
}

// late says so when it took too long.
func late(err error) error {
	if err == nil {
		return nil
	}
	var ours *record.Error
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &ours) {
		return record.Errorf(record.Unavailable, "intake", "the database is slow, or other processes of this node are writing without end; nothing was saved; try again")
	}
	return err
}

// turn waits until no other process writes, and builds on what they wrote.
func (d *decider) turn() error {
	in := d.in
	if in.shared == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	now, err := in.shared.Turn(ctx)
	if err == nil && (now.Size != d.tree.Size() || !bytes.Equal(now.Checkpoint, d.head)) {
		if err = d.build(ctx, now.Size, now.Checkpoint); err != nil {
			in.pass(false)
		}
	}
	if err == nil {
		if err = in.moved(ctx, now.Ops); err != nil {
			in.pass(false)
		}
	}
	return err
}

// pass gives a turn back in which nothing is written. With rests, an answer that rests on
// what was read in it is good when it returns nil.
func (in *Intake) pass(rests bool) error {
	if in.shared == nil {
		return nil
	}
	return in.shared.Pass(rests)
}

// moved makes what is kept in memory of accounts and nodes as new as ops says.
func (in *Intake) moved(ctx context.Context, ops int64) error {
	in.moving.Lock()
	defer in.moving.Unlock()
	if ops <= in.ops {
		return nil
	}
	if in.cfg.Moved != nil {
		if err := in.cfg.Moved(ctx); err != nil {
			return err
		}
	}
	in.ops = ops
	return nil
}

// Refresh looks whether another process has written, and if so wakes those who
// follow the ledger. Without another process there is nothing to do. It fails with
// Corrupt when the database holds another ledger than the one that was seen before.
func (in *Intake) Refresh(ctx context.Context) error {
	if in.shared == nil {
		return nil
	}
	now, err := in.shared.State(ctx)
	if err != nil {
		return err
	}
	if err := in.moved(ctx, now.Ops); err != nil {
		return err
	}
	in.mu.Lock()
	same := now.Size < in.size || now.Size == in.size && bytes.Equal(now.Checkpoint, in.note)
	in.mu.Unlock()
	if same { // or it was asked for before this process has written more
		return nil
	}
	tree, err := in.grown(ctx, now.Size, now.Checkpoint)
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.follow(tree, now.Checkpoint)
	return nil
}

// decide builds one batch, which may be empty: an answer that rests on a batch
// before it must wait for that one. When a version cannot be sealed, its command
// is refused and the others are decided again without it. It answers the jobs
// itself when the store cannot be read.
func (d *decider) decide(jobs []*job) *batch {
	ctx, cancel := d.in.within(patience)
	defer cancel()
	d.in.mu.Lock()
	stamp, size := d.in.failed, d.in.size
	d.in.mu.Unlock()
	if stamp != d.stamp {
		if err := d.load(ctx); err != nil {
			refuse(jobs, err)
			return nil
		}
		d.stamp = stamp
	}
	maps.DeleteFunc(d.pending, func(_ record.ID, k *known) bool { return k.seq < size })
	maps.DeleteFunc(d.acts, func(_ record.ID, a *act) bool { return a.seq < size })
	maps.DeleteFunc(d.held, func(_ record.ID, h *held) bool { return h.seq < size })
	maps.DeleteFunc(d.cursors, func(_ string, c *cursor) bool { return c.seq < size })
	if err := d.preload(ctx, jobs); err != nil {
		refuse(jobs, err)
		return nil
	}
	now := d.in.cfg.Now().UTC().Truncate(time.Microsecond)
	for {
		b := &batch{stamp: stamp, jobs: jobs, tree: d.tree}
		for _, j := range jobs {
			for _, p := range j.cmds {
				d.command(ctx, b, p, now)
			}
			for _, n := range j.notes {
				d.note(b, n, now)
			}
			if j.arrival != nil {
				d.arrive(b, j.arrival, now)
			}
			for _, p := range j.purges {
				d.purge(b, p, now)
			}
		}
		if len(b.Items) == 0 {
			d.forgetRead()
			return b
		}
		item, err := d.seal(b)
		if err == nil {
			d.forgetRead()
			return b
		}
		for _, undo := range slices.Backward(b.undo) {
			undo()
		}
		if item < 0 {
			refuse(jobs, err)
			return nil
		}
		*b.from[item] = err
	}
}

// preload reads all records that the jobs name in one go.
func (d *decider) preload(ctx context.Context, jobs []*job) error {
	var ids []record.ID
	for _, j := range jobs {
		for _, p := range j.cmds {
			if d.pending[p.Record] == nil {
				ids = append(ids, p.Record)
			}
		}
	}
	foreign, err := d.preloadForeign(ctx, jobs)
	if err != nil {
		return err
	}
	if ids = append(ids, foreign...); len(ids) == 0 {
		return nil
	}
	m, err := d.in.cfg.Store.Current(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		k := &known{seq: -1}
		if s := m[id]; s != nil {
			k.exists, k.rec, k.owner, k.seq = true, s.Record, s.Owner, s.Seq
		}
		d.pending[id] = k
	}
	return nil
}

// forgetRead drops what was read but not changed, so that the next batch reads
// it afresh.
func (d *decider) forgetRead() {
	maps.DeleteFunc(d.pending, func(_ record.ID, k *known) bool { return !k.fresh })
	maps.DeleteFunc(d.held, func(_ record.ID, h *held) bool { return !h.fresh })
	maps.DeleteFunc(d.cursors, func(_ string, c *cursor) bool { return !c.fresh })
}

func (d *decider) note(b *batch, n *entryNote, now time.Time) {
	if n.err == nil && n.base < d.ops(n.ops) {
		n.err = record.Errorf(record.Conflict, n.typ, "somebody else has changed agencies or people in this moment; look again, and try again")
	}
	if n.err != nil {
		return
	}
	it := &store.Item{Entry: ledger.Entry{At: d.at(now), Type: n.typ, Agency: n.agency, Actor: n.actor, Record: n.record, Version: n.version, Content: n.content}, Ops: n.ops}
	it.Entry.Seq = d.tree.Size() + int64(len(b.Items))
	n.seq = it.Entry.Seq
	b.add(it, &n.err, nil)
}

// ops returns the position before which nobody else may have changed what these
// ops change: 0 for those that do not rest on what was read.
func (d *decider) ops(ops []store.Op) int64 {
	if d.in.shared == nil || !slices.ContainsFunc(ops, store.Rests) {
		return 0
	}
	d.in.moving.Lock()
	defer d.in.moving.Unlock()
	return d.in.ops
}

// at is the time of the next entry: never before the one that precedes it.
func (d *decider) at(now time.Time) time.Time {
	if now.After(d.last) {
		d.last = now
	}
	return d.last
}

// command decides one command and appends what it writes to the batch.
func (d *decider) command(ctx context.Context, b *batch, p *prepared, now time.Time) {
	if p.err != nil {
		return
	}
	it, err := d.apply(ctx, b, p, now)
	if err != nil {
		p.err = err
	} else if it != nil {
		var body any
		if p.Name == desk.Create || p.Name == desk.Edit {
			body = p.body
		}
		b.add(it, &p.err, body)
	}
}

func (b *batch) add(it *store.Item, answer *error, body any) {
	b.Items, b.from, b.body = append(b.Items, it), append(b.from, answer), append(b.body, body)
}

// remember makes the next decisions build on k, which is not on disk yet.
func (d *decider) remember(b *batch, p *prepared, k *known) {
	d.know(b, p.Record, k)
	if !p.ID.IsZero() {
		d.acts[p.ID] = &act{k.seq, p.Record, p.By.Person, p.Kind, p.receipt}
		b.undo = append(b.undo, func() { delete(d.acts, p.ID) })
	}
}

func (d *decider) apply(ctx context.Context, b *batch, p *prepared, now time.Time) (*store.Item, error) {
	op := p.Kind + "." + p.Name
	if !p.ID.IsZero() {
		seq, err := d.earlier(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		if seq >= 0 {
			return nil, d.repeat(ctx, p, seq, now)
		}
	}
	cur := d.pending[p.Record]
	if p.Name == desk.Create {
		if cur.exists {
			return d.again(ctx, b, p, cur, now)
		}
		return d.create(ctx, b, p, now)
	}
	if !cur.exists || cur.rec == nil || cur.rec.Kind != p.Kind {
		return nil, record.Errorf(record.NotFound, op, "there is no such record")
	}
	switch d.sees(p, cur.rec, now) {
	case policy.Hidden:
		return nil, record.Errorf(record.NotFound, op, "there is no such record")
	case policy.NeedsPurpose:
		return nil, record.Errorf(record.NeedPurpose, op, "this record is protected: say why you open it")
	}
	if cur.rec.Owner != p.By.Agency {
		e := record.Errorf(record.Denied, op, "the record belongs to %s; only it can change it", cur.rec.Owner)
		e.Hint = "answer it with a record of your own that links to it"
		return nil, e
	}
	if p.Version != 0 && p.Version != cur.rec.Version {
		return nil, record.Errorf(record.Conflict, op, "the record has changed: it is at version %d, not %d", cur.rec.Version, p.Version)
	}
	next, ok := p.kind.Next(cur.rec.State, p.Name)
	if !ok {
		e := record.Errorf(record.Stale, op, "this is not possible while the record is %s", cur.rec.State)
		e.Hint = "reload the record to see its state"
		return nil, e
	}
	if p.Name == desk.Erase {
		return d.erase(b, p, cur, now)
	}
	rec := cur.rec.Clone()
	rec.State = next
	if err := d.change(ctx, p, rec, cur.rec, now); err != nil {
		return nil, err
	}
	if p.Name == desk.Edit && same(rec, cur.rec) {
		p.receipt = Receipt{Unchanged, cur.seq, cur.rec}
		return nil, nil
	}
	rec.Version++
	return d.write(b, p, p.Name, rec, now, Updated), nil
}

// sees is the rule for the one who gives the command.
func (d *decider) sees(p *prepared, rec *record.Record, now time.Time) policy.Verdict {
	if p.Automatic && rec.Owner == p.By.Agency {
		return policy.Visible
	}
	return p.By.Sees(p.kind, rec.Owner, d.in.cfg.Directory.Communities(rec.Owner), &rec.Marking, now)
}

func (d *decider) create(ctx context.Context, b *batch, p *prepared, now time.Time) (*store.Item, error) {
	rec := &record.Record{Header: record.Header{ID: p.Record, Kind: p.Kind, Owner: p.By.Agency, Version: 1, State: p.kind.Start}}
	if err := d.fill(p, rec, nil); err != nil {
		return nil, err
	}
	if err := d.answers(ctx, p, rec, nil, now); err != nil {
		return nil, err
	}
	return d.write(b, p, desk.Create, rec, now, Created), nil
}

// again is a Create of a record that exists: a retry, or an import's second run.
func (d *decider) again(ctx context.Context, b *batch, p *prepared, cur *known, now time.Time) (*store.Item, error) {
	op := p.Kind + "." + p.Name
	if cur.rec == nil || cur.rec.Kind != p.Kind || cur.rec.Owner != p.By.Agency {
		return nil, record.Errorf(record.Conflict, op, "the identifier is taken")
	}
	rec := cur.rec.Clone()
	if err := d.fill(p, rec, cur.rec); err != nil {
		return nil, err
	}
	rec.Flags = merged(cur.rec.Flags, rec.Flags)
	if p.Upsert { // whoever released or narrowed it since knew more than the file
		rec.Marking = cur.rec.Marking.Clone()
		rec.Marking.Caveats = merged(rec.Marking.Caveats, p.caveats)
		rec.Marking.Normalize()
	}
	wrong := d.answers(ctx, p, rec, cur.rec, now) // counts only if something is written
	sees := d.sees(p, cur.rec, now)
	if sees == policy.Visible && same(rec, cur.rec) {
		p.receipt = Receipt{Unchanged, cur.seq, cur.rec}
		return nil, nil
	}
	if seq, v, err := d.said(ctx, p, rec, cur, sees == policy.Visible); err != nil {
		return nil, err
	} else if v != nil {
		p.receipt = Receipt{Unchanged, seq, v}
		return nil, nil
	}
	switch {
	case sees == policy.Hidden:
		return nil, record.Errorf(record.Conflict, op, "the identifier is taken")
	case !p.Upsert:
		return nil, record.Errorf(record.Conflict, op, "the record exists already, with other content")
	case sees == policy.NeedsPurpose:
		return nil, record.Errorf(record.NeedPurpose, op, "this record is protected: say why you change it")
	case slices.Contains(p.kind.Frozen, rec.State):
		p.receipt = Receipt{Unchanged, cur.seq, cur.rec}
		return nil, nil
	}
	if wrong != nil {
		return nil, wrong
	}
	rec.Version++
	return d.write(b, p, desk.Edit, rec, now, Updated), nil
}

// said looks for a version in which the same was said before: the answer to it
// was lost; or the file has not changed since, while people worked on the
// record. Without Upsert only the person's own first version counts. Whoever may
// not see the record any longer is shown what he said himself.
func (d *decider) said(ctx context.Context, p *prepared, rec *record.Record, cur *known, sees bool) (int64, *record.Record, error) {
	vs, err := d.in.cfg.Store.Versions(ctx, p.Record)
	if err != nil {
		return 0, nil, err
	}
	if cur.fresh && (len(vs) == 0 || vs[len(vs)-1].Version < cur.rec.Version) {
		vs = append(vs, &store.Stored{Seq: cur.seq, Record: cur.rec, Version: cur.rec.Version})
	}
	for _, v := range vs {
		if v.Record == nil || !p.Upsert && v.Version > 1 {
			continue
		}
		own := v.Record.Author == p.By.Person
		was := v.Record.Clone()
		was.Flags = rec.Flags
		if p.Upsert {
			was.Marking = rec.Marking
		}
		switch {
		case !same(rec, was) || !own && !(p.Upsert && sees):
		case sees:
			return v.Seq, cur.rec, nil
		default:
			return v.Seq, v.Record, nil
		}
	}
	return 0, nil, nil
}

// fill puts a draft into a record. before is the version that is edited, nil
// for a new record.
func (d *decider) fill(p *prepared, rec, before *record.Record) error {
	dr := p.Draft
	rec.Body = p.raw
	if p.kind.Sets() {
		var old json.RawMessage
		if before != nil {
			old = before.Body
		}
		var wrong record.Fields
		if p.body, rec.Body, wrong = p.kind.Kept(p.raw, old); len(wrong) > 0 {
			return wrong.Err(p.Kind + "." + p.Name)
		}
		p.caveats = p.kind.CaveatsFor(p.body)
	}
	rec.Observed = dr.Observed.UTC().Truncate(time.Microsecond)
	rec.Place, rec.Links, rec.Key, rec.Note = dr.Place, dr.Links, dr.Key, dr.Note
	if p.Command.Note != "" {
		rec.Note = p.Command.Note
	}
	if before == nil || dr.Marking.TLP != "" {
		rec.Marking = dr.Marking.Clone()
	}
	d.protect(p, rec)
	rec.Flags = slices.Clone(dr.Flags)
	if before != nil {
		rec.Flags = slices.Clone(before.Flags)
		if p.Upsert {
			rec.Flags = slices.Clone(dr.Flags)
		}
		rec.Flags = slices.DeleteFunc(rec.Flags, func(f string) bool { return f == flagOutside })
		rec.Key = before.Key
	}
	if r := d.in.cfg.Region; r != nil && rec.Place != nil && rec.Place.Geometry != nil {
		if box, err := rec.Place.Geometry.Bounds(); err == nil && !box.Meets(*r) {
			rec.Flags = merged(rec.Flags, []string{flagOutside})
		}
	}
	if slices.Contains(dr.Flags, flagOutside) {
		rec.Flags = merged(rec.Flags, []string{flagOutside})
	}
	// What is public is for commands to say, not for a draft or a file.
	rec.Flags = slices.DeleteFunc(rec.Flags, func(f string) bool { return f == desk.Public })
	if before != nil && slices.Contains(before.Flags, desk.Public) {
		rec.Flags = merged(rec.Flags, []string{desk.Public})
	}
	return d.attach(p, rec, before)
}

// flagOutside marks a place that lies outside the node's region.
const flagOutside = "outside-region"

func merged(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// protect adds the caveats that the kind or its body demands, and the author to
// the persons of a RED record, who could not see his own work otherwise.
func (d *decider) protect(p *prepared, rec *record.Record) {
	rec.Marking.Caveats = merged(rec.Marking.Caveats, p.caveats)
	if rec.Marking.TLP == record.Red && !p.Automatic && !slices.Contains(rec.Marking.Persons, p.By.Person) {
		rec.Marking.Persons = append(rec.Marking.Persons, p.By.Person)
	}
	rec.Marking.Normalize()
}

// attach checks that each attachment is one that the record had or that the
// person has uploaded, so that knowing a hash gives no right to the content.
func (d *decider) attach(p *prepared, rec, before *record.Record) error {
	rec.Attachments = nil
	var f record.Fields
next:
	for i, a := range p.Draft.Attachments {
		if before != nil {
			for _, b := range before.Attachments {
				if b.Hash == a.Hash {
					a.Type, a.Size = b.Type, b.Size
					rec.Attachments = append(rec.Attachments, a)
					continue next
				}
			}
		}
		ok := false
		if d.in.cfg.Blobs != nil {
			a.Type, a.Size, ok = d.in.cfg.Blobs.Claim(p.By.Person, a.Hash)
		}
		if !ok {
			f.Add(record.Index("attachments", i), "unknown", "upload the content first")
			continue
		}
		rec.Attachments = append(rec.Attachments, a)
	}
	return f.Err(p.Kind + "." + p.Name)
}

// change applies Edit, Mark or a workflow command.
func (d *decider) change(ctx context.Context, p *prepared, rec, before *record.Record, now time.Time) error {
	rec.Note = p.Command.Note
	switch p.Name {
	case desk.Edit:
		if err := d.fill(p, rec, before); err != nil {
			return err
		}
		if err := d.answers(ctx, p, rec, before, now); err != nil {
			return err
		}
		if p.Draft.Marking.TLP != "" && !reflect.DeepEqual(rec.Marking, before.Marking) {
			return p.By.May(p.kind, desk.Mark) // an edit is no way around it
		}
		return nil
	case desk.Mark:
		rec.Marking = p.Marking.Clone()
		body, err := p.kind.Parse(rec.Body)
		if err != nil {
			return err
		}
		p.caveats = p.kind.CaveatsFor(body)
		d.protect(p, rec)
		if err := d.answers(ctx, p, rec, before, now); err != nil {
			return err
		}
		if reflect.DeepEqual(rec.Marking, before.Marking) {
			return record.Errorf(record.Stale, p.Kind+".mark", "the marking is already as asked")
		}
		return nil
	}
	acting := &desk.Acting{Now: now, Actor: p.By.Person, Agency: p.By.Agency, From: before.State, Record: rec, Get: func(kind string, id record.ID) (*record.Record, error) {
		return d.get(ctx, p.By, kind, id, now)
	}}
	if err := p.kind.Run(p.Name, acting, p.Args); err != nil {
		return err
	}
	return d.ran(p, rec, before, now)
}

// ran checks what a desk's own handler made of the record, and protects it by
// what its body says now.
func (d *decider) ran(p *prepared, rec, before *record.Record, now time.Time) error {
	rec.ID, rec.Kind, rec.Owner, rec.Version, rec.Created, rec.Key = before.ID, before.Kind, before.Owner, before.Version, before.Created, before.Key
	op := p.Kind + "." + p.Name
	if !slices.Contains(p.kind.States(), rec.State) {
		return record.Errorf(record.Internal, op, "the command leads to the unknown state %q", rec.State)
	}
	if bytes.Equal(rec.Body, before.Body) {
		return rec.CheckHeader(now).Err(op)
	}
	body, err := p.kind.Parse(rec.Body)
	if err != nil {
		return err
	}
	rec.Marking.Caveats = merged(rec.Marking.Caveats, p.kind.CaveatsFor(body))
	rec.Marking.Normalize()
	return rec.CheckHeader(now).Err(op)
}

// get reads another record for a handler, with the actor's rights.
func (d *decider) get(ctx context.Context, by *policy.Reader, kind string, id record.ID, now time.Time) (*record.Record, error) {
	k := d.in.cfg.Desks.Kind(kind)
	var rec *record.Record
	if c := d.pending[id]; c != nil {
		rec = c.rec
	} else if m, err := d.in.cfg.Store.Current(ctx, []record.ID{id}); err != nil {
		return nil, err
	} else if m[id] != nil {
		rec = m[id].Record
	}
	if rec == nil || rec.Kind != kind || by.Sees(k, rec.Owner, d.in.cfg.Directory.Communities(rec.Owner), &rec.Marking, now) != policy.Visible {
		return nil, record.Errorf(record.NotFound, kind, "there is no such record")
	}
	return rec, nil
}

// same reports whether two versions say the same, leaving aside who and when.
func same(a, b *record.Record) bool {
	x, y := *a, *b
	for _, r := range []*record.Record{&x, &y} {
		r.Version, r.State, r.Recorded, r.Created, r.Author, r.Command, r.Note = 0, "", time.Time{}, time.Time{}, "", "", ""
		r.Observed = r.Observed.UTC()
	}
	if !bytes.Equal(x.Body, y.Body) {
		return false
	}
	p, err1 := json.Marshal(x)
	q, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

// write makes the ledger item of a new version.
func (d *decider) write(b *batch, p *prepared, command string, rec *record.Record, now time.Time, status Status) *store.Item {
	rec.Recorded = d.at(now)
	if rec.Version == 1 {
		rec.Created = rec.Recorded
	}
	rec.Author, rec.Command = p.By.Person, p.Kind+"."+command
	seq := d.tree.Size() + int64(len(b.Items))
	it := &store.Item{
		Entry:   ledger.Entry{Seq: seq, At: rec.Recorded, Type: "change", Agency: rec.Owner, Actor: p.By.Person, Record: rec.ID, Version: rec.Version},
		Command: p.ID,
		Row:     &store.Row{Record: rec},
	}
	p.receipt = Receipt{status, seq, rec}
	d.remember(b, p, &known{rec: rec, owner: rec.Owner, exists: true, seq: seq, fresh: true})
	return it
}

func (d *decider) erase(b *batch, p *prepared, cur *known, now time.Time) (*store.Item, error) {
	content, err := json.Marshal(struct {
		Kind     string `json:"kind"`
		Versions int    `json:"versions"`
		Ground   string `json:"ground"`
	}{p.Kind, cur.rec.Version, p.Command.Note})
	if err != nil {
		return nil, err
	}
	seq := d.tree.Size() + int64(len(b.Items))
	p.receipt = Receipt{Updated, seq, erased(p, cur.rec.Owner, cur.rec.Version)}
	d.remember(b, p, &known{owner: cur.owner, exists: true, seq: seq, fresh: true})
	return &store.Item{
		Entry:   ledger.Entry{Seq: seq, At: d.at(now), Type: "erase", Agency: cur.rec.Owner, Actor: p.By.Person, Record: p.Record, Version: cur.rec.Version, Content: content},
		Command: p.ID,
		Erase:   p.Record,
	}, nil
}

// erased is what is left to say of a record whose content is gone.
func erased(p *prepared, owner string, version int) *record.Record {
	return &record.Record{Header: record.Header{ID: p.Record, Kind: p.Kind, Owner: owner, Version: version}, Body: json.RawMessage("{}")}
}

// earlier finds the ledger position of a command that was given before.
func (d *decider) earlier(ctx context.Context, id record.ID) (int64, error) {
	if a := d.acts[id]; a != nil {
		return a.seq, nil
	}
	return d.in.cfg.Store.CommandEntry(ctx, id)
}

// repeat answers a command that was given before with what it did then.
func (d *decider) repeat(ctx context.Context, p *prepared, seq int64, now time.Time) error {
	op := p.Kind + "." + p.Name
	taken := record.Errorf(record.Conflict, op, "the command's identifier is taken")
	if a := d.acts[p.ID]; a != nil { // perhaps not on disk yet; this answer waits for it, too
		if a.record != p.Record || a.actor != p.By.Person || a.kind != p.Kind {
			return taken
		}
		p.receipt = a.receipt
		p.receipt.Status = Unchanged
		return nil
	}
	var was *store.Logged
	if err := d.in.cfg.Store.Entries(ctx, seq, seq+1, func(l *store.Logged) bool { was = l; return false }); err != nil {
		return err
	}
	switch {
	case was == nil || was.Record != [16]byte(p.Record) || was.Actor != p.By.Person || was.Kind != p.Kind:
		return taken
	case was.Type == "erase":
		p.receipt = Receipt{Unchanged, seq, erased(p, was.Agency, was.Version)}
		return nil
	case was.Entry.Erased():
		return record.Errorf(record.NotFound, op, "there is no such record")
	}
	var rec record.Record
	if err := json.Unmarshal(was.Content, &rec); err != nil {
		return fmt.Errorf("intake: stored version: %w", err)
	}
	p.receipt = Receipt{Unchanged, seq, &rec}
	cur := d.pending[p.Record]
	if rec.Version > 1 && (cur == nil || cur.rec == nil || d.sees(p, cur.rec, now) != policy.Visible || d.sees(p, &rec, now) != policy.Visible) {
		// It was done, and what others wrote is no longer his to read.
		p.receipt.Record = erased(p, was.Agency, was.Version)
		p.receipt.Record.State = rec.State
	}
	return nil
}

// seal signs, salts and hashes the items on all processors, grows the tree, and
// signs the checkpoint. Of an error it returns the item, -1 for none.
func (d *decider) seal(b *batch) (int, error) {
	n := len(b.Items)
	salts := make([]byte, n*ledger.SaltSize)
	rand.Read(salts)
	hashes := make([]ledger.Hash, n)
	workers := min(runtime.GOMAXPROCS(0), (n+15)/16)
	errs, bad := make([]error, workers), make([]int, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var s ledger.Scratch
			for i := w; i < n && errs[w] == nil; i += workers {
				b.Items[i].Entry.Salt = salts[i*ledger.SaltSize : (i+1)*ledger.SaltSize : (i+1)*ledger.SaltSize]
				bad[w] = i
				hashes[i], errs[w] = d.in.sealOne(&s, b.Items[i], b.body[i])
			}
		})
	}
	wg.Wait()
	for w, err := range errs {
		if err != nil {
			return bad[w], err
		}
	}
	b.tree = d.tree.Clone()
	b.Nodes = b.tree.Append(hashes)
	at := b.Items[n-1].Entry.At
	cp, err := ledger.SignCheckpoint(d.in.cfg.Signer, d.in.cfg.Origin, b.tree.Size(), b.tree.Root(), at)
	if err != nil {
		return -1, err
	}
	b.Checkpoint, d.head = cp, cp
	if b.Keep = at.Sub(d.kept) >= time.Minute; b.Keep {
		d.kept = at
	}
	d.tree = b.tree
	return -1, nil
}

func (in *Intake) sealOne(s *ledger.Scratch, it *store.Item, body any) (ledger.Hash, error) {
	e := &it.Entry
	if it.Row != nil && !it.Row.Foreign { // a foreign version came with bytes and signature
		rec := it.Row.Record
		raw, err := json.Marshal(rec)
		if err != nil {
			return ledger.Hash{}, err
		}
		row, err := derive(in.cfg.Desks, rec, body)
		if err != nil {
			return ledger.Hash{}, err
		}
		*it.Row = *row
		key := in.cfg.Keys.Key(rec.Owner)
		e.Content, e.Sig = raw, ledger.Sign(key, s, raw)
		e.KeyID = ledger.KeyID(key.Public().(ed25519.PublicKey))
	}
	var err error
	e.Commitment, err = ledger.Commit(s, e)
	return e.Commitment, err
}

// Derive computes what a record is found by. It is a function of the signed
// version alone, so that konbit verify can hold the rows against the ledger.
func Derive(desks *desk.Set, rec *record.Record) (*store.Row, error) {
	return derive(desks, rec, nil)
}

// derive is Derive for a body that may have been decoded before.
func derive(desks *desk.Set, rec *record.Record, body any) (*store.Row, error) {
	k := desks.Kind(rec.Kind)
	if k == nil {
		return nil, record.Errorf(record.Internal, "intake.derive", "no desk declares the kind %q", rec.Kind)
	}
	if body == nil {
		var err error
		if body, err = k.Parse(rec.Body); err != nil {
			return nil, &record.Error{Code: record.Corrupt, Op: "intake.derive", Message: "the stored body cannot be read", Err: err}
		}
	}
	ix := k.Index(rec, body)
	row := &store.Row{Record: rec, Title: ix.Title, Facet: ix.Facet, Open: slices.Contains(k.Open, rec.State)}
	var sb strings.Builder
	for _, t := range ix.Text {
		for _, w := range store.Fold(t) {
			sb.WriteByte(' ')
			sb.WriteString(w)
		}
	}
	for _, id := range ix.IDs {
		if t := store.FoldID(id); t != "" {
			sb.WriteByte(' ')
			sb.WriteString(t)
		}
	}
	for _, n := range ix.Names {
		for _, key := range name.Keys(n) {
			sb.WriteByte(' ')
			sb.WriteString(store.NameTerm(key))
		}
	}
	row.Words = sb.String()
	if rec.Place != nil && rec.Place.Geometry != nil {
		box, err := rec.Place.Geometry.Bounds()
		if err != nil {
			return nil, err
		}
		row.Box = &box
	}
	return row, nil
}

// each calls fn for every answer of a job.
func (j *job) each(fn func(err *error)) {
	for _, p := range j.cmds {
		fn(&p.err)
	}
	for _, n := range j.notes {
		fn(&n.err)
	}
	if j.arrival != nil {
		fn(&j.arrival.err)
	}
	for _, p := range j.purges {
		fn(&p.err)
	}
}

func refuse(jobs []*job, err error) {
	for _, j := range jobs {
		j.each(func(was *error) {
			if *was == nil {
				*was = err
			}
		})
	}
	answer(jobs)
}

// promises reports whether anything is acknowledged, and not only refused.
func promises(jobs []*job) (any bool) {
	for _, j := range jobs {
		j.each(func(err *error) { any = any || *err == nil })
	}
	return any
}

func answer(jobs []*job) {
	for _, j := range jobs {
		j.each(func(err *error) { *err = late(*err) })
		close(j.answers)
	}
}

// commit writes decided batches one after the other and answers them.
func (in *Intake) commit(work <-chan *batch) {
	for {
		select {
		case in.idle <- struct{}{}:
		default:
		}
		b, ok := <-work
		if !ok {
			return
		}
		select {
		case <-in.idle:
		default:
		}
		in.mu.Lock()
		stale := b.stamp != in.failed
		in.mu.Unlock()
		var err error
		if stale || len(b.Items) == 0 {
			err = in.pass(!stale && promises(b.jobs))
		}
		if stale { // it builds on a batch that did not reach the disk
			err = record.Errorf(record.Unavailable, "intake", "nothing was saved: the change before this one could not be written; try again")
		} else if len(b.Items) == 0 {
			if err == nil {
				answer(b.jobs)
				continue
			}
		} else if err = in.save(b); err != nil {
			in.mu.Lock()
			in.failed++
			in.mu.Unlock()
			in.cfg.Log.Error("commit failed", "entries", len(b.Items), "error", err)
		}
		if err != nil {
			refuse(b.jobs, err)
			continue
		}
		in.wrote(&b.Batch)
		in.mu.Lock()
		in.kept++
		in.follow(b.tree, b.Checkpoint)
		in.mu.Unlock()
		in.removeOrphans(b.Items)
		answer(b.jobs)
	}
}

func (in *Intake) save(b *batch) error {
	ctx, cancel := in.within(saving)
	defer cancel()
	return in.cfg.Store.Commit(ctx, &b.Batch)
}

// wrote notes that what is kept in memory will show what the batch changed: who
// gave the ops sees to that.
func (in *Intake) wrote(b *store.Batch) {
	if in.shared == nil {
		return
	}
	in.moving.Lock()
	defer in.moving.Unlock()
	for _, it := range b.Items {
		if slices.ContainsFunc(it.Ops, store.Rests) && it.Entry.Seq+1 > in.ops {
			in.ops = it.Entry.Seq + 1
		}
	}
}

// removeOrphans deletes the attachments of erased records. What a crash keeps it
// from deleting, the sweep of attachments finds.
func (in *Intake) removeOrphans(items []*store.Item) {
	for _, it := range items {
		for _, hash := range it.Orphans {
			if in.cfg.Blobs == nil {
				return
			}
			if err := in.cfg.Blobs.Remove(hash); err != nil {
				in.cfg.Log.Error("attachment of an erased record", "hash", hash, "error", err)
			}
		}
	}
}
