package pfif

import (
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// small limits let a fuzzer reach them.
var small = Limits{Size: 1 << 16, Records: 50, Record: 2000, Field: 500}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"mixed-1.4.xml", "old-1.1.xml", "persons.atom", "notes.atom"} {
		f.Add(read(f, name))
	}
	f.Add(doc(person("<sex>M</sex><a/>x") + "<note/>"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := Parse(in, Options{Limits: small})
		if d == nil {
			if err == nil {
				t.Fatal("neither a document nor an error")
			}
			return
		}
		again(t, "fuzzed", d)
		persons, notes := 0, 0
		for r := NewReader(strings.NewReader(string(in)), Options{Limits: small}); ; {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if rec.Person != nil {
				persons++
			}
			if rec.Note != nil {
				notes++
			}
		}
		if persons != len(d.Persons) || notes != len(d.Notes) {
			t.Fatal("the reader gives other records")
		}
	})
}

func FuzzParseCSV(f *testing.F) {
	f.Add(read(f, "table.csv"))
	f.Add([]byte("person_record_id,full_name\n1,a\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := ParseCSV(in, Options{Domain: "example.org", Limits: small})
		if d == nil {
			if err == nil {
				t.Fatal("neither a document nor an error")
			}
			return
		}
		if len(d.Persons)+len(d.Notes) > small.Records {
			t.Fatal("more records than the limit")
		}
	})
}

// document generates what a node may hold: any text without blanks around it,
// values in the form of the standard.
func document(t *rapid.T) *Document {
	letters := rapid.SampledFrom([]rune("aZ09é漢😀 <>&\"']-:\t\n\r\u2028/"))
	text := rapid.Map(rapid.OneOf(rapid.Just(""), rapid.StringOf(letters), rapid.StringOf(rapid.RuneFrom(nil, unicode.L, unicode.N, unicode.P, unicode.S, unicode.Zs))), strings.TrimSpace)
	line := rapid.Map(text, func(s string) string {
		return "a" + strings.NewReplacer("\n", "", "\r", "").Replace(s)
	})
	id := rapid.StringMatching(`[a-z]{1,9}(\.[a-z]{2,5}){0,2}/[a-z0-9.é -]{0,8}[a-z0-9]`)
	list := rapid.OneOf(rapid.Just([]string(nil)), rapid.SliceOfN(line, 1, 3))
	when := rapid.OneOf(rapid.Just(time.Time{}), rapid.Map(rapid.Int64Range(-2e9, 2e11), func(s int64) time.Time { return time.Unix(s, 0).UTC() }))
	contact := rapid.SampledFrom([]*bool{nil, yes(true), yes(false)})
	note := func(person string) *rapid.Generator[Note] {
		return rapid.Custom(func(t *rapid.T) Note {
			n := Note{
				NoteRecordID: id.Draw(t, "id"), PersonRecordID: person, EntryDate: when.Draw(t, "entry"), SourceDate: when.Draw(t, "source"),
				AuthorName: text.Draw(t, "author"), AuthorEmail: text.Draw(t, "email"), AuthorPhone: text.Draw(t, "phone"),
				AuthorMadeContact:  contact.Draw(t, "contact"),
				Status:             rapid.SampledFrom([]Status{"", InformationSought, IsNoteAuthor, BelievedAlive, BelievedMissing, BelievedDead}).Draw(t, "status"),
				EmailOfFoundPerson: text.Draw(t, "email"), PhoneOfFoundPerson: text.Draw(t, "phone"),
				LastKnownLocation: text.Draw(t, "location"), Text: text.Draw(t, "text"), PhotoURL: text.Draw(t, "photo"),
			}
			if person == "" {
				n.PersonRecordID = id.Draw(t, "person")
			}
			if rapid.Bool().Draw(t, "link") {
				n.LinkedPersonRecordID = id.Draw(t, "linked")
			}
			return n
		})
	}
	person := rapid.Custom(func(t *rapid.T) Person {
		p := Person{
			PersonRecordID: id.Draw(t, "id"), EntryDate: when.Draw(t, "entry"), ExpiryDate: when.Draw(t, "expiry"), SourceDate: when.Draw(t, "source"),
			AuthorName: text.Draw(t, "author"), AuthorEmail: text.Draw(t, "email"), AuthorPhone: text.Draw(t, "phone"),
			SourceName: text.Draw(t, "source"), SourceURL: text.Draw(t, "url"),
			FullName: line.Draw(t, "full"), GivenName: text.Draw(t, "given"), FamilyName: text.Draw(t, "family"),
			AlternateNames: list.Draw(t, "alternate"), Description: text.Draw(t, "description"),
			Sex:         rapid.SampledFrom([]Sex{"", Female, Male, OtherSex}).Draw(t, "sex"),
			DateOfBirth: rapid.SampledFrom([]string{"", "1990", "1990-12", "1990-12-31"}).Draw(t, "birth"),
			Age:         rapid.SampledFrom([]string{"", "0", "35", "35-45"}).Draw(t, "age"),
			HomeStreet:  text.Draw(t, "street"), HomeNeighborhood: text.Draw(t, "quarter"), HomeCity: text.Draw(t, "city"),
			HomeState: text.Draw(t, "state"), HomePostalCode: text.Draw(t, "postal"),
			HomeCountry: rapid.SampledFrom([]string{"", "HT", "DO"}).Draw(t, "country"),
			PhotoURL:    text.Draw(t, "photo"), ProfileURLs: list.Draw(t, "profiles"),
		}
		if notes := rapid.SliceOfN(note(p.PersonRecordID), 0, 2).Draw(t, "notes"); len(notes) > 0 {
			p.Notes = notes
		}
		for i := range p.AlternateNames {
			p.AlternateNames[i] = strings.TrimSpace(p.AlternateNames[i])
		}
		p.FullName = strings.TrimSpace(p.FullName)
		if rapid.IntRange(0, 4).Draw(t, "ended") == 0 {
			p = Tombstone(p, date("2026-01-01T00:00:00Z"))
		}
		return p
	})
	return &Document{Persons: rapid.SliceOfN(person, 0, 3).Draw(t, "persons"), Notes: rapid.SliceOfN(note(""), 0, 3).Draw(t, "notes")}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := document(t)
		b, err := Append(nil, d)
		if err != nil {
			t.Fatal(err)
		}
		same := func(what string, b []byte, want Document) {
			got, err := Parse(b, Options{})
			if err != nil {
				t.Fatalf("%s: %v\n%s", what, err, b)
			}
			w := written(got)
			if diff := cmp.Diff(len(want.Persons), len(w.Persons)); diff != "" {
				t.Fatalf("%s: persons %s", what, diff)
			}
			for i := range want.Persons {
				if diff := cmp.Diff(want.Persons[i], w.Persons[i]); diff != "" {
					t.Fatalf("%s (-before +after):\n%s", what, diff)
				}
			}
			if diff := cmp.Diff(append([]Note{}, want.Notes...), append([]Note{}, w.Notes...)); diff != "" {
				t.Fatalf("%s (-before +after):\n%s", what, diff)
			}
		}
		same("document", b, *d)
		f := Feed{ID: "https://example.org/feed", Self: "https://example.org/feed", Title: "T", Updated: t0}
		if b, err = AppendPersonFeed(nil, f, d.Persons); err != nil {
			t.Fatal(err)
		}
		same("person feed", b, Document{Persons: d.Persons})
		if b, err = AppendNoteFeed(nil, f, d.Notes); err != nil {
			t.Fatal(err)
		}
		same("note feed", b, Document{Notes: d.Notes})
	})
}
