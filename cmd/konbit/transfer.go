package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"konbit/desk"
	"konbit/desks"
	"konbit/node"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
	"konbit/transfer"
	"konbit/wire/table"
)

// where says which node a command works on: a stopped one by its folder, or a
// running one by its address.
type where struct {
	dataFlag
	URL    string `name:"url" help:"Work through a running node instead of --data; the token comes from KONBIT_TOKEN." placeholder:"URL" env:"-"`
	Token  string `env:"KONBIT_TOKEN" hidden:""`
	Agency string `help:"The agency for which it is done." placeholder:"ID"`
	As     string `help:"With --data: the person as whom it is done; else the node itself acts for the agency." placeholder:"PERSON"`
}

// reader is as whom a stopped node is worked on. The machine's owner may do
// anything to it; the ledger says who it was.
func (w *where) reader(n *node.Node, role desk.Role) (*policy.Reader, error) {
	dir := n.Accounts.Directory()
	if w.As != "" {
		person, ok := dir.Resolve(w.As)
		if !ok {
			return nil, record.Errorf(record.NotFound, "--as", "there is no person %q", w.As)
		}
		return n.Accounts.Reader(person, w.Agency, nil, "command line")
	}
	a := dir.Agencies[w.Agency]
	if a == nil || !a.Local {
		return nil, record.Errorf(record.NotFound, "--agency", "this node keeps no records for %q", w.Agency)
	}
	return &policy.Reader{Person: w.Agency + "/node", Agency: w.Agency, Communities: a.Communities, Roles: map[string][]desk.Role{"*": {role}}}, nil
}

type importCmd struct {
	Kind string `arg:"" help:"Record kind: incident, sitrep."`
	File string `arg:"" help:"CSV, XLSX, NDJSON or GeoJSON." type:"existingfile"`
	where
	Mapping string `help:"YAML file that says which column is which field; guessed when left out." type:"existingfile" placeholder:"FILE"`
	Refused string `help:"Where to write refused rows; FILE.refused.csv when left out." type:"path" placeholder:"FILE"`
	Fresh   bool   `help:"Begin anew, although an earlier run was stopped half-way."`
}

func (c *importCmd) Run(ctx context.Context) error {
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		return err
	}
	k := set.Kind(c.Kind)
	if k == nil {
		return record.Errorf(record.NotFound, "import", "there is no kind %q; there are: %s", c.Kind, strings.Join(set.KindNames(), ", "))
	}
	bar := transfer.NewBar(os.Stderr)
	o := transfer.Options{Kind: k, Labels: set.Labels(k.Desk), Agency: c.Agency, File: c.File, Refused: c.Refused, State: c.File + ".konbit-import.json", Progress: bar.Update}
	if o.Refused == "" {
		o.Refused = c.File + ".refused.csv"
	}
	if !writable(filepath.Dir(c.File)) { // a file on a read-only stick can still be imported
		o.State = ""
		if c.Refused == "" {
			o.Refused = filepath.Base(c.File) + ".refused.csv"
		}
	}
	if c.Fresh && o.State != "" {
		if err := os.Remove(o.State); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if c.Mapping != "" {
		b, err := os.ReadFile(c.Mapping)
		if err != nil {
			return err
		}
		if o.Mapping, err = transfer.ParseMapping(b); err != nil {
			return fmt.Errorf("%s: %w", c.Mapping, err)
		}
	}
	if c.URL != "" {
		o.Sink = &transfer.Remote{URL: c.URL, Token: c.Token}
	} else {
		if c.Agency == "" && c.As == "" {
			return record.Errorf(record.Invalid, "import", "say for which agency: --agency ID")
		}
		n, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer n.Close()
		r, err := c.reader(n, desk.Operator)
		if err != nil {
			return err
		}
		o.Agency = r.Agency
		o.Sink = &transfer.Local{Intake: n.Intake, Desks: n.Desks, Reader: r}
	}
	res, err := transfer.Import(ctx, o)
	bar.Done()
	if res.Guessed {
		fmt.Println("No mapping was given; this one was guessed:")
		if b, e := res.Mapping.YAML(); e == nil {
			fmt.Println(string(b))
		}
	}
	fmt.Printf("%d rows in %.1f s: %d created, %d unchanged, %d updated, %d refused\n", res.Rows, res.Elapsed.Seconds(), res.Created, res.Unchanged, res.Updated, res.Refused)
	if res.Resumed > 0 {
		fmt.Printf("%d of them were decided by an earlier run\n", res.Resumed)
	}
	if res.RefusedFile != "" {
		fmt.Printf("refused rows, each with its reason: %s\n", res.RefusedFile)
	}
	if errors.Is(err, context.Canceled) {
		fmt.Println("stopped; the same command goes on from here")
	}
	return err
}

func writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".konbit-*")
	if err != nil {
		return false
	}
	f.Close()
	return os.Remove(f.Name()) == nil
}

type exportCmd struct {
	Kind string `arg:"" help:"Record kind."`
	File string `arg:"" optional:"" help:"Where to write; standard output when left out." type:"path"`
	where
	Format string   `help:"csv, xlsx, ndjson or geojson; by the file's name when left out." enum:"csv,xlsx,ndjson,geojson," default:""`
	Words  string   `short:"q" help:"Only records with these words."`
	State  []string `help:"Only records in these states."`
}

func (c *exportCmd) Run(ctx context.Context) (err error) {
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		return err
	}
	k := set.Kind(c.Kind)
	if k == nil {
		return record.Errorf(record.NotFound, "export", "there is no kind %q; there are: %s", c.Kind, strings.Join(set.KindNames(), ", "))
	}
	format := table.Format(c.Format)
	if format == "" {
		format = table.Format(strings.TrimPrefix(strings.ToLower(filepath.Ext(c.File)), "."))
		if c.File == "" || format == "" || format == "json" {
			format = table.NDJSON
		}
	}
	src, done, err := c.source(ctx, k)
	if err != nil {
		return err
	}
	defer done()
	out := os.Stdout
	if c.File != "" {
		if out, err = os.OpenFile(c.File+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return err
		}
		defer os.Remove(c.File + ".part")
		defer out.Close()
	}
	n, err := transfer.Export(ctx, out, format, k, src)
	if err != nil {
		return err
	}
	if c.File != "" {
		if err := out.Sync(); err != nil {
			return err
		}
		if err := os.Rename(c.File+".part", c.File); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "%d records\n", n)
	return nil
}

// source reads the records, with the rights of whoever asks.
func (c *exportCmd) source(ctx context.Context, k *desk.Kind) (iter.Seq2[*record.Record, error], func(), error) {
	if c.URL != "" {
		v := url.Values{}
		if c.Words != "" {
			v.Set("q", c.Words)
		}
		if len(c.State) > 0 {
			v.Set("state", strings.Join(c.State, ","))
		}
		return transfer.RemoteExport(ctx, &transfer.Remote{URL: c.URL, Token: c.Token}, k.Name, v), func() {}, nil
	}
	n, err := c.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	r, err := c.reader(n, desk.Viewer)
	if err != nil {
		n.Close()
		return nil, nil, err
	}
	stop := errors.New("stop")
	src := func(yield func(*record.Record, error) bool) {
		err := n.Records.Export(ctx, r, k.Name, &query.Filter{Words: c.Words, States: c.State}, func(s *store.Stored) error {
			if !yield(s.Record, nil) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield(nil, err)
		}
	}
	return src, func() { n.Close() }, nil
}
