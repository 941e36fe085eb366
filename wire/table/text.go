package table

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// window is how much is looked at to tell an encoding or a delimiter, in bytes.
const window = 64 << 10

func newPeeker(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, window) }

// guessEncoding tells what the first bytes say for sure: a byte order mark, or
// the zeros that UTF-16 has in Latin text. skip is the length of the mark.
func guessEncoding(head []byte) (name string, skip int) {
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		return "utf-8", 3
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return "utf-16le", 2
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "utf-16be", 2
	}
	n := min(len(head), 512)
	var zeros [2]int
	for i, c := range head[:n] {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case n < 4:
	case zeros[1] > n/4 && zeros[0] == 0:
		return "utf-16le", 0
	case zeros[0] > n/4 && zeros[1] == 0:
		return "utf-16be", 0
	}
	return "", 0
}

func utf16Decoder(name string) transform.Transformer {
	end := unicode.LittleEndian
	if name == "utf-16be" {
		end = unicode.BigEndian
	}
	return unicode.UTF16(end, unicode.UseBOM).NewDecoder()
}

func utf16Text(head []byte, name string) ([]byte, error) {
	b, _, err := transform.Bytes(utf16Decoder(name), head[:len(head)&^1])
	return b, err
}

// decodeText returns a reader of UTF-8 without a byte order mark. An encoding
// that is not named and not marked is told from the first bytes beyond ASCII,
// wherever they come: UTF-8 where most of them are that, Windows-1252 (of which
// Latin-1 is the printable part) otherwise. Stray bytes in UTF-8 stay as they
// are, for the row that holds them to be reported.
func decodeText(b *bufio.Reader, name string) (io.Reader, error) {
	head, err := b.Peek(512)
	if err != nil && err != io.EOF {
		return nil, err
	}
	found, skip := guessEncoding(head)
	switch n := strings.ToLower(strings.NewReplacer("_", "-", " ", "-").Replace(name)); n {
	case "":
	case "utf-8", "utf8":
		if found != "utf-8" {
			return b, nil
		}
	case "utf-16", "utf16", "utf-16le", "utf-16be":
		if !strings.HasPrefix(found, "utf-16") {
			found = "utf-16le"
		}
		if n == "utf-16be" {
			found = n
		}
	case "windows-1252", "cp1252", "latin-1", "latin1", "iso-8859-1":
		return transform.NewReader(b, charmap.Windows1252.NewDecoder()), nil
	default:
		return nil, bad(fmt.Sprintf("unknown encoding %q", name), "utf-8, utf-16 or windows-1252")
	}
	switch found {
	case "utf-8":
		b.Discard(skip)
		return b, nil
	case "utf-16le", "utf-16be":
		return transform.NewReader(b, utf16Decoder(found)), nil
	}
	return &undecided{b: b}, nil
}

// undecided passes ASCII on until the first other byte decides.
type undecided struct {
	b    *bufio.Reader
	then io.Reader
}

func (u *undecided) Read(p []byte) (int, error) {
	if u.then != nil {
		return u.then.Read(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := u.b.Peek(1); err != nil {
		return 0, err
	}
	chunk, _ := u.b.Peek(min(u.b.Buffered(), len(p)))
	i := 0
	for i < len(chunk) && chunk[i] < 0x80 {
		i++
	}
	if i > 0 {
		copy(p, chunk[:i])
		u.b.Discard(i)
		return i, nil
	}
	look, _ := u.b.Peek(window)
	if mostlyUTF8(look) {
		u.then = u.b
	} else {
		u.then = transform.NewReader(u.b, charmap.Windows1252.NewDecoder())
	}
	return u.then.Read(p)
}

func mostlyUTF8(b []byte) bool {
	good, wrong := 0, 0
	for len(b) > 0 {
		if b[0] < 0x80 {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		switch {
		case r != utf8.RuneError || n > 1:
			good++
		case !utf8.FullRune(b): // cut by the window
		default:
			wrong++
		}
		b = b[n:]
	}
	return good >= wrong
}
