package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		s, err := memory.New(memory.Options{Keep: c.Keep})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestNewRefusesNegativeKeep(t *testing.T) {
	if _, err := memory.New(memory.Options{Keep: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New with Keep -1: %v; want ErrInvalid", err)
	}
}

func TestNowIsInjectable(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)
	s, err := memory.New(memory.Options{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.LoadLatest(t.Context(), "order-1")
	if err != nil || !got.Timestamp.Equal(at) {
		t.Errorf("timestamp %v, %v; want %v", got.Timestamp, err, at)
	}
}
