package demo

import (
	"embed"
	"fmt"
	"sync"

	"github.com/goccy/go-yaml"

	"konbit/desk"
)

//go:embed content/*.yaml
var files embed.FS

// content is everything that is written in the YAML files. It is read once and
// never changed.
type content struct {
	agencies  []Agency
	people    []Person
	places    []place
	templates map[string][]template // by agency
	words     map[string]map[string][]string
	reports   reports
	replies   replies
}

// place is where something may happen.
type place struct {
	HT     string     `yaml:"ht"`
	FR     string     `yaml:"fr"`
	ES     string     `yaml:"es"`
	At     [2]float64 `yaml:"at"`     // longitude, latitude
	Within float64    `yaml:"within"` // metres around it
	Code   string     `yaml:"in"`
	Is     []string   `yaml:"is"`
}

// in names the place in a language, as people there would.
func (p *place) in(lang string) string {
	switch {
	case lang == "ht" && p.HT != "":
		return p.HT
	case p.FR != "":
		return p.FR
	}
	return p.ES
}

// template is one sort of report, with slots and choices to fill.
type template struct {
	What struct {
		Category     string            `yaml:"category"`
		Severity     []string          `yaml:"severity"` // one of
		Rare         bool              `yaml:"rare"`     // drawn three times out of ten
		Where        []string          `yaml:"where"`    // a place with one of these words; "any" for all on land
		By           string            `yaml:"by"`       // the agency, where not the usual one of the language
		Source       []string          `yaml:"source"`   // one of
		Needs        []string          `yaml:"needs"`
		People       map[string][2]int `yaml:"people"`       // count -> least, most
		Children     string            `yaml:"children"`     // "always", "maybe", ""
		Confidential bool              `yaml:"confidential"` // protect the source
		Callback     bool              `yaml:"callback"`     // always leaves a number
	} `yaml:"what"`
	Title string `yaml:"title"`
	Text  string `yaml:"text"`

	lang string
}

// reports is what situation reports are made of.
type reports struct {
	Areas   []area                         `yaml:"areas"`
	Control map[string]map[string][]string `yaml:"control"` // value -> language -> sentences
	People  map[string][]string            `yaml:"people"`
	Access  map[string]map[string][]string `yaml:"access"`
	Outlook map[string][]string            `yaml:"outlook"`
	Sources map[string][]string            `yaml:"sources"`
}

// area is what one series of situation reports covers, and how it begins.
type area struct {
	Code      string            `yaml:"code"`
	Edition   string            `yaml:"edition"`
	Names     map[string]string `yaml:"names"`
	At        [2]float64        `yaml:"at"`
	Within    float64           `yaml:"within"`
	By        []string          `yaml:"by"`
	Killed    int               `yaml:"killed"`
	Displaced int               `yaml:"displaced"`
	Control   string            `yaml:"control"`
	Access    string            `yaml:"access"`
}

// usual is the agency that reports in a language, where a template names none.
var usual = map[string]string{"ht": "ht.cc", "fr": "ht.cc", "es": "do.911", "en": "int.aid"}

var read = sync.OnceValue(func() *content {
	c := &content{templates: map[string][]template{}}
	load := func(name string, into any) {
		b, err := files.ReadFile("content/" + name + ".yaml")
		if err == nil {
			err = yaml.UnmarshalWithOptions(b, into, yaml.Strict())
		}
		if err != nil {
			panic(fmt.Sprintf("demo: %s: %v", name, err)) // a fault of the program: the files are built in
		}
	}
	var who struct {
		Agencies []Agency `yaml:"agencies"`
		People   []Person `yaml:"people"`
	}
	var where struct {
		Places []place `yaml:"places"`
	}
	load("agencies", &who)
	load("places", &where)
	load("words", &c.words)
	load("sitreps", &c.reports)
	load("answers", &c.replies)
	c.agencies, c.people, c.places = who.Agencies, who.People, where.Places
	for _, lang := range desk.Langs {
		var list []template
		load("incidents."+lang, &list)
		for _, t := range list {
			t.lang = lang
			by := t.What.By
			if by == "" {
				by = usual[lang]
			}
			c.templates[by] = append(c.templates[by], t)
		}
	}
	return c
})
