package record

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// ID is a UUID of version 7 (RFC 9562 §5.7): made by whoever makes the record,
// so that a retry after a lost answer names the same record.
type ID [16]byte

// NewID makes an ID for the given time, milliseconds precise.
func NewID(now time.Time) ID {
	var id ID
	rand.Read(id[6:])
	ms := uint64(now.UnixMilli())
	id[0], id[1], id[2], id[3], id[4], id[5] = byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms)
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero reports whether id is the zero value, which names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the canonical text form, 36 characters, lower case.
func (id ID) String() string {
	b, _ := id.MarshalText()
	return string(b)
}

// MarshalText writes the canonical text form.
func (id ID) MarshalText() ([]byte, error) {
	b := make([]byte, 36)
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return b, nil
}

// UnmarshalText reads what ParseID reads.
func (id *ID) UnmarshalText(b []byte) error {
	v, err := ParseID(string(b))
	if err == nil {
		*id = v
	}
	return err
}

// ParseID reads the canonical form of a UUID of version 7. Other versions are
// refused: their order says nothing about time.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, fmt.Errorf("%.40q is not a UUID", s)
	}
	j := 0
	for _, part := range [...]string{s[0:8], s[9:13], s[14:18], s[19:23], s[24:36]} {
		n, err := hex.Decode(id[j:], []byte(part))
		if err != nil {
			return ID{}, fmt.Errorf("%.40q is not a UUID", s)
		}
		j += n
	}
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		return ID{}, fmt.Errorf("%s is not a UUID of version 7", s)
	}
	return id, nil
}
