package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
	"konbit/transfer"
)

// Limits of a bulk request. Its length is not limited: lines are decided while
// the rest is still on the way.
const (
	maxLine   = 2 << 20
	bulkBatch = 500
	bulkWait  = 5 * time.Millisecond // how long a batch that is not full waits for more
	bulkIdle  = 2 * time.Minute      // how long the sender may fall silent
)

// LineAnswer tells what became of one line.
type LineAnswer struct {
	Line    int             `json:"line" doc:"Counted from 1, empty lines too"`
	ID      string          `json:"id,omitempty"`
	Status  transfer.Status `json:"status" enum:"created,unchanged,updated,refused"`
	Problem *Problem        `json:"problem,omitempty" doc:"Why it was refused"`
}

// line is one line of a bulk request, read and not yet decided.
type line struct {
	n     int
	draft transfer.Draft
	err   error
}

// bulk takes drafts line by line and answers line by line, in order, while it
// reads: a sender that reads no answers before it has sent everything must keep
// to some thousand lines. What was answered is on disk; a connection that is cut
// leaves whole lines only.
func (s *Server) bulk(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	reader := s.reader(r.Context())
	if err := may(reader, k, desk.Create, desk.Edit); err != nil {
		return err
	}
	var body io.Reader = r.Body
	switch enc := strings.ToLower(r.Header.Get("Content-Encoding")); enc {
	case "", "identity":
	case "gzip":
		packed := &counted{r: r.Body}
		z, err := gzip.NewReader(packed)
		if err != nil {
			return record.Errorf(record.Invalid, "bulk", "the body is not gzip, as Content-Encoding says")
		}
		defer z.Close()
		body = &unpacked{z, packed, 0}
	default:
		return unsupported("gzip, or no Content-Encoding")
	}
	rc := http.NewResponseController(w)
	rc.EnableFullDuplex()
	rc.SetWriteDeadline(time.Time{})
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	in := make(chan line, bulkBatch)
	cut := make(chan error, 1)
	go func() {
		defer close(in)
		cut <- s.readLines(ctx, rc, body, k, in)
	}()
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	for {
		batch := gather(in)
		if batch == nil {
			break
		}
		answers, err := s.decide(ctx, reader, k, batch)
		if err != nil {
			return err // the sender gives the lines without an answer once more
		}
		for i := range answers {
			if out.Encode(&answers[i]) != nil {
				return errGone
			}
		}
		rc.Flush()
	}
	if err := <-cut; err != nil {
		return err
	}
	return (&lazy{w: w, before: func(http.Header) {}}).flush()
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// unpacked ends a body that unpacks to far more than was sent: records in JSON
// shrink to a twentieth, not to a thousandth.
type unpacked struct {
	z      io.Reader
	packed *counted
	n      int64
}

const (
	bombFree  = 2 * maxLine
	bombRatio = 200
)

var errBomb = record.Errorf(record.TooLarge, "bulk", "the body unpacks to more than %d times its size", bombRatio)

func (u *unpacked) Read(b []byte) (int, error) {
	n, err := u.z.Read(b)
	if u.n += int64(n); u.n > bombFree+bombRatio*u.packed.n {
		return 0, errBomb
	}
	return n, err
}

// readLines decodes lines ahead of those that are being decided.
func (s *Server) readLines(ctx context.Context, rc *http.ResponseController, body io.Reader, k *desk.Kind, in chan<- line) error {
	br := bufio.NewReaderSize(body, 256<<10)
	defer rc.SetReadDeadline(time.Time{})
	for n := 1; ; n++ {
		rc.SetReadDeadline(time.Now().Add(bulkIdle))
		b, err := readLine(br)
		l := line{n: n}
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			l.err = record.Errorf(record.TooLarge, "bulk", "a line may have at most %d bytes", maxLine)
		case errors.Is(err, errBomb):
			return err
		case err != nil && err != io.EOF:
			return record.Errorf(record.Invalid, "bulk", "the body did not arrive whole; lines that were answered are on disk")
		case len(bytes.TrimSpace(b)) == 0:
			if err == io.EOF {
				return nil
			}
			continue
		default:
			if l.err = strict(b, &l.draft, k); l.err == nil && l.draft.ID.IsZero() {
				l.draft.ID = record.NewID(s.cfg.Now())
			}
		}
		select {
		case in <- l:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err == io.EOF {
			return nil
		}
	}
}

// readLine returns the next line without its end; bufio.ErrTooLong for one that
// is over the limit, which is then skipped. The bytes are good until the next call.
func readLine(br *bufio.Reader) ([]byte, error) {
	b, err := br.ReadSlice('\n')
	if err == nil || err == io.EOF {
		return bytes.TrimSuffix(b, newline), err
	}
	var long []byte
	over := false
	for err == bufio.ErrBufferFull {
		if over = over || len(long)+len(b) > maxLine; !over {
			long = append(long, b...)
		} else {
			long = nil
		}
		b, err = br.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if over || len(long)+len(b) > maxLine {
		return nil, bufio.ErrTooLong
	}
	return bytes.TrimSuffix(append(long, b...), newline), err
}

// gather waits for a line and takes along what follows soon; nil at the end.
func gather(in <-chan line) []line {
	first, ok := <-in
	if !ok {
		return nil
	}
	batch := append(make([]line, 0, 64), first)
	t := time.NewTimer(bulkWait)
	defer t.Stop()
	for len(batch) < bulkBatch {
		select {
		case l, ok := <-in:
			if !ok {
				return batch
			}
			batch = append(batch, l)
		case <-t.C:
			return batch
		}
	}
	return batch
}

// decide gives a batch to intake: an existing record is edited where it differs,
// and a new one is taken to the state that its line names. An error means that
// nothing is known of the batch.
func (s *Server) decide(ctx context.Context, r *policy.Reader, k *desk.Kind, batch []line) ([]LineAnswer, error) {
	answers := make([]LineAnswer, len(batch))
	var drafts []transfer.Draft
	var of []int
	refuse := func(i int, err error) {
		answers[i].Status, answers[i].Problem = transfer.Refused, s.identify(ctx, problemOf(err))
	}
	for i := range batch {
		l := &batch[i]
		answers[i].Line = l.n
		if !l.draft.ID.IsZero() {
			answers[i].ID = l.draft.ID.String()
		}
		if l.err == nil {
			l.err = course(r, k, l.draft.State)
		}
		if l.err != nil {
			refuse(i, l.err)
			continue
		}
		drafts, of = append(drafts, l.draft), append(of, i)
	}
	sink := transfer.Local{Intake: s.cfg.Intake, Desks: s.cfg.Desks, Reader: r}
	got, err := sink.Put(ctx, k.Name, "", drafts)
	if err != nil {
		return nil, err
	}
	for j, o := range got {
		if answers[of[j]].Status = o.Status; o.Err != nil {
			refuse(of[j], o.Err)
		}
	}
	return answers, nil
}

// course refuses a state to which no commands of the reader lead, before
// anything is done.
func course(r *policy.Reader, k *desk.Kind, state string) error {
	if state == "" || state == k.Start {
		return nil
	}
	if !slices.Contains(k.States(), state) {
		return record.Fields{{Path: "state", Code: "enum", Message: "must be one of " + strings.Join(k.States(), ", ")}}.Err(k.Name + ".create")
	}
	cs, ok := transfer.Commands(k, k.Start, state)
	if !ok {
		return record.Fields{{Path: "state", Code: "unreachable", Message: "no commands lead there that need no arguments"}}.Err(k.Name + ".create")
	}
	return may(r, k, cs...)
}
