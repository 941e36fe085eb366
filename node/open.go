package node

import (
	"context"
	"path/filepath"
	"strings"

	"konbit/record"
	"konbit/store"
	"konbit/store/postgres"
	"konbit/store/sqlite"
)

// openStore opens what a specification names: sqlite:PATH, postgres://..., or ""
// for the file in the data folder.
func openStore(ctx context.Context, spec, data string, readOnly bool) (store.Store, error) {
	path, isPostgres, err := readStore(spec, data)
	switch {
	case err != nil:
		return nil, err
	case isPostgres && readOnly:
		return some(postgres.OpenReadOnly(ctx, path))
	case isPostgres:
		return some(postgres.Open(ctx, path))
	case readOnly:
		return some(sqlite.OpenReadOnly(ctx, path))
	}
	return some(sqlite.Open(ctx, path))
}

// some keeps a nil driver from becoming a store that is not nil.
func some[S store.Store](s S, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// readStore reads a specification: the path of a file, or the URL of a database.
func readStore(spec, data string) (path string, isPostgres bool, err error) {
	switch file, isFile := strings.CutPrefix(spec, "sqlite:"); {
	case spec == "":
		return filepath.Join(data, dbFile), false, nil
	case isFile && file != "":
		return file, false, nil
	case strings.HasPrefix(spec, "postgres://"), strings.HasPrefix(spec, "postgresql://"):
		return spec, true, nil
	}
	e := record.Errorf(record.Invalid, "store.open", "this names no store") // what it says may hold a password
	e.Hint = "sqlite:PATH or postgres://user@host/database"
	return "", false, e
}

// alone refuses a store on which processes of the node run.
func alone(ctx context.Context, s store.Store) error {
	shared, ok := s.(store.Shared)
	if !ok {
		return nil
	}
	all, err := shared.Processes(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	e := record.Errorf(record.Unavailable, "store.open", "%d processes of this node are running, the first on %s", len(all), all[0].Name)
	e.Hint = "stop all of them first; one that was killed is forgotten after 15 seconds"
	return e
}
