// Package trust is who may exchange with whom: the card in which a node says
// what it is, the invitation that is read out over the telephone, the directory
// that a region signs, and the Service that decides whom this node believes what.
// Package peer carries the documents, package node keeps the private keys.
// Whether a person may do what he asks for is for the caller.
//
// DESIGN.md tells who believes what, and on what ground.
package trust

import (
	"crypto/ed25519"
	"time"

	"konbit/store"
)

// Types of the DSSE envelopes that the documents travel in (ledger.SignAs).
const (
	CardType      = "application/vnd.konbit.card+json"
	DirectoryType = "application/vnd.konbit.directory+json"
)

// Card is what a node says of itself and of the agencies that it serves. It is
// signed with the node's signing key, and with the one before when that changed,
// so that who trusted the old key can trust the new one.
type Card struct {
	Node     string            `json:"node"`   // origin of its ledger; its name for good
	Title    string            `json:"title"`  // as people call it
	Ledger   string            `json:"ledger"` // vkey of its checkpoints
	Sign     ed25519.PublicKey `json:"sign"`   // signs bundles, receipts, cards
	OldSign  []OldKey          `json:"oldSign,omitempty"`
	Seal     string            `json:"seal"` // age X25519 recipient
	URLs     []string          `json:"urls,omitempty"`
	Agencies []Agency          `json:"agencies"`
	Serial   int64             `json:"serial"` // grows with every change
	At       time.Time         `json:"at"`
}

// OldKey is a retired key: what it signed before Until counts.
type OldKey = store.OldKey

// Agency is one agency that a node serves.
type Agency struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Country string            `json:"country,omitempty"`
	Contact string            `json:"contact,omitempty"`
	Key     ed25519.PublicKey `json:"key"` // signs its records
	OldKeys []OldKey          `json:"oldKeys,omitempty"`
}

// Directory is what a region's founding key signs: who is in it, and in which
// communities since when.
type Directory struct {
	Region  string            `json:"region"`        // "hispaniola"
	Key     ed25519.PublicKey `json:"key"`           // the region's founding key
	Hub     string            `json:"hub,omitempty"` // the node that carries for its members
	Serial  int64             `json:"serial"`
	At      time.Time         `json:"at"`
	Members []Member          `json:"members"` // sorted by node
}

// Member is one node of a region.
type Member struct {
	Card        []byte                `json:"card"`        // the signed card as the node made it
	Communities map[string]Membership `json:"communities"` // by agency id
	Revoked     *time.Time            `json:"revoked,omitempty"`
	Why         string                `json:"why,omitempty"`
}

// Membership says in which communities an agency is, and since when: it gets
// nothing that is older.
type Membership map[string]time.Time

// Invitation is what lets a node ask to join.
type Invitation struct {
	URL         string   // of the node that invites
	Fingerprint [20]byte // of its signing key
	Secret      [16]byte // good once
	Region      bool     // into its region, not only to itself
	Expires     time.Time
}
