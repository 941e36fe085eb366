package web

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzhttp"

	"konbit/account"
	"konbit/policy"
	"konbit/record"
)

// front is what every request passes, once.
func (s *Server) front(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &call{ResponseWriter: w, id: s.requestID(), reader: nobody}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	c.r = r
	defer s.finish(c, r, start)
	s.protect(w.Header())
	if s.passedOn(c, r) {
		return
	}
	if strings.HasPrefix(r.URL.Path, peerRoot) { // other nodes are known by their keys
		r.Pattern = peerRoot
		s.peerRequest(c, r)
		return
	}
	if err := s.held(r); err != nil {
		s.writeError(c, r, err)
		return
	}
	if s.cfg.Processes != nil && strings.HasPrefix(r.URL.Path, "/api/") {
		if err := s.cfg.Processes.Fresh(r.Context()); err != nil {
			s.writeError(c, r, err)
			return
		}
	}
	if err := s.identity(c, r); err != nil {
		s.writeError(c, r, err)
		return
	}
	if err := s.genuine(c, r); err != nil {
		s.writeError(c, r, err)
		return
	}
	s.handler.ServeHTTP(c, r)
}

// finish writes the access log and turns a panic into a problem.
func (s *Server) finish(c *call, r *http.Request, start time.Time) {
	v := recover()
	if v != nil && v != http.ErrAbortHandler {
		err := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		v = http.ErrAbortHandler
		if c.status == 0 {
			s.writeError(c, r, err)
			v = nil
		} else {
			s.cfg.Log.Error("request failed", "request", c.id, "error", err)
		}
	}
	if c.status == 0 {
		c.status = http.StatusOK
	}
	took := time.Since(start)
	route := r.Pattern
	if _, path, ok := strings.Cut(route, " "); ok {
		route = path
	}
	if route == "" {
		route = "none"
	}
	s.metrics.request(route, r.Method, c.status, took)
	if s.cfg.Log.Enabled(r.Context(), slog.LevelInfo) {
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("request", c.id), slog.String("method", r.Method), slog.String("route", route),
			slog.Int("status", c.status), slog.Int64("bytes", c.bytes), slog.Duration("took", took), slog.String("person", c.reader.Person))
	}
	if v != nil {
		panic(v)
	}
}

// Values of headers that every answer carries. They are shared: a handler that
// wants another one sets it anew.
var (
	// Mantine writes its variables into style elements and attributes; scripts
	// stay our own files.
	policyPage = []string{"default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; worker-src 'self' blob:; child-src 'self' blob:; " +
		"img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; connect-src 'self'"}
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	hsts       = []string{"max-age=31536000"}
	noStore    = []string{"no-store"}
	sameOrigin = []string{"same-origin"}
	abilities  = []string{"geolocation=(self), camera=(), microphone=(), payment=(), usb=()"}
)

func (s *Server) protect(h http.Header) {
	h["Content-Security-Policy"] = policyPage
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	h["Cross-Origin-Opener-Policy"] = sameOrigin
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	h["Permissions-Policy"] = abilities
	h["Cache-Control"] = noStore
	if s.cfg.Secure {
		h["Strict-Transport-Security"] = hsts
	}
}

// identity finds out who asks. A token that is no good is refused; a cookie that
// is no good is nobody's.
func (s *Server) identity(c *call, r *http.Request) error {
	if s.cfg.Accounts == nil {
		return nil
	}
	ctx := r.Context()
	why, err := purpose(r)
	if err != nil {
		return err
	}
	hat := r.Header.Get("Konbit-Agency")
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, secret, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return record.Errorf(record.Unsigned, "token", "use Authorization: Bearer TOKEN")
		}
		secret = strings.TrimSpace(secret)
		t, err := s.cfg.Accounts.Token(ctx, secret)
		if err != nil {
			return err
		}
		scopes := t.Scopes
		if scopes == nil {
			scopes = []string{}
		}
		reader, err := s.cfg.Accounts.Reader(t.Person, hat, scopes, why)
		if err != nil {
			return err
		}
		c.reader, c.token, c.secret = reader, t, secret
		return nil
	}
	secret := s.cookie(r)
	if secret == "" || fromElsewhere(r) {
		return nil
	}
	e, err := s.cfg.Accounts.Session(ctx, secret)
	if record.CodeOf(err) == record.Unsigned {
		return nil
	}
	if err != nil {
		return err
	}
	if hat == "" {
		hat = e.Agency
	}
	if why == "" {
		why = e.Why(s.cfg.Now())
	}
	reader, err := s.cfg.Accounts.Reader(e.Person, hat, nil, why)
	if err != nil && r.Header.Get("Konbit-Agency") != "" {
		return err
	}
	if err != nil {
		reader = &policy.Reader{Person: e.Person, Agency: e.Agency} // he holds nothing any more, and may still sign out
	}
	c.reader, c.session, c.secret = reader, e, secret
	return nil
}

// fromElsewhere reports whether another site made the browser ask the API. A read
// is a look in the person's name, with a purpose that the address can hold, so
// another site's link must not make one. Pages of the console may be linked to.
func fromElsewhere(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "cross-site" && (strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, ogcRoot+"/"))
}

// maxPurpose bounds the words of a purpose, in characters.
const maxPurpose = 500

// purpose reads why somebody looks: URL-encoded in the header, or as parameter.
func purpose(r *http.Request) (string, error) {
	why := r.Header.Get("Konbit-Purpose")
	if why != "" {
		if dec, err := url.PathUnescape(why); err == nil {
			why = dec
		}
	} else if strings.Contains(r.URL.RawQuery, "purpose=") {
		why = r.URL.Query().Get("purpose")
	}
	why = strings.TrimSpace(why)
	if why != "" && (!utf8.ValidString(why) || utf8.RuneCountInString(why) > maxPurpose || strings.ContainsFunc(why, func(c rune) bool { return c < ' ' })) {
		return "", record.Fields{{Path: "purpose", Code: "invalid", Message: "must be words, at most 500 characters"}}.Err("purpose")
	}
	return why, nil
}

// free are the changes that need no CSRF token, for who makes them is not signed
// in yet. They are still refused when they come from another site.
var free = map[string]bool{
	"/api/v1/session": true, "/api/v1/first-run": true, "/api/v1/password-link": true,
	"/api/v1/passkeys/login/begin": true, "/api/v1/passkeys/login/finish": true,
}

// genuine refuses what another site makes a browser send. A token is proof
// enough: no browser sends one by itself.
func (s *Server) genuine(c *call, r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions || c.token != nil {
		return nil
	}
	if s.origin.Check(r) != nil {
		return record.Errorf(record.Denied, "csrf", "this request comes from another site")
	}
	if c.session == nil || r.Method == http.MethodPost && free[r.URL.Path] {
		return nil
	}
	if !c.session.CheckCSRF(r.Header.Get("X-CSRF-Token")) {
		e := record.Errorf(record.Denied, "csrf", "the request does not prove that it comes from the console")
		e.Hint = "send the header X-CSRF-Token with the value csrf of GET /api/v1/session"
		return e
	}
	return nil
}

func (s *Server) cookieName() string {
	if s.cfg.Secure {
		return "__Host-konbit"
	}
	return "konbit"
}

func (s *Server) deviceName() string {
	if s.cfg.Secure {
		return "__Host-konbit-device"
	}
	return "konbit-device"
}

func (s *Server) ceremonyName() string {
	if s.cfg.Secure {
		return "__Host-konbit-ceremony"
	}
	return "konbit-ceremony"
}

// cookie returns the session's secret, "" when there is none.
func (s *Server) cookie(r *http.Request) string { return cookieOf(r, s.cookieName()) }

func cookieOf(r *http.Request, name string) string {
	if k, err := r.Cookie(name); err == nil {
		return k.Value
	}
	return ""
}

// newCookie makes one for this node's path. No life: until the browser closes.
func (s *Server) newCookie(name, value string, life time.Duration) http.Cookie {
	k := http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: s.cfg.Secure, SameSite: http.SameSiteLaxMode}
	switch {
	case value == "":
		k.MaxAge = -1
	case life > 0:
		k.MaxAge = int(life.Seconds())
	}
	return k
}

// from says where a request comes from.
func (s *Server) from(ctx context.Context) account.From {
	c := callOf(ctx)
	if c.r == nil {
		return account.From{}
	}
	return account.From{Address: s.address(c.r), Agent: c.r.UserAgent(), Session: s.cookie(c.r), Device: cookieOf(c.r, s.deviceName())}
}

// address is the peer's; behind a proxy of ours the one that it names last.
func (s *Server) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if s.cfg.TrustProxy || s.cfg.Processes != nil && s.cfg.Processes.Sibling(r) {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",") // a balancer may add a line of its own
		if last := strings.TrimSpace(all[len(all)-1]); net.ParseIP(last) != nil {
			return last
		}
	}
	return host
}

// compress packs answers to reads on the way out. What is written while it is
// being made, or is packed already, passes as it is.
func (s *Server) compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.CompressionLevel(1), gzhttp.ContentTypes([]string{
		"application/json", "application/geo+json", "application/problem+json", "application/x-ndjson", "application/openapi+json",
		"application/vnd.oai.openapi+json", "text/html", "text/css", "text/javascript", "text/plain", "text/csv", "image/svg+xml"}))
	if err != nil {
		panic(err) // the options are constants
	}
	packed := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		if r.Method != http.MethodGet || p == "/api/v1/feed" || p == "/api/v1/session" || strings.HasPrefix(p, "/assets/") || p == "/basemap.pmtiles" || p == "/metrics" {
			next.ServeHTTP(w, r)
			return
		}
		packed.ServeHTTP(w, r)
	})
}

// notFound answers for a path of the API that is not there, or not for this
// method.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) error {
	var allow []string
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := s.mux.Handler(probe); pattern != "" && strings.Contains(pattern, " ") {
			allow = append(allow, m)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		return notTaken(r.Method)
	}
	p := newProblem(record.NotFound, "there is nothing at this address", nil)
	p.Hint = "the addresses are listed at /docs"
	return p
}

func notTaken(method string) *Problem {
	p := newProblem(record.NotFound, "this address does not take "+method, nil)
	p.Status = http.StatusMethodNotAllowed
	return p
}

// write is for answers that are not JSON.
func write(w http.ResponseWriter, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return errGone
	}
	return nil
}
