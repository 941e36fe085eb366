package cap

import "strings"

// edxl reads EDXL-DE 1.0 (OASIS, 2006), whose content objects are entries.
func (p *feedParser) edxl() {
	d, root, f := p.doc, p.doc.root, &p.feed
	f.Kind = EDXLDE
	f.ID = p.must(root, edxldSpace, "distributionID")
	f.Author = p.must(root, edxldSpace, "senderID")
	p.must(root, edxldSpace, "dateTimeSent")
	f.Updated = p.when(root, edxldSpace, "dateTimeSent", parseRFC3339)
	p.must(root, edxldSpace, "distributionStatus")
	p.must(root, edxldSpace, "distributionType")
	p.must(root, edxldSpace, "combinedConfidentiality")
	for c := d.nodes[root].first; c != 0; c = d.nodes[c].next {
		if !d.is(c, edxldSpace, "contentObject") {
			continue
		}
		alerts := p.embedded(c)
		for _, alert := range alerts {
			p.entry(c, func(e *Entry) int32 { return p.content(c, e, alert) })
		}
		if len(alerts) == 0 {
			p.entry(c, func(e *Entry) int32 { return p.content(c, e, 0) })
		}
	}
}

// content reads what goes with an alert, or with a link to one.
func (p *feedParser) content(n int32, e *Entry, alert int32) int32 {
	d := p.doc
	e.Title = d.childText(n, edxldSpace, "contentDescription")
	e.ID = d.childText(n, edxldSpace, "incidentID")
	e.Updated = p.feed.Updated
	if other := d.child(n, edxldSpace, "nonXMLContent"); other != 0 {
		if uri := d.childText(other, edxldSpace, "uri"); uri != "" {
			e.Links = append(e.Links, Link{Href: uri, Type: strings.ToLower(d.childText(other, edxldSpace, "mimeType"))})
		}
	}
	return alert
}

// embedded returns the alerts in a content object.
func (p *feedParser) embedded(n int32) (out []int32) {
	d := p.doc
	xml := d.child(n, edxldSpace, "xmlContent")
	if xml == 0 {
		return nil
	}
	for c := d.nodes[xml].first; c != 0; c = d.nodes[c].next {
		if d.is(c, edxldSpace, "embeddedXMLContent") {
			if alert := p.alertIn(c); alert != 0 {
				out = append(out, alert)
			}
		}
	}
	return out
}
