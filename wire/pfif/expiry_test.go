package pfif

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const home, away = "home.example.org", "away.example.com"

var (
	t0  = date("2026-01-01T00:00:00Z")
	day = 24 * time.Hour
)

// full is a record of the home repository with something in it.
func full() Person {
	return Person{
		PersonRecordID: home + "/1", SourceDate: t0, EntryDate: t0.Add(time.Hour), FullName: "Fictional Person", PhotoURL: "https://example.org/1",
		Notes: []Note{{NoteRecordID: home + "/n", PersonRecordID: home + "/1", SourceDate: t0, Text: "T"}},
	}
}

func expiring(at time.Time) Person {
	p := full()
	p.ExpiryDate = at
	return p
}

func TestExpiryOfARecord(t *testing.T) {
	entry := full()
	entry.SourceDate = time.Time{}
	for _, c := range []struct {
		name string
		p    Person
		want time.Time
	}{
		{"its own date", expiring(t0.Add(day)), t0.Add(day)},
		{"40 days without one", full(), t0.Add(40 * day)},
		{"from its storing where the source gave no date", entry, t0.Add(40*day + time.Hour)},
		{"never, without any date", Person{PersonRecordID: home + "/1"}, time.Time{}},
	} {
		want(t, c.name, Expires(c.p), c.want)
		if c.want.IsZero() {
			if Expired(c.p, t0.Add(1000*day)) {
				t.Errorf("%s: expired", c.name)
			}
			continue
		}
		if Expired(c.p, c.want.Add(-time.Second)) || !Expired(c.p, c.want) {
			t.Errorf("%s: it does not expire at that second", c.name)
		}
	}
}

func TestOriginalIsHiddenThenWipedAndCloneDeletedAtOnce(t *testing.T) {
	end := t0.Add(10 * day)
	p := expiring(end)
	for _, c := range []struct {
		name   string
		p      Person
		domain string
		now    time.Time
		want   Action
	}{
		{"before", p, home, end.Add(-1), Keep},
		{"the original expires", p, home, end, Hide},
		{"its last second", p, home, end.Add(3*day - 1), Hide},
		{"after three days", p, home, end.Add(3 * day), Wipe},
		{"a clone before", p, away, end.Add(-1), Keep},
		{"a clone expires", p, away, end, Delete},
		{"a clone that was forgotten", p, away, end.Add(30 * day), Delete},
		{"a tombstone", Tombstone(p, end), home, end.Add(30 * day), Keep},
		{"a tombstone elsewhere", Tombstone(p, end), away, end.Add(30 * day), Keep},
		{"a withdrawn original", Withdraw(p, t0.Add(day)), home, t0.Add(day), Hide},
		{"a withdrawn original later", Withdraw(p, t0.Add(day)), home, t0.Add(4 * day), Wipe},
	} {
		if got := Due(c.p, c.domain, c.now); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

func TestTombstoneHoldsIdentifierAndDatesOnly(t *testing.T) {
	now := t0.Add(50*day + 300*time.Millisecond)
	at := t0.Add(50 * day)
	want(t, "expired", Tombstone(expiring(t0.Add(45*day)), now),
		Person{PersonRecordID: home + "/1", SourceDate: at, EntryDate: at, ExpiryDate: t0.Add(45 * day)})
	want(t, "expired by default", Tombstone(full(), now),
		Person{PersonRecordID: home + "/1", SourceDate: at, EntryDate: at, ExpiryDate: t0.Add(40 * day)})
	want(t, "withdrawn", Tombstone(expiring(t0.Add(90*day)), now),
		Person{PersonRecordID: home + "/1", SourceDate: at, EntryDate: at, ExpiryDate: at})
	stone := Tombstone(full(), now)
	want(t, "again", Tombstone(stone, now.Add(day)), stone)

	again(t, "tombstone", &Document{Persons: []Person{stone}})
	for name, change := range map[string]func(*Person){
		"a name":     func(p *Person) { p.FullName = "A" },
		"a list":     func(p *Person) { p.ProfileURLs = []string{"a"} },
		"a note":     func(p *Person) { p.Notes = []Note{{}} },
		"an extra":   func(p *Person) { p.Extra = []Extra{{"a", "b"}} },
		"no expiry":  func(p *Person) { p.ExpiryDate = time.Time{} },
		"an unnamed": func(p *Person) { p.PersonRecordID = "" },
	} {
		p := stone
		if change(&p); IsTombstone(p) {
			t.Errorf("%s: it is taken for a tombstone", name)
		}
	}
}

func TestExtensionAndRestorationAreChangesOfTheSource(t *testing.T) {
	end, now := t0.Add(10*day), t0.Add(9*day)
	p, ok := Extend(expiring(end), now)
	if !ok || !p.ExpiryDate.Equal(end.Add(60*day)) || !p.SourceDate.Equal(now) || !p.EntryDate.Equal(now) || !Newer(p, expiring(end)) {
		t.Errorf("extended: %+v", p)
	}
	if _, ok := Extend(expiring(end), end); ok {
		t.Error("an expired record was extended")
	}
	if _, ok := Extend(Person{}, end); ok {
		t.Error("a record without dates was extended")
	}
	if p, ok := Extend(full(), now); !ok || !p.ExpiryDate.Equal(t0.Add(100*day)) {
		t.Errorf("extended after the default: %+v", p)
	}

	hidden, later := expiring(end), end.Add(2*day)
	p, ok = Restore(hidden, later)
	if !ok || !p.ExpiryDate.Equal(later.Add(60*day)) || p.FullName == "" || len(p.Notes) != 1 || Due(p, home, later) != Keep {
		t.Errorf("restored: %+v", p)
	}
	if !Newer(p, Tombstone(hidden, end)) {
		t.Error("the tombstone that went out holds against the restored record")
	}
	for name, c := range map[string]struct {
		p   Person
		now time.Time
	}{
		"not expired": {hidden, end.Add(-1)}, "too late": {hidden, end.Add(3 * day)}, "a tombstone": {Tombstone(hidden, end), later},
	} {
		if _, ok := Restore(c.p, c.now); ok {
			t.Errorf("%s: restored", name)
		}
	}
}

func TestReceiverFollowsTheHomeOfARecord(t *testing.T) {
	now := t0.Add(20 * day)
	held := expiring(t0.Add(90 * day))
	newer := held
	newer.SourceDate, newer.FullName = t0.Add(day), "Fictional Person, Corrected"
	older := held
	older.SourceDate = t0.Add(-day)
	expired := newer
	expired.ExpiryDate = now
	stone := Tombstone(held, t0.Add(2*day))
	oldStone := stone
	oldStone.SourceDate = t0.Add(-day)
	restored, _ := Restore(Withdraw(held, t0.Add(2*day)), t0.Add(3*day))
	for _, c := range []struct {
		name   string
		held   *Person
		got    Person
		domain string
		want   Action
	}{
		{"a new record", nil, held, away, Store},
		{"the same", &held, held, away, Keep},
		{"a newer one", &held, newer, away, Store},
		{"an older one", &held, older, away, Keep},
		{"our own, come back", &held, newer, home, Keep},
		{"our own, lost", nil, newer, home, Keep},
		{"a tombstone of our own", &held, stone, home, Keep},
		{"a tombstone", &held, stone, away, Delete},
		{"a tombstone again", &stone, stone, away, Keep},
		{"a tombstone of what we have not", nil, stone, away, Store},
		{"an older tombstone", &held, oldStone, away, Keep},
		{"a newer tombstone of a tombstone", &oldStone, stone, away, Store},
		{"an old copy behind the tombstone", &stone, newer, away, Keep},
		{"a restored record behind the tombstone", &stone, restored, away, Store},
		{"one that expired on the way", nil, expired, away, Keep},
		{"news that it expired", &held, expired, away, Delete},
		{"an expired one behind an older tombstone", &oldStone, expired, away, Keep},
	} {
		if got := Receive(c.held, c.got, c.domain, now); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

// TestRepositoriesAgreeWhateverTheOrder sends the states of one record in any
// order, some several times: once all have come, a repository holds the last.
func TestRepositoriesAgreeWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, now := expiring(t0.Add(30*day)), t0
		sent := []Person{p}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			now = now.Add(time.Duration(rapid.IntRange(1, 48).Draw(t, "hours")) * time.Hour)
			switch rapid.SampledFrom([]string{"withdraw", "extend", "edit"}).Draw(t, "change") {
			case "withdraw":
				hidden := Withdraw(p, now)
				sent = append(sent, Tombstone(hidden, now))
				now = now.Add(time.Hour)
				p, _ = Restore(hidden, now)
			case "extend":
				p, _ = Extend(p, now)
			case "edit":
				p.Description += "."
				p.SourceDate, p.EntryDate = now, now
			}
			sent = append(sent, p)
		}
		if rapid.Bool().Draw(t, "gone in the end") {
			sent = append(sent, Tombstone(p, now.Add(time.Hour)))
		}
		last := sent[len(sent)-1]
		var held *Person
		for _, got := range append(rapid.Permutation(sent).Draw(t, "order"), rapid.SliceOf(rapid.SampledFrom(sent)).Draw(t, "again")...) {
			switch Receive(held, got, away, now) {
			case Store:
				held = &got
			case Delete:
				if held = nil; IsTombstone(got) {
					held = &got
				}
			case Keep:
			default:
				t.Fatal("no such answer to a record that comes")
			}
		}
		if held == nil || !held.SourceDate.Equal(last.SourceDate) || IsTombstone(*held) != IsTombstone(last) {
			t.Fatalf("held %+v, not %+v", held, last)
		}
	})
}

func TestNewerIsAnOrder(t *testing.T) {
	some := rapid.Custom(func(t *rapid.T) Person {
		p := full()
		p.SourceDate = t0.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "hours")) * time.Hour)
		if rapid.Bool().Draw(t, "ended") {
			return Person{PersonRecordID: p.PersonRecordID, SourceDate: p.SourceDate, EntryDate: p.SourceDate, ExpiryDate: p.SourceDate}
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := some.Draw(t, "a"), some.Draw(t, "b"), some.Draw(t, "c")
		if Newer(a, b) && Newer(b, a) || Newer(a, a) {
			t.Fatal("each is newer than the other")
		}
		if Newer(a, b) && Newer(b, c) && !Newer(a, c) {
			t.Fatal("newer than the newer, but not newer")
		}
	})
}
