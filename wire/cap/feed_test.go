package cap

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func someFeed(t testing.TB) (*Feed, Entry) {
	key, cert := elliptic256(t)
	signed := Entry{Document: mustSign(t, own(t, "flood.cap"), key, cert), Alert: flood(),
		Links: []Link{{Href: "https://alerts.example.org/1.cap", Type: capType}}}
	return &Feed{
		ID: "https://alerts.example.org/feed", Lang: "ht", Title: "Alerts & more", Author: "Example", Summary: "All alerts", Updated: at("2026-11-02T08:30:00-05:00"),
		Links: []Link{{Href: "https://alerts.example.org/feed?a=1&b=2", Rel: "self"}},
		Entries: []Entry{
			signed,
			{Alert: flood(), ID: "two", Title: "Second", Summary: "<b>", Updated: at("2026-11-02T09:00:00-00:00")},
			{ID: "three", Title: "Third", Author: "Biwo egzanp", Updated: at("2026-11-02T10:00:00-05:00"), Links: []Link{{Href: "https://alerts.example.org/3.html", Rel: "alternate", Type: "text/html"}, {Href: "https://alerts.example.org/3", Type: capType}}},
		},
	}, signed
}

func TestFeedsAreReadAsWritten(t *testing.T) {
	for kind, write := range map[string]func([]byte, *Feed) []byte{Atom: AppendAtom, RSS: AppendRSS} {
		t.Run(kind, func(t *testing.T) {
			feed, signed := someFeed(t)
			b := write(nil, feed)
			got, err := ParseFeed(b, Limits{})
			if err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			if got.Kind != kind || got.Lang != "ht" || got.Title != feed.Title || got.Summary != feed.Summary || !got.Updated.Equal(feed.Updated) || len(got.Entries) != 3 {
				t.Errorf("%+v", got)
			}
			if kind == Atom && (got.ID != feed.ID || got.Author != feed.Author || !cmp.Equal(got.Links, feed.Links)) {
				t.Errorf("%+v", got)
			}
			want := []Entry{
				{ID: "urn:cap:alerts.example.org,2026-11-02-0001,2026-11-02T08:30:00-05:00", Title: "Inondasyon nan zòn larivyè egzanp lan",
					Updated: feed.Updated, Alert: flood()},
				{ID: "two", Title: "Second", Summary: "<b>", Updated: at("2026-11-02T09:00:00-00:00"), Alert: flood()},
				{ID: "three", Title: "Third", Author: "Biwo egzanp", Updated: at("2026-11-02T10:00:00-05:00")},
			}
			if kind == RSS { // which has an author's address of mail, and no name
				want[2].Author = ""
			}
			if l := got.Entries[2].Links[0].Href; l != "https://alerts.example.org/3.html" {
				t.Errorf("the page for people is %q", l)
			}
			if d := cmp.Diff(want, got.Entries, cmpopts.IgnoreFields(Entry{}, "Document", "Links")); d != "" {
				t.Error(d)
			}
			if l := got.Entries[0].AlertLink(); l != signed.Links[0].Href {
				t.Errorf("the link is %q", l)
			}
			if l := got.Entries[2].AlertLink(); l != "https://alerts.example.org/3" {
				t.Errorf("the link is %q", l)
			}
			if s := verifyOne(t, got.Entries[0].Document); !s.Holds() {
				t.Errorf("the signature does not hold any more: %+v\n%s", s, got.Entries[0].Document)
			}
		})
	}
}

func TestRSSThatIsWrittenIsValid(t *testing.T) {
	feed, _ := someFeed(t)
	validates(t, "feed/rss-2_0.xsd", AppendRSS(nil, feed))
}

func TestEntriesThatCannotBeReadAreLeftOut(t *testing.T) {
	feed := &Feed{ID: "i", Title: "t", Author: "a", Updated: at("2026-11-02T08:30:00-05:00"), Entries: []Entry{
		{ID: "1", Title: "broken", Updated: at("2026-11-02T08:30:00-05:00"), Document: []byte("<alert>"), Links: []Link{{Href: "https://example.org/1"}}}}}
	got, err := ParseFeed(AppendAtom(nil, feed), Limits{})
	if err != nil || len(got.Entries) != 1 || got.Entries[0].Document != nil {
		t.Errorf("%+v %v", got, err)
	}
}

func TestOneBadEntryDoesNotHideTheOthers(t *testing.T) {
	good := minimal("1.2", info(levels))
	entry := func(id, alert string) string {
		return `<entry><id>` + id + `</id><title>t</title><updated>2026-11-02T08:30:00Z</updated><content type="text/xml">` + alert + `</content></entry>`
	}
	feed, err := ParseFeed([]byte(`<feed xmlns="http://www.w3.org/2005/Atom" xmlns:c="`+space12+`"><id>i</id><title>t</title><updated>2026-11-02T08:30:00Z</updated>`+
		entry("one", good)+entry("two", strings.Replace(good, "Likely", "Sure", 1))+entry("three", strings.NewReplacer("</", "</c:", "<", "<c:", ` xmlns="`+space12+`"`, "").Replace(good))+
		`</feed>`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if feed.Entries[0].Err != nil || feed.Entries[2].Err != nil || feed.Entries[0].Alert == nil || feed.Entries[1].Alert != nil {
		t.Errorf("%+v", feed.Entries)
	}
	if d := cmp.Diff([]string{"entry[1].alert.info[0].certainty enum"}, fields(t, feed.Entries[1].Err)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(feed.Entries[0].Alert, mustParse(t, feed.Entries[2].Document)); d != "" {
		t.Errorf("the alert with the prefix of the feed is another: %s", d)
	}
}

func TestFeedsThatAreNoneAreRefused(t *testing.T) {
	atom := func(parts string) string { return `<feed xmlns="http://www.w3.org/2005/Atom">` + parts + `</feed>` }
	const head = `<id>i</id><title>t</title><updated>2026-11-02T08:30:00-05:00</updated>`
	edxl := func(parts string) string {
		return `<EDXLDistribution xmlns="` + edxldSpace + `">` + parts + `</EDXLDistribution>`
	}
	for name, try := range map[string]struct {
		data string
		want []string
	}{
		"an alert":           {minimal("1.2", ""), []string{"alert not-feed"}},
		"RSS 1.0":            {`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>`, []string{"RDF not-feed"}},
		"feed of no space":   {`<feed/>`, []string{"feed not-feed"}},
		"no XML":             {"hello", []string{" xml-syntax"}},
		"nothing in it":      {atom(""), []string{"id required", "title required", "updated required"}},
		"not a time":         {atom(strings.Replace(head, "T08", " 08", 1)), []string{"updated time"}},
		"link without href":  {atom(head + `<link rel="self"/>`), []string{"link[0] required"}},
		"content in a feed":  {atom(head + `<content/>`), []string{"content unknown-element"}},
		"others' elements":   {atom(head + `<x xmlns="urn:x"/>`), nil},
		"RSS 0.91":           {`<rss version="0.91"><channel><title>t</title><link>l</link><description>d</description></channel></rss>`, []string{"version enum"}},
		"no channel":         {`<rss version="2.0"/>`, []string{"channel required"}},
		"nothing of EDXL-DE": {edxl(""), []string{"distributionID required", "senderID required", "dateTimeSent required", "distributionStatus required", "distributionType required", "combinedConfidentiality required"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseFeed([]byte(try.data), Limits{})
			if d := cmp.Diff(try.want, fields(t, err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEDXLHoldsSeveralAlertsAndLinks(t *testing.T) {
	alert := minimal("1.2", info(levels))
	feed, err := ParseFeed([]byte(`<EDXLDistribution xmlns="`+edxldSpace+`"><distributionID>d</distributionID><senderID>s</senderID><dateTimeSent>2026-11-02T08:30:00-05:00</dateTimeSent>
	<distributionStatus>Actual</distributionStatus><distributionType>Report</distributionType><combinedConfidentiality>none</combinedConfidentiality>
	<contentObject><contentDescription>two</contentDescription><xmlContent><embeddedXMLContent>`+alert+`</embeddedXMLContent><embeddedXMLContent>`+alert+`</embeddedXMLContent></xmlContent></contentObject>
	<contentObject><nonXMLContent><mimeType>application/cap+xml</mimeType><uri>https://example.org/1</uri></nonXMLContent></contentObject>
	</EDXLDistribution>`), Limits{})
	if err != nil || len(feed.Entries) != 3 || feed.Entries[0].Alert == nil || feed.Entries[1].Alert == nil || feed.Entries[1].Title != "two" ||
		feed.Entries[2].AlertLink() != "https://example.org/1" || feed.Author != "s" || !feed.Entries[2].Updated.Equal(at("2026-11-02T08:30:00-05:00")) {
		t.Errorf("%+v %v", feed, err)
	}
}

func TestAtomContentMayBeElsewhere(t *testing.T) {
	feed, err := ParseFeed([]byte(`<feed xmlns="http://www.w3.org/2005/Atom"><id>i</id><title>t</title><updated>2026-11-02T08:30:00Z</updated><entry><id>e</id><title>t</title>
	<updated>2026-11-02T08:30:00Z</updated><content type="application/cap+xml" src="1.cap"/></entry></feed>`), Limits{})
	if err != nil || feed.Entries[0].Err != nil || feed.Entries[0].AlertLink() != "1.cap" {
		t.Errorf("%+v %v", feed, err)
	}
}

func TestEntriesAreCalledLikeTheirAlerts(t *testing.T) {
	for want, e := range map[string]Entry{
		"given":    {Title: "given", Alert: flood()},
		"Flood":    {Alert: &Alert{Identifier: "1", Info: []Info{{Event: "Flood"}}}},
		"Headline": {Alert: &Alert{Identifier: "1", Info: []Info{{Event: "Flood", Headline: "Headline"}}}},
		"1":        {Alert: &Alert{Identifier: "1"}},
		"":         {},
	} {
		if got := e.complete().Title; got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestAlertLink(t *testing.T) {
	for name, try := range map[string]struct {
		links []Link
		want  string
	}{
		"none":                {nil, ""},
		"a page":              {[]Link{{Href: "https://example.org/a", Type: "text/html"}}, ""},
		"of no type":          {[]Link{{Href: "https://example.org/a"}}, "https://example.org/a"},
		"of CAP's type":       {[]Link{{Href: "a.cap"}, {Href: "b", Type: "application/cap+xml; charset=utf-8", Rel: "related"}}, "b"},
		"of the old type":     {[]Link{{Href: "a"}, {Href: "b", Type: "Application/Common-Alerting-Protocol+XML"}}, "b"},
		"by its name":         {[]Link{{Href: "a"}, {Href: "/b/c.CAP?d"}}, "/b/c.CAP?d"},
		"XML":                 {[]Link{{Href: "a"}, {Href: "b", Type: "text/xml"}}, "b"},
		"a page called xml":   {[]Link{{Href: "a.xml", Type: "text/html"}}, ""},
		"the first of two":    {[]Link{{Href: "a", Type: capType}, {Href: "b", Type: capType}}, "a"},
		"itself":              {[]Link{{Href: "a.xml", Rel: "self"}}, ""},
		"a file":              {[]Link{{Href: "file:///etc/passwd", Type: capType}}, ""},
		"a script":            {[]Link{{Href: "javascript:alert(1)", Type: capType}}, ""},
		"no address":          {[]Link{{Href: "http://[", Type: capType}}, ""},
		"related of no type":  {[]Link{{Href: "a", Rel: "related"}}, ""},
		"enclosed of no type": {[]Link{{Href: "a", Rel: "enclosure"}}, "a"},
	} {
		if got := (&Entry{Links: try.links}).AlertLink(); got != try.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestTimesOfRSS(t *testing.T) {
	for s, want := range map[string]string{
		"Fri, 04 Feb 2011 20:32:08 GMT":   "2011-02-04T20:32:08Z",
		"Fri, 4 Feb 2011 20:32:08 +0100":  "2011-02-04T20:32:08+01:00",
		"04 Feb 11 20:32 EST":             "2011-02-04T20:32:00-05:00",
		"Fri, 04 Feb 2011 20:32:08 pdt":   "2011-02-04T20:32:08-07:00",
		"Fri, 04 Feb 2011 20:32:08":       "",
		"Fri, 04 Feb 2011 20:32:08 LATER": "",
		"2011-02-04T20:32:08Z":            "",
	} {
		got, err := parseRFC822(s)
		if (err == nil) != (want != "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
}

func FuzzParseFeed(f *testing.F) {
	feed, _ := someFeed(f)
	f.Add(AppendAtom(nil, feed))
	f.Add(AppendRSS(nil, feed))
	f.Add([]byte(`<EDXLDistribution xmlns="` + edxldSpace + `"><contentObject/></EDXLDistribution>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		feed, err := ParseFeed(data, Limits{Bytes: 1 << 16})
		if err != nil {
			if len(fields(t, err)) == 0 {
				t.Fatalf("%v says nothing", err)
			}
			return
		}
		for _, e := range feed.Entries {
			if e.Alert == nil {
				continue
			}
			a, err := Parse(e.Document, Limits{})
			if err != nil {
				t.Fatalf("%v\n%s", err, e.Document)
			}
			if d := cmp.Diff(e.Alert, a, sameTimes); d != "" {
				t.Fatalf("%s\n%s", d, e.Document)
			}
		}
		for _, write := range []func([]byte, *Feed) []byte{AppendAtom, AppendRSS} {
			mustRead(t, write(nil, feed))
		}
	})
}
