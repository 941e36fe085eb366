// Package deploy_test holds what runs a node elsewhere to what the program and these
// files themselves say: every flag exists, every name that is referred to is there,
// every figure is told by a running node.
package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// read returns a file of this folder.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// decode reads one YAML document into v. A field that v does not have is a fault.
func decode(t *testing.T, name, doc string, v any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(doc), yaml.Strict())
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := d.Decode(v); !errors.Is(err, io.EOF) {
		t.Fatalf("%s holds more than one document, or what comes after it cannot be read: %v", name, err)
	}
}

// pinned fails when an image is not named with a version.
func pinned(t *testing.T, where, image string) {
	t.Helper()
	name, tag, ok := strings.Cut(image, ":")
	switch {
	case image == "konbit:1": // ours, made by Dockerfile
	case !ok || !regexp.MustCompile(`^\d+\.\d+\.?\d*$`).MatchString(tag):
		t.Errorf("%s: the image %s is not pinned to a version", where, image)
	case strings.Contains(name, "/"):
		t.Errorf("%s: the image %s names a registry or somebody's own place in one", where, image)
	}
}

// ports returns the numbers that follow each occurrence of a text.
func ports(text, before string) (out []int) {
	for _, m := range regexp.MustCompile(regexp.QuoteMeta(before)+`(\d+)`).FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			continue
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestGuideQuotesWhatTheProgramSays looks up the messages that the operating guide
// quotes for the time of trouble.
func TestGuideQuotesWhatTheProgramSays(t *testing.T) {
	guide := read(t, "../docs/operating.md")
	_, trouble, ok := strings.Cut(guide, "\n### What you see, and what to do\n")
	if !ok {
		t.Fatal("docs/operating.md has no table of what goes wrong with several processes")
	}
	trouble, _, _ = strings.Cut(trouble, "\n#")
	var program strings.Builder
	for _, glob := range []string{"../*/*.go", "../*/*/*.go"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			program.Write(b)
		}
	}
	quotes := regexp.MustCompile(`"([^"\n]+)"`).FindAllStringSubmatch(trouble, -1)
	if len(quotes) < 8 {
		t.Errorf("the table quotes only %d messages", len(quotes))
	}
	for _, q := range quotes {
		for part := range strings.SplitSeq(q[1], "...") {
			if part = strings.TrimSpace(part); !strings.Contains(program.String(), part) {
				t.Errorf("docs/operating.md quotes %q, which the program does not say", part)
			}
		}
	}
}

// TestSettingsAreFlags looks up every KONBIT_ that these files set.
func TestSettingsAreFlags(t *testing.T) {
	flags := programFlags(t)["serve"]
	for _, f := range []string{"konbit.env.example", "systemd/konbit.env.example", "kubernetes/konbit.yaml", "compose/compose.yaml", "Dockerfile"} {
		text := read(t, f)
		found := regexp.MustCompile(`\bKONBIT_([A-Z_]+)`).FindAllStringSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("%s sets nothing", f)
		}
		for _, m := range found {
			if m[1] == "PORT" && strings.Contains(text, "Kubernetes would put KONBIT_PORT") {
				continue
			}
			flag := strings.ToLower(strings.ReplaceAll(m[1], "_", "-"))
			if !slices.Contains(flags, flag) {
				t.Errorf("%s sets KONBIT_%s; konbit serve has no --%s", f, m[1], flag)
			}
		}
	}
}

// TestCommandsOfTheGuideExist looks up every konbit command that the documents show,
// with its flags.
func TestCommandsOfTheGuideExist(t *testing.T) {
	flags := programFlags(t)
	code := regexp.MustCompile("(?m)^    .*|`[^`\n]+`")
	for _, f := range []string{"README.md", "../docs/operating.md", "monitoring/prometheus.yaml", "systemd/konbit@.service", "konbit.service"} {
		found := 0
		parts := code.FindAllString(read(t, f), -1)
		if !strings.HasSuffix(f, ".md") {
			parts = strings.Split(read(t, f), "\n")
		}
		for _, line := range parts {
			for _, m := range regexp.MustCompile(`(?:^|[\s/`+"`"+`])konbit ([a-z]+)( [a-z]+)?([^`+"`"+`|;&#]*)`).FindAllStringSubmatch(line, -1) {
				command := m[1]
				have, ok := flags[command+m[2]]
				if ok && m[2] != "" {
					command += m[2]
				} else if have, ok = flags[command]; !ok {
					t.Errorf("%s: there is no command konbit %s", f, command)
					continue
				}
				found++
				for _, w := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(m[3], -1) {
					if !slices.Contains(have, w[1]) && w[1] != "help" {
						t.Errorf("%s: konbit %s has no --%s: %s", f, command, w[1], strings.TrimSpace(line))
					}
				}
			}
		}
		if found == 0 {
			t.Errorf("%s shows no command of konbit", f)
		}
		for _, m := range regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(read(t, f), -1) {
			known := m[1] == "write-recovery-conf" // of pg_basebackup
			for _, have := range flags {
				known = known || slices.Contains(have, m[1])
			}
			if !known {
				t.Errorf("%s: no command has --%s", f, m[1])
			}
		}
	}
}

// TestProgramOfTheImageIsTheOneThatIsBuilt holds the Dockerfile against the Makefile
// and against who runs it.
func TestProgramOfTheImageIsTheOneThatIsBuilt(t *testing.T) {
	known := []string{"FROM", "RUN", "ARG", "COPY", "USER", "ENV", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
	text := read(t, "Dockerfile")
	var from []string
	stages := []string{"scratch"}
	for n, line := range strings.Split(text, "\n") {
		w := strings.Fields(line)
		if len(w) == 0 || w[0] == "#" {
			continue
		}
		if !slices.Contains(known, w[0]) {
			t.Errorf("Dockerfile:%d: %s is no instruction that is used here", n+1, w[0])
		}
		switch w[0] {
		case "FROM":
			if !slices.Contains(stages, w[1]) {
				pinned(t, "Dockerfile", w[1])
			}
			if len(w) == 4 && w[2] == "AS" {
				stages = append(stages, w[3])
			}
			from = append(from, w[1])
		case "COPY":
			if stage, ok := strings.CutPrefix(w[1], "--from="); ok && !slices.Contains(stages, stage) {
				t.Errorf("Dockerfile:%d: there is no stage %s", n+1, stage)
			}
		}
	}
	if len(from) == 0 || from[len(from)-1] != "scratch" {
		t.Errorf("the image is made from %v; the program needs nothing beside it", from)
	}
	const binary = "bin/konbit-linux-"
	if makefile := read(t, "../Makefile"); !strings.Contains(makefile, "-o "+binary+"amd64") || !strings.Contains(text, "COPY "+binary+"${TARGETARCH} ") {
		t.Error("the image takes another program than make build makes")
	}
	if ignore := read(t, "Dockerfile.dockerignore"); !strings.Contains(ignore, "!"+binary+"*\n") {
		t.Error("Dockerfile.dockerignore keeps the program out")
	}
	if !strings.Contains(text, "EXPOSE 8080\n") || !strings.Contains(text, "KONBIT_LISTEN=0.0.0.0:8080\n") {
		t.Error("the image does not listen where it says")
	}
	if !strings.Contains(text, "USER 10001:10001\n") || !strings.Contains(read(t, "kubernetes/konbit.yaml"), "runAsUser: 10001\n") {
		t.Error("the image and Kubernetes run it as different users")
	}
}

// documents splits a YAML file.
func documents(t *testing.T, name string) []string {
	t.Helper()
	return strings.Split(strings.TrimPrefix(read(t, name), "---\n"), "\n---\n")
}

// quiet fails when a tool has something to say.
func quiet(t *testing.T, what string, out []byte, err error) {
	t.Helper()
	if out = bytes.TrimSpace(out); err != nil || len(out) > 0 {
		t.Errorf("%s: %v\n%s", what, err, out)
	}
}
