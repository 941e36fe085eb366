package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Server is a server that a test has for itself, to see what its breaking does.
// Whatever fails ends the test. One goroutine, that of the test, may call it.
type Server struct {
	t testing.TB
	s *server
}

// Mode is how a server is stopped (pg_ctl -m).
type Mode os.Signal

// The modes.
var (
	Smart     Mode = syscall.SIGTERM // when the last session has ended
	Fast      Mode = syscall.SIGINT  // sessions are cut, everything is written
	Immediate Mode = syscall.SIGQUIT // at once, as after a crash
)

// Start starts a server with the settings, "name=value". It ends with the test.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := launch(settings...)
	return own(t, s, err)
}

func own(t testing.TB, s *server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return &Server{t, s}
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// URL is where a database of the server is reached, by TCP on loopback. Database
// postgres is always there.
func (s *Server) URL(database string) string { return s.s.url(database) }

// Address is the server's host:port.
func (s *Server) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.s.port) }

// Folder holds the server's Unix socket, and its log in a file of that name.
func (s *Server) Folder() string { return s.s.folder }

// Do runs statements, each in a transaction of its own, as superuser.
func (s *Server) Do(database string, statements ...string) {
	s.t.Helper()
	s.must(s.s.do(database, statements...))
}

// Stop stops the server and returns when it has ended.
func (s *Server) Stop(m Mode) {
	s.t.Helper()
	s.must(s.s.process.Signal(m))
	s.must(s.s.end())
}

// Kill ends the server and all of its processes in the middle of what they do
// (SIGKILL). To the data it is what a power cut of the machine is, but for what the
// operating system had not written to the disk.
func (s *Server) Kill() {
	s.t.Helper()
	main := s.s.process
	s.must(main.Signal(syscall.SIGSTOP)) // it makes no more children now
	pids := children(main.Pid)
	s.must(main.Kill())
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			s.t.Fatal(err)
		}
	}
	s.must(s.s.end())
	for _, pid := range pids {
		if !soon(func() bool { state, _ := status(pid); return state == "" || state == "Z" || state == "X" }) {
			s.t.Fatalf("process %d of the server does not end", pid)
		}
	}
}

// Start starts the server again, on the same port.
func (s *Server) Start() {
	s.t.Helper()
	s.must(s.s.start())
}

// Set changes settings, "name=value". A server that runs reads them again; some
// count only when it is started anew.
func (s *Server) Set(settings ...string) {
	s.t.Helper()
	s.must(s.s.write(settings...))
	if s.s.running() {
		s.must(s.s.reload())
	}
}

// Standby makes a server that follows this one (pg_basebackup -R) and calls itself
// name, and returns when it does. See Synchronous.
func (s *Server) Standby(t testing.TB, name string) *Server {
	t.Helper()
	b, err := prepare()
	if err == nil {
		err = b.run("pg_basebackup", "-D", b.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync",
			"-d", fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=%s", s.s.port, name))
		if err == nil {
			err = b.start()
		}
		if err != nil {
			err = errors.Join(err, b.remove())
		}
	}
	standby := own(t, b, err)
	s.follows(name, "")
	return standby
}

// Synchronous makes every commit wait for the standbys of these names, all of
// them; without names it waits for none. It returns when that holds.
func (s *Server) Synchronous(names ...string) {
	s.t.Helper()
	if len(names) == 0 {
		s.Set("synchronous_standby_names=")
		return
	}
	s.Set(fmt.Sprintf("synchronous_standby_names=%d (%s)", len(names), strings.Join(names, ", ")))
	for _, name := range names {
		s.follows(name, "sync")
	}
}

// follows waits until a standby streams, and counts as sync says; "": as anything.
func (s *Server) follows(name, sync string) {
	s.t.Helper()
	var err error
	var there bool
	if !soon(func() bool {
		err = s.s.with("postgres", func(ctx context.Context, c *pgx.Conn) error {
			return c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming' AND $2 IN ('', sync_state))", name, sync).Scan(&there)
		})
		return err != nil || there
	}) {
		s.t.Fatalf("standby %s does not follow", name)
	}
	s.must(err)
}

// Promote makes a standby a server of its own, and returns when it takes changes.
func (s *Server) Promote() {
	s.t.Helper()
	s.Do("postgres", "SELECT pg_promote(true, 60)")
	var standby bool
	s.must(s.s.with("postgres", func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby)
	}))
	if standby {
		s.t.Fatal("the standby was not promoted")
	}
}

// children lists the processes whose parent is the given one.
func children(parent int) (pids []int) {
	found, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range found {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if _, of := status(pid); of == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}

// status returns a process's state and parent (proc(5), /proc/pid/stat); "" and 0
// when it is gone.
func status(pid int) (state string, parent int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name before may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}
