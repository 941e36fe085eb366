package move

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"konbit/record"
	"konbit/store"
	"konbit/store/index"
)

// A chunk is written in one transaction: so many rows, or fewer of so many bytes.
const (
	chunkRows  = 5000
	chunkBytes = 4 << 20
)

// begins starts a step at done of total rows.
func (f *filling) begins(what string, done, total int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.step = Step{what, done, max(total, done)}
	f.say()
}

// more counts rows of the step.
func (f *filling) more(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.step.Done = min(f.step.Done+int64(n), f.step.Total)
	f.say()
}

func (f *filling) say() {
	if f.progress != nil {
		f.progress(f.step)
	}
}

// tables copies every table, each from where its rows in the target end.
func (f *filling) tables(ctx context.Context) error {
	var done, total int64
	for i := range store.Tables {
		n, err := f.src.Count(ctx, &store.Tables[i])
		if err != nil {
			return err
		}
		have, err := f.dst.Count(ctx, &store.Tables[i])
		if err != nil {
			return err
		}
		done, total = done+have, total+n
	}
	f.begins(Copying, done, total)
	for i := range store.Tables {
		if err := f.table(ctx, &store.Tables[i]); err != nil {
			return fmt.Errorf("copy of table %s: %w", store.Tables[i].Name, err)
		}
	}
	return nil
}

func (f *filling) table(ctx context.Context, t *store.Table) error {
	after, err := f.dst.Last(ctx, t)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan [][]any, 1)
	send := func(rows [][]any) error {
		select {
		case chunks <- rows:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.Go(func() error {
		defer close(chunks)
		sum := newSummer(t)
		var rows [][]any
		size := 0
		if err := f.src.Dump(ctx, t, after, func(row []any) error {
			size += sum.add(row)
			if rows = append(rows, row); len(rows) < f.chunk && size < chunkBytes {
				return nil
			}
			full := rows
			rows, size = nil, 0
			return send(full)
		}); err != nil {
			return err
		}
		if after == nil {
			f.sums[t.Name] = sum.sum()
		}
		if len(rows) == 0 {
			return nil
		}
		return send(rows)
	})
	g.Go(func() error {
		for rows := range chunks {
			if err := f.dst.Load(ctx, t, rows); err != nil {
				return err
			}
			f.more(len(rows))
		}
		return ctx.Err()
	})
	return g.Wait()
}

// words makes the search index of the target from the versions that it holds.
func (f *filling) words(ctx context.Context) error {
	records := slices.IndexFunc(store.Tables, func(t store.Table) bool { return t.Name == "record" })
	total, err := f.dst.Count(ctx, &store.Tables[records])
	if err != nil {
		return err
	}
	after, err := f.dst.LastWords(ctx)
	if err != nil {
		return err
	}
	f.begins(Indexing, after, total) // rows are numbered densely
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan []store.Words, 1)
	g.Go(func() error {
		defer close(chunks)
		for {
			some, err := f.dst.Newest(ctx, after, (f.chunk+9)/10)
			if err != nil || len(some) == 0 {
				return err
			}
			after = some[len(some)-1].Row
			words, err := f.derived(some)
			if err != nil {
				return err
			}
			select {
			case chunks <- words:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	g.Go(func() error {
		for words := range chunks {
			if err := f.dst.LoadWords(ctx, words); err != nil {
				return err
			}
			f.more(len(words))
		}
		return ctx.Err()
	})
	return g.Wait()
}

// derived computes words, on every processor.
func (f *filling) derived(some []store.Newest) ([]store.Words, error) {
	words := make([]store.Words, len(some))
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for i := k; i < len(some) && errs[k] == nil; i += workers {
				words[i], errs[k] = f.derivedOne(&some[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return words, nil
}

func (f *filling) derivedOne(n *store.Newest) (store.Words, error) {
	var r record.Record
	if err := json.Unmarshal(n.Content, &r); err != nil {
		e := &record.Error{Code: record.Corrupt, Op: "store.copy", Message: fmt.Sprintf("the newest version of record row %d cannot be read", n.Row), Err: err}
		e.Hint = "run konbit verify on the source"
		return store.Words{}, e
	}
	row, err := f.derive(&r)
	if err != nil {
		return store.Words{}, fmt.Errorf("record %s: %w", r.ID, err)
	}
	return store.Words{Row: n.Row, Text: index.Words(row, n.Marking)}, nil
}

// summer sums up the rows of a table.
type summer struct {
	s   Sum
	h   hash.Hash
	buf []byte
}

func newSummer(t *store.Table) *summer { return &summer{s: Sum{Table: t.Name}, h: sha256.New()} }

// add takes the next row and returns its size in bytes.
func (s *summer) add(row []any) int {
	s.buf = appendRow(s.buf[:0], row)
	s.h.Write(s.buf)
	s.s.Rows++
	return len(s.buf)
}

func (s *summer) sum() Sum {
	s.s.Hash = [sha256.Size]byte(s.h.Sum(nil))
	return s.s
}
