package node_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"konbit/account"
	"konbit/kerneltest"
	"konbit/node"
	"konbit/record"
	"konbit/store"
)

// clock is the right time, which can be moved.
type clock struct {
	mu    sync.Mutex
	moved time.Duration
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += by
}

// off is a clock that is wrong by so much.
func (c *clock) off(by time.Duration) func(*node.Config) {
	return func(n *node.Config) {
		n.Now = func() time.Time {
			c.mu.Lock()
			defer c.mu.Unlock()
			return time.Now().Add(c.moved + by)
		}
	}
}

func TestClocksThatAreAMinuteApartDoNoHarm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.people()
	var c clock
	ahead := h.start(c.off(time.Minute))
	oneOnDuty(t, 5*time.Second, ahead) // the one whose clock is ahead
	behind := h.start(c.off(0))
	oneOnDuty(t, 5*time.Second, ahead, behind)
	both := []*process{ahead, behind}

	people := h.write(4, both...)
	people.more(15, 20*time.Second)
	people.stop()
	people.onlyTold()
	people.kept(behind)
	h.inOrder()

	// Sessions: begun at one, used at both, with another hat, and a purpose.
	for _, at := range [][]*process{both, {behind, ahead}} {
		b := &browser{t: t, at: at}
		b.signIn("ht.cc/root")
		for range 4 {
			for _, hat := range []string{"ht.pnh", "ht.cc"} {
				if code, v := b.ask("PATCH", "/api/v1/session", map[string]string{"hat": hat}); code != 200 {
					t.Fatalf("%d %v", code, v)
				}
				if code, v := b.ask("GET", "/api/v1/session", nil); code != 200 || !strings.Contains(fmt.Sprint(v["hat"]), hat) {
					t.Fatalf("%d %v, want %s", code, v, hat)
				}
			}
			b.n++
		}
		for range both { // what only the one on duty knows is asked there
			if code, v := b.ask("GET", "/api/v1/peers", nil); code != 200 || v["self"] == nil {
				t.Errorf("%d %v", code, v)
			}
			until(t, "it knows of both", 5*time.Second, func() bool {
				code, v := b.ask("GET", "/api/v1/status", nil)
				all, _ := v["processes"].([]any)
				return code == 200 && len(all) == 2
			})
		}
	}
	for i, p := range both { // tokens: made at one, good at the other
		secret, _, err := p.n.Accounts.CreateToken(t.Context(), account.Node, account.NewToken{Name: "a test", Person: "ht.cc/ana", Scopes: []string{"read"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := both[1-i].get(secret, "/api/v1/records/incident"); got.code != 200 {
			t.Errorf("%+v", got)
		}
	}

	// A timer: it is set by the ledger's time, which follows the clock that is ahead,
	// fires there, and not again where it is due a minute later.
	id := kerneltest.ID()
	grave := draft(id, "Grave")
	grave["body"].(map[string]any)["severity"] = "severe"
	if a, err := behind.tell(h.token, grave); err != nil || a.code != 201 {
		t.Fatalf("%+v %v", a, err)
	}
	c.move(15*time.Minute + time.Second)
	until(t, "the timer has fired", 10*time.Second, func() bool { return len(h.commands(behind, id)) == 2 })
	ahead.stop()
	oneOnDuty(t, 10*time.Second, behind)
	c.move(2 * time.Minute)
	last := behind.told(h.token, "Later") // that the timer would have been before
	until(t, "reactions have followed", 10*time.Second, func() bool {
		seq, err := behind.n.Store.Cursor(t.Context(), "react")
		return err == nil && seq >= behind.n.Intake.Size()
	})
	if got := h.commands(behind, id); !slices.Equal(got, []string{"incident.create", "incident.remind"}) {
		t.Errorf("the record has seen %v", got)
	}
	if got := h.commands(behind, last); len(got) != 1 {
		t.Errorf("another one has seen %v", got)
	}
	h.inOrder()
	h.verified()
}

// commands lists what was done to a record.
func (h *house) commands(p *process, id record.ID) (out []string) {
	h.t.Helper()
	vs, err := p.n.Store.Versions(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, v := range vs {
		out = append(out, v.Record.Command)
	}
	return out
}

// inOrder fails the test when the ledger's time goes back anywhere.
func (h *house) inOrder() {
	h.t.Helper()
	n, err := node.OpenReadOnly(h.t.Context(), h.data, h.store)
	if err != nil {
		h.t.Fatal(err)
	}
	defer n.Close()
	var last time.Time
	if err := n.Store.Entries(h.t.Context(), 0, -1, func(l *store.Logged) bool {
		if l.At.Before(last) {
			h.t.Errorf("entry %d is of %s, the one before of %s", l.Seq, l.At, last)
		}
		last = l.At
		return true
	}); err != nil {
		h.t.Fatal(err)
	}
}
