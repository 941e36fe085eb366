package policy

import (
	"slices"
	"strings"

	"konbit/record"
)

// Side is a marking with the agency whose record carries it.
type Side struct {
	Agency      string
	Communities []string // that agency's, as they are today
	Marking     *record.Marking
}

// Wider lists where a reaches farther than b does: what is said in answer to a
// record tells of it, and so must not go where that record itself does not. Both
// agencies are always within reach. communities tells those of an agency.
//
// Communities are compared by name, so that whoever joins one later changes
// nothing.
func Wider(a, b Side, communities func(agency string) []string) record.Fields {
	var f record.Fields
	m, limit := a.Marking, b.Marking
	if slices.Index(record.TLPs, m.TLP) > slices.Index(record.TLPs, limit.TLP) {
		f.Add("marking.tlp", "wider", "what it answers is "+string(limit.TLP))
	}
	both := func(agency string) bool { return agency == a.Agency || agency == b.Agency }
	agency := func(id string) bool {
		return both(id) || Released(id, communities(id), b.Communities, limit)
	}
	community := func(id string) bool {
		if len(limit.To) > 0 {
			return slices.Contains(limit.To, id)
		}
		return limit.TLP == record.Clear || limit.TLP == record.Green && slices.Contains(b.Communities, id)
	}
	others := m.TLP == record.Clear || m.TLP == record.Green && len(m.To) == 0
	for i, to := range m.To {
		others = others || !both(to)
		if strings.HasPrefix(to, "@") && !community(to) || !strings.HasPrefix(to, "@") && !agency(to) {
			f.Add(record.Index("marking.to", i), "wider", "what it answers is not released to "+to)
		}
	}
	if m.TLP == record.Green && len(m.To) == 0 && slices.ContainsFunc(a.Communities, func(c string) bool { return !community(c) }) {
		f.Add("marking.to", "wider", "what it answers is not released to all communities of "+a.Agency)
	}
	for i, p := range m.Persons {
		of, _, _ := strings.Cut(p, "/")
		others = others || !both(of)
		if limit.TLP == record.Red && !slices.Contains(limit.Persons, p) || limit.TLP != record.Red && !agency(of) {
			f.Add(record.Index("marking.persons", i), "wider", "what it answers is not released to "+p)
		}
	}
	if e := limit.Expires; e != nil && others && (m.Expires == nil || m.Expires.After(*e)) {
		f.Add("marking.expires", "wider", "what it answers ends before")
	}
	return f
}

// Reaches reports whether a marking lets anybody of an agency see a record of
// another, leaving aside expiry, role and clearance.
func Reaches(agency string, communities, ownerCommunities []string, m *record.Marking) bool {
	if m.TLP == record.Red {
		return slices.ContainsFunc(m.Persons, func(p string) bool { return strings.HasPrefix(p, agency+"/") })
	}
	return Released(agency, communities, ownerCommunities, m)
}
