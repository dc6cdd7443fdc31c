package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// A Codec turns values of T into states and back. It must be safe for concurrent
// use.
type Codec[T any] interface {
	// Encode returns the state of value.
	Encode(value T) ([]byte, error)

	// Decode returns the value of state, which it must not write or keep.
	Decode(state []byte) (T, error)
}

// JSON returns the Codec of encoding/json.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Encode(value T) ([]byte, error) { return json.Marshal(value) }

func (jsonCodec[T]) Decode(state []byte) (T, error) {
	var value T
	err := json.Unmarshal(state, &value)
	return value, err
}

// Typed saves and loads values of T through a store of states. It is safe for
// concurrent use, as the store is, and does not own it.
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
	err = ViewLatest(ctx, t.store, persistenceID, func(snap Snapshot) error {
		decoded, err := t.codec.Decode(snap.State)
		if err != nil {
			return Wrap(OpLoadLatest, persistenceID, snap.SequenceNr, fmt.Errorf("decode the snapshot at %d: %w", snap.SequenceNr, err))
		}
		value, sequenceNr = decoded, snap.SequenceNr
		return nil
	})
	return value, sequenceNr, err
}
