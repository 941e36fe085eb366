// Package demo is the fictional region that `konbit demo` shows: agencies, people,
// some weeks of incidents and situation reports, and a live trickle of more.
//
// Places are real, with approximate coordinates; every agency, person, event,
// number and telephone is invented. The package makes plain data in the order in
// which it would have happened, the same for the same seed. It must not store or
// send anything: the node feeds the acts through intake, like anybody's.
package demo

import (
	"encoding/json"
	"strings"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Days is how far the demo's past reaches back.
const Days = 42

// Agency is one that takes part.
type Agency struct {
	ID          string   `yaml:"id"`
	Name        string   `yaml:"name"`
	Country     string   `yaml:"country"` // where it works
	Communities []string `yaml:"communities"`
}

// Person is an account of the demo. Names say the post, so that nobody takes one
// for somebody.
type Person struct {
	ID         string    `yaml:"id"` // "ht.cc/operate-1"
	Name       string    `yaml:"name"`
	Lang       string    `yaml:"lang"`
	Role       desk.Role `yaml:"role"` // on every desk
	Clearances []string  `yaml:"clearances"`
	Card       bool      `yaml:"card"` // has a sign-in card on the first page
}

// Agency returns the agency that p works for.
func (p Person) Agency() string {
	a, _, _ := strings.Cut(p.ID, "/")
	return a
}

// Act is one thing that somebody does, as a command for intake. Each act is
// possible after those before it. Where reactions or people have been at work in
// between, intake may refuse one as stale: it is to be dropped, and the Story told
// to Forget the record.
type Act struct {
	At      time.Time
	Agency  string
	Person  string // "ht.cc/operate-1"
	Kind    string
	Command string
	ID      record.ID       // the record
	About   record.ID       // of an answer: the record that it answers, perhaps another node's; zero for all else
	Draft   *Draft          // of create and edit
	Args    json.RawMessage // of other commands; of mark, the marking; may be nil
	Note    string
}

// Draft is what a person supplies when making or editing a record. An edit
// leaves the marking as it is.
type Draft struct {
	Observed time.Time
	Marking  record.Marking
	Place    *record.Place
	Links    []record.Link
	Body     json.RawMessage
}

// Agencies lists the agencies.
func Agencies() []Agency { return read().agencies }

// People lists the people.
func People() []Person { return read().people }

// Communities lists the communities that the agencies belong to.
func Communities() []string {
	var out []string
	seen := map[string]bool{}
	for _, a := range read().agencies {
		for _, c := range a.Communities {
			if !seen[c] {
				seen[c] = true
				out = append(out, c)
			}
		}
	}
	return out
}
