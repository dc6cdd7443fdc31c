package workload_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// A store of one's own, which lets one call in at a time, beside one of this module.
func ExampleRun() {
	ours := workload.Target{
		Name: "ours",
		Open: func(context.Context) (store.SnapshotStore, error) {
			inner, err := memory.New(memory.Options{Keep: 3})
			return &oneAtATime{inner: inner}, err
		},
	}
	theirs := workload.Target{
		Name: "memory",
		Open: func(context.Context) (store.SnapshotStore, error) { return memory.New(memory.Options{Keep: 3}) },
	}
	results, err := workload.Run(context.Background(), []workload.Target{theirs, ours}, workload.Options{
		Scenario: workload.Hot, MinBytes: 1 << 10, MaxBytes: 64 << 10, Duration: 100 * time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results {
		fmt.Println(r.Name, "was measured:", r.Loads.TotalCount() > 0, "stale:", r.Stale, "wrong:", r.Wrong, "failed:", r.Errors, r.Err, r.EndErr)
	}
	if against, ok := results[1].Against(&results[0]); ok {
		_ = fmt.Sprintf("%.2f times the operations a second, give or take %.0f %%", against.Median, 100*against.Spread)
	}
	// Output:
	// memory was measured: true stale: 0 wrong: 0 failed: 0 <nil> <nil>
	// ours was measured: true stale: 0 wrong: 0 failed: 0 <nil> <nil>
}

// oneAtATime is a store.SnapshotStore that lets one call in at a time.
type oneAtATime struct {
	mu    sync.Mutex
	inner store.SnapshotStore
}

func (s *oneAtATime) Save(ctx context.Context, snap store.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inner.Save(ctx, snap)
}

func (s *oneAtATime) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inner.LoadLatest(ctx, id)
}

func (s *oneAtATime) LoadBefore(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inner.LoadBefore(ctx, id, nr)
}

func (s *oneAtATime) Delete(ctx context.Context, id string, to uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inner.Delete(ctx, id, to)
}

func (s *oneAtATime) Close() error { return s.inner.Close() }
