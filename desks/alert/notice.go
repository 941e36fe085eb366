package alert

import (
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
	n := &desk.Notice{Sort: desk.Alerts, Since: m.Sent, Documents: []desk.Document{{Type: documentType, Body: []byte(b.Published)}}}
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
