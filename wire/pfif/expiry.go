package pfif

import "time"

// The times of PFIF 1.4 §3.3, with the figures that Person Finder put into use.
const (
	DefaultExpiry = 40 * 24 * time.Hour // from source_date, for a record without expiry_date
	Extension     = 60 * 24 * time.Hour // what Extend and Restore give
	RestoreTime   = 3 * 24 * time.Hour  // how long the home repository can take a record back
)

// Expires says when a record ends (§3.3, §4.1 expiry_date): DefaultExpiry after
// its source_date when it does not say, after its entry_date when it has no
// source_date. It is the zero time when the record has no date at all, which a
// stored record always has.
func Expires(p Person) time.Time {
	switch {
	case !p.ExpiryDate.IsZero():
		return p.ExpiryDate
	case !p.SourceDate.IsZero():
		return p.SourceDate.Add(DefaultExpiry)
	case !p.EntryDate.IsZero():
		return p.EntryDate.Add(DefaultExpiry)
	}
	return time.Time{}
}

// Expired says whether a record has ended: from then on nobody may be shown or sent
// anything of it but its tombstone (§3.3).
func Expired(p Person, now time.Time) bool {
	end := Expires(p)
	return !end.IsZero() && !now.Before(end)
}

// Action is what a repository must do with a record.
type Action string

// The actions.
const (
	Keep   Action = "keep"   // leave what is held as it is
	Store  Action = "store"  // put what has come in place of what is held, with now as its entry_date (§3.2)
	Hide   Action = "hide"   // show and send its Tombstone only; keep the record, it may be restored
	Wipe   Action = "wipe"   // put its Tombstone in its place; destroy the record, its notes and all photographs
	Delete Action = "delete" // destroy the record, its notes and all photographs at once
)

// Due says what the repository with that domain must do with a record it holds
// (§3.3). The original is hidden from the moment it expires, so that outside it is
// gone within the day that the standard allows, and wiped after RestoreTime. A
// clone is deleted at once and without a Tombstone of ours: only the home repository
// dates a record, and ours would keep out what it sent before but arrives later.
func Due(p Person, domain string, now time.Time) Action {
	switch {
	case IsTombstone(p), !Expired(p, now):
		return Keep
	case !Original(p.PersonRecordID, domain):
		return Delete
	case now.Before(Expires(p).Add(RestoreTime)):
		return Hide
	}
	return Wipe
}

// Tombstone is what remains of a record and is sent in its place (§3.3): the
// identifier and the dates. source_date and entry_date are the time it was made, so
// that it is newer than every copy and readers by entry_date meet it;
// expiry_date is when the record ended, now for one that is withdrawn before.
// The home repository makes it once, when the record ends; that of a tombstone is
// itself.
func Tombstone(p Person, now time.Time) Person {
	if IsTombstone(p) {
		return p
	}
	now = seconds(now)
	t := Person{PersonRecordID: p.PersonRecordID, SourceDate: now, EntryDate: now, ExpiryDate: now}
	if Expired(p, now) {
		t.ExpiryDate = Expires(p)
	}
	return t
}

// IsTombstone says whether a record has an expiry_date, and nothing else but its
// identifier and dates.
func IsTombstone(p Person) bool {
	if p.ExpiryDate.IsZero() || p.PersonRecordID == "" || len(p.Notes) > 0 || len(p.Extra) > 0 {
		return false
	}
	for _, s := range p.slots() {
		if s.date == nil && s.name != "person_record_id" && s.value() != "" {
			return false
		}
	}
	return true
}

// Withdraw ends a record at the wish of its author, in its home repository: it
// expires now. A clone is withdrawn where its home is.
func Withdraw(p Person, now time.Time) Person {
	p.ExpiryDate = seconds(now)
	return changed(p, now)
}

// Extend gives a record Extension more, in its home repository. ok is false when it
// has expired, or has no date at all.
func Extend(p Person, now time.Time) (extended Person, ok bool) {
	end := Expires(p)
	if end.IsZero() || Expired(p, now) {
		return p, false
	}
	p.ExpiryDate = end.Add(Extension)
	return changed(p, now), true
}

// Restore brings a hidden record back in its home repository, for Extension from
// now. ok is false when the record has not expired, or RestoreTime is over.
func Restore(p Person, now time.Time) (restored Person, ok bool) {
	if IsTombstone(p) || !Expired(p, now) || !now.Before(Expires(p).Add(RestoreTime)) {
		return p, false
	}
	p.ExpiryDate = seconds(now).Add(Extension)
	return changed(p, now), true
}

// changed dates a change in the home repository (§3.2): clones follow source_date,
// readers by entry_date meet it.
func changed(p Person, now time.Time) Person {
	p.SourceDate, p.EntryDate = seconds(now), seconds(now)
	return p
}

// seconds is a time as PFIF can write it.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Newer says whether a takes the place of b, two copies of one record (§3.2): it
// has the later source_date. Of two with the same, a tombstone holds, so that all
// repositories end with the same copy.
func Newer(a, b Person) bool {
	if !a.SourceDate.Equal(b.SourceDate) {
		return a.SourceDate.After(b.SourceDate)
	}
	return IsTombstone(a) && !IsTombstone(b)
}

// Receive says what the repository with that domain must do with a record that
// comes from another one; held is its own copy, nil when it has none.
//
//   - Keep: got changes nothing. It is not newer; or it is a copy of a record whose
//     home is here, where nobody outside has a say; or it expired on the way.
//   - Store: got is new or newer (§3.2). A tombstone of a record that is not held is
//     stored too: it holds nothing personal, and keeps out an older copy that
//     comes later from a third repository.
//   - Delete: what is held goes, with its notes and photographs (§3.3). When got is a
//     tombstone it is kept in their place as it came, as with Store.
func Receive(held *Person, got Person, domain string, now time.Time) Action {
	tombstone := IsTombstone(got)
	switch {
	case Original(got.PersonRecordID, domain):
		return Keep
	case held != nil && !Newer(got, *held):
		return Keep
	case tombstone && (held == nil || IsTombstone(*held)):
		return Store
	case !tombstone && !Expired(got, now):
		return Store
	case held == nil || IsTombstone(*held):
		return Keep
	}
	return Delete
}
