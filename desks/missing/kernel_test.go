package missing_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/desk"
	"konbit/desks/missing"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/policy"
	"konbit/record"
)

// node is a kernel with this desk and its people: two supervisors and an operator of
// the agency that looks for somebody, and a neighbour across the border.
type node struct {
	*kerneltest.House
	ana, bea, op, neighbour *policy.Reader
}

func start(t *testing.T) *node {
	h := kerneltest.New(t, func(h *kerneltest.House) { h.Extra = []*desk.Desk{missing.New()} })
	who := func(name string, role desk.Role) *policy.Reader {
		r := h.Reader(name, role, record.Caveats...)
		r.Roles, r.Purpose = map[string][]desk.Role{"missing": {role}}, "search"
		return r
	}
	return &node{h, who("ht.cc/ana", desk.Supervisor), who("ht.cc/bea", desk.Supervisor), who("ht.cc/op", desk.Operator), who("do.911/rosa", desk.Operator)}
}

// give gives a command; args may be nil.
func (n *node) give(by *policy.Reader, r *record.Record, name string, args any) (*record.Record, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		n.T.Fatal(err)
	}
	if args == nil {
		raw = nil
	}
	got, err := n.Intake.Do(context.Background(), &intake.Command{ID: kerneltest.ID(), Kind: r.Kind, Name: name, Record: r.ID, By: by, Args: raw})
	return got.Record, err
}

func (n *node) must(by *policy.Reader, r *record.Record, name string, args any) *record.Record {
	n.T.Helper()
	got, err := n.give(by, r, name, args)
	if err != nil {
		n.T.Fatalf("%s: %v", name, err)
	}
	return got
}

func (n *node) refused(code record.Code, by *policy.Reader, r *record.Record, name string, args any) {
	n.T.Helper()
	if _, err := n.give(by, r, name, args); record.CodeOf(err) != code {
		n.T.Errorf("%s: wanted %q, got %v", name, code, err)
	}
}

func (n *node) edit(by *policy.Reader, r *record.Record, change func(map[string]any)) (*record.Record, error) {
	n.T.Helper()
	var body map[string]any
	if err := json.Unmarshal(r.Body, &body); err != nil {
		n.T.Fatal(err)
	}
	change(body)
	d := kerneltest.Draft(body)
	d.Observed, d.Place, d.Attachments, d.Marking = r.Observed, r.Place, r.Attachments, r.Marking
	got, err := n.Intake.Do(context.Background(), &intake.Command{ID: kerneltest.ID(), Kind: r.Kind, Name: desk.Edit, Record: r.ID, By: by, Draft: d})
	return got.Record, err
}

// shown is what the public sees of a record.
func (n *node) shown(r *record.Record) *desk.Notice {
	n.T.Helper()
	got, err := n.Desks.Kind(r.Kind).Notice(r)
	if err != nil {
		n.T.Fatal(err)
	}
	return got
}

func (n *node) body(r *record.Record) (p missing.Person) {
	n.T.Helper()
	if err := json.Unmarshal(r.Body, &p); err != nil {
		n.T.Fatal(err)
	}
	return p
}

var photograph = strings.Repeat("ab", 32)

func girl() *missing.Person {
	age, height, agreed := 9, 128, kerneltest.Day.Add(-time.Hour)
	return &missing.Person{
		Name: "Eksanp Premye", OtherNames: []string{"Ti Premye"}, Sex: "female", Age: &age, Category: "lost",
		Description:   missing.Description{Height: &height, Hair: "braids", Clothing: "Rad ble", Languages: []missing.Speech{"ht", "es"}},
		Circumstances: "Li te soti lekòl.", Home: "Dèyè legliz la",
		Consent: missing.Consent{By: "Eksanp Manman", Relation: "parent", Name: true, Photograph: true}, ConsentAt: &agreed,
		Reporter: missing.Reporter{Type: "call", Callback: "+5095550101"},
		Announce: missing.Announce{Area: "Wanament", Contact: "tel. 114", Photograph: photograph, Texts: []missing.Wording{
			{Language: "ht", Text: "Ede nou jwenn li."}, {Language: "es", Text: "Ayúdenos a encontrarla."},
		}},
	}
}

// create reports somebody at an exact place, with a photograph.
func (n *node) create(p *missing.Person) *record.Record {
	n.T.Helper()
	n.Blobs["ht.cc/op "+photograph] = 1000
	d := kerneltest.At(kerneltest.Draft(p), -71.7234, 19.5508)
	d.Place.PCode, d.Place.Words, d.Place.Uncertainty = "HT0331", "Pòtay lekòl nasyonal la", 50
	d.Attachments = []record.Attachment{{Hash: photograph, Name: "p.png"}}
	d.Marking.To = []string{"do.911"}
	return n.Create(n.op, "missing.person", d)
}

// published brings somebody to the public by two people.
func (n *node) published(p *missing.Person) *record.Record {
	n.T.Helper()
	r := n.create(p)
	n.must(n.op, r, "accept", nil)
	n.must(n.ana, r, "propose", nil)
	return n.must(n.bea, r, "approve", nil)
}

func TestPublicSeesWhatTwoPeopleMadeAndNothingElse(t *testing.T) {
	n := start(t)
	r := n.create(girl())
	n.must(n.op, r, "accept", nil)
	if r = n.must(n.ana, r, "propose", nil); n.shown(r) != nil {
		t.Error("it is shown before anybody has approved")
	}
	n.refused(record.Denied, n.ana, r, "approve", nil)
	n.refused(record.Denied, n.op, r, "approve", nil)
	if _, err := n.edit(n.bea, r, func(b map[string]any) { b["name"] = "Lòt" }); record.CodeOf(err) != record.Stale {
		t.Errorf("what is proposed was edited: %v", err)
	}
	r = n.must(n.bea, r, "approve", nil)

	want := &desk.Notice{
		Sort: desk.People, Since: r.Observed.Truncate(time.Second), Areas: []string{"Wanament"}, PCodes: []string{"HT0331"}, Photo: photograph, Contact: "tel. 114",
		Title: desk.Say("Eksanp Premye, 9"), Text: desk.Text{HT: "Ede nou jwenn li.", ES: "Ayúdenos a encontrarla."},
		Facts: []desk.Fact{
			{Label: "field.missing.person.age", Text: desk.Say("9")},
			{Label: "field.missing.person.sex", Text: desk.Text{HT: "Fi", FR: "Femme", ES: "Mujer", EN: "Female"}},
			{Label: "field.missing.person.description.height", Text: desk.Say("128 cm")},
			{Label: "field.missing.person.description.hair", Text: desk.Text{HT: "Trese", FR: "Tresses", ES: "Trenzas", EN: "Braids"}},
			{Label: "field.missing.person.description.clothing", Text: desk.Say("Rad ble")},
			{Label: "field.missing.person.description.languages", Text: desk.Text{HT: "Kreyòl, Panyòl", FR: "Créole, Espagnol", ES: "Criollo, Español", EN: "Kreyòl, Spanish"}},
		},
	}
	if d := cmp.Diff(want, n.shown(r)); d != "" {
		t.Errorf("the public sees (-want +got):\n%s", d)
	}
	for _, f := range want.Facts {
		if n.Desks.Labels("missing")[f.Label].EN == "" {
			t.Errorf("%s is no label", f.Label)
		}
	}
	p := n.body(r).Notice
	if p.ProposedBy != "ht.cc/ana" || p.ApprovedBy != "ht.cc/bea" || p.ProposedAt.IsZero() || p.ApprovedAt.IsZero() {
		t.Errorf("who made it: %+v", p)
	}
	all, err := json.Marshal(struct {
		Body, Shown any
	}{p, n.shown(r)})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"19.55", "71.72", "lekòl", "Dèyè legliz", "Manman", "5550101", "Ti Premye"} {
		if strings.Contains(string(all), secret) {
			t.Errorf("the notice holds %q: %s", secret, all)
		}
	}
	n.Verify()
}

func TestEditChangesTheRecordAndNotWhatIsPublished(t *testing.T) {
	n := start(t)
	r := n.published(girl())
	before := n.shown(r)
	for what, forge := range map[string]func(map[string]any){
		"another name":     func(b map[string]any) { b["notice"].(map[string]any)["name"] = "Lòt Moun" },
		"another approver": func(b map[string]any) { b["notice"].(map[string]any)["approvedBy"] = "ht.cc/ana" },
		"another text": func(b map[string]any) {
			b["notice"].(map[string]any)["texts"] = []any{map[string]any{"language": "ht", "text": "x"}}
		},
		"a proposal":        func(b map[string]any) { b["proposal"] = map[string]any{"by": "ht.cc/ana"} },
		"an outcome":        func(b map[string]any) { b["outcome"] = map[string]any{"end": "deceased"} },
		"an alert":          func(b map[string]any) { b["alerts"] = []any{"amber"} },
		"a confirmed death": func(b map[string]any) { b["outcome"] = map[string]any{"confirmedBy": "ht.cc/bea"} },
	} {
		if _, err := n.edit(n.op, r, forge); record.CodeOf(err) != record.Invalid {
			t.Errorf("an edit forges %s: %v", what, err)
		}
	}
	r, err := n.edit(n.op, r, func(b map[string]any) {
		delete(b, "notice")
		b["name"], b["announce"].(map[string]any)["contact"] = "Eksanp Chanje", "tel. 115"
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, n.shown(r)); d != "" {
		t.Errorf("an edit changed what is published (-before +after):\n%s", d)
	}

	// Proposed again, the older one stands until a second person has approved, and
	// when it is returned.
	r = n.must(n.ana, r, "propose", nil)
	if d := cmp.Diff(before, n.shown(r)); d != "" || r.State != "proposed" {
		t.Errorf("%s: %s", r.State, d)
	}
	r = n.must(n.op, r, "return", nil)
	if d := cmp.Diff(before, n.shown(r)); d != "" || r.State != "public" {
		t.Errorf("%s: %s", r.State, d)
	}
	n.must(n.ana, r, "propose", nil)
	n.refused(record.Denied, n.ana, r, "approve", nil)
	r = n.must(n.bea, r, "approve", nil)
	if got := n.shown(r); got.Title.EN != "Eksanp Chanje, 9" || got.Contact != "tel. 115" {
		t.Errorf("the second notice is not shown: %+v", got)
	}
	n.Verify()
}

func TestEveryEndTakesNameAndPhotographAway(t *testing.T) {
	for name, c := range map[string]struct {
		args  any
		state string
		ended string
	}{
		"found":    {map[string]any{"condition": "injured", "where": "Dajabón"}, "found", "state.missing.person.found"},
		"declare":  {map[string]any{"ground": "g", "authority": "a"}, "declared", "flag.missing.person.over"},
		"cancel":   {map[string]any{"reason": "family"}, "cancelled", "flag.missing.person.over"},
		"withdraw": {nil, "active", "flag.missing.person.over"},
	} {
		for _, proposed := range []bool{false, true} {
			n := start(t)
			r := n.published(girl())
			if proposed {
				n.must(n.ana, r, "propose", nil)
			}
			r = n.must(n.op, r, name, c.args)
			p := n.body(r)
			if r.State != c.state || !cmp.Equal(p.Notice, missing.Notice{}) || p.Proposal != (missing.Proposal{}) {
				t.Errorf("%s: %s %+v", name, r.State, p)
			}
			got := n.shown(r)
			want := &desk.Notice{Sort: desk.People, Ended: c.ended, Until: got.Until}
			if d := cmp.Diff(want, got); d != "" || !got.Until.Equal(r.Recorded.Add(missing.OverFor)) {
				t.Errorf("%s: the public sees (-want +got):\n%s", name, d)
			}
			if n.Desks.Labels("missing")[c.ended].HT == "" {
				t.Errorf("%s is no label", c.ended)
			}
			if c.state == "found" || c.state == "cancelled" {
				if r = n.must(n.bea, r, "reopen", nil); n.body(r).Outcome != (missing.Outcome{}) || n.shown(r).Ended == "" {
					t.Errorf("%s: reopened: %s", name, r.Body)
				}
			}
		}
	}
}

func TestOutcomeSaysHowItEnded(t *testing.T) {
	n := start(t)
	r := n.published(girl())
	r = n.must(n.op, r, "found", map[string]any{"condition": "safe", "when": "2026-03-01T01:02:03Z", "where": "Dajabón"})
	want := missing.Outcome{End: missing.Found, Condition: "safe", When: time.Date(2026, 3, 1, 1, 2, 3, 0, time.UTC), Where: "Dajabón", By: "ht.cc/op", At: n.body(r).Outcome.At}
	if d := cmp.Diff(want, n.body(r).Outcome); d != "" || want.At.IsZero() {
		t.Error(d)
	}
}

func TestDeathIsConfirmedByASecondPerson(t *testing.T) {
	n := start(t)
	r := n.published(girl())
	r = n.must(n.ana, r, "declare", map[string]any{"ground": "Kò a idantifye", "authority": "Doktè lopital la"})
	n.refused(record.Denied, n.ana, r, "confirm", nil)
	n.refused(record.Denied, n.op, r, "confirm", nil)
	r = n.must(n.bea, r, "confirm", nil)
	o := n.body(r).Outcome
	if r.State != "deceased" || o.End != missing.Deceased || o.By != "ht.cc/ana" || o.ConfirmedBy != "ht.cc/bea" || o.ConfirmedAt.IsZero() || o.Ground == "" {
		t.Errorf("%s %+v", r.State, o)
	}
	if got := n.shown(r); got.Ended != "flag.missing.person.over" {
		t.Errorf("the public reads %q", got.Ended)
	}
	n.Verify()
}

func TestSightingOfAnotherAgencyIsProtectedLikeTheChild(t *testing.T) {
	n := start(t)
	r := n.create(girl())
	for kind, body := range map[string]any{
		"missing.sighting": missing.Sighting{Text: "En la parada", Confidence: "likely", Grade: "B", Content: "2"},
		"missing.medical":  missing.Medical{Condition: "Asma"},
	} {
		d := kerneltest.At(kerneltest.Draft(body), -71.7080, 19.5490)
		d.Links, d.Marking.To = []record.Link{kerneltest.Link(r)}, []string{"ht.cc"}
		if kind == "missing.medical" {
			d.Place = nil
		}
		s := n.Create(n.neighbour, kind, d)
		if !strings.Contains(strings.Join(s.Marking.Caveats, " "), "juvenile") {
			t.Errorf("%s: %v", kind, s.Marking)
		}
		wide := d.Marking.Clone()
		wide.TLP, wide.To = record.Green, []string{"@relief"}
		_, err := n.Intake.Do(context.Background(), &intake.Command{ID: kerneltest.ID(), Kind: kind, Name: desk.Mark, Record: s.ID, By: n.neighbour, Marking: &wide})
		if record.CodeOf(err) != record.Invalid {
			t.Errorf("%s goes further than the child's record: %v", kind, err)
		}
	}
	n.Verify()
}

func TestAssessmentNamesTheVersionThatItRestsOn(t *testing.T) {
	n := start(t)
	var sets []*record.Record
	for _, r := range missing.DefaultRules() {
		set := n.Create(n.ana, "missing.rules", kerneltest.Draft(r))
		sets = append(sets, n.must(n.ana, set, "adopt", nil))
	}
	r := n.create(girl())
	findings := func(i int, leave string) (out []map[string]any) {
		for _, it := range missing.DefaultRules()[i].Items {
			f := map[string]any{"item": it.Code, "met": "yes", "evidence": "e"}
			if !it.Required {
				f["met"] = "no"
			}
			if it.Code == leave {
				continue
			}
			out = append(out, f)
		}
		return out
	}
	assess := func(i int, items []map[string]any) missing.Person {
		r = n.must(n.op, r, "assess", map[string]any{"rules": sets[i].ID, "items": items})
		return n.body(r)
	}
	p := assess(0, findings(0, "danger")) // one is not known
	if len(p.Assessments) != 1 || p.Assessments[0].Fulfilled || p.Alerts != nil || p.Assessments[0].Items[1] != (missing.Finding{Item: "danger", Met: missing.Unknown}) {
		t.Errorf("%+v", p.Assessments)
	}
	bare := findings(0, "")
	delete(bare[1], "evidence")
	if p = assess(0, bare); p.Assessments[0].Fulfilled {
		t.Error("fulfilled without evidence")
	}
	p = assess(2, findings(2, ""))
	p = assess(0, findings(0, ""))
	if d := cmp.Diff([]missing.Sort{missing.Amber, missing.Endangered}, p.Alerts); d != "" {
		t.Error(d)
	}
	last := p.Assessments[1]
	if len(p.Assessments) != 2 || last.Rules != sets[0].ID || last.Version != 2 || last.Sort != missing.Amber || !last.Fulfilled || last.By != "ht.cc/op" || len(last.Items) != 5 {
		t.Errorf("%+v", p.Assessments)
	}

	// The agency asks for less: the next assessment is by the new version, the old
	// one was by the old.
	if _, err := n.edit(n.ana, sets[0], func(b map[string]any) { b["items"] = b["items"].([]any)[:2] }); err != nil {
		t.Fatal(err)
	}
	n.refused(record.Invalid, n.op, r, "assess", map[string]any{"rules": sets[0].ID, "items": findings(0, "")})
	p = assess(0, findings(0, "")[:1])
	if last = p.Assessments[1]; last.Version != 3 || last.Fulfilled || len(last.Items) != 2 {
		t.Errorf("%+v", last)
	}
	if d := cmp.Diff([]missing.Sort{missing.Endangered}, p.Alerts); d != "" {
		t.Error(d)
	}
	n.must(n.ana, sets[0], "retire", nil)
	n.refused(record.Invalid, n.op, r, "assess", map[string]any{"rules": sets[0].ID, "items": []any{}})
	n.Verify()
}
