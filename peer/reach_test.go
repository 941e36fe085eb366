package peer

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"konbit/kerneltest"
	"konbit/policy"
	"konbit/record"
)

func TestRuleBetweenNodes(t *testing.T) {
	day := kerneltest.Day
	c := &scope{
		Agencies: map[string]map[string]time.Time{"do.911": {"@hispaniola": {}, "@caricom": day}, "do.coe": {"@dispatch": day.Add(time.Hour)}},
		Owners:   map[string][]string{"ht.cc": {"@caricom", "@dispatch"}, "ht.pnh": nil},
	}
	before, after := day.Add(-time.Minute), day.Add(2*time.Hour)
	soon := day.Add(3 * time.Hour)
	until := to("do.911")
	until.Expires = &soon
	for _, x := range []struct {
		what     string
		owner    string
		m        record.Marking
		recorded time.Time
		want     bool
	}{
		{"an empty audience", "ht.cc", record.Marking{TLP: record.Amber}, after, false},
		{"a name", "ht.cc", to("do.911"), before, true},
		{"the node's other name", "ht.cc", to("do.coe"), before, true},
		{"another name", "ht.cc", to("do.9111"), after, false},
		{"a community, always in it", "ht.cc", to("@hispaniola"), before, true},
		{"a community, newer than the membership", "ht.cc", to("@caricom"), after, true},
		{"a community, at that moment", "ht.cc", to("@caricom"), day, true},
		{"a community, older than the membership", "ht.cc", to("@caricom"), before, false},
		{"two communities, one of them for long enough", "ht.cc", to("@caricom", "@hispaniola"), before, true},
		{"a community of the other agency, too early", "ht.cc", to("@dispatch"), day.Add(time.Minute), false},
		{"no community of theirs", "ht.cc", to("@relief"), after, false},
		{"clear", "ht.cc", record.Marking{TLP: record.Clear}, before, true},
		{"green, a community of both", "ht.cc", record.Marking{TLP: record.Green}, after, true},
		{"green, older than the membership", "ht.cc", record.Marking{TLP: record.Green}, before, false},
		{"green, nothing in common", "ht.pnh", record.Marking{TLP: record.Green}, after, false},
		{"red names a person there", "ht.cc", record.Marking{TLP: record.Red, Persons: []string{"ht.cc/ana", "do.coe/juan"}}, before, true},
		{"red names a person elsewhere", "ht.cc", record.Marking{TLP: record.Red, Persons: []string{"do.coex/juan"}}, after, false},
		{"not expired", "ht.cc", until, before, true},
		{"an agency that is not ours", "int.aid", record.Marking{TLP: record.Clear}, after, false},
	} {
		if got := c.reaches(x.owner, &x.m, x.recorded, after); got != x.want {
			t.Errorf("%s: %v", x.what, got)
		}
	}
	if c.reaches("ht.cc", &until, before, soon) {
		t.Error("expired at this moment, and it reaches the node")
	}
}

// TestRuleBetweenNodesIsThePolicyForTheirPeople holds the rule against the one
// for persons, where memberships are of always.
func TestRuleBetweenNodesIsThePolicyForTheirPeople(t *testing.T) {
	names := []string{"do.911", "do.coe", "int.aid"}
	communities := []string{"@a", "@b", "@c"}
	some := func(t *rapid.T, of []string, what string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, len(of), rapid.ID[string]).Draw(t, what)
	}
	rapid.Check(t, func(t *rapid.T) {
		owners := some(t, communities, "owner's communities")
		c := &scope{Agencies: map[string]map[string]time.Time{}, Owners: map[string][]string{"ht.cc": owners}}
		m := record.Marking{TLP: rapid.SampledFrom(record.TLPs).Draw(t, "colour"), Caveats: some(t, record.Caveats, "caveats")}
		switch m.TLP {
		case record.Red:
			m.Persons = some(t, []string{"do.911/x", "do.coe/x", "int.aid/x", "ht.cc/x"}, "persons")
		case record.Clear:
		default:
			m.To = some(t, append(names, communities...), "to")
		}
		want := false
		for _, a := range some(t, names, "agencies of the node") {
			in := some(t, communities, "communities")
			c.Agencies[a] = map[string]time.Time{}
			for _, x := range in {
				c.Agencies[a][x] = time.Time{}
			}
			r := &policy.Reader{Person: a + "/x", Agency: a, Communities: in}
			want = want || r.Audience("ht.cc", owners, &m)
		}
		if got := c.reaches("ht.cc", &m, kerneltest.Day, kerneltest.Day); got != want {
			t.Fatalf("reaches %v, a person there may see it: %v", got, want)
		}
		var kept scope
		if err := json.Unmarshal([]byte(c.text()), &kept); err != nil || kept.text() != c.text() {
			t.Fatalf("kept and read again it is another: %s %s", kept.text(), c.text())
		}
	})
}
