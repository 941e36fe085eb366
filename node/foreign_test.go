package node_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/account"
	"konbit/intake"
	"konbit/ledger"
	"konbit/node"
	"konbit/record"
	"konbit/store"
)

// dominican is the name of another node.
const dominican = "konbit.node/0000000d"

// neighbour is an agency of it that has changed its key at a time.
func neighbour(fresh, old ed25519.PrivateKey, until time.Time) store.Agency {
	return store.Agency{ID: "do.911", Name: "911", Country: "DO", Node: dominican, PublicKey: fresh.Public().(ed25519.PublicKey),
		OldKeys: []store.OldKey{{Key: old.Public().(ed25519.PublicKey), Until: until}}}
}

// seed makes a key of a word.
func seed(word string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(word, 32)[:32]))
}

// incidentOf is a version of an incident of do.911, signed with a key.
func incidentOf(t *testing.T, n int64, version int, recorded time.Time, key ed25519.PrivateKey, id record.ID) intake.Arrived {
	t.Helper()
	r := record.Record{Header: record.Header{ID: id, Kind: "incident", Owner: "do.911", Version: version, State: "reported",
		Marking: record.Marking{TLP: record.Amber, To: []string{"ht.cc"}}, Observed: recorded, Recorded: recorded, Created: recorded,
		Author: "do.911/rosa", Command: "incident.edit"}}
	r.Body = json.RawMessage(`{"title":"Dlo monte","category":"flood","severity":"severe"}`)
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return intake.Arrived{N: n, Payload: raw, KeyID: ledger.KeyID(key.Public().(ed25519.PublicKey)), Sig: ledger.Sign(key, nil, raw)}
}

func verified(t *testing.T, data string) *ledger.Fault {
	t.Helper()
	n, err := node.OpenReadOnly(t.Context(), data, "")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	fault, _, err := n.Verify(context.Background(), func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return fault
}

func TestForeignRecordsVerifyAlsoWithTheKeyThatTheirOwnerHadThen(t *testing.T) {
	data := made(t)
	n, err := node.Open(t.Context(), node.Config{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	fresh, old := seed("fresh"), seed("old")
	a := neighbour(fresh, old, now.Add(-time.Hour))
	if _, err := n.Accounts.AddAgency(t.Context(), account.Node, a); err != nil {
		t.Fatal(err)
	}
	kept, gone := record.NewID(now), record.NewID(now)
	rc, err := json.Marshal(intake.Recall{Record: gone, Owner: "do.911", Node: n.Keys.Origin, Version: 1, Reason: "narrowed", At: now})
	if err != nil {
		t.Fatal(err)
	}
	fates, err := n.Intake.Arrive(t.Context(), &intake.Arrival{Node: dominican, Lane: store.Normal, UpTo: 9, Items: []intake.Arrived{
		incidentOf(t, 1, 3, now.Add(-2*time.Hour), old, kept),
		incidentOf(t, 2, 5, now.Add(-time.Minute), fresh, kept),
		incidentOf(t, 3, 1, now.Add(-3*time.Hour), old, gone),
		incidentOf(t, 4, 1, now.Add(-time.Minute), old, record.NewID(now)),
		{N: 5, Recall: true, Payload: rc, KeyID: ledger.KeyID(fresh.Public().(ed25519.PublicKey)), Sig: ledger.SignAs(fresh, intake.RecallType, rc)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range fates {
		got = append(got, string(f.Status)+f.Reason)
	}
	if diff := cmp.Diff([]string{"applied", "applied", "applied", "refusedunknown-key", "purged"}, got); diff != "" {
		t.Fatalf("(-want +got):\n%s\n%+v", diff, fates)
	}
	if fault := verified(t, data); fault != nil {
		t.Error(fault)
	}
	a.OldKeys[0].Until = now.Add(-150 * time.Minute) // it had been stolen before that
	if _, err := n.Intake.Note(t.Context(), "access", "ht.cc", account.Node, "a test", store.PutAgency{Agency: a}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if fault := verified(t, data); fault == nil || !strings.Contains(fault.What, "had been retired") || [16]byte(kept) != fault.Record {
		t.Errorf("fault: %v", fault)
	}
}
