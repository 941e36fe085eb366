package peer

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// A scope is all that decides which markings reach a node: the agencies that it
// serves, in which communities they are and since when, and in which communities
// our own agencies are. It is kept with the shares, so that a change of the
// directory, also one while we were stopped, is a difference of two scopes.
type scope struct {
	Agencies map[string]map[string]time.Time `json:"agencies"` // agency -> community -> since when
	Owners   map[string][]string             `json:"owners"`   // our agency -> its communities
}

// since is the rule (docs/ARCHITECTURE.md, "Who may see a record") between nodes:
// it says from when on the versions with a marking go to the node; what was
// recorded before does not. ok is false when none do. A name that is in the
// audience counts always; a community from the day on which the agency came to it.
func (c *scope) since(owner string, m *record.Marking) (from time.Time, ok bool) {
	communities, ours := c.Owners[owner]
	if !ours {
		return from, false
	}
	for agency, in := range c.Agencies {
		if policy.Released(agency, nil, communities, m) || named(agency, m) {
			return time.Time{}, true
		}
		for community, joined := range in {
			if policy.Released(agency, []string{community}, communities, m) && (!ok || joined.Before(from)) {
				from, ok = joined, true
			}
		}
	}
	return from, ok
}

// named reports whether a RED marking names a person of the agency.
func named(agency string, m *record.Marking) bool {
	return m.TLP == record.Red && slices.ContainsFunc(m.Persons, func(p string) bool {
		return len(p) > len(agency) && p[len(agency)] == '/' && strings.HasPrefix(p, agency)
	})
}

// reaches reports whether a version goes to the node.
func (c *scope) reaches(owner string, m *record.Marking, recorded, now time.Time) bool {
	from, ok := c.since(owner, m)
	return ok && !recorded.Before(from) && !expired(m.Expires, now)
}

func expired(at *time.Time, now time.Time) bool { return at != nil && !now.Before(*at) }

// scopeOf is what the directory says today.
func scopeOf(dir Directory, n *store.Node) *scope {
	c := &scope{Agencies: map[string]map[string]time.Time{}, Owners: map[string][]string{}}
	for _, a := range n.Agencies {
		if dir.Local(a) {
			continue // nobody else speaks or listens for an agency of ours
		}
		in := map[string]time.Time{}
		for _, name := range dir.Communities(a) {
			in[name] = dir.Joined(a, name).UTC()
		}
		c.Agencies[a] = in
	}
	for _, a := range dir.Agencies() {
		if dir.Local(a) {
			of := slices.Clone(dir.Communities(a))
			slices.Sort(of)
			c.Owners[a] = of
		}
	}
	return c
}

// text is the scope as it is kept; two scopes are equal when their texts are.
func (c *scope) text() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // of maps of times and strings
	}
	return string(b)
}

// reached is since, worked out once for each marking.
type reached struct {
	scope *scope
	text  string
	from  map[int64]threshold // by number of the marking
}

type threshold struct {
	from time.Time
	ok   bool
}

func reachedBy(c *scope) *reached {
	return &reached{scope: c, text: c.text(), from: map[int64]threshold{}}
}

func (r *reached) since(m *store.Marking) threshold {
	t, known := r.from[m.N]
	if !known {
		t.from, t.ok = r.scope.since(m.Owner, &m.Marking)
		r.from[m.N] = t
	}
	return t
}

// reaches is scope.reaches for an interned marking, whose expiry is kept elsewhere.
func (r *reached) reaches(m *store.Marking, recorded time.Time, expires *time.Time, now time.Time) bool {
	t := r.since(m)
	return t.ok && !recorded.Before(t.from) && !expired(expires, now)
}
