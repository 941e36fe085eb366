// Package intake is the one way in: a change from a browser, a radio, a file or
// another agency becomes a Command, and intake authorises it, decides it, signs
// it and commits it. It is the only caller of store.Commit.
//
// Commands that arrive together share one transaction and one fsync, and see
// each other, so that two dispatchers cannot take the same ambulance. An answer
// means: on disk.
package intake

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"konbit/desk"
	"konbit/ledger"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Directory is what intake asks about agencies, as they are today.
type Directory interface {
	Agencies() []string                 // all, sorted
	Communities(agency string) []string // nil for an unknown agency
	Known(name string) bool             // an agency, a community or a person exists
	Local(agency string) bool           // served by this node
	NodeOf(agency string) string        // name of the node that serves it, "" when it is not known

	// Key returns the public key with which an agency signed what it recorded at
	// a time, nil when the key id names none that counted then.
	Key(agency, keyID string, at time.Time) ed25519.PublicKey
}

// Blobs is what intake asks about attachments.
type Blobs interface {
	// Claim returns what the node found the content to be, when the person has
	// uploaded it himself of late.
	Claim(person, hash string) (typ string, size int64, ok bool)
	// Remove deletes content that no record holds any more.
	Remove(hash string) error
}

// Keys signs for the agencies of this node.
type Keys interface {
	// Key returns the agency's private key, nil when the node does not serve it.
	Key(agency string) ed25519.PrivateKey
}

// Config is what a new Intake needs. Every field is required but Region,
// Blobs, Log and Moved.
type Config struct {
	Store     store.Store
	Desks     *desk.Set
	Directory Directory
	Keys      Keys
	Blobs     Blobs
	Signer    note.Signer // signs checkpoints
	Verifier  string      // its public half, a vkey of golang.org/x/mod/sumdb/note
	Origin    string      // the ledger's name in checkpoints
	Now       func() time.Time
	Region    *record.Box // places outside are kept and flagged
	Log       *slog.Logger

	// Moved is called when another process on the same store has changed agencies,
	// people or nodes, before anything is decided on them. It must not wait for a
	// command or an entry of its own. Nil: nothing is kept in memory.
	Moved func(ctx context.Context) error
}

// Draft is what a person or a file supplies to make or edit a record.
type Draft struct {
	ID          record.ID           `json:"id,omitzero"`
	Observed    time.Time           `json:"observed"`
	Marking     record.Marking      `json:"marking"`
	Place       *record.Place       `json:"place,omitempty"`
	Links       []record.Link       `json:"links,omitempty"`
	Attachments []record.Attachment `json:"attachments,omitempty"`
	Key         string              `json:"key,omitempty"`
	Flags       []string            `json:"flags,omitempty"`
	Note        string              `json:"note,omitempty"`
	Body        json.RawMessage     `json:"body"`
}

// Command is one act of one person on one record.
type Command struct {
	ID      record.ID // names the act, so that a retry returns the first answer; zero: it cannot be retried
	Kind    string
	Name    string // desk.Create, desk.Edit, desk.Mark, desk.Erase or one of the workflow
	Record  record.ID
	Version int // refuse unless this is the newest; 0: whatever it is
	By      *policy.Reader
	Note    string
	Draft   *Draft          // of Create and Edit
	Marking *record.Marking // of Mark
	Args    json.RawMessage // of the workflow's commands
	Upsert  bool            // Create: an existing record is edited when it differs
	Hops    int             // how many reactions led here

	// Automatic is set by package react alone: the node acts for the owner by
	// itself, on records whose marking names persons, too.
	Automatic bool
}

// Status says what became of a command.
type Status string

// The outcomes of a command that was not refused.
const (
	Created   Status = "created"
	Updated   Status = "updated"
	Unchanged Status = "unchanged" // it was given before, or there was nothing to change
)

// Receipt is the answer: the record as it now is on disk.
type Receipt struct {
	Status Status
	Seq    int64 // ledger position of the change
	Record *record.Record
}

// Look is one person's look at one version of a record.
type Look struct {
	Reader  *policy.Reader
	Record  record.ID
	Kind    string
	Owner   string
	Version int
	How     string // "open", "list", "export", "attachment"
}

// MaxHops ends a chain of reactions that trigger each other.
const MaxHops = 5

// maxBatch bounds one transaction, in commands.
const maxBatch = 1000

// Intake decides and commits. Make it with New, end it with Close.
type Intake struct {
	cfg   Config
	queue chan *job
	idle  chan struct{} // holds a token while the committer waits for work
	quit  chan struct{}
	done  sync.WaitGroup
	quiet sync.RWMutex // held for reading while a job is being queued
	shut  bool

	shared store.Shared // nil: no other process writes

	mu     sync.Mutex
	size   int64
	woken  chan struct{} // closed and replaced when the ledger grows
	failed uint64        // commits that failed
	kept   uint64        // commits that are on disk
	note   []byte        // newest checkpoint
	disk   *ledger.Tree  // a tree that was on disk; nil: not known yet

	moving sync.Mutex
	ops    int64 // State.Ops that what is kept in memory reflects
}

// job is what waits for the committer: commands or entries, and where the
// answers go.
type job struct {
	cmds    []*prepared
	notes   []*entryNote
	arrival *arriving
	purges  []*purging
	answers chan struct{}
}

// size is how much a job is to decide, in commands.
func (j *job) size() int {
	n := len(j.cmds) + len(j.notes) + len(j.purges)
	if j.arrival != nil {
		n += 1 + len(j.arrival.items)
	}
	return n
}

type prepared struct {
	*Command
	kind    *desk.Kind
	body    any
	raw     json.RawMessage
	caveats []string
	err     error
	receipt Receipt
}

type entryNote struct {
	typ, agency, actor string
	record             record.ID
	version            int
	content            []byte
	ops                []store.Op
	base               int64 // State.Ops on which ops were made
	seq                int64
	err                error
}

// New starts the committer. It reads the ledger's head and refuses one whose
// checkpoint this node's key did not sign or whose tree differs from it.
func New(ctx context.Context, cfg Config) (*Intake, error) {
	in := &Intake{cfg: cfg, queue: make(chan *job, 1024), idle: make(chan struct{}, 1), quit: make(chan struct{}), woken: make(chan struct{})}
	in.shared, _ = cfg.Store.(store.Shared)
	if in.shared != nil {
		now, err := in.shared.State(ctx)
		if err != nil {
			return nil, err
		}
		in.ops = now.Ops
	}
	d, err := in.newDecider(ctx)
	if err != nil {
		return nil, err
	}
	in.size = d.tree.Size()
	work := make(chan *batch)
	in.done.Add(2)
	go func() { defer in.done.Done(); d.run(work) }()
	go func() { defer in.done.Done(); in.commit(work) }()
	return in, nil
}

// Close refuses new commands, finishes those that wait, and returns when they
// are answered.
func (in *Intake) Close() {
	in.quiet.Lock()
	shut := in.shut
	in.shut = true
	in.quiet.Unlock()
	if !shut {
		close(in.queue)
	}
	in.done.Wait()
}

// Size returns how many ledger entries are on disk.
func (in *Intake) Size() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.size
}

// Commits returns how many transactions were committed since the start.
func (in *Intake) Commits() uint64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.kept
}

// Queue returns how many jobs wait for a decision.
func (in *Intake) Queue() int { return len(in.queue) }

// Checkpoint returns the newest signed checkpoint.
func (in *Intake) Checkpoint() []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.note
}

// Serves reports whether this node keeps the records of an agency.
func (in *Intake) Serves(agency string) bool { return in.cfg.Keys.Key(agency) != nil }

// Grown returns the ledger's size and a channel that is closed when it grows.
func (in *Intake) Grown() (size int64, grown <-chan struct{}) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.size, in.woken
}

// Do gives one command and waits until it is on disk or refused.
func (in *Intake) Do(ctx context.Context, c *Command) (Receipt, error) {
	r, errs := in.DoAll(ctx, []*Command{c})
	return r[0], errs[0]
}

// DoAll gives many commands, in order, and waits for all of them. Each is
// decided by itself: one that is refused does not stop the others.
func (in *Intake) DoAll(ctx context.Context, cmds []*Command) (receipts []Receipt, errs []error) {
	for part := range slices.Chunk(cmds, maxBatch) {
		r, e := in.doPart(ctx, part)
		receipts, errs = append(receipts, r...), append(errs, e...)
	}
	return receipts, errs
}

func (in *Intake) doPart(ctx context.Context, cmds []*Command) ([]Receipt, []error) {
	j := &job{answers: make(chan struct{})}
	receipts, errs := make([]Receipt, len(cmds)), make([]error, len(cmds))
	waits := make([]int, 0, len(cmds)) // positions in cmds of j.cmds
	for i, c := range cmds {
		p := in.prepare(c)
		if errs[i] = p.err; p.err == nil {
			j.cmds, waits = append(j.cmds, p), append(waits, i)
		}
	}
	err := in.enqueue(ctx, j)
	for n, i := range waits {
		if err != nil { // the committer may still be at work on them
			errs[i] = err
		} else if errs[i] = j.cmds[n].err; errs[i] == nil {
			receipts[i] = j.cmds[n].receipt
		}
	}
	return receipts, errs
}

// Note writes an entry that is not a change of a record, together with changes
// of accounts. content must hold no secret. It is a Conflict when another process
// changed agencies, people or nodes meanwhile and ops change those: they were made
// without knowing of it.
func (in *Intake) Note(ctx context.Context, typ, agency, actor string, content any, ops ...store.Op) (int64, error) {
	b, err := json.Marshal(content)
	if err != nil {
		return 0, err
	}
	in.moving.Lock()
	n := &entryNote{typ: typ, agency: agency, actor: actor, content: b, ops: ops, base: in.ops}
	in.moving.Unlock()
	if err := in.enqueue(ctx, &job{notes: []*entryNote{n}, answers: make(chan struct{})}); err != nil {
		return 0, err
	}
	return n.seq, n.err
}

// Looked records looks and returns when they are on disk.
func (in *Intake) Looked(ctx context.Context, looks []Look) error {
	j := &job{answers: make(chan struct{})}
	for _, l := range looks {
		content, err := json.Marshal(struct {
			Kind    string `json:"kind"`
			Owner   string `json:"owner"`
			How     string `json:"how"`
			Purpose string `json:"purpose,omitempty"`
		}{l.Kind, l.Owner, l.How, l.Reader.Purpose})
		if err != nil {
			return err
		}
		j.notes = append(j.notes, &entryNote{typ: "look", agency: l.Reader.Agency, actor: l.Reader.Person, record: l.Record, version: l.Version, content: content})
	}
	if err := in.enqueue(ctx, j); err != nil {
		return err
	}
	for _, n := range j.notes {
		if n.err != nil {
			return n.err
		}
	}
	return nil
}

// enqueue hands a job to the committer and waits for its end. A caller that
// gives up does not undo the job.
func (in *Intake) enqueue(ctx context.Context, j *job) error {
	if j.size() == 0 {
		return nil
	}
	if err := in.submit(ctx, j); err != nil {
		return err
	}
	return in.wait(ctx, j)
}

// submit hands a job to the committer, wait waits for its end.
func (in *Intake) submit(ctx context.Context, j *job) error {
	in.quiet.RLock()
	if in.shut {
		in.quiet.RUnlock()
		return record.Errorf(record.Unavailable, "intake", "the node is shutting down")
	}
	select {
	case in.queue <- j:
		in.quiet.RUnlock()
		return nil
	case <-ctx.Done():
		in.quiet.RUnlock()
		return ctx.Err()
	}
}

func (in *Intake) wait(ctx context.Context, j *job) error {
	select {
	case <-j.answers:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare checks what can be checked without knowing the record: rights, body,
// header. It runs in the caller's goroutine.
func (in *Intake) prepare(c *Command) *prepared {
	p := &prepared{Command: c, kind: in.cfg.Desks.Kind(c.Kind)}
	p.err = in.check(p)
	return p
}

func (in *Intake) check(p *prepared) error {
	if p.kind == nil {
		return record.Errorf(record.NotFound, p.Kind, "there is no kind %.60q", p.Kind)
	}
	op := p.Kind + "." + p.Name
	if err := p.By.May(p.kind, p.Name); err != nil {
		return err
	}
	if slices.Contains(p.kind.Automatic, p.Name) && !p.Automatic {
		return record.Errorf(record.Denied, op, "nobody gives this command: it follows from something")
	}
	if p.Upsert {
		if err := p.By.May(p.kind, desk.Edit); err != nil {
			return err
		}
	}
	if p.Hops > MaxHops {
		return record.Errorf(record.Stale, op, "reactions trigger each other without end")
	}
	if in.cfg.Keys.Key(p.By.Agency) == nil {
		return record.Errorf(record.Denied, op, "this node does not keep records for %s", p.By.Agency)
	}
	var f record.Fields
	if p.Record.IsZero() {
		f.Add("id", "required", "an identifier (UUIDv7) is required")
	}
	switch note := p.Command.Note; {
	case !utf8.ValidString(note):
		f.Add("note", "utf8", "not valid UTF-8")
	case utf8.RuneCountInString(note) > 2000:
		f.Add("note", "max", "at most 2000 characters")
	case record.Control(note):
		f.Add("note", "control", "holds a control character")
	}
	switch p.Name {
	case desk.Create, desk.Edit:
		if p.Draft == nil {
			f.Add("body", "required", "is required")
			break
		}
		f = append(f, in.checkDraft(p)...)
	case desk.Mark:
		if p.Marking == nil {
			f.Add("args", "required", "a marking is required")
			break
		}
		m := p.Marking.Clone()
		p.Marking = &m
		f = append(f, in.checkMarking(p.Marking)...)
	case desk.Erase:
		if p.Command.Note == "" {
			f.Add("note", "required", "say on what ground the content is erased")
		}
	}
	return f.Err(op)
}

func (in *Intake) checkDraft(p *prepared) record.Fields {
	d := p.Draft
	var f record.Fields
	var bf record.Fields
	if len(d.Body) == 0 {
		f.Add("body", "required", "is required")
	} else if p.body, p.raw, bf = p.kind.Decode(d.Body); len(bf) > 0 {
		f = append(f, bf...)
	} else {
		p.caveats = p.kind.CaveatsFor(p.body)
	}
	h := record.Header{ID: p.Record, Observed: d.Observed, Marking: d.Marking, Note: d.Note, Key: d.Key, Place: d.Place, Links: d.Links, Attachments: d.Attachments}
	keeps := p.Name == desk.Edit && d.Marking.TLP == "" && len(d.Marking.To)+len(d.Marking.Persons)+len(d.Marking.Caveats) == 0 && d.Marking.Expires == nil
	if keeps { // an edit without a marking leaves the one that there is
		h.Marking.TLP = record.Red
	}
	now := in.cfg.Now()
	f = append(f, h.CheckHeader(now)...)
	if !keeps {
		f = append(f, in.known(&d.Marking)...)
	}
	if len(d.Flags) > 20 {
		f.Add("flags", "max", "at most 20 flags")
	}
	for i, fl := range d.Flags {
		if !record.Token(fl) {
			f.Add(record.Index("flags", i), "invalid", "a flag is a short lower-case word")
		}
	}
	return f
}

func (in *Intake) checkMarking(m *record.Marking) record.Fields {
	f := m.Check(in.cfg.Now())
	return append(f, in.known(m)...)
}

// known refuses an audience that does not exist: a typing error must not pass
// for a release.
func (in *Intake) known(m *record.Marking) record.Fields {
	var f record.Fields
	for i, a := range m.To {
		if !in.cfg.Directory.Known(a) {
			f.Add(record.Index("marking.to", i), "unknown-name", fmt.Sprintf("%.80q is not in the directory", a))
		}
	}
	for i, a := range m.Persons {
		if !in.person(a) {
			f.Add(record.Index("marking.persons", i), "unknown-name", fmt.Sprintf("%.160q is not in the directory", a))
		}
	}
	return f
}

// person reports whether somebody can be named. Who works for an agency that
// is not served here cannot be listed here: his form must do.
func (in *Intake) person(name string) bool {
	agency, _, _ := strings.Cut(name, "/")
	d := in.cfg.Directory
	return d.Known(name) || record.PersonID(name) && d.Known(agency) && !d.Local(agency)
}
