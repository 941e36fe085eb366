package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"konbit/account"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/node"
	"konbit/record"
)

func TestTwoProcessesKeepOneLedgerInOneOrder(t *testing.T) {
	h := newHouse(t)
	h.people()
	a, b := h.start(), h.start()
	const each = 40
	var wg sync.WaitGroup
	seqs := make([][]int64, 4)
	for i := range seqs {
		p := []*process{a, b}[i%2]
		wg.Go(func() {
			for k := range each {
				got, err := p.n.Intake.Do(t.Context(), report(kerneltest.ID(), fmt.Sprintf("Water %d-%d", i, k)))
				if err != nil {
					t.Error(err)
					return
				}
				seqs[i] = append(seqs[i], got.Seq)
			}
		})
	}
	wg.Wait()
	var all []int64
	for _, s := range seqs {
		if !slices.IsSorted(s) {
			t.Errorf("positions go back: %v", s)
		}
		all = append(all, s...)
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != each*len(seqs) {
		t.Errorf("%d positions for %d reports", n, each*len(seqs))
	}
	until(t, "both have followed the ledger", 5*time.Second, func() bool { return a.n.Intake.Size() == b.n.Intake.Size() })
	if fault, _, err := a.n.Verify(t.Context(), func(int64, int64) {}); fault != nil || err != nil {
		t.Errorf("%v %v", fault, err)
	}
}

func TestTwoProcessesDecideOnOneRecordOneAfterTheOther(t *testing.T) {
	h := newHouse(t)
	h.people()
	a, b := h.start(), h.start()
	id := kerneltest.ID()
	if _, err := a.n.Intake.Do(t.Context(), report(id, "One ambulance")); err != nil {
		t.Fatal(err)
	}
	// Both saw version 1, both act on it.
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, p := range []*process{a, b} {
		wg.Go(func() {
			_, errs[i] = p.n.Intake.Do(t.Context(), &intake.Command{ID: kerneltest.ID(), Kind: "incident", Name: "verify", Record: id, Version: 1, By: ana})
		})
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("both or none: %v, %v", errs[0], errs[1])
	}
	for _, err := range errs {
		if c := record.CodeOf(err); err != nil && c != record.Conflict && c != record.Stale {
			t.Error(err)
		}
	}
}

func TestProcessesThatStartAtOnceOnAnEmptyFolderHaveOneKey(t *testing.T) {
	h := newHouse(t)
	names := make([]string, 4)
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() {
			n, err := node.Open(t.Context(), node.Config{Data: h.data, Store: h.store, Hash: account.HashCost{Memory: 8, Passes: 1}})
			if err != nil {
				t.Error(err)
				return
			}
			names[i] = n.Keys.Verifier
			n.Close()
		})
	}
	wg.Wait()
	if slices.Sort(names); len(slices.Compact(names)) != 1 {
		t.Errorf("keys: %q", names)
	}
}

func TestCommandGivenToBothIsDoneOnce(t *testing.T) {
	h := newHouse(t)
	h.people()
	a, b := h.start(), h.start()
	c := report(kerneltest.ID(), "Twice")
	again := *c
	first, err := a.n.Intake.Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.n.Intake.Do(t.Context(), &again)
	if err != nil || second.Seq != first.Seq || second.Status != intake.Unchanged {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestOneProcessIsOnDutyAndAnotherTakesOver(t *testing.T) {
	h := newHouse(t)
	h.people()
	ps := []*process{h.start(), h.start(), h.start()}
	until(t, "one is on duty", 5*time.Second, func() bool { return len(onDuty(ps...)) == 1 })
	for len(ps) > 1 {
		one := onDuty(ps...)[0]
		one.stop()
		ps = slices.DeleteFunc(ps, func(p *process) bool { return p == one })
		until(t, "another one has taken over", 5*time.Second, func() bool { return len(onDuty(ps...)) == 1 })
	}
}

func TestBrowserIsServedByAnyProcess(t *testing.T) {
	h := newHouse(t)
	h.people()
	ps := []*process{h.start(), h.start()}
	until(t, "one is on duty", 5*time.Second, func() bool { return len(onDuty(ps...)) == 1 })
	b := &browser{t: t, at: ps}
	b.signIn("ht.cc/root")
	until(t, "both know of each other", 5*time.Second, func() bool {
		n := 0
		for range ps {
			_, v := b.ask("GET", "/api/v1/status", nil)
			if all, _ := v["processes"].([]any); len(all) == len(ps) {
				n++
			}
		}
		return n == len(ps)
	})
	for range 4 {
		// The hat is changed at one process, and asked for at the other.
		for _, hat := range []string{"ht.pnh", "ht.cc"} {
			if code, v := b.ask("PATCH", "/api/v1/session", map[string]string{"hat": hat}); code != 200 {
				t.Fatalf("%d %v", code, v)
			}
			if code, v := b.ask("GET", "/api/v1/session", nil); code != 200 || !strings.Contains(fmt.Sprint(v["hat"]), hat) {
				t.Fatalf("%d %v, want %s", code, v, hat)
			}
			b.n++ // the other way around
		}
	}
	for _, theme := range []string{"dark", "light", "dark"} {
		if code, v := b.ask("PATCH", "/api/v1/session", map[string]string{"theme": theme}); code != 200 {
			t.Fatalf("%d %v", code, v)
		}
		for range ps {
			if _, v := b.ask("GET", "/api/v1/session", nil); !strings.Contains(fmt.Sprint(v["person"]), "theme:"+theme) {
				t.Fatalf("%v, want %s", v["person"], theme)
			}
		}
	}
	for i := range 3 { // a person who is added at one signs in at the other
		id := fmt.Sprintf("ht.cc/new%d", i)
		code, v := b.ask("POST", "/api/v1/people", map[string]any{"id": id, "name": "New", "lang": "fr", "password": twinPassword,
			"grants": []map[string]string{{"agency": "ht.cc", "desk": "*", "role": "viewer"}}})
		if code >= 300 {
			t.Fatalf("%d %v", code, v)
		}
		(&browser{t: t, at: ps, n: b.n}).signIn(id)
		b.n++
	}
	for range 2 { // what only the one on duty knows is answered by both
		if code, v := b.ask("GET", "/api/v1/peers", nil); code != 200 || v["self"] == nil {
			t.Errorf("%d %v", code, v)
		}
		if code, v := b.ask("GET", "/api/v1/status", nil); code != 200 || len(v["processes"].([]any)) != 2 {
			t.Errorf("%d %v", code, v)
		}
	}
}

func TestReaderResumesAtAnotherProcessWithoutGapOrRepeat(t *testing.T) {
	h := newHouse(t)
	h.people()
	ps := []*process{h.start(), h.start()}
	b := &browser{t: t, at: ps}
	b.signIn("ht.cc/ana")
	const many = 120
	begun := make(chan struct{})
	go func() { // the writer writes at both, without a pause
		<-begun
		for i := range many {
			if _, err := ps[i%2].n.Intake.Do(t.Context(), report(kerneltest.ID(), fmt.Sprintf("No %03d", i))); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	var titles []string
	cursor, once := "", sync.OnceFunc(func() { close(begun) })
	for turn := 0; len(titles) < many; turn++ {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		ended := make(chan error, 1)
		in := make(chan [2]string)
		go func() { ended <- b.follow(ctx, ps[turn%2], cursor, in) }()
		n := 0
	read:
		for {
			select {
			case e := <-in:
				cursor = e[1]
				if e[0] == "" {
					once()
					continue
				}
				titles = append(titles, e[0])
				if n++; n == 7 || len(titles) == many { // the reader goes to the other process
					break read
				}
			case err := <-ended:
				t.Fatalf("after %d: %v", len(titles), err)
			}
		}
		cancel()
		go func() {
			for range in {
			}
		}()
		<-ended
	}
	for i, s := range titles {
		if want := fmt.Sprintf("No %03d", i); s != want {
			t.Fatalf("event %d is %q, want %q", i, s, want)
		}
	}
}
