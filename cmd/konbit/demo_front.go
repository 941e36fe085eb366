package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// front answers at one address for several processes, each request by the next in
// turn: a browser that asks twice is served by two. It is for the demo; a house
// that runs several processes has a load balancer.
type front struct {
	members []*member
	turn    atomic.Uint64
	proxied bool // another proxy of ours stands before it
	wires   *http.Transport
	log     *slog.Logger
}

// awayFor is how long a process that could not be reached is the last to be asked.
const awayFor = time.Second

func newFront(members []*member, proxied bool, log *slog.Logger) *front {
	return &front{members: members, proxied: proxied, log: log, wires: &http.Transport{
		DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, DisableCompression: true}}
}

// serve answers on the listener until ctx ends, and then ends what is under way.
func (f *front) serve(ctx context.Context, l net.Listener) error {
	errs := slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: errs,
		Handler: &httputil.ReverseProxy{Transport: f, FlushInterval: -1, ErrorLog: errs, Rewrite: f.rewrite, ErrorHandler: f.fail}}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), memberEnd)
	defer cancel()
	if srv.Shutdown(end) != nil { // live streams end with the processes
		srv.Close()
	}
	return nil
}

// rewrite passes a request on as it came, with the address of who asks.
func (f *front) rewrite(q *httputil.ProxyRequest) {
	q.Out.URL.Scheme, q.Out.URL.Host, q.Out.Host = "http", "process", q.In.Host
	if from := q.In.Header["X-Forwarded-For"]; f.proxied && len(from) > 0 {
		q.Out.Header["X-Forwarded-For"] = from
		return
	}
	if host, _, err := net.SplitHostPort(q.In.RemoteAddr); err == nil {
		q.Out.Header.Set("X-Forwarded-For", host)
	}
}

// fail answers for processes that are gone, as every proxy does: the console knows
// by it that its change may or may not have been saved, and sends it again.
func (f *front) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		f.log.Debug("no process has answered", "error", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Retry-After", "1")
	http.Error(w, "no process of this node answers now; try again", http.StatusBadGateway)
}

var errNobody = errors.New("no process runs")

// RoundTrip asks one process after the other until one answers. What may change
// something is asked again only where it has not left this machine's hands: who
// asked can repeat it, because each change has an identifier.
func (f *front) RoundTrip(r *http.Request) (*http.Response, error) {
	harmless := r.Body == nil && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions)
	last := errNobody
	for _, m := range f.order() {
		address := m.address.Load()
		if address == nil {
			continue
		}
		q, to := r.WithContext(r.Context()), *r.URL
		to.Host = *address
		q.URL = &to
		if q.Body != nil {
			q.Body = io.NopCloser(r.Body) // the next may need it
		}
		res, err := f.wires.RoundTrip(q)
		if err == nil {
			return res, nil
		}
		if r.Context().Err() != nil {
			return nil, err
		}
		m.away.Store(time.Now().Add(awayFor).UnixNano())
		last = err
		var op *net.OpError
		if !harmless && !(errors.As(err, &op) && op.Op == "dial") {
			break
		}
	}
	return nil, last
}

// order lists the processes, the next in turn first; those that could not be
// reached a moment ago come last.
func (f *front) order() []*member {
	now := time.Now().UnixNano()
	n := uint64(len(f.members))
	first := f.turn.Add(1)
	out, away := make([]*member, 0, n), []*member(nil)
	for i := range n {
		m := f.members[(first+i)%n]
		if m.away.Load() > now {
			away = append(away, m)
		} else {
			out = append(out, m)
		}
	}
	return append(out, away...)
}
