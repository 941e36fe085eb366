package peer

import (
	"cmp"
	"context"
	"slices"

	"konbit/record"
	"konbit/store"
)

// Holders says who holds, held, or will hold a record of ours.
func (x *Exchange) Holders(ctx context.Context, id record.ID) ([]Holder, error) {
	shares, err := x.cfg.Store.SharesOf(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []Holder
	for i := range shares {
		sh := &shares[i]
		n := x.cfg.Trust.Node(sh.Node)
		if n == nil {
			n = &store.Node{Name: sh.Node, Title: sh.Node}
		}
		o, err := x.cfg.Store.Outgoing(ctx, sh.Node)
		if err != nil {
			return nil, err
		}
		h := Holder{Node: sh.Node, Title: n.Title, Agencies: n.Agencies, Version: sh.Version, Reason: sh.Reason}
		if holding(&h, sh, n, sh.N <= o.Received[sh.Lane]) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b Holder) int { return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Node, b.Node)) })
	return out, nil
}

// holding fills in how far a release or its end has come; false: the node has
// nothing and gets nothing. got says that its receipt covers the share.
func holding(h *Holder, sh *store.Share, n *store.Node, got bool) bool {
	switch {
	case n.State == store.NodeRevoked:
		if sh.Held == 0 {
			return sh.Act == store.Recall && put(h, Purged, sh)
		}
		h.State, h.Since, h.Reason = Lost, n.Since, n.Why
		return true
	case sh.Act == store.Recall && got:
		return put(h, Purged, sh)
	case sh.Act == store.Recall:
		return put(h, Recalling, sh)
	case sh.Refused != "":
		h.Reason = sh.Refused
		return put(h, NotAccepted, sh)
	case !got && sh.Held != 0 && sh.Held != sh.N: // an earlier version is there already
		h.Reason = "a newer version waits"
		if !sh.Opened.IsZero() {
			return put(h, Opened, sh)
		}
		return put(h, Received, sh)
	case sh.Sent.IsZero():
		return put(h, Queued, sh)
	case !got:
		return put(h, Sent, sh)
	case !sh.Opened.IsZero():
		return put(h, Opened, sh)
	}
	return put(h, Received, sh)
}

// put sets a state with the time since when it is so.
func put(h *Holder, state HolderState, sh *store.Share) bool {
	h.State, h.Since = state, sh.Queued
	switch state {
	case Sent:
		h.Since = sh.Sent
	case Received, Purged, NotAccepted:
		if h.Since = sh.Done; h.Since.IsZero() {
			h.Since = sh.Queued
		}
	case Opened:
		h.Since = sh.Opened
	}
	return true
}
