package cap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"konbit/record"
)

func TestHostileDocumentsAreRefused(t *testing.T) {
	alert := minimal("1.2", info(levels))
	latin := func(name, text string) string {
		b, err := charmap.Windows1252.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return `<?xml version="1.0" encoding="` + name + `"?>` + b
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(alert)
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		data  string
		limit Limits
		code  string // "": it is taken
		path  string
	}{
		"plain":                     {data: alert},
		"declared":                  {data: `<?xml version='1.0' encoding="utf-8" standalone="yes" ?>` + "\r\n" + alert},
		"byte order mark":           {data: "\xEF\xBB\xBF" + alert},
		"byte order mark and name":  {data: "\xEF\xBB\xBF" + `<?xml version="1.0" encoding="UTF-8"?>` + alert},
		"instructions and comments": {data: `<?xml-stylesheet href="a"?><!-- - -->` + alert + "<!----><?end?>\n"},
		"ISO-8859-1":                {data: latin("ISO-8859-1", strings.Replace(alert, ">e<", ">é<", 1))},
		"windows-1252":              {data: latin("Windows-1252", strings.Replace(alert, ">e<", ">€ – œ<", 1))},
		"US-ASCII":                  {data: latin("US-ASCII", alert)},

		"names of other scripts": {data: strings.Replace(alert, "<info>", `<info é·ⅷ="" 水="" xmlns:ü="u" ü:a="">`, 1), code: codeAttribute, path: "info[0]"},
		"references at the end":  {data: strings.Replace(alert, ">e<", ">&#x10FFFF;&quot;&apos;&#9;<", 1)},

		"no bytes":                          {data: "", code: codeSyntax},
		"blanks":                            {data: " \n", code: codeSyntax},
		"JSON":                              {data: `{"alert":1}`, code: codeSyntax},
		"cut off":                           {data: alert[:len(alert)-40], code: codeSyntax, path: "info[0]"},
		"document type":                     {data: "<!DOCTYPE alert>" + alert, code: codeDoctype},
		"external subset":                   {data: `<!DOCTYPE alert SYSTEM "file:///dev/zero">` + alert, code: codeDoctype},
		"billion laughs":                    {data: `<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>` + strings.Replace(alert, ">e<", ">&b;<", 1), code: codeDoctype},
		"document type within":              {data: strings.Replace(alert, ">e<", "><!DOCTYPE a><", 1), code: codeDoctype, path: "info[0].event"},
		"entity":                            {data: strings.Replace(alert, ">e<", ">&xxe;<", 1), code: codeEntity, path: "info[0].event"},
		"entity in attribute":               {data: strings.Replace(alert, "<info>", `<info a="&nbsp;">`, 1), code: codeEntity},
		"ampersand":                         {data: strings.Replace(alert, ">e<", ">a & b<", 1), code: codeSyntax, path: "info[0].event"},
		"ampersand at the end":              {data: strings.Replace(alert, ">e<", ">a &<", 1), code: codeSyntax},
		"character 0":                       {data: strings.Replace(alert, ">e<", ">&#0;<", 1), code: codeSyntax},
		"surrogate":                         {data: strings.Replace(alert, ">e<", ">&#xD800;<", 1), code: codeSyntax},
		"character too large":               {data: strings.Replace(alert, ">e<", ">&#x110000;<", 1), code: codeSyntax},
		"character of no sense":             {data: strings.Replace(alert, ">e<", ">&#+65;<", 1), code: codeSyntax},
		"upper case X":                      {data: strings.Replace(alert, ">e<", ">&#X41;<", 1), code: codeSyntax},
		"control character":                 {data: strings.Replace(alert, ">e<", ">\x01<", 1), code: codeSyntax},
		"U+FFFF":                            {data: strings.Replace(alert, ">e<", ">\uFFFF<", 1), code: codeSyntax},
		"end of a section":                  {data: strings.Replace(alert, ">e<", ">a]]>b<", 1), code: codeSyntax},
		"section not ended":                 {data: strings.Replace(alert, ">e<", "><![CDATA[a<", 1), code: codeSyntax},
		"comment not ended":                 {data: strings.Replace(alert, ">e<", "><!-- a<", 1), code: codeSyntax},
		"two dashes":                        {data: strings.Replace(alert, ">e<", "><!-- a -- b --><", 1), code: codeSyntax},
		"three dashes":                      {data: strings.Replace(alert, ">e<", "><!-- a ---><", 1), code: codeSyntax},
		"second declaration":                {data: strings.Replace(alert, ">e<", `><?xml version="1.0"?><`, 1), code: codeSyntax},
		"declaration after":                 {data: " <?xml version='1.0'?>" + alert, code: codeSyntax},
		"XML 1.1":                           {data: `<?xml version="1.1"?>` + alert, code: codeSyntax},
		"no version":                        {data: `<?xml encoding="UTF-8"?>` + alert, code: codeSyntax},
		"standalone maybe":                  {data: `<?xml version="1.0" standalone="maybe"?>` + alert, code: codeSyntax},
		"declaration not ended":             {data: `<?xml version="1.0"`, code: codeSyntax},
		"declaration of no sort":            {data: `<?xml version="1.0" a="b"?>` + alert, code: codeSyntax},
		"declared without blank":            {data: `<?xml version="1.0"encoding="UTF-8"?>` + alert, code: codeSyntax},
		"declared without value":            {data: `<?xml version="1.0" encoding?>` + alert, code: codeSyntax},
		"declared without quotes":           {data: `<?xml version=1.0?>` + alert, code: codeSyntax},
		"declared without end":              {data: `<?xml version="1.0?>` + alert, code: codeSyntax},
		"section outside":                   {data: alert + "<![CDATA[]]>", code: codeSyntax},
		"instruction not ended":             {data: alert + "<?a", code: codeSyntax},
		"instruction of no name":            {data: alert + "<? a?>", code: codeSyntax},
		"instruction with colon":            {data: alert + "<?a:b?>", code: codeSyntax},
		"instruction not parted":            {data: alert + `<?a"b"?>`, code: codeSyntax},
		"end of nothing":                    {data: alert + "</a>", code: codeSyntax},
		"end not ended":                     {data: alert[:len(alert)-1], code: codeSyntax},
		"namespace twice":                   {data: strings.Replace(alert, "<info>", `<info xmlns:p="u" xmlns:p="u">`, 1), code: codeSyntax},
		"no such letter":                    {data: strings.Replace(alert, "<info>", `<×>`, 1), code: codeSyntax},
		"entity of no name":                 {data: strings.Replace(alert, ">e<", ">&;<", 1), code: codeSyntax},
		"declared in disorder":              {data: `<?xml version="1.0" standalone="no" encoding="UTF-8"?>` + alert, code: codeSyntax},
		"other tag ends":                    {data: strings.Replace(alert, "</event>", "</headline>", 1), code: codeSyntax, path: "info[0].event"},
		"other prefix ends":                 {data: strings.Replace(alert, "</event>", "</a:event>", 1), code: codeSyntax},
		"two roots":                         {data: alert + alert, code: codeSyntax},
		"text behind":                       {data: alert + "x", code: codeSyntax},
		"attribute twice":                   {data: strings.Replace(alert, "<info>", `<info a="1" a="2">`, 1), code: codeSyntax},
		"attribute twice by other prefixes": {data: strings.Replace(alert, "<info>", `<info xmlns:p="u" xmlns:q="u" p:a="1" q:a="2">`, 1), code: codeSyntax},
		"attribute without quotes":          {data: strings.Replace(alert, "<info>", `<info a=1>`, 1), code: codeSyntax},
		"attribute without blank":           {data: strings.Replace(alert, "<info>", `<info a="1"b="2">`, 1), code: codeSyntax},
		"tag in an attribute":               {data: strings.Replace(alert, "<info>", `<info a="<">`, 1), code: codeSyntax},
		"prefix not declared":               {data: strings.Replace(alert, "<info>", "<p:info>", 1), code: codeSyntax},
		"prefix of attribute not declared":  {data: strings.Replace(alert, "<info>", `<info p:a="">`, 1), code: codeSyntax},
		"prefix out of force":               {data: strings.Replace(alert, "<info>", `<note xmlns:p="u"/><p:info>`, 1), code: codeSyntax},
		"prefix declared to be nothing":     {data: strings.Replace(alert, "<info>", `<info xmlns:p="">`, 1), code: codeSyntax},
		"xml declared anew":                 {data: strings.Replace(alert, "<info>", `<info xmlns:xml="urn:example">`, 1), code: codeSyntax},
		"xmlns declared":                    {data: strings.Replace(alert, "<info>", `<info xmlns:xmlns="urn:example">`, 1), code: codeSyntax},
		"two colons":                        {data: strings.Replace(alert, "<info>", `<a:b:c>`, 1), code: codeSyntax},
		"name of a digit":                   {data: strings.Replace(alert, "<info>", `<1>`, 1), code: codeSyntax},

		"UTF-16":                    {data: utf16, code: codeCharset},
		"UTF-16 by name":            {data: `<?xml version="1.0" encoding="UTF-16"?>` + alert, code: codeCharset},
		"encoding of no sort":       {data: `<?xml version="1.0" encoding="1 2"?>` + alert, code: codeCharset},
		"encoding of a letter":      {data: `<?xml version="1.0" encoding=""?>` + alert, code: codeSyntax},
		"EBCDIC":                    {data: `<?xml version="1.0" encoding="IBM037"?>` + alert, code: codeCharset},
		"UTF-7":                     {data: `<?xml version="1.0" encoding="UTF-7"?>` + alert, code: codeCharset},
		"Shift_JIS":                 {data: `<?xml version="1.0" encoding="Shift_JIS"?>` + alert, code: codeCharset},
		"not UTF-8":                 {data: strings.Replace(alert, ">e<", ">\xe9<", 1), code: codeCharset},
		"overlong":                  {data: strings.Replace(alert, ">e<", ">\xc0\xbc<", 1), code: codeCharset},
		"not ASCII":                 {data: latin("us-ascii", strings.Replace(alert, ">e<", ">é<", 1)), code: codeCharset},
		"not windows-1252":          {data: latin("windows-1252", "") + strings.Replace(alert, ">e<", ">\x81<", 1), code: codeCharset},
		"mark of UTF-8, other name": {data: "\xEF\xBB\xBF" + `<?xml version="1.0" encoding="ISO-8859-1"?>` + alert, code: codeCharset},

		"too long":            {data: alert + strings.Repeat(" ", 1000), limit: Limits{Bytes: 1000}, code: codeBytes},
		"depth 32":            {data: strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32), code: codeNotCAP, path: "a"},
		"too deep":            {data: strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33), code: codeDepth, path: strings.Repeat("a.", 30) + "a"},
		"very deep":           {data: strings.Repeat("<a>", 1_000_000), code: codeDepth, path: strings.Repeat("a.", 30) + "a"},
		"too many elements":   {data: "<a>" + strings.Repeat("<b/>", 1001) + "</a>", limit: Limits{Elements: 1000}, code: codeElements, path: "a"},
		"too many comments":   {data: "<a>" + strings.Repeat("<!---->", 1001) + "</a>", limit: Limits{Elements: 1000}, code: codeElements, path: "a"},
		"too many sections":   {data: "<a>" + strings.Repeat("<![CDATA[]]>", 1001) + "</a>", limit: Limits{Elements: 1000}, code: codeElements, path: "a"},
		"too many attributes": {data: "<a " + manyAttributes(65) + "/>", code: codeElements},
		"long namespace":      {data: `<a xmlns="` + strings.Repeat("x", 1025) + `"/>`, code: codeElements},
		"too many namespaces": {data: "<a " + manyNamespaces(0, 60) + "><b " + manyNamespaces(60, 60) + "><c " + manyNamespaces(120, 60) + "/></b></a>", code: codeElements, path: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(try.data), try.limit)
			if try.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *record.Error
			if !errors.As(err, &e) {
				t.Fatal("it is taken")
			}
			wantCode := record.Invalid
			if try.code == codeBytes || try.code == codeElements || try.code == codeDepth {
				wantCode = record.TooLarge
			}
			if name != "names of other scripts" && len(e.Fields) != 1 || e.Fields[0].Code != try.code || e.Code != wantCode {
				t.Fatal(err)
			}
			if try.path != "" && e.Fields[0].Path != try.path {
				t.Errorf("the path is %q", e.Fields[0].Path)
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d=""`, i)
	}
	return b.String()
}

func longNamespaces(n int) string {
	var b strings.Builder
	for i := range min(n, maxAttributes-2) {
		fmt.Fprintf(&b, ` xmlns:p%d="urn:%s"`, i, strings.Repeat("x", maxNamespace-4))
	}
	return b.String()
}

func useNamespaces(n int) string {
	var b strings.Builder
	for i := range min(n, maxAttributes-2) {
		fmt.Fprintf(&b, `<p%d:a/>`, i)
	}
	return b.String()
}

func manyNamespaces(from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` xmlns:p%d="u"`, from+i)
	}
	return b.String()
}

// TestHostileDocumentsTakeLittle: time and memory stay near the size of the
// document, whatever it is made of.
func TestHostileDocumentsTakeLittle(t *testing.T) {
	const size = 1 << 20
	fill := func(before, part, after string) []byte {
		return []byte(before + strings.Repeat(part, size/len(part)) + after)
	}
	head := strings.TrimSuffix(minimal("1.2", ""), "</alert>")
	inInfo := strings.TrimSuffix(head+info(levels), "</info>")
	for name, data := range map[string][]byte{
		"elements":        fill("<a>", "<b/>", "</a>"),
		"attributes":      fill("<a>", "<b a='' b='' c='' d=''/>", "</a>"),
		"references":      fill("<a>", "&#65;", "</a>"),
		"long references": fill("<a>&#", "0", ";</a>"),
		"ampersands":      fill("<a>", "&", "</a>"),
		"dashes":          fill("<a><!--", "-", "--></a>"),
		"brackets":        fill("<a><![CDATA[", "]", "]]></a>"),
		"a name":          fill("<", "a", "/>"),
		"colons":          fill("<a", ":", "/>"),
		"open tags":       fill("", "<", ""),
		"open attribute":  fill("<a b='", "x", ""),
		"instructions":    fill("<a>", "<?a?>", "</a>"),
		"carriage return": fill("<a>", "\r", "</a>"),
		"values":          fill(inInfo+"<area><areaDesc>a</areaDesc>", "<polygon>1,2</polygon>", "</area></info></alert>"),
		"a long polygon":  fill(inInfo+"<area><areaDesc>a</areaDesc><polygon>", "1,2 ", "</polygon></area></info></alert>"),
		"numbers":         fill(inInfo+"<area><areaDesc>a</areaDesc><polygon>", "1", ",2</polygon></area></info></alert>"),
		"unknown":         fill(head, "<x/>", "</alert>"),
		"faults":          fill(head, "<code><x/></code>", "</alert>"),
		"quotes":          fill(strings.TrimSuffix(head, "<scope>Public</scope>")+"<scope>Public</scope><addresses>", `" `, "</addresses></alert>"),
		"bad entries":     fill(`<feed xmlns="`+atomSpace+`"><id>i</id><title>t</title><updated>2026-11-02T08:30:00Z</updated>`, "<entry><x/><y/></entry>", "</feed>"),
		"bad links":       fill(`<feed xmlns="`+atomSpace+`">`, "<link/>", "</feed>"),
		"bad link of one": fill(`<feed xmlns="`+atomSpace+`"><entry>`, "<link/>", "</entry></feed>"),
		"bad items":       fill(`<rss version="1"><channel>`, "<item><link/></item>", "</channel></rss>"),
		"bad contents":    fill(`<EDXLDistribution xmlns="`+edxldSpace+`">`, "<contentObject/>", "</EDXLDistribution>"),
		"many contents":   fill(`<EDXLDistribution xmlns="`+edxldSpace+`"><contentObject><xmlContent>`, `<embeddedXMLContent><alert xmlns="`+space12+`"/></embeddedXMLContent>`, "</xmlContent></contentObject></EDXLDistribution>"),
		"empty infos":     fill(head, "<info/>", "</alert>"),
		"empty areas":     fill(inInfo, "<area/>", "</info></alert>"),
		"bad areas":       fill(inInfo, "<area x=''><polygon>x</polygon></area>", "</info></alert>"),
		"bad alerts": fill(`<feed xmlns="`+atomSpace+`"><id>i</id><title>t</title><updated>2026-11-02T08:30:00Z</updated>`,
			`<entry><content><alert xmlns="`+space12+`"><a/><a/></alert></content></entry>`, "</feed>"),
		"a namespace in all entries": fill(`<feed xmlns="`+atomSpace+`" xmlns:c="`+space12+`" `+longNamespaces(100)+`><id>i</id><title>t</title><updated>2026-11-02T08:30:00Z</updated>`,
			`<entry><content><c:alert>`+useNamespaces(100)+`</c:alert></content></entry>`, "</feed>"),
		"a signature over many": fill(head, "<p:a xmlns:p='u' xmlns:q='u' xmlns:r='u'/>", `<Signature xmlns="`+signatureSpace+`"><SignedInfo><CanonicalizationMethod Algorithm="`+inclusiveC14N+
			`"/><SignatureMethod Algorithm="`+rsaSHA256+`"/><Reference URI=""><Transforms><Transform Algorithm="`+enveloped+`"/></Transforms><DigestMethod Algorithm="`+digestSHA256+
			`"/><DigestValue>AA==</DigestValue></Reference></SignedInfo><SignatureValue>AA==</SignatureValue></Signature></alert>`),
		"languages": fill(head, info(levels), "</alert>"),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			a, _ := Parse(data, Limits{})
			if a != nil {
				Check(a, start)
			}
			runtime.ReadMemStats(&after)
			_, _ = ParseFeed(data, Limits{})
			_, _ = Verify(data, Limits{})
			took := time.Since(start)
			if took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) / size; used > 120 {
				t.Errorf("Parse and Check allocated %d bytes for each byte", used)
			}
		})
	}
}

// oracle reads a document with the standard library and returns what is in it, in
// the form of outline; ok is false when it does not take it.
func oracle(data string) (string, bool) {
	d := xml.NewDecoder(strings.NewReader(data))
	d.Strict = true
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("not here") }
	var b strings.Builder
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			return b.String(), true
		}
		if err != nil {
			return "", false
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			fmt.Fprintf(&b, "<{%s}%s", strings.Map(blankToSpace, token.Name.Space), token.Name.Local)
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
					fmt.Fprintf(&b, " {%s}%s=%q", strings.Map(blankToSpace, a.Name.Space), a.Name.Local, strings.Map(blankToSpace, a.Value))
				}
			}
			b.WriteString(">")
		case xml.EndElement:
			depth--
			b.WriteString("</>")
		case xml.CharData:
			if depth > 0 {
				fmt.Fprintf(&b, "%s", token)
			}
		}
	}
}

// blankToSpace hides that the standard library does not normalize attributes.
func blankToSpace(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

func (d *document) outline(b *strings.Builder, n int32) {
	for c := d.nodes[n].first; c != 0; c = d.nodes[c].next {
		switch at := &d.nodes[c]; at.kind {
		case element:
			fmt.Fprintf(b, "<{%s}%s", strings.Map(blankToSpace, at.space), at.local)
			for _, a := range d.attributes(c) {
				fmt.Fprintf(b, " {%s}%s=%q", strings.Map(blankToSpace, a.space), a.local, strings.Map(blankToSpace, a.value))
			}
			b.WriteString(">")
			d.outline(b, c)
			b.WriteString("</>")
		case text:
			b.WriteString(at.text)
		}
	}
}

func (d *document) hasForeignName() bool {
	foreign := func(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }
	return slices.ContainsFunc(d.nodes, func(n node) bool { return foreign(n.local) || foreign(n.prefix) }) ||
		slices.ContainsFunc(d.attrs, func(a attribute) bool { return foreign(a.local) || foreign(a.prefix) }) ||
		slices.ContainsFunc(d.decls, func(a declaration) bool { return foreign(a.prefix) })
}

// FuzzRead holds the reader against the standard library: what it takes, that
// takes too, and sees the same in it. (The library takes more: see read.)
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		minimal("1.2", info(levels)), `<?xml version="1.0"?><a xmlns="u" xmlns:p="v"><p:b p:c="&lt;&#10;	" d='"'/>t<![CDATA[<x>]]>&amp;<!-- c --><?p i?></a>`,
		"<a>\r\n\r</a>", "<a xmlns:b='c'><b:d xmlns:b='e'/></a>", "<é/>", "<a b='1' c='2'></a >", string(own(f, "flood.cap")), "<a xml:lang='x'/>", `<a xmlns="u"><b xmlns=""/></a>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := read("test", data, Limits{Bytes: 1 << 16}.orDefault())
		if err != nil {
			return
		}
		if declared(data) != "" {
			data = []byte(strings.TrimPrefix(doc.source, doc.source[:strings.Index(doc.source, "?>")+2]))
		}
		want, ok := oracle(strings.TrimPrefix(string(data), "\uFEFF"))
		if !ok {
			if doc.hasForeignName() {
				return // it has the names of the fourth edition of XML 1.0, and we those of the fifth
			}
			t.Fatalf("the standard library does not take %q", data)
		}
		var b strings.Builder
		doc.outline(&b, 0)
		if b.String() != want {
			t.Fatalf("%q is\n%s\nand by the standard library\n%s", data, b.String(), want)
		}
		// What is taken out of a document or made canonical is a document too, and
		// says the same.
		for _, m := range []method{{}, {comments: true}, {exclusive: true, comments: true}} {
			want := canonical(t, doc, 0, m)
			if got := canonical(t, mustRead(t, []byte(want)), 0, m); got != want {
				t.Fatalf("%q is\n%s\nin canonical form, and that again\n%s", data, want, got)
			}
		}
		alone := mustRead(t, doc.standalone(doc.root))
		m := method{exclusive: true, comments: true}
		if got, want := canonical(t, alone, alone.root, m), canonical(t, doc, doc.root, m); got != want {
			t.Fatalf("%q is\n%s\nand taken out\n%s", data, want, got)
		}
	})
}

func mustRead(t testing.TB, data []byte) *document {
	t.Helper()
	doc, err := read("test", data, Limits{}.orDefault())
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return doc
}
