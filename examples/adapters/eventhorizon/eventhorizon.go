// Package eventhorizon puts a stack of Snapstack under github.com/looplab/eventhorizon: it
// adds that library's eh.SnapshotStore to any of its event stores, whose aggregate store
// then finds both in one value.
//
//	snapshots, err := stack.Open(ctx, "cache | zstd | sqlite(path=snapshots.db,keep=3)")
//	both, err := eventhorizon.New(journal, snapshots)
//	aggregates, err := events.NewAggregateStore(both,
//		events.WithSnapshotStrategy(events.NewEveryNumberEventSnapshotStrategy(100)))
//
// # What stands where
//
// The persistence id is the aggregate's UUID, which is all that the library asks for a
// snapshot by: UUIDs must be unique over all types, as in its own stores. The sequence
// number is the snapshot's version. The state is, behind the header of schema versions of
// package store with version 1, a JSON object:
//
//	type   the aggregate's type, from which the library makes the value that state is decoded into
//	time   the snapshot's time, to the nanosecond
//	state  the value, as encoding/json has it
package eventhorizon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	eh "github.com/looplab/eventhorizon"
	"github.com/looplab/eventhorizon/uuid"

	"github.com/snapstack/snapstack/store"
)

// Store is an event store with snapshots. It is safe for concurrent use where the event
// store is.
type Store struct {
	inner     eh.EventStore
	snapshots store.SnapshotStore
	typed     *store.Typed[record]
}

var (
	_ eh.EventStore    = (*Store)(nil)
	_ eh.SnapshotStore = (*Store)(nil)
)

// New returns a Store over an event store and a stack, both of which it closes when it is
// closed itself.
func New(journal eh.EventStore, snapshots store.SnapshotStore) (*Store, error) {
	if journal == nil || snapshots == nil {
		return nil, fmt.Errorf("eventhorizon: %w: the event store or the stack is nil", store.ErrInvalid)
	}
	codec, err := store.Versioned(store.JSON[record](), 1, nil)
	if err != nil {
		return nil, err
	}
	return &Store{inner: journal, snapshots: snapshots, typed: store.NewTyped(snapshots, codec)}, nil
}

// record is what a state holds.
type record struct {
	Type  eh.AggregateType `json:"type"`
	Time  time.Time        `json:"time"`
	State json.RawMessage  `json:"state"`
}

// SaveSnapshot implements eh.SnapshotStore.
func (s *Store) SaveSnapshot(ctx context.Context, id uuid.UUID, snapshot eh.Snapshot) error {
	if err := s.save(ctx, id, snapshot); err != nil {
		return &eh.EventStoreError{Err: err, Op: eh.EventStoreOpSaveSnapshot, AggregateType: snapshot.AggregateType, AggregateID: id, AggregateVersion: snapshot.Version}
	}
	return nil
}

func (s *Store) save(ctx context.Context, id uuid.UUID, snapshot eh.Snapshot) error {
	switch {
	case snapshot.AggregateType == "":
		return fmt.Errorf("eventhorizon: %w snapshot: its aggregate type is empty", store.ErrInvalid)
	case snapshot.State == nil:
		return fmt.Errorf("eventhorizon: %w snapshot: its state is nil", store.ErrInvalid)
	case snapshot.Version < 0:
		return fmt.Errorf("eventhorizon: %w version %d of a snapshot; allowed are 0 and more", store.ErrInvalid, snapshot.Version)
	}
	state, err := json.Marshal(snapshot.State)
	if err != nil {
		return fmt.Errorf("eventhorizon: encode the state: %w", err)
	}
	return s.typed.Save(ctx, id.String(), uint64(snapshot.Version), record{Type: snapshot.AggregateType, Time: snapshot.Timestamp, State: state})
}

// LoadSnapshot implements eh.SnapshotStore: it returns the snapshot of the highest version,
// and nil without an error where there is none, as the library wants it.
func (s *Store) LoadSnapshot(ctx context.Context, id uuid.UUID) (*eh.Snapshot, error) {
	r, version, err := s.typed.LoadLatest(ctx, id.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, &eh.EventStoreError{Err: err, Op: eh.EventStoreOpLoadSnapshot, AggregateID: id}
	}
	failed := func(err error) error {
		return &eh.EventStoreError{Err: err, Op: eh.EventStoreOpLoadSnapshot, AggregateType: r.Type, AggregateID: id, AggregateVersion: int(version)}
	}
	state, err := eh.CreateSnapshotData(id, r.Type)
	if err != nil {
		return nil, failed(err)
	}
	if err := json.Unmarshal(r.State, state); err != nil {
		return nil, failed(fmt.Errorf("eventhorizon: decode the state: %w", err))
	}
	return &eh.Snapshot{Version: int(version), AggregateType: r.Type, Timestamp: r.Time, State: state}, nil
}

// Save implements eh.EventStore.
func (s *Store) Save(ctx context.Context, events []eh.Event, originalVersion int) error {
	return s.inner.Save(ctx, events, originalVersion)
}

// Load implements eh.EventStore.
func (s *Store) Load(ctx context.Context, id uuid.UUID) ([]eh.Event, error) {
	return s.inner.Load(ctx, id)
}

// LoadFrom implements eh.EventStore.
func (s *Store) LoadFrom(ctx context.Context, id uuid.UUID, version int) ([]eh.Event, error) {
	return s.inner.LoadFrom(ctx, id, version)
}

// Close implements eh.EventStore. It closes both, also where one fails.
func (s *Store) Close() error { return errors.Join(s.inner.Close(), s.snapshots.Close()) }
