package nodetest

import (
	"bytes"
	"fmt"
	"slices"

	"konbit/peer"
	"konbit/record"
	"konbit/store"
)

// Holds returns the version that a node holds of a record, 0 for nothing.
func (n *Node) Holds(id record.ID) int {
	n.r.t.Helper()
	st, err := n.Store.Get(n.r.t.Context(), id)
	if record.CodeOf(err) == record.NotFound {
		return 0
	}
	n.r.must(err)
	return st.Version
}

// Traces lists where in a node's store a word stands: in records, in what is found
// by searching, in the content of the ledger. The word must be one that a search
// finds whole.
func (n *Node) Traces(word string) (places []string) {
	n.r.t.Helper()
	places = n.search(word)
	n.r.must(n.Store.Entries(n.r.t.Context(), 0, -1, func(l *store.Logged) bool {
		if bytes.Contains(l.Content, []byte(word)) {
			places = append(places, fmt.Sprintf("ledger entry %d, %s of %s version %d", l.Seq, l.Type, record.ID(l.Record), l.Version))
		}
		return true
	}))
	return places
}

// search lists the records that a search for a word finds, whoever may see them.
func (n *Node) search(word string) (places []string) {
	ctx := n.r.t.Context()
	var all store.Sight
	n.r.must(n.Store.Markings(ctx, 0, func(m *store.Marking) error { all.Own = append(all.Own, m.N); return nil }))
	kinds, sight := n.Desks.KindNames(), map[string]*store.Sight{}
	for _, k := range kinds {
		sight[k] = &all
	}
	n.r.must(n.Store.Scan(ctx, &store.Query{Kinds: kinds, Sight: sight, Now: n.Now(), Terms: [][]string{{word}}, Limit: 100}, func(b *store.Brief) bool {
		places = append(places, fmt.Sprintf("a search finds %s version %d", b.ID, b.Version))
		return true
	}))
	return places
}

// Holder is what the node knows of a record of its own at another node.
func (n *Node) Holder(id record.ID, at *Node) peer.Holder {
	n.r.t.Helper()
	hs, err := n.Exchange().Holders(n.r.t.Context(), id)
	n.r.must(err)
	if i := slices.IndexFunc(hs, func(h peer.Holder) bool { return h.Node == at.Keys.Origin }); i >= 0 {
		return hs[i]
	}
	return peer.Holder{}
}

// Alarms returns the codes of the alarms about another node, newest first.
func (n *Node) Alarms(about *Node) (codes []string) {
	n.r.t.Helper()
	as, err := n.Exchange().Alarms(n.r.t.Context(), 1000)
	n.r.must(err)
	for _, a := range as {
		if a.Node == about.Keys.Origin {
			codes = append(codes, a.Code)
		}
	}
	return codes
}

// State is how far a node trusts another one.
func (n *Node) State(other *Node) store.NodeState {
	if o := n.Trust().Node(other.Keys.Origin); o != nil {
		return o.State
	}
	return ""
}
