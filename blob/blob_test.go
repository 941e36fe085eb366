package blob

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"konbit/record"
)

const ana, bob = "ht.cc/ana", "do.911/bob"

type clock struct {
	sync.Mutex
	t time.Time
}

func (c *clock) now() time.Time { c.Lock(); defer c.Unlock(); return c.t }
func (c *clock) add(d time.Duration) {
	c.Lock()
	defer c.Unlock()
	c.t = c.t.Add(d)
}

func open(t *testing.T) (*Store, *clock, string) {
	t.Helper()
	c := &clock{t: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	dir := filepath.Join(t.TempDir(), "blobs")
	s, err := Open(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s, c, dir
}

func put(t *testing.T, s *Store, name string, b []byte) Info {
	t.Helper()
	i, err := s.Put(context.Background(), ana, name, bytes.NewReader(b))
	if err != nil {
		t.Fatalf("Put(%s): %v", name, err)
	}
	return i
}

func content(t *testing.T, s *Store, hash string) []byte {
	t.Helper()
	r, _, err := s.Open(hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// corners is a picture that tells its four corners apart: red, green, blue,
// white, clockwise from the upper left.
func corners(w, h int, alpha uint8) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{255, 0, 0, 255}
			switch {
			case x >= w/2 && y < h/2:
				c = color.NRGBA{0, 255, 0, 255}
			case x >= w/2:
				c = color.NRGBA{0, 0, 255, 255}
			case y >= h/2:
				c = color.NRGBA{255, 255, 255, alpha}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withEXIF puts an APP1 segment into a JPEG: an orientation, a camera, and a GPS
// directory with a latitude.
func withEXIF(b []byte, orientation uint16) []byte {
	le := binary.LittleEndian
	tiff := append([]byte("II*\x00"), 8, 0, 0, 0)
	tiff = le.AppendUint16(tiff, 3)
	entry := func(tag, typ uint16, n, v uint32) {
		tiff = le.AppendUint16(tiff, tag)
		tiff = le.AppendUint16(tiff, typ)
		tiff = le.AppendUint32(tiff, n)
		tiff = le.AppendUint32(tiff, v)
	}
	entry(0x010f, 2, 14, 68)                    // Make
	entry(0x0112, 3, 1, uint32(orientation))    // Orientation
	entry(0x8825, 4, 1, 50)                     // GPS directory
	tiff = le.AppendUint32(tiff, 0)             // no more: 8+2+36+4 = 50
	tiff = le.AppendUint16(tiff, 1)             // GPS: one entry
	entry(0x0002, 5, 3, 82)                     // GPSLatitude
	tiff = le.AppendUint32(tiff, 0)             // 50+2+12+4 = 68
	tiff = append(tiff, "SecretPhoneX1\x00"...) // 82
	for _, v := range []uint32{18, 1, 32, 1, 43, 1} {
		tiff = le.AppendUint32(tiff, v)
	}
	seg := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte{}, b[:2]...)
	out = append(out, 0xff, 0xe1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(seg)+2))
	out = append(out, seg...)
	xmp := []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>exif:GPSLatitude</x:xmpmeta>")
	out = append(out, 0xff, 0xe1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(xmp)+2))
	out = append(out, xmp...)
	return append(out, b[2:]...)
}

func near(c color.Color, r, g, b uint8) bool {
	x, y, z, _ := c.RGBA()
	d := func(a uint32, b uint8) bool { v := int(a>>8) - int(b); return v > -40 && v < 40 }
	return d(x, r) && d(y, g) && d(z, b)
}

func TestStoredPhotoHoldsNoTraceOfThePhone(t *testing.T) {
	s, _, _ := open(t)
	in := append(withEXIF(jpegOf(t, corners(64, 32, 255)), 6), "MotionPhoto trailer"...)
	if orientation(exif(jpg, in)) != 6 || !bytes.Contains(in, []byte("SecretPhoneX1")) {
		t.Fatal("the test's own photo has no EXIF")
	}
	i := put(t, s, "IMG_001.JPEG", in)
	if i.Type != "image/jpeg" || i.Name != "IMG_001.jpeg" || i.Width != 32 || i.Height != 64 {
		t.Errorf("stored as %+v, want an upright JPEG of 32 by 64", i)
	}
	out := content(t, s, i.Hash)
	if int64(len(out)) != i.Size {
		t.Errorf("size %d, stored %d", i.Size, len(out))
	}
	for _, trace := range []string{"Exif", "GPS", "SecretPhone", "xmpmeta", "MotionPhoto"} {
		if bytes.Contains(out, []byte(trace)) {
			t.Errorf("the stored photo holds %q", trace)
		}
	}
	m, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	// Orientation 6: what was left below is above.
	if !near(m.At(4, 4), 255, 255, 255) || !near(m.At(28, 4), 255, 0, 0) || !near(m.At(28, 60), 0, 255, 0) || !near(m.At(4, 60), 0, 0, 255) {
		t.Error("the photo was not turned upright")
	}
}

func TestEveryOrientationEndsUpright(t *testing.T) {
	up := corners(8, 4, 255)
	plain := shrink(up, 8, 4)
	inverse := map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
	for o, back := range inverse {
		if got := orient(orient(plain, o), back); !bytes.Equal(got.Pix, plain.Pix) {
			t.Errorf("orientation %d and back by %d is not where it began", o, back)
		}
	}
}

func TestTransparencyMakesPNGAndItsTextIsGone(t *testing.T) {
	s, _, _ := open(t)
	b := pngOf(t, corners(40, 40, 100))
	text := append([]byte("tEXtAuthor\x00Ana at home"), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(text[len(text)-4:], crc32.ChecksumIEEE(text[:len(text)-4]))
	chunk := append(binary.BigEndian.AppendUint32(nil, uint32(len(text)-8)), text...)
	b = append(append(append([]byte{}, b[:33]...), chunk...), b[33:]...)
	i := put(t, s, "../../etc/x.exe", b)
	if i.Type != "image/png" || i.Name != "x.png" {
		t.Errorf("stored as %+v", i)
	}
	out := content(t, s, i.Hash)
	if bytes.Contains(out, []byte("Ana")) {
		t.Error("the text of the PNG is still there")
	}
	m, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if c := color.NRGBAModel.Convert(m.At(5, 35)).(color.NRGBA); c.A != 100 {
		t.Errorf("alpha %d, want 100", c.A)
	}
	if i := put(t, s, "opaque.png", pngOf(t, corners(40, 40, 255))); i.Type != "image/jpeg" || i.Name != "opaque.jpg" {
		t.Errorf("an opaque PNG is stored as %+v, want JPEG", i)
	}
}

func TestLargePhotoIsMadeSmallerAndHasAThumb(t *testing.T) {
	s, _, _ := open(t)
	i := put(t, s, "big.jpg", jpegOf(t, corners(5000, 1250, 255)))
	if i.Width != 4096 || i.Height != 1024 {
		t.Errorf("%d by %d, want 4096 by 1024", i.Width, i.Height)
	}
	r, ti, err := s.Thumb(i.Hash)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, err := jpeg.Decode(r)
	if err != nil || m.Bounds().Dx() != 320 || m.Bounds().Dy() != 80 || ti.Type != "image/jpeg" {
		t.Errorf("thumb %v %v %+v", m.Bounds(), err, ti)
	}
	if !near(m.At(10, 10), 255, 0, 0) || !near(m.At(310, 70), 0, 0, 255) {
		t.Error("the thumb shows something else")
	}
}

func TestGIFAndWebPAreTaken(t *testing.T) {
	s, _, _ := open(t)
	var g bytes.Buffer
	p := image.NewPaletted(image.Rect(0, 0, 9, 7), color.Palette{color.Black, color.White})
	if err := gif.EncodeAll(&g, &gif.GIF{Image: []*image.Paletted{p, p}, Delay: []int{1, 1}}); err != nil {
		t.Fatal(err)
	}
	if i := put(t, s, "a.gif", g.Bytes()); i.Type != "image/jpeg" || i.Width != 9 || i.Height != 7 {
		t.Errorf("GIF stored as %+v", i)
	}
	if i := put(t, s, "a.webp", onePixelWebP); i.Type != "image/jpeg" && i.Type != "image/png" || i.Width != 1 {
		t.Errorf("WebP stored as %+v", i)
	}
}

// onePixelWebP is lossless, 1 by 1.
var onePixelWebP = []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")

// pngHeader is a PNG that says it is w by h and has next to no data.
func pngHeader(w, h uint32, depth, interlace byte) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(typ string, d []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(d)))
		c := append([]byte(typ), d...)
		b = append(b, c...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(c))
	}
	d := binary.BigEndian.AppendUint32(nil, w)
	d = binary.BigEndian.AppendUint32(d, h)
	chunk("IHDR", append(d, depth, 6, 0, 0, interlace))
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(make([]byte, 1000))
	zw.Close()
	chunk("IDAT", z.Bytes())
	chunk("IEND", nil)
	return b
}

func TestPixelsAreCountedBeforeTheyAreDecoded(t *testing.T) {
	s, _, _ := open(t)
	progressive := jpegOf(t, corners(8, 8, 255))
	sof := bytes.Index(progressive, []byte{0xff, 0xc0})
	progressive[sof+1] = 0xc2
	binary.BigEndian.PutUint16(progressive[sof+5:], 6000)
	binary.BigEndian.PutUint16(progressive[sof+7:], 6600)
	for name, b := range map[string][]byte{
		"41 million pixels": pngHeader(6400, 6400, 8, 0),
		"wide":              pngHeader(1<<31-1, 1, 8, 0),
		"deep":              pngHeader(6000, 6000, 16, 0),
		"interlaced":        pngHeader(6300, 6300, 8, 1),
		"progressive":       progressive,
	} {
		_, err := s.Put(context.Background(), ana, name, bytes.NewReader(b))
		if c := record.CodeOf(err); c != record.TooLarge && c != record.Invalid || name != "wide" && c != record.TooLarge {
			t.Errorf("%s: %v, want too-large", name, err)
		}
	}
}

// deflated packs b as a PDF stream does.
func deflated(b string) string {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte(b))
	w.Close()
	return z.String()
}

func pdfOf(objects string) []byte {
	return []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + objects + "\nxref\n0 1\ntrailer\n<< /Root 1 0 R >>\nstartxref\n9\n%%EOF\n")
}

func wavOf(chunks ...string) []byte {
	body := "WAVE"
	for i := 0; i+1 < len(chunks); i += 2 {
		body += chunks[i] + string(binary.LittleEndian.AppendUint32(nil, uint32(len(chunks[i+1])))) + chunks[i+1]
		if len(chunks[i+1])%2 == 1 {
			body += "\x00"
		}
	}
	return []byte("RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body)
}

func box(typ, body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))) + typ + body
}

func mp4Of(handler string) []byte {
	hdlr := box("hdlr", "\x00\x00\x00\x00\x00\x00\x00\x00"+handler+strings.Repeat("\x00", 13))
	return []byte(box("ftyp", "M4A \x00\x00\x00\x00M4A ") +
		box("moov", box("mvhd", strings.Repeat("\x00", 100))+box("trak", box("mdia", hdlr))+box("udta", "\xa9xyz+18.5392-072.3364/")) +
		box("mdat", "sound sound sound"))
}

var fmtChunk = "\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"

// mp3Frame is one silent frame of 128 kbit/s, 44.1 kHz: 417 bytes.
var mp3Frame = "\xff\xfb\x90\x00" + strings.Repeat("\x00", 413)

func oggPage(flags byte, packet string) string {
	return "OggS\x00" + string(flags) + strings.Repeat("\x00", 20) + "\x01" + string(byte(len(packet))) + packet
}

func TestSoundIsKnownByItsBytesAndLosesItsTags(t *testing.T) {
	s, _, _ := open(t)
	amrFrame := "\x3c" + strings.Repeat("\x01", 31)
	for _, c := range []struct {
		name, typ, ext string
		in             []byte
		gone, kept     string
	}{
		{"voice.txt", "audio/amr", ".amr", []byte("#!AMR\n" + amrFrame + amrFrame), "", amrFrame},
		{"song.mp3", "audio/mpeg", ".mp3", []byte("ID3\x04\x00\x00\x00\x00\x00\x0aTPE1Anaaaa" + mp3Frame + mp3Frame + "TAGAna" + strings.Repeat("\x00", 122)), "Ana", mp3Frame},
		{"call.wav", "audio/wav", ".wav", wavOf("fmt ", fmtChunk, "LIST", "INFOIARTAna", "data", "sound!", "id3 ", "Ana too")[:], "Ana", "sound!"},
		{"note.m4a", "audio/mp4", ".m4a", mp4Of("soun"), "+18.53", "sound sound"},
		{"wa.opus", "audio/ogg", ".opus", []byte(oggPage(2, "OpusHead\x01\x01") + oggPage(0, "OpusTags")), "", "OpusHead"},
	} {
		i, err := s.Put(context.Background(), ana, c.name, bytes.NewReader(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		out := content(t, s, i.Hash)
		if i.Type != c.typ || filepath.Ext(i.Name) != c.ext || c.gone != "" && bytes.Contains(out, []byte(c.gone)) || !bytes.Contains(out, []byte(c.kept)) {
			t.Errorf("%s: %+v, stored %.60q", c.name, i, out)
		}
		if _, _, err := s.Thumb(i.Hash); record.CodeOf(err) != record.NotFound {
			t.Errorf("%s has a thumb: %v", c.name, err)
		}
	}
}

func TestWhatIsNotOnTheListIsRefusedByName(t *testing.T) {
	s, _, dir := open(t)
	for _, c := range []struct {
		name string
		in   []byte
		say  string
	}{
		{"photo.jpg", nil, "empty"},
		{"photo.jpg", []byte("<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>"), "SVG"},
		{"photo.jpg", []byte("\xef\xbb\xbf <!DOCTYPE html><script>"), "HTML"},
		{"photo.jpg", []byte("MZ\x90\x00"), "a program"},
		{"photo.jpg", []byte("hello"), "a text"},
		{"photo.jpg", []byte("\x00\x01\x02\x03"), "not known"},
		{"photo.jpg", []byte("\xff\xd8\xff\xe0 and nothing more"), "damaged"},
		{"a.docx", []byte("PK\x03\x04 word/"), "Office"},
		{"a.heic", []byte(box("ftyp", "heic\x00\x00\x00\x00")), "HEIC"},
		{"a.mp4", mp4Of("vide"), "a video"},
		{"a.mp4", mp4Of("text"), "without sound"},
		{"a.mp4", []byte(box("ftyp", "isom\x00\x00\x00\x00") + "\x00\x00\x00\x03moov"), "M4A"},
		{"a.ogg", []byte(oggPage(2, "OpusHead") + oggPage(2, "\x80theora")), "a video"},
		{"a.mp3", []byte("ID3\x04\x00\x00\x00\x00\x00\x04abcdMZ program"), "MP3"},
		{"a.mp3", []byte("\xff\xfb\x90\x00" + strings.Repeat("x", 600)), "MP3"},
		{"a.wav", wavOf("data", "early"), "WAV"},
		{"a.amr", []byte("#!AMR\nnot speech at all"), "AMR"},
		{"a.pdf", []byte("%PDF-1.4 no end"), "cut off"},
		{"a.pdf", pdfOf("1 0 obj << /Encrypt 2 0 R >> endobj"), "encrypted"},
		{"a.pdf", pdfOf("1 0 obj << /S /JavaScript /JS (app.alert(1)) >> endobj"), "script"},
		{"a.pdf", pdfOf("1 0 obj << /S /J#61vaScr#69pt >> endobj"), "script"},
		{"a.pdf", pdfOf("1 0 obj << /S/Launch/F(cmd.exe) >> endobj"), "program"},
		{"a.pdf", pdfOf("1 0 obj << /Type /EmbeddedFile >> endobj"), "other files"},
		{"a.pdf", pdfOf("1 0 obj << /Type /ObjStm /Filter /FlateDecode >> stream\r\n" + deflated(strings.Repeat("2 0 ", 50_000)+"<< /S /JavaScript >>") + "\nendstream endobj"), "script"},
	} {
		_, err := s.Put(context.Background(), ana, c.name, bytes.NewReader(c.in))
		if record.CodeOf(err) != record.Invalid || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%.30q: %v, want invalid and %q", c.in, err, c.say)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if i := put(t, s, "map.pdf", pdfOf("1 0 obj << /Type /Catalog /JavaScripture (x) >> endobj 2 0 obj << /Filter /FlateDecode >> stream\n"+deflated("0 0 m 1 1 l S")+"\nendstream endobj")); i.Type != "application/pdf" || i.Name != "map.pdf" {
		t.Errorf("a plain PDF: %+v", i)
	}
}

func TestSizeLimits(t *testing.T) {
	s, _, _ := open(t)
	for name, r := range map[string]io.Reader{
		"any":   io.LimitReader(zeros{}, MaxFile+1),
		"image": io.MultiReader(bytes.NewReader([]byte("\xff\xd8\xff\xe0")), io.LimitReader(zeros{}, MaxImage)),
		"pdf":   io.MultiReader(strings.NewReader("%PDF-1.4"), io.LimitReader(zeros{}, MaxPDF)),
	} {
		if _, err := s.Put(context.Background(), ana, name, r); record.CodeOf(err) != record.TooLarge {
			t.Errorf("%s: %v, want too-large", name, err)
		}
	}
	bomb := pdfOf("1 0 obj << /Filter /FlateDecode >> stream\n" + deflated(strings.Repeat("\x00", 2<<20+1)) + "\nendstream endobj")
	if err := checkPDF(bomb, 2<<20); record.CodeOf(err) != record.TooLarge {
		t.Errorf("a PDF of %d bytes that unpacks to over 2 MB: %v", len(bomb), err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestOnlyTheUploaderClaimsForADay(t *testing.T) {
	s, c, dir := open(t)
	i := put(t, s, "a.jpg", jpegOf(t, corners(16, 16, 255)))
	claim := func(s *Store, person string) bool {
		typ, size, ok := s.Claim(person, i.Hash)
		if ok && (typ != i.Type || size != i.Size) {
			t.Errorf("claimed as %s, %d bytes", typ, size)
		}
		return ok
	}
	if !claim(s, ana) || claim(s, bob) || claim(s, "") {
		t.Fatal("only the uploader may claim")
	}
	again, err := Open(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if !claim(again, ana) || claim(again, bob) {
		t.Error("after a restart only the uploader may claim")
	}
	if j, err := again.Put(context.Background(), bob, "b.jpg", bytes.NewReader(jpegOf(t, corners(16, 16, 255)))); err != nil || j.Hash != i.Hash {
		t.Fatalf("the same photo again: %v %v", j, err)
	}
	if !claim(again, ana) || !claim(again, bob) {
		t.Error("both have brought it")
	}
	c.add(Hold + time.Second)
	if claim(again, ana) || claim(again, bob) {
		t.Error("claimed after a day")
	}
	torn, err := Open(dir, func() time.Time { return c.now().Add(-Hold) })
	if err != nil {
		t.Fatal(err)
	}
	if !claim(torn, ana) {
		t.Error("cannot be claimed in time")
	}
	if err := os.Remove(filepath.Join(dir, i.Hash[:2], i.Hash[2:])); err != nil {
		t.Fatal(err)
	}
	if claim(torn, ana) {
		t.Error("claimed what is not there")
	}
	for _, bad := range []string{"", "../../../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("../", 21) + "x"} {
		if _, _, ok := s.Claim(ana, bad); ok {
			t.Errorf("claimed %q", bad)
		}
		if _, _, err := s.Open(bad); record.CodeOf(err) != record.NotFound {
			t.Errorf("opened %q: %v", bad, err)
		}
		if err := s.Remove(bad); record.CodeOf(err) != record.NotFound {
			t.Errorf("removed %q: %v", bad, err)
		}
	}
}

func TestSweepRemovesOnlyWhatNobodyAttached(t *testing.T) {
	s, c, dir := open(t)
	kept := put(t, s, "kept.pdf", pdfOf("1 0 obj << /A 1 >> endobj"))
	lost := put(t, s, "lost.jpg", jpegOf(t, corners(16, 16, 255)))
	held := func(h string) (bool, error) { return h == kept.Hash, nil }
	sweep := func() int {
		n, err := s.Sweep(context.Background(), held)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	c.add(Hold + time.Minute)
	if n := sweep(); n != 0 {
		t.Fatalf("%d removed while a command may still be under way", n)
	}
	c.add(grace)
	young := put(t, s, "young.pdf", pdfOf("2 0 obj << /B 1 >> endobj"))
	if n := sweep(); n != 1 {
		t.Fatalf("%d removed, want 1", n)
	}
	if _, _, err := s.Open(lost.Hash); record.CodeOf(err) != record.NotFound {
		t.Errorf("the lost one: %v", err)
	}
	if _, _, err := s.Thumb(lost.Hash); record.CodeOf(err) != record.NotFound {
		t.Errorf("its thumb: %v", err)
	}
	content(t, s, kept.Hash)
	content(t, s, young.Hash)
	note, err := os.ReadFile(filepath.Join(dir, kept.Hash[:2], kept.Hash[2:]+".json"))
	if err != nil || bytes.Contains(note, []byte(ana)) {
		t.Errorf("the uploader is still noted: %s %v", note, err)
	}
	if n := sweep(); n != 0 {
		t.Errorf("%d removed the second time", n)
	}
	content(t, s, kept.Hash)
}

func TestVerifyFindsADamagedContent(t *testing.T) {
	s, _, dir := open(t)
	good := put(t, s, "good.pdf", pdfOf("1 0 obj << /A 1 >> endobj"))
	bad := put(t, s, "bad.jpg", jpegOf(t, corners(16, 16, 255)))
	check := func() map[string]error {
		found := map[string]error{}
		if err := s.Verify(context.Background(), func(h string, fault error) bool { found[h] = fault; return true }); err != nil {
			t.Fatal(err)
		}
		return found
	}
	if f := check(); len(f) != 2 || f[good.Hash] != nil || f[bad.Hash] != nil {
		t.Fatalf("sound contents: %v", f)
	}
	path := filepath.Join(dir, bad.Hash[:2], bad.Hash[2:])
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := check(); f[good.Hash] != nil || record.CodeOf(f[bad.Hash]) != record.Corrupt || !strings.Contains(f[bad.Hash].Error(), bad.Hash) {
		t.Fatalf("one changed bit: %v", f)
	}
}

func TestCutUploadLeavesNothing(t *testing.T) {
	s, _, dir := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	r := io.MultiReader(bytes.NewReader(jpegOf(t, corners(16, 16, 255))[:100]), reader(func([]byte) (int, error) { cancel(); return 0, nil }))
	if _, err := s.Put(ctx, ana, "a.jpg", r); err != context.Canceled {
		t.Errorf("%v, want canceled", err)
	}
	if _, err := s.Put(context.Background(), ana, "a.jpg", reader(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF })); record.CodeOf(err) != record.Invalid {
		t.Errorf("%v, want invalid", err)
	}
	if err := s.Walk(context.Background(), func(h string) error { return fmt.Errorf("there is %s", h) }); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

type reader func([]byte) (int, error)

func (r reader) Read(b []byte) (int, error) { return r(b) }

func TestManyUploadsAtOnce(t *testing.T) {
	s, _, _ := open(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			b := pngOf(t, corners(60+n%4, 60, 255))
			i, err := s.Put(context.Background(), ana, "a.png", bytes.NewReader(b))
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, ok := s.Claim(ana, i.Hash); !ok {
				t.Error("cannot be claimed")
			}
		})
	}
	wg.Wait()
	n := 0
	if err := s.Walk(context.Background(), func(string) error { n++; return nil }); err != nil || n != 4 {
		t.Errorf("%d contents, want 4: %v", n, err)
	}
}

// FuzzPut holds that no upload breaks the store, and that what it takes is of a
// type on the list and reads back as what its hash says.
func FuzzPut(f *testing.F) {
	f.Add(withEXIF(jpegOf(f, corners(8, 8, 255)), 6))
	f.Add(pngOf(f, corners(8, 8, 99)))
	f.Add(onePixelWebP)
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"))
	f.Add(pngHeader(1, 1, 8, 1))
	f.Add(pdfOf("1 0 obj << /Filter /FlateDecode >> stream\n" + deflated("q Q") + "\nendstream endobj"))
	f.Add(wavOf("fmt ", fmtChunk, "data", "ab"))
	f.Add(mp4Of("soun"))
	f.Add([]byte("ID3\x04\x00\x00\x00\x00\x00\x02ab" + mp3Frame))
	f.Add([]byte(oggPage(2, "OpusHead") + oggPage(0, "OpusTags")))
	f.Add([]byte("#!AMR-WB\n\x44" + strings.Repeat("x", 60)))
	s, err := Open(f.TempDir(), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := s.Put(context.Background(), ana, "x", bytes.NewReader(b))
		if err != nil {
			if c := record.CodeOf(err); c != record.Invalid && c != record.TooLarge {
				t.Fatalf("%v", err)
			}
			return
		}
		if endings[kind(i.Type)] == nil {
			t.Fatalf("taken as %s", i.Type)
		}
		if k, err := sniff(content(t, s, i.Hash)); err != nil || string(k) != i.Type && !strings.HasPrefix(i.Type, "audio/") {
			t.Fatalf("stored as %s, which looks like %s: %v", i.Type, k, err)
		}
		if fault, err := s.fault(context.Background(), i.Hash); fault != nil || err != nil {
			t.Fatal(fault, err)
		}
		s.Remove(i.Hash)
	})
}
