package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The real reports of 2010 import to the same records however often, and are
// found with and without accents.
func TestReportsImportTwiceToTheSame(t *testing.T) {
	file := testdata(t, "incidents/haiti2010_reports.csv")
	dir := t.TempDir()
	data, refused := filepath.Join(dir, "data"), filepath.Join(dir, "refused.csv")
	token := setUp(t, data)
	args := []string{"import", "incident", file, "--mapping", "../mappings/haiti2010.yaml", "--agency", "ht.cc", "--data", data, "--refused", refused, "--fresh"}
	if out := konbit(t, args...); !strings.Contains(out, "3593 rows") || !strings.Contains(out, "3593 created") || !strings.Contains(out, " 0 refused") {
		t.Fatalf("first import: %s", out)
	}
	n := start(t, "serve", data)
	t.Setenv("KONBIT_TOKEN", token)
	if out := konbit(t, "import", "incident", file, "--mapping", "../mappings/haiti2010.yaml", "--agency", "ht.cc", "--url", n.url, "--refused", refused, "--fresh"); !strings.Contains(out, "3593 unchanged") {
		t.Fatalf("second import, through the running node: %s", out)
	}
	titles := func(q string) map[string]bool {
		t.Helper()
		found := map[string]bool{}
		cursor := ""
		for {
			var page struct {
				Items []struct{ ID string }
				Next  string
			}
			if _, err := call(context.Background(), http.DefaultClient, token, "GET", n.url+"/api/v1/records/incident?limit=500&q="+q+"&cursor="+cursor, nil, &page); err != nil {
				t.Fatal(err)
			}
			for _, it := range page.Items {
				found[it.ID] = true
			}
			if cursor = page.Next; cursor == "" {
				return found
			}
		}
	}
	plain, accented := titles("Leogane"), titles("L%C3%A9og%C3%A2ne")
	if len(plain) < 50 || len(plain) != len(accented) {
		t.Fatalf("search finds %d for Leogane and %d for Léogâne", len(plain), len(accented))
	}
	for id := range plain {
		if !accented[id] {
			t.Fatalf("%s is found without accents alone", id)
		}
	}
	var outside struct{ Count int }
	if _, err := call(context.Background(), http.DefaultClient, token, "GET", n.url+"/api/v1/records/incident/count?flag=outside-region", nil, &outside); err != nil {
		t.Fatal(err)
	}
	if outside.Count == 0 {
		t.Fatal("no report is flagged as outside the region")
	}
	out := filepath.Join(dir, "out.csv")
	konbit(t, "export", "incident", out, "--url", n.url)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(string(b), "haiti2010/"); rows != 3593 {
		t.Fatalf("export holds %d rows", rows)
	}
	n.stop(t)
	if out := konbit(t, args...); !strings.Contains(out, "3593 unchanged") {
		t.Fatalf("third import: %s", out)
	}
	if out := konbit(t, "verify", "--data", data); !strings.Contains(out, "verified") {
		t.Fatal(out)
	}
}

func TestBackupOfARunningNodeRestoresVerified(t *testing.T) {
	dir := t.TempDir()
	data, file, other := filepath.Join(dir, "data"), filepath.Join(dir, "node.backup"), filepath.Join(dir, "other")
	pass := filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("three blue churches\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := setUp(t, data)
	n := start(t, "serve", data)
	draft := map[string]any{"observed": "2026-05-01T12:00:00Z", "marking": map[string]any{"tlp": "GREEN"}, "body": map[string]any{"title": "Dlo monte", "category": "flood", "severity": "severe"}}
	var made struct{ ID string }
	if _, err := call(context.Background(), http.DefaultClient, token, "POST", n.url+"/api/v1/records/incident", draft, &made); err != nil {
		t.Fatal(err)
	}
	konbit(t, "backup", file, "--data", data, "--passphrase-file", pass)
	if _, err := try(t, "restore", file, "--data", other); err == nil {
		t.Fatal("a sealed backup was restored without its passphrase")
	}
	if _, err := try(t, "restore", file, "--data", data, "--passphrase-file", pass); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Fatalf("a backup was restored over a node: %v", err)
	}
	konbit(t, "restore", file, "--data", other, "--passphrase-file", pass)
	m := start(t, "serve", other)
	if _, err := call(context.Background(), http.DefaultClient, token, "GET", m.url+"/api/v1/records/incident/"+made.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyNamesWhatWasTamperedWith(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	setUp(t, data)
	if out := konbit(t, "verify", "--data", data); !strings.Contains(out, "verified") {
		t.Fatal(out)
	}
	// Overwrite a name in the database file: a change of the ledger's content.
	path := filepath.Join(data, "konbit.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), `"what":"agency added"`)
	if at < 0 {
		t.Fatal("the ledger entry is not in the file")
	}
	b[at+8] = 'A'
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := try(t, "verify", "--data", data)
	if err == nil || !strings.Contains(err.Error(), "entry ") {
		t.Fatalf("tampering was not named: %s %v", out, err)
	}
}
