package postgres_test

import (
	"context"
	"testing"
	"time"

	"konbit/ledger"
	"konbit/store"
	"konbit/store/postgres/pgtest"
)

// A caller whose patience ends must not end the wait for the standby: everybody would
// see what is lost when the standby takes over.
func TestCommitWaitsForItsStandbyLongerThanItsCaller(t *testing.T) {
	s := pgtest.Start(t)
	standby := s.Standby(t, "two")
	s.Synchronous("two")
	db := open(t, s.URL("postgres"))
	if err := commit(db); err != nil { // names get their numbers
		t.Fatal(err)
	}
	size, _, err := db.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	standby.Stop(pgtest.Fast)

	e := ledger.Entry{Seq: size, At: time.Now().UTC().Truncate(time.Microsecond), Type: "arrival", Agency: "ht.cc", Actor: "node", Content: []byte("{}"), Salt: make([]byte, ledger.SaltSize)}
	if e.Commitment, err = ledger.Commit(nil, &e); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- db.Commit(short, &store.Batch{Items: []*store.Item{{Entry: e}}, Checkpoint: []byte("x")})
	}()
	until(t, "a commit that waits for the standby", func() bool {
		return ask[int](t, s.URL("postgres"), "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1
	})
	cancel()
	select {
	case err := <-done:
		t.Errorf("it has ended without the standby: %v", err)
	case <-time.After(time.Second):
	}
	if now, _, err := db.Head(ctx); err != nil || now != size {
		t.Errorf("the ledger has %d entries, %v; the standby has %d", now, err, size)
	}
	standby.Start()
	if err := await(t, "the end of the commit", done); err != nil {
		t.Error(err)
	}
	if now, _, err := db.Head(ctx); err != nil || now != size+1 {
		t.Errorf("the ledger has %d entries, %v", now, err)
	}
}
