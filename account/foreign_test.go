package account

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"konbit/record"
	"konbit/store"
)

func TestAgencyOfAnotherNodeKeepsItsKeysAndMemberships(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	key := ed25519.PublicKey(strings.Repeat("k", ed25519.PublicKeySize))
	since := h.clock.now().Add(-time.Hour).UTC()
	a := store.Agency{ID: "do.cruz", Name: "Cruz", Country: "DO", Communities: []string{"@hispaniola"}, PublicKey: key, Node: "konbit.node/0000000d",
		OldKeys: []store.OldKey{{Key: key, Until: since}}, Joined: map[string]time.Time{"@hispaniola": since, "@gone": since}}
	got, err := h.AddAgency(ctx, "ht.cc/boss", a)
	wantCode(t, err, "")
	delete(a.Joined, "@gone") // it is not in it
	a.Created = got.Created
	if diff := cmp.Diff(&a, got); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	name := "Cruz Roja"
	_, err = h.UpdateAgency(ctx, "ht.cc/boss", a.ID, AgencyChange{Name: &name, Communities: &[]string{"@hispaniola", "@fresh"}})
	wantCode(t, err, "")
	h.restart()
	a.Name, a.Communities = name, []string{"@fresh", "@hispaniola"}
	a.Joined["@fresh"] = h.clock.now().UTC().Truncate(time.Microsecond) // it gets nothing that is older
	if diff := cmp.Diff(&a, h.Directory().Agencies[a.ID]); diff != "" {
		t.Errorf("after a change and a restart (-want +got):\n%s", diff)
	}
	_, err = h.UpdateAgency(ctx, "ht.cc/boss", a.ID, AgencyChange{Communities: &[]string{"@hispaniola"}})
	wantCode(t, err, "")
	if j := h.Directory().Agencies[a.ID].Joined; len(j) != 1 || !j["@hispaniola"].Equal(since) {
		t.Errorf("what it left counts as joined: %v", j)
	}

	_, err = h.AddAgency(ctx, "ht.cc/boss", store.Agency{ID: "ht.two", Name: "x", Local: true, Node: "konbit.node/0000000d"})
	wantField(t, err, "node", "conflict")
	_, err = h.AddAgency(ctx, "ht.cc/boss", store.Agency{ID: "do.two", Name: "x", OldKeys: []store.OldKey{{Key: key[:5]}}})
	wantField(t, err, "oldKeys[0]", "invalid")
	_, err = h.UpdateAgency(ctx, "ht.cc/boss", a.ID, AgencyChange{Local: func() *bool { yes := true; return &yes }()})
	wantField(t, err, "node", "conflict")
	wantCode(t, err, record.Invalid)
}
