package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"konbit/account"
	"konbit/ledger"
	"konbit/node"
	"konbit/record"
	"konbit/store"
)

// open opens a node and closes it when the test ends, unless it was closed.
func open(t *testing.T, cfg node.Config) *node.Node {
	t.Helper()
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// public is everything that must not change when a folder is locked.
func public(t *testing.T, data string, u node.Unlock) map[string]string {
	t.Helper()
	n := open(t, node.Config{Data: data, Unlock: u})
	defer n.Close()
	return map[string]string{
		"node": n.Keys.Ledger(), "link": ledger.KeyID(n.Keys.Sign().Public().(ed25519.PublicKey)), "seal": n.Keys.Recipient(),
		"agency": ledger.KeyID(n.Keys.Key("ht.cc").Public().(ed25519.PublicKey)), "region": ledger.KeyID(n.Keys.Region("hispaniola").Public().(ed25519.PublicKey)),
	}
}

// madeFull is a stopped node with every sort of key.
func madeFull(t *testing.T) string {
	t.Helper()
	data := made(t)
	n := open(t, node.Config{Data: data})
	if _, err := n.Keys.MakeRegion("hispaniola"); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// secrets returns the files of the keys folder that a finder could use.
func secrets(t *testing.T, data string) (plain []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "keys", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, []byte("age-encryption.org/v1\n")) && filepath.Base(f) != "node.pub" {
			plain = append(plain, filepath.Base(f))
		}
	}
	return plain
}

func identityFile(t *testing.T) string {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "konbit-keys")
	if err := os.WriteFile(path, []byte("# a key file\n"+id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLockedKeysOpenWithPassphraseOrKeyFileAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct{ right, wrong node.Unlock }{
		"passphrase": {node.Unlock{Passphrase: "lanbi ak kasav"}, node.Unlock{Passphrase: "lanbi ak kasav "}},
		"identity":   {node.Unlock{Identity: identityFile(t)}, node.Unlock{Identity: identityFile(t)}},
	} {
		t.Run(name, func(t *testing.T) {
			data := madeFull(t)
			before := public(t, data, node.Unlock{})
			if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, c.right); err != nil {
				t.Fatal(err)
			}
			if by, err := node.KeysLocked(data); err != nil || by != name {
				t.Errorf("locked by %q, %v", by, err)
			}
			if plain := secrets(t, data); len(plain) > 0 {
				t.Errorf("still plain: %v", plain)
			}
			if msg := refused(t, data, record.Unavailable); !strings.Contains(msg, "locked") {
				t.Error(msg)
			}
			if _, err := node.Open(t.Context(), node.Config{Data: data, Unlock: c.wrong}); record.CodeOf(err) != record.Denied {
				t.Errorf("with the wrong one: %v", err)
			}
			if diff := cmp.Diff(before, public(t, data, c.right)); diff != "" {
				t.Error("keys changed", diff)
			}
			if err := node.LockKeysWeakly(t.Context(), data, c.right, node.Unlock{}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, public(t, data, node.Unlock{})); diff != "" {
				t.Error("after unlocking", diff)
			}
		})
	}
}

func TestKeysMadeWhileLockedAreLocked(t *testing.T) {
	data, u := madeFull(t), node.Unlock{Passphrase: "x"}
	if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, u); err != nil {
		t.Fatal(err)
	}
	n := open(t, node.Config{Data: data, Unlock: u})
	if _, err := n.Keys.Make("do.911"); err != nil {
		t.Fatal(err)
	}
	for _, do := range []error{n.Keys.RotateSign(time.Hour), n.Keys.RotateSeal()} {
		if do != nil {
			t.Fatal(do)
		}
	}
	if plain := secrets(t, data); len(plain) > 0 {
		t.Errorf("plain: %v", plain)
	}
}

func TestChangedPassphraseSealsEverythingAnew(t *testing.T) {
	data, first, second := madeFull(t), node.Unlock{Passphrase: "first"}, node.Unlock{Passphrase: "second"}
	before := public(t, data, node.Unlock{})
	if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, first); err != nil {
		t.Fatal(err)
	}
	oldLock, err := os.ReadFile(filepath.Join(data, "keys", "lock.age"))
	if err != nil {
		t.Fatal(err)
	}
	if err := node.LockKeysWeakly(t.Context(), data, second, first); record.CodeOf(err) != record.Denied {
		t.Errorf("changed with the wrong passphrase: %v", err)
	}
	if err := node.LockKeysWeakly(t.Context(), data, first, second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, public(t, data, second)); diff != "" {
		t.Error(diff)
	}
	// Who kept the old lock and learned the old passphrase opens nothing.
	lock := filepath.Join(data, "keys", "lock.age")
	if err := os.WriteFile(lock, oldLock, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Open(t.Context(), node.Config{Data: data, Unlock: first}); err == nil {
		t.Error("the old lock opens the folder")
	}
}

// A machine that stops while a folder is locked leaves some files as they were. We
// make every such state by putting old files back, and each must open, with all keys,
// and end up whole.
func TestNoKeyIsLostWhenLockingIsCutOff(t *testing.T) {
	data, u := madeFull(t), node.Unlock{Passphrase: "x"}
	before := public(t, data, node.Unlock{})
	plain := readAll(t, data)
	if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, u); err != nil {
		t.Fatal(err)
	}
	locked := readAll(t, data)
	for cut := range plain {
		t.Run(cut, func(t *testing.T) {
			restore(t, data, locked)
			path := filepath.Join(data, "keys", cut)
			if err := os.WriteFile(path, plain[cut], 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".tmp", []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, public(t, data, u)); diff != "" {
				t.Error(diff)
			}
			if left := secrets(t, data); len(left) > 0 {
				t.Errorf("opening did not finish it: %v", left)
			}
		})
	}
}

// The same for a change of passphrase: it stops at the last file, which is spoiled.
func TestNoKeyIsLostWhenAChangeOfPassphraseIsCutOff(t *testing.T) {
	data, first, second := madeFull(t), node.Unlock{Passphrase: "first"}, node.Unlock{Passphrase: "second"}
	before := public(t, data, node.Unlock{})
	if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, first); err != nil {
		t.Fatal(err)
	}
	good := readAll(t, data)["seal.key"]
	restore(t, data, map[string][]byte{"seal.key": good[:len(good)-1]})
	if err := node.LockKeysWeakly(t.Context(), data, first, second); record.CodeOf(err) != record.Corrupt {
		t.Fatalf("the damaged file was not noticed: %v", err)
	}
	restore(t, data, map[string][]byte{"seal.key": good}) // sealed to what lock.age held before
	if err := node.LockKeysWeakly(t.Context(), data, second, second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, public(t, data, second)); diff != "" {
		t.Error(diff)
	}
}

func readAll(t *testing.T, data string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "keys", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		if out[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func restore(t *testing.T, data string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(data, "keys", name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRunningNodeIsNotLockedUnderItsFeet(t *testing.T) {
	data := madeFull(t)
	open(t, node.Config{Data: data})
	if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, node.Unlock{Passphrase: "x"}); record.CodeOf(err) != record.Unavailable {
		t.Error(err)
	}
	if err := node.LockKeysWeakly(t.Context(), t.TempDir(), node.Unlock{}, node.Unlock{Passphrase: "x"}); record.CodeOf(err) != record.NotFound {
		t.Error(err)
	}
}

func TestLockedFolderIsVerifiedAndBackedUpWithoutItsPassphrase(t *testing.T) {
	data, u := madeFull(t), node.Unlock{Passphrase: "x"}
	if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, u); err != nil {
		t.Fatal(err)
	}
	open(t, node.Config{Data: data, Unlock: u}).Close()
	n, err := node.OpenReadOnly(t.Context(), data, "")
	if err != nil {
		t.Fatal(err)
	}
	fault, _, err := n.Verify(t.Context(), func(int64, int64) {})
	if err := errors.Join(err, n.Close()); err != nil || fault != nil {
		t.Fatal(fault, err)
	}
	var copied bytes.Buffer
	if err := node.Backup(t.Context(), data, "", &copied, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	restoreTo := func(u node.Unlock) error {
		_, err := node.Restore(context.Background(), node.Config{Data: again, Unlock: u}, io.Reader(bytes.NewReader(copied.Bytes())), "", func(int64, int64) {})
		return err
	}
	if err := restoreTo(node.Unlock{Passphrase: "y"}); record.CodeOf(err) != record.Denied {
		t.Errorf("restored with the wrong passphrase: %v", err)
	}
	if err := restoreTo(u); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(public(t, data, u), public(t, again, u)); diff != "" {
		t.Error(diff)
	}
}

func TestCredentialOfTheServiceIsPassphraseOrKeyFile(t *testing.T) {
	key := identityFile(t)
	for name, c := range map[string]struct {
		folder string
		want   node.Unlock
	}{
		"none":     {t.TempDir(), node.Unlock{}},
		"no unit":  {"", node.Unlock{}},
		"key file": {filepath.Dir(key), node.Unlock{Identity: key}},
	} {
		got, err := node.Credentials(func(string) string { return c.folder })
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "konbit-keys"), []byte("lanbi ak kasav\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := node.Credentials(func(string) string { return folder })
	if err != nil || got != (node.Unlock{Passphrase: "lanbi ak kasav"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestReplacedKeysAreKeptForAsLongAsTheyCount(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	data := made(t)
	cfg := node.Config{Data: data, Now: func() time.Time { return now }}
	n := open(t, cfg)
	first, sealed := n.Keys.Sign(), n.Keys.Recipient()
	if err := errors.Join(n.Keys.RotateSign(30*24*time.Hour), n.Keys.RotateSeal()); err != nil {
		t.Fatal(err)
	}
	if n.Keys.Sign().Equal(first) || n.Keys.Recipient() == sealed {
		t.Fatal("nothing was replaced")
	}
	check := func(n *node.Node, signers int) {
		t.Helper()
		if got := n.Keys.Signers(); len(got) != signers || !got[0].Equal(n.Keys.Sign()) {
			t.Errorf("%d keys sign cards", len(got))
		}
		old := n.Keys.OldSign()
		if len(old) != 1 || !old[0].Key.Equal(first.Public()) || !old[0].Until.Equal(time.Date(2026, 5, 31, 12, 0, 0, 0, time.UTC)) {
			t.Errorf("old keys: %v", old)
		}
		if len(n.Keys.Identities()) != 2 {
			t.Error("the old seal key is gone")
		}
	}
	check(n, 2)
	n.Close()
	now = now.Add(29 * 24 * time.Hour)
	n = open(t, cfg)
	check(n, 2)
	n.Close()
	now = now.Add(2 * 24 * time.Hour)
	check(open(t, cfg), 1)
}

func TestKeyFilesThatAreNoneAreNamed(t *testing.T) {
	for name, text := range map[string]string{
		"link.key": "link\nAAAA\n", "seal.key": "# nothing\n", "region-x.key": "x\n", "lock.age": "not age",
		"do.911.key": "do.911\n" + strings.Repeat("A", 43) + "=\nold x y\n",
	} {
		t.Run(name, func(t *testing.T) {
			data := made(t)
			if err := os.WriteFile(filepath.Join(data, "keys", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if msg := refused(t, data, record.Corrupt); !strings.Contains(msg, name) {
				t.Error(msg)
			}
		})
	}
	t.Run("lock.age is missing", func(t *testing.T) {
		data := made(t)
		if err := node.LockKeysWeakly(t.Context(), data, node.Unlock{}, node.Unlock{Passphrase: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(data, "keys", "lock.age")); err != nil {
			t.Fatal(err)
		}
		if msg := refused(t, data, record.Corrupt); !strings.Contains(msg, "lock.age") {
			t.Error(msg)
		}
	})
}

func TestAgencyThatIsAddedToARunningNodeIsOnItsCard(t *testing.T) {
	n := open(t, node.Config{Data: made(t)})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	done := make(chan error)
	go func() { done <- n.Services(ctx) }()
	changed := n.Trust().Changed()
	if _, err := n.Accounts.AddAgency(ctx, account.Node, store.Agency{ID: "ht.pnh", Name: "PNH", Local: true}); err != nil {
		t.Fatal(err)
	}
	for len(n.Trust().Self().Agencies) != 2 && ctx.Err() == nil {
		select {
		case <-changed:
			changed = n.Trust().Changed()
		case <-ctx.Done():
			t.Error("the card was not made anew")
		}
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n.Trust().NodeOf("ht.pnh") != n.Keys.Origin {
		t.Error("nobody serves it")
	}
}
