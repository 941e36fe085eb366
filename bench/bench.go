// Package bench measures a machine against the figures to beat: each figure
// stands beside a baseline that is measured in the same run, because an absolute
// time from a shared machine is no figure.
//
// It works in a folder of its own and on loopback alone. It must never touch a
// node's data.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/node"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Row is one figure.
type Row struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Baseline float64 `json:"baseline,omitempty"` // measured in the same run; 0: none
	Ratio    float64 `json:"ratio,omitempty"`    // value over baseline
	Reach    string  `json:"reach"`              // what is to be reached
	OK       bool    `json:"ok"`
	Method   string  `json:"method"`
}

// Options says what to measure.
type Options struct {
	Dir     string // a folder for temporary data; "": the system's
	Binary  string // the konbit binary, for memory and start-up; "": these are left out
	Records int    // size of the large node
	Only    string // measure only rows whose group begins with this
	Log     io.Writer

	Scale    int    // records of the group scale
	Postgres string // postgres://... of a database that may be filled; "": what needs one is left out
}

// Run measures everything and returns the rows.
func Run(ctx context.Context, o Options) (rows []Row, err error) {
	if o.Records == 0 {
		o.Records = 1_000_000
	}
	dir, err := os.MkdirTemp(o.Dir, "konbit-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	groups := []struct {
		name  string
		run   func(context.Context, string, Options) ([]Row, error)
		apart bool // only when it is asked for
	}{{name: "intake", run: intakeRows}, {name: "http", run: httpRows}, {name: "live", run: liveRows}, {name: "large", run: largeRows}, {name: "small", run: smallRows}, {name: "size", run: sizeRows},
		{name: "peer", run: peerRows}, {name: "postgres", run: postgresRows}, {name: "scale", run: scaleRows, apart: true}, {name: "capacity", run: capacityRows, apart: true}}
	for _, g := range groups {
		if o.Only == "" && g.apart || !strings.HasPrefix(g.name, o.Only) {
			continue
		}
		if g.name == "postgres" && o.Only == "" && o.Postgres == "" {
			fmt.Fprintln(o.Log, "not measuring postgres: no database is named (--postgres)")
			continue
		}
		fmt.Fprintf(o.Log, "measuring %s ...\n", g.name)
		sub := filepath.Join(dir, g.name)
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return rows, err
		}
		got, err := g.run(ctx, sub, o)
		rows = append(rows, got...)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", g.name, err)
		}
		if err := os.RemoveAll(sub); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// Print writes the rows as a table.
func Print(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tVALUE\tBASELINE\tRATIO\tREACH\t")
	for _, r := range rows {
		base, ratio := "", ""
		if r.Baseline != 0 {
			base, ratio = number(r.Baseline), fmt.Sprintf("%.2f", r.Ratio)
		}
		mark := "ok"
		if !r.OK {
			mark = "MISSED"
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\t%s\n", r.Name, number(r.Value), r.Unit, base, ratio, r.Reach, mark)
	}
	return t.Flush()
}

func number(v float64) string {
	if math.Abs(v) >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Save writes the rows as a JSON list.
func Save(path string, rows []Row) error {
	b, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Machine says in one line what the figures were measured on.
func Machine() string {
	return fmt.Sprintf("konbit %s on %s/%s, %d processors, %s", node.Version, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

func ratio(r Row) Row {
	if r.Baseline != 0 {
		r.Ratio = r.Value / r.Baseline
	}
	return r
}

const agency, other, kind = "ht.cc", "do.911", "incident"

// open makes a node with two agencies and one operator, and cheap passwords.
func open(ctx context.Context, dir string) (*node.Node, *policy.Reader, error) {
	return openOn(ctx, dir, "")
}

// openOn is open for a node whose store is not the file in its folder.
func openOn(ctx context.Context, dir, spec string) (*node.Node, *policy.Reader, error) {
	n, err := node.Open(ctx, node.Config{Data: dir, Store: spec, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	if len(n.Accounts.Directory().Agencies) == 0 {
		for _, a := range []store.Agency{{ID: agency, Name: "Command centre", Country: "HT", Communities: []string{"@hispaniola"}, Local: true}, {ID: other, Name: "9-1-1", Country: "DO", Communities: []string{"@hispaniola"}, Local: true}} {
			if _, err := n.Accounts.AddAgency(ctx, account.Node, a); err != nil {
				return nil, nil, err
			}
		}
		for _, id := range []string{agency, other} {
			if _, err := n.Accounts.AddPerson(ctx, account.Node, store.Person{ID: id + "/op", Name: "Operator", Lang: "en", Grants: []store.Grant{{Agency: id, Desk: "*", Role: desk.Supervisor}}}, ""); err != nil {
				return nil, nil, err
			}
		}
	}
	r, err := n.Accounts.Reader(agency+"/op", agency, nil, "")
	return n, r, err
}

// maker makes realistic incidents: words with the frequencies of a language,
// places around the towns of Hispaniola, markings as a region would give them.
type maker struct {
	r     *rand.Rand
	words []string
	towns [][2]float64
	start time.Time
}

func newMaker(seed uint64, start time.Time) *maker {
	m := &maker{r: rand.New(rand.NewPCG(seed, 1)), start: start}
	syllables := []string{"ka", "ri", "mo", "len", "pò", "tè", "bwa", "chan", "dlo", "fè", "gwo", "lan", "mas", "nò", "pi", "san", "té", "vil", "wout", "za"}
	w := rand.New(rand.NewPCG(7, 7))
	for range 6000 {
		var s strings.Builder
		for range 1 + w.IntN(3) {
			s.WriteString(syllables[w.IntN(len(syllables))])
		}
		m.words = append(m.words, s.String())
	}
	for range 120 {
		m.towns = append(m.towns, [2]float64{-74.4 + w.Float64()*5.8, 18.1 + w.Float64()*1.7})
	}
	return m
}

// word draws from a Zipf-like distribution.
func (m *maker) word() string {
	return m.words[int(float64(len(m.words))*math.Pow(m.r.Float64(), 3))]
}

func (m *maker) text(n int) string {
	var s strings.Builder
	for i := range n {
		if i > 0 {
			s.WriteByte(' ')
		}
		s.WriteString(m.word())
	}
	return s.String()
}

// place draws a position near a town.
func (m *maker) place() (lon, lat float64) {
	t := m.towns[int(float64(len(m.towns))*math.Pow(m.r.Float64(), 2))]
	return t[0] + m.r.NormFloat64()*0.05, t[1] + m.r.NormFloat64()*0.05
}

var (
	categories = []string{"armed-clash", "fire", "medical", "traffic", "road-blocked", "flood", "water", "food", "shelter", "robbery"}
	severities = []string{"info", "minor", "minor", "moderate", "moderate", "severe", "extreme"}
	colours    = []record.Marking{{TLP: record.Amber}, {TLP: record.Amber}, {TLP: record.Amber, To: []string{other}}, {TLP: record.Green}, {TLP: record.Clear}, {TLP: record.AmberStrict}}
)

// draft makes one incident observed at a time.
func (m *maker) draft(at time.Time) (record.ID, *record.Place, record.Marking, json.RawMessage) {
	lon, lat := m.place()
	body, _ := json.Marshal(map[string]any{
		"title": m.text(6), "category": categories[m.r.IntN(len(categories))], "severity": severities[m.r.IntN(len(severities))],
		"narrative": m.text(22), "affected": m.r.IntN(200), "source": map[string]string{"type": "call", "grade": "B", "content": "2"},
	})
	p := &record.Place{Geometry: record.Point(math.Round(lon*1e5)/1e5, math.Round(lat*1e5)/1e5), Uncertainty: 250, Words: m.text(3)}
	return record.NewID(at), p, colours[m.r.IntN(len(colours))], body
}

// quantile returns the q-th quantile of the durations in milliseconds.
func quantile(ds []time.Duration, q float64) float64 {
	if len(ds) == 0 {
		return math.NaN()
	}
	s := slices.Clone(ds)
	slices.Sort(s)
	return float64(s[min(len(s)-1, int(q*float64(len(s))))].Microseconds()) / 1000
}

func median(vs []float64) float64 {
	s := slices.Clone(vs)
	slices.Sort(s)
	return s[len(s)/2]
}
