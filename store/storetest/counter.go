package storetest

import (
	"context"
	"sync/atomic"

	"github.com/snapstack/snapstack/store"
)

// Counts is what has passed a Counter. Calls count when they begin, whatever
// becomes of them; bytes count the states of calls that succeeded.
type Counts struct {
	Saves       int64
	LoadLatests int64 // LoadLatest and ViewLatest
	LoadBefores int64
	Deletes     int64
	SavedBytes  int64
	LoadedBytes int64 // by all three loads
}

// Loads returns the number of loads of any kind.
func (c Counts) Loads() int64 { return c.LoadLatests + c.LoadBefores }

// Counter is a wrapper that counts what passes it, to see what reaches the
// layer beneath.
type Counter struct {
	inner store.SnapshotStore

	saves, loadLatests, loadBefores, deletes atomic.Int64
	savedBytes, loadedBytes                  atomic.Int64
}

var (
	_ store.SnapshotStore = (*Counter)(nil)
	_ store.Wrapper       = (*Counter)(nil)
	_ store.Viewer        = (*Counter)(nil)
)

// NewCounter returns a Counter over inner.
func NewCounter(inner store.SnapshotStore) *Counter { return &Counter{inner: inner} }

// Counts returns what has passed so far. While calls are in flight its fields
// may be of slightly different moments.
func (c *Counter) Counts() Counts {
	return Counts{
		Saves:       c.saves.Load(),
		LoadLatests: c.loadLatests.Load(),
		LoadBefores: c.loadBefores.Load(),
		Deletes:     c.deletes.Load(),
		SavedBytes:  c.savedBytes.Load(),
		LoadedBytes: c.loadedBytes.Load(),
	}
}

// Save implements store.SnapshotStore.
func (c *Counter) Save(ctx context.Context, snap store.Snapshot) error {
	c.saves.Add(1)
	err := c.inner.Save(ctx, snap)
	if err == nil {
		c.savedBytes.Add(int64(len(snap.State)))
	}
	return err
}

// LoadLatest implements store.SnapshotStore.
func (c *Counter) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	c.loadLatests.Add(1)
	snap, err := c.inner.LoadLatest(ctx, persistenceID)
	c.loadedBytes.Add(int64(len(snap.State)))
	return snap, err
}

// ViewLatest implements store.Viewer.
func (c *Counter) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	c.loadLatests.Add(1)
	return store.ViewLatest(ctx, c.inner, persistenceID, func(snap store.Snapshot) error {
		c.loadedBytes.Add(int64(len(snap.State)))
		return view(snap)
	})
}

// LoadBefore implements store.SnapshotStore.
func (c *Counter) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	c.loadBefores.Add(1)
	snap, err := c.inner.LoadBefore(ctx, persistenceID, sequenceNr)
	c.loadedBytes.Add(int64(len(snap.State)))
	return snap, err
}

// Delete implements store.SnapshotStore.
func (c *Counter) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	c.deletes.Add(1)
	return c.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// Close implements store.SnapshotStore.
func (c *Counter) Close() error { return c.inner.Close() }

// Unwrap implements store.Wrapper.
func (c *Counter) Unwrap() store.SnapshotStore { return c.inner }
