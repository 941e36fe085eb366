package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/intake"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// Verified says what a verification found whole.
type Verified struct {
	ledger.Report
	Attachments int
}

// Verify proves the ledger's tree, signatures and checkpoints, that every
// erasure is accounted for, that records equal the ledger, and that attachments
// have the content that their names promise. The first fault is returned as
// fault; err is for what kept it from looking.
func (n *Node) Verify(ctx context.Context, progress func(done, total int64)) (fault *ledger.Fault, v Verified, err error) {
	size, _, err := n.Store.Head(ctx)
	if err != nil {
		return asFault(err)
	}
	agencies, _, err := n.Store.People(ctx)
	if err != nil {
		return asFault(err)
	}
	by := map[string]*store.Agency{}
	for i := range agencies {
		by[agencies[i].ID] = &agencies[i]
	}
	known, err := note.NewVerifier(n.Keys.Verifier)
	if err != nil {
		return nil, v, err
	}
	ver := ledger.NewVerifier(func(agency, keyID string) ed25519.PublicKey {
		if a := by[agency]; a != nil {
			return a.KeyAt(keyID, time.Time{}) // headerFault asks whether it counted then
		}
		return nil
	}, n.Store)
	err = n.Store.Checkpoints(ctx, func(at int64, text []byte) error {
		cp, err := ledger.ParseCheckpoint(text, note.VerifierList(known))
		if err != nil {
			return &ledger.Fault{Seq: at - 1, What: "checkpoint: " + err.Error()}
		}
		if at > size {
			return nil // written since
		}
		return ver.Expect(cp)
	})
	if err != nil {
		return asFault(err)
	}
	erased := map[[16]byte]int64{} // record -> position of its erase entry
	var batch []ledger.Entry
	var failed error
	flush := func() bool {
		failed = ver.AddBatch(ctx, batch)
		batch = batch[:0]
		return failed == nil
	}
	err = n.Store.Entries(ctx, 0, size, func(l *store.Logged) bool {
		if l.Type == "erase" {
			erased[l.Record] = l.Seq
		}
		if f := headerFault(l, by[l.Agency]); f != nil {
			failed = f
			return false
		}
		if batch = append(batch, l.Entry); len(batch) < 1024 {
			return true
		}
		progress(l.Seq+1, size)
		return flush()
	})
	if err == nil && failed == nil {
		flush()
	}
	if err = errors.Join(failed, err); err != nil {
		return asFault(err)
	}
	if v.Report, err = ver.Finish(); err != nil {
		return asFault(err)
	}
	if v.Report.Size != size {
		return &ledger.Fault{Seq: v.Report.Size, What: fmt.Sprintf("the ledger ends here; its head says %d entries", size)}, v, nil
	}
	if f, err := n.checkErasures(ctx, v.Report.Erased, erased); f != nil || err != nil {
		return f, v, err
	}
	err = n.Store.Check(ctx, func(rec *record.Record) (*store.Row, error) { return intake.Derive(n.Desks, rec) }, progress, func(f store.Fault) bool {
		fault = &ledger.Fault{Seq: f.Seq, Record: f.Record, What: f.What}
		return false
	})
	if err != nil {
		return asFault(err)
	}
	if fault != nil {
		return fault, v, nil
	}
	err = n.Blobs.Verify(ctx, func(hash string, wrong error) bool {
		v.Attachments++
		if wrong != nil && fault == nil {
			fault = &ledger.Fault{Seq: -1, What: fmt.Sprintf("attachment %s: %v", hash, wrong)}
		}
		return fault == nil
	})
	return fault, v, err
}

// checkErasures holds every missing content against an erase entry that came later.
func (n *Node) checkErasures(ctx context.Context, missing []int64, erased map[[16]byte]int64) (fault *ledger.Fault, err error) {
	for _, seq := range missing {
		err = n.Store.Entries(ctx, seq, seq+1, func(l *store.Logged) bool {
			if at, ok := erased[l.Record]; !ok || at < seq || l.Type != "change" {
				fault = &ledger.Fault{Seq: seq, Record: l.Record, What: "the content is gone and no erasure accounts for it"}
			}
			return true
		})
		if err != nil || fault != nil {
			return fault, err
		}
	}
	return nil, nil
}

// headerFault compares a change's signed payload with the entry's own columns. A
// record of another node was recorded there, at another time than it was learned here.
func headerFault(l *store.Logged, owner *store.Agency) *ledger.Fault {
	if l.Type != "change" || l.Entry.Erased() {
		return nil
	}
	wrong := func(what string, args ...any) *ledger.Fault {
		return &ledger.Fault{Seq: l.Seq, Record: l.Record, What: fmt.Sprintf(what, args...)}
	}
	var r record.Record
	if err := json.Unmarshal(l.Content, &r); err != nil {
		return wrong("the signed version cannot be read: %v", err)
	}
	switch {
	case [16]byte(r.ID) != l.Record:
		return wrong("the signed version is of record %s", r.ID)
	case r.Version != l.Version:
		return wrong("version is %d, the signed version says %d", l.Version, r.Version)
	case r.Owner != l.Agency:
		return wrong("agency is %s, the signed version says %s", l.Agency, r.Owner)
	case r.Author != l.Actor:
		return wrong("actor is %s, the signed version says %s", l.Actor, r.Author)
	case owner != nil && owner.KeyAt(l.KeyID, r.Recorded) == nil:
		return wrong("the key %s had been retired when %s recorded this version", l.KeyID, r.Owner)
	case !r.Recorded.Equal(l.At) && (owner == nil || owner.Local):
		return wrong("time is %s, the signed version says %s", l.At, r.Recorded)
	}
	return nil
}

// asFault tells a fault in the data from a failure to look.
func asFault(err error) (*ledger.Fault, Verified, error) {
	var f *ledger.Fault
	if errors.As(err, &f) {
		return f, Verified{}, nil
	}
	if record.CodeOf(err) == record.Corrupt {
		return &ledger.Fault{Seq: -1, What: err.Error()}, Verified{}, nil
	}
	return nil, Verified{}, err
}
