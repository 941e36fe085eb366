package intake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"konbit/desk"
	"konbit/intake"
	. "konbit/kerneltest"
	"konbit/record"
	"konbit/store"
	"konbit/store/sqlite"
)

// drafts makes n creates with bodies of some 700 bytes.
func drafts(h *House, n int) []*intake.Command {
	rnd := rand.New(rand.NewPCG(7, 7))
	op := h.Reader("ht.cc/op", desk.Operator)
	words := make([]string, 3000)
	for i := range words {
		b := make([]byte, 3+rnd.IntN(8))
		for j := range b {
			b[j] = byte('a' + rnd.IntN(26))
		}
		words[i] = string(b)
	}
	some := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = words[int(float64(len(words))*rnd.Float64()*rnd.Float64())]
		}
		return strings.Join(out, " ")
	}
	cmds := make([]*intake.Command, n)
	for i := range cmds {
		d := At(Draft(Note{Title: some(6), Text: some(80), Category: Category([]string{"fire", "flood", "crime"}[rnd.IntN(3)]), Tags: []Tag{"water"}, Phone: fmt.Sprintf("+509 %08d", i)}), -74+3*rnd.Float64(), 18+2*rnd.Float64())
		cmds[i] = &intake.Command{ID: ID(), Kind: "note", Name: "create", Record: ID(), By: op, Draft: d}
	}
	return cmds
}

const benchBatch = 1000

// BenchmarkIntakeBatch has three batches under way, as an import does.
func BenchmarkIntakeBatch(b *testing.B) {
	h := New(b)
	batches := make(chan []*intake.Command, b.N)
	for range b.N {
		batches <- drafts(h, benchBatch)
	}
	close(batches)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for cmds := range batches {
				_, errs := h.Intake.DoAll(b.Context(), cmds)
				if err := errors.Join(errs...); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkBareBatch inserts what BenchmarkIntakeBatch leaves in the file.
func BenchmarkBareBatch(b *testing.B) {
	h := New(b)
	const batches = 20
	var in [][]*store.Item
	for range batches {
		h.Intake.DoAll(b.Context(), drafts(h, benchBatch))
	}
	var items []*store.Item
	h.Store.Entries(b.Context(), 0, -1, func(l *store.Logged) bool {
		var r record.Record
		if err := json.Unmarshal(l.Content, &r); err != nil {
			b.Fatal(err)
		}
		row, err := intake.Derive(h.Desks, &r)
		if err != nil {
			b.Fatal(err)
		}
		if items = append(items, &store.Item{Entry: l.Entry, Row: row, Command: l.Command}); len(items) == benchBatch {
			in = append(in, items)
			items = nil
		}
		return true
	})
	n := 0
	for b.Loop() {
		n++
		if err := sqlite.Bare(b.Context(), filepath.Join(b.TempDir(), fmt.Sprint(n, ".db")), in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*batches*benchBatch/b.Elapsed().Seconds(), "records/s")
}
