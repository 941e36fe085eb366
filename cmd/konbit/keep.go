package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"konbit/ledger"
	"konbit/node"
)

// meter draws the progress of long work on a terminal.
func meter(what string) func(done, total int64) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return func(int64, int64) {}
	}
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond || done == total {
			last = now
			fmt.Fprintf(os.Stderr, "\r%s %d of %d\x1b[K", what, done, total)
			if done == total {
				fmt.Fprint(os.Stderr, "\r\x1b[K")
			}
		}
	}
}

type verifyCmd struct{ dataFlag }

// Run exits 0 when everything holds, 1 with the first fault named otherwise.
func (c *verifyCmd) Run(ctx context.Context) error {
	n, err := node.OpenReadOnly(ctx, c.Data, c.Store)
	if err != nil {
		return err
	}
	defer n.Close()
	start := time.Now()
	fault, v, err := n.Verify(ctx, meter("verified"))
	if err != nil {
		return err
	}
	if fault != nil {
		return fmt.Errorf("FAULT: %w", fault)
	}
	fmt.Printf("verified: %d ledger entries, %d signatures, %d checkpoints, %d attachments, %d erased (%.1f s)\nroot %s\n",
		v.Report.Size, v.Report.Signed, v.Report.Checkpoints, v.Attachments, len(v.Report.Erased), time.Since(start).Seconds(), v.Report.Root)
	return nil
}

type backupCmd struct {
	File string `arg:"" help:"File to write; it must not exist." type:"path"`
	dataFlag
	PassphraseFile string `help:"Seal the backup with the passphrase in this file (age)." type:"existingfile"`
}

func (c *backupCmd) Run(ctx context.Context) (err error) {
	pass, err := secret(c.PassphraseFile)
	if err != nil {
		return err
	}
	part := c.File + ".part"
	if _, err := os.Stat(c.File); err == nil {
		return fmt.Errorf("%s exists already", c.File)
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(part)
	defer f.Close()
	if err := node.Backup(ctx, c.Data, c.Store, f, pass, time.Now()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part, c.File); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Printf("wrote %s (%d bytes)\n", c.File, st.Size())
	if pass == "" {
		fmt.Println("It holds the node's private keys and is not sealed: keep it as you keep the node, or use --passphrase-file.")
	}
	return nil
}

type restoreCmd struct {
	File string `arg:"" help:"Backup to read." type:"existingfile"`
	dataFlag
	PassphraseFile string `help:"File with the backup's passphrase." type:"existingfile"`
}

func (c *restoreCmd) Run(ctx context.Context) error {
	pass, err := secret(c.PassphraseFile)
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	v, err := node.Restore(ctx, node.Config{Data: c.Data, Store: c.Store, Log: logger(false)}, f, pass, meter("verified"))
	if err != nil {
		return err
	}
	fmt.Printf("restored and verified: %d ledger entries, %d attachments\n", v.Report.Size, v.Attachments)
	return nil
}

type proofCmd struct {
	Take  proofTakeCmd  `cmd:"" help:"Take the proof of an entry, its content withheld."`
	Check proofCheckCmd `cmd:"" help:"Check a proof file offline."`
}

type proofTakeCmd struct {
	Seq int64 `arg:"" help:"Position of the entry in the ledger."`
	dataFlag
}

func (c *proofTakeCmd) Run(ctx context.Context) error {
	n, err := node.OpenReadOnly(ctx, c.Data, c.Store)
	if err != nil {
		return err
	}
	defer n.Close()
	p, err := n.Proof(ctx, c.Seq)
	if err != nil {
		return err
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(p)
}

type proofCheckCmd struct {
	File string `arg:"" help:"Proof file." type:"existingfile"`
	Key  string `help:"The node's public key, got in another way: a vkey, or a file that holds it." placeholder:"VKEY"`
}

// Run needs neither node nor network.
func (c *proofCheckCmd) Run() error {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	p, err := ledger.ParseProofFile(b)
	if err != nil {
		return err
	}
	key := c.Key
	if text, err := os.ReadFile(key); key != "" && err == nil {
		key = strings.TrimSpace(string(text))
	}
	proved, err := p.Check(key)
	if err != nil {
		return fmt.Errorf("NOT PROVED: %w", err)
	}
	fmt.Println(proved)
	if !proved.Trusted {
		fmt.Println("No --key was given: the file vouches for itself alone. Get the node's key from its auditor, and check again with it.")
	}
	return nil
}

// ask reads a password without showing it, or a line where there is no terminal.
func ask(prompt string) (string, error) {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprint(os.Stderr, prompt)
		b, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(os.Stderr)
		return string(b), err
	}
	s, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err == io.EOF && s != "" {
		err = nil
	}
	return strings.TrimRight(s, "\r\n"), err
}
