package postgres_test

import (
	"context"
	"testing"

	"konbit/store"
	"konbit/store/postgres"
	"konbit/store/postgres/pgtest"
	"konbit/store/storetest"
)

var ctx = context.Background()

// open opens a database, which the test closes.
func open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, pgtest.URL(t)) })
}

// french makes a database that does not order text by its bytes.
const french = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'fr'"

func TestStoreWhereTextIsOrderedByALanguage(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, pgtest.URL(t, french)) })
}
