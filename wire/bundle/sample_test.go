package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"konbit/record"
)

// Keys and names of the tests.
var (
	at     = time.Date(2026, 11, 2, 8, 30, 0, 0, time.UTC)
	link   = ed25519.NewKeyFromSeed([]byte("the link key of the tests is it."))
	agency = ed25519.NewKeyFromSeed([]byte("the agency's key of these tests."))
)

const from, to = "konbit.node/1a2b3c4d", "konbit.node/5e6f7081"

func header(lane Lane, after, upTo int64) Header {
	return Header{From: from, To: to, Lane: lane, After: after, UpTo: upTo, At: at}
}

// known trusts the link key of from.
func known(node, id string) ed25519.PublicKey {
	if pub := link.Public().(ed25519.PublicKey); node == from && id == keyID(pub) {
		return pub
	}
	return nil
}

func newIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func sign(payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return ed25519.Sign(agency, sum[:])
}

func versionItem(n int64, payload []byte) Item {
	return Item{Sort: Version, N: n, Payload: payload, KeyID: keyID(agency.Public().(ed25519.PublicKey)), Sig: sign(payload)}
}

// maker makes incidents as package bench does: words with the frequencies of a
// language, places around towns. lively ones have several authors, states,
// versions, notes, and times that are not each other's.
type maker struct {
	r      *rand.Rand
	words  []string
	towns  [][2]float64
	now    time.Time
	lively bool
}

func newMaker(seed uint64, lively bool) *maker {
	m := &maker{r: rand.New(rand.NewPCG(seed, 1)), now: at.AddDate(0, -6, 0), lively: lively}
	syllables := []string{"ka", "ri", "mo", "len", "pò", "tè", "bwa", "chan", "dlo", "fè", "gwo", "lan", "mas", "nò", "pi", "san", "té", "vil", "wout", "za"}
	w := rand.New(rand.NewPCG(7, 7))
	for range 6000 {
		var s strings.Builder
		for range 1 + w.IntN(3) {
			s.WriteString(syllables[w.IntN(len(syllables))])
		}
		m.words = append(m.words, s.String())
	}
	for range 120 {
		m.towns = append(m.towns, [2]float64{-74.4 + w.Float64()*5.8, 18.1 + w.Float64()*1.7})
	}
	return m
}

func (m *maker) text(n int) string {
	var s []string
	for range n {
		s = append(s, m.words[int(float64(len(m.words))*math.Pow(m.r.Float64(), 3))])
	}
	return strings.Join(s, " ")
}

func pick[T any](m *maker, list ...T) T { return list[m.r.IntN(len(list))] }

func (m *maker) id(t time.Time) record.ID {
	return joinIdent(t.UnixMilli(), uint16(m.r.Uint64()&0xfff), m.r.Uint64()&(1<<62-1))
}

// payload makes one record version, as the owner's node would sign it.
func (m *maker) payload() []byte {
	m.now = m.now.Add(time.Duration(m.r.ExpFloat64() * float64(2*time.Minute)))
	t := m.towns[int(float64(len(m.towns))*math.Pow(m.r.Float64(), 2))]
	lon, lat := t[0]+m.r.NormFloat64()*0.05, t[1]+m.r.NormFloat64()*0.05
	rec := record.Record{Header: record.Header{
		ID: m.id(m.now), Kind: "incident", Owner: "ht.cc", Version: 1, State: "reported",
		Marking:  pick(m, record.Marking{TLP: record.Amber}, record.Marking{TLP: record.Amber, To: []string{"do.911"}}, record.Marking{TLP: record.Green}, record.Marking{TLP: record.Clear}),
		Observed: m.now.Truncate(time.Microsecond), Author: "ht.cc/op", Command: "incident.create",
		Place: &record.Place{Geometry: record.Point(math.Round(lon*1e5)/1e5, math.Round(lat*1e5)/1e5), Uncertainty: 250, Words: m.text(3)},
	}}
	rec.Created = m.now.Add(time.Duration(m.r.ExpFloat64() * float64(time.Second))).Truncate(time.Microsecond)
	rec.Recorded = rec.Created
	body := map[string]any{
		"title": m.text(6), "narrative": m.text(22), "affected": m.r.IntN(200),
		"category": pick(m, "armed-clash", "fire", "medical", "traffic", "road-blocked", "flood", "water", "food", "shelter", "robbery"),
		"severity": pick(m, "info", "minor", "minor", "moderate", "moderate", "severe", "extreme"),
		"source":   map[string]string{"type": "call", "grade": "B", "content": "2"},
	}
	if m.lively {
		m.live(&rec, body)
	}
	rec.Body, _ = json.Marshal(body)
	b, err := json.Marshal(&rec)
	if err != nil {
		panic(err)
	}
	return b
}

func (m *maker) live(rec *record.Record, body map[string]any) {
	rec.Owner = pick(m, "ht.cc", "ht.cc", "ht.gc", "int.aid")
	rec.Author = fmt.Sprintf("%s/operate-%d", rec.Owner, 1+m.r.IntN(5))
	rec.Observed = rec.Observed.Add(-time.Duration(m.r.ExpFloat64() * float64(10*time.Minute))).Truncate(time.Second)
	rec.Version = 1 + m.r.IntN(4)
	if rec.Version > 1 {
		rec.State, rec.Command = "verified", "incident.verify"
		rec.Recorded = rec.Created.Add(time.Duration(m.r.ExpFloat64() * float64(time.Hour))).Truncate(time.Microsecond)
		rec.Note = m.text(4)
	}
	if m.r.IntN(5) == 0 {
		rec.Links = []record.Link{{Rel: "related", Kind: "incident", ID: m.id(m.now.Add(-time.Hour))}}
	}
	if m.r.IntN(3) == 0 {
		rec.Place.PCode, rec.Place.Edition = fmt.Sprintf("HT01%02d", 10+m.r.IntN(30)), "cod-2018"
	}
	if m.r.IntN(4) == 0 {
		delete(body, "affected")
		body["callback"] = fmt.Sprintf("+5093%07d", m.r.IntN(1e7))
	}
	body["needs"] = []string{"police", "ambulance", "water"}[:m.r.IntN(4)]
	body["language"] = pick(m, "ht", "ht", "fr", "es")
}

// sample makes n items, numbered from 1.
func sample(n int, lively bool) []Item {
	m := newMaker(9, lively)
	items := make([]Item, n)
	for i := range items {
		items[i] = versionItem(int64(i+1), m.payload())
	}
	return items
}
