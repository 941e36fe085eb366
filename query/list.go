package query

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Filter says which records a person asks for. The zero value asks for all.
type Filter struct {
	Words    string      // all of these words; "a phrase"; a last word* is a prefix
	Box      *record.Box // touches this box; W > E crosses the antimeridian
	Near     *Circle     // touches the box around this circle
	From, To time.Time   // observed
	Since    time.Time   // recorded
	States   []string
	Owners   []string
	Others   bool // not of the reader's agency
	Author   string
	Flag     string
	Open     bool
	Facet    map[string][]string

	ByObserved bool
	Cursor     string
	Limit      int // 50 when 0; at most MaxPage
}

// Circle is a centre in degrees and a radius in metres.
type Circle struct{ Lon, Lat, Metres float64 }

// MaxPage bounds a page.
const MaxPage = 1000

// Page is one page of a list.
type Page struct {
	Items        []*store.Stored
	Next         string // cursor of the next page; "" at the end
	NeedsPurpose bool   // protected records are left out because no purpose was given
}

// List returns a page. It never shows what Get would not.
func (q *Records) List(ctx context.Context, r *policy.Reader, kind string, f *Filter) (*Page, error) {
	page, err := q.page(ctx, r, kind, f)
	if err != nil {
		return nil, err
	}
	recs := make([]*record.Record, len(page.Items))
	for i, s := range page.Items {
		recs[i] = s.Record
	}
	return page, q.Looked(ctx, r, "list", recs...)
}

// Export is List page by page; each look is written down as an export.
func (q *Records) Export(ctx context.Context, r *policy.Reader, kind string, f *Filter, fn func(*store.Stored) error) error {
	g := *f
	g.Limit = 500
	for {
		page, err := q.page(ctx, r, kind, &g)
		if err != nil {
			return err
		}
		recs := make([]*record.Record, len(page.Items))
		for i, s := range page.Items {
			recs[i] = s.Record
		}
		if err := q.Looked(ctx, r, "export", recs...); err != nil {
			return err
		}
		for _, s := range page.Items {
			if err := fn(s); err != nil {
				return err
			}
		}
		if g.Cursor = page.Next; g.Cursor == "" {
			return nil
		}
	}
}

func (q *Records) page(ctx context.Context, r *policy.Reader, kind string, f *Filter) (*Page, error) {
	sq, needs, err := q.build(ctx, r, []string{kind}, f)
	if err != nil {
		return nil, err
	}
	page := &Page{NeedsPurpose: needs}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, MaxPage)
	sq.Limit = limit + 1
	typing := sq.Before != nil && sq.Before.Row < 0 // the pages before this one were found so
	if typing {
		sq.Before.Row = -sq.Before.Row
		prefixLast(sq)
	}
	if page.Items, err = q.store.Find(ctx, sq); err != nil {
		return nil, err
	}
	if len(page.Items) == 0 && f.Cursor == "" {
		if typing, err = q.unfinished(ctx, sq); err != nil {
			return nil, err
		}
		if typing {
			if page.Items, err = q.store.Find(ctx, sq); err != nil {
				return nil, err
			}
		}
	}
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		last := page.Items[limit-1]
		row := last.Row
		if typing {
			row = -row
		}
		page.Next = q.seal.seal("list|"+r.Person, last.Record.Observed.UnixMicro(), row)
	}
	return page, nil
}

// scan is store.Scan with the same second try as a list.
func (q *Records) scan(ctx context.Context, sq *store.Query, fn func(*store.Brief) bool) error {
	any := false
	seen := func(b *store.Brief) bool { any = true; return fn(b) }
	if err := q.store.Scan(ctx, sq, seen); err != nil || any {
		return err
	}
	if typing, err := q.unfinished(ctx, sq); err != nil || !typing {
		return err
	}
	return q.store.Scan(ctx, sq, fn)
}

// unfinished makes the last word a prefix when nothing that the reader may see
// has it as it stands: it may still be being typed. It is asked when a query
// finds nothing, and reports false when there is nothing to try again.
func (q *Records) unfinished(ctx context.Context, sq *store.Query) (bool, error) {
	probe := &store.Query{Kinds: sq.Kinds, Sight: sq.Sight, Now: sq.Now, Terms: sq.Terms[max(0, len(sq.Terms)-1):], Limit: 1}
	if !prefixLast(sq) {
		return false, nil
	}
	word := false
	err := q.store.Scan(ctx, probe, func(*store.Brief) bool { word = true; return false })
	return !word, err
}

// prefixLast makes the last word a prefix; false when it is one or there is none.
func prefixLast(sq *store.Query) bool {
	if len(sq.Terms) == 0 {
		return false
	}
	g := sq.Terms[len(sq.Terms)-1]
	if len(g) == 0 || len(g[0]) < 3 || strings.ContainsAny(g[0], "* ") {
		return false
	}
	sq.Terms = append(slices.Clone(sq.Terms[:len(sq.Terms)-1]), append(slices.Clone(g), g[0]+"*"))
	return true
}

func (q *Records) build(ctx context.Context, r *policy.Reader, kinds []string, f *Filter) (*store.Query, bool, error) {
	if r.Person == "" {
		return nil, false, record.Errorf(record.Unsigned, "list", "sign in first")
	}
	for _, name := range kinds {
		k := q.desks.Kind(name)
		if k == nil {
			return nil, false, record.Errorf(record.NotFound, "list", "there is no kind %.60q", name)
		}
		for path := range f.Facet {
			if fd := k.Field(path); fd == nil || !fd.Facet {
				return nil, false, record.Fields{{Path: "f." + path, Code: "unknown", Message: "no such facet"}}.Err(name + ".list")
			}
		}
		if len(kinds) == 1 && !r.CanRead(k) {
			return nil, false, record.Errorf(record.Denied, name+".list", "your role does not let you read this desk")
		}
	}
	sight, needs, err := q.Sight(ctx, r, kinds)
	if err != nil {
		return nil, false, err
	}
	now := q.now()
	sq := &store.Query{
		Kinds: kinds, Sight: sight, Now: now, Terms: Terms(f.Words), Box: f.Box, From: f.From, To: f.To, Since: f.Since,
		States: f.States, Facet: f.Facet, Flag: f.Flag, Author: f.Author, ByObserved: f.ByObserved, Limit: f.Limit,
	}
	if f.Words != "" && len(sq.Terms) == 0 {
		sq.Terms = [][]string{{store.Sign}} // only signs: nothing matches
	}
	if f.Near != nil && f.Box == nil {
		sq.Box = around(*f.Near)
	}
	if f.Open {
		t := true
		sq.Open = &t
	}
	if len(f.Owners) > 0 || f.Others {
		all, err := q.markings(ctx)
		if err != nil {
			return nil, false, err
		}
		sq.Owners = []int64{}
		for _, m := range all {
			if (len(f.Owners) == 0 || slices.Contains(f.Owners, m.Owner)) && (!f.Others || m.Owner != r.Agency) {
				sq.Owners = append(sq.Owners, m.N)
			}
		}
	}
	if f.Cursor != "" {
		if sq.Before, err = q.openKey(r.Person, f.Cursor); err != nil {
			return nil, false, err
		}
	}
	return sq, needs, nil
}

// Terms turns what a person typed into groups that must all match. A token with
// digits is also tried as an identifier: a plate, a telephone number.
func Terms(words string) [][]string {
	var groups [][]string
	for i, part := range strings.Split(words, `"`) {
		if i%2 == 1 {
			if w := store.Fold(part); len(w) > 0 {
				groups = append(groups, []string{strings.Join(w, " ")})
			}
			continue
		}
		for _, tok := range strings.Fields(part) {
			folded := store.Fold(tok)
			if len(folded) == 0 {
				continue
			}
			if strings.HasSuffix(tok, "*") && len(folded[len(folded)-1]) >= 2 {
				folded[len(folded)-1] += "*"
			}
			g := []string{strings.Join(folded, " ")}
			if strings.HasSuffix(g[0], "*") && len(folded) > 1 {
				g = nil // a phrase cannot end in a prefix here: all words instead
				for _, w := range folded {
					groups = append(groups, []string{w})
				}
			}
			if g != nil {
				if id := store.FoldID(tok); strings.ContainsAny(tok, "0123456789") && id != "" {
					g = append(g, id)
				}
				groups = append(groups, g)
			}
		}
	}
	if len(groups) > 12 {
		groups = groups[:12]
	}
	return groups
}

const metresPerDegree = 111_320

func around(c Circle) *record.Box {
	dLat := c.Metres / metresPerDegree
	dLon := 180.0
	if cos := math.Cos(c.Lat * math.Pi / 180); cos > 0.01 {
		dLon = math.Min(180, dLat/cos)
	}
	wrap := func(v float64) float64 {
		switch {
		case v < -180:
			return v + 360
		case v > 180:
			return v - 360
		}
		return v
	}
	if dLon >= 180 {
		return &record.Box{W: -180, S: math.Max(-90, c.Lat-dLat), E: 180, N: math.Min(90, c.Lat+dLat)}
	}
	return &record.Box{W: wrap(c.Lon - dLon), S: math.Max(-90, c.Lat-dLat), E: wrap(c.Lon + dLon), N: math.Min(90, c.Lat+dLat)}
}

// CountCap bounds how many matches are counted: a board says "10,000+".
const CountCap = 10_000

// Count is a summary of what List would show page by page.
type Count struct {
	Count        int                       `json:"count"`
	Capped       bool                      `json:"capped"` // there are more; facets and days speak of the newest CountCap
	Facets       map[string]map[string]int `json:"facets"` // "state", "owner", "flag" and the kind's facet fields
	PerDay       []Day                     `json:"perDay"` // of observed time, UTC, oldest first; days without any left out
	NeedsPurpose bool                      `json:"purposeNeeded,omitempty"`
}

// Day counts one day's records by the value of the kind's symbol field.
type Day struct {
	Day      string         `json:"day"` // 2026-05-01
	Count    int            `json:"count"`
	BySymbol map[string]int `json:"bySymbol,omitempty"`
}

// Count counts what matches, by facet and day.
func (q *Records) Count(ctx context.Context, r *policy.Reader, kind string, f *Filter) (*Count, error) {
	g := *f
	g.Cursor, g.ByObserved = "", false
	sq, needs, err := q.build(ctx, r, []string{kind}, &g)
	if err != nil {
		return nil, err
	}
	sq.Limit = CountCap + 1
	all, err := q.markings(ctx)
	if err != nil {
		return nil, err
	}
	k := q.desks.Kind(kind)
	c := &Count{NeedsPurpose: needs, Facets: map[string]map[string]int{"state": {}, "owner": {}}, PerDay: []Day{}}
	days := map[string]*Day{}
	err = q.scan(ctx, sq, func(b *store.Brief) bool {
		if c.Count == CountCap {
			c.Capped = true
			return false
		}
		c.Count++
		c.Facets["state"][b.State]++
		c.Facets["owner"][all[b.Marking-1].Owner]++
		day := b.Observed.Format(time.DateOnly)
		d := days[day]
		if d == nil {
			d = &Day{Day: day, BySymbol: map[string]int{}}
			days[day] = d
		}
		d.Count++
		for path, v := range facets(b.Facet) {
			if c.Facets[path] == nil {
				c.Facets[path] = map[string]int{}
			}
			c.Facets[path][v]++
			if path == k.Symbol.By {
				d.BySymbol[v]++
			}
		}
		return true
	})
	for _, d := range days {
		c.PerDay = append(c.PerDay, *d)
	}
	slices.SortFunc(c.PerDay, func(a, b Day) int { return strings.Compare(a.Day, b.Day) })
	return c, err
}

// facets yields the pairs of Brief.Facet.
func facets(s string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for part := range strings.SplitSeq(s, "\x1f") {
			if path, v, ok := strings.Cut(part, "="); ok && !yield(path, v) {
				return
			}
		}
	}
}

// Feature is a record as a map draws it.
type Feature struct {
	ID          record.ID  `json:"id"`
	Lon         float64    `json:"lon"`
	Lat         float64    `json:"lat"`
	Title       string     `json:"title"`
	State       string     `json:"state"`
	Owner       string     `json:"owner"`
	TLP         record.TLP `json:"tlp"`
	By          string     `json:"by,omitempty"` // value of the kind's symbol field
	Observed    time.Time  `json:"observed"`
	Uncertainty float64    `json:"uncertainty,omitempty"`
	Version     int        `json:"version"`
}

// Cluster stands for many records that are close together on the screen.
type Cluster struct {
	Lon   float64    `json:"lon"`
	Lat   float64    `json:"lat"`
	Count int        `json:"count"`
	Box   [4]float64 `json:"bbox"`
}

// MapView is what a map draws in a window.
type MapView struct {
	Features []Feature `json:"features"`
	Clusters []Cluster `json:"clusters"`
	Capped   bool      `json:"capped"` // the newest 20,000 matches were looked at
}

const (
	mapScan     = 20_000 // matches looked at
	mapFeatures = 1_500  // drawn one by one
)

// Map returns what to draw in f.Box at a zoom level (web map convention: the
// world is 256 times 2^zoom pixels wide).
func (q *Records) Map(ctx context.Context, r *policy.Reader, kind string, f *Filter, zoom float64) (*MapView, error) {
	g := *f
	g.Cursor, g.ByObserved = "", false
	sq, _, err := q.build(ctx, r, []string{kind}, &g)
	if err != nil {
		return nil, err
	}
	sq.Limit = mapScan + 1
	all, err := q.markings(ctx)
	if err != nil {
		return nil, err
	}
	k := q.desks.Kind(kind)
	v := &MapView{Features: []Feature{}, Clusters: []Cluster{}}
	cell := 360 / (256 * math.Pow(2, math.Min(math.Max(zoom, 0), 22))) * 48 // 48 pixels
	type bin struct {
		first    *store.Brief
		n        int
		lon, lat float64
		box      record.Box
	}
	bins := map[[2]int]*bin{}
	var briefs []*store.Brief
	n, looked := 0, 0
	err = q.scan(ctx, sq, func(b *store.Brief) bool {
		if looked++; looked > mapScan {
			v.Capped = true
			return false
		}
		if b.Box == nil {
			return true
		}
		n++
		lon, lat := b.Box.Center()
		key := [2]int{int(math.Floor(lon / cell)), int(math.Floor(lat / cell))}
		c := bins[key]
		if c == nil {
			c = &bin{first: b, box: *b.Box}
			bins[key] = c
		}
		c.n++
		c.lon += lon
		c.lat += lat
		c.box = record.Box{W: min(c.box.W, lon), S: min(c.box.S, lat), E: max(c.box.E, lon), N: max(c.box.N, lat)}
		if len(briefs) <= mapFeatures {
			briefs = append(briefs, b)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var shown []*record.Record
	feature := func(b *store.Brief) {
		m := all[b.Marking-1]
		shown = append(shown, &record.Record{Header: record.Header{ID: b.ID, Kind: b.Kind, Owner: m.Owner, Version: b.Version, Marking: m.Marking}})
		lon, lat := b.Box.Center()
		ft := Feature{ID: b.ID, Lon: lon, Lat: lat, Title: b.Title, State: b.State, Owner: m.Owner, TLP: m.TLP, Observed: b.Observed, Uncertainty: b.Uncertainty, Version: b.Version}
		for path, val := range facets(b.Facet) {
			if path == k.Symbol.By {
				ft.By = val
			}
		}
		v.Features = append(v.Features, ft)
	}
	if n <= mapFeatures {
		for _, b := range briefs {
			feature(b)
		}
		return v, q.Looked(ctx, r, "list", shown...)
	}
	for _, c := range bins {
		if c.n == 1 {
			feature(c.first)
			continue
		}
		v.Clusters = append(v.Clusters, Cluster{c.lon / float64(c.n), c.lat / float64(c.n), c.n, [4]float64{c.box.W, c.box.S, c.box.E, c.box.N}})
	}
	return v, q.Looked(ctx, r, "list", shown...)
}
