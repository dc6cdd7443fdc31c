package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/snapstack/snapstack/store"
)

const (
	defaultMaxBytes = 64 << 20
	defaultTTL      = 5 * time.Minute

	// entryOverhead is what an entry takes beside its id and state, in bytes:
	// roughly its struct, its element of the list and its share of the map.
	entryOverhead = 320
)

// Options configures a Cache. The zero value is a good default.
type Options struct {
	// MaxBytes bounds the entries: ids, states and 320 bytes of bookkeeping for
	// each. 0 means 64 MiB. States that callers hold are not in it.
	MaxBytes int64

	// MaxEntryBytes bounds one entry, counted likewise. A larger one is served and
	// not kept. 0 means MaxBytes, which also bounds it.
	MaxEntryBytes int64

	// TTL is how long an entry is served: how stale it can be where another process
	// writes to the same backend. Each entry expires up to a tenth earlier, at
	// random, so that entries filled together are not all loaded again together. 0
	// means 5 minutes; negative means that entries do not expire.
	TTL time.Duration

	// NegativeTTL is how long the cache remembers that an id has no snapshot; 0
	// means not at all.
	NegativeTTL time.Duration

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// Rand gives random numbers in [0, 1) for the expiry, and is called by one
	// goroutine at a time; nil means those of math/rand/v2.
	Rand func() float64
}

// Stats is what a Cache has done since it was made.
type Stats struct {
	Hits         int64 // loads answered with a snapshot from the cache
	NegativeHits int64 // loads answered with ErrNotFound from the cache
	Misses       int64 // loads passed to the inner store
	StaleFills   int64 // snapshots not kept because a write overlapped their load
	Evictions    int64 // entries dropped to make room
	Entries      int   // now
	Bytes        int64 // of the entries now, counted as for MaxBytes
}

// Cache is a read-through cache of the latest snapshot of each id. Writes pass
// through it and drop the entry of their id; the next load fills it.
type Cache struct {
	inner store.SnapshotStore
	opts  Options
	gate  store.Gate

	overlaps overlaps // whose lock guards what follows
	entries  *simplelru.LRU[string, *entry]
	stats    Stats
}

// An entry never changes once it is in the cache, so what it holds may be read
// without the lock.
type entry struct {
	snap    store.Snapshot
	absent  bool      // the id has no snapshot
	expires time.Time // zero for never
	size    int64
}

var (
	_ store.SnapshotStore = (*Cache)(nil)
	_ store.Wrapper       = (*Cache)(nil)
	_ store.Viewer        = (*Cache)(nil)
)

// New returns an empty Cache over inner.
func New(inner store.SnapshotStore, opts Options) (*Cache, error) {
	if err := opts.complete(); err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, err)
	}
	if inner == nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("cache: %w inner store: nil", store.ErrInvalid))
	}
	entries, err := simplelru.NewLRU[string, *entry](math.MaxInt, nil) // bounded in bytes, by fill
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("cache: %w", err))
	}
	return &Cache{inner: inner, opts: opts, overlaps: newOverlaps(), entries: entries}, nil
}

// complete checks the options and puts the defaults in.
func (o *Options) complete() error {
	switch {
	case o.MaxBytes < 0:
		return fmt.Errorf("cache: %w MaxBytes %d; allowed are 0 (for 64 MiB) and more", store.ErrInvalid, o.MaxBytes)
	case o.MaxEntryBytes < 0:
		return fmt.Errorf("cache: %w MaxEntryBytes %d; allowed are 0 (for MaxBytes) and more", store.ErrInvalid, o.MaxEntryBytes)
	case o.NegativeTTL < 0:
		return fmt.Errorf("cache: %w NegativeTTL %v; allowed are 0 (for not at all) and more", store.ErrInvalid, o.NegativeTTL)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxEntryBytes == 0 || o.MaxEntryBytes > o.MaxBytes {
		o.MaxEntryBytes = o.MaxBytes
	}
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return nil
}

// Save implements store.SnapshotStore.
func (c *Cache) Save(ctx context.Context, snap store.Snapshot) error {
	err := c.write(ctx, snap.PersistenceID, func() error { return c.inner.Save(ctx, snap) })
	return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, err)
}

// Delete implements store.SnapshotStore.
func (c *Cache) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	err := c.write(ctx, persistenceID, func() error { return c.inner.Delete(ctx, persistenceID, toSequenceNr) })
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, err)
}

// write makes a call that changes the id. From before it begins until after it
// ends, whatever becomes of it, the id has no entry and can't get one.
func (c *Cache) write(ctx context.Context, id string, call func() error) error {
	if err := c.gate.Enter(ctx); err != nil {
		return err
	}
	defer c.gate.Leave()
	c.overlaps.mu.Lock()
	at := c.overlaps.beginWrite(id)
	c.drop(id)
	c.overlaps.mu.Unlock()
	defer func() {
		c.overlaps.mu.Lock()
		defer c.overlaps.mu.Unlock()
		c.overlaps.endWrite(id, at)
	}()
	return call()
}

// LoadLatest implements store.SnapshotStore. Its State is a copy of what the cache
// keeps.
func (c *Cache) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	if err := c.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	defer c.gate.Leave()
	snap, kept, err := c.latest(ctx, persistenceID)
	if err != nil {
		return store.Snapshot{}, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	if kept {
		snap.State = bytes.Clone(snap.State)
	}
	return snap, nil
}

// ViewLatest implements store.Viewer. It lends what the cache keeps, and holds no
// lock while view runs.
func (c *Cache) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	if err := c.gate.Enter(ctx); err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	defer c.gate.Leave()
	snap, _, err := c.latest(ctx, persistenceID)
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	return view(snap)
}

// latest returns the latest snapshot, and whether the cache keeps its State.
func (c *Cache) latest(ctx context.Context, id string) (snap store.Snapshot, kept bool, err error) {
	if err := store.CheckID(id); err != nil {
		return store.Snapshot{}, false, err
	}
	c.overlaps.mu.Lock()
	if e := c.lookUp(id); e != nil {
		c.countHit(e)
		c.overlaps.mu.Unlock()
		if e.absent {
			return store.Snapshot{}, false, store.ErrNotFound
		}
		return e.snap, true, nil
	}
	c.stats.Misses++
	load := c.overlaps.beginLoad(id)
	c.overlaps.mu.Unlock()

	err = errors.New("cache: the inner store panicked") // unless it returns
	defer func() {
		c.overlaps.mu.Lock()
		defer c.overlaps.mu.Unlock()
		clean := c.overlaps.endLoad(id, load)
		if absent := errors.Is(err, store.ErrNotFound); err == nil || absent && c.opts.NegativeTTL > 0 {
			kept = c.fill(id, snap, absent, clean)
		}
	}()
	snap, err = c.inner.LoadLatest(ctx, id)
	return snap, false, err
}

// LoadBefore implements store.SnapshotStore. The cached latest answers it where it
// lies below the bound; anything else is loaded and not kept.
func (c *Cache) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := c.before(ctx, persistenceID, sequenceNr)
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
}

func (c *Cache) before(ctx context.Context, id string, bound uint64) (store.Snapshot, error) {
	if err := c.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer c.gate.Leave()
	c.overlaps.mu.Lock()
	e := c.lookUp(id)
	if e != nil && !e.absent && e.snap.SequenceNr >= bound {
		e = nil
	}
	if e == nil {
		c.stats.Misses++
		c.overlaps.mu.Unlock()
		return c.inner.LoadBefore(ctx, id, bound)
	}
	c.countHit(e)
	c.overlaps.mu.Unlock()
	if e.absent {
		return store.Snapshot{}, store.ErrNotFound
	}
	snap := e.snap
	snap.State = bytes.Clone(snap.State)
	return snap, nil
}

// Invalidate drops what the cache knows of the id, also what a load in flight is
// about to put there: for when another process is known to have written. Other
// caches of the stack are not told.
func (c *Cache) Invalidate(persistenceID string) {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.overlaps.taint(persistenceID)
	c.drop(persistenceID)
}

// Purge drops everything, as Invalidate does for one id.
func (c *Cache) Purge() {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.overlaps.taintAll()
	c.entries.Purge()
	c.stats.Bytes = 0
}

// Stats returns what the cache has done so far.
func (c *Cache) Stats() Stats {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	stats := c.stats
	stats.Entries = c.entries.Len()
	return stats
}

// Close implements store.SnapshotStore.
func (c *Cache) Close() error {
	return c.gate.Close(func() error {
		c.Purge() // a closed store that somebody still refers to holds no states
		return c.inner.Close()
	})
}

// Unwrap implements store.Wrapper.
func (c *Cache) Unwrap() store.SnapshotStore { return c.inner }

// lookUp returns the entry of the id, or nil. It needs the lock, as all below do.
func (c *Cache) lookUp(id string) *entry {
	e, ok := c.entries.Get(id)
	if !ok {
		return nil
	}
	if !e.expires.IsZero() && !c.opts.Now().Before(e.expires) {
		c.drop(id)
		return nil
	}
	return e
}

func (c *Cache) countHit(e *entry) {
	if e.absent {
		c.stats.NegativeHits++
	} else {
		c.stats.Hits++
	}
}

// fill keeps what a load found, where that is allowed, and says whether it did.
func (c *Cache) fill(id string, snap store.Snapshot, absent, clean bool) bool {
	if !clean {
		c.stats.StaleFills++
		return false
	}
	ttl := c.opts.TTL
	if absent {
		ttl = c.opts.NegativeTTL
	}
	e := &entry{snap: snap, absent: absent, size: int64(len(id)+cap(snap.State)) + entryOverhead}
	if e.size > c.opts.MaxEntryBytes {
		return false
	}
	if ttl > 0 {
		e.expires = c.opts.Now().Add(ttl - time.Duration(c.opts.Rand()*float64(ttl)/10))
	}
	c.drop(id) // of a load that ran beside this one
	c.entries.Add(id, e)
	c.stats.Bytes += e.size
	for c.stats.Bytes > c.opts.MaxBytes {
		_, oldest, _ := c.entries.RemoveOldest()
		c.stats.Bytes -= oldest.size
		c.stats.Evictions++
	}
	return true
}

// drop removes the entry of the id, if there is one.
func (c *Cache) drop(id string) {
	if e, ok := c.entries.Peek(id); ok {
		c.entries.Remove(id)
		c.stats.Bytes -= e.size
	}
}
