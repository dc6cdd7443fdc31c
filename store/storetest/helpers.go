package storetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/snapstack/snapstack/store"
)

// taken is the timestamp of snapshots whose timestamp does not matter.
var taken = time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)

// openStore opens a store that is closed at the end of the test.
func openStore(t *testing.T, open Open, c Config) store.SnapshotStore {
	t.Helper()
	s := open(t, c)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func snapshot(id string, nr uint64, state string) store.Snapshot {
	return store.Snapshot{PersistenceID: id, SequenceNr: nr, Timestamp: taken, State: []byte(state)}
}

func mustSave(t *testing.T, s store.SnapshotStore, id string, nr uint64, state string) {
	t.Helper()
	if err := s.Save(t.Context(), snapshot(id, nr, state)); err != nil {
		t.Fatalf("Save(%.40q, %d): %v", id, nr, err)
	}
}

func mustDelete(t *testing.T, s store.SnapshotStore, id string, to uint64) {
	t.Helper()
	if err := s.Delete(t.Context(), id, to); err != nil {
		t.Fatalf("Delete(%.40q, %d): %v", id, to, err)
	}
}

// wantLatest checks that LoadLatest and ViewLatest both give the snapshot.
func wantLatest(t *testing.T, s store.SnapshotStore, id string, nr uint64, state string) {
	t.Helper()
	got, err := s.LoadLatest(t.Context(), id)
	if err != nil {
		t.Fatalf("LoadLatest(%.40q): %v; want number %d", id, err, nr)
	}
	wantSnapshot(t, "LoadLatest", got, snapshot(id, nr, state))
	calls := 0
	err = store.ViewLatest(t.Context(), s, id, func(got store.Snapshot) error {
		calls++
		wantSnapshot(t, "ViewLatest", got, snapshot(id, nr, state))
		return nil
	})
	if err != nil || calls != 1 {
		t.Fatalf("ViewLatest(%.40q) called view %d times and returned %v; want 1 call and nil", id, calls, err)
	}
}

// wantBefore checks that LoadBefore gives the snapshot.
func wantBefore(t *testing.T, s store.SnapshotStore, id string, bound, nr uint64, state string) {
	t.Helper()
	got, err := s.LoadBefore(t.Context(), id, bound)
	if err != nil {
		t.Fatalf("LoadBefore(%.40q, %d): %v; want number %d", id, bound, err, nr)
	}
	wantSnapshot(t, "LoadBefore", got, snapshot(id, nr, state))
}

func wantNoLatest(t *testing.T, s store.SnapshotStore, id string) {
	t.Helper()
	got, err := s.LoadLatest(t.Context(), id)
	wantNotFound(t, "LoadLatest", got, err)
	err = store.ViewLatest(t.Context(), s, id, func(got store.Snapshot) error {
		t.Errorf("ViewLatest(%.40q) called view with number %d; want no call", id, got.SequenceNr)
		return nil
	})
	wantNotFound(t, "ViewLatest", store.Snapshot{}, err)
}

func wantNoneBefore(t *testing.T, s store.SnapshotStore, id string, bound uint64) {
	t.Helper()
	got, err := s.LoadBefore(t.Context(), id, bound)
	wantNotFound(t, "LoadBefore", got, err)
}

// wantNumbers checks which numbers of the id are stored, newest first, with
// LoadBefore alone.
func wantNumbers(t *testing.T, s store.SnapshotStore, id string, want ...uint64) {
	t.Helper()
	bound := uint64(math.MaxUint64)
	for _, nr := range want {
		got, err := s.LoadBefore(t.Context(), id, bound)
		if err != nil || got.SequenceNr != nr {
			t.Fatalf("LoadBefore(%.40q, %d) = number %d, %v; want %d of %v", id, bound, got.SequenceNr, err, nr, want)
		}
		bound = nr
	}
	wantNoneBefore(t, s, id, bound)
}

// wantNotFound checks that a load returned ErrNotFound, and nothing with it.
func wantNotFound(t *testing.T, op string, got store.Snapshot, err error) {
	t.Helper()
	wantError(t, op, err, store.ErrNotFound)
	if got.PersistenceID != "" || got.SequenceNr != 0 || !got.Timestamp.IsZero() || got.State != nil {
		t.Errorf("%s returned %+v along with ErrNotFound; want the zero Snapshot", op, got)
	}
}

// sentinels are told apart by every check: an error that matches two of them
// would be taken for whichever a caller looks for first.
var sentinels = []error{store.ErrNotFound, store.ErrInvalid, store.ErrTooLarge, store.ErrCorrupt, store.ErrClosed}

// wantError checks that err is an *Error which matches want and no other sentinel.
func wantError(t *testing.T, op string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got error %v; want one matching %q", op, err, want)
	}
	for _, other := range sentinels {
		if other != want && errors.Is(err, other) {
			t.Errorf("%s: error %q matches %q as well as %q", op, err, other, want)
		}
	}
	var named *store.Error
	if !errors.As(err, &named) {
		t.Errorf("%s: error %q is no *store.Error", op, err)
	}
}

func wantSnapshot(t *testing.T, op string, got, want store.Snapshot) {
	t.Helper()
	if got.PersistenceID != want.PersistenceID || got.SequenceNr != want.SequenceNr {
		t.Fatalf("%s gave number %d of %.40q; want number %d of %.40q", op, got.SequenceNr, got.PersistenceID, want.SequenceNr, want.PersistenceID)
	}
	if !bytes.Equal(got.State, want.State) {
		t.Fatalf("%s of number %d of %.40q gave state %.80q (%d bytes); want %.80q (%d bytes)",
			op, want.SequenceNr, want.PersistenceID, got.State, len(got.State), want.State, len(want.State))
	}
	if !got.Timestamp.Equal(want.Timestamp) || got.Timestamp.Location() != time.UTC {
		t.Fatalf("%s of number %d of %.40q gave timestamp %v; want %v", op, want.SequenceNr, want.PersistenceID, got.Timestamp, want.Timestamp)
	}
}

// An operation is one call of each method, for checks that every method must
// pass alike.
type operation struct {
	name string // as the Op of its errors
	call func(ctx context.Context, s store.SnapshotStore, id string) error
}

// operations returns every method but Close, with the helpers for capabilities.
// List is there only where s can list.
func operations(t *testing.T, s store.SnapshotStore) []operation {
	ops := []operation{
		{store.OpSave, func(ctx context.Context, s store.SnapshotStore, id string) error {
			return s.Save(ctx, snapshot(id, 7, "state"))
		}},
		{store.OpLoadLatest, func(ctx context.Context, s store.SnapshotStore, id string) error {
			_, err := s.LoadLatest(ctx, id)
			return err
		}},
		{store.OpLoadLatest, func(ctx context.Context, s store.SnapshotStore, id string) error {
			return store.ViewLatest(ctx, s, id, func(store.Snapshot) error { return nil })
		}},
		{store.OpLoadBefore, func(ctx context.Context, s store.SnapshotStore, id string) error {
			_, err := s.LoadBefore(ctx, id, 100)
			return err
		}},
		{store.OpDelete, func(ctx context.Context, s store.SnapshotStore, id string) error {
			return s.Delete(ctx, id, 100)
		}},
	}
	if canList(t, s) {
		ops = append(ops, operation{store.OpList, func(ctx context.Context, s store.SnapshotStore, id string) error {
			for _, err := range store.List(ctx, s, id) {
				if err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return ops
}

// canList says whether some layer of s is a Lister.
func canList(t *testing.T, s store.SnapshotStore) bool {
	t.Helper()
	for _, err := range store.List(t.Context(), s, "no-such-id") {
		if errors.Is(err, errors.ErrUnsupported) {
			return false
		}
		if err != nil {
			t.Fatalf("List: %v", err)
		}
	}
	return true
}
