// Package missing is the desk for missing people, from the report to the takedown:
// who is missing, what was seen of him, who was found and cannot say who he is, and
// what an agency asks before it alarms the public.
//
// What the public sees is a Notice that two people made, and nothing else of a record.
// One command ends a case and the notice with it. This package must not decide who is
// the same person: it suggests nothing and merges nothing.
package missing

import (
	"embed"
	"sync"

	"konbit/desk"
)

//go:embed labels.yaml
var files embed.FS

// InForce is the state of a rule set by which people are assessed.
const InForce = "in-force"

// New makes the desk. Each call makes a fresh one.
func New() *desk.Desk {
	return &desk.Desk{
		Name:      "missing",
		Icon:      "M10 4a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM13.7 12.7 20 19M3 21c.6-2.600 2.300-4 4.500-4.300",
		Kinds:     desk.Kinds{personKind(), sighting(), unidentified(), medical(), report(), rules()},
		Reactions: []desk.Reaction{grownUp},
		Files:     files,
	}
}

func personKind() *desk.Kind {
	words := sync.OnceValue(func() map[string]desk.Text {
		all, _ := desk.ReadLabels(files) // desk.NewSet says what is wrong with them
		return all
	})
	return desk.KindOf[Person]("missing.person",
		desk.Path("reported", "active", "proposed", "public", "found"),
		desk.Flow{
			"reported": {"accept": "active", "reject": "rejected", "assess": "reported", "protect": "reported"},
			"active":   {"propose": "proposed", "found": "found", "declare": "declared", "cancel": "cancelled", "assess": "active", "protect": "active"},
			"proposed": {
				"approve": "public", "return": "active", "withdraw": "active",
				"found": "found", "declare": "declared", "cancel": "cancelled", "assess": "proposed", "protect": "proposed",
			},
			"public": {
				"withdraw": "active", "propose": "proposed",
				"found": "found", "declare": "declared", "cancel": "cancelled", "assess": "public", "protect": "public",
			},
			"declared":  {"confirm": "deceased", "retract": "active", "protect": "declared"},
			"found":     {"reopen": "active"},
			"cancelled": {"reopen": "active"},
			"deceased":  {"reopen": "active"},
			"rejected":  {"reopen": "reported"},
		},
		desk.Allow{
			"accept": desk.Operator, "reject": desk.Supervisor, "assess": desk.Operator, "protect": desk.Operator,
			"propose": desk.Operator, "approve": desk.Supervisor, "return": desk.Operator, "withdraw": desk.Operator,
			"found": desk.Operator, "declare": desk.Operator, "confirm": desk.Supervisor, "retract": desk.Operator,
			"cancel": desk.Operator, "reopen": desk.Supervisor,
		},
		desk.Automatic("protect"),
		desk.Handle("assess", assess),
		desk.Handle("protect", protect),
		desk.Handle("propose", propose),
		desk.Handle("approve", approve),
		desk.Handle("return", giveBack),
		desk.Handle("withdraw", withdraw),
		desk.Handle("found", found),
		desk.Handle("declare", declare),
		desk.Handle("confirm", confirm),
		desk.Handle("retract", reopen),
		desk.Handle("cancel", cancel),
		desk.Handle("reopen", reopen),
		desk.Flags(desk.Public, Over),
		desk.Publish(publish(words)),

		desk.OpenIn("reported", "active", "proposed", "public", "declared"),
		desk.Freeze("proposed", "rejected", "found", "deceased", "cancelled"),
		desk.Columns("name", "age", "category", "alerts", "state", "place", "observed", "owner"),
		desk.Form("who", "name", "otherNames", "sex", "age", "ageMin", "ageMax", "born", "home"),
		desk.Form("looks", looks()...),
		desk.Form("seen", "category", "observed", "place", "circumstances", "companions", "vehicles"),
		desk.Form("reporter", reporter()...),
		desk.Form("consent", "consent.by", "consent.relation", "consentAt", "consent.name", "consent.photograph"),
		desk.Form("announce", "announce.area", "announce.contact", "announce.texts", "announce.photograph"),
		desk.Form("files", "attachments", "links"),
		desk.Form("risk", "alerts", "assessments", "minor"),
		desk.Form("published", "proposal.by", "proposal.at",
			"notice.name", "notice.age", "notice.sex", "notice.height", "notice.build", "notice.hair", "notice.eyes", "notice.marks",
			"notice.clothing", "notice.languages", "notice.since", "notice.area", "notice.pcode", "notice.texts", "notice.photograph",
			"notice.contact", "notice.proposedBy", "notice.proposedAt", "notice.approvedBy", "notice.approvedAt"),
		desk.Form("outcome", "outcome.end", "outcome.condition", "outcome.when", "outcome.where", "outcome.ground", "outcome.authority",
			"outcome.reason", "outcome.by", "outcome.at", "outcome.confirmedBy", "outcome.confirmedAt"),
		desk.OnMap("diamond", ""),

		desk.ProtectWhen((*Person).caveats),
		desk.UrgentWhen((*Person).urgent),
		desk.AskPurpose(),
		desk.KeepYears(20),
	)
}

func looks() []string {
	return []string{
		"description.height", "description.build", "description.hair", "description.eyes", "description.marks", "description.clothing",
		"description.languages",
	}
}

func reporter() []string {
	return []string{"reporter.type", "reporter.name", "reporter.callback", "reporter.confidential"}
}

// child reports whether the body says that it is a child, or leaves it open where
// most are children.
func (p *Person) child() bool {
	y := p.years()
	return p.Minor || y.child() || y.none() && (p.Category == Runaway || p.Category == Family)
}

// taken reports whether somebody has taken the person.
func (p *Person) taken() bool {
	return p.Category == Abducted || p.Category == Family || p.Category == Trafficking
}

// caveats protects children, victims and whoever spoke up, by what the body says.
// The telephone of a neighbour leads to a witness where somebody was taken.
func (p *Person) caveats() []string {
	var c []string
	if p.child() {
		c = append(c, "juvenile")
	}
	if p.Category == Abducted || p.Category == Trafficking {
		c = append(c, "victim")
	}
	r := p.Reporter
	if r.Confidential || p.taken() && r.Callback != "" && (r.Type == Call || r.Type == Resident || r.Type == "") {
		c = append(c, "source")
	}
	return c
}

// urgent: a child, somebody who was taken, and every end, since it takes away what
// others show.
func (p *Person) urgent() bool { return p.child() || p.taken() || p.Outcome.End != "" }

func sighting() *desk.Kind {
	return desk.KindOf[Sighting]("missing.sighting",
		desk.Answers{Kinds: []string{"missing.person"}},
		desk.Path("reported", "checked", "confirmed"),
		desk.Flow{
			"reported":   {"check": "checked", "confirm": "confirmed", "discount": "discounted"},
			"checked":    {"confirm": "confirmed", "discount": "discounted"},
			"confirmed":  {"discount": "discounted"},
			"discounted": {"restore": "reported"},
		},
		desk.Allow{"check": desk.Operator, "confirm": desk.Operator, "discount": desk.Operator, "restore": desk.Operator},
		desk.OpenIn("reported", "checked"),
		desk.Freeze("discounted"),
		desk.Columns("confidence", "text", "place", "observed", "grade", "content", "state", "owner"),
		desk.Form("seen", "text", "confidence", "grade", "content", "child", "attachments"),
		desk.Form("where", "place", "observed", "direction", "travel", "companions"),
		desk.Form("reporter", reporter()...),
		desk.OnMap("circle", "confidence"),
		desk.ProtectWhen(func(s *Sighting) []string { return protected(s.Child, false, s.Reporter) }),
		desk.Urgent(),
		desk.AskPurpose(),
		desk.KeepYears(10),
	)
}

// protected lists the caveats for what concerns a child, a victim and a source.
func protected(child, victim bool, r Reporter) []string {
	var c []string
	if child {
		c = append(c, "juvenile")
	}
	if victim {
		c = append(c, "victim")
	}
	if r.Confidential {
		c = append(c, "source")
	}
	return c
}

func unidentified() *desk.Kind {
	return desk.KindOf[Unidentified]("missing.found",
		desk.Path("open", "identified", "closed"),
		desk.Flow{
			"open":       {"identify": "identified"},
			"identified": {"close": "closed", "mistake": "open"},
			"closed":     {"mistake": "open"},
		},
		desk.Allow{"identify": desk.Operator, "close": desk.Operator, "mistake": desk.Supervisor},
		desk.Handle("identify", identify),
		desk.Handle("mistake", mistake),
		desk.OpenIn("open", "identified"),
		desk.Freeze("closed"),
		desk.Columns("title", "alive", "sex", "age", "state", "place", "observed", "owner"),
		desk.Form("who", "title", "names", "alive", "sex", "age", "ageMin", "ageMax"),
		desk.Form("looks", looks()...),
		desk.Form("seen", "observed", "place", "condition", "held", "circumstances", "victim"),
		desk.Form("reporter", reporter()...),
		desk.Form("files", "attachments", "links"),
		desk.OnMap("square", "alive"),
		desk.ProtectWhen(func(u *Unidentified) []string {
			return protected(years{u.Age, u.AgeMin, u.AgeMax, ""}.child(), u.Victim, u.Reporter)
		}),
		desk.UrgentWhen(func(u *Unidentified) bool { return years{u.Age, u.AgeMin, u.AgeMax, ""}.child() }),
		desk.AskPurpose(),
		desk.KeepYears(20),
	)
}

func medical() *desk.Kind {
	return desk.KindOf[Medical]("missing.medical",
		desk.Answers{Kinds: []string{"missing.person"}},
		desk.Path("stated"),
		desk.Flow{"stated": {"withdraw": "withdrawn"}, "withdrawn": {"restore": "stated"}},
		desk.Allow{"withdraw": desk.Operator, "restore": desk.Operator},
		desk.OpenIn("stated"),
		desk.Freeze("withdrawn"),
		desk.Columns("condition", "medicine", "hours", "state", "owner"),
		desk.Form("needs", "condition", "medicine", "hours", "act", "child", "attachments"),
		desk.Protected("medical"),
		desk.ProtectWhen(func(m *Medical) []string { return protected(m.Child, false, Reporter{}) }),
		desk.Urgent(),
		desk.AskPurpose(),
		desk.KeepYears(10),
	)
}

func report() *desk.Kind {
	return desk.KindOf[Report]("missing.report",
		desk.Path("queued", "accepted"),
		desk.Flow{
			"queued":   {"accept": "accepted", "reject": "rejected", "later": "waiting"},
			"waiting":  {"accept": "accepted", "reject": "rejected"},
			"accepted": {"requeue": "queued"},
			"rejected": {"requeue": "queued"},
		},
		desk.Allow{"accept": desk.Operator, "reject": desk.Operator, "later": desk.Operator, "requeue": desk.Operator},
		desk.Handle("accept", accept),
		desk.Handle("requeue", requeue),
		desk.OpenIn("queued", "waiting"),
		desk.Freeze("accepted", "rejected"),
		desk.Columns("name", "age", "lastSeen", "score", "language", "state", "observed", "owner"),
		desk.Form("report", "name", "age", "text", "lastSeen", "observed", "place", "attachments"),
		desk.Form("sender", "telephone", "language", "sender", "score"),
		desk.Protected("source"),
		// Whose age was not said counts as a child until somebody has looked.
		desk.ProtectWhen(func(r *Report) []string { return protected(r.Age == nil || *r.Age < Grown, false, Reporter{}) }),
		desk.AskPurpose(),
		desk.KeepYears(1),
	)
}

func rules() *desk.Kind {
	return desk.KindOf[Rules]("missing.rules",
		desk.Path("draft", InForce, "retired"),
		desk.Flow{
			"draft":   {"adopt": InForce},
			InForce:   {"retire": "retired"},
			"retired": {"adopt": InForce},
		},
		desk.Allow{desk.Edit: desk.Supervisor, "adopt": desk.Supervisor, "retire": desk.Supervisor},
		desk.OpenIn("draft", InForce),
		desk.Freeze("retired"),
		desk.Columns("name", "sort", "state", "owner"),
		desk.Form("rules", "name", "sort", "items"),
		desk.KeepYears(20),
	)
}
