package bundle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/record"
)

func mustSeal(t testing.TB, h Header, items []Item, to age.Recipient) []byte {
	t.Helper()
	b, err := Seal(h, items, to, link)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mixed has items of every sort.
func mixed() []Item {
	m := newMaker(3, true)
	var items []Item
	for i := range 20 {
		it := versionItem(int64(10*i+1), m.payload())
		id := m.id(m.now)
		switch i % 4 {
		case 1:
			it.Sort, it.Record = Recall, id
			it.Payload, _ = json.Marshal(map[string]any{"record": id, "owner": "ht.cc", "node": to, "version": i, "reason": "narrowed", "at": m.now})
		case 2:
			it = Item{Sort: Word, N: it.N, Record: id, Topic: "opened", Payload: []byte(`{"at":"2026-11-02T08:30:00Z","record":"` + id.String() + `"}`)}
		case 3:
			it = Item{Sort: Word, N: it.N, Topic: "holdings", Payload: []byte{}}
		}
		items = append(items, it)
	}
	return items
}

func TestOpenGivesBackEveryByte(t *testing.T) {
	id := newIdentity(t)
	for name, items := range map[string][]Item{"none": nil, "plain": sample(500, false), "lively": sample(500, true), "mixed": mixed()} {
		t.Run(name, func(t *testing.T) {
			h, got, err := Open(mustSeal(t, header(Urgent, 0, 500), items, id.Recipient()), known, newIdentity(t), id)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(items, got); d != "" {
				t.Error(d)
			}
			want := header(Urgent, 0, 500)
			want.Size, want.Sum, want.KeyID = h.Size, h.Sum, keyID(link.Public().(ed25519.PublicKey))
			if d := cmp.Diff(want, h); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTalkIsNotNumberedAndHoldsWordsAlone(t *testing.T) {
	id := newIdentity(t)
	words := []Item{{Sort: Word, Topic: "witness", Payload: []byte(`{"size":7}`)}, {Sort: Word, Topic: "witness", Payload: []byte(`{"size":8}`)}}
	_, got, err := Open(mustSeal(t, header(Talk, 0, 0), words, id.Recipient()), known, id)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(words, got); d != "" {
		t.Error(d)
	}
	for name, try := range map[string]struct {
		h     Header
		items []Item
	}{
		"numbered talk":        {header(Talk, 0, 5), words},
		"a number in talk":     {header(Talk, 0, 0), []Item{{Sort: Word, N: 1, Topic: "witness"}}},
		"a record in talk":     {header(Talk, 0, 0), []Item{versionItem(0, []byte(`{}`))}},
		"no number in a lane":  {header(Normal, 0, 5), words},
		"a lane without range": {header(Normal, 5, 5), nil},
	} {
		_, err := Seal(try.h, try.items, id.Recipient(), link)
		wantRefusal(t, name, err, malformed)
	}
}

// TestAnyPayloadSurvives: texts that look like identifiers, times and numbers and
// are not, texts that are no JSON, in any mixture.
func TestAnyPayloadSurvives(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			`{"a":`, `{"b":[`, `]`, `}`, `,`, `:`, `"`, `"x"`, `\`, `\"`, `true`, `null`, "\x00", "\x01", "\x02", " ", "é",
			`"019585  09-48c6-7746-85e8-5de50829a089"`, `"01958509-48c6-7746-85e8-5de50829a089"`, `"01958509-48C6-7746-85e8-5de50829a089"`, `"01958509-48c6-4746-85e8-5de50829a089"`,
			`"2026-11-02T08:30:00Z"`, `"2026-11-02T08:30:00.000001Z"`, `"2026-11-02T08:30:00.10Z"`, `"2026-11-02T08:30:00.123456789Z"`, `"2026-02-30T08:30:00Z"`, `"2026-11-02T08:30:60Z"`,
			`"1969-12-31T23:59:59Z"`, `"9999-12-31T23:59:59.999999Z"`, `"2026-11-02T08:30:00+00:00"`, `"2026-11-02T08:30:00,5Z"`, `"2026-11-02t08:30:00z"`,
			`0`, `-0`, `007`, `1.0`, `.5`, `1.`, `-.5`, `+5`, `1e3`, `-72.32474`, `0.000000001`, `999999999.999999999`, `1000000000`, `--1`, `-1.5-2`, `1_0`, `99999999999999999999`,
		}),
		rapid.String(), rapid.StringMatching(`-?[0-9]{1,12}(\.[0-9]{1,11})?`),
	)
	h := header(Normal, 0, 10)
	h.KeyID = keyID(link.Public().(ed25519.PublicKey))
	rapid.Check(t, func(t *rapid.T) {
		var items []Item
		for i := range rapid.IntRange(1, 5).Draw(t, "items") {
			items = append(items, versionItem(int64(i+1), []byte(strings.Join(rapid.SliceOf(piece).Draw(t, "payload"), ""))))
		}
		content, err := encode(&h, items)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(&h, content)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(items, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestDeepAndWidePayloadsGoWhole(t *testing.T) {
	var wide strings.Builder
	for i := range maxColumns + 10 {
		wide.WriteString(`,"` + strings.Repeat("k", 1+i%7) + record.ID{byte(i >> 8), byte(i)}.String() + `":` + `"v"`)
	}
	h := header(Normal, 0, 10)
	h.KeyID = keyID(link.Public().(ed25519.PublicKey))
	items := []Item{
		versionItem(1, []byte(strings.Repeat("[", 100_000))),
		versionItem(2, []byte(`{"many":[`+strings.Repeat("1,", maxHoles)+`1]}`)),
		versionItem(3, []byte(`{"x":1`+wide.String()+`}`)),
		versionItem(4, []byte(`{"x":2}`)),
		versionItem(5, bytes.Repeat([]byte("a"), MaxPayload)),
	}
	content, err := encode(&h, items)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(&h, content)
	if err != nil || !cmp.Equal(items, got) {
		t.Errorf("something came back otherwise, or %v", err)
	}
}

func TestBundlesFollowOneAnotherInAFile(t *testing.T) {
	id := newIdentity(t)
	items := sample(30, true)
	var file []byte
	for i := range 3 {
		file = append(file, mustSeal(t, header(Normal, int64(10*i), int64(10*i+10)), items[10*i:10*i+10], id.Recipient())...)
	}
	under := bytes.NewReader(file)
	var got []Item
	for {
		h, raw, sealed, err := ReadHeader(iotest.HalfReader(under), known)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		left := under.Len()
		if rest, err := io.ReadAll(sealed); err != nil {
			t.Fatal(err)
		} else {
			raw = append(raw, rest...)
		}
		if int64(left-under.Len()) != h.Size {
			t.Errorf("%d bytes were read behind the header, want %d", left-under.Len(), h.Size)
		}
		_, some, err := Open(raw, known, id)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, some...)
	}
	if d := cmp.Diff(items, got); d != "" {
		t.Error(d)
	}
}

func TestSealAndOpenRunSideBySide(t *testing.T) {
	id := newIdentity(t)
	var wg sync.WaitGroup
	for seed := range 8 {
		wg.Go(func() {
			m := newMaker(uint64(seed), seed%2 == 0)
			for n := range 10 {
				items := []Item{versionItem(1, m.payload()), versionItem(2, m.payload())}
				b, err := Seal(header(Normal, 0, 2), items, id.Recipient(), link)
				if err == nil {
					_, got, e := Open(b, known, id)
					if err = e; err == nil && !cmp.Equal(items, got) {
						t.Errorf("%d of %d came back otherwise", n, seed)
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestBacklogIsSmall holds the format to its reach: 250 bytes a record for a
// backlog in bundles for a slow link, and 1,000 for one record alone.
func TestBacklogIsSmall(t *testing.T) {
	id := newIdentity(t)
	for _, lively := range []bool{false, true} {
		for n, reach := range map[int]int{1: 1000, 210: 250, 1750: 250} {
			size := len(mustSeal(t, header(Normal, 0, int64(n)), sample(n, lively), id.Recipient()))
			if each := size / n; each > reach {
				t.Errorf("lively %v: %d records take %d bytes each, want at most %d", lively, n, each, reach)
			}
		}
	}
}

func TestIncompressibleKeysAndManyAgenciesFit(t *testing.T) {
	id := newIdentity(t)
	items := sample(300, true)
	for i := range items {
		items[i].KeyID = keyID(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32)).Public().(ed25519.PublicKey))
	}
	_, got, err := Open(mustSeal(t, header(Normal, 0, 300), items, id.Recipient()), known, id)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(items, got); d != "" {
		t.Error(d)
	}
}
