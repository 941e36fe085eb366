package policy_test

import (
	"testing"
	"time"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
)

type body struct {
	Title string `json:"title" search:"title"`
}

func kinds() (plain, asks *desk.Kind) {
	flow := desk.Flow{"open": {"shut": "done"}}
	allow := desk.Allow{"shut": desk.Supervisor}
	plain = desk.KindOf[body]("note", flow, allow, desk.KeepYears(1))
	asks = desk.KindOf[body]("case", flow, allow, desk.KeepYears(1), desk.AskPurpose())
	plain.Desk, asks.Desk = "notes", "cases"
	return plain, asks
}

// The table is ARCHITECTURE's "Who may see a record", line by line. The reader is
// a viewer of do.911, which is in @hispaniola; the owner is ht.cc.
func TestSeesFollowsTheRule(t *testing.T) {
	plain, asks := kinds()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	past, future := now.Add(-time.Second), now.Add(time.Second)
	viewer := func(change ...func(*policy.Reader)) *policy.Reader {
		r := &policy.Reader{Person: "do.911/ana", Agency: "do.911", Communities: []string{"@hispaniola"}, Roles: map[string][]desk.Role{"*": {desk.Viewer}}}
		for _, c := range change {
			c(r)
		}
		return r
	}
	owner := func(r *policy.Reader) { r.Person, r.Agency = "ht.cc/jan", "ht.cc" }
	role := func(role desk.Role) func(*policy.Reader) {
		return func(r *policy.Reader) { r.Roles = map[string][]desk.Role{"*": {role}} }
	}
	cleared := func(r *policy.Reader) { r.Clearances = []string{"victim"} }
	why := func(r *policy.Reader) { r.Purpose = "on duty" }
	for _, c := range []struct {
		name   string
		reader *policy.Reader
		kind   *desk.Kind
		mark   record.Marking
		want   policy.Verdict
	}{
		{"the owner's people, any colour but RED", viewer(owner), plain, record.Marking{TLP: record.AmberStrict}, policy.Visible},
		{"nobody else when the audience is empty", viewer(), plain, record.Marking{TLP: record.Amber}, policy.Hidden},
		{"an agency that is named", viewer(), plain, record.Marking{TLP: record.Amber, To: []string{"do.911"}}, policy.Visible},
		{"an agency whose community is named", viewer(), plain, record.Marking{TLP: record.AmberStrict, To: []string{"@hispaniola"}}, policy.Visible},
		{"not an agency that is not named", viewer(), plain, record.Marking{TLP: record.Amber, To: []string{"ht.gc", "@caricom"}}, policy.Hidden},
		{"CLEAR without an audience: everyone", viewer(func(r *policy.Reader) { r.Communities = nil }), plain, record.Marking{TLP: record.Clear}, policy.Visible},
		{"GREEN without an audience: a community of both", viewer(), plain, record.Marking{TLP: record.Green}, policy.Visible},
		{"GREEN without a community of both", viewer(func(r *policy.Reader) { r.Communities = []string{"@caricom"} }), plain, record.Marking{TLP: record.Green}, policy.Hidden},
		{"GREEN with an audience: only that", viewer(), plain, record.Marking{TLP: record.Green, To: []string{"ht.gc"}}, policy.Hidden},
		{"RED: a person who is named", viewer(), plain, record.Marking{TLP: record.Red, Persons: []string{"do.911/ana"}}, policy.Visible},
		{"RED: not a colleague of his", viewer(func(r *policy.Reader) { r.Person = "do.911/luz" }), plain, record.Marking{TLP: record.Red, Persons: []string{"do.911/ana"}}, policy.Hidden},
		{"RED: not the owner's supervisor", viewer(owner, role(desk.Supervisor)), plain, record.Marking{TLP: record.Red, Persons: []string{"ht.cc/op"}}, policy.Hidden},
		{"expired for others", viewer(), plain, record.Marking{TLP: record.Clear, Expires: &past}, policy.Hidden},
		{"not yet expired", viewer(), plain, record.Marking{TLP: record.Clear, Expires: &future}, policy.Visible},
		{"never expired for the owner", viewer(owner), plain, record.Marking{TLP: record.Clear, Expires: &past}, policy.Visible},
		{"no role, no sight", viewer(func(r *policy.Reader) { r.Roles = nil }), plain, record.Marking{TLP: record.Clear}, policy.Hidden},
		{"a role on another desk", viewer(func(r *policy.Reader) { r.Roles = map[string][]desk.Role{"cases": {desk.Supervisor}} }), plain, record.Marking{TLP: record.Clear}, policy.Hidden},
		{"an administrator has no right to read", viewer(owner, role(desk.Administrator)), plain, record.Marking{TLP: record.Clear}, policy.Hidden},
		{"an auditor has no right to read", viewer(owner, role(desk.Auditor)), plain, record.Marking{TLP: record.Clear}, policy.Hidden},
		{"the public sees no record", viewer(func(r *policy.Reader) { r.Person = "" }), plain, record.Marking{TLP: record.Clear}, policy.Hidden},
		{"a token without the scope", viewer(func(r *policy.Reader) { r.Scopes = []string{"write"} }), plain, record.Marking{TLP: record.Clear}, policy.Hidden},
		{"a caveat without clearance, own agency too", viewer(owner, role(desk.Supervisor)), plain, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Hidden},
		{"each caveat needs its clearance", viewer(owner, cleared), plain, record.Marking{TLP: record.Amber, Caveats: []string{"juvenile", "victim"}}, policy.Hidden},
		{"cleared, and the kind asks no purpose", viewer(owner, cleared), plain, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Visible},
		{"cleared, and the kind asks a purpose", viewer(owner, cleared), asks, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.NeedsPurpose},
		{"cleared, with a purpose", viewer(owner, cleared, why), asks, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Visible},
		{"a purpose is no clearance", viewer(owner, why), asks, record.Marking{TLP: record.Amber, Caveats: []string{"victim"}}, policy.Hidden},
		{"no caveat, no purpose asked", viewer(owner), asks, record.Marking{TLP: record.Amber}, policy.Visible},
	} {
		if got := c.reader.Sees(c.kind, "ht.cc", []string{"@hispaniola"}, &c.mark, now); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		}
	}
}

func TestMayIsDeniedByDefault(t *testing.T) {
	plain, _ := kinds()
	for _, c := range []struct {
		name    string
		roles   map[string][]desk.Role
		scopes  []string
		command string
		want    record.Code
	}{
		{"a viewer creates nothing", map[string][]desk.Role{"*": {desk.Viewer}}, nil, desk.Create, record.Denied},
		{"an operator creates", map[string][]desk.Role{"notes": {desk.Operator}}, nil, desk.Create, ""},
		{"on his own desk alone", map[string][]desk.Role{"cases": {desk.Operator}}, nil, desk.Create, record.Denied},
		{"an operator does not shut", map[string][]desk.Role{"*": {desk.Operator}}, nil, "shut", record.Denied},
		{"a supervisor shuts", map[string][]desk.Role{"*": {desk.Supervisor}}, nil, "shut", ""},
		{"an administrator does not", map[string][]desk.Role{"*": {desk.Administrator}}, nil, "shut", record.Denied},
		{"a token that may only read", map[string][]desk.Role{"*": {desk.Supervisor}}, []string{"read"}, "shut", record.Denied},
		{"a command that does not exist", map[string][]desk.Role{"*": {desk.Supervisor}}, nil, "fly", record.NotFound},
	} {
		r := &policy.Reader{Person: "ht.cc/ana", Agency: "ht.cc", Roles: c.roles, Scopes: c.scopes}
		if got := record.CodeOf(r.May(plain, c.command)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := record.CodeOf((&policy.Reader{}).May(plain, desk.Create)); got != record.Unsigned {
		t.Errorf("nobody: %q", got)
	}
}
