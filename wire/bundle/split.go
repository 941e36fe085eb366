package bundle

import (
	"bytes"
	"encoding/binary"

	"konbit/record"
)

// Marks in a shape. No JSON text holds these bytes, inside of strings or out.
const (
	endMark  = 0x00 // ends a text
	holeMark = 0x01 // a value stands here; how far its column is from the last one follows
	nextMark = 0x02 // a value stands here, of the column after the last one
)

// hole is a value that was taken out of a payload.
type hole struct {
	column int32
	kind   kind
	scale  uint8  // of a decimal
	a      uint16 // of an identifier, see splitIdent
	b      uint64
	number int64  // of an identifier, a moment or a decimal
	text   []byte // of a text
}

// splitter takes payloads apart into a shape, which many of them share, and the
// values that fill its holes. It need not understand a payload: wherever it
// cuts, joining gives the same bytes back. Where a value stands in the JSON text
// only decides about its column, so that like is with like.
type splitter struct {
	paths map[path]int32 // to columns, and to levels
	kinds []kind         // of each column
	nodes int32          // numbers that were given to levels
	stack []level        // the arrays and objects around the cursor
	shape []byte         // of the payload that was split last
	holes []hole         // of the payload that was split last
	last  int32          // column of the last hole
}

// path is a step from one level of a JSON text to a value in it.
type path struct {
	from int32  // number of the level
	key  string // of the member; of an element its index, counted to 3
	kind kind   // of the value
}

const within kind = 255 // in a path: the value is an array or an object

type level struct {
	node  int32
	index int    // of the element, counted to 3; -1 in an object
	key   []byte // of the member
}

var indexes = [...]string{"0", "1", "2", "3"}

// maxDepth is how deep a payload may nest before it goes whole.
const maxDepth = 64

func newSplitter() *splitter {
	return &splitter{paths: map[path]int32{}, kinds: []kind{decimal, ident, text}}
}

// split takes one payload apart. It is false when the payload has to go whole.
func (s *splitter) split(b []byte, own record.ID) bool {
	s.shape, s.holes, s.stack, s.last = s.shape[:0], s.holes[:0], append(s.stack[:0], level{index: -1}), firstColumn-1
	for i := 0; i < len(b); {
		n, ok := 1, true
		switch c := b[i]; {
		case c == '"':
			if n = stringEnd(b[i:]); n == 0 {
				return false
			}
			if in := b[i+1 : i+n-1]; i+n < len(b) && b[i+n] == ':' {
				s.top().key = in
				ok = s.literal(b[i : i+n])
			} else {
				s.shape = append(s.shape, '"')
				ok = s.string(in, own)
				s.shape = append(s.shape, '"')
			}
		case c == '-' || c >= '0' && c <= '9':
			n = numberEnd(b[i:])
			ok = s.number(b[i : i+n])
		default:
			ok = s.structure(c)
		}
		if !ok || len(s.holes) > maxHoles {
			return false
		}
		i += n
	}
	return true
}

// stringEnd returns how long the string at the beginning of b is, quotes
// counted; 0: it does not end.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return 0
}

func numberEnd(b []byte) int {
	for i, c := range b {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return i
		}
	}
	return len(b)
}

func (s *splitter) top() *level { return &s.stack[len(s.stack)-1] }

// structure takes one byte outside of strings and numbers.
func (s *splitter) structure(c byte) bool {
	switch c {
	case '{', '[':
		if len(s.stack) > maxDepth || s.nodes > maxColumns {
			return false
		}
		n, ok := s.find(within)
		if !ok {
			s.nodes++
			n = s.nodes
			s.note(within, n)
		}
		l := level{node: n, index: -1}
		if c == '[' {
			l.index = 0
		}
		s.stack = append(s.stack, l)
	case '}', ']':
		if len(s.stack) > 1 {
			s.stack = s.stack[:len(s.stack)-1]
		}
	case ',':
		if t := s.top(); t.index >= 0 && t.index < len(indexes)-1 {
			t.index++
		}
	case endMark, holeMark, nextMark:
		return false
	}
	s.shape = append(s.shape, c)
	return true
}

func (s *splitter) literal(b []byte) bool {
	for _, c := range b {
		if c <= nextMark {
			return false
		}
	}
	s.shape = append(s.shape, b...)
	return true
}

func (s *splitter) string(b []byte, own record.ID) bool {
	if id, ok := parseIdent(b); ok {
		if id == own {
			s.mark(recordColumn)
			return true
		}
		ms, x, y := splitIdent(id)
		return s.add(hole{kind: ident, number: ms, a: x, b: y})
	}
	if us, ok := parseMoment(b); ok {
		return s.add(hole{kind: moment, number: us})
	}
	return bytes.IndexByte(b, endMark) < 0 && s.add(hole{kind: text, text: b})
}

func (s *splitter) number(b []byte) bool {
	if v, scale, ok := parseDecimal(b); ok {
		return s.add(hole{kind: decimal, number: v, scale: uint8(scale)})
	}
	return s.add(hole{kind: text, text: b})
}

// add puts a hole into the shape.
func (s *splitter) add(h hole) bool {
	c, ok := s.find(h.kind)
	if !ok {
		if c = int32(len(s.kinds)); c >= maxColumns {
			return false
		}
		s.kinds = append(s.kinds, h.kind)
		s.note(h.kind, c)
	}
	h.column = c
	s.mark(c)
	s.holes = append(s.holes, h)
	return true
}

func (s *splitter) mark(column int32) {
	if column == s.last+1 {
		s.shape = append(s.shape, nextMark)
	} else {
		s.shape = binary.AppendUvarint(append(s.shape, holeMark), zigzag(int64(column-s.last)))
	}
	s.last = column
}

// find returns the number for a value or a level at the cursor.
func (s *splitter) find(k kind) (n int32, ok bool) {
	t := s.top()
	if t.index >= 0 {
		n, ok = s.paths[path{t.node, indexes[t.index], k}]
	} else {
		n, ok = s.paths[path{t.node, string(t.key), k}]
	}
	return n, ok
}

func (s *splitter) note(k kind, n int32) {
	t := s.top()
	key := string(t.key)
	if t.index >= 0 {
		key = indexes[t.index]
	}
	s.paths[path{t.node, key, k}] = n
}
