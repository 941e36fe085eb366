package trust

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"konbit/record"
)

// SignedDirectory is a directory that was read, with the bytes that it came in,
// and its members' cards.
type SignedDirectory struct {
	Directory
	Bytes []byte
	Cards []*SignedCard // as Members
}

// SignDirectory signs a directory with its region's founding key.
func SignDirectory(d *Directory, key ed25519.PrivateKey) ([]byte, error) {
	if err := d.sort(); err != nil {
		return nil, err
	}
	if _, f := d.check(); len(f) > 0 {
		return nil, f.Err("directory")
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	b, err = seal(DirectoryType, b, key)
	if err == nil && len(b) > MaxDirectory {
		err = record.Errorf(record.TooLarge, "directory", "the directory of %s would have %d bytes, and may have %d", d.Region, len(b), MaxDirectory)
	}
	return b, err
}

// sort puts the members into the order of their names.
func (d *Directory) sort() error {
	type named struct {
		node string
		Member
	}
	all := make([]named, len(d.Members))
	for i, m := range d.Members {
		c, err := ParseCard(m.Card)
		if err != nil {
			return err
		}
		all[i] = named{c.Node, m}
	}
	slices.SortFunc(all, func(a, b named) int { return strings.Compare(a.node, b.node) })
	d.Members = make([]Member, len(all))
	for i, m := range all {
		d.Members[i] = m.Member
	}
	return nil
}

// ParseDirectory reads a directory and checks that it says what a directory may
// say, and that the key that it names signed it. Whether that key is the region's
// is another question: see Service.TakeDirectory.
func ParseDirectory(b []byte) (*SignedDirectory, error) {
	const op = "directory"
	e, err := unseal(op, DirectoryType, b, MaxDirectory)
	if err != nil {
		return nil, err
	}
	d := &SignedDirectory{Bytes: slices.Clone(b)}
	if err := json.Unmarshal(e.payload, &d.Directory); err != nil {
		return nil, &record.Error{Code: record.Invalid, Op: op, Message: "this is no directory", Err: err}
	}
	if len(d.Key) != ed25519.PublicKeySize || !e.by(d.Key) {
		return nil, record.Errorf(record.Denied, op, "the directory is not signed with the key that it names")
	}
	var f record.Fields
	if d.Cards, f = d.check(); len(f) > 0 {
		return nil, f.Err(op)
	}
	return d, nil
}

// check says what is wrong with a directory, and returns the cards in it.
func (d *Directory) check() (cards []*SignedCard, f record.Fields) {
	if !RegionName(d.Region) {
		f.Add("region", "invalid", "must be a name in lower case letters, digits and hyphens: hispaniola")
	}
	checkKey(&f, "key", d.Key)
	if d.Serial <= 0 {
		f.Add("serial", "min", "must be above 0")
	}
	if len(d.Members) > maxMembers {
		f.Add("members", "max", fmt.Sprintf("at most %d members", maxMembers))
		return nil, f
	}
	nodes, shorts, serves := map[string]bool{}, map[string]bool{}, map[string]string{}
	for i := range d.Members {
		m, at := &d.Members[i], record.Index("members", i)
		c, err := ParseCard(m.Card)
		if err != nil {
			f.Add(at+".card", "invalid", err.Error())
			continue
		}
		if i > 0 && len(cards) > 0 && cards[len(cards)-1].Node > c.Node {
			f.Add(at, "order", "members must be in the order of their names")
		}
		cards = append(cards, c)
		if nodes[c.Node] || shorts[Short(c.Node)] {
			f.Add(at, "repeated", "is named twice")
		}
		nodes[c.Node], shorts[Short(c.Node)] = true, true
		m.check(&f, at, c, serves)
	}
	if d.Hub != "" && !nodes[d.Hub] {
		f.Add("hub", "unknown", "is no member")
	}
	return cards, f
}

// check says what is wrong with a member. serves collects who serves an agency.
func (m *Member) check(f *record.Fields, at string, c *SignedCard, serves map[string]string) {
	words(f, at+".why", m.Why, 0, 500)
	if m.Revoked == nil {
		for _, a := range c.Agencies {
			if other, ok := serves[a.ID]; ok {
				f.Add(at, "repeated", fmt.Sprintf("%s and %s both serve %s", other, c.Node, a.ID))
			}
			serves[a.ID] = c.Node
		}
	}
	for agency, in := range m.Communities {
		if !slices.ContainsFunc(c.Agencies, func(a Agency) bool { return a.ID == agency }) {
			f.Add(at+".communities", "unknown", fmt.Sprintf("%.80q is no agency of %s", agency, c.Node))
		}
		if len(in) > maxIn {
			f.Add(at+".communities", "max", fmt.Sprintf("%.80q is in more than %d communities", agency, maxIn))
		}
		for name := range in {
			if !record.CommunityID(name) {
				f.Add(at+".communities", "invalid", fmt.Sprintf("%.80q must be @ and a name in lower case: @hispaniola", name))
			}
		}
	}
}
