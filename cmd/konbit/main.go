// Command konbit is a node: the one binary that an agency runs, and the tools
// that go with it. It reads flags, environment and one file, and hands over to
// package node; it must hold no rule of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // imports name zones, and a small machine may have no database of them

	"github.com/alecthomas/kong"

	"konbit/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k := parse(os.Args[1:])
	k.BindTo(ctx, (*context.Context)(nil))
	err := k.Run()
	if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return
	}
	stop()
	fmt.Fprintln(os.Stderr, "konbit: "+err.Error())
	var e *record.Error
	if errors.As(err, &e) && e.Hint != "" {
		fmt.Fprintln(os.Stderr, "        "+e.Hint)
	}
	os.Exit(1)
}

// parse reads flags, KONBIT_* and the file given with --config, in that order
// of precedence. It ends the program on a wrong command line.
func parse(args []string) *kong.Context {
	p := kong.Must(&cli{}, kong.Name("konbit"), kong.UsageOnError(), kong.DefaultEnvars("KONBIT"),
		kong.Description("Konbit: one node of a region's shared picture. Flags, environment (KONBIT_*) and a file (--config) mean the same."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Configuration(configFile))
	k, err := p.Parse(args)
	p.FatalIfErrorf(err)
	return k
}
