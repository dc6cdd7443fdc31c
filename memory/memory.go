// Package memory is the backend that keeps snapshots in process memory. It is
// the one to test applications on, and the reference that the other backends
// are tested against.
//
// It promises no durability: what it holds ends with the process. States are
// copied on Save and on load, so neither side can change what the other sees.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/snapstack/snapstack/store"
)

// Options configures a Store. The zero value keeps every snapshot.
type Options struct {
	// Keep is how many snapshots of an id remain at or below the one just saved;
	// 0 keeps all.
	Keep int

	// Now gives the timestamp of snapshots that are saved without one; nil means
	// time.Now.
	Now func() time.Time
}

// Store is a store.SnapshotStore in memory.
type Store struct {
	opts Options
	gate store.Gate

	mu sync.RWMutex

	// ids holds the snapshots of each id by ascending sequence number, and no
	// empty slice. A State in it is never written again, so that readers may copy
	// it after they let go of mu.
	ids map[string][]store.Snapshot
}

// aboveAll is a bound that every snapshot lies below.
const aboveAll = store.MaxSequenceNr + 1

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Keeper        = (*Store)(nil)
	_ store.Viewer        = (*Store)(nil)
)

// New returns an empty Store.
func New(opts Options) (*Store, error) {
	if opts.Keep < 0 {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("memory: %w Keep %d; allowed are 0 (all) and more", store.ErrInvalid, opts.Keep))
	}
	return &Store{opts: opts, ids: make(map[string][]store.Snapshot)}, nil
}

// Save implements store.SnapshotStore.
func (s *Store) Save(ctx context.Context, snap store.Snapshot) error {
	return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, s.save(ctx, snap))
}

func (s *Store) save(ctx context.Context, snap store.Snapshot) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckSave(snap); err != nil {
		return err
	}
	snap.Timestamp = store.SaveTime(snap.Timestamp, s.opts.Now)
	snap.State = bytes.Clone(snap.State)

	s.mu.Lock()
	defer s.mu.Unlock()
	snaps := s.ids[snap.PersistenceID]
	at, found := find(snaps, snap.SequenceNr)
	if found {
		snaps[at] = snap
	} else {
		snaps = slices.Insert(snaps, at, snap)
	}
	if excess := at + 1 - s.opts.Keep; s.opts.Keep > 0 && excess > 0 {
		snaps = slices.Delete(snaps, 0, excess)
	}
	s.ids[snap.PersistenceID] = snaps
	return nil
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, err := s.load(ctx, persistenceID, aboveAll)
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := s.load(ctx, persistenceID, sequenceNr)
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
}

func (s *Store) load(ctx context.Context, persistenceID string, below uint64) (store.Snapshot, error) {
	var snap store.Snapshot
	err := s.view(ctx, persistenceID, below, func(held store.Snapshot) error {
		snap = held
		snap.State = bytes.Clone(held.State)
		return nil
	})
	return snap, err
}

// ViewLatest implements store.Viewer.
func (s *Store) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	var viewErr error
	err := s.view(ctx, persistenceID, aboveAll, func(held store.Snapshot) error {
		viewErr = view(held)
		return nil
	})
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	return viewErr
}

// view calls view with the newest snapshot below the bound and the State that
// the store holds.
func (s *Store) view(ctx context.Context, persistenceID string, below uint64, view func(store.Snapshot) error) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckID(persistenceID); err != nil {
		return err
	}
	s.mu.RLock()
	snaps := s.ids[persistenceID]
	at, _ := find(snaps, below)
	if at == 0 {
		s.mu.RUnlock()
		return store.ErrNotFound
	}
	held := snaps[at-1]
	s.mu.RUnlock()
	return view(held)
}

// Delete implements store.SnapshotStore.
func (s *Store) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, s.delete(ctx, persistenceID, toSequenceNr))
}

func (s *Store) delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckID(persistenceID); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	snaps := s.ids[persistenceID]
	end, found := find(snaps, toSequenceNr)
	if found {
		end++
	}
	switch end {
	case 0: // also for an unknown id, which must not enter the map
	case len(snaps):
		delete(s.ids, persistenceID)
	default:
		s.ids[persistenceID] = slices.Delete(snaps, 0, end)
	}
	return nil
}

// Keep implements store.Keeper.
func (s *Store) Keep() int { return s.opts.Keep }

// List implements store.Lister. The order of ids is random.
func (s *Store) List(ctx context.Context, persistenceID string) iter.Seq2[store.Info, error] {
	if persistenceID != "" {
		if err := store.CheckID(persistenceID); err != nil {
			return store.ListError(persistenceID, err)
		}
	}
	return func(yield func(store.Info, error) bool) {
		ids := []string{persistenceID}
		if persistenceID == "" {
			var err error
			if ids, err = s.allIDs(ctx); err != nil {
				yield(store.Info{}, store.Wrap(store.OpList, "", 0, err))
				return
			}
		}
		for _, id := range ids {
			infos, err := s.infos(ctx, id)
			if err != nil {
				yield(store.Info{}, store.Wrap(store.OpList, persistenceID, 0, err))
				return
			}
			for _, info := range infos {
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// Close implements store.SnapshotStore. It drops every snapshot.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.ids = nil
		return nil
	})
}

func (s *Store) allIDs(ctx context.Context) ([]string, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Keys(s.ids)), nil
}

// infos returns what is stored for the id now, newest first.
func (s *Store) infos(ctx context.Context, id string) ([]store.Info, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	infos := make([]store.Info, 0, len(s.ids[id]))
	for _, snap := range slices.Backward(s.ids[id]) {
		infos = append(infos, store.Info{PersistenceID: id, SequenceNr: snap.SequenceNr, StoredBytes: int64(len(snap.State))})
	}
	return infos, nil
}

// find returns where sequenceNr stands or would stand in snaps.
func find(snaps []store.Snapshot, sequenceNr uint64) (int, bool) {
	return slices.BinarySearchFunc(snaps, sequenceNr, func(snap store.Snapshot, nr uint64) int {
		return cmp.Compare(snap.SequenceNr, nr)
	})
}
