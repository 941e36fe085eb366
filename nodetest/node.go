package nodetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"konbit/account"
	"konbit/node"
	"konbit/store"
	"konbit/store/sqlite"
)

// Node is one node of a test. What it embeds is the node as it lives now: it is
// another one after each start, and nil while it is down.
type Node struct {
	*node.Node
	Name     string
	Agencies []string

	r       *Region
	listens bool
	folder  string // of all its data folders
	data    string // the one that it lives in
	folders int
	door    *door
	life    *life
	cloned  bool // it runs with the key of another one

	mu   sync.Mutex
	skew time.Duration
}

// life is a node from its start to its end.
type life struct {
	hall *hall
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func (n *Node) nextFolder() string {
	n.folders++
	return filepath.Join(n.folder, strconv.Itoa(n.folders))
}

// Now is the time by the node's clock.
func (n *Node) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.r.now().Add(n.skew)
}

// Skew makes the node's clock wrong by d.
func (n *Node) Skew(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.skew = d
}

// URL is the address at which the node answers.
func (n *Node) URL() string { return "http://" + n.door.address() }

// Up reports whether the node runs.
func (n *Node) Up() bool { return n.life != nil }

func (n *Node) config(h *hall) node.Config {
	c := node.Config{Data: n.data, Name: n.Name, URL: n.URL(), Now: n.Now, Log: n.r.log(n.Name), Hash: account.HashCost{Memory: 64, Passes: 1}}
	if n.listens {
		c.PeerURLs = []string{n.URL()}
	}
	if h != nil {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return h.dialled(n.r.dial(ctx, n, network, address))
		}
	}
	return c
}

// Start opens the node in its data folder and serves.
func (n *Node) Start() {
	n.r.t.Helper()
	l := &life{hall: newHall(n.door.l.Addr()), done: make(chan struct{})}
	opened, err := node.Open(context.Background(), n.config(l.hall))
	n.r.must(err)
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	n.Node, n.life = opened, l
	for _, o := range n.r.Nodes {
		if o != n {
			n.byHand(o)
		}
	}
	go func() {
		defer close(l.done)
		l.err = errors.Join(opened.Serve(ctx, l.hall), opened.Close())
	}()
	n.door.move(l.hall)
}

// found adds the agencies, when the node is new.
func (n *Node) found() {
	n.r.t.Helper()
	for _, a := range n.Agencies {
		if n.Accounts.Directory().Agencies[a] != nil {
			continue
		}
		_, err := n.Accounts.AddAgency(n.r.t.Context(), account.Node, store.Agency{ID: a, Name: a, Country: strings.ToUpper(a[:2]), Local: true})
		n.r.must(err)
	}
}

// byHand tells the node that a link is cut, or mended, so that it tries anew at
// once, and does not wait as long as it would by itself.
func (n *Node) byHand(o *Node) {
	if n.life == nil || o.life == nil && o.Node == nil || o.Node == nil {
		return
	}
	if n.Trust().Node(o.Keys.Origin) != nil {
		n.r.must(n.Exchange().CutLink(o.Keys.Origin, n.r.isCut(n, o)))
	}
}

// Stop ends the node in good order.
func (n *Node) Stop() {
	n.r.t.Helper()
	n.end(true)
}

// end ends a life; with wait it waits for all of it.
func (n *Node) end(wait bool) {
	l := n.life
	if l == nil {
		return
	}
	n.life = nil
	n.door.move(nil)
	l.hall.end()
	l.stop()
	finish := func() {
		<-l.done
		if l.err != nil {
			n.r.t.Errorf("%s: %v", n.Name, l.err)
		}
	}
	if wait {
		finish()
		return
	}
	n.r.old.Go(finish)
}

// Kill ends the node as kill -9 does: nobody hears of it, and what is on disk at
// that moment is all that remains. Start begins again from there.
func (n *Node) Kill() {
	n.r.t.Helper()
	n.door.move(nil)
	n.life.hall.end() // before the copy: what it said, it had on disk
	to := n.nextFolder()
	n.r.must(n.copy(to))
	n.data = to
	n.end(false)
}

// Crash is Kill and Start.
func (n *Node) Crash() {
	n.r.t.Helper()
	n.Kill()
	n.Start()
}

// copy copies the data folder while the node works on it. What reads the ledger
// keeps the database from forgetting its log, so that the two files fit together
// as they would after a crash.
func (n *Node) copy(to string) error {
	db, err := sqlite.OpenReadOnly(context.Background(), filepath.Join(n.data, "konbit.db"))
	if err != nil {
		return err
	}
	err = db.Entries(context.Background(), 0, 1, func(*store.Logged) bool {
		err = copyFolder(n.data, to)
		return false
	})
	return errors.Join(err, db.Close())
}

func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		if strings.HasSuffix(rel, "-shm") || strings.HasSuffix(rel, ".lock") {
			return nil
		}
		if err := copyFile(path, filepath.Join(to, rel)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Backup is what an administrator keeps of a node.
type Backup []byte

// Backup makes one while the node runs.
func (n *Node) Backup() Backup {
	n.r.t.Helper()
	var b bytes.Buffer
	n.r.must(node.Backup(n.r.t.Context(), n.data, "", &b, "", n.Now()))
	return b.Bytes()
}

// Restore ends the node and starts it from a backup, as konbit restore does.
func (n *Node) Restore(b Backup) {
	n.r.t.Helper()
	n.end(false)
	n.data = n.nextFolder()
	n.unpack(b)
	n.Start()
}

func (n *Node) unpack(b Backup) {
	n.r.t.Helper()
	_, err := node.Restore(n.r.t.Context(), n.config(nil), bytes.NewReader(b), "", func(int64, int64) {})
	n.r.must(err)
}

// RollBack ends the node and starts it from files of an earlier time, without a
// word to anybody: as who puts back a snapshot of the machine.
func (n *Node) RollBack(folder string) {
	n.r.t.Helper()
	n.end(false)
	n.data = n.nextFolder()
	n.r.must(copyFolder(folder, n.data))
	n.Start()
}

// Snapshot copies the files as they are.
func (n *Node) Snapshot() (folder string) {
	n.r.t.Helper()
	folder = n.nextFolder()
	n.r.must(n.copy(folder))
	return folder
}

// Clone starts a second node with the same keys from files of the first. It has an
// address and links of its own.
func (n *Node) Clone(folder string) *Node {
	n.r.t.Helper()
	c := n.clone()
	n.r.must(copyFolder(folder, c.data))
	c.Start()
	return c
}

// CloneRestored is Clone from a backup, as konbit restore does on another machine.
func (n *Node) CloneRestored(b Backup) *Node {
	n.r.t.Helper()
	c := n.clone()
	c.unpack(b)
	c.Start()
	return c
}

func (n *Node) clone() *Node {
	n.r.t.Helper()
	c := &Node{r: n.r, Name: n.Name + "-clone", Agencies: n.Agencies, folder: n.folder + "-clone", cloned: true}
	c.data = c.nextFolder()
	var err error
	c.door, err = openDoor()
	n.r.must(err)
	n.r.Nodes = append(n.r.Nodes, c)
	return c
}

// Verify holds the node's ledger, records and attachments against each other.
func (n *Node) Verify() error {
	fault, _, err := n.Node.Verify(n.r.t.Context(), func(int64, int64) {})
	if fault != nil {
		return fault
	}
	return err
}
