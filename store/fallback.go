package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// FallbackOptions configures a Fallback.
type FallbackOptions struct {
	// Attempts is how many snapshots a load tries, the first one included; 0 means
	// 3.
	Attempts int

	// OnCorrupt is told of every corrupt snapshot that a load passed over, before
	// the load returns; nil means nobody is. Loads call it concurrently.
	OnCorrupt func(persistenceID string, sequenceNr uint64, err error)
}

// Fallback is a wrapper that gives the newest intact snapshot where the one asked
// for is corrupt: an event-sourced entity then replays a few more events instead
// of not waking at all. A failure of any other kind is returned as it is.
type Fallback struct {
	inner SnapshotStore
	opts  FallbackOptions

	passedOver atomic.Int64
}

// FallbackStats is what a Fallback has done since it was made.
type FallbackStats struct {
	PassedOver int64 // corrupt snapshots that loads came by, each time that they did: what OnCorrupt is told
}

var (
	_ SnapshotStore = (*Fallback)(nil)
	_ Wrapper       = (*Fallback)(nil)
	_ Viewer        = (*Fallback)(nil)
)

// NewFallback returns a Fallback over inner.
func NewFallback(inner SnapshotStore, opts FallbackOptions) (*Fallback, error) {
	if inner == nil {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("fallback: %w inner store: nil", ErrInvalid))
	}
	if opts.Attempts < 0 {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("fallback: %w Attempts %d; allowed are 0 (for 3) and more", ErrInvalid, opts.Attempts))
	}
	if opts.Attempts == 0 {
		opts.Attempts = 3
	}
	return &Fallback{inner: inner, opts: opts}, nil
}

// Save implements SnapshotStore.
func (f *Fallback) Save(ctx context.Context, snap Snapshot) error { return f.inner.Save(ctx, snap) }

// LoadLatest implements SnapshotStore. It returns the error of the newest snapshot
// where none of those tried is intact.
func (f *Fallback) LoadLatest(ctx context.Context, persistenceID string) (Snapshot, error) {
	snap, err := f.inner.LoadLatest(ctx, persistenceID)
	if errors.Is(err, ErrCorrupt) {
		return f.older(ctx, persistenceID, err)
	}
	return snap, err
}

// LoadBefore implements SnapshotStore. It returns the error of the newest snapshot
// where none of those tried is intact.
func (f *Fallback) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (Snapshot, error) {
	snap, err := f.inner.LoadBefore(ctx, persistenceID, sequenceNr)
	if errors.Is(err, ErrCorrupt) {
		return f.older(ctx, persistenceID, err)
	}
	return snap, err
}

// ViewLatest implements Viewer.
func (f *Fallback) ViewLatest(ctx context.Context, persistenceID string, view func(Snapshot) error) error {
	viewed := false
	err := ViewLatest(ctx, f.inner, persistenceID, func(snap Snapshot) error {
		viewed = true
		return view(snap)
	})
	if viewed || !errors.Is(err, ErrCorrupt) {
		return err // also where it is view that found something corrupt
	}
	snap, err := f.older(ctx, persistenceID, err)
	if err != nil {
		return err
	}
	return view(snap)
}

// Delete implements SnapshotStore.
func (f *Fallback) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return f.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// Close implements SnapshotStore.
func (f *Fallback) Close() error { return f.inner.Close() }

// Unwrap implements Wrapper.
func (f *Fallback) Unwrap() SnapshotStore { return f.inner }

// Stats returns what has happened so far.
func (f *Fallback) Stats() FallbackStats { return FallbackStats{PassedOver: f.passedOver.Load()} }

// older returns the newest intact snapshot below the one that newest says is
// corrupt.
func (f *Fallback) older(ctx context.Context, persistenceID string, newest error) (Snapshot, error) {
	corrupt := newest
	bound := uint64(0)
	for attempt := 1; ; attempt++ {
		var named *Error
		if !errors.As(corrupt, &named) || attempt > 1 && named.SequenceNr >= bound {
			return Snapshot{}, newest // does not say which is corrupt: nowhere to go on
		}
		bound = named.SequenceNr
		f.passOver(persistenceID, bound, corrupt)
		if attempt >= f.opts.Attempts {
			return Snapshot{}, newest
		}
		snap, err := f.inner.LoadBefore(ctx, persistenceID, bound)
		switch {
		case errors.Is(err, ErrCorrupt):
			corrupt = err
		case errors.Is(err, ErrNotFound):
			return Snapshot{}, newest // there was a snapshot: "none" would be wrong
		default:
			return snap, err
		}
	}
}

// passOver counts and reports a corrupt snapshot.
func (f *Fallback) passOver(persistenceID string, sequenceNr uint64, err error) {
	f.passedOver.Add(1)
	if f.opts.OnCorrupt != nil {
		f.opts.OnCorrupt(persistenceID, sequenceNr, err)
	}
}
