package pfif

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"

	"konbit/record"
)

// maxDepth is how deep elements may stand within each other; a note's field in an
// RSS feed is the sixth.
const maxDepth = 16

// An element is one that is open, with how many of its children met so far have
// the names that paths number.
type element struct {
	path                        string
	person, note, entry, others int
}

// text reads the text up to the end of an element, that of elements within too.
func (r *Reader) text() (s string, markup bool, err error) {
	var b strings.Builder
	for depth := len(r.stack); ; {
		tok, err := r.token()
		if err != nil {
			return "", false, err
		}
		switch tok := tok.(type) {
		case nil:
			return "", false, r.cut()
		case xml.CharData:
			if b.Len() <= r.o.Limits.Record { // beyond it the record is refused anyhow
				b.Write(tok)
			}
		case xml.StartElement:
			markup = true
			if err := r.push(tok.Name.Local); err != nil {
				return "", false, err
			}
		case xml.EndElement:
			r.pop()
			if len(r.stack) < depth {
				return strings.TrimSpace(b.String()), markup, nil
			}
		}
	}
}

// skip reads up to the end of an element.
func (r *Reader) skip() error {
	for depth := len(r.stack); len(r.stack) >= depth; {
		tok, err := r.token()
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case nil:
			return r.cut()
		case xml.StartElement:
			if err := r.push(tok.Name.Local); err != nil {
				return err
			}
		case xml.EndElement:
			r.pop()
		}
	}
	return nil
}

// token returns the next token, nil at the end of the document.
func (r *Reader) token() (xml.Token, error) {
	r.in.token = r.o.Limits.Record + window
	tok, err := r.dec.Token()
	switch {
	case err == io.EOF && r.in.err == nil:
		if len(r.stack) > 0 {
			return nil, r.cut()
		}
		return nil, nil
	case errors.Is(r.in.err, errSize):
		return nil, r.tooLarge("it has more than %d bytes", r.o.Limits.Size)
	case errors.Is(r.in.err, errToken):
		return nil, r.tooLarge("one value or tag has more than %d bytes", r.o.Limits.Record)
	case r.in.err != nil:
		e := record.Errorf(record.Unavailable, "pfif.read", "the document could not be read to its end")
		e.Err = r.in.err
		return nil, e
	case err != nil:
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) && syntax.Msg == "unexpected EOF" {
			return nil, r.cut()
		}
		e := r.bad("it is not well-formed XML")
		e.Err = err
		return nil, e
	}
	if _, ok := tok.(xml.Directive); ok {
		return nil, r.bad("it has a document type declaration; for safety such documents are refused")
	}
	return tok, nil
}

func (r *Reader) bad(format string, args ...any) *record.Error {
	return record.Errorf(record.Invalid, "pfif.read", "line %d: "+format, append([]any{r.line()}, args...)...)
}

func (r *Reader) cut() error {
	e := r.bad("the document ends in the middle of %s: it may have been cut off there", r.path())
	e.Err = io.ErrUnexpectedEOF
	return e
}

func (r *Reader) tooLarge(format string, args ...any) error {
	e := record.Errorf(record.TooLarge, "pfif.read", "the document is too large: "+format, args...)
	e.Hint = "send it in several parts"
	return e
}

func (r *Reader) line() int {
	line, _ := r.dec.InputPos()
	return line
}

func (r *Reader) path() string {
	if len(r.stack) == 0 {
		return "/"
	}
	return r.stack[len(r.stack)-1].path
}

func (r *Reader) pop() { r.stack = r.stack[:len(r.stack)-1] }

// push opens an element.
func (r *Reader) push(name string) error {
	if len(r.stack) == maxDepth {
		return r.bad("elements stand more than %d deep within each other", maxDepth)
	}
	path := "/" + shown(name)
	if len(r.stack) > 0 {
		parent := &r.stack[len(r.stack)-1]
		n := &parent.others
		switch name {
		case "person":
			n = &parent.person
		case "note":
			n = &parent.note
		case "entry", "item":
			n = &parent.entry
		}
		if *n++; n != &parent.others {
			path += "[" + strconv.Itoa(*n) + "]"
		}
		path = parent.path + path
	}
	r.stack = append(r.stack, element{path: path})
	return nil
}

// shown is a name of the document, short enough to be told.
func shown(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "..."
	}
	return name
}

// window is what the decoder may read ahead.
const window = 8 << 10

var (
	errSize  = errors.New("too many bytes")
	errToken = errors.New("too many bytes in one token")
)

// meter bounds what is read, in all and for one token: the decoder holds a token
// in memory until its end is there.
type meter struct {
	in    io.Reader
	left  int64
	token int
	err   error
}

func (m *meter) Read(b []byte) (int, error) {
	switch {
	case m.err != nil:
		return 0, m.err
	case m.token <= 0:
		m.err = errToken
		return 0, m.err
	}
	n, err := m.in.Read(b[:min(len(b), m.token)])
	m.token -= n
	if m.left -= int64(n); m.left < 0 {
		m.err = errSize
		return 0, m.err
	}
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}
