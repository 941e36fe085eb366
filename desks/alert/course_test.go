package alert_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/desk"
	"konbit/desks/alert"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/policy"
	"konbit/record"
	"konbit/wire/bundle"
	"konbit/wire/cap"
)

// A course is one alert in a real kernel, and the people who work on it.
type course struct {
	*kerneltest.House
	rec *record.Record
}

func (c *course) person(name string, role desk.Role) *policy.Reader {
	r := c.Reader("ht.cc/"+name, role)
	r.Roles["alert"] = []desk.Role{role}
	return r
}

func draft(b *alert.Alert, p *record.Place) *intake.Draft {
	d := kerneltest.Draft(b)
	d.Place = p
	return d
}

// give gives a command as a supervisor, and keeps what comes of it.
func (c *course) give(name, command string, args any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		c.T.Fatal(err)
	}
	cmd := &intake.Command{ID: kerneltest.ID(), Kind: "alert", Name: command, Record: c.rec.ID, By: c.person(name, desk.Supervisor), Args: raw}
	if d, ok := args.(*intake.Draft); ok {
		cmd.Draft, cmd.Args = d, nil
	}
	receipt, err := c.Intake.Do(c.T.Context(), cmd)
	if err == nil {
		c.rec = receipt.Record
	}
	return err
}

func (c *course) must(name, command string, args any) {
	c.T.Helper()
	if err := c.give(name, command, args); err != nil {
		c.T.Fatalf("%s by %s: %v", command, name, err)
	}
	c.Clock.Move(time.Minute)
}

func (c *course) body() *alert.Alert {
	c.T.Helper()
	var b alert.Alert
	if err := json.Unmarshal(c.rec.Body, &b); err != nil {
		c.T.Fatal(err)
	}
	return &b
}

func (c *course) notice() *desk.Notice {
	c.T.Helper()
	n, err := c.Desks.Kind("alert").Notice(c.rec)
	if err != nil {
		c.T.Fatal(err)
	}
	return n
}

// message reads the document of the notice, and holds it against what CAP asks for.
func (c *course) message() *cap.Alert {
	c.T.Helper()
	n := c.notice()
	if n == nil || len(n.Documents) != 1 || n.Documents[0].Type != "application/cap+xml" {
		c.T.Fatalf("no document: %+v", n)
	}
	m, err := cap.Parse(n.Documents[0].Body, cap.Limits{})
	if err != nil {
		c.T.Fatal(err)
	}
	if r := cap.Check(m, m.Sent); len(r.Errors) > 0 {
		c.T.Fatalf("%+v", r.Errors)
	}
	return m
}

func begin(t *testing.T, b *alert.Alert, p *record.Place) *course {
	c := &course{House: kerneltest.New(t, func(h *kerneltest.House) { h.Extra = []*desk.Desk{alert.New()} })}
	c.rec = c.Create(c.person("ana", desk.Operator), "alert", draft(b, p))
	return c
}

// flood is an alert that can go out, in two languages.
func flood() *alert.Alert {
	expires := kerneltest.Day.Add(6 * time.Hour)
	return &alert.Alert{
		Event: alert.Flood, Category: "met", Severity: alert.Severe, Urgency: alert.Immediate, Certainty: alert.Observed,
		Response: []alert.Response{alert.Evacuate}, Status: alert.Actual, Scope: alert.Public, Expires: &expires, Contact: "114",
		Texts: []alert.Text{
			{Language: "ht", Headline: "Wanament: inondasyon", Description: "Dlo ap monte.", Instruction: "Monte kote ki wo."},
			{Language: "es", Headline: "Ouanaminthe: inundación", Description: "El agua sube.", Instruction: "Suba a un lugar alto."},
		},
		Areas: []alert.Area{{Description: "Wanament", PCodes: []string{"cod-2018:HT0321"}}},
	}
}

// square is a place of about a kilometre.
func square(lon, lat float64) *record.Place {
	const d = 0.01
	raw, _ := json.Marshal([][][]float64{{{lon, lat}, {lon + d, lat}, {lon + d, lat + d}, {lon, lat + d}, {lon, lat}}})
	return &record.Place{Geometry: &record.Geometry{Type: "Polygon", Coordinates: raw}, Words: "Bò rivyè Masak"}
}

func TestTwoPeople(t *testing.T) {
	c := begin(t, flood(), square(-71.73, 19.55))
	c.must("ana", "propose", nil)
	if c.notice() != nil || slices.Contains(c.rec.Flags, desk.Public) {
		t.Fatal("public before it was approved")
	}
	if err := c.give("ana", "approve", nil); record.CodeOf(err) != record.Denied {
		t.Fatalf("approved by whoever proposed it: %v", err)
	}
	c.must("jean", "approve", nil)
	n, first := c.notice(), c.message()
	if c.rec.State != "live" || !slices.Equal(c.rec.Flags, []string{desk.Public}) {
		t.Fatalf("%s %v", c.rec.State, c.rec.Flags)
	}
	if b := c.body(); b.ProposedBy != "ht.cc/ana" || b.ApprovedBy != "ht.cc/jean" || b.ProposedAt == nil || b.ApprovedAt == nil {
		t.Errorf("%+v", b)
	}
	want := &desk.Notice{
		Sort: desk.Alerts, Rank: 34, Since: first.Sent, Until: kerneltest.Day.Add(6 * time.Hour), Areas: []string{"Wanament", "Bò rivyè Masak"},
		PCodes: []string{"HT0321"}, Contact: "114",
		Title: desk.Text{HT: "Wanament: inondasyon", ES: "Ouanaminthe: inundación"},
		Text:  desk.Text{HT: "Dlo ap monte.", ES: "El agua sube."},
		Facts: []desk.Fact{
			{Label: "field.alert.texts.instruction", Text: desk.Text{HT: "Monte kote ki wo.", ES: "Suba a un lugar alto."}},
			{Label: "field.alert.severity", Text: desk.Text{HT: "Grav", FR: "Grave", ES: "Grave", EN: "Severe"}},
			{Label: "field.alert.urgency", Text: desk.Text{HT: "Kounye a menm", FR: "Immédiate", ES: "Inmediata", EN: "Immediate"}},
			{Label: "field.alert.certainty", Text: desk.Text{HT: "Yo wè l", FR: "Constatée", ES: "Observada", EN: "Observed"}},
		},
		Documents: n.Documents,
	}
	if diff := cmp.Diff(want, n); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
	if first.MsgType != "Alert" || first.References != nil || first.Sender != "ht.cc" || first.Identifier != "urn:konbit:alert:"+c.rec.ID.String()+":1" ||
		first.Sent.Format(time.RFC3339) != "2026-05-01T08:01:00-04:00" {
		t.Errorf("%+v", first)
	}

	// An update. Until it is approved the public sees what it saw.
	c.must("ana", "revise", nil)
	b := c.body()
	b.Severity, b.Texts[0].Headline = alert.Extreme, "Wanament: gwo inondasyon"
	c.must("ana", "edit", draft(b, square(-71.72, 19.56)))
	if diff := cmp.Diff(n, c.notice()); diff != "" {
		t.Fatalf("while it is revised:\n%s", diff)
	}
	c.must("ana", "propose", nil)
	if diff := cmp.Diff(n, c.notice()); diff != "" {
		t.Fatalf("while it is proposed:\n%s", diff)
	}
	c.must("jean", "approve", nil)
	second := c.message()
	if second.MsgType != "Update" || len(second.References) != 1 || second.Identifier != strings.TrimSuffix(first.Identifier, "1")+"2" {
		t.Fatalf("%+v", second)
	}
	if r := second.References[0]; r.Sender != first.Sender || r.Identifier != first.Identifier || r.Sent.Format(time.RFC3339) != first.Sent.Format(time.RFC3339) {
		t.Errorf("%+v is not %+v", r, first)
	}
	if n := c.notice(); n.Title.HT != "Wanament: gwo inondasyon" || n.Rank != 44 {
		t.Errorf("%+v", n)
	}

	// An update that is given up leaves the fields as they are public.
	was, where := c.body(), c.rec.Place
	c.must("ana", "revise", nil)
	b = c.body()
	b.Texts, b.Expires = b.Texts[:1], nil
	c.must("ana", "edit", draft(b, nil))
	c.must("ana", "drop", nil)
	if diff := cmp.Diff(was, c.body()); diff != "" {
		t.Errorf("dropped (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(where, c.rec.Place); diff != "" {
		t.Errorf("place (-before +after):\n%s", diff)
	}

	// The end, in the middle of another update: what was public is cancelled.
	c.must("ana", "revise", nil)
	b = c.body()
	b.Texts = append(b.Texts, alert.Text{Language: "fr", Headline: "Inondation", Instruction: "Montez."})
	c.must("ana", "edit", draft(b, where))
	if err := c.give("jean", "cancel", map[string]string{"ht": "Dlo a desann", "es": "  "}); record.CodeOf(err) != record.Invalid {
		t.Fatalf("%v", err)
	}
	if err := c.give("jean", "cancel", map[string]string{"ht": "Dlo a desann", "es": "\uFFFE"}); record.CodeOf(err) != record.Invalid || !strings.Contains(err.Error(), "args.es") {
		t.Fatalf("%v", err)
	}
	c.must("jean", "cancel", map[string]string{"ht": "Dlo a desann. " + strings.Repeat("Danje a pase. ", 20), "es": "El agua bajó."})
	end, gone := c.notice(), c.message()
	if c.rec.State != "cancelled" || !slices.Contains(c.rec.Flags, desk.Public) || end.Ended != "state.alert.cancelled" || !end.Until.Equal(gone.Sent.Add(24*time.Hour)) ||
		end.Title != (desk.Text{}) || end.Facts != nil {
		t.Errorf("%s %v %+v", c.rec.State, c.rec.Flags, end)
	}
	if gone.MsgType != "Cancel" || len(gone.References) != 2 || gone.References[1].Identifier != second.Identifier || len(gone.Info) != 2 {
		t.Errorf("%+v", gone)
	}
	if i := gone.Info[0]; !strings.HasPrefix(i.Description, "Dlo a desann. Danje") || i.Instruction != "" || i.ResponseType != nil || !strings.HasSuffix(i.Headline, "...") {
		t.Errorf("%+v", i)
	}
	if m := c.body().Messages; len(m) != 3 || m[0].MsgType != alert.First || m[1].MsgType != alert.Update || m[2].MsgType != alert.Cancel || m[2].Version != 3 {
		t.Errorf("%+v", m)
	}
	if !c.Desks.Kind("alert").IsUrgent(c.body()) {
		t.Error("the end waits behind other things")
	}
	c.Verify()
}

func TestANoticeOfACircleInFourLanguages(t *testing.T) {
	b := alert.Templates()[0].Fill("Jakmèl", kerneltest.Day)
	from := kerneltest.Day.Add(2 * time.Hour)
	b.Effective, b.Web = &from, "https://egzanp.example/paj"
	c := begin(t, b, &record.Place{Geometry: record.Point(-72.53, 18.23), Uncertainty: 10_000, PCode: "HT02", Words: "Jakmèl"})
	c.must("ana", "propose", nil)
	c.must("jean", "approve", nil)
	n := c.notice()
	if n == nil || !n.Title.Complete() || !n.Text.Complete() || !n.Facts[0].Text.Complete() || !n.Since.Equal(from) || !slices.Equal(n.PCodes, []string{"HT02"}) {
		t.Errorf("%+v", n)
	}
	for _, f := range n.Facts {
		if words, err := desk.ReadLabels(alert.New().Files); err != nil || !words[f.Label].Complete() {
			t.Errorf("no words for %s: %v", f.Label, err)
		}
	}
}

// The longest alert that can be published, while it is revised.
func TestEveryAlertFitsIntoABundle(t *testing.T) {
	b := flood()
	b.Texts = nil
	for _, lang := range desk.Langs {
		b.Texts = append(b.Texts, alert.Text{
			Language: alert.Language(lang), Headline: strings.Repeat("<", 139), Description: strings.Repeat("<", 5000), Instruction: strings.Repeat("<", 880)})
	}
	zeros := strings.Repeat("0", 12_000)
	p := &record.Place{Geometry: &record.Geometry{Type: "Polygon", Coordinates: []byte(strings.ReplaceAll("[[[-72.Z,19.Z],[-71.Z,19.Z],[-71.Z,20.Z],[-72.Z,19.Z]]]", "Z", zeros))}, Words: "Zòn nan"}
	c := begin(t, b, p)
	c.must("ana", "propose", nil)
	c.must("jean", "approve", nil)
	c.must("ana", "revise", nil)
	raw, err := json.Marshal(c.rec)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.body().Published); n < 95_000 || len(raw) > bundle.MaxPayload {
		t.Errorf("a message of %d bytes makes a record of %d", n, len(raw))
	}
	if _, _, f := c.Desks.Kind("alert").Decode(c.rec.Body); f != nil {
		t.Error(f)
	}
}

func TestNobodyForgesWhatCommandsSet(t *testing.T) {
	c := begin(t, flood(), nil)
	c.rec.Flags = []string{desk.Public}
	if n := c.notice(); n != nil {
		t.Errorf("a draft with a flag is public: %+v", n)
	}
	for field, forge := range map[string]func(*alert.Alert){
		"body.published":  func(b *alert.Alert) { b.Published = "<alert/>" },
		"body.approvedBy": func(b *alert.Alert) { b.ApprovedBy = "ht.cc/jean" },
		"body.proposedBy": func(b *alert.Alert) { b.ProposedBy = "ht.cc/jean" },
		"body.overrideBy": func(b *alert.Alert) { b.OverrideBy = "ht.cc/jean" },
		"body.reviewedBy": func(b *alert.Alert) { b.ReviewedBy = "ht.cc/jean" },
		"body.before":     func(b *alert.Alert) { b.Before = "{}" },
		"body.messages":   func(b *alert.Alert) { b.Messages = []alert.Sent{{Identifier: "x", MsgType: alert.First, Version: 1}} },
	} {
		b := flood()
		forge(b)
		if err := c.give("ana", "edit", draft(b, nil)); record.CodeOf(err) != record.Invalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestASecondSupervisorReviews(t *testing.T) {
	c := begin(t, flood(), nil)
	c.must("ana", "override", map[string]string{"ground": "Pa gen lòt moun"})
	over := *c.rec
	over.State = "expired" // with the flag that expire takes away
	if n, err := c.Desks.Kind("alert").Notice(&over); n != nil || err != nil {
		t.Errorf("what has expired is public: %+v, %v", n, err)
	}
	if b := c.body(); b.OverrideBy != "ht.cc/ana" || b.OverrideAt == nil || b.OverrideGround != "Pa gen lòt moun" || b.ApprovedBy != "" || c.notice() == nil {
		t.Errorf("%+v", b)
	}
	if err := c.give("ana", "review", nil); record.CodeOf(err) != record.Denied {
		t.Errorf("%v", err)
	}
	c.must("jean", "revise", nil)
	c.must("jean", "review", nil)
	if !slices.Equal(c.rec.Flags, []string{desk.Public}) || c.rec.State != "revising" || c.body().ReviewedBy != "ht.cc/jean" {
		t.Errorf("%s %v", c.rec.State, c.rec.Flags)
	}
	if err := c.give("jean", "review", nil); record.CodeOf(err) != record.Stale {
		t.Errorf("%v", err)
	}
	c.must("ana", "drop", nil)
	if c.body().ReviewedBy != "ht.cc/jean" || c.body().OverrideBy != "ht.cc/ana" {
		t.Error("dropping a revision forgets the review")
	}
}

func TestNothingThatIsNotMeantForThePublicGetsThere(t *testing.T) {
	for name, change := range map[string]func(*alert.Alert){
		"exercise":   func(b *alert.Alert) { b.Status, b.Note = alert.Exercise, "Egzèsis nasyonal" },
		"test":       func(b *alert.Alert) { b.Status = alert.Test },
		"restricted": func(b *alert.Alert) { b.Scope, b.Restriction = alert.Restricted, "Sant ijans" },
		"private":    func(b *alert.Alert) { b.Scope, b.Addresses = alert.Private, []string{"ht.pnh"} },
	} {
		b := flood()
		change(b)
		c := begin(t, b, nil)
		c.must("ana", "propose", nil)
		c.must("jean", "approve", nil)
		if c.rec.State != "live" || c.body().Published == "" || slices.Contains(c.rec.Flags, desk.Public) {
			t.Errorf("%s: %s %v", name, c.rec.State, c.rec.Flags)
		}
		c.rec.Flags = []string{desk.Public} // whoever put it there
		if n := c.notice(); n != nil {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func TestWhatReachedThePublicIsNotNarrowedByAnUpdate(t *testing.T) {
	c := begin(t, flood(), nil)
	c.must("ana", "propose", nil)
	c.must("jean", "approve", nil)
	c.must("ana", "revise", nil)
	for field, change := range map[string]func(*alert.Alert){
		"body.status": func(b *alert.Alert) { b.Status = alert.Test },
		"body.scope":  func(b *alert.Alert) { b.Scope, b.Restriction = alert.Restricted, "x" },
	} {
		b := c.body()
		was := *b
		change(b)
		c.must("ana", "edit", draft(b, nil))
		if err := c.give("ana", "propose", nil); record.CodeOf(err) != record.Invalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
		c.must("ana", "edit", draft(&was, nil))
	}
	c.Clock.Move(24 * time.Hour) // the reaction that ends it has not run
	if err := c.give("ana", "propose", nil); record.CodeOf(err) != record.Invalid || !strings.Contains(err.Error(), "body.expires") {
		t.Errorf("%v", err)
	}
}
