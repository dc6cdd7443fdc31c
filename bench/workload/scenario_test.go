package workload_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestScenarioNames(t *testing.T) {
	for _, s := range workload.Scenarios() {
		if got, err := workload.ParseScenario(string(s)); got != s || err != nil || s.Meaning() == "" || strings.Contains(s.Meaning(), "\n") {
			t.Errorf("%s: %s, %v, %q", s, got, err, s.Meaning())
		}
	}
	if _, err := workload.ParseScenario("warm"); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), `"warm"; allowed are mixed, hot, recovery`) {
		t.Errorf("an unknown scenario: %v", err)
	}
}

func TestResolveFillsInTheScenario(t *testing.T) {
	o, err := workload.Options{Scenario: workload.Drift, IDs: 5, MaxBytes: 2048}.Resolve()
	if err != nil || o.IDs != 5 || o.Change != 0.01 || o.MinBytes != 2048 || o.MaxBytes != 2048 || o.Rounds != 5 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := (workload.Options{MinBytes: 4096, MaxBytes: 2048}).Resolve(); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("sizes the wrong way round: %v", err)
	}
}

// A store that stalls once in an open loop: all that were due meanwhile waited for it, and
// their latencies say so. In a closed loop nobody would have asked.
func TestOpenLoopSeesAStall(t *testing.T) {
	for _, rate := range []float64{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			var stalled atomic.Bool
			begin := time.Now()
			s := storetest.NewLatency(newMemory(t), storetest.LatencyOptions{Before: func(op, _ string) time.Duration {
				if op == store.OpLoadLatest && time.Since(begin) > 500*time.Millisecond && stalled.CompareAndSwap(false, true) {
					return time.Second
				}
				return time.Millisecond
			}})
			opts := quick
			opts.Concurrency, opts.Reads, opts.Rate, opts.Duration, opts.Rounds, opts.Warmup = 1, 1, rate, 4*time.Second, 1, -1
			r := run(t, t.Context(), opts, target("stalls", s))[0]
			if rate == 0 {
				if p99 := time.Duration(r.Loads.ValueAtPercentile(99)); p99 > 2*time.Millisecond {
					t.Errorf("closed loop: p99 %v; want it not to see the stall", p99)
				}
				return
			}
			if n := r.Loads.TotalCount(); n != 400 {
				t.Errorf("open loop: %d operations; want 100 a second", n)
			}
			// A hundred were due in that second, each of which waited 10 ms less than the one
			// before, and then the backlog was worked off.
			if p90, middle := time.Duration(r.Loads.ValueAtPercentile(90)), time.Duration(r.Loads.ValueAtPercentile(50)); p90 < 500*time.Millisecond || middle > 2*time.Millisecond {
				t.Errorf("open loop: p90 %v, p50 %v; want most of a second and a millisecond", p90, middle)
			}
		})
	}
}

func TestRecoveryLoadsEverythingOnceAndCold(t *testing.T) {
	backend := storetest.NewCounter(newMemory(t))
	c, err := cache.New(backend, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opts := quick
	opts.Scenario, opts.IDs, opts.Concurrency, opts.Reads = workload.Recovery, 30, 7, 0
	r := run(t, t.Context(), opts, target("cached", c))[0]
	if r.Loads.TotalCount() != int64(30*opts.Rounds) || r.Saves.TotalCount() != 0 || r.Errors+r.Stale+r.Wrong != 0 {
		t.Errorf("%d loads and %d saves; want each of 30 entities once in each of %d rounds", r.Loads.TotalCount(), r.Saves.TotalCount(), opts.Rounds)
	}
	if hits := *r.Layers[0].Hits; hits != 0 {
		t.Errorf("%d loads found something in the cache", hits)
	}
}

func TestSteadyWakesAndSaves(t *testing.T) {
	opts := quick
	opts.Scenario, opts.Every, opts.Reads = workload.Steady, 4, 0
	r := run(t, t.Context(), opts, target("memory", newMemory(t)))[0]
	wantClean(t, r)
	// A wake handles 3.5 events on average.
	if share := float64(r.Saves.TotalCount()) / float64(r.Loads.TotalCount()); share < 0.7 || share > 1.05 {
		t.Errorf("%.2f saves for each wake; want 3.5 events to be saved every 4", share)
	}
}

func TestChurnDeletesWhatGoes(t *testing.T) {
	backend := newMemory(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	s := &stub{inner: backend, save: func(ctx context.Context, snap store.Snapshot) error {
		mu.Lock()
		seen[snap.PersistenceID] = true
		mu.Unlock()
		return backend.Save(ctx, snap)
	}, close: func() error {
		for info := range backend.List(context.Background(), "") {
			t.Errorf("at Close there is still %+v", info)
		}
		return backend.Close()
	}}
	opts := quick
	opts.Scenario, opts.Concurrency = workload.Churn, 4
	wantClean(t, run(t, t.Context(), opts, target("memory", s))[0])
	if len(seen) < 2*opts.IDs {
		t.Errorf("%d entities in all; want them to come and go", len(seen))
	}
}

// A cache that is not told of deletes gives what is gone.
func TestChurnSeesWhatIsThereAfterADelete(t *testing.T) {
	backend := newMemory(t)
	opts := quick
	opts.Scenario = workload.Churn
	var keep atomic.Bool
	s := deaf{backend, &keep}
	opts.Progress = func(p workload.Progress) { keep.Store(strings.HasPrefix(p.Doing, "round")) }
	r := run(t, t.Context(), opts, target("deaf", s))[0]
	if r.Stale == 0 || r.FirstBad == nil || !strings.Contains(r.FirstBad.Problem, "everything was deleted") {
		t.Errorf("%d stale reads, the first %v; want those of what was deleted", r.Stale, r.FirstBad)
	}
}

type deaf struct {
	store.SnapshotStore
	keep *atomic.Bool
}

func (d deaf) Delete(ctx context.Context, id string, to uint64) error {
	if d.keep.Load() {
		return nil
	}
	return d.SnapshotStore.Delete(ctx, id, to)
}

func TestDriftChangesAShareOfAState(t *testing.T) {
	var mu sync.Mutex
	saved := map[string][][]byte{}
	backend := newMemory(t)
	s := &stub{inner: backend, save: func(ctx context.Context, snap store.Snapshot) error {
		mu.Lock()
		saved[snap.PersistenceID] = append(saved[snap.PersistenceID], bytes.Clone(snap.State))
		mu.Unlock()
		return backend.Save(ctx, snap)
	}}
	opts := quick
	opts.States, opts.Change, opts.IDs, opts.Concurrency = [][]byte{make([]byte, 64_000), make([]byte, 100)}, 0.02, 4, 1
	wantClean(t, run(t, t.Context(), opts, target("memory", s))[0])
	states := saved["snapstack-bench-1-0"]
	if len(states) < 10 {
		t.Fatalf("%d saves", len(states))
	}
	for i := range states[1:] {
		changed := 0
		for at := 0; at < len(states[i]); at += 64 {
			if !bytes.Equal(states[i][at:at+64], states[i+1][at:at+64]) {
				changed++
			}
		}
		if len(states[i]) != 64_000 || changed < 5 || changed > 40 {
			t.Errorf("from save %d to the next %d of 1000 blocks changed; want about 20", i, changed)
		}
	}
	if len(saved["snapstack-bench-1-1"][0]) != 100 {
		t.Error("another entity has not the other state")
	}
}

func TestAWrongBlockIsSeen(t *testing.T) {
	backend := newMemory(t)
	s := &stub{inner: backend, load: func(ctx context.Context, id string) (store.Snapshot, error) {
		snap, err := backend.LoadLatest(ctx, id)
		if err == nil {
			snap.State[len(snap.State)-1] ^= 1
		}
		return snap, err
	}}
	opts := quick
	opts.Change = 0.1
	if r := run(t, t.Context(), opts, target("flips", s))[0]; r.Wrong == 0 || r.Stale != 0 {
		t.Errorf("%d wrong and %d stale reads; want every read to be wrong", r.Wrong, r.Stale)
	}
}

func TestGenerateFor(t *testing.T) {
	states, err := workload.GenerateFor(workload.Options{Scenario: workload.Large, Seed: 3})
	if err != nil || len(states) < 8 {
		t.Fatalf("%d states, %v", len(states), err)
	}
	total := 0
	for _, state := range states {
		total += len(state)
		if len(state) < 1<<20 || len(state) > 16<<20 {
			t.Errorf("a state of %d bytes; want 1 to 16 MiB", len(state))
		}
	}
	if total > 150<<20 {
		t.Errorf("%d bytes in all", total)
	}
	plain, _ := workload.GenerateFor(workload.Options{MinBytes: 4096, MaxBytes: 4096})
	mixed, _ := workload.GenerateFor(workload.Options{MinBytes: 4096, MaxBytes: 4096, Incompressible: 0.5})
	if slices.EqualFunc(plain, mixed, bytes.Equal) || len(mixed[0]) != 4096 {
		t.Error("nothing is incompressible")
	}
	if _, err := workload.GenerateFor(workload.Options{Incompressible: 2}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a share of 2: %v", err)
	}
}

// In a bubble every operation takes what the latency wrapper waits, so that each stretch
// of the timeline has one right value.
func TestTimelineAndLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewLatency(newMemory(t), storetest.LatencyOptions{Before: func(op, _ string) time.Duration {
			if op == store.OpLoadLatest || op == store.OpSave {
				return 10 * time.Millisecond
			}
			return 0
		}})
		opts := quick
		opts.Duration, opts.Rounds, opts.Concurrency = 4*time.Second, 2, 3
		r := run(t, t.Context(), opts, target("slow", s))[0]
		wantClean(t, r)
		if len(r.Timeline) != 40 {
			t.Fatalf("%d stretches; want 20 of each round", len(r.Timeline))
		}
		for i, bin := range r.Timeline {
			if bin.Round != i/20+1 || bin.Length != 100*time.Millisecond || bin.End != time.Duration(i+1)*100*time.Millisecond || bin.Operations < 27 || bin.Operations > 33 {
				t.Errorf("stretch %d: %+v; want three workers with ten operations each", i, bin)
			}
		}
		if len(r.Layers) != 1 || r.Layers[0].Name != "memory" || r.Layers[0].Loads != r.Loads.TotalCount() || r.Layers[0].SaveBytes == 0 {
			t.Errorf("layers %+v; want memory, without what was put over it to measure", r.Layers)
		}
	})
}

func TestResources(t *testing.T) {
	states := [][]byte{make([]byte, 1<<20)}
	opts := quick
	opts.States, opts.IDs, opts.Duration = states, 20, 100*time.Millisecond
	r := run(t, t.Context(), opts, target("memory", newMemory(t)))[0]
	wantClean(t, r)
	if r.PeakBytes < 20<<20 {
		t.Errorf("the heap grew by %d bytes; want 20 states of 1 MiB and more", r.PeakBytes)
	}
	// Each load copies a state.
	if r.AllocBytes < uint64(r.Loads.TotalCount())<<20 || r.Allocs < uint64(r.Loads.TotalCount()) {
		t.Errorf("%d objects of %d bytes for %d loads of 1 MiB", r.Allocs, r.AllocBytes, r.Loads.TotalCount())
	}
	for _, round := range r.Rounds {
		if round.CPU < 0 || round.CPU > 100*round.Elapsed {
			t.Errorf("round %+v", round)
		}
	}
}
