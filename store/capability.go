package store

import (
	"context"
	"errors"
	"iter"
)

// Wrapper is what every wrapper implements beside SnapshotStore.
type Wrapper interface {
	// Unwrap returns the store that the wrapper holds.
	Unwrap() SnapshotStore
}

// As returns the outermost layer of s that is a T, looking at s first and then
// inwards through Unwrap. It is meant for capabilities that observe (Lister,
// statistics) and for finding a concrete layer, such as *cache.Cache. A write or
// a read of states through a layer found further in bypasses the layers outside
// of it.
func As[T any](s SnapshotStore) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, ok := s.(Wrapper)
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	var zero T
	return zero, false
}

// Info describes a stored snapshot without its state.
type Info struct {
	PersistenceID string
	SequenceNr    uint64
	StoredBytes   int64 // what the state takes in the backend: after compression, without the backend's own bookkeeping
}

// Lister is the capability to enumerate snapshots. Backends have it; List
// reaches it through wrappers.
type Lister interface {
	// List yields the snapshots of the id, newest first; an empty id lists those
	// of every id, the snapshots of an id standing together and the ids in the
	// backend's own order. It streams, whatever the number. What is saved or
	// deleted while it runs may or may not be seen; everything else is yielded
	// exactly once. The loop body may call the store. An error is yielded once,
	// last, with a zero Info.
	List(ctx context.Context, persistenceID string) iter.Seq2[Info, error]
}

// List enumerates the snapshots that s holds, as Lister says. Where no layer of s
// is a Lister it yields one error that matches errors.ErrUnsupported.
func List(ctx context.Context, s SnapshotStore, persistenceID string) iter.Seq2[Info, error] {
	if l, ok := As[Lister](s); ok {
		return l.List(ctx, persistenceID)
	}
	return ListError(persistenceID, errors.ErrUnsupported)
}

// ListError returns a listing that yields err alone, for implementers of Lister.
func ListError(persistenceID string, err error) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		yield(Info{}, Wrap(OpList, persistenceID, 0, err))
	}
}

// Keeper is the capability of stores that remove old snapshots by themselves.
type Keeper interface {
	// Keep returns how many snapshots of an id remain at or below one just saved, as
	// the option of that name says; 0 where all do.
	Keep() int
}

// Viewer is the capability to lend the latest state without copying it.
type Viewer interface {
	// ViewLatest calls view once with the latest snapshot of the id, or returns
	// ErrNotFound without calling it. The State is borrowed: it is valid until
	// view returns, must not be written and may be seen by others at the same
	// time. View must not call the store, which may hold a connection or a lock
	// for it. An error of view is returned as it is.
	ViewLatest(ctx context.Context, persistenceID string, view func(Snapshot) error) error
}

// ViewLatest calls view with the latest snapshot of the id, as Viewer says,
// without copying its state where the outermost layer of s can do that, and with
// what LoadLatest returns otherwise. It does not look further in: a Viewer
// beneath a wrapper would bypass the wrapper.
func ViewLatest(ctx context.Context, s SnapshotStore, persistenceID string, view func(Snapshot) error) error {
	if v, ok := s.(Viewer); ok {
		return v.ViewLatest(ctx, persistenceID, view)
	}
	snap, err := s.LoadLatest(ctx, persistenceID)
	if err != nil {
		return err
	}
	return view(snap)
}
