package node

import (
	"crypto/ed25519"
	"slices"
	"time"

	"konbit/account"
)

// directory answers what intake, query and the exchange ask about agencies and
// people, as they are today.
type directory struct {
	*account.Service
	name string // of this node
}

// Communities returns the communities of an agency.
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

// Local reports whether this node serves an agency.
func (d *directory) Local(agency string) bool {
	a := d.Directory().Agencies[agency]
	return a != nil && a.Local
}

// NodeOf returns the name of the node that serves an agency, "" when it is not known.
func (d *directory) NodeOf(agency string) string {
	switch a := d.Directory().Agencies[agency]; {
	case a == nil:
		return ""
	case a.Local:
		return d.name
	default:
		return a.Node
	}
}

// Joined returns since when an agency is in a community; zero: always.
func (d *directory) Joined(agency, community string) time.Time {
	if a := d.Directory().Agencies[agency]; a != nil {
		return a.Joined[community]
	}
	return time.Time{}
}

// Key returns the public key with which an agency signed what it recorded at a time.
func (d *directory) Key(agency, keyID string, at time.Time) ed25519.PublicKey {
	if a := d.Directory().Agencies[agency]; a != nil {
		return a.KeyAt(keyID, at)
	}
	return nil
}
