package nodetest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/policy"
	"konbit/record"
)

// To is a marking that releases to these agencies and communities; to none: it
// stays with its owner.
func To(names ...string) record.Marking { return record.Marking{TLP: record.Amber, To: names} }

// Operator is somebody who may do everything for an agency.
func (n *Node) Operator(agency string) *policy.Reader {
	var communities []string
	if a := n.Accounts.Directory().Agencies[agency]; a != nil {
		communities = a.Communities
	}
	return &policy.Reader{Person: agency + "/op", Agency: agency, Communities: communities, Clearances: record.Caveats, Purpose: "a test",
		Roles: map[string][]desk.Role{"*": {desk.Supervisor}}}
}

// Create makes a record of the node's first agency.
func (n *Node) Create(title string, m record.Marking) *record.Record {
	n.r.t.Helper()
	return n.create(title, false, m)
}

// Alert makes one that its desk calls urgent.
func (n *Node) Alert(title string, m record.Marking) *record.Record {
	n.r.t.Helper()
	return n.create(title, true, m)
}

func (n *Node) create(title string, urgent bool, m record.Marking, files ...record.Attachment) *record.Record {
	n.r.t.Helper()
	d := &intake.Draft{Observed: n.Now().Add(-time.Minute).UTC().Truncate(time.Second), Marking: m, Body: marshal(n.r.sample.Body(title, urgent)), Attachments: files}
	return n.do(n.Agencies[0], &intake.Command{Name: desk.Create, Record: record.NewID(n.Now()), Draft: d})
}

// Bulk makes many records at once.
func (n *Node) Bulk(count int, title string, m record.Marking) {
	n.r.t.Helper()
	cmds := make([]*intake.Command, count)
	for i := range cmds {
		d := &intake.Draft{Observed: n.Now().Add(-time.Minute).UTC().Truncate(time.Second), Marking: m.Clone(), Body: marshal(n.r.sample.Body(fmt.Sprint(title, " ", i), false))}
		cmds[i] = &intake.Command{Kind: n.r.sample.Kind, Name: desk.Create, Record: record.NewID(n.Now()), By: n.Operator(n.Agencies[0]), Draft: d}
	}
	_, errs := n.Intake.DoAll(n.r.t.Context(), cmds)
	n.r.must(errors.Join(errs...))
}

// Edit gives a record another title, and leaves its marking.
func (n *Node) Edit(r *record.Record, title string) *record.Record {
	n.r.t.Helper()
	d := &intake.Draft{Observed: r.Observed, Body: marshal(n.r.sample.Body(title, false)), Attachments: r.Attachments}
	return n.do(r.Owner, &intake.Command{Name: desk.Edit, Record: r.ID, Draft: d})
}

// Mark changes who may see a record.
func (n *Node) Mark(r *record.Record, m record.Marking) *record.Record {
	n.r.t.Helper()
	return n.do(r.Owner, &intake.Command{Name: desk.Mark, Record: r.ID, Marking: &m})
}

// Erase removes the content of a record.
func (n *Node) Erase(r *record.Record) {
	n.r.t.Helper()
	n.do(r.Owner, &intake.Command{Name: desk.Erase, Record: r.ID, Note: "a court said so"})
}

func (n *Node) do(agency string, c *intake.Command) *record.Record {
	n.r.t.Helper()
	got, err := n.Give(agency, c)
	if err != nil {
		n.r.t.Fatalf("%s: %s: %v", n.Name, c.Name, err)
	}
	return got
}

// Give gives a command about a record of the sample's kind.
func (n *Node) Give(agency string, c *intake.Command) (*record.Record, error) {
	c.Kind, c.By = n.r.sample.Kind, n.Operator(agency)
	got, err := n.Intake.Do(n.r.t.Context(), c)
	return got.Record, err
}

// Attach makes a record that holds a file.
func (n *Node) Attach(title, name string, content []byte, m record.Marking) *record.Record {
	n.r.t.Helper()
	by := n.Operator(n.Agencies[0])
	info, err := n.Blobs.Put(n.r.t.Context(), by.Person, name, bytes.NewReader(content))
	n.r.must(err)
	return n.create(title, false, m, record.Attachment{Name: info.Name, Type: info.Type, Size: info.Size, Hash: info.Hash})
}

// Stick is what is carried by hand.
type Stick []byte

// Export writes what waits for another node.
func (n *Node) Export(to *Node) (Stick, error) {
	var b bytes.Buffer
	_, _, err := n.Exchange().Export(n.r.t.Context(), to.Keys.Origin, &b)
	return b.Bytes(), err
}

// Import takes a stick, and says what it has refused.
func (n *Node) Import(s Stick) error {
	told, err := n.Exchange().Import(n.r.t.Context(), bytes.NewReader(s), nil)
	if err == nil && len(told.Problems) > 0 {
		err = fmt.Errorf("%s", told.Problems)
	}
	return err
}

// Carry takes a stick from one node to another.
func (r *Region) Carry(from, to *Node) {
	r.t.Helper()
	s, err := from.Export(to)
	r.must(err)
	r.must(to.Import(s))
}
