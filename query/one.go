package query

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"konbit/ledger"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Version is one step of a record's history.
type Version struct {
	Version   int             `json:"version"`
	State     string          `json:"state,omitempty"`
	Command   string          `json:"command,omitempty"`
	Author    string          `json:"author,omitempty"`
	Recorded  time.Time       `json:"recorded"`
	Note      string          `json:"note,omitempty"`
	Changes   []record.Change `json:"changes"` // against the version before that the reader may see
	Signature *Signature      `json:"signature,omitempty"`
	Hidden    bool            `json:"hidden,omitempty"` // its own marking does not let the reader see it
}

// Signature says who signed a version and whether it holds.
type Signature struct {
	Key string `json:"key"`
	OK  bool   `json:"ok"`
}

// History returns a record's versions, newest first. A version is shown only
// when its own marking allows it, too: widening a marking does not open the past.
func (q *Records) History(ctx context.Context, r *policy.Reader, kind string, id record.ID) ([]Version, error) {
	cur, err := q.Get(ctx, r, kind, id, "open")
	if err != nil {
		return nil, err
	}
	vs, err := q.store.Versions(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]Version, 0, len(vs))
	var before *record.Record
	for _, s := range vs {
		if s.Record == nil || s.Version != cur.Version && q.Verdict(r, s.Record) != policy.Visible {
			out = append(out, Version{Version: s.Version, Recorded: s.At, Changes: []record.Change{}, Hidden: true})
			continue
		}
		v := Version{
			Version: s.Version, State: s.Record.State, Command: s.Record.Command, Author: s.Record.Author, Recorded: s.Record.Recorded, Note: s.Record.Note, Changes: []record.Change{},
			Signature: &Signature{s.KeyID, false},
		}
		if key := q.dir.Key(s.Record.Owner, s.KeyID, s.Record.Recorded); key != nil {
			v.Signature.OK = ledger.VerifySig(key, s.Raw, s.Sig)
		}
		if before != nil {
			if v.Changes, err = record.Diff(before, s.Record); err != nil {
				return nil, err
			}
		}
		before = s.Record
		out = append(out, v)
	}
	slices.Reverse(out)
	return out, nil
}

// At returns one version of a record.
func (q *Records) At(ctx context.Context, r *policy.Reader, kind string, id record.ID, version int) (*store.Stored, error) {
	cur, err := q.peek(ctx, r, kind, id)
	if err != nil {
		return nil, err
	}
	if cur.Version == version {
		return cur, q.Looked(ctx, r, "open", cur.Record)
	}
	vs, err := q.store.Versions(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, s := range vs {
		if s.Version == version && s.Record != nil && q.Verdict(r, s.Record) == policy.Visible {
			return s, q.Looked(ctx, r, "open", s.Record)
		}
	}
	return nil, record.Errorf(record.NotFound, kind+".get", "there is no such version, or you may not see it")
}

// Audience says who can see a record under a marking.
type Audience struct {
	Owner    string     `json:"owner"`
	Agencies []Seer     `json:"agencies"`
	Persons  []string   `json:"persons,omitempty"` // RED: these and nobody else
	Expires  *time.Time `json:"expires,omitempty"`
	Gained   []string   `json:"gained,omitempty"` // against the marking in force: these will see it
	Lost     []string   `json:"lost,omitempty"`   // these will see it no more
}

// Seer is one agency and whether its people can see the record.
type Seer struct {
	Agency string `json:"agency"`
	Can    bool   `json:"can"`
	Why    string `json:"why,omitempty"` // owner, named, community, clear, person
}

// Audience lists all agencies with their sight of the record, under its own
// marking or, for a preview, under another.
func (q *Records) Audience(ctx context.Context, r *policy.Reader, kind string, id record.ID, preview *record.Marking) (*Audience, error) {
	s, err := q.Get(ctx, r, kind, id, "open")
	if err != nil {
		return nil, err
	}
	m := &s.Record.Marking
	a := q.audience(s.Record.Owner, m)
	if preview == nil {
		return a, nil
	}
	b := q.audience(s.Record.Owner, preview)
	for i := range b.Agencies {
		switch {
		case b.Agencies[i].Can && !a.Agencies[i].Can:
			b.Gained = append(b.Gained, b.Agencies[i].Agency)
		case a.Agencies[i].Can && !b.Agencies[i].Can:
			b.Lost = append(b.Lost, b.Agencies[i].Agency)
		}
	}
	for _, p := range b.Persons {
		if !slices.Contains(a.Persons, p) && a.Persons != nil {
			b.Gained = append(b.Gained, p)
		}
	}
	for _, p := range a.Persons {
		if !slices.Contains(b.Persons, p) && b.Persons != nil {
			b.Lost = append(b.Lost, p)
		}
	}
	return b, nil
}

func (q *Records) audience(owner string, m *record.Marking) *Audience {
	a := &Audience{Owner: owner, Agencies: []Seer{}, Expires: m.Expires}
	if m.TLP == record.Red {
		a.Persons = append([]string{}, m.Persons...)
	}
	oc := q.dir.Communities(owner)
	expired := m.Expires != nil && !q.now().Before(*m.Expires)
	for _, ag := range q.dir.Agencies() {
		s := Seer{Agency: ag}
		switch {
		case m.TLP == record.Red:
			s.Can = (ag == owner || !expired) && slices.ContainsFunc(m.Persons, func(p string) bool { return strings.HasPrefix(p, ag+"/") })
			s.Why = "person"
		case ag == owner:
			s.Can, s.Why = true, "owner"
		case expired:
		case policy.Released(ag, q.dir.Communities(ag), oc, m):
			s.Can, s.Why = true, "community"
			if slices.Contains(m.To, ag) {
				s.Why = "named"
			} else if m.TLP == record.Clear {
				s.Why = "clear"
			}
		}
		if !s.Can {
			s.Why = ""
		}
		a.Agencies = append(a.Agencies, s)
	}
	return a
}

// Likeness is a possible duplicate, with its reasons.
type Likeness struct {
	Stored  *store.Stored
	Score   float64 // 0 to 1
	Metres  float64 // -1: one of the two has no place
	Minutes float64
	Words   []string // shared
	Same    bool     // the field that the kind names is equal
}

// Similar suggests possible duplicates, likeliest first. It weighs distance,
// time, words and one field; it never decides.
func (q *Records) Similar(ctx context.Context, r *policy.Reader, kind string, id record.ID) ([]Likeness, error) {
	s, err := q.Get(ctx, r, kind, id, "open")
	if err != nil {
		return nil, err
	}
	k := q.desks.Kind(kind)
	if k.Near.Metres == 0 {
		return nil, nil
	}
	rec := s.Record
	// The hint's bounds give full marks; four times as far still counts a little.
	f := &Filter{From: rec.Observed.Add(-4 * k.Near.Within), To: rec.Observed.Add(4 * k.Near.Within), Limit: 200}
	here, placed := center(rec)
	if placed {
		f.Near = &Circle{here[0], here[1], 4*k.Near.Metres + rec.Place.Uncertainty}
	}
	page, err := q.page(ctx, r, kind, f)
	if err != nil {
		return nil, err
	}
	var out []Likeness
	mine := q.wordsOf(rec)
	same := q.facetOf(rec, k.Near.Same)
	for _, o := range page.Items {
		if o.Record.ID == id || slices.ContainsFunc(o.Record.Links, func(l record.Link) bool { return l.ID == id && l.Rel == "merged-into" }) {
			continue
		}
		l := Likeness{Stored: o, Metres: -1, Minutes: math.Abs(o.Record.Observed.Sub(rec.Observed).Minutes())}
		near := 0.3 // not known
		if there, ok := center(o.Record); ok && placed {
			l.Metres = Metres(here, there)
			near = closeness(l.Metres, k.Near.Metres+rec.Place.Uncertainty/2+o.Record.Place.Uncertainty/2)
		}
		for w := range q.wordsOf(o.Record) {
			if mine[w] {
				l.Words = append(l.Words, w)
			}
		}
		slices.Sort(l.Words)
		l.Same = same != "" && same == q.facetOf(o.Record, k.Near.Same)
		l.Score = 0.4*near + 0.25*closeness(l.Minutes, k.Near.Within.Minutes()) + 0.2*min(1, float64(len(l.Words))/4)
		if l.Same {
			l.Score += 0.15
		}
		if l.Score >= 0.45 {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b Likeness) int { return cmp.Compare(b.Score, a.Score) })
	out = out[:min(len(out), 8)]
	var shown []*record.Record
	for _, l := range out {
		shown = append(shown, l.Stored.Record)
	}
	return out, q.Looked(ctx, r, "list", shown...)
}

// closeness is 1 within the bound and falls to 0 at four times the bound.
func closeness(v, bound float64) float64 {
	return math.Min(1, math.Max(0, (4*bound-v)/(3*bound)))
}

func center(r *record.Record) ([2]float64, bool) {
	if r.Place == nil || r.Place.Geometry == nil {
		return [2]float64{}, false
	}
	b, err := r.Place.Geometry.Bounds()
	lon, lat := b.Center()
	return [2]float64{lon, lat}, err == nil
}

// Metres is the great-circle distance between two positions in degrees,
// longitude first.
func Metres(a, b [2]float64) float64 {
	const rad = math.Pi / 180
	dLat, dLon := (b[1]-a[1])*rad, (b[0]-a[0])*rad
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(a[1]*rad)*math.Cos(b[1]*rad)*math.Pow(math.Sin(dLon/2), 2)
	return 2 * 6_371_008.8 * math.Asin(math.Sqrt(math.Min(1, h)))
}

func (q *Records) wordsOf(r *record.Record) map[string]bool {
	k := q.desks.Kind(r.Kind)
	body, err := k.Parse(r.Body)
	if err != nil {
		return nil
	}
	m := map[string]bool{}
	for _, t := range k.Index(r, body).Text {
		for _, w := range store.Fold(t) {
			if len(w) > 3 {
				m[w] = true
			}
		}
	}
	return m
}

func (q *Records) facetOf(r *record.Record, path string) string {
	k := q.desks.Kind(r.Kind)
	body, err := k.Parse(r.Body)
	if err != nil || path == "" {
		return ""
	}
	return k.Index(r, body).Facet[path]
}

// Linked is a link with the record at its other end, nil when the reader may
// not see that one.
type Linked struct {
	Rel    string
	Note   string
	Kind   string
	ID     record.ID
	Record *record.Record
}

// maxLinked bounds the records that link to one.
const maxLinked = 200

// Links returns what a record links to, and what links to it. Of the latter
// only what the reader may see.
func (q *Records) Links(ctx context.Context, r *policy.Reader, kind string, id record.ID) (out, in []Linked, err error) {
	s, err := q.Get(ctx, r, kind, id, "open")
	if err != nil {
		return nil, nil, err
	}
	for _, l := range s.Record.Links {
		ln := Linked{Rel: l.Rel, Note: l.Note, Kind: l.Kind, ID: l.ID}
		if o, err := q.peek(ctx, r, l.Kind, l.ID); err == nil {
			ln.Record = o.Record
		} else if c := record.CodeOf(err); c != record.NotFound && c != record.NeedPurpose {
			return nil, nil, err
		}
		out = append(out, ln)
	}
	back, err := q.store.Linked(ctx, id, 10_000) // what he may not see must not crowd out what he may
	if err != nil {
		return nil, nil, err
	}
	for _, o := range back {
		if len(in) >= maxLinked {
			break
		}
		if q.Verdict(r, o.Record) != policy.Visible {
			continue
		}
		for _, l := range o.Record.Links {
			if l.ID == id {
				in = append(in, Linked{l.Rel, l.Note, o.Record.Kind, o.Record.ID, o.Record})
			}
		}
	}
	var shown []*record.Record
	for _, l := range append(slices.Clone(out), in...) {
		if l.Record != nil {
			shown = append(shown, l.Record)
		}
	}
	return out, in, q.Looked(ctx, r, "list", shown...)
}

// Found is one result of a search over all kinds.
type Found struct {
	Kind     string     `json:"kind"`
	ID       record.ID  `json:"id"`
	Title    string     `json:"title"`
	State    string     `json:"state"`
	Owner    string     `json:"owner"`
	TLP      record.TLP `json:"tlp"`
	Observed time.Time  `json:"observed"`
	Lon      *float64   `json:"lon,omitempty"`
	Lat      *float64   `json:"lat,omitempty"`
}

// Search looks for words over all kinds that the reader may read, newest first.
func (q *Records) Search(ctx context.Context, r *policy.Reader, words string, limit int) ([]Found, error) {
	sq, _, err := q.build(ctx, r, q.desks.KindNames(), &Filter{Words: words})
	if err != nil || len(sq.Terms) == 0 {
		return []Found{}, err
	}
	if sq.Limit = min(limit, MaxPage); limit <= 0 {
		sq.Limit = 50
	}
	all, err := q.markings(ctx)
	if err != nil {
		return nil, err
	}
	out := []Found{}
	var shown []*record.Record
	collect := func(b *store.Brief) bool {
		m := all[b.Marking-1]
		f := Found{Kind: b.Kind, ID: b.ID, Title: b.Title, State: b.State, Owner: m.Owner, TLP: m.TLP, Observed: b.Observed}
		if b.Box != nil {
			lon, lat := b.Box.Center()
			f.Lon, f.Lat = &lon, &lat
		}
		out = append(out, f)
		shown = append(shown, &record.Record{Header: record.Header{ID: b.ID, Kind: b.Kind, Owner: m.Owner, Version: b.Version, Marking: m.Marking}})
		return true
	}
	if err := q.scan(ctx, sq, collect); err != nil {
		return nil, err
	}
	return out, q.Looked(ctx, r, "list", shown...)
}
