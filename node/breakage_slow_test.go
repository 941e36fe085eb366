package node_test

import (
	"strings"
	"testing"
	"time"
)

func TestDatabaseThatTakesTwoSecondsAQueryHoldsUpAndLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("what is slow takes its time")
	}
	t.Parallel()
	s, h := ownServer(t)
	d := newLine(t, s.Address())
	h.store = strings.Replace(h.store, s.Address(), d.address(), 1)
	a, b := h.start(), h.start()
	oneOnDuty(t, 5*time.Second, a, b)
	w, c := h.watch(a, b), h.write(4, a, b)
	c.more(10, 20*time.Second)

	d.slow(2 * time.Second)
	c.answers(4, 30*time.Second)
	turns := 0 // of duty
	for end, was := time.Now().Add(12*time.Second), len(onDuty(a, b)); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if now := len(onDuty(a, b)); now != was {
			was, turns = now, turns+1
		}
	}
	if turns > 1 {
		t.Errorf("the duty began and ended %d times", turns)
	}
	for _, p := range []*process{a, b} {
		if got := p.get("", "/healthz"); got.code != 200 {
			t.Errorf("alive: %+v", got)
		}
	}

	d.slow(0)
	c.more(20, 30*time.Second)
	oneOnDuty(t, 10*time.Second, a, b)
	c.stop()
	if c.longest > 45*time.Second {
		t.Errorf("an answer took %s", c.longest)
	}
	c.onlyTold("503 this process was too slow with its turn to write; nothing was saved", "503 the database is slow", "503 the database was lost while it saved", before, away, "503 the database takes longer than")
	t.Logf("the longest answer took %s; refused:\n%s", c.longest.Round(time.Millisecond), c.refusals())
	w.saw(c, 5*time.Second)
	c.kept(a)
}
