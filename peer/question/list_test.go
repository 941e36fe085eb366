package question

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestFunctionIsTheSameWithAndWithoutTheBlind(t *testing.T) {
	k, err := newKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newKey(bytes.Repeat([]byte{8}, 32))
	in := input("plate", "A123456")
	b, err := newBlind()
	if err != nil {
		t.Fatal(err)
	}
	fin, e, err := other.blind(in, b) // the asker knows no key
	if err != nil {
		t.Fatal(err)
	}
	out, proof, err := k.evaluate([][]byte{e})
	if err != nil {
		t.Fatal(err)
	}
	got, err := finish(fin, k.public, out[0], proof)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := k.of("plate", "A123456")
	if !bytes.Equal(got, want) {
		t.Error("they differ")
	}
	if _, err := finish(fin, other.public, out[0], proof); err == nil {
		t.Error("an answer under another key is accepted")
	}
	if tag(got, "do.911") == tag(got, "do.navy") {
		t.Error("a tag tells nothing of the agency")
	}
}

func TestPaddingHidesTheNumberAndStays(t *testing.T) {
	s := &Service{key: &key{}}
	sizes := map[int]int{0: 1024, 1: 1024, 1023: 1024, 1024: 2048, 5000: 8192}
	for n, want := range sizes {
		tags := make([]uint64, n)
		for i := range tags {
			tags[i] = rand.Uint64()
		}
		l := s.pad(slices.Clone(tags))
		if len(l) != want || !goodTotal(len(l)) || !slices.IsSorted(l) {
			t.Errorf("%d identifiers make a list of %d", n, len(l))
		}
		more := s.pad(append(slices.Clone(tags), rand.Uint64()))
		if len(more) != len(l) {
			continue
		}
		came := 0
		for _, x := range more {
			if _, ok := slices.BinarySearch(l, x); !ok {
				came++
			}
		}
		if came != 1 {
			t.Errorf("one more of %d changes %d tags", n, came)
		}
	}
}

func TestPartsPutTogetherAreTheList(t *testing.T) {
	for _, n := range []int{0, 1, 1024, 4096} {
		tags := []uint64{}
		for range n {
			tags = append(tags, rand.Uint64())
		}
		if n > 1 {
			tags[0], tags[1] = 0, 1<<64-1
		}
		slices.Sort(tags)
		for _, parts := range []int{16, 64, 4096} {
			if got := slices.Concat(split(tags, parts)...); !slices.Equal(got, tags) {
				t.Errorf("%d tags in %d parts: %d come back", n, parts, len(got))
			}
		}
	}
	l := newList(bytes.Repeat([]byte{1}, 32), []uint64{1, 5, 9}, time.UnixMicro(1777636800000000).UTC())
	if got := readList(writeList(l)); got == nil || !slices.Equal(got.tags, l.tags) || !got.at.Equal(l.at) || !bytes.Equal(got.sum, l.sum) {
		t.Errorf("%+v", got)
	}
}

func TestPartsThatDoNotFitAreRefused(t *testing.T) {
	c := &collecting{total: 1024, parts: make([][]uint64, 16)}
	if !c.takePart(onePart{15, pack([]uint64{1<<64 - 2, 1<<64 - 1})}) || !c.takePart(onePart{0, nil}) {
		t.Error("a good part is refused")
	}
	for name, p := range map[string]onePart{
		"no such part": {16, nil}, "below": {-1, nil}, "not whole": {0, make([]byte, 7)}, "of another part": {0, pack([]uint64{1<<64 - 1})},
		"unsorted": {0, pack([]uint64{2, 1})}, "far too long": {0, make([]byte, 8*2000)},
	} {
		if c.takePart(p) {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLimiterRefillsAndBoundsTheDay(t *testing.T) {
	l := limiter{limits: Limits{Minute: 60, Day: 100}}
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	took := 0
	for range 24 * 60 {
		for l.take("a", 1, now) {
			took++
		}
		now = now.Add(time.Minute)
	}
	if took < 190 || took > 201 { // what was full at the start, and a day's refill
		t.Errorf("%d in a day", took)
	}
	if !l.take("b", 60, now) || l.take("b", 1, now) || l.take("c", 61, now) {
		t.Error("names share a bucket, or the minute is not bounded")
	}
	if l.take("b", 1, now.Add(-time.Hour)) {
		t.Error("a clock that goes back refills")
	}
}

// BenchmarkAnswer is one evaluation with its proof, as a holder does it for each question.
func BenchmarkAnswer(b *testing.B) {
	k, err := newKey(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 8, 32} {
		b.Run(fmt.Sprint("batch=", n), func(b *testing.B) {
			var es [][]byte
			for i := range n {
				r, _ := newBlind()
				_, e, err := k.blind(input("plate", fmt.Sprint("AA", i)), r)
				if err != nil {
					b.Fatal(err)
				}
				es = append(es, e)
			}
			for b.Loop() {
				if _, _, err := k.evaluate(es); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}

// BenchmarkTag is what one identifier of ours costs when the list is made.
func BenchmarkTag(b *testing.B) {
	k, _ := newKey(make([]byte, 32))
	for b.Loop() {
		out, err := k.of("plate", "A123456")
		if err != nil {
			b.Fatal(err)
		}
		tag(out, "do.911")
	}
}

func TestPartsThatAreEachLongEnoughAreNotAllTaken(t *testing.T) {
	const total = 1 << 14
	n := partsOf(total)
	c := &collecting{total: total, parts: make([][]uint64, n)}
	taken := 0
	for i := range n {
		tags := make([]uint64, 16*total/n)
		for j := range tags {
			tags[j] = uint64(i)<<(64-8) + uint64(j)
		}
		if c.takePart(onePart{i, pack(tags)}) {
			taken += len(tags)
		}
	}
	if taken == 0 || taken > 2*total {
		t.Errorf("%d tags are kept of a list of %d", taken, total)
	}
}

func TestOneNodeDoesNotTakeAllPlacesInTheLine(t *testing.T) {
	var l line
	in := 0
	for range 10 * mostWait {
		if l.enter("konbit.node/a") {
			in++
		}
	}
	if in != mostWait || !l.enter("konbit.node/b") {
		t.Errorf("%d wait, and is there room for others?", in)
	}
	if l.leave("konbit.node/a"); !l.enter("konbit.node/a") {
		t.Error("there is no room after one has left")
	}
}
