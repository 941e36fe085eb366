package peer

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

var (
	histories = flag.Int("histories", 6, "random histories to play")
	firstSeed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the first history")
)

// life is a random history of two nodes. What goes over the wire is lost,
// repeated and reordered at random.
type life struct {
	*testing.T
	rnd     *rand.Rand
	clock   *watch
	a, b    *station
	records []record.ID
	bundles [][]byte
	notes   [][]byte // receipts
	backup  string   // of b
	before  string   // of a
	lost    bool     // a was restored at some time
	member  map[string]time.Time
	log     []string
}

// TestNobodyHoldsWhatIsNotReleasedAndTheOwnerIsToldTheTruth plays random
// histories of release, narrowing, edits, erasures, memberships, cuts, losses,
// replays, sticks, restarts and restored backups.
func TestNobodyHoldsWhatIsNotReleasedAndTheOwnerIsToldTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("random histories are long")
	}
	for i := range uint64(*histories) {
		seed := *firstSeed + i
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			clock, a, b := pair(t)
			h := &life{T: t, rnd: rand.New(rand.NewPCG(seed, 1)), clock: clock, a: a, b: b}
			defer func() {
				if t.Failed() {
					t.Logf("go test -run TestNobodyHolds -histories 1 -seed %d\n%v", seed, h.log)
				}
			}()
			for range 80 {
				h.act()
				if h.check(); t.Failed() {
					return
				}
			}
			h.end()
		})
	}
}

func (h *life) say(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

var never = []record.Marking{{TLP: record.Amber}, to("int.aid"), to("@relief"), {TLP: record.Red, Persons: []string{"ht.cc/ana"}}}

func (h *life) marking() record.Marking {
	some := append(slices.Clone(never), to("do.911"), to("do.911"), to("@hispaniola"), to("@caricom"), record.Marking{TLP: record.Green}, record.Marking{TLP: record.Clear},
		record.Marking{TLP: record.Red, Persons: []string{"do.911/rosa"}})
	m := some[h.rnd.IntN(len(some))].Clone()
	if h.rnd.IntN(6) == 0 {
		at := h.clock.Now().Add(time.Duration(h.rnd.IntN(600)) * time.Second)
		m.Expires = &at
	}
	return m
}

// act does one thing.
func (h *life) act() {
	h.Helper()
	switch n := h.rnd.IntN(100); {
	case n < 14 || len(h.records) == 0:
		m := h.marking()
		d := kerneltest.Draft(kerneltest.Note{Title: fmt.Sprint("number ", len(h.records))})
		d.Marking, d.Observed = m, h.clock.Now().Add(-time.Minute)
		id := kerneltest.ID()
		_, err := h.a.intake.Do(h.Context(), &intake.Command{Kind: "note", Name: desk.Create, Record: id, By: h.reader(), Draft: d})
		if err != nil {
			h.Fatal(err)
		}
		h.records = append(h.records, id)
		h.say("create %s %v", id, m)
	case n < 40:
		h.change(h.records[h.rnd.IntN(len(h.records))])
	case n < 48:
		h.a.step()
		h.b.step()
		h.say("step")
	case n < 60:
		h.say("seal")
		h.bundles = append(h.bundles, h.a.bundles(h.b, 1<<10+h.rnd.IntN(4<<10))...)
	case n < 76:
		h.deliver()
	case n < 82:
		h.say("receipt")
		h.notes = append(h.notes, must(h.b.x.receipt(h.Context(), h.b.trust.Node(h.a.keys.name))))
		if h.rnd.IntN(3) > 0 {
			h.a.x.takeReceipt(h.Context(), h.notes[h.rnd.IntN(len(h.notes))])
			h.a.written(h.b)
		}
	case n < 86:
		h.say("stick")
		h.b.insert(h.a.stick(h.b))
	case n < 90:
		in := map[string]time.Time{}
		for _, c := range []string{"@hispaniola", "@caricom"} {
			if h.rnd.IntN(3) > 0 {
				in[c] = []time.Time{{}, h.clock.Now().Add(-time.Duration(h.rnd.IntN(600)) * time.Second)}[h.rnd.IntN(2)]
			}
		}
		h.say("member %v", in)
		h.member = in
		h.direct(h.a, h.b)
	case n < 94:
		h.clock.Move(time.Duration(h.rnd.IntN(200)) * time.Second)
		h.say("move to %s", h.clock.Now().Format(time.TimeOnly))
	case n < 96:
		s := []*station{h.a, h.b}[h.rnd.IntN(2)]
		h.say("restart %s", s.keys.name)
		s.restart()
	default:
		h.disaster()
	}
}

// direct says in which communities do.911 is.
func (h *life) direct(stations ...*station) {
	for _, s := range stations {
		if h.member == nil {
			continue
		}
		if err := s.trust.SetMembership(h.Context(), "admin", "do.911", h.member); err != nil {
			h.Fatal(err)
		}
	}
}

func (h *life) reader() (r *policy.Reader) { return h.a.operator("ht.cc") }

func (h *life) change(id record.ID) {
	c := &intake.Command{Kind: "note", Record: id, By: h.reader()}
	c.By.Person = "ht.cc/ana"
	switch h.rnd.IntN(8) {
	case 0:
		c.Name, c.Note = desk.Erase, "at random"
	case 1, 2, 3:
		d := kerneltest.Draft(kerneltest.Note{Title: fmt.Sprint("edited ", h.rnd.Int())})
		d.Observed, d.Marking = h.clock.Now().Add(-time.Minute), record.Marking{}
		c.Name, c.Draft = desk.Edit, d
	default:
		m := h.marking()
		c.Name, c.Marking = desk.Mark, &m
	}
	_, err := h.a.intake.Do(h.Context(), c)
	h.say("%s %s %v: %v", c.Name, id, c.Marking, err)
}

// deliver hands over some of what is under way, in any order, some of it twice.
func (h *life) deliver() {
	for range min(len(h.bundles), 1+h.rnd.IntN(6)) {
		i := h.rnd.IntN(len(h.bundles))
		_, err := h.b.x.arrived(h.Context(), h.bundles[i])
		h.say("deliver %d: %v", i, err)
		if h.rnd.IntN(4) > 0 {
			h.bundles = slices.Delete(h.bundles, i, i+1)
		}
	}
}

// disaster keeps a backup, or comes back with the one that was kept.
func (h *life) disaster() {
	keep, s := &h.backup, h.b
	if h.rnd.IntN(3) == 0 {
		keep, s = &h.before, h.a
	}
	if *keep == "" {
		h.say("backup %s", s.keys.name)
		*keep = s.backup()
		return
	}
	h.say("restore %s", s.keys.name)
	h.lost = h.lost || s == h.a
	s.restore(*keep, true)
	h.direct(s)
	*keep = ""
	h.notes = nil // they tell of another life, and the hello of a link would say so
	if s == h.a {
		h.bundles = nil
	}
}

// check holds what the one has, and what the other is told, against the rule.
func (h *life) check() {
	h.Helper()
	for _, id := range h.records {
		st := must(h.b.db.Current(h.Context(), []record.ID{id}))[id]
		holds := 0
		if st != nil && st.Record != nil {
			holds = st.Version
			for _, m := range never {
				if m.TLP == st.Record.Marking.TLP && slices.Equal(m.To, st.Record.Marking.To) && m.Persons == nil {
					h.Errorf("%s is held with the marking %+v", id, st.Record.Marking)
				}
			}
		}
		hs := must(h.a.x.Holders(h.Context(), id))
		if len(hs) == 0 || h.lost || h.backupUsed() || h.a.x.stream.behind() {
			continue
		}
		own := must(h.a.db.Current(h.Context(), []record.ID{id}))[id]
		over := st != nil && st.Record == nil || own != nil && own.Record != nil && expired(own.Record.Marking.Expires, h.clock.Now()) // purged, perhaps by itself
		switch o := hs[0]; {
		case o.State == Received && o.Reason == "" && holds < o.Version && !over && !h.refusalWaits(id):
			h.Errorf("%s is said to be received as version %d, and version %d is held", id, o.Version, holds)
		case o.State == Purged && holds > 0:
			h.Errorf("%s is said to be purged, and version %d is held", id, holds)
		}
	}
}

// refusalWaits reports whether the word that it was refused is on its way.
func (h *life) refusalWaits(id record.ID) bool {
	shares := must(h.b.db.Shares(h.Context(), h.a.keys.name, store.Normal, must(h.b.x.outgoing(h.Context(), h.a.keys.name)).Received[store.Normal], 1000))
	return slices.ContainsFunc(shares, func(sh store.Share) bool { return sh.Record == id && sh.Topic == wordRefused })
}

// backupUsed reports whether b may hold less than it has acknowledged, until it
// has spoken again.
func (h *life) backupUsed() bool {
	out := must(h.a.x.outgoing(h.Context(), h.b.keys.name))
	return !hasAll(must(h.b.db.Applied(h.Context(), h.a.keys.name)), out.Received)
}

// end carries everything over, and holds the two against each other.
func (h *life) end() {
	h.Helper()
	h.clock.Move(time.Second)
	for range 3 {
		if err := h.a.x.stream.hear(h.Context(), h.a.trust.Node(h.b.keys.name), must(h.b.db.Applied(h.Context(), h.a.keys.name)), 0); err != nil {
			h.Fatal(err)
		}
		exchange(h.T, h.a, h.b)
	}
	if !h.a.settled(h.b) {
		h.Error("not settled")
	}
	scope := scopeOf(h.a.dir, h.a.trust.Node(h.b.keys.name))
	for _, id := range h.records {
		want, got := 0, h.b.holds(id)
		st := must(h.a.db.Current(h.Context(), []record.ID{id}))[id]
		if st != nil && st.Record != nil && scope.reaches("ht.cc", &st.Record.Marking, st.Record.Recorded, h.clock.Now()) {
			want = st.Version
		}
		if want == got {
			continue
		}
		if o := h.a.holder(&record.Record{Header: record.Header{ID: id}}, h.b); h.lost && want > 0 && o.State == NotAccepted {
			continue // a later version was recalled in the time that was lost
		}
		h.Errorf("%s: version %d is held, want %d: %+v", id, got, want, h.a.holder(&record.Record{Header: record.Header{ID: id}}, h.b))
	}
	for _, s := range []*station{h.a, h.b} {
		if err := s.db.Check(h.Context(), func(r *record.Record) (*store.Row, error) { return intake.Derive(s.desks, r) }, func(int64, int64) {}, func(f store.Fault) bool {
			h.Errorf("%s: %+v", s.keys.name, f)
			return true
		}); err != nil {
			h.Error(err)
		}
	}
	if slices.Contains(h.a.codes(), "false-receipt") {
		h.Error("a receipt was taken for false")
	}
}
