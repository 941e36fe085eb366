package konbit_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"konbit/desks"
)

var update = flag.Bool("update", false, "write testdata/deps.txt anew")

// may says what each package may import of ours: docs/ARCHITECTURE.md, "The
// house". A name that ends in /* stands for every package below. A new package
// needs a line here; think first whether it needs to be a package.
var may = map[string][]string{
	"record": {},
	"ui":     {},

	"ledger": {"record"},
	"desk":   {"record"},
	"policy": {"record", "desk"},
	"wire/*": {"record"},
	"blob":   {"record"}, // attachments: files by hash, nothing about rights

	"desks/*": {"record", "desk", "wire/*"},
	"desks":   {"desk", "desks/*"},

	"store":           {"record", "desk", "ledger", "fold"}, // desk for the word Role in a person's grants
	"store/index":     {"record", "store"},
	"store/sqlite":    {"record", "desk", "ledger", "store", "store/index"},
	"store/postgres":  {"record", "desk", "ledger", "store", "store/index"},
	"store/storetest": {"record", "desk", "ledger", "store"},

	// A PostgreSQL for tests; the copier between engines; live traffic between the
	// processes of one node.
	"store/postgres/pgtest": {},
	"store/move":            {"record", "ledger", "store", "store/index", "store/sqlite", "store/postgres"},
	"bus":                   {"record"},

	"query":   {"record", "policy", "desk", "ledger", "store", "name"}, // ledger for proofs
	"intake":  {"record", "desk", "policy", "ledger", "store", "name"},
	"account": {"record", "desk", "policy", "store"}, // who may sign in and what he holds; writes through an interface that intake fills
	"feed":    {"record", "desk", "policy", "query", "store"},
	"react":   {"record", "desk", "policy", "query", "store", "intake"},

	// The exchange with other nodes: documents of trust; questions; the streams,
	// which go in through intake and out under policy's rule.
	"peer/trust":    {"record", "ledger", "store"},
	"peer/question": {"record", "desk", "policy", "ledger", "store", "query", "intake", "wire/*", "peer/trust"},
	"peer":          {"record", "desk", "policy", "ledger", "store", "query", "intake", "blob", "wire/*", "peer/*"},

	// Pages for residents: what desks publish on purpose, and nothing else.
	"public": {"record", "desk", "store", "wire/*"},

	// Names of people that are spelled otherwise.
	"name": {"fold"},
	"fold": {},

	"mappings": {},
	"transfer": {"record", "desk", "wire/*", "mappings", "intake", "policy"}, // intake and policy for the sink of a stopped node

	// store for the types of what query and account return; see
	// TestOnlyIntakeCommitsAndOnlyQueryReads.
	"web": {"record", "desk", "name", "policy", "ledger", "store", "query", "intake", "feed", "account", "blob", "transfer", "wire/*", "ui", "peer", "peer/*"},

	"node": {"record", "desk", "desks", "policy", "ledger", "store", "store/sqlite", "store/postgres", "store/move", "bus", "intake", "query", "feed", "react", "account", "blob", "mappings", "transfer", "wire/*", "web", "ui", "peer", "peer/*", "public"},

	// What may know desks by name: a fictional region, and figures on a known load.
	"demo":  {"record", "desk", "desks/*"},
	"bench": {"record", "desk", "desks", "policy", "store", "store/sqlite", "store/postgres", "ledger", "intake", "query", "feed", "account", "web", "ui", "node", "nodetest/cable", "bus", "peer", "peer/*", "wire/*"},

	// The command line: no rule of its own, only the types that its commands
	// hand to node and account.
	"cmd/konbit": {"record", "desk", "desks", "policy", "ledger", "store", "store/move", "bus", "intake", "query", "account", "mappings", "transfer", "wire/*", "web", "demo", "bench", "node", "peer", "peer/*"},

	"e2e":    {}, // tests of the program from outside
	"deploy": {}, // tests of the files there

	// The suite that every desk calls. Not part of the binary.
	"desktest": {"record", "desk", "policy"},
	// A bad link between two nodes of a test.
	"nodetest/cable": {},
	// Several real nodes in one process, which tests cut off, kill and restore.
	"nodetest": {"record", "desk", "policy", "store", "store/sqlite", "intake", "account", "node", "nodetest/cable", "peer", "peer/*"},
	// The kernel put together on a real file, with a clock that tests move.
	"kerneltest": {"record", "desk", "policy", "ledger", "store", "store/sqlite", "intake", "query", "feed", "react"},
}

// testOnly are packages that only tests may import.
var testOnly = []string{"desktest", "kerneltest", "nodetest", "store/storetest", "store/postgres/pgtest"}

// alone says which packages may import a thing from outside; nobody else may,
// tests included.
var alone = map[string][]string{
	"zombiezen.com/go/sqlite": {"store/sqlite"},
	"modernc.org/sqlite":      {"store/sqlite"},
	"database/sql":            {},

	"github.com/jackc/pgx/v5": {"store/postgres", "store/postgres/pgtest", "store/move", "node", "bench"}, // store/move, node and bench: tests and baselines
	"github.com/nats-io":      {"bus", "e2e", "node"},                                                     // e2e and node: tests with servers to be killed and split
}

// without says what must not be imported by packages that are pure, or that
// leave a thing to another package.
var without = map[string][]string{
	"record":   {"net/http", "os", "database/sql", "log/slog"},
	"desk":     {"net/http", "os", "database/sql", "log/slog"},
	"policy":   {"net/http", "os", "database/sql", "log/slog"},
	"ledger":   {"net/http", "os", "database/sql", "log/slog"},
	"desks/*":  {"net/http", "os", "database/sql", "log/slog"},
	"wire/*":   {"net/http", "os", "database/sql", "log/slog"},
	"store":    {"net/http"},
	"intake":   {"net/http", "os"},
	"query":    {"net/http", "os"},
	"name":     {"net/http", "os", "database/sql", "log/slog"},
	"fold":     {"net/http", "os", "database/sql", "log/slog"},
	"feed":     {"net/http", "os"},
	"react":    {"net/http", "os"},
	"blob":     {"net/http"},
	"node":     {"net/http/httptest"},
	"web":      {"net/http/httptest"},
	"transfer": {"net/http/httptest"},
}

// A source is one Go file of the module.
type source struct {
	name string // from the root, with slashes
	pkg  string // the folder, "." for the root
	test bool
	file *ast.File
}

var fset = token.NewFileSet()

// sources reads every Go file, generated folders left out.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "node_modules" || base == "testdata" || base == "dist" || base != "." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		all = append(all, source{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

// rule returns the key under which a package stands in a table.
func rule[V any](table map[string]V, pkg string) (V, bool) {
	if v, ok := table[pkg]; ok {
		return v, true
	}
	v, ok := table[path.Dir(pkg)+"/*"]
	return v, ok
}

func allowed(list []string, pkg string) bool {
	return slices.Contains(list, pkg) || slices.Contains(list, path.Dir(pkg)+"/*")
}

func TestPackagesImportOnlyWhatTheHouseAllows(t *testing.T) {
	for _, s := range sources(t) {
		if s.pkg == "." {
			continue
		}
		list, known := rule(may, s.pkg)
		if !known {
			t.Errorf("%s: package %s is not in the table of arch_test.go", s.name, s.pkg)
			continue
		}
		for _, imp := range s.imports() {
			ours, isOurs := strings.CutPrefix(imp, "konbit/")
			switch {
			case isOurs && s.test:
				// Tests use what they like, but no kernel test leans on a wire of
				// the program itself.
				if ours == "cmd/konbit" {
					t.Errorf("%s imports the program", s.name)
				}
			case isOurs && slices.Contains(testOnly, ours):
				t.Errorf("%s imports %s, which is for tests", s.name, imp)
			case isOurs && !allowed(list, ours):
				t.Errorf("%s: package %s must not import %s", s.name, s.pkg, imp)
			}
			for outside, who := range alone {
				if (imp == outside || strings.HasPrefix(imp, outside+"/")) && !slices.Contains(who, s.pkg) {
					t.Errorf("%s imports %s; only %v may", s.name, imp, who)
				}
			}
			if not, _ := rule(without, s.pkg); !s.test && slices.Contains(not, imp) {
				t.Errorf("%s: package %s must do without %s", s.name, s.pkg, imp)
			}
		}
	}
}

// TestOnlyIntakeCommitsAndOnlyQueryReads looks at what the import table cannot
// tell: one way in, one way to read for a person.
func TestOnlyIntakeCommitsAndOnlyQueryReads(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.pkg == "." || strings.HasPrefix(s.pkg, "store") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				f, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := f.X.(*ast.Ident); ok && x.Name == "ledger" {
					return true // ledger.Commit is a hash
				}
				if f.Sel.Name == "Commit" && s.pkg != "intake" {
					t.Errorf("%s: only intake commits", fset.Position(n.Pos()))
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "store" && s.pkg == "web" && (n.Sel.Name == "Store" || n.Sel.Name == "Accounts") {
					t.Errorf("%s: web must not hold a store; query reads for a person", fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// TestTableHoldsNoPackageThatIsGone keeps the table from outliving the house.
func TestTableHoldsNoPackageThatIsGone(t *testing.T) {
	have := map[string]bool{}
	for _, s := range sources(t) {
		have[s.pkg], have[path.Dir(s.pkg)+"/*"] = true, true
	}
	for pkg := range may {
		if !have[pkg] {
			t.Errorf("arch_test.go has a line for %s, which does not exist", pkg)
		}
	}
}

func TestPackagesAreNamedForWhatTheyHold(t *testing.T) {
	bad := []string{"util", "utils", "common", "helper", "helpers", "model", "models", "types", "manager", "log", "http", "misc", "base", "core"}
	for _, s := range sources(t) {
		name := strings.TrimSuffix(s.file.Name.Name, "_test")
		switch {
		case slices.Contains(bad, name):
			t.Errorf("%s: package %s is named after nothing", s.name, name)
		case s.pkg == "." && name != "konbit", strings.HasPrefix(s.pkg, "cmd/") && name != "main",
			s.pkg != "." && !strings.HasPrefix(s.pkg, "cmd/") && name != path.Base(s.pkg):
			t.Errorf("%s: package %s is not called like its folder", s.name, name)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	doc := map[string]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if s.file.Doc != nil {
			if doc[s.pkg] != "" {
				t.Errorf("%s: package %s has two comments", s.name, s.pkg)
			}
			doc[s.pkg] = strings.TrimSpace(s.file.Doc.Text())
		} else if _, ok := doc[s.pkg]; !ok {
			doc[s.pkg] = ""
		}
	}
	for pkg, text := range doc {
		start := "Package " + path.Base(pkg) + " "
		switch {
		case pkg == ".":
			start = "Package konbit "
		case strings.HasPrefix(pkg, "cmd/"):
			start = ""
		}
		first, _, _ := strings.Cut(text, "\n\n")
		switch {
		case text == "":
			t.Errorf("package %s has no comment", pkg)
		case !strings.HasPrefix(text, start):
			t.Errorf("the comment of package %s must begin %q", pkg, start)
		case !strings.HasSuffix(first, ".") && !strings.HasSuffix(first, ":") || len(strings.Fields(first)) < 6:
			t.Errorf("the comment of package %s must begin with a sentence that says what it is for", pkg)
		}
	}
}

// TestKernelKnowsNoDeskByName looks for string literals that name a desk or a
// kind. Only the desks, the demo, the figures and the tests may do that: with a second copy
// of a name, a new desk would be more than one folder and one line.
func TestKernelKnowsNoDeskByName(t *testing.T) {
	var names []string
	for _, d := range desks.All() {
		names = append(names, regexp.QuoteMeta(d.Name))
		for _, k := range d.Kinds {
			names = append(names, regexp.QuoteMeta(k.Name))
		}
	}
	slices.Sort(names)
	name := "(?:" + strings.Join(slices.Compact(names), "|") + ")"
	// A name alone, "incident", within a word without blanks, "incident.verify"
	// or "/records/incident", or quoted within a longer text. Prose may use it.
	word := regexp.MustCompile(`^(?:\S*[^\pL\s])?` + name + `(?:[^\pL\s]\S*)?$`)
	quoted := regexp.MustCompile("['\"`]" + name + "['\"`.]")
	for _, s := range sources(t) {
		// A format has words of its own, <alert> and believed_missing.
		if s.test || s.pkg == "demo" || s.pkg == "bench" || s.pkg == "desks" || strings.HasPrefix(s.pkg, "desks/") || strings.HasPrefix(s.pkg, "wire/") {
			continue
		}
		tags := map[*ast.BasicLit]bool{} // name fields, not desks
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok && f.Tag != nil {
				tags[f.Tag] = true
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || tags[lit] {
				return true
			}
			if v, err := strconv.Unquote(lit.Value); err == nil && (word.MatchString(v) || quoted.MatchString(v)) {
				t.Errorf("%s names a desk or a kind: %s", fset.Position(lit.Pos()), lit.Value)
			}
			return true
		})
	}
}

// TestBinaryDependsOnWhatWasAgreed holds the modules that end up in the program
// against testdata/deps.txt. A new one is a decision: run go test . -update, and
// say in the commit why it is worth it.
func TestBinaryDependsOnWhatWasAgreed(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}@{{with .Replace}}{{.Version}}{{else}}{{.Version}}{{end}}{{end}}{{end}}", "./cmd/konbit")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go list: %v\n%s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	got = slices.Compact(got)
	golden := filepath.Join("testdata", "deps.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Fields(string(b)), got); d != "" {
		t.Errorf("the program's dependencies have changed (-agreed +now); go test . -update accepts them:\n%s", d)
	}
}
