package postgres_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"konbit/record"
	"konbit/store"
	"konbit/store/postgres/pgtest"
)

// TestProcessesNeverGiveOneNumberTwice queues for two nodes from two processes, in
// both orders, while a third writes what comes from these nodes.
func TestProcessesNeverGiveOneNumberTwice(t *testing.T) {
	url := pgtest.URL(t)
	const rounds, each = 20, 5
	var all sync.WaitGroup
	given := make([]map[string][]int64, 2)
	for p := range given {
		db := open(t, url)
		given[p] = map[string][]int64{}
		nodes := []string{"node.a", "node.b"}
		if p == 1 {
			slices.Reverse(nodes)
		}
		all.Go(func() {
			for range rounds {
				var shares []store.Share
				for _, node := range nodes {
					for range each {
						shares = append(shares, store.Share{Node: node, Record: record.NewID(time.Now()), Lane: store.Normal, Act: store.Send, Kind: "note", Version: 1, Queued: time.Now()})
					}
				}
				if err := db.Queue(ctx, "peer", 1, shares); err != nil {
					t.Error(err)
				}
				for _, s := range shares {
					given[p][s.Node] = append(given[p][s.Node], s.N)
				}
			}
		})
	}
	third := open(t, url)
	for n := range int64(rounds) {
		for _, nodes := range [][]string{{"node.a", "node.b"}, {"node.b", "node.a"}} {
			var ops []store.Op
			for _, node := range nodes {
				ops = append(ops, store.PutApplied{Node: node, Lane: store.Urgent, UpTo: n}, store.PutReceipt{Node: node, Received: [store.Lanes]int64{0, n}, At: time.Now()})
			}
			if err := commit(third, ops...); err != nil {
				t.Error(err)
			}
		}
	}
	all.Wait()
	for _, node := range []string{"node.a", "node.b"} {
		numbers := append(given[0][node], given[1][node]...)
		slices.Sort(numbers)
		for i, n := range numbers {
			if n != int64(i+1) {
				t.Fatalf("%s: the numbers are %v", node, numbers)
			}
		}
		const last = 2 * rounds * each
		if o, err := third.Outgoing(ctx, node); err != nil || o.Last != last || o.Received[store.Normal] != rounds-1 || o.Waiting[store.Normal] != last-(rounds-1) {
			t.Errorf("%s: %+v, %v", node, o, err)
		}
		if upTo, err := third.Applied(ctx, node); err != nil || upTo[store.Urgent] != rounds-1 {
			t.Errorf("%s: applied %v, %v", node, upTo, err)
		}
	}
}
