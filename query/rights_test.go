package query_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/feed"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
)

var ctx = context.Background()

var (
	agencies    = []string{"ht.cc", "do.911", "int.aid"}
	communities = []string{"@hispaniola", "@dispatch", "@relief"}
	people      = []string{"ht.cc/a", "ht.cc/b", "do.911/a", "do.911/b", "int.aid/a"}
	caveats     = []string{"victim", "source"}
	kinds       = []string{"note", "secret"}
)

func subset(rt *rapid.T, of []string, label string) []string {
	var out []string
	for _, s := range of {
		if rapid.Bool().Draw(rt, label+" "+s) {
			out = append(out, s)
		}
	}
	return out
}

func marking(rt *rapid.T) record.Marking {
	m := record.Marking{TLP: rapid.SampledFrom(record.TLPs).Draw(rt, "colour")}
	switch {
	case m.TLP == record.Red:
		m.Persons = subset(rt, people, "person")
	case m.TLP != record.Clear && rapid.Bool().Draw(rt, "named"):
		m.To = append(subset(rt, agencies, "to"), subset(rt, communities, "to")...)
	}
	if rapid.IntRange(0, 2).Draw(rt, "protect") == 0 {
		m.Caveats = subset(rt, caveats, "caveat")
	}
	if rapid.IntRange(0, 2).Draw(rt, "expires") == 0 {
		t := Day.Add(time.Duration(rapid.SampledFrom([]int{-60, 0, 1, 60}).Draw(rt, "expiry")) * time.Minute)
		m.Expires = &t
	}
	return m
}

func reader(rt *rapid.T, h *House) *policy.Reader {
	person := rapid.SampledFrom(people).Draw(rt, "reader")
	r := h.Reader(person, rapid.SampledFrom([]desk.Role{desk.Viewer, desk.Viewer, desk.Operator, desk.Supervisor, desk.Auditor, desk.Administrator}).Draw(rt, "role"), subset(rt, caveats, "cleared")...)
	if rapid.Bool().Draw(rt, "purpose") {
		r.Purpose = "search"
	}
	if rapid.IntRange(0, 9).Draw(rt, "token") == 0 {
		r.Scopes = []string{"write"}
	}
	return r
}

// TestEveryViewShowsWhatASingleReadAllows is the rule of ARCHITECTURE, "Who may
// see a record", held against every way to read.
func TestEveryViewShowsWhatASingleReadAllows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := Make(t, Folder(t))
		defer h.Close()
		h.Dir.Of = map[string][]string{}
		for _, a := range agencies {
			h.Dir.Of[a] = subset(rt, communities, a+" in")
		}
		h.Dir.Of["xx.none"] = append(h.Dir.Of["xx.none"], communities...) // known, whoever is in them
		author := func(agency string) *policy.Reader {
			r := h.Reader(agency+"/writer", desk.Supervisor, caveats...)
			r.Purpose = "write"
			return r
		}
		hub := h.Feed()
		defer hub.End()
		r := reader(rt, h)
		sub, err := hub.Subscribe(ctx, r, feed.Options{From: -1})
		if err != nil {
			rt.Fatal(err)
		}
		defer sub.Close()
		witness, err := hub.Subscribe(ctx, author("ht.cc"), feed.Options{From: -1})
		if err != nil {
			rt.Fatal(err)
		}
		defer witness.Close()

		all := map[record.ID]string{} // id -> kind
		target := ID()
		n := rapid.IntRange(1, 14).Draw(rt, "records")
		for range n {
			kind := rapid.SampledFrom(kinds).Draw(rt, "kind")
			d := Draft(Note{Title: "fire " + rapid.SampledFrom([]string{"north", "south"}).Draw(rt, "where"), Category: Category(rapid.SampledFrom([]string{"fire", "flood"}).Draw(rt, "category"))})
			d.Marking = marking(rt)
			d.Observed = Day.Add(-time.Duration(rapid.IntRange(1, 72).Draw(rt, "hours")) * time.Hour)
			At(d, -72+float64(rapid.IntRange(0, 3).Draw(rt, "lon")), 18.5)
			d.Links = []record.Link{{Rel: "about", Kind: "note", ID: target}}
			c := &intake.Command{Kind: kind, Name: "create", Record: ID(), By: author(rapid.SampledFrom(agencies).Draw(rt, "owner")), Draft: d}
			if _, err := h.Intake.Do(ctx, c); err != nil {
				rt.Fatal(err)
			}
			all[c.Record] = kind
			if rapid.IntRange(0, 3).Draw(rt, "marked again") == 0 {
				m := marking(rt)
				h.Intake.Do(ctx, &intake.Command{Kind: kind, Name: "mark", Record: c.Record, By: c.By, Marking: &m})
			}
		}
		// The record that all link to is one that everybody who reads notes sees.
		open := Draft(Note{Title: "target"})
		open.Marking = record.Marking{TLP: record.Clear}
		if _, err := h.Intake.Do(ctx, &intake.Command{Kind: "note", Name: "create", Record: target, By: author("ht.cc"), Draft: open}); err != nil {
			rt.Fatal(err)
		}
		all[target] = "note"
		Until(t, witness, target)
		events, err := Drain(sub)
		if err != nil {
			rt.Fatal(err)
		}
		live := map[record.ID]bool{}
		for _, e := range events {
			if live[e.ID] = e.Type == "record"; !live[e.ID] {
				delete(live, e.ID)
			}
		}

		for _, kind := range kinds {
			want := map[record.ID]bool{}
			for id, k := range all {
				if _, err := h.Records.Get(ctx, r, k, id, "open"); err == nil && k == kind {
					want[id] = true
				} else if c := record.CodeOf(err); err != nil && c != record.NotFound && c != record.NeedPurpose {
					rt.Fatal(err)
				}
			}
			same := func(what string, got map[record.ID]bool) {
				rt.Helper()
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Fatalf("%s of %s differs from single reads (-want +got):\n%s", what, kind, diff)
				}
			}
			if _, err := h.Records.List(ctx, r, kind, &query.Filter{}); record.CodeOf(err) == record.Denied {
				same("a refused list", map[record.ID]bool{})
				continue
			}
			for _, f := range []query.Filter{{}, {ByObserved: true}} {
				for _, size := range []int{1, 2, 3, 1000} {
					got, cursor := map[record.ID]bool{}, ""
					for {
						f.Limit, f.Cursor = size, cursor
						page, err := h.Records.List(ctx, r, kind, &f)
						if err != nil {
							rt.Fatal(err)
						}
						for _, s := range page.Items {
							if got[s.Record.ID] {
								rt.Fatalf("page size %d shows %s twice", size, s.Record.ID)
							}
							got[s.Record.ID] = true
						}
						if cursor = page.Next; cursor == "" {
							break
						}
					}
					same(fmt.Sprintf("list by %d, by observed %v", size, f.ByObserved), got)
				}
			}
			c, err := h.Records.Count(ctx, r, kind, &query.Filter{})
			if err != nil {
				rt.Fatal(err)
			}
			days := 0
			for _, d := range c.PerDay {
				days += d.Count
			}
			sum := func(m map[string]int) (n int) {
				for _, v := range m {
					n += v
				}
				return n
			}
			categories := len(want)
			if want[target] {
				categories-- // it has none
			}
			if c.Count != len(want) || days != len(want) || sum(c.Facets["state"]) != len(want) || sum(c.Facets["owner"]) != len(want) || sum(c.Facets["category"]) != categories {
				rt.Fatalf("%s: %d single reads, counted %+v", kind, len(want), c)
			}
			placed := len(want)
			if want[target] {
				placed--
			}
			for _, zoom := range []float64{0, 8} {
				v, err := h.Records.Map(ctx, r, kind, &query.Filter{Box: &record.Box{W: -180, S: -90, E: 180, N: 90}}, zoom)
				if err != nil {
					rt.Fatal(err)
				}
				drawn := len(v.Features)
				for _, c := range v.Clusters {
					drawn += c.Count
				}
				if drawn != placed {
					rt.Fatalf("%s: the map draws %d of %d", kind, drawn, placed)
				}
			}
			got := map[record.ID]bool{}
			if err := h.Records.Export(ctx, r, kind, &query.Filter{}, func(s *store.Stored) error { got[s.Record.ID] = true; return nil }); err != nil {
				rt.Fatal(err)
			}
			same("export", got)

			got = map[record.ID]bool{}
			for _, words := range []string{"fire", "target"} {
				found, err := h.Records.Search(ctx, r, words, 1000)
				if err != nil {
					rt.Fatal(err)
				}
				for _, f := range found {
					if f.Kind == kind {
						got[f.ID] = true
					}
				}
			}
			same("search", got)

			if want[target] {
				_, in, err := h.Records.Links(ctx, r, "note", target)
				if err != nil {
					rt.Fatal(err)
				}
				got = map[record.ID]bool{target: true}
				for _, l := range in {
					if l.Kind == kind {
						got[l.ID] = true
					}
				}
				if kind == "note" {
					same("links", got)
				} else {
					delete(got, target)
					same("links", got)
				}
			}

			got = map[record.ID]bool{}
			for id := range live {
				if all[id] == kind {
					got[id] = true
				}
			}
			same("the feed", got)
		}
	})
}

func TestSeesFollowsEachRule(t *testing.T) {
	h := New(t)
	note, secret := h.Desks.Kind("note"), h.Desks.Kind("secret")
	past, future := Day.Add(-time.Second), Day.Add(time.Second)
	viewer := func(person string, clear ...string) *policy.Reader { return h.Reader(person, desk.Viewer, clear...) }
	with := func(r *policy.Reader, change func(*policy.Reader)) *policy.Reader { change(r); return r }
	m := func(tlp record.TLP, to ...string) record.Marking { return record.Marking{TLP: tlp, To: to} }
	for _, c := range []struct {
		name string
		r    *policy.Reader
		kind *desk.Kind
		m    record.Marking
		want policy.Verdict
	}{
		{"owner's viewer", viewer("ht.cc/a"), note, m(record.Amber), policy.Visible},
		{"owner's operator of another desk", with(viewer("ht.cc/a"), func(r *policy.Reader) { r.Roles = map[string][]desk.Role{"other": {desk.Supervisor}} }), note, m(record.Amber), policy.Hidden},
		{"owner's viewer of all desks", with(viewer("ht.cc/a"), func(r *policy.Reader) { r.Roles = map[string][]desk.Role{"*": {desk.Viewer}} }), note, m(record.Amber), policy.Visible},
		{"owner's administrator", h.Reader("ht.cc/a", desk.Administrator), note, m(record.Clear), policy.Hidden},
		{"owner's auditor", h.Reader("ht.cc/a", desk.Auditor), note, m(record.Clear), policy.Hidden},
		{"the public", &policy.Reader{}, note, m(record.Clear), policy.Hidden},
		{"a token that may only write", with(viewer("ht.cc/a"), func(r *policy.Reader) { r.Scopes = []string{"write"} }), note, m(record.Amber), policy.Hidden},
		{"another agency, nobody named", viewer("do.911/a"), note, m(record.Amber), policy.Hidden},
		{"another agency, strict", viewer("do.911/a"), note, m(record.AmberStrict), policy.Hidden},
		{"another agency, named", viewer("do.911/a"), note, m(record.AmberStrict, "do.911"), policy.Visible},
		{"another agency, its community named", viewer("do.911/a"), note, m(record.Amber, "@dispatch"), policy.Visible},
		{"another agency, a community that it left", viewer("int.aid/a"), note, m(record.Amber, "@dispatch"), policy.Hidden},
		{"GREEN, a community that both are in", viewer("do.911/a"), note, m(record.Green), policy.Visible},
		{"GREEN, no community that both are in", viewer("int.aid/a"), note, m(record.Green), policy.Hidden},
		{"GREEN with names is for these", viewer("do.911/a"), note, m(record.Green, "int.aid"), policy.Hidden},
		{"CLEAR", viewer("int.aid/a"), note, m(record.Clear), policy.Visible},
		{"RED, not named, owner's supervisor", h.Reader("ht.cc/boss", desk.Supervisor), note, record.Marking{TLP: record.Red, Persons: []string{"ht.cc/a"}}, policy.Hidden},
		{"RED, named", viewer("ht.cc/a"), note, record.Marking{TLP: record.Red, Persons: []string{"ht.cc/a"}}, policy.Visible},
		{"RED, named, of another agency", viewer("do.911/a"), note, record.Marking{TLP: record.Red, Persons: []string{"do.911/a"}}, policy.Visible},
		{"RED, named, but no role", h.Reader("ht.cc/a", desk.Auditor), note, record.Marking{TLP: record.Red, Persons: []string{"ht.cc/a"}}, policy.Hidden},
		{"expired for others", viewer("do.911/a"), note, record.Marking{TLP: record.Clear, Expires: &past}, policy.Hidden},
		{"expires this instant", viewer("do.911/a"), note, record.Marking{TLP: record.Clear, Expires: &Day}, policy.Hidden},
		{"not yet expired", viewer("do.911/a"), note, record.Marking{TLP: record.Clear, Expires: &future}, policy.Visible},
		{"expired, but the owner's", viewer("ht.cc/a"), note, record.Marking{TLP: record.Clear, Expires: &past}, policy.Visible},
		{"caveat without clearance, own agency", viewer("ht.cc/a"), note, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Hidden},
		{"caveat with clearance", viewer("ht.cc/a", "victim"), note, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Visible},
		{"one of two caveats", viewer("ht.cc/a", "victim"), note, record.Marking{TLP: record.Amber, Caveats: []string{"source", "victim"}}, policy.Hidden},
		{"purpose asked", viewer("ht.cc/a", "victim"), secret, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.NeedsPurpose},
		{"purpose given", with(viewer("ht.cc/a", "victim"), func(r *policy.Reader) { r.Purpose = "x" }), secret, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Visible},
		{"purpose not asked without caveat", viewer("ht.cc/a"), secret, m(record.Amber), policy.Visible},
		{"not cleared is never told to give a purpose", viewer("ht.cc/a"), secret, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Hidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.r.Sees(c.kind, "ht.cc", h.Dir.Of["ht.cc"], &c.m, Day); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestCursorIsSealedAndPersonal(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	for range 5 {
		h.Create(op, "note", Draft(Note{Title: "x"}))
	}
	page, err := h.Records.List(ctx, op, "note", &query.Filter{Limit: 2})
	if err != nil || page.Next == "" {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r      *policy.Reader
		cursor string
	}{
		"another person": {h.Reader("ht.cc/b", desk.Operator), page.Next},
		"cut":            {op, page.Next[:len(page.Next)-1]},
		"changed":        {op, "A" + page.Next[1:] + ""},
		"a feed's":       {op, h.Records.SealSeq(3)},
		"made up":        {op, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"},
	} {
		if c.cursor == page.Next && c.r == op {
			continue
		}
		if _, err := h.Records.List(ctx, c.r, "note", &query.Filter{Limit: 2, Cursor: c.cursor}); record.CodeOf(err) != record.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := h.Records.OpenSeq(page.Next); ok {
		t.Error("a list's cursor opens the feed")
	}
	// Two records that follow one another have cursors that share nothing.
	second, _ := h.Records.List(ctx, op, "note", &query.Filter{Limit: 3})
	if a, b := page.Next, second.Next; a[:6] == b[:6] || a[len(a)-6:] == b[len(b)-6:] {
		t.Errorf("cursors %s and %s resemble each other", a, b)
	}
}

func TestTypingTheBeginningOfAWordPagesToTheEnd(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	for range 7 {
		h.Create(op, "note", Draft(Note{Title: "inondation"}))
	}
	got, cursor := 0, ""
	for {
		page, err := h.Records.List(ctx, op, "note", &query.Filter{Words: "inond", Limit: 2, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		got += len(page.Items)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	c, err := h.Records.Count(ctx, op, "note", &query.Filter{Words: "inond"})
	if err != nil || got != 7 || c.Count != 7 {
		t.Errorf("listed %d, counted %d, %v", got, c.Count, err)
	}
}

func TestNoWordMeetsWhatIsKeptBesideTheWords(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	for i := range 40 {
		n := Draft(Note{Title: "plain", Phone: fmt.Sprintf("+509 5555-01%02d", i), Category: "fire", Tags: []Tag{"water", "food"}})
		n.Flags = []string{fmt.Sprintf("flag%d", i)}
		h.Create(h.Reader(fmt.Sprintf("ht.cc/p%d", i), desk.Operator), "note", At(n, -72.3, 18.5))
	}
	letters := "abcdefghijklmnopqrstuvwxyz0123456789"
	for _, a := range letters {
		for _, b := range letters {
			words := string([]rune{'z', a, b, '*'})
			if page, err := h.Records.List(ctx, op, "note", &query.Filter{Words: words}); err != nil || len(page.Items) > 0 {
				t.Fatalf("%q finds %d records: %v", words, len(page.Items), err)
			}
		}
	}
	for words, want := range map[string]int{"+509 5555-0107": 0, "50955550107": 1, "509-5555-0107": 1, "plain": 40, "plen": 0, "pla": 40, "...": 0, `"plain plain"`: 0} {
		c, err := h.Records.Count(ctx, op, "note", &query.Filter{Words: words})
		if err != nil || c.Count != want {
			t.Errorf("%q finds %d, want %d, %v", words, c.Count, want, err)
		}
	}
}

func TestHistoryHidesVersionsThatTheirOwnMarkingHides(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	rec := h.Create(op, "note", Draft(Note{Title: "inner thoughts"}))
	edit := func(title string, m record.Marking) {
		d := Draft(Note{Title: title})
		d.Marking = m
		h.Do(&intake.Command{Kind: "note", Name: "edit", Record: rec.ID, By: op, Draft: d})
	}
	edit("for you", record.Marking{TLP: record.Amber, To: []string{"do.911"}})
	edit("for you, too", record.Marking{TLP: record.Amber, To: []string{"do.911"}})
	other := h.Reader("do.911/x", desk.Viewer)
	vs, err := h.Records.History(ctx, other, "note", rec.ID)
	if err != nil || len(vs) != 3 {
		t.Fatal(err)
	}
	if !vs[2].Hidden || vs[2].Author != "" || len(vs[2].Changes)+len(vs[1].Changes) != 0 {
		t.Errorf("the first version shows: %+v, then %+v", vs[2], vs[1])
	}
	if len(vs[0].Changes) != 1 || vs[0].Changes[0].Path != "body.title" || !vs[0].Signature.OK {
		t.Errorf("%+v", vs[0])
	}
	if strings.Contains(fmt.Sprintf("%+v %s", vs, vs[1].Changes), "inner thoughts") {
		t.Error("the hidden title shows")
	}
	if _, err := h.Records.At(ctx, other, "note", rec.ID, 1); record.CodeOf(err) != record.NotFound {
		t.Error(err)
	}
	if s, err := h.Records.At(ctx, other, "note", rec.ID, 2); err != nil || s.Version != 2 {
		t.Error(err)
	}
	own, _ := h.Records.History(ctx, op, "note", rec.ID)
	if own[2].Hidden {
		t.Error("the owner's own past is hidden")
	}
}

func entries(h *House, typ string) (out []string) {
	h.Store.Entries(ctx, 0, -1, func(l *store.Logged) bool {
		if l.Type == typ {
			out = append(out, fmt.Sprint(l.Actor, " ", record.ID(l.Record), " ", string(l.Content)))
		}
		return true
	})
	return out
}

func TestLookAtAProtectedRecordIsInTheLedgerBeforeTheAnswer(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator, "victim")
	op.Purpose = "case 7"
	rec := h.Create(op, "note", Draft(Note{Title: "x", Victim: true}))
	if _, err := h.Records.Get(ctx, op, "note", rec.ID, "open"); err != nil {
		t.Fatal(err)
	}
	if got := entries(h, "look"); len(got) != 1 || !strings.Contains(got[0], "case 7") {
		t.Fatalf("looks: %v", got)
	}
	h.Records.Get(ctx, op, "note", rec.ID, "open") // within a minute: the same look
	if got := entries(h, "look"); len(got) != 1 {
		t.Errorf("looks: %v", got)
	}
	h.Clock.Move(time.Minute)
	h.Records.List(ctx, op, "note", &query.Filter{})
	h.Records.Export(ctx, op, "note", &query.Filter{}, func(*store.Stored) error { return nil })
	if got := entries(h, "look"); len(got) != 3 || !strings.Contains(got[2], "export") {
		t.Errorf("looks: %v", got)
	}
}

func TestNoProtectedRecordIsShownWhenTheLookCannotBeWritten(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator, "victim")
	rec := h.Create(op, "note", Draft(Note{Title: "x", Victim: true}))
	full := true
	h.Looks = func([]query.Look) bool { return full }
	for range 2 { // a second try is not taken for a repeat
		if _, err := h.Records.Get(ctx, op, "note", rec.ID, "open"); record.CodeOf(err) != record.Unavailable {
			t.Fatal(err)
		}
	}
	full = false
	if _, err := h.Records.Get(ctx, op, "note", rec.ID, "open"); err != nil || len(entries(h, "look")) != 1 {
		t.Error(err)
	}
}

func TestLikelyDuplicatesAreRankedWithTheirReasons(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	make := func(title, category string, lon float64, after time.Duration) *record.Record {
		d := At(Draft(Note{Title: title, Category: Category(category)}), lon, 18.5)
		d.Observed = d.Observed.Add(after)
		return h.Create(op, "note", d)
	}
	rec := make("bridge collapsed over the river", "flood", -72.300, 0)
	twin := make("the bridge has collapsed", "flood", -72.301, 5*time.Minute)
	weak := make("bridge", "flood", -72.305, 20*time.Minute)
	make("quite another thing", "crime", -72.300, 300*time.Minute)
	make("bridge collapsed over the river", "flood", -73.300, 0)
	red := Draft(Note{Title: "bridge collapsed over the river", Category: "flood"})
	red.Marking = record.Marking{TLP: record.Red}
	h.Create(h.Reader("ht.cc/b", desk.Operator), "note", At(red, -72.3, 18.5))
	got, err := h.Records.Similar(ctx, op, "note", rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	var ids []record.ID
	for _, l := range got {
		ids = append(ids, l.Stored.Record.ID)
	}
	if !slices.Equal(ids, []record.ID{twin.ID, weak.ID}) {
		t.Fatalf("got %d likely duplicates: %+v", len(got), got)
	}
	if l := got[0]; !l.Same || l.Metres < 90 || l.Metres > 120 || l.Minutes != 5 || !slices.Equal(l.Words, []string{"bridge", "collapsed"}) || l.Score <= got[1].Score || l.Score > 1 {
		t.Errorf("%+v", l)
	}
}

func TestAuditRights(t *testing.T) {
	h := New(t)
	sup := h.Reader("ht.cc/sup", desk.Supervisor, "victim")
	auditor, foreign := h.Reader("ht.cc/aud", desk.Auditor), h.Reader("do.911/aud", desk.Auditor)
	d := Draft(Note{Title: "x", Victim: true})
	d.Marking = record.Marking{TLP: record.Clear}
	rec := h.Create(sup, "note", d)
	reader := h.Reader("do.911/x", desk.Viewer, "victim")
	reader.Purpose = "why not"
	if _, err := h.Records.Get(ctx, reader, "note", rec.ID, "open"); err != nil {
		t.Fatal(err)
	}
	deny := func(name string, err error, want record.Code) {
		t.Helper()
		if record.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	audit := func(r *policy.Reader, f query.AuditFilter) []query.AuditEntry {
		t.Helper()
		es, _, err := h.Records.Audit(ctx, r, &f)
		if err != nil {
			t.Fatal(err)
		}
		return es
	}
	_, _, err := h.Records.Audit(ctx, sup, &query.AuditFilter{})
	deny("a supervisor reads the ledger", err, record.Denied)
	weak := *auditor
	weak.Scopes = []string{"read"}
	_, _, err = h.Records.Audit(ctx, &weak, &query.AuditFilter{})
	deny("a token without the scope", err, record.Denied)
	if es := audit(auditor, query.AuditFilter{}); len(es) != 1 || es[0].Type != "change" || es[0].What != "note.create" {
		t.Errorf("own agency: %+v", es)
	}
	if es := audit(auditor, query.AuditFilter{Record: rec.ID}); len(es) != 2 || es[0].Actor != "do.911/x" || es[0].Purpose != "why not" {
		t.Errorf("own record, everybody: %+v", es)
	}
	if es := audit(foreign, query.AuditFilter{Record: rec.ID}); len(es) != 1 || es[0].Type != "look" {
		t.Errorf("another agency's record: %+v", es)
	}
	if es := audit(auditor, query.AuditFilter{Person: "do.911/x"}); len(es) != 0 {
		t.Errorf("another agency's person: %+v", es)
	}
	looks := func(r *policy.Reader) (int, error) {
		es, _, err := h.Records.Looks(ctx, r, "note", rec.ID, "")
		return len(es), err
	}
	if n, err := looks(auditor); n != 1 || err != nil {
		t.Error(n, err)
	}
	if n, err := looks(sup); n < 1 || err != nil {
		t.Error(n, err)
	}
	_, err = looks(h.Reader("ht.cc/op", desk.Operator, "victim"))
	deny("an operator asks who looked", err, record.Denied)
	_, err = looks(h.Reader("ht.cc/sup2", desk.Supervisor))
	deny("a supervisor who may not see the record", err, record.NotFound)
	_, err = looks(foreign)
	deny("another agency's auditor, who may not see the record", err, record.NotFound)

	_, vkey := Signer("node")
	p, err := h.Records.Proof(ctx, auditor, 0, h.Intake.Checkpoint(), vkey)
	if err != nil || p.Entry.Content != nil {
		t.Errorf("an auditor without clearance gets the content: %v", err)
	}
	both := h.Reader("ht.cc/both", desk.Auditor, "victim")
	both.Roles["test"] = []desk.Role{desk.Auditor, desk.Viewer}
	before := len(entries(h, "look"))
	p, err = h.Records.Proof(ctx, both, 0, h.Intake.Checkpoint(), vkey)
	if err != nil || p.Entry.Content == nil {
		t.Errorf("an auditor with clearance: %v", err)
	}
	if len(entries(h, "look")) != before+1 {
		t.Error("a proof with content is no look")
	}
	_, err = h.Records.Proof(ctx, foreign, 0, h.Intake.Checkpoint(), vkey)
	deny("another agency's entry", err, record.NotFound)
	_, err = h.Records.Proof(ctx, sup, 0, h.Intake.Checkpoint(), vkey)
	deny("a supervisor takes a proof", err, record.Denied)
	_, err = h.Records.Proof(ctx, auditor, 999, h.Intake.Checkpoint(), vkey)
	deny("no such entry", err, record.NotFound)
}

func TestAuditPagesNewestFirstToTheEnd(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	for i := range 7 {
		h.Create(op, "note", Draft(Note{Title: fmt.Sprint(i)}))
	}
	var seqs []int64
	for cursor := ""; ; {
		es, next, err := h.Records.Audit(ctx, h.Reader("ht.cc/aud", desk.Auditor), &query.AuditFilter{Limit: 3, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			seqs = append(seqs, e.Seq)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if !slices.Equal(seqs, []int64{6, 5, 4, 3, 2, 1, 0}) {
		t.Error(seqs)
	}
}

func TestPreviewOfAMarkingNamesWhoGainsAndWhoLoses(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	d := Draft(Note{Title: "x"})
	d.Marking = record.Marking{TLP: record.Amber, To: []string{"do.911"}}
	rec := h.Create(op, "note", d)
	a, err := h.Records.Audience(ctx, op, "note", rec.ID, &record.Marking{TLP: record.Amber, To: []string{"int.aid"}})
	if err != nil || !slices.Equal(a.Gained, []string{"int.aid"}) || !slices.Equal(a.Lost, []string{"do.911"}) {
		t.Errorf("%+v %v", a, err)
	}
}

func TestRightsAreCompiledByManyAtOnce(t *testing.T) {
	h := New(t)
	op := h.Reader("ht.cc/a", desk.Operator)
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 60 {
				if _, err := h.Records.Count(ctx, op, "note", &query.Filter{}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for i := range 60 {
		d := Draft(Note{Title: "x"})
		d.Marking = record.Marking{TLP: record.Red, Persons: []string{fmt.Sprintf("ht.cc/p%d", i)}}
		h.Create(op, "note", d)
	}
	for range 4 {
		<-done
	}
}
