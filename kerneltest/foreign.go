package kerneltest

import (
	"crypto/ed25519"
	"encoding/json"
	"time"

	"konbit/intake"
	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// Dominican is the name of a node that is not the house.
const Dominican = "konbit.node/0000000d"

// Apart makes a house that serves ht.cc alone; do.911 is served by the node
// Dominican.
func Apart(h *House) { h.Dir.Nodes = map[string]string{"do.911": Dominican} }

// Foreign is a version of a note of do.911, recorded a day before the test
// began and released to ht.cc.
func Foreign(id record.ID, version int, change ...func(*record.Record)) *record.Record {
	at := Day.Add(-24*time.Hour + time.Duration(version)*time.Minute)
	r := &record.Record{Header: record.Header{
		ID: id, Kind: "note", Owner: "do.911", Version: version, State: "open", Marking: record.Marking{TLP: record.Amber, To: []string{"ht.cc"}},
		Observed: at, Recorded: at, Created: at, Author: "do.911/rosa", Command: "note.edit",
	}}
	r.Body = json.RawMessage(`{"title":"tanager"}`)
	for _, c := range change {
		c(r)
	}
	return r
}

// Signed makes an item of a record, as its owner's node does.
func Signed(n int64, r *record.Record) intake.Arrived {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return SignedAs(n, r.Owner, raw)
}

// SignedAs makes an item of bytes that an agency's key signed.
func SignedAs(n int64, agency string, raw []byte) intake.Arrived {
	key := Private(agency)
	return intake.Arrived{N: n, Payload: raw, KeyID: ledger.KeyID(key.Public().(ed25519.PublicKey)), Sig: ledger.Sign(key, nil, raw)}
}

// Recalled makes an item that takes back everything of a record of do.911 up to a
// version.
func Recalled(n int64, id record.ID, version int, change ...func(*intake.Recall)) intake.Arrived {
	rc := intake.Recall{Record: id, Owner: "do.911", Node: Origin, Version: version, Reason: "narrowed", At: Day}
	for _, c := range change {
		c(&rc)
	}
	raw, err := json.Marshal(rc)
	if err != nil {
		panic(err)
	}
	key := Private(rc.Owner)
	return intake.Arrived{N: n, Recall: true, Payload: raw, KeyID: ledger.KeyID(key.Public().(ed25519.PublicKey)), Sig: ledger.SignAs(key, intake.RecallType, raw)}
}

// Arrive gives items of Dominican's lane, which cover (after, upTo], to the house.
func (h *House) Arrive(lane store.Lane, after, upTo int64, items ...intake.Arrived) []intake.Fate {
	h.T.Helper()
	fates, err := h.Intake.Arrive(h.T.Context(), &intake.Arrival{Node: Dominican, Lane: lane, After: after, UpTo: upTo, Items: items})
	if err != nil {
		h.T.Fatal(err)
	}
	return fates
}
