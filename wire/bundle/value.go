package bundle

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"konbit/record"
)

// kind says what the values of a column are. Any value that does not have the
// one form that decoding would give back exactly is text.
type kind byte

const (
	text    kind = 0 // bytes
	ident   kind = 1 // UUID of version 7, lower case: milliseconds since 1970, then 74 bits
	moment  kind = 2 // RFC 3339 with "Z" and no needless zeros: microseconds since 1970
	decimal kind = 3 // a number without exponent and needless zeros: an integer over a power of ten
)

// Bounds of what has a form of its own.
const (
	maxScale   = 9                // decimals of a number
	maxWhole   = 1e9              // absolute value of a number
	endOfTime  = 253402300800e6   // the year 10000, in microseconds
	endOfIdent = int64(1)<<48 - 1 // milliseconds of an identifier
)

// parseIdent reads an identifier in its canonical form.
func parseIdent(b []byte) (id record.ID, ok bool) {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[14] != '7' {
		return id, false
	}
	id, err := record.ParseID(string(b))
	if err != nil {
		return id, false
	}
	var again [36]byte
	return id, string(appendIdent(again[:0], id)) == string(b)
}

func appendIdent(b []byte, id record.ID) []byte {
	b = append(hex.AppendEncode(b, id[0:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:16])
}

// splitIdent takes an identifier apart: its time, and the 12 and 62 bits around
// version and variant (RFC 9562 §5.7).
func splitIdent(id record.ID) (ms int64, a uint16, b uint64) {
	ms = int64(binary.BigEndian.Uint64(id[0:8]) >> 16)
	return ms, binary.BigEndian.Uint16(id[6:8]) & 0xfff, binary.BigEndian.Uint64(id[8:16]) & (1<<62 - 1)
}

func joinIdent(ms int64, a uint16, b uint64) (id record.ID) {
	binary.BigEndian.PutUint64(id[0:8], uint64(ms)<<16|0x7000|uint64(a))
	binary.BigEndian.PutUint64(id[8:16], 1<<63|b)
	return id
}

// parseMoment reads a time as encoding/json writes it, in UTC and with at most
// six decimals.
func parseMoment(b []byte) (us int64, ok bool) {
	if len(b) < 20 || len(b) > 27 || b[4] != '-' || b[10] != 'T' || b[len(b)-1] != 'Z' {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return 0, false
	}
	us = t.UnixMicro()
	var again [32]byte
	return us, us >= 0 && us < endOfTime && bytes.Equal(appendMoment(again[:0], us), b)
}

func appendMoment(b []byte, us int64) []byte {
	return time.UnixMicro(us).UTC().AppendFormat(b, time.RFC3339Nano)
}

// parseDecimal reads a number as digits over ten to the power of scale.
func parseDecimal(b []byte) (digits int64, scale int, ok bool) {
	if len(b) > 20 {
		return 0, 0, false
	}
	whole, fraction, _ := bytes.Cut(b, []byte("."))
	if len(fraction) > maxScale {
		return 0, 0, false
	}
	digits, err := strconv.ParseInt(string(whole)+string(fraction), 10, 64)
	scale = len(fraction)
	if err != nil || digits >= pow10[scale]*maxWhole || digits <= -pow10[scale]*maxWhole {
		return 0, 0, false
	}
	var again [32]byte
	return digits, scale, bytes.Equal(appendDecimal(again[:0], digits, scale), b)
}

var pow10 = [maxScale + 1]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// appendDecimal writes v over ten to the power of scale, without zeros at the end.
func appendDecimal(b []byte, v int64, scale int) []byte {
	for ; scale > 0 && v%10 == 0; scale-- {
		v /= 10
	}
	u := uint64(v)
	if v < 0 {
		b, u = append(b, '-'), -u
	}
	p := uint64(pow10[scale])
	b = strconv.AppendUint(b, u/p, 10)
	if scale == 0 {
		return b
	}
	at := len(b)
	b = strconv.AppendUint(b, u%p+p, 10) // a one in front keeps the zeros of the fraction
	b[at] = '.'
	return b
}
