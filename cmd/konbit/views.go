package main

import (
	"context"
	"fmt"
	"strings"

	"konbit/node"
)

type viewsCmd struct {
	Agency string   `arg:"" help:"Agency of this node whose records are shown: ht.cc."`
	Role   []string `help:"Role of the database that may read them from now on." placeholder:"ROLE"`
	Drop   bool     `help:"Take the views away from everybody."`
	dataFlag
}

// Run makes the views anew, also after an upgrade that changed what a kind holds.
func (c *viewsCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		if c.Drop {
			return n.DropViews(ctx, c.Agency)
		}
		schema, roles, err := n.ShareViews(ctx, c.Agency, c.Role)
		if err != nil {
			return err
		}
		fmt.Printf("one view per kind in the schema %s\n", schema)
		if len(roles) > 0 {
			fmt.Printf("read by: %s\n", strings.Join(roles, ", "))
		}
		fmt.Println("They show what the agency itself recorded and every colleague may see. Who reads there is not in konbit's ledger: use the database's own log.")
		return nil
	})
}
