package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"konbit/record"
)

//go:embed schema.sql
var schema string

// version of the schema; compatible is the oldest konbit, by its schema version,
// that can go on with it. While processes are upgraded one after the other, old ones
// work on tables that a new one has changed: a step adds what the new version needs
// and takes away nothing that the one before reads or leaves out. What has become
// useless goes with a later version, which then raises compatible.
const (
	version    = 1
	compatible = 1
)

// steps lead from each schema to the next.
var steps = []string{0: schema + thin}

// thin keeps words out of the rows of the search index. A walk for a frequent word
// looks at every row of a partition: rows of some 60 bytes are 5 MB of a partition,
// with their words they would be 100 MB. But PostgreSQL moves a column out of a row
// only when the row is larger than 2 kB, whatever toast_tuple_target says, which
// words seldom are. So a row begins with blanks that make it so, and that shrink to
// nothing on the way. They are of the words, so that who writes words writes them.
const thin = `
	ALTER TABLE search ADD COLUMN blank text GENERATED ALWAYS AS (repeat(' ', CASE WHEN words IS NULL THEN 0 ELSE 2048 END)) STORED;`

// migrating is the advisory lock that one upgrade holds: the ASCII codes of "konbit".
const migrating = 0x6b6f6e626974

// upgrade makes the tables, or brings them up to date.
func (db *DB) upgrade(ctx context.Context) error {
	if err := db.usable(ctx); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", migrating); err != nil {
			return err
		}
		have, needs, err := schemaOf(ctx, tx)
		if err != nil || have == version {
			return err
		}
		if have > version {
			return newer(have, needs)
		}
		for _, s := range steps[have:version] {
			if _, err := tx.Exec(ctx, s); err != nil {
				return err
			}
		}
		for _, q := range []string{"CREATE TABLE IF NOT EXISTS schema_version(one int PRIMARY KEY CHECK (one = 1), version int NOT NULL, compatible int NOT NULL)",
			fmt.Sprintf("INSERT INTO schema_version VALUES(1, %d, %d) ON CONFLICT(one) DO UPDATE SET version = excluded.version, compatible = excluded.compatible", version, compatible)} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// usable looks at the server.
func (db *DB) usable(ctx context.Context) error {
	var number int
	var standby bool
	var encoding, fsync string
	if err := db.pool.QueryRow(ctx, "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('server_encoding'), current_setting('fsync')").Scan(&number, &standby, &encoding, &fsync); err != nil {
		return err
	}
	switch {
	case number < 150000:
		return record.Errorf(record.Unavailable, "store.open", "the server is PostgreSQL %d; version 15 or newer is needed", number/10000)
	case standby:
		e := record.Errorf(record.Unavailable, "store.open", "the server is a standby; it takes no changes")
		e.Hint = "name all servers in --store: postgres://user@one,two/database, or promote this one (pg_ctl promote)"
		return e
	case encoding != "UTF8":
		return record.Errorf(record.Unavailable, "store.open", "the database's encoding is %s; it must be UTF8", encoding)
	case fsync != "on":
		e := record.Errorf(record.Unavailable, "store.open", "the server runs with fsync off: what it acknowledges would not survive a power cut")
		e.Hint = "set fsync = on"
		return e
	}
	return nil
}

// sameSchema says nil when the tables can be read as they are.
func (db *DB) sameSchema(ctx context.Context) error {
	return pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		have, needs, err := schemaOf(ctx, tx)
		switch {
		case err != nil:
			return err
		case have == 0:
			return record.Errorf(record.NotFound, "store.open", "there is no konbit in this database")
		case have > version:
			return newer(have, needs)
		case have < version:
			e := record.Errorf(record.Unavailable, "store.open", "the database was written by an older konbit (schema %d, this one needs %d)", have, version)
			e.Hint = "start the node once with this konbit: it upgrades the tables"
			return e
		}
		return nil
	})
}

// newer says nil when this konbit can work on a newer schema.
func newer(have, needs int) error {
	if needs <= version {
		return nil
	}
	e := record.Errorf(record.Unavailable, "store.open", "the database was changed by a newer konbit (schema %d, this one knows %d)", have, version)
	e.Hint = "install the newer konbit again, or restore the backup that was made before it"
	return e
}

func schemaOf(ctx context.Context, tx pgx.Tx) (have, needs int, err error) {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('schema_version') IS NOT NULL").Scan(&there); err != nil || !there {
		return 0, 0, err
	}
	err = tx.QueryRow(ctx, "SELECT version, compatible FROM schema_version").Scan(&have, &needs)
	return have, needs, err
}

// Spans of the two tables that are partitioned, in rows. A span of search is as
// much as one look into an index yields; see ../DESIGN.md.
const (
	entrySpan  = 1 << 20
	searchSpan = 1 << 16
)

// partitions remembers up to where there are some.
type partitions struct {
	sync.Mutex
	entries, rows int64 // the first that has no partition
}

// ensure makes partitions for entries below seq and rows below row, and the next
// ones when the last is half full. It runs beside the turn, which has not written
// to these tables yet or holds no lock on them that is in its way.
func (p *partitions) ensure(ctx context.Context, pool *pgxpool.Pool, seq, row int64) error {
	p.Lock()
	defer p.Unlock()
	if err := p.one(ctx, pool, "entry", entrySpan, seq, &p.entries, ""); err != nil {
		return err
	}
	// The index over rows is for one row at a time. One in order would lure the planner
	// into reading all words along it, instead of asking the inverted index.
	return p.one(ctx, pool, "search", searchSpan, row, &p.rows, `
		ALTER TABLE %[1]s SET (toast_tuple_target = 128);
		ALTER TABLE %[1]s ALTER words SET STORAGE EXTERNAL;
		CREATE INDEX ON %[1]s USING hash("row");
		`+wordIndex+";")
}

func (p *partitions) one(ctx context.Context, pool *pgxpool.Pool, table string, size, upTo int64, have *int64, indexes string) error {
	for upTo+size/2 > *have {
		n := *have / size
		name := span(table, n)
		with := ""
		if indexes != "" {
			with = fmt.Sprintf(indexes, name)
		}
		if _, err := pool.Exec(ctx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%[6]d);
			DO $$ BEGIN IF to_regclass('%[1]s') IS NULL THEN
				CREATE TABLE %[1]s(LIKE %[2]s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED);
				%[5]s
				ALTER TABLE %[2]s ATTACH PARTITION %[1]s FOR VALUES FROM (%[3]d) TO (%[4]d);
			END IF; END $$`, name, table, n*size, (n+1)*size, with, migrating), pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		*have += size
	}
	return nil
}
