package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"konbit/account"
	"konbit/demo"
	"konbit/node"
	"konbit/peer/trust"
	"konbit/record"
)

// demoRegion is the region that the demo's nodes found and join.
const demoRegion = "hispaniola"

// house is one node of a demo of several.
type house struct {
	folder, title, prefix string // prefix of its agencies; "": all that are in no other house
	node                  *node.Node
	listener              net.Listener
	url                   string
}

// urls are where other nodes reach it. The hub alone can be reached, as it often is.
func (h *house) urls() []string {
	if h.prefix != "" {
		return nil
	}
	return []string{h.url}
}

// houses are a Haitian, a Dominican and a regional node; the last is the hub.
func houses() []*house {
	return []*house{
		{folder: "ht", title: "Konbit Ayiti", prefix: "ht."},
		{folder: "do", title: "Convite Dominicana", prefix: "do."},
		{folder: "hub", title: "Konbit Rejyon"},
	}
}

// home finds the house of an agency.
func home(hs []*house, agency string) *house {
	for _, h := range hs {
		if h.prefix == "" || strings.HasPrefix(agency, h.prefix) {
			return h
		}
	}
	return nil
}

// runRegion runs one node for each country and a hub, with stores and addresses of
// their own, which join over HTTP as any others would.
func (c *demoCmd) runRegion(ctx context.Context, log *slog.Logger) error {
	start := time.Now()
	hs := houses()
	for i, h := range hs {
		f := c.listenFlags
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		if f.URL = ""; n != 0 {
			n += i
		}
		f.Listen = net.JoinHostPort(host, strconv.Itoa(n))
		if h.listener, h.url, err = f.listen(); err != nil {
			return err
		}
		defer h.listener.Close()
	}
	story, fresh, err := c.openRegion(ctx, hs, log)
	for _, h := range hs {
		if h.node != nil {
			defer h.node.Close()
		}
	}
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, h := range hs {
		g.Go(func() error { return h.node.Serve(ctx, h.listener) })
	}
	if fresh {
		if err := join(ctx, hs); err != nil {
			return fmt.Errorf("joining the demo's nodes: %w", err)
		}
	}
	fmt.Printf("konbit %s: %d nodes (ready in %d ms)\n", node.Version, len(hs), time.Since(start).Milliseconds())
	fmt.Println("DEMO: every agency, person and event in it is invented. Sign in as:")
	for _, h := range hs {
		fmt.Printf("%s  %s\n", h.url, h.title)
		for _, card := range cards(func(agency string) bool { return home(hs, agency) == h }) {
			fmt.Printf("  %-24s %-12s %s, %s\n", card.Name, card.Password, card.Role, card.AgencyName)
		}
	}
	fmt.Println("Cut and mend the links on the screen Peers, as an administrator.")
	if !c.Quiet {
		g.Go(func() error {
			trickle(ctx, story, func(a demo.Act) error { return give(ctx, home(hs, a.Agency).node, a) }, log)
			return nil
		})
	}
	return g.Wait()
}

// openRegion opens the nodes, and fills them when they are new.
func (c *demoCmd) openRegion(ctx context.Context, hs []*house, log *slog.Logger) (*demo.Story, bool, error) {
	clock, story, now := &demoClock{}, demo.New(c.Seed), time.Now()
	clock.set(now.AddDate(0, 0, -demo.Days-2))
	fresh := true
	for _, h := range hs {
		var err error
		mine := func(agency string) bool { return home(hs, agency) == h }
		h.node, err = node.Open(ctx, node.Config{Data: filepath.Join(c.Data, h.folder), Name: h.title, URL: h.url, BaseMap: c.Basemap, Log: log.With("node", h.folder), PeerURLs: h.urls(), Demo: true, DemoCards: cards(mine), Now: clock.Now})
		if err != nil {
			return nil, false, err
		}
		if h.node.Intake.Size() > 0 {
			fresh = false
		} else if err := people(ctx, h.node, mine); err != nil {
			return nil, false, err
		}
	}
	if fresh {
		count := c.Records
		if count == 0 {
			count = usualRecords
		}
		if err := fill(ctx, clock, story.History(now, count), func(a demo.Act) error { return give(ctx, home(hs, a.Agency).node, a) }); err != nil {
			return nil, false, err
		}
	} else {
		story = demo.New(uint64(now.UnixNano()))
	}
	clock.Real()
	for _, h := range hs {
		if fresh {
			if err := h.node.SkipReactions(ctx); err != nil {
				return nil, false, err
			}
		}
		if err := h.node.Accounts.Reload(ctx); err != nil {
			return nil, false, err
		}
	}
	return story, fresh, nil
}

// join founds the region and lets everybody in, with the invitations and
// fingerprints that people would read out to each other.
func join(ctx context.Context, hs []*house) error {
	hub := hs[len(hs)-1]
	if err := hub.node.Trust().Found(ctx, account.Node, demoRegion); err != nil {
		return err
	}
	for _, h := range hs[:len(hs)-1] {
		code, err := hub.node.Trust().Invite(ctx, account.Node, true, hub.url, time.Hour)
		if err != nil {
			return err
		}
		if _, err := h.node.Trust().Join(ctx, account.Node, code); err != nil {
			return err
		}
		self := h.node.Trust().Self()
		communities := map[string][]string{}
		for _, a := range demo.Agencies() {
			if home(hs, a.ID) == h {
				communities[a.ID] = a.Communities
			}
		}
		if err := hub.node.Trust().Approve(ctx, account.Node, self.Name, trust.Spoken(self.Sign), communities, time.Time{}); err != nil {
			return err
		}
	}
	for _, a := range demo.Agencies() {
		if home(hs, a.ID) != hub {
			continue
		}
		in := map[string]time.Time{}
		for _, c := range a.Communities {
			in[c] = time.Time{}
		}
		if err := hub.node.Trust().SetMembership(ctx, account.Node, a.ID, in); err != nil && record.CodeOf(err) != record.Stale {
			return err
		}
	}
	return nil
}
