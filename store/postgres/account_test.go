package postgres_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres/pgtest"
	"konbit/store/sqlite"
)

// commit commits changes of accounts or of the exchange with an entry of their own.
func commit(s store.Store, ops ...store.Op) error {
	size, _, err := s.Head(ctx)
	if err != nil {
		return err
	}
	e := ledger.Entry{Seq: size, At: time.Now().UTC().Truncate(time.Microsecond), Type: "arrival", Agency: "ht.cc", Actor: "node", Content: []byte("{}"), Salt: make([]byte, ledger.SaltSize)}
	if e.Commitment, err = ledger.Commit(nil, &e); err != nil {
		return err
	}
	return s.Commit(ctx, &store.Batch{Items: []*store.Item{{Entry: e, Ops: ops}}, Checkpoint: fmt.Appendf(nil, "checkpoint %d", size+1)})
}

// small draws from little, so that what is drawn meets what was drawn before.
type small struct{ t *rapid.T }

func (s small) of(all ...string) string { return rapid.SampledFrom(all).Draw(s.t, "one") }
func (s small) bool() bool              { return rapid.Bool().Draw(s.t, "yes") }
func (s small) hash() (h [32]byte)      { h[0] = rapid.Byte().Draw(s.t, "hash") % 5; return h }
func (s small) bytes() []byte           { return []byte(s.of("", "a", "\x00\xff")) }

// Names that a language orders in another way than their bytes do.
func (s small) person() string { return s.of("ht.cc/ana", "ht.cc/Zoé", "ht.cc/é", "ht.cc-x/ana", "") }
func (s small) agency() string { return s.of("ht.cc", "ht.Z", "ht-b", "ht.é") }
func (s small) words() string  { return s.of("", "Ana Jozèf", "it's 🌀", "b") }

func (s small) time() time.Time {
	n := rapid.IntRange(0, 6).Draw(s.t, "time")
	if n == 0 {
		return time.Time{}
	}
	return time.Date(2026, 5, n, 1, 2, 3, 456789000, time.UTC)
}

func (s small) names(all ...string) []string {
	out := []string{}
	for _, v := range all {
		if s.bool() {
			out = append(out, v)
		}
	}
	return out
}

// op draws a change of accounts.
func (s small) op() store.Op {
	var purpose *store.Purpose
	if s.bool() {
		purpose = &store.Purpose{Words: s.words(), Until: s.time()}
	}
	switch rapid.IntRange(0, 16).Draw(s.t, "op") {
	case 0:
		a := store.Agency{ID: s.agency(), Name: s.words(), Country: "HT", Communities: s.names("@a", "@B", "@é", "@a"), Contact: s.words(), Local: s.bool(), Created: s.time(), Node: s.of("", "node.x")}
		if s.bool() {
			a.PublicKey = ed25519.PublicKey(bytes.Repeat([]byte{7}, 32))
			a.OldKeys = []store.OldKey{{Key: a.PublicKey, Until: s.time()}}
		}
		for _, m := range a.Communities {
			if t := s.time(); !t.IsZero() {
				a.Joined = map[string]time.Time{m: t}
			}
		}
		return store.PutAgency{Agency: a}
	case 1:
		p := store.Person{ID: s.person(), Name: s.words(), Email: s.of("", "a@example.org"), Lang: s.of("ht", "fr"), Theme: s.of("", "dark"), Disabled: s.bool(), Created: s.time(), Clearances: s.names("victim", "Source", "é", "victim")}
		for _, a := range s.names("ht.Z", "ht.cc", "ht.Z") {
			p.Grants = append(p.Grants, store.Grant{Agency: a, Desk: s.of("*", "sitrep"), Role: desk.Role(s.of("viewer", "operator"))})
		}
		return store.PutPerson{Person: p}
	case 2:
		return store.PutPassword{Person: s.person(), Hash: s.of("$argon2id$1", "$argon2id$2")}
	case 3:
		return store.PutPasskey{Passkey: store.Passkey{ID: s.bytes(), Person: s.person(), Name: s.words(), Data: s.bytes(), Created: s.time(), Used: s.time()}}
	case 4:
		return store.UsePasskey{ID: s.bytes(), Data: s.bytes(), Used: s.time()}
	case 5:
		return store.DropPasskey{Person: s.person(), ID: s.bytes()}
	case 6:
		return store.PutIdentity{Identity: store.Identity{Provider: s.of("p", "P", "é"), Subject: s.of("1", "A", "a"), Person: s.person(), Created: s.time()}}
	case 7:
		return store.DropIdentity{Provider: s.of("p", "P", "é"), Subject: s.of("1", "A", "a")}
	case 8:
		h := s.hash()
		return store.PutSession{Session: store.Session{Hash: h, ID: s.of("a", "B", "c"), Person: s.person(), Agency: s.agency(), Lang: "fr", Purpose: purpose, Method: "password", Address: "10.0.0.1", Agent: s.words(), Created: s.time(), Seen: s.time()}}
	case 9:
		return store.SetPurpose{Hash: s.hash(), Purpose: purpose}
	case 10:
		return store.DropSession{Hash: s.hash()}
	case 11:
		return store.DropSessions{Person: s.person(), Except: s.hash()}
	case 12:
		return store.PutToken{Token: store.Token{Hash: s.hash(), ID: s.of("a", "B", "c"), Name: s.words(), Person: s.person(), Scopes: s.names("read", "write"), Created: s.time(), Expires: s.time(), LastUsed: s.time()}}
	case 13:
		return store.DropToken{ID: s.of("a", "B", "c")}
	case 14:
		h := s.hash()
		return store.PutCode{Code: store.Code{Hash: h, Kind: s.of("password", "first-run"), Person: s.person() + fmt.Sprint(h[0]), Created: s.time(), Expires: s.time()}}
	case 15:
		return store.UseCode{Hash: s.hash()}
	default:
		return store.DropCodes{Person: s.person() + s.of("0", "1", "2")}
	}
}

// plain draws something that is no matter for the ledger.
func (s small) plain() func(store.Store) error {
	switch rapid.IntRange(0, 6).Draw(s.t, "plain") {
	case 0:
		person, lang, theme := s.person(), s.of("es", "en"), s.of("", "auto")
		return func(db store.Store) error { return db.SetPreferences(ctx, person, lang, theme) }
	case 1:
		hash, agency := s.hash(), s.agency()
		return func(db store.Store) error { return db.SetHat(ctx, hash, agency, "en") }
	case 2:
		h := s.hash()
		h[31] = byte(rapid.IntRange(1, 3).Draw(s.t, "code"))
		c := store.Code{Hash: h, Kind: "start", Created: s.time()}
		return func(db store.Store) error { return db.SetFirstRunCode(ctx, c) }
	case 3:
		y := store.Ceremony{Hash: s.hash(), Kind: s.of("passkey", "oidc"), Data: s.bytes(), Expires: s.time()}
		return func(db store.Store) error { return failed(db.BeginCeremony(ctx, y)) }
	case 4:
		h := s.hash()
		return func(db store.Store) error {
			y, err := db.FinishCeremony(ctx, h)
			return errors.Join(err, fmt.Errorf("%+v", y))
		}
	case 5:
		sessions, tokens := map[[32]byte]time.Time{s.hash(): s.time(), s.hash(): s.time()}, map[[32]byte]time.Time{s.hash(): s.time()}
		slowed := []store.Slowed{{Key: s.hash(), Fails: rapid.IntRange(0, 2).Draw(s.t, "fails"), Last: s.time()}, {Key: s.hash(), Fails: 3, Last: s.time()}}
		known := []store.Known{{Key: s.hash(), At: s.time()}, {Key: s.hash(), At: s.time()}}
		return func(db store.Store) error { return db.SaveAccess(ctx, sessions, tokens, slowed, known) }
	default:
		now, created, seen, slowed, known := s.time(), s.time(), s.time(), s.time(), s.time()
		return func(db store.Store) error { return db.SweepAccess(ctx, now, created, seen, slowed, known) }
	}
}

// failed says only that something failed.
func failed(err error) error {
	if err != nil {
		return errors.New("failed")
	}
	return nil
}

// same compares what two stores returned. What only the drivers word is left out.
func same(t *rapid.T, what string, want, got error) {
	t.Helper()
	if (want == nil) != (got == nil) || record.CodeOf(want) != record.CodeOf(got) || want != nil && want.Error() != got.Error() {
		t.Fatalf("%s: SQLite says %v, PostgreSQL %v", what, want, got)
	}
}

// accounts reads everything that a store knows of accounts.
func accounts(t *rapid.T, s store.Store) map[string]any {
	t.Helper()
	out := map[string]any{}
	note := func(what string, v any, err error) {
		if err != nil && record.CodeOf(err) != record.NotFound {
			t.Fatalf("%s: %v", what, err)
		}
		out[what] = v
		if err != nil {
			out[what] = err.Error()
		}
	}
	agencies, people, err := s.People(ctx)
	note("people", []any{agencies, people}, err)
	states, err := s.PersonStates(ctx)
	note("states", states, err)
	all, err := s.Identities(ctx, "")
	note("identities", all, err)
	every, err := s.Tokens(ctx, "")
	note("tokens", every, err)
	for _, p := range []string{"ht.cc/ana", "ht.cc/Zoé", "ht.cc/é", "ht.cc-x/ana"} {
		hash, err := s.Password(ctx, p)
		note("password "+p, hash, err)
		keys, err := s.Passkeys(ctx, p)
		note("passkeys "+p, keys, err)
		identities, err := s.Identities(ctx, p)
		note("identities "+p, identities, err)
		sessions, err := s.Sessions(ctx, p)
		slices.SortStableFunc(sessions, func(a, b store.Session) int { // nothing says in which order those come that share time and ID
			if !a.Created.Equal(b.Created) || a.ID != b.ID {
				return 0
			}
			return bytes.Compare(a.Hash[:], b.Hash[:])
		})
		note("sessions "+p, sessions, err)
		tokens, err := s.Tokens(ctx, p)
		note("tokens "+p, tokens, err)
	}
	for n := range byte(5) {
		h := [32]byte{n}
		session, err := s.Session(ctx, h)
		note(fmt.Sprint("session ", n), session, err)
		token, err := s.Token(ctx, h)
		note(fmt.Sprint("token ", n), token, err)
		for last := range byte(4) {
			h[31] = last
			code, err := s.Code(ctx, h)
			note(fmt.Sprint("code ", n, last), code, err)
		}
	}
	for _, id := range []string{"", "a", "B", "c"} {
		token, err := s.TokenByID(ctx, id)
		note("token "+id, token, err)
		key, err := s.Passkey(ctx, []byte(id))
		note("passkey "+id, key, err)
		identity, err := s.Identity(ctx, "p", id)
		note("identity "+id, identity, err)
	}
	slowed, known, err := s.Throttled(ctx)
	slices.SortFunc(slowed, func(a, b store.Slowed) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	slices.SortFunc(known, func(a, b store.Known) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	note("throttled", []any{slowed, known}, err)
	return out
}

// TestAccountsAreAsInSQLite makes the same changes in both.
func TestAccountsAreAsInSQLite(t *testing.T) {
	url := pgtest.URL(t, french)
	db := open(t, url)
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	folder, files := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := c.Exec(ctx, `DO $$ DECLARE r record; BEGIN FOR r IN SELECT tablename FROM pg_tables WHERE tablename LIKE 'account\_%' LOOP EXECUTE 'DELETE FROM ' || r.tablename; END LOOP; END $$`); err != nil {
			rt.Fatal(err)
		}
		files++
		lite, err := sqlite.Open(ctx, filepath.Join(folder, fmt.Sprint(files)))
		if err != nil {
			rt.Fatal(err)
		}
		defer lite.Close()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			s := small{rt}
			if rapid.IntRange(0, 2).Draw(rt, "which") == 0 {
				do := s.plain()
				same(rt, "a plain change", do(lite), do(db))
				continue
			}
			var ops []store.Op
			for range rapid.IntRange(1, 6).Draw(rt, "ops") {
				ops = append(ops, s.op())
			}
			want, got := commit(lite, ops...), commit(db, ops...)
			if record.CodeOf(want) != record.Conflict { // a code of this hash may be there: the drivers word that in their own way
				want, got = failed(want), failed(got)
			}
			same(rt, fmt.Sprintf("%+v", ops), want, got)
		}
		if diff := cmp.Diff(accounts(rt, lite), accounts(rt, db)); diff != "" {
			rt.Fatalf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
		}
	})
}

func TestTextThatPostgreSQLCannotHoldIsKeptWithoutIt(t *testing.T) {
	db := open(t, pgtest.URL(t))
	s := store.Session{Hash: sha256.Sum256([]byte("x")), ID: "s", Person: "ht.cc/a\x00", Agency: "ht.cc", Agent: "Mozilla \xff\x00 5", Created: time.Now(), Seen: time.Now()}
	if err := commit(db, store.PutSession{Session: s}, store.PutPerson{Person: store.Person{ID: s.Person, Clearances: []string{"a\x00"}, Grants: []store.Grant{{Agency: "\x00"}}}}); err != nil {
		t.Fatal(err)
	}
	got, err := db.Session(ctx, s.Hash)
	if err != nil || got.Agent != "Mozilla \uFFFD\uFFFD 5" || got.Person != "ht.cc/a\uFFFD" {
		t.Errorf("got %+v, %v", got, err)
	}
	if all, err := db.Sessions(ctx, s.Person); err != nil || len(all) != 1 {
		t.Errorf("got %+v, %v", all, err)
	}
	if _, err := db.Password(ctx, "a\x00"); record.CodeOf(err) != record.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestSecretIsMadeOnceForAllProcesses(t *testing.T) {
	url := pgtest.URL(t)
	made := make(chan []byte)
	for range 4 {
		db := open(t, url)
		go func() {
			b, err := db.Secret(ctx, "sibling")
			if err != nil {
				t.Error(err)
			}
			made <- b
		}()
	}
	first := await(t, "a secret", made)
	for range 3 {
		if b := await(t, "a secret", made); len(b) != 32 || !bytes.Equal(b, first) {
			t.Errorf("got %x and %x", first, b)
		}
	}
}

// TestSavingAccessBlocksNoTurn holds a session and wants another one, as a turn does
// that changes several.
func TestSavingAccessBlocksNoTurn(t *testing.T) {
	url := pgtest.URL(t)
	db := open(t, url)
	one, two := [32]byte{1}, [32]byte{2}
	old, now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	for _, h := range [][32]byte{one, two} {
		if err := commit(db, store.PutSession{Session: store.Session{Hash: h, ID: fmt.Sprint(h[0]), Created: old, Seen: old}}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "UPDATE account_session SET purpose = 'x' WHERE hash = $1", one[:]); err != nil {
		t.Fatal(err)
	}
	if err := db.SaveAccess(ctx, map[[32]byte]time.Time{one: now, two: now}, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := db.SweepAccess(ctx, now, old, old, now, now); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	for h, want := range map[[32]byte]time.Time{one: old, two: now} {
		if s, err := db.Session(ctx, h); err != nil || !s.Seen.Equal(want) {
			t.Errorf("session %d was seen at %v, %v", h[0], s.Seen, err)
		}
	}
}
