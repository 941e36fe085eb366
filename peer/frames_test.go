package peer

import (
	"bytes"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"

	"konbit/store"
	"konbit/wire/bundle"
)

func TestPiecesOfSeveralLanesComeTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var whole [3][]byte
		var left [3][]byte
		for lane := range whole {
			whole[lane] = rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "bundle")
			left[lane] = whole[lane]
		}
		var wire bytes.Buffer
		for len(left[0])+len(left[1])+len(left[2]) > 0 {
			lane := rapid.IntRange(0, 2).Draw(t, "lane")
			if len(left[lane]) == 0 {
				continue
			}
			n := rapid.IntRange(1, len(left[lane])).Draw(t, "n")
			wire.Write(pieceFrame(bundle.Lane(lane), n < len(left[lane]), left[lane][:n]))
			left[lane] = left[lane][n:]
		}
		var a assembly
		got := 0
		for {
			typ, payload, err := readFrame(&wire, func(int) {})
			if err == io.EOF {
				break
			}
			if err != nil || typ != frameBundle {
				t.Fatal(typ, err)
			}
			lane := payload[0]
			b, err := a.add(payload)
			if err != nil {
				t.Fatal(err)
			}
			if b != nil {
				if got++; !bytes.Equal(b, whole[lane]) {
					t.Fatalf("lane %d came out otherwise", lane)
				}
			}
		}
		if got != 3 {
			t.Fatalf("%d bundles of 3", got)
		}
	})
}

func TestEndlessBundleIsRefused(t *testing.T) {
	var a assembly
	piece := make([]byte, pieceHead+maxPiece)
	piece[0], piece[1] = byte(bundle.Normal), 1
	for range maxBundle/maxPiece + 2 {
		if _, err := a.add(piece); err != nil {
			if reasonOf(err) != "oversized" || a.parts[bundle.Normal] != nil {
				t.Errorf("%v, and %d bytes are held", err, len(a.parts[bundle.Normal]))
			}
			return
		}
	}
	t.Error("a bundle without an end was taken")
}

func FuzzReadFrame(f *testing.F) {
	f.Add(frame(frameReceipt, []byte("{}")))
	f.Add(pieceFrame(bundle.Urgent, true, []byte("x")))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		var a assembly
		for {
			typ, payload, err := readFrame(r, func(int) {})
			if err != nil {
				return
			}
			if len(payload) > typ.max() {
				t.Fatalf("a frame of %d bytes", len(payload))
			}
			if typ == frameBundle {
				_, _ = a.add(payload)
			}
		}
	})
}

func TestCapsCountByTheHour(t *testing.T) {
	day := func(h int) time.Time { return time.Date(2026, 3, 1, h, 30, 0, 0, time.UTC) }
	night := []store.Cap{{From: 22, To: 6, Kbit: 8}, {From: 5, To: 7, Kbit: 0}}
	for h, want := range map[int]float64{12: -1, 21: -1, 22: 1000, 0: 1000, 4: 1000, 5: 0, 6: 0, 7: -1} {
		rate, ok := capped(night, day(h))
		if !ok {
			rate = -1
		}
		if rate != want {
			t.Errorf("at %d: %v bytes/s, want %v", h, rate, want)
		}
	}
	var b bucket
	at := time.Now()
	if d := b.wait(night, day(22), at); d != 0 {
		t.Errorf("the first piece waits %v", d)
	}
	b.spend(night, 5000, day(22), at)
	if d := b.wait(night, day(22), at); d < 4*time.Second || d > 6*time.Second {
		t.Errorf("5000 bytes at 1000 a second: wait %v", d)
	}
	if d := b.wait(night, day(22), at.Add(5*time.Second)); d != 0 {
		t.Errorf("after 5 seconds: wait %v", d)
	}
	b.spend(night, 1_000_000, day(12), at) // nothing bounds it at noon
	if d := b.wait(night, day(22), at.Add(10*time.Second)); d != 0 {
		t.Errorf("what went at noon counts at night: wait %v", d)
	}
	if d := b.wait(night, day(5), at.Add(20*time.Second)); d <= 0 {
		t.Error("nothing may pass from 5 to 7")
	}
}

func TestWindowFollowsTheLink(t *testing.T) {
	m := meter{ahead: aheadShared}
	now := time.Now()
	if m.window() != firstWindow {
		t.Errorf("the first window is %d", m.window())
	}
	// A link of 32 kB/s with 600 ms there and back, always kept busy.
	const rate, rtt = 32 << 10, 600 * time.Millisecond
	free := now
	type sent struct {
		end uint64
		at  time.Time
	}
	var under []sent
	for step := 0; step < 4000; step++ {
		now = now.Add(10 * time.Millisecond)
		for len(under) > 0 && !under[0].at.After(now) {
			if !m.ack(under[0].end, now) {
				t.Fatal("an honest acknowledgment was refused")
			}
			under = under[1:]
		}
		for m.underWay()+minCut <= m.window() {
			m.send(minCut, now)
			if free.Before(now) {
				free = now
			}
			free = free.Add(time.Second * minCut / rate)
			under = append(under, sent{m.sent, free.Add(rtt)})
		}
	}
	if m.rate < rate*8/10 || m.rate > rate*12/10 {
		t.Errorf("measured %.0f bytes/s of %d", m.rate, rate)
	}
	if s := float64(m.window()) / rate; s < 1 || s > 3 {
		t.Errorf("%.1f seconds of the link may be under way", s)
	}
	if m.ack(m.sent+1, now) {
		t.Error("more was acknowledged than was sent")
	}
}
