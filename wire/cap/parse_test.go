package cap

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/record"
)

func own(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t testing.TB, data []byte) *Alert {
	t.Helper()
	a, err := Parse(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fields returns what an error says is wrong, "path code" each.
func fields(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *record.Error
	if !errors.As(err, &e) {
		t.Fatalf("not an error of ours: %v", err)
	}
	var out []string
	for _, f := range e.Fields {
		if f.Message == "" {
			t.Errorf("%s %s has no words", f.Path, f.Code)
		}
		out = append(out, f.Path+" "+f.Code)
	}
	return out
}

func at(s string) time.Time {
	t, err := parseTime(s, Version10)
	if err != nil {
		panic(err)
	}
	return t
}

func pointer[T any](v T) *T { return &v }

// flood is testdata/flood.cap.
func flood() *Alert {
	return &Alert{
		Version: "1.2", Identifier: "2026-11-02-0001", Sender: "alerts.example.org", Sent: at("2026-11-02T08:30:00-05:00"),
		Status: "Actual", MsgType: "Update", Source: "duty desk", Scope: "Public", Addresses: []string{"radio", "second desk"},
		Code: []string{"profile:example:1", "layer:example"}, Note: "Second message",
		References: []Reference{
			{"alerts.example.org", "2026-11-02-0000", at("2026-11-02T07:00:00-05:00")},
			{"alerts.example.org", "2026-11-01-0009", at("2026-11-01T23:00:00-00:00")},
		},
		Incidents: []string{"flood-17", "river two"},
		Info: []Info{{
			Language: "ht", Category: []string{"Met", "Safety"}, Event: "Inondasyon", ResponseType: []string{"Evacuate", "Monitor"},
			Urgency: "Immediate", Severity: "Severe", Certainty: "Observed", Audience: "Tout moun ki rete bò larivyè a",
			EventCode: []Value{{"SAME", "FFW"}}, Effective: at("2026-11-02T08:30:00-05:00"), Onset: at("2026-11-02T09:00:00-05:00"),
			Expires: at("2026-11-02T18:00:00-05:00"), SenderName: "Sèvis Egzanp", Headline: "Inondasyon nan zòn larivyè egzanp lan",
			Description: "Dlo a ap monte depi maten. Pon an fèmen & wout la koupe.", Instruction: "Monte kote ki wo. Pa travèse dlo.",
			Web: "https://alerts.example.org/2026-11-02-0001", Contact: "alerts@example.org", Parameter: []Value{{"river-level-m", "4.2"}},
			Resource: []Resource{{ResourceDesc: "Kat", MimeType: "image/png", Size: pointer[int64](51200), URI: "https://alerts.example.org/map.png",
				Digest: "da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
			Area: []Area{{
				AreaDesc: "Bò larivyè egzanp lan",
				Polygon:  [][]Point{{{-72.4, 18.5}, {-72.2, 18.5}, {-72.2, 18.7}, {-72.4, 18.7}, {-72.4, 18.5}}},
				Circle:   []Circle{{Point{-72.3, 18.9}, 5.5}}, Geocode: []Value{{"p-code", "XX0101"}},
				Altitude: pointer(0.0), Ceiling: pointer(164.5),
			}},
		}, {
			Language: "fr", Category: []string{"Safety", "Met"}, Event: "Inondation", ResponseType: []string{"Evacuate"},
			Urgency: "Immediate", Severity: "Severe", Certainty: "Observed", EventCode: []Value{{"SAME", "FFW"}},
			Expires: at("2026-11-02T18:00:00-05:00"), SenderName: "Service Exemple", Headline: "Inondation près de la rivière exemple",
			Description: "L'eau monte depuis le matin. Le pont est fermé.", Instruction: "Montez sur les hauteurs. Ne traversez pas l'eau.",
			Area: []Area{{AreaDesc: "Bords de la rivière exemple", Geocode: []Value{{"p-code", "XX0101"}}}},
		}},
	}
}

func TestParseReadsEveryElement(t *testing.T) {
	got := mustParse(t, own(t, "flood.cap"))
	if d := cmp.Diff(flood(), got); d != "" {
		t.Error(d)
	}
	if _, offset := got.Sent.Zone(); offset != -5*3600 {
		t.Errorf("the offset of %v was not kept", got.Sent)
	}
}

func TestParseReadsTheOldestVersion(t *testing.T) {
	want := &Alert{
		Version: "1.0", Identifier: "17", Sender: "alerts.example.org", Sent: at("2004-06-01T12:00:00.25-04:00"), Status: "Actual", MsgType: "Update",
		References: []Reference{{Identifier: "16", Sender: "alerts.example.org"}},
		Info: []Info{{
			Event: "STORM", Urgency: "Expected", Severity: "Severe", Certainty: "Likely", EventCode: []Value{{"SAME", "TOR"}},
			Headline: "Tempête – café", Parameter: []Value{{"wind", "120=km/h"}}, Resource: []Resource{{ResourceDesc: "map"}},
			Area: []Area{{AreaDesc: "Example", Geocode: []Value{{"FIPS6", "000000"}}}},
		}},
	}
	if d := cmp.Diff(want, mustParse(t, own(t, "old.cap"))); d != "" {
		t.Error(d)
	}
}

func TestParseListsAllFaults(t *testing.T) {
	_, err := Parse(own(t, "faults.cap"), Limits{})
	want := []string{
		"alert attribute", "identifier identifier", "sender identifier", "sent time-zone", "status enum", "msgType order", "source order",
		"source repeated", "references references", "more unknown-element",
		"info[0].language language", "info[0].category[1] enum", "info[0].severity enum", "info[0].certainty enum",
		"info[0].eventCode[0].valueName required", "info[0].effective time", "info[0].expires time", "info[0] stray-text", "info[0].web uri",
		"info[0].resource[0].size number", "info[0].resource[0].mimeType required",
		"info[0].area[0].polygon[0] polygon", "info[0].area[0].polygon[1] coordinates", "info[0].area[0].circle[0] circle",
		"info[0].area[0].altitude number", "info[0].area[0].areaDesc required", "info[0].event required",
	}
	if d := cmp.Diff(want, fields(t, err)); d != "" {
		t.Error(d)
	}
	if record.CodeOf(err) != record.Invalid {
		t.Error(record.CodeOf(err))
	}
	if _, err := Parse(own(t, "faults.cap"), Limits{Faults: 3}); len(fields(t, err)) != 3 {
		t.Error("more faults are listed than were asked for")
	}
}

// minimal is a valid alert with one thing put in.
func minimal(version, info string) string {
	space := map[string]string{"1.0": space10, "1.1": space11, "1.2": space12}[version]
	return `<alert xmlns="` + space + `"><identifier>i</identifier><sender>s</sender><sent>2026-11-02T08:30:00-05:00</sent>` +
		`<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>` + info + `</alert>`
}

func info(parts string) string {
	return `<info><category>Met</category><event>e</event>` + parts + `</info>`
}

const levels = `<urgency>Future</urgency><severity>Minor</severity><certainty>Likely</certainty>`

func TestParseHoldsToTheSchemaOfTheVersion(t *testing.T) {
	signature := `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><Any><Thing/></Any></Signature>`
	times := func(s string) string { return info(levels + "<expires>" + s + "</expires>") }
	area := func(s string) string { return info(levels + "<area><areaDesc>a</areaDesc>" + s + "</area>") }
	for name, try := range map[string]struct {
		data string
		want []string
	}{
		"least":                              {minimal("1.2", ""), nil},
		"least of 1.1":                       {minimal("1.1", ""), nil},
		"least of 1.0":                       {minimal("1.0", ""), nil},
		"no scope in 1.0":                    {strings.ReplaceAll(minimal("1.0", ""), "<scope>Public</scope>", ""), nil},
		"no scope":                           {strings.ReplaceAll(minimal("1.1", ""), "<scope>Public</scope>", ""), []string{"scope required"}},
		"signed":                             {minimal("1.2", signature), nil},
		"signed of 1.1":                      {minimal("1.1", signature+signature), nil},
		"behind the signature":               {minimal("1.2", signature+info(levels)), []string{"info[0] order"}},
		"signature elsewhere":                {minimal("1.2", info(levels+signature)), []string{"info[0].Signature[0] unknown-element"}},
		"another root":                       {`<feed/>`, []string{"feed not-cap"}},
		"another namespace":                  {`<alert xmlns="urn:example"/>`, []string{"alert not-cap"}},
		"no namespace":                       {`<alert/>`, []string{"alert not-cap"}},
		"nothing in it":                      {`<alert xmlns="` + space12 + `"/>`, []string{"identifier required", "sender required", "sent required", "status required", "msgType required", "scope required"}},
		"no category in 1.0":                 {strings.ReplaceAll(minimal("1.0", info(levels)), "<category>Met</category>", ""), nil},
		"no category":                        {strings.ReplaceAll(minimal("1.1", info(levels)), "<category>Met</category>", ""), []string{"info[0].category required"}},
		"Very Likely after 1.0":              {strings.ReplaceAll(minimal("1.1", info(levels)), "Likely", "Very Likely"), []string{"info[0].certainty enum"}},
		"Observed before 1.1":                {strings.ReplaceAll(minimal("1.0", info(levels)), "Likely", "Observed"), []string{"info[0].certainty enum"}},
		"AllClear before 1.2":                {minimal("1.1", info("<responseType>AllClear</responseType>"+levels)), []string{"info[0].responseType[0] enum"}},
		"responseType in 1.0":                {minimal("1.0", info("<responseType>Monitor</responseType>"+levels)), []string{"info[0].responseType[0] unknown-element"}},
		"CBRNE in 1.0":                       {strings.ReplaceAll(minimal("1.0", info(levels)), "Met", "CBRNE"), []string{"info[0].category[0] enum"}},
		"mimeType missing in 1.1":            {minimal("1.1", info(levels+"<resource><resourceDesc>r</resourceDesc></resource>")), nil},
		"derefUri in 1.0":                    {minimal("1.0", info(levels+"<resource><resourceDesc>r</resourceDesc><derefUri>aa</derefUri></resource>")), []string{"info[0].resource[0].derefUri unknown-element"}},
		"password after 1.0":                 {strings.ReplaceAll(minimal("1.1", ""), "<scope>", "<password>x</password><scope>"), []string{"password unknown-element"}},
		"a pair in 1.0":                      {minimal("1.0", info(levels+"<parameter>x</parameter>")), []string{"info[0].parameter[0] pair"}},
		"element in a text":                  {minimal("1.2", info(levels+"<headline>a <b>c</b></headline>")), []string{"info[0].headline.b unknown-element"}},
		"comment in a text":                  {minimal("1.2", times("2026-11-02<!-- not -->T08:30:00-05:00")), nil},
		"no language":                        {minimal("1.2", strings.ReplaceAll(info(levels), "<category>", "<language/><category>")), nil},
		"schema location":                    {strings.Replace(minimal("1.2", ""), "<alert ", `<alert xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b" `, 1), nil},
		"xml:lang":                           {minimal("1.2", info(levels+`<headline xml:lang="fr">h</headline>`)), []string{"info[0].headline attribute"}},
		"blanks around a time":               {minimal("1.2", times(" 2026-11-02T08:30:00-05:00\n")), nil},
		"Z":                                  {minimal("1.2", times("2026-11-02T08:30:00Z")), []string{"info[0].expires time-zone"}},
		"Z in 1.1":                           {minimal("1.1", times("2026-11-02T08:30:00Z")), []string{"info[0].expires time-zone"}},
		"no zone in 1.0":                     {minimal("1.0", times("2026-11-02T08:30:00")), []string{"info[0].expires time-zone"}},
		"part of a second":                   {minimal("1.2", times("2026-11-02T08:30:00.5-05:00")), []string{"info[0].expires time"}},
		"part of a second in 1.1":            {minimal("1.1", times("2026-11-02T08:30:00.5-05:00")), nil},
		"second 60":                          {minimal("1.2", times("2026-11-02T08:30:60-05:00")), []string{"info[0].expires time"}},
		"hour 24":                            {minimal("1.2", times("2026-11-30T24:00:00-05:00")), nil},
		"hour 24 and more":                   {minimal("1.2", times("2026-11-30T24:00:01-05:00")), []string{"info[0].expires time"}},
		"29 February":                        {minimal("1.2", times("2028-02-29T08:30:00-05:00")), nil},
		"no such 29 February":                {minimal("1.2", times("2026-02-29T08:30:00-05:00")), []string{"info[0].expires time"}},
		"year 0":                             {minimal("1.2", times("0000-11-02T08:30:00-05:00")), []string{"info[0].expires time"}},
		"letters in a time":                  {minimal("1.2", times("20x6-11-02T08:30:00-05:00")), []string{"info[0].expires time"}},
		"no part of a second":                {minimal("1.1", times("2026-11-02T08:30:00.-05:00")), []string{"info[0].expires time"}},
		"a sign within":                      {minimal("1.2", area("<polygon>1-2,2</polygon>")), []string{"info[0].area[0].polygon[0] polygon"}},
		"a dot alone":                        {minimal("1.2", area("<polygon>.,2</polygon>")), []string{"info[0].area[0].polygon[0] polygon"}},
		"a comma for a sign":                 {minimal("1.2", times("2026-11-02T08:30:00,05:00")), []string{"info[0].expires time"}},
		"offset of 15 hours":                 {minimal("1.2", times("2026-11-02T08:30:00+15:00")), []string{"info[0].expires time"}},
		"empty polygon":                      {minimal("1.2", area("<polygon/>")), []string{"info[0].area[0].polygon[0] polygon"}},
		"polygon over lines":                 {minimal("1.2", area("<polygon>\n 1,2\n\t+3.5,-4. .5,0 1,2 </polygon>")), nil},
		"three numbers":                      {minimal("1.2", area("<polygon>1,2,3 4,5,6</polygon>")), []string{"info[0].area[0].polygon[0] polygon"}},
		"hexadecimal":                        {minimal("1.2", area("<polygon>0x1,2</polygon>")), []string{"info[0].area[0].polygon[0] polygon"}},
		"not a number":                       {minimal("1.2", area("<circle>NaN,2 1</circle>")), []string{"info[0].area[0].circle[0] circle"}},
		"circle off the earth":               {minimal("1.2", area("<circle>1,181 1</circle>")), []string{"info[0].area[0].circle[0] coordinates"}},
		"negative radius":                    {minimal("1.2", area("<circle>1,2 -1</circle>")), []string{"info[0].area[0].circle[0] circle"}},
		"order in an area":                   {minimal("1.2", info(levels+"<area><polygon>1,2</polygon><areaDesc>a</areaDesc></area>")), []string{"info[0].area[0].areaDesc order"}},
		"references with a Z":                {minimal("1.2", "<references>s,i,2026-11-02T08:30:00Z</references>"), []string{"references time-zone"}},
		"references with four parts":         {minimal("1.2", "<references>s,i,j,2026-11-02T08:30:00-05:00</references>"), []string{"references references"}},
		"one good and one bad reference":     {minimal("1.2", "<references>s,i,2026-11-02T08:30:00-05:00 x</references>"), []string{"references references"}},
		"a huge size":                        {minimal("1.2", info(levels+"<resource><resourceDesc>r</resourceDesc><mimeType>m</mimeType><size>99999999999999999999</size></resource>")), []string{"info[0].resource[0].size number"}},
		"text and elements in the alert":     {minimal("1.2", "text"), []string{"alert stray-text"}},
		"an element of another namespace":    {minimal("1.2", `<info xmlns="urn:example"/>`), []string{"info[0] unknown-element"}},
		"an element in the namespace of 1.1": {minimal("1.2", `<note xmlns="`+space11+`">n</note>`), []string{"note unknown-element"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(try.data), Limits{})
			if d := cmp.Diff(try.want, fields(t, err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestURIs(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "a": true, "https://example.org/a?b=c#d": true, "mailto:a@example.org": true, "urn:a:b": true, "../a b/é": true,
		"http://[2001:db8::1]:80/a": true, "http://a@[::1]/": true, "a%20b": true,
		"http://[": false, "a[1]": false, "http://a/b[1]": false, "//]a": false, "a#b#c": false, "a%2": false, "a?b=%zz": false, "a%zz": false, "%": false, ":a": false,
		"1:a": false, "http://a:b": false, "a\x7fb": false,
	} {
		if isURI(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestGroupsAreReadAsWritten(t *testing.T) {
	for s, want := range map[string][]string{
		"": nil, " ": nil, "a": {"a"}, "a b": {"a", "b"}, `"a b" c`: {"a b", "c"}, `"" a`: {"", "a"}, `"a`: {`"a`}, `a"b c"`: {`a"b`, `c"`}, "\n a\t": {"a"}, `"a""b"`: {"a", "b"},
	} {
		if d := cmp.Diff(want, parseGroup(s)); d != "" {
			t.Errorf("%q: %s", s, d)
		}
	}
}
