package store

import (
	"context"
	"math"
	"strings"

	"konbit/ledger"
	"konbit/record"
)

// Table is a table that every driver has, with the same columns, so that its rows
// can be copied from one engine to another. A value of a row is nil or of its column's type.
type Table struct {
	Name    string
	Columns []Column // those of the primary key first
	Key     int      // how many those are
	From    []any    // rows up to this key are in every new store; they are not copied
	Own     string   // keys that begin with it are a driver's own matter; they are not copied
}

// Column is one of a table's columns. Type is 'i' for int64, 'f' float64, 't' string,
// 'b' []byte, 'u' [16]byte (a UUID), 'o' bool.
type Column struct {
	Name string
	Type byte
}

// Tables are those that make a store: whatever is not derived from them. Left out are
// the search index, the head, what PostgreSQL derives from the entries, and what
// running processes tell each other. What a table refers to comes before it; what
// changes without a ledger entry comes last.
var Tables = []Table{
	{Name: "name", Key: 1, Columns: columns("n i, s t"), From: []any{int64(1)}}, // 1 is "change"
	{Name: "marking", Key: 1, Columns: columns("n i, owner t, tlp t, audience t, persons t, caveats t")},
	{Name: "entry", Key: 1, Columns: columns("seq i, at i, type i, agency i, actor i, record u, version i, kind i, marking i, row i, prev i, command u, content b, salt b, keyid i, sig b, digest b, commitment b, expires i")},
	{Name: "node", Key: 2, Columns: columns("level i, n i, hash b")},
	{Name: "checkpoint", Key: 1, Columns: columns("size i, note b")},
	{Name: "record", Key: 1, Columns: columns("row i, id u, kind i, marking i, state i, version i, entry i, observed i, recorded i, expires i, open o, author i, w f, s f, e f, n f, uncertainty f, title t, facet t")},
	{Name: "tally", Key: 1, Columns: columns("kind i, n i")},
	{Name: "zone", Key: 1, Columns: columns("block i, lo i, hi i, newest i, oldest i")},
	{Name: "link", Key: 3, Columns: columns("target u, row i, rel t")},
	{Name: "attachment", Key: 2, Columns: columns("hash t, row i")},
	{Name: "account_agency", Key: 1, Columns: columns("id t, name t, country t, contact t, local o, public_key b, created i, node t, old_keys t")},
	{Name: "account_community", Key: 2, Columns: columns("agency t, community t, joined i")},
	{Name: "account_person", Key: 1, Columns: columns("id t, name t, email t, lang t, theme t, disabled o, created i")},
	{Name: "account_grant", Key: 4, Columns: columns("person t, agency t, desk t, role t")},
	{Name: "account_clearance", Key: 2, Columns: columns("person t, caveat t")},
	{Name: "account_password", Key: 1, Columns: columns("person t, hash t")},
	{Name: "account_identity", Key: 2, Columns: columns("provider t, subject t, person t, created i")},
	{Name: "account_code", Key: 1, Columns: columns("hash b, kind t, person t, created i, expires i")},
	{Name: "account_secret", Key: 1, Columns: columns("name t, value b")},
	{Name: "peer_node", Key: 1, Columns: columns("name t, node b")},
	{Name: "peer_stream", Key: 1, Columns: columns("node i, last i, received0 i, received1 i, applied0 i, applied1 i")},
	{Name: "peer_share", Key: 3, Columns: columns("node i, record u, topic t, lane i, n i, act i, kind i, version i, seq i, reason t, word b, queued i, sent i, done i, refused t, opened i, held i")},
	{Name: "peer_held", Key: 1, Columns: columns("record u, node i, n i, version i, purged o, at i")},
	{Name: "account_passkey", Key: 1, Columns: columns("id b, person t, name t, data b, created i, used i")},
	{Name: "account_token", Key: 1, Columns: columns("hash b, id t, name t, person t, scopes t, created i, expires i, last_used i")},
	{Name: "account_session", Key: 1, Columns: columns("hash b, id t, person t, agency t, lang t, purpose t, purpose_until i, method t, address t, agent t, created i, seen i")},
	{Name: "account_ceremony", Key: 1, Columns: columns("hash b, kind t, data b, expires i")},
	{Name: "account_slowed", Key: 1, Columns: columns("key b, fails i, last i")},
	{Name: "account_known", Key: 1, Columns: columns("key b, at i")},
	{Name: "follower", Key: 1, Columns: columns("name t, seq i")},
	{Name: "setting", Key: 1, Columns: columns("name t, value b"), Own: "store."},
}

// columns reads "name type, name type".
func columns(list string) (out []Column) {
	for c := range strings.SplitSeq(list, ", ") {
		name, t, _ := strings.Cut(c, " ")
		out = append(out, Column{name, t[0]})
	}
	return out
}

// Quoted returns the names of columns, in double quotes: several are words of SQL.
func Quoted(cs []Column) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = `"` + c.Name + `"`
	}
	return out
}

// Plain brings a row to what every engine keeps: 0 for a negative zero, and texts
// of UTF-8 without zero bytes, with U+FFFD for what is none, as in what a browser calls itself.
func Plain(row []any) {
	for i, v := range row {
		switch v := v.(type) {
		case float64:
			if v == 0 && math.Signbit(v) {
				row[i] = 0.0
			}
		case string:
			if s := strings.ToValidUTF8(v, "\ufffd"); s != v || strings.IndexByte(v, 0) >= 0 {
				row[i] = strings.ReplaceAll(s, "\x00", "\ufffd")
			}
		}
	}
}

// Rows is what a store holds, table by table. Of a source it is one moment: what
// others do meanwhile is not seen.
type Rows interface {
	// Head returns the ledger's size and its newest checkpoint, nil for an empty ledger.
	Head(ctx context.Context) (size int64, note []byte, err error)
	// Count returns how many rows of a table there are to copy.
	Count(ctx context.Context, t *Table) (int64, error)
	// Dump calls fn for every row of a table after a key, nil for all, ordered by the
	// key: texts and bytes by their bytes. The row is fn's to keep.
	Dump(ctx context.Context, t *Table, after []any, fn func(row []any) error) error
}

// Filling is a new store that a copy fills. What it calls is on disk when it returns,
// whole or not at all: after a kill the last key of each table says where to go on.
type Filling interface {
	Rows
	// Last returns the last key of a table, nil when nothing was copied into it.
	Last(ctx context.Context, t *Table) ([]any, error)
	// Load appends rows to a table.
	Load(ctx context.Context, t *Table, rows [][]any) error

	// Newest returns up to limit records that are not erased, ordered by row, with
	// rows above after.
	Newest(ctx context.Context, after int64, limit int) ([]Newest, error)
	// LastWords returns the last row that the search index has, 0 when it is empty.
	LastWords(ctx context.Context) (int64, error)
	// LoadWords appends to the search index, ordered by row.
	LoadWords(ctx context.Context, words []Words) error

	// Seal writes the head and what else follows from the rows, when all are there.
	Seal(ctx context.Context, size int64, note []byte) error

	Value(ctx context.Context, name string) ([]byte, error)
	SetValue(ctx context.Context, name string, value []byte) error
	// Whole takes the value Unfinished away: from now on the store opens.
	Whole(ctx context.Context) error

	Leaves(ctx context.Context, from, to int64) ([]ledger.Hash, error)
	Check(ctx context.Context, derive func(*record.Record) (*Row, error), progress func(done, total int64), fault func(Fault) bool) error
}

// Newest is a record's newest version as the search index needs it.
type Newest struct {
	Row, Marking int64
	Content      []byte // as it was signed
}

// Words is what the search index holds for a row; see package index.
type Words struct {
	Row  int64
	Text string
}

// Unfinished names the value that a store has while it is being filled. Opening it
// for anything else is refused with NotWhole.
const Unfinished = "store.unfinished"

// NotWhole says that a store is being filled.
func NotWhole() error {
	e := record.Errorf(record.Unavailable, "store.open", "a copy into this store was begun and has not ended; it is not whole")
	e.Hint = "run the same konbit copy again: it goes on where it stopped"
	return e
}
