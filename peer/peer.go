// Package peer exchanges records with other nodes. What a marking releases flows
// out; what ends is recalled; what comes in goes through intake. It knows no
// desk by name.
//
// DESIGN.md tells how: the stream to each node, its two lanes, receipts, links,
// hubs, witnesses, and what happens when a node is restored from a backup.
package peer

import (
	"time"

	"konbit/store"
)

// LinkState is what a person sees as a dot.
type LinkState string

// The states of a link.
const (
	Live    LinkState = "live"    // connected, nothing waits
	Behind  LinkState = "behind"  // connected, something waits
	Cut     LinkState = "cut"     // not connected
	Never   LinkState = "never"   // was never connected
	Pending LinkState = "pending" // not approved yet
	Revoked LinkState = "revoked"
	Refused LinkState = "refused" // its ledger was rolled back or forked, or it is used twice
)

// Status is one node as the console shows it.
type Status struct {
	Name        string      `json:"name"`
	Short       string      `json:"short"` // the part of Name after the slash: its name in addresses
	Title       string      `json:"title"`
	Fingerprint string      `json:"fingerprint"` // of its signing key, to be read out
	Agencies    []string    `json:"agencies"`
	State       LinkState   `json:"state"`
	Since       time.Time   `json:"since"`   // of State
	Contact     time.Time   `json:"contact"` // last heard of; zero: never
	Via         string      `json:"via,omitempty"`
	URLs        []string    `json:"urls,omitempty"`
	Waiting     int         `json:"waiting"` // acts that it has not acknowledged
	Urgent      int         `json:"urgent"`  // of these in the urgent lane
	Bytes       int64       `json:"bytes"`   // that these will take, estimated
	Seconds     float64     `json:"seconds"` // until they are through, estimated; -1: not known
	Rate        float64     `json:"rate"`    // bytes a second, lately
	Sent        int         `json:"sent"`    // records of ours that it holds
	Held        int         `json:"held"`    // records of its agencies that we hold
	Refusals    int         `json:"refusals"`
	Witness     *Witness    `json:"witness,omitempty"`
	Region      string      `json:"region,omitempty"`
	Caps        []store.Cap `json:"caps,omitempty"`
	CutByHand   bool        `json:"cutByHand"`
	Error       string      `json:"error,omitempty"` // why it is cut
	Why         string      `json:"why,omitempty"`
}

// Witness is what we know of another node's ledger.
type Witness struct {
	Size   int64     `json:"size"` // entries that we have co-signed
	At     time.Time `json:"at"`
	OurAt  time.Time `json:"ourAt"`  // when it last co-signed ours
	OurTo  int64     `json:"ourTo"`  // entries of ours that it has co-signed
	Fault  string    `json:"fault"`  // "", "rolled-back", "forked", "restored"
	Detail string    `json:"detail"` // for the administrator
}

// Alarm is something that an administrator has to know.
type Alarm struct {
	At     time.Time `json:"at"`
	Node   string    `json:"node"`
	Code   string    `json:"code"` // forked, rolled-back, restored, twice, refused, forged, replayed, unknown-sender ...
	Text   string    `json:"text"`
	Record string    `json:"record,omitempty"`
}

// HolderState is how far a release, or its end, has come at one node.
type HolderState string

// The states of a holder.
const (
	Queued      HolderState = "queued"      // not sent yet
	Sent        HolderState = "sent"        // sent, not acknowledged
	Received    HolderState = "received"    // acknowledged
	Opened      HolderState = "opened"      // somebody there has opened it
	Recalling   HolderState = "recalling"   // must give it back, and has not said that it did: still holding
	Purged      HolderState = "purged"      // has said that it is gone
	NotAccepted HolderState = "refused"     // refused it, Reason says why
	Lost        HolderState = "unreachable" // holds it and was revoked: it cannot be recalled
)

// Holder is one node that holds, or held, or will hold a record.
type Holder struct {
	Node     string      `json:"node"`
	Title    string      `json:"title"`
	Agencies []string    `json:"agencies"`
	State    HolderState `json:"state"`
	Version  int         `json:"version"`
	Since    time.Time   `json:"since"` // of State
	Reason   string      `json:"reason,omitempty"`
}

// Told is what an import of bundles did.
type Told struct {
	Bundles  int      `json:"bundles"`
	Applied  int      `json:"applied"` // items
	Older    int      `json:"older"`
	Purged   int      `json:"purged"`
	Relayed  int      `json:"relayed"` // bundles for somebody else that this node carries on
	Parked   int      `json:"parked"`  // bundles that wait for one before them
	Refused  int      `json:"refused"`
	Problems []string `json:"problems,omitempty"` // a line each, named
}
