// Package hallgren puts a stack of Snapstack under github.com/hallgren/eventsourcing: its
// Store is that library's core.SnapshotStore.
//
//	snapshots, err := stack.Open(ctx, "cache | zstd | sqlite(path=snapshots.db,keep=3)")
//	adapted, err := hallgren.New(snapshots)
//	repository := eventsourcing.NewSnapshotRepository(adapted, events)
//
// # What stands where
//
// The persistence id is the aggregate's type, escaped as a segment of a URL's path, a slash
// and the aggregate's id: "Order/7". The escape has no slash, so that no two pairs of type
// and id meet, and a Route or an ls by prefix can tell kinds of aggregates. The sequence
// number is the aggregate's version. The state is an envelope around the library's:
//
//	the header of schema versions of package store, with version 1
//	uvarint  global version
//	uvarint  n, the bytes in the type
//	n        type
//	uvarint  m, the bytes in the id
//	m        id
//	         the library's state, to the end
package hallgren

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"

	"github.com/hallgren/eventsourcing/core"

	"github.com/snapstack/snapstack/store"
)

// Store is a core.SnapshotStore. It is safe for concurrent use, and does not own the stack.
type Store struct {
	snapshots *store.Typed[core.Snapshot]
}

var _ core.SnapshotStore = (*Store)(nil)

// New returns a Store over a stack, which stays the caller's to close.
func New(snapshots store.SnapshotStore) (*Store, error) {
	if snapshots == nil {
		return nil, fmt.Errorf("hallgren: %w stack: nil", store.ErrInvalid)
	}
	codec, err := store.Versioned[core.Snapshot](envelope{}, 1, nil)
	if err != nil {
		return nil, err
	}
	return &Store{snapshots: store.NewTyped(snapshots, codec)}, nil
}

// Save implements core.SnapshotStore, whose Save knows no context.
func (s *Store) Save(snapshot core.Snapshot) error {
	return s.snapshots.Save(context.Background(), persistenceID(snapshot.Type, snapshot.ID), uint64(snapshot.Version), snapshot)
}

// Get implements core.SnapshotStore. It returns the snapshot of the highest version. Where
// there is none the error matches core.ErrSnapshotNotFound, after which the library replays
// every event; no failure does.
func (s *Store) Get(ctx context.Context, id, aggregateType string) (core.Snapshot, error) {
	snapshot, version, err := s.snapshots.LoadLatest(ctx, persistenceID(aggregateType, id))
	if errors.Is(err, store.ErrNotFound) {
		return core.Snapshot{}, fmt.Errorf("%w: %w", core.ErrSnapshotNotFound, err)
	}
	if err != nil {
		return core.Snapshot{}, err
	}
	if snapshot.ID != id || snapshot.Type != aggregateType {
		return core.Snapshot{}, fmt.Errorf("hallgren: %w: the snapshot of %q, %q is that of %q, %q", store.ErrCorrupt, aggregateType, id, snapshot.Type, snapshot.ID)
	}
	snapshot.Version = core.Version(version)
	return snapshot, nil
}

func persistenceID(aggregateType, id string) string { return url.PathEscape(aggregateType) + "/" + id }

// envelope is the codec of the package's comment. It leaves out the version, which is the
// sequence number.
type envelope struct{}

// Encode implements store.Codec.
func (envelope) Encode(s core.Snapshot) ([]byte, error) {
	encoded := make([]byte, 0, 3*binary.MaxVarintLen64+len(s.Type)+len(s.ID)+len(s.State))
	encoded = binary.AppendUvarint(encoded, uint64(s.GlobalVersion))
	encoded = binary.AppendUvarint(encoded, uint64(len(s.Type)))
	encoded = append(encoded, s.Type...)
	encoded = binary.AppendUvarint(encoded, uint64(len(s.ID)))
	encoded = append(encoded, s.ID...)
	return append(encoded, s.State...), nil
}

// Decode implements store.Codec.
func (envelope) Decode(encoded []byte) (core.Snapshot, error) {
	r := reader{rest: encoded}
	s := core.Snapshot{GlobalVersion: core.Version(r.uvarint())}
	s.Type = string(r.bytes(r.uvarint()))
	s.ID = string(r.bytes(r.uvarint()))
	if r.short {
		return core.Snapshot{}, fmt.Errorf("hallgren: %w: envelope of %d bytes is cut", store.ErrCorrupt, len(encoded))
	}
	s.State = bytes.Clone(r.rest) // what is decoded is only lent
	return s, nil
}

// A reader takes the fields of an envelope, until it is short of bytes.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.short = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.short = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}
