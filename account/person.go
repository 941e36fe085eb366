package account

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// AddPerson adds a person with grants and clearances. With a password he can sign in at once; without, link is a code
// for UsePasswordLink, good for a day, to be handed to him.
//
// The actor must be an administrator of the person's agency and of every agency in which the person is granted a role.
func (s *Service) AddPerson(ctx context.Context, actor string, p store.Person, password string) (link string, err error) {
	const op = "person.add"
	var hash string
	if password != "" {
		if hash, err = s.newPassword(ctx, op, "password", password, p.ID, p.Name); err != nil {
			return "", err
		}
	}
	defer s.alter()()
	d := s.dir.Load()
	p.Created = s.now().UTC()
	access, ops, err := d.personToAdd(actor, &p)
	if err != nil {
		return "", err
	}
	if hash != "" {
		ops = append(ops, store.PutPassword{Person: p.ID, Hash: hash})
		access.Method = "password"
	} else {
		var k store.Code
		link, k = s.newCode(codePassword, p.ID, linkLife)
		ops = append(ops, store.PutCode{Code: k})
		access.Method, access.Expires = "link", k.Expires
	}
	if err := s.commit(ctx, actor, access, ops...); err != nil {
		return "", err
	}
	return link, nil
}

// personToAdd checks a new person and says what adding him takes.
func (d *Directory) personToAdd(actor string, p *store.Person) (Access, []store.Op, error) {
	const op = "person.add"
	if err := d.checkPerson(p).Err(op); err != nil {
		return Access{}, nil, err
	}
	if err := d.mayGrant(op, actor, p.ID, nil, p.Grants); err != nil {
		return Access{}, nil, err
	}
	if d.People[p.ID] != nil {
		return Access{}, nil, record.Errorf(record.Conflict, op, "there is already a person %s", p.ID)
	}
	ch, err := changes(struct{}{}, p)
	return Access{What: "person added", Person: p.ID, Changes: ch}, []store.Op{store.PutPerson{Person: *p}}, err
}

// mayGrant says nil when the actor administers the person's agency, or changes nothing but grants in agencies that he
// administers.
func (d *Directory) mayGrant(op, actor, person string, from, to []store.Grant) error {
	touched := map[string]bool{}
	for _, g := range from {
		if !slices.Contains(to, g) {
			touched[g.Agency] = true
		}
	}
	for _, g := range to {
		if !slices.Contains(from, g) {
			touched[g.Agency] = true
		}
	}
	if from == nil {
		touched[agencyOf(person)] = true
	}
	for _, agency := range slices.Sorted(maps.Keys(touched)) {
		if err := d.mayAdminister(op, actor, agency); err != nil {
			return err
		}
	}
	return nil
}

// PersonChange is what to change of a person; nil leaves a thing as it is.
type PersonChange struct {
	Name       *string        `json:"name,omitempty"`
	Email      *string        `json:"email,omitempty"`
	Lang       *string        `json:"lang,omitempty"`
	Disabled   *bool          `json:"disabled,omitempty"`
	Grants     *[]store.Grant `json:"grants,omitempty"`
	Clearances *[]string      `json:"clearances,omitempty"`
}

// UpdatePerson changes a person. Grants are for the administrators of the agencies in which they hold; everything else
// for those of the person's own agency. A person who is disabled is signed out everywhere and his links end.
func (s *Service) UpdatePerson(ctx context.Context, actor, id string, c PersonChange) (*store.Person, error) {
	const op = "person.update"
	defer s.alter()()
	d := s.dir.Load()
	old := d.People[id]
	if old == nil {
		return nil, notFound(op, "person")
	}
	p := *old
	set(&p.Name, c.Name)
	set(&p.Email, c.Email)
	set(&p.Lang, c.Lang)
	set(&p.Disabled, c.Disabled)
	set(&p.Grants, c.Grants)
	set(&p.Clearances, c.Clearances)
	if err := d.checkPerson(&p).Err(op); err != nil {
		return nil, err
	}
	if err := d.mayChange(op, actor, old, &p); err != nil {
		return nil, err
	}
	ch, err := changes(old, p)
	if err != nil || len(ch) == 0 {
		return old, err
	}
	ops := []store.Op{store.PutPerson{Person: p}}
	if err := d.keepsAdministrator(op, old, ops); err != nil {
		return nil, err
	}
	what := "person changed"
	switch {
	case p.Disabled && !old.Disabled:
		what = "person disabled"
		ops = append(ops, store.DropSessions{Person: id}, store.DropCodes{Person: id})
	case !p.Disabled && old.Disabled:
		what = "person enabled"
	}
	if err := s.commit(ctx, actor, Access{What: what, Person: id, Changes: ch}, ops...); err != nil {
		return nil, err
	}
	return s.dir.Load().People[id], nil
}

func (d *Directory) mayChange(op, actor string, old, p *store.Person) error {
	if old.Name != p.Name || old.Email != p.Email || old.Lang != p.Lang || old.Disabled != p.Disabled || !slices.Equal(old.Clearances, p.Clearances) {
		if err := d.mayAdminister(op, actor, agencyOf(p.ID)); err != nil {
			return err
		}
	}
	if actor != Node && !d.administers(actor) {
		return d.mayAdminister(op, actor, agencyOf(p.ID))
	}
	return d.mayGrant(op, actor, p.ID, append([]store.Grant{}, old.Grants...), p.Grants)
}

// keepsAdministrator refuses a change after which an agency would have nobody who can give rights in it.
func (d *Directory) keepsAdministrator(op string, old *store.Person, ops []store.Op) error {
	next := d.with(ops)
	for _, g := range old.Grants {
		if g.Role == desk.Administrator && d.Holds(old.ID, g.Agency, g.Role) && !next.administered(g.Agency) {
			return record.Errorf(record.Stale, op, "%s is the last administrator of %s; name another one first", old.ID, g.Agency)
		}
	}
	return nil
}

// administered reports whether an agency has an administrator.
func (d *Directory) administered(agency string) bool {
	for id := range d.People {
		if d.Holds(id, agency, desk.Administrator) {
			return true
		}
	}
	return false
}

// Preferences returns a person's language and theme, as any process of the node has set them last.
func (s *Service) Preferences(ctx context.Context, person string) (lang, theme string, err error) {
	if s.cfg.Shared {
		return s.store.Preferences(ctx, person)
	}
	p := s.dir.Load().People[person]
	if p == nil {
		return "", "", notFound("person.preferences", "person")
	}
	return p.Lang, p.Theme, nil
}

// SetPreferences sets language and theme; an empty one stays. This is the person's own choice and no matter for the
// ledger.
func (s *Service) SetPreferences(ctx context.Context, person, lang, theme string) error {
	const op = "person.preferences"
	defer s.alter()()
	d := s.dir.Load()
	old := d.People[person]
	if old == nil {
		return notFound(op, "person")
	}
	p := *old
	var err error
	if p.Lang, p.Theme, err = s.Preferences(ctx, person); err != nil {
		return err
	}
	p.Lang, p.Theme = cmp.Or(lang, p.Lang), cmp.Or(theme, p.Theme)
	var f record.Fields
	checkPreferences(&f, p.Lang, p.Theme)
	if err := f.Err(op); err != nil {
		return err
	}
	if err := s.store.SetPreferences(ctx, person, p.Lang, p.Theme); err != nil {
		return err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	next := *s.dir.Load() // the epoch stays: no right has changed
	next.People = maps.Clone(next.People)
	next.People[person] = &p
	s.dir.Store(&next)
	return nil
}

// PersonInfo is a person as an administrator sees him.
type PersonInfo struct {
	store.Person
	LastSeen time.Time `json:"lastSeen,omitzero"`
	Passkeys int       `json:"passkeys"`
	Password bool      `json:"password"` // whether he has one
}

// People lists the people whom the actor may administer: those of his agencies and those who hold a role in one of
// them. Ordered by identifier.
func (s *Service) People(ctx context.Context, actor string) ([]PersonInfo, error) {
	d := s.dir.Load()
	if actor != Node && !d.administers(actor) {
		return nil, record.Errorf(record.Denied, "person.list", "only an administrator may list people")
	}
	states, err := s.store.PersonStates(ctx)
	if err != nil {
		return nil, err
	}
	mine := func(agency string) bool { return actor == Node || d.Holds(actor, agency, desk.Administrator) }
	out := []PersonInfo{}
	for _, id := range slices.Sorted(maps.Keys(d.People)) {
		p := d.People[id]
		if mine(agencyOf(id)) || slices.ContainsFunc(p.Grants, func(g store.Grant) bool { return mine(g.Agency) }) {
			st := states[id]
			out = append(out, PersonInfo{Person: *p, LastSeen: st.LastSeen, Passkeys: st.Passkeys, Password: st.Password})
		}
	}
	return out, nil
}
