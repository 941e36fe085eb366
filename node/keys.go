package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
	"konbit/record"
)

// Keys holds the private keys of a node: its own, which signs checkpoints, and
// one per agency that it serves, which signs that agency's records. They are
// files beside the database, so that the database can be handed to an auditor.
type Keys struct {
	Signer   note.Signer
	Verifier string // the node's public key, a vkey
	Origin   string // the ledger's name

	folder string
	mu     sync.RWMutex
	agency map[string]ed25519.PrivateKey
}

const nodeKey = "node.key"

// openKeys reads the keys. fresh says that the ledger is empty, so that a
// missing node key may be made; with a ledger it is a fault.
func openKeys(folder string, fresh bool) (*Keys, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	k := &Keys{folder: folder, agency: map[string]ed25519.PrivateKey{}}
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".key")
		if !ok || f.Name() == nodeKey {
			continue
		}
		if k.agency[name], _, err = readKey(filepath.Join(folder, f.Name())); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(folder, nodeKey)
	priv, origin, err := readKey(path)
	if errors.Is(err, os.ErrNotExist) {
		if !fresh {
			return nil, &record.Error{Code: record.Corrupt, Op: "open", Message: "the node's key is missing, and the ledger is signed with it",
				Hint: "put back " + nodeKey + " from a backup"}
		}
		origin = randomName()
		if priv, err = newKey(path, origin); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	k.Origin = origin
	if k.Signer, err = ledger.NewSigner(origin, priv); err != nil {
		return nil, err
	}
	k.Verifier, err = note.NewEd25519VerifierKey(origin, priv.Public().(ed25519.PublicKey))
	return k, err
}

// Key returns an agency's private key, nil when the node does not serve it.
func (k *Keys) Key(agency string) ed25519.PrivateKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.agency[agency]
}

// Make returns the public key of an agency, making the pair when there is none.
func (k *Keys) Make(agency string) (ed25519.PublicKey, error) {
	if !record.AgencyID(agency) {
		return nil, record.Errorf(record.Invalid, "agency.key", "%.80q is not an agency", agency)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	priv := k.agency[agency]
	if priv == nil {
		var err error
		if priv, err = newKey(filepath.Join(k.folder, agency+".key"), agency); err != nil {
			return nil, err
		}
		k.agency[agency] = priv
	}
	return priv.Public().(ed25519.PublicKey), nil
}

// A key file has two lines: whose key it is, and the Ed25519 seed in base64.
func newKey(path, name string) (ed25519.PrivateKey, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(name + "\n" + base64.StdEncoding.EncodeToString(priv.Seed()) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	return priv, err
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func readKey(path string) (ed25519.PrivateKey, string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	name, text, _ := strings.Cut(string(b), "\n")
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(seed) != ed25519.SeedSize || name == "" {
		return nil, "", &record.Error{Code: record.Corrupt, Op: "open", Message: "the key file " + filepath.Base(path) + " cannot be read", Hint: "put it back from a backup"}
	}
	return ed25519.NewKeyFromSeed(seed), name, nil
}
