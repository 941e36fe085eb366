package bus

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"konbit/nodetest/cable"
	"konbit/record"
)

func TestMessagesFlowInsideTheProcessWithoutASocket(t *testing.T) {
	whole(t)
	b := open(t, Config{Echo: true})
	if why, _, _ := b.Away(); why != "" {
		t.Errorf("away right after Open: %s", why)
	}
	if b.server.Addr() != nil || b.URL() != "" {
		t.Errorf("it listens at %v", b.server.Addr())
	}
	heard := hear(t, b, "grown", 1)
	b.Publish("grown", []byte("42"))
	expect(t, heard, "42")
	b.Publish("grown", nil)
	expect(t, heard, "")
}

func TestTwoProcessesHearEachOtherAndNotThemselves(t *testing.T) {
	whole(t)
	one := open(t, Config{Listen: "127.0.0.1:0"})
	two := open(t, Config{URL: one.URL()})
	other := open(t, Config{URL: one.URL(), Node: "ht_pnh"})
	atOne, atTwo, atOther := hear(t, one, "grown", 8), hear(t, two, "grown", 8), hear(t, other, "grown", 8)
	one.Publish("grown", []byte("from one"))
	expect(t, atTwo, "from one")
	two.Publish("grown", []byte("from two"))
	expect(t, atOne, "from two") // the first that it hears: its own did not come back
	other.Publish("grown", []byte("from another node"))
	two.Publish("grown", []byte("again"))
	expect(t, atOne, "again")
	if len(atOther) > 0 {
		t.Errorf("another node hears %q", <-atOther)
	}
}

func TestPublishedBeforeCloseArrives(t *testing.T) {
	whole(t)
	s := serveNATS(t, server.Options{})
	two := open(t, Config{URL: at(s.Addr())})
	heard := hear(t, two, "grown", atHand)
	one := open(t, Config{URL: at(s.Addr())})
	flowing(t, one)
	for i := range 100 {
		one.Publish("grown", fmt.Append(nil, i))
	}
	one.Close()
	for i := range 100 {
		expect(t, heard, fmt.Sprint(i))
	}
	if why, _, _ := one.Away(); why != "the bus is closed" {
		t.Errorf("away after Close: %q", why)
	}
	one.Publish("grown", nil)
	one.Subscribe("grown", 1, func([]byte) { t.Error("called after Close") })()
	one.Close()
}

func TestCancelledSubscriberHearsNoMore(t *testing.T) {
	whole(t)
	b := open(t, Config{Echo: true})
	gone := make(chan string, 8)
	cancel := b.Subscribe("grown", 1, func(p []byte) { gone <- string(p) })
	expect(t, gone, "")
	cancel()
	heard := hear(t, b, "grown", 1)
	b.Publish("grown", []byte("1"))
	expect(t, heard, "1")
	if len(gone) > 0 {
		t.Errorf("a cancelled subscriber hears %q", <-gone)
	}
	cancel()
}

// TestBurstIsOneCall floods a subscriber who is at work. That is all that a forger can do.
func TestBurstIsOneCall(t *testing.T) {
	whole(t)
	s := serveNATS(t, server.Options{})
	b := open(t, Config{URL: at(s.Addr())})
	calls, proceed := make(chan string), make(chan bool)
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	cancel := b.Subscribe("grown", 1, func(p []byte) {
		calls <- string(p)
		<-proceed
	})
	defer cancel()
	expect(t, calls, "")

	forger := stranger(t, s)
	for i := range 10_000 {
		forger.Publish("konbit.ht_2epnh.grown", fmt.Append(nil, i))
	}
	forger.Publish("konbit.ht_2epnh.end", nil)
	forger.Flush()
	await(t, "the last has come", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		w := b.subs["grown"][0]
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.waiting) == 1 && string(w.waiting[0]) == "9999"
	})
	proceed <- true
	expect(t, calls, "9999")
	release()
	if _, in := b.Dropped(); in != 0 {
		t.Errorf("%d wake-ups that a newer one replaced count as dropped", in)
	}
}

func TestSlowSubscriberHoldsUpNobody(t *testing.T) {
	whole(t)
	one := open(t, Config{Listen: "127.0.0.1:0"})
	two := open(t, Config{URL: one.URL()})
	flowing(t, two)
	stuck, proceed := make(chan string, 16), make(chan bool)
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	one.Subscribe("track", 10, func(p []byte) {
		stuck <- string(p)
		<-proceed
	})
	expect(t, stuck, "")
	quick, elsewhere := hear(t, one, "track", 10), hear(t, one, "grown", 1)
	for i := range 1000 {
		two.Publish("track", fmt.Append(nil, i))
		expect(t, quick, fmt.Sprint(i))
	}
	two.Publish("grown", []byte("through"))
	expect(t, elsewhere, "through")
	if _, in := one.Dropped(); in != 990 {
		t.Errorf("%d dropped, want 990", in)
	}
	release()
	for i := range 10 {
		expect(t, stuck, fmt.Sprint(990+i)) // the newest
	}
}

// TestPublishNeverBlocks sends to a server that has stopped reading.
func TestPublishNeverBlocks(t *testing.T) {
	whole(t)
	s := serveNATS(t, server.Options{})
	var w cable.Wire
	b := open(t, Config{URL: at(wire(t, &w, s.Addr().String()))})
	flowing(t, b)
	w.Silence()
	payload, longest := make([]byte, MaxPayload), time.Duration(0)
	for lost := int64(0); lost < 100; lost, _ = b.Dropped() {
		began := time.Now()
		b.Publish("track", payload)
		longest = max(longest, time.Since(began))
	}
	if longest > patience/2 { // a write that does not get through takes all of it
		t.Errorf("Publish took %v", longest)
	}
	says(t, b, "no answer in time")
	before, _ := b.Dropped()
	b.Publish("track", payload)
	if after, _ := b.Dropped(); after != before+1 {
		t.Error("what is published while the bus is away does not count as dropped")
	}
	w.Mend()
	flowing(t, b)
}

func TestLongPayloadIsDropped(t *testing.T) {
	whole(t)
	s := serveNATS(t, server.Options{})
	one, two := open(t, Config{URL: at(s.Addr())}), open(t, Config{URL: at(s.Addr())})
	heard := hear(t, one, "grown", 8)
	flowing(t, two)
	two.Publish("grown", make([]byte, MaxPayload+1))
	if out, _ := two.Dropped(); out != 1 {
		t.Errorf("%d dropped by who sends", out)
	}
	forger := stranger(t, s)
	forger.Publish("konbit.ht_2epnh.grown", make([]byte, MaxPayload+1))
	forger.Publish("konbit.ht_2epnh.grown", []byte("short"))
	expect(t, heard, "short")
	if _, in := one.Dropped(); in != 1 {
		t.Errorf("%d dropped by who gets", in)
	}
	longest := bytes.Repeat([]byte("x"), MaxPayload)
	two.Publish("grown", longest)
	expect(t, heard, string(longest))
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	whole(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		cfg  Config
		code record.Code
	}{
		"no node":             {Config{}, record.Invalid},
		"both":                {Config{Node: "n", URL: "nats://a", Listen: "127.0.0.1:0"}, record.Invalid},
		"no address":          {Config{Node: "n", URL: " , "}, record.Invalid},
		"another scheme":      {Config{Node: "n", URL: "http://user:sesame@a"}, record.Invalid},
		"not an address":      {Config{Node: "n", URL: "nats://user:sesame%@a"}, record.Invalid},
		"no host":             {Config{Node: "n", URL: "nats://user:sesame@:4222"}, record.Invalid},
		"listens to all":      {Config{Node: "n", Listen: "0.0.0.0:0"}, record.Invalid},
		"listens to a name":   {Config{Node: "n", Listen: "nats.example:4222"}, record.Invalid},
		"listens without":     {Config{Node: "n", Listen: "127.0.0.1"}, record.Invalid},
		"somebody listens":    {Config{Node: "n", Listen: taken.Addr().String()}, record.Unavailable},
		"a port out of range": {Config{Node: "n", Listen: "127.0.0.1:70000"}, record.Invalid},
	} {
		b, err := Open(t.Context(), c.cfg)
		if record.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			b.Close()
		} else if strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: the error quotes a password: %v", name, err)
		}
	}
}

func TestSubjectsOfDifferentNamesDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		x, y := token(a), token(b)
		if a != b && strings.EqualFold(x, y) && !strings.EqualFold(a, b) || a != b && x == y {
			t.Errorf("%q and %q are both %s", a, b, x)
		}
		if x == "" || strings.ContainsAny(x, ".*> \t\r\n") {
			t.Errorf("%q is %q, which is not one token", a, x)
		}
	})
}

// stranger connects to the server without being a bus.
func stranger(t *testing.T, s *server.Server) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(at(s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
