package cap

import (
	"fmt"
	"time"
)

// atom reads RFC 4287.
func (p *feedParser) atom() {
	d, root, f := p.doc, p.doc.root, &p.feed
	f.Kind = Atom
	p.onlyAtom(root, "feed")
	f.ID = p.must(root, atomSpace, "id")
	f.Title = p.must(root, atomSpace, "title")
	p.must(root, atomSpace, "updated")
	f.Updated = p.when(root, atomSpace, "updated", parseRFC3339)
	f.Summary = d.childText(root, atomSpace, "subtitle")
	f.Author = p.author(root)
	for _, a := range d.attributes(root) {
		if a.space == xmlSpace && a.local == "lang" {
			f.Lang = a.value
		}
	}
	f.Links = p.atomLinks(root)
	for c := d.nodes[root].first; c != 0; c = d.nodes[c].next {
		if d.is(c, atomSpace, "entry") {
			p.entry(c, func(e *Entry) int32 { return p.atomEntry(c, e) })
		}
	}
}

func (p *feedParser) author(n int32) string {
	if author := p.doc.child(n, atomSpace, "author"); author != 0 {
		return p.doc.childText(author, atomSpace, "name")
	}
	return ""
}

func (p *feedParser) atomEntry(n int32, e *Entry) int32 {
	d := p.doc
	p.onlyAtom(n, "entry")
	e.ID = p.must(n, atomSpace, "id")
	e.Title = p.must(n, atomSpace, "title")
	p.must(n, atomSpace, "updated")
	e.Updated = p.when(n, atomSpace, "updated", parseRFC3339)
	e.Author = p.author(n)
	e.Summary = d.childText(n, atomSpace, "summary")
	e.Links = p.atomLinks(n)
	content := d.child(n, atomSpace, "content")
	if content == 0 {
		return 0
	}
	if src := d.attr(content, "src"); src != "" { // §4.1.3.2
		e.Links = append(e.Links, Link{Href: src, Type: d.attr(content, "type")})
	}
	return p.alertIn(content)
}

func (p *feedParser) atomLinks(n int32) (out []Link) {
	d := p.doc
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		if !d.is(c, atomSpace, "link") {
			continue
		}
		l := Link{Href: trim(d.attr(c, "href")), Rel: d.attr(c, "rel"), Type: d.attr(c, "type")}
		if l.Href == "" {
			p.fault(c, "", codeRequired, "the link has no href")
		}
		out = append(out, l)
	}
	return out
}

// atomElements are those that RFC 4287 has in a feed (§4.1.1) and in an entry (§4.1.2).
var atomElements = map[string]map[string]bool{
	"feed": {"author": true, "category": true, "contributor": true, "generator": true, "icon": true, "id": true, "link": true,
		"logo": true, "rights": true, "subtitle": true, "title": true, "updated": true, "entry": true},
	"entry": {"author": true, "category": true, "content": true, "contributor": true, "id": true, "link": true, "published": true,
		"rights": true, "source": true, "summary": true, "title": true, "updated": true},
}

// onlyAtom notes elements of Atom that have no place in n. Those of other
// namespaces may stand there (§6.4).
func (p *feedParser) onlyAtom(n int32, name string) {
	d := p.doc
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		if at := &d.nodes[c]; at.kind == element && at.space == atomSpace && !atomElements[name][at.local] {
			p.fault(c, "", codeUnknown, fmt.Sprintf("<%s> has no place in <%s>", clip(at.local), name))
		}
	}
}

// AppendAtom writes a feed as Atom (RFC 4287), the alerts in it as they are in
// Document, else as Append writes them. An entry without an ID has that of its
// alert; one without a time, when its alert was sent. ID, Title, Author and Updated of
// the feed must be set: Atom has none without them.
func AppendAtom(dst []byte, f *Feed) []byte {
	w := writer{b: append(dst, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<feed xmlns="`+atomSpace+`"`...), depth: 1}
	if f.Lang != "" {
		w.b = append(appendAttribute(append(w.b, ` xml:lang="`...), f.Lang), '"')
	}
	w.b = append(w.b, '>')
	w.must("id", f.ID)
	w.must("title", f.Title)
	w.text("subtitle", f.Summary)
	w.must("updated", f.Updated.Format(time.RFC3339))
	w.nested("author", func() { w.must("name", f.Author) })
	w.links(f.Links)
	for i := range f.Entries {
		e := f.Entries[i].complete()
		w.nested("entry", func() {
			w.must("id", e.ID)
			w.must("title", e.Title)
			w.must("updated", e.Updated.Format(time.RFC3339))
			if e.Author != "" {
				w.nested("author", func() { w.must("name", e.Author) })
			}
			w.links(e.Links)
			w.text("summary", e.Summary)
			if alert := e.element(); alert != nil {
				w.line()
				w.b = append(w.b, `<content type="`+capType+`">`...)
				w.b = append(w.b, alert...)
				w.end("content")
			}
		})
	}
	return append(w.b, "\n</feed>\n"...)
}

func (w *writer) links(links []Link) {
	for _, l := range links {
		w.line()
		w.b = append(w.b, "<link"...)
		for _, a := range [][2]string{{"rel", l.Rel}, {"type", l.Type}, {"href", l.Href}} {
			if a[1] != "" {
				w.b = append(append(append(w.b, ' '), a[0]...), `="`...)
				w.b = append(appendAttribute(w.b, a[1]), '"')
			}
		}
		w.b = append(w.b, "/>"...)
	}
}

// complete returns the entry with what can be told from its alert.
func (e Entry) complete() Entry {
	a := e.Alert
	if a == nil {
		return e
	}
	if e.ID == "" {
		e.ID = "urn:cap:" + a.Sender + "," + a.Identifier + "," + string(appendTime(nil, a.Sent)) // extended identifier, CAP 1.2 §3.2.1
	}
	if e.Updated.IsZero() {
		e.Updated = a.Sent
	}
	if e.Title == "" && len(a.Info) > 0 {
		if e.Title = a.Info[0].Headline; e.Title == "" {
			e.Title = a.Info[0].Event
		}
	}
	if e.Title == "" {
		e.Title = a.Identifier
	}
	return e
}

// element returns the alert as it goes into a feed, nil when there is none that
// can.
func (e *Entry) element() []byte {
	if e.Document != nil {
		doc, err := read(opFeed, e.Document, DefaultLimits())
		if err != nil {
			return nil
		}
		return doc.standalone(doc.root)
	}
	if e.Alert != nil {
		return appendAlert(nil, e.Alert)
	}
	return nil
}
