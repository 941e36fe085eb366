package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"konbit/record"
)

// acknowledged is what the node has said is on disk.
type acknowledged struct {
	mu       sync.Mutex
	versions map[record.ID]int
}

func (a *acknowledged) saw(id record.ID, version int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.versions[id] = max(a.versions[id], version)
}

// TestKillAtAnyMomentLosesNothingAcknowledged kills the node with SIGKILL under
// load, again and again. KONBIT_KILLS sets how often.
func TestKillAtAnyMomentLosesNothingAcknowledged(t *testing.T) {
	kills := 50
	if s := os.Getenv("KONBIT_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(t.TempDir(), "data")
	token := setUp(t, data)
	acked := &acknowledged{versions: map[record.ID]int{}}
	for i := range kills {
		n := start(t, "serve", data)
		if i > 0 && i%10 == 0 {
			checkAll(t, n, token, acked)
		}
		load(t, n, token, acked, time.Duration(20+rand.IntN(400))*time.Millisecond)
		if out, err := try(t, "verify", "--data", data); err != nil {
			t.Fatalf("after kill %d: %s %v", i+1, out, err)
		}
	}
	n := start(t, "serve", data)
	checkAll(t, n, token, acked)
	n.stop(t)
	if len(acked.versions) < kills {
		t.Fatalf("only %d records were acknowledged: there was no load", len(acked.versions))
	}
	t.Logf("%d kills, %d records acknowledged", kills, len(acked.versions))
}

// load writes from 16 clients until the node is killed under them.
func load(t *testing.T, n *node, token string, acked *acknowledged, span time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				now := time.Now()
				id := record.NewID(now)
				draft := map[string]any{"id": id, "observed": now.UTC(), "marking": map[string]any{"tlp": "AMBER"},
					"place": map[string]any{"geometry": map[string]any{"type": "Point", "coordinates": []float64{-72.3, 18.5}}},
					"body":  map[string]any{"title": "Wout bloke " + id.String(), "category": "road-blocked", "severity": "moderate"}}
				url := n.url + "/api/v1/records/incident"
				if _, err := call(ctx, client, token, "POST", url, draft, nil); err != nil {
					return
				}
				acked.saw(id, 1)
				if _, err := call(ctx, client, token, "POST", fmt.Sprintf("%s/%s/verify", url, id), map[string]any{"note": "second call"}, nil); err != nil {
					return
				}
				acked.saw(id, 2)
			}
		})
	}
	timer := time.NewTimer(span)
	<-timer.C
	n.kill()
	cancel()
	wg.Wait()
}

// checkAll reads every acknowledged record back.
func checkAll(t *testing.T, n *node, token string, acked *acknowledged) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for id, version := range acked.versions {
		var got struct {
			Version int
			State   string
			Body    struct{ Title string }
		}
		if _, err := call(context.Background(), client, token, "GET", fmt.Sprintf("%s/api/v1/records/incident/%s", n.url, id), nil, &got); err != nil {
			t.Fatalf("acknowledged record is lost: %v", err)
		}
		if got.Version < version || got.Body.Title != "Wout bloke "+id.String() || got.Version == 2 && got.State != "verified" {
			t.Fatalf("record %s came back as %+v, acknowledged was version %d", id, got, version)
		}
	}
}
