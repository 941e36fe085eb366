// Package e2e drives the built binary as people do: command line, HTTP, kill -9,
// and a real browser. It holds tests alone.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "konbit-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "konbit")
	build := exec.Command("go", "build", "-o", binary, "konbit/cmd/konbit")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// konbit runs one command and returns its standard output.
func konbit(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t, args...)
	if err != nil {
		t.Fatalf("konbit %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s%s", err, out.String(), errs.String())
	}
	return out.String(), nil
}

// node is a running konbit process.
type node struct {
	cmd *exec.Cmd
	url string
}

// start runs "konbit serve" or "konbit demo" and waits until it listens.
func start(t *testing.T, command, data string, more ...string) *node {
	t.Helper()
	cmd := exec.Command(binary, append([]string{command, "--data", data, "--listen", "127.0.0.1:0"}, more...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{cmd: cmd}
	t.Cleanup(n.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "listens on "); ok {
			n.url, _, _ = strings.Cut(rest, " ")
			go io.Copy(io.Discard, out)
			return n
		}
	}
	cmd.Wait()
	t.Fatalf("konbit %s ended before it listened", command)
	return nil
}

// kill ends the process as a power cut would.
func (n *node) kill() {
	if n.cmd.ProcessState == nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
	}
}

// stop ends the process as an administrator would.
func (n *node) stop(t *testing.T) {
	t.Helper()
	if err := n.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Wait(); err != nil {
		t.Fatalf("konbit did not end well: %v", err)
	}
}

// setUp makes a node with one agency, one operator and his token.
func setUp(t *testing.T, data string) (token string) {
	t.Helper()
	konbit(t, "agency", "add", "ht.cc", "--name", "Command centre", "--country", "HT", "--community", "@hispaniola", "--data", data)
	konbit(t, "user", "add", "op", "--agency", "ht.cc", "--role", "supervisor", "--data", data)
	return strings.TrimSpace(konbit(t, "token", "create", "--user", "op", "--data", data))
}

// call makes one request and decodes the answer.
func call(ctx context.Context, client *http.Client, token, method, url string, body, into any) (int, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if into != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(b, into); err != nil {
			return res.StatusCode, fmt.Errorf("%.300s: %w", b, err)
		}
	}
	if res.StatusCode >= 300 {
		return res.StatusCode, fmt.Errorf("%s: %.500s", res.Status, b)
	}
	return res.StatusCode, nil
}

// testdata returns a file of the shared trial data, or skips.
func testdata(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("KONBIT_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no trial data: set KONBIT_TESTDATA to a folder that holds %s", name)
	}
	return path
}
