// Package kerneltest puts the kernel together on a real SQLite file, with a
// clock that tests move and a small fictional desk, for the tests of intake,
// query, feed and react. It is for tests alone.
package kerneltest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/desk"
	"konbit/feed"
	"konbit/intake"
	"konbit/ledger"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
	"konbit/store/sqlite"
)

// Day is when every test begins.
var Day = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// Clock is moved by the test.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time that the test has set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move adds d, which may be negative.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Directory knows agencies, their communities, and every well-formed person.
type Directory struct {
	Of    map[string][]string       // agency -> communities
	Nodes map[string]string         // agency -> name of the node that serves it; absent: this one
	Old   map[string][]store.OldKey // retired keys
	House *House

	public sync.Map // by agency: what Key has made
}

// Local reports whether the house serves the agency.
func (d *Directory) Local(agency string) bool {
	_, known := d.Of[agency]
	return known && d.Nodes[agency] == ""
}

// NodeOf returns the name of the node that serves an agency.
func (d *Directory) NodeOf(agency string) string {
	if d.Local(agency) {
		return Origin
	}
	return d.Nodes[agency]
}

// Communities returns an agency's communities.
func (d *Directory) Communities(agency string) []string { return d.Of[agency] }

// Agencies lists the agencies.
func (d *Directory) Agencies() []string {
	var out []string
	for a := range d.Of {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

// Known reports whether the name exists.
func (d *Directory) Known(name string) bool {
	if _, ok := d.Of[name]; ok {
		return true
	}
	if agency, _, ok := strings.Cut(name, "/"); ok {
		_, known := d.Of[agency]
		return known
	}
	for _, cs := range d.Of {
		if slices.Contains(cs, name) {
			return true
		}
	}
	return false
}

// Key returns the public key of an agency.
func (d *Directory) Key(agency, id string, at time.Time) ed25519.PublicKey {
	pub, made := d.public.Load(agency)
	if !made {
		pub, _ = d.public.LoadOrStore(agency, Private(agency).Public())
	}
	a := store.Agency{PublicKey: pub.(ed25519.PublicKey), OldKeys: d.Old[agency]}
	return a.KeyAt(id, at)
}

// Private returns an agency's key, which is made of its name.
func Private(agency string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("kerneltest " + agency))
	return ed25519.NewKeyFromSeed(seed[:])
}

type keys struct {
	d    *Directory
	made *sync.Map
}

func (k keys) Key(agency string) ed25519.PrivateKey {
	if !k.d.Local(agency) {
		return nil
	}
	key, ok := k.made.Load(agency)
	if !ok {
		key, _ = k.made.LoadOrStore(agency, Private(agency))
	}
	return key.(ed25519.PrivateKey)
}

// Blobs answers claims from a map of "person hash".
type Blobs map[string]int64

// Claim returns the size that the test has put there.
func (b Blobs) Claim(person, hash string) (string, int64, bool) {
	n, ok := b[person+" "+hash]
	return "image/png", n, ok
}

// Remove takes the content away from everybody.
func (b Blobs) Remove(hash string) error {
	maps.DeleteFunc(b, func(k string, _ int64) bool { return strings.HasSuffix(k, " "+hash) })
	return nil
}

// House is the kernel of one node.
type House struct {
	T       testing.TB
	Path    string
	Clock   *Clock
	Dir     *Directory
	Blobs   Blobs
	Desks   *desk.Set
	DB      *sqlite.DB
	Store   store.Store                       // what intake and query use
	Wrap    func(store.Store) store.Store     // puts a fault between them and the file
	Config  func(*intake.Config)              // changes intake's configuration at each start
	Looks   func([]query.Look) (handled bool) // sees looks first
	Intake  *intake.Intake
	Records *query.Records
	Extra   []*desk.Desk
}

// Log is a logger that says nothing.
var Log = slog.New(slog.NewTextHandler(io.Discard, nil))

// New starts a house with three agencies. change may set Wrap, Config, Extra,
// Dir.Of before the start. T fails when something cannot be started; the house
// is closed when the test ends.
func New(t testing.TB, change ...func(*House)) *House {
	t.Helper()
	h := Make(t, t.TempDir(), change...)
	t.Cleanup(h.Close)
	return h
}

// Make is New in a folder of the caller's, who closes it.
func Make(t testing.TB, folder string, change ...func(*House)) *House {
	t.Helper()
	h := &House{T: t, Path: filepath.Join(folder, "konbit.db"), Clock: &Clock{now: Day}, Blobs: Blobs{}}
	h.Dir = &Directory{House: h, Of: map[string][]string{
		"ht.cc":   {"@hispaniola"},
		"do.911":  {"@hispaniola", "@dispatch"},
		"int.aid": {"@relief"},
	}}
	for _, c := range change {
		c(h)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

// Origin names the ledger.
const Origin = "kerneltest.example/ledger"

// Signer returns the checkpoint signer that belongs to a name, and its verifier key.
func Signer(name string) (note.Signer, string) {
	priv := Private(name)
	s, err := ledger.NewSigner(Origin, priv)
	if err != nil {
		panic(err)
	}
	v, err := note.NewEd25519VerifierKey(Origin, priv.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return s, v
}

// Start opens the file and starts intake and query.
func (h *House) Start() (err error) {
	ctx := context.Background()
	if h.DB, err = sqlite.Open(ctx, h.Path); err != nil {
		return err
	}
	h.Store = h.DB
	if h.Wrap != nil {
		h.Store = h.Wrap(h.DB)
	}
	if h.Desks == nil {
		if h.Desks, err = desk.NewSet(append([]*desk.Desk{Desk()}, h.Extra...)...); err != nil {
			return err
		}
	}
	signer, verifier := Signer("node")
	cfg := intake.Config{
		Store: h.Store, Desks: h.Desks, Directory: h.Dir, Keys: keys{h.Dir, &sync.Map{}}, Blobs: h.Blobs, Signer: signer, Verifier: verifier, Origin: Origin,
		Now: h.Clock.Now, Region: &record.Box{W: -76, S: 17, E: -68, N: 21}, Log: Log,
	}
	if h.Config != nil {
		h.Config(&cfg)
	}
	if h.Intake, err = intake.New(ctx, cfg); err != nil {
		h.DB.Close()
		h.Intake = nil
		return err
	}
	in := h.Intake // a look may come when the house is closed already
	look := func(ctx context.Context, looks []query.Look) error {
		if h.Looks != nil && h.Looks(looks) {
			return record.Errorf(record.Unavailable, "look", "the test refuses looks")
		}
		out := make([]intake.Look, len(looks))
		for i, l := range looks {
			out[i] = intake.Look(l)
		}
		return in.Looked(ctx, out)
	}
	h.Records = query.New(h.Store, h.Desks, h.Dir, look, h.Clock.Now, []byte("thirty-two bytes that seal cursors"))
	return nil
}

// Close stops the house.
func (h *House) Close() {
	if h.Intake != nil {
		h.Intake.Close()
		h.Intake = nil
		if err := h.DB.Close(); err != nil {
			h.T.Error(err)
		}
	}
}

// Restart closes and starts.
func (h *House) Restart() {
	h.T.Helper()
	h.Close()
	if err := h.Start(); err != nil {
		h.T.Fatal(err)
	}
}

func (h *House) hub(change []func(*feed.Hub)) (*feed.Hub, func()) {
	hub := feed.New(h.Store, h.Desks, h.Records, h.Intake, h.Clock.Now, Log)
	for _, c := range change {
		c(hub)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); hub.Run(ctx) }()
	var once sync.Once
	end := func() { once.Do(func() { cancel(); <-done }) }
	return hub, end
}

// Reader makes a person with one role on the test desk, cleared for caveats.
func Reader(person string, role desk.Role, clearances ...string) *policy.Reader {
	agency, _, _ := strings.Cut(person, "/")
	return &policy.Reader{Person: person, Agency: agency, Roles: map[string][]desk.Role{"test": {role}}, Clearances: clearances}
}

// Reader makes a person with his agency's communities.
func (h *House) Reader(person string, role desk.Role, clearances ...string) *policy.Reader {
	r := Reader(person, role, clearances...)
	r.Communities = h.Dir.Of[r.Agency]
	return r
}

// ID makes an identifier.
func ID() record.ID { return record.NewID(time.Now()) }

// Note is the body of the kind "note".
type Note struct {
	Title    string   `json:"title"              max:"200" search:"title"`
	Text     string   `json:"text,omitempty"     max:"20000" search:"text"`
	Category Category `json:"category,omitempty" facet:"true"`
	Tags     []Tag    `json:"tags,omitempty"     facet:"true"`
	Phone    string   `json:"phone,omitempty"    search:"id"`
	Victim   bool     `json:"victim,omitempty"`
	Count    int      `json:"count,omitempty"    min:"0" max:"1000"`
}

// Category is a small closed list.
type Category string

// Values lists it.
func (Category) Values() []string { return []string{"fire", "flood", "crime"} }

// Tag is another one.
type Tag string

// Values lists it.
func (Tag) Values() []string { return []string{"water", "food", "shelter"} }

// Unit is the body of the kind "unit": something that one command takes.
type Unit struct {
	Name string `json:"name" search:"title"`
	Task string `json:"task,omitempty"`
}

// Take is the argument of unit.take.
type Take struct {
	Task string `json:"task"`
}

// Desk declares the kinds "note", "unit" and "secret".
func Desk() *desk.Desk {
	d := &desk.Desk{Name: "test", Kinds: desk.Kinds{
		desk.KindOf[Note]("note",
			desk.Path("open", "done"), desk.Flow{"open": {"finish": "done"}, "done": {"reopen": "open"}},
			desk.Allow{"finish": desk.Operator, "reopen": desk.Supervisor},
			desk.Columns("title", "category"), desk.OnMap("circle", "category"), desk.OpenIn("open"), desk.Freeze("done"),
			desk.Similar(500, time.Hour, "category"), desk.KeepYears(10),
			desk.ProtectWhen(func(n *Note) []string {
				if n.Victim {
					return []string{"victim"}
				}
				return nil
			})),
		desk.KindOf[Unit]("unit",
			desk.Path("free", "busy"), desk.Flow{"free": {"take": "busy"}, "busy": {"release": "free"}},
			desk.Allow{"take": desk.Operator, "release": desk.Operator},
			desk.Columns("name"), desk.OpenIn("free"), desk.KeepYears(1),
			desk.Handle("take", func(c *desk.Change[Unit], a Take) error {
				c.Body.Task = a.Task
				return nil
			})),
		desk.KindOf[Note]("secret",
			desk.Path("open", "done"), desk.Flow{"open": {"finish": "done"}}, desk.Allow{"finish": desk.Operator},
			desk.Columns("title"), desk.OnMap("square", "category"), desk.OpenIn("open"), desk.AskPurpose(), desk.KeepYears(10)),
	}}
	d.Files = Labels(d)
	return d
}

// Labels makes labels.yaml with every word that a desk needs.
func Labels(d *desk.Desk) fstest.MapFS {
	var sb strings.Builder
	for _, k := range desk.LabelKeys(d) {
		fmt.Fprintf(&sb, "%q: {ht: h, fr: f, es: e, en: n}\n", k)
	}
	return fstest.MapFS{"labels.yaml": {Data: []byte(sb.String())}}
}

// Draft makes a draft with a marking that stays with the owner.
func Draft(body any) *intake.Draft {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &intake.Draft{Observed: Day.Add(-time.Hour), Marking: record.Marking{TLP: record.Amber}, Body: b}
}

// At puts a draft at a point.
func At(d *intake.Draft, lon, lat float64) *intake.Draft {
	d.Place = &record.Place{Geometry: record.Point(lon, lat)}
	return d
}

// Create gives a create command.
func (h *House) Create(by *policy.Reader, kind string, d *intake.Draft) *record.Record {
	h.T.Helper()
	r, err := h.Intake.Do(context.Background(), &intake.Command{ID: ID(), Kind: kind, Name: desk.Create, Record: ID(), By: by, Draft: d})
	if err != nil {
		h.T.Fatalf("create: %v", err)
	}
	return r.Record
}

// Do gives a command and fails the test when it is refused.
func (h *House) Do(c *intake.Command) intake.Receipt {
	h.T.Helper()
	r, err := h.Intake.Do(context.Background(), c)
	if err != nil {
		h.T.Fatalf("%s.%s: %v", c.Kind, c.Name, err)
	}
	return r
}

// Verify checks the whole ledger and the rows that are derived from it.
func (h *House) Verify() {
	h.T.Helper()
	if err := h.Faults(); err != nil {
		h.T.Fatal(err)
	}
}

// Faults is Verify without the verdict.
func (h *House) Faults() error {
	ctx := context.Background()
	v := ledger.NewVerifier(func(agency, id string) ed25519.PublicKey { return h.Dir.Key(agency, id, time.Time{}) }, h.DB)
	_, vkey := Signer("node")
	nv, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	if err := h.DB.Checkpoints(ctx, func(_ int64, text []byte) error {
		cp, err := ledger.ParseCheckpoint(text, note.VerifierList(nv))
		if err != nil {
			return err
		}
		return v.Expect(cp)
	}); err != nil {
		return err
	}
	erased := map[[16]byte]bool{}
	versions := map[[16]byte]int{}
	var entries []ledger.Entry
	var last time.Time
	var fault error
	if err := h.DB.Entries(ctx, 0, -1, func(l *store.Logged) bool {
		entries = append(entries, l.Entry)
		if l.At.Before(last) {
			fault = fmt.Errorf("entry %d is earlier than the one before", l.Seq)
		}
		last = l.At
		switch l.Type {
		case "erase":
			erased[l.Record] = true
		case "change":
			// Others' versions come with gaps, and one may replace its equal.
			if n := versions[l.Record]; h.Dir.Local(l.Agency) && l.Version != n+1 || l.Version < n {
				fault = fmt.Errorf("entry %d is version %d after %d", l.Seq, l.Version, n)
			}
			versions[l.Record] = l.Version
		}
		return fault == nil
	}); err != nil || fault != nil {
		return fmt.Errorf("entries: %v %v", err, fault)
	}
	if err := v.AddBatch(ctx, entries); err != nil {
		return err
	}
	rep, err := v.Finish()
	if err != nil {
		return err
	}
	for _, seq := range rep.Erased {
		if !erased[entries[seq].Record] {
			return fmt.Errorf("entry %d lacks its content and no entry says that it was erased", seq)
		}
	}
	err = h.DB.Check(ctx, func(r *record.Record) (*store.Row, error) { return intake.Derive(h.Desks, r) }, func(int64, int64) {}, func(f store.Fault) bool {
		fault = fmt.Errorf("entry %d, record %s: %s", f.Seq, f.Record, f.What)
		return false
	})
	if err == nil {
		err = fault
	}
	return err
}

// Folder makes a folder for Make.
func Folder(t testing.TB) string {
	dir, err := os.MkdirTemp(t.TempDir(), "house")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Feed is a running feed.
type Feed struct {
	*feed.Hub
	End func()
}

// Feed starts a feed, which change may alter before; End stops it.
func (h *House) Feed(change ...func(*feed.Hub)) *Feed {
	hub, end := h.hub(change)
	return &Feed{hub, end}
}

// Until waits until a subscription shows the record, which it can see.
func Until(t testing.TB, s *feed.Subscription, id record.ID) (all []feed.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		es, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, es...)
		for _, e := range es {
			if e.ID == id {
				return all
			}
		}
	}
}

// Drain returns what a subscription has to tell now.
func Drain(s *feed.Subscription) (all []feed.Event, err error) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		es, err := s.Next(now)
		if errors.Is(err, context.Canceled) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, es...)
	}
}
