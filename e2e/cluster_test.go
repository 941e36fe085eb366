package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"konbit/record"
	"konbit/store/postgres/pgtest"
)

// handover is within which another process is on duty when one has died.
const handover = 5 * time.Second

// kills is how often a test kills: KONBIT_KILLS, otherwise a few times.
func kills(t *testing.T, few int) int {
	t.Helper()
	s := os.Getenv("KONBIT_KILLS")
	if s == "" {
		return few
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKilledProcessIsReplacedAndLosesNothing(t *testing.T) {
	c := newCluster(t, pgtest.URL(t), 3)
	c.readers(4)
	for i := range kills(t, 3) {
		c.round(func() time.Time {
			one := c.running()[rand.IntN(3)]
			if i%2 == 0 { // otherwise most are not on duty
				one = c.onDuty()[0]
			}
			c.without(one)
			one.kill()
			return time.Now()
		})
		c.start()
	}
}

func TestKilledNATSServerCostsTimeAlone(t *testing.T) {
	c := newCluster(t, pgtest.URL(t), 3)
	c.readers(4)
	for range kills(t, 2) {
		c.round(func() time.Time {
			c.nats.kill()
			c.until("an administrator sees that live traffic is away", func() bool { return c.buses() == 0 })
			return time.Now()
		})
		c.nats = startNATS(t, c.nats.address)
		c.until("live traffic flows again", func() bool { return c.buses() == 3 })
	}
}

func TestKilledPrimaryIsReplacedByItsStandby(t *testing.T) {
	one := pgtest.Start(t)
	two := one.Standby(t, "standby0")
	one.Synchronous("standby0")
	both := func() string {
		return fmt.Sprintf("postgres://postgres@%s,%s/postgres?sslmode=disable", one.Address(), two.Address())
	}
	c := newCluster(t, both(), 2)
	c.readers(4)
	for i := range min(kills(t, 2), 20) { // each leaves a server's folder until the test ends
		if i > 0 { // the promoted server gets a standby, and the processes are told its address
			c.stopAll()
			name := fmt.Sprintf("standby%d", i)
			one, two = two, two.Standby(t, name)
			one.Synchronous(name)
			c.store = both()
			for range 2 {
				c.start()
			}
		}
		c.round(func() time.Time {
			one.Kill()
			<-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond) // whoever promotes needs a while
			two.Promote()
			return time.Now()
		})
	}
}

// cluster is a node of several processes on one PostgreSQL, a NATS server between
// them, writers who repeat what was not answered, and readers who go from process
// to process.
type cluster struct {
	t                *testing.T
	data, store      string
	nats             *natsProcess
	op, admin, audit string // tokens
	log              *os.File

	mu    sync.Mutex
	live  []*node
	acked map[record.ID]int // version up to which all was acknowledged

	acks, repeats atomic.Int64
	slowest       time.Duration // until somebody was on duty after a kill
	followers     []*follower
}

func newCluster(t *testing.T, store string, processes int) *cluster {
	t.Helper()
	c := &cluster{t: t, data: filepath.Join(t.TempDir(), "data"), store: store, acked: map[record.ID]int{}}
	c.nats = startNATS(t, freeAddress(t))
	var err error
	if c.log, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(c.log.Name())
			t.Logf("the processes said:\n%s", said)
		}
		t.Logf("%d changes acknowledged, %d of them asked for again; the slowest handover took %v", c.acks.Load(), c.repeats.Load(), c.slowest.Round(time.Millisecond))
	})
	c.konbit("agency", "add", "ht.cc", "--name", "Command centre", "--country", "HT")
	token := func(name, role string, scopes ...string) string {
		c.konbit("user", "add", name, "--agency", "ht.cc", "--role", role)
		args := []string{"token", "create", "--user", name}
		for _, s := range scopes {
			args = append(args, "--scope", s)
		}
		return strings.TrimSpace(c.konbit(args...))
	}
	c.op = token("op", "supervisor", "read", "write")
	c.admin = token("root", "administrator", "read", "admin")
	c.audit = token("aud", "auditor", "read", "audit")
	for range processes {
		c.start()
	}
	c.awaitDuty(time.Now())
	return c
}

// konbit runs a command on the node's data.
func (c *cluster) konbit(args ...string) string {
	c.t.Helper()
	return konbit(c.t, append(args, "--data", c.data, "--store", c.store)...)
}

// start starts one more process.
func (c *cluster) start() {
	c.t.Helper()
	n := &node{cmd: exec.Command(binary, "serve", "--data", c.data, "--store", c.store, "--nats", "nats://"+c.nats.address, "--listen", "127.0.0.1:0")}
	n.cmd.Stderr = c.log
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(n.kill)
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	_, rest, ok := strings.Cut(line, "listens on ")
	if !ok {
		c.t.Fatalf("a process does not start: %q, %v", line, err)
	}
	n.url, _, _ = strings.Cut(rest, " ")
	go io.Copy(io.Discard, lines)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = append(c.live, n)
}

func (c *cluster) running() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.live)
}

// without takes a process off the list of those that are asked.
func (c *cluster) without(n *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = slices.DeleteFunc(c.live, func(x *node) bool { return x == n })
}

func (c *cluster) stopAll() {
	c.t.Helper()
	for _, n := range c.running() {
		c.without(n)
		n.stop(c.t)
	}
}

// until waits for something that has to come about.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	c.within(30*time.Second, what, ok)
}

func (c *cluster) within(span time.Duration, what string, ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(span); !ok(); <-tick.C {
		if time.Now().After(end) || c.t.Failed() {
			c.t.Fatalf("not within %v: %s", span, what)
		}
	}
}

// onDuty returns the processes that say that they are on duty.
func (c *cluster) onDuty() (out []*node) {
	for _, n := range c.running() {
		var text string
		if res, err := http.Get(n.url + "/metrics"); err == nil {
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			text = string(b)
		}
		if strings.Contains(text, "\nkonbit_on_duty 1\n") {
			out = append(out, n)
		}
	}
	return out
}

// awaitDuty waits until one process is on duty, and until all hand on to it what
// is its to answer.
func (c *cluster) awaitDuty(since time.Time) {
	c.t.Helper()
	c.within(time.Until(since.Add(handover)), "one process is on duty", func() bool { return len(c.onDuty()) == 1 })
	c.within(time.Until(since.Add(2*handover)), "every process reaches the one on duty", func() bool {
		for _, n := range c.running() {
			if _, err := call(c.t.Context(), http.DefaultClient, c.admin, "GET", n.url+"/api/v1/peers", nil, nil); err != nil {
				return false
			}
		}
		return true
	})
}

// buses returns how many processes say that live traffic flows.
func (c *cluster) buses() (n int) {
	var v struct{ Processes []struct{ Bus string } }
	if _, err := call(c.t.Context(), http.DefaultClient, c.admin, "GET", c.running()[0].url+"/api/v1/status", nil, &v); err != nil {
		return -1
	}
	for _, p := range v.Processes {
		if p.Bus == "" {
			n++
		}
	}
	return n
}

// round writes, breaks something under the writers' hands, and looks at what is
// left. hit returns since when the rest could go on.
func (c *cluster) round(hit func() time.Time) {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() { c.write(ctx) })
	}
	begun := c.acks.Load()
	c.until("the load is there", func() bool { return c.acks.Load() > begun+20 })
	<-time.After(time.Duration(rand.IntN(300)) * time.Millisecond) // at any moment
	since := hit()
	before := c.acks.Load()
	c.awaitDuty(since)
	c.slowest = max(c.slowest, time.Since(since))
	c.until("work goes on", func() bool { return c.acks.Load() > before+20 })
	stop()
	writers.Wait()
	c.check()
}

// write reports incidents and acts on them until ctx ends, and ends with nothing
// unanswered. The kth command on a record makes version k+1 of it, however often it
// is given.
func (c *cluster) write(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer client.CloseIdleConnections()
	const path = "/api/v1/records/incident"
	for ctx.Err() == nil {
		now := time.Now()
		id := record.NewID(now)
		draft := map[string]any{"id": id, "observed": now.UTC(), "marking": map[string]any{"tlp": "AMBER"},
			"body": map[string]any{"title": title(id), "category": "flood", "severity": "minor"}}
		if !c.give(client, id, 1, path, draft) {
			return
		}
		for version := 2; version < 3+rand.IntN(4); version++ {
			act := map[string]any{"command": record.NewID(time.Now()), "note": "act " + strconv.Itoa(version)}
			if !c.give(client, id, version, path+"/"+id.String()+"/remind", act) {
				return
			}
			if rand.IntN(4) == 0 && !c.give(client, id, version, path+"/"+id.String()+"/remind", act) {
				return
			}
		}
	}
}

func title(id record.ID) string { return "Dlo monte " + id.String() }

// give gives a command to one process after the other until it is acknowledged.
// Now and then it does not wait for the answer.
func (c *cluster) give(client *http.Client, id record.ID, version int, path string, body any) bool {
	for tries, end := 0, time.Now().Add(time.Minute); ; tries++ {
		all := c.running()
		if len(all) == 0 {
			continue
		}
		patience := 20 * time.Second
		if rand.IntN(10) == 0 {
			patience = time.Duration(rand.IntN(15)) * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		var got struct{ Version int }
		status, err := call(ctx, client, c.op, "POST", all[rand.IntN(len(all))].url+path, body, &got)
		cancel()
		switch {
		case err == nil && got.Version == version:
			c.mu.Lock()
			c.acked[id] = version
			c.mu.Unlock()
			c.acks.Add(1)
			if tries > 0 {
				c.repeats.Add(1)
			}
			return true
		case err == nil:
			c.t.Errorf("command %d on %s made version %d", version, id, got.Version)
			return false
		case status != 0 && status != http.StatusServiceUnavailable || time.Now().After(end):
			c.t.Errorf("command %d on %s, try %d: %v", version, id, tries+1, err)
			return false
		}
		<-time.After(10 * time.Millisecond)
	}
}

// change is one version of one record.
type change struct {
	ID      record.ID
	Version int
}

// check holds everything that is there against everything that was acknowledged.
func (c *cluster) check() {
	c.t.Helper()
	if c.t.Failed() {
		c.t.FailNow()
	}
	ledger := c.ledger()
	have := map[record.ID]int{}
	for _, e := range ledger {
		if have[e.ID]++; have[e.ID] != e.Version {
			c.t.Errorf("%s: version %d is in place %d", e.ID, e.Version, have[e.ID])
		}
	}
	if d := cmp.Diff(c.acked, have); d != "" {
		c.t.Fatalf("acknowledged (-) is not what is there (+):\n%s", d)
	}
	for i, f := range c.followers {
		c.within(10*time.Second, fmt.Sprintf("reader %d has heard of everything", i), func() bool { return len(f.heard()) >= len(ledger) })
		if d := cmp.Diff(ledger, f.heard()); d != "" {
			c.t.Fatalf("reader %d: the ledger (-), what he heard (+):\n%s", i, d)
		}
	}
	if out := c.konbit("verify"); !strings.Contains(out, "verified") {
		c.t.Fatal(out)
	}
}

// ledger lists all changes in order, as an auditor reads them.
func (c *cluster) ledger() (out []change) {
	c.t.Helper()
	for cursor := ""; ; {
		var page struct {
			Entries []struct {
				Record  record.ID
				Version int
			}
			Next string
		}
		if _, err := call(c.t.Context(), http.DefaultClient, c.audit, "GET", c.running()[0].url+"/api/v1/audit/entries?type=change&limit=1000&cursor="+cursor, nil, &page); err != nil {
			c.t.Fatal(err)
		}
		for _, e := range page.Entries {
			out = append(out, change{e.Record, e.Version})
		}
		if cursor = page.Next; cursor == "" {
			slices.Reverse(out)
			return out
		}
	}
}

// readers opens live streams, which are followed until the test ends.
func (c *cluster) readers(n int) {
	c.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	c.t.Cleanup(func() { stop(); all.Wait() })
	for range n {
		f := &follower{c: c, begun: make(chan struct{})}
		c.followers = append(c.followers, f)
		all.Go(func() { f.run(ctx) })
		select {
		case <-f.begun:
		case <-time.After(handover):
			c.t.Fatal("a live stream does not open")
		}
	}
}

// follower reads a live stream, now at this process, now at that one.
type follower struct {
	c      *cluster
	begun  chan struct{}
	cursor string

	mu  sync.Mutex
	got []change
}

func (f *follower) heard() []change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *follower) run(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		all := f.c.running()
		if len(all) == 0 {
			continue
		}
		if err := f.follow(ctx, client, all[rand.IntN(len(all))].url); err != nil {
			f.c.t.Errorf("a reader: %v", err)
			return
		}
	}
}

// follow reads a stream until it breaks, or for a while. A stream that cannot be
// opened now is no error.
func (f *follower) follow(ctx context.Context, client *http.Client, url string) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v1/feed?kind=incident", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+f.c.op)
	r.Header.Set("Last-Event-ID", f.cursor)
	res, err := client.Do(r)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode == http.StatusServiceUnavailable {
			return nil
		}
		return fmt.Errorf("%s: %s", res.Status, b)
	}
	enough := 20 + rand.IntN(200)
	event := map[string]string{}
	for s := bufio.NewScanner(res.Body); s.Scan() && enough > 0; {
		if name, value, ok := strings.Cut(s.Text(), ": "); ok {
			event[name] = value
		}
		if s.Text() != "" || event["event"] == "" {
			continue
		}
		if err := f.take(event); err != nil {
			return err
		}
		clear(event)
		enough--
	}
	return nil
}

// take keeps a whole event, as a browser does: what broke off does not count.
func (f *follower) take(event map[string]string) error {
	var e struct {
		ID      record.ID
		Version int
		Title   string
	}
	switch event["event"] {
	case "hello":
		if f.cursor == "" {
			f.cursor = event["id"]
			close(f.begun)
		}
		return nil
	case "peers":
		return nil
	case "record":
	default:
		return fmt.Errorf("event %v", event)
	}
	if err := json.Unmarshal([]byte(event["data"]), &e); err != nil {
		return err
	}
	if e.Title != title(e.ID) {
		return fmt.Errorf("%s is called %q", e.ID, e.Title)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor, f.got = event["id"], append(f.got, change{e.ID, e.Version})
	return nil
}

// natsProcess is a NATS server in a process of its own.
type natsProcess struct {
	cmd     *exec.Cmd
	address string
}

// natsAt names the address at which this binary is to be a NATS server.
const natsAt = "KONBIT_E2E_NATS"

// Before TestMain, which would build the program first.
func init() {
	if at := os.Getenv(natsAt); at != "" {
		if err := serveNATS(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// serveNATS is a NATS server until its standard input ends.
func serveNATS(at string) error {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{Host: host, Port: n, NoLog: true, NoSigs: true})
	if err != nil {
		return err
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(handover) {
		return errors.New("the NATS server does not start")
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func startNATS(t *testing.T, address string) *natsProcess {
	t.Helper()
	n := &natsProcess{cmd: exec.Command(os.Args[0]), address: address}
	n.cmd.Env = append(os.Environ(), natsAt+"="+address)
	n.cmd.Stderr = os.Stderr
	if _, err := n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the NATS server says %q and then: %v", line, err)
	}
	return n
}

func (n *natsProcess) kill() {
	if n.cmd.ProcessState == nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
	}
}

// freeAddress is one at which nobody listens. Its port is below those that outgoing
// connections use, so that it is still free after a kill.
func freeAddress(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal(err)
	return ""
}
