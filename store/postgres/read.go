package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// Nothing here calls back while it holds a connection: callers that each hold one
// and want a second would wait for each other.

// chunk is how many rows a long walk reads at once.
const chunk = 500

// Leaves returns the commitments of entries from up to but not including to.
func (db *DB) Leaves(ctx context.Context, from, to int64) ([]ledger.Hash, error) {
	return db.hashes(ctx, "SELECT commitment FROM entry WHERE seq >= $1 AND seq < $2 ORDER BY seq", from, to)
}

// Nodes returns complete subtrees of a level.
func (db *DB) Nodes(ctx context.Context, level int, from, to int64) ([]ledger.Hash, error) {
	return db.hashes(ctx, "SELECT hash FROM node WHERE level = $1 AND n >= $2 AND n < $3 ORDER BY n", int64(level), from, to)
}

func (db *DB) hashes(ctx context.Context, q string, args ...any) (hs []ledger.Hash, err error) {
	err = db.each(ctx, q, args, func(r pgx.Rows) error {
		var b []byte
		if err := r.Scan(&b); err != nil {
			return err
		}
		var h ledger.Hash
		copy(h[:], b)
		hs = append(hs, h)
		return nil
	})
	return hs, err
}

// Checkpoints calls fn with every kept checkpoint, oldest first, the newest last.
func (db *DB) Checkpoints(ctx context.Context, fn func(int64, []byte) error) error {
	type kept struct {
		size int64
		note []byte
	}
	for last := int64(-1); ; {
		var some []kept
		if err := db.each(ctx, "SELECT size, note FROM checkpoint WHERE size > $1 UNION SELECT size, note FROM head WHERE size > $1 AND note IS NOT NULL ORDER BY size LIMIT $2", []any{last, chunk}, func(r pgx.Rows) error {
			var k kept
			err := r.Scan(&k.size, &k.note)
			some = append(some, k)
			return err
		}); err != nil {
			return err
		}
		for _, k := range some {
			if err := fn(k.size, k.note); err != nil {
				return err
			}
			last = k.size
		}
		if len(some) < chunk {
			return nil
		}
	}
}

// stored reads versions by their ledger positions. A position that says nothing of
// a version that was erased meanwhile gives one without Record.
func (db *DB) stored(ctx context.Context, c querier, seqs []int64) (map[int64]*store.Stored, error) {
	out := make(map[int64]*store.Stored, len(seqs))
	if len(seqs) == 0 {
		return out, nil
	}
	var raw []*rawEntry
	var names []int64
	if err := eachOn(ctx, c, `SELECT seq, at, agency, version, marking, "row", content, keyid, sig FROM entry WHERE seq = ANY($1)`, []any{seqs}, func(r pgx.Rows) error {
		var e rawEntry
		err := r.Scan(&e.seq, &e.at, &e.agency, &e.version, &e.marking, &e.row, &e.content, &e.keyid, &e.sig)
		raw, names = append(raw, &e), append(names, e.agency, e.keyid)
		return err
	}); err != nil {
		return nil, err
	}
	if err := db.known(ctx, c, names...); err != nil {
		return nil, err
	}
	for _, e := range raw {
		s, err := db.version(e)
		if err != nil {
			return nil, err
		}
		out[e.seq] = s
	}
	return out, nil
}

// version makes a record's version of its entry, when its names are known.
func (db *DB) version(e *rawEntry) (*store.Stored, error) {
	s := &store.Stored{Row: e.row, Seq: e.seq, Marking: e.marking, Raw: some(e.content), KeyID: db.nameOf(e.keyid), Sig: some(e.sig), Version: int(e.version), Owner: db.nameOf(e.agency), At: micro(e.at)}
	var err error
	s.Record, err = decode(s.Raw)
	return s, err
}

// Get returns the newest version of a record.
func (db *DB) Get(ctx context.Context, id record.ID) (*store.Stored, error) {
	m, err := db.Current(ctx, []record.ID{id})
	if err != nil {
		return nil, err
	}
	if m[id] == nil || m[id].Record == nil {
		return nil, record.Errorf(record.NotFound, "store.get", "there is no such record")
	}
	return m[id], nil
}

// Current returns the newest versions of many records, as they stood at one moment;
// an erased one has no Record.
func (db *DB) Current(ctx context.Context, ids []record.ID) (map[record.ID]*store.Stored, error) {
	out := make(map[record.ID]*store.Stored, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	list := make([][16]byte, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	// The first statement says which versions, the second what is in them, which
	// does not change: so that it looks at their partitions only.
	of := map[int64]record.ID{}
	var seqs []int64
	if err := db.each(ctx, "SELECT id, entry FROM record WHERE id = ANY($1)", []any{list}, func(r pgx.Rows) error {
		var id [16]byte
		var seq int64
		err := r.Scan(&id, &seq)
		of[seq], seqs = id, append(seqs, seq)
		return err
	}); err != nil {
		return nil, err
	}
	m, err := db.stored(ctx, db.pool, seqs)
	if err != nil {
		return nil, db.fault("read", err)
	}
	for seq, s := range m {
		out[of[seq]] = s
	}
	return out, nil
}

// Versions returns every version of a record, oldest first.
func (db *DB) Versions(ctx context.Context, id record.ID) (out []*store.Stored, err error) {
	var raw []*rawEntry
	var names []int64
	if err := db.each(ctx, `WITH RECURSIVE v AS (
			SELECT `+entryColumns+` FROM entry e WHERE e.seq = (SELECT entry FROM record WHERE id = $1)
			UNION ALL SELECT w.* FROM v CROSS JOIN LATERAL (SELECT `+entryColumns+` FROM entry e WHERE e.seq = v.prev OFFSET 0) w WHERE v.prev >= 0
		) SELECT * FROM v`, []any{[16]byte(id)}, func(r pgx.Rows) error {
		var e rawEntry
		err := r.Scan(e.into()...)
		raw, names = append(raw, &e), append(names, e.agency, e.keyid)
		return err
	}); err != nil {
		return nil, err
	}
	if err := db.known(ctx, db.pool, names...); err != nil {
		return nil, db.fault("read", err)
	}
	for _, e := range slices.Backward(raw) {
		s, err := db.version(e)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// CommandEntry finds what a command did when it was first given.
func (db *DB) CommandEntry(ctx context.Context, command record.ID) (seq int64, err error) {
	seq = -1
	err = db.each(ctx, "SELECT seq FROM command WHERE id = $1", []any{[16]byte(command)}, func(r pgx.Rows) error { return r.Scan(&seq) })
	return seq, err
}

// Entries calls fn for ledger entries in order.
func (db *DB) Entries(ctx context.Context, from, to int64, fn func(*store.Logged) bool) error {
	if to < 0 {
		to = 1<<62 - 1
	}
	for from = max(from, 0); from < to; {
		// The upper bound keeps the statement to two partitions.
		ls, err := db.logged(ctx, "SELECT "+entryColumns+" FROM entry e WHERE e.seq >= $1 AND e.seq < $2 ORDER BY e.seq LIMIT $3", from, min(to, from+entrySpan), chunk)
		if err != nil {
			return err
		}
		for _, l := range ls {
			from = l.Seq + 1
			if !fn(l) {
				return nil
			}
		}
		if len(ls) < chunk {
			return nil
		}
	}
	return nil
}

// logged reads entries with what they say of the version before.
func (db *DB) logged(ctx context.Context, q string, args ...any) (out []*store.Logged, err error) {
	var raw []*rawEntry
	var names, prev []int64
	if err := db.each(ctx, q, args, func(r pgx.Rows) error {
		var e rawEntry
		err := r.Scan(e.into()...)
		raw, names = append(raw, &e), append(names, e.names()...)
		if e.prev >= 0 {
			prev = append(prev, e.prev)
		}
		return err
	}); err != nil {
		return nil, err
	}
	before := map[int64]*rawEntry{}
	if len(prev) > 0 {
		if err := db.each(ctx, "SELECT seq, marking, expires FROM entry WHERE seq = ANY($1)", []any{prev}, func(r pgx.Rows) error {
			var e rawEntry
			err := r.Scan(&e.seq, &e.marking, &e.expires)
			before[e.seq] = &e
			return err
		}); err != nil {
			return nil, err
		}
	}
	if err := db.known(ctx, db.pool, names...); err != nil {
		return nil, db.fault("read", err)
	}
	for _, e := range raw {
		l := db.entry(e)
		if p := before[e.prev]; p != nil {
			l.Previous, l.PreviousExpires = p.marking, maybeMicro(p.expires)
		}
		out = append(out, l)
	}
	return out, nil
}

// Log returns ledger entries newest first.
func (db *DB) Log(ctx context.Context, q *store.LogQuery) ([]*store.Logged, error) {
	hi := int64(1<<62 - 1)
	if q.Before > 0 {
		hi = q.Before
	}
	lo := int64(0)
	if !q.From.IsZero() {
		n, err := db.position(ctx, q.From)
		if err != nil {
			return nil, err
		}
		lo = n
	}
	if !q.To.IsZero() {
		n, err := db.position(ctx, q.To)
		if err != nil {
			return nil, err
		}
		hi = min(hi, n)
	}
	var p params
	where := []string{"e.seq >= " + p.add(lo), "e.seq < " + p.add(hi)}
	for _, c := range []struct {
		column string
		given  bool
		names  []string
	}{{"e.actor", q.Actor != "", []string{q.Actor}}, {"e.agency", q.Agencies != nil, q.Agencies}, {"e.type", q.Types != nil, q.Types}} {
		if !c.given {
			continue
		}
		ns, err := db.numbers(ctx, sayable(c.names))
		if err != nil {
			return nil, err
		}
		where = append(where, c.column+" = ANY("+p.add(ns)+"::bigint[])")
	}
	from := "entry e"
	if !q.Record.IsZero() {
		// Changes are found by the chain of versions, the rest by index.
		from = fmt.Sprintf(`(WITH RECURSIVE v(seq) AS (
				SELECT entry FROM record WHERE id = %[1]s
				UNION ALL SELECT x.prev FROM v CROSS JOIN LATERAL (SELECT e.prev FROM entry e WHERE e.seq = v.seq OFFSET 0) x WHERE x.prev >= 0
			) SELECT seq FROM v UNION ALL SELECT seq FROM entry WHERE record = %[1]s AND type <> 1 OFFSET 0) v
			CROSS JOIN LATERAL (SELECT * FROM entry e WHERE e.seq = v.seq OFFSET 0) e`, p.add([16]byte(q.Record)))
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	return db.logged(ctx, "SELECT "+entryColumns+" FROM "+from+" WHERE "+strings.Join(where, " AND ")+" ORDER BY e.seq DESC LIMIT "+p.add(limit), p.args...)
}

// position returns the first ledger position at or after a time. Time never goes
// back along positions, so that half of them is ruled out by each look.
func (db *DB) position(ctx context.Context, t time.Time) (seq int64, err error) {
	err = db.each(ctx, `WITH RECURSIVE b(lo, hi) AS (
			SELECT 0::bigint, size FROM head
			UNION ALL SELECT CASE WHEN m.at < $1 THEN (lo + hi) / 2 + 1 ELSE lo END, CASE WHEN m.at < $1 THEN hi ELSE (lo + hi) / 2 END
				FROM b CROSS JOIN LATERAL (SELECT e.at FROM entry e WHERE e.seq = (lo + hi) / 2 OFFSET 0) m WHERE lo < hi
		) SELECT lo FROM b WHERE lo >= hi`, []any{t.UnixMicro()}, func(r pgx.Rows) error { return r.Scan(&seq) })
	return seq, err
}

// Markings calls fn for every interned marking after a number.
func (db *DB) Markings(ctx context.Context, after int64, fn func(*store.Marking) error) error {
	var ms []*store.Marking
	if err := db.each(ctx, "SELECT n, owner, tlp, audience, persons, caveats FROM marking WHERE n > $1 ORDER BY n", []any{after}, func(r pgx.Rows) error {
		var n int64
		var c [5]string
		if err := r.Scan(&n, &c[0], &c[1], &c[2], &c[3], &c[4]); err != nil {
			return err
		}
		ms = append(ms, &store.Marking{N: n, Owner: c[0], Marking: record.Marking{TLP: record.TLP(c[1]), To: strings.Fields(c[2]), Persons: strings.Fields(c[3]), Caveats: strings.Fields(c[4])}})
		return nil
	}); err != nil {
		return err
	}
	for _, m := range ms {
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}

// Expired lists records whose marking expired in a span of time.
func (db *DB) Expired(ctx context.Context, from, to time.Time, limit int) (out []*store.Brief, err error) {
	var raw []*rawBrief
	if err := db.each(ctx, "SELECT "+briefColumns+" FROM record r WHERE r.expires > $1 AND r.expires <= $2 AND r.marking <> 0 ORDER BY r.expires LIMIT $3", []any{from.UnixMicro(), to.UnixMicro(), limit}, func(r pgx.Rows) error {
		var b rawBrief
		raw = append(raw, &b)
		return r.Scan(b.into()...)
	}); err != nil {
		return nil, err
	}
	out, err = db.briefs(ctx, db.pool, raw)
	return out, db.fault("read", err)
}

// Due lists records of a kind that have not changed since t.
func (db *DB) Due(ctx context.Context, kind string, t time.Time, limit int) (ids []record.ID, err error) {
	n, err := db.number(ctx, kind)
	if err != nil || n == 0 {
		return nil, err
	}
	// Only blocks of rows in which something was recorded before t are visited.
	err = db.each(ctx, `SELECT r.id FROM (SELECT block FROM zone WHERE oldest < $1 ORDER BY block OFFSET 0) z
		CROSS JOIN LATERAL (SELECT r.id, r."row" FROM record r WHERE r."row" >= z.block << 10 AND r."row" < (z.block + 1) << 10 AND r.kind = $2 AND r.recorded < $1 AND r.marking <> 0 OFFSET 0) r
		ORDER BY z.block, r."row" LIMIT $3`, []any{t.UnixMicro(), n, limit}, func(r pgx.Rows) error {
		var id [16]byte
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// Linked lists records that link to one.
func (db *DB) Linked(ctx context.Context, to record.ID, limit int) (out []*store.Stored, err error) {
	var seqs []int64
	if err := db.each(ctx, `SELECT r.entry FROM (SELECT DISTINCT l."row" FROM link l WHERE l.target = $1 ORDER BY l."row" DESC OFFSET 0) l
		CROSS JOIN LATERAL (SELECT r.entry FROM record r WHERE r."row" = l."row" AND r.marking <> 0 OFFSET 0) r ORDER BY l."row" DESC LIMIT $2`, []any{[16]byte(to), limit}, func(r pgx.Rows) error {
		var seq int64
		err := r.Scan(&seq)
		seqs = append(seqs, seq)
		return err
	}); err != nil {
		return nil, err
	}
	m, err := db.stored(ctx, db.pool, seqs)
	if err != nil {
		return nil, db.fault("read", err)
	}
	for _, seq := range seqs {
		if s := m[seq]; s != nil && s.Record != nil {
			out = append(out, s)
		}
	}
	return out, nil
}

// Attached reports whether any record holds the attachment.
func (db *DB) Attached(ctx context.Context, hash string) (held bool, err error) {
	err = db.each(ctx, "SELECT true FROM attachment WHERE hash = $1 LIMIT 1", []any{hash}, func(r pgx.Rows) error { return r.Scan(&held) })
	return held, err
}

// Cursor returns a follower's position, 0 for a new one.
func (db *DB) Cursor(ctx context.Context, follower string) (seq int64, err error) {
	err = db.each(ctx, "SELECT seq FROM follower WHERE name = $1", []any{follower}, func(r pgx.Rows) error { return r.Scan(&seq) })
	return seq, err
}

// SetCursor stores a follower's position.
func (db *DB) SetCursor(ctx context.Context, follower string, seq int64) error {
	return db.onDuty(ctx, func(tx pgx.Tx) error { return setCursor(ctx, tx, follower, seq) })
}

func setCursor(ctx context.Context, tx pgx.Tx, follower string, seq int64) error {
	_, err := tx.Exec(ctx, "INSERT INTO follower(name, seq) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET seq = excluded.seq", follower, seq)
	return err
}

// Value returns a setting, nil when it was never set.
func (db *DB) Value(ctx context.Context, name string) (v []byte, err error) {
	err = db.each(ctx, "SELECT value FROM setting WHERE name = $1", []any{name}, func(r pgx.Rows) error { return r.Scan(&v) })
	return some(v), err
}

// SetValue stores a setting.
func (db *DB) SetValue(ctx context.Context, name string, value []byte) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO setting(name, value) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET value = excluded.value", name, value)
		return err
	})
}

// Rows counts the records of a kind.
func (db *DB) Rows(ctx context.Context, kind string) (n int64, err error) {
	k, err := db.number(ctx, kind)
	if err != nil || k == 0 {
		return 0, err
	}
	err = db.each(ctx, "SELECT n FROM tally WHERE kind = $1", []any{k}, func(r pgx.Rows) error { return r.Scan(&n) })
	return n, err
}
