// Package node wires the house: it opens a data folder, connects store, intake,
// query, feed, reactions, accounts and web, and starts and stops them as a list.
// It is the only package that knows them all, and must hold no rule of its own.
package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"konbit/account"
	"konbit/blob"
	"konbit/desk"
	"konbit/desks"
	"konbit/feed"
	"konbit/intake"
	"konbit/ledger"
	"konbit/query"
	"konbit/react"
	"konbit/record"
	"konbit/store"
	"konbit/ui"
	"konbit/web"
)

// Version is set when the binary is built.
var Version = "dev"

// Config is what a node needs. Data is required; the rest has defaults.
type Config struct {
	Data    string // folder; made when it is not there
	Store   string // sqlite:PATH or postgres://...; "": the file konbit.db in the data folder
	Unlock  Unlock // what opens the keys, when they are locked
	Name    string // what the console calls the node
	URL     string // the address that people type; "": http://LISTEN
	Now     func() time.Time
	Log     *slog.Logger
	BaseMap string // PMTiles file with streets
	Region  *record.Box
	Proxy   bool // a reverse proxy of ours stands in front

	Public    net.Listener // where residents are answered, see package public; nil: nowhere
	PublicURL string       // the address that residents type; "": that of the listener

	PeerURLs   []string                                                             // addresses at which other nodes reach this one; none: it dials them
	HideOpened bool                                                                 // do not tell owners that somebody here has opened their records
	Dial       func(ctx context.Context, network, address string) (net.Conn, error) // of connections to other nodes; nil: the net package

	// Of a node that runs as several processes on one PostgreSQL.
	NATS      string // URLs of a NATS cluster for live traffic between them; "": each looks for the others' changes
	BusListen string // address at which the NATS server in this process listens for the others
	Address   string // host:port at which the others reach this process; "": that of its listener
	TLS       bool   // processes speak https

	Title string
	OIDC  []account.Provider
	Hash  account.HashCost // zero: the default; tests make it cheap

	Demo      bool
	DemoCards []web.DemoCard
}

// Region is the default region: the Caribbean and its rims. Places outside are
// kept and flagged.
var Region = record.Box{W: -90, S: 7, E: -57, N: 28}

// Node is an open data folder with everything that works on it.
type Node struct {
	cfg      Config
	Store    store.Store
	Desks    *desk.Set
	Intake   *intake.Intake
	Records  *query.Records
	Accounts *account.Service
	Blobs    *blob.Store
	Feed     *feed.Hub
	Keys     *Keys

	dir       *directory
	duty      atomic.Pointer[duty] // the newest
	onDuty    atomic.Bool          // duty is ours to run
	processes *processes           // nil: this process is the only one
	memory    *memory              // of the ledger, in the data folder; nil: opened to read only
	loss      *Loss                // what the memory has more than the ledger

	now func() time.Time
	log *slog.Logger
}

// Open opens the data folder, making it when it is new, and starts intake. The
// caller closes the node. Serve runs the rest.
//
// It refuses a database that is older than what was seen from this folder before; see
// Restored.
func Open(ctx context.Context, cfg Config) (*Node, error) { return open(ctx, cfg, false) }

// open is Open; with accept it takes the database as it is.
func open(ctx context.Context, cfg Config, accept bool) (_ *Node, err error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Region == nil {
		cfg.Region = &Region
	}
	if cfg.Name == "" {
		cfg.Name = "Konbit"
	}
	n := &Node{cfg: cfg, now: cfg.Now, log: cfg.Log}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, &record.Error{Code: record.Unavailable, Op: "open", Message: "the data folder cannot be made: " + err.Error()}
	}
	if n.Desks, err = desk.NewSet(desks.All()...); err != nil {
		return nil, err
	}
	if n.Store, err = openStore(ctx, cfg.Store, cfg.Data, false); err != nil {
		return nil, err
	}
	shared, isShared := n.Store.(store.Shared)
	size, _, err := n.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	if n.Keys, err = openKeys(filepath.Join(cfg.Data, keyFolder), keysConfig{fresh: size == 0, unlock: cfg.Unlock, now: cfg.Now}); err != nil {
		return nil, err
	}
	if n.memory, err = openMemory(cfg.Data, n.Keys.Verifier); err != nil {
		return nil, err
	}
	if n.loss, err = n.checkSeen(ctx, accept); err != nil {
		return nil, err
	}
	if n.Blobs, err = blob.Open(filepath.Join(cfg.Data, blobFolder), cfg.Now); err != nil {
		return nil, err
	}
	secret, err := n.Store.Secret(ctx, "cursor")
	if err != nil {
		return nil, err
	}
	dir := &directory{name: n.Keys.Origin}
	n.dir = dir
	n.Intake, err = intake.New(ctx, intake.Config{Store: n.Store, Desks: n.Desks, Directory: dir, Keys: n.Keys, Blobs: n.Blobs,
		Signer: n.Keys.Signer, Verifier: n.Keys.Verifier, Origin: n.Keys.Origin, Now: cfg.Now, Region: cfg.Region, Log: cfg.Log, Moved: n.moved})
	if err != nil {
		return nil, err
	}
	if err := n.openAccounts(ctx); err != nil {
		return nil, err
	}
	if err := n.checkKeys(); err != nil {
		return nil, err
	}
	dir.Service = n.Accounts
	n.Records = query.New(n.Store, n.Desks, dir, n.looked, cfg.Now, secret)
	n.Feed = feed.New(n.Store, n.Desks, n.Records, n.Intake, cfg.Now, cfg.Log)
	if isShared {
		if n.processes, err = openProcesses(ctx, n, shared); err != nil {
			return nil, err
		}
	}
	if isShared {
		all, err := shared.Processes(ctx)
		if err != nil || len(all) > 0 {
			return n, err // they look after it
		}
	}
	n.onDuty.Store(true)
	return n, n.newDuty(ctx)
}

// OpenReadOnly opens a data folder, and the store that spec names as Config.Store
// does, to verify it or take proofs from it, also while a node runs on it. Intake, Records, Accounts and Feed are nil.
func OpenReadOnly(ctx context.Context, data, spec string) (_ *Node, err error) {
	n := &Node{cfg: Config{Data: data}, now: time.Now, log: slog.New(slog.DiscardHandler)}
	if n.Desks, err = desk.NewSet(desks.All()...); err != nil {
		return nil, err
	}
	if n.Store, err = openStore(ctx, spec, data, true); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if n.Keys, err = openKeys(filepath.Join(data, keyFolder), keysConfig{readOnly: true, now: time.Now}); err != nil {
		return nil, err
	}
	n.Blobs, err = blob.Open(filepath.Join(data, blobFolder), time.Now)
	return n, err
}

func (n *Node) openAccounts(ctx context.Context) (err error) {
	_, shared := n.Store.(store.Shared)
	ac := account.Config{Store: n.Store, Shared: shared, Ledger: accountLedger{n}, Now: n.now, Log: n.log, Title: n.cfg.Title, OIDC: n.cfg.OIDC, Hash: n.cfg.Hash,
		Key: func(_ context.Context, agency string) (ed25519.PublicKey, error) { return n.Keys.Make(agency) }}
	if u, err := url.Parse(n.cfg.URL); err == nil && u.Host != "" {
		ac.Origins, ac.URL = []string{u.Scheme + "://" + u.Host}, u.Scheme+"://"+u.Host
		if net.ParseIP(u.Hostname()) == nil { // passkeys are bound to a name, never to a number
			ac.RPID = u.Hostname()
		}
	}
	n.Accounts, err = account.New(ctx, ac)
	return err
}

// checkKeys refuses to go on without the key of an agency whose records this
// node signs, or with another one.
func (n *Node) checkKeys() error {
	for id, a := range n.Accounts.Directory().Agencies {
		if !a.Local {
			continue
		}
		if !n.Keys.inForce(id, a.PublicKey) {
			e := record.Errorf(record.Corrupt, "open", "the key of the agency %s is missing, or is not the one that its records are signed with", id)
			e.Hint = "put back " + id + ".key from a backup"
			return e
		}
	}
	return nil
}

func (n *Node) looked(ctx context.Context, looks []query.Look) error {
	out := make([]intake.Look, len(looks))
	for i, l := range looks {
		out[i] = intake.Look(l)
	}
	return n.Intake.Looked(ctx, out)
}

// Close finishes what was begun and closes the store.
func (n *Node) Close() error {
	var errs []error
	if n.processes != nil {
		n.processes.close()
	}
	if n.Accounts != nil {
		// A database that waits for its standby would keep the process from ending.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		errs = append(errs, n.Accounts.Flush(ctx))
		cancel()
	}
	if n.Intake != nil {
		n.Intake.Close()
		n.rememberLast()
	}
	if n.Store != nil {
		errs = append(errs, n.Store.Close())
	}
	return errors.Join(errs...)
}

// Services runs what works in the background until ctx ends: feed, the accounts'
// housekeeping, and what runs once only, while it is on duty.
func (n *Node) Services(ctx context.Context) error {
	work := []func(context.Context) error{n.Feed.Run, n.Accounts.Run, n.runDuty, n.remember}
	if n.processes != nil {
		work = append(work, n.processes.run)
	}
	return together(ctx, work...)
}

// together runs functions until ctx ends or one fails. What the end cuts off is no fault.
func together(ctx context.Context, work ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range work {
		g.Go(func() error {
			if err := run(ctx); ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	return g.Wait()
}

func (n *Node) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if _, err := n.Blobs.Sweep(ctx, func(hash string) (bool, error) { return n.Store.Attached(ctx, hash) }); err != nil && ctx.Err() == nil {
			n.log.Error("attachments", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Serve answers on the listener and runs the services until ctx ends, then
// finishes the requests under way.
func (n *Node) Serve(ctx context.Context, l net.Listener) error {
	w := n.server()
	handler := w.Handler()
	if n.processes != nil {
		n.onDuty.Store(false) // until it is our turn
		n.processes.at(n.address(l))
		handler = n.processes.front(handler)
	}
	// A request is read within ReadTimeout; streams, exports and uploads give
	// themselves more, each as it needs.
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug)}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.Services(ctx) })
	if n.cfg.Public != nil {
		g.Go(func() error { return n.servePublic(ctx) })
	}
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		w.Close() // live streams end, the rest may finish
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(end); err != nil {
			return srv.Close()
		}
		return nil
	})
	return g.Wait()
}

// address is where the other processes of this node reach this one.
func (n *Node) address(l net.Listener) string {
	if n.cfg.Address != "" {
		return n.cfg.Address
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(host, port)
}

// regionName names the default region; another one has no name.
func (n *Node) regionName() string {
	if *n.cfg.Region == Region {
		return "Caribbean"
	}
	return ""
}

// boundaries are the editions of administrative boundaries in the data folder,
// nil when there is no such folder.
func (n *Node) boundaries() fs.FS {
	path := filepath.Join(n.cfg.Data, boundaryFolder)
	if st, err := os.Stat(path); err != nil || !st.IsDir() {
		return nil
	}
	return os.DirFS(path)
}

// console is the built browser application, nil when the binary was built
// without it.
func console() fs.FS {
	dist, err := fs.Sub(ui.Dist, "dist")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(dist, "index.html"); err != nil {
		return nil
	}
	return dist
}

// FirstRunLink returns the address at which the first administrator sets up the
// node, "" when there is one.
func (n *Node) FirstRunLink(ctx context.Context, base string) (string, error) {
	if !n.Accounts.FirstRunNeeded() {
		return "", nil
	}
	code, err := n.Accounts.FirstRunCode(ctx)
	return base + "/first-run#" + code, err
}

const (
	dbFile     = "konbit.db"
	keyFolder  = "keys"
	blobFolder = "blobs"

	spoolFolder    = "spool"      // of files that are being imported; no part of a backup
	boundaryFolder = "boundaries" // EDITION.geojson files that an administrator put there
)

// Proof makes the portable proof of one ledger entry, for the command line: the
// node's own administrator takes it, so the content is withheld.
func (n *Node) Proof(ctx context.Context, seq int64) (*ledger.ProofFile, error) {
	var l *store.Logged
	if err := n.Store.Entries(ctx, seq, seq+1, func(x *store.Logged) bool { l = x; return true }); err != nil {
		return nil, err
	}
	if l == nil || l.Seq != seq {
		return nil, record.Errorf(record.NotFound, "proof", "the ledger has no entry %d", seq)
	}
	e := l.Entry
	if !e.Erased() {
		var err error
		if e, err = e.Erase(nil); err != nil {
			return nil, err
		}
	}
	_, checkpoint, err := n.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	return ledger.NewProof(ctx, n.Store, e, checkpoint, n.Keys.Verifier, nil)
}

// SkipReactions lets reactions begin with what happens from now on.
func (n *Node) SkipReactions(ctx context.Context) error {
	return n.Store.SetCursor(ctx, react.Follower, n.Intake.Size())
}

func randomName() string {
	var b [4]byte
	rand.Read(b[:])
	return fmt.Sprintf("konbit.node/%x", b)
}
