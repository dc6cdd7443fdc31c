package store

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// LimitOptions configures a Limit.
type LimitOptions struct {
	// Loads is how many loads may be at the inner store at once; 0 means 64.
	Loads int
}

// LimitStats is what a Limit has done since it was made.
type LimitStats struct {
	Loads   int64 // that reached the inner store
	Waited  int64 // of all, those that could not go on at once
	Waiting int64 // now
}

// Limit is a wrapper that bounds how many loads are at the inner store at once. When
// thousands of entities wake together, as after a restart, those in excess wait
// their turn here, first come first served, rather than all at the backend: there
// they would slow each other down, or be refused. Saves, Deletes and listings pass.
//
// It belongs beneath the layers that spare loads. A Singleflight above it lets all
// that wait for one id take one turn.
type Limit struct {
	inner SnapshotStore
	gate  Gate
	turns *semaphore.Weighted

	loads, waited, waiting atomic.Int64
}

var (
	_ SnapshotStore = (*Limit)(nil)
	_ Wrapper       = (*Limit)(nil)
	_ Viewer        = (*Limit)(nil)
)

// NewLimit returns a Limit over inner, which it closes when it is closed itself.
func NewLimit(inner SnapshotStore, opts LimitOptions) (*Limit, error) {
	if inner == nil {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("limit: %w inner store: nil", ErrInvalid))
	}
	if opts.Loads < 0 {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("limit: %w Loads %d; allowed are 0 (for 64) and more", ErrInvalid, opts.Loads))
	}
	if opts.Loads == 0 {
		opts.Loads = 64
	}
	return &Limit{inner: inner, turns: semaphore.NewWeighted(int64(opts.Loads))}, nil
}

// Save implements SnapshotStore.
func (l *Limit) Save(ctx context.Context, snap Snapshot) error { return l.inner.Save(ctx, snap) }

// LoadLatest implements SnapshotStore.
func (l *Limit) LoadLatest(ctx context.Context, persistenceID string) (Snapshot, error) {
	if err := l.begin(ctx, persistenceID); err != nil {
		return Snapshot{}, Wrap(OpLoadLatest, persistenceID, 0, err)
	}
	defer l.end()
	return l.inner.LoadLatest(ctx, persistenceID)
}

// LoadBefore implements SnapshotStore.
func (l *Limit) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (Snapshot, error) {
	if err := l.begin(ctx, persistenceID); err != nil {
		return Snapshot{}, Wrap(OpLoadBefore, persistenceID, sequenceNr, err)
	}
	defer l.end()
	return l.inner.LoadBefore(ctx, persistenceID, sequenceNr)
}

// ViewLatest implements Viewer. The load counts until view returns, since the inner
// store may hold what it lends that long.
func (l *Limit) ViewLatest(ctx context.Context, persistenceID string, view func(Snapshot) error) error {
	if err := l.begin(ctx, persistenceID); err != nil {
		return Wrap(OpLoadLatest, persistenceID, 0, err)
	}
	defer l.end()
	return ViewLatest(ctx, l.inner, persistenceID, view)
}

// Delete implements SnapshotStore.
func (l *Limit) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return l.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// Close implements SnapshotStore. Loads that wait for their turn get it first.
func (l *Limit) Close() error { return l.gate.Close(l.inner.Close) }

// Unwrap implements Wrapper.
func (l *Limit) Unwrap() SnapshotStore { return l.inner }

// Stats returns what has happened so far.
func (l *Limit) Stats() LimitStats {
	return LimitStats{Loads: l.loads.Load(), Waited: l.waited.Load(), Waiting: l.waiting.Load()}
}

// begin waits for the turn of a load, which end gives back.
func (l *Limit) begin(ctx context.Context, persistenceID string) error {
	if err := l.gate.Enter(ctx); err != nil {
		return err
	}
	err := CheckID(persistenceID) // what can't be loaded waits for nothing
	if err == nil && !l.turns.TryAcquire(1) {
		l.waited.Add(1)
		l.waiting.Add(1)
		err = l.turns.Acquire(ctx, 1)
		l.waiting.Add(-1)
	}
	if err != nil {
		l.gate.Leave()
		return err
	}
	l.loads.Add(1)
	return nil
}

func (l *Limit) end() {
	l.turns.Release(1)
	l.gate.Leave()
}
