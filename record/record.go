// Package record holds the shapes that every other package shares: a record is
// a header that the kernel understands and a body that only its desk does.
//
// It is a leaf. It imports nothing of ours, knows no kind by name, and must do
// no I/O.
package record

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Limits of a header. They bound what one record can cost everybody who holds it.
const (
	MaxLinks       = 200
	MaxAttachments = 50
	MaxWords       = 500 // characters of Place.Words
)

// A Record is one version of something that an agency owns: what its DSSE
// signature covers, what the ledger stores, what the API returns.
type Record struct {
	Header
	Body json.RawMessage `json:"body"`
}

// Header is the part of a record that the kernel reads.
type Header struct {
	ID      ID     `json:"id"`
	Kind    string `json:"kind"`
	Owner   string `json:"owner"`   // agency, e.g. "ht.pnh"; only its node writes the record
	Version int    `json:"version"` // 1, 2, 3 ... without gaps
	State   string `json:"state"`   // a state of the kind's workflow

	Marking Marking `json:"marking"`

	Observed time.Time `json:"observed"` // when it was true in the world, UTC
	Recorded time.Time `json:"recorded"` // when this version was learned, UTC
	Created  time.Time `json:"created"`  // when version 1 was learned, UTC

	Author  string `json:"author"`         // who made this version: "agency/name"
	Command string `json:"command"`        // what made it: "incident.verify"
	Note    string `json:"note,omitempty"` // why, in the author's words

	Key         string       `json:"key,omitempty"`   // natural key in the system that it came from
	Flags       []string     `json:"flags,omitempty"` // what the node noticed: "outside-region"
	Place       *Place       `json:"place,omitempty"`
	Links       []Link       `json:"links,omitempty"`
	Attachments []Attachment `json:"attachments,omitempty"`
}

// Link says how this record relates to another one. It is stored with the
// record that says it; the other record's node is not asked.
type Link struct {
	Rel  string `json:"rel"` // "related", "merged-into", "answers" ...
	Kind string `json:"kind"`
	ID   ID     `json:"id"`
	Note string `json:"note,omitempty"`
}

// Attachment names content that is stored beside the ledger by its hash.
type Attachment struct {
	Hash string `json:"hash"` // SHA-256 of the stored bytes, lower-case hex
	Type string `json:"type"` // what the node found it to be, never what the uploader said
	Size int64  `json:"size"` // bytes
	Name string `json:"name,omitempty"`
}

// Interval is a span of time, both ends UTC, From before To.
type Interval struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// PCode is an administrative area code of a COD-AB edition, e.g. "HT0111". A
// code means nothing without its edition, so the edition may precede it:
// "cod-2018:HT0111".
type PCode string

// CheckHeader returns what is wrong with the parts of a header that a person or
// a peer supplies. now bounds observed times: a clock may be wrong by a day.
func (h *Header) CheckHeader(now time.Time) Fields {
	var f Fields
	if h.ID.IsZero() {
		f.Add("id", "required", "an identifier (UUIDv7) is required")
	}
	if h.Observed.IsZero() {
		f.Add("observed", "required", "say when it was true in the world")
	} else if h.Observed.After(now.Add(24 * time.Hour)) {
		f.Add("observed", "future", "observed lies more than a day in the future")
	} else if h.Observed.Year() < 1900 {
		f.Add("observed", "range", "observed lies before 1900")
	}
	f = append(f, h.Marking.Check(now)...)
	if h.Place != nil {
		f = append(f, h.Place.Check()...)
	}
	if len(h.Links) > MaxLinks {
		f.Add("links", "max", "at most 200 links")
	}
	for i, l := range h.Links {
		if l.ID.IsZero() || l.Kind == "" || !Token(l.Rel) {
			f.Add(Index("links", i), "invalid", "a link needs rel, kind and id")
		}
		f.text(Index("links", i)+".note", l.Note, 500)
	}
	if len(h.Attachments) > MaxAttachments {
		f.Add("attachments", "max", "at most 50 attachments")
	}
	for i, a := range h.Attachments {
		if !hash(a.Hash) {
			f.Add(Index("attachments", i)+".hash", "invalid", "hash must be 64 lower-case hexadecimal digits")
		}
		f.text(Index("attachments", i)+".name", a.Name, 200)
	}
	f.text("note", h.Note, 2000)
	f.text("key", h.Key, 200)
	return f
}

func (f *Fields) text(path, s string, max int) {
	if !utf8.ValidString(s) {
		f.Add(path, "utf8", "not valid UTF-8")
	} else if utf8.RuneCountInString(s) > max {
		f.Add(path, "max", "too long")
	} else if Control(s) {
		f.Add(path, "control", "holds a control character")
	}
}

// Control reports whether s holds a control character other than tab and line
// breaks: screens, terminals and CSV readers do odd things with them.
func Control(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 && s[i] != '\n' && s[i] != '\t' && s[i] != '\r' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

func hash(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return len(s) == 64
}

// Token reports whether s is a short lower-case word: letters, digits, "-", "_", ".".
func Token(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// Clone returns a copy that shares no slice with r.
func (r *Record) Clone() *Record {
	c := *r
	c.Body = bytes.Clone(r.Body)
	c.Marking = r.Marking.Clone()
	c.Flags = append([]string(nil), r.Flags...)
	c.Links = append([]Link(nil), r.Links...)
	c.Attachments = append([]Attachment(nil), r.Attachments...)
	if r.Place != nil {
		p := *r.Place
		if p.Geometry != nil {
			g := *p.Geometry
			p.Geometry = &g
		}
		c.Place = &p
	}
	return &c
}
