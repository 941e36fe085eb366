package blob

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"golang.org/x/image/webp"

	"konbit/record"
)

const (
	maxPixels  = 40_000_000
	maxSide    = 32_768    // pixels, of what comes in
	maxDecoded = 200 << 20 // bytes that decoding may take
	keptSide   = 4096      // pixels, of what is stored
	thumbSide  = 320
)

// stored is an image after it was encoded anew.
type stored struct {
	file          *os.File
	typ           string
	size          int64
	width, height int
	thumb         []byte
}

// picture decodes an image and encodes it anew: turned as its EXIF orientation
// says, with no metadata, JPEG or, where it has transparency, PNG. Its size is
// judged by its header before anything is decoded.
func (s *Store) picture(ctx context.Context, k kind, f *os.File) (*stored, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, broken("attachment", err)
	}
	b, err := whole(f, st.Size())
	if err != nil {
		return nil, broken("attachment", err)
	}
	cost, err := measure(k, b)
	if err != nil {
		return nil, err
	}
	if cost > 32<<20 {
		defer debug.FreeOSMemory() // a node on a small computer cannot wait for the collector
	}
	img, err := decode(ctx, k, b)
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "img-")
	if err != nil {
		return nil, broken("attachment", err)
	}
	p := &stored{file: out, typ: string(jpg), width: img.Rect.Dx(), height: img.Rect.Dy()}
	if img.Opaque() {
		err = jpeg.Encode(out, img, &jpeg.Options{Quality: 85})
	} else {
		p.typ = string(pngs)
		err = png.Encode(out, img)
	}
	if err == nil {
		p.thumb, err = thumbnail(img)
	}
	if err == nil {
		p.size, err = out.Seek(0, io.SeekEnd)
	}
	if err != nil {
		out.Close()
		os.Remove(out.Name())
		return nil, broken("attachment", err)
	}
	return p, nil
}

// config reads an image's header.
func config(k kind, b []byte) (image.Config, error) {
	r := bytes.NewReader(b)
	switch k {
	case jpg:
		return jpeg.DecodeConfig(r)
	case pngs:
		return png.DecodeConfig(r)
	case gifs:
		return gif.DecodeConfig(r)
	}
	return webp.DecodeConfig(r)
}

// measure returns how many bytes decoding will take at most, and refuses what is
// too much.
func measure(k kind, b []byte) (int64, error) {
	c, err := guard(func() (image.Config, error) { return config(k, b) })
	if err != nil {
		return 0, damaged(k, err)
	}
	if c.Width <= 0 || c.Height <= 0 {
		return 0, damaged(k, errors.New("it has no pixels"))
	}
	if c.Width > maxSide || c.Height > maxSide || int64(c.Width)*int64(c.Height) > maxPixels {
		return 0, record.Errorf(record.TooLarge, "attachment", "the image has %d by %d pixels; at most 40 million are taken, 32,768 on a side", c.Width, c.Height)
	}
	px := int64(c.Width) * int64(c.Height)
	var cost int64
	switch {
	case k == jpg:
		cost = jpegCost(b, px)
	case k == gifs:
		cost = px
	case k == webps && c.ColorModel == color.NRGBAModel: // lossless
		cost = 8 * px
	case k == webps:
		cost = 3 * px
	default:
		cost = 4 * px
		if m := c.ColorModel; m == color.RGBA64Model || m == color.NRGBA64Model || m == color.Gray16Model {
			cost = 8 * px
		}
		if len(b) > 28 && b[28] != 0 { // interlaced: a second picture for the largest pass
			cost += cost / 2
		}
	}
	if cost > maxDecoded {
		e := record.Errorf(record.TooLarge, "attachment", "the image has %d by %d pixels, in a form that takes too much memory to look at", c.Width, c.Height)
		e.Hint = "save it smaller, or as an ordinary JPEG (baseline, not progressive)"
		return 0, e
	}
	return cost, nil
}

// decode returns the picture as it is to be seen, at most keptSide pixels long.
func decode(ctx context.Context, k kind, b []byte) (*image.RGBA, error) {
	src, err := guard(func() (image.Image, error) {
		r := &canceled{ctx, bytes.NewReader(b)}
		switch k {
		case jpg:
			return jpeg.Decode(r)
		case pngs:
			return png.Decode(r)
		case gifs:
			return gif.Decode(r)
		}
		return webp.Decode(r)
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, damaged(k, err)
	}
	w, h := fit(src.Bounds().Dx(), src.Bounds().Dy(), keptSide)
	if w == 0 || h == 0 {
		return nil, damaged(k, errors.New("it has no pixels"))
	}
	return orient(shrink(src, w, h), orientation(exif(k, b))), nil
}

// guard turns a decoder's panic into an error: a picture made to break one must
// not end the node.
func guard[T any](fn func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the decoder gave up")
		}
	}()
	return fn()
}

func damaged(k kind, err error) error {
	msg := "the image is damaged and cannot be read"
	if k == webps {
		msg = "the WebP image is damaged or moves; a still one is taken"
	}
	return &record.Error{Code: record.Invalid, Op: "attachment", Message: msg, Err: err}
}

// fit returns the size of a w by h picture whose longest side is at most limit.
func fit(w, h, limit int) (int, int) {
	switch {
	case w <= limit && h <= limit:
		return w, h
	case w >= h:
		return limit, max(1, h*limit/w)
	}
	return max(1, w*limit/h), limit
}

// shrink draws src at the given size, not larger than its own, each pixel the
// mean of those that it stands for. It needs one row beside the result.
func shrink(src image.Image, w, h int) *image.RGBA {
	b := src.Bounds()
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	if w == b.Dx() && h == b.Dy() {
		draw.Draw(dst, dst.Rect, src, b.Min, draw.Src)
		return dst
	}
	row := image.NewRGBA(image.Rect(0, 0, b.Dx(), 1))
	sums := make([]uint64, 4*w)
	edge := make([]int, w+1)
	for x := range edge {
		edge[x] = x * b.Dx() / w
	}
	for y := range h {
		clear(sums)
		from, to := y*b.Dy()/h, (y+1)*b.Dy()/h
		for sy := from; sy < to; sy++ {
			draw.Draw(row, row.Rect, src, image.Pt(b.Min.X, b.Min.Y+sy), draw.Src)
			for x := range w {
				s := sums[4*x : 4*x+4 : 4*x+4]
				for p := row.Pix[4*edge[x] : 4*edge[x+1]]; len(p) >= 4; p = p[4:] {
					s[0] += uint64(p[0])
					s[1] += uint64(p[1])
					s[2] += uint64(p[2])
					s[3] += uint64(p[3])
				}
			}
		}
		out := dst.Pix[y*dst.Stride:]
		for x := range w {
			n := uint64((edge[x+1] - edge[x]) * (to - from))
			for c := range 4 {
				out[4*x+c] = uint8((sums[4*x+c] + n/2) / n)
			}
		}
	}
	return dst
}

// thumbnail makes the small JPEG, on white.
func thumbnail(img *image.RGBA) ([]byte, error) {
	w, h := fit(img.Rect.Dx(), img.Rect.Dy(), thumbSide)
	small := shrink(img, w, h)
	on := image.NewRGBA(small.Rect)
	draw.Draw(on, on.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(on, on.Rect, small, image.Point{}, draw.Over)
	var out bytes.Buffer
	err := jpeg.Encode(&out, on, &jpeg.Options{Quality: 75})
	return out.Bytes(), err
}

// orient turns and mirrors a picture as EXIF orientation o says (EXIF 2.32
// §4.6.4 A, tag 0x0112): 1 is upright.
func orient(src *image.RGBA, o int) *image.RGBA {
	if o < 2 || o > 8 {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	dw, dh := w, h
	if o >= 5 {
		dw, dh = h, w
	}
	dst := image.NewRGBA(image.Rect(0, 0, dw, dh))
	for y := range h {
		for x := range w {
			tx, ty := x, y
			switch o {
			case 2:
				tx = w - 1 - x
			case 3:
				tx, ty = w-1-x, h-1-y
			case 4:
				ty = h - 1 - y
			case 5:
				tx, ty = y, x
			case 6:
				tx, ty = h-1-y, x
			case 7:
				tx, ty = h-1-y, w-1-x
			case 8:
				tx, ty = y, w-1-x
			}
			copy(dst.Pix[ty*dst.Stride+4*tx:][:4], src.Pix[y*src.Stride+4*x:][:4])
		}
	}
	return dst
}

// segments walks the marker segments of a JPEG (ITU-T T.81 §B.1) up to the first
// scan.
func segments(b []byte, fn func(marker byte, data []byte) bool) {
	for i := 2; i+4 <= len(b); {
		if b[i] != 0xff {
			i++
			continue
		}
		m := b[i+1]
		switch {
		case m == 0xff:
			i++
			continue
		case m == 0xda, m == 0xd9:
			return
		case m == 0x00, m == 0x01, m >= 0xd0 && m <= 0xd8:
			i += 2
			continue
		}
		n := int(binary.BigEndian.Uint16(b[i+2:]))
		if n < 2 || i+2+n > len(b) || !fn(m, b[i+4:i+2+n]) {
			return
		}
		i += 2 + n
	}
}

// jpegCost estimates what decoding a JPEG takes: a byte for each sample, four
// more for its coefficient when it is progressive, four for each pixel when it
// is to be converted.
func jpegCost(b []byte, px int64) int64 {
	cost := 15 * px // no frame header found: the worst
	segments(b, func(m byte, d []byte) bool {
		if m < 0xc0 || m > 0xcf || m == 0xc4 || m == 0xc8 || m == 0xcc {
			return true
		}
		if len(d) < 6 || len(d) < 6+3*int(d[5]) {
			return false
		}
		n := int(d[5])
		var all, most int64
		for i := range n {
			s := int64(d[7+3*i]>>4) * int64(d[7+3*i]&15)
			all, most = all+s, max(most, s)
		}
		if most == 0 {
			return false
		}
		samples := (px*all + most - 1) / most
		cost = samples
		if m == 0xc2 {
			cost += 4 * samples
		}
		if n == 4 {
			cost += 4 * px
		}
		return false
	})
	return cost
}

// exif returns the TIFF structure of an image's EXIF block, nil when it has none.
func exif(k kind, b []byte) (tiff []byte) {
	switch k {
	case jpg:
		segments(b, func(m byte, d []byte) bool {
			if m == 0xe1 && bytes.HasPrefix(d, []byte("Exif\x00\x00")) {
				tiff = d[6:]
			}
			return tiff == nil
		})
	case pngs:
		for i := 8; i+12 <= len(b); {
			n := int64(binary.BigEndian.Uint32(b[i:]))
			if int64(i)+12+n > int64(len(b)) {
				break
			}
			if string(b[i+4:i+8]) == "eXIf" {
				return b[i+8 : i+8+int(n)]
			}
			i += 12 + int(n)
		}
	case webps:
		for i := 12; i+8 <= len(b); {
			n := int64(binary.LittleEndian.Uint32(b[i+4:]))
			if int64(i)+8+n > int64(len(b)) {
				break
			}
			if string(b[i:i+4]) == "EXIF" {
				return bytes.TrimPrefix(b[i+8:i+8+int(n)], []byte("Exif\x00\x00"))
			}
			i += 8 + int(n+n&1)
		}
	}
	return tiff
}

// orientation reads tag 0x0112 from the first directory of a TIFF structure
// (TIFF 6.0 §2); 1 when it is not there.
func orientation(t []byte) int {
	if len(t) < 8 {
		return 1
	}
	var o binary.ByteOrder = binary.BigEndian
	if string(t[:2]) == "II" {
		o = binary.LittleEndian
	} else if string(t[:2]) != "MM" {
		return 1
	}
	at := int64(o.Uint32(t[4:]))
	if at+2 > int64(len(t)) {
		return 1
	}
	n := int64(o.Uint16(t[at:]))
	for e := at + 2; n > 0 && e+12 <= int64(len(t)); e, n = e+12, n-1 {
		if o.Uint16(t[e:]) == 0x0112 && o.Uint16(t[e+2:]) == 3 {
			return int(o.Uint16(t[e+8:]))
		}
	}
	return 1
}
