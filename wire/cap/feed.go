package cap

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"konbit/record"
)

// The sorts of feeds.
const (
	Atom   = "atom"    // RFC 4287
	RSS    = "rss"     // RSS 2.0
	EDXLDE = "edxl-de" // OASIS EDXL Distribution Element 1.0
)

// Feed is a list of alerts, or of where they are.
type Feed struct {
	Kind    string    `json:"kind" enum:"atom,rss,edxl-de"`
	ID      string    `json:"id,omitempty"` // of Atom and EDXL-DE
	Lang    string    `json:"lang,omitempty"`
	Title   string    `json:"title,omitempty"`
	Author  string    `json:"author,omitempty"` // a name; of EDXL-DE the sender
	Summary string    `json:"summary,omitempty"`
	Updated time.Time `json:"updated,omitzero"`
	Links   []Link    `json:"links,omitempty"`
	Entries []Entry   `json:"entries,omitempty"`
}

// Entry is one alert of a feed.
type Entry struct {
	ID      string    `json:"id,omitempty"`
	Title   string    `json:"title,omitempty"`
	Author  string    `json:"author,omitempty"` // a name, of Atom; "": that of the feed
	Summary string    `json:"summary,omitempty"`
	Updated time.Time `json:"updated,omitzero"`
	Links   []Link    `json:"links,omitempty"`
	Alert   *Alert    `json:"alert,omitempty"` // nil when it is elsewhere or not valid
	// Document is the alert as it stands in the feed, as a document of its own: for
	// Verify, and to keep. In a feed to be written it goes in as it is, before Alert.
	Document []byte `json:"-"`
	// Err is a *record.Error about this entry and its alert; the others may be well.
	Err error `json:"-"`
}

// Link is where something is. Its address may be relative to that of the feed.
type Link struct {
	Href string `json:"href"`
	Rel  string `json:"rel,omitempty"`  // none means alternate
	Type string `json:"type,omitempty"` // MIME type
}

// Types of CAP documents: the registered one and one that is in use.
const (
	capType    = "application/cap+xml"
	capTypeOld = "application/common-alerting-protocol+xml"
)

const (
	atomSpace  = "http://www.w3.org/2005/Atom"
	edxldSpace = "urn:oasis:names:tc:emergency:EDXL:DE:1.0"

	opFeed = "cap.feed"
)

// Codes of feeds beyond those of alerts.
const (
	codeNotFeed = "not-feed"
	codeNoAlert = "no-alert" // neither an alert nor a link to one
)

// page returns the address of the entry's page for people, "" when there is none.
func (e *Entry) page() string {
	for _, l := range e.Links {
		if l.Type == "text/html" && (l.Rel == "" || l.Rel == "alternate") {
			return l.Href
		}
	}
	return ""
}

// AlertLink returns the address of the entry's CAP document, "" when there is
// none: a link of CAP's type, else one to a file called .cap or .xml, else one
// that does not say that it is something else. Addresses that are neither
// relative nor http are passed over.
func (e *Entry) AlertLink() string {
	best, rank := "", 4
	for _, l := range e.Links {
		if l.Rel == "self" || l.Rel == "edit" || l.Rel == "license" {
			continue
		}
		u, err := url.Parse(l.Href)
		if err != nil || l.Href == "" || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		kind, _, _ := strings.Cut(strings.ToLower(l.Type), ";")
		r := 4
		switch kind = strings.TrimSpace(kind); {
		case kind == capType || kind == capTypeOld:
			r = 0
		case (kind == "" || kind == "text/xml" || kind == "application/xml") &&
			(strings.HasSuffix(strings.ToLower(u.Path), ".cap") || strings.HasSuffix(strings.ToLower(u.Path), ".xml")):
			r = 1
		case kind == "text/xml" || kind == "application/xml":
			r = 2
		case kind == "" && (l.Rel == "" || l.Rel == "alternate" || l.Rel == "enclosure"):
			r = 3
		}
		if r < rank {
			best, rank = l.Href, r
		}
	}
	return best
}

// ParseFeed reads an Atom or RSS 2.0 feed or an EDXL-DE message. The error is a
// *record.Error and says what is wrong with the feed itself; what is wrong with
// an entry or with the alert in it is in Entry.Err, under paths like
// "entry[1].alert.info[0].urgency", so that one bad entry does not hide the
// others. Elements of other namespaces are passed over.
func ParseFeed(data []byte, limit Limits) (*Feed, error) {
	limit = limit.orDefault()
	doc, err := read(opFeed, data, limit)
	if err != nil {
		return nil, err
	}
	p := &feedParser{doc: doc, limit: limit}
	switch root := &doc.nodes[doc.root]; {
	case root.local == "feed" && root.space == atomSpace:
		p.atom()
	case root.local == "rss" && root.space == "":
		p.rss()
	case root.local == "EDXLDistribution" && root.space == edxldSpace:
		p.edxl()
	default:
		return nil, refusal(opFeed, root.local, codeNotFeed, fmt.Sprintf("<%s> is not an Atom or RSS 2.0 feed or an EDXL-DE 1.0 message", clip(root.local)))
	}
	if len(p.faults) > 0 {
		for _, e := range p.feed.Entries {
			if of := (*record.Error)(nil); errors.As(e.Err, &of) {
				p.faults = append(p.faults, of.Fields...)
			}
		}
		faults := p.faults[:min(len(p.faults), limit.Faults)]
		return nil, &record.Error{Code: record.Invalid, Op: opFeed, Message: "the feed is not valid", Fields: faults}
	}
	return &p.feed, nil
}

type feedParser struct {
	doc    *document
	limit  Limits
	feed   Feed
	faults record.Fields // of the feed or of the entry that is being read
	at     int32         // the entry that is being read, 0 between them
	last   int32         // the entry that was read last
	nth    int           // its number, from 1
	prefix string        // its path
	copied int           // bytes of documents taken out
}

// fault notes what is wrong with n, or with what is called name in it.
func (p *feedParser) fault(n int32, name, code, message string) {
	if len(p.faults) < p.limit.Faults { // a path is only looked for when it is needed
		p.faults.Add(p.path(n, name), code, message)
	}
}

func (p *feedParser) path(n int32, name string) string {
	path := ""
	switch {
	case n == p.doc.root:
		return name
	case p.at == 0:
		path = p.doc.path(n, p.doc.root)
	case n == p.at:
		path = p.prefix
	default:
		path = p.prefix + "." + p.doc.path(n, p.at)
	}
	if name == "" {
		return path
	}
	return path + "." + name
}

// must returns the text of a child that has to be there.
func (p *feedParser) must(n int32, space, name string) string {
	s := p.doc.childText(n, space, name)
	if s == "" {
		p.fault(n, name, codeRequired, fmt.Sprintf("<%s> is missing", name))
	}
	return s
}

// when reads a time in one of the forms.
func (p *feedParser) when(n int32, space, name string, parse func(string) (time.Time, error)) (t time.Time) {
	s := p.doc.childText(n, space, name)
	if s == "" {
		return t
	}
	t, err := parse(s)
	if err != nil {
		p.fault(n, name, codeTime, fmt.Sprintf("%q is not a time", clip(s)))
	}
	return t
}

func parseRFC3339(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) }

// entry adds one: fill reads it from n and returns its alert, 0 when there is none.
func (p *feedParser) entry(n int32, fill func(*Entry) (alert int32)) {
	outer := p.faults
	p.faults = nil
	if n != p.last {
		p.last = n
		p.nth++
	}
	p.at, p.prefix = n, record.Index(p.doc.nodes[n].local, p.nth-1)
	if parent := p.doc.nodes[n].parent; parent != p.doc.root {
		p.prefix = p.doc.path(parent, p.doc.root) + "." + p.prefix
	}
	var e Entry
	if alert := fill(&e); alert != 0 {
		if e.Document = p.doc.standalone(alert); p.copied+len(e.Document) > 4*p.limit.Bytes {
			e.Document = nil
			p.fault(n, "alert", codeBytes, "the namespaces of the alerts are out of proportion")
		}
		p.copied += len(e.Document)
		var faults record.Fields
		e.Alert, faults = parseAlert(p.doc, alert, p.limit.Faults)
		if len(faults) > 0 {
			e.Alert = nil
		}
		for _, f := range faults {
			path := f.Path
			if path != "alert" {
				path = "alert." + path
			}
			p.fault(n, path, f.Code, f.Message)
		}
	} else if e.AlertLink() == "" {
		p.fault(n, "link", codeNoAlert, "there is neither an alert nor a link to one")
	}
	if len(p.faults) > 0 {
		e.Err = &record.Error{Code: record.Invalid, Op: opFeed, Message: "the entry is not valid", Fields: p.faults}
	}
	p.faults, p.at = outer, 0
	p.feed.Entries = append(p.feed.Entries, e)
}

// alertIn finds the alert below n.
func (p *feedParser) alertIn(n int32) int32 {
	for c := p.doc.nodes[n].first; c != 0; c = p.doc.nodes[c].next {
		if at := &p.doc.nodes[c]; at.kind == element && at.local == "alert" && versionOf(at.space) != "" {
			return c
		}
	}
	return 0
}
