package missing

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/record"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func num(n int) *int { return &n }

func TestWhoCountsAsAChild(t *testing.T) {
	for _, c := range []struct {
		what string
		y    years
		want bool
	}{
		{"nothing", years{}, false},
		{"17", years{age: num(17)}, true},
		{"18", years{age: num(18)}, false},
		{"0", years{age: num(0)}, true},
		{"at most 17", years{max: num(17)}, true},
		{"at most 40", years{max: num(40)}, false},
		{"from 16 to 20", years{min: num(16), max: num(20)}, true},
		{"from 18 to 20", years{min: num(18), max: num(20)}, false},
		{"18 as a guess between 15 and 20", years{age: num(18), min: num(15), max: num(20)}, false},
		{"born in 1950", years{born: "1950"}, false},
		{"born on the last day that is old enough", years{born: "2008-01-01"}, false},
		{"born a day later", years{born: "2008-01-02"}, true},
		{"born in that month", years{born: "2008-01"}, true},
		{"born in that year", years{born: "2008"}, true},
		{"born in the year before", years{born: "2007"}, false},
		{"born on a day that is not there", years{born: "2008-02-31"}, true},
		{"born then, and 18", years{born: "2008", age: num(18)}, false},
	} {
		if got := c.y.child(); got != c.want {
			t.Errorf("%s: child = %v", c.what, got)
		}
	}
}

func TestAgeInWords(t *testing.T) {
	for _, c := range []struct {
		y    years
		want string
	}{
		{years{}, ""},
		{years{age: num(9)}, "9"},
		{years{min: num(8), max: num(10)}, "8–10"},
		{years{min: num(60)}, "60+"},
		{years{max: num(3)}, "0–3"},
		{years{born: "2016-03-01"}, "10"},
		{years{born: "2016-03-02"}, "9"},
		{years{born: "2016-03"}, "9–10"},
		{years{born: "2016"}, "9–10"},
		{years{born: "2016-02"}, "10"},
		{years{born: "2026-02-27"}, "0"},
		{years{born: "2026-05"}, ""}, // not born yet
		{years{born: "2030"}, ""},
	} {
		if got := c.y.words(noon); got != c.want {
			t.Errorf("%+v: %q, want %q", c.y, got, c.want)
		}
	}
}

func TestDayLastSeenMakesAChildOfWhomTheBodyDoesNot(t *testing.T) {
	r := New().Reactions[0]
	look := func(p Person, seen time.Time, state string) []desk.Order {
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		e := desk.Event{Record: &record.Record{Header: record.Header{Kind: "missing.person", State: state, Observed: seen}, Body: body}}
		orders, err := r.Do(e)
		if err != nil {
			t.Fatal(err)
		}
		return orders
	}
	old := Person{Name: "x", Born: "1998-05-04"}
	past := time.Date(2010, 1, 12, 21, 0, 0, 0, time.UTC)
	if got := look(old, past, "reported"); len(got) != 1 || got[0].Command != "protect" {
		t.Errorf("a child of 2010: %v", got)
	}
	if got := look(old, noon, "reported"); got != nil {
		t.Errorf("grown up: %v", got)
	}
	if got := look(old, past, "found"); got != nil {
		t.Errorf("a case that has ended: %v", got)
	}
	c := &desk.Change[Person]{Record: &record.Record{Header: record.Header{Observed: past}}, Body: &old}
	if err := protect(c, none{}); err != nil || !old.Minor || !slices.Contains(old.caveats(), "juvenile") || !old.urgent() {
		t.Errorf("%v %+v", err, old)
	}
	if got := look(old, past, "reported"); got != nil {
		t.Errorf("it goes on for ever: %v", got)
	}
	old.Born = "1968-05-04" // it was a slip
	if got := look(old, past, "active"); len(got) != 1 {
		t.Errorf("the slip is not mended: %v", got)
	}
	if err := protect(c, none{}); err != nil || old.Minor {
		t.Error(err)
	}
	if got := look(Person{Name: "x", Age: num(20), Born: "2016"}, noon, "reported"); len(got) != 1 {
		t.Errorf("an age that the day of birth contradicts: %v", got)
	}
}

// asked is a person whom one may propose.
func asked(age int) (*Person, *record.Record) {
	p := &Person{
		Name: "Eksanp", Age: &age, Category: "lost", ConsentAt: &noon, Consent: Consent{By: "x", Relation: "parent", Name: true},
		Announce: Announce{Area: "Wanament", Contact: "114", Texts: []Wording{{"ht", "t"}}},
	}
	r := &record.Record{Header: record.Header{Observed: noon, Place: &record.Place{Geometry: record.Point(-71.7234, 19.5508), PCode: "HT0331", Words: "Pòt lekòl la"}}}
	return p, r
}

func TestWhatANoticeNeeds(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	attached := func(typ string) func(*Person, *record.Record) {
		return func(p *Person, r *record.Record) {
			p.Consent.Photograph, p.Announce.Photograph = true, hash
			r.Attachments = []record.Attachment{{Hash: hash, Type: typ}}
		}
	}
	for what, c := range map[string]struct {
		change func(*Person, *record.Record)
		path   string
		code   string
	}{
		"as it should be":         {func(*Person, *record.Record) {}, "", ""},
		"a picture":               {attached("image/jpeg"), "", ""},
		"nobody's consent":        {func(p *Person, _ *record.Record) { p.Consent.By = "" }, "body.consent", "required"},
		"consent at no time":      {func(p *Person, _ *record.Record) { p.ConsentAt = nil }, "body.consent", "required"},
		"consent to nothing":      {func(p *Person, _ *record.Record) { p.Consent.Name = false }, "body.consent.name", "required"},
		"nobody to tell":          {func(p *Person, _ *record.Record) { p.Announce.Contact = "" }, "body.announce.contact", "required"},
		"nothing to read":         {func(p *Person, _ *record.Record) { p.Announce.Texts = nil }, "body.announce.texts", "required"},
		"a child without an area": {func(p *Person, _ *record.Record) { p.Announce.Area = "" }, "body.announce.area", "required"},
		"a language twice":        {func(p *Person, _ *record.Record) { p.Announce.Texts = []Wording{{"ht", "a"}, {"ht", "b"}} }, "body.announce.texts[1].language", "twice"},
		"a position as the area":  {func(p *Person, _ *record.Record) { p.Announce.Area = "19.5508,-71.7234" }, "body.announce.area", "position"},
		"a position in a text":    {func(p *Person, _ *record.Record) { p.Announce.Texts[0].Text = "Gade https://maps.example/?q=1" }, "body.announce.texts[0].text", "position"},
		"a picture without consent": {func(p *Person, r *record.Record) {
			attached("image/jpeg")(p, r)
			p.Consent.Photograph = false
		}, "body.announce.photograph", "consent"},
		"a picture that is not there": {func(p *Person, r *record.Record) {
			attached("image/jpeg")(p, r)
			r.Attachments = nil
		}, "body.announce.photograph", "unknown"},
		"a letter as the picture": {attached("application/pdf"), "body.announce.photograph", "type"},
	} {
		p, r := asked(9)
		c.change(p, r)
		_, f := compose(p, r)
		if c.path == "" && len(f) > 0 || c.path != "" && (len(f) != 1 || f[0].Path != c.path || f[0].Code != c.code) {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

func TestWordsForThePlaceArePublishedOfGrownUpsOnly(t *testing.T) {
	p, r := asked(9)
	p.Consent.Name, p.Consent.Photograph = false, true
	n, f := compose(p, r)
	if len(f) > 0 || n.Area != "Wanament" || n.Name != "" || n.PCode != "HT0331" {
		t.Errorf("%v %+v", f, n)
	}
	p, r = asked(40)
	p.Announce.Area = ""
	if n, f = compose(p, r); len(f) > 0 || n.Area != "Pòt lekòl la" || n.Name != "Eksanp" {
		t.Errorf("%v %+v", f, n)
	}
	p, r = asked(40)
	p.Announce.Area, p.Age, p.Born = "", nil, "2010"
	r.Observed = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, f = compose(p, r); len(f) != 1 || f[0].Path != "body.announce.area" {
		t.Errorf("a child by the day of birth: %v", f)
	}
	p, r = asked(40)
	r.Place, p.Announce.Area = nil, ""
	if _, f = compose(p, r); len(f) != 1 {
		t.Errorf("no area at all: %v", f)
	}
}

func TestPositionsAreFoundInWords(t *testing.T) {
	for s, want := range map[string]bool{
		"19.5508, -71.7234": true, "19,5508 -71,7234": true, "19.5508N 71.7234W": true, "-71.7234/19.5508": true, "19° 33' N": true,
		"geo:19.5,-71.7": true, "https://maps.app.goo.gl/x": true, "https://www.google.com/maps/place/x": true, "///wòch.dlo.pye what3words": true,
		"Wanament": false, "tel. 114, 3701-2020": false, "+509 3701 2020": false, "+1 829 555 0101, +1 829 555 0102": false,
		"Nan 2 3 blòk mache a": false, "Route Nationale 6, km 12.5": false, "37.01.20.20": false, "1.250 goud, 2.500 goud": false, "809.555.0101, 829.555.0102": false, "809.555.0101 / 829.555.0102": false,
		"(19.5508, -71.7234)": true, "lat 19.5508 / -71.7234.": true, "-71.7234 19.5508, nan lari a": true,
	} {
		var f record.Fields
		exact("x", s, &f)
		if len(f) > 0 != want {
			t.Errorf("%q: %v", s, f)
		}
	}
}

func TestNoticeWithoutANameIsStillCalledSomething(t *testing.T) {
	words, err := desk.ReadLabels(files)
	if err != nil {
		t.Fatal(err)
	}
	fn := publish(func() map[string]desk.Text { return words })
	p := &Person{Notice: Notice{ApprovedBy: "ht.cc/bea", Age: "9"}, Alerts: []Sort{Amber, Endangered}}
	if got := fn(p, &record.Record{}); got.Title != (desk.Text{HT: "Moun ki disparèt, 9", FR: "Personne disparue, 9", ES: "Persona desaparecida, 9", EN: "Missing person, 9"}) || got.Rank != 2 || got.PCodes != nil {
		t.Errorf("%+v", got)
	}
	// The flag alone, as an import may have it, publishes nothing.
	if got := fn(&Person{Name: "x"}, &record.Record{Header: record.Header{Flags: []string{desk.Public}}}); got != nil {
		t.Errorf("%+v", got)
	}
	// Announced in all four languages.
	for _, l := range Language("").Values() {
		p.Notice.Texts = append(p.Notice.Texts, Wording{Language(l), l})
	}
	if got := fn(p, &record.Record{}).Text; got != (desk.Text{HT: "ht", FR: "fr", ES: "es", EN: "en"}) {
		t.Errorf("%+v", got)
	}
}

func TestDefaultRulesAreWholeAndValid(t *testing.T) {
	k := rules()
	want := map[Sort]int{Amber: 5, Elder: 5, Endangered: 4} // required criteria
	for _, r := range DefaultRules() {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, f := k.Decode(raw); len(f) > 0 {
			t.Errorf("%s: %v", r.Name, f)
		}
		codes := map[string]bool{}
		var yes []Finding
		for _, it := range r.Items {
			if codes[it.Code] {
				t.Errorf("%s: %s twice", r.Name, it.Code)
			}
			codes[it.Code] = true
			if it.Required {
				want[r.Sort]--
				yes = append(yes, Finding{it.Code, Yes, "e"})
			}
		}
		if _, ok, f := r.judge(yes); !ok || f != nil {
			t.Errorf("%s is not fulfilled by what it requires: %v", r.Name, f)
		}
		for i := range yes {
			for _, met := range []Finding{{yes[i].Item, No, "e"}, {yes[i].Item, Unknown, "e"}, {yes[i].Item, Yes, ""}} {
				less := slices.Clone(yes)
				less[i] = met
				if _, ok, _ := r.judge(less); ok {
					t.Errorf("%s is fulfilled with %+v", r.Name, met)
				}
			}
		}
	}
	for s, left := range want {
		if left != 0 {
			t.Errorf("%s: %d required criteria too few", s, left)
		}
	}
	none := Rules{Items: []Item{{Code: "a"}}}
	if _, ok, _ := none.judge([]Finding{{"a", Yes, "e"}}); ok {
		t.Error("a rule set that requires nothing is fulfilled")
	}
}

func TestRings(t *testing.T) {
	round := func(rings []Ring) (out []float64) {
		for _, r := range rings {
			out = append(out, math.Round(r.Metres))
		}
		return out
	}
	for _, c := range []struct {
		after time.Duration
		by    Travel
		want  []float64
	}{
		{time.Hour, Foot, []float64{1800, 3384, 5148}},
		{10 * time.Hour, Foot, []float64{18000, 33840, 51480}},
		{24 * time.Hour, Foot, []float64{18000, 33840, 51480}}, // the rest of the day is rest
		{25 * time.Hour, Foot, []float64{19800, 37224, 56628}},
		{30 * 24 * time.Hour, Foot, nil},
		{time.Hour, ByVehicle, []float64{20000, 50000, 80000}},
		{6 * time.Hour, ByVehicle, []float64{120000, 300000}},
		{48 * time.Hour, ByVehicle, nil},
		{time.Hour, Water, []float64{926, 1852, 3704}},
		{time.Hour, "swimming", nil},
		{0, Foot, nil},
		{-time.Hour, Foot, nil},
	} {
		if d := cmp.Diff(c.want, round(Rings(noon, noon.Add(c.after), c.by))); d != "" {
			t.Errorf("%v by %s (-want +got):\n%s", c.after, c.by, d)
		}
	}
}

// Rings never shrink as time goes, never cross, and are never out of bounds.
func TestRingsGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		by := Travel(rapid.SampledFrom(Travel("").Values()).Draw(t, "by"))
		a := time.Duration(rapid.Int64Range(0, int64(60*24*time.Hour)).Draw(t, "a"))
		b := a + time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "b"))
		early, late := Rings(noon, noon.Add(a), by), Rings(noon, noon.Add(b), by)
		if a > 0 && len(late) > len(early) {
			t.Fatalf("more rings later: %v %v", early, late)
		}
		for i, r := range late {
			if r.Metres > widest || r.Metres < 0 || i > 0 && r.Metres <= late[i-1].Metres {
				t.Fatalf("%v", late)
			}
			if a > 0 && r.Metres < early[i].Metres {
				t.Fatalf("shrinks: %v %v", early, late)
			}
		}
	})
}

func TestTrailIsInTheOrderInWhichItHappened(t *testing.T) {
	id := func(n byte) record.ID { return record.ID{6: 0x70, 8: 0x80, 15: n} }
	girl := &record.Record{Header: record.Header{ID: id(1), Kind: "missing.person", Owner: "ht.cc", State: "active", Observed: noon, Place: &record.Place{Words: "lekòl"}}}
	link := []record.Link{{Rel: desk.RelAnswers, Kind: "missing.person", ID: girl.ID}}
	see := func(n byte, version int, after time.Duration, state, body string, links []record.Link) *record.Record {
		return &record.Record{Header: record.Header{ID: id(n), Kind: "missing.sighting", Owner: "do.911", Version: version, State: state, Observed: noon.Add(after), Links: links}, Body: json.RawMessage(body)}
	}
	two := see(2, 2, 3*time.Hour, "confirmed", `{"text":"x","confidence":"sure","grade":"A","content":"1","travel":"vehicle","direction":"nò"}`, link)
	got, err := Trail(girl, []*record.Record{
		two,
		see(2, 1, time.Hour, "reported", `{"text":"x","confidence":"possible"}`, link), // an older version
		see(3, 1, -time.Hour, "reported", `{"text":"y","confidence":"likely"}`, link),  // before she was missed
		see(4, 1, time.Hour, "discounted", `{"text":"z","confidence":"sure"}`, link),
		see(5, 1, time.Hour, "reported", `{"text":"w","confidence":"sure"}`, []record.Link{{Rel: desk.RelAnswers, ID: id(9)}}),
		see(6, 1, 3*time.Hour, "checked", `{"text":"v","confidence":"likely"}`, link),
		{Header: record.Header{ID: id(7), Kind: "missing.medical", Links: link}, Body: json.RawMessage(`{}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Point{
		{ID: id(3), Owner: "do.911", At: noon.Add(-time.Hour), State: "reported", Confidence: "likely"},
		{ID: id(1), Owner: "ht.cc", At: noon, Place: girl.Place, State: "active"},
		{ID: id(2), Owner: "do.911", At: noon.Add(3 * time.Hour), State: "confirmed", Confidence: "sure", Grade: "A", Content: "1", Travel: ByVehicle, Direction: "nò"},
		{ID: id(6), Owner: "do.911", At: noon.Add(3 * time.Hour), State: "checked", Confidence: "likely"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	two.Body = json.RawMessage(`{`)
	if _, err := Trail(girl, []*record.Record{two}); record.CodeOf(err) != record.Corrupt {
		t.Errorf("a body that cannot be read: %v", err)
	}
}
