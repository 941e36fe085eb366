// Package pfif reads and writes the People Finder Interchange Format: records of
// missing and found persons and the notes on them, as registers of a disaster
// exchange them. It reads PFIF 1.1 to 1.4 (XML, Atom and RSS feeds, and the CSV
// of the same fields) and writes PFIF 1.4.
//
// The standard is PFIF 1.4 (http://zesty.ca/pfif/1.4). Old field names become
// those of 1.4: first_name and last_name are given_name and family_name, other is
// description, found is author_made_contact, home_zip is home_postal_code. All
// fields of 1.1 to 1.3 have a place in 1.4. What has none, and what does not
// follow its format, stays in Extra.
//
// It is a pure codec, with the rules for the end of a record (§3.3) as functions.
// It must not know kinds, rights or stores, must not fetch a photograph, and must
// not decide whom to believe: Options.Domain and the caller do.
package pfif

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Version is what Append writes.
const Version = "1.4"

// Sex is the sex of a person (§4.1); "" is not known.
type Sex string

// The values of Sex.
const (
	Female   Sex = "female"
	Male     Sex = "male"
	OtherSex Sex = "other"
)

// Status is what the author of a note holds to be true (§4.2); "" says nothing.
type Status string

// The values of Status.
const (
	InformationSought Status = "information_sought" // the author looks for news
	IsNoteAuthor      Status = "is_note_author"     // the author is the person
	BelievedAlive     Status = "believed_alive"
	BelievedMissing   Status = "believed_missing"
	BelievedDead      Status = "believed_dead"
)

// Person is a person record (§4.1). An empty member is a field that was not given.
// Times are UTC in whole seconds.
type Person struct {
	PersonRecordID string    `json:"person_record_id"`     // "domain/local"; the domain is that of the home repository
	EntryDate      time.Time `json:"entry_date,omitzero"`  // stored in this repository; whoever stores a record sets it
	ExpiryDate     time.Time `json:"expiry_date,omitzero"` // see Expires

	AuthorName  string    `json:"author_name,omitempty"` // who wrote the record
	AuthorEmail string    `json:"author_email,omitempty"`
	AuthorPhone string    `json:"author_phone,omitempty"`
	SourceName  string    `json:"source_name,omitempty"` // the home repository, for people
	SourceDate  time.Time `json:"source_date,omitzero"`  // last changed in the home repository
	SourceURL   string    `json:"source_url,omitempty"`

	FullName         string   `json:"full_name,omitempty"`  // several names: one a line, the main one first
	GivenName        string   `json:"given_name,omitempty"` // likewise
	FamilyName       string   `json:"family_name,omitempty"`
	AlternateNames   []string `json:"alternate_names,omitempty"`
	Description      string   `json:"description,omitempty"`
	Sex              Sex      `json:"sex,omitempty"`
	DateOfBirth      string   `json:"date_of_birth,omitempty"` // "1970", "1970-01" or "1970-01-31"
	Age              string   `json:"age,omitempty"`           // at source_date: "35" or "35-45", both included
	HomeStreet       string   `json:"home_street,omitempty"`
	HomeNeighborhood string   `json:"home_neighborhood,omitempty"`
	HomeCity         string   `json:"home_city,omitempty"`
	HomeState        string   `json:"home_state,omitempty"` // ISO 3166-2 as a rule; not checked
	HomePostalCode   string   `json:"home_postal_code,omitempty"`
	HomeCountry      string   `json:"home_country,omitempty"` // ISO 3166-1, two letters
	PhotoURL         string   `json:"photo_url,omitempty"`
	ProfileURLs      []string `json:"profile_urls,omitempty"`

	Notes []Note  `json:"notes,omitempty"` // those that stand within the person
	Extra []Extra `json:"extra,omitempty"` // never written
}

// Note is a note record (§4.2).
type Note struct {
	NoteRecordID         string `json:"note_record_id"` // "domain/local", of the note's own home repository
	PersonRecordID       string `json:"person_record_id"`
	LinkedPersonRecordID string `json:"linked_person_record_id,omitempty"` // the same person has that record too

	EntryDate   time.Time `json:"entry_date,omitzero"`
	AuthorName  string    `json:"author_name,omitempty"`
	AuthorEmail string    `json:"author_email,omitempty"`
	AuthorPhone string    `json:"author_phone,omitempty"`
	SourceDate  time.Time `json:"source_date,omitzero"`

	AuthorMadeContact  *bool  `json:"author_made_contact,omitempty"` // with the person, after the disaster; nil is not said
	Status             Status `json:"status,omitempty"`
	EmailOfFoundPerson string `json:"email_of_found_person,omitempty"`
	PhoneOfFoundPerson string `json:"phone_of_found_person,omitempty"`
	LastKnownLocation  string `json:"last_known_location,omitempty"` // words, or "latitude longitude" in degrees
	Text               string `json:"text,omitempty"`
	PhotoURL           string `json:"photo_url,omitempty"`

	Extra []Extra `json:"extra,omitempty"` // never written
}

// Extra is a value that has no place in PFIF 1.4, does not follow the format of
// its field, or came a second time.
type Extra struct {
	Name  string `json:"name"` // the element; one of another namespace as "{namespace}name"; "" for text between elements
	Value string `json:"value"`
}

// Domain returns the domain of a record identifier, in small letters; "" when it
// is none: it names the home repository of the record (§4).
func Domain(recordID string) string {
	domain, local, _ := strings.Cut(recordID, "/")
	if local == "" || len(recordID) > maxID || !domainName.MatchString(domain) || !plain(local) {
		return ""
	}
	return strings.ToLower(domain)
}

// Original says whether the repository with that domain is the home of a record,
// and so has the say over it. Everywhere else the record is a clone.
func Original(recordID, domain string) bool {
	d := Domain(recordID)
	return d != "" && d == strings.ToLower(domain)
}

const maxID = 1000 // bytes

var domainName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// plain is text of one line without control characters.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029' || !xmlChar(r)
	}) < 0
}

// A slot is one field of a record, in one of five forms.
type slot struct {
	name  string
	must  bool // mandatory in PFIF 1.4: written even when it is empty
	vital bool // a record with a value here that cannot be read is refused
	text  *string
	list  *[]string  // one a line
	date  *time.Time // yyyy-mm-ddThh:mm:ssZ
	flag  **bool     // true or false
	// canon brings text into the form of the standard; false when it has not that
	// format. nil for free text.
	canon func(string) (string, bool)
}

// slots are the fields in the order of PFIF 1.4 §4.1, which is that of Append.
func (p *Person) slots() []slot {
	return []slot{
		{name: "person_record_id", text: &p.PersonRecordID, canon: identifier, must: true, vital: true},
		{name: "entry_date", date: &p.EntryDate},
		{name: "expiry_date", date: &p.ExpiryDate, vital: true},
		{name: "author_name", text: &p.AuthorName},
		{name: "author_email", text: &p.AuthorEmail},
		{name: "author_phone", text: &p.AuthorPhone},
		{name: "source_name", text: &p.SourceName},
		{name: "source_date", date: &p.SourceDate, must: true, vital: true},
		{name: "source_url", text: &p.SourceURL},
		{name: "full_name", text: &p.FullName, must: true},
		{name: "given_name", text: &p.GivenName},
		{name: "family_name", text: &p.FamilyName},
		{name: "alternate_names", list: &p.AlternateNames},
		{name: "description", text: &p.Description},
		{name: "sex", text: (*string)(&p.Sex), canon: oneOf(string(Female), string(Male), string(OtherSex))},
		{name: "date_of_birth", text: &p.DateOfBirth, canon: approximateDate},
		{name: "age", text: &p.Age, canon: age},
		{name: "home_street", text: &p.HomeStreet},
		{name: "home_neighborhood", text: &p.HomeNeighborhood},
		{name: "home_city", text: &p.HomeCity},
		{name: "home_state", text: &p.HomeState},
		{name: "home_postal_code", text: &p.HomePostalCode},
		{name: "home_country", text: &p.HomeCountry, canon: country},
		{name: "photo_url", text: &p.PhotoURL},
		{name: "profile_urls", list: &p.ProfileURLs},
	}
}

// slots are the fields in the order of PFIF 1.4 §4.2.
func (n *Note) slots() []slot {
	return []slot{
		{name: "note_record_id", text: &n.NoteRecordID, canon: identifier, must: true, vital: true},
		{name: "person_record_id", text: &n.PersonRecordID, canon: identifier, must: true, vital: true},
		{name: "linked_person_record_id", text: &n.LinkedPersonRecordID, canon: identifier},
		{name: "entry_date", date: &n.EntryDate},
		{name: "author_name", text: &n.AuthorName, must: true},
		{name: "author_email", text: &n.AuthorEmail},
		{name: "author_phone", text: &n.AuthorPhone},
		{name: "source_date", date: &n.SourceDate, must: true, vital: true},
		{name: "author_made_contact", flag: &n.AuthorMadeContact},
		{name: "status", text: (*string)(&n.Status), canon: oneOf(string(InformationSought), string(IsNoteAuthor),
			string(BelievedAlive), string(BelievedMissing), string(BelievedDead))},
		{name: "email_of_found_person", text: &n.EmailOfFoundPerson},
		{name: "phone_of_found_person", text: &n.PhoneOfFoundPerson},
		{name: "last_known_location", text: &n.LastKnownLocation},
		{name: "text", text: &n.Text, must: true},
		{name: "photo_url", text: &n.PhotoURL},
	}
}

// renamed gives the name in PFIF 1.4 of a field of 1.1 to 1.3.
func renamed(name string) string {
	switch name {
	case "first_name":
		return "given_name"
	case "last_name":
		return "family_name"
	case "other":
		return "description"
	case "found":
		return "author_made_contact"
	case "home_zip":
		return "home_postal_code"
	}
	return name
}

// set takes a value that has no blanks around it and is not empty. ok is false
// when the value does not follow the format; then the slot stays empty. remark is
// set when it was understood though it is not written as the standard says.
func (s slot) set(v string) (ok bool, remark string) {
	switch {
	case s.date != nil:
		t, exact, ok := readDate(v)
		if !ok {
			return false, ""
		}
		if *s.date = t; !exact {
			return true, "it is not written as yyyy-mm-ddThh:mm:ssZ; read as " + t.Format(dateForm)
		}
		return true, ""
	case s.list != nil:
		*s.list = lines(v)
		return true, ""
	case s.flag != nil:
		switch strings.ToLower(v) {
		case "true", "yes", "y", "1":
			*s.flag = new(bool)
			**s.flag = true
		case "false", "no", "n", "0":
			*s.flag = new(bool)
		default:
			return false, ""
		}
		return true, ""
	case s.canon != nil:
		v, ok := s.canon(v)
		if ok {
			*s.text = v
		}
		return ok, ""
	}
	*s.text = v
	return true, ""
}

// value is the slot as it is written; "" when it is empty.
func (s slot) value() string {
	switch {
	case s.date != nil:
		if s.date.IsZero() {
			return ""
		}
		return s.date.UTC().Format(dateForm)
	case s.list != nil:
		return strings.Join(*s.list, "\n")
	case s.flag != nil:
		if *s.flag == nil {
			return ""
		}
		return strconv.FormatBool(**s.flag)
	}
	return *s.text
}

// wants says what a field must look like, for the person who mends it.
func (s slot) wants() string {
	switch {
	case s.date != nil:
		return "a time as 2026-01-31T23:59:59Z is needed"
	case s.flag != nil:
		return "true or false is needed"
	case s.list != nil:
		return "one entry a line is needed"
	}
	switch s.name {
	case "sex":
		return "female, male or other is needed"
	case "status":
		return "one of the five states of PFIF is needed"
	case "date_of_birth":
		return "yyyy, yyyy-mm or yyyy-mm-dd is needed"
	case "age":
		return "a number of years or a range as 35-45 is needed"
	case "home_country":
		return "a country as two letters is needed"
	}
	return "an identifier as domain/local is needed"
}

const dateForm = "2006-01-02T15:04:05Z"

// readDate reads a time. exact is false when an offset stands where Z should.
func readDate(s string) (t time.Time, exact, ok bool) {
	t, err := time.Parse(dateForm, s)
	exact = err == nil
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	t = t.UTC().Truncate(time.Second)
	return t, exact, err == nil && goodYear(t)
}

// goodYear leaves out what four digits cannot hold and what no register means.
func goodYear(t time.Time) bool { return t.Year() >= 1900 && t.Year() <= 9999 }

func lines(v string) []string {
	var out []string
	for l := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

func identifier(v string) (string, bool) { return v, Domain(v) != "" }

func oneOf(values ...string) func(string) (string, bool) {
	return func(v string) (string, bool) {
		v = strings.ToLower(v)
		for _, w := range values {
			if v == w {
				return v, true
			}
		}
		return v, false
	}
}

func approximateDate(v string) (string, bool) {
	for _, form := range []string{"2006", "2006-01", "2006-01-02"} {
		if len(v) == len(form) {
			_, err := time.Parse(form, v)
			return v, err == nil
		}
	}
	return v, false
}

// ages are digits, and a hyphen, dash or minus between two numbers.
var ages = regexp.MustCompile(`^([0-9]{1,3})(?:\s*[-\x{2010}-\x{2015}\x{2212}]\s*([0-9]{1,3}))?$`)

func age(v string) (string, bool) {
	m := ages.FindStringSubmatch(v)
	if m == nil {
		return v, false
	}
	if m[2] == "" {
		return m[1], true
	}
	low, _ := strconv.Atoi(m[1])
	high, _ := strconv.Atoi(m[2])
	return m[1] + "-" + m[2], low <= high
}

func country(v string) (string, bool) {
	v = strings.ToUpper(v)
	return v, len(v) == 2 && v[0] >= 'A' && v[0] <= 'Z' && v[1] >= 'A' && v[1] <= 'Z'
}

// label begins a part of the field other of PFIF 1.1 to 1.3: a name at the
// beginning of a line, then a colon.
var label = regexp.MustCompile(`(?m)^\S+:`)

// description takes the label "description:" from a field other that has no other
// label. Anything else stays as it is, so that nothing is lost.
func description(other string) string {
	text, ok := strings.CutPrefix(other, "description:")
	if !ok || label.MatchString(text[strings.IndexByte(text+"\n", '\n'):]) {
		return other
	}
	first, rest, _ := strings.Cut(text, "\n")
	all := append([]string{strings.TrimSpace(first)}, strings.Split(rest, "\n")...)
	for i, l := range all[1:] { // the standard indents by four
		all[i+1] = strings.TrimPrefix(strings.TrimPrefix(l, "    "), "\t")
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}
