package web

import (
	"html/template"
	"maps"
	"slices"

	"konbit/desk"
	"konbit/query"
)

// ogcPage is a resource of the OGC API as a person reads it.
type ogcPage struct {
	Base    string
	Title   string
	Words   string
	Links   []ogcLink
	Columns []string
	Rows    [][]ogcCell
}

type ogcCell struct{ Text, Href string }

var ogcTemplate = template.Must(template.New("ogc").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0;overflow-wrap:anywhere}</style></head>
<body><p><a href="{{.Base}}/?f=html">OGC API</a> · <a href="{{.Base}}/collections?f=html">collections</a></p>
<h1>{{.Title}}</h1>
{{with .Words}}<p>{{.}}</p>{{end}}
{{if .Rows}}<table>{{with .Columns}}<tr>{{range .}}<th>{{.}}</th>{{end}}</tr>{{end}}
{{range .Rows}}<tr>{{range .}}<td>{{if .Href}}<a href="{{.Href}}">{{.Text}}</a>{{else}}{{.Text}}{{end}}</td>{{end}}</tr>
{{end}}</table>{{end}}
<h2>Links</h2><ul>{{range .Links}}<li>{{.Rel}}: <a href="{{.Href}}">{{or .Title .Href}}</a></li>{{end}}</ul>
</body></html>
`))

type object = map[string]any

// ogcDocument is the definition of the OGC part alone, in OpenAPI 3.0, as the
// conformance class oas30 asks for (OGC 17-069r4 §9).
func (s *Server) ogcDocument(base string) object {
	paths := object{
		"/":            ogcGet("getLandingPage", "The landing page", "application/json", nil, ""),
		"/conformance": ogcGet("getConformance", "What it conforms to", "application/json", nil, ""),
		"/api":         ogcGet("getAPI", "This definition", openAPI30, nil, ""),
		"/collections": ogcGet("getCollections", "The collections", "application/json", nil, ""),
	}
	tags := []object{}
	for _, name := range s.cfg.Desks.KindNames() {
		k := s.cfg.Desks.Kind(name)
		if !k.Placed() {
			continue
		}
		title := s.cfg.Desks.Labels(k.Desk)["kinds."+name].EN
		tags = append(tags, object{"name": name, "description": title})
		at := "/collections/" + name
		paths[at] = ogcGet("describe-"+name, "About "+title, "application/json", nil, name)
		paths[at+"/items"] = ogcGet("items-"+name, title, geoJSON, ogcItemParams(k), name)
		id := object{"name": "featureId", "in": "path", "required": true, "schema": object{"type": "string", "format": "uuid"}}
		paths[at+"/items/{featureId}"] = ogcGet("item-"+name, "One of "+title, geoJSON, []object{id}, name)
	}
	return object{
		"openapi":    "3.0.3",
		"info":       object{"title": s.cfg.Node.Name, "version": "1.0", "description": "Records that have a place, as OGC API - Features.", "license": object{"name": "Apache-2.0"}},
		"servers":    []object{{"url": base}},
		"security":   []object{{"token": []string{}}},
		"tags":       tags,
		"paths":      paths,
		"components": object{"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}}},
	}
}

func ogcGet(id, summary, media string, params []object, tag string) object {
	params = append(slices.Clone(params),
		object{"name": "f", "in": "query", "description": "The form of the answer", "schema": object{"type": "string", "enum": []string{"json", "html"}}},
		object{"name": "purpose", "in": "query", "description": "Why you look, for records that are protected", "schema": object{"type": "string", "maxLength": maxPurpose}})
	op := object{
		"operationId": id, "summary": summary, "parameters": params,
		"responses": object{
			"200":     object{"description": summary, "content": object{media: object{"schema": object{"type": "object"}}, "text/html": object{"schema": object{"type": "string"}}}},
			"default": object{"description": "A problem (RFC 9457)", "content": object{"application/problem+json": object{"schema": object{"type": "object"}}}},
		},
	}
	if tag != "" {
		op["tags"] = []string{tag}
	}
	return object{"get": op}
}

// ogcItemParams describes the parameters of a page.
func ogcItemParams(k *desk.Kind) []object {
	text := object{"type": "string"}
	of := func(values []string) object {
		items := object{"type": "string"}
		if values != nil {
			items["enum"] = values
		}
		return object{"type": "array", "items": items}
	}
	param := func(name, doc string, schema object) object {
		return object{"name": name, "in": "query", "required": false, "description": doc, "schema": schema, "style": "form", "explode": false}
	}
	numbers := object{"type": "array", "minItems": 4, "maxItems": 6, "items": object{"type": "number"}}
	ps := []object{
		param("limit", "Features of a page", object{"type": "integer", "minimum": 1, "maximum": query.MaxPage, "default": ogcLimit}),
		param("bbox", "West, south, east, north in degrees; six numbers with heights, which are not used", numbers),
		param("datetime", "Observed at a time, or within start/end; .. leaves an end open", text),
		param("cursor", "From the link to the next page", text),
		param("state", "In one of these states", of(k.States())),
		param("owner", "Of one of these agencies", of(nil)),
	}
	filters := ogcFilters(k)
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		ps = append(ps, param(name, "With one of these values", of(filters[name].Enum)))
	}
	return ps
}
