package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/snapstack/snapstack/store"
)

// Backup writes the whole database as of one moment, the tables of others in it
// included, to a new file at path, which any program that knows SQLite opens. When it
// returns nil the file is on the disk. A path where something stands is ErrInvalid;
// until all is written there is nothing, and where Backup fails nothing remains, save
// for a file with the extension .backup-tmp after a crash. The file is readable for its
// owner alone.
//
// Loads go on meanwhile, and in WAL saves too, but the WAL grows as long. Without WAL
// saves wait, up to BusyTimeout, and in memory loads do as well.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.backup(ctx, path); err != nil {
		return store.Wrap(store.OpBackup, "", 0, fmt.Errorf("sqlite: %w", cause(ctx, err)))
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if path == "" || strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("%w path %q; allowed is that of a file to create", store.ErrInvalid, path)
	}
	if err := checkAbsent(path); err != nil {
		return err
	}
	folder := filepath.Dir(path)
	temporary, err := os.CreateTemp(folder, filepath.Base(path)+".*.backup-tmp")
	if err != nil {
		return err
	}
	defer func() {
		// Gone already where all went well. Otherwise the failure is what counts.
		_ = os.Remove(temporary.Name())
		_ = os.Remove(temporary.Name() + "-journal")
	}()
	if err := temporary.Close(); err != nil {
		return err
	}
	err = s.retryBusy(ctx, time.Time{}, func() error {
		return s.db.maintain(ctx, func(conn *sql.Conn) error {
			// SQLite takes an empty file, but not what an attempt before left of one.
			if err := os.Truncate(temporary.Name(), 0); err != nil {
				return err
			}
			_, err := conn.ExecContext(ctx, "VACUUM INTO ?", temporary.Name())
			return err
		})
	})
	if err != nil {
		return err
	}
	// SQLite does not wait for the disk when it writes such a file.
	if err := s.sync(temporary.Name(), os.O_RDWR); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := moveNew(temporary.Name(), path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // it has no fsync of folders
	}
	if err := s.sync(folder, os.O_RDONLY); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// sync waits until the file or folder is on the disk.
func (s *Store) sync(path string, flag int) error {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(s.fsync(f), f.Close())
}

// checkAbsent returns an error where something stands at path.
func checkAbsent(path string) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil:
		return existing(path)
	}
	return err
}

func existing(path string) error {
	return fmt.Errorf("%w path %q: it exists; a backup overwrites nothing", store.ErrInvalid, path)
}

// moveNew gives the file at from the name to, which nothing may have.
func moveNew(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, os.ErrExist):
		return existing(to)
	}
	// A file system without links. A rename would overwrite what somebody put there
	// since it was looked at, so it is looked at once more.
	if err := checkAbsent(to); err != nil {
		return err
	}
	return os.Rename(from, to)
}
