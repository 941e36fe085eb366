package node_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"konbit/kerneltest"
	"konbit/record"
	"konbit/store"
)

// crowd is people who write reports at all processes, and remember what was
// acknowledged. Who is refused tries again with the same report at the next process.
type crowd struct {
	t   *testing.T
	h   *house
	at  []*process
	end context.CancelFunc
	all sync.WaitGroup

	mu      sync.Mutex
	acked   map[record.ID]string // titles
	tried   map[record.ID]string
	by      map[*process]int // acknowledged
	refused map[string]int   // "503 sentence"
	longest time.Duration    // that an answer took
}

// write lets so many people write.
func (h *house) write(people int, at ...*process) *crowd {
	ctx, cancel := context.WithCancel(h.t.Context())
	c := &crowd{t: h.t, h: h, at: at, end: cancel, acked: map[record.ID]string{}, tried: map[record.ID]string{}, by: map[*process]int{}, refused: map[string]int{}}
	for i := range people {
		c.all.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				c.one(ctx, i, fmt.Sprintf("No %d-%d", i, k))
			}
		})
	}
	h.t.Cleanup(c.stop)
	return c
}

// one gives one report until it is taken.
func (c *crowd) one(ctx context.Context, who int, title string) {
	id := kerneltest.ID()
	told := draft(id, title) // the same each time
	c.mu.Lock()
	c.tried[id] = title
	c.mu.Unlock()
	for ; ctx.Err() == nil; who++ {
		p := c.at[who%len(c.at)]
		begun := time.Now()
		a, err := p.tell(c.h.token, told)
		took := time.Since(begun)
		c.mu.Lock()
		c.longest = max(c.longest, took)
		switch {
		case err != nil:
			c.refused["no answer: "+err.Error()]++
		case a.code == http.StatusCreated || a.code == http.StatusOK:
			c.acked[id] = title
			c.by[p]++
			c.mu.Unlock()
			return
		default:
			c.refused[fmt.Sprint(a.code, " ", a.detail())]++
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends it; what is under way gets its answer.
func (c *crowd) stop() {
	c.end()
	c.all.Wait()
}

// count returns how many reports each process has acknowledged.
func (c *crowd) count() (out []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.at {
		out = append(out, c.by[p])
	}
	return out
}

// more waits until each process has acknowledged so many more.
func (c *crowd) more(n int, patience time.Duration) {
	c.t.Helper()
	c.moreThan(c.count(), n, patience)
}

func (c *crowd) moreThan(before []int, n int, patience time.Duration) {
	c.t.Helper()
	end := time.Now().Add(patience)
	for {
		now, ok := c.count(), true
		for i := range now {
			ok = ok && now[i] >= before[i]+n
		}
		if ok {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("after %s each process has acknowledged %v, before it was %v; refusals:\n%s", patience, now, before, c.refusals())
		}
		<-time.After(10 * time.Millisecond)
	}
}

// answers waits until so many answers came, whatever they say.
func (c *crowd) answers(n int, patience time.Duration) {
	c.t.Helper()
	all := func() (n int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, k := range c.refused {
			n += k
		}
		return n + len(c.acked)
	}
	had := all()
	until(c.t, fmt.Sprint(n, " answers come"), patience, func() bool { return all() >= had+n })
}

// refusals lists what people were told, and how often.
func (c *crowd) refusals() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out strings.Builder
	for _, s := range slices.Sorted(maps.Keys(c.refused)) {
		fmt.Fprintf(&out, "%6d  %s\n", c.refused[s], s)
	}
	return out.String()
}

// hears waits until somebody is told what begins so, and forgets what was said before.
func (c *crowd) hears(patience time.Duration, sentences ...string) {
	c.t.Helper()
	c.mu.Lock()
	clear(c.refused)
	c.mu.Unlock()
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		c.mu.Lock()
		for said := range c.refused {
			if slices.ContainsFunc(sentences, func(s string) bool { return strings.HasPrefix(said, s) }) {
				c.mu.Unlock()
				return
			}
		}
		c.mu.Unlock()
		if time.Now().After(end) {
			c.t.Fatalf("within %s nobody is told %q, but:\n%s", patience, sentences, c.refusals())
		}
	}
}

// onlyTold fails the test when anybody was told something else.
func (c *crowd) onlyTold(sentences ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for said, n := range c.refused {
		if !slices.ContainsFunc(sentences, func(s string) bool { return strings.HasPrefix(said, s) }) {
			c.t.Errorf("%d times people were told %q", n, said)
		}
	}
}

// kept holds what was acknowledged against what a process has: each report is there
// once, and says what was told; and nothing is there that nobody told.
func (c *crowd) kept(p *process) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	times := map[record.ID]int{}
	if err := p.n.Store.Entries(c.t.Context(), 0, -1, func(l *store.Logged) bool {
		if l.Type == "change" {
			times[record.ID(l.Record)]++
		}
		return true
	}); err != nil {
		c.t.Fatal(err)
	}
	lost := 0
	for id, title := range c.acked {
		s, err := p.n.Store.Get(c.t.Context(), id)
		if err != nil || times[id] != 1 || !strings.Contains(string(s.Raw), `"`+title+`"`) {
			if lost++; lost < 5 {
				c.t.Errorf("%s (%s) was acknowledged and is there %d times: %v", id, title, times[id], err)
			}
		}
	}
	if lost > 0 {
		c.t.Errorf("%d of %d acknowledged reports are not there as they were told", lost, len(c.acked))
	}
	for id, title := range c.tried {
		if times[id] > 1 {
			c.t.Errorf("%s (%s) is there %d times", id, title, times[id])
		}
	}
	c.h.verified()
}

// watcher is somebody who has the console open: its stream ends and is taken up again
// by its cursor, at the next process.
type watcher struct {
	t      *testing.T
	end    context.CancelFunc
	all    sync.WaitGroup
	mu     sync.Mutex
	titles []string
	resets int
}

// watch opens a stream, and returns when it has begun.
func (h *house) watch(at ...*process) *watcher {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	w := &watcher{t: h.t, end: cancel}
	begun := make(chan struct{})
	in := make(chan [2]string)
	var cursor string
	w.all.Go(func() {
		once := sync.OnceFunc(func() { close(begun) })
		for k := 0; ctx.Err() == nil; k++ {
			ended := make(chan error, 1)
			r, err := http.NewRequestWithContext(ctx, "GET", at[k%len(at)].url+"/api/v1/feed?cursor="+cursor, nil)
			if err != nil {
				h.t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+h.token)
			go func() { ended <- events(r, in) }()
			for open := true; open; {
				select {
				case e := <-in:
					once()
					w.mu.Lock()
					if cursor = e[1]; e[0] != "" {
						w.titles = append(w.titles, e[0])
					}
					w.mu.Unlock()
				case err := <-ended:
					if err == errReset {
						w.mu.Lock()
						w.resets++
						w.mu.Unlock()
					}
					open = false
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	h.t.Cleanup(w.stop)
	select {
	case <-begun:
	case <-time.After(10 * time.Second):
		h.t.Fatal("the stream does not begin")
	}
	return w
}

func (w *watcher) stop() {
	w.end()
	w.all.Wait()
}

// saw waits until everything that was acknowledged was shown, and fails the test when
// something was shown twice, or was never told by them; also is what others told.
func (w *watcher) saw(c *crowd, patience time.Duration, also ...string) {
	w.t.Helper()
	var missing string
	end := time.Now().Add(patience)
	for {
		w.mu.Lock()
		shown := map[string]int{}
		for _, s := range w.titles {
			shown[s]++
		}
		resets := w.resets
		w.mu.Unlock()
		c.mu.Lock()
		missing = ""
		for _, title := range c.acked {
			if shown[title] == 0 {
				missing = title
			}
			delete(shown, title)
		}
		for _, title := range c.tried {
			delete(shown, title)
		}
		for _, title := range also {
			delete(shown, title)
		}
		c.mu.Unlock()
		if len(shown) > 0 {
			w.t.Errorf("shown and never told: %v", shown)
		}
		if missing == "" || resets > 0 {
			break
		}
		if time.Now().After(end) {
			w.t.Errorf("%q was acknowledged and is not shown", missing)
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.resets > 0 {
		w.t.Errorf("the stream was reset %d times", w.resets)
	}
	seen := map[string]bool{}
	for _, s := range w.titles {
		if seen[s] {
			w.t.Errorf("%q was shown twice", s)
		}
		seen[s] = true
	}
}
