package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/record"
	"konbit/store"
)

// peerOp queues the statements of one change of what the exchange knows.
//
// Who writes to streams takes one lock for all of them, first. With a lock for each
// node, a turn with the receipts of several, in any order, and Queue could wait for
// one another.
func (db *DB) peerOp(ctx context.Context, b *pgx.Batch, op store.Op) error {
	switch op := op.(type) {
	case store.PutNode:
		raw, err := json.Marshal(op.Node)
		if err != nil {
			return err
		}
		b.Queue("INSERT INTO peer_node(name, node) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET node = excluded.node", text(op.Node.Name), raw)
		return nil
	case store.DropNode:
		b.Queue("DELETE FROM peer_node WHERE name = $1", text(op.Name))
		return nil
	case store.PutHeld:
		h := &op.Held
		node, err := db.internOne(ctx, text(h.Node))
		b.Queue(`INSERT INTO peer_held(record, node, n, version, purged, at) VALUES($1, $2, $3, $4, $5, $6)
			ON CONFLICT(record) DO UPDATE SET (node, n, version, purged, at) = (excluded.node, excluded.n, excluded.version, excluded.purged, excluded.at)`,
			[16]byte(h.Record), node, h.N, h.Version, h.Purged, stamp(h.At))
		return err
	case store.PutApplied:
		node, err := db.internOne(ctx, text(op.Node))
		lock(b, exchangeLock)
		b.Queue(fmt.Sprintf("INSERT INTO peer_stream(node, applied%[1]d) VALUES($1, $2) ON CONFLICT(node) DO UPDATE SET applied%[1]d = excluded.applied%[1]d", op.Lane), node, op.UpTo)
		return err
	case store.PutReceipt:
		node, err := db.internOne(ctx, text(op.Node))
		lock(b, exchangeLock)
		putReceipt(b, node, &op)
		return err
	case store.PutFate:
		node, err := db.internOne(ctx, text(op.Node))
		lock(b, exchangeLock)
		b.Queue(`UPDATE peer_share SET refused = CASE WHEN $1 = '' THEN refused ELSE $1 END, opened = CASE WHEN opened = 0 THEN $2 ELSE opened END
			WHERE node = $3 AND record = $4 AND topic = ''`, text(op.Refused), stamp(op.Opened), node, [16]byte(op.Record))
		return err
	}
	return fmt.Errorf("postgres: unknown change %T", op)
}

// putReceipt notes how far a node has come. What lies above a lower one than
// before is not done any more: the node lost it, or lost that it purged it. Only
// what lies between the two is visited, by the first of the two statements or the other.
func putReceipt(b *pgx.Batch, node int64, op *store.PutReceipt) {
	for lane, n := range op.Received {
		was := fmt.Sprintf("coalesce((SELECT received%d FROM peer_stream WHERE node = $1), 0)", lane)
		b.Queue(`UPDATE peer_share SET done = $5, held = CASE WHEN act = $4 THEN 0 ELSE held END
			WHERE node = $1 AND lane = $2 AND n > `+was+` AND n <= $3 AND done = 0 AND sent <> 0`, node, lane, n, int(store.Recall), stamp(op.At))
		b.Queue(`UPDATE peer_share SET done = 0, held = CASE WHEN act = $4 THEN n ELSE held END
			WHERE node = $1 AND lane = $2 AND n > $3 AND n <= `+was+` AND done <> 0`, node, lane, n, int(store.Recall))
	}
	b.Queue(`INSERT INTO peer_stream(node, received0, received1) VALUES($1, $2, $3)
		ON CONFLICT(node) DO UPDATE SET received0 = excluded.received0, received1 = excluded.received1`, node, op.Received[store.Urgent], op.Received[store.Normal])
}

// KnownNodes returns every node, ordered by name.
func (db *DB) KnownNodes(ctx context.Context) ([]store.Node, error) {
	nodes := []store.Node{}
	err := db.each(ctx, `SELECT node FROM peer_node ORDER BY name COLLATE "C"`, nil, func(r pgx.Rows) error {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return err
		}
		var n store.Node
		if err := json.Unmarshal(raw, &n); err != nil {
			return &record.Error{Code: record.Corrupt, Op: "store.nodes", Message: "what the database says of another node cannot be read: " + err.Error(),
				Hint: "stop the node, keep the database, restore the newest backup, and run konbit verify", Err: err}
		}
		nodes = append(nodes, n)
		return nil
	})
	return nodes, err
}

// Queue numbers shares and keeps the follower's cursor.
func (db *DB) Queue(ctx context.Context, follower string, seq int64, shares []store.Share) error {
	q := queueing{last: map[int64]int64{}, stands: map[place]*standing{}}
	met := db.met.times.Load()
	var err error
	if q.names, err = db.namesOf(ctx, shares); err != nil {
		return err
	}
	return db.numbered(ctx, met, func(tx pgx.Tx) error {
		if len(shares) > 0 {
			if err := q.load(ctx, tx, shares); err != nil {
				return err
			}
			for i := range shares {
				q.share(&shares[i])
			}
			if err := q.write(ctx, tx); err != nil {
				return err
			}
		}
		if follower == "" {
			return nil
		}
		return setCursor(ctx, tx, follower, seq)
	})
}

// numbered is onDuty with numbers of names that were looked up when so many
// servers had been met: after a standby took over they may be those of other names.
func (db *DB) numbered(ctx context.Context, met int64, fn func(pgx.Tx) error) error {
	return db.onDuty(ctx, func(tx pgx.Tx) error {
		if met != db.met.times.Load() {
			return record.Errorf(record.Unavailable, "store.exchange", "another database server took over in this moment; nothing was saved; try again")
		}
		return fn(tx)
	})
}

// namesOf interns the nodes and kinds of shares.
func (db *DB) namesOf(ctx context.Context, shares []store.Share) (map[string]int64, error) {
	out := map[string]int64{}
	var list []string
	for i := range shares {
		for _, s := range [...]string{shares[i].Node, shares[i].Kind} {
			if _, there := out[s]; !there {
				out[s] = 0
				list = append(list, text(s))
			}
		}
	}
	if err := db.intern(ctx, list); err != nil {
		return nil, err
	}
	for s := range out {
		n, err := db.number(ctx, text(s))
		if err != nil {
			return nil, err
		}
		out[s] = n
	}
	return out, nil
}

// queueing is one Queue on its way: what stands is read at once, changed in memory
// by one share after the other, and written at once.
type queueing struct {
	names  map[string]int64
	last   map[int64]int64 // newest number, by node
	stands map[place]*standing
}

// place names a share.
type place struct {
	node   int64
	record record.ID
	topic  string
}

// standing is what stands of a share.
type standing struct {
	there        bool
	recall       bool
	held, opened int64
	put          *store.Share // to be written
	drop         bool         // to be removed
}

// load waits for who else writes to streams, and reads what stands.
func (q *queueing) load(ctx context.Context, tx pgx.Tx, shares []store.Share) error {
	var nodes []int64
	var records [][16]byte
	for i := range shares {
		if n := q.names[shares[i].Node]; !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
		records = append(records, shares[i].Record)
	}
	var b pgx.Batch
	lock(&b, exchangeLock)
	b.Queue("SELECT node, last FROM peer_stream WHERE node = ANY($1)", nodes).Query(rows(func(r pgx.Rows) error {
		var node, last int64
		err := r.Scan(&node, &last)
		q.last[node] = last
		return err
	}))
	b.Queue("SELECT node, record, topic, act = $3, held, opened FROM peer_share WHERE node = ANY($1) AND record = ANY($2)", nodes, records, int(store.Recall)).Query(rows(func(r pgx.Rows) error {
		var p place
		s := standing{there: true}
		err := r.Scan(&p.node, (*[16]byte)(&p.record), &p.topic, &s.recall, &s.held, &s.opened)
		q.stands[p] = &s
		return err
	}))
	return tx.SendBatch(ctx, &b).Close()
}

// rows makes a function for one row one for all rows of a queued query.
func rows(fn func(pgx.Rows) error) func(pgx.Rows) error {
	return func(r pgx.Rows) error {
		for r.Next() {
			if err := fn(r); err != nil {
				return err
			}
		}
		return r.Err()
	}
}

// share takes down one share in the place of an older one.
func (q *queueing) share(s *store.Share) {
	node := q.names[s.Node]
	at := place{node, s.Record, text(s.Topic)}
	was := q.stands[at]
	if was == nil {
		was = &standing{}
		q.stands[at] = was
	}
	s.Held = max(s.Held, was.held)
	if s.Act == store.Recall && s.Held == 0 {
		if was.there && !was.recall { // otherwise there is nothing to end, or it is ended: the row says since when
			*was = standing{drop: true}
		}
		return
	}
	if s.Held == 0 {
		was.opened = 0
	}
	q.last[node]++
	s.N = q.last[node]
	*was = standing{there: true, recall: s.Act == store.Recall, held: s.Held, opened: was.opened, put: s}
}

// write writes the shares and the newest numbers.
func (q *queueing) write(ctx context.Context, tx pgx.Tx) error {
	var put, drop, last columns
	for at, s := range q.stands {
		switch p := s.put; {
		case s.drop:
			drop.add(at.node, [16]byte(at.record), at.topic)
		case p != nil:
			put.add(at.node, [16]byte(at.record), at.topic, int64(p.Lane), p.N, int64(p.Act), q.names[p.Kind], int64(p.Version), p.Seq, text(p.Reason), some(p.Word), stamp(p.Queued), s.opened, s.held)
		}
	}
	for node, n := range q.last {
		last.add(node, n)
	}
	var b pgx.Batch
	b.Queue("DELETE FROM peer_share s USING unnest($1::bigint[], $2::uuid[], $3::text[]) AS u(node, record, topic) WHERE (s.node, s.record, s.topic) = (u.node, u.record, u.topic)", drop.arrays("iut")...)
	b.Queue(insertShare, put.arrays("iutiiiiiitbiii")...)
	b.Queue("INSERT INTO peer_stream(node, last) SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT(node) DO UPDATE SET last = excluded.last", last.arrays("ii")...)
	return tx.SendBatch(ctx, &b).Close()
}

const insertShare = `INSERT INTO peer_share(node, record, topic, lane, n, act, kind, version, seq, reason, word, queued, opened, held, sent, done, refused)
	SELECT *, 0, 0, '' FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
		$10::text[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bigint[])
	ON CONFLICT(node, record, topic) DO UPDATE SET (lane, n, act, kind, version, seq, reason, word, queued, opened, held, sent, done, refused)
	= (excluded.lane, excluded.n, excluded.act, excluded.kind, excluded.version, excluded.seq, excluded.reason, excluded.word, excluded.queued, excluded.opened, excluded.held, 0, 0, '')`

// Outgoing returns the state of the stream to a node.
func (db *DB) Outgoing(ctx context.Context, node string) (o store.Outgoing, err error) {
	id, err := db.number(ctx, text(node))
	if err != nil {
		return o, err
	}
	err = db.each(ctx, `SELECT last, received0, received1,
			(SELECT count(*) FROM peer_share s WHERE s.node = p.node AND s.lane = 0 AND s.n > p.received0),
			(SELECT count(*) FROM peer_share s WHERE s.node = p.node AND s.lane = 1 AND s.n > p.received1) FROM peer_stream p WHERE p.node = $1`, []any{id}, func(r pgx.Rows) error {
		return r.Scan(&o.Last, &o.Received[store.Urgent], &o.Received[store.Normal], &o.Waiting[store.Urgent], &o.Waiting[store.Normal])
	})
	return o, err
}

const shareColumns = "SELECT node, record, topic, lane, n, act, kind, version, seq, reason, word, queued, sent, done, refused, opened, held FROM peer_share "

// shares reads shares.
func (db *DB) shares(ctx context.Context, q string, args ...any) (out []store.Share, err error) {
	var names []int64 // of node and kind of each
	if err := db.each(ctx, shareColumns+q, args, func(r pgx.Rows) error {
		var s store.Share
		var node, lane, act, kind, queued, sent, done, opened int64
		var word []byte
		err := r.Scan(&node, (*[16]byte)(&s.Record), &s.Topic, &lane, &s.N, &act, &kind, &s.Version, &s.Seq, &s.Reason, &word, &queued, &sent, &done, &s.Refused, &opened, &s.Held)
		s.Lane, s.Act, s.Word = store.Lane(lane), store.Act(act), some(word)
		s.Queued, s.Sent, s.Done, s.Opened = moment(queued), moment(sent), moment(done), moment(opened)
		out, names = append(out, s), append(names, node, kind)
		return err
	}); err != nil {
		return nil, err
	}
	if err := db.known(ctx, db.pool, names...); err != nil {
		return nil, db.fault("read", err)
	}
	for i := range out {
		out[i].Node, out[i].Kind = db.nameOf(names[2*i]), db.nameOf(names[2*i+1])
	}
	return out, nil
}

// Shares returns shares of a lane in order.
func (db *DB) Shares(ctx context.Context, node string, lane store.Lane, after int64, limit int) ([]store.Share, error) {
	id, err := db.number(ctx, text(node))
	if err != nil {
		return nil, err
	}
	return db.shares(ctx, "WHERE node = $1 AND lane = $2 AND n > $3 ORDER BY n LIMIT $4", id, int(lane), after, limit)
}

// MarkSent notes that shares went into a bundle.
func (db *DB) MarkSent(ctx context.Context, node string, lane store.Lane, after, upTo int64, at time.Time) error {
	met := db.met.times.Load()
	id, err := db.number(ctx, text(node))
	if err != nil {
		return err
	}
	return db.numbered(ctx, met, func(tx pgx.Tx) error {
		var b pgx.Batch
		lock(&b, exchangeLock)
		b.Queue(`UPDATE peer_share SET sent = CASE WHEN sent = 0 THEN $1 ELSE sent END, held = CASE WHEN act = $2 THEN n ELSE held END
			WHERE node = $3 AND lane = $4 AND n > $5 AND n <= $6`, stamp(at), int(store.Send), id, int(lane), after, upTo)
		return tx.SendBatch(ctx, &b).Close()
	})
}

// SharesOf returns the shares of one record.
func (db *DB) SharesOf(ctx context.Context, id record.ID) ([]store.Share, error) {
	return db.shares(ctx, "WHERE record = $1 AND topic = '' ORDER BY node", [16]byte(id))
}

// EachShare calls fn with every Send or Recall to a node.
func (db *DB) EachShare(ctx context.Context, node string, fn func(*store.Share) bool) error {
	id, err := db.number(ctx, text(node))
	if err != nil {
		return err
	}
	var last record.ID
	for {
		some, err := db.shares(ctx, "WHERE node = $1 AND record > $2 AND topic = '' ORDER BY record LIMIT $3", id, [16]byte(last), chunk)
		if err != nil {
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
		last = some[len(some)-1].Record
	}
}

// Renumber gives what is not done new numbers above n. They are above every number
// of the node, so that no row meets another one on its way to its new place.
func (db *DB) Renumber(ctx context.Context, node string, n int64) error {
	met := db.met.times.Load()
	id, err := db.internOne(ctx, text(node))
	if err != nil {
		return err
	}
	return db.numbered(ctx, met, func(tx pgx.Tx) error {
		var b pgx.Batch
		lock(&b, exchangeLock)
		b.Queue("INSERT INTO peer_stream(node, last) VALUES($1, $2) ON CONFLICT(node) DO UPDATE SET last = greatest(peer_stream.last, excluded.last)", id, n)
		b.Queue(`WITH moved AS (
				UPDATE peer_share s SET n = p.last + u.k, sent = 0
				FROM (SELECT record, topic, row_number() OVER (ORDER BY n) AS k FROM peer_share WHERE node = $1 AND done = 0) AS u, peer_stream p
				WHERE s.node = $1 AND s.record = u.record AND s.topic = u.topic AND p.node = $1 RETURNING 1)
			UPDATE peer_stream SET last = last + (SELECT count(*) FROM moved) WHERE node = $1`, id)
		return tx.SendBatch(ctx, &b).Close()
	})
}

// Applied returns up to where a node's lanes were applied here.
func (db *DB) Applied(ctx context.Context, node string) (upTo [store.Lanes]int64, err error) {
	id, err := db.number(ctx, text(node))
	if err != nil {
		return upTo, err
	}
	err = db.each(ctx, "SELECT applied0, applied1 FROM peer_stream WHERE node = $1", []any{id}, func(r pgx.Rows) error {
		return r.Scan(&upTo[store.Urgent], &upTo[store.Normal])
	})
	return upTo, err
}

// held reads what is held.
func (db *DB) held(ctx context.Context, q string, args ...any) (out []store.Held, err error) {
	var nodes []int64
	if err := db.each(ctx, "SELECT record, node, n, version, purged, at FROM peer_held "+q, args, func(r pgx.Rows) error {
		var h store.Held
		var node, at int64
		err := r.Scan((*[16]byte)(&h.Record), &node, &h.N, &h.Version, &h.Purged, &at)
		h.At = moment(at)
		out, nodes = append(out, h), append(nodes, node)
		return err
	}); err != nil {
		return nil, err
	}
	if err := db.known(ctx, db.pool, nodes...); err != nil {
		return nil, db.fault("read", err)
	}
	for i := range out {
		out[i].Node = db.nameOf(nodes[i])
	}
	return out, nil
}

// HeldOf returns what is held of these records.
func (db *DB) HeldOf(ctx context.Context, ids []record.ID) (map[record.ID]store.Held, error) {
	records := make([][16]byte, len(ids))
	for i, id := range ids {
		records[i] = id
	}
	list, err := db.held(ctx, "WHERE record = ANY($1)", records)
	out := make(map[record.ID]store.Held, len(list))
	for _, h := range list {
		out[h.Record] = h
	}
	return out, err
}

// EachHeld calls fn with everything that a node ever sent.
func (db *DB) EachHeld(ctx context.Context, node string, fn func(store.Held) bool) error {
	id, err := db.number(ctx, text(node))
	if err != nil {
		return err
	}
	var last record.ID
	for {
		some, err := db.held(ctx, "WHERE node = $1 AND record > $2 ORDER BY record LIMIT $3", id, [16]byte(last), chunk)
		if err != nil {
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
		last = some[len(some)-1].Record
	}
}
