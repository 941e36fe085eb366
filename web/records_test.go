package web_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"konbit/record"
)

func TestRetryOfCreateIsHarmless(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	d := h.incident()
	first := ana.do("POST", incidents, d).want(201)
	if first.Header.Get("ETag") != `"1"` || first.Header.Get("Location") != incidents+"/"+d["id"].(string) {
		t.Errorf("headers %v", first.Header)
	}
	second := ana.do("POST", incidents, d).want(200)
	if !bytes.Equal(first.body, second.body) {
		t.Errorf("the retry answered\n%s\nnot\n%s", second.body, first.body)
	}
	d["body"].(m)["title"] = "Something else"
	ana.do("POST", incidents, d).problem(412, "conflict")
	if got := ana.ids(""); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
	// Without an identifier the node makes one.
	r := ana.report(set("id", nil))
	if r.ID.IsZero() || r.Owner != "ht.cc" || r.Author != "ht.cc/ana" || r.State != "reported" {
		t.Errorf("%+v", r.Header)
	}
}

func TestEditNeedsTheVersionThatWasSeen(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	r := ana.report()
	d := h.incident(set("id", nil), set("body.severity", "extreme"))
	ana.do("PUT", at(r), d).want(428)
	ana.do("PUT", at(r), d, "If-Match", `"7"`).problem(412, "conflict")
	ana.do("PUT", at(r), d, "If-Match", `W/"1"`).problem(412, "conflict")
	ana.do("PUT", at(r), d, "If-Match", `"x"`).problem(412, "conflict")
	res := ana.do("PUT", at(r), d, "If-Match", `"1"`).want(200)
	if res.Header.Get("ETag") != `"2"` {
		t.Errorf("ETag %s", res.Header.Get("ETag"))
	}
	ana.do("PUT", at(r), h.incident(set("id", nil)), "If-Match", `"1"`).problem(412, "conflict")
	ana.do("PUT", at(r), h.incident(set("id", nil)), "If-Match", `*`).want(200)
	ana.do("GET", at(r), nil, "If-None-Match", `"3"`).want(304)
	ana.do("GET", at(r), nil, "If-None-Match", `"2"`).want(200)
	old := ana.do("GET", at(r)+"?version=2", nil).want(200)
	if !strings.Contains(string(old.body), `"extreme"`) || old.Header.Get("ETag") != `"2"` {
		t.Errorf("version 2: %s", old.body)
	}
	ana.do("GET", at(r)+"?version=9", nil).problem(404, "not-found")
	ana.do("GET", at(r)+"?version=x", nil).problem(422, "invalid", "version:range")
	ana.do("PUT", at(r), h.incident(), "If-Match", `"3"`).problem(422, "invalid", "id:conflict")
}

func TestCommandsFollowTheWorkflow(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	r := ana.report()
	act := record.NewID(h.clock.now()).String()
	if got := ana.do("POST", at(r)+"/verify", m{"command": act, "note": "Two callers"}, "If-Match", `"1"`).want(200).record(); got.State != "verified" || got.Note != "Two callers" {
		t.Errorf("%+v", got.Header)
	}
	if got := ana.do("POST", at(r)+"/verify", m{"command": act, "note": "Two callers"}).want(200).record(); got.Version != 2 {
		t.Errorf("the retry made version %d", got.Version)
	}
	ana.do("POST", at(r)+"/verify", nil).problem(409, "stale")
	ana.do("POST", at(r)+"/reject", nil).problem(403, "denied")
	ana.do("POST", at(r)+"/dance", nil).problem(404, "not-found")
	ana.do("POST", at(r)+"/close", m{"args": m{"why": 1}}).problem(422, "invalid", "args:unknown")
	ana.do("POST", at(r)+"/close", m{"reason": "x"}).problem(422, "invalid", "reason:unknown")
	ana.do("POST", at(r)+"/close", "{").problem(422, "invalid", "body:json")
	ana.do("POST", at(r)+"/close", m{"command": "7"}).problem(422, "invalid", "command:invalid")
	ana.do("POST", at(r)+"/merge", m{"args": m{}}).problem(422, "invalid", "args.into:required")
	ana.do("POST", at(r)+"/close", nil, "If-Match", `"1"`).problem(412, "conflict")
	ana.do("POST", at(r)+"/close", nil).want(200)
	ana.do("PUT", at(r), h.incident(set("id", nil)), "If-Match", `"3"`).problem(409, "stale")
	h.token("ht.cc/view").do("POST", at(r)+"/reopen", nil).problem(403, "denied")
	h.token("ht.cc/ana", "read").do("POST", at(r)+"/reopen", nil).problem(403, "denied")

	sup := h.token("ht.cc/sup")
	sup.do("POST", at(r)+"/erase", nil).problem(422, "invalid", "note:required")
	sup.do("POST", at(r)+"/erase", m{"note": "court order 12"}).want(200)
	ana.do("GET", at(r), nil).problem(404, "not-found")

	var hist struct{ Versions []struct{ Version int } }
	two := ana.report()
	ana.do("POST", at(two)+"/verify", nil).want(200)
	ana.do("GET", at(two)+"/history", nil).want(200).json(&hist)
	if len(hist.Versions) != 2 || hist.Versions[0].Version != 2 {
		t.Errorf("%+v", hist)
	}
}

func TestBadInputNamesTheField(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	body := func(change ...func(m)) []byte {
		b, err := json.Marshal(h.incident(change...))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	point := func(c ...any) func(m) { return set("place.geometry.coordinates", c) }
	for name, tc := range map[string]struct {
		body   []byte
		status int
		code   string
		field  string
	}{
		"nothing":                 {nil, 422, "invalid", "body:required"},
		"half a body":             {body()[:40], 422, "invalid", "body:json"},
		"an array":                {[]byte("[]"), 422, "invalid", "body:type"},
		"two values":              {append(body(), "{}"...), 422, "invalid", "body:json"},
		"no observed":             {body(set("observed", nil)), 422, "invalid", "observed:required"},
		"observed of wrong type":  {body(set("observed", 7)), 422, "invalid", "observed:invalid"},
		"far future":              {body(set("observed", "2099-01-01T00:00:00Z")), 422, "invalid", "observed:future"},
		"unknown member":          {body(set("colour", "red")), 422, "invalid", "colour:unknown"},
		"unknown marking member":  {body(set("marking.color", "RED")), 422, "invalid", "marking.color:unknown"},
		"unknown body member":     {body(set("body.severty", "x")), 422, "invalid", "body.severty:unknown"},
		"body of wrong type":      {body(set("body.affected", "many")), 422, "invalid", "body.affected:type"},
		"body missing":            {body(set("body", nil)), 422, "invalid", "body:required"},
		"enum":                    {body(set("body.severity", "huge")), 422, "invalid", "body.severity:enum"},
		"marking of wrong type":   {body(set("marking.tlp", 5)), 422, "invalid", "marking.tlp:type"},
		"no such colour":          {body(set("marking.tlp", "PURPLE")), 422, "invalid", "marking.tlp:enum"},
		"agency not in directory": {body(set("marking", m{"tlp": "AMBER", "to": []string{"do.912"}})), 422, "invalid", "marking.to[0]:unknown-name"},
		"latitude out of range":   {body(point(-72.3, 118.5)), 422, "invalid", "place.geometry:geometry"},
		"longitude out of range":  {body(point(-272.3, 18.5)), 422, "invalid", "place.geometry:geometry"},
		"identifier":              {body(set("id", "17")), 422, "invalid", "id:invalid"},
		"identifier of version 4": {body(set("id", "a3bb189e-8bf9-4888-9912-ace4e6543002")), 422, "invalid", "id:invalid"},
		"long text":               {body(set("body.title", strings.Repeat("é", 201))), 422, "invalid", "body.title:max"},
		"control character":       {body(set("body.title", "a\x00b")), 422, "invalid", "body.title:control"},
		"10 MB in a text":         {body(set("body.narrative", strings.Repeat("x", 10<<20))), 413, "too-large", ""},
		"utf-8 in the body":       {bytes.Replace(body(), []byte("Barrage"), []byte("Barr\xffge"), 1), 422, "invalid", "body.title:utf8"},
		"utf-8 in the words":      {bytes.Replace(body(), []byte("mache"), []byte("m\xc3che"), 1), 422, "invalid", "place:utf8"},
		"attachment of nobody":    {body(set("attachments", []m{{"hash": strings.Repeat("a", 64), "type": "image/png", "size": 1}})), 422, "invalid", "attachments[0]:unknown"},
	} {
		var fields []string
		if tc.field != "" {
			fields = []string{tc.field}
		}
		t.Run(name, func(t *testing.T) { ana.do("POST", incidents, tc.body).problem(tc.status, tc.code, fields...) })
	}
	swapped := ana.do("POST", incidents, body(point(18.5, -97.3))).problem(422, "invalid", "place.geometry:geometry")
	if !strings.Contains(swapped.Fields[0].Message, "swapped") {
		t.Errorf("swapped coordinates: %s", swapped.Fields[0].Message)
	}
	many := ana.do("POST", incidents, body(set("body.severity", "huge"), set("observed", nil), set("body.title", nil))).problem(422, "invalid", "body.severity:enum", "observed:required", "body.title:required")
	if len(many.Fields) != 3 {
		t.Errorf("fields %v", many.Fields)
	}
	ana.do("POST", incidents, "title=x", "Content-Type", "application/x-www-form-urlencoded").want(415)
	if got := ana.ids(""); len(got) != 0 {
		t.Errorf("%d records after refusals", len(got))
	}
}

func TestFilterRefusesWhatItCannotRead(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	for query, field := range map[string]string{
		"limit=0": "limit:range", "limit=ten": "limit:range", "limit=1001": "limit:range", "bbox=1,2,3": "bbox:invalid", "bbox=-72,19,-71,18": "bbox:invalid", "bbox=a,b,c,d": "bbox:invalid",
		"near=1,2": "near:invalid", "near=18,-97,10": "near:range", "near=1,1,-5": "near:range", "near=NaN,1,5": "near:invalid", "from=yesterday": "from:time", "from=2026-05-02&to=2026-05-01": "to:order",
		"state=open": "state:enum", "owner=PNH": "owner:invalid", "author=x": "author:invalid", "flag=A+B": "flag:invalid", "open=maybe": "open:type", "sort=name": "sort:enum",
		"cursor=abc": "cursor:invalid", "f.severity=huge": "f.severity:enum", "f.title=x": "f.title:unknown", "f.nothing=x": "f.nothing:unknown", "colour=red": "colour:unknown",
		"format=pdf": "format:enum", "q=%ff": "q:utf8", "q=%zz": "query:invalid", "q=" + strings.Repeat("x", 301): "q:max", "purpose=" + strings.Repeat("x", 501): "purpose:invalid",
	} {
		ana.do("GET", incidents+"?"+query, nil).problem(422, "invalid", field)
	}
	ana.do("GET", "/api/v1/map/incident?zoom=99", nil).problem(422, "invalid", "zoom:range")
	ana.do("GET", "/api/v1/search?q=x&limit=1000", nil).problem(422, "invalid", "limit:range")
	ana.do("GET", "/api/v1/feed?kind=nothing", nil).problem(422, "invalid", "kind:unknown")
	ana.do("GET", "/api/v1/feed?cursor=nothing", nil).problem(422, "invalid", "cursor:invalid")
	ana.do("GET", "/api/v1/feed?kind=incident&bbox=1", nil).problem(422, "invalid", "bbox:invalid")
}

func TestListFiltersPagesAndCounts(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	var all []string
	for i := range 5 {
		sev := []string{"minor", "severe"}[i%2]
		all = append(all, ana.report(set("body.severity", sev), set("place.geometry.coordinates", []float64{-72 + float64(i)/10, 18.5})).ID.String())
	}
	slices.Reverse(all)
	if got := ana.ids(""); !slices.Equal(got, all) {
		t.Errorf("list %v, want %v", got, all)
	}
	var got []string
	for next := ""; ; {
		var page struct {
			Items []record.Record
			Next  string
		}
		ana.do("GET", incidents+"?limit=2&cursor="+next, nil).want(200).json(&page)
		for _, r := range page.Items {
			got = append(got, r.ID.String())
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if !slices.Equal(got, all) {
		t.Errorf("pages %v, want %v", got, all)
	}
	for query, want := range map[string]int{"f.severity=severe": 2, "f.severity=severe,minor": 5, "q=leogane": 5, "q=Léogâne": 5, "q=nothing": 0, "state=verified": 0, "open=true": 5, "mine=true": 5, "others=true": 0,
		"bbox=-72.05,18,-71.85,19": 2, "near=-72,18.5,1000": 1, "owner=do.911": 0, "from=2026-05-01T12:00:00Z": 5, "to=2026-05-01T12:00:00Z": 0, "author=ht.cc/ana": 5} {
		if n := len(ana.ids(query)); n != want {
			t.Errorf("%s: %d records, want %d", query, n, want)
		}
		var c struct{ Count int }
		ana.do("GET", incidents+"/count?"+query, nil).want(200).json(&c)
		if c.Count != want {
			t.Errorf("%s: count %d, want %d", query, c.Count, want)
		}
	}
	var v struct{ Features []struct{ ID string } }
	ana.do("GET", "/api/v1/map/incident?zoom=9&bbox=-72.05,18,-71.85,19", nil).want(200).json(&v)
	if len(v.Features) != 2 {
		t.Errorf("map: %d features", len(v.Features))
	}
	var found struct{ Items []struct{ ID string } }
	ana.do("GET", "/api/v1/search?q=leogane", nil).want(200).json(&found)
	if len(found.Items) != 5 {
		t.Errorf("search: %d", len(found.Items))
	}
}

func TestHiddenRecordLooksLikeNone(t *testing.T) {
	h := newHouse(t)
	ana, luis := h.token("ht.cc/ana"), h.token("do.911/luis")
	r := ana.report(set("marking", m{"tlp": "AMBER"}))
	none := incidents + "/" + record.NewID(h.clock.now()).String()
	for _, path := range []string{"", "/history", "/audience", "/similar", "/links", "?version=1", "/attachments/" + strings.Repeat("a", 64)} {
		hidden, absent := luis.do("GET", at(r)+path, nil).want(404), luis.do("GET", none+path, nil).want(404)
		if !bytes.Equal(hidden.body, absent.body) {
			t.Errorf("%s: hidden %s, absent %s", path, hidden.body, absent.body)
		}
	}
	for _, c := range []string{"/verify", "/mark", "/respond"} {
		args := m{}
		if c == "/mark" {
			args["args"] = m{"tlp": "CLEAR"}
		}
		hidden, absent := luis.do("POST", at(r)+c, args).want(404), luis.do("POST", none+c, args).want(404)
		if !bytes.Equal(hidden.body, absent.body) {
			t.Errorf("%s: hidden %s, absent %s", c, hidden.body, absent.body)
		}
	}
	if n := len(luis.ids("")); n != 0 {
		t.Errorf("the neighbour lists %d", n)
	}
	// Released, he sees it and still may not change it.
	ana.do("POST", at(r)+"/mark", m{"args": m{"tlp": "AMBER", "to": []string{"do.911"}}}).want(200)
	luis.do("GET", at(r), nil).want(200)
	luis.do("POST", at(r)+"/verify", nil).problem(403, "denied")
	luis.do("PUT", at(r), h.incident(set("id", nil)), "If-Match", "*").problem(403, "denied")

	var a struct {
		Agencies     []struct{ Agency, Name, Why string }
		Gained, Lost []string
	}
	ana.do("GET", at(r)+"/audience?marking="+url.QueryEscape(`{"tlp":"AMBER","to":["ht.gcg"]}`), nil).want(200).json(&a)
	if !slices.Equal(a.Gained, []string{"ht.gcg"}) || !slices.Equal(a.Lost, []string{"do.911"}) || a.Agencies[0].Name == "" {
		t.Errorf("preview %+v", a)
	}
	ana.do("GET", at(r)+"/audience?marking="+url.QueryEscape(`{"tlp":"PINK"}`), nil).problem(422, "invalid", "marking.tlp:enum")
	ana.do("GET", at(r)+"/audience?marking="+url.QueryEscape(`{"tlp":1}`), nil).problem(422, "invalid", "marking.tlp:type")
}

func TestProtectedRecordAsksWhy(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	d := h.incident(set("body.category", "trafficking"))
	ana.do("POST", incidents, d).want(201)
	path := incidents + "/" + d["id"].(string)
	ana.do("GET", path, nil).problem(403, "need-purpose")
	var page struct {
		Items         []record.Record
		PurposeNeeded bool
	}
	ana.do("GET", incidents, nil).want(200).json(&page)
	if len(page.Items) != 0 || !page.PurposeNeeded {
		t.Errorf("list %+v", page)
	}
	ana.do("GET", path, nil, "Konbit-Purpose", url.PathEscape("ankèt 12")).want(200)
	ana.do("GET", path+"?purpose=ank%C3%A8t", nil).want(200)
	h.token("ht.cc/view").do("GET", path, nil, "Konbit-Purpose", "x").problem(404, "not-found") // not cleared

	var looks struct {
		Looks []struct{ Person, Purpose, How string }
	}
	h.token("ht.cc/aud", "read", "audit").do("GET", path+"/looks", nil).want(200).json(&looks)
	if len(looks.Looks) != 2 || looks.Looks[1].Purpose != "ankèt 12" || looks.Looks[0].Person != "ht.cc/ana" {
		t.Errorf("looks %+v", looks)
	}
	ana.do("GET", path+"/looks", nil).problem(403, "denied")
}

// lines sends NDJSON and returns the answers.
func (c *client) lines(body io.Reader, headers ...string) (out []map[string]any) {
	c.h.t.Helper()
	res := c.do("POST", incidents, body, append([]string{"Content-Type", "application/x-ndjson"}, headers...)...).want(200)
	for s := bufio.NewScanner(bytes.NewReader(res.body)); s.Scan(); {
		var a map[string]any
		if err := json.Unmarshal(s.Bytes(), &a); err != nil {
			c.h.t.Fatalf("%v: %s", err, s.Text())
		}
		out = append(out, a)
	}
	return out
}

func TestBulkAnswersEachLine(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	var b bytes.Buffer
	line := func(change ...func(m)) {
		if err := json.NewEncoder(&b).Encode(h.incident(change...)); err != nil {
			t.Fatal(err)
		}
	}
	line()
	line(set("body.severity", "huge"))
	b.WriteString("\n{\n")
	line(set("state", "closed"))
	line(set("state", "merged"))
	line(set("state", "rejected"))
	line(set("state", "sleeping"))
	b.WriteString(strings.Repeat("x", 3<<20) + "\n")
	line(set("id", nil))
	text := strings.TrimSuffix(b.String(), "\n") // the last line may lack its end
	want := []string{"1 created", "2 refused body.severity", "4 refused body", "5 created", "6 refused state", "7 refused ", "8 refused state", "9 refused ", "10 created"}
	summary := func(as []map[string]any) (out []string) {
		for _, a := range as {
			n, _ := json.Marshal(a["line"])
			s := string(n) + " " + a["status"].(string)
			if p, ok := a["problem"].(map[string]any); ok {
				s += " "
				if fs, ok := p["fields"].([]any); ok {
					s += fs[0].(map[string]any)["path"].(string)
				}
			}
			out = append(out, s)
		}
		return out
	}
	if got := summary(ana.lines(strings.NewReader(text))); !slices.Equal(got, want) {
		t.Errorf("answers\n%q, want\n%q", got, want)
	}
	if n := len(ana.ids("state=closed")); n != 1 {
		t.Errorf("%d closed", n)
	}
	// Again, packed: the same records, but for the one without an identifier.
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	zw.Write([]byte(text))
	zw.Close()
	again := summary(ana.lines(&z, "Content-Encoding", "gzip"))
	if again[0] != "1 unchanged" || again[3] != "5 unchanged" || again[8] != "10 created" {
		t.Errorf("again %q", again)
	}
	ana.do("POST", incidents, "{}", "Content-Type", "application/x-ndjson", "Content-Encoding", "gzip").problem(422, "invalid")
	h.token("ht.cc/view").do("POST", incidents, "{}", "Content-Type", "application/x-ndjson").problem(403, "denied")
}

func TestCutBulkLeavesWholeLinesOnly(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	one, _ := json.Marshal(h.incident())
	two, _ := json.Marshal(h.incident())
	req := ana.request("POST", incidents, "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST "+incidents+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 100000\r\nAuthorization: "+req.Header.Get("Authorization")+"\r\n\r\n")
	conn.Write(append(one, '\n'))
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, req) // the first line is answered while the rest is on the way
	if err != nil {
		t.Fatal(err)
	}
	if s, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || !strings.Contains(s, `"created"`) {
		t.Fatalf("%q, %v", s, err)
	}
	conn.Write(two[:len(two)/2])
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, br)
	if n := len(ana.ids("")); n != 1 {
		t.Errorf("%d records, want the one whose line was whole", n)
	}
}

func TestExportInEveryFormat(t *testing.T) {
	h := newHouse(t)
	ana := h.token("ht.cc/ana")
	for range 3 {
		ana.report()
	}
	ana.report(set("marking", m{"tlp": "RED"}))
	ndjson := ana.do("GET", incidents, nil, "Accept", "application/x-ndjson").want(200)
	if n := bytes.Count(ndjson.body, []byte("\n")); n != 4 || ndjson.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d lines of %s", n, ndjson.Header.Get("Content-Type"))
	}
	view := h.token("ht.cc/view") // RED is not for him
	for format, prefix := range map[string]string{"csv": "\ufeffid,", "geojson": "{", "xlsx": "PK", "ndjson": "{"} {
		res := view.do("GET", incidents+"?format="+format, nil).want(200)
		if !bytes.HasPrefix(bytes.TrimPrefix(res.body, []byte("\ufeff")), []byte(strings.TrimPrefix(prefix, "\ufeff"))) || !strings.Contains(res.Header.Get("Content-Disposition"), "incident-20260501-14") {
			t.Errorf("%s: %.60q %s", format, res.body, res.Header.Get("Content-Disposition"))
		}
		if format == "csv" && bytes.Count(res.body, []byte("Barrage")) != 3 {
			t.Errorf("csv: %s", res.body)
		}
	}
	var fc struct{ Features []json.RawMessage }
	view.do("GET", incidents, nil, "Accept", "application/geo+json").want(200).json(&fc)
	if len(fc.Features) != 3 {
		t.Errorf("%d features", len(fc.Features))
	}
	view.do("GET", incidents+"?format=csv&limit=x", nil).problem(422, "invalid", "limit:range")
	view.do("GET", incidents+"?format=csv&cursor=x", nil).problem(422, "invalid", "cursor:invalid")
}
