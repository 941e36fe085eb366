package bundle

import (
	"encoding/binary"
	"math"
)

// What the numbers of a column are counted from.
const (
	fromZero = 0
	fromOwn  = 1 // the number before in the column
	fromLast = 2 // the time that was told last, by whatever column
)

// The first byte of a column's header: two bits of kind, then these.
const (
	tableBit  = 1 << 2 // of text: the values are told once, then by their index
	fromShift = 2      // of the others: one of fromZero, fromOwn, fromLast
)

// column is one column while a bundle is packed or unpacked.
type column struct {
	kind  kind
	table bool     // of text
	width uint     // bits of an index of the table, or of a number above base
	from  byte     // of numbers
	scale uint8    // of decimals
	base  int64    // least of what the numbers are stored as
	own   int64    // the number before in the column
	words [][]byte // the table

	// While packing.
	holes []hole
	lasts []int64           // for each hole, the time told before it, in the column's unit
	next  int               // hole that is to be written next
	index map[string]uint64 // into the table
}

// residue is what a number is stored as, before base.
func (c *column) residue(from byte, v, own, last int64) int64 {
	switch from {
	case fromOwn:
		return v - own
	case fromLast:
		return v - last
	}
	return v
}

// plan decides how the column is written.
func (c *column) plan() {
	switch {
	case len(c.holes) == 0:
		return
	case c.kind == text:
		c.planText()
		return
	case c.kind == decimal:
		for _, h := range c.holes {
			c.scale = max(c.scale, h.scale)
		}
		for i, h := range c.holes {
			c.holes[i].number *= pow10[c.scale-h.scale]
		}
	}
	c.own = c.holes[0].number
	best := c.planNumbers(fromZero, math.MaxUint)
	best = c.planNumbers(fromOwn, best)
	if c.lasts != nil {
		c.planNumbers(fromLast, best)
	}
}

// planNumbers counts the bits that the numbers cost when they are counted from
// from, and chooses that when it is the best until now.
func (c *column) planNumbers(from byte, best uint) uint {
	lo, hi, own, last := int64(math.MaxInt64), int64(math.MinInt64), c.own, int64(0)
	for i, h := range c.holes {
		if c.lasts != nil {
			last = c.lasts[i]
		}
		v := c.residue(from, h.number, own, last)
		own, lo, hi = h.number, min(lo, v), max(hi, v)
	}
	w := width(uint64(hi) - uint64(lo))
	cost := uint(len(c.holes))*w + width(zigzag(lo))
	if from == fromOwn {
		cost += width(zigzag(c.own))
	}
	if cost < best {
		c.from, c.base, c.width = from, lo, w
		return cost
	}
	return best
}

// Repeating a text costs zstd about so many bytes; an index must be cheaper.
const repeatCost = 2.5

func (c *column) planText() {
	index := map[string]uint64{}
	var words [][]byte
	for _, h := range c.holes {
		if _, ok := index[string(h.text)]; ok {
			continue
		}
		if len(words) == maxTable {
			return
		}
		index[string(h.text)] = uint64(len(words))
		words = append(words, h.text)
	}
	n, w := len(c.holes), width(uint64(len(words)-1))
	if float64(n)*float64(w)/8 < repeatCost*float64(n-len(words)) {
		c.table, c.width, c.words, c.index = true, w, words, index
	}
}

// appendHeader writes what unpacking has to know.
func (c *column) appendHeader(b []byte) []byte {
	if c.kind == text {
		if !c.table {
			return append(b, byte(text))
		}
		b = binary.AppendUvarint(append(b, byte(text)|tableBit), uint64(len(c.words)))
		for _, w := range c.words {
			b = append(append(b, w...), endMark)
		}
		return b
	}
	b = append(b, byte(c.kind)|c.from<<fromShift)
	if c.kind == decimal {
		b = append(b, c.scale)
	}
	if c.from == fromOwn {
		b = binary.AppendUvarint(b, zigzag(c.own))
	}
	return append(binary.AppendUvarint(b, zigzag(c.base)), byte(c.width))
}

// readHeader reads what appendHeader wrote.
func readHeader(r *reader) *column {
	first := r.byte()
	c := &column{kind: kind(first & 3)}
	if c.kind == text {
		c.table = first&tableBit != 0
		if first&^(3|tableBit) != 0 {
			r.fail()
		}
		if c.table {
			c.readTable(r)
		}
		return c
	}
	c.from = first >> fromShift
	if c.from > fromLast || c.from == fromLast && c.kind == decimal {
		r.fail()
	}
	if c.kind == decimal {
		if c.scale = r.byte(); c.scale > maxScale {
			r.fail()
		}
	}
	if c.from == fromOwn {
		c.own = unzigzag(r.uvarint())
	}
	c.base = unzigzag(r.uvarint())
	if c.width = uint(r.byte()); c.width > 64 {
		r.fail()
	}
	return c
}

func (c *column) readTable(r *reader) {
	n := r.uvarint()
	if r.tables += n; n == 0 || n > maxTable || r.tables > maxTables {
		r.fail()
		return
	}
	c.width = width(n - 1)
	for range n {
		c.words = append(c.words, r.text())
	}
}
