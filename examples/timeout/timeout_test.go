package timeout_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/examples/timeout"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMemory(t *testing.T, keep int) store.SnapshotStore {
	t.Helper()
	s, err := memory.New(memory.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wrap(t *testing.T, inner store.SnapshotStore, opts timeout.Options) *timeout.Store {
	t.Helper()
	s, err := timeout.New(inner, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return wrap(t, newMemory(t, c.Keep), timeout.Options{})
	})
}

// Every operation is ended after the limit, and not before.
func TestSlowCallsAreEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3 * time.Second
		slow := storetest.NewLatency(newMemory(t, 0), storetest.LatencyOptions{Before: func(string, string) time.Duration { return time.Hour }})
		s := wrap(t, slow, timeout.Options{Limit: limit})
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"Save":       func() error { return s.Save(ctx, store.Snapshot{PersistenceID: "order-42"}) },
			"LoadLatest": func() error { _, err := s.LoadLatest(ctx, "order-42"); return err },
			"LoadBefore": func() error { _, err := s.LoadBefore(ctx, "order-42", 1); return err },
			"ViewLatest": func() error { return store.ViewLatest(ctx, s, "order-42", func(store.Snapshot) error { return nil }) },
			"Delete":     func() error { return s.Delete(ctx, "order-42", 1) },
		} {
			begun := time.Now()
			if err := call(); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != limit {
				t.Errorf("%s returned %v after %v; want DeadlineExceeded after %v", name, err, time.Since(begun), limit)
			}
		}
	})
}

func TestViewLatestDoesNotCopy(t *testing.T) {
	backend := newMemory(t, 0)
	s := wrap(t, backend, timeout.Options{})
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-42", State: []byte("state")}); err != nil {
		t.Fatal(err)
	}
	address := func(of store.SnapshotStore) (first *byte) {
		if err := store.ViewLatest(t.Context(), of, "order-42", func(snap store.Snapshot) error {
			first = &snap.State[0]
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return first
	}
	if address(s) != address(backend) {
		t.Error("ViewLatest lent other bytes than the backend does")
	}
}

func TestBadOptions(t *testing.T) {
	if _, err := timeout.New(nil, timeout.Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New of nil: %v; want ErrInvalid", err)
	}
	if _, err := timeout.New(newMemory(t, 0), timeout.Options{Limit: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New with a negative limit: %v; want ErrInvalid", err)
	}
}
