package peer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"

	"konbit/record"
	"konbit/wire/bundle"
)

// frameType says what a frame of a link holds.
type frameType uint8

// The types of frames. A type that is not known is skipped, so that a newer node
// can talk to an older one.
const (
	frameBundle      frameType = 1  // a piece of a bundle: lane u8, 1 when more follows else 0, bytes
	frameTaken       frameType = 2  // u64: bytes of pieces that were dealt with on this connection
	frameReceipt     frameType = 3  // a signed Receipt, of whoever, for whomever
	frameStored      frameType = 4  // storedWord: what a hub keeps of a stream
	frameGap         frameType = 5  // gapWord: a bundle began after what was applied
	frameRefused     frameType = 6  // refusedWord: a bundle was not taken
	frameCard        frameType = 7  // a signed card
	frameDirectory   frameType = 8  // a signed directory
	frameBeat        frameType = 9  // nothing but a sign of life
	frameUrgentEmpty frameType = 10 // nothing urgent waits here any more for who reads this
	framePresent     frameType = 11 // presentWord: who is connected to a hub now
)

// Bounds of the wire.
const (
	maxPiece  = 256 << 10                // bytes of a bundle in one frame
	maxBundle = bundle.MaxSealed + 4<<10 // a whole bundle: the sealed part and a header
	frameHead = 5                        // type u8, length u32 big-endian
	pieceHead = 2
)

// maxFrame says how long a frame may be, without its head.
func (t frameType) max() int {
	switch t {
	case frameBundle:
		return maxPiece + pieceHead
	case frameTaken:
		return 8
	case frameReceipt:
		return 16 << 10
	case frameCard:
		return 1 << 20
	case frameDirectory:
		return 8 << 20
	case frameBeat, frameUrgentEmpty:
		return 64
	}
	return 64 << 10
}

// storedWord says that a hub keeps the numbers in (After, UpTo] of a lane of the
// stream from From to To, without a gap.
type storedWord struct {
	From  string      `json:"from"`
	To    string      `json:"to"`
	Lane  bundle.Lane `json:"lane"`
	After int64       `json:"after"`
	UpTo  int64       `json:"upTo"`
}

// gapWord says that To has applied up to Have of that lane, and got what comes later.
type gapWord struct {
	From string      `json:"from"`
	To   string      `json:"to"`
	Lane bundle.Lane `json:"lane"`
	Have int64       `json:"have"`
}

// refusedWord says why a bundle was not taken.
type refusedWord struct {
	From   string      `json:"from"`
	To     string      `json:"to"`
	Lane   bundle.Lane `json:"lane"`
	After  int64       `json:"after"`
	Reason string      `json:"reason"` // full, not-carried, forged ...
	Text   string      `json:"text"`
}

// presentWord lists the nodes that are connected to a hub.
type presentWord struct {
	Here []string `json:"here"`
}

// frame encodes a frame.
func frame(t frameType, payload []byte) []byte {
	b := make([]byte, frameHead, frameHead+len(payload))
	b[0] = byte(t)
	binary.BigEndian.PutUint32(b[1:], uint32(len(payload)))
	return append(b, payload...)
}

// pieceFrame encodes a piece of a bundle.
func pieceFrame(lane bundle.Lane, more bool, piece []byte) []byte {
	b := make([]byte, frameHead+pieceHead, frameHead+pieceHead+len(piece))
	b[0] = byte(frameBundle)
	binary.BigEndian.PutUint32(b[1:], uint32(pieceHead+len(piece)))
	b[frameHead] = byte(lane)
	if more {
		b[frameHead+1] = 1
	}
	return append(b, piece...)
}

// takenFrame encodes how many bytes of pieces were dealt with.
func takenFrame(n uint64) []byte {
	return frame(frameTaken, binary.BigEndian.AppendUint64(nil, n))
}

// wordFrame encodes a small word between the two ends of a link.
func wordFrame(t frameType, word any) []byte {
	b, err := json.Marshal(word)
	if err != nil {
		panic(err) // structs of strings and numbers
	}
	return frame(t, b)
}

// readFrame reads the next frame; io.EOF when there is none. before is called with
// the length of what is about to be read, so that the caller can set a deadline. A
// length is believed only as far as bytes come: what is announced costs no memory.
func readFrame(r io.Reader, before func(n int)) (frameType, []byte, error) {
	var head [frameHead]byte
	before(frameHead)
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return 0, nil, err
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return 0, nil, cutShort(err)
	}
	t, n := frameType(head[0]), int64(binary.BigEndian.Uint32(head[1:]))
	if n > int64(t.max()) {
		return t, nil, record.Errorf(record.TooLarge, "link.oversized", "a frame of type %d may have %d bytes, not %d", t, t.max(), n)
	}
	if n == 0 {
		return t, nil, nil
	}
	before(int(n))
	var b bytes.Buffer
	b.Grow(int(min(n, 32<<10)))
	if _, err := io.CopyN(&b, r, n); err != nil {
		return t, nil, cutShort(err)
	}
	return t, b.Bytes(), nil
}

func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// assembly puts the pieces of bundles together. Each lane has a bundle of its own
// under way, so that an urgent one overtakes a large one.
type assembly struct{ parts [3][]byte }

// add takes the payload of a bundle frame and returns a bundle that it completed, nil when more follows.
func (a *assembly) add(payload []byte) ([]byte, error) {
	if len(payload) < pieceHead || payload[0] > byte(bundle.Talk) || payload[1] > 1 {
		return nil, record.Errorf(record.Invalid, "link.malformed", "a piece of a bundle without lane or length")
	}
	lane := payload[0]
	if len(a.parts[lane])+len(payload)-pieceHead > maxBundle {
		a.parts[lane] = nil
		return nil, record.Errorf(record.TooLarge, "link.oversized", "a bundle may have %d bytes", maxBundle)
	}
	if payload[1] == 0 && a.parts[lane] == nil {
		return payload[pieceHead:], nil
	}
	a.parts[lane] = append(a.parts[lane], payload[pieceHead:]...)
	if payload[1] == 1 {
		return nil, nil
	}
	whole := a.parts[lane]
	a.parts[lane] = nil
	return whole, nil
}
