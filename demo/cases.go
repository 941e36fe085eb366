package demo

import (
	"encoding/json"
	"fmt"
	"time"

	"konbit/desk"
	"konbit/desks/alert"
	"konbit/desks/missing"
	"konbit/record"
)

// cases are alerts, and a few missing people at every point between the report and the
// takedown. Their names say that there are no such people. They draw nothing from the story's
// chance, so that the rest of it stays as it is.
func (s *Story) cases(end time.Time) []Act {
	c := &casebook{end: end, kinds: map[string]*desk.Kind{}}
	for _, d := range []*desk.Desk{missing.New(), alert.New()} {
		for _, k := range d.Kinds {
			c.kinds[k.Name] = k
		}
	}
	var rules []record.ID
	for i, r := range missing.DefaultRules() {
		id := c.create("ht.cc/sipevize-2", 40*24*time.Hour-time.Duration(i)*time.Minute, "missing.rules", r, record.Marking{TLP: record.Green, To: []string{"@hispaniola"}}, nil)
		c.do("ht.cc/sipevize-2", 39*24*time.Hour-time.Duration(i)*time.Minute, id, "adopt", nil)
		rules = append(rules, id)
	}

	// A girl who did not come back from the market, and who was seen across the border.
	girl := missing.Person{Name: "Egzanp Wozlin Demo", OtherNames: []string{"Ti Woz"}, Sex: "female", Age: number(9), Category: "lost", Home: "Wanament",
		Description:   missing.Description{Height: number(128), Build: "slim", Hair: "braids", Eyes: "brown", Clothing: "inifòm lekòl ble ak blan, sapat jòn", Languages: []missing.Speech{"ht"}},
		Circumstances: "Li te al nan mache ak gran sè li. Yo pèdi youn lòt toupre pòt fwontyè a.",
		Consent:       missing.Consent{By: "manman l", Relation: "parent", Name: true}, ConsentAt: c.at(13 * time.Hour), Reporter: missing.Reporter{Type: "call", Callback: "50955501143"},
		Announce: missing.Announce{Area: "Wanament, bò mache fwontyè a", Contact: "114", Texts: []missing.Wording{
			{Language: "ht", Text: "Yon tifi 9 an pèdi nan mache Wanament. Si ou wè l, rete avè l epi rele 114."},
			{Language: "fr", Text: "Une fillette de 9 ans s’est perdue au marché d’Ouanaminthe. Si vous la voyez, restez avec elle et appelez le 114."},
			{Language: "es", Text: "Una niña de 9 años se perdió en el mercado de Ouanaminthe. Si la ve, quédese con ella y llame al 114."},
			{Language: "en", Text: "A girl of 9 got lost at the market of Ouanaminthe. If you see her, stay with her and call 114."}}}}
	market := spot(-71.7253, 19.5497, 300, "HT0331", "bò pòt fwontyè a, Wanament")
	id := c.create("ht.cc/operate-1", 14*time.Hour, "missing.person", girl, record.Marking{TLP: record.Amber, To: []string{"@hispaniola"}}, market)
	c.do("ht.cc/operate-1", 14*time.Hour-3*time.Minute, id, "accept", nil)
	c.do("ht.cc/operate-1", 14*time.Hour-6*time.Minute, id, "assess", c.findings(rules[2], missing.DefaultRules()[2]))
	c.do("ht.cc/operate-1", 14*time.Hour-8*time.Minute, id, "propose", nil)
	c.do("ht.cc/sipevize-1", 14*time.Hour-11*time.Minute, id, "approve", nil)
	c.answer("do.911/operador-1", 9*time.Hour, id, "missing.sighting", missing.Sighting{Text: "Una niña con uniforme escolar azul, sola, pidió agua en un colmado junto al puente.", Confidence: "likely", Grade: "B", Content: "2", Travel: "foot", Direction: "hacia el centro de Dajabón", Child: true},
		spot(-71.7083, 19.5489, 150, "DO05", "colmado junto al puente, Dajabón"))
	c.answer("ht.cc/operate-2", 8*time.Hour, id, "missing.medical", missing.Medical{Condition: "Opresyon (asthme)", Medicine: "ponp ble, lè li pa ka respire", Hours: number(24), Act: "Ba li ponp la, chita l dwat, mennen l lopital si sa pa pase.", Child: true}, nil)

	// An old man who was found: nothing of him is public any more.
	old := missing.Person{Name: "Egzanp Mèt Jozèf Demo", Sex: "male", Age: number(78), Category: "lost", Description: missing.Description{Hair: "white", Clothing: "chemiz blan, chapo pay", Languages: []missing.Speech{"ht"}},
		Circumstances: "Li bliye chemen l. Li te soti bonè pou l al nan legliz.", Consent: missing.Consent{By: "pitit fi l", Relation: "relative", Name: true}, ConsentAt: c.at(73 * time.Hour), Reporter: missing.Reporter{Type: "resident"},
		Announce: missing.Announce{Contact: "114", Texts: []missing.Wording{{Language: "ht", Text: "Yon granmoun 78 an pèdi nan Kafou. Rele 114 si ou wè l."}, {Language: "fr", Text: "Un homme de 78 ans s’est perdu à Carrefour. Appelez le 114 si vous le voyez."}}}}
	id = c.create("ht.cc/operate-2", 74*time.Hour, "missing.person", old, record.Marking{TLP: record.Amber, To: []string{"@hispaniola"}}, spot(-72.3988, 18.5412, 500, "HT0112", "Kafou, bò legliz la"))
	c.do("ht.cc/operate-2", 73*time.Hour, id, "accept", nil)
	c.do("ht.cc/operate-2", 72*time.Hour, id, "propose", nil)
	c.do("ht.cc/sipevize-2", 72*time.Hour-10*time.Minute, id, "approve", nil)
	c.do("ht.cc/operate-1", 51*time.Hour, id, "found", map[string]any{"condition": "safe", "where": "yon sant sante nan Gresye"})

	// A man lost at sea: active, and nothing published without his family's word.
	id = c.create("ht.gc/vej-1", 30*time.Hour, "missing.person", missing.Person{Name: "Egzanp Pechè Demo", Sex: "male", AgeMin: number(30), AgeMax: number(40), Category: "sea", Circumstances: "Kannòt la pa tounen nan pò a.", Reporter: missing.Reporter{Type: "partner"}},
		record.Marking{TLP: record.Green, To: []string{"@caricom"}}, spot(-72.86, 18.80, 8000, "", "nan Gòlf Lagonav"))
	c.do("ht.gc/vej-1", 29*time.Hour, id, "accept", nil)

	// A woman who speaks neither language of the hospital, and who says a name.
	c.create("do.911/operador-2", 20*time.Hour, "missing.found", missing.Unidentified{Title: "Mujer de unos 60 años, desorientada, habla criollo", Names: []string{"Mari"}, Alive: "alive", Sex: "female", AgeMin: number(55), AgeMax: number(65), Condition: "in-care", Held: "hospital provincial",
		Description: missing.Description{Hair: "covered", Clothing: "vestido de flores", Languages: []missing.Speech{"ht"}}}, record.Marking{TLP: record.Amber, To: []string{"@hispaniola"}}, spot(-71.6430, 19.5500, 2000, "DO05", "carretera hacia Dajabón"))

	// What residents sent, before anybody has looked.
	for i, text := range []string{"Frè m soti maten an, li poko tounen. Telefòn li fèmen.", "test test test"} {
		r := missing.Report{Name: fmt.Sprintf("Egzanp Abitan %d Demo", i+1), Age: number(22 + i), Text: text, LastSeen: "Kwabosal", Language: "ht"}
		if i == 1 {
			r.Score = []missing.Suspicion{"flood"}
		}
		c.create("ht.cc/operate-1", time.Duration(50-20*i)*time.Minute, "missing.report", r, record.Marking{TLP: record.Amber}, nil)
	}
	c.alerts()
	return c.acts
}

// alerts are one that is live, and an exercise that nobody outside ever sees.
func (c *casebook) alerts() {
	for _, t := range alert.Templates() {
		switch t.Name {
		case "flood":
			b := t.Fill("Kwadèboukè", *c.at(70 * time.Minute))
			b.Contact = "114"
			id := c.create("ht.cc/operate-2", 70*time.Minute, "alert", b, record.Marking{TLP: record.Green, To: []string{"@hispaniola"}}, spot(-72.2270, 18.5790, 6000, "HT0114", "Kwadèboukè, bò rivyè Griz"))
			c.do("ht.cc/operate-2", 66*time.Minute, id, "propose", nil)
			c.do("ht.cc/sipevize-1", 61*time.Minute, id, "approve", nil)
		case "earthquake":
			b := t.Fill("Okap", *c.at(3 * time.Hour))
			b.Status = alert.Exercise
			c.create("ht.cc/operate-1", 3*time.Hour, "alert", b, record.Marking{TLP: record.Green, To: []string{"@hispaniola"}}, spot(-72.2010, 19.7570, 8000, "HT0311", "Okap"))
		}
	}
}

type casebook struct {
	end   time.Time
	kinds map[string]*desk.Kind
	acts  []Act
	made  map[record.ID]string // kind
	n     byte
}

func number(n int) *int { return &n }

func spot(lon, lat, within float64, code, words string) *record.Place {
	p := &record.Place{Geometry: record.Point(lon, lat), Uncertainty: within, Words: words}
	if code != "" {
		p.PCode, p.Edition = code, "cod-2018"
		if code[:2] == "DO" {
			p.Edition = "iso-3166-2"
		}
	}
	return p
}

// at is a time so long before the end.
func (c *casebook) at(before time.Duration) *time.Time {
	t := c.end.Add(-before).UTC().Truncate(time.Second)
	return &t
}

// id makes a UUIDv7 of which no other act of the demo has the like.
func (c *casebook) id(at time.Time) record.ID {
	id := record.NewID(at)
	for i := 6; i < len(id); i++ {
		id[i] = 0
	}
	c.n++
	id[6], id[8], id[15] = 0x70, 0x80, c.n
	return id
}

func (c *casebook) create(by string, before time.Duration, kind string, body any, m record.Marking, p *record.Place, links ...record.Link) record.ID {
	at := *c.at(before)
	d := &Draft{Observed: at.Add(-20 * time.Minute), Marking: m, Place: p, Links: links}
	d.Body, _ = json.Marshal(body) // a plain struct of ours: cannot fail
	decoded, _, _ := c.kinds[kind].Decode(d.Body)
	if decoded != nil {
		d.Marking.Caveats = c.kinds[kind].CaveatsFor(decoded)
	}
	a := Act{At: at, Agency: Person{ID: by}.Agency(), Person: by, Kind: kind, Command: desk.Create, ID: c.id(at), Draft: d}
	c.acts = append(c.acts, a)
	if c.made == nil {
		c.made = map[record.ID]string{}
	}
	c.made[a.ID] = kind
	return a.ID
}

// answer makes a record that answers another one, and is released like it.
func (c *casebook) answer(by string, before time.Duration, about record.ID, kind string, body any, p *record.Place) {
	var to record.Marking
	for _, a := range c.acts {
		if a.ID == about && a.Draft != nil {
			to = a.Draft.Marking.Clone()
		}
	}
	c.create(by, before, kind, body, to, p, record.Link{Rel: desk.RelAnswers, Kind: c.made[about], ID: about})
	c.acts[len(c.acts)-1].About = about
}

func (c *casebook) do(by string, before time.Duration, id record.ID, command string, args any) {
	a := Act{At: *c.at(before), Agency: Person{ID: by}.Agency(), Person: by, Kind: c.made[id], Command: command, ID: id}
	if args != nil {
		a.Args, _ = json.Marshal(args)
	}
	c.acts = append(c.acts, a)
}

// findings meet every criterion that a rule set asks for.
func (c *casebook) findings(rules record.ID, r missing.Rules) map[string]any {
	var items []missing.Finding
	for _, it := range r.Items {
		f := missing.Finding{Item: it.Code, Met: missing.Unknown}
		if it.Required {
			f.Met, f.Evidence = missing.Yes, "manman l nan telefòn, ak de machann nan mache a"
		}
		items = append(items, f)
	}
	return map[string]any{"rules": rules, "items": items}
}
