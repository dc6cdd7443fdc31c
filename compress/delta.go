package compress

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"sync/atomic"
	"time"

	"github.com/snapstack/snapstack/store"
)

// DeltaOptions configures a Delta. The zero value is a good default.
type DeltaOptions struct {
	// MinBytes is the size in bytes below which a state is stored whole; 0 means
	// 64 KiB, and a negative number means none.
	MinBytes int

	// MaxShare is the share of the size of a state, above 0 and up to 1, that its
	// difference from the base may take; where it takes more, the state becomes a base.
	// 0 means 0.1. Finding many differences takes time: up to there a Save of 1 to 8 MB of
	// JSON took about as long as one with zstd alone, or less. Where a hundredth changes
	// from each state to the next, more room saves next to nothing: what longer differences
	// take, fewer bases spare.
	MaxShare float64

	// MaxDeltas is how many snapshots in a row are stored as differences from one base,
	// besides the one that it was made for, 1 or more; 0 means 16. The more there are, the
	// more the last ones differ. A Delta with a Writer that goes on from a base after a
	// restart counts anew.
	MaxDeltas int

	// Keep is how many snapshots of an id remain at or below the one just saved; 0
	// keeps all. The inner store must have no Keep of its own, as it knows nothing of
	// bases, and must be able to list where Keep is given.
	Keep int

	// OnPruneError is told why a Save could not obey Keep, or a Save or Delete not remove
	// a base that no snapshot needs any more; the call has succeeded then, and the next one
	// tries again. Nil means nobody is told. It may be called concurrently, and must not
	// write through the Delta, whose turn the call has.
	OnPruneError func(error)

	// CacheBytes bounds the memory for bases of ids that are written or read, in bytes;
	// 0 means 64 MiB. A base takes four thirds of its size. Those in use by calls come on
	// top. A Save of an id whose base had to make room for others loads it.
	CacheBytes int64

	// MaxStateBytes is the greatest size in bytes of a state; 0 means 512 MiB. A Save
	// above it is ErrTooLarge and reaches nothing, and so is a load of one, before any
	// memory is taken for it. States from before the wrapper are not held to it.
	MaxStateBytes int64

	// Writer names who writes: up to 64 letters, digits, and "-", "_" or ".". "" means a
	// name of chance, another one for every Delta.
	//
	// A difference is from a base of the same writer, and only that writer removes its
	// bases, which is why two processes over one inner store can't take each other's
	// away. So a Delta with a name of chance begins each id with a base. One with a name
	// goes on from the base of its last run, which it loads with the first Save of an
	// id. No two Deltas that are open at a time may have the same name: each would remove
	// bases that snapshots of the other need.
	Writer string

	// Now tells the time, for the numbers and the age of bases, up to the year 2248; nil
	// means time.Now.
	Now func() time.Time
}

const (
	defaultDeltaMinBytes = 64 << 10
	defaultMaxShare      = 0.1
	defaultMaxDeltas     = 16
	defaultDeltaCache    = 64 << 20
)

// Check returns an error matching store.ErrInvalid unless NewDelta accepts the options.
func (o DeltaOptions) Check() error {
	switch {
	case math.IsNaN(o.MaxShare) || o.MaxShare < 0 || o.MaxShare > 1:
		return fmt.Errorf("compress: %w MaxShare %v; allowed are 0 (for %v) to 1", store.ErrInvalid, o.MaxShare, defaultMaxShare)
	case o.MaxDeltas < 0:
		return fmt.Errorf("compress: %w MaxDeltas %d; allowed are 0 (for %d) and more", store.ErrInvalid, o.MaxDeltas, defaultMaxDeltas)
	case o.Keep < 0:
		return fmt.Errorf("compress: %w Keep %d; allowed are 0 (all) and more", store.ErrInvalid, o.Keep)
	case o.CacheBytes < 0:
		return fmt.Errorf("compress: %w CacheBytes %d; allowed are 0 (for %d) and more", store.ErrInvalid, o.CacheBytes, defaultDeltaCache)
	case o.MaxStateBytes < 0 || o.MaxStateBytes > math.MaxInt-1024:
		return fmt.Errorf("compress: %w MaxStateBytes %d; allowed are 0 (for %d) to %d", store.ErrInvalid, o.MaxStateBytes, defaultMaxDecodedBytes, math.MaxInt-1024)
	case o.Writer != "" && !isWriter(o.Writer):
		return fmt.Errorf("compress: %w Writer %.80q; allowed are 1 to %d letters, digits, and \"-\", \"_\" or \".\"", store.ErrInvalid, o.Writer, maxWriterBytes)
	}
	return nil
}

func (o DeltaOptions) withDefaults() DeltaOptions {
	if o.MinBytes == 0 {
		o.MinBytes = defaultDeltaMinBytes
	}
	if o.MaxShare == 0 {
		o.MaxShare = defaultMaxShare
	}
	if o.MaxDeltas == 0 {
		o.MaxDeltas = defaultMaxDeltas
	}
	if o.OnPruneError == nil {
		o.OnPruneError = func(error) {}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultDeltaCache
	}
	if o.MaxStateBytes == 0 {
		o.MaxStateBytes = defaultMaxDecodedBytes
	}
	if o.Writer == "" {
		o.Writer = rand.Text()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Delta is the wrapper that stores a large state which changed little as its
// difference from an earlier one. Where it stores what, how it keeps bases for as long as
// they are needed, and its format are in the package doc.
//
// A snapshot is as durable when Save returns as the inner store makes it, with its base.
// A load of a damaged one, or of one whose base is, is store.ErrCorrupt.
//
// Memory is CacheBytes for bases and what is known of ids, and for each call that saves or
// views a state a buffer of about the size of what is stored, or of the state. A Save that
// makes a base also copies the state, for that.
type Delta struct {
	inner   store.SnapshotStore
	opts    DeltaOptions
	named   bool // whether Writer was given, and may have bases of an earlier run
	gate    store.Gate
	heads   *heads
	buffers buffers

	lastBase atomic.Uint64 // number given to a base

	stats deltaCounters
}

var (
	_ store.SnapshotStore = (*Delta)(nil)
	_ store.Wrapper       = (*Delta)(nil)
	_ store.Viewer        = (*Delta)(nil)
	_ store.Lister        = (*Delta)(nil)
	_ store.Keeper        = (*Delta)(nil)
)

// NewDelta returns a Delta over inner, which it closes when it is closed itself.
func NewDelta(inner store.SnapshotStore, opts DeltaOptions) (*Delta, error) {
	d, err := newDelta(inner, opts)
	return d, store.Wrap(store.OpOpen, "", 0, err)
}

func newDelta(inner store.SnapshotStore, opts DeltaOptions) (*Delta, error) {
	if inner == nil {
		return nil, fmt.Errorf("compress: %w inner store: nil", store.ErrInvalid)
	}
	if err := opts.Check(); err != nil {
		return nil, err
	}
	if keeper, ok := store.As[store.Keeper](inner); ok && keeper.Keep() > 0 {
		return nil, fmt.Errorf("compress: %w Keep %d of the store beneath Delta, which would remove bases that snapshots need; allowed is 0, with Keep of DeltaOptions in its stead", store.ErrInvalid, keeper.Keep())
	}
	if _, ok := store.As[store.Lister](inner); !ok && opts.Keep > 0 {
		return nil, fmt.Errorf("compress: %w Keep %d of Delta over a store that can't list; allowed is 0", store.ErrInvalid, opts.Keep)
	}
	d := &Delta{inner: inner, named: opts.Writer != "", opts: opts.withDefaults()}
	d.heads = newHeads(d.opts.CacheBytes, !d.named)
	return d, nil
}

// Save implements store.SnapshotStore. Saves and Deletes of one id take turns.
func (d *Delta) Save(ctx context.Context, snap store.Snapshot) error {
	return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, d.save(ctx, snap))
}

func (d *Delta) save(ctx context.Context, snap store.Snapshot) error {
	if err := d.gate.Enter(ctx); err != nil {
		return err
	}
	defer d.gate.Leave()
	if err := store.CheckSave(snap); err != nil {
		return err
	}
	if err := checkStoredID(snap.PersistenceID); err != nil {
		return err
	}
	if size := int64(len(snap.State)); size > d.opts.MaxStateBytes {
		return fmt.Errorf("compress: %w: %d bytes; allowed by MaxStateBytes are %d", store.ErrTooLarge, size, d.opts.MaxStateBytes)
	}
	h := d.heads.use(snap.PersistenceID)
	defer d.heads.release(h)
	if err := h.take(ctx); err != nil {
		return err
	}
	defer h.give()
	if err := d.write(ctx, h, snap); err != nil {
		return err
	}
	d.prune(ctx, h, snap.SequenceNr)
	return nil
}

// LoadLatest implements store.SnapshotStore. It takes at most two loads of the inner
// store, of the snapshot and of its base where that is not at hand, and begins again where
// both were removed in between.
func (d *Delta) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, err := d.load(ctx, store.OpLoadLatest, persistenceID, func() (store.Snapshot, error) {
		return d.inner.LoadLatest(ctx, storedID(persistenceID))
	})
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
}

// LoadBefore implements store.SnapshotStore.
func (d *Delta) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := d.load(ctx, store.OpLoadBefore, persistenceID, func() (store.Snapshot, error) {
		return d.inner.LoadBefore(ctx, storedID(persistenceID), sequenceNr)
	})
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
}

// ViewLatest implements store.Viewer. The state lent is in a buffer that is used again,
// or the one that the inner store lends where that holds the state whole.
func (d *Delta) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	viewErr, err := d.view(ctx, persistenceID, view)
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	return viewErr
}

// Delete implements store.SnapshotStore. It also removes the bases of this Delta that
// no snapshot needs any more; where that fails the snapshots are gone, and a Delete
// again tries again. Where a snapshot that is left is corrupt, it can't be told which base
// that needs: the bases stay, and OnPruneError is told.
//
// The bases of other writers, which are states that were saved, stay in the inner store
// until their writer or Sweep removes them.
func (d *Delta) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, d.delete(ctx, persistenceID, toSequenceNr))
}

func (d *Delta) delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	if err := d.gate.Enter(ctx); err != nil {
		return err
	}
	defer d.gate.Leave()
	if err := checkStoredID(persistenceID); err != nil {
		return err
	}
	h := d.heads.use(persistenceID)
	defer d.heads.release(h)
	if err := h.take(ctx); err != nil {
		return err
	}
	defer h.give()
	if err := d.inner.Delete(ctx, storedID(persistenceID), toSequenceNr); err != nil {
		return named(err, store.OpDelete, persistenceID)
	}
	maps.DeleteFunc(h.refs, func(number, _ uint64) bool { return number <= toSequenceNr })
	err := d.removeBases(ctx, h, d.maxUnread())
	if undecided(err) {
		// What was to be deleted is, and a Delete again would find the same.
		d.opts.OnPruneError(removalError(store.OpDelete, persistenceID, toSequenceNr, err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("bases that are not needed any more: %w", cause(err))
	}
	return nil
}

// List implements store.Lister: what it yields are snapshots, without the bases. What a
// snapshot takes is told without its base. Where the inner store can't list, it yields an
// error that matches errors.ErrUnsupported.
func (d *Delta) List(ctx context.Context, persistenceID string) iter.Seq2[store.Info, error] {
	if err := d.gate.Enter(ctx); err != nil {
		return store.ListError(persistenceID, err)
	}
	d.gate.Leave() // the loop body may close the store; the inner one sees to its own end
	if persistenceID != "" {
		if err := checkStoredID(persistenceID); err != nil {
			return store.ListError(persistenceID, err)
		}
		return func(yield func(store.Info, error) bool) {
			for info, err := range store.List(ctx, d.inner, storedID(persistenceID)) {
				if err == nil {
					info.PersistenceID = persistenceID
				}
				err = named(err, store.OpList, persistenceID)
				if !yield(info, err) {
					return
				}
			}
		}
	}
	return func(yield func(store.Info, error) bool) {
		for info, err := range store.List(ctx, d.inner, "") {
			if err == nil {
				name, ok := nameOf(info.PersistenceID)
				if !ok || name.writer != "" {
					continue
				}
				info.PersistenceID = name.id
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Close implements store.SnapshotStore.
func (d *Delta) Close() error { return d.gate.Close(d.inner.Close) }

// Unwrap implements store.Wrapper.
func (d *Delta) Unwrap() store.SnapshotStore { return d.inner }

// Keep implements store.Keeper.
func (d *Delta) Keep() int { return d.opts.Keep }

// checkStoredID returns an error unless the id is valid and can be kept.
func checkStoredID(id string) error {
	if err := store.CheckID(id); err != nil {
		return err
	}
	if len(storedID(id)) > store.MaxIDBytes {
		return fmt.Errorf("compress: %w persistence id: %d bytes; allowed are %d where it ends like the id of a base, as this one, which Delta escapes", store.ErrInvalid, len(id), store.MaxIDBytes-len(baseMark)-len(escapedMark))
	}
	return nil
}

// unknownOutcome says whether a failed write may have been done, or be done yet.
func unknownOutcome(err error) bool {
	return !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, store.ErrClosed)
}
