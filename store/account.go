package store

import (
	"context"
	"crypto/ed25519"
	"time"

	"konbit/desk"
	"konbit/ledger"
)

// Agency is an organisation that takes part.
type Agency struct {
	ID          string            `json:"id"`                // "ht.cc"
	Name        string            `json:"name"`              // "Centre de commandement"
	Country     string            `json:"country"`           // ISO 3166-1 alpha-2, upper case
	Communities []string          `json:"communities"`       // "@hispaniola", sorted
	Contact     string            `json:"contact,omitempty"` // how a person reaches it
	Local       bool              `json:"local"`             // served by this node
	PublicKey   ed25519.PublicKey `json:"key,omitempty"`     // what its signatures are checked with; may be empty when not Local
	Created     time.Time         `json:"created"`

	// What the exchange with other nodes knows of it.

	Node    string               `json:"node,omitempty"`    // name of the node that serves it; "": ours when Local, otherwise not known
	OldKeys []OldKey             `json:"oldKeys,omitempty"` // retired keys: what was recorded before Until counts
	Joined  map[string]time.Time `json:"joined,omitempty"`  // community -> since when; absent: always. It gets nothing older
}

// KeyAt returns the key with which the agency signed a version that it recorded
// at a time, nil when the key id names none that counted then.
func (a *Agency) KeyAt(keyID string, at time.Time) ed25519.PublicKey {
	if len(a.PublicKey) > 0 && ledger.KeyID(a.PublicKey) == keyID {
		return a.PublicKey
	}
	for _, k := range a.OldKeys {
		if at.Before(k.Until) && ledger.KeyID(k.Key) == keyID {
			return k.Key
		}
	}
	return nil
}

// Person is someone who may sign in. His own agency is the part of ID before the slash; he may hold grants in others
// too, and then chooses under which hat he acts.
type Person struct {
	ID         string    `json:"id"`   // "ht.cc/ana"
	Name       string    `json:"name"` // as people say it: "Ana Joseph"
	Email      string    `json:"email,omitempty"`
	Lang       string    `json:"lang"`            // ht, fr, es, en
	Theme      string    `json:"theme,omitempty"` // light, dark, auto
	Disabled   bool      `json:"disabled"`
	Created    time.Time `json:"created"`
	Grants     []Grant   `json:"grants"`     // sorted by agency, desk, role
	Clearances []string  `json:"clearances"` // handling caveats, sorted
}

// Grant is one role of a person, in one agency, on one desk or on all of them ("*").
type Grant struct {
	Agency string    `json:"agency"`
	Desk   string    `json:"desk"`
	Role   desk.Role `json:"role"`
}

// Passkey is one WebAuthn credential (Web Authentication Level 3, §4 "credential record").
type Passkey struct {
	ID      []byte    `json:"id"`
	Person  string    `json:"person"`
	Name    string    `json:"name"` // "Ana's phone"
	Data    []byte    `json:"-"`    // the credential record: public key, flags, signature counter
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
}

// Identity links a subject of an OpenID Connect provider to a person.
type Identity struct {
	Provider string    `json:"provider"` // id of the provider in the node's configuration
	Subject  string    `json:"subject"`  // claim "sub"
	Person   string    `json:"person"`
	Created  time.Time `json:"created"`
}

// Purpose is why a person looks at protected records, and until when that answer holds.
type Purpose struct {
	Words string    `json:"words"`
	Until time.Time `json:"until"`
}

// Session is one sign-in of one browser.
type Session struct {
	Hash    [32]byte  `json:"-"`  // SHA-256 of the secret in the cookie
	ID      string    `json:"id"` // names it in a list; of no use to sign in
	Person  string    `json:"person"`
	Agency  string    `json:"agency"` // the hat
	Lang    string    `json:"lang"`
	Purpose *Purpose  `json:"purpose,omitempty"`
	Method  string    `json:"method"`  // password, passkey, oidc:ID, first-run
	Address string    `json:"address"` // where it was made from
	Agent   string    `json:"agent"`   // what the browser calls itself
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"` // to about a minute
}

// Token lets a program act for a person.
type Token struct {
	Hash     [32]byte  `json:"-"` // SHA-256 of the secret
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Person   string    `json:"person"`
	Scopes   []string  `json:"scopes"` // read, write, admin, audit
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	LastUsed time.Time `json:"lastUsed,omitzero"` // to about a minute
}

// Code is a secret that can be used once.
type Code struct {
	Hash    [32]byte
	Kind    string // "password", "first-run"
	Person  string
	Created time.Time
	Expires time.Time // zero: until it is used
}

// Ceremony is what the node must remember between the two halves of a sign-in with a passkey or with OpenID Connect.
type Ceremony struct {
	Hash    [32]byte // SHA-256 of the secret that the browser holds
	Kind    string
	Data    []byte
	Expires time.Time
}

// Slowed counts the failures of one bucket of the sign-in throttle. Key is a hash, so that a password typed into the
// name field is not kept.
type Slowed struct {
	Key   [32]byte
	Fails int
	Last  time.Time
}

// Known is an address from which a person has signed in, hashed together with his name.
type Known struct {
	Key [32]byte
	At  time.Time
}

// PersonState is what the directory does not hold about a person.
type PersonState struct {
	LastSeen time.Time
	Passkeys int
	Password bool
}

// An Op is a change of accounts that commits in one transaction with the ledger entry that tells of it.
type Op interface{ op() }

// The changes. A Put replaces what was there under the same key; a Drop of what is not there does nothing, except that
// UseCode fails, so that a code works once even when two use it at the same moment.
type (
	// PutAgency writes an agency with its communities.
	PutAgency struct{ Agency Agency }
	// PutPerson writes a person with all grants and clearances.
	PutPerson struct{ Person Person }
	// PutPassword sets the argon2id hash, as a PHC string.
	PutPassword struct{ Person, Hash string }
	// PutPasskey adds a passkey.
	PutPasskey struct{ Passkey Passkey }
	// UsePasskey updates what a sign-in changes of a passkey, if it is still there.
	UsePasskey struct {
		ID   []byte
		Data []byte
		Used time.Time
	}
	// DropPasskey removes a passkey of a person.
	DropPasskey struct {
		Person string
		ID     []byte
	}
	// PutIdentity links a subject to a person.
	PutIdentity struct{ Identity Identity }
	// DropIdentity removes such a link.
	DropIdentity struct{ Provider, Subject string }
	// PutSession writes a session.
	PutSession struct{ Session Session }
	// SetPurpose writes the purpose of a session, if it is still there; nil ends it.
	SetPurpose struct {
		Hash    [32]byte
		Purpose *Purpose
	}
	// DropSession ends one.
	DropSession struct{ Hash [32]byte }
	// DropSessions ends all sessions of a person but the one named.
	DropSessions struct {
		Person string
		Except [32]byte
	}
	// PutToken writes a token.
	PutToken struct{ Token Token }
	// DropToken revokes one.
	DropToken struct{ ID string }
	// PutCode adds a one-time code and drops earlier ones of the same kind and person.
	PutCode struct{ Code Code }
	// UseCode takes a code away and fails with record.Conflict when it is gone.
	UseCode struct{ Hash [32]byte }
	// DropCodes takes away all codes of a person.
	DropCodes struct{ Person string }
)

func (PutAgency) op()    {}
func (PutPerson) op()    {}
func (PutPassword) op()  {}
func (PutPasskey) op()   {}
func (UsePasskey) op()   {}
func (DropPasskey) op()  {}
func (PutIdentity) op()  {}
func (DropIdentity) op() {}
func (PutSession) op()   {}
func (SetPurpose) op()   {}
func (DropSession) op()  {}
func (DropSessions) op() {}
func (PutToken) op()     {}
func (DropToken) op()    {}
func (PutCode) op()      {}
func (UseCode) op()      {}
func (DropCodes) op()    {}

// Accounts reads accounts, and writes those parts of them that are no matter for the ledger. Everything else is an Op.
//
// What is looked up and not there is a record.Error with code NotFound. Lists are ordered by their identifier unless
// said otherwise.
type Accounts interface {
	// People returns every agency and every person: what the directory in memory is made of.
	People(ctx context.Context) ([]Agency, []Person, error)
	// PersonStates returns what the directory does not hold, by person. A person of whom there is nothing to say is left out.
	PersonStates(ctx context.Context) (map[string]PersonState, error)
	// Preferences returns a person's language and theme.
	Preferences(ctx context.Context, person string) (lang, theme string, err error)
	// SetPreferences sets a person's language and theme.
	SetPreferences(ctx context.Context, person, lang, theme string) error

	// Password returns the PHC string of a person.
	Password(ctx context.Context, person string) (string, error)
	// Passkey returns the passkey with the identifier.
	Passkey(ctx context.Context, id []byte) (Passkey, error)
	// Passkeys returns those of a person, oldest first.
	Passkeys(ctx context.Context, person string) ([]Passkey, error)
	// Identity returns the link of a subject.
	Identity(ctx context.Context, provider, subject string) (Identity, error)
	// Identities returns the links of a person, or all when person is empty.
	Identities(ctx context.Context, person string) ([]Identity, error)

	// Session returns the session with the hash, expired or not.
	Session(ctx context.Context, hash [32]byte) (Session, error)
	// Sessions returns those of a person, newest first.
	Sessions(ctx context.Context, person string) ([]Session, error)
	// SetHat writes hat and language of a session.
	SetHat(ctx context.Context, hash [32]byte, agency, lang string) error

	// Token returns the token with the hash, expired or not.
	Token(ctx context.Context, hash [32]byte) (Token, error)
	// TokenByID returns the token with the identifier.
	TokenByID(ctx context.Context, id string) (Token, error)
	// Tokens returns those of a person, or all when person is empty, newest first.
	Tokens(ctx context.Context, person string) ([]Token, error)

	// Code returns a one-time code, expired or not.
	Code(ctx context.Context, hash [32]byte) (Code, error)
	// SetFirstRunCode replaces the code of the first start.
	SetFirstRunCode(ctx context.Context, c Code) error

	// BeginCeremony stores the first half of a ceremony.
	BeginCeremony(ctx context.Context, c Ceremony) error
	// FinishCeremony takes a ceremony away and returns it: it can be finished once.
	FinishCeremony(ctx context.Context, hash [32]byte) (Ceremony, error)

	// Throttled returns the failures and the known addresses.
	Throttled(ctx context.Context) ([]Slowed, []Known, error)
	// SaveAccess writes what collects in memory, in one transaction: last use of sessions and tokens by hash, failures
	// (Fails 0 removes), known addresses.
	SaveAccess(ctx context.Context, sessions, tokens map[[32]byte]time.Time, slowed []Slowed, known []Known) error
	// SweepAccess removes sessions that were made before created or not seen since seen, codes and ceremonies that expired
	// before now, failures before slowed, known addresses before known. Tokens stay until they are revoked.
	SweepAccess(ctx context.Context, now, created, seen, slowed, known time.Time) error

	// Secret returns the 32 random bytes kept under the name, made when they are first asked for.
	Secret(ctx context.Context, name string) ([]byte, error)
}
