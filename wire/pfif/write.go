package pfif

import (
	"strings"
	"unicode/utf8"

	"konbit/record"
)

const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Append appends a document as PFIF 1.4 XML (§5): the persons with their notes,
// then the notes beside. Empty fields are left out, but for those that PFIF
// demands (§4). Extra is not written, nor are the blanks around a value, and a
// character that XML cannot hold becomes U+FFFD. A value that does not follow its
// format is an error with a path as "persons[0].age"; then b is returned as it was.
//
// Only 1.4, the version in force since 2012, is written.
func Append(b []byte, d *Document) ([]byte, error) {
	var faults record.Fields
	for i := range d.Persons {
		checkPerson(&faults, record.Index("persons", i), &d.Persons[i])
	}
	for i := range d.Notes {
		checkNote(&faults, record.Index("notes", i), &d.Notes[i], "")
	}
	if err := faults.Err("pfif.write"); err != nil {
		return b, err
	}
	b = append(b, declaration...)
	b = append(b, `<pfif:pfif xmlns:pfif="`+pfifSpace+Version+"\">\n"...)
	for i := range d.Persons {
		b = appendPerson(b, "  ", &d.Persons[i])
	}
	for i := range d.Notes {
		b = appendNote(b, "  ", &d.Notes[i], "")
	}
	return append(b, "</pfif:pfif>\n"...), nil
}

func checkPerson(faults *record.Fields, path string, p *Person) {
	check(faults, path, p.slots())
	for i := range p.Notes {
		checkNote(faults, path+"."+record.Index("notes", i), &p.Notes[i], p.PersonRecordID)
	}
}

// checkNote checks a note that stands in a person, or beside when person is "".
func checkNote(faults *record.Fields, path string, n *Note, person string) {
	within := *n
	if within.PersonRecordID == "" {
		within.PersonRecordID = person
	}
	check(faults, path, within.slots())
	if person != "" && within.PersonRecordID != person {
		faults.Add(path+".person_record_id", "contradicts", "the note stands in another person than it names")
	}
}

func check(faults *record.Fields, path string, slots []slot) {
	for _, s := range slots {
		v := s.value()
		ok := true
		switch {
		case v == "":
			if strings.HasSuffix(s.name, "_record_id") && s.must {
				faults.Add(path+"."+s.name, "required", "it is missing")
			}
		case s.date != nil:
			ok = goodYear(s.date.UTC())
		case s.list != nil:
			for _, l := range *s.list {
				ok = ok && !strings.ContainsAny(l, "\r\n") && strings.TrimSpace(l) != ""
			}
		case s.canon != nil:
			c, good := s.canon(v)
			ok = good && c == v
		}
		if !ok {
			faults.Add(path+"."+s.name, "format", s.wants())
		}
	}
}

func appendPerson(b []byte, indent string, p *Person) []byte {
	b = append(b, indent+"<pfif:person>\n"...)
	b = appendSlots(b, indent+"  ", p.slots())
	for i := range p.Notes {
		b = appendNote(b, indent+"  ", &p.Notes[i], p.PersonRecordID)
	}
	return append(b, indent+"</pfif:person>\n"...)
}

func appendNote(b []byte, indent string, n *Note, person string) []byte {
	within := *n
	if within.PersonRecordID == "" {
		within.PersonRecordID = person
	}
	b = append(b, indent+"<pfif:note>\n"...)
	b = appendSlots(b, indent+"  ", within.slots())
	return append(b, indent+"</pfif:note>\n"...)
}

func appendSlots(b []byte, indent string, slots []slot) []byte {
	for _, s := range slots {
		if v := s.value(); v != "" || s.must {
			b = appendElement(b, indent, "pfif:"+s.name, v)
		}
	}
	return b
}

func appendElement(b []byte, indent, name, v string) []byte {
	b = append(b, indent+"<"+name+">"...)
	b = appendText(b, v)
	return append(b, "</"+name+">\n"...)
}

// appendText escapes text for elements and attributes.
func appendText(b []byte, v string) []byte {
	for _, r := range v {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&quot;"...)
		case r == '\r': // a reader makes a line feed of a bare one
			b = append(b, "&#13;"...)
		case !xmlChar(r):
			b = utf8.AppendRune(b, utf8.RuneError)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// xmlChar is Char of XML 1.0 §2.2.
func xmlChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
}
