package peer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
	"konbit/record"
)

// The faults of a ledger. All but Restored stop the exchange with the node.
const (
	faultRestored   = "restored"    // it is shorter or another one, and its node says that it was restored
	faultRolledBack = "rolled-back" // it is shorter than what we have co-signed
	faultForked     = "forked"      // two ledgers were shown that contradict each other
	faultTwice      = "twice"       // an earlier incarnation speaks again: two nodes with one key
)

// seal is a checkpoint that the owner of a ledger has signed.
type seal struct {
	Size int64       `json:"size"`
	Root ledger.Hash `json:"root"`
	At   time.Time   `json:"at"` // when it was signed, by the owner's clock
	Life Incarnation `json:"life"`
	Note string      `json:"note"` // as it was signed
}

// witnessed is what we know of one node's ledger.
type witnessed struct {
	seal             // the newest that we have co-signed; Size 0: none
	Heard  time.Time `json:"heard"`            // when
	Claims []seal    `json:"claims,omitempty"` // that others showed us, and that its owner has to prove to be of the same ledger
	Asked  int       `json:"asked,omitempty"`  // minutes in which a proof was asked for and did not come

	AskedAt time.Time `json:"askedAt,omitzero"` // the last of them
	From    time.Time `json:"from,omitzero"`    // what was signed up to then was looked at by our administrator, who has resumed the node

	Fault  string `json:"fault,omitempty"`
	Detail string `json:"detail,omitempty"`
	Before int64  `json:"before,omitempty"` // of Restored: the size that was co-signed before

	Ours struct { // the newest checkpoint of ours that the node has co-signed
		Size int64     `json:"size"`
		At   time.Time `json:"at"`
		Note string    `json:"note"`
	} `json:"ours"`
}

const (
	maxClaims   = 8
	maxUnproven = 5                // checkpoints without the proof that was asked for, until somebody is told
	skew        = 10 * time.Minute // that a clock may be ahead of ours
)

// verdict is what to do about a checkpoint.
type verdict struct {
	fault    string
	text     string
	evidence []string // signed notes
	co       bool     // co-sign it: it is the newest now
	prove    []int64  // sizes from which its owner has to prove consistency
}

// judge compares a checkpoint, fresh from its owner, with what we know, and
// changes w as far as that is settled. proofs hold consistency proofs by the size
// that they begin at.
func (w *witnessed) judge(c seal, proofs map[int64]ledger.Proof, now time.Time) verdict {
	follows := func(old seal) (proven, bad bool) {
		switch {
		case old.Size == 0:
			return true, false
		case old.Size > c.Size:
			return false, true
		case old.Size == c.Size:
			return old.Root == c.Root, old.Root != c.Root
		}
		p, ok := proofs[old.Size]
		if !ok {
			return false, false
		}
		bad = ledger.CheckConsistency(p, old.Size, old.Root, c.Size, c.Root) != nil
		return !bad, bad
	}
	switch {
	case w.Size == 0:
	case c.Life.N < w.Life.N || c.Life.N == w.Life.N && c.Life.Random != w.Life.Random:
		if !c.At.After(w.At) {
			return verdict{} // said before the restore, and late
		}
		return verdict{fault: faultTwice, evidence: []string{w.Note, c.Note},
			text: fmt.Sprintf("an earlier incarnation (%d %s) speaks after %d %s did: two nodes run with one key", c.Life.N, c.Life.Random, w.Life.N, w.Life.Random)}
	case c.Life.N > w.Life.N:
		if proven, _ := follows(w.seal); !proven {
			text := fmt.Sprintf("its ledger had %d entries, which we have co-signed, and has %d in its new life: it was restored from a backup", w.Size, c.Size)
			return verdict{fault: faultRestored, evidence: []string{w.Note, c.Note}, text: text, co: true}
		}
	case !w.fresh(c, now), c.Size < w.Size && !c.At.After(w.At):
		return verdict{} // an older word, that came late or twice
	case c.Size < w.Size:
		return verdict{fault: faultRolledBack, evidence: []string{w.Note, c.Note},
			text: fmt.Sprintf("its ledger has %d entries and had %d, which we have co-signed: it was rolled back", c.Size, w.Size)}
	}
	w.Claims = slices.DeleteFunc(slices.Clone(w.Claims), func(o seal) bool { return o.Life.N < c.Life.N })
	v := verdict{co: true}
	if proven, bad := follows(w.seal); bad {
		return verdict{fault: faultForked, evidence: []string{w.Note, c.Note},
			text: fmt.Sprintf("its ledger of %d entries does not continue the one of %d that we have co-signed", c.Size, w.Size)}
	} else if !proven {
		v.co, v.prove = false, append(v.prove, w.Size)
	}
	for _, o := range w.Claims {
		if o.Life != c.Life {
			continue // nothing can be said of two lives
		}
		proven, bad := follows(o)
		if bad && o.Size > c.Size && !c.At.After(o.At) {
			bad = false // it was signed later than this one: its owner may still prove it
		}
		if bad {
			return verdict{fault: faultForked, evidence: []string{o.Note, c.Note},
				text: fmt.Sprintf("it shows us a ledger of %d entries and has shown another node one of %d that is not the same", c.Size, o.Size)}
		}
		if !proven && o.Size < c.Size {
			v.prove = append(v.prove, o.Size)
		}
		if proven {
			w.Claims = slices.DeleteFunc(slices.Clone(w.Claims), func(x seal) bool { return x.Size == o.Size })
		}
	}
	return v
}

// fresh reports whether a checkpoint was signed after the one that we know. One
// that was signed in the future, by a clock that has been mended since, counts for
// nothing; but it may be our own clock that is wrong, so nobody is accused of having
// less than before by a word that is older.
func (w *witnessed) fresh(c seal, now time.Time) bool {
	return c.At.After(w.At) || w.At.After(now.Add(skew))
}

// claim takes a checkpoint that somebody else was shown. It returns the fault that
// it proves, or whether the owner has to be asked.
func (w *witnessed) claim(c seal) (v verdict) {
	if w.Size > 0 && c.Life != w.Life {
		return v // of another life: nothing can be said
	}
	if !c.At.After(w.From) {
		return v // from before our administrator resumed it
	}
	for _, o := range append([]seal{w.seal}, w.Claims...) {
		if o.Size != c.Size || o.Size == 0 {
			continue
		}
		if o.Root == c.Root || o.Life != c.Life {
			return v
		}
		return verdict{fault: faultForked, evidence: []string{o.Note, c.Note},
			text: fmt.Sprintf("it has shown two ledgers of %d entries that are not the same", c.Size)}
	}
	if c.Size == 0 || len(w.Claims) >= maxClaims {
		return v
	}
	w.Claims = append(w.Claims, c)
	if w.Size > 0 {
		v.prove = []int64{c.Size}
	}
	return v
}

// signSeal signs a checkpoint that tells the incarnation, too, in an extension line
// (C2SP tlog-checkpoint), so that it is as hard to forge as size and root.
func signSeal(signer note.Signer, size int64, root ledger.Hash, life Incarnation, now time.Time) (string, error) {
	text := fmt.Sprintf("%s\n%d\n%s\nat %s\nincarnation %d %s\n", signer.Name(), size, root, now.UTC().Format("2006-01-02T15:04:05.000000Z"), life.N, life.Random)
	b, err := note.Sign(&note.Note{Text: text}, signer)
	return string(b), err
}

// readSeal reads a checkpoint that the owner of vkey has signed, and others may
// have co-signed; by names those whose signatures must be there, too.
func readSeal(text, vkey string, by ...string) (seal, error) {
	bad := func(format string, args ...any) (seal, error) {
		return seal{}, record.Errorf(record.Invalid, "peer.checkpoint", format, args...)
	}
	var known []note.Verifier
	for _, k := range append([]string{vkey}, by...) {
		v, err := note.NewVerifier(k)
		if err != nil {
			return bad("a verifier key cannot be read: %v", err)
		}
		known = append(known, v)
	}
	if len(text) > 16<<10 {
		return bad("the checkpoint has %d bytes", len(text))
	}
	c, err := ledger.ParseCheckpoint([]byte(text), note.VerifierList(known...))
	if err != nil {
		return bad("the checkpoint is not signed as it must be: %v", err)
	}
	for _, v := range known {
		if !c.SignedBy(v) {
			return bad("the checkpoint is not signed by %s", v.Name())
		}
	}
	if c.Origin != known[0].Name() {
		return bad("the checkpoint is of %.80q and signed by %s", c.Origin, known[0].Name())
	}
	s := seal{Size: c.Size, Root: c.Root, At: c.At, Note: text}
	body, _, _ := strings.Cut(text, "\n\n")
	for _, line := range strings.Split(body, "\n")[4:] {
		if rest, ok := strings.CutPrefix(line, "incarnation "); ok {
			n, random, _ := strings.Cut(rest, " ")
			if s.Life.N, err = strconv.ParseInt(n, 10, 64); err != nil || s.Life.N < 1 || len(random) != 16 {
				return bad("the checkpoint's incarnation %.60q cannot be read", rest)
			}
			s.Life.Random = random
		}
	}
	if s.Life.N == 0 {
		return bad("the checkpoint tells no incarnation")
	}
	return s, nil
}
