// Package alert is the desk for public alerts in the form of CAP 1.2: what happens, where,
// and what people should do, in the languages of the region.
//
// Nothing goes out that two people did not agree on, or that one published in an emergency
// and another looked at afterwards. What is public is the message as it was approved, byte
// for byte; what is written since is not. Exercises and tests never become public. This
// package sends and signs nothing.
package alert

import (
	"embed"
	"sync"

	"konbit/desk"
)

//go:embed labels.yaml
var files embed.FS

// words are the desk's labels, which do not change. desk.NewSet says what is wrong with them.
var words = sync.OnceValue(func() map[string]desk.Text {
	w, _ := desk.ReadLabels(files)
	return w
})

// Flags of an alert that one person published alone.
const (
	Unreviewed = "unreviewed"     // nobody else has looked at it
	Overdue    = "review-overdue" // for an hour
)

// New makes the desk. Each call makes a fresh one.
func New() *desk.Desk {
	return &desk.Desk{
		Name:      "alert",
		Icon:      "M4 10v4h3l7 5V5l-7 5H4zM17.500 8.500a5 5 0 0 1 0 7M20 6a8.500 8.500 0 0 1 0 12",
		Kinds:     desk.Kinds{kind()},
		Reactions: []desk.Reaction{expiry, reviewing},
		Files:     files,
	}
}

func kind() *desk.Kind {
	return desk.KindOf[Alert]("alert",
		desk.Path("draft", "proposed", "live"),
		desk.Flow{
			"draft":      {"propose": "proposed", "override": "live"},
			"proposed":   {"approve": "live", "return": "draft", "override": "live"},
			"live":       {"revise": "revising", "cancel": "cancelled", "expire": "expired", "review": "live", "remind": "live"},
			"revising":   {"propose": "reproposed", "drop": "live", "cancel": "cancelled", "expire": "expired", "review": "revising", "remind": "revising"},
			"reproposed": {"approve": "live", "return": "revising", "drop": "live", "cancel": "cancelled", "expire": "expired", "review": "reproposed", "remind": "reproposed"},
			"cancelled":  {"review": "cancelled", "remind": "cancelled"},
			"expired":    {"review": "expired", "remind": "expired"},
		},
		desk.Allow{
			"propose": desk.Operator, "return": desk.Operator, "approve": desk.Supervisor, "override": desk.Supervisor, "review": desk.Supervisor,
			"revise": desk.Operator, "drop": desk.Operator, "cancel": desk.Supervisor, "expire": desk.Operator, "remind": desk.Operator,
		},
		desk.Automatic("expire", "remind"),
		desk.Handle("propose", propose),
		desk.Handle("return", giveBack),
		desk.Handle("approve", approve),
		desk.Handle("override", override),
		desk.Handle("review", review),
		desk.Handle("remind", remind),
		desk.Handle("revise", revise),
		desk.Handle("drop", drop),
		desk.Handle("cancel", cancel),
		desk.Handle("expire", expire),
		desk.Flags(desk.Public, Unreviewed, Overdue),
		desk.Publish(notice),

		desk.OpenIn("draft", "proposed", "live", "revising", "reproposed"),
		desk.Freeze("proposed", "live", "reproposed", "cancelled", "expired"),
		desk.Columns("event", "status", "severity", "state", "expires", "place", "owner"),
		desk.Form("what", "event", "category", "severity", "urgency", "certainty", "responseType", "eventCode"),
		desk.Form("when", "effective", "onset", "expires", "observed"),
		desk.Form("where", "place", "areas"),
		desk.Form("texts", "texts", "contact", "web"),
		desk.Form("who", "status", "scope", "restriction", "addresses", "note"),
		desk.Form("files", "links", "attachments"),
		desk.Form("course", "proposedBy", "proposedAt", "approvedBy", "approvedAt", "overrideBy", "overrideAt", "overrideGround",
			"reviewedBy", "reviewedAt", "messages", "published", "before"),
		desk.OnMap("area", "severity"),

		desk.UrgentWhen((*Alert).urgent),
		desk.KeepYears(10),
	)
}

// urgent: what threatens life now, and every end, since it takes away what others show.
func (b *Alert) urgent() bool {
	n := len(b.Messages)
	return b.Severity == Extreme || b.Urgency == Immediate || n > 0 && b.Messages[n-1].MsgType == Cancel
}
