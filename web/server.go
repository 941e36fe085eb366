// Package web is the HTTP side of a node: the API of the records, sessions,
// people and the ledger, the live feed, the OpenAPI document that is made from
// the same registrations, and the console's files.
//
// It turns requests into calls and errors into answers, and must not decide
// rights, read a store, or know a desk by name: what a kind looks like comes
// from its declaration.
package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"konbit/account"
	"konbit/blob"
	"konbit/desk"
	"konbit/feed"
	"konbit/intake"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
)

// Config is what a Server needs. Desks, Records, Intake, Accounts and Now are
// required to serve; OpenAPI needs Desks alone.
type Config struct {
	Desks    *desk.Set
	Records  *query.Records
	Intake   *intake.Intake
	Accounts *account.Service
	Blobs    *blob.Store
	Feed     *feed.Hub
	UI       fs.FS // the built console: index.html, assets; nil: none
	Now      func() time.Time
	Log      *slog.Logger
	Node     NodeInfo

	BaseMap    string // path of a PMTiles file; "": none
	Boundaries fs.FS  // EDITION.geojson files; nil: none
	Verifier   string // public key of the ledger, a vkey of golang.org/x/mod/sumdb/note
	Secure     bool   // cookies are for https only; false on a plain loopback address
	TrustProxy bool   // X-Forwarded-For comes from a proxy of ours

	Metrics *prometheus.Registry
	Ready   func(context.Context) error // whether the store answers; nil: it is not asked

	// Replay checks the whole ledger against the records, for the auditor's
	// screen. It calls progress from time to time and returns the first fault,
	// "" when there is none. Nil: not offered.
	Replay func(ctx context.Context, progress func(done, total int64)) (fault string, err error)

	// Duty returns the exchange with other nodes. A nil function: there is none.
	Duty      func() *Duty
	Processes Processes // the other processes of this node; nil: it is the only one

	Spool string // folder of its own for files that are being imported; "": among the machine's temporary files
}

// NodeInfo is what the console tells about the node.
type NodeInfo struct {
	Name       string
	Version    string
	Demo       bool
	Region     *record.Box
	RegionName string
	DemoCards  []DemoCard // shown on the sign-in page of a demo, and only there
}

// DemoCard is one sign-in of a demo.
type DemoCard struct {
	Name       string `json:"name"`
	Password   string `json:"password"`
	Person     string `json:"person"`
	Agency     string `json:"agency"`
	AgencyName string `json:"agencyName"`
	Role       string `json:"role"`
	Lang       string `json:"lang"`
}

// Server answers HTTP requests. Make it with New, end its streams with Close.
type Server struct {
	cfg     Config
	mux     *http.ServeMux
	api     huma.API
	origin  *http.CrossOriginProtection
	metrics *metrics
	handler http.Handler
	doc     func() ([]byte, error)

	unready atomic.Bool // the last probe was told that the store does not answer

	quit  chan struct{}
	close sync.Once
	run   string // prefix of request ids
	calls atomic.Uint64

	work    background
	verify  verifier
	imports imports
	streams streams
}

// New registers every route.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), quit: make(chan struct{})}
	var b [4]byte
	rand.Read(b[:])
	s.run = hex.EncodeToString(b[:]) + "-"
	s.metrics = newMetrics(&cfg)
	s.api = humago.New(s.mux, s.humaConfig())
	s.doc = sync.OnceValues(func() ([]byte, error) { return json.Marshal(s.api.OpenAPI()) })

	s.registerSession()
	s.registerDesks()
	s.registerRecords()
	s.registerAttachments()
	s.registerFeed()
	s.registerPeople()
	s.registerAudit()
	s.registerImports()
	s.registerOGC()
	s.registerPeers()
	s.registerQuestions()
	s.registerNode()
	s.registerStatic()

	s.handler = s.compress(s.mux)
	return s
}

// Handler returns what serves a listener.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.front) }

// As answers requests as the given reader, without a sign-in: for commands at the
// machine. It MUST NOT be put on a listener.
func (s *Server) As(reader *policy.Reader) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{ResponseWriter: w, id: s.requestID(), reader: reader}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		c.r = r
		if s.elsewhere() && dutiful(r.URL.Path) {
			s.writeError(c, r, errNoDuty)
			return
		}
		s.mux.ServeHTTP(c, r)
	})
}

// Close ends the live streams, so that http.Server.Shutdown does not wait for
// them, and what goes on in the background. It does not close what Config names.
func (s *Server) Close() {
	s.close.Do(func() { close(s.quit) })
	s.work.stop()
}

// OpenAPI returns the OpenAPI 3.1 document of a node with these desks, without
// a node.
func OpenAPI(desks *desk.Set) ([]byte, error) { return New(Config{Desks: desks}).doc() }

func (s *Server) humaConfig() huma.Config {
	version := s.cfg.Node.Version
	if version == "" {
		version = "1"
	}
	c := huma.DefaultConfig("Konbit", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.Info.Description = "Records of an agency, who may see them, and who looked. Times are RFC 3339, UTC; coordinates are WGS 84, longitude first. " +
		"Sign in with a token, in the header Authorization: Bearer TOKEN. Who acts for several agencies says for which in the header Konbit-Agency. " +
		"Who opens protected records says why in the header Konbit-Purpose, URL-encoded. Errors are RFC 9457 problems that name every field that is wrong."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", namer())
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token, made in the settings or with `konbit token create`."},
		"session": {Type: "apiKey", In: "cookie", Name: s.cookieName(), Description: "The console's session. Needs the header X-CSRF-Token on everything but GET."},
	}
	c.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	c.Transformers = []huma.Transformer{func(ctx huma.Context, _ string, v any) (any, error) {
		if p, ok := v.(*Problem); ok {
			return s.identify(ctx.Context(), p), nil
		}
		return v, nil
	}}
	return c
}

// namer names schemas by their Go type, with the package in front where two
// packages have the same name.
func namer() func(reflect.Type, string) string {
	taken := map[string]reflect.Type{}
	return func(t reflect.Type, hint string) string {
		name := huma.DefaultSchemaNamer(t, hint)
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if have, ok := taken[name]; ok && have != t {
			pkg := t.PkgPath()
			pkg = pkg[strings.LastIndexByte(pkg, '/')+1:]
			if pkg != "" {
				name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
			}
		}
		taken[name] = t
		return name
	}
}

// schema returns the document's schema of a Go type.
func (s *Server) schema(v any) *huma.Schema {
	t := reflect.TypeOf(v)
	return s.api.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

// handle serves an operation with a handler that reads and writes for itself,
// and puts the operation into the document. A body may have op.MaxBodyBytes:
// 0 means 1 MB, less means that the handler bounds it. An operation without a
// summary stays out of the document.
func (s *Server) handle(op huma.Operation, h func(w http.ResponseWriter, r *http.Request) error) {
	limit := op.MaxBodyBytes
	if limit == 0 {
		limit = maxBody
	}
	if op.Summary != "" {
		if op.Responses == nil {
			op.Responses = map[string]*huma.Response{}
		}
		op.Responses["default"] = s.problemResponse()
		s.api.OpenAPI().AddOperation(&op)
	}
	s.mux.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		if limit > 0 && r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(nil, r.Body, limit)
		}
		if err := h(w, r); err != nil {
			if problemOf(err).Status == http.StatusRequestEntityTooLarge {
				drain(w, body)
			}
			s.writeError(w, r, err)
		}
	})
}

// drain reads some of what is left of a body that is too large: a client that is
// still sending when the connection ends is told of the end and not of the reason.
func drain(w http.ResponseWriter, body io.Reader) {
	if body == nil {
		return
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(15 * time.Second))
	io.CopyN(io.Discard, body, maxDrain)
}

const maxDrain = 32 << 20

func (s *Server) problemResponse() *huma.Response {
	return &huma.Response{Description: "A problem (RFC 9457)", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: s.schema(Problem{})}}}
}

// answer describes a JSON answer in the document.
func (s *Server) answer(text string, v any) *huma.Response {
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: s.schema(v)}}}
}

// maxBody bounds a JSON body.
const maxBody = 1 << 20

// call is one request: who asks, and what became of it.
type call struct {
	http.ResponseWriter
	r       *http.Request
	id      string
	reader  *policy.Reader
	session *account.Session
	token   *account.Token
	secret  string // of the cookie or the token, to look it up again
	status  int
	bytes   int64
}

type callKey struct{}

// callOf returns the call of a request's context.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil {
		c = &call{reader: nobody}
	}
	return c
}

// nobody is the reader who is not signed in.
var nobody = &policy.Reader{}

// reader returns who asks, with the hat and the purpose of this request. It is
// never nil; its Person is "" when nobody is signed in.
func (s *Server) reader(ctx context.Context) *policy.Reader { return callOf(ctx).reader }

// session returns the console's session, nil for a token and for nobody.
func (s *Server) session(ctx context.Context) *account.Session { return callOf(ctx).session }

// signedIn returns the reader, or the error that says that nobody is signed in.
func (s *Server) signedIn(ctx context.Context) (*policy.Reader, error) {
	r := s.reader(ctx)
	if r.Person == "" {
		return r, record.Errorf(record.Unsigned, "signin", "sign in first")
	}
	return r, nil
}

// mySession returns the session, or the error that says that it takes one.
func (s *Server) mySession(ctx context.Context) (*account.Session, error) {
	if _, err := s.signedIn(ctx); err != nil {
		return nil, err
	}
	e := s.session(ctx)
	if e == nil {
		return nil, record.Errorf(record.Denied, "session", "a token cannot do this; sign in on the console")
	}
	return e, nil
}

func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *call) WriteHeader(code int) {
	if c.status == 0 && code >= 200 {
		c.status = code
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *call) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(b)
	c.bytes += int64(n)
	return n, err
}

// Flush lets a stream through a compressing writer.
func (c *call) Flush() { http.NewResponseController(c.ResponseWriter).Flush() }

// requestID names a request in the log and in an internal error.
func (s *Server) requestID() string {
	return s.run + strconv.FormatUint(s.calls.Add(1), 36)
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_, err = w.Write(append(b, '\n'))
	if err != nil {
		return errGone
	}
	return nil
}

var jsonType = []string{"application/json"}
