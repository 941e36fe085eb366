package cap

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"crypto/x509"

	"github.com/google/go-cmp/cmp"

	"konbit/record"
)

// sampleDir is where the samples of google/cap-library and the schemas are. A
// fresh clone does not have them.
func sampleDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KONBIT_DATA_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir = filepath.Join(dir, "cap")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the trial data is not there (%s); set KONBIT_DATA_SAMPLES to the folder that has cap/ in it", dir)
	}
	return dir
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sampleDir(t), "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sampleCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(sample(t, name))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// tool runs a program that the tests need, and returns what it says and whether
// it was content.
func tool(t testing.TB, name, pkg string, stdin []byte, args ...string) (string, bool) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("this test needs %s: apt-get install %s", name, pkg)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(string(stdin))
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func xmllint(t testing.TB, stdin []byte, args ...string) (string, bool) {
	t.Helper()
	return tool(t, "xmllint", "libxml2-utils", stdin, append([]string{"--nonet"}, args...)...)
}

// validates fails the test when a document is not valid against a schema of the samples.
func validates(t testing.TB, schema string, doc []byte) {
	t.Helper()
	out, ok := xmllint(t, doc, "--noout", "--schema", filepath.Join(sampleDir(t), "schema", schema), "-")
	if !ok {
		t.Fatalf("not valid against %s: %s\n%s", schema, out, doc)
	}
}

// TestSamplesAreTakenOrRefused names why a sample is refused.
func TestSamplesAreTakenOrRefused(t *testing.T) {
	for name, want := range map[string][]string{
		"australia.cap": nil, "canada.cap": nil, "canada_signed.cap": nil, "earthquake-iso8859-1.cap": nil, "earthquake.cap": nil,
		"earthquake_signed.cap": nil, "no_optional_fields.cap": nil, "wcatwc-warning.cap": nil, "weather.cap": nil,

		"invalid.cap":       {"scope required"},
		"canada_errors.cap": {"references references"},
		"noaa_errors.cap": {"references references", "info[0].urgency enum", "info[0].severity enum", "info[0].certainty enum",
			"info[0].area[0].polygon[0] polygon", "info[0].area[0].polygon[1] polygon"},
		"xee.cap": {" xml-doctype"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Parse(sample(t, name), Limits{})
			if d := cmp.Diff(want, fields(t, err)); d != "" {
				t.Fatal(d)
			}
			if want != nil {
				return
			}
			again := mustParse(t, Marshal(a))
			again.Version = a.Version
			if d := cmp.Diff(a, again); d != "" {
				t.Errorf("it is written as another: %s", d)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(sampleDir(t), "testdata", "*.cap"))
	if err != nil || len(files) != 13 {
		t.Errorf("there are %d samples, and not 13 as the table has them: %v", len(files), err)
	}
}

func TestSampleInISO88591IsReadAsWritten(t *testing.T) {
	a := mustParse(t, sample(t, "earthquake-iso8859-1.cap"))
	if want := "EQ 4.6 Usulután, Usulután, El Salvador - PRELIMINARY REPORT"; a.Info[0].Headline != want {
		t.Errorf("%q", a.Info[0].Headline)
	}
}

func TestSampleFeedsAreTakenOrRefused(t *testing.T) {
	for name, want := range map[string]struct {
		entries int
		alerts  int
		links   int
		wrong   []string // of the feed, or of its entries
	}{
		"amber.atom":               {entries: 1, alerts: 1},
		"canada_signed.atom":       {entries: 1, alerts: 1},
		"earthquake_index.atom":    {entries: 1, links: 1},
		"empty_weather_index.atom": {},
		"no_entries.atom":          {},
		"weather.atom":             {entries: 1, alerts: 1, links: 1},
		"weather_index.atom":       {entries: 2, links: 2},
		"ny_index.rss":             {entries: 2, links: 2},
		"bushfire_valid.edxlde":    {entries: 7, alerts: 7},

		"invalid_element.atom": {wrong: []string{"foo unknown-element", "entry[0].link no-alert"}},
		"no_id.atom":           {wrong: []string{"id required", "entry[0].id required", "entry[0].link no-alert"}},
		"no_link.atom":         {entries: 1, wrong: []string{"entry[0].link no-alert"}},
		"no_title.atom":        {entries: 1, wrong: []string{"entry[0].title required", "entry[0].link no-alert"}},
		"weather_invalid.atom": {entries: 1, links: 1, wrong: []string{"entry[0].alert.identifier identifier"}},
		"invalid.rss": {wrong: []string{"channel.title required", "channel.description required",
			"channel.item[0].title required", "channel.item[0].link no-alert"}},
		"xee.atom": {wrong: []string{" xml-doctype"}},
		"bushfire_invalid.edxlde": {entries: 7, alerts: 5, wrong: []string{
			"contentObject[1].alert.identifier required", "contentObject[1].alert.sender required", "contentObject[1].alert.sent required",
			"contentObject[1].alert.status required", "contentObject[1].alert.msgType required", "contentObject[1].alert.scope required",
			"contentObject[2].alert.info[0].urgency enum"}},
	} {
		t.Run(name, func(t *testing.T) {
			feed, err := ParseFeed(sample(t, name), Limits{})
			wrong := fields(t, err)
			alerts, links := 0, 0
			if feed == nil {
				feed = &Feed{}
			}
			for i := range feed.Entries {
				e := &feed.Entries[i]
				wrong = append(wrong, fields(t, e.Err)...)
				if e.Alert != nil {
					alerts++
					if d := cmp.Diff(e.Alert, mustParse(t, e.Document)); d != "" {
						t.Errorf("entry %d taken out of the feed is another: %s", i, d)
					}
				}
				if e.AlertLink() != "" {
					links++
				}
			}
			if d := cmp.Diff(want.wrong, wrong); d != "" {
				t.Error(d)
			}
			if len(feed.Entries) != want.entries || alerts != want.alerts || links != want.links {
				t.Errorf("%d entries, %d alerts, %d links; not %+v", len(feed.Entries), alerts, links, want)
			}
		})
	}
}

func TestSampleSignaturesHold(t *testing.T) {
	naads, environment := sampleCertificate(t, "naads_x509_cert.pem"), sampleCertificate(t, "environment_canada_x509_cert.pem")
	feed, err := ParseFeed(sample(t, "canada_signed.atom"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		data  []byte
		certs []*x509.Certificate
	}{
		"earthquake_signed.cap": {sample(t, "earthquake_signed.cap"), []*x509.Certificate{nil}},
		"canada_signed.cap":     {sample(t, "canada_signed.cap"), []*x509.Certificate{naads, environment}},
		"canada_signed.atom":    {feed.Entries[0].Document, []*x509.Certificate{naads, environment}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Verify(try.data, Limits{})
			if err != nil || len(got) != len(try.certs) {
				t.Fatal(len(got), err)
			}
			for i, s := range got {
				if !s.Holds() || !s.Weak || s.Algorithm != "rsa-sha1" || s.Digest != "sha1" || s.Key == nil || s.Reason != "" {
					t.Errorf("signature %d: %+v", i, s)
				}
				if s.Parallel != (len(got) > 1) {
					t.Errorf("signature %d: parallel is %v", i, s.Parallel)
				}
				if c := try.certs[i]; c != nil && !c.Equal(s.Certificate) {
					t.Errorf("signature %d has the certificate of %s", i, s.Certificate.Subject)
				}
			}
			forged := strings.Replace(string(try.data), "<urgency>", "<urgency><!-- -->", 1)
			forged = strings.Replace(forged, "Earthquake", "Landslide", 1)
			forged = strings.Replace(forged, "snowfall", "rainfall", 1)
			got, err = Verify([]byte(forged), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range got {
				if s.Holds() || s.DigestOK || record.CodeOf(err) != "" {
					t.Errorf("signature %d of a forged alert: %+v", i, s)
				}
			}
		})
	}
}
