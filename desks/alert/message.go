package alert

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"konbit/record"
	"konbit/wire/cap"
)

// Message is the next message of an alert, in CAP 1.2, as if it were sent when r was
// recorded: an Alert, or an Update when one was sent before. It is as good as the body:
// see Problems.
func Message(b *Alert, r *record.Record) *cap.Alert {
	return compose(b, &r.Header, outlineOf(r.Place), r.Recorded)
}

// InForce reads the newest message that was sent, nil when there is none. It is what the
// public sees, until it expires.
func InForce(b *Alert) (*cap.Alert, error) {
	if b.Published == "" {
		return nil, nil
	}
	return cap.Parse([]byte(b.Published), cap.Limits{})
}

// compose makes the next message, sent at now. o is the outline of the place.
func compose(b *Alert, h *record.Header, o outline, now time.Time) *cap.Alert {
	z := zoneOf(b, h)
	a := envelope(b, h, z.at(now))
	a.MsgType = "Alert"
	if len(b.Messages) > 0 {
		a.MsgType = "Update"
	}
	a.Status, a.Scope, a.Note = capital(string(b.Status)), capital(string(b.Scope)), strings.TrimSpace(b.Note)
	switch b.Scope {
	case Restricted:
		a.Restriction = strings.TrimSpace(b.Restriction)
	case Private:
		for _, s := range b.Addresses {
			if s = strings.TrimSpace(s); s != "" {
				a.Addresses = append(a.Addresses, s)
			}
		}
	}
	areas := areasOf(b, h, o)
	for _, t := range b.Texts {
		i := cap.Info{
			Language: string(t.Language), Category: []string{capital(string(b.Category))}, Event: t.event(b.Event),
			Urgency: capital(string(b.Urgency)), Severity: capital(string(b.Severity)), Certainty: capital(string(b.Certainty)),
			EventCode: []cap.Value{b.code()}, Effective: z.or(b.Effective), Onset: z.or(b.Onset), Expires: z.or(b.Expires),
			SenderName: strings.TrimSpace(t.SenderName), Headline: strings.TrimSpace(t.Headline),
			Description: strings.TrimSpace(t.Description), Instruction: strings.TrimSpace(t.Instruction),
			Web: strings.TrimSpace(b.Web), Contact: strings.TrimSpace(b.Contact), Area: areas,
		}
		for _, r := range b.Response {
			i.ResponseType = append(i.ResponseType, capital(string(r)))
		}
		a.Info = append(a.Info, i)
	}
	return a
}

// envelope names a message and those before it.
func envelope(b *Alert, h *record.Header, sent time.Time) *cap.Alert {
	a := &cap.Alert{Version: cap.Version12, Identifier: fmt.Sprintf("urn:konbit:alert:%s:%d", h.ID, len(b.Messages)+1), Sender: h.Owner, Sent: sent}
	for _, m := range b.Messages {
		a.References = append(a.References, cap.Reference{Sender: h.Owner, Identifier: m.Identifier, Sent: m.Sent})
	}
	return a
}

// event are the words for what happens.
func (t *Text) event(e Event) string {
	return cmp.Or(strings.TrimSpace(t.Event), words()["value.alert.event."+string(e)].In(string(t.Language)))
}

// code is the one event code: of the Emergency Alert System, or our own where it has none.
func (b *Alert) code() cap.Value {
	if c := cmp.Or(b.EventCode, same[b.Event]); c != "" {
		return cap.Value{ValueName: "SAME", Value: c}
	}
	return cap.Value{ValueName: "KONBIT", Value: string(b.Event)}
}

// capital writes one of our values as CAP does.
func capital(s string) string {
	switch s {
	case "":
		return ""
	case "cbrne":
		return "CBRNE"
	case "all-clear":
		return "AllClear"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// geocode is the name of a p-code in CAP.
const geocode = "p-code"

// areasOf are the areas of the body, and the place of the header as one more.
func areasOf(b *Alert, h *record.Header, o outline) []cap.Area {
	var out []cap.Area
	var names []string
	for _, r := range b.Areas {
		a := cap.Area{AreaDesc: strings.TrimSpace(r.Description)}
		for _, c := range r.PCodes {
			a.Geocode = append(a.Geocode, cap.Value{ValueName: geocode, Value: bare(c)})
		}
		out, names = append(out, a), append(names, a.AreaDesc)
	}
	p := h.Place
	if p == nil {
		return out
	}
	a := cap.Area{AreaDesc: cmp.Or(strings.TrimSpace(p.Words), strings.Join(names, ", ")), Polygon: o.rings, Circle: o.circles}
	if p.PCode != "" {
		a.Geocode = []cap.Value{{ValueName: geocode, Value: p.PCode}}
	}
	// Words alone are where nothing else says it; Problems asks for more.
	if len(a.Polygon)+len(a.Circle)+len(a.Geocode) > 0 || len(out) == 0 && a.AreaDesc != "" {
		out = append(out, a)
	}
	return out
}

// bare is a p-code without the edition before it.
func bare(c string) string {
	if _, after, ok := strings.Cut(c, ":"); ok {
		return after
	}
	return c
}

// A zone is where an alert's clock stands: "ht", "do", or "" for UTC.
type zone string

// zoneOf is the country of the place, else of the areas, else of the agency.
func zoneOf(b *Alert, h *record.Header) zone {
	known := func(s string) zone {
		switch z := zone(strings.ToLower(s[:min(len(s), 2)])); z {
		case "ht", "do":
			return z
		}
		return ""
	}
	if h.Place != nil {
		if z := known(h.Place.PCode); z != "" {
			return z
		}
	}
	for _, a := range b.Areas {
		for _, c := range a.PCodes {
			if z := known(bare(c)); z != "" {
				return z
			}
		}
	}
	country, _, _ := strings.Cut(h.Owner, ".")
	if len(country) != 2 {
		return ""
	}
	return known(country)
}

// or is a time that may not be there.
func (z zone) or(t *time.Time) time.Time {
	if t == nil || t.IsZero() {
		return time.Time{}
	}
	return z.at(*t)
}

// at is a time to the second, with the offset that it has there.
func (z zone) at(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	hours := 0
	switch {
	case z == "do":
		hours = -4
	case z == "ht" && summer(t):
		hours = -4
	case z == "ht":
		hours = -5
	}
	if hours == 0 {
		return t
	}
	return t.In(time.FixedZone("", hours*3600))
}

// summer reports whether Haiti's clocks are an hour ahead, as since 2017: from the second
// Sunday of March to the first of November, at two by the clock until then.
func summer(t time.Time) bool {
	sunday := func(month time.Month, n, hour int) time.Time {
		first := time.Date(t.Year(), month, 1, hour, 0, 0, 0, time.UTC)
		return first.AddDate(0, 0, (7-int(first.Weekday()))%7+7*(n-1))
	}
	return !t.Before(sunday(time.March, 2, 7)) && t.Before(sunday(time.November, 1, 6))
}
