package alert

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/wire/cap"
)

// Limits in bytes, so that a record with what is public and what was before fits into a
// bundle for other nodes. The body has room for a Cancel that is a little longer.
const (
	maxPublished = 100_000 // of a message
	maxPlace     = 100_000 // of a shape in JSON
	maxMessages  = 100
)

// Problems lists what keeps an alert from being published at now: where its message breaks
// the schema of CAP 1.2 or the rules of package cap, and our own. Paths are those of the
// form: "body.texts[0].headline", "place.geometry"; codes are those of package cap where it
// is cap that refuses.
func Problems(b *Alert, h *record.Header, now time.Time) record.Fields {
	l := look(b, h, now)
	return l.errors
}

// Warnings lists what keeps an alert from nothing and is worth a thought, in the form of
// Problems.
func Warnings(b *Alert, h *record.Header, now time.Time) record.Fields {
	l := look(b, h, now)
	return l.warnings
}

// A looker collects what it finds, each thing once.
type looker struct {
	errors, warnings record.Fields
	message          *cap.Alert // that was looked at
}

func add(to *record.Fields, path, code, message string) {
	if !slices.ContainsFunc(*to, func(f record.Field) bool { return f.Path == path && f.Code == code }) {
		to.Add(path, code, message)
	}
}

func look(b *Alert, h *record.Header, now time.Time) (l looker) {
	l.texts(b)
	o := outlineOf(h.Place)
	l.where(h, o)
	l.sent(b)
	written := *b
	if len(b.Texts) == 0 { // what is the same in every text can be wrong before there is one
		written.Texts = []Text{{Language: "en", Headline: "-", Instruction: "-"}}
	}
	a := compose(&written, h, o, now)
	report := cap.Check(a, now)
	for _, f := range report.Errors {
		// A ring that has too many points was not simplified, for a reason that is said too.
		if f.Code != "polygon-many" {
			l.found(&l.errors, b, f.Path, f.Code, f.Message)
		}
	}
	for _, f := range report.Warnings {
		l.found(&l.warnings, b, f.Path, f.Code, f.Message)
	}
	l.message = a
	doc := cap.Marshal(a)
	if len(doc) > maxPublished {
		at := "body.areas"
		if len(o.rings) > 0 {
			at = "place.geometry"
		}
		add(&l.errors, at, "too-large", fmt.Sprintf("the message has %d bytes; %d are allowed", len(doc), maxPublished))
	}
	if len(report.Errors) > 0 {
		return l // what else the schema says follows from these
	}
	if _, err := cap.Parse(doc, cap.Limits{}); err != nil {
		for _, f := range fieldsOf(err) {
			l.found(&l.errors, b, f.Path, f.Code, f.Message)
		}
	}
	return l
}

func (l *looker) texts(b *Alert) {
	if len(b.Texts) == 0 {
		add(&l.errors, "body.texts", "no-info", "write what the public is to read, in one language at least")
	}
	seen := map[Language]bool{}
	for i, t := range b.Texts {
		at := record.Index("body.texts", i)
		if seen[t.Language] {
			add(&l.errors, at+".language", "twice", "there is a text in this language already")
		}
		seen[t.Language] = true
		if strings.TrimSpace(t.Headline) == "" {
			add(&l.errors, at+".headline", "required", "is required")
		}
		if strings.TrimSpace(t.Instruction) == "" {
			add(&l.errors, at+".instruction", "instruction", "say what people should do")
		}
		if strings.TrimSpace(t.Description) == "" {
			add(&l.warnings, at+".description", "required", "there is no description")
		}
	}
	for _, lang := range desk.Langs {
		if len(b.Texts) > 0 && !seen[Language(lang)] {
			add(&l.warnings, "body.texts", "language-missing-"+lang, "there is no text in "+lang)
		}
	}
}

func (l *looker) where(h *record.Header, o outline) {
	for _, f := range o.wrong {
		add(&l.errors, f.Path, f.Code, f.Message)
	}
	if h.Place == nil || h.Place.Geometry == nil {
		return
	}
	if g := h.Place.Geometry; len(g.Coordinates) > maxPlace {
		add(&l.errors, "place.geometry", "too-large", fmt.Sprintf("the shape has %d bytes; %d are allowed", len(g.Coordinates), maxPlace))
	}
}

// sent looks at what was sent before: what reached the public ends by a Cancel, not by an
// Update that is for others or is not meant.
func (l *looker) sent(b *Alert) {
	if len(b.Messages) >= maxMessages-1 { // one more, so that it can be cancelled
		add(&l.errors, "body.messages", "max", fmt.Sprintf("at most %d messages", maxMessages))
	}
	m, err := InForce(b)
	if err != nil {
		add(&l.errors, "body.published", "invalid", "what was sent before cannot be read")
	}
	if m == nil {
		return
	}
	if m.Status != capital(string(b.Status)) {
		add(&l.errors, "body.status", "fixed", "the first message was sent with another one: cancel the alert and make a new one")
	}
	if m.Scope != capital(string(b.Scope)) {
		add(&l.errors, "body.scope", "fixed", "the first message was sent with another one: cancel the alert and make a new one")
	}
}

func (l *looker) found(to *record.Fields, b *Alert, path, code, message string) {
	at := bodyPath(path, len(b.Areas))
	if path != "" {
		message = strings.ReplaceAll(message, path, at)
	}
	add(to, at, code, message)
}

func fieldsOf(err error) record.Fields {
	if e, ok := err.(*record.Error); ok && len(e.Fields) > 0 {
		return e.Fields
	}
	return record.Fields{{Path: "", Code: "invalid", Message: err.Error()}}
}

var (
	infoPath = regexp.MustCompile(`^info\[(\d+)\](?:\.(.*))?$`)
	areaPath = regexp.MustCompile(`^area\[(\d+)\](?:\.(.*))?$`)
)

// bodyPath is the field of the form in which an element of the message stands. rows is how
// many of its areas are those of the body.
func bodyPath(path string, rows int) string {
	m := infoPath.FindStringSubmatch(path)
	switch {
	case m != nil:
	case path == "":
		return "body"
	case path == "info":
		return "body.texts"
	case strings.HasPrefix(path, "references"):
		return "body.messages"
	default:
		return "body." + path
	}
	text, rest := "body.texts["+m[1]+"]", m[2]
	name, _, _ := strings.Cut(strings.NewReplacer("[", ".").Replace(rest), ".")
	switch name {
	case "":
		return text
	case "language", "event", "headline", "description", "instruction", "senderName":
		return text + "." + name
	case "area":
		return areaField(rest, rows)
	case "responseType":
		return "body." + rest
	}
	return "body." + name
}

func areaField(path string, rows int) string {
	m := areaPath.FindStringSubmatch(path)
	if m == nil {
		return "body.areas"
	}
	k, _ := strconv.Atoi(m[1])
	geocode, areaDesc := strings.HasPrefix(m[2], "geocode"), m[2] == "areaDesc"
	row := record.Index("body.areas", k)
	switch {
	case k < rows && areaDesc:
		return row + ".description"
	case k < rows && geocode:
		at, _, _ := strings.Cut(strings.TrimPrefix(m[2], "geocode"), ".")
		return row + ".pcodes" + at
	case k < rows:
		return row
	case areaDesc:
		return "place.words"
	case geocode:
		return "place.pcode"
	}
	return "place.geometry"
}
