package node_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/kerneltest"
	"konbit/node"
	"konbit/peer"
	"konbit/peer/trust"
	"konbit/policy"
	"konbit/record"
	"konbit/store/postgres/pgtest"
)

// yesterday is a copy of a stopped node's database.
type yesterday struct {
	t    *testing.T
	s    *pgtest.Server // nil: it is a file
	h    *house
	file string
}

// keep makes the copy, with PostgreSQL's own means, or of the file.
func keep(t *testing.T, s *pgtest.Server, h *house) *yesterday {
	t.Helper()
	y := &yesterday{t, s, h, filepath.Join(t.TempDir(), "copy")}
	if s != nil {
		y.run("pg_dump", "--format=custom", "--file="+y.file, h.store)
		return y
	}
	copied(t, filepath.Join(h.data, "konbit.db"), y.file)
	return y
}

// back puts it in the place of what there is.
func (y *yesterday) back() {
	y.t.Helper()
	if y.s != nil {
		y.s.Do("postgres", "DROP DATABASE konbit WITH (FORCE)", "CREATE DATABASE konbit")
		y.run("pg_restore", "--exit-on-error", "--dbname="+y.h.store, y.file)
		return
	}
	db := filepath.Join(y.h.data, "konbit.db")
	for _, left := range []string{db + "-wal", db + "-shm"} {
		if err := os.Remove(left); err != nil && !os.IsNotExist(err) {
			y.t.Fatal(err)
		}
	}
	copied(y.t, y.file, db)
}

func (y *yesterday) run(program string, args ...string) {
	y.t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		y.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func copied(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// notOpened is why a node does not start.
func (h *house) notOpened(words string) {
	h.t.Helper()
	n, err := node.Open(h.t.Context(), h.config())
	if err == nil {
		n.Close()
		h.t.Fatal("it starts")
	}
	if record.CodeOf(err) != record.Corrupt || !strings.Contains(err.Error(), words) || !strings.Contains(hintOf(err), "konbit restored") {
		h.t.Errorf("%v; %s", err, hintOf(err))
	}
}

// give gives a report of an agency that is released to others.
func (p *process) give(agency, title string, to ...string) *record.Record {
	p.t.Helper()
	c := report(kerneltest.ID(), title)
	c.By = &policy.Reader{Person: agency + "/op", Agency: agency, Roles: map[string][]desk.Role{"*": {desk.Operator, desk.Supervisor}}}
	c.Draft.Marking.To = to
	got, err := p.n.Intake.Do(p.t.Context(), c)
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Record
}

// edit gives it another title.
func (p *process) edit(r *record.Record, title string) {
	p.t.Helper()
	c := report(r.ID, title)
	c.Name = desk.Edit
	c.By = &policy.Reader{Person: r.Author, Agency: r.Owner, Roles: map[string][]desk.Role{"*": {desk.Operator, desk.Supervisor}}}
	c.Draft.Marking = record.Marking{}
	if _, err := p.n.Intake.Do(p.t.Context(), c); err != nil {
		p.t.Fatal(err)
	}
}

// holds reports which version of a record is here, 0 for none.
func (p *process) holds(r *record.Record) int {
	p.t.Helper()
	s, err := p.n.Store.Get(p.t.Context(), r.ID)
	if record.CodeOf(err) == record.NotFound {
		return 0
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Version
}

// befriend makes two nodes exchange: the first invites.
func befriend(t *testing.T, inviter, joiner *process) {
	t.Helper()
	ctx := t.Context()
	code, err := inviter.n.Trust().Invite(ctx, account.Node, false, inviter.url, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := joiner.n.Trust().Join(ctx, account.Node, code); err != nil {
		t.Fatal(err)
	}
	self, none := joiner.n.Trust().Self(), map[string][]string{}
	for _, a := range self.Agencies {
		none[a] = nil
	}
	if err := inviter.n.Trust().Approve(ctx, account.Node, self.Name, trust.Spoken(self.Sign), none, time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func alarms(t *testing.T, at *process, about string) (codes []string) {
	t.Helper()
	as, err := at.n.Exchange().Alarms(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range as {
		if a.Node == about {
			codes = append(codes, a.Code)
		}
	}
	return codes
}

func TestDatabaseRestoredToYesterdayIsNoticedAcceptedAndMendedByPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a dump of a database and puts it back")
	}
	t.Parallel()
	for _, engine := range []string{"PostgreSQL", "SQLite"} {
		t.Run(engine, func(t *testing.T) {
			var s *pgtest.Server
			h := houseOn(t, "")
			if engine == "PostgreSQL" {
				s, h = ownServer(t)
			} else {
				h.people()
			}
			friend := houseOn(t, "")
			friend.listens, friend.agencies = true, []string{"do.911"}
			friend.people()
			f := friend.start()

			begin := func() *process {
				t.Helper()
				a := h.start()
				if s != nil {
					oneOnDuty(t, 5*time.Second, a)
				}
				return a
			}
			a := begin()
			befriend(t, f, a)
			settled := func(what string, a *process, holds ...any) {
				t.Helper()
				until(t, what, 45*time.Second, func() bool {
					for i := 0; i < len(holds); i += 3 {
						if holds[i].(*process).holds(holds[i+1].(*record.Record)) != holds[i+2].(int) {
							return false
						}
					}
					return true
				})
			}
			ours, theirs := a.give("ht.cc", "Ours", "do.911"), f.give("do.911", "Theirs", "ht.cc")
			settled("both have what was given", a, f, ours, 1, a, theirs, 1)
			a.stop()
			y := keep(t, s, h)

			a = begin()
			was := a.n.Intake.Size()
			f.edit(theirs, "Theirs, changed")
			late := f.give("do.911", "Theirs, later", "ht.cc")
			forgotten := a.give("ht.cc", "Ours, later", "do.911")
			settled("both have what came later", a, f, forgotten, 1, a, late, 1, a, theirs, 2)
			a.stop()
			a = begin() // when a link comes up, the friend co-signs what the ledger is
			had, name := a.n.Intake.Size(), a.n.Keys.Origin
			until(t, "the friend has co-signed what came later", 45*time.Second, func() bool {
				all, err := f.n.Exchange().Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return slices.ContainsFunc(all, func(s peer.Status) bool { return s.Name == name && s.Witness != nil && s.Witness.Size >= had })
			})
			a.stop()

			y.back()
			h.notOpened("the database is older than it was")
			loss, err := node.Restored(t.Context(), h.config(), "root")
			if err != nil {
				t.Fatal(err)
			}
			if loss.Has > was || loss.Missing() != loss.Had-loss.Has || loss.Forked {
				t.Errorf("lost: %+v, the copy was made at %d", loss, was)
			}
			h.verified()
			if remembered(t, h) <= loss.Has {
				t.Errorf("the memory has %d entries", remembered(t, h))
			}

			a = begin()
			settled("everything is there again", a, a, theirs, 2, a, late, 1, f, ours, 1)
			// What we do not remember nobody could recall: the friend gives it back.
			settled("what was forgotten is given back", a, f, forgotten, 0)
			again := a.give("ht.cc", "Ours, again", "do.911")
			settled("it goes on", a, f, again, 1)
			until(t, "the friend knows of the new life", 45*time.Second, func() bool { return slices.Contains(alarms(t, f, name), "restored") })
			for _, code := range alarms(t, f, name) {
				if code != "restored" {
					t.Errorf("the friend has the alarm %s", code)
				}
			}
			h.verified()
			friend.verified()
		})
	}
}

func TestFileThatWentOnElsewhereIsNotTakenForTheSame(t *testing.T) {
	h := houseOn(t, "")
	h.people()
	y := keep(t, nil, h)
	a := h.start()
	a.told(h.token, "Here")
	a.stop()

	// The copy lives on in another folder, which has the same keys.
	other := houseOn(t, "")
	other.token = h.token
	if err := os.CopyFS(filepath.Join(other.data, "keys"), os.DirFS(filepath.Join(h.data, "keys"))); err != nil {
		t.Fatal(err)
	}
	copied(t, y.file, filepath.Join(other.data, "konbit.db"))
	b := other.start()
	for i := range 5 {
		b.told(h.token, fmt.Sprint("Elsewhere ", i))
	}
	b.stop()
	copied(t, filepath.Join(other.data, "konbit.db"), filepath.Join(h.data, "konbit.db"))
	h.notOpened("the database is not the one that it was")

	loss, err := node.Restored(t.Context(), h.config(), "")
	if err != nil || !loss.Forked {
		t.Fatalf("%+v %v", loss, err)
	}
	h.start().told(h.token, "Here again")
	h.verified()
}

// TestDatabaseThatIsReplacedUnderARunningProcessEndsIt puts another database, which is
// longer, in the place of the one that a process works on.
func TestDatabaseThatIsReplacedUnderARunningProcessEndsIt(t *testing.T) {
	t.Parallel()
	s, h := ownServer(t)
	s.Do("postgres", "CREATE DATABASE other TEMPLATE konbit")
	other := houseOn(t, s.URL("other"))
	other.token = h.token
	if err := os.CopyFS(filepath.Join(other.data, "keys"), os.DirFS(filepath.Join(h.data, "keys"))); err != nil {
		t.Fatal(err)
	}
	a, b := h.start(), other.start()
	a.told(h.token, "Here")
	for i := range 5 {
		b.told(h.token, fmt.Sprint("Elsewhere ", i))
	}
	b.stop()
	s.Do("postgres", "ALTER DATABASE konbit ALLOW_CONNECTIONS false", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'konbit'",
		"ALTER DATABASE konbit RENAME TO gone", "ALTER DATABASE other RENAME TO konbit")
	written := func() (size int64) {
		t.Helper()
		n, err := node.OpenReadOnly(t.Context(), other.data, h.store)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		if size, _, err = n.Store.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
		return size
	}
	size := written()
	until(t, "writing is refused", 10*time.Second, func() bool {
		_, err := a.n.Intake.Do(t.Context(), report(kerneltest.ID(), "Where?"))
		if err == nil {
			t.Fatal("it writes into another database")
		}
		return record.CodeOf(err) == record.Corrupt && strings.Contains(err.Error(), "the database is not the one that it was")
	})
	if err := a.ends(10 * time.Second); record.CodeOf(err) != record.Corrupt {
		t.Errorf("it ended with %v", err)
	}
	if written() != size {
		t.Error("something was written into another database")
	}
	h.notOpened("the database is not the one that it was")
}

func TestCutOffMemoryIsAsGoodAsNone(t *testing.T) {
	data := made(t)
	path := filepath.Join(data, "checkpoint.seen")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range [][]byte{nil, b[:len(b)/2], []byte("nonsense")} {
		if err := os.WriteFile(path, left, 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := node.Open(t.Context(), node.Config{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if again, err := os.ReadFile(path); err != nil || string(again) != string(b) {
			t.Errorf("%q, %v", again, err)
		}
	}
}
