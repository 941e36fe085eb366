package peer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/record"
	"konbit/wire/bundle"
)

// BenchmarkStream measures records from one node's shares to rows and index of
// another, through bundles, in one process.
func BenchmarkStream(b *testing.B) {
	_, from, to_ := pair(b)
	by := from.operator("ht.cc")
	var cmds []*intake.Command
	for i := range max(b.N, 2000) {
		d := kerneltest.At(kerneltest.Draft(kerneltest.Note{Title: fmt.Sprintf("Report %d of the evening", i), Text: strings.Repeat(fmt.Sprintf("the road to %d is under water ", i%97), 8)}), -72+float64(i%1000)/500, 18.5)
		d.Marking = record.Marking{TLP: record.Amber, To: []string{"do.911"}}
		cmds = append(cmds, &intake.Command{Kind: "note", Name: desk.Create, Record: kerneltest.ID(), By: by, Draft: d})
	}
	if _, errs := from.intake.DoAll(b.Context(), cmds); errs[0] != nil {
		b.Fatal(errs[0])
	}
	from.step()
	node := from.trust.Node(to_.keys.name)
	b.ResetTimer()
	start, wire, after, opened := time.Now(), 0, int64(0), time.Duration(0)
	for {
		raw, h, err := from.x.nextBundle(b.Context(), node, bundle.Normal, after, 512<<10)
		if err != nil {
			b.Fatal(err)
		}
		if raw == nil {
			break
		}
		wire, after = wire+len(raw), h.UpTo
		t := time.Now()
		if _, err := to_.x.arrived(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
		opened += time.Since(t)
	}
	n := float64(len(cmds))
	b.ReportMetric(n/time.Since(start).Seconds(), "records/s")
	b.ReportMetric(n/opened.Seconds(), "applied/s")
	b.ReportMetric(float64(wire)/n, "B/record")
}
