package cap

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Append writes an alert as CAP 1.2 (§3.2), whatever version it was read from,
// and returns dst with the document behind it. An alert without errors of Check
// is valid against the schema of OASIS, and Parse reads it as it was, but for
// parts of a second, altitudes beyond a millionth of a foot, quotation marks
// within addresses and incidents, and characters that XML cannot hold.
func Append(dst []byte, a *Alert) []byte {
	dst = append(dst, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...)
	return append(appendAlert(dst, a), '\n')
}

// Marshal is Append to nothing.
func Marshal(a *Alert) []byte { return Append(nil, a) }

// appendAlert writes the element.
func appendAlert(dst []byte, a *Alert) []byte {
	w := writer{b: append(dst, `<alert xmlns="`+space12+`">`...), depth: 1}
	w.must("identifier", a.Identifier)
	w.must("sender", a.Sender)
	w.time("sent", a.Sent, true)
	w.must("status", a.Status)
	w.must("msgType", a.MsgType)
	w.text("source", a.Source)
	w.must("scope", a.Scope)
	w.text("restriction", a.Restriction)
	w.text("addresses", group(a.Addresses))
	w.all("code", a.Code)
	w.text("note", a.Note)
	if len(a.References) > 0 {
		w.open("references")
		for i, r := range a.References {
			if i > 0 {
				w.b = append(w.b, ' ')
			}
			w.b = append(appendText(w.b, r.Sender), ',')
			w.b = append(appendText(w.b, r.Identifier), ',')
			w.b = appendTime(w.b, r.Sent)
		}
		w.end("references")
	}
	w.text("incidents", group(a.Incidents))
	for i := range a.Info {
		w.info(&a.Info[i])
	}
	w.b = append(w.b, '\n')
	return append(w.b, "</alert>"...)
}

// A writer writes elements, each on a line of its own.
type writer struct {
	b     []byte
	depth int
}

func (w *writer) line() {
	w.b = append(w.b, '\n')
	for range w.depth {
		w.b = append(w.b, "  "...)
	}
}

func (w *writer) open(name string) {
	w.line()
	w.b = append(append(append(w.b, '<'), name...), '>')
}

func (w *writer) end(name string) {
	w.b = append(append(append(w.b, "</"...), name...), '>')
}

// must writes an element that may not be left out.
func (w *writer) must(name, value string) {
	w.open(name)
	w.b = appendText(w.b, value)
	w.end(name)
}

func (w *writer) text(name, value string) {
	if value != "" {
		w.must(name, value)
	}
}

func (w *writer) all(name string, values []string) {
	for _, v := range values {
		w.must(name, v)
	}
}

func (w *writer) time(name string, t time.Time, must bool) {
	if t.IsZero() && !must {
		return
	}
	w.open(name)
	w.b = appendTime(w.b, t)
	w.end(name)
}

// nested writes an element that has elements in it.
func (w *writer) nested(name string, fill func()) {
	w.open(name)
	w.depth++
	fill()
	w.depth--
	w.line()
	w.end(name)
}

func (w *writer) values(name string, values []Value) {
	for _, v := range values {
		w.nested(name, func() {
			w.must("valueName", v.ValueName)
			w.must("value", v.Value)
		})
	}
}

func (w *writer) number(name string, f *float64) {
	if f != nil {
		w.open(name)
		w.b = appendDecimal(w.b, math.Round(*f*1e6)/1e6)
		w.end(name)
	}
}

func (w *writer) info(i *Info) {
	w.nested("info", func() {
		w.text("language", i.Language)
		w.all("category", i.Category)
		w.must("event", i.Event)
		w.all("responseType", i.ResponseType)
		w.must("urgency", i.Urgency)
		w.must("severity", i.Severity)
		w.must("certainty", i.Certainty)
		w.text("audience", i.Audience)
		w.values("eventCode", i.EventCode)
		w.time("effective", i.Effective, false)
		w.time("onset", i.Onset, false)
		w.time("expires", i.Expires, false)
		w.text("senderName", i.SenderName)
		w.text("headline", i.Headline)
		w.text("description", i.Description)
		w.text("instruction", i.Instruction)
		w.text("web", i.Web)
		w.text("contact", i.Contact)
		w.values("parameter", i.Parameter)
		for r := range i.Resource {
			w.resource(&i.Resource[r])
		}
		for a := range i.Area {
			w.area(&i.Area[a])
		}
	})
}

func (w *writer) resource(r *Resource) {
	w.nested("resource", func() {
		w.must("resourceDesc", r.ResourceDesc)
		w.must("mimeType", r.MimeType)
		if r.Size != nil {
			w.text("size", strconv.FormatInt(*r.Size, 10))
		}
		w.text("uri", r.URI)
		w.text("derefUri", r.DerefURI)
		w.text("digest", r.Digest)
	})
}

func (w *writer) area(a *Area) {
	w.nested("area", func() {
		w.must("areaDesc", a.AreaDesc)
		for _, ring := range a.Polygon {
			w.open("polygon")
			for i, p := range ring {
				if i > 0 {
					w.b = append(w.b, ' ')
				}
				w.b = appendPoint(w.b, p)
			}
			w.end("polygon")
		}
		for _, c := range a.Circle {
			w.open("circle")
			w.b = append(appendPoint(w.b, c.Center), ' ')
			w.b = appendDecimal(w.b, c.Radius)
			w.end("circle")
		}
		w.values("geocode", a.Geocode)
		w.number("altitude", a.Altitude)
		w.number("ceiling", a.Ceiling)
	})
}

// group writes values with blanks between them (CAP 1.2 §3.2.1 addresses). It
// has no way to tell a quotation mark.
func group(values []string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(' ')
		}
		v = strings.ReplaceAll(v, `"`, "'")
		if v == "" || strings.ContainsAny(v, blanks) {
			v = `"` + v + `"`
		}
		b.WriteString(v)
	}
	return b.String()
}

// appendText writes what may stand between tags. What XML cannot hold becomes
// U+FFFD.
func appendText(dst []byte, s string) []byte { return appendEscaped(dst, s, "&<>\r") }

// appendAttribute writes what may stand between the quotation marks of an attribute.
func appendAttribute(dst []byte, s string) []byte { return appendEscaped(dst, s, "&<\"\t\n\r") }

// appendEscaped writes s with the characters of special as references. For those
// of text and attributes this is their form in Canonical XML 1.0 §2.3.
func appendEscaped(dst []byte, s, special string) []byte {
	from := 0
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		by := ""
		switch {
		case r == utf8.RuneError && n == 1 || !isChar(r):
			by = "\uFFFD"
		case n == 1 && strings.IndexByte(special, byte(r)) >= 0:
			by = escapes[r]
		}
		if by != "" {
			dst = append(append(dst, s[from:i]...), by...)
			from = i + n
		}
		i += n
	}
	return append(dst, s[from:]...)
}

var escapes = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '"': "&quot;", '\t': "&#x9;", '\n': "&#xA;", '\r': "&#xD;"}
