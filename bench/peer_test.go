package bench

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Figures on little: that each row is made, and that what it is made of is
// correct (nothing lost, nothing twice, ledgers verify, proofs hold). Times are
// for a quiet machine and a long run.
func TestPeerFiguresAreMadeOfACorrectExchange(t *testing.T) {
	o := Options{Binary: built(t), Log: t.Output()}
	load := peerLoad{seconds: 1, backlog: 3000, questions: 50, slow: little(newHose)}
	rows, err := measurePeers(t.Context(), t.TempDir(), o, load)
	if err != nil {
		t.Fatal(err)
	}
	made(t, rows, 8)
}

func TestSlowLinkIsMeasuredWithoutNetworkNamespaces(t *testing.T) {
	o := Options{Binary: built(t), Log: t.Output()}
	load := little(func(s shape) (hose, error) { return newProxy(s, "a test") })
	rows, err := slowRows(t.Context(), t.TempDir(), o, load, 150)
	if err != nil {
		t.Fatal(err)
	}
	made(t, rows, 3)
}

// little is a slow link on which little goes, with three crashes.
func little(make func(shape) (hose, error)) slowLoad {
	return slowLoad{records: 600, kills: 3, idle: time.Second, hose: make, shape: shape{rate: 20_000, delay: 30 * time.Millisecond, loss: 0.01}}
}

// built builds the binary that runs the two sides.
func built(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the binary and runs it for a while")
	}
	binary := filepath.Join(t.TempDir(), "konbit")
	if out, err := exec.Command("go", "build", "-o", binary, "konbit/cmd/konbit").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func made(t *testing.T, rows []Row, want int) {
	t.Helper()
	for _, r := range rows {
		if r.Name == "" || r.Value < 0 || r.Unit == "" || r.Reach == "" || r.Method == "" {
			t.Errorf("a row lacks something: %+v", r)
		}
		t.Logf("%s: %.3g %s", r.Name, r.Value, r.Unit)
	}
	if len(rows) != want {
		t.Errorf("%d rows, not %d", len(rows), want)
	}
}
