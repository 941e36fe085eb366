package ledger

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The bytes of DESIGN.md, written out by hand.
func TestCommitHashesTheDocumentedBytes(t *testing.T) {
	e := Entry{
		At: time.UnixMicro(0x0102030405), Type: "change", Agency: "ht.cc", Actor: "ht.cc/op3",
		Record: [16]byte([]byte("0123456789abcdef")), Version: 7, Content: []byte(`{"a":1}`),
		Salt: []byte("sixteen  bytes!!"), KeyID: "00ff", Sig: []byte("sig"),
	}
	inner := sha256.Sum256([]byte("konbit/ledger/digest/1\n" +
		"\x00\x00\x00\x00\x00\x00\x00\x10sixteen  bytes!!" +
		"\x00\x00\x00\x00\x00\x00\x00\x07{\"a\":1}" +
		"\x00\x00\x00\x00\x00\x00\x00\x03sig"))
	outer := sha256.Sum256([]byte("konbit/ledger/entry/1\n" +
		"\x00\x00\x00\x01\x02\x03\x04\x05" +
		"\x00\x00\x00\x00\x00\x00\x00\x06change" +
		"\x00\x00\x00\x00\x00\x00\x00\x05ht.cc" +
		"\x00\x00\x00\x00\x00\x00\x00\x09ht.cc/op3" +
		"0123456789abcdef" +
		"\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x00\x00\x00\x00\x00\x00\x00\x0400ff" +
		string(inner[:])))
	if got := mustCommit(&e); got != outer {
		t.Errorf("commitment %s, want %s", got, Hash(outer))
	}
	// The same value was computed once outside Go, so that a change of both sides above is seen too.
	const golden = "MVSBiBqzi7i+IedGbGfBTD+XKaWV9uBWhD3FGjCyIMQ="
	if got := mustCommit(&e).String(); got != golden {
		t.Errorf("commitment %s, want %s", got, golden)
	}
}

func TestCommitRefusesWhatItCannotHide(t *testing.T) {
	for name, e := range map[string]Entry{
		"no salt":         {Content: []byte("x")},
		"short salt":      {Content: []byte("x"), Salt: []byte("x")},
		"erased, no more": {},
	} {
		if _, err := Commit(nil, &e); err == nil {
			t.Errorf("%s: committed", name)
		}
	}
}

// Moving a byte from one field to its neighbour must not give the same commitment.
func TestCommitIsUnambiguous(t *testing.T) {
	seen := make(map[Hash]string)
	for _, v := range [][3]string{{"ab", "c", ""}, {"a", "bc", ""}, {"", "abc", ""}, {"abc", "", ""}, {"a", "b", "c"}, {"", "", "abc"}} {
		e := Entry{Type: v[0], Agency: v[1], Actor: v[2], Salt: make([]byte, SaltSize), At: start}
		h := mustCommit(&e)
		if other, ok := seen[h]; ok {
			t.Errorf("%q and %s have one commitment", v, other)
		}
		seen[h] = strings.Join(v[:], "|")
	}
}

func TestCommitDoesNotAllocate(t *testing.T) {
	e, s := testEntry(0), new(Scratch)
	mustCommit(&e)
	if n := testing.AllocsPerRun(100, func() { Commit(s, &e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErasedEntryKeepsItsCommitmentAndGivesNothingAway(t *testing.T) {
	e := testEntry(0)
	gone, err := e.Erase(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(gone.Content)+len(gone.Salt)+len(gone.Sig) != 0 {
		t.Error("content, salt or signature is still there")
	}
	if got := mustCommit(&gone); got != e.Commitment {
		t.Errorf("commitment %s, want %s", got, e.Commitment)
	}
	if what := gone.wrong(nil); what != "" {
		t.Error(what)
	}
	again, err := gone.Erase(nil)
	if diff := cmp.Diff(gone, again); err != nil || diff != "" {
		t.Errorf("erased twice: %v %s", err, diff)
	}
	gone.Sig = e.Sig
	if what := gone.wrong(nil); !strings.Contains(what, "confirms a guess") {
		t.Errorf("a signature left behind: %q", what)
	}
}

// mutations are all the places of an entry where a bit can turn.
func mutate(t *rapid.T, e *Entry) {
	e.Content, e.Salt, e.Sig = append([]byte(nil), e.Content...), append([]byte(nil), e.Salt...), append([]byte(nil), e.Sig...)
	bit := rapid.IntRange(0, 1<<20).Draw(t, "bit")
	flip := func(b []byte) { b[bit/8%len(b)] ^= 1 << (bit % 8) }
	flipString := func(s *string) {
		b := []byte(*s)
		flip(b)
		*s = string(b)
	}
	where := map[string]func(){
		"seq":        func() { e.Seq ^= 1 << (bit % 63) },
		"at":         func() { e.At = e.At.Add(time.Duration(1 << (bit % 40))) },
		"type":       func() { flipString(&e.Type) },
		"agency":     func() { flipString(&e.Agency) },
		"actor":      func() { flipString(&e.Actor) },
		"record":     func() { flip(e.Record[:]) },
		"version":    func() { e.Version ^= 1 << (bit % 63) },
		"commitment": func() { flip(e.Commitment[:]) },
	}
	if !e.Erased() {
		where["content"] = func() { flip(e.Content) }
		where["salt"] = func() { flip(e.Salt) }
	}
	if e.KeyID != "" {
		where["key id"] = func() { flipString(&e.KeyID) }
	}
	if len(e.Sig) != 0 {
		where["sig"] = func() { flip(e.Sig) }
	}
	if e.Digest != (Hash{}) {
		where["digest"] = func() { flip(e.Digest[:]) }
	}
	var names []string
	for n := range where {
		names = append(names, n)
	}
	where[rapid.SampledFrom(sorted(names)).Draw(t, "where")]()
}

func TestEntryJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := testEntry(rapid.IntRange(0, 5).Draw(t, "seq"))
		if rapid.Bool().Draw(t, "erased") {
			e, _ = e.Erase(nil)
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var got Entry
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEntryJSONRefusesOtherSpellings(t *testing.T) {
	e := testEntry(0)
	b, _ := json.Marshal(e)
	for _, r := range [][2]string{
		{`"seq":`, `"proved":true,"seq":`},
		{`.123456Z`, `.123456+00:00`},
		{`.123456Z`, `.12345600Z`},
		{`00000000-0000`, `000000000000`},
		{`00000000-0000-0000-0000-000000000001`, `00000000-0000-0000-0000-000000000000`},
	} {
		s := strings.Replace(string(b), r[0], r[1], 1)
		if s == string(b) {
			t.Fatalf("nothing to replace: %s", r[0])
		}
		if err := json.Unmarshal([]byte(s), new(Entry)); err == nil {
			t.Errorf("accepted %s", s)
		}
	}
}
