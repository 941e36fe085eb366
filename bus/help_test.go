package bus

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"konbit/nodetest/cable"
)

// patient is how long a test waits for what must come.
const patient = 20 * time.Second

// await waits until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patient); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// whole fails the test when something of the bus, the client or a server still runs
// after everything else has been cleaned up.
func whole(t *testing.T) {
	t.Helper()
	running := func() (left []string) {
		stacks := make([]byte, 4<<20)
		for g := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if !strings.Contains(g, "testing.tRunner") && (strings.Contains(g, "nats-io") || strings.Contains(g, "konbit/")) {
				left = append(left, g)
			}
		}
		return left
	}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		end := time.Now().Add(patient)
		for left := running(); len(left) > 0; left = running() {
			if time.Now().After(end) {
				t.Fatalf("still running:\n%s", strings.Join(left, "\n\n"))
			}
			runtime.Gosched()
		}
	})
}

// open opens a bus that is closed with the test.
func open(t *testing.T, cfg Config) *Bus {
	t.Helper()
	if cfg.Node == "" {
		cfg.Node = "ht.pnh"
	}
	b, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// awaitAway waits until what Away says is right, woken by its channel alone.
func awaitAway(t *testing.T, b *Bus, what string, ok func(why string) bool) {
	t.Helper()
	end := time.After(patient)
	for {
		why, since, changed := b.Away()
		if (why == "") != since.IsZero() {
			t.Errorf("away %q since %v", why, since)
		}
		if ok(why) {
			return
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("waited in vain: %s; away: %q", what, why)
		}
	}
}

func flowing(t *testing.T, b *Bus) {
	t.Helper()
	awaitAway(t, b, "traffic flows", func(why string) bool { return why == "" })
}

func says(t *testing.T, b *Bus, part string) {
	t.Helper()
	awaitAway(t, b, "it says "+part, func(why string) bool { return strings.Contains(why, part) })
}

// look stands for the nil with which a subscription begins.
const look = "(look)"

// hear subscribes and waits until the subscription is in effect.
func hear(t *testing.T, b *Bus, topic string, keep int) <-chan string {
	t.Helper()
	heard := make(chan string, 4096)
	b.Subscribe(topic, keep, func(p []byte) {
		if p == nil {
			heard <- look
			return
		}
		heard <- string(p)
	})
	expect(t, heard, look)
	return heard
}

func expect(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Fatalf("heard %.80q, want %q", got, want)
		}
	case <-time.After(patient):
		t.Fatalf("did not hear %q", want)
	}
}

// soon is expect for what comes after repeats of something else.
func soon(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	for end := time.After(patient); ; {
		select {
		case got := <-heard:
			if got == want {
				return
			}
		case <-end:
			t.Fatalf("did not hear %q", want)
		}
	}
}

// reaches publishes until the message is heard: servers tell each other in their own
// time who listens.
func reaches(t *testing.T, from *Bus, topic string, heard <-chan string, text string) {
	t.Helper()
	await(t, text+" arrives", func() bool {
		from.Publish(topic, []byte(text))
		for {
			select {
			case got := <-heard:
				if got == text {
					return true
				}
			default:
				return false
			}
		}
	})
}

// serveNATS starts a server on loopback.
func serveNATS(t *testing.T, opts server.Options) *server.Server {
	t.Helper()
	opts.Host, opts.NoLog, opts.NoSigs = "127.0.0.1", true, true
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { kill(s) })
	if s.Addr() == nil {
		t.Fatal("the server does not listen")
	}
	return s
}

func kill(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func port(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }

// wire puts a cable before an address and returns the address at its near end.
func wire(t *testing.T, w *cable.Wire, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() {
		stop()
		l.Close()
		w.Mend()
		w.Cut()
		work.Wait()
	})
	work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := w.Dial(ctx, "tcp", address)
			if err != nil {
				near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				work.Go(func() {
					io.Copy(way[0], way[1])
					near.Close()
					far.Close()
				})
			}
		}
	})
	return l.Addr().String()
}

func parsed(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse("nats://" + address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func at(address any) string { return fmt.Sprintf("nats://%v", address) }
