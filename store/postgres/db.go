// Package postgres keeps a node's records in a PostgreSQL database, version 15 or
// newer, which several processes share. It is the only importer of the driver.
// ../DESIGN.md says why the tables are as they are.
package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"konbit/record"
	"konbit/store/index"
)

// DB is an open database.
type DB struct {
	pool    *pgxpool.Pool // reads, and short writing transactions
	writers *pgxpool.Pool // turns
	only    bool          // opened for reading beside running processes
	term    atomic.Int64  // of duty that this process has, or had last; 0: none

	pen  chan struct{} // held by who has, or waits for, this process's turn
	turn *turn         // held by who has pen

	seen atomic.Int64 // the largest ledger that this process has seen
	met  met          // the server

	names struct {
		sync.RWMutex
		n map[string]int64
		s map[int64]string
	}
	markings struct { // interned
		sync.RWMutex
		n map[string]int64
	}
	parts parts
	few   int // see find.go
}

// typeChange is the name number of "change", which the schema's indexes rely on.
const typeChange = 1

// idle is how long a turn may stay unused before the server takes it away.
const idle = "8s"

// Open connects to the database and makes or upgrades its tables. The URL is one
// of libpq: postgres://user@host:port/database?..., several hosts are tried in
// turn. It refuses a database that a newer konbit changed for good, a standby, a
// server older than 15, and a database that a copy has begun to fill.
func Open(ctx context.Context, url string) (*DB, error) {
	db, err := open(ctx, url, false)
	return whole(ctx, db, err)
}

// OpenReadOnly connects for reading, also while processes run on the database.
func OpenReadOnly(ctx context.Context, url string) (*DB, error) {
	db, err := open(ctx, url, true)
	return whole(ctx, db, err)
}

func open(ctx context.Context, url string, only bool) (_ *DB, err error) {
	db := &DB{only: only, pen: make(chan struct{}, 1), few: few}
	db.names.n, db.names.s, db.markings.n = map[string]int64{}, map[int64]string{}, map[string]int64{}
	defer func() {
		if err != nil {
			db.Close()
			err = db.fault("open", err)
		}
	}()
	// Every statement here is a walk along an index. Statistics of tables that have
	// just been filled must not lead anywhere else.
	if db.pool, err = db.connect(ctx, url, 32, map[string]string{"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_custom_plan", "max_parallel_workers_per_gather": "0"}); err != nil {
		return nil, err
	}
	if only {
		if err := db.sameSchema(ctx); err != nil {
			return nil, err
		}
		return db, nil
	}
	if db.writers, err = db.connect(ctx, url, 2, map[string]string{"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off",
		"plan_cache_mode": "force_generic_plan", "idle_in_transaction_session_timeout": idle}); err != nil {
		return nil, err
	}
	if err := db.upgrade(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// connect makes a pool whose sessions have the settings. What the URL sets itself
// stays as it is.
func (db *DB) connect(ctx context.Context, url string, most int32, settings map[string]string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil { // its text would hold the password
		return nil, &record.Error{Code: record.Invalid, Op: "store.open", Message: "the address of the database cannot be read", Hint: "postgres://user@host:5432/database"}
	}
	// A server notices within seconds that a machine is gone, and frees what it held.
	for k, v := range map[string]string{"application_name": "konbit", "timezone": "UTC", "client_min_messages": "warning",
		"tcp_keepalives_idle": "1", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "2", "tcp_user_timeout": "3000"} {
		settings[k] = v
	}
	for k, v := range settings {
		if _, given := cfg.ConnConfig.RuntimeParams[k]; !given {
			cfg.ConnConfig.RuntimeParams[k] = v
		}
	}
	// Of several servers the primary is meant, also while it takes no changes.
	if len(cfg.ConnConfig.Fallbacks) > 0 && cfg.ConnConfig.ValidateConnect == nil {
		cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 3 * time.Second
	}
	cfg.ConnConfig.DialFunc = dial
	cfg.AfterConnect = db.meet
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = most
	}
	cfg.HealthCheckPeriod = 2 * time.Second
	return pgxpool.NewWithConfig(ctx, cfg)
}

// met is which server the connections lead to.
type met struct {
	sync.Mutex
	server string       // since when it runs, and which database it is there
	times  atomic.Int64 // that it was another one
}

// meet looks where a new connection leads. After another server, or another database
// in the place of this one, a ledger that is shorter is refused before anything is
// read from it, and what is remembered of its tables is forgotten: a standby that did
// not have everything gives the same numbers to other names.
func (db *DB) meet(ctx context.Context, c *pgx.Conn) error {
	var is string
	var standby bool
	if err := c.QueryRow(ctx, "SELECT concat_ws(' ', pg_postmaster_start_time(), oid), pg_is_in_recovery() FROM pg_database WHERE datname = current_database()", pgx.QueryExecModeExec).Scan(&is, &standby); err != nil {
		return err
	}
	if was := db.met.is(is); was == is {
		return nil
	}
	if seen := db.seen.Load(); seen > 0 {
		if standby && !db.only {
			return record.Errorf(record.Unavailable, "store.open", "the database server is a standby now; it takes no changes")
		}
		var size int64
		if err := c.QueryRow(ctx, "SELECT size FROM head", pgx.QueryExecModeExec).Scan(&size); err != nil {
			return err
		}
		if err := db.older(seen, size); err != nil {
			return err
		}
	}
	if !db.met.another(is) {
		return nil
	}
	db.names.Lock()
	clear(db.names.n)
	clear(db.names.s)
	db.names.Unlock()
	db.markings.Lock()
	clear(db.markings.n)
	db.markings.Unlock()
	db.parts.Store(&partitions{})
	return nil
}

// is returns the server that was met last; the first one that is met is it.
func (m *met) is(server string) string {
	m.Lock()
	defer m.Unlock()
	if m.server == "" {
		m.server = server
	}
	return m.server
}

// another takes down that it is another server now, and reports whether it was not known.
func (m *met) another(server string) bool {
	m.Lock()
	defer m.Unlock()
	if m.server == server {
		return false
	}
	m.server = server
	m.times.Add(1) // before anything is forgotten that a turn under way may need; see commit
	return true
}

// parts are the partitions of the server that was met.
type parts struct{ atomic.Pointer[partitions] }

func (p *parts) ensure(ctx context.Context, pool *pgxpool.Pool, seq, row int64) error {
	p.CompareAndSwap(nil, &partitions{})
	return p.Load().ensure(ctx, pool, seq, row)
}

// Close ends every connection.
func (db *DB) Close() error {
	if db.writers != nil {
		db.pen <- struct{}{} // a turn under way ends first
		db.writers.Close()
		db.writers = nil
		<-db.pen
	}
	if db.pool != nil {
		db.pool.Close()
	}
	return nil
}

// each runs one statement, which sees one moment of the database, and calls fn for every row.
func (db *DB) each(ctx context.Context, q string, args []any, fn func(pgx.Rows) error) error {
	return db.fault("read", eachOn(ctx, db.pool, q, args, fn))
}

type querier interface {
	Query(ctx context.Context, q string, args ...any) (pgx.Rows, error)
}

// eachOn is each on a connection or in a transaction.
func eachOn(ctx context.Context, c querier, q string, args []any, fn func(pgx.Rows) error) error {
	rows, err := c.Query(ctx, q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// read runs fn in a transaction that sees one moment of the database.
func (db *DB) read(ctx context.Context, fn func(pgx.Tx) error) error {
	return db.fault("read", pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn))
}

// write runs fn in a writing transaction and returns when it is on disk. It is for
// what is no matter for the ledger.
func (db *DB) write(ctx context.Context, fn func(pgx.Tx) error) error {
	if db.only {
		return record.Errorf(record.Unavailable, "store.write", "the store is open for reading only")
	}
	return db.fault("write", pgx.BeginFunc(ctx, db.pool, fn))
}

// onDuty is write for followers: it refuses a process that has lost its duty.
func (db *DB) onDuty(ctx context.Context, fn func(pgx.Tx) error) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		if term := db.term.Load(); term != 0 {
			// A process that stands still here must not hold up who takes over.
			if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = '"+leash+"'"); err != nil {
				return err
			}
			var ok bool
			if err := tx.QueryRow(ctx, "SELECT term = $1 FROM duty FOR SHARE", term).Scan(&ok); err != nil {
				return err
			}
			if !ok {
				return record.Errorf(record.Unavailable, "store.duty", "another process of this node is on duty now")
			}
		}
		return fn(tx)
	})
}

// fault turns a driver's error into ours.
func (db *DB) fault(op string, err error) error {
	var ours *record.Error
	if err == nil || errors.As(err, &ours) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !timedOut(err) {
		return err
	}
	e := &record.Error{Code: record.Unavailable, Op: "store." + op, Err: err}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		e.Message, e.Hint = "the database cannot be reached; nothing was saved", "look whether the PostgreSQL server runs and the network to it is up"
		if op == "read" || op == "open" {
			e.Message = "the database cannot be reached"
		}
		return e
	}
	switch {
	case pg.Code == "53100": // disk_full
		e.Message, e.Hint = "the database's disk is full; nothing was saved", "free space on the PostgreSQL server"
	case pg.Code == "25006": // read_only_sql_transaction
		e.Message, e.Hint = "the database takes no changes now; nothing was saved", "the server that we reach is a standby, or default_transaction_read_only is on"
	case pg.Code == "XX001" || pg.Code == "XX002":
		e.Code, e.Message, e.Hint = record.Corrupt, "the database is damaged: "+pg.Message, "stop the node, keep the database, restore the newest backup, and run konbit verify"
	case strings.HasPrefix(pg.Code, "28") || pg.Code == "3D000" || pg.Code == "42501":
		e.Message, e.Hint = "the database refuses us: "+pg.Message, "check user, password, database and rights in --store"
	case pg.Code == "25P03" || pg.Code == "25P04": // idle_in_transaction_session_timeout
		e.Message = "this process was too slow with its turn to write; nothing was saved; try again"
	case strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "40") || pg.Code == "55P03":
		e.Message = "the database is busy, starting or stopping; nothing was saved; try again"
	default:
		e.Code, e.Message = record.Internal, "the store failed"
	}
	return e
}

// timedOut reports whether it was the network that took too long, not the caller's
// patience that ended.
func timedOut(err error) bool {
	var n net.Error
	var c *pgconn.ConnectError
	return errors.As(err, &c) || errors.As(err, &n) && n.Timeout() && !pgconn.Timeout(err)
}

// number returns the number of a name, 0 when it has none.
func (db *DB) number(ctx context.Context, s string) (int64, error) {
	m, err := db.numbers(ctx, []string{s})
	if err != nil || len(m) == 0 {
		return 0, err
	}
	return m[0], nil
}

// numbers returns the numbers of those names that have one.
func (db *DB) numbers(ctx context.Context, names []string) ([]int64, error) {
	out, missing := make([]int64, 0, len(names)), []string(nil)
	db.names.RLock()
	for _, s := range names {
		if n := db.names.n[s]; n != 0 {
			out = append(out, n)
		} else {
			missing = append(missing, s)
		}
	}
	db.names.RUnlock()
	if len(missing) == 0 {
		return out, nil
	}
	err := db.each(ctx, "SELECT n, s FROM name WHERE s = ANY($1)", []any{missing}, func(r pgx.Rows) error {
		n, err := db.learn(r)
		out = append(out, n)
		return err
	})
	return out, err
}

// learn remembers a row of table name.
func (db *DB) learn(r pgx.Rows) (n int64, err error) {
	var s string
	if err := r.Scan(&n, &s); err != nil {
		return 0, err
	}
	db.names.Lock()
	db.names.n[s], db.names.s[n] = n, s
	db.names.Unlock()
	return n, nil
}

// known makes sure that the texts of these numbers are at hand for nameOf. A
// process meets numbers that another one has given out.
func (db *DB) known(ctx context.Context, c querier, ns ...int64) error {
	var missing []int64
	db.names.RLock()
	for _, n := range ns {
		if _, ok := db.names.s[n]; !ok && n != 0 {
			missing = append(missing, n)
		}
	}
	db.names.RUnlock()
	if len(missing) == 0 {
		return nil
	}
	return eachOn(ctx, c, "SELECT n, s FROM name WHERE n = ANY($1)", []any{missing}, func(r pgx.Rows) error { _, err := db.learn(r); return err })
}

// nameOf returns the text of a number that known was asked for.
func (db *DB) nameOf(n int64) string {
	db.names.RLock()
	defer db.names.RUnlock()
	return db.names.s[n]
}

// intern gives numbers to names that have none. It is on disk when it returns, and
// no harm is done when what it was for fails.
func (db *DB) intern(ctx context.Context, names []string) error {
	have, err := db.numbers(ctx, names)
	if err != nil || len(have) == len(names) {
		return err
	}
	return db.fault("write", func() error {
		if _, err := db.pool.Exec(ctx, "INSERT INTO name(s) SELECT s FROM unnest($1::text[]) AS u(s) ORDER BY s ON CONFLICT(s) DO NOTHING", names); err != nil {
			return err
		}
		return eachOn(ctx, db.pool, "SELECT n, s FROM name WHERE s = ANY($1)", []any{names}, func(r pgx.Rows) error { _, err := db.learn(r); return err })
	}())
}

// internOne is intern for one name; it returns the number.
func (db *DB) internOne(ctx context.Context, s string) (int64, error) {
	if err := db.intern(ctx, []string{s}); err != nil {
		return 0, err
	}
	return db.number(ctx, s)
}

// markingNumber returns the number of a marking that was interned, 0 for none.
func (db *DB) markingNumber(ctx context.Context, owner string, m *record.Marking) (int64, error) {
	key, cols := index.MarkingKey(owner, m)
	db.markings.RLock()
	n := db.markings.n[key]
	db.markings.RUnlock()
	if n != 0 {
		return n, nil
	}
	err := db.each(ctx, "SELECT n FROM marking WHERE "+markingIs, []any{cols[0], cols[1], cols[2], cols[3], cols[4]}, func(r pgx.Rows) error { return r.Scan(&n) })
	if n != 0 && err == nil {
		db.markings.Lock()
		db.markings.n[key] = n
		db.markings.Unlock()
	}
	return n, err
}

// markingIs finds a marking by its index.
const markingIs = `md5(owner || E'\n' || tlp || E'\n' || audience || E'\n' || persons || E'\n' || caveats) = md5($1 || E'\n' || $2 || E'\n' || $3 || E'\n' || $4 || E'\n' || $5)
	AND (owner, tlp, audience, persons, caveats) = ($1, $2, $3, $4, $5)`

func micro(us int64) time.Time { return time.UnixMicro(us).UTC() }

func maybeMicro(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := micro(*us)
	return &t
}

// stamp is a time as a column holds it, 0 for the zero time; moment reads it back.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return micro(us)
}

// span formats a partition's name.
func span(table string, n int64) string { return fmt.Sprintf("%s_p%06d", table, n) }
