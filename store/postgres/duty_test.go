package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/nodetest/cable"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres"
	"konbit/store/postgres/pgtest"
)

// soon is how long anything may take that has no bound of its own.
const soon = 30 * time.Second

// await waits for something that has to come.
func await[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(soon):
		t.Fatalf("%s: it has not come within %v", what, soon)
		panic("not reached")
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	late := time.After(soon)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: it is not so within %v", what, soon)
		}
	}
}

// ask runs a query that returns one value, on a connection of its own.
func ask[T any](t testing.TB, url, q string, args ...any) (v T) {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, q, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// sentry is a process that wants to be on duty, within this one.
type sentry struct {
	db    *postgres.DB
	name  string
	stop  context.CancelFunc
	began chan time.Time
	ended chan time.Time // the context of do
	leave chan error     // what do returns while its context lives
	over  chan error     // what OnDuty returned
	on    atomic.Bool
	busy  *atomic.Int32 // how many are on duty
}

// post makes a process and lets it wait for its duty.
func post(t testing.TB, url, name string, busy *atomic.Int32) *sentry {
	t.Helper()
	s := &sentry{db: open(t, url), name: name, began: make(chan time.Time, 100), ended: make(chan time.Time, 100), leave: make(chan error), over: make(chan error, 1), busy: busy}
	var inner context.Context
	inner, s.stop = context.WithCancel(ctx)
	go func() { s.over <- s.db.OnDuty(inner, store.Process{ID: name}, s.do) }()
	t.Cleanup(func() {
		s.stop()
		await(t, "the end of "+name, s.over)
		s.over <- nil
	})
	return s
}

func (s *sentry) do(ctx context.Context) error {
	n := s.busy.Add(1)
	defer s.busy.Add(-1)
	if n > 1 {
		return fmt.Errorf("%d processes are on duty", n)
	}
	s.on.Store(true)
	s.began <- time.Now()
	select {
	case <-ctx.Done():
		s.on.Store(false)
		s.ended <- time.Now()
		return ctx.Err()
	case err := <-s.leave:
		return err
	}
}

// waiting waits until so many processes wait for their duty.
func waiting(t testing.TB, url string, n int) {
	t.Helper()
	until(t, "processes that wait for their duty", func() bool {
		return ask[int](t, url, "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == n
	})
}

// onDuty returns the name of the process on duty.
func onDuty(t testing.TB, url string) string {
	t.Helper()
	return ask[string](t, url, "SELECT process FROM duty")
}

func TestNextTakesOverWhenTheHolderEnds(t *testing.T) {
	url := pgtest.URL(t)
	var busy atomic.Int32
	one := post(t, url, "one", &busy)
	await(t, "one", one.began)
	two := post(t, url, "two", &busy)
	waiting(t, url, 1)
	if s := onDuty(t, url); s != "one" {
		t.Errorf("%q is on duty", s)
	}
	one.stop()
	if err := await(t, "the end of one", one.over); err != nil {
		t.Errorf("OnDuty returned %v although its context ended", err)
	}
	one.over <- nil
	await(t, "two", two.began)
	if s := onDuty(t, url); s != "two" {
		t.Errorf("%q is on duty", s)
	}
	two.leave <- nil
	if err := await(t, "the end of two", two.over); err != nil {
		t.Error(err)
	}
	two.over <- nil
	if s := onDuty(t, url); s != "" {
		t.Errorf("%q is on duty, but nobody is", s)
	}
}

func TestWhoWaitsForDutyGivesUpAndLeavesNothing(t *testing.T) {
	url := pgtest.URL(t)
	var busy atomic.Int32
	one := post(t, url, "one", &busy)
	await(t, "one", one.began)
	two := post(t, url, "two", &busy)
	waiting(t, url, 1)
	two.stop()
	if err := await(t, "the end of two", two.over); err != nil {
		t.Error(err)
	}
	two.over <- nil
	waiting(t, url, 0)
	if len(two.began) > 0 {
		t.Error("two was on duty")
	}
}

func TestFailureOfTheDutyIsReturned(t *testing.T) {
	url := pgtest.URL(t)
	var busy atomic.Int32
	one := post(t, url, "one", &busy)
	await(t, "one", one.began)
	why := errors.New("the work failed")
	one.leave <- why
	if err := await(t, "the end of one", one.over); !errors.Is(err, why) {
		t.Errorf("OnDuty returned %v", err)
	}
	one.over <- nil
}

func TestFailureBecauseTheDatabaseIsAwayIsALossOfDuty(t *testing.T) {
	s := pgtest.Start(t)
	db := open(t, s.URL("postgres"))
	began, over := make(chan bool, 100), make(chan error, 1)
	inner, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		over <- db.OnDuty(inner, store.Process{ID: "one"}, func(ctx context.Context) error {
			began <- true
			for ctx := context.WithoutCancel(ctx); inner.Err() == nil; { // it fails by itself
				if _, err := db.Value(ctx, "x"); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	for range 3 {
		await(t, "one", began)
		s.Kill()
		s.Start()
	}
	await(t, "one, again", began)
	stop()
	if err := await(t, "the end of one", over); err != nil {
		t.Error(err)
	}
}

func TestDeposedHolderIsRefused(t *testing.T) {
	url := pgtest.URL(t)
	var busy, next atomic.Int32 // for a moment, both may think that they are on duty
	one := post(t, url, "one", &busy)
	await(t, "one", one.began)
	writes := func(db *postgres.DB) map[string]error {
		share := []store.Share{{Node: "node.x", Record: record.NewID(time.Now()), Kind: "note", Act: store.Send, Version: 1}}
		return map[string]error{
			"Queue":     db.Queue(ctx, "peer", 5, share),
			"MarkSent":  db.MarkSent(ctx, "node.x", store.Normal, 0, 9, time.Now()),
			"Renumber":  db.Renumber(ctx, "node.x", 9),
			"SetCursor": db.SetCursor(ctx, "react", 5),
		}
	}
	for what, err := range writes(one.db) {
		if err != nil {
			t.Errorf("%s on duty: %v", what, err)
		}
	}
	two := post(t, url, "two", &next)
	waiting(t, url, 1)
	if !ask[bool](t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING(pid)
		WHERE application_name = 'konbit duty' AND locktype = 'advisory' AND granted AND datname = current_database()`) {
		t.Fatal("the connection was not cut")
	}
	cut := time.Now()
	await(t, "two", two.began)
	if late := await(t, "the end of one's duty", one.ended).Sub(cut); late > 900*time.Millisecond {
		t.Errorf("one learned after %v that its connection was cut", late)
	}
	for what, err := range writes(one.db) {
		if record.CodeOf(err) != record.Unavailable {
			t.Errorf("%s of the process that lost its duty: %v", what, err)
		}
	}
	for what, err := range writes(two.db) {
		if err != nil {
			t.Errorf("%s of the process on duty: %v", what, err)
		}
	}
	two.stop()
	await(t, "one, again", one.began)
	for what, err := range writes(one.db) {
		if err != nil {
			t.Errorf("%s, on duty again: %v", what, err)
		}
	}
}

func TestExactlyOneIsOnDutyAfterTheServerWasAway(t *testing.T) {
	s := pgtest.Start(t)
	url := s.URL("postgres")
	var busy atomic.Int32
	all := []*sentry{post(t, url, "one", &busy), post(t, url, "two", &busy), post(t, url, "three", &busy)}
	serving := func() *sentry {
		t.Helper()
		waiting(t, url, 2)
		i := 0
		until(t, "one on duty, whom the table names", func() bool {
			i = slices.IndexFunc(all, func(s *sentry) bool { return s.on.Load() })
			return i >= 0 && busy.Load() == 1 && onDuty(t, url) == all[i].name
		})
		return all[i]
	}
	for _, breaks := range []func(){func() { s.Stop(pgtest.Fast) }, s.Kill, func() { s.Stop(pgtest.Immediate) }} {
		holder := serving()
		breaks()
		cut := time.Now()
		if late := await(t, "the end of the duty", holder.ended).Sub(cut); late > 3*time.Second {
			t.Errorf("the process on duty learned after %v that the database is away", late)
		}
		s.Start()
	}
	serving()
}

// relay passes connections on to a server over a wire.
func relay(t testing.TB, w *cable.Wire, to string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done, end := context.WithCancel(ctx)
	t.Cleanup(func() { end(); l.Close(); w.Mend(); w.Cut() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := w.Dial(done, "tcp", to)
				if err != nil {
					return
				}
				go func() { io.Copy(far, near); far.Close() }()
				io.Copy(near, far)
			}()
		}
	}()
	return l.Addr().String()
}

// TestMachineThatVanishesIsReplaced lets nothing through any more, of which neither
// side is told.
func TestMachineThatVanishesIsReplaced(t *testing.T) {
	s := pgtest.Start(t)
	var wire cable.Wire
	var one, two atomic.Int32
	far := post(t, strings.Replace(s.URL("postgres"), s.Address(), relay(t, &wire, s.Address()), 1), "far", &one)
	await(t, "the far one", far.began)
	near := post(t, s.URL("postgres"), "near", &two)
	waiting(t, s.URL("postgres"), 1)
	wire.Silence()
	cut := time.Now()
	began := await(t, "the near one", near.began)
	ended := await(t, "the end of the far one's duty", far.ended)
	t.Logf("the far one noticed after %v; the near one took over after %v", ended.Sub(cut), began.Sub(cut))
	if ended.After(began) {
		t.Error("both were on duty")
	}
	if late := began.Sub(cut); late > 5*time.Second {
		t.Errorf("it was replaced after %v", late)
	}
	wire.Mend()
	waiting(t, s.URL("postgres"), 1)
}

// child runs this test binary again, as a process that goes on duty, and returns when it is.
func child(t testing.TB, url string) (c *exec.Cmd, says func() string) {
	t.Helper()
	c = exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "KONBIT_TEST_DUTY="+url)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for in := bufio.NewScanner(out); in.Scan(); {
			lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-read
		c.Wait()
	})
	says = func() string { t.Helper(); return await(t, "the child's word", lines) }
	if s := says(); s != "began" {
		t.Fatalf("the child says %q", s)
	}
	return c, says
}

// TestMain is the process that child starts, when it is told so.
func TestMain(m *testing.M) {
	url := os.Getenv("KONBIT_TEST_DUTY")
	if url == "" {
		os.Exit(m.Run())
	}
	db, err := postgres.Open(ctx, url)
	if err == nil {
		err = db.OnDuty(ctx, store.Process{ID: "child"}, func(ctx context.Context) error {
			fmt.Println("began")
			<-ctx.Done()
			fmt.Println(record.CodeOf(db.SetCursor(context.WithoutCancel(ctx), "react", 7)))
			return nil
		})
	}
	fmt.Println("it ends:", err)
}

func TestProcessThatIsKilledIsReplacedAtOnce(t *testing.T) {
	url := pgtest.URL(t)
	c, _ := child(t, url)
	var busy atomic.Int32
	two := post(t, url, "two", &busy)
	waiting(t, url, 1)
	killed := time.Now()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if late := await(t, "two", two.began).Sub(killed); late > 5*time.Second {
		t.Errorf("it was replaced after %v", late)
	} else {
		t.Logf("it was replaced after %v", late)
	}
}

func TestProcessThatIsKilledDoesNotWaitOn(t *testing.T) {
	url := pgtest.URL(t)
	var busy atomic.Int32
	one := post(t, url, "one", &busy)
	await(t, "one", one.began)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "KONBIT_TEST_DUTY="+url)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waiting(t, url, 1)
	c.Process.Kill()
	c.Wait()
	waiting(t, url, 0)
}

// TestProcessThatStandsStillIsReplaced freezes a process, whose connections live on.
func TestProcessThatStandsStillIsReplaced(t *testing.T) {
	url := pgtest.URL(t)
	c, says := child(t, url)
	var busy atomic.Int32
	two := post(t, url, "two", &busy)
	waiting(t, url, 1)
	frozen := time.Now()
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	late := await(t, "two", two.began).Sub(frozen)
	t.Logf("it was replaced after %v", late)
	if late > 5*time.Second {
		t.Errorf("it was replaced after %v", late)
	}
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if s := says(); s != string(record.Unavailable) {
		t.Errorf("what it writes when it goes on: %s", s)
	}
}

func TestProcessesAreListedWhileTheyAreThere(t *testing.T) {
	url := pgtest.URL(t)
	var busy atomic.Int32
	one := post(t, url, "one", &busy)
	await(t, "one", one.began)
	started := time.Date(2026, 5, 1, 8, 0, 0, 123000, time.UTC)
	for i, name := range []string{"zero", "one", "two", "three"} {
		p := store.Process{ID: name, Name: "machine\x00", Address: "10.0.0.1:8443", Version: "1.2", Started: started.Add(time.Duration(i) * time.Second), Size: int64(i), Bus: "no link\xff"}
		if err := one.db.Present(ctx, p); err != nil {
			t.Fatal(err)
		}
		if name == "zero" {
			p.Size = 77
			if err := one.db.Present(ctx, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask[string](t, url, "UPDATE process SET seen = seen - interval '16 seconds' WHERE id = 'two' RETURNING id")
	if err := one.db.Gone(ctx, "three"); err != nil {
		t.Fatal(err)
	}
	all, err := one.db.Processes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].ID != "one" || !all[0].Duty || all[1].ID != "zero" || all[1].Duty {
		t.Fatalf("listed are %+v", all)
	}
	now := ask[time.Time](t, url, "SELECT now()")
	p := all[1]
	if d := now.Sub(p.Seen); d < 0 || d > 15*time.Second {
		t.Errorf("seen %v ago", d)
	}
	p.Seen = time.Time{}
	if want := (store.Process{ID: "zero", Name: "machine\uFFFD", Address: "10.0.0.1:8443", Version: "1.2", Started: started, Size: 77, Bus: "no link\uFFFD"}); p != want {
		t.Errorf("got %+v\nwant %+v", p, want)
	}
}
