// Package policy says who may see and do what. It is pure functions over a
// reader, a kind and a marking: no clock, no store, no exceptions elsewhere.
// Package query compiles the same rule into SQL; a property test holds the two
// against each other.
package policy

import (
	"slices"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Reader is a person who acts for one agency, with what he holds there today.
type Reader struct {
	Person      string                 // "ht.cc/ana"; "" for the public
	Agency      string                 // the agency that he acts for
	Communities []string               // that agency's, as they are today
	Roles       map[string][]desk.Role // by desk; "*" counts for every desk
	Clearances  []string               // handling caveats that he is cleared for
	Purpose     string                 // why he looks, in his words; "" if not said
	Scopes      []string               // of an API token; nil for a session: no limit
	Epoch       uint64                 // grows when the directory changes
}

// Verdict is the answer to "may he see it?".
type Verdict int

// The verdicts. NeedsPurpose means: yes, once he says why.
const (
	Hidden Verdict = iota
	NeedsPurpose
	Visible
)

// Scope reports whether the reader's token, if he came with one, has the scope:
// "read", "write", "admin" or "audit".
func (r *Reader) Scope(scope string) bool { return r.Scopes == nil || slices.Contains(r.Scopes, scope) }

// Holds reports whether the reader holds a role that covers need on a desk.
func (r *Reader) Holds(deskName string, need desk.Role) bool {
	for _, d := range [...]string{deskName, "*"} {
		for _, role := range r.Roles[d] {
			if role.Covers(need) {
				return true
			}
		}
	}
	return false
}

// HoldsAnywhere reports whether the reader holds the role on any desk.
func (r *Reader) HoldsAnywhere(need desk.Role) bool {
	for d := range r.Roles {
		if r.Holds(d, need) {
			return true
		}
	}
	return false
}

// CanRead reports whether the reader's role grants the kind at all.
func (r *Reader) CanRead(k *desk.Kind) bool {
	return k != nil && r.Person != "" && r.Scope("read") && r.Holds(k.Desk, desk.Viewer)
}

// May reports whether the reader may give the command on a record of his own
// agency: nil, or an error with code Denied that says what is missing.
func (r *Reader) May(k *desk.Kind, command string) error {
	op := k.Name + "." + command
	switch need := k.Allow[command]; {
	case r.Person == "":
		return record.Errorf(record.Unsigned, op, "sign in first")
	case !r.Scope("write"):
		return record.Errorf(record.Denied, op, "this token may not write")
	case need == "":
		return record.Errorf(record.NotFound, op, "there is no such command")
	case !r.Holds(k.Desk, need):
		e := record.Errorf(record.Denied, op, "your role does not allow this")
		e.Hint = "it needs the role " + string(need) + " on the desk " + k.Desk + " for " + r.Agency
		return e
	}
	return nil
}

// Sees is the one rule (ARCHITECTURE, "Who may see a record"). owner is the
// record's agency and ownerCommunities are its communities as they are today.
func (r *Reader) Sees(k *desk.Kind, owner string, ownerCommunities []string, m *record.Marking, now time.Time) Verdict {
	if !r.CanRead(k) || !r.Audience(owner, ownerCommunities, m) {
		return Hidden
	}
	if owner != r.Agency && m.Expires != nil && !now.Before(*m.Expires) {
		return Hidden
	}
	for _, c := range m.Caveats {
		if !slices.Contains(r.Clearances, c) {
			return Hidden
		}
	}
	if k.Purpose && len(m.Caveats) > 0 && r.Purpose == "" {
		return NeedsPurpose
	}
	return Visible
}

// Audience reports whether the marking's audience holds the reader, leaving
// aside role, expiry, clearance and purpose.
func (r *Reader) Audience(owner string, ownerCommunities []string, m *record.Marking) bool {
	if m.TLP == record.Red {
		return slices.Contains(m.Persons, r.Person)
	}
	return owner == r.Agency || Released(r.Agency, r.Communities, ownerCommunities, m)
}

// Released reports whether the marking releases a record to another agency. RED
// is released to no agency, only to the persons that it names.
func Released(agency string, communities, ownerCommunities []string, m *record.Marking) bool {
	if m.TLP == record.Red {
		return false
	}
	if len(m.To) == 0 {
		switch m.TLP {
		case record.Clear:
			return true
		case record.Green:
			return meets(communities, ownerCommunities)
		}
		return false
	}
	return slices.Contains(m.To, agency) || meets(m.To, communities)
}

func meets(a, b []string) bool {
	for _, s := range a {
		if slices.Contains(b, s) {
			return true
		}
	}
	return false
}
