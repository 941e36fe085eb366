package web_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"
	"time"

	"konbit/record"
)

// TestAttachmentOfANeighbourIsFetchedWhenSomebodyOpensIt goes over a real link:
// the record arrives first, then its small picture, then what was asked for.
func TestAttachmentOfANeighbourIsFetchedWhenSomebodyOpensIt(t *testing.T) {
	a, b := joined(t)
	ana, kay := a.token("ht.cc/ana"), b.token("jm.jcf/kay")
	pic := image.NewRGBA(image.Rect(0, 0, 500, 400))
	for i := range pic.Pix {
		pic.Pix[i] = byte(i * i >> 3)
	}
	pic.Set(0, 0, color.Transparent)
	var file bytes.Buffer
	if err := png.Encode(&file, pic); err != nil {
		t.Fatal(err)
	}
	var at record.Attachment
	ana.do("POST", "/api/v1/attachments?name=bridge.png", file.Bytes()).want(201).json(&at)
	draft := a.incident()
	draft["marking"] = m{"tlp": "AMBER", "to": []string{"jm.jcf"}}
	draft["attachments"] = []any{at}
	rec := ana.do("POST", incidents, draft).want(201)
	path := incidents + "/" + rec.text("id")
	// get asks until it is there; whatever stands for it meanwhile must be a proper answer.
	get := func(path string, meanwhile ...int) []byte {
		t.Helper()
		late := time.After(30 * time.Second)
		for {
			res := kay.do("GET", path, nil)
			if res.StatusCode == 200 {
				return res.body
			}
			ok := false
			for _, s := range meanwhile {
				ok = ok || res.StatusCode == s
			}
			if !ok {
				t.Fatalf("%s answers %d", path, res.StatusCode)
			}
			select {
			case <-late:
				t.Fatalf("%s never came", path)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	get(path, 404)
	whole := get(path+"/attachments/"+at.Hash, 503)
	if int64(len(whole)) != at.Size {
		t.Errorf("%d bytes, want %d", len(whole), at.Size)
	}
	get(path+"/attachments/"+at.Hash+"?size=thumb", 404)
	kay.do("GET", path+"/attachments/"+string(bytes.Repeat([]byte("0"), 64)), nil).problem(404, "not-found")
}
