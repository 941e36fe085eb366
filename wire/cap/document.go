package cap

import (
	"slices"
	"strconv"
	"strings"

	"konbit/record"
)

type nodeKind uint8

const (
	element nodeKind = iota
	text
	comment
	instruction
)

// A node is one thing in a document. Nodes name each other by their place in
// document.nodes; 0 is the document itself, which is nobody's child, so that 0
// also stands for none.
type node struct {
	kind          nodeKind
	prefix, local string // of an element as written; local is also the target of an instruction
	space         string // namespace of an element
	text          string // of the others
	parent        int32
	first, next   int32 // child, sibling
	attrs, decls  span
	start, end    int32 // of an element in the source, both tags included
	open          int32 // where its first tag ends
}

type span struct{ from, to int32 }

type attribute struct{ prefix, local, space, value string }

// A declaration binds a prefix, "" for none, to a namespace.
type declaration struct{ prefix, space string }

// A document is a well-formed XML 1.0 document with namespaces and without a
// document type, as a tree.
type document struct {
	source string
	nodes  []node
	attrs  []attribute
	decls  []declaration
	root   int32
}

// Namespaces that XML itself has (Namespaces in XML 1.0 §3).
const (
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

func (d *document) attributes(n int32) []attribute {
	s := d.nodes[n].attrs
	return d.attrs[s.from:s.to]
}

func (d *document) declarations(n int32) []declaration {
	s := d.nodes[n].decls
	return d.decls[s.from:s.to]
}

// attr returns the value of an attribute without a namespace.
func (d *document) attr(n int32, name string) string {
	for _, a := range d.attributes(n) {
		if a.space == "" && a.local == name {
			return a.value
		}
	}
	return ""
}

// is reports whether n is that element.
func (d *document) is(n int32, space, local string) bool {
	at := &d.nodes[n]
	return at.kind == element && at.local == local && at.space == space
}

// child returns the first child element of that name, 0 when there is none.
func (d *document) child(n int32, space, local string) int32 {
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		if d.is(c, space, local) {
			return c
		}
	}
	return 0
}

// childText returns the text of the first child of that name, blanks around it left out.
func (d *document) childText(n int32, space, local string) string {
	if c := d.child(n, space, local); c != 0 {
		return trim(d.value(c))
	}
	return ""
}

// value is the text of an element without its child elements. Comments within it
// do not cut it short.
func (d *document) value(n int32) string {
	first := d.nodes[n].first
	if first == 0 {
		return ""
	}
	if at := &d.nodes[first]; at.next == 0 && at.kind == text {
		return at.text
	}
	var b strings.Builder
	for c := first; c != 0; c = d.nodes[c].next {
		if d.nodes[c].kind == text {
			b.WriteString(d.nodes[c].text)
		}
	}
	return b.String()
}

// inScope returns the namespace that a prefix stands for at n; ok is false when
// it is not declared. No prefix is in no namespace unless it is declared.
func (d *document) inScope(n int32, prefix string) (space string, ok bool) {
	for at := n; at != 0; at = d.nodes[at].parent {
		for _, decl := range d.declarations(at) {
			if decl.prefix == prefix {
				return decl.space, true
			}
		}
	}
	if prefix == "xml" {
		return xmlSpace, true
	}
	return "", prefix == ""
}

// repeats are the elements that may stand several times in their parent, and so
// have a number in a path.
var repeats = map[string]bool{
	"code": true, "info": true, "category": true, "responseType": true, "eventCode": true, "parameter": true,
	"resource": true, "area": true, "polygon": true, "circle": true, "geocode": true, "Signature": true,
	"entry": true, "item": true, "link": true, "contentObject": true,
}

// path says where n is below base: "info[1].area[0].polygon[0]". base itself is
// called by its name.
func (d *document) path(n, base int32) string {
	if n == base || n == 0 {
		return d.nodes[base].local
	}
	var parts []string
	for at := n; at != base && at != 0; at = d.nodes[at].parent {
		name := d.nodes[at].local
		if repeats[name] {
			name = record.Index(name, d.number(at))
		}
		parts = append(parts, name)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
		if i > 0 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// number counts the siblings of the same name before n.
func (d *document) number(n int32) int {
	i := 0
	for c := d.nodes[d.nodes[n].parent].first; c != 0 && c != n; c = d.nodes[c].next {
		if d.nodes[c].kind == element && d.nodes[c].local == d.nodes[n].local {
			i++
		}
	}
	return i
}

// standalone returns the element as a document of its own, byte for byte as it
// stands, with those declarations added to its first tag that it needs and has
// from the elements around it.
func (d *document) standalone(n int32) []byte {
	needed := map[string]bool{}
	d.prefixes(n, needed)
	for _, decl := range d.declarations(n) {
		delete(needed, decl.prefix)
	}
	at := &d.nodes[n]
	name := int(at.start) + 1 + len(at.local)
	if at.prefix != "" {
		name += len(at.prefix) + 1
	}
	out := append([]byte{}, d.source[at.start:name]...)
	for _, prefix := range sortedKeys(needed) {
		space, _ := d.inScope(n, prefix)
		if prefix == "xml" || space == "" {
			continue
		}
		out = append(out, " xmlns"...)
		if prefix != "" {
			out = append(append(out, ':'), prefix...)
		}
		out = append(out, '=', '"')
		out = appendAttribute(out, space)
		out = append(out, '"')
	}
	return append(out, d.source[name:at.end]...)
}

// prefixes collects the prefixes that n and what is in it use.
func (d *document) prefixes(n int32, into map[string]bool) {
	into[d.nodes[n].prefix] = true
	for _, a := range d.attributes(n) {
		if a.prefix != "" {
			into[a.prefix] = true
		}
	}
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		if d.nodes[c].kind == element {
			d.prefixes(c, into)
		}
	}
}

// line is the line of the source in which byte i is, from 1.
func line(source string, i int) string {
	return strconv.Itoa(1 + strings.Count(source[:min(i, len(source))], "\n"))
}

const blanks = " \t\r\n"

// trim takes the blanks of XML away from both ends.
func trim(s string) string { return strings.Trim(s, blanks) }

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
