package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/wire/table"
)

// Mapper turns rows into drafts. It is safe for several goroutines.
type Mapper struct {
	kind    *desk.Kind
	agency  string
	now     func() time.Time
	columns []string
	region  *Region

	record                                 bool
	id, owner, key, observed               *source
	lat, lon, geometry, uncertainty        *source
	pcode, edition, words                  *source
	tlp, to, persons, caveats, expires     *source
	state, flags, links, attachments, note *source
	body                                   *node
	plans                                  map[string]*plan
	reachable                              map[string]bool // states that commands alone lead to
	states                                 []string
	machines                               sync.Pool
}

// plan fills one field of the body.
type plan struct {
	field *desk.Field
	typ   string // of the field, or "time" for an end of an interval
	src   *source
}

// node is one object of the body being built, or with plan set one value.
type node struct {
	name     string
	plan     *plan
	children []*node
}

// source is a Source bound to the columns of a file.
type source struct {
	*Source
	path   string
	column int // -1: none
	parts  []part
	code   *program
	values map[string]string
	folded map[string]string
	loc    *time.Location
}

// part is a piece of a template.
type part struct {
	text   string
	column int // -1: text
}

// Compile binds a mapping to a kind and the columns of a file. Everything that
// does not fit is named: unknown columns and fields, values that the kind does
// not have, required fields that nothing fills. agency will own the records; now
// bounds times that lie in the future.
func (m *Mapping) Compile(kind *desk.Kind, agency string, columns []string, now func() time.Time) (*Mapper, error) {
	c := compiler{columns: columns}
	p := &Mapper{kind: kind, agency: agency, now: now, columns: columns, region: m.Region, record: m.Record, plans: map[string]*plan{}, reachable: map[string]bool{}}
	p.machines.New = func() any { return newMachine() }
	p.states = kind.States()
	for _, s := range p.states {
		if _, ok := Commands(kind, kind.Start, s); ok {
			p.reachable[s] = true
		}
	}
	if m.Kind != kind.Name {
		c.f.Add("kind", "invalid", fmt.Sprintf("the mapping is for %q, not for %q", m.Kind, kind.Name))
	}
	if !record.AgencyID(agency) {
		c.f.Add("agency", "invalid", fmt.Sprintf("%q is not an agency such as ht.pnh", short(agency)))
	}
	if m.Record {
		return p, c.f.Err("mapping")
	}
	p.id, p.owner, p.key = c.bind(m.ID, "id"), c.bind(m.Owner, "owner"), c.bind(m.Key, "key")
	p.observed = c.bind(m.Observed, "observed")
	if m.Observed == nil {
		c.f.Add("observed", "required", "say which column holds the time at which it was true")
	}
	l := &m.Place
	p.lat, p.lon, p.geometry = c.number(l.Lat, "place.lat"), c.number(l.Lon, "place.lon"), c.bind(l.Geometry, "place.geometry")
	if (l.Lat == nil) != (l.Lon == nil) {
		c.f.Add("place", "required", "lat and lon go together")
	}
	p.uncertainty, p.pcode = c.number(l.Uncertainty, "place.uncertainty"), c.bind(l.PCode, "place.pcode")
	p.edition, p.words = c.bind(l.Edition, "place.edition"), c.bind(l.Words, "place.words")
	k := &m.Marking
	if k.TLP == nil {
		c.f.Add("marking.tlp", "required", "say who may know: RED, AMBER+STRICT, AMBER, GREEN or CLEAR")
	}
	p.tlp, p.to, p.persons = c.bind(k.TLP, "marking.tlp"), c.bind(k.To, "marking.to"), c.bind(k.Persons, "marking.persons")
	p.caveats, p.expires = c.bind(k.Caveats, "marking.caveats"), c.bind(k.Expires, "marking.expires")
	p.state, p.flags, p.note = c.bind(m.State, "state"), c.bind(m.Flags, "flags"), c.bind(m.Note, "note")
	p.links, p.attachments = c.bind(m.Links, "links"), c.bind(m.Attachments, "attachments")
	c.outputs(p.state, "state", p.states)
	p.body = c.body(p, m.Fields)
	return p, c.f.Err("mapping")
}

type compiler struct {
	columns []string
	f       record.Fields
}

func (c *compiler) fault(s *Source, path, code, message string) {
	if s != nil && s.line > 0 {
		message += fmt.Sprintf(" (line %d, column %d)", s.line, s.column)
	}
	c.f.Add(path, code, message)
}

func (c *compiler) lookup(s *Source, path, name string) int {
	i := slices.Index(c.columns, name)
	if i < 0 {
		msg := fmt.Sprintf("the file has no column %q", short(name))
		if near := nearest(name, c.columns); near != "" {
			msg += fmt.Sprintf("; did you mean %q?", near)
		}
		c.fault(s, path, "unknown", msg)
	}
	return i
}

// number binds a source that may be a bare number instead of a column.
func (c *compiler) number(s *Source, path string) *source {
	if s != nil && s.Column != "" && !slices.Contains(c.columns, s.Column) {
		if n, err := readNumber(s.Column, true); err == nil {
			fixed := *s
			fixed.Column, fixed.Value = "", &n
			s = &fixed
		}
	}
	return c.bind(s, path)
}

func (c *compiler) bind(s *Source, path string) *source {
	if s == nil {
		return nil
	}
	b := &source{Source: s, path: path, column: -1, loc: time.UTC}
	switch {
	case s.Column != "":
		b.column = c.lookup(s, path, s.Column)
	case s.Expr != "":
		var err error
		if b.code, err = compileExpr(s.Expr, c.columns); err != nil {
			c.fault(s, path+".expr", "invalid", err.Error())
		}
	case s.Template != "":
		rest := s.Template
		for rest != "" {
			before, after, ok := strings.Cut(rest, "{{")
			if before != "" {
				b.parts = append(b.parts, part{before, -1})
			}
			if !ok {
				break
			}
			name, after, ok := strings.Cut(after, "}}")
			if !ok {
				c.fault(s, path, "invalid", "{{ without }}")
				break
			}
			b.parts = append(b.parts, part{"", c.lookup(s, path, strings.TrimSpace(name))})
			rest = after
		}
	}
	if len(s.Values) > 0 {
		b.values, b.folded = map[string]string{}, map[string]string{}
		for _, p := range slices.Backward(s.Values) {
			b.values[p.From], b.folded[fold(p.From)] = p.To, p.To
		}
	}
	if s.Zone != "" {
		loc, err := zone(s.Zone)
		if err != nil {
			c.fault(s, path+".zone", "invalid", fmt.Sprintf("%q is not a time zone", short(s.Zone)))
		} else {
			b.loc = loc
		}
	}
	return b
}

// outputs checks the values that a source states itself against a closed list.
func (c *compiler) outputs(s *source, path string, known []string) {
	if s == nil || known == nil {
		return
	}
	check := func(v string) {
		if v != "" && !slices.Contains(known, v) {
			c.fault(s.Source, path, "enum", fmt.Sprintf("%q is not one of %s", short(v), strings.Join(known, ", ")))
		}
	}
	for _, l := range [][]Pair{s.Values, s.First} {
		for _, p := range l {
			check(p.To)
		}
	}
	for _, v := range s.List {
		check(v)
	}
	if s.Default != nil {
		check(*s.Default)
	}
	if s.Value != nil && s.Split == "" && len(s.Values) == 0 && len(s.First) == 0 {
		check(*s.Value)
	}
}

// body plans how the fields are filled and nested.
func (c *compiler) body(p *Mapper, fields []FieldSource) *node {
	root := &node{}
	var paths []string
	for _, f := range p.kind.Fields() {
		paths = append(paths, f.Path)
	}
	for _, fs := range fields {
		at := "fields." + fs.Path
		pl := &plan{field: p.kind.Field(fs.Path)}
		if pl.field != nil {
			pl.typ = pl.field.Type
		} else if whole, end, ok := cutLast(fs.Path); ok && (end == "from" || end == "to") {
			if f := p.kind.Field(whole); f != nil && f.Type == "interval" {
				pl.field, pl.typ = f, "time"
			}
		}
		if pl.field == nil {
			msg := fmt.Sprintf("%s has no field %q", p.kind.Name, short(fs.Path))
			if near := nearest(fs.Path, paths); near != "" {
				msg += fmt.Sprintf("; did you mean %q?", near)
			}
			c.fault(fs.Source, at, "unknown", msg)
			continue
		}
		if fs.Source.As != "" {
			if pl.typ != fs.Source.As && pl.typ != "text" && !(pl.typ == "number" && fs.Source.As == "integer") {
				c.fault(fs.Source, at+".as", "type", fmt.Sprintf("the field is of type %s", pl.typ))
			} else if pl.typ != "text" {
				pl.typ = fs.Source.As
			}
		}
		pl.src = c.bind(fs.Source, at)
		c.outputs(pl.src, at, pl.field.Enum)
		p.plans[fs.Path] = pl
		n := root
		for name := range strings.SplitSeq(fs.Path, ".") {
			i := slices.IndexFunc(n.children, func(k *node) bool { return k.name == name })
			if i < 0 {
				n.children = append(n.children, &node{name: name})
				i = len(n.children) - 1
			}
			n = n.children[i]
		}
		n.plan = pl
	}
	for _, f := range p.kind.Fields() {
		if !f.Required || p.plans[f.Path] != nil || p.plans[f.Path+".from"] != nil && p.plans[f.Path+".to"] != nil {
			continue
		}
		c.f.Add("fields."+f.Path, "required", "the field is required and nothing fills it")
	}
	return root
}

func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

// reading is the work on one row.
type reading struct {
	*Mapper
	m   *machine
	row *table.Row
	f   record.Fields
}

// Map turns a row into a draft. The problems name header members and fields of
// the body; with any of them the draft must not be used.
func (p *Mapper) Map(row *table.Row) (Draft, record.Fields) {
	if len(row.Problems) > 0 {
		return Draft{Line: row.Line}, row.Problems
	}
	m := p.machines.Get().(*machine)
	defer p.machines.Put(m)
	r := &reading{Mapper: p, m: m, row: row}
	var d Draft
	var body []byte
	if p.record {
		d, body = r.whole()
	} else {
		d, body = r.draft()
	}
	d.Line = row.Line
	if len(r.f) > 0 && body == nil {
		return d, r.f
	}
	d.Marking.Normalize()
	r.locate(&d)
	named := !d.ID.IsZero()
	if d.Key == "" && !named {
		d.Key = r.hash()
	}
	if !named {
		d.ID = DeriveID(p.agency, p.kind.Name, d.Key, d.Observed)
	}
	h := record.Header{ID: d.ID, Marking: d.Marking, Observed: d.Observed, Place: d.Place, Links: d.Links, Attachments: d.Attachments, Note: d.Note, Key: d.Key}
	for _, f := range h.CheckHeader(p.now()) {
		// A fault that reading found already says more.
		if !slices.ContainsFunc(r.f, func(g record.Field) bool {
			return g.Path == f.Path || f.Path == "place.geometry" && strings.HasPrefix(g.Path, "place.l")
		}) {
			r.f = append(r.f, f)
		}
	}
	for i, fl := range d.Flags {
		if !record.Token(fl) {
			r.f.Add(record.Index("flags", i), "invalid", "a flag is a lower-case word")
		}
	}
	switch {
	case d.State == "" || p.reachable[d.State]:
	case !slices.Contains(p.states, d.State):
		r.f.Add("state", "enum", fmt.Sprintf("%q is not a state of %s", short(d.State), p.kind.Name))
	case !named: // one that is named may be there already, in that state
		r.f.Add("state", "stale", fmt.Sprintf("no commands lead from %q to %q without further particulars", p.kind.Start, d.State))
	}
	_, canonical, faults := p.kind.Decode(body)
	for _, f := range faults {
		path := strings.TrimPrefix(f.Path, "body.")
		f.Path = path
		// What reading found wrong was left out, and must not count as missing too.
		if slices.ContainsFunc(r.f, func(g record.Field) bool { return g.Path == path }) {
			continue
		}
		f.Message += r.origin(path)
		r.f = append(r.f, f)
	}
	d.Body = canonical
	return d, r.f
}

// origin says where a field's value came from.
func (r *reading) origin(path string) string {
	base, _, _ := strings.Cut(path, "[")
	pl := r.plans[base]
	if pl == nil || pl.src == nil || pl.src.column < 0 {
		return ""
	}
	return fmt.Sprintf(" (column %s: %q)", r.columns[pl.src.column], short(r.row.Values[pl.src.column]))
}

func (r *reading) fault(s *source, path, code, message string) {
	if s != nil && s.column >= 0 {
		message += fmt.Sprintf(" (column %s)", r.columns[s.column])
	}
	r.f.Add(path, code, message)
}

// whole reads a row that is a record as the API gives it, or a line of its bulk.
func (r *reading) whole() (Draft, []byte) {
	var in struct {
		Draft
		Kind  string `json:"kind"`
		Owner string `json:"owner"`
	}
	if len(r.row.Raw) == 0 {
		r.f.Add("row", "type", "records can only be read from JSON")
		return in.Draft, nil
	}
	if err := json.Unmarshal(r.row.Raw, &in); err != nil {
		path, msg := "row", err.Error()
		if te, ok := err.(*json.UnmarshalTypeError); ok && te.Field != "" {
			path, msg = te.Field, fmt.Sprintf("cannot be a %s", te.Value)
		}
		r.f.Add(path, "type", strings.TrimPrefix(msg, "json: "))
		return in.Draft, nil
	}
	if in.Kind != "" && in.Kind != r.kind.Name {
		r.f.Add("kind", "invalid", fmt.Sprintf("is %q, not %q", short(in.Kind), r.kind.Name))
	}
	r.mine(in.Owner, nil)
	if len(in.Body) == 0 {
		in.Body = json.RawMessage("{}")
	}
	return in.Draft, in.Body
}

// mine refuses rows that say they belong to another agency: only its own node
// writes them.
func (r *reading) mine(owner string, s *source) {
	if owner != "" && owner != r.agency {
		r.fault(s, "owner", "denied", fmt.Sprintf("belongs to %s; only %s can be imported here", short(owner), r.agency))
	}
}

func (r *reading) draft() (Draft, []byte) {
	var d Draft
	if s := r.one(r.id, "id"); s != "" {
		id, err := record.ParseID(s)
		if err != nil {
			r.fault(r.id, "id", "invalid", err.Error())
		}
		d.ID = id
	}
	r.mine(r.one(r.owner, "owner"), r.owner)
	if r.key != nil {
		d.Key = r.one(r.key, "key")
		if d.Key == "" && d.ID.IsZero() {
			r.fault(r.key, "key", "required", "the natural key is empty")
		}
	}
	if s := r.one(r.observed, "observed"); s != "" {
		d.Observed = r.time(r.observed, "observed", s)
	} else if !r.has("observed") {
		r.fault(r.observed, "observed", "required", "the time is empty")
	}
	d.Marking = record.Marking{TLP: record.TLP(r.one(r.tlp, "marking.tlp")), To: r.many(r.to, "marking.to"),
		Persons: r.many(r.persons, "marking.persons"), Caveats: r.many(r.caveats, "marking.caveats")}
	if s := r.one(r.expires, "marking.expires"); s != "" {
		if t := r.time(r.expires, "marking.expires", s); !t.IsZero() {
			d.Marking.Expires = &t
		}
	}
	d.State = r.one(r.state, "state")
	d.Flags = r.many(r.flags, "flags")
	d.Note = r.one(r.note, "note")
	r.json(r.links, "links", &d.Links)
	r.json(r.attachments, "attachments", &d.Attachments)
	r.place(&d)
	body, _ := r.object(r.body, make([]byte, 0, 512))
	return d, body
}

func (r *reading) has(path string) bool {
	return slices.ContainsFunc(r.f, func(f record.Field) bool { return f.Path == path })
}

func (r *reading) json(s *source, path string, into any) {
	if t := r.one(s, path); t != "" {
		if err := json.Unmarshal([]byte(t), into); err != nil {
			r.fault(s, path, "json", "is not a list in JSON as an export writes it")
		}
	}
}

func (r *reading) time(s *source, path, text string) time.Time {
	t, err := readTime(text, s.Layouts, s.loc)
	if err != nil {
		r.fault(s, path, "time", err.Error())
	}
	return t
}

func (r *reading) degrees(s *source, path string) (float64, bool) {
	t := r.one(s, path)
	if t == "" {
		return 0, false
	}
	n, err := readNumber(t, true)
	if err != nil {
		r.fault(s, path, "number", err.Error())
		return 0, false
	}
	v, _ := strconv.ParseFloat(n, 64)
	return v, true
}

func (r *reading) place(d *Draft) {
	var p record.Place
	switch t := r.one(r.geometry, "place.geometry"); {
	case t != "":
		if err := json.Unmarshal([]byte(t), &p.Geometry); err != nil {
			r.fault(r.geometry, "place.geometry", "json", "is not a GeoJSON geometry")
		}
	case r.lat != nil:
		lat, ok1 := r.degrees(r.lat, "place.lat")
		lon, ok2 := r.degrees(r.lon, "place.lon")
		switch {
		case ok1 && ok2:
			p.Geometry = record.Point(lon, lat)
			r.swapped(lon, lat)
		case ok1 && !r.has("place.lon"):
			r.fault(r.lon, "place.lon", "required", "there is a latitude and no longitude")
		case ok2 && !r.has("place.lat"):
			r.fault(r.lat, "place.lat", "required", "there is a longitude and no latitude")
		}
	}
	if p.Geometry == nil {
		p.Geometry = r.row.Geometry
	}
	if t := r.one(r.uncertainty, "place.uncertainty"); t != "" && (p.Geometry != nil || r.uncertainty.column >= 0) {
		n, err := readNumber(t, false)
		if err != nil {
			r.fault(r.uncertainty, "place.uncertainty", "number", err.Error())
		}
		p.Uncertainty, _ = strconv.ParseFloat(n, 64)
	}
	p.PCode, p.Words = r.one(r.pcode, "place.pcode"), r.one(r.words, "place.words")
	if p.PCode != "" || r.edition != nil && r.edition.column >= 0 {
		p.Edition = r.one(r.edition, "place.edition")
	}
	if p != (record.Place{}) {
		d.Place = &p
	}
}

// swapped names coordinates that only make sense the other way round: out of
// range as they are, or far from the region and inside it when exchanged.
func (r *reading) swapped(lon, lat float64) {
	at := func(lon, lat float64) bool { return r.region.BBox.Meets(record.Box{W: lon, S: lat, E: lon, N: lat}) }
	switch {
	case (lat > 90 || lat < -90) && lat >= -180 && lat <= 180 && lon >= -90 && lon <= 90,
		r.region != nil && !at(lon, lat) && at(lat, lon):
		r.fault(nil, "place.lat", "swapped", fmt.Sprintf("latitude %g and longitude %g are swapped", lat, lon))
	}
}

// locate flags what lies outside the region. It is kept: somebody may have meant
// it.
func (r *reading) locate(d *Draft) {
	if r.region == nil || d.Place == nil || d.Place.Geometry == nil {
		return
	}
	box, err := d.Place.Geometry.Bounds()
	if err == nil && !r.region.BBox.Meets(box) && !slices.Contains(d.Flags, r.region.Flag) {
		d.Flags = append(d.Flags, r.region.Flag)
	}
}

// hash is the natural key of a row that has none: the same row, the same key.
func (r *reading) hash() string {
	h := sha256.New()
	for i, v := range r.row.Values {
		if v != "" && i < len(r.columns) {
			fmt.Fprintf(h, "%d:%s%d:%s", len(r.columns[i]), r.columns[i], len(v), v)
		}
	}
	if g := r.row.Geometry; g != nil {
		h.Write(g.Coordinates)
	}
	return "row-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// object appends the members that have a value; empty ones are left out.
func (r *reading) object(n *node, b []byte) ([]byte, bool) {
	b = append(b, '{')
	filled := false
	for _, k := range n.children {
		mark := len(b)
		if filled {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, k.name...)
		b = append(b, '"', ':')
		var ok bool
		if k.plan != nil {
			b, ok = r.member(k.plan, b)
		} else {
			b, ok = r.object(k, b)
		}
		if !ok {
			b = b[:mark]
			continue
		}
		filled = true
	}
	return append(b, '}'), filled
}

// member appends the value of one field as JSON.
func (r *reading) member(p *plan, b []byte) ([]byte, bool) {
	path := strings.TrimPrefix(p.src.path, "fields.")
	if p.typ == "list" {
		l := r.many(p.src, path)
		if l == nil {
			return b, false
		}
		for i := range l {
			l[i] = enumerated(p.field, l[i])
		}
		j, _ := json.Marshal(l)
		return append(b, j...), true
	}
	s := r.one(p.src, path)
	if s == "" {
		return b, false
	}
	var out string
	var err error
	switch p.typ {
	case "integer":
		out, err = readInteger(s)
	case "number":
		out, err = readNumber(s, false)
	case "flag":
		out, err = readFlag(s)
	case "time":
		if _, e := time.Parse(time.RFC3339Nano, s); e == nil && len(p.src.Layouts) == 0 {
			out = strconv.Quote(s)
			break
		}
		t := r.time(p.src, path, s)
		if t.IsZero() {
			return b, false
		}
		out = strconv.Quote(t.Format(time.RFC3339Nano))
	case "interval":
		from, to, ok := strings.Cut(s, "/")
		if !ok {
			err = fmt.Errorf("%q is not two times with a / between", short(s))
			break
		}
		ends := [2]string{}
		for i, e := range []string{strings.TrimSpace(from), strings.TrimSpace(to)} {
			if _, bad := time.Parse(time.RFC3339Nano, e); bad == nil && len(p.src.Layouts) == 0 {
				ends[i] = e
				continue
			}
			t := r.time(p.src, path, e)
			if t.IsZero() {
				return b, false
			}
			ends[i] = t.Format(time.RFC3339Nano)
		}
		out = fmt.Sprintf(`{"from":%q,"to":%q}`, ends[0], ends[1])
	case "rows":
		if !json.Valid([]byte(s)) {
			err = fmt.Errorf("is not a list in JSON")
		}
		out = s
	default:
		switch p.src.As {
		case "integer":
			s, err = readInteger(s)
		case "number":
			s, err = readNumber(s, false)
		case "flag":
			s, err = readFlag(s)
		case "time":
			if t := r.time(p.src, path, s); !t.IsZero() {
				s = t.Format(time.RFC3339)
			}
		}
		j, _ := json.Marshal(enumerated(p.field, s))
		out = string(j)
	}
	if err != nil {
		r.fault(p.src, path, p.typ, err.Error())
		return b, false
	}
	return append(b, out...), true
}

// enumerated takes a value for the one of a closed list that it only differs
// from in case, accents or what joins its words.
func enumerated(f *desk.Field, s string) string {
	if f.Enum == nil || slices.Contains(f.Enum, s) {
		return s
	}
	t := fold(s)
	for _, e := range f.Enum {
		if fold(e) == t {
			return e
		}
	}
	return s
}

// text returns what the source holds before any table, as one text or as parts.
func (r *reading) text(s *source, path string) (string, []string) {
	switch {
	case s.column >= 0:
		if s.column >= len(r.row.Values) {
			return "", nil
		}
		return s.trim(r.row.Values[s.column]), nil
	case s.code != nil:
		t, l, err := r.m.run(s.code, r.row.Values)
		if err != nil {
			r.fault(s, path, "expr", err.Error())
		}
		return s.trim(t), l
	case s.parts != nil:
		var b strings.Builder
		filled := false
		for _, p := range s.parts {
			if p.column < 0 {
				b.WriteString(p.text)
			} else if p.column < len(r.row.Values) {
				v := strings.TrimSpace(r.row.Values[p.column])
				filled = filled || v != ""
				b.WriteString(v)
			}
		}
		if !filled && slices.ContainsFunc(s.parts, func(p part) bool { return p.column >= 0 }) {
			return "", nil // a template of empty cells says nothing
		}
		return b.String(), nil
	case s.List != nil:
		return "", slices.Clone(s.List)
	case s.Value != nil:
		return *s.Value, nil
	}
	return "", nil
}

func (s *source) trim(t string) string {
	if s.Raw {
		return t
	}
	return strings.TrimSpace(t)
}

// table looks a part up. known is false when there is a table and it holds
// nothing for the part.
func (s *source) table(t string) (v string, known bool) {
	for _, p := range s.First {
		if strings.HasPrefix(t, p.From) {
			return p.To, true
		}
	}
	if s.values != nil {
		if v, ok := s.values[t]; ok {
			return v, true
		}
		if v, ok := s.folded[fold(t)]; ok {
			return v, true
		}
	}
	return t, s.values == nil && s.First == nil
}

// one returns a single value, "" when there is none.
func (r *reading) one(s *source, path string) string {
	if s == nil {
		return ""
	}
	t, l := r.text(s, path)
	if l == nil && s.Split != "" {
		l = parts(t, s.Split)
	} else if l == nil && t != "" {
		if v, known := s.table(t); known {
			return v
		}
		l = []string{t}
	}
	for _, p := range l {
		if v, known := s.table(p); known {
			return v
		}
	}
	if s.Default != nil {
		return *s.Default
	}
	if len(l) > 0 {
		r.fault(s, path, "enum", fmt.Sprintf("the mapping's table has nothing for %q", short(l[0])))
	}
	return ""
}

// many returns a list, nil when there is none. Values repeated are given once.
func (r *reading) many(s *source, path string) []string {
	if s == nil {
		return nil
	}
	t, l := r.text(s, path)
	if l == nil && t != "" {
		if s.Split != "" {
			l = parts(t, s.Split)
		} else {
			l = readList(t, "")
		}
	}
	if s.values == nil && s.First == nil && len(l) > 0 {
		return l
	}
	var out []string
	for _, p := range l {
		v, known := s.table(p)
		if !known {
			if s.Default == nil {
				r.fault(s, path, "enum", fmt.Sprintf("the mapping's table has nothing for %q", short(p)))
			}
			continue
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	if len(out) == 0 && s.Default != nil {
		return readList(*s.Default, s.Split)
	}
	if out == nil && l != nil {
		return []string{}
	}
	return out
}
