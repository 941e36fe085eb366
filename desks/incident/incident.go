// Package incident is the desk for what happened: a report comes in, is
// verified, answered and closed; what was reported twice is merged.
//
// It describes events and the help that people need. It must not score or
// profile anybody.
package incident

import (
	"embed"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Incident is one event. Counts are people; nil means not known, 0 means none.
type Incident struct {
	Title     string   `json:"title"               max:"200" search:"title"`
	Category  Category `json:"category"            facet:"true"`
	Severity  Severity `json:"severity"            facet:"true"`
	Narrative string   `json:"narrative,omitempty" max:"20000" search:"text" widget:"lines"`
	Needs     []Need   `json:"needs,omitempty"     max:"20" facet:"true"`
	Language  Language `json:"language,omitempty"  facet:"true"`

	Affected *int `json:"affected,omitempty" min:"0" max:"20000000" unit:"people" chart:"people"`
	Injured  *int `json:"injured,omitempty"  min:"0" max:"1000000"  unit:"people" chart:"people"`
	Killed   *int `json:"killed,omitempty"   min:"0" max:"1000000"  unit:"people" chart:"people"`
	Missing  *int `json:"missing,omitempty"  min:"0" max:"1000000"  unit:"people" chart:"people"`
	Trapped  *int `json:"trapped,omitempty"  min:"0" max:"1000000"  unit:"people" chart:"people"`
	Children bool `json:"children,omitempty"` // a child is among those harmed, missing or at risk

	// Identifiers are the plates, passports, firearms, telephones and vessels of
	// what was reported. Other agencies can ask whether one is held here without
	// naming it, so nothing of a source belongs among them.
	Identifiers []record.Identifier `json:"identifiers,omitempty" max:"50"`

	Source Source `json:"source,omitzero"`
	// Callback is the telephone of whoever reported: digits, with a leading "+"
	// where the country is known, so that one telephone is one text.
	Callback string `json:"callback,omitempty" max:"16" pattern:"^[+]?[0-9]{3,15}$" search:"id" widget:"phone"`
}

// Source says where a report came from and what it is worth.
type Source struct {
	Type         SourceType  `json:"type,omitempty"    facet:"true"`
	Name         string      `json:"name,omitempty"    max:"200" search:"text"` // of a partner, a station, a newspaper
	Grade        Reliability `json:"grade,omitempty"   facet:"true"`
	Content      Credibility `json:"content,omitempty" facet:"true"`
	Confidential bool        `json:"confidential,omitempty"` // who said it must not become known
}

//go:embed labels.yaml
var files embed.FS

// New makes the desk. Each call makes a fresh one.
func New() *desk.Desk {
	return &desk.Desk{
		Name:      "incident",
		Icon:      "M12 3.5 2.5 20h19L12 3.5zM12 10v4.5M12 17.2v.3",
		Kinds:     desk.Kinds{kind()},
		Reactions: []desk.Reaction{overdue},
		Files:     files,
	}
}

func kind() *desk.Kind {
	return desk.KindOf[Incident]("incident",
		desk.Path("reported", "verified", "responding", "closed"),
		desk.Flow{
			"reported":   {"verify": "verified", "respond": "responding", "reject": "rejected", "merge": "merged", "remind": "reported"},
			"verified":   {"respond": "responding", "close": "closed", "unverify": "reported", "reject": "rejected", "merge": "merged"},
			"responding": {"close": "closed", "stand-down": "verified", "merge": "merged"},
			"closed":     {"reopen": "verified"},
			"rejected":   {"reopen": "reported"},
			"merged":     {"unmerge": "reported"},
		},
		desk.Allow{
			"verify": desk.Operator, "respond": desk.Operator, "stand-down": desk.Operator, "close": desk.Operator,
			"merge": desk.Operator, "unmerge": desk.Operator, "reopen": desk.Operator, "remind": desk.Operator,
			"reject": desk.Supervisor, "unverify": desk.Supervisor,
		},
		desk.Handle("remind", remind),
		desk.Handle("verify", attended),
		desk.Handle("respond", attended),
		desk.Handle("reject", attended),
		desk.Handle("merge", merge),
		desk.Handle("unmerge", unmerge),
		desk.Flags(Overdue),

		desk.OpenIn("reported", "verified", "responding"),
		desk.Freeze("closed", "rejected", "merged"),
		desk.Columns("severity", "title", "category", "state", "place", "observed", "owner"),
		desk.Form("what", "title", "category", "severity", "narrative", "needs", "language"),
		desk.Form("where", "place", "observed"),
		desk.Form("people", "affected", "injured", "killed", "missing", "trapped", "children"),
		desk.Form("identifiers", "identifiers"),
		desk.Form("source", "source.type", "source.name", "source.grade", "source.content", "source.confidential", "callback"),
		desk.Form("files", "attachments", "links"),
		desk.OnMap("triangle", "severity"),
		desk.Similar(1500, 3*time.Hour, "category"),

		desk.ProtectWhen(caveats),
		desk.UrgentWhen(func(i *Incident) bool { return i.Severity == Severe || i.Severity == Extreme }),
		desk.AskPurpose(),
		desk.KeepYears(10),
	)
}

// caveats protects victims, children and whoever spoke up, by what the report
// says. A telephone number beside a violent crime leads to a witness, so there
// it counts as a source; beside a flood it is only a number to call back.
func caveats(i *Incident) []string {
	var c []string
	switch i.Category {
	case SexualViolence, Trafficking:
		c = append(c, "victim")
	}
	if i.Children {
		switch i.Category {
		case MissingPerson, Kidnapping, SexualViolence, Trafficking, Assault:
			c = append(c, "juvenile")
		}
	}
	if i.Source.Confidential || i.Callback != "" && violent(i.Category) {
		c = append(c, "source")
	}
	return c
}

// MergedInto is the relation of a merged incident to the one that stands for it.
const MergedInto = "merged-into"

// mergeArgs names the incident that stays.
type mergeArgs struct {
	Into record.ID `json:"into"`
}
