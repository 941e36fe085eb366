package peer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// relayBounds says how much a node carries for others.
type relayBounds struct {
	perNode int64         // bytes that wait for one node
	perPair int64         // of these from one node, so that none fills what is for all; 0: as many as there may be
	total   int64         // bytes in all
	files   int           // bundles that wait for one node, a quarter of them from one
	age     time.Duration // of a numbered bundle
	talk    time.Duration // of Talk
}

func defaultBounds() relayBounds {
	return relayBounds{perNode: 512 << 20, perPair: 128 << 20, total: 4 << 30, files: 50_000, age: 30 * 24 * time.Hour, talk: time.Hour}
}

// relay keeps bundles for other nodes as files, relay/TO/FROM/LANE-AFTER-UPTO-AT.bundle,
// and the newest receipt of each pair, relay/TO/FROM.receipt. What put took is on
// disk. It knows headers and sizes; it cannot read what it keeps.
//
// Nodes are named here by the part after the slash, which is a name for a folder.
type relay struct {
	dir    string
	bounds relayBounds

	mu    sync.Mutex
	to    map[string]*pile
	bytes int64
	seq   int64 // tells Talk apart
}

// pile is what waits for one node.
type pile struct {
	bytes    int64
	count    int
	from     map[string]*[3][]*kept // by sender, by lane, by number
	each     map[string]int64       // bytes by sender
	receipts map[string]*keptReceipt
	turn     string // the sender that was served last
}

type keptReceipt struct {
	Receipt
	raw []byte
}

// kept is a bundle on disk.
type kept struct {
	from, to    string
	lane        bundle.Lane
	after, upTo int64
	at          time.Time // when it was sealed; of Talk when it came
	size        int64
	path        string
	on          *conn // the connection that it went to, nil: none yet
}

// openRelay reads what is kept. What it does not understand it leaves alone, but
// for files that were not finished.
func openRelay(dir string, b relayBounds) (*relay, error) {
	r := &relay{dir: dir, bounds: b, to: map[string]*pile{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		return r.found(path, strings.Split(filepath.ToSlash(rel), "/"), d)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range r.to {
		for _, lanes := range p.from {
			for i := range lanes {
				slices.SortFunc(lanes[i], byNumber)
			}
		}
	}
	return r, nil
}

func byNumber(a, b *kept) int {
	return cmp.Or(cmp.Compare(a.after, b.after), cmp.Compare(a.upTo, b.upTo))
}

func (r *relay) found(path string, parts []string, d fs.DirEntry) error {
	name := parts[len(parts)-1]
	switch {
	case strings.HasSuffix(name, ".new"):
		return os.Remove(path)
	case len(parts) == 3 && strings.HasSuffix(name, ".bundle"):
		k, err := parseKept(name)
		info, ierr := d.Info()
		if err != nil || ierr != nil {
			return ierr
		}
		k.to, k.from, k.path, k.size = parts[0], parts[1], path, info.Size()
		if k.lane == bundle.Talk {
			r.seq = max(r.seq, k.upTo)
		}
		r.index(k)
	}
	return nil
}

// parseKept reads what the name of a file says.
func parseKept(name string) (*kept, error) {
	f := strings.Split(strings.TrimSuffix(name, ".bundle"), "-")
	if len(f) != 4 {
		return nil, fmt.Errorf("relay: %q is no bundle", name)
	}
	var n [4]int64
	for i := range f {
		v, err := strconv.ParseInt(f[i], 16, 64)
		if err != nil {
			return nil, err
		}
		n[i] = v
	}
	if n[0] < 0 || n[0] > int64(bundle.Talk) {
		return nil, fmt.Errorf("relay: %q has no lane", name)
	}
	return &kept{lane: bundle.Lane(n[0]), after: n[1], upTo: n[2], at: time.Unix(n[3], 0)}, nil
}

func (r *relay) index(k *kept) {
	p := r.pile(k.to)
	lanes := p.from[k.from]
	if lanes == nil {
		lanes = new([3][]*kept)
		p.from[k.from] = lanes
	}
	lanes[k.lane] = append(lanes[k.lane], k)
	p.bytes += k.size
	p.each[k.from] += k.size
	p.count++
	r.bytes += k.size
}

func (r *relay) pile(to string) *pile {
	p := r.to[to]
	if p == nil {
		p = &pile{from: map[string]*[3][]*kept{}, each: map[string]int64{}, receipts: map[string]*keptReceipt{}}
		r.to[to] = p
	}
	return p
}

// put keeps a bundle, on disk when it returns. A bundle that is kept already, or
// that a receipt covers, changes nothing; one that covers older ones replaces them.
func (r *relay) put(h bundle.Header, raw []byte, now time.Time) error {
	k := &kept{from: trust.Short(h.From), to: trust.Short(h.To), lane: h.Lane, after: h.After, upTo: h.UpTo, at: h.At, size: int64(len(raw))}
	if !folderName(k.from) || !folderName(k.to) || k.lane > bundle.Talk || k.after < 0 || k.upTo < k.after {
		return record.Errorf(record.Invalid, "link.malformed", "a bundle from %q to %q cannot be kept", h.From, h.To)
	}
	if k.at.After(now) { // or it would never be too old
		k.at = now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pile(k.to)
	if k.lane == bundle.Talk {
		r.seq++
		k.after, k.upTo, k.at = 0, r.seq, now
	} else if p.has(k) || r.receipted(k) {
		return nil
	}
	if r.full(p, k) {
		return record.Errorf(record.TooMany, "link.full", "this node carries no more for %s now", h.To)
	}
	dir := filepath.Join(r.dir, k.to, k.from)
	k.path = filepath.Join(dir, fmt.Sprintf("%x-%016x-%016x-%x.bundle", k.lane, k.after, k.upTo, k.at.Unix()))
	if err := writeDurable(k.path, raw); err != nil {
		return &record.Error{Code: record.Unavailable, Op: "link.disk", Message: "this node cannot write to its disk", Err: err}
	}
	p.dropWhere(r, k.from, func(o *kept) bool {
		return o.lane == k.lane && k.lane != bundle.Talk && o.after >= k.after && o.upTo <= k.upTo
	})
	r.index(k)
	slices.SortFunc(p.from[k.from][k.lane], byNumber)
	return nil
}

// full reports whether there is no room. What is urgent may have a quarter more.
func (r *relay) full(p *pile, k *kept) bool {
	b := r.bounds
	if k.lane == bundle.Urgent {
		b.perNode, b.perPair, b.total, b.files = b.perNode/4*5, b.perPair/4*5, b.total/4*5, b.files/4*5
	}
	if b.perPair > 0 && (p.each[k.from]+k.size > b.perPair || p.countOf(k.from) >= b.files/4) {
		return true
	}
	return p.bytes+k.size > b.perNode || p.count >= b.files || r.bytes+k.size > b.total
}

func (p *pile) countOf(from string) (n int) {
	if lanes := p.from[from]; lanes != nil {
		for _, ks := range lanes {
			n += len(ks)
		}
	}
	return n
}

// receipted reports whether the newest receipt that passed covers a bundle.
func (r *relay) receipted(k *kept) bool {
	back := r.to[k.from]
	return back != nil && back.receipts[k.to] != nil && covering(back.receipts[k.to].Received, k.lane, k.upTo)
}

// has reports whether one that was sealed later covers a bundle.
func (p *pile) has(k *kept) bool {
	lanes := p.from[k.from]
	if lanes == nil {
		return false
	}
	return slices.ContainsFunc(lanes[k.lane], func(o *kept) bool {
		return o.after <= k.after && o.upTo >= k.upTo && !o.at.Before(k.at)
	})
}

// dropWhere removes bundles of a sender. Called with r.mu held.
func (p *pile) dropWhere(r *relay, from string, which func(*kept) bool) (dropped int) {
	lanes := p.from[from]
	if lanes == nil {
		return 0
	}
	for i := range lanes {
		lanes[i] = slices.DeleteFunc(lanes[i], func(k *kept) bool {
			if !which(k) {
				return false
			}
			os.Remove(k.path) // what stays is found at the next start and dropped by the same rule
			p.bytes -= k.size
			p.each[k.from] -= k.size
			p.count--
			r.bytes -= k.size
			dropped++
			return true
		})
	}
	return dropped
}

// next returns the next bundle of a lane for a node that did not go to this
// connection yet, and reads it. nil: there is none.
func (r *relay) next(to string, lane bundle.Lane, c *conn) (*kept, []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.to[trust.Short(to)]
	if p == nil {
		return nil, nil
	}
	for {
		best := p.next(lane, c)
		if best == nil {
			return nil, nil
		}
		best.on, p.turn = c, best.from
		b, err := os.ReadFile(best.path)
		if err == nil {
			return best, b
		}
		p.dropWhere(r, best.from, func(k *kept) bool { return k == best })
	}
}

// next is the first bundle of a lane that did not go to a connection yet, of the
// senders in turns: what one says of the time must not put it before the others.
func (p *pile) next(lane bundle.Lane, c *conn) (best *kept) {
	for from, lanes := range p.from {
		for _, k := range lanes[lane] {
			if k.on == c {
				continue
			}
			if best == nil || (from > p.turn) != (best.from > p.turn) && from > p.turn || (from > p.turn) == (best.from > p.turn) && from < best.from {
				best = k
			}
			break // of one sender in order
		}
	}
	return best
}

// again lets a lane of a stream go out anew from the number after; false when
// what comes next is not kept.
func (r *relay) again(from, to string, lane bundle.Lane, have int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.to[trust.Short(to)]
	if p == nil || p.from[trust.Short(from)] == nil || lane > bundle.Normal {
		return false
	}
	ok := false
	for _, k := range p.from[trust.Short(from)][lane] {
		if k.upTo > have {
			k.on = nil
			ok = ok || k.after <= have
		}
	}
	return ok
}

// gone forgets Talk that was handed on.
func (r *relay) gone(k *kept) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k.lane == bundle.Talk {
		r.pile(k.to).dropWhere(r, k.from, func(o *kept) bool { return o == k })
	}
}

// stored says what is kept of a node's streams. A lane with a gap is told from
// behind its last gap.
func (r *relay) stored(from string, full func(short string) string) []storedWord {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []storedWord
	for to, p := range r.to {
		lanes := p.from[trust.Short(from)]
		name := full(to)
		if lanes == nil || name == "" {
			continue
		}
		for lane := bundle.Urgent; lane <= bundle.Normal; lane++ {
			if w, ok := chain(lanes[lane]); ok {
				w.From, w.To, w.Lane = from, name, lane
				out = append(out, w)
			}
		}
	}
	return out
}

func chain(ks []*kept) (w storedWord, ok bool) {
	for i, k := range ks {
		if i == 0 || k.after > w.UpTo {
			w.After, w.UpTo = k.after, k.upTo
		}
		w.UpTo = max(w.UpTo, k.upTo)
	}
	return w, len(ks) > 0
}

// keepReceipt keeps a receipt for the node whose stream it is about, and drops
// the bundles that it covers. It reports whether it is newer than what was kept.
func (r *relay) keepReceipt(rc *Receipt, raw []byte) (bool, error) {
	from, to := trust.Short(rc.From), trust.Short(rc.To) // rc.From received what rc.To sent
	if !folderName(from) || !folderName(to) {
		return false, record.Errorf(record.Invalid, "link.malformed", "a receipt from %q to %q cannot be kept", rc.From, rc.To)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pile(from).dropWhere(r, to, func(k *kept) bool { return covering(rc.Received, k.lane, k.upTo) })
	p := r.pile(to)
	if old := p.receipts[from]; old != nil && !rc.newer(&old.Receipt) {
		return false, nil
	}
	path := filepath.Join(r.dir, to, from+".receipt")
	if err := writeDurable(path, raw); err != nil {
		return false, &record.Error{Code: record.Unavailable, Op: "link.disk", Message: "this node cannot write to its disk", Err: err}
	}
	p.receipts[from] = &keptReceipt{*rc, raw}
	return true, nil
}

// covering reports whether a receipt covers a lane up to a number.
func covering(received [store.Lanes]int64, lane bundle.Lane, upTo int64) bool {
	return int(lane) < len(received) && upTo <= received[lane]
}

// loadReceipts reads the receipts that were kept, with read to verify them.
func (r *relay) loadReceipts(read func([]byte) (*Receipt, error)) {
	paths, _ := filepath.Glob(filepath.Join(r.dir, "*", "*.receipt"))
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		rc, err := read(b)
		if err != nil {
			continue // of a node that is not known any more, or with a key that was retired: the next one comes
		}
		r.pile(trust.Short(rc.To)).receipts[trust.Short(rc.From)] = &keptReceipt{*rc, b}
	}
}

// receipts returns the receipts that are kept for a node.
func (r *relay) receipts(to string) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.to[trust.Short(to)]
	if p == nil {
		return nil
	}
	var out [][]byte
	for _, rc := range p.receipts {
		out = append(out, rc.raw)
	}
	return out
}

// sweep drops what is too old, and what may not be carried any more. It returns
// the short names of the nodes whose bundles it dropped: they send them again.
func (r *relay) sweep(now time.Time, may func(short string) bool) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var told []string
	for to, p := range r.to {
		for from := range p.from {
			n := p.dropWhere(r, from, func(k *kept) bool {
				age := r.bounds.age
				if k.lane == bundle.Talk {
					age = r.bounds.talk
				}
				return now.Sub(k.at) > age || !may(from) || !may(to)
			})
			if n > 0 && !slices.Contains(told, from) {
				told = append(told, from)
			}
		}
	}
	return told
}

// waiting returns how much is kept for a node.
func (r *relay) waiting(to string) (count int, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.to[trust.Short(to)]; p != nil {
		return p.count, p.bytes
	}
	return 0, 0
}

// writeDurable writes a file that is whole and on disk, name and all, when it returns.
func writeDurable(path string, b []byte) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err != nil {
		err := os.MkdirAll(dir, 0o700)
		if err = errors.Join(err, syncFolder(filepath.Dir(dir)), syncFolder(filepath.Dir(filepath.Dir(dir)))); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		os.Remove(path + ".new")
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// folderName reports whether a short name can be the name of a folder.
func folderName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
