package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"konbit/account"
	"konbit/node"
)

// cli is the whole command line. Its names are stable.
type cli struct {
	Config  kong.ConfigFlag `help:"YAML file whose keys are the names of flags." placeholder:"FILE"`
	Verbose bool            `help:"Log every request." short:"v"`

	Serve    serveCmd    `cmd:"" help:"Run a node."`
	Demo     demoCmd     `cmd:"" help:"Run a node with a fictional region, and keep it alive."`
	Import   importCmd   `cmd:"" help:"Bring records in from CSV, XLSX, NDJSON or GeoJSON."`
	Export   exportCmd   `cmd:"" help:"Take records out."`
	Verify   verifyCmd   `cmd:"" help:"Prove ledger, signatures, checkpoints, and that records equal ledger."`
	Backup   backupCmd   `cmd:"" help:"Write a consistent copy of a running or stopped node to a file."`
	Restore  restoreCmd  `cmd:"" help:"Restore a backup into an empty data folder, and verify it."`
	Restored restoredCmd `cmd:"" help:"Accept a database that was put back to an earlier day, or a standby that did not have everything."`
	Copy     copyCmd     `cmd:"" help:"Copy the store of a stopped node, between SQLite and PostgreSQL, and prove it."`
	Agency   agencyCmd   `cmd:"" help:"Add and list agencies."`
	User     userCmd     `cmd:"" help:"Add, list and mend people's accounts."`
	Token    tokenCmd    `cmd:"" help:"Make, list and revoke API tokens."`
	Peer     peerCmd     `cmd:"" help:"Exchange with other nodes: invite, join, approve, revoke, regions."`
	Bundle   bundleCmd   `cmd:"" help:"Carry records to another node on a stick, and take what was carried."`
	Keys     keysCmd     `cmd:"" help:"Lock the key files with a passphrase or a key file, or open them."`
	Views    viewsCmd    `cmd:"" help:"On PostgreSQL: let roles of the database read an agency's records with GIS and BI tools."`
	Proof    proofCmd    `cmd:"" help:"Take a proof of a ledger entry, or check one offline."`
	Bench    benchCmd    `cmd:"" help:"Measure this machine against the figures to beat."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
	OpenAPI  openapiCmd  `cmd:"" name:"openapi" help:"Print the OpenAPI document." hidden:""`
}

// configFile lets a YAML file give flags: "listen: 0.0.0.0:8443", or below the
// command's name for one command alone.
func configFile(r io.Reader) (kong.Resolver, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := yaml.Unmarshal(b, &values); err != nil {
		return nil, err
	}
	return kong.ResolverFunc(func(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
		if parent != nil && parent.Command != nil {
			if sub, ok := values[parent.Command.Name].(map[string]any); ok {
				if v, ok := sub[flag.Name]; ok {
					return v, nil
				}
			}
		}
		if v, ok := values[flag.Name]; ok {
			if _, nested := v.(map[string]any); !nested {
				return v, nil
			}
		}
		return nil, nil
	}), nil
}

// dataFlag is where a node keeps everything, and what opens its keys.
type dataFlag struct {
	Data           string `help:"Data folder." default:"konbit-data" type:"path"`
	Store          string `help:"sqlite:PATH, or postgres://user@host/database; the file konbit.db in the data folder unless said otherwise. A password belongs in PGPASSFILE or KONBIT_STORE, not here." env:"KONBIT_STORE" placeholder:"STORE"`
	KeysPassphrase string `name:"keys-passphrase-file" help:"The keys are locked: read the passphrase from this file." type:"existingfile" placeholder:"FILE"`
	KeysIdentity   string `name:"keys-identity" help:"The keys are locked: the age identity file that opens them." type:"existingfile" placeholder:"FILE"`
}

// unlock is what opens the keys: what the flags name, else what systemd hands over.
func (d dataFlag) unlock() (u node.Unlock, err error) {
	if d.KeysPassphrase == "" && d.KeysIdentity == "" {
		return node.Credentials(os.Getenv)
	}
	u.Identity = d.KeysIdentity
	u.Passphrase, err = secret(d.KeysPassphrase)
	return u, err
}

// open opens the data folder of a stopped node.
func (d dataFlag) open(ctx context.Context) (*node.Node, error) {
	u, err := d.unlock()
	if err != nil {
		return nil, err
	}
	return node.Open(ctx, node.Config{Data: d.Data, Store: d.Store, Unlock: u, Log: logger(false)})
}

// with does something to the data folder of a stopped node.
func (d dataFlag) with(ctx context.Context, do func(*node.Node) error) (err error) {
	n, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	return do(n)
}

func logger(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// providers reads the OpenID Connect providers from a YAML file.
func providers(path string) ([]account.Provider, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var ps []account.Provider
	if err := yaml.UnmarshalWithOptions(b, &ps, yaml.Strict(), yaml.UseJSONUnmarshaler()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ps, nil
}

// secret reads a passphrase or password from a file, ""
// when no file is named.
func secret(path string) (string, error) {
	if path == "" || path == "-" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return s, nil
}

type versionCmd struct{}

func (versionCmd) Run() error {
	_, err := fmt.Println("konbit " + node.Version)
	return err
}
