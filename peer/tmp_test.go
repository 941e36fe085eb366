package peer

import (
	"testing"
	"time"
	"konbit/wire/bundle"
)

func TestTmpSat(t *testing.T) {
	a, b := newPost(t, "aaaaaaaa"), newPost(t, "bbbbbbbb")
	a.pace, b.pace = defaultPace2, defaultPace2
	const rate = 32000
	a.wire.Rate(rate)
	a.wire.Delay(300 * time.Millisecond)
	a.wire.Loss(0.01)
	b.wire = a.wire
	if dial { friends(a, b) } else { friends(b, a) }
	a.start()
	b.start()
	until(t, "up", func() bool { return a.l.live(b.name) != nil && b.l.live(a.name) != nil })
	before, beforeD := a.wire.Bytes()
	at := time.Now()
	a.send(b, bundle.Normal, 1500, 1000)
	var worst time.Duration
	for i := 0; i < 5; i++ {
		time.Sleep(4 * time.Second)
		u := time.Now()
		k := b.mill.count(a.name, bundle.Urgent)
		a.send(b, bundle.Urgent, 1, 1000)
		until(t, "urgent", func() bool { return b.mill.count(a.name, bundle.Urgent) > k })
		d := time.Since(u)
		if d > worst { worst = d }
		c := a.l.live(b.name)
		c.out.mu.Lock()
		t.Logf("urgent %v window %d rate %.0f rtt %v under %d", d, c.out.meter.window(), c.out.meter.rate, c.out.meter.rtt, c.out.meter.underWay())
		c.out.mu.Unlock()
	}
	untilIn(t, 2*time.Minute, "all", func() bool { return b.mill.count(a.name, bundle.Normal) == 1500 })
	took := time.Since(at)
	sent, rec := a.wire.Bytes()
	n := max(sent-before, rec-beforeD)
	alone := time.Duration(float64(n) / rate * float64(time.Second))
	t.Logf("%d bytes took %v, alone %v: %.2f; other way %d", n, took, alone, took.Seconds()/alone.Seconds(), min(sent-before, rec-beforeD))
}
var dial = true
func TestTmpSatDown(t *testing.T) { dial = false; TestTmpSat(t) }
func defaultPace2(p *pace) { p.retryMin = 20 * time.Millisecond }
