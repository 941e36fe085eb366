// Package store says what keeping records takes: one atomic Commit, reads that
// carry the reader's rights in the query, and following the ledger.
//
// Drivers live below it (store/sqlite) and are the only importers of a database
// driver; one suite (store/storetest) runs on each of them. Only package intake
// calls Commit. Only package query calls Find, Count and their kin on behalf of
// a person, because only it knows which markings he may see.
package store

import (
	"context"
	"time"

	"konbit/ledger"
	"konbit/record"
)

// Store is what a driver provides. All methods are safe for concurrent use.
type Store interface {
	// Commit writes everything in the batch or nothing, and returns when it is
	// on disk. MUST be called by one goroutine at a time. It sets Row.Row of
	// new rows.
	Commit(ctx context.Context, b *Batch) error

	// Head returns the ledger's size, its newest signed checkpoint (nil for an
	// empty ledger), and the tree's reader.
	Head(ctx context.Context) (size int64, checkpoint []byte, err error)
	ledger.Reader
	// Checkpoints calls fn with every kept checkpoint, oldest first.
	Checkpoints(ctx context.Context, fn func(size int64, note []byte) error) error

	// Get returns the newest version. NotFound when there is none or its
	// content was erased.
	Get(ctx context.Context, id record.ID) (*Stored, error)
	// Current is Get for many at once; what was never there is left out, what
	// was erased has a nil Record.
	Current(ctx context.Context, ids []record.ID) (map[record.ID]*Stored, error)
	// Versions returns all versions of a record, oldest first. Erased ones have
	// a nil Record.
	Versions(ctx context.Context, id record.ID) ([]*Stored, error)
	// CommandEntry returns the ledger position of the change that the command
	// made, -1 when there is none.
	CommandEntry(ctx context.Context, command record.ID) (int64, error)

	// Find returns records that match, in the query's order.
	Find(ctx context.Context, q *Query) ([]*Stored, error)
	// Scan calls fn for each match, in order, without the content: for counts,
	// facets and maps. It stops at the query's limit or when fn returns false.
	Scan(ctx context.Context, q *Query, fn func(*Brief) bool) error

	// Entries calls fn for ledger entries from position from on, oldest first,
	// until fn returns false or to is reached (to < 0: the end).
	Entries(ctx context.Context, from, to int64, fn func(*Logged) bool) error
	// Log returns ledger entries that match, newest first.
	Log(ctx context.Context, q *LogQuery) ([]*Logged, error)

	// Markings calls fn for every interned marking with a number above after.
	Markings(ctx context.Context, after int64, fn func(*Marking) error) error

	// Expired lists records whose marking expired in (from, to].
	Expired(ctx context.Context, from, to time.Time, limit int) ([]*Brief, error)
	// Due lists records of a kind whose newest version was recorded before t.
	Due(ctx context.Context, kind string, t time.Time, limit int) ([]record.ID, error)
	// Linked lists records that link to the given one, newest first.
	Linked(ctx context.Context, to record.ID, limit int) ([]*Stored, error)

	// Attached reports whether any version of a record that is not erased holds
	// the attachment.
	Attached(ctx context.Context, hash string) (bool, error)

	// Cursor and SetCursor keep the position of a follower by name.
	Cursor(ctx context.Context, follower string) (int64, error)
	SetCursor(ctx context.Context, follower string, seq int64) error

	// Value and SetValue keep small settings of the node by name.
	Value(ctx context.Context, name string) ([]byte, error)
	SetValue(ctx context.Context, name string, value []byte) error

	// Rows returns how many records a kind has, erased ones left out.
	Rows(ctx context.Context, kind string) (int64, error)
	// Check looks for faults in what is derived from the ledger and calls fault
	// for each: a record row that differs from its newest version, a row
	// without entry, search rows missing. See package verify in node.
	Check(ctx context.Context, derive func(*record.Record) (*Row, error), progress func(done, total int64), fault func(Fault) bool) error
	Close() error

	Accounts
	Peers
}

// Batch is what one Commit writes.
type Batch struct {
	Items      []*Item
	Nodes      []ledger.Node // complete subtrees of the ledger's tree
	Checkpoint []byte        // signed note over the tree after the batch
	Keep       bool          // keep this checkpoint among the old ones, too
}

// Item is one ledger entry and what it changes.
type Item struct {
	Entry   ledger.Entry
	Command record.ID // the command's identifier; zero: it cannot be retried
	Row     *Row      // the record's new newest version; nil: no record changes
	Erase   record.ID // content of all earlier versions of it is removed; zero: none
	Ops     []Op      // changes of agencies, people, credentials
	Orphans []string  // out, by Commit with Erase: attachments that no record holds any more
}

// Row is a record's newest version with what it is found by.
type Row struct {
	Row      int64 // 0: a new record
	Record   *record.Record
	Foreign  bool // of an agency that another node serves: the first version here may be any, later ones leave gaps, and one may be replaced by its equal
	Title    string
	Words    string            // folded words and tokens, blank-separated
	Facet    map[string]string // path -> value; several are joined by "\x1f"
	Open     bool
	Box      *record.Box
	Previous int64 // out, by Commit: number of the marking of the version before; 0: none
	Marking  int64 // out, by Commit: number of its marking
}

// Stored is a record as it was read.
type Stored struct {
	Row     int64
	Seq     int64 // ledger position of this version
	Marking int64
	Raw     []byte         // the signed payload
	Record  *record.Record // Raw, decoded; nil when erased
	KeyID   string
	Sig     []byte
	Version int
	Owner   string // agency; known of an erased one, too
	At      time.Time
}

// Brief is a record without its content.
type Brief struct {
	Row         int64
	ID          record.ID
	Kind        string
	Marking     int64
	State       string
	Version     int
	Title       string
	Facet       string // "\x1fpath=value\x1fpath=value\x1f"
	Observed    time.Time
	Recorded    time.Time
	Box         *record.Box
	Uncertainty float64
}

// Marking is an interned marking: who owns it and who may see it. Expiry is
// kept with each record.
type Marking struct {
	N     int64
	Owner string
	record.Marking
}

// Sight is what a reader may see, as numbers of markings. Own markings count
// whether or not they have expired, Foreign ones only until then.
type Sight struct {
	Own     []int64
	Foreign []int64
}

// Query selects records. The zero value of a field does not restrict, except
// Sight: what is not in it is not seen.
type Query struct {
	Kinds []string
	Sight map[string]*Sight // by kind
	Now   time.Time

	Terms    [][]string // every group must match by one of its terms; a term that ends in * is a prefix; "a b" is a phrase
	Box      *record.Box
	From, To time.Time // observed, From <= t < To
	Since    time.Time // recorded at or after
	States   []string
	Facet    map[string][]string
	Flag     string
	Author   string
	Open     *bool
	Owners   []int64 // numbers of markings to which the owner filter restricts; nil: all

	ByObserved bool // newest observed first; else newest recorded first
	Before     *Key // continue after this key
	Limit      int
}

// Key is a place in the order of a query's results.
type Key struct {
	Observed int64 // microseconds; only when ByObserved
	Row      int64
}

// Logged is a ledger entry as a follower reads it.
type Logged struct {
	ledger.Entry
	Kind     string
	Marking  int64     // of a change: number of the version's marking
	Previous int64     // of a change: number of the marking of the version before
	Command  record.ID // of a change
	Row      int64     // of a change: the record's row

	// When the markings expire, which is not interned with them; nil: never.
	Expires, PreviousExpires *time.Time
}

// LogQuery selects ledger entries. At least one of Record, Actor, Type should
// be given; Types restricts to these types.
type LogQuery struct {
	Record   record.ID
	Actor    string
	Agencies []string // entries of these agencies only; nil: all
	Types    []string
	From, To time.Time
	Before   int64 // position; 0: from the end
	Limit    int
}

// Fault is something wrong with what the store holds.
type Fault struct {
	Seq    int64 // ledger position, -1 when it concerns none
	Record record.ID
	What   string
}
