package peer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// photo is a picture of about size kB that does not compress.
func photo(t testing.TB, side int, seed uint64) []byte {
	t.Helper()
	dice := rand.New(rand.NewPCG(seed, 1))
	m := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			m.SetGray(x, y, color.Gray{uint8(dice.Uint32())})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// attach uploads and opens a note that holds it.
func (s *station) attach(agency, title string, m record.Marking, files ...[]byte) *record.Record {
	s.t.Helper()
	d := kerneltest.Draft(kerneltest.Note{Title: title})
	d.Marking, d.Observed = m, s.clock.Now().Add(-time.Minute)
	for _, f := range files {
		i, err := s.blobs.Put(s.t.Context(), agency+"/op", "file", bytes.NewReader(f))
		if err != nil {
			s.t.Fatal(err)
		}
		d.Attachments = append(d.Attachments, record.Attachment{Hash: i.Hash, Type: i.Type, Size: i.Size, Name: i.Name})
	}
	return s.do(&intake.Command{Kind: "note", Name: desk.Create, Record: kerneltest.ID(), By: s.operator(agency), Draft: d})
}

// online says that the stations can reach each other.
func online(ss ...*station) {
	for _, s := range ss {
		s.x.attach.reachable = func(string) bool { return true }
	}
}

// fetch lets b fetch what it wants from a, at most so many pieces; it returns the
// words that came, in order.
func fetch(t *testing.T, a, b *station, rounds int) (words []chunkWord) {
	t.Helper()
	for range rounds {
		if err := b.x.attach.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked := b.talk(a)
		for _, it := range asked {
			if it.Topic == wordWant {
				if err := a.x.attach.onWant(t.Context(), a.trust.Node(b.keys.name), it); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, it := range a.talk(b) {
			var c chunkWord
			if it.Topic != wordChunk || json.Unmarshal(it.Payload, &c) != nil {
				continue
			}
			words = append(words, c)
			if err := b.x.attach.onChunk(t.Context(), b.trust.Node(a.keys.name), it); err != nil {
				t.Fatal(err)
			}
		}
		if len(asked) == 0 {
			return words
		}
	}
	return words
}

// talk takes what waits to be said.
func (s *station) talk(o *station) []bundle.Item {
	p := s.x.stream.talks.take(o.keys.name, 100<<20)
	if p == nil {
		return nil
	}
	return p.items
}

func (s *station) content(hash string) []byte {
	r, _, err := s.blobs.Open(hash)
	if err != nil {
		return nil
	}
	defer r.Close()
	b, _ := io.ReadAll(r)
	return b
}

func (s *station) thumb(hash string) bool {
	r, _, err := s.blobs.Thumb(hash)
	if err != nil {
		return false
	}
	r.Close()
	return true
}

func (s *station) left() (names []string) {
	files, _ := os.ReadDir(s.x.attach.folder)
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func TestSmallPictureComesFirstAndTheRestWhenTheLinkIsIdle(t *testing.T) {
	_, a, b := pair(t)
	online(a, b)
	r1 := a.attach("ht.cc", "one", to("do.911"), photo(t, 900, 1))
	r2 := a.attach("ht.cc", "two", to("do.911"), photo(t, 900, 2))
	pdf := a.attach("ht.cc", "three", to("do.911"), []byte("%PDF-1.7\n1 0 obj <<>> endobj\n%%EOF\n"))
	exchange(t, a, b)
	words := fetch(t, a, b, 1000)
	full := false
	for _, w := range words {
		if w.Part == partThumb && full {
			t.Error("a small picture comes after a whole content")
		}
		full = full || w.Part == partFull
		if len(w.Bytes) > chunkSize {
			t.Errorf("a piece of %d bytes", len(w.Bytes))
		}
	}
	for _, r := range []*record.Record{r1, r2, pdf} {
		at := r.Attachments[0]
		if got := b.content(at.Hash); !bytes.Equal(got, a.content(at.Hash)) || int64(len(got)) != at.Size {
			t.Errorf("%s: %d bytes of %d came", at.Type, len(got), at.Size)
		}
		if strings.HasPrefix(at.Type, "image/") && !b.thumb(at.Hash) {
			t.Error("no small picture")
		}
	}
	if left := b.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if n := len(fetch(t, a, b, 10)); n > 0 {
		t.Errorf("%d pieces came again", n)
	}
}

func TestNothingButSmallPicturesMovesWhileSharesWait(t *testing.T) {
	for _, side := range []string{"the giver's", "the asker's"} {
		t.Run(side, func(t *testing.T) {
			_, a, b := pair(t)
			online(a, b)
			r := a.attach("ht.cc", "one", to("do.911"), photo(t, 900, 1))
			exchange(t, a, b)
			if side == "the giver's" {
				a.open("ht.cc", "another", to("do.911"))
				a.step()
			} else {
				b.open("do.911", "another", to("ht.cc"))
				b.step()
			}
			fetch(t, a, b, 100)
			at := r.Attachments[0]
			if !b.thumb(at.Hash) || b.blobs.Has(at.Hash) {
				t.Error("want the small picture and no more")
			}
			// What somebody waits for moves.
			f, err := b.x.Want(t.Context(), r, at.Hash)
			if err != nil || f.Total != at.Size || f.Done != 0 || !f.Reachable {
				t.Errorf("%+v %v", f, err)
			}
			fetch(t, a, b, 1000)
			if !b.blobs.Has(at.Hash) {
				t.Error("it did not come")
			}
			if f, err := b.x.Want(t.Context(), r, at.Hash); err != nil || f.Done != at.Size {
				t.Errorf("%+v %v", f, err)
			}
		})
	}
}

func TestWhatSomebodyOpensComesBeforeTheRest(t *testing.T) {
	_, a, b := pair(t)
	online(a, b)
	var rs []*record.Record
	for i := range 5 {
		rs = append(rs, a.attach("ht.cc", "x", to("do.911"), photo(t, 600, uint64(i))))
	}
	exchange(t, a, b)
	fetch(t, a, b, 3)
	last := rs[4].Attachments[0].Hash
	if _, err := b.x.Want(t.Context(), rs[4], last); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if fetch(t, a, b, 1); b.blobs.Has(last) {
			break
		}
	}
	here := 0
	for _, r := range rs {
		if b.blobs.Has(r.Attachments[0].Hash) {
			here++
		}
	}
	if here != 1 || !b.blobs.Has(last) {
		t.Errorf("%d are here", here)
	}
}

func TestFetchingGoesOnWhereItWasAfterARestartAndLostWords(t *testing.T) {
	clock, a, b := pair(t)
	online(a, b)
	r := a.attach("ht.cc", "one", to("do.911"), photo(t, 1500, 1))
	at := r.Attachments[0]
	exchange(t, a, b)
	fetch(t, a, b, 6)
	f, err := b.x.Want(t.Context(), r, at.Hash)
	if err != nil || f.Done == 0 || f.Done >= f.Total {
		t.Fatalf("%+v %v", f, err)
	}
	b.restart()
	online(b)
	again, err := b.x.Want(t.Context(), r, at.Hash)
	if err != nil || again.Done != f.Done {
		t.Errorf("%+v after the restart, %+v before, %v", again, f, err)
	}
	dice := rand.New(rand.NewPCG(7, 7))
	for range 4000 {
		if err := b.x.attach.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, it := range b.talk(a) {
			if it.Topic == wordWant && dice.IntN(3) > 0 {
				a.x.attach.onWant(t.Context(), a.trust.Node(b.keys.name), it)
			}
		}
		items := a.talk(b)
		dice.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		for _, it := range items {
			for range dice.IntN(3) { // lost, or twice
				if err := b.x.attach.onChunk(t.Context(), b.trust.Node(a.keys.name), it); err != nil {
					t.Fatal(err)
				}
			}
		}
		if clock.Move(20 * time.Second); b.blobs.Has(at.Hash) {
			break
		}
	}
	if !bytes.Equal(b.content(at.Hash), a.content(at.Hash)) {
		t.Error("it did not come")
	}
}

func TestAttachmentIsGivenOnlyToWhomTheRecordIsReleasedNow(t *testing.T) {
	clock, a, b := pair(t)
	online(a, b)
	shared := a.attach("ht.cc", "shared", to("do.911"), photo(t, 300, 1))
	own := a.attach("ht.cc", "own", record.Marking{TLP: record.Amber}, photo(t, 300, 2))
	until := clock.Now().Add(time.Hour)
	short := a.attach("ht.cc", "short", record.Marking{TLP: record.Amber, To: []string{"do.911"}, Expires: &until}, photo(t, 300, 3))
	exchange(t, a, b)
	ask := func(hash string, id record.ID) string {
		t.Helper()
		it := say(wordWant, wantWord{Hash: hash, Part: partFull, Chunks: 1, Record: id})
		if err := a.x.attach.onWant(t.Context(), a.trust.Node(b.keys.name), it); err != nil {
			t.Fatal(err)
		}
		var c chunkWord
		for _, it := range a.talk(b) {
			if it.Topic == wordChunk {
				json.Unmarshal(it.Payload, &c)
			}
		}
		if c.Refused == "" && len(c.Bytes) > 0 {
			return "given"
		}
		return c.Refused
	}
	hash := func(r *record.Record) string { return r.Attachments[0].Hash }
	for _, c := range []struct {
		what, want, hash string
		id               record.ID
	}{
		{"of a released record", "given", hash(shared), shared.ID},
		{"of a record that is not", "not-released", hash(own), own.ID},
		{"under the name of another record", "not-released", hash(own), shared.ID},
		{"of no record", "not-released", hash(shared), kerneltest.ID()},
		{"of one that has not expired", "given", hash(short), short.ID},
	} {
		if got := ask(c.hash, c.id); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	clock.Move(2 * time.Hour)
	if got := ask(hash(short), short.ID); got != "not-released" {
		t.Errorf("of an expired one: %s", got)
	}
	a.mark(shared, record.Marking{TLP: record.Amber})
	if got := ask(hash(shared), shared.ID); got != "not-released" {
		t.Errorf("of a narrowed one: %s", got)
	}
}

func TestPurgeTakesWholeContentsSmallPicturesAndPieces(t *testing.T) {
	_, a, b := pair(t)
	online(a, b)
	whole := a.attach("ht.cc", "whole", to("do.911"), photo(t, 300, 1))
	exchange(t, a, b)
	fetch(t, a, b, 1000)
	part := a.attach("ht.cc", "part", to("do.911"), photo(t, 1500, 2))
	exchange(t, a, b)
	fetch(t, a, b, 8)
	h1, h2 := whole.Attachments[0].Hash, part.Attachments[0].Hash
	if !b.blobs.Has(h1) || !b.thumb(h2) || b.blobs.Has(h2) || len(b.left()) != 2 {
		t.Fatalf("not as the test needs it: %v", b.left())
	}
	a.erase(whole)
	a.mark(part, record.Marking{TLP: record.Amber})
	exchange(t, a, b)
	fetch(t, a, b, 10)
	if b.blobs.Has(h1) || b.thumb(h1) || b.thumb(h2) || b.blobs.Has(h2) || len(b.left()) > 0 {
		t.Errorf("left: %v", b.left())
	}
	if files, _ := filepath.Glob(filepath.Join(b.folder, "blobs", "??", "*")); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
}

func TestContentIsNotFetchedForRecordsThatWerePurgedMeanwhile(t *testing.T) {
	_, a, b := pair(t)
	online(a, b)
	r := a.attach("ht.cc", "one", to("do.911"), photo(t, 300, 1))
	exchange(t, a, b)
	if err := b.x.attach.follow(t.Context()); err != nil { // it is wanted
		t.Fatal(err)
	}
	a.mark(r, record.Marking{TLP: record.Amber})
	exchange(t, a, b)
	if words := fetch(t, a, b, 10); len(words) > 0 || b.blobs.Has(r.Attachments[0].Hash) {
		t.Errorf("%d pieces", len(words))
	}
}

func TestSpoiltContentIsNotTakenAndNamed(t *testing.T) {
	clock, a, b := pair(t)
	online(a, b)
	r := a.attach("ht.cc", "one", to("do.911"), photo(t, 300, 1))
	at := r.Attachments[0]
	exchange(t, a, b)
	other := photo(t, 300, 9)
	spoil := func() {
		for range 100 {
			if err := b.x.attach.step(t.Context()); err != nil {
				t.Fatal(err)
			}
			asked := b.talk(a)
			if len(asked) == 0 {
				return
			}
			for _, it := range asked {
				var w wantWord
				if it.Topic != wordWant || json.Unmarshal(it.Payload, &w) != nil {
					continue
				}
				c := chunkWord{Hash: w.Hash, Part: w.Part, Offset: w.Offset, Total: at.Size, Bytes: make([]byte, min(chunkSize, at.Size-w.Offset))}
				copy(c.Bytes, other[min(int(w.Offset), len(other)):])
				if w.Part == partThumb {
					c.Total, c.Bytes = 10, []byte("<html>bad!")
				}
				if err := b.x.attach.onChunk(t.Context(), b.trust.Node(a.keys.name), say(wordChunk, c)); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Fatal("it asks without end")
	}
	for range maxSpoilt + 1 {
		spoil()
		clock.Move(wantHeld)
	}
	if b.blobs.Has(at.Hash) || b.thumb(at.Hash) || len(b.left()) > 0 {
		t.Errorf("left: %v", b.left())
	}
	codes := strings.Join(b.codes(), " ")
	if !strings.Contains(codes, "bad-attachment") {
		t.Error(codes)
	}
}

func TestPiecesThatDoNotFitAreRefused(t *testing.T) {
	_, a, b := pair(t)
	online(a, b)
	r := a.attach("ht.cc", "one", to("do.911"), photo(t, 1500, 1))
	at := r.Attachments[0]
	exchange(t, a, b)
	from := b.trust.Node(a.keys.name)
	for name, c := range map[string]chunkWord{
		"too long":           {Hash: at.Hash, Part: partFull, Total: at.Size, Bytes: make([]byte, chunkSize+1)},
		"empty":              {Hash: at.Hash, Part: partFull, Total: at.Size},
		"another size":       {Hash: at.Hash, Part: partFull, Total: at.Size + 1, Bytes: []byte("x")},
		"a huge small image": {Hash: at.Hash, Part: partThumb, Total: 1 << 40, Bytes: []byte("x")},
	} {
		b.x.attach.mu.Lock()
		g := b.x.attach.giver(a.keys.name)
		w := b.x.attach.want[at.Hash]
		b.x.attach.mu.Unlock()
		if w == nil {
			if err := b.x.attach.follow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		g.busy, g.part = at.Hash, c.Part
		if err := b.x.attach.onChunk(t.Context(), from, say(wordChunk, c)); record.CodeOf(err) != record.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What was not asked for is not taken, nor what another node sends.
	g := b.x.attach.giver(a.keys.name)
	g.busy = ""
	sum := sha256.Sum256([]byte("x"))
	for _, c := range []chunkWord{{Hash: at.Hash, Part: partFull, Total: at.Size, Bytes: []byte("x")}, {Hash: hex.EncodeToString(sum[:]), Part: partFull, Total: 1, Bytes: []byte("x")}} {
		if err := b.x.attach.onChunk(t.Context(), from, say(wordChunk, c)); err != nil {
			t.Error(err)
		}
	}
	g.busy, g.part = at.Hash, partFull
	if err := b.x.attach.onChunk(t.Context(), &store.Node{Name: "konbit.node/eeeeeee5"}, say(wordChunk, chunkWord{Hash: at.Hash, Part: partFull, Total: at.Size, Bytes: []byte("x")})); err != nil {
		t.Error(err)
	}
	if w := b.x.attach.want[at.Hash]; w.got != 0 {
		t.Errorf("%d bytes were taken", w.got)
	}
}
