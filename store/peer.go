package store

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"time"

	"konbit/record"
)

// Node is another deployment with which this one exchanges records.
type Node struct {
	Name     string            `json:"name"`           // origin of its ledger: "konbit.node/1a2b3c4d"
	Title    string            `json:"title"`          // as people call it: "Centre de commandement"
	Ledger   string            `json:"ledger"`         // vkey of its checkpoints; never changes
	Sign     ed25519.PublicKey `json:"sign"`           // signs its bundles, receipts and cards
	OldSign  []OldKey          `json:"oldSign"`        // retired signing keys
	Seal     string            `json:"seal"`           // age recipient that bundles are sealed to
	URLs     []string          `json:"urls"`           // where it can be dialled; none: it dials us, or a hub carries for it
	Via      string            `json:"via,omitempty"`  // name of the node that carries for it; "": a link of our own
	Agencies []string          `json:"agencies"`       // that it serves, sorted
	Serial   int64             `json:"serial"`         // of its newest card
	Card     []byte            `json:"card,omitempty"` // the signed card, as it came
	State    NodeState         `json:"state"`
	Since    time.Time         `json:"since"`            // when it got this state
	Region   string            `json:"region,omitempty"` // the region whose directory vouches for it; "": we alone do
	Caps     []Cap             `json:"caps,omitempty"`
	Why      string            `json:"why,omitempty"` // of a revocation or a refusal
}

// NodeState is how far we trust another node.
type NodeState string

// The states of a node. Only an active one is sealed to or read from.
const (
	NodePending NodeState = "pending" // it asked to join; an administrator has to approve it
	NodeActive  NodeState = "active"
	NodeRevoked NodeState = "revoked" // for good
	NodeRefused NodeState = "refused" // its ledger was rolled back or forked; an administrator decides
)

// OldKey is a retired signing key. What was signed before Until counts.
type OldKey struct {
	Key   ed25519.PublicKey `json:"key"`
	Until time.Time         `json:"until"`
}

// Cap bounds what is sent to a node in some hours of the day, local time.
type Cap struct {
	From int `json:"from"` // hour, 0 to 23
	To   int `json:"to"`   // hour, 1 to 24; before From: over midnight
	Kbit int `json:"kbit"` // kbit/s; 0: nothing but what is urgent
}

// Lane orders what goes to a node: what is urgent overtakes the rest. Numbers
// are drawn from one counter per node, so that they order both lanes.
type Lane int

// The lanes.
const (
	Urgent Lane = iota // recalls, and kinds that their desk calls urgent
	Normal
)

// Lanes is how many there are.
const Lanes = 2

// Act says what a share does.
type Act int

// The acts.
const (
	Send   Act = iota // the newest version of a record
	Recall            // hand it back: purge it and say so
	Word              // a small message about a record: "opened", "refused"
)

// Share is what one node is to get, got, or has to give back, of one record. A
// newer act on the same record replaces the older one, so that a backlog holds
// each record once.
type Share struct {
	Node    string
	Record  record.ID
	Topic   string // of a Word: "opened", "refused"; "" otherwise. (Node, Record, Topic) is unique
	N       int64  // number in the stream to this node; set by Queue
	Lane    Lane
	Act     Act
	Kind    string
	Version int
	Seq     int64  // ledger position of the version to send; of a Recall, of what ended it
	Reason  string // of a Recall: narrowed, erased, expired, left, revoked
	Word    json.RawMessage
	Queued  time.Time
	Sent    time.Time // when it first went into a bundle; zero: not yet
	Done    time.Time // when the node's receipt covered it; zero: not yet
	Refused string    // why the node refused it; "": it did not
	Opened  time.Time // when the node first said that somebody opened it, since it holds the record; zero: it did not
	Held    int64     // number of the last Send that went out and was not recalled and purged since; 0: it holds nothing
}

// Outgoing is the state of the stream to one node.
type Outgoing struct {
	Last     int64        // the newest number that was given out
	Received [Lanes]int64 // the node's receipt covers up to here
	Waiting  [Lanes]int   // shares above Received
}

// Held is what we hold, or held, of a record that another node sent.
type Held struct {
	Record  record.ID
	Node    string
	N       int64 // the sender's number of what we did last with it
	Version int
	Purged  bool
	At      time.Time
}

// These Ops commit with the ledger entry that tells of them.
type (
	// PutNode writes a node.
	PutNode struct{ Node Node }
	// DropNode forgets a node that was never active.
	DropNode struct{ Name string }
	// PutApplied says up to where a node's lane was applied here.
	PutApplied struct {
		Node string
		Lane Lane
		UpTo int64
	}
	// PutHeld says what we hold of a record of another node.
	PutHeld struct{ Held Held }
	// PutReceipt says up to where a node has what we sent: shares that it covers,
	// and the one before did not, become done when they were sent, recalls among them purged.
	//
	// It is taken at its word, also when it is lower than before, as after the node
	// was restored from a backup: what lies above is then not done, what was recalled there
	// is held again, and Shares after it returns it all, to be sent once more. Who
	// writes it decides whether an older receipt counts.
	PutReceipt struct {
		Node     string
		Received [Lanes]int64
		At       time.Time
	}
	// PutFate notes what a node said about a share: refused why, or opened when.
	// What is empty leaves what was noted before; of opened the first time stays.
	PutFate struct {
		Node    string
		Record  record.ID
		Refused string
		Opened  time.Time
	}
)

func (PutNode) op()    {}
func (DropNode) op()   {}
func (PutApplied) op() {}
func (PutHeld) op()    {}
func (PutReceipt) op() {}
func (PutFate) op()    {}

// Peers keeps what the exchange with other nodes needs. What is not known is
// empty, never an error.
type Peers interface {
	// KnownNodes returns every node that was ever put, ordered by name.
	KnownNodes(ctx context.Context) ([]Node, error)

	// Queue numbers the shares, replaces older ones of the same (node, record,
	// topic), and keeps the follower's cursor, in one transaction. follower "" keeps no
	// cursor. It sets N of the shares, and uses of them what says what to do: Sent,
	// Done, Refused and Opened begin anew, but Opened stays while the node holds the record.
	//
	// Held is the larger of what is given and what the replaced share had: give it
	// when the node itself said that it holds the record. A Recall of what a node
	// does not hold (Held 0) is not queued: a Send that it ends is removed, a
	// Recall that is done stays.
	Queue(ctx context.Context, follower string, seq int64, shares []Share) error
	// Outgoing returns the state of the stream to a node.
	Outgoing(ctx context.Context, node string) (Outgoing, error)
	// Shares returns up to limit shares of a lane with numbers above after, in order.
	Shares(ctx context.Context, node string, lane Lane, after int64, limit int) ([]Share, error)
	// MarkSent notes that the shares of a lane with numbers in (after, upTo] go into
	// a bundle: Sent where it is zero, Held = N for a Send.
	//
	// It MUST be called before the content of the bundle is read with Shares, so that
	// a Recall that comes between the two finds what it has to end.
	MarkSent(ctx context.Context, node string, lane Lane, after, upTo int64, at time.Time) error
	// SharesOf returns the shares of one record, to every node, words left out.
	SharesOf(ctx context.Context, id record.ID) ([]Share, error)
	// EachShare calls fn with every Send or Recall share to a node, ordered by
	// record, until it returns false. fn may call the store.
	EachShare(ctx context.Context, node string, fn func(*Share) bool) error
	// Renumber raises the node's counter to at least n, and gives everything that
	// is not done a new number above it, in the same order and unsent. It is for
	// ourselves restored from a backup: the node has applied numbers that we gave out
	// and forgot. It MUST come before a receipt is taken that covers them.
	Renumber(ctx context.Context, node string, n int64) error

	// Applied returns up to where a node's lanes were applied here.
	Applied(ctx context.Context, node string) ([Lanes]int64, error)
	// HeldOf returns what is held of these records; those never held are left out.
	HeldOf(ctx context.Context, ids []record.ID) (map[record.ID]Held, error)
	// EachHeld calls fn with everything that a node ever sent, purged or not, ordered
	// by record, until it returns false. fn may call the store.
	EachHeld(ctx context.Context, node string, fn func(Held) bool) error
}
