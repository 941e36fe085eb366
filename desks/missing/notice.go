package missing

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Over is the flag of a record of which something was published and is no more.
const Over = "over"

// OverFor is how long a page says that it is over.
const OverFor = 30 * 24 * time.Hour

// compose makes a notice of what the record says, and names what is missing. A
// position never gets into it, of nobody.
func compose(p *Person, r *record.Record) (*Notice, record.Fields) {
	var f record.Fields
	if p.Consent.By == "" || p.Consent.Relation == "" || p.ConsentAt == nil {
		f.Add("body.consent", "required", "say who agreed to it, what he is to the person, and when")
	}
	if !p.Consent.Name && !p.Consent.Photograph {
		f.Add("body.consent.name", "required", "nobody has agreed that the name or a photograph be published")
	}
	a := &p.Announce
	if a.Contact == "" {
		f.Add("body.announce.contact", "required", "say whom to tell")
	}
	if len(a.Texts) == 0 {
		f.Add("body.announce.texts", "required", "write what the public is to read, in one language at least")
	}
	n := &Notice{
		Age: p.years().words(r.Observed), Sex: p.Sex,
		Height: p.Description.Height, Build: p.Description.Build, Hair: p.Description.Hair, Eyes: p.Description.Eyes,
		Marks: p.Description.Marks, Clothing: p.Description.Clothing, Languages: p.Description.Languages,
		Since: seconds(r.Observed), Area: a.Area, Contact: a.Contact,
	}
	if p.Consent.Name {
		n.Name = p.Name
	}
	child := p.Minor || p.child() || p.years().childAt(r.Observed)
	if r.Place != nil {
		n.PCode = r.Place.PCode
		if !child { // the words for where a child was are for those who search
			n.Area = cmp.Or(a.Area, r.Place.Words)
		}
	}
	if n.Area == "" {
		f.Add("body.announce.area", "required", "say roughly where, in words")
	}
	n.photograph(p, r, &f)
	n.wordings(p, &f)
	for _, t := range []struct{ path, text string }{{"area", n.Area}, {"contact", n.Contact}} {
		exact("body.announce."+t.path, t.text, &f)
	}
	return n, f
}

// photograph shows the picture that was chosen, when somebody consented and the
// record has it.
func (n *Notice) photograph(p *Person, r *record.Record, f *record.Fields) {
	h := p.Announce.Photograph
	if h == "" {
		return
	}
	i := slices.IndexFunc(r.Attachments, func(a record.Attachment) bool { return a.Hash == h })
	switch {
	case !p.Consent.Photograph:
		f.Add("body.announce.photograph", "consent", "nobody has agreed that a photograph be published")
	case i < 0:
		f.Add("body.announce.photograph", "unknown", "it is not among the record's files")
	case !strings.HasPrefix(r.Attachments[i].Type, "image/"):
		f.Add("body.announce.photograph", "type", "it is not a picture")
	}
	n.Photograph = h
}

// wordings takes one text in each language.
func (n *Notice) wordings(p *Person, f *record.Fields) {
	seen := map[Language]bool{}
	for i, w := range p.Announce.Texts {
		at := record.Index("body.announce.texts", i)
		if seen[w.Language] {
			f.Add(at+".language", "twice", "there is a text in this language already")
		}
		seen[w.Language] = true
		exact(at+".text", w.Text, f)
	}
	n.Texts = slices.Clone(p.Announce.Texts)
}

// position finds what leads to a point on a map: two decimal degrees, degrees and
// minutes, or an address of a map.
var position = regexp.MustCompile(`(?i)(^|[^\d.,])-?\d{1,3}[.,]\d{3,}\s*°?\s*[NSEWO]?\s*[,;/ ]\s*-?\d{1,3}[.,]\d{3,}([^\d.,]|[.,]?$|[.,]\D)|\d{1,3}\s*°\s*\d{1,2}|\bgeo:|maps\.|/maps|goo\.gl|what3words|w3w\.co|openstreetmap`)

func exact(path, text string, f *record.Fields) {
	if position.MatchString(text) {
		f.Add(path, "position", "it holds a position or leads to one; say roughly where, in words")
	}
}

// publish tells what the public sees of a person. words reads the desk's labels.
func publish(words func() map[string]desk.Text) func(*Person, *record.Record) *desk.Notice {
	return func(p *Person, r *record.Record) *desk.Notice {
		n := &p.Notice
		if n.ApprovedBy == "" {
			if !slices.Contains(r.Flags, Over) {
				return nil
			}
			end := "flag.missing.person." + Over
			if r.State == "found" {
				end = "state.missing.person.found"
			}
			return &desk.Notice{Sort: desk.People, Ended: end, Until: r.Recorded.Add(OverFor)}
		}
		out := &desk.Notice{
			Sort: desk.People, Since: n.Since, Areas: []string{n.Area}, Photo: n.Photograph, Contact: n.Contact,
			Rank: len(p.Alerts), Title: words()["kind.missing.person"],
		}
		if n.PCode != "" {
			out.PCodes = []string{n.PCode}
		}
		if n.Name != "" {
			out.Title = desk.Say(n.Name)
		}
		if n.Age != "" {
			for _, t := range []*string{&out.Title.HT, &out.Title.FR, &out.Title.ES, &out.Title.EN} {
				*t += ", " + n.Age
			}
		}
		for _, w := range n.Texts {
			switch w.Language {
			case "ht":
				out.Text.HT = w.Text
			case "fr":
				out.Text.FR = w.Text
			case "es":
				out.Text.ES = w.Text
			case "en":
				out.Text.EN = w.Text
			}
		}
		out.Facts = n.facts(words())
		return out
	}
}

// facts are the lines of a description, with the words of the desk.
func (n *Notice) facts(words map[string]desk.Text) (all []desk.Fact) {
	add := func(field string, t desk.Text) {
		if t != (desk.Text{}) {
			all = append(all, desk.Fact{Label: "field.missing.person." + field, Text: t})
		}
	}
	of := func(field, value string) desk.Text { return words["value.missing.person."+field+"."+value] }
	add("age", desk.Say(n.Age))
	add("sex", of("sex", string(n.Sex)))
	if n.Height != nil {
		add("description.height", desk.Say(fmt.Sprintf("%d cm", *n.Height)))
	}
	add("description.build", of("description.build", string(n.Build)))
	add("description.hair", of("description.hair", string(n.Hair)))
	add("description.eyes", of("description.eyes", string(n.Eyes)))
	add("description.marks", desk.Say(n.Marks))
	add("description.clothing", desk.Say(n.Clothing))
	var spoken []desk.Text
	for _, l := range n.Languages {
		spoken = append(spoken, of("description.languages", string(l)))
	}
	add("description.languages", joined(spoken))
	return all
}

func joined(all []desk.Text) (t desk.Text) {
	for i, one := range all {
		if i > 0 {
			t = desk.Text{HT: t.HT + ", ", FR: t.FR + ", ", ES: t.ES + ", ", EN: t.EN + ", "}
		}
		t = desk.Text{HT: t.HT + one.HT, FR: t.FR + one.FR, ES: t.ES + one.ES, EN: t.EN + one.EN}
	}
	return t
}
