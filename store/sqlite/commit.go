package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

// Commit writes the batch in one transaction: ledger entries, record rows,
// search rows, tree nodes and the checkpoint.
func (db *DB) Commit(ctx context.Context, b *store.Batch) error {
	w := writing{db: db, zones: map[int64]*zone{}, more: map[int64]int64{}}
	erases := false
	err := db.write(ctx, w.forget, func(c *sqlite.Conn) error {
		w.c = c
		for _, it := range b.Items {
			if !it.Erase.IsZero() {
				erases = true
			}
			if err := w.item(it); err != nil {
				return err
			}
		}
		if err := w.saveZones(); err != nil {
			return err
		}
		if err := w.saveTally(); err != nil {
			return err
		}
		if erases {
			if err := w.unclean(); err != nil {
				return err
			}
		}
		return w.saveTree(b)
	})
	if err != nil {
		return err
	}
	db.tally.Lock()
	for k, n := range w.more {
		db.tally.n[k] += n
	}
	db.tally.Unlock()
	db.tidy.wake(erases)
	return nil
}

// forget drops what the failed transaction interned.
func (w *writing) forget() {
	w.db.forget(w.fresh)
	w.db.markings.Lock()
	defer w.db.markings.Unlock()
	for _, k := range w.marks {
		delete(w.db.markings.n, k)
	}
}

// writing is one batch on its way into the database.
type writing struct {
	db    *DB
	c     *sqlite.Conn
	fresh []string // names interned in this transaction
	marks []string // markings interned in this transaction
	zones map[int64]*zone
	more  map[int64]int64 // rows added, by kind
}

func (w *writing) name(s string) int64 {
	n, err := w.db.intern(w.c, s, &w.fresh)
	if err != nil {
		panic(nameFailed{err})
	}
	return n
}

type nameFailed struct{ error }

func (w *writing) item(it *store.Item) (err error) {
	defer failed(&err)
	about, prev := about{}, int64(-1)
	if !it.Erase.IsZero() {
		if about, err = w.erase(it); err != nil {
			return err
		}
	}
	if it.Row != nil {
		if prev, err = w.row(it); err != nil {
			return err
		}
		about.kind, about.marking, about.row, about.expires = w.name(it.Row.Record.Kind), it.Row.Marking, it.Row.Row, it.Row.Record.Marking.Expires
	}
	if err := w.entry(it, about, prev); err != nil {
		return err
	}
	return w.apply(it.Ops)
}

// about says which record an entry concerns: by what an erased one was marked,
// those who could see it are told that it is gone.
type about struct {
	kind, marking, row int64
	expires            *time.Time
}

func (w *writing) entry(it *store.Item, a about, prev int64) error {
	e := &it.Entry
	st := w.c.Prep(`INSERT INTO entry(seq, at, type, agency, actor, record, version, kind, marking, row, prev, command, content, salt, keyid, sig, commitment, expires)
		VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	st.BindInt64(1, e.Seq)
	st.BindInt64(2, e.At.UnixMicro())
	st.BindInt64(3, w.name(e.Type))
	st.BindInt64(4, w.name(e.Agency))
	st.BindInt64(5, w.name(e.Actor))
	if e.Record == ([16]byte{}) {
		st.BindNull(6)
	} else {
		st.BindBytes(6, e.Record[:])
	}
	st.BindInt64(7, int64(e.Version))
	st.BindInt64(8, a.kind)
	st.BindInt64(9, a.marking)
	st.BindInt64(10, a.row)
	st.BindInt64(11, prev)
	if it.Command.IsZero() {
		st.BindNull(12)
	} else {
		st.BindBytes(12, it.Command[:])
	}
	st.BindBytes(13, e.Content)
	st.BindBytes(14, e.Salt)
	st.BindInt64(15, w.name(e.KeyID))
	if len(e.Sig) == 0 {
		st.BindNull(16)
	} else {
		st.BindBytes(16, e.Sig)
	}
	st.BindBytes(17, e.Commitment[:])
	if a.expires == nil {
		st.BindNull(18)
	} else {
		st.BindInt64(18, a.expires.UnixMicro())
	}
	return run(st)
}

// row writes the record's newest version and what it is found by. It returns
// the ledger position of the version before, -1 for none.
func (w *writing) row(it *store.Item) (prev int64, err error) {
	r := it.Row
	rec := r.Record
	if r.Marking, err = w.marking(rec.Owner, &rec.Marking); err != nil {
		return 0, err
	}
	was, err := w.before(r)
	if err != nil {
		return 0, err
	}
	prev = was.entry
	const columns = `kind, marking, state, version, entry, observed, recorded, expires, open, author, w, s, e, n, uncertainty, title, facet, id`
	var st *sqlite.Stmt
	if !was.there {
		st = w.c.Prep(`INSERT INTO record(` + columns + `) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)`)
	} else {
		st = w.c.Prep(`UPDATE record SET (` + columns + `) = (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18) WHERE row = ?19`)
		st.BindInt64(19, r.Row)
	}
	st.BindInt64(1, w.name(rec.Kind))
	st.BindInt64(2, r.Marking)
	st.BindInt64(3, w.name(rec.State))
	st.BindInt64(4, int64(rec.Version))
	st.BindInt64(5, it.Entry.Seq)
	st.BindInt64(6, rec.Observed.UnixMicro())
	st.BindInt64(7, rec.Recorded.UnixMicro())
	if rec.Marking.Expires == nil {
		st.BindNull(8)
	} else {
		st.BindInt64(8, rec.Marking.Expires.UnixMicro())
	}
	st.BindBool(9, r.Open)
	st.BindInt64(10, w.name(rec.Author))
	if r.Box == nil {
		for i := 11; i <= 15; i++ {
			st.BindNull(i)
		}
	} else {
		st.BindFloat(11, r.Box.W)
		st.BindFloat(12, r.Box.S)
		st.BindFloat(13, r.Box.E)
		st.BindFloat(14, r.Box.N)
		st.BindFloat(15, rec.Place.Uncertainty)
	}
	st.BindText(16, r.Title)
	st.BindText(17, index.FacetText(r))
	st.BindBytes(18, rec.ID[:])
	if err := run(st); err != nil {
		if sqlite.ErrCode(err) == sqlite.ResultConstraintUnique {
			return 0, record.Errorf(record.Conflict, "store.commit", "record %s exists already", rec.ID)
		}
		return 0, err
	}
	if !was.there {
		r.Row = w.c.LastInsertRowID()
	}
	if !was.there || was.erased {
		w.more[w.name(rec.Kind)]++
	}
	w.zone(r.Row, rec.Observed.UnixMicro(), rec.Recorded.UnixMicro())
	if err := w.found(r, was.there); err != nil {
		return 0, err
	}
	return prev, w.relations(r, was.there)
}

// before is the row that a version is about to replace.
type before struct {
	there  bool
	erased bool  // purged, of a foreign record; it comes back
	entry  int64 // ledger position of its version, -1 for none
}

// before checks that nothing came between. Of our own records the version
// follows the one that is there; of a foreign one it is as new or newer.
func (w *writing) before(r *store.Row) (before, error) {
	rec, none := r.Record, before{entry: -1}
	if rec.Version == 1 && !r.Foreign {
		return none, nil // should it be there nevertheless, the insert fails
	}
	st := w.c.Prep("SELECT row, version, entry, marking FROM record WHERE id = ?")
	st.BindBytes(1, rec.ID[:])
	ok, err := st.Step()
	defer st.Reset()
	if err != nil {
		return none, err
	}
	version := st.ColumnInt(1)
	switch {
	case r.Foreign && !ok:
		return none, nil
	case r.Foreign && version <= rec.Version || !r.Foreign && ok && version == rec.Version-1:
		r.Row, r.Previous = st.ColumnInt64(0), st.ColumnInt64(3)
		return before{there: true, erased: r.Previous == 0, entry: st.ColumnInt64(2)}, nil
	}
	return none, record.Errorf(record.Conflict, "store.commit", "record %s has changed", rec.ID)
}

// found writes the words of a version; replace says that there may be those of another.
func (w *writing) found(r *store.Row, replace bool) error {
	q := "INSERT INTO search(rowid, words) VALUES(?,?)"
	if replace {
		q = "INSERT OR REPLACE INTO search(rowid, words) VALUES(?,?)"
	}
	st := w.c.Prep(q)
	st.BindInt64(1, r.Row)
	st.BindText(2, index.Words(r, r.Marking))
	return run(st)
}

func (w *writing) relations(r *store.Row, replace bool) error {
	if replace {
		// Attachments stay held until the record is erased: what an edit takes off
		// the newest version is still part of an older one.
		st := w.c.Prep("DELETE FROM link WHERE row = ?")
		st.BindInt64(1, r.Row)
		if err := run(st); err != nil {
			return err
		}
	}
	for _, l := range r.Record.Links {
		st := w.c.Prep("INSERT OR IGNORE INTO link(target, row, rel) VALUES(?,?,?)")
		st.BindBytes(1, l.ID[:])
		st.BindInt64(2, r.Row)
		st.BindText(3, l.Rel)
		if err := run(st); err != nil {
			return err
		}
	}
	for _, a := range r.Record.Attachments {
		st := w.c.Prep("INSERT OR IGNORE INTO attachment(hash, row) VALUES(?,?)")
		st.BindText(1, a.Hash)
		st.BindInt64(2, r.Row)
		if err := run(st); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) markingNumber(key string) int64 {
	db.markings.RLock()
	defer db.markings.RUnlock()
	return db.markings.n[key]
}

func (w *writing) marking(owner string, m *record.Marking) (int64, error) {
	key, cols := index.MarkingKey(owner, m)
	if n := w.db.markingNumber(key); n != 0 {
		return n, nil
	}
	st := w.c.Prep("INSERT INTO marking(owner, tlp, audience, persons, caveats) VALUES(?,?,?,?,?)")
	for i, c := range cols {
		st.BindText(i+1, c)
	}
	if err := run(st); err != nil {
		return 0, err
	}
	n := w.c.LastInsertRowID()
	w.db.markings.Lock()
	w.db.markings.n[key] = n
	w.db.markings.Unlock()
	w.marks = append(w.marks, key)
	return n, nil
}

func (w *writing) zone(row, observed, recorded int64) {
	z := w.zones[row>>10]
	if z == nil {
		w.zones[row>>10] = &zone{observed, observed, recorded, recorded}
		return
	}
	z.lo, z.hi = min(z.lo, observed), max(z.hi, observed)
	z.oldest, z.newest = min(z.oldest, recorded), max(z.newest, recorded)
}

func (w *writing) saveZones() error {
	w.db.spans.Lock()
	for block, z := range w.zones {
		w.db.spans.widen(block, z)
	}
	w.db.spans.Unlock()
	for block, z := range w.zones {
		st := w.c.Prep(`INSERT INTO zone(block, lo, hi, newest, oldest) VALUES(?,?,?,?,?) ON CONFLICT(block) DO UPDATE
			SET lo = min(lo, excluded.lo), hi = max(hi, excluded.hi), newest = max(newest, excluded.newest), oldest = min(oldest, excluded.oldest)`)
		st.BindInt64(1, block)
		st.BindInt64(2, z.lo)
		st.BindInt64(3, z.hi)
		st.BindInt64(4, z.newest)
		st.BindInt64(5, z.oldest)
		if err := run(st); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) saveTally() error {
	for kind, n := range w.more {
		st := w.c.Prep("INSERT INTO tally(kind, n) VALUES(?,?) ON CONFLICT(kind) DO UPDATE SET n = n + excluded.n")
		bind(st, kind, n)
		if err := run(st); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) saveTree(b *store.Batch) error {
	for _, n := range b.Nodes {
		st := w.c.Prep("INSERT INTO node(level, n, hash) VALUES(?,?,?)")
		st.BindInt64(1, int64(n.Level))
		st.BindInt64(2, n.Index)
		st.BindBytes(3, n.Hash[:])
		if err := run(st); err != nil {
			return err
		}
	}
	if len(b.Items) == 0 {
		return nil
	}
	size := b.Items[len(b.Items)-1].Entry.Seq + 1
	qs := []string{"INSERT INTO head(one, size, note) VALUES(1, ?, ?) ON CONFLICT(one) DO UPDATE SET size = excluded.size, note = excluded.note"}
	if b.Keep {
		qs = append(qs, "INSERT OR REPLACE INTO checkpoint(size, note) VALUES(?,?)")
	}
	for _, q := range qs {
		st := w.c.Prep(q)
		st.BindInt64(1, size)
		st.BindBytes(2, b.Checkpoint)
		if err := run(st); err != nil {
			return err
		}
	}
	return nil
}

// erase removes the content of every version of a record: the header, the
// digest and the commitment stay. Its words leave the index's segments
// afterwards, see clean.go.
func (w *writing) erase(it *store.Item) (a about, err error) {
	st := w.c.Prep("SELECT row, entry, kind, marking, expires FROM record WHERE id = ? AND marking <> 0")
	st.BindBytes(1, it.Erase[:])
	ok, err := st.Step()
	if err != nil || !ok {
		st.Reset()
		if err == nil {
			err = record.Errorf(record.NotFound, "store.erase", "there is no such record")
		}
		return a, err
	}
	row, seq := st.ColumnInt64(0), st.ColumnInt64(1)
	a = about{kind: st.ColumnInt64(2), marking: st.ColumnInt64(3), row: row, expires: maybeMicro(st, 4)}
	w.more[a.kind]--
	st.Reset()
	for seq >= 0 {
		l, prev, err := w.db.loadEntry(w.c, seq)
		if err != nil {
			return a, err
		}
		e, err := l.Entry.Erase(nil)
		if err != nil {
			return a, err
		}
		up := w.c.Prep("UPDATE entry SET content = NULL, salt = NULL, sig = NULL, digest = ?, command = NULL WHERE seq = ?")
		up.BindBytes(1, e.Digest[:])
		up.BindInt64(2, seq)
		if err := run(up); err != nil {
			return a, err
		}
		seq = prev
	}
	var attached []string
	st = w.c.Prep("SELECT hash FROM attachment WHERE row = ?")
	st.BindInt64(1, row)
	if err := each(st, func(st *sqlite.Stmt) error { attached = append(attached, st.ColumnText(0)); return nil }); err != nil {
		return a, err
	}
	for _, q := range []string{
		"UPDATE record SET marking = 0, title = '', facet = '', open = 0, w = NULL, s = NULL, e = NULL, n = NULL, uncertainty = NULL WHERE row = ?",
		"DELETE FROM search WHERE rowid = ?", "DELETE FROM link WHERE row = ?", "DELETE FROM attachment WHERE row = ?",
	} {
		st := w.c.Prep(q)
		st.BindInt64(1, row)
		if err := run(st); err != nil {
			return a, err
		}
	}
	for _, hash := range attached {
		held := false
		st := w.c.Prep("SELECT 1 FROM attachment WHERE hash = ? LIMIT 1")
		st.BindText(1, hash)
		if err := each(st, func(*sqlite.Stmt) error { held = true; return nil }); err != nil {
			return a, err
		}
		if !held {
			it.Orphans = append(it.Orphans, hash)
		}
	}
	return a, nil
}

const entryColumns = "e.seq, e.at, e.type, e.agency, e.actor, e.record, e.version, e.kind, e.marking, e.row, e.prev, e.command, e.content, e.salt, e.keyid, e.sig, e.digest, e.commitment, e.expires"

func (db *DB) loadEntry(c *sqlite.Conn, seq int64) (*store.Logged, int64, error) {
	st := c.Prep("SELECT " + entryColumns + " FROM entry e WHERE e.seq = ?")
	st.BindInt64(1, seq)
	defer st.Reset()
	ok, err := st.Step()
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		return nil, 0, record.Errorf(record.NotFound, "store.entry", "there is no entry %d", seq)
	}
	return db.scanEntry(st), st.ColumnInt64(10), nil
}

func (db *DB) scanEntry(st *sqlite.Stmt) *store.Logged {
	l := &store.Logged{Entry: ledger.Entry{
		Seq: st.ColumnInt64(0), At: micro(st.ColumnInt64(1)), Type: db.nameOf(st.ColumnInt64(2)), Agency: db.nameOf(st.ColumnInt64(3)),
		Actor: db.nameOf(st.ColumnInt64(4)), Version: st.ColumnInt(6), Content: blob(st, 12), Salt: blob(st, 13), KeyID: db.nameOf(st.ColumnInt64(14)), Sig: blob(st, 15),
	}, Kind: db.nameOf(st.ColumnInt64(7)), Marking: st.ColumnInt64(8), Row: st.ColumnInt64(9), Expires: maybeMicro(st, 18)}
	st.ColumnBytes(5, l.Record[:])
	st.ColumnBytes(11, l.Command[:])
	st.ColumnBytes(16, l.Digest[:])
	st.ColumnBytes(17, l.Commitment[:])
	return l
}

func micro(us int64) time.Time { return time.UnixMicro(us).UTC() }

func maybeMicro(st *sqlite.Stmt, col int) *time.Time {
	if st.ColumnType(col) == sqlite.TypeNull {
		return nil
	}
	t := micro(st.ColumnInt64(col))
	return &t
}

func blob(st *sqlite.Stmt, col int) []byte {
	n := st.ColumnLen(col)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	st.ColumnBytes(col, b)
	return b
}

func decode(raw []byte) (*record.Record, error) {
	if raw == nil {
		return nil, nil
	}
	var r record.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("stored version cannot be read: %w", err)
	}
	return &r, nil
}
