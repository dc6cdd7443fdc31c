package workload_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// A stub is a wrapper whose methods a test replaces; nil ones pass on.
type stub struct {
	inner store.SnapshotStore
	save  func(ctx context.Context, snap store.Snapshot) error
	load  func(ctx context.Context, id string) (store.Snapshot, error)
	close func() error
}

func (s *stub) Save(ctx context.Context, snap store.Snapshot) error {
	if s.save != nil {
		return s.save(ctx, snap)
	}
	return s.inner.Save(ctx, snap)
}

func (s *stub) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	if s.load != nil {
		return s.load(ctx, id)
	}
	return s.inner.LoadLatest(ctx, id)
}

func (s *stub) LoadBefore(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
	return s.inner.LoadBefore(ctx, id, nr)
}

func (s *stub) Delete(ctx context.Context, id string, to uint64) error {
	return s.inner.Delete(ctx, id, to)
}

func (s *stub) Close() error {
	if s.close != nil {
		return s.close()
	}
	return s.inner.Close()
}

func (s *stub) Unwrap() store.SnapshotStore { return s.inner }

func newMemory(t *testing.T) *memory.Store {
	t.Helper()
	s, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// target is a Target that opens s.
func target(name string, s store.SnapshotStore) workload.Target {
	return workload.Target{Name: name, Open: func(context.Context) (store.SnapshotStore, error) { return s, nil }}
}

// run runs the workload and fails the test where the options are refused.
func run(t *testing.T, ctx context.Context, opts workload.Options, targets ...workload.Target) []workload.Result {
	t.Helper()
	results, err := workload.Run(ctx, targets, opts)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(targets) {
		t.Fatalf("%d results for %d targets", len(results), len(targets))
	}
	return results
}

// wantClean checks that a store was measured and nothing was wrong with it.
func wantClean(t *testing.T, r workload.Result) {
	t.Helper()
	if r.Err != nil || r.EndErr != nil || r.Errors != 0 || r.FirstErr != nil {
		t.Errorf("%s: Err %v, EndErr %v, %d operations failed, the first with %v; want none", r.Name, r.Err, r.EndErr, r.Errors, r.FirstErr)
	}
	if r.Stale != 0 || r.Wrong != 0 || r.FirstBad != nil {
		t.Errorf("%s: %d stale and %d wrong reads, the first: %v; want none", r.Name, r.Stale, r.Wrong, r.FirstBad)
	}
	if r.Loads.TotalCount() == 0 || r.Saves.TotalCount() == 0 || r.Elapsed == 0 || r.OpsPerSecond() == 0 {
		t.Errorf("%s: %d loads, %d saves in %v; want some of both", r.Name, r.Loads.TotalCount(), r.Saves.TotalCount(), r.Elapsed)
	}
}

// smallStates are 10 states of different lengths and contents.
func smallStates() [][]byte {
	states := make([][]byte, 10)
	for i := range states {
		states[i] = fmt.Appendf(nil, "state %0*d", i+1, i)
	}
	return states
}

// every returns a function that says true at every nth call.
func every(n int64) func() bool {
	var calls atomic.Int64
	return func() bool { return calls.Add(1)%n == 0 }
}
