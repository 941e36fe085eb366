package node_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"konbit/account"
	"konbit/node"
	"konbit/record"
	"konbit/store"
)

// made is the data folder of a stopped node that serves one agency.
func made(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	n, err := node.Open(t.Context(), node.Config{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Accounts.AddAgency(t.Context(), account.Node, store.Agency{ID: "ht.cc", Name: "Sant", Local: true}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// refused opens a folder that must not open, and returns what an administrator
// reads.
func refused(t *testing.T, data string, code record.Code) string {
	t.Helper()
	n, err := node.Open(t.Context(), node.Config{Data: data})
	if err == nil {
		n.Close()
		t.Fatal("it opened")
	}
	if record.CodeOf(err) != code {
		t.Errorf("code %s: %v", record.CodeOf(err), err)
	}
	return err.Error()
}

func TestSecondProcessIsToldWhatItCanDo(t *testing.T) {
	data := made(t)
	n, err := node.Open(t.Context(), node.Config{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if msg := refused(t, data, record.Unavailable); !strings.Contains(msg, "another konbit process") {
		t.Error(msg)
	}
}

func TestMissingOrWrongKeysAreNamed(t *testing.T) {
	for name, spoil := range map[string]func(keys string) error{
		"node.key":  func(k string) error { return os.Remove(filepath.Join(k, "node.key")) },
		"ht.cc":     func(k string) error { return os.Remove(filepath.Join(k, "ht.cc.key")) },
		"ht.cc.key": func(k string) error { return os.WriteFile(filepath.Join(k, "ht.cc.key"), []byte("x"), 0o600) },
		"is missing, or is not": func(k string) error { // another agency's
			b, err := os.ReadFile(filepath.Join(k, "node.key"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(k, "ht.cc.key"), b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := made(t)
			if err := spoil(filepath.Join(data, "keys")); err != nil {
				t.Fatal(err)
			}
			msg := refused(t, data, record.Corrupt)
			if name != "node.key" && !strings.Contains(msg, name) {
				t.Error(msg)
			}
		})
	}
}

func TestDamagedDatabaseIsRefusedNotPanickedAt(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"no database": func([]byte) []byte {
			return []byte("this is not a database, but it is long enough to look like something")
		},
		"cut off": func(b []byte) []byte { return b[:len(b)/3] },
		"second page": func(b []byte) []byte {
			for i := 4096; i < 40*4096 && i < len(b); i++ {
				b[i] = byte(i * 7)
			}
			return b
		},
		"schema": func(b []byte) []byte {
			for i := 100; i < 4096; i++ {
				b[i] = 0xA5
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := made(t)
			path := filepath.Join(data, "konbit.db")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, spoil(b), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, data, record.Corrupt)
			if n, err := node.OpenReadOnly(t.Context(), data, ""); err == nil {
				n.Close()
			} else if record.CodeOf(err) != record.Corrupt {
				t.Error("read only: ", err)
			}
		})
	}
}

func TestRestoreBeginsANewIncarnation(t *testing.T) {
	data := made(t)
	var copied bytes.Buffer
	if err := node.Backup(t.Context(), data, "", &copied, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	life := func(data string) string {
		t.Helper()
		n, err := node.Open(t.Context(), node.Config{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		b, err := n.Store.Value(t.Context(), "incarnation")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	seen := map[string]bool{life(data): true}
	for range 2 {
		again := filepath.Join(t.TempDir(), "restored")
		if _, err := node.Restore(t.Context(), node.Config{Data: again}, bytes.NewReader(copied.Bytes()), "", func(int64, int64) {}); err != nil {
			t.Fatal(err)
		}
		if l := life(again); seen[l] {
			t.Errorf("the restored node has the incarnation %q of another", l)
		} else {
			seen[l] = true
		}
	}
}
