package bundle

import (
	"encoding/binary"
	"encoding/hex"
)

// The columns that every bundle has; those of payloads follow.
const (
	numberColumn = 0 // Item.N
	recordColumn = 1 // Item.Record, and where a payload says the same
	topicColumn  = 2 // Item.Topic
	firstColumn  = 3
)

// Bounds, so that no content costs much more to unpack than it is long. What
// does not fit goes whole, or untabled.
const (
	maxColumns = 2000
	maxHoles   = 50_000  // of one payload
	maxTable   = 1 << 14 // values in the table of a column
	maxTables  = 1 << 18 // values in all tables
)

// The first byte of a shape: the Sort, and these.
const (
	sortBits  = 0x03
	recordBit = 0x04 // the item has a Record
	wholeBit  = 0x08 // the payload was not split
)

// packer turns items into columns.
type packer struct {
	split   *splitter
	columns []*column
	shapes  map[string]int
	order   []shape
	keys    map[string]int
	ring    []byte // 8 bytes of each key
	rows    []row
	sigs    []byte
	last    int64 // the time told last, in microseconds

	// What becomes of them: the texts and what is needed to read the rest, which
	// are worth compressing, and numbers of just so many bits, which are not.
	packed []byte
	text   []byte
	bits   bitWriter
}

// shape is what items have in common.
type shape struct {
	bytes   string
	columns []int32 // of the payload's holes
}

// row is an item while it is packed.
type row struct {
	shape, key int
	whole      []byte
}

// pack takes items apart. at is the time from which the first time is counted, in
// microseconds.
func pack(at int64, items []Item) *packer {
	p := &packer{split: newSplitter(), shapes: map[string]int{}, keys: map[string]int{}, last: at}
	for i := range items {
		p.add(&items[i])
	}
	tables := 0
	for _, c := range p.columns {
		c.plan()
		if tables += len(c.words); tables > maxTables {
			c.table = false
			tables -= len(c.words)
		}
	}
	// The headers are written before the values: own moves with them.
	p.packed = p.head()
	for i := range p.rows {
		p.write(&p.rows[i])
	}
	p.packed = append(p.packed, p.text...)
	return p
}

// add takes one item apart.
func (p *packer) add(it *Item) {
	var r row
	first := byte(it.Sort)
	p.put(hole{column: numberColumn, kind: decimal, number: it.N})
	if it.Sort == Word {
		p.put(hole{column: topicColumn, kind: text, text: []byte(it.Topic)})
	} else {
		r.key = p.key(it.KeyID)
		p.sigs = append(p.sigs, it.Sig...)
	}
	if !it.Record.IsZero() {
		first |= recordBit
		ms, a, b := splitIdent(it.Record)
		p.put(hole{column: recordColumn, kind: ident, number: ms, a: a, b: b})
	}
	if p.split.split(it.Payload, it.Record) {
		r.shape = p.shape(first, p.split.shape, p.split.holes)
		for _, h := range p.split.holes {
			p.put(h)
		}
	} else {
		r.shape = p.shape(first|wholeBit, nil, nil)
		r.whole = it.Payload
	}
	p.rows = append(p.rows, r)
}

func (p *packer) key(id string) int {
	k, ok := p.keys[id]
	if !ok {
		k = len(p.keys)
		p.keys[id] = k
		p.ring, _ = hex.AppendDecode(p.ring, []byte(id)) // Seal has checked it
	}
	return k
}

func (p *packer) shape(first byte, rest []byte, holes []hole) int {
	b := append([]byte{first}, rest...)
	n, ok := p.shapes[string(b)]
	if !ok {
		n = len(p.order)
		s := shape{bytes: string(b)}
		for _, h := range holes {
			s.columns = append(s.columns, h.column)
		}
		p.shapes[s.bytes] = n
		p.order = append(p.order, s)
	}
	return n
}

// put appends a value to its column.
func (p *packer) put(h hole) {
	for len(p.columns) < len(p.split.kinds) {
		p.columns = append(p.columns, &column{kind: p.split.kinds[len(p.columns)]})
	}
	c := p.columns[h.column]
	c.holes = append(c.holes, h)
	switch h.kind {
	case ident:
		c.lasts = append(c.lasts, p.last/1000)
		p.last = h.number * 1000
	case moment:
		c.lasts = append(c.lasts, p.last)
		p.last = h.number
	}
}

// write writes the values of one item. Unpacking reads them in this order.
func (p *packer) write(r *row) {
	s := &p.order[r.shape]
	p.bits.put(uint64(r.shape), width(uint64(len(p.order)-1)))
	p.value(numberColumn)
	if Sort(s.bytes[0]&sortBits) == Word {
		p.value(topicColumn)
	} else {
		p.bits.put(uint64(r.key), width(uint64(len(p.keys)-1)))
	}
	if s.bytes[0]&recordBit != 0 {
		p.value(recordColumn)
	}
	for _, c := range s.columns {
		p.value(c)
	}
	if s.bytes[0]&wholeBit != 0 {
		p.text = append(binary.AppendUvarint(p.text, uint64(len(r.whole))), r.whole...)
	}
}

// value writes the next value of a column.
func (p *packer) value(column int32) {
	c := p.columns[column]
	h := &c.holes[c.next]
	c.next++
	switch {
	case c.kind != text:
		p.number(c, h)
	case c.table:
		p.bits.put(c.index[string(h.text)], c.width)
	default:
		p.text = append(append(p.text, h.text...), endMark)
	}
}

func (p *packer) number(c *column, h *hole) {
	last := int64(0)
	if c.lasts != nil {
		last = c.lasts[c.next-1]
	}
	v := c.residue(c.from, h.number, c.own, last)
	c.own = h.number
	p.bits.put(uint64(v)-uint64(c.base), c.width)
	if c.kind == ident {
		p.bits.put(uint64(h.a), 12)
		p.bits.put(h.b, 62)
	}
}

// head returns shapes and columns, which tell how to read the values.
func (p *packer) head() []byte {
	b := binary.AppendUvarint(nil, uint64(len(p.order)))
	for _, s := range p.order {
		b = append(binary.AppendUvarint(b, uint64(len(s.bytes))), s.bytes...)
	}
	b = binary.AppendUvarint(b, uint64(len(p.columns)))
	for _, c := range p.columns {
		b = c.appendHeader(b)
	}
	return b
}
