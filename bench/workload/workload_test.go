package workload_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/bench/ratio"
	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestRunMeasuresAndLeavesNothing(t *testing.T) {
	backend := newMemory(t)
	stays := store.Snapshot{PersistenceID: "order-1", SequenceNr: 5, State: []byte("not of the run")}
	if err := backend.Save(t.Context(), stays); err != nil {
		t.Fatal(err)
	}
	closed := 0
	s := &stub{inner: backend, close: func() error {
		closed++
		for info, err := range backend.List(context.Background(), "") {
			if err != nil || info.PersistenceID != stays.PersistenceID {
				t.Errorf("at Close there is %+v, %v; want only what was there before the run", info, err)
			}
		}
		return backend.Close()
	}}
	counter := storetest.NewCounter(s)
	r := run(t, t.Context(), quick, target("memory", counter))[0]
	wantClean(t, r)
	if closed != 1 {
		t.Errorf("the store was closed %d times", closed)
	}
	if len(r.Layers) != 2 || r.Layers[0].Name != "*workload_test.stub" || r.Layers[1].Name != "memory" {
		t.Fatalf("layers %+v; want the stub and memory", r.Layers)
	}
	for _, layer := range r.Layers {
		if layer.Loads != r.Loads.TotalCount() || layer.Saves != r.Saves.TotalCount() || layer.Hits != nil || layer.Shared != nil {
			t.Errorf("layer %+v; want the %d loads and %d saves that were measured", layer, r.Loads.TotalCount(), r.Saves.TotalCount())
		}
	}
	// The counter was there from the first, so that it knows of every byte saved.
	all := counter.Counts().SavedBytes
	if r.Stored == nil || r.Stored.StoredBytes != all || r.Stored.StateBytes != all {
		t.Errorf("stored %+v; want %d bytes for as many given", r.Stored, all)
	}
}

func TestCacheUse(t *testing.T) {
	backend := storetest.NewCounter(newMemory(t))
	c, err := cache.New(backend, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opts := quick
	opts.IDs = 50 // so that some are first loaded while measuring
	opts.Reads = 0.9
	r := run(t, t.Context(), opts, target("cached", &stub{inner: c}))[0]
	wantClean(t, r)
	if len(r.Layers) != 3 || r.Layers[1].Name != "cache" || r.Layers[2].Name != "memory" {
		t.Fatalf("layers %+v; want a stub, a cache and memory", r.Layers)
	}
	over, under := r.Layers[1], r.Layers[2]
	if over.Loads != r.Loads.TotalCount() || *over.Hits == 0 || under.Loads == 0 || under.Loads > over.Loads-*over.Hits {
		t.Errorf("layers %+v of %d loads; want each of them to be a hit or to go on, unless another one was under way", r.Layers, r.Loads.TotalCount())
	}
	if *over.HeldBytes == 0 || *over.LimitBytes != 64<<20 || under.LoadBytes == 0 || under.SaveBytes != over.SaveBytes {
		t.Errorf("layers %+v; want bytes", r.Layers)
	}
	if all := c.Stats().Hits + c.Stats().Misses; all <= r.Loads.TotalCount() {
		t.Errorf("the cache saw %d loads, all of them measured; want some before and after", all)
	}
}

func TestStoredIsNilWhereNothingLists(t *testing.T) {
	r := run(t, t.Context(), quick, target("opaque", opaque{newMemory(t)}))[0]
	wantClean(t, r)
	if r.Stored != nil {
		t.Errorf("stored %+v; want nothing", r.Stored)
	}
}

// A Delta lists snapshots alone; what is stored is its bases as well.
func TestStoredCountsTheBasesOfADelta(t *testing.T) {
	opts := quick
	opts.States, opts.MinBytes, opts.MaxBytes, opts.Change = nil, 100<<10, 100<<10, 0.01
	opts.Rounds, opts.Duration = 1, time.Second // for some saves and loads of large states, also on a busy machine
	delta := func(inner store.SnapshotStore) store.SnapshotStore {
		d, err := compress.NewDelta(inner, compress.DeltaOptions{Keep: 1})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	route := func(s store.SnapshotStore) store.SnapshotStore {
		r, err := store.NewRoute(map[string]store.SnapshotStore{"": s})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, s := range map[string]store.SnapshotStore{
		"delta":         storetest.NewCounter(delta(newMemory(t))),
		"delta | route": delta(route(newMemory(t))),
		"route | delta": route(delta(newMemory(t))),
	} {
		r := run(t, t.Context(), opts, target(name, s))[0]
		wantClean(t, r)
		if r.Stored == nil || r.Stored.StoredBytes < 5*100<<10 || r.Stored.StoredBytes > 5*r.Stored.StateBytes {
			t.Errorf("%s: stored %+v; want a base for each of 5 states, at least", name, r.Stored)
		}
	}
}

// opaque shows the five methods of a store and nothing else.
type opaque struct{ store.SnapshotStore }

func TestRunDeletesWhatAKilledRunLeft(t *testing.T) {
	backend := newMemory(t)
	for i := range quick.IDs {
		left := store.Snapshot{PersistenceID: fmt.Sprintf("snapstack-bench-1-%d", i), SequenceNr: 1 << 40, State: []byte("left")}
		if err := backend.Save(t.Context(), left); err != nil {
			t.Fatal(err)
		}
	}
	wantClean(t, run(t, t.Context(), quick, target("memory", backend))[0])
}

func TestTargetsMayShareABackend(t *testing.T) {
	backend := newMemory(t)
	t.Cleanup(func() { backend.Close() })
	view := func() store.SnapshotStore { return &stub{inner: backend, close: func() error { return nil }} }
	for _, r := range run(t, t.Context(), quick, target("one", view()), target("two", view())) {
		wantClean(t, r)
	}
}

func TestStoresTakeTurns(t *testing.T) {
	var got []string
	opts := quick
	opts.Progress = func(p workload.Progress) {
		got = append(got, fmt.Sprintf("%d/%d %s %s", p.Step, p.Steps, p.Target, p.Doing))
	}
	run(t, t.Context(), opts, target("A", newMemory(t)), target("B", newMemory(t)))
	want := []string{
		"0/10 A first snapshots", "1/10 B first snapshots",
		"2/10 A warm-up", "3/10 B warm-up",
		"4/10 A round 1 of 2", "5/10 B round 1 of 2",
		"6/10 A round 2 of 2", "7/10 B round 2 of 2",
		"8/10 A last reads", "9/10 B last reads",
		"10/10  ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// In a bubble time passes only where the latency wrapper waits, so everything that
// is measured has one right value.
func TestLatenciesAndRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const load, save = 10 * time.Millisecond, 30 * time.Millisecond
		s := storetest.NewLatency(newMemory(t), storetest.LatencyOptions{Before: func(op, _ string) time.Duration {
			switch op {
			case store.OpLoadLatest:
				return load
			case store.OpSave:
				return save
			default:
				return 0
			}
		}})
		opts := quick
		opts.Duration, opts.Rounds, opts.Concurrency = 6*time.Second, 3, 2
		r := run(t, t.Context(), opts, target("slow", s))[0]
		wantClean(t, r)
		for _, c := range []struct {
			name string
			got  int64
			want time.Duration
		}{
			{"fastest load", r.Loads.Min(), load},
			{"slowest load", r.Loads.Max(), load},
			{"fastest save", r.Saves.Min(), save},
			{"slowest save", r.Saves.Max(), save},
		} {
			if off := math.Abs(float64(c.got)/float64(c.want) - 1); off > 0.001 {
				t.Errorf("%s: %v; want %v to three digits", c.name, time.Duration(c.got), c.want)
			}
		}
		// Both workers are busy all the time, but for the end of a round, where one may
		// wait for the last operation of the other.
		busy := time.Duration(r.Loads.TotalCount())*load + time.Duration(r.Saves.TotalCount())*save
		if r.Elapsed < opts.Duration || r.Elapsed > opts.Duration+3*save || busy > 2*r.Elapsed || busy < 2*r.Elapsed-3*save {
			t.Errorf("%v of operations in %v; want two workers busy for %v", busy, r.Elapsed, opts.Duration)
		}
		if want := float64(r.Loads.TotalCount()+r.Saves.TotalCount()) / r.Elapsed.Seconds(); r.OpsPerSecond() != want {
			t.Errorf("%v operations per second; want %v", r.OpsPerSecond(), want)
		}
	})
}

func TestSeedDecidesTheOperations(t *testing.T) {
	operations := func(seed uint64) []string {
		var ops []string
		synctest.Test(t, func(t *testing.T) {
			s := storetest.NewLatency(newMemory(t), storetest.LatencyOptions{Before: func(op, id string) time.Duration {
				if op == store.OpLoadLatest || op == store.OpSave {
					ops = append(ops, op+" "+id)
				}
				return time.Millisecond
			}})
			opts := quick
			opts.Seed, opts.Concurrency, opts.Duration = seed, 1, 100*time.Millisecond
			wantClean(t, run(t, t.Context(), opts, target("recorded", s))[0])
		})
		return ops
	}
	first, again, other := operations(1), operations(1), operations(2)
	if !slices.Equal(first, again) {
		t.Errorf("the same seed gave\n%v\nand\n%v", first, again)
	}
	if slices.Equal(first, other) {
		t.Errorf("two seeds gave the same operations: %v", first)
	}
}

func TestAFailingStoreDoesNotStopTheOthers(t *testing.T) {
	boom := errors.New("boom")
	failing := func(op string) store.SnapshotStore {
		return storetest.NewFaults(newMemory(t), storetest.FaultOptions{Before: func(at, _ string) error {
			if at == op {
				return boom
			}
			return nil
		}})
	}
	closing := &stub{inner: newMemory(t), close: func() error { return boom }}
	results := run(t, t.Context(), quick,
		workload.Target{Name: "does not open", Open: func(context.Context) (store.SnapshotStore, error) { return nil, boom }},
		workload.Target{Name: "opens nothing", Open: func(context.Context) (store.SnapshotStore, error) { return nil, nil }},
		target("does not save", failing(store.OpSave)),
		target("does not load", failing(store.OpLoadLatest)),
		target("does not close", closing),
		target("works", newMemory(t)),
	)
	for _, i := range []int{0, 2} {
		if r := results[i]; !errors.Is(r.Err, boom) || r.Elapsed != 0 {
			t.Errorf("%s: Err %v, elapsed %v; want %v and nothing measured", r.Name, r.Err, r.Elapsed, boom)
		}
	}
	if r := results[1]; !errors.Is(r.Err, store.ErrInvalid) {
		t.Errorf("%s: Err %v; want ErrInvalid", r.Name, r.Err)
	}
	if r := results[3]; !errors.Is(r.FirstErr, boom) || r.Errors == 0 || r.Loads.TotalCount() != 0 || r.Saves.TotalCount() == 0 {
		t.Errorf("%s: %d errors, the first %v, %d loads, %d saves", r.Name, r.Errors, r.FirstErr, r.Loads.TotalCount(), r.Saves.TotalCount())
	}
	if r := results[4]; !errors.Is(r.EndErr, boom) || r.Errors != 0 {
		t.Errorf("%s: EndErr %v, %d errors; want only EndErr", r.Name, r.EndErr, r.Errors)
	}
	wantClean(t, results[5])
}

func TestEndOfContextKeepsWhatWasMeasured(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	backend := newMemory(t)
	var third atomic.Bool
	closed := false
	s := &stub{inner: backend}
	s.load = func(ctx context.Context, id string) (store.Snapshot, error) {
		if third.Load() {
			cancel() // in the middle of a round: this load fails, and others beside it
		}
		return backend.LoadLatest(ctx, id)
	}
	s.close = func() error {
		closed = true
		for info, err := range backend.List(context.Background(), "") {
			t.Errorf("at Close there is still %+v, %v", info, err)
		}
		return backend.Close()
	}
	opts := quick
	opts.Duration, opts.Rounds = 1000*time.Second, 100_000
	opts.Progress = func(p workload.Progress) {
		if p.Target == "interrupted" && p.Doing == "round 3 of 100000" {
			third.Store(true)
		}
	}
	r := run(t, ctx, opts, target("interrupted", s), target("waiting", newMemory(t)))
	wantClean(t, r[0])
	wantClean(t, r[1])
	if r[0].Stored == nil || !closed {
		t.Errorf("stored %+v, closed %t; want both after the end of ctx", r[0].Stored, closed)
	}
	if r[1].Elapsed > time.Second {
		t.Errorf("the other store was measured for %v", r[1].Elapsed)
	}
}

func TestEndOfContextBeforeMeasuring(t *testing.T) {
	for _, at := range []string{"A first snapshots", "A warm-up"} {
		ctx, cancel := context.WithCancel(t.Context())
		opts := quick
		opts.Progress = func(p workload.Progress) {
			if p.Target+" "+p.Doing == at {
				cancel()
			}
		}
		for _, r := range run(t, ctx, opts, target("A", storetest.NewCounter(newMemory(t))), target("B", storetest.NewCounter(newMemory(t)))) {
			if r.Err != nil || r.EndErr != nil || r.Errors != 0 || r.Stale != 0 || r.Wrong != 0 || r.Elapsed != 0 || r.OpsPerSecond() != 0 {
				t.Errorf("cancelled at %s: %+v; want nothing measured and nothing wrong", at, r)
			}
		}
		cancel()
	}
}

func TestEndedContextOpensNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := run(t, ctx, quick, workload.Target{Name: "x", Open: func(context.Context) (store.SnapshotStore, error) {
		t.Error("opened")
		return nil, errors.New("opened")
	}})[0]
	if r.Err != nil || r.Elapsed != 0 {
		t.Errorf("Err %v, elapsed %v; want neither", r.Err, r.Elapsed)
	}
}

func TestBadOptionsOpenNothing(t *testing.T) {
	for name, opts := range map[string]workload.Options{
		"IDs -1":         {IDs: -1},
		"Reads 1.5":      {Reads: 1.5},
		"Reads NaN":      {Reads: math.NaN()},
		"Duration -1s":   {Duration: -time.Second},
		"Rounds -2":      {Rounds: -2},
		"Concurrency -3": {Concurrency: -3},
	} {
		opts.States = smallStates()
		results, err := workload.Run(t.Context(), []workload.Target{{Name: "x", Open: func(context.Context) (store.SnapshotStore, error) {
			t.Errorf("%s: opened", name)
			return nil, errors.New("opened")
		}}}, opts)
		if results != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(fmt.Sprint(err), name) {
			t.Errorf("%s: %v, error %v; want ErrInvalid that names it", name, results, err)
		}
	}
}

func TestOnlyLoadsOrOnlySaves(t *testing.T) {
	opts := quick
	opts.IDs, opts.Reads = 1, 1
	if r := run(t, t.Context(), opts, target("loads", newMemory(t)))[0]; r.Saves.TotalCount() != 0 || r.Loads.TotalCount() == 0 || r.Wrong+r.Stale+r.Errors != 0 {
		t.Errorf("Reads 1: %d loads, %d saves", r.Loads.TotalCount(), r.Saves.TotalCount())
	}
	opts.Reads = -1
	if r := run(t, t.Context(), opts, target("saves", newMemory(t)))[0]; r.Saves.TotalCount() == 0 || r.Loads.TotalCount() != 0 || r.Wrong+r.Stale+r.Errors != 0 {
		t.Errorf("Reads -1: %d loads, %d saves", r.Loads.TotalCount(), r.Saves.TotalCount())
	}
}

func TestAgainst(t *testing.T) {
	rounds := func(perSecond ...int64) []workload.Round {
		var all []workload.Round
		for _, n := range perSecond {
			all = append(all, workload.Round{Elapsed: 2 * time.Second, Operations: 2 * n})
		}
		return all
	}
	for _, c := range []struct {
		r, other []workload.Round
		want     ratio.Ratio
		ok       bool
	}{
		{rounds(100, 200, 300), rounds(100, 100, 100), ratio.Ratio{Median: 2, Spread: 1}, true},
		{rounds(100, 200, 800, 500), rounds(100, 100, 100, 125), ratio.Ratio{Median: math.Sqrt(8), Spread: math.Sqrt(8) - 1}, true},
		{rounds(100, 200, 300), rounds(50, 100, 150), ratio.Ratio{Median: 2}, true}, // a machine that got faster
		{rounds(100, 200, 300), rounds(0, 100), ratio.Ratio{Median: 2}, true},
		{rounds(100), nil, ratio.Ratio{}, false},
		{nil, rounds(100), ratio.Ratio{}, false},
		{rounds(100), rounds(0), ratio.Ratio{}, false},
	} {
		r, other := workload.Result{Rounds: c.r}, workload.Result{Rounds: c.other}
		got, ok := r.Against(&other)
		if math.Abs(got.Median-c.want.Median) > 1e-9 || math.Abs(got.Spread-c.want.Spread) > 1e-9 || ok != c.ok {
			t.Errorf("%v against %v: %+v, %v; want %+v, %v", c.r, c.other, got, ok, c.want, c.ok)
		}
	}
}
