// Package desktest is the suite that every desk's test calls. It holds a desk's
// declaration against what the kernel, the screens and the people who work in
// four languages rely on, and plays the desk's own scenarios.
//
// A desk's test is two lines:
//
//	func TestDesk(t *testing.T)    { desktest.Run(t, incident.New()) }
//	func FuzzDecode(f *testing.F)  { desktest.Fuzz(f, incident.New()) }
//
// It tests declarations, not storage: it must not import store, intake or web.
package desktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Run holds d against everything that is expected of a desk. It is called from
// the desk's folder: schemas are in testdata/KIND.schema.json (written anew with
// -update), scenarios in testdata/*.txtar (see Play).
func Run(t *testing.T, d *desk.Desk) {
	t.Helper()
	if _, err := desk.NewSet(d); err != nil {
		t.Fatal(err)
	}
	report := func(name string, problems []string) {
		t.Run(name, func(t *testing.T) {
			for _, p := range problems {
				t.Error(p)
			}
		})
	}
	report("Labels", Labels(d))
	report("Hints", Hints(d))
	report("States", States(d))
	report("Rights", Rights(d))
	for _, k := range d.Kinds {
		report("WrongInput/"+k.Name, WrongInput(k))
		t.Run("Schema/"+k.Name, func(t *testing.T) { golden(t, k) })
		t.Run("RoundTrip/"+k.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { roundTrip(t, k) })
		})
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	handled := len(files) > 0
	for _, f := range files {
		t.Run("Scenario/"+strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := Play(d, b); err != nil {
				t.Errorf("%s:%v", f, err)
			}
		})
	}
	if !handled {
		t.Error("no scenario: show the desk at work in testdata/NAME.txtar")
	}
}

// Labels finds words that are missing in one of the four languages, and words
// that nothing asks for.
func Labels(d *desk.Desk) (problems []string) {
	labels, err := desk.ReadLabels(d.Files)
	if err != nil {
		return []string{err.Error()}
	}
	want := desk.LabelKeys(d)
	for _, key := range want {
		text, ok := labels[key]
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("labels.yaml: %q is missing", key))
		case !text.Complete():
			problems = append(problems, fmt.Sprintf("labels.yaml: %q lacks a language", key))
		}
		for _, lang := range desk.Langs {
			if s := text.In(lang); s != strings.TrimSpace(s) || !utf8.ValidString(s) {
				problems = append(problems, fmt.Sprintf("labels.yaml: %q in %s begins or ends with space, or is not UTF-8", key, lang))
			}
		}
		if strings.HasPrefix(key, "command.") {
			for _, lang := range desk.Langs {
				if n := utf8.RuneCountInString(text.In(lang)); n > 24 {
					problems = append(problems, fmt.Sprintf("labels.yaml: %q in %s has %d characters; a button has room for 24", key, lang, n))
				}
			}
		}
	}
	for key := range labels {
		if !slices.Contains(want, key) {
			problems = append(problems, fmt.Sprintf("labels.yaml: nothing asks for %q", key))
		}
	}
	sort.Strings(problems)
	return problems
}

// Hints finds columns, sections, symbols and reactions that name what is not
// there, and kinds that cannot be named, found or drawn. KindOf refuses most of
// this; a Kind built or changed otherwise has only this check.
func Hints(d *desk.Desk) (problems []string) {
	add := func(k *desk.Kind, format string, args ...any) {
		problems = append(problems, k.Name+": "+fmt.Sprintf(format, args...))
	}
	if d.Icon == "" {
		problems = append(problems, d.Name+": has no icon")
	}
	seen := map[string]bool{}
	for _, r := range d.Reactions {
		if r.Name == "" || seen[r.Name] {
			problems = append(problems, fmt.Sprintf("reaction %q: the name is empty or used twice", r.Name))
		}
		seen[r.Name] = true
		if r.Do == nil {
			problems = append(problems, fmt.Sprintf("reaction %q does nothing", r.Name))
		}
		for _, k := range d.Kinds {
			if k.Name == r.Kind && r.Command != "" && !slices.Contains(k.Commands(), r.Command) {
				problems = append(problems, fmt.Sprintf("reaction %q waits for %q, which is no command of %s", r.Name, r.Command, k.Name))
			}
		}
	}
	for _, k := range d.Kinds {
		real := func(f string) bool { return k.Field(f) != nil || slices.Contains(desk.HeaderFields, f) }
		if len(k.Columns) == 0 {
			add(k, "a board without columns")
		}
		for _, c := range k.Columns {
			if !real(c) {
				add(k, "column %q is no field", c)
			}
		}
		twice := map[string]bool{}
		for _, s := range k.Sections {
			for _, f := range s.Fields {
				if !real(f) {
					add(k, "section %q names %q, which is no field", s.Name, f)
				}
				if twice[f] {
					add(k, "field %q is in the form twice", f)
				}
				twice[f] = true
			}
		}
		for _, f := range k.Fields() {
			if !twice[f.Path] && len(k.Sections) > 0 {
				add(k, "field %q is in no section of the form", f.Path)
			}
		}
		shapes := []string{"", "triangle", "circle", "square", "diamond", "area"}
		if !slices.Contains(shapes, k.Symbol.Shape) {
			add(k, "symbol %q is not one of %v", k.Symbol.Shape, shapes[1:])
		}
		if by := k.Symbol.By; by != "" && (k.Field(by) == nil || len(k.Field(by).Enum) == 0) {
			add(k, "symbol is coloured by %q, which is not enumerated", by)
		}
		if len(k.Open) == 0 {
			add(k, "no state is open: a board would be empty")
		}
		if k.Keep <= 0 {
			add(k, "kept for ever")
		}
		if k.Near.Metres > 0 && !k.Placed() {
			add(k, "looks for duplicates by place and has none")
		}
		found := false
		for _, f := range k.Fields() {
			found = found || f.Search != ""
		}
		if !found {
			add(k, "cannot be found: no field is searched")
		}
	}
	return problems
}

// States finds states that no record can reach, and states that lead nowhere
// though the board calls them open.
func States(d *desk.Desk) (problems []string) {
	for _, k := range d.Kinds {
		reached := map[string]bool{k.Start: true}
		for again := true; again; {
			again = false
			for from, moves := range k.Flow {
				for _, to := range moves {
					if reached[from] && !reached[to] {
						reached[to], again = true, true
					}
				}
			}
		}
		for _, s := range k.States() {
			if !reached[s] {
				problems = append(problems, fmt.Sprintf("%s: state %q cannot be reached from %q", k.Name, s, k.Start))
			}
		}
		for _, s := range k.Open {
			if len(k.Flow[s]) == 0 {
				problems = append(problems, fmt.Sprintf("%s: open state %q leads nowhere", k.Name, s))
			}
		}
		for i := 1; i < len(k.Path); i++ {
			step := false
			for _, to := range k.Flow[k.Path[i-1]] {
				step = step || to == k.Path[i]
			}
			if !step {
				problems = append(problems, fmt.Sprintf("%s: the usual course has no command from %q to %q", k.Name, k.Path[i-1], k.Path[i]))
			}
		}
	}
	return problems
}

// Rights finds commands that somebody may give without the role that the desk
// names, or may not give though he has it.
func Rights(d *desk.Desk) (problems []string) {
	if _, err := desk.NewSet(d); err != nil {
		return []string{err.Error()}
	}
	for _, k := range d.Kinds {
		for _, c := range k.Commands() {
			need := k.Allow[c]
			if !slices.Contains([]desk.Role{desk.Operator, desk.Supervisor}, need) {
				problems = append(problems, fmt.Sprintf("%s: %q is for role %q; changes are for operators and supervisors", k.Name, c, need))
			}
			for _, role := range desk.Roles {
				may := func(where string, person string) error {
					r := policy.Reader{Person: person, Agency: "ht.cc", Roles: map[string][]desk.Role{where: {role}}}
					return r.May(k, c)
				}
				if err := may(d.Name, "ht.cc/ana"); (err == nil) != role.Covers(need) {
					problems = append(problems, fmt.Sprintf("%s: %q needs %q; as %q: %v", k.Name, c, need, role, err))
				}
				if may("elsewhere", "ht.cc/ana") == nil {
					problems = append(problems, fmt.Sprintf("%s: %q is given by a %q of another desk", k.Name, c, role))
				}
				if record.CodeOf(may(d.Name, "")) != record.Unsigned {
					problems = append(problems, fmt.Sprintf("%s: %q is given by nobody in particular", k.Name, c))
				}
			}
		}
		if k.Allow[desk.Erase] != desk.Supervisor {
			problems = append(problems, fmt.Sprintf("%s: erasing is for supervisors, not %q", k.Name, k.Allow[desk.Erase]))
		}
		for c := range k.Allow {
			if !slices.Contains(k.Commands(), c) {
				problems = append(problems, fmt.Sprintf("%s: %q is allowed and does not exist", k.Name, c))
			}
		}
	}
	return problems
}

func golden(t *testing.T, k *desk.Kind) {
	got, err := json.MarshalIndent(k.Schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	name := filepath.Join("testdata", k.Name+".schema.json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is missing: run the test with -update", name)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the schema of %s has changed: other agencies' nodes and people's files rely on it; if it is meant, run with -update (-want +got):\n%s", k.Name, diff)
	}
}

// roundTrip shows that a valid body is accepted, keeps every value, and has one
// canonical form.
func roundTrip(t *rapid.T, k *desk.Kind) {
	raw, err := json.Marshal(Bodies(k).Draw(t, "body"))
	if err != nil {
		t.Fatal(err)
	}
	body, canon, fields := k.Decode(raw)
	if len(fields) > 0 {
		t.Fatalf("a valid body was refused: %v\n%s", fields.Err(k.Name), raw)
	}
	_, again, fields := k.Decode(canon)
	if len(fields) > 0 {
		t.Fatalf("the canonical form was refused: %v\n%s", fields.Err(k.Name), canon)
	}
	if !bytes.Equal(canon, again) {
		t.Fatalf("two canonical forms:\n%s\n%s", canon, again)
	}
	stored, err := k.Parse(canon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(body, stored, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("stored is not what was decoded (-decoded +stored):\n%s", diff)
	}
	if lost := lost(raw, canon); len(lost) > 0 {
		t.Fatalf("lost on the way: %v\n%s\n%s", lost, raw, canon)
	}
	for _, c := range k.CaveatsFor(body) {
		if !slices.Contains(record.Caveats, c) {
			t.Fatalf("unknown caveat %q for %s", c, canon)
		}
	}
	ix := k.Index(&record.Record{}, body)
	if ix.Title == "" {
		t.Fatalf("no title for %s", canon)
	}
	for f := range ix.Facet {
		if k.Field(f) == nil || !k.Field(f).Facet {
			t.Fatalf("facet %q is no facet field", f)
		}
	}
}

// lost lists the members of a that say something and are not in b.
func lost(a, b []byte) []string {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return []string{"all"}
	}
	var out []string
	var walk func(path string, x, y any)
	walk = func(path string, x, y any) {
		if m, ok := x.(map[string]any); ok {
			n, _ := y.(map[string]any)
			for k := range m {
				walk(path+"."+k, m[k], n[k])
			}
			return
		}
		if list, ok := x.([]any); ok {
			other, _ := y.([]any)
			if len(list) != len(other) {
				out = append(out, path)
				return
			}
			for i := range list {
				walk(record.Index(path, i), list[i], other[i])
			}
			return
		}
		if y == nil && (x == nil || x == "" || x == false || x == 0.0) {
			return
		}
		if !cmp.Equal(x, y) {
			out = append(out, path)
		}
	}
	walk("body", x, y)
	return out
}
