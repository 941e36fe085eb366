package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

// docTag is a group of operations.
type docTag struct {
	Name, Text string
	Ops        []docOp
}

// docOp is an operation as the page shows it.
type docOp struct {
	ID, Method, Path, Summary, Text string
	Params                          []*huma.Param
	Body                            []docBody
	Answers                         []docBody
	Open                            bool
	Curl                            string
}

type docBody struct {
	Status, Text, Type string
	Schema             *huma.Schema
}

var docsTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("docs").Funcs(template.FuncMap{"typeOf": typeOf, "sorted": properties, "required": func(s *huma.Schema, name string) bool { return slices.Contains(s.Required, name) }}).Parse(docsPage))
})

// docs renders the document as a page that loads nothing from elsewhere.
func (s *Server) docs(w http.ResponseWriter, r *http.Request) error {
	doc := s.api.OpenAPI()
	groups := map[string]*docTag{}
	var order []string
	for _, t := range doc.Tags {
		groups[t.Name] = &docTag{Name: t.Name, Text: t.Description}
		order = append(order, t.Name)
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if o == nil {
				continue
			}
			tag := "other"
			if len(o.Tags) > 0 {
				tag = o.Tags[0]
			}
			if groups[tag] == nil {
				groups[tag] = &docTag{Name: tag}
				order = append(order, tag)
			}
			groups[tag].Ops = append(groups[tag].Ops, s.docOp(r, path, o))
		}
	}
	var tags []*docTag
	for _, name := range order {
		if len(groups[name].Ops) > 0 {
			tags = append(tags, groups[name])
		}
	}
	var b bytes.Buffer
	err := docsTemplate().Execute(&b, map[string]any{"Title": doc.Info.Title, "Version": doc.Info.Version, "Text": doc.Info.Description, "Tags": tags, "Schemas": doc.Components.Schemas.Map(),
		"Names": slices.Sorted(maps.Keys(doc.Components.Schemas.Map()))})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	return write(w, b.Bytes())
}

func (s *Server) docOp(r *http.Request, path string, o *huma.Operation) docOp {
	d := docOp{ID: o.OperationID, Method: o.Method, Path: path, Summary: o.Summary, Text: o.Description, Params: o.Parameters, Open: o.Security != nil && len(o.Security) == 0}
	if o.RequestBody != nil {
		d.Body = bodies("", o.RequestBody.Description, o.RequestBody.Content)
	}
	for _, code := range slices.Sorted(maps.Keys(o.Responses)) {
		res := o.Responses[code]
		if bs := bodies(code, res.Description, res.Content); len(bs) > 0 {
			d.Answers = append(d.Answers, bs...)
		} else {
			d.Answers = append(d.Answers, docBody{Status: code, Text: res.Description})
		}
	}
	d.Curl = s.curl(r, path, o)
	return d
}

func bodies(status, text string, content map[string]*huma.MediaType) []docBody {
	var out []docBody
	for _, typ := range slices.Sorted(maps.Keys(content)) {
		out = append(out, docBody{status, text, typ, content[typ].Schema})
		status, text = "", ""
	}
	return out
}

// curl writes a command that somebody can try.
func (s *Server) curl(r *http.Request, path string, o *huma.Operation) string {
	scheme := "http"
	if s.cfg.Secure {
		scheme = "https"
	}
	var b strings.Builder
	b.WriteString("curl")
	if o.Method != http.MethodGet {
		b.WriteString(" -X " + o.Method)
	}
	if o.Security == nil || len(o.Security) > 0 {
		b.WriteString(` -H "Authorization: Bearer $KONBIT_TOKEN"`)
	}
	for _, p := range o.Parameters {
		if p.In == "header" && p.Required {
			fmt.Fprintf(&b, " -H '%s: \"1\"'", p.Name)
		}
	}
	if o.RequestBody != nil {
		if mt := o.RequestBody.Content["application/json"]; mt != nil {
			example, err := json.Marshal(s.example(mt.Schema, 0))
			if err == nil {
				b.WriteString(" \\\n  -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(string(example), "'", `'\''`) + "'")
			}
		} else {
			b.WriteString(" --data-binary @FILE")
		}
	}
	path = strings.NewReplacer("{id}", "ID", "{hash}", "HASH").Replace(path)
	b.WriteString(" \\\n  " + scheme + "://" + r.Host + path)
	return b.String()
}

// example makes a value that fits a schema: what must be there, and little else.
func (s *Server) example(sc *huma.Schema, depth int) any {
	if sc == nil || depth > 6 {
		return nil
	}
	if sc.Ref != "" {
		return s.example(s.api.OpenAPI().Components.Schemas.SchemaFromRef(sc.Ref), depth+1)
	}
	if len(sc.Examples) > 0 {
		return sc.Examples[0]
	}
	if len(sc.Enum) > 0 {
		return sc.Enum[len(sc.Enum)-1]
	}
	switch sc.Type {
	case "object":
		m := map[string]any{}
		for _, name := range sc.Required {
			m[name] = s.example(sc.Properties[name], depth+1)
		}
		return m
	case "array":
		return []any{}
	case "integer", "number":
		if sc.Minimum != nil {
			return *sc.Minimum
		}
		return 0
	case "boolean":
		return false
	case "string":
		switch sc.Format {
		case "date-time":
			return "2026-05-01T14:02:00Z"
		case "uuid":
			return "0196891a-2f40-7c3a-9c1e-5a0f6b7c8d9e"
		}
		return "..."
	}
	return map[string]any{}
}

// typeOf says in a word what a schema is.
func typeOf(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Type == "array":
		return "list of " + typeOf(s.Items)
	case len(s.Enum) > 0:
		var words []string
		for _, v := range s.Enum {
			words = append(words, fmt.Sprint(v))
		}
		return strings.Join(words, " | ")
	case s.Type == "":
		return "any"
	}
	t := s.Type
	if s.Format != "" {
		t = s.Format
	}
	if s.MaxLength != nil {
		t += fmt.Sprintf(", at most %d characters", *s.MaxLength)
	}
	if s.Minimum != nil {
		t += fmt.Sprintf(", from %g", *s.Minimum)
	}
	if s.Maximum != nil {
		t += fmt.Sprintf(", to %g", *s.Maximum)
	}
	return t
}

func properties(s *huma.Schema) []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Properties))
}
