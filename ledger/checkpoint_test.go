package ledger

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/note"
)

const origin = "konbit.ht.pnh/ledger"

func testCheckpoint(t testing.TB, tree *Tree) []byte {
	t.Helper()
	s, _, _ := testSigner(t, origin)
	b, err := SignCheckpoint(s, origin, tree.Size(), tree.Root(), start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCheckpointRoundTrip(t *testing.T) {
	_, tree := newShelf(1000)
	_, _, v := testSigner(t, origin)
	text := testCheckpoint(t, tree)
	if body := fmt.Sprintf("%s\n1000\n%s\nat 2026-01-12T17:53:10.123456Z\n\n— %s ", origin, tree.Root(), origin); !strings.HasPrefix(string(text), body) {
		t.Errorf("got\n%swant\n%s", text, body)
	}
	got, err := ParseCheckpoint(text, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	want := Checkpoint{Origin: origin, Size: 1000, Root: tree.Root(), At: start.Add(time.Hour)}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Checkpoint{}, "Signed")); diff != "" {
		t.Error(diff)
	}
	if !got.SignedBy(v) {
		t.Error("signer not named")
	}
}

func TestSignCheckpointRefusesWhatItCouldNotRead(t *testing.T) {
	s, _, _ := testSigner(t, origin)
	var root Hash
	for _, err := range []error{
		second(SignCheckpoint(s, "", 1, root, start)),
		second(SignCheckpoint(s, "a b", 1, root, start)),
		second(SignCheckpoint(s, "a\n9", 1, root, start)),
		second(SignCheckpoint(s, "a+b", 1, root, start)),
		second(SignCheckpoint(s, origin, -1, root, start)),
		second(SignCheckpoint(s, origin, MaxSize+1, root, start)),
		second(SignCheckpoint(s, origin, 1, root, time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC))),
	} {
		if err == nil {
			t.Error("signed")
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestNewSignerRefusesBadNamesAndKeys(t *testing.T) {
	for _, name := range []string{"", "a b", "a+b"} {
		if _, err := NewSigner(name, testKey("k")); err == nil {
			t.Errorf("name %q accepted", name)
		}
	}
	if _, err := NewSigner("a", testKey("k")[:40]); err == nil {
		t.Error("cut key accepted")
	}
}

func TestParseCheckpointBody(t *testing.T) {
	s, _, v := testSigner(t, origin)
	root := new(Tree).Root().String()
	for _, tt := range []struct{ name, text, err string }{
		{"good", origin + "\n0\n" + root + "\nat 2026-01-12T17:53:10.000000Z\n", ""},
		{"more lines", origin + "\n0\n" + root + "\nat 2026-01-12T17:53:10.000000Z\nmore\n", ""},
		{"no time", origin + "\n0\n" + root + "\n", "3 lines"},
		{"other line first", origin + "\n0\n" + root + "\nmore\nat 2026-01-12T17:53:10.000000Z\n", "want at <time>"},
		{"local time", origin + "\n0\n" + root + "\nat 2026-01-12T17:53:10.000000-05:00\n", "time"},
		{"seconds only", origin + "\n0\n" + root + "\nat 2026-01-12T17:53:10Z\n", "time"},
		{"leading zero", origin + "\n01\n" + root + "\nat 2026-01-12T17:53:10.000000Z\n", `size "01"`},
		{"negative", origin + "\n-1\n" + root + "\nat 2026-01-12T17:53:10.000000Z\n", "out of range"},
		{"huge", origin + "\n4611686018427387905\n" + root + "\nat 2026-01-12T17:53:10.000000Z\n", "out of range"},
		{"short root", origin + "\n0\nAAAA\nat 2026-01-12T17:53:10.000000Z\n", "root"},
		{"empty line", origin + "\n0\n" + root + "\nat 2026-01-12T17:53:10.000000Z\n\nmore\n", "empty line"},
		{"no origin", "\n0\n" + root + "\nat 2026-01-12T17:53:10.000000Z\n", "empty line"},
	} {
		msg, err := note.Sign(&note.Note{Text: tt.text}, s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseCheckpoint(msg, note.VerifierList(v))
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.err)
		}
	}
}

func TestFlippedBitInACheckpointIsFound(t *testing.T) {
	_, tree := newShelf(7)
	text := testCheckpoint(t, tree)
	_, _, v := testSigner(t, origin)
	for i := range 8 * len(text) {
		b := bytes.Clone(text)
		b[i/8] ^= 1 << (i % 8)
		if c, err := ParseCheckpoint(b, note.VerifierList(v)); err == nil {
			t.Errorf("bit %d: accepted as %+v", i, c)
		}
	}
}

func TestCosignAddsAndNeverHides(t *testing.T) {
	_, tree := newShelf(7)
	text := testCheckpoint(t, tree)
	_, _, v := testSigner(t, origin)
	peer, _, peerV := testSigner(t, "konbit.do.911/ledger")
	both, err := Cosign(text, note.VerifierList(v), peer)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		known           []note.Verifier
		signed, unknown int
	}{{[]note.Verifier{v}, 1, 1}, {[]note.Verifier{peerV}, 1, 1}, {[]note.Verifier{v, peerV}, 2, 0}} {
		c, err := ParseCheckpoint(both, note.VerifierList(tt.known...))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Signed) != tt.signed || len(c.Unknown) != tt.unknown {
			t.Errorf("%d known: %d signed, %d unknown", len(tt.known), len(c.Signed), len(c.Unknown))
		}
	}
	if _, err := Cosign(text, note.VerifierList(peerV), peer); err == nil || !strings.Contains(err.Error(), "signed by no known key, only by "+origin) {
		t.Errorf("co-signed blindly: %v", err)
	}
	if _, err := ParseCheckpoint(both, nil); err == nil {
		t.Error("accepted without any key")
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	_, tree := newShelf(7)
	s, _, v := testSigner(f, origin)
	f.Add(testCheckpoint(f, tree), true)
	f.Add([]byte(origin+"\n7\n"+tree.Root().String()+"\nat 2026-01-12T17:53:10.123456Z\nmore\n"), false)
	f.Fuzz(func(t *testing.T, text []byte, signed bool) {
		if !signed { // so that the fuzzer gets past the signature
			msg, err := note.Sign(&note.Note{Text: string(text)}, s)
			if err != nil {
				return
			}
			text = msg
		}
		c, err := ParseCheckpoint(text, note.VerifierList(v))
		if err != nil {
			return
		}
		again, err := SignCheckpoint(s, c.Origin, c.Size, c.Root, c.At)
		if err != nil {
			t.Fatal(err)
		}
		body, _, _ := bytes.Cut(again, []byte("\n\n"))
		if !bytes.HasPrefix(text, body) {
			t.Errorf("read %q as %q", text, body)
		}
		if signed && c.Size != 7 {
			t.Errorf("a checkpoint that was never signed verifies: %q", text)
		}
	})
}
