package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/intake"
	"konbit/kerneltest"
	"konbit/node"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres/pgtest"
)

// pair starts a server with a standby that has everything, and a house that knows
// both addresses.
func pair(t *testing.T) (one, two *pgtest.Server, h *house) {
	t.Helper()
	one = pgtest.Start(t)
	one.Do("postgres", "CREATE DATABASE konbit")
	two = one.Standby(t, "two")
	one.Synchronous("two")
	h = houseOn(t, fmt.Sprintf("postgres://postgres@%s,%s/konbit?sslmode=disable", one.Address(), two.Address()))
	h.people()
	return one, two, h
}

const (
	tookOver = "503 another database server took over in this moment; nothing was saved"
	older    = "500 the database is older than it was"
)

func TestStandbyTakesOverAndNothingAcknowledgedIsLost(t *testing.T) {
	one, two, h := pair(t)
	a, b := h.start(), h.start()
	oneOnDuty(t, 5*time.Second, a, b)
	w, c := h.watch(a, b), h.write(6, a, b)
	c.more(20, 20*time.Second)

	one.Kill()
	c.hears(10*time.Second, away)
	two.Promote()
	promoted := time.Now()
	c.more(5, 5*time.Second)
	oneOnDuty(t, 5*time.Second-time.Since(promoted), a, b)
	t.Logf("both write %s after the promotion", time.Since(promoted).Round(time.Millisecond))
	c.more(20, 20*time.Second)
	c.stop()
	c.onlyTold(away, busy, lost, before, tookOver)
	w.saw(c, 5*time.Second)
	c.kept(a)
	c.kept(b)
}

// A server that comes back after a restart shows what its standby has not: who asks
// again for such a change is not told that it is done before the standby has it.
func TestRetryIsAcknowledgedOnlyWhenTheStandbyHasTheChange(t *testing.T) {
	one, two, h := pair(t)
	b := h.start()
	oneOnDuty(t, 5*time.Second, b)
	a := h.start()
	for _, p := range []*process{a, b} { // names get their numbers
		if _, err := p.n.Intake.Do(t.Context(), report(kerneltest.ID(), "Before")); err != nil {
			t.Fatal(err)
		}
	}
	two.Stop(pgtest.Fast)
	c := report(kerneltest.ID(), "Only on one disk")
	again := *c
	lost := make(chan error, 1)
	go func() {
		_, err := a.n.Intake.Do(t.Context(), c)
		lost <- err
	}()
	waits := func() bool {
		return count(t, one, "pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'") > 0
	}
	until(t, "the change waits for the standby", 20*time.Second, waits)
	one.Kill()
	a.may = true
	a.stop()
	if err := <-lost; err == nil {
		t.Fatal("the change was acknowledged without the standby")
	}
	one.Start()
	if n := count(t, one, "record WHERE id = $1", [16]byte(c.Record)); n != 1 {
		t.Fatalf("the server that came back shows %d of it", n)
	}
	told := make(chan error, 1)
	go func() {
		res, err := b.n.Intake.Do(t.Context(), &again)
		if err == nil && res.Status != intake.Unchanged {
			err = fmt.Errorf("it was done again: %+v", res)
		}
		told <- err
	}()
	until(t, "the retry waits for the standby", 20*time.Second, waits)
	select {
	case err := <-told:
		t.Fatalf("it was answered without the standby: %v", err)
	case <-time.After(time.Second):
	}
	two.Start()
	if err := <-told; err != nil {
		t.Errorf("with the standby: %v", err)
	}
	one.Kill()
	two.Promote()
	if n := count(t, two, "record WHERE id = $1", [16]byte(c.Record)); n != 1 {
		t.Errorf("the standby has %d of it", n)
	}
}

// count asks a server how many rows there are.
func count(t *testing.T, s *pgtest.Server, of string, args ...any) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), s.URL("konbit"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.QueryRow(t.Context(), "SELECT count(*)::int FROM "+of, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// loses makes the standby take over without what was written last: n reports and what
// else do writes.
func loses(h *house, one, two *pgtest.Server, n int, do func(), ps ...*process) (gone []record.ID) {
	h.t.Helper()
	one.Synchronous()
	two.Stop(pgtest.Fast)
	for i := range n {
		gone = append(gone, ps[i%len(ps)].told(h.token, fmt.Sprint("Lost ", i)))
	}
	do()
	one.Kill()
	two.Start()
	two.Promote()
	return gone
}

func TestStandbyThatDidNotHaveEverythingIsNoticed(t *testing.T) {
	one, two, h := pair(t)
	a, b := h.start(), h.start()
	oneOnDuty(t, 5*time.Second, a, b)
	kept := a.told(h.token, "Kept")
	until(t, "the memory has it", 5*time.Second, func() bool { return remembered(t, h) == a.n.Intake.Size() })
	had := int64(0)
	gone := loses(h, one, two, 7, func() {
		had = a.n.Intake.Size()
		until(t, "the memory has all", 5*time.Second, func() bool { return remembered(t, h) == had })
	}, a, b)

	// Both notice, whoever wrote last, and end.
	for _, p := range []*process{a, b} {
		if err := p.ends(10 * time.Second); record.CodeOf(err) != record.Corrupt || !strings.Contains(err.Error(), "the database is older than it was") {
			t.Errorf("it ended with %v", err)
		}
	}
	n, err := node.Open(t.Context(), h.config())
	if err == nil {
		n.Close()
		t.Fatal("it starts on the older database")
	}
	if record.CodeOf(err) != record.Corrupt || !strings.Contains(err.Error(), ": missing are 7") {
		t.Errorf("at the start: %v", err)
	}
	if hint := hintOf(err); !strings.Contains(hint, "konbit restored --data") {
		t.Errorf("the hint is %q", hint)
	}

	if _, err := node.Restored(t.Context(), h.config(), "root"); record.CodeOf(err) != record.Unavailable || !strings.Contains(err.Error(), "2 processes of this node are running") {
		t.Errorf("while processes may run on it: %v", err)
	}
	two.Do("konbit", "UPDATE process SET seen = seen - interval '1 minute'") // a minute goes by
	loss, err := node.Restored(t.Context(), h.config(), "root")
	if err != nil {
		t.Fatal(err)
	}
	if loss.Missing() != 7 || loss.Had != had || loss.Has != had-7 || loss.Forked {
		t.Errorf("lost: %+v", loss)
	}
	a, b = h.start(), h.start()
	for _, id := range gone {
		if got := a.get(h.token, "/api/v1/records/incident/"+id.String()); got.code != 404 {
			t.Errorf("what was lost is %+v", got)
		}
	}
	if got := b.get(h.token, "/api/v1/records/incident/"+kept.String()); got.code != 200 {
		t.Errorf("what was kept is %+v", got)
	}
	c := h.write(4, a, b)
	c.more(5, 10*time.Second)
	c.stop()
	c.kept(b)
	told := 0
	if err := a.n.Store.Entries(t.Context(), 0, -1, func(l *store.Logged) bool {
		if s := string(l.Content); l.Type == "access" && strings.Contains(s, `"database restored"`) && strings.Contains(s, `"by":"root"`) && strings.Contains(s, `"missing":7`) {
			told++
		}
		return true
	}); err != nil || told != 2 {
		t.Errorf("the ledger tells of it %d times, %v", told, err)
	}
}

func hintOf(err error) string {
	var e *record.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// remembered is the size in the memory of the data folder.
func remembered(t *testing.T, h *house) (size int64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.data, "checkpoint.seen"))
	if err != nil {
		return 0
	}
	fmt.Sscan(strings.Split(string(b), "\n")[1], &size)
	return size
}

// TestNumbersThatALostServerGaveOutAreNotBelieved lets a process intern a name in a
// server that is lost before anything is written with it. The ledger is none the
// shorter, but the number of the name may be another's now.
func TestNumbersThatALostServerGaveOutAreNotBelieved(t *testing.T) {
	one, two, h := pair(t)
	a := h.start()
	oneOnDuty(t, 5*time.Second, a)
	a.told(h.token, "Before")
	one.Synchronous()
	two.Stop(pgtest.Fast)

	lock, err := pgx.Connect(t.Context(), one.URL("konbit"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), "BEGIN; LOCK TABLE entry IN ACCESS EXCLUSIVE MODE", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	bela := *ana
	bela.Person = "ht.cc/bela"
	done := make(chan error, 1)
	first := report(kerneltest.ID(), "Told by Bela")
	first.By = &bela
	go func() {
		_, err := a.n.Intake.Do(t.Context(), first)
		done <- err
	}()
	until(t, "the name has a number", 10*time.Second, func() bool {
		c, err := pgx.Connect(t.Context(), one.URL("konbit"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		var n int
		if err := c.QueryRow(t.Context(), "SELECT count(*) FROM name WHERE s = 'ht.cc/bela'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	one.Kill()
	if err := <-done; record.CodeOf(err) != record.Unavailable {
		t.Errorf("the command was answered with %v", err)
	}
	two.Start()
	two.Promote()
	two.Do("konbit", "INSERT INTO name(s) SELECT 'ht.cc/other' || i FROM generate_series(1, 100) AS i") // somebody else gets the numbers

	again := *first
	until(t, "it goes on", 10*time.Second, func() bool {
		_, err := a.n.Intake.Do(t.Context(), &again)
		return err == nil
	})
	h.verified()
}
