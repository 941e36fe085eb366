package web

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// metrics are what the node counts about its requests and itself.
type metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	streams  prometheus.Gauge
}

func newMetrics(cfg *Config) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, []string{"route", "method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "Time to answer, streams left out.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}, []string{"route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "konbit_feed_readers", Help: "Open live streams."}),
	}
	cfg.Metrics.MustRegister(m.requests, m.took, m.streams)
	if in := cfg.Intake; in != nil {
		cfg.Metrics.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "konbit_ledger_entries", Help: "Ledger entries on disk."}, func() float64 { return float64(in.Size()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "konbit_intake_queue", Help: "Jobs that wait for the committer."}, func() float64 { return float64(in.Queue()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "konbit_commits_total", Help: "Transactions committed."}, func() float64 { return float64(in.Commits()) }))
	}
	return m
}

func (m *metrics) request(route, method string, code int, took time.Duration) {
	switch method {
	case "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS":
	default:
		method = "other" // a stranger must not make labels
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	if route != "/api/v1/feed" {
		m.took.WithLabelValues(route).Observe(took.Seconds())
	}
}

// Status tells whether the node is well.
type Status struct {
	Saved  bool          `json:"saved"`
	Ledger *LedgerStatus `json:"ledger,omitempty" doc:"For auditors and administrators"`
	People int           `json:"people,omitempty" doc:"For administrators"`

	Processes []store.Process `json:"processes,omitempty" doc:"Of this node, where it runs as several, the one on duty first: for administrators"`
	Peers     []string        `json:"peers"`
}

// LedgerStatus is the ledger's size and root.
type LedgerStatus struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// Edition names a set of administrative boundaries.
type Edition struct {
	Edition string `json:"edition"`
	Size    int64  `json:"size"`
}

// Editions lists them.
type Editions struct {
	Editions []Edition `json:"editions"`
}

func (s *Server) registerNode() {
	s.handle(huma.Operation{OperationID: "status", Method: http.MethodGet, Path: "/api/v1/status", Summary: "Whether the node is well", Tags: []string{"node"},
		Responses: map[string]*huma.Response{"200": s.answer("The state of the node, as far as it is yours to know", Status{})}}, s.status)
	s.handle(huma.Operation{OperationID: "list-boundaries", Method: http.MethodGet, Path: "/api/v1/boundaries", Summary: "The editions of administrative boundaries that were loaded", Tags: []string{"maps"},
		Responses: map[string]*huma.Response{"200": s.answer("Editions", Editions{})}}, s.editions)
	s.handle(huma.Operation{OperationID: "get-boundaries", Method: http.MethodGet, Path: "/api/v1/boundaries/{edition}", Summary: "One edition, as GeoJSON", Tags: []string{"maps"},
		Parameters: []*huma.Param{inPath("edition", "Its name", &huma.Schema{Type: "string"})},
		Responses:  map[string]*huma.Response{"200": {Description: "A feature collection", Content: map[string]*huma.MediaType{"application/geo+json": {Schema: &huma.Schema{Type: "object"}}}}}}, s.boundaries)
	s.handle(huma.Operation{Method: http.MethodGet, Path: "/openapi.json"}, func(w http.ResponseWriter, r *http.Request) error {
		b, err := s.doc()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		w.Header().Set("Cache-Control", "no-cache")
		return write(w, b)
	})
	s.handle(huma.Operation{Method: http.MethodGet, Path: "/healthz"}, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return write(w, []byte("ok\n"))
	})
	s.handle(huma.Operation{Method: http.MethodGet, Path: "/readyz"}, s.ready)
	metrics := promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{})
	s.handle(huma.Operation{Method: http.MethodGet, Path: "/metrics"}, func(w http.ResponseWriter, r *http.Request) error {
		if err := s.mayMeasure(r); err != nil {
			return err
		}
		metrics.ServeHTTP(w, r)
		return nil
	})
	s.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { s.writeError(w, r, s.notFound(w, r)) })
}

// mayMeasure lets the node's own machine read the metrics, and tokens of
// administrators. Behind a proxy every request seems to come from this machine.
func (s *Server) mayMeasure(r *http.Request) error {
	reader := s.reader(r.Context())
	if reader.Scopes != nil && reader.Scope("admin") && reader.HoldsAnywhere(desk.Administrator) {
		return nil
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err == nil && ip.IsLoopback() && !s.cfg.TrustProxy && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == "" {
		return nil
	}
	if reader.Person == "" {
		return record.Errorf(record.Unsigned, "metrics", "metrics are for this machine and for tokens with the scope admin")
	}
	return record.Errorf(record.Denied, "metrics", "metrics are for this machine and for tokens with the scope admin")
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	select {
	case <-s.quit:
		return record.Errorf(record.Unavailable, "ready", "the node is shutting down")
	default:
	}
	if s.cfg.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if err := s.cfg.Ready(ctx); err != nil {
			if !s.unready.Swap(true) {
				s.cfg.Log.Error("not ready", "error", err)
			}
			return record.Errorf(record.Unavailable, "ready", "the store does not answer")
		}
		if s.unready.Swap(false) {
			s.cfg.Log.Info("ready again")
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return write(w, []byte("ready\n"))
}

// status tells everybody that the node lives and those who look after it the
// rest: a count is a leak.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	v := Status{Saved: true, Peers: []string{}}
	audits := reader.Scope("audit") && reader.HoldsAnywhere(desk.Auditor)
	runs := reader.Scope("admin") && reader.HoldsAnywhere(desk.Administrator)
	if audits || runs {
		v.Ledger = &LedgerStatus{Size: s.cfg.Intake.Size()}
		if cp := s.cfg.Intake.Checkpoint(); cp != nil {
			v.Ledger.Root = rootOf(cp)
		}
	}
	if runs {
		v.People = len(s.cfg.Accounts.Directory().People)
		if s.cfg.Processes != nil {
			if v.Processes, err = s.cfg.Processes.List(r.Context()); err != nil {
				return err
			}
		}
	}
	return writeJSON(w, http.StatusOK, v)
}

// rootOf reads the root hash from a checkpoint (C2SP tlog-checkpoint: third line).
func rootOf(checkpoint []byte) string {
	lines := strings.SplitN(string(checkpoint), "\n", 4)
	if len(lines) < 3 {
		return ""
	}
	return lines[2]
}

func (s *Server) editions(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.signedIn(r.Context()); err != nil {
		return err
	}
	v := Editions{Editions: []Edition{}}
	if s.cfg.Boundaries != nil {
		es, err := fs.ReadDir(s.cfg.Boundaries, ".")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range es {
			name, ok := strings.CutSuffix(e.Name(), ".geojson")
			if info, err := e.Info(); ok && err == nil {
				v.Editions = append(v.Editions, Edition{name, info.Size()})
			}
		}
	}
	return writeJSON(w, http.StatusOK, v)
}

func (s *Server) boundaries(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.signedIn(r.Context()); err != nil {
		return err
	}
	gone := record.Errorf(record.NotFound, "boundary.get", "there is no such edition")
	name := r.PathValue("edition")
	if s.cfg.Boundaries == nil || !record.Token(name) {
		return gone
	}
	b, err := fs.ReadFile(s.cfg.Boundaries, name+".geojson")
	if errors.Is(err, fs.ErrNotExist) {
		return gone
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/geo+json")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	return write(w, b)
}

// baseMap serves the streets, in pieces (RFC 9110 §14).
func (s *Server) baseMap(w http.ResponseWriter, r *http.Request) error {
	f, err := os.Open(s.cfg.BaseMap)
	if err != nil {
		return &record.Error{Code: record.Unavailable, Op: "basemap", Message: "the base map cannot be read", Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.pmtiles")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+strconv.FormatInt(info.ModTime().UnixNano(), 36)+"-"+strconv.FormatInt(info.Size(), 36)+`"`)
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}
