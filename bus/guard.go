package bus

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"strings"
)

const (
	maxLine    = 256 << 10 // of the protocol: the longest tells of a cluster's servers
	maxMessage = 64 << 20  // that a server may announce; what is above MaxPayload is dropped, the connection stays
)

// errProtocol says that what a server sends is not NATS.
var errProtocol = errors.New("what answers there does not speak NATS")

// guard is a connection to a server that may not be trusted. The client library takes
// memory for as long a message as a server announces, and panics when that is more than
// there can be. So the guard reads along, and ends the connection before. It is
// strict, because the library is not: a line that the two read differently would hide the next.
type guard struct {
	net.Conn
	first []byte // read already, and not yet by the library
	line  []byte // what has come of one
	skip  int    // bytes of a message that are still to come
	tail  string // what must follow them
}

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.first) > 0 {
		n := copy(p, g.first)
		g.first = g.first[n:]
		return n, nil
	}
	n, err := g.Conn.Read(p)
	if !g.sound(p[:n]) {
		return 0, errProtocol
	}
	return n, err
}

// sound follows the stream by the bytes that have just come.
func (g *guard) sound(b []byte) bool {
	for len(b) > 0 {
		switch {
		case g.skip > 0:
			n := min(g.skip, len(b))
			g.skip, b = g.skip-n, b[n:]
		case g.tail != "":
			if b[0] != g.tail[0] {
				return false
			}
			g.tail, b = g.tail[1:], b[1:]
		default:
			part, rest, whole := bytes.Cut(b, []byte{'\n'})
			if g.line, b = append(g.line, part...), rest; len(g.line) > maxLine {
				return false
			}
			if whole && !g.ended() {
				return false
			}
		}
	}
	return true
}

// ended judges a whole line.
func (g *guard) ended() bool {
	line := bytes.TrimSuffix(g.line, []byte{'\r'})
	g.line = g.line[:0]
	if bytes.ContainsAny(line, "\r\t") {
		return false
	}
	op, said, _ := strings.Cut(string(line), " ")
	words := strings.Fields(said)
	switch op {
	case "PING", "PONG", "+OK":
		return said == ""
	case "INFO", "-ERR":
		return len(words) > 0
	case "MSG", "HMSG":
		if len(words) == 0 {
			return false
		}
		n, err := strconv.ParseUint(words[len(words)-1], 10, 32)
		g.skip, g.tail = int(n), "\r\n"
		return err == nil && n <= maxMessage
	}
	return false
}
