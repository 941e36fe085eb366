package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"konbit/bus"
	"konbit/intake"
	"konbit/record"
	"konbit/store"
	"konbit/store/postgres"
)

// failoverLoad is how the loss of a process is measured.
type failoverLoad struct {
	kills   int // of the process on duty, one after the other
	writers int // half of them at each process, 25 creates a second each
	readers int // half of them at each process
}

const (
	writerPause = 40 * time.Millisecond
	calm        = 2 * time.Second // before each kill, and after a new one is on duty
)

// failoverRows kills the process on duty under load, again and again: real
// processes of the binary, which share a PostgreSQL and hear of each other by NATS.
func failoverRows(ctx context.Context, dir string, o Options, db *database, load failoverLoad) (rows []Row, err error) {
	fmt.Fprintf(o.Log, "  kill -9 of the process on duty, %d times ...\n", load.kills)
	spec, drop, err := db.schema(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := drop(); err == nil {
			err = e
		}
	}()
	f := &failover{load: load, dir: filepath.Join(dir, "failover"), spec: spec, o: o}
	defer f.end()
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	return f.rows(ctx)
}

type failover struct {
	load  failoverLoad
	dir   string
	spec  string
	o     Options
	token string
	first int64 // ledger entries before the writers began
	db    *postgres.DB
	bus   *bus.Bus
	procs []*server

	kills, duties []time.Time
	acks          [][]time.Time // by writer
	acked         []map[record.ID]bool
	saw           [][]string // by reader: records, as they came
}

// server is one process of the node.
type server struct {
	args []string
	env  []string
	log  io.Writer

	cmd *exec.Cmd
	url atomic.Pointer[string] // nil: it does not run
}

// newServer prepares konbit serve on a store, whose address may hold a password.
func newServer(o Options, dir, spec string, more ...string) *server {
	env := []string{"KONBIT_STORE=" + spec}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "KONBIT_") {
			env = append(env, e)
		}
	}
	return &server{args: append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, more...), env: env, log: o.Log}
}

// start runs it until it says where it listens.
func (s *server) start(ctx context.Context, binary string) error {
	s.cmd = exec.CommandContext(ctx, binary, s.args...)
	s.cmd.Env, s.cmd.Stderr = s.env, s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), " listens on "); ok {
			at := strings.Fields(rest)[0]
			s.url.Store(&at)
			go io.Copy(io.Discard, out)
			return nil
		}
	}
	return errors.Join(errors.New("a process of the node ended before it listened"), s.cmd.Wait())
}

// end ends it with a signal, and waits.
func (s *server) end(with os.Signal) {
	s.url.Store(nil)
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(with)
		s.cmd.Wait()
	}
}

func (f *failover) begin(ctx context.Context) error {
	n, _, err := openOn(ctx, f.dir, f.spec)
	if err != nil {
		return err
	}
	f.token, err = token(ctx, n, agency+"/op")
	f.first = n.Intake.Size()
	if e := n.Close(); err != nil || e != nil {
		return errors.Join(err, e)
	}
	if f.db, err = postgres.OpenReadOnly(ctx, f.spec); err != nil {
		return err
	}
	if f.bus, err = bus.Open(ctx, bus.Config{Listen: "127.0.0.1:0", Node: "bench"}); err != nil {
		return err
	}
	for range 2 {
		s := newServer(f.o, f.dir, f.spec, "--nats", f.bus.URL())
		f.procs = append(f.procs, s)
		if err := s.start(ctx, f.o.Binary); err != nil {
			return err
		}
	}
	return nil
}

func (f *failover) end() {
	for _, s := range f.procs {
		s.end(syscall.SIGTERM)
	}
	if f.bus != nil {
		f.bus.Close()
	}
	if f.db != nil {
		f.db.Close()
	}
}

// onDuty returns which process is on duty, nil for none.
func (f *failover) onDuty(ctx context.Context) (*server, error) {
	all, err := f.db.Processes(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		for _, s := range f.procs {
			if at := s.url.Load(); p.Duty && at != nil && strings.HasSuffix(*at, p.Address[strings.LastIndex(p.Address, ":"):]) {
				return s, nil
			}
		}
	}
	return nil, nil
}

func (f *failover) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	writing, enough := context.WithCancel(ctx)
	defer enough()
	f.acks, f.acked, f.saw = make([][]time.Time, f.load.writers), make([]map[record.ID]bool, f.load.writers), make([][]string, f.load.readers)
	errs := make(chan error, f.load.writers+f.load.readers)
	counts := make([]atomic.Int64, f.load.readers)
	var readers, writers sync.WaitGroup
	begun := make(chan struct{}, f.load.readers)
	for i := range f.load.readers {
		readers.Go(func() {
			if err := f.read(ctx, i, sync.OnceFunc(func() { begun <- struct{}{} }), &counts[i]); err != nil {
				errs <- err
			}
		})
	}
	for range f.load.readers {
		select {
		case <-begun:
		case err := <-errs:
			return err
		}
	}
	for i := range f.load.writers {
		writers.Go(func() {
			if err := f.write(writing, i); err != nil {
				errs <- err
			}
		})
	}
	killed := f.killAll(ctx)
	enough()
	writers.Wait()
	if killed != nil {
		return killed
	}
	var all int64
	size, _, err := f.db.Head(ctx)
	if err == nil {
		all = size - f.first
		err = until(ctx, "readers have seen everything", 20*time.Second, 20*time.Millisecond, func() (bool, error) {
			for i := range counts {
				if counts[i].Load() < all {
					return false, nil
				}
			}
			return true, nil
		})
	}
	if err != nil { // what they lack is counted
		fmt.Fprintln(f.o.Log, " ", err)
	}
	stop()
	readers.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// killAll kills the process on duty, waits for another, and starts it again.
func (f *failover) killAll(ctx context.Context) error {
	for range f.load.kills {
		var one *server
		if err := until(ctx, "one is on duty", 30*time.Second, 10*time.Millisecond, func() (ok bool, err error) {
			one, err = f.onDuty(ctx)
			return one != nil, err
		}); err != nil {
			return err
		}
		if err := pause(ctx, calm); err != nil {
			return err
		}
		f.kills = append(f.kills, time.Now())
		one.end(syscall.SIGKILL)
		if err := until(ctx, "another is on duty", 30*time.Second, 2*time.Millisecond, func() (bool, error) {
			now, err := f.onDuty(ctx)
			return now != nil && now != one, err
		}); err != nil {
			return err
		}
		f.duties = append(f.duties, time.Now())
		if err := pause(ctx, calm); err != nil {
			return err
		}
		if err := one.start(ctx, f.o.Binary); err != nil {
			return err
		}
	}
	return pause(ctx, calm)
}

// at returns where client i finds a process: its own, or another when that is gone.
func (f *failover) at(i int) string {
	for k := range f.procs {
		if at := f.procs[(i+k)%len(f.procs)].url.Load(); at != nil {
			return *at
		}
	}
	return ""
}

// write creates incidents until ctx ends, as a console does: when its process does
// not answer it gives the same incident to another one, until it is acknowledged.
func (f *failover) write(ctx context.Context, i int) error {
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: 10 * time.Second}
	m := newMaker(uint64(31+i), time.Now())
	f.acked[i] = map[record.ID]bool{}
	tick := time.NewTicker(writerPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		id, place, marking, body := m.draft(now)
		b, err := json.Marshal(intake.Draft{ID: id, Observed: now, Marking: marking, Place: place, Body: body})
		if err != nil {
			return err
		}
		for try := 0; ; try++ {
			status, text, err := create(c, f.at(i+try), f.token, b)
			if err == nil && status/100 == 2 {
				f.acks[i] = append(f.acks[i], time.Now())
				f.acked[i][id] = true
				break
			}
			if err == nil && status < 500 {
				return fmt.Errorf("a create was refused: %d %.200s", status, text)
			}
			if pause(ctx, 5*time.Millisecond) != nil {
				return nil
			}
		}
	}
}

// create posts a draft.
func create(c *http.Client, at, secret string, draft []byte) (status int, text []byte, err error) {
	req, err := http.NewRequest("POST", at+"/api/v1/records/"+kind, bytes.NewReader(draft))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err = io.ReadAll(res.Body)
	return res.StatusCode, text, err
}

// read follows the live stream until ctx ends, and goes on at another process by its
// cursor when it breaks.
func (f *failover) read(ctx context.Context, i int, begun func(), n *atomic.Int64) error {
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	cursor := ""
	for try := i; ctx.Err() == nil; try++ {
		req, err := http.NewRequestWithContext(ctx, "GET", f.at(try)+"/api/v1/feed?kind="+kind, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+f.token)
		if cursor != "" {
			req.Header.Set("Last-Event-ID", cursor)
		}
		res, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			pause(ctx, 5*time.Millisecond)
			continue
		}
		if res.StatusCode == http.StatusOK {
			err = f.follow(res.Body, i, &cursor, begun, n)
		}
		res.Body.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// follow reads one stream to its end.
func (f *failover) follow(body io.Reader, i int, cursor *string, begun func(), n *atomic.Int64) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	what := ""
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			what = name
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || what == "peers" {
			continue
		}
		var e struct{ Cursor, ID string }
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return nil // the line was cut off
		}
		switch what {
		case "reset":
			return errors.New("a reader was told to load anew")
		case "record":
			f.saw[i] = append(f.saw[i], e.ID)
			n.Add(1)
		}
		*cursor = e.Cursor
		begun()
	}
	return nil
}

// gaps returns the longest time between two answers that a writer saw around a kill,
// and at other times.
func (f *failover) gaps() (killed, quiet time.Duration) {
	for _, acks := range f.acks {
		for k := 1; k < len(acks); k++ {
			d := acks[k].Sub(acks[k-1])
			if slices.ContainsFunc(f.kills, func(t time.Time) bool { return acks[k].After(t) && acks[k-1].Before(t.Add(calm)) }) {
				killed = max(killed, d)
			} else {
				quiet = max(quiet, d)
			}
		}
	}
	return killed, quiet
}

func (f *failover) rows(ctx context.Context) ([]Row, error) {
	var ledger []string
	have := map[record.ID]bool{}
	if err := f.db.Entries(ctx, f.first, -1, func(l *store.Logged) bool {
		if l.Type == "change" {
			ledger = append(ledger, record.ID(l.Record).String())
			have[record.ID(l.Record)] = true
		}
		return true
	}); err != nil {
		return nil, err
	}
	lost, acked, wrong := 0, 0, 0
	for _, ids := range f.acked {
		acked += len(ids)
		for id := range ids {
			if !have[id] {
				lost++
			}
		}
	}
	for _, saw := range f.saw {
		for i := range max(len(saw), len(ledger)) {
			if i >= len(saw) || i >= len(ledger) || saw[i] != ledger[i] {
				wrong++
			}
		}
	}
	var took []time.Duration
	for i, t := range f.duties {
		took = append(took, t.Sub(f.kills[i]))
	}
	killed, quiet := f.gaps()
	method := fmt.Sprintf("two processes of konbit serve on one PostgreSQL, %d writers over HTTP, %d creates acknowledged, %d readers of the live stream; the process on duty was killed with kill -9 %d times and started again; who lost his process went to the other", f.load.writers, acked, f.load.readers, len(f.kills))
	duty := Row{Name: "process on duty is killed: another is on duty after, worst", Value: quantile(took, 1) / 1000, Unit: "s", Reach: "5 s", Method: method + fmt.Sprintf("; median %.3f s", quantile(took, 0.5)/1000)}
	duty.OK = duty.Value <= 5
	gap := ratio(Row{Name: "process on duty is killed: longest wait of a writer", Value: float64(killed.Milliseconds()), Unit: "ms", Baseline: float64(quiet.Milliseconds()), Reach: "5,000 ms", Method: method + "; from one answer to the next, every retry counted, a writer gives 25 a second; baseline: the same at other times"})
	gap.OK = gap.Value <= 5000
	none := Row{Name: "process on duty is killed: acknowledged changes lost", Value: float64(lost), Unit: "changes", Reach: "0", OK: lost == 0 && acked > 0, Method: method + "; each acknowledged one is looked for in the ledger"}
	events := Row{Name: "process on duty is killed: events missed, twice or out of order", Value: float64(wrong), Unit: "events", Reach: "0", OK: wrong == 0 && len(ledger) > 0,
		Method: method + fmt.Sprintf("; each reader resumed by its cursor; what each saw is compared with the ledger, %d events a reader", len(ledger))}
	return []Row{duty, gap, none, events}, nil
}
