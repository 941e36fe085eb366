package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func benchEntry() Entry {
	e := testEntry(0)
	e.Content = bytes.Repeat([]byte("x"), 800)
	e.Sig = Sign(ownerKey, nil, e.Content)
	e.Commitment = mustCommit(&e)
	return e
}

func BenchmarkCommit(b *testing.B) {
	e, s := benchEntry(), new(Scratch)
	b.SetBytes(int64(len(e.Content)))
	b.ReportAllocs()
	for b.Loop() {
		Commit(s, &e)
	}
}

// BenchmarkSHA256 is the floor under BenchmarkCommit: one hash over as many bytes as its two.
func BenchmarkSHA256(b *testing.B) {
	buf := make([]byte, 1083)
	for b.Loop() {
		sha256.Sum256(buf)
	}
}

func BenchmarkSign(b *testing.B) {
	e, s := benchEntry(), new(Scratch)
	b.ReportAllocs()
	for b.Loop() {
		Sign(ownerKey, s, e.Content)
	}
}

func BenchmarkVerifySig(b *testing.B) {
	e, s := benchEntry(), new(Scratch)
	b.ReportAllocs()
	for b.Loop() {
		if !verifySig(s, public(ownerKey), e.Content, e.Sig) {
			b.Fatal("refused")
		}
	}
}

// BenchmarkAppend is per entry, in batches of 256.
func BenchmarkAppend(b *testing.B) {
	cs := commitments(0, 256)
	t := new(Tree)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%256 == 0 {
			t.Append(cs)
		}
	}
}

// BenchmarkAppendByTlog is the same tree kept by tlog, every node stored, per entry.
func BenchmarkAppendByTlog(b *testing.B) {
	r := new(reference)
	c := commitment(0)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		hs, _ := tlog.StoredHashes(i, c[:], r)
		r.stored = append(r.stored, hs...)
	}
}

func BenchmarkClone(b *testing.B) {
	_, t := newShelf(1<<16 - 1)
	b.ReportAllocs()
	for b.Loop() {
		t.Clone()
	}
}

func BenchmarkProveInclusion(b *testing.B) {
	s, t := newShelf(bigSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ProveInclusion(context.Background(), s, t.Size(), 12345); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifier is per batch of 1024 signed entries of 800 bytes.
func BenchmarkVerifier(b *testing.B) {
	e := benchEntry()
	es := make([]Entry, 1024)
	b.ReportAllocs()
	v := NewVerifier(testKeys, nil)
	for b.Loop() {
		for i := range es {
			es[i] = e
			es[i].Seq = v.tree.size + int64(i)
		}
		if err := v.AddBatch(context.Background(), es); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(v.tree.size)/b.Elapsed().Seconds(), "entries/s")
}
