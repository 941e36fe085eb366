package cap

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// decode returns the document as UTF-8, by its byte order mark and the encoding
// that its declaration names (XML 1.0 §4.3.3); a name in the declaration is left
// as it stands. why is empty when all is well.
func decode(data []byte) (text, why string) {
	switch {
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}), bytes.HasPrefix(data, []byte{0xFF, 0xFE}),
		bytes.HasPrefix(data, []byte{0, '<'}), bytes.HasPrefix(data, []byte{'<', 0}):
		return "", "the document is in UTF-16, which is not read: send UTF-8"
	}
	marked := bytes.HasPrefix(data, []byte("\xEF\xBB\xBF"))
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	name := declared(data)
	switch known := strings.ToLower(name); {
	case known == "" || known == "utf-8" || known == "utf8":
		if !utf8.Valid(data) {
			return "", fmt.Sprintf("the document is not in UTF-8, as it says: byte %d is not part of a letter", badByte(data))
		}
		return string(data), ""
	case marked:
		return "", fmt.Sprintf("the document begins like UTF-8 and says that it is in %s", name)
	case known == "iso-8859-1" || known == "iso8859-1" || known == "latin1":
		return single(data, charmap.ISO8859_1, name)
	case known == "windows-1252" || known == "cp1252":
		return single(data, charmap.Windows1252, name)
	case known == "us-ascii" || known == "ascii":
		if i := bytes.IndexFunc(data, func(r rune) bool { return r >= utf8.RuneSelf }); i >= 0 {
			return "", fmt.Sprintf("the document is not in %s, as it says: see byte %d", name, i)
		}
		return string(data), ""
	}
	return "", fmt.Sprintf("the character set %q is not read: send UTF-8 (ISO-8859-1, windows-1252 and US-ASCII are read too)", clip(name))
}

// declared returns the encoding that the XML declaration names. It is lenient:
// the declaration itself is checked by the reader.
func declared(data []byte) string {
	if !bytes.HasPrefix(data, []byte("<?xml")) {
		return ""
	}
	head, _, ok := bytes.Cut(data[:min(len(data), 256)], []byte("?>"))
	if !ok {
		return ""
	}
	_, rest, ok := bytes.Cut(head, []byte("encoding"))
	if !ok {
		return ""
	}
	rest = bytes.TrimLeft(rest, " \t\r\n=")
	if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
		return ""
	}
	value, _, _ := bytes.Cut(rest[1:], rest[:1])
	return string(value)
}

// single decodes a character set of one byte a letter.
func single(data []byte, set *charmap.Charmap, name string) (text, why string) {
	var b strings.Builder
	b.Grow(len(data) + len(data)/8)
	for i, c := range data {
		if c < utf8.RuneSelf {
			b.WriteByte(c)
			continue
		}
		r := set.DecodeByte(c)
		if r == utf8.RuneError {
			return "", fmt.Sprintf("the document is not in %s, as it says: see byte %d", name, i)
		}
		b.WriteRune(r)
	}
	return b.String(), ""
}

// badByte is where data stops being UTF-8.
func badByte(data []byte) int {
	at := 0
	for at < len(data) {
		r, n := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// clip shortens what a stranger wrote before it stands in a message.
func clip(s string) string {
	const most = 60
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "..."
		}
		n++
	}
	return s
}
