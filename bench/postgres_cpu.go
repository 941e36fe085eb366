package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// jiffy is the unit of times in /proc (proc(5); sysconf(_SC_CLK_TCK) is 100 on Linux).
const jiffy = 10 * time.Millisecond

// usage is what a process has used so far.
type usage struct {
	parent      int
	cpu, waited time.Duration // its own; that of children which have ended
}

// spent reads /proc/PID/stat.
func spent(pid int) (u usage, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name before may hold anything
	f := strings.Fields(rest)
	if len(f) < 15 {
		return u, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	n := func(i int) int { v, _ := strconv.Atoi(f[i]); return v }
	u.parent = n(1)
	u.cpu, u.waited = time.Duration(n(11)+n(12))*jiffy, time.Duration(n(13)+n(14))*jiffy
	return u, nil
}

// cpu is the processor time that the database server has used so far, all its
// processes together. It fails when the server runs on another machine.
func (d *database) cpu(ctx context.Context) (total time.Duration, err error) {
	var pid int
	if err := d.conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return 0, err
	}
	me, err := spent(pid)
	if err != nil {
		return 0, fmt.Errorf("the server is not on this machine: %w", err)
	}
	master, err := spent(me.parent)
	if err != nil {
		return 0, err
	}
	total = master.cpu + master.waited
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if u, err := spent(pid); err == nil && u.parent == me.parent {
			total += u.cpu
		}
	}
	return total, nil
}
