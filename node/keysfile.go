package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"

	"konbit/peer/trust"
	"konbit/record"
)

// A keyFile is what one file of the keys folder holds. Its first line says whose
// key it is, the second is the Ed25519 seed in base64. Then comes a line for each
// key that this one replaced, newest first:
//
//	old PUBLIC-KEY UNTIL [SEED SIGNS-UNTIL]
//
// The seed of a replaced key is there only while documents are signed with it,
// too, for nodes that have not heard of the new one.
type keyFile struct {
	name string
	key  ed25519.PrivateKey
	old  []oldKey
}

// An oldKey is one that was replaced.
type oldKey struct {
	trust.OldKey
	key   ed25519.PrivateKey // nil: the private half is gone
	signs time.Time          // until when key signs along
}

func makeKey(name string) (*keyFile, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	return &keyFile{name: name, key: priv}, err
}

func (f *keyFile) public() ed25519.PublicKey { return f.key.Public().(ed25519.PublicKey) }

func (f *keyFile) retired() []trust.OldKey {
	var out []trust.OldKey
	for _, o := range f.old {
		out = append(out, o.OldKey)
	}
	return out
}

// next is the file with a new key in the place of this one. With signs the
// private half is kept until then.
func (f *keyFile) next(until, signs time.Time) (*keyFile, error) {
	n, err := makeKey(f.name)
	if err != nil {
		return nil, err
	}
	o := oldKey{OldKey: trust.OldKey{Key: f.public(), Until: until.UTC().Truncate(time.Microsecond)}}
	if !signs.IsZero() {
		o.key, o.signs = f.key, signs.UTC().Truncate(time.Microsecond)
	}
	n.old = append([]oldKey{o}, f.old...)
	return n, nil
}

func (f *keyFile) bytes() []byte {
	var b bytes.Buffer
	encode := base64.StdEncoding.EncodeToString
	fmt.Fprintf(&b, "%s\n%s\n", f.name, encode(f.key.Seed()))
	for _, o := range f.old {
		fmt.Fprintf(&b, "old %s %s", encode(o.Key), o.Until.Format(time.RFC3339Nano))
		if o.key != nil {
			fmt.Fprintf(&b, " %s %s", encode(o.key.Seed()), o.signs.Format(time.RFC3339Nano))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func parseKey(b []byte) (*keyFile, error) {
	lines := strings.Split(strings.TrimRight(string(b), "\r\n"), "\n")
	if len(lines) < 2 || lines[0] == "" {
		return nil, errors.New("it has not two lines")
	}
	f := &keyFile{name: strings.TrimSuffix(lines[0], "\r")}
	var err error
	if f.key, err = parseSeed(strings.TrimSpace(lines[1])); err != nil {
		return nil, err
	}
	for _, l := range lines[2:] {
		o, err := parseOld(strings.Fields(l))
		if err != nil {
			return nil, err
		}
		f.old = append(f.old, o)
	}
	return f, nil
}

func parseSeed(s string) (ed25519.PrivateKey, error) {
	seed, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("it holds no Ed25519 seed")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func parseOld(w []string) (o oldKey, err error) {
	if len(w) != 3 && len(w) != 5 || w[0] != "old" {
		return o, errors.New("a line is no replaced key")
	}
	if o.Key, err = base64.StdEncoding.DecodeString(w[1]); err != nil || len(o.Key) != ed25519.PublicKeySize {
		return o, errors.New("a replaced key is no Ed25519 key")
	}
	if o.Until, err = time.Parse(time.RFC3339Nano, w[2]); err != nil || len(w) == 3 {
		return o, err
	}
	if o.key, err = parseSeed(w[3]); err != nil {
		return o, err
	}
	o.signs, err = time.Parse(time.RFC3339Nano, w[4])
	return o, err
}

// A vault reads and writes the files of a keys folder, sealed or plain. Who uses
// it holds the lock of the data folder, unless he only reads.
type vault struct {
	path string
	seal *age.X25519Recipient // what is written is sealed to it; nil: files are plain
	open []age.Identity       // newest first; more than one while a change of lock is not finished
}

// ageIntro begins every file that is sealed with age (age-encryption.org/v1).
const ageIntro = "age-encryption.org/v1\n"

func sealed(b []byte) bool { return bytes.HasPrefix(b, []byte(ageIntro)) }

func (v *vault) file(name string) string { return filepath.Join(v.path, name) }

// names lists the key files.
func (v *vault) names() ([]string, error) {
	files, err := os.ReadDir(v.path)
	var out []string
	for _, f := range files {
		if f.Type().IsRegular() && strings.HasSuffix(f.Name(), ".key") {
			out = append(out, f.Name())
		}
	}
	return out, err
}

// read returns what a file holds; os.ErrNotExist when there is none.
func (v *vault) read(name string) ([]byte, error) {
	b, err := os.ReadFile(v.file(name))
	if err != nil || !sealed(b) {
		return b, err
	}
	if len(v.open) == 0 {
		return nil, &record.Error{Code: record.Corrupt, Op: "open", Message: "the key file " + name + " is sealed, and " + lockFile + ", which opens it, is missing",
			Hint: "put " + lockFile + " back from a backup"}
	}
	r, err := age.Decrypt(bytes.NewReader(b), v.open...)
	if err == nil {
		b, err = io.ReadAll(r)
	}
	if err != nil {
		return nil, damaged(name, err)
	}
	return b, nil
}

func (v *vault) key(name string) (*keyFile, error) {
	b, err := v.read(name)
	if err != nil {
		return nil, err
	}
	f, err := parseKey(b)
	if err != nil {
		return nil, damaged(name, err)
	}
	return f, nil
}

func damaged(name string, err error) error {
	return &record.Error{Code: record.Corrupt, Op: "open", Message: "the key file " + name + " cannot be read", Hint: "put it back from a backup", Err: err}
}

// write puts a file in the place of what was there: whenever the machine stops,
// the old one is whole or the new one is.
func (v *vault) write(name string, b []byte) error {
	if v.seal != nil {
		var err error
		if b, err = sealTo(b, v.seal); err != nil {
			return err
		}
	}
	return replace(v.file(name), b)
}

// alone keeps other processes of this node from making key files until it is called
// off: two that start on one empty folder must not make two keys for one ledger.
func (v *vault) alone() (off func(), err error) {
	f, err := os.OpenFile(v.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// create is write for a key that must not be there yet.
func (v *vault) create(name string, f *keyFile) error {
	if _, err := os.Lstat(v.file(name)); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, record.Errorf(record.Conflict, "keys", "there is already a key file %s", name))
	}
	return v.write(name, f.bytes())
}

func sealTo(b []byte, to ...age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

const unfinished = ".tmp"

func replace(path string, b []byte) error {
	tmp := path + unfinished
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// clean removes what a write that was cut off has left.
func (v *vault) clean() error {
	left, err := filepath.Glob(v.file("*" + unfinished))
	for _, f := range left {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// parseSeals reads age identities, one a line, newest first; lines that begin
// with # are for people.
func parseSeals(b []byte) ([]*age.X25519Identity, error) {
	var out []*age.X25519Identity
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		id, err := age.ParseX25519Identity(l)
		if err != nil {
			return nil, errors.New("a line is no age X25519 identity")
		}
		out = append(out, id)
	}
	if len(out) == 0 {
		return nil, errors.New("it holds no age X25519 identity")
	}
	return out, nil
}

func formatSeals(ids []*age.X25519Identity) []byte {
	var b bytes.Buffer
	b.WriteString("# age identities, newest first\n")
	for _, id := range ids {
		b.WriteString(id.String() + "\n")
	}
	return b.Bytes()
}

func identities(ids []*age.X25519Identity) []age.Identity {
	var out []age.Identity
	for _, id := range ids {
		out = append(out, id)
	}
	return slices.Clip(out)
}
