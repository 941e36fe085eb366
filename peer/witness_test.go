package peer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"konbit/kerneltest"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// converse lets nodes say to each other what waits to be said, until all is said.
func converse(t *testing.T, all ...*station) {
	t.Helper()
	for range 20 {
		said := false
		for _, a := range all {
			for _, b := range all {
				if a == b || a.trust.Node(b.keys.name) == nil || a.trust.Node(b.keys.name).State != store.NodeActive {
					continue
				}
				for {
					x, _, err := a.x.nextBundle(t.Context(), a.trust.Node(b.keys.name), bundle.Talk, 0, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					if x == nil {
						break
					}
					said = true
					b.x.arrived(t.Context(), x) // a refused sender is not heard
				}
			}
		}
		if !said {
			return
		}
	}
	t.Fatal("they go on talking")
}

// witness lets a show its ledger to the others.
func (s *station) witness(t *testing.T, others ...*station) {
	t.Helper()
	s.clock.Move(time.Second)
	for _, o := range others {
		s.x.witness.tell(t.Context(), o.keys.name)
		converse(t, s, o)
	}
}

func (s *station) grow(n int) {
	s.t.Helper()
	for i := range n {
		if _, err := s.intake.Note(s.t.Context(), "trial", "ht.cc", "ht.cc/op", i); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *station) sees(o *station) Witness {
	if w := s.x.witnessOf(o.keys.name); w != nil {
		return *w
	}
	return Witness{}
}

// faulted checks that s has refused o, loudly, with the evidence in its ledger.
func (s *station) faulted(o *station, code string) {
	s.t.Helper()
	alarms, err := s.x.Alarms(s.t.Context(), 100)
	if err != nil || !slices.ContainsFunc(alarms, func(a Alarm) bool { return a.Code == code && a.Node == o.keys.name }) {
		s.t.Errorf("no alarm %q: %+v %v", code, alarms, err)
	}
	if w := s.sees(o); w.Fault != code || w.Detail == "" {
		s.t.Errorf("the status says %+v, want %s", w, code)
	}
	evidence := 0
	for _, e := range s.entries("evidence") {
		var c struct {
			What     string
			Evidence []string
		}
		if json.Unmarshal(e.Content, &c) == nil && c.What == code {
			for _, n := range c.Evidence {
				if _, err := readSeal(n, o.keys.Ledger()); err != nil {
					s.t.Errorf("the evidence proves nothing: %v", err)
				}
				evidence++
			}
		}
	}
	if evidence < 2 {
		s.t.Errorf("%d signed notes are kept as evidence", evidence)
	}
	want := store.NodeRefused
	if code == faultRestored {
		want = store.NodeActive
	}
	if n := s.trust.Node(o.keys.name); n.State != want {
		s.t.Errorf("the node is %s, want %s", n.State, want)
	}
}

func (s *station) sound(o *station) {
	s.t.Helper()
	if w := s.sees(o); w.Fault != "" {
		s.t.Errorf("%+v", w)
	}
	if n := s.trust.Node(o.keys.name); n.State != store.NodeActive {
		s.t.Errorf("the node is %s: %s", n.State, n.Why)
	}
}

func TestPeersCosignEachOthersLedgers(t *testing.T) {
	_, a, b := pair(t)
	a.grow(5)
	a.witness(t, b)
	b.witness(t, a)
	if w := b.sees(a); w.Size != a.intake.Size() || w.OurTo != b.intake.Size() || w.Fault != "" {
		t.Errorf("%+v, sizes %d and %d", w, a.intake.Size(), b.intake.Size())
	}
	kept, err := a.x.Cosigned(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := readSeal(kept[b.keys.name], a.keys.Ledger(), b.keys.Ledger()); err != nil || c.Size != a.intake.Size() {
		t.Errorf("%+v %v", c, err)
	}
	// It lasts, and what follows continues it.
	a.restart()
	b.restart()
	a.grow(300)
	a.witness(t, b)
	if w := b.sees(a); w.Size != a.intake.Size() || w.Fault != "" {
		t.Errorf("after a restart: %+v, size %d", w, a.intake.Size())
	}
}

func TestCheckpointsAreSentOnceAMinuteWhenTheLedgerGrowsAndElseOnceAnHour(t *testing.T) {
	clock, a, b := pair(t)
	a.witness(t, b)
	count := func(span, each time.Duration, do func()) (n int) {
		for passed := time.Duration(0); passed < span; passed += each {
			clock.Move(each)
			do()
			a.x.witness.tell(t.Context(), "")
			n += a.x.stream.talks.count(b.keys.name, wordCheckpoint)
			converse(t, a, b)
		}
		return n
	}
	if n := count(10*time.Minute, 10*time.Second, func() { a.grow(1) }); n < 9 || n > 10 {
		t.Errorf("%d in ten minutes of growth", n)
	}
	if n := count(3*time.Hour, 5*time.Minute, func() {}); n != 3 {
		t.Errorf("%d in three idle hours", n)
	}
	// To a node that is not there one word waits, however long.
	for range 30 {
		clock.Move(time.Hour)
		a.grow(1)
		a.x.witness.tell(t.Context(), "")
	}
	if n := a.x.stream.talks.count(b.keys.name, wordCheckpoint); n != 1 {
		t.Errorf("%d wait for a node that is not there", n)
	}
}

func TestRolledBackLedgerIsRefusedLoudlyUntilResumed(t *testing.T) {
	_, a, b := pair(t)
	a.grow(3)
	a.witness(t, b)
	was := a.backup()
	a.grow(3)
	a.witness(t, b)
	a.restore(was, false)
	a.witness(t, b)
	b.faulted(a, faultRolledBack)
	// Whatever it says then is not heard.
	a.grow(50)
	a.witness(t, b)
	b.faulted(a, faultRolledBack)
	if err := b.trust.Resume(t.Context(), "admin", a.keys.name); err != nil {
		t.Fatal(err)
	}
	a.witness(t, b)
	b.sound(a)
	if w := b.sees(a); w.Size != a.intake.Size() {
		t.Errorf("%+v, size %d", w, a.intake.Size())
	}
}

func TestResumedNodeIsNotAccusedAgainByWhatOthersSawBefore(t *testing.T) {
	clock, a, b := pair(t)
	p := newStation(t, "ccccccc3", clock, map[string][]string{"jm.cc": nil})
	befriend(t, p, a)
	befriend(t, p, b)
	p.grow(3)
	p.witness(t, a, b)
	was := p.backup()
	p.grow(30)
	p.witness(t, a, b)
	p.restore(was, false)
	p.witness(t, b)
	b.faulted(p, faultRolledBack)
	if err := b.trust.Resume(t.Context(), "admin", p.keys.name); err != nil {
		t.Fatal(err)
	}
	p.witness(t, b)
	b.sound(p)
	clock.Move(time.Hour)
	a.x.witness.tell(t.Context(), b.keys.name) // what it saw before the ledger was rolled back
	converse(t, a, b)
	p.grow(1)
	p.witness(t, b)
	b.sound(p)
}

func TestRolledBackNodeFindsOutItself(t *testing.T) {
	_, a, b := pair(t)
	a.witness(t, b)
	was := a.backup()
	a.grow(3)
	a.clock.Move(time.Second)
	a.x.witness.tell(t.Context(), b.keys.name)
	x, _, err := a.x.nextBundle(t.Context(), a.trust.Node(b.keys.name), bundle.Talk, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b.take(x)
	a.restore(was, false) // before b's signature came back
	converse(t, a, b)
	alarms, _ := a.x.Alarms(t.Context(), 10)
	if len(alarms) == 0 || alarms[0].Code != faultRolledBack || alarms[0].Node != a.keys.name {
		t.Errorf("%+v", alarms)
	}
}

func TestLedgerThatWasRolledBackAndWentOnIsForked(t *testing.T) {
	_, a, b := pair(t)
	a.grow(3)
	a.witness(t, b)
	was := a.backup()
	a.grow(3)
	a.witness(t, b)
	a.restore(was, false)
	a.grow(20)
	a.witness(t, b)
	b.faulted(a, faultForked)
}

func TestRestoredNodeGoesOnWithAnAlarm(t *testing.T) {
	_, a, b := pair(t)
	a.grow(3)
	a.witness(t, b)
	was := a.backup()
	a.grow(30)
	a.witness(t, b)
	a.restore(was, true)
	a.witness(t, b)
	b.faulted(a, faultRestored)
	a.grow(5)
	a.witness(t, b)
	if w := b.sees(a); w.Size != a.intake.Size() || w.Fault != faultRestored {
		t.Errorf("%+v, size %d", w, a.intake.Size())
	}
	a.grow(50)
	a.witness(t, b)
	b.sound(a)
	// What it restored to counts as before: a roll-back now is one.
	again := a.backup()
	a.grow(1)
	a.witness(t, b)
	a.restore(again, false)
	a.witness(t, b)
	b.faulted(a, faultRolledBack)
}

func TestSameBackupRestoredTwiceIsARestoreEachTime(t *testing.T) {
	_, a, b := pair(t)
	a.witness(t, b)
	was := a.backup()
	for range 2 {
		a.grow(10)
		a.witness(t, b)
		a.clock.Move(time.Minute)
		a.restore(was, true)
		a.witness(t, b)
		b.faulted(a, faultRestored)
	}
}

func TestTwoNodesWithOneKeyAreFound(t *testing.T) {
	_, a, b := pair(t)
	a.grow(2)
	a.witness(t, b)
	was := a.backup()
	a.clock.Move(time.Minute)
	a.restore(was, true)
	a.witness(t, b)
	b.sound(a)
	a.restore(was, false) // the node that was given up goes on, too
	a.grow(5)
	a.witness(t, b)
	b.faulted(a, faultTwice)
}

func TestSplitViewIsFoundWhenOthersCompare(t *testing.T) {
	for _, c := range []struct {
		name    string
		further int // entries that the second of the two ledgers is longer
	}{{"of one size", 0}, {"of two sizes", 4}} {
		t.Run(c.name, func(t *testing.T) {
			clock, a, b := pair(t)
			p := newStation(t, "ccccccc3", clock, map[string][]string{"jm.cc": nil})
			befriend(t, p, a)
			befriend(t, p, b)
			p.grow(3)
			p.witness(t, a, b)
			was := p.backup()
			p.grow(2)
			p.witness(t, a)
			p.restore(was, false)
			p.grow(2 + c.further)
			p.witness(t, b)
			a.sound(p)
			b.sound(p)
			clock.Move(time.Hour)
			a.x.witness.tell(t.Context(), b.keys.name)
			converse(t, a, b)
			converse(t, b, p) // where the sizes differ, p is asked for a proof
			b.faulted(p, faultForked)
		})
	}
}

func TestHonestNodeIsNotAccusedByWhatOthersSaw(t *testing.T) {
	clock, a, b := pair(t)
	p := newStation(t, "ccccccc3", clock, map[string][]string{"jm.cc": nil})
	befriend(t, p, a)
	befriend(t, p, b)
	p.grow(3)
	p.witness(t, b)
	for i := range 4 {
		p.grow(1 + i)
		p.witness(t, a)
		clock.Move(time.Hour)
		a.x.witness.tell(t.Context(), b.keys.name)
		converse(t, a, b, p)
		if i == 2 {
			was := p.backup()
			p.grow(3)
			p.witness(t, a)
			p.restore(was, true)
		}
		p.witness(t, b)
		if n := b.trust.Node(p.keys.name); n.State != store.NodeActive {
			t.Fatalf("round %d: %s", i, n.Why)
		}
	}
	a.x.witness.mu.Lock()
	defer a.x.witness.mu.Unlock()
	if st, _ := a.x.witness.load(t.Context(), p.keys.name); st.Size == 0 || len(st.Claims) > maxClaims {
		t.Errorf("%+v", st)
	}
}

func TestOldAndForgedCheckpointsChangeNothing(t *testing.T) {
	_, a, b := pair(t)
	a.grow(2)
	word := func() bundle.Item {
		a.clock.Move(time.Second)
		c, err := a.x.witness.ours()
		if err != nil {
			t.Fatal(err)
		}
		n, err := signSeal(a.x.cfg.Signer, c.Size, c.Root, a.x.witness.life, a.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return say(wordCheckpoint, checkpointWord{Note: n})
	}
	old := word()
	a.grow(2)
	a.witness(t, b)
	before := b.sees(a)
	from := b.trust.Node(a.keys.name)
	if err := b.x.witness.onCheckpoint(t.Context(), from, old); err != nil {
		t.Fatal(err)
	}
	if b.sees(a) != before {
		t.Errorf("an old word: %+v", b.sees(a))
	}
	b.sound(a)
	other, err := ledger.NewSigner(a.keys.name, b.keys.node) // b's key under a's name
	if err != nil {
		t.Fatal(err)
	}
	forged := func(n string, err error) bundle.Item {
		if err != nil {
			t.Fatal(err)
		}
		return say(wordCheckpoint, checkpointWord{Note: n})
	}
	life := Incarnation{1, firstLife}
	for name, it := range map[string]bundle.Item{
		"another key":  forged(signSeal(other, 1, ledger.Hash{}, life, a.clock.Now())),
		"no JSON":      {Payload: []byte("{")},
		"no note":      say(wordCheckpoint, checkpointWord{}),
		"another node": forged(signSeal(b.x.cfg.Signer, 1, ledger.Hash{}, life, a.clock.Now())),
		"no incarnation": say(wordCheckpoint, checkpointWord{Note: func() string {
			n, _ := ledger.SignCheckpoint(a.x.cfg.Signer, a.keys.name, 9, ledger.Hash{}, a.clock.Now())
			return string(n)
		}()}),
	} {
		if err := b.x.witness.onCheckpoint(t.Context(), from, it); record.CodeOf(err) != record.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.sees(a) != before {
		t.Errorf("%+v", b.sees(a))
	}
	b.sound(a)
	// A signature that b never gave is not taken for one.
	mine, _ := signSeal(a.x.cfg.Signer, 1, ledger.Hash{}, life, a.clock.Now())
	if err := a.x.witness.onCosigned(t.Context(), a.trust.Node(b.keys.name), say(wordCosigned, cosignedWord{mine})); record.CodeOf(err) != record.Invalid {
		t.Error(err)
	}
}

func TestLateWordAccusesNobodyWhereOurOwnClockIsBehind(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	now := at.Add(-2 * time.Hour) // by our clock
	known := seal{Size: 16, At: at, Life: Incarnation{N: 2, Random: "0000000000000002"}}
	for name, late := range map[string]seal{
		"of the same life":             {Size: 10, At: at.Add(-time.Minute), Life: known.Life},
		"of the life before a restore": {Size: 20, At: at.Add(-time.Minute), Life: Incarnation{N: 1, Random: firstLife}},
	} {
		w := &witnessed{seal: known}
		if v := w.judge(late, nil, now); v.fault != "" || v.co {
			t.Errorf("%s: %+v", name, v)
		}
		late.At = at.Add(time.Minute)
		if v := w.judge(late, nil, now); v.fault == "" {
			t.Errorf("%s, but said later: no fault", name)
		}
	}
}

func TestNodeThatGivesNoProofIsNamed(t *testing.T) {
	_, a, b := pair(t)
	a.grow(2)
	a.witness(t, b)
	from := b.trust.Node(a.keys.name)
	for range maxUnproven {
		a.grow(1)
		a.clock.Move(time.Minute)
		c, _ := a.x.witness.ours()
		n, err := signSeal(a.x.cfg.Signer, c.Size, c.Root, a.x.witness.life, a.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := b.x.witness.onCheckpoint(t.Context(), from, say(wordCheckpoint, checkpointWord{Note: n})); err != nil {
			t.Fatal(err)
		}
	}
	alarms, _ := b.x.Alarms(t.Context(), 10)
	if len(alarms) == 0 || alarms[0].Code != "unproven" {
		t.Errorf("%+v", alarms)
	}
	converse(t, a, b) // asked, it proves
	b.sound(a)
	if w := b.sees(a); w.Size != a.intake.Size() {
		t.Errorf("%+v", w)
	}
}

// histories of a ledger in memory: leaves are numbers, and the root of every size
// and each proof can be had.
type history []uint64

func (h history) Leaves(_ context.Context, from, to int64) (out []ledger.Hash, _ error) {
	for _, x := range h[from:to] {
		out = append(out, sha256.Sum256(binary.BigEndian.AppendUint64(nil, x)))
	}
	return out, nil
}

func (h history) Nodes(ctx context.Context, level int, from, to int64) (out []ledger.Hash, err error) {
	for i := from; i < to; i++ {
		part := h[i<<level : (i+1)<<level]
		t := &ledger.Tree{}
		leaves, _ := part.Leaves(ctx, 0, int64(len(part)))
		t.Append(leaves)
		out = append(out, t.Root())
	}
	return out, nil
}

func (h history) seal(t *rapid.T, at time.Time, life Incarnation) seal {
	root, err := ledger.RootAt(context.Background(), h, int64(len(h)))
	if err != nil {
		t.Fatal(err)
	}
	return seal{Size: int64(len(h)), Root: root, At: at, Life: life, Note: fmt.Sprint(len(h), root, at)}
}

func (h history) proofs(t *rapid.T, sizes []int64) map[int64]ledger.Proof {
	out := map[int64]ledger.Proof{}
	for _, n := range sizes {
		if n > 0 && n < int64(len(h)) {
			p, err := ledger.ProveConsistency(context.Background(), h, n, int64(len(h)))
			if err != nil {
				t.Fatal(err)
			}
			out[n] = p
		}
	}
	return out
}

// TestJudgeAccusesNobodyWhoIsHonestAndEverybodyWhoIsNot plays random histories: a
// ledger grows, is restored or, in half of them, rolled back once; its words come
// late, twice or never, and what others saw is passed on.
func TestJudgeAccusesNobodyWhoIsHonestAndEverybodyWhoIsNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now, next := kerneltest.Day, uint64(0)
		var h history
		life := Incarnation{1, firstLife}
		w := &witnessed{}
		var late, shown []seal
		rolled := false
		cheat := rapid.Bool().Draw(t, "cheat")
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Second)
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0, 1:
				for range rapid.IntRange(1, 9).Draw(t, "grows") {
					h, next = append(slices.Clone(h), next), next+1
				}
			case 2: // somebody else is shown the ledger, and tells of it later
				if len(h) > 0 {
					shown = append(shown, h.seal(t, now, life))
				}
			case 3:
				if len(shown) > 0 {
					if v := w.claim(rapid.SampledFrom(shown).Draw(t, "seen")); v.fault != "" {
						if !rolled {
							t.Fatalf("an honest node is accused: %s", v.text)
						}
						return
					}
				}
			case 4:
				if len(late) > 0 {
					if v := w.judge(rapid.SampledFrom(late).Draw(t, "late"), nil, now); v.fault != "" {
						if !rolled {
							t.Fatalf("a late word accuses: %s", v.text)
						}
						return
					}
				}
			case 5:
				if len(h) > 1 && !rolled {
					h, life = h[:rapid.IntRange(1, len(h)-1).Draw(t, "restored to")], Incarnation{life.N + 1, fmt.Sprintf("%016d", life.N)}
				}
			case 6:
				if cheat && !rolled && w.Size > 1 && w.Life == life && int(w.Size) <= len(h) {
					h, rolled = h[:rapid.IntRange(1, int(w.Size)-1).Draw(t, "rolled back to")], true
				}
			default:
				if len(h) == 0 {
					continue
				}
				c := h.seal(t, now, life)
				late = append(late, c)
				sizes := []int64{w.Size}
				if rapid.Bool().Draw(t, "proves what others saw") {
					for _, o := range w.Claims {
						sizes = append(sizes, o.Size)
					}
				}
				lost := rapid.IntRange(0, 3).Draw(t, "the proof is lost") == 0
				if lost {
					sizes = nil
				}
				v := w.judge(c, h.proofs(t, sizes), now)
				switch {
				case v.fault == faultRestored && life.N > w.Life.N && life.N > 1:
					w.seal, w.Claims = c, nil
				case v.fault != "" && rolled:
					return
				case v.fault != "":
					t.Fatalf("an honest node is accused: %s: %s", v.fault, v.text)
				case rolled && !lost:
					t.Fatalf("a roll-back to %d entries is not found: %+v", len(h), w)
				case v.co:
					w.seal = c
				}
			}
		}
	})
}

func TestIncarnationGrowsWithEachRestore(t *testing.T) {
	_, a, _ := pair(t)
	first, err := incarnationOf(t.Context(), a.db)
	if err != nil || first != (Incarnation{1, firstLife}) {
		t.Fatal(first, err)
	}
	old := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	last := first
	for _, now := range []time.Time{old, kerneltest.Day, old, kerneltest.Day.Add(time.Hour)} {
		in, err := Reincarnate(context.Background(), a.db, now)
		if err != nil || in.N <= last.N || in.Random == last.Random {
			t.Errorf("%+v after %+v, %v", in, last, err)
		}
		last = in
	}
	a.restart()
	if a.x.Incarnation() != last {
		t.Errorf("%+v, want %+v", a.x.Incarnation(), last)
	}
}
