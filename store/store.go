package store

import (
	"context"
	"time"
)

// A Snapshot is the state of one entity at one sequence number.
type Snapshot struct {
	// PersistenceID names the entity: 1 to MaxIDBytes bytes of valid UTF-8
	// without NUL. Ids are compared byte by byte; nothing is normalised, folded
	// or split, so "a", "A", "a/b" and ".." are four unrelated entities.
	PersistenceID string

	// SequenceNr orders the snapshots of an entity: 0 to MaxSequenceNr.
	SequenceNr uint64

	// Timestamp is when the snapshot was taken. Stores keep whole milliseconds
	// (the rest is cut off) and give it back in UTC. The zero time on Save means
	// now.
	Timestamp time.Time

	// State is the entity's state, opaque to every store. It may be empty; nil
	// and empty are the same and may come back as either.
	State []byte
}

// A SnapshotStore keeps snapshots. All methods are safe for concurrent use.
//
// Reads see completed writes: a load that starts after a Save or Delete
// returned through the same store value sees it, whatever else is in flight.
//
// Every method obeys ctx: when ctx ends the call returns soon, with an error
// that matches ctx.Err(). A ctx that has ended before the call does nothing.
//
// Bad input (an id or a sequence number outside the ranges given at Snapshot) is
// ErrInvalid before anything is touched. After Close every method returns
// ErrClosed.
type SnapshotStore interface {
	// Save stores snap and replaces what stood at the same id and sequence
	// number. When it returns nil the snapshot is as durable as the backend
	// promises. After an error other than ErrInvalid, ErrTooLarge and ErrClosed
	// the outcome is unknown: the snapshot may or may not be stored, but never
	// half. Save only reads snap.State, and keeps no reference to it after it
	// returns, also when it returns early because ctx ended.
	Save(ctx context.Context, snap Snapshot) error

	// LoadLatest returns the snapshot with the highest sequence number of the
	// id, or ErrNotFound where there is none. The caller owns its State.
	LoadLatest(ctx context.Context, persistenceID string) (Snapshot, error)

	// LoadBefore returns the snapshot with the highest sequence number strictly
	// below sequenceNr, or ErrNotFound where there is none. Any uint64 is a valid
	// bound. The caller owns its State.
	LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (Snapshot, error)

	// Delete removes the snapshots of the id with sequence numbers up to and
	// including toSequenceNr, of which any uint64 is valid. Deleting nothing is no
	// error. After an error other than ErrInvalid and ErrClosed the outcome is
	// unknown: any of them may be gone.
	Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error

	// Close waits for work in flight, closes the store beneath if there is one,
	// and releases what the store holds. It is idempotent: later calls do nothing
	// and return what the first one returned.
	Close() error
}
