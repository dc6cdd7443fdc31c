package store

import (
	"context"
	"errors"
	"fmt"
)

// Typed saves and loads values of T through a store of states. It is safe for
// concurrent use, as the store is, and does not own it.
//
// Where the stack has a Fallback, a snapshot that can't be decoded is passed over like
// a corrupt one: within its Attempts, and told to its OnCorrupt. One of a schema that
// this program does not know, which matches errors.ErrUnsupported, is not.
type Typed[T any] struct {
	store SnapshotStore
	codec Codec[T]
}

// NewTyped returns a Typed over s.
func NewTyped[T any](s SnapshotStore, codec Codec[T]) *Typed[T] {
	return &Typed[T]{store: s, codec: codec}
}

// Save saves value as the state of the id at sequenceNr, taken now. An error of
// the codec reaches no store.
func (t *Typed[T]) Save(ctx context.Context, persistenceID string, sequenceNr uint64, value T) error {
	state, err := t.codec.Encode(value)
	if err != nil {
		return Wrap(OpSave, persistenceID, sequenceNr, fmt.Errorf("encode: %w", err))
	}
	return t.store.Save(ctx, Snapshot{PersistenceID: persistenceID, SequenceNr: sequenceNr, State: state})
}

// LoadLatest returns the latest value of the id and its sequence number, or
// ErrNotFound. It decodes what ViewLatest lends, without a copy of the state.
func (t *Typed[T]) LoadLatest(ctx context.Context, persistenceID string) (value T, sequenceNr uint64, err error) {
	var undecodable error
	err = ViewLatest(ctx, t.store, persistenceID, func(snap Snapshot) error {
		sequenceNr = snap.SequenceNr
		value, undecodable = t.decode(snap)
		return nil
	})
	if err == nil && undecodable != nil {
		return t.older(ctx, persistenceID, sequenceNr, undecodable)
	}
	return value, sequenceNr, err
}

// older returns the newest value below sequenceNr that can be decoded, where the stack
// has a Fallback and there is one, or newest, which is why that at sequenceNr can't.
func (t *Typed[T]) older(ctx context.Context, persistenceID string, sequenceNr uint64, newest error) (value T, nr uint64, err error) {
	fallback := fallbackOf(t.store, persistenceID)
	if fallback == nil {
		return value, 0, newest
	}
	undecodable := newest
	for attempt := 1; ; attempt++ {
		if errors.Is(undecodable, errors.ErrUnsupported) {
			return value, 0, undecodable
		}
		fallback.passOver(persistenceID, sequenceNr, undecodable)
		if attempt >= fallback.opts.Attempts {
			return value, 0, newest
		}
		snap, err := t.store.LoadBefore(ctx, persistenceID, sequenceNr)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt):
			return value, 0, newest // there was a snapshot: "none" would be wrong
		case err != nil:
			return value, 0, err
		}
		sequenceNr = snap.SequenceNr
		decoded, err := t.decode(snap)
		if err == nil {
			return decoded, sequenceNr, nil
		}
		undecodable = err
	}
}

// fallbackOf returns the outermost Fallback on the way to the snapshots of the id, or nil.
// As would not look into a Route, which has a way for each id.
func fallbackOf(s SnapshotStore, persistenceID string) *Fallback {
	for {
		switch layer := s.(type) {
		case *Fallback:
			return layer
		case *Route:
			routed, err := layer.route(persistenceID)
			if err != nil {
				return nil // the load has said so
			}
			s = routed
		case Wrapper:
			s = layer.Unwrap()
		default:
			return nil
		}
	}
}

func (t *Typed[T]) decode(snap Snapshot) (T, error) {
	value, err := t.codec.Decode(snap.State)
	if err != nil {
		var none T
		return none, Wrap(OpLoadLatest, snap.PersistenceID, snap.SequenceNr, fmt.Errorf("decode the snapshot at %d: %w", snap.SequenceNr, err))
	}
	return value, nil
}
