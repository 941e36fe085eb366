package node

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"konbit/desk"
	"konbit/desks"
	"konbit/intake"
	"konbit/peer"
	"konbit/record"
	"konbit/store"
	"konbit/store/move"
	"konbit/store/postgres"
	"konbit/store/sqlite"
)

// manifest is the first file of a backup.
type manifest struct {
	Format  string    `json:"format"`
	Version string    `json:"version"` // of the konbit that wrote it
	At      time.Time `json:"at"`
	Size    int64     `json:"size"` // ledger entries
}

const backupFormat = "konbit-backup/1"

// Backup writes a consistent copy of a data folder and its store (spec as in
// Config.Store), of a running node or a stopped one, to w: database, keys and
// attachments as a zstd-compressed tar, sealed with age when a passphrase is given.
// The database in it is a SQLite file, whatever the store is, so that it can be restored
// into either. It holds private keys.
func Backup(ctx context.Context, data, spec string, w io.Writer, passphrase string, now time.Time) (err error) {
	tmp, err := os.MkdirTemp(data, "backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	snapshot := filepath.Join(tmp, dbFile)
	if err := copyStore(ctx, spec, data, snapshot); err != nil {
		return err
	}
	size, err := headOf(ctx, snapshot)
	if err != nil {
		return err
	}
	if passphrase != "" {
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return err
		}
		sealed, err := age.Encrypt(w, r)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sealed.Close()) }()
		w = sealed
	}
	z, err := zstd.NewWriter(w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	t := tar.NewWriter(z)
	defer func() { err = errors.Join(err, t.Close()) }()
	m, err := json.Marshal(manifest{backupFormat, Version, now.UTC(), size})
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: "manifest.json", Mode: 0o600, Size: int64(len(m)), ModTime: now}); err != nil {
		return err
	}
	if _, err := t.Write(m); err != nil {
		return err
	}
	if err := addFile(t, snapshot, dbFile); err != nil {
		return err
	}
	// Attachments come after the snapshot: whatever it names is there by then.
	for _, folder := range []string{keyFolder, blobFolder} {
		root := filepath.Join(data, folder)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !d.Type().IsRegular() || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			rel, err := filepath.Rel(data, path)
			if err != nil {
				return err
			}
			err = addFile(t, path, filepath.ToSlash(rel))
			if errors.Is(err, fs.ErrNotExist) {
				return nil // erased meanwhile
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// copyStore writes what a store holds at this moment to a new SQLite file.
func copyStore(ctx context.Context, spec, data, path string) error {
	s, err := openStore(ctx, spec, data, true)
	if err != nil {
		return err
	}
	defer s.Close()
	switch db := s.(type) {
	case *sqlite.DB:
		return db.Backup(ctx, path)
	case *postgres.DB:
		derive, err := deriver()
		if err != nil {
			return err
		}
		_, err = move.Backup(ctx, db, path, derive, nil)
		return err
	}
	return record.Errorf(record.Internal, "backup", "a store that cannot be copied: %T", s)
}

// deriver computes what a record is found by.
func deriver() (func(*record.Record) (*store.Row, error), error) {
	set, err := desk.NewSet(desks.All()...)
	return func(r *record.Record) (*store.Row, error) { return intake.Derive(set, r) }, err
}

func headOf(ctx context.Context, path string) (int64, error) {
	db, err := sqlite.OpenReadOnly(ctx, path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	size, _, err := db.Head(ctx)
	return size, err
}

func addFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: st.Size(), ModTime: st.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(t, io.LimitReader(f, st.Size()))
	return err
}

// Restore unpacks a backup into an empty or missing data folder and verifies it.
// On any fault it leaves nothing behind.
func Restore(ctx context.Context, cfg Config, r io.Reader, passphrase string, progress func(done, total int64)) (v Verified, err error) {
	refuse := func(format string, args ...any) error {
		return record.Errorf(record.Invalid, "restore", format, args...)
	}
	if files, err := os.ReadDir(cfg.Data); err == nil && len(files) > 0 {
		return v, refuse("the data folder is not empty; a backup is restored into an empty one")
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return v, err
	}
	defer func() {
		if err != nil {
			if files, e := os.ReadDir(cfg.Data); e == nil {
				for _, f := range files {
					os.RemoveAll(filepath.Join(cfg.Data, f.Name()))
				}
			}
		}
	}()
	if passphrase != "" {
		id, err := age.NewScryptIdentity(passphrase)
		if err != nil {
			return v, err
		}
		if r, err = age.Decrypt(r, id); err != nil {
			return v, refuse("the backup cannot be opened with this passphrase: %v", err)
		}
	}
	z, err := zstd.NewReader(r)
	if err != nil {
		return v, err
	}
	defer z.Close()
	t := tar.NewReader(z)
	var m manifest
	for i := 0; ; i++ {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return v, refuse("this is no whole backup of konbit (a sealed one needs its passphrase): %v", err)
		}
		if i == 0 {
			if h.Name != "manifest.json" || json.NewDecoder(io.LimitReader(t, 1<<20)).Decode(&m) != nil || m.Format != backupFormat {
				return v, refuse("this is no backup of konbit")
			}
			continue
		}
		if err := unpack(cfg.Data, h, t); err != nil {
			return v, err
		}
	}
	if m.Format == "" {
		return v, refuse("this is no backup of konbit")
	}
	if err := moveIn(ctx, cfg); err != nil {
		return v, err
	}
	n, err := Open(ctx, cfg)
	if err != nil {
		return v, err
	}
	fault, v, err := n.Verify(ctx, progress)
	if fault != nil {
		err = fault
	}
	if err == nil && v.Report.Size < m.Size {
		err = refuse("the backup names %d ledger entries and holds %d", m.Size, v.Report.Size)
	}
	if err == nil { // other nodes see by it that the ledger may be shorter than it was
		_, err = peer.Reincarnate(ctx, n.Store, n.now())
	}
	return v, errors.Join(err, n.Close())
}

// moveIn brings the unpacked database into the store that was asked for.
func moveIn(ctx context.Context, cfg Config) error {
	file := filepath.Join(cfg.Data, dbFile)
	path, isPostgres, err := readStore(cfg.Store, cfg.Data)
	if err != nil || path == file {
		return err
	}
	if !isPostgres {
		if _, err := os.Stat(path); err == nil {
			return record.Errorf(record.Invalid, "restore", "%s exists already; a backup is restored into an empty store", path)
		}
		return os.Rename(file, path)
	}
	derive, err := deriver()
	if err != nil {
		return err
	}
	if _, err := move.Run(ctx, move.Copy{From: "sqlite:" + file, To: path, Derive: derive}); err != nil {
		return err
	}
	return os.Remove(file)
}

func unpack(data string, h *tar.Header, r io.Reader) error {
	top, _, _ := strings.Cut(h.Name, "/")
	if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || h.Name != dbFile && top != keyFolder && top != blobFolder {
		return record.Errorf(record.Invalid, "restore", "the backup holds %.100q, which does not belong there", h.Name)
	}
	path := filepath.Join(data, filepath.FromSlash(h.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", h.Name, err)
	}
	return nil
}
