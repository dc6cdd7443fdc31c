package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/snapstack/snapstack/store"
)

func concurrentUse(t *testing.T, open Open) {
	s := openStore(t, open, Config{Keep: 0})
	const rounds = 40
	var wg sync.WaitGroup

	// Entities with one writer each: it sees its own writes, whatever the others do.
	for g := range 4 {
		wg.Go(func() {
			id := fmt.Sprintf("own-%d", g)
			for nr := range uint64(rounds) {
				state := fmt.Sprintf("%s at %d", id, nr)
				mustSaveConcurrently(t, s, snapshot(id, nr, state))
				got, err := s.LoadLatest(t.Context(), id)
				if err != nil || got.SequenceNr != nr || string(got.State) != state {
					t.Errorf("LoadLatest after Save(%s, %d) gave number %d, %q, %v", id, nr, got.SequenceNr, got.State, err)
				}
				if nr%8 == 7 {
					if err := s.Delete(t.Context(), id, nr); err != nil {
						t.Errorf("Delete: %v", err)
					}
					if got, err := s.LoadLatest(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
						t.Errorf("LoadLatest after Delete(%s, %d) gave number %d, %v", id, nr, got.SequenceNr, err)
					}
				}
			}
		})
	}

	// One entity that one writes and all read: what a load gives is no older than
	// the Save that had returned when it began, and whole.
	var acknowledged atomic.Uint64
	state := func(nr uint64) []byte { return bytes.Repeat([]byte{byte(nr)}, 4096) }
	mustSaveConcurrently(t, s, store.Snapshot{PersistenceID: "shared", SequenceNr: 0, State: state(0)})
	wg.Go(func() {
		for nr := uint64(1); nr <= 2*rounds; nr++ {
			mustSaveConcurrently(t, s, store.Snapshot{PersistenceID: "shared", SequenceNr: nr, State: state(nr)})
			acknowledged.Store(nr)
		}
	})
	for range 4 {
		wg.Go(func() {
			for acknowledged.Load() < 2*rounds && !t.Failed() {
				floor := acknowledged.Load()
				got, err := s.LoadLatest(t.Context(), "shared")
				if err != nil || got.SequenceNr < floor || !bytes.Equal(got.State, state(got.SequenceNr)) {
					t.Errorf("LoadLatest begun after Save(%d) returned gave number %d with %d bytes, %v", floor, got.SequenceNr, len(got.State), err)
				}
				clear(got.State)
				floor = acknowledged.Load()
				err = store.ViewLatest(t.Context(), s, "shared", func(got store.Snapshot) error {
					if got.SequenceNr < floor || !bytes.Equal(got.State, state(got.SequenceNr)) {
						t.Errorf("ViewLatest begun after Save(%d) returned gave number %d with %d bytes", floor, got.SequenceNr, len(got.State))
					}
					return nil
				})
				if err != nil {
					t.Errorf("ViewLatest: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
