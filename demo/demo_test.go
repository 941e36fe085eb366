package demo_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/demo"
	"konbit/desk"
	"konbit/desks"
	"konbit/policy"
	"konbit/record"
)

var end = time.Date(2026, 5, 20, 14, 30, 0, 0, time.UTC)

// room plays acts as a node would: it holds the newest version of each record and
// refuses what is not possible.
type room struct {
	set     *desk.Set
	people  map[string]demo.Person
	belongs map[string][]string
	records map[record.ID]*record.Record
}

func newRoom(t *testing.T) *room {
	t.Helper()
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		t.Fatal(err)
	}
	r := &room{set, map[string]demo.Person{}, map[string][]string{}, map[record.ID]*record.Record{}}
	for _, p := range demo.People() {
		r.people[p.ID] = p
	}
	for _, a := range demo.Agencies() {
		r.belongs[a.ID] = a.Communities
	}
	return r
}

func (r *room) reader(person string) *policy.Reader {
	p := r.people[person]
	return &policy.Reader{
		Person: p.ID, Agency: p.Agency(), Communities: r.belongs[p.Agency()], Purpose: "demo",
		Roles: map[string][]desk.Role{"*": {p.Role}}, Clearances: p.Clearances,
	}
}

func (r *room) play(a demo.Act) error {
	k := r.set.Kind(a.Kind)
	if k == nil {
		return fmt.Errorf("no kind %q", a.Kind)
	}
	who := r.reader(a.Person)
	if who.Person == "" || who.Agency != a.Agency {
		return fmt.Errorf("%q is nobody of %s", a.Person, a.Agency)
	}
	if err := who.May(k, a.Command); err != nil {
		return err
	}
	old := r.records[a.ID]
	next := &record.Record{Header: record.Header{ID: a.ID, Kind: a.Kind, Owner: a.Agency, Created: a.At}}
	if old != nil {
		next = old.Clone()
	}
	from := next.State
	to, ok := k.Next(from, a.Command)
	if !ok || next.Kind != a.Kind || next.Owner != a.Agency {
		return fmt.Errorf("%s is not possible on a %s of %s in state %q", a.Command, next.Kind, next.Owner, from)
	}
	if old != nil && (a.At.Before(old.Recorded) || who.Sees(k, old.Owner, r.belongs[old.Owner], &old.Marking, a.At) != policy.Visible) {
		return fmt.Errorf("%s at %s may not see it, or it lies in the future", a.Person, a.At)
	}
	next.State, next.Recorded, next.Author, next.Note, next.Version = to, a.At, a.Person, a.Note, next.Version+1
	switch a.Command {
	case desk.Create, desk.Edit:
		body, canon, fields := k.Decode(a.Draft.Body)
		if len(fields) > 0 {
			return fields.Err(a.Command)
		}
		next.Body, next.Observed, next.Place, next.Links = canon, a.Draft.Observed, a.Draft.Place, a.Draft.Links
		if a.Command == desk.Create {
			next.Marking = a.Draft.Marking.Clone()
		}
		for _, c := range k.CaveatsFor(body) {
			if !slices.Contains(next.Marking.Caveats, c) {
				return fmt.Errorf("lacks the caveat %s", c)
			}
		}
		for _, l := range next.Links {
			if r.records[l.ID] == nil {
				return fmt.Errorf("links to what is not there yet")
			}
		}
	case desk.Mark:
		var m record.Marking
		if err := json.Unmarshal(a.Args, &m); err != nil {
			return err
		}
		next.Marking = m
	default:
		get := func(kind string, id record.ID) (*record.Record, error) {
			if o := r.records[id]; o != nil && o.Kind == kind && who.Sees(k, o.Owner, r.belongs[o.Owner], &o.Marking, a.At) == policy.Visible {
				return o.Clone(), nil
			}
			return nil, record.Errorf(record.NotFound, "get", "there is no such record")
		}
		err := k.Run(a.Command, &desk.Acting{Now: a.At, Actor: a.Person, Agency: a.Agency, From: from, Record: next, Get: get}, a.Args)
		if err != nil {
			return err
		}
	}
	if f := next.CheckHeader(a.At); len(f) > 0 {
		return f.Err(a.Command)
	}
	r.records[a.ID] = next
	return nil
}

func TestHistoryCouldHaveHappened(t *testing.T) {
	r := newRoom(t)
	acts := demo.New(1).History(end, 1500)
	last := time.Time{}
	for i, a := range acts {
		if a.At.Before(last) || !a.At.Before(end) || a.At.Before(end.Add(-demo.Days*24*time.Hour)) {
			t.Fatalf("act %d at %s is out of order or of range", i, a.At)
		}
		last = a.At
		if err := r.play(a); err != nil {
			t.Fatalf("act %d, %s of %s by %s: %v", i, a.Command, a.ID, a.Person, err)
		}
	}
	seen := map[string]int{}
	titles := map[string]bool{}
	incidents := 0
	for _, rec := range r.records {
		var b struct{ Title, Language, Narrative, Category string }
		if err := json.Unmarshal(rec.Body, &b); err != nil {
			t.Fatal(err)
		}
		seen["state "+rec.Kind+" "+rec.State]++
		seen["tlp "+string(rec.Marking.TLP)]++
		seen["owner "+rec.Owner]++
		for _, c := range rec.Marking.Caveats {
			seen["caveat "+c]++
		}
		for _, l := range rec.Links {
			seen["link "+l.Rel]++
		}
		for _, a := range rec.Marking.To {
			seen["to "+a]++
		}
		if strings.ContainsAny(b.Title+b.Narrative, "{}[]|") {
			t.Errorf("a slot was left open: %q %q", b.Title, b.Narrative)
		}
		if rec.Kind == "incident" {
			incidents++
			titles[b.Title] = true
			seen["lang "+b.Language]++
			seen["category "+b.Category]++
		}
	}
	if incidents != 1500 {
		t.Errorf("%d incidents", incidents)
	}
	if len(titles) < incidents*3/5 {
		t.Errorf("only %d titles for %d incidents", len(titles), incidents)
	}
	for _, k := range r.set.KindNames() {
		kind := r.set.Kind(k)
		if kind.Desk == "missing" || kind.Desk == "alert" {
			continue // the story has none yet
		}
		for _, s := range kind.States() {
			if kind.Answers != nil && (kind.Answers.Asked || kind.Address != nil && s != kind.Start) {
				continue // what is replied follows when the story is live
			}
			if seen["state "+k+" "+s] == 0 {
				t.Errorf("no %s is %s", k, s)
			}
		}
	}
	for _, want := range []string{
		"tlp RED", "tlp AMBER+STRICT", "tlp AMBER", "tlp GREEN", "tlp CLEAR",
		"caveat victim", "caveat juvenile", "caveat source", "caveat medical",
		"link related", "link merged-into", "link answers", "to do.911", "to @hispaniola", "to @caricom", "to int.aid", "to ht.gc",
		"lang ht", "lang fr", "lang es", "lang en",
	} {
		if seen[want] < 5 {
			t.Errorf("%s: only %d", want, seen[want])
		}
	}
	for _, a := range demo.Agencies() {
		if seen["owner "+a.ID] < 10 {
			t.Errorf("%s owns %d records", a.ID, seen["owner "+a.ID])
		}
	}
	for _, c := range r.set.Kind("incident").Field("category").Enum {
		if seen["category "+c] == 0 {
			t.Errorf("no %s", c)
		}
	}
	t.Log(len(acts), "acts", len(titles), "titles", seen)
}

func TestLiveActsArePossible(t *testing.T) {
	r := newRoom(t)
	s := demo.New(7)
	for _, a := range s.History(end, 300) {
		if err := r.play(a); err != nil {
			t.Fatal(err)
		}
	}
	now, count := end, map[string]int{}
	for i := range 3000 {
		pause := s.Pause()
		if pause < time.Second || pause > 30*time.Second {
			t.Fatalf("pause %s", pause)
		}
		now = now.Add(pause)
		a := s.Next(now)
		if !a.At.Equal(now.Truncate(time.Millisecond)) {
			t.Fatalf("act %d at %s, now %s", i, a.At, now)
		}
		if err := r.play(a); err != nil {
			t.Fatalf("act %d, %s by %s: %v", i, a.Command, a.Person, err)
		}
		count[a.Command]++
	}
	for _, c := range []string{"create", "verify", "respond", "close", "edit", "mark", "reject"} {
		if count[c] < 3 {
			t.Errorf("%s: only %d", c, count[c])
		}
	}
	if count["create"] < 500 || count["create"] > 2000 {
		t.Errorf("%d new incidents of 3000 acts", count["create"])
	}
}

func TestForgottenRecordIsLeftAlone(t *testing.T) {
	s := demo.New(3)
	first := s.Next(end)
	s.Forget(first.ID)
	for i := range 500 {
		a := s.Next(end.Add(time.Duration(i) * time.Second))
		if a.ID == first.ID {
			t.Fatalf("%s of a forgotten record", a.Command)
		}
	}
}

func TestLiveStartsWithoutHistory(t *testing.T) {
	r, s := newRoom(t), demo.New(5)
	for i := range 200 {
		if err := r.play(s.Next(end.Add(time.Duration(i) * time.Minute))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSameSeedTellsTheSame(t *testing.T) {
	tell := func(seed uint64) []demo.Act {
		s := demo.New(seed)
		acts := s.History(end, 80)
		for i := range 100 {
			acts = append(acts, s.Next(end.Add(time.Duration(i)*time.Second)))
		}
		return acts
	}
	if diff := cmp.Diff(tell(9), tell(9)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(tell(9), tell(10)) {
		t.Error("another seed tells the same")
	}
}

func TestPeopleFitTheRoles(t *testing.T) {
	roles := map[desk.Role]bool{}
	langs, cards := map[string]bool{}, map[desk.Role]bool{}
	for _, p := range demo.People() {
		if !record.PersonID(p.ID) || p.Name == "" || !slices.Contains(desk.Langs, p.Lang) || !slices.Contains(desk.Roles, p.Role) {
			t.Errorf("%+v", p)
		}
		if !slices.ContainsFunc(demo.Agencies(), func(a demo.Agency) bool { return a.ID == p.Agency() }) {
			t.Errorf("%s works for nobody", p.ID)
		}
		for _, c := range p.Clearances {
			if !slices.Contains(record.Caveats, c) {
				t.Errorf("%s: clearance %q", p.ID, c)
			}
		}
		roles[p.Role], langs[p.Lang] = true, true
		if p.Card {
			cards[p.Role] = true
		}
	}
	for _, r := range desk.Roles {
		if !roles[r] || !cards[r] {
			t.Errorf("nobody, or no card, for %s", r)
		}
	}
	if len(langs) != len(desk.Langs) {
		t.Errorf("languages: %v", langs)
	}
	for _, a := range demo.Agencies() {
		if !record.AgencyID(a.ID) || len(a.Country) != 2 {
			t.Errorf("%+v", a)
		}
	}
	for _, c := range demo.Communities() {
		if !record.CommunityID(c) {
			t.Error(c)
		}
	}
}

func TestNobodyHasTheTelephones(t *testing.T) {
	fiction := regexp.MustCompile(`^\+(509555501|180955501|120255501)[0-9]{2}$`)
	digits := regexp.MustCompile(`[0-9][0-9 -]{6,}[0-9]`)
	n := 0
	for _, a := range demo.New(2).History(end, 600) {
		if a.Draft == nil || a.Kind != "incident" {
			continue
		}
		var b struct{ Callback, Title, Narrative string }
		if err := json.Unmarshal(a.Draft.Body, &b); err != nil {
			t.Fatal(err)
		}
		if b.Callback != "" {
			n++
			if !fiction.MatchString(b.Callback) {
				t.Errorf("callback %s", b.Callback)
			}
		}
		if m := digits.FindString(b.Title + " " + b.Narrative); m != "" {
			t.Errorf("%q looks like a number to call", m)
		}
	}
	if n < 20 {
		t.Errorf("only %d callbacks", n)
	}
}

func TestEverythingLiesInTheRegion(t *testing.T) {
	box := record.Box{W: -75.5, S: 17, E: -68, N: 20.5}
	for _, a := range demo.New(4).History(end, 800) {
		if a.Draft == nil || a.Draft.Place == nil && a.Kind != "incident" && a.Kind != "sitrep" {
			continue
		}
		b, err := a.Draft.Place.Geometry.Bounds()
		if err != nil || b.W < box.W || b.E > box.E || b.S < box.S || b.N > box.N {
			t.Errorf("%s at %v, %v", a.Draft.Body, b, err)
		}
	}
}

func TestPlacesLieOnTheLandThatTheyName(t *testing.T) {
	dir := os.Getenv("KONBIT_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	haiti, err := borders(filepath.Join(dir, "admin", "hti_adm2_simplified.geojson"), "ADM2_PCODE")
	if os.IsNotExist(err) {
		t.Skip("no boundaries here; set KONBIT_TESTDATA to the folder that holds admin/hti_adm2_simplified.geojson")
	}
	if err != nil {
		t.Fatal(err)
	}
	dominican, err := borders(filepath.Join(dir, "admin", "dom_adm2_simplified.geojson"), "ADM2_PCODE")
	if err != nil {
		t.Fatal(err)
	}
	inside := func(list []border, lon, lat float64) bool {
		return slices.ContainsFunc(list, func(b border) bool { return b.holds(lon, lat) })
	}
	land, sea := 0, 0
	for _, a := range demo.New(6).History(end, 1500) {
		if a.Draft == nil || a.Kind != "incident" || a.Command != desk.Create {
			continue
		}
		b, err := a.Draft.Place.Geometry.Bounds()
		if err != nil {
			t.Fatal(err)
		}
		lon, lat := b.Center()
		code := a.Draft.Place.PCode
		ht, do := inside(haiti, lon, lat), inside(dominican, lon, lat)
		switch {
		case code == "":
			sea++
			if ht || do {
				t.Errorf("%s: a vessel on land, %g %g", a.Draft.Place.Words, lon, lat)
			}
		case strings.HasPrefix(code, "HT") && !ht, strings.HasPrefix(code, "DO") && !do:
			t.Errorf("%s %s: not on the land that it names, %g %g", a.Draft.Place.Words, code, lon, lat)
		default:
			land++
		}
	}
	if land < 1000 || sea < 30 {
		t.Errorf("%d on land, %d at sea", land, sea)
	}
}

type border struct {
	code  string
	rings [][][2]float64
}

func borders(file, code string) ([]border, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var in struct {
		Features []struct {
			Properties map[string]any
			Geometry   struct {
				Type        string
				Coordinates json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	var out []border
	for _, f := range in.Features {
		var many [][][][2]float64
		if f.Geometry.Type == "Polygon" {
			many = make([][][][2]float64, 1)
			err = json.Unmarshal(f.Geometry.Coordinates, &many[0])
		} else {
			err = json.Unmarshal(f.Geometry.Coordinates, &many)
		}
		if err != nil {
			return nil, err
		}
		one := border{code: fmt.Sprint(f.Properties[code])}
		for _, p := range many {
			one.rings = append(one.rings, p...)
		}
		out = append(out, one)
	}
	return out, nil
}

// holds counts crossings over all rings, so that holes are outside.
func (b *border) holds(lon, lat float64) bool {
	in := false
	for _, ring := range b.rings {
		for i := range ring {
			p, q := ring[i], ring[(i+len(ring)-1)%len(ring)]
			if (p[1] > lat) != (q[1] > lat) && lon < (q[0]-p[0])*(lat-p[1])/(q[1]-p[1])+p[0] {
				in = !in
			}
		}
	}
	return in
}
