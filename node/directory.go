package node

import (
	"crypto/ed25519"
	"slices"

	"konbit/account"
	"konbit/ledger"
)

// directory answers what intake and query ask about agencies and people.
type directory struct{ *account.Service }

// Communities returns the communities of an agency as they are today.
func (d *directory) Communities(agency string) []string {
	if a := d.Directory().Agencies[agency]; a != nil {
		return a.Communities
	}
	return nil
}

// Known reports whether an agency, a community or a person exists.
func (d *directory) Known(name string) bool {
	dir := d.Directory()
	return dir.Agencies[name] != nil || dir.People[name] != nil || len(dir.Communities[name]) > 0
}

// Agencies lists all agencies, sorted.
func (d *directory) Agencies() []string {
	var ids []string
	for id := range d.Directory().Agencies {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Key returns an agency's public signing key.
func (d *directory) Key(agency, keyID string) ed25519.PublicKey {
	if a := d.Directory().Agencies[agency]; a != nil && len(a.PublicKey) > 0 && ledger.KeyID(a.PublicKey) == keyID {
		return a.PublicKey
	}
	return nil
}
