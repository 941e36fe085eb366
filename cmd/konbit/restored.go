package main

import (
	"context"
	"fmt"
	"os"
	"os/user"

	"konbit/node"
)

type restoredCmd struct{ dataFlag }

// Run accepts what is in the database. It is for who has put it there.
func (c *restoredCmd) Run(ctx context.Context) error {
	u, err := c.unlock()
	if err != nil {
		return err
	}
	loss, err := node.Restored(ctx, node.Config{Data: c.Data, Store: c.Store, Unlock: u, Log: logger(false)}, whoami())
	if err != nil {
		return err
	}
	if loss == nil {
		fmt.Println("accepted; nothing is missing of what was seen from this data folder")
	} else {
		fmt.Printf("accepted: %s\n", loss)
	}
	fmt.Println("It is in the ledger. Other nodes compare what they hold with this one when it runs again. Run konbit verify, then start the node.")
	return nil
}

// whoami is who runs the command, also behind sudo; "" when the machine does not say.
func whoami() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
