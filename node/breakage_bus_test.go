package node_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"konbit/kerneltest"
	"konbit/node"
	"konbit/store"
)

// cluster starts two NATS servers, whose route goes over a line.
func cluster(t *testing.T) (one, two *server.Server, route *line) {
	t.Helper()
	start := func(routes ...*url.URL) *server.Server {
		// No server is to find a way around the line.
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, Routes: routes,
			Cluster: server.ClusterOpts{Name: "konbit", Host: "127.0.0.1", Port: server.RANDOM_PORT, Advertise: "127.0.0.1:1"}})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		until(t, "a NATS server listens", 10*time.Second, func() bool { return s.Addr() != nil && s.ClusterAddr() != nil })
		return s
	}
	one = start()
	route = newLine(t, one.ClusterAddr().String())
	two = start(&url.URL{Scheme: "nats", Host: route.address()})
	until(t, "the cluster stands", 10*time.Second, func() bool { return one.NumRemotes() == 1 && two.NumRemotes() == 1 })
	return one, two, route
}

// heard is how long it takes until a process has followed what is written at another.
func heard(t *testing.T, from, at *process, patience time.Duration) time.Duration {
	t.Helper()
	got, err := from.n.Intake.Do(t.Context(), report(kerneltest.ID(), "Do you hear?"))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	until(t, "the other process follows", patience, func() bool { return at.n.Intake.Size() > got.Seq })
	return time.Since(begun)
}

// buses is what the processes say of live traffic, each once.
func buses(t *testing.T, p *process) string {
	t.Helper()
	all, err := p.n.Store.(store.Shared).Processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range all {
		out = append(out, p.Bus)
	}
	return strings.Join(out, "|")
}

func TestClusterThatIsSplitIsSaidAndPollingGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("a split is noticed after some seconds")
	}
	t.Parallel()
	one, two, route := cluster(t)
	h := newHouse(t)
	h.people()
	at := func(s *server.Server) func(*node.Config) {
		return func(c *node.Config) { c.NATS = fmt.Sprintf("nats://%s", s.Addr()) }
	}
	a, b := h.start(at(one)), h.start(at(two))
	both := func(what string, patience time.Duration, ok func(a, b time.Duration) bool) {
		t.Helper()
		var there, back time.Duration
		until(t, what, patience, func() bool {
			there, back = heard(t, a, b, 5*time.Second), heard(t, b, a, 5*time.Second)
			return ok(there, back)
		})
		t.Logf("%s: %s, %s", what, there.Round(time.Millisecond), back.Round(time.Millisecond))
	}
	atOnce := func(a, b time.Duration) bool { return max(a, b) < 200*time.Millisecond }
	until(t, "nobody complains", 10*time.Second, func() bool { return buses(t, a) == "|" })
	both("while the cluster is whole they hear each other at once", 20*time.Second, atOnce)

	route.cut()
	until(t, "the servers know", 10*time.Second, func() bool { return one.NumRoutes() == 0 && two.NumRoutes() == 0 })
	if there, back := heard(t, a, b, 3*time.Second), heard(t, b, a, 3*time.Second); max(there, back) > 2500*time.Millisecond {
		t.Errorf("heard after %s and %s", there, back)
	}
	until(t, "both say that it is split", 20*time.Second, func() bool { return strings.Count(buses(t, a), "the cluster may be split") == 2 })
	both("then they look more often", 10*time.Second, func(a, b time.Duration) bool { return max(a, b) < time.Second })

	route.mend()
	until(t, "nobody complains any more", 30*time.Second, func() bool { return buses(t, a) == "|" })
	both("and at once again when it is healed", 20*time.Second, atOnce)
}
