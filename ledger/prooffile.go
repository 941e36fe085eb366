package ledger

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// ProofFormat is the value of ProofFile.Format.
const ProofFormat = "konbit-proof/1"

// ProofFile is everything that is needed to check one entry without the node, as one JSON value: for a court, an
// ombudsman, the agency at the other end. With an entry that went through [Entry.Erase] it proves who did what and when
// without giving away the content.
type ProofFile struct {
	Format     string            `json:"format"`
	Entry      Entry             `json:"entry"`
	Index      int64             `json:"index"`               // position in the tree, from 0; equals Entry.Seq
	Size       int64             `json:"size"`                // entries under the checkpoint
	Path       Proof             `json:"path"`                // RFC 6962 §2.1.1
	Checkpoint string            `json:"checkpoint"`          // signed note
	NodeKey    string            `json:"node_key"`            // verifier key of the node (C2SP signed-note vkey)
	OwnerKey   ed25519.PublicKey `json:"owner_key,omitempty"` // key of the record's signature; none if the entry is unsigned
}

// NewProof puts a proof file together for e under a signed checkpoint that covers it. ownerKey is nil for an unsigned
// entry. The result has passed its own Check.
func NewProof(ctx context.Context, r Reader, e Entry, checkpoint []byte, nodeKey string, ownerKey ed25519.PublicKey) (*ProofFile, error) {
	v, err := parseVerifierKey(nodeKey)
	if err != nil {
		return nil, err
	}
	c, err := ParseCheckpoint(checkpoint, note.VerifierList(v))
	if err != nil {
		return nil, err
	}
	path, err := ProveInclusion(ctx, r, c.Size, e.Seq)
	if err != nil {
		return nil, err
	}
	p := &ProofFile{
		Format: ProofFormat, Entry: e, Index: e.Seq, Size: c.Size, Path: path,
		Checkpoint: string(checkpoint), NodeKey: nodeKey, OwnerKey: ownerKey,
	}
	if _, err := p.Check(""); err != nil {
		return nil, err
	}
	return p, nil
}

// ParseProofFile reads the JSON of a proof file and refuses fields that it does not know. It checks nothing else; that
// is for Check.
func ParseProofFile(data []byte) (*ProofFile, error) {
	var p ProofFile
	if err := unmarshalStrict(data, &p); err != nil {
		return nil, fmt.Errorf("ledger: proof: %w", err)
	}
	return &p, nil
}

// Proved says what a proof file proves and on whose word.
type Proved struct {
	Origin string // the ledger
	Seq    int64
	At     time.Time // the checkpoint's time: the entry existed by then, if the key's holder is believed

	Header    bool // type, agency, actor, record, version, key id and time are those that were committed
	Content   bool // the content is what was committed
	Signature bool // the content was signed with the key RecordKey

	RecordKey string // KeyID of the owner's key; compare it, or better the key, with what the agency publishes
	NodeKey   string // the verifier key under which the checkpoint was verified
	Trusted   bool   // NodeKey came from the caller. If false the file vouches for itself, which proves nothing
}

// String says it in a sentence.
func (p Proved) String() string {
	var what []string
	if p.Header {
		what = append(what, "header")
	}
	if p.Content {
		what = append(what, "content")
	}
	if p.Signature {
		what = append(what, "signature by key "+p.RecordKey)
	}
	if len(what) == 0 {
		what = append(what, "position only")
	}
	s := fmt.Sprintf("entry %d, in %s by %s: %s; under %s", p.Seq, p.Origin, p.At.Format(time.RFC3339), strings.Join(what, ", "), p.NodeKey)
	if !p.Trusted {
		s += ", a key from the file itself: compare it with the one that the node publishes"
	}
	return s
}

// Check checks, offline, all that the file says: entry against commitment, commitment against the checkpoint's root,
// checkpoint against its key, record signature against the owner's key.
//
// trustedKey is a verifier key that the caller has from elsewhere: the node's, or that of a co-signer whom he trusts.
// Where it is "", the file's own NodeKey is used and Proved.Trusted is false. The error names the first thing that
// differs; what is proved is then the zero value.
func (p *ProofFile) Check(trustedKey string) (Proved, error) {
	fail := func(format string, args ...any) (Proved, error) {
		return Proved{}, fmt.Errorf("ledger: proof: "+format, args...)
	}
	e := &p.Entry
	if p.Format != ProofFormat {
		return fail("format is %q, want %q", p.Format, ProofFormat)
	}
	if p.Index != e.Seq {
		return fail("index %d differs from the entry's seq %d", p.Index, e.Seq)
	}
	if what := e.wrong(nil); what != "" {
		return fail("entry %d: %s", e.Seq, what)
	}
	c, err := p.checkpoint(trustedKey)
	if err != nil {
		return Proved{}, err
	}
	if p.Size != c.Size {
		return fail("size %d differs from the checkpoint's %d", p.Size, c.Size)
	}
	if err := CheckInclusion(p.Path, c.Size, c.Root, p.Index, e.Commitment); err != nil {
		return Proved{}, err
	}
	if err := p.checkOwner(); err != nil {
		return fail("entry %d: %w", e.Seq, err)
	}
	out := Proved{
		Origin: c.Origin, Seq: e.Seq, At: c.At,
		Header: !e.Erased() || e.Digest != (Hash{}), Content: !e.Erased(), Signature: len(e.Sig) != 0,
		NodeKey: p.NodeKey,
	}
	if out.Signature {
		out.RecordKey = e.KeyID
	}
	if trustedKey != "" {
		out.NodeKey, out.Trusted = trustedKey, true
	}
	return out, nil
}

// checkpoint verifies the checkpoint under the file's key and, where there is one, the caller's.
func (p *ProofFile) checkpoint(trustedKey string) (Checkpoint, error) {
	own, err := parseVerifierKey(p.NodeKey)
	if err != nil {
		return Checkpoint{}, err
	}
	need := []note.Verifier{own}
	if trustedKey != "" && trustedKey != p.NodeKey {
		trusted, err := parseVerifierKey(trustedKey)
		if err != nil {
			return Checkpoint{}, err
		}
		if trusted.Name() == own.Name() && trusted.KeyHash() == own.KeyHash() {
			return Checkpoint{}, fmt.Errorf("ledger: proof: node key %q differs from the trusted key %q", p.NodeKey, trustedKey)
		}
		need = append(need, trusted)
	}
	c, err := ParseCheckpoint([]byte(p.Checkpoint), note.VerifierList(need...))
	if err != nil {
		return Checkpoint{}, err
	}
	for _, v := range need {
		if !c.SignedBy(v) {
			return Checkpoint{}, fmt.Errorf("ledger: proof: checkpoint is not signed by %s+%08x", v.Name(), v.KeyHash())
		}
	}
	return c, nil
}

// checkOwner checks the record signature, or of an entry without content at least that the key is the one it names.
func (p *ProofFile) checkOwner() error {
	e := &p.Entry
	if e.KeyID == "" {
		if len(p.OwnerKey) != 0 {
			return errors.New("owner key with an unsigned entry")
		}
		return nil
	}
	if len(p.OwnerKey) == 0 && e.Erased() {
		return nil
	}
	if len(p.OwnerKey) != ed25519.PublicKeySize {
		return fmt.Errorf("owner key is %d bytes, want %d", len(p.OwnerKey), ed25519.PublicKeySize)
	}
	if id := KeyID(p.OwnerKey); id != e.KeyID {
		return fmt.Errorf("owner key has id %s, the entry names %q", id, e.KeyID)
	}
	if len(e.Sig) != 0 && !VerifySig(p.OwnerKey, e.Content, e.Sig) {
		return fmt.Errorf("signature by key %s does not fit the content", e.KeyID)
	}
	return nil
}

// parseVerifierKey refuses the spellings of a key (case, spare bits) that note.NewVerifier lets pass.
func parseVerifierKey(vkey string) (note.Verifier, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("ledger: verifier key %q: %w", vkey, err)
	}
	key, err := decodeBase64(strings.SplitN(vkey, "+", 3)[2]) // base64 has pluses too
	if err == nil && len(key) == 1+ed25519.PublicKeySize {
		var canonical string
		if canonical, err = note.NewEd25519VerifierKey(v.Name(), key[1:]); err == nil && canonical == vkey {
			return v, nil
		}
	}
	return nil, fmt.Errorf("ledger: verifier key %q: not in its canonical form", vkey)
}
