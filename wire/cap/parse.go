package cap

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"konbit/record"
)

// Namespaces of the versions.
const (
	space10 = "http://www.inci" + "dent.com/cap/1.0" // in two parts: a desk's name must not stand in the kernel
	space11 = "urn:oasis:names:tc:emergency:cap:1.1"
	space12 = "urn:oasis:names:tc:emergency:cap:1.2"
)

const (
	opParse = "cap.parse"

	signatureSpace = "http://www.w3.org/2000/09/xmldsig#"
	schemaSpace    = "http://www.w3.org/2001/XMLSchema-instance"
)

// The codes of what breaks the schema, as they stand in record.Field.Code. Those
// of documents that are no XML are in limits.go.
const (
	codeNotCAP     = "not-cap"         // the root is not an alert of a version that is read
	codeRequired   = "required"        // an element is missing
	codeUnknown    = "unknown-element" // an element has no place there
	codeAttribute  = "attribute"       // an attribute has no place there
	codeOrder      = "order"           // an element stands behind one that comes later
	codeRepeated   = "repeated"        // an element stands twice
	codeStray      = "stray-text"      // text stands between elements
	codeEnum       = "enum"            // a value is not of the list
	codeName       = "identifier"      // blanks, commas, < or & in an identifier or a sender
	codeTime       = "time"
	codeZone       = "time-zone"
	codeReferences = "references"
	codePolygon    = "polygon"
	codeCircle     = "circle"
	codePlace      = "coordinates" // not on earth
	codeNumber     = "number"
	codeLanguage   = "language"
	codeURI        = "uri"
	codePair       = "pair" // of CAP 1.0: not name=value
)

// Parse reads a CAP document of version 1.0, 1.1 or 1.2, by its namespace. The
// error is a *record.Error whose Fields list everything in which the document
// breaks the schema of its version or the rules for identifiers, times,
// references and coordinates (CAP 1.2 §3.2, §3.3): Path is the element, as in
// "info[1].area[0].polygon[0]", counted from 0. Code is Invalid, or TooLarge for
// a document over the limits.
//
// Blanks around texts are left out, "Very Likely" becomes "Likely" (CAP 1.2
// §3.2.2), and the password of CAP 1.0 is not kept. Signatures are not looked
// at: see Verify. What Parse accepts may still be of no use: see Check.
func Parse(data []byte, limit Limits) (*Alert, error) {
	limit = limit.orDefault()
	doc, err := read(opParse, data, limit)
	if err != nil {
		return nil, err
	}
	a, faults := parseAlert(doc, doc.root, limit.Faults)
	if len(faults) > 0 {
		return nil, &record.Error{Code: record.Invalid, Op: opParse, Message: "the alert is not valid", Fields: faults}
	}
	return a, nil
}

// version returns the CAP version of a namespace, "" when it is none.
func versionOf(space string) string {
	switch space {
	case space12:
		return Version12
	case space11:
		return Version11
	case space10:
		return Version10
	}
	return ""
}

// parseAlert reads the alert that is the element n.
func parseAlert(doc *document, n int32, most int) (*Alert, record.Fields) {
	root := &doc.nodes[n]
	version := versionOf(root.space)
	p := &parser{doc: doc, base: n, version: version, space: root.space, most: most}
	switch {
	case root.local != "alert":
		p.fault(n, codeNotCAP, fmt.Sprintf("<%s> is not a CAP alert", clip(root.local)))
		return nil, p.faults
	case version == "":
		p.fault(n, codeNotCAP, fmt.Sprintf("the namespace %q is not that of CAP 1.0, 1.1 or 1.2", clip(root.space)))
		return nil, p.faults
	}
	p.shapes = shapesOf(version)
	return p.alert(n), p.faults
}

type parser struct {
	doc     *document
	base    int32 // the alert
	version string
	space   string
	shapes  *shapes
	most    int // faults
	faults  record.Fields
}

// fault notes what is wrong with n.
func (p *parser) fault(n int32, code, message string) {
	if len(p.faults) < p.most {
		p.faults.Add(p.doc.path(n, p.base), code, message)
	}
}

// missing notes that n lacks an element.
func (p *parser) missing(n int32, name string) {
	if len(p.faults) >= p.most {
		return
	}
	path := name
	if n != p.base {
		path = p.doc.path(n, p.base) + "." + name
	}
	p.faults.Add(path, codeRequired, fmt.Sprintf("<%s> is missing", name))
}

// each hands the child elements of n to take, with their names, and notes those
// that have no place there.
func (p *parser) each(n int32, s shape, take func(name string, c int32)) {
	p.attributes(n)
	doc := p.doc
	var seen uint64
	at, signed, stray := 0, false, false
	for c := doc.nodes[n].first; c != 0; c = doc.nodes[c].next {
		if len(p.faults) >= p.most {
			return // it is refused, and no more is said
		}
		child := &doc.nodes[c]
		if child.kind == text && !stray && trim(child.text) != "" {
			stray = true
			p.fault(n, codeStray, fmt.Sprintf("text stands between the elements: %q", clip(trim(child.text))))
		}
		if child.kind != element {
			continue
		}
		if child.space == signatureSpace && n == p.base {
			signed = true // and whatever it holds: CAP 1.2 §3.3.4.1
			continue
		}
		i := -1
		if child.space == p.space {
			i = s.find(child.local, at)
		}
		switch {
		case i < 0:
			p.fault(c, codeUnknown, fmt.Sprintf("<%s> has no place in <%s> of CAP %s", clip(child.local), doc.nodes[n].local, p.version))
			continue
		case seen&(1<<i) != 0 && !s[i].many:
			p.fault(c, codeRepeated, fmt.Sprintf("<%s> stands more than once", child.local))
			continue
		case signed:
			p.fault(c, codeOrder, fmt.Sprintf("<%s> stands behind the signature", child.local))
		case i < at:
			p.fault(c, codeOrder, fmt.Sprintf("<%s> must stand before <%s>", child.local, s[at].name))
		default:
			at = i
		}
		seen |= 1 << i
		take(s[i].name, c)
	}
	for i, r := range s {
		if r.must && seen&(1<<i) == 0 {
			p.missing(n, r.name)
		}
	}
}

// attributes notes attributes: CAP has none but what XML Schema allows anywhere.
func (p *parser) attributes(n int32) {
	for _, a := range p.doc.attributes(n) {
		if a.space != schemaSpace {
			p.fault(n, codeAttribute, fmt.Sprintf("the attribute %s has no place in <%s>", clip(qualified(a.prefix, a.local)), p.doc.nodes[n].local))
		}
	}
}

// raw is the text of an element that holds nothing else, as it stands.
func (p *parser) raw(n int32) string {
	p.attributes(n)
	for c := p.doc.nodes[n].first; c != 0; c = p.doc.nodes[c].next {
		if child := &p.doc.nodes[c]; child.kind == element {
			p.fault(c, codeUnknown, fmt.Sprintf("<%s> has no place in <%s> of CAP %s", clip(child.local), p.doc.nodes[n].local, p.version))
		}
	}
	return p.doc.value(n)
}

func (p *parser) text(n int32) string { return trim(p.raw(n)) }

// enum reads a value of a list; blanks around it are faults, as in the schema.
func (p *parser) enum(n int32, list []string) string {
	s := p.raw(n)
	for _, v := range list {
		if v == s && (p.version == Version12 || later[v] <= p.version) {
			return v
		}
	}
	if s == veryLikely && p.version == Version10 && p.doc.nodes[n].local == "certainty" {
		return "Likely"
	}
	p.fault(n, codeEnum, fmt.Sprintf("%q is not one of %s", clip(s), strings.Join(valuesIn(list, p.version), ", ")))
	return ""
}

func (p *parser) name(n int32) string {
	s := p.raw(n)
	if !isName(s) {
		p.fault(n, codeName, fmt.Sprintf("%q is empty or holds a blank, a comma, < or &", clip(s)))
	}
	return s
}

func (p *parser) time(n int32) time.Time {
	s := p.raw(n)
	t, err := parseTime(s, p.version)
	p.bad(n, s, err)
	return t
}

// bad notes an error of value.go about the text of n.
func (p *parser) bad(n int32, s string, err error) {
	code := ""
	switch err {
	case nil:
		return
	case errTime:
		code = codeTime
	case errZone:
		code = codeZone
	case errPair:
		code = codePolygon
	case errCircle:
		code = codeCircle
	case errRange:
		code = codePlace
	case errReferences:
		code = codeReferences
	}
	p.fault(n, code, fmt.Sprintf("%q %s", clip(trim(s)), err))
}

func (p *parser) language(n int32) string {
	s := p.text(n)
	if s != "" && !isLanguage(s) {
		p.fault(n, codeLanguage, fmt.Sprintf("%q is not a language like fr or en-US", clip(s)))
	}
	return s
}

func (p *parser) uri(n int32) string {
	s := p.text(n)
	if !isURI(s) {
		p.fault(n, codeURI, fmt.Sprintf("%q is not a URI", clip(s)))
	}
	return s
}

// isURI reports whether s is XML Schema's anyURI: RFC 3986, where blanks and
// letters beyond ASCII need not be escaped.
func isURI(s string) bool {
	if _, err := url.Parse(s); err != nil || strings.Count(s, "#") > 1 {
		return false
	}
	// Square brackets only stand around the address of a host.
	rest := s
	if _, after, ok := strings.Cut(s, "//"); ok {
		if host, behind, ok := strings.Cut(after, "]"); ok && strings.Count(host, "[") == 1 && !strings.ContainsAny(host, "/?#") {
			rest = behind
		}
	}
	if strings.ContainsAny(rest, "[]") {
		return false
	}
	for i := range len(s) {
		if s[i] == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func (p *parser) decimal(n int32) *float64 {
	s := p.text(n)
	f, ok := decimal(s)
	if !ok {
		p.fault(n, codeNumber, fmt.Sprintf("%q is not a number", clip(s)))
		return nil
	}
	return &f
}

func (p *parser) size(n int32) *int64 {
	s := p.text(n)
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil || i < 0 {
		p.fault(n, codeNumber, fmt.Sprintf("%q is not a number of bytes", clip(s)))
		return nil
	}
	return &i
}

// value reads a named value. CAP 1.0 §3.2 has it as name=value.
func (p *parser) value(n int32) (v Value) {
	if p.version == Version10 {
		s := p.text(n)
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			p.fault(n, codePair, fmt.Sprintf("%q is not name=value", clip(s)))
		}
		return Value{name, value}
	}
	p.each(n, pair, func(name string, c int32) {
		if name == "value" {
			v.Value = p.text(c)
		} else {
			v.ValueName = p.text(c)
		}
	})
	return v
}

func (p *parser) alert(n int32) *Alert {
	a := &Alert{Version: p.version}
	p.each(n, p.shapes.alert, func(name string, c int32) {
		switch name {
		case "identifier":
			a.Identifier = p.name(c)
		case "sender":
			a.Sender = p.name(c)
		case "sent":
			a.Sent = p.time(c)
		case "status":
			a.Status = p.enum(c, statuses)
		case "msgType":
			a.MsgType = p.enum(c, msgTypes)
		case "source":
			a.Source = p.text(c)
		case "scope":
			a.Scope = p.enum(c, scopes)
		case "restriction":
			a.Restriction = p.text(c)
		case "addresses":
			a.Addresses = parseGroup(p.text(c))
		case "code":
			a.Code = append(a.Code, p.text(c))
		case "note":
			a.Note = p.text(c)
		case "references":
			s := p.raw(c)
			var err error
			a.References, err = parseReferences(s, p.version)
			p.bad(c, s, err)
		case "incidents":
			a.Incidents = parseGroup(p.text(c))
		case "info":
			a.Info = append(a.Info, p.info(c))
		case "password":
			p.text(c)
		}
	})
	return a
}

func (p *parser) info(n int32) (i Info) {
	p.each(n, p.shapes.info, func(name string, c int32) {
		switch name {
		case "language":
			i.Language = p.language(c)
		case "category":
			i.Category = append(i.Category, p.enum(c, categories))
		case "event":
			i.Event = p.text(c)
		case "responseType":
			i.ResponseType = append(i.ResponseType, p.enum(c, responseTypes))
		case "urgency":
			i.Urgency = p.enum(c, urgencies)
		case "severity":
			i.Severity = p.enum(c, severities)
		case "certainty":
			i.Certainty = p.enum(c, certainties)
		case "audience":
			i.Audience = p.text(c)
		case "eventCode":
			i.EventCode = append(i.EventCode, p.value(c))
		case "effective":
			i.Effective = p.time(c)
		case "onset":
			i.Onset = p.time(c)
		case "expires":
			i.Expires = p.time(c)
		case "senderName":
			i.SenderName = p.text(c)
		case "headline":
			i.Headline = p.text(c)
		case "description":
			i.Description = p.text(c)
		case "instruction":
			i.Instruction = p.text(c)
		case "web":
			i.Web = p.uri(c)
		case "contact":
			i.Contact = p.text(c)
		case "parameter":
			i.Parameter = append(i.Parameter, p.value(c))
		case "resource":
			i.Resource = append(i.Resource, p.resource(c))
		case "area":
			i.Area = append(i.Area, p.area(c))
		}
	})
	return i
}

func (p *parser) resource(n int32) (r Resource) {
	p.each(n, p.shapes.resource, func(name string, c int32) {
		switch name {
		case "resourceDesc":
			r.ResourceDesc = p.text(c)
		case "mimeType":
			r.MimeType = p.text(c)
		case "size":
			r.Size = p.size(c)
		case "uri":
			r.URI = p.uri(c)
		case "derefUri":
			r.DerefURI = p.text(c)
		case "digest":
			r.Digest = p.text(c)
		}
	})
	return r
}

func (p *parser) area(n int32) (a Area) {
	p.each(n, p.shapes.area, func(name string, c int32) {
		switch name {
		case "areaDesc":
			a.AreaDesc = p.text(c)
		case "polygon":
			s := p.raw(c)
			ring, err := parsePolygon(s)
			p.bad(c, s, err)
			a.Polygon = append(a.Polygon, ring)
		case "circle":
			s := p.raw(c)
			circle, err := parseCircle(s)
			p.bad(c, s, err)
			a.Circle = append(a.Circle, circle)
		case "geocode":
			a.Geocode = append(a.Geocode, p.value(c))
		case "altitude":
			a.Altitude = p.decimal(c)
		case "ceiling":
			a.Ceiling = p.decimal(c)
		}
	})
	return a
}
