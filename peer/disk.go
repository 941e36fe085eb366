package peer

import (
	"sync"
	"time"

	"konbit/record"
)

// disk keeps room for the node's own work: what other nodes send is not taken
// when it runs out. Of what is urgent a little more is, as recalls make room.
type disk struct {
	folder string
	stat   func(folder string) (free, total int64) // total 0: not known

	mu          sync.Mutex
	looked      time.Time
	free, total int64
}

// reserve is how much is kept free, but no more than a twentieth of the disk.
const reserve = 512 << 20

// room is an error when nothing more can be taken.
func (d *disk) room(urgent bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.folder == "" {
		return nil
	}
	if time.Since(d.looked) > time.Second {
		d.free, d.total = d.stat(d.folder)
		d.looked = time.Now()
	}
	least := min(int64(reserve), d.total/20)
	if urgent {
		least /= 4
	}
	if d.total > 0 && d.free < least {
		return record.Errorf(record.Unavailable, "bundle.full", "the disk is nearly full: only %d MB are left, and nothing more is taken from other nodes", d.free>>20)
	}
	return nil
}
