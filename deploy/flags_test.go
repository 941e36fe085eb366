package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// programFlags reads the command line from cmd/konbit: the flags of each command, by
// the command's name, "peer list" for one below another.
func programFlags(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../cmd/konbit/*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	for _, f := range files {
		src, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(src, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok {
				if st, ok := s.Type.(*ast.StructType); ok {
					structs[s.Name.Name] = st
				}
			}
			return true
		})
	}
	out := map[string][]string{}
	collect(structs, structs["cli"], "", nil, out)
	if len(out) < 10 {
		t.Fatalf("the command line could not be read: %v", out)
	}
	return out
}

// collect adds the flags of a struct's commands; above are those that hold for all.
func collect(structs map[string]*ast.StructType, s *ast.StructType, path string, above []string, out map[string][]string) {
	flags, commands := append([]string(nil), above...), map[string]*ast.StructType{}
	var look func(*ast.StructType)
	look = func(s *ast.StructType) {
		for _, f := range s.Fields.List {
			var tag reflect.StructTag
			if f.Tag != nil {
				text, err := strconv.Unquote(f.Tag.Value)
				if err == nil {
					tag = reflect.StructTag(text)
				}
			}
			of, _ := f.Type.(*ast.Ident)
			_, isCommand := tag.Lookup("cmd")
			_, isArg := tag.Lookup("arg")
			switch {
			case len(f.Names) == 0 && of != nil && structs[of.Name] != nil: // embedded
				look(structs[of.Name])
			case len(f.Names) == 0 || isArg:
			case isCommand && of != nil:
				commands[flagName(f.Names[0].Name, tag)] = structs[of.Name]
			default:
				for _, n := range f.Names {
					flags = append(flags, flagName(n.Name, tag))
				}
			}
		}
	}
	look(s)
	if path != "" {
		out[path] = flags
	}
	for name, s := range commands {
		if s != nil {
			collect(structs, s, strings.TrimSpace(path+" "+name), flags, out)
		}
	}
}

// flagName is what kong calls a field.
func flagName(field string, tag reflect.StructTag) string {
	if name := tag.Get("name"); name != "" {
		return name
	}
	var out []rune
	r := []rune(field)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			out = append(out, '-')
		}
		out = append(out, unicode.ToLower(c))
	}
	return string(out)
}
