package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/snapstack/snapstack/store"
)

const (
	defaultMaxBytes = 64 << 20
	defaultTTL      = 5 * time.Minute

	// entryOverhead is what an entry takes at most beside its id and state, in bytes:
	// its struct, its element of the list and its share of the map. Some 250 were
	// measured; how full the map is makes the difference.
	entryOverhead = 320
)

// Options configures a Cache. The zero value is a good default.
type Options struct {
	// MaxBytes bounds the entries: for each its id, its state (the memory it takes,
	// which Go rounds up to the next size that it allocates) and 320 bytes of
	// bookkeeping. 0 means 64 MiB. States that callers hold are not in it.
	MaxBytes int64

	// MaxEntryBytes bounds one entry, counted likewise. A larger one is served and
	// not kept. 0 means MaxBytes, which also bounds it.
	MaxEntryBytes int64

	// TTL is how long an entry is served, from the beginning of its load on: how
	// stale it can be where another process writes to the same backend. Each entry
	// expires up to a tenth earlier, at random, so that entries filled together are
	// not all loaded again together. 0 means 5 minutes; negative means that entries
	// do not expire.
	TTL time.Duration

	// NegativeTTL is how long the cache remembers that an id has no snapshot, in an
	// entry that takes room and expires like any other; 0 means not at all.
	NegativeTTL time.Duration

	// Now is the clock, called concurrently; nil means time.Now.
	Now func() time.Time

	// Rand gives random numbers in [0, 1) for the expiry, and is called by one
	// goroutine at a time; nil means those of math/rand/v2.
	Rand func() float64
}

// Stats is what a Cache has done since it was made.
type Stats struct {
	Hits         int64 // loads answered with a snapshot from the cache
	NegativeHits int64 // loads answered with ErrNotFound from the cache
	Misses       int64 // loads that the cache could not answer
	StaleFills   int64 // loads not kept because a write, Invalidate or Purge overlapped them
	Evictions    int64 // entries dropped to make room
	Entries      int   // now
	Bytes        int64 // of the entries now, counted as for MaxBytes
}

// Cache is a read-through cache of the latest snapshot of each id. Writes pass
// through it and drop the entry of their id; the next load fills it. LoadBefore is
// answered by the cached latest where that lies below the bound, and never fills.
//
// Nothing that the cache does for itself can fail: what the inner store served
// reaches the caller, kept or not.
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
	snap    store.Snapshot // in memory that nothing else refers to
	absent  bool           // the id has no snapshot
	expires time.Time      // zero for never
	size    int64
}

// aboveAll is a bound that every snapshot lies below.
const aboveAll = store.MaxSequenceNr + 1

var (
	_ store.SnapshotStore = (*Cache)(nil)
	_ store.Wrapper       = (*Cache)(nil)
	_ store.Viewer        = (*Cache)(nil)
)

// New returns an empty Cache over inner, which it closes when it is closed itself.
func New(inner store.SnapshotStore, opts Options) (*Cache, error) {
	if err := opts.complete(); err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, err)
	}
	if inner == nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("cache: %w inner store: nil", store.ErrInvalid))
	}
	entries, err := simplelru.NewLRU[string, *entry](math.MaxInt, nil) // bounded in bytes, by put
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
	return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, c.save(ctx, snap))
}

func (c *Cache) save(ctx context.Context, snap store.Snapshot) error {
	if err := c.gate.Enter(ctx); err != nil {
		return err
	}
	defer c.gate.Leave()
	if err := store.CheckSave(snap); err != nil {
		return err
	}
	defer c.endWrite(snap.PersistenceID, c.beginWrite(snap.PersistenceID))
	return c.inner.Save(ctx, snap)
}

// Delete implements store.SnapshotStore.
func (c *Cache) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, c.delete(ctx, persistenceID, toSequenceNr))
}

func (c *Cache) delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	if err := c.gate.Enter(ctx); err != nil {
		return err
	}
	defer c.gate.Leave()
	if err := store.CheckID(persistenceID); err != nil {
		return err
	}
	defer c.endWrite(persistenceID, c.beginWrite(persistenceID))
	return c.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// LoadLatest implements store.SnapshotStore. The State it returns is never the one
// that the cache keeps.
func (c *Cache) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, err := c.loadLatest(ctx, persistenceID)
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
}

func (c *Cache) loadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	if err := c.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer c.gate.Leave()
	now := c.opts.Now()
	if e := c.lookUp(persistenceID, aboveAll, now); e != nil {
		return e.copied()
	}
	if err := store.CheckID(persistenceID); err != nil {
		return store.Snapshot{}, err
	}
	load := c.beginLoad(persistenceID)
	defer c.endLoad(load)
	snap, err := c.inner.LoadLatest(ctx, persistenceID)
	switch {
	case err == nil:
		c.fill(load, snap, now)
	case errors.Is(err, store.ErrNotFound):
		c.fillAbsent(load, now)
	}
	return snap, err
}

// LoadBefore implements store.SnapshotStore.
func (c *Cache) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := c.loadBefore(ctx, persistenceID, sequenceNr)
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
}

func (c *Cache) loadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	if err := c.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer c.gate.Leave()
	if e := c.lookUp(persistenceID, sequenceNr, c.opts.Now()); e != nil {
		return e.copied()
	}
	return c.inner.LoadBefore(ctx, persistenceID, sequenceNr)
}

// ViewLatest implements store.Viewer. A hit lends what the cache keeps, a miss what
// the inner store lends; the cache holds no lock while view runs.
func (c *Cache) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	if err := c.gate.Enter(ctx); err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	defer c.gate.Leave()
	now := c.opts.Now()
	e := c.lookUp(persistenceID, aboveAll, now)
	switch {
	case e == nil:
		return c.viewInner(ctx, persistenceID, now, view)
	case e.absent:
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, store.ErrNotFound)
	}
	return view(e.snap)
}

// viewInner is ViewLatest after a miss at now.
func (c *Cache) viewInner(ctx context.Context, id string, now time.Time, view func(store.Snapshot) error) error {
	if err := store.CheckID(id); err != nil {
		return store.Wrap(store.OpLoadLatest, id, 0, err)
	}
	load := c.beginLoad(id)
	defer c.endLoad(load)
	var viewErr error // not told to the inner store: it could be taken for an error of that
	err := store.ViewLatest(ctx, c.inner, id, func(snap store.Snapshot) error {
		c.fill(load, snap, now)
		viewErr = view(snap)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		c.fillAbsent(load, now)
	}
	if err != nil {
		return store.Wrap(store.OpLoadLatest, id, 0, err)
	}
	return viewErr
}

// Invalidate drops what the cache knows of the id, also what a load in flight is
// about to put there: for when another process is known to have written. A load
// that begins after it finds what is in the backend, so it tells the layers of this
// package beneath, too.
func (c *Cache) Invalidate(persistenceID string) {
	// Inwards first. Else a load that begins between the two steps could fill this
	// cache with what one beneath is about to drop.
	if inner, ok := store.As[invalidator](c.inner); ok {
		inner.Invalidate(persistenceID)
	}
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.overlaps.taint(persistenceID)
	c.drop(persistenceID)
}

// Purge drops everything, as Invalidate does for one id.
func (c *Cache) Purge() {
	if inner, ok := store.As[invalidator](c.inner); ok {
		inner.Purge()
	}
	c.purge()
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
		c.purge() // a closed store that somebody still refers to holds no states
		return c.inner.Close()
	})
}

// Unwrap implements store.Wrapper.
func (c *Cache) Unwrap() store.SnapshotStore { return c.inner }

// An invalidator is a layer that answers a load with what an earlier one found.
type invalidator interface {
	Invalidate(persistenceID string)
	Purge()
}

// beginWrite announces a write of the id. Until endWrite, whatever becomes of the
// write, the id has no entry and can't get one.
func (c *Cache) beginWrite(id string) *overlap {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.drop(id)
	return c.overlaps.beginWrite(id)
}

func (c *Cache) endWrite(id string, at *overlap) {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.overlaps.endWrite(id, at)
}

func (c *Cache) beginLoad(id string) loading {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	return c.overlaps.beginLoad(id)
}

func (c *Cache) endLoad(load loading) {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.overlaps.endLoad(load)
}

// lookUp returns the entry that answers a load of the newest snapshot below the
// bound, or nil, and counts which of the two.
func (c *Cache) lookUp(id string, bound uint64, now time.Time) *entry {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	e, ok := c.entries.Get(id)
	if ok && !e.expires.IsZero() && !now.Before(e.expires) {
		c.drop(id)
		ok = false
	}
	switch {
	case ok && e.absent:
		c.stats.NegativeHits++
	case ok && e.snap.SequenceNr < bound:
		c.stats.Hits++
	default:
		c.stats.Misses++
		return nil
	}
	return e
}

// fill keeps a copy of what a load found that began at begun, unless the copy is
// too large or may be stale.
func (c *Cache) fill(load loading, snap store.Snapshot, begun time.Time) {
	if entrySize(load.id, len(snap.State)) > c.opts.MaxEntryBytes || !c.claim(load) {
		return
	}
	// Copies, since what is passed in may be part of something larger that the
	// entry would keep from being collected. A state of many megabytes is copied
	// without the lock.
	id := strings.Clone(load.id)
	state := bytes.Clone(snap.State)
	size := entrySize(id, cap(state))
	snap.PersistenceID, snap.State = id, slices.Clip(state) // a viewer that appends must not write into what others see
	c.put(load, &entry{snap: snap, size: size}, c.opts.TTL, begun)
}

// fillAbsent keeps that a load which began at begun found nothing, where the
// options want that.
func (c *Cache) fillAbsent(load loading, begun time.Time) {
	if c.opts.NegativeTTL > 0 && c.claim(load) {
		e := &entry{absent: true, size: entrySize(load.id, 0)}
		e.snap.PersistenceID = strings.Clone(load.id)
		c.put(load, e, c.opts.NegativeTTL, begun)
	}
}

// claim says whether the load is the one to fill the cache. Of the many that a
// storm brings in at once only one need copy the state.
func (c *Cache) claim(load loading) bool {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	if !c.overlaps.clean(load) {
		c.stats.StaleFills++
		return false
	}
	return c.overlaps.claim(load)
}

// put adds an entry and evicts what it takes the room of, unless a write has
// overlapped the load since its claim.
func (c *Cache) put(load loading, e *entry, ttl time.Duration, begun time.Time) {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	if !c.overlaps.clean(load) {
		c.stats.StaleFills++
		return
	}
	if e.size > c.opts.MaxEntryBytes {
		return
	}
	if ttl > 0 {
		e.expires = begun.Add(ttl - time.Duration(c.opts.Rand()*float64(ttl)/10))
	}
	c.drop(load.id) // a load may have come and gone between this one's look-up and its beginning
	for c.stats.Bytes+e.size > c.opts.MaxBytes {
		_, oldest, _ := c.entries.RemoveOldest() // there is one: e alone is within MaxBytes
		c.stats.Bytes -= oldest.size
		c.stats.Evictions++
	}
	c.entries.Add(e.snap.PersistenceID, e)
	c.stats.Bytes += e.size
}

// purge drops every entry, and those that loads in flight are about to put there.
func (c *Cache) purge() {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.overlaps.taintAll()
	c.entries.Purge()
	c.stats.Bytes = 0
}

// drop removes the entry of the id, if there is one. It needs the lock.
func (c *Cache) drop(id string) {
	if e, ok := c.entries.Peek(id); ok {
		c.entries.Remove(id)
		c.stats.Bytes -= e.size
	}
}

// copied returns what a load that hit e returns.
func (e *entry) copied() (store.Snapshot, error) {
	if e.absent {
		return store.Snapshot{}, store.ErrNotFound
	}
	snap := e.snap
	snap.State = bytes.Clone(snap.State)
	return snap, nil
}

// entrySize returns what an entry takes, in bytes.
func entrySize(id string, state int) int64 { return int64(len(id)+state) + entryOverhead }
