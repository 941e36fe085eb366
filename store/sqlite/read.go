package sqlite

import (
	"context"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

// Head returns the ledger's size and newest checkpoint.
func (db *DB) Head(ctx context.Context) (size int64, note []byte, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return each(c.Prep("SELECT size, note FROM head"), func(st *sqlite.Stmt) error {
			size, note = st.ColumnInt64(0), blob(st, 1)
			return nil
		})
	})
	return size, note, err
}

// Leaves returns the commitments of entries from up to but not including to.
func (db *DB) Leaves(ctx context.Context, from, to int64) (hs []ledger.Hash, err error) {
	return db.hashes(ctx, "SELECT commitment FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq", from, to)
}

// Nodes returns complete subtrees of a level.
func (db *DB) Nodes(ctx context.Context, level int, from, to int64) (hs []ledger.Hash, err error) {
	return db.hashes(ctx, "SELECT hash FROM node WHERE level = ? AND n >= ? AND n < ? ORDER BY n", int64(level), from, to)
}

func (db *DB) hashes(ctx context.Context, q string, args ...int64) (hs []ledger.Hash, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep(q)
		for i, a := range args {
			st.BindInt64(i+1, a)
		}
		return each(st, func(st *sqlite.Stmt) error {
			var h ledger.Hash
			st.ColumnBytes(0, h[:])
			hs = append(hs, h)
			return nil
		})
	})
	return hs, err
}

// each steps through a statement's rows and makes it ready again.
func each(st *sqlite.Stmt, fn func(*sqlite.Stmt) error) error {
	defer st.Reset()
	for {
		ok, err := st.Step()
		if err != nil || !ok {
			return err
		}
		if err := fn(st); err != nil {
			return err
		}
	}
}

// Checkpoints calls fn with every kept checkpoint, oldest first, the newest last.
func (db *DB) Checkpoints(ctx context.Context, fn func(int64, []byte) error) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		return each(c.Prep("SELECT size, note FROM checkpoint UNION SELECT size, note FROM head ORDER BY size"), func(st *sqlite.Stmt) error {
			return fn(st.ColumnInt64(0), blob(st, 1))
		})
	})
}

const storedColumns = "r.row, e.seq, e.marking, e.content, e.keyid, e.sig, e.version, e.at, e.agency"

func (db *DB) scanStored(st *sqlite.Stmt) (*store.Stored, error) {
	s := &store.Stored{
		Row: st.ColumnInt64(0), Seq: st.ColumnInt64(1), Marking: st.ColumnInt64(2), Raw: blob(st, 3),
		KeyID: db.nameOf(st.ColumnInt64(4)), Sig: blob(st, 5), Version: st.ColumnInt(6), At: micro(st.ColumnInt64(7)), Owner: db.nameOf(st.ColumnInt64(8)),
	}
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

// Current returns the newest versions of many records; an erased one has no
// Record.
func (db *DB) Current(ctx context.Context, ids []record.ID) (map[record.ID]*store.Stored, error) {
	out := make(map[record.ID]*store.Stored, len(ids))
	err := db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT " + storedColumns + " FROM record r JOIN entry e ON e.seq = r.entry WHERE r.id = ?")
		for _, id := range ids {
			st.BindBytes(1, id[:])
			if err := each(st, func(st *sqlite.Stmt) (err error) {
				out[id], err = db.scanStored(st)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Versions returns every version of a record, oldest first.
func (db *DB) Versions(ctx context.Context, id record.ID) (out []*store.Stored, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT row, entry FROM record WHERE id = ?")
		st.BindBytes(1, id[:])
		seq := int64(-1)
		if err := each(st, func(st *sqlite.Stmt) error { seq = st.ColumnInt64(1); return nil }); err != nil {
			return err
		}
		for seq >= 0 {
			l, prev, err := db.loadEntry(c, seq)
			if err != nil {
				return err
			}
			s := &store.Stored{Row: l.Row, Seq: l.Seq, Marking: l.Marking, Raw: l.Content, KeyID: l.KeyID, Sig: l.Sig, Version: l.Version, Owner: l.Agency, At: l.At}
			if s.Record, err = decode(s.Raw); err != nil {
				return err
			}
			out = append(out, s)
			seq = prev
		}
		return nil
	})
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, err
}

// CommandEntry finds what a command did when it was first given.
func (db *DB) CommandEntry(ctx context.Context, command record.ID) (seq int64, err error) {
	seq = -1
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT seq FROM entry WHERE command = ?")
		st.BindBytes(1, command[:])
		return each(st, func(st *sqlite.Stmt) error { seq = st.ColumnInt64(0); return nil })
	})
	return seq, err
}

// Entries calls fn for ledger entries in order.
func (db *DB) Entries(ctx context.Context, from, to int64, fn func(*store.Logged) bool) error {
	if to < 0 {
		to = 1<<62 - 1
	}
	for from < to {
		n, stop := 0, false
		err := db.Read(ctx, func(c *sqlite.Conn) error {
			st := c.Prep("SELECT " + entryColumns + ", p.marking, p.expires FROM entry e LEFT JOIN entry p ON p.seq = e.prev WHERE e.seq >= ? AND e.seq < ? ORDER BY e.seq LIMIT ?")
			st.BindInt64(1, from)
			st.BindInt64(2, to)
			st.BindInt64(3, chunk)
			return each(st, func(st *sqlite.Stmt) error {
				if stop {
					return nil
				}
				l := db.scanEntry(st)
				l.Previous, l.PreviousExpires = st.ColumnInt64(19), maybeMicro(st, 20)
				from = l.Seq + 1
				n++
				stop = !fn(l)
				return nil
			})
		})
		if err != nil || stop || n < chunk {
			return err
		}
	}
	return nil
}

// Log returns ledger entries newest first.
func (db *DB) Log(ctx context.Context, q *store.LogQuery) (out []*store.Logged, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	before := q.Before
	if before <= 0 {
		before = 1<<62 - 1
	}
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		var where []string
		var args []any
		add := func(cond string, a ...any) {
			where = append(where, cond)
			args = append(args, a...)
		}
		add("e.seq < ?", before)
		if !q.Record.IsZero() {
			// changes are found by the chain of versions, the rest by index
			add(`e.seq IN (SELECT seq FROM entry WHERE record = ? AND type <> 1
				UNION ALL SELECT seq FROM (WITH RECURSIVE v(seq) AS (SELECT entry FROM record WHERE id = ? UNION ALL SELECT x.prev FROM entry x JOIN v ON x.seq = v.seq WHERE x.prev >= 0) SELECT seq FROM v))`,
				q.Record[:], q.Record[:])
		}
		if q.Actor != "" {
			add("e.actor = ?", db.number(q.Actor))
		}
		if q.Agencies != nil {
			add("e.agency IN (SELECT value FROM json_each(?))", list(db.numbers(q.Agencies)))
		}
		if q.Types != nil {
			add("e.type IN (SELECT value FROM json_each(?))", list(db.numbers(q.Types)))
		}
		if !q.From.IsZero() {
			add("e.at >= ?", q.From.UnixMicro())
		}
		if !q.To.IsZero() {
			add("e.at < ?", q.To.UnixMicro())
		}
		st, err := c.Prepare("SELECT " + entryColumns + ", p.marking, p.expires FROM entry e LEFT JOIN entry p ON p.seq = e.prev WHERE " + strings.Join(where, " AND ") + " ORDER BY e.seq DESC LIMIT ?")
		if err != nil {
			return err
		}
		bind(st, append(args, int64(limit))...)
		return each(st, func(st *sqlite.Stmt) error {
			l := db.scanEntry(st)
			l.Previous, l.PreviousExpires = st.ColumnInt64(19), maybeMicro(st, 20)
			out = append(out, l)
			return nil
		})
	})
	return out, err
}

func (db *DB) numbers(names []string) []int64 {
	out := []int64{}
	for _, s := range names {
		if n := db.number(s); n != 0 {
			out = append(out, n)
		}
	}
	return out
}

func bind(st *sqlite.Stmt, args ...any) {
	for i, a := range args {
		switch v := a.(type) {
		case int64:
			st.BindInt64(i+1, v)
		case int:
			st.BindInt64(i+1, int64(v))
		case string:
			st.BindText(i+1, v)
		case float64:
			st.BindFloat(i+1, v)
		case bool:
			st.BindBool(i+1, v)
		case []byte:
			st.BindBytes(i+1, v)
		default:
			panic("sqlite: bind")
		}
	}
}

func scanMarking(st *sqlite.Stmt) *store.Marking {
	return &store.Marking{N: st.ColumnInt64(0), Owner: st.ColumnText(1), Marking: record.Marking{
		TLP: record.TLP(st.ColumnText(2)), To: strings.Fields(st.ColumnText(3)), Persons: strings.Fields(st.ColumnText(4)), Caveats: strings.Fields(st.ColumnText(5)),
	}}
}

const allMarkings = "SELECT n, owner, tlp, audience, persons, caveats FROM marking WHERE n > ? ORDER BY n"

// Markings calls fn for every interned marking after a number.
func (db *DB) Markings(ctx context.Context, after int64, fn func(*store.Marking) error) error {
	return db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep(allMarkings)
		st.BindInt64(1, after)
		return each(st, func(st *sqlite.Stmt) error { return fn(scanMarking(st)) })
	})
}

func (db *DB) loadMarkings() error {
	st := db.writer.Prep(allMarkings)
	st.BindInt64(1, 0)
	return each(st, func(st *sqlite.Stmt) error {
		m := scanMarking(st)
		key, _ := index.MarkingKey(m.Owner, &m.Marking)
		db.markings.Lock()
		db.markings.n[key] = m.N
		db.markings.Unlock()
		return nil
	})
}

// Expired lists records whose marking expired in a span of time.
func (db *DB) Expired(ctx context.Context, from, to time.Time, limit int) (out []*store.Brief, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT " + briefColumns + " FROM record r WHERE r.expires > ? AND r.expires <= ? AND r.marking <> 0 ORDER BY r.expires LIMIT ?")
		bind(st, from.UnixMicro(), to.UnixMicro(), limit)
		return each(st, func(st *sqlite.Stmt) error { out = append(out, db.scanBrief(st)); return nil })
	})
	return out, err
}

// Due lists records of a kind that have not changed since t.
func (db *DB) Due(ctx context.Context, kind string, t time.Time, limit int) (ids []record.ID, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		// Only blocks of rows in which something was recorded before t are visited.
		st := c.Prep(`SELECT r.id FROM zone z CROSS JOIN record r NOT INDEXED ON r.row BETWEEN z.block << 10 AND (z.block << 10) + 1023
			WHERE z.oldest < ?1 AND r.kind = ?2 AND r.recorded < ?1 AND r.marking <> 0 ORDER BY z.block, r.row LIMIT ?3`)
		bind(st, t.UnixMicro(), db.number(kind), limit)
		return each(st, func(st *sqlite.Stmt) error {
			var id record.ID
			st.ColumnBytes(0, id[:])
			ids = append(ids, id)
			return nil
		})
	})
	return ids, err
}

// Linked lists records that link to one.
func (db *DB) Linked(ctx context.Context, to record.ID, limit int) (out []*store.Stored, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT " + storedColumns + " FROM (SELECT DISTINCT row FROM link WHERE target = ?) l JOIN record r ON r.row = l.row JOIN entry e ON e.seq = r.entry WHERE r.marking <> 0 ORDER BY r.row DESC LIMIT ?")
		bind(st, to[:], limit)
		return each(st, func(st *sqlite.Stmt) error {
			s, err := db.scanStored(st)
			out = append(out, s)
			return err
		})
	})
	return out, err
}

// Cursor returns a follower's position, 0 for a new one.
func (db *DB) Cursor(ctx context.Context, follower string) (seq int64, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT seq FROM follower WHERE name = ?")
		st.BindText(1, follower)
		return each(st, func(st *sqlite.Stmt) error { seq = st.ColumnInt64(0); return nil })
	})
	return seq, err
}

// SetCursor stores a follower's position.
func (db *DB) SetCursor(ctx context.Context, follower string, seq int64) error {
	return db.Write(ctx, func(c *sqlite.Conn) error { return setCursor(c, follower, seq) })
}

func setCursor(c *sqlite.Conn, follower string, seq int64) error {
	st := c.Prep("INSERT INTO follower(name, seq) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET seq = excluded.seq")
	bind(st, follower, seq)
	return run(st)
}

// Value returns a setting, nil when it was never set.
func (db *DB) Value(ctx context.Context, name string) (v []byte, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT value FROM setting WHERE name = ?")
		st.BindText(1, name)
		return each(st, func(st *sqlite.Stmt) error { v = blob(st, 0); return nil })
	})
	return v, err
}

// SetValue stores a setting.
func (db *DB) SetValue(ctx context.Context, name string, value []byte) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("INSERT INTO setting(name, value) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value = excluded.value")
		bind(st, name, value)
		return run(st)
	})
}

// Rows counts the records of a kind.
func (db *DB) Rows(_ context.Context, kind string) (int64, error) {
	db.tally.Lock()
	defer db.tally.Unlock()
	return db.tally.n[db.number(kind)], nil
}

// Attached reports whether any record holds the attachment.
func (db *DB) Attached(ctx context.Context, hash string) (held bool, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		st := c.Prep("SELECT 1 FROM attachment WHERE hash = ? LIMIT 1")
		st.BindText(1, hash)
		return each(st, func(*sqlite.Stmt) error { held = true; return nil })
	})
	return held, err
}
