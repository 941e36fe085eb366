package node

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"konbit/peer"
	"konbit/peer/question"
	"konbit/peer/trust"
	"konbit/policy"
	"konbit/react"
	"konbit/record"
	"konbit/store"
	"konbit/web"
	"konbit/wire/bundle"
)

// duty is what runs once only, where several processes serve one node: reactions,
// the exchange with other nodes, the sweep of attachments. It is made anew each
// time a process takes it over, so that it begins with what the one before left.
type duty struct {
	*web.Duty
	Exchange *peer.Exchange
	react    *react.Reactor
}

// newDuty makes it from what is in the store now.
func (n *Node) newDuty(ctx context.Context) (err error) {
	d := &duty{Duty: &web.Duty{}}
	d.Trust, err = trust.NewService(ctx, trust.Config{Store: n.Store, Ledger: n.Intake, Keys: n.Keys, Title: n.cfg.Name, URLs: n.cfg.PeerURLs,
		Reload: n.Accounts.Reload, Now: n.now, Log: n.log})
	if err != nil {
		return err
	}
	d.Exchange, err = peer.New(ctx, peer.Config{Store: n.Store, Desks: n.Desks, Directory: n.dir, Intake: n.Intake, Trust: d.Trust, Keys: n.Keys, Signer: n.Keys.Signer, Blobs: n.Blobs,
		Folder: filepath.Join(n.cfg.Data, peerFolder), TellOpened: !n.cfg.HideOpened, Now: n.now, Log: n.log, Dial: n.cfg.Dial})
	if err != nil {
		return err
	}
	d.Duty.Exchange = d.Exchange
	d.Questions, err = question.New(ctx, question.Config{Store: n.Store, Desks: n.Desks, Directory: n.dir, Ledger: n.Intake, Nodes: d.Trust, Send: d.Exchange.Talk, Country: n.country(d.Trust), Now: n.now, Log: n.log})
	if err != nil {
		return err
	}
	for topic, do := range d.Questions.Words() {
		d.Exchange.OnWord(topic, func(ctx context.Context, from *store.Node, it bundle.Item) error { return do(ctx, from, it) })
	}
	d.Exchange.OnLink(d.Questions.Linked) // what waits for an answer is asked again
	d.react = react.New(n.Store, n.Desks, n.Records, n.Intake, n.now, n.log)
	n.duty.Store(d)
	return nil
}

// Trust, Exchange and Questions belong to what runs once only. A process that
// shares its node with others has them while it is on duty, or alone.
func (n *Node) Trust() *trust.Service { return n.duty.Load().Trust }

// Exchange exchanges records with other nodes.
func (n *Node) Exchange() *peer.Exchange { return n.duty.Load().Exchange }

// Questions asks other nodes whether they know something.
func (n *Node) Questions() *question.Service { return n.duty.Load().Questions }

// OnDuty reports whether this process runs what runs once only.
func (n *Node) OnDuty() bool { return n.onDuty.Load() }

// pause is how long a process waits that could not do its duty because of the database.
const pause = 5 * time.Second

// runDuty runs what runs once only until ctx ends: at once, or whenever this
// process is the one on duty. A database that is away or slow ends a duty, and no
// process.
func (n *Node) runDuty(ctx context.Context) error {
	if n.processes == nil {
		return n.serveDuty(ctx)
	}
	take := func(term context.Context) error {
		err := n.takeDuty(term)
		if errors.Is(err, context.Canceled) {
			err = record.Errorf(record.Unavailable, "duty", "the database was lost, or is too slow, while this process took over")
		}
		n.processes.complain(ctx, "this process cannot do what is done once only", err)
		if err != nil {
			return err
		}
		n.onDuty.Store(true)
		defer func() {
			if n.caughtUp() {
				n.processes.caught.Store(true)
			}
			n.onDuty.Store(false)
		}()
		n.log.Warn("this process is on duty now")
		return n.serveDuty(term)
	}
	for {
		err := n.processes.store.OnDuty(ctx, n.processes.me, take)
		if ctx.Err() != nil || err != nil && record.CodeOf(err) != record.Unavailable && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// takeDuty begins with what the process before has left.
func (n *Node) takeDuty(ctx context.Context) error {
	if err := n.Intake.Refresh(ctx); err != nil { // the newest accounts and keys
		return err
	}
	return n.newDuty(ctx)
}

func (n *Node) serveDuty(ctx context.Context) error {
	d := n.duty.Load()
	work := []func(context.Context) error{d.react.Run, n.sweep, d.Trust.Run, d.Exchange.Run, n.catchUp, d.Questions.Run}
	if n.processes != nil {
		work = append(work, func(ctx context.Context) error { return n.processes.tellLinks(ctx, d.Exchange) },
			func(ctx context.Context) error { return n.processes.tellCaughtUp(ctx, d.Exchange) })
	}
	return together(ctx, work...)
}

// moved reads again what another process has changed of accounts and nodes.
func (n *Node) moved(ctx context.Context) error {
	if n.Accounts == nil { // it is just being opened
		return nil
	}
	if err := n.Keys.refresh(); err != nil {
		return err
	}
	if err := n.Accounts.Reload(ctx); err != nil {
		return err
	}
	if d := n.duty.Load(); d != nil {
		d.Trust.AgenciesChanged()
	}
	return nil
}

// country is that of the first agency of this node that has one: of telephones
// that are written without.
func (n *Node) country(t *trust.Service) string {
	for _, id := range t.Self().Agencies {
		if a := n.Accounts.Directory().Agencies[id]; a != nil && a.Country != "" {
			return strings.ToLower(a.Country)
		}
	}
	return ""
}

// maxCatchUp is how long a node that starts keeps silent while it hears out those
// that it dials. Who cannot be reached in that time must not keep it from working.
const maxCatchUp = 15 * time.Second

// catchUp carries out what was recalled while the node was off, before it shows
// anything.
func (n *Node) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxCatchUp)
	defer cancel()
	n.Exchange().CatchUp(ctx)
	return nil
}

const peerFolder = "peer" // bundles that are carried for others, or wait for one before them; no part of a backup

// caughtUp reports whether what was recalled during an absence has been carried out.
func (n *Node) caughtUp() bool {
	select {
	case <-n.Exchange().Holding():
		return true
	default:
		return false
	}
}

// server makes the HTTP side.
func (n *Node) server() *web.Server {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.measure(reg)
	c := web.Config{
		Desks: n.Desks, Records: n.Records, Intake: n.Intake, Accounts: n.Accounts, Blobs: n.Blobs, Feed: n.Feed, UI: console(), Now: n.now, Log: n.log,
		Node:    web.NodeInfo{Name: n.cfg.Name, Version: Version, Demo: n.cfg.Demo, Region: n.cfg.Region, RegionName: n.regionName(), DemoCards: n.cfg.DemoCards},
		BaseMap: n.cfg.BaseMap, Boundaries: n.boundaries(), Spool: n.spool(), Verifier: n.Keys.Verifier, Secure: strings.HasPrefix(n.cfg.URL, "https:"), TrustProxy: n.cfg.Proxy, Metrics: reg,
		Duty:  n.webDuty,
		Ready: func(ctx context.Context) error { _, _, err := n.Store.Head(ctx); return err },
		Replay: func(ctx context.Context, progress func(done, total int64)) (string, error) {
			fault, _, err := n.Verify(ctx, progress)
			if fault != nil {
				return fault.Error(), err
			}
			return "", err
		},
	}
	if n.processes != nil {
		c.Processes = n.processes
	}
	return web.New(c)
}

// measure adds what only the node knows to its metrics.
func (n *Node) measure(reg *prometheus.Registry) {
	gauge := func(name, help string, of func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of))
	}
	one := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("konbit_on_duty", "1 when this process runs what may run once only.", func() float64 { return one(n.onDuty.Load()) })
	gauge("konbit_processes", "Processes of this node that were present within the last 15 s.", func() float64 {
		if n.processes == nil {
			return 1
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		all, err := n.processes.List(ctx)
		if err != nil {
			return 0
		}
		return float64(len(all))
	})
	gauge("konbit_bus_away", "1 while processes of this node look for each other's changes instead of hearing of them.", func() float64 {
		return one(n.processes != nil && n.processes.away() != "")
	})
}

// spool is where imports are kept while they run. It is emptied at a start: where
// several processes have one folder, each has its own among the machine's temporary files.
func (n *Node) spool() string {
	if n.processes != nil {
		return ""
	}
	return filepath.Join(n.cfg.Data, spoolFolder)
}

// webDuty is what web answers from.
func (n *Node) webDuty() *web.Duty {
	if d := n.duty.Load(); d != nil {
		return d.Duty
	}
	return nil
}

// Handler answers requests as the given reader, without a sign-in: for commands
// at the machine, on a node that does not serve.
func (n *Node) Handler(r *policy.Reader) http.Handler { return n.server().As(r) }
