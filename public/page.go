package public

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"konbit/desk"
	"konbit/store"
)

// style is all of it: light and dark, one column, made for a small screen.
const style = `:root{color-scheme:light dark;--tx:#16191d;--mut:#555e68;--bg:#fff;--line:#d5dae0;--acc:#0b57c2;--bad:#a8140c}
@media(prefers-color-scheme:dark){:root{--tx:#e9edf1;--mut:#a3adb8;--bg:#101418;--line:#333b44;--acc:#7db4ff;--bad:#ff9a90}}
*{box-sizing:border-box}body{margin:0 auto;max-width:44rem;padding:0 1rem 2rem;font:17px/1.5 system-ui,sans-serif;color:var(--tx);background:var(--bg);overflow-wrap:anywhere}
a{color:var(--acc)}header,footer{padding:.8rem 0;color:var(--mut)}header{border-bottom:1px solid var(--line)}footer{border-top:1px solid var(--line);font-size:.9rem}
nav a,nav b{display:inline-block;padding:.35rem .6rem .35rem 0;min-width:2.2rem}h1{font-size:1.45rem;line-height:1.25;margin:1rem 0 .5rem}h2{font-size:1.15rem;margin:1.6rem 0 .4rem}
ul{list-style:none;padding:0;margin:0}li{border-bottom:1px solid var(--line);padding:.7rem 0}li>a{font-weight:600;display:block}.mut{color:var(--mut)}.bad{color:var(--bad);font-weight:600}
dl{margin:.6rem 0}dt{color:var(--mut);font-size:.9rem;margin-top:.5rem}dd{margin:0}img{max-width:100%;max-height:24rem;border-radius:6px}p{white-space:pre-line}
form{display:flex;gap:.5rem;margin:.8rem 0;flex-wrap:wrap;align-items:end}label{flex:1 1 12rem}input,button{font:inherit;padding:.5rem .7rem;border:1px solid var(--mut);border-radius:6px;background:transparent;color:inherit;width:100%}button{width:auto;font-weight:600}`

// policy allows what the pages have, and nothing else.
var policy = func() string {
	h := sha256.Sum256([]byte(style))
	return "default-src 'none'; img-src 'self'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(h[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

var templates = template.Must(template.New("").Parse(`{{define "top"}}<!DOCTYPE html><html lang="{{.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{{.Title}} · {{.Name}}</title><style>{{.Style}}</style><link rel="alternate" type="application/atom+xml" href="/alerts.atom?l={{.Lang}}"></head><body><header><nav aria-label="{{.W "title"}}">{{range .Langs}}{{if .Here}}<b lang="{{.Code}}">{{.Word}}</b>{{else}}<a lang="{{.Code}}" href="{{.Href}}">{{.Word}}</a>{{end}}{{end}}</nav>{{.Name}}{{if .Demo}}<p class="bad">DEMO · {{.W "demo"}}</p>{{end}}</header><main>{{end}}
{{define "end"}}</main><footer><h2>{{.W "data"}}</h2><p>{{.W "dataText"}}</p></footer></body></html>{{end}}
{{define "index"}}{{template "top" .}}<h1>{{.W "title"}}</h1><form action="/"><label>{{.W "near"}}<input name="near" value="{{.Near}}" maxlength="80"></label><input type="hidden" name="l" value="{{.Lang}}"><button>{{.W "show"}}</button></form>
{{if and .Near .Empty}}<p>{{.W "noneNear"}} <a href="/?l={{.Lang}}">{{.W "all"}}</a></p>{{end}}
{{range .Parts}}<h2>{{.Word}}</h2>{{if .Items}}<ul>{{range .Items}}<li><a href="{{.Href}}">{{.Title}}</a><span class="mut">{{.Areas}}{{if and .Areas .Since}} · {{end}}{{.Since}}</span></li>{{end}}</ul>{{else}}<p class="mut">{{$.W "none"}}</p>{{end}}{{end}}{{template "end" .}}{{end}}
{{define "notice"}}{{template "top" .}}<p><a href="/?l={{.Lang}}">← {{.W "back"}}</a></p>{{with .Item}}<h1>{{.Title}}</h1>{{if .Ended}}<p class="mut">{{$.W "gone"}}</p>{{else}}{{if .Photo}}<img src="{{.Photo}}" alt="{{$.W "photo"}}">{{end}}{{if .Text}}<p>{{.Text}}</p>{{end}}<dl>{{if .Areas}}<dt>{{$.W "area"}}</dt><dd>{{.Areas}}</dd>{{end}}{{if .Since}}<dt>{{$.W .SinceWord}}</dt><dd>{{.Since}}</dd>{{end}}{{if .Until}}<dt>{{$.W "until"}}</dt><dd>{{.Until}}</dd>{{end}}{{range .Facts}}<dt>{{.Label}}</dt><dd>{{.Value}}</dd>{{end}}{{if .Contact}}<dt>{{$.W "contact"}}</dt><dd class="bad">{{if .Call}}<a href="tel:{{.Call}}">{{.Contact}}</a>{{else}}{{.Contact}}{{end}}</dd>{{end}}<dt>{{$.W "by"}}</dt><dd>{{.Owner}}</dd>{{if .Documents}}<dt>{{$.W "program"}}</dt><dd>{{range .Documents}}<a href="{{.Href}}">{{.Type}}</a> {{end}}</dd>{{end}}</dl>{{if .Photo}}<p class="mut">{{$.W "share"}}</p>{{end}}{{end}}{{end}}{{template "end" .}}{{end}}
{{define "none"}}{{template "top" .}}<h1>{{.W "noPage"}}</h1><p><a href="/?l={{.Lang}}">{{.W "back"}}</a></p>{{template "end" .}}{{end}}`))

// view is what a template is given.
type view struct {
	Lang, Title, Name, Near string
	Style                   template.CSS
	Langs                   []langLink
	Parts                   []part
	Item                    *item
	Empty, Demo             bool
}

// W is a word of the pages in the reader's language.
func (v *view) W(key string) string { return words[key].In(v.Lang) }

type langLink struct {
	Code, Word, Href string
	Here             bool
}

type part struct {
	Word  string
	Items []*item
}

type item struct {
	Href, Title, Text, Areas, Since, SinceWord, Until, Photo, Contact, Owner, Ended string
	Call                                                                            string // a telephone number, if the contact is one
	Facts                                                                           []line
	Documents                                                                       []link
}

type line struct{ Label, Value string }

type link struct{ Type, Href string }

var langNames = map[string]string{"ht": "Kreyòl", "fr": "Français", "es": "Español", "en": "English"}

// view begins one; path is the page's own, with what it is asked.
func (b *Board) view(lang, title, path string) *view {
	v := &view{Lang: lang, Title: title, Name: b.cfg.Name, Demo: b.cfg.Demo, Style: template.CSS(style)}
	for _, l := range desk.Langs {
		v.Langs = append(v.Langs, langLink{l, langNames[l], path + "l=" + l, l == lang})
	}
	return v
}

// in is a text in a language, or in the first that it has.
func in(t desk.Text, lang string) string {
	return cmp.Or(t.In(lang), t.HT, t.FR, t.ES, t.EN)
}

// when writes a time as people here do, in the time of the island.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(island).Format("02/01/2006 15:04")
}

// island is the time of the day in Haiti in winter and in the Dominican Republic always.
var island = time.FixedZone("UTC-4", -4*3600)

// number is a telephone number and nothing else.
var number = regexp.MustCompile(`^[+]?[0-9][0-9 -]{2,20}$`)

// item is a notice as it is shown. window names the quarter of an hour for which addresses
// of photographs are made.
func (b *Board) item(e *entry, lang string, window int64) *item {
	it := &item{Href: "/n/" + e.id + "?l=" + lang, Ended: e.Ended}
	if e.Ended != "" {
		it.Title = cmp.Or(b.label(e, e.Ended, lang), words["ended"].In(lang))
		return it
	}
	it.Title, it.Text = in(e.Title, lang), in(e.Text, lang)
	it.Areas = strings.Join(e.Areas, ", ")
	it.Since, it.SinceWord, it.Until = when(e.Since), "since", when(e.Until)
	if e.Sort == desk.People {
		it.SinceWord = "seen"
	}
	if number.MatchString(e.Contact) {
		it.Call = e.Contact
	}
	it.Contact, it.Owner = e.Contact, b.owner(e.owner)
	for _, f := range e.Facts {
		if v := in(f.Text, lang); v != "" {
			it.Facts = append(it.Facts, line{cmp.Or(b.label(e, f.Label, lang), f.Label), v})
		}
	}
	if e.Photo != "" && b.cfg.Photo != nil {
		it.Photo = b.photo(e, window)
	}
	for i, d := range e.Documents {
		it.Documents = append(it.Documents, link{d.Type, document(e, i)})
	}
	return it
}

func (b *Board) label(e *entry, key, lang string) string {
	return in(b.cfg.Desks.Labels(e.kind.Desk)[key], lang)
}

// owner is the name of an agency.
func (b *Board) owner(agency string) string {
	if b.cfg.Owner == nil {
		return agency
	}
	return cmp.Or(b.cfg.Owner(agency), agency)
}

// sorts are the parts of the first page, in their order.
var sorts = []string{desk.Alerts, desk.People}

func (b *Board) index(ed *edition, lang, near string, window int64) []byte {
	v := b.view(lang, words["title"].In(lang), "/?")
	v.Near, v.Empty = near, true
	for _, s := range sorts {
		p := part{Word: words[s].In(lang)}
		for _, e := range ed.all {
			if e.Sort == s && e.Ended == "" && (near == "" || e.near(near)) {
				p.Items = append(p.Items, b.item(e, lang, window))
				v.Empty = false
			}
		}
		v.Parts = append(v.Parts, p)
	}
	return b.render("index", v)
}

// fold makes words alike that people spell differently.
func fold(s string) string { return strings.Join(store.Fold(s), " ") }

// near reports whether a notice is about a place that somebody has typed. What has
// ended is about no place.
func (e *entry) near(place string) bool {
	place = fold(place)
	for _, a := range e.Areas {
		if strings.Contains(fold(a), place) {
			return true
		}
	}
	for _, p := range e.PCodes {
		if len(place) > 1 && strings.HasPrefix(fold(p), place) {
			return true
		}
	}
	return false
}

func (b *Board) page(e *entry, lang string, window int64) []byte {
	it := b.item(e, lang, window)
	v := b.view(lang, it.Title, "/n/"+e.id+"?")
	v.Item = it
	return b.render("notice", v)
}

func (b *Board) missing(lang string) []byte {
	return b.render("none", b.view(lang, words["noPage"].In(lang), "/?"))
}

func (b *Board) render(name string, v *view) []byte {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, v); err != nil {
		b.cfg.Log.Error("public pages", "page", name, "error", err) // a fault of ours: writing to memory does not fail
	}
	return out.Bytes()
}

// made is an answer that was made once and is given many times.
type made struct {
	body, packed []byte
	tag          string
	window       int64
}

func newMade(body []byte, window int64) *made {
	h := sha256.Sum256(body)
	m := &made{body: body, tag: `"` + hex.EncodeToString(h[:12]) + `"`, window: window}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(body) // to memory
	if w.Close() == nil && z.Len() < len(body) {
		m.packed = z.Bytes()
	}
	return m
}

// cache keeps what was made of one edition.
type cache struct {
	mu sync.Mutex
	m  map[string]*made
}

// get makes what is not there yet, or was made for another window. Only answers of a
// bounded number of keys go through it.
func (c *cache) get(key string, window int64, produce func() []byte) *made {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.m[key]
	if m == nil || m.window != window {
		if c.m == nil {
			c.m = map[string]*made{}
		}
		m = newMade(produce(), window)
		c.m[key] = m
	}
	return m
}
