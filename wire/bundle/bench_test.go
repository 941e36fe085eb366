package bundle

import (
	"bytes"
	"fmt"
	"testing"
)

// sizes are bundles of about 32 KiB, 256 KiB and 1 MiB, and of one record.
var sizes = []struct {
	name string
	n    int
}{{"one", 1}, {"32KiB", 210}, {"256KiB", 1750}, {"1MiB", 7000}}

func bench(b *testing.B, run func(b *testing.B, items []Item)) {
	for _, lively := range []bool{false, true} {
		for _, s := range sizes {
			items := sample(s.n, lively)
			b.Run(fmt.Sprintf("lively=%v/%s", lively, s.name), func(b *testing.B) {
				run(b, items)
				b.ReportMetric(float64(b.N)*float64(s.n)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	id := newIdentity(b)
	bench(b, func(b *testing.B, items []Item) {
		b.ReportAllocs()
		size := 0
		for b.Loop() {
			sealed, err := Seal(header(Normal, 0, int64(len(items))), items, id.Recipient(), link)
			if err != nil {
				b.Fatal(err)
			}
			size = len(sealed)
		}
		b.ReportMetric(float64(size)/float64(len(items)), "B/record")
		b.ReportMetric(float64(size), "B/bundle")
	})
}

func BenchmarkOpen(b *testing.B) {
	id := newIdentity(b)
	bench(b, func(b *testing.B, items []Item) {
		sealed, err := Seal(header(Normal, 0, int64(len(items))), items, id.Recipient(), link)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			_, got, err := Open(sealed, known, id)
			if err != nil || len(got) != len(items) || !bytes.Equal(got[0].Payload, items[0].Payload) {
				b.Fatal(len(got), err)
			}
		}
	})
}
