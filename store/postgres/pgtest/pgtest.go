// Package pgtest starts real PostgreSQL servers for tests: one that all tests of a
// binary share, each in a database of its own, and others that a test may stop,
// kill, and give a standby. It uses Debian's packages and needs no set-up; nothing
// but tests may import it.
//
// A server lives in a folder of its own under os.TempDir and keeps fsync on. It ends
// with the test binary, also when that is killed.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long anything that a server does may take.
const patience = time.Minute

// common is the server that the tests of this binary share. It is started by the
// first that asks and ends with the binary, which no single test could see to.
var common struct {
	sync.Mutex
	server *server
	err    error
	made   int // databases
}

// URL makes an empty database for the test, on the server that all tests of this
// binary share, and drops it when the test ends, whoever is still connected. with
// goes to CREATE DATABASE: "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'fr'".
func URL(t testing.TB, with ...string) string {
	t.Helper()
	common.Lock()
	defer common.Unlock()
	if common.server == nil && common.err == nil {
		common.server, common.err = launch()
	}
	if common.err != nil {
		t.Fatal(common.err)
	}
	s := common.server
	common.made++
	name := fmt.Sprintf("test%d", common.made)
	if err := s.do("postgres", "CREATE DATABASE "+name+" "+strings.Join(with, " ")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.do("postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.url(name)
}

// url is where a database of the server is reached by TCP.
func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, url.PathEscape(database))
}

// do runs statements, each in a transaction of its own.
func (s *server) do(database string, statements ...string) error {
	return s.with(database, func(ctx context.Context, c *pgx.Conn) error {
		for _, q := range statements {
			if _, err := c.Exec(ctx, q, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	})
}

// with runs fn on a new connection.
func (s *server) with(database string, fn func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url(database))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return fn(ctx, c)
}
