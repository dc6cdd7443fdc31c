package workload

import (
	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// usage is what the layers of a store have counted since it was opened; nil for
// those it has not.
type usage struct {
	backend *storetest.Counts
	cache   *CacheUse
}

func usageOf(s store.SnapshotStore) usage {
	var u usage
	if counter, ok := store.As[*storetest.Counter](s); ok {
		counts := counter.Counts()
		u.backend = &counts
	}
	if c, ok := store.As[*cache.Cache](s); ok {
		stats := c.Stats()
		u.cache = &CacheUse{Hits: stats.Hits + stats.NegativeHits, Misses: stats.Misses}
	}
	return u
}

// since returns what was counted between before and u.
func (u usage) since(before usage) (*storetest.Counts, *CacheUse) {
	if u.backend != nil {
		u.backend.Saves -= before.backend.Saves
		u.backend.LoadLatests -= before.backend.LoadLatests
		u.backend.LoadBefores -= before.backend.LoadBefores
		u.backend.Deletes -= before.backend.Deletes
		u.backend.SavedBytes -= before.backend.SavedBytes
		u.backend.LoadedBytes -= before.backend.LoadedBytes
	}
	if u.cache != nil {
		u.cache.Hits -= before.cache.Hits
		u.cache.Misses -= before.cache.Misses
	}
	return u.backend, u.cache
}
