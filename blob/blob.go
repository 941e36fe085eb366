// Package blob keeps attachments in a folder, each under the SHA-256 of its
// bytes: photos, PDF documents and sound.
//
// What a person uploads is never kept as it came. Its type is found in its bytes,
// whatever the uploader called it; a picture is decoded and encoded anew, so that
// the place, the camera and the owner that a telephone writes into it are gone; a
// sound loses its tags; a document that could run something is refused. What is
// not on the list is not taken.
//
// It is not a virus scanner. It must not know records, rights or HTTP: who may
// fetch a content is decided by the record that holds it.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"konbit/record"
)

// What one upload may have, in bytes as they come in.
const (
	MaxFile  = 25 << 20
	MaxImage = 15 << 20
	MaxAudio = 25 << 20
	MaxPDF   = 20 << 20
)

// Hold is how long an upload waits to be attached to a record.
const Hold = 24 * time.Hour

// grace keeps an upload a little longer than it can be claimed, for the command
// that claimed it in the last moment and is not on disk yet.
const grace = time.Hour

// Info says what a stored content is.
type Info struct {
	Hash   string `json:"hash"` // SHA-256 of the stored bytes, lower-case hex
	Type   string `json:"type"` // media type as found, e.g. "image/jpeg"
	Size   int64  `json:"size"` // bytes as stored
	Name   string `json:"name,omitempty"`
	Width  int    `json:"width,omitempty"` // pixels, of an image
	Height int    `json:"height,omitempty"`
}

// meta is the small file beside a content. It names uploaders only while they
// may still attach what they uploaded.
type meta struct {
	Type    string   `json:"type"`
	Size    int64    `json:"size"`
	Width   int      `json:"width,omitempty"`
	Height  int      `json:"height,omitempty"`
	Uploads []upload `json:"uploads,omitempty"`
}

type upload struct {
	Person string    `json:"person"`
	At     time.Time `json:"at"`
}

// Store is a folder of contents. Its methods are safe for concurrent use, as long
// as one Store at a time has the folder.
type Store struct {
	dir  string
	now  func() time.Time
	busy chan struct{} // held while an image or a document is being examined

	files sync.Mutex // held while files appear and disappear
	mu    sync.Mutex
	fresh map[string]*meta // of the last day, by hash
}

// unfinished is how old the file of an upload is that nobody goes on with. Another
// process of the node may be at work in the same folder.
const unfinished = time.Hour

// Open opens the folder, or makes it. What an upload left unfinished is thrown away
// at a start an hour later, or after.
func Open(dir string, now func() time.Time) (*Store, error) {
	s := &Store{dir: dir, now: now, busy: make(chan struct{}, 1), fresh: map[string]*meta{}}
	tmp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, broken("blob.open", err)
	}
	left, err := os.ReadDir(tmp)
	if err != nil {
		return nil, broken("blob.open", err)
	}
	for _, e := range left {
		st, err := e.Info()
		if err == nil && time.Since(st.ModTime()) > unfinished {
			err = os.Remove(filepath.Join(tmp, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, broken("blob.open", err)
		}
	}
	return s, nil
}

// Put reads an upload to its end, examines it and stores it. It returns when the
// content is on disk. The same content twice is stored once. Errors are Invalid
// (what it is, or what is wrong with it), TooLarge, or Unavailable.
func (s *Store) Put(ctx context.Context, person, name string, r io.Reader) (Info, error) {
	const op = "attachment"
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "in-")
	if err != nil {
		return Info{}, broken(op, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	n, err := io.Copy(tmp, io.LimitReader(&canceled{ctx, r}, MaxFile+1))
	if err != nil {
		return Info{}, broken(op, err)
	}
	if n > MaxFile {
		return Info{}, tooLarge("the file", MaxFile)
	}
	head := make([]byte, 512)
	k, err := tmp.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return Info{}, broken(op, err)
	}
	k0, err := sniff(head[:k])
	if err != nil {
		return Info{}, err
	}
	if limit := k0.limit(); n > limit {
		return Info{}, tooLarge(k0.String(), limit)
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return Info{}, ctx.Err()
	}
	m := &meta{Type: string(k0), Size: n}
	var thumb []byte
	if k0.image() {
		p, err := s.picture(ctx, k0, tmp)
		if err != nil {
			return Info{}, err
		}
		defer os.Remove(p.file.Name())
		defer p.file.Close()
		*m = meta{Type: p.typ, Size: p.size, Width: p.width, Height: p.height}
		thumb, tmp = p.thumb, p.file
	} else if err := s.examine(k0, tmp, m); err != nil {
		return Info{}, err
	}
	hash, err := sum(ctx, tmp)
	if err != nil {
		return Info{}, broken(op, err)
	}
	if err := tmp.Sync(); err != nil {
		return Info{}, broken(op, err)
	}
	if err := s.keep(person, hash, tmp.Name(), m, thumb); err != nil {
		return Info{}, broken(op, err)
	}
	return m.info(hash, rename(name, m.Type)), nil
}

// examine checks a PDF and takes the tags from a sound, in place.
func (s *Store) examine(k kind, f *os.File, m *meta) error {
	if k == pdf {
		b, err := whole(f, m.Size)
		if err != nil {
			return broken("attachment", err)
		}
		return checkPDF(b, maxInflated)
	}
	b, err := whole(f, m.Size)
	if err != nil {
		return broken("attachment", err)
	}
	if b, err = untag(k, b); err != nil {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return broken("attachment", err)
	}
	m.Size = int64(len(b))
	return broken("attachment", f.Truncate(m.Size))
}

func whole(f *os.File, size int64) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(f, 0, size), b)
	return b, err
}

func sum(ctx context.Context, f *os.File) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, &canceled{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// keep moves what has been examined to its place: the content last, so that a
// content that is there has its type beside it.
func (s *Store) keep(person, hash, from string, m *meta, thumb []byte) error {
	s.files.Lock()
	defer s.files.Unlock()
	folder := filepath.Join(s.dir, hash[:2])
	if err := os.Mkdir(folder, 0o700); err == nil {
		err = syncDir(s.dir)
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	now := s.now().UTC()
	if old, err := s.read(hash); err == nil {
		m.Uploads = slices.DeleteFunc(old.Uploads, func(u upload) bool { return u.Person == person || now.Sub(u.At) > Hold })
	}
	if person != "" { // nobody: another node brought it, for a record that holds it
		m.Uploads = append(m.Uploads, upload{person, now})
	}
	if thumb != nil {
		if err := s.write(s.path(hash)+".thumb", thumb); err != nil {
			return err
		}
	}
	if err := s.writeMeta(hash, m); err != nil {
		return err
	}
	if err := os.Chmod(from, 0o400); err != nil {
		return err
	}
	if err := os.Rename(from, s.path(hash)); err != nil {
		return err
	}
	if err := syncDir(folder); err != nil {
		return err
	}
	s.remember(hash, m)
	return nil
}

func (s *Store) writeMeta(hash string, m *meta) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.write(s.path(hash)+".json", b)
}

// write replaces a small file in one step.
func (s *Store) write(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "out-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (s *Store) remember(hash string, m *meta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) >= 5000 {
		clear(s.fresh) // the files beside the contents know
	}
	s.fresh[hash] = m
}

// Claim returns what a content is when the person has uploaded it himself within
// Hold. Knowing a hash gives no right to a content; having brought it does.
func (s *Store) Claim(person, hash string) (typ string, size int64, ok bool) {
	if !validHash(hash) {
		return "", 0, false
	}
	s.mu.Lock()
	m := s.fresh[hash]
	s.mu.Unlock()
	if m == nil {
		var err error
		if m, err = s.read(hash); err != nil {
			return "", 0, false
		}
		if _, err := os.Stat(s.path(hash)); err != nil { // the power went before the content was in its place
			return "", 0, false
		}
	}
	now := s.now()
	for _, u := range m.Uploads {
		if u.Person == person && now.Sub(u.At) <= Hold {
			return m.Type, m.Size, true
		}
	}
	return "", 0, false
}

// Open opens a content for reading. It does not verify it: see Verify. NotFound
// when it is not here.
func (s *Store) Open(hash string) (io.ReadSeekCloser, Info, error) {
	if !validHash(hash) {
		return nil, Info{}, errGone
	}
	m, err := s.read(hash)
	if err != nil {
		return nil, Info{}, gone(err)
	}
	f, err := os.Open(s.path(hash))
	if err != nil {
		return nil, Info{}, gone(err)
	}
	return f, m.info(hash, ""), nil
}

// Thumb opens the small picture of an image: a JPEG, its longest side at most 320
// pixels. NotFound when the content is not here or is no image.
func (s *Store) Thumb(hash string) (io.ReadSeekCloser, Info, error) {
	if !validHash(hash) {
		return nil, Info{}, errGone
	}
	f, err := os.Open(s.path(hash) + ".thumb")
	if err != nil {
		return nil, Info{}, gone(err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, Info{}, gone(err)
	}
	return f, Info{Hash: hash, Type: string(jpg), Size: st.Size()}, nil
}

// Remove removes a content and what belongs to it. What is not here is no error.
func (s *Store) Remove(hash string) error {
	if !validHash(hash) {
		return errGone
	}
	s.files.Lock()
	defer s.files.Unlock()
	return s.remove(hash)
}

func (s *Store) remove(hash string) error {
	s.mu.Lock()
	delete(s.fresh, hash)
	s.mu.Unlock()
	for _, ext := range []string{"", ".thumb", ".json"} {
		if err := os.Remove(s.path(hash) + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return broken("attachment.remove", err)
		}
	}
	if err := syncDir(filepath.Dir(s.path(hash))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return broken("attachment.remove", err)
	}
	return nil
}

// Walk calls fn with the hash of every content, in order.
func (s *Store) Walk(ctx context.Context, fn func(hash string) error) error {
	folders, err := os.ReadDir(s.dir)
	if err != nil {
		return broken("attachment.walk", err)
	}
	for _, d := range folders {
		if !d.IsDir() || len(d.Name()) != 2 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(s.dir, d.Name()))
		if err != nil {
			return broken("attachment.walk", err)
		}
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if hash := d.Name() + f.Name(); validHash(hash) {
				if err := fn(hash); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Verify hashes every content anew and calls fn with each: nil, or an error with
// code Corrupt that says what is wrong. It ends when fn returns false. It says
// nothing about contents that should be here and are not: the records know those.
func (s *Store) Verify(ctx context.Context, fn func(hash string, fault error) bool) error {
	stop := errors.New("stop")
	err := s.Walk(ctx, func(hash string) error {
		fault, err := s.fault(ctx, hash)
		if err != nil {
			return err
		}
		if !fn(hash, fault) {
			return stop
		}
		return nil
	})
	if err == stop {
		return nil
	}
	return err
}

func (s *Store) fault(ctx context.Context, hash string) (fault, err error) {
	f, err := os.Open(s.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // removed since
	}
	if err != nil {
		return nil, broken("attachment.verify", err)
	}
	defer f.Close()
	found, err := sum(ctx, f)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	bad := func(format string, args ...any) (error, error) {
		return record.Errorf(record.Corrupt, "attachment.verify", format, args...), nil
	}
	if err != nil {
		return bad("the content %s cannot be read: %v", hash, err)
	}
	if found != hash {
		return bad("the content %s has the hash %s", hash, found)
	}
	m, err := s.read(hash)
	if err != nil {
		return bad("what is known of the content %s cannot be read", hash)
	}
	if st, err := f.Stat(); err == nil && st.Size() != m.Size {
		return bad("the content %s has %d bytes, %d were noted", hash, st.Size(), m.Size)
	}
	return nil, nil
}

// Sweep removes uploads that nobody has attached within Hold, and forgets who
// uploaded the others. held reports whether any record holds the content.
func (s *Store) Sweep(ctx context.Context, held func(hash string) (bool, error)) (removed int, err error) {
	err = s.Walk(ctx, func(hash string) error {
		gone, err := s.sweep(hash, held)
		if gone {
			removed++
		}
		return err
	})
	return removed, err
}

func (s *Store) sweep(hash string, held func(string) (bool, error)) (bool, error) {
	s.files.Lock()
	defer s.files.Unlock()
	now := s.now()
	m, err := s.read(hash)
	if err != nil {
		// Its type is lost. A record that holds it must not lose the bytes, too.
		return false, nil
	}
	if slices.ContainsFunc(m.Uploads, func(u upload) bool { return now.Sub(u.At) <= Hold+grace }) {
		return false, nil
	}
	is, err := held(hash)
	if err != nil {
		return false, err
	}
	if !is {
		return true, s.remove(hash)
	}
	if len(m.Uploads) == 0 {
		return false, nil
	}
	m.Uploads = nil
	s.mu.Lock()
	delete(s.fresh, hash)
	s.mu.Unlock()
	return false, broken("attachment.sweep", s.writeMeta(hash, m))
}

func (s *Store) path(hash string) string { return filepath.Join(s.dir, hash[:2], hash[2:]) }

func (s *Store) read(hash string) (*meta, error) {
	b, err := os.ReadFile(s.path(hash) + ".json")
	if err != nil {
		return nil, err
	}
	m := &meta{}
	return m, json.Unmarshal(b, m)
}

func (m *meta) info(hash, name string) Info {
	return Info{Hash: hash, Type: m.Type, Size: m.Size, Name: name, Width: m.Width, Height: m.Height}
}

// validHash keeps everything but a hash out of file names.
func validHash(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}

// rename makes a name fit to be shown and to be saved under: no folders, no
// control characters, and the ending of what the content is.
func rename(name, typ string) string {
	name = strings.ToValidUTF8(name, "")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || strings.ContainsRune(`<>:"|?*`, c) {
			return -1
		}
		return c
	}, name))
	if name == "" {
		return ""
	}
	base, ends := strings.TrimSuffix(name, filepath.Ext(name)), endings[kind(typ)]
	if base == "" {
		base = "file"
	}
	ext := ends[0]
	if e := strings.ToLower(filepath.Ext(name)); slices.Contains(ends, e) {
		ext = e
	}
	for utf8.RuneCountInString(base)+len(ext) > 120 {
		_, n := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-n]
	}
	return base + ext
}

// canceled stops reading when the caller has given up.
type canceled struct {
	ctx context.Context
	r   io.Reader
}

func (c *canceled) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

var errGone = record.Errorf(record.NotFound, "attachment", "there is no such attachment")

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	return broken("attachment", err)
}

func tooLarge(what string, limit int64) error {
	return record.Errorf(record.TooLarge, "attachment", "%s is too large: at most %d MB", what, limit>>20)
}

func invalid(format string, args ...any) error {
	return record.Errorf(record.Invalid, "attachment", format, args...)
}

// broken says what the disk or the line did, nil for nil.
func broken(op string, err error) error {
	var ours *record.Error
	var from *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &record.Error{Code: record.Unavailable, Op: op, Message: "there is no room on the node's disk", Hint: "free some space in the data folder", Err: err}
	case errors.As(err, &from):
		return &record.Error{Code: record.Unavailable, Op: op, Message: "the node cannot write or read its folder of attachments", Hint: "see the owner and the rights of the data folder", Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &record.Error{Code: record.Invalid, Op: op, Message: "the upload was cut off", Err: err}
	}
	return err
}
