package account

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/desk"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/sqlite"
)

// clock is the time as the test says it is.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// book commits entries with their changes to the real database, one at a time.
type book struct {
	db  *sqlite.DB
	now func() time.Time

	mu   sync.Mutex
	size int64
}

func (b *book) Note(ctx context.Context, typ, agency, actor string, content any, ops ...store.Op) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	raw, err := json.Marshal(content)
	if err != nil {
		return 0, err
	}
	e := ledger.Entry{Seq: b.size, At: b.now().UTC().Truncate(time.Microsecond), Type: typ, Agency: agency, Actor: actor, Content: raw, Salt: make([]byte, ledger.SaltSize)}
	rand.Read(e.Salt)
	if e.Commitment, err = ledger.Commit(nil, &e); err != nil {
		return 0, err
	}
	if err := b.db.Commit(ctx, &store.Batch{Items: []*store.Item{{Entry: e, Ops: ops}}, Checkpoint: []byte("test")}); err != nil {
		return 0, err
	}
	b.size++
	return e.Seq, nil
}

// house is a node with nothing but accounts, on a real database.
type house struct {
	*Service
	t     testing.TB
	db    *sqlite.DB
	book  *book
	clock *clock
	cfg   Config
	close func()
}

var cheap = HashCost{Memory: 8, Passes: 1}

func newHouse(t testing.TB, change ...func(*Config)) *house {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "konbit.db"))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	h := &house{t: t, db: db, clock: c, book: &book{db: db, now: c.now}}
	h.close = sync.OnceFunc(func() { db.Close() })
	t.Cleanup(h.close)
	h.cfg = Config{Store: db, Ledger: h.book, Now: c.now, Hash: cheap}
	for _, f := range change {
		f(&h.cfg)
	}
	h.restart()
	return h
}

// restart makes a new service on the same database, as a new process would.
func (h *house) restart() {
	h.t.Helper()
	s, err := New(h.t.Context(), h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Service = s
}

const secret = "ti pye mango dous"

// settle adds two local agencies, a foreign one, and people: an administrator and an operator of ht.cc, an administrator
// of do.911.
func (h *house) settle() {
	h.t.Helper()
	for _, a := range []store.Agency{
		{ID: "ht.cc", Name: "Sant kòmandman", Country: "HT", Communities: []string{"@hispaniola"}, Local: true},
		{ID: "do.911", Name: "Sistema 9-1-1", Country: "DO", Communities: []string{"@hispaniola", "@caribe"}, Local: true},
		{ID: "int.ocha", Name: "OCHA", Communities: []string{"@aid"}},
	} {
		if _, err := h.AddAgency(h.t.Context(), Node, a); err != nil {
			h.t.Fatal(err)
		}
	}
	h.person("ht.cc/boss", grant("ht.cc", "*", desk.Administrator))
	h.person("do.911/jefa", grant("do.911", "*", desk.Administrator))
	h.person("ht.cc/ana", grant("ht.cc", "*", desk.Operator), grant("do.911", "incident", desk.Viewer))
}

func grant(agency, deskName string, r desk.Role) store.Grant {
	return store.Grant{Agency: agency, Desk: deskName, Role: r}
}

func (h *house) person(id string, grants ...store.Grant) {
	h.t.Helper()
	if _, err := h.AddPerson(h.t.Context(), Node, store.Person{ID: id, Name: "Moun " + id, Lang: "fr", Grants: grants}, secret); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) signIn(id string) *SignedIn {
	h.t.Helper()
	in, err := h.SignIn(h.t.Context(), id, secret, From{Address: "10.0.0.1:4711", Agent: "test"})
	if err != nil {
		h.t.Fatal(err)
	}
	return in
}

// said returns the contents of the ledger, oldest first.
func (h *house) said() []Access {
	h.t.Helper()
	var out []Access
	err := h.db.Entries(h.t.Context(), 0, -1, func(l *store.Logged) bool {
		var a Access
		if l.Type != Entry {
			h.t.Fatalf("entry of type %q", l.Type)
		}
		if err := json.Unmarshal(l.Content, &a); err != nil {
			h.t.Fatal(err)
		}
		out = append(out, a)
		return true
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) count(what string) int {
	h.t.Helper()
	n := 0
	for _, a := range h.said() {
		if a.What == what {
			n++
		}
	}
	return n
}

func wantCode(t testing.TB, err error, want record.Code) {
	t.Helper()
	if got := record.CodeOf(err); got != want {
		t.Fatalf("got %q (%v), want %q", got, err, want)
	}
}

func wantField(t testing.TB, err error, path, code string) {
	t.Helper()
	e, _ := err.(*record.Error)
	if e == nil || !slices.ContainsFunc(e.Fields, func(f record.Field) bool { return f.Path == path && f.Code == code }) {
		t.Fatalf("got %v, want field %s: %s", err, path, code)
	}
}

func TestDirectorySurvivesRestart(t *testing.T) {
	h := newHouse(t)
	h.settle()
	if _, err := h.UpdatePerson(t.Context(), Node, "ht.cc/ana", PersonChange{Clearances: &[]string{"victim", "juvenile", "victim"}}); err != nil {
		t.Fatal(err)
	}
	before := h.Directory()
	h.restart()
	after := h.Directory()
	if d := cmp.Diff(before.Agencies, after.Agencies); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before.People, after.People); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string][]string{"@hispaniola": {"do.911", "ht.cc"}, "@caribe": {"do.911"}, "@aid": {"int.ocha"}}, after.Communities); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"juvenile", "victim"}, after.People["ht.cc/ana"].Clearances); d != "" {
		t.Error(d)
	}
}

func TestReaderHoldsWhatTheHatGives(t *testing.T) {
	h := newHouse(t)
	h.settle()
	r, err := h.Reader("ht.cc/ana", "", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Agency != "ht.cc" || !r.Holds("sitrep", desk.Operator) || !slices.Equal(r.Communities, []string{"@hispaniola"}) {
		t.Errorf("own hat: %+v", r)
	}
	r, err = h.Reader("ht.cc/ana", "do.911", []string{"read"}, "pou chèche")
	if err != nil {
		t.Fatal(err)
	}
	if r.Holds("sitrep", desk.Viewer) || !r.Holds("incident", desk.Viewer) || r.Holds("incident", desk.Operator) || r.Purpose != "pou chèche" || r.Scope("write") {
		t.Errorf("other hat: %+v", r)
	}
	for _, hat := range []string{"int.ocha", "xx.none"} {
		_, err = h.Reader("ht.cc/ana", hat, nil, "")
		wantCode(t, err, record.Denied)
	}
	_, err = h.Reader("ht.cc/nobody", "", nil, "")
	wantCode(t, err, record.Unsigned)
}

func TestEpochGrowsWithRightsOnly(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	epoch := h.Directory().Epoch
	grew := func(what string, want bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		now := h.Directory().Epoch
		if (now > epoch) != want {
			t.Errorf("%s: epoch %d -> %d", what, epoch, now)
		}
		epoch = now
	}
	grew("preferences", false, h.SetPreferences(ctx, "ht.cc/ana", "es", "dark"))
	h.signIn("ht.cc/ana")
	grew("sign-in", false, nil)
	_, err := h.UpdatePerson(ctx, "ht.cc/boss", "ht.cc/ana", PersonChange{Grants: &[]store.Grant{grant("ht.cc", "*", desk.Viewer), grant("do.911", "incident", desk.Viewer)}})
	grew("grant", true, err)
	_, err = h.UpdateAgency(ctx, "ht.cc/boss", "ht.cc", AgencyChange{Communities: &[]string{"@aid"}})
	if record.CodeOf(err) != record.Denied { // int.ocha has not asked it in
		t.Error(err)
	}
	_, err = h.UpdateAgency(ctx, Node, "ht.cc", AgencyChange{Communities: &[]string{"@aid"}})
	grew("community", true, err)
	if d := cmp.Diff([]string{"ht.cc", "int.ocha"}, h.Directory().Communities["@aid"]); d != "" {
		t.Error(d)
	}
}

func TestAddRefusesWhatIsWrong(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	for _, c := range []struct {
		agency     store.Agency
		path, code string
	}{
		{store.Agency{ID: "HT.CC", Name: "x"}, "id", "invalid"},
		{store.Agency{ID: "ht.new", Name: " "}, "name", "required"},
		{store.Agency{ID: "ht.new", Name: "a\x00b"}, "name", "invalid"},
		{store.Agency{ID: "ht.new", Name: "\xff"}, "name", "utf8"},
		{store.Agency{ID: "ht.new", Name: "x", Country: "Haiti"}, "country", "invalid"},
		{store.Agency{ID: "ht.new", Name: "x", Communities: []string{"hispaniola"}}, "communities[0]", "invalid"},
		{store.Agency{ID: "ht.new", Name: "x", PublicKey: []byte("short")}, "key", "invalid"},
	} {
		_, err := h.AddAgency(ctx, Node, c.agency)
		wantField(t, err, c.path, c.code)
	}
	_, err := h.AddAgency(ctx, Node, store.Agency{ID: "ht.cc", Name: "x"})
	wantCode(t, err, record.Conflict)
	for _, c := range []struct {
		person     store.Person
		path, code string
	}{
		{store.Person{ID: "ana", Name: "x"}, "id", "invalid"},
		{store.Person{ID: "ht.cc/Ana", Name: "x"}, "id", "invalid"},
		{store.Person{ID: "ht.none/ana", Name: "x"}, "id", "unknown"},
		{store.Person{ID: "int.ocha/ana", Name: "x"}, "id", "conflict"},
		{store.Person{ID: "ht.cc/x"}, "name", "required"},
		{store.Person{ID: "ht.cc/x", Name: "x", Lang: "de"}, "lang", "enum"},
		{store.Person{ID: "ht.cc/x", Name: "x", Theme: "pink"}, "theme", "enum"},
		{store.Person{ID: "ht.cc/x", Name: "x", Email: "a@b@c"}, "email", "invalid"},
		{store.Person{ID: "ht.cc/x", Name: "x", Grants: []store.Grant{grant("int.ocha", "*", desk.Viewer)}}, "grants[0].agency", "unknown"},
		{store.Person{ID: "ht.cc/x", Name: "x", Grants: []store.Grant{grant("ht.cc", "", desk.Viewer)}}, "grants[0].desk", "invalid"},
		{store.Person{ID: "ht.cc/x", Name: "x", Grants: []store.Grant{grant("ht.cc", "*", "king")}}, "grants[0].role", "enum"},
		{store.Person{ID: "ht.cc/x", Name: "x", Clearances: []string{"secret"}}, "clearances[0]", "enum"},
	} {
		_, err := h.AddPerson(ctx, Node, c.person, secret)
		wantField(t, err, c.path, c.code)
	}
	_, err = h.AddPerson(ctx, Node, store.Person{ID: "ht.cc/ana", Name: "x"}, secret)
	wantCode(t, err, record.Conflict)
}

func TestOnlyTheAgencysAdministratorGivesRightsInIt(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	add := func(actor string, p store.Person) error {
		_, err := h.AddPerson(ctx, actor, p, "")
		return err
	}
	wantCode(t, add("ht.cc/ana", store.Person{ID: "ht.cc/p1", Name: "p"}), record.Denied)
	wantCode(t, add("do.911/jefa", store.Person{ID: "ht.cc/p1", Name: "p"}), record.Denied)
	wantCode(t, add("ht.cc/boss", store.Person{ID: "ht.cc/p1", Name: "p", Grants: []store.Grant{grant("do.911", "*", desk.Viewer)}}), record.Denied)
	wantCode(t, add("ht.cc/boss", store.Person{ID: "ht.cc/p1", Name: "p", Grants: []store.Grant{grant("ht.cc", "*", desk.Viewer)}}), "")

	ana := h.Directory().People["ht.cc/ana"]
	more := append(slices.Clone(ana.Grants), grant("do.911", "sitrep", desk.Viewer))
	_, err := h.UpdatePerson(ctx, "ht.cc/boss", "ht.cc/ana", PersonChange{Grants: &more})
	wantCode(t, err, record.Denied)
	_, err = h.UpdatePerson(ctx, "do.911/jefa", "ht.cc/ana", PersonChange{Grants: &more})
	wantCode(t, err, "")
	fewer := slices.DeleteFunc(slices.Clone(more), func(g store.Grant) bool { return g.Agency == "ht.cc" })
	_, err = h.UpdatePerson(ctx, "do.911/jefa", "ht.cc/ana", PersonChange{Grants: &fewer})
	wantCode(t, err, record.Denied)
	_, err = h.UpdatePerson(ctx, "do.911/jefa", "ht.cc/ana", PersonChange{Clearances: &[]string{"victim"}})
	wantCode(t, err, record.Denied)
	_, err = h.UpdatePerson(ctx, "ht.cc/ana", "ht.cc/ana", PersonChange{Clearances: &[]string{"victim"}})
	wantCode(t, err, record.Denied)
	_, err = h.UpdatePerson(ctx, "ht.cc/ana", "ht.cc/ana", PersonChange{})
	wantCode(t, err, record.Denied)

	yes := true
	_, err = h.UpdatePerson(ctx, "ht.cc/boss", "ht.cc/boss", PersonChange{Disabled: &yes})
	wantCode(t, err, record.Stale) // the last administrator
	_, err = h.AddAgency(ctx, "ht.cc/ana", store.Agency{ID: "ht.new", Name: "New", Local: true})
	wantCode(t, err, record.Denied)
	_, err = h.AddAgency(ctx, "ht.cc/boss", store.Agency{ID: "ht.new", Name: "New", Local: true})
	wantCode(t, err, "")
	if !h.Directory().Holds("ht.cc/boss", "ht.new", desk.Administrator) {
		t.Error("the new agency has no administrator")
	}
	_, err = h.UpdateAgency(ctx, "do.911/jefa", "ht.cc", AgencyChange{Communities: &[]string{"@caribe"}})
	wantCode(t, err, record.Denied)
}

func TestLedgerTellsChangesAndHoldsNoSecret(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	if _, err := h.UpdatePerson(ctx, "ht.cc/boss", "ht.cc/ana", PersonChange{Clearances: &[]string{"medical"}}); err != nil {
		t.Fatal(err)
	}
	in := h.signIn("ht.cc/ana")
	token, _, err := h.CreateToken(ctx, "ht.cc/ana", NewToken{Name: "QGIS", Person: "ht.cc/ana"})
	if err != nil {
		t.Fatal(err)
	}
	link, err := h.ResetLink(ctx, "ht.cc/boss", "ht.cc/ana")
	if err != nil {
		t.Fatal(err)
	}
	said := h.said()
	last := said[len(said)-4]
	if last.What != "person changed" || len(last.Changes) != 1 || last.Changes[0].Path != "clearances" || string(last.Changes[0].To) != `["medical"]` {
		t.Errorf("%+v", last)
	}
	var all []byte
	if err := h.db.Entries(ctx, 0, -1, func(l *store.Logged) bool { all = append(all, l.Content...); return true }); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{secret, in.Secret, in.CSRF(), token, link, "argon2", "hash"} {
		if strings.Contains(string(all), s) {
			t.Errorf("the ledger holds %q", s)
		}
	}
}

func TestDisablingEndsSessionsTokensAndLinks(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	in := h.signIn("ht.cc/ana")
	token, _, err := h.CreateToken(ctx, "ht.cc/ana", NewToken{Name: "QGIS", Person: "ht.cc/ana"})
	if err != nil {
		t.Fatal(err)
	}
	link, err := h.ResetLink(ctx, Node, "ht.cc/ana")
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	if _, err := h.UpdatePerson(ctx, "ht.cc/boss", "ht.cc/ana", PersonChange{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Session(ctx, in.Secret)
	wantCode(t, err, record.Unsigned)
	_, err = h.Token(ctx, token)
	wantCode(t, err, record.Unsigned)
	_, err = h.PasswordLink(ctx, link)
	wantCode(t, err, record.NotFound)
	_, err = h.SignIn(ctx, "ht.cc/ana", secret, From{})
	wantCode(t, err, record.Unsigned)
	_, err = h.Reader("ht.cc/ana", "", nil, "")
	wantCode(t, err, record.Unsigned)
}

func TestPeopleListsThoseOfOnesAgencies(t *testing.T) {
	h := newHouse(t)
	h.settle()
	h.signIn("ht.cc/ana")
	list, err := h.People(t.Context(), "do.911/jefa")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range list {
		ids = append(ids, p.ID)
	}
	if d := cmp.Diff([]string{"do.911/jefa", "ht.cc/ana"}, ids); d != "" {
		t.Error(d)
	}
	if !list[1].LastSeen.Equal(h.clock.now()) || !list[1].Password {
		t.Errorf("%+v", list[1])
	}
	_, err = h.People(t.Context(), "ht.cc/ana")
	wantCode(t, err, record.Denied)
}

func TestFirstRunWorksOnceAndOnlyWithTheNewestCode(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	old, err := h.FirstRunCode(ctx)
	if err != nil || old == "" {
		t.Fatal(old, err)
	}
	h.restart()
	code, err := h.FirstRunCode(ctx)
	if err != nil {
		t.Fatal(err)
	}
	agency := store.Agency{ID: "ht.cc", Name: "Sant", Country: "HT"}
	person := store.Person{ID: "boss", Name: "Boss", Lang: "ht"}
	_, err = h.FirstRun(ctx, old, agency, person, secret, From{})
	wantCode(t, err, record.NotFound)
	_, err = h.FirstRun(ctx, code, agency, person, "short", From{})
	wantField(t, err, "password", "min")
	_, err = h.FirstRun(ctx, code, store.Agency{ID: "ht.cc"}, person, secret, From{})
	wantField(t, err, "name", "required")
	in, err := h.FirstRun(ctx, code, agency, person, secret, From{Address: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := h.Session(ctx, in.Secret); err != nil || e.Person != "ht.cc/boss" || e.Agency != "ht.cc" {
		t.Errorf("%+v %v", e, err)
	}
	if !h.Directory().Holds("ht.cc/boss", "ht.cc", desk.Administrator) {
		t.Error("no administrator")
	}
	_, err = h.FirstRun(ctx, code, store.Agency{ID: "ht.two", Name: "Two"}, person, secret, From{})
	wantCode(t, err, record.NotFound)
	if c, err := h.FirstRunCode(ctx); c != "" || err != nil {
		t.Errorf("a second code %q, %v", c, err)
	}
}

func TestPasswordLinkWorksOnceForADay(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	link, err := h.AddPerson(ctx, "ht.cc/boss", store.Person{ID: "ht.cc/new", Name: "Nouvo"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.SignIn(ctx, "ht.cc/new", "", From{})
	wantCode(t, err, record.Unsigned)
	if p, err := h.PasswordLink(ctx, link); err != nil || p.ID != "ht.cc/new" {
		t.Fatal(p, err)
	}
	var wg sync.WaitGroup
	won := make([]error, 4)
	for i := range won {
		wg.Go(func() { _, won[i] = h.UsePasswordLink(ctx, link, secret, From{}) })
	}
	wg.Wait()
	n := 0
	for _, err := range won {
		if err == nil {
			n++
		} else {
			wantCode(t, err, record.NotFound)
		}
	}
	if n != 1 {
		t.Fatalf("the link worked %d times", n)
	}
	h.signIn("ht.cc/new")
	if link, err = h.ResetLink(ctx, "ht.cc/boss", "ht.cc/new"); err != nil {
		t.Fatal(err)
	}
	h.clock.add(24 * time.Hour)
	_, err = h.UsePasswordLink(ctx, link, secret, From{})
	wantCode(t, err, record.NotFound)
	_, err = h.ResetLink(ctx, "ht.cc/ana", "ht.cc/new")
	wantCode(t, err, record.Denied)
}

func TestFailedCommitChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.settle()
	h.close()
	before := h.Directory()
	_, err := h.UpdatePerson(t.Context(), Node, "ht.cc/ana", PersonChange{Clearances: &[]string{"victim"}})
	if err == nil || h.Directory() != before {
		t.Errorf("the directory shows a change that is not on disk: %v", err)
	}
}
