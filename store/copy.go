package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// CopyOptions configures Copy. The zero value is a good default.
type CopyOptions struct {
	// Parallel is how many ids are copied at once; 0 means 16. Each takes a snapshot of
	// memory. A bucket far away is worth more: a copy waits most of its time.
	Parallel int

	// Resume leaves out what dst lists at the same id and sequence number, without
	// reading it: for going on with a copy that ended early. What was saved again in src
	// at such a number since stays as it is in dst. It needs a Lister in dst.
	Resume bool

	// Progress is called after every snapshot, by one goroutine at a time; nil means nobody
	// is told.
	Progress func(CopyProgress)
}

// CopyProgress says how far a Copy has come.
type CopyProgress struct {
	PersistenceID string // of the last snapshot
	Snapshots     int64  // copied so far
	StateBytes    int64  // bytes of their states, as the source's outermost layer gives them
	Present       int64  // left out since dst has them, with Resume

	// Gone is how many were listed, but deleted from the source before they were read, or
	// passed over by a Fallback in it, since they are corrupt.
	Gone int64
}

// Copy saves every snapshot of src in dst, timestamps included, and returns the
// first error, once nothing is under way any more. It needs a Lister in src. What dst
// holds already stays, and is replaced where id and number are the same, so a Copy that
// failed can simply be repeated.
//
// The snapshots of an id are copied one by one, oldest first: dst's own retention then
// keeps the newest, and a reader of dst never sees the latest number fall. What is saved
// in src meanwhile may or may not be copied. A corrupt snapshot in src ends the copy,
// unless src has a Fallback: that passes over it, and tells its OnCorrupt.
func Copy(ctx context.Context, dst, src SnapshotStore, opts CopyOptions) error {
	if opts.Parallel < 0 {
		return Wrap(OpOpen, "", 0, fmt.Errorf("copy: %w Parallel %d; allowed are 0 (for 16) and more", ErrInvalid, opts.Parallel))
	}
	if opts.Parallel == 0 {
		opts.Parallel = 16
	}
	if opts.Progress == nil {
		opts.Progress = func(CopyProgress) {}
	}
	c := &copying{dst: dst, src: src, opts: opts}
	ids, ctx := errgroup.WithContext(ctx)
	ids.SetLimit(opts.Parallel + 1) // and the listing
	ids.Go(func() error { return c.list(ctx, ids) })
	return ids.Wait()
}

// copying is a Copy under way.
type copying struct {
	dst, src SnapshotStore
	opts     CopyOptions

	mu       sync.Mutex
	progress CopyProgress
}

// list lists src, and has each id copied by a goroutine of the group, which waits where
// there are as many as allowed.
func (c *copying) list(ctx context.Context, ids *errgroup.Group) error {
	id := ""
	var numbers []uint64 // of id, newest first
	flush := func() {
		if len(numbers) == 0 {
			return
		}
		id, numbers := id, numbers
		ids.Go(func() error { return c.copyID(ctx, id, numbers) })
	}
	for info, err := range List(ctx, c.src, "") {
		if err != nil {
			return err
		}
		if info.PersistenceID != id {
			flush()
			id, numbers = info.PersistenceID, nil
		}
		numbers = append(numbers, info.SequenceNr)
	}
	flush()
	return nil
}

// copyID copies the snapshots of an id with these numbers, newest first.
func (c *copying) copyID(ctx context.Context, id string, numbers []uint64) error {
	present := make(map[uint64]bool)
	if c.opts.Resume {
		for info, err := range List(ctx, c.dst, id) {
			if err != nil {
				return err
			}
			present[info.SequenceNr] = true
		}
	}
	for _, nr := range slices.Backward(numbers) {
		done := CopyProgress{Present: 1}
		if !present[nr] {
			var err error
			if done, err = c.copyOne(ctx, id, nr); err != nil {
				return err
			}
		}
		c.tell(id, done)
	}
	return nil
}

// copyOne copies a snapshot, and returns what that adds to the progress.
func (c *copying) copyOne(ctx context.Context, id string, nr uint64) (CopyProgress, error) {
	snap, err := c.src.LoadBefore(ctx, id, nr+1)
	if errors.Is(err, ErrNotFound) || err == nil && snap.SequenceNr != nr {
		// Deleted since it was listed, or corrupt beneath a Fallback; the older one that
		// LoadBefore gave, if any, was listed itself.
		return CopyProgress{Gone: 1}, nil
	}
	if err == nil {
		err = c.dst.Save(ctx, snap)
	}
	return CopyProgress{Snapshots: 1, StateBytes: int64(len(snap.State))}, err
}

// tell adds to the progress and reports it.
func (c *copying) tell(id string, done CopyProgress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.PersistenceID = id
	c.progress.Snapshots += done.Snapshots
	c.progress.StateBytes += done.StateBytes
	c.progress.Present += done.Present
	c.progress.Gone += done.Gone
	c.opts.Progress(c.progress)
}
