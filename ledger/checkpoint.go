package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed statement of a ledger's size and root (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin  string           // names the ledger: "konbit.ht.pnh/ledger"
	Size    int64            // entries
	Root    Hash             // root of the first Size entries
	At      time.Time        // when it was signed, by the signer's clock, UTC, whole microseconds
	Signed  []note.Signature // verified
	Unknown []note.Signature // by keys that the reader does not know; they prove nothing
}

// SignedBy reports whether v's signature is among those that were verified.
func (c Checkpoint) SignedBy(v note.Verifier) bool {
	return slices.ContainsFunc(c.Signed, func(s note.Signature) bool {
		return s.Name == v.Name() && s.Hash == v.KeyHash()
	})
}

// NewSigner makes a signer of checkpoints from a key (C2SP signed-note, type 0x01). By custom name is the ledger's
// origin, and that of a co-signer the origin of its own. note.NewEd25519VerifierKey gives the matching verifier key.
func NewSigner(name string, priv ed25519.PrivateKey) (note.Signer, error) {
	if len(priv) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("ledger: signer: private key is %d bytes, want %d", len(priv), ed25519.PrivateKeySize)
	}
	vkey, err := note.NewEd25519VerifierKey(name, priv.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("ledger: signer: %w", err)
	}
	_, rest, _ := strings.Cut(vkey, "+")
	hash, _, _ := strings.Cut(rest, "+")
	seed := base64.StdEncoding.EncodeToString(append([]byte{1}, priv.Seed()...))
	s, err := note.NewSigner("PRIVATE+KEY+" + name + "+" + hash + "+" + seed)
	if err != nil {
		return nil, fmt.Errorf("ledger: signer %q: %w", name, err)
	}
	return s, nil
}

// SignCheckpoint returns the signed note
//
//	<origin>
//	<size in decimal>
//	<root in base64>
//	at <RFC 3339 UTC, six decimals>
//
//	— <signer> <signature>
//
// The fourth line is an extension line in the sense of C2SP tlog-checkpoint. An origin has neither spaces nor "+", so
// that it can be a key's name.
func SignCheckpoint(signer note.Signer, origin string, size int64, root Hash, at time.Time) ([]byte, error) {
	at = at.UTC().Truncate(time.Microsecond)
	text := fmt.Sprintf("%s\n%d\n%s\nat %s\n", origin, size, root, at.Format(timeLayout))
	if _, err := parseBody(text); err != nil {
		return nil, err
	}
	msg, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("ledger: checkpoint: sign: %w", err)
	}
	return msg, nil
}

// Cosign adds a signature to a checkpoint after checking it against known. What else the co-signer wants to have seen,
// a consistency proof from the checkpoint that it signed before, is for the caller to check first.
func Cosign(text []byte, known note.Verifiers, signer note.Signer) ([]byte, error) {
	c, err := ParseCheckpoint(text, known)
	if err != nil {
		return nil, err
	}
	body, _, _ := strings.Cut(string(text), "\n\n")
	msg, err := note.Sign(&note.Note{Text: body + "\n", Sigs: c.Signed, UnverifiedSigs: c.Unknown}, signer)
	if err != nil {
		return nil, fmt.Errorf("ledger: checkpoint: sign: %w", err)
	}
	return msg, nil
}

// ParseCheckpoint reads a signed checkpoint and verifies the signatures of the keys that are known. At least one must
// be there and none of them may be wrong. Further extension lines are signed like the rest and otherwise ignored.
func ParseCheckpoint(text []byte, known note.Verifiers) (Checkpoint, error) {
	n, err := note.Open(text, known)
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		var names []string
		for _, s := range unverified.Note.UnverifiedSigs {
			names = append(names, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
		}
		return Checkpoint{}, fmt.Errorf("ledger: checkpoint: signed by no known key, only by %s", strings.Join(names, ", "))
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("ledger: checkpoint: %w", err)
	}
	for _, s := range slices.Concat(n.Sigs, n.UnverifiedSigs) {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return Checkpoint{}, fmt.Errorf("ledger: checkpoint: signature of %s: %w", s.Name, err)
		}
	}
	c, err := parseBody(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	c.Signed, c.Unknown = n.Sigs, n.UnverifiedSigs
	return c, nil
}

func parseBody(text string) (Checkpoint, error) {
	fail := func(format string, args ...any) (Checkpoint, error) {
		return Checkpoint{}, fmt.Errorf("ledger: checkpoint: "+format, args...)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 4 {
		return fail("%d lines, want origin, size, root and time", len(lines))
	}
	if slices.Contains(lines, "") {
		return fail("empty line")
	}
	c := Checkpoint{Origin: lines[0]}
	if !utf8.ValidString(c.Origin) || strings.ContainsFunc(c.Origin, badInOrigin) {
		return fail("origin %q has a space, a plus or a control character", c.Origin)
	}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || strconv.FormatInt(c.Size, 10) != lines[1] {
		return fail("size %q is not a decimal number", lines[1])
	}
	if c.Size < 0 || c.Size > MaxSize {
		return fail("size %d is out of range", c.Size)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return fail("root %q is not the base64 of 32 bytes", lines[2])
	}
	c.Root = Hash(root)
	at, ok := strings.CutPrefix(lines[3], "at ")
	if !ok {
		return fail("line 4 is %q, want at <time>", lines[3])
	}
	if c.At, err = parseTime(at); err != nil {
		return fail("%w", err)
	}
	return c, nil
}

func badInOrigin(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }
