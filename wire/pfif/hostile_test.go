package pfif

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"konbit/record"
)

func TestHostileDocumentsAreRefused(t *testing.T) {
	deep := strings.Repeat("<a>", 1000)
	o := Options{Limits: Limits{Size: 200_000, Records: 20, Record: 2000, Field: 100}}
	for _, c := range []struct {
		name, in string
		code     record.Code
	}{
		{"nothing", "", record.Invalid},
		{"blanks", " \n ", record.Invalid},
		{"text", "hello", record.Invalid},
		{"JSON", `{"person": 1}`, record.Invalid},
		{"HTML", "<html><body>404</body></html>", record.Invalid},
		{"no namespace", "<pfif><person/></pfif>", record.Invalid},
		{"an undeclared prefix", "<pfif:pfif><pfif:person/></pfif:pfif>", record.Invalid},
		{"a version to come", `<pfif xmlns="http://zesty.ca/pfif/2.0"/>`, record.Invalid},
		{"another version within", `<pfif xmlns="http://zesty.ca/pfif/1.4"><person xmlns="http://zesty.ca/pfif/1.0"/></pfif>`, record.Invalid},
		{"a document type", `<!DOCTYPE pfif SYSTEM "http://example.org/x.dtd">` + string(doc("")), record.Invalid},
		{"entities that multiply", `<!DOCTYPE pfif [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>` + string(doc(person("<description>&b;</description>"))), record.Invalid},
		{"an entity from a file", `<!DOCTYPE pfif [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + string(doc("")), record.Invalid},
		{"an entity that is not declared", string(doc(person("<description>&a;</description>"))), record.Invalid},
		{"a document type further down", string(doc(`<!DOCTYPE a>`)), record.Invalid},
		{"deep around records", string(doc(deep)), record.Invalid},
		{"deep within a record", string(doc("<person>" + deep)), record.Invalid},
		{"deep within a field", string(doc("<person><full_name>" + deep)), record.Invalid},
		{"two documents", string(doc("")) + string(doc("")), record.Invalid},
		{"text behind", string(doc("")) + "x", record.Invalid},
		{"crossed ends", string(doc("<person></note></person>")), record.Invalid},
		{"not UTF-8", string(doc(person("<description>\xe8</description>"))), record.Invalid},
		{"a forbidden character", string(doc(person("<description>&#0;</description>"))), record.Invalid},
		{"another encoding", `<?xml version="1.0" encoding="ISO-8859-1"?>` + string(doc("")), record.Invalid},
		{"UTF-16", "\xff\xfe<\x00p\x00", record.Invalid},
		{"a long comment", "<!--" + strings.Repeat("a", 20_000) + "-->" + string(doc("")), record.TooLarge},
		{"a long name", string(doc("<" + strings.Repeat("a", 20_000) + "/>")), record.TooLarge},
		{"a long attribute", string(doc(`<a b="` + strings.Repeat("a", 20_000) + `"/>`)), record.TooLarge},
		{"a long value", string(doc(person("<text>" + strings.Repeat("a", 20_000) + "</text>"))), record.TooLarge},
		{"many records", string(doc(strings.Repeat("<note/>", 21))), record.TooLarge},
		{"many notes in one person", string(doc("<person>" + strings.Repeat("<note/>", 20))), record.TooLarge},
		{"many bytes", string(doc(strings.Repeat("<a></a>", 50_000))), record.TooLarge},
	} {
		d, err := Parse([]byte(c.in), o)
		if d != nil || record.CodeOf(err) != c.code {
			t.Errorf("%s: %v, not %s", c.name, err, c.code)
		}
	}
}

func TestLargeRecordIsLeftOutAndReadingGoesOn(t *testing.T) {
	field := func(n int) string { return "<home_city>" + strings.Repeat("a", n) + "</home_city>" }
	note := func(n int) string {
		return fmt.Sprintf("<note><note_record_id>example.org/%d</note_record_id>%s</note>", n, strings.Repeat("<text>"+strings.Repeat("a", 90)+"</text>", 5))
	}
	o := Options{Limits: Limits{Record: 1000, Field: 100}}
	for name, c := range map[string]struct {
		in   string
		want string
	}{
		"a long field":         {field(101), "/pfif/person[2]/home_city max"},
		"many fields":          {strings.Repeat(field(100), 20), "/pfif/person[2] max"},
		"many unknown fields":  {strings.Repeat("<a>b</a>", maxExtra+1), "/pfif/person[2] max"},
		"many notes":           {note(1) + note(2) + note(3) + note(4), "/pfif/person[2] max"},
		"one large note":       {strings.Replace(note(1), "</note>", strings.Repeat(field(90), 20)+"</note>", 1), "/pfif/person[2] max"},
		"text between":         {strings.Repeat("a", 2000), "/pfif/person[2] max"},
		"text in many pieces":  {"<home_city>" + strings.Repeat("<b>aaaaaaaaaa</b>", 200) + "</home_city>", "/pfif/person[2] max"},
		"a name in many bytes": {strings.Repeat("<"+strings.Repeat("b", 300)+">c</"+strings.Repeat("b", 300)+">", 20), "/pfif/person[2] max"},
	} {
		d, err := Parse(doc(person("")+person(c.in)+person("")), o)
		if err == nil || d == nil || len(d.Persons) != 2 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := faults(t, err, "pfif.parse"); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// endless gives a beginning, then the same for ever.
func endless(head, again string) io.Reader {
	return io.MultiReader(strings.NewReader(head), &repeated{s: again})
}

type repeated struct {
	s string
	n int
}

func (r *repeated) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = r.s[r.n%len(r.s)]
		r.n++
	}
	return len(b), nil
}

func TestEndlessDocumentsEndAtTheLimit(t *testing.T) {
	head := `<pfif xmlns="http://zesty.ca/pfif/1.4">`
	for name, in := range map[string]io.Reader{
		"blanks":              endless("", " "),
		"a start tag":         endless("<a", "a"),
		"attributes":          endless(head+"<a ", `b="c" `),
		"a comment":           endless(head+"<!--", "a"),
		"a value":             endless(head+"<person><full_name>", "a"),
		"CDATA":               endless(head+"<person><full_name><![CDATA[", "a"),
		"unknown elements":    endless(head, "<a>b</a>"),
		"elements of PFIF":    endless(head, "<status>b</status>"),
		"different names":     endless(head+"<person>", "<a>b</a><bb>c</bb>"),
		"empty fields":        endless(head+"<person>", "<sex/>"),
		"notes of one person": endless(head+"<person>", "<note></note>"),
		"empty records":       endless(head, "<person/>"),
		"good records":        endless(head, person("<note><note_record_id>a/b</note_record_id></note>")),
		"elements in a value": endless(head+"<person><full_name>", "<b>c</b>"),
		"text between fields": endless(head+"<person>", "a<sex/>"),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := NewReader(in, Options{Limits: Limits{Size: 1 << 20, Records: 10_000}})
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if record.CodeOf(err) != record.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 12<<20 {
			t.Errorf("%s: %d bytes are held", name, grown)
		}
		runtime.KeepAlive(r)
	}
}

func TestReaderThatFailsIsNotTakenForTheEnd(t *testing.T) {
	whole := doc(person(""))
	broken := errors.New("the line is broken")
	r := NewReader(io.MultiReader(bytes.NewReader(whole[:len(whole)-7]), iotest.ErrReader(broken)), Options{})
	if rec, err := r.Next(); err != nil || rec.Person == nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); record.CodeOf(err) != record.Unavailable || !errors.Is(err, broken) {
		t.Error(err)
	}
	r = NewReader(iotest.OneByteReader(bytes.NewReader(whole)), Options{})
	if rec, err := r.Next(); err != nil || rec.Person == nil {
		t.Error(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
}

func TestFaultsAreNotListedWithoutEnd(t *testing.T) {
	d, err := Parse(doc(strings.Repeat("<note/>", maxTold+5)+strings.Repeat("<a>b</a>", maxTold+5)), Options{})
	var e *record.Error
	if !errors.As(err, &e) || len(e.Fields) != maxTold || len(d.Warnings) != maxTold || !strings.Contains(e.Message, fmt.Sprint(maxTold+5)) {
		t.Errorf("%d warnings; %v", len(d.Warnings), err)
	}
}
