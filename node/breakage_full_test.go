package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/store/postgres/pgtest"
)

const fullDisk = "503 the database's disk is full; nothing was saved"

// disk is a small file system that a server lives on.
type disk struct {
	t    *testing.T
	path string
}

// smallDisk mounts one of so many bytes, and lets servers that are started from now on
// live there.
func smallDisk(t *testing.T, size int) *disk {
	t.Helper()
	path, err := os.MkdirTemp("", "konbit-disk-") // not the test's own, into which the server's user may not look
	if err == nil {
		err = os.Chmod(path, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	d := &disk{t, path}
	if err := syscall.Mount("konbit-test", d.path, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=1777", size)); err != nil {
		t.Skipf("a small file system is needed, and this user may not mount one (as root, or in a container with CAP_SYS_ADMIN, he may): %v", err)
	}
	// The server's folder and what watches it are gone by then: cleaning up goes backwards.
	t.Cleanup(func() {
		until(t, "the small file system is free", 10*time.Second, func() bool { return syscall.Unmount(d.path, 0) == nil })
	})
	t.Setenv("TMPDIR", d.path)
	return d
}

// fill leaves no room.
func (d *disk) fill() {
	d.t.Helper()
	f, err := os.Create(filepath.Join(d.path, "ballast"))
	if err != nil {
		d.t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2] // others write, too
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// empty makes room again.
func (d *disk) empty() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.path, "ballast")); err != nil {
		d.t.Fatal(err)
	}
}

func TestDatabaseWhoseDiskIsFullRefusesAndGoesOn(t *testing.T) {
	d := smallDisk(t, 256<<20)
	s, h := ownServer(t)
	a, b := h.start(), h.start()
	oneOnDuty(t, 5*time.Second, a, b)
	w, c := h.watch(a, b), h.write(6, a, b)
	c.more(10, 20*time.Second)

	d.fill()
	c.hears(30*time.Second, fullDisk)
	for _, p := range []*process{a, b} { // it is read from, as before
		if got := p.get(h.token, "/api/v1/records/incident"); got.code != 200 {
			t.Errorf("a list: %+v", got)
		}
		if got := p.get("", "/readyz"); got.code != 200 {
			t.Errorf("ready: %+v", got)
		}
	}
	d.empty()
	c.more(20, 20*time.Second)
	c.onlyTold(fullDisk, before)
	c.kept(a)

	// When there is no room for its log either, the server ends itself, and cannot
	// start before there is.
	d.fill()
	pid := postmaster(t, s)
	t.Log("server says: ", flood(t, s))
	c.hears(30*time.Second, away, busy, fullDisk)
	d.empty()
	until(t, "the server is back, or has ended", 30*time.Second, func() bool { return answers(t, s) || syscall.Kill(pid, 0) == syscall.ESRCH })
	if !answers(t, s) {
		until(t, "its end is known", 5*time.Second, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
		s.Start() // as whoever looks after the machine does
	}
	c.more(20, 30*time.Second)
	oneOnDuty(t, 10*time.Second, a, b)
	c.stop()
	c.onlyTold(fullDisk, before, away, busy, lost, tookOver)
	w.saw(c, 5*time.Second)
	c.kept(a)
	c.kept(b)
}

// postmaster is the server's first process.
func postmaster(t *testing.T, s *pgtest.Server) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Folder(), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// flood writes into the server's log alone until it has no room.
func flood(t *testing.T, s *pgtest.Server) error {
	t.Helper()
	c, err := pgx.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for range 500 {
		if _, err := c.Exec(t.Context(), "SELECT pg_logical_emit_message(false, 'flood', repeat('x', 1000000))"); err != nil {
			return err
		}
	}
	t.Fatal("the server takes half a gigabyte of log on a smaller disk")
	return nil
}

// answers reports whether the server takes connections.
func answers(t *testing.T, s *pgtest.Server) bool {
	c, err := pgx.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		return false
	}
	return c.Close(t.Context()) == nil
}
