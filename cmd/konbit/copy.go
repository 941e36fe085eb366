package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"konbit/desk"
	"konbit/desks"
	"konbit/intake"
	"konbit/record"
	"konbit/store"
	"konbit/store/move"
)

type copyCmd struct {
	From string `help:"Store to copy, of a stopped node: sqlite:PATH or postgres://user@host/database. A password belongs in PGPASSFILE or KONBIT_FROM, not here." env:"KONBIT_FROM" required:"" placeholder:"STORE"`
	To   string `help:"Empty store to fill, or one that the same command began to fill." env:"KONBIT_TO" required:"" placeholder:"STORE"`
}

// Run exits 0 when the copy is whole and proved. Otherwise the target stays closed
// to everything else, and the same command goes on.
func (c *copyCmd) Run(ctx context.Context) error {
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Printf("copying %s to %s\n", storeName(c.From), storeName(c.To))
	var far move.Step
	tell, end := steps()
	p, err := move.Run(ctx, move.Copy{From: c.From, To: c.To, Derive: func(r *record.Record) (*store.Row, error) { return intake.Derive(set, r) }, Progress: func(s move.Step) {
		far = s
		tell(s)
	}})
	end()
	if err != nil && ctx.Err() != nil && far.What == "" {
		return errors.New("stopped before anything was copied")
	}
	if err != nil && ctx.Err() != nil {
		return errors.New("stopped while " + far.String() + "; the same command goes on from there")
	}
	if err != nil {
		return err
	}
	fmt.Println("Proved equal, table by table (rows, first digits of the SHA-256 over all of them):")
	for _, t := range p.Tables {
		if t.Rows > 0 {
			fmt.Printf("  %-18s %10d  %x\n", t.Table, t.Rows, t.Hash[:6])
		}
	}
	sum := p.Hash()
	fmt.Printf("Ledger %s: %d entries, root %s, made anew from the target's leaves, as its checkpoint says.\n", p.Origin, p.Size, p.Root)
	fmt.Printf("%d records derived anew from their newest versions, and found equal. All tables: %x (%.1f s)\n", p.Records, sum[:8], time.Since(began).Seconds())
	fmt.Printf("The data folder, with keys and attachments, stays where it is: serve it with --store %s, and never on both stores.\n", storeName(c.To))
	return nil
}

// storeName names a store for the screen, without a password.
func storeName(spec string) string {
	if strings.HasPrefix(spec, "sqlite:") {
		return spec
	}
	u, err := url.Parse(spec)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "(a store that cannot be read)"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	u.RawQuery = ""
	return u.String()
}

// steps tells how far a copy is and when its step will be done: ten times a second on
// a terminal, until end, elsewhere every ten seconds on a line of its own.
func steps() (tell func(move.Step), end func()) {
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	every, line := 10*time.Second, "%s%s\n"
	if terminal {
		every, line = 100*time.Millisecond, "\r%s%s\x1b[K"
	}
	var what string
	var began, last time.Time
	var from int64
	tell = func(s move.Step) {
		now := time.Now()
		if s.What != what {
			what, began, last, from = s.What, now, time.Time{}, s.Done
		}
		if now.Sub(last) < every {
			return
		}
		last = now
		left := ""
		if done := s.Done - from; done > 0 && s.Done < s.Total {
			left = ", " + time.Duration(float64(now.Sub(began))*float64(s.Total-s.Done)/float64(done)).Round(time.Second).String() + " left"
		}
		fmt.Fprintf(os.Stderr, line, s, left)
	}
	return tell, func() {
		if terminal {
			fmt.Fprint(os.Stderr, "\r\x1b[K")
		}
	}
}
