package cache_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	xsingleflight "golang.org/x/sync/singleflight"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// compare times call and its baseline in turns, so that what disturbs the machine
// disturbs both, and reports the medians of the turns and of their ratios.
func compare(b *testing.B, goroutines int, baseline, call func() error) {
	const turn = 20_000 // calls of each goroutine
	var with, without, ratios []float64
	timed := func(call func() error) float64 {
		var wg sync.WaitGroup
		begin := time.Now()
		for range goroutines {
			wg.Go(func() {
				for range turn {
					if err := call(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return float64(time.Since(begin).Nanoseconds()) / float64(turn*goroutines)
	}
	for n := 0; n < b.N || n == 0; n += turn * goroutines {
		with, without = append(with, timed(call)), append(without, timed(baseline))
		ratios = append(ratios, with[len(with)-1]/without[len(without)-1])
	}
	b.ReportMetric(median(with), "ns/op")
	b.ReportMetric(median(without), "baseline-ns/op")
	b.ReportMetric(median(ratios), "ratio")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// benchStore returns a memory store with one snapshot of 4 KB.
func benchStore(b *testing.B) store.SnapshotStore {
	b.Helper()
	s, err := memory.New(memory.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Save(b.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 1, State: make([]byte, 4096)}); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkHit compares a hit with a bare Get of golang-lru for the same key.
func BenchmarkHit(b *testing.B) {
	bare, err := lru.New[string, store.Snapshot](1000)
	if err != nil {
		b.Fatal(err)
	}
	bare.Add("order-1", store.Snapshot{State: make([]byte, 4096)})
	get := func() error {
		if _, ok := bare.Get("order-1"); !ok {
			return store.ErrNotFound
		}
		return nil
	}
	ctx := b.Context()
	view := func(store.Snapshot) error { return nil }
	for _, policy := range []cache.Policy{cache.S3FIFO, cache.LRU} {
		c, err := cache.New(benchStore(b), cache.Options{Policy: policy})
		if err != nil {
			b.Fatal(err)
		}
		for _, goroutines := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/ViewLatest/goroutines=%d", policy, goroutines), func(b *testing.B) {
				compare(b, goroutines, get, func() error { return c.ViewLatest(ctx, "order-1", view) })
			})
		}
		b.Run(fmt.Sprintf("%s/LoadLatest/goroutines=1", policy), func(b *testing.B) {
			// What it does more than ViewLatest is to copy.
			state := make([]byte, 4096)
			var copied []byte
			compare(b, 1,
				func() error { copied = slices.Clone(state); return nil },
				func() error {
					snap, err := c.LoadLatest(ctx, "order-1")
					copied = snap.State
					return err
				})
			runtime.KeepAlive(copied)
		})
	}
}

// BenchmarkFlight measures what a flight that nobody shares adds to a load that takes
// no time, with a context that can't end and with one that can, and what x/sync does
// alone: Do, which knows no contexts, and DoChan with a select on one.
func BenchmarkFlight(b *testing.B) {
	inner := &generated{size: func(string) int { return 0 }}
	single := cache.NewSingleflight(inner)
	for name, ctx := range map[string]context.Context{"endless": context.Background(), "cancellable": b.Context()} {
		load := func(s store.SnapshotStore) func() error {
			return func() error {
				_, err := s.LoadLatest(ctx, "order-1")
				return err
			}
		}
		var group xsingleflight.Group
		flight := func() (any, error) { return inner.LoadLatest(ctx, "order-1") }
		for way, call := range map[string]func() error{
			"Singleflight": load(single),
			"xsync.Do": func() error {
				_, err, _ := group.Do("order-1", flight)
				return err
			},
			"xsync.DoChan": func() error {
				select {
				case result := <-group.DoChan("order-1", flight):
					return result.Err
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		} {
			b.Run(way+"/context="+name, func(b *testing.B) {
				compare(b, 1, load(inner), call)
				allocs := testing.AllocsPerRun(1000, func() {
					if err := call(); err != nil {
						b.Error(err)
					}
				})
				b.ReportMetric(allocs, "allocations/op")
			})
		}
	}
}

// BenchmarkStorm has 256 goroutines view one cold snapshot at once, over a backend
// that takes 5 ms. It reports how much longer the slowest but two of them waited than
// one load of the backend takes, how often that was asked, and for how many states
// memory was allocated, one of them by the backend: medians over the storms.
func BenchmarkStorm(b *testing.B) {
	const callers = 256
	for _, size := range []int{4 << 10, 8 << 20} {
		slow := storetest.NewLatency(&generated{size: func(string) int { return size }}, storetest.LatencyOptions{
			Before: func(string, string) time.Duration { return 5 * time.Millisecond },
		})
		counter := storetest.NewCounter(slow)
		for _, stack := range []string{"Singleflight", "CacheOverSingleflight"} {
			b.Run(fmt.Sprintf("%s/state=%d", stack, size), func(b *testing.B) {
				var extra, states []float64
				var loads int64
				for b.Loop() {
					begin := time.Now()
					if _, err := slow.LoadLatest(b.Context(), "order-1"); err != nil {
						b.Fatal(err)
					}
					alone := time.Since(begin)
					layers := []layer{singleflight}
					if stack == "CacheOverSingleflight" {
						layers = []layer{plainCache, singleflight}
					}
					loadsBefore := counter.Counts().Loads()
					waits, allocated := storm(b, over(b, counter, layers...), callers)
					loads += counter.Counts().Loads() - loadsBefore
					extra = append(extra, (waits[callers-3]-alone).Seconds()*1000)
					states = append(states, float64(allocated)/float64(size))
				}
				b.ReportMetric(median(extra), "p99-over-backend-ms")
				b.ReportMetric(float64(loads)/float64(b.N), "backend-loads/storm")
				b.ReportMetric(median(states), "states-allocated/storm")
			})
		}
	}
}

// storm views the snapshot from many goroutines at once, and returns how long they
// waited, in order, and what was allocated, in bytes.
func storm(b *testing.B, s store.SnapshotStore, callers int) (waits []time.Duration, allocated uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range callers {
		wg.Go(func() {
			<-start
			begin := time.Now()
			err := store.ViewLatest(b.Context(), s, "order-1", func(store.Snapshot) error { return nil })
			waited := time.Since(begin)
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, waited)
			if err != nil {
				b.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	runtime.ReadMemStats(&after)
	slices.Sort(waits)
	return waits, after.TotalAlloc - before.TotalAlloc
}

// BenchmarkMiss is for what stands in the way of a load that misses: beginning,
// claiming, filling and evicting.
func BenchmarkMiss(b *testing.B) {
	inner := benchStore(b)
	c, err := cache.New(inner, cache.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	load := func(s store.SnapshotStore) func() error {
		return func() error {
			c.Invalidate("order-1")
			_, err := s.LoadLatest(ctx, "order-1")
			return err
		}
	}
	compare(b, 1, load(inner), load(c))
}
