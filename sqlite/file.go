package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/snapstack/snapstack/store"
)

// inMemory is the path that stands for no file.
const inMemory = ":memory:"

// checkFile looks at what stands at path without changing it. It does not open the
// file itself: closing it would take away the locks that other connections of this
// process have on it (https://sqlite.org/howtocorrupt.html, 2.2).
func (s *Store) checkFile(ctx context.Context, path string) error {
	if path == "" {
		return fmt.Errorf("%w path: empty; wanted is a file or %q", store.ErrInvalid, inMemory)
	}
	if strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("%w path %q: has a NUL byte", store.ErrInvalid, path)
	}
	if folder, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%q: the folder must exist: %w", path, err)
	} else if !folder.IsDir() {
		return fmt.Errorf("%w path %q: %q is no folder", store.ErrInvalid, path, filepath.Dir(path))
	}
	file, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	if !file.Mode().IsRegular() {
		return fmt.Errorf("%w path %q: it is no file", store.ErrInvalid, path)
	}
	// SQLite would open it for reading only, without saying so, and where it has a
	// WAL leave files beside it.
	if err := checkAccess(path, file); err != nil {
		return fmt.Errorf("%q: the file must be readable and writable for this process: %w", path, err)
	}
	// SQLite takes a file of less than its smallest page for an empty database, and
	// would write over what somebody has there.
	if size := file.Size(); size > 0 && size < 512 {
		return fmt.Errorf("%q: file is not a database: it has %d bytes", path, size)
	}
	// Without the settings of the store: to turn a database to WAL writes to it.
	db, err := sql.Open("sqlite", dataSource(path, url.Values{"mode": {"rw"}}))
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	err = s.retryBusy(ctx, time.Time{}, func() error {
		_, err := checkTable(ctx, db, s.opts.Table)
		return err
	})
	return atPath(path, errors.Join(err, db.Close()))
}

// atPath returns err with the path, and what SQLite leaves to be guessed.
func atPath(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "unable to open database file"), strings.Contains(err.Error(), "readonly database"):
		return fmt.Errorf("%q: %w: the file and its folder must be readable and writable for this process", path, err)
	}
	return fmt.Errorf("%q: %w", path, err)
}

// dataSource returns the name of the database for the driver. It is a URI, so that
// any character may stand in the path (https://sqlite.org/uri.html).
func dataSource(path string, parameters url.Values) string {
	if strings.HasPrefix(path, "//") {
		path = "//" + path // an empty authority: what follows "//" would be taken for one
	}
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?" + parameters.Encode()
}
