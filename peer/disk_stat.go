//go:build linux || darwin || freebsd

package peer

import "syscall"

// statDisk returns how many bytes of the disk of a folder are free for us, and how many it has.
func statDisk(folder string) (free, total int64) {
	var s syscall.Statfs_t
	if syscall.Statfs(folder, &s) != nil {
		return 0, 0
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize)
}
