package node_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"konbit/account"
	"konbit/kerneltest"
	"konbit/node"
	"konbit/store/postgres/pgtest"
)

func TestBackupIsRestoredIntoEitherStore(t *testing.T) {
	h := newHouse(t)
	h.people()
	p := h.start() // it runs while the backup is made
	id := kerneltest.ID()
	if _, err := p.n.Intake.Do(t.Context(), report(id, "Water")); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if err := node.Backup(t.Context(), h.data, h.store, &copied, "secret words", time.Now()); err != nil {
		t.Fatal(err)
	}
	size := p.n.Intake.Size()
	p.stop()
	for name, store := range map[string]string{"sqlite": "", "another file": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.URL(t)} {
		t.Run(name, func(t *testing.T) {
			cfg := node.Config{Data: filepath.Join(t.TempDir(), "data"), Store: store, Hash: account.HashCost{Memory: 8, Passes: 1}}
			v, err := node.Restore(t.Context(), cfg, bytes.NewReader(copied.Bytes()), "secret words", func(int64, int64) {})
			if err != nil || v.Report.Size < size {
				t.Fatalf("%+v, %v, want %d entries", v, err, size)
			}
			n, err := node.Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			if s, err := n.Store.Get(t.Context(), id); err != nil || s.Record.ID != id {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}
