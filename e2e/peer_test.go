package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// member is one agency's node as a process of its own.
type member struct {
	*node
	agency, data string
	admin, op    string // tokens
}

func newMember(t *testing.T, agency string) *member {
	t.Helper()
	m := &member{agency: agency, data: filepath.Join(t.TempDir(), agency)}
	konbit(t, "agency", "add", agency, "--name", "Agency "+agency, "--country", "HT", "--data", m.data)
	konbit(t, "user", "add", "root", "--agency", agency, "--role", "administrator", "--data", m.data)
	konbit(t, "user", "add", "op", "--agency", agency, "--role", "supervisor", "--data", m.data)
	m.admin = strings.TrimSpace(konbit(t, "token", "create", "--user", agency+"/root", "--scope", "read", "--scope", "admin", "--data", m.data))
	m.op = strings.TrimSpace(konbit(t, "token", "create", "--user", agency+"/op", "--scope", "read", "--scope", "write", "--data", m.data))
	m.serve(t)
	return m
}

func (m *member) serve(t *testing.T, more ...string) { m.node = start(t, "serve", m.data, more...) }

// peer runs a command through the running node.
func (m *member) peer(t *testing.T, args ...string) string {
	t.Helper()
	t.Setenv("KONBIT_TOKEN", m.admin)
	return konbit(t, append(args, "--url", m.url)...)
}

var (
	fingerprint = regexp.MustCompile(`(?m)^fingerprint: ([0-9 ]+)$`)
	selfName    = regexp.MustCompile(`this node: konbit\.node/([0-9a-f]+)`)
)

func (m *member) fingerprint(t *testing.T) (short, print string) {
	t.Helper()
	out := m.peer(t, "peer", "list")
	f, s := fingerprint.FindStringSubmatch(out), selfName.FindStringSubmatch(out)
	if f == nil || s == nil {
		t.Fatalf("konbit peer list: %s", out)
	}
	return s[1], f[1]
}

// join lets other into the region of hub, as two administrators on the telephone would.
func join(t *testing.T, hub, other *member, community string) {
	t.Helper()
	code, _, _ := strings.Cut(hub.peer(t, "peer", "invite", "--region", "--address", hub.url), "\n")
	other.peer(t, "peer", "join", code)
	short, print := other.fingerprint(t)
	hub.peer(t, "peer", "approve", short, "--fingerprint", print, "--community", other.agency+"="+community)
}

func (m *member) report(t *testing.T, title string, marking map[string]any) (id string) {
	t.Helper()
	var rec struct{ ID string }
	body := map[string]any{"observed": time.Now().UTC().Format(time.RFC3339), "marking": marking, "body": map[string]any{"title": title, "category": "fire", "severity": "minor"}}
	if _, err := call(t.Context(), http.DefaultClient, m.op, "POST", m.url+"/api/v1/records/incident", body, &rec); err != nil {
		t.Fatal(err)
	}
	return rec.ID
}

// has reports the status with which the node answers for a record.
func (m *member) has(id string) int {
	status, _ := call(context.Background(), http.DefaultClient, m.op, "GET", m.url+"/api/v1/records/incident/"+id, nil, nil)
	return status
}

// until asks until the answer is as wanted, for a minute.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestThreeProcessesExchangeThroughAHubThatIsKilled(t *testing.T) {
	hub, ht, do := newMember(t, "int.hub"), newMember(t, "ht.cc"), newMember(t, "do.911")
	hub.peer(t, "peer", "found", "hispaniola")
	join(t, hub, ht, "@hispaniola")
	join(t, hub, do, "@hispaniola")
	until(t, "the directory has reached everybody", func() bool {
		return strings.Contains(ht.peer(t, "peer", "list"), "do.911") && strings.Contains(do.peer(t, "peer", "directory"), "ht.cc")
	})

	shared := map[string]any{"tlp": "GREEN", "to": []string{"@hispaniola"}}
	first := ht.report(t, "released while everything works", shared)
	until(t, "the release has arrived", func() bool { return do.has(first) == 200 })

	hub.kill()
	second, alone := ht.report(t, "released while the hub is down", shared), ht.report(t, "for the owner alone", map[string]any{"tlp": "AMBER"})
	narrow := func(id string) {
		if _, err := call(t.Context(), http.DefaultClient, ht.op, "POST", ht.url+"/api/v1/records/incident/"+id+"/mark", map[string]any{"args": map[string]any{"tlp": "AMBER"}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	narrow(first)
	do.kill()

	// What waits is carried on a stick meanwhile, twice.
	stick := filepath.Join(t.TempDir(), "stick.bundle")
	ht.peer(t, "bundle", "export", "--to", "do.911", stick)
	for range 2 {
		if out := konbit(t, "bundle", "import", stick, "--data", do.data); !strings.Contains(out, " 0 refused") {
			t.Fatalf("the stick: %s", out)
		}
	}
	do.serve(t)
	if do.has(first) != 404 || do.has(second) != 200 {
		t.Fatalf("after the stick: the recalled record answers %d, the released one %d", do.has(first), do.has(second))
	}

	hub.serve(t, "--listen", strings.Replace(strings.TrimPrefix(hub.url, "http://"), "localhost", "127.0.0.1", 1))
	third := ht.report(t, "released when the hub is back", shared)
	until(t, "the exchange goes on", func() bool { return do.has(third) == 200 })
	until(t, "the owner knows that the recall was carried out", func() bool {
		var v struct{ Holders []struct{ State string } }
		_, err := call(t.Context(), http.DefaultClient, ht.op, "GET", ht.url+"/api/v1/records/incident/"+first+"/holders", nil, &v)
		for _, h := range v.Holders {
			if h.State != "purged" {
				return false
			}
		}
		return err == nil && len(v.Holders) > 0
	})
	plate := map[string]any{"observed": time.Now().UTC().Format(time.RFC3339), "marking": map[string]any{"tlp": "AMBER"},
		"body": map[string]any{"title": "a lorry", "category": "robbery", "severity": "minor", "identifiers": []map[string]any{{"type": "plate", "value": "AA 04-217"}}}}
	if _, err := call(t.Context(), http.DefaultClient, do.op, "POST", do.url+"/api/v1/records/incident", plate, nil); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KONBIT_TOKEN", ht.op)
	for value, want := range map[string]string{"aa04217": "Konbit: hit do.911", "AA04218": "no-hit"} {
		if out := konbit(t, "peer", "ask", "plate", value, "--purpose", "stolen lorry", "--url", ht.url); !strings.Contains(out, want) || want == "no-hit" && strings.Contains(out, ": hit") {
			t.Errorf("peer ask %s: %s", value, out)
		}
	}
	if out := konbit(t, "peer", "holders", "incident", third, "--url", ht.url); strings.Count(out, "opened")+strings.Count(out, "received") != 1 {
		t.Errorf("peer holders: %s", out)
	}
	if do.has(alone) != 404 || hub.has(alone) != 404 {
		t.Error("a record with an empty audience left its node")
	}
	for _, m := range []*member{hub, ht, do} {
		m.stop(t)
		if out := konbit(t, "verify", "--data", m.data); !strings.Contains(out, "ledger") {
			t.Errorf("verify of %s: %s", m.agency, out)
		}
	}
}

func TestLockedKeysKeepAStolenNodeSilent(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	setUp(t, data)
	pass, other := filepath.Join(t.TempDir(), "pass"), filepath.Join(t.TempDir(), "other")
	for path, words := range map[string]string{pass: "twa wòch dife", other: "yon lòt pawòl"} {
		if err := os.WriteFile(path, []byte(words+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	konbit(t, "keys", "lock", "--data", data, "--new-passphrase-file", pass)
	if out := konbit(t, "keys", "show", "--data", data); !strings.Contains(out, "passphrase") {
		t.Errorf("keys show: %s", out)
	}
	for _, args := range [][]string{nil, {"--keys-passphrase-file", other}} {
		if out, err := try(t, append([]string{"agency", "list", "--data", data}, args...)...); err == nil {
			t.Errorf("the node opens with %v: %s", args, out)
		}
	}
	if err := filepath.Walk(filepath.Join(data, "keys"), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && !strings.HasPrefix(string(b), "age-encryption.org/") {
			err = fmt.Errorf("%s is plain", filepath.Base(path))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	n := start(t, "serve", data, "--keys-passphrase-file", pass)
	n.stop(t)
	konbit(t, "keys", "unlock", "--data", data, "--keys-passphrase-file", pass)
	konbit(t, "agency", "list", "--data", data)
}
