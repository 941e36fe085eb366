package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/feed"
	"konbit/policy"
	"konbit/record"
)

// Times of a live stream.
const (
	feedPing  = 15 * time.Second // a comment keeps proxies from closing it
	feedCheck = 5 * time.Second  // and as often its rights are looked up again
	feedWrite = 30 * time.Second // a reader who takes nothing for so long is gone
)

// maxStreams bounds the live streams of one person.
const maxStreams = 32

// streams counts live streams by person.
type streams struct {
	mu sync.Mutex
	of map[string]int
}

// open counts one more; false when there are too many.
func (s *streams) open(person string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[person] >= maxStreams {
		return false
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[person]++
	return true
}

func (s *streams) close(person string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[person]--; s.of[person] <= 0 {
		delete(s.of, person)
	}
}

func (s *Server) registerFeed() {
	text := &huma.Schema{Type: "string"}
	kinds := &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}}
	for _, k := range s.cfg.Desks.KindNames() {
		kinds.Items.Enum = append(kinds.Items.Enum, k)
	}
	s.handle(huma.Operation{OperationID: "feed", Method: http.MethodGet, Path: "/api/v1/feed", Summary: "Changes as they happen (server-sent events)", Tags: []string{"feed"},
		Description: "Events: hello, record, gone (you can see it no longer), reset (too far behind: reload), peers (a link to another node is up, down, or further). A stream that broke resumes without gap or repeat by its last cursor.",
		Parameters: []*huma.Param{separated(inQuery("kind", "Of these kinds; all that you may read unless said otherwise", kinds)),
			inQuery("bbox", "Only what touches this box, and what has no place: west,south,east,north", text),
			inQuery("cursor", "Resume after this cursor", text), inQuery("purpose", "Why you look", text), inHeader("Last-Event-ID", "Resume after this cursor; stronger than the parameter")},
		Responses: map[string]*huma.Response{"200": {Description: "The stream", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: text}}}},
	}, s.stream)
}

// event is the data of an event.
type event struct {
	Cursor  string          `json:"cursor"`
	Kind    string          `json:"kind,omitempty"`
	ID      string          `json:"id,omitempty"`
	Version int             `json:"version,omitempty"`
	Title   string          `json:"title,omitempty"`
	Record  json.RawMessage `json:"record,omitempty"`
	Now     *time.Time      `json:"now,omitempty"`
}

// stream is one live stream. It ends with the session behind it.
type stream struct {
	s     *Server
	w     http.ResponseWriter
	rc    *http.ResponseController
	buf   bytes.Buffer
	begun bool
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	o, err := s.feedOptions(r, reader)
	if err != nil {
		return err
	}
	if !s.streams.open(reader.Person) {
		e := record.Errorf(record.TooMany, "feed", "you have %d live streams open", maxStreams)
		e.Hint = "close some; a browser needs one for each window"
		return e
	}
	defer s.streams.close(reader.Person)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	st := &stream{s: s, w: w, rc: http.NewResponseController(w)}
	st.rc.SetReadDeadline(time.Time{})
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	return st.serve(ctx, callOf(r.Context()), reader, o)
}

func (s *Server) feedOptions(r *http.Request, reader *policy.Reader) (feed.Options, error) {
	o := feed.Options{From: -1}
	var f record.Fields
	v := r.URL.Query()
	for _, list1 := range v["kind"] {
		o.Kinds = append(o.Kinds, list(list1)...)
	}
	for _, name := range o.Kinds {
		if s.cfg.Desks.Kind(name) == nil {
			f.Add("kind", "unknown", "there is no such kind")
			break
		}
	}
	if b := v.Get("bbox"); b != "" {
		box, msg := parseBox(b)
		if msg != "" {
			f.Add("bbox", "invalid", msg)
		}
		o.Box = box
	}
	cursor := r.Header.Get("Last-Event-ID")
	if cursor == "" {
		cursor = v.Get("cursor")
	}
	if cursor != "" {
		seq, ok := s.cfg.Records.OpenSeq(cursor)
		if !ok {
			f.Add("cursor", "invalid", "not a cursor of this node; start again without it")
		}
		o.From = seq
	}
	return o, f.Err("feed")
}

// serve subscribes, and again whenever the reader's rights change, from where it
// was.
func (st *stream) serve(ctx context.Context, c *call, reader *policy.Reader, o feed.Options) error {
	s := st.s
	reset := false
	for first := true; ; first = false {
		sub, err := s.cfg.Feed.Subscribe(ctx, reader, o)
		switch {
		case errors.Is(err, feed.ErrReset):
			o.From, reset = -1, true
			if sub, err = s.cfg.Feed.Subscribe(ctx, reader, o); err != nil {
				return err
			}
		case errors.Is(err, feed.ErrClosed):
			if first {
				return record.Errorf(record.Unavailable, "feed", "the node is shutting down")
			}
			return nil
		case err != nil && st.begun:
			s.cfg.Log.Error("feed ended", "request", c.id, "error", err)
			return nil
		case err != nil:
			return err
		}
		if o.From < 0 {
			o.From = sub.Start()
		}
		// Only now that nothing can be missed any more: what the reader loads on
		// these events, and what comes after them, is everything.
		at := event{Cursor: s.cfg.Records.SealSeq(o.From)}
		if reset {
			st.put("reset", at)
			reset = false
		}
		if first {
			now := s.cfg.Now().UTC()
			at.Now = &now
			st.put("hello", at)
		}
		err = st.flush()
		var next *policy.Reader
		if err == nil {
			next, err = st.follow(ctx, c, reader, sub, &o, &reset)
		}
		sub.Close()
		if err != nil || next == nil {
			return err
		}
		reader = next
	}
}

// batch is what a subscription yields.
type batch struct {
	events []feed.Event
	err    error
}

// follow sends events until the stream ends, or until the reader's rights have
// changed or he is too far behind: then it returns who he is now.
func (st *stream) follow(ctx context.Context, c *call, reader *policy.Reader, sub *feed.Subscription, o *feed.Options, reset *bool) (*policy.Reader, error) {
	ctx, cancel := context.WithCancel(ctx)
	in := make(chan batch)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			es, err := sub.Next(ctx)
			select {
			case in <- batch{es, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() { cancel(); <-done }()
	ping, check := time.NewTicker(feedPing), time.NewTicker(feedCheck)
	defer ping.Stop()
	defer check.Stop()
	dots := st.s.watchDots()
	defer dots.stop()
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-st.s.quit:
			return nil, nil
		case <-ping.C:
			st.buf.WriteString(": \n\n")
			if err := st.flush(); err != nil {
				return nil, nil
			}
		case <-check.C:
			dots.renew()
			if next := st.s.again(ctx, c); next == nil {
				return nil, nil
			} else if !sameReader(reader, next) {
				return next, nil
			}
		case <-dots.changed:
			dots.wait()
		case <-dots.due:
			dots.next()
			b, err := st.s.dots(ctx, reader)
			if err != nil {
				continue // the next change tells again
			}
			st.buf.WriteString("event: peers\ndata: ")
			st.buf.Write(b)
			st.buf.WriteString("\n\n")
			if err := st.flush(); err != nil {
				return nil, nil
			}
		case b := <-in:
			if errors.Is(b.err, feed.ErrReset) {
				o.From, *reset = -1, true
				return reader, nil
			}
			if b.err != nil {
				return nil, nil
			}
			// An event that was waiting must not pass by rights that have been taken away.
			if st.s.cfg.Accounts.Directory().Epoch != reader.Epoch {
				if next := st.s.again(ctx, c); next == nil {
					return nil, nil
				} else if !sameReader(reader, next) {
					return next, nil
				}
			}
			for i := range b.events {
				e := &b.events[i]
				o.From = e.Seq
				st.put(e.Type, event{Cursor: st.s.cfg.Records.SealSeq(e.Seq), Kind: e.Kind, ID: e.ID.String(), Version: e.Version, Title: e.Title, Record: e.Raw})
			}
			if err := st.flush(); err != nil {
				return nil, nil
			}
		}
	}
}

// again looks up who is behind a stream: nil when he has signed out, his token
// was revoked, or he may no longer sign in.
func (s *Server) again(ctx context.Context, c *call) *policy.Reader {
	if c.token != nil {
		t, err := s.cfg.Accounts.Token(ctx, c.secret)
		if err != nil {
			return nil
		}
		r, err := s.cfg.Accounts.Reader(t.Person, c.reader.Agency, append([]string{}, t.Scopes...), c.reader.Purpose)
		if err != nil {
			return nil
		}
		return r
	}
	e, err := s.cfg.Accounts.Session(ctx, c.secret)
	if err != nil {
		return nil
	}
	why := e.Why(s.cfg.Now())
	if given, err := purpose(c.r); err == nil && given != "" {
		why = given
	}
	hat := c.r.Header.Get("Konbit-Agency")
	if hat == "" {
		hat = e.Agency
	}
	r, err := s.cfg.Accounts.Reader(e.Person, hat, nil, why)
	if err != nil {
		return nil
	}
	return r
}

func sameReader(a, b *policy.Reader) bool {
	return a.Epoch == b.Epoch && a.Agency == b.Agency && a.Purpose == b.Purpose && slices.Equal(a.Scopes, b.Scopes)
}

// put adds an event to the buffer. JSON has no line ends of its own.
func (st *stream) put(name string, e event) {
	if e.Cursor != "" {
		st.buf.WriteString("id: " + e.Cursor + "\n")
	}
	st.buf.WriteString("event: " + name + "\ndata: ")
	b, err := json.Marshal(e)
	if err != nil { // a signed record is JSON
		b = []byte("{}")
	}
	st.buf.Write(b)
	st.buf.WriteString("\n\n")
}

func (st *stream) flush() error {
	st.rc.SetWriteDeadline(time.Now().Add(feedWrite))
	st.begun = true
	if st.buf.Len() == 0 {
		return nil
	}
	_, err := st.w.Write(st.buf.Bytes())
	if st.buf.Cap() > 1<<20 {
		st.buf = bytes.Buffer{}
	}
	st.buf.Reset()
	if err == nil {
		err = st.rc.Flush()
	}
	if err != nil {
		return errGone
	}
	return nil
}
