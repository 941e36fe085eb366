package move_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

var day = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// writer fills a store with everything that a node keeps, as intake and the others
// that write would.
type writer struct {
	t      testing.TB
	s      store.Store
	rng    *rand.Rand
	signer note.Signer
	tree   ledger.Tree
	now    time.Time
	n      uint64
	live   []*record.Record

	command record.ID // of the newest change
}

const ledgerName = "konbit.node/1a2b3c4d"

func newWriter(t testing.TB, s store.Store) *writer {
	t.Helper()
	signer, err := ledger.NewSigner(ledgerName, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return &writer{t: t, s: s, rng: rand.New(rand.NewPCG(1, 2)), signer: signer, now: day}
}

func (w *writer) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) id() record.ID {
	w.n++
	id := record.NewID(day.Add(time.Duration(w.n) * time.Second))
	binary.BigEndian.PutUint64(id[8:], w.n)
	id[8] = id[8]&0x3f | 0x80
	return id
}

var vocabulary = strings.Fields("flood fire bridge léogâne san santiago 2026 d'eau l'école road\\closed people water river camp night 18°30' clinic school truck missing found")

func (w *writer) text(n int) string {
	out := make([]string, n)
	for i := range out {
		if out[i] = vocabulary[w.rng.IntN(len(vocabulary))]; w.rng.IntN(4) == 0 {
			out[i] += fmt.Sprint(w.rng.IntN(5000))
		}
	}
	return strings.Join(out, " ")
}

func (w *writer) draw() *record.Record {
	r := &record.Record{Header: record.Header{
		ID: w.id(), Kind: []string{"note", "call"}[w.rng.IntN(2)], Owner: "ht.cc", Version: 1, Marking: record.Marking{TLP: record.Amber, To: []string{"do.911", "@relief"}[:w.rng.IntN(3)]},
		Observed: w.now.Add(-time.Duration(w.rng.IntN(500)) * time.Hour), Author: fmt.Sprintf("ht.cc/p%d", w.rng.IntN(20)), Command: "note.create",
	}}
	w.change(r)
	return r
}

// change gives a record other content.
func (w *writer) change(r *record.Record) {
	r.State = []string{"open", "done"}[w.rng.IntN(2)]
	r.Note = w.text(12)
	r.Body, _ = json.Marshal(map[string]string{"category": []string{"fire", "flood"}[w.rng.IntN(2)], "tags": "a\x1fb", "text": w.text(40)})
	r.Place, r.Links, r.Attachments, r.Flags, r.Marking.Expires, r.Marking.Caveats = nil, nil, nil, nil, nil, nil
	switch w.rng.IntN(4) {
	case 0:
		r.Place = &record.Place{Geometry: record.Point(-73+2*w.rng.Float64(), 18+2*w.rng.Float64()), Uncertainty: 12.5}
	case 1:
		r.Place = &record.Place{Geometry: &record.Geometry{Type: "Point", Coordinates: []byte("[-0.0,-0.0]")}}
	}
	for range w.rng.IntN(3) {
		if len(w.live) > 0 {
			r.Links = append(r.Links, record.Link{Rel: []string{"about", "Again", "é"}[w.rng.IntN(3)], Kind: "note", ID: w.live[w.rng.IntN(len(w.live))].ID})
		}
	}
	if w.rng.IntN(5) == 0 {
		sum := sha256.Sum256([]byte{byte(w.rng.IntN(64))})
		r.Attachments = []record.Attachment{{Hash: hex.EncodeToString(sum[:])}}
	}
	if w.rng.IntN(5) == 0 {
		r.Flags, r.Marking.Caveats = []string{"outside"}, []string{"victim"}
	}
	if w.rng.IntN(5) == 0 {
		x := w.now.Add(time.Hour)
		r.Marking.Expires = &x
	}
}

func (w *writer) item(e ledger.Entry, change func(*store.Item)) *store.Item {
	w.now = w.now.Add(time.Millisecond)
	if e.At.IsZero() {
		e.At = w.now
	}
	e.Salt = make([]byte, ledger.SaltSize)
	w.rng.Uint64()
	binary.BigEndian.PutUint64(e.Salt, w.rng.Uint64())
	it := &store.Item{Entry: e}
	if change != nil {
		change(it)
	}
	return it
}

func (w *writer) version(r *record.Record, foreign bool) *store.Item {
	w.now = w.now.Add(time.Millisecond)
	if r.Recorded = w.now; foreign {
		r.Recorded = w.now.Add(-time.Hour)
	}
	if r.Version == 1 {
		r.Created = r.Recorded
	}
	raw, err := json.Marshal(r)
	w.must(err)
	it := w.item(ledger.Entry{At: w.now, Type: "change", Agency: r.Owner, Actor: r.Author, Record: r.ID, Version: r.Version, Content: raw, KeyID: "k-" + r.Owner, Sig: []byte("signature of " + r.ID.String())}, nil)
	it.Row = rowOf(r)
	it.Row.Foreign = foreign
	if !foreign {
		w.command = w.id()
		it.Command = w.command
	}
	return it
}

// rowOf is the derivation of these tests.
func rowOf(r *record.Record) *store.Row {
	row := &store.Row{Record: r, Title: r.Note, Open: r.State == "open", Facet: map[string]string{}}
	var body map[string]string
	json.Unmarshal(r.Body, &body)
	row.Words = strings.Join(store.Fold(r.Note+" "+body["text"]), " ")
	row.Facet["category"], row.Facet["tags"] = body["category"], body["tags"]
	if r.Place != nil {
		b, err := r.Place.Geometry.Bounds()
		if err != nil {
			panic(err)
		}
		row.Box = &b
	}
	return row
}

func derive(r *record.Record) (*store.Row, error) { return rowOf(r), nil }

func (w *writer) commit(items ...*store.Item) {
	w.t.Helper()
	var leaves []ledger.Hash
	for i, it := range items {
		it.Entry.Seq = w.tree.Size() + int64(i)
		h, err := ledger.Commit(nil, &it.Entry)
		w.must(err)
		it.Entry.Commitment = h
		leaves = append(leaves, h)
	}
	b := &store.Batch{Items: items, Nodes: w.tree.Append(leaves), Keep: w.rng.IntN(3) == 0}
	var err error
	b.Checkpoint, err = ledger.SignCheckpoint(w.signer, ledgerName, w.tree.Size(), w.tree.Root(), w.now)
	w.must(err)
	w.must(w.s.Commit(context.Background(), b))
}

// records writes n records in batches, edits and erasures among them.
func (w *writer) records(n, batch int) {
	w.t.Helper()
	for n > 0 {
		var items []*store.Item
		var fresh []*record.Record
		touched := map[record.ID]bool{}
		for range min(batch, n) {
			n--
			r := w.draw()
			if w.rng.IntN(8) == 0 { // of another node, the third version first
				r.Owner, r.Author, r.Version = "do.911", "do.911/x", 3
				items = append(items, w.version(r, true))
				continue
			}
			items = append(items, w.version(r, false))
			fresh = append(fresh, r)
			if w.rng.IntN(10) == 0 {
				items = append(items, w.item(ledger.Entry{Type: "look", Agency: "do.911", Actor: "do.911/y", Record: r.ID, Version: 1, Content: []byte(`{"how":"open"}`)}, nil))
			}
			if len(w.live) == 0 || w.rng.IntN(4) > 0 {
				continue
			}
			k := w.rng.IntN(len(w.live))
			old := w.live[k]
			if touched[old.ID] {
				continue
			}
			touched[old.ID] = true
			if w.rng.IntN(5) == 0 {
				items = append(items, w.item(ledger.Entry{Type: "erase", Agency: "ht.cc", Actor: "ht.cc/boss", Record: old.ID, Version: old.Version, Content: []byte(`{}`)}, func(it *store.Item) { it.Erase = old.ID }))
				w.live[k] = w.live[len(w.live)-1]
				w.live = w.live[:len(w.live)-1]
				continue
			}
			next := old.Clone()
			next.Version++
			w.change(next)
			w.live[k] = next
			items = append(items, w.version(next, false))
		}
		w.commit(items...)
		w.live = append(w.live, fresh...)
	}
}

// others writes what is not in the ledger alone: accounts and the exchange.
func (w *writer) others() {
	w.t.Helper()
	ctx, s := context.Background(), w.s
	hash := func(n int) (h [32]byte) { return sha256.Sum256([]byte{byte(n)}) }
	key := ed25519.PublicKey(strings.Repeat("k", ed25519.PublicKeySize))
	node := store.Node{Name: "konbit.node/0000000b", Title: "911", State: store.NodeActive, Since: day}
	ops := []store.Op{
		store.PutAgency{Agency: store.Agency{ID: "ht.cc", Name: "Centre", Country: "HT", Communities: []string{"@hispaniola", "@relief"}, Local: true, PublicKey: key, Created: day}},
		store.PutAgency{Agency: store.Agency{ID: "do.911", Name: "911", Country: "DO", Created: day, Node: node.Name, OldKeys: []store.OldKey{{Key: key, Until: day}}, Joined: map[string]time.Time{"@relief": day}, Communities: []string{"@relief"}}},
		store.PutNode{Node: node}, store.PutNode{Node: store.Node{Name: "konbit.node/0000000A", State: store.NodePending}},
		store.PutApplied{Node: node.Name, Lane: store.Normal, UpTo: 17},
	}
	for i := range 40 {
		p := fmt.Sprintf("ht.cc/%s%d", []string{"é", "E", "e", "z"}[i%4], i) // languages order them in another way than bytes
		ops = append(ops, store.PutPerson{Person: store.Person{ID: p, Name: "Ana", Lang: "fr", Disabled: i%2 == 0, Created: day, Grants: []store.Grant{{Agency: "ht.cc", Desk: "*", Role: "operator"}}, Clearances: []string{"victim"}}},
			store.PutPassword{Person: p, Hash: "$argon2id$"}, store.PutPasskey{Passkey: store.Passkey{ID: []byte{byte(i), 0}, Person: p, Data: []byte{1}, Created: day}},
			store.PutIdentity{Identity: store.Identity{Provider: "oidc", Subject: p, Person: p, Created: day}},
			store.PutSession{Session: store.Session{Hash: hash(i), ID: p, Person: p, Agency: "ht.cc", Lang: "fr", Agent: "browser \xff\x00 of somebody", Created: day, Seen: day}},
			store.PutToken{Token: store.Token{Hash: hash(i), ID: p, Person: p, Scopes: []string{"read", "write"}, Created: day, Expires: day}},
			store.PutCode{Code: store.Code{Hash: hash(i), Kind: "password", Person: p, Created: day}})
	}
	for _, r := range w.live[:min(50, len(w.live))] {
		ops = append(ops, store.PutHeld{Held: store.Held{Record: r.ID, Node: node.Name, N: int64(r.Version), Version: r.Version, Purged: r.Version%2 == 0, At: day}})
	}
	w.commit(w.item(ledger.Entry{Type: "arrival", Agency: "ht.cc", Actor: "node", Content: []byte("{}")}, func(it *store.Item) { it.Ops = ops }))
	var shares []store.Share
	for i, r := range w.live[:min(300, len(w.live))] {
		s := store.Share{Node: node.Name, Record: r.ID, Lane: store.Lane(i % 2), Act: store.Send, Kind: r.Kind, Version: r.Version, Queued: day}
		if i%5 == 0 {
			s.Act, s.Topic, s.Word = store.Word, "opened", json.RawMessage(`{"x":1}`)
		}
		shares = append(shares, s)
	}
	w.must(s.Queue(ctx, "out", 7, shares))
	w.must(s.MarkSent(ctx, node.Name, store.Normal, 0, 90, day))
	w.commit(w.item(ledger.Entry{Type: "arrival", Agency: "ht.cc", Actor: "node", Content: []byte("{}")}, func(it *store.Item) {
		it.Ops = []store.Op{store.PutReceipt{Node: node.Name, Received: [store.Lanes]int64{0, 60}, At: day}}
	}))
	w.must(s.SetCursor(ctx, "react", 12))
	w.must(s.SetValue(ctx, "peer.alarms", []byte{0, 1, 2}))
	w.must(s.SetValue(ctx, "peer.retry", nil))
	w.must(s.BeginCeremony(ctx, store.Ceremony{Hash: hash(1), Kind: "x", Data: []byte{}, Expires: day}))
	w.must(s.SaveAccess(ctx, nil, nil, []store.Slowed{{Key: hash(2), Fails: 3, Last: day}}, []store.Known{{Key: hash(3), At: day}}))
	_, err := s.Secret(ctx, "cookies")
	w.must(err)
}
