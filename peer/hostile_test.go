package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"konbit/intake"
	"konbit/kerneltest"
	"konbit/ledger"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// A villain is a node with real keys that others trust, and that speaks the
// protocol as it likes. at is whom it attacks.
type villain struct {
	*station
	at    *station
	last  [store.Lanes]int64
	token string
	url   string
}

// besiege makes ht.cc a node that is attacked by do.911, and int.aid an honest neighbour.
func besiege(t *testing.T) (good, at *station, v *villain) {
	t.Helper()
	clock := newWatch()
	at = newStation(t, "aaaaaaaa", clock, map[string][]string{"ht.cc": {"@hispaniola"}})
	v = &villain{station: newStation(t, "bbbbbbbb", clock, map[string][]string{"do.911": {"@hispaniola"}}), at: at}
	good = newStation(t, "cccccccc", clock, map[string][]string{"int.aid": {"@hispaniola"}})
	befriend(t, at, v.station)
	befriend(t, at, good)
	befriend(t, good, v.station)
	return good, at, v
}

// goesOn checks that records of an honest node go on arriving.
func goesOn(t *testing.T, from, at *station) {
	t.Helper()
	r := from.open("int.aid", "of the honest node", to("ht.cc"))
	exchange(t, from, at)
	at.mustHold("a record of an honest node", r, 1)
	from.mustSee("a record of an honest node", r, at, Received)
}

// raw makes a bundle; what the header leaves open is as it should be.
func (v *villain) raw(h bundle.Header, items ...bundle.Item) []byte {
	v.t.Helper()
	if h.From == "" {
		h.From = v.keys.name
	}
	if h.To == "" {
		h.To = v.at.keys.name
	}
	if h.At.IsZero() {
		h.At = v.clock.Now().UTC().Truncate(time.Second)
	}
	b, err := bundle.Seal(h, items, v.at.keys.seal.Recipient(), v.keys.link)
	if err != nil {
		v.t.Fatal(err)
	}
	return b
}

// next makes the next bundle of a lane.
func (v *villain) next(lane bundle.Lane, items ...bundle.Item) []byte {
	h := bundle.Header{Lane: lane, After: v.last[lane]}
	for i := range items {
		v.last[lane]++
		items[i].N = v.last[lane]
	}
	h.UpTo = v.last[lane]
	return v.raw(h, items...)
}

// talk makes a bundle of words.
func (v *villain) talk(items ...bundle.Item) []byte {
	return v.raw(bundle.Header{Lane: bundle.Talk}, items...)
}

// version signs a record of the villain's agency, changed as it likes.
func (v *villain) version(id record.ID, change ...func(*record.Record)) bundle.Item {
	r := kerneltest.Foreign(id, 1, change...)
	at := v.clock.Now().UTC().Truncate(time.Second)
	if r.Recorded.Before(at) {
		r.Observed, r.Recorded, r.Created = at, at, at
	}
	return v.signed(r)
}

func (v *villain) signed(r *record.Record) bundle.Item {
	b, err := json.Marshal(r)
	if err != nil {
		v.t.Fatal(err)
	}
	key := v.keys.agency["do.911"]
	return bundle.Item{Sort: bundle.Version, Payload: b, KeyID: keyID(key), Sig: ledger.Sign(key, nil, b)}
}

// recall signs a recall.
func (v *villain) recall(id record.ID, version int, owner string) bundle.Item {
	b, err := json.Marshal(&intake.Recall{Record: id, Owner: owner, Node: v.at.keys.name, Version: version, Reason: "narrowed", At: v.clock.Now().UTC()})
	if err != nil {
		v.t.Fatal(err)
	}
	key := v.keys.agency["do.911"]
	return bundle.Item{Sort: bundle.Recall, Record: id, Payload: b, KeyID: keyID(key), Sig: ledger.SignAs(key, intake.RecallType, b)}
}

// receipt signs a receipt for what the other sent.
func (v *villain) receiptFor(received [store.Lanes]int64, at time.Time) []byte {
	b, _ := json.Marshal(&Receipt{From: v.keys.name, To: v.at.keys.name, Received: received, At: at})
	return signReceipt(v.station, b)
}

// words that the other has told the villain, by topic and record.
func (v *villain) told(topic string) (out []store.Share) {
	v.t.Helper()
	for lane := range store.Lane(store.Lanes) {
		shares, err := v.at.db.Shares(v.t.Context(), v.keys.name, lane, 0, 1_000_000)
		if err != nil {
			v.t.Fatal(err)
		}
		for _, s := range shares {
			if s.Topic == topic {
				out = append(out, s)
			}
		}
	}
	return out
}

// alarmOf returns the newest alarm of a code about a node.
func (s *station) alarmOf(node, code string) (found Alarm) {
	s.t.Helper()
	as, err := s.x.Alarms(s.t.Context(), 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	if i := slices.IndexFunc(as, func(a Alarm) bool { return a.Code == code && a.Node == node }); i >= 0 {
		return as[i]
	}
	return found
}

// dial shakes hands over HTTP.
func (v *villain) dial(url string) error {
	v.t.Helper()
	v.url = url + "/peer/v1/"
	c := v.x.links.newConn(v.t.Context(), v.x.links.line(v.at.keys.name), true)
	_, err := v.x.links.hello(v.t.Context(), http.DefaultClient, v.url, v.trust.Node(v.at.keys.name), c)
	v.token = c.token
	return err
}

// frames posts frames, and returns why they were refused.
func (v *villain) frames(frames ...[]byte) *problem {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), "POST", v.url+"send", bytes.NewReader(slices.Concat(frames...)))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set(tokenHeader, v.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		io.Copy(io.Discard, resp.Body)
		return nil
	}
	p := &problem{}
	if err := json.NewDecoder(resp.Body).Decode(p); err != nil {
		v.t.Fatal(err)
	}
	return p
}

// Where things stand in the header of a bundle, see docs/bundle.md.
const (
	sizeAt = 4 + 1 + 2 + 1 + 24
	sumAt  = sizeAt + 4
)

// resealed puts another sealed part behind the header of a bundle, and signs it.
func (v *villain) resealed(raw, sealed []byte) []byte {
	n := 7 + int(binary.BigEndian.Uint16(raw[5:]))
	head := slices.Clone(raw[:n])
	binary.BigEndian.PutUint32(head[sizeAt:], uint32(len(sealed)))
	sum := sha256.Sum256(sealed)
	copy(head[sumAt:], sum[:])
	return slices.Concat(head, ledger.SignAs(v.keys.link, "application/vnd.konbit.bundle", head), sealed)
}

// bomb is a bundle whose content unpacks to far more than it may.
func (v *villain) bomb() []byte {
	v.t.Helper()
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed, zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
	if err == nil {
		_, err = io.CopyN(z, zeros{}, bundle.MaxUnpacked+1<<20)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	content, _ := hex.DecodeString(keyID(v.keys.link))
	content = append(content, 1, 0)
	content = append(binary.AppendUvarint(content, uint64(packed.Len())), packed.Bytes()...)
	return v.resealed(v.raw(bundle.Header{Lane: bundle.Normal, UpTo: 1}), v.seal(append(content, 0), v.at.keys.seal.Recipient()))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func (v *villain) seal(content []byte, to age.Recipient) []byte {
	v.t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadBundlesOverHTTPAreRefusedByNameShownAndTheGoodOnesGoOn(t *testing.T) {
	_, at, v := besiege(t)
	url, _ := at.online()
	whole := v.raw(bundle.Header{Lane: bundle.Normal, UpTo: 1}, bundle.Item{Sort: bundle.Word, N: 1, Topic: "x", Payload: []byte("{}")})
	change := func(i int, b ...byte) []byte { c := slices.Clone(whole); copy(c[i:], b); return c }
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code string // of the alarm
		raw  []byte
		node string
	}{
		{"forged", change(sumAt, 1, 2, 3), ""},
		{"unknown-sender", v.raw(bundle.Header{From: "konbit.node/eeeeeeee", Lane: bundle.Normal, UpTo: 1}), ""},
		{"truncated", whole[:len(whole)-7], ""},
		{"altered", change(len(whole)-1, whole[len(whole)-1]^1), ""},
		{"oversized", change(sizeAt, 0xff, 0xff, 0xff, 0xff), ""},
		{"version", change(4, 9), ""},
		{"malformed", []byte("this is no bundle at all"), ""},
		{"undecryptable", v.resealed(whole, v.seal([]byte("for another"), other.Recipient())), ""},
		{"bomb", v.bomb(), ""},
		{"not-carried", v.raw(bundle.Header{To: "konbit.node/eeeeeeee", Lane: bundle.Normal, UpTo: 1}), v.keys.name},
	} {
		if err := v.dial(url); err != nil {
			t.Fatal(err)
		}
		for i := range (len(c.raw)-1)/maxPiece + 1 {
			piece := c.raw[i*maxPiece : min(len(c.raw), (i+1)*maxPiece)]
			if p := v.frames(pieceFrame(bundle.Normal, (i+1)*maxPiece < len(c.raw), piece)); p != nil {
				t.Errorf("%s: the link ends: %+v", c.code, p)
			}
		}
		if al := at.alarmOf(c.node, c.code); al.Text == "" {
			t.Errorf("%s: no alarm; there are %v", c.code, at.codes())
		}
		r := kerneltest.ID()
		if p := v.frames(pieceFrame(bundle.Normal, false, v.next(bundle.Normal, v.version(r)))); p != nil || at.holds(r) != 1 {
			t.Errorf("after %s the good one is not there: %+v", c.code, p)
		}
	}
	if entries := at.entries("alarm"); len(entries) < 10 {
		t.Errorf("the ledger tells of %d alarms", len(entries))
	}
}

func TestReplayedAndReorderedBundlesCountOnceAndInOrder(t *testing.T) {
	good, at, v := besiege(t)
	var raws [][]byte
	var ids []record.ID
	for range 5 {
		ids = append(ids, kerneltest.ID())
		raws = append(raws, v.next(bundle.Normal, v.version(ids[len(ids)-1])))
	}
	for _, i := range []int{4, 2, 2, 4, 0, 0, 1, 3, 2, 0, 4, 1} {
		if _, err := at.x.arrived(t.Context(), raws[i]); err != nil && record.CodeOf(err) != record.Conflict {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		if at.holds(id) != 1 {
			t.Errorf("%s is not there", id)
		}
	}
	if n := len(at.entries("change")); n != len(ids) {
		t.Errorf("%d changes in the ledger of %d records", n, len(ids))
	}
	goesOn(t, good, at)
}

func TestBadRecordsAreRefusedByNameShownAndTheGoodOnesGoOn(t *testing.T) {
	good, at, v := besiege(t)
	marking := func(m record.Marking) func(*record.Record) { return func(r *record.Record) { r.Marking = m } }
	body := func(n kerneltest.Note) func(*record.Record) {
		return func(r *record.Record) { r.Body, _ = json.Marshal(n) }
	}
	altered := v.version(kerneltest.ID())
	altered.Payload = bytes.Replace(altered.Payload, []byte("tanager"), []byte("thrush."), 1)
	for _, c := range []struct {
		what, reason string
		item         bundle.Item
	}{
		{"a record of a third agency", "foreign-owner", v.version(kerneltest.ID(), func(r *record.Record) { r.Owner, r.Author = "int.aid", "int.aid/x" })},
		{"a record of our own agency", "foreign-owner", v.version(kerneltest.ID(), func(r *record.Record) { r.Owner, r.Author = "ht.cc", "ht.cc/op" })},
		{"altered", "bad-signature", altered},
		{"released to nobody here", "bad-marking", v.version(kerneltest.ID(), marking(to("int.aid")))},
		{"released to nobody", "bad-marking", v.version(kerneltest.ID(), marking(record.Marking{TLP: record.Amber}))},
		{"no such colour", "bad-marking", v.version(kerneltest.ID(), marking(record.Marking{TLP: "PINK", To: []string{"ht.cc"}}))},
		{"a victim without the caveat", "unprotected", v.version(kerneltest.ID(), body(kerneltest.Note{Title: "x", Victim: true}))},
		{"a kind that nobody declares", "unknown-kind", v.version(kerneltest.ID(), func(r *record.Record) { r.Kind = "spaceship" })},
		{"of next week", "future", v.version(kerneltest.ID(), func(r *record.Record) { r.Recorded = v.clock.Now().UTC().Add(7 * 24 * time.Hour) })},
		{"a recall of a third agency", "foreign-owner", v.recall(kerneltest.ID(), 1, "int.aid")},
		{"a recall of our own", "foreign-owner", v.recall(kerneltest.ID(), 1, "ht.cc")},
	} {
		r := kerneltest.ID()
		at.take(v.next(bundle.Normal, c.item, v.version(r)))
		if al := at.alarmOf(v.keys.name, "refused"); !strings.HasPrefix(al.Text, c.reason) {
			t.Errorf("%s: the newest alarm is %q, want %s", c.what, al.Text, c.reason)
		}
		if at.holds(r) != 1 {
			t.Errorf("after %s the good one is not there", c.what)
		}
	}
	if told := v.told(wordRefused); len(told) != 11 {
		t.Errorf("the sender hears of %d refusals, want 11", len(told))
	}
	goesOn(t, good, at)
}

func TestRecordsOfOthersAreNotOverwrittenNorShownToBeHere(t *testing.T) {
	good, at, v := besiege(t)
	mine := at.open("ht.cc", "our own", record.Marking{TLP: record.Amber})
	theirs := good.open("int.aid", "of a third agency", to("ht.cc"))
	exchange(t, good, at)
	for _, id := range []record.ID{mine.ID, theirs.ID} {
		before, err := at.db.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		at.take(v.next(bundle.Normal, v.version(id, func(r *record.Record) { r.Version = 7 })), v.next(bundle.Urgent, v.recall(id, math.MaxInt64, "do.911")))
		after, err := at.db.Get(t.Context(), id)
		if err != nil || !bytes.Equal(before.Raw, after.Raw) {
			t.Errorf("it was changed: %v", err)
		}
		if al := at.alarmOf(v.keys.name, "refused"); al.Record != id.String() {
			t.Errorf("the alarm is about %q", al.Record)
		}
	}
	// By a refusal the villain would learn who holds what.
	if told := v.told(wordRefused); len(told) != 0 {
		t.Errorf("the villain is told %+v", told)
	}
	goesOn(t, good, at)
}

func TestRecallOfWhatIsNotHereYetStopsNothingOfItsOwner(t *testing.T) {
	good, at, v := besiege(t)
	r := good.open("int.aid", "on its way to both", to("ht.cc", "do.911"))
	at.take(v.next(bundle.Urgent, v.recall(r.ID, math.MaxInt64, "do.911"))) // it got it before ht.cc did
	exchange(t, good, at)
	r = good.edit(r, "newer")
	exchange(t, good, at)
	at.mustHold("in spite of the recall of somebody else", r, r.Version)
	good.mark(r, record.Marking{TLP: record.Amber})
	exchange(t, good, at)
	at.mustHold("after its owner's recall", r, 0)
}

func TestVersionsBackwardsChangeNothing(t *testing.T) {
	good, at, v := besiege(t)
	id := kerneltest.ID()
	v5 := v.version(id, func(r *record.Record) { r.Version = 5 })
	at.take(v.next(bundle.Normal, v5))
	for n := 4; n > 0; n-- {
		at.take(v.next(bundle.Normal, v.version(id, func(r *record.Record) { r.Version = n })))
	}
	if at.holds(id) != 5 {
		t.Errorf("version %d is held, want 5", at.holds(id))
	}
	goesOn(t, good, at)
}

func TestNumbersAtTheEndOfAllNumbersHarmNobodyElse(t *testing.T) {
	good, at, v := besiege(t)
	sent := at.open("ht.cc", "for do.911", to("do.911"))
	at.step()
	for _, raw := range at.bundles(v.station, 1<<20) { // it is out
		_ = raw
	}
	id := kerneltest.ID()
	last := v.version(id, func(r *record.Record) { r.Version = math.MaxInt64 })
	last.N = math.MaxInt64
	at.take(v.raw(bundle.Header{Lane: bundle.Normal, UpTo: math.MaxInt64}, last))
	again := v.version(id)
	again.N = math.MaxInt64
	at.take(v.raw(bundle.Header{Lane: bundle.Normal, After: math.MaxInt64 - 1, UpTo: math.MaxInt64}, again))
	for _, received := range [][store.Lanes]int64{{math.MaxInt64, math.MaxInt64}, {farthest - 1, 0}, {-1, -1}} {
		if err := at.x.takeReceipt(t.Context(), v.receiptFor(received, v.clock.Now().Add(time.Hour))); err == nil {
			t.Errorf("a receipt for %v is believed", received)
		}
	}
	for _, w := range []holdingsWord{{Applied: [store.Lanes]int64{math.MaxInt64, math.MaxInt64}, Held: []heldRow{{ID: sent.ID, Owner: "ht.cc", N: math.MaxInt64, Version: math.MaxInt64}}},
		{Held: []heldRow{{ID: sent.ID, Owner: "ht.cc", N: math.MinInt64, Version: math.MinInt64}}}} {
		at.take(v.talk(say(wordHoldings, w)))
	}
	if out, err := at.x.outgoing(t.Context(), v.keys.name); err != nil || out.Last > 100 || out.Received != [store.Lanes]int64{} {
		t.Errorf("our own numbers are %+v %v", out, err)
	}
	if at.alarmOf(v.keys.name, "false-receipt").Text == "" {
		t.Errorf("no alarm: %v", at.codes())
	}
	goesOn(t, good, at)
	goesOn(t, good, at)
}

func TestHelloWithNumbersThatCannotBeIsRefused(t *testing.T) {
	_, at, v := besiege(t)
	at.open("ht.cc", "something", to("do.911"))
	at.step()
	n := at.trust.Node(v.keys.name)
	c := at.x.links.newConn(t.Context(), at.x.links.line(v.keys.name), false)
	defer c.end(errStopping)
	for _, h := range []*have{nil, {Applied: [store.Lanes]int64{-1, 0}}, {Received: [store.Lanes]int64{0, -1}}, {Last: -1}} {
		if err := at.x.links.greet(t.Context(), c, n, h); reasonOf(err) != "malformed" {
			t.Errorf("%+v: %v", h, err)
		}
	}
	if len(at.entries("receipt")) != 0 {
		t.Error("it left something in the ledger")
	}
}

func TestReceiptOfAThirdPartyOrForAnotherCountsForNothing(t *testing.T) {
	good, at, v := besiege(t)
	r := at.open("ht.cc", "for int.aid", to("int.aid"))
	at.step()
	if len(at.bundles(good, 1<<20)) == 0 {
		t.Fatal("nothing is sent")
	}
	now := v.clock.Now()
	claim := func(from, to string) []byte {
		b, _ := json.Marshal(&Receipt{From: from, To: to, Received: [store.Lanes]int64{0, 1}, At: now})
		return signReceipt(v.station, b)
	}
	for _, b := range [][]byte{claim(good.keys.name, at.keys.name), claim(v.keys.name, good.keys.name)} {
		if err := at.x.takeReceipt(t.Context(), b); err == nil {
			t.Error("it is believed")
		}
	}
	at.mustSee("after a villain's receipts", r, good, Sent)
}

func TestRevokedAndPendingNodesAreNotHeard(t *testing.T) {
	good, at, v := besiege(t)
	url, _ := at.online()
	waiting := &villain{station: newStation(t, "dddddddd", v.clock, map[string][]string{"jm.jcf": {}}), at: at}
	card, err := waiting.trust.SelfCard(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := at.trust.AddCard(t.Context(), "admin", card); err != nil {
		t.Fatal(err)
	}
	befriendOne(t, waiting.station, at)
	if err := at.trust.Revoke(t.Context(), "admin", v.keys.name, "sold"); err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*villain{"revoked": v, "pending": waiting} {
		if err := who.dial(url); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("a node that is %s is answered %v", name, err)
		}
		raw := who.raw(bundle.Header{Lane: bundle.Normal, UpTo: 1}, bundle.Item{Sort: bundle.Word, N: 1, Topic: "x", Payload: []byte("{}")})
		if _, err := at.x.arrived(t.Context(), raw); reasonOf(err) != "unknown-sender" {
			t.Errorf("what a node sends that is %s is answered %v", name, err)
		}
	}
	if !slices.Contains(at.codes(), "unknown-sender") {
		t.Errorf("no alarm: %v", at.codes())
	}
	r := good.open("int.aid", "of the honest node", to("ht.cc"))
	good.online()
	good.dials(at, url, nil)
	until(t, "the honest one goes on", func() bool { return at.holds(r.ID) == 1 })
}

// befriendOne makes a station trust another one, and not the other way round.
func befriendOne(t *testing.T, s, o *station) { t.Helper(); s.admit(o, map[string][]string{}) }

func TestTwoNodesWithOneKeyAreRefusedAndOthersGoOn(t *testing.T) {
	good, at, v := besiege(t)
	signer, err := ledger.NewSigner(v.keys.name, v.keys.node)
	if err != nil {
		t.Fatal(err)
	}
	show := func(size int64, life Incarnation) {
		v.clock.Move(time.Second)
		var root ledger.Hash
		rand.Read(root[:])
		text, err := signSeal(signer, size, root, life, v.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		at.take(v.talk(say(wordCheckpoint, checkpointWord{Note: text})))
	}
	show(10, Incarnation{7, "0123456789abcdef"})
	show(12, Incarnation{3, "fedcba9876543210"})
	if al := at.alarmOf(v.keys.name, faultTwice); al.Text == "" || at.trust.Node(v.keys.name).State != store.NodeRefused {
		t.Fatalf("%v %s", at.codes(), at.trust.Node(v.keys.name).State)
	}
	if _, err := at.x.arrived(t.Context(), v.next(bundle.Normal, v.version(kerneltest.ID()))); err == nil {
		t.Error("it is heard still")
	}
	goesOn(t, good, at)
}

func TestFileGoesOnBehindWhatIsNoGoodBundle(t *testing.T) {
	_, at, v := besiege(t)
	id1, id2 := kerneltest.ID(), kerneltest.ID()
	one, two := v.next(bundle.Normal, v.version(id1)), v.next(bundle.Normal, v.version(id2))
	forged := slices.Clone(one)
	forged[sumAt] ^= 1
	stranger := v.raw(bundle.Header{From: "konbit.node/eeeeeeee", Lane: bundle.Normal, UpTo: 1})
	told := at.insert(slices.Concat([]byte("kbu"), forged, one, stranger, []byte("kbunkbun rubbish"), two, two[:20]))
	if told.Applied != 2 || told.Refused == 0 || len(told.Problems) != told.Refused || at.holds(id1) != 1 || at.holds(id2) != 1 {
		t.Errorf("%+v", told)
	}
	if codes := at.codes(); !slices.Contains(codes, "forged") || !slices.Contains(codes, "unknown-sender") {
		t.Errorf("alarms %v", codes)
	}
}

func TestCardsAndDirectoriesThatAreNotBelievedAreShown(t *testing.T) {
	_, at, v := besiege(t)
	url, _ := at.online()
	if err := v.dial(url); err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// A card in the name of another node, and a directory of a region that nobody founded.
	third, err := trust.ParseCard(at.trust.Node("cccccccc").Card)
	if err != nil {
		t.Fatal(err)
	}
	card := third.Card
	card.Sign, card.Serial = key.Public().(ed25519.PublicKey), math.MaxInt64
	forged, err := trust.SignCard(&card, key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := v.trust.SelfCard(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	directory, err := trust.SignDirectory(&trust.Directory{Region: "nowhere", Key: key.Public().(ed25519.PublicKey), Serial: 1, At: v.clock.Now(), Members: []trust.Member{{Card: own,
		Communities: map[string]trust.Membership{"do.911": {"@customs": {}}}}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	if p := v.frames(frame(frameCard, forged), frame(frameDirectory, directory)); p != nil {
		t.Fatal(p)
	}
	for _, code := range []string{"bad-card", "bad-directory"} {
		if at.alarmOf(v.keys.name, code).Text == "" {
			t.Errorf("no alarm %s: %v", code, at.codes())
		}
	}
	if n := at.trust.Node("cccccccc"); !n.Sign.Equal(third.Sign) || slices.Contains(at.dir.Communities("do.911"), "@customs") {
		t.Error("it was believed")
	}
}

func TestHubThatSwapsDropsReplaysAndReordersDoesNoHarm(t *testing.T) {
	good, at, v := besiege(t) // here v is no villain but a third node
	var all [][]byte
	var records []*record.Record
	for i := range 12 {
		r := good.open("int.aid", fmt.Sprint("number ", i), to("ht.cc"))
		records = append(records, r)
		all = append(all, good.bundles(at, 1)...)
		if i%3 == 2 {
			good.mark(r, record.Marking{TLP: record.Amber})
			all = append(all, good.bundles(at, 1)...)
		}
	}
	good.open("int.aid", "for another", to("do.911"))
	swapped := good.bundles(v.station, 1<<20)
	for i := range len(all) * 3 { // an order of its own, some of them never, some often, and in between what is for others
		b := all[(i*7)%len(all)]
		if i%5 == 0 {
			b = swapped[i%len(swapped)]
		}
		if (i*7)%len(all)%6 == 4 {
			continue
		}
		at.x.arrived(t.Context(), b)
	}
	exchange(t, good, at)
	for i, r := range records {
		want, state := 1, Received
		if i%3 == 2 {
			want, state = 0, Purged
		}
		at.mustHold(fmt.Sprint("number ", i), r, want)
		good.mustSee(fmt.Sprint("number ", i), r, at, state)
	}
	if !slices.Contains(at.codes(), "not-for-us") {
		t.Errorf("no alarm of a bundle for somebody else: %v", at.codes())
	}
}

func TestOldReceiptThatAHubKeptDoesNotCountAfterARestart(t *testing.T) {
	good, at, _ := besiege(t)
	r := at.open("ht.cc", "one", to("int.aid"))
	exchange(t, at, good)
	old, err := good.x.receipt(t.Context(), good.trust.Node(at.keys.name))
	if err != nil {
		t.Fatal(err)
	}
	at.clock.Move(time.Minute)
	at.mark(r, record.Marking{TLP: record.Amber})
	exchange(t, at, good)
	at.mustSee("purged", r, good, Purged)
	at.restart()
	before := len(at.entries("receipt"))
	if err := at.x.takeReceipt(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	at.mustSee("after the old receipt", r, good, Purged)
	if n := len(at.entries("receipt")); n != before {
		t.Errorf("%d entries, want %d", n, before)
	}
}

func TestNodeThatSaysWhatItHoldsHearsNothingNew(t *testing.T) {
	_, at, v := besiege(t)
	secret := at.open("ht.cc", "for nobody", record.Marking{TLP: record.Amber})
	for range 4 {
		secret = at.edit(secret, fmt.Sprint("version ", secret.Version+1))
	}
	sent := at.open("ht.cc", "something", to("do.911"))
	exchange(t, at, v.station)
	v.clock.Move(time.Minute)
	ask := func() (id string) {
		if err := at.x.takeReceipt(t.Context(), v.receiptFor([store.Lanes]int64{}, v.clock.Now())); err != nil { // it says that it was restored
			t.Fatal(err)
		}
		_, id = at.x.stream.lostTime(v.keys.name)
		return id
	}
	id := ask()
	if id == "" {
		t.Fatal("it is not asked")
	}
	unknown := kerneltest.ID()
	rows := []heldRow{{ID: secret.ID, Owner: "ht.cc", N: 1, Version: 1}, {ID: unknown, Owner: "ht.cc", N: 1, Version: 1}}
	slices.SortFunc(rows, func(a, b heldRow) int { return slices.Compare(a.ID[:], b.ID[:]) })
	at.take(v.talk(say(wordHoldings, holdingsWord{ID: id, Held: rows})))
	for _, id := range []record.ID{secret.ID, unknown} {
		if sh, err := at.x.stream.shareOf(t.Context(), v.keys.name, id); err != nil || sh != nil {
			t.Errorf("it is answered with %+v %v", sh, err)
		}
	}
	exchange(t, at, v.station)
	at.mustSee("what was sent", sent, v.station, Received)
}

func TestPieceOfAnAttachmentIsNotSaidAfterItsReleaseEnded(t *testing.T) {
	good, at, v := besiege(t)
	_ = good
	r := at.open("ht.cc", "with a picture", to("do.911"))
	exchange(t, at, v.station)
	at.x.Talk(v.keys.name, say(wordChunk, chunkWord{Hash: strings.Repeat("a", 64), Part: partFull, Total: 3, Bytes: []byte("abc")}))
	if at.x.stream.talks.count(v.keys.name, wordChunk) != 1 {
		t.Fatal("nothing waits")
	}
	at.mark(r, record.Marking{TLP: record.Amber})
	at.step()
	if n := at.x.stream.talks.count(v.keys.name, wordChunk); n != 0 {
		t.Errorf("%d pieces wait still", n)
	}
}

func TestParkedBundlesOfARevokedNodeAreRemoved(t *testing.T) {
	_, at, v := besiege(t)
	v.next(bundle.Normal, v.version(kerneltest.ID())) // is lost
	if _, err := at.x.arrived(t.Context(), v.next(bundle.Normal, v.version(kerneltest.ID()))); record.CodeOf(err) != record.Conflict || at.x.stream.inboxes.parked.waiting() != 1 {
		t.Fatal(err)
	}
	if err := at.trust.Revoke(context.Background(), "admin", v.keys.name, "sold"); err != nil {
		t.Fatal(err)
	}
	at.step()
	if n := at.x.stream.inboxes.parked.waiting(); n != 0 {
		t.Errorf("%d bundles are parked still", n)
	}
}
