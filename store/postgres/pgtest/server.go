package pgtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a PostgreSQL server in a folder of its own, run as user postgres when
// we are root, as which it would refuse to run.
type server struct {
	bin    string // folder of its programs
	folder string // holds data, the log, and the socket
	port   int
	who    *syscall.Credential // nil: as we are

	guard   *exec.Cmd
	release io.Closer // the guard waits for its end

	process *os.Process // of the postmaster; nil: it does not run
	ended   chan struct{}
}

// launch makes a server and starts it.
func launch(settings ...string) (*server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	err = s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	if err == nil {
		err = s.write(slices.Concat([]string{"max_connections=200", "max_wal_senders=10", "wal_keep_size=64MB", "shared_buffers=64MB"}, settings)...)
	}
	if err == nil {
		err = s.start()
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// prepare makes the folder, and the guard that removes it and what runs in it.
func prepare() (_ *server, err error) {
	s := &server{}
	if s.bin, err = newest(); err != nil {
		return nil, err
	}
	if s.folder, err = os.MkdirTemp("", "konbit-pg-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.folder))
		}
	}()
	if os.Geteuid() == 0 {
		if s.who, err = postgres(); err != nil {
			return nil, err
		}
		if err := os.Chown(s.folder, int(s.who.Uid), int(s.who.Gid)); err != nil {
			return nil, err
		}
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	return s, s.watch()
}

// newest returns the programs' folder of the newest version that is installed.
func newest() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed, and these tests need a real one: apt-get install postgresql (make test does it)")
	}
	number := func(initdb string) float64 {
		n, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(initdb))), 64)
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(number(a), number(b)) })), nil
}

// postgres is the user that Debian's package makes.
func postgres() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and its own user is missing: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// freePort returns a port that nobody listens on. It is below those that outgoing
// connections use, one of which could take it while the server is stopped.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 20000 + rand.IntN(12000)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

func (s *server) data() string { return filepath.Join(s.folder, "data") }

// command makes a program ready to run as the server's user, in its folder, and in
// a session of its own, so that a signal from the keyboard reaches us alone.
func (s *server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = s.folder
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.folder, "LC_ALL=C.UTF-8", "TZ=UTC"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.who, Setsid: true}
	return c
}

// run runs one of PostgreSQL's programs to its end.
func (s *server) run(name string, args ...string) error {
	out, err := s.command(filepath.Join(s.bin, name), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// watch starts a shell that waits until we let go of its input, or are gone, and
// then ends the server and removes the folder.
func (s *server) watch() error {
	s.guard = s.command("/bin/sh", "-c", `cat >/dev/null; "$1/pg_ctl" stop -s -m immediate -D "$2/data" >/dev/null 2>&1; cd /; rm -rf "$2"`, "guard", s.bin, s.folder)
	in, err := s.guard.StdinPipe()
	if err != nil {
		return err
	}
	s.release = in
	return s.guard.Start()
}

// remove ends the server and removes its folder.
func (s *server) remove() error {
	if err := s.release.Close(); err != nil {
		return err
	}
	return s.guard.Wait()
}

// write adds settings, "name=value", which count from the next start or reload on.
func (s *server) write(settings ...string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, one := range settings {
		name, value, ok := strings.Cut(one, "=")
		if !ok {
			err = errors.Join(err, fmt.Errorf("setting %q is not name=value", one))
			continue
		}
		_, e := fmt.Fprintf(f, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
		err = errors.Join(err, e)
	}
	return errors.Join(err, f.Close())
}

// start starts the server and waits until it answers.
func (s *server) start() error {
	if s.running() {
		return errors.New("the server runs already")
	}
	log, err := os.OpenFile(s.log(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := s.command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port), "-h", "127.0.0.1", "-k", s.folder)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.process, s.ended = c.Process, ended
	go func() {
		c.Wait() // what it returns is in the log
		close(ended)
	}()
	err = errors.New("it has not answered yet")
	if soon(func() bool {
		err = s.do("postgres", "SELECT 1")
		return err == nil || !s.running()
	}) && err == nil {
		return nil
	}
	text, e := os.ReadFile(s.log())
	return errors.Join(fmt.Errorf("the server does not start: %w\n%s", err, text), e)
}

func (s *server) log() string { return filepath.Join(s.folder, "log") }

func (s *server) running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// end waits until the postmaster is gone.
func (s *server) end() error {
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		return errors.New("the server does not end")
	}
}

// reload makes settings count, for every session that begins when it returns.
func (s *server) reload() error {
	var before time.Time
	read := func(at *time.Time) error {
		return s.with("postgres", func(ctx context.Context, c *pgx.Conn) error {
			return c.QueryRow(ctx, "SELECT pg_conf_load_time()").Scan(at)
		})
	}
	if err := read(&before); err != nil {
		return err
	}
	if err := s.process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	var now time.Time
	var err error
	if !soon(func() bool { err = read(&now); return err != nil || now.After(before) }) {
		return errors.New("the server does not read its settings")
	}
	if err != nil {
		return err
	}
	// It is the checkpointer that tells sessions to wait for a standby. It reads the
	// settings before it does what it is asked for.
	return s.do("postgres", "CHECKPOINT")
}

// soon waits until ok is true, and returns false when that takes too long.
func soon(ok func() bool) bool {
	late := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			return false
		}
	}
	return true
}
