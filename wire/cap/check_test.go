package cap

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/record"
)

func codes(findings []Finding) (out []string) {
	for _, f := range findings {
		out = append(out, f.Path+" "+f.Code)
	}
	return out
}

func TestCheck(t *testing.T) {
	now := at("2026-11-02T08:30:00-05:00")
	ring := func(p ...Point) func(*Alert) { return func(a *Alert) { a.Info[0].Area[0].Polygon = [][]Point{p} } }
	const polygon = "info[0].area[0].polygon[0] "
	for name, try := range map[string]struct {
		change   func(*Alert)
		errors   []string
		warnings []string
	}{
		"as it is": {change: func(*Alert) {}},

		"no expires":                   {func(a *Alert) { a.Info[1].Expires = time.Time{} }, []string{"info[1].expires expires-missing"}, nil},
		"expires when sent":            {func(a *Alert) { a.Info[1].Expires = a.Sent }, []string{"info[1].expires expires-sent"}, nil},
		"expires before it is sent":    {func(a *Alert) { a.Info[1].Expires = a.Sent.Add(-time.Hour) }, []string{"info[1].expires expires-sent"}, nil},
		"expires when it takes effect": {func(a *Alert) { a.Info[0].Effective = a.Info[0].Expires }, []string{"info[0].expires expires-effective"}, nil},
		"expired": {func(a *Alert) {
			a.Sent = a.Sent.Add(-time.Hour)
			a.References = a.References[:1]
			a.Info[1].Expires = a.Sent.Add(time.Minute)
		}, nil, []string{"info[1].expires expires-past"}},
		"sent in the future": {func(a *Alert) { a.Sent = a.Sent.Add(time.Hour) }, nil, []string{"sent sent-future"}},

		"no info":                 {func(a *Alert) { a.Info = nil }, []string{"info no-info"}, nil},
		"no info in a cancelling": {func(a *Alert) { a.MsgType, a.Info = "Cancel", nil }, nil, nil},
		"no area":                 {func(a *Alert) { a.Info[0].Area = nil }, []string{"info[0].area no-area"}, nil},
		"no shape":                {func(a *Alert) { a.Info[1].Area[0].Geocode = nil }, []string{"info[1].area no-shape"}, nil},
		"one area with a shape":   {func(a *Alert) { a.Info[1].Area = append(a.Info[1].Area, Area{AreaDesc: "and more"}) }, nil, nil},

		"three points":        {ring(Point{0, 0}, Point{1, 1}, Point{0, 0}), []string{polygon + "polygon-few"}, nil},
		"open ring":           {ring(Point{0, 0}, Point{1, 0}, Point{1, 1}, Point{0, 1}), []string{polygon + "polygon-open"}, nil},
		"bow tie":             {ring(Point{0, 0}, Point{1, 1}, Point{1, 0}, Point{0, 1}, Point{0, 0}), []string{polygon + "polygon-crosses"}, nil},
		"one place":           {ring(Point{1, 1}, Point{1, 1}, Point{1, 1}, Point{1, 1}), []string{polygon + "polygon-few"}, nil},
		"a line":              {ring(Point{0, 0}, Point{1, 1}, Point{2, 2}, Point{0, 0}), []string{polygon + "polygon-crosses"}, nil},
		"100 points":          {ring(coast(99, 1)...), nil, nil},
		"101 points":          {ring(coast(100, 1)...), []string{polygon + "polygon-many"}, nil},
		"simplified":          {ring(Simplify(coast(1000, 1), MaxVertices)...), nil, nil},
		"antimeridian":        {ring(Point{179, 0}, Point{-179, 0}, Point{-179, 1}, Point{179, 1}, Point{179, 0}), []string{polygon + "antimeridian"}, nil},
		"not on earth":        {ring(Point{0, 0}, Point{181, 0}, Point{1, 1}, Point{0, 0}), []string{polygon + "coordinates"}, nil},
		"circle not on earth": {func(a *Alert) { a.Info[0].Area[0].Circle[0].Center.Lat = 91 }, []string{"info[0].area[0].circle[0] coordinates"}, nil},
		"negative radius":     {func(a *Alert) { a.Info[0].Area[0].Circle[0].Radius = -1 }, []string{"info[0].area[0].circle[0] circle"}, nil},
		"no radius":           {func(a *Alert) { a.Info[0].Area[0].Circle[0].Radius = 0 }, nil, []string{"info[0].area[0].circle[0] circle-point"}},
		"ceiling alone":       {func(a *Alert) { a.Info[0].Area[0].Altitude = nil }, []string{"info[0].area[0].ceiling ceiling"}, nil},
		"ceiling below":       {func(a *Alert) { *a.Info[0].Area[0].Ceiling = -1 }, []string{"info[0].area[0].ceiling ceiling"}, nil},

		"no event code":       {func(a *Alert) { a.Info[1].EventCode = nil }, []string{"info[1].eventCode event-code"}, nil},
		"two event codes":     {func(a *Alert) { a.Info[1].EventCode = append(a.Info[1].EventCode, Value{"x", "y"}) }, []string{"info[1].eventCode event-code"}, nil},
		"another event code":  {func(a *Alert) { a.Info[1].EventCode[0].Value = "TOR" }, []string{"info[1].eventCode differs"}, nil},
		"another category":    {func(a *Alert) { a.Info[1].Category[0] = "Fire" }, []string{"info[1].category differs"}, nil},
		"one category more":   {func(a *Alert) { a.Info[1].Category = append(a.Info[1].Category, "Fire") }, []string{"info[1].category differs"}, nil},
		"the same twice":      {func(a *Alert) { a.Info[1].Category = append(a.Info[1].Category, "Met") }, nil, nil},
		"all unknown":         {func(a *Alert) { i := &a.Info[0]; i.Urgency, i.Severity, i.Certainty = unknown, unknown, unknown }, []string{"info[0].urgency all-unknown"}, nil},
		"two unknown":         {func(a *Alert) { a.Info[0].Urgency, a.Info[0].Severity = unknown, unknown }, nil, nil},
		"instruction in one":  {func(a *Alert) { a.Info[1].Instruction = "" }, []string{"info[1].instruction instruction"}, nil},
		"instruction in none": {func(a *Alert) { a.Info[0].Instruction, a.Info[1].Instruction = "", "" }, nil, nil},
		"headline of 139":     {func(a *Alert) { a.Info[0].Headline = strings.Repeat("è", 139) }, nil, nil},
		"headline of 140":     {func(a *Alert) { a.Info[0].Headline = strings.Repeat("è", 140) }, []string{"info[0].headline too-long"}, nil},
		"no headline":         {func(a *Alert) { a.Info[0].Headline = "" }, nil, []string{"info[0].headline headline-missing"}},
		"event of 35":         {func(a *Alert) { a.Info[0].Event = strings.Repeat("è", 35) }, nil, nil},
		"event of 36":         {func(a *Alert) { a.Info[0].Event = strings.Repeat("è", 36) }, []string{"info[0].event too-long"}, nil},
		"the same info twice": {func(a *Alert) { a.Info = append(a.Info, a.Info[1]) }, nil, []string{"info[2].language language-repeated"}},
		"for other areas": {func(a *Alert) {
			i := a.Info[1]
			i.Area = []Area{{AreaDesc: "x", Geocode: []Value{{"a", "b"}}}}
			a.Info = append(a.Info, i)
		}, nil, nil},
		"another language":     {func(a *Alert) { a.Info[1].Language = "not one" }, []string{"info[1].language language"}, nil},
		"page of no address":   {func(a *Alert) { a.Info[0].Web = "page.html" }, nil, []string{"info[0].web web-relative"}},
		"page that is nothing": {func(a *Alert) { a.Info[0].Web = "http://[" }, []string{"info[0].web uri"}, nil},

		"update without references": {func(a *Alert) { a.References = nil }, []string{"references required"}, nil},
		"cancel without references": {func(a *Alert) { a.MsgType, a.References = "Cancel", nil }, []string{"references required"}, nil},
		"alert without references":  {func(a *Alert) { a.MsgType, a.References = "Alert", nil }, nil, nil},
		"reference without a time":  {func(a *Alert) { a.References[1].Sent = time.Time{} }, []string{"references[1].sent required"}, nil},
		"reference with a comma":    {func(a *Alert) { a.References[0].Identifier = "a,b" }, []string{"references[0].identifier identifier"}, nil},
		"reference without sender":  {func(a *Alert) { a.References[0].Sender = "" }, []string{"references[0].sender required"}, nil},
		"reference to itself":       {func(a *Alert) { a.References[0] = Reference{a.Sender, a.Identifier, a.Sent} }, []string{"references[0] reference-self"}, nil},
		"reference to a later one":  {func(a *Alert) { a.References[0].Sent = a.Sent.Add(1) }, nil, []string{"references[0] reference-later"}},

		"identifier with a blank": {func(a *Alert) { a.Identifier = "a b" }, []string{"identifier identifier"}, nil},
		"no sender":               {func(a *Alert) { a.Sender = "" }, []string{"sender required"}, nil},
		"no time":                 {func(a *Alert) { a.Sent, a.References = time.Time{}, a.References[:1] }, []string{"sent required"}, []string{"references[0] reference-later"}},
		"year 10000":              {func(a *Alert) { a.Info[0].Onset = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"info[0].onset time"}, nil},
		"status of no list":       {func(a *Alert) { a.Status = "Real" }, []string{"status enum"}, nil},
		"no scope":                {func(a *Alert) { a.Scope = "" }, []string{"scope enum"}, nil},
		"restricted":              {func(a *Alert) { a.Scope = "Restricted" }, []string{"restriction required"}, nil},
		"private":                 {func(a *Alert) { a.Scope, a.Addresses = "Private", nil }, []string{"addresses required"}, nil},
		"quotation mark":          {func(a *Alert) { a.Addresses[0] = `a"b` }, []string{"addresses[0] quotation-mark"}, nil},
		"exercise":                {func(a *Alert) { a.Status, a.Note = "Exercise", "" }, nil, []string{"note note-missing"}},
		"control character":       {func(a *Alert) { a.Info[0].Description = "a\x07" }, []string{"info[0].description characters"}, nil},
		"no category":             {func(a *Alert) { a.Info[0].Category, a.Info[1].Category = nil, nil }, []string{"info[0].category required", "info[1].category required"}, nil},
		"no event":                {func(a *Alert) { a.Info[0].Event = " " }, []string{"info[0].event required"}, nil},
		"no name of an area":      {func(a *Alert) { a.Info[1].Area[0].AreaDesc = "" }, []string{"info[1].area[0].areaDesc required"}, nil},
		"no name of a value":      {func(a *Alert) { a.Info[0].Parameter[0].ValueName = "" }, []string{"info[0].parameter[0].valueName required"}, nil},
		"no type of a file":       {func(a *Alert) { a.Info[0].Resource[0].MimeType = "" }, []string{"info[0].resource[0].mimeType required"}, nil},
		"size under nothing":      {func(a *Alert) { *a.Info[0].Resource[0].Size = -1 }, []string{"info[0].resource[0].size number"}, nil},
		"file that is nowhere":    {func(a *Alert) { a.Info[0].Resource[0].URI = "map.png" }, nil, []string{"info[0].resource[0].uri resource-unreached"}},
		"file in the alert":       {func(a *Alert) { a.Info[0].Resource[0].URI, a.Info[0].Resource[0].DerefURI = "map.png", "AAAA" }, nil, nil},
		"code of no letters":      {func(a *Alert) { a.Code[1] = "\xff" }, []string{"code[1] characters"}, nil},
		"response of no list":     {func(a *Alert) { a.Info[0].ResponseType[1] = "Run" }, []string{"info[0].responseType[1] enum"}, nil},
		"altitude of no number":   {func(a *Alert) { *a.Info[0].Area[0].Ceiling = math.Inf(1) }, []string{"info[0].area[0].ceiling number"}, nil},
		"file of no address":      {func(a *Alert) { a.Info[0].Resource[0].URI = "a#b#c" }, []string{"info[0].resource[0].uri uri"}, []string{"info[0].resource[0].uri resource-unreached"}},
		"digest of another sort":  {func(a *Alert) { a.Info[0].Resource[0].Digest = "abc" }, nil, []string{"info[0].resource[0].digest digest"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := flood()
			try.change(a)
			got := Check(a, now)
			if d := cmp.Diff(try.errors, codes(got.Errors)); d != "" {
				t.Errorf("errors: %s", d)
			}
			if d := cmp.Diff(try.warnings, codes(got.Warnings)); d != "" {
				t.Errorf("warnings: %s", d)
			}
			if err := got.Err("alert.send"); (err != nil) != (len(try.errors) > 0) || err != nil && record.CodeOf(err) != record.Invalid {
				t.Errorf("as an error: %v", err)
			}
		})
	}
}

func TestFindingsHaveParameters(t *testing.T) {
	a := flood()
	a.Info[0].Headline = strings.Repeat("x", 150)
	a.Info[1].Instruction = ""
	b, err := json.Marshal(Check(a, a.Sent))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"errors":[` +
		`{"path":"info[0].headline","code":"too-long","message":"info[0].headline has 150 characters; 139 are allowed","params":{"length":150,"max":139}},` +
		`{"path":"info[1].instruction","code":"instruction","message":"there is no instruction in fr, and there is one in ht","params":{"language":"fr","other":"info[0]"}}]}`
	if string(b) != want {
		t.Errorf("%s", b)
	}
}

func TestFindingsAreBounded(t *testing.T) {
	a := flood()
	for range 1000 {
		a.Info = append(a.Info, Info{})
	}
	if r := Check(a, a.Sent); len(r.Errors) != mostFindings || len(r.Warnings) > mostFindings {
		t.Error(len(r.Errors), len(r.Warnings))
	}
}
