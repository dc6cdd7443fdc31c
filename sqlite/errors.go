package sqlite

import (
	"context"
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

// isDamage matches SQLITE_CORRUPT and SQLITE_NOTADB.
func isDamage(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "disk image is malformed") || strings.Contains(err.Error(), "malformed database schema") ||
		strings.Contains(err.Error(), "file is not a database"))
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
	}
	return err
}
