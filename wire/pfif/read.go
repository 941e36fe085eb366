package pfif

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"konbit/record"
)

// Limits bound what one document can cost. A zero member takes its default. What
// Parse returns takes up to six times the size of a document made to that end; a
// Reader holds one record.
type Limits struct {
	Size    int64 // bytes of the document, default 64 MiB
	Records int   // persons and notes, those within persons counted, default 100,000
	Record  int   // bytes of the values of one person with his notes, default 4 MiB
	Field   int   // bytes of one value, default 256 KiB
}

func (l Limits) withDefaults() Limits {
	if l.Size <= 0 {
		l.Size = 64 << 20
	}
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&l.Records, 100_000)
	or(&l.Record, 4<<20)
	or(&l.Field, 256<<10)
	return l
}

const (
	maxExtra = 100  // values of one record that have no place
	maxTold  = 1000 // faults that one Document or one error lists
)

// Options say how a document is read.
type Options struct {
	// Domain, when it is set, is the home repository of the source: records of
	// another home are refused. Whoever takes records from the one that wrote them
	// sets it; whoever reads an aggregator cannot.
	Domain string
	Limits Limits
}

// Record is what Reader.Next returns: a person with the notes that stand within,
// or a note that stands beside. Both are nil when the record was refused.
type Record struct {
	Person *Person
	Note   *Note
	Path   string // its element: "/pfif/person[2]"; numbers begin with 1
	Line   int    // of the document, where it begins

	// Refused says why the record, or a note within the person, was not taken.
	Refused record.Fields
	// Warnings are fields that could not be read (their values are in Extra) or
	// are missing though PFIF demands them. The record was taken.
	Warnings record.Fields
}

// Document is a PFIF document, a feed or a table, read as a whole.
type Document struct {
	Version  string        `json:"version"` // as it was read: "1.1" to "1.4"; what the records hold are the fields of 1.4
	Persons  []Person      `json:"persons,omitempty"`
	Notes    []Note        `json:"notes,omitempty"`    // those that stand beside the persons
	Warnings record.Fields `json:"warnings,omitempty"` // as in Record; the first 1,000
}

// Parse reads a PFIF document or an Atom or RSS feed of PFIF records. Records that
// cannot be relied on are left out: the error then has the code Invalid and a
// field for each fault, with the path of the element, and the document holds the
// good ones. When the document cannot be read to its end it is nil; NewReader
// gives what comes before the fault.
//
// Two records with the same identifier are both returned: Newer says which holds.
func Parse(data []byte, o Options) (*Document, error) {
	r := NewReader(bytes.NewReader(data), o)
	d := &Document{}
	var c count
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		d.add(rec, &c)
	}
	d.Version = r.Version()
	return d, c.err("pfif.parse")
}

// count collects what was refused.
type count struct {
	taken, refused int
	fields         record.Fields
}

func (d *Document) add(rec Record, c *count) {
	if rec.Person != nil {
		d.Persons = append(d.Persons, *rec.Person)
		c.taken += 1 + len(rec.Person.Notes)
	}
	if rec.Note != nil {
		d.Notes = append(d.Notes, *rec.Note)
		c.taken++
	}
	c.refused += len(rec.Refused)
	c.fields = upTo(c.fields, rec.Refused, maxTold)
	d.Warnings = upTo(d.Warnings, rec.Warnings, maxTold)
}

func upTo(list, more record.Fields, n int) record.Fields {
	return append(list, more[:min(len(more), n-len(list))]...)
}

func (c *count) err(op string) error {
	if c.refused == 0 {
		return nil
	}
	e := record.Errorf(record.Invalid, op, "%d faults: the records concerned were left out, %d were taken", c.refused, c.taken)
	e.Hint = "the source must mend these records and send them again"
	e.Fields = c.fields
	return e
}

// Reader reads a document record by record, so that it may be larger than memory.
type Reader struct {
	dec     *xml.Decoder
	in      *meter
	o       Options
	version string
	stack   []element
	began   bool
	records int
	err     error
}

// NewReader reads from in, which it does not close.
func NewReader(in io.Reader, o Options) *Reader {
	o.Limits = o.Limits.withDefaults()
	o.Domain = strings.ToLower(o.Domain)
	m := &meter{in: in, left: o.Limits.Size}
	dec := xml.NewDecoder(m)
	dec.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "us-ascii") {
			return in, nil
		}
		return nil, fmt.Errorf("the encoding %q is not taken; PFIF is UTF-8", charset)
	}
	return &Reader{dec: dec, in: m, o: o}
}

// Version is that of the first PFIF element met: "1.1" to "1.4".
func (r *Reader) Version() string { return r.version }

// Next returns the next record, io.EOF after the last. Any other error ends the
// document: it is not PFIF, it is cut off, or it is over a limit.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.next()
	r.err = err
	return rec, err
}

func (r *Reader) next() (Record, error) {
	for {
		tok, err := r.token()
		if err != nil {
			return Record{}, err
		}
		switch tok := tok.(type) {
		case nil: // the end
			if !r.began {
				return Record{}, r.bad("there is no document: it is empty")
			}
			return Record{}, io.EOF
		case xml.CharData:
			if len(r.stack) == 0 && strings.Trim(string(tok), " \t\r\n\ufeff") != "" {
				return Record{}, r.bad("there is text outside the document")
			}
		case xml.EndElement:
			r.pop()
		case xml.StartElement:
			if len(r.stack) == 0 && r.began {
				return Record{}, r.bad("there is a second document behind the first")
			}
			ours, err := r.ours(tok.Name)
			if err != nil {
				return Record{}, err
			}
			if !r.began && !root(tok.Name, ours) {
				return Record{}, r.bad("<%s> does not begin a PFIF document: <pfif>, <feed> or <rss> is needed, with the namespace of PFIF", shown(tok.Name.Local))
			}
			r.began = true
			if err := r.push(tok.Name.Local); err != nil {
				return Record{}, err
			}
			switch {
			case ours && tok.Name.Local == "person":
				return r.person()
			case ours && tok.Name.Local == "note":
				return r.note()
			case ours && tok.Name.Local != "pfif":
				rec := Record{Path: r.path(), Line: r.line()}
				rec.Warnings.Add(rec.Path, "unknown", fmt.Sprintf("line %d: PFIF has no such element here; it was left out", rec.Line))
				return rec, r.skip()
			}
		}
	}
}

// root says whether a document of PFIF records may begin with an element: PFIF
// itself (§5) or one bare record, an Atom feed or entry (§6), an RSS feed (§7).
func root(n xml.Name, ours bool) bool {
	switch n.Local {
	case "pfif", "person", "note":
		return ours
	case "feed", "entry":
		return n.Space == atomSpace
	case "rss":
		return n.Space == ""
	}
	return false
}

const (
	pfifSpace = "http://zesty.ca/pfif/"
	atomSpace = "http://www.w3.org/2005/Atom"
)

// ours says whether a name is one of PFIF 1.1 to 1.4, and remembers which.
func (r *Reader) ours(n xml.Name) (bool, error) {
	v, ok := strings.CutPrefix(n.Space, pfifSpace)
	if !ok {
		return false, nil
	}
	switch v {
	case "1.1", "1.2", "1.3", "1.4":
	default:
		return false, r.bad("PFIF %s is not known; 1.1 to 1.4 are taken", shown(v))
	}
	if r.version == "" {
		r.version = v
	}
	return true, nil
}

// person reads a person whose start is read.
func (r *Reader) person() (Record, error) {
	p := &Person{}
	h := r.head(p.slots(), &p.Extra)
	if err := r.fields(h, p); err != nil {
		return Record{}, err
	}
	if p.FullName == "" { // 1.1 and 1.2 have none, and 1.4 demands it
		p.FullName = strings.TrimSpace(p.GivenName + " " + p.FamilyName)
		if h.version > "1.2" && !IsTombstone(*p) {
			h.missing("full_name")
		}
	}
	if p.SourceDate.IsZero() && len(h.refused) == 0 {
		h.missing("source_date")
	}
	rec := Record{Path: h.path, Line: h.line}
	h.mustHave("person_record_id", p.PersonRecordID, r.o.Domain)
	if len(h.refused) == 0 {
		kept := p.Notes[:0]
		for i, n := range p.Notes {
			nh := h.notes[i]
			if n.PersonRecordID == "" {
				n.PersonRecordID = p.PersonRecordID
			}
			if n.PersonRecordID != p.PersonRecordID {
				nh.refuse("person_record_id", "contradicts", nh.line, "the note stands in another person than it names")
			}
			nh.checkNote(&n, r.o.Domain)
			if len(nh.refused) == 0 {
				kept = append(kept, n)
			}
			rec.Refused = upTo(rec.Refused, nh.refused, maxTold)
			rec.Warnings = upTo(rec.Warnings, nh.warnings, maxTold)
		}
		if p.Notes = kept; len(kept) == 0 {
			p.Notes = nil
		}
		rec.Person = p
	}
	rec.Refused = append(h.refused, rec.Refused...)
	rec.Warnings = append(h.warnings, rec.Warnings...)
	return rec, nil
}

// note reads a note whose start is read, beside the persons.
func (r *Reader) note() (Record, error) {
	n := &Note{}
	h := r.head(n.slots(), &n.Extra)
	if err := r.fields(h, nil); err != nil {
		return Record{}, err
	}
	h.checkNote(n, r.o.Domain)
	rec := Record{Path: h.path, Line: h.line, Refused: h.refused, Warnings: h.warnings}
	if len(h.refused) == 0 {
		rec.Note = n
	}
	return rec, nil
}

// A head is a record that is being read.
type head struct {
	path     string
	line     int
	version  string
	slots    []slot
	extra    *[]Extra
	given    uint64 // by slot
	size     int
	refused  record.Fields
	warnings record.Fields
	notes    []*head
}

func (r *Reader) head(slots []slot, extra *[]Extra) *head {
	return &head{path: r.path(), line: r.line(), version: r.version, slots: slots, extra: extra}
}

// refuse says why the record is not taken; name is "" for the record itself.
func (h *head) refuse(name, code string, line int, message string) {
	h.tell(&h.refused, name, code, line, message)
}

func (h *head) warn(name, code string, line int, message string) {
	h.tell(&h.warnings, name, code, line, message)
}

func (h *head) tell(list *record.Fields, name, code string, line int, message string) {
	path := h.path
	if name != "" {
		path += "/" + name
	}
	if len(*list) < maxExtra {
		list.Add(path, code, fmt.Sprintf("line %d: %s", line, message))
	}
}

func (h *head) missing(name string) {
	h.warn(name, "required", h.line, "it is missing, and PFIF demands it")
}

// mustHave checks the identifier of the record itself. A malformed one was refused
// when it was read.
func (h *head) mustHave(name, id, domain string) {
	switch {
	case len(h.refused) > 0:
	case id == "":
		h.refuse(name, "required", h.line, "it is missing")
	case domain != "" && Domain(id) != domain:
		h.refuse(name, "domain", h.line, "the source may send records of "+domain+" only")
	}
}

func (h *head) checkNote(n *Note, domain string) {
	h.mustHave("note_record_id", n.NoteRecordID, domain)
	if n.PersonRecordID == "" && len(h.refused) == 0 {
		h.refuse("person_record_id", "required", h.line, "it is missing, and the note stands in no person")
	}
	if len(h.refused) > 0 {
		return
	}
	if n.SourceDate.IsZero() {
		h.missing("source_date")
	}
	if n.AuthorName == "" {
		h.missing("author_name")
	}
	if n.Text == "" {
		h.missing("text")
	}
}

// fields reads up to the end of a record. p is nil in a note.
func (r *Reader) fields(h *head, p *Person) error {
	if r.records++; r.records > r.o.Limits.Records {
		return r.tooLarge("it has more than %d records", r.o.Limits.Records)
	}
	for {
		tok, err := r.token()
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case nil:
			return r.cut()
		case xml.EndElement:
			r.pop()
			return nil
		case xml.CharData:
			if s := strings.TrimSpace(string(tok)); s != "" {
				r.keep(h, "", s)
				h.warn("", "markup", r.line(), "there is text between the fields; it was put beside")
			}
		case xml.StartElement:
			ours, err := r.ours(tok.Name)
			if err != nil {
				return err
			}
			if err := r.push(tok.Name.Local); err != nil {
				return err
			}
			if ours && p != nil && tok.Name.Local == "note" {
				n := Note{}
				nh := r.head(n.slots(), &n.Extra)
				if err := r.fields(nh, nil); err != nil {
					return err
				}
				nh.slots = nil
				if h.size += nh.size; len(h.refused) > 0 || h.size > r.o.Limits.Record {
					r.full(h)
					continue // the person is refused, and its notes with it
				}
				p.Notes = append(p.Notes, n)
				h.notes = append(h.notes, nh)
				continue
			}
			line := r.line()
			v, markup, err := r.text()
			if err != nil {
				return err
			}
			r.field(h, tok.Name, ours, line, v, markup)
		}
	}
}

// full refuses a record that is over a limit and lets go of what it held.
func (r *Reader) full(h *head) {
	if len(h.refused) == 0 {
		h.refuse("", "max", h.line, fmt.Sprintf("it is larger than %d bytes", r.o.Limits.Record))
	}
	h.notes, *h.extra = nil, nil
}

// field puts one value where it belongs. An empty element is one that is not there.
func (r *Reader) field(h *head, n xml.Name, ours bool, line int, v string, markup bool) {
	if v == "" {
		return
	}
	if h.size += len(v); h.size > r.o.Limits.Record {
		r.full(h)
		return
	}
	name := shown(n.Local)
	if !ours {
		if n.Space != "" {
			name = "{" + shown(n.Space) + "}" + name
		}
		r.keep(h, name, v)
		h.warn(name, "unknown", line, "it is not of PFIF; it was put beside")
		return
	}
	if len(v) > r.o.Limits.Field {
		h.refuse(name, "max", line, fmt.Sprintf("it is longer than %d bytes", r.o.Limits.Field))
		return
	}
	if markup {
		h.warn(name, "markup", line, "there are elements within; their text was taken")
	}
	r.put(h, name, line, v)
}

// put sets the slot that has that name in PFIF 1.4 or had it before.
func (r *Reader) put(h *head, name string, line int, v string) {
	now := renamed(name)
	for i, s := range h.slots {
		if s.name != now {
			continue
		}
		if h.given&(1<<i) != 0 {
			r.keep(h, name, v)
			h.warn(name, "twice", line, "it is there twice; the first is taken, the second was put beside")
			return
		}
		h.given |= 1 << i
		if name == "other" {
			v = description(v)
		}
		ok, remark := s.set(v)
		switch {
		case !ok && s.vital:
			h.refuse(name, "format", line, s.wants())
		case !ok:
			r.keep(h, name, v)
			h.warn(name, "format", line, s.wants()+"; it was put beside")
		case remark != "":
			h.warn(name, "format", line, remark)
		}
		return
	}
	r.keep(h, name, v)
	h.warn(name, "unknown", line, "PFIF has no such field; it was put beside")
}

// keep puts a value beside.
func (r *Reader) keep(h *head, name, v string) {
	if h.size += len(name) + len(v); h.size > r.o.Limits.Record || len(*h.extra) == maxExtra {
		r.full(h)
		return
	}
	*h.extra = append(*h.extra, Extra{name, v})
}
