package account

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Directory is who there is, at one moment. It is never changed after it was published, and a holder MUST NOT change
// anything that it points to.
type Directory struct {
	Epoch       uint64                   // grows with each change of agencies, people or rights
	Agencies    map[string]*store.Agency // by identifier
	Communities map[string][]string      // community -> its agencies, sorted
	People      map[string]*store.Person // by identifier

	roles map[string]map[string]map[string][]desk.Role // person -> agency -> desk -> roles
}

// Directory returns the newest directory.
func (s *Service) Directory() *Directory { return s.dir.Load() }

// Serves returns how many agencies this node serves.
func (d *Directory) Serves() (n int) {
	for _, a := range d.Agencies {
		if a.Local {
			n++
		}
	}
	return n
}

func newDirectory(epoch uint64, agencies []store.Agency, people []store.Person) *Directory {
	d := &Directory{Epoch: epoch, Agencies: map[string]*store.Agency{}, People: map[string]*store.Person{},
		roles: map[string]map[string]map[string][]desk.Role{}}
	for i := range agencies {
		d.Agencies[agencies[i].ID] = &agencies[i]
	}
	for i := range people {
		d.People[people[i].ID] = &people[i]
		d.roles[people[i].ID] = rolesOf(&people[i])
	}
	d.join()
	return d
}

// with returns a directory that shows the changes, nil when they change none of it.
func (d *Directory) with(ops []store.Op) *Directory {
	next, agencies, people := *d, false, false
	for _, op := range ops {
		switch op := op.(type) {
		case store.PutAgency:
			if !agencies {
				next.Agencies, agencies = maps.Clone(d.Agencies), true
			}
			next.Agencies[op.Agency.ID] = &op.Agency
		case store.PutPerson:
			if !people {
				next.People, next.roles, people = maps.Clone(d.People), maps.Clone(d.roles), true
			}
			next.People[op.Person.ID] = &op.Person
			next.roles[op.Person.ID] = rolesOf(&op.Person)
		}
	}
	if !agencies && !people {
		return nil
	}
	if agencies {
		next.join()
	}
	next.Epoch++
	return &next
}

func (d *Directory) join() {
	d.Communities = map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(d.Agencies)) {
		for _, c := range d.Agencies[id].Communities {
			d.Communities[c] = append(d.Communities[c], id)
		}
	}
}

func rolesOf(p *store.Person) map[string]map[string][]desk.Role {
	m := map[string]map[string][]desk.Role{}
	for _, g := range p.Grants {
		if m[g.Agency] == nil {
			m[g.Agency] = map[string][]desk.Role{}
		}
		m[g.Agency][g.Desk] = append(m[g.Agency][g.Desk], g.Role)
	}
	return m
}

func (d *Directory) local(agency string) bool {
	a := d.Agencies[agency]
	return a != nil && a.Local
}

// Hats returns the agencies for which a person may act here: his own first, then by identifier. A person without any
// grant has his own alone, and no rights in it.
func (d *Directory) Hats(person string) []*store.Agency {
	own := agencyOf(person)
	var ids []string
	for id := range d.roles[person] {
		if id != own && d.local(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if d.local(own) && (len(d.roles[person][own]) > 0 || len(ids) == 0) {
		ids = slices.Insert(ids, 0, own)
	}
	out := make([]*store.Agency, len(ids))
	for i, id := range ids {
		out[i] = d.Agencies[id]
	}
	return out
}

// wears reports whether a person may act for an agency.
func (d *Directory) wears(person, agency string) bool {
	if !d.local(agency) {
		return false
	}
	roles := d.roles[person]
	return len(roles[agency]) > 0 || agency == agencyOf(person) && len(roles) == 0
}

// hat returns wanted if the person may wear it, else the first that he may.
func (d *Directory) hat(person, wanted string) string {
	if d.wears(person, wanted) {
		return wanted
	}
	if hats := d.Hats(person); len(hats) > 0 {
		return hats[0].ID
	}
	return agencyOf(person)
}

// Holds reports whether a person who is not disabled holds a role in an agency, on any desk.
func (d *Directory) Holds(person, agency string, role desk.Role) bool {
	p := d.People[person]
	if p == nil || p.Disabled || !d.local(agency) {
		return false
	}
	for _, roles := range d.roles[person][agency] {
		if slices.Contains(roles, role) {
			return true
		}
	}
	return false
}

// Resolve returns the identifier that a person means who types a name: "ht.cc/ana", or "ana" where only one agency that
// this node serves has an Ana. It reports whether there is such a person.
func (d *Directory) Resolve(name string) (string, bool) {
	name = strings.ToLower(norm.NFC.String(strings.TrimSpace(name)))
	if strings.Contains(name, "/") {
		return name, d.People[name] != nil
	}
	found := ""
	for id, a := range d.Agencies {
		if a.Local && d.People[id+"/"+name] != nil {
			if found != "" {
				return name, false
			}
			found = id + "/" + name
		}
	}
	if found == "" {
		return name, false
	}
	return found, true
}

// Reader returns what package policy needs to know about a person who acts for an agency; with no agency named, for the
// first of his hats. Scopes is nil for a session. It shares slices with the directory, which MUST NOT be changed.
func (s *Service) Reader(personID, agencyHat string, scopes []string, purpose string) (*policy.Reader, error) {
	d := s.dir.Load()
	p := d.People[personID]
	if p == nil || p.Disabled {
		return nil, record.Errorf(record.Unsigned, "account.reader", "sign in first")
	}
	if agencyHat == "" {
		agencyHat = d.hat(personID, agencyOf(personID))
	}
	if !d.wears(personID, agencyHat) {
		return nil, record.Errorf(record.Denied, "account.reader", "you hold no role in %.80s", agencyHat)
	}
	return &policy.Reader{Person: p.ID, Agency: agencyHat, Communities: d.Agencies[agencyHat].Communities, Roles: d.roles[personID][agencyHat],
		Clearances: p.Clearances, Purpose: purpose, Scopes: scopes, Epoch: d.Epoch}, nil
}

func agencyOf(person string) string {
	agency, _, _ := strings.Cut(person, "/")
	return agency
}
