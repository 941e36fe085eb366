package web

import (
	"context"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/blob"
	"konbit/desk"
	"konbit/record"
)

func (s *Server) registerAttachments() {
	text := &huma.Schema{Type: "string"}
	raw := &huma.Schema{Type: "string", Format: "binary"}
	s.handle(huma.Operation{OperationID: "upload", Method: http.MethodPost, Path: "/api/v1/attachments", Summary: "Upload a photo, a PDF or a sound, to attach it to a record", Tags: []string{"attachments"},
		Description: "The type is found in the bytes. Images are encoded anew, so that what they say about place and camera is gone. Attach the hash to a record within a day.",
		Parameters:  []*huma.Param{inQuery("name", "What the file is called", text)}, MaxBodyBytes: -1,
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: raw}}},
		Responses:   map[string]*huma.Response{"201": s.answer("What the node found it to be", record.Attachment{})}}, s.upload)
	for _, name := range s.cfg.Desks.KindNames() {
		k := s.cfg.Desks.Kind(name)
		s.route(k, http.MethodGet, "/{id}/attachments/{hash}", "attachment", "An attachment of a record", huma.Operation{
			Parameters: []*huma.Param{inPath("hash", "SHA-256 of the content, lower-case hex", text), inQuery("size", "thumb: a small picture", &huma.Schema{Type: "string", Enum: []any{"thumb"}})},
			Responses:  map[string]*huma.Response{"200": {Description: "The content", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: raw}}}}}, s.attachment)
	}
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	mayWrite := slices.ContainsFunc(s.cfg.Desks.KindNames(), func(name string) bool { return reader.May(s.cfg.Desks.Kind(name), desk.Create) == nil })
	if !mayWrite {
		return record.Errorf(record.Denied, "attachment.upload", "your role does not allow this")
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return unsupported("the bytes of the file alone, as application/octet-stream")
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Minute)) // photos go over slow links
	r.Body = http.MaxBytesReader(nil, r.Body, blob.MaxFile+1)
	name := strings.ToValidUTF8(r.URL.Query().Get("name"), "")
	if n := []rune(name); len(n) > 200 {
		name = string(n[:200])
	}
	info, err := s.cfg.Blobs.Put(r.Context(), reader.Person, name, r.Body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, record.Attachment{Hash: info.Hash, Type: info.Type, Size: info.Size, Name: info.Name})
}

var sandbox = []string{"default-src 'none'; sandbox; frame-ancestors 'none'"}

func (s *Server) attachment(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	reader, err := s.signedIn(r.Context())
	if err != nil {
		return err
	}
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	it, err := s.cfg.Records.Get(r.Context(), reader, k.Name, id, "attachment")
	if err != nil {
		return err
	}
	hash := r.PathValue("hash")
	i := slices.IndexFunc(it.Record.Attachments, func(a record.Attachment) bool { return a.Hash == hash })
	if i < 0 {
		return record.Errorf(record.NotFound, k.Name+".attachment", "the record has no such attachment")
	}
	a := it.Record.Attachments[i]
	var content io.ReadSeekCloser
	var info blob.Info
	switch size := r.URL.Query().Get("size"); size {
	case "":
		content, info, err = s.cfg.Blobs.Open(hash)
	case "thumb":
		content, info, err = s.cfg.Blobs.Thumb(hash)
	default:
		return record.Fields{{Path: "size", Code: "enum", Message: "must be thumb"}}.Err(k.Name + ".attachment")
	}
	if record.CodeOf(err) == record.NotFound && content == nil && r.URL.Query().Get("size") == "" {
		if s.elsewhere() {
			return s.forward(w, r)
		}
		return s.fetching(r.Context(), it.Record, hash, err)
	}
	if err != nil {
		return err
	}
	defer content.Close()
	h := w.Header()
	h["Content-Security-Policy"] = sandbox
	h.Set("Content-Type", info.Type)
	h.Set("Content-Disposition", disposition(info.Type, a.Name))
	h.Set("Cache-Control", "private, max-age=3600")
	h.Set("Vary", "Cookie, Authorization, Konbit-Agency")
	h.Set("ETag", `"`+info.Hash[:min(32, len(info.Hash))]+r.URL.Query().Get("size")+`"`)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute))
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

// fetching has an attachment of a foreign record fetched from its owner's node,
// now that somebody wants it, and says how far it has come.
func (s *Server) fetching(ctx context.Context, rec *record.Record, hash string, missing error) error {
	x := s.exchange()
	if x == nil {
		return missing
	}
	f, err := x.Want(ctx, rec, hash)
	if record.CodeOf(err) == record.NotFound {
		return missing
	}
	if err != nil {
		return err
	}
	e := record.Errorf(record.Unavailable, "attachment", "it is on its way from the owner's node: %d of %d kB are here", f.Done>>10, (f.Total+1023)>>10)
	if e.Hint = "try again in a moment"; !f.Reachable {
		e.Hint = "that node cannot be reached now; it comes when the link is back"
	}
	return e
}

// disposition lets a browser show only what the node has encoded itself.
func disposition(typ, name string) string {
	how := "attachment"
	if typ == "image/jpeg" || typ == "image/png" || typ == "image/webp" || typ == "image/gif" || strings.HasPrefix(typ, "audio/") {
		how = "inline"
	}
	if name == "" {
		return how
	}
	if d := mime.FormatMediaType(how, map[string]string{"filename": name}); d != "" {
		return d
	}
	return how
}
