package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"konbit/blob"
	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/ledger"
	"konbit/peer/trust"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
	"konbit/store/sqlite"
	"konbit/wire/bundle"
)

// A station is a node without a network: real store, intake, trust and exchange.
// Bundles and receipts are handed over by the test.
type station struct {
	t       testing.TB
	folder  string
	clock   *watch
	keys    *stationKeys
	dir     *stationDirectory
	desks   *desk.Set
	db      *sqlite.DB
	intake  *intake.Intake
	trust   *trust.Service
	records *query.Records
	blobs   *blob.Store
	x       *Exchange
}

// watch is a clock that the test moves.
type watch struct {
	mu  sync.Mutex
	now time.Time
}

func newWatch() *watch { return &watch{now: kerneltest.Day} }

func (w *watch) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *watch) Move(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// stationKeys are a node's keys in memory.
type stationKeys struct {
	name   string
	node   ed25519.PrivateKey
	link   ed25519.PrivateKey
	old    []trust.OldKey
	seal   *age.X25519Identity
	agency map[string]ed25519.PrivateKey
}

func newStationKeys(name string, agencies []string) *stationKeys {
	key := func() ed25519.PrivateKey {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	k := &stationKeys{name: name, node: key(), link: key(), seal: id, agency: map[string]ed25519.PrivateKey{}}
	for _, a := range agencies {
		k.agency[a] = key()
	}
	return k
}

func (k *stationKeys) Name() string { return k.name }
func (k *stationKeys) Ledger() string {
	v, err := note.NewEd25519VerifierKey(k.name, k.node.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return v
}
func (k *stationKeys) Sign() ed25519.PrivateKey                     { return k.link }
func (k *stationKeys) Signers() []ed25519.PrivateKey                { return []ed25519.PrivateKey{k.link} }
func (k *stationKeys) OldSign() []trust.OldKey                      { return k.old }
func (k *stationKeys) Recipient() string                            { return k.seal.Recipient().String() }
func (k *stationKeys) Identities() []age.Identity                   { return []age.Identity{k.seal} }
func (k *stationKeys) Key(agency string) ed25519.PrivateKey         { return k.agency[agency] }
func (k *stationKeys) OldKeys(string) []trust.OldKey                { return nil }
func (k *stationKeys) Region(string) ed25519.PrivateKey             { return nil }
func (k *stationKeys) MakeRegion(string) (ed25519.PublicKey, error) { return nil, errors.New("no") }
func (k *stationKeys) RotateSign(time.Duration) error               { return errors.New("no") }
func (k *stationKeys) RotateSeal() error                            { return errors.New("no") }
func (k *stationKeys) RotateAgency(string, time.Time) (ed25519.PublicKey, error) {
	return nil, errors.New("no")
}

// stationDirectory answers from what the store holds of agencies.
type stationDirectory struct {
	db   *sqlite.DB
	name string
	mu   sync.RWMutex
	by   map[string]store.Agency
}

func (d *stationDirectory) reload(ctx context.Context) error {
	agencies, _, err := d.db.People(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.by = map[string]store.Agency{}
	for _, a := range agencies {
		d.by[a.ID] = a
	}
	return err
}

func (d *stationDirectory) get(agency string) store.Agency {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.by[agency]
}

func (d *stationDirectory) Agencies() (ids []string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for id := range d.by {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
func (d *stationDirectory) Communities(agency string) []string { return d.get(agency).Communities }
func (d *stationDirectory) Joined(agency, community string) time.Time {
	return d.get(agency).Joined[community]
}
func (d *stationDirectory) Local(agency string) bool { return d.get(agency).Local }
func (d *stationDirectory) NodeOf(agency string) string {
	if a := d.get(agency); !a.Local {
		return a.Node
	}
	return d.name
}
func (d *stationDirectory) Known(string) bool { return true }
func (d *stationDirectory) Key(agency, keyID string, at time.Time) ed25519.PublicKey {
	a := d.get(agency)
	return a.KeyAt(keyID, at)
}

// alert is a kind of which the bad ones are urgent.
type alert struct {
	Title string `json:"title" search:"title"`
	Bad   bool   `json:"bad,omitempty"`
}

func alertDesk() *desk.Desk {
	d := &desk.Desk{Name: "alarm", Kinds: desk.Kinds{desk.KindOf[alert]("alert", desk.Path("open", "done"),
		desk.Flow{"open": {"finish": "done"}}, desk.Allow{"finish": desk.Operator}, desk.Columns("title"), desk.KeepYears(1),
		desk.UrgentWhen(func(a *alert) bool { return a.Bad }))}}
	d.Files = kerneltest.Labels(d)
	return d
}

// newStation makes a node that serves the agencies, all of them in their
// communities since always.
func newStation(t testing.TB, short string, clock *watch, agencies map[string][]string) *station {
	t.Helper()
	var ids []string
	for a := range agencies {
		ids = append(ids, a)
	}
	s := &station{t: t, folder: t.TempDir(), clock: clock, keys: newStationKeys("konbit.node/"+short, ids)}
	s.start()
	t.Cleanup(s.stop)
	for a, in := range agencies {
		slices.Sort(in)
		if _, err := s.intake.Note(t.Context(), "access", a, "admin", map[string]string{"what": "agency"}, store.PutAgency{Agency: store.Agency{
			ID: a, Name: a, Communities: in, Local: true, PublicKey: s.keys.agency[a].Public().(ed25519.PublicKey), Created: clock.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	s.restart()
	return s
}

func (s *station) start() {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	ctx := context.Background()
	var err error
	s.db, err = sqlite.Open(ctx, filepath.Join(s.folder, "konbit.db"))
	must(err)
	s.dir = &stationDirectory{db: s.db, name: s.keys.name}
	must(s.dir.reload(ctx))
	if s.desks == nil {
		s.desks, err = desk.NewSet(kerneltest.Desk(), alertDesk())
		must(err)
	}
	signer, err := ledger.NewSigner(s.keys.name, s.keys.node)
	must(err)
	s.blobs, err = blob.Open(filepath.Join(s.folder, "blobs"), s.clock.Now)
	must(err)
	s.intake, err = intake.New(ctx, intake.Config{Store: s.db, Desks: s.desks, Directory: s.dir, Keys: s.keys, Blobs: s.blobs, Signer: signer, Verifier: s.keys.Ledger(),
		Origin: s.keys.name, Now: s.clock.Now, Log: kerneltest.Log})
	must(err)
	s.trust, err = trust.NewService(ctx, trust.Config{Store: s.db, Ledger: s.intake, Keys: s.keys, Title: strings.ToUpper(s.keys.name[12:]),
		Reload: s.dir.reload, Now: s.clock.Now, Log: kerneltest.Log})
	must(err)
	in := s.intake // a look may come when the station is closed
	s.records = query.New(s.db, s.desks, s.dir, func(ctx context.Context, looks []query.Look) error {
		out := make([]intake.Look, len(looks))
		for i, l := range looks {
			out[i] = intake.Look(l)
		}
		return in.Looked(ctx, out)
	}, s.clock.Now, bytes.Repeat([]byte{7}, 32))
	s.x, err = New(ctx, Config{Store: s.db, Desks: s.desks, Directory: s.dir, Intake: s.intake, Trust: s.trust, Keys: s.keys, Signer: signer, Blobs: s.blobs,
		Folder: filepath.Join(s.folder, "peer"), Now: s.clock.Now, Log: kerneltest.Log, TellOpened: true})
	must(err)
}

func (s *station) stop() {
	if s.intake == nil {
		return
	}
	s.intake.Close()
	s.intake = nil
	if err := s.db.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *station) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// backup keeps the store as it is; restore puts it back, with a new incarnation
// when the node may know of it.
func (s *station) backup() string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "backup.db")
	if err := s.db.Backup(s.t.Context(), path); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *station) restore(path string, known bool) {
	s.t.Helper()
	s.stop()
	s.clock.Move(time.Minute)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(filepath.Join(s.folder, "konbit.db"+suffix))
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.folder, "konbit.db"), b, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if known {
		db, err := sqlite.Open(context.Background(), filepath.Join(s.folder, "konbit.db"))
		if err == nil {
			_, err = Reincarnate(context.Background(), db, s.clock.Now())
			err = errors.Join(err, db.Close())
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.start()
}

// befriend makes both trust each other, with these communities of the other's agencies.
func befriend(t testing.TB, a, b *station) {
	t.Helper()
	for _, p := range [][2]*station{{a, b}, {b, a}} {
		p[0].admit(p[1], map[string][]string{})
	}
}

// admit takes another's card and approves it; its agencies are in the communities
// in which the other says that they are, unless the test says otherwise.
func (s *station) admit(o *station, communities map[string][]string) {
	s.t.Helper()
	card, err := o.trust.SelfCard(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	in := map[string][]string{}
	for a := range o.keys.agency {
		if in[a] = o.dir.Communities(a); communities[a] != nil {
			in[a] = communities[a]
		}
	}
	if _, err := s.trust.AddCard(s.t.Context(), "admin", card); err != nil {
		s.t.Fatal(err)
	}
	if err := s.trust.Approve(s.t.Context(), "admin", o.keys.name, trust.Spoken(o.keys.link.Public().(ed25519.PublicKey)), in, time.Time{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) operator(agency string) *policy.Reader {
	return &policy.Reader{Person: agency + "/op", Agency: agency, Communities: s.dir.Communities(agency), Clearances: record.Caveats, Purpose: "a test",
		Roles: map[string][]desk.Role{"*": {desk.Supervisor}}}
}

// to is a marking.
func to(names ...string) record.Marking { return record.Marking{TLP: record.Amber, To: names} }

// open creates a note.
func (s *station) open(agency, title string, m record.Marking) *record.Record {
	s.t.Helper()
	d := kerneltest.Draft(kerneltest.Note{Title: title})
	d.Marking, d.Observed = m, s.clock.Now().Add(-time.Minute)
	return s.do(&intake.Command{Kind: "note", Name: desk.Create, Record: kerneltest.ID(), By: s.operator(agency), Draft: d})
}

// raise creates an alert, which is urgent when it is bad.
func (s *station) raise(agency, title string, bad bool, m record.Marking) *record.Record {
	s.t.Helper()
	d := kerneltest.Draft(alert{Title: title, Bad: bad})
	d.Marking, d.Observed = m, s.clock.Now().Add(-time.Minute)
	return s.do(&intake.Command{Kind: "alert", Name: desk.Create, Record: kerneltest.ID(), By: s.operator(agency), Draft: d})
}

func (s *station) edit(r *record.Record, title string) *record.Record {
	s.t.Helper()
	d := kerneltest.Draft(kerneltest.Note{Title: title})
	d.Marking, d.Observed = record.Marking{}, r.Observed
	return s.do(&intake.Command{Kind: r.Kind, Name: desk.Edit, Record: r.ID, By: s.operator(r.Owner), Draft: d})
}

func (s *station) mark(r *record.Record, m record.Marking) *record.Record {
	s.t.Helper()
	return s.do(&intake.Command{Kind: r.Kind, Name: desk.Mark, Record: r.ID, By: s.operator(r.Owner), Marking: &m})
}

func (s *station) erase(r *record.Record) {
	s.t.Helper()
	s.do(&intake.Command{Kind: r.Kind, Name: desk.Erase, Record: r.ID, By: s.operator(r.Owner), Note: "a court said so"})
}

func (s *station) do(c *intake.Command) *record.Record {
	s.t.Helper()
	got, err := s.intake.Do(s.t.Context(), c)
	if err != nil {
		s.t.Fatalf("%s.%s: %v", c.Kind, c.Name, err)
	}
	return got.Record
}

// step does what the node would do by itself.
func (s *station) step() {
	s.t.Helper()
	if err := s.x.stream.step(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// bundles seals all that waits for another node above what it has acknowledged,
// urgent first.
func (s *station) bundles(o *station, maxBytes int) (out [][]byte) {
	s.t.Helper()
	s.step()
	n := s.trust.Node(o.keys.name)
	state, err := s.x.outgoing(s.t.Context(), n.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, lane := range []bundle.Lane{bundle.Urgent, bundle.Normal, bundle.Talk} {
		after := int64(0)
		if lane != bundle.Talk {
			after = state.Received[lane]
		}
		for {
			b, h, err := s.x.nextBundle(s.t.Context(), n, lane, after, maxBytes)
			if err != nil {
				s.t.Fatal(err)
			}
			if b == nil {
				break
			}
			out, after = append(out, b), h.UpTo
		}
	}
	return out
}

// take applies a bundle and fails the test when it is refused.
func (s *station) take(bs ...[]byte) {
	s.t.Helper()
	for _, b := range bs {
		if _, err := s.x.arrived(s.t.Context(), b); err != nil {
			s.t.Fatal(err)
		}
	}
}

// acknowledge gives the station's receipt to another node.
func (s *station) acknowledge(o *station) {
	s.t.Helper()
	b, err := s.x.receipt(s.t.Context(), s.trust.Node(o.keys.name))
	if err == nil {
		err = o.x.takeReceipt(s.t.Context(), b)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	o.written(s)
}

// written waits until the receipt that a node took is in the ledger.
func (s *station) written(o *station) {
	s.t.Helper()
	t := s.x.stream.taken.of(o.keys.name)
	until(s.t, "the receipt is written", func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.waiting == nil
	})
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// exchange carries everything between stations until nothing is left to say.
func exchange(t testing.TB, stations ...*station) {
	t.Helper()
	quiet := 0
	for range 60 {
		moved := false
		for _, a := range stations {
			for _, b := range stations {
				if a == b || a.trust.Node(b.keys.name) == nil {
					continue
				}
				for _, raw := range a.bundles(b, 64<<10) {
					moved = true
					if _, err := b.x.arrived(t.Context(), raw); err != nil && record.CodeOf(err) != record.Conflict && record.CodeOf(err) != record.Denied {
						t.Fatal(err)
					}
				}
				if b.trust.Node(a.keys.name) != nil {
					b.acknowledge(a)
				}
			}
		}
		if quiet++; moved {
			quiet = 0
		}
		if quiet == 2 { // a receipt may have brought something to say
			return
		}
	}
	t.Fatal("the stations never came to an end")
}

// holds reports what a station holds of a record: its version, 0 for nothing.
func (s *station) holds(id record.ID) int {
	s.t.Helper()
	st, err := s.db.Get(s.t.Context(), id)
	if record.CodeOf(err) == record.NotFound {
		return 0
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Version
}

func (s *station) mustHold(what string, r *record.Record, version int) {
	s.t.Helper()
	if got := s.holds(r.ID); got != version {
		s.t.Errorf("%s: %s holds version %d, want %d", what, s.keys.name, got, version)
	}
}

// holder is what the owner knows of another node and a record.
func (s *station) holder(r *record.Record, o *station) Holder {
	s.t.Helper()
	hs, err := s.x.Holders(s.t.Context(), r.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range hs {
		if h.Node == o.keys.name {
			return h
		}
	}
	return Holder{}
}

func (s *station) mustSee(what string, r *record.Record, o *station, state HolderState) {
	s.t.Helper()
	if h := s.holder(r, o); h.State != state {
		s.t.Errorf("%s: the owner sees %q (%s), want %q", what, h.State, h.Reason, state)
	}
}

// codes lists the alarms, newest first.
func (s *station) codes() (out []string) {
	s.t.Helper()
	as, err := s.x.Alarms(s.t.Context(), 100)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range as {
		out = append(out, a.Code)
	}
	return out
}

func (s *station) settled(o *station) bool {
	s.t.Helper()
	ok, err := s.x.Settled(s.t.Context(), o.keys.name)
	if err != nil {
		s.t.Fatal(err)
	}
	return ok
}

// entries returns the ledger entries of a type, oldest first.
func (s *station) entries(typ string) (out []*store.Logged) {
	s.t.Helper()
	if err := s.db.Entries(s.t.Context(), 0, -1, func(l *store.Logged) bool {
		if l.Type == typ {
			out = append(out, l)
		}
		return true
	}); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// stick exports for another node.
func (s *station) stick(o *station) []byte {
	s.t.Helper()
	var b bytes.Buffer
	if _, _, err := s.x.Export(s.t.Context(), o.keys.name, &b); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

func (s *station) insert(b []byte) Told {
	s.t.Helper()
	told, err := s.x.Import(s.t.Context(), bytes.NewReader(b), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return told
}

// pair is a node of ht.cc and one of do.911, who trust each other.
func pair(t testing.TB) (*watch, *station, *station) {
	t.Helper()
	clock := newWatch()
	a := newStation(t, "aaaaaaaa", clock, map[string][]string{"ht.cc": {"@hispaniola"}})
	b := newStation(t, "bbbbbbbb", clock, map[string][]string{"do.911": {"@hispaniola", "@dispatch"}})
	befriend(t, a, b)
	return clock, a, b
}
