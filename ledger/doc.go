// Package ledger is the append-only, Merkle-authenticated account of every change, share, receipt and look: the entry
// format and its commitments, the tree over them, proofs, signed checkpoints, the portable proof file and the check of
// a whole ledger.
//
// It is pure. It must not open a file, speak SQL, read a clock, draw random numbers, keep global state, or know what a
// record means; times, salts and keys come in as arguments, and storage is reached through [Reader]. Nothing that it
// starts outlives the call that started it.
//
// What the formats follow: RFC 6962 §2.1 (tree, inclusion and consistency proofs), DSSE v1.0.2 (signatures), C2SP
// signed-note and tlog-checkpoint (checkpoints), RFC 8032 (Ed25519), FIPS 180-4 (SHA-256). DESIGN.md beside this file
// has the bytes.
package ledger
