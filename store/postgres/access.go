package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/store"
)

// Throttled returns the failures and the known addresses.
func (db *DB) Throttled(ctx context.Context) (slowed []store.Slowed, known []store.Known, err error) {
	err = db.read(ctx, func(tx pgx.Tx) error {
		if err := eachOn(ctx, tx, "SELECT key, fails, last FROM account_slowed", nil, func(r pgx.Rows) error {
			var s store.Slowed
			var key []byte
			var last int64
			err := r.Scan(&key, &s.Fails, &last)
			copy(s.Key[:], key)
			s.Last = moment(last)
			slowed = append(slowed, s)
			return err
		}); err != nil {
			return err
		}
		return eachOn(ctx, tx, "SELECT key, at FROM account_known", nil, func(r pgx.Rows) error {
			var k store.Known
			var key []byte
			var at int64
			err := r.Scan(&key, &at)
			copy(k.Key[:], key)
			k.At = moment(at)
			known = append(known, k)
			return err
		})
	})
	return slowed, known, err
}

// SaveAccess writes what collects in memory, in one transaction. A session or token
// that a turn is just changing is left out: it was seen a minute ago at most, and
// waiting for one row while holding others could block the turn.
func (db *DB) SaveAccess(ctx context.Context, sessions, tokens map[[32]byte]time.Time, slowed []store.Slowed, known []store.Known) error {
	if len(sessions)+len(tokens)+len(slowed)+len(known) == 0 {
		return nil
	}
	return db.write(ctx, func(tx pgx.Tx) error {
		var b pgx.Batch
		lock(&b, accessLock)
		used(&b, `WITH free AS MATERIALIZED (SELECT hash FROM account_session WHERE hash = ANY($1) FOR NO KEY UPDATE SKIP LOCKED)
			UPDATE account_session s SET seen = greatest(s.seen, u.at) FROM free JOIN unnest($1::bytea[], $2::bigint[]) AS u(hash, at) USING(hash) WHERE s.hash = free.hash`, sessions)
		used(&b, `WITH free AS MATERIALIZED (SELECT hash FROM account_token WHERE hash = ANY($1) FOR NO KEY UPDATE SKIP LOCKED)
			UPDATE account_token t SET last_used = greatest(t.last_used, u.at) FROM free JOIN unnest($1::bytea[], $2::bigint[]) AS u(hash, at) USING(hash) WHERE t.hash = free.hash`, tokens)
		for _, s := range slowed {
			if s.Fails == 0 {
				b.Queue("DELETE FROM account_slowed WHERE key = $1", s.Key[:])
				continue
			}
			b.Queue("INSERT INTO account_slowed(key, fails, last) VALUES($1, $2, $3) ON CONFLICT(key) DO UPDATE SET (fails, last) = (excluded.fails, excluded.last)",
				s.Key[:], s.Fails, stamp(s.Last))
		}
		for _, k := range known {
			b.Queue("INSERT INTO account_known(key, at) VALUES($1, $2) ON CONFLICT(key) DO UPDATE SET at = excluded.at", k.Key[:], stamp(k.At))
		}
		return tx.SendBatch(ctx, &b).Close()
	})
}

// used queues a statement that gets hashes and times.
func used(b *pgx.Batch, q string, last map[[32]byte]time.Time) {
	if len(last) == 0 {
		return
	}
	hashes, times := make([][]byte, 0, len(last)), make([]int64, 0, len(last))
	for h, t := range last {
		hashes, times = append(hashes, h[:]), append(times, stamp(t))
	}
	b.Queue(q, hashes, times)
}

// SweepAccess removes what has expired. What a turn is just changing stays for the
// next time.
func (db *DB) SweepAccess(ctx context.Context, now, created, seen, slowed, known time.Time) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		var b pgx.Batch
		lock(&b, accessLock)
		b.Queue("DELETE FROM account_session WHERE hash IN (SELECT hash FROM account_session WHERE created < $1 OR seen < $2 FOR UPDATE SKIP LOCKED)", stamp(created), stamp(seen))
		b.Queue("DELETE FROM account_code WHERE hash IN (SELECT hash FROM account_code WHERE expires <> 0 AND expires < $1 FOR UPDATE SKIP LOCKED)", stamp(now))
		b.Queue("DELETE FROM account_ceremony WHERE hash IN (SELECT hash FROM account_ceremony WHERE expires < $1 FOR UPDATE SKIP LOCKED)", stamp(now))
		b.Queue("DELETE FROM account_slowed WHERE last < $1", stamp(slowed))
		b.Queue("DELETE FROM account_known WHERE at < $1", stamp(known))
		return tx.SendBatch(ctx, &b).Close()
	})
}
