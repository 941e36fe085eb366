package web

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/record"
)

// typeTitle is the name of a kind's schemas: "incident" -> "Incident",
// "missing.person" -> "MissingPerson".
func typeTitle(k *desk.Kind) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(k.Name, func(c rune) bool { return c == '.' || c == '-' || c == '_' }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func ref(name string) *huma.Schema { return &huma.Schema{Ref: "#/components/schemas/" + name} }

func recordRef(k *desk.Kind) *huma.Schema { return ref(typeTitle(k) + "Record") }

// describe puts the kind's schemas into the document: what its body holds, what
// a record of it looks like, and what a draft needs.
func (s *Server) describe(k *desk.Kind) {
	title := typeTitle(k)
	doc := s.api.OpenAPI()
	all := doc.Components.Schemas.Map()
	words := s.cfg.Desks.Labels(k.Desk)
	if !slices.ContainsFunc(doc.Tags, func(t *huma.Tag) bool { return t.Name == k.Name }) {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: k.Name, Description: words["kinds."+k.Name].EN})
	}
	body := toSchema(k.Schema())
	label(body, "", func(path string) string { return words["field."+k.Name+"."+path].EN })
	all[title+"Body"] = body

	s.schema(record.Header{})
	header := all["Header"]
	rec := &huma.Schema{Type: "object", Properties: maps.Clone(header.Properties), Required: append(slices.Clone(header.Required), "body")}
	rec.Properties["body"] = ref(title + "Body")
	rec.Properties["kind"] = &huma.Schema{Type: "string", Enum: []any{k.Name}}
	states := &huma.Schema{Type: "string"}
	for _, st := range k.States() {
		states.Enum = append(states.Enum, st)
	}
	rec.Properties["state"] = states
	all[title+"Record"] = rec

	draft := &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{}, Required: []string{"observed", "marking", "body"}, AdditionalProperties: false}
	for _, name := range []string{"id", "observed", "marking", "place", "links", "attachments", "key", "flags", "note"} {
		draft.Properties[name] = header.Properties[name]
	}
	draft.Properties["id"] = &huma.Schema{Type: "string", Format: "uuid", Description: "A UUID of version 7, made by you, so that a retry is harmless. Left out: the node makes one."}
	draft.Properties["body"] = ref(title + "Body")
	all[title+"Draft"] = draft

	all[title+"Page"] = &huma.Schema{Type: "object", Required: []string{"items"}, Properties: map[string]*huma.Schema{
		"items":         {Type: "array", Items: recordRef(k)},
		"next":          {Type: "string", Description: "Cursor of the next page; left out at the end"},
		"purposeNeeded": {Type: "boolean", Description: "Protected records are left out until you say why you look"},
	}}
	if k.Named() {
		text := &huma.Schema{Type: "string"}
		all[title+"Page"].Properties["matches"] = &huma.Schema{Type: "array", Description: "Of a search with name: what is alike, in the order of items", Items: &huma.Schema{
			Type: "object", Required: []string{"id", "name", "score", "why"}, Properties: map[string]*huma.Schema{
				"id": {Type: "string", Format: "uuid"}, "name": {Type: "string", Description: "The one of the person's names that is the most like the one that was asked for"},
				"score": {Type: "number", Description: "0 to 1"}, "why": {Type: "array", Items: text}}}}
	}
}

// actSchema describes the body of a command.
func (s *Server) actSchema(k *desk.Kind, command string) *huma.Schema {
	note := &huma.Schema{Type: "string", Description: "Why, in your words"}
	sc := &huma.Schema{Type: "object", AdditionalProperties: false, Properties: map[string]*huma.Schema{
		"command": {Type: "string", Format: "uuid", Description: "A UUID of version 7 that names this act, so that a retry is harmless"}, "note": note}}
	switch args := k.ArgsSchema(command); {
	case command == desk.Mark:
		sc.Properties["args"] = s.schema(record.Marking{})
		sc.Required = []string{"args"}
	case command == desk.Erase:
		note.Description = "On what ground the content is erased"
		sc.Required = []string{"note"}
	case args != nil:
		words := s.cfg.Desks.Labels(k.Desk)
		a := toSchema(args)
		label(a, "", func(path string) string { return words["arg."+k.Name+"."+command+"."+path].EN })
		sc.Properties["args"] = a
		if len(a.Required) > 0 {
			sc.Required = []string{"args"}
		}
	}
	return sc
}

// toSchema turns a JSON Schema into the document's type. A desk's schema is a
// literal of the program, so it always fits.
func toSchema(m map[string]any) *huma.Schema {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return readSchema(b)
}

func readSchema(b []byte) *huma.Schema {
	var raw struct {
		Type, Format, Description, Pattern string
		Enum, Required                     []string
		Minimum, Maximum                   *float64
		MinLength, MaxLength               *float64
		MinItems, MaxItems                 *float64
		Properties                         map[string]json.RawMessage
		Items                              json.RawMessage
		AdditionalProperties               *bool
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		panic(err)
	}
	whole := func(v *float64) *int {
		if v == nil {
			return nil
		}
		n := int(*v)
		return &n
	}
	sc := &huma.Schema{Type: raw.Type, Format: raw.Format, Description: raw.Description, Pattern: raw.Pattern, Required: raw.Required,
		Minimum: raw.Minimum, Maximum: raw.Maximum, MinLength: whole(raw.MinLength), MaxLength: whole(raw.MaxLength), MinItems: whole(raw.MinItems), MaxItems: whole(raw.MaxItems)}
	for _, v := range raw.Enum {
		sc.Enum = append(sc.Enum, v)
	}
	if raw.AdditionalProperties != nil {
		sc.AdditionalProperties = *raw.AdditionalProperties
	}
	if raw.Items != nil {
		sc.Items = readSchema(raw.Items)
	}
	if raw.Properties != nil {
		sc.Properties = map[string]*huma.Schema{}
		for name, p := range raw.Properties {
			sc.Properties[name] = readSchema(p)
		}
	}
	return sc
}

// label describes each field by its English name.
func label(sc *huma.Schema, path string, word func(string) string) {
	for name, p := range sc.Properties {
		at := name
		if path != "" {
			at = path + "." + name
		}
		if w := word(at); w != "" && p.Description == "" {
			p.Description = w
		}
		label(p, at, word)
		if p.Items != nil {
			label(p.Items, at, word)
		}
	}
}
