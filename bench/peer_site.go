package bench

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/intake"
	"konbit/node"
	"konbit/peer/trust"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// site is one node of two that exchange, each with an agency of its own.
type site struct {
	*node.Node
	agency string
	by     *policy.Reader
	token  string
	url    string
	stop   func() error // of serving
}

// dialer makes connections of a node.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// build makes a node with an agency and a person who may do everything. urls are
// where others reach it.
func build(ctx context.Context, dir, id, country string, dial dialer, urls ...string) (*site, error) {
	n, err := node.Open(ctx, node.Config{Data: dir, Name: id, Dial: dial, PeerURLs: urls, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	s := &site{Node: n, agency: id}
	if err := s.people(ctx, country); err != nil {
		n.Close()
		return nil, err
	}
	return s, nil
}

func (s *site) people(ctx context.Context, country string) (err error) {
	a := store.Agency{ID: s.agency, Name: s.agency, Country: country, Communities: []string{"@hispaniola"}, Local: true}
	if _, err := s.Accounts.AddAgency(ctx, account.Node, a); err != nil {
		return err
	}
	op := store.Person{ID: s.agency + "/op", Name: "Operator", Lang: "en", Grants: []store.Grant{{Agency: s.agency, Desk: "*", Role: desk.Supervisor}}}
	if _, err := s.Accounts.AddPerson(ctx, account.Node, op, ""); err != nil {
		return err
	}
	if s.token, err = token(ctx, s.Node, op.ID); err != nil {
		return err
	}
	s.by, err = s.Accounts.Reader(op.ID, s.agency, nil, "")
	return err
}

// open serves the node on loopback.
func (s *site) open(ctx context.Context) (err error) {
	s.url, s.stop, err = serve(ctx, s.Node)
	return err
}

// close ends serving and closes the node.
func (s *site) close() error {
	if s.stop != nil {
		if err := s.stop(); err != nil {
			return err
		}
	}
	return s.Close()
}

// name is the node's name.
func (s *site) name() string { return s.Trust().Self().Name }

// peers is the part of the store that the exchange uses.
func (s *site) peers() store.Peers { return s.Store.(store.Peers) }

// pair makes two nodes that serve on loopback and know each other; a dials b.
func pair(ctx context.Context, dir string, dial dialer, urls ...string) (a, b *site, err error) {
	if a, err = build(ctx, filepath.Join(dir, "a"), agency, "HT", dial); err != nil {
		return nil, nil, err
	}
	if b, err = build(ctx, filepath.Join(dir, "b"), other, "DO", nil, urls...); err == nil {
		err = join(ctx, a, b)
	}
	if err != nil {
		a.close()
		if b != nil {
			b.close()
		}
	}
	return a, b, err
}

// join makes a node join another with an invitation, as two administrators do.
func join(ctx context.Context, a, b *site) error {
	for _, s := range []*site{a, b} {
		if err := s.open(ctx); err != nil {
			return err
		}
	}
	code, err := b.Trust().Invite(ctx, account.Node, false, b.url, time.Hour)
	if err != nil {
		return err
	}
	if _, err := a.Trust().Join(ctx, account.Node, code); err != nil {
		return err
	}
	self := a.Trust().Self()
	return b.Trust().Approve(ctx, account.Node, self.Name, trust.Spoken(self.Sign), map[string][]string{a.agency: {"@hispaniola"}}, time.Time{})
}

// abroad are markings that release a record of one agency to the other.
var abroad = []record.Marking{{TLP: record.Amber, To: []string{other}}, {TLP: record.Amber, To: []string{other}}, {TLP: record.Clear}, {TLP: record.AmberStrict, To: []string{other}}}

// released makes creates whose records go to the other node, two a second until now.
func released(m *maker, by *policy.Reader, n int, now time.Time) []*intake.Command {
	cmds := commands(m, by, n, func(i int) time.Time { return now.Add(time.Duration(i-n) * time.Second / 2) })
	for i, c := range cmds {
		c.Draft.Marking = abroad[i%len(abroad)].Clone()
	}
	return cmds
}

// until waits for something to become true.
func until(ctx context.Context, what string, most, every time.Duration, ok func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for end := time.Now().Add(most); ; {
		if done, err := ok(); err != nil || done {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s in vain: %s", most, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// queued waits until a has numbered n shares or more to b.
func queued(ctx context.Context, a, b *site, n int64) error {
	return until(ctx, "the backlog is queued", 2*time.Minute, 20*time.Millisecond, func() (bool, error) {
		out, err := a.peers().Outgoing(ctx, b.name())
		return out.Last >= n, err
	})
}

// lasts are the numbers with which the lanes of a's stream to b end.
func lasts(ctx context.Context, a, b *site) (ends [store.Lanes]int64, err error) {
	err = a.peers().EachShare(ctx, b.name(), func(s *store.Share) bool {
		ends[s.Lane] = max(ends[s.Lane], s.N)
		return true
	})
	return ends, err
}

// applied waits until b has applied a's stream up to these numbers.
func applied(ctx context.Context, a, b *site, ends [store.Lanes]int64, most time.Duration) error {
	return until(ctx, "everything is applied", most, 5*time.Millisecond, func() (bool, error) {
		upTo, err := b.peers().Applied(ctx, a.name())
		return upTo[store.Urgent] >= ends[store.Urgent] && upTo[store.Normal] >= ends[store.Normal], err
	})
}

// settled waits until b has acknowledged everything.
func settled(ctx context.Context, a, b *site) error {
	return until(ctx, "everything is acknowledged", time.Minute, 20*time.Millisecond, func() (bool, error) {
		return a.Exchange().Settled(ctx, b.name())
	})
}

// tap counts the bytes on the sockets of a node that dials.
type tap struct{ sent, received atomic.Int64 }

func (t *tap) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &tapped{c, t}, nil
}

func (t *tap) total() int64 { return t.sent.Load() + t.received.Load() }

type tapped struct {
	net.Conn
	t *tap
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.t.received.Add(int64(n))
	return n, err
}

func (c *tapped) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.t.sent.Add(int64(n))
	return n, err
}

// feed follows a node's live stream as a reader until ctx ends, and calls seen
// with the id of each record that comes. It returns when the stream has begun;
// ended is closed when it has ended.
func feed(ctx context.Context, c *http.Client, url, secret string, seen func(id string)) (ended <-chan struct{}, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v1/feed?kind="+kind, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("feed: %s", res.Status)
	}
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(make([]byte, 64<<10), 1<<20)
	sc.Scan() // the first line: it is listening
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer res.Body.Close()
		for sc.Scan() {
			line := sc.Text()
			if i := strings.Index(line, `"id":"`); strings.HasPrefix(line, "data:") && i >= 0 && len(line) >= i+42 {
				seen(line[i+6 : i+42])
			}
		}
	}()
	return done, nil
}
