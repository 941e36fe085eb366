//go:build !linux && !darwin && !freebsd

package peer

// statDisk knows nothing of disks here.
func statDisk(string) (free, total int64) { return 0, 0 }
