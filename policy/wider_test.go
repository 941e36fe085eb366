package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"konbit/policy"
	"konbit/record"
)

var region = map[string][]string{
	"ht.cc": {"@hispaniola", "@caricom"}, "ht.gc": {"@caricom"}, "do.911": {"@hispaniola"}, "int.aid": {"@hispaniola", "@relief"}, "jm.cg": nil,
}

func communities(agency string) []string { return region[agency] }

// do.911 answers a record of ht.cc.
func TestAnAnswerIsNotReleasedWiderThanWhatItAnswers(t *testing.T) {
	soon, later := time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC)
	m := func(tlp record.TLP, to ...string) record.Marking { return record.Marking{TLP: tlp, To: to} }
	red := func(persons ...string) record.Marking {
		return record.Marking{TLP: record.Red, Persons: persons}
	}
	until := func(m record.Marking, t time.Time) record.Marking { m.Expires = &t; return m }
	for _, c := range []struct {
		name          string
		answer, limit record.Marking
		want          string // paths
	}{
		{"to its owner", m(record.Amber, "ht.cc"), m(record.Amber, "do.911"), ""},
		{"to nobody", m(record.Amber), m(record.Amber, "do.911"), ""},
		{"to whom it was released, too", m(record.Amber, "ht.cc", "ht.gc"), m(record.Amber, "do.911", "ht.gc"), ""},
		{"to a third", m(record.Amber, "ht.cc", "ht.gc"), m(record.Amber, "do.911"), "marking.to[1]"},
		{"in a wider colour", m(record.Green, "ht.cc"), m(record.Amber, "do.911"), "marking.tlp"},
		{"in a narrower colour", m(record.AmberStrict, "ht.cc"), m(record.Green, "@hispaniola"), ""},
		{"to a member of a named community", m(record.Green, "int.aid"), m(record.Green, "@hispaniola"), ""},
		{"to the named community", m(record.Green, "@hispaniola"), m(record.Green, "@hispaniola"), ""},
		{"to another community", m(record.Green, "@caricom"), m(record.Green, "@hispaniola"), "marking.to[0]"},
		{"to a community whose only members were named", m(record.Amber, "@relief"), m(record.Amber, "do.911", "int.aid"), "marking.to[0]"},
		{"GREEN on GREEN: within the owner's communities", m(record.Green), m(record.Green), ""},
		{"GREEN on a named audience", m(record.Green), m(record.Green, "do.911"), "marking.to"},
		{"anything on CLEAR", m(record.Clear), m(record.Clear), ""},
		{"a name on CLEAR", m(record.Amber, "jm.cg"), m(record.Clear), ""},
		{"CLEAR on GREEN", m(record.Clear), m(record.Green), "marking.tlp"},
		{"RED to a named person", red("ht.cc/op", "do.911/ana"), red("ht.cc/op", "do.911/ana"), ""},
		{"RED to another person of the owner", red("ht.cc/chief", "do.911/ana"), red("ht.cc/op", "do.911/ana"), "marking.persons[0]"},
		{"RED on AMBER, to the owner's people", red("ht.cc/chief"), m(record.Amber, "do.911"), ""},
		{"RED on AMBER, to a third's", red("ht.gc/chief"), m(record.Amber, "do.911"), "marking.persons[0]"},
		{"to the owner, who never loses sight", m(record.Amber, "ht.cc"), until(m(record.Amber, "do.911", "ht.gc"), soon), ""},
		{"to a third for longer", m(record.Amber, "ht.gc"), until(m(record.Amber, "do.911", "ht.gc"), soon), "marking.expires"},
		{"to a third until later", until(m(record.Amber, "ht.gc"), later), until(m(record.Amber, "do.911", "ht.gc"), soon), "marking.expires"},
		{"to a third until then", until(m(record.Amber, "ht.gc"), soon), until(m(record.Amber, "do.911", "ht.gc"), soon), ""},
	} {
		a := policy.Side{Agency: "do.911", Communities: region["do.911"], Marking: &c.answer}
		b := policy.Side{Agency: "ht.cc", Communities: region["ht.cc"], Marking: &c.limit}
		var got []string
		for _, f := range policy.Wider(a, b, communities) {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
}

// What is not wider is seen by nobody, of a third agency, who could not see what
// it answers.
func TestNobodyLearnsOfARecordByItsAnswer(t *testing.T) {
	agencies := []string{"ht.cc", "ht.gc", "do.911", "int.aid", "jm.cg"}
	marking := func(t *rapid.T, name string) *record.Marking {
		m := &record.Marking{TLP: rapid.SampledFrom(record.TLPs).Draw(t, name)}
		switch m.TLP {
		case record.Red:
			for _, a := range rapid.SliceOf(rapid.SampledFrom(agencies)).Draw(t, name+" persons") {
				m.Persons = append(m.Persons, a+"/ana")
			}
		case record.Clear:
		default:
			m.To = rapid.SliceOf(rapid.SampledFrom(append([]string{"@hispaniola", "@caricom", "@relief"}, agencies...))).Draw(t, name+" to")
		}
		m.Normalize()
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		a := policy.Side{Agency: rapid.SampledFrom(agencies).Draw(t, "answerer"), Marking: marking(t, "answer")}
		b := policy.Side{Agency: rapid.SampledFrom(agencies).Draw(t, "owner"), Marking: marking(t, "answered")}
		a.Communities, b.Communities = region[a.Agency], region[b.Agency]
		if a.Agency == b.Agency || len(policy.Wider(a, b, communities)) > 0 {
			return
		}
		for _, third := range slices.DeleteFunc(slices.Clone(agencies), func(s string) bool { return s == a.Agency || s == b.Agency }) {
			if policy.Reaches(third, region[third], a.Communities, a.Marking) && !policy.Reaches(third, region[third], b.Communities, b.Marking) {
				t.Fatalf("%s learns of %+v by %+v", third, *b.Marking, *a.Marking)
			}
		}
	})
}
