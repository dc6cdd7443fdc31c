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

	"github.com/snapstack/snapstack/store"
)

const (
	defaultMaxBytes = 64 << 20
	defaultTTL      = 5 * time.Minute
)

// Options configures a Cache. The zero value is a good default.
type Options struct {
	// MaxBytes bounds the entries: for each its id, its state (the memory it takes,
	// which Go rounds up to the next size that it allocates) and 320 bytes of
	// bookkeeping. With S3FIFO it also covers what is remembered of ids lately evicted:
	// 112 bytes each, for at most as many as there are entries. 0 means 64 MiB. States
	// that callers hold are not in it.
	MaxBytes int64

	// MaxEntryBytes bounds one entry, counted likewise. A larger one is served and
	// not kept. 0 means MaxBytes, which also bounds it.
	MaxEntryBytes int64

	// Policy says which entries make room for others; "" means S3FIFO.
	Policy Policy

	// TTL is how long an entry is served, from the beginning of its load on: how
	// stale it can be where another process writes to the same backend. Each entry
	// expires up to an eighth earlier, at random, so that entries filled together are
	// not all loaded again together. 0 means 5 minutes; negative means that entries
	// do not expire.
	TTL time.Duration

	// NegativeTTL is how long the cache remembers that an id has no snapshot, in an
	// entry that takes room and expires like any other; 0 means not at all.
	NegativeTTL time.Duration

	// Now is the clock, called concurrently, and by every hit; nil means that of package
	// time, which hits need not read.
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
	Bytes        int64 // taken now, counted as for MaxBytes
	MaxBytes     int64 // that may be taken
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

	start time.Time // by the clock of the options; expiry is counted from it

	overlaps overlaps // whose lock guards what follows
	entries  *entries
	hand     hand
	stats    Stats // what is counted here; the rest is in entries
}

const (
	// aboveAll is a bound that every snapshot lies below.
	aboveAll = store.MaxSequenceNr + 1

	never = time.Duration(math.MaxInt64) // as the time when an entry expires
)

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
	entries, err := newEntries(opts.Policy, opts.MaxBytes)
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("cache: %w", err))
	}
	c := &Cache{inner: inner, opts: opts, overlaps: newOverlaps(), entries: entries}
	if opts.Now == nil {
		c.start = time.Now()
		c.hand.step = handStep(opts.TTL, opts.NegativeTTL)
	} else {
		c.start = opts.Now()
	}
	return c, nil
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
	if o.Policy == "" {
		o.Policy = S3FIFO
	}
	policy, err := ParsePolicy(string(o.Policy))
	if err != nil {
		return err
	}
	o.Policy = policy
	if o.TTL == 0 {
		o.TTL = defaultTTL
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
	if e := c.lookUp(persistenceID, aboveAll); e != nil {
		return e.copied()
	}
	if err := store.CheckID(persistenceID); err != nil {
		return store.Snapshot{}, err
	}
	begun := c.now()
	load := c.beginLoad(persistenceID)
	defer c.endLoad(load)
	snap, err := c.inner.LoadLatest(ctx, persistenceID)
	switch {
	case err == nil:
		c.fill(load, snap, begun)
	case errors.Is(err, store.ErrNotFound):
		c.fillAbsent(load, begun)
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
	if e := c.lookUp(persistenceID, sequenceNr); e != nil {
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
	e := c.lookUp(persistenceID, aboveAll)
	switch {
	case e == nil:
		return c.viewInner(ctx, persistenceID, view)
	case e.absent:
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, store.ErrNotFound)
	}
	return view(e.snap)
}

// viewInner is ViewLatest after a miss.
func (c *Cache) viewInner(ctx context.Context, id string, view func(store.Snapshot) error) error {
	if err := store.CheckID(id); err != nil {
		return store.Wrap(store.OpLoadLatest, id, 0, err)
	}
	begun := c.now()
	load := c.beginLoad(id)
	defer c.endLoad(load)
	_, shared := c.inner.(*Singleflight)
	var viewErr error // not told to the inner store: it could be taken for an error of that
	err := store.ViewLatest(ctx, c.inner, id, func(snap store.Snapshot) error {
		if shared && len(snap.State) >= minShared {
			c.fillShared(load, snap, begun)
		} else {
			c.fill(load, snap, begun)
		}
		viewErr = view(snap)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		c.fillAbsent(load, begun)
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
	c.entries.drop(persistenceID)
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
	stats.Evictions, stats.Entries, stats.Bytes = c.entries.evictions, c.entries.len(), c.entries.bytes()
	stats.MaxBytes = c.opts.MaxBytes
	return stats
}

// Close implements store.SnapshotStore.
func (c *Cache) Close() error {
	return c.gate.Close(func() error {
		c.purge() // a closed store that somebody still refers to holds no states
		c.stopHand()
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
	c.entries.drop(id)
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
func (c *Cache) lookUp(id string, bound uint64) *entry {
	c.overlaps.mu.Lock()
	e := c.entries.get(id)
	if e != nil && c.hand.passed(e.expires) {
		c.entries.drop(id)
		e = nil
	}
	switch {
	case e == nil || !e.absent && e.snap.SequenceNr >= bound:
		c.stats.Misses++
		e = nil
	case e.absent:
		c.stats.NegativeHits++
	default:
		c.stats.Hits++
	}
	c.overlaps.mu.Unlock()
	// To read a clock takes as long as all of this, so it is done without the lock, and
	// only where there is no hand.
	if e != nil && c.hand.step == 0 && e.expires != never && c.now() >= e.expires {
		c.expire(id, e)
		return nil
	}
	return e
}

// expire drops e, unless the id has another entry by now, and counts the miss that
// was taken for a hit.
func (c *Cache) expire(id string, e *entry) {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	if c.entries.find(id) == e {
		c.entries.drop(id)
	}
	if e.absent {
		c.stats.NegativeHits--
	} else {
		c.stats.Hits--
	}
	c.stats.Misses++
}

// now returns the time since the cache was made. Without a clock of the options it
// reads the monotonic one alone, which is half of what time.Now does.
func (c *Cache) now() time.Duration {
	if c.opts.Now == nil {
		return time.Since(c.start)
	}
	return c.opts.Now().Sub(c.start)
}

// fill keeps a copy of what a load found that began at begun, unless the copy is
// too large or may be stale.
func (c *Cache) fill(load loading, snap store.Snapshot, begun time.Duration) {
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

// minShared is the size in bytes from which on a state that a Singleflight lends is
// kept without a copy. What such a state may be a part of, like the object that it
// stood in, is small beside it; a smaller state costs little to copy.
const minShared = 64 << 10

// fillShared is fill for a snapshot that a Singleflight lends. The bytes of a flight
// that was joined are given to nobody and written by nobody, nor are those of one
// that was not, when its one caller is this cache. So all who wait in a storm have one
// copy of the state between them, and it is the one that the cache keeps.
func (c *Cache) fillShared(load loading, snap store.Snapshot, begun time.Duration) {
	const page = 8 << 10 // what Go rounds large sizes up to
	size := entrySize(load.id, (len(snap.State)+page-1)/page*page)
	if size > c.opts.MaxEntryBytes || !c.claim(load) {
		return
	}
	snap.PersistenceID = strings.Clone(load.id)
	c.put(load, &entry{snap: snap, size: size}, c.opts.TTL, begun)
}

// fillAbsent keeps that a load which began at begun found nothing, where the
// options want that.
func (c *Cache) fillAbsent(load loading, begun time.Duration) {
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

// put adds an entry, unless a write has overlapped the load since its claim.
func (c *Cache) put(load loading, e *entry, ttl, begun time.Duration) {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	if !c.overlaps.clean(load) {
		c.stats.StaleFills++
		return
	}
	if e.size > c.opts.MaxEntryBytes {
		return
	}
	e.expires = never
	if ttl > 0 {
		ttl -= time.Duration(c.opts.Rand() * float64(ttl) / 10)
		if begun <= never-ttl {
			e.expires = begun + ttl - c.hand.step // the hand may be a step behind
			c.watch(e.expires)
		}
	}
	c.entries.add(e)
}

// purge drops every entry, and those that loads in flight are about to put there.
func (c *Cache) purge() {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	c.overlaps.taintAll()
	c.entries.purge()
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
