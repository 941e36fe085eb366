package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"konbit/intake"
	"konbit/node"
	"konbit/record"
	"konbit/store"
)

// slowLoad says what goes over a slow link.
type slowLoad struct {
	shape
	records int
	kills   int           // of either process in turn, on the way
	settle  time.Duration // from the end of the backlog until nothing happens any more
	idle    time.Duration // for how long the idle link is watched then
	hose    func(shape) (hose, error)
}

// alone is the time that the bytes of the backlog need, and nothing else.
func (l slowLoad) alone(each float64) time.Duration {
	return time.Duration(float64(l.records) * each / l.rate * float64(time.Second))
}

// daemon is one side: a process of the binary on a data folder.
type daemon struct {
	side   int
	binary string
	data   string
	token  string
	name   string
	client *http.Client
	hose   hose
	log    io.Writer

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan error
}

// slowRows sends a backlog over a slow link, kills both sides on the way, sends an
// emergency while it drains, and then watches the idle link.
func slowRows(ctx context.Context, dir string, o Options, load slowLoad, each float64) (rows []Row, err error) {
	h, err := load.hose(load.shape)
	if err != nil {
		return nil, err
	}
	defer h.close()
	sides, err := prepare(ctx, dir, o, h, load)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, d := range sides {
			d.kill()
		}
	}()
	d := &drain{load: load, sides: sides, hose: h, each: each, log: o.Log}
	if err := d.run(ctx); err != nil {
		return nil, err
	}
	rows = d.rows()
	idle, err := idleRow(ctx, h, load.settle, load.idle)
	if err != nil {
		return rows, err
	}
	for _, s := range sides {
		if err := s.end(); err != nil {
			return rows, err
		}
	}
	return append(rows, idle), examine(ctx, sides)
}

// prepare makes two nodes that know each other and a backlog between them.
func prepare(ctx context.Context, dir string, o Options, h hose, load slowLoad) (sides [2]*daemon, err error) {
	a, b, err := pair(ctx, dir, nil, h.peerURL())
	if err != nil {
		return sides, err
	}
	defer func() {
		for _, s := range []*site{a, b} {
			if e := s.close(); err == nil {
				err = e
			}
		}
	}()
	if err := a.Exchange().CutLink(b.name(), true); err != nil {
		return sides, err
	}
	if err := a.Trust().SetLink(ctx, "node", b.name(), []string{h.peerURL()}, ""); err != nil {
		return sides, err
	}
	out, err := a.peers().Outgoing(ctx, b.name())
	if err != nil {
		return sides, err
	}
	now := time.Now()
	if err := give(ctx, a.Node, released(newMaker(19, now), a.by, load.records, now), 1000); err != nil {
		return sides, err
	}
	for i, s := range []*site{a, b} {
		sides[i] = &daemon{side: i, binary: o.Binary, data: filepath.Join(dir, string("ab"[i])), token: s.token, name: s.name(), hose: h, log: o.Log,
			client: &http.Client{Transport: &http.Transport{DialContext: h.control(i)}}}
	}
	return sides, queued(ctx, a, b, out.Last+int64(load.records))
}

// start runs the process and waits until it answers.
func (d *daemon) start(ctx context.Context) error {
	args := []string{"serve", "--data", d.data, "--listen", d.hose.listen(d.side)}
	if d.side == sideB {
		args = append(args, "--peer-url", d.hose.peerURL())
	}
	cmd := d.hose.command(d.side, d.binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(), io.Discard, d.log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	d.mu.Lock()
	d.cmd, d.ended = cmd, ended
	d.mu.Unlock()
	return until(ctx, "the process answers", time.Minute, 10*time.Millisecond, func() (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("the process has ended: %v", err)
		default:
		}
		res, err := d.client.Get("http://node/readyz")
		if err != nil {
			return false, nil
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK, nil
	})
}

// kill ends the process as a power cut would.
func (d *daemon) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil {
		return
	}
	d.cmd.Process.Kill()
	<-d.ended
	d.cmd = nil
	d.client.CloseIdleConnections()
}

// end stops it as an administrator would.
func (d *daemon) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.client.CloseIdleConnections()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-d.ended
	d.cmd = nil
	return err
}

// outgoing looks at the stream to a node in the file of the running process.
func (d *daemon) outgoing(ctx context.Context, to string) (store.Outgoing, error) {
	n, err := node.OpenReadOnly(ctx, d.data, "")
	if err != nil {
		return store.Outgoing{}, err
	}
	defer n.Close()
	return n.Store.(store.Peers).Outgoing(ctx, to)
}

// post makes a record through the process's interface.
func (d *daemon) post(ctx context.Context, draft *intake.Draft) error {
	b, err := json.Marshal(draft)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://node/api/v1/records/"+kind, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	return nil
}

// drain is one backlog on its way over a slow link.
type drain struct {
	load  slowLoad
	sides [2]*daemon
	hose  hose
	each  float64
	log   io.Writer

	took      time.Duration // until everything was acknowledged
	used      traffic
	emergency time.Duration
	behind    int // records that waited when the emergency was sent
}

// run sends the backlog. Kills are spread over the time that the bytes alone
// need; the emergency is sent halfway between two of them.
func (d *drain) run(ctx context.Context) error {
	a, b := d.sides[sideA], d.sides[sideB]
	if err := b.start(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	before, start := d.hose.traffic(), time.Now()
	if err := a.start(ctx); err != nil {
		return err
	}
	step := max(d.load.alone(d.each)/time.Duration(d.load.kills+1), 2*time.Second)
	var work sync.WaitGroup
	work.Go(func() {
		if err := d.trouble(ctx, start, step); err != nil {
			stop(err)
		}
	})
	err := until(ctx, "the backlog is through", 20*time.Minute, 250*time.Millisecond, func() (bool, error) {
		out, err := a.outgoing(ctx, b.name)
		return err == nil && out.Waiting == [store.Lanes]int{}, nil // a file in the middle of a crash cannot be read for a moment
	})
	d.took, d.used = time.Since(start), d.hose.traffic().minus(before)
	work.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// trouble kills the sides in turn and sends the emergency in between.
func (d *drain) trouble(ctx context.Context, start time.Time, step time.Duration) error {
	for i := range d.load.kills {
		if err := pause(ctx, time.Until(start.Add(time.Duration(i+1)*step))); err != nil {
			return err
		}
		victim := d.sides[i%2]
		victim.kill()
		if err := victim.start(ctx); err != nil {
			return err
		}
		if i != d.load.kills/2 {
			continue
		}
		if err := pause(ctx, step/2); err != nil {
			return err
		}
		if err := d.cry(ctx); err != nil {
			return fmt.Errorf("emergency: %w", err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// cry sends an emergency and waits until a reader at B has it.
func (d *drain) cry(ctx context.Context) error {
	a, b := d.sides[sideA], d.sides[sideB]
	now := time.Now()
	id, place, _, _ := newMaker(23, now).draft(now)
	there := make(chan time.Time, 1)
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	ended, err := feed(ctx, b.client, "http://node", b.token, func(got string) {
		if got == id.String() {
			there <- time.Now()
		}
	})
	if err != nil {
		stop()
		return err
	}
	defer func() {
		stop()
		<-ended
	}()
	out, err := a.outgoing(ctx, b.name)
	if err != nil {
		return err
	}
	d.behind = out.Waiting[store.Normal]
	start := time.Now()
	if err := a.post(ctx, &intake.Draft{ID: id, Observed: now, Marking: record.Marking{TLP: record.Amber, To: []string{other}}, Place: place,
		Body: json.RawMessage(`{"title":"Bus in the river","category":"medical","severity":"extreme","narrative":"forty people, the bridge is gone"}`)}); err != nil {
		return err
	}
	select {
	case at := <-there:
		d.emergency = at.Sub(start)
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it was not at B within a minute")
	}
}

func (d *drain) rows() []Row {
	alone := d.load.alone(d.each)
	under := fmt.Sprintf("%d incidents over %.0f kbit/s, %d ms round trip, %.0f %% loss, kill -9 and start of A and B in turn, %d times in all; two processes; the link: %s",
		d.load.records, d.load.rate*8/1000, 2*d.load.delay.Milliseconds(), d.load.loss*100, d.load.kills, d.hose.what())
	slow := ratio(Row{Name: "backlog over a slow link with crashes, time by what its bytes alone need", Value: d.took.Seconds(), Unit: "s", Baseline: alone.Seconds(), Reach: "ratio 1.3",
		Method: fmt.Sprintf("%s; from starting A until it has B's receipts for everything; each version was found at B exactly once, and both ledgers verify; baseline: the %.0f bytes that a record took over a good link in this run, at that rate; over this one A sent %.0f bytes a record, packets that were lost and sent again included (%d of all were lost)",
			under, d.each, float64(d.used.bytes[sideA])/float64(d.load.records), d.used.lost)})
	slow.OK = slow.Ratio <= 1.3
	cry := Row{Name: "emergency at B while that backlog drains", Value: d.emergency.Seconds(), Unit: "s", Reach: "5 s", OK: d.emergency <= 5*time.Second,
		Method: fmt.Sprintf("from posting it at A to its line at a reader of B's live stream, with %d records waiting and no crash in that moment; %s", d.behind, under)}
	return []Row{slow, cry}
}

// idleRow watches a link on which nothing happens.
func idleRow(ctx context.Context, h hose, settle, d time.Duration) (Row, error) {
	if err := pause(ctx, settle); err != nil {
		return Row{}, err
	}
	before := h.traffic()
	if err := pause(ctx, d); err != nil {
		return Row{}, err
	}
	t := h.traffic().minus(before)
	row := Row{Name: "idle link, both directions", Value: float64(t.bytes[sideA]+t.bytes[sideB]) / d.Minutes(), Unit: "bytes a minute", Reach: "2,000",
		Method: fmt.Sprintf("%s of idleness, which began %s after that backlog, when the checkpoints that follow it are co-signed; %.0f of them are what TCP carries, HTTP headers included; the link: %s", d, settle, float64(t.payload[sideA]+t.payload[sideB])/d.Minutes(), h.what())}
	row.OK = row.Value < 2000
	return row, nil
}

// examine checks both stopped nodes: that nothing is lost or there twice, and
// that konbit verify finds no fault.
func examine(ctx context.Context, sides [2]*daemon) error {
	var stores [2]store.Store
	for i, d := range sides {
		if out, err := exec.CommandContext(ctx, d.binary, "verify", "--data", d.data).CombinedOutput(); err != nil {
			return fmt.Errorf("verify %s: %w: %s", d.name, err, strings.TrimSpace(string(out)))
		}
		n, err := node.OpenReadOnly(ctx, d.data, "")
		if err != nil {
			return err
		}
		defer n.Close()
		stores[i] = n.Store
	}
	return whole(ctx, stores[sideA], stores[sideB], agency)
}
