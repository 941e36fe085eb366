// Package sitrep is the desk for situation reports: what a period did to the
// people of an area.
package sitrep

import (
	"embed"
	"encoding/json"

	"konbit/desk"
	"konbit/record"
)

// Report covers one area for one period. Counts are people; nil means not known,
// 0 means none. An access or a control that is left out is not known either.
type Report struct {
	Period     record.Interval `json:"period"`
	Area       record.PCode    `json:"area"                 facet:"true" search:"id"`
	Killed     *int            `json:"killed,omitempty"     min:"0" max:"10000000" unit:"people" chart:"people" map:"fill"`
	Injured    *int            `json:"injured,omitempty"    min:"0" max:"10000000" unit:"people" chart:"people" map:"fill"`
	Displaced  *int            `json:"displaced,omitempty"  min:"0" max:"10000000" unit:"people" chart:"people" map:"fill"`
	Kidnapped  *int            `json:"kidnapped,omitempty"  min:"0" max:"10000000" unit:"people" chart:"people" map:"fill"`
	Water      Access          `json:"water,omitempty"      facet:"true" map:"fill"`
	Food       Access          `json:"food,omitempty"       facet:"true" map:"fill"`
	Health     Access          `json:"health,omitempty"     facet:"true" map:"fill"`
	Schools    Access          `json:"schools,omitempty"    facet:"true" map:"fill"`
	Control    Control         `json:"control,omitempty"    facet:"true" map:"fill"`
	Controlled string          `json:"controlled,omitempty" max:"500"` // who holds what, in words
	Narrative  string          `json:"narrative"            max:"20000" search:"text" widget:"lines"`
	Sources    []string        `json:"sources,omitempty"    max:"30"`
}

// Access says how far people get what they need.
type Access string

// Values lists the degrees, best first.
func (Access) Values() []string { return []string{"normal", "strained", "severe", "none"} }

// Control says who holds the area.
type Control string

// Values lists who may hold an area; later ones leave people with less protection.
func (Control) Values() []string { return []string{"state", "community", "contested", "gang"} }

//go:embed labels.yaml
var files embed.FS

// New makes the desk. Each call makes a fresh one.
func New() *desk.Desk {
	return &desk.Desk{
		Name:      "sitrep",
		Icon:      "M5 3h10l4 4v14H5zM9 17v-4M12 17V9M15 17v-2.5",
		Reactions: []desk.Reaction{supersede},
		Files:     files,
		Kinds: desk.Kinds{
			desk.KindOf[Report]("sitrep",
				desk.Path("draft", "published", "superseded"),
				desk.Flow{
					"draft":     {"publish": "published"},
					"published": {"supersede": "superseded", "withdraw": "draft"},
				},
				desk.Allow{"publish": desk.Supervisor, "supersede": desk.Supervisor, "withdraw": desk.Supervisor},
				desk.OpenIn("draft", "published"),
				desk.Freeze("published", "superseded"),
				desk.Columns("period", "area", "killed", "displaced", "control", "state", "owner"),
				desk.Form("scope", "period", "area", "place", "observed"),
				desk.Form("people", "killed", "injured", "displaced", "kidnapped"),
				desk.Form("access", "water", "food", "health", "schools", "control", "controlled"),
				desk.Form("account", "narrative", "sources", "attachments", "links"),
				desk.OnMap("area", "control"),
				desk.KeepYears(10)),
		},
	}
}

// supersede leaves one published report per area: the one of the latest period,
// and of one period the one that was published last.
var supersede = desk.Reaction{
	Name:    "supersede",
	Kind:    "sitrep",
	Command: "publish",
	Do: func(e desk.Event) (orders []desk.Order, err error) {
		var this Report
		if err := json.Unmarshal(e.Record.Body, &this); err != nil || e.Record.State != "published" {
			return nil, err
		}
		others, err := e.Find("sitrep", map[string]string{"area": string(this.Area)})
		for _, o := range others {
			var r Report
			if o.State != "published" || o.ID == e.Record.ID || json.Unmarshal(o.Body, &r) != nil {
				continue
			}
			later := this.Period.To.Compare(r.Period.To)
			if later == 0 {
				later = e.Record.Recorded.Compare(o.Recorded)
			}
			if later < 0 {
				return []desk.Order{{Kind: "sitrep", ID: e.Record.ID, Command: "supersede"}}, nil
			}
			orders = append(orders, desk.Order{Kind: "sitrep", ID: o.ID, Command: "supersede"})
		}
		return orders, err
	},
}
