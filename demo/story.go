package demo

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"konbit/desk"
	"konbit/desks/incident"
	"konbit/record"
)

// Story makes the acts of the region. It remembers which incidents are open, so
// that what follows is possible; it is not safe for concurrent use.
type Story struct {
	rng    *rand.Rand
	c      *content
	kind   *desk.Kind             // of incidents, for the caveats that a body calls for
	decks  map[string][]int       // per agency: templates not yet drawn this round
	open   []*thread              // incidents whose course is not at its end
	recent map[string][]*thread   // per agency: the newest, to link and to repeat
	gone   map[record.ID]struct{} // forgotten
}

// thread is one incident and what is going to be done with it, in order.
type thread struct {
	id      record.ID
	agency  string
	lang    string
	created time.Time
	body    incident.Incident
	draft   Draft
	caveats []string
	persons []string // who may see it, when it is RED
	home    *place
	first   *thread // what it repeats, and is merged into
	stays   bool    // nothing in its course rejects or merges it
	course  []Act
}

// New begins a story. The same seed, asked the same, tells the same.
func New(seed uint64) *Story {
	return &Story{
		rng: rand.New(rand.NewPCG(seed, 0x6b6f6e626974)), c: read(), kind: incident.New().Kinds[0],
		decks: map[string][]int{}, recent: map[string][]*thread{}, gone: map[record.ID]struct{}{},
	}
}

// share says how much of the region's incidents an agency reports.
var share = []struct {
	agency string
	part   float64
}{{"ht.cc", 0.52}, {"do.911", 0.26}, {"int.aid", 0.13}, {"ht.gc", 0.06}, {"ht.opc", 0.03}}

// History tells the Days before end: about n incidents with all that was done
// about them, and the weekly situation reports, in the order in which it
// happened. What would come after end is left to Next.
func (s *Story) History(end time.Time, n int) []Act {
	end = end.UTC().Truncate(time.Second)
	begin := end.Add(-Days * 24 * time.Hour)
	times := make([]time.Time, n)
	for i := range times {
		times[i] = s.moment(begin, end)
	}
	slices.SortFunc(times, time.Time.Compare)
	var acts []Act
	for _, at := range times {
		t := s.report(at)
		acts = append(acts, t.course...)
	}
	acts = append(acts, s.situation(begin, end)...)
	acts = append(acts, s.cases(end)...)
	acts = slices.DeleteFunc(acts, func(a Act) bool { return !a.At.Before(end) })
	acts = unsettled(acts, end)
	slices.SortStableFunc(acts, func(a, b Act) int { return a.At.Compare(b.At) })
	for _, t := range s.open {
		t.course = slices.DeleteFunc(t.course, func(a Act) bool { return a.At.Before(end) })
	}
	s.open = slices.DeleteFunc(s.open, func(t *thread) bool { return len(t.course) == 0 || t.created.Before(end.Add(-72*time.Hour)) })
	return acts
}

// moment draws a time: more by day than by night, more of late than long ago, and
// some in the last minutes, so that the board has fresh work on it.
func (s *Story) moment(begin, end time.Time) time.Time {
	if chance(s.rng, 0.012) {
		return end.Add(-time.Duration(between(s.rng, 30, 5400)) * time.Second)
	}
	for {
		part := math.Pow(s.rng.Float64(), 0.85)
		at := begin.Add(time.Duration(part * float64(end.Sub(begin)))).Truncate(time.Second)
		local := (at.Hour() + 19) % 24 // UTC-5
		if s.rng.Float64() < 0.35+0.65*math.Sin(math.Pi*float64((local+20)%24)/24) {
			return at
		}
	}
}

// Next tells what happens now: a new report, or the next step of an open one. Its
// time is now, and it is the next command on its record.
func (s *Story) Next(now time.Time) Act {
	now = now.UTC().Truncate(time.Millisecond)
	for len(s.open) > 0 && (len(s.open) > 60 || chance(s.rng, 0.55)) {
		i := s.rng.IntN(len(s.open))
		t := s.open[i]
		if _, gone := s.gone[t.id]; gone || len(t.course) == 0 {
			s.open = slices.Delete(s.open, i, i+1)
			continue
		}
		return s.step(t, now)
	}
	t := s.report(now)
	return s.step(t, now)
}

func (s *Story) step(t *thread, now time.Time) Act {
	a := t.course[0]
	t.course = t.course[1:]
	a.At = now
	if a.Draft != nil && a.Draft.Observed.After(now) { // it was to happen later
		d := *a.Draft
		d.Observed, a.Draft = now, &d
	}
	if len(t.course) == 0 {
		s.open = slices.DeleteFunc(s.open, func(o *thread) bool { return o == t })
	}
	return a
}

// Pause is how long to wait before the next Next: a few seconds.
func (s *Story) Pause() time.Duration {
	return 2*time.Second + time.Duration(s.rng.ExpFloat64()*4*float64(time.Second)).Round(time.Millisecond)%(20*time.Second)
}

// Forget drops a record from the story. Call it when an act on the record was
// refused: somebody in the room has moved it on.
func (s *Story) Forget(id record.ID) { s.gone[id] = struct{}{} }

// id makes a UUIDv7 for a time from the story's own chance.
func (s *Story) id(at time.Time) record.ID {
	id := record.NewID(at)
	for i := 6; i < len(id); i++ {
		id[i] = byte(s.rng.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

// report makes an incident with its whole course and adds it to the story.
func (s *Story) report(at time.Time) *thread {
	x, agency := s.rng.Float64(), share[0].agency
	for _, a := range share {
		if agency = a.agency; x < a.part {
			break
		}
		x -= a.part
	}
	if first := s.again(agency, at); first != nil {
		return s.begin(first, at)
	}
	t := s.compose(agency)
	return s.begin(t, at)
}

// compose makes what is reported, from the next template of the agency's deck.
func (s *Story) compose(agency string) *thread {
	list := s.c.templates[agency]
	for {
		if len(s.decks[agency]) == 0 {
			s.decks[agency] = s.rng.Perm(len(list))
		}
		tpl := &list[s.decks[agency][0]]
		s.decks[agency] = s.decks[agency][1:]
		if !tpl.What.Rare || chance(s.rng, 0.3) {
			return s.tell(tpl, agency, s.where(tpl, agency))
		}
	}
}

// where draws a place that fits the template and where the agency works.
func (s *Story) where(tpl *template, agency string) *place {
	var fit []*place
	for i := range s.c.places {
		p := &s.c.places[i]
		sea := slices.Contains(p.Is, "sea") || slices.Contains(p.Is, "sea-do")
		dominican := p.ES != ""
		if dominican != (agency == "do.911") {
			continue
		}
		for _, w := range tpl.What.Where {
			if w == "any" && !sea || slices.Contains(p.Is, w) {
				fit = append(fit, p)
				break
			}
		}
	}
	return pick(s.rng, fit)
}

// tell fills a template.
func (s *Story) tell(tpl *template, agency string, p *place) *thread {
	w, rng := &tpl.What, s.rng
	t := &thread{agency: agency, lang: tpl.lang, home: p}
	b := &t.body
	mark := pick(rng, s.c.words["landmark"][tpl.lang])
	slots := map[string]string{"at": p.in(tpl.lang), "mark": mark}
	for _, name := range []string{"affected", "injured", "killed", "missing", "trapped"} {
		limits, ok := w.People[name]
		if !ok {
			continue
		}
		n := between(rng, limits[0], limits[1])
		if n > 100 {
			n -= n % 10 // people round what they cannot count
		}
		slots[name] = itoa(n)
		switch name {
		case "affected":
			b.Affected = &n
		case "injured":
			b.Injured = &n
		case "killed":
			b.Killed = &n
		case "missing":
			b.Missing = &n
		case "trapped":
			b.Trapped = &n
		}
	}
	b.Title = fill(rng, tpl.Title, slots)
	b.Narrative = fill(rng, tpl.Text, slots)
	b.Category = incident.Category(w.Category)
	b.Severity = incident.Severity(pick(rng, w.Severity))
	for _, n := range w.Needs {
		b.Needs = append(b.Needs, incident.Need(n))
	}
	b.Language = incident.Language(tpl.lang)
	b.Children = w.Children == "always" || w.Children == "maybe" && chance(rng, 0.35)
	b.Source = source(rng, pick(rng, w.Source))
	b.Source.Confidential = w.Confidential
	if b.Source.Type == "call" && !w.Confidential && (w.Callback || chance(rng, 0.45)) {
		b.Callback = telephone(rng, agency, tpl.lang)
	}
	t.draft.Place = s.locate(p, mark+", "+p.in(tpl.lang))
	return t
}

// telephone makes a number that nobody has.
func telephone(rng *rand.Rand, agency, lang string) string {
	n := between(rng, 100, 199)
	switch {
	case lang == "en":
		return "+12025550" + itoa(n)
	case agency == "do.911":
		return "+18095550" + itoa(n)
	}
	return "+50955550" + itoa(n)
}

func source(rng *rand.Rand, typ string) incident.Source {
	s := incident.Source{Type: incident.SourceType(typ)}
	grades := map[string][2]string{
		"call": {"CDF", "236"}, "sms": {"DF", "36"}, "web": {"DF", "36"}, "social": {"EF", "456"}, "media": {"BC", "23"},
		"officer": {"AB", "12"}, "patrol": {"A", "12"}, "partner": {"AB", "12"}, "sensor": {"B", "2"},
	}[typ]
	if grades[0] != "" && chance(rng, 0.8) {
		s.Grade = incident.Reliability(grades[0][rng.IntN(len(grades[0])):][:1])
		s.Content = incident.Credibility(grades[1][rng.IntN(len(grades[1])):][:1])
	}
	return s
}

// locate draws a point around the middle of a place, nearer rather than farther.
func (s *Story) locate(p *place, words string) *record.Place {
	angle, r := 2*math.Pi*s.rng.Float64(), p.Within*s.rng.Float64()
	lon := p.At[0] + r*math.Cos(angle)/(111_320*math.Cos(p.At[1]*math.Pi/180))
	lat := p.At[1] + r*math.Sin(angle)/110_570
	round := func(x float64) float64 { return math.Round(x*1e5) / 1e5 }
	out := &record.Place{Geometry: record.Point(round(lon), round(lat)), PCode: p.Code, Words: words}
	out.Uncertainty = pick(s.rng, []float64{20, 50, 50, 100, 150, 300, 500})
	switch {
	case p.Code == "":
		out.Uncertainty = pick(s.rng, []float64{500, 1000, 2000})
	case p.ES != "":
		out.Edition = "iso-3166-2"
	default:
		out.Edition = "cod-2018"
	}
	return out
}

// begin gives t its identity, its marking and its course.
func (s *Story) begin(t *thread, at time.Time) *thread {
	t.id, t.created = s.id(at), at
	t.draft.Observed = at.Add(-time.Duration(s.rng.ExpFloat64()*6*float64(time.Minute)) % (3 * time.Hour)).Truncate(time.Second)
	t.caveats = s.kind.CaveatsFor(&t.body)
	if t.body.Category == "medical" && chance(s.rng, 0.2) && (t.agency == "ht.cc" || t.agency == "do.911") {
		t.caveats = append(t.caveats, "medical")
	}
	s.mark(t)
	s.relate(t)
	s.plan(t)
	s.answered(t)
	s.open = append(s.open, t)
	list := append(s.recent[t.agency], t)
	s.recent[t.agency] = list[max(0, len(list)-40):]
	return t
}

// again repeats a recent report in other words now and then: somebody else saw it.
func (s *Story) again(agency string, at time.Time) *thread {
	list := s.recent[agency]
	if len(list) == 0 || !chance(s.rng, 0.2) {
		return nil
	}
	first := list[len(list)-1]
	if _, gone := s.gone[first.id]; gone || !first.stays || at.Sub(first.created) > 50*time.Minute {
		return nil
	}
	var same []*template
	for i := range s.c.templates[agency] {
		tpl := &s.c.templates[agency][i]
		if incident.Category(tpl.What.Category) == first.body.Category {
			same = append(same, tpl)
		}
	}
	t := s.tell(pick(s.rng, same), agency, first.home)
	near := *first.home
	var lonlat [2]float64
	if json.Unmarshal(first.draft.Place.Geometry.Coordinates, &lonlat) == nil {
		near.At, near.Within = lonlat, min(60, near.Within)
	}
	t.draft.Place = s.locate(&near, t.draft.Place.Words)
	t.first = first
	return t
}

// relate links t to a recent incident nearby, now and then.
func (s *Story) relate(t *thread) {
	list := s.recent[t.agency]
	if len(list) == 0 || !chance(s.rng, 0.12) {
		return
	}
	best := slices.MinFunc(list, func(a, b *thread) int { return cmp.Compare(apart(a.home, t.home), apart(b.home, t.home)) })
	if apart(best.home, t.home) < 0.3 {
		t.draft.Links = []record.Link{{Rel: "related", Kind: s.kind.Name, ID: best.id}}
	}
}

func apart(a, b *place) float64 { return math.Hypot(a.At[0]-b.At[0], a.At[1]-b.At[1]) }
