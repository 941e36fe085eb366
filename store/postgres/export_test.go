package postgres

// AlwaysSeek makes every query that can seek in the inverted index do so, whatever few
// rows there are to look at.
func (db *DB) AlwaysSeek() { db.few = 0 }

// LookAt bounds how many rows are looked at one by one before the index is asked.
func (db *DB) LookAt(rows int) { db.few = rows }
