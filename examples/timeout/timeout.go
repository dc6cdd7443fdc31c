// Package timeout is a wrapper as an example: it ends calls that take too long, for callers
// whose contexts have no deadline. docs/writing-a-backend.md explains it.
package timeout

import (
	"context"
	"fmt"
	"time"

	"github.com/snapstack/snapstack/store"
)

// Options configures a Store. The zero value is a good default.
type Options struct {
	// Limit is how long a call may take, that of a view included; 0 means 10 s.
	Limit time.Duration
}

// Store is the wrapper. A call that takes too long returns an error that matches
// context.DeadlineExceeded.
type Store struct {
	inner store.SnapshotStore
	limit time.Duration
}

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Wrapper       = (*Store)(nil)
	_ store.Viewer        = (*Store)(nil)
)

// New returns a Store over inner, which it closes when it is closed itself.
func New(inner store.SnapshotStore, opts Options) (*Store, error) {
	if inner == nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("timeout: %w inner store: nil", store.ErrInvalid))
	}
	if opts.Limit < 0 {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("timeout: %w Limit %v; allowed are 0 (for 10s) and more", store.ErrInvalid, opts.Limit))
	}
	if opts.Limit == 0 {
		opts.Limit = 10 * time.Second
	}
	return &Store{inner: inner, limit: opts.Limit}, nil
}

// Save implements store.SnapshotStore.
func (s *Store) Save(ctx context.Context, snap store.Snapshot) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.inner.Save(ctx, snap)
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.inner.LoadLatest(ctx, persistenceID)
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.inner.LoadBefore(ctx, persistenceID, sequenceNr)
}

// ViewLatest implements store.Viewer.
func (s *Store) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return store.ViewLatest(ctx, s.inner, persistenceID, view)
}

// Delete implements store.SnapshotStore.
func (s *Store) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return s.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// Close implements store.SnapshotStore.
func (s *Store) Close() error { return s.inner.Close() }

// Unwrap implements store.Wrapper.
func (s *Store) Unwrap() store.SnapshotStore { return s.inner }
