package cap

import (
	"slices"
	"strings"
)

// A method is how a document or a part of it is made canonical.
type method struct {
	exclusive bool
	comments  bool
	inclusive []string // of exclusive: prefixes that are treated as the inclusive method does; "" for none
}

// The names of the methods: Canonical XML 1.0 and Exclusive XML Canonicalization 1.0.
const (
	inclusiveC14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	exclusiveC14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
	withComments  = "WithComments"
)

// methodOf returns the method of that name.
func methodOf(name string) (m method, ok bool) {
	switch name {
	case inclusiveC14N:
	case inclusiveC14N + "#" + withComments:
		m.comments = true
	case exclusiveC14N:
		m.exclusive = true
	case exclusiveC14N + withComments:
		m.exclusive, m.comments = true, true
	default:
		return m, false
	}
	return m, true
}

// canonical returns the document, n being 0, or the element n in canonical form,
// without the elements of leave. ok is false when it is out of proportion: the
// exclusive method tells a namespace anew on every sibling.
func (d *document) canonical(n int32, m method, leave ...int32) (form []byte, ok bool) {
	c := canonizer{doc: d, method: m, leave: leave, most: 8*len(d.source) + 1<<16}
	if n == 0 {
		c.document()
	} else {
		if !m.exclusive {
			c.inherited = d.surroundings(n)
		}
		c.element(n, true)
	}
	return c.b, len(c.b) <= c.most
}

type canonizer struct {
	doc       *document
	method    method
	leave     []int32
	b         []byte
	most      int           // bytes; once over it, elements are left out
	told      []declaration // what the elements around have written, the innermost last
	inherited []attribute   // xml: attributes of the elements around the first one
}

// document writes the root element and the comments and instructions around it
// (Canonical XML 1.0 §2.3).
func (c *canonizer) document() {
	behind := false
	for n := c.doc.nodes[0].first; n != 0; n = c.doc.nodes[n].next {
		switch at := &c.doc.nodes[n]; {
		case at.kind == element:
			c.element(n, true)
			behind = true
		case at.kind == comment && !c.method.comments:
		case behind:
			c.b = append(c.b, '\n')
			c.other(n)
		default:
			c.other(n)
			c.b = append(c.b, '\n')
		}
	}
}

func (c *canonizer) other(n int32) {
	switch at := &c.doc.nodes[n]; at.kind {
	case text:
		c.b = appendText(c.b, at.text)
	case comment:
		if c.method.comments {
			c.b = append(append(append(c.b, "<!--"...), escapeReturn(at.text)...), "-->"...)
		}
	case instruction:
		c.b = append(append(c.b, "<?"...), at.local...)
		if at.text != "" {
			c.b = append(append(c.b, ' '), escapeReturn(at.text)...)
		}
		c.b = append(c.b, "?>"...)
	}
}

func escapeReturn(s string) string { return strings.ReplaceAll(s, "\r", "&#xD;") }

// element writes an element and what is in it. first says that nothing around it
// is written.
func (c *canonizer) element(n int32, first bool) {
	if slices.Contains(c.leave, n) || len(c.b) > c.most {
		return
	}
	d := c.doc
	at := &d.nodes[n]
	name := qualified(at.prefix, at.local)
	c.b = append(append(c.b, '<'), name...)

	before := len(c.told)
	decls := c.due(n, first)
	slices.SortFunc(decls, func(a, b declaration) int { return strings.Compare(a.prefix, b.prefix) })
	for _, decl := range decls {
		c.b = append(c.b, " xmlns"...)
		if decl.prefix != "" {
			c.b = append(append(c.b, ':'), decl.prefix...)
		}
		c.b = append(appendAttribute(append(c.b, `="`...), decl.space), '"')
	}
	c.told = append(c.told, decls...)

	attrs := slices.Clone(d.attributes(n))
	if first {
		for _, a := range c.inherited {
			if !slices.ContainsFunc(attrs, func(b attribute) bool { return a.space == b.space && a.local == b.local }) {
				attrs = append(attrs, a)
			}
		}
	}
	slices.SortFunc(attrs, func(a, b attribute) int {
		if o := strings.Compare(a.space, b.space); o != 0 {
			return o
		}
		return strings.Compare(a.local, b.local)
	})
	for _, a := range attrs {
		c.b = append(append(append(c.b, ' '), qualified(a.prefix, a.local)...), `="`...)
		c.b = append(appendAttribute(c.b, a.value), '"')
	}
	c.b = append(c.b, '>')

	for k := at.first; k != 0; k = d.nodes[k].next {
		if d.nodes[k].kind == element {
			c.element(k, false)
		} else {
			c.other(k)
		}
	}
	c.b = append(append(append(c.b, "</"...), name...), '>')
	c.told = c.told[:before]
}

// due returns the declarations that have to be written at n.
func (c *canonizer) due(n int32, first bool) []declaration {
	d := c.doc
	var prefixes []string
	if c.method.exclusive {
		prefixes = append(prefixes, d.nodes[n].prefix)
		for _, a := range d.attributes(n) {
			if a.prefix != "" {
				prefixes = append(prefixes, a.prefix)
			}
		}
		prefixes = append(prefixes, c.method.inclusive...)
	} else {
		for at := n; at != 0; at = d.nodes[at].parent {
			for _, decl := range d.declarations(at) {
				prefixes = append(prefixes, decl.prefix)
			}
			if !first {
				break // those around have written theirs
			}
		}
	}
	var out []declaration
	slices.Sort(prefixes)
	for _, prefix := range slices.Compact(prefixes) {
		space, ok := d.inScope(n, prefix)
		if prefix == "xml" || !ok {
			continue
		}
		told, ok := c.lastTold(prefix)
		if told == space && (ok || space == "") {
			continue
		}
		out = append(out, declaration{prefix, space})
	}
	return out
}

func (c *canonizer) lastTold(prefix string) (string, bool) {
	for i := len(c.told) - 1; i >= 0; i-- {
		if c.told[i].prefix == prefix {
			return c.told[i].space, true
		}
	}
	return "", false
}

// surroundings returns the xml: attributes in force around n, which the inclusive
// method writes on an element that is taken alone (Canonical XML 1.0 §2.4).
func (d *document) surroundings(n int32) []attribute {
	var out []attribute
	for at := d.nodes[n].parent; at != 0; at = d.nodes[at].parent {
		for _, a := range d.attributes(at) {
			if a.space == xmlSpace && !slices.ContainsFunc(out, func(b attribute) bool { return a.local == b.local }) {
				out = append(out, a)
			}
		}
	}
	return out
}
