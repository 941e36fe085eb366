package pfif

import (
	"strings"
	"time"

	"konbit/record"
)

// Feed says what an Atom feed is.
type Feed struct {
	ID       string // its permanent IRI
	Self     string // the URL it is fetched from
	Title    string
	Subtitle string    // may be empty
	Updated  time.Time // the last change of anything in it
}

// AppendPersonFeed appends persons, each with its notes, as an Atom feed
// (PFIF 1.4 §6.1, RFC 4287). A reader who follows it asks by entry_date, so they
// should stand in the order of entry_date (§3.1). Values are checked as by Append.
func AppendPersonFeed(b []byte, f Feed, persons []Person) ([]byte, error) {
	faults := f.check()
	for i := range persons {
		checkPerson(&faults, record.Index("persons", i), &persons[i])
	}
	if err := faults.Err("pfif.write"); err != nil {
		return b, err
	}
	b = f.appendTo(b)
	for i := range persons {
		p := &persons[i]
		title := firstLine(p.FullName)
		b = append(b, "  <entry>\n"...)
		b = appendPerson(b, "    ", p)
		b = entry{
			id: p.PersonRecordID, title: title, content: title, name: p.AuthorName, email: p.AuthorEmail,
			updated: firstOf(p.SourceDate, p.EntryDate, f.Updated), feed: f.Title,
		}.appendTo(b)
	}
	return append(b, "</feed>\n"...), nil
}

// AppendNoteFeed appends notes as an Atom feed (PFIF 1.4 §6.2). It is otherwise as
// AppendPersonFeed.
func AppendNoteFeed(b []byte, f Feed, notes []Note) ([]byte, error) {
	faults := f.check()
	for i := range notes {
		checkNote(&faults, record.Index("notes", i), &notes[i], "")
	}
	if err := faults.Err("pfif.write"); err != nil {
		return b, err
	}
	b = f.appendTo(b)
	for i := range notes {
		n := &notes[i]
		b = append(b, "  <entry>\n"...)
		b = appendNote(b, "    ", n, "")
		b = entry{
			id: n.NoteRecordID, title: firstLine(n.Text), content: n.Text, name: n.AuthorName, email: n.AuthorEmail,
			updated: firstOf(n.SourceDate, n.EntryDate, f.Updated), feed: f.Title,
		}.appendTo(b)
	}
	return append(b, "</feed>\n"...), nil
}

// check looks for what RFC 4287 §4.1.1 demands of a feed.
func (f Feed) check() record.Fields {
	var faults record.Fields
	for _, m := range []struct{ path, value string }{{"id", f.ID}, {"self", f.Self}, {"title", f.Title}} {
		if strings.TrimSpace(m.value) == "" {
			faults.Add("feed."+m.path, "required", "it is missing")
		}
	}
	if !goodYear(f.Updated.UTC()) {
		faults.Add("feed.updated", "required", "it is missing")
	}
	return faults
}

func (f Feed) appendTo(b []byte) []byte {
	b = append(b, declaration...)
	b = append(b, `<feed xmlns="`+atomSpace+`" xmlns:pfif="`+pfifSpace+Version+"\">\n"...)
	b = appendElement(b, "  ", "id", f.ID)
	b = appendElement(b, "  ", "title", f.Title)
	if f.Subtitle != "" {
		b = appendElement(b, "  ", "subtitle", f.Subtitle)
	}
	b = appendElement(b, "  ", "updated", f.Updated.UTC().Format(dateForm))
	b = append(b, `  <link rel="self" href="`...)
	b = appendText(b, f.Self)
	return append(b, "\"/>\n"...)
}

// An entry is what Atom asks of one besides the record.
type entry struct {
	id, title, content, name, email, feed string
	updated                               time.Time
}

func (e entry) appendTo(b []byte) []byte {
	const indent = "    "
	if e.name == "" { // RFC 4287 §3.2.1 demands one
		e.name = Domain(e.id)
	}
	b = appendElement(b, indent, "id", "pfif:"+e.id)
	b = appendElement(b, indent, "title", e.title)
	b = append(b, indent+"<author>\n"...)
	b = appendElement(b, indent+"  ", "name", e.name)
	if e.email != "" {
		b = appendElement(b, indent+"  ", "email", e.email)
	}
	b = append(b, indent+"</author>\n"...)
	b = appendElement(b, indent, "updated", e.updated.UTC().Format(dateForm))
	b = append(b, indent+"<source>\n"...)
	b = appendElement(b, indent+"  ", "title", e.feed)
	b = append(b, indent+"</source>\n"...)
	b = appendElement(b, indent, "content", e.content)
	return append(b, "  </entry>\n"...)
}

// firstLine is the beginning of a text, up to 140 characters.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	n := 0
	for i := range s {
		if n++; n > 140 {
			return s[:i]
		}
	}
	return s
}

func firstOf(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
