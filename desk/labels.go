package desk

import (
	"fmt"
	"io/fs"

	"github.com/goccy/go-yaml"
)

// Text is one label in the four languages of the region.
type Text struct {
	HT string `json:"ht" yaml:"ht"`
	FR string `json:"fr" yaml:"fr"`
	ES string `json:"es" yaml:"es"`
	EN string `json:"en" yaml:"en"`
}

// Langs lists the language codes of Text.
var Langs = []string{"ht", "fr", "es", "en"}

// In returns the text in a language, English where it is not one of Langs.
func (t Text) In(lang string) string {
	switch lang {
	case "ht":
		return t.HT
	case "fr":
		return t.FR
	case "es":
		return t.ES
	}
	return t.EN
}

// Complete reports whether every language has its word.
func (t Text) Complete() bool { return t.HT != "" && t.FR != "" && t.ES != "" && t.EN != "" }

// ReadLabels reads labels.yaml: a flat map of keys to Text.
func ReadLabels(files fs.FS) (map[string]Text, error) {
	if files == nil {
		return nil, fmt.Errorf("no labels: embed labels.yaml")
	}
	b, err := fs.ReadFile(files, "labels.yaml")
	if err != nil {
		return nil, err
	}
	var m map[string]Text
	if err := yaml.UnmarshalWithOptions(b, &m, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("labels.yaml: %w", err)
	}
	return m, nil
}

// LabelKeys lists the keys that the labels of d must hold:
//
//	desk                        the desk's name
//	kind.KIND, kinds.KIND       one record, many records
//	state.KIND.STATE            a state
//	command.KIND.COMMAND        an act, as on a button ("Verify")
//	done.KIND.COMMAND           the act in a timeline ("verified it")
//	field.KIND.FIELD            a field; nested ones and those of rows are joined by dots
//	value.KIND.FIELD.VALUE      a value of an enumerated field
//	section.KIND.SECTION        a section of the form
//	arg.KIND.COMMAND.FIELD      an argument of a command, enumerated values below it
//	flag.KIND.FLAG              a flag that the kind's handlers set
func LabelKeys(d *Desk) []string {
	keys := []string{"desk"}
	for _, k := range d.Kinds {
		keys = append(keys, "kind."+k.Name, "kinds."+k.Name)
		for _, s := range k.States() {
			keys = append(keys, "state."+k.Name+"."+s)
		}
		for _, c := range k.Commands() {
			keys = append(keys, "command."+k.Name+"."+c, "done."+k.Name+"."+c)
		}
		keys = append(keys, fieldKeys(k.Name, k.Fields())...)
		for _, c := range k.Commands() {
			for _, f := range k.Args(c) {
				keys = append(keys, "arg."+k.Name+"."+c+"."+f.Path)
				for _, v := range f.Enum {
					keys = append(keys, "arg."+k.Name+"."+c+"."+f.Path+"."+v)
				}
			}
		}
		for _, f := range k.Flags {
			keys = append(keys, "flag."+k.Name+"."+f)
		}
		for _, s := range k.Sections {
			keys = append(keys, "section."+k.Name+"."+s.Name)
		}
	}
	return keys
}

func fieldKeys(kind string, fields []Field) []string {
	var keys []string
	for _, f := range fields {
		keys = append(keys, "field."+kind+"."+f.Path)
		for _, v := range f.Enum {
			keys = append(keys, "value."+kind+"."+f.Path+"."+v)
		}
		keys = append(keys, fieldKeys(kind, f.Fields)...)
	}
	return keys
}
