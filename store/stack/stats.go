package stack

import (
	"fmt"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/encrypt"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/observe"
)

// LayerStats is what one layer of a stack has done.
type LayerStats struct {
	// Layer is its name in the text form, or its Go type where it has none.
	Layer string `json:"layer"`

	// Stats is what its method of that name returned, as cache.Stats; nil where it
	// has none.
	Stats any `json:"stats,omitempty"`

	// Routes are the stacks of a route.
	Routes [][]LayerStats `json:"routes,omitempty"`
}

// Stats returns what every layer of a stack has done, outermost first, however the
// stack was opened. Its result encodes as JSON, so that it can be published by package
// expvar, as the example does. The layers are asked one after the other, while calls go on.
func Stats(s store.SnapshotStore) []LayerStats {
	var layers []LayerStats
	for s != nil {
		layers = append(layers, statsOf(s))
		w, ok := s.(store.Wrapper)
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	return layers
}

func statsOf(s store.SnapshotStore) LayerStats {
	switch s := s.(type) {
	case *cache.Cache:
		return LayerStats{Layer: "cache", Stats: s.Stats()}
	case *cache.Singleflight:
		return LayerStats{Layer: "singleflight", Stats: s.Stats()}
	case *compress.Store:
		return LayerStats{Layer: "zstd", Stats: s.Stats()}
	case *compress.Delta:
		return LayerStats{Layer: "delta", Stats: s.Stats()}
	case *encrypt.Store:
		return LayerStats{Layer: "encrypt", Stats: s.Stats()}
	case *store.Fallback:
		return LayerStats{Layer: "fallback", Stats: s.Stats()}
	case *store.Limit:
		return LayerStats{Layer: "limit", Stats: s.Stats()}
	case *observe.Store:
		return LayerStats{Layer: "log"}
	case *store.Route:
		route := LayerStats{Layer: "route"}
		for _, routed := range s.Stores() {
			route.Routes = append(route.Routes, Stats(routed))
		}
		return route
	case *memory.Store:
		return LayerStats{Layer: "memory"}
	case *sqlite.Store:
		return LayerStats{Layer: "sqlite", Stats: s.Stats()}
	case *objectstore.Store:
		return LayerStats{Layer: "objectstore", Stats: s.Stats()}
	}
	return LayerStats{Layer: fmt.Sprintf("%T", s)}
}
