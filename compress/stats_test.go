package compress_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestStatsTellWhatBecameOfStates(t *testing.T) {
	inner := mustMemory(t, 0)
	counter := storetest.NewCounter(inner)
	failing := false
	s := mustNew(t, storetest.NewFaults(counter, storetest.FaultOptions{Before: func(op, _ string) error {
		if failing && op == store.OpSave {
			return errors.New("disk full")
		}
		return nil
	}}), compress.Options{})
	random := make([]byte, 3<<20)
	source := rand.NewChaCha8([32]byte{})
	if _, err := source.Read(random); err != nil {
		t.Fatal(err)
	}
	size := 0
	for nr, state := range [][]byte{nil, []byte("small"), bytes.Repeat([]byte("shrinks "), 1000), random[:5000], random, bytes.Repeat([]byte("shrinks "), 300_000)} {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: uint64(nr), State: state}); err != nil {
			t.Fatal(err)
		}
		size += len(state)
	}
	failing = true
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 9, State: random}); err == nil {
		t.Fatal("Save succeeded")
	}
	want := compress.Stats{Saves: 6, Raw: 4, StateBytes: int64(size), StoredBytes: counter.Counts().SavedBytes}
	if got := s.Stats(); got != want {
		t.Errorf("Stats are %+v; want %+v", got, want)
	}

	if err := inner.Save(t.Context(), store.Snapshot{PersistenceID: "before", State: []byte("from before the wrapper")}); err != nil {
		t.Fatal(err)
	}
	for _, load := range []func(string) error{
		func(id string) error { _, err := s.LoadLatest(t.Context(), id); return err },
		func(id string) error { _, err := s.LoadBefore(t.Context(), id, 100); return err },
		func(id string) error {
			return s.ViewLatest(t.Context(), id, func(store.Snapshot) error { return nil })
		},
	} {
		for _, id := range []string{"before", "order-1"} {
			if err := load(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want.Plain = 3; s.Stats() != want {
		t.Errorf("Stats are %+v; want %+v", s.Stats(), want)
	}
}
