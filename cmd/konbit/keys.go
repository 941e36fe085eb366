package main

import (
	"context"
	"fmt"

	"konbit/node"
	"konbit/record"
)

type keysCmd struct {
	Show   keysShowCmd   `cmd:"" help:"Say what opens the key files." default:"withargs"`
	Lock   keysLockCmd   `cmd:"" help:"Lock the key files of a stopped node, or change what opens them."`
	Unlock keysUnlockCmd `cmd:"" help:"Leave the key files of a stopped node plain."`
}

type keysShowCmd struct{ dataFlag }

func (c *keysShowCmd) Run() error {
	by, err := node.KeysLocked(c.Data)
	if err != nil {
		return err
	}
	switch by {
	case "":
		fmt.Println("the key files are plain: whoever has the folder has the keys")
	case "identity":
		fmt.Println("the key files are locked; a key file opens them")
	default:
		fmt.Println("the key files are locked; a passphrase opens them")
	}
	return nil
}

type keysLockCmd struct {
	dataFlag
	Passphrase string `name:"new-passphrase-file" help:"Lock with the passphrase in this file." type:"existingfile" placeholder:"FILE"`
	Identity   string `name:"new-identity" help:"Lock with this age identity file, as age-keygen makes it; keep it elsewhere." type:"existingfile" placeholder:"FILE"`
}

func (c *keysLockCmd) Run(ctx context.Context) error {
	if (c.Passphrase == "") == (c.Identity == "") {
		return record.Errorf(record.Invalid, "keys lock", "say with what: --new-passphrase-file FILE or --new-identity FILE")
	}
	have, err := c.unlock()
	if err != nil {
		return err
	}
	want := node.Unlock{Identity: c.Identity}
	if want.Passphrase, err = secret(c.Passphrase); err != nil {
		return err
	}
	if err := node.LockKeys(ctx, c.Data, c.Store, have, want); err != nil {
		return err
	}
	fmt.Println("locked; without what opens them the node does not start, and nobody can help")
	return nil
}

type keysUnlockCmd struct{ dataFlag }

func (c *keysUnlockCmd) Run(ctx context.Context) error {
	have, err := c.unlock()
	if err != nil {
		return err
	}
	if err := node.LockKeys(ctx, c.Data, c.Store, have, node.Unlock{}); err != nil {
		return err
	}
	fmt.Println("the key files are plain now")
	return nil
}
