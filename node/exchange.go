package node

import (
	"context"
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
	"konbit/store"
	"konbit/web"
	"konbit/wire/bundle"
)

// openExchange makes what exchanges with other nodes.
func (n *Node) openExchange(ctx context.Context, dir *directory) (err error) {
	n.Trust, err = trust.NewService(ctx, trust.Config{Store: n.Store, Ledger: n.Intake, Keys: n.Keys, Title: n.cfg.Name, URLs: n.cfg.PeerURLs,
		Reload: n.Accounts.Reload, Now: n.now, Log: n.log})
	if err != nil {
		return err
	}
	n.Exchange, err = peer.New(ctx, peer.Config{Store: n.Store, Desks: n.Desks, Directory: dir, Intake: n.Intake, Trust: n.Trust, Keys: n.Keys, Signer: n.Keys.Signer, Blobs: n.Blobs,
		Folder: filepath.Join(n.cfg.Data, peerFolder), TellOpened: !n.cfg.HideOpened, Now: n.now, Log: n.log, Dial: n.cfg.Dial})
	if err != nil {
		return err
	}
	n.Questions, err = question.New(ctx, question.Config{Store: n.Store, Desks: n.Desks, Directory: dir, Ledger: n.Intake, Nodes: n.Trust, Send: n.Exchange.Talk, Country: n.country(), Now: n.now, Log: n.log})
	if err != nil {
		return err
	}
	for topic, do := range n.Questions.Words() {
		n.Exchange.OnWord(topic, func(ctx context.Context, from *store.Node, it bundle.Item) error { return do(ctx, from, it) })
	}
	n.Exchange.OnLink(n.Questions.Linked) // what waits for an answer is asked again
	return nil
}

// country is that of the first agency of this node that has one: of telephones
// that are written without.
func (n *Node) country() string {
	for _, id := range n.Trust.Self().Agencies {
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
	n.Exchange.CatchUp(ctx)
	return nil
}

const peerFolder = "peer" // bundles that are carried for others, or wait for one before them; no part of a backup

// server makes the HTTP side.
func (n *Node) server() *web.Server {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return web.New(web.Config{
		Desks: n.Desks, Records: n.Records, Intake: n.Intake, Accounts: n.Accounts, Blobs: n.Blobs, Feed: n.Feed, UI: console(), Now: n.now, Log: n.log,
		Node:    web.NodeInfo{Name: n.cfg.Name, Version: Version, Demo: n.cfg.Demo, Region: n.cfg.Region, RegionName: n.regionName(), DemoCards: n.cfg.DemoCards},
		BaseMap: n.cfg.BaseMap, Boundaries: n.boundaries(), Spool: filepath.Join(n.cfg.Data, spoolFolder), Verifier: n.Keys.Verifier, Secure: strings.HasPrefix(n.cfg.URL, "https:"), TrustProxy: n.cfg.Proxy, Metrics: reg,
		Exchange: n.Exchange, Trust: n.Trust, Questions: n.Questions,
		Ready: func(ctx context.Context) error { _, _, err := n.Store.Head(ctx); return err },
		Replay: func(ctx context.Context, progress func(done, total int64)) (string, error) {
			fault, _, err := n.Verify(ctx, progress)
			if fault != nil {
				return fault.Error(), err
			}
			return "", err
		},
	})
}

// Handler answers requests as the given reader, without a sign-in: for commands
// at the machine, on a node that does not serve.
func (n *Node) Handler(r *policy.Reader) http.Handler { return n.server().As(r) }
