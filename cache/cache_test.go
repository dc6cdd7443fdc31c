package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// newCounted returns a Cache over a Counter over memory.
func newCounted(t *testing.T, opts cache.Options) (*cache.Cache, *storetest.Counter) {
	t.Helper()
	counter := storetest.NewCounter(newMemory(t, 0))
	c, err := cache.New(counter, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, counter
}

func saveState(t *testing.T, s store.SnapshotStore, id string, nr uint64, size int) {
	t.Helper()
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: bytes.Repeat([]byte("a"), size)}); err != nil {
		t.Fatal(err)
	}
}

func loadLatest(t *testing.T, s store.SnapshotStore, id string) {
	t.Helper()
	if _, err := s.LoadLatest(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestHitsReachNoInnerStore(t *testing.T) {
	c, counter := newCounted(t, cache.Options{})
	saveState(t, c, "order-1", 7, 10)
	for range 3 {
		loadLatest(t, c, "order-1")
	}
	if err := c.ViewLatest(t.Context(), "order-1", func(store.Snapshot) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, bound := range []uint64{8, 100, math.MaxUint64} { // the cached latest lies below
		if snap, err := c.LoadBefore(t.Context(), "order-1", bound); err != nil || snap.SequenceNr != 7 {
			t.Errorf("LoadBefore(%d) gave number %d, %v; want 7", bound, snap.SequenceNr, err)
		}
	}
	if got := counter.Counts().Loads(); got != 1 {
		t.Errorf("%d loads reached the inner store; want 1", got)
	}
	if _, err := c.LoadBefore(t.Context(), "order-1", 7); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadBefore(7): %v; want ErrNotFound", err)
	}
	if got := counter.Counts().LoadBefores; got != 1 {
		t.Errorf("%d LoadBefores reached the inner store; want the one at the cached number", got)
	}
	want := cache.Stats{Hits: 6, Misses: 2, Entries: 1, Bytes: 7 + 10 + 320}
	if got := c.Stats(); got.Hits != want.Hits || got.Misses != want.Misses || got.Entries != 1 || got.Bytes < want.Bytes || got.Bytes > want.Bytes+16 {
		t.Errorf("Stats = %+v; want about %+v", got, want)
	}
}

func TestEntriesStayWithinTheBudget(t *testing.T) {
	for _, policy := range []cache.Policy{cache.S3FIFO, cache.LRU} {
		t.Run(string(policy), func(t *testing.T) { testBudget(t, policy) })
	}
}

func testBudget(t *testing.T, policy cache.Policy) {
	const budget = 10_000
	c, counter := newCounted(t, cache.Options{MaxBytes: budget, Policy: policy})
	for i := range 100 {
		id := fmt.Sprintf("order-%d", i)
		saveState(t, c, id, 1, 1000)
		loadLatest(t, c, id)
		loadLatest(t, c, "order-0") // the hot one
		if stats := c.Stats(); stats.Bytes > budget {
			t.Fatalf("%d bytes kept; allowed are %d", stats.Bytes, budget)
		}
	}
	stats := c.Stats()
	if stats.Entries < 4 || stats.Evictions != int64(100-stats.Entries) {
		t.Errorf("Stats = %+v; want some 6 entries, and an eviction for every other", stats)
	}
	before := counter.Counts().Loads()
	loadLatest(t, c, "order-0")
	loadLatest(t, c, "order-99")
	if got := counter.Counts().Loads(); got != before {
		t.Error("the most recently used entries were evicted")
	}
	loadLatest(t, c, "order-1")
	if got := counter.Counts().Loads(); got != before+1 {
		t.Error("the least recently used entry was not evicted")
	}
}

func TestLargeEntriesAreServedAndNotKept(t *testing.T) {
	for name, opts := range map[string]cache.Options{
		"over MaxBytes":      {MaxBytes: 5000},
		"over MaxEntryBytes": {MaxBytes: 1 << 20, MaxEntryBytes: 5000},
	} {
		t.Run(name, func(t *testing.T) {
			c, counter := newCounted(t, opts)
			saveState(t, c, "small", 1, 100)
			saveState(t, c, "large", 1, 5000)
			loadLatest(t, c, "small")
			for range 3 {
				loadLatest(t, c, "large")
			}
			loadLatest(t, c, "small")
			if got := counter.Counts().Loads(); got != 4 {
				t.Errorf("%d loads reached the inner store; want 1 of the small state and 3 of the large", got)
			}
			if stats := c.Stats(); stats.Entries != 1 || stats.Evictions != 0 {
				t.Errorf("Stats = %+v; want the small entry alone and no eviction", stats)
			}
		})
	}
}

func TestEntriesExpire(t *testing.T) {
	now := time.Unix(1e9, 0)
	jitter := 0.0
	c, counter := newCounted(t, cache.Options{
		TTL:  time.Minute,
		Now:  func() time.Time { return now },
		Rand: func() float64 { return jitter },
	})
	saveState(t, c, "order-1", 1, 10)
	loadsAfter := func(d time.Duration) int64 {
		c.Purge()
		loadLatest(t, c, "order-1")
		before := counter.Counts().Loads()
		now = now.Add(d)
		loadLatest(t, c, "order-1")
		return counter.Counts().Loads() - before
	}
	if got := loadsAfter(time.Minute - 1); got != 0 {
		t.Error("an entry expired before its TTL")
	}
	if got := loadsAfter(time.Minute); got != 1 {
		t.Error("an entry was served after its TTL")
	}
	jitter = 0.5 // a twentieth earlier
	if got := loadsAfter(57*time.Second - 1); got != 0 {
		t.Error("an entry expired earlier than its jitter says")
	}
	if got := loadsAfter(57 * time.Second); got != 1 {
		t.Error("an entry was served after its TTL less jitter")
	}
}

// What a slow load found may be as old as its beginning.
func TestTTLCountsFromTheBeginningOfTheLoad(t *testing.T) {
	now := time.Unix(1e9, 0)
	inner := &hooked{
		inner:  newMemory(t, 0),
		before: func(context.Context, string) error { return nil },
		after: func(_ context.Context, op string) error {
			if op == store.OpLoadLatest {
				now = now.Add(40 * time.Second)
			}
			return nil
		},
	}
	c, err := cache.New(inner, cache.Options{TTL: time.Minute, Now: func() time.Time { return now }, Rand: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	saveState(t, c, "order-1", 1, 10)
	loadLatest(t, c, "order-1")
	now = now.Add(20*time.Second - 1)
	loadLatest(t, c, "order-1")
	if hits := c.Stats().Hits; hits != 1 {
		t.Errorf("%d hits within a minute of the beginning of the load; want 1", hits)
	}
	now = now.Add(1)
	loadLatest(t, c, "order-1")
	if stats := c.Stats(); stats.Hits != 1 || stats.Evictions != 0 {
		t.Errorf("Stats = %+v; want no hit a minute after the beginning of the load, and no eviction", stats)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestNegativeTTLNeverExpires(t *testing.T) {
	now := time.Unix(1e9, 0)
	c, counter := newCounted(t, cache.Options{TTL: -1, Now: func() time.Time { return now }})
	saveState(t, c, "order-1", 1, 10)
	loadLatest(t, c, "order-1")
	now = now.Add(1 << 62)
	loadLatest(t, c, "order-1")
	if got := counter.Counts().Loads(); got != 1 {
		t.Errorf("%d loads; want 1", got)
	}
}

func TestAbsenceIsRememberedWhereAsked(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, remembered := range []bool{false, true} {
		opts := cache.Options{Now: func() time.Time { return now }, Rand: func() float64 { return 0 }}
		if remembered {
			opts.NegativeTTL = time.Second
		}
		c, counter := newCounted(t, opts)
		absent := func() {
			t.Helper()
			if _, err := c.LoadLatest(t.Context(), "order-1"); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("LoadLatest: %v; want ErrNotFound", err)
			}
			if _, err := c.LoadBefore(t.Context(), "order-1", 5); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("LoadBefore: %v; want ErrNotFound", err)
			}
			err := c.ViewLatest(t.Context(), "order-1", func(store.Snapshot) error { return nil })
			if !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("ViewLatest: %v; want ErrNotFound", err)
			}
		}
		want := int64(9)
		if remembered {
			want = 1
		}
		absent()
		absent()
		absent()
		if got := counter.Counts().Loads(); got != want {
			t.Errorf("absence remembered %v: %d loads reached the inner store; want %d", remembered, got, want)
		}
		if remembered {
			if stats := c.Stats(); stats.NegativeHits != 8 {
				t.Errorf("Stats = %+v; want 8 negative hits", stats)
			}
			now = now.Add(time.Second)
			absent()
			if got := counter.Counts().Loads(); got != 2 {
				t.Errorf("%d loads after NegativeTTL; want 2", got)
			}
		}
		saveState(t, c, "order-1", 1, 1)
		loadLatest(t, c, "order-1")
	}
}

func TestViewRemembersAbsence(t *testing.T) {
	c, counter := newCounted(t, cache.Options{NegativeTTL: time.Hour})
	for range 2 {
		err := c.ViewLatest(t.Context(), "order-1", func(store.Snapshot) error { return nil })
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("ViewLatest: %v; want ErrNotFound", err)
		}
	}
	if got := counter.Counts().Loads(); got != 1 {
		t.Errorf("%d loads reached the inner store; want 1", got)
	}

	// What view itself returns says nothing about the id.
	saveState(t, c, "order-2", 1, 1)
	err := c.ViewLatest(t.Context(), "order-2", func(store.Snapshot) error { return store.ErrNotFound })
	if err != store.ErrNotFound {
		t.Fatalf("ViewLatest: %v; want the error of view", err)
	}
	loadLatest(t, c, "order-2")
}

func TestErrorsAreNotKept(t *testing.T) {
	failing := true
	inner := storetest.NewFaults(newMemory(t, 0), storetest.FaultOptions{Before: func(op, _ string) error {
		if failing && op == store.OpLoadLatest {
			return errors.New("wire cut")
		}
		return nil
	}})
	c := over(t, inner, cacheWith(cache.Options{NegativeTTL: time.Hour}))
	saveState(t, c, "order-1", 1, 1)
	if _, err := c.LoadLatest(t.Context(), "order-1"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Fatalf("LoadLatest: %v; want the failure", err)
	}
	failing = false
	loadLatest(t, c, "order-1")
}

func TestPanicOfTheInnerStoreIsNoFill(t *testing.T) {
	panicking := true
	inner := storetest.NewFaults(newMemory(t, 0), storetest.FaultOptions{Before: func(op, _ string) error {
		if panicking && op != store.OpLoadBefore {
			panic("inner")
		}
		return nil
	}})
	c := over(t, inner, cacheWith(cache.Options{NegativeTTL: time.Hour}))
	for name, call := range map[string]func(){
		"LoadLatest": func() { _, _ = c.LoadLatest(t.Context(), "order-1") },
		"Save":       func() { _ = c.Save(t.Context(), store.Snapshot{PersistenceID: "order-1"}) },
		"Delete":     func() { _ = c.Delete(t.Context(), "order-1", 1) },
	} {
		func() {
			defer func() {
				if recover() != "inner" {
					t.Errorf("%s swallowed the panic of the inner store", name)
				}
			}()
			call()
		}()
	}
	panicking = false
	saveState(t, c, "order-1", 1, 1)
	loadLatest(t, c, "order-1")
	loadLatest(t, c, "order-1")
	if stats := c.(*cache.Cache).Stats(); stats.Hits != 1 || stats.StaleFills != 0 {
		t.Errorf("Stats = %+v; want a hit: the write that panicked is over", stats)
	}
	if err := c.Close(); err != nil { // and no call is counted as in flight
		t.Error(err)
	}
}

func TestPurgeAndInvalidate(t *testing.T) {
	c, counter := newCounted(t, cache.Options{})
	for _, id := range []string{"a", "b", "c"} {
		saveState(t, c, id, 1, 10)
		loadLatest(t, c, id)
	}
	c.Invalidate("a")
	c.Invalidate("unknown")
	if stats := c.Stats(); stats.Entries != 2 {
		t.Errorf("Stats after Invalidate = %+v; want 2 entries", stats)
	}
	c.Purge()
	if stats := c.Stats(); stats.Entries != 0 || stats.Bytes != 0 {
		t.Errorf("Stats after Purge = %+v; want no entries", stats)
	}
	before := counter.Counts().Loads()
	loadLatest(t, c, "b")
	if counter.Counts().Loads() != before+1 {
		t.Error("a purged entry was served")
	}
}

func TestStaleFillsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t)
		c, err := cache.New(st, cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		mustSave(t, c, 1)
		read := st.stopAfter(store.OpLoadLatest)
		a := loadInBackground(t, c)
		mustSave(t, c, 2)
		close(read)
		<-a
		load(t, c)
		load(t, c)
		if stats := c.Stats(); stats.StaleFills != 1 || stats.Misses != 2 || stats.Hits != 1 {
			t.Errorf("Stats = %+v; want 1 fill refused, 2 misses and 1 hit", stats)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAllocations(t *testing.T) {
	c, _ := newCounted(t, cache.Options{})
	single := cache.NewSingleflight(newMemory(t, 0))
	saveState(t, c, "order-1", 1, 4096)
	saveState(t, single, "order-1", 1, 4096)
	ctx := t.Context()
	view := func(store.Snapshot) error { return nil }
	for name, test := range map[string]struct {
		call func() error
		most float64
	}{
		"hit of ViewLatest":                        {func() error { return c.ViewLatest(ctx, "order-1", view) }, 0},
		"hit of LoadLatest":                        {func() error { _, err := c.LoadLatest(ctx, "order-1"); return err }, 1},
		"hit of LoadBefore":                        {func() error { _, err := c.LoadBefore(ctx, "order-1", 2); return err }, 1},
		"flight, with the copy of the inner store": {func() error { _, err := single.LoadLatest(ctx, "order-1"); return err }, 1 + 4},
	} {
		loadLatest(t, c, "order-1")
		got := testing.AllocsPerRun(100, func() {
			if err := test.call(); err != nil {
				t.Error(err)
			}
		})
		if got > test.most {
			t.Errorf("%s: %v allocations; want at most %v", name, got, test.most)
		}
	}
	if err := single.Close(); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for says, opts := range map[string]cache.Options{
		"MaxBytes -1; allowed are 0 (for 64 MiB) and more":         {MaxBytes: -1},
		"MaxEntryBytes -1; allowed are 0 (for MaxBytes) and more":  {MaxEntryBytes: -1},
		"NegativeTTL -1s; allowed are 0 (for not at all) and more": {NegativeTTL: -time.Second},
		`Policy "fifo"; allowed are ["s3fifo" "lru"]`:              {Policy: "fifo"},
	} {
		if _, err := cache.New(newMemory(t, 0), opts); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("New with %+v: %v; want ErrInvalid that says %s", opts, err, says)
		}
	}
	if _, err := cache.New(nil, cache.Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New over nil: %v; want ErrInvalid", err)
	}
}
