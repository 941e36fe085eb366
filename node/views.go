package node

import (
	"context"

	"konbit/desk"
	"konbit/record"
	"konbit/store/postgres"
)

// viewed is the content of the ledger entry that tells who may read views.
type viewed struct {
	What   string   `json:"what"` // "views shared", "views taken away"
	Agency string   `json:"agency"`
	Roles  []string `json:"roles,omitempty"` // of the database
}

// ShareViews lets roles of the database read what an agency of this node recorded,
// one view per kind, for GIS and BI tools. Kinds whose records are protected are left
// out. It returns the schema's name and all roles that can read it now.
func (n *Node) ShareViews(ctx context.Context, agency string, roles []string) (schema string, all []string, err error) {
	db, err := n.viewsOf(agency)
	if err != nil {
		return "", nil, err
	}
	var views []postgres.View
	for _, name := range n.Desks.KindNames() {
		if k := n.Desks.Kind(name); len(k.Protect) == 0 {
			views = append(views, postgres.View{Kind: name, Columns: columnsOf(k)})
		}
	}
	// The entry comes first: nobody can read what the ledger does not say he may.
	if _, err := n.Intake.Note(ctx, "access", agency, "node", viewed{"views shared", agency, roles}); err != nil {
		return "", nil, err
	}
	all, err = db.ShareViews(ctx, agency, views, roles)
	return postgres.ViewSchema(agency), all, err
}

// DropViews takes the views of an agency away from everybody.
func (n *Node) DropViews(ctx context.Context, agency string) error {
	db, err := n.viewsOf(agency)
	if err != nil {
		return err
	}
	if err := db.DropViews(ctx, agency); err != nil {
		return err
	}
	_, err = n.Intake.Note(ctx, "access", agency, "node", viewed{"views taken away", agency, nil})
	return err
}

func (n *Node) viewsOf(agency string) (*postgres.DB, error) {
	db, ok := n.Store.(*postgres.DB)
	if !ok {
		e := record.Errorf(record.Invalid, "views", "views are for a node on PostgreSQL")
		e.Hint = "konbit copy moves a node there"
		return nil, e
	}
	if a := n.Accounts.Directory().Agencies[agency]; a == nil || !a.Local {
		return nil, record.Errorf(record.NotFound, "views", "this node serves no agency %.60q", agency)
	}
	return db, nil
}

// columnsOf are the members of a kind's body as columns.
func columnsOf(k *desk.Kind) []postgres.Column {
	types := map[string]string{"text": "text", "pcode": "text", "id": "text", "integer": "integer", "number": "number", "flag": "flag", "time": "time"}
	var out []postgres.Column
	for _, f := range k.Fields() {
		typ := types[f.Type]
		if typ == "" { // a list, rows, an interval
			typ = "json"
		}
		out = append(out, postgres.Column{Name: f.Path, Type: typ})
	}
	return out
}
