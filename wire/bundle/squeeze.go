package bundle

import (
	"bytes"
	_ "embed"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// dictionary is what zstd takes as said before: the shape of a record's header,
// so that a bundle of one record need not say it.
//
//go:embed dictionary
var dictionary []byte

// maxWindow is the most history that unpacking keeps (RFC 8878 §3.1.1.1.2).
const maxWindow = 4 << 20

// The tools of zstd hold tables of some megabytes and nothing of what went through them.
var (
	squeezer = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(2),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(maxWindow), zstd.WithEncoderDictRaw(0, dictionary))
	})
	unsqueezers = sync.Pool{}
)

func squeeze(b []byte) ([]byte, error) {
	e, err := squeezer()
	if err != nil {
		return nil, err
	}
	return e.EncodeAll(b, nil), nil
}

// unsqueeze undoes squeeze, as far as MaxUnpacked. It grows as it unpacks, and
// believes no length that the frame says.
func unsqueeze(b []byte) ([]byte, error) {
	d, _ := unsqueezers.Get().(*zstd.Decoder)
	if d == nil {
		var err error
		d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(MaxUnpacked), zstd.WithDecoderDictRaw(0, dictionary))
		if err != nil {
			return nil, err
		}
	}
	defer func() {
		if d.Reset(nil) == nil { // lets go of b
			unsqueezers.Put(d)
		}
	}()
	if err := d.Reset(bytes.NewReader(b)); err != nil {
		return nil, because(err, malformed, "it cannot be unpacked")
	}
	out := make([]byte, 0, 32<<10)
	for {
		n, err := d.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > MaxUnpacked, errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
			return nil, because(err, bomb, "it unpacks to more than %d bytes", MaxUnpacked)
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, because(err, malformed, "it cannot be unpacked")
		case len(out) == cap(out):
			out = append(make([]byte, 0, min(2*cap(out), MaxUnpacked+1)), out...)
		}
	}
}
