package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/intake"
	"konbit/node"
	"konbit/policy"
	"konbit/query"
	"konbit/record"
	"konbit/store"
	"konbit/store/sqlite"
)

// commands makes n creates.
func commands(m *maker, r *policy.Reader, n int, at func(i int) time.Time) []*intake.Command {
	cmds := make([]*intake.Command, n)
	for i := range cmds {
		id, place, marking, body := m.draft(at(i))
		cmds[i] = &intake.Command{Kind: kind, Name: desk.Create, Record: id, By: r, Draft: &intake.Draft{Observed: at(i), Marking: marking, Place: place, Body: body}}
	}
	return cmds
}

// give sends commands in chunks, two chunks at a time so that the next one is
// prepared while the last one is written, as an import does.
func give(ctx context.Context, n *node.Node, cmds []*intake.Command, chunk int) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 3)
	errs := make(chan error, 1)
	for i := 0; i < len(cmds); i += chunk {
		part := cmds[i:min(len(cmds), i+chunk)]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_, es := n.Intake.DoAll(ctx, part)
			for _, err := range es {
				if err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// intakeRows measures commits through intake against a bare loop that inserts
// the same rows with the same indexes and the same number of fsyncs, in turns.
func intakeRows(ctx context.Context, dir string, _ Options) ([]Row, error) {
	const n, chunk, turns = 20_000, 1000, 3
	var ours, bare []float64
	for turn := range turns {
		nd, r, err := open(ctx, filepath.Join(dir, fmt.Sprint("intake", turn)))
		if err != nil {
			return nil, err
		}
		now := time.Now()
		cmds := commands(newMaker(uint64(turn), now), r, n, func(int) time.Time { return now })
		first := nd.Intake.Size()
		start := time.Now()
		err = give(ctx, nd, cmds, chunk)
		took := time.Since(start)
		if err != nil {
			nd.Close()
			return nil, err
		}
		ours = append(ours, n/took.Seconds())
		batches, err := replay(ctx, nd, first, chunk)
		nd.Close()
		if err != nil {
			return nil, err
		}
		start = time.Now()
		if err := sqlite.Bare(ctx, filepath.Join(dir, fmt.Sprint("bare", turn, ".db")), batches); err != nil {
			return nil, err
		}
		bare = append(bare, n/time.Since(start).Seconds())
	}
	row := ratio(Row{Name: "durable signed indexed commits, batch import", Value: median(ours), Unit: "records/s", Baseline: median(bare), Reach: "ratio 0.6",
		Method: fmt.Sprintf("%d creates in chunks of %d through intake.DoAll, three chunks under way; baseline: the same rows by a bare SQLite loop, one transaction a chunk; median of %d turns", n, chunk, turns)})
	row.OK = row.Ratio >= 0.6
	return []Row{row}, nil
}

// replay reads back what intake wrote, as the bare loop's input.
func replay(ctx context.Context, n *node.Node, first int64, chunk int) (batches [][]*store.Item, err error) {
	var batch []*store.Item
	var failed error
	err = n.Store.Entries(ctx, first, -1, func(l *store.Logged) bool {
		it := &store.Item{Entry: l.Entry}
		if l.Type == "change" {
			var rec record.Record
			if failed = json.Unmarshal(l.Content, &rec); failed != nil {
				return false
			}
			if it.Row, failed = intake.Derive(n.Desks, &rec); failed != nil {
				return false
			}
		}
		if batch = append(batch, it); len(batch) == chunk {
			batches = append(batches, batch)
			batch = nil
		}
		return true
	})
	if failed != nil {
		return nil, failed
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches, err
}

// serve runs the node on a loopback port.
func serve(ctx context.Context, n *node.Node) (url string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Serve(ctx, l) }()
	return "http://" + l.Addr().String(), func() error { cancel(); return <-ended }, nil
}

func token(ctx context.Context, n *node.Node, person string) (string, error) {
	secret, _, err := n.Accounts.CreateToken(ctx, account.Node, account.NewToken{Name: "bench", Person: person, Scopes: []string{"read", "write"}})
	return secret, err
}

// httpRows measures single commits over HTTP, every answer after fsync, beside
// a handler that only reads the body and answers.
func httpRows(ctx context.Context, dir string, _ Options) ([]Row, error) {
	n, _, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	secret, err := token(ctx, n, agency+"/op")
	if err != nil {
		return nil, err
	}
	url, stop, err := serve(ctx, n)
	if err != nil {
		return nil, err
	}
	const clients, each = 64, 300
	now := time.Now()
	m := newMaker(3, now)
	bodies := make([][]byte, clients*each*2)
	for i := range bodies {
		id, place, marking, body := m.draft(now)
		bodies[i], err = json.Marshal(intake.Draft{ID: id, Observed: now, Marking: marking, Place: place, Body: body})
		if err != nil {
			return nil, err
		}
	}
	post := func(target string, bodies [][]byte, want int) (float64, []time.Duration, error) {
		tr := &http.Transport{MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients}
		defer tr.CloseIdleConnections()
		c := &http.Client{Transport: tr}
		took := make([]time.Duration, len(bodies))
		errs := make(chan error, clients)
		var wg sync.WaitGroup
		start := time.Now()
		per := len(bodies) / clients
		for w := range clients {
			wg.Go(func() {
				for i := w * per; i < (w+1)*per; i++ {
					req, err := http.NewRequestWithContext(ctx, "POST", target, bytes.NewReader(bodies[i]))
					if err != nil {
						errs <- err
						return
					}
					req.Header.Set("Authorization", "Bearer "+secret)
					req.Header.Set("Content-Type", "application/json")
					t := time.Now()
					res, err := c.Do(req)
					if err != nil {
						errs <- err
						return
					}
					text, _ := io.ReadAll(res.Body)
					res.Body.Close()
					took[i] = time.Since(t)
					if res.StatusCode != want {
						errs <- fmt.Errorf("%s: %.300s", res.Status, text)
						return
					}
				}
			})
		}
		wg.Wait()
		d := time.Since(start)
		select {
		case err := <-errs:
			return 0, nil, err
		default:
			return float64(len(bodies)) / d.Seconds(), took, nil
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	empty := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
		w.Write(b)
	})}
	go empty.Serve(l)
	defer empty.Close()
	target := url + "/api/v1/records/" + kind
	if _, _, err := post(target, bodies[:clients*20], http.StatusCreated); err != nil { // warm up
		return nil, err
	}
	rate, took, err := post(target, bodies[clients*each:], http.StatusCreated)
	if err != nil {
		return nil, err
	}
	base, _, err := post("http://"+l.Addr().String()+"/", bodies[clients*each:], http.StatusCreated)
	if err != nil {
		return nil, err
	}
	if err := stop(); err != nil {
		return nil, err
	}
	row := ratio(Row{Name: "commits over HTTP, 64 clients, answered after fsync", Value: rate, Unit: "requests/s", Baseline: base, Reach: "3,000/s",
		Method: fmt.Sprintf("%d POSTs over keep-alive connections, clients in the same process; p50 %.1f ms, p99 %.1f ms; baseline: a handler that reads the body and answers 201 with it", clients*each, quantile(took, 0.5), quantile(took, 0.99))})
	row.OK = row.Value >= 3000
	return []Row{row}, nil
}

// liveRows measures commit to arrival over SSE.
func liveRows(ctx context.Context, dir string, _ Options) ([]Row, error) {
	const readers, perSecond, seconds = 100, 200, 8
	n, by, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	var secrets []string // one person may hold only so many streams
	for i := range 5 {
		id := fmt.Sprintf("%s/reader-%d", agency, i)
		if _, err := n.Accounts.AddPerson(ctx, account.Node, store.Person{ID: id, Name: "Reader", Lang: "en", Grants: []store.Grant{{Agency: agency, Desk: "*", Role: desk.Viewer}}}, ""); err != nil {
			return nil, err
		}
		secret, err := token(ctx, n, id)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	url, stop, err := serve(ctx, n)
	if err != nil {
		return nil, err
	}
	rctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	sent := map[string]time.Time{}
	var arrival []time.Duration
	ready := make(chan error, readers)
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: readers}}
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(rctx, "GET", url+"/api/v1/feed?kind="+kind, nil)
			if err != nil {
				ready <- err
				return
			}
			req.Header.Set("Authorization", "Bearer "+secrets[i%len(secrets)])
			res, err := c.Do(req)
			if err == nil && res.StatusCode != 200 {
				err = fmt.Errorf("feed: %s", res.Status)
			}
			if err != nil {
				ready <- err
				return
			}
			defer res.Body.Close()
			sc := bufio.NewScanner(res.Body)
			sc.Buffer(make([]byte, 64<<10), 1<<20)
			told := false
			for sc.Scan() {
				if !told {
					told = true
					ready <- nil
				}
				line := sc.Text()
				if !strings.HasPrefix(line, "data:") {
					continue
				}
				i := strings.Index(line, `"id":"`)
				if i < 0 || len(line) < i+42 {
					continue
				}
				now := time.Now()
				mu.Lock()
				if t, ok := sent[line[i+6:i+42]]; ok {
					arrival = append(arrival, now.Sub(t))
				}
				mu.Unlock()
			}
		})
	}
	for range readers {
		if err := <-ready; err != nil {
			return nil, err
		}
	}
	m := newMaker(5, time.Now())
	var commits []time.Duration
	var cw sync.WaitGroup
	tick := time.NewTicker(time.Second / perSecond)
	for range perSecond * seconds {
		<-tick.C
		now := time.Now()
		cmd := commands(m, by, 1, func(int) time.Time { return now })[0]
		cw.Go(func() {
			start := time.Now()
			_, err := n.Intake.Do(ctx, cmd)
			done := time.Now()
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				sent[cmd.Record.String()] = start
				commits = append(commits, done.Sub(start))
			}
		})
	}
	tick.Stop()
	cw.Wait()
	deadline := time.After(5 * time.Second)
	for {
		mu.Lock()
		got := len(arrival)
		mu.Unlock()
		if got >= len(commits)*readers*99/100 {
			break
		}
		select {
		case <-deadline:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	cancel()
	wg.Wait()
	if err := stop(); err != nil {
		return nil, err
	}
	p50, p99 := quantile(arrival, 0.5), quantile(arrival, 0.99)
	row := ratio(Row{Name: "commit to screen (SSE), 100 readers, 200 commits/s, p99", Value: p99, Unit: "ms", Baseline: quantile(commits, 0.99), Reach: "50 ms",
		Method: fmt.Sprintf("from giving the command to the event's line in each reader; %d arrivals, p50 %.1f ms; baseline: p99 of the commit alone in the same run", len(arrival), p50)})
	row.OK = row.Value <= 50 && len(arrival) >= len(commits)*readers/2
	return []Row{row}, nil
}

// largeRows fills a node and measures the first page of a board, memory and
// start-up.
func largeRows(ctx context.Context, dir string, o Options) ([]Row, error) {
	n, by, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	span := 2 * 365 * 24 * time.Hour
	m := newMaker(9, now)
	const part = 50_000
	filled := time.Now()
	for done := 0; done < o.Records; done += part {
		size := min(part, o.Records-done)
		cmds := commands(m, by, size, func(i int) time.Time {
			return now.Add(-time.Duration(float64(span) * (1 - float64(done+i)/float64(o.Records))))
		})
		if err := give(ctx, n, cmds, 1000); err != nil {
			n.Close()
			return nil, err
		}
		fmt.Fprintf(o.Log, "  %d of %d records, %.0f/s\n", done+size, o.Records, float64(done+size)/time.Since(filled).Seconds())
	}
	rows, err := queryRows(ctx, n, m, now, o)
	if e := n.Close(); err == nil {
		err = e
	}
	if err != nil || o.Binary == "" {
		return rows, err
	}
	more, err := processRows(ctx, dir, o, fmt.Sprintf("node with %d incidents", o.Records), 250)
	return append(rows, more...), err
}

func queryRows(ctx context.Context, n *node.Node, m *maker, now time.Time, o Options) ([]Row, error) {
	reader, err := n.Accounts.Reader(other+"/op", other, nil, "")
	if err != nil {
		return nil, err
	}
	run := func(words bool) (ds []time.Duration, hits int, err error) {
		for range 400 {
			lon, lat := m.place()
			size := 0.05 + m.r.Float64()*1.5
			f := &query.Filter{Box: &record.Box{W: lon - size, S: lat - size, E: lon + size, N: lat + size}, From: now.AddDate(0, 0, -30), To: now}
			if words {
				f.Words = m.word()
			}
			start := time.Now()
			page, err := n.Records.List(ctx, reader, kind, f)
			if err != nil {
				return nil, 0, err
			}
			ds = append(ds, time.Since(start))
			hits += len(page.Items)
		}
		return ds, hits, nil
	}
	if _, _, err := run(true); err != nil { // warm up
		return nil, err
	}
	plain, _, err := run(false)
	if err != nil {
		return nil, err
	}
	full, hits, err := run(true)
	if err != nil {
		return nil, err
	}
	method := fmt.Sprintf("400 first pages of 50 over %d incidents: random window of 0.1 to 3 degrees, last 30 days, one word, the rights of another agency; %.1f hits a page; baseline: the same without the word", o.Records, float64(hits)/400)
	p50 := ratio(Row{Name: "first page: window + 30 days + words + rights, p50", Value: quantile(full, 0.5), Unit: "ms", Baseline: quantile(plain, 0.5), Reach: "10 ms", Method: method})
	p99 := ratio(Row{Name: "first page: window + 30 days + words + rights, p99", Value: quantile(full, 0.99), Unit: "ms", Baseline: quantile(plain, 0.99), Reach: "50 ms", Method: method})
	p50.OK, p99.OK = p50.Value <= 10, p99.Value <= 50
	return []Row{p50, p99}, nil
}
