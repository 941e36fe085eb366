package account

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// Langs lists the languages of the console; the first is what a person gets who did not choose.
var Langs = []string{"ht", "fr", "es", "en"}

var themes = []string{"", "light", "dark", "auto"}

var country = regexp.MustCompile(`^[A-Z]{2}$`)

// words tidies what a person typed as a name and says what is wrong with it.
func words(f *record.Fields, path, s string, least, most int) string {
	if !utf8.ValidString(s) {
		f.Add(path, "utf8", "not valid UTF-8")
		return ""
	}
	s = strings.TrimSpace(norm.NFC.String(s))
	switch n := utf8.RuneCountInString(s); {
	case n < least:
		f.Add(path, "required", "must not be empty")
	case n > most:
		f.Add(path, "max", "too long")
	case strings.ContainsFunc(s, unicode.IsControl):
		f.Add(path, "invalid", "must not contain control characters")
	}
	return s
}

// sorted returns a sorted copy without repetitions, never nil.
func sorted(s []string) []string {
	c := append([]string{}, s...)
	slices.Sort(c)
	return slices.Compact(c)
}

// checkAgency tidies an agency and says what is wrong with it.
func checkAgency(a *store.Agency) record.Fields {
	var f record.Fields
	if !record.AgencyID(a.ID) {
		f.Add("id", "invalid", "must be a country or sphere and a name, in lower case: ht.cc")
	}
	a.Name = words(&f, "name", a.Name, 1, 200)
	a.Contact = words(&f, "contact", a.Contact, 0, 500)
	if a.Country != "" && !country.MatchString(a.Country) {
		f.Add("country", "invalid", "must be two capital letters (ISO 3166-1): HT")
	}
	if len(a.Communities) > 50 {
		f.Add("communities", "max", "at most 50 communities")
	}
	for i, c := range a.Communities {
		if !record.CommunityID(c) {
			f.Add(record.Index("communities", i), "invalid", "must be @ and a name in lower case: @hispaniola")
		}
	}
	a.Communities = sorted(a.Communities)
	if n := len(a.PublicKey); n != 0 && n != ed25519.PublicKeySize {
		f.Add("key", "invalid", "must be an Ed25519 public key, 32 bytes")
	}
	return append(f, checkForeign(a)...)
}

// checkForeign tidies what an agency has because another node serves it.
func checkForeign(a *store.Agency) record.Fields {
	var f record.Fields
	if a.Local && a.Node != "" {
		f.Add("node", "conflict", "this node serves the agency; another cannot")
	}
	for i, k := range a.OldKeys {
		if len(k.Key) != ed25519.PublicKeySize {
			f.Add(record.Index("oldKeys", i), "invalid", "must be an Ed25519 public key, 32 bytes")
		}
	}
	joined := maps.Clone(a.Joined)
	maps.DeleteFunc(joined, func(c string, t time.Time) bool { return t.IsZero() || !slices.Contains(a.Communities, c) })
	if a.Joined = joined; len(joined) == 0 {
		a.Joined = nil
	}
	return f
}

// checkPerson tidies a person and says what is wrong with him.
func (d *Directory) checkPerson(p *store.Person) record.Fields {
	var f record.Fields
	p.ID = norm.NFC.String(p.ID)
	switch {
	case !record.PersonID(p.ID):
		f.Add("id", "invalid", "must be agency/name, in lower case letters and digits: ht.cc/ana")
	case d.Agencies[agencyOf(p.ID)] == nil:
		f.Add("id", "unknown", "there is no agency "+agencyOf(p.ID))
	case !d.local(agencyOf(p.ID)):
		f.Add("id", "conflict", "the agency "+agencyOf(p.ID)+" is not served by this node; its people sign in at its own")
	}
	p.Name = words(&f, "name", p.Name, 1, 120)
	p.Email = strings.ToLower(words(&f, "email", p.Email, 0, 254))
	if p.Email != "" {
		if a, err := mail.ParseAddress(p.Email); err != nil || a.Address != p.Email {
			f.Add("email", "invalid", "not an e-mail address")
		}
	}
	if p.Lang == "" {
		p.Lang = Langs[0]
	}
	checkPreferences(&f, p.Lang, p.Theme)
	if len(p.Grants) > 200 {
		f.Add("grants", "max", "at most 200 grants")
	}
	for i, g := range p.Grants {
		at := record.Index("grants", i)
		if !d.local(g.Agency) {
			f.Add(at+".agency", "unknown", "this node serves no agency "+g.Agency)
		}
		if g.Desk != "*" && !record.Token(g.Desk) {
			f.Add(at+".desk", "invalid", "must be the name of a desk, or * for all")
		}
		if !slices.Contains(desk.Roles, g.Role) {
			f.Add(at+".role", "enum", "must be one of viewer, operator, supervisor, auditor, administrator")
		}
	}
	p.Grants = append([]store.Grant{}, p.Grants...)
	slices.SortFunc(p.Grants, compareGrants)
	p.Grants = slices.Compact(p.Grants)
	for i, c := range p.Clearances {
		if !slices.Contains(record.Caveats, c) {
			f.Add(record.Index("clearances", i), "enum", "must be one of "+strings.Join(record.Caveats, ", "))
		}
	}
	p.Clearances = sorted(p.Clearances)
	return f
}

func compareGrants(a, b store.Grant) int {
	return cmp.Or(cmp.Compare(a.Agency, b.Agency), cmp.Compare(a.Desk, b.Desk), cmp.Compare(a.Role, b.Role))
}

func checkPreferences(f *record.Fields, lang, theme string) {
	if !slices.Contains(Langs, lang) {
		f.Add("lang", "enum", "must be one of ht, fr, es, en")
	}
	if !slices.Contains(themes, theme) {
		f.Add("theme", "enum", "must be light, dark or auto")
	}
}

// changes lists the members in which two things differ as JSON, for the ledger.
func changes(from, to any) ([]record.Change, error) {
	var members [2]map[string]json.RawMessage
	for i, v := range [...]any{from, to} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &members[i]); err != nil {
			return nil, err
		}
	}
	all := maps.Clone(members[1])
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	for k := range members[0] {
		all[k] = nil
	}
	var out []record.Change
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if a, b := members[0][k], members[1][k]; !bytes.Equal(a, b) {
			out = append(out, record.Change{Path: k, From: a, To: b})
		}
	}
	return out, nil
}

// mayAdminister says nil when the actor is an administrator of the agency, or the node itself.
func (d *Directory) mayAdminister(op, actor, agency string) error {
	if actor == Node || d.Holds(actor, agency, desk.Administrator) {
		return nil
	}
	e := record.Errorf(record.Denied, op, "your role does not allow this")
	e.Hint = "it needs the role administrator in " + agency
	return e
}

// administers reports whether a person is an administrator of any agency that this node serves.
func (d *Directory) administers(person string) bool {
	for agency := range d.roles[person] {
		if d.Holds(person, agency, desk.Administrator) {
			return true
		}
	}
	return false
}

// mayJoin says nil when the actor may bring an agency into these communities. Whoever is in a community sees what is
// released to it, so it takes an administrator of an agency that is in it; a community that nobody is in begins with
// whoever names it.
func (d *Directory) mayJoin(op, actor string, from, to []string) error {
	for _, c := range to {
		in := d.Communities[c]
		if actor == Node || len(in) == 0 || slices.Contains(from, c) ||
			slices.ContainsFunc(in, func(a string) bool { return d.Holds(actor, a, desk.Administrator) }) {
			continue
		}
		e := record.Errorf(record.Denied, op, "an agency joins %s by the word of one that is in it", c)
		e.Hint = "ask an administrator of " + strings.Join(in, ", ")
		return e
	}
	return nil
}

// AddAgency adds an agency. An administrator of any agency of this node may do so; of an agency that the node is to
// serve he becomes an administrator, so that there is one.
func (s *Service) AddAgency(ctx context.Context, actor string, a store.Agency) (*store.Agency, error) {
	const op = "agency.add"
	defer s.alter()()
	d := s.dir.Load()
	if actor != Node && !d.administers(actor) {
		return nil, record.Errorf(record.Denied, op, "only an administrator may add an agency")
	}
	access, ops, err := s.agencyToAdd(ctx, d, &a)
	if err != nil {
		return nil, err
	}
	if err := d.mayJoin(op, actor, nil, a.Communities); err != nil {
		return nil, err
	}
	if p := d.People[actor]; p != nil && a.Local {
		own := *p
		own.Grants = append(slices.Clone(p.Grants), store.Grant{Agency: a.ID, Desk: "*", Role: desk.Administrator})
		slices.SortFunc(own.Grants, compareGrants)
		grant, err := changes(p, own)
		if err != nil {
			return nil, err
		}
		access.Person, access.Changes = p.ID, append(access.Changes, grant...)
		ops = append(ops, store.PutPerson{Person: own})
	}
	if err := s.commit(ctx, actor, access, ops...); err != nil {
		return nil, err
	}
	return s.dir.Load().Agencies[a.ID], nil
}

// agencyToAdd checks a new agency and says what adding it takes.
func (s *Service) agencyToAdd(ctx context.Context, d *Directory, a *store.Agency) (Access, []store.Op, error) {
	const op = "agency.add"
	if err := checkAgency(a).Err(op); err != nil {
		return Access{}, nil, err
	}
	if d.Agencies[a.ID] != nil {
		return Access{}, nil, record.Errorf(record.Conflict, op, "there is already an agency %s", a.ID)
	}
	a.Created = s.now().UTC()
	if err := s.key(ctx, a); err != nil {
		return Access{}, nil, err
	}
	ch, err := changes(struct{}{}, a)
	return Access{What: "agency added", Agency: a.ID, Changes: ch}, []store.Op{store.PutAgency{Agency: *a}}, err
}

// key sees to the signing key of an agency that this node serves.
func (s *Service) key(ctx context.Context, a *store.Agency) (err error) {
	if a.Local && len(a.PublicKey) == 0 && s.cfg.Key != nil {
		a.PublicKey, err = s.cfg.Key(ctx, a.ID)
	}
	return err
}

// AgencyChange is what to change of an agency; nil leaves a thing as it is.
type AgencyChange struct {
	Name        *string            `json:"name,omitempty"`
	Country     *string            `json:"country,omitempty"`
	Communities *[]string          `json:"communities,omitempty"`
	Contact     *string            `json:"contact,omitempty"`
	Local       *bool              `json:"local,omitempty"`
	PublicKey   *ed25519.PublicKey `json:"key,omitempty"`
}

// UpdateAgency changes an agency. One that this node serves is changed by an administrator of its own, a foreign one by
// any.
func (s *Service) UpdateAgency(ctx context.Context, actor, id string, c AgencyChange) (*store.Agency, error) {
	const op = "agency.update"
	defer s.alter()()
	d := s.dir.Load()
	old := d.Agencies[id]
	if old == nil {
		return nil, notFound(op, "agency")
	}
	if old.Local || !d.administers(actor) {
		if err := d.mayAdminister(op, actor, id); err != nil {
			return nil, err
		}
	}
	a := *old
	set(&a.Name, c.Name)
	set(&a.Country, c.Country)
	set(&a.Communities, c.Communities)
	set(&a.Contact, c.Contact)
	set(&a.Local, c.Local)
	set(&a.PublicKey, c.PublicKey)
	if a.Node != "" { // it gets nothing that is older than its membership
		a.Joined = maps.Clone(a.Joined)
		for _, m := range a.Communities {
			if !slices.Contains(old.Communities, m) {
				if a.Joined == nil {
					a.Joined = map[string]time.Time{}
				}
				a.Joined[m] = s.now().UTC().Truncate(time.Microsecond)
			}
		}
	}
	if err := checkAgency(&a).Err(op); err != nil {
		return nil, err
	}
	if err := d.mayJoin(op, actor, old.Communities, a.Communities); err != nil {
		return nil, err
	}
	if old.Local && !a.Local {
		return nil, record.Errorf(record.Stale, op, "this node serves %s and cannot stop while it keeps its records", id)
	}
	if err := s.key(ctx, &a); err != nil {
		return nil, err
	}
	ch, err := changes(old, a)
	if err != nil || len(ch) == 0 {
		return old, err
	}
	if err := s.commit(ctx, actor, Access{What: "agency changed", Agency: id, Changes: ch}, store.PutAgency{Agency: a}); err != nil {
		return nil, err
	}
	return s.dir.Load().Agencies[id], nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
