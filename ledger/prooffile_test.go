package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

// testProof is the proof of an entry of a ledger of 300, and the JSON of it.
func testProof(t testing.TB, seq int, withhold bool) (*ProofFile, []byte) {
	t.Helper()
	es := testEntries(300)
	s, tree := shelve(es)
	_, vkey, _ := testSigner(t, origin)
	e := es[seq]
	if withhold {
		e, _ = e.Erase(nil)
	}
	owner := public(ownerKey)
	if e.KeyID == "" {
		owner = nil
	}
	p, err := NewProof(context.Background(), s, e, testCheckpoint(t, tree), vkey, owner)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return p, b
}

func TestProofFileSaysWhatItProves(t *testing.T) {
	_, vkey, _ := testSigner(t, origin)
	id := KeyID(public(ownerKey))
	for _, tt := range []struct {
		name     string
		seq      int
		withhold bool
		trusted  string
		want     Proved
		says     string
	}{
		{"signed", 3, false, vkey, Proved{Header: true, Content: true, Signature: true, RecordKey: id, Trusted: true}, "header, content, signature by key " + id},
		{"unsigned", 2, false, vkey, Proved{Header: true, Content: true, Trusted: true}, "header, content;"},
		{"withheld", 3, true, vkey, Proved{Header: true, Trusted: true}, ": header;"},
		{"by its own word", 3, false, "", Proved{Header: true, Content: true, Signature: true, RecordKey: id}, "a key from the file itself"},
	} {
		_, b := testProof(t, tt.seq, tt.withhold)
		p, err := ParseProofFile(b)
		if err != nil {
			t.Fatal(err)
		}
		tt.want.Origin, tt.want.Seq, tt.want.NodeKey = origin, int64(tt.seq), vkey
		tt.want.At = start.Add(3600e9)
		got, err := p.Check(tt.trusted)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tt.name, err, diff)
		}
		if !strings.Contains(got.String(), tt.says) {
			t.Errorf("%s: says %q", tt.name, got)
		}
	}
}

func TestProofOfAnErasedEntryWithoutDigestProvesThePositionOnly(t *testing.T) {
	p, _ := testProof(t, 3, true)
	p.Entry.Digest, p.OwnerKey = Hash{}, nil
	got, err := p.Check("")
	if err != nil || got.Header || got.Content || got.Signature {
		t.Errorf("got %+v, %v", got, err)
	}
	if !strings.Contains(got.String(), "position only") {
		t.Errorf("says %q", got)
	}
}

func TestProofFileUnderACosignersKey(t *testing.T) {
	p, _ := testProof(t, 3, false)
	_, _, v := testSigner(t, origin)
	peer, peerKey, _ := testSigner(t, "konbit.do.911/ledger")
	if _, err := p.Check(peerKey); err == nil || !strings.Contains(err.Error(), "is not signed by konbit.do.911") {
		t.Errorf("got %v", err)
	}
	both, err := Cosign([]byte(p.Checkpoint), note.VerifierList(v), peer)
	if err != nil {
		t.Fatal(err)
	}
	p.Checkpoint = string(both)
	got, err := p.Check(peerKey)
	if err != nil || got.NodeKey != peerKey || !got.Trusted {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A ledger that somebody made up proves itself under its own key and must fail under the real one.
func TestForgedProofFileFailsUnderTheTrustedKey(t *testing.T) {
	p, _ := testProof(t, 3, false)
	_, trusted, _ := testSigner(t, origin)
	s, _ := NewSigner(origin, testKey("thief"))
	p.NodeKey, _ = note.NewEd25519VerifierKey(origin, public(testKey("thief")))
	var tree Tree
	tree.Append(commitments(0, 3))
	tree.Append([]Hash{p.Entry.Commitment})
	forged, _ := SignCheckpoint(s, origin, 4, tree.Root(), start)
	sh := &shelf{leaves: append(commitments(0, 3), p.Entry.Commitment)}
	p.Path, _ = ProveInclusion(t.Context(), sh, 4, 3)
	p.Size, p.Checkpoint = 4, string(forged)
	if got, err := p.Check(""); err != nil || got.Trusted {
		t.Errorf("by its own word: %+v, %v", got, err)
	}
	if _, err := p.Check(trusted); err == nil {
		t.Error("accepted under the trusted key")
	}
}

func TestProofFileErrorNamesWhatDiffers(t *testing.T) {
	_, trusted, _ := testSigner(t, origin)
	_, otherKey, _ := testSigner(t, "other")
	for _, tt := range []struct {
		name   string
		change func(*ProofFile)
		err    string
	}{
		{"format", func(p *ProofFile) { p.Format = "konbit-proof/2" }, "format is"},
		{"index", func(p *ProofFile) { p.Index++ }, "index 4 differs from the entry's seq 3"},
		{"size", func(p *ProofFile) { p.Size-- }, "size 299 differs from the checkpoint's 300"},
		{"both positions", func(p *ProofFile) { p.Index++; p.Entry.Seq++ }, "path from entry 4"},
		{"path", func(p *ProofFile) { p.Path = p.Path[1:] }, "path from entry 3"},
		{"content", func(p *ProofFile) { p.Entry.Content = []byte("{}") }, "content, salt or signature differs from the commitment"},
		{"actor", func(p *ProofFile) { p.Entry.Actor = "x" }, "header, content"},
		{"salt", func(p *ProofFile) { p.Entry.Salt = nil }, "salt is 0 bytes"},
		{"signature gone", func(p *ProofFile) { p.Entry.Sig = nil }, "without a signature"},
		{"owner key", func(p *ProofFile) { p.OwnerKey = public(testKey("x")) }, "owner key has id"},
		{"owner key cut", func(p *ProofFile) { p.OwnerKey = p.OwnerKey[1:] }, "owner key is 31 bytes"},
		{"owner key gone", func(p *ProofFile) { p.OwnerKey = nil }, "owner key is 0 bytes"},
		{"node key", func(p *ProofFile) { p.NodeKey = otherKey }, "not signed by other"},
		{"node key's case", func(p *ProofFile) {
			i := strings.Index(p.NodeKey, "+")
			p.NodeKey = p.NodeKey[:i] + strings.ToUpper(p.NodeKey[i:i+9]) + p.NodeKey[i+9:]
		}, "not in its canonical form"},
		{"checkpoint", func(p *ProofFile) { p.Checkpoint = strings.Replace(p.Checkpoint, "300", "301", 1) }, "invalid signature"},
	} {
		p, _ := testProof(t, 3, false)
		tt.change(p)
		if got, err := p.Check(trusted); err == nil || !strings.Contains(err.Error(), tt.err) || got != (Proved{}) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.err)
		}
	}
	p, _ := testProof(t, 2, false)
	p.OwnerKey = public(ownerKey)
	if _, err := p.Check(trusted); err == nil || !strings.Contains(err.Error(), "owner key with an unsigned entry") {
		t.Errorf("got %v", err)
	}
	p.OwnerKey = nil
	if _, err := p.Check("nonsense"); err == nil || !strings.Contains(err.Error(), `verifier key "nonsense"`) {
		t.Errorf("got %v", err)
	}
}

// A signature over other content cannot come in by a sound commitment either.
func TestProofFileRefusesASignatureThatDoesNotFit(t *testing.T) {
	e := testEntry(0)
	e.Sig = Sign(ownerKey, nil, []byte("other"))
	e.Commitment = mustCommit(&e)
	s, tree := shelve([]Entry{e})
	_, vkey, _ := testSigner(t, origin)
	_, err := NewProof(t.Context(), s, e, testCheckpoint(t, tree), vkey, public(ownerKey))
	if err == nil || !strings.Contains(err.Error(), "does not fit the content") {
		t.Errorf("got %v", err)
	}
}

func TestMutatedEntryInAProofFileIsFound(t *testing.T) {
	_, trusted, _ := testSigner(t, origin)
	var proofs []*ProofFile
	for _, seq := range []int{2, 3, 299} {
		p, _ := testProof(t, seq, false)
		q, _ := testProof(t, seq, true)
		proofs = append(proofs, p, q)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := *rapid.SampledFrom(proofs).Draw(t, "proof")
		mutate(t, &p.Entry)
		if _, err := p.Check(trusted); err == nil {
			t.Error("accepted")
		}
	})
}

// Flips every bit of the file. What still passes must say the same, such as a spare bit of base64 or a key in capitals.
func TestFlippedBitInAProofFileIsFound(t *testing.T) {
	_, trusted, _ := testSigner(t, origin)
	for _, withhold := range []bool{false, true} {
		p, file := testProof(t, 3, withhold)
		same := 0
		for i := range 8 * len(file) {
			b := bytes.Clone(file)
			b[i/8] ^= 1 << (i % 8)
			q, err := ParseProofFile(b)
			if err != nil {
				continue
			}
			if _, err := q.Check(trusted); err != nil {
				continue
			}
			same++
			if diff := cmp.Diff(p, q); diff != "" {
				t.Errorf("bit %d: accepted with %s", i, diff)
			}
		}
		if same > 8*len(file)/10 {
			t.Errorf("%d of %d flips pass", same, 8*len(file))
		}
	}
}

func FuzzParseProofFile(f *testing.F) {
	signed, b := testProof(f, 3, false)
	f.Add(b)
	withheld, b := testProof(f, 3, true)
	f.Add(b)
	f.Add([]byte(`{"format":"konbit-proof/1","entry":{"at":"2026-01-12T16:53:10.123456Z"},"path":[]}`))
	f.Add([]byte(`{}`))
	_, trusted, _ := testSigner(f, origin)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProofFile(data)
		if err != nil {
			return
		}
		p.Check("")
		got, err := p.Check(trusted)
		if err != nil || !got.Header {
			return
		}
		p.Entry.Digest = signed.Entry.Digest
		if !cmp.Equal(p.Entry, signed.Entry) {
			p.Entry.Digest = withheld.Entry.Digest
			if !cmp.Equal(p.Entry, withheld.Entry) {
				t.Errorf("proves an entry that is not in the ledger: %+v", p.Entry)
			}
		}
	})
}
