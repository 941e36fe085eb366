package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"konbit/store"
	"konbit/store/index"
)

// Bare is the baseline that konbit bench prints beside intake: a plain loop that
// inserts the rows of the batches into an empty database with the same tables,
// partitions and indexes, on one connection, one transaction and so one fsync a
// batch, each batch one message to the server. It decides nothing, signs and hashes
// nothing, interns nothing and keeps no tree. The tables are made before the first
// batch: begin is called when they are there, and is when the clock starts.
func Bare(ctx context.Context, url string, batches [][]*store.Item, begin func()) error {
	db, err := Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	var entries, rows int64
	for _, b := range batches {
		entries = b[len(b)-1].Entry.Seq + 1
		for _, it := range b {
			if it.Row != nil {
				rows++
			}
		}
	}
	if err := db.parts.ensure(ctx, db.pool, entries, rows+1); err != nil {
		return err
	}
	conn, err := db.writers.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	begin()
	row := int64(0)
	for _, b := range batches {
		if err := bareBatch(ctx, conn.Conn(), b, &row); err != nil {
			return fmt.Errorf("bare: %w", err)
		}
	}
	return nil
}

func bareBatch(ctx context.Context, c *pgx.Conn, items []*store.Item, row *int64) error {
	var entries, records columns
	words := map[int64]*columns{}
	for _, it := range items {
		e, r := &it.Entry, it.Row
		about := int64(0)
		if r != nil {
			*row++
			about = *row
		}
		var command any
		if !it.Command.IsZero() {
			command = [16]byte(it.Command)
		}
		entries.add(e.Seq, e.At.UnixMicro(), int64(1), int64(1), int64(1), [16]byte(e.Record), int64(e.Version), int64(1), int64(1), about, int64(-1),
			command, e.Content, e.Salt, int64(1), e.Sig, e.Commitment[:], nil)
		if r == nil {
			continue
		}
		var west, south, east, north, uncertainty any
		if r.Box != nil {
			west, south, east, north, uncertainty = r.Box.W, r.Box.S, r.Box.E, r.Box.N, r.Record.Place.Uncertainty
		}
		records.add(*row, [16]byte(r.Record.ID), int64(1), int64(1), int64(1), int64(r.Record.Version), e.Seq, r.Record.Observed.UnixMicro(), r.Record.Recorded.UnixMicro(), nil, r.Open,
			int64(1), west, south, east, north, uncertainty, r.Title, index.FacetText(r))
		words = put(words, *row/searchSpan, *row, vector(index.Words(r, 1)))
	}
	var q pgx.Batch
	q.Queue("BEGIN")
	q.Queue(insertEntry, entries.arrays(entryTypes)...)
	if len(records.rows) > 0 {
		q.Queue(insertRecord, records.arrays(recordTypes)...)
	}
	for part, w := range words {
		q.Queue(insertWords(part), w.arrays("it")...)
	}
	q.Queue("COMMIT")
	return c.SendBatch(ctx, &q).Close()
}
