package query

import (
	"context"
	"encoding/json"
	"time"

	"konbit/desk"
	"konbit/ledger"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// AuditEntry is a ledger entry as an auditor reads it: who did what, and when.
// The content of a record is not in it.
type AuditEntry struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Type    string    `json:"type"`
	Actor   string    `json:"actor"`
	Agency  string    `json:"agency"`
	Kind    string    `json:"kind,omitempty"`
	Record  string    `json:"record,omitempty"`
	Version int       `json:"version,omitempty"`
	What    string    `json:"what"` // "incident.verify", "open", "signed in"
	Purpose string    `json:"purpose,omitempty"`
	Erased  bool      `json:"erased,omitempty"`
}

// AuditFilter selects ledger entries.
type AuditFilter struct {
	Record   record.ID
	Person   string
	Type     string
	From, To time.Time
	Cursor   string
	Limit    int
}

// Audit returns ledger entries newest first: those of the auditor's agency, and
// for a record that his agency owns everybody's.
func (q *Records) Audit(ctx context.Context, r *policy.Reader, f *AuditFilter) (entries []AuditEntry, next string, err error) {
	if !r.Scope("audit") || !r.HoldsAnywhere(desk.Auditor) {
		return nil, "", record.Errorf(record.Denied, "audit", "only an auditor reads the ledger")
	}
	lq := &store.LogQuery{Record: f.Record, Actor: f.Person, Agencies: []string{r.Agency}, From: f.From, To: f.To, Limit: 100}
	if f.Limit > 0 {
		lq.Limit = min(f.Limit, 1000)
	}
	if f.Type != "" {
		lq.Types = []string{f.Type}
	}
	if !f.Record.IsZero() {
		// What is not there answers as what belongs to others: nobody learns here
		// whether there is a record.
		owner, _, err := q.ownerOf(ctx, f.Record)
		if err != nil && record.CodeOf(err) != record.NotFound {
			return nil, "", err
		}
		if owner == r.Agency {
			lq.Agencies = nil
		}
	}
	return q.log(ctx, r, lq, f.Cursor)
}

// Looks returns who saw a record and why. Auditors and supervisors of the
// owner's agency may ask.
func (q *Records) Looks(ctx context.Context, r *policy.Reader, kind string, id record.ID, cursor string) ([]AuditEntry, string, error) {
	k := q.desks.Kind(kind)
	owner, of, err := q.ownerOf(ctx, id)
	if err != nil && record.CodeOf(err) != record.NotFound {
		return nil, "", err
	}
	if err != nil || k == nil || of != kind {
		return nil, "", record.Errorf(record.NotFound, kind+".looks", "there is no such record, or you may not see it")
	}
	if owner != r.Agency || !r.Scope("audit") || !r.Holds(k.Desk, desk.Auditor) {
		_, err := q.peek(ctx, r, kind, id)
		supervises := owner == r.Agency && r.Holds(k.Desk, desk.Supervisor)
		if err != nil && (supervises || record.CodeOf(err) != record.NeedPurpose) { // a refusal would say that it is there
			return nil, "", err
		}
		if !supervises {
			return nil, "", record.Errorf(record.Denied, kind+".looks", "only an auditor or a supervisor of the owner may ask who looked")
		}
	}
	return q.log(ctx, r, &store.LogQuery{Record: id, Types: []string{"look"}, Limit: 200}, cursor)
}

// ownerOf returns the agency and the kind of a record, also of an erased one.
func (q *Records) ownerOf(ctx context.Context, id record.ID) (owner, kind string, err error) {
	vs, err := q.store.Versions(ctx, id)
	if err != nil {
		return "", "", err
	}
	if len(vs) == 0 {
		return "", "", record.Errorf(record.NotFound, "audit", "there is no such record")
	}
	err = q.store.Entries(ctx, vs[0].Seq, vs[0].Seq+1, func(l *store.Logged) bool { owner, kind = l.Agency, l.Kind; return true })
	return owner, kind, err
}

func (q *Records) log(ctx context.Context, r *policy.Reader, lq *store.LogQuery, cursor string) ([]AuditEntry, string, error) {
	if cursor != "" {
		seq, _, ok := q.seal.open("audit|"+r.Person, cursor)
		if !ok {
			return nil, "", record.Fields{{Path: "cursor", Code: "invalid", Message: "not a cursor of this node"}}.Err("audit")
		}
		lq.Before = seq
	}
	logged, err := q.store.Log(ctx, lq)
	if err != nil {
		return nil, "", err
	}
	out := make([]AuditEntry, 0, len(logged))
	for _, l := range logged {
		out = append(out, auditEntry(l))
	}
	next := ""
	if len(logged) == lq.Limit {
		next = q.seal.seal("audit|"+r.Person, logged[len(logged)-1].Seq, 0)
	}
	return out, next, nil
}

func auditEntry(l *store.Logged) AuditEntry {
	e := AuditEntry{Seq: l.Seq, At: l.At, Type: l.Type, Actor: l.Actor, Agency: l.Agency, Kind: l.Kind, Version: l.Version, What: l.Type, Erased: l.Entry.Erased()}
	if l.Record != ([16]byte{}) {
		e.Record = record.ID(l.Record).String()
	}
	var c struct {
		Kind    string `json:"kind"`
		Command string `json:"command"`
		How     string `json:"how"`
		What    string `json:"what"`
		Purpose string `json:"purpose"`
		Ground  string `json:"ground"`
	}
	if json.Unmarshal(l.Content, &c) == nil {
		if e.Kind == "" {
			e.Kind = c.Kind
		}
		e.Purpose = c.Purpose
		for _, s := range []string{c.Command, c.How, c.What, c.Ground} {
			if s != "" {
				e.What = s
				break
			}
		}
	}
	return e
}

// Proof makes the portable proof of one entry. The content is withheld, and
// replaced by its digest, when it is a record version that the auditor may not
// read.
func (q *Records) Proof(ctx context.Context, r *policy.Reader, seq int64, checkpoint []byte, nodeKey string) (*ledger.ProofFile, error) {
	if !r.Scope("audit") || !r.HoldsAnywhere(desk.Auditor) {
		return nil, record.Errorf(record.Denied, "audit.proof", "only an auditor takes proofs from the ledger")
	}
	var l *store.Logged
	if err := q.store.Entries(ctx, seq, seq+1, func(x *store.Logged) bool { l = x; return true }); err != nil {
		return nil, err
	}
	hidden := record.Errorf(record.NotFound, "audit.proof", "there is no such entry, or it is not your agency's")
	if l == nil || l.Seq != seq {
		return nil, hidden
	}
	if l.Agency != r.Agency {
		if l.Record == ([16]byte{}) {
			return nil, hidden
		}
		if owner, _, err := q.ownerOf(ctx, record.ID(l.Record)); err != nil || owner != r.Agency {
			return nil, hidden
		}
	}
	e, signed := l.Entry, l.At
	if l.Type == "change" && !e.Erased() {
		var rec record.Record
		if err := json.Unmarshal(e.Content, &rec); err != nil {
			return nil, err
		}
		signed = rec.Recorded                      // of another agency's record before it came here
		_, err := q.peek(ctx, r, rec.Kind, rec.ID) // as it is now; a narrowed record takes its past along
		if c := record.CodeOf(err); err != nil && c != record.NotFound && c != record.NeedPurpose {
			return nil, err
		}
		if err != nil || q.Verdict(r, &rec) != policy.Visible {
			var err error
			if e, err = e.Erase(nil); err != nil {
				return nil, err
			}
		} else if err := q.Looked(ctx, r, "proof", &rec); err != nil {
			return nil, err
		}
	}
	var owner = q.dir.Key(l.Agency, l.KeyID, signed)
	if e.KeyID == "" {
		owner = nil
	}
	return ledger.NewProof(ctx, q.store, e, checkpoint, nodeKey, owner)
}
