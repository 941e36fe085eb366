package cap

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"konbit/record"
)

// Finding is one thing that Check has to say. A screen translates Code, and puts
// Params into its own words.
type Finding struct {
	Path    string         `json:"path"` // "info[1].area[0].polygon[0]"
	Code    string         `json:"code"`
	Message string         `json:"message"` // in English
	Params  map[string]any `json:"params,omitempty"`
}

// Report is what Check finds. Errors block the alert; warnings are for the one
// who sends it to think about.
type Report struct {
	Errors   []Finding `json:"errors,omitempty"`
	Warnings []Finding `json:"warnings,omitempty"`
}

// Err returns the errors as one *record.Error with the code Invalid, nil when
// there are none.
func (r *Report) Err(op string) error {
	if len(r.Errors) == 0 {
		return nil
	}
	var f record.Fields
	for _, e := range r.Errors {
		f.Add(e.Path, e.Code, e.Message)
	}
	return &record.Error{Code: record.Invalid, Op: op, Message: "the alert cannot go out as it is", Fields: f}
}

// Codes of the errors beyond those of the schema (parse.go).
const (
	codeTooLong          = "too-long"           // params: max, length
	codeExpiresMissing   = "expires-missing"    //
	codeExpiresSent      = "expires-sent"       // not after it was sent
	codeExpiresEffective = "expires-effective"  // not after it takes effect
	codeNoInfo           = "no-info"            //
	codeNoArea           = "no-area"            //
	codeNoShape          = "no-shape"           // neither a shape nor a geocode
	codeFewPoints        = "polygon-few"        // params: points, min
	codeOpenRing         = "polygon-open"       //
	codeCrossing         = "polygon-crosses"    //
	codeManyPoints       = "polygon-many"       // params: points, max
	codeAntimeridian     = "antimeridian"       //
	codeEventCode        = "event-code"         // params: count
	codeDifferent        = "differs"            // params: other: the path of what it differs from
	codeAllUnknown       = "all-unknown"        //
	codeInstruction      = "instruction"        // params: other, language
	codeOwnReference     = "reference-self"     //
	codeCeiling          = "ceiling"            // without an altitude, or below it
	codeForeign          = "characters"         // XML cannot hold them
	codeQuote            = "quotation-mark"     // in addresses and incidents
	warnPast             = "expires-past"       //
	warnFuture           = "sent-future"        //
	warnNoHeadline       = "headline-missing"   //
	warnNote             = "note-missing"       // of an exercise or an error
	warnWeb              = "web-relative"       //
	warnLater            = "reference-later"    // sent after this alert
	warnNoPoint          = "circle-point"       // a radius of nothing
	warnSameLanguage     = "language-repeated"  // params: other, language: same language, same areas
	warnDigest           = "digest"             // not SHA-1 in hexadecimal
	warnDereference      = "resource-unreached" // no address and no content
)

// Lengths that receivers cut at, and points of a polygon. A headline is shorter
// than MaxHeadline.
const (
	MaxHeadline = 140
	MaxEvent    = 35
	minPoints   = 4
	// crossingMost is up to which length a ring is looked at for crossings.
	crossingMost = 10_000
	// future is how far another's clock may be ahead.
	future = 5 * time.Minute
)

// Check lists what keeps an alert from going out, and what looks odd. An alert
// without errors is valid against the schema when Append writes it, and keeps
// the rules that public warning systems have beyond the schema. now is when it is
// to go out.
func Check(a *Alert, now time.Time) Report {
	c := checker{now: now}
	c.alert(a)
	for i := range a.Info {
		c.info(a, i)
	}
	c.languages(a)
	c.repeated(a)
	return c.Report
}

// mostFindings of each sort are listed.
const mostFindings = 200

type checker struct {
	Report
	now time.Time
}

func (c *checker) bad(path, code string, params map[string]any, format string, args ...any) {
	if len(c.Errors) < mostFindings {
		c.Errors = append(c.Errors, Finding{path, code, fmt.Sprintf(format, args...), params})
	}
}

func (c *checker) odd(path, code string, params map[string]any, format string, args ...any) {
	if len(c.Warnings) < mostFindings {
		c.Warnings = append(c.Warnings, Finding{path, code, fmt.Sprintf(format, args...), params})
	}
}

// text looks at a text that XML has to hold, at the path base and name.
func (c *checker) text(base, name, s string, must bool) {
	if must && trim(s) == "" {
		c.bad(base+name, codeRequired, nil, "%s%s is missing", base, name)
	}
	if !fits(s) {
		c.bad(base+name, codeForeign, nil, "%s%s holds a character that an alert cannot hold", base, name)
	}
}

// fits reports whether XML can hold s.
func fits(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !isChar(r) })
		}
	}
	return true
}

func (c *checker) enum(path, value string, list []string) {
	if !slices.Contains(list, value) {
		c.bad(path, codeEnum, map[string]any{"value": clip(value), "values": list}, "%q is not one of %s", clip(value), strings.Join(list, ", "))
	}
}

func (c *checker) enums(path string, values, list []string) {
	for k, s := range values {
		if !slices.Contains(list, s) {
			c.enum(record.Index(path, k), s, list)
		}
	}
}

// name looks at an identifier or a sender (CAP 1.2 §3.2.1).
func (c *checker) name(path, s string) {
	c.text(path, "", s, false)
	switch {
	case s == "":
		c.bad(path, codeRequired, nil, "%s is missing", path)
	case !isName(s):
		c.bad(path, codeName, nil, "%q holds a blank, a comma, < or &", clip(s))
	}
}

// time looks at a time that the form of CAP 1.2 §3.3.2 has to hold.
func (c *checker) time(path string, t time.Time) {
	_, offset := t.Zone()
	if t.IsZero() || t.Year() >= 1 && t.Year() <= 9999 && offset >= -14*3600 && offset <= 14*3600 {
		return
	}
	c.bad(path, codeTime, nil, "%s is not a time that an alert can hold", path)
}

func (c *checker) alert(a *Alert) {
	c.name("identifier", a.Identifier)
	c.name("sender", a.Sender)
	if a.Sent.IsZero() {
		c.bad("sent", codeRequired, nil, "sent is missing")
	} else if a.Sent.After(c.now.Add(future)) {
		c.odd("sent", warnFuture, nil, "the alert says that it was sent in the future")
	}
	c.time("sent", a.Sent)
	c.enum("status", a.Status, statuses)
	c.enum("msgType", a.MsgType, msgTypes)
	c.enum("scope", a.Scope, scopes)
	c.text("", "source", a.Source, false)
	c.text("", "restriction", a.Restriction, a.Scope == "Restricted") // §3.2.1
	c.text("", "note", a.Note, false)
	if a.Scope == "Private" && len(a.Addresses) == 0 { // §3.2.1
		c.bad("addresses", codeRequired, nil, "a private alert needs addresses")
	}
	c.group("addresses", a.Addresses)
	c.group("incidents", a.Incidents)
	for i, s := range a.Code {
		if !fits(s) {
			c.text(record.Index("code", i), "", s, false)
		}
	}
	c.references(a)
	if a.Note == "" && (a.Status == "Exercise" || a.MsgType == "Error") {
		c.odd("note", warnNote, nil, "an exercise and an error say in note what it is about")
	}
	if len(a.Info) == 0 && (a.MsgType == "Alert" || a.MsgType == "Update") {
		c.bad("info", codeNoInfo, nil, "the alert does not say what it is about")
	}
}

func (c *checker) group(path string, values []string) {
	for i, s := range values {
		at := record.Index(path, i)
		c.text(at, "", s, false)
		if strings.Contains(s, `"`) {
			c.bad(at, codeQuote, nil, "%s must not hold a quotation mark", at)
		}
	}
}

func (c *checker) references(a *Alert) {
	if len(a.References) == 0 && (a.MsgType == "Update" || a.MsgType == "Cancel") {
		c.bad("references", codeRequired, nil, "an update and a cancellation name the messages that they are about")
	}
	for i, r := range a.References {
		path := record.Index("references", i)
		c.name(path+".sender", r.Sender)
		c.name(path+".identifier", r.Identifier)
		switch {
		case r.Sent.IsZero():
			c.bad(path+".sent", codeRequired, nil, "%s.sent is missing", path)
		case r.Sender == a.Sender && r.Identifier == a.Identifier:
			c.bad(path, codeOwnReference, nil, "the alert is about itself")
		case r.Sent.After(a.Sent):
			c.odd(path, warnLater, nil, "the alert is about one that was sent later")
		}
		c.time(path+".sent", r.Sent)
	}
}

func (c *checker) info(a *Alert, n int) {
	i := &a.Info[n]
	at := record.Index("info", n) + "."
	if i.Language != "" && !isLanguage(i.Language) {
		c.bad(at+"language", codeLanguage, nil, "%q is not a language like fr or en-US", clip(i.Language))
	}
	if len(i.Category) == 0 {
		c.bad(at+"category", codeRequired, nil, "%scategory is missing", at)
	}
	c.enums(at+"category", i.Category, categories)
	c.enums(at+"responseType", i.ResponseType, responseTypes)
	c.text(at, "event", i.Event, true)
	c.length(at+"event", i.Event, MaxEvent)
	c.enum(at+"urgency", i.Urgency, urgencies)
	c.enum(at+"severity", i.Severity, severities)
	c.enum(at+"certainty", i.Certainty, certainties)
	if i.Urgency == unknown && i.Severity == unknown && i.Certainty == unknown {
		c.bad(at+"urgency", codeAllUnknown, nil, "urgency, severity and certainty must not all be unknown")
	}
	for _, s := range [][2]string{{"audience", i.Audience}, {"senderName", i.SenderName}, {"headline", i.Headline},
		{"description", i.Description}, {"instruction", i.Instruction}, {"web", i.Web}, {"contact", i.Contact}} {
		c.text(at, s[0], s[1], false)
	}
	if i.Headline == "" {
		c.odd(at+"headline", warnNoHeadline, nil, "the alert has no headline")
	}
	c.length(at+"headline", i.Headline, MaxHeadline-1)
	if !isURI(i.Web) {
		c.bad(at+"web", codeURI, nil, "%q is not a URI", clip(i.Web))
	} else if i.Web != "" && !strings.Contains(i.Web, ":") {
		c.odd(at+"web", warnWeb, nil, "web is not a whole address")
	}
	c.values(at+"eventCode", i.EventCode)
	c.values(at+"parameter", i.Parameter)
	if len(i.EventCode) != 1 {
		c.bad(at+"eventCode", codeEventCode, map[string]any{"count": len(i.EventCode)}, "there must be one event code, and there are %d", len(i.EventCode))
	}
	c.times(a, i, at)
	for k := range i.Resource {
		c.resource(&i.Resource[k], record.Index(at+"resource", k)+".")
	}
	c.areas(i, at)
}

// length counts letters.
func (c *checker) length(path, s string, most int) {
	if n := utf8.RuneCountInString(s); n > most {
		c.bad(path, codeTooLong, map[string]any{"max": most, "length": n}, "%s has %d characters; %d are allowed", path, n, most)
	}
}

func (c *checker) values(path string, values []Value) {
	for k, v := range values {
		if trim(v.ValueName) == "" || !fits(v.ValueName) || !fits(v.Value) {
			at := record.Index(path, k) + "."
			c.text(at, "valueName", v.ValueName, true)
			c.text(at, "value", v.Value, false)
		}
	}
}

func (c *checker) times(a *Alert, i *Info, at string) {
	c.time(at+"effective", i.Effective)
	c.time(at+"onset", i.Onset)
	c.time(at+"expires", i.Expires)
	switch path := at + "expires"; {
	case i.Expires.IsZero():
		c.bad(path, codeExpiresMissing, nil, "the alert does not say when it ends")
	case !i.Expires.After(a.Sent):
		c.bad(path, codeExpiresSent, nil, "the alert ends before it is sent")
	case !i.Effective.IsZero() && !i.Expires.After(i.Effective):
		c.bad(path, codeExpiresEffective, nil, "the alert ends before it begins")
	case i.Expires.Before(c.now):
		c.odd(path, warnPast, nil, "the alert has ended already")
	}
}

func (c *checker) resource(r *Resource, at string) {
	c.text(at, "resourceDesc", r.ResourceDesc, true)
	c.text(at, "mimeType", r.MimeType, true)
	c.text(at, "derefUri", r.DerefURI, false)
	c.text(at, "digest", r.Digest, false)
	c.text(at, "uri", r.URI, false)
	if r.Size != nil && *r.Size < 0 {
		c.bad(at+"size", codeNumber, nil, "the size is less than nothing")
	}
	if !isURI(r.URI) {
		c.bad(at+"uri", codeURI, nil, "%q is not a URI", clip(r.URI))
	}
	if r.DerefURI == "" && !strings.Contains(r.URI, ":") {
		c.odd(at+"uri", warnDereference, nil, "the file has no whole address and is not in the alert")
	}
	if r.Digest != "" && (len(r.Digest) != 40 || strings.Trim(strings.ToLower(r.Digest), "0123456789abcdef") != "") {
		c.odd(at+"digest", warnDigest, nil, "the digest is not SHA-1 in hexadecimal")
	}
}

func (c *checker) areas(i *Info, at string) {
	if len(i.Area) == 0 {
		c.bad(at+"area", codeNoArea, nil, "the alert does not say where")
		return
	}
	where := false
	for k := range i.Area {
		a, at := &i.Area[k], record.Index(at+"area", k)+"."
		where = where || len(a.Polygon)+len(a.Circle)+len(a.Geocode) > 0
		c.text(at, "areaDesc", a.AreaDesc, true)
		c.values(at+"geocode", a.Geocode)
		for n, ring := range a.Polygon {
			c.polygon(record.Index(at+"polygon", n), ring)
		}
		for n, circle := range a.Circle {
			path := record.Index(at+"circle", n)
			switch {
			case !circle.Center.onEarth():
				c.bad(path, codePlace, nil, "the circle is not on earth")
			case !(circle.Radius >= 0 && circle.Radius <= earthRadius):
				c.bad(path, codeCircle, nil, "the radius is not one")
			case circle.Radius == 0:
				c.odd(path, warnNoPoint, nil, "the circle has no radius: it is a point")
			}
		}
		c.altitude(at+"altitude", a.Altitude)
		c.altitude(at+"ceiling", a.Ceiling)
		if a.Ceiling != nil && (a.Altitude == nil || *a.Altitude > *a.Ceiling) { // §3.2.4
			c.bad(at+"ceiling", codeCeiling, nil, "a ceiling needs an altitude below it")
		}
	}
	if !where {
		c.bad(at+"area", codeNoShape, nil, "no area has a polygon, a circle or a geocode")
	}
}

func (c *checker) altitude(path string, feet *float64) {
	if feet != nil && !(*feet > -1e9 && *feet < 1e9) {
		c.bad(path, codeNumber, nil, "%s is not an altitude in feet", path)
	}
}

// earthRadius in kilometres: no circle is larger.
const earthRadius = 6371

func (c *checker) polygon(path string, ring []Point) {
	for k, p := range ring {
		if !p.onEarth() {
			c.bad(path, codePlace, map[string]any{"point": k}, "point %d of the polygon is not on earth", k)
			return
		}
		if k > 0 && p.Lon-ring[k-1].Lon > 180 || k > 0 && p.Lon-ring[k-1].Lon < -180 {
			c.bad(path, codeAntimeridian, nil, "the polygon crosses the 180th meridian: make it two")
			return
		}
	}
	if len(ring) < minPoints {
		c.bad(path, codeFewPoints, map[string]any{"points": len(ring), "min": minPoints}, "the polygon has %d points; it needs %d, of which the last is the first", len(ring), minPoints)
		return
	}
	if ring[0] != ring[len(ring)-1] {
		c.bad(path, codeOpenRing, nil, "the polygon is not closed: its last point is not its first")
	}
	if len(ring) > MaxVertices {
		c.bad(path, codeManyPoints, map[string]any{"points": len(ring), "max": MaxVertices}, "the polygon has %d points; %d are allowed", len(ring), MaxVertices)
	}
	switch {
	case len(open(ring)) < minPoints-1:
		c.bad(path, codeFewPoints, map[string]any{"points": len(open(ring)) + 1, "min": minPoints}, "the polygon has the same points again and again")
	case len(ring) <= crossingMost && SelfCrosses(ring):
		c.bad(path, codeCrossing, nil, "the outline of the polygon crosses itself")
	}
}

// languages compares the infos with each other.
func (c *checker) languages(a *Alert) {
	instructed := slices.IndexFunc(a.Info, func(i Info) bool { return i.Instruction != "" })
	has := map[string]bool{}
	for k := range a.Info {
		if a.Info[k].Instruction != "" {
			has[a.Info[k].lang()] = true
		}
	}
	for k := range a.Info {
		i, at := &a.Info[k], record.Index("info", k)+"."
		if instructed >= 0 && !has[i.lang()] {
			c.bad(at+"instruction", codeInstruction, map[string]any{"other": record.Index("info", instructed), "language": i.lang()},
				"there is no instruction in %s, and there is one in %s", i.lang(), a.Info[instructed].lang())
			has[i.lang()] = true // said once
		}
		if k == 0 {
			continue
		}
		if !slices.Equal(sorted(i.Category), sorted(a.Info[0].Category)) {
			c.bad(at+"category", codeDifferent, map[string]any{"other": "info[0].category"}, "the category is not that of the first info")
		}
		if len(i.EventCode) == 1 && len(a.Info[0].EventCode) == 1 && i.EventCode[0] != a.Info[0].EventCode[0] {
			c.bad(at+"eventCode", codeDifferent, map[string]any{"other": "info[0].eventCode"}, "the event code is not that of the first info")
		}
	}
}

// repeated warns of infos that say the same thing twice: in one language, for the
// same areas.
func (c *checker) repeated(a *Alert) {
	seen := map[string]int{}
	for k := range a.Info {
		i := &a.Info[k]
		key := i.lang()
		for n := range i.Area {
			key += "\x00" + i.Area[n].AreaDesc
		}
		first, ok := seen[key]
		if !ok {
			seen[key] = k
			continue
		}
		c.odd(record.Index("info", k)+".language", warnSameLanguage, map[string]any{"other": record.Index("info", first), "language": i.lang()},
			"info[%d] is in the same language for the same areas", first)
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}
