package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/snapstack/snapstack/store"
)

// busyPoll is how long a call waits before it tries again to get a lock that the
// driver did not wait for.
const busyPoll = 2 * time.Millisecond

// retryBusy makes call again while it fails because another connection holds a
// lock, until BusyTimeout after since, or after the first failure where since is
// zero. SQLite's own busy timeout does not cover every such failure, and is not set
// on the connections of Open, nor always on a shared database.
func (s *Store) retryBusy(ctx context.Context, since time.Time, call func() error) error {
	for {
		// Not every driver looks at a context before it begins.
		if err := ctx.Err(); err != nil {
			return err
		}
		err := call()
		if !isBusy(err) || ctx.Err() != nil {
			return err
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) >= s.opts.BusyTimeout {
			return err
		}
		timer := time.NewTimer(busyPoll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// SQLite's result codes have no form that all drivers share, but its messages
// (https://sqlite.org/c3ref/errcode.html) are in the errors of each.

// isBusy matches SQLITE_BUSY and SQLITE_LOCKED.
func isBusy(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "database is locked") || strings.Contains(err.Error(), "table is locked"))
}

// isTooBig matches SQLITE_TOOBIG.
func isTooBig(err error) bool {
	return err != nil && strings.Contains(err.Error(), "string or blob too big")
}

// errMixedUp says that the index names a row that is another's.
var errMixedUp = fmt.Errorf("%w: sqlite: the index of the table does not match it", store.ErrCorrupt)

// isDamage matches SQLITE_CORRUPT, also where SQLite tells more about a schema that
// it can't read, and SQLITE_NOTADB.
func isDamage(err error) bool {
	if err == nil {
		return false
	}
	for _, message := range []string{"database disk image is malformed", "malformed database schema", "file is not a database"} {
		if strings.Contains(err.Error(), message) {
			return true
		}
	}
	return false
}

// damagedNr returns the number of the snapshot that a load came upon and could not
// read. The index has it too; where that is damaged as well it is 0.
func (s *Store) damagedNr(ctx context.Context, id string, highest int64) uint64 {
	var seq int64
	err := s.db.read(ctx, func(conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, s.sql.loadNr, id, highest).Scan(&seq)
	})
	if err != nil {
		return 0 // the load's own error says more than this one
	}
	return uint64(seq)
}

// cause returns err in the terms of the contract. Once ctx has ended, whatever the
// driver says about it matches ctx.Err().
func cause(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrInvalid):
		return err
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case isTooBig(err):
		return fmt.Errorf("%w: %w", store.ErrTooLarge, err)
	case isDamage(err):
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}
