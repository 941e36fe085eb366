package bus

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"konbit/nodetest/cable"
)

func TestServerKilledAndRestarted(t *testing.T) {
	whole(t)
	s := serveNATS(t, server.Options{})
	address, free := s.Addr().String(), port(s)
	var log journal
	one, two := open(t, Config{URL: at(address), Log: log.log()}), open(t, Config{URL: at(address)})
	heard := hear(t, one, "grown", 8)
	for range 2 {
		reaches(t, two, "grown", heard, "before")
		kill(s)
		says(t, one, "the NATS server "+address+" cannot be reached: connection refused")
		says(t, two, "connection refused")
		_, since, _ := one.Away()
		if age := time.Since(since); age < 0 || age > patient {
			t.Errorf("away since %v", since)
		}
		s = serveNATS(t, server.Options{Port: free})
		flowing(t, one)
		soon(t, heard, look) // it may have missed something
		flowing(t, two)
		reaches(t, two, "grown", heard, "after")
	}
	if got := log.String(); !strings.Contains(got, "cannot be reached") || !strings.Contains(got, "traffic flows") {
		t.Errorf("the log does not tell:\n%s", got)
	}
}

func TestOpenDoesNotNeedTheCluster(t *testing.T) {
	whole(t)
	s := serveNATS(t, server.Options{})
	address, free := s.Addr().String(), port(s)
	kill(s)
	b := open(t, Config{URL: at(address)})
	heard := make(chan string, 8)
	b.Subscribe("grown", 1, func(p []byte) { heard <- string(p) })
	says(t, b, "connection refused")
	serveNATS(t, server.Options{Port: free})
	flowing(t, b)
	expect(t, heard, "")
}

func TestCloseDoesNotWaitForAServer(t *testing.T) {
	whole(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := open(t, Config{URL: at(l.Addr())})
	c, err := l.Accept() // and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	b.Close()
	if took := time.Since(began); took >= patience*3/4 {
		t.Errorf("Close took %v", took)
	}
}

func TestSilentServerIsNoticed(t *testing.T) {
	whole(t)
	s := serveNATS(t, server.Options{})
	var w cable.Wire
	b := open(t, Config{URL: at(wire(t, &w, s.Addr().String()))})
	heard := hear(t, b, "grown", 1)
	w.Silence()
	says(t, b, "no answer in time")
	w.Mend()
	flowing(t, b)
	expect(t, heard, look)
}

func TestLostServerOfAClusterIsReplaced(t *testing.T) {
	whole(t)
	c := cluster(t)
	all := at(c[0].Addr()) + ", " + at(c[1].Addr()) + "," + c[2].Addr().String()
	var buses []*Bus
	var ears []<-chan string
	for range 3 {
		buses = append(buses, open(t, Config{URL: all}))
		ears = append(ears, hear(t, buses[len(buses)-1], "grown", 64))
	}
	reaches(t, buses[0], "grown", ears[1], "one")
	kill(c[0])
	kill(c[1])
	for i := range buses {
		await(t, "all are at the last server", func() bool { return c[2].NumClients() == 3 })
		flowing(t, buses[i])
		reaches(t, buses[i], "grown", ears[(i+1)%3], fmt.Sprint("two", i))
	}
	kill(c[2])
	awaitAway(t, buses[0], "it names all three", func(why string) bool { return strings.Count(why, "cannot be reached") == 3 })
}

// TestSplitClusterHeals cuts the routes of one server of three. Each process still has a
// server, so none is away; those on one side hear each other.
func TestSplitClusterHeals(t *testing.T) {
	whole(t)
	var ab, ac, bc cable.Wire
	c := cluster(t, &ab, &ac, &bc)
	var buses []*Bus
	var ears []<-chan string
	for i := range c {
		buses = append(buses, open(t, Config{URL: at(c[i].Addr())}))
		ears = append(ears, hear(t, buses[i], "grown", 64))
	}
	all := func(text string) {
		for i := range buses {
			for j := range buses {
				if i != j {
					reaches(t, buses[i], "grown", ears[j], fmt.Sprint(text, i, j))
				}
			}
		}
	}
	all("whole")

	ab.Cut()
	ac.Cut()
	await(t, "the first server is alone", func() bool { return c[0].NumRoutes() == 0 })
	await(t, "the others know", func() bool { return c[1].NumRemotes() == 1 && c[2].NumRemotes() == 1 })
	buses[0].Publish("grown", []byte("lost"))
	reaches(t, buses[1], "grown", ears[2], "split")
	reaches(t, buses[2], "grown", ears[1], "split")
	for i, b := range buses {
		if why, _, _ := b.Away(); why != "" {
			t.Errorf("process %d is away: %s", i, why)
		}
	}

	ab.Mend()
	ac.Mend()
	all("healed")
}

// cluster starts three servers; with wires, first to second, first to third and second
// to third, their routes go over them.
func cluster(t *testing.T, wires ...*cable.Wire) []*server.Server {
	t.Helper()
	start := func(routes ...*url.URL) *server.Server {
		opts := server.Options{Routes: routes, Cluster: server.ClusterOpts{Name: "konbit", Host: "127.0.0.1", Port: server.RANDOM_PORT}}
		if wires != nil {
			opts.Cluster.Advertise = "127.0.0.1:1" // so that no server finds a way around
		}
		s := serveNATS(t, opts)
		await(t, "routes are taken", func() bool { return s.ClusterAddr() != nil })
		return s
	}
	route := func(i int, to *server.Server) *url.URL {
		if wires == nil {
			return parsed(t, to.ClusterAddr().String())
		}
		return parsed(t, wire(t, wires[i], to.ClusterAddr().String()))
	}
	a := start()
	b := start(route(0, a))
	c := start(route(1, a), route(2, b))
	for _, s := range []*server.Server{a, b, c} {
		await(t, "the cluster stands", func() bool { return s.NumRemotes() == 2 })
	}
	return []*server.Server{a, b, c}
}
