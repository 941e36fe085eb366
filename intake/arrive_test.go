package intake_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// relief is the name of a third node.
const relief = "konbit.node/0000000e"

// apart makes a house that serves ht.cc alone.
func apart(h *House) {
	Apart(h)
	h.Dir.Nodes["int.aid"] = relief
}

// foreign is a version of a record of do.911 that says which it is.
func foreign(id record.ID, v int, change ...func(*record.Record)) *record.Record {
	return Foreign(id, v, append([]func(*record.Record){func(r *record.Record) {
		r.Body, _ = json.Marshal(Note{Title: fmt.Sprintf("tanager v%d", v)})
	}}, change...)...)
}

// said is what became of items, in words.
func said(fates []intake.Fate) (out []string) {
	for _, f := range fates {
		s := string(f.Status)
		if f.Reason != "" {
			s += " " + f.Reason
		}
		out = append(out, s)
	}
	return out
}

func fated(t testing.TB, what string, fates []intake.Fate, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, said(fates)); diff != "" {
		t.Errorf("%s (-want +got):\n%s\n%+v", what, diff, fates)
	}
}

// lastEntry is the newest entry of a type.
func lastEntry(t testing.TB, h *House, typ string) *store.Logged {
	t.Helper()
	ls, err := h.Store.Log(ctx, &store.LogQuery{Types: []string{typ}, Limit: 1})
	if err != nil || len(ls) != 1 {
		t.Fatal(ls, err)
	}
	return ls[0]
}

func heldOf(t testing.TB, h *House, id record.ID) (store.Held, bool) {
	t.Helper()
	m, err := h.Store.HeldOf(ctx, []record.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	held, ok := m[id]
	return held, ok
}

func TestArrivedRecordIsReadSearchedAndVerifiedHere(t *testing.T) {
	h := New(t, apart)
	h.Clock.Move(time.Hour)
	id := ID()
	rec := foreign(id, 3, func(r *record.Record) { r.Place = &record.Place{Geometry: record.Point(-72, 19)} })
	item := Signed(4, rec)
	fated(t, "first", h.Arrive(store.Normal, 0, 9, item), "applied")

	op := h.Reader("ht.cc/op", desk.Operator)
	s, err := h.Records.Get(ctx, op, "note", id, "open")
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Raw) != string(item.Payload) || s.Version != 3 || s.Owner != "do.911" || string(s.Sig) != string(item.Sig) {
		t.Errorf("%+v", s)
	}
	vs, err := h.Records.History(ctx, op, "note", id)
	if err != nil || len(vs) != 1 || !vs[0].Signature.OK {
		t.Errorf("%+v %v", vs, err)
	}
	e := lastEntry(t, h, "change")
	if e.Agency != "do.911" || e.Actor != "do.911/rosa" || !e.At.Equal(h.Clock.Now()) || e.KeyID != item.KeyID {
		t.Errorf("%+v", e)
	}
	var told struct {
		Node, Lane           string
		After, UpTo, Applied int64
	}
	e = lastEntry(t, h, "arrival")
	if err := json.Unmarshal(e.Content, &told); err != nil || e.Agency != "ht.cc" || e.Actor != Dominican {
		t.Errorf("%+v %v", e, err)
	}
	if told.Node != Dominican || told.Lane != "normal" || told.After != 0 || told.UpTo != 9 || told.Applied != 1 {
		t.Errorf("%s", e.Content)
	}
	if held, _ := heldOf(t, h, id); held != (store.Held{Record: id, Node: Dominican, N: 4, Version: 3, At: h.Clock.Now()}) {
		t.Errorf("%+v", held)
	}
	if up, _ := h.Store.Applied(ctx, Dominican); up != [store.Lanes]int64{0, 9} {
		t.Error(up)
	}

	// It is the owner's: nobody here writes it.
	_, err = h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "finish", Record: id, By: op})
	wantCode(t, err, record.Denied)
	_, err = h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "create", Record: id, By: op, Draft: Draft(Note{Title: "mine"})})
	wantCode(t, err, record.Conflict)
	h.Verify()
	h.Restart()
	h.Verify()
	fated(t, "again after a restart", h.Arrive(store.Normal, 0, 9, item), "older")
}

func TestEveryBadItemIsRefusedByNameAndTheOthersGoOn(t *testing.T) {
	h := New(t, apart)
	retired := ed25519.NewKeyFromSeed([]byte(strings.Repeat("old seed", 4)))
	retiredID := ledger.KeyID(retired.Public().(ed25519.PublicKey))
	until := Day.Add(-24*time.Hour + 90*time.Second) // between versions 1 and 2
	h.Dir.Old = map[string][]store.OldKey{"do.911": {{Key: retired.Public().(ed25519.PublicKey), Until: until}}}
	own := h.Create(h.Reader("ht.cc/op", desk.Operator), "note", Draft(Note{Title: "ours"}))
	theirs := ID()
	if fates, err := h.Intake.Arrive(ctx, &intake.Arrival{Node: relief, Lane: store.Normal, UpTo: 1, Items: []intake.Arrived{
		Signed(1, foreign(theirs, 1, func(r *record.Record) { r.Owner, r.Author = "int.aid", "int.aid/x" }))}}); err != nil || fates[0].Status != intake.Applied {
		t.Fatal(fates, err)
	}
	held := ID()
	h.Arrive(store.Normal, 0, 1, Signed(1, foreign(held, 1000, func(r *record.Record) { r.Recorded = Day }))) // far newer than what is recalled below

	change := func(f func(*record.Record)) func(n int64) intake.Arrived {
		return func(n int64) intake.Arrived { return Signed(n, foreign(ID(), 1, f)) }
	}
	body := func(n Note) func(*record.Record) {
		return func(r *record.Record) { r.Body, _ = json.Marshal(n) }
	}
	marking := func(m record.Marking) func(n int64) intake.Arrived {
		return change(func(r *record.Record) { r.Marking = m })
	}
	text := func(old, new string) func(n int64) intake.Arrived {
		return func(n int64) intake.Arrived {
			raw, _ := json.Marshal(foreign(ID(), 1))
			if !strings.Contains(string(raw), old) {
				t.Fatalf("%s lacks %s", raw, old)
			}
			return SignedAs(n, "do.911", []byte(strings.Replace(string(raw), old, new, 1)))
		}
	}
	recall := func(f func(*intake.Recall)) func(n int64) intake.Arrived {
		return func(n int64) intake.Arrived { return Recalled(n, ID(), 1, f) }
	}
	soon := Day.Add(25 * time.Hour)
	for _, c := range []struct {
		name string
		want string
		item func(n int64) intake.Arrived
	}{
		{"a kind that nobody declares", "unknown-kind", change(func(r *record.Record) { r.Kind = "spaceship" })},
		{"no JSON", "malformed", func(n int64) intake.Arrived { return SignedAs(n, "do.911", []byte("{")) }},
		{"an unknown member", "malformed", text(`"state":`, `"stage":1,"state":`)},
		{"a member twice, for two readers", "malformed", text(`"marking":`, `"Marking":{"tlp":"CLEAR"},"marking":`)},
		{"a member in other letters", "malformed", text(`"owner":`, `"Owner":`)},
		{"blanks", "malformed", text(`"state":`, `"state": `)},
		{"no identifier", "malformed", change(func(r *record.Record) { r.ID = record.ID{} })},
		{"no version", "malformed", change(func(r *record.Record) { r.Version = 0 })},
		{"a state of another flow", "malformed", change(func(r *record.Record) { r.State = "busy" })},
		{"no author", "malformed", change(func(r *record.Record) { r.Author = "rosa" })},
		{"a command that is none", "malformed", change(func(r *record.Record) { r.Command = "<b>" })},
		{"a flag that is none", "malformed", change(func(r *record.Record) { r.Flags = []string{"<b>"} })},
		{"no time of recording", "malformed", change(func(r *record.Record) { r.Recorded = time.Time{} })},
		{"made after it was recorded", "malformed", change(func(r *record.Record) { r.Created = Day })},
		{"nanoseconds", "malformed", change(func(r *record.Record) { r.Observed = r.Observed.Add(1) })},
		{"a link to nothing", "malformed", change(func(r *record.Record) { r.Links = []record.Link{{Rel: "about"}} })},
		{"a body of another kind", "malformed", change(func(r *record.Record) { r.Body = json.RawMessage(`{"name":"x"}`) })},
		{"a body over its bounds", "malformed", change(body(Note{Title: "x", Count: 5000}))},
		{"an agency of ours", "foreign-owner", change(func(r *record.Record) { r.Owner = "ht.cc" })},
		{"an agency of a third node", "foreign-owner", change(func(r *record.Record) { r.Owner = "int.aid" })},
		{"an agency that nobody knows", "foreign-owner", change(func(r *record.Record) { r.Owner = "xx.no" })},
		{"the identifier of our own record", "foreign-owner", change(func(r *record.Record) { r.ID = own.ID; r.Version = 9 })},
		{"the identifier of a third node's record", "foreign-owner", change(func(r *record.Record) { r.ID = theirs; r.Version = 9 })},
		{"a body that was altered", "bad-signature", func(n int64) intake.Arrived {
			it := Signed(n, foreign(ID(), 1))
			it.Payload = []byte(strings.Replace(string(it.Payload), "tanager", "tanagra", 1))
			return it
		}},
		{"a signature as a recall", "bad-signature", func(n int64) intake.Arrived {
			it := Signed(n, foreign(ID(), 1))
			it.Sig = ledger.SignAs(Private("do.911"), intake.RecallType, it.Payload)
			return it
		}},
		{"no signature", "bad-signature", func(n int64) intake.Arrived { it := Signed(n, foreign(ID(), 1)); it.Sig = nil; return it }},
		{"another agency's key", "unknown-key", func(n int64) intake.Arrived {
			raw, _ := json.Marshal(foreign(ID(), 1))
			return SignedAs(n, "int.aid", raw)
		}},
		{"a key that was retired before", "unknown-key", func(n int64) intake.Arrived {
			raw, _ := json.Marshal(foreign(ID(), 2))
			return intake.Arrived{N: n, Payload: raw, KeyID: retiredID, Sig: ledger.Sign(retired, nil, raw)}
		}},
		{"no colour", "bad-marking", marking(record.Marking{To: []string{"ht.cc"}})},
		{"for somebody else", "bad-marking", marking(record.Marking{TLP: record.Amber, To: []string{"int.aid"}})},
		{"for nobody", "bad-marking", marking(record.Marking{TLP: record.Amber})},
		{"for a community without us", "bad-marking", marking(record.Marking{TLP: record.Green, To: []string{"@dispatch"}})},
		{"RED for nobody here", "bad-marking", marking(record.Marking{TLP: record.Red, Persons: []string{"do.911/rosa"}})},
		{"a list that is not sorted", "bad-marking", marking(record.Marking{TLP: record.Amber, To: []string{"int.aid", "ht.cc"}})},
		{"a caveat that nobody knows", "bad-marking", marking(record.Marking{TLP: record.Amber, To: []string{"ht.cc"}, Caveats: []string{"secret"}})},
		{"a victim without the caveat", "unprotected", change(body(Note{Title: "x", Victim: true}))},
		{"recorded the day after tomorrow", "future", change(func(r *record.Record) { r.Recorded = soon })},
		{"observed the day after tomorrow", "future", change(func(r *record.Record) { r.Observed = soon })},
		{"more than a megabyte", "too-large", func(n int64) intake.Arrived {
			return SignedAs(n, "do.911", []byte(strings.Repeat(" ", intake.MaxVersion+1)))
		}},
		{"a recall that is none", "malformed", func(n int64) intake.Arrived { it := Signed(n, foreign(ID(), 1)); it.Recall = true; return it }},
		{"a recall meant for a third node", "malformed", recall(func(rc *intake.Recall) { rc.Node = relief })},
		{"a recall of nothing", "malformed", recall(func(rc *intake.Recall) { rc.Record = record.ID{} })},
		{"a recall of no version", "malformed", recall(func(rc *intake.Recall) { rc.Version = 0 })},
		{"a recall for another agency", "foreign-owner", recall(func(rc *intake.Recall) { rc.Owner = "int.aid" })},
		{"a recall of our own record", "foreign-owner", recall(func(rc *intake.Recall) { rc.Record = own.ID })},
		{"a recall of a third node's record", "foreign-owner", recall(func(rc *intake.Recall) { rc.Record = theirs; rc.Version = 9 })},
		{"a recall under a record's signature", "bad-signature", func(n int64) intake.Arrived {
			it := Recalled(n, ID(), 1)
			it.Sig = ledger.Sign(Private("do.911"), nil, it.Payload)
			return it
		}},
		{"a recall under another key", "unknown-key", func(n int64) intake.Arrived {
			it := Recalled(n, ID(), 1)
			it.KeyID = ledger.KeyID(Private("int.aid").Public().(ed25519.PublicKey))
			return it
		}},
		{"a recall from the day after tomorrow", "future", recall(func(rc *intake.Recall) { rc.At = soon })},
		{"an old recall that would take a newer version", "stale-recall", recall(func(rc *intake.Recall) { rc.Record, rc.At = held, Day.Add(-72*time.Hour) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			up, err := h.Store.Applied(ctx, Dominican)
			if err != nil {
				t.Fatal(err)
			}
			n, good := up[store.Normal], ID()
			fated(t, c.name, h.Arrive(store.Normal, n, n+2, c.item(n+1), Signed(n+2, foreign(good, 1))), "refused "+c.want, "applied")
			if e := lastEntry(t, h, "arrival"); !strings.Contains(string(e.Content), `"reason":"`+c.want+`"`) {
				t.Errorf("the ledger does not say why: %s", e.Content)
			}
			if _, err := h.Records.Get(ctx, h.Reader("ht.cc/op", desk.Operator), "note", good, "open"); err != nil {
				t.Error(err)
			}
		})
	}
	h.Verify()
	// What the retired key signed in its time still counts.
	raw, _ := json.Marshal(foreign(ID(), 1))
	up, _ := h.Store.Applied(ctx, Dominican)
	n := up[store.Normal] + 1
	fated(t, "the old key in its time", h.Arrive(store.Normal, n-1, n, intake.Arrived{N: n, Payload: raw, KeyID: retiredID, Sig: ledger.Sign(retired, nil, raw)}), "applied")
	h.Verify()
}

func TestRedIsTakenWhenItNamesSomebodyHere(t *testing.T) {
	h := New(t, apart)
	id := ID()
	red := foreign(id, 1, func(r *record.Record) {
		r.Marking = record.Marking{TLP: record.Red, Persons: []string{"do.911/rosa", "ht.cc/ana"}}
	})
	fated(t, "red", h.Arrive(store.Normal, 0, 1, Signed(1, red)), "applied")
	if _, err := h.Records.Get(ctx, h.Reader("ht.cc/ana", desk.Operator), "note", id, "open"); err != nil {
		t.Error(err)
	}
	_, err := h.Records.Get(ctx, h.Reader("ht.cc/boss", desk.Administrator), "note", id, "open")
	wantCode(t, err, record.NotFound)
}

func TestPersonOfAnotherNodeCanBeNamed(t *testing.T) {
	h := New(t, apart, func(h *House) {
		h.Config = func(c *intake.Config) { c.Directory = locals{h.Dir} }
	})
	draft := Draft(Note{Title: "x"})
	draft.Marking = record.Marking{TLP: record.Red, Persons: []string{"do.911/rosa"}}
	h.Create(h.Reader("ht.cc/op", desk.Operator), "note", draft)
	for _, name := range []string{"ht.cc/nobody", "xx.no/rosa", "do.911/Rosa Maria"} {
		draft.Marking.Persons = []string{name}
		_, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "create", Record: ID(), By: h.Reader("ht.cc/op", desk.Operator), Draft: draft})
		wantCode(t, err, record.Invalid)
	}
}

// locals is a directory that lists no person.
type locals struct{ *Directory }

func (d locals) Known(name string) bool {
	return !strings.Contains(name, "/") && d.Directory.Known(name)
}

func TestOrderOfVersionsAndRecalls(t *testing.T) {
	type step struct {
		lane   store.Lane
		n      int64
		v      int
		recall bool
		want   string
	}
	const u, l = store.Urgent, store.Normal
	for name, steps := range map[string][]step{
		"newer versions follow, with gaps":                     {{l, 1, 2, false, "applied"}, {l, 2, 5, false, "applied"}, {u, 9, 6, false, "applied"}},
		"an older version is older":                            {{l, 3, 5, false, "applied"}, {u, 1, 4, false, "older"}},
		"an older version is older whatever its number":        {{l, 3, 5, false, "applied"}, {u, 8, 4, false, "older"}},
		"the same version counts when it is said later":        {{l, 3, 5, false, "applied"}, {u, 4, 5, false, "applied"}},
		"the same version does not count when said before":     {{l, 3, 5, false, "applied"}, {u, 2, 5, false, "older"}},
		"a recall purges":                                      {{l, 1, 1, false, "applied"}, {u, 2, 1, true, "purged"}},
		"a recall that overtook a newer version purges it":     {{u, 2, 3, true, "purged"}, {l, 1, 3, false, "older"}},
		"a recall of what was never held bars an older stick":  {{u, 5, 2, true, "purged"}, {l, 1, 1, false, "older"}, {l, 4, 2, false, "older"}},
		"a record comes back by a newer version":               {{l, 1, 1, false, "applied"}, {u, 2, 2, true, "purged"}, {l, 3, 3, false, "applied"}},
		"a record comes back by the same version":              {{l, 1, 1, false, "applied"}, {u, 2, 1, true, "purged"}, {l, 3, 1, false, "applied"}},
		"an old recall does not take what came back":           {{l, 1, 1, false, "applied"}, {l, 3, 3, false, "applied"}, {u, 2, 2, true, "older"}},
		"a later recall of an older version purges":            {{l, 1, 5, false, "applied"}, {u, 2, 3, true, "purged"}, {l, 3, 5, false, "applied"}},
		"a recall of a newer version purges whatever is later": {{l, 5, 2, false, "applied"}, {u, 3, 3, true, "purged"}, {l, 6, 3, false, "applied"}},
		"a late recall leaves what was sent again since":       {{l, 5, 2, false, "applied"}, {u, 3, 2, true, "older"}, {l, 6, 2, false, "applied"}},
		"a second recall leaves it purged":                     {{l, 1, 1, false, "applied"}, {u, 2, 1, true, "purged"}, {u, 3, 2, true, "purged"}, {l, 2, 2, false, "older"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := New(t, apart)
			id, shown := ID(), ""
			var applied [store.Lanes]int64
			for i, s := range steps {
				it := Signed(s.n, foreign(id, s.v))
				if s.recall {
					it = Recalled(s.n, id, s.v)
				}
				fated(t, fmt.Sprint("step ", i), h.Arrive(s.lane, applied[s.lane], s.n, it), s.want)
				applied[s.lane] = s.n
				switch s.want {
				case "applied":
					shown = fmt.Sprintf("v%d", s.v)
				case "purged":
					shown = ""
				}
				shows(t, h, id, shown)
			}
			h.Verify()
		})
	}
}

func TestVersionThatIsSaidTwiceIsWrittenOnce(t *testing.T) {
	h := New(t, apart)
	id := ID()
	rec := foreign(id, 3)
	h.Arrive(store.Normal, 0, 1, Signed(1, rec))
	seq := lastEntry(t, h, "change").Seq
	fated(t, "again", h.Arrive(store.Normal, 1, 2, Signed(2, rec)), "applied")
	if e := lastEntry(t, h, "change"); e.Seq != seq {
		t.Errorf("the same version is in the ledger at %d and at %d", seq, e.Seq)
	}
	if held, _ := heldOf(t, h, id); held.N != 2 || held.Version != 3 {
		t.Errorf("%+v", held)
	}
	other := foreign(id, 3, func(r *record.Record) { r.Note = "made anew after a restore" })
	fated(t, "another one of the same number", h.Arrive(store.Normal, 2, 3, Signed(3, other)), "applied")
	if e := lastEntry(t, h, "change"); e.Seq == seq {
		t.Error("another version of the same number was not taken")
	}
	h.Verify()
}

// shows fails unless the record's title ends in the word; "" means that nothing
// of it is there.
func shows(t testing.TB, h *House, id record.ID, word string) {
	t.Helper()
	m, err := h.Store.Current(ctx, []record.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if s := m[id]; s != nil && s.Record != nil {
		got = fmt.Sprintf("v%d", s.Version)
	}
	held, _ := heldOf(t, h, id)
	if got != word || (got == "") != (held.Purged || held.Record.IsZero()) {
		t.Fatalf("it shows %q, want %q; held: %+v", got, word, held)
	}
}

func TestPurgeLeavesNothingButTheProofOfIt(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	h := New(t, apart)
	h.Blobs["ht.cc/op "+hash] = 7
	target := h.Create(h.Reader("ht.cc/op", desk.Operator), "note", Draft(Note{Title: "target"}))
	id := ID()
	rec := func(v int) *record.Record {
		return foreign(id, v, func(r *record.Record) {
			r.Links = []record.Link{{Rel: "about", Kind: "note", ID: target.ID}}
			r.Attachments = []record.Attachment{{Hash: hash, Type: "image/png", Size: 7}}
		})
	}
	op := h.Reader("ht.cc/op", desk.Operator)
	gone := func(what string) {
		t.Helper()
		_, err := h.Records.Get(ctx, op, "note", id, "open")
		wantCode(t, err, record.NotFound)
		linked, err := h.Store.Linked(ctx, target.ID, 10)
		attached, err2 := h.Store.Attached(ctx, hash)
		rows, _ := h.Store.Rows(ctx, "note")
		if len(linked) != 0 || attached || len(h.Blobs) != 0 || rows != 1 || err != nil || err2 != nil {
			t.Errorf("%s: %d links, attached %v, blobs %v, %d rows, %v %v", what, len(linked), attached, h.Blobs, rows, err, err2)
		}
		h.DB.Entries(ctx, 0, -1, func(l *store.Logged) bool {
			if l.Type == "change" && record.ID(l.Record) == id && !l.Erased() {
				t.Errorf("%s: entry %d still holds it", what, l.Seq)
			}
			return true
		})
		h.Verify()
	}
	h.Arrive(store.Normal, 0, 2, Signed(1, rec(1)), Signed(2, rec(2)))
	if linked, _ := h.Store.Linked(ctx, target.ID, 10); len(linked) != 1 {
		t.Fatal(linked)
	}
	back := Recalled(3, id, 3)
	fated(t, "recall", h.Arrive(store.Urgent, 0, 3, back), "purged")
	gone("recalled")
	e := lastEntry(t, h, "erase")
	var c struct {
		Kind, Ground, KeyID string
		Versions            int
		Recall, Sig         []byte
	}
	if err := json.Unmarshal(e.Content, &c); err != nil {
		t.Fatal(err)
	}
	pub := h.Dir.Key("do.911", c.KeyID, Day)
	if c.Kind != "note" || c.Ground != "narrowed" || c.Versions != 2 || e.Agency != "do.911" || e.Actor != Dominican || !ledger.VerifyAs(pub, intake.RecallType, c.Recall, c.Sig) {
		t.Errorf("%+v %s", e, e.Content)
	}

	// The same by ourselves, and nothing else of ours is touched by it.
	h.Blobs["ht.cc/op "+hash] = 7
	fated(t, "back", h.Arrive(store.Normal, 2, 4, Signed(4, rec(4))), "applied")
	if err := h.Intake.Purge(ctx, []intake.Purge{{Record: id, Ground: "expired"}, {Record: target.ID, Ground: "expired"}, {Record: ID(), Ground: "expired"}}); err != nil {
		t.Fatal(err)
	}
	gone("expired")
	if held, _ := heldOf(t, h, id); !held.Purged || held.Version != 4 || held.N != 4 {
		t.Errorf("%+v", held)
	}
	if e := lastEntry(t, h, "erase"); !strings.Contains(string(e.Content), `"ground":"expired"`) || e.Actor != "node" {
		t.Errorf("%+v %s", e, e.Content)
	}
	size := h.Intake.Size()
	if err := h.Intake.Purge(ctx, []intake.Purge{{Record: id, Ground: "expired"}}); err != nil || h.Intake.Size() != size {
		t.Error(err, "a second purge wrote something")
	}
	if _, err := h.Records.Get(ctx, op, "note", target.ID, "open"); err != nil { // its look is written a little later
		t.Error(err)
	}
}

func TestExpiredVersionLeavesATombstoneAndNoContent(t *testing.T) {
	h := New(t, apart)
	id, never := ID(), ID()
	past := Day.Add(-time.Hour)
	over := func(id record.ID, v int) *record.Record {
		return foreign(id, v, func(r *record.Record) { r.Marking.Expires = &past })
	}
	h.Arrive(store.Normal, 0, 1, Signed(1, foreign(id, 1)))
	fated(t, "expired", h.Arrive(store.Normal, 1, 3, Signed(2, over(id, 2)), Signed(3, over(never, 1))), "purged", "purged")
	shows(t, h, id, "")
	shows(t, h, never, "")
	fated(t, "prolonged", h.Arrive(store.Normal, 3, 4, Signed(4, foreign(id, 3))), "applied")
	shows(t, h, id, "v3")
	h.Verify()
}

func TestGapIsRefusedAndRepeatDoesNothing(t *testing.T) {
	h := New(t, apart)
	p, q := ID(), ID()
	first, second := Signed(1, foreign(p, 1)), Signed(5, foreign(q, 1))
	_, err := h.Intake.Arrive(ctx, &intake.Arrival{Node: Dominican, Lane: store.Normal, After: 2, UpTo: 5, Items: []intake.Arrived{second}})
	wantCode(t, err, record.Conflict)
	if up, _ := h.Store.Applied(ctx, Dominican); up != [store.Lanes]int64{} || h.Intake.Size() != 0 {
		t.Error("a gap left something")
	}
	fated(t, "first", h.Arrive(store.Normal, 0, 2, first), "applied")
	fated(t, "overlapping", h.Arrive(store.Normal, 1, 5, second), "applied")
	size := h.Intake.Size()
	fated(t, "again", h.Arrive(store.Normal, 0, 5, first, second), "older", "older")
	fated(t, "a part of it", h.Arrive(store.Normal, 1, 4, Signed(3, foreign(ID(), 1))), "older")
	fated(t, "nothing new", h.Arrive(store.Normal, 5, 5))
	if h.Intake.Size() != size {
		t.Error("what was applied before wrote an entry")
	}
	fated(t, "a span without items", h.Arrive(store.Normal, 5, 8))
	if up, _ := h.Store.Applied(ctx, Dominican); up != [store.Lanes]int64{0, 8} {
		t.Error(up)
	}
	for _, a := range []intake.Arrival{
		{Node: Dominican, After: 0, UpTo: 9, Items: []intake.Arrived{Signed(10, foreign(ID(), 1))}},
		{Node: Dominican, After: 8, UpTo: 9, Items: []intake.Arrived{Signed(8, foreign(ID(), 1))}},
		{Node: Dominican, After: 0, UpTo: 9, Items: []intake.Arrived{Signed(9, foreign(ID(), 1)), Signed(8, foreign(ID(), 1))}},
		{Node: Dominican, After: 0, UpTo: 9, Items: []intake.Arrived{Signed(8, foreign(ID(), 1)), Signed(8, foreign(ID(), 1))}},
		{Node: Dominican, After: 9, UpTo: 8},
		{Node: Dominican, After: -1, UpTo: 8},
		{Node: Dominican, Lane: 2, UpTo: 1},
		{UpTo: 1},
	} {
		_, err := h.Intake.Arrive(ctx, &a)
		wantCode(t, err, record.Invalid)
	}
	h.Verify()
}

func TestSameBundleFromManySidesAtOnceIsAppliedOnce(t *testing.T) {
	h := New(t, apart)
	var items []intake.Arrived
	for n := range int64(2500) { // three parts
		items = append(items, Signed(n+1, foreign(ID(), 1)))
	}
	applied := make([]int, 4)
	var wg sync.WaitGroup
	for i := range applied {
		wg.Go(func() {
			fates, err := h.Intake.Arrive(ctx, &intake.Arrival{Node: Dominican, Lane: store.Normal, UpTo: 2500, Items: items})
			if err != nil || len(fates) != len(items) {
				t.Error(len(fates), err)
			}
			for _, f := range fates {
				if f.Status == intake.Applied {
					applied[i]++
				}
			}
		})
	}
	op := h.Reader("ht.cc/op", desk.Operator)
	for range 50 { // our own work goes on between
		h.Create(op, "note", Draft(Note{Title: "ours"}))
	}
	wg.Wait()
	sum := 0
	for _, n := range applied {
		sum += n
	}
	rows, _ := h.Store.Rows(ctx, "note")
	if sum != 2500 || rows != 2550 {
		t.Errorf("applied %v, %d rows", applied, rows)
	}
	if n := h.Intake.Size(); n != 2550+3 {
		t.Errorf("%d entries", n)
	}
	h.Verify()
}

func TestArrivalThatTheDiskRefusedIsTakenWholeTheNextTime(t *testing.T) {
	var disk *faulty
	h := New(t, apart, func(h *House) {
		h.Wrap = func(s store.Store) store.Store { disk = &faulty{Store: s}; return disk }
	})
	id := ID()
	var items []intake.Arrived
	for n := range int64(1500) {
		items = append(items, Signed(n+1, foreign(ID(), 1)))
	}
	items[7] = Signed(8, foreign(id, 1))
	a := &intake.Arrival{Node: Dominican, Lane: store.Normal, UpTo: 1500, Items: items}
	for _, lost := range []bool{false, true} {
		disk.lost.Store(lost)
		disk.fail.Store(1)
		if _, err := h.Intake.Arrive(ctx, a); record.CodeOf(err) != record.Unavailable && record.CodeOf(err) != record.Conflict {
			t.Fatalf("lost %v: %v", lost, err)
		}
		up, _ := h.Store.Applied(ctx, Dominican)
		if rows, _ := h.Store.Rows(ctx, "note"); rows != up[store.Normal] {
			t.Fatalf("lost %v: %d rows, cursor %v", lost, rows, up)
		}
	}
	fates := h.Arrive(store.Normal, 0, 1500, items...)
	if n := len(slices.DeleteFunc(fates, func(f intake.Fate) bool { return f.Status != intake.Older })); n < 1000 { // what was lost was the answer alone
		t.Errorf("%d were there", n)
	}
	shows(t, h, id, "v1")
	if rows, _ := h.Store.Rows(ctx, "note"); rows != 1500 {
		t.Error(rows)
	}
	h.Verify()
}

func TestAgencyThatMovedToAnotherNodeGoesOnWritingItsRecords(t *testing.T) {
	h := New(t, apart)
	id := ID()
	fated(t, "before", h.Arrive(store.Normal, 0, 90, Signed(90, foreign(id, 4))), "applied")
	h.Dir.Nodes["do.911"] = relief
	move := func(n int64, it intake.Arrived) []intake.Fate {
		t.Helper()
		fates, err := h.Intake.Arrive(ctx, &intake.Arrival{Node: relief, Lane: store.Normal, After: n - 1, UpTo: n, Items: []intake.Arrived{it}})
		if err != nil {
			t.Fatal(err)
		}
		return fates
	}
	fated(t, "older", move(1, Signed(1, foreign(id, 3))), "older")
	fated(t, "newer", move(2, Signed(2, foreign(id, 5))), "applied")
	fated(t, "recalled", move(3, Recalled(3, id, 5)), "purged")
	fated(t, "the node before", h.Arrive(store.Normal, 90, 91, Signed(91, foreign(id, 6))), "refused foreign-owner")
	shows(t, h, id, "")
	h.Verify()
}

// word is what the owner last said of a record.
type word struct {
	n      int64
	v      int
	lane   store.Lane
	recall bool
}

// TestWhateverTheOrderTheOwnersLastWordStands cuts bundles at random moments out
// of a random history, as links and sticks carry them, and gives them in any
// order, repeatedly, with gaps.
func TestWhateverTheOrderTheOwnersLastWordStands(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := Make(t, Folder(t), apart)
		defer h.Close()
		ids := []record.ID{ID(), ID(), ID()}
		shares := map[record.ID]word{}
		var last int64
		var pool []*intake.Arrival
		cut := func(lane store.Lane, after int64) *intake.Arrival {
			a := &intake.Arrival{Node: Dominican, Lane: lane, After: after, UpTo: last}
			for id, s := range shares {
				if s.lane != lane || s.n <= after {
					continue
				}
				it := Signed(s.n, foreign(id, s.v))
				if s.recall {
					it = Recalled(s.n, id, s.v)
				}
				a.Items = append(a.Items, it)
			}
			slices.SortFunc(a.Items, func(a, b intake.Arrived) int { return int(a.N - b.N) })
			return a
		}
		lane := rapid.Custom(func(rt *rapid.T) store.Lane { return store.Lane(rapid.IntRange(0, 1).Draw(rt, "lane")) })
		give := func(a *intake.Arrival) {
			fates, err := h.Intake.Arrive(ctx, a)
			if err != nil && record.CodeOf(err) != record.Conflict {
				rt.Fatal(err)
			}
			for _, f := range fates {
				if f.Status == intake.Refused {
					rt.Fatalf("%+v", f)
				}
			}
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			default:
				id := rapid.SampledFrom(ids).Draw(rt, "record")
				was, there := shares[id]
				next := word{v: was.v + rapid.IntRange(0, 1).Draw(rt, "newer"), lane: lane.Draw(rt, "lane")}
				next.v = max(next.v, 1)
				if there && rapid.Bool().Draw(rt, "recall") {
					next.recall, next.lane = true, store.Urgent
				}
				last++
				next.n = last
				shares[id] = next
			case 3:
				pool = append(pool, cut(lane.Draw(rt, "lane"), rapid.Int64Range(0, last).Draw(rt, "after")))
			case 4:
				if len(pool) > 0 {
					give(rapid.SampledFrom(pool).Draw(rt, "bundle"))
				}
			}
		}
		up, err := h.Store.Applied(ctx, Dominican)
		if err != nil {
			rt.Fatal(err)
		}
		for l := range store.Lane(store.Lanes) {
			give(cut(l, up[l]))
		}
		for id, s := range shares {
			want := fmt.Sprintf("v%d", s.v)
			if s.recall {
				want = ""
			}
			got := ""
			if m, err := h.Store.Current(ctx, []record.ID{id}); err != nil {
				rt.Fatal(err)
			} else if m[id] != nil && m[id].Record != nil {
				got = fmt.Sprintf("v%d", m[id].Version)
			}
			held, ok := heldOf(t, h, id)
			if got != want || !ok || held.N != s.n || held.Version != s.v || held.Purged != s.recall {
				rt.Fatalf("it shows %q, want %q; held %+v, said %+v", got, want, held, s)
			}
		}
		if err := h.Faults(); err != nil {
			rt.Fatal(err)
		}
	})
}

// BenchmarkArrive applies bundles of 4,000 versions of some 900 bytes.
func BenchmarkArrive(b *testing.B) {
	h := New(b, apart)
	const size = 4000
	bundles := make([]*intake.Arrival, b.N)
	for i := range bundles {
		a := &intake.Arrival{Node: Dominican, Lane: store.Normal, After: int64(i) * size, UpTo: int64(i+1) * size}
		for j, c := range drafts(h, size) {
			a.Items = append(a.Items, Signed(a.After+int64(j)+1, foreign(c.Record, 1, func(r *record.Record) { r.Body, r.Place = c.Draft.Body, c.Draft.Place })))
		}
		bundles[i] = a
	}
	b.ResetTimer()
	for _, a := range bundles {
		fates, err := h.Intake.Arrive(b.Context(), a)
		if err != nil || fates[0].Status != intake.Applied {
			b.Fatal(fates[0], err)
		}
	}
	b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "records/s")
}
