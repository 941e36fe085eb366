package cap

import (
	"cmp"
	"errors"
	"strings"
	"time"
)

// rss reads RSS 2.0.
func (p *feedParser) rss() {
	d, f := p.doc, &p.feed
	f.Kind = RSS
	if v := d.attr(d.root, "version"); v != "2.0" && v != "2" {
		p.fault(d.root, "version", codeEnum, "the version of RSS is not 2.0")
	}
	channel := d.child(d.root, "", "channel")
	if channel == 0 {
		p.fault(d.root, "channel", codeRequired, "<channel> is missing")
		return
	}
	f.Title = p.must(channel, "", "title")
	f.Summary = p.must(channel, "", "description")
	f.Lang = d.childText(channel, "", "language")
	f.Links = []Link{{Href: p.must(channel, "", "link")}}
	f.Author = d.childText(channel, "", "managingEditor")
	f.Updated = p.when(channel, "", "lastBuildDate", parseRFC822)
	if f.Updated.IsZero() {
		f.Updated = p.when(channel, "", "pubDate", parseRFC822)
	}
	for c := d.nodes[channel].first; c != 0; c = d.nodes[c].next {
		if d.is(c, "", "item") {
			p.entry(c, func(e *Entry) int32 { return p.rssItem(c, e) })
		}
	}
}

func (p *feedParser) rssItem(n int32, e *Entry) int32 {
	d := p.doc
	e.ID = d.childText(n, "", "guid")
	e.Title = d.childText(n, "", "title")
	e.Summary = d.childText(n, "", "description")
	if e.Title == "" && e.Summary == "" {
		p.fault(n, "title", codeRequired, "there must be a <title> or a <description>")
	}
	e.Updated = p.when(n, "", "pubDate", parseRFC822)
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		switch {
		case d.is(c, "", "link"):
			e.Links = append(e.Links, Link{Href: trim(d.value(c))})
		case d.is(c, "", "enclosure"):
			e.Links = append(e.Links, Link{Href: trim(d.attr(c, "url")), Rel: "enclosure", Type: d.attr(c, "type")})
		}
	}
	return p.alertIn(n)
}

// zones are those of RFC 822 §5.1, which RSS uses, in hours from UTC.
var zones = map[string]string{"UT": "+0000", "GMT": "+0000", "UTC": "+0000", "Z": "+0000", "EST": "-0500", "EDT": "-0400",
	"CST": "-0600", "CDT": "-0500", "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700"}

// parseRFC822 reads "Fri, 04 Feb 2011 20:32:08 GMT", where the day of the week
// and the seconds may be left out and the year may have two digits.
func parseRFC822(s string) (time.Time, error) {
	if _, after, ok := strings.Cut(s, ","); ok {
		s = after
	}
	parts := strings.Fields(s)
	if len(parts) != 5 {
		return time.Time{}, errors.New("not a time of RFC 822")
	}
	if zone, ok := zones[strings.ToUpper(parts[4])]; ok {
		parts[4] = zone
	}
	layout := []string{"2", "Jan", "2006", "15:04:05", "-0700"}
	if len(parts[2]) == 2 {
		layout[2] = "06"
	}
	if strings.Count(parts[3], ":") == 1 {
		layout[3] = "15:04"
	}
	return time.Parse(strings.Join(layout, " "), strings.Join(parts, " "))
}

// AppendRSS writes a feed as RSS 2.0. The alerts stand in the items as they are in
// Document, else as Append writes them; links of CAP's type are enclosures too.
// Title and Summary of the feed and its first link must be set. An item leads to its
// page for people, if it has one.
func AppendRSS(dst []byte, f *Feed) []byte {
	w := writer{b: append(dst, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<rss version="2.0">`...), depth: 1}
	w.nested("channel", func() {
		w.must("title", f.Title)
		href := ""
		if len(f.Links) > 0 {
			href = f.Links[0].Href
		}
		w.must("link", href)
		w.must("description", f.Summary)
		w.text("language", f.Lang)
		if !f.Updated.IsZero() {
			w.must("lastBuildDate", rfc822(f.Updated))
		}
		for i := range f.Entries {
			w.item(f.Entries[i].complete())
		}
	})
	return append(w.b, "\n</rss>\n"...)
}

func (w *writer) item(e Entry) {
	w.nested("item", func() {
		w.must("title", e.Title)
		w.text("description", e.Summary)
		w.text("link", cmp.Or(e.page(), e.AlertLink()))
		for _, l := range e.Links {
			if l.Type == capType {
				w.line()
				w.b = appendAttribute(append(w.b, `<enclosure url="`...), l.Href)
				// The length is not known; 0 is what is written then.
				w.b = append(w.b, `" length="0" type="`+capType+`"/>`...)
				break
			}
		}
		if e.ID != "" {
			w.line()
			w.b = appendText(append(w.b, `<guid isPermaLink="false">`...), e.ID)
			w.end("guid")
		}
		if !e.Updated.IsZero() {
			w.must("pubDate", rfc822(e.Updated))
		}
		if alert := e.element(); alert != nil {
			w.line()
			w.b = append(w.b, alert...)
		}
	})
}

func rfc822(t time.Time) string { return t.Format("Mon, 02 Jan 2006 15:04:05 -0700") }
