package move

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// prove holds the target against the source, and against its own ledger.
func (f *filling) prove(ctx context.Context) (*Proof, error) {
	p := &Proof{Origin: origin(f.note), Size: f.size}
	var total int64
	for i := range store.Tables {
		n, err := f.dst.Count(ctx, &store.Tables[i])
		if err != nil {
			return nil, err
		}
		if total += n; store.Tables[i].Name == "record" {
			p.Records = n
		}
	}
	f.begins(Proving, 0, total+p.Records)
	if err := f.head(ctx, p); err != nil {
		return nil, err
	}
	for i := range store.Tables {
		s, err := f.equal(ctx, &store.Tables[i])
		if err != nil {
			return nil, err
		}
		p.Tables = append(p.Tables, s)
	}
	return p, f.check(ctx)
}

// unequal is an error that names what differs.
func unequal(format string, args ...any) error {
	e := record.Errorf(record.Corrupt, "store.copy", "source and target are NOT equal: "+format, args...)
	e.Hint = "the source was changed since the copy was begun, or somebody changed the target; " + emptied
	return e
}

// head compares the heads, and the target's own leaves with what its checkpoint says.
func (f *filling) head(ctx context.Context, p *Proof) (err error) {
	size, note, err := f.dst.Head(ctx)
	if err != nil {
		return err
	}
	if size != f.size || !bytes.Equal(note, f.note) {
		return unequal("the ledger's head")
	}
	var tree ledger.Tree
	for from := int64(0); from < size; {
		leaves, err := f.dst.Leaves(ctx, from, min(from+8192, size))
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			return unequal("entry %d is missing", from)
		}
		tree.Append(leaves)
		from += int64(len(leaves))
	}
	p.Root = tree.Root()
	if size == 0 {
		return nil
	}
	said, root, err := promised(note)
	if err != nil {
		return err
	}
	if said != size || root != p.Root {
		return &record.Error{Code: record.Corrupt, Op: "store.copy", Message: fmt.Sprintf("the %d entries make the root %s; the checkpoint says %s for %d", size, p.Root, root, said), Hint: "run konbit verify on the source"}
	}
	return nil
}

// promised reads size and root from a checkpoint (C2SP tlog-checkpoint: the second
// and third line). Whose signature it bears is for konbit verify to say.
func promised(note []byte) (size int64, root ledger.Hash, err error) {
	lines := strings.SplitN(string(note), "\n", 4)
	if len(lines) == 4 {
		if size, err = strconv.ParseInt(lines[1], 10, 64); err == nil {
			var b []byte
			if b, err = base64.StdEncoding.DecodeString(lines[2]); err == nil && len(b) == len(root) {
				return size, ledger.Hash(b), nil
			}
		}
	}
	return 0, root, &record.Error{Code: record.Corrupt, Op: "store.copy", Message: "the ledger's checkpoint cannot be read", Hint: "run konbit verify on the source", Err: err}
}

// equal sums up a table on both sides. What was read from end to end as it was
// copied is not read again.
func (f *filling) equal(ctx context.Context, t *store.Table) (Sum, error) {
	g, gctx := errgroup.WithContext(ctx)
	src, read := f.sums[t.Name]
	if !read {
		g.Go(func() (err error) { src, err = f.sumUp(gctx, f.src, t, func(int) {}); return err })
	}
	var dst Sum
	g.Go(func() (err error) { dst, err = f.sumUp(gctx, f.dst, t, f.more); return err })
	if err := g.Wait(); err != nil {
		return dst, err
	}
	if src == dst {
		return dst, nil
	}
	return dst, f.differs(ctx, t)
}

func (f *filling) sumUp(ctx context.Context, from store.Rows, t *store.Table, more func(int)) (Sum, error) {
	s := newSummer(t)
	n := 0
	err := from.Dump(ctx, t, nil, func(row []any) error {
		s.add(row)
		if n++; n == f.chunk {
			more(n)
			n = 0
		}
		return nil
	})
	more(n)
	return s.sum(), err
}

// differs names the first row that is not the same on both sides.
func (f *filling) differs(ctx context.Context, t *store.Table) error {
	next, stop := iter.Pull2(each(ctx, f.src, t))
	defer stop()
	other, end := iter.Pull2(each(ctx, f.dst, t))
	defer end()
	for n := 0; ; n++ {
		a, err, more := next()
		if err != nil {
			return err
		}
		b, err, too := other()
		if err != nil {
			return err
		}
		switch {
		case !more && !too: // it was another row when the sums were made
			return unequal("table %s", t.Name)
		case !bytes.Equal(appendRow(nil, a), appendRow(nil, b)):
			return unequal("in table %s, after %d rows, the source has %s, the target %s", t.Name, n, name(t, a), name(t, b))
		}
	}
}

// each yields the rows of a table, or the error that ended them.
func each(ctx context.Context, from store.Rows, t *store.Table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		stopped := fmt.Errorf("stopped")
		err := from.Dump(ctx, t, nil, func(row []any) error {
			if !yield(row, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && err != stopped {
			yield(nil, err)
		}
	}
}

// name says which row it is, for a person.
func name(t *store.Table, row []any) string {
	if row == nil {
		return "no more"
	}
	var words []string
	for i, c := range t.Columns[:t.Key] {
		v := row[i]
		switch x := v.(type) {
		case []byte:
			v = fmt.Sprintf("%x", x)
		case [16]byte:
			v = record.ID(x)
		}
		words = append(words, fmt.Sprintf("%s %v", c.Name, v))
	}
	return "the row with " + strings.Join(words, ", ")
}

// check derives every record of the target anew from its newest signed version.
func (f *filling) check(ctx context.Context) error {
	var fault *store.Fault
	var last int64
	if err := f.dst.Check(ctx, f.derive, func(done, _ int64) { f.more(int(done - last)); last = done }, func(x store.Fault) bool {
		fault = &x
		return false
	}); err != nil || fault == nil {
		return err
	}
	e := record.Errorf(record.Corrupt, "store.copy", "record %s, ledger entry %d: %s", fault.Record, fault.Seq, fault.What)
	e.Hint = "run konbit verify on the source; when it finds the same, the source was wrong before it was copied"
	return e
}

// appendRow appends a row so that two rows are equal when their bytes are: each value
// with its type, and the length of what has one.
func appendRow(b []byte, row []any) []byte {
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
		case bool:
			if b = append(b, 'o', 0); v {
				b[len(b)-1] = 1
			}
		case string:
			b = append(binary.AppendUvarint(append(b, 't'), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 'b'), uint64(len(v))), v...)
		case [16]byte:
			b = append(append(b, 'u'), v[:]...)
		default:
			panic(fmt.Sprintf("move: a row holds a %T", v))
		}
	}
	return b
}
