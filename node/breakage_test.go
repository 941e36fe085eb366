package node_test

import (
	"strings"
	"testing"
	"time"

	"konbit/kerneltest"
	"konbit/node"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres/pgtest"
)

// What breaks here is a real server of its own, under people who write all the time.

const (
	away   = "503 the database cannot be reached"
	busy   = "503 the database is busy, starting or stopping; nothing was saved"
	lost   = "503 the database was lost while it saved: it is not known whether it did"
	before = "503 nothing was saved: the change before this one could not be written"
)

// ownServer starts a server for this test, and makes a house on it with two processes.
func ownServer(t *testing.T, settings ...string) (*pgtest.Server, *house) {
	t.Helper()
	s := pgtest.Start(t, settings...)
	s.Do("postgres", "CREATE DATABASE konbit")
	h := houseOn(t, s.URL("konbit"))
	h.people()
	return s, h
}

// oneOnDuty waits until one of the processes does what runs once only, the others
// know, and all of them show what they have. (A node that was opened and does not serve
// yet counts as on duty, too.)
func oneOnDuty(t *testing.T, patience time.Duration, ps ...*process) {
	t.Helper()
	until(t, "one is on duty", patience, func() bool {
		all, err := ps[0].n.Store.(store.Shared).Processes(t.Context())
		return err == nil && len(all) >= len(ps) && all[0].Duty && !all[0].Holding && len(onDuty(ps...)) == 1
	})
}

func TestDatabaseThatIsGoneComesBack(t *testing.T) {
	t.Parallel()
	s, h := ownServer(t)
	a, b := h.start(), h.start()
	oneOnDuty(t, 5*time.Second, a, b)
	w, c := h.watch(a, b), h.write(6, a, b)
	c.more(20, 20*time.Second)

	s.Stop(pgtest.Immediate)
	c.hears(15*time.Second, away)
	for _, p := range []*process{a, b} {
		if got := p.get("", "/readyz"); got.code != 503 || got.detail() != "the store does not answer" {
			t.Errorf("ready: %+v", got)
		}
		if got := p.get("", "/healthz"); got.code != 200 {
			t.Errorf("alive: %+v", got)
		}
		if got := p.get(h.token, "/api/v1/records/incident"); got.code != 503 || got.detail() != "the database cannot be reached" {
			t.Errorf("a list: %+v", got)
		}
	}
	// What is told without HTTP in between is refused as well, at the latest when it is
	// given up to find out what became of the last commit.
	unsaid := make(chan error, 2)
	for _, p := range []*process{a, b} {
		go func() {
			_, err := p.n.Intake.Do(t.Context(), report(kerneltest.ID(), "Unsaid"))
			unsaid <- err
		}()
	}
	for range 2 {
		if err := <-unsaid; record.CodeOf(err) != record.Unavailable || !strings.Contains(err.Error(), "nothing was saved") {
			t.Errorf("a command: %v", err)
		}
	}
	until(t, "nobody is on duty", 5*time.Second, func() bool { return len(onDuty(a, b)) == 0 })

	s.Start()
	c.more(20, 20*time.Second)
	oneOnDuty(t, 10*time.Second, a, b)
	for _, p := range []*process{a, b} {
		if got := p.get("", "/readyz"); got.code != 200 {
			t.Errorf("ready: %+v", got)
		}
	}
	c.stop()
	c.onlyTold(away, busy, lost, before)
	w.saw(c, 5*time.Second)
	c.kept(a)
	c.kept(b)
	t.Logf("%d acknowledged; the longest answer took %s; refused:\n%s", len(c.acked), c.longest.Round(time.Millisecond), c.refusals())
}

func TestDatabaseThatIsGoneAtTheStartIsSaid(t *testing.T) {
	s, h := ownServer(t)
	s.Stop(pgtest.Fast)
	begun := time.Now()
	n, err := node.Open(t.Context(), h.config())
	if err == nil {
		n.Close()
		t.Fatal("it opened")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if record.CodeOf(err) != record.Unavailable || !strings.Contains(err.Error(), "the database cannot be reached") {
		t.Error(err)
	}
	s.Start()
	h.start()
}

const fixed = "503 the database takes no changes now; nothing was saved"

func TestDatabaseThatTakesNoChangesIsReadFrom(t *testing.T) {
	t.Parallel()
	s, h := ownServer(t)
	a, b := h.start(), h.start()
	oneOnDuty(t, 5*time.Second, a, b)
	plain := a.told(h.token, "Water in the street")
	protected := a.told(h.token, "A child")
	if got, err := a.call(h.token, "POST", "/api/v1/records/incident/"+protected.String()+"/mark",
		map[string]any{"args": map[string]any{"tlp": "AMBER", "caveats": []string{"juvenile"}}}); err != nil || got.code != 200 {
		t.Fatalf("%+v %v", got, err)
	}
	c := h.write(4, a, b)
	c.more(10, 20*time.Second)

	s.Set("default_transaction_read_only=on")
	c.hears(10*time.Second, fixed)
	for _, p := range []*process{a, b} {
		if got := p.get(h.token, "/api/v1/records/incident/"+plain.String()); got.code != 200 || !strings.Contains(p.text(got), "Water in the street") {
			t.Errorf("a record: %+v", got)
		}
		if got := p.get(h.token, "/api/v1/records/incident"); got.code != 200 {
			t.Errorf("a list: %+v", got)
		}
		// A look at what is protected must be written down first, so nobody sees it now.
		got := p.get(h.token, "/api/v1/records/incident/"+protected.String(), "Konbit-Purpose", "to help")
		if said(got) != fixed || strings.Contains(p.text(got), "A child") {
			t.Errorf("a protected record: %+v", got)
		}
	}
	if got, err := a.call("", "POST", "/api/v1/session", map[string]string{"name": "ht.cc/ana", "password": twinPassword}); err != nil || said(got) != fixed {
		t.Errorf("a sign-in: %+v %v", got, err)
	}
	third := h.start() // it reads as well
	if got := third.get(h.token, "/api/v1/records/incident/"+plain.String()); got.code != 200 {
		t.Errorf("a record: %+v", got)
	}

	s.Set("default_transaction_read_only=off")
	c.more(10, 10*time.Second)
	if got := b.get(h.token, "/api/v1/records/incident/"+protected.String(), "Konbit-Purpose", "to help"); got.code != 200 {
		t.Errorf("a protected record: %+v", got)
	}
	oneOnDuty(t, 10*time.Second, a, b)
	c.stop()
	c.onlyTold(fixed, before)
	c.kept(a)
	third.told(h.token, "All is well")
}
