package mappings_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/goccy/go-yaml"

	"konbit/desk"
	"konbit/desks"
	"konbit/mappings"
)

// mapping is as much of the language as these tests hold against the desks.
type mapping struct {
	Kind     string            `yaml:"kind"`
	Key      string            `yaml:"key"`
	Region   map[string]any    `yaml:"region"`
	Observed observed          `yaml:"observed"`
	Place    map[string]string `yaml:"place"`
	Marking  map[string]any    `yaml:"marking"`
	State    source            `yaml:"state"`
	Fields   map[string]source `yaml:"fields"`
}

type observed struct {
	Column  string   `yaml:"column"`
	Layouts []string `yaml:"layouts"`
	Zone    string   `yaml:"zone"`
}

type source struct {
	Column  string            `yaml:"column"`
	Value   string            `yaml:"value"`
	Expr    string            `yaml:"expr"`
	Split   string            `yaml:"split"`
	First   map[string]string `yaml:"first"`
	Default string            `yaml:"default"`
}

func read(t *testing.T, name string) mapping {
	t.Helper()
	b, err := mappings.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var m mapping
	if err := yaml.UnmarshalWithOptions(b, &m, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return m
}

func kindOf(t *testing.T, name string) *desk.Kind {
	t.Helper()
	for _, d := range desks.All() {
		for _, k := range d.Kinds {
			if k.Name == name {
				return k
			}
		}
	}
	t.Fatalf("there is no kind %q", name)
	return nil
}

func TestMappingsNameRealFieldsAndValues(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no mappings", err)
	}
	for _, name := range files {
		m := read(t, name)
		k := kindOf(t, m.Kind)
		for path, s := range m.Fields {
			f := k.Field(path)
			if f == nil {
				t.Errorf("%s: %s has no field %q", name, m.Kind, path)
				continue
			}
			values := []string{s.Value, s.Default}
			for _, v := range s.First {
				values = append(values, v)
			}
			for _, v := range values {
				if v != "" && f.Enum != nil && !slices.Contains(f.Enum, v) {
					t.Errorf("%s: %q is no value of %s", name, v, path)
				}
			}
		}
		for _, f := range k.Fields() {
			if _, ok := m.Fields[f.Path]; f.Required && !ok {
				t.Errorf("%s: %s is required and not mapped", name, f.Path)
			}
		}
	}
}

var identifier = regexp.MustCompile(`[^A-Za-z0-9]`)

func eval(t *testing.T, code string, row map[string]string) string {
	t.Helper()
	env := map[string]any{"row": row}
	for c, v := range row {
		env[identifier.ReplaceAllString(c, "_")] = v
	}
	out, err := expr.Eval(code, env)
	if err != nil {
		t.Fatalf("%s: %v", code, err)
	}
	s, ok := out.(string)
	if !ok {
		t.Fatalf("%s gives %v", code, out)
	}
	return s
}

func category(s source, row map[string]string) string {
	for _, part := range strings.Split(row[s.Column], s.Split) {
		for prefix, v := range s.First {
			if strings.HasPrefix(strings.TrimSpace(part), prefix) {
				return v
			}
		}
	}
	return s.Default
}

func TestHaiti2010Rows(t *testing.T) {
	m := read(t, "haiti2010.yaml")
	for _, c := range []struct{ title, in, verified, category, severity, as, state string }{
		{"Lost person", "1. Urgences | Emergency, ", "NO", "other", "severe", "Lost person", "reported"},
		{" Food &amp; water ", "1a. Highly vulnerable, 2. Urgences logistiques | Vital Lines, 2d. Refuge | Shelter needed, 2a. Penurie d'aliments | Food Shortage, ", "YES", "shelter", "severe", "Food & water", "verified"},
		{"&quot;Help&quot;", "1c. Personnes prises au piege | People trapped, 5a. Structure effondres | Collapsed structure, ", "NO", "rescue", "extreme", `"Help"`, "reported"},
		{"Clinic", "7. Secours | Services Available, 7d. Services de sante | Hospital/Clinics Operating, ", "NO", "health", "info", "Clinic", "reported"},
		{"News", "8e. Nouvelles de Personnes | Persons News, ", "NO", "missing-person", "info", "News", "reported"},
		{"Pernier", "2. Urgences logistiques | Vital Lines, 2f. Sans courant | Power Outage, ", "NO", "power", "moderate", "Pernier", "reported"},
		{"x", "2c. Eau contaminee | Contaminated water, ", "NO", "water", "moderate", "x", "reported"},
		{"x", "", "NO", "other", "moderate", "x", "reported"},
	} {
		row := map[string]string{"INCIDENT TITLE": c.title, "CATEGORY": c.in, "VERIFIED": c.verified}
		if got := category(m.Fields["category"], row); got != c.category {
			t.Errorf("%q: category %q, want %q", c.in, got, c.category)
		}
		if got := eval(t, m.Fields["severity"].Expr, row); got != c.severity {
			t.Errorf("%q: severity %q, want %q", c.in, got, c.severity)
		}
		if got := eval(t, m.Fields["title"].Expr, row); got != c.as {
			t.Errorf("%q: title %q, want %q", c.title, got, c.as)
		}
		if got := eval(t, m.State.Expr, row); got != c.state {
			t.Errorf("%q: state %q, want %q", c.verified, got, c.state)
		}
	}
}

func TestHaiti2010FitsTheRealFile(t *testing.T) {
	dir := os.Getenv("KONBIT_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, "incidents", "haiti2010_reports.csv"))
	if err != nil {
		t.Skip("the file is not here; set KONBIT_TESTDATA to the folder that holds incidents/haiti2010_reports.csv")
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	m := read(t, "haiti2010.yaml")
	k := kindOf(t, m.Kind)
	zone, err := time.LoadLocation(m.Observed.Zone)
	if err != nil {
		t.Fatal(err)
	}
	serials, others := map[string]bool{}, 0
	counts := map[string]int{}
	for n, cells := range rows[1:] {
		row := map[string]string{}
		for i, c := range rows[0] {
			row[c] = cells[i]
		}
		serials[row["Serial"]] = true
		if _, err := time.ParseInLocation(m.Observed.Layouts[0], row[m.Observed.Column], zone); err != nil {
			t.Errorf("row %d: %v", n+2, err)
		}
		cat := category(m.Fields["category"], row)
		counts[cat]++
		if cat == "other" {
			others++
		}
		if n%50 == 0 { // compiling an expression for each of 3,593 rows would be slow
			sev := eval(t, m.Fields["severity"].Expr, row)
			if !slices.Contains(k.Field("severity").Enum, sev) {
				t.Errorf("row %d: severity %q", n+2, sev)
			}
			if eval(t, m.Fields["title"].Expr, row) == "" {
				t.Errorf("row %d: no title", n+2)
			}
		}
	}
	if len(serials) != len(rows)-1 {
		t.Errorf("%d rows and %d serials: Serial is no key", len(rows)-1, len(serials))
	}
	if others*5 > len(rows) {
		t.Errorf("%d of %d rows are %q", others, len(rows)-1, "other")
	}
	if len(counts) < 15 {
		t.Errorf("only %d categories: %v", len(counts), counts)
	}
	t.Log(counts)
}
