package cache_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	xsingleflight "golang.org/x/sync/singleflight"

	"github.com/snapstack/snapstack/store"
)

// The naive wrappers are what is written at first, and what one gets by mending
// that. Tests of consistency run on them too, to prove that they can fail.
var naive = map[string]layer{
	"cache": func(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		return &naiveCache{SnapshotStore: inner}
	},
	"cache that drops after any error": func(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		return &naiveCache{SnapshotStore: inner, always: true}
	},
	"cache with generations": func(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		return &naiveCache{SnapshotStore: inner, always: true, generations: true}
	},
	"cache with generations before and after": func(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		return &naiveCache{SnapshotStore: inner, always: true, before: true, generations: true}
	},
	"singleflight": func(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		return &naiveSingleflight{SnapshotStore: inner}
	},
	"singleflight that forgets after": func(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		return &naiveSingleflight{SnapshotStore: inner, after: true}
	},
	"singleflight that forgets before and after": func(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		return &naiveSingleflight{SnapshotStore: inner, before: true, after: true}
	},
}

// naiveCache drops the entry of an id when a write of it is over, and fills it
// whenever a load comes back.
type naiveCache struct {
	store.SnapshotStore
	always      bool // drops also when the write failed
	before      bool // drops also when the write begins
	generations bool // fills only if nothing was dropped since the load began

	mu         sync.Mutex
	entries    map[string]naiveEntry
	generation int
}

type naiveEntry struct {
	snap store.Snapshot
	err  error // nil or ErrNotFound
}

func (c *naiveCache) Save(ctx context.Context, snap store.Snapshot) error {
	return c.write(snap.PersistenceID, func() error { return c.SnapshotStore.Save(ctx, snap) })
}

func (c *naiveCache) Delete(ctx context.Context, id string, to uint64) error {
	return c.write(id, func() error { return c.SnapshotStore.Delete(ctx, id, to) })
}

func (c *naiveCache) write(id string, call func() error) error {
	if c.before {
		c.Invalidate(id)
	}
	err := call()
	if err == nil || c.always {
		c.Invalidate(id)
	}
	return err
}

func (c *naiveCache) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	c.mu.Lock()
	e, hit := c.entries[id]
	generation := c.generation
	c.mu.Unlock()
	if hit {
		return e.snap, e.err
	}
	snap, err := c.SnapshotStore.LoadLatest(ctx, id)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		c.mu.Lock()
		if c.entries == nil {
			c.entries = map[string]naiveEntry{}
		}
		if !c.generations || generation == c.generation {
			c.entries[id] = naiveEntry{snap: snap, err: err}
		}
		c.mu.Unlock()
	}
	return snap, err
}

func (c *naiveCache) Invalidate(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
	c.generation++
}

func (c *naiveCache) Purge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

// naiveSingleflight joins whatever load of the id is in flight.
type naiveSingleflight struct {
	store.SnapshotStore
	before, after bool // forgets the load in flight when a write begins, when it is over

	flights xsingleflight.Group
}

func (s *naiveSingleflight) Save(ctx context.Context, snap store.Snapshot) error {
	return s.write(snap.PersistenceID, func() error { return s.SnapshotStore.Save(ctx, snap) })
}

func (s *naiveSingleflight) Delete(ctx context.Context, id string, to uint64) error {
	return s.write(id, func() error { return s.SnapshotStore.Delete(ctx, id, to) })
}

func (s *naiveSingleflight) write(id string, call func() error) error {
	if s.before {
		s.flights.Forget(id)
	}
	err := call()
	if s.after {
		s.flights.Forget(id)
	}
	return err
}

func (s *naiveSingleflight) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	snap, err, _ := s.flights.Do(id, func() (any, error) { return s.SnapshotStore.LoadLatest(ctx, id) })
	return snap.(store.Snapshot), err
}

// Invalidate and Purge are missing what they are for.
func (s *naiveSingleflight) Invalidate(string) {}
func (s *naiveSingleflight) Purge()            {}
