package peer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"konbit/nodetest/cable"
	"konbit/record"
)

// online runs a station's exchange behind a real listener until the test ends or
// it is called, and returns the address.
func (s *station) online() (url string, off func()) {
	s.t.Helper()
	brisk(&s.x.links.pace)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.x.Run(ctx) }()
	until(s.t, "the links run", s.x.links.running)
	srv := httptest.NewServer(s.x.Handler())
	off = func() {
		if cancel == nil {
			return
		}
		cancel()
		cancel = nil
		srv.CloseClientConnections()
		srv.Close()
		if err := <-done; err != nil && ctx.Err() == nil {
			s.t.Error(err)
		}
	}
	s.t.Cleanup(off)
	return srv.URL, off
}

// dials gives a station the address of another one, over a wire.
func (s *station) dials(o *station, url string, w *cable.Wire) {
	s.t.Helper()
	if w != nil {
		s.x.links.transport = func() *http.Transport { return transports(w.Dial)() }
	}
	if err := s.trust.SetLink(s.t.Context(), "admin", o.keys.name, []string{url}, ""); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) statusOf(o *station) Status {
	s.t.Helper()
	all, err := s.x.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(st Status) bool { return st.Name == o.keys.name })
	if i < 0 {
		s.t.Fatalf("%s does not know %s", s.keys.name, o.keys.name)
	}
	return all[i]
}

func TestRecordsAndRecallsFlowBetweenNodesOverHTTP(t *testing.T) {
	_, a, b := pair(t)
	var w cable.Wire
	url, _ := b.online()
	a.online()
	a.dials(b, url, &w)
	r := a.open("ht.cc", "a boat is missing", to("do.911"))
	until(t, "it is at b", func() bool { return b.holds(r.ID) == 1 })
	until(t, "a knows that b has it", func() bool { return a.holder(r, b).State == Received })
	q := b.open("do.911", "a truck was found", to("ht.cc"))
	until(t, "the other way, too", func() bool { return a.holds(q.ID) == 1 })
	until(t, "the dots are green", func() bool { return a.statusOf(b).State == Live && b.statusOf(a).State == Live })
	if st := a.statusOf(b); st.Sent != 1 && st.Held != 1 || st.Contact.IsZero() || st.Fingerprint == "" {
		t.Errorf("status %+v", st)
	}

	w.Cut()
	until(t, "the cut shows", func() bool { return a.statusOf(b).State == Cut && b.statusOf(a).State == Cut })
	a.mark(r, record.Marking{TLP: record.Amber})
	until(t, "the recall waits", func() bool { return a.statusOf(b).Urgent == 1 })
	if a.holder(r, b).State != Recalling {
		t.Errorf("a recall that waits shows as %q", a.holder(r, b).State)
	}
	w.Mend()
	until(t, "b has purged it", func() bool { return b.holds(r.ID) == 0 })
	until(t, "a knows that", func() bool { return a.holder(r, b).State == Purged })
	until(t, "the dots are green again", func() bool { return a.statusOf(b).State == Live && b.statusOf(a).State == Live })
}

func TestRecallReachesAnOfflineNodeBeforeItServes(t *testing.T) {
	_, a, b := pair(t)
	url, _ := a.online()
	_, off := b.online()
	b.dials(a, url, nil)
	r := a.open("ht.cc", "for b", to("do.911"))
	until(t, "it is at b", func() bool { return b.holds(r.ID) == 1 })
	off()
	b.stop()
	a.mark(r, record.Marking{TLP: record.Amber})
	for range 300 {
		a.open("ht.cc", "a backlog", to("do.911"))
	}
	b.start()
	select {
	case <-b.x.Holding():
		t.Fatal("the gate is open before anything was heard")
	default:
	}
	b.online()
	b.x.CatchUp(t.Context())
	select {
	case <-b.x.Holding():
	default:
		t.Error("the gate is shut after CatchUp")
	}
	b.mustHold("when it may serve", r, 0)
}

func TestRevokedNodeLosesItsLinkAtOnce(t *testing.T) {
	_, a, b := pair(t)
	url, _ := a.online()
	b.online()
	b.dials(a, url, nil)
	until(t, "they are linked", func() bool { return a.statusOf(b).State == Live })
	if err := a.trust.Revoke(t.Context(), "admin", b.keys.name, "stolen"); err != nil {
		t.Fatal(err)
	}
	until(t, "b hears why", func() bool {
		return b.statusOf(a).State == Cut && b.statusOf(a).Error == "revoked: the node was revoked"
	})
	if st := a.statusOf(b); st.State != Revoked || st.Why != "stolen" {
		t.Errorf("status %+v", st)
	}
}

func TestContactIsRememberedOverARestart(t *testing.T) {
	_, a, b := pair(t)
	if st := a.statusOf(b); st.State != Never {
		t.Errorf("before any contact: %q", st.State)
	}
	url, _ := b.online()
	_, off := a.online()
	a.dials(b, url, nil)
	until(t, "they are linked", func() bool { return a.statusOf(b).State == Live })
	off()
	a.restart()
	if st := a.statusOf(b); st.State != Cut || st.Contact.IsZero() {
		t.Errorf("after a restart: %+v", st)
	}
}

func TestChangeOfADotIsTold(t *testing.T) {
	_, a, b := pair(t)
	url, _ := b.online()
	a.online()
	changed := a.x.StatusChanged()
	a.dials(b, url, nil)
	<-changed
	until(t, "green", func() bool { return a.statusOf(b).State == Live })
	changed = a.x.StatusChanged()
	since := a.statusOf(b).Since
	if err := a.x.CutLink("bbbbbbbb", true); err != nil {
		t.Fatal(err)
	}
	<-changed
	until(t, "cut", func() bool { s := a.statusOf(b); return s.State == Cut && s.CutByHand && !s.Since.Before(since) })
}

// A visible record within a fraction of a second, on one machine.
func TestCommitIsSoonAtTheOtherNode(t *testing.T) {
	for name, dialler := range map[string]bool{"to who was dialled": true, "to who dialled": false} {
		t.Run(name, func(t *testing.T) {
			_, a, b := pair(t)
			if dialler {
				url, _ := b.online()
				a.online()
				a.dials(b, url, nil)
			} else {
				url, _ := a.online()
				b.online()
				b.dials(a, url, nil)
			}
			until(t, "they are linked", func() bool { return a.statusOf(b).State == Live })
			var took []time.Duration
			for range 40 {
				grown := func() <-chan struct{} { _, c := b.intake.Grown(); return c }
				at := time.Now()
				r := a.open("ht.cc", "now", to("do.911"))
				for {
					c := grown()
					if b.holds(r.ID) == 1 {
						break
					}
					<-c
				}
				took = append(took, time.Since(at))
			}
			until(t, "all receipts are written", func() bool { return a.statusOf(b).Waiting == 0 })
			a.written(b)
			slices.Sort(took)
			t.Logf("p50 %v, p99 %v", took[len(took)/2], took[len(took)-1])
			if took[len(took)/2] > 250*time.Millisecond {
				t.Errorf("p50 %v", took[len(took)/2])
			}
		})
	}
}
