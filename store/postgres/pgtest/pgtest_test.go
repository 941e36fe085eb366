package pgtest_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/store/postgres/pgtest"
)

// asks runs a query that returns one value.
func asks[T any](t testing.TB, url, q string) (v T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, q).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEachTestHasAnEmptyDatabaseThatIsDroppedAfterIt(t *testing.T) {
	var first string
	t.Run("first", func(t *testing.T) {
		first = pgtest.URL(t)
		c, err := pgx.Connect(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "CREATE TABLE a(n int)"); err != nil {
			t.Fatal(err)
		}
		// The connection stays open: that must not keep the database.
	})
	second := pgtest.URL(t)
	if n := asks[int](t, second, "SELECT count(*)::int FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("a new database has %d tables", n)
	}
	if s := asks[string](t, second, "SELECT current_setting('fsync') || ' ' || current_setting('server_encoding') || ' ' || datcollate FROM pg_database WHERE datname = current_database()"); s != "on UTF8 C.UTF-8" {
		t.Errorf("the server runs with %s", s)
	}
	if n := asks[int](t, second, "SELECT count(*)::int FROM pg_database WHERE datname LIKE 'test%'"); n != 1 {
		t.Errorf("%d databases of tests are there", n)
	}
}

func TestServerIsStoppedKilledAndStartedAgain(t *testing.T) {
	s := pgtest.Start(t, "work_mem=5MB")
	url := s.URL("postgres")
	s.Do("postgres", "CREATE TABLE a(n int)")
	for i, breaks := range []func(){func() { s.Stop(pgtest.Smart) }, func() { s.Stop(pgtest.Fast) }, func() { s.Stop(pgtest.Immediate) }, s.Kill} {
		s.Do("postgres", "INSERT INTO a VALUES(1)")
		breaks()
		if c, err := net.Dial("tcp", s.Address()); err == nil {
			c.Close()
			t.Fatal("the server still listens")
		}
		s.Start()
		if n := asks[int](t, url, "SELECT count(*)::int FROM a"); n != i+1 {
			t.Fatalf("%d rows are there, not %d", n, i+1)
		}
	}
	if m := asks[string](t, url, "SHOW work_mem"); m != "5MB" {
		t.Errorf("work_mem is %s", m)
	}
	s.Set("work_mem=6MB", "search_path=a, 'b'")
	if m := asks[string](t, url, "SELECT current_setting('work_mem') || current_setting('search_path')"); m != "6MBa, 'b'" {
		t.Errorf("settings are %s", m)
	}
	if n := asks[int](t, "host="+s.Folder()+" user=postgres dbname=postgres port="+s.Address()[len("127.0.0.1:"):], "SELECT 1"); n != 1 {
		t.Error("the socket does not answer")
	}
}

func TestStandbyHasWhatWasCommittedAndIsPromoted(t *testing.T) {
	s := pgtest.Start(t)
	b := s.Standby(t, "two")
	s.Synchronous("two")
	s.Do("postgres", "CREATE TABLE a AS SELECT 7 AS n")
	if !asks[bool](t, b.URL("postgres"), "SELECT pg_is_in_recovery()") {
		t.Error("the standby is none")
	}
	s.Kill()
	b.Promote()
	b.Do("postgres", "INSERT INTO a VALUES(8)")
	if n := asks[int](t, b.URL("postgres"), "SELECT sum(n)::int FROM a"); n != 15 {
		t.Errorf("the sum is %d", n)
	}
}

func TestSynchronousStandbyThatIsAwayHoldsCommitsUp(t *testing.T) {
	s := pgtest.Start(t)
	b := s.Standby(t, "two")
	s.Synchronous("two")
	b.Stop(pgtest.Fast)
	done := make(chan error, 1)
	go func() {
		c, err := pgx.Connect(t.Context(), s.URL("postgres"))
		if err == nil {
			_, err = c.Exec(t.Context(), "CREATE TABLE a(n int)")
			c.Close(t.Context())
		}
		done <- err
	}()
	for asks[int](t, s.URL("postgres"), "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 0 {
		select {
		case err := <-done:
			t.Fatalf("the commit did not wait: %v", err)
		default:
		}
	}
	b.Start()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestServerEndsWithItsTestBinary runs this binary again and kills it.
func TestServerEndsWithItsTestBinary(t *testing.T) {
	if os.Getenv("PGTEST_CHILD") != "" {
		s := pgtest.Start(t)
		os.Stdout.WriteString("folder " + s.Folder() + "\naddress " + s.Address() + "\nready\n")
		select {}
	}
	c := exec.Command(os.Args[0], "-test.run=^TestServerEndsWithItsTestBinary$")
	c.Env = append(os.Environ(), "PGTEST_CHILD=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for b := make([]byte, 256); !strings.Contains(said.String(), "ready\n"); {
		n, err := out.Read(b)
		said.Write(b[:n])
		if err != nil {
			t.Fatalf("the child said %q and then: %v", said.String(), err)
		}
	}
	c.Process.Kill()
	io.Copy(io.Discard, out)
	c.Wait()
	f := strings.Fields(said.String())
	folder, address := f[1], f[3]
	late := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := os.Stat(folder)
		conn, up := net.Dial("tcp", address)
		if up == nil {
			conn.Close()
		}
		if os.IsNotExist(err) && up != nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("30 s after the binary was killed: folder: %v, server: %v", err, up)
		}
	}
}
