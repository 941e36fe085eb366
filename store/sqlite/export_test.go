package sqlite

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Limit bounds the file, in pages: beyond it SQLite answers as on a full disk.
func (db *DB) Limit(ctx context.Context, pages int) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return sqlitex.ExecuteTransient(db.writer, fmt.Sprintf("PRAGMA max_page_count = %d", pages), &sqlitex.ExecOptions{ResultFunc: func(*sqlite.Stmt) error { return nil }})
}

// AlwaysWalk makes every query that can walk the word index do so, whatever few
// rows its span of time holds.
func (db *DB) AlwaysWalk() { db.few = 0 }
