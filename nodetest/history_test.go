package nodetest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/intake"
	"konbit/peer"
	"konbit/record"
	"konbit/store"
)

// TestRandomHistories plays random histories of three nodes, of which two reach
// only the third: release, narrowing, edits, erasure, memberships that come and
// go, cuts, crashes, old backups, wrong clocks, sticks in any order. Whenever all is
// settled nobody may hold what its owner does not release to him, and
// everything that he does release must be there.
//
// KONBIT_HISTORIES says how many are played; make soak plays many.
func TestRandomHistories(t *testing.T) {
	set(t, "rapid.checks", histories(3))
	set(t, "rapid.shrinktime", "60s")
	set(t, "rapid.nofailfile", "true")
	rapid.Check(t, func(rt *rapid.T) {
		play(rt, rapid.Bool().Draw(rt, "neighbours"), rapid.SliceOfN(anyAct(), 6, 40).Draw(rt, "history"))
	})
}

func histories(usual int) string {
	if s := os.Getenv("KONBIT_HISTORIES"); s != "" {
		return s
	}
	return strconv.Itoa(usual)
}

// set sets a flag for the time of a test, unless it was given.
func set(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name)
	if old := f.Value.String(); old == f.DefValue {
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Value.Set(old) })
	}
}

var agencies = []string{"int.aid", "ht.cc", "do.911"} // of the hub, a, b

// act is one step of a history. What does not apply when its turn comes is left out.
type act struct {
	What   string
	Node   int // 0 the hub
	Other  int
	Record int
	To     int
	Amount int
}

func (a act) String() string {
	return fmt.Sprintf("{%q, %d, %d, %d, %d, %d}", a.What, a.Node, a.Other, a.Record, a.To, a.Amount)
}

// What happens, as often as it stands here.
var acts = strings.Fields(`create create create edit edit mark mark mark erase member
	cut cut mend crash down up backup restore skew pass stick stick hand settle settle`)

func anyAct() *rapid.Generator[act] {
	return rapid.Custom(func(t *rapid.T) act {
		return act{rapid.SampledFrom(acts).Draw(t, "what"), rapid.IntRange(0, 2).Draw(t, "node"), rapid.IntRange(1, 2).Draw(t, "other"),
			rapid.IntRange(0, 7).Draw(t, "record"), rapid.IntRange(0, 8).Draw(t, "to"), rapid.IntRange(-2, 2).Draw(t, "amount")}
	})
}

// world is a region and what should be so in it.
type world struct {
	T
	r      *Region
	sagas  []*saga
	member map[string][]Membership // as it was asked for last

	backups  map[*Node][]Backup
	pocket   []pocketed
	forgot   map[*Node]bool      // was restored at some time
	unsure   bool                // the hub was restored, and has perhaps not got its directory back
	latest   map[*Node]time.Time // that its clock has ever shown
	restored map[*Node]time.Time // when it was last restored, by its clock
	log      []string
}

// saga is what became of one record.
type saga struct {
	owner *Node
	id    record.ID
	peak  int // the highest version that there ever was, also in a time that its owner lost
	words int // titles that it has had
	n     int
}

func (s *saga) word(i int) string { return fmt.Sprintf("zq%dx%d", s.n, i) }

type pocketed struct {
	to    *Node
	stick Stick
}

func newWorld(t T, neighbours bool) *world {
	w := &world{T: t, backups: map[*Node][]Backup{}, forgot: map[*Node]bool{}, latest: map[*Node]time.Time{}, restored: map[*Node]time.Time{}, member: map[string][]Membership{}}
	w.r = New(t, incidents, House{"hub", agencies[:1], true}, House{"a", agencies[1:2], neighbours}, House{"b", agencies[2:], false})
	in := map[string][]string{}
	for _, a := range agencies {
		in[a] = []string{"@hispaniola"}
		w.member[a] = always(in[a])
	}
	in["int.aid"] = append(in["int.aid"], "@relief")
	w.member["int.aid"] = always(in["int.aid"])
	w.r.Found(in)
	return w
}

// play plays a history, and mends all links in the end. neighbours says that a and
// b have a link of their own, too.
func play(t T, neighbours bool, list []act) {
	newWorld(t, neighbours).run(list)
}

func (w *world) run(list []act) {
	start := time.Now()
	for _, a := range list {
		w.look()
		did := w.do(a)
		w.log = append(w.log, fmt.Sprintf("%v %s", a, did))
		if os.Getenv("KONBIT_TEST_LOG") != "" {
			fmt.Fprintf(os.Stderr, "=== %7.3f %v %s\n", time.Since(start).Seconds(), a, did)
		}
	}
	w.log = append(w.log, "the end")
	for i, n := range w.r.Nodes {
		if !n.Up() {
			n.Start()
		}
		w.r.Mend(n, w.r.Nodes[(i+1)%3])
	}
	w.settle()
	for _, n := range w.r.Nodes {
		if err := n.Verify(); err != nil {
			w.fail("%s: %v", n.Name, err)
		}
	}
}

func (w *world) fail(format string, args ...any) {
	w.Helper()
	w.Fatalf("%s\nafter\n  %s", fmt.Sprintf(format, args...), strings.Join(w.log, "\n  "))
}

func (w *world) look() {
	for _, n := range w.r.Nodes {
		if now := n.Now(); now.After(w.latest[n]) {
			w.latest[n] = now
		}
	}
}

// do does an act, and says what came of it.
func (w *world) do(a act) string {
	n, other := w.r.Nodes[a.Node], w.r.Nodes[(a.Node+a.Other)%3]
	switch {
	case a.What == "up" && !n.Up():
		n.Start()
		return n.Name
	case a.What == "up":
		return "nothing"
	case !n.Up() && slices.Contains([]string{"create", "member", "crash", "down", "backup", "stick"}, a.What):
		return n.Name + " is down"
	}
	switch a.What {
	case "create":
		return w.create(n, a)
	case "edit", "mark", "erase":
		return w.change(a)
	case "member":
		return w.join(a)
	case "cut":
		w.r.Cut(n, other)
		return n.Name + " from " + other.Name
	case "mend":
		w.r.Mend(n, other)
		return n.Name + " to " + other.Name
	case "crash":
		n.Crash()
		return n.Name
	case "down":
		if a.Amount < 0 {
			n.Kill()
		} else {
			n.Stop()
		}
		return n.Name
	case "backup":
		w.backups[n] = append(w.backups[n], n.Backup())
		return n.Name
	case "restore":
		return w.restore(n, a)
	case "skew":
		n.Skew(time.Duration(a.Amount) * 45 * time.Minute)
		return fmt.Sprint(n.Name, " ", time.Duration(a.Amount)*45*time.Minute)
	case "pass":
		w.r.Move(20 * time.Minute)
		return ""
	case "stick":
		s, err := n.Export(other)
		if err != nil {
			w.fail("export: %v", err)
		}
		w.pocket = append(w.pocket, pocketed{other, s})
		return n.Name + " to " + other.Name
	case "hand":
		if len(w.pocket) == 0 {
			return "nothing"
		}
		p := w.pocket[a.Record%len(w.pocket)] // it stays in the pocket: it may be handed over twice
		if !p.to.Up() {
			return p.to.Name + " is down"
		}
		return fmt.Sprintf("%s: %v", p.to.Name, p.to.Import(p.stick))
	case "settle":
		w.settle()
	}
	return ""
}

// marking is one of the markings that a record of a node may get.
func (w *world) marking(owner *Node, a act) record.Marking {
	var others []string
	for i, o := range w.r.Nodes {
		if o != owner {
			others = append(others, agencies[i])
		}
	}
	m := []record.Marking{To(), To(others[0]), To(others[1]), To(others...), To("@hispaniola"), To("@relief"), {TLP: record.Clear}, {TLP: record.Green}, To(append(others, "@relief")...)}[a.To]
	if a.Amount == 2 {
		at := owner.Now().Add(31 * time.Minute).UTC().Truncate(time.Second)
		m.Expires = &at
	}
	return m
}

func (w *world) create(n *Node, a act) string {
	s := &saga{owner: n, id: record.NewID(n.Now()), peak: 1, words: 1, n: len(w.sagas)}
	d := &intake.Draft{Observed: n.Now().Add(-time.Minute).UTC().Truncate(time.Second), Marking: w.marking(n, a), Body: marshal(incidents.Body(s.word(0), a.Amount < 0))}
	rec, err := n.Give(n.Agencies[0], &intake.Command{Name: desk.Create, Record: s.id, Draft: d})
	if err != nil {
		return fmt.Sprint(n.Name, ": ", err)
	}
	w.sagas = append(w.sagas, s)
	return fmt.Sprintf("%s makes #%d %v", n.Name, s.n, rec.Marking)
}

func (w *world) change(a act) string {
	if len(w.sagas) == 0 {
		return "nothing"
	}
	s := w.sagas[a.Record%len(w.sagas)]
	if !s.owner.Up() {
		return s.owner.Name + " is down"
	}
	c := &intake.Command{Name: a.What, Record: s.id, Note: "for a reason"}
	switch a.What {
	case "edit":
		c.Draft = &intake.Draft{Observed: Day.Add(-time.Hour), Body: marshal(incidents.Body(s.word(s.words), a.Amount < 0))}
	case "mark":
		m := w.marking(s.owner, a)
		c.Marking = &m
	}
	rec, err := s.owner.Give(s.owner.Agencies[0], c)
	if err != nil { // erased, or lost, or no change
		return fmt.Sprintf("#%d: %v", s.n, err)
	}
	if a.What == "edit" {
		s.words++
	}
	if rec == nil {
		return fmt.Sprintf("#%d", s.n)
	}
	s.peak = max(s.peak, rec.Version)
	return fmt.Sprintf("#%d is version %d %v", s.n, rec.Version, rec.Marking)
}

func (w *world) join(a act) string {
	hub := w.r.Nodes[0]
	if w.unsure || !hub.Up() {
		return "not now"
	}
	var in []Membership
	for i, c := range []string{"@hispaniola", "@relief"} {
		if a.To>>i&1 == 1 {
			m := Membership{Community: c}
			if a.Amount > 0 {
				m.Since = hub.Now().UTC().Truncate(time.Microsecond)
			}
			in = append(in, m)
		}
	}
	w.member[agencies[a.Node]] = in
	w.r.Member(agencies[a.Node], in...)
	return fmt.Sprint(agencies[a.Node], " is in ", in)
}

func (w *world) restore(n *Node, a act) string {
	bs := w.backups[n]
	if len(bs) == 0 {
		return "nothing"
	}
	for !n.Now().After(w.restored[n].Add(time.Second)) { // whoever restores looks at his clock
		n.Skew(n.skew + 45*time.Minute)
	}
	n.Restore(bs[a.Record%len(bs)])
	w.forgot[n], w.restored[n] = true, n.Now()
	w.unsure = w.unsure || n == w.r.Nodes[0]
	return n.Name
}

// settle waits until nothing waits, and holds what there is against what should be.
func (w *world) settle() {
	w.Helper()
	why := w.r.Await(func() string {
		w.look()
		if why := w.r.Unsettled(); why != "" {
			return why
		}
		return w.wrong()
	})
	if why != "" {
		w.fail("%s", why)
	}
	all := true
	for _, n := range w.r.Nodes[1:] {
		all = all && w.r.joined(w.r.Nodes[0], n)
	}
	if all {
		w.unsure = false
	}
}

// wrong says what is not as it should be, "" when all is.
func (w *world) wrong() string {
	for _, n := range w.r.Nodes {
		if !n.Up() {
			continue
		}
		for _, o := range w.r.Nodes {
			if n != o && n.State(o) != store.NodeActive {
				return fmt.Sprintf("%s: %s is %s", n.Name, o.Name, n.Trust().Node(o.Keys.Origin).Why)
			}
			for _, c := range n.Alarms(o) {
				if !slices.Contains([]string{"restored", "refused", "not-taken", "ahead"}, c) {
					return fmt.Sprintf("%s has the alarm %s about %s", n.Name, c, o.Name)
				}
			}
		}
	}
	if why := w.members(); why != "" {
		return why
	}
	for _, p := range w.r.Nodes {
		if !p.Up() {
			continue
		}
		words, twice := w.content(p)
		if twice != "" {
			return p.Name + ": " + twice
		}
		for _, s := range w.sagas {
			if s.owner != p && w.r.Reachable(s.owner, p) {
				if why := w.judge(s, p, words[s.n]); why != "" {
					return fmt.Sprintf("#%d of %s at %s: %s", s.n, s.owner.Name, p.Name, why)
				}
			}
		}
	}
	return ""
}

// members holds the directory of the hub against what was asked for.
func (w *world) members() string {
	hub := w.r.Nodes[0]
	if w.forgot[hub] || !hub.Up() { // what nobody else has got is lost
		return ""
	}
	for _, m := range hub.Trust().Directory().Members {
		for a, is := range m.Communities {
			want := map[string]time.Time{}
			for _, x := range w.member[a] {
				want[x.Community] = x.Since
			}
			if !maps.EqualFunc(want, is, time.Time.Equal) {
				return fmt.Sprintf("%s should be in %v and is in %v", a, want, is)
			}
		}
	}
	return ""
}

// memberOf is since when an agency is in a community, by the directory of a node.
func memberOf(n *Node, agency, community string) (since time.Time, ok bool) {
	for _, m := range n.Trust().Directory().Members {
		if in, there := m.Communities[agency]; there {
			since, ok = in[community]
		}
	}
	return since, ok
}

// released is the rule, written once more: whether a version goes to a node.
func (w *world) released(s *saga, rec *record.Record, p *Node) bool {
	m := rec.Marking
	if m.Expires != nil && !s.owner.Now().Before(*m.Expires) {
		return false
	}
	from, to := s.owner.Agencies[0], p.Agencies[0]
	in := func(c string) bool {
		since, ok := memberOf(s.owner, to, c)
		return ok && !rec.Recorded.Before(since)
	}
	switch {
	case len(m.To) > 0:
		return slices.ContainsFunc(m.To, func(x string) bool { return x == to || in(x) })
	case m.TLP == record.Clear:
		return true
	case m.TLP == record.Green:
		return slices.ContainsFunc([]string{"@hispaniola", "@relief"}, func(c string) bool { _, ours := memberOf(s.owner, from, c); return ours && in(c) })
	}
	return false
}

// judge says what is wrong with what a node has of a record of another one.
func (w *world) judge(s *saga, p *Node, traces []string) string {
	own, has := current(s.owner, s.id), current(p, s.id)
	held := has != nil && has.Record != nil
	goes := own != nil && own.Record != nil && w.released(s, own.Record, p)
	state := s.owner.Holder(s.id, p)
	if !goes {
		switch {
		case held:
			return fmt.Sprintf("it holds version %d, which is not released to it; the owner has %s, and sees %+v", has.Version, told(own), state)
		case len(traces) > 0:
			return "what is not released to it has left traces: " + strings.Join(traces, ", ")
		case state.State != "" && state.State != peer.Purged:
			return fmt.Sprintf("nothing is there, and the owner sees %+v", state)
		}
		return ""
	}
	if s.owner.Trust().Directory().Serial != p.Trust().Directory().Serial {
		return "" // one of them does not know yet who is where
	}
	if own.Version < s.peak { // the owner lost a version that the node may have seen, or have been told to give back
		return ""
	}
	if at := own.Record.Marking.Expires; at != nil && (!w.latest[p].Before(*at) || !w.latest[s.owner].Before(*at)) {
		return "" // expired by a clock that was wrong
	}
	switch {
	case !held:
		return fmt.Sprintf("it is released to it and not there; the owner has %s, and sees %+v; held there: %+v", told(own), state, heldOf(p, s.id))
	case !bytes.Equal(own.Raw, has.Raw):
		return fmt.Sprintf("it has version %d, the owner %d, and sees %+v", has.Version, own.Version, state)
	case state.State != peer.Received && state.State != peer.Opened || state.Version != own.Version:
		return fmt.Sprintf("it has version %d, and the owner sees %+v", has.Version, state)
	}
	return ""
}

func told(st *store.Stored) string {
	switch {
	case st == nil:
		return "nothing"
	case st.Record == nil:
		return fmt.Sprintf("erased version %d", st.Version)
	}
	return fmt.Sprintf("version %d %v", st.Version, st.Record.Marking)
}

func current(n *Node, id record.ID) *store.Stored {
	cur, err := n.Store.Current(context.Background(), []record.ID{id})
	n.r.must(err)
	return cur[id]
}

func heldOf(n *Node, id record.ID) store.Held {
	m, err := n.Store.HeldOf(context.Background(), []record.ID{id})
	n.r.must(err)
	return m[id]
}

var wordOf = regexp.MustCompile(`zq([0-9]+)x[0-9]+`)

// content lists, by record, where its words stand in a node's ledger and among
// what is found by searching. twice says that a version is there twice.
func (w *world) content(p *Node) (by map[int][]string, twice string) {
	by = map[int][]string{}
	newest := map[record.ID]*store.Logged{}
	w.r.must(p.Store.Entries(context.Background(), 0, -1, func(l *store.Logged) bool {
		id := record.ID(l.Record)
		for _, m := range wordOf.FindAllSubmatch(l.Content, -1) {
			n, _ := strconv.Atoi(string(m[1]))
			by[n] = append(by[n], fmt.Sprintf("%s in ledger entry %d, %s", m[0], l.Seq, l.Type))
		}
		switch l.Type {
		case "erase":
			delete(newest, id)
		case "change":
			if l.Entry.Erased() {
				break
			}
			if o := newest[id]; o != nil && (o.Version > l.Version || o.Version == l.Version && bytes.Equal(o.Content, l.Content)) && slices.Index(p.Agencies, l.Agency) < 0 {
				twice = fmt.Sprintf("version %d of %s comes after version %d", l.Version, id, o.Version)
			}
			newest[id] = l
		}
		return true
	}))
	for _, s := range w.sagas {
		if current(p, s.id) != nil && current(p, s.id).Record != nil {
			continue
		}
		for i := range s.words {
			by[s.n] = append(by[s.n], p.search(s.word(i))...)
		}
	}
	return by, twice
}
