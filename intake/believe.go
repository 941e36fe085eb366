package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"konbit/desk"
	"konbit/ledger"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// arriving is a part of an Arrival on its way through the decider.
type arriving struct {
	node        string
	lane        store.Lane
	after, upTo int64
	items       []believed
	fates       []Fate
	err         error
}

// believed is an item with what could be judged of it without knowing what is
// held: it is refused, or it is what its owner signed.
type believed struct {
	Arrived
	id          record.ID
	owner       string
	version     int
	rec         *record.Record // of a version
	row         *store.Row     // of a version
	recall      *Recall        // of a recall
	over        bool           // of a version: its marking has expired
	reason, why string         // of what is refused
}

// rules are what items of one node are held against.
type rules struct {
	in     *Intake
	node   string
	now    time.Time
	locals []local
}

// local is an agency that this node serves.
type local struct {
	id          string
	communities []string
}

func (in *Intake) newRules(node string) *rules {
	r := &rules{in: in, node: node, now: in.cfg.Now()}
	for _, id := range in.cfg.Directory.Agencies() {
		if in.cfg.Directory.Local(id) {
			r.locals = append(r.locals, local{id, in.cfg.Directory.Communities(id)})
		}
	}
	return r
}

// believe judges all items, on all processors: checking signatures is what takes
// the time.
func (a *arriving) believe(r *rules) {
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), (len(a.items)+15)/16)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(a.items); i += workers {
				it := &a.items[i]
				if it.Recall {
					it.reason, it.why = r.readRecall(it)
				} else {
					it.reason, it.why = r.readVersion(it)
				}
			}
		})
	}
	wg.Wait()
}

// readVersion says why a version is refused, or nothing.
func (r *rules) readVersion(it *believed) (reason, why string) {
	rec := &record.Record{}
	if reason, why := unpack(it.Payload, rec); reason != "" {
		return reason, why
	}
	it.rec, it.id, it.owner, it.version = rec, rec.ID, rec.Owner, rec.Version
	if reason, why := r.serves(it.owner); reason != "" {
		return reason, why
	}
	k := r.in.cfg.Desks.Kind(rec.Kind)
	if k == nil {
		return UnknownKind, fmt.Sprintf("no desk here declares the kind %.60q", rec.Kind)
	}
	key := r.in.cfg.Directory.Key(it.owner, it.KeyID, rec.Recorded)
	if key == nil {
		return UnknownKey, fmt.Sprintf("%.20q is no key of %s that counted at %s", it.KeyID, it.owner, rec.Recorded.Format(time.RFC3339))
	}
	if !ledger.VerifySig(key, it.Payload, it.Sig) {
		return BadSignature, "the signature of " + it.owner + " does not fit"
	}
	if reason, why := r.header(rec, k); reason != "" {
		return reason, why
	}
	body, _, fields := k.Decode(rec.Body)
	if len(fields) > 0 {
		return Malformed, fields.Err(rec.Kind).Error()
	}
	for _, c := range k.CaveatsFor(body) {
		if !slices.Contains(rec.Marking.Caveats, c) {
			return Unprotected, fmt.Sprintf("its content demands the handling caveat %q, and the marking lacks it", c)
		}
	}
	if reason, why := r.released(rec); reason != "" {
		return reason, why
	}
	row, err := derive(r.in.cfg.Desks, rec, body)
	if err != nil {
		return Malformed, err.Error()
	}
	row.Foreign = true
	it.row, it.over = row, rec.Marking.Expires != nil && !r.now.Before(*rec.Marking.Expires)
	return "", ""
}

// readRecall says why a recall is refused, or nothing.
func (r *rules) readRecall(it *believed) (reason, why string) {
	rc := &Recall{}
	if reason, why := unpack(it.Payload, rc); reason != "" {
		return reason, why
	}
	it.recall, it.id, it.owner, it.version = rc, rc.Record, rc.Owner, rc.Version
	if reason, why := r.serves(it.owner); reason != "" {
		return reason, why
	}
	switch {
	case rc.Node != r.in.cfg.Origin:
		return Malformed, fmt.Sprintf("the recall is meant for %.80q", rc.Node)
	case rc.Record.IsZero() || rc.Version < 1 || !record.Token(rc.Reason):
		return Malformed, "a recall needs record, version and reason"
	case rc.At.After(r.now.Add(slack)):
		return Future, "the recall was signed more than a day ahead of our clock"
	}
	key := r.in.cfg.Directory.Key(it.owner, it.KeyID, rc.At)
	if key == nil {
		return UnknownKey, fmt.Sprintf("%.20q is no key of %s that counted at %s", it.KeyID, it.owner, rc.At.Format(time.RFC3339))
	}
	if !ledger.VerifyAs(key, RecallType, it.Payload, it.Sig) {
		return BadSignature, "the signature of " + it.owner + " does not fit"
	}
	return "", ""
}

// slack is by how much another node's clock may be ahead of ours.
const slack = 24 * time.Hour

// unpack reads a payload and refuses one that is not exactly what v makes of it:
// with a member that is unknown here, or that is there twice, two readers could
// take it for two different records under one signature.
func unpack(payload []byte, v any) (reason, why string) {
	if len(payload) > MaxVersion {
		return TooLarge, fmt.Sprintf("%d bytes, at most %d are taken", len(payload), MaxVersion)
	}
	if err := json.Unmarshal(payload, v); err != nil {
		return Malformed, err.Error()
	}
	again, err := json.Marshal(v)
	if err != nil {
		return Malformed, err.Error()
	}
	if !bytes.Equal(again, payload) {
		return Malformed, "the JSON is not as konbit writes it: it holds members that are not known here, or some twice"
	}
	return "", ""
}

// serves refuses what the sending node may not speak for.
func (r *rules) serves(owner string) (reason, why string) {
	d := r.in.cfg.Directory
	switch {
	case d.Local(owner):
		return ForeignOwner, fmt.Sprintf("%s is served by this node and writes its records here", owner)
	case d.NodeOf(owner) == "" || d.NodeOf(owner) != r.node:
		return ForeignOwner, fmt.Sprintf("%s does not serve the agency %.80q", r.node, owner)
	}
	return "", ""
}

// header holds the parts of a header that our own records get from us against
// what we would have made of them.
func (r *rules) header(rec *record.Record, k *desk.Kind) (reason, why string) {
	if rec.Recorded.After(r.now.Add(slack)) {
		return Future, "recorded at " + rec.Recorded.Format(time.RFC3339) + ", more than a day ahead of our clock"
	}
	if wrong := rec.CheckHeader(r.now); len(wrong) > 0 {
		switch f := wrong[0]; {
		case f.Code == "future":
			return Future, f.Message
		case strings.HasPrefix(f.Path, "marking"):
			return BadMarking, f.Path + ": " + f.Message
		default:
			return Malformed, f.Path + ": " + f.Message
		}
	}
	m := rec.Marking.Clone()
	if m.Normalize(); !reflect.DeepEqual(m, rec.Marking) {
		return BadMarking, "the marking's lists are not sorted, or its expiry is no whole second in UTC"
	}
	var bad string
	switch {
	case rec.Version < 1:
		bad = "version"
	case !slices.Contains(k.States(), rec.State):
		bad = "state"
	case rec.Recorded.Year() < 1970 || rec.Created.IsZero() || rec.Created.After(rec.Recorded):
		bad = "recorded"
	case !whole(rec.Observed) || !whole(rec.Recorded) || !whole(rec.Created):
		bad = "time that is finer than a microsecond or not in UTC"
	case !record.PersonID(rec.Author):
		bad = "author"
	case !record.Token(rec.Command):
		bad = "command"
	case len(rec.Flags) > 20 || slices.ContainsFunc(rec.Flags, func(f string) bool { return !record.Token(f) }):
		bad = "flags"
	default:
		return "", ""
	}
	return Malformed, "the header has no valid " + bad
}

// whole reports whether a time is as the ledger keeps times.
func whole(t time.Time) bool {
	_, offset := t.Zone()
	return offset == 0 && t.Nanosecond()%1000 == 0
}

// released refuses what nobody here may see: it should not have been sent.
func (r *rules) released(rec *record.Record) (reason, why string) {
	d := r.in.cfg.Directory
	if rec.Marking.TLP == record.Red {
		for _, p := range rec.Marking.Persons {
			if agency, _, _ := strings.Cut(p, "/"); d.Local(agency) && d.Known(p) {
				return "", ""
			}
		}
		return BadMarking, "RED names nobody here"
	}
	owners := d.Communities(rec.Owner)
	for _, l := range r.locals {
		if policy.Released(l.id, l.communities, owners, &rec.Marking) {
			return "", ""
		}
	}
	return BadMarking, "the marking releases it to no agency of this node"
}
