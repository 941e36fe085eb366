package ledger

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

func testKeys(agency, keyID string) ed25519.PublicKey {
	if agency == "ht.pnh" && keyID == KeyID(public(ownerKey)) {
		return public(ownerKey)
	}
	return nil
}

func checkpointOf(t testing.TB, tree *Tree) Checkpoint {
	t.Helper()
	_, _, v := testSigner(t, origin)
	c, err := ParseCheckpoint(testCheckpoint(t, tree), note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verifyAll feeds a ledger in batches.
func verifyAll(es []Entry, nodes Reader, batch int, cs ...Checkpoint) (Report, error) {
	v := NewVerifier(testKeys, nodes)
	if err := v.Expect(cs...); err != nil {
		return Report{}, err
	}
	for b := range slices.Chunk(es, batch) {
		if err := v.AddBatch(context.Background(), b); err != nil {
			return Report{}, err
		}
	}
	return v.Finish()
}

func TestVerifierAcceptsASoundLedger(t *testing.T) {
	es := testEntries(1500)
	es[700], _ = es[700].Erase(nil)
	es[900], _ = es[900].Erase(nil)
	es[900].Digest = Hash{}
	s, tree := shelve(es)
	_, early := shelve(es[:300])
	for _, batch := range []int{1, 100, 256, 1000, 1500} {
		got, err := verifyAll(es, s, batch, checkpointOf(t, tree), checkpointOf(t, new(Tree)), checkpointOf(t, early), checkpointOf(t, early))
		want := Report{
			Size: 1500, Root: tree.Root(), Signed: 998, Erased: []int64{700, 900}, Bare: 1,
			Checkpoints: 4, Covered: 1500,
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("batch %d: %v %s", batch, err, diff)
		}
	}
	got, err := verifyAll(es, nil, 400, checkpointOf(t, early))
	if err != nil || got.Covered != 300 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestVerifierReportsAClockThatWentBack(t *testing.T) {
	es := testEntries(6)
	for i, back := range map[int]time.Duration{2: 5 * time.Second, 5: time.Hour} {
		es[i].At = es[i-1].At.Add(-back)
		es[i].Commitment = mustCommit(&es[i])
	}
	got, err := verifyAll(es, nil, 4)
	if err != nil || got.Backwards != 2 || got.MaxBackwards != time.Hour || got.MaxBackwardsSeq != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestVerifierNamesTheFirstFault(t *testing.T) {
	const size = 600
	sound := testEntries(size)
	_, full := shelve(sound)
	cp := checkpointOf(t, full)
	for _, tt := range []struct {
		name   string
		change func(es []Entry, s *shelf) []Entry
		seq    int64
		what   string
	}{
		{"content", func(es []Entry, s *shelf) []Entry { es[301].Content = []byte("{}"); return es }, 301, "differs from the commitment"},
		{"two of them", func(es []Entry, s *shelf) []Entry { es[500].Actor, es[30].Actor = "x", "x"; return es }, 30, "differs from the commitment"},
		{"entry replaced", func(es []Entry, s *shelf) []Entry {
			es[300].Content = []byte("{}")
			es[300].Sig = Sign(ownerKey, nil, es[300].Content)
			es[300].Commitment = mustCommit(&es[300])
			return es
		}, 256, "stored node 1 of level 8"},
		{"entry at the end replaced", func(es []Entry, s *shelf) []Entry {
			es[599].Actor = "x"
			es[599].Commitment = mustCommit(&es[599])
			return es
		}, 599, "checkpoint of konbit.ht.pnh/ledger for 600 entries has root"},
		{"entry missing", func(es []Entry, s *shelf) []Entry { return slices.Delete(es, 77, 78) }, 77, "entry 78 stands where 77 belongs"},
		{"entry twice", func(es []Entry, s *shelf) []Entry { return slices.Insert(es, 77, es[76]) }, 77, "entry 76 stands where 77 belongs"},
		{"gap behind a fault", func(es []Entry, s *shelf) []Entry { es[70].Actor = "x"; return slices.Delete(es, 77, 78) }, 70, "differs from the commitment"},
		{"end cut off", func(es []Entry, s *shelf) []Entry { return es[:598] }, 598, "the ledger ends here, but a checkpoint"},
		{"other key", func(es []Entry, s *shelf) []Entry {
			e := &es[9]
			e.KeyID, e.Sig = KeyID(public(testKey("x"))), Sign(testKey("x"), nil, e.Content)
			e.Commitment = mustCommit(e)
			return es
		}, 9, "no public key is known"},
		{"signature by another", func(es []Entry, s *shelf) []Entry {
			e := &es[9]
			e.Sig = Sign(testKey("x"), nil, e.Content)
			e.Commitment = mustCommit(e)
			return es
		}, 9, "does not fit the content"},
		{"signature left behind", func(es []Entry, s *shelf) []Entry { es[9].Content, es[9].Salt = nil, nil; return es }, 9, "confirms a guess"},
		{"salt alone erased", func(es []Entry, s *shelf) []Entry { es[9].Salt = nil; return es }, 9, "salt is 0 bytes"},
		{"header of an erased entry", func(es []Entry, s *shelf) []Entry {
			es[9], _ = es[9].Erase(nil)
			es[9].Actor = "ht.pnh/somebody-else"
			return es
		}, 9, "header or digest differs"},
		{"time too fine", func(es []Entry, s *shelf) []Entry { es[9].At = es[9].At.Add(1); return es }, 9, "finer than a microsecond"},
		{"stored node", func(es []Entry, s *shelf) []Entry { s.nodes[8][1][0] ^= 1; return es }, 256, "stored node 1 of level 8 is"},
		{"stored node missing", func(es []Entry, s *shelf) []Entry { s.nodes[8] = s.nodes[8][:1]; return es }, 256, "stored node 1 of level 8 is missing"},
	} {
		for _, batch := range []int{1, 250, 2000} {
			s, _ := shelve(sound)
			es := tt.change(slices.Clone(sound), s)
			_, err := verifyAll(es, lenient{s}, batch, cp)
			var f *Fault
			if !errors.As(err, &f) {
				t.Errorf("%s, batch %d: got %v", tt.name, batch, err)
				continue
			}
			if f.Seq != tt.seq || !strings.Contains(f.What, tt.what) {
				t.Errorf("%s, batch %d: got %v, want entry %d: %s", tt.name, batch, f, tt.seq, tt.what)
			}
		}
	}
}

// lenient answers with what it has, as a query for missing rows does.
type lenient struct{ *shelf }

func (l lenient) Nodes(_ context.Context, level int, from, to int64) ([]Hash, error) {
	n := int64(len(l.nodes[level]))
	return l.nodes[level][min(from, n):min(to, n)], nil
}

func TestVerifierFindsAnyFlippedBit(t *testing.T) {
	sound := testEntries(100)
	sound[50], _ = sound[50].Erase(nil)
	s, tree := shelve(sound)
	cp := checkpointOf(t, tree)
	rapid.Check(t, func(t *rapid.T) {
		es := slices.Clone(sound)
		i := rapid.IntRange(0, len(es)-1).Draw(t, "entry")
		mutate(t, &es[i])
		_, err := verifyAll(es, s, 64, cp)
		var f *Fault
		if !errors.As(err, &f) || f.Seq != int64(i) {
			t.Errorf("entry %d: got %v", i, err)
		}
	})
}

func TestFaultNamesEntryAndRecord(t *testing.T) {
	e := testEntry(0)
	e.Actor = "x"
	_, err := verifyAll([]Entry{e}, nil, 1)
	if want := "ledger: entry 0, record 00000000-0000-0000-0000-000000000001: header, content, salt or signature differs from the commitment"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestVerifierKeepsItsFirstError(t *testing.T) {
	es := testEntries(300)
	disk := errors.New("disk")
	v := NewVerifier(testKeys, failing{disk})
	if err := v.AddBatch(t.Context(), es); !errors.Is(err, disk) {
		t.Errorf("got %v", err)
	}
	if err := v.Add(t.Context(), testEntry(300)); !errors.Is(err, disk) {
		t.Errorf("got %v", err)
	}
	if _, err := v.Finish(); !errors.Is(err, disk) {
		t.Errorf("got %v", err)
	}
}

func TestVerifierRefusesCheckpointsThatComeTooLate(t *testing.T) {
	v := NewVerifier(testKeys, nil)
	if err := v.Add(t.Context(), testEntry(0)); err != nil {
		t.Fatal(err)
	}
	if err := v.Expect(checkpointOf(t, new(Tree))); err == nil {
		t.Error("accepted")
	}
}

func TestVerifierAsksForEachKeyOnceAndNotConcurrently(t *testing.T) {
	asked := 0 // the race detector watches it
	v := NewVerifier(func(agency, keyID string) ed25519.PublicKey {
		asked++
		return testKeys(agency, keyID)
	}, nil)
	if err := v.AddBatch(t.Context(), testEntries(500)); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestVerifierRefusesAKeyThatIsNotTheOneNamed(t *testing.T) {
	v := NewVerifier(func(string, string) ed25519.PublicKey { return public(testKey("x")) }, nil)
	if err := v.Add(t.Context(), testEntry(0)); err == nil || !strings.Contains(err.Error(), "has id") {
		t.Errorf("got %v", err)
	}
}
