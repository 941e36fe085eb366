package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"konbit/record"
	"konbit/store"
)

// failed ends a function that interns names in a transaction of its own.
func failed(err *error) {
	if r := recover(); r != nil {
		f, ok := r.(nameFailed)
		if !ok {
			panic(r)
		}
		*err = f.error
	}
}

// exchange runs fn in a writing transaction in which names can be interned.
func (db *DB) exchange(ctx context.Context, fn func(*writing) error) error {
	w := writing{db: db}
	return db.write(ctx, w.forget, func(c *sqlite.Conn) (err error) {
		defer failed(&err)
		w.c = c
		return fn(&w)
	})
}

// apply makes the changes, in order.
func (w *writing) apply(ops []store.Op) error {
	for _, op := range ops {
		if err := w.op(op); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) op(op store.Op) error {
	switch op := op.(type) {
	case store.PutNode:
		b, err := json.Marshal(op.Node)
		if err != nil {
			return err
		}
		return exec(w.c, "INSERT OR REPLACE INTO peer_node(name, node) VALUES(?, ?)", nil, op.Node.Name, b)
	case store.DropNode:
		return exec(w.c, "DELETE FROM peer_node WHERE name = ?", nil, op.Name)
	case store.PutApplied:
		q := fmt.Sprintf("INSERT INTO peer_stream(node, applied%[1]d) VALUES(?, ?) ON CONFLICT(node) DO UPDATE SET applied%[1]d = excluded.applied%[1]d", op.Lane)
		return exec(w.c, q, nil, w.name(op.Node), op.UpTo)
	case store.PutHeld:
		return w.hold(&op.Held)
	case store.PutReceipt:
		return w.receipt(&op)
	case store.PutFate:
		return exec(w.c, `UPDATE peer_share SET refused = CASE WHEN ?1 = '' THEN refused ELSE ?1 END, opened = CASE WHEN opened = 0 THEN ?2 ELSE opened END
			WHERE node = ?3 AND record = ?4 AND topic = ''`, nil, op.Refused, stamp(op.Opened), w.name(op.Node), op.Record[:])
	}
	return applyOp(w.c, op)
}

func (w *writing) hold(h *store.Held) error {
	st := w.c.Prep("INSERT OR REPLACE INTO peer_held(record, node, n, version, purged, at) VALUES(?, ?, ?, ?, ?, ?)")
	bind(st, h.Record[:], w.name(h.Node), h.N, h.Version, h.Purged, stamp(h.At))
	return run(st)
}

// receipt notes how far a node has come. What lies above a lower one than
// before is not done any more: the node lost it, or lost that it purged it. Only
// what lies between the two is visited.
func (w *writing) receipt(op *store.PutReceipt) error {
	node := w.name(op.Node)
	var was [store.Lanes]int64
	if err := exec(w.c, "SELECT received0, received1 FROM peer_stream WHERE node = ?", func(st *sqlite.Stmt) {
		was = [store.Lanes]int64{st.ColumnInt64(0), st.ColumnInt64(1)}
	}, node); err != nil {
		return err
	}
	for lane, n := range op.Received {
		q := `UPDATE peer_share SET done = ?1, held = CASE WHEN act = ?2 THEN 0 ELSE held END
			WHERE node = ?3 AND lane = ?4 AND n > ?5 AND n <= ?6 AND done = 0 AND sent <> 0`
		if n < was[lane] {
			q = "UPDATE peer_share SET done = 0, held = CASE WHEN act = ?2 THEN n ELSE held END WHERE node = ?3 AND lane = ?4 AND n > ?6 AND n <= ?5 AND done <> 0"
		}
		if err := exec(w.c, q, nil, stamp(op.At), int(store.Recall), node, lane, was[lane], n); err != nil {
			return err
		}
	}
	return exec(w.c, `INSERT INTO peer_stream(node, received0, received1) VALUES(?, ?, ?)
		ON CONFLICT(node) DO UPDATE SET received0 = excluded.received0, received1 = excluded.received1`, nil, node, op.Received[store.Urgent], op.Received[store.Normal])
}

// KnownNodes returns every node, ordered by name.
func (db *DB) KnownNodes(ctx context.Context) (nodes []store.Node, err error) {
	var raw [][]byte
	if err := db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, "SELECT node FROM peer_node ORDER BY name", func(st *sqlite.Stmt) { raw = append(raw, blob(st, 0)) })
	}); err != nil {
		return nil, err
	}
	nodes = make([]store.Node, len(raw))
	for i, b := range raw {
		if err := json.Unmarshal(b, &nodes[i]); err != nil {
			return nil, corrupt("nodes", db.path, err)
		}
	}
	return nodes, nil
}

// Queue numbers shares and keeps the follower's cursor.
func (db *DB) Queue(ctx context.Context, follower string, seq int64, shares []store.Share) error {
	return db.exchange(ctx, func(w *writing) error {
		last := map[int64]int64{} // by node
		for i := range shares {
			if err := w.share(&shares[i], last); err != nil {
				return err
			}
		}
		for node, n := range last {
			if err := w.counter(node, n); err != nil {
				return err
			}
		}
		if follower == "" {
			return nil
		}
		return setCursor(w.c, follower, seq)
	})
}

// share writes one share in the place of an older one.
func (w *writing) share(s *store.Share, last map[int64]int64) error {
	node := w.name(s.Node)
	var was struct{ found, recall, held, opened int64 }
	if err := exec(w.c, "SELECT act = ?, held, opened FROM peer_share WHERE node = ? AND record = ? AND topic = ?", func(st *sqlite.Stmt) {
		was.found, was.recall, was.held, was.opened = 1, st.ColumnInt64(0), st.ColumnInt64(1), st.ColumnInt64(2)
	}, int(store.Recall), node, s.Record[:], s.Topic); err != nil {
		return err
	}
	s.Held = max(s.Held, was.held)
	if s.Act == store.Recall && s.Held == 0 {
		if was.found == 0 || was.recall == 1 { // nothing to end, or it is ended: the row says since when
			return nil
		}
		return exec(w.c, "DELETE FROM peer_share WHERE node = ? AND record = ? AND topic = ''", nil, node, s.Record[:])
	}
	if s.Held == 0 {
		was.opened = 0
	}
	n, known := last[node]
	if !known {
		if err := exec(w.c, "SELECT last FROM peer_stream WHERE node = ?", func(st *sqlite.Stmt) { n = st.ColumnInt64(0) }, node); err != nil {
			return err
		}
	}
	s.N = n + 1
	last[node] = s.N
	st := w.c.Prep(`INSERT OR REPLACE INTO peer_share(node, record, topic, lane, n, act, kind, version, seq, reason, word, queued, sent, done, refused, opened, held)
		VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', ?, ?)`)
	bind(st, node, s.Record[:], s.Topic, int(s.Lane), s.N, int(s.Act), w.name(s.Kind), s.Version, s.Seq, s.Reason)
	if len(s.Word) == 0 {
		st.BindNull(11)
	} else {
		st.BindBytes(11, s.Word)
	}
	st.BindInt64(12, stamp(s.Queued))
	st.BindInt64(13, was.opened)
	st.BindInt64(14, s.Held)
	return run(st)
}

// counter keeps the newest number given out to a node.
func (w *writing) counter(node, n int64) error {
	return exec(w.c, "INSERT INTO peer_stream(node, last) VALUES(?, ?) ON CONFLICT(node) DO UPDATE SET last = excluded.last", nil, node, n)
}

// Outgoing returns the state of the stream to a node.
func (db *DB) Outgoing(ctx context.Context, node string) (o store.Outgoing, err error) {
	id := db.number(node)
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		if err := exec(c, "SELECT last, received0, received1 FROM peer_stream WHERE node = ?", func(st *sqlite.Stmt) {
			o.Last, o.Received[store.Urgent], o.Received[store.Normal] = st.ColumnInt64(0), st.ColumnInt64(1), st.ColumnInt64(2)
		}, id); err != nil {
			return err
		}
		for lane, n := range o.Received {
			if err := exec(c, "SELECT count(*) FROM peer_share WHERE node = ? AND lane = ? AND n > ?", func(st *sqlite.Stmt) {
				o.Waiting[lane] = st.ColumnInt(0)
			}, id, lane, n); err != nil {
				return err
			}
		}
		return nil
	})
	return o, err
}

const shareColumns = "SELECT node, record, topic, lane, n, act, kind, version, seq, reason, word, queued, sent, done, refused, opened, held FROM peer_share "

func (db *DB) scanShare(st *sqlite.Stmt) store.Share {
	s := store.Share{Node: db.nameOf(st.ColumnInt64(0)), Topic: st.ColumnText(2), Lane: store.Lane(st.ColumnInt(3)), N: st.ColumnInt64(4), Act: store.Act(st.ColumnInt(5)),
		Kind: db.nameOf(st.ColumnInt64(6)), Version: st.ColumnInt(7), Seq: st.ColumnInt64(8), Reason: st.ColumnText(9), Word: blob(st, 10),
		Queued: moment(st, 11), Sent: moment(st, 12), Done: moment(st, 13), Refused: st.ColumnText(14), Opened: moment(st, 15), Held: st.ColumnInt64(16)}
	st.ColumnBytes(1, s.Record[:])
	return s
}

// Shares returns shares of a lane in order.
func (db *DB) Shares(ctx context.Context, node string, lane store.Lane, after int64, limit int) (out []store.Share, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, shareColumns+"WHERE node = ? AND lane = ? AND n > ? ORDER BY n LIMIT ?", func(st *sqlite.Stmt) { out = append(out, db.scanShare(st)) },
			db.number(node), int(lane), after, limit)
	})
	return out, err
}

// MarkSent notes that shares went into a bundle.
func (db *DB) MarkSent(ctx context.Context, node string, lane store.Lane, after, upTo int64, at time.Time) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		return exec(c, `UPDATE peer_share SET sent = CASE WHEN sent = 0 THEN ?1 ELSE sent END, held = CASE WHEN act = ?2 THEN n ELSE held END
			WHERE node = ?3 AND lane = ?4 AND n > ?5 AND n <= ?6`, nil, stamp(at), int(store.Send), db.number(node), int(lane), after, upTo)
	})
}

// SharesOf returns the shares of one record.
func (db *DB) SharesOf(ctx context.Context, id record.ID) (out []store.Share, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, shareColumns+"WHERE record = ? AND topic = '' ORDER BY node", func(st *sqlite.Stmt) { out = append(out, db.scanShare(st)) }, id[:])
	})
	return out, err
}

// chunk is how many rows a long walk reads at once, so that it does not hold back
// the log's truncation.
const chunk = 500

// EachShare calls fn with every Send or Recall to a node.
func (db *DB) EachShare(ctx context.Context, node string, fn func(*store.Share) bool) error {
	last := []byte{}
	for {
		var some []store.Share
		if err := db.Read(ctx, func(c *sqlite.Conn) error {
			return exec(c, shareColumns+"WHERE node = ? AND record > ? AND topic = '' ORDER BY record LIMIT ?", func(st *sqlite.Stmt) { some = append(some, db.scanShare(st)) },
				db.number(node), last, chunk)
		}); err != nil {
			return err
		}
		for i := range some {
			if !fn(&some[i]) {
				return nil
			}
		}
		if len(some) < chunk {
			return nil
		}
		last = some[len(some)-1].Record[:]
	}
}

// Renumber gives what is not done new numbers above n.
func (db *DB) Renumber(ctx context.Context, node string, n int64) error {
	return db.exchange(ctx, func(w *writing) error {
		id := w.name(node)
		if err := exec(w.c, "SELECT last FROM peer_stream WHERE node = ?", func(st *sqlite.Stmt) { n = max(n, st.ColumnInt64(0)) }, id); err != nil {
			return err
		}
		type place struct{ lane, n int64 }
		var open []place
		if err := exec(w.c, "SELECT lane, n FROM peer_share WHERE node = ? AND done = 0 ORDER BY n", func(st *sqlite.Stmt) {
			open = append(open, place{st.ColumnInt64(0), st.ColumnInt64(1)})
		}, id); err != nil {
			return err
		}
		for _, p := range open {
			n++
			if err := exec(w.c, "UPDATE peer_share SET n = ?, sent = 0 WHERE node = ? AND lane = ? AND n = ?", nil, n, id, p.lane, p.n); err != nil {
				return err
			}
		}
		return w.counter(id, n)
	})
}

// Applied returns up to where a node's lanes were applied here.
func (db *DB) Applied(ctx context.Context, node string) (upTo [store.Lanes]int64, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, "SELECT applied0, applied1 FROM peer_stream WHERE node = ?", func(st *sqlite.Stmt) {
			upTo = [store.Lanes]int64{st.ColumnInt64(0), st.ColumnInt64(1)}
		}, db.number(node))
	})
	return upTo, err
}

const heldColumns = "SELECT record, node, n, version, purged, at FROM peer_held "

func (db *DB) scanHeld(st *sqlite.Stmt) store.Held {
	h := store.Held{Node: db.nameOf(st.ColumnInt64(1)), N: st.ColumnInt64(2), Version: st.ColumnInt(3), Purged: st.ColumnBool(4), At: moment(st, 5)}
	st.ColumnBytes(0, h.Record[:])
	return h
}

// HeldOf returns what is held of these records.
func (db *DB) HeldOf(ctx context.Context, ids []record.ID) (map[record.ID]store.Held, error) {
	out := make(map[record.ID]store.Held, len(ids))
	err := db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep(heldColumns + "WHERE record = ?")
		for _, id := range ids {
			st.BindBytes(1, id[:])
			if err := each(st, func(st *sqlite.Stmt) error { out[id] = db.scanHeld(st); return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// EachHeld calls fn with everything that a node ever sent.
func (db *DB) EachHeld(ctx context.Context, node string, fn func(store.Held) bool) error {
	last := []byte{}
	for {
		var some []store.Held
		if err := db.Read(ctx, func(c *sqlite.Conn) error {
			return exec(c, heldColumns+"WHERE node = ? AND record > ? ORDER BY record LIMIT ?", func(st *sqlite.Stmt) { some = append(some, db.scanHeld(st)) },
				db.number(node), last, chunk)
		}); err != nil {
			return err
		}
		for _, h := range some {
			if !fn(h) {
				return nil
			}
		}
		if len(some) < chunk {
			return nil
		}
		last = some[len(some)-1].Record[:]
	}
}
