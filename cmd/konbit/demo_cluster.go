package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"konbit/bus"
	"konbit/demo"
	"konbit/node"
	"konbit/record"
)

// Times of a demo of several processes.
const (
	memberAgain = time.Second      // after one has died, until it is started again
	memberEnd   = 20 * time.Second // that one has to finish what it does
)

// runCluster runs the demo as several processes on one PostgreSQL, behind one
// address. No process is special: the bus and the front are this one's, which has
// neither records nor rights.
func (c *demoCmd) runCluster(ctx context.Context, verbose bool, log *slog.Logger) error {
	if c.Processes > 16 {
		return errors.New("at most 16 processes: each wants connections of the database")
	}
	if !strings.HasPrefix(c.Store, "postgres://") && !strings.HasPrefix(c.Store, "postgresql://") {
		return &record.Error{Code: record.Invalid, Op: "demo", Message: "several processes share a database: a file belongs to one",
			Hint: "give --store postgres://user@host/database, or see make cluster"}
	}
	start := time.Now()
	l, url, err := c.listenFlags.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	n, _, err := openDemo(ctx, c, url, nil, log)
	if err != nil {
		return err
	}
	entries := n.Intake.Size()
	if err := n.Close(); err != nil {
		return err
	}
	b, err := bus.Open(ctx, bus.Config{Listen: "127.0.0.1:0", Node: "demo", Log: log})
	if err != nil {
		return err
	}
	defer b.Close()
	members, err := c.members(url, b.URL(), verbose)
	if err != nil {
		return err
	}
	invite()
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range members {
		g.Go(func() error { return m.run(ctx) })
	}
	for _, m := range members {
		select {
		case <-m.up:
		case <-ctx.Done():
			return g.Wait()
		}
	}
	fmt.Printf("konbit %s listens on %s  (%d processes, ready in %d ms, ledger %d entries)\n", node.Version, url, len(members), time.Since(start).Milliseconds(), entries)
	fmt.Println("Kill one with kill -9 and go on working: another takes over, and it is started again.")
	g.Go(func() error { return newFront(members, c.Proxy, log).serve(ctx, l) })
	return g.Wait()
}

// members prepares the processes.
func (c *demoCmd) members(url, nats string, verbose bool) ([]*member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"demo", "--member", nats, "--data", c.Data, "--listen", "127.0.0.1:0", "--proxy", "--url", url}
	if c.Basemap != "" {
		args = append(args, "--basemap", c.Basemap)
	}
	if c.Quiet {
		args = append(args, "--quiet")
	}
	if verbose {
		args = append(args, "--verbose")
	}
	// What was set for this process, its address for example, is not meant for them.
	// The store may hold a password, which a command line would show to everybody.
	env := []string{"KONBIT_DEMO_STORE=" + c.Store}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "KONBIT_") {
			env = append(env, e)
		}
	}
	out := make([]*member, c.Processes)
	for i := range out {
		out[i] = &member{name: "process " + strconv.Itoa(i+1), program: program, args: args, env: env, up: make(chan struct{})}
	}
	return out, nil
}

// member is one of the processes that run the demo.
type member struct {
	name    string
	program string
	args    []string
	env     []string
	up      chan struct{} // closed when it answers for the first time
	once    sync.Once

	address atomic.Pointer[string] // host:port; nil: it does not run
	away    atomic.Int64           // it could not be reached; until then (UnixNano) others come first
}

// run runs the process until ctx ends, and starts it again whenever it dies. It
// fails when the process never gets as far as to answer.
func (m *member) run(ctx context.Context) error {
	for {
		err := m.live(ctx)
		m.address.Store(nil)
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-m.up:
		default:
			return fmt.Errorf("%s does not start: %w", m.name, err)
		}
		fmt.Printf("%s has ended (%v) and is started again\n", m.name, err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(memberAgain):
		}
	}
}

// live starts the process and waits for its end. It ends when its input does, so
// also when this process is killed.
func (m *member) live(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, m.program, m.args...)
	cmd.Env, cmd.Stderr, cmd.WaitDelay = m.env, os.Stderr, memberEnd
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Cancel = in.Close
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); err == nil {
		address := strings.TrimSpace(line)
		m.away.Store(0)
		m.address.Store(&address)
		fmt.Printf("%s: pid %d, http://%s\n", m.name, cmd.Process.Pid, address)
		m.once.Do(func() { close(m.up) })
		io.Copy(io.Discard, said)
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// runMember is one of the processes. The first line that it prints is its address.
func (c *demoCmd) runMember(ctx context.Context, log *slog.Logger) error {
	log = log.With("pid", os.Getpid())
	signal.Ignore(os.Interrupt) // Ctrl-C reaches all processes of a terminal; the first tells the others when
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	l, _, err := c.listenFlags.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	n, err := node.Open(ctx, node.Config{Data: c.Data, Store: c.Store, NATS: c.Member, Name: "Konbit", URL: c.URL, BaseMap: c.Basemap, Proxy: c.Proxy, Log: log, Demo: true, DemoCards: cards(all)})
	if err != nil {
		return err
	}
	defer n.Close()
	if !c.Quiet {
		go enliven(ctx, n, log)
	}
	fmt.Println(l.Addr())
	return n.Serve(ctx, l)
}

// enliven keeps the room alive while this process is the one on duty, with a story
// that begins anew each time.
func enliven(ctx context.Context, n *node.Node, log *slog.Logger) {
	for comes(ctx, n.OnDuty) {
		shift, end := context.WithCancel(ctx)
		go trickle(shift, demo.New(uint64(time.Now().UnixNano())), func(a demo.Act) error { return give(shift, n, a) }, log)
		comes(ctx, func() bool { return !n.OnDuty() })
		end()
	}
}

// comes waits until something is so, and returns false when ctx ends before.
func comes(ctx context.Context, so func() bool) bool {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
