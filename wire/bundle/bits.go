package bundle

import "math/bits"

// bitWriter appends numbers of some bits each, the lowest bit first.
type bitWriter struct {
	b   []byte
	acc uint64
	n   uint // bits in acc, under 8 between calls
}

// put appends the lowest width bits of v; width is at most 64.
func (w *bitWriter) put(v uint64, width uint) {
	if width > 32 {
		w.put(v&(1<<32-1), 32)
		v, width = v>>32, width-32
	}
	w.acc |= (v & (1<<width - 1)) << w.n
	w.n += width
	for w.n >= 8 {
		w.b = append(w.b, byte(w.acc))
		w.acc >>= 8
		w.n -= 8
	}
}

// bytes returns what was put, filled up with zero bits to a whole byte.
func (w *bitWriter) bytes() []byte {
	if w.n > 0 {
		return append(w.b, byte(w.acc))
	}
	return w.b
}

// bitReader reads what a bitWriter wrote.
type bitReader struct {
	b   []byte
	acc uint64
	n   uint
}

// get returns a number of width bits, at most 64; ok is false at the end.
func (r *bitReader) get(width uint) (v uint64, ok bool) {
	if width > 32 {
		low, ok := r.get(32)
		if !ok {
			return 0, false
		}
		high, ok := r.get(width - 32)
		return high<<32 | low, ok
	}
	for r.n < width {
		if len(r.b) == 0 {
			return 0, false
		}
		r.acc |= uint64(r.b[0]) << r.n
		r.b = r.b[1:]
		r.n += 8
	}
	v = r.acc & (1<<width - 1)
	r.acc >>= width
	r.n -= width
	return v, true
}

// done reports whether nothing but the filling is left.
func (r *bitReader) done() bool { return len(r.b) == 0 && r.n < 8 && r.acc == 0 }

func width(v uint64) uint { return uint(bits.Len64(v)) }

// zigzag makes numbers near zero, of either sign, small.
func zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }
