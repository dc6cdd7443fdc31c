package compress

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/snapstack/snapstack/store"
)

// errBaseMissing says that the base of a difference is not there.
var errBaseMissing = errors.New("base missing")

// load returns what fetch finds in the inner store, with its state put together.
func (d *Delta) load(ctx context.Context, op, id string, fetch func() (store.Snapshot, error)) (store.Snapshot, error) {
	if err := d.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer d.gate.Leave()
	if err := checkStoredID(id); err != nil {
		return store.Snapshot{}, err
	}
	var missed store.Snapshot // the one whose base was missing
	for {
		snap, err := fetch()
		if err != nil {
			return store.Snapshot{}, named(err, op, id)
		}
		snap.PersistenceID = id
		stored := snap.State
		snap.State, err = d.stateOf(ctx, id, stored)
		if errors.Is(err, errBaseMissing) && !sameRecord(missed, snap.SequenceNr, stored) {
			// Between the two loads the snapshot may have been deleted, or replaced, and its
			// base after it. Then there is another one now.
			missed = store.Snapshot{SequenceNr: snap.SequenceNr, State: stored}
			continue
		}
		if err != nil {
			return store.Snapshot{}, d.loadError(op, snap, err)
		}
		return snap, nil
	}
}

// stateOf returns the state of a record, which may be part of it.
func (d *Delta) stateOf(ctx context.Context, id string, stored []byte) ([]byte, error) {
	if !isRecord(stored) {
		return stored, nil // from before the wrapper
	}
	r, err := d.parse(stored)
	if err != nil {
		return nil, err
	}
	if r.kind == recordWhole {
		return r.content[:len(r.content):len(r.content)], nil
	}
	b, err := d.baseOf(ctx, id, r.base)
	if err != nil {
		return nil, err
	}
	state := make([]byte, r.size)
	if err := r.state(state, b.content); err != nil {
		return nil, err
	}
	return state, nil
}

// parse takes the record of a snapshot apart.
func (d *Delta) parse(stored []byte) (record, error) {
	r, err := parseRecord(stored, d.opts.MaxStateBytes)
	if err == nil && r.kind == recordBase {
		err = corrupt("a base stands where a snapshot should")
	}
	return r, err
}

// view returns the error of view, to be returned as it is, apart from its own.
func (d *Delta) view(ctx context.Context, id string, view func(store.Snapshot) error) (viewErr, err error) {
	if err := d.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer d.gate.Leave()
	if err := checkStoredID(id); err != nil {
		return nil, err
	}
	var missed store.Snapshot // the one whose base was missing
	for {
		late := false // whether the base has to be loaded, which must not happen in a view
		var snap store.Snapshot
		err := store.ViewLatest(ctx, d.inner, storedID(id), func(stored store.Snapshot) error {
			snap = stored
			snap.PersistenceID = id
			if !isRecord(stored.State) {
				viewErr = view(snap)
				return nil
			}
			r, err := d.parse(stored.State)
			if err != nil {
				return d.loadError(store.OpLoadLatest, snap, err)
			}
			if r.kind == recordWhole {
				snap.State = r.content
				viewErr = view(snap)
				return nil
			}
			b := d.baseAtHand(id, r.base)
			if b == nil {
				late = true
				snap.State = bytes.Clone(stored.State)
				return nil
			}
			viewErr, err = d.lend(snap, r, b, view)
			return err
		})
		if err != nil {
			return nil, named(err, store.OpLoadLatest, id)
		}
		if !late {
			return viewErr, nil
		}
		stored := snap.State
		r, err := d.parse(stored)
		if err != nil {
			return nil, d.loadError(store.OpLoadLatest, snap, err)
		}
		b, err := d.baseOf(ctx, id, r.base)
		if errors.Is(err, errBaseMissing) && !sameRecord(missed, snap.SequenceNr, stored) {
			missed = store.Snapshot{SequenceNr: snap.SequenceNr, State: stored} // as in load
			continue
		}
		if err != nil {
			return nil, d.loadError(store.OpLoadLatest, snap, err)
		}
		return d.lend(snap, r, b, view)
	}
}

// lend calls view with the state of a difference.
func (d *Delta) lend(snap store.Snapshot, r record, b *base, view func(store.Snapshot) error) (viewErr, err error) {
	buffer := d.buffers.get(r.size)
	snap.State = (*buffer)[:r.size:r.size]
	if err := r.state(snap.State, b.content); err != nil {
		d.buffers.put(buffer)
		return nil, d.loadError(store.OpLoadLatest, snap, err)
	}
	viewErr = view(snap)
	d.buffers.put(buffer) // after a panic of view it is lost
	return viewErr, nil
}

// baseAtHand returns the base of that name if it is in memory.
func (d *Delta) baseAtHand(id string, name baseName) *base {
	h := d.heads.use(id)
	defer d.heads.release(h)
	b := h.find(name)
	if b != nil {
		d.stats.baseHits.Add(1)
	}
	return b
}

// baseOf returns the base of that name, or errBaseMissing. It is checked against the
// name when it is loaded.
func (d *Delta) baseOf(ctx context.Context, id string, name baseName) (*base, error) {
	if b := d.baseAtHand(id, name); b != nil {
		return b, nil
	}
	d.stats.baseLoads.Add(1)
	stands, ok := baseID(name.writer, id)
	if !ok || name.number > store.MaxSequenceNr {
		return nil, corrupt("difference from a base that can't be")
	}
	snap, err := d.inner.LoadBefore(ctx, stands, name.number+1)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && snap.SequenceNr != name.number:
		return nil, errBaseMissing
	case errors.Is(err, store.ErrCorrupt):
		return nil, corrupt("its base: %v", cause(err))
	case err != nil:
		return nil, fmt.Errorf("its base: %w", cause(err))
	}
	r, err := parseRecord(snap.State, d.opts.MaxStateBytes)
	if err != nil {
		return nil, fmt.Errorf("its base: %w", err)
	}
	if r.kind != recordBase || xxhash.Sum64(r.content) != name.sum {
		return nil, corrupt("its base is another one than it was made from")
	}
	b := &base{name: name, content: r.content}
	h := d.heads.use(id)
	defer d.heads.release(h)
	h.reading.Store(b)
	return b, nil
}

// loadError returns err as that of a load which found snap.
func (d *Delta) loadError(op string, snap store.Snapshot, err error) error {
	if errors.Is(err, errBaseMissing) {
		err = corrupt("%v", err)
	}
	return loadError(op, snap, err)
}

// sameRecord says whether a record is the one that was missed.
func sameRecord(missed store.Snapshot, number uint64, stored []byte) bool {
	return missed.SequenceNr == number && bytes.Equal(missed.State, stored)
}

// named returns an error of the inner store with the id that the application knows.
func named(err error, op, id string) error {
	var e *store.Error
	if errors.As(err, &e) && e.PersistenceID == storedID(id) && e.PersistenceID != id {
		return &store.Error{Op: op, PersistenceID: id, SequenceNr: e.SequenceNr, Err: e.Err}
	}
	return err
}

// cause returns an error of the inner store without the id of a base, which nobody
// knows.
func cause(err error) error {
	var e *store.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
