package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"konbit/blob"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// The topics of the words about attachments.
const (
	wordWant  = "want"  // give me this piece of an attachment
	wordChunk = "chunk" // here it is
)

// The parts of an attachment.
const (
	partThumb = "thumb"
	partFull  = "full"
)

type wantWord struct {
	Hash   string    `json:"hash"`
	Part   string    `json:"part"`
	Offset int64     `json:"offset"`
	Chunks int       `json:"chunks"` // that may come
	Record record.ID `json:"record"` // that holds it
	Idle   bool      `json:"idle,omitempty"`
}

type chunkWord struct {
	Hash    string `json:"hash"`
	Part    string `json:"part"`
	Offset  int64  `json:"offset"`
	Total   int64  `json:"total,omitempty"`
	Bytes   []byte `json:"bytes,omitempty"`
	More    bool   `json:"more,omitempty"`    // another one of the same want follows
	Refused string `json:"refused,omitempty"` // "not-released", "none", "later"
}

const (
	chunkSize   = 24 << 10
	chunksAhead = 2           // under way from one node
	mostThumb   = 256 << 10   // bytes of a small picture
	chunkLate   = time.Minute // until a want is taken for lost; doubled each time
	wantLast    = time.Hour   // but not beyond
	wantLater   = 30 * time.Second
	wantHeld    = 6 * time.Hour // until what was refused is asked for again
	maxSpoilt   = 3             // times that a content may turn out to be another
	attachName  = "attach"      // of the follower
)

// wanted is an attachment of records that other nodes sent, and that is not
// here. It is kept as a file, beside the bytes that have come.
type wanted struct {
	Hash    string      `json:"hash"`
	Type    string      `json:"type"`
	Size    int64       `json:"size"`
	Node    string      `json:"node"`    // whose records hold it
	Records []record.ID `json:"records"` // newest last
	Thumb   bool        `json:"thumb"`   // the small picture is still to come
	Asked   bool        `json:"asked"`   // somebody waits for it
	Spoilt  int         `json:"spoilt,omitempty"`

	got   int64  // bytes of the content that are here
	small []byte // of the small picture
	tries int
	after time.Time // not before
}

// giver is what is fetched from one node: one piece of one attachment at a time.
type giver struct {
	queues [3][]string // hashes: somebody waits; small pictures; the rest, when the link is idle
	busy   string      // hash; "": nothing is under way
	part   string
	since  time.Time
}

// attachments follow the records that hold them, lazily: the small picture first,
// the rest when somebody opens it or when nothing else waits on the line.
type attachments struct {
	store     store.Store
	blobs     *blob.Store
	dir       Directory
	folder    string
	nodeOf    func(agency string) string
	node      func(name string) *store.Node
	send      func(node string, items ...bundle.Item)
	unsay     func(node, topic string) // words that were not sent yet
	room      func(urgent bool) error  // whether the disk has room
	alarm     func(ctx context.Context, node, code, text string, id record.ID)
	reachable func(node string) bool
	waits     func(ctx context.Context, node string) bool // shares of ours wait for the node
	grown     func() (int64, <-chan struct{})
	now       func() time.Time
	log       *slog.Logger
	kick      signal

	mu     sync.Mutex
	seq    int64
	want   map[string]*wanted     // by hash
	by     map[record.ID][]string // hashes of wanted ones, by record
	from   map[string]*giver      // by node
	whole  []string               // hashes whose bytes are all here
	thumbs []string               // hashes whose small picture is
}

func (x *Exchange) openAttachments(ctx context.Context) error {
	a := &attachments{store: x.cfg.Store, blobs: x.cfg.Blobs, dir: x.cfg.Directory, folder: filepath.Join(x.cfg.Folder, attachName), nodeOf: x.cfg.Trust.NodeOf, node: x.cfg.Trust.Node, send: x.Talk, unsay: x.stream.talks.forget, room: x.stream.disk.room, alarm: x.alarm,
		reachable: func(node string) bool { return x.links.route(node) != nil }, grown: x.cfg.Intake.Grown, now: x.cfg.Now, log: x.cfg.Log,
		waits: func(ctx context.Context, node string) bool {
			out, err := x.outgoing(ctx, node)
			return err != nil || out.Waiting != [store.Lanes]int{}
		}}
	x.attach = a
	if a.blobs == nil {
		return nil
	}
	x.OnWord(wordWant, a.onWant)
	x.OnWord(wordChunk, a.onChunk)
	x.OnLink(func(context.Context, string) { a.kick.now() })
	return a.open(ctx)
}

// open reads what is wanted.
func (a *attachments) open(ctx context.Context) (err error) {
	a.want, a.by, a.from = map[string]*wanted{}, map[record.ID][]string{}, map[string]*giver{}
	if err := os.MkdirAll(a.folder, 0o700); err != nil {
		return err
	}
	if a.seq, err = a.store.Cursor(ctx, attachName); err != nil {
		return err
	}
	files, err := os.ReadDir(a.folder)
	if err != nil {
		return err
	}
	for _, f := range files {
		hash, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok {
			continue
		}
		b, err := os.ReadFile(a.path(hash, ".json"))
		w := &wanted{}
		if err != nil || json.Unmarshal(b, w) != nil || w.Hash != hash {
			a.log.Warn("attachments: a note cannot be read and is dropped", "file", f.Name())
			a.unlink(hash)
			continue
		}
		if st, err := os.Stat(a.path(hash, ".part")); err == nil {
			w.got = st.Size()
		}
		a.add(w)
		if w.got >= w.Size {
			a.whole = append(a.whole, hash)
		}
	}
	return nil
}

func (a *attachments) path(hash, ext string) string { return filepath.Join(a.folder, hash+ext) }

func (a *attachments) unlink(hash string) {
	for _, ext := range []string{".json", ".part"} {
		if err := os.Remove(a.path(hash, ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.log.Error("attachments: a file cannot be removed", "hash", hash, "error", err)
		}
	}
}

// keep writes what is known of a wanted one. It is called with mu held.
func (a *attachments) keep(w *wanted) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	tmp := a.path(w.Hash, ".new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, a.path(w.Hash, ".json"))
}

// add puts a wanted one into the queues. It is called with mu held, or before there is anybody else.
func (a *attachments) add(w *wanted) {
	a.want[w.Hash] = w
	for _, id := range w.Records {
		a.by[id] = append(a.by[id], w.Hash)
	}
	g := a.giver(w.Node)
	if w.Thumb {
		g.queues[1] = append(g.queues[1], w.Hash)
	}
	if w.Asked {
		g.queues[0] = append(g.queues[0], w.Hash)
	} else {
		g.queues[2] = append(g.queues[2], w.Hash)
	}
}

func (a *attachments) giver(node string) *giver {
	g := a.from[node]
	if g == nil {
		g = &giver{}
		a.from[node] = g
	}
	return g
}

// runAttachments follows the ledger for attachments of foreign records and
// fetches them, until ctx ends.
func (x *Exchange) runAttachments(ctx context.Context) error {
	a := x.attach
	if a.blobs == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		_, grown := a.grown()
		kicked := a.kick.wait()
		if err := a.step(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("attachments", "error", err)
			grown = nil
		}
		select {
		case <-grown:
		case <-kicked:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// step does what can be done now.
func (a *attachments) step(ctx context.Context) error {
	if err := a.follow(ctx); err != nil {
		return err
	}
	if err := a.adopt(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for node, g := range a.from {
		if n := a.node(node); n != nil && n.State == store.NodeActive && a.reachable(node) {
			a.ask(ctx, n, g)
		}
	}
	return nil
}

// follow notes what new versions of foreign records hold, and forgets what was purged.
func (a *attachments) follow(ctx context.Context) error {
	size, _ := a.grown()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seq >= size {
		return nil
	}
	var fault error
	seq := a.seq
	err := a.store.Entries(ctx, a.seq, size, func(l *store.Logged) bool {
		switch {
		case l.Type == "erase":
			a.purged(ctx, l.Record)
		case l.Type == "change" && !l.Entry.Erased() && bytes.Contains(l.Content, []byte(`"attachments":[`)) && !a.dir.Local(l.Agency):
			var rec record.Record
			if fault = json.Unmarshal(l.Content, &rec); fault == nil {
				fault = a.holds(&rec)
			}
		}
		if fault == nil {
			seq = l.Seq + 1
		}
		return fault == nil && ctx.Err() == nil
	})
	if err == nil {
		err = fault
	}
	if seq > a.seq {
		if e := a.store.SetCursor(ctx, attachName, seq); e != nil {
			return errors.Join(err, e)
		}
		a.seq = seq
	}
	return err
}

// holds wants what a foreign record holds and is not here. It is called with mu held.
func (a *attachments) holds(rec *record.Record) error {
	node := a.nodeOf(rec.Owner)
	for _, at := range rec.Attachments {
		if a.blobs.Has(at.Hash) || !isHash(at.Hash) || at.Size <= 0 || at.Size > blob.MaxFile || node == "" {
			continue
		}
		w := a.want[at.Hash]
		fresh := w == nil
		if fresh {
			w = &wanted{Hash: at.Hash, Type: at.Type, Size: at.Size, Node: node, Thumb: strings.HasPrefix(at.Type, "image/")}
		}
		if w.Node != node || slices.Contains(w.Records, rec.ID) {
			continue // somebody else's record has the same content: it comes from the first
		}
		w.Records = append(w.Records, rec.ID)
		if err := a.keep(w); err != nil {
			return err
		}
		if fresh {
			a.add(w)
		} else {
			a.by[rec.ID] = append(a.by[rec.ID], w.Hash)
		}
	}
	return nil
}

func isHash(s string) bool {
	return len(s) == 64 && strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }) < 0
}

// purged forgets a record. What no record holds any more is not fetched, and what
// has come of it goes. It is called with mu held.
func (a *attachments) purged(ctx context.Context, id record.ID) {
	hashes := a.by[id]
	delete(a.by, id)
	for _, hash := range hashes {
		w := a.want[hash]
		if w == nil {
			continue
		}
		w.Records = slices.DeleteFunc(w.Records, func(o record.ID) bool { return o == id })
		if len(w.Records) == 0 {
			a.drop(hash)
			a.orphan(ctx, hash)
		} else if err := a.keep(w); err != nil {
			a.log.Error("attachments", "hash", hash, "error", err)
		}
	}
}

// drop ends wanting. It is called with mu held.
func (a *attachments) drop(hash string) {
	if w := a.want[hash]; w != nil {
		if g := a.from[w.Node]; g != nil && g.busy == hash {
			g.busy = ""
		}
	}
	if w := a.want[hash]; w != nil {
		for _, id := range w.Records {
			if a.by[id] = slices.DeleteFunc(a.by[id], func(h string) bool { return h == hash }); len(a.by[id]) == 0 {
				delete(a.by, id)
			}
		}
	}
	delete(a.want, hash)
	a.unlink(hash)
}

// orphan removes what is stored of a content that no record holds: a small
// picture that came before it was purged.
func (a *attachments) orphan(ctx context.Context, hash string) {
	if held, err := a.store.Attached(ctx, hash); err != nil || held {
		return
	}
	if err := a.blobs.Remove(hash); err != nil {
		a.log.Error("attachments: an orphan cannot be removed", "hash", hash, "error", err)
	}
}

// adopt examines and keeps what has come whole.
func (a *attachments) adopt(ctx context.Context) error {
	for {
		a.mu.Lock()
		var hash, part string
		var small []byte
		switch {
		case len(a.thumbs) > 0:
			hash, part, a.thumbs = a.thumbs[0], partThumb, a.thumbs[1:]
		case len(a.whole) > 0:
			hash, part, a.whole = a.whole[0], partFull, a.whole[1:]
		}
		w := a.want[hash]
		if w != nil {
			small = w.small
			c := *w
			w = &c
		}
		a.mu.Unlock()
		if hash == "" {
			return nil
		}
		if w == nil {
			continue // purged meanwhile
		}
		// The decoder works without the lock: words go on being taken.
		held, err := a.store.Attached(ctx, hash)
		if err != nil {
			return err
		}
		if held && part == partThumb {
			err = a.blobs.AdoptThumb(ctx, hash, bytes.NewReader(small))
		} else if held {
			err = a.adoptWhole(ctx, w)
		}
		if c := record.CodeOf(err); c == record.Unavailable || ctx.Err() != nil {
			a.mu.Lock() // of a full disk nobody else is to blame
			if part == partFull {
				a.whole = append(a.whole, hash)
			} else {
				a.thumbs = append(a.thumbs, hash)
			}
			a.mu.Unlock()
			return err
		}
		a.settle(ctx, hash, part, err)
	}
}

func (a *attachments) adoptWhole(ctx context.Context, w *wanted) error {
	f, err := os.Open(a.path(w.Hash, ".part"))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = a.blobs.Adopt(ctx, w.Hash, w.Type, f)
	return err
}

// settle ends one part; err says why the content was not what it should be.
func (a *attachments) settle(ctx context.Context, hash, part string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.want[hash]
	if w == nil { // purged while it was examined
		a.orphan(ctx, hash)
		return
	}
	var id record.ID
	if len(w.Records) > 0 {
		id = w.Records[len(w.Records)-1]
	}
	if err != nil {
		a.alarm(ctx, w.Node, "bad-attachment", "an attachment was not taken: "+err.Error(), id)
	}
	switch {
	case part == partThumb:
		w.Thumb, w.small = false, nil
	case err == nil:
		a.drop(hash)
		a.orphan(ctx, hash)
		return
	default:
		w.got, w.after = 0, a.now().Add(wantHeld)
		if err := os.Remove(a.path(hash, ".part")); err != nil {
			a.log.Error("attachments", "hash", hash, "error", err)
		}
		if w.Spoilt++; w.Spoilt >= maxSpoilt {
			a.drop(hash)
			return
		}
		a.giver(w.Node).back(w, part)
	}
	if err := a.keep(w); err != nil {
		a.log.Error("attachments", "hash", hash, "error", err)
	}
}

// ask asks a node for the next piece, unless one is under way. It is called with mu held.
func (a *attachments) ask(ctx context.Context, n *store.Node, g *giver) {
	now := a.now()
	if w := a.want[g.busy]; w != nil {
		if d := now.Sub(g.since); d < chunkLate && d >= 0 {
			return
		}
		w.after = now.Add(min(wantLast, chunkLate<<min(w.tries, 6)))
		w.tries++
		g.back(w, g.part)
	}
	g.busy = ""
	w, part, idle := a.next(g, now, func() bool { return !a.waits(ctx, n.Name) })
	if w == nil {
		return
	}
	g.busy, g.part, g.since = w.Hash, part, now
	word := wantWord{Hash: w.Hash, Part: part, Offset: w.got, Chunks: chunksAhead, Record: w.Records[len(w.Records)-1], Idle: idle}
	if part == partThumb {
		word.Offset = int64(len(w.small))
	}
	a.send(n.Name, say(wordWant, word))
}

// back puts an attachment at the front of its queue.
func (g *giver) back(w *wanted, part string) {
	q := 2
	if part == partThumb {
		q = 1
	} else if w.Asked {
		q = 0
	}
	g.queues[q] = append([]string{w.Hash}, g.queues[q]...)
}

// mostTried is how many of a queue are looked at for one whose time has come.
const mostTried = 100

// next takes the most wanted one from the queues; from the last one only when
// the link is idle.
func (a *attachments) next(g *giver, now time.Time, idle func() bool) (w *wanted, part string, rest bool) {
	for i := range g.queues {
		part = partFull
		if i == 1 {
			part = partThumb
		}
		if i == 2 && (len(g.queues[i]) == 0 || !idle()) {
			break
		}
		for range min(mostTried, len(g.queues[i])) {
			hash := g.queues[i][0]
			g.queues[i] = g.queues[i][1:]
			w := a.want[hash]
			switch {
			case w == nil, part == partThumb && !w.Thumb, i == 2 && w.Asked, w.got >= w.Size: // done, or in another queue
			case now.Before(w.after):
				g.queues[i] = append(g.queues[i], hash)
			default:
				return w, part, i == 2
			}
		}
	}
	return nil, "", false
}

// onWant gives a piece of an attachment, when a record that holds it is released
// to the node that asks, now.
func (a *attachments) onWant(ctx context.Context, from *store.Node, it bundle.Item) error {
	var w wantWord
	if json.Unmarshal(it.Payload, &w) != nil || !isHash(w.Hash) || w.Part != partThumb && w.Part != partFull || w.Offset < 0 {
		return badWord(wordWant)
	}
	refuse := func(why string) error {
		a.send(from.Name, say(wordChunk, chunkWord{Hash: w.Hash, Part: w.Part, Offset: w.Offset, Refused: why}))
		return nil
	}
	ok, err := a.released(ctx, from, &w)
	switch {
	case err != nil:
		return err
	case !ok:
		return refuse("not-released")
	case w.Idle && a.waits(ctx, from.Name):
		return refuse("later")
	}
	open := a.blobs.Open
	if w.Part == partThumb {
		open = a.blobs.Thumb
	}
	f, info, err := open(w.Hash)
	if err != nil {
		if record.CodeOf(err) == record.NotFound {
			return refuse("none")
		}
		return err
	}
	defer f.Close()
	if _, err := f.Seek(w.Offset, io.SeekStart); err != nil {
		return err
	}
	for left := min(max(w.Chunks, 1), 2*chunksAhead); left > 0; left-- {
		b := make([]byte, chunkSize)
		n, err := io.ReadFull(f, b)
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		end := w.Offset + int64(n)
		a.send(from.Name, say(wordChunk, chunkWord{Hash: w.Hash, Part: w.Part, Offset: w.Offset, Total: info.Size, Bytes: b[:n], More: left > 1 && end < info.Size}))
		if w.Offset = end; end >= info.Size {
			break
		}
	}
	if ok, err := a.released(ctx, from, &w); !ok || err != nil { // it ended just now, perhaps before these pieces could be dropped
		a.unsay(from.Name, wordChunk)
		return err
	}
	return nil
}

// released reports whether the record holds the attachment and goes to the node.
func (a *attachments) released(ctx context.Context, to *store.Node, w *wantWord) (bool, error) {
	s, err := a.store.Get(ctx, w.Record)
	if record.CodeOf(err) == record.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r := s.Record
	return a.dir.Local(r.Owner) && slices.ContainsFunc(r.Attachments, func(at record.Attachment) bool { return at.Hash == w.Hash }) &&
		scopeOf(a.dir, to).reaches(r.Owner, &r.Marking, r.Recorded, a.now()), nil
}

// onChunk takes a piece.
func (a *attachments) onChunk(ctx context.Context, from *store.Node, it bundle.Item) error {
	var c chunkWord
	if json.Unmarshal(it.Payload, &c) != nil {
		return badWord(wordChunk)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.want[c.Hash]
	g := a.from[from.Name]
	if w == nil || w.Node != from.Name || g == nil || g.busy != c.Hash || g.part != c.Part {
		return nil // purged meanwhile, or late: what it brings is asked for again
	}
	if c.Refused != "" {
		a.refused(w, g, &c)
		return nil
	}
	done, err := a.takeChunk(w, &c)
	if err != nil {
		g.busy = ""
		w.after = a.now().Add(wantHeld)
		g.back(w, c.Part)
		return err
	}
	w.tries = 0
	if g.since = a.now(); done || !c.More {
		g.busy = ""
		if !done {
			g.back(w, c.Part)
		}
		a.kick.now()
	}
	return nil
}

// refused puts off what the node does not give now. It is called with mu held.
func (a *attachments) refused(w *wanted, g *giver, c *chunkWord) {
	g.busy = ""
	w.after = a.now().Add(wantHeld)
	if c.Refused == "later" {
		w.after = a.now().Add(wantLater)
	}
	if c.Part == partThumb && c.Refused == "none" {
		w.Thumb, w.after = false, time.Time{} // it has no small picture
		if err := a.keep(w); err != nil {
			a.log.Error("attachments", "hash", w.Hash, "error", err)
		}
	} else {
		g.back(w, c.Part)
	}
	a.kick.now()
}

// takeChunk adds a piece to what is here, and reports whether the part is whole.
// It is called with mu held.
func (a *attachments) takeChunk(w *wanted, c *chunkWord) (done bool, err error) {
	have, total := w.got, w.Size
	if c.Part == partThumb {
		have, total = int64(len(w.small)), min(c.Total, mostThumb)
	}
	bad := func(what string) (bool, error) {
		return false, record.Errorf(record.Invalid, "peer.attachment", "a piece of an attachment %s", what)
	}
	switch {
	case c.Offset != have:
		return false, nil // twice, or one before it was lost
	case c.Total != total:
		return bad("belongs to another size than the record says")
	case len(c.Bytes) == 0 || len(c.Bytes) > chunkSize || have+int64(len(c.Bytes)) > total:
		return bad("is empty or too long")
	}
	if c.Part == partThumb {
		if w.small = append(w.small, c.Bytes...); int64(len(w.small)) == total {
			a.thumbs = append(a.thumbs, w.Hash)
			return true, nil
		}
		return false, nil
	}
	if err := a.room(false); err != nil {
		return false, err
	}
	f, err := os.OpenFile(a.path(w.Hash, ".part"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := f.WriteAt(c.Bytes, have); err != nil {
		return false, err
	}
	if w.got += int64(len(c.Bytes)); w.got == total {
		a.whole = append(a.whole, w.Hash)
		return true, f.Sync()
	}
	return false, nil
}

// Fetching says how far an attachment has come.
type Fetching struct {
	Done      int64 `json:"done"` // bytes that are here
	Total     int64 `json:"total"`
	Reachable bool  `json:"reachable"` // its owner's node can be asked now
}

// Want says that somebody waits for an attachment of a foreign record that is not
// here: it is fetched before the others. Whether he may see the record is for the
// caller. NotFound: the record does not hold it.
func (x *Exchange) Want(ctx context.Context, rec *record.Record, hash string) (Fetching, error) {
	a := x.attach
	i := slices.IndexFunc(rec.Attachments, func(at record.Attachment) bool { return at.Hash == hash })
	if i < 0 || a.blobs == nil || a.dir.Local(rec.Owner) {
		return Fetching{}, record.Errorf(record.NotFound, "attachment", "there is no such attachment")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f := Fetching{Total: rec.Attachments[i].Size}
	if a.blobs.Has(hash) {
		f.Done = f.Total
		return f, nil
	}
	if err := a.holds(rec); err != nil { // it may have been given up
		return f, err
	}
	w := a.want[hash]
	if w == nil {
		return f, record.Errorf(record.NotFound, "attachment", "the node that has the attachment is not known")
	}
	f.Done, f.Reachable = w.got, a.reachable(w.Node)
	if !w.Asked {
		w.Asked, w.after, w.tries = true, time.Time{}, 0
		g := a.giver(w.Node)
		g.queues[0] = append(g.queues[0], hash)
		if err := a.keep(w); err != nil {
			return f, err
		}
		a.kick.now()
	}
	return f, nil
}
