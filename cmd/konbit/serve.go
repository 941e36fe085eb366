package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"konbit/demo"
	"konbit/desk"
	"konbit/desks"
	"konbit/node"
	"konbit/web"
)

// listenFlags are what serve and demo share.
type listenFlags struct {
	Listen  string `help:"Address to listen on." default:"127.0.0.1:8080" placeholder:"ADDR"`
	URL     string `name:"url" help:"The address that people type, where a proxy stands in front: https://node.example." placeholder:"URL"`
	TLSCert string `name:"tls-cert" help:"Certificate chain (PEM); with --tls-key the node speaks https." type:"existingfile"`
	TLSKey  string `name:"tls-key" help:"Private key (PEM)." type:"existingfile"`
	Proxy   bool   `help:"A reverse proxy of ours stands in front: believe its X-Forwarded-For."`
	Basemap string `help:"PMTiles file with streets, instead of the built-in map." type:"existingfile" placeholder:"FILE"`
	OIDC    string `name:"oidc" help:"YAML file with OpenID Connect providers." type:"existingfile" placeholder:"FILE"`
}

// listen opens the listener and says at which address people reach it.
func (f *listenFlags) listen() (net.Listener, string, error) {
	// Probes of connections that are idle cost an idle link between nodes the most of
	// what it costs; nodes have heartbeats of their own.
	keep := net.ListenConfig{KeepAlive: 45 * time.Second}
	l, err := keep.Listen(context.Background(), "tcp", f.Listen)
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen on %s: %w", f.Listen, err)
	}
	scheme := "http"
	if f.TLSCert != "" || f.TLSKey != "" {
		cert, err := tls.LoadX509KeyPair(f.TLSCert, f.TLSKey)
		if err != nil {
			l.Close()
			return nil, "", err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
		scheme = "https"
	}
	url := f.URL
	if url == "" {
		host, port, _ := net.SplitHostPort(l.Addr().String())
		if ip := net.ParseIP(host); ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
			host = "localhost"
		}
		url = scheme + "://" + net.JoinHostPort(host, port)
	}
	return l, url, nil
}

type serveCmd struct {
	dataFlag
	listenFlags
	Name       string   `help:"What the console calls this node." default:"Konbit"`
	PeerURL    []string `name:"peer-url" help:"Address at which other nodes reach this one; without it, it dials them." placeholder:"URL"`
	HideOpened bool     `help:"Do not tell owners that somebody here has opened their records."`
	publicFlags
	processFlags
}

// publicFlags are for the pages that residents read.
type publicFlags struct {
	Public    string `help:"Address on which residents see alerts and missing people, so that the console need not face the internet." placeholder:"ADDR"`
	PublicURL string `name:"public-url" help:"The address that residents type, where a proxy stands in front: https://alerts.example." placeholder:"URL"`
}

// listen opens the listener for residents, nil when none is wanted.
func (f *publicFlags) listen() (net.Listener, error) {
	if f.Public == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", f.Public)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s for residents: %w", f.Public, err)
	}
	return l, nil
}

// processFlags are for a node that runs as several processes on one PostgreSQL.
type processFlags struct {
	NATS           string `name:"nats" help:"NATS servers, separated by commas, over which processes of this node hear of each other's changes; without it they look four times a second." env:"KONBIT_NATS" placeholder:"URL"`
	NATSListen     string `name:"nats-listen" help:"Let the NATS server in this process listen for the others, where there is no cluster." placeholder:"ADDR"`
	ProcessAddress string `help:"host:port at which the other processes of this node reach this one, where that is not what it listens on." placeholder:"ADDR"`
}

func (c *serveCmd) Run(ctx context.Context, all *cli) error {
	l, url, err := c.listenFlags.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	residents, err := c.publicFlags.listen()
	if err != nil {
		return err
	}
	oidc, err := providers(c.OIDC)
	if err != nil {
		return err
	}
	log := logger(all.Verbose)
	start := time.Now()
	unlock, err := c.unlock()
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, node.Config{Data: c.Data, Store: c.Store, NATS: c.NATS, BusListen: c.NATSListen, Address: c.ProcessAddress, TLS: c.TLSCert != "", Unlock: unlock, Name: c.Name, URL: url, PeerURLs: c.PeerURL, HideOpened: c.HideOpened, Public: residents, PublicURL: strings.TrimRight(c.PublicURL, "/"), BaseMap: c.Basemap, Proxy: c.Proxy, OIDC: oidc, Log: log})
	if err != nil {
		return err
	}
	defer n.Close()
	welcome(n)
	return run(ctx, n, l, url, start)
}

// welcome prints where residents are answered.
func welcome(n *node.Node) {
	if url := n.PublicURL(); url != "" {
		fmt.Printf("Residents see alerts and missing people at %s\n", url)
	}
}

// run prints where the node is and serves it until ctx ends.
func run(ctx context.Context, n *node.Node, l net.Listener, url string, start time.Time) error {
	link, err := n.FirstRunLink(ctx, url)
	if err != nil {
		return err
	}
	fmt.Printf("konbit %s listens on %s  (ready in %d ms, ledger %d entries)\n", node.Version, url, time.Since(start).Milliseconds(), n.Intake.Size())
	if link != "" {
		fmt.Printf("No administrator yet. Set up the node once, at:\n  %s\n", link)
	}
	return n.Serve(ctx, l)
}

type demoCmd struct {
	Data  string `help:"Data folder." default:"konbit-demo" type:"path"`
	Store string `help:"postgres://user@host/database, empty or with a demo in it; the file konbit.db in the data folder unless said otherwise." env:"KONBIT_DEMO_STORE" placeholder:"STORE"`
	listenFlags
	publicFlags
	Seed      uint64 `help:"Another number gives another region." default:"1"`
	Nodes     int    `help:"1: all agencies on one node. 3: a Haitian, a Dominican and a regional node, with addresses one after the other, and switches to cut the links." default:"1" enum:"1,3"`
	Processes int    `help:"How many processes run the node, behind one address. More than one need a --store on PostgreSQL." default:"1"`
	Quiet     bool   `help:"No live trickle: the room stands still."`
	Records   int    `help:"How many records the past weeks hold; 0: the usual." hidden:""`
	Member    string `help:"Be one of several processes, with the bus at this address." hidden:"" env:"-"`
}

func (c *demoCmd) Run(ctx context.Context, top *cli) error {
	switch log := logger(top.Verbose); {
	case c.Member != "":
		return c.runMember(ctx, log)
	case c.Public != "" && (c.Nodes > 1 || c.Processes > 1):
		return errors.New("a demo shows pages for residents when it is one node and one process")
	case c.Nodes > 1 && (c.Processes > 1 || c.Store != ""):
		return errors.New("a demo of several nodes runs each as one process, on a file of its own")
	case c.Nodes > 1:
		return c.runRegion(ctx, log)
	case c.Processes > 1:
		return c.runCluster(ctx, top.Verbose, log)
	}
	l, url, err := c.listenFlags.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	residents, err := c.publicFlags.listen()
	if err != nil {
		return err
	}
	log := logger(top.Verbose)
	start := time.Now()
	n, story, err := openDemo(ctx, c, url, residents, log)
	if err != nil {
		return err
	}
	defer n.Close()
	invite()
	welcome(n)
	if !c.Quiet {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		go trickle(ctx, story, func(a demo.Act) error { return give(ctx, n, a) }, log)
	}
	return run(ctx, n, l, url, start)
}

// invite prints the sign-ins of a demo of one node.
func invite() {
	fmt.Println("DEMO: every agency, person and event in it is invented. Sign in as:")
	for _, card := range cards(all) {
		fmt.Printf("  %-24s %-12s %s, %s\n", card.Name, card.Password, card.Role, card.AgencyName)
	}
}

type openapiCmd struct{}

func (openapiCmd) Run() error {
	set, err := desk.NewSet(desks.All()...)
	if err != nil {
		return err
	}
	doc, err := web.OpenAPI(set)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(doc, '\n'))
	return err
}
