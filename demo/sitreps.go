package demo

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"konbit/desk"
	"konbit/desks/sitrep"
	"konbit/record"
)

// writes is the language in which an agency reports to others.
var writes = map[string]string{"ht.cc": "fr", "do.911": "es", "int.aid": "en"}

// situation tells the weekly situation reports whose week ended between begin and
// end: drafted the next day, published by a supervisor, the one before replaced.
func (s *Story) situation(begin, end time.Time) (acts []Act) {
	monday := time.Date(begin.Year(), begin.Month(), begin.Day(), 5, 0, 0, 0, time.UTC) // midnight in Haiti
	for monday.Weekday() != time.Monday || !monday.After(begin) {
		monday = monday.AddDate(0, 0, 1)
	}
	for _, a := range s.c.reports.Areas {
		displaced := a.Displaced
		before := map[string]record.ID{}
		for week := monday; week.Before(end); week = week.AddDate(0, 0, 7) {
			displaced += between(s.rng, -displaced/60, displaced/25)
			for _, by := range a.By {
				lang := writes[by]
				if by == "ht.cc" && a.Control == "community" {
					lang = "ht" // the committees' own words
				}
				told := s.weekly(&a, by, lang, week, displaced, before[by])
				if week.AddDate(0, 0, 7).After(end) && chance(s.rng, 0.2) {
					told = told[:1] // the newest still lies on somebody's desk
				}
				for _, act := range told {
					acts = append(acts, act)
					if act.Command == desk.Create {
						before[by] = act.ID
					}
				}
			}
		}
	}
	return acts
}

// weekly makes the acts of one report.
func (s *Story) weekly(a *area, by, lang string, week time.Time, displaced int, before record.ID) []Act {
	rng, c := s.rng, &s.c.reports
	r := sitrep.Report{
		Period: record.Interval{From: week.AddDate(0, 0, -7), To: week},
		Area:   record.PCode(a.Code), Control: sitrep.Control(a.Control), Sources: c.Sources[lang],
	}
	count := func(n int) *int { return &n }
	killed := drift(rng, a.Killed)
	r.Killed, r.Injured, r.Displaced, r.Kidnapped = count(killed), count(drift(rng, killed*2)), count(displaced-displaced%10), count(drift(rng, a.Killed/3))
	levels := sitrep.Access("").Values()
	base := slices.Index(levels, a.Access)
	access := func() sitrep.Access {
		return sitrep.Access(levels[min(len(levels)-1, max(0, base+pick(rng, []int{-1, 0, 0, 0, 0, 1})))])
	}
	r.Water, r.Food, r.Health, r.Schools = access(), access(), access(), access()
	if chance(rng, 0.1) { // nobody could go and see
		r.Schools, r.Kidnapped = "", nil
	}
	worst := 0
	for _, a := range []sitrep.Access{r.Water, r.Food, r.Health, r.Schools} {
		worst = max(worst, slices.Index(levels, string(a)))
	}
	slots := map[string]string{"at": a.Names[lang], "killed": itoa(*r.Killed), "injured": itoa(*r.Injured), "displaced": itoa(*r.Displaced), "kidnapped": "0"}
	if r.Kidnapped != nil {
		slots["kidnapped"] = itoa(*r.Kidnapped)
	}
	people := c.People[lang][0]
	if r.Kidnapped != nil {
		people = pick(rng, c.People[lang])
	}
	r.Narrative = strings.Join([]string{
		fill(rng, pick(rng, c.Control[a.Control][lang]), slots),
		fill(rng, people, slots),
		pick(rng, c.Access[levels[worst]][lang]),
		pick(rng, c.Outlook[lang]),
	}, " ")

	d := Draft{Observed: week, Marking: record.Marking{TLP: record.Green, To: []string{"@hispaniola"}}}
	switch x := rng.Float64(); {
	case x < 0.2:
		d.Marking = record.Marking{TLP: record.Clear}
	case x < 0.3 && by == "ht.cc":
		d.Marking = record.Marking{TLP: record.Amber, To: []string{"ht.gc", "int.aid"}}
	case x < 0.4:
		d.Marking = record.Marking{TLP: record.Green}
	}
	d.Place = &record.Place{
		Geometry: record.Point(a.At[0], a.At[1]), Uncertainty: a.Within,
		PCode: a.Code, Edition: a.Edition, Words: a.Names[lang],
	}
	d.Body, _ = json.Marshal(&r) // a plain struct of ours: cannot fail

	oneOf := func(need desk.Role) string {
		var fit []string
		for _, p := range s.c.people {
			if p.Agency() == by && p.Role == need {
				fit = append(fit, p.ID)
			}
		}
		return pick(rng, fit)
	}
	drafted := week.Add(time.Duration(between(rng, 8*3600, 20*3600)) * time.Second)
	published := drafted.Add(time.Duration(between(rng, 3600, 22*3600)) * time.Second)
	chief := oneOf(desk.Supervisor)
	act := Act{At: drafted, Agency: by, Person: oneOf(desk.Operator), Kind: "sitrep", Command: desk.Create, ID: s.id(drafted), Draft: &d}
	acts := []Act{act}
	act.At, act.Person, act.Command, act.Draft = published, chief, "publish", nil
	acts = append(acts, act)
	if !before.IsZero() {
		act.At, act.Command, act.ID = published.Add(time.Minute), "supersede", before
		acts = append(acts, act)
	}
	return acts
}
