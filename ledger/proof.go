package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof is a list of hashes in the order of RFC 6962 §2.1.1 (inclusion) or §2.1.2 (consistency), the leaf's end first.
type Proof []Hash

// RootAt returns the root of the first size entries.
func RootAt(ctx context.Context, r Reader, size int64) (Hash, error) {
	if size < 0 || size > MaxSize {
		return Hash{}, fmt.Errorf("ledger: root: size %d is out of range", size)
	}
	return tlog.TreeHash(size, NewHashReader(ctx, r))
}

// ProveInclusion proves that entry seq is in the tree of size entries (RFC 6962 §2.1.1).
func ProveInclusion(ctx context.Context, r Reader, size, seq int64) (Proof, error) {
	if size > MaxSize || seq < 0 || seq >= size {
		return nil, fmt.Errorf("ledger: prove inclusion: no entry %d in a tree of %d", seq, size)
	}
	p, err := tlog.ProveRecord(size, seq, NewHashReader(ctx, r))
	return Proof(p), err
}

// CheckInclusion checks that the tree of size entries with that root has commitment at position seq.
func CheckInclusion(p Proof, size int64, root Hash, seq int64, commitment Hash) error {
	// The bound also keeps tlog from shifting past 62 bits, where it would not return.
	if size > MaxSize || seq < 0 || seq >= size {
		return fmt.Errorf("ledger: inclusion: no entry %d in a tree of %d", seq, size)
	}
	if tlog.CheckRecord(tlog.RecordProof(p), size, root, seq, leafHash(&commitment)) != nil {
		return fmt.Errorf("ledger: inclusion: path from entry %d does not lead to the root of %d entries", seq, size)
	}
	return nil
}

// ProveConsistency proves that the tree of oldSize entries is the beginning of that of newSize (RFC 6962 §2.1.2). For
// an empty old tree the proof is empty.
func ProveConsistency(ctx context.Context, r Reader, oldSize, newSize int64) (Proof, error) {
	if oldSize < 0 || oldSize > newSize || newSize > MaxSize {
		return nil, fmt.Errorf("ledger: prove consistency: no tree of %d in one of %d", oldSize, newSize)
	}
	if oldSize == 0 {
		return Proof{}, nil
	}
	p, err := tlog.ProveTree(newSize, oldSize, NewHashReader(ctx, r))
	return Proof(p), err
}

// CheckConsistency checks that the tree of oldSize entries with oldRoot is the beginning of that of newSize with newRoot.
func CheckConsistency(p Proof, oldSize int64, oldRoot Hash, newSize int64, newRoot Hash) error {
	if oldSize < 0 || oldSize > newSize || newSize > MaxSize {
		return fmt.Errorf("ledger: consistency: no tree of %d in one of %d", oldSize, newSize)
	}
	if oldSize == 0 {
		if len(p) != 0 {
			return errors.New("ledger: consistency: a proof from the empty tree has no hashes")
		}
		if oldRoot != sha256.Sum256(nil) || newSize == 0 && newRoot != oldRoot {
			return errors.New("ledger: consistency: root of the empty tree differs")
		}
		return nil
	}
	if tlog.CheckTree(tlog.TreeProof(p), newSize, newRoot, oldSize, oldRoot) != nil {
		return fmt.Errorf("ledger: consistency: the tree of %d is not shown to be the beginning of that of %d", oldSize, newSize)
	}
	return nil
}
