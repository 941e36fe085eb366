package main

import (
	"context"
	"fmt"
	"os"

	"konbit/bench"
)

type benchCmd struct {
	Out     string `help:"Where to write the figures as JSON." type:"path" placeholder:"FILE"`
	Dir     string `help:"Where to put the temporary data; the disk that is measured." type:"existingdir" placeholder:"DIR"`
	Records int    `help:"Size of the large node." default:"1000000"`
	Only    string `help:"Only one group: intake, http, live, large, small, size, peer, postgres; scale and capacity are measured only so."`
	Scale   int    `help:"Size of the largest node, of the group scale: 41 GB for 10 million." default:"10000000"`

	Postgres string `help:"postgres://user@host/database, on which a node is measured; the bench makes schemas in it and drops them." placeholder:"STORE"`
	Member   bool   `help:"Be one of the processes that give commands." hidden:""`
}

func (c *benchCmd) Run(ctx context.Context) error {
	if c.Member {
		return bench.Member(ctx, os.Stdin, os.Stdout)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	rows, err := bench.Run(ctx, bench.Options{Dir: c.Dir, Binary: self, Records: c.Records, Only: c.Only, Scale: c.Scale, Postgres: c.Postgres, Log: os.Stderr})
	fmt.Println(bench.Machine())
	if err := bench.Print(os.Stdout, rows); err != nil {
		return err
	}
	if c.Out != "" && len(rows) > 0 {
		if err := bench.Save(c.Out, rows); err != nil {
			return err
		}
		fmt.Println("written to " + c.Out)
	}
	return err
}
