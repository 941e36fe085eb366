package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"

	"github.com/jackc/pgx/v5"

	"konbit/record"
)

// postgresLoad says how much the figures on PostgreSQL are measured with.
type postgresLoad struct {
	commits  commitLoad
	records  int // that pages are found among
	pages    int // asked for, of each engine
	failover failoverLoad
}

// postgresRows measures a node on PostgreSQL, and as several processes.
func postgresRows(ctx context.Context, dir string, o Options) ([]Row, error) {
	return measurePostgres(ctx, dir, o, postgresLoad{
		commits:  commitLoad{records: 40_000, givers: 512, turns: 3},
		records:  o.Records,
		pages:    2400,
		failover: failoverLoad{kills: 5, writers: 16, readers: 8},
	})
}

func measurePostgres(ctx context.Context, dir string, o Options, load postgresLoad) (rows []Row, err error) {
	db, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	defer db.close()
	for _, of := range []func() ([]Row, error){
		func() ([]Row, error) { return commitRows(ctx, dir, o, db, load.commits) },
		func() ([]Row, error) { return failoverRows(ctx, dir, o, db, load.failover) },
		func() ([]Row, error) { return pageRows(ctx, dir, o, db, load.records, load.pages) },
	} {
		got, err := of()
		rows = append(rows, got...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// database is the one that may be filled. What is measured lives in schemas of its
// own, one after the other, and goes with them.
type database struct {
	url  string
	conn *pgx.Conn
}

// connect looks at what was named with --postgres.
func connect(ctx context.Context, o Options) (*database, error) {
	if o.Postgres == "" || o.Binary == "" {
		return nil, &record.Error{Code: record.Invalid, Op: "bench", Message: "this is measured on a PostgreSQL, and none is named",
			Hint: "give --postgres postgres://user@host/database, which the bench may fill, or run make bench"}
	}
	conn, err := pgx.Connect(ctx, o.Postgres)
	if err != nil {
		return nil, err
	}
	return &database{o.Postgres, conn}, nil
}

func (d *database) close() { d.conn.Close(context.Background()) }

// schema makes an empty schema. url leads to it; drop takes it away with all that is
// in it.
func (d *database) schema(ctx context.Context) (spec string, drop func() error, err error) {
	name := fmt.Sprintf("konbit_bench_%08x", rand.Uint32())
	if _, err := d.conn.Exec(ctx, "CREATE SCHEMA "+name); err != nil {
		return "", nil, err
	}
	u, err := url.Parse(d.url)
	if err != nil {
		return "", nil, errors.New("the address of the database is no URL") // it may hold a password
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String(), func() error {
		_, err := d.conn.Exec(context.WithoutCancel(ctx), "DROP SCHEMA "+name+" CASCADE")
		return err
	}, nil
}

// settings says how the server is set up, for the method.
func (d *database) settings(ctx context.Context) (s string, err error) {
	err = d.conn.QueryRow(ctx, `SELECT format('PostgreSQL %s, shared_buffers %s, fsync %s, synchronous_commit %s',
		current_setting('server_version'), current_setting('shared_buffers'), current_setting('fsync'), current_setting('synchronous_commit'))`).Scan(&s)
	return s, err
}

// size is how many bytes the tables and indexes of a schema take on the server's disk.
func (d *database) size(ctx context.Context, spec string) (n int64, err error) {
	u, err := url.Parse(spec)
	if err != nil {
		return 0, err
	}
	err = d.conn.QueryRow(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind = 'r'`, u.Query().Get("search_path")).Scan(&n)
	return n, err
}

// settle does what the server does by itself in quiet hours.
func (d *database) settle(ctx context.Context) error {
	_, err := d.conn.Exec(ctx, "VACUUM (ANALYZE)")
	return err
}
