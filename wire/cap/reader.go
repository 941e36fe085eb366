package cap

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// read makes the tree of a document. op is the Op of its errors.
//
// The standard library's decoder is not used: it lets undeclared prefixes,
// attributes that stand twice and illegal names pass, drops what a signature is
// computed over, and takes a multiple of the time. The tests hold the two against
// each other.
func read(op string, data []byte, limit Limits) (*document, error) {
	if len(data) > limit.Bytes {
		return nil, refusal(op, "", codeBytes, fmt.Sprintf("the document has %d bytes; %d are allowed", len(data), limit.Bytes))
	}
	source, why := decode(data)
	if why != "" {
		return nil, refusal(op, "", codeCharset, why)
	}
	r := reader{
		// An element is two tags, and there is text behind most of them.
		doc:   &document{source: source, nodes: make([]node, 1, min(8+strings.Count(source, "<")*3/2, 4096))},
		s:     source,
		limit: limit,
	}
	if e := r.document(); e != nil {
		path := ""
		if len(r.stack) > 0 {
			path = r.doc.path(r.stack[len(r.stack)-1].node, r.doc.root)
		}
		return nil, refusal(op, path, e.code, "line "+line(r.s, r.i)+": "+e.message)
	}
	return r.doc, nil
}

type reader struct {
	doc   *document
	s     string
	i     int
	limit Limits
	count int
	stack []opened
	scope []declaration // in force, the innermost last
}

// opened is an element whose end has not been read.
type opened struct {
	node  int32
	last  int32 // its last child
	scope int   // how many declarations were in force outside
}

// A stop is why the reader does not go on; it stands at reader.i.
type stop struct{ code, message string }

func wrong(format string, args ...any) *stop { return &stop{codeSyntax, fmt.Sprintf(format, args...)} }

// document reads it all (XML 1.0 §2.1).
func (r *reader) document() *stop {
	if e := r.characters(); e != nil {
		return e
	}
	if e := r.declaration(); e != nil {
		return e
	}
	r.stack = append(make([]opened, 0, 8), opened{})
	for r.i < len(r.s) {
		var e *stop
		if r.s[r.i] == '<' {
			e = r.markup()
		} else {
			e = r.text()
		}
		if e != nil {
			return e
		}
	}
	if len(r.stack) > 1 {
		return wrong("the document ends within <%s>", r.doc.nodes[r.stack[len(r.stack)-1].node].local)
	}
	if r.doc.root == 0 {
		return wrong("the document has no element")
	}
	return nil
}

// characters looks for what no document may hold (XML 1.0 §2.2).
func (r *reader) characters() *stop {
	for i := 0; i < len(r.s); i++ {
		c := r.s[i]
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			r.i = i
			return wrong("the control character %#02x must not be in a document", c)
		}
		if c == 0xEF && i+2 < len(r.s) && r.s[i+1] == 0xBF && r.s[i+2] >= 0xBE {
			r.i = i
			return wrong("U+FFFE and U+FFFF must not be in a document")
		}
	}
	return nil
}

// declaration reads <?xml version="1.0" ...?> (XML 1.0 §2.8).
func (r *reader) declaration() *stop {
	if !strings.HasPrefix(r.s, "<?xml") || len(r.s) > 5 && !strings.ContainsRune(blanks, rune(r.s[5])) {
		return nil
	}
	head, _, ok := strings.Cut(r.s, "?>")
	if !ok {
		return wrong("the XML declaration does not end")
	}
	rest := head[5:]
	for step, name := range []string{"version", "encoding", "standalone"} {
		after := strings.TrimLeft(rest, blanks)
		if !strings.HasPrefix(after, name) {
			if step == 0 {
				return wrong("the XML declaration does not say the version")
			}
			continue
		}
		if len(after) == len(rest) {
			return wrong("there is no blank before %s in the XML declaration", name)
		}
		after = strings.TrimLeft(after[len(name):], blanks)
		if !strings.HasPrefix(after, "=") {
			return wrong("%s in the XML declaration has no value", name)
		}
		after = strings.TrimLeft(after[1:], blanks)
		if after == "" || after[0] != '"' && after[0] != '\'' {
			return wrong("%s in the XML declaration has no value in quotation marks", name)
		}
		value, more, ok := strings.Cut(after[1:], after[:1])
		switch {
		case !ok:
			return wrong("%s in the XML declaration has no value in quotation marks", name)
		case step == 0 && value != "1.0":
			return wrong("XML %q is not read: 1.0 is", clip(value))
		case step == 1 && !encodingName(value):
			return wrong("%q is not the name of an encoding", clip(value))
		case step == 2 && value != "yes" && value != "no":
			return wrong("standalone is yes or no")
		}
		rest = more
	}
	if trim(rest) != "" {
		return wrong("the XML declaration holds what it must not")
	}
	r.i = len(head) + 2
	return nil
}

func encodingName(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')) {
			return false
		}
	}
	return s != ""
}

// markup reads what begins with "<".
func (r *reader) markup() *stop {
	rest := r.s[r.i:]
	switch {
	case strings.HasPrefix(rest, "</"):
		return r.endTag()
	case strings.HasPrefix(rest, "<!--"):
		return r.comment()
	case strings.HasPrefix(rest, "<![CDATA["):
		return r.cdata()
	case strings.HasPrefix(rest, "<!DOCTYPE"):
		return &stop{codeDoctype, "a document type (<!DOCTYPE ...>) is not allowed"}
	case strings.HasPrefix(rest, "<!"):
		return wrong("%q is not known here", clip(rest[:min(len(rest), 12)]))
	case strings.HasPrefix(rest, "<?"):
		return r.instruction()
	}
	return r.startTag()
}

// add appends a node to the element that is open.
func (r *reader) add(n node) (int32, *stop) {
	if n.kind != text {
		if e := r.counted(); e != nil {
			return 0, e
		}
	}
	top := &r.stack[len(r.stack)-1]
	i := int32(len(r.doc.nodes))
	n.parent = top.node
	r.doc.nodes = append(r.doc.nodes, n)
	if top.last == 0 {
		r.doc.nodes[top.node].first = i
	} else {
		r.doc.nodes[top.last].next = i
	}
	top.last = i
	return i, nil
}

func (r *reader) counted() *stop {
	r.count++
	if r.count > r.limit.Elements {
		return &stop{codeElements, fmt.Sprintf("the document has more than %d elements and attributes", r.limit.Elements)}
	}
	return nil
}

// text reads up to the next "<".
func (r *reader) text() *stop {
	n := strings.IndexByte(r.s[r.i:], '<')
	if n < 0 {
		n = len(r.s) - r.i
	}
	raw := r.s[r.i : r.i+n]
	if len(r.stack) == 1 {
		if trim(raw) != "" {
			return wrong("there is text outside of the root element")
		}
		r.i += n
		return nil
	}
	if strings.Contains(raw, "]]>") {
		return wrong("\"]]>\" must not stand in text")
	}
	value, e := r.expand(raw, false)
	if e != nil {
		return e
	}
	if _, e := r.add(node{kind: text, text: value}); e != nil {
		return e
	}
	r.i += n
	return nil
}

func (r *reader) cdata() *stop {
	if len(r.stack) == 1 {
		return wrong("there is text outside of the root element")
	}
	value, _, ok := strings.Cut(r.s[r.i+9:], "]]>")
	if !ok {
		return wrong("a CDATA section does not end")
	}
	if e := r.counted(); e != nil {
		return e
	}
	r.i += 9 + len(value) + 3
	_, e := r.add(node{kind: text, text: newlines(value)})
	return e
}

// comment reads <!-- ... --> (XML 1.0 §2.5).
func (r *reader) comment() *stop {
	value, rest, ok := strings.Cut(r.s[r.i+4:], "--")
	switch {
	case !ok:
		return wrong("a comment does not end")
	case !strings.HasPrefix(rest, ">"):
		return wrong("\"--\" must not stand in a comment")
	}
	r.i += 4 + len(value) + 3
	_, e := r.add(node{kind: comment, text: newlines(value)})
	return e
}

// instruction reads <?target data?> (XML 1.0 §2.6). None is obeyed.
func (r *reader) instruction() *stop {
	at := r.i + 2
	target := r.s[at : at+nameLength(r.s[at:])]
	switch {
	case target == "" || strings.Contains(target, ":"):
		return wrong("a processing instruction has no name")
	case strings.EqualFold(target, "xml"):
		return wrong("an XML declaration may only stand at the very beginning")
	}
	data, _, ok := strings.Cut(r.s[at+len(target):], "?>")
	if !ok {
		return wrong("a processing instruction does not end")
	}
	value := strings.TrimLeft(data, blanks)
	if value != "" && len(value) == len(data) {
		return wrong("a processing instruction has no blank after its name")
	}
	r.i = at + len(target) + len(data) + 2
	_, e := r.add(node{kind: instruction, local: target, text: newlines(value)})
	return e
}

func (r *reader) endTag() *stop {
	at := r.i + 2
	n := nameLength(r.s[at:])
	name := r.s[at : at+n]
	if len(r.stack) == 1 {
		return wrong("</%s> ends nothing", clip(name))
	}
	top := r.stack[len(r.stack)-1]
	open := &r.doc.nodes[top.node]
	if prefix, local := split(name); prefix != open.prefix || local != open.local {
		return wrong("</%s> stands where <%s> should end", clip(name), clip(qualified(open.prefix, open.local)))
	}
	for at += n; at < len(r.s) && strings.IndexByte(blanks, r.s[at]) >= 0; at++ {
	}
	if at == len(r.s) || r.s[at] != '>' {
		return wrong("</%s does not end", clip(name))
	}
	r.i = at + 1
	open.end = int32(r.i)
	r.stack, r.scope = r.stack[:len(r.stack)-1], r.scope[:top.scope]
	return nil
}

func (r *reader) startTag() *stop {
	switch {
	case len(r.stack) == 1 && r.doc.root != 0:
		return wrong("there is a second root element")
	case len(r.stack) > r.limit.Depth:
		return &stop{codeDepth, fmt.Sprintf("elements stand in each other more than %d deep", r.limit.Depth)}
	}
	at := r.i + 1
	n := nameLength(r.s[at:])
	prefix, local := split(r.s[at : at+n])
	if local == "" {
		return wrong("\"<\" is not followed by the name of an element")
	}
	this, e := r.add(node{kind: element, prefix: prefix, local: local, start: int32(r.i)})
	if e != nil {
		return e
	}
	before := len(r.scope)
	end, empty, e := r.attributes(this, at+n)
	if e != nil {
		return e
	}
	if e := r.resolve(this); e != nil {
		return e
	}
	r.i = end
	opening := &r.doc.nodes[this]
	opening.open = int32(end)
	if len(r.stack) == 1 {
		r.doc.root = this
	}
	if empty {
		opening.end = int32(end)
		r.scope = r.scope[:before]
		return nil
	}
	r.stack = append(r.stack, opened{node: this, scope: before})
	return nil
}

// attributes reads from at, behind the name of an element, to the end of its tag.
func (r *reader) attributes(this int32, at int) (end int, empty bool, e *stop) {
	d := r.doc
	d.nodes[this].attrs.from, d.nodes[this].decls.from = int32(len(d.attrs)), int32(len(d.decls))
	defer func() {
		d.nodes[this].attrs.to, d.nodes[this].decls.to = int32(len(d.attrs)), int32(len(d.decls))
	}()
	for count := 0; ; count++ {
		blank := at
		for at < len(r.s) && strings.IndexByte(blanks, r.s[at]) >= 0 {
			at++
		}
		switch {
		case at == len(r.s):
			return 0, false, wrong("the tag <%s does not end", clip(d.nodes[this].local))
		case r.s[at] == '>':
			return at + 1, false, nil
		case strings.HasPrefix(r.s[at:], "/>"):
			return at + 2, true, nil
		case at == blank:
			return 0, false, wrong("in the tag <%s> a blank is missing", clip(d.nodes[this].local))
		case count == maxAttributes:
			return 0, false, &stop{codeElements, fmt.Sprintf("an element has more than %d attributes", maxAttributes)}
		}
		if e := r.counted(); e != nil {
			return 0, false, e
		}
		n := nameLength(r.s[at:])
		prefix, local := split(r.s[at : at+n])
		if local == "" {
			return 0, false, wrong("in the tag <%s> the name of an attribute is wrong", clip(d.nodes[this].local))
		}
		at += n
		for at < len(r.s) && strings.IndexByte(blanks, r.s[at]) >= 0 {
			at++
		}
		if at == len(r.s) || r.s[at] != '=' {
			return 0, false, wrong("the attribute %s has no value", clip(local))
		}
		for at++; at < len(r.s) && strings.IndexByte(blanks, r.s[at]) >= 0; at++ {
		}
		if at == len(r.s) || r.s[at] != '"' && r.s[at] != '\'' {
			return 0, false, wrong("the value of the attribute %s is not in quotation marks", clip(local))
		}
		raw, _, ok := strings.Cut(r.s[at+1:], r.s[at:at+1])
		if !ok || strings.IndexByte(raw, '<') >= 0 {
			return 0, false, wrong("the value of the attribute %s does not end", clip(local))
		}
		value, e := r.expand(raw, true)
		if e != nil {
			return 0, false, e
		}
		at += len(raw) + 2
		switch {
		case prefix == "" && local == "xmlns":
			e = r.declare("", value)
		case prefix == "xmlns":
			e = r.declare(local, value)
		default:
			d.attrs = append(d.attrs, attribute{prefix: prefix, local: local, value: value})
		}
		if e != nil {
			return 0, false, e
		}
	}
}

// declare binds a prefix (Namespaces in XML 1.0 §3).
func (r *reader) declare(prefix, space string) *stop {
	switch {
	case prefix == "xmlns", space == xmlnsSpace, (prefix == "xml") != (space == xmlSpace):
		return wrong("the prefix %q cannot be declared like that", clip(prefix))
	case space == "" && prefix != "":
		return wrong("the prefix %q is declared to be nothing", clip(prefix))
	case len(space) > maxNamespace:
		return &stop{codeElements, fmt.Sprintf("the name of a namespace has more than %d bytes", maxNamespace)}
	case len(r.scope) >= maxDeclarations:
		return &stop{codeElements, fmt.Sprintf("more than %d namespaces are in force", maxDeclarations)}
	}
	r.doc.decls = append(r.doc.decls, declaration{prefix, space})
	r.scope = append(r.scope, declaration{prefix, space})
	return nil
}

// resolve finds the namespaces of an element and its attributes.
func (r *reader) resolve(this int32) *stop {
	d := r.doc
	n := &d.nodes[this]
	decls := d.declarations(this)
	for i := range decls {
		for _, other := range decls[:i] {
			if other.prefix == decls[i].prefix {
				return wrong("in the tag <%s> a namespace is declared twice", clip(n.local))
			}
		}
	}
	var ok bool
	if n.space, ok = r.space(n.prefix); !ok {
		return wrong("the prefix of <%s> is not declared", clip(qualified(n.prefix, n.local)))
	}
	attrs := d.attributes(this)
	for i := range attrs {
		a := &attrs[i]
		if a.prefix != "" {
			if a.space, ok = r.space(a.prefix); !ok {
				return wrong("the prefix of the attribute %s is not declared", clip(qualified(a.prefix, a.local)))
			}
		}
		for _, other := range attrs[:i] {
			if other.local == a.local && other.space == a.space {
				return wrong("the attribute %s stands twice in one tag", clip(a.local))
			}
		}
	}
	return nil
}

func (r *reader) space(prefix string) (string, bool) {
	for i := len(r.scope) - 1; i >= 0; i-- {
		if r.scope[i].prefix == prefix {
			return r.scope[i].space, true
		}
	}
	if prefix == "xml" {
		return xmlSpace, true
	}
	return "", prefix == ""
}

// expand makes line ends one and replaces references; in an attribute, blanks
// become spaces (XML 1.0 §2.11, §3.3.3, §4.4).
func (r *reader) expand(raw string, attribute bool) (string, *stop) {
	raw = newlines(raw)
	if attribute && strings.ContainsAny(raw, "\t\n") {
		raw = strings.NewReplacer("\t", " ", "\n", " ").Replace(raw)
	}
	before, after, ok := strings.Cut(raw, "&")
	if !ok {
		return raw, nil
	}
	var b strings.Builder
	b.Grow(len(raw))
	for ok {
		b.WriteString(before)
		name, _, ended := strings.Cut(after[:min(len(after), 40)], ";")
		if !ended {
			return "", wrong("\"&\" must be written \"&amp;\"")
		}
		if e := reference(&b, name); e != nil {
			return "", e
		}
		before, after, ok = strings.Cut(after[len(name)+1:], "&")
	}
	b.WriteString(before)
	return b.String(), nil
}

// reference writes what &name; stands for.
func reference(b *strings.Builder, name string) *stop {
	switch name {
	case "amp":
		b.WriteByte('&')
	case "lt":
		b.WriteByte('<')
	case "gt":
		b.WriteByte('>')
	case "quot":
		b.WriteByte('"')
	case "apos":
		b.WriteByte('\'')
	default:
		digits, isNumber := strings.CutPrefix(name, "#")
		if !isNumber {
			if name == "" || nameLength(name) != len(name) {
				return wrong("\"&\" must be written \"&amp;\"")
			}
			return &stop{codeEntity, fmt.Sprintf("the entity &%s; is not known: only &amp; &lt; &gt; &quot; &apos; are", clip(name))}
		}
		base := 10
		if hex, ok := strings.CutPrefix(digits, "x"); ok {
			digits, base = hex, 16
		}
		n, err := strconv.ParseUint(digits, base, 32)
		if err != nil || strings.Contains(digits, "_") || !isChar(rune(n)) || n > utf8.MaxRune {
			return wrong("&%s; is not a character", clip(name))
		}
		b.WriteRune(rune(n))
	}
	return nil
}

// newlines makes the line ends of a text one (XML 1.0 §2.11).
func newlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// isChar reports whether a document may hold r (XML 1.0 §2.2).
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// nameLength is how many bytes at the beginning of s are a name (XML 1.0 §2.3).
func nameLength(s string) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == ':' || i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.')) {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isNameStart(r) && (i == 0 || !(r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040)) {
			return i
		}
		i += n
	}
	return len(s)
}

func isNameStart(r rune) bool {
	switch {
	case r >= 0xC0 && r <= 0x2FF:
		return r != 0xD7 && r != 0xF7
	case r >= 0x370 && r <= 0x1FFF:
		return r != 0x37E
	}
	return r == 0x200C || r == 0x200D || r >= 0x2070 && r <= 0x218F || r >= 0x2C00 && r <= 0x2FEF ||
		r >= 0x3001 && r <= 0xD7FF || r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD || r >= 0x10000 && r <= 0xEFFFF
}

// split parts a name at its colon; local is empty when it is not a name with at
// most one prefix (Namespaces in XML 1.0 §4).
func split(name string) (prefix, local string) {
	i := strings.IndexByte(name, ':')
	if i < 0 {
		return "", name
	}
	prefix, local = name[:i], name[i+1:]
	if prefix == "" || strings.IndexByte(local, ':') >= 0 || nameLength(local) != len(local) {
		return "", ""
	}
	return prefix, local
}

func qualified(prefix, local string) string {
	if prefix == "" {
		return local
	}
	return prefix + ":" + local
}
