package cap

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyDocument is a well-formed document with namespaces in many places.
func anyDocument() *rapid.Generator[string] {
	return draw(func(t *rapid.T) string {
		var b strings.Builder
		if rapid.Bool().Draw(t, "declared") {
			b.WriteString("<?xml version='1.0' encoding='UTF-8'?>\n")
		}
		around := func() {
			b.WriteString(rapid.SampledFrom([]string{"", "\n", "<!-- c\n -->", "<?p  i ?>", "<?p?>"}).Draw(t, "around"))
		}
		around()
		anyElement(t, &b, map[string]string{}, 0)
		around()
		return b.String()
	})
}

func anyElement(t *rapid.T, b *strings.Builder, around map[string]string, depth int) {
	scope := map[string]string{}
	for p, s := range around {
		scope[p] = s
	}
	var parts []string
	for _, prefix := range []string{"", "p", "q"} {
		if rapid.IntRange(0, 3).Draw(t, "declare") > 0 {
			continue
		}
		space := rapid.SampledFrom([]string{"urn:a", "urn:b", "urn:c?d='e'"}).Draw(t, "space")
		if prefix == "" {
			if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
				space = ""
			}
			parts = append(parts, `xmlns="`+space+`"`)
		} else {
			parts = append(parts, `xmlns:`+prefix+`="`+space+`"`)
			scope[prefix] = space
		}
	}
	used := map[string]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "attributes") {
		name := rapid.SampledFrom([]string{"a", "b", "é"}).Draw(t, "name")
		space := ""
		if prefix := rapid.SampledFrom([]string{"", "", "p", "q", "xml"}).Draw(t, "prefix"); prefix != "" {
			if prefix == "xml" {
				name = "lang"
			} else if scope[prefix] == "" {
				continue
			}
			space = prefix + scope[prefix]
			if scope["p"] == scope["q"] {
				space = scope[prefix]
			}
			if used[space+" "+name] {
				continue
			}
			used[space+" "+name] = true
			name = prefix + ":" + name
		} else if used[" "+name] {
			continue
		} else {
			used[" "+name] = true
		}
		parts = append(parts, name+"="+rapid.SampledFrom([]string{`"v"`, `'"'`, `"&lt;&amp;&gt;&quot;"`, `"&#9;&#10;&#13; x"`, "\"a\tb\nc\"", `""`}).Draw(t, "value"))
	}
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "element")
	if prefix := rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "prefix of element"); scope[prefix] != "" {
		name = prefix + ":" + name
	}
	b.WriteString("<" + name)
	for _, p := range rapid.Permutation(parts).Draw(t, "order") {
		b.WriteString(rapid.SampledFrom([]string{" ", "\n  "}).Draw(t, "blank") + p)
	}
	if rapid.IntRange(0, 4).Draw(t, "empty") == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteString(">")
	for range rapid.IntRange(0, 4).Draw(t, "children") {
		if depth < 4 && rapid.Bool().Draw(t, "child") {
			anyElement(t, b, scope, depth+1)
			continue
		}
		b.WriteString(rapid.SampledFrom([]string{"text", "\n  ", "&lt;&amp;&gt;\"'", "&#13;&#xe9;", "<![CDATA[<&>]]>", "<!-- c -->", "<?p i?>", "\r\nx\r"}).Draw(t, "text"))
	}
	b.WriteString("</" + name + " >")
}

// TestCanonicalFormIsThatOfXmllint, which writes comments.
func TestCanonicalFormIsThatOfXmllint(t *testing.T) {
	for seed := range 100 {
		data := anyDocument().Example(seed)
		doc, err := read("test", []byte(data), Limits{}.orDefault())
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		for arg, m := range map[string]method{"--c14n": {comments: true}, "--exc-c14n": {comments: true, exclusive: true}} {
			want, ok := xmllint(t, []byte(data), arg, "-")
			if !ok {
				t.Fatalf("%s\n%s", want, data)
			}
			if got := canonical(t, doc, 0, m); got != want {
				t.Fatalf("%s of\n%s\nis\n%s\nand by xmllint\n%s", arg, data, got, want)
			}
		}
	}
}

// TestCanonicalFormOfAPart: the inclusive method takes along what is in force
// around, the exclusive one what is used, and what is asked for.
func TestCanonicalFormOfAPart(t *testing.T) {
	doc := mustRead(t, []byte(`<r xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" xml:lang="ht" a="1"><p:s b="2"><!-- c --><t/></p:s></r>`))
	part := doc.nodes[doc.root].first
	for want, m := range map[string]method{
		`<p:s xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" b="2" xml:lang="ht"><t></t></p:s>`:           {},
		`<p:s xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" b="2" xml:lang="ht"><!-- c --><t></t></p:s>`: {comments: true},
		`<p:s xmlns:p="urn:p" b="2"><t xmlns="urn:d"></t></p:s>`:                                         {exclusive: true},
		`<p:s xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" b="2"><t></t></p:s>`:                         {exclusive: true, inclusive: []string{"", "q", "none"}},
	} {
		if got := canonical(t, doc, part, m); got != want {
			t.Errorf("%+v is\n%s\nnot\n%s", m, got, want)
		}
	}
}

func canonical(t testing.TB, doc *document, n int32, m method) string {
	t.Helper()
	form, ok := doc.canonical(n, m)
	if !ok {
		t.Fatalf("the canonical form of %q is out of proportion", doc.source)
	}
	return string(form)
}

// TestCanonicalFormIsBounded: one namespace, and very many elements that tell it.
func TestCanonicalFormIsBounded(t *testing.T) {
	data := `<r xmlns:p="urn:` + strings.Repeat("x", maxNamespace-10) + `">` + strings.Repeat("<p:a/>", 100_000) + "</r>"
	doc := mustRead(t, []byte(data))
	if form, ok := doc.canonical(0, method{exclusive: true}); ok || len(form) > 10*len(data) {
		t.Errorf("%d bytes of %d", len(form), len(data))
	}
	if form, ok := doc.canonical(0, method{}); !ok || len(form) > 2*len(data) {
		t.Errorf("%d bytes of %d", len(form), len(data))
	}
}
