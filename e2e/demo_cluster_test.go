package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"konbit/store/postgres/pgtest"
)

// Whoever reads at the demo's one address is answered, also while the process that
// was asked is killed; and who is signed in at one is signed in at all.
func TestDemoOfTwoProcessesAnswersWhileOneIsKilled(t *testing.T) {
	n := start(t, "demo", filepath.Join(t.TempDir(), "demo"), "--processes", "2", "--store", pgtest.URL(t), "--quiet", "--records", "20")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	answer := func(method, path string, body any) (out map[string]any, err error) {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(t.Context(), method, n.url+path, bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if body == nil {
			r.Body = http.NoBody
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		if b, err = io.ReadAll(res.Body); err == nil && res.StatusCode >= 300 {
			err = fmt.Errorf("%s %s: %s %s", method, path, res.Status, b)
		}
		if err != nil {
			return nil, err
		}
		return out, json.Unmarshal(b, &out)
	}
	if _, err := answer("POST", "/api/v1/session", map[string]string{"name": "ht.cc/administrate-1", "password": "konbit-demo"}); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	both := func() bool {
		addresses = nil
		v, err := answer("GET", "/api/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		all, _ := v["processes"].([]any)
		for _, p := range all {
			if address, _ := p.(map[string]any)["address"].(string); lives(address) {
				addresses = append(addresses, address)
			}
		}
		return len(addresses) == 2
	}
	for range kills(t, 2) {
		until(t, "two processes answer", both)
		pids := childrenOf(t, n.cmd.Process.Pid)
		if len(pids) != 2 {
			t.Fatalf("processes %v", pids)
		}
		syscall.Kill(pids[0], syscall.SIGKILL)
		for range 50 {
			v, err := answer("GET", "/api/v1/session", nil)
			if err != nil || v["person"] == nil {
				t.Fatalf("%v %v", v, err)
			}
		}
	}
	until(t, "two processes answer", both)
	n.stop(t)
	for _, address := range addresses {
		if lives(address) {
			t.Errorf("%s answers although the demo has ended", address)
		}
	}
}

// lives reports whether a process answers.
func lives(address string) bool {
	res, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		return false
	}
	res.Body.Close()
	return true
}

// childrenOf lists the processes that one has started (proc(5)).
func childrenOf(t *testing.T, parent int) (pids []int) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if of := strings.Fields(rest); len(of) > 1 && of[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
