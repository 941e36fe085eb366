package blob

import (
	"bytes"
	"encoding/binary"
)

// untag checks that a file is the sound that its first bytes promise and takes
// the tags from it that may name a person or a place. It works in place and
// returns what is left. The comments of an OGG file are left: telephones write
// nothing there but the name of the encoder.
func untag(k kind, b []byte) ([]byte, error) {
	switch k {
	case mp3:
		return untagMPEG(b)
	case aac:
		if !frames(b, adtsFrame) {
			return nil, damagedSound("AAC")
		}
		return b, nil
	case amr, amrwb:
		return b, checkAMR(k, b)
	case ogg:
		return b, checkOGG(b)
	case wav:
		return untagWAV(b)
	}
	return b, untagMP4(b)
}

func damagedSound(what string) error {
	return invalid("the file begins like a %s sound file but goes on as something else, or is cut off", what)
}

// frames reports whether b begins with two frames, or is one. size returns a
// frame's length in bytes, 0 for what is none.
func frames(b []byte, size func([]byte) int) bool {
	n := size(b)
	if n == 0 || n > len(b) {
		return false
	}
	return n == len(b) || size(b[n:]) > 0
}

var bitrates = [2][16]int{ // kbit/s of layer III: MPEG 1; MPEG 2 and 2.5
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
}

// mpegFrame returns the length of an MPEG audio layer III frame (ISO/IEC 11172-3
// §2.4.1.3, 13818-3).
func mpegFrame(b []byte) int {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe6 != 0xe2 {
		return 0
	}
	version := b[1] >> 3 & 3 // 3: MPEG 1; 2: MPEG 2; 0: MPEG 2.5
	rate := b[2] >> 2 & 3
	if version == 1 || rate == 3 {
		return 0
	}
	table, hz, factor := 0, []int{44100, 48000, 32000}[rate], 144
	if version != 3 {
		table, hz, factor = 1, hz/2, 72
	}
	if version == 0 {
		hz /= 2
	}
	kbit := bitrates[table][b[2]>>4]
	if kbit == 0 {
		return 0
	}
	return factor*kbit*1000/hz + int(b[2]>>1&1)
}

// adtsFrame returns the length of an AAC frame (ISO/IEC 13818-7 §6.2).
func adtsFrame(b []byte) int {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 || b[2]>>2&15 > 12 {
		return 0
	}
	n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if n < 7 {
		return 0
	}
	return n
}

// untagMPEG drops ID3v2 at the front, ID3v1 and APE at the end.
func untagMPEG(b []byte) ([]byte, error) {
	for len(b) >= 10 && string(b[:3]) == "ID3" {
		n := 10
		for i, c := range b[6:10] {
			if c >= 0x80 {
				return nil, damagedSound("MP3")
			}
			n += int(c) << (7 * (3 - i))
		}
		if b[5]&0x10 != 0 {
			n += 10
		}
		if n > len(b) {
			return nil, damagedSound("MP3")
		}
		b = b[n:]
	}
	b = bytes.TrimLeft(b, "\x00")
	if n := len(b) - 128; n >= 0 && string(b[n:n+3]) == "TAG" {
		b = b[:n]
	}
	if n := len(b) - 32; n >= 0 && string(b[n:n+8]) == "APETAGEX" {
		size := int64(binary.LittleEndian.Uint32(b[n+12:]))
		if b[n+23]&0x80 != 0 { // it has a header, too
			size += 32
		}
		b = b[:max(0, int64(len(b))-size)]
	}
	if !frames(b, mpegFrame) && !frames(b, adtsFrame) {
		return nil, damagedSound("MP3")
	}
	return b, nil
}

var amrSizes = [2][16]int{ // RFC 4867 §5.3: bytes of a frame's speech, -1: not used
	{12, 13, 15, 17, 19, 20, 26, 31, 5, -1, -1, -1, -1, -1, -1, 0},
	{17, 23, 32, 36, 40, 46, 50, 58, 60, 5, -1, -1, -1, -1, 0, 0},
}

func checkAMR(k kind, b []byte) error {
	table, b := amrSizes[0], b[6:]
	if k == amrwb {
		table, b = amrSizes[1], b[3:]
	}
	if !frames(b, func(f []byte) int {
		if len(f) == 0 || f[0]&0x83 != 0 {
			return 0
		}
		return 1 + table[f[0]>>3&15]
	}) {
		return damagedSound("AMR")
	}
	return nil
}

// checkOGG looks at the streams that an OGG file begins with (RFC 3533 §6): all
// of them must be sound.
func checkOGG(b []byte) error {
	for n := 0; ; n++ {
		if len(b) < 27 || string(b[:4]) != "OggS" || b[4] != 0 || len(b) < 27+int(b[26]) {
			return damagedSound("OGG")
		}
		if b[5]&2 == 0 { // not the first page of a stream any more
			if n == 0 {
				return damagedSound("OGG")
			}
			return nil
		}
		size := 27 + int(b[26])
		body := b[size:]
		for _, s := range b[27:size] {
			size += int(s)
		}
		if size > len(b) {
			return damagedSound("OGG")
		}
		sound := false
		for _, head := range []string{"OpusHead", "\x01vorbis", "Speex   ", "\x7fFLAC"} {
			sound = sound || bytes.HasPrefix(body, []byte(head))
		}
		if !sound {
			return refused("a video, or an OGG file with something else than sound", "send the sound alone")
		}
		b = b[size:]
	}
}

// untagWAV blanks every chunk but those that are needed to play the file.
func untagWAV(b []byte) ([]byte, error) {
	format, data := false, false
	i := 12
	for i+8 <= len(b) {
		id := string(b[i : i+4])
		n := int64(binary.LittleEndian.Uint32(b[i+4:]))
		end := int64(i) + 8 + n
		switch id {
		case "fmt ":
			format = n >= 14
		case "data":
			if !format {
				return nil, damagedSound("WAV")
			}
			data = true
			if end > int64(len(b)) { // written by a recorder that could not go back
				return b, nil
			}
		case "fact":
		default:
			copy(b[i:], "JUNK")
			clear(b[i+8 : min(end, int64(len(b)))])
		}
		if end > int64(len(b)) {
			break
		}
		i = int(end + n&1)
	}
	if !format || !data {
		return nil, damagedSound("WAV")
	}
	return b[:min(i, len(b))], nil
}

// untagMP4 blanks the boxes of an MP4 file that hold tags, and refuses one with
// something else than sound in it (ISO/IEC 14496-12).
func untagMP4(b []byte) error {
	var w mp4
	w.boxes(b, 0)
	switch {
	case w.bad || !w.moov:
		return damagedSound("M4A")
	case w.video:
		return refused("a video", "send a photo or the sound alone")
	case !w.sound:
		return refused("an MP4 file without sound", "")
	}
	return nil
}

type mp4 struct{ moov, sound, video, bad bool }

func (w *mp4) boxes(b []byte, depth int) {
	for len(b) >= 8 && !w.bad {
		n, head := uint64(binary.BigEndian.Uint32(b)), 8
		switch n {
		case 0:
			n = uint64(len(b))
		case 1:
			if len(b) < 16 {
				w.bad = true
				return
			}
			n, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if n < uint64(head) || n > uint64(len(b)) {
			w.bad = true
			return
		}
		body := b[head:n]
		switch string(b[4:8]) {
		case "moov":
			w.moov = true
			fallthrough
		case "trak", "mdia":
			if depth < 4 {
				w.boxes(body, depth+1)
			}
		case "hdlr":
			if len(body) >= 12 {
				switch string(body[8:12]) {
				case "soun":
					w.sound = true
				case "vide", "auxv", "pict":
					w.video = true
				}
			}
		case "udta", "meta", "uuid", "free", "skip":
			copy(b[4:], "free")
			clear(body)
		}
		b = b[n:]
	}
}
