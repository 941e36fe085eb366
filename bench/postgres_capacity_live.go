package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"konbit/account"
	"konbit/bus"
	"konbit/desk"
	"konbit/intake"
	"konbit/store"
)

// readerCosts feeds each number of live streams with the same events, each time from
// a new process.
func readerCosts(ctx context.Context, dir string, o Options, db *database, sizes []int, seconds int) (out []cost, err error) {
	spec, drop, err := db.schema(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := drop(); err == nil {
			err = e
		}
	}()
	one := filepath.Join(dir, "reader")
	n, _, err := openOn(ctx, one, spec)
	if err != nil {
		return nil, err
	}
	writer, err := token(ctx, n, agency+"/op")
	var secrets []string // one person may hold only so many streams
	for i := 0; err == nil && i*25 < sizes[len(sizes)-1]; i++ {
		id := fmt.Sprintf("%s/reader-%d", agency, i)
		if _, err = n.Accounts.AddPerson(ctx, account.Node, store.Person{ID: id, Name: "Reader", Lang: "en", Grants: []store.Grant{{Agency: agency, Desk: "*", Role: desk.Viewer}}}, ""); err == nil {
			var secret string
			secret, err = token(ctx, n, id)
			secrets = append(secrets, secret)
		}
	}
	if e := n.Close(); err != nil || e != nil {
		return nil, errors.Join(err, e)
	}
	var memory, alone, busy [][2]float64
	for _, readers := range sizes {
		fmt.Fprintf(o.Log, "  %d readers ...\n", readers)
		r, err := feedReaders(ctx, o, one, spec, writer, secrets, readers, seconds)
		if err != nil {
			return nil, err
		}
		memory = append(memory, [2]float64{float64(readers), r.memory * 1000})
		alone = append(alone, [2]float64{float64(readers), r.idle})
		busy = append(busy, [2]float64{float64(r.events), r.busy})
	}
	how := fmt.Sprintf("konbit serve on PostgreSQL, incidents of some 1.2 kB, %d a second for %d s", perSecond, seconds)
	return []cost{
		{readerMemory, "kB resident", "readers", fit(memory), how + "; after them"},
		{readerIdle, "ms of a processor a second", "readers", fit(alone), fmt.Sprintf("konbit serve, streams open for %d s in which nothing happens", seconds)},
		{readerEvent, "ms of a processor", "events that arrived", fit(busy), how},
	}, nil
}

// readersCost is what some of them cost a process.
type readersCost struct {
	memory float64 // MB
	idle   float64 // ms a second
	busy   float64 // ms
	events int64   // that arrived
}

func feedReaders(ctx context.Context, o Options, dir, spec, writer string, secrets []string, readers, seconds int) (r readersCost, err error) {
	s := newServer(o, dir, spec)
	defer s.end(syscall.SIGTERM)
	if err := s.start(ctx, o.Binary); err != nil {
		return r, err
	}
	at, pid := *s.url.Load(), s.cmd.Process.Pid
	fctx, stop := context.WithCancel(ctx)
	defer stop()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	var events atomic.Int64
	var ends []<-chan struct{}
	for i := range readers {
		ended, err := feed(fctx, &http.Client{Transport: tr}, at, secrets[i/25], func(string) { events.Add(1) })
		if err != nil {
			return r, err
		}
		ends = append(ends, ended)
	}
	cpu := func(during func() error) (float64, error) {
		before, err := spent(pid)
		if err != nil {
			return 0, err
		}
		if err := during(); err != nil {
			return 0, err
		}
		after, err := spent(pid)
		return float64((after.cpu - before.cpu).Milliseconds()), err
	}
	if r.idle, err = cpu(func() error { return pause(ctx, time.Duration(seconds)*time.Second) }); err != nil {
		return r, err
	}
	r.idle /= float64(seconds)
	if r.busy, err = cpu(func() error {
		if err := trickle(ctx, at, writer, perSecond*seconds); err != nil {
			return err
		}
		return until(ctx, "every reader has every event", time.Minute, 10*time.Millisecond, func() (bool, error) { return events.Load() >= int64(readers*perSecond*seconds), nil })
	}); err != nil {
		return r, err
	}
	r.events = events.Load()
	if r.memory, err = resident(pid); err != nil {
		return r, err
	}
	stop()
	for _, ended := range ends {
		<-ended
	}
	return r, nil
}

// trickle creates n incidents, perSecond of them a second.
func trickle(ctx context.Context, at, secret string, n int) error {
	m := newMaker(41, time.Now())
	c := &http.Client{Timeout: 10 * time.Second}
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for range n {
		<-tick.C
		now := time.Now()
		id, place, marking, body := m.draft(now)
		b, err := json.Marshal(intake.Draft{ID: id, Observed: now, Marking: marking, Place: place, Body: body})
		if err != nil {
			return err
		}
		wg.Go(func() {
			status, text, err := create(c, at, secret, b)
			if err == nil && status != http.StatusCreated {
				err = fmt.Errorf("a create was refused: %d %.200s", status, text)
			}
			if err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}

// positionCosts sends positions through the bus: from one connection to another, with
// the server between them, all in this process. Nothing is decided, kept or drawn.
func positionCosts(ctx context.Context, sizes []int) ([]cost, error) {
	const topic, window = "position", 128 // as many under way as can be without a loss
	from, err := bus.Open(ctx, bus.Config{Listen: "127.0.0.1:0", Node: "bench"})
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := bus.Open(ctx, bus.Config{URL: from.URL(), Node: "bench"})
	if err != nil {
		return nil, err
	}
	defer to.Close()
	credit := make(chan struct{}, window)
	var came atomic.Bool
	defer to.Subscribe(topic, 4*window, func([]byte) {
		came.Store(true)
		select {
		case <-credit:
		default: // one of those that looked whether the bus carries
		}
	})()
	text := []byte(`{"id":"01987b5e-6c1d-7a52-9d7e-3f8f6f0d8a11","agency":"ht.cc","lon":-72.33891,"lat":18.54231,"speed":11.4,"course":271.5,"at":"2026-05-01T12:00:00.000000Z","from":"gps"}`)
	var points [][2]float64
	for i, n := range append([]int{1000}, sizes...) { // the first to warm up
		before, err := spent(os.Getpid())
		if err != nil {
			return nil, err
		}
		if i == 0 { // until the subscription is known
			if err := until(ctx, "the bus carries", 10*time.Second, 10*time.Millisecond, func() (bool, error) {
				from.Publish(topic, text)
				return came.Load(), nil
			}); err != nil {
				return nil, err
			}
		}
		for range n {
			select {
			case credit <- struct{}{}:
			case <-time.After(10 * time.Second):
				return nil, errors.New("a position was lost on the bus")
			}
			from.Publish(topic, text)
		}
		if err := until(ctx, "all positions have come", 10*time.Second, time.Millisecond, func() (bool, error) { return len(credit) == 0, nil }); err != nil {
			return nil, err
		}
		after, err := spent(os.Getpid())
		if err != nil {
			return nil, err
		}
		if i > 0 {
			points = append(points, [2]float64{float64(n), float64((after.cpu - before.cpu).Milliseconds())})
		}
	}
	return []cost{{positionBus, "ms of a processor", "positions", fit(points),
		fmt.Sprintf("%d bytes through package bus, from one connection by the NATS server to another, all three in one process; nothing is done with it", len(text))}}, nil
}

// peerCosts ships backlogs from one node to another, both in this process.
func peerCosts(ctx context.Context, dir string, sizes []int, idle time.Duration) (out []cost, err error) {
	var wire tap
	a, b, err := pair(ctx, filepath.Join(dir, "peer"), wire.dial)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, s := range []*site{a, b} {
			if e := s.close(); err == nil {
				err = e
			}
		}
	}()
	var bytes, cpu [][2]float64
	for i, n := range append([]int{sizes[0]}, sizes...) { // the first to warm up
		sent, took, err := ship(ctx, a, b, &wire, n, uint64(50+i))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			bytes, cpu = append(bytes, [2]float64{float64(n), sent}), append(cpu, [2]float64{float64(n), took})
		}
	}
	before, err := spent(os.Getpid())
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, idle); err != nil {
		return nil, err
	}
	after, err := spent(os.Getpid())
	if err != nil {
		return nil, err
	}
	how := fmt.Sprintf("two nodes on SQLite in one process over HTTP on loopback, a backlog each time; in %s of idleness the two together took %.2f ms of a processor a second", idle, float64((after.cpu-before.cpu).Milliseconds())/idle.Seconds())
	return []cost{
		{peerWire, "bytes", "records", fit(bytes), how + "; all bytes on the sockets, both directions"},
		{peerNodes, "ms of a processor", "records", fit(cpu), how + "; sealed, sent, opened, decided, committed and indexed at the other"},
	}, nil
}

// ship makes a backlog while the link is cut, and measures what it takes to go over.
func ship(ctx context.Context, a, b *site, wire *tap, n int, seed uint64) (bytes, cpu float64, err error) {
	if err := settled(ctx, a, b); err != nil {
		return 0, 0, err
	}
	if err := a.Exchange().CutLink(b.name(), true); err != nil {
		return 0, 0, err
	}
	last, err := a.peers().Outgoing(ctx, b.name())
	if err != nil {
		return 0, 0, err
	}
	now := time.Now()
	if err := give(ctx, a.Node, released(newMaker(seed, now), a.by, n, now), 1000); err != nil {
		return 0, 0, err
	}
	if err := queued(ctx, a, b, last.Last+int64(n)); err != nil {
		return 0, 0, err
	}
	ends, err := lasts(ctx, a, b)
	if err != nil {
		return 0, 0, err
	}
	was, err := spent(os.Getpid())
	if err != nil {
		return 0, 0, err
	}
	before := wire.total()
	if err := a.Exchange().CutLink(b.name(), false); err != nil {
		return 0, 0, err
	}
	if err := applied(ctx, a, b, ends, 5*time.Minute); err != nil {
		return 0, 0, err
	}
	if err := settled(ctx, a, b); err != nil {
		return 0, 0, err
	}
	is, err := spent(os.Getpid())
	return float64(wire.total() - before), float64((is.cpu - was.cpu).Milliseconds()), err
}
