package blob

import (
	"context"
	"errors"
	"image"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"konbit/record"
)

// Adopt keeps a content that another node has examined and stored, with its bytes
// as they are, because records name them by their hash. It believes nothing: type,
// hash and size are checked, an image is decoded within bounds, a document and a
// sound are looked through as those of Put are. What is here already is left
// alone. Errors are Invalid, TooLarge, or Unavailable.
func (s *Store) Adopt(ctx context.Context, hash, typ string, r io.Reader) (Info, error) {
	const op = "attachment.adopt"
	if !validHash(hash) {
		return Info{}, invalid("%.80q is no hash", hash)
	}
	if m, err := s.read(hash); err == nil {
		if _, err := os.Stat(s.path(hash)); err == nil {
			return m.info(hash, ""), nil
		}
	}
	k := kind(typ)
	if _, ok := endings[k]; !ok {
		return Info{}, invalid("%.80q is no type that a node stores", typ)
	}
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "adopt-")
	if err != nil {
		return Info{}, broken(op, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	limit := k.limit()
	n, err := io.Copy(tmp, io.LimitReader(&canceled{ctx, r}, limit+1))
	if err != nil {
		return Info{}, broken(op, err)
	}
	if n > limit {
		return Info{}, tooLarge(k.String(), limit)
	}
	found, err := sum(ctx, tmp)
	if err != nil {
		return Info{}, broken(op, err)
	}
	if found != hash {
		return Info{}, invalid("the content has the hash %s, not %s", found, hash)
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return Info{}, ctx.Err()
	}
	b, err := whole(tmp, n)
	if err != nil {
		return Info{}, broken(op, err)
	}
	m := &meta{Type: typ, Size: n}
	thumb, err := inspect(ctx, k, b, m)
	if err != nil {
		return Info{}, err
	}
	if err := tmp.Sync(); err != nil {
		return Info{}, broken(op, err)
	}
	if err := s.keep("", hash, tmp.Name(), m, thumb); err != nil {
		return Info{}, broken(op, err)
	}
	return m.info(hash, ""), nil
}

// inspect checks that b is what k says, and harmless as far as can be told. Of an
// image it returns the small picture.
func inspect(ctx context.Context, k kind, b []byte, m *meta) (thumb []byte, err error) {
	is, err := sniff(b[:min(len(b), 512)])
	if err != nil {
		return nil, err
	}
	if is != k {
		return nil, invalid("the content is %s, not %s", is, string(k))
	}
	switch {
	case k.image():
		if _, err := measure(k, b); err != nil {
			return nil, err
		}
		c, err := config(k, b)
		if err != nil {
			return nil, damaged(k, err)
		}
		img, err := decode(ctx, k, b)
		if err != nil {
			return nil, err
		}
		m.Width, m.Height = c.Width, c.Height
		return thumbnail(img)
	case k == pdf:
		return nil, checkPDF(b, maxInflated)
	}
	_, err = untag(k, b) // it works in place: these bytes are not what is kept
	return nil, err
}

// maxThumb is far more than a small picture takes, in bytes.
const maxThumb = 256 << 10

// AdoptThumb keeps the small picture of a content that is not here yet. It is
// encoded anew. When there is one it is left alone.
func (s *Store) AdoptThumb(ctx context.Context, hash string, r io.Reader) error {
	const op = "attachment.adopt"
	if !validHash(hash) {
		return invalid("%.80q is no hash", hash)
	}
	b, err := io.ReadAll(io.LimitReader(&canceled{ctx, r}, maxThumb+1))
	if err != nil {
		return broken(op, err)
	}
	if len(b) > maxThumb {
		return record.Errorf(record.TooLarge, "attachment", "a small picture has at most %d kB", maxThumb>>10)
	}
	if k, err := sniff(b[:min(len(b), 512)]); err != nil || k != jpg {
		return invalid("the small picture is no JPEG")
	}
	c, err := guard(func() (image.Config, error) { return config(jpg, b) })
	if err != nil {
		return damaged(jpg, err)
	}
	if c.Width > thumbSide || c.Height > thumbSide {
		return record.Errorf(record.TooLarge, "attachment", "a small picture has at most %d pixels on a side", thumbSide)
	}
	img, err := decode(ctx, jpg, b)
	if err != nil {
		return err
	}
	thumb, err := thumbnail(img)
	if err != nil {
		return broken(op, err)
	}
	s.files.Lock()
	defer s.files.Unlock()
	if _, err := os.Stat(s.path(hash) + ".thumb"); err == nil {
		return nil
	}
	folder := filepath.Dir(s.path(hash))
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return broken(op, err)
	}
	return broken(op, s.write(s.path(hash)+".thumb", thumb))
}

// Has reports whether a content is here.
func (s *Store) Has(hash string) bool {
	if !validHash(hash) {
		return false
	}
	_, err := os.Stat(s.path(hash))
	return err == nil
}
