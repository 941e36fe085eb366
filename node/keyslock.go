package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"konbit/record"
)

// Unlock is what opens a keys folder that is locked. One of the two is enough;
// the zero value is for a folder whose files are plain.
//
// A locked folder holds lock.age: a random age identity, sealed to the passphrase
// (scrypt) or to the key file (X25519). Every other key file is sealed to that
// identity, so that the slow step is taken once, and a backup of the folder is
// locked like the folder itself.
type Unlock struct {
	Passphrase string
	Identity   string // path of an age identity file, as age-keygen writes it
}

// Credentials returns what systemd hands to the service as the credential
// "konbit-keys" (systemd.exec(5), LoadCredential=): an age identity file, or a
// passphrase. environ is os.Getenv. Zero: there is none.
func Credentials(environ func(string) string) (Unlock, error) {
	folder := environ("CREDENTIALS_DIRECTORY")
	if folder == "" {
		return Unlock{}, nil
	}
	path := filepath.Join(folder, "konbit-keys")
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Unlock{}, nil
	case err != nil:
		return Unlock{}, err
	case strings.Contains(string(b), "AGE-SECRET-KEY-"):
		return Unlock{Identity: path}, nil
	}
	return Unlock{Passphrase: strings.TrimRight(string(b), "\r\n")}, nil
}

// KeysLocked says what opens the keys of a data folder: "passphrase", "identity"
// (a key file), or "" when they are plain. It needs no lock and no key.
func KeysLocked(data string) (string, error) {
	return lockedBy(filepath.Join(data, keyFolder))
}

// LockKeys changes what opens the keys of a data folder: have opens them now, want
// shall from then on. A zero want leaves plain files. No process may have the
// folder open. Every file is replaced as a whole, and whenever the machine stops
// on the way, have or want opens the folder, and no key is lost; doing it again, or
// opening the node with want, finishes it. What was plain before may be found on
// the disk's free blocks until they are used again, and in old backups.
func LockKeys(ctx context.Context, data, spec string, have, want Unlock) error {
	return lockKeys(ctx, data, spec, have, want, 0)
}

const (
	lockFile   = "lock.age"
	publicFile = "node.pub" // vkey of the node, so that a locked folder can be verified
)

func lockKeys(ctx context.Context, data, spec string, have, want Unlock, work int) (err error) {
	if _, err := os.Stat(filepath.Join(data, keyFolder)); err != nil {
		return &record.Error{Code: record.NotFound, Op: "keys.lock", Message: "there is no node in this folder", Err: err}
	}
	if want.Passphrase != "" && want.Identity != "" {
		return record.Errorf(record.Invalid, "keys.lock", "keys are locked with a passphrase or with a key file, not with both")
	}
	db, err := openStore(ctx, spec, data, false) // holds the lock of a folder with a file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := alone(ctx, db); err != nil {
		return err
	}
	v, err := openVault(filepath.Join(data, keyFolder), have)
	if err != nil {
		return err
	}
	if err := v.clean(); err != nil {
		return err
	}
	if want == (Unlock{}) {
		return v.lay()
	}
	return v.lock(want, work)
}

func lockedBy(folder string) (string, error) {
	f, err := os.Open(filepath.Join(folder, lockFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	var head [64]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", damaged(lockFile, err)
	}
	switch rest, ok := bytes.CutPrefix(head[:n], []byte(ageIntro)); {
	case ok && bytes.HasPrefix(rest, []byte("-> scrypt ")):
		return "passphrase", nil
	case ok && bytes.HasPrefix(rest, []byte("-> X25519 ")):
		return "identity", nil
	}
	return "", damaged(lockFile, nil)
}

// openVault opens the folder: with the lock when there is one.
func openVault(folder string, u Unlock) (*vault, error) {
	v := &vault{path: folder}
	by, err := lockedBy(folder)
	if err != nil || by == "" {
		return v, err
	}
	ids, err := u.identities(by)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(v.file(lockFile))
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(bytes.NewReader(b), ids...)
	if err != nil {
		var none *age.NoIdentityMatchError
		if errors.As(err, &none) {
			return nil, wrong(by)
		}
		return nil, damaged(lockFile, err)
	}
	if b, err = io.ReadAll(r); err != nil {
		return nil, damaged(lockFile, err)
	}
	own, err := parseSeals(b)
	if err != nil {
		return nil, damaged(lockFile, err)
	}
	v.seal, v.open = own[0].Recipient(), identities(own)
	return v, nil
}

// identities are what may open lock.age.
func (u Unlock) identities(by string) ([]age.Identity, error) {
	locked := func(with, how string) error {
		return &record.Error{Code: record.Unavailable, Op: "keys", Message: "the keys of this node are locked with " + with, Hint: how}
	}
	if by == "passphrase" {
		if u.Passphrase == "" {
			return nil, locked("a passphrase", "give the passphrase, or hand it to the service as the systemd credential konbit-keys")
		}
		id, err := age.NewScryptIdentity(u.Passphrase)
		return []age.Identity{id}, err
	}
	if u.Identity == "" {
		return nil, locked("a key file", "name the key file, or hand it to the service as the systemd credential konbit-keys")
	}
	own, err := u.file()
	return identities(own), err
}

func (u Unlock) file() ([]*age.X25519Identity, error) {
	b, err := os.ReadFile(u.Identity)
	if err != nil {
		return nil, &record.Error{Code: record.Unavailable, Op: "keys", Message: "the key file that opens the keys cannot be read", Hint: u.Identity, Err: err}
	}
	ids, err := parseSeals(b)
	if err != nil {
		return nil, &record.Error{Code: record.Invalid, Op: "keys", Message: "the key file that opens the keys is no age identity file", Hint: "age-keygen makes one", Err: err}
	}
	return ids, nil
}

func wrong(by string) error {
	e := &record.Error{Code: record.Denied, Op: "keys", Message: "this passphrase does not open the keys of this node"}
	if by == "identity" {
		e.Message = "this key file does not open the keys of this node"
	}
	e.Hint = "nothing was changed; without the right one the keys cannot be had back, not even from a backup of the folder"
	return e
}

// recipients are what lock.age is sealed to.
func (u Unlock) recipients(work int) ([]age.Recipient, error) {
	if u.Passphrase != "" {
		r, err := age.NewScryptRecipient(u.Passphrase)
		if err == nil && work > 0 {
			r.SetWorkFactor(work)
		}
		return []age.Recipient{r}, err
	}
	ids, err := u.file()
	var out []age.Recipient
	for _, id := range ids {
		out = append(out, id.Recipient())
	}
	return out, err
}

// lock seals everything anew. First lock.age learns the new identity beside those
// that files are sealed to now, last it forgets the others.
func (v *vault) lock(want Unlock, work int) error {
	fresh, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	v.seal, v.open = fresh.Recipient(), append([]age.Identity{fresh}, v.open...)
	if err := v.writeLock(want, work); err != nil {
		return err
	}
	return v.settle(want, work)
}

// writeLock writes lock.age with the identities of v.
func (v *vault) writeLock(u Unlock, work int) error {
	to, err := u.recipients(work)
	if err != nil {
		return err
	}
	var own []*age.X25519Identity
	for _, id := range v.open {
		own = append(own, id.(*age.X25519Identity))
	}
	b, err := sealTo(formatSeals(own), to...)
	if err != nil {
		return err
	}
	return replace(v.file(lockFile), b)
}

// settle seals what is still plain, or sealed to an older identity.
func (v *vault) settle(u Unlock, work int) error {
	names, err := v.names()
	if err != nil || v.seal == nil {
		return err
	}
	for _, name := range names {
		raw, err := os.ReadFile(v.file(name))
		if err != nil {
			return err
		}
		if sealed(raw) && len(v.open) == 1 {
			continue
		}
		b, err := v.read(name)
		if err != nil {
			return err
		}
		if err := v.write(name, b); err != nil {
			return err
		}
	}
	if len(v.open) == 1 {
		return nil
	}
	v.open = v.open[:1]
	return v.writeLock(u, work)
}

// lay makes the files plain; lock.age goes when none needs it.
func (v *vault) lay() error {
	names, err := v.names()
	if err != nil {
		return err
	}
	plain := &vault{path: v.path}
	for _, name := range names {
		b, err := v.read(name)
		if err != nil {
			return err
		}
		if err := plain.write(name, b); err != nil {
			return err
		}
	}
	for _, name := range []string{lockFile, publicFile} {
		if err := os.Remove(v.file(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return syncFolder(v.path)
}
