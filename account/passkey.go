package account

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"konbit/record"
	"konbit/store"
)

// Kinds of ceremonies.
const (
	ceremonyRegister = "passkey-register"
	ceremonyLogin    = "passkey-login"
	ceremonyOIDC     = "oidc"
)

// ceremonyLife is how long a person has to finish one.
const ceremonyLife = 10 * time.Minute

// maxPasskeys bounds what one person may register.
const maxPasskeys = 20

func (s *Service) openPasskeys() (err error) {
	if s.cfg.RPID == "" {
		return nil
	}
	required := true
	s.passkeys, err = webauthn.New(&webauthn.Config{
		RPID: s.cfg.RPID, RPDisplayName: s.cfg.Title, RPOrigins: s.cfg.Origins,
		AttestationPreference: protocol.PreferNoAttestation,
		// The passkey stands alone for name and password, so it has to be found without a name and has to ask its
		// holder for a finger, a face or a PIN.
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &required,
			UserVerification: protocol.VerificationRequired,
		},
	})
	return err
}

// HasPasskeys reports whether this node is set up for passkeys.
func (s *Service) HasPasskeys() bool { return s.passkeys != nil }

var errNoPasskeys = &record.Error{Code: record.Unavailable, Op: "passkey", Message: "this node is not set up for passkeys",
	Hint: "give the node its address, so that passkeys can be bound to its domain"}

// holder is a person as go-webauthn sees him.
type holder struct {
	person *store.Person
	keys   []webauthn.Credential
}

// WebAuthnID is what an authenticator keeps for whose key it is: it must not tell the name to whoever holds the device.
func (h *holder) WebAuthnID() []byte {
	sum := sha256.Sum256([]byte("konbit passkey\x00" + h.person.ID))
	return sum[:]
}
func (h *holder) WebAuthnName() string                       { return h.person.ID }
func (h *holder) WebAuthnDisplayName() string                { return h.person.Name }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

var _ webauthn.User = (*holder)(nil)

func (s *Service) holder(ctx context.Context, person string) (*holder, error) {
	p := s.dir.Load().People[person]
	if p == nil || p.Disabled {
		return nil, errDisabled
	}
	rows, err := s.store.Passkeys(ctx, person)
	if err != nil {
		return nil, err
	}
	h := &holder{person: p}
	for _, r := range rows {
		var c webauthn.Credential
		if err := json.Unmarshal(r.Data, &c); err != nil {
			return nil, &record.Error{Code: record.Corrupt, Op: "passkey", Message: "a stored passkey cannot be read", Err: err}
		}
		h.keys = append(h.keys, c)
	}
	return h, nil
}

// begin keeps the first half of a ceremony and returns the secret that the browser must bring back.
func (s *Service) begin(ctx context.Context, kind string, data any, from From) (string, error) {
	if _, _, ok := s.genuine(from.Device); !ok && !s.starts.allow(s.now(), place(from.Address)) {
		return "", tooMany("account.signin", time.Minute)
	}
	b, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	secret, hash := newSecret()
	return secret, s.store.BeginCeremony(ctx, store.Ceremony{Hash: hash, Kind: kind, Data: b, Expires: s.now().Add(ceremonyLife)})
}

// finish takes the first half out, once.
func (s *Service) finish(ctx context.Context, kind, secret string, data any) error {
	stale := record.Errorf(record.Stale, "account.signin", "this took too long; start again")
	h, ok := hashSecret(secret)
	if !ok {
		return stale
	}
	c, err := s.store.FinishCeremony(ctx, h)
	switch {
	case record.CodeOf(err) == record.NotFound:
		return stale
	case err != nil:
		return err
	case c.Kind != kind || !s.now().Before(c.Expires):
		return stale
	}
	return json.Unmarshal(c.Data, data)
}

type registering struct {
	Person string               `json:"person"`
	State  webauthn.SessionData `json:"state"`
}

// BeginPasskey starts registering a passkey for the person who is signed in. Options are for
// navigator.credentials.create, as JSON; ceremony is to be handed to FinishPasskey by the same browser.
func (s *Service) BeginPasskey(ctx context.Context, e *Session, from From) (options json.RawMessage, ceremony string, err error) {
	if s.passkeys == nil {
		return nil, "", errNoPasskeys
	}
	h, err := s.holder(ctx, e.Person)
	if err != nil {
		return nil, "", err
	}
	if len(h.keys) >= maxPasskeys {
		return nil, "", record.Errorf(record.TooLarge, "passkey.add", "at most %d passkeys; remove one first", maxPasskeys)
	}
	var have []protocol.CredentialDescriptor
	for _, k := range h.keys {
		have = append(have, k.Descriptor())
	}
	creation, state, err := s.passkeys.BeginRegistration(h, webauthn.WithExclusions(have))
	if err != nil {
		return nil, "", err
	}
	return s.started(ctx, ceremonyRegister, creation, registering{e.Person, *state}, from)
}

func (s *Service) started(ctx context.Context, kind string, options, data any, from From) (json.RawMessage, string, error) {
	b, err := json.Marshal(options)
	if err != nil {
		return nil, "", err
	}
	ceremony, err := s.begin(ctx, kind, data, from)
	return b, ceremony, err
}

// FinishPasskey keeps the passkey that the browser made. Body is the credential as JSON (RegistrationResponseJSON).
func (s *Service) FinishPasskey(ctx context.Context, e *Session, ceremony, name string, body []byte) (*store.Passkey, error) {
	const op = "passkey.add"
	if s.passkeys == nil {
		return nil, errNoPasskeys
	}
	var f record.Fields
	if name = words(&f, "name", name, 0, 100); name == "" {
		name = "passkey"
	}
	if err := f.Err(op); err != nil {
		return nil, err
	}
	var r registering
	if err := s.finish(ctx, ceremonyRegister, ceremony, &r); err != nil {
		return nil, err
	}
	if r.Person != e.Person {
		return nil, record.Errorf(record.Stale, op, "somebody else began this; start again")
	}
	h, err := s.holder(ctx, e.Person)
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(body)
	if err != nil {
		return nil, badPasskey(op, err)
	}
	c, err := s.passkeys.CreateCredential(h, r.State, parsed)
	if err != nil {
		return nil, badPasskey(op, err)
	}
	if _, err := s.store.Passkey(ctx, c.ID); record.CodeOf(err) != record.NotFound {
		if err != nil {
			return nil, err
		}
		return nil, record.Errorf(record.Conflict, op, "this passkey is registered already")
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	k := &store.Passkey{ID: c.ID, Person: e.Person, Name: name, Data: data, Created: s.now().UTC()}
	access := Access{What: "passkey added", Person: e.Person, ID: PasskeyID(k.ID), Name: name}
	if err := s.commit(ctx, e.Person, access, store.PutPasskey{Passkey: *k}); err != nil {
		return nil, err
	}
	return k, nil
}

// badPasskey hides what exactly was wrong from the person and keeps it for the log.
func badPasskey(op string, err error) error {
	var detail *protocol.Error
	if errors.As(err, &detail) {
		err = errors.New(detail.Details + ": " + detail.DevInfo)
	}
	return &record.Error{Code: record.Unsigned, Op: op, Message: "the passkey was not accepted; start again", Err: err}
}

// BeginPasskeyLogin starts a sign-in by passkey, without a name. Options are for navigator.credentials.get, as JSON.
func (s *Service) BeginPasskeyLogin(ctx context.Context, from From) (options json.RawMessage, ceremony string, err error) {
	if s.passkeys == nil {
		return nil, "", errNoPasskeys
	}
	assertion, state, err := s.passkeys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", err
	}
	return s.started(ctx, ceremonyLogin, assertion, state, from)
}

// FinishPasskeyLogin signs in the person whose passkey answered. Body is the assertion as JSON
// (AuthenticationResponseJSON).
func (s *Service) FinishPasskeyLogin(ctx context.Context, ceremony string, body []byte, from From) (*SignedIn, error) {
	const op = "account.signin"
	if s.passkeys == nil {
		return nil, errNoPasskeys
	}
	var state webauthn.SessionData
	if err := s.finish(ctx, ceremonyLogin, ceremony, &state); err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(body)
	if err != nil {
		return nil, badPasskey(op, err)
	}
	var row store.Passkey
	var h *holder
	var ours error // go-webauthn would hide it
	_, c, err := s.passkeys.ValidatePasskeyLogin(func(id, _ []byte) (webauthn.User, error) {
		if row, ours = s.store.Passkey(ctx, id); ours != nil {
			return nil, ours
		}
		if h, ours = s.holder(ctx, row.Person); ours != nil {
			return nil, ours
		}
		return h, nil
	}, state, parsed)
	if err != nil {
		if ours != nil && record.CodeOf(ours) != record.NotFound {
			return nil, ours
		}
		return nil, badPasskey(op, err)
	}
	if c.Authenticator.CloneWarning {
		note := Access{What: "passkey refused: its counter went back, there may be a copy of it", Person: row.Person, ID: PasskeyID(row.ID), Address: from.Address}
		if err := s.complain(ctx, "clone "+row.Person, note); err != nil {
			return nil, err
		}
		return nil, &record.Error{Code: record.Denied, Op: op, Message: "this passkey may have been copied and is not accepted; sign in another way and remove it"}
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return s.admit(ctx, h.person, "passkey", from, store.UsePasskey{ID: row.ID, Data: data, Used: s.now().UTC()})
}

// Passkeys lists a person's passkeys, oldest first.
func (s *Service) Passkeys(ctx context.Context, person string) ([]store.Passkey, error) {
	ks, err := s.store.Passkeys(ctx, person)
	if ks == nil {
		ks = []store.Passkey{}
	}
	return ks, err
}

// RemovePasskey removes one: one's own, or, for an administrator, one of a person of his agency.
func (s *Service) RemovePasskey(ctx context.Context, actor, person string, id []byte) error {
	const op = "passkey.remove"
	if actor != person {
		if err := s.dir.Load().mayAdminister(op, actor, agencyOf(person)); err != nil {
			return err
		}
	}
	ks, err := s.store.Passkeys(ctx, person)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(ks, func(k store.Passkey) bool { return slices.Equal(k.ID, id) })
	if i < 0 {
		return notFound(op, "passkey")
	}
	return s.commit(ctx, actor, Access{What: "passkey removed", Person: person, ID: PasskeyID(id), Name: ks[i].Name},
		store.DropPasskey{Person: person, ID: id})
}

// PasskeyID writes the identifier of a passkey as WebAuthn does, in base64url without padding.
func PasskeyID(id []byte) string { return protocol.URLEncodedBase64(id).String() }
