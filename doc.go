// Package konbit is the root of the module. It holds no code that runs: the
// tests beside this file keep the rules of the house, who may import whom, what
// the binary depends on, what may not stand in a file.
//
// The program is in cmd/konbit; docs/ARCHITECTURE.md says what is where.
package konbit
