package peer

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// Bounds of what waits for a bundle before it, a quarter of it from one node. What
// does not fit is left to the sender, who sends what is not acknowledged again.
const (
	maxParked      = 10_000
	maxParkedBytes = 512 << 20
)

// parking keeps bundles that begin after a gap as files,
// parked/SHORT/LANE-AFTER-UPTO.bundle.
type parking struct {
	mu    sync.Mutex
	dir   string
	most  int
	much  int64
	files map[string][]parked // by the node's folder, in order of After
	count int
	bytes int64
}

type parked struct {
	lane        bundle.Lane
	after, upTo int64
	size        int64
	path        string
}

// open finds what was parked before.
func (p *parking) open(folder string) error {
	p.dir, p.files = filepath.Join(folder, "parked"), map[string][]parked{}
	p.most, p.much = maxParked, maxParkedBytes
	nodes, err := os.ReadDir(p.dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, n := range nodes {
		files, err := os.ReadDir(filepath.Join(p.dir, n.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			path := filepath.Join(p.dir, n.Name(), f.Name())
			k := parked{path: path}
			info, err := f.Info()
			if err != nil {
				return err
			}
			k.size = info.Size()
			if _, err := fmt.Sscanf(f.Name(), "%d-%d-%d.bundle", &k.lane, &k.after, &k.upTo); err != nil || !strings.HasSuffix(f.Name(), ".bundle") || k.lane > bundle.Normal {
				os.Remove(path) // not finished
				continue
			}
			p.index(n.Name(), k)
		}
	}
	return err
}

func (p *parking) index(folder string, k parked) {
	p.files[folder] = append(p.files[folder], k)
	slices.SortFunc(p.files[folder], func(a, b parked) int { return cmp.Or(cmp.Compare(a.after, b.after), cmp.Compare(a.upTo, b.upTo)) })
	p.count++
	p.bytes += k.size
}

// folderOf makes a node's name the name of a folder.
func folderOf(node string) string {
	short := node[strings.LastIndexByte(node, '/')+1:]
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, short)
}

// put keeps a bundle. What is there already is kept once.
func (p *parking) put(h bundle.Header, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	folder := folderOf(h.From)
	if slices.ContainsFunc(p.files[folder], func(k parked) bool { return k.lane == h.Lane && k.after == h.After && k.upTo >= h.UpTo }) {
		return nil
	}
	var mine int64
	for _, k := range p.files[folder] {
		mine += k.size
	}
	if n := int64(len(b)); p.count >= p.most || p.bytes+n > p.much || len(p.files[folder]) >= p.most/4 || mine+n > p.much/4 {
		return record.Errorf(record.TooMany, "peer.park", "too many bundles wait for one before them")
	}
	dir := filepath.Join(p.dir, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	k := parked{h.Lane, h.After, h.UpTo, int64(len(b)), filepath.Join(dir, fmt.Sprintf("%d-%020d-%020d.bundle", h.Lane, h.After, h.UpTo))}
	if err := writeWhole(k.path, b); err != nil {
		return err
	}
	p.index(folder, k)
	return nil
}

// take returns one that fits what is applied, and removes it; what was applied by
// other ways is dropped.
func (p *parking) take(node string, applied [store.Lanes]int64) (b []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	folder := folderOf(node)
	list := p.files[folder]
	for i := 0; i < len(list) && b == nil && err == nil; {
		k := list[i]
		if k.after > applied[k.lane] {
			i++
			continue
		}
		if k.upTo > applied[k.lane] {
			b, err = os.ReadFile(k.path)
		}
		os.Remove(k.path) // the sender keeps it until we acknowledge it
		p.count--
		p.bytes -= k.size
		list = slices.Delete(list, i, i+1)
	}
	if p.files[folder] = list; len(list) == 0 {
		delete(p.files, folder)
	}
	return b, err
}

// drop removes what is parked of nodes that are not to be heard any more.
func (p *parking) drop(heard []*store.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for folder, list := range p.files {
		if slices.ContainsFunc(heard, func(n *store.Node) bool { return folderOf(n.Name) == folder }) {
			continue
		}
		for _, k := range list {
			os.Remove(k.path)
			p.count--
			p.bytes -= k.size
		}
		delete(p.files, folder)
		os.Remove(filepath.Join(p.dir, folder))
	}
}

// waiting returns how many bundles of all nodes are parked.
func (p *parking) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// writeWhole writes a file that is there whole or not at all, also after a power cut.
func writeWhole(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// park keeps a bundle until the gap before it is closed.
func (s *streams) park(ctx context.Context, h bundle.Header, b []byte) {
	if err := s.inboxes.parked.put(h, b); err != nil && ctx.Err() == nil {
		s.x.cfg.Log.Warn("peer: a bundle is not kept", "node", h.From, "error", err)
	}
}

// unpark applies what has waited and fits now. It is called with the node's
// inbox locked.
func (s *streams) unpark(ctx context.Context, from *store.Node) (t tally, err error) {
	for {
		applied, err := s.x.cfg.Store.Applied(ctx, from.Name)
		if err != nil {
			return t, err
		}
		b, err := s.inboxes.parked.take(from.Name, applied)
		if err != nil || b == nil {
			return t, err
		}
		h, items, err := s.open(b)
		if err != nil {
			s.refused(ctx, from.Name, err)
		}
		if err != nil || h.From != from.Name {
			continue
		}
		more, err := s.apply(ctx, from, h, items)
		if t.add(more); err != nil {
			return t, err
		}
		t.unparked++
	}
}
