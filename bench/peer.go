package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"konbit/store"
)

// peerLoad says how much the figures of the exchange are measured with.
type peerLoad struct {
	seconds   int // of live commits
	backlog   int // records, over a good link
	slow      slowLoad
	questions int
}

// fullPeer is what the figures are made with.
var fullPeer = peerLoad{seconds: 20, backlog: 100_000, questions: 5000,
	slow: slowLoad{records: 50_000, kills: 5, settle: 75 * time.Second, idle: 2 * time.Minute, hose: newHose, shape: shape{rate: 256_000 / 8, delay: 300 * time.Millisecond, loss: 0.01}}}

// peerRows measures the exchange between two nodes.
func peerRows(ctx context.Context, dir string, o Options) ([]Row, error) {
	return measurePeers(ctx, dir, o, fullPeer)
}

func measurePeers(ctx context.Context, dir string, o Options, load peerLoad) (rows []Row, err error) {
	got, each, err := closeRows(ctx, filepath.Join(dir, "close"), o, load)
	rows = append(rows, got...)
	if err != nil {
		return rows, err
	}
	got, err = questionRows(ctx, filepath.Join(dir, "question"), load.questions)
	rows = append(rows, got...)
	if err != nil || o.Binary == "" {
		return rows, err
	}
	fmt.Fprintf(o.Log, "  a backlog over a slow link, about %s ...\n", (load.slow.alone(each)*5/4 + load.slow.settle + load.slow.idle).Round(time.Second))
	got, err = slowRows(ctx, filepath.Join(dir, "slow"), o, load.slow, each)
	return append(rows, got...), err
}

// closeRows measures two nodes on one machine. each is the bytes that a record of
// the backlog took on the sockets.
func closeRows(ctx context.Context, dir string, o Options, load peerLoad) (rows []Row, each float64, err error) {
	var wire tap
	a, b, err := pair(ctx, dir, wire.dial)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		for _, s := range []*site{a, b} {
			if e := s.close(); err == nil {
				err = e
			}
		}
	}()
	if rows, err = acrossRows(ctx, a, b, load.seconds); err != nil {
		return rows, 0, err
	}
	fmt.Fprintf(o.Log, "  a backlog of %d records ...\n", load.backlog)
	more, each, err := backlogRows(ctx, dir, a, b, &wire, load.backlog)
	return append(rows, more...), each, err
}

// acrossRows measures commits at a until they are on screens at a and at b.
func acrossRows(ctx context.Context, a, b *site, seconds int) ([]Row, error) {
	const perSecond = 50
	fctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	sent := map[string]time.Time{}
	var at [2][]time.Duration
	var ends []<-chan struct{}
	for i, s := range []*site{a, b} {
		ended, err := feed(fctx, http.DefaultClient, s.url, s.token, func(id string) {
			now := time.Now()
			mu.Lock()
			defer mu.Unlock()
			if t, ok := sent[id]; ok {
				at[i] = append(at[i], now.Sub(t))
			}
		})
		if err != nil {
			return nil, err
		}
		ends = append(ends, ended)
	}
	if err := until(ctx, "the link is up", time.Minute, 20*time.Millisecond, func() (bool, error) {
		all, err := a.Exchange().Status(ctx)
		return len(all) > 0 && !all[0].Contact.IsZero(), err
	}); err != nil {
		return nil, err
	}
	cmds := released(newMaker(11, time.Now()), a.by, perSecond*seconds, time.Now())
	errs := make(chan error, len(cmds))
	var work sync.WaitGroup
	tick := time.NewTicker(time.Second / perSecond)
	for _, cmd := range cmds {
		<-tick.C
		work.Go(func() {
			mu.Lock()
			sent[cmd.Record.String()] = time.Now()
			mu.Unlock()
			if _, err := a.Intake.Do(ctx, cmd); err != nil {
				errs <- err
			}
		})
	}
	tick.Stop()
	work.Wait()
	err := until(ctx, "everything is on the screens", time.Minute, 20*time.Millisecond, func() (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		return len(at[0]) >= len(cmds) && len(at[1]) >= len(cmds), nil
	})
	select {
	case err = <-errs:
	default:
	}
	if err != nil {
		return nil, err
	}
	stop()
	for _, ended := range ends {
		<-ended
	}
	method := fmt.Sprintf("two nodes in one process over HTTP on loopback; %d commits, %d a second, from giving the command at A to the event's line at a reader of B's live stream; baseline: to a reader of A's own, the same commits", len(cmds), perSecond)
	p50 := ratio(Row{Name: "commit on A to a screen on B, p50", Value: quantile(at[1], 0.5), Unit: "ms", Baseline: quantile(at[0], 0.5), Reach: "30 ms", Method: method})
	p99 := ratio(Row{Name: "commit on A to a screen on B, p99", Value: quantile(at[1], 0.99), Unit: "ms", Baseline: quantile(at[0], 0.99), Reach: "250 ms", Method: method})
	p50.OK, p99.OK = p50.Value <= 30, p99.Value <= 250
	return []Row{p50, p99}, nil
}

// backlogRows makes a backlog while the link is cut and measures how it goes over.
func backlogRows(ctx context.Context, dir string, a, b *site, wire *tap, n int) (rows []Row, each float64, err error) {
	if err := settled(ctx, a, b); err != nil {
		return nil, 0, err
	}
	if err := a.Exchange().CutLink(b.name(), true); err != nil {
		return nil, 0, err
	}
	out, err := a.peers().Outgoing(ctx, b.name())
	if err != nil {
		return nil, 0, err
	}
	first, start := a.Intake.Size(), time.Now()
	if err := give(ctx, a.Node, released(newMaker(13, start), a.by, n, start), 1000); err != nil {
		return nil, 0, err
	}
	if err := queued(ctx, a, b, out.Last+int64(n)); err != nil {
		return nil, 0, err
	}
	ends, err := lasts(ctx, a, b)
	if err != nil {
		return nil, 0, err
	}
	before, start := wire.total(), time.Now()
	if err := a.Exchange().CutLink(b.name(), false); err != nil {
		return nil, 0, err
	}
	if err := applied(ctx, a, b, ends, 5*time.Minute); err != nil {
		return nil, 0, err
	}
	took := time.Since(start)
	if err := settled(ctx, a, b); err != nil {
		return nil, 0, err
	}
	each = float64(wire.total()-before) / float64(n)
	if err := whole(ctx, a.Store, b.Store, a.agency); err != nil {
		return nil, 0, err
	}
	plain, err := posted(ctx, a.Store, first)
	if err != nil {
		return nil, 0, err
	}
	alone, err := imported(ctx, filepath.Join(dir, "alone"), n)
	if err != nil {
		return nil, 0, err
	}
	rate := ratio(Row{Name: fmt.Sprintf("backlog of %d incidents, applied and indexed at B", n), Value: float64(n) / took.Seconds(), Unit: "records/s", Baseline: alone, Reach: "5,000/s",
		Method: "made at A while the link was cut, from mending it until B has all on disk, both nodes in one process over HTTP on loopback; each was counted at B, exactly once; baseline: batch import of the same records into a node without peers; MISP pulls 0.68 events/s (FIGURES)"})
	rate.OK = rate.Value >= 5000
	size := ratio(Row{Name: "bytes on the wire for a record of that backlog", Value: each, Unit: "bytes", Baseline: plain, Reach: "350, 250 the prize",
		Method: "all bytes on A's sockets, both directions, HTTP and handshake included, by the records; sealed and signed; baseline: the same records as JSON with their signatures, zstd level 3, 1,000 in a request, bodies alone"})
	size.OK = size.Value <= 350
	return []Row{rate, size}, each, nil
}

// imported measures the batch import of a backlog into a node that exchanges with nobody.
func imported(ctx context.Context, dir string, n int) (rate float64, err error) {
	s, err := build(ctx, dir, agency, "HT", nil)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if _, err := s.Accounts.AddAgency(ctx, "node", store.Agency{ID: other, Name: other, Country: "DO", Local: true}); err != nil {
		return 0, err
	}
	cmds := released(newMaker(13, time.Now()), s.by, n, time.Now())
	start := time.Now()
	err = give(ctx, s.Node, cmds, 1000)
	return float64(n) / time.Since(start).Seconds(), err
}

// posted is how many bytes a record takes that is sent as people would without
// a format of its own.
func posted(ctx context.Context, st store.Store, first int64) (each float64, err error) {
	var total, n int
	var body countWriter
	enc, err := zstd.NewWriter(&body, zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return 0, err
	}
	lines := json.NewEncoder(enc)
	flush := func() error {
		err := enc.Close()
		total += body.n
		body.n = 0
		enc.Reset(&body)
		return err
	}
	var failed error
	err = st.Entries(ctx, first, -1, func(l *store.Logged) bool {
		if l.Type != "change" {
			return true
		}
		failed = lines.Encode(struct {
			Record json.RawMessage `json:"record"`
			KeyID  string          `json:"keyid"`
			Sig    []byte          `json:"sig"`
		}{json.RawMessage(l.Content), l.KeyID, l.Sig})
		if n++; n%1000 == 0 && failed == nil {
			failed = flush()
		}
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		err = flush()
	}
	return float64(total) / float64(max(n, 1)), err
}

type countWriter struct{ n int }

func (c *countWriter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

// whole checks that b's ledger holds every version of an agency that a's does,
// each exactly once, and no other.
func whole(ctx context.Context, a, b store.Store, agency string) error {
	type version struct {
		record [16]byte
		n      int
	}
	count := map[version]int{}
	if err := a.Entries(ctx, 0, -1, func(l *store.Logged) bool {
		if l.Type == "change" && l.Agency == agency {
			count[version{l.Record, l.Version}] = 0
		}
		return true
	}); err != nil {
		return err
	}
	twice, strange := 0, 0
	if err := b.Entries(ctx, 0, -1, func(l *store.Logged) bool {
		if l.Type != "change" || l.Agency != agency {
			return true
		}
		v := version{l.Record, l.Version}
		switch n, known := count[v]; {
		case !known:
			strange++
		case n > 0:
			twice++
		}
		count[v]++
		return true
	}); err != nil {
		return err
	}
	lost := 0
	for _, n := range count {
		if n == 0 {
			lost++
		}
	}
	if lost+twice+strange > 0 {
		return fmt.Errorf("of %d versions %d are lost, %d are there twice, %d were never made", len(count), lost, twice, strange)
	}
	return nil
}
