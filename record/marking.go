package record

import (
	"regexp"
	"slices"
	"time"
)

// TLP is a colour of the Traffic Light Protocol, version 2.0 (FIRST, 2022).
type TLP string

// The five markings of TLP 2.0, narrowest first.
const (
	Red         TLP = "RED"
	AmberStrict TLP = "AMBER+STRICT"
	Amber       TLP = "AMBER"
	Green       TLP = "GREEN"
	Clear       TLP = "CLEAR"
)

// TLPs lists the colours, narrowest first.
var TLPs = []TLP{Red, AmberStrict, Amber, Green, Clear}

// Caveats lists the handling caveats: classes of protection for which a reader
// must be cleared, whatever his agency and role.
var Caveats = []string{"victim", "juvenile", "source", "medical", "financial"}

// Marking says who may know. An empty To means the owner alone, except that
// CLEAR then means everyone and GREEN the communities that both belong to.
type Marking struct {
	TLP     TLP        `json:"tlp"`
	To      []string   `json:"to,omitempty"`      // agencies ("do.911") and communities ("@hispaniola")
	Persons []string   `json:"persons,omitempty"` // for RED: "agency/name", and nobody else
	Caveats []string   `json:"caveats,omitempty"` // of Caveats
	Expires *time.Time `json:"expires,omitempty"` // after this, other agencies see it no more
}

var (
	agencyID    = regexp.MustCompile(`^[a-z0-9]{2,12}(\.[a-z0-9][a-z0-9-]{0,30}){1,3}$`)
	communityID = regexp.MustCompile(`^@[a-z0-9][a-z0-9-]{1,40}$`)
	personID    = regexp.MustCompile(`^[a-z0-9]{2,12}(\.[a-z0-9][a-z0-9-]{0,30}){1,3}/[\p{Ll}0-9][\p{Ll}0-9._-]{0,60}$`)
)

// AgencyID reports whether s has the form of an agency, e.g. "ht.pnh".
func AgencyID(s string) bool { return len(s) < 80 && agencyID.MatchString(s) }

// CommunityID reports whether s has the form of a community, e.g. "@caricom".
func CommunityID(s string) bool { return len(s) < 80 && communityID.MatchString(s) }

// PersonID reports whether s has the form of a person, e.g. "ht.pnh/mpierre".
func PersonID(s string) bool { return len(s) < 160 && personID.MatchString(s) }

// Check returns what is wrong with m.
func (m *Marking) Check(now time.Time) Fields {
	var f Fields
	if !slices.Contains(TLPs, m.TLP) {
		f.Add("marking.tlp", "enum", "must be one of RED, AMBER+STRICT, AMBER, GREEN, CLEAR")
	}
	if len(m.To) > 200 || len(m.Persons) > 200 {
		f.Add("marking.to", "max", "at most 200 names")
	}
	for i, a := range m.To {
		if !AgencyID(a) && !CommunityID(a) {
			f.Add(Index("marking.to", i), "invalid", "must be an agency (do.911) or a community (@hispaniola)")
		}
	}
	for i, p := range m.Persons {
		if !PersonID(p) {
			f.Add(Index("marking.persons", i), "invalid", "must be a person, as agency/name")
		}
	}
	if m.TLP == Red && len(m.To) > 0 {
		f.Add("marking.to", "conflict", "RED is for the persons that it names; name persons, not agencies")
	}
	if m.TLP != Red && len(m.Persons) > 0 {
		f.Add("marking.persons", "conflict", "only RED names persons")
	}
	if m.TLP == Clear && len(m.To) > 0 {
		f.Add("marking.to", "conflict", "CLEAR has no limits; to name an audience choose another colour")
	}
	if m.Expires != nil && (m.Expires.UTC().Year() < 1900 || m.Expires.UTC().Year() > 9998) {
		f.Add("marking.expires", "range", "must be a time between the years 1900 and 9998")
	}
	for i, c := range m.Caveats {
		if !slices.Contains(Caveats, c) {
			f.Add(Index("marking.caveats", i), "enum", "unknown handling caveat")
		}
	}
	return f
}

// Normalize sorts the lists and drops repetitions, so that equal markings are
// equal bytes, and rounds the expiry to seconds.
func (m *Marking) Normalize() {
	norm := func(s []string) []string {
		if len(s) == 0 {
			return nil
		}
		slices.Sort(s)
		return slices.Compact(s)
	}
	m.To, m.Persons, m.Caveats = norm(m.To), norm(m.Persons), norm(m.Caveats)
	if m.Expires != nil {
		t := m.Expires.UTC().Truncate(time.Second)
		m.Expires = &t
	}
}

// Clone returns a copy that shares nothing with m.
func (m Marking) Clone() Marking {
	m.To, m.Persons, m.Caveats = slices.Clone(m.To), slices.Clone(m.Persons), slices.Clone(m.Caveats)
	if m.Expires != nil {
		t := *m.Expires
		m.Expires = &t
	}
	return m
}
