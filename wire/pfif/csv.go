package pfif

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"konbit/record"
)

// ParseCSV reads a table (RFC 4180, UTF-8) whose columns are named after the fields
// of PFIF 1.4, as Person Finder takes it. The first row with a column
// person_record_id is the header. A cell "time_zone_offset" above it stands over
// the hours that local times in the table are ahead of UTC; times may then be
// written "2026-01-31 23:59".
//
// A row with a full_name is a person, one with a note_record_id a note; a row that
// is both shares author, source and dates, and its photograph is the person's.
// Identifiers without a domain get Options.Domain. Two rows with the same person
// give one person. Errors are as of Parse, with paths as "row[3]/age" where 3 is
// the line of the file.
func ParseCSV(data []byte, o Options) (*Document, error) {
	o.Limits = o.Limits.withDefaults()
	o.Domain = strings.ToLower(o.Domain)
	if int64(len(data)) > o.Limits.Size {
		return nil, record.Errorf(record.TooLarge, "pfif.csv", "the table is too large: it has more than %d bytes", o.Limits.Size)
	}
	if !utf8.Valid(data) {
		return nil, badTable("the table is not UTF-8", "save it as CSV UTF-8")
	}
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	in.FieldsPerRecord = -1
	t := table{r: &Reader{o: o, version: Version}, doc: &Document{Version: Version}, persons: map[string]bool{}}
	for {
		row, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			e := badTable("the table is not CSV", "")
			if p := (*csv.ParseError)(nil); errors.As(err, &p) {
				e.Message = fmt.Sprintf("line %d: the table is not CSV", p.StartLine)
			}
			e.Err = err
			return nil, e
		}
		line, _ := in.FieldPos(0)
		if err := t.row(row, line); err != nil {
			return nil, err
		}
	}
	if t.columns == nil {
		return nil, badTable("the table has no column person_record_id", "the header must name the columns as PFIF names its fields")
	}
	return t.doc, t.count.err("pfif.csv")
}

func badTable(message, hint string) *record.Error {
	return &record.Error{Code: record.Invalid, Op: "pfif.csv", Message: message, Hint: hint}
}

// A table is one that is being read.
type table struct {
	r       *Reader // for its limits
	doc     *Document
	count   count
	columns []string
	above   []string // the row before, while there is no header
	zone    time.Duration
	persons map[string]bool
}

func (t *table) row(row []string, line int) error {
	if t.columns != nil {
		return t.data(row, line)
	}
	names := make([]string, len(row))
	for i, c := range row {
		names[i] = strings.ToLower(strings.TrimSpace(c))
	}
	if slices.Contains(names, "person_record_id") {
		if t.columns = names; slices.Contains(names, "text") && !slices.Contains(names, "note_record_id") {
			return badTable(fmt.Sprintf("line %d: the table has notes without identifiers", line), "add a column note_record_id that names each note for good")
		}
		return nil
	}
	for i, name := range t.above {
		if name != "time_zone_offset" || i >= len(row) {
			continue
		}
		hours, err := strconv.ParseFloat(names[i], 64)
		if err != nil || !(math.Abs(hours) <= 14) {
			return badTable(fmt.Sprintf("line %d: time_zone_offset is not a number of hours", line), "for Haiti in winter it is -5")
		}
		t.zone = time.Duration(hours * float64(time.Hour))
	}
	t.above = names
	return nil
}

// both are the columns that a person and a note in one row share.
var both = []string{"person_record_id", "entry_date", "author_name", "author_email", "author_phone", "source_date"}

func (t *table) data(row []string, line int) error {
	cells := map[string]string{}
	rest := []string(nil) // in the order of the columns
	for i, v := range row {
		if v = strings.TrimSpace(v); v == "" {
			continue
		}
		name := ""
		if i < len(t.columns) {
			name = shown(t.columns[i])
		}
		if _, twice := cells[name]; twice || name == "" {
			name += "[" + strconv.Itoa(i+1) + "]" // no field has such a name
		}
		cells[name] = v
		rest = append(rest, name)
	}
	if len(cells) == 0 {
		return nil
	}
	p, n := &Person{}, &Note{}
	head := func(slots []slot, extra *[]Extra) *head {
		return &head{path: record.Index("row", line), line: line, slots: slots, extra: extra}
	}
	ph, nh := head(p.slots(), &p.Extra), head(n.slots(), &n.Extra)
	person, note := cells["full_name"] != "", cells["note_record_id"] != ""
	if person && note {
		t.r.records++
	}
	if t.r.records++; t.r.records > t.r.o.Limits.Records {
		return t.r.tooLarge("it has more than %d records", t.r.o.Limits.Records)
	}
	if !person && !note {
		ph.refuse("", "required", line, "the row has neither a full_name nor a note_record_id")
		t.doc.add(Record{Refused: ph.refused}, &t.count)
		return nil
	}
	for _, name := range rest {
		v := t.cell(name, cells[name])
		shared := slices.Contains(both, name)
		if note && (shared || !person || noteOnly(nh.slots, ph.slots, name)) {
			t.r.field(nh, xml.Name{Local: name}, true, line, v, false)
		}
		if person && (shared || !note || !noteOnly(nh.slots, ph.slots, name)) {
			t.r.field(ph, xml.Name{Local: name}, true, line, v, false)
		}
	}
	rec := Record{Path: ph.path, Line: line}
	if person {
		t.person(p, ph)
		rec.Refused, rec.Warnings = ph.refused, ph.warnings
		if len(ph.refused) == 0 {
			rec.Person = p
		}
	}
	if note {
		nh.checkNote(n, t.r.o.Domain)
		rec.Refused, rec.Warnings = append(rec.Refused, nh.refused...), append(rec.Warnings, nh.warnings...)
		switch {
		case len(nh.refused) > 0:
		case rec.Person != nil:
			p.Notes = []Note{*n}
		default:
			rec.Note = n
		}
	}
	t.doc.add(rec, &t.count)
	return nil
}

func (t *table) person(p *Person, h *head) {
	h.mustHave("person_record_id", p.PersonRecordID, t.r.o.Domain)
	switch {
	case len(h.refused) > 0:
		return
	case t.persons[p.PersonRecordID]:
		h.refuse("person_record_id", "twice", h.line, "the person stands in an earlier row, which was taken")
		return
	case p.SourceDate.IsZero():
		h.missing("source_date")
	}
	t.persons[p.PersonRecordID] = true
}

// cell completes an identifier and brings a local time to UTC.
func (t *table) cell(name, v string) string {
	switch {
	case strings.HasSuffix(name, "_record_id") && !strings.Contains(v, "/") && t.r.o.Domain != "":
		return t.r.o.Domain + "/" + v
	case strings.HasSuffix(name, "_date"):
		for _, form := range []string{"2006-1-2 15:04", "2006-1-2 15:04:05", "2006/1/2 15:04", "2006/1/2 15:04:05"} {
			if at, err := time.Parse(form, v); err == nil {
				return at.Add(-t.zone).Format(dateForm)
			}
		}
	}
	return v
}

// noteOnly says whether a note has a field that a person has not.
func noteOnly(note, person []slot, name string) bool {
	has := func(slots []slot) bool {
		return slices.ContainsFunc(slots, func(s slot) bool { return s.name == renamed(name) })
	}
	return has(note) && !has(person)
}
