package store

import (
	"context"
	"errors"
	"slices"
)

// CopyOptions configures Copy.
type CopyOptions struct {
	// Resume leaves out what dst lists at the same id and sequence number, without
	// reading it: for going on with a copy that ended early. What was saved again in src
	// at such a number since stays as it is in dst. It needs a Lister in dst.
	Resume bool

	// Progress is called after every snapshot, from the goroutine that called
	// Copy; nil means nobody is told.
	Progress func(CopyProgress)
}

// CopyProgress says how far a Copy has come.
type CopyProgress struct {
	PersistenceID string // the id at hand
	Snapshots     int64  // copied so far
	StateBytes    int64  // bytes of their states, as the source's outermost layer gives them
	Present       int64  // left out since dst has them, with Resume

	// Gone is how many were listed, but deleted from the source before they were read, or
	// passed over by a Fallback in it, since they are corrupt.
	Gone int64
}

// Copy saves every snapshot of src in dst, timestamps included, and returns the
// first error. It needs a Lister in src. What dst holds already stays, and is
// replaced where id and number are the same, so a Copy that failed can simply be
// repeated.
//
// The snapshots of an id are copied oldest first: dst's own retention then keeps
// the newest, and a reader of dst never sees the latest number fall. What is saved
// in src meanwhile may or may not be copied. A corrupt snapshot in src ends the copy,
// unless src has a Fallback: that passes over it, and tells its OnCorrupt.
func Copy(ctx context.Context, dst, src SnapshotStore, opts CopyOptions) error {
	var progress CopyProgress
	var numbers []uint64 // of progress.PersistenceID, newest first
	flush := func() error {
		present := make(map[uint64]bool)
		if opts.Resume && len(numbers) > 0 {
			for info, err := range List(ctx, dst, progress.PersistenceID) {
				if err != nil {
					return err
				}
				present[info.SequenceNr] = true
			}
		}
		for _, nr := range slices.Backward(numbers) {
			if present[nr] {
				progress.Present++
			} else if err := copyOne(ctx, dst, src, nr, &progress); err != nil {
				return err
			}
			if opts.Progress != nil {
				opts.Progress(progress)
			}
		}
		numbers = numbers[:0]
		return nil
	}
	for info, err := range List(ctx, src, "") {
		if err != nil {
			return err
		}
		if info.PersistenceID != progress.PersistenceID {
			if err := flush(); err != nil {
				return err
			}
			progress.PersistenceID = info.PersistenceID
		}
		numbers = append(numbers, info.SequenceNr)
	}
	return flush()
}

// copyOne copies the snapshot nr of progress.PersistenceID.
func copyOne(ctx context.Context, dst, src SnapshotStore, nr uint64, progress *CopyProgress) error {
	snap, err := src.LoadBefore(ctx, progress.PersistenceID, nr+1)
	if errors.Is(err, ErrNotFound) || err == nil && snap.SequenceNr != nr {
		// Deleted since it was listed, or corrupt beneath a Fallback; the older one that
		// LoadBefore gave, if any, was listed itself.
		progress.Gone++
		return nil
	}
	if err != nil {
		return err
	}
	if err := dst.Save(ctx, snap); err != nil {
		return err
	}
	progress.Snapshots++
	progress.StateBytes += int64(len(snap.State))
	return nil
}
