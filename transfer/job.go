package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/wire/table"
)

// Options describe one import.
type Options struct {
	Kind    *desk.Kind
	Labels  map[string]desk.Text // of the kind's desk; only for guessing, may be nil
	Agency  string               // that will own the records
	Mapping *Mapping             // nil: of an export its own, else guessed
	Sink    Sink

	File   string    // path; needed to resume
	Name   string    // the file's name where File does not say it
	Source io.Reader // instead of File
	Limits table.Limits

	Refused string // where to write the refused rows as CSV; "": nowhere
	State   string // where to remember how far it came; "": it cannot be resumed

	Batch    int              // drafts of one Put, default and at most MaxBatch
	Workers  int              // goroutines that map rows, default one for each processor
	Now      func() time.Time // default time.Now
	Progress func(Progress)   // called after each batch, never concurrently; may be nil
}

// Progress says how far an import is. Counts include what earlier runs did.
type Progress struct {
	Done  int `json:"done"`            // rows that are decided
	Total int `json:"total,omitempty"` // rows of the file; 0: not known yet
	Counts
	PerSecond float64       `json:"perSecond"` // rows of this run
	Elapsed   time.Duration `json:"-"`         // of this run
}

// Counts say what became of the rows.
type Counts struct {
	Created   int `json:"created"`
	Unchanged int `json:"unchanged"`
	Updated   int `json:"updated"`
	Refused   int `json:"refused"`
}

// Result is what an import came to, also when it ends with an error.
type Result struct {
	Rows    int // decided, those of earlier runs included
	Resumed int // of which earlier runs decided
	Counts
	Elapsed     time.Duration // of this run
	RefusedFile string        // "" when no row was refused
	Mapping     *Mapping      // as used
	Guessed     bool          // nobody gave the mapping, and the file is no export
}

// Import reads a file, maps its rows on several goroutines and puts them into
// the sink in their order. Rows that cannot be taken are refused and written to
// a file with their reasons; everything else that goes wrong ends the import,
// and a later run with the same file, mapping and State goes on behind the last
// batch that the sink answered. The error is ctx.Err() when it was stopped and a
// *table.CutError when the file was cut off: then every row before that is in.
func Import(ctx context.Context, o Options) (Result, error) {
	j, err := newJob(o)
	if err != nil {
		return Result{}, err
	}
	defer j.close()
	if err := j.open(); err != nil {
		return j.result(), err
	}
	err = j.run(ctx)
	if e := j.finish(err); err == nil {
		err = e
	}
	return j.result(), err
}

type job struct {
	Options
	file    *os.File
	info    os.FileInfo
	reader  table.Reader
	ahead   []table.Row // read to guess the mapping
	aheadOK error
	mapper  *Mapper
	mapping *Mapping
	guessed bool
	started time.Time
	state   state
	resumed int
	total   atomic.Int64
	refused *refusedFile
}

// state is what the next run needs to go on.
type state struct {
	File    string    `json:"file"`
	Size    int64     `json:"size"`
	Changed time.Time `json:"changed"`
	Mapping string    `json:"mapping"` // SHA-256
	Kind    string    `json:"kind"`
	Agency  string    `json:"agency"`
	Rows    int       `json:"rows"` // decided
	Counts
	RefusedBytes int64 `json:"refusedBytes"` // of the refused file that belong to these rows
}

func (s *state) same(o *state) bool {
	return s.File == o.File && s.Size == o.Size && s.Changed.Equal(o.Changed) && s.Mapping == o.Mapping && s.Kind == o.Kind && s.Agency == o.Agency
}

func newJob(o Options) (*job, error) {
	if o.Kind == nil || o.File == "" && o.Source == nil {
		return nil, errors.New("transfer: an import needs a kind and a file")
	}
	if o.Name == "" {
		o.Name = filepath.Base(o.File)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Batch <= 0 || o.Batch > MaxBatch {
		o.Batch = MaxBatch
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Refused != "" && (o.Refused == o.File || o.Refused == o.State) || o.State != "" && o.State == o.File {
		return nil, errors.New("transfer: the refused rows and the state need files of their own")
	}
	return &job{Options: o, started: time.Now()}, nil
}

func (j *job) close() {
	if j.reader != nil {
		j.reader.Close()
	}
	if j.file != nil {
		j.file.Close()
	}
	if j.refused != nil {
		j.refused.close()
	}
}

// open finds out format, columns and mapping; nothing is imported before all of
// it is known to be good.
func (j *job) open() error {
	src := j.Source
	if src == nil {
		var err error
		if j.file, err = os.Open(j.File); err != nil {
			return err
		}
		if j.info, err = j.file.Stat(); err != nil {
			return err
		}
		if j.info.IsDir() {
			return record.Errorf(record.Invalid, "import", "%s is a folder", j.File)
		}
		src = j.file
	}
	ro, err := j.readOptions()
	if err != nil {
		return err
	}
	if j.reader, err = table.Open(src, j.Name, ro); err != nil {
		return err
	}
	if s, ok := j.reader.(table.Sized); ok {
		j.total.Store(int64(s.Total()))
	}
	j.choose()
	j.mapper, err = j.mapping.Compile(j.Kind, j.Agency, j.reader.Columns(), j.Now)
	return err
}

func (j *job) readOptions() (table.Options, error) {
	o := table.Options{Limits: j.Limits}
	if j.Mapping == nil {
		return o, nil
	}
	r := j.Mapping.Read
	o.Encoding, o.Sheet = r.Encoding, r.Sheet
	switch d := r.Delimiter; {
	case d == "tab" || d == `\t`:
		o.Comma = '\t'
	case len(d) == 1:
		o.Comma = d[0]
	case d != "":
		return o, record.Fields{{Path: "read.delimiter", Code: "invalid", Message: "one character is needed: , ; | or tab"}}.Err("mapping")
	}
	return o, nil
}

// sampleRows is how many rows a guess looks at.
const sampleRows = 100

func (j *job) choose() {
	if j.mapping = j.Mapping; j.mapping != nil {
		return
	}
	if m, ok := Known(j.Kind, j.reader.Columns()); ok {
		j.mapping = m
		return
	}
	j.peek(sampleRows)
	sample := make([][]string, 0, len(j.ahead))
	for _, r := range j.ahead {
		if len(r.Problems) == 0 {
			sample = append(sample, r.Values)
		}
	}
	j.mapping, j.guessed = Guess(j.Kind, j.Labels, j.reader.Columns(), sample), true
}

func (j *job) peek(n int) {
	for len(j.ahead) < n && j.aheadOK == nil {
		var row table.Row
		if row, j.aheadOK = j.reader.Next(); j.aheadOK == nil {
			j.ahead = append(j.ahead, row)
		}
	}
}

func (j *job) next() (table.Row, error) {
	if len(j.ahead) > 0 {
		row := j.ahead[0]
		j.ahead = j.ahead[1:]
		return row, nil
	}
	if j.aheadOK != nil {
		return table.Row{}, j.aheadOK
	}
	return j.reader.Next()
}

// restore takes up where an earlier run of the same import stopped.
func (j *job) restore() error {
	y, err := j.mapping.YAML()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(y)
	j.state = state{File: j.Name, Mapping: hex.EncodeToString(sum[:]), Kind: j.Kind.Name, Agency: j.Agency}
	if j.info != nil {
		j.state.Size, j.state.Changed = j.info.Size(), j.info.ModTime()
	}
	if j.State != "" && j.info != nil {
		var old state
		b, err := os.ReadFile(j.State)
		if err == nil && json.Unmarshal(b, &old) == nil && old.same(&j.state) && old.Rows >= 0 {
			j.state, j.resumed = old, old.Rows
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if j.Refused != "" {
		j.refused, err = openRefused(j.Refused, j.reader, j.state.RefusedBytes)
	}
	return err
}

// save remembers how far it came, whole or not at all.
func (j *job) save() error {
	if j.State == "" {
		return nil
	}
	b, err := json.MarshalIndent(&j.state, "", "  ")
	if err != nil {
		return err
	}
	temp := j.State + ".tmp"
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, j.State)
}

// chunk is some rows on their way through a worker.
type chunk struct {
	rows   []table.Row
	drafts []Draft
	faults []record.Fields
	done   chan struct{}
}

// chunkRows keeps the cost of handing rows between goroutines small.
const chunkRows = 128

func (j *job) run(ctx context.Context) error {
	if err := j.restore(); err != nil {
		return err
	}
	for i := range j.resumed {
		if _, err := j.next(); err != nil {
			return fmt.Errorf("row %d, which an earlier run has imported, cannot be read: %w", i+1, err)
		}
		if i%10_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	inner, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer func() { stop(); work.Wait() }()
	if j.Progress != nil && j.total.Load() == 0 && j.info != nil && j.info.Size() <= maxCounted {
		work.Go(func() { j.countRows(inner) })
	}

	todo := make(chan *chunk, j.Workers)
	order := make(chan *chunk, 2*j.Workers+MaxBatch/chunkRows)
	var readErr error // read after order is closed
	work.Go(func() {
		defer close(order)
		defer close(todo)
		readErr = j.read(inner, todo, order)
	})
	for range j.Workers {
		work.Go(func() {
			for c := range todo {
				for i := range c.rows {
					if inner.Err() != nil {
						break
					}
					d, f := j.mapper.Map(&c.rows[i])
					c.drafts[i], c.faults[i] = d, f
				}
				close(c.done)
			}
		})
	}
	b := batch{}
	for c := range order {
		<-c.done
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range c.rows {
			b.add(&c.rows[i], &c.drafts[i], c.faults[i])
			if len(b.drafts) == j.Batch || len(b.rows) >= 4*MaxBatch {
				if err := j.put(ctx, &b); err != nil {
					return err
				}
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := j.put(ctx, &b); err != nil {
		return err
	}
	if readErr == io.EOF {
		return nil
	}
	return readErr
}

func (j *job) read(ctx context.Context, todo, order chan<- *chunk) error {
	for {
		c := &chunk{done: make(chan struct{}), rows: make([]table.Row, 0, chunkRows)}
		var err error
		for len(c.rows) < chunkRows {
			var row table.Row
			if row, err = j.next(); err != nil {
				break
			}
			c.rows = append(c.rows, row)
		}
		if len(c.rows) > 0 {
			c.drafts, c.faults = make([]Draft, len(c.rows)), make([]record.Fields, len(c.rows))
			select {
			case todo <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case order <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
}

// maxCounted bounds the files whose rows are counted beforehand, in bytes.
const maxCounted = 256 << 20

// countRows reads the file a second time beside the import, only to say how many
// rows there are.
func (j *job) countRows(ctx context.Context) {
	f, err := os.Open(j.File)
	if err != nil {
		return
	}
	defer f.Close()
	o, err := j.readOptions()
	if err != nil {
		return
	}
	r, err := table.Open(f, j.Name, o)
	if err != nil {
		return
	}
	defer r.Close()
	n := 0
	for ; ctx.Err() == nil; n++ {
		if _, err := r.Next(); err != nil {
			j.total.Store(int64(n))
			return
		}
	}
}

// batch is rows that are decided together. why is nil for those that have a draft.
type batch struct {
	rows   []*table.Row
	why    []record.Fields
	drafts []Draft
}

func (b *batch) add(row *table.Row, d *Draft, f record.Fields) {
	b.rows = append(b.rows, row)
	b.why = append(b.why, f)
	if len(f) == 0 {
		b.drafts = append(b.drafts, *d)
	}
}

// put hands a batch to the sink, writes down the refused rows, and only then
// remembers that these rows are done.
func (j *job) put(ctx context.Context, b *batch) error {
	if len(b.rows) == 0 {
		return nil
	}
	var outcomes []Outcome
	if len(b.drafts) > 0 {
		var err error
		if outcomes, err = j.Sink.Put(ctx, j.Kind.Name, j.Agency, b.drafts); err != nil {
			return err
		}
		if len(outcomes) != len(b.drafts) {
			return fmt.Errorf("%d drafts were answered with %d outcomes", len(b.drafts), len(outcomes))
		}
	}
	k := 0
	for i, row := range b.rows {
		why := b.why[i]
		if len(why) == 0 {
			o := outcomes[k]
			k++
			switch o.Status {
			case Created:
				j.state.Created++
				continue
			case Unchanged:
				j.state.Unchanged++
				continue
			case Updated:
				j.state.Updated++
				continue
			}
			why = reasons(o.Err)
		}
		j.state.Refused++
		if j.refused != nil {
			if err := j.refused.write(row, why); err != nil {
				return err
			}
		}
	}
	j.state.Rows += len(b.rows)
	if j.refused != nil {
		n, err := j.refused.flush()
		if err != nil {
			return err
		}
		j.state.RefusedBytes = n
	}
	if err := j.save(); err != nil {
		return err
	}
	j.report()
	*b = batch{}
	return nil
}

func reasons(err error) record.Fields {
	var e *record.Error
	switch {
	case err == nil:
		return record.Fields{{Path: "row", Code: "refused", Message: "refused without a reason"}}
	case errors.As(err, &e) && len(e.Fields) > 0:
		return e.Fields
	case errors.As(err, &e):
		return record.Fields{{Path: "row", Code: string(e.Code), Message: e.Message}}
	}
	return record.Fields{{Path: "row", Code: "refused", Message: err.Error()}}
}

func (j *job) report() {
	if j.Progress == nil {
		return
	}
	p := Progress{Done: j.state.Rows, Total: int(j.total.Load()), Counts: j.state.Counts, Elapsed: time.Since(j.started)}
	if s := p.Elapsed.Seconds(); s > 0 {
		p.PerSecond = float64(j.state.Rows-j.resumed) / s
	}
	j.Progress(p)
}

// finish ends a whole import by forgetting its state: running it again then
// compares every row.
func (j *job) finish(err error) error {
	var cut *table.CutError
	if err != nil && !errors.As(err, &cut) {
		return nil
	}
	j.total.Store(int64(j.state.Rows))
	j.report()
	if j.State == "" {
		return nil
	}
	if e := os.Remove(j.State); e != nil && !errors.Is(e, os.ErrNotExist) {
		return e
	}
	return nil
}

func (j *job) result() Result {
	r := Result{Rows: j.state.Rows, Resumed: j.resumed, Counts: j.state.Counts, Elapsed: time.Since(j.started), Mapping: j.mapping, Guessed: j.guessed}
	if j.refused != nil && j.state.Refused > 0 {
		r.RefusedFile = j.Refused
	}
	return r
}

// refusedFile is a CSV of the refused rows: their cells as they were (of JSON
// the object), their line and why. It begins with the first refused row.
type refusedFile struct {
	path    string
	columns int
	json    bool
	header  []string
	file    *os.File
	w       table.Writer
	n       int64 // bytes that are written out
}

func openRefused(path string, r table.Reader, keep int64) (*refusedFile, error) {
	f := &refusedFile{path: path, n: keep}
	f.json = r.Format() == table.NDJSON || r.Format() == table.GeoJSON
	if f.json {
		f.header = []string{"raw"}
	} else {
		f.header = append(f.header, r.Columns()...)
	}
	f.columns = len(f.header)
	f.header = append(f.header, "line", "reason")
	// A file that somebody took away or mended begins anew.
	if st, err := os.Stat(path); keep > 0 && (err != nil || st.Size() < keep) {
		keep, f.n = 0, 0
	}
	if keep == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		return f, nil
	}
	// Rows behind what was remembered will be refused again.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = file.Truncate(keep); err == nil {
		_, err = file.Seek(keep, io.SeekStart)
	}
	if err == nil {
		f.file = file
		f.w, err = table.NewCSV(f, nil)
	}
	if err != nil {
		file.Close()
	}
	return f, err
}

// Write counts what reaches the file.
func (f *refusedFile) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	f.n += int64(n)
	return n, err
}

func (f *refusedFile) write(row *table.Row, why record.Fields) (err error) {
	if f.file == nil {
		if f.file, err = os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return err
		}
		if f.w, err = table.NewCSV(f, f.header); err != nil {
			return err
		}
	}
	cells := make([]table.Cell, f.columns, f.columns+2)
	if f.json {
		cells[0].Text = string(row.Raw)
	} else {
		for i, v := range row.Values {
			if i < f.columns {
				cells[i].Text = v
			} else {
				cells[f.columns-1].Text += "," + v // cells too many, where a person sees them
			}
		}
	}
	text := make([]string, len(why))
	for i, w := range why {
		text[i] = w.Path + ": " + w.Message
	}
	cells = append(cells, table.Cell{Text: fmt.Sprint(row.Line), Number: true}, table.Cell{Text: strings.Join(text, "; ")})
	return f.w.Write(cells)
}

func (f *refusedFile) flush() (int64, error) {
	if f.w == nil {
		return f.n, nil
	}
	err := f.w.Close()
	return f.n, err
}

func (f *refusedFile) close() {
	if f.file != nil {
		f.file.Close()
	}
}

// Look is the beginning of a file and what a mapping makes of it.
type Look struct {
	Format  table.Format
	Columns []string
	Rows    [][]string // as they stand in the file
	Mapping *Mapping
	Guessed bool
	Fault   error // why the mapping does not fit; then there are no Records
	Records []LookRow
	Total   int // rows, roughly; 0: not known
}

// LookRow is what became of one row.
type LookRow struct {
	Line     int
	Draft    *Draft // nil with Problems
	Problems record.Fields
}

// Preview maps the first n rows and imports nothing. Sink, Refused, State and
// Progress of o are not used. An error says that the file cannot be read.
func Preview(o Options, n int) (*Look, error) {
	j, err := newJob(o)
	if err != nil {
		return nil, err
	}
	defer j.close()
	fault := j.open()
	if j.mapper == nil { // the file, not the mapping
		return nil, fault
	}
	j.peek(n)
	l := &Look{Format: j.reader.Format(), Columns: j.reader.Columns(), Mapping: j.mapping, Guessed: j.guessed, Fault: fault, Total: int(j.total.Load())}
	for i := range min(n, len(j.ahead)) {
		row := &j.ahead[i]
		l.Rows = append(l.Rows, row.Values)
		if fault != nil {
			continue
		}
		d, f := j.mapper.Map(row)
		p := LookRow{Line: row.Line, Problems: f}
		if len(f) == 0 {
			p.Draft = &d
		}
		l.Records = append(l.Records, p)
	}
	return l, nil
}
