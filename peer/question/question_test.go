package question_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudflare/circl/group"

	"konbit/desk"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/peer/question"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// thing is a kind that declares identifiers in both ways.
type thing struct {
	Title string              `json:"title" search:"title"`
	Phone string              `json:"phone,omitempty" identifier:"telephone"`
	Named []record.Identifier `json:"named,omitempty" max:"5000"`
}

func things() *desk.Desk {
	d := &desk.Desk{Name: "things", Kinds: desk.Kinds{desk.KindOf[thing]("thing", desk.Flow{"open": {"shut": "done"}}, desk.Allow{"shut": desk.Operator}, desk.Columns("title"), desk.OpenIn("open"), desk.KeepYears(1))}}
	d.Files = Labels(d)
	return d
}

// party is one node: a kernel on a real file, and the service.
type party struct {
	*House
	t      *testing.T
	node   store.Node
	agency string
	svc    *question.Service
	told   chan *question.Question
	stop   func()
	net    *net
}

// net carries words between the parties. Nothing is lost unless lose says so.
type net struct {
	mu    sync.Mutex
	of    map[string]*party
	words []word
	lose  func(w word) bool
	alter func(w *word)
}

type word struct {
	from, to string
	item     bundle.Item
}

func (n *net) Active() (all []*store.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.of {
		all = append(all, &p.node)
	}
	return all
}

func (n *net) Node(name string) *store.Node {
	for _, o := range n.Active() {
		if o.Name == name || strings.HasSuffix(o.Name, "/"+name) {
			return o
		}
	}
	return nil
}

// others is what one party knows of the net.
type others struct {
	*net
	self string
}

func (o others) Active() []*store.Node {
	return slices.DeleteFunc(o.net.Active(), func(n *store.Node) bool { return n.Name == o.self })
}

func (n *net) send(from, to string, items ...bundle.Item) {
	for _, it := range items {
		w := word{from, to, it}
		n.mu.Lock()
		if n.alter != nil {
			n.alter(&w)
		}
		n.words = append(n.words, w)
		lost := n.lose != nil && n.lose(w)
		a, b := n.of[from], n.of[to]
		n.mu.Unlock()
		if lost || b.svc == nil {
			continue
		}
		sender := a.node
		if err := b.svc.Words()[w.item.Topic](context.Background(), &sender, w.item); err != nil {
			b.t.Error(err)
		}
	}
}

func (n *net) to(node string) (all []word) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.words {
		if w.to == node {
			all = append(all, w)
		}
	}
	return all
}

type directory []string

func (d directory) Agencies() []string       { return append([]string{"zz.foreign"}, d...) }
func (d directory) Local(agency string) bool { return slices.Contains(d, agency) }

// join adds a node that serves the agencies. It is started by start.
func (n *net) join(t *testing.T, short string, agencies ...string) *party {
	if n.of == nil {
		n.of = map[string]*party{}
	}
	h := New(t, func(h *House) { h.Extra = []*desk.Desk{things()} })
	p := &party{House: h, t: t, agency: agencies[0], net: n, told: make(chan *question.Question, 1000),
		node: store.Node{Name: "konbit.node/" + short, Title: strings.ToUpper(short), Agencies: agencies, State: store.NodeActive}}
	n.of[p.node.Name] = p
	t.Cleanup(func() { p.end() })
	return p
}

func (p *party) start(change ...func(*question.Config)) *party {
	p.t.Helper()
	cfg := question.Config{Store: p.DB, Desks: p.Desks, Directory: directory(p.node.Agencies), Ledger: p.Intake, Nodes: others{p.net, p.node.Name}, Country: "ht", Now: p.Clock.Now, Log: Log,
		Send: func(node string, items ...bundle.Item) { p.net.send(p.node.Name, node, items...) },
		Told: func(agency string, q *question.Question) { p.told <- q }}
	for _, c := range change {
		c(&cfg)
	}
	svc, err := question.New(context.Background(), cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	p.net.mu.Lock()
	p.svc = svc
	p.net.mu.Unlock()
	p.stop = func() {
		p.net.mu.Lock()
		p.svc = nil
		p.net.mu.Unlock()
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	}
	return p
}

func (p *party) end() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

func (p *party) reader(role desk.Role) *policy.Reader {
	return &policy.Reader{Person: p.agency + "/ana", Agency: p.agency, Roles: map[string][]desk.Role{"things": {role}}}
}

// hold makes a record with identifiers.
func (p *party) hold(m record.Marking, ids ...record.Identifier) *record.Record {
	p.t.Helper()
	by := p.reader(desk.Supervisor)
	by.Clearances = record.Caveats
	d := Draft(thing{Title: "x", Named: ids})
	d.Marking = m
	return p.Create(by, "thing", d)
}

func plate(s string) record.Identifier { return record.Identifier{Type: record.Plate, Value: s} }

var amber = record.Marking{TLP: record.Amber}

func (p *party) ask(typ, value string, nodes ...string) *question.Question {
	p.t.Helper()
	q, err := p.svc.Ask(context.Background(), p.reader(desk.Operator), typ, value, "stolen car, case 12", nodes)
	if err != nil {
		p.t.Fatal(err)
	}
	return q
}

// await waits until the question is as told.
func (p *party) await(id string, until func(*question.Question) bool) *question.Question {
	p.t.Helper()
	late := time.After(30 * time.Second)
	for {
		q, err := p.svc.Question(context.Background(), p.agency, id)
		if err != nil {
			p.t.Fatal(err)
		}
		if until(q) {
			return q
		}
		select {
		case <-p.told:
		case <-late:
			p.t.Fatalf("the question has come no further than %+v", q)
		}
	}
}

func final(q *question.Question) bool {
	return !slices.ContainsFunc(q.Answers, func(a question.Answer) bool { return a.State == question.Waiting || a.State == question.Stale })
}

func (p *party) answer(typ, value string, nodes ...string) question.Answer {
	p.t.Helper()
	q := p.await(p.ask(typ, value, nodes...).ID, final)
	return q.Answers[0]
}

// entries returns the contents of the ledger's entries about questions.
func (p *party) entries() (out []string) {
	p.DB.Entries(context.Background(), 0, -1, func(l *store.Logged) bool {
		if l.Type == "question" {
			out = append(out, l.Agency+" "+l.Actor+" "+string(l.Content))
		}
		return true
	})
	return out
}

func TestHitAndNoHitWithoutTellingWhatWasAsked(t *testing.T) {
	n := &net{}
	ht, do, aid := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911"), n.join(t, "aid", "int.aid")
	do.hold(amber, plate("A 123-456"), record.Identifier{Type: record.Telephone, Value: "(809) 555-0101"})
	aid.hold(amber, plate("B77777"))
	for _, p := range n.of {
		p.start()
	}
	q := ht.await(ht.ask("plate", "a123456").ID, final)
	if len(q.Answers) != 2 || q.Masked != "••••456" || q.By != "ht.cc/ana" {
		t.Fatalf("%+v", q)
	}
	for _, a := range q.Answers {
		want := map[string]question.State{"do": question.Hit, "aid": question.NoHit}[a.Short]
		if a.State != want || a.SetAt.IsZero() {
			t.Errorf("%s: %+v, want %s", a.Short, a, want)
		}
		if want == question.Hit && !slices.Equal(a.Agencies, []string{"do.911"}) {
			t.Errorf("%+v", a)
		}
	}
	if a := ht.answer("telephone", "+1 809 555 0101", "do"); a.State != question.Hit {
		t.Errorf("a telephone in another spelling: %+v", a)
	}
	if a := ht.answer("passport", "A123456", "do"); a.State != question.NoHit {
		t.Errorf("a plate is taken for a passport: %+v", a)
	}
	// Neither those who hold nothing nor those who do are told what was asked.
	for _, node := range []string{"konbit.node/do", "konbit.node/aid"} {
		seen := fmt.Sprint(n.to(node), n.of[node].entries())
		for _, w := range n.to(node) {
			seen += string(w.item.Payload)
		}
		for _, secret := range []string{"123456", "123-456", "plate", "passport", "telephone", "5550101", "0101"} {
			for _, s := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
				if strings.Contains(seen, s) {
					t.Errorf("%s was told %q", node, s)
				}
			}
		}
	}
	// The same question is another element each time.
	ht.answer("plate", "A123456", "do")
	var elements []string
	for _, w := range n.to("konbit.node/do") {
		var x struct{ Elements []string }
		json.Unmarshal(w.item.Payload, &x)
		elements = append(elements, x.Elements...)
	}
	slices.Sort(elements)
	if len(slices.Compact(elements)) != 4 {
		t.Errorf("elements %v", elements)
	}
}

func TestQuestionIsInBothLedgersWithPurposeAndWithoutTheValue(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911", "do.navy")
	do.hold(amber, plate("A123456"))
	ht.start()
	do.start()
	ht.answer("plate", "A123456")
	mine, theirs := ht.entries(), do.entries()
	if len(mine) != 2 || !strings.Contains(mine[0], `"what":"asked"`) || !strings.Contains(mine[0], "stolen car, case 12") || !strings.HasPrefix(mine[0], "ht.cc ht.cc/ana") || !strings.Contains(mine[1], `"hit"`) {
		t.Errorf("the asker's: %v", mine)
	}
	if len(theirs) != 2 || !strings.HasPrefix(slices.Min(theirs), "do.911 ht.cc/ana") || !strings.HasPrefix(slices.Max(theirs), "do.navy ht.cc/ana") || !strings.Contains(theirs[0], "stolen car, case 12") || !strings.Contains(theirs[0], `"from":"ht.cc"`) {
		t.Errorf("the holder's: %v", theirs)
	}
	if all := fmt.Sprint(mine, theirs); strings.Contains(all, "A123456") {
		t.Error("a ledger holds the value")
	}
	// The hash shows to who knows value and salt that it was this one.
	var kept []struct {
		Salt  []byte
		Value string
		ID    string
	}
	b, _ := ht.DB.Value(context.Background(), "question.asked/ht.cc")
	if err := json.Unmarshal(b, &kept); err != nil || len(kept) != 1 || kept[0].Value != "" {
		t.Fatalf("%s %v", b, err)
	}
	if h := base64.StdEncoding.EncodeToString(question.Hash(kept[0].Salt, "plate", "A123456")); !strings.Contains(mine[0], h) {
		t.Error("the hash in the ledger is another one")
	}
	if bytes.Contains(b, []byte("A123456")) {
		t.Error("the value is kept after every node has answered")
	}
}

func TestWhatMustNotBeAdmittedGivesNoHit(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	past := Day.Add(-time.Minute)
	do.hold(record.Marking{TLP: record.Red}, plate("RED111"))
	do.hold(record.Marking{TLP: record.Amber, Caveats: []string{"source"}}, plate("SRC111"))
	do.hold(record.Marking{TLP: record.Amber, Caveats: []string{"medical"}}, plate("MED111"))
	do.hold(record.Marking{TLP: record.Amber, Caveats: []string{"financial", "victim"}}, plate("FIN111"))
	do.hold(record.Marking{TLP: record.Clear, Expires: &past}, plate("EXP111"))
	do.hold(record.Marking{TLP: record.Amber, Caveats: []string{"victim", "juvenile"}}, plate("VIC111"))
	gone := do.hold(amber, plate("GONE111"))
	do.Do(&intake.Command{Kind: "thing", Name: desk.Erase, Record: gone.ID, By: do.reader(desk.Supervisor), Note: "a court"})
	edited := do.hold(amber, plate("OLD111"))
	do.Do(&intake.Command{Kind: "thing", Name: desk.Edit, Record: edited.ID, By: do.reader(desk.Operator), Draft: Draft(thing{Title: "x", Named: []record.Identifier{plate("NEW111")}})})
	d := Draft(thing{Title: "x", Named: []record.Identifier{plate("FOR111")}})
	d.Marking = record.Marking{TLP: record.Clear}
	foreign := ht.reader(desk.Operator)
	do.Create(foreign, "thing", d) // a record of another agency that this node holds
	ht.start()
	do.start()
	for value, want := range map[string]question.State{
		"RED111": question.NoHit, "SRC111": question.NoHit, "MED111": question.NoHit, "FIN111": question.NoHit, "EXP111": question.NoHit,
		"GONE111": question.NoHit, "OLD111": question.NoHit, "FOR111": question.NoHit, "VIC111": question.Hit, "NEW111": question.Hit,
	} {
		if a := ht.answer("plate", value); a.State != want {
			t.Errorf("%s: %s, want %s", value, a.State, want)
		}
	}
}

func TestRightsAndInput(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	ht.start()
	do.start()
	bg := context.Background()
	op := ht.reader(desk.Operator)
	readOnly := *op
	readOnly.Scopes = []string{"read"}
	for name, c := range map[string]struct {
		r                   *policy.Reader
		typ, value, purpose string
		nodes               []string
		want                record.Code
	}{
		"nobody":           {&policy.Reader{}, "plate", "A123", "why not", nil, record.Unsigned},
		"a viewer":         {ht.reader(desk.Viewer), "plate", "A123", "why not", nil, record.Denied},
		"an administrator": {ht.reader(desk.Administrator), "plate", "A123", "why not", nil, record.Denied},
		"a reading token":  {&readOnly, "plate", "A123", "why not", nil, record.Denied},
		"no purpose":       {op, "plate", "A123", " ", nil, record.Invalid},
		"no such type":     {op, "nickname", "A123", "why not", nil, record.Invalid},
		"too short":        {op, "plate", "A-1", "why not", nil, record.Invalid},
		"no telephone":     {op, "telephone", "call me", "why not", nil, record.Invalid},
		"no such node":     {op, "plate", "A123", "why not", []string{"nobody"}, record.Invalid},
		"itself":           {op, "plate", "A123", "why not", nil, ""},
	} {
		if _, err := ht.svc.Ask(bg, c.r, c.typ, c.value, c.purpose, c.nodes); record.CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if qs, err := ht.svc.Questions(bg, "ht.cc"); err != nil || len(qs) != 1 {
		t.Errorf("%v %v", qs, err)
	}
	if _, err := ht.svc.Question(bg, "do.911", record.NewID(Day).String()); record.CodeOf(err) != record.NotFound {
		t.Error(err)
	}
	var types []string
	for _, a := range ht.svc.Types() {
		types = append(types, a.Type)
	}
	if got := strings.Join(types, " "); got != "telephone plate passport firearm vessel" {
		t.Error(got)
	}
}

func TestLimitsHoldAtBothEnds(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	ht.start(func(c *question.Config) { c.Limits = question.Limits{Minute: 6, Day: 1000} })
	do.start(func(c *question.Config) { c.Limits = question.Limits{Minute: 4, Day: 5} })
	for i := range 6 {
		a := ht.answer("plate", fmt.Sprint("AAA", i))
		if want := map[bool]question.State{true: question.NoHit, false: question.Refused}[i < 4]; a.State != want || i >= 4 && a.Reason != "rate" {
			t.Errorf("question %d: %+v", i, a)
		}
	}
	if _, err := ht.svc.Ask(context.Background(), ht.reader(desk.Operator), "plate", "AAA7", "why not", nil); record.CodeOf(err) != record.TooMany {
		t.Error(err)
	}
	refused := 0
	for _, e := range do.entries() {
		if strings.Contains(e, "refused: rate") {
			refused++
		}
	}
	if refused != 1 { // written down, and not as often as somebody tries
		t.Errorf("%d refusals in the ledger", refused)
	}
	do.Clock.Move(time.Minute)
	ht.Clock.Move(time.Minute)
	if a := ht.answer("plate", "AAA8"); a.State != question.NoHit {
		t.Errorf("a minute later: %+v", a)
	}
	if a := ht.answer("plate", "AAA9"); a.State != question.Refused {
		t.Errorf("over the day's limit: %+v", a)
	}
}

func TestOfflineNodeAnswersWhenItComesBack(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	do.hold(amber, plate("A123456"))
	ht.start()
	q := ht.ask("plate", "A123456")
	if q.Answers[0].State != question.Waiting {
		t.Fatalf("%+v", q)
	}
	ht.end() // and the asker is started anew meanwhile
	do.start()
	ht.start()
	ht.svc.Linked(context.Background(), "konbit.node/do")
	got := ht.await(q.ID, final)
	if got.Answers[0].State != question.Hit {
		t.Errorf("%+v", got)
	}
}

func TestQuestionThatIsAskedAgainCostsNothing(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	lost := 0
	n.lose = func(w word) bool {
		if w.item.Topic == "question.evaluated" && lost < 3 {
			lost++
			return true
		}
		return false
	}
	ht.start()
	do.start(func(c *question.Config) { c.Limits = question.Limits{Minute: 1, Day: 1} })
	q := ht.ask("plate", "A123456")
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for range 10 {
			ht.svc.Linked(context.Background(), "konbit.node/do")
		}
	}()
	got := ht.await(q.ID, final)
	<-asked
	if got.Answers[0].State != question.NoHit || len(do.entries()) != 1 {
		t.Errorf("%+v, entries %v", got, do.entries())
	}
}

func TestGivesUpAfterAWeekAndForgetsTheValue(t *testing.T) {
	n := &net{}
	ht, _ := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	ht.start()
	q := ht.ask("plate", "A123456")
	ht.Clock.Move(8 * 24 * time.Hour)
	ht.svc.Linked(context.Background(), "konbit.node/do")
	got, err := ht.svc.Question(context.Background(), "ht.cc", q.ID)
	if err != nil || got.Answers[0].State != question.Stale || got.Answers[0].Reason != "silence" {
		t.Errorf("%+v %v", got, err)
	}
	if b, _ := ht.DB.Value(context.Background(), "question.asked/ht.cc"); bytes.Contains(b, []byte("A123456")) {
		t.Error("the value is still there")
	}
}

func TestListChangesOnceAnHourAndOnlyWhatDiffersIsSent(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	var many []record.Identifier
	for i := range 3000 {
		many = append(many, plate(fmt.Sprintf("M%05d", i)))
	}
	do.hold(amber, many...)
	ht.start()
	do.start()
	size := func() (bytes int) {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, w := range n.words {
			if w.item.Topic == "question.list" {
				bytes += len(w.item.Payload)
			}
		}
		return bytes
	}
	if a := ht.answer("plate", "M02999"); a.State != question.Hit {
		t.Fatalf("%+v", a)
	}
	full := size()
	if full < 4096*8 || full > 4096*12 {
		t.Errorf("a list of 4,096 tags took %d bytes", full)
	}
	first := ht.answer("plate", "M02998")
	if size() != full || first.State != question.Hit {
		t.Errorf("an unchanged list was sent again: %d bytes", size()-full)
	}
	do.hold(amber, plate("NEW001"))
	if a := ht.answer("plate", "NEW001"); a.State != question.NoHit || !a.SetAt.Equal(first.SetAt) {
		t.Errorf("within the hour: %+v", a)
	}
	do.Clock.Move(time.Hour)
	if a := ht.answer("plate", "NEW001"); a.State != question.Hit || !a.SetAt.After(first.SetAt) {
		t.Errorf("after the hour: %+v", a)
	}
	if delta := size() - full; delta < 8 || delta > 4000 {
		t.Errorf("one new identifier took %d bytes", delta)
	}
}

func TestOldListSaysStaleUntilTheNewOneCame(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	do.hold(amber, plate("A123456"))
	ht.start()
	do.start()
	ht.answer("plate", "A123456")
	do.hold(amber, plate("B123456"))
	do.Clock.Move(time.Hour)
	n.mu.Lock()
	n.lose = func(w word) bool { return w.item.Topic == "question.list" }
	n.mu.Unlock()
	if a := ht.answer("plate", "A123456"); a.State != question.Hit {
		t.Errorf("what the old list has: %+v", a)
	}
	q := ht.await(ht.ask("plate", "B123456").ID, func(q *question.Question) bool { return q.Answers[0].State != question.Waiting })
	if a := q.Answers[0]; a.State != question.Stale || a.SetAt.IsZero() {
		t.Errorf("%+v", a)
	}
	n.mu.Lock()
	n.lose = nil
	n.mu.Unlock()
	ht.svc.Linked(context.Background(), "konbit.node/do")
	if a := ht.await(q.ID, final).Answers[0]; a.State != question.Hit {
		t.Errorf("%+v", a)
	}
}

func TestLostWordsAreSaidAgain(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	var many []record.Identifier
	for i := range 5000 {
		many = append(many, plate(fmt.Sprintf("M%05d", i)))
	}
	do.hold(amber, many...)
	dice := rand.New(rand.NewPCG(1, 2))
	n.lose = func(word) bool { return dice.IntN(3) == 0 }
	ht.start()
	do.start()
	q := ht.ask("plate", "M00777")
	deadline := time.Now().Add(30 * time.Second)
	for {
		ht.svc.Linked(context.Background(), "konbit.node/do")
		if got, _ := ht.svc.Question(context.Background(), "ht.cc", q.ID); final(got) {
			if got.Answers[0].State != question.Hit {
				t.Errorf("%+v", got)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never answered")
		}
		select {
		case <-ht.told:
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAnswerThatDoesNotFitIsRefused(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	do.hold(amber, plate("A123456"))
	ht.start()
	do.start()
	type answer = map[string]any
	for name, spoil := range map[string]func(a answer){
		"another key":   func(a answer) { a["key"] = a["elements"].([]any)[0] },
		"another value": func(a answer) { a["elements"] = []any{a["key"]} },
		"no proof":      func(a answer) { delete(a, "proof") },
		"no element":    func(a answer) { a["elements"] = []any{} },
		"the identity":  func(a answer) { a["elements"] = []any{base64.StdEncoding.EncodeToString(make([]byte, 32))} },
		"a strange sum": func(a answer) { a["sum"] = "AAAA" },
		"a huge list":   func(a answer) { a["total"] = 1 << 40 },
	} {
		n.mu.Lock()
		n.alter = func(w *word) {
			if w.item.Topic != "question.evaluated" {
				return
			}
			var a answer
			json.Unmarshal(w.item.Payload, &a)
			spoil(a)
			w.item.Payload, _ = json.Marshal(a)
		}
		n.mu.Unlock()
		if a := ht.answer("plate", "A123456"); a.State != question.Refused || a.Reason != "proof" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestNodeAsksForItsOwnAgenciesAlone(t *testing.T) {
	n := &net{}
	ht, do := n.join(t, "ht", "ht.cc"), n.join(t, "do", "do.911")
	ht.start()
	do.start()
	type ask = map[string]any
	for name, spoil := range map[string]func(a ask){
		"another agency":   func(a ask) { a["agency"], a["person"] = "int.aid", "int.aid/eve" },
		"another's person": func(a ask) { a["person"] = "int.aid/eve" },
		"no purpose":       func(a ask) { delete(a, "purpose") },
		"a long purpose":   func(a ask) { a["purpose"] = strings.Repeat("x", 10_000) },
		"no element":       func(a ask) { a["elements"] = []any{} },
		"the identity":     func(a ask) { a["elements"] = []any{base64.StdEncoding.EncodeToString(make([]byte, 32))} },
		"too many": func(a ask) {
			for range 40 {
				a["elements"] = append(a["elements"].([]any), a["elements"].([]any)[0])
			}
		},
	} {
		n.mu.Lock()
		n.alter = func(w *word) {
			if w.item.Topic != "question.ask" {
				return
			}
			var a ask
			json.Unmarshal(w.item.Payload, &a)
			spoil(a)
			w.item.Payload, _ = json.Marshal(a)
		}
		n.mu.Unlock()
		if a := ht.answer("plate", "A123456"); a.State != question.Refused || a.Reason != "malformed" {
			t.Errorf("%s: %+v", name, a)
		}
		do.Clock.Move(time.Minute) // so that each refusal is written down
	}
	for _, e := range do.entries() {
		if strings.Contains(e, "eve") || len(e) > 1000 {
			t.Errorf("the ledger believes %.300s", e)
		}
	}
}

// BenchmarkAnswered is everything that a holder does for a question of one
// identifier: check, limit, evaluate, prove, commit to the ledger, answer.
func BenchmarkAnswered(b *testing.B) {
	h := New(b, func(h *House) { h.Extra = []*desk.Desk{things()} })
	n := &net{of: map[string]*party{}}
	answers := make(chan struct{}, 4096)
	svc, err := question.New(context.Background(), question.Config{Store: h.DB, Desks: h.Desks, Directory: directory{"do.911"}, Ledger: h.Intake, Nodes: n, Now: h.Clock.Now, Log: Log,
		Limits: question.Limits{Minute: 1 << 40, Day: 1 << 40}, Send: func(string, ...bundle.Item) { answers <- struct{}{} }})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); svc.Run(ctx) }()
	defer func() { cancel(); <-done }()
	from := &store.Node{Name: "konbit.node/ht", Agencies: []string{"ht.cc"}, State: store.NodeActive}
	element := group.Ristretto255.RandomElement(crand.Reader)
	e, _ := element.MarshalBinaryCompress()
	ask := func() {
		p, _ := json.Marshal(map[string]any{"id": ID(), "purpose": "a measure", "agency": "ht.cc", "person": "ht.cc/ana", "elements": [][]byte{e}})
		if err := svc.Words()["question.ask"](ctx, from, bundle.Item{Payload: p}); err != nil {
			b.Fatal(err)
		}
	}
	under := 0
	for b.Loop() {
		ask()
		if under++; under == 64 { // as many as a busy evening has under way
			<-answers
			under--
		}
	}
	for ; under > 0; under-- {
		<-answers
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}
