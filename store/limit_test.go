package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestLimitConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return newLimit(t, newMemory(t, memory.Options{Keep: c.Keep}), 2)
	})
}

func newLimit(t *testing.T, inner store.SnapshotStore, loads int) *store.Limit {
	t.Helper()
	l, err := store.NewLimit(inner, store.LimitOptions{Loads: loads})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// slowLoads is a memory store whose loads take a second, and notes which are at it.
type slowLoads struct {
	store.SnapshotStore

	mu      sync.Mutex
	now     int
	most    int
	arrived []string
}

func newSlowLoads(t *testing.T) *slowLoads {
	inner := &slowLoads{SnapshotStore: newMemory(t, memory.Options{})}
	for i := range 100 {
		save(t, inner, fmt.Sprintf("order-%d", i), 1, "one")
	}
	return inner
}

func (s *slowLoads) Unwrap() store.SnapshotStore { return s.SnapshotStore }

func (s *slowLoads) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	if err := s.wait(ctx, id); err != nil {
		return store.Snapshot{}, err
	}
	return s.SnapshotStore.LoadLatest(ctx, id)
}

func (s *slowLoads) LoadBefore(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
	if err := s.wait(ctx, id); err != nil {
		return store.Snapshot{}, err
	}
	return s.SnapshotStore.LoadBefore(ctx, id, nr)
}

func (s *slowLoads) wait(ctx context.Context, id string) error {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.arrived = append(s.arrived, id)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}()
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestLimitBoundsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newSlowLoads(t)
		l := newLimit(t, inner, 7)
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 99 {
			id := fmt.Sprintf("order-%d", i)
			wg.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					_, err = l.LoadLatest(t.Context(), id)
				case 1:
					_, err = l.LoadBefore(t.Context(), id, 5)
				case 2:
					err = l.ViewLatest(t.Context(), id, func(store.Snapshot) error { return nil })
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := l.Stats(); got != (store.LimitStats{Loads: 7, Waited: 92, Waiting: 92}) {
			t.Errorf("Stats = %+v; want 7 loads, and 92 that wait", got)
		}
		// Writes and listings do not wait.
		save(t, l, "order-1", 2, "two")
		if err := l.Delete(t.Context(), "order-1", 1); err != nil {
			t.Error(err)
		}
		for _, err := range store.List(t.Context(), l, "order-1") {
			if err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("a write or a listing waited for %v", took)
		}
		wg.Wait()
		if inner.most != 7 {
			t.Errorf("%d loads at once; want 7", inner.most)
		}
		if took := time.Since(begun); took != 15*time.Second {
			t.Errorf("99 loads of a second, 7 at once, took %v; want 15 s", took)
		}
		if got := l.Stats(); got != (store.LimitStats{Loads: 99, Waited: 92}) {
			t.Errorf("Stats = %+v; want 99 loads", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLimitIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newSlowLoads(t)
		l := newLimit(t, inner, 1)
		var wg sync.WaitGroup
		var want []string
		for i := range 20 {
			id := fmt.Sprintf("order-%d", i)
			want = append(want, id)
			wg.Go(func() {
				if _, err := l.LoadLatest(t.Context(), id); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if !slices.Equal(inner.arrived, want) {
			t.Errorf("loads reached the inner store as %q; want %q", inner.arrived, want)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLimitObeysContextsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newSlowLoads(t)
		l := newLimit(t, inner, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := l.LoadLatest(t.Context(), "order-1"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := l.LoadLatest(ctx, "order-2")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Millisecond {
			t.Errorf("LoadLatest that waits: %v after %v; want the end of its context at once", err, time.Since(begun))
		}
		if _, err := l.LoadLatest(t.Context(), ""); !errors.Is(err, store.ErrInvalid) || time.Since(begun) != time.Millisecond {
			t.Errorf("LoadLatest of no id: %v after %v; want ErrInvalid at once", err, time.Since(begun))
		}
		wg.Wait()
		if _, err := l.LoadLatest(t.Context(), "order-3"); err != nil {
			t.Errorf("LoadLatest after one that gave up: %v", err)
		}
		if want := []string{"order-1", "order-3"}; !slices.Equal(inner.arrived, want) {
			t.Errorf("loads of %q reached the inner store; want %q", inner.arrived, want)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A turn must come back from a load that panics.
func TestLimitSurvivesPanics(t *testing.T) {
	l := newLimit(t, newMemory(t, memory.Options{}), 1)
	save(t, l, "order-1", 1, "one")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of a view was lost")
			}
		}()
		_ = l.ViewLatest(t.Context(), "order-1", func(store.Snapshot) error { panic("view") })
	}()
	if _, err := l.LoadLatest(t.Context(), "order-1"); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestLimitOptions(t *testing.T) {
	if _, err := store.NewLimit(nil, store.LimitOptions{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("NewLimit over nil: %v; want ErrInvalid", err)
	}
	if _, err := store.NewLimit(newMemory(t, memory.Options{}), store.LimitOptions{Loads: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("NewLimit with Loads -1: %v; want ErrInvalid", err)
	}
}
