package node

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
	"konbit/peer/trust"
	"konbit/record"
)

// Keys holds the private keys of a node: its own, which signs checkpoints; the
// link key and the seal key, with which it speaks to other nodes; one per agency
// that it serves, which signs that agency's records; and one per region that it
// founded. They are files beside the database, so that the database can be handed
// to an auditor, and may be locked (see Unlock).
type Keys struct {
	Signer   note.Signer // nil when a locked folder was opened to read only
	Verifier string      // the node's public key, a vkey
	Origin   string      // the ledger's name

	vault  *vault
	now    func() time.Time
	mu     sync.RWMutex
	agency map[string]*keyFile
	region map[string]*keyFile
	link   *keyFile
	seals  []*age.X25519Identity // newest first
}

var _ trust.Keys = (*Keys)(nil)

const (
	nodeKey      = "node.key"
	linkKey      = "link.key"
	sealKey      = "seal.key"
	regionPrefix = "region-" // no agency is called so: those have a dot in their names
)

// keysConfig says how a keys folder is opened. Fresh says that the ledger is
// empty, so that a missing node key may be made; with a ledger it is a fault.
type keysConfig struct {
	fresh    bool
	readOnly bool
	unlock   Unlock
	now      func() time.Time
}

// openKeys reads the keys.
func openKeys(folder string, c keysConfig) (*Keys, error) {
	k := &Keys{now: c.now, agency: map[string]*keyFile{}, region: map[string]*keyFile{}}
	if c.readOnly {
		if by, err := lockedBy(folder); err != nil || by != "" && c.unlock == (Unlock{}) {
			return k, errors.Join(err, k.readPublic(folder))
		}
	} else if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	var err error
	if k.vault, err = openVault(folder, c.unlock); err != nil {
		return nil, err
	}
	if !c.readOnly {
		off, err := k.vault.alone()
		if err != nil {
			return nil, err
		}
		defer off()
		if err := errors.Join(k.vault.clean(), k.vault.settle(c.unlock, 0)); err != nil {
			return nil, err
		}
	}
	if err := k.read(); err != nil {
		return nil, err
	}
	own, err := k.own(c.fresh)
	if err != nil {
		return nil, err
	}
	if k.Signer, err = ledger.NewSigner(own.name, own.key); err != nil {
		return nil, err
	}
	if k.Verifier, err = note.NewEd25519VerifierKey(own.name, own.public()); err != nil {
		return nil, err
	}
	k.Origin = own.name
	if !c.readOnly {
		err = k.complete()
	}
	return k, err
}

// read reads the files of agencies, regions and links that are there.
func (k *Keys) read() error {
	names, err := k.vault.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		id := strings.TrimSuffix(name, ".key")
		region, isRegion := strings.CutPrefix(id, regionPrefix)
		switch {
		case name == nodeKey:
		case name == linkKey:
			k.link, err = k.vault.key(name)
		case name == sealKey:
			var b []byte
			if b, err = k.vault.read(name); err == nil {
				if k.seals, err = parseSeals(b); err != nil {
					err = damaged(name, err)
				}
			}
		case isRegion && !record.AgencyID(id):
			k.region[region], err = k.vault.key(name)
		default:
			k.agency[id], err = k.vault.key(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refresh reads the files again: another process on the same folder may have made
// or changed some.
func (k *Keys) refresh() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.read()
}

// own is the node's key.
func (k *Keys) own(fresh bool) (*keyFile, error) {
	own, err := k.vault.key(nodeKey)
	if !errors.Is(err, os.ErrNotExist) {
		return own, err
	}
	if !fresh {
		return nil, &record.Error{Code: record.Corrupt, Op: "open", Message: "the node's key is missing, and the ledger is signed with it",
			Hint: "put back " + nodeKey + " from a backup"}
	}
	if own, err = makeKey(randomName()); err != nil {
		return nil, err
	}
	return own, k.vault.create(nodeKey, own)
}

// complete makes what a folder does not have yet.
func (k *Keys) complete() (err error) {
	if k.link == nil {
		if k.link, err = makeKey("link"); err != nil {
			return err
		}
		if err := k.vault.create(linkKey, k.link); err != nil {
			return err
		}
	}
	if len(k.seals) == 0 {
		if err := k.makeSeal(); err != nil {
			return err
		}
	}
	if k.vault.seal == nil {
		return nil
	}
	if b, err := os.ReadFile(k.vault.file(publicFile)); err == nil && string(bytes.TrimSpace(b)) == k.Verifier {
		return nil
	}
	return replace(k.vault.file(publicFile), []byte(k.Verifier+"\n"))
}

// readPublic takes the public half alone, to verify a ledger whose keys are locked.
func (k *Keys) readPublic(folder string) error {
	v := vault{path: folder}
	b, err := os.ReadFile(v.file(publicFile))
	if err != nil {
		return damaged(publicFile, err)
	}
	k.Verifier = strings.TrimSpace(string(b))
	known, err := note.NewVerifier(k.Verifier)
	if err != nil {
		return damaged(publicFile, err)
	}
	k.Origin = known.Name()
	return nil
}

// Name is the node's name: the origin of its ledger.
func (k *Keys) Name() string { return k.Origin }

// Ledger is the public key of the node's checkpoints, a vkey.
func (k *Keys) Ledger() string { return k.Verifier }

// Sign returns the link key in force, which signs bundles, receipts and cards.
func (k *Keys) Sign() ed25519.PrivateKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.link.key
}

// Signers returns the link keys that sign a card: the one in force, then those
// that were replaced so lately that some node may know no newer one.
func (k *Keys) Signers() []ed25519.PrivateKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	out, now := []ed25519.PrivateKey{k.link.key}, k.now()
	for _, o := range k.link.old {
		if o.key != nil && now.Before(o.signs) {
			out = append(out, o.key)
		}
	}
	return out
}

// OldSign returns the replaced link keys, newest first.
func (k *Keys) OldSign() []trust.OldKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.link.retired()
}

// Recipient returns the age recipient that others seal to.
func (k *Keys) Recipient() string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.seals[0].Recipient().String()
}

// Identities returns the age identities that open what was sealed to this node,
// newest first.
func (k *Keys) Identities() []age.Identity {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return identities(k.seals)
}

// Key returns an agency's private key, nil when the node does not serve it.
func (k *Keys) Key(agency string) ed25519.PrivateKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if f := k.agency[agency]; f != nil {
		return f.key
	}
	return nil
}

// OldKeys returns the replaced keys of an agency, newest first.
func (k *Keys) OldKeys(agency string) []trust.OldKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if f := k.agency[agency]; f != nil {
		return f.retired()
	}
	return nil
}

// Make returns the public key of an agency, making the pair when there is none.
func (k *Keys) Make(agency string) (ed25519.PublicKey, error) {
	if !record.AgencyID(agency) {
		return nil, record.Errorf(record.Invalid, "agency.key", "%.80q is not an agency", agency)
	}
	return k.make(k.agency, agency, agency+".key")
}

// Region returns the founding key of a region, nil when it was not founded here.
func (k *Keys) Region(name string) ed25519.PrivateKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if f := k.region[name]; f != nil {
		return f.key
	}
	return nil
}

// MakeRegion returns the public founding key of a region, making the pair when
// there is none.
func (k *Keys) MakeRegion(name string) (ed25519.PublicKey, error) {
	if !trust.RegionName(name) {
		return nil, record.Errorf(record.Invalid, "region.key", "%.80q is no name of a region", name)
	}
	return k.make(k.region, name, regionPrefix+name+".key")
}

func (k *Keys) make(in map[string]*keyFile, name, file string) (ed25519.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := in[name]; f != nil {
		return f.public(), nil
	}
	off, err := k.vault.alone()
	if err != nil {
		return nil, err
	}
	defer off()
	f, err := k.vault.key(file) // another process may have made it
	if err == nil {
		in[name] = f
		return f.public(), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if f, err = makeKey(name); err != nil {
		return nil, err
	}
	if err := k.vault.create(file, f); err != nil {
		return nil, err
	}
	in[name] = f
	return f.public(), nil
}

// inForce reports whether pub is the key of an agency that is in force, or the one
// before: then a rotation was cut off between the key's file and the ledger, and
// package trust finishes it at its start.
func (k *Keys) inForce(agency string, pub ed25519.PublicKey) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	f := k.agency[agency]
	if f == nil {
		return false
	}
	return bytes.Equal(f.public(), pub) || slices.ContainsFunc(f.old, func(o oldKey) bool { return bytes.Equal(o.Key, pub) })
}
