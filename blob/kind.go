package blob

import (
	"bytes"
	"strings"

	"konbit/record"
)

// kind is a media type that is taken.
type kind string

const (
	jpg   kind = "image/jpeg"
	pngs  kind = "image/png"
	webps kind = "image/webp" // stored as JPEG or PNG
	gifs  kind = "image/gif"  // likewise, the first picture
	pdf   kind = "application/pdf"
	mp3   kind = "audio/mpeg"
	aac   kind = "audio/aac"
	ogg   kind = "audio/ogg"
	wav   kind = "audio/wav"
	m4a   kind = "audio/mp4"
	amr   kind = "audio/amr"
	amrwb kind = "audio/amr-wb"
)

var endings = map[kind][]string{
	jpg: {".jpg", ".jpeg"}, pngs: {".png"}, pdf: {".pdf"}, mp3: {".mp3"}, aac: {".aac"}, ogg: {".ogg", ".oga", ".opus"},
	wav: {".wav"}, m4a: {".m4a", ".mp4", ".3gp"}, amr: {".amr"}, amrwb: {".awb", ".amr"},
}

// String names it to a person.
func (k kind) String() string {
	switch {
	case k.image():
		return "the image"
	case k == pdf:
		return "the PDF"
	}
	return "the sound file"
}

func (k kind) image() bool { return strings.HasPrefix(string(k), "image/") }

func (k kind) limit() int64 {
	switch {
	case k.image():
		return MaxImage
	case k == pdf:
		return MaxPDF
	}
	return MaxAudio
}

// others are types that people send and that are not taken, so that the answer
// can name them.
var others = []struct{ magic, what, hint string }{
	{"PK\x03\x04", "a ZIP archive or an Office document", "save the document as PDF"},
	{"\xd0\xcf\x11\xe0", "an old Office document", "save it as PDF"},
	{"MZ", "a program", ""}, {"\x7fELF", "a program", ""},
	{"{\\rtf", "an RTF document", "save it as PDF"},
	{"II*\x00", "a TIFF image", "save it as JPEG"}, {"MM\x00*", "a TIFF image", "save it as JPEG"},
	{"BM", "a BMP image", "save it as PNG"},
	{"\x1a\x45\xdf\xa3", "a video", "send a photo or the sound alone"},
	{"\x1f\x8b", "a compressed file", "unpack it first"}, {"Rar!", "a RAR archive", "unpack it first"}, {"7z\xbc\xaf", "a 7z archive", "unpack it first"},
	{"fLaC", "a FLAC sound file", "save it as MP3"},
}

// sniff finds the kind of a file in its first bytes (512 are enough). The error
// says what the file is instead, as far as that can be told.
func sniff(b []byte) (kind, error) {
	has := func(at int, s string) bool { return len(b) >= at+len(s) && string(b[at:at+len(s)]) == s }
	switch {
	case len(b) == 0:
		return "", invalid("the file is empty")
	case has(0, "\xff\xd8\xff"):
		return jpg, nil
	case has(0, "\x89PNG\r\n\x1a\n"):
		return pngs, nil
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return gifs, nil
	case has(0, "RIFF") && has(8, "WEBP"):
		return webps, nil
	case has(0, "RIFF") && has(8, "WAVE"):
		return wav, nil
	case has(0, "%PDF-"):
		return pdf, nil
	case has(0, "OggS"):
		return ogg, nil
	case has(0, "#!AMR\n"):
		return amr, nil
	case has(0, "#!AMR-WB\n"):
		return amrwb, nil
	case has(0, "ID3"):
		return mp3, nil // what follows the tag is looked at by untag
	case len(b) > 2 && b[0] == 0xff && b[1]&0xf6 == 0xf0:
		return aac, nil
	case len(b) > 2 && b[0] == 0xff && b[1]&0xe6 == 0xe2:
		return mp3, nil
	case has(4, "ftyp"):
		return brand(b)
	}
	for _, o := range others {
		if strings.HasPrefix(string(b), o.magic) {
			return "", refused(o.what, o.hint)
		}
	}
	t := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(t, []byte("<")):
		return "", refused("an HTML, SVG or XML file", "")
	case bytes.IndexByte(b, 0) < 0 && printable(b):
		return "", refused("a text", "put it into the record, or save it as PDF")
	}
	return "", refused("of a type that is not known here", "")
}

// brand tells the files of the ISO base media family apart (ISO/IEC 14496-12
// §4.3). Whether there is only sound in one is looked at by untag.
func brand(b []byte) (kind, error) {
	if len(b) < 12 {
		return "", invalid("the file is cut off")
	}
	switch string(b[8:12]) {
	case "heic", "heix", "hevc", "heim", "heis", "mif1", "msf1", "avif", "avis":
		return "", refused("a HEIC or AVIF image", "save or send it as JPEG")
	case "qt  ":
		return "", refused("a video", "send a photo or the sound alone")
	}
	return m4a, nil
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' {
			return false
		}
	}
	return true
}

// refused says what a file is and what is taken.
func refused(what, hint string) error {
	e := record.Errorf(record.Invalid, "attachment", "the file is %s; photos (JPEG, PNG, WebP, GIF), PDF and sound (MP3, OGG, WAV, M4A, AMR) are taken", what)
	e.Hint = hint
	return e
}
