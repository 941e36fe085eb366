package web

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/policy"
	"konbit/record"
	"konbit/transfer"
	"konbit/wire/table"
)

// Limits of imports over the console. A larger file goes in with konbit import.
const (
	maxImport   = 100 << 20 // bytes of a file
	maxRunning  = 4         // imports at a time
	keepImport  = 24 * time.Hour
	previewRows = 20
)

// imports are the imports that were begun here, until they are forgotten. They
// end with the process: the same file can be imported again without harm.
type imports struct {
	sync.Mutex
	jobs map[string]*importing
}

// importing is one import.
type importing struct {
	ImportJob
	person string
	folder string // with the file, and later the refused rows
	ended  time.Time
	cancel context.CancelFunc
}

// ImportJob says how far an import is.
type ImportJob struct {
	Job     string    `json:"job"`
	Kind    string    `json:"kind"`
	File    string    `json:"file"`
	Started time.Time `json:"started"`
	State   string    `json:"state" enum:"running,done,stopped,failed"`
	Done    int       `json:"done" doc:"Rows that are decided"`
	Total   int       `json:"total" doc:"Rows of the file; 0: not known yet"`
	transfer.Counts
	Error  string        `json:"error,omitempty" doc:"Why it failed"`
	Fields record.Fields `json:"fields,omitempty" doc:"What is wrong with the mapping"`
}

// ImportJobs lists one's own imports, newest first.
type ImportJobs struct {
	Jobs []ImportJob `json:"jobs"`
}

// ImportPreview shows the beginning of a file and what a mapping makes of it.
type ImportPreview struct {
	Format   table.Format  `json:"format"`
	Columns  []string      `json:"columns"`
	Rows     [][]string    `json:"rows" doc:"As they stand in the file"`
	Mapping  string        `json:"mapping" doc:"YAML: as given, or as guessed"`
	Guessed  bool          `json:"guessed"`
	Problems record.Fields `json:"problems,omitempty" doc:"Why the mapping does not fit the file"`
	Records  []PreviewRow  `json:"records"`
	Total    int           `json:"total,omitempty" doc:"Rows, roughly; left out when not known"`
}

// PreviewRow is what would become of one row.
type PreviewRow struct {
	Line     int            `json:"line"`
	Record   *record.Record `json:"record,omitempty"`
	Problems record.Fields  `json:"problems,omitempty"`
}

func (s *Server) registerImports() {
	const tag, at = "import", "/api/v1/import"
	s.imports.jobs = map[string]*importing{}
	if s.cfg.Spool != "" {
		s.emptySpool()
	}
	file := &huma.Schema{Type: "string", Format: "binary", Description: "CSV, XLSX, NDJSON or GeoJSON, at most 100 MB"}
	form := &huma.Schema{Type: "object", Required: []string{"file"}, Properties: map[string]*huma.Schema{
		"file": file, "mapping": {Type: "string", Description: "YAML; left out: an export's own, else guessed"}}}
	body := &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: form}, "application/octet-stream": {Schema: file}}}
	kind := []*huma.Param{inPath("kind", "A record kind", &huma.Schema{Type: "string"}), inQuery("name", "The file's name, when it is sent as it is", &huma.Schema{Type: "string"})}
	job := []*huma.Param{inPath("job", "The import", idSchema)}
	const room = maxImport + transfer.MaxMapping + 64<<10 // the parts' headers
	s.handle(huma.Operation{OperationID: "preview-import", Method: http.MethodPost, Path: at + "/{kind}/preview", Summary: "See what a mapping makes of a file, without importing it", Tags: []string{tag},
		Parameters: kind, RequestBody: body, MaxBodyBytes: room, Responses: map[string]*huma.Response{"200": s.answer("The first rows", ImportPreview{})}}, s.previewImport)
	s.handle(huma.Operation{OperationID: "start-import", Method: http.MethodPost, Path: at + "/{kind}", Summary: "Import a file; it goes on when you have gone", Tags: []string{tag},
		Parameters: kind, RequestBody: body, MaxBodyBytes: room, Responses: map[string]*huma.Response{"202": s.answer("The import, which is running", ImportJob{})}}, s.startImport)
	s.handle(huma.Operation{OperationID: "list-imports", Method: http.MethodGet, Path: at + "/jobs", Summary: "Your imports of the last day", Tags: []string{tag},
		Responses: map[string]*huma.Response{"200": s.answer("Newest first", ImportJobs{})}}, s.listImports)
	s.handle(huma.Operation{OperationID: "get-import", Method: http.MethodGet, Path: at + "/jobs/{job}", Summary: "How far an import is", Tags: []string{tag},
		Parameters: job, Responses: map[string]*huma.Response{"200": s.answer("The import", ImportJob{})}}, s.getImport)
	s.handle(huma.Operation{OperationID: "stop-import", Method: http.MethodDelete, Path: at + "/jobs/{job}", Summary: "Stop an import; what is in stays in", Tags: []string{tag},
		Parameters: job, Responses: map[string]*huma.Response{"200": s.answer("The import, which will stop", ImportJob{})}}, s.stopImport)
	s.handle(huma.Operation{OperationID: "get-refused", Method: http.MethodGet, Path: at + "/jobs/{job}/refused", Summary: "The rows that were refused, each with its reason", Tags: []string{tag},
		Parameters: job, Responses: map[string]*huma.Response{"200": {Description: "The rows as they were, with line and reason", Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: "string"}}}}}}, s.refusedRows)
}

// emptySpool removes what imports left behind when the node last stopped.
func (s *Server) emptySpool() {
	left, err := filepath.Glob(filepath.Join(s.cfg.Spool, "import-*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		s.cfg.Log.Warn("old imports could not be removed", "error", err)
	}
}

// importable returns the kind and the reader who may import it.
func (s *Server) importable(r *http.Request) (*desk.Kind, *policy.Reader, error) {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return nil, nil, err
	}
	k := s.cfg.Desks.Kind(r.PathValue("kind"))
	if k == nil {
		return nil, nil, record.Errorf(record.NotFound, "import", "there is no kind %.60q", r.PathValue("kind"))
	}
	return k, reader, may(reader, k, desk.Create, desk.Edit)
}

// sent is an upload on disk.
type sent struct {
	folder  string
	path    string
	name    string
	mapping *transfer.Mapping
	yaml    string
}

func (u *sent) remove() { os.RemoveAll(u.folder) }

// receive spools a file and reads the mapping that came with it. The caller
// removes it.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (_ *sent, err error) {
	if s.cfg.Spool != "" {
		if err := os.MkdirAll(s.cfg.Spool, 0o700); err != nil {
			return nil, spoolFault(err)
		}
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(30 * time.Minute)) // 100 MB over a slow link
	u := &sent{name: r.URL.Query().Get("name")}
	if u.folder, err = os.MkdirTemp(s.cfg.Spool, "import-"); err != nil {
		return nil, spoolFault(err)
	}
	defer func() {
		if err != nil {
			u.remove()
		}
	}()
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && media == "multipart/form-data" {
		err = u.parts(r)
	} else {
		err = u.spool(r.Body)
	}
	if err != nil {
		return nil, err
	}
	u.name = filepath.Base(filepath.Clean("/" + strings.ReplaceAll(u.name, `\`, "/")))
	if u.yaml != "" {
		if u.mapping, err = transfer.ParseMapping([]byte(u.yaml)); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func (u *sent) parts(r *http.Request) error {
	form, err := r.MultipartReader()
	if err != nil {
		return record.Errorf(record.Invalid, "import", "the form cannot be read")
	}
	for {
		p, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return cutOff(err)
		}
		if err := u.part(p); err != nil {
			return err
		}
	}
	if u.path == "" {
		return record.Fields{{Path: "file", Code: "required", Message: "is required"}}.Err("import")
	}
	return nil
}

func (u *sent) part(p *multipart.Part) error {
	switch name := p.FormName(); {
	case name == "file" && u.path == "":
		if p.FileName() != "" {
			u.name = p.FileName()
		}
		return u.spool(p)
	case name == "mapping":
		b, err := io.ReadAll(io.LimitReader(p, transfer.MaxMapping+1))
		u.yaml = string(b) // ParseMapping says when it is too long
		return cutOff(err)
	default:
		return record.Fields{{Path: name, Code: "unknown", Message: "a form has one file and at most one mapping"}}.Err("import")
	}
}

// spool copies the file to disk.
func (u *sent) spool(from io.Reader) error {
	u.path = filepath.Join(u.folder, "file")
	f, err := os.OpenFile(u.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return spoolFault(err)
	}
	n, err := io.Copy(f, io.LimitReader(from, maxImport+1))
	if e := f.Close(); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return cutOff(spoolFault(err))
	case n > maxImport:
		e := record.Errorf(record.TooLarge, "import", "the file is larger than %d MB", maxImport>>20)
		e.Hint = "import it on the node with konbit import"
		return e
	}
	return nil
}

// spoolFault names a fault of the disk.
func spoolFault(err error) error {
	var path *fs.PathError
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.As(err, &path) {
		return &record.Error{Code: record.Unavailable, Op: "import", Message: "the node has no room for the file", Hint: "free some space on its disk", Err: err}
	}
	return err
}

// cutOff names an upload that did not arrive whole.
func cutOff(err error) error {
	var tooBig *http.MaxBytesError
	if err == nil || record.CodeOf(err) != record.Internal || errors.As(err, &tooBig) {
		return err
	}
	return &record.Error{Code: record.Invalid, Op: "import", Message: "the file did not arrive whole", Err: err}
}

func (s *Server) previewImport(w http.ResponseWriter, r *http.Request) error {
	k, reader, err := s.importable(r)
	if err != nil {
		return err
	}
	u, err := s.receive(w, r)
	if err != nil {
		return err
	}
	defer u.remove()
	l, err := transfer.Preview(transfer.Options{Kind: k, Labels: s.cfg.Desks.Labels(k.Desk), Agency: reader.Agency, Mapping: u.mapping, File: u.path, Name: u.name, Now: s.cfg.Now}, previewRows)
	if err != nil {
		return importFault(err)
	}
	p := ImportPreview{Format: l.Format, Columns: l.Columns, Rows: l.Rows, Mapping: u.yaml, Guessed: l.Guessed, Records: []PreviewRow{}, Total: l.Total}
	if p.Rows == nil {
		p.Rows = [][]string{}
	}
	if p.Mapping == "" {
		y, err := l.Mapping.YAML()
		if err != nil {
			return err
		}
		p.Mapping = string(y)
	}
	if l.Fault != nil {
		p.Problems = faultsOf(l.Fault)
	}
	for _, row := range l.Records {
		pr := PreviewRow{Line: row.Line, Problems: row.Problems}
		if row.Draft != nil {
			pr.Record = previewed(k, reader, row.Draft)
		}
		p.Records = append(p.Records, pr)
	}
	return writeJSON(w, http.StatusOK, p)
}

// previewed is a draft as the record that it would make.
func previewed(k *desk.Kind, r *policy.Reader, d *transfer.Draft) *record.Record {
	state := d.State
	if state == "" {
		state = k.Start
	}
	return &record.Record{Body: d.Body, Header: record.Header{ID: d.ID, Kind: k.Name, Owner: r.Agency, State: state, Marking: d.Marking, Observed: d.Observed,
		Author: r.Person, Command: k.Name + "." + desk.Create, Note: d.Note, Key: d.Key, Flags: d.Flags, Place: d.Place, Links: d.Links, Attachments: d.Attachments}}
}

// importFault gives what a reader of tables found to the person: it is about his
// file, never about the node.
func importFault(err error) error {
	var cut *table.CutError
	if errors.As(err, &cut) {
		return &record.Error{Code: record.Invalid, Op: "import", Message: cut.Error(), Err: err}
	}
	return err
}

func faultsOf(err error) record.Fields {
	var e *record.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return e.Fields
	}
	return record.Fields{{Path: "mapping", Code: "invalid", Message: problemOf(err).Detail}}
}

func (s *Server) startImport(w http.ResponseWriter, r *http.Request) error {
	k, reader, err := s.importable(r)
	if err != nil {
		return err
	}
	if err := s.roomFor(reader.Person); err != nil { // before 100 MB have come in, and again after
		return err
	}
	u, err := s.receive(w, r)
	if err != nil {
		return err
	}
	j := &importing{person: reader.Person, folder: u.folder}
	j.ImportJob = ImportJob{Job: record.NewID(s.cfg.Now()).String(), Kind: k.Name, File: u.name, Started: s.cfg.Now().UTC(), State: "running"}
	if err := s.begin(j, k, reader, u); err != nil {
		u.remove()
		return err
	}
	s.imports.Lock()
	view := j.ImportJob
	s.imports.Unlock()
	w.Header().Set("Location", "/api/v1/import/jobs/"+j.Job)
	return writeJSON(w, http.StatusAccepted, view)
}

// roomFor says nil when the person may begin an import now.
func (s *Server) roomFor(person string) error {
	s.imports.Lock()
	defer s.imports.Unlock()
	return s.imports.room(person)
}

func (m *imports) room(person string) error {
	running := 0
	for _, j := range m.jobs {
		if j.State != "running" {
			continue
		}
		if running++; j.person == person {
			e := record.Errorf(record.Stale, "import", "your import of %.80s is still running", j.File)
			e.Hint = "wait for it, or stop it"
			return e
		}
	}
	if running >= maxRunning {
		return record.Errorf(record.TooMany, "import", "the node is busy with other imports; try again in a while")
	}
	return nil
}

// begin registers an import and runs it in the background.
func (s *Server) begin(j *importing, k *desk.Kind, reader *policy.Reader, u *sent) error {
	s.imports.Lock()
	defer s.imports.Unlock()
	if err := s.imports.room(j.person); err != nil {
		return err
	}
	s.imports.forget(s.cfg.Now())
	ok := s.work.start(func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		s.imports.Lock() // free once the import is registered
		j.cancel = cancel
		s.imports.Unlock()
		s.runImport(ctx, j, k, reader, u)
	})
	if !ok {
		return record.Errorf(record.Unavailable, "import", "the node is shutting down")
	}
	s.imports.jobs[j.Job] = j
	return nil
}

// forget drops imports that ended a day ago.
func (m *imports) forget(now time.Time) {
	for id, j := range m.jobs {
		if j.State != "running" && now.Sub(j.ended) > keepImport {
			os.RemoveAll(j.folder)
			delete(m.jobs, id)
		}
	}
}

func (j *importing) refused() string { return filepath.Join(j.folder, "refused.csv") }

func (s *Server) runImport(ctx context.Context, j *importing, k *desk.Kind, reader *policy.Reader, u *sent) {
	o := transfer.Options{
		Kind: k, Labels: s.cfg.Desks.Labels(k.Desk), Agency: reader.Agency, Mapping: u.mapping, File: u.path, Name: u.name, Refused: j.refused(), Now: s.cfg.Now,
		Sink: &importSink{s, reader},
		Progress: func(p transfer.Progress) {
			s.imports.Lock()
			defer s.imports.Unlock()
			j.Done, j.Total, j.Counts = p.Done, p.Total, p.Counts
		},
	}
	res, err := transfer.Import(ctx, o)
	if e := os.Remove(u.path); e != nil {
		s.cfg.Log.Warn("an imported file could not be removed", "error", e)
	}
	s.imports.Lock()
	defer s.imports.Unlock()
	j.ended, j.Done, j.Counts = s.cfg.Now(), res.Rows, res.Counts
	switch {
	case err == nil:
		j.State, j.Total = "done", res.Rows
	case ctx.Err() != nil:
		j.State = "stopped"
	default:
		j.State = "failed"
		p := problemOf(importFault(err))
		j.Error, j.Fields = p.Detail, p.Fields
		if p.Code == record.Internal {
			s.cfg.Log.Error("import failed", "job", j.Job, "error", err)
		}
	}
}

// importSink asks for each batch what the person may do now: an import can take
// longer than a right.
type importSink struct {
	s *Server
	r *policy.Reader
}

func (i *importSink) Put(ctx context.Context, kind, agency string, drafts []transfer.Draft) ([]transfer.Outcome, error) {
	r, err := i.s.cfg.Accounts.Reader(i.r.Person, i.r.Agency, i.r.Scopes, i.r.Purpose)
	if err != nil {
		return nil, err
	}
	local := &transfer.Local{Intake: i.s.cfg.Intake, Desks: i.s.cfg.Desks, Reader: r}
	return local.Put(ctx, kind, agency, drafts)
}

// mine finds an import of the caller's own.
func (s *Server) mine(r *http.Request) (*importing, error) {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return nil, err
	}
	j := s.imports.jobs[r.PathValue("job")]
	if j == nil || j.person != reader.Person {
		return nil, record.Errorf(record.NotFound, "import", "there is no such import, or it is not yours")
	}
	return j, nil
}

func (s *Server) listImports(w http.ResponseWriter, r *http.Request) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	s.imports.Lock()
	out := ImportJobs{Jobs: []ImportJob{}}
	for _, j := range s.imports.jobs {
		if j.person == reader.Person {
			out.Jobs = append(out.Jobs, j.ImportJob)
		}
	}
	s.imports.Unlock()
	slices.SortFunc(out.Jobs, func(a, b ImportJob) int { return b.Started.Compare(a.Started) })
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) getImport(w http.ResponseWriter, r *http.Request) error {
	s.imports.Lock()
	j, err := s.mine(r)
	if err != nil {
		s.imports.Unlock()
		return err
	}
	view := j.ImportJob
	s.imports.Unlock()
	return writeJSON(w, http.StatusOK, view)
}

func (s *Server) stopImport(w http.ResponseWriter, r *http.Request) error {
	s.imports.Lock()
	j, err := s.mine(r)
	if err != nil {
		s.imports.Unlock()
		return err
	}
	if j.cancel != nil {
		j.cancel()
	}
	view := j.ImportJob
	s.imports.Unlock()
	return writeJSON(w, http.StatusOK, view)
}

func (s *Server) refusedRows(w http.ResponseWriter, r *http.Request) error {
	s.imports.Lock()
	j, err := s.mine(r)
	s.imports.Unlock()
	if err != nil {
		return err
	}
	f, err := os.Open(j.refused())
	if errors.Is(err, fs.ErrNotExist) {
		return record.Errorf(record.NotFound, "import", "no row was refused")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	name := strings.TrimSuffix(j.File, filepath.Ext(j.File)) + "-refused.csv"
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	if _, err := io.Copy(w, f); err != nil {
		return errGone
	}
	return nil
}
