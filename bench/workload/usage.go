package workload

import (
	"fmt"
	"strings"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/encrypt"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/observe"
	"github.com/snapstack/snapstack/store/storetest"
)

// A LayerUse is what one layer of a store did while measuring. Loads, saves and bytes
// are what came to it from above, counted by the *storetest.Counter that stands there, or
// told by the layers above where none does.
type LayerUse struct {
	Name                 string // in the text form of stacks, or the Go type
	Loads, Saves         int64
	LoadBytes, SaveBytes int64
	Hits                 *int64 // loads that a cache answered by itself
	Shared               *int64 // loads that joined another one
	HeldBytes            *int64 // that a cache held at the end
	LimitBytes           *int64 // that it may hold
	Commits              *int64 // transactions of a database
}

// A probe is one layer of a store.
type probe struct {
	store   store.SnapshotStore
	name    string
	counter *storetest.Counter // directly above it; nil where there is none
}

// A reading is what a layer had counted at one moment.
type reading struct {
	counts       storetest.Counts
	hits, shared int64
	commits      int64
	held, limit  int64
}

// probesOf returns the layers of s, outermost first, without the wrappers of storetest.
func probesOf(s store.SnapshotStore) []probe {
	var probes []probe
	var counter *storetest.Counter
	for s != nil {
		if c, ok := s.(*storetest.Counter); ok {
			counter = c
		} else if name, ok := layerName(s); ok {
			probes = append(probes, probe{store: s, name: name, counter: counter})
			counter = nil
		}
		w, ok := s.(store.Wrapper)
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	return probes
}

// layerName returns the name of a layer, and false for what stands in a stack only to
// measure it.
func layerName(s store.SnapshotStore) (string, bool) {
	switch s.(type) {
	case *cache.Cache:
		return "cache", true
	case *cache.Singleflight:
		return "singleflight", true
	case *compress.Store:
		return "zstd", true
	case *compress.Delta:
		return "delta", true
	case *encrypt.Store:
		return "encrypt", true
	case *store.Fallback:
		return "fallback", true
	case *store.Limit:
		return "limit", true
	case *store.Route:
		return "route", true
	case *observe.Store:
		return "log", true
	case *memory.Store:
		return "memory", true
	case *sqlite.Store:
		return "sqlite", true
	case *objectstore.Store:
		return "objectstore", true
	}
	name := fmt.Sprintf("%T", s)
	return name, !strings.HasPrefix(name, "*storetest.")
}

func (p probe) read() reading {
	var r reading
	if p.counter != nil {
		r.counts = p.counter.Counts()
	}
	switch s := p.store.(type) {
	case *cache.Cache:
		stats := s.Stats()
		r.hits, r.held, r.limit = stats.Hits+stats.NegativeHits, stats.Bytes, stats.MaxBytes
	case *cache.Singleflight:
		r.shared = s.Stats().Shared
	case *sqlite.Store:
		r.commits = int64(s.Stats().Commits)
	}
	return r
}

// since returns what the layer did between two readings, given what came to it from
// above as far as the layers there tell.
func (p probe) since(before, now reading, from LayerUse) LayerUse {
	use := LayerUse{Name: p.name, Loads: from.Loads, Saves: from.Saves, LoadBytes: from.LoadBytes, SaveBytes: from.SaveBytes}
	if p.counter != nil {
		use.Loads = now.counts.Loads() - before.counts.Loads()
		use.Saves = now.counts.Saves - before.counts.Saves
		use.LoadBytes = now.counts.LoadedBytes - before.counts.LoadedBytes
		use.SaveBytes = now.counts.SavedBytes - before.counts.SavedBytes
	}
	value := func(n int64) *int64 { return &n }
	switch p.store.(type) {
	case *cache.Cache:
		use.Hits, use.HeldBytes, use.LimitBytes = value(now.hits-before.hits), value(now.held), value(now.limit)
	case *cache.Singleflight:
		use.Shared = value(now.shared - before.shared)
	case *sqlite.Store:
		use.Commits = value(now.commits - before.commits)
	}
	return use
}

// passed returns what the layer let through, as far as it tells itself: the bytes are
// taken to be spread evenly over the loads.
func (u LayerUse) passed() LayerUse {
	through := u
	if u.Hits != nil {
		through.Loads -= *u.Hits
	}
	if u.Shared != nil {
		through.Loads -= *u.Shared
	}
	through.Loads = max(through.Loads, 0)
	if u.Loads > 0 {
		through.LoadBytes = int64(float64(u.LoadBytes) * float64(through.Loads) / float64(u.Loads))
	}
	return through
}

// layersSince returns what the layers did since before, the outermost having been given
// total.
func layersSince(probes []probe, before []reading, total LayerUse) []LayerUse {
	var layers []LayerUse
	for i, p := range probes {
		use := p.since(before[i], p.read(), total)
		layers = append(layers, use)
		total = use.passed()
	}
	return layers
}
