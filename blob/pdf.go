package blob

import (
	"bytes"
	"compress/zlib"
	"io"

	"konbit/record"
)

// forbidden are names of a PDF (ISO 32000-1) that make it do something, carry
// other files or hide what it holds:
//
//   - an encrypted document cannot be looked into, here or by an auditor;
//   - scripts, launched programs and forms of the XFA kind run on the reader's
//     machine;
//   - an embedded file would get past the list of types that are taken.
//
// Links and forms are left alone: they act only when a person acts.
var forbidden = []struct{ name, what string }{
	{"/Encrypt", "it is encrypted: save it without a password"},
	{"/JavaScript", "it holds a script"},
	{"/Launch", "it starts a program"},
	{"/EmbeddedFile", "it carries other files"},
	{"/EmbeddedFiles", "it carries other files"},
	{"/RichMedia", "it holds a programme to play"},
	{"/XFA", "it holds an XFA form: print it to a new PDF"},
}

// Bounds of what is unpacked of one PDF to look for such names.
const (
	maxInflated = 256 << 20 // bytes
	maxStreams  = 200_000
	longestName = 20 // more than any of them has
)

// checkPDF refuses what is no whole PDF or holds something forbidden. Names are
// found where a reader finds them: spelled with #xx, and in packed streams. It
// keeps the ordinary danger out; it does not prove a document harmless.
func checkPDF(b []byte, limit int64) error {
	tail := bytes.TrimRight(b, "\x00 \t\r\n")
	if !bytes.Contains(tail[max(0, len(tail)-1024):], []byte("%%EOF")) {
		return invalid("the PDF is cut off: it has no end")
	}
	if err := checkNames(b); err != nil {
		return err
	}
	u := &unpacker{limit: limit, left: limit, buf: make([]byte, 64<<10)}
	for at, n := 0, 0; ; n++ {
		i := bytes.Index(b[at:], []byte("stream"))
		if i < 0 {
			return nil
		}
		start := at + i
		at = start + len("stream")
		data := bytes.TrimPrefix(bytes.TrimPrefix(b[at:], []byte("\r")), []byte("\n"))
		if len(data) < 2 || data[0]&0x0f != 8 || (int(data[0])<<8|int(data[1]))%31 != 0 || isImage(b[:start]) {
			continue // not packed with zlib (RFC 1950 §2.2)
		}
		if n > maxStreams {
			return record.Errorf(record.TooLarge, "attachment", "the PDF has over %d streams", maxStreams)
		}
		if err := u.check(data); err != nil {
			return err
		}
	}
}

// unpacker looks for names in packed streams, a piece at a time.
type unpacker struct {
	z           io.ReadCloser
	buf         []byte
	limit, left int64
}

func (u *unpacker) check(data []byte) (err error) {
	if u.z == nil {
		u.z, err = zlib.NewReader(bytes.NewReader(data))
	} else {
		err = u.z.(zlib.Resetter).Reset(bytes.NewReader(data), nil)
	}
	if err != nil {
		return nil
	}
	kept := 0 // of the piece before, for a name that lies across
	for {
		n, end := io.ReadFull(u.z, u.buf[kept:])
		if u.left -= int64(n); u.left < 0 {
			return record.Errorf(record.TooLarge, "attachment", "the PDF unpacks to over %d MB", u.limit>>20)
		}
		if err := checkNames(u.buf[:kept+n]); err != nil || end != nil {
			return err // the end, or damage: as far as it goes
		}
		kept = copy(u.buf, u.buf[len(u.buf)-3*longestName:])
	}
}

// isImage reports whether the dictionary that ends b is that of a picture.
func isImage(b []byte) bool {
	b = b[max(0, len(b)-2048):]
	if i := bytes.LastIndex(b, []byte(" obj")); i >= 0 {
		b = b[i:]
	}
	return bytes.Contains(b, []byte("/Image")) && !bytes.Contains(b, []byte("/ObjStm")) && !bytes.ContainsRune(b, '#')
}

func checkNames(b []byte) error {
	for {
		i := bytes.IndexByte(b, '/')
		if i < 0 {
			return nil
		}
		b = b[i:]
		name := pdfName(b)
		for _, f := range forbidden {
			if string(name) == f.name {
				return invalid("the PDF is not taken: %s", f.what)
			}
		}
		b = b[1:]
	}
}

// pdfName reads the name that b begins with (ISO 32000-1 §7.3.5), at most as
// long as any that is looked for.
func pdfName(b []byte) []byte {
	var buf [longestName]byte
	n := append(buf[:0], '/')
	for i := 1; i < len(b) && len(n) < cap(buf); i++ {
		c := b[i]
		switch {
		case c <= ' ' || bytes.IndexByte([]byte("/()<>[]{}%"), c) >= 0:
			return n
		case c == '#' && i+2 < len(b) && nibble(b[i+1]) >= 0 && nibble(b[i+2]) >= 0:
			c = byte(nibble(b[i+1])<<4 | nibble(b[i+2]))
			i += 2
		}
		n = append(n, c)
	}
	return n
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
