package bundle

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"

	"konbit/record"
)

// reader reads from untrusted bytes. After the first thing that is not there or
// cannot be, bad is set and everything reads as zero.
type reader struct {
	b      []byte
	bad    bool
	tables uint64 // values in the tables that were read
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// text reads up to an end mark.
func (r *reader) text() []byte {
	n := bytes.IndexByte(r.b, endMark)
	if n < 0 {
		r.fail()
		return nil
	}
	b := r.take(uint64(n))
	r.take(1)
	return b
}

// unpacker turns columns back into items.
type unpacker struct {
	columns []*column
	shapes  [][]byte
	ring    []byte
	rows    uint64
	sigs    reader
	bits    bitReader
	text    reader
	last    int64
	room    int    // bytes that payloads may still take
	fills   int    // holes that may still be filled
	scratch []byte // the payload under way
	bad     bool
}

// newUnpacker reads shapes and columns.
func newUnpacker(at int64, rows uint64, ring, packed, bits, sigs []byte) (*unpacker, error) {
	r := reader{b: packed}
	u := &unpacker{rows: rows, ring: ring, sigs: reader{b: sigs}, bits: bitReader{b: bits}, last: at, room: MaxUnpacked, fills: MaxUnpacked}
	n := r.uvarint()
	if n > MaxItems {
		return nil, refuse(bomb, "more shapes than items are allowed")
	}
	for i := uint64(0); i < n && !r.bad; i++ {
		u.shapes = append(u.shapes, r.take(r.uvarint()))
	}
	n = r.uvarint()
	if n > maxColumns {
		return nil, refuse(bomb, "more than %d columns", maxColumns)
	}
	for i := uint64(0); i < n && !r.bad; i++ {
		u.columns = append(u.columns, readHeader(&r))
	}
	u.text.b = r.b
	if r.tables > maxTables {
		return nil, refuse(bomb, "more than %d values in tables", maxTables)
	}
	if r.bad || !u.fixed() {
		return nil, refuse(malformed, "its columns cannot be read")
	}
	return u, nil
}

// fixed reports whether the columns that every bundle with items has are what
// they must be.
func (u *unpacker) fixed() bool {
	if u.rows == 0 {
		return len(u.columns) == 0 && len(u.shapes) == 0
	}
	return len(u.shapes) > 0 && len(u.columns) >= firstColumn && u.columns[numberColumn].kind == decimal && u.columns[numberColumn].scale == 0 &&
		u.columns[recordColumn].kind == ident && u.columns[topicColumn].kind == text
}

// items returns all items, and refuses what is left over.
func (u *unpacker) items() ([]Item, error) {
	var items []Item
	for range u.rows {
		it, err := u.item()
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	if len(u.sigs.b) > 0 || len(u.text.b) > 0 || !u.bits.done() {
		return nil, refuse(malformed, "it holds more than its items")
	}
	return items, nil
}

func (u *unpacker) item() (it Item, err error) {
	n := u.index(len(u.shapes))
	if n >= len(u.shapes) || len(u.shapes[n]) == 0 {
		return it, refuse(malformed, "an item has a shape that is not there")
	}
	s := u.shapes[n]
	it.Sort = Sort(s[0] & sortBits)
	if s[0]&^(sortBits|recordBit|wholeBit) != 0 || it.Sort == 0 || it.Sort == Version && s[0]&recordBit != 0 || s[0]&wholeBit != 0 && len(s) > 1 {
		return it, refuse(malformed, "an item has a shape that cannot be")
	}
	it.N = u.number(u.columns[numberColumn])
	if it.Sort == Word {
		it.Topic = string(u.textOf(u.columns[topicColumn]))
	} else if k := u.index(len(u.ring) / keySize); k < len(u.ring)/keySize {
		it.KeyID = hex.EncodeToString(u.ring[k*keySize : (k+1)*keySize])
		it.Sig = bytes.Clone(u.sigs.take(sigSize))
	} else {
		u.bad = true
	}
	if s[0]&recordBit != 0 {
		it.Record = u.ident(u.columns[recordColumn])
		u.bad = u.bad || it.Record.IsZero()
	}
	if s[0]&wholeBit != 0 {
		b := u.text.take(u.text.uvarint())
		err = u.spend(len(b), 0)
		it.Payload = append([]byte{}, b...)
	} else if err = u.join(s[1:], it.Record); err == nil {
		it.Payload = append([]byte{}, u.scratch...)
	}
	if err == nil && (u.bad || u.sigs.bad || u.text.bad) {
		err = refuse(malformed, "an item cannot be put together")
	}
	return it, err
}

// spend counts a payload, and its holes, so that filling them with nothing does
// not go on for ever. No payload that was split has more holes than bytes.
func (u *unpacker) spend(n, holes int) error {
	if n > MaxPayload {
		return refuse(bomb, "an item is longer than %d bytes", MaxPayload)
	}
	u.room -= n
	u.fills -= holes
	if u.room < 0 || u.fills < 0 {
		return refuse(bomb, "it unpacks to more than %d bytes", MaxUnpacked)
	}
	return nil
}

// join fills the holes of a shape.
func (u *unpacker) join(s []byte, own record.ID) error {
	u.scratch = u.scratch[:0]
	r := reader{b: s}
	last, holes := int64(firstColumn-1), 0
	for len(r.b) > 0 && !u.bad {
		n := 0
		for n < len(r.b) && r.b[n] > nextMark {
			n++
		}
		u.scratch = append(u.scratch, r.take(uint64(n))...)
		if len(r.b) == 0 {
			break
		}
		switch r.byte() {
		case nextMark:
			last++
		case holeMark:
			last += unzigzag(r.uvarint())
		default:
			r.fail()
		}
		if last < recordColumn || last == topicColumn || last >= int64(len(u.columns)) || last == recordColumn && own.IsZero() {
			r.fail()
		}
		if r.bad {
			break
		}
		u.fill(u.columns[last], last == recordColumn, own)
		if holes++; holes > maxHoles || len(u.scratch) > MaxPayload {
			break
		}
	}
	if r.bad {
		return refuse(malformed, "a shape cannot be filled")
	}
	if holes > maxHoles {
		return refuse(bomb, "a shape has more than %d holes", maxHoles)
	}
	return u.spend(len(u.scratch), holes)
}

// fill appends a column's next value to the payload.
func (u *unpacker) fill(c *column, isOwn bool, own record.ID) {
	switch {
	case isOwn:
		u.scratch = appendIdent(u.scratch, own)
	case c.kind == text:
		u.scratch = append(u.scratch, u.textOf(c)...)
	case c.kind == ident:
		u.scratch = appendIdent(u.scratch, u.ident(c))
	case c.kind == moment:
		us := u.number(c)
		if us < 0 || us >= endOfTime {
			u.bad = true
			return
		}
		u.last = us
		u.scratch = appendMoment(u.scratch, us)
	default:
		u.scratch = appendDecimal(u.scratch, u.number(c), int(c.scale))
	}
}

// bit reads a number of some bits.
func (u *unpacker) bit(width uint) uint64 {
	v, ok := u.bits.get(width)
	if !ok {
		u.bad = true
	}
	return v
}

// index reads an index into n things.
func (u *unpacker) index(n int) int { return int(u.bit(width(uint64(max(n, 1) - 1)))) }

func (u *unpacker) textOf(c *column) []byte {
	if !c.table {
		return u.text.text()
	}
	i := u.bit(c.width)
	if i >= uint64(len(c.words)) {
		u.bad = true
		return nil
	}
	return c.words[i]
}

func (u *unpacker) ident(c *column) record.ID {
	ms := u.number(c)
	a, b := u.bit(12), u.bit(62)
	if ms < 0 || ms > endOfIdent {
		u.bad = true
		return record.ID{}
	}
	u.last = ms * 1000
	return joinIdent(ms, uint16(a), b)
}

func (u *unpacker) number(c *column) int64 {
	v := int64(uint64(c.base) + u.bit(c.width))
	switch c.from {
	case fromOwn:
		v += c.own
	case fromLast:
		if c.kind == ident {
			v += u.last / 1000
		} else {
			v += u.last
		}
	}
	c.own = v
	return v
}
