package intake

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/note"

	"konbit/ledger"
	"konbit/record"
)

// near is how many entries are read to go on from a tree that was seen before.
const near = 4096

// grown is the tree of a ledger of that size, which the database says was signed with
// that checkpoint. It goes on from the newest tree that was seen on disk: that costs
// less than to read it anew, and shows a ledger that was put in the place of ours.
func (in *Intake) grown(ctx context.Context, size int64, text []byte) (*ledger.Tree, error) {
	in.mu.Lock()
	was := in.disk
	in.mu.Unlock()
	var tree *ledger.Tree
	var err error
	switch {
	case was == nil:
		tree, err = ledger.NewTree(ctx, size, in.cfg.Store)
	case size < was.Size():
		// What this process writes may be on disk since the size was asked for.
		tree, err = ledger.NewTree(ctx, size, in.cfg.Store)
		was = nil
	case size-was.Size() <= near:
		var leaves []ledger.Hash
		if leaves, err = in.cfg.Store.Leaves(ctx, was.Size(), size); err == nil {
			tree = was.Clone()
			tree.Append(leaves)
		}
	default:
		var root ledger.Hash
		if root, err = ledger.RootAt(ctx, in.cfg.Store, was.Size()); err == nil && root != was.Root() {
			return nil, replaced()
		}
		if err == nil {
			tree, err = ledger.NewTree(ctx, size, in.cfg.Store)
		}
	}
	if err != nil {
		return nil, unread(err)
	}
	return tree, in.signed(ctx, was, tree, text)
}

// signed holds a tree against the checkpoint that the database has. was is the one
// that it goes on from, nil for none.
func (in *Intake) signed(ctx context.Context, was, tree *ledger.Tree, text []byte) error {
	if tree.Size() == 0 {
		return nil
	}
	v, err := note.NewVerifier(in.cfg.Verifier)
	if err != nil {
		return err
	}
	cp, err := ledger.ParseCheckpoint(text, note.VerifierList(v))
	corrupt := func(msg string) error {
		return &record.Error{Code: record.Corrupt, Op: "intake.open", Message: msg,
			Hint: "do not go on with this file: run konbit verify, and restore the newest backup", Err: err}
	}
	switch {
	case err != nil:
		return corrupt("the ledger's newest checkpoint was not signed by this node's key")
	case cp.Size == tree.Size() && cp.Root == tree.Root():
		return nil
	case cp.Size == tree.Size() && was != nil:
		if whole, err := ledger.NewTree(ctx, cp.Size, in.cfg.Store); err != nil {
			return unread(err)
		} else if whole.Root() == cp.Root {
			return replaced()
		}
	}
	return corrupt("the ledger differs from its signed checkpoint")
}

// replaced refuses a database that was put in the place of the one that we know.
func replaced() error {
	e := record.Errorf(record.Corrupt, "intake.open", "the database is not the one that it was: its ledger does not continue what this process has seen")
	e.Hint = "another database was put in its place: stop all processes of the node; put the right one back, or run konbit restored"
	return e
}

// unread says that the ledger cannot be read. A database that is away is no damage.
func unread(err error) error {
	if record.CodeOf(err) == record.Unavailable || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return &record.Error{Code: record.Corrupt, Op: "intake.open", Message: "the ledger cannot be read", Hint: "run konbit verify", Err: err}
}

// follow takes down where the ledger is, and wakes those who follow it. Who was
// faster may have taken down more. It is called with mu held.
func (in *Intake) follow(tree *ledger.Tree, text []byte) {
	if size := tree.Size(); in.disk == nil || size > in.disk.Size() {
		in.disk, in.note = tree, text
		if size > in.size {
			in.size = size
			close(in.woken)
			in.woken = make(chan struct{})
		}
	}
}
