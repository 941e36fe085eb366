package postgres

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// impatient bounds how long what was sent may stay without acknowledgement
// (tcp(7), TCP_USER_TIMEOUT): keepalives do not look after that.
func impatient(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(vanished.Milliseconds()))
	}); e != nil {
		return e
	}
	return err
}
