package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// generated is a store that holds nothing and makes up the state of every id, so
// that what the heap holds is the cache's.
type generated struct {
	store.SnapshotStore
	size func(id string) int
}

func (g *generated) LoadLatest(_ context.Context, id string) (store.Snapshot, error) {
	return store.Snapshot{PersistenceID: id, SequenceNr: 1, State: make([]byte, g.size(id))}, nil
}

// TestHeapStaysWithinTheBudget measures what the entries take, whatever their
// size, while far more than the budget passes through.
func TestHeapStaysWithinTheBudget(t *testing.T) {
	const budget = 12 << 20
	for _, c := range []struct {
		name   string
		sizes  []int // of the states, in turns
		loads  int
		idSize int
	}{
		{"no bytes", []int{0}, 60_000, 10},
		{"tiny", []int{1, 17, 33}, 60_000, 10},
		{"just over a size that Go allocates", []int{1025}, 15_000, 10},
		{"just over the largest of those", []int{32<<10 + 1}, 800, 100},
		{"just over a page", []int{64<<10 + 1}, 600, 100},
		{"many megabytes", []int{1 << 20, 5<<20 - 3, 2<<20 + 1}, 40, 20},
		{"mixed", []int{100, 10_000, 1 << 20, 300, 40_000}, 800, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			turn := 0
			inner := &generated{SnapshotStore: newMemory(t, 0), size: func(string) int {
				turn++
				return c.sizes[turn%len(c.sizes)]
			}}
			before := heap()
			// Through ViewLatest and a Singleflight, so that large states are kept as they
			// come and small ones are copied.
			s, err := cache.New(cache.NewSingleflight(inner), cache.Options{MaxBytes: budget})
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.loads {
				err := s.ViewLatest(t.Context(), fmt.Sprintf("%0*d", c.idSize, i), func(store.Snapshot) error { return nil })
				if err != nil {
					t.Fatal(err)
				}
				if i%(c.loads/5) == 0 {
					if held := heap() - before; held > budget {
						t.Errorf("after %d loads the heap holds %d bytes more than without the cache; allowed are %d", i+1, held, budget)
					}
				}
			}
			held, stats := heap()-before, s.Stats()
			if held > budget || stats.Bytes > budget {
				t.Errorf("the heap holds %d bytes more than without the cache, %d by its own count; allowed are %d", held, stats.Bytes, budget)
			}
			if stats.Evictions == 0 || stats.Bytes < budget/2 {
				t.Errorf("Stats = %+v; want the budget of %d in use", stats, budget)
			}
			t.Logf("%d entries: %d bytes by count, %d on the heap", stats.Entries, stats.Bytes, held)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestStormOfViewsSharesOneCopy counts what a storm of views allocates: the copy that
// the inner store gives, and where the cache can't keep that, its own.
func TestStormOfViewsSharesOneCopy(t *testing.T) {
	const size = 8 << 20
	for _, c := range []struct {
		name   string
		layers []layer
		copies uint64
	}{
		{"Singleflight", []layer{singleflight}, 1},
		{"CacheOverSingleflight", []layer{plainCache, singleflight}, 1},
		{"CacheOverCacheOverSingleflight", []layer{plainCache, plainCache, singleflight}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := over(t, slow(newMemory(t, 0), time.Millisecond), c.layers...)
				saveState(t, s, "order-1", 1, size)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				var wg sync.WaitGroup
				for range 256 {
					wg.Go(func() {
						err := store.ViewLatest(t.Context(), s, "order-1", func(snap store.Snapshot) error {
							if len(snap.State) != size {
								t.Errorf("a view was lent %d bytes; want %d", len(snap.State), size)
							}
							return nil
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; got > c.copies*size+size/2 {
					t.Errorf("256 views of %d bytes allocated %d; want %d copies", size, got, c.copies)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What a cache keeps of a flight is in the hands of nobody who may write it.
func TestNobodyIsGivenWhatTheCacheKeepsOfAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		single := cache.NewSingleflight(slow(newMemory(t, 0), time.Millisecond))
		s := over(t, single, plainCache)
		want := bytes.Repeat([]byte("a"), 100_000)
		saveState(t, s, "order-1", 1, len(want))
		var wg sync.WaitGroup
		spoil := func(from store.SnapshotStore) {
			snap, err := from.LoadLatest(t.Context(), "order-1")
			if err != nil {
				t.Error(err)
			}
			clear(snap.State)
		}
		look := func() {
			err := store.ViewLatest(t.Context(), s, "order-1", func(snap store.Snapshot) error {
				if !bytes.Equal(snap.State, want) {
					t.Error("a view was lent bytes that somebody else has written")
				}
				if cap(snap.State) != len(snap.State) {
					t.Error("a view was lent bytes with room to append")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		wg.Go(func() { spoil(single) }) // begins the flight
		synctest.Wait()
		for range 3 {
			wg.Go(look)
			wg.Go(func() { spoil(single) })
		}
		wg.Wait()
		look()
		spoil(s)
		look()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestViewsCopyNothing(t *testing.T) {
	inner := newMemory(t, 0)
	lentBy := func(s store.SnapshotStore, id string) (state []byte) {
		t.Helper()
		err := store.ViewLatest(t.Context(), s, id, func(snap store.Snapshot) error {
			state = snap.State
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	s, err := cache.New(inner, cache.Options{MaxEntryBytes: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	saveState(t, s, "small", 1, 1025)
	saveState(t, s, "large", 1, 20_000)

	if got := lentBy(s, "large"); &got[0] != &lentBy(inner, "large")[0] {
		t.Error("a view of a state too large to keep was lent a copy of it")
	}
	lentBy(s, "small") // fills
	first, second := lentBy(s, "small"), lentBy(s, "small")
	if &first[0] != &second[0] {
		t.Error("two hits were lent different bytes")
	}
	if &first[0] == &lentBy(inner, "small")[0] {
		t.Error("the cache keeps bytes that the inner store had only lent")
	}
	if cap(first) != len(first) {
		t.Errorf("a view was lent %d bytes with room for %d: append writes there", len(first), cap(first))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestLoadsOfLargeStatesCopyNothing(t *testing.T) {
	given := bytes.Repeat([]byte("a"), 20_000)
	inner := &watchedLoad{SnapshotStore: newMemory(t, 0), state: given}
	s := over(t, inner, cacheWith(cache.Options{MaxEntryBytes: 10_000}))
	snap, err := s.LoadLatest(t.Context(), "order-1")
	if err != nil || &snap.State[0] != &given[0] {
		t.Errorf("LoadLatest of a state too large to keep returned a copy of it, %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// watchedLoad is a store whose LoadLatest gives one and the same state.
type watchedLoad struct {
	store.SnapshotStore
	state []byte
}

func (w *watchedLoad) LoadLatest(_ context.Context, id string) (store.Snapshot, error) {
	return store.Snapshot{PersistenceID: id, State: w.state}, nil
}

// TestEntriesKeepNoForeignMemory: an id that is part of a request must not keep the
// request.
func TestEntriesKeepNoForeignMemory(t *testing.T) {
	request := bytes.Repeat([]byte("order-1 "), 1000)
	id := unsafe.String(&request[0], len("order-1"))
	c, _ := newCounted(t, cache.Options{})
	saveState(t, c, "order-1", 1, 10)
	loadLatest(t, c, id)
	err := c.ViewLatest(t.Context(), "order-1", func(snap store.Snapshot) error {
		if unsafe.StringData(snap.PersistenceID) == &request[0] {
			t.Error("the entry refers to the memory of the id that it was loaded with")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	clear(request) // would change the key of the entry
	before := c.Stats().Hits
	loadLatest(t, c, "order-1")
	if c.Stats().Hits != before+1 {
		t.Error("the entry's key changed with the memory of the id that it was loaded with")
	}
}

func slow(inner store.SnapshotStore, d time.Duration) store.SnapshotStore {
	return storetest.NewLatency(inner, storetest.LatencyOptions{Before: func(op, _ string) time.Duration {
		if op == store.OpLoadLatest {
			return d
		}
		return 0
	}})
}
