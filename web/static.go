package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/record"
)

// pages serves the console from the files of a build.
type pages struct {
	files fs.FS
	mu    sync.Mutex
	tags  map[string]string // file -> ETag
}

func (s *Server) registerStatic() {
	p := &pages{files: s.cfg.UI, tags: map[string]string{}}
	s.handle(huma.Operation{Method: http.MethodGet, Path: "/docs"}, s.docs)
	if s.cfg.BaseMap != "" {
		s.handle(huma.Operation{Method: http.MethodGet, Path: "/basemap.pmtiles"}, s.baseMap)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var err error
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			err = p.serve(w, r)
		} else {
			w.Header().Set("Allow", "GET, HEAD")
			err = notTaken(r.Method)
		}
		if err != nil {
			s.writeError(w, r, err)
		}
	})
}

// serve answers with a file, or with the console for one of its own addresses.
func (p *pages) serve(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	file := path.Ext(name) != "" && !strings.Contains(name, "/") // no address of the console looks like one
	if name == "" {
		name = "index.html"
	}
	if fs.ValidPath(name) && p.files != nil && !strings.HasPrefix(path.Base(name), ".") {
		if info, err := fs.Stat(p.files, name); err == nil && !info.IsDir() {
			return p.file(w, r, name)
		}
	}
	html := strings.Contains(r.Header.Get("Accept"), "text/html")
	if strings.HasPrefix(name, "assets/") || !html || file {
		e := record.Errorf(record.NotFound, "page", "there is nothing at this address")
		e.Hint = "the API's addresses are listed at /docs"
		return e
	}
	if p.files != nil {
		if _, err := fs.Stat(p.files, "index.html"); err == nil {
			return p.file(w, r, "index.html")
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	return write(w, []byte(unbuilt))
}

const unbuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Konbit</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}code{background:#8882;padding:.1em .3em;border-radius:.2em}:root{color-scheme:light dark}</style>
<h1>The node runs, and has no console</h1>
<p>This binary was built without the console's files. Build both with <code>make build</code>, or take a released binary.</p>
<p>The API works: see <a href="/docs">its documentation</a>.</p></html>
`

// file serves one file, compressed as the build left it where the browser takes
// that. Names under assets carry a hash and stay for ever; all others are asked
// for again.
func (p *pages) file(w http.ResponseWriter, r *http.Request, name string) error {
	b, coding, err := p.read(name, r.Header.Get("Accept-Encoding"))
	if err != nil {
		return err
	}
	h := w.Header()
	typ := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) {
	case ".js", ".mjs":
		typ = "text/javascript; charset=utf-8"
	case ".webmanifest":
		typ = "application/manifest+json"
	case ".woff2":
		typ = "font/woff2"
	case "":
		typ = "application/octet-stream"
	}
	if typ != "" {
		h.Set("Content-Type", typ)
	}
	h.Set("Vary", "Accept-Encoding")
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", p.tag(name, coding, b))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	return nil
}

// read returns the smallest form of a file that the browser takes.
func (p *pages) read(name, accept string) (b []byte, coding string, err error) {
	for _, c := range []struct{ name, ext string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(accept, c.name) {
			continue
		}
		b, err := fs.ReadFile(p.files, name+c.ext)
		if err == nil {
			return b, c.name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
	}
	b, err = fs.ReadFile(p.files, name)
	return b, "", err
}

// accepts reads Accept-Encoding (RFC 9110 §12.5.3).
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}

func (p *pages) tag(name, coding string, b []byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := name + "\n" + coding
	if p.tags[key] == "" {
		sum := sha256.Sum256(b)
		p.tags[key] = `"` + hex.EncodeToString(sum[:12]) + `"`
	}
	return p.tags[key]
}
