//go:build !linux

package postgres

import "syscall"

// impatient leaves it to keepalives: only Linux bounds how long what was sent may
// stay without acknowledgement.
func impatient(_, _ string, _ syscall.RawConn) error { return nil }
