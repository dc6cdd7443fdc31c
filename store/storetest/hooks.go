package storetest

import (
	"context"
	"time"

	"github.com/snapstack/snapstack/store"
)

// FaultOptions says where a Faults wrapper fails. Both functions are called
// concurrently, with one of the store.Op constants and the id of the call.
type FaultOptions struct {
	// Before is asked before the call reaches the inner store. A non-nil error is
	// returned in place of making it. Nil never fails.
	Before func(op, persistenceID string) error

	// After is asked when the inner store has carried the call out. A non-nil
	// error is returned in place of its success: the write took effect, and the
	// caller can't know. Nil never fails.
	After func(op, persistenceID string) error
}

// NewFaults returns a wrapper over inner that injects errors, wrapped in a
// store.Error like those of a store.
func NewFaults(inner store.SnapshotStore, opts FaultOptions) store.SnapshotStore {
	before := func(_ context.Context, op, id string) error {
		if opts.Before == nil {
			return nil
		}
		return opts.Before(op, id)
	}
	after := func(_ context.Context, op, id string) error {
		if opts.After == nil {
			return nil
		}
		return opts.After(op, id)
	}
	return &hooked{inner: inner, before: before, after: after}
}

// LatencyOptions says how long a latency wrapper waits. Both functions are called
// concurrently, with one of the store.Op constants and the id of the call; nil
// means no wait.
type LatencyOptions struct {
	Before func(op, persistenceID string) time.Duration // before the call reaches the inner store
	After  func(op, persistenceID string) time.Duration // after the inner store carried it out
}

// NewLatency returns a wrapper over inner that makes calls slower. A wait ends
// with the context of its call, whose error the call then returns: after a wait
// that came second, although a write took effect.
func NewLatency(inner store.SnapshotStore, opts LatencyOptions) store.SnapshotStore {
	wait := func(duration func(op, id string) time.Duration) hook {
		return func(ctx context.Context, op, id string) error {
			if duration == nil {
				return nil
			}
			d := duration(op, id)
			if d <= 0 {
				return nil
			}
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return &hooked{inner: inner, before: wait(opts.Before), after: wait(opts.After)}
}

// A hook runs around a call of the inner store; its error becomes the call's.
type hook func(ctx context.Context, op, persistenceID string) error

// hooked is the wrapper behind NewFaults and NewLatency. Close has no hooks.
type hooked struct {
	inner         store.SnapshotStore
	before, after hook
}

var (
	_ store.SnapshotStore = (*hooked)(nil)
	_ store.Wrapper       = (*hooked)(nil)
	_ store.Viewer        = (*hooked)(nil)
)

func (h *hooked) Save(ctx context.Context, snap store.Snapshot) error {
	return h.around(ctx, store.OpSave, snap.PersistenceID, snap.SequenceNr, func() error {
		return h.inner.Save(ctx, snap)
	})
}

func (h *hooked) LoadLatest(ctx context.Context, persistenceID string) (snap store.Snapshot, err error) {
	err = h.around(ctx, store.OpLoadLatest, persistenceID, 0, func() error {
		snap, err = h.inner.LoadLatest(ctx, persistenceID)
		return err
	})
	if err != nil {
		return store.Snapshot{}, err
	}
	return snap, nil
}

// ViewLatest lends what LoadLatest returns, so that a fault after the load keeps
// the snapshot from view.
func (h *hooked) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	snap, err := h.LoadLatest(ctx, persistenceID)
	if err != nil {
		return err
	}
	return view(snap)
}

func (h *hooked) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (snap store.Snapshot, err error) {
	err = h.around(ctx, store.OpLoadBefore, persistenceID, sequenceNr, func() error {
		snap, err = h.inner.LoadBefore(ctx, persistenceID, sequenceNr)
		return err
	})
	if err != nil {
		return store.Snapshot{}, err
	}
	return snap, nil
}

func (h *hooked) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return h.around(ctx, store.OpDelete, persistenceID, toSequenceNr, func() error {
		return h.inner.Delete(ctx, persistenceID, toSequenceNr)
	})
}

func (h *hooked) Close() error { return h.inner.Close() }

// Unwrap implements store.Wrapper.
func (h *hooked) Unwrap() store.SnapshotStore { return h.inner }

// around makes call between the hooks.
func (h *hooked) around(ctx context.Context, op, id string, nr uint64, call func() error) error {
	if err := h.before(ctx, op, id); err != nil {
		return store.Wrap(op, id, nr, err)
	}
	if err := call(); err != nil {
		return err
	}
	return store.Wrap(op, id, nr, h.after(ctx, op, id))
}
