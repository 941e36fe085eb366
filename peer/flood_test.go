package peer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/kerneltest"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

func TestNodeThatLosesAllAgainAndAgainFillsNoLedger(t *testing.T) {
	good, at, v := besiege(t)
	for i := range 20 {
		at.open("ht.cc", fmt.Sprint("record ", i), to("do.911"))
	}
	exchange(t, at, v.station)
	all, err := at.x.outgoing(t.Context(), v.keys.name)
	if err != nil {
		t.Fatal(err)
	}
	before := len(at.entries("receipt"))
	tk := at.x.stream.taken.of(v.keys.name)
	for range 100 {
		for _, received := range [][store.Lanes]int64{{}, all.Received} {
			v.clock.Move(time.Second)
			tk.mu.Lock()
			tk.wrote = time.Time{} // some time passes
			tk.mu.Unlock()
			if err := at.x.takeReceipt(t.Context(), v.receiptFor(received, v.clock.Now())); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(at.entries("receipt")) - before; n > 25 {
		t.Errorf("%d entries", n)
	}
	if at.alarmOf(v.keys.name, "restless").Text == "" {
		t.Errorf("no alarm: %v", at.codes())
	}
	goesOn(t, good, at)
}

func TestNodeThatRefusesAllAndAsksForItAgainFillsNoLedger(t *testing.T) {
	good, at, v := besiege(t)
	r := at.open("ht.cc", "refused for ever", to("do.911"))
	for range 100 {
		at.bundles(v.station, 1<<20)
		no := bundle.Item{Sort: bundle.Word, Record: r.ID, Topic: wordRefused, Payload: say("", notTakenWord{"unknown-kind", 1, "no"}).Payload}
		at.take(v.next(bundle.Normal, no), v.talk(bundle.Item{Sort: bundle.Word, Topic: wordRetry, Payload: fmt.Appendf(nil, `{"n":%d}`, v.last[bundle.Normal])}))
	}
	if n := len(at.entries("refused")); n < 2 || n > 25 {
		t.Errorf("%d entries", n)
	}
	if at.alarmOf(v.keys.name, "not-taken").Text == "" {
		t.Errorf("no alarm: %v", at.codes())
	}
	goesOn(t, good, at)
}

func TestFloodOfWordsIsLeftAsideAndShown(t *testing.T) {
	good, at, v := besiege(t)
	size := at.intake.Size()
	var words []bundle.Item
	for i := range 3000 {
		words = append(words, say(wordProve, proveWord{Sizes: []int64{int64(i + 1), int64(i + 2)}}), say(wordAsk, askWord{ID: fmt.Sprint(i)}),
			say("question.ask", struct{ N int }{i}), say("nobody-knows-this", i))
	}
	at.take(v.talk(words...))
	if at.alarmOf(v.keys.name, "flood").Text == "" {
		t.Errorf("no alarm: %v", at.codes())
	}
	if n := at.intake.Size() - size; n > 10 {
		t.Errorf("%d entries in the ledger", n)
	}
	at.x.stream.talks.mu.Lock()
	if n := len(at.x.stream.talks.by[v.keys.name]); n > maxTalk {
		t.Errorf("%d words wait to be said", n)
	}
	at.x.stream.talks.mu.Unlock()
	goesOn(t, good, at)
}

func TestFloodOfBadRecordsMakesFewAlarms(t *testing.T) {
	good, at, v := besiege(t)
	var items []bundle.Item
	for range 2000 {
		items = append(items, v.version(kerneltest.ID(), func(r *record.Record) { r.Kind = "spaceship" }))
	}
	at.take(v.next(bundle.Normal, items...))
	if n := len(at.codes()); n > maxOfSort+2 {
		t.Errorf("%d alarms", n)
	}
	if n := len(at.entries("alarm")); n > maxOfSort+2 {
		t.Errorf("%d entries about alarms", n)
	}
	if n := len(v.told(wordRefused)); n != 2000 { // an honest sender has to know of each
		t.Errorf("%d are told", n)
	}
	goesOn(t, good, at)
}

func TestParkingOfOneNodeLeavesRoomForOthers(t *testing.T) {
	good, at, v := besiege(t)
	at.x.stream.inboxes.parked.most = 40
	v.last[bundle.Normal] = 1000
	for range 60 {
		if _, err := at.x.arrived(t.Context(), v.next(bundle.Normal, v.version(kerneltest.ID()))); record.CodeOf(err) != record.Conflict {
			t.Fatal(err)
		}
	}
	if n := at.x.stream.inboxes.parked.waiting(); n != 10 {
		t.Errorf("%d are parked, want 10", n)
	}
	var ids []record.ID
	var late [][]byte
	for range 2 {
		r := good.open("int.aid", "one", to("ht.cc"))
		ids = append(ids, r.ID)
	}
	late = good.bundles(at, 1)
	slices.Reverse(late)
	for _, b := range late {
		at.x.arrived(t.Context(), b)
	}
	for _, id := range ids {
		if at.holds(id) != 1 {
			t.Error("what came in another order is not there")
		}
	}
}

func TestFloodOfFramesGrowsNothing(t *testing.T) {
	_, at, v := besiege(t)
	url, _ := at.online()
	if err := v.dial(url); err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for i := range 3000 {
		name := fmt.Sprintf("konbit.node/%08x", i)
		frames = append(frames,
			wordFrame(frameStored, storedWord{From: at.keys.name, To: name, UpTo: 5}),
			wordFrame(frameGap, gapWord{From: name, To: v.keys.name}),
			wordFrame(frameGap, gapWord{From: "konbit.node/cccccccc", To: v.keys.name, Have: int64(i)}),
			wordFrame(frameRefused, refusedWord{From: at.keys.name, To: name, Reason: strings.Repeat("x", 100)}),
			wordFrame(frameRefused, refusedWord{From: at.keys.name, To: "konbit.node/cccccccc", Reason: "slander"}),
			frame(frameReceipt, []byte(`{"payload":"e30="}`)), frame(frameBeat, nil))
	}
	if p := v.frames(frames...); p != nil {
		t.Fatal(p)
	}
	l := &at.x.links
	l.mu.Lock()
	lines := len(l.lines)
	l.mu.Unlock()
	if lines > 3 {
		t.Errorf("%d lines", lines)
	}
	if c := l.live(v.keys.name); c == nil {
		t.Error("the link has ended")
	} else {
		c.out.mu.Lock()
		if len(c.out.notes) > 4 || len(c.out.orders) > maxOrders {
			t.Errorf("%d notes, %d orders", len(c.out.notes), len(c.out.orders))
		}
		c.out.mu.Unlock()
	}
	all, err := at.x.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == "konbit.node/cccccccc" && strings.Contains(s.Error, "slander") {
			t.Error("a node says of another that it refuses bundles, and is believed")
		}
	}
	if p := v.frames([]byte{byte(frameBeat), 0xff, 0, 0, 0}); p == nil || p.Reason != "oversized" {
		t.Errorf("%+v", p)
	}
	until(t, "a frame that cannot be is shown", func() bool { return at.alarmOf(v.keys.name, "bad-frame").Text != "" })
}

func TestStrangersThatFloodGrowNothing(t *testing.T) {
	good, at, v := besiege(t)
	url, _ := at.online()
	size := at.intake.Size()
	post := func(path string, body any) int {
		b, _ := json.Marshal(body)
		resp, err := http.Post(url+"/peer/v1/"+path, "application/json", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	card, err := v.trust.SelfCard(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := post("hello", helloRequest{From: strings.Repeat("a", 1<<20), To: at.keys.name, Nonce: make([]byte, 32)}); n != http.StatusRequestEntityTooLarge {
		t.Errorf("a hello of a megabyte is answered %d", n)
	}
	for i := range 300 {
		from := fmt.Sprintf("konbit.node/%08x", i)
		post("hello", helloRequest{From: from, To: at.keys.name, Nonce: make([]byte, 32)})
		g, _ := json.Marshal(greeting{As: "dialler", From: from, To: at.keys.name})
		post("session", signedWord{Payload: g, Sig: make([]byte, 64), Card: card})
		g, _ = json.Marshal(greeting{As: "dialler", From: v.keys.name, To: at.keys.name})
		post("session", signedWord{Payload: g, KeyID: keyID(v.keys.link), Sig: make([]byte, 64)})
		post("send", nil)
		post("join", map[string]any{"card": card, "proof": make([]byte, 32)})
	}
	d := &at.x.links.doors
	d.mu.Lock()
	if len(d.used) != 0 || len(d.open) != 0 || len(d.fails) > 1 {
		t.Errorf("%d challenges, %d sessions, %d addresses are kept", len(d.used), len(d.open), len(d.fails))
	}
	d.mu.Unlock()
	if n := at.intake.Size() - size; n != 0 {
		t.Errorf("%d entries in the ledger", n)
	}
	good.online()
	good.dials(at, url, nil)
	r := good.open("int.aid", "of the honest node", to("ht.cc"))
	until(t, "the honest one is let in", func() bool { return at.holds(r.ID) == 1 })
}

func TestNobodyKnowsHowANodeIsKnownByItsAnswer(t *testing.T) {
	_, at, v := besiege(t)
	url, _ := at.online()
	answer := func(from string) string {
		g, _ := json.Marshal(greeting{As: "dialler", From: from, To: at.keys.name})
		b, _ := json.Marshal(signedWord{Payload: g, KeyID: keyID(v.keys.link), Sig: make([]byte, 64)})
		resp, err := http.Post(url+"/peer/v1/session", "application/json", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		p := &problem{}
		if err := json.NewDecoder(resp.Body).Decode(p); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%+v", *p)
	}
	if known, not := answer(v.keys.name), answer("konbit.node/eeeeeeee"); known != not {
		t.Errorf("a node that is known is answered %s, another %s", known, not)
	}
}

func TestWhoFillsAHubFillsItForHimselfAlone(t *testing.T) {
	r, err := openRelay(t.TempDir(), relayBounds{perNode: 4000, perPair: 1000, total: 1 << 20, files: 1000, age: time.Hour, talk: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	put := func(from string, n int64, at time.Time) error {
		h := bundle.Header{From: "konbit.node/" + from, To: "konbit.node/cccccccc", Lane: bundle.Normal, After: n, UpTo: n + 1, At: at}
		return r.put(h, make([]byte, 100), now)
	}
	full := 0
	for n := range int64(40) {
		if put("aaaaaaaa", n, time.Unix(0, 0)) != nil { // by its own clock it was first
			full++
		}
	}
	if full != 30 {
		t.Errorf("%d of 40 are refused, want 30", full)
	}
	for n := range int64(3) {
		if err := put("bbbbbbbb", n, now.Add(1000*time.Hour)); err != nil {
			t.Error(err)
		}
	}
	var order []string
	for {
		k, _ := r.next("konbit.node/cccccccc", bundle.Normal, &conn{})
		if k == nil || len(order) == 6 {
			break
		}
		k.on = nil
		order = append(order, k.from)
	}
	if got := strings.Join(order, " "); got != "aaaaaaaa bbbbbbbb aaaaaaaa bbbbbbbb aaaaaaaa bbbbbbbb" {
		t.Errorf("they are served in the order %s", got)
	}
	r.sweep(now.Add(2*time.Hour), func(string) bool { return true })
	if n, _ := r.waiting("konbit.node/cccccccc"); n != 0 {
		t.Errorf("%d are kept that are too old, whatever their sender says", n)
	}
}

func TestFullDiskTakesNothingFromOthersAndSaysSo(t *testing.T) {
	good, at, v := besiege(t)
	free := int64(10 << 20)
	at.x.stream.disk.stat = func(string) (int64, int64) { return free, 100 << 30 }
	id := kerneltest.ID()
	raw := v.next(bundle.Normal, v.version(id))
	if _, err := at.x.arrived(t.Context(), raw); reasonOf(err) != "full" || record.CodeOf(err) != record.Unavailable {
		t.Errorf("%v", err)
	}
	if at.alarmOf(v.keys.name, "full").Text == "" || at.holds(id) != 0 {
		t.Errorf("alarms %v", at.codes())
	}
	free = 200 << 20 // enough for what is urgent
	at.x.stream.disk.looked = time.Time{}
	if _, err := at.x.arrived(t.Context(), v.next(bundle.Urgent, v.recall(kerneltest.ID(), 1, "do.911"))); err != nil {
		t.Errorf("a recall: %v", err)
	}
	free = 1 << 30
	at.x.stream.disk.looked = time.Time{}
	at.take(raw)
	goesOn(t, good, at)
}

func TestNeighbourThatNeverSaysItIsDoneShutsTheGateForLessEachTime(t *testing.T) {
	_, at, v := besiege(t)
	l := &at.x.links
	l.pace.hold = 256 * time.Millisecond
	ln := l.line(v.keys.name)
	var holds []time.Duration
	now := time.Now()
	for range 5 {
		ln.mu.Lock()
		ln.contact = now.Add(-time.Hour)
		start := time.Now()
		l.arriving(ln, now)
		holds = append(holds, ln.heldTo.Sub(start).Round(16*time.Millisecond))
		ln.mu.Unlock()
	}
	if !slices.IsSortedFunc(holds, func(a, b time.Duration) int { return int(b - a) }) || holds[4] > 32*time.Millisecond {
		t.Errorf("it is waited for %v", holds)
	}
	l.heardOut(ln)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.contact = now.Add(-time.Hour)
	if l.arriving(ln, now); time.Until(ln.heldTo) < 100*time.Millisecond {
		t.Error("one that has mended its ways is not waited for")
	}
}
