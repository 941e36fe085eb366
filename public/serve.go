package public

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"konbit/desk"
	"konbit/wire/cap"
)

// Addresses of photographs are good for this quarter of an hour and the next.
const photoWindow = 15 * time.Minute

// freshFor is how long a cache between us and a reader may show what it has. What is
// taken down is gone from everywhere within it.
const freshFor = 10 * time.Second

// Handler answers residents.
//
//	GET /                     all notices; ?l=ht|fr|es|en, ?near=PLACE
//	GET /n/{id}               one notice, or that it has ended
//	GET /n/{id}/{document}    the same for programs
//	GET /alerts.atom          feeds by sort and language; also people.atom, .rss
//	GET /photo/{id}/{window}/{proof}
func (b *Board) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.getIndex)
	mux.HandleFunc("GET /n/{id}", b.getNotice)
	mux.HandleFunc("GET /n/{id}/{document}", b.getDocument)
	for _, s := range sorts {
		mux.HandleFunc("GET /"+s+".atom", b.getFeed(s, cap.Atom, cap.AppendAtom))
		mux.HandleFunc("GET /"+s+".rss", b.getFeed(s, cap.RSS, cap.AppendRSS))
	}
	mux.HandleFunc("GET /photo/{id}/{window}/{proof}", b.getPhoto)
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "User-agent: *\nDisallow: /n/\nDisallow: /photo/\n")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		b.notFound(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
		// Search engines keep what we take down.
		h.Set("X-Robots-Tag", "noindex, noarchive, nosnippet, noimageindex")
		mux.ServeHTTP(w, r)
	})
}

var matcher = language.NewMatcher([]language.Tag{language.MustParse("ht"), language.French, language.Spanish, language.English})

// lang is the language of an answer: the one that is asked for, else one that the browser
// names, else Kreyòl.
func lang(r *http.Request) string {
	if l := r.FormValue("l"); slices.Contains(desk.Langs, l) {
		return l
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil || len(tags) == 0 {
		return "ht"
	}
	_, i, _ := matcher.Match(tags...)
	return desk.Langs[i]
}

func (b *Board) window() int64 { return b.cfg.Now().Unix() / int64(photoWindow/time.Second) }

func (b *Board) getIndex(w http.ResponseWriter, r *http.Request) {
	ed, l, near, win := b.shown.Load(), lang(r), strings.TrimSpace(r.FormValue("near")), b.window()
	if len(near) > 80 {
		near = strings.ToValidUTF8(near[:80], "")
	}
	var m *made
	if near == "" {
		m = ed.made.get("/ "+l, win, func() []byte { return b.index(ed, l, "", win) })
	} else {
		m = newMade(b.index(ed, l, near, win), win)
	}
	b.give(w, r, m, "text/html; charset=utf-8", http.StatusOK)
}

func (b *Board) getNotice(w http.ResponseWriter, r *http.Request) {
	ed, l, win := b.shown.Load(), lang(r), b.window()
	e := ed.byID[r.PathValue("id")]
	if e == nil {
		b.notFound(w, r)
		return
	}
	b.give(w, r, ed.made.get("/n/"+e.id+" "+l, win, func() []byte { return b.page(e, l, win) }), "text/html; charset=utf-8", http.StatusOK)
}

func (b *Board) notFound(w http.ResponseWriter, r *http.Request) {
	ed, l := b.shown.Load(), lang(r)
	b.give(w, r, ed.made.get("none "+l, 0, func() []byte { return b.missing(l) }), "text/html; charset=utf-8", http.StatusNotFound)
}

// endings are those of documents' addresses.
var endings = map[string]string{"application/cap+xml": "cap.xml", "application/pfif+xml": "pfif.xml", "application/geo+json": "geojson"}

// document is the address of one.
func document(e *entry, i int) string {
	end := endings[e.Documents[i].Type]
	if end == "" {
		end = "txt"
	}
	return fmt.Sprintf("/n/%s/%d.%s", e.id, i, end)
}

func (b *Board) getDocument(w http.ResponseWriter, r *http.Request) {
	ed := b.shown.Load()
	if e := ed.byID[r.PathValue("id")]; e != nil {
		for i, d := range e.Documents {
			if document(e, i) == r.URL.Path {
				b.give(w, r, ed.made.get(r.URL.Path, 0, func() []byte { return d.Body }), d.Type, http.StatusOK)
				return
			}
		}
	}
	b.notFound(w, r)
}

// give writes an answer, or that the reader has it.
func (b *Board) give(w http.ResponseWriter, r *http.Request, m *made, mediaType string, status int) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(freshFor/time.Second))+", must-revalidate")
	h.Add("Vary", "Accept-Language, Accept-Encoding")
	body, tag := m.body, m.tag
	if m.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, tag = m.packed, strings.TrimSuffix(m.tag, `"`)+`-z"`
	}
	h.Set("ETag", tag)
	if status == http.StatusOK && slices.Contains(strings.FieldsFunc(r.Header.Get("If-None-Match"), func(c rune) bool { return c == ',' || c == ' ' }), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// photo is the address of a notice's photograph in a window.
func (b *Board) photo(e *entry, window int64) string {
	return fmt.Sprintf("/photo/%s/%d/%s", e.id, window, b.proof(e, window))
}

// proof shows that an address was made by us, for this photograph and this window.
func (b *Board) proof(e *entry, window int64) string {
	m := hmac.New(sha256.New, b.secret)
	fmt.Fprintf(m, "photo %s %s %d", e.id, e.Photo, window)
	return hex.EncodeToString(m.Sum(nil)[:12])
}

// getPhoto gives a photograph that is public now, at an address of now.
func (b *Board) getPhoto(w http.ResponseWriter, r *http.Request) {
	e, now := b.shown.Load().byID[r.PathValue("id")], b.window()
	win, err := strconv.ParseInt(r.PathValue("window"), 10, 64)
	if e == nil || err != nil || e.Photo == "" || b.cfg.Photo == nil || win != now && win != now-1 || !hmac.Equal([]byte(r.PathValue("proof")), []byte(b.proof(e, win))) {
		b.notFound(w, r)
		return
	}
	f, mediaType, err := b.cfg.Photo(e.Photo)
	if err != nil {
		b.notFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// getFeed answers with an Atom or RSS feed.
func (b *Board) getFeed(sort, kind string, write func([]byte, *cap.Feed) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ed, l := b.shown.Load(), lang(r)
		m := ed.made.get(kind+" "+sort+" "+l, 0, func() []byte { return write(nil, b.feed(ed, sort, l)) })
		b.give(w, r, m, "application/"+kind+"+xml; charset=utf-8", http.StatusOK)
	}
}

// feed lists the notices of a sort. What has ended stays in it as long as its page does, so
// that a reader's copy is replaced by it.
func (b *Board) feed(ed *edition, sort, l string) *cap.Feed {
	self := b.cfg.URL + "/" + sort + ".atom"
	title := words[sort].In(l) + " · " + b.cfg.Name
	f := &cap.Feed{ID: self, Lang: l, Title: title, Summary: title, Author: b.cfg.Name,
		Links: []cap.Link{{Href: b.cfg.URL + "/?l=" + l, Rel: "alternate", Type: "text/html"}, {Href: self + "?l=" + l, Rel: "self", Type: "application/atom+xml"}}}
	for _, e := range ed.all {
		if e.Sort != sort {
			continue
		}
		it := b.item(e, l, 0)
		if e.changed.After(f.Updated) {
			f.Updated = e.changed
		}
		links := []cap.Link{{Href: b.cfg.URL + it.Href, Rel: "alternate", Type: "text/html"}}
		for _, d := range it.Documents {
			links = append(links, cap.Link{Href: b.cfg.URL + d.Href, Rel: "enclosure", Type: d.Type})
		}
		f.Entries = append(f.Entries, cap.Entry{ID: b.cfg.URL + "/n/" + e.id, Title: it.Title, Author: b.owner(e.owner), Updated: e.changed.UTC(), Links: links,
			Summary: strings.TrimSpace(it.Areas + "\n" + it.Text)})
	}
	if f.Updated.IsZero() {
		f.Updated = ed.at
	}
	f.Updated = f.Updated.UTC()
	return f
}
