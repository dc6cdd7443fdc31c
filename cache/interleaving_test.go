package cache_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xsingleflight "golang.org/x/sync/singleflight"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// A stage is an inner store whose calls stop where an interleaving needs them to.
type stage struct {
	store.SnapshotStore
	mu    sync.Mutex
	stops map[string]chan struct{} // op: its next call stops after it took effect
	fails map[string]error         // op: its next call fails after it took effect
}

func newStage(t *testing.T) *stage {
	st := &stage{stops: map[string]chan struct{}{}, fails: map[string]error{}}
	st.SnapshotStore = storetest.NewFaults(newMemory(t, 0), storetest.FaultOptions{After: func(op, _ string) error {
		st.mu.Lock()
		stop, err := st.stops[op], st.fails[op]
		delete(st.stops, op)
		delete(st.fails, op)
		st.mu.Unlock()
		if stop != nil {
			<-stop
		}
		return err
	}})
	return st
}

// stop makes the next call of op stop after it took effect, until the channel that
// it returns is closed.
func (st *stage) stop(op string) chan struct{} {
	stop := make(chan struct{})
	st.stops[op] = stop
	return stop
}

// An interleaving plays calls in one order on s, which stands over st, and returns
// the number that a load gave and the one it must give; 0 stands for ErrNotFound.
type interleaving func(t *testing.T, s store.SnapshotStore, st *stage) (got, want uint64)

var interleavings = map[string]struct {
	play interleaving

	// The naive implementations that it exposes.
	cache, singleflight bool
}{
	"a load overtaken by a Save does not fill the cache": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		release := st.stop(store.OpLoadLatest)
		a := loadInBackground(t, s) // has read 1
		mustSave(t, s, 2)
		close(release)
		<-a
		return load(t, s), 2
	}, true, false},

	"a load overtaken by a Delete does not fill the cache": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		release := st.stop(store.OpLoadLatest)
		a := loadInBackground(t, s)
		if err := s.Delete(t.Context(), "order-1", 1); err != nil {
			t.Fatal(err)
		}
		close(release)
		<-a
		return load(t, s), 0
	}, true, false},

	"a load that began before a finished Save is not joined": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		release := st.stop(store.OpLoadLatest)
		a := loadInBackground(t, s)
		mustSave(t, s, 2)
		b := loadInBackground(t, s)
		close(release)
		<-a
		return <-b, 2
	}, false, true},

	"a Save that failed after it took effect drops the entry": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		load(t, s)
		st.fails[store.OpSave] = context.DeadlineExceeded
		if err := save(t, s, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return load(t, s), 2
	}, true, false},

	"no hit while a Save is in flight that others can see": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		load(t, s)
		release := st.stop(store.OpSave)
		saved := make(chan error)
		go func() { saved <- save(t, s, 2) }()
		synctest.Wait() // has taken effect
		seen := loadBefore(t, s)
		got := load(t, s)
		close(release)
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
		return got, seen
	}, true, false},

	"no fill while a Save is in flight that others can see": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		releaseLoad := st.stop(store.OpLoadLatest)
		a := loadInBackground(t, s)
		releaseSave := st.stop(store.OpSave)
		saved := make(chan error)
		go func() { saved <- save(t, s, 2) }()
		synctest.Wait()
		close(releaseLoad)
		<-a
		seen := loadBefore(t, s)
		got := load(t, s)
		close(releaseSave)
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
		return got, seen
	}, true, false},

	"no fill by a load that began during a Save and ended after it": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		// The load begins when the Save has, reads 1 before the Save takes effect,
		// and comes back when the Save has returned.
		before := make(chan struct{})
		releaseLoad := st.stop(store.OpLoadLatest)
		slow := storetest.NewFaults(st.SnapshotStore, storetest.FaultOptions{Before: func(op, _ string) error {
			if op == store.OpSave {
				<-before
			}
			return nil
		}})
		st.SnapshotStore = slow
		saved := make(chan error)
		go func() { saved <- save(t, s, 2) }()
		synctest.Wait()
		a := loadInBackground(t, s)
		close(before)
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
		close(releaseLoad)
		<-a
		return load(t, s), 2
	}, true, false},

	"no join of a flight that began before a Save in flight that others can see": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		releaseLoad := st.stop(store.OpLoadLatest)
		a := loadInBackground(t, s)
		releaseSave := st.stop(store.OpSave)
		saved := make(chan error)
		go func() { saved <- save(t, s, 2) }()
		synctest.Wait()
		seen := loadBefore(t, s)
		b := loadInBackground(t, s)
		close(releaseLoad)
		<-a
		got := <-b
		close(releaseSave)
		if err := <-saved; err != nil {
			t.Fatal(err)
		}
		return got, seen
	}, false, true},

	"a load that Invalidate overtook does not fill the cache": {func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
		mustSave(t, s, 1)
		release := st.stop(store.OpLoadLatest)
		a := loadInBackground(t, s)
		mustSave(t, st.SnapshotStore, 2) // another process, as far as s knows
		for layer := s; layer != nil; {
			if c, ok := layer.(interface{ Invalidate(string) }); ok {
				c.Invalidate("order-1")
			}
			w, ok := layer.(store.Wrapper)
			if !ok {
				break
			}
			layer = w.Unwrap()
		}
		close(release)
		<-a
		return load(t, s), 2
	}, true, false},
}

func TestInterleavings(t *testing.T) {
	naive := map[string]layer{
		"cache":        func(_ *testing.T, inner store.SnapshotStore) store.SnapshotStore { return newNaiveCache(inner) },
		"singleflight": func(_ *testing.T, inner store.SnapshotStore) store.SnapshotStore { return newNaiveSingleflight(inner) },
	}
	for name, i := range interleavings {
		play := func(t *testing.T, layers ...layer) (got, want uint64) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(t)
				s := over(t, st, layers...)
				got, want = i.play(t, s, st)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return got, want
		}
		for stack, layers := range stacks {
			t.Run(name+"/"+stack, func(t *testing.T) {
				if got, want := play(t, layers...); got != want {
					t.Errorf("a load gave number %d; want %d", got, want)
				}
			})
		}
		for kind, exposed := range map[string]bool{"cache": i.cache, "singleflight": i.singleflight} {
			if exposed {
				t.Run(name+"/exposes the naive "+kind, func(t *testing.T) {
					if got, want := play(t, naive[kind]); got == want {
						t.Errorf("a load through the naive %s gave number %d, as it should: the check can't fail", kind, got)
					}
				})
			}
		}
	}
}

// TestLinearizable checks histories under random delays, faults before and after
// the effect, and contexts that end, in time that passes only when all wait.
func TestLinearizable(t *testing.T) {
	for name, layers := range stacks {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(400) {
				synctest.Test(t, func(t *testing.T) { checkHistory(t, seed, layers...) })
				if t.Failed() {
					return
				}
			}
		})
	}
}

func checkHistory(t *testing.T, seed uint64, layers ...layer) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	upTo := func(n int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Int64N(n)
	}
	fault := func(string, string) error {
		if upTo(10) == 0 {
			return errors.New("injected")
		}
		return nil
	}
	delay := func(string, string) time.Duration { return time.Duration(upTo(20)) * time.Millisecond }
	inner := storetest.NewFaults(newMemory(t, 0), storetest.FaultOptions{Before: fault, After: fault})
	inner = storetest.NewLatency(inner, storetest.LatencyOptions{Before: delay, After: delay})
	s := over(t, inner, layers...)
	storetest.CheckLinearizable(t, s, storetest.LinearizableOptions{
		PersistenceID: "order-1",
		Clients:       4,
		Calls:         8,
		Seed:          seed,
		Context: func(ctx context.Context, random *rand.Rand) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Duration(random.Int64N(100))*time.Millisecond)
		},
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func save(t *testing.T, s store.SnapshotStore, nr uint64) error {
	return s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, State: []byte("state")})
}

func mustSave(t *testing.T, s store.SnapshotStore, nr uint64) {
	t.Helper()
	if err := save(t, s, nr); err != nil {
		t.Fatal(err)
	}
}

// load returns the latest number, 0 for ErrNotFound.
func load(t *testing.T, s store.SnapshotStore) uint64 {
	snap, err := s.LoadLatest(t.Context(), "order-1")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	return snap.SequenceNr
}

func loadBefore(t *testing.T, s store.SnapshotStore) uint64 {
	snap, err := s.LoadBefore(t.Context(), "order-1", math.MaxUint64)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	return snap.SequenceNr
}

// loadInBackground returns when the load has got as far as it can.
func loadInBackground(t *testing.T, s store.SnapshotStore) <-chan uint64 {
	result := make(chan uint64, 1)
	go func() { result <- load(t, s) }()
	synctest.Wait()
	return result
}

// naiveCache is the cache that others ship: a write that succeeded drops the entry
// when it is over, and a load fills it whenever it comes back.
type naiveCache struct {
	store.SnapshotStore
	mu      sync.Mutex
	entries map[string]store.Snapshot
}

func newNaiveCache(inner store.SnapshotStore) *naiveCache {
	return &naiveCache{SnapshotStore: inner, entries: map[string]store.Snapshot{}}
}

func (c *naiveCache) Save(ctx context.Context, snap store.Snapshot) error {
	err := c.SnapshotStore.Save(ctx, snap)
	if err == nil {
		c.Invalidate(snap.PersistenceID)
	}
	return err
}

func (c *naiveCache) Delete(ctx context.Context, id string, to uint64) error {
	err := c.SnapshotStore.Delete(ctx, id, to)
	if err == nil {
		c.Invalidate(id)
	}
	return err
}

func (c *naiveCache) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	c.mu.Lock()
	snap, hit := c.entries[id]
	c.mu.Unlock()
	if hit {
		return snap, nil
	}
	snap, err := c.SnapshotStore.LoadLatest(ctx, id)
	if err == nil {
		c.mu.Lock()
		c.entries[id] = snap
		c.mu.Unlock()
	}
	return snap, err
}

func (c *naiveCache) Invalidate(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, id)
}

// naiveSingleflight joins whatever load of the id is in flight.
type naiveSingleflight struct {
	store.SnapshotStore
	flights xsingleflight.Group
}

func newNaiveSingleflight(inner store.SnapshotStore) *naiveSingleflight {
	return &naiveSingleflight{SnapshotStore: inner}
}

func (s *naiveSingleflight) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	snap, err, _ := s.flights.Do(id, func() (any, error) { return s.SnapshotStore.LoadLatest(ctx, id) })
	return snap.(store.Snapshot), err
}
