package konbit_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// files lists the project's files: what git knows or would take, or everything
// but what is built and downloaded when there is no git.
func files(t *testing.T) []string {
	t.Helper()
	if out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output(); err == nil {
		names := strings.Split(strings.Trim(string(out), "\x00"), "\x00")
		slices.Sort(names)
		return slices.Compact(names)
	}
	var names []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".run", "node_modules", "dist", "bin", "basemap":
				return fs.SkipDir
			}
			return nil
		}
		names = append(names, filepath.ToSlash(name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// unwanted is what must not stand in a file. The words are put together here so
// that this file does not hold them itself.
var unwanted = []struct {
	what *regexp.Regexp
	only string // pattern of file names; "": all
	why  string
}{
	{regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])/(wor` + `k|roo` + `t|hom` + `e)/`), "", "a path of somebody's machine"},
	{regexp.MustCompile(`registry\.` + `npmjs\.org|proxy\.` + `golang\.org`), "", "the host of a package registry; lock files are made without (CONTRIBUTING.md)"},
	{regexp.MustCompile(`\bTO` + `DO\b|\bFIX` + `ME\b`), "", "work that is left undone belongs in an issue"},
	{regexp.MustCompile(`^(<{7}|>{7}) `), "", "a conflict of a merge"},
	{regexp.MustCompile(`\btime\.Sl` + `eep\(`), "*_test.go", "a test that sleeps is slow or wrong; wait for what should happen, or use testing/synctest"},
}

func TestFilesHoldNothingThatDoesNotBelong(t *testing.T) {
	for _, name := range files(t) {
		b, err := os.ReadFile(name)
		if os.IsNotExist(err) || err == nil && bytes.IndexByte(b[:min(len(b), 8000)], 0) >= 0 {
			continue // deleted and not yet committed, or not text
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range unwanted {
			if u.only != "" {
				if ok, _ := path.Match(u.only, path.Base(name)); !ok {
					continue
				}
			}
			for n, line := range bytes.Split(b, []byte("\n")) {
				if m := u.what.Find(line); m != nil {
					t.Errorf("%s:%d: %q: %s", name, n+1, m, u.why)
				}
			}
		}
	}
}

var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	made = regexp.MustCompile("(?:^|[`\\s])make ([a-z0-9-]+)")
)

// TestDocumentsPointAtThingsThatExist follows the links of the documents to
// other files, and looks up the make targets that they name.
func TestDocumentsPointAtThingsThatExist(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t) {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), to)); err != nil {
				t.Errorf("%s points at %s, which is not there", name, m[1])
			}
		}
		if path.Dir(name) != "." && !strings.HasPrefix(name, "docs/") && !strings.HasPrefix(name, "deploy/") {
			continue
		}
		for _, code := range codes(string(b)) {
			for _, m := range made.FindAllStringSubmatch(code, -1) {
				if !bytes.Contains(makefile, []byte("\n"+m[1]+":")) {
					t.Errorf("%s speaks of make %s, which the Makefile does not have", name, m[1])
				}
			}
		}
	}
}

// codes returns what a document has between backquotes, in blocks or in lines.
func codes(doc string) []string {
	var out []string
	for i, part := range strings.Split(doc, "`") {
		if i%2 == 1 {
			out = append(out, part)
		}
	}
	blocks := strings.Split(doc, "```")
	for i := 1; i < len(blocks); i += 2 {
		out = append(out, blocks[i])
	}
	return out
}
