package peer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// fileBundle is about how large the bundles of a file are.
const fileBundle = 1 << 20

// Export writes everything that waits for a node as bundles, urgent ones first,
// behind a bundle with our receipt for what came from it: the file may be the only
// way that words travel. It is not taken as delivered before its receipt comes back.
func (x *Exchange) Export(ctx context.Context, node string, w io.Writer) (bundles, items int, err error) {
	s := &x.stream
	n := x.cfg.Trust.Node(node)
	switch {
	case n == nil:
		return 0, 0, record.Errorf(record.NotFound, "bundle.export", "there is no node %.80q", node)
	case n.State != store.NodeActive:
		return 0, 0, record.Errorf(record.Denied, "bundle.export", "the node %s is %s: nothing is sealed to it", n.Title, n.State)
	}
	if err := s.step(ctx); err != nil { // what is in the ledger now goes along
		return 0, 0, err
	}
	if err := s.sayAll(ctx, n); err != nil {
		return 0, 0, err
	}
	out, err := x.cfg.Store.Outgoing(ctx, n.Name)
	if err != nil {
		return 0, 0, err
	}
	for _, lane := range []bundle.Lane{bundle.Talk, bundle.Urgent, bundle.Normal} {
		after := int64(0)
		if lane != bundle.Talk {
			after = out.Received[lane]
		}
		for {
			b, h, m, err := s.build(ctx, n, lane, after, fileBundle)
			if err != nil {
				return bundles, items, err
			}
			if b == nil {
				break
			}
			if _, err := w.Write(b); err != nil {
				return bundles, items, err
			}
			bundles++
			if after = h.UpTo; lane != bundle.Talk {
				items += m
			}
		}
	}
	return bundles, items, nil
}

// sayAll puts what a node has to hear apart from records into its Talk: our
// receipt, and when it mends its stream, all that we hold of it.
func (s *streams) sayAll(ctx context.Context, n *store.Node) error {
	b, err := s.receipt(ctx, n)
	if err != nil {
		return err
	}
	s.talks.add(n.Name, []bundle.Item{{Topic: wordReceipt, Payload: b}})
	t := s.taken.of(n.Name)
	t.mu.Lock()
	ask := t.ask
	t.mu.Unlock()
	if ask == "" {
		return nil
	}
	return s.holdings(ctx, n.Name, askWord{ID: ask}, maxTalk/2, func(w holdingsWord) {
		s.talks.add(n.Name, []bundle.Item{say(wordHoldings, w)})
	})
}

// Import takes bundles in any order, also some that were taken before. It goes on
// after a bundle that is bad, as long as it can tell where the next one begins.
func (x *Exchange) Import(ctx context.Context, r io.Reader, progress func(done int64)) (Told, error) {
	var t Told
	var done int64
	before := x.stream.inboxes.parked.waiting()
	in := bufio.NewReaderSize(r, 64<<10)
	for ctx.Err() == nil {
		h, raw, err := x.nextOf(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			x.stream.refused(ctx, "", err)
			t.problem(err)
			if t.Refused++; t.Refused > maxBroken || record.CodeOf(err) == record.Internal { // the reader's fault
				break
			}
			continue
		}
		t.Bundles++
		x.importOne(ctx, &t, h, raw)
		if done += int64(len(raw)); progress != nil {
			progress(done)
		}
	}
	t.Parked = max(0, x.stream.inboxes.parked.waiting()-before)
	return t, ctx.Err()
}

// maxBroken is how many places of a file may be no bundle.
const maxBroken = 1000

// nextOf reads the next bundle of a file. After one that is refused it looks for
// where another may begin, so that one that somebody put there does not keep out
// those behind it.
func (x *Exchange) nextOf(in *bufio.Reader) (h bundle.Header, raw []byte, err error) {
	head, err := in.Peek(bundle.MaxHeader)
	if len(head) == 0 {
		return h, nil, err
	}
	if _, _, _, err := bundle.ReadHeader(bytes.NewReader(head), x.stream.known); err != nil {
		if _, e := in.Discard(1); e != nil {
			return h, nil, e
		}
		if e := seek(in); e != nil && e != io.EOF {
			return h, nil, e
		}
		return h, nil, err
	}
	h, raw, sealed, err := bundle.ReadHeader(in, x.stream.known)
	if err == nil {
		raw, err = rest(raw, sealed, h.Size)
	}
	return h, raw, err
}

// seek moves to where a bundle may begin.
func seek(in *bufio.Reader) error {
	for {
		if _, err := in.Peek(len(bundle.Magic)); err != nil {
			_, _ = in.Discard(in.Buffered())
			return err
		}
		some, _ := in.Peek(in.Buffered())
		if i := bytes.Index(some, []byte(bundle.Magic)); i >= 0 {
			_, err := in.Discard(i)
			return err
		}
		if _, err := in.Discard(len(some) - len(bundle.Magic) + 1); err != nil {
			return err
		}
	}
}

// rest reads the sealed part behind a header.
func rest(head []byte, sealed io.Reader, size int64) ([]byte, error) {
	b := make([]byte, len(head)+int(size))
	copy(b, head)
	if _, err := io.ReadFull(sealed, b[len(head):]); err != nil {
		return nil, record.Errorf(record.Invalid, "bundle.truncated", "the bundle is refused: the file ends within it")
	}
	return b, nil
}

// importOne takes one bundle of a file: it is for us, or for a node that we carry for.
func (x *Exchange) importOne(ctx context.Context, t *Told, h bundle.Header, raw []byte) {
	if h.To != x.cfg.Keys.Name() {
		if err := x.links.carry(ctx, h, raw); err == nil {
			t.Relayed++
			return
		}
		t.problem(record.Errorf(record.Denied, "bundle.not-for-us", "a bundle is for %s, for which this node does not carry", h.To))
		t.Refused++
		return
	}
	_, done, err := x.stream.arrive(ctx, raw)
	x.owe(h.From)
	t.Applied, t.Older, t.Purged, t.Refused = t.Applied+done.applied, t.Older+done.older, t.Purged+done.purged, t.Refused+done.refused
	switch {
	case err != nil && record.CodeOf(err) != record.Conflict: // after a gap: it is parked
		t.problem(err)
		t.Refused++
	case done.refused > 0:
		t.problem(record.Errorf(record.Invalid, "bundle.refused", "%d records were refused; the alarms say why", done.refused))
	}
}

// maxProblems bounds what one import tells.
const maxProblems = 100

func (t *Told) problem(err error) {
	if len(t.Problems) == maxProblems {
		t.Problems = append(t.Problems, "and more")
	}
	if len(t.Problems) < maxProblems {
		t.Problems = append(t.Problems, fmt.Sprint(err))
	}
}
