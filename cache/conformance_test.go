package cache_test

import (
	"maps"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A layer puts one wrapper over a store.
type layer func(t testing.TB, inner store.SnapshotStore) store.SnapshotStore

func cacheWith(opts cache.Options) layer {
	return func(t testing.TB, inner store.SnapshotStore) store.SnapshotStore {
		t.Helper()
		c, err := cache.New(inner, opts)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func singleflight(_ testing.TB, inner store.SnapshotStore) store.SnapshotStore {
	return cache.NewSingleflight(inner)
}

func compressed(t testing.TB, inner store.SnapshotStore) store.SnapshotStore {
	t.Helper()
	s, err := compress.New(inner, compress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	plainCache    = cacheWith(cache.Options{})
	negativeCache = cacheWith(cache.Options{NegativeTTL: time.Hour})
)

// over returns the stack of the layers, outermost first, over inner.
func over(t testing.TB, inner store.SnapshotStore, layers ...layer) store.SnapshotStore {
	t.Helper()
	for i := len(layers) - 1; i >= 0; i-- {
		inner = layers[i](t, inner)
	}
	return inner
}

func newMemory(t *testing.T, keep int) store.SnapshotStore {
	t.Helper()
	s, err := memory.New(memory.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// conformingStacks are the wrappers of this package, alone and over each other.
var conformingStacks = map[string][]layer{
	"Cache":                 {plainCache},
	"CacheTiny":             {cacheWith(cache.Options{MaxBytes: 1000})},
	"CacheLRU":              {cacheWith(cache.Options{Policy: cache.LRU})},
	"CacheTooSmall":         {cacheWith(cache.Options{MaxBytes: 1})},
	"CacheNoExpiry":         {cacheWith(cache.Options{TTL: -1})},
	"CacheNegative":         {negativeCache},
	"Singleflight":          {singleflight},
	"CacheOverSingleflight": {negativeCache, singleflight},
	"SingleflightOverCache": {singleflight, plainCache},
	"CacheOverCache":        {plainCache, cacheWith(cache.Options{MaxBytes: 2000, NegativeTTL: time.Hour})},
}

// consistentStacks are these and some with compress between them, for the tests of
// consistency.
var consistentStacks = func() map[string][]layer {
	stacks := map[string][]layer{
		"CacheOverSingleflightOverCompress": {negativeCache, singleflight, compressed},
		"CompressOverCacheOverSingleflight": {compressed, negativeCache, singleflight},
		"SingleflightOverCompressOverCache": {singleflight, compressed, negativeCache},
		"CacheOverCompressOverSingleflight": {negativeCache, compressed, singleflight},
	}
	maps.Copy(stacks, conformingStacks)
	return stacks
}()

func TestConformance(t *testing.T) {
	for name, layers := range conformingStacks {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
				return over(t, newMemory(t, c.Keep), layers...)
			})
		})
	}
}
