package cache_test

import (
	"context"

	"github.com/snapstack/snapstack/store"
)

// hooked runs hooks before and after the effect of each call, whose error becomes
// the call's. Unlike the injectors of storetest it calls after also when a load
// found nothing, which a cache may keep, too.
type hooked struct {
	inner         store.SnapshotStore
	before, after func(ctx context.Context, op string) error
}

func (h *hooked) Save(ctx context.Context, snap store.Snapshot) error {
	return h.around(ctx, store.OpSave, func() error { return h.inner.Save(ctx, snap) })
}

func (h *hooked) LoadLatest(ctx context.Context, id string) (snap store.Snapshot, err error) {
	err = h.around(ctx, store.OpLoadLatest, func() error {
		snap, err = h.inner.LoadLatest(ctx, id)
		return err
	})
	if err != nil {
		return store.Snapshot{}, err
	}
	return snap, nil
}

func (h *hooked) LoadBefore(ctx context.Context, id string, nr uint64) (snap store.Snapshot, err error) {
	err = h.around(ctx, store.OpLoadBefore, func() error {
		snap, err = h.inner.LoadBefore(ctx, id, nr)
		return err
	})
	if err != nil {
		return store.Snapshot{}, err
	}
	return snap, nil
}

func (h *hooked) Delete(ctx context.Context, id string, to uint64) error {
	return h.around(ctx, store.OpDelete, func() error { return h.inner.Delete(ctx, id, to) })
}

func (h *hooked) Close() error { return h.inner.Close() }

func (h *hooked) around(ctx context.Context, op string, call func() error) error {
	if err := h.before(ctx, op); err != nil {
		return err
	}
	err := call()
	if hookErr := h.after(ctx, op); hookErr != nil {
		return hookErr
	}
	return err
}
