package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

// Commit writes the batch in this process's turn, or takes one for it.
func (db *DB) Commit(ctx context.Context, b *store.Batch) (err error) {
	t := db.take()
	if t == nil {
		if _, err := db.Turn(ctx); err != nil {
			return err
		}
		t = db.take()
	}
	defer func() { <-db.pen }()
	w := writing{db: db, ctx: ctx, t: t, was: map[record.ID]*before{}, zones: map[int64]*zone{}, more: map[int64]int64{}, marks: map[string]int64{}}
	if err := w.batch(b); err != nil {
		t.rollback()
		return db.fault("commit", w.conflict(err))
	}
	if err := db.commit(ctx, t, b); err != nil {
		return db.fault("commit", err)
	}
	db.markings.Lock()
	for k, n := range w.marks {
		db.markings.n[k] = n
	}
	db.markings.Unlock()
	if n := len(b.Items); n > 0 {
		db.notOlder(b.Items[n-1].Entry.Seq + 1)
	}
	return nil
}

// writing is one batch on its way into the database. What it writes collects in
// columns, and goes out as one message.
type writing struct {
	db  *DB
	ctx context.Context
	t   *turn

	was   map[record.ID]*before
	zones map[int64]*zone
	more  map[int64]int64  // rows added, by kind
	marks map[string]int64 // markings interned
	news  []*marking

	entries  columns
	commands columns
	added    columns // record rows
	changed  columns
	words    map[int64]*columns // by partition
	reworded map[int64]*columns
	links    columns
	unlinked []int64
	attached columns
}

type zone struct{ lo, hi, newest, oldest int64 }

type marking struct {
	n    int64
	cols [5]string
}

// before is what stands of a record before a version.
type before struct {
	there               bool
	row, version, entry int64
	kind, marking       int64
	expires             *int64
	words               bool // the index has a row for it
}

// conflict says which uniqueness was violated.
func (w *writing) conflict(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		switch {
		case pg.ConstraintName == "record_id_key":
			return record.Errorf(record.Conflict, "store.commit", "a record of this identifier exists already")
		case pg.ConstraintName == "command_pkey":
			return record.Errorf(record.Conflict, "store.commit", "a command of this identifier was given before")
		}
	}
	return err
}

func (w *writing) batch(b *store.Batch) error {
	if n := len(b.Items); n > 0 {
		if first := b.Items[0].Entry.Seq; first != w.t.Size {
			return record.Errorf(record.Conflict, "store.commit", "the ledger has %d entries; this batch begins at %d", w.t.Size, first)
		}
		if err := w.db.parts.ensure(w.ctx, w.db.pool, w.t.Size+int64(n), w.t.rows+1+int64(n)); err != nil {
			return err
		}
	}
	if err := w.names(b); err != nil {
		return err
	}
	if err := w.load(b); err != nil {
		return err
	}
	ops := w.t.Ops
	for _, it := range b.Items {
		if err := w.item(it); err != nil {
			return err
		}
		if len(it.Ops) > 0 {
			if slices.ContainsFunc(it.Ops, store.Rests) {
				ops = it.Entry.Seq + 1
			}
			if err := w.flush(); err != nil {
				return err
			}
			for _, op := range it.Ops {
				if err := w.db.applyOp(w.ctx, w.t.conn, op); err != nil {
					return err
				}
			}
		}
	}
	return w.finish(b, ops)
}

// names interns everything that the batch names.
func (w *writing) names(b *store.Batch) error {
	set := map[string]bool{}
	for _, it := range b.Items {
		e := &it.Entry
		set[e.Type], set[e.Agency], set[e.Actor], set[e.KeyID] = true, true, true, true
		if it.Row != nil {
			r := it.Row.Record
			set[r.Kind], set[r.State], set[r.Author] = true, true, true
		}
	}
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	return w.db.intern(w.ctx, list)
}

func (w *writing) name(s string) int64 {
	w.db.names.RLock()
	defer w.db.names.RUnlock()
	return w.db.names.n[s]
}

// load reads what stands of the records that the batch changes.
func (w *writing) load(b *store.Batch) error {
	var ids [][16]byte
	for _, it := range b.Items {
		if it.Row != nil && (it.Row.Record.Version > 1 || it.Row.Foreign) {
			ids = append(ids, it.Row.Record.ID)
		}
		if !it.Erase.IsZero() {
			ids = append(ids, it.Erase)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return eachOn(w.ctx, w.t.conn, `SELECT id, "row", version, entry, kind, marking, expires FROM record WHERE id = ANY($1)`, []any{ids}, func(r pgx.Rows) error {
		var id [16]byte
		s := &before{there: true}
		err := r.Scan(&id, &s.row, &s.version, &s.entry, &s.kind, &s.marking, &s.expires)
		s.words = s.marking != 0
		w.was[id] = s
		return err
	})
}

func (w *writing) item(it *store.Item) error {
	about, prev := before{}, int64(-1)
	if !it.Erase.IsZero() {
		if err := w.flush(); err != nil {
			return err
		}
		was, err := w.erase(it)
		if err != nil {
			return err
		}
		about = was
	}
	if it.Row != nil {
		var err error
		if prev, err = w.row(it); err != nil {
			return err
		}
		about = *w.was[it.Row.Record.ID]
	}
	e := &it.Entry
	var rec, command, sig any
	if e.Record != ([16]byte{}) {
		rec = e.Record
	}
	if !it.Command.IsZero() {
		command = [16]byte(it.Command)
		w.commands.add(command, e.Seq)
	}
	if len(e.Sig) > 0 {
		sig = e.Sig
	}
	w.entries.add(e.Seq, e.At.UnixMicro(), w.name(e.Type), w.name(e.Agency), w.name(e.Actor), rec, int64(e.Version), about.kind, about.marking, about.row, prev,
		command, e.Content, e.Salt, w.name(e.KeyID), sig, e.Commitment[:], about.expires)
	return nil
}

// row takes down the record's newest version and what it is found by. It returns
// the ledger position of the version before, -1 for none.
func (w *writing) row(it *store.Item) (prev int64, err error) {
	r := it.Row
	rec := r.Record
	if r.Marking, err = w.marking(rec.Owner, &rec.Marking); err != nil {
		return 0, err
	}
	was := w.was[rec.ID]
	switch {
	case was == nil && (rec.Version == 1 || r.Foreign):
		was = &before{entry: -1}
		w.was[rec.ID] = was
	case was != nil && r.Foreign && was.version <= int64(rec.Version), was != nil && !r.Foreign && was.version == int64(rec.Version)-1:
	case was != nil && rec.Version == 1:
		return 0, record.Errorf(record.Conflict, "store.commit", "record %s exists already", rec.ID)
	default:
		return 0, record.Errorf(record.Conflict, "store.commit", "record %s has changed", rec.ID)
	}
	if was.there && was.entry >= w.t.Size { // twice in one batch
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	prev, r.Previous = was.entry, was.marking
	kind := w.name(rec.Kind)
	if !was.there {
		w.t.rows++
		r.Row = w.t.rows
	} else {
		r.Row = was.row
	}
	if !was.there || was.marking == 0 {
		w.more[kind]++
	}
	var expires *int64
	if rec.Marking.Expires != nil {
		us := rec.Marking.Expires.UnixMicro()
		expires = &us
	}
	var west, south, east, north, uncertainty any
	if r.Box != nil {
		west, south, east, north, uncertainty = r.Box.W, r.Box.S, r.Box.E, r.Box.N, rec.Place.Uncertainty
	}
	to := &w.changed
	if !was.there {
		to = &w.added
	}
	to.add(r.Row, [16]byte(rec.ID), kind, r.Marking, w.name(rec.State), int64(rec.Version), it.Entry.Seq, rec.Observed.UnixMicro(), rec.Recorded.UnixMicro(), expires, r.Open,
		w.name(rec.Author), west, south, east, north, uncertainty, r.Title, index.FacetText(r))
	text := vector(index.Words(r, r.Marking))
	part := r.Row / searchSpan
	if was.words {
		w.reworded = put(w.reworded, part, r.Row, text)
	} else {
		w.words = put(w.words, part, r.Row, text)
	}
	if was.there {
		// Attachments stay held until the record is erased: what an edit takes off
		// the newest version is still part of an older one.
		w.unlinked = append(w.unlinked, r.Row)
	}
	for _, l := range rec.Links {
		w.links.add([16]byte(l.ID), r.Row, l.Rel)
	}
	for _, a := range rec.Attachments {
		w.attached.add(a.Hash, r.Row)
	}
	w.zone(r.Row, rec.Observed.UnixMicro(), rec.Recorded.UnixMicro())
	*was = before{there: true, row: r.Row, version: int64(rec.Version), entry: it.Entry.Seq, kind: kind, marking: r.Marking, expires: expires, words: true}
	return prev, nil
}

func put(m map[int64]*columns, part, row int64, text string) map[int64]*columns {
	if m == nil {
		m = map[int64]*columns{}
	}
	if m[part] == nil {
		m[part] = &columns{}
	}
	m[part].add(row, text)
	return m
}

func (w *writing) marking(owner string, m *record.Marking) (int64, error) {
	key, cols := index.MarkingKey(owner, m)
	if n := w.marks[key]; n != 0 {
		return n, nil
	}
	if n, err := w.db.markingNumber(w.ctx, owner, m); n != 0 || err != nil {
		return n, err
	}
	w.t.markings++
	w.marks[key] = w.t.markings
	w.news = append(w.news, &marking{w.t.markings, cols})
	return w.t.markings, nil
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

// columns collects rows for one statement, which gets each column as an array.
type columns struct{ rows [][]any }

func (c *columns) add(row ...any) { c.rows = append(c.rows, row) }

// arrays turns rows into columns. Each letter of types is one: i bigint, u uuid,
// b bytea, t text, f float8, o boolean.
func (c *columns) arrays(types string) []any {
	out := make([]any, len(types))
	for k, t := range types {
		switch t {
		case 'i':
			out[k] = column(c.rows, k, func(v any) *int64 {
				switch v := v.(type) {
				case int64:
					return &v
				case *int64:
					return v
				}
				return nil
			})
		case 'u':
			out[k] = column(c.rows, k, func(v any) pgtype.UUID {
				id, ok := v.([16]byte)
				return pgtype.UUID{Bytes: id, Valid: ok}
			})
		case 'b':
			out[k] = column(c.rows, k, func(v any) []byte { b, _ := v.([]byte); return b })
		case 't':
			out[k] = column(c.rows, k, func(v any) string { return v.(string) })
		case 'f':
			out[k] = column(c.rows, k, func(v any) *float64 {
				if f, ok := v.(float64); ok {
					return &f
				}
				return nil
			})
		case 'o':
			out[k] = column(c.rows, k, func(v any) bool { return v.(bool) })
		}
	}
	return out
}

func column[T any](rows [][]any, k int, of func(any) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = of(r[k])
	}
	return out
}

const (
	entryTypes  = "iiiiiuiiiiiubbibbi"
	insertEntry = `INSERT INTO entry(seq, at, type, agency, actor, record, version, kind, marking, "row", prev, command, content, salt, keyid, sig, commitment, expires)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
			$12::uuid[], $13::bytea[], $14::bytea[], $15::bigint[], $16::bytea[], $17::bytea[], $18::bigint[])`
	recordTypes  = "iuiiiiiiiioiffffftt"
	recordArrays = `unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[],
			$12::bigint[], $13::float8[], $14::float8[], $15::float8[], $16::float8[], $17::float8[], $18::text[], $19::text[])`
	insertRecord = `INSERT INTO record("row", id, kind, marking, state, version, entry, observed, recorded, expires, open, author, w, s, e, n, uncertainty, title, facet)
		SELECT * FROM ` + recordArrays
	updateRecord = `UPDATE record r SET (kind, marking, state, version, entry, observed, recorded, expires, open, author, w, s, e, n, uncertainty, title, facet)
		= (u.c3, u.c4, u.c5, u.c6, u.c7, u.c8, u.c9, u.c10, u.c11, u.c12, u.c13, u.c14, u.c15, u.c16, u.c17, u.c18, u.c19)
		FROM ` + recordArrays + ` AS u(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19) WHERE r."row" = u.c1`
)

// insertWords is for one partition of the search index.
func insertWords(part int64) string {
	return `INSERT INTO ` + span("search", part) + `("row", words) SELECT u.r, u.t::tsvector FROM unnest($1::bigint[], $2::text[]) AS u(r, t)`
}

// flush writes what has collected.
func (w *writing) flush() error {
	var b pgx.Batch
	for _, m := range w.news {
		b.Queue("INSERT INTO marking(n, owner, tlp, audience, persons, caveats) VALUES($1, $2, $3, $4, $5, $6)", m.n, m.cols[0], m.cols[1], m.cols[2], m.cols[3], m.cols[4])
	}
	queue := func(c *columns, q, types string) {
		if len(c.rows) > 0 {
			b.Queue(q, c.arrays(types)...)
		}
	}
	queue(&w.entries, insertEntry, entryTypes)
	queue(&w.commands, "INSERT INTO command(id, seq) SELECT * FROM unnest($1::uuid[], $2::bigint[])", "ui")
	queue(&w.added, insertRecord, recordTypes)
	queue(&w.changed, updateRecord, recordTypes)
	for part, c := range w.words {
		queue(c, insertWords(part), "it")
	}
	for part, c := range w.reworded {
		queue(c, `UPDATE `+span("search", part)+` s SET words = u.t::tsvector FROM unnest($1::bigint[], $2::text[]) AS u(r, t) WHERE s."row" = u.r`, "it")
	}
	if len(w.unlinked) > 0 {
		b.Queue(`DELETE FROM link WHERE "row" = ANY($1)`, w.unlinked)
	}
	queue(&w.links, `INSERT INTO link(target, "row", rel) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING`, "uit")
	queue(&w.attached, `INSERT INTO attachment(hash, "row") SELECT * FROM unnest($1::text[], $2::bigint[]) ON CONFLICT DO NOTHING`, "ti")
	w.news, w.unlinked, w.words, w.reworded = nil, nil, nil, nil
	for _, c := range []*columns{&w.entries, &w.commands, &w.added, &w.changed, &w.links, &w.attached} {
		c.rows = nil
	}
	if b.Len() == 0 {
		return nil
	}
	return w.t.conn.SendBatch(w.ctx, &b).Close()
}

// finish writes what there is once a batch.
func (w *writing) finish(b *store.Batch, ops int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	var q pgx.Batch
	for _, block := range slices.Sorted(maps.Keys(w.zones)) {
		z := w.zones[block]
		q.Queue(`INSERT INTO zone(block, lo, hi, newest, oldest) VALUES($1, $2, $3, $4, $5) ON CONFLICT(block) DO UPDATE
			SET lo = least(zone.lo, excluded.lo), hi = greatest(zone.hi, excluded.hi), newest = greatest(zone.newest, excluded.newest), oldest = least(zone.oldest, excluded.oldest)`,
			block, z.lo, z.hi, z.newest, z.oldest)
	}
	for kind, n := range w.more {
		q.Queue("INSERT INTO tally(kind, n) VALUES($1, $2) ON CONFLICT(kind) DO UPDATE SET n = tally.n + excluded.n", kind, n)
	}
	var nodes columns
	for _, n := range b.Nodes {
		nodes.add(int64(n.Level), n.Index, n.Hash[:])
	}
	if len(nodes.rows) > 0 {
		q.Queue("INSERT INTO node(level, n, hash) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])", nodes.arrays("iib")...)
	}
	if n := len(b.Items); n > 0 {
		size := b.Items[n-1].Entry.Seq + 1
		q.Queue("UPDATE head SET size = $1, note = $2, ops = $3, rows = $4, markings = $5", size, b.Checkpoint, ops, w.t.rows, w.t.markings)
		if b.Keep {
			q.Queue("INSERT INTO checkpoint(size, note) VALUES($1, $2) ON CONFLICT(size) DO UPDATE SET note = excluded.note", size, b.Checkpoint)
		}
	}
	return w.t.conn.SendBatch(w.ctx, &q).Close()
}

// erase removes the content of every version of a record: the header, the
// digest and the commitment stay. It returns what stood of it.
func (w *writing) erase(it *store.Item) (before, error) {
	was := w.was[it.Erase]
	if was == nil || was.marking == 0 {
		return before{}, record.Errorf(record.NotFound, "store.erase", "there is no such record")
	}
	w.more[was.kind]--
	var seqs []int64
	var digests [][]byte
	for seq := was.entry; seq >= 0; {
		l, prev, err := w.db.loadEntry(w.ctx, w.t.conn, seq)
		if err != nil {
			return before{}, err
		}
		e, err := l.Entry.Erase(nil)
		if err != nil {
			return before{}, err
		}
		seqs, digests = append(seqs, seq), append(digests, e.Digest[:])
		seq = prev
	}
	var attached []string
	var b pgx.Batch
	b.Queue(`DELETE FROM command WHERE id IN (SELECT command FROM entry WHERE seq = ANY($1))`, seqs)
	b.Queue(`UPDATE entry e SET content = NULL, salt = NULL, sig = NULL, digest = u.d, command = NULL FROM unnest($1::bigint[], $2::bytea[]) AS u(s, d) WHERE e.seq = u.s`, seqs, digests)
	b.Queue(`UPDATE record SET marking = 0, title = '', facet = '', open = false, w = NULL, s = NULL, e = NULL, n = NULL, uncertainty = NULL WHERE "row" = $1`, was.row)
	b.Queue(`DELETE FROM `+span("search", was.row/searchSpan)+` WHERE "row" = $1`, was.row)
	b.Queue(`DELETE FROM link WHERE "row" = $1`, was.row)
	b.Queue(`WITH gone AS (DELETE FROM attachment WHERE "row" = $1 RETURNING hash)
		SELECT hash FROM gone WHERE NOT EXISTS (SELECT FROM attachment a WHERE a.hash = gone.hash AND a."row" <> $1)`, was.row).Query(func(r pgx.Rows) error {
		for r.Next() {
			var hash string
			if err := r.Scan(&hash); err != nil {
				return err
			}
			attached = append(attached, hash)
		}
		return r.Err()
	})
	if err := w.t.conn.SendBatch(w.ctx, &b).Close(); err != nil {
		return before{}, err
	}
	it.Orphans = append(it.Orphans, attached...)
	about := *was
	was.marking, was.words = 0, false
	return about, nil
}

// vector writes words as a tsvector: words have their place, for phrases, terms
// that nobody can type have none.
func vector(words string) string {
	var sb strings.Builder
	sb.Grow(2 * len(words))
	n := 0
	for f := range strings.FieldsSeq(words) {
		if sb.Len() > maxVector {
			break
		}
		sb.WriteByte('\'')
		lexeme(&sb, f)
		sb.WriteByte('\'')
		if !strings.HasPrefix(f, store.Sign) {
			n++
			sb.WriteByte(':')
			sb.WriteString(strconv.Itoa(min(n, maxPlace)))
		}
		sb.WriteByte(' ')
	}
	return sb.String()
}

// Limits of a tsvector (PostgreSQL 15, 12.11).
const (
	maxVector = 900 << 10
	maxPlace  = 16383
	maxLexeme = 2046
)

// lexeme writes a word as it stands between quotes in a tsvector or tsquery.
func lexeme(sb *strings.Builder, word string) {
	for len(word) > maxLexeme {
		_, n := utf8.DecodeLastRuneInString(word)
		word = word[:len(word)-n]
	}
	for i := range len(word) {
		if word[i] == '\'' || word[i] == '\\' {
			sb.WriteByte(word[i])
		}
		sb.WriteByte(word[i])
	}
}

const entryColumns = `e.seq, e.at, e.type, e.agency, e.actor, e.record, e.version, e.kind, e.marking, e."row", e.prev, e.command, e.content, e.salt, e.keyid, e.sig, e.digest, e.commitment, e.expires`

// rawEntry is a row of table entry.
type rawEntry struct {
	seq, at, typ, agency, actor, version, kind, marking, row, prev, keyid int64
	record, command                                                       pgtype.UUID
	content, salt, sig, digest, commitment                                []byte
	expires                                                               *int64
}

// into are the places of entryColumns.
func (e *rawEntry) into() []any {
	return []any{&e.seq, &e.at, &e.typ, &e.agency, &e.actor, &e.record, &e.version, &e.kind, &e.marking, &e.row, &e.prev, &e.command, &e.content, &e.salt, &e.keyid, &e.sig, &e.digest, &e.commitment, &e.expires}
}

// names are the numbers that entry needs as texts; see known.
func (e *rawEntry) names() []int64 { return []int64{e.typ, e.agency, e.actor, e.kind, e.keyid} }

// entry makes the entry, when its names are known.
func (db *DB) entry(e *rawEntry) *store.Logged {
	l := &store.Logged{Entry: ledger.Entry{
		Seq: e.seq, At: micro(e.at), Type: db.nameOf(e.typ), Agency: db.nameOf(e.agency), Actor: db.nameOf(e.actor), Record: e.record.Bytes, Version: int(e.version),
		Content: some(e.content), Salt: some(e.salt), KeyID: db.nameOf(e.keyid), Sig: some(e.sig),
	}, Kind: db.nameOf(e.kind), Marking: e.marking, Row: e.row, Command: e.command.Bytes, Expires: maybeMicro(e.expires)}
	copy(l.Digest[:], e.digest)
	copy(l.Commitment[:], e.commitment)
	return l
}

// some is nil for what is empty.
func some(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func (db *DB) loadEntry(ctx context.Context, c querier, seq int64) (*store.Logged, int64, error) {
	var e rawEntry
	found := false
	if err := eachOn(ctx, c, "SELECT "+entryColumns+" FROM entry e WHERE e.seq = $1", []any{seq}, func(r pgx.Rows) error { found = true; return r.Scan(e.into()...) }); err != nil {
		return nil, 0, err
	}
	if !found {
		return nil, 0, record.Errorf(record.NotFound, "store.entry", "there is no entry %d", seq)
	}
	if err := db.known(ctx, db.pool, e.names()...); err != nil {
		return nil, 0, err
	}
	return db.entry(&e), e.prev, nil
}

func decode(raw []byte) (*record.Record, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var r record.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("stored version cannot be read: %w", err)
	}
	return &r, nil
}
