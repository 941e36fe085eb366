package sqlite

import (
	"os"
	"syscall"

	"konbit/record"
)

// takeLock refuses a database that another process holds. SQLite itself would
// let two nodes write in turns, each with its own idea of the ledger.
func (db *DB) takeLock() error {
	f, err := os.OpenFile(db.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return &record.Error{Code: record.Unavailable, Op: "store.open", Message: "the data folder cannot be written: " + err.Error()}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		e := record.Errorf(record.Unavailable, "store.open", "another konbit process has this data folder open")
		e.Hint = "konbit import and konbit export can go through the running node, with --url and a token in KONBIT_TOKEN; for other commands stop it first"
		return e
	}
	db.lock = f
	// Made here, so that nobody but the node's user can read it, nor the log that
	// takes its rights from it.
	c, err := os.OpenFile(db.path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return &record.Error{Code: record.Unavailable, Op: "store.open", Message: "the data folder cannot be written: " + err.Error()}
	}
	return c.Close()
}
