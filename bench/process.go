package bench

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"konbit/ui"
)

// processRows starts the binary on a data folder and reads how soon it is ready
// and how much memory it holds after some requests.
func processRows(ctx context.Context, dir string, o Options, what string, reach float64) ([]Row, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(ctx, o.Binary, "serve", "--data", dir, "--listen", addr)
	cmd.Stdout, cmd.Stderr = io.Discard, o.Log
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}()
	var ready time.Duration
	for {
		res, err := http.Get("http://" + addr + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == 200 {
				ready = time.Since(start)
				break
			}
		}
		if time.Since(start) > time.Minute {
			return nil, fmt.Errorf("the node was not ready within a minute")
		}
		time.Sleep(5 * time.Millisecond)
	}
	for range 50 {
		res, err := http.Get("http://" + addr + "/api/v1/session")
		if err != nil {
			return nil, err
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	rss, err := resident(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	mem := Row{Name: "memory, " + what, Value: rss, Unit: "MB resident", Reach: fmt.Sprintf("%g MB", reach), OK: rss < reach, Method: "VmRSS of konbit serve after start and 50 requests"}
	up := Row{Name: "ready, " + what, Value: ready.Seconds(), Unit: "s", Reach: "2 s", OK: ready < 2*time.Second, Method: "from starting the process to /readyz answering 200"}
	return []Row{mem, up}, nil
}

func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 64)
			return kb / 1000, err
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}

func smallRows(ctx context.Context, dir string, o Options) ([]Row, error) {
	if o.Binary == "" {
		return nil, nil
	}
	return processRows(ctx, dir, o, "empty node", 60)
}

// sizeRows measures the binary and the first screen.
func sizeRows(_ context.Context, _ string, o Options) ([]Row, error) {
	var rows []Row
	if st, err := os.Stat(o.Binary); err == nil {
		mb := float64(st.Size()) / 1e6
		rows = append(rows, Row{Name: "binary", Value: mb, Unit: "MB", Reach: "60 MB", OK: mb < 60, Method: "size of the file"})
	}
	kb, n, err := withoutMap()
	if err != nil {
		return rows, nil // built without the console
	}
	return append(rows, Row{Name: "console before the map, at most", Value: kb, Unit: "KB compressed", Reach: "350 KB", OK: kb < 350,
		Method: fmt.Sprintf("the page and all %d scripts and styles but the map's, each in the smallest form that is served; a first screen loads less: ui/e2e measures it in a browser", n)}), nil
}

// withoutMap sums every script and style of the console but those of the map,
// which are loaded after the first screen.
func withoutMap() (kb float64, files int, err error) {
	names, err := fs.Glob(ui.Dist, "dist/assets/*")
	if err != nil {
		return 0, 0, err
	}
	if _, err := fs.Stat(ui.Dist, "dist/index.html"); err != nil {
		return 0, 0, err
	}
	total := smallest("dist/index.html")
	for _, name := range names {
		ext := path.Ext(name)
		if (ext == ".js" || ext == ".css") && !strings.Contains(name, "/map") {
			total += smallest(name)
			files++
		}
	}
	return float64(total) / 1000, files, nil
}

func smallest(name string) int64 {
	best := int64(0)
	for _, ext := range []string{"", ".gz", ".br"} {
		if st, err := fs.Stat(ui.Dist, name+ext); err == nil && (best == 0 || st.Size() < best) {
			best = st.Size()
		}
	}
	return best
}
