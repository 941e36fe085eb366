package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"konbit/record"
)

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func TestWhatOneNodeStoresAnotherAdoptsByteByByte(t *testing.T) {
	a, _, _ := open(t)
	b, _, _ := open(t)
	for name, in := range map[string][]byte{
		"photo.jpg": withEXIF(jpegOf(t, corners(640, 400, 255)), 6), "plan.png": pngOf(t, corners(40, 30, 100)),
		"order.pdf": pdfOf("1 0 obj <</Type /Catalog>> endobj"), "call.wav": wavOf("fmt ", fmtChunk, "LIST", "INFOIARTAna", "data", "sound!"),
		"song.mp3": []byte("ID3\x04\x00\x00\x00\x00\x00\x0aTPE1Anaaaa" + mp3Frame + mp3Frame), "call.m4a": mp4Of("soun"), "call.ogg": []byte(oggPage(2, "OpusHead\x01\x01") + oggPage(0, "OpusTags")),
	} {
		i, err := a.Put(context.Background(), ana, name, bytes.NewReader(in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		stored := content(t, a, i.Hash)
		got, err := b.Adopt(context.Background(), i.Hash, i.Type, bytes.NewReader(stored))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i.Name = ""
		if got != i || !bytes.Equal(content(t, b, i.Hash), stored) || !b.Has(i.Hash) {
			t.Errorf("%s: %+v, was %+v", name, got, i)
		}
		if _, err := sameThumb(a, b, i.Hash); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, ok := b.Claim("", i.Hash); ok {
			t.Errorf("%s: nobody has uploaded it, and nobody can claim it", name)
		}
	}
}

// sameThumb reports whether b has a small picture where a has one.
func sameThumb(s, o *Store, hash string) (bool, error) {
	r, _, err := s.Thumb(hash)
	if record.CodeOf(err) == record.NotFound {
		return false, nil
	}
	r.Close()
	r, _, err = o.Thumb(hash)
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

func TestAdoptBelievesNothing(t *testing.T) {
	photo := jpegOf(t, corners(64, 64, 255))
	script := pdfOf("1 0 obj <</JavaScript (app.alert)>> endobj")
	bomb := pngHeader(40_000, 40_000, 8, 0)
	for name, c := range map[string]struct {
		hash, typ string
		b         []byte
		want      record.Code
	}{
		"another content":             {hashOf([]byte("x")), "image/jpeg", photo, record.Invalid},
		"cut off":                     {hashOf(photo), "image/jpeg", photo[:len(photo)-3], record.Invalid},
		"another type":                {hashOf(photo), "image/png", photo, record.Invalid},
		"a type not on the list":      {hashOf(photo), "text/html", photo, record.Invalid},
		"a GIF, which no node stores": {hashOf([]byte("GIF89a")), "image/gif", []byte("GIF89a"), record.Invalid},
		"no hash":                     {"../../etc/passwd", "image/jpeg", photo, record.Invalid},
		"a script":                    {hashOf(script), "application/pdf", script, record.Invalid},
		"a bomb":                      {hashOf(bomb), "image/png", bomb, record.TooLarge},
		"damaged":                     {hashOf(photo[:200]), "image/jpeg", photo[:200], record.Invalid},
		"HTML as JPEG":                {hashOf([]byte("<html>")), "image/jpeg", []byte("<html>"), record.Invalid},
		"too large":                   {hashOf(nil), "image/jpeg", make([]byte, MaxImage+1), record.TooLarge},
	} {
		s, _, dir := open(t)
		if _, err := s.Adopt(context.Background(), c.hash, c.typ, bytes.NewReader(c.b)); record.CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if s.Has(c.hash) {
			t.Errorf("%s: it is here", name)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
			t.Errorf("%s: %d files are left", name, len(left))
		}
	}
}

func TestSmallPictureIsAdoptedBeforeTheContentAndGoesWithIt(t *testing.T) {
	a, _, _ := open(t)
	b, _, dir := open(t)
	i := put(t, a, "photo.jpg", jpegOf(t, corners(640, 400, 255)))
	r, _, err := a.Thumb(i.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := b.AdoptThumb(context.Background(), i.Hash, r); err != nil {
		t.Fatal(err)
	}
	small, _, err := b.Thumb(i.Hash)
	if err != nil {
		t.Fatal(err)
	}
	small.Close()
	if b.Has(i.Hash) {
		t.Error("the content is said to be here")
	}
	if err := b.Remove(i.Hash); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*", "*.thumb")); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
	for name, bad := range map[string][]byte{
		"a large picture": jpegOf(t, corners(640, 400, 255)), "no JPEG": pngOf(t, corners(4, 4, 255)), "nothing": nil, "much": make([]byte, maxThumb+1),
	} {
		if err := b.AdoptThumb(context.Background(), i.Hash, bytes.NewReader(bad)); err == nil {
			t.Errorf("%s is adopted", name)
		}
	}
}
