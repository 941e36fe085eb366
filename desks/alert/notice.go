package alert

import (
	"math"
	"slices"
	"strings"

	"konbit/desk"
	"konbit/record"
	"konbit/wire/cap"
)

// documentType is that of a CAP message.
const documentType = "application/cap+xml"

// notice is what the public sees of an alert: the message in force and nothing that was
// written since.
func notice(b *Alert, r *record.Record) *desk.Notice {
	m, err := InForce(b)
	if err != nil || m == nil || len(m.Info) == 0 || m.Status != "Actual" || m.Scope != "Public" {
		return nil
	}
	i := &m.Info[0]
	n := &desk.Notice{Sort: "alert", Since: m.Sent, Documents: []desk.Document{{Type: documentType, Body: []byte(b.Published)}}}
	switch {
	case m.MsgType == "Cancel":
		n.Ended, n.Until = "state.alert.cancelled", m.Sent.Add(OverFor)
		return n
	case !inForce(r.State):
		return nil
	}
	if !i.Effective.IsZero() {
		n.Since = i.Effective
	}
	n.Until, n.Contact, n.Rank = i.Expires, i.Contact, rank(i)
	for _, a := range i.Area {
		n.Areas = append(n.Areas, a.AreaDesc)
		for _, g := range a.Geocode {
			n.PCodes = append(n.PCodes, g.Value)
		}
	}
	n.Box = around(i.Area)
	n.Title = each(m, func(i *cap.Info) string { return i.Headline })
	n.Text = each(m, func(i *cap.Info) string { return i.Description })
	n.Facts = []desk.Fact{
		{Label: "field.alert.texts.instruction", Text: each(m, func(i *cap.Info) string { return i.Instruction })},
		{Label: "field.alert.severity", Text: word("severity", i.Severity)},
		{Label: "field.alert.urgency", Text: word("urgency", i.Urgency)},
		{Label: "field.alert.certainty", Text: word("certainty", i.Certainty)},
		{Label: "field.alert.web", Text: desk.Say(i.Web)},
		{Label: "field.alert.texts.senderName", Text: each(m, func(i *cap.Info) string { return i.SenderName })},
	}
	n.Facts = slices.DeleteFunc(n.Facts, func(f desk.Fact) bool { return f.Text == desk.Text{} })
	return n
}

// each takes a text of every language.
func each(m *cap.Alert, of func(*cap.Info) string) (t desk.Text) {
	for k := range m.Info {
		i := &m.Info[k]
		switch i.Language {
		case "ht":
			t.HT = of(i)
		case "fr":
			t.FR = of(i)
		case "es":
			t.ES = of(i)
		case "en":
			t.EN = of(i)
		}
	}
	return t
}

// word is a value of CAP in our words.
func word(field, value string) desk.Text {
	return words()["value.alert."+field+"."+strings.ToLower(value)]
}

// rank puts the gravest first, then the most urgent.
func rank(i *cap.Info) int {
	return 10*slices.Index(Severity("").Values(), strings.ToLower(i.Severity)) + slices.Index(Urgency("").Values(), strings.ToLower(i.Urgency))
}

// around is the box around the shapes, to a tenth of a degree outwards; nil without shapes.
func around(areas []cap.Area) *record.Box {
	b := record.Box{W: math.Inf(1), S: math.Inf(1), E: math.Inf(-1), N: math.Inf(-1)}
	take := func(p cap.Point, lon, lat float64) {
		b = record.Box{W: min(b.W, p.Lon-lon), S: min(b.S, p.Lat-lat), E: max(b.E, p.Lon+lon), N: max(b.N, p.Lat+lat)}
	}
	for _, a := range areas {
		for _, ring := range a.Polygon {
			for _, p := range ring {
				take(p, 0, 0)
			}
		}
		for _, c := range a.Circle {
			const degree = 111.2 // kilometres
			lat := c.Radius / degree
			take(c.Center, min(lat/max(math.Cos(c.Center.Lat*math.Pi/180), 0.01), 180), lat)
		}
	}
	if b.W > b.E {
		return nil
	}
	out := func(f, most float64) float64 { return math.Max(-most, math.Min(most, math.Ceil(f*10)/10)) }
	return &record.Box{W: -out(-b.W, 180), S: -out(-b.S, 90), E: out(b.E, 180), N: out(b.N, 90)}
}
